// Package chunk cuts an extracted text into passages, the pieces that a search finds, and into sentences.
package chunk

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"byline/internal/engine/extract"
)

// Sizes of a passage, in tokens as EstimateTokens counts them.
const (
	Target = 256 // what sentences are packed to
	Max    = 400 // what no passage exceeds
	Min    = 64  // what the rest of a section is joined to the passage before it for
)

const (
	roomy      = 320     // up to which a passage takes the rest of a paragraph in
	half       = 128     // from which on a passage ends rather than cut a paragraph
	maxOverlap = 48      // of the sentence that two passages share
	maxBytes   = 8 << 10 // of a passage, whatever its tokens
	maxGap     = 128     // bytes between elements, which are nobody's: more of them part passages
)

// Passage is a contiguous piece of a text.
type Passage struct {
	Text        string // Content[Start:End]
	Start, End  int    // UTF-8 byte offsets in the text
	PageFrom    int    // 1-based; 0 where there are no pages
	PageTo      int
	HeadingPath []string // the headings above what it says, outermost first; one that it begins with is among them
	From, To    int      // its elements are Elements[From:To]; a sentence shared with the passage before counts
	Hash        string   // of Text: its SHA-256 in hex
}

// Passages cuts a text. See All.
func Passages(t extract.Text) []Passage { return slices.Collect(All(t)) }

// All cuts a text into passages in order, one after the other.
//
// The text's structure comes first: a heading begins a passage, with the headings that stand directly above it; tables and
// code stay whole up to Max tokens, else they are cut between lines; a page is not mixed with the one before it if that
// leaves Min tokens. Within that, sentences are packed to about Target tokens, whole paragraphs where they fit. Passages of
// one section share a sentence. Only what has no sentence end within Max tokens is cut between words, or between characters
// where there are no words. Every rune of every element that is not white space is in a passage. It takes time linear in the
// text, and the same text always gives the same passages.
func All(t extract.Text) iter.Seq[Passage] {
	return func(yield func(Passage) bool) {
		p := packer{text: t.Content, elements: t.Elements, yield: yield}
		if len(t.Elements) == 0 {
			p.elements = []extract.Element{{Kind: extract.Paragraph, End: len(t.Content)}}
			p.bare = true
		}
		at := 0
		for i, e := range p.elements {
			if e.Start < at || e.End <= e.Start || e.End > len(t.Content) {
				continue // not as an extractor should give it
			}
			if at = e.End; !p.element(i) {
				return
			}
		}
		p.endSection()
	}
}

// unit is what is not cut further: a sentence, a line, a whole table.
type unit struct {
	start, end int
	tokens     int
	prose      bool // a sentence, which may be shared
}

// draft is a passage in the making.
type draft struct {
	start, end int
	tokens     int // with those between elements
	fresh      int // of tokens, those not shared with the passage before
	from, to   int // elements
	units      int
	last       unit
	lastFrom   int  // element of last
	titles     bool // it has nothing but headings
}

// packer fills one passage at a time. The one before it in the same section waits, so that a short rest can be joined to it.
type packer struct {
	text     string
	elements []extract.Element
	yield    func(Passage) bool
	bare     bool // elements are made up
	stopped  bool
	units    []unit // of the element at hand
	open     draft
	waiting  draft
}

// element packs the element i, and tells whether to go on.
func (p *packer) element(i int) bool {
	e := p.elements[i]
	p.cut(e)
	if len(p.units) == 0 {
		return !p.stopped
	}
	total := 0
	for _, u := range p.units {
		total += u.tokens
	}
	p.border(e, total)
	p.open.titles = e.Kind == extract.Heading && (p.open.units == 0 || p.open.titles)
	for _, u := range p.units {
		p.unit(i, u, total)
		total -= u.tokens
	}
	return !p.stopped
}

// border ends the open passage where the structure says so, before an element of so many tokens.
func (p *packer) border(e extract.Element, tokens int) {
	if p.open.units == 0 {
		return
	}
	last := p.elements[p.open.to-1]
	size := p.open.tokens
	switch {
	case p.units[0].start-p.open.end > maxGap, e.Kind == extract.Heading && !p.open.titles:
		p.endSection()
	case e.Page != last.Page && size >= Min && !p.open.titles:
		p.close(!ended(p.text[p.open.last.start:p.open.last.end]))
	case size >= Target, size >= half && size+tokens > roomy:
		p.close(true)
	}
}

// ended tells whether a sentence has its end.
func ended(s string) bool {
	s = strings.TrimRight(s, `)]}"'*_`+"`”’»›」』）】 ")
	r, _ := utf8.DecodeLastRuneInString(s)
	return strengthOf(r) != none || r == ':'
}

// unit packs one unit of the element i, of which so many tokens are left, its own with them.
func (p *packer) unit(i int, u unit, left int) {
	if d := &p.open; d.units > 0 {
		gap := p.gap(u)
		switch size := d.tokens + gap; {
		case u.end-d.start > maxBytes, size+u.tokens > Max:
			p.close(false)
		case size+left <= roomy, size+u.tokens <= Target, size < Min:
		default:
			p.close(true)
		}
	}
	// The shared sentence must not make it too large.
	if d := &p.open; d.units > 0 && d.fresh == 0 && (u.end-d.start > maxBytes || d.tokens+p.gap(u)+u.tokens > Max) {
		p.open = draft{titles: d.titles}
	}
	d := &p.open
	cost := u.tokens
	if d.units == 0 {
		d.start, d.from = u.start, i
	} else {
		cost += p.gap(u)
	}
	d.tokens += cost
	d.fresh += cost
	d.units++
	d.end, d.to = u.end, i+1
	d.last, d.lastFrom = u, i
	d.titles = d.titles && p.elements[i].Kind == extract.Heading
}

// gap is the tokens between the open passage and a unit.
func (p *packer) gap(u unit) int { return EstimateTokens(p.text[p.open.end:u.start]) }

// close ends the open passage within its section. With share, the next one begins with its last sentence.
func (p *packer) close(share bool) {
	if p.open.units == 0 {
		return
	}
	p.emit(p.waiting)
	d := p.open
	p.waiting, p.open = d, draft{}
	if share && d.units > 1 && d.fresh > d.last.tokens && d.last.prose && d.last.tokens <= maxOverlap {
		p.open = draft{start: d.last.start, end: d.last.end, tokens: d.last.tokens, from: d.lastFrom, to: d.to, units: 1, last: d.last, lastFrom: d.lastFrom}
	}
}

// endSection ends the open passage for good.
func (p *packer) endSection() {
	w, d := p.waiting, p.open
	switch {
	case d.fresh == 0:
		p.emit(w)
	case w.units > 0 && d.fresh < Min && w.tokens+EstimateTokens(p.text[w.end:d.end]) <= Max && d.end-w.start <= maxBytes:
		w.end, w.to, w.titles = d.end, d.to, w.titles && d.titles
		p.emit(w)
	default:
		p.emit(w)
		p.emit(d)
	}
	p.waiting, p.open = draft{}, draft{}
}

func (p *packer) emit(d draft) {
	if d.units == 0 || p.stopped {
		return
	}
	text := p.text[d.start:d.end]
	sum := sha256.Sum256([]byte(text))
	out := Passage{Text: text, Start: d.start, End: d.end, Hash: hex.EncodeToString(sum[:])}
	if !p.bare {
		first, last := p.elements[d.from], p.elements[d.to-1]
		out.From, out.To = d.from, d.to
		out.PageFrom, out.PageTo = first.Page, max(first.Page, last.Page)
		out.HeadingPath = last.HeadingPath
	}
	p.stopped = !p.yield(out)
}
