// Command relay measures how posts that a model writes come to their readers: how many generations and how many readers a core carries,
// the log included, beside FastAPI; how long a word is on its way; and what memory is left when all is over.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
)

var (
	binary  = flag.String("bin", "../bin/byline", "the program to measure")
	python  = flag.String("python", "", "python with the requirements of peers/ (default: without FastAPI)")
	only    = flag.String("only", "", "one part: latency, generations, readers, memory, offline")
	rate    = flag.Int("rate", 30, "words a second of each stream")
	rounds  = flag.Int("rounds", 3, "measured rounds; medians are printed")
	many    = flag.Int("n", 0, "generations or readers at a time (default: 200 generations, 1000 readers, 50 for latency, 2000 for memory)")
	seconds = flag.Int("seconds", 20, "how long is measured of each round")
)

func main() {
	if os.Getenv("BENCH_ENDPOINT") != "" {
		endpoint()
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	for _, part := range []struct {
		name string
		do   func(dir string)
	}{{"latency", latency}, {"generations", generations}, {"readers", readers}, {"memory", memory}, {"offline", offline}} {
		if *only == "" || *only == part.name {
			sub := filepath.Join(dir, part.name)
			proc.Check(os.Mkdir(sub, 0o700))
			part.do(sub)
		}
	}
}

func number(usual int) int {
	if *many > 0 {
		return *many
	}
	return usual
}

// start gives a server with an account and one document, its id, and what generates a post from it.
func start(dir string, writers int) (s *proc.Server, generate string) {
	sub, err := os.MkdirTemp(dir, "data-*")
	proc.Check(err)
	s = proc.Start(*binary, sub, "18040", "BYLINE_LIMITS=off", "OPENAI_BASE_URL=http://"+endpointAddress+"/v1", "OPENAI_API_KEY=sk-bench-000000000000", "DEFAULT_LLM_PROVIDER=openai",
		"DEFAULT_LLM_MODEL=steady", fmt.Sprintf("BYLINE_WRITERS=%d", writers), "ACCESS_TOKEN_EXPIRE_MINUTES=600")
	s.Register()
	id := s.Upload("mill.md", strings.NewReader(source), "")
	s.Completed(id)
	return s, `POST /api/v1/blog/generate {"document_ids":["` + id + `"]}`
}

// used is what a time of steady streaming cost.
type used struct {
	perCore float64 // streams of the rate that one core carries
	cpu     float64 // seconds a second
	share   float64 // of the words that were due, came
}

// steady measures a crowd of n readers who all are being served. words are as many as a token of the endpoint's brings, on average.
func steady(s *proc.Server, c *crowd, n int, words float64) used {
	cpu, had, began := s.CPU(), c.words.Load(), time.Now()
	time.Sleep(time.Duration(*seconds) * time.Second)
	took := time.Since(began).Seconds()
	spent, came := (s.CPU() - cpu).Seconds(), float64(c.words.Load()-had)/words
	return used{came / float64(*rate) / spent, spent / took, came / took / float64(n**rate)}
}

func generations(dir string) {
	n := number(200)
	fmt.Printf("%d generations at a time, %d words/s each, read along by one reader; as many as one core carries\n\n| | byline | byline, begin and end included | fastapi | came | load |\n|---|---|---|---|---|---|\n", n, *rate)
	tokens := *rate * (*seconds + 5 + n/20)
	var ours, whole, theirs []float64
	for range *rounds {
		stop := startEndpoint(tokens, false)
		s, generate := start(dir, n)
		var c crowd
		before := s.CPU()
		for range n {
			c.read(s, generate)
		}
		c.wait(n)
		u := steady(s, &c, n, visible)
		c.all.Wait()
		total := (s.CPU() - before).Seconds()
		s.Stop()
		ours, whole = append(ours, u.perCore), append(whole, float64(n*tokens)/float64(*rate)/total)
		other := "-"
		if *python != "" {
			p := peer(dir)
			m := min(n, 100)
			var c crowd
			for range m {
				c.read(p, "GET /relay?url=http://"+endpointAddress+"/v1")
			}
			c.wait(m)
			u := steady(p, &c, m, 1)
			c.leave()
			p.Stop()
			theirs = append(theirs, u.perCore)
			other = fmt.Sprintf("%.0f", u.perCore)
		}
		stop()
		fmt.Printf("| round | %.0f | %.0f | %s | %.0f %% | %s |\n", u.perCore, whole[len(whole)-1], other, 100*u.share, proc.Load())
	}
	other := "-"
	if theirs != nil {
		other = fmt.Sprintf("%.0f", proc.Median(theirs))
	}
	fmt.Printf("| median | %.0f | %.0f | %s | | |\n\n", proc.Median(ours), proc.Median(whole), other)
}

func readers(dir string) {
	n := number(1000)
	const runs = 10
	fmt.Printf("%d readers of %d generations, %d words/s each; as many as one core carries\n\n| | byline | fastapi | came | load |\n|---|---|---|---|---|\n", n, runs, *rate)
	var ours, theirs []float64
	for range *rounds {
		stop := startEndpoint(*rate*(*seconds+60), false)
		s, generate := start(dir, runs)
		var c crowd
		for _, id := range begin(s, generate, runs) {
			for range n / runs {
				c.read(s, "GET /api/v1/runs/"+id+"/events")
			}
		}
		c.wait(n)
		u := steady(s, &c, n, visible)
		c.leave()
		s.Stop()
		ours = append(ours, u.perCore)
		other := "-"
		if *python != "" {
			p := peer(dir)
			m := min(n, 600)
			var c crowd
			for range m {
				c.read(p, fmt.Sprintf("GET /stream?words=true&rate=%d&tokens=%d", *rate, *rate*(*seconds+60)))
			}
			c.wait(m)
			u := steady(p, &c, m, 1)
			c.leave()
			p.Stop()
			theirs = append(theirs, u.perCore)
			other = fmt.Sprintf("%.0f", u.perCore)
		}
		stop()
		fmt.Printf("| round | %.0f | %s | %.0f %% | %s |\n", u.perCore, other, 100*u.share, proc.Load())
	}
	other := "-"
	if theirs != nil {
		other = fmt.Sprintf("%.0f", proc.Median(theirs))
	}
	fmt.Printf("| median | %.0f | %s | | |\n\n", proc.Median(ours), other)
}

// begin starts generations and gives the ids of their runs.
func begin(s *proc.Server, generate string, n int) (ids []string) {
	_, body, _ := strings.Cut(generate, "generate ")
	for range n {
		var started struct{ Run struct{ ID string } }
		proc.Check(json.Unmarshal(s.Call("POST", "/api/v1/blog/generate", body), &started))
		ids = append(ids, started.Run.ID)
	}
	return ids
}

func latency(dir string) {
	n := number(50)
	fmt.Printf("delay from the endpoint to the reader, of %d generations at a time, ms\n\n| | first word p50 | p99 | words p50 | p90 | p99 | max | load |\n|---|---|---|---|---|---|---|---|\n", n)
	for range *rounds {
		stop := startEndpoint(*rate*(*seconds+30), true)
		s, generate := start(dir, n)
		var c crowd
		for range n { // one after the other, as people come
			c.read(s, generate)
			time.Sleep(2 * time.Second / time.Duration(n))
		}
		c.wait(n)
		c.from.Store(time.Now().UnixNano())
		time.Sleep(time.Duration(*seconds) * time.Second)
		c.leave()
		s.Stop()
		stop()
		fmt.Printf("| round | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %s |\n", quantile(c.firsts, .5), quantile(c.firsts, .99),
			quantile(c.delays, .5), quantile(c.delays, .9), quantile(c.delays, .99), quantile(c.delays, 1), proc.Load())
	}
	fmt.Println()
}

// memory compares the server's memory before and after many streams.
func memory(dir string) {
	n := number(2000)
	const runs = 20
	stop := startEndpoint(*rate*(*seconds+20), false)
	defer stop()
	s, generate := start(dir, runs)
	serve := func(readers int) {
		var c crowd
		for _, id := range begin(s, generate, runs) {
			for range readers / runs {
				c.read(s, "GET /api/v1/runs/"+id+"/events")
			}
		}
		c.all.Wait()
		if int(c.ended.Load()) != readers {
			log.Fatalf("%d of %d streams ended", c.ended.Load(), readers)
		}
	}
	serve(runs) // whatever is made once, is made
	before := s.Settled()
	peak, _ := s.Peak(func() { serve(n) })
	after := s.Settled()
	s.Stop()
	fmt.Printf("resident: %.0f MB before, %.0f MB at most while %d streams of %d generations were read, %.0f MB after (%+.0f %%); load %s\n\n", before, peak, n, runs, after, 100*(after-before)/before, proc.Load())
}

// offline measures the writer that needs no model: how soon the first event comes, and the post.
func offline(dir string) {
	const pages, page = 100, 3000 // bytes
	s, _ := start(dir, 4)
	defer s.Stop()
	id := s.Upload("text.md", strings.NewReader(paper.Prose(3, pages*page)), "")
	s.Completed(id)
	var first, surveyed, whole []float64
	for range *rounds {
		f, v, w := follow(s, `{"document_ids":["`+id+`"],"title":"What the chapters say","llm_provider":"offline"}`)
		first, surveyed, whole = append(first, f), append(surveyed, v), append(whole, w)
	}
	fmt.Printf("offline, 100 pages of text: first event after %.0f ms, survey after %.2f s, post after %.2f s (medians of %d; load %s)\n", 1000*proc.Median(first), proc.Median(surveyed), proc.Median(whole), *rounds, proc.Load())
}

// peer starts FastAPI.
func peer(dir string) *proc.Server {
	s := &proc.Server{Base: "http://127.0.0.1:18042"}
	s.Cmd = exec.Command(*python, "-m", "uvicorn", "app:app", "--port", "18042", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
	s.Cmd.Dir = "peers"
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PYTHONDONTWRITEBYTECODE=") {
			s.Cmd.Env = append(s.Cmd.Env, e)
		}
	}
	s.Cmd.Env = append(s.Cmd.Env, "PEER_DB="+filepath.Join(dir, "peer.sqlite"))
	s.Cmd.Stderr = os.Stderr
	proc.Check(s.Cmd.Start())
	proc.Wait(s.Base + "/health")
	return s
}
