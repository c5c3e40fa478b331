package vector

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// MaxDims is the largest number of dimensions of a vector.
const MaxDims = 4096

// What is wrong with a vector that is refused.
var (
	ErrZero    = errors.New("the vector is zero")
	ErrDims    = errors.New("wrong number of dimensions")
	ErrNotUnit = errors.New("the vector does not have length 1") // NaN and infinities too
)

// tolerance is how far the length of a vector may be from 1: vectors that were stored with few digits are further away than rounding.
const tolerance = 0.01

// Normalize divides v by its length. A zero vector gives ErrZero; one with a NaN or an infinity, ErrNotUnit. Both stay as they are.
func Normalize(v []float32) error {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	switch {
	case sum == 0:
		return ErrZero
	case math.IsNaN(sum) || math.IsInf(sum, 0):
		return ErrNotUnit
	}
	f := 1 / math.Sqrt(sum)
	for i, x := range v {
		v[i] = float32(float64(x) * f)
	}
	return nil
}

// checkUnit tells whether v is a vector of length 1 and of that many dimensions.
func checkUnit(v []float32, dims int) error {
	if len(v) != dims {
		return fmt.Errorf("%d instead of %d: %w", len(v), dims, ErrDims)
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	n := math.Sqrt(sum)
	switch {
	case n == 0:
		return ErrZero
	case !(math.Abs(n-1) <= tolerance):
		return fmt.Errorf("its length is %g: %w", n, ErrNotUnit)
	}
	return nil
}

// Codes are whole numbers of -maxCode to maxCode, stored with zeroCode added, so that they are unsigned bytes.
const (
	maxCode  = 127
	zeroCode = 128
)

// lineSize is what the length of a plane of a vector's codes is a multiple of: what the kernels read at once, and a cache line.
const lineSize = 64

// planeOf is the length of a plane of a vector's codes in bytes: two halves of a code a byte.
func planeOf(dims int) int { return (dims + 2*lineSize - 1) / (2 * lineSize) * lineSize }

// strideOf is the number of a vector's codes, those that fill it up with it.
func strideOf(dims int) int { return 2 * planeOf(dims) }

// appendPlanes appends codes, filled up to the stride, to the two planes: the upper four bits of each to high, the lower four to low. Byte i of a
// line has the halves of codes i and lineSize + i, so that a kernel gets at both without moving bytes.
func appendPlanes(high, low, codes []byte) (newHigh, newLow []byte) {
	at := len(high)
	high, low = slices.Grow(high, len(codes)/2)[:at+len(codes)/2], slices.Grow(low, len(codes)/2)[:at+len(codes)/2]
	for ; len(codes) >= 2*lineSize; codes, at = codes[2*lineSize:], at+lineSize {
		a, b := (*[lineSize]byte)(codes), (*[lineSize]byte)(codes[lineSize:])
		upper, lower := (*[lineSize]byte)(high[at:]), (*[lineSize]byte)(low[at:])
		for i, x := range a {
			upper[i], lower[i] = x>>4|b[i]&0xf0, x&0x0f|b[i]<<4
		}
	}
	return high, low
}

// measures are what a segment keeps of a vector v besides its codes c, which are stored.
//
//	v = scale × c + something of length residual, orthogonal to c
//	scale × c = coarse × h + something of length away - residual, orthogonal to c; h: (c + zeroCode) / 16, rounded down, - 7.5
//
// Both lengths are rounded up. They are orthogonal but for rounding of scale and coarse.
//
// What the upper halves leave out could be made shorter by a coarse that makes it orthogonal to h. But then it has a share of v itself, which a question
// near v has, too: scores of a vector with one dimension far above the others would all be too small, by more than the Margin of a search allows for.
type measures struct{ coarse, away, scale, residual float32 }

// What a Builder makes of unit vectors does not go beyond: the worst is one dimension alone of MaxDims, with an away of 4.3.
const (
	maxCoarse = 2 * (1 + tolerance)
	maxAway   = 8
)

// greatest is the greatest of v's numbers, each taken positive. Bits of positive numbers are ordered as the numbers are, and compared sooner.
func greatest(v []float32) float64 {
	var most uint32
	for _, x := range v {
		most = max(most, math.Float32bits(x)&^(1<<31))
	}
	return float64(math.Float32frombits(most))
}

// encode writes the codes of a unit vector to codes, which has its stride, all of them zeroCode behind the vector.
func encode(codes []byte, v []float32) measures {
	f := maxCode / greatest(v)
	codes = codes[:len(v)]
	var vv, vc float64
	var p products
	for i, x32 := range v {
		x := float64(x32)
		c := math.RoundToEven(x * f)
		vv, vc = vv+x*x, vc+x*c
		codes[i] = byte(int32(c) + zeroCode)
		p.add(codes[i])
	}
	scale := float32(vc / float64(p.cc))
	s := float64(scale)
	m := measures{scale: scale, residual: rootUp(vv - 2*s*vc + s*s*float64(p.cc))}
	m.halve(p)
	return m
}

// products are sums over codes c and twice their upper halves h, exact.
type products struct{ cc, ch, hh int }

func (p *products) add(stored byte) {
	c, h := int(stored)-zeroCode, 2*int(stored>>4)-15
	p.cc, p.ch, p.hh = p.cc+c*c, p.ch+c*h, p.hh+h*h
}

// rootUp is a length whose square was computed with some roundings of numbers up to 1, rounded up.
func rootUp(square float64) float32 {
	return math.Nextafter32(float32(math.Sqrt(max(0, square)+1e-15)), math.MaxFloat32)
}

// halve measures how well the upper halves of codes do without the lower ones. It asks for nothing but products, scale and residual.
func (m *measures) halve(p products) {
	s := float64(m.scale)
	m.coarse = float32(2 * s * float64(p.cc) / float64(p.ch))
	t := float64(m.coarse) / 2
	rest := rootUp(s*s*float64(p.cc) - 2*s*t*float64(p.ch) + t*t*float64(p.hh))
	m.away = math.Nextafter32(rest+m.residual, math.MaxFloat32)
}

// query is a unit vector as whole numbers: value i is 128 × planes[i] + planes[stride+i], the first of -64 to 64 and the second of -64 to 63.
//
// With codes of at most 255, two products of a plane fit into 16 bits (2 × 255 × 64 < 2¹⁵), where VPMADDUBSW would cut them off otherwise. So it is the query
// that has planes of 7 bits, and codes have all 8: that halves the residuals, and the candidates whose floats must be read, against
// codes of 7 bits in as many bytes. The second plane costs nothing as long as the memory is what a scan waits for.
//
// For the upper halves of codes one plane of 8 bits is enough: what it leaves out is small beside what they do.
type query struct {
	planes []int8
	values []int16 // the same as one, for the portable kernel
	shift  int32   // zeroCode × the sum of values: how much greater a product with stored codes is than with codes
	unit   float64 // what a value of 1 stands for
	length float64 // of values × unit
	rest   float64 // length of what the values leave out

	coarse       []int8  // values for the upper halves of codes; their sum is even
	coarseShift  int32   // 7.5 × the sum of coarse
	coarseUnit   float64 // what 1 of coarse stands for
	coarseLength float64 // of coarse × coarseUnit
	coarseRest   float64 // length of values × unit - coarse × coarseUnit
}

// maxSum is what the values of a query may sum up to, each taken positive, so that 255 times as much fits into 31 bits with room for rounding.
const maxSum = (math.MaxInt32 - 255*MaxDims) / 255

func newQuery(v []float32) *query {
	n := strideOf(len(v))
	q := &query{planes: make([]int8, 2*n), values: make([]int16, n)}
	most, sum := greatest(v), 0.0
	for _, x := range v {
		sum += math.Abs(float64(x))
	}
	f := min(8191/most, maxSum/sum)
	q.unit = 1 / f
	var length, rest float64
	for i, x := range v {
		value := math.RoundToEven(float64(x) * f)
		k := int(value)
		hi := (k + 64) >> 7
		q.planes[i], q.planes[n+i], q.values[i] = int8(hi), int8(k-hi<<7), int16(k)
		q.shift += zeroCode * int32(k)
		d := float64(x) - value*q.unit
		length, rest = length+value*value, rest+d*d
	}
	q.length, q.rest = math.Sqrt(length)*q.unit, math.Sqrt(rest)
	q.skim(most * f)
	return q
}

// skim makes the values for the upper halves of codes, of those whose greatest is about most.
func (q *query) skim(most float64) {
	const top = 126 // and one more where the sum is odd
	q.coarse = make([]int8, len(q.values))
	f := top / most
	sum := int32(0)
	for i, k := range q.values {
		c := int8(math.RoundToEven(float64(k) * f))
		q.coarse[i] = c
		sum += int32(c)
	}
	if sum%2 != 0 {
		q.coarse[0]++
		sum++
	}
	q.coarseShift, q.coarseUnit = sum/2*15, q.unit/f
	var length, rest float64
	for i, c := range q.coarse {
		d := float64(q.values[i])*q.unit - float64(c)*q.coarseUnit
		length, rest = length+float64(c)*float64(c), rest+d*d
	}
	q.coarseLength, q.coarseRest = math.Sqrt(length)*q.coarseUnit, math.Sqrt(rest)
}
