package extract

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalize brings a text into the form in which it is stored and cited: line ends, control characters, then NFC. A text that needs nothing is given back as it is.
func Normalize(s string) string {
	if i := firstUnclean(s); i < len(s) {
		s = cleanFrom(s, i)
	}
	if surelyNFC(s) || norm.NFC.IsNormalString(s) {
		return s
	}
	return norm.NFC.String(s)
}

// surelyNFC knows texts of the common scripts, in which nothing can be composed, at a fraction of the cost of looking
// every rune up; false means only that it must be looked up.
func surelyNFC(s string) bool {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c < utf8.RuneSelf:
			i++
			continue
		case c < 0xCC, c == 0xD0, c == 0xD1: // Latin up to the combining marks (U+0300), Cyrillic
			i += 2
			continue
		case c < 0xE2 || c > 0xEF || i+2 >= len(s):
			return false
		}
		second, third := s[i+1], s[i+2]
		sure := false
		switch c {
		case 0xE2: // punctuation but for two spaces that are others', currencies
			sure = second == 0x80 && third >= 0x82 || second == 0x82
		case 0xE3: // signs and kana but for their combining marks
			sure = second == 0x80 && third < 0xAA || second == 0x81 || second == 0x82 && third != 0x99 && third != 0x9A || second == 0x83
		case 0xE4: // Chinese characters
			sure = second >= 0xB8
		case 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEB, 0xEC: // Chinese characters, Hangul
			sure = true
		case 0xEA: // Hangul
			sure = second >= 0xB0
		case 0xED:
			sure = second < 0x9E
		case 0xEF: // full width
			sure = second == 0xBC || second == 0xBD
		}
		if !sure {
			return false
		}
		i += 3
	}
	return true
}

// isPlain tells the bytes that clean leaves alone without looking further: what begins a rune that may have to go is not
// among them (C2: C1 controls; E2: separators; EF: the mark).
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7F || c == '\n' || c >= 0x80 && c != 0xC2 && c != 0xE2 && c != 0xEF || c == '\t'
}

// firstUnclean is the place of the first rune that changes, or the length.
func firstUnclean(s string) int {
	for i := 0; i < len(s); i++ {
		if !isPlain(s[i]) {
			if _, n, change := replacement(s[i:]); change {
				return i
			} else {
				i += n - 1
			}
		}
	}
	return len(s)
}

// replacement tells what the rune at the start of s becomes, and how many bytes it takes.
func replacement(s string) (with string, n int, change bool) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == '\r' && len(s) > 1 && s[1] == '\n':
		return "\n", 2, true
	case r == '\r', r == '\v', r == 0x85, r == 0x2028: // carriage return, vertical tab, next line, line separator
		return "\n", n, true
	case r == '\f', r == 0x2029: // form feed, paragraph separator
		return "\n\n", n, true
	case r == '\n', r == '\t':
		return "", n, false
	case r < ' ', r >= 0x7F && r < 0xA0, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
		return "", n, true
	}
	return "", n, false
}

func cleanFrom(s string, i int) string {
	var b strings.Builder
	b.Grow(len(s))
	start := 0 // of what is copied as it is
	for i < len(s) {
		if isPlain(s[i]) {
			i++
			continue
		}
		with, n, change := replacement(s[i:])
		if change {
			b.WriteString(s[start:i])
			b.WriteString(with)
			start = i + n
		}
		i += n
	}
	b.WriteString(s[start:])
	return b.String()
}
