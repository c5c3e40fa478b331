//go:build !amd64

package vector

// bestKernel is the only one here.
const bestKernel kernel = 0

func (kernel) sums(high, low []byte, q *query, sums []int32) { sumsPortable(high, low, q, sums) }
func (kernel) skim(high []byte, q *query, sums []int32)      { skimPortable(high, q, sums) }

func (kernel) sift(sums []int32, scales, residuals []byte, n int, l limit, mask *[maxBlock / 8]byte) {
	siftPortable(sums, scales, residuals, n, l, mask)
}
