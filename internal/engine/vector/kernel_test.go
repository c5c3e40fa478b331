package vector_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"byline/internal/engine/vector"
)

// unaligned is a copy at any place in a cache line.
func unaligned(rng *rand.Rand, data []byte) []byte {
	out := make([]byte, len(data)+64)[rng.IntN(64):][:len(data):len(data)]
	copy(out, data)
	return out
}

// halves are codes as a segment has them, anywhere.
func halves(rng *rand.Rand, codes []byte) (high, low []byte) {
	high, low = vector.Halves(codes)
	return unaligned(rng, high), unaligned(rng, low)
}

// products are what kernels must give: of whole codes and of their upper halves.
func products(codes []byte, values []int16, coarse []int8) (whole, upper []int32) {
	for row := range slices.Chunk(codes, len(values)) {
		var w, u int32
		for j, c := range row {
			w, u = w+int32(c)*int32(values[j]), u+int32(c>>4)*int32(coarse[j])
		}
		whole, upper = append(whole, w), append(upper, u)
	}
	return whole, upper
}

// Codes are random up to the stride: what is behind the last dimension must not count.
func TestKernelsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for dims := 1; dims <= vector.MaxDims; dims++ {
		if dims > 1100 {
			dims += 96
		}
		q, values, coarse := vector.Values(isotropic(rng, min(dims, vector.MaxDims)))
		rows := rng.IntN(11)
		codes := make([]byte, rows*len(values))
		for i := range codes {
			codes[i] = byte(rng.Uint32())
		}
		whole, upper := products(codes, values, coarse)
		high, low := halves(rng, codes)
		for _, k := range vector.Kernels() {
			got := make([]int32, rows+1)
			got[rows] = 42
			k.Sums(high, low, q, got[:rows])
			if !slices.Equal(whole, got[:rows]) || got[rows] != 42 {
				t.Fatalf("%s, %d dimensions, %d rows:\n%v instead of\n%v", k, dims, rows, got, whole)
			}
			k.Skim(high, q, got[:rows])
			if !slices.Equal(upper, got[:rows]) || got[rows] != 42 {
				t.Fatalf("%s, %d dimensions, %d rows, upper halves:\n%v instead of\n%v", k, dims, rows, got, upper)
			}
		}
	}
}

// The greatest products that there can be must not be cut off at 16 bits, nor their sums at 32.
func TestKernelsDoNotSaturate(t *testing.T) {
	for _, dims := range []int{128, 384, 1536, vector.MaxDims} {
		for _, sign := range []float32{1, -1} {
			v := make([]float32, dims)
			for i := range v {
				v[i] = sign
			}
			flat, values, _ := vector.Values(unit(v))
			for _, code := range []byte{0, 1, 128, 255} {
				high, low := vector.Halves(slices.Repeat([]byte{code}, 5*dims))
				want := 0
				for _, x := range values {
					want += int(code) * int(x)
				}
				if want > math.MaxInt32 || want < math.MinInt32 {
					t.Fatalf("%d dimensions: %d", dims, want)
				}
				hi, lo := slices.Repeat([]int8{int8(64 * sign)}, dims), slices.Repeat([]int8{-64}, dims)
				extreme := vector.Planes(hi, lo, slices.Repeat([]int8{int8(127 * sign)}, dims))
				both := int32(dims) * int32(code) * (128*64*int32(sign) - 64) // may wrap around, the same way in all
				upper := int32(dims) * int32(code>>4) * 127 * int32(sign)
				for _, k := range vector.Kernels() {
					got := make([]int32, 5)
					for _, row := range []struct {
						what string
						sum  func()
						want int32
					}{
						{"flat", func() { k.Sums(high, low, flat, got) }, int32(want)},
						{"extreme", func() { k.Sums(high, low, extreme, got) }, both},
						{"upper halves", func() { k.Skim(high, extreme, got) }, upper},
					} {
						row.sum()
						if slices.Min(got) != row.want || slices.Max(got) != row.want {
							t.Errorf("%s, %d dimensions, code %d, %s: %d instead of %d", k, dims, code, row.what, got, row.want)
						}
					}
				}
			}
		}
	}
}

// A query keeps about 14 bits of each value, and in very many dimensions as many as fit; for the upper halves of codes, 8. The sum of these is even, so that 7.5
// times as much is a whole number.
func TestQueryIsPrecise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, dims := range []int{1, 2, 256, 384, 1536, vector.MaxDims} {
		for name, v := range map[string][]float32{"isotropic": isotropic(rng, dims), "flat": unit(slices.Repeat([]float32{1}, dims))} {
			q, values, coarse := vector.Values(v)
			unit, coarseUnit := q.Unit()
			var rest, coarseRest float64
			sum := 0
			for i, x := range v {
				d, e := float64(x)-unit*float64(values[i]), float64(x)-coarseUnit*float64(coarse[i])
				rest, coarseRest, sum = rest+d*d, coarseRest+e*e, sum+int(coarse[i])
			}
			if rest, coarseRest = math.Sqrt(rest), math.Sqrt(coarseRest); rest > 4e-4 || coarseRest > .015 || sum%2 != 0 {
				t.Errorf("%s %d: %g and %g are left out, the sum is %d", name, dims, rest, coarseRest, sum)
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
		stride := (int(dims)%vector.MaxDims + 128) &^ 127
		n := int(rows)
		hi, lo, coarse, codes := make([]int8, stride), make([]int8, stride), make([]int8, stride), make([]byte, n*stride)
		extreme := rng.IntN(2) == 0
		for i := range stride {
			hi[i], lo[i], coarse[i] = int8(rng.IntN(129)-64), int8(rng.IntN(128)-64), int8(rng.IntN(255)-127)
			if extreme {
				hi[i], lo[i], coarse[i] = int8(rng.IntN(2)*128-64), int8(rng.IntN(2)*127-64), int8(rng.IntN(2)*254-127)
			}
		}
		for i := range codes {
			codes[i] = byte(rng.Uint32())
			if extreme {
				codes[i] = byte(rng.IntN(2) * 255)
			}
		}
		high, low := halves(rng, codes)
		q := vector.Planes(hi, lo, coarse)
		full := (n + 7) &^ 7
		var scales, residuals []byte
		for range full {
			scales, residuals = floatBytes(scales, rng.Float32()/127), floatBytes(residuals, rng.Float32())
		}
		var sums, upper []int32
		var mask []byte
		for i, k := range vector.Kernels() {
			s, u := make([]int32, full), make([]int32, full)
			k.Sums(high, low, q, s[:n])
			k.Skim(high, q, u[:n])
			m := k.Sift(s, scales, residuals, n, int32(seed), 100, floor*1e6)
			if i == 0 {
				sums, upper, mask = s, u, m
			}
			if !slices.Equal(sums, s) || !slices.Equal(upper, u) || !slices.Equal(mask, m) {
				t.Fatalf("%s differs: %v %v %x instead of %v %v %x", k, s, u, m, sums, upper, mask)
			}
		}
	})
}
