package lexical_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/lexical"
)

// passage is what the reference knows of a passage.
type passage struct {
	id, group string
	terms     []string
}

func (p passage) tokens() []lexical.Token {
	out := make([]lexical.Token, len(p.terms))
	for i, t := range p.terms {
		out[i] = lexical.Token{Term: t, Pos: i}
	}
	return out
}

// id is a ULID made of a number.
func id(n int) string { return fmt.Sprintf("%026d", n) }

// reference is BM25 as the package comment has it, computed from nothing but the living passages.
func reference(living []passage, terms []lexical.Term, k int, filter func(string) bool) []lexical.Hit {
	total := 0
	for _, p := range living {
		total += len(p.terms)
	}
	n := float64(len(living))
	average := float64(total) / n
	weights, masses := make([]float64, len(terms)), make([]float64, len(terms))
	all := 0.0
	for i, t := range terms {
		df := 0.0
		for _, p := range living {
			if slices.Contains(p.terms, t.Text) {
				df++
			}
		}
		weights[i] = t.Weight * math.Log(1+(n-df+0.5)/(df+0.5))
		few := max(n, 20)
		masses[i] = t.Weight * math.Log(1+(few-df+0.5)/(df+0.5))
		all += masses[i]
	}
	var hits []lexical.Hit
	for _, p := range living {
		score, covered := 0.0, 0.0
		for i, t := range terms {
			tf := 0.0
			for _, x := range p.terms {
				if x == t.Text {
					tf++
				}
			}
			if tf > 0 {
				const k1, b = 1.2, 0.75
				norm := k1*(1-b) + float64(k1*b/average*float64(len(p.terms)))
				score += float64(weights[i] * (tf / (tf + norm)))
				covered += masses[i]
			}
		}
		if score > 0 && (filter == nil || filter(p.group)) {
			hits = append(hits, lexical.Hit{ID: p.id, Group: p.group, Score: score, Coverage: covered / all})
		}
	}
	slices.SortFunc(hits, func(x, y lexical.Hit) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID))
	})
	return hits[:min(k, len(hits))]
}

// collection is segments and what the reference knows of them.
type collection struct {
	parts  []lexical.Part
	living []passage
}

func build(t interface{ Fatal(...any) }, passages []passage) *lexical.Segment {
	b := lexical.NewBuilder()
	for _, p := range passages {
		if err := b.Add(p.id, p.group, p.tokens()); err != nil {
			t.Fatal(err)
		}
	}
	data := b.Bytes()
	if len(data) > b.Size() {
		t.Fatal(fmt.Sprintf("%d bytes, but the builder had said at most %d", len(data), b.Size()))
	}
	s, err := lexical.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func drawCollection(t *rapid.T) collection {
	var c collection
	segments := rapid.IntRange(1, 4).Draw(t, "segments")
	next := 0
	for range segments {
		var passages []passage
		var dead []string
		dense := rapid.IntRange(1, 30).Draw(t, "density")
		for range rapid.IntRange(0, 25).Draw(t, "groups") {
			next += 1000
			group := id(next)
			isDead := rapid.IntRange(0, 4).Draw(t, "dead") == 0
			if isDead {
				dead = append(dead, group)
			}
			for range rapid.IntRange(1, 20).Draw(t, "passages") {
				next++
				p := passage{id: id(next*7919%100003*100000 + next), group: group}
				seed := rapid.Uint32().Draw(t, "terms")
				for range seed%23 + 1 { // a cheap generator: one draw a passage
					seed = seed*1664525 + 1013904223
					p.terms = append(p.terms, fmt.Sprint("t", int(seed>>16)%dense*int(seed>>24)%dense))
				}
				passages = append(passages, p)
				if !isDead {
					c.living = append(c.living, p)
				}
			}
		}
		c.parts = append(c.parts, lexical.Part{Segment: build(t, passages), Dead: append(dead, id(1), "nonsense")})
	}
	return c
}

func TestSearchEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCollection(t)
		var terms []lexical.Term
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 31), 1, 6, rapid.ID).Draw(t, "query") {
			terms = append(terms, lexical.Term{Text: fmt.Sprint("t", i), Weight: float64(rapid.IntRange(1, 3).Draw(t, "weight"))})
		}
		o := lexical.Options{K: rapid.SampledFrom([]int{1, 2, 10, 100, 5000}).Draw(t, "k")}
		if rapid.Bool().Draw(t, "filtered") {
			o.Filter = func(group string) bool { return group[22]%3 != 0 }
		}
		want := reference(c.living, terms, o.K, o.Filter)
		check := func(what string, parts []lexical.Part) {
			v := lexical.NewView(parts)
			tokens := 0
			for _, p := range c.living {
				tokens += len(p.terms)
			}
			if got, want := v.Stats(), (lexical.Stats{Passages: len(c.living), Tokens: tokens}); got != want {
				t.Fatalf("%s: statistics %v, want %v", what, got, want)
			}
			got, err := v.Search(terms, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := gocmp.Diff(want, got); d != "" {
				t.Fatalf("%s (-reference +search):\n%s", what, d)
			}
		}
		check("as built", c.parts)

		limit := rapid.SampledFrom([]int{1500, 8000, lexical.SegmentLimit}).Draw(t, "limit")
		check("merged", mergeAll(t, c.parts, limit))
	})
}

func mergeAll(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, parts []lexical.Part, limit int) []lexical.Part {
	var merged []lexical.Part
	err := lexical.Merge(parts, limit, func(data []byte) error {
		s, err := lexical.Open(data)
		if err != nil {
			return err
		}
		if len(data) > limit && s.Stats().Passages > 1 {
			t.Fatalf("merged segment has %d bytes, limit %d", len(data), limit)
		}
		merged = append(merged, lexical.Part{Segment: s})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return merged
}
