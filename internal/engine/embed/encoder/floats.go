package encoder

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// floatFile is a safetensors file of floats, of which a piece at a time is read: such files are larger than what is made of
// them.
type floatFile struct {
	r    io.ReaderAt
	at   int64 // of the data
	info map[string]tensorInfo
	raw  []byte // scratch
}

// openFloats reads the header of a file of a size. Tensors lose the prefix that models with a head for another task have.
func openFloats(r io.ReaderAt, size int64) (*floatFile, error) {
	first := make([]byte, max(0, min(8, size)))
	if _, err := r.ReadAt(first, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read safetensors: %w", err)
	}
	n, err := headerSize(first, size)
	if err != nil {
		return nil, err
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read safetensors: %w", err)
	}
	all, err := readHeader(header, size-8-int64(n))
	if err != nil {
		return nil, err
	}
	f := &floatFile{r: r, at: 8 + int64(n), info: make(map[string]tensorInfo, len(all))}
	for name, i := range all {
		short := strings.TrimPrefix(strings.TrimPrefix(name, "bert."), "roberta.")
		if _, twice := f.info[short]; twice {
			return nil, unusable("there are two tensors %q", short)
		}
		f.info[short] = i
	}
	return f, nil
}

func (f *floatFile) has(name string) bool {
	_, ok := f.info[name]
	return ok
}

// rows reads a tensor of n rows of a width, whose shape may be the width alone where n is 1, and gives each; row is used again
// for the next one.
func (f *floatFile) rows(name string, n, width int, each func(i int, row []float32)) error {
	info, ok := f.info[name]
	if !ok {
		return unusable("there is no tensor %q", name)
	}
	size := sizes[info.DType]
	if size < 2 {
		return unusable("tensor %q has the type %s; F32, F16 and BF16 are supported", name, info.DType)
	}
	s := info.Shape
	if len(s) == 1 {
		s = []int{1, s[0]}
	}
	if len(s) != 2 || s[1] != width || s[0] != n {
		return unusable("tensor %q has the shape %v, not [%d %d]", name, info.Shape, n, width)
	}
	length := info.Offsets[1] - info.Offsets[0]
	if length%(size*width) != 0 || length/(size*width) != s[0] {
		return unusable("tensor %q has %d bytes for the shape %v of %s", name, length, info.Shape, info.DType)
	}
	const piece = 1 << 20
	many := max(1, piece/(size*width))
	if need := min(many, s[0]) * size * width; cap(f.raw) < need {
		f.raw = make([]byte, need)
	}
	row := make([]float32, width)
	for from := 0; from < s[0]; from += many {
		raw := f.raw[:min(many, s[0]-from)*size*width]
		if got, err := f.r.ReadAt(raw, f.at+int64(info.Offsets[0])+int64(from*size*width)); got < len(raw) {
			return fmt.Errorf("read tensor %q: %w", name, err)
		}
		for i := 0; len(raw) > 0; i++ {
			convert(row, raw, info.DType)
			for _, v := range row {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					return unusable("tensor %q has a number that is none in row %d", name, from+i)
				}
			}
			each(from+i, row)
			raw = raw[size*width:]
		}
	}
	return nil
}

// matrix reads a tensor of n rows of a width as a whole.
func (f *floatFile) matrix(name string, n, width int) ([]float32, error) {
	var v []float32 // made when the file turns out to have so much
	err := f.rows(name, n, width, func(i int, row []float32) {
		if i == 0 {
			v = make([]float32, 0, n*width)
		}
		v = append(v, row...)
	})
	return v, err
}

// vector reads a tensor of n numbers.
func (f *floatFile) vector(name string, n int) ([]float32, error) { return f.matrix(name, 1, n) }
