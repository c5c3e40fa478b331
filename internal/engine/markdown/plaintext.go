package markdown

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/extract"
)

// PlainText is what a reader of the rendered Markdown would see as words: one line for every block, without markup, HTML,
// addresses of links and marks of footnotes. It takes time linear in its input.
func PlainText(source string) string {
	r := &reader{source: source}
	r.blocks(parse(source))
	var b strings.Builder
	for i, e := range r.elements {
		if i > 0 {
			b.WriteByte('\n')
		}
		s := source[e.Start:e.End]
		switch e.Kind {
		case extract.Code:
			b.WriteString(s)
		case extract.Table:
			b.WriteString(tableText(s))
		default:
			b.WriteString(inlineText(s))
		}
	}
	return b.String()
}

// tableText is a line for every row, with two spaces between its cells.
func tableText(s string) string {
	if hasFold(s, "<table") {
		return strings.Join(strings.Fields(html.UnescapeString(outsideTags(s))), " ")
	}
	var rows []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(strings.TrimLeft(line, "> \t"))
		if delimiters(line) > 0 {
			continue
		}
		line = strings.ReplaceAll(inBars(line), `\|`, "\x00")
		var row []string
		for cell := range strings.SplitSeq(line, "|") {
			row = append(row, inlineText(strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|"))))
		}
		rows = append(rows, strings.Join(row, "  "))
	}
	return strings.Join(rows, "\n")
}

// inline strips the markup within a block. It pairs marks in one pass and deletes them afterwards, so that hostile input
// costs no more than any other; where it differs from CommonMark, it keeps a mark too many.
type inline struct {
	source   string
	out      []byte
	brackets []bracket
	marks    map[byte][]mark // open emphasis by sign
	dropped  []bool          // of out
	noCode   map[int]bool    // lengths of runs of backticks that have no end
}

// bracket is an open [ or ![ in out.
type bracket struct {
	at    int
	width int
}

// mark is a run of signs in out that may open emphasis; the last n are left.
type mark struct{ at, n int }

const (
	maxTag  = 2000 // bytes of a tag or an address in <>
	maxLink = 4000 // bytes of a link's address and title
)

func inlineText(s string) string {
	p := &inline{source: s, out: make([]byte, 0, len(s))}
	for i := 0; i < len(s); {
		i = p.step(i)
	}
	var b strings.Builder
	b.Grow(len(p.out))
	gap := false
	for i, c := range p.out {
		if i < len(p.dropped) && p.dropped[i] {
			continue
		}
		if c == ' ' || c == '\n' || c == '\t' {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteByte(c)
	}
	return b.String()
}

// step takes what stands at i and tells where to go on.
func (p *inline) step(i int) int {
	s := p.source
	switch c := s[i]; c {
	case '\\':
		if i+1 < len(s) && isPunct(s[i+1]) {
			p.out = append(p.out, s[i+1])
			return i + 2
		}
	case '\n':
		p.out = append(p.out, ' ')
		return i + 1 + len(s[i+1:]) - len(strings.TrimLeft(s[i+1:], "> \t")) // the marks of a quote
	case '`':
		return p.code(i)
	case '<':
		if n := p.tag(i); n > 0 {
			return i + n
		}
	case '&':
		if end := strings.IndexByte(s[i:min(len(s), i+32)], ';'); end > 0 {
			p.out = append(p.out, strings.ReplaceAll(html.UnescapeString(s[i:i+end+1]), "\x00", "")...)
			return i + end + 1
		}
	case '!', '[':
		if n := p.open(i); n > 0 {
			return i + n
		}
	case ']':
		if n := p.closeBracket(i); n > 0 {
			return i + n
		}
	case '*', '_', '~':
		return p.emphasis(i)
	}
	p.out = append(p.out, s[i])
	return i + 1
}

func isPunct(c byte) bool {
	return c >= '!' && c <= '/' || c >= ':' && c <= '@' || c >= '[' && c <= '`' || c >= '{' && c <= '~'
}

// code takes a code span as it is.
func (p *inline) code(i int) int {
	s := p.source
	n := runOf(s[i:], '`')
	if !p.noCode[n] {
		for at := i + n; at < len(s); {
			next := strings.IndexByte(s[at:], '`')
			if next < 0 {
				break
			}
			at += next
			m := runOf(s[at:], '`')
			if m == n {
				p.out = append(p.out, s[i+n:at]...)
				return at + m
			}
			at += m
		}
		if p.noCode == nil {
			p.noCode = map[int]bool{}
		}
		p.noCode[n] = true
	}
	p.out = append(p.out, s[i:i+n]...)
	return i + n
}

func runOf(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

// tag leaves HTML out, and gives an address in <> without them. 0: it is neither.
func (p *inline) tag(i int) int {
	s := p.source[i:min(len(p.source), i+maxTag)]
	if strings.HasPrefix(s, "<!--") {
		if end := strings.Index(s, "-->"); end > 0 {
			return end + 3
		}
		return 0
	}
	if len(s) < 3 || !isLetter(s[1]) && s[1] != '/' {
		return 0
	}
	end := strings.IndexByte(s, '>')
	if end < 0 || strings.IndexByte(s[1:end], '<') >= 0 {
		return 0
	}
	inner := s[1:end]
	if strings.ContainsAny(inner, ":@") && !strings.ContainsAny(inner, " \n\t\"") {
		p.out = append(p.out, inner...)
	}
	return end + 1
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// open notes a bracket, and leaves out the mark of a footnote.
func (p *inline) open(i int) int {
	s := p.source[i:]
	n := 1
	if s[0] == '!' {
		if len(s) < 2 || s[1] != '[' {
			return 0
		}
		n = 2
	}
	if strings.HasPrefix(s, "[^") {
		const maxLabel = 100
		if end := strings.IndexByte(s[:min(len(s), maxLabel)], ']'); end > 2 && !strings.ContainsAny(s[2:end], " \n[") {
			return end + 1
		}
	}
	p.brackets = append(p.brackets, bracket{len(p.out), n})
	p.out = append(p.out, s[:n]...)
	return n
}

// closeBracket ends the text of a link and leaves its address out. 0: it is no link.
func (p *inline) closeBracket(i int) int {
	if len(p.brackets) == 0 {
		return 0
	}
	b := p.brackets[len(p.brackets)-1]
	p.brackets = p.brackets[:len(p.brackets)-1]
	n := target(p.source[i+1 : min(len(p.source), i+1+maxLink)])
	if n == 0 {
		return 0
	}
	p.drop(b.at, b.width)
	return n + 1
}

// target is the width of (address "title") or [label] at the start of s, 0 when there is none.
func target(s string) int {
	const maxParens = 32
	if s == "" {
		return 0
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || strings.IndexByte(s[1:end], '[') >= 0 {
			return 0
		}
		return end + 1
	}
	if s[0] != '(' {
		return 0
	}
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			if depth++; depth > maxParens {
				return 0
			}
		case c == ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

func (p *inline) drop(at, n int) {
	if grow := at + n - len(p.dropped); grow > 0 {
		p.dropped = append(p.dropped, make([]bool, grow)...)
	}
	for i := at; i < at+n; i++ {
		p.dropped[i] = true
	}
}

// emphasis pairs a run of * _ or ~ with an open one.
func (p *inline) emphasis(i int) int {
	s := p.source
	c := s[i]
	n := runOf(s[i:], c)
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+n:])
	opens, closes := flanks(i, before, i+n < len(s), after)
	if c == '_' && isWord(before) && isWord(after) {
		opens, closes = false, false
	}
	if c == '~' && n > 2 {
		opens, closes = false, false
	}
	at, left := len(p.out), n
	p.out = append(p.out, s[i:i+n]...)
	for closes && left > 0 && len(p.marks[c]) > 0 {
		top := &p.marks[c][len(p.marks[c])-1]
		m := min(top.n, left)
		top.n -= m
		p.drop(top.at+top.n, m)
		p.drop(at+n-left, m)
		if left -= m; top.n == 0 {
			p.marks[c] = p.marks[c][:len(p.marks[c])-1]
		}
	}
	if opens && left > 0 {
		if p.marks == nil {
			p.marks = map[byte][]mark{}
		}
		p.marks[c] = append(p.marks[c], mark{at + n - left, left})
	}
	return i + n
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// flanks tells by its neighbours whether a run can open and close emphasis.
func flanks(i int, before rune, more bool, after rune) (opens, closes bool) {
	spaceBefore := i == 0 || unicode.IsSpace(before)
	spaceAfter := !more || unicode.IsSpace(after)
	punct := func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
	opens = !spaceAfter && (!punct(after) || spaceBefore || punct(before))
	closes = !spaceBefore && (!punct(before) || spaceAfter || punct(after))
	return opens, closes
}
