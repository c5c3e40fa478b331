package vector_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/vector"
)

// spoiled is a segment whose lower halves are something else for the passages that are told.
func spoiled(t *testing.T, s *vector.Segment, dims int, which func(doc int) bool) *vector.Segment {
	data := bytes.Clone(s.Bytes())
	plane := (dims + 127) / 128 * 64
	for doc := range s.Len() {
		if which(doc) {
			row := data[64+(s.Len()+doc)*plane:][:plane]
			for i := range row {
				row[i] ^= 0xff
			}
		}
	}
	vector.Reseal(data)
	return open(t, data)
}

// What lies far from a question is left out for the upper halves of its codes: the lower ones are not even read. Where that can't tell
// passages from each other, all are read.
func TestLowerHalvesAreReadForFew(t *testing.T) {
	const dims, n = 384, 6000
	rng := rand.New(rand.NewPCG(1, 2))
	centers := [][]float32{isotropic(rng, dims), isotropic(rng, dims)}
	subject := func(doc int) int { return min(doc%25, 1) } // one in 25 is of the first
	all := make([]passage, n)
	for i := range all {
		all[i] = passage{id: id(i), group: id(i / 10), v: near(rng, centers[subject(i)], .8)}
	}
	s := build(t, dims, all)
	q := near(rng, centers[0], .2)
	const first = 2048 // are read whole, since there is nothing to compare with yet
	far := spoiled(t, s, dims, func(doc int) bool { return doc >= first && subject(doc) != 0 })
	touched := spoiled(t, s, dims, func(doc int) bool { return doc >= first && subject(doc) == 0 })
	o := vector.Options{K: 20, Margin: .3}
	want := search(t, []vector.Part{{Segment: s}}, q, o)
	if d := gocmp.Diff(want, search(t, []vector.Part{{Segment: far}}, q, o)); d != "" {
		t.Errorf("what is far was read (-before +spoiled):\n%s", d)
	}
	if d := gocmp.Diff(want, search(t, []vector.Part{{Segment: touched}}, q, o)); d == "" {
		t.Error("what is near was not read")
	}
	if d := gocmp.Diff(best(q, all, o.K), vector.Rescore(q, want, floats(all), o.K), almost); d != "" {
		t.Errorf("(-brute force +search):\n%s", d)
	}
}

// peaks is a vector of any direction, but for some dimensions that are far above what the others are, as many models have them.
func peaks(rng *rand.Rand, dims int, height float32, at ...int) []float32 {
	v := isotropic(rng, dims)
	for _, i := range at {
		v[i] = height
	}
	return unit(v)
}

// The Margin of a search says how rare errors are. It does so for the upper halves of codes as for whole ones: in all directions alike, and where
// few dimensions are far above the others. (Of 549,000 pairs of sentences by the built-in embedders, the greatest was 4.9.)
func TestErrorsAreAsRareAsTheMarginSays(t *testing.T) {
	const dims, n = 384, 150
	rng := rand.New(rand.NewPCG(5, 6))
	center := isotropic(rng, dims)
	for name, v := range map[string]func() []float32{
		"everywhere":                    func() []float32 { return isotropic(rng, dims) },
		"near each other":               func() []float32 { return near(rng, center, .8) },
		"the same peaks":                func() []float32 { return peaks(rng, dims, .5, 1, 2, 3) },
		"higher ones":                   func() []float32 { return peaks(rng, dims, 1, 1, 2, 3) },
		"peaks of some dimensions":      func() []float32 { return peaks(rng, dims, 1, rng.IntN(20), rng.IntN(20)) },
		"one peak, much above the rest": func() []float32 { return peaks(rng, dims, 3, rng.IntN(3)) },
	} {
		all := make([][]float32, n)
		for i := range all {
			all[i] = v()
		}
		for i, q := range all {
			for j, v := range all {
				skimmed, whole := vector.Errors(q, v)
				if max(math.Abs(skimmed), math.Abs(whole)) > 1 {
					t.Fatalf("%s: %g and %g times the bound", name, skimmed, whole)
				}
				if deviations := math.Sqrt(dims) * max(skimmed, whole); i != j && deviations > 6 {
					t.Errorf("%s: %.1f standard deviations", name, deviations)
				}
			}
		}
	}
}

// Whatever shares of passages the upper halves let through, and however that changes on the way, hits are those of whole codes.
func TestSkimmingIsExact(t *testing.T) {
	const dims, n = 256, 12_000
	rng := rand.New(rand.NewPCG(3, 4))
	center := isotropic(rng, dims)
	for _, row := range []struct {
		name string
		v    func(i int) []float32
	}{
		{"everywhere", func(int) []float32 { return isotropic(rng, dims) }},
		{"all near each other", func(int) []float32 { return near(rng, center, .3) }},
		{"first far, then near", func(i int) []float32 { return near(rng, center, 3-2.5*float64(i)/n) }},
		{"first near, then far", func(i int) []float32 { return near(rng, center, .5+2.5*float64(i)/n) }},
		{"near and far in turns", func(i int) []float32 { return near(rng, center, .5+2*float64(i/1500%2)) }},
		{"one dimension above the others", func(i int) []float32 { return peaks(rng, dims, 3, i%dims) }},
		{"two dimensions above the others", func(i int) []float32 { return peaks(rng, dims, 1, i%9, i%7) }},
		{"the same dimensions above the others", func(int) []float32 { return peaks(rng, dims, 1, 1, 2, 3, 4) }},
		{"some with a peak", func(i int) []float32 { return peaks(rng, dims, 2, []int{1, 2}[:i%3]...) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			all := make([]passage, n)
			for i := range all {
				all[i] = passage{id: id(i), group: id(i / 10), v: row.v(i)}
			}
			segments := parts(t, dims, 5000, all)
			get := floats(all)
			for _, q := range [][]float32{near(rng, center, .5), isotropic(rng, dims), all[n-1].v, near(rng, all[n-2].v, .5), peaks(rng, dims, 2, 1)} {
				want := best(q, all, 30)
				for _, k := range []int{1, 30} {
					for _, o := range []vector.Options{{K: k, Most: n}, {K: k, Margin: 6 / math.Sqrt(dims), Most: n}} {
						hits := search(t, segments, q, o)
						if d := gocmp.Diff(want[:k], vector.Rescore(q, hits, get, k), almost); d != "" {
							t.Fatalf("%+v (-brute force +search):\n%s", o, d)
						}
						if o.Margin != 0 {
							continue
						}
						// with the whole margin, hits do not depend on what was known when a passage was looked at
						backward := slices.Clone(segments)
						slices.Reverse(backward)
						if d := gocmp.Diff(hits, search(t, backward, q, o)); d != "" {
							t.Fatalf("k %d (-forward +backward):\n%s", k, d)
						}
						for _, kernel := range vector.Kernels() {
							same, err := vector.NewView(segments).SearchBy(t.Context(), kernel, q, o)
							if d := gocmp.Diff(hits, same); d != "" || err != nil {
								t.Fatalf("%s, k %d: %v\n%s", kernel, k, err, d)
							}
						}
					}
				}
			}
		})
	}
}

// Of many dimensions with a great value in the same one, none of the best is missed either, though a margin is the smaller the more dimensions there are.
func TestSkimmingOfManyDimensionsIsExact(t *testing.T) {
	const dims, n, k = 1536, 6000, 50
	rng := rand.New(rand.NewPCG(7, 8))
	all := make([]passage, n)
	for i := range all {
		all[i] = passage{id: id(i), group: id(i / 10), v: peaks(rng, dims, 1.3, 1)}
	}
	segments, get := parts(t, dims, n, all), floats(all)
	for range 6 {
		q := peaks(rng, dims, 1.3, 1)
		hits := search(t, segments, q, vector.Options{K: k, Margin: 6 / math.Sqrt(dims), Most: n})
		if d := gocmp.Diff(best(q, all, k), vector.Rescore(q, hits, get, k), almost); d != "" {
			t.Fatalf("(-brute force +search):\n%s", d)
		}
	}
}
