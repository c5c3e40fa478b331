package fuse_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/fuse"
)

func ranking(ids string, scores ...float64) (r []fuse.Ranked) {
	for i, s := range scores {
		r = append(r, fuse.Ranked{ID: ids[i : i+1], Score: s})
	}
	return r
}

func order(list []fuse.Fused) (s string) {
	for _, f := range list {
		s += f.ID
	}
	return s
}

func TestConvex(t *testing.T) {
	words, meaning := ranking("abcd", 10, 8, 4, 2), ranking("cea", .9, .5, .1)
	got := fuse.Convex(fuse.Side{Ranking: words, Weight: 6}, fuse.Side{Ranking: meaning, Weight: 4})
	want := []fuse.Fused{ // by hand: (score - worst) / (best - worst), .6 and .4 of it
		{ID: "a", Score: .6, Parts: []float64{.6, 0}},
		{ID: "c", Score: .55, Parts: []float64{.15, .4}},
		{ID: "b", Score: .45, Parts: []float64{.45, 0}},
		{ID: "e", Score: .2, Parts: []float64{0, .2}},
		{ID: "d", Score: 0, Parts: []float64{0, 0}},
	}
	if diff := gocmp.Diff(want, got, gocmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct {
		sides []fuse.Side
		want  string
	}{
		"nothing":                    {nil, ""},
		"no weight":                  {[]fuse.Side{{Ranking: words}}, ""},
		"empty":                      {[]fuse.Side{{Weight: 1}}, ""},
		"one of no weight":           {[]fuse.Side{{Ranking: words, Weight: 1}, {Ranking: meaning}}, "abcd"},
		"one empty":                  {[]fuse.Side{{Ranking: words, Weight: 1}, {Weight: 1}}, "abcd"},
		"equal scores go by id":      {[]fuse.Side{{Ranking: ranking("ba", 1, 1), Weight: 1}}, "ab"},
		"a single one is the best":   {[]fuse.Side{{Ranking: ranking("x", -3), Weight: 1}, {Ranking: words, Weight: .9}}, "xabcd"},
		"named twice, better counts": {[]fuse.Side{{Ranking: ranking("aba", 3, 2, 1), Weight: 1}}, "ab"},
	} {
		if got := order(fuse.Convex(tt.sides...)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// A list that counts from zero and is not full has room below its worst.
func TestConvexFromZero(t *testing.T) {
	few := fuse.Side{Ranking: ranking("ab", 10, 4), Weight: 1, FromZero: true}
	if got := fuse.Convex(few); math.Abs(got[1].Score-.4) > 1e-12 {
		t.Errorf("%+v", got)
	}
	if got := fuse.Convex(fuse.Side{Ranking: ranking("ab", 3, -1), Weight: 1, FromZero: true}); math.Abs(got[1].Score) > 1e-12 {
		t.Errorf("below zero: %+v", got)
	}
	full := fuse.Side{Weight: 1, FromZero: true}
	for i := range fuse.Depth {
		full.Ranking = append(full.Ranking, fuse.Ranked{ID: fmt.Sprintf("%03d", i), Score: float64(200 - i)})
	}
	if got := fuse.Convex(full); got[len(got)-1].Score != 0 {
		t.Errorf("the last of a full list: %+v", got[len(got)-1])
	}
}

func TestHowSureTheSidesAre(t *testing.T) {
	for share, want := range map[float64]float64{-1: 0, 0: 0, .25: .125, 1: 1, 2: 1} {
		if got := fuse.Held(share); math.Abs(got-want) > 1e-12 {
			t.Errorf("held %v: %v, want %v", share, got, want)
		}
	}
	for margin, want := range map[float64]float64{-1: .5, 0: .5, 1.0 / 3: 1, .5: 1.5, 1: 2} {
		if got := fuse.Clarity(margin); math.Abs(got-want) > 1e-12 {
			t.Errorf("margin %v: %v, want %v", margin, got, want)
		}
	}
}

func TestRRF(t *testing.T) {
	got := fuse.RRF(fuse.Side{Ranking: ranking("ab", 1000, 1), Weight: 1}, fuse.Side{Ranking: ranking("ba", .5, .4), Weight: 1}, fuse.Side{Ranking: ranking("b", 1), Weight: 1})
	if order(got) != "ba" || math.Abs(got[0].Score-(1.0/62+1.0/61+1.0/61)/3) > 1e-12 {
		t.Errorf("%+v", got)
	}
}

func TestGate(t *testing.T) {
	for known, want := range map[float64]float64{-1: 0, 0: 0, .5: 0, .7: .5, .9: 1, 1: 1} {
		if got := fuse.Gate(known); math.Abs(got-want) > 1e-12 {
			t.Errorf("%v: %v, want %v", known, got, want)
		}
	}
}

func TestFlaw(t *testing.T) {
	for want, lists := range map[string][][]fuse.Ranked{
		"":             {nil, ranking("a", 1), ranking("ab", 1, 1), ranking("abc", 1, 1, .5)},
		"constant":     {ranking("abc", .3, .3, .3)},
		"not_a_number": {ranking("ab", 1, math.NaN()), ranking("ab", math.Inf(1), 1)},
	} {
		for _, l := range lists {
			if got := fuse.Flaw(l); got != want {
				t.Errorf("%v: %q, want %q", l, got, want)
			}
		}
	}
}

func TestDiverse(t *testing.T) {
	list := ranking("aAbB", 1, .99, .6, .5)
	alike := func(x, y string) float64 {
		if x != y && (x+y == "aA" || x+y == "Aa" || x+y == "bB" || x+y == "Bb") {
			return 1
		}
		return 0
	}
	ids := func(l []fuse.Ranked) (s string) {
		for _, r := range l {
			s += r.ID
		}
		return s
	}
	for _, tt := range []struct {
		n      int
		lambda float64
		want   string
	}{{4, 1, "aAbB"}, {2, .5, "ab"}, {4, .5, "abAB"}, {9, 0, "abAB"}, {0, .5, ""}} {
		if got := ids(fuse.Diverse(list, tt.n, tt.lambda, alike)); got != tt.want {
			t.Errorf("%d of %v: %s, want %s", tt.n, tt.lambda, got, tt.want)
		}
	}
	if fuse.Diverse(nil, 3, .5, alike) != nil {
		t.Error("something of nothing")
	}
}

// What is fused has just what the sides with weight have, does not depend on the order in which equal things are given, keeps
// the order of a side that is alone, and does not put down what both sides put up.
func TestFusionKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := func(name string) fuse.Side {
			scores := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(-500, 500).Draw(t, "score")) / 100 }), 0, 30).Draw(t, name)
			var s fuse.Side
			for _, i := range rapid.Permutation(indices(40)).Draw(t, name+" ids")[:len(scores)] {
				s.Ranking = append(s.Ranking, fuse.Ranked{ID: fmt.Sprintf("p%02d", i), Score: scores[len(s.Ranking)]})
			}
			slices.SortFunc(s.Ranking, func(a, b fuse.Ranked) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID)) })
			s.Weight = rapid.SampledFrom([]float64{0, .1, .4, .6, 1}).Draw(t, name+" weight")
			return s
		}
		a, b := side("a"), side("b")
		got := fuse.Convex(a, b)
		want := map[string]bool{}
		for _, s := range []fuse.Side{a, b} {
			for _, r := range s.Ranking {
				if s.Weight > 0 {
					want[r.ID] = true
				}
			}
		}
		place := map[string]int{}
		for i, f := range got {
			if !want[f.ID] || f.Score < 0 || f.Score > 1+1e-9 {
				t.Fatalf("%+v", f)
			}
			place[f.ID] = i
		}
		if len(place) != len(want) || len(got) != len(want) {
			t.Fatalf("%d things of %d", len(got), len(want))
		}
		if swapped := fuse.Convex(b, a); order(swapped) != order(got) {
			t.Fatalf("%s, the other way round %s", order(got), order(swapped))
		}
		if b.Weight == 0 && a.Weight > 0 {
			for i, r := range a.Ranking {
				if i > 0 && r.Score < a.Ranking[i-1].Score && place[r.ID] < place[a.Ranking[i-1].ID] {
					t.Fatalf("%s was put before %s", r.ID, a.Ranking[i-1].ID)
				}
			}
		}
		rank := func(s fuse.Side, id string) (float64, bool) {
			i := slices.IndexFunc(s.Ranking, func(r fuse.Ranked) bool { return r.ID == id })
			if i < 0 {
				return 0, false
			}
			return s.Ranking[i].Score, true
		}
		for _, x := range got {
			for _, y := range got {
				xa, ok1 := rank(a, x.ID)
				ya, ok2 := rank(a, y.ID)
				xb, ok3 := rank(b, x.ID)
				yb, ok4 := rank(b, y.ID)
				if ok1 && ok2 && ok3 && ok4 && a.Weight > 0 && b.Weight > 0 && xa > ya && xb > yb && place[x.ID] > place[y.ID] {
					t.Fatalf("%s is better on both sides than %s", x.ID, y.ID)
				}
			}
		}
	})
}

func indices(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}
