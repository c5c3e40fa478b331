package embed_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/engine/embed"
)

var (
	nan      = float32(math.NaN())
	infinite = float32(math.Inf(1))
)

func TestNormalize(t *testing.T) {
	for name, row := range map[string]struct {
		v, want []float32
		ok      bool
	}{
		"unit":                      {[]float32{0, 1}, []float32{0, 1}, true},
		"longer":                    {[]float32{3, -4}, []float32{.6, -.8}, true},
		"very long":                 {[]float32{3e38, 0}, []float32{1, 0}, true},
		"short":                     {[]float32{0, 1e-20}, []float32{0, 1}, true},
		"zero":                      {[]float32{0, 0}, []float32{0, 0}, false},
		"the least number there is": {[]float32{1e-45, 0}, []float32{1e-45, 0}, false},
		"none":                      {nil, nil, false},
		"infinite":                  {[]float32{infinite, 0}, []float32{infinite, 0}, false},
	} {
		v := slices.Clone(row.v)
		if ok := embed.Normalize(v); ok != row.ok || !near(v, row.want) {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
	if embed.Normalize([]float32{nan, 1}) {
		t.Error("a vector with no number was taken")
	}
}

func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || math.Abs(float64(x-y)) < 1e-6 })
}

func TestFeedback(t *testing.T) {
	query := []float32{1, 0, 0}
	for name, row := range map[string]struct {
		top  [][]float32
		want []float32
	}{
		"nothing found":                {nil, query},
		"itself":                       {[][]float32{{1, 0, 0}, {1, 0, 0}}, query},
		"half of another":              {[][]float32{{0, 1, 0}}, []float32{2 / float32(math.Sqrt(5)), 1 / float32(math.Sqrt(5)), 0}},
		"half of the mean of two":      {[][]float32{{0, 1, 0}, {0, 0, 1}}, []float32{4 / float32(math.Sqrt(18)), 1 / float32(math.Sqrt(18)), 1 / float32(math.Sqrt(18))}},
		"strangers have no say":        {[][]float32{{0, 1}, {0, 1, 0, 0}, nil, {0, 0, 0}, {nan, 0, 0}, {0, infinite, 0}}, query},
		"strangers do not dilute":      {[][]float32{{0, 0, 0}, {0, 1, 0}, {nan, nan, nan}}, []float32{2 / float32(math.Sqrt(5)), 1 / float32(math.Sqrt(5)), 0}},
		"the opposite does not end it": {[][]float32{{-1, 0, 0}}, query},
	} {
		before := slices.Clone(query)
		if got := embed.Feedback(query, row.top); !near(got, row.want) || !slices.Equal(query, before) {
			t.Errorf("%s: %v, not %v", name, got, row.want)
		}
	}
	if got := embed.Feedback([]float32{0, 0}, [][]float32{{0, 0}}); !near(got, []float32{0, 0}) {
		t.Errorf("of nothing: %v", got)
	}
}

// A question comes nearer to what was found, on the whole, keeps unit length, and does not turn away from what it was.
func TestFeedbackGoesTowardsWhatWasFound(t *testing.T) {
	unit := rapid.Custom(func(t *rapid.T) []float32 {
		v := make([]float32, 6)
		for i := range v {
			v[i] = float32(rapid.IntRange(-9, 9).Draw(t, "x"))
		}
		if !embed.Normalize(v) {
			v[0] = 1
		}
		return v
	})
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		query, top := unit.Draw(t, "query"), rapid.SliceOfN(unit, 1, 5).Draw(t, "top")
		got := embed.Feedback(query, top)
		var before, after float64
		for _, v := range top {
			before += dot(query, v)
			after += dot(got, v)
		}
		if math.Abs(dot(got, got)-1) > 1e-5 || after < before-1e-5 || dot(got, query) < .86 { // the cosine of 30 degrees, at most
			t.Fatalf("%v of %v, with %v", got, query, top)
		}
	})
}
