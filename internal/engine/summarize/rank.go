package summarize

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"byline/internal/engine/lexical"
)

// entry is a term of a unit: first its count, after weigh its weight in a vector of length one.
type entry struct {
	term   int
	weight float64
}

// vocabulary numbers the terms in the order of their first appearance.
type vocabulary struct {
	ids map[string]int
	df  []int // units with the term
	idf []float64
	n   int // units
}

// count gives a text's terms, sorted by number, with how often they stand in it.
func (v *vocabulary) count(text, lang string) []entry {
	var found []int
	for _, t := range lexical.Analyze(text, lang) {
		id, ok := v.ids[t.Term]
		if !ok {
			id = len(v.df)
			v.ids[t.Term] = id
			v.df = append(v.df, 0)
		}
		found = append(found, id)
	}
	slices.Sort(found)
	var out []entry
	for _, id := range found {
		if len(out) > 0 && out[len(out)-1].term == id {
			out[len(out)-1].weight++
			continue
		}
		out = append(out, entry{id, 1})
	}
	for _, e := range out {
		v.df[e.term]++
	}
	v.n++
	return out
}

// intern numbers the terms of a heading, which no unit need have.
func (v *vocabulary) intern(text, lang string) {
	for _, t := range lexical.Analyze(text, lang) {
		if _, ok := v.ids[t.Term]; !ok {
			v.ids[t.Term] = len(v.df)
			v.df = append(v.df, 0)
		}
	}
}

// weigh makes vectors of the units' counts.
func (v *vocabulary) weigh(units []Unit) {
	v.idf = make([]float64, len(v.df))
	for i, df := range v.df {
		v.idf[i] = v.rarity(df)
	}
	for i := range units {
		norm := 0.0
		for j, e := range units[i].terms {
			w := (1 + math.Log(e.weight)) * v.idf[e.term]
			units[i].terms[j].weight = w
			norm += w * w
		}
		norm = math.Sqrt(norm)
		for j := range units[i].terms {
			units[i].terms[j].weight /= norm
		}
	}
}

// rarity is the idf of a term that df units hold, as in BM25.
func (v *vocabulary) rarity(df int) float64 {
	return math.Log(1 + (float64(v.n)-float64(df)+0.5)/(float64(df)+0.5))
}

// want is a term that a heading or title asks for; term is -1 for one that no unit has.
type want struct {
	term   int
	weight float64 // its share of all, so that they sum up to one
}

// query analyses words that units are wanted for. Words that say nothing of a subject ("think", "overview") are left out where
// others are there.
func (v *vocabulary) query(text string, languages []string) []want {
	if strict := v.wanted(text, languages, true); len(strict) > 0 {
		return strict
	}
	return v.wanted(text, languages, false)
}

// wanted is query; without vague words or with them.
func (v *vocabulary) wanted(text string, languages []string, strict bool) []want {
	var out []want
	sum := 0.0
	seen := map[string]bool{}
	for _, lang := range languages {
		for _, t := range lexical.Analyze(text, lang) {
			if seen[t.Term] || strict && vague[strings.ToLower(text[t.Start:t.End])] {
				continue
			}
			seen[t.Term] = true
			w := want{term: -1, weight: v.rarity(0)}
			if id, ok := v.ids[t.Term]; ok {
				w = want{id, v.idf[id]}
			}
			out = append(out, w)
			sum += w.weight
		}
	}
	for i := range out {
		out[i].weight /= sum
	}
	return out
}

// coverage is how much of what is wanted stands in a unit, 0..1.
func coverage(terms []entry, wanted []want) float64 {
	sum := 0.0
	for _, w := range wanted {
		if _, ok := slices.BinarySearchFunc(terms, w.term, func(e entry, t int) int { return e.term - t }); ok {
			sum += w.weight
		}
	}
	return sum
}

// cosine of two vectors of length one.
func cosine(a, b []entry) float64 {
	sum := 0.0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].term < b[j].term:
			i++
		case a[i].term > b[j].term:
			j++
		default:
			sum += a[i].weight * b[j].weight
			i++
			j++
		}
	}
	return sum
}

// tally is a sum of vectors.
type tally struct {
	weights []float64 // by term
	touched []int
}

func (t *tally) add(v []entry) {
	for _, e := range v {
		if t.weights[e.term] == 0 {
			t.touched = append(t.touched, e.term)
		}
		t.weights[e.term] += e.weight
	}
}

func (t *tally) dot(v []entry) float64 {
	sum := 0.0
	for _, e := range v {
		sum += e.weight * t.weights[e.term]
	}
	return sum
}

// vector is the sum with length one; the tally is empty afterwards.
func (t *tally) vector() []entry {
	slices.Sort(t.touched)
	out := make([]entry, 0, len(t.touched))
	norm := 0.0
	for _, term := range t.touched {
		out = append(out, entry{term, t.weights[term]})
		norm += t.weights[term] * t.weights[term]
		t.weights[term] = 0
	}
	t.touched = t.touched[:0]
	norm = math.Sqrt(norm)
	for i := range out {
		out[i].weight /= norm
	}
	return out
}

// The parts of a unit's score. Directed centrality, place and title words are those that measured best on leads written by
// people (FreshWiki); the others keep a reader from stumbling.
const (
	placeWeight = 0.5
	titleWeight = 0.2
	figureBonus = 0.1
	leanPenalty = 0.3
	longPenalty = 0.3
	longWords   = 45

	questionPenalty = 0.6
	thinPenalty     = 0.3
	thinWords       = 9 // a sentence of fewer words and without a figure says little
)

// question tells sentences that ask, or tell of somebody who asks: without the answer they leave a reader with nothing.
var question = regexp.MustCompile(`[?？]["'”’)]*$|\bask(s|ed)? (why|whether|how|what|when|where|who|if|about)\b|(인지|는지|냐고) (묻|물)`)

// asks tells whether a sentence is a question or tells of one.
func asks(s string) bool {
	return (strings.ContainsAny(s, "?？묻물") || strings.Contains(s, "ask")) && question.MatchString(s)
}

// rank scores all units: sentences vote for earlier ones of their section, sections for earlier ones of their source, and
// sources for each other.
func (s *Survey) rank() {
	acc := tally{weights: make([]float64, len(s.vocabulary.df))}
	vectors := make([][]entry, len(s.sections))
	for i, l := range s.sections {
		best := 0.0
		for _, id := range slices.Backward(l.units) {
			u := &s.Units[id]
			u.score = acc.dot(u.terms)
			best = max(best, u.score)
			acc.add(u.terms)
		}
		if best > 0 {
			for _, id := range l.units {
				s.Units[id].score /= best
			}
		}
		vectors[i] = acc.vector()
	}
	whole := s.rankSections(&acc, vectors)
	s.rankSources(&acc, whole)
	titles := make([][]want, len(s.Sources))
	for i, t := range s.Titles {
		titles[i] = s.vocabulary.query(t, []string{s.Sources[i].Language})
	}
	for i := range s.Units {
		u := &s.Units[i]
		u.score += placeWeight/float64(1+u.place) + titleWeight*coverage(u.terms, titles[u.Source])
		text := s.Quote(i)
		if hasFigure(text) {
			u.score += figureBonus
		} else if s.thin(i) {
			u.score -= thinPenalty
		}
		if u.leans {
			u.score -= leanPenalty
		}
		if u.Kind == Sentence && u.Words > s.scaled(u.Source, longWords) {
			u.score -= longPenalty
		}
		if asks(text) || signpost.MatchString(text) {
			u.score -= questionPenalty
		}
	}
}

// thin tells a sentence that is too short to say much.
func (s *Survey) thin(id int) bool {
	u := s.Units[id]
	return u.Kind == Sentence && u.Words < s.scaled(u.Source, thinWords) && !hasFigure(s.Quote(id))
}

// signpost tells sentences that send a reader elsewhere.
var signpost = regexp.MustCompile(`^(?i)(see|read more|more (at|on|in|about)|find out|for (more|details|further)|visit|contact|click)\b`)

var years = regexp.MustCompile(`\b(19|20)\d\d\b`)

// hasFigure tells whether a text has a number that is more than a year.
func hasFigure(text string) bool {
	return strings.ContainsAny(text, "0123456789") && strings.ContainsAny(years.ReplaceAllString(text, ""), "0123456789")
}

// rankSections adds to each unit how central its section is, and gives each source's vector.
func (s *Survey) rankSections(acc *tally, vectors [][]entry) [][]entry {
	whole := make([][]entry, len(s.Sources))
	score := make([]float64, len(s.sections))
	for end := len(s.sections); end > 0; {
		source := s.sections[end-1].source
		begin := end
		best := 0.0
		for begin > 0 && s.sections[begin-1].source == source {
			begin--
			score[begin] = acc.dot(vectors[begin])
			best = max(best, score[begin])
			acc.add(vectors[begin])
		}
		whole[source] = acc.vector()
		for i := begin; i < end && best > 0; i++ {
			for _, id := range s.sections[i].units {
				s.Units[id].score += score[i] / best
			}
		}
		end = begin
	}
	return whole
}

// substance is what a source counts among others: more when much of it stands in lists, tables and sentences with figures, which is what
// people look up, and less when it is short.
func (s *Survey) substance(source int) float64 {
	const short = 100 // words
	all, facts := 0.0, 0.0
	for _, id := range s.unitsOf(source) {
		u := s.Units[id]
		if u.outside {
			continue
		}
		all += float64(u.Words)
		if u.Kind == Table || u.Kind == Item {
			facts += float64(u.Words)
		} else if hasFigure(s.Quote(id)) {
			facts += float64(u.Words) / 2
		}
	}
	return (all + facts/2) / (all + short)
}

// rankSources orders the sources by how much they have in common with the others.
func (s *Survey) rankSources(acc *tally, whole [][]entry) {
	for i, v := range whole {
		if !s.isSuperseded(i) {
			acc.add(v)
		}
	}
	score := make([]float64, len(whole))
	for i, v := range whole {
		score[i] = acc.dot(v) * s.substance(i)
		s.central = append(s.central, i)
	}
	acc.vector()
	slices.SortStableFunc(s.central, func(a, b int) int {
		switch {
		case score[a] > score[b]:
			return -1
		case score[a] < score[b]:
			return 1
		}
		return 0
	})
}
