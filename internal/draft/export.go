package draft

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"byline/internal/engine/markdown"
	"byline/internal/fault"
)

// Export says how a draft leaves as a file; empty fields are the defaults.
type Export struct {
	Format    string // markdown (default), json
	Preset    string // plain (default), jekyll, hugo, astro, eleventy: the front matter that generator reads
	Citations string // footnotes (default), links, none
}

// File is an exported draft.
type File struct {
	Name      string
	MediaType string
	Data      []byte
}

// Choices of an export, for messages and documentation.
var (
	Formats   = []string{"markdown", "json"}
	Presets   = []string{"plain", "jekyll", "hugo", "astro", "eleventy"}
	Citations = []string{"footnotes", "links", "none"}
)

// Write makes the file. Content and citations are of the same version.
func (e Export) Write(d Draft, citations []Citation) (File, error) {
	if err := e.validate(); err != nil {
		return File{}, err
	}
	slug := Slug(d.Title)
	if slug == "" {
		slug = "draft-" + strings.ToLower(d.ID)
	}
	if e.Format == "json" {
		return e.json(d, citations, slug)
	}
	var b strings.Builder
	e.frontMatter(&b, d, slug)
	if e.Preset == "" || e.Preset == "plain" { // the generators make the heading from the front matter
		fmt.Fprintf(&b, "# %s\n\n", markdown.Escape(d.Title))
	}
	switch e.Citations {
	case "none":
		b.WriteString(strings.TrimRight(d.Content, "\n"))
		b.WriteByte('\n')
	case "links":
		b.WriteString(withMarks(d.Content, citations, func(n int) string { return fmt.Sprintf(" [[%d]](#source-%d)", n, n) }))
		writeSources(&b, citations, func(n int) string { return fmt.Sprintf("%d. <a id=\"source-%d\"></a>", n, n) })
	default:
		b.WriteString(withMarks(d.Content, citations, func(n int) string { return fmt.Sprintf("[^%d]", n) }))
		writeSources(&b, citations, func(n int) string { return fmt.Sprintf("[^%d]: ", n) })
	}
	name := slug + ".md"
	if e.Preset == "jekyll" {
		name = d.UpdatedAt.UTC().Format(time.DateOnly) + "-" + name // Jekyll takes a post's date from its file name
	}
	return File{Name: name, MediaType: "text/markdown; charset=utf-8", Data: []byte(b.String())}, nil
}

func (e Export) validate() error {
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{{"format", e.Format, Formats}, {"preset", e.Preset, Presets}, {"citations", e.Citations, Citations}} {
		if c.value == "" || slices.Contains(c.allowed, c.value) {
			continue
		}
		return fault.Bad("body."+c.name, "not_available", "%s is one of %s, not %q.", c.name, strings.Join(c.allowed, ", "), c.value)
	}
	return nil
}

// frontMatter writes YAML whose strings are double quoted, so that no title can end it or become a template.
func (e Export) frontMatter(b *strings.Builder, d Draft, slug string) {
	q := markdown.QuoteYAML
	b.WriteString("---\n")
	if e.Preset == "jekyll" {
		b.WriteString("layout: post\n")
	}
	fmt.Fprintf(b, "title: %s\n", q(d.Title))
	switch e.Preset {
	case "astro":
		fmt.Fprintf(b, "pubDate: %s\n", d.UpdatedAt.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(b, "date: %s\n", d.UpdatedAt.UTC().Format(time.RFC3339))
	}
	if d.Summary != "" {
		fmt.Fprintf(b, "description: %s\n", q(d.Summary))
	}
	if e.Preset == "hugo" || e.Preset == "astro" || e.Preset == "eleventy" {
		fmt.Fprintf(b, "slug: %s\n", q(slug))
	}
	list := func(name string, values []string) {
		if len(values) == 0 {
			return
		}
		fmt.Fprintf(b, "%s:\n", name)
		for _, v := range values {
			fmt.Fprintf(b, "  - %s\n", q(v))
		}
	}
	list("categories", d.Categories)
	list("tags", d.Tags)
	switch e.Preset { // braces in a quoted source must not run as a template
	case "jekyll":
		b.WriteString("render_with_liquid: false\n")
	case "eleventy":
		b.WriteString("templateEngineOverride: md\n")
	}
	b.WriteString("---\n\n")
}

// sourceOf names the place of a citation for people.
func sourceOf(c Citation) string {
	var b strings.Builder
	for i, s := range c.Spans {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(nameOf(s))
		if s.Page > 0 {
			fmt.Fprintf(&b, ", p. %d", s.Page)
		}
		if s.Gone {
			b.WriteString(" (source deleted)")
		}
		if s.Quote != "" {
			fmt.Fprintf(&b, ": “%s”", markdown.Escape(shorten(s.Quote)))
		}
	}
	return b.String()
}

// nameOf names a source: a file by its name, a page of the web by its title, its address and the day it was fetched.
func nameOf(s Span) string {
	if s.URL == "" {
		return markdown.Escape(s.DocumentName)
	}
	name := markdown.Escape(cmp.Or(s.Title, s.DocumentName)) + ", <" + linkable.Replace(s.URL) + ">"
	if !s.FetchedAt.IsZero() {
		name += " (fetched " + s.FetchedAt.UTC().Format(time.DateOnly) + ")"
	}
	return name
}

// linkable makes an address one that no sign within it ends or turns into markup.
var linkable = strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", "\n", "%0A", "\r", "%0D", "\t", "%09", "`", "%60", `\`, "%5C", "{", "%7B", "}", "%7D", "|", "%7C", `"`, "%22")

// shorten keeps a footnote to one line of about 200 bytes.
func shorten(quote string) string {
	const limit = 200
	quote = strings.Join(strings.Fields(quote), " ")
	if len(quote) <= limit {
		return quote
	}
	cut := limit
	for cut > 0 && !unicode.IsSpace(rune(quote[cut])) {
		cut--
	}
	if cut == 0 { // no spaces: cut at a rune
		for cut = limit; cut > 0 && quote[cut]&0xc0 == 0x80; cut-- {
		}
	}
	return quote[:cut] + " …"
}

// withMarks writes each citation's mark behind its claim. A table is closed first: a mark within it would be a cell.
func withMarks(content string, citations []Citation, mark func(n int) string) string {
	var b strings.Builder
	at := 0
	for i, c := range citations {
		if c.Claim.End < at || c.Claim.End > len(content) {
			continue // a claim within another: the outer one has a mark
		}
		b.WriteString(content[at:c.Claim.End])
		at = c.Claim.End
		if strings.HasPrefix(strings.TrimLeft(c.Claim.Text, " "), "|") || strings.HasPrefix(c.Claim.Text, "```") {
			b.WriteString("\n\nSource:")
			b.WriteString(strings.TrimRight(" "+strings.TrimLeft(mark(i+1), " "), " "))
			continue
		}
		b.WriteString(mark(i + 1))
	}
	b.WriteString(strings.TrimRight(content[at:], "\n"))
	b.WriteByte('\n')
	return b.String()
}

func writeSources(b *strings.Builder, citations []Citation, lead func(n int) string) {
	for i, c := range citations {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(lead(i + 1))
		b.WriteString(sourceOf(c))
		b.WriteByte('\n')
	}
}

// Slug makes a title fit for a file name and an address: letters and digits of any script in lower case, joined by
// hyphens, at most 80 bytes.
func Slug(title string) string {
	const limit = 80
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(title) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			gap = b.Len() > 0
			continue
		}
		if b.Len()+len(string(r))+1 > limit {
			break
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// json is the draft with its citations for programs.
func (e Export) json(d Draft, citations []Citation, slug string) (File, error) {
	type claim struct {
		Start int    `json:"start"`
		End   int    `json:"end"`
		Text  string `json:"text"`
	}
	type citation struct {
		ID      string  `json:"id"`
		Claim   claim   `json:"claim"`
		Verdict Verdict `json:"verdict"`
		Spans   []Span  `json:"spans"`
	}
	out := struct {
		Title      string     `json:"title"`
		Slug       string     `json:"slug"`
		Content    string     `json:"content"`
		Version    int        `json:"version"`
		Categories []string   `json:"categories"`
		Tags       []string   `json:"tags"`
		Citations  []citation `json:"citations"`
		UpdatedAt  time.Time  `json:"updated_at"`
	}{d.Title, slug, d.Content, d.Version, append([]string{}, d.Categories...), append([]string{}, d.Tags...), []citation{}, d.UpdatedAt.UTC()}
	for _, c := range citations {
		out.Citations = append(out.Citations, citation{c.ID, claim(c.Claim), c.Verdict, c.Spans})
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return File{Name: slug + ".json", MediaType: "application/json", Data: append(data, '\n')}, err
}
