package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape writes text into Markdown, as a piece of one line, so that it is shown as it is: no markup, HTML, link or
// template tag (Liquid, Nunjucks) comes to be, wherever in a line it stands. White space becomes one space, control
// characters and direction overrides are dropped.
func Escape(text string) string {
	text = oneLine(text)
	var b strings.Builder
	b.Grow(len(text) + 8)
	prev := ' ' // the line's start is like a space, and so is its end
	for i, r := range text {
		next := ' '
		if rest := text[i+utf8.RuneLen(r):]; rest != "" {
			next, _ = utf8.DecodeRuneInString(rest)
		}
		if r < utf8.RuneSelf && isMark(byte(r), prev, next, text[:i]) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		prev = r
	}
	return b.String()
}

// oneLine drops what must not be in the output and makes one space of any white space.
func oneLine(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	for _, r := range strings.ToValidUTF8(text, "") {
		switch {
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case unicode.IsControl(r), isOverride(r):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isOverride tells the runes that turn the direction of what follows.
func isOverride(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// isMark tells whether a sign would be read as markup between its neighbours, behind what stands before it in its line.
func isMark(c byte, prev, next rune, line string) bool {
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
	switch c {
	case '\\', '`', '*', '[', ']', '<', '~', '|', '{', '}':
		return true
	case '_':
		return !word(prev) || !word(next)
	case '&': // an entity
		return next == '#' || word(next)
	case '#': // a heading, or its end
		return prev == ' ' || prev == '#'
	case '>', '-', '+', '=':
		return line == ""
	case ':': // a scheme; the text of a definition list
		return line == "" || next == '/'
	case '@': // a mail address
		return word(next)
	case '!':
		return next == '['
	case '.', ')': // www. and the number of a list item
		digits := len(line) <= 9 && strings.Trim(line, "0123456789") == "" && line != ""
		return digits && (next == ' ') || c == '.' && strings.HasSuffix(strings.ToLower(line[max(0, len(line)-3):]), "www")
	}
	return false
}

// QuoteYAML writes s as a quoted scalar of one line, which YAML, and JSON, read back as s: no text can end it, begin a new
// line or turn what follows. Broken UTF-8 becomes U+FFFD.
func QuoteYAML(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r <= 0xFFFF && !unicode.IsPrint(r): // controls, separators, overrides, what is not assigned
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[r>>shift&0xF])
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
