package elastic

import (
	"math"
	"strings"

	"byline/internal/engine/lexical"
	"byline/internal/search"
)

// distinct drops terms without weight and adds up the weights of equal ones, as the embedded engine does.
func distinct(terms []lexical.Term) []lexical.Counted {
	var list []lexical.Counted
	at := make(map[string]int, len(terms))
	for _, t := range terms {
		if !(t.Weight > 0) || math.IsInf(t.Weight, 1) || t.Text == "" {
			continue
		}
		if i, ok := at[t.Text]; ok {
			list[i].Weight += t.Weight
		} else if len(list) < maxTerms {
			at[t.Text] = len(list)
			list = append(list, lexical.Counted{Term: t})
		}
	}
	return list
}

// explanation is how the server came to a score, as a tree.
type explanation struct {
	Value       float64        `json:"value"`
	Description string         `json:"description"`
	Details     []*explanation `json:"details"`
}

// of gives what each term gave to the score, in a workspace of that many passages. A nil explanation says nothing.
func (e *explanation) of(passages int, terms []lexical.Counted) []search.TermScore {
	list := make([]search.TermScore, len(terms))
	for i, t := range terms {
		list[i] = search.TermScore{Term: t.Text, IDF: lexical.IDF(passages, t.Passages)}
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
