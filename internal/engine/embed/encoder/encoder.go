// Package encoder turns texts into vectors by a small BERT: a sentence encoder with 7-bit weights, run by Go assembly.
package encoder

import (
	"context"
	_ "embed"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/token"
)

// The built-in model is all-MiniLM-L6-v2 (Apache-2.0, see model/LICENSE) with weights of 7 bits.
var (
	//go:embed model/model.safetensors
	builtinModel string
	//go:embed model/tokenizer.json
	builtinTokenizer []byte
)

// builtinVersion is the beginning of the model's SHA-256.
const builtinVersion = "2c079fd8"

// arithmetic names what a vector's bits depend on besides the weights: activations of 8 bits, how they are rounded, the
// order of float operations. It changes with them.
const arithmetic = "w7a8.1"

// The limits of work, in tokens.
const (
	textLimit  = 256 // a text is cut there: the model was trained with so many
	batchLimit = 512 // a batch of texts: more leaves the processor's cache, and takes it longer before a question can be embedded
)

// Options of an encoder.
type Options struct {
	Name    string // of the space
	Version string // of the weights
	// Query and Passage are put before texts where the model was trained so.
	Query, Passage string
	Limit          int // tokens of a text; 0 is 256
	// Latin says that the model was trained on Latin letters only, whatever single letters of other scripts its vocabulary has.
	Latin bool
}

// Encoder embeds texts. It is safe for concurrent use.
type Encoder struct {
	o         Options
	kernel    kernel
	model     *model
	tokenizer func() token.Tokenizer
	scratch   sync.Pool
	workers   chan struct{} // as many as may work on passages at a time
	asking    atomic.Int32  // questions being embedded
	used      atomic.Int64  // when a batch ended last, in nanoseconds since 1970; 0 since Release
	file      []byte        // that the model is mapped from, or the part of this program's; nil if it is elsewhere
}

// Supported tells whether this processor has a kernel. Without one an encoder works, but takes fifty times as long.
func Supported() bool { return detect() != portable }

// Builtin opens the model that is part of this program. Its weights are used where they are; the pages that nothing has
// touched yet take no memory, and its vocabulary is read with the first text.
func Builtin() (*Encoder, error) {
	model := unsafe.Slice(unsafe.StringData(builtinModel), len(builtinModel))
	tokenizer := sync.OnceValue(func() token.Tokenizer {
		t, err := token.Load(builtinTokenizer)
		if err != nil {
			panic(fmt.Sprintf("the built-in vocabulary: %v", err)) // a test reads it
		}
		return t
	})
	e, err := open(model, tokenizer, Options{Name: "encoder", Version: builtinVersion, Latin: true})
	if err == nil {
		e.file = model
	}
	return e, err
}

// Release gives the memory of the weights back to the system if nothing has been embedded for a time; the next text reads
// them again, which takes it some milliseconds longer.
func (e *Encoder) Release(unused time.Duration) {
	if at := e.used.Load(); at != 0 && time.Since(time.Unix(0, at)) >= unused && e.used.CompareAndSwap(at, 0) {
		forget(e.file)
	}
}

// Open makes an encoder of a packed model (safetensors with "config", 7-bit codes in panels; see Quantize) and its
// tokenizer.json. The model's bytes are used in place and must not change.
func Open(model, tokenizer []byte, o Options) (*Encoder, error) {
	t, err := token.Load(tokenizer)
	if err != nil {
		return nil, err
	}
	e, err := open(model, func() token.Tokenizer { return t }, o)
	if err == nil && t.Len() > e.model.Vocab {
		return nil, unusable("the tokenizer has %d tokens, the model %d", t.Len(), e.model.Vocab)
	}
	return e, err
}

func open(model []byte, tokenizer func() token.Tokenizer, o Options) (*Encoder, error) {
	m, err := openModel(model)
	if err != nil {
		return nil, err
	}
	if o.Limit == 0 {
		o.Limit = textLimit
	}
	o.Limit = min(o.Limit, batchLimit, m.Positions)
	e := &Encoder{o: o, kernel: detect(), model: m, tokenizer: tokenizer, workers: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	e.scratch.New = func() any { return &scratch{kernel: e.kernel} }
	return e, nil
}

// Space meets embed.Embedder. Vectors of the portable kernel are near those of the others, not equal, and so a space of
// their own.
func (e *Encoder) Space() embed.Space {
	version := fmt.Sprintf("%s-%s-%d", e.o.Version, arithmetic, e.o.Limit)
	if e.o.Query != "" || e.o.Passage != "" {
		version += "-prefixed"
	}
	if e.kernel == portable {
		version += "-portable"
	}
	return embed.Space{Embedder: e.o.Name, Version: version, Dims: e.model.Hidden}
}

// Limit is how many tokens of a text are read.
func (e *Encoder) Limit() int { return e.o.Limit }

// Kernel names the instructions in use, for people.
func (e *Encoder) Kernel() string { return e.kernel.String() }

// Query meets embed.Embedder: on the caller's goroutine, beside whatever else is being embedded.
func (e *Encoder) Query(ctx context.Context, text string) (embed.Vector, error) {
	if err := ctx.Err(); err != nil {
		return embed.Vector{}, err
	}
	e.asking.Add(1)
	defer e.asking.Add(-1)
	ids, known := e.tokens(e.o.Query + text)
	v := []embed.Vector{{Values: make([]float32, e.model.Hidden), Known: known}}
	e.run([][]int32{ids}, v)
	return v[0], nil
}

// Passages meets embed.Embedder. It works with half of the processors at most, in all calls together, and lets questions
// go first. It fails only when ctx ends.
func (e *Encoder) Passages(ctx context.Context, texts []string) ([]embed.Vector, error) {
	out := make([]embed.Vector, len(texts))
	values := make([]float32, len(texts)*e.model.Hidden)
	var working sync.WaitGroup
	defer working.Wait()
	var batch [][]int32
	first, tokens := 0, 0
	send := func(end int) error {
		if len(batch) == 0 {
			return nil
		}
		for e.asking.Load() > 0 { // assembly cannot be interrupted, so it begins later
			time.Sleep(100 * time.Microsecond)
			if ctx.Err() != nil {
				break
			}
		}
		select {
		case e.workers <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		ids, to := batch, out[first:end]
		working.Go(func() {
			e.run(ids, to)
			<-e.workers
		})
		batch, first, tokens = nil, end, 0
		return nil
	}
	for i, text := range texts {
		ids, known := e.tokens(e.o.Passage + text)
		out[i] = embed.Vector{Values: values[i*e.model.Hidden : (i+1)*e.model.Hidden : (i+1)*e.model.Hidden], Known: known}
		if tokens+len(ids) > batchLimit {
			if err := send(i); err != nil {
				return nil, err
			}
		}
		batch, tokens = append(batch, ids), tokens+len(ids)
	}
	if err := send(len(texts)); err != nil {
		return nil, err
	}
	working.Wait()
	return out, ctx.Err()
}

func (e *Encoder) tokens(text string) (ids []int32, known float64) {
	ids, in, all := e.tokenizer().Encode(nil, text, e.o.Limit)
	if all == 0 {
		return ids, 0 // no letters: nothing is known of it
	}
	known = float64(in) / float64(all)
	if e.o.Latin {
		known = min(known, token.LatinShare(text))
	}
	return ids, known
}

// run embeds a batch. A text of which nothing is known has a zero vector: what the model says of unknown tokens means nothing.
func (e *Encoder) run(ids [][]int32, out []embed.Vector) {
	s := e.scratch.Get().(*scratch)
	defer e.scratch.Put(s)
	values := make([][]float32, len(out))
	for i := range out {
		values[i] = out[i].Values
	}
	e.model.forward(s, ids, values)
	e.used.Store(time.Now().UnixNano())
	for i := range out {
		if out[i].Known == 0 {
			clear(out[i].Values)
		}
	}
}
