package lexical

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"
	"golang.org/x/text/unicode/norm"
)

// Token is one occurrence of a term in a text.
type Token struct {
	Term       string // NFKC, lower case, stemmed; at most 128 bytes
	Start, End int    // byte offsets in the original text, on rune borders; Start < End
	Pos        int    // place in the sequence of words, from 0; a word and its first part share one
}

// maxTerm is the length of a term in bytes; longer words are found by as much of their beginning.
const maxTerm = 128

// Analyze cuts a text into the terms that it can be found by, in text order. lang is the text's language (ISO 639-1, or a tag such as pt-BR;
// see [DetectLanguage]); it chooses the stemmer and stop words of Latin words (English for languages without Latin letters and unknown ones).
//
// Words of Korean, Chinese, Japanese, Thai, Lao, Khmer and Burmese become bigrams; Korean words also stand without their particles.
// Codes, versions, addresses and identifiers (ERR-1042, v1.61.1, a@b.org, maxTerm) stand whole and in parts, so that tokens may overlap.
func Analyze(text, lang string) []Token {
	return analyze(text, lang, false)
}

func analyze(text, lang string, query bool) []Token {
	a := analysis{text: text, lang: baseLanguage(lang), query: query}
	a.tokens = make([]Token, 0, len(text)/6+4)
	a.walk()
	return a.tokens
}

// analysis is the state of one call.
type analysis struct {
	text   string
	lang   string
	query  bool // leave out what is only there to be found: parts of camelCase, bigrams over particles
	tokens []Token
	pos    int

	counts   *Builder // takes the terms in the place of tokens
	language uint16   // its vocabulary's number of lang

	current  run // being collected
	wordEnd  int // where the last alphabetic run ended: a particle may follow at once
	prepared normalized
}

// run is a stretch of the text that is cut in one way: an alphabetic one with its inner punctuation, or one of a script of bigrams.
type run struct {
	start, end int
	script     script // latin stands for all alphabets and digits; noScript: empty
	joined     bool   // a single connector follows at end, and the run goes on if a word comes next
}

// walk goes over the text. Words of ASCII letters that stand alone, as most do, are taken as they are.
func (a *analysis) walk() {
	a.wordEnd = -1
	for at := 0; at < len(a.text); {
		switch c := a.text[at]; {
		case isASCIISpace(c) && a.beforeASCII(at), (c == '(' || c == '"') && a.beforeASCII(at):
			at++
			continue
		case isASCIILetter(c):
			if end := a.plainWord(at); end > 0 {
				at = end
				continue
			}
		}
		end := at + 1
		for end < len(a.text) && !(isASCIISpace(a.text[end]) && a.beforeASCII(end)) {
			end++
		}
		a.segments(at, end)
		at = end
	}
}

func isASCIISpace(c byte) bool { return c == ' ' || c == '\n' }

// beforeASCII tells whether what follows the byte at i does not belong to it, as a mark might.
func (a *analysis) beforeASCII(i int) bool {
	return i+1 == len(a.text) || a.text[i+1] < utf8.RuneSelf
}

// plainWord takes a word of ASCII letters with white space, a sign and white space, or nothing behind it. It gives its end, or that
// of the sign; 0 when it is something else, or camelCase. The run before it has ended.
func (a *analysis) plainWord(at int) int {
	text, end := a.text, at+1
	for end < len(text) && isLower(text[end]) {
		end++
	}
	after := end
	if after < len(text) {
		switch text[after] {
		case '.', ',', ';', ':', '!', '?', ')', '"':
			after++
		}
	}
	if after < len(text) && !isASCIISpace(text[after]) {
		return 0
	}
	a.prepared = normalized{s: text[at:end], base: at}
	a.word(0, end-at, latin)
	a.wordEnd = end
	return after
}

// segments goes over the words of a part of the text by Unicode's segmentation, and puts those together that are one code or address, or
// one run of bigrams.
func (a *analysis) segments(start, end int) {
	for it := words.FromString(a.text[start:end]); it.Next(); {
		a.segment(start+it.Start(), start+it.End())
	}
	a.flush()
}

// segment takes one segment: letters are added to the current run, a single connector may be inside one, and everything else ends it.
func (a *analysis) segment(start, end int) {
	s := a.text[start:end]
	if len(s) == 1 && s[0] == ' ' {
		a.flush()
		return
	}
	if isASCIIAlnum(s) {
		a.extend(start, end, latin)
		return
	}
	if r, n := utf8.DecodeRuneInString(s); n == len(s) && isConnector(r) {
		if a.current.script == latin && !a.current.joined {
			a.current.joined = true
			return
		}
	}
	for i, r := range s {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(s[i:])
		}
		switch sc := scriptOf(r); {
		case sc == joiner && a.current.end == start+i:
			a.current.end += n
		case sc == noScript && n < len(s) && i > 0 && i+n < len(s) && a.current.script == latin:
			// inner punctuation that the segmentation takes as part of the word: don't, 3.14, snake_case
			a.extend(start+i, start+i+n, latin)
		case sc == noScript || sc == joiner:
			a.flush()
		case sc.isGram():
			a.extend(start+i, start+i+n, sc)
		default:
			a.extend(start+i, start+i+n, latin)
		}
	}
}

func isASCIIAlnum(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// isConnector tells whether a single r between two words makes them one code, address or compound.
func isConnector(r rune) bool {
	switch r {
	case '-', '_', '.', '@', '/', ':', '+', '#', '&', '\'', '‐', '‑', '’':
		return true
	}
	return false
}

// extend adds text[start:end] to the current run, or begins a new one.
func (a *analysis) extend(start, end int, s script) {
	r := &a.current
	if r.script == s && (r.end == start || r.joined) {
		r.end, r.joined = end, false
		return
	}
	a.flush()
	a.current = run{start: start, end: end, script: s}
}

// flush cuts the current run into tokens.
func (a *analysis) flush() {
	r := a.current
	a.current = run{}
	switch {
	case r.script == noScript:
	case r.script.isGram():
		a.grams(r)
	default:
		a.compound(a.withSuffix(r))
		a.wordEnd = r.end
	}
}

// emit adds a token of normalized bytes i to j of the prepared run; the term is already what it should be.
func (a *analysis) emit(term string, i, j, pos int) {
	if a.counts != nil {
		a.counts.tally(a.counts.vocabulary.term(cutTerm(term)))
		return
	}
	start, end := a.prepared.span(i, j)
	a.tokens = append(a.tokens, Token{Term: cutTerm(term), Start: start, End: end, Pos: pos})
}

// cutTerm is the beginning of a term that is too long.
func cutTerm(term string) string {
	if len(term) <= maxTerm {
		return term
	}
	n := maxTerm
	for !utf8.RuneStart(term[n]) {
		n--
	}
	return strings.Clone(term[:n])
}

// normalized is a run in NFKC, without invisible format characters, with the way back to the original.
type normalized struct {
	s      string
	base   int     // offset of the run in the text
	at, to []int32 // where in the run the source of each byte of s starts and ends; nil when s is the run itself
}

func (n *normalized) span(i, j int) (start, end int) {
	if n.at == nil {
		return n.base + i, n.base + j
	}
	return n.base + int(n.at[i]), n.base + int(n.to[j-1])
}

func normalize(text string, start, end int) normalized {
	s := text[start:end]
	if isPlain(s) {
		return normalized{s: s, base: start}
	}
	var out []byte
	var at, to []int32
	for i := 0; i < len(s); {
		n := norm.NFKC.NextBoundaryInString(s[i:], true)
		if n <= 0 {
			n = len(s) - i
		}
		for _, r := range norm.NFKC.String(s[i : i+n]) {
			if unicode.Is(unicode.Cf, r) {
				continue
			}
			before := len(out)
			out = utf8.AppendRune(out, r)
			for range len(out) - before {
				at, to = append(at, int32(i)), append(to, int32(i+n))
			}
		}
		i += n
	}
	return normalized{s: string(out), base: start, at: at, to: to}
}

// isPlain tells whether s is its own normal form.
func isPlain(s string) bool {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return true
	}
	for _, r := range s {
		if unicode.Is(unicode.Cf, r) {
			return false
		}
	}
	return norm.NFKC.IsNormalString(s)
}
