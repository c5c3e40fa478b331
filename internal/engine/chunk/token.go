package chunk

import "unicode/utf8"

// The share of a token that a character takes, by script. Measured on the vocabularies of common models: a word of Latin text
// has about 1.3 tokens and 5.7 characters with its space; Hangul, Han and Kana have about 1.2 tokens in two characters.
const (
	latinShare = 0.23
	wideShare  = 0.6
	otherShare = 0.4 // Cyrillic, Greek, Arabic, Thai ...
)

// EstimateTokens estimates how many tokens a model would see, without its vocabulary: within about a quarter for running text.
func EstimateTokens(s string) int {
	return int(weight(s) + 0.5)
}

func weight(s string) float64 {
	ascii := 0
	sum := 0.0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			ascii++
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r < 0x250:
			sum += latinShare
		case r >= 0x1100 && r < 0x1200, r >= 0x2e80 && r < 0xd800, r >= 0xf900 && r < 0xfb00, r >= 0x20000:
			sum += wideShare
		default:
			sum += otherShare
		}
	}
	return sum + float64(ascii)*latinShare
}
