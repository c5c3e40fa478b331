package vector_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"byline/internal/engine/vector"
)

// unaligned is n bytes at any place in a cache line.
func unaligned(rng *rand.Rand, n int) []byte {
	return make([]byte, n+64)[rng.IntN(64):][:n:n]
}

// Codes are random up to the stride: what is behind the last dimension must not count.
func TestKernelsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for dims := 1; dims <= vector.MaxDims; dims++ {
		if dims > 1100 {
			dims += 96
		}
		q, values := vector.Values(isotropic(rng, min(dims, vector.MaxDims)))
		rows := rng.IntN(11)
		codes := unaligned(rng, rows*len(values))
		for i := range codes {
			codes[i] = byte(rng.Uint32())
		}
		want := make([]int32, rows)
		for i := range rows {
			for j, x := range values {
				want[i] += int32(codes[i*len(values)+j]) * int32(x)
			}
		}
		for _, k := range vector.Kernels() {
			got := make([]int32, rows+1)
			got[rows] = 42
			k.Sums(codes, q, got[:rows])
			if !slices.Equal(want, got[:rows]) || got[rows] != 42 {
				t.Fatalf("%s, %d dimensions, %d rows:\n%v instead of\n%v", k, dims, rows, got, want)
			}
		}
	}
}

// The greatest products that there can be must not be cut off at 16 bits, nor their sums at 32.
func TestKernelsDoNotSaturate(t *testing.T) {
	for _, dims := range []int{64, 384, 1536, vector.MaxDims} {
		for _, sign := range []float32{1, -1} {
			v := make([]float32, dims)
			for i := range v {
				v[i] = sign
			}
			flat, values := vector.Values(unit(v))
			for _, code := range []byte{0, 1, 128, 255} {
				codes := slices.Repeat([]byte{code}, 5*dims)
				want := 0
				for _, x := range values {
					want += int(code) * int(x)
				}
				if want > math.MaxInt32 || want < math.MinInt32 {
					t.Fatalf("%d dimensions: %d", dims, want)
				}
				hi, lo := slices.Repeat([]int8{int8(64 * sign)}, dims), slices.Repeat([]int8{-64}, dims)
				extreme := vector.Planes(hi, lo)
				both := int32(dims) * int32(code) * (128*64*int32(sign) - 64) // may wrap around, the same way in all
				for _, k := range vector.Kernels() {
					got := make([]int32, 5)
					k.Sums(codes, flat, got)
					if slices.Min(got) != int32(want) || slices.Max(got) != int32(want) {
						t.Errorf("%s, %d dimensions, code %d: %d instead of %d", k, dims, code, got, want)
					}
					k.Sums(codes, extreme, got)
					if slices.Min(got) != both || slices.Max(got) != both {
						t.Errorf("%s, %d dimensions, code %d: %d instead of %d", k, dims, code, got, both)
					}
				}
			}
		}
	}
}

// A query keeps about 14 bits of each value, and in very many dimensions as many as fit.
func TestQueryIsPrecise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, dims := range []int{1, 2, 256, 384, 1536, vector.MaxDims} {
		for name, v := range map[string][]float32{"isotropic": isotropic(rng, dims), "flat": unit(slices.Repeat([]float32{1}, dims))} {
			_, values := vector.Values(v)
			var vx, xx float64
			for i, x := range v {
				vx, xx = vx+float64(x)*float64(values[i]), xx+float64(values[i])*float64(values[i])
			}
			if rest := math.Sqrt(max(0, 1-vx*vx/xx)); rest > 4e-4 {
				t.Errorf("%s %d: %g is left out", name, dims, rest)
			}
		}
	}
}

func floatBytes(out []byte, values ...float32) []byte {
	for _, x := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func FuzzKernels(f *testing.F) {
	f.Add(uint16(384), uint8(5), uint64(1), float32(.1))
	f.Add(uint16(64), uint8(1), uint64(2), float32(math.Inf(-1)))
	f.Add(uint16(4096), uint8(9), uint64(3), float32(math.NaN()))
	f.Fuzz(func(t *testing.T, dims uint16, rows uint8, seed uint64, floor float32) {
		rng := rand.New(rand.NewPCG(seed, 1))
		stride := (int(dims)%vector.MaxDims + 64) &^ 63
		n := int(rows)
		hi, lo, codes := make([]int8, stride), make([]int8, stride), unaligned(rng, n*stride)
		extreme := rng.IntN(2) == 0
		for i := range stride {
			hi[i], lo[i] = int8(rng.IntN(129)-64), int8(rng.IntN(128)-64)
			if extreme {
				hi[i], lo[i] = int8(rng.IntN(2)*128-64), int8(rng.IntN(2)*127-64)
			}
		}
		for i := range codes {
			codes[i] = byte(rng.Uint32())
			if extreme {
				codes[i] = byte(rng.IntN(2) * 255)
			}
		}
		q := vector.Planes(hi, lo)
		full := (n + 7) &^ 7
		var scales, residuals []byte
		for range full {
			scales, residuals = floatBytes(scales, rng.Float32()/127), floatBytes(residuals, rng.Float32())
		}
		var sums []int32
		var mask []byte
		for i, k := range vector.Kernels() {
			s := make([]int32, full)
			k.Sums(codes, q, s[:n])
			m := k.Sift(s, scales, residuals, n, int32(seed), 100, floor*1e6)
			if i == 0 {
				sums, mask = s, m
			}
			if !slices.Equal(sums, s) || !slices.Equal(mask, m) {
				t.Fatalf("%s differs: %v %x instead of %v %x", k, s, m, sums, mask)
			}
		}
	})
}
