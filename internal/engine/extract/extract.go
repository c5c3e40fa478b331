// Package extract is what every extractor makes from a document's bytes: one normalised text with the elements, pages and words found in it.
package extract

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

// Collector is a Sink that puts the parts together: it shifts their offsets into the document,
// and gives every element the headings above it (which may stand on an earlier part).
// The zero value is ready.
type Collector struct {
	info     Info
	text     []byte
	elements []Element
	pages    []Page
	path     []heading
}

type heading struct {
	level int
	title string
}

// Begin takes what is known before the parts.
func (c *Collector) Begin(i Info) error {
	c.info = i
	return nil
}

// Part appends p.
func (c *Collector) Part(p Part) error {
	base := len(c.text)
	c.text = append(c.text, p.Text...)
	for _, e := range p.Elements {
		if e.Kind == Heading {
			for len(c.path) > 0 && c.path[len(c.path)-1].level >= e.Level {
				c.path = c.path[:len(c.path)-1]
			}
		}
		e.HeadingPath = c.titles()
		if e.Kind == Heading {
			c.path = append(c.path, heading{e.Level, p.Text[e.Start:e.End]})
		}
		e.Start, e.End = e.Start+base, e.End+base
		c.elements = append(c.elements, e)
	}
	if p.Page != nil {
		pg := *p.Page
		pg.Start, pg.End = base, len(c.text)
		pg.Words = make([]Word, len(p.Page.Words))
		for i, w := range p.Page.Words {
			w.Start, w.End = w.Start+base, w.End+base
			pg.Words[i] = w
		}
		c.pages = append(c.pages, pg)
	}
	return nil
}

func (c *Collector) titles() []string {
	if len(c.path) == 0 {
		return nil
	}
	t := make([]string, len(c.path))
	for i, h := range c.path {
		t[i] = h.title
	}
	return t
}

// Text is the document put together so far.
func (c *Collector) Text() Text {
	return Text{Info: c.info, Content: string(c.text), Elements: c.elements, Pages: c.pages}
}
