package vector

import "golang.org/x/sys/cpu"

const (
	portable kernel = iota
	avx2
	avx512 // with VNNI
)

// bestKernel is the fastest that this processor has.
var bestKernel = func() kernel {
	switch {
	case cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VNNI:
		return avx512
	case cpu.X86.HasAVX2:
		return avx2
	}
	return portable
}()

// sums fills sums with the products of the query and the codes of that many passages.
func (k kernel) sums(codes []byte, q *query, sums []int32) {
	n := len(sums)
	if n == 0 || len(codes) < n*len(q.values) || len(q.planes) < 2*len(q.values) || k == portable {
		sumsPortable(codes, q, sums)
		return
	}
	if k == avx512 {
		sumsAVX512(&codes[0], len(q.values), n, &q.planes[0], &sums[0])
		return
	}
	sumsAVX2(&codes[0], len(q.values), n, &q.planes[0], &sums[0])
}

func (k kernel) sift(sums []int32, scales, residuals []byte, n int, l limit, mask *[maxBlock / 8]byte) {
	full := fillLanes(n)
	if n == 0 || full > maxBlock || len(sums) < full || len(scales) < 4*full || len(residuals) < 4*full || k == portable {
		siftPortable(sums, scales, residuals, n, l, mask)
		return
	}
	siftAVX2(&sums[0], &scales[0], &residuals[0], full/lanes, &l, &mask[0])
}

// sumsAVX2 needs a stride that is a multiple of 64 above 0, planes of 2 × stride, and rows above 0.
//
//go:noescape
func sumsAVX2(codes *byte, stride, rows int, planes *int8, sums *int32)

// sumsAVX512 needs a stride that is a multiple of 64 above 0, planes of 2 × stride, and rows above 0.
//
//go:noescape
func sumsAVX512(codes *byte, stride, rows int, planes *int8, sums *int32)

// siftAVX2 needs groups × lanes sums, scales and residuals, and groups above 0; it writes groups bytes.
//
//go:noescape
func siftAVX2(sums *int32, scales, residuals *byte, groups int, l *limit, mask *byte)
