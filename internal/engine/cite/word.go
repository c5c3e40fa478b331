package cite

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/lexical"
)

// word is a word of a text as it is compared: letters, or a number's digits with their separators, or a sign such as %.
type word struct {
	s          string // lower case
	start, end int
	term       string // as lexical makes it; empty for words that say nothing alone
	upper      bool   // begins with a capital
	first      bool   // of a sentence, so that a capital says nothing
	digits     bool
}

// scan cuts a text into words.
func scan(text string) []word {
	var words []word
	first := true
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case unicode.IsDigit(r):
			end := i + n
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if !unicode.IsDigit(r) {
					rest := text[end+n:]
					if r != '.' && r != ',' || rest == "" || rest[0] < '0' || rest[0] > '9' {
						break
					}
				}
				end += n
			}
			words = append(words, word{s: text[i:end], start: i, end: end, digits: true, first: first})
			i, first = end, false
		case unicode.IsLetter(r):
			end := i + n
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if !unicode.IsLetter(r) && !unicode.IsMark(r) {
					if r != '\'' && r != '’' {
						break
					}
					if next, _ := utf8.DecodeRuneInString(text[end+n:]); !unicode.IsLetter(next) {
						break
					}
				}
				end += n
			}
			w := word{s: strings.ReplaceAll(strings.ToLower(text[i:end]), "’", "'"), start: i, end: end, upper: unicode.IsUpper(r), first: first}
			words = append(words, w)
			i, first = end, false
		default:
			if strings.ContainsRune("%$€£¥₩‰", r) {
				words = append(words, word{s: string(r), start: i, end: i + n})
			}
			if strings.ContainsRune(".!?:\n|•\"“", r) {
				first = first || r != '.' || endsSentence(text, i)
			}
			i += n
		}
	}
	return words
}

// endsSentence tells whether the period at i is more than that of an initial or abbreviation of one or two letters.
func endsSentence(text string, i int) bool {
	at := strings.LastIndexFunc(text[:i], func(r rune) bool { return !unicode.IsLetter(r) })
	return i-at-1 > 2
}

// terms gives each word its term, and the set of all terms of the text, which has more: parts, bigrams.
func terms(text string, words []word) map[string]bool {
	set := map[string]bool{}
	tokens := lexical.Analyze(text, language(text))
	k := 0
	for _, t := range tokens {
		set[t.Term] = true
		for k < len(words) && words[k].start < t.Start {
			k++
		}
		if k < len(words) && words[k].start == t.Start && words[k].term == "" {
			words[k].term = t.Term
		}
	}
	return set
}

// language is what a text is analysed as: claims are too short to tell more than the script.
func language(text string) string {
	for _, r := range text {
		if unicode.Is(unicode.Hangul, r) {
			return "ko"
		}
	}
	return "en"
}
