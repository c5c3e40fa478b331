package encoder

import (
	"encoding/json"
	"fmt"
)

// Config is the shape of a model, as its config.json has it.
type Config struct {
	Hidden    int     `json:"hidden_size"`
	Inner     int     `json:"intermediate_size"`
	Layers    int     `json:"num_hidden_layers"`
	Heads     int     `json:"num_attention_heads"`
	Positions int     `json:"max_position_embeddings"`
	Vocab     int     `json:"vocab_size"`
	Epsilon   float64 `json:"layer_norm_eps"`
	Type      string  `json:"model_type"`
	Act       string  `json:"hidden_act"`
	Pooling   string  `json:"pooling,omitempty"` // what of the last layer a text's vector is: the mean of all tokens (mean or empty), or the first (cls)
}

// The bounds of what the kernels and memory are made for.
const (
	maxHidden = 4096
	maxInner  = 16384
	maxLayers = 64
	maxVocab  = 1 << 21
	headSize  = 32
)

// The kinds of pooling.
const (
	poolMean  = "mean"
	poolFirst = "cls"
)

func (c Config) check() error {
	switch {
	case c.Hidden < 64 || c.Hidden > maxHidden || c.Hidden%64 != 0 || c.Inner < 64 || c.Inner > maxInner || c.Inner%64 != 0 || c.Heads*headSize != c.Hidden:
		return unusable("its width %d, inner width %d and %d heads are not supported: widths must be multiples of 64, and heads %d wide", c.Hidden, c.Inner, c.Heads, headSize)
	case c.Layers < 1 || c.Layers > maxLayers || c.Vocab < 1 || c.Vocab > maxVocab || c.Positions < 8 || c.Positions > 1<<16:
		return unusable("%d layers, %d tokens and %d positions are not supported", c.Layers, c.Vocab, c.Positions)
	case c.Act != "gelu":
		return unusable("its activation is %q, and only gelu is supported", c.Act)
	case c.Pooling != "" && c.Pooling != poolMean && c.Pooling != poolFirst:
		return unusable("its pooling is %q, and only mean and cls are supported", c.Pooling)
	}
	return nil
}

// weights is an n x k matrix: panels of 16 output columns, [k/4][16][4] codes inside a panel. Codes are -63..63, so that two
// products with 8-bit activations never overflow 16 bits (VPMADDUBSW).
type weights struct {
	n, k             int
	codes            []int8
	scale, sum, bias []float32 // of each output column: scale, scale * sum of its codes, bias
}

type layer struct {
	qkv, out, up, down           weights
	gain1, shift1, gain2, shift2 []float32 // of the layer norms
}

// model is a BERT- or XLM-R-shaped encoder with 7-bit weights.
type model struct {
	Config
	codes       []int8    // [Vocab][Hidden] embeddings of tokens, with a scale for each row
	scale       []float32 // [Vocab]
	positions   []float32 // [Positions][Hidden] from a text's first token on, the token type included
	gain, shift []float32
	layers      []layer
}

// openModel reads a packed model in place.
func openModel(file []byte) (*model, error) {
	t, err := openTensors(file)
	if err != nil {
		return nil, err
	}
	raw, err := t.file.Tensor("config")
	if err != nil {
		return nil, unusable("%w", err)
	}
	m := &model{}
	if err := json.Unmarshal(raw.Data, &m.Config); err != nil {
		return nil, unusable("config: %v", err)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	d := m.Hidden
	m.codes, m.scale = t.i8("emb.codes", m.Vocab*d), t.f32("emb.scale", m.Vocab)
	m.positions = t.f32("pos", m.Positions*d)
	m.gain, m.shift = t.f32("norm.g", d), t.f32("norm.b", d)
	for i := range m.Layers {
		get := func(name string, n, k int) weights {
			p := fmt.Sprintf("%d.%s.", i, name)
			return weights{n, k, t.i8(p+"codes", n*k), t.f32(p+"scale", n), t.f32(p+"sum", n), t.f32(p+"bias", n)}
		}
		norm := func(name string) []float32 { return t.f32(fmt.Sprintf("%d.%s", i, name), d) }
		m.layers = append(m.layers, layer{
			get("qkv", 3*d, d), get("out", d, d), get("up", m.Inner, d), get("down", d, m.Inner),
			norm("g1"), norm("b1"), norm("g2"), norm("b2"),
		})
	}
	return m, t.err
}
