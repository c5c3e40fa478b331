package lexical

import (
	"iter"
	"maps"
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
	for _, r := range text {
		if r < utf8.RuneSelf { // as most are
			if r |= 0x20; r >= 'a' && r <= 'z' {
				c.latin++
				c.letters++
			}
			continue
		}
		c.add(r)
	}
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
	count := make([]int, len(known.langs))
	words := 0
	for w := range letterWords(text) {
		words++
		if len(w) > known.longest {
			continue
		}
		for _, lang := range known.by[lower(w)] {
			if (known.langs[lang] == "ru") == (s == cyrillic) {
				count[lang]++
			}
		}
	}
	best, first, second := "", 0, 0
	for lang, n := range count {
		switch {
		case n > first:
			best, first, second = known.langs[lang], n, first
		case n > second:
			second = n
		}
	}
	if first == second || first*20 < words {
		return ""
	}
	return best
}

// letterWords gives the stretches of letters and apostrophes.
func letterWords(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := -1
		for i, r := range text {
			if r < utf8.RuneSelf && isASCIILetter(byte(r)) || r == '\'' || r >= utf8.RuneSelf && unicode.IsLetter(r) {
				if start < 0 {
					start = i
				}
				continue
			}
			if start >= 0 && !yield(text[start:i]) {
				return
			}
			start = -1
		}
		if start >= 0 {
			yield(text[start:])
		}
	}
}

func isASCIILetter(c byte) bool { return isLower(c | 0x20) }

// spoken are the languages with stop words.
type spoken struct {
	langs   []string         // sorted
	by      map[string][]int // stop word -> places in langs: one look-up for all
	longest int              // more bytes than a word has in whose lower case there is a stop word
}

var spokenBy = sync.OnceValue(func() spoken {
	k := spoken{by: map[string][]int{}}
	k.langs = slices.Sorted(maps.Keys(stopWords()))
	for i, lang := range k.langs {
		for w := range stopWords()[lang] {
			k.by[w] = append(k.by[w], i)
			k.longest = max(k.longest, 3*len(w)) // capitals may take three bytes where small letters take one
		}
	}
	return k
})
