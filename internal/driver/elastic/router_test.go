package elastic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"byline/internal/driver/elastic"
	"byline/internal/ident"
	"byline/internal/search"
	"byline/internal/search/searchtest"
)

// fallback is how long an answer may take when the engine fails.
const fallback = 300 * time.Millisecond

// home is the engine that is always there. It finds "home".
type home struct{}

func (home) Lexical(context.Context, search.Query) (search.Found, error) {
	return search.Found{Candidates: []search.Candidate{{PassageID: "home", Score: 1}}, Total: 1}, nil
}

func (home) Vector(ctx context.Context, q search.Query) (search.Found, error) {
	return home{}.Lexical(ctx, q)
}

func (home) Info(context.Context) (search.Info, error) { return search.Info{}, nil }

func (home) Known(context.Context, ident.Workspace, string) (float64, error) { return 1, nil }

func router(e search.Engine) *search.Router {
	return search.NewRouter([]search.Named{{Name: "elasticsearch", Engine: e}}, home{}, search.RouterOptions{Pause: 50 * time.Millisecond})
}

// fallsBack asks both legs several times: each answer is that of the embedded engine, in time, and names the reason. One may
// come late, because the machine has other things to do.
func fallsBack(t *testing.T, r *search.Router, codes ...string) {
	t.Helper()
	late := 0
	for _, q := range slices.Repeat([]search.Query{words, meaning}, 3) {
		began := time.Now()
		ask := r.Lexical
		if q.Vector != nil {
			ask = r.Vector
		}
		found, err := ask(t.Context(), q)
		if took := time.Since(began); took > fallback {
			if late++; late > 1 {
				t.Errorf("an answer took %v", took)
			}
		}
		if err != nil || found.Engine != "embedded" || !slices.Equal(ids(found), []string{"home"}) {
			t.Errorf("%v of %q: %v", ids(found), found.Engine, err)
		}
		if len(found.Degraded) != 1 || !slices.Contains(codes, found.Degraded[0]) {
			t.Errorf("degraded is %v, not one of %v", found.Degraded, codes)
		}
	}
}

// answersAgain waits until the engine answers.
func answersAgain(t *testing.T, r *search.Router) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // real time passes
		one, err := r.Lexical(t.Context(), words)
		two, err2 := r.Vector(t.Context(), meaning)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if one.Engine == "elasticsearch" && two.Engine == "elasticsearch" && len(one.Degraded)+len(two.Degraded) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the engine doesn't come back: %v, %v", one.Degraded, two.Degraded)
		}
	}
}

// TestRouterFallsBack lets a server fail as servers do.
func TestRouterFallsBack(t *testing.T) {
	const partial = `{"timed_out":false,"_shards":{"total":2,"successful":1,"failed":1},"hits":{"hits":[]}}`
	rows := []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		code   string
	}{
		{"429", func(w http.ResponseWriter, _ *http.Request) { say(429, ``)(w) }, "elasticsearch_busy"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { say(503, ``)(w) }, "elasticsearch_busy"},
		{"500", func(w http.ResponseWriter, _ *http.Request) { say(500, ``)(w) }, "elasticsearch_refused"},
		{"401", func(w http.ResponseWriter, _ *http.Request) { say(401, ``)(w) }, "elasticsearch_denied"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "elasticsearch_refused"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "elasticsearch_timeout"},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, " ")
				http.NewResponseController(w).Flush()
				time.Sleep(10 * time.Millisecond) // as slow servers do
			}
		}, "elasticsearch_timeout"},
		{"partial shards", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "_msearch") {
				fmt.Fprintf(w, `{"responses":[%s,%[1]s]}`, partial)
			} else {
				io.WriteString(w, partial)
			}
		}, "elasticsearch_partial"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			server := httptest.NewServer(f)
			defer server.Close()
			e := opened(t, elastic.Options{URLs: server.URL})
			ready(t, e)
			r := router(e)
			answersAgain(t, r)
			f.trouble(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if r.Method == http.MethodPost { // the searches
					row.answer(w, r)
				}
				return r.Method == http.MethodPost
			})
			fallsBack(t, r, row.code)
			f.trouble(nil)
			answersAgain(t, r)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		fallsBack(t, router(opened(t, elastic.Options{URLs: server.URL})), "elasticsearch_refused")
	})
	t.Run("not filled yet", func(t *testing.T) {
		fallsBack(t, router(faked(t, newFake(), elastic.Options{})), "elasticsearch_building")
	})
}

// TestThroughToxiproxy lets the network to a real server fail. Afterwards the engine holds what it should.
func TestThroughToxiproxy(t *testing.T) {
	server := searchtest.Server(t, "TEST_ELASTICSEARCH_URL", "elasticsearch")
	p := proxied(t, searchtest.Server(t, "TEST_TOXIPROXY_URL", "toxiproxy"), server)
	e := opened(t, elastic.Options{URLs: p.url, CAFile: os.Getenv("TEST_ELASTICSEARCH_CA"), Prefix: searchtest.Fresh(), Attempts: 1, Timeout: time.Second})
	t.Cleanup(func() { searchtest.Clear(t, e) })
	ready(t, e)
	var sum uint64 = 1
	rows := []struct {
		name, toxic string
		codes       []string
	}{
		{"down", ``, []string{"elasticsearch_refused"}},
		{"hangs", `{"type":"timeout","attributes":{"timeout":0}}`, []string{"elasticsearch_timeout"}},
		{"slow", `{"type":"latency","attributes":{"latency":1000}}`, []string{"elasticsearch_timeout"}},
		{"slow to take", `{"type":"bandwidth","stream":"upstream","attributes":{"rate":0}}`, []string{"elasticsearch_timeout"}},
		{"reset", `{"type":"reset_peer","attributes":{"timeout":0}}`, []string{"elasticsearch_refused"}},
		{"cut", `{"type":"limit_data","attributes":{"bytes":40}}`, []string{"elasticsearch_refused"}},
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := router(e)
			answersAgain(t, r)
			p.spoil(t, row.toxic)
			fallsBack(t, r, row.codes...)
			// What is written meanwhile may have been done or not; it is written again.
			o := put(fmt.Sprint("p", i), "pear", 1, float32(i), 0)
			o.Hash = 0x9e3779b97f4a7c15 * uint64(i+1)
			sum += o.Hash
			if _, err := e.Apply(t.Context(), "g", ws, []search.Operation{o}); err == nil {
				t.Error("a write is answered")
			}
			p.heal(t)
			answersAgain(t, r)
			if failed, err := e.Apply(t.Context(), "g", ws, []search.Operation{o}); err != nil || failed != nil {
				t.Fatal(failed, err)
			}
			held, err := e.Held(t.Context(), "g", ws)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "held", search.Holding{Passages: i + 2, Digest: sum}, held)
		})
	}
}

// proxy is one of Toxiproxy's.
type proxy struct{ api, url string }

func proxied(t *testing.T, api, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := searchtest.Fresh()
	var made struct{ Listen string }
	p := &proxy{api: api + "/proxies/" + name}
	upstream := strings.Replace(u.Host, "localhost", "127.0.0.1", 1)
	p.call(t, http.MethodPost, api+"/proxies", fmt.Sprintf(`{"name":%q,"listen":"127.0.0.1:0","upstream":%q}`, name, upstream), &made)
	u.Host = strings.Replace(made.Listen, "127.0.0.1", u.Hostname(), 1)
	p.url = u.String()
	t.Cleanup(func() { p.call(t, http.MethodDelete, p.api, "", nil) })
	return p
}

func (p *proxy) call(t *testing.T, method, url, body string, out any) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode > 299 {
		t.Fatalf("Toxiproxy answers %d: %s, %v", a.StatusCode, data, err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatal(err)
		}
	}
}

// spoil adds a toxic; without one nobody listens.
func (p *proxy) spoil(t *testing.T, toxic string) {
	t.Helper()
	if toxic == "" {
		p.call(t, http.MethodPost, p.api, `{"enabled":false}`, nil)
		return
	}
	p.call(t, http.MethodPost, p.api+"/toxics", strings.Replace(toxic, "{", `{"name":"toxic",`, 1), nil)
}

// heal makes all well, on new connections.
func (p *proxy) heal(t *testing.T) {
	t.Helper()
	p.call(t, http.MethodPost, p.api, `{"enabled":false}`, nil)
	p.call(t, http.MethodPost, strings.Split(p.api, "/proxies/")[0]+"/reset", ``, nil)
}
