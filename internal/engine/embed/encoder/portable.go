package encoder

import "math"

// The portable kernels say what the assembly must compute: integers to the last bit, floats to rounding.

// kernel is the set of instructions that is used.
type kernel int

const (
	portable kernel = iota
	avx2
	avxVNNI // 256 bits wide: processors without AVX-512
	avx512  // floats 512 bits wide, integers as with avx2
	avx512VNNI
)

func (k kernel) String() string {
	return [...]string{"portable", "avx2", "avxvnni", "avx512", "avx512vnni"}[k]
}

// levels of activations: codes are 0..levels.
const levels = 255

// multiplyPortable: c[row, col] = rq[row].scale*(scale[col]*acc) + (rq[row].least*sum[col] + bias[col]).
func multiplyPortable(rows int, a []uint8, w *weights, c []float32, ldc, cps int, rq [][2]float32) {
	for n0 := 0; n0 < w.n; n0 += 16 {
		panel := w.codes[n0*w.k:][:w.k*16]
		for r := range rows {
			row := a[r*w.k : (r+1)*w.k]
			var acc [16]int32
			for k := 0; k < w.k; k += 4 {
				a0, a1, a2, a3 := int32(row[k]), int32(row[k+1]), int32(row[k+2]), int32(row[k+3])
				q := (*[64]int8)(panel[k*16:])
				for j := range acc {
					acc[j] += a0*int32(q[4*j]) + a1*int32(q[4*j+1]) + a2*int32(q[4*j+2]) + a3*int32(q[4*j+3])
				}
			}
			for j, v := range acc {
				n := n0 + j
				c[n/64*cps+n%64+r*ldc] = rq[r][0]*(w.scale[n]*float32(v)) + (rq[r][1]*w.sum[n] + w.bias[n])
			}
		}
	}
}

// multiplyFloatsPortable: c = (a*b)*rs[row] + bias[col]; b in panels of 32 columns, bps floats from each other, rows of ldb.
func multiplyFloatsPortable(rows int, a []float32, lda, k int, b []float32, ldb, bps int, c []float32, ldc, cps, n int, bias, rs []float32) {
	for j0 := 0; j0 < n; j0 += 32 {
		for r := range rows {
			var acc [32]float32
			for i, v := range a[r*lda : r*lda+k] {
				q := (*[32]float32)(b[j0/32*bps+i*ldb:])
				for j := range acc {
					acc[j] += v * q[j]
				}
			}
			for j, v := range acc {
				x := j0 + j
				c[x/64*cps+x%64+r*ldc] = v*rs[r] + bias[x]
			}
		}
	}
}

// softmaxPortable leaves the exponentials in place and gives the inverse of their sum.
func softmaxPortable(x []float32, rows, stride, n int, inv []float32) {
	for r := range rows {
		row := x[r*stride : r*stride+n]
		m := row[0]
		for _, v := range row {
			m = max(m, v)
		}
		var sum float32
		for i, v := range row {
			row[i] = float32(math.Exp(float64(v - m)))
			sum += row[i]
		}
		inv[r] = 1 / sum
	}
}

func geluPortable(x []float32) {
	for i, v := range x {
		x[i] = float32(0.5 * float64(v) * (1 + math.Erf(float64(v)/math.Sqrt2)))
	}
}

// quantizePortable: codes from 0 to levels between the least and the greatest value; out is the scale and the least.
func quantizePortable(x []float32, codes []uint8, out *[2]float32) {
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	width := max(hi-lo, 1e-20)
	inv := levels / width
	for i, v := range x {
		codes[i] = uint8(min(levels, math.RoundToEven(float64((v-lo)*inv))))
	}
	*out = [2]float32{width / levels, lo}
}

// addNormPortable: x = LayerNorm(x + r)*gain + shift.
func addNormPortable(x, r, gain, shift []float32, eps float32) {
	var sum, squares float64
	for i := range x {
		x[i] += r[i]
		sum += float64(x[i])
	}
	mean := float32(sum / float64(len(x)))
	for _, v := range x {
		squares += float64((v - mean) * (v - mean))
	}
	inv := float32(1 / math.Sqrt(squares/float64(len(x))+float64(eps)))
	for i := range x {
		x[i] = (x[i]-mean)*inv*gain[i] + shift[i]
	}
}

// packKeysPortable writes n rows of 32 floats as panels [n/32][32][32], column by column.
func packKeysPortable(dst, src []float32, stride, n int) {
	for j := range n {
		for d, v := range src[j*stride : j*stride+headSize] {
			dst[j/32*1024+d*32+j%32] = v
		}
	}
}
