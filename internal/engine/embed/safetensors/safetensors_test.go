package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/embed/safetensors"
)

// file has this header, as it is, before its data.
func file(header string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

func TestParse(t *testing.T) {
	f, err := safetensors.Parse(file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"I8","shape":[2,1],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"q":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[3,6]}} `, 0, 0, 128, 63, 7, 249))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "q"}, f.Names()); diff != "" || f.Metadata["format"] != "pt" || !f.Has("a") || f.Has("c") {
		t.Errorf("%s %v", diff, f.Metadata)
	}
	a, _ := f.Tensor("a")
	if v, err := a.Floats(); err != nil || !slices.Equal(v, []float32{1}) || a.Want() != nil {
		t.Errorf("%v %v", v, err)
	}
	b, _ := f.Tensor("b")
	if v, err := b.Bytes(); err != nil || !slices.Equal(v, []int8{7, -7}) || b.Want(-1, 1) != nil {
		t.Errorf("%v %v", v, err)
	}
	_, missing := f.Tensor("c")
	_, noBytes := a.Bytes()
	_, noFloats := b.Floats()
	_, noIntegers := a.Integers()
	q, _ := f.Tensor("q")
	_, unknown := q.Floats()
	for i, err := range []error{missing, noBytes, noFloats, noIntegers, unknown, b.Want(2), b.Want(3, 1)} {
		if !errors.Is(err, safetensors.ErrTensor) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestRefused(t *testing.T) {
	one := func(dtype, shape, offsets string) []byte {
		return file(fmt.Sprintf(`{"x":{"dtype":%q,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets), make([]byte, 16)...)
	}
	for name, raw := range map[string][]byte{
		"nothing":                          nil,
		"half a length":                    {1, 2, 3},
		"header longer than the file":      {200, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
		"header of 2^63 bytes":             {0, 0, 0, 0, 0, 0, 0, 128, '{', '}'},
		"no JSON":                          file("{"),
		"a list":                           file("[]"),
		"metadata that are none":           file(`{"__metadata__":[1]}`),
		"a tensor that is none":            file(`{"x":7}`),
		"beyond the end":                   one("I8", "[17]", "[0,17]"),
		"backwards":                        one("I8", "[1]", "[2,1]"),
		"from before the data":             one("I8", "[2]", "[-1,1]"),
		"more than its shape":              one("F32", "[3]", "[0,16]"),
		"less than its shape":              one("F32", "[3,2]", "[0,16]"),
		"negative dimensions":              one("I8", "[-2,-2]", "[0,4]"),
		"a shape that overflows to 0":      one("I8", "[4294967296,4294967296]", "[0,0]"),
		"a shape that overflows to 4":      one("I8", "[4611686018427387905,4]", "[0,4]"),
		"offsets that are too large":       one("I8", "[1]", "[0,99999999999999999999]"),
		"overflow in a type not known":     one("F4", "[4294967296,4294967296]", "[0,0]"),
		"a dimension that is no whole one": one("I8", "[1.5]", "[0,1]"),
	} {
		if _, err := safetensors.Parse(raw); !errors.Is(err, safetensors.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	little := func(v any) []byte {
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	want := []float32{1, -2.5, 0, 65504}
	for dtype, data := range map[string][]byte{
		"F64":  little([]float64{1, -2.5, 0, 65504}),
		"F32":  little(want),
		"F16":  little([]uint16{0x3c00, 0xc100, 0, 0x7bff}),
		"BF16": little([]uint16{0x3f80, 0xc020, 0, 0x477f}),
	} {
		got, err := safetensors.Tensor{Type: dtype, Shape: []int{4}, Data: data}.Floats()
		if dtype == "BF16" {
			want := slices.Clone(want)
			want[3] = 65280 // of 8 bits
			if !slices.Equal(got, want) || err != nil {
				t.Errorf("BF16: %v %v", got, err)
			}
		} else if !slices.Equal(got, want) || err != nil {
			t.Errorf("%s: %v %v", dtype, got, err)
		}
		// At an odd address, too.
		got, err = safetensors.Tensor{Type: dtype, Data: append([]byte{0}, data...)[1:]}.Floats()
		if err != nil || got[1] != -2.5 {
			t.Errorf("%s at an odd address: %v %v", dtype, got, err)
		}
	}
	for bits, want := range map[uint16]float64{
		0x0001: math.Ldexp(1, -24), 0x83ff: -math.Ldexp(1023, -24), 0x0400: math.Ldexp(1, -14), 0x8000: math.Copysign(0, -1),
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
	} {
		got, _ := safetensors.Tensor{Type: "F16", Data: little(bits)}.Floats()
		if float64(got[0]) != want || math.Signbit(float64(got[0])) != math.Signbit(want) {
			t.Errorf("F16 %#x: %v, not %v", bits, got[0], want)
		}
	}
	if got, _ := (safetensors.Tensor{Type: "F16", Data: little(uint16(0x7e01))}).Floats(); !math.IsNaN(float64(got[0])) {
		t.Errorf("no number became %v", got[0])
	}
	for dtype, data := range map[string][]byte{
		"I64": little([]int64{3, 120}), "I32": little([]int32{3, 120}), "I16": little([]int16{3, 120}), "U16": little([]uint16{3, 120}), "I8": {3, 120}, "U8": {3, 120},
	} {
		if got, err := (safetensors.Tensor{Type: dtype, Data: data}).Integers(); err != nil || !slices.Equal(got, []int64{3, 120}) {
			t.Errorf("%s: %v %v", dtype, got, err)
		}
	}
}

// What was written is read as it was, and lies where it can be used in place.
func TestWriteAndParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := map[string]int{"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "I64": 8}
		var want []safetensors.Tensor
		for _, name := range rapid.SliceOfDistinct(rapid.StringMatching(`[a-z.]{0,8}`), func(s string) string { return s }).Draw(t, "names") {
			dtype := rapid.SampledFrom([]string{"F32", "F16", "BF16", "I8", "I64"}).Draw(t, "type")
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 3).Draw(t, "shape")
			n := sizes[dtype]
			for _, d := range shape {
				n *= d
			}
			want = append(want, safetensors.Tensor{Name: name, Type: dtype, Shape: shape, Data: rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "data")})
		}
		var b bytes.Buffer
		if err := safetensors.Write(&b, map[string]string{"k": "v"}, want...); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Names()) != len(want) || f.Metadata["k"] != "v" {
			t.Fatal(f.Names(), f.Metadata)
		}
		for _, w := range want {
			got, err := f.Tensor(w.Name)
			if err != nil || got.Type != w.Type || !slices.Equal(got.Shape, w.Shape) || !bytes.Equal(got.Data, w.Data) {
				t.Fatalf("%+v, not %+v: %v", got, w, err)
			}
		}
		if n := binary.LittleEndian.Uint64(b.Bytes()); (n+8)%64 != 0 {
			t.Fatalf("the data begin at %d", n+8)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	ok := safetensors.Tensor{Name: "x", Type: "I8", Shape: []int{1}, Data: []byte{1}}
	for name, list := range map[string][]safetensors.Tensor{
		"twice":           {ok, ok},
		"too few bytes":   {{Name: "x", Type: "F32", Shape: []int{1}, Data: []byte{1}}},
		"an unknown type": {{Name: "x", Type: "F8", Shape: []int{1}, Data: []byte{1}}},
		"metadata's name": {{Name: "__metadata__", Type: "I8", Shape: []int{1}, Data: []byte{1}}},
	} {
		if err := safetensors.Write(io.Discard, nil, list...); !errors.Is(err, safetensors.ErrTensor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for writes := range 2 {
		if err := safetensors.Write(&full{writes}, nil, ok); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("after %d writes: %v", writes, err)
		}
	}
}

// full is a disk that is full after some writes.
type full struct{ writes int }

func (f *full) Write(b []byte) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[2],"data_offsets":[4,6]}}`, 1, 2, 3, 4, 5, 6))
	f.Add(file(`{"a":{"dtype":"I64","shape":[4294967296,0],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 1, 2))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := safetensors.Parse(raw)
		if err != nil {
			if !errors.Is(err, safetensors.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		for _, name := range file.Names() {
			tensor, err := file.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			if v, err := tensor.Floats(); err == nil && len(v) != n {
				t.Fatalf("%d floats of %v", len(v), tensor.Shape)
			}
			if v, err := tensor.Bytes(); err == nil && len(v) != n {
				t.Fatalf("%d bytes of %v", len(v), tensor.Shape)
			}
			if v, err := tensor.Integers(); err == nil && len(v) != n {
				t.Fatalf("%d integers of %v", len(v), tensor.Shape)
			}
		}
	})
}
