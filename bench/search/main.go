// Command search measures what one machine holds: it fills libraries of 10,000, 100,000 and 1,000,000 passages through the
// product's own pipeline, starts the server on them, and asks. It tells what building took, what lies on disk and in memory,
// and how long questions take, by words, by meaning and both, over HTTP, with the encoder. -only tenants measures a thousand
// workspaces in one process instead.
//
// The vectors of passages are made up, in clusters, since embedding a million passages takes hours; those of questions are the
// encoder's, which takes its time for each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
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

var (
	binary    = flag.String("byline", "../bin/byline", "program to measure")
	only      = flag.String("only", "scale", "scale or tenants")
	sizes     = flag.String("passages", "10000,100000", "sizes of libraries; 1000000 takes half an hour and 15 GB of disk")
	questions = flag.Int("questions", 300, "questions of each kind")
	memory    = flag.Int("memory", 1024, "BYLINE_SEARCH_MEMORY in MiB")
)

func main() {
	flag.Parse()
	if *only == "tenants" {
		tenants()
		return
	}
	fmt.Println("| passages | built in, CPU s | disk | mode | p50 | p99 | CPU a question | resident |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		proc.Check(err)
		scale(n)
	}
}

func scale(passages int) {
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	l := open(filepath.Join(dir, "data"))
	before := cpu()
	held := l.fill(ident.Local, passages, 1<<16, 0)
	l.merge()
	built := cpu() - before
	l.close()
	disk := size(dir)
	s := proc.Start(*binary, dir, "18020", "BYLINE_LIMITS=off", "GOMAXPROCS=1", fmt.Sprintf("BYLINE_SEARCH_MEMORY=%dMiB", *memory))
	defer s.Stop()
	s.Register()
	for _, mode := range []string{"lexical", "semantic", "hybrid"} {
		ask(s, mode, 20) // brings the segments
		began := s.CPU()
		took := ask(s, mode, *questions)
		each := (s.CPU() - began) / time.Duration(*questions)
		_, rss := s.RSS()
		fmt.Printf("| %d | %.0f s | %.2f GB | %s | %.2f ms | %.2f ms | %.2f ms | %.0f MB |\n", held, built.Seconds(), disk/1e9, mode,
			ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(each), rss)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ask asks questions of three words one after the other, and gives how long each took, shortest first.
func ask(s *proc.Server, mode string, n int) []time.Duration {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	took := make([]time.Duration, n)
	for i := range took {
		body, err := json.Marshal(map[string]any{"query": question(r), "mode": mode})
		proc.Check(err)
		began := time.Now()
		s.Call("POST", "/api/v1/documents/search", string(body))
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took
}

var prose = strings.Fields(strings.NewReplacer("#", "", ".", "").Replace(paper.Prose(1, 1<<16)))

func question(r *rand.Rand) string {
	words := make([]string, 3)
	for i := range words {
		words[i] = prose[r.IntN(len(prose))]
	}
	return strings.Join(words, " ")
}

// library is a library that is filled in this process.
type library struct {
	store  *store.Store
	blobs  *localfs.Store
	spaces *search.Spaces
	worker *runs.Worker
	ended  sync.WaitGroup
}

var quiet = slog.New(slog.DiscardHandler)

func open(dir string) *library {
	proc.Check(os.MkdirAll(dir, 0o700))
	s, err := store.Open(context.Background(), store.Options{Path: filepath.Join(dir, "byline.db")})
	proc.Check(err)
	blobs, err := localfs.Open(dir)
	proc.Check(err)
	e, err := encoder.Builtin()
	proc.Check(err)
	l := &library{store: s, blobs: blobs, spaces: search.NewSpaces(s, clusters{e.Space()}, nil, quiet)}
	proc.Check(l.spaces.Offer(context.Background()))
	p := ingest.New(s, blobs, map[string]ingest.Extractor{string(extract.PlainText): func(_ context.Context, f blob.File, _ int64, sink extract.Sink) error {
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		return extract.Plain(string(b), sink)
	}}, l.spaces.Wanted)
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

// fill adds documents of a size until there are so many passages, and tells how many there are.
func (l *library) fill(ws ident.Workspace, passages, bytes int, seed uint64) (held int) {
	ctx := context.Background()
	documents := document.New(l.store, l.blobs, document.Limits{Bytes: 1 << 30})
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
			d, err := l.store.Document(ctx, ws, id)
			proc.Check(err)
			held += d.PassageCount
		}
	}
	return held
}

// merge joins segments until there is nothing to join.
func (l *library) merge() {
	m := search.NewMerger(l.store, quiet)
	for range 100 {
		list, err := l.store.Crowded(context.Background(), 8, 2<<20)
		proc.Check(err)
		if len(list) == 0 {
			return
		}
		proc.Check(m.Once(context.Background()))
	}
}

func (l *library) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l.worker.Stop(ctx)
	proc.Check(l.store.Close())
}

// clusters is an embedder that makes vectors up.
type clusters struct{ space embed.Space }

func (c clusters) Space() embed.Space { return c.space }

func (c clusters) Query(_ context.Context, text string) (embed.Vector, error) {
	h := fnv.New64a()
	io.WriteString(h, text)
	center, own := rand.New(rand.NewPCG(h.Sum64()%1000, 1)), rand.New(rand.NewPCG(h.Sum64(), 2))
	v := make([]float32, c.space.Dims)
	for i := range v {
		v[i] = float32(center.NormFloat64() + own.NormFloat64())
	}
	embed.Normalize(v)
	return embed.Vector{Values: v, Known: 1}, nil
}

func (c clusters) Passages(ctx context.Context, texts []string) ([]embed.Vector, error) {
	list := make([]embed.Vector, len(texts))
	for i, t := range texts {
		list[i], _ = c.Query(ctx, t)
	}
	return list, nil
}

// tenants asks a thousand workspaces of a thousand passages each, with a small budget for segments.
func tenants() {
	const workspaces, each, budget = 1000, 1000, 256 << 20
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	l := open(dir)
	defer l.close()
	ctx := context.Background()
	list := make([]ident.Workspace, workspaces)
	for i := range list {
		u, err := l.store.AddUser(ctx, account.User{Email: fmt.Sprintf("user-%d@example.com", i), PasswordHash: "none", CreatedAt: time.Now()}, false)
		proc.Check(err)
		list[i] = u.Workspace
		l.fill(u.Workspace, each, each*1300, uint64(i)<<32)
	}
	l.merge()
	e, err := encoder.Builtin()
	proc.Check(err)
	s := search.New(l.store, search.NewEmbedded(l.store, budget), search.NewSpaces(l.store, e, nil, quiet))
	runtime.GOMAXPROCS(1)
	r := rand.New(rand.NewPCG(1, 1))
	took := make([]time.Duration, 10**questions)
	for i := range took {
		q := search.Question{Workspace: list[r.IntN(len(list))], Text: question(r), TopK: 5, Mode: search.Hybrid}
		began := time.Now()
		_, err := s.Search(ctx, q)
		proc.Check(err)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	fmt.Printf("%d workspaces of %d passages, %d MB budget: p50 %.2f ms, p99 %.2f ms, of %d questions (load %s)\n", workspaces, each, budget>>20,
		ms(took[len(took)/2]), ms(took[len(took)*99/100]), len(took), proc.Load())
}

func cpu() time.Duration {
	var u syscall.Rusage
	proc.Check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func size(dir string) (sum float64) {
	proc.Check(filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			sum += float64(info.Size())
		}
		return nil
	}))
	return sum
}
