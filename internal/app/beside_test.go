package app_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/driver/localfs"
	"byline/internal/engine/embed"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/sandbox"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
)

// TestMeasureAppends is no test but what bench/events measures with: in a process of its own, runs append rows at a steady rate
// while a PDF is read, cut and indexed and segments are merged, all by what the product does that with. BENCH_PAPERS is a folder
// with long.pdf and the Markdown files whose segments are merged; BENCH_RUNS runs append BENCH_RATE rows a second each until the
// PDF can be found. It prints how long rows took until they were kept.
func TestMeasureAppends(t *testing.T) {
	papers := os.Getenv("BENCH_PAPERS")
	if papers == "" {
		t.Skip("bench/events starts it")
	}
	b := newBeside(t)
	files, err := fs.Glob(os.DirFS(papers), "*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no papers", err)
	}
	for _, f := range files { // nothing merges yet
		b.take(t, filepath.Join(papers, f))
	}
	b.wait(t, len(files))
	for range number(t, "BENCH_RUNS") {
		_, _, err := b.store.Drafts().Add(t.Context(), draft.Draft{ID: ident.New(), Workspace: ident.Local, Status: draft.Generating, CreatedAt: time.Now(), UpdatedAt: time.Now()}, draft.Wish{}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	b.ready.Wait()
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var merges int
	var merged time.Duration
	var merging sync.WaitGroup
	merging.Go(func() {
		merges = b.merge(ctx, t)
		merged = time.Since(began)
	})
	close(b.begin)
	b.take(t, filepath.Join(papers, "long.pdf"))
	b.wait(t, len(files)+1)
	close(b.end)
	b.done.Wait()
	took := time.Since(began)
	cancel() // a merge that is under way
	merging.Wait()
	each := slices.Sorted(slices.Values(b.took))
	fmt.Printf("%d rows in %.1f s, beside the PDF and, for %.1f s, %d merges; until kept: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		len(each), took.Seconds(), merged.Seconds(), merges, ms(each[len(each)/2]), ms(each[len(each)*99/100]), ms(each[len(each)-1]))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// beside is a store with the pipeline and runs that append.
type beside struct {
	store      *store.Store
	documents  *document.Service
	begin, end chan struct{}
	ready      sync.WaitGroup // runs that wait for the begin
	done       sync.WaitGroup // runs that append

	mu   sync.Mutex
	took []time.Duration
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := localfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pool := sandbox.New(sandbox.Options{Command: []string{exe, sandbox.Subcommand}, CacheDir: filepath.Join(dir, "cache"), Workers: 2, Log: slog.Default(),
		Limits: sandbox.Limits{Memory: 512 << 20, Pages: 5000, Stall: time.Minute}})
	if err := pool.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &beside{store: s, documents: document.New(s, blobs, document.Limits{Bytes: 1 << 30}), begin: make(chan struct{}), end: make(chan struct{})}
	n, rate := number(t, "BENCH_RUNS"), number(t, "BENCH_RATE")
	pipeline := ingest.New(s, blobs, map[string]ingest.Extractor{
		string(extract.PDF): func(ctx context.Context, f blob.File, _ int64, sink extract.Sink) error {
			return pool.Extract(ctx, string(extract.PDF), f.(*os.File), sink)
		},
		string(extract.Markdown): func(_ context.Context, f blob.File, size int64, sink extract.Sink) error {
			text := make([]byte, size)
			if _, err := f.ReadAt(text, 0); err != nil {
				return err
			}
			return markdown.Extract(string(text), sink)
		},
	}, func(context.Context) ([]embed.Embedder, error) { return nil, nil })
	b.ready.Add(n)
	b.done.Add(n)
	var places sync.Mutex
	place := 0
	w := runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Log: slog.Default(), Handlers: map[runs.Kind]runs.Handler{
		runs.KindProcess: {Do: pipeline.Handle, Limit: 2},
		runs.KindGenerate: {Limit: n, Do: func(ctx context.Context, job *runs.Job) (any, error) {
			places.Lock()
			place++
			at := time.Duration(place) * time.Second / time.Duration(rate*n) // spread over the period
			places.Unlock()
			b.ready.Done()
			defer b.done.Done()
			return obj{}, b.append(ctx, job, at, time.Second/time.Duration(rate))
		}},
	}})
	w.Start()
	t.Cleanup(func() {
		w.Stop(context.Background())
		if err := errors.Join(pool.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// append writes a row each period and notes how long it took until it was kept.
func (b *beside) append(ctx context.Context, job *runs.Job, at, period time.Duration) error {
	<-b.begin
	time.Sleep(at)
	tick := time.NewTicker(period)
	defer tick.Stop()
	var took []time.Duration
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-b.end:
			b.mu.Lock()
			b.took = append(b.took, took...)
			b.mu.Unlock()
			return nil
		}
		began := time.Now()
		if err := job.Emit(ctx, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "s1", Offset: 6 * n, Text: " token"}}); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
}

// merge merges until there is nothing left to merge, and tells how often.
func (b *beside) merge(ctx context.Context, t *testing.T) (n int) {
	m := search.NewMerger(b.store, slog.Default())
	for before := -1; ; n++ {
		list, err := b.store.Segments(ctx, ident.Local, "")
		if err != nil || len(list) == before {
			return max(0, n-1)
		}
		before = len(list)
		if err := m.Once(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}

// take uploads a file.
func (b *beside) take(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := b.documents.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: filepath.Base(path), Bytes: f, Process: true}); err != nil {
		t.Fatal(err)
	}
}

// wait until so many documents can be found.
func (b *beside) wait(t *testing.T, n int) {
	t.Helper()
	for {
		list, total, err := b.documents.Documents(t.Context(), ident.Local, document.Filter{Status: document.Completed, Limit: 1})
		if err != nil {
			t.Fatal(err, list)
		}
		if total == n {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
