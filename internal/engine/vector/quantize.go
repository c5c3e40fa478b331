package vector

import (
	"errors"
	"fmt"
	"math"
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

// lineSize is what the length of a vector's codes is a multiple of: what the kernels read at once, and a cache line.
const lineSize = 64

// strideOf is the length of a vector's codes in bytes.
func strideOf(dims int) int { return (dims + lineSize - 1) &^ (lineSize - 1) }

// appendCodes appends the codes of a unit vector, filled up to the stride. v is scale × codes, and something of length residual at most that is
// orthogonal to the codes but for rounding.
func appendCodes(out []byte, v []float32) (codes []byte, scale, residual float32) {
	most := 0.0
	for _, x := range v {
		most = max(most, math.Abs(float64(x)))
	}
	f := maxCode / most
	var vc, cc float64
	for _, x := range v {
		c := math.RoundToEven(float64(x) * f)
		vc, cc = vc+float64(x)*c, cc+c*c
		out = append(out, byte(int(c)+zeroCode))
	}
	scale = float32(vc / cc)
	rest := 0.0
	for i, c := range out[len(out)-len(v):] {
		d := float64(v[i]) - float64(scale)*float64(int(c)-zeroCode)
		rest += d * d
	}
	for range strideOf(len(v)) - len(v) {
		out = append(out, zeroCode)
	}
	return out, scale, math.Nextafter32(float32(math.Sqrt(rest)), 1)
}

// query is a unit vector as whole numbers: value i is 128 × planes[i] + planes[stride+i], the first of -64 to 64 and the second of -64 to 63.
//
// With codes of at most 255, two products of a plane fit into 16 bits (2 × 255 × 64 < 2¹⁵), where VPMADDUBSW would cut them off otherwise. So it is the query
// that has planes of 7 bits, and codes have all 8: that halves the residuals, and the candidates whose floats must be read, against
// codes of 7 bits in as many bytes. The second plane costs nothing as long as the memory is what a scan waits for.
type query struct {
	planes []int8
	values []int16 // the same as one, for the portable kernel
	shift  int32   // zeroCode × the sum of values: how much greater a product with stored codes is than with codes
	unit   float64 // what a value of 1 stands for
	length float64 // of values × unit
	rest   float64 // length of what the values leave out
}

// maxSum is what the values of a query may sum up to, each taken positive, so that 255 times as much fits into 31 bits with room for rounding.
const maxSum = (math.MaxInt32 - 255*MaxDims) / 255

func newQuery(v []float32) *query {
	n := strideOf(len(v))
	q := &query{planes: make([]int8, 2*n), values: make([]int16, n)}
	var most, sum float64
	for _, x := range v {
		most, sum = max(most, math.Abs(float64(x))), sum+math.Abs(float64(x))
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
	return q
}
