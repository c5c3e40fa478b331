package chunk

import (
	"unicode"
	"unicode/utf8"
)

// class is what decides how many tokens a run of runes is.
type class uint8

const (
	blank  class = iota // white space: part of the next token
	latin               // and, of other scripts, what is joined to the letters before it
	spread              // Cyrillic, Arabic, Devanagari: large alphabets of the training data
	sparse              // Greek and all other alphabets
	dense               // Thai, Lao, Khmer, Burmese
	hangul              // and kana
	han
	digit
	sign   // punctuation
	symbol // emoji and all that is left
	joined // a mark or format character: counts with whatever it follows
)

// The cost of a run of n runes, in tokens. The factors were fitted to the o200k vocabulary on examples
// (English reports, Candide in French, source code, Korean and Japanese stories, Sun Tzu; some sentences of German, Russian,
// Greek, Arabic, Hindi and Thai), where the estimate is 0.91 to 1.10 of the true count; for columns of bare numbers it is 0.75.
//
//	latin   1 + (n-1)/6   a common word is one token, a long one two
//	spread  1 + (n-1)/4
//	sparse  1 + (n-1)/3
//	dense   (n+1)/2
//	hangul  (4n+4)/5
//	han     n
//	digit   (n+2)/3
//	sign    (n+1)/2
//	symbol  2n            and marks that follow nothing
//	blank   n/16          indentation
func (c class) cost(n int) int {
	switch c {
	case latin:
		return 1 + (n-1)/6
	case spread:
		return 1 + (n-1)/4
	case sparse:
		return 1 + (n-1)/3
	case dense, sign:
		return (n + 1) / 2
	case hangul:
		return (4*n + 4) / 5
	case digit:
		return (n + 2) / 3
	case symbol, joined:
		return 2 * n
	case blank:
		return n / 16
	}
	return n
}

// EstimateTokens tells about how many tokens a language model makes of s, from the words' lengths and scripts alone.
// Cutting s at a border of words or runes never makes the sum of its parts smaller than the whole, but for white space.
func EstimateTokens(s string) int {
	total, n := 0, 0
	run := blank
	for i := 0; i < len(s); {
		var c class
		if b := s[i]; b < utf8.RuneSelf {
			c = asciiClass(b)
			i++
		} else {
			r, width := utf8.DecodeRuneInString(s[i:])
			c = classOf(r)
			i += width
		}
		if c == run || c == joined && n > 0 {
			n++
			continue
		}
		total += run.cost(n)
		run, n = c, 1
	}
	return total + run.cost(n)
}

func asciiClass(b byte) class {
	switch {
	case b|0x20 >= 'a' && b|0x20 <= 'z':
		return latin
	case b == ' ' || b >= '\t' && b <= '\r':
		return blank
	case b >= '0' && b <= '9':
		return digit
	}
	return sign
}

// classOf is the class of a rune beyond ASCII. The blocks stand in the order of their code points.
func classOf(r rune) class {
	switch {
	case r < 0xC0:
		if r == 0x85 || r == 0xA0 {
			return blank
		}
		return sign
	case r < 0x300:
		return latin
	case r < 0x370:
		return joined
	case r < 0x400:
		return sparse
	case r < 0x530:
		return spread
	case r < 0x600:
		return sparse
	case r < 0x780, r >= 0x900 && r < 0x980:
		return spread
	case r >= 0xE00 && r < 0xF00, r >= 0x1000 && r < 0x10A0, r >= 0x1780 && r < 0x1800:
		return dense
	case r >= 0x1100 && r < 0x1200, r >= 0x3040 && r < 0x3100, r >= 0x3130 && r < 0x3190, r >= 0xAC00 && r < 0xD7B0:
		return hangul
	case r >= 0x1E00 && r < 0x1F00:
		return latin
	case r >= 0x2000 && r < 0x2070:
		return general(r)
	case r >= 0x2E80 && r < 0x3000, r >= 0x3400 && r < 0xA000, r >= 0xF900 && r < 0xFB00, r >= 0x20000 && r < 0x40000:
		return han
	case r >= 0x3000 && r < 0x3040, r >= 0xFF00 && r < 0xFFF0:
		if r == 0x3000 {
			return blank
		}
		return sign
	}
	switch {
	case unicode.IsLetter(r):
		return sparse
	case unicode.Is(unicode.M, r), unicode.Is(unicode.Cf, r):
		return joined
	case unicode.IsNumber(r):
		return digit
	case unicode.IsSpace(r):
		return blank
	}
	return symbol
}

// general is the class of general punctuation: spaces, format characters and signs.
func general(r rune) class {
	switch {
	case r <= 0x200A, r == 0x2028, r == 0x2029, r == 0x202F, r == 0x205F:
		return blank
	case r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060:
		return joined
	}
	return sign
}
