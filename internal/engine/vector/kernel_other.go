//go:build !amd64

package vector

// bestKernel is the only one here.
const bestKernel kernel = 0

func (kernel) sums(codes []byte, q *query, sums []int32) { sumsPortable(codes, q, sums) }

func (kernel) sift(sums []int32, scales, residuals []byte, n int, l limit, mask *[maxBlock / 8]byte) {
	siftPortable(sums, scales, residuals, n, l, mask)
}
