package elastic

import (
	"math"
	"strings"

	"byline/internal/engine/lexical"
	"byline/internal/search"
)

// queryTerm is a term with what the workspace has of it.
type queryTerm struct {
	lexical.Term
	found bool    // some passage has it
	idf   float64 // ln(1+(N-n+.5)/(n+.5)), of N passages of the workspace of which n have it
	mass  float64 // of the coverage: its weight × how rare it is
}

func (t *queryTerm) count(n, all int) {
	all = max(all, n)
	t.found, t.idf = n > 0, math.Log(1+(float64(all-n)+.5)/(float64(n)+.5))
	t.mass = t.Weight * lexical.Rarity(all, n)
}

// distinct drops terms without weight and adds up the weights of equal ones, as the embedded engine does.
func distinct(terms []lexical.Term) []queryTerm {
	var list []queryTerm
	at := make(map[string]int, len(terms))
	for _, t := range terms {
		if !(t.Weight > 0) || math.IsInf(t.Weight, 1) || t.Text == "" {
			continue
		}
		if i, ok := at[t.Text]; ok {
			list[i].Weight += t.Weight
		} else if len(list) < maxTerms {
			at[t.Text] = len(list)
			list = append(list, queryTerm{Term: t})
		}
	}
	return list
}

// coverageOf gives the share of the idf mass that a passage has by the terms in it. Of the forms of one word the best counts,
// and forms that no passage has only if there is no other.
func coverageOf(terms []queryTerm) func(has []bool) float64 {
	known := map[int]bool{} // words of which some form is in a passage
	for _, t := range terms {
		if t.found && t.Alt > 0 {
			known[t.Alt] = true
		}
	}
	mass := func(has func(int) bool) (sum float64) {
		best := map[int]float64{}
		for i, t := range terms {
			w := t.mass
			switch {
			case !has(i) || t.Alt > 0 && !t.found && known[t.Alt]:
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
	return func(has []bool) float64 {
		if all == 0 {
			return 0
		}
		return min(1, mass(func(i int) bool { return has[i] })/all)
	}
}

// explanation is how the server came to a score, as a tree.
type explanation struct {
	Value       float64        `json:"value"`
	Description string         `json:"description"`
	Details     []*explanation `json:"details"`
}

// of gives what each term gave to the score. A nil explanation says nothing.
func (e *explanation) of(terms []queryTerm) []search.TermScore {
	list := make([]search.TermScore, len(terms))
	for i, t := range terms {
		list[i] = search.TermScore{Term: t.Text, IDF: t.idf}
		if w := e.find("weight(terms:" + t.Text + " in "); w != nil {
			list[i].Score = w.Value
			if f := w.find("freq, "); f != nil {
				list[i].Frequency = int(f.Value)
			}
			if f := w.find("idf, "); f != nil { // of all workspaces, with which the score was made
				list[i].IDF = f.Value
			}
		}
	}
	return list
}

// find gives the first part whose description begins so.
func (e *explanation) find(beginning string) *explanation {
	if e == nil || strings.HasPrefix(e.Description, beginning) {
		return e
	}
	for _, d := range e.Details {
		if f := d.find(beginning); f != nil {
			return f
		}
	}
	return nil
}
