package lexical

import "slices"

// Hit is a passage that was found.
type Hit struct {
	ID    string
	Group string
	Score float64 // BM25, above 0, without an upper bound
	// Coverage is 0 to 1: the share of the query's idf mass (weight × idf) whose terms are in the passage; terms that no passage has count too. Where
	// there are fewer passages than fewPassages, idf is taken as if there were so many.
	Coverage float64
	Why      *Why // nil unless asked for
}

// Why is how a score came about.
type Why struct {
	Length   int     // of the passage, in tokens
	Average  float64 // of the living passages
	Passages int     // living
	Terms    []TermScore
}

// TermScore is one term's share of a score.
type TermScore struct {
	Term     string
	Weight   float64
	Count    int // in the passage; 0 if it is missing
	Passages int // living ones that have the term
	IDF      float64
	Score    float64 // the passage's score is the sum of these, in this order
}

// hits are the best, best first.
func (s *searcher) hits() []Hit {
	entries := s.top.entries
	if len(entries) == 0 {
		return nil
	}
	slices.SortFunc(entries, func(x, y entry) int {
		if s.top.worse(y, x) {
			return -1
		}
		return 1
	})
	covered := Coverage(s.view.stats.Passages, counted(s.terms))
	out := make([]Hit, len(entries))
	for i, e := range entries {
		l := &s.view.parts[e.part]
		counts := s.top.countsOf(e)
		h := Hit{ID: l.id(e.doc).String(), Group: l.group(l.groupOf(e.doc)).String(), Score: e.score, Coverage: covered(func(term int) bool { return counts[term] > 0 })}
		if s.options.Explain {
			h.Why = s.why(l.length(e.doc), counts)
		}
		out[i] = h
	}
	return out
}

// counted are terms with their numbers in the view.
func counted(terms []queryTerm) []Counted {
	list := make([]Counted, len(terms))
	for i, t := range terms {
		list[i] = Counted{t.Term, t.df}
	}
	return list
}

// Counted is a term with the number of passages that have it.
type Counted struct {
	Term
	Passages int
}

// Coverage gives the share of the idf mass of terms, counted among that many passages, that a passage has by the terms that are in it. Of the forms of
// one word the best counts, and forms that no passage has only if there is no other.
func Coverage(passages int, terms []Counted) func(has func(term int) bool) float64 {
	masses := make([]float64, len(terms))
	known := map[int]bool{} // words of which some form is in a passage
	for i, t := range terms {
		masses[i] = t.Weight * rarity(passages, t.Passages)
		if t.Passages > 0 && t.Alt > 0 {
			known[t.Alt] = true
		}
	}
	best := map[int]float64{}
	mass := func(has func(int) bool) (sum float64) {
		clear(best)
		for i, t := range terms {
			w := masses[i]
			switch {
			case !has(i) || t.Alt > 0 && t.Passages == 0 && known[t.Alt]:
			case t.Alt == 0:
				sum += w
			case w > best[t.Alt]:
				sum += w - best[t.Alt]
				best[t.Alt] = w
			}
		}
		return sum
	}
	all := mass(func(int) bool { return true })
	return func(has func(int) bool) float64 {
		if all == 0 {
			return 0
		}
		return min(1, mass(has)/all)
	}
}

func (s *searcher) why(length uint32, counts []uint32) *Why {
	w := &Why{Length: int(length), Average: s.average, Passages: s.view.stats.Passages}
	for i, t := range s.terms {
		ts := TermScore{Term: t.Text, Weight: t.Weight, Count: int(counts[i]), Passages: t.df, IDF: t.idf}
		if ts.Count > 0 {
			ts.Score = contribution(t.weight, counts[i], s.norm(length))
		}
		w.Terms = append(w.Terms, ts)
	}
	return w
}
