package textdiff

import (
	"slices"
	"strings"
	"unicode"
)

// cells is how large a table of alignments may be; what is larger is cut at tokens that stand once on either side.
const cells = 4 << 20

// align pairs equal tokens of two lists in order, so that as much text as possible is paired.
func align(a, b []string) [][2]int {
	var pairs [][2]int
	alignAt(a, b, 0, 0, &pairs)
	return pairs
}

func alignAt(a, b []string, i, j int, pairs *[][2]int) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		*pairs = append(*pairs, [2]int{i, j})
		a, b, i, j = a[1:], b[1:], i+1, j+1
	}
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	endA, endB := len(a)-n, len(b)-n
	switch {
	case endA == 0 || endB == 0:
	case endA*endB <= cells:
		table(a[:endA], b[:endB], i, j, pairs)
	default:
		patience(a[:endA], b[:endB], i, j, pairs)
	}
	for k := range n {
		*pairs = append(*pairs, [2]int{i + endA + k, j + endB + k})
	}
}

// weight prefers words to white space and marks.
func weight(token string) int32 {
	if strings.ContainsFunc(token, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return int32(min(len(token), 1<<16)) + 2
	}
	return 1
}

// table is the heaviest common subsequence.
func table(a, b []string, i, j int, pairs *[][2]int) {
	w := len(b) + 1
	best := make([]int32, (len(a)+1)*w)
	for x := len(a) - 1; x >= 0; x-- {
		for y := len(b) - 1; y >= 0; y-- {
			most := max(best[(x+1)*w+y], best[x*w+y+1])
			if a[x] == b[y] {
				most = max(most, best[(x+1)*w+y+1]+weight(a[x]))
			}
			best[x*w+y] = most
		}
	}
	for x, y := 0, 0; x < len(a) && y < len(b); {
		switch here := best[x*w+y]; {
		case a[x] == b[y] && here == best[(x+1)*w+y+1]+weight(a[x]):
			*pairs = append(*pairs, [2]int{i + x, j + y})
			x, y = x+1, y+1
		case here == best[(x+1)*w+y]:
			x++
		default:
			y++
		}
	}
}

// patience pairs what stands once on either side, and goes on between.
func patience(a, b []string, i, j int, pairs *[][2]int) {
	once := func(list []string) map[string]int {
		at := map[string]int{}
		for k, s := range list {
			if _, ok := at[s]; ok {
				at[s] = -1
				continue
			}
			at[s] = k
		}
		return at
	}
	inA, inB := once(a), once(b)
	var xs, ys []int
	for x, s := range a {
		if y, ok := inB[s]; ok && y >= 0 && inA[s] == x {
			xs, ys = append(xs, x), append(ys, y)
		}
	}
	fromA, fromB := 0, 0
	for _, k := range rising(ys) {
		x, y := xs[k], ys[k]
		if x < fromA || y < fromB { // a run of equal tokens was longer
			continue
		}
		if (x-fromA)*(y-fromB) <= cells {
			alignAt(a[fromA:x], b[fromB:y], i+fromA, j+fromB, pairs)
		}
		*pairs = append(*pairs, [2]int{i + x, j + y})
		fromA, fromB = x+1, y+1
	}
	if (len(a)-fromA)*(len(b)-fromB) <= cells {
		alignAt(a[fromA:], b[fromB:], i+fromA, j+fromB, pairs)
	}
}

// rising gives the places of a longest rising subsequence of different numbers.
func rising(list []int) []int {
	var tails []int // places; their numbers rise
	before := make([]int, len(list))
	for k, v := range list {
		n, _ := slices.BinarySearchFunc(tails, v, func(place, v int) int { return list[place] - v })
		before[k] = -1
		if n > 0 {
			before[k] = tails[n-1]
		}
		if n == len(tails) {
			tails = append(tails, k)
		} else {
			tails[n] = k
		}
	}
	var out []int
	if len(tails) > 0 {
		for k := tails[len(tails)-1]; k >= 0; k = before[k] {
			out = append(out, k)
		}
	}
	slices.Reverse(out)
	return out
}
