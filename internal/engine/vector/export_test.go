package vector

import (
	"bytes"
	"context"
)

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

// Planes makes a query of two planes of values, and of values for the upper halves of codes, as no vector gives them.
func Planes(hi, lo, coarse []int8) *query {
	q := &query{planes: append(append([]int8{}, hi...), lo...), coarse: coarse}
	for i := range hi {
		q.values = append(q.values, int16(hi[i])*128+int16(lo[i]))
	}
	return q
}

func Values(v []float32) (q *query, values []int16, coarse []int8) {
	q = newQuery(v)
	return q, q.values, q.coarse
}

// Errors are what the upper halves of v's codes leave out of its score with q, and what its codes do, each as a share of its bound.
func Errors(q, v []float32) (skimmed, whole float64) {
	p, codes := newQuery(q), bytes.Repeat([]byte{zeroCode}, strideOf(len(v)))
	m := encode(codes, v)
	var upper, all int
	for i := range v {
		upper += int(p.coarse[i]) * (2*int(codes[i]>>4) - 15)
		all += int(p.values[i]) * (int(codes[i]) - zeroCode)
	}
	score := float64(all) * p.unit * float64(m.scale)
	skimmed = score - float64(upper)/2*p.coarseUnit*float64(m.coarse)
	return skimmed / (p.coarseLength*float64(m.away-m.residual) + p.coarseRest), (dot(q, v) - score) / (p.length*float64(m.residual) + p.rest)
}

// Unit is what 1 of the values stands for, and of those for the upper halves.
func (q *query) Unit() (fine, coarse float64) { return q.unit, q.coarseUnit }

// Halves are codes as a segment has them.
func Halves(codes []byte) (high, low []byte) { return appendPlanes(nil, nil, codes) }

func (k kernel) Sums(high, low []byte, q *query, sums []int32) { k.sums(high, low, q, sums) }
func (k kernel) Skim(high []byte, q *query, sums []int32)      { k.skim(high, q, sums) }

func (k kernel) Sift(sums []int32, scales, residuals []byte, n int, shift int32, residual, floor float32) []byte {
	var mask [maxBlock / 8]byte
	k.sift(sums, scales, residuals, n, limit{shift, residual, floor}, &mask)
	return mask[:]
}

// Bytewise is a segment in the form before this.
func Bytewise(s *Segment) []byte {
	out := append([]byte(magicBytewise), s.data[4:headerSize]...)
	for i := range s.passages {
		codes := make([]byte, 2*s.plane)
		for j := range s.plane {
			h, l := s.row(s.high, i)[j], s.row(s.low, i)[j]
			at := j/lineSize*2*lineSize + j%lineSize
			codes[at], codes[at+lineSize] = h<<4|l&15, h&0xf0|l>>4
		}
		out = append(out, codes[:(s.dims+lineSize-1)/lineSize*lineSize]...)
	}
	out = append(append(out, s.scales...), s.residuals...)
	out = append(append(append(append(out, s.ids...), s.groupIDs...), s.groupFirst...), s.groupOrder...)
	Reseal(out)
	return out
}

// Reseal makes the checksum of changed bytes right.
func Reseal(data []byte) {
	if len(data) >= headerSize {
		le := checksum(data)
		data[4], data[5], data[6], data[7] = byte(le), byte(le>>8), byte(le>>16), byte(le>>24)
	}
}

func (k kernel) String() string { return [...]string{"portable", "avx2", "avx512"}[k] }
