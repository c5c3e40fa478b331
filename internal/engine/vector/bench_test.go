package vector_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"byline/internal/engine/vector"
)

// benchParts are n passages around centers, ten to a group, in segments of the usual size.
func benchParts(b *testing.B, n, dims int, centers [][]float32) []vector.Part {
	rng := rand.New(rand.NewPCG(1, 2))
	// noise is cut from one stretch of random numbers, so that a million vectors are made in seconds
	noise := make([]float32, 1<<20)
	for i := range noise {
		noise[i] = float32(rng.NormFloat64() * .8 / math.Sqrt(float64(dims)))
	}
	var out []vector.Part
	builder := vector.NewBuilder(dims)
	cut := func() {
		out = append(out, vector.Part{Segment: open(b, builder.Bytes()).Apart()})
		builder = vector.NewBuilder(dims)
	}
	v := make([]float32, dims)
	for i := range n {
		c, at := centers[rng.IntN(len(centers))], rng.IntN(len(noise)-dims)
		for j := range v {
			v[j] = c[j] + noise[at+j]
		}
		if !builder.Fits(vector.SegmentLimit) {
			cut()
		}
		if err := builder.Add(id(i), id(i/10), unit(v)); err != nil {
			b.Fatal(err)
		}
	}
	cut()
	return out
}

// touch reads each cache line once and does nothing with it: what the memory gives.
func touch(data []byte) (sum uint64) {
	for ; len(data) >= 512; data = data[512:] {
		sum += binary.LittleEndian.Uint64(data) + binary.LittleEndian.Uint64(data[64:]) + binary.LittleEndian.Uint64(data[128:]) +
			binary.LittleEndian.Uint64(data[192:]) + binary.LittleEndian.Uint64(data[256:]) + binary.LittleEndian.Uint64(data[320:]) +
			binary.LittleEndian.Uint64(data[384:]) + binary.LittleEndian.Uint64(data[448:])
	}
	return sum
}

// median of what f takes.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkKernel compares the kernels, those of whole codes and those of their upper halves, with a stream read of the same bytes, in turns, since other programs may use the memory too. Times are those of the thread.
func BenchmarkKernel(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, dims := range []int{384, 768, 1536} {
		const size = 96 << 20
		codes := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(codes[i:], rng.Uint64())
		}
		q, _, _ := vector.Values(isotropic(rng, dims))
		const block = 256
		sums := make([]int32, block)
		for _, k := range vector.Kernels() {
			whole := func() {
				high, low := codes[:size/2], codes[size/2:]
				for at := 0; at+block*dims/2 <= size/2; at += block * dims / 2 {
					k.Sums(high[at:at+block*dims/2], low[at:at+block*dims/2], q, sums)
				}
			}
			upper := func() {
				for at := 0; at+block*dims/2 <= size; at += block * dims / 2 {
					k.Skim(codes[at:at+block*dims/2], q, sums)
				}
			}
			for name, scan := range map[string]func(){"": whole, "/upper": upper} {
				b.Run(fmt.Sprintf("dims=%d/%s%s", dims, k, name), func(b *testing.B) {
					benchmarkScan(b, codes[:size/(block*dims)*block*dims], scan)
				})
			}
		}
	}
}

func benchmarkScan(b *testing.B, codes []byte, scan func()) {
	var times, stream []time.Duration
	keep := uint64(0)
	now, done := ownTime()
	defer done()
	for b.Loop() {
		t0 := now()
		scan()
		t1 := now()
		keep += touch(codes)
		times, stream = append(times, t1-t0), append(stream, now()-t1)
	}
	s, m := median(times), median(stream)
	size := float64(len(codes))
	b.ReportMetric(size/s.Seconds()/1e9, "GB/s")
	b.ReportMetric(size/m.Seconds()/1e9, "stream-GB/s")
	b.ReportMetric(100*m.Seconds()/s.Seconds(), "%-of-stream")
	b.ReportMetric(100*slices.Min(stream).Seconds()/slices.Min(times).Seconds(), "%-of-stream-best")
	_ = keep
}

// BenchmarkSearch is whole searches in workspaces of different sizes. Times in ms are those of the thread.
func BenchmarkSearch(b *testing.B) {
	const dims = 384
	for _, n := range []int{1000, 100_000, 1_000_000} {
		if n > 100_000 && testing.Short() {
			continue
		}
		rng := rand.New(rand.NewPCG(3, 4))
		var centers [][]float32
		for range 500 {
			centers = append(centers, isotropic(rng, dims))
		}
		view := vector.NewView(benchParts(b, n, dims, centers))
		half := func(g string) bool { return g[25]%2 == 0 }
		few := map[string]bool{}
		for i := range n / 1000 {
			few[id(i*100)] = true
		}
		for _, row := range []struct {
			name  string
			query func() []float32
			o     vector.Options
		}{
			{"far/k=10", func() []float32 { return isotropic(rng, dims) }, vector.Options{K: 10}},
			{"far/k=100", func() []float32 { return isotropic(rng, dims) }, vector.Options{K: 100}},
			{"near/k=10", func() []float32 { return near(rng, centers[rng.IntN(len(centers))], .8) }, vector.Options{K: 10}},
			{"near/k=100", func() []float32 { return near(rng, centers[rng.IntN(len(centers))], .8) }, vector.Options{K: 100}},
			{"near/k=100/margin=.3", func() []float32 { return near(rng, centers[rng.IntN(len(centers))], .8) }, vector.Options{K: 100, Margin: .3}},
			{"far/k=100/margin=.3", func() []float32 { return isotropic(rng, dims) }, vector.Options{K: 100, Margin: .3}},
			{"far/k=100/half", func() []float32 { return isotropic(rng, dims) }, vector.Options{K: 100, Filter: half}},
			{"far/k=100/1%", func() []float32 { return isotropic(rng, dims) }, vector.Options{K: 100, Filter: func(g string) bool { return few[g] }}},
		} {
			b.Run(fmt.Sprintf("n=%d/%s", n, row.name), func(b *testing.B) {
				b.ReportAllocs()
				var times []time.Duration
				hits := 0
				now, done := ownTime()
				defer done()
				for b.Loop() {
					q := row.query()
					t := now()
					h, err := view.Search(context.Background(), q, row.o)
					if err != nil {
						b.Fatal(err)
					}
					times = append(times, now()-t)
					hits += len(h)
				}
				b.ReportMetric(float64(hits)/float64(b.N), "hits")
				b.ReportMetric(median(times).Seconds()*1e3, "ms-median")
				b.ReportMetric(slices.Min(times).Seconds()*1e3, "ms-best")
			})
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	v := isotropic(rand.New(rand.NewPCG(1, 2)), 384)
	builder := vector.NewBuilder(384)
	for i := 0; b.Loop(); i++ {
		if !builder.Fits(vector.SegmentLimit) {
			builder.Bytes()
			builder = vector.NewBuilder(384)
		}
		if err := builder.Add(id(i), id(i/10), v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := benchParts(b, 9000, 384, [][]float32{isotropic(rand.New(rand.NewPCG(1, 2)), 384)})[0].Segment
	b.SetBytes(int64(len(s.Bytes())))
	for b.Loop() {
		open(b, s.Bytes())
	}
}

func BenchmarkRescore(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := collection(rng, 1000, 384, 0)
	p, get := parts(b, 384, 1000, all), floats(all)
	hits := search(b, p, all[0].v, vector.Options{K: 100, Most: 200})
	for b.Loop() {
		vector.Rescore(all[0].v, hits, get, 100)
	}
}
