package table_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/embed/safetensors"
	"byline/internal/engine/embed/table"
	"byline/internal/engine/embed/token"
)

// vocabulary of the tables made here; the first is the unknown token.
var vocabulary = strings.Fields("[UNK] the boiler heat ##ing cost ##s , library")

const dims = 24

// made is a model2vec directory as files by name, and what its tokens' vectors are.
type made struct {
	files map[string][]byte
	want  [][]float64
}

// directory makes one with rows of a type; with weights, and with fewer rows than tokens, if asked for.
func directory(t testing.TB, dtype string, weighted, mapped bool) made {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	rows := make([][]float64, len(vocabulary))
	if mapped {
		rows = rows[:4]
	}
	var data []byte
	for i := range rows {
		for range dims {
			b, x := number(dtype, random.NormFloat64())
			rows[i], data = append(rows[i], x), append(data, b...)
		}
	}
	tensors := []safetensors.Tensor{{Name: "embeddings", Type: dtype, Shape: []int{len(rows), dims}, Data: data}}
	var weights, mapping []byte
	m := made{want: make([][]float64, len(vocabulary))}
	for i := range vocabulary {
		row, weight := i, 1.
		if mapped {
			row = (i * 3) % len(rows)
			mapping = binary.LittleEndian.AppendUint64(mapping, uint64(row))
		}
		if weighted {
			weight = float64(float32(.1 + random.Float64()))
			weights = binary.LittleEndian.AppendUint64(weights, math.Float64bits(weight))
		}
		for _, x := range rows[row] {
			m.want[i] = append(m.want[i], weight*x)
		}
	}
	if weighted {
		tensors = append(tensors, safetensors.Tensor{Name: "weights", Type: "F64", Shape: []int{len(vocabulary)}, Data: weights})
	}
	if mapped {
		tensors = append(tensors, safetensors.Tensor{Name: "mapping", Type: "I64", Shape: []int{len(vocabulary)}, Data: mapping})
	}
	m.files = map[string][]byte{
		"config.json":       []byte(`{"model_type":"model2vec","architectures":["StaticModel"],"normalize":false,"hidden_dim":512,"seq_length":1000000}`),
		"tokenizer.json":    tokenizer(t, nil),
		"model.safetensors": file(t, tensors...),
	}
	return m
}

// number gives x in a type, and what became of it.
func number(dtype string, x float64) ([]byte, float64) {
	switch dtype {
	case "I8":
		c := int8(max(-127, min(127, 40*x)))
		return []byte{byte(c)}, float64(c)
	case "F16": // of halves, which it has exactly
		x = math.Round(2*x) / 2
		_, e := math.Frexp(x)
		m := uint16(math.Ldexp(math.Abs(x), 11-e)) & 1023
		h := uint16(e+14)<<10 | m
		if x == 0 {
			h = 0
		}
		if x < 0 {
			h |= 1 << 15
		}
		return binary.LittleEndian.AppendUint16(nil, h), x
	case "BF16":
		bits := math.Float32bits(float32(x)) >> 16
		return binary.LittleEndian.AppendUint16(nil, uint16(bits)), float64(math.Float32frombits(bits << 16))
	case "F32":
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(x))), float64(float32(x))
	}
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)), x
}

func file(t testing.TB, tensors ...safetensors.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, nil, tensors...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tokenizer(t testing.TB, change func(map[string]any)) []byte {
	t.Helper()
	vocab := map[string]int{}
	for i, s := range vocabulary {
		vocab[s] = i
	}
	f := map[string]any{
		"added_tokens":  []any{map[string]any{"id": 0, "content": "[UNK]", "special": true}},
		"normalizer":    map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"model":         map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	}
	if change != nil {
		change(f)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small-table")
	for name, raw := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	for _, dtype := range []string{"F64", "F32", "F16", "BF16", "I8"} {
		for _, variant := range []string{"", "weights", "mapping", "weights and mapping"} {
			m := directory(t, dtype, strings.Contains(variant, "weights"), strings.Contains(variant, "mapping"))
			e, err := table.Load(write(t, m.files))
			if err != nil {
				t.Errorf("%s %s: %v", dtype, variant, err)
				continue
			}
			if s := e.Space(); s.Embedder != "small-table" || s.Dims != dims || !strings.HasSuffix(s.Version, "-w8.1-512") {
				t.Errorf("%+v", s)
			}
			got := query(t, e, "The heating, the UNSEEN boilers")
			want := make([]float32, dims)
			for _, id := range []int{1, 3, 4, 7, 1, 2, 6} {
				for i, x := range m.want[id] {
					want[i] += float32(x)
				}
			}
			if length := math.Sqrt(cosine(want, want)); cosine(got.Values, want)/length < .9999 || got.Known != 20./26 {
				t.Errorf("%s %s: cosine %v, %v of the letters", dtype, variant, cosine(got.Values, want)/length, got.Known)
			}
		}
	}
}

func TestLayouts(t *testing.T) {
	m := directory(t, "F32", false, false)
	want, err := table.Load(write(t, m.files))
	if err != nil {
		t.Fatal(err)
	}
	renamed := bytes.Replace(m.files["model.safetensors"], []byte(`"embeddings"`), []byte(`"embedding.weight"`), 1)
	n := binary.LittleEndian.Uint64(renamed) + uint64(len("embedding.weight")-len("embeddings"))
	binary.LittleEndian.PutUint64(renamed, n)
	for name, files := range map[string]map[string][]byte{
		"no type in the configuration": {"config.json": []byte("{}"), "model.safetensors": m.files["model.safetensors"], "tokenizer.json": m.files["tokenizer.json"]},
		"sentence-transformers":        {"config_sentence_transformers.json": nil, "model.safetensors": renamed, "tokenizer.json": m.files["tokenizer.json"]},
		"nested":                       {"config_sentence_transformers.json": nil, "0_StaticEmbedding/model.safetensors": renamed, "0_StaticEmbedding/tokenizer.json": m.files["tokenizer.json"]},
	} {
		got, err := table.Load(write(t, files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		const text = "heating costs"
		if !slices.Equal(query(t, got, text).Values, query(t, want, text).Values) {
			t.Errorf("%s: other vectors", name)
		}
	}
	other := maps.Clone(m.files)
	other["tokenizer.json"] = append(other["tokenizer.json"], '\n')
	if e, err := table.Load(write(t, other)); err != nil || e.Space() == want.Space() {
		t.Errorf("other files have the same space %v: %v", want.Space(), err)
	}
}

// A vocabulary of Latin letters has single letters of other scripts, which do not make a text known.
func TestLatinLetters(t *testing.T) {
	m := directory(t, "I8", false, false)
	m.files["tokenizer.json"] = bytes.Replace(m.files["tokenizer.json"], []byte(`"library"`), []byte(`"я"`), 1)
	e, err := table.Load(write(t, m.files))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]float64{"heat": 1, "я я": 0, "heat я": .8} {
		if v := query(t, e, text); math.Abs(v.Known-want) > 1e-9 || want == 0 && cosine(v.Values, v.Values) != 0 {
			t.Errorf("%q: %v of the letters are known, not %v", text, v.Known, want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	rows := func(n int) safetensors.Tensor {
		return safetensors.Tensor{Name: "embeddings", Type: "I8", Shape: []int{n, dims}, Data: make([]byte, n*dims)}
	}
	list := func(name, dtype string, size int, data ...byte) safetensors.Tensor {
		return safetensors.Tensor{Name: name, Type: dtype, Shape: []int{len(data) / size}, Data: data}
	}
	all := rows(len(vocabulary))
	nan := bytes.Repeat([]byte{0, 0, 192, 127}, len(vocabulary))
	for _, row := range []struct {
		name, file string
		raw        []byte // nil: the file is not there
		says       string
	}{
		{"no configuration", "config.json", nil, "neither config.json nor config_sentence_transformers.json"},
		{"a broken configuration", "config.json", []byte("{"), "config.json"},
		{"another kind of model", "config.json", []byte(`{"model_type":"bert"}`), `"bert"`},
		{"no model", "model.safetensors", nil, "model.safetensors"},
		{"no tokenizer", "tokenizer.json", nil, "tokenizer.json"},
		{"no safetensors", "model.safetensors", []byte("PK"), "model.safetensors"},
		{"no rows", "model.safetensors", file(t, list("weights", "I8", 1, 1)), `"embeddings"`},
		{"a list for rows", "model.safetensors", file(t, list("embeddings", "I8", 1, 1)), "shape"},
		{"empty", "model.safetensors", file(t, rows(0)), "0 rows"},
		{"integers for rows", "model.safetensors", file(t, safetensors.Tensor{Name: "embeddings", Type: "I64", Shape: []int{1, 1}, Data: make([]byte, 8)}), "I64"},
		{"numbers that are none", "model.safetensors", file(t, safetensors.Tensor{Name: "embeddings", Type: "F32", Shape: []int{len(vocabulary), 1}, Data: nan}), "NaN in row 0"},
		{"rows for other tokens", "model.safetensors", file(t, rows(5)), "9 tokens, and model.safetensors 5"},
		{"weights of other tokens", "model.safetensors", file(t, all, list("weights", "I8", 1, 1)), `"weights"`},
		{"weights that are no floats", "model.safetensors", file(t, all, list("weights", "I8", 1, make([]byte, len(vocabulary))...)), `"weights"`},
		{"weights that are no numbers", "model.safetensors", file(t, all, list("weights", "F32", 4, nan...)), "token 0 the weight NaN"},
		{"rows beyond the end", "model.safetensors", file(t, all, list("mapping", "U8", 1, 0, 1, 9)), "token 2 the row 9, of 9"},
		{"rows before the beginning", "model.safetensors", file(t, all, list("mapping", "I8", 1, 255)), "row -1"},
		{"rows that are no integers", "model.safetensors", file(t, all, list("mapping", "F32", 4, nan...)), `"mapping"`},
		{"no JSON for tokenizer", "tokenizer.json", []byte("vocab.txt"), "tokenizer.json"},
		{"another tokenizer", "tokenizer.json", tokenizer(t, func(f map[string]any) { f["model"] = map[string]any{"type": "BPE", "vocab": map[string]any{}} }), "BPE"},
		{"words of several words", "tokenizer.json", tokenizer(t, func(f map[string]any) {
			f["added_tokens"] = []any{map[string]any{"id": 8, "content": "new york", "special": false}}
		}), `"new york"`},
	} {
		files := directory(t, "I8", true, false).files
		if files[row.file] = row.raw; row.raw == nil {
			delete(files, row.file)
		}
		_, err := table.Load(write(t, files))
		if err == nil || !strings.Contains(err.Error(), row.says) || row.raw != nil && !errors.Is(err, table.ErrModel) {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.name == "another tokenizer" && !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// testdata/model2vec.json is what the official loader makes of a published directory: 276,000 pieces of Unigram, in many
// languages, that share 10,000 rows.
func TestOfficial(t *testing.T) {
	dir := os.Getenv("TEST_MODEL2VEC_DIR")
	if dir == "" {
		t.Skip("TEST_MODEL2VEC_DIR names no directory (scripts/model2vec.sh makes it)")
	}
	e, err := table.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/model2vec.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Text   string
		IDs    []int32
		Vector []float32
	}
	if err := json.Unmarshal(raw, &rows); err != nil || len(rows) == 0 {
		t.Fatal(err)
	}
	for _, row := range rows {
		ids, v := e.Plain(row.Text)
		if !slices.Equal(ids, row.IDs) || len(ids) > 0 && cosine(v, row.Vector) < .99999 {
			t.Errorf("%q: tokens %v, not %v, or cosine %v", row.Text, ids, row.IDs, cosine(v, row.Vector))
		}
	}
}

// Whatever the bytes are, they are refused or give vectors that are numbers.
func FuzzParse(f *testing.F) {
	for _, dtype := range []string{"F32", "F16", "I8"} {
		m := directory(f, dtype, true, true)
		f.Add(m.files["model.safetensors"], m.files["tokenizer.json"])
	}
	f.Fuzz(func(t *testing.T, model, tokenizer []byte) {
		e, err := table.Parse(model, tokenizer)
		if err != nil {
			return
		}
		v := query(t, e, "The heating, the UNSEEN boilers of the library")
		if length := cosine(v.Values, v.Values); length != 0 && !(math.Abs(length-1) < 1e-3) {
			t.Fatalf("a vector of length %v", length)
		}
	})
}
