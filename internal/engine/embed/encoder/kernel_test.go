package encoder

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every assembly kernel is compared with its portable twin.

func floats(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * scale)
	}
	return x
}

func apart(a, b []float32) (m float64) {
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return d
		}
		m = max(m, d)
	}
	return m
}

func random(r *rand.Rand, n, k int) *weights {
	w := &weights{n: n, k: k, codes: make([]int8, n*k), scale: floats(r, n, 1), sum: floats(r, n, 1), bias: floats(r, n, 1)}
	for i := range w.codes {
		w.codes[i] = int8(r.IntN(127) - 63)
	}
	return w
}

func eachKernel(t *testing.T, do func(t *testing.T, k kernel, r *rand.Rand)) {
	for _, k := range kernels()[1:] {
		t.Run(k.String(), func(t *testing.T) { do(t, k, rand.New(rand.NewPCG(1, 2))) })
	}
}

func TestMultiply(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel, r *rand.Rand) {
		for _, rows := range []int{1, 5, 12, 37} {
			for _, cols := range []int{64, 384, 1536} {
				w := random(r, 128, cols)
				a := make([]uint8, (rows+padding)*cols)
				for j := range a {
					a[j] = uint8(r.IntN(256))
				}
				if rows == 5 { // the most that sums of two products can be
					for j := range a {
						a[j] = 255
					}
					for j := range w.codes {
						w.codes[j] = 63
					}
				}
				rq := make([][2]float32, rows+padding)
				for j := range rq {
					rq[j] = [2]float32{r.Float32(), r.Float32()}
				}
				stride := rows + padding
				got, want := make([]float32, 2*stride*64), make([]float32, 2*stride*64)
				k.multiply(rows, a, w, got, 64, stride*64, rq)
				multiplyPortable(rows, a, w, want, 64, stride*64, rq)
				for b := range 2 {
					for j := range rows * 64 {
						g, x := got[b*stride*64+j], want[b*stride*64+j]
						if math.Abs(float64(g-x)) > 1e-5*(1+math.Abs(float64(x))) {
							t.Fatalf("rows %d, columns %d, at %d: %v, want %v", rows, cols, j, g, x)
						}
					}
				}
			}
		}
	})
}

func TestMultiplyFloats(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel, r *rand.Rand) {
		for _, rows := range []int{1, 6, 13, 25} {
			const cols, n = 100, 96
			b, bias := floats(r, n*cols, 1), floats(r, n, 1)
			a, rs := floats(r, (rows+padding)*cols, 1), floats(r, rows+padding, 1)
			got, want := make([]float32, (rows+padding)*n), make([]float32, (rows+padding)*n)
			k.multiplyFloats(rows, a, cols, cols, b, 32, 32*cols, got, n, 64, n, bias, rs)
			multiplyFloatsPortable(rows, a, cols, cols, b, 32, 32*cols, want, n, 64, n, bias, rs)
			if d := apart(got[:rows*n], want[:rows*n]); !(d < 1e-3) {
				t.Fatalf("rows %d: %v apart", rows, d)
			}
		}
	})
}

func TestRows(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel, r *rand.Rand) {
		x := floats(r, 96, 5)
		for j := 90; j < 96; j++ {
			x[j] = -1e30 // masked
		}
		y := append([]float32(nil), x...)
		got, want := make([]float32, 3), make([]float32, 3)
		k.softmax(x, 1, 96, 96, got)
		softmaxPortable(y, 1, 96, 96, want)
		if d := max(apart(x, y), math.Abs(float64(got[0]/want[0]-1))); !(d < 1e-6) {
			t.Errorf("softmax: %v apart", d)
		}
		x = floats(r, 1536, 3)
		y = append([]float32(nil), x...)
		k.gelu(x)
		geluPortable(y)
		if d := apart(x, y); !(d < 1e-4) {
			t.Errorf("gelu: %v apart", d)
		}
		for _, n := range []int{64, 384, 1536} {
			for name, x := range map[string][]float32{"random": floats(r, n, 1), "constant": make([]float32, n), "large": floats(r, n, 1e6)} {
				g, w := make([]uint8, n), make([]uint8, n)
				var gr, wr [2]float32
				k.quantize(x, g, &gr)
				quantizePortable(x, w, &wr)
				for j := range g {
					if d := int(g[j]) - int(w[j]); d < -1 || d > 1 || gr != wr {
						t.Fatalf("quantize %s at %d: %d %v, want %d %v", name, j, g[j], gr, w[j], wr)
					}
				}
			}
		}
		x, s, gain, shift := floats(r, 384, 2), floats(r, 384, 2), floats(r, 384, 1), floats(r, 384, 1)
		y = append([]float32(nil), x...)
		k.addNorm(x, s, gain, shift, 1e-12)
		addNormPortable(y, s, gain, shift, 1e-12)
		if d := apart(x, y); !(d < 1e-5) {
			t.Errorf("norm: %v apart", d)
		}
		src := floats(r, 48*64, 1)
		gk, wk := make([]float32, 64*32), make([]float32, 64*32)
		k.packKeys(gk, src, 64, 40)
		packKeysPortable(wk, src, 64, 40)
		for j := range 40 {
			for d := range 32 {
				if o := j/32*1024 + d*32 + j%32; gk[o] != wk[o] {
					t.Fatalf("keys at %d %d", j, d)
				}
			}
		}
	})
}
