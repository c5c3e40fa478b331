package encoder

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// ErrModel is what a model file that cannot be used fails with; the error around it says what is wrong.
var ErrModel = errors.New("unusable model")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrModel}, args...)...)
}

// tensorInfo says where a tensor is.
type tensorInfo struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"` // from the end of the header
}

// maxHeader of a safetensors file, in bytes, as its reference implementation has it.
const maxHeader = 100 << 20

// headerSize reads the first 8 bytes of a safetensors file of a size.
func headerSize(first []byte, size int64) (int, error) {
	if len(first) < 8 {
		return 0, unusable("%d bytes are no safetensors file", len(first))
	}
	n := binary.LittleEndian.Uint64(first)
	if n > maxHeader || n > uint64(size-8) {
		return 0, unusable("a header of %d bytes in a file of %d", n, size)
	}
	return int(n), nil
}

// readHeader reads where the tensors are in the size bytes after the header.
func readHeader(header []byte, size int64) (map[string]tensorInfo, error) {
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(header, &raw); err != nil {
		return nil, unusable("header: %v", err)
	}
	delete(raw, "__metadata__")
	all := make(map[string]tensorInfo, len(raw))
	for name, v := range raw {
		var i tensorInfo
		if err := json.Unmarshal(v, &i); err != nil {
			return nil, unusable("tensor %q: %v", name, err)
		}
		if o := i.Offsets; o[0] < 0 || o[1] < o[0] || int64(o[1]) > size {
			return nil, unusable("tensor %q lies outside of the file", name)
		}
		all[name] = i
	}
	return all, nil
}

// tensors gives access to the tensors of a packed model, in place.
type tensors struct {
	info map[string]tensorInfo
	data []byte
	err  error // the first one; the getters then give nothing
}

func openTensors(file []byte) (*tensors, error) {
	n, err := headerSize(file[:min(8, len(file))], int64(len(file)))
	if err != nil {
		return nil, err
	}
	t := &tensors{data: file[8+n:]}
	t.info, err = readHeader(file[8:8+n], int64(len(t.data)))
	return t, err
}

// get gives the bytes of a tensor that must have n elements of a type. n < 0 is any number.
func (t *tensors) get(name, kind string, n int) []byte {
	i, ok := t.info[name]
	switch b := t.data[i.Offsets[0]:i.Offsets[1]]; {
	case t.err != nil:
	case !ok:
		t.err = unusable("there is no tensor %q", name)
	case i.DType != kind:
		t.err = unusable("tensor %q has the type %s, not %s", name, i.DType, kind)
	case n >= 0 && len(b) != n*sizes[kind]:
		t.err = unusable("tensor %q has %d bytes of %s, which is not %d elements", name, len(b), kind, n)
	default:
		return b
	}
	return nil
}

// sizes of elements, in bytes.
var sizes = map[string]int{"I8": 1, "F32": 4, "F16": 2, "BF16": 2}

// i8 is a view of a tensor of n bytes.
func (t *tensors) i8(name string, n int) []int8 {
	b := t.get(name, "I8", n)
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// f32 is a view of a tensor of n numbers where that is aligned in memory, or a copy.
func (t *tensors) f32(name string, n int) []float32 {
	b := t.get(name, "F32", n)
	p := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(p)%4 == 0 && littleEndian {
		return unsafe.Slice((*float32)(p), len(b)/4)
	}
	v := make([]float32, len(b)/4)
	convert(v, b, "F32")
	return v
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// convert reads numbers of a type.
func convert(dst []float32, b []byte, kind string) {
	switch kind {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	case "F16":
		for i := range dst {
			dst[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}
}

// half is a float16 (IEEE 754).
func half(h uint16) float32 {
	sign, e, m := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&1023)
	switch {
	case e == 31: // infinite, or no number
		return math.Float32frombits(sign | 0xff<<23 | m<<13)
	case e > 0:
		return math.Float32frombits(sign | (e+112)<<23 | m<<13)
	}
	v := float32(m) / (1 << 24)
	if sign != 0 {
		v = -v
	}
	return v
}
