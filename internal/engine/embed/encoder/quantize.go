package encoder

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"unsafe"
)

// The greatest codes: of weights, and of the embeddings of tokens, which no product overflows by.
const (
	weightLevels    = 63
	embeddingLevels = 127
)

// packer writes a packed model: a safetensors file in memory, every tensor on 64 bytes, so that it can be mapped.
type packer struct {
	floatFile
	Config
	header map[string]place
	file   []byte
	data   []byte // the part of file after the header
	size   int    // of data, while it is laid out
}

// place is where a tensor is, as headers of safetensors files say it.
type place struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"` // from the end of the header
}

// quantize packs a float model from a file of a size; first is the position that its first token has.
func quantize(c Config, f floatFile, size, first int) ([]byte, error) {
	c.Positions -= first
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &packer{floatFile: f, Config: c, header: map[string]place{}}
	config, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	p.layOut(len(config))
	if p.size > 2*size+1<<20 {
		return nil, unusable("config.json tells of a larger model than model.safetensors has")
	}
	header, err := json.Marshal(p.header)
	if err != nil {
		return nil, fmt.Errorf("write header: %w", err)
	}
	for (8+len(header))%64 != 0 {
		header = append(header, ' ')
	}
	p.file = make([]byte, 8+len(header)+p.size)
	binary.LittleEndian.PutUint64(p.file, uint64(len(header)))
	p.data = p.file[8+copy(p.file[8:], header):]
	copy(p.bytes("config"), config)
	if err := p.embeddings(first); err != nil {
		return nil, err
	}
	for i := range c.Layers {
		if err := p.layer(i); err != nil {
			return nil, err
		}
	}
	return p.file, nil
}

// layOut finds the places of all tensors.
func (p *packer) layOut(config int) {
	add := func(name, kind string, shape ...int) {
		n := sizes[kind]
		for _, s := range shape {
			n *= s
		}
		p.header[name] = place{kind, shape, [2]int{p.size, p.size + n}}
		p.size += (n + 63) &^ 63
	}
	d := p.Hidden
	add("config", "I8", config)
	add("emb.codes", "I8", p.Vocab, d)
	add("emb.scale", "F32", p.Vocab)
	add("pos", "F32", p.Positions, d)
	add("norm.g", "F32", d)
	add("norm.b", "F32", d)
	for i := range p.Layers {
		for _, w := range []struct {
			name string
			n, k int
		}{{"qkv", 3 * d, d}, {"out", d, d}, {"up", p.Inner, d}, {"down", d, p.Inner}} {
			name := fmt.Sprintf("%d.%s.", i, w.name)
			add(name+"codes", "I8", w.n/16, w.k/4, 16, 4)
			add(name+"scale", "F32", w.n)
			add(name+"sum", "F32", w.n)
			add(name+"bias", "F32", w.n)
		}
		for _, name := range []string{"g1", "b1", "g2", "b2"} {
			add(fmt.Sprintf("%d.%s", i, name), "F32", d)
		}
	}
}

// bytes are those of a packed tensor.
func (p *packer) bytes(name string) []byte {
	o := p.header[name].Offsets
	return p.data[o[0]:o[1]]
}

func (p *packer) codes(name string) []int8 {
	b := p.bytes(name)
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// put writes numbers into a packed tensor from its element at on.
func (p *packer) put(name string, at int, v ...float32) {
	b := p.bytes(name)[4*at:]
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
}

// copy packs a vector as it is.
func (p *packer) copy(to, from string) error {
	return p.rows(from, 1, p.Hidden, func(_ int, row []float32) { p.put(to, 0, row...) })
}

// norm packs a layer norm, whose parts are called gamma and beta in old files.
func (p *packer) norm(gain, shift, from string) error {
	if p.has(from + ".gamma") {
		if err := p.copy(gain, from+".gamma"); err != nil {
			return err
		}
		return p.copy(shift, from+".beta")
	}
	if err := p.copy(gain, from+".weight"); err != nil {
		return err
	}
	return p.copy(shift, from+".bias")
}

func (p *packer) embeddings(first int) error {
	d := p.Hidden
	codes := p.codes("emb.codes")
	err := p.rows("embeddings.word_embeddings.weight", p.Vocab, d, func(r int, row []float32) {
		scale := scaleOf(row, embeddingLevels)
		for i, v := range row {
			codes[r*d+i] = int8(math.RoundToEven(float64(v / scale)))
		}
		p.put("emb.scale", r, scale)
	})
	if err != nil {
		return err
	}
	kind := make([]float32, d) // of tokens: all are of the first one
	if name := "embeddings.token_type_embeddings.weight"; p.has(name) {
		t, err := p.tensor(name)
		if err != nil || len(t.Shape) != 2 || t.Shape[0] < 1 {
			return unusable("tensor %q has the shape %v", name, t.Shape)
		}
		if err := p.rows(name, t.Shape[0], d, func(i int, row []float32) {
			if i == 0 {
				copy(kind, row)
			}
		}); err != nil {
			return err
		}
	}
	err = p.rows("embeddings.position_embeddings.weight", p.Positions+first, d, func(r int, row []float32) {
		if r < first {
			return
		}
		for i := range row {
			row[i] += kind[i]
		}
		p.put("pos", (r-first)*d, row...)
	})
	if err != nil {
		return err
	}
	return p.norm("norm.g", "norm.b", "embeddings.LayerNorm")
}

func (p *packer) layer(i int) error {
	d, from, to := p.Hidden, fmt.Sprintf("encoder.layer.%d.", i), fmt.Sprintf("%d.", i)
	for _, w := range []struct {
		name     string
		at, n, k int
		from     string
		factor   float32
	}{
		{"qkv", 0, d, d, "attention.self.query", float32(1 / math.Sqrt(headSize))}, // what attention divides by
		{"qkv", d, d, d, "attention.self.key", 1},
		{"qkv", 2 * d, d, d, "attention.self.value", 1},
		{"out", 0, d, d, "attention.output.dense", 1},
		{"up", 0, p.Inner, d, "intermediate.dense", 1},
		{"down", 0, d, p.Inner, "output.dense", 1},
	} {
		if err := p.linear(to+w.name+".", w.at, w.n, w.k, from+w.from, w.factor); err != nil {
			return err
		}
	}
	if err := p.norm(to+"g1", to+"b1", from+"attention.output.LayerNorm"); err != nil {
		return err
	}
	return p.norm(to+"g2", to+"b2", from+"output.LayerNorm")
}

// linear packs n columns of output, from column at on, of a layer with k inputs: panels of 16 columns, see weights.
func (p *packer) linear(to string, at, n, k int, from string, factor float32) error {
	codes := p.codes(to + "codes")
	err := p.rows(from+".weight", n, k, func(r int, row []float32) {
		for i := range row {
			row[i] *= factor
		}
		column, scale, sum := at+r, scaleOf(row, weightLevels), 0
		panel := codes[column/16*16*k:]
		for i, v := range row {
			code := int8(math.RoundToEven(float64(v / scale)))
			sum += int(code)
			panel[i/4*64+column%16*4+i%4] = code
		}
		p.put(to+"scale", column, scale)
		p.put(to+"sum", column, scale*float32(sum))
	})
	if err != nil {
		return err
	}
	return p.rows(from+".bias", 1, n, func(_ int, row []float32) {
		for i := range row {
			row[i] *= factor
		}
		p.put(to+"bias", at, row...)
	})
}

// scaleOf is what codes of up to so many levels to both sides are multiplied with to be row again, nearly.
func scaleOf(row []float32, levels float32) float32 {
	var most float32
	for _, v := range row {
		most = max(most, v, -v)
	}
	return max(most, 1e-20) / levels
}
