package textdiff

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"byline/internal/engine/cite"
)

// Hunk replaces a stretch of a text by another. Offsets are UTF-8 bytes.
type Hunk struct {
	Start, End int // in the old text
	Old, New   string
	At         int // where New stands in the new text, all hunks applied
}

// Diff tells how a text became another: blocks that stayed are found first, then sentences, items and rows that stayed within the
// blocks that were changed. Applied all together, its hunks give the new text; they never touch each other's text, so that any of
// them can be applied without the others.
func Diff(before, after string) []Hunk {
	a, b := Blocks(before), Blocks(after)
	bodies := func(text string, blocks []Block) (list []string) {
		for _, x := range blocks {
			list = append(list, x.Body(text))
		}
		return list
	}
	same := align(bodies(before, a), bodies(after, b))
	var pairs [][2]int
	i, j := 0, 0
	for _, p := range append(same, [2]int{len(a), len(b)}) {
		pairs = append(pairs, alike(before, after, a[i:p[0]], b[j:p[1]], i, j)...)
		if p[0] < len(a) {
			pairs = append(pairs, p)
		}
		i, j = p[0]+1, p[1]+1
	}
	return walk(before, spans(a), after, spans(b), pairs)
}

// Span is a stretch of a text.
type Span struct{ Start, End int }

func spans(blocks []Block) []Span {
	list := make([]Span, len(blocks))
	for i, b := range blocks {
		list[i] = Span{b.Start, b.Stop}
	}
	return list
}

// crowd is how many blocks of a gap are compared each with each.
const crowd = 200

// alike pairs blocks of a kind that have words in common, in order.
func alike(before, after string, a, b []Block, i, j int) [][2]int {
	if len(a) == 0 || len(b) == 0 || len(a) > crowd || len(b) > crowd {
		return nil
	}
	wordsA, wordsB := make([]map[string]int, len(a)), make([]map[string]int, len(b))
	for x := range a {
		wordsA[x] = bag(a[x].Body(before))
	}
	for y := range b {
		wordsB[y] = bag(b[y].Body(after))
	}
	w := len(b) + 1
	best, near := make([]float64, (len(a)+1)*w), make([]float64, len(a)*len(b))
	for x := len(a) - 1; x >= 0; x-- {
		for y := len(b) - 1; y >= 0; y-- {
			n := 0.0
			if a[x].Kind == b[y].Kind {
				n = overlap(wordsA[x], wordsB[y])
			}
			if n < .3 {
				n = 0
			}
			near[x*len(b)+y] = n
			best[x*w+y] = max(best[(x+1)*w+y], best[x*w+y+1], best[(x+1)*w+y+1]+n)
		}
	}
	var pairs [][2]int
	for x, y := 0, 0; x < len(a) && y < len(b); {
		switch n := near[x*len(b)+y]; {
		case n > 0 && best[x*w+y] == best[(x+1)*w+y+1]+n:
			pairs = append(pairs, [2]int{i + x, j + y})
			x, y = x+1, y+1
		case best[x*w+y] == best[(x+1)*w+y]:
			x++
		default:
			y++
		}
	}
	return pairs
}

func bag(text string) map[string]int {
	words := map[string]int{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		words[w]++
	}
	return words
}

// overlap is the share of words that two bags have in common, 0 to 1.
func overlap(a, b map[string]int) float64 {
	all, both := 0, 0
	for w, n := range a {
		all += n
		both += min(n, b[w])
	}
	for _, n := range b {
		all += n
	}
	if all == 0 {
		return 0
	}
	return 2 * float64(both) / float64(all)
}

// walk makes the hunks between two texts whose stretches are paired in order.
func walk(before string, a []Span, after string, b []Span, pairs [][2]int) []Hunk {
	var hunks []Hunk
	i, j := 0, 0
	for _, p := range pairs {
		x, y := a[p[0]], b[p[1]]
		hunks = gap(hunks, before, i, x.Start, after, j, y.Start)
		hunks = append(hunks, within(before, x, after, y)...)
		i, j = x.End, y.End
	}
	return gap(hunks, before, i, len(before), after, j, len(after))
}

// gap is what stands between two pairs. White space that both begin or end with stays.
func gap(hunks []Hunk, before string, i, endI int, after string, j, endJ int) []Hunk {
	x, y := before[i:endI], after[j:endJ]
	if x == y {
		return hunks
	}
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] && isSpace(x[n]) {
		n++
	}
	x, y, i, j = x[n:], y[n:], i+n, j+n
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] && isSpace(x[len(x)-1]) {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return append(hunks, Hunk{Start: i, End: i + len(x), Old: x, New: y, At: j})
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// within compares two blocks by sentences, items and rows.
func within(before string, x Span, after string, y Span) []Hunk {
	a, b := before[x.Start:x.End], after[y.Start:y.End]
	if a == b {
		return nil
	}
	tokensA, tokensB := tokens(a), tokens(b)
	var hunks []Hunk
	i, j, ka, kb := x.Start, y.Start, 0, 0
	for _, p := range append(align(tokensA, tokensB), [2]int{len(tokensA), len(tokensB)}) {
		was, is := strings.Join(tokensA[ka:p[0]], ""), strings.Join(tokensB[kb:p[1]], "")
		if was != "" || is != "" {
			low := x.Start
			if n := len(hunks); n > 0 {
				low = hunks[n-1].End
			}
			hunks = append(hunks, slide(before, low, Hunk{Start: i, End: i + len(was), Old: was, New: is, At: j}))
		}
		i, j = i+len(was), j+len(is)
		if p[0] < len(tokensA) {
			i, j = i+len(tokensA[p[0]]), j+len(tokensB[p[1]])
		}
		ka, kb = p[0]+1, p[1]+1
	}
	return hunks
}

// slide moves what only came, or only went, to the left where the same bytes stand there, so that it begins with a line's end: an item
// goes with its mark, not with that of the next one.
func slide(before string, low int, h Hunk) Hunk {
	s := h.Old + h.New
	if h.Old != "" && h.New != "" || !strings.Contains(s, "\n") {
		return h
	}
	for n := 0; h.Start-n >= low && n < len(s); n++ {
		turned := s[len(s)-n:] + s[:len(s)-n]
		if turned[0] == '\n' {
			h.Start, h.End, h.At = h.Start-n, h.End-n, h.At-n
			if h.Old != "" {
				h.Old = turned
			} else {
				h.New = turned
			}
			return h
		}
		if h.Start-n == low || before[h.Start-n-1] != s[len(s)-n-1] {
			break
		}
	}
	return h
}

// tokens cuts a block into what it says (sentences, items, rows) and what stands between, line by line.
func tokens(block string) (list []string) {
	at := 0
	between := func(end int) {
		for line := range strings.Lines(block[at:end]) {
			body := strings.TrimRight(line, " \t\r\n")
			if body != "" {
				list = append(list, body)
			}
			if rest := line[len(body):]; rest != "" {
				list = append(list, rest)
			}
		}
		at = end
	}
	for _, c := range cite.Claims(block) {
		if c.Start < at || c.End > len(block) || c.Start == c.End {
			continue
		}
		between(c.Start)
		list = append(list, block[c.Start:c.End])
		at = c.End
	}
	between(len(block))
	return list
}

// Apply puts hunks into the text that they were made for. It refuses hunks that do not fit it, or that overlap.
func Apply(text string, hunks []Hunk) (string, error) {
	hunks = slices.Clone(hunks)
	slices.SortStableFunc(hunks, func(a, b Hunk) int { return cmp.Or(a.Start-b.Start, a.End-b.End) })
	var b strings.Builder
	at := 0
	for _, h := range hunks {
		if h.Start < at || h.End < h.Start || h.End > len(text) {
			return "", errOverlap
		}
		if text[h.Start:h.End] != h.Old {
			return "", fmt.Errorf("at %d stands %q, not %q", h.Start, text[h.Start:h.End], h.Old)
		}
		b.WriteString(text[at:h.Start])
		b.WriteString(h.New)
		at = h.End
	}
	b.WriteString(text[at:])
	return b.String(), nil
}

var errOverlap = errors.New("hunks overlap, or stand outside of the text")
