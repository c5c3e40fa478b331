package pdf

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// edge is a line near the top or the bottom of a page, by what it says without its numbers.
type edge struct {
	line int // index in the sheet
	y    float32
	text string
}

// margin is the part of a page's height in which running lines stand.
const margin = 0.1

// edgesOf gives the lines in the margins of a page.
func edgesOf(s *sheet) []edge {
	var edges []edge
	for i := range s.lines {
		l := &s.lines[i]
		if l.y1 < s.height*margin || l.y0 > s.height*(1-margin) {
			edges = append(edges, edge{line: i, y: l.y0, text: withoutNumbers(l.String())})
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
	if len(drop) == 0 || len(drop) == len(s.lines) && !onlyNumbers(s) {
		return // a page of nothing but edges says something after all
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

func repeated(e edge, others []edge) bool {
	const tolerance = 2 // points
	for _, o := range others {
		if e.text == o.text && e.text != "" && e.y-o.y < tolerance && o.y-e.y < tolerance {
			return true
		}
	}
	return false
}
