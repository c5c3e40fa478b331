package vector

import "context"

// Kernels are those that this processor has, the specification first.
func Kernels() []kernel {
	var out []kernel
	for k := range bestKernel + 1 {
		out = append(out, k)
	}
	return out
}

func (v *View) SearchBy(ctx context.Context, k kernel, q []float32, o Options) ([]Hit, error) {
	return v.search(ctx, q, o, k)
}

// Planes makes a query of two planes of values, as no vector gives them.
func Planes(hi, lo []int8) *query {
	q := &query{planes: append(append([]int8{}, hi...), lo...)}
	for i := range hi {
		q.values = append(q.values, int16(hi[i])*128+int16(lo[i]))
	}
	return q
}

func Values(v []float32) (*query, []int16) {
	q := newQuery(v)
	return q, q.values
}

func (k kernel) Sums(codes []byte, q *query, sums []int32) { k.sums(codes, q, sums) }

func (k kernel) Sift(sums []int32, scales, residuals []byte, n int, shift int32, residual, floor float32) []byte {
	var mask [maxBlock / 8]byte
	k.sift(sums, scales, residuals, n, limit{shift, residual, floor}, &mask)
	return mask[:]
}

func (s *Segment) Codes() []byte { return s.codes }

// Reseal makes the checksum of changed bytes right.
func Reseal(data []byte) {
	if len(data) >= headerSize {
		le := checksum(data)
		data[4], data[5], data[6], data[7] = byte(le), byte(le>>8), byte(le>>16), byte(le>>24)
	}
}

func (k kernel) String() string { return [...]string{"portable", "avx2", "avx512"}[k] }
