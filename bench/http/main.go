// Command http measures requests per CPU-second of byline serve, of a FastAPI application with the same routes, and of bare
// net/http that sends the same bytes; then logins beside other requests, start time and idle memory.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
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
	flag.Parse()
	var err error
	*binary, err = filepath.Abs(*binary) // servers are started in another directory
	check(err)
	dir, err := os.MkdirTemp("", "byline-bench-*")
	check(err)
	defer os.RemoveAll(dir)
	if *python == "" {
		*python = venv(dir)
	}
	ours := startOurs(dir)
	defer ours.stop()
	theirs := startPeer(dir)
	defer theirs.stop()
	fill(ours)
	for _, part := range []struct {
		name string
		do   func()
	}{{"table", func() { table(ours, theirs) }}, {"logins", func() { logins(ours) }}, {"starts", func() { starts(dir) }}, {"memory", func() { memory(ours) }}} {
		if *only == "" || *only == part.name {
			part.do()
		}
	}
}

// server is a measured process.
type server struct {
	name, base, token string
	cmd               *exec.Cmd
}

func (s *server) stop() {
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Wait()
}

// cpu is the user and system time that the process has used so far.
func (s *server) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	check(err)
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (s *server) rss() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	check(err)
	for line := range strings.SplitSeq(string(data), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(v)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

func startOurs(dir string) *server {
	s := &server{name: "byline", base: "http://127.0.0.1:18000"}
	s.cmd = exec.Command(*binary, "serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:18000")
	s.cmd.Env = append(os.Environ(), "BYLINE_LIMITS=off")
	s.cmd.Dir = dir
	s.cmd.Stderr = os.Stderr
	check(s.cmd.Start())
	wait(s.base + "/health")
	call(s, "POST", "/api/v1/auth/register", `{"email":"owner@example.com","password":"correct horse battery"}`)
	s.login()
	return s
}

func (s *server) login() {
	var t struct {
		AccessToken string `json:"access_token"`
	}
	check(json.Unmarshal(call(s, "POST", "/api/v1/auth/login", `{"email":"owner@example.com","password":"correct horse battery"}`), &t))
	s.token = t.AccessToken
}

func startPeer(dir string) *server {
	s := &server{name: "fastapi", base: "http://127.0.0.1:18101"}
	// Once without measuring, so that the bytecode is there.
	s.cmd = exec.Command(*python, "-m", "uvicorn", "app:app", "--port", "18101", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
	s.cmd.Dir = "peers"
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PYTHONDONTWRITEBYTECODE=") {
			s.cmd.Env = append(s.cmd.Env, e)
		}
	}
	s.cmd.Env = append(s.cmd.Env, "PEER_DB="+filepath.Join(dir, "peer.sqlite"))
	s.cmd.Stderr = os.Stderr
	check(s.cmd.Start())
	wait(s.base + "/health")
	var t struct {
		AccessToken string `json:"access_token"`
	}
	check(json.Unmarshal(call(s, "POST", "/token", ""), &t))
	s.token = t.AccessToken
	return s
}

// fill uploads 200 documents, as many as the peer has.
func fill(s *server) {
	for i := range 200 {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		part, err := form.CreateFormFile("file", fmt.Sprintf("document-%d.md", i))
		check(err)
		fmt.Fprintf(part, "# Document %d\n\nThe boiler of house %d was replaced in spring, and its heating costs fell by %d percent.\n", i, i, i%40)
		check(form.Close())
		req, err := http.NewRequest("POST", s.base+"/api/v1/documents/upload", &b)
		check(err)
		req.Header.Set("Content-Type", form.FormDataContentType())
		do(s, req)
	}
	for {
		var page struct {
			Total int `json:"total"`
		}
		check(json.Unmarshal(call(s, "GET", "/api/v1/documents?status=completed&limit=1", ""), &page))
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

func table(ours, theirs *server) {
	routes := []route{
		{name: "health", method: "GET", path: "/health", peerPath: "/health"},
		{name: "authenticated read (me)", method: "GET", path: "/api/v1/auth/me", peerPath: "/api/v1/auth/me"},
		{name: "list of 200 documents", method: "GET", path: "/api/v1/documents?limit=200", peerPath: "/api/v1/documents?limit=200", bare: true},
		{name: "search (ours searches, theirs only answers)", method: "POST", path: "/api/v1/documents/search", peerPath: "/api/v1/documents/search", body: `{"query":"heating costs boiler","top_k":5}`},
	}
	fmt.Printf("| route | byline /CPU-s | fastapi /CPU-s | byline : fastapi | bare net/http /CPU-s | CPU of byline : bare |\n|---|---|---|---|---|---|\n")
	for _, r := range routes {
		bareServer := (*server)(nil)
		if r.bare {
			bareServer = startBare(call(ours, r.method, r.path, r.body))
		}
		var a, b, c []float64
		for range *rounds {
			a = append(a, measure(ours, r, r.path))
			b = append(b, measure(theirs, r, r.peerPath))
			if bareServer != nil {
				c = append(c, measure(bareServer, r, "/"))
			}
		}
		fmt.Printf("| %s | %.0f | %.0f | %.1fx |", r.name, median(a), median(b), median(a)/median(b))
		if bareServer != nil {
			fmt.Printf(" %.0f | %.1fx |\n", median(c), median(c)/median(a))
			bareServer.stop()
		} else {
			fmt.Printf(" | |\n")
		}
	}
}

// startBare serves the same bytes by net/http and nothing else: this very program in another process.
func startBare(body []byte) *server {
	f, err := os.CreateTemp("", "bare-*")
	check(err)
	f.Write(body)
	check(f.Close())
	s := &server{name: "bare", base: "http://127.0.0.1:18102"}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), "BENCH_BARE="+f.Name())
	check(s.cmd.Start())
	wait(s.base)
	return s
}

func init() {
	if name := os.Getenv("BENCH_BARE"); name != "" {
		body, err := os.ReadFile(name)
		check(err)
		os.Remove(name)
		check(http.ListenAndServe("127.0.0.1:18102", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(body)
		})))
	}
}

// measure gives requests per CPU-second of one round of wrk.
func measure(s *server, r route, path string) float64 {
	args := []string{"-t1", "-c16", fmt.Sprintf("-d%ds", int(length.Seconds())), "-H", "Authorization: Bearer " + s.token}
	if r.body != "" {
		script, err := os.CreateTemp("", "wrk-*.lua")
		check(err)
		defer os.Remove(script.Name())
		fmt.Fprintf(script, "wrk.method=%q wrk.body=%q wrk.headers[\"Content-Type\"]=\"application/json\"", r.method, r.body)
		check(script.Close())
		args = append(args, "-s", script.Name())
	}
	before := s.cpu()
	out, err := exec.Command("wrk", append(args, s.base+path)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Non-2xx") {
		log.Fatalf("wrk %s%s: %v\n%s", s.base, path, err, out)
	}
	used := s.cpu() - before
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
func logins(s *server) {
	var ratios, alone, beside []float64
	for range *rounds {
		quiet := p99(s, *length)
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
						req, _ := http.NewRequest("POST", s.base+"/api/v1/auth/login", strings.NewReader(`{"email":"owner@example.com","password":"correct horse battery"}`))
						req.Header.Set("Content-Type", "application/json")
						resp, err := apart.Do(req)
						check(err)
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
	fmt.Printf("\np99 of authenticated reads while 4 clients log in : alone = %.2fx (%.2f ms : %.2f ms, medians of %d)\n",
		median(ratios), median(beside), median(alone), *rounds)
}

// p99 of one client that asks every two milliseconds: a steady load, so that the figure is latency and not queueing.
func p99(s *server, d time.Duration) time.Duration {
	var all []time.Duration
	end := time.Now().Add(d)
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for time.Now().Before(end) {
		<-t.C
		began := time.Now()
		call(s, "GET", "/api/v1/auth/me", "")
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// starts measures how long an empty library takes until it answers.
func starts(dir string) {
	var took []float64
	for i := range 2 * *rounds {
		data := filepath.Join(dir, fmt.Sprintf("empty-%d", i))
		cmd := exec.Command(*binary, "serve", "--data", data, "--listen", "127.0.0.1:18001")
		cmd.Dir = dir
		began := time.Now()
		check(cmd.Start())
		wait("http://127.0.0.1:18001/readyz")
		took = append(took, time.Since(began).Seconds())
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	fmt.Printf("ready with an empty library: %.3f s (median of %d)\n", median(took), len(took))
}

func memory(s *server) {
	for range 100 {
		s.login()
	}
	at := s.rss()
	time.Sleep(*idle)
	fmt.Printf("resident after 100 logins: %.0f MB at once, %.0f MB idle after %v\n", at, s.rss(), *idle)
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

func call(s *server, method, path, body string) []byte {
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return do(s, req)
}

func do(s *server, req *http.Request) []byte {
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	check(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	check(err)
	if resp.StatusCode >= 300 {
		log.Fatalf("%s %s: %s\n%s", req.Method, req.URL, resp.Status, data)
	}
	return data
}

func wait(url string) {
	for range 3000 {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	log.Fatalf("%s never answered", url)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
