package eval_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"byline/internal/engine/rank"
	"byline/internal/eval"
)

func TestParseWay(t *testing.T) {
	for text, want := range map[string][2]string{
		"lexical": {"lexical", ""}, "semantic": {"semantic", ""}, "hybrid": {"hybrid", ""}, "hybrid/rrf": {"hybrid", "rrf"}, "hybrid/convex": {"hybrid", "convex"},
	} {
		w, err := eval.ParseWay(text)
		if err != nil || w.Mode() != want[0] || w.Fusion() != want[1] {
			t.Errorf("%s: %q %q, %v", text, w.Mode(), w.Fusion(), err)
		}
	}
	for _, text := range []string{"", "vector", "hybrid/", "hybrid/sum", "lexical/rrf", "hybrid/rrf/x"} {
		if w, err := eval.ParseWay(text); err == nil {
			t.Errorf("%q is %q", text, w)
		}
	}
}

var set = &eval.Set{
	Name:      "set",
	Documents: []eval.Document{{ID: "d1"}, {ID: "d2"}, {ID: "d3"}},
	Questions: []eval.Question{
		{ID: "q1", Text: "one", Grades: rank.Grades{"d1": 1}},
		{ID: "q2", Text: "two", Grades: rank.Grades{"d2": 2, "d3": 1}},
		{ID: "q3", Text: "three", Grades: rank.Grades{"d3": 1}},
	},
	Unjudged: 4,
}

// rankings are a searcher's answers by way and question.
type rankings map[eval.Way]map[string][]string

func (r rankings) search(_ context.Context, w eval.Way, question string, k int) (eval.Found, error) {
	answer, ok := r[w][question]
	if !ok {
		return eval.Found{}, errors.New("broken")
	}
	return eval.Found{Documents: answer[:min(k, len(answer))], Degraded: []string{"slow"}}, nil
}

var answers = rankings{
	"lexical": {"one": {"d1"}, "two": {"d1", "d2"}, "three": {"d3"}},
	"hybrid":  {"one": {"d2", "d1"}, "two": {"d2", "d3"}, "three": {"d1", "d3"}},
}

func TestRun(t *testing.T) {
	var steps [][2]int
	got, err := eval.Run(t.Context(), set, []eval.Way{"lexical", "hybrid"}, 5, answers.search, func(done, of int) { steps = append(steps, [2]int{done, of}) })
	if err != nil {
		t.Fatal(err)
	}
	second := 1 / math.Log2(3)
	two := 3 * second / (3 + second)
	want := eval.Report{Set: "set", Documents: 3, Questions: 3, Unjudged: 4, K: 5, Results: []eval.Result{
		{Way: "lexical", Degraded: []string{"slow"}, Mean: eval.Measures{NDCG: (2 + two) / 3, Recall: 2.5 / 3, MRR: 2.5 / 3, MAP: 2.25 / 3}, Questions: []eval.Scored{
			{ID: "q1", Text: "one", Measures: eval.Measures{NDCG: 1, Recall: 1, MRR: 1, MAP: 1}},
			{ID: "q2", Text: "two", Measures: eval.Measures{NDCG: two, Recall: .5, MRR: .5, MAP: .25}},
			{ID: "q3", Text: "three", Measures: eval.Measures{NDCG: 1, Recall: 1, MRR: 1, MAP: 1}},
		}},
		{Way: "hybrid", Degraded: []string{"slow"}, Mean: eval.Measures{NDCG: (1 + 2*second) / 3, Recall: 1, MRR: 2. / 3, MAP: 2. / 3}, Questions: []eval.Scored{
			{ID: "q1", Text: "one", Measures: eval.Measures{NDCG: second, Recall: 1, MRR: .5, MAP: .5}},
			{ID: "q2", Text: "two", Measures: eval.Measures{NDCG: 1, Recall: 1, MRR: 1, MAP: 1}},
			{ID: "q3", Text: "three", Measures: eval.Measures{NDCG: second, Recall: 1, MRR: .5, MAP: .5}},
		}},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(steps) != 6 || steps[5] != [2]int{5, 6} {
		t.Errorf("progress %v", steps)
	}

	c := eval.Compare(got.Results[1], got.Results[0], "lexical")
	if c.Better != 1 || c.Worse != 2 || c.Same != 0 || len(c.Lost) != 2 || c.Lost[0].ID != "q1" || c.Lost[0].Was != 1 || c.Lost[0].Is != second {
		t.Errorf("comparison %+v", c)
	}
	if d := got.Results[1].Mean.NDCG - got.Results[0].Mean.NDCG; math.Abs(c.NDCG.Mean-d) > 1e-12 || c.NDCG.Low > d || c.NDCG.High < d || c.NDCG.Low == c.NDCG.High {
		t.Errorf("interval %+v of the difference %f", c.NDCG, d)
	}
	if same := eval.Compare(got.Results[0], got.Results[0], "itself"); same.Same != 3 || same.NDCG != (eval.Interval{}) {
		t.Errorf("against itself %+v", same)
	}
	if got.Find("semantic") != nil || got.Find("hybrid").Way != "hybrid" {
		t.Error("Find gives another way")
	}
}

func TestOnlyCommonQuestionsAreCompared(t *testing.T) {
	now := eval.Result{Questions: []eval.Scored{{ID: "a", Measures: eval.Measures{NDCG: .5}}, {ID: "b", Measures: eval.Measures{NDCG: 1}}}}
	before := eval.Result{Questions: []eval.Scored{{ID: "b", Measures: eval.Measures{NDCG: .75}}, {ID: "c"}}}
	if c := eval.Compare(now, before, "x"); c.Better != 1 || c.Worse+c.Same != 0 || c.NDCG.Mean != .25 {
		t.Errorf("%+v", c)
	}
	if c := eval.Compare(now, eval.Result{}, "x"); c != nil {
		t.Errorf("nothing in common, and still %+v", c)
	}
}

func TestRunFails(t *testing.T) {
	_, err := eval.Run(t.Context(), set, []eval.Way{"semantic"}, 5, answers.search, func(int, int) {})
	if err == nil || err.Error() != "ask q1: broken" {
		t.Errorf("%v", err)
	}
}

func TestMeanOfSets(t *testing.T) {
	result := func(w eval.Way, ndcg float64) eval.Result {
		return eval.Result{Way: w, Mean: eval.Measures{NDCG: ndcg}}
	}
	got := eval.Mean([]eval.Report{
		{Results: []eval.Result{result("lexical", .5), result("semantic", 1)}},
		{Results: []eval.Result{result("lexical", .7)}},
	})
	if len(got) != 1 || got[0].Way != "lexical" || math.Abs(got[0].Mean.NDCG-.6) > 1e-12 {
		t.Errorf("%+v", got)
	}
	if got := eval.Mean(nil); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
}
