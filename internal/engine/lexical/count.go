package lexical

import (
	"hash/maphash"
	"math"
	"strings"
)

// vocabulary numbers terms and remembers which term a word is, so that a text is counted without a look at stems or a map for most of its
// words. It belongs to a Builder, and outlives the segments that it makes.
type vocabulary struct {
	seed  maphash.Seed
	terms []string
	index map[string]uint32 // term -> its place in terms

	langs   []string // of the texts
	words   []knownWord
	held    int    // of words
	letters []byte // of all words
}

// knownWord is a word in a text of one language; a place in vocabulary.words that is empty has no length.
type knownWord struct {
	hash   uint32
	start  uint32 // in vocabulary.letters
	term   uint32 // its term's number, or stopWord
	lang   uint16
	length uint8
	script script
}

const (
	stopWord = 1<<32 - 1
	maxWord  = 48      // bytes of a word that is remembered
	maxKnown = 1 << 15 // words and terms that are remembered; more begin anew
)

func newVocabulary() *vocabulary {
	return &vocabulary{seed: maphash.MakeSeed(), index: map[string]uint32{}, words: make([]knownWord, 1<<10)}
}

// full tells whether it has grown beyond what is worth remembering.
func (v *vocabulary) full() bool { return v.held > maxKnown || len(v.terms) > maxKnown }

// language is the number of a language, of which there are few.
func (v *vocabulary) language(lang string) uint16 {
	for i, l := range v.langs {
		if l == lang {
			return uint16(i)
		}
	}
	if len(v.langs) > math.MaxUint16 {
		clear(v.words)
		v.langs, v.held, v.letters = nil, 0, v.letters[:0]
	}
	v.langs = append(v.langs, strings.Clone(lang))
	return uint16(len(v.langs) - 1)
}

// term is the number of a term.
func (v *vocabulary) term(text string) uint32 {
	i, ok := v.index[text]
	if !ok {
		text = strings.Clone(text)
		i = uint32(len(v.terms))
		v.index[text] = i
		v.terms = append(v.terms, text)
	}
	return i
}

// word is the number of a word's term, or stopWord.
func (v *vocabulary) word(word string, s script, lang uint16) uint32 {
	if len(word) > maxWord {
		return v.termOf(word, s, lang)
	}
	h := uint32(maphash.String(v.seed, word))
	mask := uint32(len(v.words) - 1)
	at := h & mask
	for ; v.words[at].length > 0; at = (at + 1) & mask {
		if w := &v.words[at]; w.hash == h && int(w.length) == len(word) && w.lang == lang && w.script == s &&
			string(v.letters[w.start:w.start+uint32(w.length)]) == word {
			return w.term
		}
	}
	term := v.termOf(word, s, lang)
	v.words[at] = knownWord{hash: h, start: uint32(len(v.letters)), term: term, lang: lang, length: uint8(len(word)), script: s}
	v.letters = append(v.letters, word...)
	if v.held++; 2*v.held > len(v.words) {
		v.grow()
	}
	return term
}

func (v *vocabulary) termOf(word string, s script, lang uint16) uint32 {
	term := stems.get(word, s, v.langs[lang])
	if term == "" {
		return stopWord
	}
	return v.term(cutTerm(term))
}

func (v *vocabulary) grow() {
	old := v.words
	v.words = make([]knownWord, 2*len(old))
	mask := uint32(len(v.words) - 1)
	for _, w := range old {
		if w.length == 0 {
			continue
		}
		at := w.hash & mask
		for v.words[at].length > 0 {
			at = (at + 1) & mask
		}
		v.words[at] = w
	}
}
