package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain reads a text without markup, as Decode gives it. Blank lines part paragraphs; headings, list items and tables are
// seen where a convention leaves no doubt: a title underlined, in capitals or numbered; a line that begins with a bullet
// or the next number; lines with the same number of tabs or bars. It takes time linear in the text.
func Plain(text string, sink Sink) error {
	p := plain{text: text}
	var previous, block block
	for at := 0; ; {
		block, at = p.next(at)
		if !previous.empty() {
			p.read(previous, block)
		}
		if block.empty() {
			break
		}
		previous = block
	}
	return Send(Info{Title: p.title}, text, p.elements, sink)
}

// span is a piece of the text without white space around it.
type span struct{ start, end int }

// block is some lines without a blank one among them.
type block struct{ lines []span }

func (b block) empty() bool { return len(b.lines) == 0 }

type plain struct {
	text     string
	title    string
	elements []Element
	spare    [2][]span // lines of the two blocks that are looked at
}

// next finds the block that begins at or behind an offset, and where it ends.
func (p *plain) next(at int) (block, int) {
	lines := p.spare[1][:0]
	p.spare[0], p.spare[1] = p.spare[1], p.spare[0]
	for at < len(p.text) {
		end := strings.IndexByte(p.text[at:], '\n')
		if end < 0 {
			end = len(p.text) - at
		}
		line := p.trim(at, at+end)
		at = min(at+end+1, len(p.text))
		if line.start < line.end {
			lines = append(lines, line)
		} else if len(lines) > 0 {
			break
		}
	}
	p.spare[0] = lines
	return block{lines}, at
}

func (p *plain) trim(start, end int) span {
	s := strings.TrimLeftFunc(p.text[start:end], unicode.IsSpace)
	start = end - len(s)
	return span{start, start + len(strings.TrimRightFunc(s, unicode.IsSpace))}
}

func (p *plain) of(s span) string { return p.text[s.start:s.end] }

func (p *plain) add(kind Kind, level int, s span) {
	p.elements = append(p.elements, Element{Kind: kind, Level: level, Start: s.start, End: s.end})
}

func (p *plain) heading(level int, s span) {
	if p.title == "" && len(p.elements) == 0 {
		p.title = p.of(s)
	}
	p.add(Heading, level, s)
}

// read takes a block apart; following is the one behind it.
func (p *plain) read(b, following block) {
	lines := b.lines
	first := p.of(lines[0])
	switch {
	case len(lines) > 1 && underlines(p.of(lines[1]), first):
		p.heading(underlineLevel(p.of(lines[1])), lines[0])
		lines = lines[2:]
	case isCapitals(first) && (len(lines) == 1 || len(p.elements) == 0):
		p.heading(1, lines[0])
		lines = lines[1:]
	case len(lines) == 1:
		if level := numbered(first); level > 1 || level == 1 && !following.empty() && !p.isItem(following.lines[0]) {
			p.heading(level, lines[0])
			return
		}
	}
	if len(lines) == 0 {
		return
	}
	if p.isTable(lines) {
		p.add(Table, 0, span{lines[0].start, lines[len(lines)-1].end})
		return
	}
	p.paragraphs(lines)
}

// paragraphs cuts lines before every list item.
func (p *plain) paragraphs(lines []span) {
	kind, at, last := Paragraph, lines[0], -1
	flush := func(end int) {
		at.end = end
		if at.start < at.end {
			if kind == Paragraph && IsCaption(p.of(at)) {
				kind = Caption
			}
			p.add(kind, 0, at)
		}
	}
	for i, line := range lines {
		width, number := marker(p.of(line))
		// A number in the middle of a paragraph may have come there by the wrapping of its lines.
		if width == 0 || number >= 0 && i > 0 && number != last+1 && number != 1 {
			continue
		}
		if i > 0 {
			flush(lines[i-1].end)
		}
		kind, last = Item, number
		at = p.trim(line.start+width, line.end)
	}
	flush(lines[len(lines)-1].end)
}

func (p *plain) isItem(line span) bool {
	width, _ := marker(p.of(line))
	return width > 0
}

// marker is the width in bytes of the bullet or number that begins a list item, with the space behind it, and its number
// (-1 for none).
func marker(line string) (width, number int) {
	r, n := utf8.DecodeRuneInString(line)
	switch r {
	case '-', '*', '+', '•', '‣', '◦', '▪', '■', '●', '○', '·', '➢', '✓':
		return spaced(line, n), -1
	}
	number = 0
	i := 0
	for i < len(line) && i < 3 && line[i] >= '0' && line[i] <= '9' {
		number = number*10 + int(line[i]-'0')
		i++
	}
	if i == 0 && len(line) > 1 && line[0] >= 'a' && line[0] <= 'z' && line[1] == ')' {
		number, i = int(line[0]-'a')+1, 1
	}
	if i > 0 && i < len(line) && (line[i] == '.' || line[i] == ')') {
		return spaced(line, i+1), number
	}
	return 0, -1
}

// spaced is n when a space and more follow there, with that space.
func spaced(line string, n int) int {
	if n+1 < len(line) && (line[n] == ' ' || line[n] == '\t') {
		return n + 1
	}
	return 0
}

const maxTitle = 100 // bytes

// underlines tells whether a line of one sign alone is there for the title above it.
func underlines(line, title string) bool {
	if len(line) < 3 || !strings.Contains("=-~", line[:1]) || strings.Trim(line, line[:1]) != "" {
		return false
	}
	n := utf8.RuneCountInString(title)
	return len(title) <= maxTitle && 2*len(line) >= n && len(line) <= 3*n+3 && HasText(title)
}

func underlineLevel(line string) int {
	if line[0] == '=' {
		return 1
	}
	return 2
}

// isCapitals tells whether a line is a title because it shouts.
func isCapitals(line string) bool {
	if len(line) > maxTitle || strings.ContainsAny(line[len(line)-1:], ".,;:!?") {
		return false
	}
	capitals := 0
	for _, r := range line {
		if unicode.IsUpper(r) {
			capitals++
		} else if unicode.IsLetter(r) {
			return false
		}
	}
	return capitals >= 4
}

// numbered is the level of a title such as "1.2 Scope", 0 when it is none.
func numbered(line string) int {
	level, i := 0, 0
	for level < 6 {
		digits := i
		for i < len(line) && i-digits < 3 && line[i] >= '0' && line[i] <= '9' {
			i++
		}
		if i == digits {
			break
		}
		level++
		if i == len(line) || line[i] != '.' {
			break
		}
		i++
	}
	if level == 0 || len(line) > maxTitle || spaced(line, i) == 0 || strings.ContainsAny(line[len(line)-1:], ".,;:") {
		return 0
	}
	title := strings.TrimLeft(line[i:], " \t")
	if r, _ := utf8.DecodeRuneInString(title); !unicode.IsLetter(r) || unicode.IsLower(r) {
		return 0
	}
	return level
}

// isTable tells whether all lines, two at least, have the same number of tabs or bars between cells.
func (p *plain) isTable(lines []span) bool {
	if len(lines) < 2 {
		return false
	}
	for _, sign := range []string{"\t", "|"} {
		n := strings.Count(p.of(lines[0]), sign)
		same := n > 0
		for _, line := range lines {
			if !same {
				break
			}
			same = strings.Count(p.of(line), sign) == n
		}
		if same {
			return true
		}
	}
	return false
}

// IsCaption tells whether a short paragraph is the title of a table or a figure: "Table 3: ...", "Abb. 2 ...", "표 1. ...".
func IsCaption(s string) bool {
	const maxCaption = 400
	if len(s) > maxCaption {
		return false
	}
	s = strings.TrimLeft(s, "*_ ")
	for _, word := range []string{"Table", "Tab.", "Figure", "Fig.", "Chart", "Listing", "Tabelle", "Abbildung", "Abb.", "Tableau", "Tabla", "Figura", "Tabela", "표", "그림", "図", "表", "图"} {
		rest, ok := strings.CutPrefix(s, word)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, " \u00A0")
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789.-"))
		digits := strings.Trim(rest[:n], ".-")
		if digits == "" || rest[0] < '0' || rest[0] > '9' {
			return false
		}
		sign, _ := utf8.DecodeRuneInString(strings.TrimLeft(rest[n:], "*_ "))
		// "Table 3 shows ..." is a sentence about a table.
		return strings.HasSuffix(rest[:n], ".") || strings.ContainsRune(":|–—-.)．：", sign) || unicode.IsUpper(sign) || unicode.Is(unicode.Lo, sign)
	}
	return false
}
