package pdf

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"byline/internal/engine/extract"
)

// block is consecutive lines that make one element.
type block struct {
	kind  extract.Kind
	level int
	lines []line
}

// compose makes a page's part: its lines joined into paragraphs, headings and list items. body is the font size of the
// document's running text in points.
func compose(s *sheet, body float32) extract.Part {
	w := writer{page: &extract.Page{Number: s.number, Width: s.width, Height: s.height, Problem: s.problem}}
	for _, b := range blocks(s.lines, body) {
		w.block(b)
	}
	text := w.text.String()
	if w.page.Problem == "" && !extract.HasText(text) {
		w.page.Problem = "no_text"
	}
	w.page.End = len(text)
	return extract.Part{Text: text, Elements: w.elements, Page: w.page}
}

// blocks groups lines: a new block begins where the type face, the distance or the indent changes, or a bullet stands.
func blocks(lines []line, body float32) []block {
	var out []block
	contents := isContents(lines)
	for i := range lines {
		l := &lines[i]
		kind, level := classify(l, body)
		if contents && kind == extract.Heading && outerNumber(l.String()) >= 0 {
			kind, level = extract.Item, 0
		}
		if len(out) > 0 {
			last := &out[len(out)-1]
			if continues(last, l, kind, level) {
				last.lines = append(last.lines, *l)
				continue
			}
		}
		out = append(out, block{kind: kind, level: level, lines: lines[i : i+1 : i+1]})
	}
	for i := range out {
		settle(&out[i])
	}
	return out
}

// isContents tells a page of a table of contents: its chapters look like headings, but begin nothing.
func isContents(lines []line) bool {
	const fewest = 3
	n := 0
	for i := range lines {
		if lines[i].leaders {
			n++
		}
	}
	return n >= fewest
}

var (
	numbered = regexp.MustCompile(`^(\d{1,3}(?:\.\d{1,3}){0,5})\.?\s+\p{L}`)
	chapter  = regexp.MustCompile(`^(?i:chapter|part|appendix|kapitel|teil|anhang|section)\s+(\d+|[A-Z]|[IVXLC]+)\b`)
	bullet   = regexp.MustCompile(`^[•◦▪‣●○■□–—∙·*-]( |$)|^\(?(\d{1,3}|[a-z]|[ivx]{1,4})[.)] `)
)

// classify guesses from one line what element it begins.
func classify(l *line, body float32) (extract.Kind, int) {
	switch {
	case l.leaders:
		return extract.Item, 0
	case l.running:
		return extract.Paragraph, 0
	}
	if l.mono {
		return extract.Code, 0
	}
	text := l.String()
	ratio := float32(1)
	if body > 0 {
		ratio = l.size / body
	}
	if level := headingLevel(text, ratio, l.face.bold); level > 0 {
		return extract.Heading, level
	}
	if bullet.MatchString(text) {
		return extract.Item, 0
	}
	return extract.Paragraph, 0
}

// headingLevel is 0 for what is no heading: its ratio is that of its font size to the body's.
func headingLevel(text string, ratio float32, bold bool) int {
	if ratio < 1.12 && !bold || utf8.RuneCountInString(text) > 160 || !strings.ContainsFunc(text, unicode.IsLetter) {
		return 0
	}
	if ratio < 0.95 {
		return 0
	}
	if last, _ := utf8.DecodeLastRuneInString(text); ratio < 1.12 && strings.ContainsRune(".,;:", last) {
		return 0
	}
	if m := numbered.FindStringSubmatch(text); m != nil {
		return min(strings.Count(m[1], ".")+1, 6)
	}
	switch {
	case ratio >= 1.6 || chapter.MatchString(text) && ratio >= 1.12:
		return 1
	case ratio >= 1.3:
		return 2
	case ratio >= 1.12:
		return 3
	}
	return 4
}

// continues tells whether l is a further line of b.
func continues(b *block, l *line, kind extract.Kind, level int) bool {
	last := &b.lines[len(b.lines)-1]
	if b.kind == extract.Code || kind == extract.Code {
		return b.kind == kind && l.y0 > last.y0 && l.y0-last.y1 < last.height()
	}
	if differ(last.size, l.size, 0.08) || kind == extract.Item {
		return false
	}
	pitch := max(last.height(), l.height())
	gap := l.y0 - last.y1
	if b.kind == extract.Heading {
		goesOn := kind == extract.Heading || b.level == 4 // bold text may be a whole paragraph, which settle finds out
		return goesOn && last.face.bold == l.face.bold && gap < 0.6*pitch && gap > -pitch && (len(b.lines) < 4 || b.level == 4) &&
			!numbered.MatchString(l.String())
	}
	if kind == extract.Heading {
		return level == 4 && last.face.bold == l.face.bold && near(gap, pitch) // bold running text is no heading
	}
	if gap < -pitch/2 { // up again: the next column
		return !ends(last) && startsLower(l)
	}
	if !near(gap, pitch) {
		return last.hyphened && startsLower(l)
	}
	if len(b.lines) > 1 { // the pitch of this paragraph is known
		if first := b.lines[1].y0 - b.lines[0].y1; gap > first+0.35*pitch {
			return last.hyphened
		}
	}
	if l.x0 > last.x0+0.8*l.size && ends(last) && l.y0 > last.y0+pitch/2 && b.kind == extract.Paragraph {
		return false // indented after a full stop
	}
	widest := b.x1()
	return !(ends(last) && last.x1 < widest-0.12*(widest-b.lines[0].x0)) // a short line with a full stop is the last
}

func (b *block) x1() float32 {
	x := b.lines[0].x1
	for i := range b.lines {
		x = max(x, b.lines[i].x1)
	}
	return x
}

func near(gap, pitch float32) bool { return gap < 0.75*pitch }

func differ(a, b, share float32) bool { return a-b > share*max(a, b) || b-a > share*max(a, b) }

// ends tells a line that ends with a sentence.
func ends(l *line) bool {
	w := l.words[len(l.words)-1].text
	return strings.ContainsRune(".!?:。！？”’\"", w[len(w)-1])
}

func startsLower(l *line) bool { return unicode.IsLower(l.words[0].text[0]) }

// settle takes back what only looked like a heading: bold text that goes on for lines.
func settle(b *block) {
	letters := 0
	for i := range b.lines {
		letters += b.lines[i].letters()
	}
	if b.kind == extract.Heading && (letters > 240 || b.level == 4 && len(b.lines) > 2) {
		b.kind, b.level = extract.Paragraph, 0
	}
}

// writer puts blocks into the text of a page. Offsets are UTF-8 bytes of that text.
type writer struct {
	text     strings.Builder
	elements []extract.Element
	page     *extract.Page
	code     bool // lines stay lines
}

func (w *writer) block(b block) {
	start := w.text.Len()
	w.code = b.kind == extract.Code
	for i := range b.lines {
		w.line(&b.lines[i], b.lines[i+1:])
	}
	end := w.text.Len()
	if end == start {
		return
	}
	w.elements = append(w.elements, extract.Element{Kind: b.kind, Level: b.level, Start: start, End: end, Page: w.page.Number})
	w.text.WriteString("\n\n")
}

// line writes the words of a line and what stands between it and the first of the lines after it.
func (w *writer) line(l *line, after []line) {
	for i := range l.words {
		word := &l.words[i]
		letters := word.text
		lastOfLine := i == len(l.words)-1
		joined := !w.code && lastOfLine && len(after) > 0 && joins(l, &after[0])
		if joined {
			letters = letters[:len(letters)-1]
		}
		w.word(letters, word.box)
		switch {
		case joined, !lastOfLine && l.words[i+1].glued, lastOfLine && (len(after) == 0 || unspaced(l, &after[0])):
		case lastOfLine && w.code:
			w.text.WriteByte('\n')
		default:
			w.text.WriteByte(' ')
		}
	}
}

// joins tells whether the hyphen at the end of l was made by the line break: the next line goes on in lower case.
func joins(l, next *line) bool {
	letters := l.words[len(l.words)-1].text
	if len(letters) < 2 || !startsLower(next) || !unicode.IsLetter(letters[len(letters)-2]) {
		return false
	}
	switch letters[len(letters)-1] {
	case softHyphen, '\u2010', '-':
		return true
	}
	return false
}

// unspaced tells line breaks that are no space: between Chinese and Japanese letters, and after a hyphen that stays.
func unspaced(l, next *line) bool {
	last := l.words[len(l.words)-1].text
	a, b := last[len(last)-1], next.words[0].text[0]
	if a == '-' && len(last) > 1 && unicode.IsLetter(b) && unicode.IsLetter(last[len(last)-2]) {
		return true
	}
	return ideographic(a) && ideographic(b)
}

func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r < 0x3040 || r >= 0xFF00 && r < 0xFFF0
}

// ligatures are one glyph for several letters; nobody searches for them.
var ligatures = strings.NewReplacer("\ufb00", "ff", "\ufb01", "fi", "\ufb02", "fl", "\ufb03", "ffi", "\ufb04", "ffl", "\ufb05", "st", "\ufb06", "st", "\u00ad", "")

func (w *writer) word(letters []rune, at box) {
	start := w.text.Len()
	plain := true
	for _, r := range letters {
		if r >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		for _, r := range letters {
			w.text.WriteByte(byte(r))
		}
	} else {
		w.text.WriteString(norm.NFC.String(ligatures.Replace(string(letters))))
	}
	if end := w.text.Len(); end > start {
		w.page.Words = append(w.page.Words, extract.Word{Start: start, End: end, X0: at.x0, Y0: at.y0, X1: at.x1, Y1: at.y1})
	}
}
