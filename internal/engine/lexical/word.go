package lexical

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxParts bounds the parts of a word without separators (camelCase, h264); what has more is a hash or an encoding, which nobody looks for in parts.
const maxParts = 6

// maxCodeParts bounds the parts of a code or address that is a term as a whole.
const maxCodeParts = 16

// part is a stretch of letters and digits of a normalized run.
type part struct {
	start, end int
	script     script // of its first letter; digit when it has none
	digits     bool   // has a digit
	apostrophe int    // place of an apostrophe between letters, 0 when there is none
}

// withSuffix lets a name keep the signs that make it a name: C++, C#, F#.
func (a *analysis) withSuffix(r run) run {
	rest := a.text[r.end:]
	n := 0
	switch {
	case strings.HasPrefix(rest, "++"):
		n = 2
	case strings.HasPrefix(rest, "#") && r.end-r.start <= 2:
		n = 1
	}
	if n == 0 || !isASCIIAlnum(a.text[r.start:r.end]) {
		return r
	}
	if next, _ := utf8.DecodeRuneInString(rest[n:]); n < len(rest) && (scriptOf(next) != noScript || next == '+' || next == '#') {
		return r
	}
	r.end += n
	return r
}

// compound cuts an alphabetic run: a word, or a code or address that stands whole and in parts.
func (a *analysis) compound(r run) {
	a.prepared = normalize(a.text, r.start, r.end)
	s := a.prepared.s
	if isSimple(s) {
		a.word(0, len(s), latin)
		return
	}
	parts := splitParts(s)
	if len(parts) == 0 {
		return
	}
	first, last := parts[0], parts[len(parts)-1]
	suffix := last.end < len(s) && (s[last.end] == '+' || s[last.end] == '#')
	if len(parts) == 1 && !suffix {
		a.part(first)
		return
	}
	if groupedNumber(s, parts) {
		a.emit(joinDigits(s, parts), first.start, last.end, a.pos)
		a.pos++
		return
	}
	end := last.end
	if suffix {
		end = len(s)
	}
	code := suffix || isCode(s, parts)
	if code {
		whole := lower(s[first.start:end])
		if isStop(whole, first.script, a.lang) {
			a.pos++
			return
		}
		a.emit(whole, first.start, end, a.pos)
	}
	if isVersion(s, parts) {
		a.emit(s[first.start+1:last.end], first.start+1, last.end, a.pos)
		parts[0].start, parts[0].script = first.start+1, digit
	}
	if isDecimal(s, parts) {
		a.pos++
		return
	}
	for _, p := range parts {
		if code && p.end-p.start == 1 && p.script == latin { // U.S., C++: the letter alone is another word
			a.pos++
			continue
		}
		a.part(p)
	}
}

// isSimple tells whether s is a word of ASCII letters that is not camelCase, as most are.
func isSimple(s string) bool {
	for i := range len(s) {
		if !isLower(s[i]) && (i > 0 || !isUpper(s[i])) {
			return false
		}
	}
	return true
}

// splitParts finds the stretches of letters and digits.
func splitParts(s string) []part {
	var parts []part
	open := false
	for i, r := range s {
		sc := scriptOf(r)
		if open && (r == '\'' || r == '’') {
			p := &parts[len(parts)-1]
			next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
			if unicode.IsLetter(next) && p.end == i && p.apostrophe == 0 && !p.digits {
				p.apostrophe, p.end = i, i+utf8.RuneLen(r)
				continue
			}
		}
		if sc == noScript || sc == joiner && !open {
			open = false
			continue
		}
		if !open {
			parts = append(parts, part{start: i, script: digit})
			open = true
		}
		p := &parts[len(parts)-1]
		p.end = i + utf8.RuneLen(r)
		p.digits = p.digits || sc == digit
		if p.script == digit && sc != digit && sc != joiner {
			p.script = sc
		}
	}
	return parts
}

// isCode tells whether a run of several parts should be found whole: it has digits, or signs that join names rather than words.
func isCode(s string, parts []part) bool {
	if len(parts) > maxCodeParts {
		return false
	}
	for i, p := range parts {
		if p.digits || i > 0 && strings.ContainsAny(s[parts[i-1].end:p.start], "._@#") {
			return true
		}
	}
	return false
}

// groupedNumber tells whether the parts are the groups of three of one number: 1,000,000, or 1.000.000 (1.000 alone may as well be a fraction).
func groupedNumber(s string, parts []part) bool {
	for i, p := range parts {
		n := p.end - p.start
		if p.script != digit || i == 0 && (n > 3 || s[p.start] == '0') || i > 0 && n != 3 {
			return false
		}
		if i > 0 {
			sign := s[parts[i-1].end:p.start]
			if sign != "," && (sign != "." || len(parts) < 3) || sign != s[parts[0].end:parts[1].start] {
				return false
			}
		}
	}
	return len(parts) > 1
}

func joinDigits(s string, parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(s[p.start:p.end])
	}
	return b.String()
}

// isDecimal tells whether the run is a number with a fraction, whose halves mean nothing.
func isDecimal(s string, parts []part) bool {
	if len(parts) != 2 || parts[0].script != digit || parts[1].script != digit {
		return false
	}
	sign := s[parts[0].end:parts[1].start]
	return sign == "." || sign == ","
}

// isVersion tells whether the run is a version with its v, which is also looked for without.
func isVersion(s string, parts []part) bool {
	p := parts[0]
	if len(parts) < 2 || !p.digits || s[p.start]|0x20 != 'v' || p.end-p.start < 2 {
		return false
	}
	for _, c := range s[p.start+1 : p.end] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s[p.end] == '.' && parts[1].script == digit
}

// part emits a stretch of letters and digits, and its parts when it is camelCase or mixes letters with digits.
func (a *analysis) part(p part) {
	s := a.prepared.s
	if p.apostrophe > 0 {
		a.contraction(p)
		return
	}
	pos := a.pos
	if p.digits {
		a.emit(lower(s[p.start:p.end]), p.start, p.end, pos)
		a.pos++
	} else {
		a.word(p.start, p.end, p.script)
	}
	if p.script == digit || a.query && !p.digits {
		return
	}
	subs := splitCase(s, p)
	if len(subs) < 2 || len(subs) > maxParts || p.digits && isHash(subs) {
		return
	}
	a.pos = pos
	for _, q := range subs {
		switch {
		case q.digits:
			a.emit(s[q.start:q.end], q.start, q.end, a.pos)
			a.pos++
		case q.end-q.start > 1:
			a.word(q.start, q.end, q.script)
		}
	}
	a.pos = max(a.pos, pos+1)
}

// splitCase cuts an ASCII stretch where letters meet digits and where a capital begins a word: maxTerm, HTTPServer, h264.
func splitCase(s string, p part) []part {
	var out []part
	start := p.start
	cut := func(i int) {
		out = append(out, part{start: start, end: i, script: p.script, digits: isDigit(s[start])})
		start = i
	}
	for i := p.start; i < p.end; i++ {
		if s[i] >= utf8.RuneSelf {
			return nil
		}
		if i == p.start {
			continue
		}
		switch prev := s[i-1]; {
		case isDigit(prev) != isDigit(s[i]),
			isLower(prev) && isUpper(s[i]),
			isUpper(prev) && isUpper(s[i]) && i+1 < p.end && isLower(s[i+1]) && i-start > 1:
			cut(i)
		}
	}
	cut(p.end)
	return out
}

// isHash tells whether letters and digits alternate as in hexadecimal numbers: with a single letter after the beginning.
func isHash(subs []part) bool {
	for _, q := range subs[1:] {
		if !q.digits && q.end-q.start == 1 {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// contraction emits a word with an apostrophe: as one word where the language writes a suffix so (don't, John's), else as the words that it joins (l'homme).
func (a *analysis) contraction(p part) {
	s := a.prepared.s
	_, width := utf8.DecodeRuneInString(s[p.apostrophe:])
	left, right := lower(s[p.start:p.apostrophe]), lower(s[p.apostrophe+width:p.end])
	switch right {
	case "s", "t", "d", "m", "ll", "re", "ve":
		if isStop(left+"'"+right, p.script, a.lang) {
			a.pos++
			return
		}
		a.word(p.start, p.apostrophe, p.script)
		return
	}
	for _, q := range [2][2]int{{p.start, p.apostrophe}, {p.apostrophe + width, p.end}} {
		if q[1]-q[0] > 1 {
			a.word(q[0], q[1], p.script)
		}
	}
}

// word emits the stem of one word unless it is a stop word.
func (a *analysis) word(i, j int, s script) {
	if a.counts != nil {
		if term := a.counts.vocabulary.word(a.prepared.s[i:j], s, a.language); term != stopWord {
			a.counts.tally(term)
		}
	} else if term := stems.get(a.prepared.s[i:j], s, a.lang); term != "" {
		a.emit(term, i, j, a.pos)
	}
	a.pos++
}

// termOf is the term of one word, empty for a stop word.
func termOf(word string, s script, lang string) string {
	w := lower(word)
	if isStop(w, s, lang) && !isName(word) {
		return ""
	}
	return stem(w, s, lang)
}

// isName knows the few stop words of English that in capitals are something else.
func isName(w string) bool { return w == "IT" || w == "US" || w == "WHO" }

func isStop(w string, s script, lang string) bool {
	switch s {
	case latin:
		return stopWords()[latinLanguage(lang)][w]
	case cyrillic:
		return lang == "ru" && stopWords()["ru"][w]
	}
	return false
}

// lower folds the case, and the two forms of the Greek sigma.
func lower(s string) string {
	t := strings.ToLower(s)
	if strings.Contains(t, "ς") {
		t = strings.ReplaceAll(t, "ς", "σ")
	}
	return t
}
