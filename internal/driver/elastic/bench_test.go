package elastic_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"byline/internal/driver/elastic"
	"byline/internal/engine/lexical"
	"byline/internal/search"
	"byline/internal/search/searchtest"
)

// BenchmarkLegs asks a real server that holds 20,000 passages of some 120 terms and 384 dimensions, and reports the median.
func BenchmarkLegs(b *testing.B) {
	const n, dims = 20_000, 384
	url := searchtest.Server(b, "TEST_ELASTICSEARCH_URL", "elasticsearch")
	e, err := elastic.Open(elastic.Options{URLs: url, CAFile: os.Getenv("TEST_ELASTICSEARCH_CA"), Prefix: searchtest.Fresh()})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	defer searchtest.Clear(b, e)
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 20, 50_000)
	direction := func() []float32 {
		v := make([]float32, dims)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	ctx := b.Context()
	if err := e.Ensure(ctx, search.Generation{Name: "g", Dims: dims}); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range n / 1000 {
		var ops []search.Operation
		for j := range 1000 {
			o := search.Operation{PassageID: fmt.Sprintf("p%06d", i*1000+j), DocumentID: fmt.Sprintf("d%04d", i*10+j/100), Vector: direction()}
			for range 60 + r.IntN(120) {
				o.Terms = append(o.Terms, fmt.Sprint("w", zipf.Uint64()))
			}
			ops = append(ops, o)
		}
		if failed, err := e.Apply(ctx, "g", ws, ops); err != nil || failed != nil {
			b.Fatal(failed, err)
		}
	}
	b.Logf("%d passages a second", int(n/time.Since(began).Seconds()))
	if err := e.Swap(ctx, "g"); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"words", "meaning", "meaning in 20 of 200 documents"} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				q := search.Query{Workspace: ws, Space: "s", K: 100}
				ask := e.Vector
				if name == "words" {
					ask = e.Lexical
					for range 3 {
						q.Terms = append(q.Terms, lexical.Term{Text: fmt.Sprint("w", zipf.Uint64()), Weight: 1})
					}
				} else {
					q.Vector = direction()
				}
				if name == "meaning in 20 of 200 documents" {
					q.Documents = map[string]bool{}
					for i := range 20 {
						q.Documents[fmt.Sprintf("d%04d", i*7)] = true
					}
				}
				began := time.Now()
				if _, err := ask(ctx, q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
