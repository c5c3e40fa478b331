package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
	"byline/internal/engine/summarize"
)

// piece is a part of an extracted draft on its way.
type piece struct {
	id     string
	title  string
	text   strings.Builder
	claims []claim
}

// extracted is what an extracted claim has beyond a written one: how it differs from its quote.
type extracted struct {
	Edits []cite.Edit `json:"edits,omitempty"`
}

// The ids of the pieces around the sections of the plan.
const (
	headID    = "head"
	sourcesID = "sources"
)

// layout makes the summary and the pieces of the post: the box and the key points, the sections, and what a reader should know of the sources.
func (r *round) layout() (pieces []*piece, summary string) {
	plan := make([]summarize.Section, len(r.post.Sections))
	for i, s := range r.post.Sections {
		plan[i] = s.Section
	}
	filled := r.survey.Fill(plan, r.post.Found, r.post.Words)
	summary, _ = r.survey.Summary(filled)
	pieces = append(pieces, r.head(filled))
	for _, s := range filled.Sections {
		i := slices.IndexFunc(plan, func(x summarize.Section) bool { return x.Title == s.Title && x.Origin == s.Origin })
		pieces = append(pieces, r.section(sectionID(i), s))
	}
	cited := map[string]*sourceUse{}
	for _, s := range filled.Sections {
		for _, unit := range s.Units {
			u := r.survey.Units[unit]
			note(cited, r.docs[u.Source].ID, u.Page)
		}
	}
	return append(pieces, r.end(filled.Gaps, cited)), summary
}

func (r *round) head(filled summarize.Post) *piece {
	p := &piece{id: headID, title: r.labels.points}
	fmt.Fprintf(&p.text, "> %s\n\n", r.labels.box)
	if len(filled.KeyPoints) == 0 {
		p.title = ""
		return p
	}
	fmt.Fprintf(&p.text, "## %s\n\n", r.labels.points)
	for _, unit := range filled.KeyPoints {
		p.text.WriteString("- ")
		r.claim(p, unit, -1)
		p.text.WriteByte('\n')
	}
	p.text.WriteByte('\n')
	return p
}

// longParagraph is from which length on, in bytes, the next sentence of another paragraph begins one.
const longParagraph = 400

func (r *round) section(id string, s summarize.Filled) *piece {
	p := &piece{id: id, title: s.Title}
	if s.Origin == summarize.FromSource && s.Title == r.title() { // the same heading twice says nothing
		p.title = r.labels.overview
	}
	title := markdown.Escape(p.title)
	if s.Origin == summarize.Suggested {
		title += " *(" + r.labels.suggested + ")*"
	}
	fmt.Fprintf(&p.text, "## %s\n\n", title)
	before, begin := -1, p.text.Len()
	for i, unit := range s.Units {
		if before >= 0 {
			joint := r.joint(before, unit, p.text.Len()-begin)
			p.text.WriteString(joint)
			if joint != " " {
				begin = p.text.Len()
			}
		}
		after := -1
		if i+1 < len(s.Units) {
			after = s.Units[i+1]
		}
		p.text.WriteString(r.survey.Mark(unit, before, after))
		r.claim(p, unit, before)
		before = unit
	}
	p.text.WriteString("\n\n")
	return p
}

// joint is what stands between two units: a space within a paragraph, a line's end within a list, else a blank line.
func (r *round) joint(before, unit, length int) string {
	s := r.survey
	a, b := s.Units[before], s.Units[unit]
	switch {
	case s.SameList(before, unit):
		return "\n"
	case a.Kind != summarize.Sentence || b.Kind != summarize.Sentence, s.SetsApart(before) || s.SetsApart(unit), s.Introduces(unit):
		return "\n\n"
	case s.Follows(unit, before) || s.SameParagraph(before, unit):
		return " "
	case s.SameSection(before, unit) && length < longParagraph:
		return " "
	}
	return "\n\n"
}

// claim writes a unit and cites it.
func (r *round) claim(p *piece, unit, before int) {
	u := r.survey.Units[unit]
	d := r.docs[u.Source]
	text, edits := r.survey.Render(unit, before)
	p.claims = append(p.claims, claim{
		Start: p.text.Len(), Text: text, extracted: extracted{edits},
		Spans: []draft.Span{{
			DocumentID: d.ID, DocumentName: d.Filename, PassageID: passageOf(r.passages[d.ID], u.Start, u.End),
			Start: u.Start, End: u.End, Quote: r.survey.Quote(unit), Page: u.Page,
		}},
	})
	p.text.WriteString(text)
}

// end tells what is not covered, what was superseded, and the sources.
func (r *round) end(notCovered []string, cited map[string]*sourceUse) *piece {
	p := &piece{id: sourcesID, title: r.labels.sources}
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		if p.text.Len() > 0 {
			p.text.WriteByte('\n')
		}
		fmt.Fprintf(&p.text, "## %s\n\n", title)
		for _, l := range lines {
			fmt.Fprintf(&p.text, "- %s\n", l)
		}
	}
	var gaps, old []string
	for _, g := range notCovered {
		gaps = append(gaps, markdown.Escape(g))
	}
	for _, x := range r.survey.Superseded {
		why := fmt.Sprintf(r.labels.marked, markdown.Escape(x.Marker))
		switch {
		case x.By >= 0:
			why = fmt.Sprintf(r.labels.older, r.name(x.By))
		case x.Marker == "":
			why = r.labels.replaced
		}
		old = append(old, r.name(x.Source)+" – "+why)
	}
	list(r.labels.gaps, gaps)
	list(r.labels.superseded, old)
	list(r.labels.sources, r.sourceLines(cited))
	return p
}

// name is a source for people: its title, and its file where that says something else.
func (r *round) name(source int) string {
	title, file := r.survey.Titles[source], r.docs[source].Filename
	return fmt.Sprintf("%s (%s)", markdown.Escape(title), markdown.Escape(file))
}

// sourceUse is how a draft uses a source.
type sourceUse struct{ pages []int }

// note counts a quotation.
func note(cited map[string]*sourceUse, documentID string, page int) {
	u := cited[documentID]
	if u == nil {
		u = &sourceUse{}
		cited[documentID] = u
	}
	if page > 0 && !slices.Contains(u.pages, page) {
		u.pages = append(u.pages, page)
	}
}

// sourceLines lists the sources that are cited, with their pages, and then those that are not.
func (r *round) sourceLines(cited map[string]*sourceUse) []string {
	old := map[int]bool{}
	for _, x := range r.survey.Superseded {
		old[x.Source] = true
	}
	var lines, silent []string
	for i, d := range r.docs {
		switch u := cited[d.ID]; {
		case u != nil && len(u.pages) > 0:
			slices.Sort(u.pages)
			lines = append(lines, r.name(i)+", "+r.labels.pages+" "+ranges(u.pages))
		case u != nil:
			lines = append(lines, r.name(i))
		case !old[i]:
			silent = append(silent, r.name(i)+" – "+r.labels.silent)
		}
	}
	for _, id := range r.post.WebIDs {
		if cited[id] != nil && r.texts[id] != nil {
			d := r.texts[id].doc
			lines = append(lines, fmt.Sprintf("%s (<%s>, %s)", markdown.Escape(cmp.Or(d.Title, d.Filename)), d.SourceURL, d.FetchedAt.UTC().Format(time.DateOnly)))
		}
	}
	return append(lines, silent...)
}

// ranges writes sorted numbers: 1, 3–5.
func ranges(n []int) string {
	var b strings.Builder
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		if fmt.Fprintf(&b, "%d", n[i]); j > i {
			fmt.Fprintf(&b, "–%d", n[j])
		}
		i = j + 1
	}
	return b.String()
}
