package chroma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"byline/internal/driver/chroma"
	"byline/internal/fault"
	"byline/internal/search"
)

func say(status int, body string, header ...string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// TestFaults lets a real connection go wrong in each way, at a search and at a write.
func TestFaults(t *testing.T) {
	answers := map[string]struct {
		answer func(w http.ResponseWriter)
		code   string
	}{
		"429":             {say(429, `{"error":"x","message":"slow down"}`), "chroma_busy"},
		"503":             {say(503, ``), "chroma_busy"},
		"503 for an hour": {say(503, ``, "Retry-After", "3600"), "chroma_busy"},
		"500":             {say(500, `{"error":"InternalError","message":"out of order"}`), "chroma_refused"},
		"502":             {say(502, `<html>bad gateway</html>`), "chroma_refused"},
		"504":             {say(504, ``), "chroma_timeout"},
		"401":             {say(401, ``), "chroma_denied"},
		"403":             {say(403, ``), "chroma_denied"},
		"elsewhere":       {say(307, ``, "Location", "http://127.0.0.1:1/"), "chroma_refused"},
		"not JSON":        {say(200, `<html>welcome</html>`), "chroma_refused"},
		"half an answer":  {say(200, `{"ids":[["a"`), "chroma_refused"},
		"no answer":       {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "chroma_refused"},
		"cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		}, "chroma_refused"},
		"endless": {func(w http.ResponseWriter) { io.Copy(w, io.LimitReader(zeros{}, chroma.MaxAnswer+1)) }, "chroma_refused"},
	}
	f := newFake()
	server := httptest.NewServer(f)
	defer server.Close()
	server.Config.ErrorLog = nil
	e := engine(t, strings.Replace(server.URL, "http://", "http://someone:pass-word@", 1), chroma.Options{Attempts: 2})
	ensure(t, e, "g")
	swap(t, e, "g")
	apply(t, e, "g", ws, put("a", "d", 1, 1, 0, 0))
	want(t, "before", []string{"a"}, found(t, e, near(ws, 1, 0, 0)))
	for name, row := range answers {
		t.Run(name, func(t *testing.T) {
			trouble(f, func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if r.Method == http.MethodPost {
					row.answer(w)
				}
				return r.Method == http.MethodPost
			})
			_, err := e.Vector(t.Context(), near(ws, 1, 0, 0))
			_, err2 := e.Apply(t.Context(), "g", ws, []search.Operation{put("a", "d", 1, 1, 0, 0)})
			for _, err := range []error{err, err2} {
				if got := fault.Of(err); got == nil || got.Kind != fault.Unavailable || got.Code != row.code {
					t.Errorf("%v", err)
				}
				if text := fmt.Sprint(err); strings.Contains(text, "pass-word") || strings.Contains(text, "c29tZW9uZT") {
					t.Errorf("the password is in the error: %s", text)
				}
			}
			trouble(f, nil)
			want(t, "afterwards", []string{"a"}, found(t, e, near(ws, 1, 0, 0)))
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func trouble(f *fake, before func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

// TestStrangeAnswers are answers that are JSON, but not Chroma's.
func TestStrangeAnswers(t *testing.T) {
	const collection = `{"id":"x","name":"%s","metadata":%s}`
	rows := []struct{ name, path, body string }{
		{"no results", "/query", `{}`},
		{"ids alone", "/query", `{"ids":[["a"]],"distances":[[]],"metadatas":[[null]]}`},
		{"an error with 200", "/query", `{"error":"x","message":"y"}`},
		{"more ids than metadatas", "/get", `{"ids":["a","b"],"metadatas":[null]}`},
		{"another collection", "_serving", fmt.Sprintf(collection, "other", `null`)},
		{"a register of somebody else", "_serving", fmt.Sprintf(collection, "byline_serving", `null`)},
		{"a generation of somebody else", "byline.g", fmt.Sprintf(collection, "byline.g", `{"dims":"three"}`)},
		{"a workspace of somebody else", "byline.g." + string(ws), fmt.Sprintf(collection, "byline.g."+string(ws), `{"workspace":"W2"}`)},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			f, other := faked(t, chroma.Options{})
			ensure(t, other, "g")
			swap(t, other, "g")
			apply(t, other, "g", ws, put("a", "d", 1, 1, 0, 0))
			e := opened(t, f, chroma.Options{Attempts: 1})
			trouble(f, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
				if !strings.HasSuffix(q.URL.Path, r.path) {
					return false
				}
				io.WriteString(w, r.body)
				return true
			})
			_, err := e.Vector(t.Context(), near(ws, 1, 0, 0))
			_, err2 := e.Held(t.Context(), "g", ws)
			if err == nil && err2 == nil {
				t.Error("nobody noticed")
			}
		})
	}
	t.Run("rows that are not ours", func(t *testing.T) {
		f, e := faked(t, chroma.Options{})
		ensure(t, e, "g")
		swap(t, e, "g")
		apply(t, e, "g", ws, put("a", "d", 1, 1, 0, 0))
		trouble(f, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
			switch {
			case strings.HasSuffix(q.URL.Path, "/query"):
				io.WriteString(w, `{"ids":[["x","y","a"]],"distances":[[null,0,0.5]],"metadatas":[[{"document":"d"},null,{"document":"d"}]]}`)
			case strings.HasSuffix(q.URL.Path, "/get"):
				io.WriteString(w, `{"ids":["x","y","a"],"metadatas":[{"document":"d"},null,{"document":"d","hash":"ff"}]}`)
			default:
				return false
			}
			return true
		})
		want(t, "found", []string{"a"}, found(t, e, near(ws, 1, 0, 0)))
		want(t, "held", search.Holding{Passages: 3, Digest: 255}, held(t, e, "g", ws))
	})
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	t.Run("hangs", func(t *testing.T) {
		e := engine(t, address, chroma.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := e.Vector(ctx, near(ws, 1, 0, 0)); !errors.Is(err, fault.New(fault.Unavailable, "chroma_timeout", "")) {
			t.Error(err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := e.Info(ctx); !errors.Is(err, context.Canceled) || fault.Of(err).Kind != fault.Cancelled {
			t.Errorf("the caller has gone: %v", err)
		}
		e = engine(t, address, chroma.Options{Timeout: 5 * time.Millisecond, Attempts: 1})
		if err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: 3}); !errors.Is(err, fault.New(fault.Unavailable, "chroma_timeout", "")) {
			t.Error(err)
		}
	})
	l.Close()
	t.Run("refuses", func(t *testing.T) {
		e := engine(t, address, chroma.Options{Attempts: 1})
		if _, err := e.Info(t.Context()); !errors.Is(err, fault.New(fault.Unavailable, "chroma_refused", "")) {
			t.Error(err)
		}
	})
}

// TestTriesAgain counts attempts, and how long it waits between them.
func TestTriesAgain(t *testing.T) {
	rows := []struct {
		name     string
		answers  []func(http.ResponseWriter) // then all is well
		deadline time.Duration
		attempts int
		atLeast  time.Duration
		atMost   time.Duration
		code     string
	}{
		{name: "at once", attempts: 1},
		{name: "busy twice", answers: []func(http.ResponseWriter){say(429, ""), say(503, "")}, attempts: 3, atLeast: 150 * time.Millisecond, atMost: 300 * time.Millisecond},
		{name: "as long as it is told", answers: []func(http.ResponseWriter){say(429, "", "Retry-After", "7")}, attempts: 2, atLeast: 7 * time.Second, atMost: 7 * time.Second},
		{name: "until a date", answers: []func(http.ResponseWriter){say(503, "", "Retry-After", "Sat, 01 Jan 2000 00:00:05 GMT")}, attempts: 2, atLeast: 5 * time.Second, atMost: 5 * time.Second},
		{name: "not after the deadline", answers: []func(http.ResponseWriter){say(429, "", "Retry-After", "7")}, deadline: 6 * time.Second, attempts: 1, code: "chroma_busy"},
		{name: "not in an hour", answers: []func(http.ResponseWriter){say(429, "", "Retry-After", "3600")}, attempts: 1, code: "chroma_busy"},
		{name: "not for ever", answers: []func(http.ResponseWriter){say(500, ""), say(500, ""), say(500, ""), say(500, "")}, attempts: 4, atLeast: 350 * time.Millisecond, atMost: 700 * time.Millisecond, code: "chroma_refused"},
		{name: "not what is refused", answers: []func(http.ResponseWriter){say(401, "")}, attempts: 1, code: "chroma_denied"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, e := faked(t, chroma.Options{})
				ensure(t, e, "g")
				apply(t, e, "g", ws, put("a", "d", 1, 1, 0, 0))
				var n atomic.Int64
				trouble(f, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
					if i := int(n.Add(1)); i <= len(r.answers) {
						r.answers[i-1](w)
						return true
					}
					return false
				})
				ctx := t.Context()
				if r.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, r.deadline)
					defer cancel()
				}
				begin := time.Now()
				_, err := e.Apply(ctx, "g", ws, []search.Operation{put("a", "d", 1, 1, 0, 0)})
				took := time.Since(begin)
				if code := ""; err != nil {
					code = fault.Of(err).Code
					if code != r.code {
						t.Errorf("%v", err)
					}
				} else if r.code != "" {
					t.Errorf("no error, not %s", r.code)
				}
				if int(n.Load()) != r.attempts || took < r.atLeast || took > r.atMost {
					t.Errorf("%d attempts in %v, want %d in %v to %v", n.Load(), took, r.attempts, r.atLeast, r.atMost)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the caller goes while it waits
		f, e := faked(t, chroma.Options{})
		trouble(f, func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			say(503, "", "Retry-After", "5")(w)
			return true
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		if err := e.Ensure(ctx, search.Generation{Name: "g"}); err == nil || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// TestMemoryHasAnEnd lets what is remembered grow old, and be too much.
func TestMemoryHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, e := faked(t, chroma.Options{})
		ensure(t, e, "g")
		swap(t, e, "g")
		apply(t, e, "g", ws, put("a", "d", 1, 1, 0, 0))
		found(t, e, near(ws, 1, 0, 0))
		f.calls()
		query := "POST byline.g." + string(ws) + " query"
		found(t, e, near(ws, 1, 0, 0))
		want(t, "at once", []string{query}, f.calls())
		time.Sleep(time.Second)
		found(t, e, near(ws, 1, 0, 0))
		want(t, "a second later", []string{"GET byline_serving", query}, f.calls())
		time.Sleep(chroma.FactLife)
		found(t, e, near(ws, 1, 0, 0))
		want(t, "much later", []string{"GET byline_serving", "GET byline.g", "GET byline.g." + string(ws), query}, f.calls())
	})
}

// TestSplitsWhatIsRefused finds the passages that a server refuses, for its own reasons.
func TestSplitsWhatIsRefused(t *testing.T) {
	f, e := faked(t, chroma.Options{})
	ensure(t, e, "g")
	trouble(f, func(w http.ResponseWriter, q *http.Request, body []byte) bool {
		bad := bytes.Contains(body, []byte(`"bad`))
		if bad {
			say(400, `{"error":"InvalidArgumentError","message":"it is bad"}`)(w)
		}
		if strings.HasSuffix(q.URL.Path, "/upsert") && bytes.Count(body, []byte(`"hash"`)) > 8 {
			say(413, "too large")(w)
			return true
		}
		return bad
	})
	var ops []search.Operation
	for i := range 30 {
		name := "good"
		if i%13 == 5 {
			name = "bad"
		}
		ops = append(ops, put(fmt.Sprint(name, i), "d", 1, 1, 0, 0))
	}
	failed, err := e.Apply(t.Context(), "g", ws, ops)
	if err != nil {
		t.Fatal(err)
	}
	const why = "Chroma answered 400: it is bad"
	want(t, "failed", []search.Rejected{{PassageID: "bad5", Reason: why}, {PassageID: "bad18", Reason: why}}, failed)
	want(t, "held", search.Holding{Passages: 28, Digest: 28}, held(t, e, "g", ws))
}

func TestBodiesAreBounded(t *testing.T) {
	f, e := faked(t, chroma.Options{})
	largest, requests := 0, 0
	trouble(f, func(_ http.ResponseWriter, q *http.Request, body []byte) bool {
		if strings.HasSuffix(q.URL.Path, "/upsert") {
			largest, requests = max(largest, len(body)), requests+1
		}
		return false
	})
	const dims = 4096
	if err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: dims}); err != nil {
		t.Fatal(err)
	}
	var ops []search.Operation
	for i := range 500 {
		v := make([]float32, dims)
		v[i] = 1
		ops = append(ops, put(fmt.Sprint("p", i), "d", 1, v...))
	}
	apply(t, e, "g", ws, ops...)
	if largest > chroma.MaxBody || requests < 3 {
		t.Errorf("%d requests of at most %d bytes", requests, largest)
	}
}

func TestCredentials(t *testing.T) {
	rows := []struct {
		name, url string
		options   chroma.Options
		path      string
		header    http.Header
	}{
		{"none", "http://h:8000", chroma.Options{}, "/api/v2/tenants/default_tenant/databases/default_database/collections/byline.g", http.Header{}},
		{"basic", "http://ann:s%40crt@h:8000/", chroma.Options{}, "", http.Header{"Authorization": {"Basic YW5uOnNAY3J0"}}},
		{"bearer", "https://ann@h", chroma.Options{Token: "s@crt"}, "", http.Header{"Authorization": {"Bearer s@crt"}}},
		{"header", "https://h", chroma.Options{Token: "s@crt", TokenHeader: "X-Chroma-Token"}, "", http.Header{"X-Chroma-Token": {"s@crt"}}},
		{"tenant in the URL", "https://h/below/?tenant=t%2F1&database=d", chroma.Options{}, "/below/api/v2/tenants/t%2F1/databases/d/collections/byline.g", http.Header{}},
		{"tenant by option", "https://h/?tenant=t", chroma.Options{Tenant: "a", Database: "b", Prefix: "p1"}, "/api/v2/tenants/a/databases/b/collections/p1.g", http.Header{}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			e := engine(t, r.url, r.options)
			var seen *http.Request
			e.Through(transport(func(q *http.Request) (*http.Response, error) {
				seen = q
				return nil, errors.New("no network")
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, err := e.Held(ctx, "g", ws); err == nil || strings.Contains(err.Error(), "s@crt") {
				t.Errorf("error %v", err)
			}
			if r.path != "" && seen.URL.EscapedPath() != r.path {
				t.Errorf("path %s", seen.URL.EscapedPath())
			}
			seen.Header.Del("Content-Type")
			seen.Header.Del("Accept")
			want(t, "header", r.header, seen.Header)
			if strings.Contains(seen.URL.String(), "s@crt") {
				t.Errorf("the password is in %s", seen.URL)
			}
		})
	}
	for _, url := range []string{"", "chroma:8000", "ftp://h", "http://", "http://u:pass-word@h:port", "://"} {
		if _, err := chroma.New(url, chroma.Options{}); fault.Of(err) == nil || fault.Of(err).Code != "chroma_url" || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("the URL %q: %v", url, err)
		}
	}
	if _, err := chroma.New("http://h", chroma.Options{Prefix: "a.b"}); fault.Of(err) == nil || fault.Of(err).Code != "chroma_prefix" {
		t.Errorf("a bad prefix: %v", err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// A tenant that is not there shows when the first collection is made.
func TestNoDatabase(t *testing.T) {
	f, e := faked(t, chroma.Options{Attempts: 1})
	trouble(f, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
		if q.Method == http.MethodPost {
			say(400, `{"error":"InvalidArgumentError","message":"Database [default_database] does not exist"}`)(w)
		}
		return q.Method == http.MethodPost
	})
	err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: 3})
	if got := fault.Of(err); got == nil || got.Kind != fault.Unavailable || !strings.Contains(got.Say, "tenant and database") {
		t.Error(err)
	}
}

// TestMakesOnce lets two replicas make a generation at a time.
func TestMakesOnce(t *testing.T) {
	f, e := faked(t, chroma.Options{})
	other := opened(t, f, chroma.Options{})
	var raced atomic.Bool
	trouble(f, func(_ http.ResponseWriter, q *http.Request, body []byte) bool {
		if q.Method == http.MethodPost && json.Valid(body) && raced.CompareAndSwap(false, true) {
			ensure(t, other, "g") // between looking and making
		}
		return false
	})
	ensure(t, e, "g")
	if made := slices.DeleteFunc(f.calls(), func(c string) bool { return !strings.HasPrefix(c, "POST") }); len(made) != 2 || len(f.names()) != 1 {
		t.Errorf("made %v, there are %v", made, f.names())
	}
}

// TestSwapIsRepeated removes what an interrupted swap left, and passes on what it can't remove.
func TestSwapIsRepeated(t *testing.T) {
	f, e := faked(t, chroma.Options{Attempts: 1})
	ensure(t, e, "a")
	apply(t, e, "a", ws, put("p", "d", 1, 1, 0, 0))
	swap(t, e, "a")
	ensure(t, e, "b")
	trouble(f, func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
		if q.Method == http.MethodDelete {
			say(500, "")(w)
		}
		return q.Method == http.MethodDelete
	})
	if err := e.Swap(t.Context(), "b"); fault.Of(err) == nil || fault.Of(err).Kind != fault.Unavailable {
		t.Errorf("nothing could be removed: %v", err)
	}
	want(t, "b serves", 0, len(found(t, e, near(ws, 1, 0, 0))))
	trouble(f, nil)
	swap(t, e, "b")
	want(t, "left", []string{"byline.b", "byline_serving"}, f.names())
}
