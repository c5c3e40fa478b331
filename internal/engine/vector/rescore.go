package vector

import (
	"cmp"
	"slices"
)

// Rescore gives the k best of a search's hits by the cosines of their float32 vectors, best first; equal ones are ordered by id. vectors gives a passage's vector:
// nil (or another number of dimensions than q has) when there is none any more, and then the passage is left out.
//
// Hits may be rescored in portions, in their order: once the k-th best Score is not below Score + Slack of the next hit, no other can be
// among the k best.
func Rescore(q []float32, hits []Hit, vectors func(id string) []float32, k int) []Hit {
	out := make([]Hit, 0, len(hits))
	for _, h := range hits {
		if v := vectors(h.ID); len(v) == len(q) {
			h.Score, h.Slack = dot(q, v), 0
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(x, y Hit) int { return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID)) })
	return out[:max(0, min(k, len(out)))]
}

// Undecided tells how many of a search's hits, from the first on, have to be rescored so that the n best are known; margin is
// that of the search.
func Undecided(hits []Hit, n int, margin float64) int {
	if margin == 0 {
		margin = 1
	}
	if len(hits) <= n {
		return len(hits)
	}
	least := make([]float64, len(hits)) // what each has at least
	for i, h := range hits {
		least[i] = h.Score - margin*h.Slack
	}
	slices.SortFunc(least, func(x, y float64) int { return cmp.Compare(y, x) })
	floor := least[max(0, n-1)]
	i := slices.IndexFunc(hits, func(h Hit) bool { return h.Score+margin*h.Slack < floor })
	if i < 0 {
		return len(hits)
	}
	return i
}

// dot is the product of float32 vectors of one length. Sums in float64 are the same for all that may be told apart by float32.
func dot(a, b []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float64(float64(a[0]) * float64(b[0]))
		s1 += float64(float64(a[1]) * float64(b[1]))
		s2 += float64(float64(a[2]) * float64(b[2]))
		s3 += float64(float64(a[3]) * float64(b[3]))
		a, b = a[4:], b[4:]
	}
	for i, x := range a {
		s0 += float64(float64(x) * float64(b[i]))
	}
	return (s0 + s1) + (s2 + s3)
}
