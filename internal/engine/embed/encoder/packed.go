package encoder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"byline/internal/engine/embed/safetensors"
	"byline/internal/engine/embed/token"
)

// The files of an imported model.
const (
	modelFile     = "model.safetensors"
	tokenizerFile = "tokenizer.json"
	manifestFile  = "manifest.json"
)

// configFile is in directories as Hugging Face has them, and not in those that this package writes.
const configFile = "config.json"

// packing is the version of what Quantize makes of a model: it changes when the same model would become other weights.
const packing = "byline-encoder/1"

// Manifest says what an imported model is.
type Manifest struct {
	Format    string `json:"format"`    // packing
	Model     string `json:"model"`     // SHA-256 of model.safetensors
	Tokenizer string `json:"tokenizer"` // SHA-256 of tokenizer.json
	Query     string `json:"query,omitempty"`
	Passage   string `json:"passage,omitempty"`
	Limit     int    `json:"limit"` // tokens of a text
	Latin     bool   `json:"latin"` // see Options
}

// version names all that a vector depends on, but for the limit, which spaces name by themselves.
func (m Manifest) version() string {
	return digest(fmt.Appendf(nil, "%s %s %s %q %q %t", m.Format, m.Model, m.Tokenizer, m.Query, m.Passage, m.Latin))[:8]
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Packed is a model as this package computes with it, with all that belongs to it.
type Packed struct {
	Model, Tokenizer []byte
	Manifest         Manifest
}

// Quantize packs a sentence encoder that is in a directory as Hugging Face and Sentence Transformers keep models. What it
// cannot do as the model's makers do, it refuses with ErrModel. The float weights are never in the heap as a whole; what is made
// of them is a quarter of an F32 file's size.
func Quantize(dir string) (*Packed, error) {
	h, err := openHub(dir)
	if err != nil {
		return nil, err
	}
	p := &Packed{}
	if p.Tokenizer, err = os.ReadFile(filepath.Join(dir, tokenizerFile)); err != nil {
		return nil, absent(err, tokenizerFile, "save the fast tokenizer of the model there")
	}
	if _, err := token.Load(p.Tokenizer); err != nil { // before the work
		return nil, unusable("%w", err)
	}
	latin, err := token.Latin(p.Tokenizer)
	if err != nil {
		return nil, err
	}
	lower, err := lowers(p.Tokenizer)
	if err != nil {
		return nil, err
	}
	limit, err := h.limit()
	if err != nil {
		return nil, err
	}
	if h.lower && !lower {
		return nil, unusable("its texts are put in lower case (do_lower_case), and tokenizer.json does not do that")
	}
	query, passage, err := h.prefixes()
	if err != nil {
		return nil, err
	}
	if p.Model, err = h.weights(); err != nil {
		return nil, err
	}
	p.Manifest = Manifest{packing, digest(p.Model), digest(p.Tokenizer), query, passage, min(limit, batchLimit), latin}
	return p, p.check()
}

// check is what both ways to a model end with.
func (p *Packed) check() error {
	if l := p.Manifest.Limit; l < 8 || l > batchLimit {
		return unusable("its limit is %d tokens; 8 to %d are supported", l, batchLimit)
	}
	return nil
}

// weights reads model.safetensors.
func (h *hub) weights() ([]byte, error) {
	raw, unmap, err := mapFile(filepath.Join(h.dir, modelFile))
	if err != nil {
		return nil, absent(err, modelFile, "save the model as one file in that format, without shards")
	}
	if unmap != nil {
		defer unmap()
	}
	file, err := safetensors.Parse(raw)
	if err != nil {
		return nil, unusable("%w", err)
	}
	first := h.first()
	if first < 0 || first > h.Positions {
		return nil, unusable("its padding token is %d (pad_token_id)", first-1)
	}
	return quantize(h.Config, floatFile{file}, len(raw), first)
}

// absent says of a file that is not there what to do.
func absent(err error, file, advice string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return unusable("it has no %s: %s", file, advice)
	}
	return fmt.Errorf("read model: %w", err)
}

// Encoder opens a packed model.
func (p *Packed) Encoder() (*Encoder, error) {
	e, err := Open(p.Model, p.Tokenizer, Options{
		Version: p.Manifest.version(), Query: p.Manifest.Query, Passage: p.Manifest.Passage, Limit: p.Manifest.Limit, Latin: p.Manifest.Latin,
	})
	if err == nil {
		e.o.Name = e.model.Type
	}
	return e, err
}

// Write puts a packed model into a directory, which it makes. The manifest comes last: a directory without it is none of a
// model yet. What a program has opened of an earlier one stays whole. A directory with a model that can be imported is refused,
// because its files have the same names.
func (p *Packed) Write(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, configFile)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(unusable("the directory to write to has a %s, as models that can be imported have: take another one", configFile), err)
	}
	manifest, err := json.MarshalIndent(p.Manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, manifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write model: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{modelFile, p.Model}, {tokenizerFile, p.Tokenizer}, {manifestFile, append(manifest, '\n')}} {
		if err := replace(filepath.Join(dir, f.name), f.data); err != nil {
			return fmt.Errorf("write model: %w", err)
		}
	}
	return nil
}

// replace writes a file beside the one of that name, then puts it in its place.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".import-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Load opens the model in a directory: one that Packed.Write made, which it maps into memory where the system can, or one as
// Hugging Face has it, which it packs first: that takes seconds and the memory of the packed model. Both ways lead to the
// same space. The files must not be written to while the encoder is in use; replacing them is fine.
func Load(dir string) (*Encoder, error) {
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		p, err := Quantize(dir)
		if err != nil {
			return nil, err
		}
		return p.Encoder()
	}
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	p := &Packed{}
	if err := json.Unmarshal(raw, &p.Manifest); err != nil {
		return nil, unusable("%s: %v", manifestFile, err)
	}
	if p.Manifest.Format != packing {
		return nil, unusable("it was imported as %q, and this program reads %q: import it anew", p.Manifest.Format, packing)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Tokenizer, err = os.ReadFile(filepath.Join(dir, tokenizerFile)); err != nil {
		return nil, absent(err, tokenizerFile, "import it anew")
	}
	model, unmap, err := mapFile(filepath.Join(dir, modelFile))
	if err != nil {
		return nil, absent(err, modelFile, "import it anew")
	}
	p.Model = model
	e, err := p.verified()
	switch {
	case unmap == nil:
	case err != nil:
		unmap()
	default:
		e.file = model
		forget(model) // the checksum has read all of it
	}
	return e, err
}

// verified opens a packed model if it is the one that its manifest tells of.
func (p *Packed) verified() (*Encoder, error) {
	if digest(p.Model) != p.Manifest.Model || digest(p.Tokenizer) != p.Manifest.Tokenizer {
		return nil, unusable("its files are not those that were imported (checksum): import it anew")
	}
	return p.Encoder()
}

// Check embeds a question, an answer to it and something else, and tells how near the question is to both, by the cosine: a model of
// sense has it nearer to the answer. It fails if the vectors are none, or if a text's vector depends on those beside it.
func (e *Encoder) Check(ctx context.Context) (near, far float64, err error) {
	texts := []string{"How much does it cost to heat the house in winter?", "Heating bills are highest in January.", "The orchestra played a symphony."}
	alone, err := e.Passages(ctx, texts[:1])
	if err != nil {
		return 0, 0, err
	}
	all, err := e.Passages(ctx, texts)
	if err != nil {
		return 0, 0, err
	}
	question, err := e.Query(ctx, texts[0])
	if err != nil {
		return 0, 0, err
	}
	for _, v := range append(all, question) {
		if l := dot(v.Values, v.Values); !(math.Abs(l-1) < 1e-3) {
			return 0, 0, unusable("the vector of a text has the length %.3f instead of 1", math.Sqrt(l))
		}
	}
	if !slices.Equal(alone[0].Values, all[0].Values) {
		return 0, 0, unusable("the vector of a text differs beside others")
	}
	return dot(question.Values, all[1].Values), dot(question.Values, all[2].Values), nil
}

func dot(a, b []float32) (sum float64) {
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}
