package lexical

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/arabic"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
	"github.com/blevesearch/snowballstem/turkish"
)

// maxStem is the length in bytes over which a word is left as it is: no word of these languages is longer, and some stemmers are quadratic.
const maxStem = 64

// stemmer is the snowball stemmer of a language that is written in Latin letters, nil for other languages.
func stemmer(lang string) func(*snowballstem.Env) bool {
	switch lang {
	case "da":
		return danish.Stem
	case "de":
		return german.Stem
	case "en":
		return english.Stem
	case "es":
		return spanish.Stem
	case "fi":
		return finnish.Stem
	case "fr":
		return french.Stem
	case "hu":
		return hungarian.Stem
	case "it":
		return italian.Stem
	case "nl":
		return dutch.Stem
	case "no":
		return norwegian.Stem
	case "pt":
		return portuguese.Stem
	case "ro":
		return romanian.Stem
	case "sv":
		return swedish.Stem
	case "tr":
		return turkish.Stem
	}
	return nil
}

// latinLanguage is the language whose stemmer and stop words serve the Latin words of a text in lang: its own, or English.
func latinLanguage(lang string) string {
	if stemmer(lang) != nil {
		return lang
	}
	return "en"
}

// cyrillicLanguages and arabicLanguages have those letters, but neither the grammar of Russian nor of Arabic.
const (
	cyrillicLanguages = " be bg kk ky mk mn sr tg uk "
	arabicLanguages   = " fa ps ug ur "
)

// stem is the stem of a lower case word of one script, in a text in lang.
func stem(word string, s script, lang string) string {
	var f func(*snowballstem.Env) bool
	switch {
	case len(word) > maxStem:
		return word
	case s == latin:
		f = stemmer(latinLanguage(lang))
	case s == cyrillic && !strings.Contains(cyrillicLanguages, " "+lang+" "):
		f = russian.Stem
	case s == arabicScript && !strings.Contains(arabicLanguages, " "+lang+" "):
		f = arabic.Stem
	default:
		return word
	}
	env := snowballstem.NewEnv(word)
	f(env)
	if env.Current() == "" {
		return word
	}
	return env.Current()
}

// baseLanguage is the language of a tag such as pt-BR, with Norwegian's two forms as one.
func baseLanguage(tag string) string {
	if i := strings.IndexAny(tag, "-_"); i >= 0 {
		tag = tag[:i]
	}
	tag = strings.ToLower(tag)
	if tag == "nb" || tag == "nn" {
		return "no"
	}
	return tag
}

// stemCache remembers the terms of the words seen last: a text has few words, again and again, and a stemmer takes a microsecond for each.
// It holds most words of a library on one subject, in a megabyte or two. All calls of Analyze share it; what they get does not depend on
// what it holds.
type stemCache struct {
	seed    maphash.Seed
	entries [1 << 14]atomic.Pointer[stemEntry]
}

type stemEntry struct {
	word, lang, term string
	script           script
}

var stems = stemCache{seed: maphash.MakeSeed()}

// get is termOf. A word has two places; a new one takes the first that is free, or either.
func (c *stemCache) get(word string, s script, lang string) string {
	if len(word) > maxStem {
		return termOf(word, s, lang)
	}
	h := maphash.String(c.seed, word)
	at := h % uint64(len(c.entries))
	for i := range uint64(2) {
		if e := c.entries[at^i].Load(); e == nil {
			h = i << 63
			break
		} else if e.word == word && e.script == s && e.lang == lang {
			return e.term
		}
	}
	own := strings.Clone(word) // not to hold the text
	e := &stemEntry{word: own, lang: keptLanguage(lang), term: termOf(own, s, lang), script: s}
	if strings.HasPrefix(own, e.term) {
		e.term = own[:len(e.term)]
	}
	c.entries[at^h>>63].Store(e)
	return e.term
}

// keptLanguage is a copy of a language that is not part of a text; of those with stemmers there is one for all words.
func keptLanguage(lang string) string {
	if known := latinLanguage(lang); known == lang {
		return known
	}
	return strings.Clone(lang)
}
