package table

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"byline/internal/engine/embed/safetensors"
	"byline/internal/engine/embed/token"
)

// ErrModel is what Load fails with for a directory that holds no table that can be used; the error around it says why.
var ErrModel = errors.New("unusable model2vec directory")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrModel}, args...)...)
}

// Load reads a directory as model2vec writes it, or sentence-transformers for its static embeddings: model.safetensors,
// tokenizer.json, and config.json or config_sentence_transformers.json. Rows of floats are kept in 8 bits each, with a factor.
// Vectors are of unit length, even if the configuration does not ask for that. The space has the directory's name.
func Load(dir string) (*Table, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("read model2vec directory: %w", err)
	}
	if err := configured(dir); err != nil {
		return nil, err
	}
	files := dir
	if _, err := os.Stat(filepath.Join(dir, nested)); err == nil {
		files = filepath.Join(dir, nested)
	}
	model, err := os.ReadFile(filepath.Join(files, "model.safetensors"))
	if err != nil {
		return nil, fmt.Errorf("read model2vec directory: %w", err)
	}
	tokenizer, err := os.ReadFile(filepath.Join(files, "tokenizer.json"))
	if err != nil {
		return nil, fmt.Errorf("read model2vec directory: %w", err)
	}
	t, err := parse(model, tokenizer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	h := sha256.New()
	h.Write(model)
	h.Write(tokenizer)
	t.space.Embedder = filepath.Base(dir)
	t.space.Version = fmt.Sprintf("%x-%s-%d", h.Sum(nil)[:4], arithmetic, limit)
	return t, nil
}

// nested is where sentence-transformers has its files if there are more modules than one.
const nested = "0_StaticEmbedding"

// configured looks whether a directory's configuration is of a table.
func configured(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Join(dir, "config_sentence_transformers.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return unusable("%s has neither config.json nor config_sentence_transformers.json", dir)
		}
		raw = []byte("{}")
	}
	if err != nil {
		return fmt.Errorf("read model2vec directory: %w", err)
	}
	var config struct {
		Type string `json:"model_type"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return unusable("%s: config.json: %v", dir, err)
	}
	if config.Type != "" && config.Type != "model2vec" {
		return unusable("%s: config.json says that it is a model of the type %q, not model2vec", dir, config.Type)
	}
	return nil
}

// parse makes a table of the two files.
func parse(model, tokenizer []byte) (*Table, error) {
	t, err := read(model)
	if err != nil {
		return nil, err
	}
	var file struct {
		Added []struct {
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(tokenizer, &file); err != nil {
		return nil, unusable("tokenizer.json: %v", err)
	}
	for _, a := range file.Added {
		if !a.Special {
			return nil, unusable("tokenizer.json adds the token %q to its vocabulary, and added tokens are not supported", a.Content)
		}
	}
	tokens, err := token.Load(tokenizer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	if tokens.Len() != len(t.factors) {
		return nil, unusable("tokenizer.json has %d tokens, and model.safetensors %d", tokens.Len(), len(t.factors))
	}
	if t.latin, err = token.Latin(tokenizer); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	t.tokenizer = func() token.Tokenizer { return tokens }
	t.prepare = func(text string) string { return text }
	return t, nil
}

// maxDims is the longest vector that makes sense.
const maxDims = 1 << 14

// read makes a table, still without a tokenizer, of a safetensors file: "embeddings" are the rows ("embedding.weight" in those
// of sentence-transformers), "weights", if there, what each token counts, and "mapping", if there, the row of each token, where
// a row serves several.
func read(model []byte) (*Table, error) {
	f, err := safetensors.Parse(model)
	if err != nil {
		return nil, fmt.Errorf("%w: model.safetensors: %w", ErrModel, err)
	}
	name := "embeddings"
	if !f.Has(name) && f.Has("embedding.weight") {
		name = "embedding.weight"
	}
	rows, err := f.Tensor(name)
	if err == nil {
		err = rows.Want(-1, -1)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: model.safetensors: %w", ErrModel, err)
	}
	n, dims := rows.Shape[0], rows.Shape[1]
	if n < 1 || n > math.MaxInt32 || dims < 1 || dims > maxDims {
		return nil, unusable("model.safetensors has %d rows of %d numbers", n, dims)
	}
	t := new(Table)
	t.space.Dims = dims
	tokens := n
	if f.Has("mapping") {
		if t.rows, err = mapping(f, n); err != nil {
			return nil, err
		}
		tokens = len(t.rows)
	}
	weights, err := weights(f, tokens)
	if err != nil {
		return nil, err
	}
	var scales []float32
	if t.codes, scales, err = quantize(rows); err != nil {
		return nil, err
	}
	t.factors = factors(weights, scales, t.rows, tokens)
	return t, nil
}

// mapping reads the row of each token, of n.
func mapping(f *safetensors.File, n int) ([]int32, error) {
	tensor, err := f.Tensor("mapping")
	if err == nil {
		err = tensor.Want(-1)
	}
	var list []int64
	if err == nil {
		list, err = tensor.Integers()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: model.safetensors: %w", ErrModel, err)
	}
	rows := make([]int32, len(list))
	for token, row := range list {
		if row < 0 || row >= int64(n) {
			return nil, unusable("model.safetensors gives token %d the row %d, of %d", token, row, n)
		}
		rows[token] = int32(row)
	}
	return rows, nil
}

// weights reads what each token counts; nil for all the same.
func weights(f *safetensors.File, tokens int) ([]float32, error) {
	if !f.Has("weights") {
		return nil, nil
	}
	tensor, err := f.Tensor("weights")
	if err == nil {
		err = tensor.Want(tokens)
	}
	var list []float32
	if err == nil {
		list, err = tensor.Floats()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: model.safetensors: %w", ErrModel, err)
	}
	for i, w := range list {
		if !finite(w) {
			return nil, unusable("model.safetensors gives token %d the weight %v", i, w)
		}
	}
	return list, nil
}

// quantize gives rows in 8 bits, with the scale of each: nil for 1, where they are in 8 bits already.
func quantize(rows safetensors.Tensor) (codes []int8, scales []float32, err error) {
	if rows.Type == "I8" {
		codes, err = rows.Bytes()
		return codes, nil, err
	}
	values, err := rows.Floats()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: model.safetensors: %w", ErrModel, err)
	}
	n, dims := rows.Shape[0], rows.Shape[1]
	codes, scales = make([]int8, n*dims), make([]float32, n)
	for i := range n {
		row := values[i*dims : (i+1)*dims]
		var most float64
		for _, x := range row {
			if !finite(x) {
				return nil, nil, unusable("model.safetensors has the number %v in row %d", x, i)
			}
			most = max(most, math.Abs(float64(x)))
		}
		if most == 0 {
			continue
		}
		scale := most / 127
		scales[i] = float32(scale)
		for j, x := range row {
			codes[i*dims+j] = int8(math.Round(float64(x) / scale))
		}
	}
	return codes, scales, nil
}

// factors are the weights of tokens times the scales of their rows; weights, scales and rows may be nil.
func factors(weights, scales []float32, rows []int32, tokens int) []float32 {
	if scales == nil && weights != nil {
		return weights
	}
	list := make([]float32, tokens)
	for i := range list {
		list[i] = 1
		if weights != nil {
			list[i] = weights[i]
		}
		switch {
		case scales == nil:
		case rows != nil:
			list[i] *= scales[rows[i]]
		default:
			list[i] *= scales[i]
		}
	}
	return list
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
