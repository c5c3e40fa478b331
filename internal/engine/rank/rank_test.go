package rank_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/engine/rank"
)

func near(a, b float64) bool { return math.Abs(a-b) < 5e-5 }

// TestKnown holds the measures against values worked out elsewhere.
func TestKnown(t *testing.T) {
	// The example of Wikipedia's article on discounted cumulative gain: grades 3 2 3 0 1 2 in this order.
	article := rank.Grades{"d1": 3, "d2": 2, "d3": 3, "d4": 0, "d5": 1, "d6": 2}
	six := []string{"d1", "d2", "d3", "d4", "d5", "d6"}
	binary := rank.Grades{"a": 1, "b": 1, "c": 1, "x": 0, "y": -1}
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"ndcg, powers of two as gains", rank.NDCG(six, article, 6), 13.84826 / 14.59539},
		{"ndcg of a cut", rank.NDCG(six, article, 2), (7 + 3/math.Log2(3)) / (7 + 7/math.Log2(3))},
		{"ndcg, binary as trec_eval's ndcg_cut", rank.NDCG([]string{"x", "a", "y", "b"}, binary, 10), .49819},
		{"ndcg of the best", rank.NDCG([]string{"c", "a", "b"}, binary, 10), 1},
		{"ndcg does not count twice", rank.NDCG([]string{"a", "a", "a"}, binary, 10), 1 / (1 + 1/math.Log2(3) + .5)},
		{"ndcg without an answer", rank.NDCG([]string{"x"}, rank.Grades{"x": 0}, 10), 0},
		{"ndcg at nothing", rank.NDCG(six, article, 0), 0},
		{"recall", rank.Recall([]string{"x", "a", "y", "b"}, binary, 10), 2. / 3},
		{"recall of a cut", rank.Recall([]string{"x", "a", "y", "b"}, binary, 3), 1. / 3},
		{"recall of a ranking with a document twice", rank.Recall([]string{"a", "a", "b"}, binary, 2), 2. / 3},
		{"recall of nothing", rank.Recall(nil, nil, 10), 0},
		{"reciprocal", rank.Reciprocal([]string{"x", "y", "a", "b"}, binary, 10), 1. / 3},
		{"reciprocal beyond the cut", rank.Reciprocal([]string{"x", "y", "a"}, binary, 2), 0},
		{"average precision at places 1, 3 and 5", rank.AveragePrecision([]string{"a", "x", "b", "y", "c"}, binary, 10), (1 + 2./3 + 3./5) / 3},
		{"average precision with one not found", rank.AveragePrecision([]string{"a", "x", "b"}, binary, 10), (1 + 2./3) / 3},
		{"a mean", rank.Mean([]float64{1, 0, .5}), .5},
		{"a mean of nothing", rank.Mean(nil), 0},
	} {
		if !near(tc.got, tc.want) {
			t.Errorf("%s: %.5f, want %.5f", tc.name, tc.got, tc.want)
		}
	}
}

// questions draws rankings with judgements; some documents are judged and not found, others found and not judged.
func questions(t *rapid.T) (ranking []string, g rank.Grades, k int) {
	g = rank.Grades{}
	for i := range rapid.IntRange(0, 7).Draw(t, "judged") {
		g[fmt.Sprint("d", i)] = rapid.IntRange(-1, 3).Draw(t, "grade")
	}
	all := make([]string, 10)
	for i := range all {
		all[i] = fmt.Sprint("d", i)
	}
	ranking = rapid.Permutation(all).Draw(t, "ranking")[:rapid.IntRange(0, 10).Draw(t, "found")]
	return ranking, g, rapid.IntRange(1, 12).Draw(t, "k")
}

// TestNDCGIsOfTheBestOrder compares with the definition: the largest gain that any order of the judged documents has.
func TestNDCGIsOfTheBestOrder(t *testing.T) {
	gain := func(ranking []string, g rank.Grades, k int) float64 {
		var sum float64
		for i := 0; i < k && i < len(ranking); i++ {
			if grade := g[ranking[i]]; grade > 0 {
				sum += (math.Pow(2, float64(grade)) - 1) * math.Ln2 / math.Log(float64(i+2))
			}
		}
		return sum
	}
	rapid.Check(t, func(t *rapid.T) {
		ranking, g, k := questions(t)
		var judged []string
		for id := range g {
			judged = append(judged, id)
		}
		var best float64
		permute(judged, 0, min(k, len(judged)), func(order []string) { best = max(best, gain(order, g, k)) })
		want := 0.
		if best > 0 {
			want = gain(ranking, g, k) / best
		}
		if got := rank.NDCG(ranking, g, k); !near(got, want) {
			t.Fatalf("nDCG@%d of %v by %v is %f, want %f", k, ranking, g, got, want)
		}
	})
}

// permute calls do with every order that differs in the first k.
func permute(list []string, from, k int, do func([]string)) {
	if from == k {
		do(list)
		return
	}
	for i := from; i < len(list); i++ {
		list[from], list[i] = list[i], list[from]
		permute(list, from+1, k, do)
		list[from], list[i] = list[i], list[from]
	}
}

func TestMeasuresAreWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranking, g, k := questions(t)
		values := map[string]float64{
			"nDCG": rank.NDCG(ranking, g, k), "recall": rank.Recall(ranking, g, k),
			"reciprocal": rank.Reciprocal(ranking, g, k), "average precision": rank.AveragePrecision(ranking, g, k),
		}
		hit := slices.ContainsFunc(ranking[:min(k, len(ranking))], func(id string) bool { return g[id] > 0 })
		for name, v := range values {
			if v < 0 || v > 1+1e-9 || (v > 0) != hit {
				t.Errorf("%s of %v by %v at %d is %f", name, ranking, g, k, v)
			}
		}
		if values["recall"] < values["average precision"]-1e-9 {
			t.Errorf("average precision %f is above recall %f", values["average precision"], values["recall"])
		}
	})
}

// TestBetterOrderIsBetter moves a better document before a worse one.
func TestBetterOrderIsBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranking, g, k := questions(t)
		if len(ranking) < 2 {
			return
		}
		i := rapid.IntRange(1, len(ranking)-1).Draw(t, "at")
		swapped := slices.Clone(ranking)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		if g[swapped[i-1]] < g[swapped[i]] {
			ranking, swapped = swapped, ranking
		}
		for name, measure := range map[string]func([]string, rank.Grades, int) float64{"nDCG": rank.NDCG, "recall": rank.Recall, "reciprocal": rank.Reciprocal} {
			if measure(swapped, g, k) < measure(ranking, g, k)-1e-9 {
				t.Errorf("%s@%d of %v by %v is below that of %v", name, k, swapped, g, ranking)
			}
		}
	})
}

func TestBootstrap(t *testing.T) {
	if got := rank.Bootstrap(nil, 1); got != (rank.Interval{}) {
		t.Errorf("of nothing: %+v", got)
	}
	if got := rank.Bootstrap([]float64{.25, .25, .25}, 1); got != (rank.Interval{Mean: .25, Low: .25, High: .25}) {
		t.Errorf("of the same value: %+v", got)
	}
	// A sample of a normal distribution: its interval must be about 1.96 standard errors wide to each side.
	var values []float64
	for i := range 200 {
		values = append(values, math.Sqrt2*math.Erfinv(2*(float64(i)+.5)/200-1))
	}
	got := rank.Bootstrap(values, 7)
	wide := 1.96 / math.Sqrt(200)
	if math.Abs(got.Low+wide) > .01 || math.Abs(got.High-wide) > .01 || !near(got.Mean, 0) {
		t.Errorf("of a normal sample: %+v, want ±%f", got, wide)
	}
	if again := rank.Bootstrap(values, 7); again != got {
		t.Errorf("twice the same: %+v and %+v", got, again)
	}
	if other := rank.Bootstrap(values, 8); other == got || math.Abs(other.Low-got.Low) > .01 {
		t.Errorf("another seed: %+v and %+v", got, other)
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1, 1), 1, 20).Draw(t, "values")
		got := rank.Bootstrap(values, 1)
		if got.Low > got.High || got.Low < slices.Min(values)-1e-9 || got.High > slices.Max(values)+1e-9 {
			t.Errorf("interval %+v of %v", got, values)
		}
	})
}
