//go:build !amd64

package encoder

func detect() kernel { return portable }

func (k kernel) multiply(rows int, a []uint8, w *weights, c []float32, ldc, cps int, rq [][2]float32) {
	multiplyPortable(rows, a, w, c, ldc, cps, rq)
}

func (k kernel) multiplyFloats(rows int, a []float32, lda, n int, b []float32, ldb, bps int, c []float32, ldc, cps, cols int, bias, rs []float32) {
	multiplyFloatsPortable(rows, a, lda, n, b, ldb, bps, c, ldc, cps, cols, bias, rs)
}

func (k kernel) softmax(x []float32, rows, stride, n int, inv []float32) {
	softmaxPortable(x, rows, stride, n, inv)
}

func (k kernel) gelu(x []float32) { geluPortable(x) }

func (k kernel) quantize(x []float32, codes []uint8, out *[2]float32) {
	quantizePortable(x, codes, out)
}

func (k kernel) addNorm(x, r, gain, shift []float32, eps float32) {
	addNormPortable(x, r, gain, shift, eps)
}

func (k kernel) packKeys(dst, src []float32, stride, n int) { packKeysPortable(dst, src, stride, n) }
