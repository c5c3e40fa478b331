package lexical

import (
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// detectBytes is how much of a text tells its language; more does not tell it better.
const detectBytes = 8 << 10

// DetectLanguage guesses the language of a text (ISO 639-1) from its letters and, where several languages share them, from its stop words.
// It is "" when nothing speaks for one language: for codes, names, single words, and languages that it does not know.
func DetectLanguage(text string) string {
	if len(text) > detectBytes {
		text = strings.ToValidUTF8(text[:detectBytes], "")
	}
	var c letterCount
	ascii := 0
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf { // as most are
			ascii += int(asciiLetters[b])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		c.add(r)
		i += n
	}
	c.latin += ascii
	c.letters += ascii
	if c.letters == 0 {
		return ""
	}
	// Technical texts in Asian languages are full of Latin words; the other way round is rare. Japanese mixes kana with Chinese characters.
	switch {
	case c.hangul*5 >= c.letters && c.hangul >= c.kana:
		return "ko"
	case c.kana*10 >= c.letters:
		return "ja"
	case (c.han+c.kana)*5 >= c.letters:
		return "zh"
	case c.latin*2 >= c.letters:
		return byStopWords(text, latin)
	case c.cyrillic*2 >= c.letters:
		if c.ukrainian > 0 {
			return "uk"
		}
		return byStopWords(text, cyrillic)
	}
	for _, s := range singleScripts {
		switch {
		case c.other[s.lang]*2 < c.letters:
		case s.lang == "ar" && c.persian*50 >= c.letters:
			return "fa"
		default:
			return s.lang
		}
	}
	return ""
}

// singleScripts are alphabets that, of the languages known here, only one is written in. Arabic letters are Arabic unless Persian ones are among them.
var singleScripts = []struct {
	lang  string
	table *unicode.RangeTable
}{
	{"ar", unicode.Arabic}, {"el", unicode.Greek}, {"he", unicode.Hebrew}, {"hi", unicode.Devanagari}, {"th", unicode.Thai}, {"ta", unicode.Tamil},
	{"bn", unicode.Bengali}, {"ka", unicode.Georgian}, {"hy", unicode.Armenian}, {"km", unicode.Khmer}, {"lo", unicode.Lao}, {"my", unicode.Myanmar},
}

// letterCount counts letters by what they say about the language.
type letterCount struct {
	letters, latin, hangul, han, kana int
	cyrillic, ukrainian               int // all, and those that Russian does not have
	persian                           int // those that Arabic does not have
	other                             map[string]int
}

func (c *letterCount) add(r rune) {
	switch s := scriptOf(r); {
	case s == noScript || s == digit || s == joiner:
		return
	case s == latin:
		c.latin++
	case s == cyrillic:
		c.cyrillic++
		if strings.ContainsRune("іїєґІЇЄҐ", r) {
			c.ukrainian++
		}
	case s == hangul:
		c.hangul++
	case s == han && unicode.Is(unicode.Han, r):
		c.han++
	case s == han:
		c.kana++
	default:
		for _, o := range singleScripts {
			if unicode.Is(o.table, r) {
				if c.other == nil {
					c.other = map[string]int{}
				}
				if strings.ContainsRune("پچژگ", r) {
					c.persian++
				}
				c.other[o.lang]++
				break
			}
		}
	}
	c.letters++
}

// byStopWords is the language whose stop words the text has most of, if it has clearly more than the next.
func byStopWords(text string, s script) string {
	known := spokenBy()
	alphabet := known.latin
	if s == cyrillic {
		alphabet = ^known.latin
	}
	var count [64]int
	words := 0
	for at := 0; ; {
		start, end, ascii := nextWord(text, at)
		if start == end {
			break
		}
		at = end
		words++
		for set := known.sayers(text, start, end, ascii) & alphabet; set != 0; set &= set - 1 {
			count[bits.TrailingZeros64(set)]++
		}
	}
	best, first, second := "", 0, 0
	for lang, name := range known.langs {
		switch n := count[lang]; {
		case n > first:
			best, first, second = name, n, first
		case n > second:
			second = n
		}
	}
	if first == second || first*20 < words {
		return ""
	}
	return best
}

// nextWord is the next stretch of letters and apostrophes from at on; it is empty when there is none.
func nextWord(text string, at int) (start, end int, ascii bool) {
	ascii = true
	for start = at; start < len(text) && asciiWords[text[start]] == 0; start++ {
		if text[start] >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(text[start:])
			if unicode.IsLetter(r) {
				break
			}
			start += n - 1
		}
	}
	for end = start; end < len(text); {
		if b := text[end]; b < utf8.RuneSelf {
			if asciiWords[b] == 0 {
				break
			}
			end++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[end:])
		if !unicode.IsLetter(r) {
			break
		}
		ascii = false
		end += n
	}
	return start, end, ascii
}

// asciiLetters has 1 for letters, asciiWords also for the apostrophe.
var asciiLetters, asciiWords = func() (letters, words [256]uint8) {
	for c := range letters {
		if isASCIILetter(byte(c)) {
			letters[c], words[c] = 1, 1
		}
	}
	words['\''] = 1
	return letters, words
}()

func isASCIILetter(c byte) bool { return isLower(c | 0x20) }

// spoken are the languages with stop words, and which of them have which word, as bits.
type spoken struct {
	langs   []string // sorted
	latin   uint64   // those in Latin letters
	by      map[string]uint64
	longest int // more bytes than a word has in whose lower case there is a stop word

	short     [1 << 13]shortWord // words of ASCII letters in lower case, by their hash; a place without languages is empty
	longASCII int                // bytes of the longest of them
}

// shortWord is a word of at most 16 bytes, filled up with zeros.
type shortWord struct {
	word  [2]uint64
	langs uint64
}

var spokenBy = sync.OnceValue(func() *spoken {
	k := &spoken{by: map[string]uint64{}}
	k.langs = slices.Sorted(maps.Keys(stopWords())) // fewer than 64, a test says
	for i, lang := range k.langs {
		if lang != "ru" {
			k.latin |= 1 << i
		}
		for w := range stopWords()[lang] {
			k.by[w] |= 1 << i
			k.longest = max(k.longest, 3*len(w)) // capitals may take three bytes where small letters take one
		}
	}
	for w, langs := range k.by {
		if _, end, ascii := nextWord(w, 0); !ascii || end < len(w) || len(w) > 16 {
			continue // of which no text has one in ASCII letters
		}
		k.longASCII = max(k.longASCII, len(w))
		key := packWord(w, 0, len(w))
		at := hashWord(key)
		for k.short[at].langs != 0 {
			at = (at + 1) % uint64(len(k.short))
		}
		k.short[at] = shortWord{key, langs}
	}
	return k
})

// sayers are the languages of which a word of the text is a stop word.
func (k *spoken) sayers(text string, start, end int, ascii bool) uint64 {
	if !ascii {
		if end-start > k.longest {
			return 0
		}
		return k.by[lower(text[start:end])]
	}
	if end-start > k.longASCII {
		return 0
	}
	key := packWord(text, start, end)
	for at := hashWord(key); k.short[at].langs != 0; at = (at + 1) % uint64(len(k.short)) {
		if k.short[at].word == key {
			return k.short[at].langs
		}
	}
	return 0
}

// packWord is a word of at most 16 ASCII letters and apostrophes, in lower case.
func packWord(text string, start, end int) (key [2]uint64) {
	for i := start; i < end; i++ {
		key[(i-start)>>3] |= uint64(text[i]|0x20) << (8 * ((i - start) & 7))
	}
	return key
}

func hashWord(key [2]uint64) uint64 {
	return (key[0]*0x9e3779b97f4a7c15 ^ key[1]*0xc2b2ae3d27d4eb4f) >> (64 - 13)
}
