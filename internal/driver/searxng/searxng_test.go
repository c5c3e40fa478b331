package searxng_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"byline/internal/agent"
	"byline/internal/driver/searxng"
	"byline/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// strict is a SearXNG server below a path: it knows its parameters and answers as the test wants.
func strict(t *testing.T, answer http.HandlerFunc) *searxng.Finder {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/sub/healthz" {
			answer(w, r)
			return
		}
		q := r.URL.Query()
		if r.Method != "GET" || r.URL.Path != "/sub/search" || q.Get("q") != `a "question" & more` || q.Get("format") != "json" {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	f, err := searxng.New(strings.Replace(s.URL, "://", "://u:p@", 1) + "/sub/search/")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const query = `a "question" & more`

func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the client may have gone
	}
}

func TestFind(t *testing.T) {
	f := strict(t, says(200, `{"query":"q","number_of_results":0,"results":[
		{"url":"https://a.example/","title":"One","content":"words","publishedDate":null,"engine":"brave","score":4.0},
		{"url":"https://b.example/","title":"Two","content":"","publishedDate":"2025-03-11T13:51:50"},
		{"url":"https://c.example/","title":"Three"}],"answers":[],"infoboxes":[],"suggestions":[],"unresponsive_engines":[["google","timeout"]]}`))
	found, err := f.Find(t.Context(), query, 2)
	want := []agent.Found{{Title: "One", URL: "https://a.example/", Snippet: "words"}, {Title: "Two", URL: "https://b.example/", Published: time.Date(2025, 3, 11, 13, 51, 50, 0, time.UTC)}}
	if d := cmp.Diff(want, found); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if found, err := strict(t, says(200, `{"results":[],"unresponsive_engines":[]}`)).Find(t.Context(), query, 5); err != nil || len(found) != 0 {
		t.Errorf("got %v, %v", found, err)
	}
	if f.Name() != "SearXNG" {
		t.Error(f.Name())
	}
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		kind   fault.Kind
		code   string
		after  time.Duration
	}{
		"no JSON format":  {says(403, `<html>`), fault.Invalid, "web_search_unauthorized", 0},
		"password":        {says(401, ``), fault.Invalid, "web_search_unauthorized", 0},
		"limiter":         {says(429, `Too Many Requests`, "Retry-After", "3"), fault.Limited, "web_search_limited", 3 * time.Second},
		"limiter, silent": {says(429, ``), fault.Limited, "web_search_limited", 0},
		"broken":          {says(500, ``), fault.Unavailable, "web_search_failed", 0},
		"sent on":         {says(301, ``, "Location", "http://10.0.0.1/"), fault.Unavailable, "web_search_failed", 0},
		"a page":          {says(200, `<html>`), fault.Unavailable, "web_search_failed", 0},
		"engines are out": {says(200, `{"results":[],"unresponsive_engines":[["google","CAPTCHA"]]}`), fault.Unavailable, "web_search_failed", 0},
		"cut":             {says(200, `{}`, "Content-Length", "500"), fault.Unavailable, "web_search_failed", 0},
		"without end":     {says(200, `{"x":"`+strings.Repeat("x", 9<<20)+`"}`), fault.Unavailable, "web_search_failed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := strict(t, tt.answer).Find(t.Context(), query, 5)
			e := fault.Of(err)
			if err == nil || e.Kind != tt.kind || e.Code != tt.code || e.RetryAfter != tt.after {
				t.Errorf("got %+v", e)
			}
			if err != nil && strings.Contains(e.Say, "u:p@") {
				t.Errorf("it says %q", e.Say)
			}
		})
	}
	f, err := searxng.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Find(t.Context(), query, 5); err == nil || fault.Of(err).Code != "web_search_failed" {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Find(ctx, query, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, bad := range []string{"http://[::1", "nothing"} {
		if _, err := searxng.New(bad); err == nil || fault.Of(err).Code != "bad_configuration" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := strict(t, says(200, "OK")).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := strict(t, says(404, "")).Check(t.Context()); err != nil { // older ones have no /healthz
		t.Error(err)
	}
	if err := strict(t, says(503, "")).Check(t.Context()); err == nil || fault.Of(err).Code != "web_search_failed" {
		t.Error(err)
	}
	f, err := searxng.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(t.Context()); err == nil {
		t.Error("nobody is there")
	}
}
