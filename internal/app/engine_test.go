package app_test

import (
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// plug is a line to a server that can be pulled.
type plug struct {
	net.Listener
	to string

	mu    sync.Mutex
	out   bool
	conns []net.Conn
}

func newPlug(t *testing.T, to string) *plug {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &plug{Listener: l, to: to}
	var lines sync.WaitGroup
	lines.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			lines.Go(func() { p.connect(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.pull(true)
		lines.Wait()
	})
	return p
}

func (p *plug) connect(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	s, err := net.Dial("tcp", p.to)
	if err != nil || p.out {
		p.mu.Unlock()
		return
	}
	p.conns = append(p.conns, c, s)
	p.mu.Unlock()
	defer s.Close()
	go func() {
		_, _ = io.Copy(s, c)
		s.Close()
	}()
	_, _ = io.Copy(c, s)
}

// pull cuts the line, or plugs it in again.
func (p *plug) pull(out bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = out
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// server is where a real server runs, by the name of a part of the tests.
func server(t *testing.T, part, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		if slices.Contains(strings.Split(os.Getenv("TEST_REQUIRE"), ","), part) {
			t.Fatalf("TEST_REQUIRE names %s, but %s is not set; scripts/%s.sh starts a server.", part, variable, part)
		}
		t.Skipf("%s is not set; scripts/%s.sh starts a server.", variable, part)
	}
	return url
}

// state is that of an engine as the admin sees it.
func (p *person) state(name string) string {
	p.t.Helper()
	for _, e := range p.want(200, "GET", "/api/v1/indexes", nil).list("engines") {
		if e := e.(obj); e["name"] == name {
			return e["state"].(string)
		}
	}
	return "not listed"
}

func (p *person) await(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatal("it never came to be: ", what)
		}
	}
}

// TestChroma: a Chroma server finds by meaning once it has everything; while it is away the embedded engine does, says so,
// and nothing is lost.
func TestChroma(t *testing.T) {
	line := newPlug(t, strings.TrimPrefix(server(t, "chroma", "TEST_CHROMA_URL"), "http://"))
	dir := t.TempDir()
	setting := "CHROMADB_URL=http://" + line.Addr().String()
	s := open(t, dir, setting)
	p := s.register("owner@example.com")
	first := p.document("first.md", "# Rivers\n\nThe Danube flows through Vienna and Budapest.")
	p.await("chroma serves", func() bool { return p.state("chroma") == "serving" })
	ask := func(text string) reply {
		return p.want(200, "POST", "/api/v1/documents/search", map[string]any{"query": text, "mode": "semantic"})
	}
	found := func(r reply, document string) bool {
		return slices.ContainsFunc(r.list("results"), func(hit any) bool { return hit.(obj)["document_id"] == document })
	}
	if r := ask("Which cities are on the Danube?"); r.str("engine") != "chroma" || !found(r, first) {
		t.Errorf("%v", r.body)
	}

	line.pull(true)
	began := time.Now()
	r := ask("Which cities are on the Danube?")
	if took := time.Since(began); r.str("engine") != "embedded" || !found(r, first) || len(r.list("degraded")) != 1 || took > 2*time.Second {
		t.Errorf("%v after %v", r.body, took)
	}
	second := p.document("second.md", "# Mountains\n\nMont Blanc is the highest summit of the Alps.")
	p.want(200, "DELETE", "/api/v1/documents/"+first, nil)
	p.await("chroma is known to be away", func() bool { return p.state("chroma") == "degraded" })

	line.pull(false)
	p.await("chroma serves again", func() bool { return p.state("chroma") == "serving" })
	if r := ask("What is the tallest peak?"); r.str("engine") != "chroma" || !found(r, second) || found(r, first) {
		t.Errorf("%v", r.body)
	}
	if problems := p.compare(dir, setting); len(problems) > 0 {
		t.Error(problems)
	}
}
