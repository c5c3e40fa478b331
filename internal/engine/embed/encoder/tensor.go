package encoder

import (
	"errors"
	"fmt"
	"math"

	"byline/internal/engine/embed/safetensors"
)

// ErrModel is what a model that cannot be used fails with; the error around it says what is wrong.
var ErrModel = errors.New("unusable model")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrModel}, args...)...)
}

// tensors gives access to the tensors of a packed model, in place.
type tensors struct {
	file *safetensors.File
	err  error // the first one; the getters then give nothing
}

func openTensors(file []byte) (*tensors, error) {
	f, err := safetensors.Parse(file)
	if err != nil {
		return nil, unusable("%w", err)
	}
	return &tensors{file: f}, nil
}

// get gives a tensor that must have n elements of a type.
func (t *tensors) get(name, kind string, n int) safetensors.Tensor {
	if t.err != nil {
		return safetensors.Tensor{Type: kind}
	}
	a, err := t.file.Tensor(name)
	switch {
	case err != nil:
		t.err = unusable("%w", err)
	case a.Type != kind || len(a.Data) != n*sizes[kind]:
		t.err = unusable("tensor %q is %d bytes of %s, not %d elements of %s", name, len(a.Data), a.Type, n, kind)
	default:
		return a
	}
	return safetensors.Tensor{Type: kind}
}

// sizes of the elements of packed models, in bytes.
var sizes = map[string]int{"I8": 1, "F32": 4}

// i8 is a view of a tensor of n bytes.
func (t *tensors) i8(name string, n int) []int8 {
	v, err := t.get(name, "I8", n).Bytes()
	t.err = errors.Join(t.err, err)
	return v
}

// f32 is a view of a tensor of n numbers, or a copy where this machine has them in another form.
func (t *tensors) f32(name string, n int) []float32 {
	v, err := t.get(name, "F32", n).Floats()
	t.err = errors.Join(t.err, err)
	return v
}

// floatFile is the safetensors file of a float model, which is not written to: it may be mapped.
type floatFile struct{ *safetensors.File }

// tensor finds one by its name, which has a prefix in models with a head for another task.
func (f floatFile) tensor(name string) (safetensors.Tensor, error) {
	for _, prefix := range []string{"bert.", "roberta."} {
		if f.Has(prefix+name) && !f.Has(name) {
			name = prefix + name
		}
	}
	t, err := f.Tensor(name)
	if err != nil {
		err = unusable("%w", err)
	}
	return t, err
}

func (f floatFile) has(name string) bool {
	_, err := f.tensor(name)
	return err == nil
}

// rows reads a tensor of n rows of a width, whose shape may be the width alone where n is 1, and gives each; row is the
// caller's until the next one. It converts some rows at a time, because whole tables can be larger than memory should be.
func (f floatFile) rows(name string, n, width int, each func(i int, row []float32)) error {
	t, err := f.tensor(name)
	if err != nil {
		return err
	}
	if err := t.Want(n, width); err != nil && (n != 1 || t.Want(width) != nil) {
		return unusable("%w", err)
	}
	const many = 256
	row, length := make([]float32, width), len(t.Data)/n
	for from := 0; from < n; from += many {
		to := min(from+many, n)
		part := safetensors.Tensor{Name: t.Name, Type: t.Type, Data: t.Data[from*length : to*length]}
		v, err := part.Floats()
		if err != nil {
			return unusable("%w", err)
		}
		for i := from; i < to; i++ {
			copy(row, v[(i-from)*width:])
			for _, x := range row {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					return unusable("tensor %q has what is no number in row %d", name, i)
				}
			}
			each(i, row)
		}
	}
	return nil
}
