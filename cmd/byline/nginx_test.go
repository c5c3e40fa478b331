package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy starts nginx with the file of the documentation in front of servers, and gives its address. more goes into http {}.
func (c *cluster) proxy(more string, behind ...*replica) string {
	t := c.t
	t.Helper()
	program := os.Getenv("TEST_NGINX")
	if program == "" {
		if strings.Contains(","+os.Getenv("TEST_REQUIRE")+",", ",nginx,") {
			t.Fatal("TEST_REQUIRE names nginx, but TEST_NGINX is not set; scripts/replicas.sh sets it")
		}
		t.Skip("TEST_NGINX is not set: nginx is not here")
	}
	conf, err := os.ReadFile(filepath.Join("..", "..", "docs", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := freeAddr(t), t.TempDir()
	own := []string{"listen 8000;", "listen " + addr + ";"}
	for i, r := range behind {
		own = append(own, fmt.Sprintf("127.0.0.1:800%d", i+1), r.addr)
	}
	if len(behind) == 1 {
		own = append(own, "server 127.0.0.1:8002", "# server 127.0.0.1:8002")
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // else its workers can't read the directory of this test
	}
	whole := fmt.Sprintf("daemon off; pid %[1]s/pid; error_log %[1]s/error.log warn; worker_processes 2; %[2]s events {} http { access_log %[1]s/access.log; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; "+
		"fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; %[3]s\n%[4]s\n}", dir, user, more, strings.NewReplacer(own...).Replace(string(conf)))
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", path, "-e", filepath.Join(dir, "error.log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have gone
		cmd.Wait()                       //nolint:errcheck // it was stopped
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("nginx says:\n%s", log[:min(len(log), 5000)])
		}
	})
	for end := time.Now().Add(10 * time.Second); ready("http://"+addr) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("nginx does not answer:\n%s", log)
		}
	}
	return addr
}

// load is what happens while servers are restarted. Every request must be answered well at its first try.
type load struct {
	v        *victim
	docs     string
	stop     atomic.Bool
	requests atomic.Int64
	sessions atomic.Int64
	posts    atomic.Int64
	cuts     atomic.Int64

	mu     sync.Mutex
	failed []string
}

func (l *load) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// ask makes one request, once.
func (l *load) ask(ctx context.Context, method, path, body string, header ...string) (answer []byte, ok bool) {
	l.requests.Add(1)
	resp, err := l.v.request(ctx, method, path, strings.NewReader(body), header...)
	if err != nil {
		l.wrong("%s %s: %v", method, path, err)
		return nil, false
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode >= 300 {
		l.wrong("%s %s: %s %v %.200s", method, path, resp.Status, err, answer)
		return nil, false
	}
	return answer, true
}

func (l *load) read(ctx context.Context) {
	for i := 0; !l.stop.Load(); i++ {
		l.ask(ctx, "GET", []string{"/blog", "/auth/me", "/documents", "/sessions"}[i%4], "")
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *load) begin(ctx context.Context) {
	for !l.stop.Load() {
		n := l.sessions.Add(1)
		l.ask(ctx, "POST", "/sessions", fmt.Sprintf(`{"name":"Talk %d"}`, n), "Idempotency-Key", fmt.Sprintf("talk-%d", n))
		time.Sleep(5 * time.Millisecond)
	}
}

// write has posts written, one after the other, and reads each along.
func (l *load) write(ctx context.Context) {
	for !l.stop.Load() {
		var started struct{ Draft, Run struct{ ID string } }
		body, ok := l.ask(ctx, "POST", "/blog/generate", `{"document_ids":[`+l.docs+`]}`, "Idempotency-Key", fmt.Sprintf("post-%d", l.posts.Add(1)))
		if !ok || json.Unmarshal(body, &started) != nil {
			return
		}
		rd := l.v.read(ctx, started.Run.ID, nil)
		if rd.refused > 0 {
			l.wrong("a stream was refused %d times", rd.refused)
		}
		l.requests.Add(int64(rd.came))
		l.cuts.Add(int64(rd.came) - 1)
		l.v.written(started.Draft.ID, rd)
	}
}

// Two servers behind nginx are restarted ten times, one after the other, while requests come in, posts are written and read along. No request fails, no
// run is lost, and nothing is done twice (fault 20).
func TestRollingRestart(t *testing.T) {
	c, _ := withModel(t, 20*time.Millisecond, "BYLINE_DRAIN_TIMEOUT=2s")
	servers := []*replica{c.replica(), c.replica()}
	c.at(servers[0].addr) // the first account is opened without a proxy
	v := c.at(c.proxy("", servers...))
	l := &load{v: v, docs: v.sources()}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { l.read(ctx) })
		all.Go(func() { l.begin(ctx) })
		all.Go(func() { l.write(ctx) })
	}
	const restarts = 10
	for i := range restarts {
		servers[i%2].stop()
		servers[i%2].start()
		time.Sleep(2500 * time.Millisecond) // longer than nginx leaves it alone
	}
	l.stop.Store(true)
	all.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(l.failed), l.requests.Load(), strings.Join(l.failed[:min(len(l.failed), 20)], "\n"))
	}
	for path, want := range map[string]int64{"/sessions": l.sessions.Load(), "/blog": l.posts.Load(), "/runs?kind=generate&status=completed": l.posts.Load()} {
		var n struct{ Total int64 }
		if v.ask("GET", path, "", &n); n.Total != want {
			t.Errorf("%s has %d, %d were asked for", path, n.Total, want)
		}
	}
	t.Logf("%d restarts, %d requests, %d posts whose %d streams were cut and resumed, %d sessions: %d failed", restarts, l.requests.Load(), l.posts.Load(), l.cuts.Load(), l.sessions.Load(), len(l.failed))
}
