package summarize

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/extract"
)

// bullet is the mark of a list that an extractor left in front of an item.
var bullet = regexp.MustCompile(`^(?:[•‣◦▪■●○·➢✓✔□❖*–—-][ \t\x{00a0}]+)+`)

// contents are the elements that are lines of a table of contents or an index: rows of lines that end with the number of a page, which
// never falls.
func contents(t extract.Text) map[int]bool {
	const few = 3
	out := map[int]bool{}
	var row []int
	last, steps := 0, 0
	flush := func() {
		if len(row) >= few && steps >= 1 {
			for _, i := range row {
				out[i] = true
			}
		}
		row, last, steps = row[:0], 0, 0
	}
	for i, e := range t.Elements {
		text := t.Content[e.Start:e.End]
		pages := pageNumbers(text)
		if len(pages) == 0 || e.Kind == extract.Code || pages[0] < last {
			flush()
		}
		if len(pages) == 0 || e.Kind == extract.Code {
			continue
		}
		for _, p := range pages {
			if p > last && last > 0 {
				steps++
			}
			last = p
		}
		row = append(row, i)
		if e.Kind != extract.Heading && len(t.Pages) > 0 && inIndex(t, i) {
			out[i] = true
		}
		if leaders := strings.Count(text, "....") + strings.Count(text, ". . . ."); leaders > 0 {
			out[i] = true
		}
		if e.Kind != extract.Heading && len(pages) >= few && steps >= 1 { // all lines in one paragraph
			out[i] = true
		}
	}
	flush()
	return out
}

// inIndex tells whether an element stands among lines that end with numbers of pages, as those of an index do.
func inIndex(t extract.Text, i int) bool {
	const near, most = 3, 4
	n := 0
	for j := max(0, i-near); j <= min(len(t.Elements)-1, i+near); j++ {
		e := t.Elements[j]
		for _, p := range pageNumbers(t.Content[e.Start:e.End]) {
			if p <= len(t.Pages)+most {
				n++
			}
		}
	}
	return n >= most
}

var pageLine = regexp.MustCompile(`^\D.*?[\pL)\]?!"'”’][ .\x{2026}\t]+(\d{1,4})$|^\d+(?:\.\d+)*\.?[ \t]+\pL.*?[ .\x{2026}\t](\d{1,4})$`)

// pageNumbers are the numbers at the ends of all lines of a text, when each of them has one and none falls.
func pageNumbers(text string) []int {
	const many, long = 200, 160
	if strings.Count(text, "\n") > many {
		return nil
	}
	var out []int
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if len(line) > long {
			return nil
		}
		m := pageLine.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		n := number(m[1] + m[2])
		if len(out) > 0 && n < out[len(out)-1] {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// broken tells an item whose begin or end is missing: cut off at the end of a page, or a scrap of code.
func broken(s string) bool {
	if strings.Count(s, "(") != strings.Count(s, ")") || strings.Count(s, "[") != strings.Count(s, "]") {
		return true
	}
	words := strings.Fields(s)
	const some = 3
	return len(words) >= some && dangling[strings.ToLower(words[len(words)-1])] || pageOnly.MatchString(s)
}

// dangling words end no item.
var dangling = wordSet(`a an the of and or to be for in on at with from by as is are was were that which not than its their this these if when should must can may will`)

// pageOnly is a pointer to another page.
var pageOnly = regexp.MustCompile(`(?i)^\W*[^.!?]{0,80}\W,? (page|p\.) ?\d+[.,;]?$|^see (page|p\.) \d+`)

// isColumns tells a table of plain text whose columns are kept apart by several spaces: all lines but a few have two cells or more, which
// begin where others do.
func isColumns(text string) bool {
	const few, most = 3, 60
	lines := strings.Split(text, "\n")
	if len(lines) < few || len(lines) > most {
		return false
	}
	begins := map[int]int{}
	wide := 0
	for _, line := range lines {
		cols := columns(line)
		if len(cols) < 2 {
			continue
		}
		wide++
		for _, c := range cols[1:] {
			begins[c]++
		}
	}
	most1 := 0
	for _, n := range begins {
		most1 = max(most1, n)
	}
	return wide == len(lines) && 4*most1 >= 3*wide
}

// columns are where the cells of a line begin, in runes.
func columns(line string) []int {
	var out []int
	at, gap := 0, 2
	for _, r := range line {
		switch {
		case r == ' ':
			gap++
		case r == '\t':
			gap += 2
		default:
			if gap >= 2 {
				out = append(out, at)
			}
			gap = 0
		}
		at++
	}
	return out
}

// sectioned gives a text without headings those that it has all the same: short lines of their own that are no sentence, or ask a
// question, with something below them. A text that has headings stays as it is.
func sectioned(t extract.Text) extract.Text {
	const few = 2
	t = undated(t)
	var at []int
	for i, e := range t.Elements {
		if e.Kind == extract.Heading && i > 0 {
			return t
		}
		if i+1 < len(t.Elements) && t.Elements[i+1].Kind != extract.Heading && isSideHeading(t, i) {
			at = append(at, i)
		}
	}
	if len(at) < few {
		return t
	}
	elements := make([]extract.Element, len(t.Elements))
	copy(elements, t.Elements)
	for _, i := range at {
		elements[i].Kind, elements[i].Level = extract.Heading, 2
	}
	var path []string
	var top []string
	for i := range elements {
		e := &elements[i]
		switch {
		case e.Kind == extract.Heading && e.Level == 2:
			e.HeadingPath = top
			path = append(top[:len(top):len(top)], t.Content[e.Start:e.End])
		case e.Kind == extract.Heading:
			top = append(e.HeadingPath[:len(e.HeadingPath):len(e.HeadingPath)], t.Content[e.Start:e.End])
			path = top
		default:
			if path != nil {
				e.HeadingPath = path
			}
		}
	}
	t.Elements = elements
	return t
}

// undated makes plain lines of headings that are nothing but a date.
func undated(t extract.Text) extract.Text {
	dates := map[string]bool{}
	elements := t.Elements
	for i, e := range t.Elements {
		if s := t.Content[e.Start:e.End]; e.Kind == extract.Heading && isDate(s) {
			if len(dates) == 0 {
				elements = slices.Clone(t.Elements)
			}
			dates[s] = true
			elements[i].Kind, elements[i].Level = extract.Paragraph, 0
		}
	}
	if len(dates) == 0 {
		return t
	}
	for i, e := range elements {
		if slices.ContainsFunc(e.HeadingPath, func(h string) bool { return dates[h] }) {
			elements[i].HeadingPath = slices.DeleteFunc(slices.Clone(e.HeadingPath), func(h string) bool { return dates[h] })
		}
	}
	t.Elements = elements
	return t
}

var dateWords = regexp.MustCompile(`(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|tues|wed|wednes|thu|thurs|fri|sat|satur|sun)(uary|ruary|ch|il|e|y|ust|t|tember|ober|ember|day)?\b|[년월일화수목금토요()]|\b(st|nd|rd|th|of)\b`)

// isDate tells a text that is a date and nothing else.
func isDate(s string) bool {
	return firstDate(s) > 0 && !strings.ContainsFunc(dateWords.ReplaceAllString(s, ""), unicode.IsLetter)
}

// isSideHeading tells whether an element is a line that heads what follows.
func isSideHeading(t extract.Text, i int) bool {
	const long, manyRunes = 10, 70
	e := t.Elements[i]
	s := t.Content[e.Start:e.End]
	if e.Kind != extract.Paragraph || strings.Contains(s, "\n") || utf8.RuneCountInString(s) > manyRunes || len(strings.Fields(s)) > long || isBoilerplate(s) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	if unicode.IsLower(first) || !unicode.IsLetter(first) && !unicode.IsDigit(first) || firstDate(s) > 0 || len(columns(s)) > 1 {
		return false
	}
	last, _ := utf8.DecodeLastRuneInString(s)
	if last == '?' || last == '？' {
		return true
	}
	return i > 0 && (unicode.IsLetter(last) || unicode.IsDigit(last) || last == ')') && (!isSentence(s) || !strings.Contains(s, " ") && unicode.In(last, unicode.Hangul)) && t.Content[t.Elements[i-1].End:e.Start] != "\n"
}

// Heading numbers ("2.1", "IV.", "제3장") say nothing outside of their source.
var (
	sectionNumber = regexp.MustCompile(`^(?:(?:\d{1,2}\.)+\d{0,2}\.?|\d{1,2}\)|[IVX]{1,5}\.|[A-Z]\.|제\s?\d{1,3}\s?[장절조편]\.?|(?:Chapter|Section|Part|Appendix) [\dA-Z]{1,3}[.:]?)\s+`)
	bareNumber    = regexp.MustCompile(`^\d{1,2}\s+`)
)

// countNumbers notes the sources whose headings bear bare numbers ("3 Utilities"): at least two do, and they rise.
func countNumbers(t extract.Text) bool {
	const few = 2
	last, rising := 0, 0
	for _, e := range t.Elements {
		if e.Kind != extract.Heading {
			continue
		}
		if m := bareNumber.FindString(t.Content[e.Start:e.End]); m != "" {
			if n := number(strings.TrimSpace(m)); n == last+1 {
				rising++
				last = n
			}
		}
	}
	return rising >= few
}

// unnumbered is a heading without its number.
func (s *Survey) unnumbered(title string, source int) string {
	out := sectionNumber.ReplaceAllString(title, "")
	if out == title && s.numbered[source] {
		out = bareNumber.ReplaceAllString(title, "")
	}
	if out == "" {
		return title
	}
	return capital(out)
}
