package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"byline/internal/engine/rank"
)

// Way is a configuration of search: "hybrid", "lexical", "semantic", or with a fusion "hybrid/rrf".
type Way string

// Mode is the mode of search.
func (w Way) Mode() string {
	mode, _, _ := strings.Cut(string(w), "/")
	return mode
}

// Fusion is how legs are fused; "" is the usual way.
func (w Way) Fusion() string {
	_, fusion, _ := strings.Cut(string(w), "/")
	return fusion
}

// ParseWay reads a way.
func ParseWay(text string) (Way, error) {
	w := Way(text)
	mode := slices.Contains([]string{"hybrid", "lexical", "semantic"}, w.Mode())
	fusion := w.Fusion() == "" && !strings.Contains(text, "/") || w.Mode() == "hybrid" && slices.Contains([]string{"convex", "rrf"}, w.Fusion())
	if !mode || !fusion {
		return "", errors.New("use lexical, semantic, hybrid, hybrid/convex or hybrid/rrf")
	}
	return w, nil
}

// Found is what a search found.
type Found struct {
	Documents []string // ids of the set, best first; each once
	Degraded  []string // what could not be used
}

// Searcher finds documents of the set among its corpus: k at most.
type Searcher func(ctx context.Context, way Way, question string, k int) (Found, error)

// Measures of one question, or their means over all; see engine/rank. All are cut at the same k.
type Measures struct {
	NDCG   float64 `json:"ndcg"`
	Recall float64 `json:"recall"`
	MRR    float64 `json:"mrr"`
	MAP    float64 `json:"map"`
}

// Report is what a set says of some ways.
type Report struct {
	Set       string   `json:"set"`
	Documents int      `json:"documents"`
	Questions int      `json:"questions"`
	Unjudged  int      `json:"unjudged"`
	K         int      `json:"k"`
	Results   []Result `json:"results"`
}

// Result is what a set says of one way.
type Result struct {
	Way       Way         `json:"way"`
	Mean      Measures    `json:"mean"`
	Degraded  []string    `json:"degraded"`
	Questions []Scored    `json:"questions"`
	Against   *Comparison `json:"against,omitempty"`
}

// Scored is a question with its measures.
type Scored struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Measures
}

// Run asks all questions of a set in each way. progress is told how many searches are done of how many.
func Run(ctx context.Context, s *Set, ways []Way, k int, search Searcher, progress func(done, of int)) (Report, error) {
	report := Report{Set: s.Name, Documents: len(s.Documents), Questions: len(s.Questions), Unjudged: s.Unjudged, K: k}
	for n, way := range ways {
		result := Result{Way: way, Degraded: []string{}}
		for i, q := range s.Questions {
			progress(n*len(s.Questions)+i, len(ways)*len(s.Questions))
			found, err := search(ctx, way, q.Text, k)
			if err != nil {
				return Report{}, fmt.Errorf("ask %s: %w", q.ID, err)
			}
			result.Questions = append(result.Questions, Scored{ID: q.ID, Text: q.Text, Measures: Measures{
				NDCG:   rank.NDCG(found.Documents, q.Grades, k),
				Recall: rank.Recall(found.Documents, q.Grades, k),
				MRR:    rank.Reciprocal(found.Documents, q.Grades, k),
				MAP:    rank.AveragePrecision(found.Documents, q.Grades, k),
			}})
			for _, d := range found.Degraded {
				if !slices.Contains(result.Degraded, d) {
					result.Degraded = append(result.Degraded, d)
				}
			}
		}
		result.Mean = mean(result.Questions)
		report.Results = append(report.Results, result)
	}
	return report, nil
}

func mean(list []Scored) Measures {
	var sum Measures
	for _, q := range list {
		sum.NDCG += q.NDCG
		sum.Recall += q.Recall
		sum.MRR += q.MRR
		sum.MAP += q.MAP
	}
	n := float64(max(1, len(list)))
	return Measures{sum.NDCG / n, sum.Recall / n, sum.MRR / n, sum.MAP / n}
}

// Comparison is a result against another one of the same questions. The intervals are of the mean difference, this less the other.
type Comparison struct {
	Way    string   `json:"way"` // of the other, with its file where it comes from one
	NDCG   Interval `json:"ndcg"`
	Recall Interval `json:"recall"`
	MRR    Interval `json:"mrr"`
	Better int      `json:"better"` // questions, by nDCG
	Worse  int      `json:"worse"`
	Same   int      `json:"same"`
	Lost   []Loss   `json:"lost"` // the questions that are worse, worst first
}

// Interval is a mean difference, and where it lies with other questions of the kind, 95 times of 100.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Loss is a question that is answered worse, by nDCG.
type Loss struct {
	ID   string  `json:"id"`
	Text string  `json:"text"`
	Was  float64 `json:"was"`
	Is   float64 `json:"is"`
}

// seed of the bootstrap: the same figures give the same intervals.
const seed = 1

// Compare compares a result with another one, question by question; those that only one of them has are left out. It is nil
// when they have none in common.
func Compare(now, before Result, name string) *Comparison {
	was := map[string]Scored{}
	for _, q := range before.Questions {
		was[q.ID] = q
	}
	c := &Comparison{Way: name, Lost: []Loss{}}
	var ndcg, recall, mrr []float64
	for _, q := range now.Questions {
		b, ok := was[q.ID]
		if !ok {
			continue
		}
		ndcg, recall, mrr = append(ndcg, q.NDCG-b.NDCG), append(recall, q.Recall-b.Recall), append(mrr, q.MRR-b.MRR)
		switch {
		case q.NDCG > b.NDCG:
			c.Better++
		case q.NDCG < b.NDCG:
			c.Worse++
			c.Lost = append(c.Lost, Loss{ID: q.ID, Text: q.Text, Was: b.NDCG, Is: q.NDCG})
		default:
			c.Same++
		}
	}
	if len(ndcg) == 0 {
		return nil
	}
	slices.SortStableFunc(c.Lost, func(a, b Loss) int { return cmp.Compare(a.Is-a.Was, b.Is-b.Was) })
	c.NDCG, c.Recall, c.MRR = Interval(rank.Bootstrap(ndcg, seed)), Interval(rank.Bootstrap(recall, seed)), Interval(rank.Bootstrap(mrr, seed))
	return c
}

// Find gives the result of a way in a report, nil when it is not there.
func (r Report) Find(way Way) *Result {
	for i := range r.Results {
		if r.Results[i].Way == way {
			return &r.Results[i]
		}
	}
	return nil
}

// Mean gives, for the ways that all reports have, the mean of their means: each set counts the same.
func Mean(reports []Report) []Result {
	var means []Result
	if len(reports) == 0 {
		return nil
	}
	for _, first := range reports[0].Results {
		var list []Scored
		for _, r := range reports {
			if x := r.Find(first.Way); x != nil {
				list = append(list, Scored{Measures: x.Mean})
			}
		}
		if len(list) == len(reports) {
			means = append(means, Result{Way: first.Way, Mean: mean(list)})
		}
	}
	return means
}
