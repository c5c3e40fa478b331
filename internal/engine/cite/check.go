package cite

import (
	"fmt"
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
		}
	}
	return list
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
			if stemKO(w.s) != w.s {
				list = append(list, name{i, false})
			}
		}
	}
	return list
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
		case !anywhere && n.sure, !anywhere && rest >= .7:
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

var opposites = [][2]string{
	{"increas", "decreas"}, {"rise", "fall"}, {"rose", "fell"}, {"risen", "fallen"}, {"rising", "falling"}, {"grew", "shrank"}, {"more", "less"}, {"more", "fewer"}, {"most", "least"},
	{"before", "after"}, {"above", "below"}, {"higher", "lower"}, {"highest", "lowest"}, {"open", "clos"}, {"first", "last"}, {"won", "lost"}, {"accept", "reject"},
	{"approv", "reject"}, {"north", "south"}, {"east", "west"}, {"true", "false"}, {"allow", "forbid"}, {"includ", "exclud"}, {"begin", "end"}, {"start", "end"}, {"up", "down"},
	{"warm", "cold"}, {"hot", "cold"}, {"larg", "small"}, {"longer", "shorter"}, {"always", "never"}, {"best", "worst"}, {"better", "worse"}, {"oldest", "newest"}, {"gain", "loss"},
	{"faster", "slower"}, {"cheaper", "dearer"}, {"early", "late"}, {"earlier", "later"}, {"male", "female"}, {"wife", "husband"}, {"possible", "impossible"}, {"enabl", "disabl"},
	{"증가", "감소"}, {"상승", "하락"}, {"늘었", "줄었"}, {"늘어", "줄어"}, {"높", "낮"}, {"많", "적"}, {"찬성", "반대"}, {"허용", "금지"}, {"최초", "최후"}, {"이전", "이후"}, {"올랐", "내렸"}, {"길", "짧"},
}

func (s sentence) hasStem(stem string) bool {
	return slices.ContainsFunc(s.words, func(w word) bool {
		return strings.HasPrefix(w.s, stem) && (isHangul(w.s) || len(w.s)-len(stem) <= 4 && (len(stem) > 4 || w.s == stem || w.s == stem+"s"))
	})
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
	for _, o := range opposites {
		for _, p := range [][2]string{o, {o[1], o[0]}} {
			if m.claim.hasStem(p[0]) && best.hasStem(p[1]) && !m.claim.hasStem(p[1]) && !best.hasStem(p[0]) {
				list = append(list, fmt.Sprintf("its source says the opposite (%q, not %q)", p[1], p[0]))
			}
		}
	}
	return list
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
