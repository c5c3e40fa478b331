// Package table turns texts into vectors by looking up their tokens: a table has a row for each, and a text's vector is their sum.
package table

import (
	"context"
	_ "embed"
	"fmt"
	"sync"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/token"
)

// The built-in table was fitted to the vectors of all-MiniLM-L6-v2 (Apache-2.0, see model/LICENSE); tools/table is how. It is
// for English. The directory is one of model2vec, so Load reads it as well.
var (
	//go:embed model/model.safetensors
	builtinModel string
	//go:embed model/tokenizer.json
	builtinTokenizer []byte
)

// builtinVersion is the beginning of the SHA-256 of both.
const builtinVersion = "49bf9719"

// arithmetic names what a vector's bits depend on besides table and tokenizer. It changes with them.
const arithmetic = "w8.1"

// limit is where a text is cut, in tokens that the table has.
const limit = 512

// Table embeds texts. It is safe for concurrent use, and gives the same bits on all machines.
type Table struct {
	space     embed.Space
	tokenizer func() token.Tokenizer
	codes     []int8    // [rows][dims]
	rows      []int32   // of each token; nil where its row has its number
	factors   []float32 // by which a token's codes are multiplied
	prepare   func(string) string
	latin     bool      // it is for languages in Latin letters, whatever single letters of others its vocabulary has
	scratch   sync.Pool // of *scratch
}

type scratch struct{ ids []int32 }

// Builtin opens the table that is part of this program. It is used where it is, and its vocabulary is read with the first text.
func Builtin() (*Table, error) {
	t, err := read(unsafe.Slice(unsafe.StringData(builtinModel), len(builtinModel)))
	if err != nil {
		return nil, err
	}
	t.space.Embedder, t.space.Version = "table", fmt.Sprintf("%s-%s-%d", builtinVersion, arithmetic, limit)
	t.prepare, t.latin = compatible, true
	t.tokenizer = sync.OnceValue(func() token.Tokenizer {
		tokenizer, err := token.Load(builtinTokenizer)
		if err != nil {
			panic(fmt.Sprintf("the built-in vocabulary: %v", err)) // a test reads it
		}
		return tokenizer
	})
	return t, nil
}

// Space meets embed.Embedder.
func (t *Table) Space() embed.Space { return t.space }

// Query meets embed.Embedder: on the caller's goroutine, in microseconds.
func (t *Table) Query(ctx context.Context, text string) (embed.Vector, error) {
	v, err := t.Passages(ctx, []string{text})
	if err != nil {
		return embed.Vector{}, err
	}
	return v[0], nil
}

// Passages meets embed.Embedder. It works on the caller's goroutine and fails only when ctx ends.
func (t *Table) Passages(ctx context.Context, texts []string) ([]embed.Vector, error) {
	s, _ := t.scratch.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer t.scratch.Put(s)
	tokenizer, dims := t.tokenizer(), t.space.Dims
	out, values := make([]embed.Vector, len(texts)), make([]float32, len(texts)*dims)
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := values[i*dims : (i+1)*dims : (i+1)*dims]
		ids, known, letters := tokenizer.Pieces(s.ids[:0], t.prepare(text), limit)
		s.ids, out[i].Values = ids, v
		if known > 0 {
			out[i].Known = float64(known) / float64(letters)
		}
		if t.latin && !ascii(text) {
			out[i].Known = min(out[i].Known, token.LatinShare(text))
		}
		// Without letters that it knows, what is left is digits and punctuation, which say nothing of a text in another script.
		if out[i].Known > 0 {
			t.sum(v, ids)
		}
	}
	return out, nil
}

// sum makes v the vector of tokens, of unit length; v must be zero, and stays so if there are none.
func (t *Table) sum(v []float32, ids []int32) {
	for _, id := range ids {
		row, factor := int(id), t.factors[id]
		if t.rows != nil {
			row = int(t.rows[id])
		}
		add(v, t.codes[row*len(v):(row+1)*len(v)], factor)
	}
	if !embed.Normalize(v) {
		clear(v) // also where a strange table's numbers add up to more than there is
	}
}

// add adds codes times factor to v, which are of one length. Products are rounded before they are added: other processors
// would do both in one step, and get other bits.
func add(v []float32, codes []int8, factor float32) {
	for len(v) >= 8 && len(codes) >= 8 {
		v[0] += float32(factor * float32(codes[0]))
		v[1] += float32(factor * float32(codes[1]))
		v[2] += float32(factor * float32(codes[2]))
		v[3] += float32(factor * float32(codes[3]))
		v[4] += float32(factor * float32(codes[4]))
		v[5] += float32(factor * float32(codes[5]))
		v[6] += float32(factor * float32(codes[6]))
		v[7] += float32(factor * float32(codes[7]))
		v, codes = v[8:], codes[8:]
	}
	for i, c := range codes {
		v[i] += float32(factor * float32(c))
	}
}

// compatible gives a text as the built-in table wants it: compatibility forms (NFKC), and a space wherever Latin letters or
// digits meet Hangul, Han or Kana, because "BM25와" would otherwise be one unknown word.
func compatible(text string) string {
	if ascii(text) {
		return text
	}
	text = norm.NFKC.String(text)
	var b []byte
	done, before := 0, neither
	for i, r := range text {
		now := sideOf(r)
		if now != neither && before != neither && now != before {
			b = append(append(b, text[done:i]...), ' ')
			done = i
		}
		if before = now; unicode.Is(unicode.Mn, r) {
			before = neither
		}
	}
	if done == 0 {
		return text
	}
	return string(append(b, text[done:]...))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

type side uint8

const (
	neither side = iota
	western
	eastern
)

func sideOf(r rune) side {
	switch {
	case r < utf8.RuneSelf:
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return western
		}
	case r < 0x1100:
		if unicode.In(r, unicode.Latin, unicode.Nd) {
			return western
		}
	case unicode.In(r, unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return eastern
	case unicode.In(r, unicode.Latin, unicode.Nd):
		return western
	}
	return neither
}
