// Package extract is what every extractor makes from a document's bytes: one normalised text with the elements, pages and words found in it.
package extract

import (
	"strings"
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

// Part is what an extractor gives at a time: one page, or the whole of a format without pages.
// Its offsets count from the start of its own Text; Collect and the ingest room shift them into the document.
type Part struct {
	Text     string // NFC, line ends \n, ends with \n\n unless empty
	Elements []Element
	Page     *Page // nil for formats without pages
}

// Info is what is known of a document before its parts.
type Info struct {
	Title string // from the document's own metadata; often empty
	Pages int    // 0 where the format has no pages
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

// Stitcher puts parts one behind the other: it shifts their offsets into the document, and gives every element the headings
// above it (which may stand on an earlier part). The zero value is ready.
type Stitcher struct {
	at   int
	path []heading
}

type heading struct {
	level int
	title string
}

// Shift gives p with offsets of the document. The slices of p are changed in place.
func (s *Stitcher) Shift(p Part) Part {
	for i := range p.Elements {
		e := &p.Elements[i]
		if e.Kind == Heading {
			for len(s.path) > 0 && s.path[len(s.path)-1].level >= e.Level {
				s.path = s.path[:len(s.path)-1]
			}
		}
		e.HeadingPath = s.titles()
		if e.Kind == Heading {
			s.path = append(s.path, heading{e.Level, p.Text[e.Start:e.End]})
		}
		e.Start, e.End = e.Start+s.at, e.End+s.at
	}
	if p.Page != nil {
		p.Page.Start, p.Page.End = s.at, s.at+len(p.Text)
		for i := range p.Page.Words {
			w := &p.Page.Words[i]
			w.Start, w.End = w.Start+s.at, w.End+s.at
		}
	}
	s.at += len(p.Text)
	return p
}

func (s *Stitcher) titles() []string {
	if len(s.path) == 0 {
		return nil
	}
	t := make([]string, len(s.path))
	for i, h := range s.path {
		t[i] = h.title
	}
	return t
}

// Collector is a Sink that keeps everything. The zero value is ready.
type Collector struct {
	stitch   Stitcher
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
	p = c.stitch.Shift(p)
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

// HasText tells whether there is a letter or digit in it: whitespace, rules and bullets are no text.
func HasText(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}
