package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"github.com/clipperhouse/uax29/v2/sentences"
)

// Span is a stretch of a text in UTF-8 bytes.
type Span struct {
	Start, End int
}

// Sentences finds the sentences of a text by UAX #29, joined again where that rule is known to cut wrongly: behind
// abbreviations and initials, and at line ends, which are no ends of sentences in running text. Spans have no white space
// around them and cover every other byte.
func Sentences(text string) []Span {
	var out []Span
	open := false // the last span goes on
	it := sentences.FromString(text)
	at := 0
	for it.Next() {
		s := it.Value()
		start, end := at, at+len(s)
		at = end
		for start < end && isSpace(text[start]) {
			start++
		}
		for end > start && isSpace(text[end-1]) {
			end--
		}
		if start == end {
			if strings.Count(s, "\n") > 1 {
				open = false
			}
			continue
		}
		if open {
			out[len(out)-1].End = end
		} else {
			out = append(out, Span{start, end})
		}
		open = goesOn(text[out[len(out)-1].Start:end], text[at:]) && !strings.HasSuffix(s, "\n\n")
	}
	return out
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// goesOn tells whether a sentence goes on behind what was found of it.
func goesOn(found, rest string) bool {
	last, size := utf8.DecodeLastRuneInString(found)
	if !isEnd(last) {
		if last == '"' || last == '\'' || last == '”' || last == '’' || last == ')' || last == ']' || last == '»' {
			before, _ := utf8.DecodeLastRuneInString(found[:len(found)-size])
			if isEnd(before) {
				return false
			}
		}
		// Cut at a line's end, not at a sentence's. A next line that begins like an item or a table is another thing.
		next := strings.TrimLeft(rest, " \t\n\r")
		return next != "" && !strings.HasPrefix(next, "|") && !strings.HasPrefix(next, "- ")
	}
	if last != '.' {
		return false
	}
	word := found[strings.LastIndexFunc(found[:len(found)-1], func(r rune) bool { return unicode.IsSpace(r) || r == '(' })+1:]
	return abbreviations[strings.ToLower(word)] || isInitial(word)
}

func isEnd(r rune) bool {
	switch r {
	case '.', '!', '?', '…', '。', '！', '？', '．', '؟', '।':
		return true
	}
	return false
}

// isInitial is a single capital with its dot, as in names.
func isInitial(word string) bool {
	r, n := utf8.DecodeRuneInString(word)
	return n+1 == len(word) && unicode.IsUpper(r)
}

// abbreviations that do not end a sentence.
var abbreviations = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`mr. mrs. ms. dr. prof. st. jr. sr. vs. e.g. i.e. cf. approx. dept. est. fig. figs. no. nos. vol. p. pp. ch. sec. eq.
		al. gen. col. sgt. capt. rev. hon. gov. sen. rep. jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov. dec. ca. bzw. z.b. d.h. u.a. nr. art. abs. inkl. ggf. vgl. bspw. m. mme. mlle.`) {
		m[w] = true
	}
	return m
}()

// hard cuts what is too long for a passage and has no sentences: at white space, else between graphemes.
func hard(s string) []Span {
	var out []Span
	start, space := 0, -1
	size := 0.0
	it := graphemes.FromString(s)
	at := 0
	for it.Next() {
		g := it.Value()
		if g == " " || g == "\n" || g == "\t" {
			space = at
		}
		size += weight(g)
		at += len(g)
		if size < target {
			continue
		}
		end := at
		if space > start {
			end = space
		}
		out = appendTrimmed(out, s, start, end)
		start, space = end, -1
		size = 0
		for i := start; i < at; {
			_, n := utf8.DecodeRuneInString(s[i:])
			size += weight(s[i : i+n])
			i += n
		}
	}
	return appendTrimmed(out, s, start, len(s))
}

func appendTrimmed(out []Span, s string, start, end int) []Span {
	for start < end && isSpace(s[start]) {
		start++
	}
	for end > start && isSpace(s[end-1]) {
		end--
	}
	if start < end {
		out = append(out, Span{start, end})
	}
	return out
}
