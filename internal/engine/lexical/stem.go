package lexical

import (
	"hash/maphash"
	"strings"
	"sync"

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
// It holds those of a library on one subject, some 20,000, for the most part; it takes a megabyte.
// What it gives does not depend on what it holds.
type stemCache struct {
	seed    maphash.Seed
	entries [1 << 14]stemEntry
}

type stemEntry struct {
	word, lang, term string
	script           script
}

// stemCaches lends caches to the calls of Analyze that run at the same time.
var stemCaches = sync.Pool{New: func() any { return &stemCache{seed: maphash.MakeSeed()} }}

func (c *stemCache) get(word string, s script, lang string) string {
	if len(word) > maxStem {
		return termOf(word, s, lang)
	}
	e := &c.entries[maphash.String(c.seed, word)%uint64(len(c.entries))]
	if e.word != word || e.script != s || e.lang != lang {
		own := strings.Clone(word) // not to hold the text
		if e.lang != lang {
			e.lang = strings.Clone(lang)
		}
		e.word, e.term, e.script = own, termOf(own, s, lang), s
	}
	return e.term
}
