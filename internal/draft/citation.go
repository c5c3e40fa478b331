package draft

import (
	"slices"
	"strings"
)

// Reanchor finds the claims of the old content in the new one. A claim that stands there word for word keeps its citation
// at its new place (of several, the one nearest to where the edit moved it); a claim whose words were changed loses it,
// because nobody has checked the new words.
func Reanchor(old []Citation, content string) []Citation {
	var kept []Citation
	taken := 0 // claims keep their order when they can: look after the last one first
	for _, c := range old {
		if c.Claim.Text == "" {
			continue
		}
		at := strings.Index(content[taken:], c.Claim.Text)
		if at >= 0 {
			at += taken
		} else if at = strings.Index(content, c.Claim.Text); at < 0 {
			continue
		}
		c.Claim.Start, c.Claim.End = at, at+len(c.Claim.Text)
		taken = max(taken, c.Claim.End)
		kept = append(kept, c)
	}
	slices.SortStableFunc(kept, func(a, b Citation) int { return a.Claim.Start - b.Claim.Start })
	return kept
}
