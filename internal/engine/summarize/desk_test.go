package summarize_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/summarize"
)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// source reads a text as ingest does.
func source(t tester, name, text string) summarize.Source {
	t.Helper()
	var c extract.Collector
	read := extract.Plain
	if strings.HasSuffix(name, ".md") {
		read = markdown.Extract
	}
	if err := read(text, &c); err != nil {
		t.Fatalf("extract %s: %v", name, err)
	}
	return summarize.Source{Name: name, Text: c.Text(), Markdown: strings.HasSuffix(name, ".md")}
}

// sources reads the files of a folder.
func sources(t tester, folder string) []summarize.Source {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.[mt][dx]*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	var out []summarize.Source
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatalf("read %s: %v", f, err)
		}
		out = append(out, source(t, filepath.Base(f), string(b)))
	}
	return out
}

// write makes a whole post of a survey, all that the engine says about it included, and proves every unit on the way.
func write(t tester, s *summarize.Survey, w summarize.Wish) string {
	t.Helper()
	post := s.Fill(s.Plan(w), nil, s.Budget(w.Words))
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", markdown.Escape(s.Title()))
	if len(post.KeyPoints) > 0 {
		b.WriteString("## Key points\n\n")
	}
	for _, unit := range post.KeyPoints {
		b.WriteString("- " + render(t, s, unit, -1) + "\n")
	}
	for _, sec := range post.Sections {
		fmt.Fprintf(&b, "\n## %s (%s)\n\n", markdown.Escape(sec.Title), sec.Origin)
		before := -1
		for _, unit := range sec.Units {
			b.WriteString(joint(s, before, unit) + mark(s.Units[unit].Kind) + render(t, s, unit, before))
			before = unit
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\n## Notes\n\nGaps: %s\n\n", strings.Join(post.Gaps, " / "))
	for _, x := range s.Superseded {
		by := "-"
		if x.By >= 0 {
			by = s.Titles[x.By]
		}
		fmt.Fprintf(&b, "Superseded: %s (%s %s) by %s\n\n", s.Titles[x.Source], x.Reason, x.Marker, by)
	}
	fmt.Fprintf(&b, "Tags: %s\n", strings.Join(s.Phrases[:min(5, len(s.Phrases))], " / "))
	return b.String()
}

func mark(k summarize.Kind) string {
	switch k {
	case summarize.Item:
		return "- "
	case summarize.Quote:
		return "> "
	}
	return ""
}

func joint(s *summarize.Survey, before, unit int) string {
	switch {
	case before < 0:
		return ""
	case s.SameList(before, unit):
		return "\n"
	case s.Units[before].Kind == summarize.Sentence && s.Units[unit].Kind == summarize.Sentence && s.SameParagraph(before, unit):
		return " "
	}
	return "\n\n"
}

// render renders a unit and proves it against its source.
func render(t tester, s *summarize.Survey, unit, before int) string {
	t.Helper()
	u := s.Units[unit]
	text, edits := s.Render(unit, before)
	if err := cite.Check(s.Sources[u.Source].Text.Content, u.Start, u.End, s.Quote(unit), text, edits); err != nil {
		t.Errorf("unit %d: %v", unit, err)
	}
	return text
}

// units of a post in the order in which they stand, key points left out.
func unitsOf(p summarize.Post) []int {
	var out []int
	for _, s := range p.Sections {
		out = slices.Concat(out, s.Units)
	}
	return out
}
