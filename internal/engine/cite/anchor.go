package cite

import (
	"strings"

	"byline/internal/engine/chunk"
)

// Anchor is a place of a text with enough of its surroundings to find it again when the text was extracted anew.
type Anchor struct {
	Start, End    int // UTF-8 byte offsets
	Quote         string
	Before, After string // what stands next to it, up to around bytes each
}

// around is how much context an anchor keeps on each side, in bytes.
const around = 32

// At makes the anchor of text[start:end].
func At(text string, start, end int) Anchor {
	from, to := max(0, start-around), min(len(text), end+around)
	for from < start && !border(text, from) {
		from++
	}
	for to > end && !border(text, to) {
		to--
	}
	return Anchor{Start: start, End: end, Quote: text[start:end], Before: text[from:start], After: text[end:to]}
}

// border tells whether a rune begins at i.
func border(text string, i int) bool { return i >= len(text) || text[i]&0xc0 != 0x80 }

// How says how an anchor was found again.
type How string

// The ways, from the surest to none.
const (
	Same    How = "same"    // at its offsets
	Moved   How = "moved"   // word for word at another place
	Context How = "context" // its surroundings are there, with other words between them
	Fuzzy   How = "fuzzy"   // a sentence there has most of its words
	Lost    How = "lost"
)

// Find looks for an anchor in another text. Only Same and Moved still quote the source; of several places the one whose
// surroundings agree most is taken, then the nearest. Context and Fuzzy give the place to look at, for a person to decide.
func Find(text string, a Anchor) (start, end int, how How) {
	if a.Quote == "" {
		return 0, 0, Lost
	}
	if a.Start >= 0 && a.Start <= len(text) && strings.HasPrefix(text[a.Start:], a.Quote) {
		return a.Start, a.Start + len(a.Quote), Same
	}
	best, bestScore := -1, -1
	for from := 0; ; {
		i := strings.Index(text[from:], a.Quote)
		if i < 0 {
			break
		}
		at := from + i
		score := commonSuffix(text[:at], a.Before) + commonPrefix(text[at+len(a.Quote):], a.After)
		if score > bestScore || score == bestScore && distance(at, a.Start) < distance(best, a.Start) {
			best, bestScore = at, score
		}
		from = at + len(a.Quote)
	}
	if best >= 0 {
		return best, best + len(a.Quote), Moved
	}
	if start, end, how = between(text, a); how != Lost {
		return start, end, how
	}
	return fuzzy(text, a)
}

// mostWords is the share of words, of both, that a sentence and a quote must have in common to be taken for each other.
const mostWords = .7

// fuzzy looks for the sentence that has most words in common with the quote.
func fuzzy(text string, a Anchor) (start, end int, how How) {
	want, how := map[string]int{}, Lost
	total := 0
	for _, w := range scan(a.Quote) {
		want[w.s]++
		total++
	}
	if total < 3 {
		return 0, 0, Lost
	}
	top := 0.0
	for _, s := range chunk.Sentences(text) {
		words := scan(text[s.Start:s.End])
		has, n := map[string]int{}, 0
		for _, w := range words {
			if has[w.s]++; has[w.s] <= want[w.s] {
				n++
			}
		}
		if share := 2 * float64(n) / float64(total+len(words)); share >= mostWords && share > top {
			start, end, how, top = s.Start, s.End, Fuzzy, share
		}
	}
	return start, end, how
}

// between looks for the surroundings of an anchor with about as much text between them as there was.
func between(text string, a Anchor) (start, end int, how How) {
	if a.Before == "" || a.After == "" {
		return 0, 0, Lost
	}
	i := strings.Index(text, a.Before)
	if i < 0 {
		return 0, 0, Lost
	}
	start = i + len(a.Before)
	reach := min(len(text), start+2*len(a.Quote)+around+len(a.After))
	n := strings.Index(text[start:reach], a.After)
	if n <= 0 {
		return 0, 0, Lost
	}
	return start, start + n, Context
}

func distance(a, b int) int { return max(a-b, b-a) }

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func commonSuffix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
