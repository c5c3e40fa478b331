package encoder

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"
)

// ErrModel is what a model file that cannot be used fails with; the error around it says what is wrong.
var ErrModel = errors.New("unusable model")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrModel}, args...)...)
}

// tensors gives access to the tensors of a safetensors file, in place.
type tensors struct {
	info map[string]tensorInfo
	data []byte
	err  error // the first one; the getters then give nothing
}

type tensorInfo struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// maxHeader of a safetensors file, in bytes, as its reference implementation has it.
const maxHeader = 100 << 20

func openTensors(file []byte) (*tensors, error) {
	if len(file) < 8 {
		return nil, unusable("%d bytes are no safetensors file", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader || n > uint64(len(file)-8) {
		return nil, unusable("a header of %d bytes in a file of %d", n, len(file))
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(file[8:8+n], &raw); err != nil {
		return nil, unusable("header: %v", err)
	}
	t := &tensors{info: map[string]tensorInfo{}, data: file[8+n:]}
	for name, v := range raw {
		if name == "__metadata__" {
			continue
		}
		var i tensorInfo
		if err := json.Unmarshal(v, &i); err != nil {
			return nil, unusable("tensor %q: %v", name, err)
		}
		if o := i.Offsets; o[0] < 0 || o[1] < o[0] || o[1] > len(t.data) {
			return nil, unusable("tensor %q lies outside of the file", name)
		}
		t.info[strings.TrimPrefix(name, "bert.")] = i
	}
	return t, nil
}

// get gives the bytes of a tensor that must have n elements, and its type. n < 0 is any number.
func (t *tensors) get(name string, n int) ([]byte, string) {
	i, ok := t.info[name]
	if t.err != nil {
		return nil, ""
	}
	if !ok {
		t.err = unusable("there is no tensor %q", name)
		return nil, ""
	}
	b := t.data[i.Offsets[0]:i.Offsets[1]]
	size := map[string]int{"I8": 1, "F32": 4, "F16": 2, "BF16": 2}[i.DType]
	if size == 0 {
		t.err = unusable("tensor %q has the type %s", name, i.DType)
		return nil, ""
	}
	if len(b)%size != 0 || n >= 0 && len(b)/size != n {
		t.err = unusable("tensor %q has %d bytes of %s, which is not %d elements", name, len(b), i.DType, n)
		return nil, ""
	}
	return b, i.DType
}

// i8 is a view of a tensor of n bytes.
func (t *tensors) i8(name string, n int) []int8 {
	b, kind := t.get(name, n)
	if t.err == nil && kind != "I8" {
		t.err = unusable("tensor %q has the type %s, not I8", name, kind)
	}
	if t.err != nil || len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(&b[0])), len(b))
}

// f32 is a view of an F32 tensor of n numbers, where that is aligned in memory, or a converted copy of it or of another type.
func (t *tensors) f32(name string, n int) []float32 {
	b, kind := t.get(name, n)
	if t.err != nil || len(b) == 0 {
		return nil
	}
	if kind == "F32" && uintptr(unsafe.Pointer(&b[0]))%4 == 0 && littleEndian {
		return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
	}
	switch kind {
	case "F32":
		return convert(b, 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) })
	case "BF16":
		return convert(b, 2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) })
	case "F16":
		return convert(b, 2, func(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) })
	}
	t.err = unusable("tensor %q has the type %s, not a float", name, kind)
	return nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func convert(b []byte, size int, read func([]byte) float32) []float32 {
	v := make([]float32, len(b)/size)
	for i := range v {
		v[i] = read(b[i*size:])
	}
	return v
}

// half is a float16 (IEEE 754).
func half(h uint16) float32 {
	e, m := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(1+m/1024, e-15)
	switch e {
	case 0:
		v = math.Ldexp(m, -24)
	case 31:
		v = math.Inf(1)
		if m != 0 {
			v = math.NaN()
		}
	}
	if h>>15 == 1 {
		v = -v
	}
	return float32(v)
}
