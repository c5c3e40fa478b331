package summarize

import (
	"cmp"
	"slices"
)

// Pseudo-relevance feedback after RM3 (Abdul-Jaleel et al., 2004): what the best units for a query say besides its words finds others that
// say the same in other words.
const (
	feedbackUnits = 10
	feedbackTerms = 20
	feedbackShare = 0.5  // of the score; the query's own words have the rest
	feedbackLeast = 0.35 // of the expansion, in a unit that holds too little of the query itself
	gateShare     = 0.25 // of what the best source has for a query, below which another one is left out
	gateUnits     = 3    // the best ones of a source, by which it is judged
)

// fits is how units suit a query.
type fits struct {
	fit    []float64 // the score by unit; 0: it does not suit
	enough []float64 // how much of the query a unit holds, each word once, with what a search found
}

// gate leaves out the sources that have next to nothing for a query beside what the best of them has.
func (s *Survey) gate(f fits) {
	sums, most := make([]float64, len(s.Sources)), 0.0
	for i := range s.Sources {
		var best []float64
		for id := s.begins[i]; id < s.begins[i+1]; id++ {
			if f.enough[id] > 0 {
				best = append(best, f.enough[id])
			}
		}
		slices.Sort(best)
		for _, x := range best[max(0, len(best)-gateUnits):] {
			sums[i] += x
		}
		most = max(most, sums[i])
	}
	for i, sum := range sums {
		if sum >= gateShare*most {
			continue
		}
		for id := s.begins[i]; id < s.begins[i+1]; id++ {
			f.fit[id], f.enough[id] = 0, 0
		}
	}
}

// feedback moves the scores towards what the best units have in common, and lets units in that have much of that and something of the
// query, in the sources that have something for it.
func (s *Survey) feedback(f fits, wanted []want, own []float64) {
	var best []int
	inSource := make([]bool, len(s.Sources))
	for id, x := range f.fit {
		if x > 0 {
			best = append(best, id)
			inSource[s.Units[id].Source] = true
		}
	}
	if len(best) == 0 {
		return
	}
	slices.SortStableFunc(best, func(a, b int) int { return cmp.Compare(f.fit[b], f.fit[a]) })
	expansion := s.expansion(best[:min(feedbackUnits, len(best))], f.fit, wanted)
	if len(expansion) == 0 {
		return
	}
	top := f.fit[best[0]]
	for id := range f.fit {
		u := s.Units[id]
		if u.outside || !inSource[u.Source] || f.fit[id] == 0 && own[id] == 0 {
			continue
		}
		like := coverage(u.terms, expansion)
		switch {
		case f.fit[id] > 0:
			f.fit[id] += feedbackShare * like
		case like >= feedbackLeast:
			f.fit[id] = min(top, feedbackShare*(own[id]+like))
		}
	}
}

// expansion are the terms that weigh most in some units, each as often as it fits, without those of the query.
func (s *Survey) expansion(units []int, fit []float64, wanted []want) []want {
	acc := map[int]float64{}
	var terms []int
	for _, id := range units {
		for _, e := range s.Units[id].terms {
			if _, known := acc[e.term]; !known {
				terms = append(terms, e.term)
			}
			acc[e.term] += e.weight * fit[id]
		}
	}
	asked := map[int]bool{}
	for _, w := range wanted {
		asked[w.term] = true
	}
	terms = slices.DeleteFunc(terms, func(t int) bool { return asked[t] || s.vocabulary.df[t] < 2 })
	slices.SortStableFunc(terms, func(a, b int) int { return cmp.Compare(acc[b], acc[a]) })
	terms = terms[:min(feedbackTerms, len(terms))]
	sum := 0.0
	for _, t := range terms {
		sum += acc[t]
	}
	var out []want
	for _, t := range terms {
		out = append(out, want{t, acc[t] / sum})
	}
	return out
}
