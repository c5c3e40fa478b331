package encoder_test

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/embed/token"
)

// tiny is a model with random weights, in the directory form of Hugging Face, and its arithmetic in plain floats.
type tiny struct {
	dir     string
	files   map[string]any // JSON, by name
	tensors map[string]matrix
	types   map[string]string // of tensors; F32 where none is said
}

type matrix struct {
	rows, width int // rows is 0 for a vector
	v           []float64
}

const (
	tinyHidden = 64
	tinyInner  = 128
	tinyHeads  = 2
	tinyLayers = 3
	tinyLength = 40 // positions that tokens can have
)

// newTiny makes a BERT with a WordPiece vocabulary, or an XLM-RoBERTa with a Unigram one.
func newTiny(t testing.TB, kind string) *tiny {
	t.Helper()
	m := &tiny{dir: filepath.Join(t.TempDir(), "tiny"), files: map[string]any{}, tensors: map[string]matrix{}, types: map[string]string{}}
	config := map[string]any{
		"model_type": kind, "hidden_size": tinyHidden, "intermediate_size": tinyInner, "num_hidden_layers": tinyLayers, "num_attention_heads": tinyHeads,
		"max_position_embeddings": tinyLength, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "type_vocab_size": 2,
	}
	m.files["config.json"] = config
	vocab := map[string]int{}
	if kind == "bert" {
		for i, s := range strings.Fields("[PAD] [UNK] [CLS] [SEP] the boil ##er of library was repair ##ed in spring heat ##ing cost ##s . , a b c d e ##a ##b") {
			vocab[s] = i
		}
		config["vocab_size"] = len(vocab)
		m.files["tokenizer.json"] = map[string]any{
			"normalizer":     map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "lowercase": true},
			"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
			"post_processor": map[string]any{"type": "BertProcessing", "cls": []any{"[CLS]", 2}, "sep": []any{"[SEP]", 3}},
			"model":          map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab},
		}
	} else {
		raw, err := os.ReadFile("../token/testdata/unigram.json")
		if err != nil {
			t.Fatal(err)
		}
		m.files["tokenizer.json"] = json.RawMessage(raw)
		config["vocab_size"], config["max_position_embeddings"], config["type_vocab_size"], config["pad_token_id"] = 701, tinyLength+2, 1, 1
	}
	m.fill(config["vocab_size"].(int), config["max_position_embeddings"].(int), config["type_vocab_size"].(int))
	return m
}

func (m *tiny) fill(vocab, positions, types int) {
	r := rand.New(rand.NewPCG(7, 11))
	add := func(name string, rows, width int, mean, spread float64) {
		v := make([]float64, max(rows, 1)*width)
		for i := range v {
			v[i] = float64(float32(mean + spread*r.NormFloat64()))
		}
		m.tensors[name] = matrix{rows, width, v}
	}
	norm := func(name string) {
		add(name+".weight", 0, tinyHidden, 1, .2)
		add(name+".bias", 0, tinyHidden, 0, .2)
	}
	linear := func(name string, n, k int) {
		add(name+".weight", n, k, 0, 1/math.Sqrt(float64(k)))
		add(name+".bias", 0, n, 0, .2)
	}
	add("embeddings.word_embeddings.weight", vocab, tinyHidden, 0, 1)
	add("embeddings.position_embeddings.weight", positions, tinyHidden, 0, .5)
	add("embeddings.token_type_embeddings.weight", types, tinyHidden, 0, .5)
	norm("embeddings.LayerNorm")
	for i := range tinyLayers {
		at := "encoder.layer." + itoa(i) + "."
		for _, name := range []string{"self.query", "self.key", "self.value", "output.dense"} {
			linear(at+"attention."+name, tinyHidden, tinyHidden)
		}
		linear(at+"intermediate.dense", tinyInner, tinyHidden)
		linear(at+"output.dense", tinyHidden, tinyInner)
		norm(at + "attention.output.LayerNorm")
		norm(at + "output.LayerNorm")
	}
}

func (m *tiny) config() map[string]any { return m.files["config.json"].(map[string]any) }

// write makes the directory.
func (m *tiny) write(t testing.TB) string {
	t.Helper()
	for name, v := range m.files {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		m.file(t, name, raw)
	}
	m.file(t, "model.safetensors", m.safetensors(t))
	return m.dir
}

func (m *tiny) file(t testing.TB, name string, raw []byte) {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *tiny) safetensors(t testing.TB) []byte {
	t.Helper()
	header, data := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, []byte(nil)
	for _, name := range slices.Sorted(maps.Keys(m.tensors)) {
		a, kind, from := m.tensors[name], m.types[name], len(data)
		for i, v := range a.v {
			bits := math.Float32bits(float32(v))
			switch kind {
			case "F16": // without denormals, which these weights are not among, but as zero
				h := uint16(bits>>16) & 0x8000
				if e := int(bits>>23&255) - 112; e > 0 {
					h |= uint16(e<<10) | uint16(bits>>13&1023)
				}
				data = binary.LittleEndian.AppendUint16(data, h)
			case "BF16":
				data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
			default:
				kind = "F32"
				data = binary.LittleEndian.AppendUint32(data, bits)
			}
			a.v[i] = rounded(bits, kind)
		}
		shape := []int{a.rows, a.width}
		if a.rows == 0 {
			shape = shape[1:]
		}
		header[name] = map[string]any{"dtype": kind, "shape": shape, "data_offsets": []int{from, len(data)}}
	}
	raw, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...), data...)
}

// rounded is what is left of a number in a shorter type.
func rounded(bits uint32, kind string) float64 {
	switch kind {
	case "F16":
		if int(bits>>23&255) <= 112 {
			return 0
		}
		bits &^= 1<<13 - 1
	case "BF16":
		bits &^= 1<<16 - 1
	}
	return float64(math.Float32frombits(bits))
}

// embed is the model's arithmetic as its papers have it, in 64 bits.
func (m *tiny) embed(ids []int32, first int, cls bool) []float64 {
	x := make([][]float64, len(ids))
	for i, id := range ids {
		x[i] = make([]float64, tinyHidden)
		for j := range x[i] {
			x[i][j] = m.at("embeddings.word_embeddings.weight", int(id), j) + m.at("embeddings.position_embeddings.weight", i+first, j) + m.at("embeddings.token_type_embeddings.weight", 0, j)
		}
		m.norm(x[i], "embeddings.LayerNorm")
	}
	for l := range tinyLayers {
		m.layer(x, "encoder.layer."+itoa(l)+".")
	}
	if cls {
		x = x[:1]
	}
	sum, length := make([]float64, tinyHidden), 0.0
	for _, row := range x {
		for j, v := range row {
			sum[j] += v
		}
	}
	for _, v := range sum {
		length += v * v
	}
	for j := range sum {
		sum[j] /= math.Sqrt(length)
	}
	return sum
}

func (m *tiny) layer(x [][]float64, at string) {
	const wide = tinyHidden / tinyHeads
	var q, k, v [][]float64
	for _, row := range x {
		q, k, v = append(q, m.linear(row, at+"attention.self.query")), append(k, m.linear(row, at+"attention.self.key")), append(v, m.linear(row, at+"attention.self.value"))
	}
	for i, row := range x {
		seen := make([]float64, tinyHidden)
		for h := 0; h < tinyHidden; h += wide {
			weights, total := make([]float64, len(x)), 0.0
			for j := range x {
				for c := h; c < h+wide; c++ {
					weights[j] += q[i][c] * k[j][c]
				}
				weights[j] = math.Exp(weights[j] / math.Sqrt(wide))
				total += weights[j]
			}
			for j, w := range weights {
				for c := h; c < h+wide; c++ {
					seen[c] += w / total * v[j][c]
				}
			}
		}
		add(row, m.linear(seen, at+"attention.output.dense"))
	}
	for _, row := range x {
		m.norm(row, at+"attention.output.LayerNorm")
		inner := m.linear(row, at+"intermediate.dense")
		for j, u := range inner {
			inner[j] = u / 2 * (1 + math.Erf(u/math.Sqrt2))
		}
		add(row, m.linear(inner, at+"output.dense"))
		m.norm(row, at+"output.LayerNorm")
	}
}

func add(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

// at is 0 in a tensor that is not there.
func (m *tiny) at(name string, row, column int) float64 {
	a, ok := m.tensors[name]
	if !ok {
		return 0
	}
	return a.v[row*a.width+column]
}

func (m *tiny) linear(x []float64, name string) []float64 {
	w := m.tensors[name+".weight"]
	y := slices.Clone(m.tensors[name+".bias"].v)
	for i := range y {
		for j, v := range x {
			y[i] += v * w.v[i*w.width+j]
		}
	}
	return y
}

func (m *tiny) norm(x []float64, name string) {
	var mean, squares float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		squares += (v - mean) * (v - mean) / float64(len(x))
	}
	for i, v := range x {
		x[i] = (v-mean)/math.Sqrt(squares+1e-5)*m.at(name+".weight", 0, i) + m.at(name+".bias", 0, i)
	}
}

// ids are the tokens of a text, cut.
func (m *tiny) ids(t testing.TB, text string) []int32 {
	t.Helper()
	raw, err := json.Marshal(m.files["tokenizer.json"])
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := token.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	ids, _, _ := tokenizer.Encode(nil, text, tinyLength)
	return ids
}
