// Package fuse makes one ranking of several: by words, by meaning.
package fuse

import (
	"cmp"
	"math"
	"slices"
)

// Ranked is a thing in a ranking.
type Ranked struct {
	ID    string
	Score float64
}

// Side is one ranking, best first, with its say.
type Side struct {
	Ranking []Ranked
	Weight  float64 // not below 0
	// FromZero says that its scores count from 0, as BM25 does and a cosine does not.
	FromZero bool
}

// Fused is a thing in the common ranking.
type Fused struct {
	ID    string
	Score float64 // of its best possible value 1 with Convex
	// Parts has what each side gave: the normalised score times the weight, 0 where it is not in the side's ranking.
	Parts []float64
}

// Depth is how much of a side counts.
const Depth = 100

// Convex adds the sides' scores by weight, each side's min-max normalised over its own first Depth: 1 for its best and 0 for
// its worst and for what it has not got. A side that starts at nothing and names less than Depth has room below its worst:
// there 0 is nothing. Weights are scaled to sum up to 1. Equal sums are ordered by id. A side without
// weight adds nothing, not even things.
func Convex(sides ...Side) []Fused {
	return combine(sides, func(s Side, i int) float64 {
		lo, hi := s.Ranking[len(s.Ranking)-1].Score, s.Ranking[0].Score
		if s.FromZero && len(s.Ranking) < Depth {
			lo = min(lo, 0)
		}
		if hi <= lo {
			return 1
		}
		return (s.Ranking[i].Score - lo) / (hi - lo)
	})
}

// rrfConstant as Cormack, Clarke and Büttcher have it (SIGIR 2009).
const rrfConstant = 60

// RRF is reciprocal rank fusion, by weight: only ranks count.
func RRF(sides ...Side) []Fused {
	return combine(sides, func(_ Side, i int) float64 { return 1 / float64(rrfConstant+i+1) })
}

func combine(sides []Side, value func(s Side, i int) float64) []Fused {
	var total float64
	for _, s := range sides {
		total += s.Weight
	}
	if !(total > 0) {
		return nil
	}
	at := map[string]int{}
	var list []Fused
	for n, s := range sides {
		if s.Weight <= 0 {
			continue
		}
		s.Ranking = s.Ranking[:min(Depth, len(s.Ranking))]
		for i, r := range s.Ranking {
			j, ok := at[r.ID]
			if !ok {
				j = len(list)
				at[r.ID] = j
				list = append(list, Fused{ID: r.ID, Parts: make([]float64, len(sides))})
			}
			if list[j].Parts[n] == 0 { // a ranking that names a thing twice means its better place
				list[j].Parts[n] = value(s, i) * s.Weight / total
			}
		}
	}
	for i := range list {
		for _, p := range list[i].Parts {
			list[i].Score += p
		}
	}
	// A side's worst has no points of its own: it still comes before nothing, by the side's own order.
	slices.SortFunc(list, func(a, b Fused) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Held is how much of its weight a side by words keeps when its best holds a share of the question's idf mass, 0 to 1: a
// passage that has half of what was asked, and is the best nevertheless, was found for lack of better ones. The exponent is
// tuned on the sets of eval/, as are those of Clarity.
func Held(share float64) float64 { return math.Pow(min(1, max(0, share)), 1.5) }

// Clarity is what a side by meaning's weight is multiplied by, from how far its best stands above its tenth, as a share of
// its scale from unlike to alike: half where all are as near, twice where one stands out.
func Clarity(margin float64) float64 { return min(2, max(.5, 3*margin)) }

// Gate is how much of its weight a side by meaning keeps when its embedder knows a share of the letters, 0 to 1: nothing up
// to a half, all from nine tenths on.
func Gate(known float64) float64 { return min(1, max(0, (known-.5)/.4)) }

// Flaw tells why a ranking by cosine cannot be trusted; "" when nothing speaks against it. NaN and infinite scores come of
// damaged vectors, and equal scores of everything say nothing.
func Flaw(ranking []Ranked) string {
	for _, r := range ranking {
		if math.IsNaN(r.Score) || math.IsInf(r.Score, 0) {
			return "not_a_number"
		}
	}
	if n := len(ranking); n > 2 && ranking[0].Score == ranking[n-1].Score {
		return "constant"
	}
	return ""
}

// Diverse reorders a ranking by maximal marginal relevance: each next thing is the one whose relevance, less its likeness to
// what stands before it, is the greatest. lambda 1 is relevance alone, 0 is difference alone. Scores are min-max normalised;
// likeness is 0 to 1. It gives the first n.
func Diverse(ranking []Ranked, n int, lambda float64, likeness func(a, b string) float64) []Ranked {
	n = min(n, len(ranking))
	if n == 0 {
		return nil
	}
	lo, hi := ranking[0].Score, ranking[0].Score
	for _, r := range ranking {
		lo, hi = min(lo, r.Score), max(hi, r.Score)
	}
	width := max(hi-lo, 1e-12)
	nearest := make([]float64, len(ranking)) // to anything chosen
	taken := make([]bool, len(ranking))
	out := make([]Ranked, 0, n)
	for len(out) < n {
		best, value := -1, math.Inf(-1)
		for i, r := range ranking {
			if taken[i] {
				continue
			}
			if v := lambda*(r.Score-lo)/width - (1-lambda)*nearest[i]; v > value {
				best, value = i, v
			}
		}
		taken[best] = true
		out = append(out, ranking[best])
		if lambda < 1 {
			for i, r := range ranking {
				if !taken[i] {
					nearest[i] = max(nearest[i], likeness(r.ID, ranking[best].ID))
				}
			}
		}
	}
	return out
}
