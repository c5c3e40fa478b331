// Command search measures what one machine holds: it fills libraries of 10,000, 100,000 and 1,000,000 passages through the
// product's own pipeline, starts the server on them, and asks. It tells what building took, what lies on disk and in memory,
// and how long questions take, by words, by meaning and both, over HTTP, with the encoder. -only tenants measures a thousand
// workspaces in one process instead, and -only elasticsearch questions of words beside an Elasticsearch.
//
// The vectors of passages are made up, in clusters, since embedding a million passages takes hours; those of questions are the
// encoder's, which takes its time for each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"byline/bench/internal/library"
	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
	"byline/internal/engine/embed/encoder"
	"byline/internal/ident"
	"byline/internal/search"
)

var (
	binary    = flag.String("byline", "../bin/byline", "program to measure")
	only      = flag.String("only", "scale", "scale, tenants or elasticsearch")
	sizes     = flag.String("passages", "10000,100000", "sizes of libraries; 1000000 takes half an hour and 15 GB of disk")
	questions = flag.Int("questions", 300, "questions of each kind")
	memory    = flag.Int("memory", 1024, "BYLINE_SEARCH_MEMORY in MiB")
	keep      = flag.String("keep", "", "folder in which libraries stay, to be asked again without being filled again")
	profile   = flag.String("profile", "", "file for a CPU profile of filling")
)

func main() {
	flag.Parse()
	switch *only {
	case "tenants":
		tenants()
		return
	case "elasticsearch":
		elasticsearch()
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
	dir, done := folder(strconv.Itoa(passages))
	defer done()
	l := built(dir, passages)
	disk := size(dir)
	s := proc.Start(*binary, dir, "18020", "BYLINE_LIMITS=off", "GOMAXPROCS=1", fmt.Sprintf("BYLINE_SEARCH_MEMORY=%dMiB", *memory))
	defer s.Stop()
	if l.opened {
		s.Login()
	} else {
		s.Register()
	}
	for _, mode := range []string{"lexical", "semantic", "hybrid"} {
		ask(s, mode, 20) // brings the segments
		began := s.CPU()
		took := ask(s, mode, *questions)
		each := (s.CPU() - began) / time.Duration(*questions)
		_, rss := s.RSS()
		fmt.Printf("| %d | %.0f s | %.2f GB | %s | %.2f ms | %.2f ms | %.2f ms | %.0f MB |\n", l.Held, l.CPU.Seconds(), disk/1e9, mode,
			ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(each), rss)
	}
}

// folder gives a place for a library, and what is to be done at the end.
func folder(name string) (dir string, done func()) {
	if *keep != "" {
		dir = filepath.Join(*keep, name)
		proc.Check(os.MkdirAll(dir, 0o700))
		return dir, func() {}
	}
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	return dir, func() { os.RemoveAll(dir) }
}

// filled says how a library came to be.
type filled struct {
	Held   int
	opened bool // it was there, and had an account
	CPU    time.Duration
	Wall   time.Duration
}

// built fills a library, unless that was done before.
func built(dir string, passages int) (f filled) {
	note := filepath.Join(dir, "filled.json")
	if data, err := os.ReadFile(note); err == nil {
		proc.Check(json.Unmarshal(data, &f))
		l := library.Open(filepath.Join(dir, "data"), library.Vectors())
		l.Merge() // what an interrupted run has left
		l.Close()
		f.opened = true
		return f
	}
	if *profile != "" {
		w, err := os.Create(*profile)
		proc.Check(err)
		defer w.Close()
		proc.Check(pprof.StartCPUProfile(w))
		defer pprof.StopCPUProfile()
	}
	l := library.Open(filepath.Join(dir, "data"), library.Vectors())
	before, began := proc.Own(), time.Now()
	f.Held = l.Fill(ident.Local, passages, 1<<16, 0)
	l.Merge()
	f.CPU, f.Wall = proc.Own()-before, time.Since(began)
	l.Close()
	data, err := json.Marshal(f)
	proc.Check(err)
	proc.Check(os.WriteFile(note, data, 0o600))
	return f
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

// tenants asks a thousand workspaces of a thousand passages each, with a small budget for segments.
func tenants() {
	const workspaces, each, budget = 1000, 1000, 256 << 20
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	l := library.Open(dir, library.Vectors())
	defer l.Close()
	ctx := context.Background()
	list := make([]ident.Workspace, workspaces)
	for i := range list {
		list[i] = l.Workspace(fmt.Sprintf("user-%d@example.com", i))
		l.Fill(list[i], each, each*1300, uint64(i)<<32)
	}
	l.Merge()
	e, err := encoder.Builtin()
	proc.Check(err)
	s := search.New(l.Store, search.NewEmbedded(l.Store, budget), search.NewSpaces(l.Store, e, nil, slog.New(slog.DiscardHandler)))
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
