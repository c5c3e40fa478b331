package agent

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
	"byline/internal/engine/textdiff"
	"byline/internal/ident"
	"byline/internal/runs"
)

// doCheck is the node that makes hunks of the draft as it is to be, and leaves out of them what is not found in the sources.
func (x *refining) doCheck(ctx context.Context) (string, []runs.NewEvent, error) {
	x.state.ID = ident.New()
	hunks := x.hunks()
	var fresh []*claim
	for i := range hunks {
		for k := range hunks[i].New.Claims {
			if c := &hunks[i].New.Claims[k]; !c.Kept {
				fresh = append(fresh, c)
			}
		}
	}
	if err := x.judgeAll(ctx, fresh); err != nil {
		return "", nil, err
	}
	var events []runs.NewEvent
	var gone, flagged []string
	var kept []piecing
	for _, h := range hunks {
		removed := false
		for k := len(h.New.Claims) - 1; k >= 0; k-- {
			c := h.New.Claims[k]
			switch {
			case c.Kept || !c.bad() || x.authors(c.Text):
			case x.writer.Flag:
				flagged = append(flagged, c.Text)
			default:
				gone = append(gone, c.Text)
				h.New.remove(k)
				removed = true
			}
		}
		if removed && len(cite.Claims(h.New.Text)) == 0 || h.New.Text == h.Old {
			continue // what stood there is better than nothing, or than a heading over nothing
		}
		h.New.name()
		for _, c := range h.New.Claims {
			if len(c.Spans) > 0 && !c.Kept {
				events = append(events, runs.NewEvent{Type: runs.EventVerified, Data: verified{c.ID, c.Verdict.Label, c.Verdict.Score, c.Verdict.Reasons}})
			}
		}
		kept = append(kept, h)
	}
	x.state.Hunks = kept
	slices.Reverse(gone)
	slices.Reverse(flagged)
	if len(gone) > 0 {
		events = append(events, notice("unsupported_cut", "%d sentence(s) that were not found in the sources were left out of the change: %s", len(gone), clip(strings.Join(gone, " "), 1000)))
	}
	if len(flagged) > 0 {
		events = append(events, notice("unsupported", "%d sentence(s) of the change are not found in the sources: %s", len(flagged), clip(strings.Join(flagged, " "), 1000)))
	}
	x.noted(events)
	return nodePropose, events, nil
}

// authors tells whether a sentence is the author's own: it stands in what was asked for.
func (x *refining) authors(text string) bool {
	plain := strings.Trim(strings.TrimSpace(markdown.PlainText(text)), ".!?。 ")
	return utf8.RuneCountInString(plain) > 7 && strings.Contains(strings.ToLower(x.wish.Feedback), strings.ToLower(plain))
}

// hunks compares the draft as it is to be with the base version, and gives each hunk its claims.
func (x *refining) hunks() (list []piecing) {
	slots := make([]textdiff.Slot, len(x.state.Slots))
	for i, s := range x.state.Slots {
		slots[i] = textdiff.Slot{Block: s.Block, Text: s.Text}
	}
	after, at, hunks := textdiff.Arrange(x.base.Content, x.blocks, slots)
	claims := x.claims(at)
	for i := range hunks {
		low, high := 0, len(x.base.Content)
		if i > 0 {
			low = hunks[i-1].End
		}
		if i+1 < len(hunks) {
			high = hunks[i+1].Start
		}
		h := widen(x.base.Content, hunks[i], claims, low, high)
		hunks[i] = h
		p := piecing{Start: h.Start, End: h.End, Old: h.Old, New: writing{Text: after[h.At : h.At+len(h.New)]}}
		for _, c := range claims {
			if c.Start >= h.At && c.Start+len(c.Text) <= h.At+len(h.New) {
				c.Start -= h.At
				p.New.Claims = append(p.New.Claims, c)
			}
		}
		list = append(list, p)
	}
	return list
}

// claims are those of the draft as it is to be, in order: of changed blocks as they were found, of the others as they are cited.
func (x *refining) claims(at []int) (list []claim) {
	for i, s := range x.state.Slots {
		if s.Text != "" {
			for _, c := range s.Claims {
				c.Start += at[i]
				list = append(list, c)
			}
			continue
		}
		b := x.blocks[s.Block]
		for _, c := range x.base.Citations {
			if c.Claim.Start >= b.Start && c.Claim.End <= b.Stop {
				list = append(list, claim{Start: c.Claim.Start - b.Start + at[i], Text: x.base.Content[c.Claim.Start:c.Claim.End], Spans: c.Spans, Verdict: c.Verdict, Kept: true})
			}
		}
	}
	return list
}

// widen lets a hunk take in the whole of a claim that it changes a part of, as far as its neighbours leave room. What it takes in stands
// alike in both texts.
func widen(before string, h textdiff.Hunk, claims []claim, low, high int) textdiff.Hunk {
	for _, c := range claims {
		from, to := c.Start, c.Start+len(c.Text)
		if to <= h.At || from >= h.At+len(h.New) {
			continue
		}
		if n := min(max(h.At-from, 0), h.Start-low); n > 0 {
			more := before[h.Start-n : h.Start]
			h.Start, h.At, h.Old, h.New = h.Start-n, h.At-n, more+h.Old, more+h.New
		}
		if n := min(max(to-h.At-len(h.New), 0), high-h.End); n > 0 {
			more := before[h.End : h.End+n]
			h.End, h.Old, h.New = h.End+n, h.Old+more, h.New+more
		}
	}
	return h
}

// keep finds the sentences of a changed block that the base version has word for word: they keep their citations. All else that is claimed
// of the text is in found.
func (x *refining) keep(text string, found []claim) []claim {
	var list []claim
	for _, c := range draft.Reanchor(x.base.Citations, text) {
		if !whole(text, c.Claim.Start, c.Claim.End) || len(list) > 0 && c.Claim.Start < list[len(list)-1].Start+len(list[len(list)-1].Text) {
			continue
		}
		list = append(list, claim{Start: c.Claim.Start, Text: c.Claim.Text, Spans: c.Spans, Verdict: c.Verdict, Kept: true})
	}
	for _, c := range found {
		if !slices.ContainsFunc(list, func(k claim) bool { return c.Start < k.Start+len(k.Text) && k.Start < c.Start+len(c.Text) }) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b claim) int { return a.Start - b.Start })
	return list
}

// whole tells whether a stretch of a text begins and ends where words do.
func whole(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	behind, _ := utf8.DecodeRuneInString(text[end:])
	last, _ := utf8.DecodeLastRuneInString(text[start:end])
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return !word(before) && !(word(behind) && word(last))
}
