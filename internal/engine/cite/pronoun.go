package cite

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pronouns that may be replaced at the begin of a sentence by what they stand for. Possessives take an "'s" along.
var (
	pronouns    = strings.Fields("it they he she 그는 그녀는 그들은 이들은 그것은 이것은")
	possessives = strings.Fields("its their his her")
)

// named is how far before a claim, in bytes, what its pronoun stands for must have been named.
const named = 1200

// LeadingPronoun finds a pronoun at the begin of a sentence, or behind the connective there: where it stands, and what it is.
func LeadingPronoun(quote string) (at int, pronoun string, ok bool) {
	at = connectiveEnd(quote)
	pronoun, _, spaced := strings.Cut(quote[at:], " ")
	low := strings.ToLower(pronoun)
	return at, pronoun, spaced && (slices.Contains(pronouns, low) || slices.Contains(possessives, low))
}

// Resolve gives the edits that put what a leading pronoun stands for in its place, in brackets; a connective before it goes. The
// name must stand word for word in the text before the sentence, but for the case of its first letter.
func Resolve(quote, name string) (edits []Edit, ok bool) {
	at, pronoun, ok := LeadingPronoun(quote)
	if !ok || !bracketable(name) {
		return nil, false
	}
	put := name
	if slices.Contains(possessives, strings.ToLower(pronoun)) {
		put += "'s"
		if strings.HasSuffix(name, "s") {
			put = name + "'"
		}
	}
	if at > 0 {
		edits = append(edits, Edit{Kind: Connective, Drop: quote[:at]})
	}
	return append(edits, Edit{Kind: Pronoun, At: at, Drop: pronoun, Put: "[" + put + "]"}), true
}

// bracketable tells whether a name can stand in brackets: on one line, with no mark that Markdown would read.
func bracketable(name string) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) >= 2 && name == strings.TrimSpace(name) && !strings.ContainsAny(name, "*_`[]<>\\|~&{}()!#\n")
}

// resolves tells whether an edit does nothing but put a name in brackets for a leading pronoun; before is the text before the quote.
func (e Edit) resolves(before, quote string) bool {
	at, pronoun, ok := LeadingPronoun(quote)
	if !ok || e.At != at || e.Drop != pronoun || !strings.HasPrefix(e.Put, "[") || !strings.HasSuffix(e.Put, "]") || len(e.Put) < 3 {
		return false
	}
	name := e.Put[1 : len(e.Put)-1]
	if slices.Contains(possessives, strings.ToLower(pronoun)) {
		if n, has := strings.CutSuffix(name, "'s"); has {
			name = n
		} else if name, has = strings.CutSuffix(name, "'"); !has || !strings.HasSuffix(name, "s") {
			return false
		}
	}
	return bracketable(name) && standsIn(before, name)
}

// standsIn tells whether a name stands near the end of a text as whole words. Line breaks count as spaces, and the first letter may
// be small or a capital.
func standsIn(text, name string) bool {
	if len(text) > named {
		cut := len(text) - named
		for cut < len(text) && !border(text, cut) {
			cut++
		}
		text = text[cut:]
	}
	text = strings.Join(strings.Fields(text), " ")
	first, n := utf8.DecodeRuneInString(name)
	for _, r := range []rune{unicode.ToLower(first), unicode.ToUpper(first)} {
		want := string(r) + name[n:]
		for at := 0; ; {
			i := strings.Index(text[at:], want)
			if i < 0 {
				break
			}
			at += i
			left, _ := utf8.DecodeLastRuneInString(text[:at])
			right, _ := utf8.DecodeRuneInString(text[at+len(want):])
			if !isLetter(left) && !isLetter(right) {
				return true
			}
			at += len(want)
		}
	}
	return false
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
