package tavily_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"byline/internal/agent"
	"byline/internal/driver/tavily"
	"byline/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// strict is Tavily's endpoint: it refuses whatever is not as its documentation says, then answers as the test wants.
func strict(t *testing.T, answer http.HandlerFunc) *tavily.Finder {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q map[string]any
		d := json.NewDecoder(r.Body)
		if err := d.Decode(&q); err != nil || r.Method != "POST" || r.URL.Path != "/search" || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, `{"detail":{"error":"bad request"}}`, http.StatusBadRequest)
			return
		}
		if r.Header.Get("Authorization") != "Bearer tvly-key" {
			http.Error(w, `{"detail":{"error":"Unauthorized: missing or invalid API key."}}`, http.StatusUnauthorized)
			return
		}
		for k := range q {
			if k != "query" && k != "max_results" && k != "search_depth" {
				t.Errorf("unknown field %s", k)
			}
		}
		if n, ok := q["max_results"].(float64); !ok || n < 1 || n > 20 || q["query"] == "" || q["search_depth"] != "basic" {
			http.Error(w, `{"detail":{"error":"Invalid"}}`, http.StatusUnprocessableEntity)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return tavily.New(s.URL+"/", "tvly-key")
}

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
	f := strict(t, says(200, `{"query":"q","answer":null,"images":[],"response_time":"1.67","results":[
		{"title":"One","url":"https://a.example/","content":"words","score":0.98,"raw_content":null,"favicon":"x"},
		{"title":"Two","url":"https://b.example/","content":"","published_date":"Tue, 11 Mar 2025 13:51:50 GMT"}]}`))
	found, err := f.Find(t.Context(), "a \"question\"\n", 50)
	want := []agent.Found{{Title: "One", URL: "https://a.example/", Snippet: "words"}, {Title: "Two", URL: "https://b.example/", Published: time.Date(2025, 3, 11, 13, 51, 50, 0, time.UTC)}}
	if d := cmp.Diff(want, found); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if found, err := strict(t, says(200, `{"results":[]}`)).Find(t.Context(), "q", 0); err != nil || len(found) != 0 {
		t.Errorf("got %v, %v", found, err)
	}
	if f.Name() != "Tavily" {
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
		"key":         {says(401, `{"detail":{"error":"Unauthorized"}}`), fault.Invalid, "web_search_unauthorized", 0},
		"forbidden":   {says(403, ``), fault.Invalid, "web_search_unauthorized", 0},
		"plan":        {says(432, `{"detail":{"error":"limit"}}`), fault.Invalid, "web_search_limited", 0},
		"pay as go":   {says(433, ``), fault.Invalid, "web_search_limited", 0},
		"too often":   {says(429, ``, "Retry-After", "7"), fault.Limited, "web_search_limited", 7 * time.Second},
		"nonsense":    {says(429, ``, "Retry-After", "soon"), fault.Limited, "web_search_limited", 0},
		"past":        {says(429, ``, "Retry-After", "Tue, 11 Mar 2025 13:51:50 GMT"), fault.Limited, "web_search_limited", 0},
		"query":       {says(400, `{"detail":{"error":"Query is too long"}}`), fault.Invalid, "web_search_failed", 0},
		"broken":      {says(500, strings.Repeat("x", 10_000)), fault.Unavailable, "web_search_failed", 0},
		"gateway":     {says(502, `<html>`), fault.Unavailable, "web_search_failed", 0},
		"sent on":     {says(302, ``, "Location", "http://169.254.169.254/"), fault.Unavailable, "web_search_failed", 0},
		"no JSON":     {says(200, `<html>`), fault.Unavailable, "web_search_failed", 0},
		"other JSON":  {says(200, `{"results":"many"}`), fault.Unavailable, "web_search_failed", 0},
		"half of it":  {says(200, `{"results":[{"url":"htt`), fault.Unavailable, "web_search_failed", 0},
		"cut":         {says(200, `{}`, "Content-Length", "500"), fault.Unavailable, "web_search_failed", 0},
		"without end": {says(200, `{"results":[],"x":"`+strings.Repeat("x", 9<<20)+`"}`), fault.Unavailable, "web_search_failed", 0},
		"hangs up":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Unavailable, "web_search_failed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := strict(t, tt.answer).Find(t.Context(), "q", 5)
			e := fault.Of(err)
			if err == nil || e.Kind != tt.kind || e.Code != tt.code || e.RetryAfter != tt.after || len(found) > 0 {
				t.Errorf("got %v, %+v", found, e)
			}
			if err != nil && (strings.Contains(e.Error(), "tvly-key") || len(e.Say) > 200) {
				t.Errorf("it says %q", e.Error())
			}
		})
	}
	if _, err := tavily.New("http://127.0.0.1:1", "k").Find(t.Context(), "q", 5); err == nil || fault.Of(err).Code != "web_search_failed" {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tavily.New("", "k").Find(ctx, "q", 5); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A date in the future is waited for.
func TestRetryAfterAsDate(t *testing.T) {
	_, err := strict(t, says(429, ``, "Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))).Find(t.Context(), "q", 5)
	if e := fault.Of(err); e == nil || e.RetryAfter < 50*time.Second || e.RetryAfter > time.Minute {
		t.Errorf("got %+v", e)
	}
}

// Against a scripted endpoint of others, when there is one: npm @copilotkit/aimock serves Tavily's /search.
func TestScriptedEndpoint(t *testing.T) {
	base := os.Getenv("TEST_AIMOCK_URL")
	if base == "" {
		t.Skip("TEST_AIMOCK_URL is not set")
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	found, err := tavily.New(strings.TrimSuffix(base, "/v1"), "tvly-key").Find(t.Context(), "heat pumps", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.URL == "" {
			t.Errorf("got %+v", f)
		}
	}
}
