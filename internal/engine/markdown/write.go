package markdown

import (
	"fmt"
	"strings"
	"unicode"
)

// Escape writes one line of text so that Markdown shows it as it is: no markup, no HTML, no line break.
func Escape(s string) string {
	var b strings.Builder
	s = strings.Join(strings.Fields(s), " ")
	for i, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>|~&", r):
			b.WriteByte('\\')
		case i == 0 && strings.ContainsRune("#+-=", r):
			b.WriteByte('\\')
		case unicode.IsControl(r):
			continue
		case (r == '.' || r == ')') && i > 0 && i <= 9 && isDigits(s[:i]): // "1." would begin a list
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// QuoteYAML writes a text as a double-quoted YAML scalar of one line, whatever is in it (YAML 1.2, 5.7 Escaped Characters).
func QuoteYAML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == unicode.ReplacementChar || unicode.IsPrint(r) && r != '\u2028' && r != '\u2029' && r != '\ufeff':
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Plain takes the commonest inline marks out of a line of Markdown, for titles.
func Plain(s string) string {
	s = strings.NewReplacer("**", "", "__", "", "`", "", "\\", "").Replace(s)
	for {
		open := strings.IndexByte(s, '[')
		if open < 0 {
			return strings.TrimSpace(s)
		}
		mid := strings.Index(s[open:], "](")
		if mid < 0 {
			return strings.TrimSpace(s)
		}
		end := strings.IndexByte(s[open+mid:], ')')
		if end < 0 {
			return strings.TrimSpace(s)
		}
		s = s[:open] + s[open+1:open+mid] + s[open+mid+end+1:]
	}
}
