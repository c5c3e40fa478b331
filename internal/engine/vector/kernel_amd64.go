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
	case cpu.X86.HasAVX2 && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI:
		return avx512
	case cpu.X86.HasAVX2:
		return avx2
	}
	return portable
}()

// sums fills sums with the products of the query and the codes of that many passages.
func (k kernel) sums(high, low []byte, q *query, sums []int32) {
	n, plane := len(sums), len(q.values)/2
	if n == 0 || len(high) < n*plane || len(low) < n*plane || len(q.planes) < 4*plane || k == portable {
		sumsPortable(high, low, q, sums)
		return
	}
	if k == avx512 {
		sumsAVX512(&high[0], &low[0], plane, n, &q.planes[0], &sums[0])
		return
	}
	sumsAVX2(&high[0], &low[0], plane, n, &q.planes[0], &sums[0])
}

// skim fills sums with the products of the query and the upper halves of the codes.
func (k kernel) skim(high []byte, q *query, sums []int32) {
	n, plane := len(sums), len(q.coarse)/2
	if n == 0 || len(high) < n*plane || k == portable {
		skimPortable(high, q, sums)
		return
	}
	if k == avx512 {
		skimAVX512(&high[0], plane, n, &q.coarse[0], &sums[0])
		return
	}
	skimAVX2(&high[0], plane, n, &q.coarse[0], &sums[0])
}

func (k kernel) sift(sums []int32, scales, residuals []byte, n int, l limit, mask *[maxBlock / 8]byte) {
	full := fillLanes(n)
	if n == 0 || full > maxBlock || len(sums) < full || len(scales) < 4*full || len(residuals) < 4*full || k == portable {
		siftPortable(sums, scales, residuals, n, l, mask)
		return
	}
	siftAVX2(&sums[0], &scales[0], &residuals[0], full/lanes, &l, &mask[0])
}

// sumsAVX2 needs a plane that is a multiple of 64 above 0, rows above 0 of it in high and in low, and planes of 4 × plane.
//
//go:noescape
func sumsAVX2(high, low *byte, plane, rows int, planes *int8, sums *int32)

// sumsAVX512 needs the same.
//
//go:noescape
func sumsAVX512(high, low *byte, plane, rows int, planes *int8, sums *int32)

// skimAVX2 needs a plane that is a multiple of 64 above 0, rows above 0 of it in high, and 2 × plane values.
//
//go:noescape
func skimAVX2(high *byte, plane, rows int, values *int8, sums *int32)

// skimAVX512 needs the same.
//
//go:noescape
func skimAVX512(high *byte, plane, rows int, values *int8, sums *int32)

// siftAVX2 needs groups × lanes sums, scales and residuals, and groups above 0; it writes groups bytes.
//
//go:noescape
func siftAVX2(sums *int32, scales, residuals *byte, groups int, l *limit, mask *byte)
