// Package summarize makes the plan of a post from texts alone: which of their sentences, list items and tables to take, word for
// word, under which headings.
//
// [Read] cuts sources into units and ranks them, [Survey.Plan] chooses headings, [Survey.Fill] chooses units for each, and
// [Survey.Render] writes a unit as Markdown with a record of every edit. Everything is deterministic: no clock, no random numbers, no
// order of maps, and sums of floats always run in the order of the text. The time is about linear in the length of the sources.
package summarize

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/lexical"
)

// Source is a text to write from.
type Source struct {
	Name     string // of its file
	Title    string // empty when unknown
	Text     extract.Text
	Markdown bool   // the text is Markdown: its marks are kept
	Language string // ISO 639-1; empty: it is detected
	Created  time.Time
}

// Kind of a unit.
type Kind string

// The kinds of units.
const (
	Sentence Kind = "sentence"
	Item     Kind = "item"
	Table    Kind = "table"
	Quote    Kind = "quote" // a block quote
	Code     Kind = "code"  // with its fences
)

// Unit is a piece of a source that can be taken word for word and makes sense there. Marks of lists, headings and block quotes
// are outside of it.
type Unit struct {
	Source      int // index
	Kind        Kind
	Start, End  int // UTF-8 byte offsets in the source's text
	HeadingPath []string
	Page        int // 1-based; 0 where there are no pages
	Words       int
	Number      int // of an item in a numbered list, as its source has it; 0: none

	element int     // index in the source's elements
	section int     // leaf section, counted over all sources
	place   int     // within the section, from 0
	terms   []entry // sorted by term
	lead    int     // the unit that introduces this item or table and must stand before it, or -1
	intro   bool    // introduces a list or a table and must not stand without it
	leans   bool    // begins with a word that points at the sentence before ("It", "That")
	outside bool    // not for the body: a copy of another unit, from a superseded source, or boilerplate
	score   float64
}

// Evidence is a place that a search found for a heading.
type Evidence struct {
	Source     int
	Start, End int     // UTF-8 byte offsets in the source's text
	Score      float64 // 0..1: how much of the query it holds
}

// Survey is what was read: all units in the order of sources and texts.
type Survey struct {
	Sources    []Source
	Units      []Unit
	Titles     []string // of each source: its own, its first heading, or made from its name
	Language   string   // of most sources
	Phrases    []string // key phrases, best first
	Superseded []Supersession

	vocabulary vocabulary
	names      map[string]bool // words that are names
	sections   []leaf
	titled     []bool          // whether a source's first heading is its title
	numbered   []bool          // whether a source's headings bear bare numbers
	deep       map[string]bool // headings with so much below them that those below take their place
	begins     []int           // the first unit of each source, and how many there are
	central    []int           // source indices, the most central first
}

// Supersession says that a source has been replaced.
type Supersession struct {
	Source int
	By     int // the source that replaces it, or -1
	Reason Reason
	Marker string // the words that say so, for ReasonMarked
}

// Reason of a supersession.
type Reason string

// The reasons.
const (
	Marked Reason = "marked" // it says itself that it is archived or replaced
	Older  Reason = "older"  // another source of the same title has a later date
)

// leaf is a stretch of a source under one heading.
type leaf struct {
	source int
	path   []string
	units  []int
	topic  bool   // cut out of a stretch without headings
	title  string // of a topic
}

// Read cuts the sources into units and ranks them.
func Read(sources []Source) *Survey {
	s := &Survey{Sources: slices.Clone(sources)}
	s.vocabulary.ids = map[string]int{}
	votes := map[string]int{}
	var languages []string
	for i := range s.Sources {
		src := &s.Sources[i]
		if src.Language == "" {
			src.Language = lexical.DetectLanguage(head(src.Text.Content, 20_000))
		}
		if votes[src.Language]++; votes[src.Language] == 1 {
			languages = append(languages, src.Language)
		}
		s.Titles = append(s.Titles, titleOf(*src))
		s.numbered = append(s.numbered, countNumbers(src.Text))
		src.Text = sectioned(src.Text)
		s.titled = append(s.titled, hasTitle(*src))
	}
	for _, l := range languages { // the first of the most frequent
		if s.Language == "" || votes[l] > votes[s.Language] {
			s.Language = l
		}
	}
	for i := range s.Sources {
		s.begins = append(s.begins, len(s.Units))
		s.cut(i)
	}
	s.begins = append(s.begins, len(s.Units))
	s.segment()
	s.vocabulary.weigh(s.Units)
	s.supersede()
	s.rank()
	s.drop()
	s.deepen()
	s.countNames()
	s.nameTopics()
	s.Phrases = s.phrases()
	return s
}

// head is the first n bytes of s, cut at a rune.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// Weight says how central a unit is among those of its source; units that no post would take have the least.
func (s *Survey) Weight(unit int) float64 {
	if u := s.Units[unit]; !u.outside {
		return u.score
	}
	return 0
}

// Quote is the text of a unit as it stands in its source.
func (s *Survey) Quote(unit int) string {
	u := s.Units[unit]
	return s.Sources[u.Source].Text.Content[u.Start:u.End]
}

// Avoid keeps the units out of the post that hold one of the phrases, case ignored.
func (s *Survey) Avoid(phrases []string) {
	for _, p := range phrases {
		if p = strings.ToLower(oneLine(p)); p == "" {
			continue
		}
		for i := range s.Units {
			if strings.Contains(strings.ToLower(oneLine(s.Quote(i))), p) {
				s.Units[i].outside = true
			}
		}
	}
}

// SameList tells whether a unit is an item of the same list as another.
func (s *Survey) SameList(a, b int) bool {
	x, y := s.Units[a], s.Units[b]
	return x.Kind == Item && y.Kind == Item && x.section == y.section
}

// Mark is what stands before a unit on its line: the mark of a quote or of a list item, with its number where the list goes on by one
// from item to item. before is the unit before it in the post, or -1, after the one behind it.
func (s *Survey) Mark(unit, before, after int) string {
	switch u := s.Units[unit]; {
	case s.SetsApart(unit):
		return "> "
	case u.Kind != Item:
		return ""
	case u.Number > 0 && s.counts(before, unit) && s.counts(unit, after):
		return strconv.Itoa(u.Number) + ". "
	}
	return "- "
}

// counts tells whether two units are items of which the second bears the next number, or no items of one list at all.
func (s *Survey) counts(a, b int) bool {
	return a < 0 || b < 0 || !s.SameList(a, b) || s.Units[b].Number == s.Units[a].Number+1
}

// apart is from how many words on a sentence is set apart as a quotation.
const apart = 50

// Introduces tells whether a unit announces what follows it ("There are three ways:") from a line of its own.
func (s *Survey) Introduces(unit int) bool {
	return s.Units[unit].intro && (unit == 0 || !s.SameParagraph(unit-1, unit))
}

// SetsApart tells whether a unit is shown as a block quote: one in its source, or a long sentence.
func (s *Survey) SetsApart(unit int) bool {
	u := s.Units[unit]
	return u.Kind == Quote || u.Kind == Sentence && u.Words >= s.scaled(u.Source, apart)
}

// scaled is a number of English words as so many of the source's language: Korean ones hold their particles.
func (s *Survey) scaled(source, words int) int {
	if s.Sources[source].Language == "ko" {
		return words * 6 / 10
	}
	return words
}

// SameParagraph tells whether two units come from the same paragraph.
func (s *Survey) SameParagraph(a, b int) bool {
	return s.Units[a].Source == s.Units[b].Source && s.Units[a].element == s.Units[b].element
}

// titleOf is the best name of a source for people.
func titleOf(src Source) string {
	for _, t := range []string{src.Title, src.Text.Title} {
		if t = oneLine(t); t != "" && !isDate(t) {
			return quiet(t)
		}
	}
	t := firstLine(src)
	for i, e := range src.Text.Elements {
		h := oneLine(src.Text.Content[e.Start:e.End])
		if e.Kind == extract.Heading && !isDate(h) && (i == 0 || t == "") {
			return quiet(h)
		}
	}
	if t != "" {
		return quiet(t)
	}
	name := src.Name
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		name = name[:dot]
	}
	name = strings.TrimSpace(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	return capital(name)
}

// firstLine is the first paragraph of a text when it looks like a title: one line of its own, short, and no sentence.
func firstLine(src Source) string {
	const long = 80
	if len(src.Text.Elements) < 2 || src.Markdown {
		return ""
	}
	e := src.Text.Elements[0]
	t := src.Text.Content[e.Start:e.End]
	if e.Kind != extract.Paragraph || strings.Contains(t, "\n") || len([]rune(t)) > long || isSentence(t) || strings.HasSuffix(t, ":") {
		return ""
	}
	return oneLine(t)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// quiet writes a heading that shouts with capitals at the begin of its words. One or two words may be an abbreviation, and stay.
func quiet(s string) string {
	const few = 3
	words := strings.Fields(s)
	if s != strings.ToUpper(s) || s == strings.ToLower(s) || len(words) < few {
		return s
	}
	for i, w := range words {
		if w = strings.ToLower(w); i == 0 || !slices.Contains(small, w) {
			w = capital(w)
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// small words have no capital within a title.
var small = strings.Fields("a an and as at but by for from in into of on or the to with")

// capital makes the first letter a capital.
func capital(s string) string {
	for i, r := range s {
		if i == 0 {
			return strings.ToUpper(string(r)) + s[len(string(r)):]
		}
	}
	return s
}

// cut makes the units of a source.
func (s *Survey) cut(source int) {
	src := s.Sources[source]
	c := cutter{survey: s, source: source, text: src.Text.Content, repeated: repeats(src.Text), contents: contents(src.Text), leaf: -1}
	for i, e := range src.Text.Elements {
		if e.Kind == extract.Heading {
			c.leaf = -1
			continue
		}
		if c.contents[i] {
			continue
		}
		if c.leaf < 0 || !slices.Equal(s.sections[c.leaf].path, e.HeadingPath) {
			s.sections = append(s.sections, leaf{source: source, path: e.HeadingPath})
			s.vocabulary.intern(strings.Join(e.HeadingPath, "\n"), src.Language)
			c.leaf = len(s.sections) - 1
		}
		c.element(i, e)
	}
}

// Title is a title for the post: that of its main source, or of the next one that is about a thing and not a row of notes.
func (s *Survey) Title() string {
	best := s.titling()
	if best < 0 {
		return ""
	}
	return s.unnumbered(plain(s.Titles[best], s.Sources[best].Markdown), best)
}

// titling is the source that gives the post its title, -1 when there is none.
func (s *Survey) titling() int {
	for _, i := range s.central {
		if !s.isSuperseded(i) && !loose.MatchString(s.Titles[i]) {
			return i
		}
	}
	return s.main()
}

// loose are titles of texts in which all sorts of things stand.
var loose = regexp.MustCompile(`(?i)\b(notes?|minutes|protocol|newsletter|diary|journal|log|faq|questions|q ?& ?a|e-?mail|chat|weekly|daily|agenda|handover|to-?do|draft|untitled|readme)\b|회의록|일지|소식|질문|메모|근무|대화|주간|할 일|제목 없음`)

// main is the most central source that was not superseded, -1 when there is none.
func (s *Survey) main() int {
	for _, i := range s.central {
		if !s.isSuperseded(i) {
			return i
		}
	}
	return -1
}

// SameSection tells whether two units stand in the same section of the same source.
func (s *Survey) SameSection(a, b int) bool { return s.Units[a].section == s.Units[b].section }

func (s *Survey) isSuperseded(source int) bool {
	return slices.ContainsFunc(s.Superseded, func(x Supersession) bool { return x.Source == source })
}
