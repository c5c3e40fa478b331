package cite

import (
	"math"
	"slices"

	"byline/internal/engine/lexical"
)

// Passage is a piece of a source that a claim may be taken from.
type Passage struct {
	ID   string
	Text string
}

// Candidate is a passage that a claim can be attached to.
type Candidate struct {
	ID    string
	Index int     // in section, or behind its last in all
	Score float64 // the share of the claim's words, by weight, that it adds, and .3 of its BM25 against the best
	Far   bool    // it is of all, not of the section
}

// Pool is passages prepared for many questions. It is safe for concurrent use.
type Pool struct {
	passages []Passage
	terms    []map[string]int
	lengths  []float64
	mean     float64
	corpus   *Corpus
}

// NewPool prepares passages.
func NewPool(passages []Passage) *Pool {
	p := &Pool{passages: passages, corpus: &Corpus{texts: len(passages), in: map[string]int{}}}
	for _, x := range passages {
		count := map[string]int{}
		tokens := lexical.Analyze(x.Text, language(x.Text))
		for _, t := range tokens {
			count[t.Term]++
		}
		for t := range count {
			p.corpus.in[t]++
		}
		p.terms = append(p.terms, count)
		p.lengths = append(p.lengths, float64(len(tokens)))
		p.mean += float64(len(tokens)) / float64(len(passages))
	}
	return p
}

// Corpus tells how rare terms are in the pool.
func (p *Pool) Corpus() *Corpus { return p.corpus }

// The rules of Attach: how much of a claim's weight must stand in its passages, what another passage must add, how many
// passages a claim has.
const (
	enough  = .5
	adds    = .08
	atMost  = 3
	bmShare = .3
)

// Attach finds the passages that a claim without a mark was taken from: in its section's evidence, and where that is not
// enough, in all. None means that the claim is unsupported.
func Attach(claim string, section, all *Pool) []Candidate {
	for i, p := range []*Pool{section, all} {
		if p == nil {
			continue
		}
		found, covered := p.pick(claim, atMost, adds)
		if covered < enough {
			continue
		}
		for k := range found {
			found[k].Far = i == 1
		}
		return found
	}
	return nil
}

// pick takes passages greedily by what they add to what is covered of the claim's weight.
func (p *Pool) pick(claim string, most int, least float64) (found []Candidate, covered float64) {
	weights, total := map[string]float64{}, 0.0
	for t := range terms(claim, nil) {
		weights[t] = p.corpus.idf(t)
		total += weights[t]
	}
	if total == 0 {
		return nil, 0
	}
	order := sorted(weights)
	bm := make([]float64, len(p.passages))
	top := 0.0
	for i, has := range p.terms {
		for _, t := range order {
			f := float64(has[t])
			bm[i] += weights[t] * f * 2.2 / (f + 1.2*(.25+.75*p.lengths[i]/math.Max(p.mean, 1)))
		}
		top = math.Max(top, bm[i])
	}
	if top == 0 {
		return nil, 0
	}
	left := map[string]bool{}
	for t := range weights {
		left[t] = true
	}
	taken := make([]bool, len(p.passages))
	for len(found) < most {
		best, bestScore, bestGain := -1, 0.0, 0.0
		for i, has := range p.terms {
			if taken[i] {
				continue
			}
			gain := 0.0
			for _, t := range order {
				if left[t] && has[t] > 0 {
					gain += weights[t] / total
				}
			}
			if score := gain + bmShare*bm[i]/top; gain > least && score > bestScore {
				best, bestScore, bestGain = i, score, gain
			}
		}
		if best < 0 {
			break
		}
		taken[best] = true
		covered += bestGain
		for t := range p.terms[best] {
			delete(left, t)
		}
		found = append(found, Candidate{ID: p.passages[best].ID, Index: best, Score: bestScore})
	}
	return found, covered
}

// sorted gives the terms in an order that is always the same, so that sums are.
func sorted(weights map[string]float64) []string {
	list := make([]string, 0, len(weights))
	for t := range weights {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}
