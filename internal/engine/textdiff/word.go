package textdiff

import (
	"strings"
	"unicode"
)

// Op says what becomes of a piece of a text.
type Op string

// The ops.
const (
	Equal  Op = "equal"
	Insert Op = "insert"
	Delete Op = "delete"
)

// Piece is a stretch of words with what becomes of it.
type Piece struct {
	Op   Op
	Text string
}

// Words compares two texts word by word. The pieces that are not inserted are the old text, those that are not deleted the new one.
func Words(before, after string) []Piece {
	a, b := words(before), words(after)
	var out []Piece
	put := func(op Op, text string) {
		switch n := len(out); {
		case text == "":
		case n > 0 && out[n-1].Op == op:
			out[n-1].Text += text
		default:
			out = append(out, Piece{op, text})
		}
	}
	i, j := 0, 0
	for _, p := range append(align(a, b), [2]int{len(a), len(b)}) {
		put(Delete, strings.Join(a[i:p[0]], ""))
		put(Insert, strings.Join(b[j:p[1]], ""))
		if p[0] < len(a) {
			put(Equal, a[p[0]])
		}
		i, j = p[0]+1, p[1]+1
	}
	return out
}

// words cuts a text into words, and the runs of white space and the single marks between them.
func words(text string) (list []string) {
	kind := func(r rune) int {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			return 1
		case unicode.IsSpace(r):
			return 2
		}
		return 3
	}
	from, last := 0, 0
	for i, r := range text {
		k := kind(r)
		if i > 0 && (k != last || k == 3) {
			list = append(list, text[from:i])
			from = i
		}
		last = k
	}
	if from < len(text) {
		list = append(list, text[from:])
	}
	return list
}
