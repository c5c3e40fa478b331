package lexical

import "unicode"

// script is what decides how a rune's word is cut.
type script uint8

const (
	noScript     script = iota // not part of a word
	joiner                     // a mark or an invisible format character: part of whatever it follows
	digit                      // any number
	latin                      //
	cyrillic                   //
	arabicScript               //
	letter                     // of any other alphabet: words are taken as they are
	hangul                     // bigrams, and the word without its particles
	han                        // Chinese characters and kana: bigrams, written without spaces
	dense                      // Thai, Lao, Khmer, Burmese: bigrams, written without spaces
)

// isGram tells whether words of the script are cut into bigrams.
func (s script) isGram() bool { return s >= hangul }

func scriptOf(r rune) script {
	switch {
	case r < 0x80:
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			return latin
		case r >= '0' && r <= '9':
			return digit
		}
		return noScript
	case r == unicode.ReplacementChar:
		return noScript
	case r == 'ー' || r == 'ｰ' || r == 'ﾞ' || r == 'ﾟ' || r == '々' || r == '〇':
		return han
	case unicode.IsLetter(r):
		return letterScript(r)
	case unicode.IsNumber(r):
		return digit
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r) || unicode.Is(unicode.Cf, r):
		return joiner
	}
	return noScript
}

func letterScript(r rune) script {
	switch {
	case unicode.Is(unicode.Latin, r):
		return latin
	case unicode.Is(unicode.Hangul, r):
		return hangul
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo):
		return han
	case unicode.Is(unicode.Cyrillic, r):
		return cyrillic
	case unicode.Is(unicode.Arabic, r):
		return arabicScript
	case unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return dense
	}
	return letter
}
