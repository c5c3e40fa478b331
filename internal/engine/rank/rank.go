// Package rank measures rankings against judgements, and how sure a difference between two of them is.
//
// A ranking is a list of ids, best first; an id that comes again counts where it came first. All measures are 0 to 1 and 0 for
// a question that nothing answers: leave such questions out of a mean.
package rank

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Grades say how well documents answer one question: 0 or less is not at all. What nobody judged does not answer.
type Grades map[string]int

// Relevant counts the documents that answer.
func (g Grades) Relevant() int {
	n := 0
	for _, grade := range g {
		if grade > 0 {
			n++
		}
	}
	return n
}

// NDCG is the normalised discounted cumulative gain of the first k: each document gives 2^grade-1 (Burges and others, Learning
// to rank using gradient descent, ICML 2005), divided by log2(1+rank) (Järvelin and Kekäläinen, Cumulated gain-based
// evaluation of IR techniques, TOIS 2002), all divided by what the best ranking of all judged documents gives. With grades 0
// and 1 it is trec_eval's ndcg_cut; for higher ones trec_eval takes the grade itself as gain.
func NDCG(ranking []string, g Grades, k int) float64 {
	var sum float64
	for i, grade := range graded(ranking, g, k) {
		sum += discounted(grade, i)
	}
	best := make([]int, 0, len(g))
	for _, grade := range g {
		best = append(best, grade)
	}
	slices.Sort(best)
	slices.Reverse(best)
	var ideal float64
	for i, grade := range best[:min(max(k, 0), len(best))] {
		ideal += discounted(grade, i)
	}
	if ideal == 0 {
		return 0
	}
	return sum / ideal
}

// discounted is the gain of a grade at a place, from 0.
func discounted(grade, i int) float64 {
	return (math.Exp2(float64(max(grade, 0))) - 1) / math.Log2(float64(i+2))
}

// Recall is the share of the documents that answer which is among the first k.
func Recall(ranking []string, g Grades, k int) float64 {
	n := 0
	for _, grade := range graded(ranking, g, k) {
		if grade > 0 {
			n++
		}
	}
	return float64(n) / float64(max(1, g.Relevant()))
}

// Reciprocal is one divided by the place of the first document that answers, 0 when none of the first k does. Its mean over
// questions is MRR@k.
func Reciprocal(ranking []string, g Grades, k int) float64 {
	for i, grade := range graded(ranking, g, k) {
		if grade > 0 {
			return 1 / float64(i+1)
		}
	}
	return 0
}

// AveragePrecision is the mean, over all documents that answer, of the precision at each one's place; those that are not among
// the first k count 0. Its mean over questions is MAP@k.
func AveragePrecision(ranking []string, g Grades, k int) float64 {
	var sum float64
	n := 0
	for i, grade := range graded(ranking, g, k) {
		if grade > 0 {
			n++
			sum += float64(n) / float64(i+1)
		}
	}
	return sum / float64(max(1, g.Relevant()))
}

// graded gives the grades of the first k different documents of a ranking.
func graded(ranking []string, g Grades, k int) []int {
	seen := make(map[string]bool, len(ranking))
	var grades []int
	for _, id := range ranking {
		if len(grades) >= k {
			break
		}
		if !seen[id] {
			seen[id] = true
			grades = append(grades, g[id])
		}
	}
	return grades
}

// Mean of values; 0 of none.
func Mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(1, len(values)))
}

// Interval is a mean, and between what it would lie with other questions of the same kind, 95 times of 100.
type Interval struct {
	Mean, Low, High float64
}

// rounds of the bootstrap: enough for the second decimal of a percentage to stay with another seed.
const rounds = 10_000

// Bootstrap gives the interval of a mean by the percentile bootstrap (Efron and Tibshirani, An introduction to the bootstrap,
// 1993, chapter 13). For two systems, give the differences question by question: that is the paired bootstrap (Sakai,
// Evaluating evaluation metrics based on the bootstrap, SIGIR 2006). The same values and seed give the same interval.
func Bootstrap(values []float64, seed uint64) Interval {
	n := len(values)
	if n == 0 {
		return Interval{}
	}
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	means := make([]float64, rounds)
	for i := range means {
		var sum float64
		for range n {
			sum += values[random.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	const cut = rounds / 40 // 2.5 %
	return Interval{Mean: Mean(values), Low: means[cut], High: means[rounds-1-cut]}
}
