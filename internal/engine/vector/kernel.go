package vector

// lanes is the number of passages that a kernel sifts at once: what it reads of scales and residuals, and writes of sums, is a multiple of it.
const lanes = 8

// kernel is one way to scan codes; all give the same.
type kernel byte

// limit says which passages are let through: those with (sum - shift) × scale + residual × their residual >= floor, computed with float32.
type limit struct {
	shift    int32
	residual float32
	floor    float32
}

// sumsPortable is the specification of all kernels: the product of the query's values and each passage's codes as they are stored.
func sumsPortable(high, low []byte, q *query, sums []int32) {
	plane := len(q.values) / 2
	for i := range sums {
		upper, lower := high[i*plane:(i+1)*plane], low[i*plane:(i+1)*plane]
		var s0, s1 int32
		for values := q.values; len(values) >= 2*lineSize; values = values[2*lineSize:] {
			for j, h := range upper[:lineSize] {
				l := lower[j]
				s0 += int32(h<<4|l&0x0f) * int32(values[j])
				s1 += int32(h&0xf0|l>>4) * int32(values[lineSize+j])
			}
			upper, lower = upper[lineSize:], lower[lineSize:]
		}
		sums[i] = s0 + s1
	}
}

// skimPortable is the same for the upper halves of codes alone and the query's values for them.
func skimPortable(high []byte, q *query, sums []int32) {
	plane := len(q.coarse) / 2
	for i := range sums {
		upper := high[i*plane : (i+1)*plane]
		var s0, s1 int32
		for values := q.coarse; len(values) >= 2*lineSize; values = values[2*lineSize:] {
			for j, h := range upper[:lineSize] {
				s0 += int32(h&0x0f) * int32(values[j])
				s1 += int32(h>>4) * int32(values[lineSize+j])
			}
			upper = upper[lineSize:]
		}
		sums[i] = s0 + s1
	}
}

// siftPortable sets the bits of the passages of n that are let through. Bits beyond n may be anything.
func siftPortable(sums []int32, scales, residuals []byte, n int, l limit, mask *[maxBlock / 8]byte) {
	for i := range fillLanes(n) / lanes {
		var m byte
		for j := range lanes {
			at := i*lanes + j
			// the conversions keep compilers from fusing the product and the sum
			upper := float32(float32(sums[at]-l.shift)*floatAt(scales, at)) + float32(floatAt(residuals, at)*l.residual)
			if upper >= l.floor {
				m |= 1 << j
			}
		}
		mask[i] = m
	}
}
