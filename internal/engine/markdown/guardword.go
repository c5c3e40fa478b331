package markdown

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inWord takes a rune of a line that is no code.
func (g *Guard) inWord(r rune) {
	switch {
	case r == '\n':
		g.word("\n")
		g.state, g.broken.line = atBegin, false
	case r == ' ' && openMark(string(g.held)): // [p3, p7] is one word
		g.held = append(g.held, ' ')
	case unicode.IsSpace(r) || endsWord(r):
		g.word(string(r))
	default:
		if g.held = utf8.AppendRune(g.held, r); len(g.held) >= maxHeldWord {
			g.word(" ")
		}
	}
}

// endsWord tells the punctuation of scripts that write no spaces.
func endsWord(r rune) bool {
	return strings.ContainsRune("。、，！？；：「」『』《》（）", r)
}

// word gives the word that is held, made harmless, and what stands behind it.
func (g *Guard) word(behind string) {
	if len(g.held) > 0 {
		w := wording{guard: g, in: string(g.held), markers: g.markers, left: g.left}
		w.run()
		g.out = append(g.out, w.out...)
		g.markers, g.left = w.markers, w.left
		g.held = g.held[:0]
	}
	g.out = append(g.out, behind...)
	if r, _ := utf8.DecodeRuneInString(behind); endsWord(r) {
		g.markers, g.left = false, r
	}
}

// The grammar of cite.Marks: what it takes out, and what may become one.
var (
	aMark    = regexp.MustCompile(`\[ *[pP][0-9]{1,6}(?:(?: *[,;] *| +)[pP][0-9]{1,6})* *\]`)
	someMark = regexp.MustCompile(`^\[ *(?:[pP][0-9]{1,6}(?: *[,;] *| +))*(?:[pP][0-9]{0,6})?$`)
	marks    = regexp.MustCompile(`^(?:` + aMark.String() + `)+`)
)

// openMark tells whether what ends a word may go on as a mark.
func openMark(s string) bool {
	at := strings.LastIndexByte(s, '[')
	return at >= 0 && someMark.MatchString(s[at:])
}

// wording makes one word harmless. It reads from left to right; whatever it leaves out is either replaced by a sign or
// stands where nothing new can come to be of its neighbours.
type wording struct {
	guard   *Guard
	in      string
	at      int
	out     []byte
	noMail  int  // before this byte of in no address of mail begins
	markers bool // as in Guard
	left    rune
}

// anAddress is the last thing of a line that has an allowed one.
const anAddress rune = -1

// gone stands where an address stood. It is a sign, not nothing, so that what stood around it does not meet.
const gone = "…"

func (w *wording) run() {
	for w.at < len(w.in) {
		w.step()
	}
}

// put gives text that is shown or is markup, and goes on behind n bytes.
func (w *wording) put(text string, n int) {
	w.out = append(w.out, text...)
	w.at += n
	w.left, _ = utf8.DecodeLastRuneInString(text)
	if strings.ContainsFunc(text, unicode.IsLetter) {
		w.markers = false
	}
}

func (w *wording) step() {
	rest := w.in[w.at:]
	if n, text := w.address(rest); n > 0 {
		w.put(text, n)
		if !strings.HasSuffix(text, gone) {
			w.left = anAddress
		}
		return
	}
	switch rest[0] {
	case '\\':
		if len(rest) > 1 && isPunct(rest[1]) {
			w.put(rest[:2], 2)
			return
		}
	case '[':
		if w.marks(rest) {
			return
		}
	case '!':
		n := runOf(rest, '!')
		if n < len(rest) && rest[n] == '[' && !w.isMark(rest[n:]) {
			w.at += n // an image
			return
		}
	case '<':
		w.angle(rest)
		return
	case ']':
		w.bracket(rest)
		return
	case '&':
		if end := strings.IndexByte(rest[:min(len(rest), 40)], ';'); end > 0 && !harmless(html.UnescapeString(rest[:end+1])) {
			w.put(`\&`, 1)
			return
		}
	case '{': // of a template, or attributes
		if len(rest) > 1 && strings.IndexByte("{%:#.", rest[1]) >= 0 {
			w.put(`\{`, 1)
			return
		}
	case '`', '~':
		begin := aMark.ReplaceAllString(rest[:len(rest)-len(without(rest, rest[:1]))], "")
		if run := runOf(begin, rest[0]); run >= 3 && w.markers {
			w.markers = false
			w.guard.broken = opening{rest[0], run, true}
			n := runOf(rest, rest[0])
			w.put(`\`+rest[:n], n)
			return
		}
		if w.guard.broken.line && rest[0] == '`' { // it was a span of code
			w.guard.broken = opening{}
		}
	}
	_, n := utf8.DecodeRuneInString(rest)
	w.put(rest[:n], n)
}

// harmless tells whether what entities stand for may be shown by them.
func harmless(shown string) bool {
	for _, r := range shown {
		switch {
		case r > unicode.MaxASCII && !unicode.IsControl(r) && !isOverride(r) && !isHidden(r):
		case strings.ContainsRune(`&<>"'`, r):
		default:
			return shown[0] == '&' && len(shown) > 1 // there was no such entity
		}
	}
	return true
}

// isMark tells whether cite.Marks will take out what begins s.
func (w *wording) isMark(s string) bool {
	n := len(marks.FindString(s))
	return n > 0 && !strings.HasPrefix(s[n:], "(") && !strings.HasSuffix(string(w.out), `\`)
}

// marks gives marks of passages as they are, and parts those neighbours that must not meet when they are taken out.
func (w *wording) marks(rest string) bool {
	if !w.isMark(rest) {
		return false
	}
	chain := marks.FindString(rest)
	behind := rest[len(chain):]
	switch {
	case w.left == '<': // before what may follow, ! or ?, it would be HTML
		w.put(strings.ReplaceAll(chain, "[", `\[`), len(chain))
		return true
	case strings.HasPrefix(behind, ":") && (w.left == 0 || w.left == ']'), !apart(behind), w.left == anAddress && !endsAddress(behind):
		chain += " "
	}
	w.out = append(w.out, chain...)
	w.at = len(w.in) - len(behind)
	return true
}

// apart tells whether s can follow what stands before a mark: the end of a word, or of a sentence.
func apart(s string) bool {
	s = without(s, ".,;:!?)]}*_\"'")
	return s == "" || s[0] >= utf8.RuneSelf
}

// without leaves out the signs, and the marks, that begin s.
func without(s, signs string) string {
	for {
		n := len(s)
		s = strings.TrimLeft(s, signs)
		if s = s[len(marks.FindString(s)):]; len(s) == n {
			return s
		}
	}
}

// endsAddress tells whether nobody takes s, behind an address, for a part of it.
func endsAddress(s string) bool { return without(s, ".,:!?*_~)") == "" }

// angle takes a < that could begin HTML.
func (w *wording) angle(rest string) {
	if end := strings.IndexByte(rest, '>'); end > 0 && w.guard.allows(rest[1:end]) && strings.Trim(rest[end+1:], ".,;:!?") == "" {
		w.put(rest[1:end], end+1)
		w.left = anAddress
		return
	}
	if len(rest) > 1 && (isLetter(rest[1]) || strings.IndexByte("/!?[", rest[1]) >= 0 || strings.IndexByte(rest, '@') > 0) {
		w.put(`\<`, 1)
		return
	}
	w.put("<", 1)
}

// bracket takes a ] that may end the text of a link or the label of a definition.
func (w *wording) bracket(rest string) {
	switch {
	case strings.HasPrefix(rest, "]:"):
		w.put("] ", 1)
	case !strings.HasPrefix(rest, "]("):
		w.put("]", 1)
	default:
		n := target(rest[1:])
		if n == 0 {
			w.put("] ", 1)
			return
		}
		to := strings.TrimSpace(rest[2:n])
		if w.guard.allows(to) {
			w.put(rest[:n+1], n+1)
			return
		}
		w.guard.remove(strings.Trim(to, "<>"))
		w.unlink(n+1, rest[n+1:])
	}
}

// unlink leaves of a link its words, without brackets if they are one word between spaces.
func (w *wording) unlink(n int, behind string) {
	const ends = ".,;!?)*_\"'"
	open := strings.LastIndexByte(string(w.out), '[')
	switch {
	case strings.TrimLeft(behind, ends) != "" || open >= 0 && aMark.MatchString(string(w.out[open:])+"]"):
		w.put(`\]`, n)
	case open == 0 && len(w.out) > 1 && !strings.Contains(string(w.out), "]") && (isWord(rune(w.out[1])) || w.out[1] == '*' || w.out[1] >= utf8.RuneSelf):
		w.out = w.out[1:]
		w.at += n
		w.left, _ = utf8.DecodeLastRune(w.out)
	default:
		w.put("]", n)
	}
}

// What renderers and browsers take for an address, wherever it begins in a word. Backslashes between its slashes are
// dropped by Markdown and taken for slashes by browsers.
var (
	withScheme = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.\-]{0,63}\\*:\\*[/\\]\\*[/\\]`)
	withHost   = regexp.MustCompile(`(?i)^(?:\\*/){2,}\\*(?:[\pL\pN_\-]+\\*(?:\.|%2e)\\*[\pL\pN_\-]|localhost|\[|[0-9a-f]*:)`)
	withWWW    = regexp.MustCompile(`(?i)^www\\*\.`)
	asScript   = regexp.MustCompile(`(?i)^(?:(?:javascript|vbscript|livescript):.|data:[^,;]*[,;/].|(?:mailto|xmpp):[^@]*@)`)
	mailName   = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~\\-]+")
	asMail     = regexp.MustCompile(mailName.String() + "\\\\*@[a-zA-Z0-9_\\-]+(?:\\\\*\\.[a-zA-Z0-9_\\-]+)+")
	strict     = regexp.MustCompile(`^(?i:https?://|mailto:)[\pL\pN\-._~:/?#@!$&'()*+,;=%]+$`)
	entity     = regexp.MustCompile(`&#?[a-zA-Z0-9]+;`)
	withUser   = regexp.MustCompile(`^(?i:https?)://[^/?#]*@`)
)

// address takes an address that begins s, and gives what is to be written for it. 0: none begins here.
func (w *wording) address(s string) (int, string) {
	var before byte
	if w.at > 0 {
		before = w.in[w.at-1]
	}
	switch c := s[0]; {
	case c == '/' || c == '\\':
		if before == '/' || before == '\\' || !strings.HasPrefix(strings.TrimLeft(s, `\`), "/") || !withHost.MatchString(s) {
			return 0, ""
		}
	case before != 0 && isLetter(before) && isLetter(c): // began before
		return 0, ""
	case isLetter(c) && (withScheme.MatchString(s) || withWWW.MatchString(s) || asScript.MatchString(s)):
	case w.at >= w.noMail && strings.IndexByte(s, '@') > 0:
		return w.mail(s)
	default:
		return 0, ""
	}
	return w.url(s)
}

// mail takes the address of a mailbox that begins s.
func (w *wording) mail(s string) (int, string) {
	mail := asMail.FindString(s)
	bar := strings.LastIndexByte(mail, '|') // the end of a cell; or of a name, for those who see no table
	switch {
	case mail == "":
		w.noMail = w.at + len(mailName.FindString(s))
		return 0, ""
	case bar > 0:
		w.noMail = w.at + bar
		return 0, ""
	case bar < 0 && w.guard.allows("mailto:"+mail):
		return len(mail), mail
	case bar == 0 && w.guard.allows("mailto:"+mail[1:]):
		return len(mail), "| " + mail[1:]
	case strings.IndexByte("*_~`", mail[0]) >= 0: // markup before an address stays
		return 0, ""
	}
	w.guard.remove(mail[bar+1:])
	return len(mail), mail[:bar+1] + gone
}

// url takes the address that begins s, up to where anyone could see its end.
func (w *wording) url(s string) (int, string) {
	end := strings.IndexAny(s, "<>\"`|{}^")
	if end < 0 {
		end = len(s)
	}
	if mark := aMark.FindStringIndex(s[:end]); mark != nil {
		end = mark[0]
	}
	alone := end == len(s) || s[end] == '|' || s[end] == '['
	if at := strings.Index(s[:end], "]("); at > 0 { // it is the text of a link
		n := target(s[at+1:])
		end, alone = at, n > 0 && string(w.out) == "[" && w.guard.allows(s[at+2:at+n])
	}
	all := trimPunct(s[:end])
	found := trimPunct(strings.TrimRightFunc(s[:end], func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) }))
	switch {
	case !alone:
	case !ascii(all) && w.guard.allows(all): // where it ends is only sure between brackets
		return len(all), "<" + all + ">"
	case !ascii(found):
	case withWWW.MatchString(found) && w.guard.allows("http://"+found), w.guard.allows(found):
		if !endsAddress(s[len(found):end]) {
			return len(found), found + " "
		}
		return len(found), found
	}
	w.guard.remove(found)
	return len(found), gone
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// trimPunct leaves out what ends a sentence, emphasis or parenthesis around an address, not the address.
func trimPunct(s string) string {
	for s != "" {
		switch c := s[len(s)-1]; {
		case strings.IndexByte(`?!.,:;*_~'"]`, c) >= 0:
		case c == ')' && strings.Count(s, ")") > strings.Count(s, "("):
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

// allows asks for an address, if it is one that all read alike.
func (g *Guard) allows(url string) bool {
	if g.Allowed == nil || !strict.MatchString(url) || entity.MatchString(url) || withUser.MatchString(url) {
		return false
	}
	return strings.Count(url, "(") == strings.Count(url, ")") && trimPunct(url) == url && g.Allowed(url)
}

func (g *Guard) remove(url string) {
	const maxNoted = 500
	if len(url) > maxNoted {
		url = strings.ToValidUTF8(url[:maxNoted], "")
	}
	for _, known := range g.removed {
		if known == url {
			return
		}
	}
	if url != "" && len(g.removed) < maxRemoved {
		g.removed = append(g.removed, url)
	}
}
