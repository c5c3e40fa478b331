package app_test

import (
	"io"
	"net"
	"net/url"
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
	at := os.Getenv(variable)
	if at == "" {
		if slices.Contains(strings.Split(os.Getenv("TEST_REQUIRE"), ","), part) {
			t.Fatalf("TEST_REQUIRE names %s, but %s is not set; scripts/%s.sh starts a server.", part, variable, part)
		}
		t.Skipf("%s is not set; scripts/%s.sh starts a server.", variable, part)
	}
	return at
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

// TestEngineOutside: a real server answers once it has everything; while it is away the embedded engine does, says so, and
// nothing is lost.
func TestEngineOutside(t *testing.T) {
	for _, tc := range []struct{ server, variable, engine, setting string }{
		{"chroma", "TEST_CHROMA_URL", "chroma", "CHROMADB_URL"},
		{"elasticsearch", "TEST_ELASTICSEARCH_URL", "elasticsearch", "ELASTICSEARCH_URL"},
		{"opensearch", "TEST_OPENSEARCH_URL", "elasticsearch", "ELASTICSEARCH_URL"},
	} {
		t.Run(tc.server, func(t *testing.T) {
			u, err := url.Parse(server(t, tc.server, tc.variable))
			if err != nil {
				t.Fatal(err)
			}
			line := newPlug(t, u.Host)
			u.Host = line.Addr().String()
			settings := []string{tc.setting + "=" + u.String()}
			if ca := os.Getenv("TEST_ELASTICSEARCH_CA"); ca != "" && u.Scheme == "https" {
				settings = append(settings, "ELASTICSEARCH_CA_FILE="+ca)
			}
			testEngine(t, tc.engine, line, settings)
		})
	}
}

func testEngine(t *testing.T, engine string, line *plug, settings []string) {
	dir := t.TempDir()
	s := open(t, dir, settings...)
	p := s.register("owner@example.com")
	first := p.document("first.md", "# Rivers\n\nThe Danube flows through Vienna and Budapest.")
	p.await("it serves", func() bool { return p.state(engine) == "serving" })
	ask := func(text string) reply {
		return p.want(200, "POST", "/api/v1/documents/search", map[string]any{"query": text, "mode": "semantic"})
	}
	found := func(r reply, document string) bool {
		return slices.ContainsFunc(r.list("results"), func(hit any) bool { return hit.(obj)["document_id"] == document })
	}
	if r := ask("Which cities are on the Danube?"); r.str("engine") != engine || !found(r, first) {
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
	p.await("it is known to be away", func() bool { return p.state(engine) == "degraded" })

	line.pull(false)
	p.await("it serves again", func() bool { return p.state(engine) == "serving" })
	if r := ask("What is the tallest peak?"); r.str("engine") != engine || !found(r, second) || found(r, first) {
		t.Errorf("%v", r.body)
	}
	if problems := p.compare(dir, settings); len(problems) > 0 {
		t.Error(problems)
	}
}
