package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"github.com/clipperhouse/uax29/v2/words"

	"byline/internal/engine/extract"
)

// cut makes the units of an element.
func (p *packer) cut(e extract.Element) {
	p.units = p.units[:0]
	text := p.text[e.Start:e.End]
	switch e.Kind {
	case extract.Table, extract.Code:
		if tokens := EstimateTokens(text); tokens <= Max && len(text) <= maxBytes {
			p.add(e.Start, e.End, tokens, false)
			return
		}
		at := e.Start
		for line := range strings.Lines(text) {
			p.split(at, at+len(line), false)
			at += len(line)
		}
	case extract.Heading:
		p.split(e.Start, e.End, false)
	default:
		for at := 0; ; {
			var s Span
			if s, at = next(text, at); s.Start == s.End {
				return
			}
			p.split(e.Start+s.Start, e.Start+s.End, true)
		}
	}
}

// add makes a unit of what is left without white space around it.
func (p *packer) add(start, end, tokens int, prose bool) {
	s := strings.TrimLeftFunc(p.text[start:end], unicode.IsSpace)
	start = end - len(s)
	end = start + len(strings.TrimRightFunc(s, unicode.IsSpace))
	if start < end {
		p.units = append(p.units, unit{start, end, tokens, prose})
	}
}

// split makes one unit of a piece, or several of about Target tokens when it is larger than a passage: between words,
// and within words that are as large themselves.
func (p *packer) split(start, end int, prose bool) {
	text := p.text[start:end]
	tokens := EstimateTokens(text)
	if tokens <= Max && len(text) <= maxBytes {
		p.add(start, end, tokens, prose)
		return
	}
	f := filler{p: p, start: start, at: start}
	for it := words.FromString(text); it.Next(); {
		word := it.Value()
		if fits(word) {
			f.take(word)
			continue
		}
		for it := graphemes.FromString(word); it.Next(); {
			if character := it.Value(); fits(character) {
				f.take(character)
			} else {
				f.runes(character)
			}
		}
	}
	f.flush()
}

// maxPiece bounds the pieces of a split, in bytes.
const maxPiece = maxBytes / 4

func fits(s string) bool { return len(s) <= maxPiece && EstimateTokens(s) <= Target }

// filler puts words together to pieces of about Target tokens.
type filler struct {
	p         *packer
	start, at int
	tokens    int
}

func (f *filler) take(s string) {
	tokens := EstimateTokens(s)
	if f.tokens+tokens > Target || f.at+len(s)-f.start > maxPiece {
		f.flush()
	}
	f.at += len(s)
	f.tokens += tokens
}

// runes takes one character of more marks than a passage may have.
func (f *filler) runes(s string) {
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		f.take(s[:n])
		s = s[n:]
	}
}

func (f *filler) flush() {
	if f.start < f.at {
		f.p.add(f.start, f.at, EstimateTokens(f.p.text[f.start:f.at]), false)
	}
	f.start, f.tokens = f.at, 0
}
