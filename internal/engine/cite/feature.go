package cite

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"byline/internal/engine/embed/table"
)

// Features of a claim beside its spans. What counts is found within a few sentences: words of a claim that are spread over a
// whole page prove little.
type Features struct {
	Coverage float64 // share of the claim's terms, by weight, in all spans
	Best     float64 // the same in the best sentence
	Three    float64 // share of its words that the best three sentences have, at least nearly
	Window   float64 // the same in the best five sentences in a row
	Worst    float64 // how near the word is that is found least; 1 when all are there
	Missing  float64 // weight of the terms that the best three sentences lack
	Numbers  float64 // share of its numbers that the spans have, with their unit
	Names    float64 // share of its names that the spans have
	Absent   float64 // how many of its names they do not have
	Together float64 // share of its names that stand within the best seven sentences in a row
	Dates    float64 // share of its dates that the spans have
	Flips    float64 // 1: a negation or antonym that only one side has
	Cosine   float64 // of the claim with the nearest sentence; 0 when nobody was asked
}

func (m *match) features() Features {
	f := Features{Coverage: m.cover(m.all), Best: m.shared[m.best], Dates: 1}
	g := m.grid()
	f.Three, f.Missing = g.three(m)
	f.Window, _ = g.window(2)
	f.Worst = g.worst()
	f.Numbers = m.numberShare()
	f.Names, f.Absent = m.nameShares()
	f.Together = g.together()
	if n := len(m.claim.dates); n > 0 {
		f.Dates = float64(n-len(m.wrongDates())) / float64(n)
	}
	if len(m.flips()) > 0 {
		f.Flips = 1
	}
	return f
}

// grid tells for each sentence how far it has each word of the claim, 0 to 1.
type grid struct {
	words []word      // of the claim, one for each term
	near  [][]float64 // by sentence and word
	has   [][]bool    // the same: the term itself
	span  []int       // of each sentence
}

// manyWords bounds how many words of a claim are looked up.
const manyWords = 64

func (m *match) grid() grid {
	var g grid
	seen := map[string]bool{}
	for _, w := range m.claim.words {
		if w.term != "" && !seen[w.term] && len(g.words) < manyWords {
			seen[w.term] = true
			g.words = append(g.words, w)
		}
	}
	meant := meanings{}
	for _, s := range m.sentences {
		near, has := make([]float64, len(g.words)), make([]bool, len(g.words))
		for k, w := range g.words {
			if has[k] = s.has(w); has[k] {
				near[k] = 1
				continue
			}
			if w.digits || isHangul(w.s) {
				continue
			}
			for _, o := range s.words {
				if o.term == "" || o.digits || near[k] >= akin {
					continue
				}
				if sameStem(w.s, o.s) {
					near[k] = akin
				} else if !w.upper || w.first { // a name is no other one, however alike
					near[k] = math.Max(near[k], meant.alike(w.s, o.s))
				}
			}
		}
		g.near, g.has, g.span = append(g.near, near), append(g.has, has), append(g.span, s.place.Span)
	}
	return g
}

// akin is how near words are that have their begin in common.
const akin = .9

// sameStem tells whether two words have so much of their begin in common that they are forms of one: regulate, regulation.
func sameStem(a, b string) bool {
	n := commonPrefix(a, b)
	return n >= 5 && 5*n >= 3*max(len(a), len(b))
}

// meanings are the vectors of words, each looked up once.
type meanings map[string][]float32

// words of English have vectors; of other languages none, and nothing is alike.
var vectors = sync.OnceValue(func() *table.Table {
	t, err := table.Builtin()
	if err != nil {
		return nil
	}
	return t
})

func (m meanings) of(s string) []float32 {
	v, ok := m[s]
	if t := vectors(); !ok && t != nil {
		if found, err := t.Query(context.Background(), s); err == nil && found.Known > 0 {
			v = found.Values
		}
		m[s] = v
	}
	return v
}

// The cosines of two words from which on they are a little alike, and from which on they are one.
const (
	unlike = .45
	equal  = .85
)

func (m meanings) alike(a, b string) float64 {
	x, y := m.of(a), m.of(b)
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	cosine := 0.0
	for i := range x {
		cosine += float64(x[i]) * float64(y[i])
	}
	return min(max((cosine-unlike)/(equal-unlike), 0), 1)
}

// three takes the three sentences that have most of the claim together, and gives what they have and lack.
func (g grid) three(m *match) (share, missing float64) {
	if len(g.words) == 0 {
		return 0, 0
	}
	take := func(value func(i, k int) float64) []float64 {
		current := make([]float64, len(g.words))
		for range 3 {
			best, top := -1, -1.0
			for i := range g.near {
				sum := 0.0
				for k := range g.words {
					sum += math.Max(current[k], value(i, k))
				}
				if sum > top+1e-9 {
					best, top = i, sum
				}
			}
			for k := range g.words {
				current[k] = math.Max(current[k], value(best, k))
			}
		}
		return current
	}
	for _, v := range take(func(i, k int) float64 { return g.near[i][k] }) {
		share += v / float64(len(g.words))
	}
	weight := make([]float64, len(g.words))
	for k, w := range g.words {
		weight[k] = m.corpus.idf(w.term)
	}
	for k, v := range take(func(i, k int) float64 {
		if g.has[i][k] {
			return weight[k]
		}
		return 0
	}) {
		missing += weight[k] - v
	}
	return share, missing
}

// window finds the sentence whose neighbours on both sides, of the same span, have most of the claim with it.
func (g grid) window(reach int) (share float64, found []float64) {
	top := -1.0
	for i := range g.near {
		current := make([]float64, len(g.words))
		for n := max(0, i-reach); n <= min(len(g.near)-1, i+reach); n++ {
			if g.span[n] != g.span[i] {
				continue
			}
			for k, v := range g.near[n] {
				current[k] = math.Max(current[k], v)
			}
		}
		sum := 0.0
		for _, v := range current {
			sum += v
		}
		if sum > top+1e-9 {
			top, found = sum, current
		}
	}
	if len(g.words) == 0 {
		return 0, nil
	}
	return top / float64(len(g.words)), found
}

func (g grid) worst() float64 {
	least := 1.0
	for k := range g.words {
		top := 0.0
		for i := range g.near {
			top = math.Max(top, g.near[i][k])
		}
		least = math.Min(least, top)
	}
	return least
}

func (g grid) together() float64 {
	_, found := g.window(3)
	has, total := 0.0, 0.0
	for k, w := range g.words {
		if w.upper && !w.first && !w.digits {
			total++
			has += found[k]
		}
	}
	if total == 0 {
		return 1
	}
	return has / total
}

// content is the terms of words, in order.
func content(words []word) []string {
	var list []string
	for _, w := range words {
		if w.term != "" {
			list = append(list, w.term)
		}
	}
	return list
}

// numberShare is how many of the claim's numbers the spans have.
func (m *match) numberShare() float64 {
	found, total := 0.0, 0.0
	for _, n := range m.claim.numbers {
		if n.soft {
			continue
		}
		total++
		if ok, _, _ := m.number(n); ok {
			found++
		}
	}
	if total == 0 {
		return 1
	}
	return found / total
}

// nameShares is how many of the claim's names the spans have, and how many words of names they lack.
func (m *match) nameShares() (share, absent float64) {
	found, total := 0.0, 0.0
	for _, n := range names(m.claim) {
		if !n.sure {
			continue
		}
		total++
		if slices.ContainsFunc(m.sentences, func(s sentence) bool { return s.has(m.claim.words[n.word]) }) {
			found++
		} else {
			absent++
		}
	}
	if total == 0 {
		return 1, 0
	}
	return found / total, absent
}

// possessive drops the 's behind a name.
func possessive(s string) string { return strings.TrimSuffix(s, "'s") }

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
