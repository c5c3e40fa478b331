package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a piece of a text, in UTF-8 byte offsets.
type Span struct{ Start, End int }

// Sentences finds the sentences of a text: spans in order, without white space around them, that hold every other rune.
// A sentence ends behind . ! ? … and their like in other scripts, with the quotes, brackets, emphasis and footnote marks
// that close there, when what follows may begin another one; and at a blank line. It does not end behind abbreviations,
// initials, ordinals and list numbers (Dr. e.g. z.B. J. 3.14 1.), nor at the end of a line.
//
// UAX #29 would end sentences at line ends and behind abbreviations, and known implementations take quadratic time for a
// period before many spaces; this takes linear time.
func Sentences(text string) []Span {
	var spans []Span
	for at := 0; ; {
		var s Span
		if s, at = next(text, at); s.Start == s.End {
			return spans
		}
		spans = append(spans, s)
	}
}

// next finds the first sentence at or behind an offset, and where to look for the one behind it.
func next(text string, at int) (s Span, after int) {
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !unicode.IsSpace(r) {
			break
		}
		at += n
	}
	start := at
	for at < len(text) {
		if !mayEnd(text[at]) {
			at++
			continue
		}
		end, ends := endAt(text, start, at)
		if ends {
			return Span{start, start + len(strings.TrimRightFunc(text[start:end], unicode.IsSpace))}, end
		}
		at = end
	}
	return Span{start, start + len(strings.TrimRightFunc(text[start:], unicode.IsSpace))}, len(text)
}

// mayEnd tells the bytes that begin a rune at which a sentence can end.
func mayEnd(c byte) bool {
	switch c {
	case '.', '!', '?', '\n', 0xD8, 0xDB, 0xE0, 0xE1, 0xE2, 0xE3, 0xEF:
		return true
	}
	return false
}

// strength of a sign at the end of sentences.
type strength uint8

const (
	none   strength = iota
	period          // . which has other uses
	loose           // ! ? … which end a sentence unless a small letter follows
	firm            // 。 and others that have no other use
)

func strengthOf(r rune) strength {
	switch r {
	case '.':
		return period
	case '!', '?', '…', '‼', '⁇', '⁈', '⁉', '؟', '‽':
		return loose
	case '。', '！', '？', '．', '｡', '।', '॥', '۔', '።', '។', '။':
		return firm
	}
	return none
}

// endAt tells whether the sentence from start ends at the sign at an offset, and behind it: where it ends, or where to look on.
func endAt(text string, start, at int) (end int, ends bool) {
	if text[at] == '\n' {
		return at + 1, isBlankLine(text[at+1:])
	}
	most, dots := none, 0
	k := at
	for k < len(text) {
		r, n := utf8.DecodeRuneInString(text[k:])
		s := strengthOf(r)
		if s == none {
			if k == at {
				return k + n, false
			}
			break
		}
		most = max(most, s)
		dots++
		k += n
	}
	if most == period && dots > 1 {
		most = loose // an ellipsis
	}
	k, closer := closers(text, k)
	if k == len(text) {
		return k, true
	}
	follows, n := utf8.DecodeRuneInString(text[k:])
	if !unicode.IsSpace(follows) {
		return k, endsBeforeLetter(text, at, most, closer, follows)
	}
	rest := strings.TrimLeft(text[k+n:], " \t\u00A0\u3000")
	if follows != '\n' && strings.HasPrefix(rest, "\n") {
		rest = rest[1:]
		follows = '\n'
	}
	if follows == '\n' && isBlankLine(rest) || most == firm {
		return k, true
	}
	rest = strings.TrimLeft(rest, " \t>")
	return k, !goesOn(text[start:at], most, rest)
}

// isBlankLine tells whether only white space stands before the next line end.
func isBlankLine(rest string) bool {
	rest = strings.TrimLeft(rest, " \t\r")
	return rest == "" || rest[0] == '\n'
}

// closers takes what closes behind the end of a sentence: quotes, brackets, emphasis, footnote marks. closer is the last.
func closers(text string, k int) (end int, closer rune) {
	for k < len(text) {
		r, n := utf8.DecodeRuneInString(text[k:])
		switch {
		case strings.ContainsRune(`)]}"'*_`+"`"+`”’»›」』）】〉》〗］`, r), r >= '⁰' && r <= '⁹', r == '¹', r == '²', r == '³':
			closer = r
			k += n
			continue
		case strings.ContainsRune("«‹“‘", r) && !startsWord(text[k+n:]): // German closes with these
			closer = r
			k += n
			continue
		case r == ' ' || r == '\u00A0' || r == '\u202F': // French sets a space before »
			if w := len("»"); strings.HasPrefix(text[k+n:], "»") && !startsWord(text[k+n+w:]) {
				closer = '»'
				k += n + w
				continue
			}
		case r == '[':
			if n := footnote(text[k:]); n > 0 {
				k += n
				continue
			}
		}
		break
	}
	return k, closer
}

func startsWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// footnote is the width of a mark such as [^1] or [12] at the start of s, 0 when there is none.
func footnote(s string) int {
	const longest = 24
	end := strings.IndexByte(s[:min(len(s), longest)], ']')
	if end < 2 {
		return 0
	}
	if label := s[1:end]; label[0] == '^' || strings.Trim(label, "0123456789, ") == "" {
		if !strings.HasPrefix(s[end+1:], "(") && !strings.HasPrefix(s[end+1:], ":") {
			return end + 1
		}
	}
	return 0
}

// endsBeforeLetter tells whether a sentence ends although no space follows, as in scripts that need none.
func endsBeforeLetter(text string, at int, most strength, closer, follows rune) bool {
	switch most {
	case firm:
		// 「…。」と言った goes on behind the quote.
		quoted := closer == '」' || closer == '』' || closer == '”'
		return !(quoted && strings.ContainsRune("とっがのをはもにで", follows))
	case period:
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		return isDense(before) && isDense(follows)
	}
	return isDense(follows)
}

// isDense tells the letters of scripts whose sentences may follow each other without a space.
func isDense(r rune) bool {
	return r >= 0x3041 && r < 0xA000 || r >= 0xAC00 && r < 0xD7B0
}

// goesOn tells whether a sentence goes on behind its sign and a space: before is what it has so far, rest what follows.
func goesOn(before string, most strength, rest string) bool {
	if rest == "" {
		return false
	}
	first, _ := utf8.DecodeRuneInString(rest)
	if strings.ContainsRune(",;:)]", first) {
		return true
	}
	rest = strings.TrimLeft(rest[:min(len(rest), 64)], "\"'“”‘’«»‹›„‚([{*_`¿¡—–-")
	first, _ = utf8.DecodeRuneInString(rest)
	return unicode.IsLower(first) || most == period && isAbbreviation(before, first, rest)
}

// isAbbreviation tells whether the period behind before belongs to its last word. first and rest are what follows it.
func isAbbreviation(before string, first rune, rest string) bool {
	word := lastWord(before)
	if word == "" {
		return false
	}
	if strings.Trim(word, "0123456789") == "" {
		return len(word) <= 3 && len(word) == len(before) || len(word) <= 2 && isMonth(firstWord(rest))
	}
	opens := unicode.IsUpper(first) || unicode.IsDigit(first) || first == '§'
	if initial, n := utf8.DecodeRuneInString(word); n == len(word) && unicode.IsUpper(initial) {
		return opens && !isStarter(firstWord(rest))
	}
	switch kindOf(strings.ToLower(word)) {
	case always:
		return true
	case beforeNumber:
		return unicode.IsDigit(first) || first == '§'
	case withinName:
		return opens && !isStarter(firstWord(rest))
	}
	return strings.Contains(word, ".") && !strings.ContainsAny(word, "0123456789") && utf8.RuneCountInString(word) <= 7 &&
		opens && !isStarter(firstWord(rest))
}

// lastWord is the letters, digits and periods that s ends with; "" when there are more than an abbreviation has.
func lastWord(s string) string {
	const longest = 16 // bytes
	i := len(s)
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:i])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' {
			break
		}
		if i -= n; len(s)-i > longest {
			return ""
		}
	}
	return s[i:]
}

// firstWord is the letters that s begins with.
func firstWord(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		return s
	}
	return s[:end]
}

// abbreviation says when the period behind a word is its own.
type abbreviation uint8

const (
	noAbbreviation abbreviation = iota
	always                      // something must follow: Dr. e.g.
	beforeNumber                // No. 5
	withinName                  // may end a sentence: Inc.
)

// kindOf knows the abbreviations of English and German, and some of French, Spanish and Italian.
func kindOf(word string) abbreviation {
	switch word {
	case "mr", "mrs", "ms", "mx", "dr", "prof", "st", "messrs", "mme", "mlle", "sra", "srta", "hr", "fr", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "cmdr", "gov", "sen", "rep", "pres",
		"e.g", "i.e", "cf", "vs", "viz", "approx", "ca", "resp", "incl", "excl", "z.b", "d.h", "u.u", "o.ä", "i.d.r", "bzw", "vgl", "ggf", "evtl", "sog", "gem", "p.ex", "p.ej", "dipl", "ing", "max", "min", "z.t":
		return always
	case "no", "nos", "nr", "num", "fig", "figs", "tab", "eq", "eqs", "sec", "sect", "ch", "chap", "vol", "vols", "p", "pp", "pg", "s", "art", "abs", "abb", "ziff", "kap", "bd", "para", "par", "ref", "refs", "n", "nº", "núm", "lit",
		"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "okt", "dez":
		return beforeNumber
	case "inc", "ltd", "co", "corp", "bros", "llc", "plc", "jr", "sr", "esq", "etc", "al", "et", "dept", "univ", "assn", "ave", "blvd", "rd", "mt", "ft", "est", "ed", "eds", "op", "ph.d", "usw", "etw", "str", "mio", "mrd", "tsd", "ges", "phil":
		return withinName
	}
	return noAbbreviation
}

// isMonth knows the months before which languages write the day with a period: 3. Oktober.
func isMonth(word string) bool {
	switch strings.ToLower(word) {
	case "januar", "jänner", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november", "dezember",
		"marts", "maj", "december", "mars", "desember", "ledna", "února", "března", "dubna", "května", "června", "července", "srpna", "září", "října", "listopadu", "prosince":
		return true
	}
	return false
}

// isStarter knows words that in capitals begin a sentence rather than go on with a name.
func isStarter(word string) bool {
	switch word {
	case "The", "A", "An", "In", "It", "Its", "He", "His", "She", "Her", "They", "Their", "We", "Our", "You", "This", "That", "These", "Those", "There", "Here", "But", "And", "Or", "So", "For", "On", "At", "As", "By", "To", "Of", "From",
		"With", "When", "While", "If", "However", "Then", "After", "Before", "Since", "Because", "Although", "Some", "Many", "Most", "All", "No", "Not", "What", "Who", "How", "Why", "Where", "One", "Both", "Each", "Is", "Are", "Was", "Were",
		"Der", "Die", "Das", "Den", "Dem", "Ein", "Eine", "Es", "Er", "Sie", "Wir", "Im", "Am", "Auf", "Und", "Aber", "Doch", "Dies", "Diese", "Damit", "Dabei", "Nach", "Mit", "Bei", "Für", "Von", "Zu", "Auch", "Als", "Wenn",
		"Le", "La", "Les", "Il", "Elle", "Ils", "Un", "Une", "Ce", "Cette", "Mais", "Et", "En", "Au", "El", "Los", "Las", "Una", "Pero", "Y":
		return true
	}
	return false
}
