package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain finds the elements of plain text: paragraphs between blank lines, list items, and headings by the conventions that
// are safe: underlined, numbered, or a short line in capitals, each between blank lines.
func Plain(text string, sink Sink) error {
	p := plainText{text: text}
	if len(text) > 0 && !strings.HasSuffix(text, "\n") {
		p.text += "\n"
	}
	for start := 0; start < len(p.text); {
		end, next := block(p.text, start)
		if end > start {
			p.block(start, end)
		}
		start = next
	}
	if err := sink.Begin(Info{Title: p.title}); err != nil {
		return err
	}
	return sink.Part(Part{Text: p.text, Elements: p.elements})
}

type plainText struct {
	text     string
	title    string
	elements []Element
}

// block finds the lines from start on up to a blank one. next is where to go on.
func block(text string, start int) (end, next int) {
	end = start
	for at := start; at < len(text); {
		nl := at + strings.IndexByte(text[at:], '\n')
		if strings.TrimSpace(text[at:nl]) == "" {
			return end, nl + 1
		}
		end, at = nl, nl+1
	}
	return end, len(text)
}

// longHeading is from which length on a line is no heading, in characters.
const longHeading = 80

func (p *plainText) block(start, end int) {
	first, rest, several := strings.Cut(p.text[start:end], "\n")
	title := strings.TrimSpace(first)
	at := start + strings.Index(first, title)
	switch {
	case several && isUnderline(rest) && utf8.RuneCountInString(title) <= longHeading:
		level := 2
		if strings.HasPrefix(strings.TrimSpace(rest), "=") {
			level = 1
		}
		p.heading(at, at+len(title), level)
	case !several && isPlainHeading(title):
		p.heading(at, at+len(title), numberLevel(title))
	default:
		p.lines(start, end)
	}
}

func (p *plainText) heading(start, end, level int) {
	if p.title == "" {
		p.title = p.text[start:end]
	}
	p.elements = append(p.elements, Element{Kind: Heading, Level: level, Start: start, End: end})
}

// lines cuts a block where list items begin; the rest of it is one paragraph.
func (p *plainText) lines(start, end int) {
	kind, from := Paragraph, start
	emit := func(to int) {
		s := p.text[from:to]
		lead := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
		if t := strings.TrimSpace(s); t != "" {
			p.elements = append(p.elements, Element{Kind: kind, Start: from + lead, End: from + lead + len(t)})
		}
	}
	for at := start; at < end; {
		nl := end
		if i := strings.IndexByte(p.text[at:end], '\n'); i >= 0 {
			nl = at + i
		}
		if n := marker(p.text[at:nl]); n > 0 {
			emit(at)
			kind, from = Item, at+n
		}
		at = nl + 1
	}
	emit(end)
}

// marker is the length of a list item's mark at the beginning of a line, 0 when there is none.
func marker(line string) int {
	trimmed := strings.TrimLeft(line, " \t")
	indent := len(line) - len(trimmed)
	for _, m := range []string{"- ", "* ", "+ ", "• ", "– ", "· "} {
		if strings.HasPrefix(trimmed, m) {
			return indent + len(m)
		}
	}
	digits := 0
	for digits < len(trimmed) && trimmed[digits] >= '0' && trimmed[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits <= 3 && len(trimmed) > digits+1 && (trimmed[digits] == '.' || trimmed[digits] == ')') && trimmed[digits+1] == ' ' {
		return indent + digits + 2
	}
	return 0
}

func isUnderline(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) >= 3 && (strings.Trim(s, "=") == "" || strings.Trim(s, "-") == "")
}

// isPlainHeading tells a line that stands alone and is a title: short, no end of a sentence, and numbered ("2.1 Costs") or in
// capitals.
func isPlainHeading(line string) bool {
	n := utf8.RuneCountInString(line)
	if n < 3 || n > longHeading || strings.ContainsAny(line[len(line)-1:], ".,;:!?") {
		return false
	}
	if numberLevel(line) > 0 && sections(line) > 0 {
		return true
	}
	upper, lower := 0, 0
	for _, r := range line {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	return upper >= 3 && lower == 0
}

// sections counts the numbers of "2.1 Costs"; 0 when the line does not begin so.
func sections(line string) int {
	number, rest, ok := strings.Cut(line, " ")
	if !ok || strings.TrimSpace(rest) == "" || !unicode.IsUpper([]rune(strings.TrimSpace(rest))[0]) {
		return 0
	}
	parts := strings.Split(strings.TrimSuffix(number, "."), ".")
	for _, p := range parts {
		if p == "" || len(p) > 2 || strings.Trim(p, "0123456789") != "" {
			return 0
		}
	}
	return len(parts)
}

func numberLevel(line string) int { return min(6, max(1, sections(line))) }
