package vector_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/vector"
)

func id(n int) string { return fmt.Sprintf("01H%023d", n) }

type passage struct {
	id, group string
	v         []float32
}

// isotropic is a vector of any direction.
func isotropic(rng *rand.Rand, dims int) []float32 {
	v := make([]float32, dims)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return unit(v)
}

func unit(v []float32) []float32 {
	if err := vector.Normalize(v); err != nil {
		panic(err)
	}
	return v
}

// near is a vector around another, at about the given distance.
func near(rng *rand.Rand, center []float32, distance float64) []float32 {
	v := slices.Clone(center)
	d := distance / math.Sqrt(float64(len(v)))
	for i := range v {
		v[i] += float32(rng.NormFloat64() * d)
	}
	return unit(v)
}

// collection is n passages in groups of about ten; clusters of 0 makes them isotropic, else they are around as many centers, as texts of a subject are.
func collection(rng *rand.Rand, n, dims, clusters int) []passage {
	var centers [][]float32
	for range clusters {
		centers = append(centers, isotropic(rng, dims))
	}
	out := make([]passage, n)
	for i := range out {
		out[i] = passage{id: id(n - i), group: id(i / 10)}
		if clusters == 0 {
			out[i].v = isotropic(rng, dims)
		} else {
			out[i].v = near(rng, centers[rng.IntN(clusters)], .8)
		}
	}
	return out
}

func build(t testing.TB, dims int, passages []passage) *vector.Segment {
	t.Helper()
	b := vector.NewBuilder(dims)
	for _, p := range passages {
		if err := b.Add(p.id, p.group, p.v); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, b.Bytes())
}

func open(t testing.TB, data []byte) *vector.Segment {
	t.Helper()
	s, err := vector.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parts spreads passages over segments of n.
func parts(t testing.TB, dims, n int, passages []passage) []vector.Part {
	var out []vector.Part
	for c := range slices.Chunk(passages, n) {
		out = append(out, vector.Part{Segment: build(t, dims, c)})
	}
	return out
}

func search(t testing.TB, p []vector.Part, q []float32, o vector.Options) []vector.Hit {
	t.Helper()
	hits, err := vector.NewView(p).Search(context.Background(), q, o)
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

func cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// best is the specification: the k best of the passages by their floats.
func best(q []float32, passages []passage, k int) []vector.Hit {
	out := []vector.Hit{}
	for _, p := range passages {
		out = append(out, vector.Hit{ID: p.id, Group: p.group, Score: cosine(q, p.v)})
	}
	slices.SortFunc(out, func(x, y vector.Hit) int { return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID)) })
	return out[:min(k, len(out))]
}

// floats are the originals by id.
func floats(passages []passage) func(string) []float32 {
	m := map[string][]float32{}
	for _, p := range passages {
		m[p.id] = p.v
	}
	return func(id string) []float32 { return m[id] }
}

// almost lets sums differ by the order in which they were added up.
var almost = gocmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })

func TestRecallIsWhole(t *testing.T) {
	const n = 4000
	for _, row := range []struct {
		name           string
		dims, clusters int
	}{
		{"isotropic 384", 384, 0}, {"clustered 384", 384, 40}, {"tight 384", 384, 4}, {"isotropic 256", 256, 0}, {"clustered 768", 768, 40},
		{"isotropic 7", 7, 0}, {"clustered 1500", 1500, 10}, {"line", 1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(row.dims)))
			all := collection(rng, n, row.dims, row.clusters)
			get := floats(all)
			p := parts(t, row.dims, 1100, all)
			for _, k := range []int{1, 10, 100} {
				given := 0
				const queries = 10
				for i := range queries {
					q := isotropic(rng, row.dims)
					if i%2 == 0 {
						q = near(rng, all[rng.IntN(n)].v, .8)
					}
					hits := search(t, p, q, vector.Options{K: k, Most: n})
					given += len(hits)
					lists := [][]vector.Hit{hits}
					if row.dims >= 256 { // the defaults cut nothing here, and errors of the dimensions cancel each other
						lists = append(lists, search(t, p, q, vector.Options{K: k}),
							search(t, p, q, vector.Options{K: k, Margin: 6 / math.Sqrt(float64(row.dims))}))
					}
					const first = 3
					certain := hits[:vector.Undecided(hits, first, 0)]
					if d := gocmp.Diff(best(q, all, min(first, k)), vector.Rescore(q, certain, get, min(first, k)), almost); d != "" {
						t.Fatalf("first of k %d, %d of %d hits (-brute force +search):\n%s", k, len(certain), len(hits), d)
					}
					for _, h := range lists {
						if d := gocmp.Diff(best(q, all, k), vector.Rescore(q, h, get, k), almost); d != "" {
							t.Fatalf("k %d, %d hits (-brute force +search):\n%s", k, len(h), d)
						}
					}
				}
				t.Logf("k %d: %d hits", k, given/queries)
			}
		})
	}
}

// Everything that a search says of its hits holds for any vectors, in any spreading over segments.
func TestSearchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		dims := rapid.IntRange(1, 200).Draw(t, "dims")
		all := collection(rng, rapid.IntRange(1, 300).Draw(t, "passages"), dims, rapid.IntRange(0, 3).Draw(t, "clusters"))
		for i := range all {
			if rng.IntN(10) == 0 {
				all[i].v = all[0].v // ties
			}
			if rng.IntN(10) == 0 { // one dimension alone is heard
				all[i].v = slices.Clone(all[i].v)
				all[i].v[rng.IntN(dims)] = 50
				unit(all[i].v)
			}
		}
		q := near(rng, all[0].v, rapid.Float64Range(0, 2).Draw(t, "distance"))
		k := rapid.IntRange(1, 50).Draw(t, "k")
		dead := map[string]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "dead") {
			dead[all[rng.IntN(len(all))].group] = true
		}
		var names []string
		for g := range dead {
			names = append(names, g)
		}
		filter := func(g string) bool { return g[25]%2 == 0 }
		o := vector.Options{K: k, Most: len(all)}
		if rapid.Bool().Draw(t, "filter") {
			o.Filter = filter
		}
		var wanted []passage
		for _, p := range all {
			if !dead[p.group] && (o.Filter == nil || filter(p.group)) {
				wanted = append(wanted, p)
			}
		}

		segments := func(n int) (out []vector.Part) {
			for c := range slices.Chunk(all, n) {
				b := vector.NewBuilder(dims)
				for _, p := range c {
					if err := b.Add(p.id, p.group, p.v); err != nil {
						t.Fatal(err)
					}
				}
				s, err := vector.Open(b.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				if rng.IntN(3) == 0 {
					if s, err = vector.Open(vector.Bytewise(s)); err != nil {
						t.Fatal(err)
					}
				}
				out = append(out, vector.Part{Segment: s, Dead: append(names, id(999_999), "no id")})
			}
			return out
		}
		spread := segments(rapid.IntRange(1, len(all)).Draw(t, "spread"))
		view := vector.NewView(spread)
		hits, err := view.Search(context.Background(), q, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(best(q, wanted, k), vector.Rescore(q, hits, floats(all), k), almost); d != "" {
			t.Fatalf("(-brute force +search):\n%s", d)
		}
		get := floats(all)
		for i, h := range hits {
			if e := math.Abs(cosine(q, get(h.ID)) - h.Score); e > h.Slack {
				t.Fatalf("score %v is wrong by %v, more than %v", h.Score, e, h.Slack)
			}
			if i > 0 && h.Score+h.Slack > hits[i-1].Score+hits[i-1].Slack {
				t.Fatalf("hit %d is out of order", i)
			}
		}
		whole := vector.NewView(segments(len(all)))
		again, err := whole.Search(context.Background(), q, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(hits, again); d != "" {
			t.Fatalf("in one segment (-spread +one):\n%s", d)
		}
		for _, kernel := range vector.Kernels() {
			same, err := view.SearchBy(context.Background(), kernel, q, o)
			if d := gocmp.Diff(hits, same); d != "" || err != nil {
				t.Fatalf("kernel %d: %v\n%s", kernel, err, d)
			}
		}
		o.Most = rapid.IntRange(1, len(all)).Draw(t, "most")
		cut, err := view.Search(context.Background(), q, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(hits[:min(o.Most, len(hits))], cut); d != "" {
			t.Fatalf("cut to %d (-want +got):\n%s", o.Most, d)
		}
		o.Margin = .5
		few, err := view.Search(context.Background(), q, o)
		if err != nil || len(few) > len(cut) || len(few) < min(k, len(wanted), o.Most) {
			t.Fatalf("%d hits with half the margin, %d with all, %v", len(few), len(cut), err)
		}
	})
}
