// Package library fills libraries through the product's own pipeline, in this process, with made-up text and made-up vectors.
package library

import (
	"context"
	"hash/fnv"
	"hash/maphash"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
	"byline/internal/account"
	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/driver/localfs"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
	"byline/internal/engine/extract"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
)

// Library is a library that is filled in this process.
type Library struct {
	Store  *store.Store
	Spaces *search.Spaces
	blobs  *localfs.Store
	worker *runs.Worker
	ended  sync.WaitGroup
}

var quiet = slog.New(slog.DiscardHandler)

// Vectors of the space that the built-in encoder has.
func Vectors() *Made {
	e, err := encoder.Builtin()
	proc.Check(err)
	return &Made{Of: e.Space(), seed: maphash.MakeSeed()}
}

// Open opens a library, or makes one. Without an embedder (nil) it has words alone.
func Open(dir string, e embed.Embedder) *Library {
	proc.Check(os.MkdirAll(dir, 0o700))
	s, err := store.Open(context.Background(), store.Options{Path: filepath.Join(dir, "byline.db")})
	proc.Check(err)
	blobs, err := localfs.Open(dir)
	proc.Check(err)
	l := &Library{Store: s, blobs: blobs, Spaces: search.NewSpaces(s, e, nil, quiet)}
	proc.Check(l.Spaces.Offer(context.Background()))
	p := ingest.New(s, blobs, map[string]ingest.Extractor{string(extract.PlainText): func(_ context.Context, f blob.File, _ int64, sink extract.Sink) error {
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		return extract.Plain(string(b), sink)
	}}, l.Spaces.Wanted)
	l.worker = runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Handlers: map[runs.Kind]runs.Handler{runs.KindProcess: {Do: p.Handle, Limit: runtime.GOMAXPROCS(0)}},
		Ended: func(_ runs.Run, st runs.Status) {
			if st != runs.Completed {
				panic("a document " + st)
			}
			l.ended.Done()
		}})
	l.worker.Start()
	return l
}

// Workspace opens an account and gives its workspace.
func (l *Library) Workspace(email string) ident.Workspace {
	u, err := l.Store.AddUser(context.Background(), account.User{Email: email, PasswordHash: "none", CreatedAt: time.Now()}, false)
	proc.Check(err)
	return u.Workspace
}

// Fill adds documents of a size until there are so many passages, and tells how many there are.
func (l *Library) Fill(ws ident.Workspace, passages, bytes int, seed uint64) (held int) {
	ctx := context.Background()
	documents := document.New(l.Store, l.blobs, document.Limits{Bytes: 1 << 30})
	for held < passages {
		var list []string
		for range max(1, min(64, (passages-held)*1500/bytes)) {
			l.ended.Add(1)
			d, _, err := documents.Take(ctx, document.Upload{Workspace: ws, Filename: ident.New() + ".txt", Process: true,
				Bytes: strings.NewReader(paper.Prose(seed, bytes))})
			proc.Check(err)
			list = append(list, d.ID)
			seed++
		}
		l.ended.Wait()
		for _, id := range list {
			d, err := l.Store.Document(ctx, ws, id)
			proc.Check(err)
			held += d.PassageCount
		}
	}
	return held
}

// Merge joins segments until there is nothing to join, as a server does beside its other work.
func (l *Library) Merge() {
	proc.Check(search.NewMerger(l.Store, quiet).Once(context.Background()))
}

// Close stops what works on it.
func (l *Library) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l.worker.Stop(ctx)
	proc.Check(l.Store.Close())
}

// Made is an embedder that makes vectors up: around a thousand centers, or without any.
type Made struct {
	Of     embed.Space
	Evenly bool // in all directions alike

	mu    sync.Mutex
	seed  maphash.Seed
	known map[uint64][]float32 // what was made before, so that making it again takes no time
}

// Space is that of the embedder that it stands for.
func (m *Made) Space() embed.Space { return m.Of }

// Query makes a vector of a text, the same for the same text.
func (m *Made) Query(_ context.Context, text string) (embed.Vector, error) {
	return embed.Vector{Values: slices.Clone(m.vector(text)), Known: 1}, nil
}

// Passages makes vectors of texts.
func (m *Made) Passages(_ context.Context, texts []string) ([]embed.Vector, error) {
	list := make([]embed.Vector, len(texts))
	for i, t := range texts {
		list[i] = embed.Vector{Values: m.vector(t), Known: 1}
	}
	return list, nil
}

// Remember keeps what is made from now on.
func (m *Made) Remember() { m.known = map[uint64][]float32{} }

func (m *Made) vector(text string) []float32 {
	key := maphash.String(m.seed, text) // faster than a hash that is the same in each run: it is measured with the rest
	m.mu.Lock()
	v, ok := m.known[key]
	m.mu.Unlock()
	if ok {
		return v
	}
	h := fnv.New64a()
	io.WriteString(h, text)
	sum := h.Sum64()
	center, own := rand.New(rand.NewPCG(sum%1000, 1)), rand.New(rand.NewPCG(sum, 2))
	v = make([]float32, m.Of.Dims)
	for i := range v {
		v[i] = float32(own.NormFloat64())
		if !m.Evenly {
			v[i] += float32(center.NormFloat64())
		}
	}
	embed.Normalize(v)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known != nil {
		m.known[key] = v
	}
	return v
}
