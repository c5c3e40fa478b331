package pdf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// edge is a line near the top or the bottom of a page.
type edge struct {
	line   int // index in the sheet
	page   int // that it is on, 1-based
	y      float32
	text   string // without its numbers
	number int    // with which it begins or ends, such as the page's; -1 is none
}

// margin is the part of a page's height in which running lines stand.
const margin = 0.08

// edgesOf gives the lines in the margins of a page.
func edgesOf(s *sheet) []edge {
	var edges []edge
	for i := range s.lines {
		l := &s.lines[i]
		if l.y1 < s.height*margin || l.y0 > s.height*(1-margin) {
			text := l.String()
			edges = append(edges, edge{line: i, page: s.number, y: l.y0, text: withoutNumbers(text), number: outerNumber(text)})
		}
	}
	return edges
}

func (l *line) String() string {
	var b strings.Builder
	for i, w := range l.words {
		if i > 0 {
			b.WriteByte(' ')
		}
		for _, r := range w.text {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func withoutNumbers(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s)), " ")
}

// outerNumber is the number that stands before or behind the rest of a line.
func outerNumber(s string) int {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return -1
	}
	for _, f := range []string{fields[0], fields[len(fields)-1]} {
		if n, err := strconv.Atoi(f); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// pageNumber tells a line that has nothing but the page's number.
var pageNumber = regexp.MustCompile(`(?i)^(page |p\. ?|seite |- ?|– ?)?(\d{1,5}|[ivxlc]{1,8})( ?(of|von|/) ?\d{1,5})?( ?[-–])?$`)

// dropRunning takes away page numbers, and the headers and footers that a neighbouring page has at the same place.
func dropRunning(s *sheet, edges, before []edge, after []sheet) {
	var drop []int
	for _, e := range edges {
		if pageNumber.MatchString(s.lines[e.line].String()) || repeated(e, before) {
			drop = append(drop, e.line)
			continue
		}
		for i := range min(len(after), 2) {
			if repeated(e, edgesOf(&after[i])) {
				drop = append(drop, e.line)
				break
			}
		}
	}
	if len(drop) == len(s.lines) && !onlyNumbers(s) { // what is left says something after all
		for i := range s.lines {
			s.lines[i].running = true
		}
		return
	}
	i := -1
	s.lines = slices.DeleteFunc(s.lines, func(line) bool {
		i++
		return slices.Contains(drop, i)
	})
}

func onlyNumbers(s *sheet) bool {
	for i := range s.lines {
		if !pageNumber.MatchString(s.lines[i].String()) {
			return false
		}
	}
	return true
}

// repeated tells a line that others have at the same height: with the same words, or with a number that counts with the
// pages.
func repeated(e edge, others []edge) bool {
	const tolerance = 2 // points
	for _, o := range others {
		if e.y-o.y > tolerance || o.y-e.y > tolerance {
			continue
		}
		if e.text == o.text && e.text != "" || e.number >= 0 && o.number >= 0 && e.number-o.number == e.page-o.page {
			return true
		}
	}
	return false
}
