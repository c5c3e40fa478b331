package draft

import (
	"slices"
	"strings"
	"unicode"

	"byline/internal/engine/cite"
)

// Reanchor finds the claims of the old content in the new one. A claim that stands there word for word keeps its citation
// at its new place (of several, the next free one behind the claim before it); a claim whose words were changed loses it,
// because nobody has checked the new words.
func Reanchor(old []Citation, content string) []Citation {
	kept, _ := reanchor(old, "", content)
	return kept
}

// reanchor is Reanchor and gives the citations that were lost too. With the text as it was, a claim that has become a part of a
// longer one counts as changed.
func reanchor(old []Citation, was, content string) (kept, lost []Citation) {
	var claims []cite.Claim
	if was != "" {
		claims = cite.Claims(content)
	}
	var used []Claim
	find := func(c Citation, from int) int {
		for from <= len(content) {
			at := strings.Index(content[from:], c.Claim.Text)
			if at < 0 {
				return -1
			}
			at += from
			end := at + len(c.Claim.Text)
			same := func(u Claim) bool { return u.Start == at && u.End == end }
			if !slices.ContainsFunc(used, same) && whole(claims, was, content, c.Claim, at, end) {
				return at
			}
			from = at + 1
		}
		return -1
	}
	taken := 0 // claims keep their order when they can: look after the last one first
	for _, c := range old {
		if c.Claim.Text == "" {
			continue
		}
		at := find(c, taken)
		if at < 0 {
			at = find(c, 0)
		}
		if at < 0 {
			lost = append(lost, c)
			continue
		}
		c.Claim.Start, c.Claim.End = at, at+len(c.Claim.Text)
		taken = max(taken, c.Claim.End)
		used = append(used, c.Claim)
		kept = append(kept, c)
	}
	slices.SortStableFunc(kept, func(a, b Citation) int { return a.Claim.Start - b.Claim.Start })
	return kept, lost
}

// whole tells whether the words at start:end are all of their claims, or what stands beside them there stood there before.
func whole(claims []cite.Claim, was, content string, old Claim, start, end int) bool {
	i, _ := slices.BinarySearchFunc(claims, start, func(c cite.Claim, at int) int {
		if c.End <= at {
			return -1
		}
		return 1
	})
	for ; i < len(claims) && claims[i].Start < end; i++ {
		c := claims[i]
		before, after := content[c.Start:max(c.Start, start)], content[min(c.End, end):c.End]
		if says(before) && !strings.HasSuffix(was[:min(old.Start, len(was))], before) || says(after) && !strings.HasPrefix(was[min(old.End, len(was)):], after) {
			return false
		}
	}
	return true
}

func says(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// alike is from which share of common words on a claim is taken for a changed form of another one.
const alike = .5

// carry gives the citations of an edited text: claims that stand word for word keep theirs; a claim that was changed is checked
// anew against the places that it had, and keeps them unless they say nothing of it any more.
func carry(old []Citation, was, content string) []Citation {
	kept, lost := reanchor(old, was, content)
	if len(lost) == 0 {
		return kept
	}
	var free []cite.Claim
	for _, c := range cite.Claims(content) {
		if !covered(kept, c) {
			free = append(free, c)
		}
	}
	for _, c := range lost {
		best, top := -1, alike
		for i, f := range free {
			if share := dice(c.Claim.Text, f.Text); share > top {
				best, top = i, share
			}
		}
		if best < 0 {
			continue
		}
		f := free[best]
		v := Verify(f.Text, c.Spans, cite.Options{})
		if v.Label == Unsupported {
			continue
		}
		free = slices.Delete(free, best, best+1)
		c.Claim, c.Verdict = Claim{f.Start, f.End, f.Text}, v
		kept = append(kept, c)
	}
	slices.SortStableFunc(kept, func(a, b Citation) int { return a.Claim.Start - b.Claim.Start })
	return kept
}

// dice is the share of words that two texts have in common.
func dice(a, b string) float64 {
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	x, y := words(a), words(b)
	if len(x)+len(y) == 0 {
		return 0
	}
	count := map[string]int{}
	for _, w := range x {
		count[w]++
	}
	n := 0
	for _, w := range y {
		if count[w] > 0 {
			count[w]--
			n++
		}
	}
	return 2 * float64(n) / float64(len(x)+len(y))
}
