package cite

import "math"

// The labels' borders: the score above which a claim counts as supported, the coverage below which nothing speaks for it.
const (
	strong = .5
	weak   = .4
)

// vector gives the features in the order of the weights.
func (f Features) vector(cosine bool) []float64 {
	v := []float64{f.Three, f.Window, f.Best, f.Worst, f.Missing, f.Numbers, f.Absent, f.Together}
	if cosine {
		v = append(v, f.Cosine)
	}
	return v
}

// Vector gives the features in the order of the fitted weights, for the tool that fits them.
func (f Features) Vector(cosine bool) []float64 { return f.vector(cosine) }

func (f Features) score(cosine bool) float64 {
	weights := withoutCosine
	if cosine {
		weights = withCosine
	}
	z := weights[0]
	for i, x := range f.vector(cosine) {
		z += weights[i+1] * x
	}
	return 1 / (1 + math.Exp(-z))
}
