// Package chunk cuts a document's text into passages: stretches that can be found, read and cited alone.
package chunk

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"byline/internal/engine/extract"
)

// Passage is a stretch of a text. Content[Start:End] is its text.
type Passage struct {
	Start, End       int // UTF-8 byte offsets
	PageFrom, PageTo int // 1-based; 0 where there are no pages
	HeadingPath      []string
	Hash             string // the text's SHA-256 in hex
}

// The sizes of passages, in estimated tokens.
const (
	target  = 256
	most    = 400
	fewest  = 64
	overlap = 60 // of the sentence that two passages of a section share, at most
)

// Passages cuts structure first: a passage never crosses a heading. Within a section, sentences, items, code and tables are
// packed up to about 256 tokens, and two passages share one sentence where it is short. Every letter of every element is in a
// passage.
func Passages(t extract.Text) []Passage {
	c := cutter{text: t.Content, pages: t.Pages}
	var pieces []piece
	for i, e := range t.Elements {
		// A heading is in the path of what follows; one without anything behind it is a passage of its own.
		if e.Kind == extract.Heading {
			c.section(pieces)
			pieces = nil
			if i+1 == len(t.Elements) || t.Elements[i+1].Kind == extract.Heading {
				c.section([]piece{c.piece(e, e.Start, e.End)})
			}
			continue
		}
		if len(pieces) > 0 && !slices.Equal(pieces[0].path, e.HeadingPath) {
			c.section(pieces)
			pieces = nil
		}
		pieces = c.split(pieces, e)
	}
	c.section(pieces)
	return c.out
}

// piece is what is packed: a sentence, an item, a row group, a line of code.
type piece struct {
	start, end int
	tokens     int
	path       []string
	kind       extract.Kind
}

type cutter struct {
	text  string
	pages []extract.Page
	page  int // index of the page where the last passage began
	out   []Passage
}

func (c *cutter) piece(e extract.Element, start, end int) piece {
	return piece{start, end, EstimateTokens(c.text[start:end]), e.HeadingPath, e.Kind}
}

// split adds an element's pieces.
func (c *cutter) split(pieces []piece, e extract.Element) []piece {
	text := c.text[e.Start:e.End]
	whole := c.piece(e, e.Start, e.End)
	if whole.tokens <= most/4 && e.Kind != extract.Paragraph || whole.tokens <= fewest/2 {
		return append(pieces, whole)
	}
	var parts []Span
	switch e.Kind {
	case extract.Table, extract.Code:
		parts = lines(text)
	default:
		parts = Sentences(text)
	}
	for _, s := range parts {
		p := c.piece(e, e.Start+s.Start, e.Start+s.End)
		if p.tokens <= most {
			pieces = append(pieces, p)
			continue
		}
		for _, h := range hard(c.text[p.start:p.end]) {
			pieces = append(pieces, c.piece(e, p.start+h.Start, p.start+h.End))
		}
	}
	return pieces
}

// section packs the pieces of one section.
func (c *cutter) section(pieces []piece) {
	for len(pieces) > 0 {
		n, tokens := 1, pieces[0].tokens
		for n < len(pieces) && tokens+pieces[n].tokens <= most && (tokens < target || rest(pieces[n:]) < fewest) {
			tokens += pieces[n].tokens
			n++
		}
		c.emit(pieces[:n])
		if n == len(pieces) {
			return
		}
		if last := pieces[n-1]; n > 1 && last.kind == extract.Paragraph && last.tokens <= overlap {
			n--
		}
		pieces = pieces[n:]
	}
}

// rest is how many tokens are left, counted as far as it matters.
func rest(pieces []piece) int {
	sum := 0
	for _, p := range pieces {
		if sum += p.tokens; sum >= fewest {
			break
		}
	}
	return sum
}

func (c *cutter) emit(pieces []piece) {
	p := Passage{Start: pieces[0].start, End: pieces[len(pieces)-1].end, HeadingPath: pieces[0].path}
	sum := sha256.Sum256([]byte(c.text[p.Start:p.End]))
	p.Hash = hex.EncodeToString(sum[:])
	for c.page < len(c.pages) && c.pages[c.page].End <= p.Start {
		c.page++
	}
	if c.page < len(c.pages) {
		p.PageFrom, p.PageTo = c.pages[c.page].Number, c.pages[c.page].Number
		for i := c.page; i < len(c.pages) && c.pages[i].Start < p.End; i++ {
			p.PageTo = c.pages[i].Number
		}
	}
	c.out = append(c.out, p)
}

// lines are the lines of a text without their ends.
func lines(s string) []Span {
	var out []Span
	for at := 0; at < len(s); {
		end := len(s)
		if i := strings.IndexByte(s[at:], '\n'); i >= 0 {
			end = at + i
		}
		if strings.TrimSpace(s[at:end]) != "" {
			out = append(out, Span{at, end})
		}
		at = end + 1
	}
	return out
}
