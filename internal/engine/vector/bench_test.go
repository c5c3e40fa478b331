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
func benchParts(b *testing.B, n, dims int) []vector.Part {
	rng := rand.New(rand.NewPCG(1, 2))
	var centers [][]float32
	for range 500 {
		centers = append(centers, isotropic(rng, dims))
	}
	// noise is cut from one stretch of random numbers, so that a million vectors are made in seconds
	noise := make([]float32, 1<<20)
	for i := range noise {
		noise[i] = float32(rng.NormFloat64() * .8 / math.Sqrt(float64(dims)))
	}
	var out []vector.Part
	builder := vector.NewBuilder(dims)
	cut := func() {
		out = append(out, vector.Part{Segment: open(b, builder.Bytes())})
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

// BenchmarkKernel compares the kernels with a stream read of the same codes, in turns, since other programs may use the memory too.
func BenchmarkKernel(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, dims := range []int{384, 768, 1536} {
		const size = 96 << 20
		codes := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(codes[i:], rng.Uint64())
		}
		q, _ := vector.Values(isotropic(rng, dims))
		const block = 256
		sums := make([]int32, block)
		for _, k := range vector.Kernels() {
			b.Run(fmt.Sprintf("dims=%d/%s", dims, k), func(b *testing.B) {
				var scan, stream []time.Duration
				keep := uint64(0)
				for b.Loop() {
					t0 := time.Now()
					for at := 0; at+block*dims <= size; at += block * dims {
						k.Sums(codes[at:at+block*dims], q, sums)
					}
					t1 := time.Now()
					keep += touch(codes[:size/(block*dims)*block*dims])
					scan, stream = append(scan, t1.Sub(t0)), append(stream, time.Since(t1))
				}
				s, m := median(scan), median(stream)
				b.ReportMetric(size/s.Seconds()/1e9, "GB/s")
				b.ReportMetric(size/m.Seconds()/1e9, "stream-GB/s")
				b.ReportMetric(100*m.Seconds()/s.Seconds(), "%-of-stream")
				b.ReportMetric(100*slices.Min(stream).Seconds()/slices.Min(scan).Seconds(), "%-of-stream-best")
				_ = keep
			})
		}
	}
}

// BenchmarkSearch is whole searches in workspaces of different sizes. It runs in one goroutine, so time is CPU time where nothing else runs.
func BenchmarkSearch(b *testing.B) {
	const dims = 384
	for _, n := range []int{1000, 100_000, 1_000_000} {
		if n > 100_000 && testing.Short() {
			continue
		}
		p := benchParts(b, n, dims)
		view := vector.NewView(p)
		rng := rand.New(rand.NewPCG(3, 4))
		for name, query := range map[string]func() []float32{"isotropic": func() []float32 { return isotropic(rng, dims) }} {
			for _, k := range []int{10, 100} {
				for _, margin := range []float64{1, .3} {
					b.Run(fmt.Sprintf("n=%d/%s/k=%d/margin=%v", n, name, k, margin), func(b *testing.B) {
						b.ReportAllocs()
						var times []time.Duration
						hits := 0
						for b.Loop() {
							q := query()
							t := time.Now()
							h, err := view.Search(context.Background(), q, vector.Options{K: k, Margin: margin, Most: n})
							if err != nil {
								b.Fatal(err)
							}
							times = append(times, time.Since(t))
							hits += len(h)
						}
						b.ReportMetric(float64(hits)/float64(b.N), "hits")
						b.ReportMetric(median(times).Seconds()*1e3, "ms-median")
						b.ReportMetric(slices.Min(times).Seconds()*1e3, "ms-best")
					})
				}
			}
		}
	}
}
