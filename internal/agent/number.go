package agent

import (
	"fmt"
	"slices"
	"strings"

	"byline/internal/draft"
)

// Numbered is an answer with the numbers of its sources in the text, for readers who see nothing but text: "... dates from 1987. [1]".
type Numbered struct {
	Text    string
	Sources []draft.Span // [1] is the first; a passage has one number, with its first quote
	Marks   []NumberMark // in the order of the text
}

// NumberMark is where a number stands in a numbered text.
type NumberMark struct {
	Start, End int // UTF-8 byte offsets of "[1]"
	Source     int // index in Numbered.Sources
	Citation   draft.Citation
	Span       draft.Span
}

// Numbered puts the numbers of the sources behind each claim.
func (a Answered) Numbered() Numbered {
	var n Numbered
	var b strings.Builder
	at := 0
	for _, c := range a.Citations {
		end := c.Claim.End
		if text := a.Answer[:end]; strings.HasSuffix(text, "|") { // a row of a table ends with its bar
			end--
			end = len(strings.TrimRight(text[:end], " "))
		}
		if end < at || end > len(a.Answer) {
			continue
		}
		b.WriteString(a.Answer[at:end])
		at = end
		before := -1
		for _, s := range c.Spans {
			k := slices.IndexFunc(n.Sources, func(o draft.Span) bool { return o.PassageID == s.PassageID })
			if k < 0 {
				k = len(n.Sources)
				n.Sources = append(n.Sources, s)
			}
			if k == before {
				continue
			}
			if before < 0 {
				b.WriteByte(' ')
			}
			before = k
			start := b.Len()
			fmt.Fprintf(&b, "[%d]", k+1)
			n.Marks = append(n.Marks, NumberMark{start, b.Len(), k, c, s})
		}
	}
	b.WriteString(a.Answer[at:])
	n.Text = b.String()
	return n
}
