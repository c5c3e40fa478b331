package textdiff

import (
	"strings"
	"unicode/utf8"
)

// Place is where a hunk stands in a text that has moved on.
type Place struct {
	Start, End int
	OK         bool // what the hunk replaces stands there, and nowhere else that it could be
}

// around is how many bytes on either side of a hunk are looked for where its text was carried elsewhere: the most first.
var around = []int{48, 16, 0}

// enough is how much of a text must be found again to know it: bytes.
const enough = 12

// Fit finds the places of hunks, made for a text base, in what has become of it. Where nobody touched what a hunk replaces, its place is
// known; a stretch that was carried elsewhere is found by its surroundings if they stand there once. All else does not fit.
func Fit(base, now string, hunks []Hunk) []Place {
	places := make([]Place, len(hunks))
	var moved []Hunk
	if base != now {
		moved = Diff(base, now)
	}
	for i, h := range hunks {
		if h.Start < 0 || h.End < h.Start || h.End > len(base) || base[h.Start:h.End] != h.Old {
			continue
		}
		if at, ok := shifted(h, moved); ok && now[at:at+len(h.Old)] == h.Old {
			places[i] = Place{at, at + len(h.Old), true}
			continue
		}
		if at, ok := search(base, now, h); ok {
			places[i] = Place{at, at + len(h.Old), true}
		}
	}
	return places
}

// shifted moves a hunk along with changes that do not touch what it replaces.
func shifted(h Hunk, moved []Hunk) (int, bool) {
	at := h.Start
	for _, m := range moved {
		switch {
		case m.End < h.Start, m.End == h.Start && h.Old != "":
			at += len(m.New) - len(m.Old)
		case m.Start > h.End, m.Start == h.End && h.Old != "":
		default:
			return 0, false
		}
	}
	return at, true
}

// search finds what a hunk replaces by its surroundings: as much of them as stands once in either text.
func search(base, now string, h Hunk) (int, bool) {
	for _, n := range around {
		from, to := max(h.Start-n, 0), min(h.End+n, len(base))
		for from < h.Start && !utf8.RuneStart(base[from]) {
			from++
		}
		for to > h.End && to < len(base) && !utf8.RuneStart(base[to]) {
			to--
		}
		text := base[from:to]
		if len(strings.TrimSpace(text)) < enough || h.Old == "" && (from == h.Start || to == h.End) {
			continue
		}
		if at := strings.Index(now, text); at >= 0 && once(now, text) && once(base, text) {
			return at + h.Start - from, true
		}
	}
	return 0, false
}

func once(s, text string) bool {
	at := strings.Index(s, text)
	return at >= 0 && !strings.Contains(s[at+1:], text)
}
