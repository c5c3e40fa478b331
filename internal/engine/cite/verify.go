package cite

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"byline/internal/engine/chunk"
	"byline/internal/engine/markdown"
)

// Label says how far a claim is found in its spans.
type Label string

// The labels.
const (
	Supported    Label = "supported"
	Partly       Label = "partly"
	Unsupported  Label = "unsupported"
	Contradicted Label = "contradicted"
)

// Verdict is what Verify found.
type Verdict struct {
	Label    Label
	Score    float64 // 0..1: how likely a person would say that all of the claim is found in the spans
	Features Features
	Missing  []string // words of the claim that the spans do not have, and numbers, names and dates that they do not have so
	Reasons  []string // for people
	Hard     bool     // a number, name, date, or whether something is denied, is not as in the spans: no judge may lift it
	Evidence Evidence
}

// Evidence is the place that says most of a claim.
type Evidence struct {
	Span       int // its index
	Start, End int // UTF-8 byte offsets in it
}

// Options of Verify; the zero value serves.
type Options struct {
	Corpus *Corpus // how rare words are; nil: as in the spans
	// Similar gives the cosine of the claim with each sentence, for instance by a sentence encoder. It is asked for at most 64.
	Similar func(claim string, sentences []string) []float64
}

// most is how many spans a claim is compared with.
const most = 8

// longClaim is how many words of a claim can be compared; a longer one must stand there word for word.
const longClaim = 400

// Verify compares a claim, plain or in Markdown, with what stands in its spans; only the best 8 count. No model is asked: words by
// weight, numbers with their units and neighbours, names, dates, quotes, negations and antonyms decide. Its time grows linearly with its input.
func Verify(claim string, spans []string, o Options) Verdict {
	c := read(plain(claim))
	v := Verdict{Evidence: Evidence{Span: -1}}
	if len(c.terms) == 0 && len(c.numbers) == 0 {
		v.Label, v.Reasons = Unsupported, []string{"it says nothing that could be compared"}
		return v
	}
	m := newMatch(c, choose(c.text, spans), spans, o.Corpus)
	if len(m.sentences) == 0 {
		v.Label, v.Missing, v.Reasons = Unsupported, c.missing(nil), []string{"it has no source"}
		return v
	}
	v.Evidence = m.sentences[m.best].place
	place, verbatim := m.verbatim()
	if !verbatim && len(c.words) > longClaim {
		v.Label, v.Missing, v.Reasons = Partly, c.missing(m.all), []string{"it is too long to be compared with its source"}
		return v
	}
	v.Features = m.features()
	if verbatim {
		v.Label, v.Score, v.Evidence, v.Reasons = Supported, 1, place, []string{"found word for word"}
		return v
	}
	if o.Similar != nil {
		v.Features.Cosine = m.similar(o.Similar)
	}
	v.Score = v.Features.score(o.Similar != nil)
	v.Missing = c.missing(m.all)
	m.judge(&v)
	return v
}

// choose gives the indexes of the spans that are compared.
func choose(claim string, spans []string) []int {
	all := make([]int, len(spans))
	for i := range all {
		all[i] = i
	}
	if len(spans) <= most {
		return all
	}
	passages := make([]Passage, len(spans))
	for i, s := range spans {
		passages[i].Text = s
	}
	found, _ := NewPool(passages).pick(claim, most, -1)
	all = all[:0]
	for _, f := range found {
		all = append(all, f.Index)
	}
	slices.Sort(all)
	return all
}

// plain is a claim as its reader sees it.
func plain(claim string) string {
	if !strings.ContainsAny(claim, "*_[]`|<>&\\#~\n") {
		return claim
	}
	return strings.ReplaceAll(markdown.PlainText(claim), "\n", " ")
}

// sentence is a text with all that is compared of it.
type sentence struct {
	text    string
	words   []word
	terms   map[string]bool
	numbers []number
	dates   []date
	place   Evidence
}

func read(text string) sentence {
	s := sentence{text: text, words: scan(text)}
	s.terms = terms(text, s.words)
	s.numbers = numbersOf(s.words)
	s.dates = datesOf(text)
	return s
}

// missing lists the words of a claim whose terms are not in a set.
func (s sentence) missing(set map[string]bool) []string {
	var list []string
	for _, w := range s.words {
		if w.term != "" && !set[w.term] && !slices.Contains(list, s.text[w.start:w.end]) {
			list = append(list, s.text[w.start:w.end])
		}
	}
	return list
}

// match is a claim beside the sentences of its spans.
type match struct {
	claim     sentence
	sentences []sentence
	all       map[string]bool // the terms of all spans
	years     map[int]bool
	shared    []float64 // by sentence: the weight of the claim's terms that it has, of 1
	best      int
	corpus    *Corpus
	spans     []string
	chosen    []int
}

// fewSentences tell nothing about how rare a word is.
const fewSentences = 20

func newMatch(c sentence, chosen []int, spans []string, corpus *Corpus) *match {
	m := &match{claim: c, all: map[string]bool{}, years: map[int]bool{}, corpus: corpus, spans: spans, chosen: chosen}
	for _, i := range chosen {
		for _, p := range pieces(spans[i]) {
			s := read(plain(spans[i][p.Start:p.End]))
			s.place = Evidence{i, p.Start, p.End}
			m.sentences = append(m.sentences, s)
			for t := range s.terms {
				m.all[t] = true
			}
			for _, d := range s.dates {
				m.years[d.year] = true
			}
			for _, n := range s.numbers {
				if v := n.values[0]; n.unit == "" && v >= 1000 && v < 2200 {
					m.years[int(v)] = true
				}
			}
		}
	}
	if m.corpus == nil && len(m.sentences) >= fewSentences {
		m.corpus = &Corpus{texts: len(m.sentences), in: map[string]int{}}
		for _, s := range m.sentences {
			m.corpus.count(s.terms)
		}
	}
	for i, s := range m.sentences {
		m.shared = append(m.shared, m.cover(s.terms))
		if m.shared[i] > m.shared[m.best] {
			m.best = i
		}
	}
	return m
}

// pieces are the sentences of a span; lines of tables and lists stand alone.
func pieces(span string) []chunk.Span {
	var all []chunk.Span
	for _, s := range chunk.Sentences(span) {
		start := s.Start
		for i := s.Start; i < s.End; i++ {
			if span[i] == '\n' && i+1 < s.End && strings.ContainsAny(span[i+1:i+2], "|-*") && i > start {
				all = append(all, chunk.Span{Start: start, End: i})
				start = i + 1
			}
		}
		all = append(all, chunk.Span{Start: start, End: s.End})
	}
	return all
}

// cover is the share of the claim's terms, by weight, that are in a set.
func (m *match) cover(sets ...map[string]bool) float64 {
	has, total := 0.0, 0.0
	for _, t := range sortedSet(m.claim.terms) {
		w := m.corpus.idf(t)
		total += w
		for _, set := range sets {
			if set[t] {
				has += w
				break
			}
		}
	}
	if total == 0 {
		return 0
	}
	return has / total
}

func sortedSet(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for t := range set {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}

// verbatim finds the claim word for word in a span; neither letter case nor the signs between words count.
func (m *match) verbatim() (Evidence, bool) {
	if len(m.claim.words) < 3 {
		return Evidence{}, false
	}
	want := joined(m.claim.words)
	for _, i := range m.chosen {
		words := scan(m.spans[i])
		have := joined(words)
		for from := 0; ; {
			at := strings.Index(have[from:], want)
			if at < 0 {
				break
			}
			at += from
			first := strings.Count(have[:at], "\n")
			if first == 0 || !isCue(words[first-1].s) { // else it is denied there
				return Evidence{i, words[first].start, words[first+len(m.claim.words)-1].end}, true
			}
			from = at + len(want) - 1
		}
	}
	return Evidence{}, false
}

// joined is words with a line break before and behind each, so that whole words are found.
func joined(words []word) string {
	var b strings.Builder
	b.WriteByte('\n')
	for _, w := range words {
		b.WriteString(w.s)
		b.WriteByte('\n')
	}
	return b.String()
}

// manySentences is how many are given to Options.Similar at most.
const manySentences = 64

func (m *match) similar(ask func(string, []string) []float64) float64 {
	order := make([]int, len(m.sentences))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -compare(m.shared[a], m.shared[b]) })
	var texts []string
	for _, i := range order[:min(manySentences, len(order))] {
		texts = append(texts, m.sentences[i].text)
	}
	top := 0.0
	for _, c := range ask(m.claim.text, texts) {
		top = math.Max(top, c)
	}
	return math.Min(top, 1)
}

// judge puts the label and the reasons.
func (m *match) judge(v *Verdict) {
	var wrong []string
	for _, n := range m.wrongNumbers() {
		v.Missing = appendNew(v.Missing, n.text)
		wrong = append(wrong, n.why)
	}
	for _, d := range m.wrongDates() {
		v.Missing = appendNew(v.Missing, d)
		wrong = append(wrong, fmt.Sprintf("the date %q is not in its source", d))
	}
	for _, n := range m.wrongNames() {
		v.Missing = appendNew(v.Missing, n)
		wrong = append(wrong, fmt.Sprintf("%q is not said there", n))
	}
	flips := m.flips()
	v.Hard = len(wrong)+len(flips) > 0
	v.Reasons = append(wrong, flips...)
	switch {
	case len(flips) > 0:
		v.Label = Contradicted
	case len(wrong) > 0 && v.Features.Best >= .6:
		v.Label = Contradicted
		if v.Features.Numbers == 1 && v.Features.Dates == 1 {
			v.Label = Partly // a name that is missing denies nothing
		}
	case v.Features.Coverage < weak:
		v.Label = Unsupported
	case len(wrong) > 0 || v.Score < strong:
		v.Label = Partly
	default:
		v.Label = Supported
	}
	if v.Hard {
		v.Score = math.Min(v.Score, .49)
	}
	switch {
	case v.Label == Supported:
		v.Reasons = append(v.Reasons, "found in source in other words")
	case v.Label == Unsupported:
		v.Reasons = append(v.Reasons, "most of its words are not in its source")
	case len(v.Reasons) == 0 && len(v.Missing) > 0:
		v.Reasons = append(v.Reasons, fmt.Sprintf("not in its source: %s", strings.Join(v.Missing[:min(5, len(v.Missing))], ", ")))
	case len(v.Reasons) == 0:
		v.Reasons = append(v.Reasons, "its words are in its source, but not together")
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
