package markdown

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Guard makes Markdown of a writer that is not trusted harmless, while it is being written: there is no HTML in what comes
// out, no image, no definition of a link, and no address that Allowed does not know. Words stay, as does code in fences.
// Marks of passages ([p3], [p3, p7]) pass, so that cite.Marks can take them out behind it; nothing dangerous comes to be
// when it does. Fed with pieces that are cut anywhere, it gives the same text. Its zero value allows no address.
//
// It does not parse Markdown, since no parser agrees with every renderer. It goes by words, breaks whatever could begin a
// construct, and writes fences so that all renderers see their begin and end at the same lines. Spans of code within a
// line are not trusted; a < in them gets a backslash that readers see.
type Guard struct {
	// Allowed tells whether a link may go to an address (http, https, mailto), as written. nil: to none.
	Allowed func(url string) bool

	half   []byte // the begin of a rune whose rest has not come
	cr     bool   // the last rune was a carriage return
	state  guardState
	prefix []byte // white space, and perhaps the > of a quote, at the begin of the line
	held   []byte // what is not decided: a word, or a line that may open or close a fence
	fence  *fence // the one that is open

	broken opening // the begin of a fence that was made text; what would end it is made text, too

	markers bool // the line has only markers of lists and quotes, and marks, so far: a fence could begin
	left    rune // the last rune of the line, spaces and marks left aside; 0 at its begin, or anAddress
	out     []byte
	removed []string
}

type guardState uint8

const (
	atBegin  guardState = iota // of a line
	inOpener                   // behind a ` or ~ that begins a line
	inCloser                   // of a line of code that may end it, or begin with a mark
	inCode                     // in a line of code
	inWord
)

// fence is code that has begun.
type fence struct {
	sign   byte
	run    int  // signs of its begin
	indent int  // columns before it, as read
	to     int  // as written
	quote  bool // it stands in a quote
}

// opening is the begin of a fence where it can't be told whether it is one, such as behind the marker of a list.
type opening struct {
	sign byte // 0: none
	run  int
	line bool // it stands in this line
}

// The bounds in bytes of what is held: a word, the white space before a line, a line with a fence. What is longer is cut by
// a space, shortened, or no fence.
const (
	maxHeldWord = 2048
	maxPrefix   = 256
	maxOpener   = 256
	maxRemoved  = 100 // addresses noted
)

// Feed takes the next piece and gives what is text for sure; it holds back the current word at most, or a line that begins
// like a fence.
func (g *Guard) Feed(delta string) string {
	for i := 0; i < len(delta); i++ {
		if c := delta[i]; len(g.half) == 0 && c < utf8.RuneSelf {
			g.clean(rune(c))
			continue
		}
		g.half = append(g.half, delta[i])
		for len(g.half) > 0 && utf8.FullRune(g.half) {
			r, n := utf8.DecodeRune(g.half)
			g.half = g.half[n:]
			if r != utf8.RuneError || n > 1 { // broken bytes are dropped
				g.clean(r)
			}
		}
	}
	return g.take()
}

// Close ends the text and gives what was held back. It closes a fence that was left open.
func (g *Guard) Close() string {
	g.half = nil
	switch g.state {
	case inOpener:
		if run := runOf(string(g.held), g.held[0]); run < 3 || slices.Contains(g.held[run:], ' ') || slices.Contains(g.held[run:], '~') {
			g.noFence(run >= 3)
			g.word("")
		} // else an empty block of code, which says nothing
	case inCloser:
		g.codeLine()
	case inWord:
		g.word("")
	case atBegin:
		if g.fence == nil {
			g.out = append(g.out, g.prefix...)
		}
	case inCode:
	}
	if f := g.fence; f != nil {
		if g.state == inCode {
			g.out = append(g.out, '\n')
		}
		g.indent(f, 0)
		g.out = append(g.out, strings.Repeat(string(f.sign), f.run)+"\n"...)
	}
	*g = Guard{Allowed: g.Allowed, out: g.out, removed: g.removed}
	return g.take()
}

// Removed gives the addresses that were taken out so far, each once, as written; at most the first 100.
func (g *Guard) Removed() []string { return slices.Clone(g.removed) }

func (g *Guard) take() string {
	text := string(g.out)
	g.out = g.out[:0]
	return text
}

// clean leaves out what readers can't see but programs can, and makes one line end of all.
func (g *Guard) clean(r rune) {
	cr := g.cr
	g.cr = r == '\r'
	switch {
	case r == '\n' && cr:
	case r == '\n' || r == '\r':
		g.rune('\n')
	case r == '\t':
		g.rune(r)
	case r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
		g.rune(' ')
	case unicode.IsControl(r), isOverride(r), isHidden(r):
	default:
		g.rune(r)
	}
}

// isHidden tells runes without a width that can hide text or part an address; joiners, which scripts and emoji need, are
// none of them.
func isHidden(r rune) bool {
	switch r {
	case 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB:
		return true
	}
	return r >= 0xE0000 && r <= 0xE0FFF || r >= 0x206A && r <= 0x206F // tags, which spell ASCII
}

func (g *Guard) rune(r rune) {
	switch g.state {
	case atBegin:
		g.begin(r)
	case inOpener:
		g.opener(r)
	case inCloser:
		g.closer(r)
	case inCode:
		g.out = utf8.AppendRune(g.out, r)
		if r == '\n' {
			g.state = atBegin
		}
	case inWord:
		g.inWord(r)
	}
}

// begin takes a rune of the white space before a line, or what ends it.
func (g *Guard) begin(r rune) {
	f := g.fence
	quoted := slices.Contains(g.prefix, '>')
	if r == ' ' || r == '\t' || r == '>' && !quoted && (f == nil || f.quote) {
		if len(g.prefix) < maxPrefix || r == '>' {
			g.prefix = append(g.prefix, byte(r))
		}
		return
	}
	if f != nil && f.quote && (!quoted || width(before(g.prefix, '>')) > 3) {
		// The quote has ended and its fence with it. An empty line says so to all, also when a mark before a > is taken out.
		g.out = append(g.out, '\n')
		g.fence, f = nil, nil
	}
	switch {
	case f != nil && r == '\n':
		if f.quote {
			g.prefix = append(g.prefix[:0], '>')
		}
		g.out = append(append(g.out, g.prefix...), '\n')
		g.prefix = g.prefix[:0]
	case f != nil:
		g.state = inCloser
		g.closer(r)
	case r == '`' || r == '~':
		g.state = inOpener
		g.opener(r)
	default:
		g.startWords(quoted)
		g.inWord(r)
	}
}

// ends tells whether a line would end the fence that was made text, which is then over.
func (o *opening) ends(line string) bool {
	run := runOf(line, o.sign)
	if o.sign == 0 || run < o.run || strings.Trim(line[run:], " \t") != "" {
		return false
	}
	*o = opening{}
	return true
}

// startWords gives the white space before a line that is no code.
func (g *Guard) startWords(quoted bool) {
	g.out = append(g.out, g.prefix...)
	g.prefix = g.prefix[:0]
	g.state, g.markers, g.left = inWord, true, 0
	if quoted {
		g.left = '>'
	}
}

// opener takes a rune of a line that begins with ` or ~.
func (g *Guard) opener(r rune) {
	if r == '\n' {
		run := runOf(string(g.held), g.held[0])
		if run < 3 || g.broken.ends(string(g.held)) || !g.open(run) {
			g.noFence(run >= 3)
			g.inWord(r)
		}
		return
	}
	g.held = utf8.AppendRune(g.held, r)
	run := runOf(string(g.held), g.held[0])
	switch {
	case run == len(g.held) && run <= maxOpener:
	case run < 3:
		g.noFence(false)
	case len(g.held) > maxOpener:
		g.noFence(true)
	case r == '`' && g.held[0] == '`': // a span of code, unless marks between its signs go
		g.noFence(slices.Contains(g.held, '['))
	}
}

// noFence goes on with what was held as words. escape: it must not be read as a fence by anyone.
func (g *Guard) noFence(escape bool) {
	held := string(g.held)
	g.held = g.held[:0]
	g.startWords(slices.Contains(g.prefix, '>'))
	if escape {
		held = `\` + held
	}
	g.markers = runOf(held, held[0]) < 3 // else it is a span of code
	for _, r := range held {
		g.inWord(r)
	}
}

// open begins a fence that all renderers see as one: no list or quote around it makes it anything else when up to three
// columns stand before it and no other is open. false: it stands where that can't be told.
func (g *Guard) open(run int) bool {
	f := &fence{sign: g.held[0], run: run}
	space := g.prefix
	if at := slices.Index(g.prefix, '>'); at >= 0 {
		if at > 0 { // it may stand in a list, of which the next > would not be a part
			g.broken = opening{f.sign, run, false}
			return false
		}
		f.quote, space = true, oneLess(g.prefix[1:])
	}
	f.indent = width(space)
	f.to = min(f.indent, 3)
	info := strings.Trim(aMark.ReplaceAllString(string(g.held[run:]), ""), " \t")
	info = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>&\{}`, r) { // attributes, entities
			return -1
		}
		return r
	}, info)
	if info != "" && (info[0] == f.sign || g.held[run] == ' ') {
		info = " " + info
	}
	g.fence, g.broken = f, opening{}
	g.indent(f, 0)
	g.out = append(append(append(g.out, g.held[:run]...), info...), '\n')
	g.held, g.prefix, g.state = g.held[:0], g.prefix[:0], atBegin
	return true
}

// indent gives what stands before a line of a fence: enough, so that it is part of the list or quote around the fence,
// and more columns.
func (g *Guard) indent(f *fence, more int) {
	if f.quote {
		g.out = append(g.out, "> "...)
	}
	g.out = append(g.out, strings.Repeat(" ", f.to+more)...)
}

// closer takes a rune of a line of code that has only signs of its fence, white space and marks so far.
func (g *Guard) closer(r rune) {
	f := g.fence
	if r == '\n' {
		g.codeLine()
		return
	}
	g.held = utf8.AppendRune(g.held, r)
	if len(g.held) <= maxOpener && couldClose(string(g.held), f.sign) {
		return
	}
	long := couldClose(string(g.held), f.sign)
	g.unmark()
	g.codeStart()
	if long {
		g.out = append(g.out, "…"...)
	}
	g.state = inCode
}

// codeLine ends such a line: it closes the fence, or is code.
func (g *Guard) codeLine() {
	f := g.fence
	g.unmark()
	rest := strings.TrimRight(string(g.held), " \t")
	run := runOf(rest, f.sign)
	if run >= f.run && run == len(rest) && g.columns()-f.indent <= 3 {
		g.indent(f, 0)
		g.out = append(append(g.out, rest...), '\n')
		g.fence, g.prefix, g.held = nil, g.prefix[:0], g.held[:0]
	} else {
		g.codeStart()
		g.out = append(g.out, '\n')
	}
	g.state = atBegin
}

// columns of white space before a line of code.
func (g *Guard) columns() int {
	if g.fence.quote {
		return width(oneLess(g.prefix[slices.Index(g.prefix, '>')+1:]))
	}
	return width(g.prefix)
}

// unmark leaves marks out of what is held of a line of code: without them, the line could end its fence, or stand before
// its list.
func (g *Guard) unmark() {
	held := aMark.ReplaceAll(g.held, nil)
	g.held = bytes.TrimLeft(held, " \t")
	g.prefix = append(g.prefix, held[:len(held)-len(g.held)]...)
}

// codeStart gives the begin of a line of code.
func (g *Guard) codeStart() {
	f := g.fence
	columns := g.columns()
	if !f.quote && f.to == f.indent && columns >= f.indent {
		g.out = append(g.out, g.prefix...)
	} else {
		g.indent(f, max(columns-f.indent, 0))
	}
	g.out = append(g.out, g.held...)
	g.prefix, g.held = g.prefix[:0], g.held[:0]
}

// couldClose tells whether a line may end a fence, when marks are taken out of it, or begins with a mark.
func couldClose(s string, sign byte) bool {
	for s != "" {
		switch {
		case s[0] == sign || s[0] == ' ' || s[0] == '\t':
			s = s[1:]
		case s[0] == '[':
			if mark := aMark.FindStringIndex(s); mark != nil && mark[0] == 0 {
				s = s[mark[1]:]
				continue
			}
			return openMark(s)
		default:
			return false
		}
	}
	return true
}

// width is how many columns white space takes.
func width(space []byte) int {
	n := 0
	for _, c := range space {
		if n++; c == '\t' {
			n = (n + 3) / 4 * 4
		}
	}
	return n
}

// oneLess leaves out the space that belongs to the > before it.
func oneLess(space []byte) []byte {
	if len(space) > 0 && space[0] == ' ' {
		return space[1:]
	}
	return space
}

func before(s []byte, c byte) []byte { return s[:slices.Index(s, c)] }
