package lexical_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"byline/internal/engine/lexical"
)

// zipfCollection is passages of about 120 tokens over a vocabulary in which word r occurs about 1/r as often as word 1, in segments of the
// usual size; every document has ten passages and words of its own, which it repeats.
func zipfCollection(b testing.TB, passages int) []lexical.Part {
	rng := rand.New(rand.NewPCG(1, 2))
	const vocabulary = 200_000
	word := func() int { return int(math.Exp(rng.Float64()*math.Log(vocabulary))) - 1 }
	var parts []lexical.Part
	builder := lexical.NewBuilder()
	cut := func() {
		s, err := lexical.Open(builder.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		parts = append(parts, lexical.Part{Segment: s})
		builder = lexical.NewBuilder()
	}
	var own [8]int
	tokens := make([]lexical.Token, 0, 256)
	for i := range passages {
		if i%10 == 0 {
			for j := range own {
				own[j] = word()
			}
		}
		tokens = tokens[:0]
		for range 60 + rng.IntN(120) {
			w := word()
			if rng.IntN(6) == 0 {
				w = own[rng.IntN(len(own))]
			}
			tokens = append(tokens, lexical.Token{Term: fmt.Sprint("w", w)})
		}
		if !builder.Fits(tokens, lexical.SegmentLimit) {
			cut()
		}
		if err := builder.Add(id(i), id(i/10), tokens); err != nil {
			b.Fatal(err)
		}
	}
	cut()
	return parts
}

func BenchmarkSearch(b *testing.B) {
	parts := zipfCollection(b, 100_000)
	bytes := 0
	for _, p := range parts {
		bytes += len(p.Segment.Bytes())
	}
	view := lexical.NewView(parts)
	st := view.Stats()
	b.Logf("%d passages, %d tokens, %d segments, %.1f bytes per passage", st.Passages, st.Tokens, len(parts), float64(bytes)/float64(st.Passages))
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 3, 8} {
		// words as questions have them: after stop words, of ranks 30 to 30,000, log-uniformly
		queries := make([][]lexical.Term, 256)
		for i := range queries {
			for range n {
				r := int(30 * math.Exp(rng.Float64()*math.Log(1000)))
				queries[i] = append(queries[i], lexical.Term{Text: fmt.Sprint("w", r), Weight: 1})
			}
		}
		for _, k := range []int{10, 100} {
			b.Run(fmt.Sprintf("terms=%d/k=%d", n, k), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := view.Search(queries[i%len(queries)], lexical.Options{K: k}); err != nil {
						b.Fatal(err)
					}
				}
				postings := 0
				for _, q := range queries {
					postings += postingsOf(view, q)
				}
				b.ReportMetric(float64(postings/len(queries)), "postings/query")
			})
		}
	}
}

// postingsOf is how many passages the terms of a query have together.
func postingsOf(v *lexical.View, q []lexical.Term) (n int) {
	hits, err := v.Search(q, lexical.Options{K: 1, Explain: true})
	if err == nil && len(hits) > 0 {
		for _, t := range hits[0].Why.Terms {
			n += t.Passages
		}
	}
	return n
}

func BenchmarkAnalyze(b *testing.B) {
	text := strings.Repeat("The embedded index keeps its postings in immutable segments, which are rows of the database itself; a query reads them in one snapshot (see ERR-1042 in v1.61.1). ", 20)
	korean := strings.Repeat("검색 엔진은 문서를 색인하고 사용자의 질문에 맞는 문단을 찾는다. ", 30)
	for name, t := range map[string]string{"english": text, "korean": korean} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(t)))
			b.ReportAllocs()
			for b.Loop() {
				lexical.Analyze(t, "en")
			}
		})
	}
}
