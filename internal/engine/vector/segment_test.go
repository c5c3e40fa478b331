package vector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/vector"
)

func TestBuilderRefuses(t *testing.T) {
	good := unit([]float32{1, 2, 3})
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, row := range []struct {
		name      string
		dims      int
		id, group string
		v         []float32
		want      error // nil: any
	}{
		{"zero", 3, id(1), id(2), []float32{0, 0, 0}, vector.ErrZero},
		{"NaN", 3, id(1), id(2), []float32{1, nan, 0}, vector.ErrNotUnit},
		{"infinity", 3, id(1), id(2), []float32{1, inf, 0}, vector.ErrNotUnit},
		{"not of length 1", 3, id(1), id(2), []float32{1, 1, 1}, vector.ErrNotUnit},
		{"tiny", 3, id(1), id(2), []float32{1e-44, 0, 0}, vector.ErrNotUnit},
		{"too few", 3, id(1), id(2), good[:2], vector.ErrDims},
		{"none", 3, id(1), id(2), nil, vector.ErrDims},
		{"segment of no dimension", 0, id(1), id(2), nil, vector.ErrDims},
		{"segment of too many", vector.MaxDims + 1, id(1), id(2), make([]float32, vector.MaxDims+1), vector.ErrDims},
		{"passage id", 3, "1", id(2), good, nil},
		{"group id", 3, id(1), "", good, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := vector.NewBuilder(row.dims)
			if err := b.Add(row.id, row.group, row.v); err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("%v", err)
			}
			if b.Len() != 0 {
				t.Error("it was added")
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	v := []float32{3e30, 4e30}
	if err := vector.Normalize(v); err != nil || math.Abs(float64(v[0])-.6) > 1e-7 || math.Abs(float64(v[1])-.8) > 1e-7 {
		t.Errorf("%v, %v", v, err)
	}
	if err := vector.Normalize([]float32{0, 0}); err != vector.ErrZero {
		t.Error(err)
	}
	if err := vector.Normalize([]float32{float32(math.NaN())}); err != vector.ErrNotUnit {
		t.Error(err)
	}
}

func TestSegmentKeepsWhatWasAdded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := collection(rng, 45, 100, 2)
	all[44].group = all[0].group
	b := vector.NewBuilder(100)
	for i, p := range all {
		if !b.Fits(vector.SegmentLimit) || b.Len() != i {
			t.Fatalf("passage %d", i)
		}
		if err := b.Add(p.id, p.group, p.v); err != nil {
			t.Fatal(err)
		}
	}
	data := b.Bytes()
	if b.Size() != len(data) || b.Fits(len(data)) || !b.Fits(len(data)+1000) || !vector.NewBuilder(100).Fits(0) {
		t.Errorf("size %d of %d", b.Size(), len(data))
	}
	if !bytes.Equal(data, b.Bytes()) {
		t.Error("the same builder gives another segment")
	}
	s := open(t, data)
	if s.Len() != 45 || s.Dims() != 100 || &s.Bytes()[0] != &data[0] {
		t.Errorf("%d passages of %d", s.Len(), s.Dims())
	}
	if d := gocmp.Diff([]string{id(0), id(1), id(2), id(3), id(4)}, s.Groups()); d != "" {
		t.Error(d)
	}
	for _, p := range all {
		hits := search(t, []vector.Part{{Segment: s}}, p.v, vector.Options{K: 1})
		if len(hits) == 0 || hits[0].ID != p.id || hits[0].Group != p.group || math.Abs(hits[0].Score-1) > hits[0].Slack {
			t.Fatalf("%s of %s: %+v", p.id, p.group, hits)
		}
	}
	if v := vector.NewView([]vector.Part{{Segment: s, Dead: []string{id(0), id(0)}}}); v.Len() != 34 {
		t.Errorf("%d are left", v.Len())
	}
}

func TestEmptySegment(t *testing.T) {
	s := open(t, vector.NewBuilder(5).Bytes())
	if hits := search(t, []vector.Part{{Segment: s}}, unit([]float32{1, 0, 0, 0, 0}), vector.Options{K: 3}); hits != nil || s.Len() != 0 {
		t.Errorf("%v", hits)
	}
	err := vector.Merge([]vector.Part{{Segment: s}}, 1000, func([]byte) error { return errors.New("there is nothing") })
	if err := errors.Join(err, vector.Merge(nil, 1000, nil)); err != nil {
		t.Error(err)
	}
}

func TestSearchRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := parts(t, 8, 10, collection(rng, 30, 8, 0))
	view := vector.NewView(p)
	q := isotropic(rng, 8)
	for _, row := range []struct {
		name string
		q    []float32
		want error
	}{
		{"zero", make([]float32, 8), vector.ErrZero},
		{"nothing", nil, vector.ErrZero},
		{"NaN", []float32{float32(math.NaN()), 0, 0, 0, 0, 0, 0, 0}, vector.ErrNotUnit},
		{"too long", []float32{2, 0, 0, 0, 0, 0, 0, 0}, vector.ErrNotUnit},
		{"too few", isotropic(rng, 7), vector.ErrDims},
		{"too many", isotropic(rng, vector.MaxDims+1), vector.ErrDims},
	} {
		if _, err := view.Search(context.Background(), row.q, vector.Options{K: 3}); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if hits := search(t, p, q, vector.Options{K: 0}); hits != nil {
		t.Errorf("%v", hits)
	}
	mixed := append(p, vector.Part{Segment: build(t, 9, collection(rng, 3, 9, 0))})
	if _, err := vector.NewView(mixed).Search(context.Background(), q, vector.Options{K: 3}); !errors.Is(err, vector.ErrDims) {
		t.Error(err)
	}
	if err := vector.Merge(mixed, 1000, func([]byte) error { return nil }); !errors.Is(err, vector.ErrDims) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := vector.Options{K: 3, Filter: func(string) bool { cancel(); return true }}
	if _, err := view.Search(ctx, q, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFilterIsAskedOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := collection(rng, 2000, 16, 0)
	asked := map[string]int{}
	hits := search(t, parts(t, 16, 2000, all), isotropic(rng, 16), vector.Options{K: 20, Filter: func(g string) bool {
		asked[g]++
		return g == id(7)
	}})
	if len(hits) != 10 {
		t.Errorf("%d hits of a group of 10", len(hits))
	}
	for g, n := range asked {
		if n > 1 {
			t.Errorf("%s was asked for %d times", g, n)
		}
	}
}

func TestMergeEqualsRebuild(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const dims, limit = 70, 20_000
	all := collection(rng, 600, dims, 3)
	all[333].group = all[0].group // a group in two ranges
	dead := []string{all[0].group, all[555].group, id(123456)}
	p := parts(t, dims, 170, all)
	for i := range p {
		p[i].Dead = dead
	}
	var want, got [][]byte
	b := vector.NewBuilder(dims)
	for _, x := range all {
		if slices.Contains(dead, x.group) {
			continue
		}
		if !b.Fits(limit) {
			want = append(want, b.Bytes())
			b = vector.NewBuilder(dims)
		}
		if err := b.Add(x.id, x.group, x.v); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, b.Bytes())
	if err := vector.Merge(p, limit, func(s []byte) error { got = append(got, s); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) < 3 || !slices.EqualFunc(want, got, bytes.Equal) {
		t.Fatalf("%d segments instead of %d, or others", len(got), len(want))
	}
	var merged []vector.Part
	for _, s := range got {
		if len(s) > limit {
			t.Errorf("%d bytes", len(s))
		}
		merged = append(merged, vector.Part{Segment: open(t, s)})
	}
	q := isotropic(rng, dims)
	if d := gocmp.Diff(search(t, p, q, vector.Options{K: 50}), search(t, merged, q, vector.Options{K: 50})); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	full := errors.New("disk is full")
	for _, limit := range []int{limit, 1 << 30} {
		if err := vector.Merge(p, limit, func([]byte) error { return full }); err != full {
			t.Error(err)
		}
	}
}

func TestDamageIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	data := build(t, 5, collection(rng, 13, 5, 0)).Bytes()
	bad := func(name string, data []byte) {
		t.Helper()
		if _, err := vector.Open(data); !errors.Is(err, vector.ErrDamaged) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for i := range data {
		for _, flip := range []byte{1, 0x80, 0xff} {
			d := bytes.Clone(data)
			d[i] ^= flip
			bad(fmt.Sprintf("byte %d ^ %x", i, flip), d)
		}
		bad(fmt.Sprintf("cut to %d", i), data[:i])
	}
	bad("longer", append(bytes.Clone(data), 0))

	// what a checksum does not protect from: other programs' segments
	const coarse, filled = 64 + 13*2*64, 64
	const away, scales, residuals = coarse + filled, coarse + 2*filled, coarse + 3*filled
	groups := len(data) - 2*24
	for _, row := range []struct {
		name  string
		at    int
		value []byte
	}{
		{"no dimension", 16, []byte{0}},
		{"too many dimensions", 16, []byte{0, 0, 1}},
		{"more passages", 8, []byte{14}},
		{"passages beyond all bounds", 8, []byte{255, 255, 255, 255}},
		{"more groups than passages", 12, []byte{14}},
		{"no group", 12, []byte{0}},
		{"NaN as scale", scales, []byte{0, 0, 0xc0, 0x7f}},
		{"infinite scale", scales + 4, []byte{0, 0, 0x80, 0x7f}},
		{"scale of zero", scales, []byte{0, 0, 0, 0}},
		{"NaN as coarse scale", coarse + 48, []byte{0, 0, 0xc0, 0x7f}},
		{"coarse scale of zero", coarse, []byte{0, 0, 0, 0}},
		{"large coarse scale", coarse, []byte{0, 0, 0x40, 0x40}},
		{"negative length", away, []byte{0, 0, 0, 0xbf}},
		{"infinite length", away, []byte{0, 0, 0x80, 0x7f}},
		{"negative residual", residuals, []byte{0, 0, 0, 0xbf}},
		{"large residual", residuals, []byte{0, 0, 0, 0x40}},
		{"first group starts late", groups + 32, []byte{1}},
		{"groups that overlap", groups + 36, []byte{0}},
		{"group beyond the end", groups + 36, []byte{13}},
		{"order names a group twice", groups + 40, []byte{1}},
		{"order names no group", groups + 40, []byte{2}},
	} {
		d := bytes.Clone(data)
		copy(d[row.at:], row.value)
		vector.Reseal(d)
		bad(row.name, d)
	}
	d := bytes.Clone(data)
	copy(d[groups:], d[groups+16:groups+32])
	d[groups+16+15] = 0
	copy(d[groups+16:], make([]byte, 16))
	vector.Reseal(d)
	bad("groups out of order", d)
}

func FuzzSegment(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, dims := range []int{1, 3, 65} {
		for _, n := range []int{1, 9, 40} {
			s := build(f, dims, collection(rng, n, dims, 0))
			f.Add(s.Bytes(), true)
			f.Add(vector.Bytewise(s), true)
		}
	}
	f.Add(vector.NewBuilder(3).Bytes(), false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = bytes.Clone(data)
			vector.Reseal(data)
		}
		s, err := vector.Open(data)
		if err != nil {
			if !errors.Is(err, vector.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		dead := s.Groups()
		dead = dead[:len(dead)/3]
		part := []vector.Part{{Segment: s, Dead: dead}}
		v := vector.NewView(part)
		q := isotropic(rand.New(rand.NewPCG(1, 1)), s.Dims())
		hits := search(t, part, q, vector.Options{K: 5})
		if len(hits) < min(5, v.Len()) {
			t.Fatalf("%d hits of %d passages", len(hits), v.Len())
		}
		for _, h := range hits {
			if slices.Contains(dead, h.Group) || math.IsNaN(h.Score) || math.IsInf(h.Score, 0) {
				t.Fatalf("%+v", h)
			}
		}
		n := 0
		err = vector.Merge(part, 1000, func(data []byte) error {
			s, err := vector.Open(data)
			if err == nil {
				n += s.Len()
			}
			return err
		})
		if err != nil || n != v.Len() {
			t.Fatalf("%d of %d merged: %v", n, v.Len(), err)
		}
	})
}
