// Command events measures what it costs to send the events of runs to their readers: byline with authentication and log, bare
// net/http that sends the same bytes, and FastAPI. Servers are processes of their own; all send tokens at the same rate.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
)

var (
	python = flag.String("python", "", "python with the requirements of peers/ (default: without FastAPI)")
	rounds = flag.Int("rounds", 3, "measured rounds; medians are printed")
	rate   = flag.Int("rate", 20, "tokens a second of each run")
	tokens = flag.Int("tokens", 200, "of each run")
	only   = flag.String("only", "", "one part: many (readers), alone, beside")
	prof   = flag.String("profile", "", "write a CPU profile of byline's last round")
)

func main() {
	if os.Getenv("BENCH_BARE") != "" {
		bare()
		return
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "script.test")
	build := exec.Command("go", "test", "-c", "-o", script, "./internal/app")
	build.Dir, build.Env, build.Stderr = "..", append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	proc.Check(build.Run())
	if *only == "" || *only == "beside" {
		beside(script, dir)
	}
	if *only == "beside" {
		return
	}
	fmt.Printf("%d tokens a run at %d/s; CPU of the server per token and reader\n\n| runs x readers | byline | bare net/http | fastapi | load |\n|---|---|---|---|---|\n", *tokens, *rate)
	for _, m := range []struct {
		name          string
		runs, readers int
	}{{"many", 20, 100}, {"alone", 200, 1}} {
		if *only != "" && *only != m.name {
			continue
		}
		var a, b, c []float64
		for range *rounds {
			a = append(a, measure(ours(script, m.runs), m.runs, m.readers))
			b = append(b, measure(plain(), m.runs, m.readers))
			if *python != "" {
				c = append(c, measure(peer(dir), m.runs, m.readers))
			}
		}
		fastapi := "-"
		if c != nil {
			fastapi = fmt.Sprintf("%.1f µs", proc.Median(c))
		}
		fmt.Printf("| %d x %d | %.1f µs | %.1f µs | %s | %s |\n", m.runs, m.readers, proc.Median(a), proc.Median(b), fastapi, proc.Load())
	}
}

// beside measures how long events take until they are kept while a PDF of 1,600 pages is read and segments are merged.
func beside(script, dir string) {
	const papers = 60 // enough to merge as long as the PDF is read
	for i := range papers {
		proc.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("paper-%d.md", i)), []byte(paper.Prose(uint64(i), 1<<20)), 0o600))
	}
	proc.Check(os.WriteFile(filepath.Join(dir, "long.pdf"), paper.PDF(5, 1600, 0), 0o600))
	for range *rounds {
		cmd := exec.Command(script, "-test.run", "^TestMeasureAppends$", "-test.timeout", "0")
		if *prof != "" {
			cmd.Args = append(cmd.Args, "-test.cpuprofile", *prof)
		}
		cmd.Env = append(os.Environ(), "BENCH_PAPERS="+dir, "BENCH_RUNS=200", "BENCH_RATE="+strconv.Itoa(*rate))
		out, err := cmd.CombinedOutput()
		if err != nil {
			log.Fatalf("%v: %s", err, out)
		}
		line, _, _ := bytes.Cut(out, []byte("\n"))
		fmt.Printf("%s (load %s)\n", line, proc.Load())
	}
}

// source is a server that streams.
type source struct {
	*proc.Server
	path  func(run int) string
	end   string    // of a whole stream
	begin io.Writer // the server waits for a line; nil: each stream begins by itself
	in    io.Closer
}

func ours(script string, runs int) source {
	s := &proc.Server{Base: "http://127.0.0.1:18020"}
	s.Cmd = exec.Command(script, "-test.run", "^TestServeScript$", "-test.timeout", "0")
	if *prof != "" {
		s.Cmd.Args = append(s.Cmd.Args, "-test.cpuprofile", *prof)
	}
	s.Cmd.Env = append(os.Environ(), "BENCH_LISTEN=127.0.0.1:18020", "BENCH_RUNS="+strconv.Itoa(runs), "BENCH_TOKENS="+strconv.Itoa(*tokens), "BENCH_RATE="+strconv.Itoa(*rate))
	s.Cmd.Stderr = os.Stderr
	in, err := s.Cmd.StdinPipe()
	proc.Check(err)
	out, err := s.Cmd.StdoutPipe()
	proc.Check(err)
	proc.Check(s.Cmd.Start())
	var told struct {
		Token string
		Runs  []string
	}
	r := bufio.NewReader(out)
	line, err := r.ReadBytes('\n')
	proc.Check(err)
	if err := json.Unmarshal(line, &told); err != nil {
		log.Fatalf("script server: %s", line)
	}
	go io.Copy(io.Discard, r)
	s.Token = told.Token
	return source{Server: s, path: func(run int) string { return "/api/v1/runs/" + told.Runs[run] + "/events" }, end: "event: run.completed", begin: in, in: in}
}

func plain() source {
	s := &proc.Server{Base: "http://127.0.0.1:18021"}
	s.Cmd = exec.Command(os.Args[0])
	s.Cmd.Env = append(os.Environ(), "BENCH_BARE=1")
	s.Cmd.Stderr = os.Stderr
	proc.Check(s.Cmd.Start())
	proc.Wait(s.Base + "/?tokens=0&rate=1")
	return source{Server: s, path: stream("/"), end: "\r\n0\r\n"}
}

func peer(dir string) source {
	s := &proc.Server{Base: "http://127.0.0.1:18022"}
	s.Cmd = exec.Command(*python, "-m", "uvicorn", "app:app", "--port", "18022", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
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
	return source{Server: s, path: stream("/stream"), end: "\r\n0\r\n"}
}

func stream(path string) func(int) string {
	return func(int) string { return fmt.Sprintf("%s?rate=%d&tokens=%d", path, *rate, *tokens) }
}

// measure lets all readers read all runs to the end and gives microseconds of the server's CPU per token and reader.
func measure(s source, runs, readers int) float64 {
	before := s.CPU()
	var ready, done sync.WaitGroup
	for run := range runs {
		for range readers {
			ready.Add(1)
			done.Go(func() { read(s, run, &ready) })
		}
	}
	ready.Wait()
	if s.begin != nil {
		before = s.CPU() // the other servers' streams begin with the request, which is a small part
		fmt.Fprintln(s.begin)
	}
	done.Wait()
	used := s.CPU() - before
	if s.in != nil {
		s.in.Close()
		s.Cmd.Wait()
	} else {
		s.Stop()
	}
	return float64(used.Microseconds()) / float64(*tokens*runs*readers)
}

// read follows a stream without taking it apart: the reader must not be what is measured.
func read(s source, run int, ready *sync.WaitGroup) {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Base, "http://"))
	proc.Check(err)
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n", s.path(run), strings.TrimPrefix(s.Base, "http://"), s.Token)
	buf, tail := make([]byte, 4096), []byte(nil)
	n, err := c.Read(buf)
	if err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
		log.Fatalf("%s: %v %s", s.path(run), err, buf[:n])
	}
	ready.Done()
	for {
		tail = append(tail, buf[:n]...)
		if bytes.Contains(tail, []byte(s.end)) {
			return
		}
		tail = append(tail[:0], tail[max(0, len(tail)-len(s.end)):]...)
		if n, err = c.Read(buf); errors.Is(err, io.EOF) {
			log.Fatalf("%s ended before its end", s.path(run))
		}
		proc.Check(err)
	}
}

// bare streams frames like those of byline, and does nothing else.
func bare() {
	proc.Check(http.ListenAndServe("127.0.0.1:18021", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rate, _ := strconv.Atoi(r.FormValue("rate"))
		tokens, _ := strconv.Atoi(r.FormValue("tokens"))
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w)
		flush.Flush()
		t := time.NewTicker(time.Second / time.Duration(max(rate, 1)))
		defer t.Stop()
		for i := range tokens {
			<-t.C
			fmt.Fprintf(w, "id: %d\nevent: token\ndata: {\"seq\":%d,\"run_id\":\"01920000-0000-7000-8000-000000000000\",\"at\":\"2026-01-01T00:00:00.000000Z\",\"type\":\"token\",\"data\":{\"channel\":\"draft\",\"section_id\":\"s1\",\"offset\":%d,\"text\":\" word%d\"}}\n\n", i, i, 6*i, i)
			if flush.Flush() != nil {
				return
			}
		}
	})))
}
