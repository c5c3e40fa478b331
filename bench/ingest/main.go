// Command ingest measures what it takes to bring documents into byline: CPU of Markdown and of PDF, memory of long documents
// and of a large upload, the time of `byline draft`, and the start with a large library.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
)

var (
	binary = flag.String("byline", "../bin/byline", "program to measure")
	rounds = flag.Int("rounds", 5, "measured rounds; medians are printed")
	only   = flag.String("only", "", "one part: markdown, pdf, long, upload, draft, library")
	long   = flag.String("pdf", "", "a long PDF (default: one of 1,600 pages is made)")
)

func main() {
	flag.Parse()
	for _, part := range []struct {
		name string
		do   func(dir string)
	}{{"markdown", markdown}, {"pdf", short}, {"long", memory}, {"upload", upload}, {"draft", draft}, {"library", library}} {
		if *only == "" || *only == part.name {
			dir, err := os.MkdirTemp("", "byline-bench-*")
			proc.Check(err)
			part.do(dir)
			os.RemoveAll(dir)
		}
	}
}

// words leaves the stage of vectors out, which begins when a document can be found already. What it costs is measured alone
// (BenchmarkPassages of the encoder).
const words = "BYLINE_EMBEDDER=off"

func start(dir string, env ...string) *proc.Server {
	s := proc.Start(*binary, dir, "18010", append(env, "BYLINE_LIMITS=off")...)
	if s.Token == "" {
		s.Register()
	}
	return s
}

func markdown(dir string) {
	s := start(dir, words)
	defer s.Stop()
	const each = 5 // documents a round: the clock of a process ticks every 10 ms
	var cpu []float64
	for n := range *rounds + 1 {
		before := s.CPU()
		for i := range each {
			s.Completed(s.Upload(fmt.Sprintf("text-%d-%d.md", n, i), strings.NewReader(paper.Prose(uint64(n*each+i), 1<<20)), ""))
		}
		if n > 0 { // the first one warms
			cpu = append(cpu, (s.CPU()-before).Seconds()*1000/each)
		}
	}
	fmt.Printf("1 MiB of Markdown until it can be found: %.0f ms CPU (median of %d rounds of %d, load %s)\n", proc.Median(cpu), len(cpu), each, proc.Load())
}

func short(dir string) {
	s := start(dir, words)
	defer s.Stop()
	s.Completed(s.Upload("warm.pdf", bytes.NewReader(paper.PDF(1, 1, 0)), "")) // compiles the engine
	var small, whole []float64
	for n := range *rounds {
		for _, m := range []struct {
			pages, image int
			to           *[]float64
		}{{1, 0, &small}, {8, 900_000, &whole}} {
			const each = 5
			before := s.CPU()
			for i := range each {
				name := fmt.Sprintf("d-%d-%d-%d.pdf", m.pages, n, i)
				s.Completed(s.Upload(name, bytes.NewReader(paper.PDF(uint64(100+n*each+i), m.pages, m.image)), ""))
			}
			*m.to = append(*m.to, (s.CPU()-before).Seconds()*1000/each)
		}
	}
	a, b := proc.Median(small), proc.Median(whole)
	fmt.Printf("PDF of 8 pages and 1 MB: %.0f ms CPU, one of 1 page and 4 KB: %.0f ms: %.0f ms beyond the start (medians of %d rounds of 5, load %s)\n", b, a, b-a, *rounds, proc.Load())
}

func memory(dir string) {
	s := start(dir)
	defer s.Stop()
	data := []byte(nil)
	if *long != "" {
		var err error
		data, err = os.ReadFile(*long)
		proc.Check(err)
	} else {
		data = paper.PDF(5, 1600, 0)
	}
	began, before := time.Now(), s.CPU()
	own, all := s.Peak(func() { s.Completed(s.Upload("long.pdf", bytes.NewReader(data), "")) })
	fmt.Printf("PDF of %.1f MB: at most %.0f MB resident in all, %.0f MB of it the server; %.1f s, %.1f s CPU (load %s)\n",
		float64(len(data))/1e6, all, own, time.Since(began).Seconds(), (s.CPU() - before).Seconds(), proc.Load())
}

func upload(dir string) {
	s := start(dir, "MAX_UPLOAD_SIZE=2GiB")
	defer s.Stop()
	before, _ := s.RSS()
	began := time.Now()
	peak, _ := s.Peak(func() {
		content := io.MultiReader(strings.NewReader("%PDF-1.7\n"), io.LimitReader(noise{rand.NewChaCha8([32]byte{1})}, 1<<30))
		s.Upload("large.pdf", content, "?process=false")
	})
	fmt.Printf("upload of 1 GiB: the server grows by %.0f MB, from %.0f to %.0f; %.1f s (load %s)\n", peak-before, before, peak, time.Since(began).Seconds(), proc.Load())
}

type noise struct{ r *rand.ChaCha8 }

func (n noise) Read(p []byte) (int, error) { return n.r.Read(p) }

func draft(dir string) {
	bin, err := filepath.Abs(*binary)
	proc.Check(err)
	proc.Check(os.WriteFile(filepath.Join(dir, "text.md"), []byte(paper.Prose(3, 100*3000)), 0o600))
	var took []float64
	for n := range *rounds {
		cmd := exec.Command(bin, "draft", "--data", filepath.Join(dir, fmt.Sprint("data", n)), "--title", "What the chapters say", "text.md", "-o", fmt.Sprint("post", n, ".md"), "--quiet")
		cmd.Dir = dir
		began := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			fmt.Printf("byline draft: %v\n%s", err, out)
			return
		}
		took = append(took, time.Since(began).Seconds())
	}
	fmt.Printf("byline draft of 100 pages of text: %.2f s (median of %d, load %s)\n", proc.Median(took), *rounds, proc.Load())
}

// library fills a library until its directory has 1 GB, and starts the server on it.
func library(dir string) {
	s := start(dir, words)
	for n := 0; size(dir) < 1e9; n++ {
		ids := make([]string, 10)
		for i := range ids {
			ids[i] = s.Upload(fmt.Sprintf("text-%d-%d.md", n, i), strings.NewReader(paper.Prose(uint64(n*len(ids)+i), 1<<20)), "")
		}
		for _, id := range ids {
			s.Completed(id)
		}
	}
	var page struct{ Total int }
	proc.Check(json.Unmarshal(s.Call("GET", "/api/v1/documents?limit=1", ""), &page))
	s.Stop()
	var took []float64
	for range 2 * *rounds {
		began := time.Now()
		s = proc.Start(*binary, dir, "18010")
		took = append(took, time.Since(began).Seconds())
		s.Stop()
	}
	fmt.Printf("ready with a library of %.2f GB and %d documents: %.3f s (median of %d, load %s)\n", size(dir)/1e9, page.Total, proc.Median(took), len(took), proc.Load())
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
