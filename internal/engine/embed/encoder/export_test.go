package encoder

import "byline/internal/engine/embed/safetensors"

// The inside of the package, for its tests.

// Kernels are those that this processor has, the portable one first.
func Kernels() (list []string) {
	for _, k := range kernels() {
		list = append(list, k.String())
	}
	return list
}

func kernels() []kernel {
	list := []kernel{portable}
	switch best := detect(); best {
	case avx512VNNI:
		list = append(list, avx2, avx512, avx512VNNI)
	case avxVNNI:
		list = append(list, avx2, avxVNNI)
	case avx2:
		list = append(list, avx2)
	}
	return list
}

// With gives an encoder that uses a kernel, by its name.
func (e *Encoder) With(name string) *Encoder {
	for _, k := range kernels() {
		if k.String() == name {
			c := &Encoder{o: e.o, kernel: k, model: e.model, tokenizer: e.tokenizer, workers: e.workers}
			c.scratch.New = func() any { return &scratch{kernel: k} }
			return c
		}
	}
	return nil
}

// Tokens counts those of a text.
func (e *Encoder) Tokens(text string) int {
	ids, _ := e.tokens(text)
	return len(ids)
}

// OpenBare opens a model alone.
func OpenBare(file []byte) error {
	_, err := openModel(file)
	return err
}

// BuiltinModel is the file of the built-in model.
func BuiltinModel() string { return builtinModel }

// BuiltinVersion is the beginning of its hash.
func BuiltinVersion() string { return builtinVersion }

// QuantizeFile packs the safetensors file of a model.
func QuantizeFile(file []byte, c Config) ([]byte, error) {
	f, err := safetensors.Parse(file)
	if err != nil {
		return nil, err
	}
	return quantize(c, floatFile{f}, len(file), 0)
}
