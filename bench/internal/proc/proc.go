// Package proc starts byline as a process of its own and measures it from outside.
package proc

import (
	"bytes"
	"encoding/json"
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
	"syscall"
	"time"
)

// Server is a measured process.
type Server struct {
	Base, Token string
	Cmd         *exec.Cmd
	pid         int
}

// Of is a server that somebody else has started.
func Of(base string, pid int) *Server { return &Server{Base: base, pid: pid} }

// Start runs the program's server on a data directory and a port, and waits until it is ready.
func Start(binary, dir, port string, env ...string) *Server {
	binary, err := filepath.Abs(binary)
	Check(err)
	s := &Server{Base: "http://127.0.0.1:" + port}
	s.Cmd = exec.Command(binary, "serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:"+port)
	s.Cmd.Env = append(os.Environ(), env...)
	s.Cmd.Dir = dir
	s.Cmd.Stderr = os.Stderr
	Check(s.Cmd.Start())
	Wait(s.Base + "/readyz")
	return s
}

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	s.Cmd.Process.Signal(os.Interrupt)
	s.Cmd.Wait()
}

const owner = `{"email":"owner@example.com","password":"correct horse battery"}`

// Register opens the first account and logs in.
func (s *Server) Register() {
	s.Call("POST", "/api/v1/auth/register", owner)
	s.Login()
}

// Login makes later calls those of the first account.
func (s *Server) Login() {
	var t struct {
		AccessToken string `json:"access_token"`
	}
	Check(json.Unmarshal(s.Call("POST", "/api/v1/auth/login", owner), &t))
	s.Token = t.AccessToken
}

// Call makes a request whose body is JSON, or empty.
func (s *Server) Call(method, path, body string) []byte {
	req, err := http.NewRequest(method, s.Base+path, strings.NewReader(body))
	Check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return s.do(req)
}

func (s *Server) do(req *http.Request) []byte {
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	Check(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	Check(err)
	if resp.StatusCode >= 300 {
		log.Fatalf("%s %s: %s\n%s", req.Method, req.URL, resp.Status, data)
	}
	return data
}

// Upload streams a file and gives its document's id.
func (s *Server) Upload(name string, content io.Reader, query string) string {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, content)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	req, err := http.NewRequest("POST", s.Base+"/api/v1/documents/upload"+query, r)
	Check(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	var d struct{ ID string }
	Check(json.Unmarshal(s.do(req), &d))
	return d.ID
}

// Completed waits until a document can be found, asking seldom: asking costs the server too.
func (s *Server) Completed(id string) {
	for {
		var d struct{ Status, Error string }
		Check(json.Unmarshal(s.Call("GET", "/api/v1/documents/"+id, ""), &d))
		switch d.Status {
		case "completed":
			return
		case "failed":
			log.Fatalf("document %s failed: %s", id, d.Error)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tree is the process and its descendants.
func (s *Server) tree() []int {
	pids := []int{s.pid}
	if s.Cmd != nil {
		pids[0] = s.Cmd.Process.Pid
	}
	for i := 0; i < len(pids); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, list := range lists {
			data, _ := os.ReadFile(list)
			for _, f := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(f); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// CPU is the user and system time that the process and its children have used so far, those that have ended included.
func (s *Server) CPU() (sum time.Duration) {
	for _, pid := range s.tree() {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended; its parent has its time
		}
		f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
		for _, field := range f[11:15] { // own user and system, children's user and system
			ticks, _ := strconv.Atoi(field)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

// Own is the user and system time that this process has used so far.
func Own() time.Duration {
	var u syscall.Rusage
	Check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// RSS is the resident memory in MB: of the server alone, and with its children.
func (s *Server) RSS() (own, all float64) {
	for i, pid := range s.tree() {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.SplitSeq(string(data), "\n") {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kb, _ := strconv.Atoi(strings.Fields(v)[0])
				all += float64(kb) / 1024
				if i == 0 {
					own = all
				}
			}
		}
	}
	return own, all
}

// Peak samples memory every 20 ms while do runs.
func (s *Server) Peak(do func()) (own, all float64) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		o, a := s.RSS()
		own, all = max(own, o), max(all, a)
		select {
		case <-done:
			return own, all
		case <-t.C:
		}
	}
}

// Settled is the server's resident memory once it sinks no more: idle memory is given back in time. It waits two minutes at most.
func (s *Server) Settled() float64 {
	low, quiet := 0.0, 0
	for range 120 {
		time.Sleep(time.Second)
		own, _ := s.RSS()
		if quiet++; low == 0 || own < low*.99 {
			low, quiet = own, 0
		}
		if quiet == 40 {
			break
		}
	}
	own, _ := s.RSS()
	return own
}

// Wait asks until the address answers 200.
func Wait(url string) {
	for range 15000 {
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

// Load says how busy the machine is.
func Load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// Median of values, which are sorted by it.
func Median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// Least of values: of measurements of CPU the one that other programs touched least, who share caches and the core.
func Least(v []float64) float64 { return slices.Min(v) }

// Check ends the program at an error.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
