package cli

import (
	"fmt"
	"strings"
)

// explanation says why a hit stands where it stands.
type explanation struct {
	Score   float64 `json:"score"`
	Lexical struct {
		leg
		Terms []struct {
			Term      string  `json:"term"`
			Frequency int     `json:"frequency"`
			Score     float64 `json:"score"`
		} `json:"terms"`
	} `json:"lexical"`
	Vector leg `json:"vector"`
}

type leg struct {
	Rank   int     `json:"rank"`
	Score  float64 `json:"score"`
	Weight float64 `json:"weight"`
	Part   float64 `json:"part"`
	Why    string  `json:"why"`
}

// tell is an explanation in a line for each leg.
func (e explanation) tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.3f", e.Score)
	for _, l := range []struct {
		name, measure string
		leg
	}{{"words", "BM25", e.Lexical.leg}, {"meaning", "cosine", e.Vector}} {
		fmt.Fprintf(&b, "\n%s: ", l.name)
		switch {
		case l.Rank > 0:
			fmt.Fprintf(&b, "%.3f as rank %d with weight %.2f (%s %.3f)", l.Part, l.Rank, l.Weight, l.measure, l.leg.Score)
		default:
			fmt.Fprintf(&b, "not among its best, weight %.2f", l.Weight)
		}
		if l.Why != "" {
			fmt.Fprintf(&b, ", %s", l.Why)
		}
		if l.name == "words" {
			for _, t := range e.Lexical.Terms {
				fmt.Fprintf(&b, ", %s x%d %.3f", t.Term, t.Frequency, t.Score)
			}
		}
	}
	return b.String()
}
