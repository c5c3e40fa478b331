package summarize

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/lexical"
)

// phrase is a run of words that stands often in the sources.
type phrase struct {
	key   string // its stems
	shown string // as it stands first, in small letters unless it is a name
	words int
	count int
	first int  // unit
	held  int  // how often it stands within longer phrases
	hosts int  // how many those are
	heads int  // how often it ends a run like a noun does
	loose bool // a part of it of several words stands much oftener: its other words are there by chance
	score float64
}

// lengthWeight is log2 of a phrase's words; single ones, which C-value leaves out, count half a pair.
var lengthWeight = [...]float64{0, 0.5, 1, 1.58}

const (
	longPhrase  = 3 // words
	manyPhrases = 12
)

// phrases finds the key phrases of all units.
func (s *Survey) phrases() []string {
	var all []int
	for i, u := range s.Units {
		if !u.outside {
			all = append(all, i)
		}
	}
	return distinct(s.phrasesIn(all, 2))
}

// phrasesIn ranks the phrases of some units and of the headings above them by C-value (Frantzi, Ananiadou, Mima 2000: how often
// a phrase stands, less how often it is only part of longer ones, times its length), those first that stand early in their source.
// Those that stand less than atLeast times are left out.
func (s *Survey) phrasesIn(units []int, atLeast int) []*phrase {
	all := map[string]*phrase{}
	var order []*phrase
	take := func(text, lang string, at int) {
		for _, run := range s.contentRuns(text, lang) {
			for from := range run {
				for n := 1; n <= longPhrase && from+n <= len(run); n++ {
					p := joined(run[from : from+n])
					if all[p.key] == nil {
						p.first = at
						all[p.key] = &p
						order = append(order, &p)
					}
					all[p.key].count++
					if lang != "en" || from+n == len(run) && (from > 0 || n > 1 || run[0].noun) {
						all[p.key].heads++
					}
					all[p.key].first = min(all[p.key].first, at)
				}
			}
		}
	}
	source, begin, section := -1, 0, -1
	for _, id := range units {
		u := s.Units[id]
		if u.Kind == Code || u.Kind == Table {
			continue
		}
		if u.Source != source {
			source, begin = u.Source, id
		}
		lang := s.Sources[source].Language
		if n := len(u.HeadingPath); u.section != section && n > 0 {
			take(strings.ToLower(u.HeadingPath[n-1]), lang, id-begin)
		}
		section = u.section
		take(s.Quote(id), lang, id-begin)
	}
	order = slices.DeleteFunc(order, func(p *phrase) bool { return p.count < atLeast })
	for _, p := range order {
		stems := strings.Split(p.key, " ")
		for from := range stems {
			for n := 1; n < len(stems) && from+n <= len(stems); n++ {
				part := all[strings.Join(stems[from:from+n], " ")]
				if part == nil { // a stem with a space in it
					continue
				}
				part.held += p.count
				part.hosts++
				p.loose = p.loose || n > 1 && 2*part.count >= 3*p.count
			}
		}
	}
	for _, p := range order {
		often := float64(p.count)
		if p.hosts > 0 {
			often -= float64(p.held) / float64(p.hosts)
		}
		p.score = lengthWeight[p.words] * often / (1 + math.Log2(1+float64(p.first)/10))
	}
	slices.SortStableFunc(order, func(a, b *phrase) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.first, b.first), strings.Compare(a.key, b.key))
	})
	return order
}

// distinct takes the best phrases that do not share a word.
func distinct(order []*phrase) []string {
	used := map[string]bool{}
	var out []string
	for _, p := range order {
		stems := strings.Split(p.key, " ")
		if p.score <= 0 || p.loose || p.words == 1 && 3*p.heads < p.count || slices.ContainsFunc(stems, func(w string) bool { return used[w] }) {
			continue
		}
		for _, w := range stems {
			used[w] = true
		}
		if out = append(out, p.shown); len(out) == manyPhrases {
			break
		}
	}
	return out
}

// word is a word that can be part of a phrase.
type word struct {
	stem, shown string
	noun        bool // what stands before it makes a noun of it; English only
}

func joined(run []word) phrase {
	stems, shown := make([]string, len(run)), make([]string, len(run))
	for i, w := range run {
		stems[i], shown[i] = w.stem, w.shown
	}
	if len(run) > 1 && shown[1] == capital(shown[1]) { // a name, though it begins a sentence
		shown[0] = capital(shown[0])
	}
	return phrase{key: strings.Join(stems, " "), shown: strings.Join(shown, " "), words: len(run)}
}

// contentRuns are the stretches of a text between stop words, figures with what they count, and punctuation.
func (s *Survey) contentRuns(text, lang string) [][]word {
	stems := map[int]string{}
	for _, t := range lexical.Analyze(text, lang) {
		if _, known := stems[t.Start]; !known {
			stems[t.Start] = t.Term
		}
	}
	var out [][]word
	var run []word
	end, counted, before := 0, false, ""
	flush := func() {
		if len(run) > 0 {
			out = append(out, run)
		}
		run = nil
	}
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			at += n
			continue
		}
		start := at
		for at < len(text) {
			r, n := utf8.DecodeRuneInString(text[at:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !(r == '-' || r == '\'' || r == '’') {
				break
			}
			at += n
		}
		w, ok := s.contentWord(text[start:at], stems[start], start == 0)
		figure := strings.Trim(text[start:at], "0123456789") == ""
		ok = ok && !(counted && text[end:start] == " ")
		counted = figure
		if !ok || strings.Trim(text[end:start], " \n") != "" {
			flush()
		}
		if ok {
			w.noun = nouns[before] || vague[before] || uncounted[before] || strings.HasSuffix(w.shown, "s") && begins(text[:start])
			run = append(run, w)
		}
		end, before = at, strings.ToLower(text[start:at])
	}
	flush()
	return out
}

// contentWord tells whether a word can stand in a phrase, and how it is shown there.
func (v *Survey) contentWord(s, stem string, begins bool) (word, bool) {
	if first, _ := utf8.DecodeRuneInString(s); unicode.In(first, unicode.Hangul) {
		noun := withoutParticle(s)
		return word{stem: noun, shown: noun}, utf8.RuneCountInString(noun) >= 2 && !pointers[s] && !isPredicate(s) && !vague[noun] && !isShortNoun(s)
	}
	letters := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			return word{}, false
		}
		letters++
	}
	low := strings.ToLower(s)
	if stem == "" || letters < 3 || strings.HasSuffix(low, "ly") || strings.HasSuffix(low, "ed") || vague[low] || uncounted[low] || verbs[low] {
		return word{}, false
	}
	if begins && !v.names[s] && s != strings.ToUpper(s) {
		s = low
	}
	if s != strings.ToUpper(s) && !unicode.IsUpper([]rune(s)[0]) {
		s = low
	}
	return word{stem: stem, shown: s}, true
}

// nouns stand behind these words, and no verbs.
var nouns = wordSet(`the a an of in for with each every no this our their its his her on at by from per any some all both these those more most less fewer`)

// begins tells whether a sentence begins behind a text.
func begins(before string) bool {
	before = strings.TrimRight(before, " \n\"'*_")
	return before == "" || strings.ContainsAny(before[len(before)-1:], ".!?:")
}

// vague words stand in phrases of every text.
var vague = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`new old first last next one two three four five six seven eight nine ten many much several every each year years month months week weeks
		day days percent per cent euro euros dollar dollars million billion says said say asks answers reports replies uses use make makes made take takes taken
		needs need goes went come came comes get gets got give gives given fell rose find found thing things way ways part parts lot number good better best well
		nobody somebody everybody anybody nothing something everything anything others
		think thinks thought want wants wanted mean means happen happens happened know known look looks learn learned overview introduction background summary
		conclusion conclusions details detail facts fact story question questions answer point points topic topics section sections
		less least little big large larger small same different time times people january february march april may june july august september october november december
		monday tuesday wednesday thursday friday saturday sunday
		동안 때문 경우 이후 이전 이상 이하 다음 모두 가장 매우 이번 지난해 올해 작년 내년 오전 오후 정도 사이 가운데 이유 당시 최근 오늘 어제 내일 처음 마지막 하나
		먼저 다시 함께 더욱 특히 각각 여러 많은 모든 어떤 다른 같은 새로운`) {
		m[w] = true
	}
	return m
}()

// uncounted words are asked for, but make no phrase.
var uncounted = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`hour hours minute minutes second seconds morning evening night today yesterday tomorrow instead whether whole once twice again already still
		longer shorter higher lower more most half quarter kind case cases example examples item items name names
		pay pays stay stays asked ask helps help works work shows show needs opening closing open close warm cold back front move moves moving long short high low
		full empty free own within without place places top bottom ready early late`) {
		m[w] = true
	}
	return m
}()

// countNames notes the words that are written with a capital within a sentence.
func (s *Survey) countNames() {
	s.names = map[string]bool{}
	for i, u := range s.Units {
		if u.Kind == Code || u.Kind == Table {
			continue
		}
		begins := true
		for w := range strings.FieldsSeq(s.Quote(i)) {
			bare := strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })
			if first, _ := utf8.DecodeRuneInString(bare); !begins && unicode.IsUpper(first) && bare != strings.ToUpper(bare) {
				s.names[bare] = true
			}
			begins = strings.ContainsAny(w[len(w)-1:], ".?!:")
		}
	}
}

// isShortNoun tells a Korean noun of one syllable with its particle; the few nouns that only look so are named.
func isShortNoun(s string) bool {
	if utf8.RuneCountInString(s) != 2 {
		return false
	}
	_, size := utf8.DecodeRuneInString(s)
	if strings.HasSuffix(s, "이") {
		return !slices.Contains(nounsInI, s)
	}
	return strings.Contains("을를은는", s[size:]) && s != "마을" && s != "가을" && s != "노을"
}

var nounsInI = strings.Fields("차이 높이 길이 종이 나이 놀이 넓이 깊이 사이 먹이 구이")

// particles of Korean nouns, the longer ones first.
var particles = strings.Fields("에서는 으로는 에게서 으로서 으로써 까지는 부터는 에서 에게 으로 까지 부터 보다 처럼 마다 이나 이라 이란 과의 와의 에는 에도 은 는 이 가 을 를 의 에 로 와 과 도 만")

func withoutParticle(s string) string {
	for _, p := range particles {
		if noun, ok := strings.CutSuffix(s, p); ok && utf8.RuneCountInString(noun) >= 2 {
			return noun
		}
	}
	return s
}

// isPredicate tells Korean words that are verbs or adjectives, by their commonest endings.
func isPredicate(s string) bool {
	for _, end := range []string{"다", "요", "하고", "하여", "하는", "했고", "되어", "되는", "된", "한", "할", "될", "있는", "없는", "위해", "통해", "대한", "따라", "하며", "으며", "지만", "면서", "있고", "에게", "했으며", "었으며"} {
		if strings.HasSuffix(s, end) {
			return true
		}
	}
	return false
}
