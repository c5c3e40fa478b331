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
func sumsPortable(codes []byte, q *query, sums []int32) {
	values := q.values
	for i := range sums {
		row := codes[i*len(values) : (i+1)*len(values)]
		var s0, s1, s2, s3 int32
		for j := 0; j+3 < len(row) && j+3 < len(values); j += 4 {
			s0 += int32(row[j]) * int32(values[j])
			s1 += int32(row[j+1]) * int32(values[j+1])
			s2 += int32(row[j+2]) * int32(values[j+2])
			s3 += int32(row[j+3]) * int32(values[j+3])
		}
		sums[i] = s0 + s1 + s2 + s3
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
