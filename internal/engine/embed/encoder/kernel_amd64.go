package encoder

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// qargs is read by the integer kernels: see multiplyPortable.
type qargs struct {
	a    unsafe.Pointer // uint8 activations, row by row
	lda  uintptr        // bytes between rows
	k4   uintptr        // columns/4
	w    unsafe.Pointer // int8 weights: panels of 16 columns, [k/4][16][4]
	wps  uintptr        // bytes between panels
	c    unsafe.Pointer // float32 output
	ldc  uintptr        // bytes between its rows
	mt   uintptr        // tiles of rows
	rq   unsafe.Pointer // [rows][2]float32: scale, least
	cs   unsafe.Pointer // scale of each column
	cw   unsafe.Pointer // scale * sum of its codes
	bias unsafe.Pointer
}

// fargs is read by the float kernels: see multiplyFloatsPortable.
type fargs struct {
	a    unsafe.Pointer
	lda  uintptr
	k    uintptr
	b    unsafe.Pointer
	ldb  uintptr
	c    unsafe.Pointer
	ldc  uintptr
	mt   uintptr
	bias unsafe.Pointer
	rs   unsafe.Pointer
}

//go:noescape
func gemmVNNI(p *qargs) // 6 rows x 64 columns a tile

//go:noescape
func gemmAVX2(p *qargs) // 4 rows x 16 columns a tile

//go:noescape
func gemmAVXVNNI(p *qargs) // 6 rows x 16 columns a tile

//go:noescape
func gemmF512(p *fargs) // 12 rows x 32 columns a tile

//go:noescape
func gemmF256(p *fargs) // 6 rows x 16 columns a tile

//go:noescape
func softmax512(s *float32, rows, stride, n uintptr, inv *float32)

//go:noescape
func softmax256(s *float32, rows, stride, n uintptr, inv *float32)

//go:noescape
func gelu512(x *float32, n uintptr)

//go:noescape
func gelu256(x *float32, n uintptr)

//go:noescape
func quant512(x *float32, n uintptr, dst *uint8, levels float32, out *[2]float32)

//go:noescape
func quant256(x *float32, n uintptr, dst *uint8, levels float32, out *[2]float32)

//go:noescape
func addNorm256(x, r, gamma, beta *float32, n uintptr, eps float32)

//go:noescape
func transpose8x8(dst *float32, dstStride uintptr, src *float32, srcStride uintptr)

// detect finds the fastest kernel that this processor has. All but the portable one give the same bits: they do the same
// float operations in the same order.
func detect() kernel {
	c := cpu.X86
	switch {
	case !c.HasAVX2 || !c.HasFMA:
		return portable
	case c.HasAVX512F && c.HasAVX512BW && c.HasAVX512DQ && c.HasAVX512VL && c.HasAVX512VNNI:
		return avx512VNNI
	case c.HasAVXVNNI:
		return avxVNNI
	}
	return avx2 // with AVX-512 but no VNNI, too: wide floats alone may cost more clock than they gain
}

func (k kernel) wide() bool { return k == avx512 || k == avx512VNNI }

func (k kernel) multiply(rows int, a []uint8, w *weights, c []float32, ldc, cps int, rq [][2]float32) {
	p := qargs{a: unsafe.Pointer(&a[0]), lda: uintptr(w.k), k4: uintptr(w.k / 4), wps: uintptr(w.k * 16), ldc: uintptr(ldc) * 4, rq: unsafe.Pointer(&rq[0])}
	step, gemm := 16, gemmAVX2
	p.mt = uintptr((rows + 3) / 4)
	switch k {
	case portable:
		multiplyPortable(rows, a, w, c, ldc, cps, rq)
		return
	case avx512VNNI:
		step, gemm, p.mt = 64, gemmVNNI, uintptr((rows+5)/6)
	case avxVNNI:
		gemm, p.mt = gemmAVXVNNI, uintptr((rows+5)/6)
	}
	for n := 0; n < w.n; n += step {
		p.w = unsafe.Pointer(&w.codes[n*w.k])
		p.c = unsafe.Pointer(&c[n/64*cps+n%64])
		p.cs, p.cw, p.bias = unsafe.Pointer(&w.scale[n]), unsafe.Pointer(&w.sum[n]), unsafe.Pointer(&w.bias[n])
		gemm(&p)
	}
}

func (k kernel) multiplyFloats(rows int, a []float32, lda, n int, b []float32, ldb, bps int, c []float32, ldc, cps, cols int, bias, rs []float32) {
	if k == portable {
		multiplyFloatsPortable(rows, a, lda, n, b, ldb, bps, c, ldc, cps, cols, bias, rs)
		return
	}
	p := fargs{a: unsafe.Pointer(&a[0]), lda: uintptr(lda) * 4, k: uintptr(n), ldb: uintptr(ldb) * 4, ldc: uintptr(ldc) * 4, rs: unsafe.Pointer(&rs[0])}
	step, gemm := 16, gemmF256
	p.mt = uintptr((rows + 5) / 6)
	if k.wide() {
		step, gemm, p.mt = 32, gemmF512, uintptr((rows+11)/12)
	}
	for j := 0; j < cols; j += step {
		p.b, p.c, p.bias = unsafe.Pointer(&b[j/32*bps+j%32]), unsafe.Pointer(&c[j/64*cps+j%64]), unsafe.Pointer(&bias[j])
		gemm(&p)
	}
}

func (k kernel) softmax(x []float32, rows, stride, n int, inv []float32) {
	switch {
	case k == portable:
		softmaxPortable(x, rows, stride, n, inv)
	case k.wide():
		softmax512(&x[0], uintptr(rows), uintptr(stride)*4, uintptr(n), &inv[0])
	default:
		softmax256(&x[0], uintptr(rows), uintptr(stride)*4, uintptr(n), &inv[0])
	}
}

func (k kernel) gelu(x []float32) {
	switch {
	case k == portable:
		geluPortable(x)
	case k.wide():
		gelu512(&x[0], uintptr(len(x)))
	default:
		gelu256(&x[0], uintptr(len(x)))
	}
}

func (k kernel) quantize(x []float32, codes []uint8, out *[2]float32) {
	switch {
	case k == portable:
		quantizePortable(x, codes, out)
	case k.wide():
		quant512(&x[0], uintptr(len(x)), &codes[0], levels, out)
	default:
		quant256(&x[0], uintptr(len(x)), &codes[0], levels, out)
	}
}

func (k kernel) addNorm(x, r, gain, shift []float32, eps float32) {
	if k == portable {
		addNormPortable(x, r, gain, shift, eps)
		return
	}
	addNorm256(&x[0], &r[0], &gain[0], &shift[0], uintptr(len(x)), eps)
}

func (k kernel) packKeys(dst, src []float32, stride, n int) {
	if k == portable {
		packKeysPortable(dst, src, stride, n)
		return
	}
	for j := 0; j < n; j += 8 { // up to 7 rows past n are read: buffers are padded, and their columns are masked
		for d := 0; d < headSize; d += 8 {
			transpose8x8(&dst[j/32*1024+d*32+j%32], 32*4, &src[j*stride+d], uintptr(stride)*4)
		}
	}
}
