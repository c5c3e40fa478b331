package openai

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"byline/internal/engine/embed"
	"byline/internal/fault"
	"byline/internal/llm"
)

// EmbedderOptions of an Embedder; zero values choose what is said beside them.
type EmbedderOptions struct {
	Model    string
	Dims     int           // of its vectors, see Dims
	Batch    int           // texts of one request at most; 128
	Bytes    int           // of the texts of one request together; 256 KiB
	Attempts int           // for one request without any success between; 12
	First    time.Duration // wait before the second; 250 ms, doubled each time
	Longest  time.Duration // wait, whatever the service asks for; 60 s
}

// Embedder is a model of an endpoint that turns texts into vectors. It is safe for concurrent use.
type Embedder struct {
	e     *Endpoint
	o     EmbedderOptions
	space embed.Space
	query string // stands before a question
	text  string // stands before a text
}

var _ embed.Embedder = (*Embedder)(nil)

// Embedder gives an embedding model whose vectors have o.Dims numbers. Nothing is asked yet.
func (e *Endpoint) Embedder(o EmbedderOptions) *Embedder {
	if o.Batch <= 0 {
		o.Batch = 128
	}
	if o.Bytes <= 0 {
		o.Bytes = 256 << 10
	}
	if o.Attempts <= 0 {
		o.Attempts = 12
	}
	if o.First <= 0 {
		o.First = 250 * time.Millisecond
	}
	if o.Longest <= 0 {
		o.Longest = time.Minute
	}
	m := &Embedder{e: e, o: o}
	m.query, m.text = prefixes(o.Model)
	m.space = embed.Space{Embedder: e.o.Name, Version: e.Version(o.Model), Dims: o.Dims}
	return m
}

// Version names what a model's vectors can be compared with, the number of their dimensions aside.
func (e *Endpoint) Version(model string) string {
	name := strings.TrimSuffix(strings.NewReplacer("/", "_", " ", "_").Replace(model), ":latest")
	if query, text := prefixes(model); query != text {
		name += "-prefixed"
	}
	return name
}

// prefixes are what some models were taught to find before a question and before a text; they find far less without.
func prefixes(model string) (query, text string) {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	switch {
	case strings.HasPrefix(name, "nomic-embed"):
		return "search_query: ", "search_document: "
	case strings.HasPrefix(name, "multilingual-e5"), strings.HasPrefix(name, "e5-"):
		return "query: ", "passage: "
	case strings.HasPrefix(name, "mxbai-embed"), strings.HasPrefix(name, "snowflake-arctic-embed"):
		return "Represent this sentence for searching relevant passages: ", ""
	}
	return "", ""
}

// Dims asks how many numbers the vectors of a model have.
func (e *Endpoint) Dims(ctx context.Context, model string) (int, error) {
	m := e.Embedder(EmbedderOptions{Model: model})
	rows, err := m.once(ctx, []string{"dimensions"})
	if err != nil {
		return 0, err
	}
	if rows[0] == nil {
		return 0, e.garbled(errors.New("no vector"))
	}
	return len(rows[0]), nil
}

// Space is what its vectors can be compared with.
func (m *Embedder) Space() embed.Space { return m.space }

// Query embeds a question. It is asked once: a search that waits for a second try is better answered by words alone.
func (m *Embedder) Query(ctx context.Context, text string) (embed.Vector, error) {
	if strings.TrimSpace(text) == "" {
		return m.vector(nil), nil
	}
	rows, err := m.once(ctx, []string{m.query + text})
	if err != nil {
		return embed.Vector{}, err
	}
	if err := m.check(rows); err != nil {
		return embed.Vector{}, err
	}
	if rows[0] == nil {
		return embed.Vector{}, m.e.garbled(errors.New("no vector for a question"))
	}
	return m.vector(rows[0]), nil
}

// Passages embeds texts in batches, and waits where the service wants to be left alone.
func (m *Embedder) Passages(ctx context.Context, texts []string) ([]embed.Vector, error) {
	vectors, done := make([]embed.Vector, len(texts)), make([]bool, len(texts))
	var open []int // texts without a vector yet
	for i, t := range texts {
		if vectors[i] = m.vector(nil); strings.TrimSpace(t) != "" {
			open = append(open, i)
		}
	}
	cuts := map[int]int{} // text -> bytes of it that the model takes
	limit, failures := m.o.Batch, 0
	for len(open) > 0 {
		batch, inputs := m.batch(texts, open, cuts, limit)
		rows, err := m.once(ctx, inputs)
		if err == nil {
			err = m.check(rows)
		}
		got := 0
		for i, row := range rows {
			if err == nil && row != nil {
				vectors[batch[i]], done[batch[i]], got = m.vector(row), true, got+1
			}
		}
		if got > 0 {
			failures = 0
			open = slices.DeleteFunc(open, func(i int) bool { return done[i] })
			continue
		}
		if err == nil {
			err = m.e.garbled(errors.New("an answer without a vector"))
		}
		switch {
		case oversized(err) && len(batch) > 1: // all together are too much
			limit = len(batch) / 2
		case oversized(err) && shorten(texts, batch[0], cuts): // this one is
		default:
			if failures++; failures >= m.o.Attempts {
				return nil, err
			}
			if err := m.wait(ctx, err, failures); err != nil {
				return nil, err
			}
		}
	}
	return vectors, nil
}

// batch takes the first texts that one request can have.
func (m *Embedder) batch(texts []string, open []int, cuts map[int]int, limit int) (batch []int, inputs []string) {
	size := 0
	for _, i := range open {
		t := texts[i]
		if n, ok := cuts[i]; ok {
			t = t[:n]
		}
		t = m.text + t
		if len(batch) > 0 && (len(batch) >= limit || size+len(t) > m.o.Bytes) {
			break
		}
		size += len(t)
		batch, inputs = append(batch, i), append(inputs, t)
	}
	return batch, inputs
}

// oversized tells whether the request was refused for its size, or for something else that lies in what was sent.
func oversized(err error) bool {
	code := llm.CodeOf(err)
	return code == llm.CodeContext || code == llm.CodeRejected
}

// shorten lets half of what is sent of a text be sent; false when nothing useful would be left of it.
func shorten(texts []string, i int, cuts map[int]int) bool {
	n, ok := cuts[i]
	if !ok {
		n = len(texts[i])
	}
	n /= 2
	for n > 0 && !utf8.RuneStart(texts[i][n]) {
		n--
	}
	const least = 64
	cuts[i] = n
	return n >= least
}

// wait waits before the next try, as long as the service wants; or gives back why there is none.
func (m *Embedder) wait(ctx context.Context, err error, failures int) error {
	wanted, ok := llm.Passing(err)
	if !ok {
		return err
	}
	d := m.o.First << min(failures-1, 20)
	if d > m.o.Longest || d <= 0 {
		d = m.o.Longest
	}
	d += rand.N(d/4 + 1) // so that replicas do not come back together
	if wanted > 0 {
		d = wanted
	}
	t := time.NewTimer(min(d, m.o.Longest))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// once asks once. The answer has a row for each text, nil for those that are missing in it.
func (m *Embedder) once(ctx context.Context, inputs []string) ([][]float32, error) {
	in := struct {
		Model  string   `json:"model"`
		Input  []string `json:"input"`
		Format string   `json:"encoding_format"` // the other one, base64, is not known everywhere
	}{m.o.Model, inputs, "float"}
	var out struct {
		Data []struct {
			Index     *int      `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if err := m.e.call(ctx, http.MethodPost, "/embeddings", in, &out, m.o.Model); err != nil {
		return nil, err
	}
	if len(out.Data) > len(inputs) {
		return nil, m.e.garbled(fmt.Errorf("%d vectors for %d texts", len(out.Data), len(inputs)))
	}
	rows := make([][]float32, len(inputs))
	unnamed := len(out.Data) == len(inputs) // some number them all with 0, or not at all
	for _, d := range out.Data {
		unnamed = unnamed && (d.Index == nil || *d.Index == 0)
	}
	for i, d := range out.Data {
		at := i
		if !unnamed {
			if d.Index == nil || *d.Index < 0 || *d.Index >= len(rows) || rows[*d.Index] != nil {
				return nil, m.e.garbled(errors.New("vectors that do not say whose they are"))
			}
			at = *d.Index
		}
		if len(d.Embedding) > 0 {
			rows[at] = d.Embedding
		}
	}
	return rows, nil
}

// errDims is a vector of another length than those of the space.
var errDims = fault.New(fault.Conflict, "embedding_dimensions", "The embedding model does not give the vectors that it gave before.")

// check holds rows to the space: their length, and that they are numbers.
func (m *Embedder) check(rows [][]float32) error {
	for _, row := range rows {
		if row == nil {
			continue
		}
		if len(row) != m.o.Dims {
			f := *errDims
			f.Say = fmt.Sprintf("The embedding model %s gives vectors of %d numbers, where it gave %d before. Start again: its vectors are made anew beside the old ones.", m.o.Model, len(row), m.o.Dims)
			return &f
		}
		for _, x := range row {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return m.e.garbled(errors.New("a vector with something else than numbers"))
			}
		}
	}
	return nil
}

// vector makes one of unit length; all zeros of nothing.
func (m *Embedder) vector(row []float32) embed.Vector {
	if row == nil || !embed.Normalize(row) {
		row = make([]float32, m.o.Dims)
	}
	return embed.Vector{Values: row, Known: 1}
}
