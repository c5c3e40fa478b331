// Command http measures requests per CPU-second of byline serve, of a FastAPI application with the same routes, and of bare
// net/http that sends the same bytes; then logins beside other requests, start time and idle memory.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"byline/bench/internal/proc"
)

var (
	binary = flag.String("byline", "../bin/byline", "program to measure")
	python = flag.String("python", "", "python with the peer's requirements (default: a venv in a temporary folder)")
	rounds = flag.Int("rounds", 5, "measured rounds of each route; medians are printed")
	length = flag.Duration("length", 3*time.Second, "of a round")
	only   = flag.String("only", "", "one part: table, logins, starts, memory")
	idle   = flag.Duration("idle", 60*time.Second, "wait before idle memory is read")
)

func main() {
	if name := os.Getenv("BENCH_BARE"); name != "" {
		bare(name)
		return
	}
	flag.Parse()
	var err error
	*binary, err = filepath.Abs(*binary) // servers are started in another directory
	proc.Check(err)
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	ours := startOurs(dir)
	defer ours.Stop()
	fill(ours)
	for _, part := range []struct {
		name string
		do   func()
	}{{"table", func() { table(dir, ours) }}, {"logins", func() { logins(ours) }}, {"starts", func() { starts(dir) }}, {"memory", func() { memory(ours) }}} {
		if *only == "" || *only == part.name {
			part.do()
		}
	}
}

func startOurs(dir string) *proc.Server {
	s := proc.Start(*binary, dir, "18000", "BYLINE_LIMITS=off")
	s.Register()
	return s
}

func startPeer(dir string) *proc.Server {
	s := &proc.Server{Base: "http://127.0.0.1:18101"}
	s.Cmd = exec.Command(*python, "-m", "uvicorn", "app:app", "--port", "18101", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
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
	var t struct {
		AccessToken string `json:"access_token"`
	}
	proc.Check(json.Unmarshal(s.Call("POST", "/token", ""), &t))
	s.Token = t.AccessToken
	return s
}

// fill uploads 200 documents, as many as the peer has.
func fill(s *proc.Server) {
	for i := range 200 {
		text := fmt.Sprintf("# Document %d\n\nThe boiler of house %d was replaced in spring, and its heating costs fell by %d percent.\n", i, i, i%40)
		s.Upload(fmt.Sprintf("document-%d.md", i), strings.NewReader(text), "")
	}
	for {
		var page struct {
			Total int `json:"total"`
		}
		proc.Check(json.Unmarshal(s.Call("GET", "/api/v1/documents?status=completed&limit=1", ""), &page))
		if page.Total == 200 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

type route struct {
	name, method, path, peerPath, body string
	bare                               bool
}

func table(dir string, ours *proc.Server) {
	if *python == "" {
		*python = venv(dir)
	}
	theirs := startPeer(dir)
	defer theirs.Stop()
	routes := []route{
		{name: "health", method: "GET", path: "/health", peerPath: "/health"},
		{name: "authenticated read (me)", method: "GET", path: "/api/v1/auth/me", peerPath: "/api/v1/auth/me"},
		{name: "list of 200 documents", method: "GET", path: "/api/v1/documents?limit=200", peerPath: "/api/v1/documents?limit=200", bare: true},
		{name: "search (ours searches, theirs only answers)", method: "POST", path: "/api/v1/documents/search", peerPath: "/api/v1/documents/search", body: `{"query":"heating costs boiler","top_k":5}`},
	}
	fmt.Printf("| route | byline /CPU-s | fastapi /CPU-s | byline : fastapi | bare net/http /CPU-s | CPU of byline : bare |\n|---|---|---|---|---|---|\n")
	for _, r := range routes {
		bareServer := (*proc.Server)(nil)
		if r.bare {
			bareServer = startBare(ours.Call(r.method, r.path, r.body))
		}
		var a, b, c []float64
		for range *rounds {
			a = append(a, measure(ours, r, r.path))
			b = append(b, measure(theirs, r, r.peerPath))
			if bareServer != nil {
				c = append(c, measure(bareServer, r, "/"))
			}
		}
		fmt.Printf("| %s | %.0f | %.0f | %.1fx |", r.name, proc.Median(a), proc.Median(b), proc.Median(a)/proc.Median(b))
		if bareServer != nil {
			fmt.Printf(" %.0f | %.1fx |\n", proc.Median(c), proc.Median(c)/proc.Median(a))
			bareServer.Stop()
		} else {
			fmt.Printf(" | |\n")
		}
	}
}

// startBare serves the same bytes by net/http and nothing else: this very program in another process.
func startBare(body []byte) *proc.Server {
	f, err := os.CreateTemp("", "bare-*")
	proc.Check(err)
	f.Write(body)
	proc.Check(f.Close())
	s := &proc.Server{Base: "http://127.0.0.1:18102"}
	s.Cmd = exec.Command(os.Args[0])
	s.Cmd.Env = append(os.Environ(), "BENCH_BARE="+f.Name())
	proc.Check(s.Cmd.Start())
	proc.Wait(s.Base)
	return s
}

// bare sends a file as the answer to everything.
func bare(name string) {
	body, err := os.ReadFile(name)
	proc.Check(err)
	proc.Check(os.Remove(name))
	proc.Check(http.ListenAndServe("127.0.0.1:18102", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})))
}

// measure gives requests per CPU-second of one round of wrk.
func measure(s *proc.Server, r route, path string) float64 {
	args := []string{"-t1", "-c16", fmt.Sprintf("-d%ds", int(length.Seconds())), "-H", "Authorization: Bearer " + s.Token}
	if r.body != "" {
		script, err := os.CreateTemp("", "wrk-*.lua")
		proc.Check(err)
		defer os.Remove(script.Name())
		fmt.Fprintf(script, "wrk.method=%q wrk.body=%q wrk.headers[\"Content-Type\"]=\"application/json\"", r.method, r.body)
		proc.Check(script.Close())
		args = append(args, "-s", script.Name())
	}
	before := s.CPU()
	out, err := exec.Command("wrk", append(args, s.Base+path)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Non-2xx") {
		log.Fatalf("wrk %s%s: %v\n%s", s.Base, path, err, out)
	}
	used := s.CPU() - before
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "requests" {
			n, _ := strconv.Atoi(f[0])
			return float64(n) / used.Seconds()
		}
	}
	log.Fatalf("wrk said nothing of requests:\n%s", out)
	return 0
}

// logins compares the p99 of another request while four clients log in without pause with that of quiet times.
// logins also measures what the machine itself costs: the same requests beside a process of the lowest priority that only spins.
func logins(s *proc.Server) {
	var ratios, floor, alone, beside []float64
	for range *rounds {
		quiet := p99(s, *length)
		spinner := exec.Command("nice", "-n", "19", "sh", "-c", "while :; do :; done")
		proc.Check(spinner.Start())
		spun := p99(s, *length)
		proc.Check(spinner.Process.Kill())
		_ = spinner.Wait() // killed
		floor = append(floor, spun.Seconds()/quiet.Seconds())
		stop := make(chan struct{})
		var clients sync.WaitGroup
		apart := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}} // the other requests keep their connection
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						req, _ := http.NewRequest("POST", s.Base+"/api/v1/auth/login", strings.NewReader(`{"email":"owner@example.com","password":"correct horse battery"}`))
						req.Header.Set("Content-Type", "application/json")
						resp, err := apart.Do(req)
						proc.Check(err)
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				}
			})
		}
		busy := p99(s, *length)
		close(stop)
		clients.Wait()
		ratios = append(ratios, busy.Seconds()/quiet.Seconds())
		alone, beside = append(alone, quiet.Seconds()*1000), append(beside, busy.Seconds()*1000)
	}
	fmt.Printf("\np99 of authenticated reads while 4 clients log in : alone = %.2fx (%.2f ms : %.2f ms, medians of %d)\nbeside a process that only spins : alone = %.2fx\n",
		proc.Median(ratios), proc.Median(beside), proc.Median(alone), *rounds, proc.Median(floor))
}

// p99 of one client that asks every two milliseconds: a steady load, so that the figure is latency and not queueing.
func p99(s *proc.Server, d time.Duration) time.Duration {
	var all []time.Duration
	end := time.Now().Add(d)
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for time.Now().Before(end) {
		<-t.C
		began := time.Now()
		s.Call("GET", "/api/v1/auth/me", "")
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// starts measures how long an empty library takes until it answers.
func starts(dir string) {
	var took []float64
	for i := range 2 * *rounds {
		empty := filepath.Join(dir, fmt.Sprintf("empty-%d", i))
		proc.Check(os.Mkdir(empty, 0o700))
		began := time.Now()
		s := proc.Start(*binary, empty, "18001")
		took = append(took, time.Since(began).Seconds())
		s.Stop()
	}
	fmt.Printf("ready with an empty library: %.3f s (median of %d)\n", proc.Median(took), len(took))
}

func memory(s *proc.Server) {
	for range 100 {
		s.Login()
	}
	at, _ := s.RSS()
	time.Sleep(*idle)
	after, _ := s.RSS()
	fmt.Printf("resident after 100 logins: %.0f MB at once, %.0f MB idle after %v\n", at, after, *idle)
}

func venv(dir string) string {
	env := filepath.Join(dir, "venv")
	for _, args := range [][]string{{"python3", "-m", "venv", env}, {filepath.Join(env, "bin/pip"), "install", "-q", "-r", "peers/requirements.txt"}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			log.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(env, "bin/python")
}
