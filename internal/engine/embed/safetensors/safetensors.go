// Package safetensors reads and writes files of tensors as Hugging Face's models have them.
package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unsafe"
)

// ErrFormat is what Parse fails with for bytes that are no safetensors file; the error around it says why.
var ErrFormat = errors.New("no usable safetensors file")

// ErrTensor is what a tensor that is missing, or is of another type or shape than asked for, fails with.
var ErrTensor = errors.New("unusable tensor")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrTensor}, args...)...)
}

// Tensor is an array of numbers, row by row.
type Tensor struct {
	Name  string
	Type  string // F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, or one that this package cannot convert
	Shape []int  // none for a single number
	Data  []byte // little endian; part of the file's bytes
}

// File is what Parse has read.
type File struct {
	Metadata map[string]string
	tensors  map[string]Tensor
}

// maxHeader in bytes is that of the reference implementation.
const maxHeader = 100_000_000

// sizes of a number, in bytes.
var sizes = map[string]int{"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}

// Parse reads a file. The tensors are parts of it, so it must not change. It checks that each lies in the file and has the
// bytes that its type and shape ask for.
func Parse(file []byte) (*File, error) {
	if len(file) < 8 {
		return nil, broken("%d bytes are less than its header's length", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader || n > uint64(len(file)-8) {
		return nil, broken("a header of %d bytes in a file of %d", n, len(file))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		return nil, broken("header: %v", err)
	}
	f := &File{tensors: make(map[string]Tensor, len(header))}
	data := file[8+n:]
	for name, raw := range header {
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &f.Metadata); err != nil {
				return nil, broken("metadata: %v", err)
			}
			continue
		}
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, broken("tensor %q: %v", name, err)
		}
		begin, end := e.Offsets[0], e.Offsets[1]
		if begin < 0 || end < begin || end > len(data) {
			return nil, broken("tensor %q lies outside of the file", name)
		}
		count, ok := volume(e.Shape, len(file))
		if size := sizes[e.Type]; !ok || size > 0 && count*size != end-begin {
			return nil, broken("tensor %q has %d bytes, not those of %s %v", name, end-begin, e.Type, e.Shape)
		}
		f.tensors[name] = Tensor{Name: name, Type: e.Type, Shape: e.Shape, Data: data[begin:end:end]}
	}
	return f, nil
}

// entry of the header.
type entry struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"` // in what follows the header
}

// volume is how many numbers a shape has, unless it makes no sense or they are more than limit.
func volume(shape []int, limit int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			n = 0
		}
	}
	for _, d := range shape {
		if n > 0 && d > limit*8/n { // types of less than a byte are possible
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Names lists the tensors, in order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Tensor gives one by its name.
func (f *File) Tensor(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, unusable("there is no tensor %q", name)
	}
	return t, nil
}

// Has tells whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Want fails unless the tensor has this shape; -1 stands for any length.
func (t Tensor) Want(shape ...int) error {
	ok := len(shape) == len(t.Shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = shape[i] == t.Shape[i] || shape[i] == -1
	}
	if !ok {
		return unusable("%q has the shape %v, not %v", t.Name, t.Shape, shape)
	}
	return nil
}

// Floats gives the numbers of a tensor of floats (F64, F32, F16, BF16): a view of the file where it has just these in memory,
// otherwise a copy. The caller does not write to it.
func (t Tensor) Floats() ([]float32, error) {
	switch t.Type {
	case "F32":
		if v, ok := view[float32](t.Data); ok {
			return v, nil
		}
		return convert(t.Data, 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }), nil
	case "F64":
		return convert(t.Data, 8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }), nil
	case "F16":
		return convert(t.Data, 2, func(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) }), nil
	case "BF16":
		return convert(t.Data, 2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }), nil
	}
	return nil, unusable("%q has the type %s, and F64, F32, F16 and BF16 are supported here", t.Name, t.Type)
}

// Bytes gives the numbers of an I8 tensor: a view of the file, which the caller does not write to.
func (t Tensor) Bytes() ([]int8, error) {
	if t.Type != "I8" {
		return nil, unusable("%q has the type %s, not I8", t.Name, t.Type)
	}
	v, _ := view[int8](t.Data)
	return v, nil
}

// Integers gives the numbers of a tensor of integers (I64, I32, I16, U16, I8, U8).
func (t Tensor) Integers() ([]int64, error) {
	switch t.Type {
	case "I64":
		return convert(t.Data, 8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }), nil
	case "I32":
		return convert(t.Data, 4, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) }), nil
	case "I16":
		return convert(t.Data, 2, func(b []byte) int64 { return int64(int16(binary.LittleEndian.Uint16(b))) }), nil
	case "U16":
		return convert(t.Data, 2, func(b []byte) int64 { return int64(binary.LittleEndian.Uint16(b)) }), nil
	case "I8":
		return convert(t.Data, 1, func(b []byte) int64 { return int64(int8(b[0])) }), nil
	case "U8":
		return convert(t.Data, 1, func(b []byte) int64 { return int64(b[0]) }), nil
	}
	return nil, unusable("%q has the type %s, and I64, I32, I16, U16, I8 and U8 are supported here", t.Name, t.Type)
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// view takes bytes for numbers where they are, unless they are not aligned or the machine has them the other way round.
func view[T int8 | float32](b []byte) ([]T, bool) {
	var one T
	size := int(unsafe.Sizeof(one))
	if len(b) < size {
		return nil, true
	}
	p := unsafe.Pointer(&b[0])
	if size > 1 && !littleEndian || uintptr(p)%unsafe.Alignof(one) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(p), len(b)/size), true
}

func convert[T any](b []byte, size int, read func([]byte) T) []T {
	v := make([]T, len(b)/size)
	for i := range v {
		v[i] = read(b[i*size:])
	}
	return v
}

// half is a float of 16 bits (IEEE 754) as one of 32.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // subnormal: a multiple of 2^-24, which a float32 has exactly
		return math.Float32frombits(math.Float32bits(float32(fraction)/(1<<24)) | sign)
	case 31: // infinite, or no number
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// alignment of the tensors in a file, in bytes: they can be used where they are.
const alignment = 64

// Write writes a file with tensors in their order, each beginning at a multiple of 64 bytes of the file's data.
func Write(w io.Writer, metadata map[string]string, tensors ...Tensor) error {
	header := make(map[string]any, len(tensors)+1)
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	at := 0
	for _, t := range tensors {
		n, ok := volume(t.Shape, len(t.Data))
		if size := sizes[t.Type]; size == 0 || !ok || n*size != len(t.Data) || header[t.Name] != nil || t.Name == "__metadata__" {
			return unusable("%q cannot be written: %d bytes of %s %v", t.Name, len(t.Data), t.Type, t.Shape)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		header[t.Name] = entry{t.Type, shape, [2]int{at, at + len(t.Data)}}
		at += len(t.Data)
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for (8+len(raw))%alignment != 0 {
		raw = append(raw, ' ')
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...)); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("write safetensors: %w", err)
		}
	}
	return nil
}
