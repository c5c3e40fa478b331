package agent

import (
	"slices"
	"strings"
)

// splice puts a text with its claims in the place of a claim.
func (w *writing) splice(i int, text string, claims []claim) {
	c := w.Claims[i]
	w.change(c.Start, c.Start+len(c.Text), text)
	w.Claims = slices.Delete(slices.Clone(w.Claims), i, i+1)
	for k := range claims {
		claims[k].Start += c.Start
	}
	w.Claims = slices.Insert(w.Claims, i, claims...)
}

// remove takes a claim out: its line where it is an item or a row, and its paragraph where nothing else stands in it.
func (w *writing) remove(i int) {
	c := w.Claims[i]
	from, to := c.Start, c.Start+len(c.Text)
	line, end := strings.LastIndexByte(w.Text[:from], '\n')+1, len(w.Text)
	if k := strings.IndexByte(w.Text[to:], '\n'); k >= 0 {
		end = to + k
	}
	before, behind := strings.Trim(w.Text[line:from], " \t>|-*+0123456789.)"), strings.Trim(w.Text[to:end], " \t|.;,")
	switch {
	case before == "" && behind == "": // it is the whole line
		from, to = line, min(end+1, len(w.Text))
		if strings.HasSuffix(w.Text[:from], "\n\n") && strings.HasPrefix(w.Text[to:], "\n") {
			to++ // the paragraph is gone: one blank line is enough
		}
	case behind == "": // at the end of a line
		from = line + len(strings.TrimRight(w.Text[line:from], " "))
	default:
		for to < len(w.Text) && w.Text[to] == ' ' {
			to++
		}
	}
	w.change(from, to, "")
	w.Claims = slices.Delete(slices.Clone(w.Claims), i, i+1)
}

// change replaces a stretch of the text; claims behind it move along.
func (w *writing) change(from, to int, text string) {
	w.Text = w.Text[:from] + text + w.Text[to:]
	w.Claims = slices.Clone(w.Claims)
	for i := range w.Claims {
		if w.Claims[i].Start >= to {
			w.Claims[i].Start += len(text) - (to - from)
		}
	}
}
