package cite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// window is how many words around a number, a name or a negation belong to it.
const window = 4

// beside gives the terms of the words around from:to, the nearest n with a term on each side.
func beside(words []word, from, to, n int) []string {
	var list []string
	for i, k := from-1, 0; i >= 0 && k < n && i >= from-2*window; i-- {
		if words[i].term != "" && !words[i].digits {
			list = append(list, words[i].term)
			k++
		}
	}
	for i, k := to, 0; i < len(words) && k < n && i < to+2*window; i++ {
		if words[i].term != "" && !words[i].digits {
			list = append(list, words[i].term)
			k++
		}
	}
	return list
}

// common is the share of a's terms that are in b.
func common(a, b []string) float64 {
	if len(a) == 0 {
		return 1
	}
	n := 0
	for _, t := range a {
		if slices.Contains(b, t) {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

// number looks a number of the claim up: whether the spans have it, and how many of its neighbours stand beside it there.
func (m *match) number(n number) (found bool, near float64, inBest bool) {
	around := beside(m.claim.words, n.from, n.to, 2)
	rough := n.from > 0 && roughly[m.claim.words[n.from-1].s]
	for i, s := range m.sentences {
		for _, o := range s.numbers {
			if !n.same(o) && !(rough && n.about(o)) {
				continue
			}
			found = true
			near = max(near, common(around, beside(s.words, o.from, o.to, window)))
			inBest = inBest || m.shared[i] >= m.shared[m.best]-1e-9
		}
	}
	return found, near, inBest
}

func (m *match) inDate(n number) bool {
	w := m.claim.words
	return slices.ContainsFunc(m.claim.dates, func(d date) bool { return w[n.from].start < d.end && d.start < w[n.to-1].end })
}

// wrong is a piece of a claim that is not so in its source.
type wrong struct{ text, why string }

func (m *match) wrongNumbers() []wrong {
	var list []wrong
	for _, n := range m.claim.numbers {
		if n.soft || m.inDate(n) {
			continue
		}
		text := m.claim.text[m.claim.words[n.from].start:m.claim.words[n.to-1].end]
		found, near, inBest := m.number(n)
		switch {
		case !found:
			list = append(list, wrong{text, fmt.Sprintf("the number %s is not in its source", text)})
		case near == 0 && !inBest && m.shared[m.best] >= .4:
			list = append(list, wrong{text, fmt.Sprintf("the number %s stands for something else in its source", text)})
		case !inBest && m.otherNumber(n):
			list = append(list, wrong{text, fmt.Sprintf("its source has another number than %s there", text)})
		}
	}
	return list
}

// otherNumber tells whether the best sentence says all of the claim but this number, and has another one of its kind in its place.
func (m *match) otherNumber(n number) bool {
	best := m.sentences[m.best]
	if m.without(m.claim.words[n.from]) < .8 {
		return false
	}
	return slices.ContainsFunc(best.numbers, func(o number) bool {
		return !o.soft && o.unit == n.unit && o.year() == n.year() && !slices.ContainsFunc(m.claim.numbers, func(c number) bool { return c.same(o) })
	})
}

// year tells whether a number may be that of a year.
func (n number) year() bool {
	return n.unit == "" && n.to == n.from+1 && n.values[0] >= 1000 && n.values[0] < 2200 && n.values[0] == float64(int(n.values[0]))
}

// wrongDates are the dates of the claim that no date of the spans says.
func (m *match) wrongDates() []string {
	var list []string
	for _, d := range m.claim.dates {
		said := false
		for _, s := range m.sentences {
			said = said || slices.ContainsFunc(s.dates, func(o date) bool { return d.saidBy(o, m.years) })
		}
		if !said {
			list = append(list, m.claim.text[d.start:d.end])
		}
	}
	return list
}

// name is a word of the claim that names somebody or something.
type name struct {
	word int
	sure bool // no capital of a begin only
}

// names finds words with a capital, and Korean words with a particle of nouns, which may be names.
func names(s sentence) []name {
	var list []name
	for i, w := range s.words {
		switch {
		case w.upper && !w.digits && w.end-w.start > 1 && w.term != "" && !isMonth(w.s):
			sure := !w.first || i+1 < len(s.words) && s.words[i+1].upper && s.words[i+1].start-w.end == 1
			list = append(list, name{i, sure})
		case isHangul(w.s):
			if sure := namesKO(s.words, i); sure || stemKO(w.s) != w.s {
				list = append(list, name{i, sure})
			}
		}
	}
	return list
}

var (
	titlesKO = regexp.MustCompile(`^(?:관장|교수|시장|대표|의원|장관|박사|씨|위원장|사장|감독|작가|기자|총리|대통령|팀장|원장|회장|소장|구청장|군수|판사|변호사|선수|의사|이사장|이사)`)
	placesKO = regexp.MustCompile(`^\p{Hangul}{2,}(?:병원|학교|대학교?|회사|은행|도서관|박물관|미술관|공원|센터|연구소|신문|협회|재단|호텔|극장|공항|시청|구청|특별시|광역시)$`)
)

// namesKO tells whether a Korean word surely is a name: of a person, a title behind it, or of a house.
func namesKO(words []word, i int) bool {
	n := utf8.RuneCountInString(words[i].s)
	if i+1 < len(words) && n >= 2 && n <= 4 && words[i+1].start-words[i].end == 1 && titlesKO.MatchString(words[i+1].s) {
		return stemKO(words[i].s) == words[i].s
	}
	return placesKO.MatchString(stemKO(words[i].s))
}

// bent tells whether a sentence has a Korean word that begins alike: the same verb in another form.
func (s sentence) bent(w word) bool {
	r := []rune(w.s)
	return isHangul(w.s) && len(r) > 2 && strings.Contains(s.text, string(r[:2]))
}

func isMonth(s string) bool { return len(s) > 2 && monthOnly.MatchString(strings.ToUpper(s[:1])+s[1:]) }

func isHangul(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.Is(unicode.Hangul, r)
}

// particles stand behind nouns of Korean, longest first.
var particles = []string{"에서는", "에게서", "으로는", "에서", "에게", "까지", "부터", "으로", "이나", "이며", "은", "는", "이", "가", "을", "를", "의", "과", "와", "로", "도", "에"}

// stemKO is a Korean word without the particle behind it; two syllables at least stay.
func stemKO(s string) string {
	for _, p := range particles {
		if rest, ok := strings.CutSuffix(s, p); ok && utf8.RuneCountInString(rest) >= 2 {
			return rest
		}
	}
	return s
}

// has tells whether a sentence has a word of the claim.
func (s sentence) has(w word) bool {
	if isHangul(w.s) {
		return strings.Contains(s.text, stemKO(w.s))
	}
	return s.terms[w.term] || slices.ContainsFunc(s.words, func(o word) bool { return possessive(o.s) == possessive(w.s) })
}

// wrongNames are names of the claim that the spans do not have, or that stand in another sentence than the one which says
// the rest, where that one has another name.
func (m *match) wrongNames() []string {
	var list []string
	best := m.sentences[m.best]
	for _, n := range names(m.claim) {
		w := m.claim.words[n.word]
		anywhere := slices.ContainsFunc(m.sentences, func(s sentence) bool { return s.has(w) })
		rest := m.without(w)
		switch {
		case !anywhere && n.sure:
		case !anywhere && rest >= .7 && !slices.ContainsFunc(m.sentences, func(s sentence) bool { return s.bent(w) }):
		case anywhere && n.sure && !best.has(w) && rest >= .75 && m.otherName(best):
		case anywhere && !n.sure && !best.has(w) && rest >= .85 && m.otherName(best):
		default:
			continue
		}
		list = append(list, m.claim.text[w.start:w.end])
	}
	return list
}

// without is how much of the claim but one word is in the best sentence.
func (m *match) without(w word) float64 {
	has, total := 0, 0
	for _, o := range m.claim.words {
		if o.term == "" || o.start == w.start {
			continue
		}
		total++
		if m.sentences[m.best].terms[o.term] {
			has++
		}
	}
	if total < 2 {
		return 0
	}
	return float64(has) / float64(total)
}

// otherName tells whether a sentence has a name that the claim has not.
func (m *match) otherName(s sentence) bool {
	return slices.ContainsFunc(names(s), func(n name) bool { return !m.claim.has(s.words[n.word]) })
}

var cues = map[string]bool{
	"not": true, "no": true, "never": true, "cannot": true, "without": true, "neither": true, "nor": true, "none": true, "nobody": true, "nothing": true,
	"hardly": true, "failed": true, "fails": true, "안": true, "못": true,
}

// isCue tells whether a word denies.
func isCue(s string) bool {
	if cues[s] || strings.HasSuffix(s, "n't") {
		return true
	}
	if !isHangul(s) {
		return false
	}
	for _, p := range []string{"않", "없", "못하", "못했", "못한", "아니"} {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// opposites are words, or their begins, that can't both be so.
var opposites = [][2][]string{
	{{"increas", "rise", "rose", "risen", "rising", "grew", "grow", "grown", "climb", "gain", "up"}, {"decreas", "fall", "fell", "fallen", "falling", "shrank", "shrink", "drop", "declin", "loss", "down"}},
	{{"more"}, {"less", "fewer"}}, {{"most"}, {"least", "fewest"}}, {{"before"}, {"after"}}, {{"above", "over"}, {"below", "under"}}, {{"high"}, {"low"}}, {{"first"}, {"last"}}, {{"won", "win"}, {"lost", "lose"}},
	{{"open", "reopen"}, {"clos", "shut"}}, {{"accept", "approv", "welcom", "support"}, {"reject", "refus", "oppos", "declin", "veto"}}, {{"north", "northern"}, {"south", "southern"}}, {{"east", "eastern"}, {"west", "western"}},
	{{"true"}, {"false"}}, {{"allow", "permit"}, {"forbid", "forbidden", "prohibit", "bann"}}, {{"includ"}, {"exclud"}}, {{"begin", "began", "begun", "start"}, {"end", "stopp", "finish"}}, {{"warm", "hot", "heat"}, {"cold", "cool"}},
	{{"larg", "big", "bigg"}, {"small"}}, {{"long"}, {"short"}}, {{"always"}, {"never"}}, {{"best", "better"}, {"worst", "worse"}}, {{"old"}, {"new", "young"}}, {{"fast"}, {"slow"}}, {{"cheap"}, {"dear", "expensive"}},
	{{"early", "earlier"}, {"late", "later"}}, {{"male"}, {"female"}}, {{"wife"}, {"husband"}}, {{"possible"}, {"impossible"}}, {{"legal"}, {"illegal"}}, {{"able"}, {"unable"}}, {{"enabl"}, {"disabl"}}, {{"install", "add"}, {"remov", "uninstall"}},
	{{"found", "establish"}, {"dissolv", "abolish"}}, {{"buy", "bought"}, {"sell", "sold"}}, {{"yesterday"}, {"today", "tomorrow"}}, {{"next"}, {"previous"}}, {{"strong"}, {"weak"}}, {{"success"}, {"failure"}}, {{"public"}, {"private"}},
	{{"증가", "늘었", "늘어", "상승", "올랐"}, {"감소", "줄었", "줄어", "하락", "내렸"}}, {{"높"}, {"낮"}}, {{"많"}, {"적"}}, {{"찬성"}, {"반대"}}, {{"허용"}, {"금지"}}, {{"최초"}, {"최후"}}, {{"이전"}, {"이후"}}, {{"길"}, {"짧"}},
	{{"열었", "연다", "열린"}, {"닫았", "닫는", "닫힌"}}, {{"승인", "수락", "가결"}, {"거부", "거절", "부결"}}, {{"시작"}, {"끝났", "끝난", "종료"}}, {{"어제"}, {"내일", "오늘"}}, {{"작년", "지난해"}, {"내년", "올해"}}, {{"설치"}, {"철거"}}, {{"설립"}, {"해산"}},
}

var endings = []string{"", "s", "es", "d", "ed", "e", "er", "est", "ing", "ly", "en", "ened", "ting", "ped", "ping", "ning", "ned"}

func (s sentence) hasStem(stems []string) (string, bool) {
	for _, w := range s.words {
		for _, stem := range stems {
			if rest, ok := strings.CutPrefix(w.s, stem); ok && (isHangul(stem) || slices.Contains(endings, rest)) {
				return s.text[w.start:w.end], true
			}
		}
	}
	return "", false
}

// flips says where the claim denies what its best sentence says, or the other way round.
func (m *match) flips() []string {
	best := m.sentences[m.best]
	if m.shared[m.best] < .4 {
		return nil
	}
	var list []string
	for _, pair := range [][2]sentence{{m.claim, best}, {best, m.claim}} {
		a, b := pair[0], pair[1]
		for i, w := range a.words {
			if !isCue(w.s) {
				continue
			}
			around := beside(a.words, i, i+1, 2)
			if common(around, content(b.words)) < .5 {
				continue // b does not speak of it
			}
			if m.denied(b, around) {
				continue
			}
			if text := a.text[w.start:w.end]; &a.words[0] == &m.claim.words[0] {
				list = append(list, fmt.Sprintf("%q denies what its source says", text))
			} else {
				list = append(list, fmt.Sprintf("its source denies this (%q)", text))
			}
		}
	}
	if len(list) == 0 && m.shared[m.best] >= .8 && best.denials()%2 != m.claim.denials()%2 && common(content(best.words), content(m.claim.words)) >= .75 {
		list = append(list, "one of both denies what the other says") // all else is alike
	}
	for _, o := range opposites {
		for i := range o {
			mine, has := m.claim.hasStem(o[i])
			theirs, opposite := best.hasStem(o[1-i])
			if _, both := m.claim.hasStem(o[1-i]); !has || !opposite || both {
				continue
			}
			if _, both := best.hasStem(o[i]); !both {
				list = append(list, fmt.Sprintf("its source says the opposite (%q, not %q)", theirs, mine))
			}
		}
	}
	return list
}

// denials is how often a sentence denies something.
func (s sentence) denials() (n int) {
	for _, w := range s.words {
		if isCue(w.s) {
			n++
		}
	}
	return n
}

// denied tells whether a sentence has a cue near one of the terms.
func (m *match) denied(s sentence, around []string) bool {
	for i, w := range s.words {
		if isCue(w.s) && (len(around) == 0 || common(beside(s.words, i, i+1, 3), around) > 0) {
			return true
		}
	}
	return false
}
