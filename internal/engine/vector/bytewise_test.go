package vector_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/vector"
)

// A segment in the form before this one becomes what a Builder makes of the same vectors now, to the last bit.
func TestBytewiseSegments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, dims := range []int{1, 5, 64, 65, 128, 200, 384, 1000} {
		for _, n := range []int{0, 1, 8, 33} {
			s := build(t, dims, collection(rng, n, dims, 0))
			was := vector.Bytewise(s)
			before := bytes.Clone(was)
			if got := open(t, was); !bytes.Equal(got.Bytes(), s.Bytes()) {
				t.Errorf("%d passages of %d dimensions: other bytes", n, dims)
			}
			if !bytes.Equal(was, before) {
				t.Errorf("%d passages of %d dimensions: what it was opened from has changed", n, dims)
			}
		}
	}
}

// Segments of both forms are searched as one set, and a merge writes what it would write of new ones.
func TestBytewiseBesideNew(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const dims = 100
	all := collection(rng, 700, dims, 5)
	now := parts(t, dims, 150, all)
	for i := range now {
		now[i].Dead = []string{all[0].group, all[333].group}
	}
	mixed := append([]vector.Part{}, now...)
	for i := range mixed {
		if i%2 == 0 {
			mixed[i].Segment = open(t, vector.Bytewise(mixed[i].Segment))
		}
	}
	for range 10 {
		q := near(rng, all[rng.IntN(len(all))].v, .8)
		if d := gocmp.Diff(search(t, now, q, vector.Options{K: 20}), search(t, mixed, q, vector.Options{K: 20})); d != "" {
			t.Fatalf("(-new +mixed):\n%s", d)
		}
	}
	merged := func(p []vector.Part) (out [][]byte) {
		err := vector.Merge(p, 40_000, func(s []byte) error { out = append(out, s); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := gocmp.Diff(merged(now), merged(mixed)); d != "" {
		t.Error("a merge of both forms writes something else")
	}
}

func TestBytewiseDamageIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	data := vector.Bytewise(build(t, 5, collection(rng, 13, 5, 0)))
	bad := func(name string, data []byte) {
		t.Helper()
		if _, err := vector.Open(data); !errors.Is(err, vector.ErrDamaged) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for i := range data {
		d := bytes.Clone(data)
		d[i] ^= 0x81
		bad(fmt.Sprintf("byte %d", i), d)
		bad(fmt.Sprintf("cut to %d", i), data[:i])
	}
	bad("longer", append(bytes.Clone(data), 0))
	const codes, scales, residuals = 64, 64 + 13*64, 64 + 13*64 + 64
	groups := len(data) - 2*24
	for _, row := range []struct {
		name  string
		at    int
		value []byte
	}{
		{"the name of the form of today", 3, []byte{'2'}},
		{"no dimension", 16, []byte{0}},
		{"too many dimensions", 16, []byte{0, 0, 1}},
		{"dimensions of another stride", 16, []byte{65}},
		{"more passages", 8, []byte{14}},
		{"passages beyond all bounds", 8, []byte{255, 255, 255, 255}},
		{"no group", 12, []byte{0}},
		{"no code but zeros", codes, []byte{128, 128, 128, 128, 128}},
		{"NaN as scale", scales, []byte{0, 0, 0xc0, 0x7f}},
		{"scale of zero", scales, []byte{0, 0, 0, 0}},
		{"scale of another's codes", scales, []byte{0, 0, 0x80, 0x3f}},
		{"negative residual", residuals, []byte{0, 0, 0, 0xbf}},
		{"groups that overlap", groups + 36, []byte{0}},
	} {
		d := bytes.Clone(data)
		copy(d[row.at:], row.value)
		vector.Reseal(d)
		bad(row.name, d)
	}
}
