package encoder_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
)

func open(t testing.TB, dir string) *encoder.Encoder {
	t.Helper()
	e, err := encoder.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var tinyTexts = []string{
	"The boiler of the library was repaired in spring.", "heating costs", "a", "b c d, e.",
	strings.Repeat("the heating costs of the library ", 20), "도서관 난방비는 the library",
}

// What a directory becomes computes what its float model does, as far as 7 bits go, whatever the files have.
func TestLoadComputesTheModel(t *testing.T) {
	for name, row := range map[string]struct {
		kind   string
		change func(m *tiny)
		first  int
		cls    bool
		query  string
	}{
		"BERT":        {kind: "bert"},
		"XLM-RoBERTa": {kind: "xlm-roberta", first: 2},
		"half floats": {kind: "xlm-roberta", first: 2, change: func(m *tiny) {
			for name := range m.tensors {
				m.types[name] = "F16"
			}
		}},
		"bfloat16": {kind: "bert", change: func(m *tiny) {
			for name := range m.tensors {
				m.types[name] = "BF16"
			}
		}},
		"the first token": {kind: "bert", cls: true, change: func(m *tiny) {
			m.files["1_Pooling/config.json"] = map[string]any{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}
		}},
		"the first token, said anew": {kind: "bert", cls: true, change: func(m *tiny) {
			m.files["modules.json"] = []any{map[string]any{"path": "", "type": "x.Transformer"}, map[string]any{"path": "pool", "type": "x.Pooling"}, map[string]any{"path": "2", "type": "x.Normalize"}}
			m.files["pool/config.json"] = map[string]any{"pooling_mode": "cls"}
		}},
		"another padding token": {kind: "roberta", first: 1, change: func(m *tiny) { m.config()["pad_token_id"] = 0 }},
		"no padding token":      {kind: "xlm-roberta", first: 2, change: func(m *tiny) { delete(m.config(), "pad_token_id") }},
		"no token types":        {kind: "bert", change: func(m *tiny) { delete(m.tensors, "embeddings.token_type_embeddings.weight") }},
		"names of another task": {kind: "bert", change: func(m *tiny) { m.rename(func(name string) string { return "bert." + name }) }},
		"names of long ago": {kind: "bert", change: func(m *tiny) {
			m.rename(func(name string) string {
				return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(name)
			})
		}},
		"defaults left out": {kind: "xlm-roberta", first: 2, change: func(m *tiny) {
			delete(m.config(), "layer_norm_eps")
			delete(m.config(), "hidden_act")
		}},
		"a prefix": {kind: "bert", query: "a b: ", change: func(m *tiny) {
			m.files["config_sentence_transformers.json"] = map[string]any{"prompts": map[string]string{"query": "a b: ", "document": ""}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTiny(t, row.kind)
			plain := *m
			plain.tensors = map[string]matrix{}
			for name, a := range m.tensors {
				plain.tensors[name] = a // shares numbers, which writing rounds, but keeps the names
			}
			if row.change != nil {
				row.change(m)
			}
			if name == "no token types" {
				delete(plain.tensors, "embeddings.token_type_embeddings.weight")
			}
			e, kernels := open(t, m.write(t)), encoder.Kernels()
			if row.change != nil {
				kernels = kernels[len(kernels)-1:]
			}
			for _, text := range tinyTexts {
				want := plain.embed(m.ids(t, row.query+text), row.first, row.cls)
				for _, kernel := range kernels {
					got := ask(t, e.With(kernel), text)
					if got.Known == 0 {
						continue
					}
					var c float64
					for i, v := range got.Values {
						c += float64(v) * want[i]
					}
					if !(c > .995) {
						t.Errorf("%s: %.30q has cosine %.4f", kernel, text, c)
					}
				}
			}
		})
	}
}

func (m *tiny) rename(to func(string) string) {
	renamed := map[string]matrix{}
	for name, a := range m.tensors {
		renamed[to(name)] = a
	}
	m.tensors = renamed
}

// An imported model is the directory that it was made of: the same space, the same bits.
func TestImportedIsTheSame(t *testing.T) {
	for _, kind := range []string{"bert", "xlm-roberta"} {
		m := newTiny(t, kind)
		dir, out := m.write(t), filepath.Join(t.TempDir(), "a", "b")
		p, err := encoder.Quantize(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // over an earlier one, too
			if err := p.Write(out); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := filepath.Glob(filepath.Join(out, "*")); err != nil || len(left) != 3 {
			t.Errorf("%s: %v %v", kind, left, err)
		}
		direct, imported := open(t, dir), open(t, out)
		if direct.Space() != imported.Space() || !strings.HasPrefix(direct.Space().ID(), kind+"/") || direct.Space().Dims != tinyHidden || direct.Limit() != tinyLength {
			t.Errorf("%s: spaces %s and %s, %d tokens", kind, direct.Space().ID(), imported.Space().ID(), direct.Limit())
		}
		check := func() {
			t.Helper()
			for _, text := range tinyTexts {
				if a, b := ask(t, direct, text), ask(t, imported, text); !slices.Equal(a.Values, b.Values) || a.Known != b.Known {
					t.Errorf("%s: %.30q has other bits once it is imported", kind, text)
				}
			}
		}
		check()
		imported.Release(0)
		check()
		if again, err := encoder.Quantize(dir); err != nil || !bytes.Equal(again.Model, p.Model) {
			t.Errorf("%s: packed twice, it differs (%v)", kind, err)
		}
	}
}

func TestCheck(t *testing.T) {
	near, far, err := builtin(t).Check(t.Context())
	if err != nil || near < far+.2 {
		t.Errorf("%.3f to an answer, %.3f to something else, %v", near, far, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := builtin(t).Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	m := newTiny(t, "bert")
	m.files["tokenizer.json"].(map[string]any)["model"].(map[string]any)["vocab"] = map[string]int{"[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
	if _, _, err := open(t, m.write(t)).Check(t.Context()); !errors.Is(err, encoder.ErrModel) {
		t.Errorf("of a model that knows no word: %v", err)
	}
}

// Whatever changes vectors changes the space.
func TestSpaceNamesWhatMatters(t *testing.T) {
	spaces := map[embed.Space]string{}
	for name, change := range map[string]func(m *tiny){
		"as it is": func(*tiny) {},
		"weights":  func(m *tiny) { m.tensors["encoder.layer.0.output.dense.bias"].v[0] += 1 },
		"pooling":  func(m *tiny) { m.files["1_Pooling/config.json"] = map[string]any{"pooling_mode_cls_token": true} },
		"limit":    func(m *tiny) { m.files["sentence_bert_config.json"] = map[string]any{"max_seq_length": 16} },
		"prefixes": func(m *tiny) { m.dir = filepath.Join(filepath.Dir(m.dir), "E5-tiny") },
		"vocabulary": func(m *tiny) {
			m.files["tokenizer.json"].(map[string]any)["normalizer"].(map[string]any)["lowercase"] = false
		},
	} {
		m := newTiny(t, "bert")
		change(m)
		space := open(t, m.write(t)).Space()
		if other, taken := spaces[space]; taken {
			t.Errorf("%q and %q are both %s", name, other, space.ID())
		}
		spaces[space] = name
	}
}

func TestPrefixesAndLimits(t *testing.T) {
	prompts := func(p map[string]any) func(*tiny) {
		return func(m *tiny) { m.files["config_sentence_transformers.json"] = p }
	}
	named := func(name string) func(*tiny) {
		return func(m *tiny) { m.dir = filepath.Join(filepath.Dir(m.dir), name) }
	}
	for name, row := range map[string]struct {
		change func(m *tiny)
		want   encoder.Manifest
	}{
		"none":            {func(*tiny) {}, encoder.Manifest{Limit: tinyLength}},
		"prompts":         {prompts(map[string]any{"prompts": map[string]string{"query": "Q: ", "passage": "P: "}}), encoder.Manifest{Query: "Q: ", Passage: "P: ", Limit: tinyLength}},
		"for documents":   {prompts(map[string]any{"prompts": map[string]string{"search_query": "q: ", "search_document": "d: "}}), encoder.Manifest{Query: "q: ", Passage: "d: ", Limit: tinyLength}},
		"the default":     {prompts(map[string]any{"prompts": map[string]string{"x": "x: ", "query": "q: "}, "default_prompt_name": "x"}), encoder.Manifest{Query: "q: ", Passage: "x: ", Limit: tinyLength}},
		"e5":              {named("multilingual-e5-small"), encoder.Manifest{Query: "query: ", Passage: "passage: ", Limit: tinyLength}},
		"e5, said inside": {func(m *tiny) { m.config()["_name_or_path"] = "intfloat/E5-small-v2" }, encoder.Manifest{Query: "query: ", Passage: "passage: ", Limit: tinyLength}},
		"e5 with prompts": {func(m *tiny) {
			named("e5")(m)
			prompts(map[string]any{"prompts": map[string]string{"query": "q: "}})(m)
		}, encoder.Manifest{Query: "q: ", Limit: tinyLength}},
		"e5 of orders":   {named("e5-small-instruct"), encoder.Manifest{Limit: tinyLength}},
		"no e5":          {named("size5"), encoder.Manifest{Limit: tinyLength}},
		"a shorter text": {func(m *tiny) { m.files["sentence_bert_config.json"] = map[string]any{"max_seq_length": 20} }, encoder.Manifest{Limit: 20}},
		"a longer text":  {func(m *tiny) { m.files["sentence_bert_config.json"] = map[string]any{"max_seq_length": 999} }, encoder.Manifest{Limit: tinyLength}},
		"lower case twice": {func(m *tiny) {
			m.files["sentence_bert_config.json"] = map[string]any{"max_seq_length": nil, "do_lower_case": true}
		}, encoder.Manifest{Limit: tinyLength}},
		"the tokenizer's": {func(m *tiny) { m.files["tokenizer_config.json"] = map[string]any{"model_max_length": 30} }, encoder.Manifest{Limit: 30}},
		"no limit":        {func(m *tiny) { m.files["tokenizer_config.json"] = map[string]any{"model_max_length": 1e30} }, encoder.Manifest{Limit: tinyLength}},
	} {
		m := newTiny(t, "bert")
		row.change(m)
		p, err := encoder.Quantize(m.write(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := p.Manifest
		if got.Query != row.want.Query || got.Passage != row.want.Passage || got.Limit != row.want.Limit || !got.Latin {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p, err := encoder.Quantize(newTiny(t, "xlm-roberta").write(t))
	if err != nil || !p.Manifest.Latin {
		t.Errorf("a vocabulary that is mostly English: %+v, %v", p.Manifest, err)
	}
}

// What would be computed in another way than its makers did is refused, with words that say why.
func TestUnsupportedDirectories(t *testing.T) {
	config := func(name string, v any) func(*tiny) { return func(m *tiny) { m.config()[name] = v } }
	file := func(name string, v any) func(*tiny) { return func(m *tiny) { m.files[name] = v } }
	const bias = "encoder.layer.0.output.dense.bias"
	for name, row := range map[string]struct {
		change func(m *tiny)
		say    string
	}{
		"another architecture": {config("model_type", "distilbert"), `architecture is "distilbert"`},
		"a decoder":            {config("is_decoder", true), "is_decoder"},
		"relative positions":   {config("position_embedding_type", "relative_key"), `"relative_key"`},
		"quantised before":     {config("quantization_config", map[string]any{"bits": 4}), "quantization_config"},
		"wide heads":           {config("num_attention_heads", 1), "heads 32 wide"},
		"an odd width":         {config("hidden_size", 96), "multiples of 64"},
		"another function":     {config("hidden_act", "gelu_new"), `"gelu_new"`},
		"more layers":          {config("num_hidden_layers", 4), `no tensor "encoder.layer.3`},
		"many more layers":     {config("num_hidden_layers", 60), "larger model"},
		"more tokens":          {config("vocab_size", 30), "word_embeddings"},
		"config no JSON":       {file("config.json", "x"), "config.json"},
		"a dense layer":        {file("modules.json", []any{map[string]any{"type": "sentence_transformers.models.Dense"}}), `"Dense"`},
		"a model inside":       {file("modules.json", []any{map[string]any{"type": "x.Transformer", "path": "0_Transformer"}}), `"0_Transformer"`},
		"outside":              {file("modules.json", []any{map[string]any{"type": "x.Pooling", "path": "../x"}}), `"../x"`},
		"maximum":              {file("1_Pooling/config.json", map[string]any{"pooling_mode_max_tokens": true}), "max_tokens"},
		"two at once":          {file("1_Pooling/config.json", map[string]any{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}), "cls_token + mean_tokens"},
		"no pooling":           {file("1_Pooling/config.json", map[string]any{}), "pooling"},
		"the last token":       {file("1_Pooling/config.json", map[string]any{"pooling_mode": "lasttoken"}), `"lasttoken"`},
		"without prefix":       {file("1_Pooling/config.json", map[string]any{"pooling_mode_mean_tokens": true, "include_prompt": false}), "include_prompt"},
		"lower case": {func(m *tiny) {
			m.files["sentence_bert_config.json"] = map[string]any{"do_lower_case": true}
			m.files["tokenizer.json"].(map[string]any)["normalizer"].(map[string]any)["lowercase"] = false
		}, "do_lower_case"},
		"a short limit":    {file("sentence_bert_config.json", map[string]any{"max_seq_length": 2}), "2 tokens"},
		"padding":          {func(m *tiny) { m.config()["model_type"] = "xlm-roberta"; m.config()["pad_token_id"] = -5 }, "pad_token_id"},
		"padding far":      {func(m *tiny) { m.config()["model_type"] = "xlm-roberta"; m.config()["pad_token_id"] = 99 }, "pad_token_id"},
		"a tensor less":    {func(m *tiny) { delete(m.tensors, bias) }, bias},
		"a shape":          {func(m *tiny) { m.tensors[bias] = matrix{2, tinyHidden / 2, m.tensors[bias].v} }, "shape"},
		"no number":        {func(m *tiny) { m.tensors[bias].v[1] = math.NaN() }, "what is no number in row 0"},
		"too large":        {func(m *tiny) { m.tensors[bias].v[1] = math.Inf(1) }, "what is no number in row 0"},
		"odd token types":  {func(m *tiny) { m.tensors["embeddings.token_type_embeddings.weight"] = matrix{3, 2, make([]float64, 6)} }, "shape"},
		"other tokenizer":  {func(m *tiny) { m.files["tokenizer.json"].(map[string]any)["model"] = map[string]any{"type": "BPE"} }, `"BPE"`},
		"no tokenizer":     {func(m *tiny) { delete(m.files, "tokenizer.json") }, "fast tokenizer"},
		"no config":        {func(m *tiny) { delete(m.files, "config.json") }, "config.json"},
		"prompts no JSON":  {file("config_sentence_transformers.json", 3), "config_sentence_transformers.json"},
		"limits no JSON":   {file("sentence_bert_config.json", 3), "sentence_bert_config.json"},
		"tokenizer config": {file("tokenizer_config.json", 3), "tokenizer_config.json"},
		"modules no JSON":  {file("modules.json", 3), "modules.json"},
		"pooling no JSON":  {file("1_Pooling/config.json", 3), "1_Pooling/config.json"},
		"more pieces than rows": {func(m *tiny) {
			m.config()["vocab_size"] = 20
			a := m.tensors["embeddings.word_embeddings.weight"]
			m.tensors["embeddings.word_embeddings.weight"] = matrix{20, a.width, a.v[:20*a.width]}
		}, "27 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTiny(t, "bert")
			row.change(m)
			_, err := encoder.Load(m.write(t))
			if !errors.Is(err, encoder.ErrModel) || !strings.Contains(err.Error(), row.say) {
				t.Errorf("got %v, want %s", err, row.say)
			}
		})
	}
}

// Files that something happened to after the import are refused.
func TestDamagedImports(t *testing.T) {
	p, err := encoder.Quantize(newTiny(t, "bert").write(t))
	if err != nil {
		t.Fatal(err)
	}
	manifest := func(change func(*encoder.Manifest)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			m := p.Manifest
			change(&m)
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "manifest.json"), raw)
		}
	}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"a bit of the model": func(t *testing.T, dir string) {
			raw := bytes.Clone(p.Model)
			raw[len(raw)/2] ^= 1
			put(t, filepath.Join(dir, "model.safetensors"), raw)
		},
		"half a model": func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "model.safetensors"), p.Model[:len(p.Model)/2])
		},
		"an empty model":       func(t *testing.T, dir string) { put(t, filepath.Join(dir, "model.safetensors"), nil) },
		"no model":             func(t *testing.T, dir string) { drop(t, filepath.Join(dir, "model.safetensors")) },
		"no tokenizer":         func(t *testing.T, dir string) { drop(t, filepath.Join(dir, "tokenizer.json")) },
		"another tokenizer":    func(t *testing.T, dir string) { put(t, filepath.Join(dir, "tokenizer.json"), []byte("{}")) },
		"no manifest":          func(t *testing.T, dir string) { drop(t, filepath.Join(dir, "manifest.json")) },
		"a manifest no JSON":   func(t *testing.T, dir string) { put(t, filepath.Join(dir, "manifest.json"), []byte("{")) },
		"another format":       manifest(func(m *encoder.Manifest) { m.Format = "byline-encoder/0" }),
		"a limit beyond bound": manifest(func(m *encoder.Manifest) { m.Limit = 4096 }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			damage(t, dir)
			if _, err := encoder.Load(dir); !errors.Is(err, encoder.ErrModel) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := p.Write(filepath.Join(t.TempDir(), "x\x00y")); err == nil {
		t.Error("written into a directory that cannot be")
	}
	m := newTiny(t, "bert")
	before := m.write(t)
	if err := p.Write(before); !errors.Is(err, encoder.ErrModel) {
		t.Errorf("written over what is to be imported: %v", err)
	}
	if _, err := encoder.Quantize(before); err != nil {
		t.Errorf("and it is gone: %v", err)
	}
	out := t.TempDir()
	if err := p.Write(out); err != nil {
		t.Fatal(err)
	}
	if _, err := encoder.Quantize(out); err == nil || !strings.Contains(err.Error(), "imported already") {
		t.Errorf("imported twice: %v", err)
	}
}

func put(t *testing.T, path string, raw []byte) {
	t.Helper()
	drop(t, path)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// FuzzFloats reads safetensors files whose header and numbers are anybody's, as models of a shape.
func FuzzFloats(f *testing.F) {
	m := newTiny(f, "bert")
	whole := m.safetensors(f)
	n := binary.LittleEndian.Uint64(whole)
	f.Add(whole[8:8+n], whole[8+n:])
	f.Add([]byte(`{"a":{"dtype":"F16","shape":[2,64],"data_offsets":[0,256]}}`), make([]byte, 300))
	f.Add([]byte(`{"embeddings.word_embeddings.weight":{"dtype":"F32","shape":[1152921504606846976,64],"data_offsets":[0,256]}}`), make([]byte, 300))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		file := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
		packed, err := encoder.QuantizeFile(file, encoder.Config{Hidden: tinyHidden, Inner: tinyInner, Layers: tinyLayers, Heads: tinyHeads, Positions: tinyLength, Vocab: 27, Epsilon: 1e-5, Type: "bert", Act: "gelu"})
		if err != nil {
			return
		}
		if err := encoder.OpenBare(packed); err != nil {
			t.Fatalf("what was packed does not open: %v", err)
		}
	})
}
