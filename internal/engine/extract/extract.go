// Package extract is what every extractor makes from a document's bytes: one normalised text with the elements, pages and words found in it.
package extract

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Kind says what an element is.
type Kind string

// The kinds of elements.
const (
	Heading   Kind = "heading"
	Paragraph Kind = "para"
	Item      Kind = "item" // of a list
	Table     Kind = "table"
	Caption   Kind = "caption"
	Code      Kind = "code"
)

// Element is a piece of the text that hangs together. Elements are in text order and do not overlap.
type Element struct {
	Kind        Kind     `json:"kind"`
	Level       int      `json:"level,omitempty"`        // of a heading, 1 (outermost) to 6
	HeadingPath []string `json:"heading_path,omitempty"` // the headings above it, outermost first, itself left out
	Start       int      `json:"start"`                  // UTF-8 byte offsets in the text
	End         int      `json:"end"`
	Page        int      `json:"page,omitempty"` // 1-based; 0 where the format has no pages
}

// Word is a word of a page and where it stands, in points (1/72 inch) from the top left corner of the visible page.
type Word struct {
	Start, End     int // UTF-8 byte offsets in the text
	X0, Y0, X1, Y1 float32
}

// Page is one page of a paged format.
type Page struct {
	Number        int     // 1-based
	Start, End    int     // UTF-8 byte offsets in the text
	Width, Height float32 // points
	Words         []Word
	Problem       string // why its text is missing or doubtful (bad_page, no_text, bad_unicode_map); empty when it is good
}

// Part is what an extractor gives at a time: one page, or a piece of a format without pages.
// Its offsets count from the start of its own Text; a Stitcher shifts them into the document.
type Part struct {
	Text     string // NFC, line ends \n, ends with \n\n unless empty
	Elements []Element
	Page     *Page // nil for formats without pages
}

// Info is what is known of a document before its parts.
type Info struct {
	Title     string    // from the document's own metadata; often empty
	Author    string    `json:",omitempty"` // likewise
	Published time.Time `json:",omitzero"`  // likewise; often zero
	Pages     int       // 0 where the format has no pages
}

// Sink takes an extractor's output in document order: Begin once, then each part.
// An error of the sink ends the extraction and is returned by it.
type Sink interface {
	Begin(Info) error
	Part(Part) error
}

// Text is a whole extracted document. It is immutable once it is stored: positions in it are citations' anchors.
type Text struct {
	Info
	Content  string
	Elements []Element
	Pages    []Page
}

// Stitcher shifts parts, in their order, into the document: their offsets count from its start then, and every element has
// the headings above it (which may stand in an earlier part). The zero value is ready.
type Stitcher struct {
	at     int // bytes of text so far
	open   []heading
	titles []string // of open; shared by the elements below them, so it is replaced and never changed
}

type heading struct {
	level int
	title string
}

// Shift gives p as a piece of the document. p is not changed.
func (s *Stitcher) Shift(p Part) Part {
	base := s.at
	s.at += len(p.Text)
	elements := make([]Element, len(p.Elements))
	for i, e := range p.Elements {
		if e.Kind == Heading {
			s.close(e.Level)
		}
		e.HeadingPath = s.titles
		if e.Kind == Heading {
			s.open = append(s.open, heading{e.Level, p.Text[e.Start:e.End]})
			s.titles = append(slices.Clip(s.titles), p.Text[e.Start:e.End])
		}
		e.Start, e.End = e.Start+base, e.End+base
		elements[i] = e
	}
	p.Elements = elements
	if p.Page != nil {
		pg := *p.Page
		pg.Start, pg.End = base, s.at
		pg.Words = make([]Word, len(p.Page.Words))
		for i, w := range p.Page.Words {
			w.Start, w.End = w.Start+base, w.End+base
			pg.Words[i] = w
		}
		p.Page = &pg
	}
	return p
}

// close ends the sections of a level and below.
func (s *Stitcher) close(level int) {
	n := len(s.open)
	for n > 0 && s.open[n-1].level >= level {
		n--
	}
	s.open = s.open[:n]
	if s.titles = s.titles[:n]; n == 0 {
		s.titles = nil
	}
}

// Collector is a Sink that puts the parts of a document together in memory. The zero value is ready.
type Collector struct {
	stitcher Stitcher
	info     Info
	text     []byte
	elements []Element
	pages    []Page
}

// Begin takes what is known before the parts.
func (c *Collector) Begin(i Info) error {
	c.info = i
	return nil
}

// Part appends p.
func (c *Collector) Part(p Part) error {
	p = c.stitcher.Shift(p)
	c.text = append(c.text, p.Text...)
	c.elements = append(c.elements, p.Elements...)
	if p.Page != nil {
		c.pages = append(c.pages, *p.Page)
	}
	return nil
}

// Text is the document put together so far.
func (c *Collector) Text() Text {
	return Text{Info: c.info, Content: string(c.text), Elements: c.elements, Pages: c.pages}
}

// HasText tells whether there is anything to read in s: a letter or a digit.
func HasText(s string) bool {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return true
		}
	}
	return false
}

// partBytes is about how much text Send gives at a time.
const partBytes = 256 << 10

// Send gives the text of a format without pages to the sink, in parts that are cut before an element and behind a blank
// line. The text is normalised already (Decode), its elements are in order; it gets the two line ends that close a part.
func Send(info Info, text string, elements []Element, sink Sink) error {
	if err := sink.Begin(info); err != nil {
		return err
	}
	body := strings.TrimRight(text, "\n")
	if body == "" {
		return nil
	}
	if text = text[:min(len(body)+2, len(text))]; len(text) < len(body)+2 {
		text = body + "\n\n"
	}
	start, first := 0, 0
	send := func(end, next int) error {
		own := make([]Element, next-first)
		for i, e := range elements[first:next] {
			e.Start, e.End = e.Start-start, e.End-start
			own[i] = e
		}
		p := Part{Text: text[start:end], Elements: own}
		start, first = end, next
		return sink.Part(p)
	}
	for i, e := range elements {
		if e.Start-start < partBytes {
			continue
		}
		// What stands between the blank line and the element is its marker.
		line := strings.LastIndexByte(text[start:e.Start], '\n') + 1 + start
		if i == 0 || line < elements[i-1].End || !strings.HasSuffix(text[start:line], "\n\n") {
			continue
		}
		if err := send(line, i); err != nil {
			return err
		}
	}
	return send(len(text), len(elements))
}
