package encoder_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
	"byline/internal/engine/embed/token"
)

// e5Directory is multilingual-e5-small as scripts/e5.sh makes it.
func e5Directory(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TEST_E5_DIR")
	if dir == "" {
		if strings.Contains(","+os.Getenv("TEST_REQUIRE")+",", ",e5,") {
			t.Fatal("TEST_REQUIRE names e5, but TEST_E5_DIR is not set; scripts/e5.sh makes it.")
		}
		t.Skip("TEST_E5_DIR is not set; scripts/e5.sh makes it.")
	}
	return dir
}

// testdata/e5.json has texts with their ids by the reference tokenizer, and their vectors by the model in 64-bit floats.
func TestE5(t *testing.T) {
	dir := e5Directory(t)
	raw, err := os.ReadFile("testdata/e5.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Kind, Text string
		IDs        []int32
		Vector     []float32
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	tokenizer, err := token.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := encoder.Quantize(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m := p.Manifest; m.Query != "query: " || m.Passage != "passage: " || m.Limit != 512 || m.Latin {
		t.Errorf("it was read as %+v", m)
	}
	out := t.TempDir()
	if err := p.Write(out); err != nil {
		t.Fatal(err)
	}
	p = nil
	e := open(t, out)
	got := make([][]float32, len(golden))
	for i, g := range golden {
		if ids, _, _ := tokenizer.Encode(nil, g.Kind+": "+g.Text, 512); !slices.Equal(ids, g.IDs) {
			t.Errorf("%.40q:\n got %v\nwant %v", g.Text, ids, g.IDs)
		}
		var v embed.Vector
		if g.Kind == "query" {
			v = ask(t, e, g.Text)
		} else if all, err := e.Passages(t.Context(), []string{g.Text}); err != nil {
			t.Fatal(err)
		} else {
			v = all[0]
		}
		if c := cosine(v.Values, g.Vector); !(c >= .995) {
			t.Errorf("%.40q: cosine %.4f", g.Text, c)
		}
		got[i] = v.Values
	}
	// Its vectors lie in a narrow cone, so their order says more than their cosines: that of all pairs is the float model's,
	// as far as pairs are a hundredth apart.
	for i := range golden {
		for j := range golden {
			for k := range golden {
				want := cosine(golden[i].Vector, golden[j].Vector) - cosine(golden[i].Vector, golden[k].Vector)
				if is := cosine(got[i], got[j]) - cosine(got[i], got[k]); want > .01 && is <= 0 {
					t.Errorf("%.20q is nearer to %.20q than to %.20q by %.4f, not %.4f", golden[i].Text, golden[j].Text, golden[k].Text, want, is)
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if heap := float64(m.HeapAlloc) / (1 << 20); math.Round(heap) > 100 {
		t.Errorf("the heap has %.0f MB: the table of tokens should be mapped", heap)
	}
}

func BenchmarkE5(b *testing.B) {
	dir := e5Directory(b)
	b.Run("quantize", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := encoder.Quantize(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	p, err := encoder.Quantize(dir)
	if err != nil {
		b.Fatal(err)
	}
	out := b.TempDir()
	if err := p.Write(out); err != nil {
		b.Fatal(err)
	}
	p = nil
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			open(b, out)
		}
	})
	e := open(b, out)
	b.Run("query", func(b *testing.B) {
		for b.Loop() {
			ask(b, e, "how much did heating cost the town library last")
		}
	})
	b.Run("passages", func(b *testing.B) {
		texts := slices.Repeat([]string{strings.Repeat("The heating of the library cost more. ", 15)}, 8)
		tokens := 0
		for b.Loop() {
			if _, err := e.Passages(b.Context(), texts); err != nil {
				b.Fatal(err)
			}
			tokens += e.Tokens("passage: "+texts[0]) * len(texts)
		}
		b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	})
}
