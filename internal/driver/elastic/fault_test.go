package elastic_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"byline/internal/driver/elastic"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

const ws = ident.Workspace("01JD3SWORKSPACE0000000000A")

func put(id, terms string, v ...float32) search.Operation {
	return search.Operation{PassageID: id, DocumentID: "d", Terms: strings.Fields(terms), Vector: v, Hash: 1}
}

var (
	meaning = search.Query{Workspace: ws, Vector: []float32{1, 0, 0}, Space: "s", K: 10}
	words   = search.Query{Workspace: ws, Terms: []lexical.Term{{Text: "apple", Weight: 1}}, K: 10}
)

// ready fills an engine with the passage a.
func ready(t *testing.T, e *elastic.Engine) {
	t.Helper()
	ctx := t.Context()
	err := e.Ensure(ctx, search.Generation{Name: "g", Dims: 3})
	_, err2 := e.Apply(ctx, "g", ws, []search.Operation{put("a", "apple", 1, 0, 0)})
	if err := errors.Join(err, err2, e.Swap(ctx, "g")); err != nil {
		t.Fatal(err)
	}
}

func ids(f search.Found) (list []string) {
	for _, c := range f.Candidates {
		list = append(list, c.PassageID)
	}
	return list
}

// well checks that both legs find the passage a.
func well(t *testing.T, e *elastic.Engine) {
	t.Helper()
	one, err := e.Lexical(t.Context(), words)
	two, err2 := e.Vector(t.Context(), meaning)
	if err := errors.Join(err, err2); err != nil || !slices.Equal(ids(one), []string{"a"}) || !slices.Equal(ids(two), []string{"a"}) {
		t.Errorf("all is not well: %v, %v, %v", ids(one), ids(two), err)
	}
}

func unavailable(code string) error { return fault.New(fault.Unavailable, code, "") }

func want(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func say(status int, body string, header ...string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestFaults lets a real connection go wrong in each way, at searches and at a write.
func TestFaults(t *testing.T) {
	answers := map[string]struct {
		answer func(w http.ResponseWriter)
		code   string
	}{
		"429":             {say(429, `{"error":{"type":"es_rejected_execution_exception","reason":"rejected"},"status":429}`), "elasticsearch_busy"},
		"503":             {say(503, ``), "elasticsearch_busy"},
		"503 for an hour": {say(503, ``, "Retry-After", "3600"), "elasticsearch_busy"},
		"all shards":      {say(503, `{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`), "elasticsearch_busy"},
		"a full disk":     {say(403, `{"error":{"type":"cluster_block_exception","reason":"index [x] blocked by: [FORBIDDEN/12/index read-only]"},"status":403}`), "elasticsearch_blocked"},
		"500":             {say(500, `{"error":"text of an old handler"}`), "elasticsearch_refused"},
		"502":             {say(502, `<html>bad gateway</html>`), "elasticsearch_refused"},
		"504":             {say(504, ``), "elasticsearch_timeout"},
		"401":             {say(401, `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`), "elasticsearch_denied"},
		"403":             {say(403, `Forbidden`), "elasticsearch_denied"},
		"404 of others":   {say(404, `<html>not found</html>`), "elasticsearch_refused"},
		"elsewhere":       {say(307, ``, "Location", "http://127.0.0.1:1/"), "elasticsearch_refused"},
		"not JSON":        {say(200, `<html>welcome</html>`), "elasticsearch_refused"},
		"half an answer":  {say(200, `{"hits":{"hits":[`), "elasticsearch_refused"},
		"no answer":       {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "elasticsearch_refused"},
		"cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		}, "elasticsearch_refused"},
		"endless": {func(w http.ResponseWriter) { io.Copy(w, io.LimitReader(zeros{}, elastic.MaxAnswer+1)) }, "elasticsearch_refused"},
	}
	for name, row := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			server := httptest.NewServer(f)
			defer server.Close()
			e := opened(t, elastic.Options{URLs: strings.Replace(server.URL, "http://", "http://someone:pass-word@", 1), Attempts: 2})
			ready(t, e)
			well(t, e)
			f.trouble(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if r.Method == http.MethodPost {
					row.answer(w)
				}
				return r.Method == http.MethodPost
			})
			_, err := e.Vector(t.Context(), meaning)
			_, err2 := e.Lexical(t.Context(), words)
			_, err3 := e.Apply(t.Context(), "g", ws, []search.Operation{put("a", "apple", 1, 0, 0)})
			_, err4 := e.Info(t.Context())
			_, err5 := e.Held(t.Context(), "g", ws)
			for i, err := range []error{err, err2, err3, err4, err5, e.Swap(t.Context(), "g")} {
				if got := fault.Of(err); got == nil || got.Kind != fault.Unavailable || got.Code != row.code {
					t.Errorf("%d: %v", i, err)
				}
				if text := fmt.Sprint(err); strings.Contains(text, "pass-word") || strings.Contains(text, "c29tZW9uZT") {
					t.Errorf("the password is in the error: %s", text)
				}
			}
			f.trouble(nil)
			well(t, e)
		})
	}
}

// TestStrangeAnswers are answers that are JSON, but not what was asked for, or not all of it.
func TestStrangeAnswers(t *testing.T) {
	const shards = `"_shards":{"total":1,"successful":1,"failed":0}`
	rows := []struct{ name, path, body, code string }{
		{"nothing", "", `{}`, ""},
		{"timed out", "/_search", `{"timed_out":true,` + shards + `,"hits":{"hits":[]}}`, "elasticsearch_partial"},
		{"a shard failed", "/_search", `{"_shards":{"total":2,"successful":1,"failed":1},"hits":{"hits":[]}}`, "elasticsearch_partial"},
		{"a shard is missing", "/_search", `{"_shards":{"total":2,"successful":1,"failed":0},"hits":{"hits":[]}}`, "elasticsearch_partial"},
		{"the passage of another", "/_search", `{` + shards + `,"hits":{"hits":[{"_score":1,"fields":{"workspace":["other"],"document":["d"],"passage":["a"]}}]}}`, "elasticsearch_refused"},
		{"without a document", "/_search", `{` + shards + `,"hits":{"hits":[{"_score":1,"fields":{"workspace":["` + string(ws) + `"],"passage":["a"]}}]}}`, "elasticsearch_refused"},
		{"one answer of two", "/_msearch", `{"responses":[{` + shards + `}]}`, "elasticsearch_refused"},
		{"no answers", "/_msearch", `{"responses":[null,null]}`, "elasticsearch_refused"},
		{"a part of the words", "/_msearch", `{"responses":[{"_shards":{"total":2,"successful":1,"failed":1}},{` + shards + `}]}`, "elasticsearch_partial"},
		{"busy with one of two", "/_msearch", `{"responses":[{` + shards + `},{"error":{"type":"es_rejected_execution_exception","reason":"x"},"status":429}]}`, "elasticsearch_busy"},
		{"a text for an error", "/_msearch", `{"responses":[{"error":"no","status":500},{` + shards + `}]}`, "elasticsearch_refused"},
		{"no counts", "/_msearch", `{"responses":[{` + shards + `},{` + shards + `}]}`, "elasticsearch_refused"},
		{"fewer results than operations", "/_bulk", `{"items":[]}`, "elasticsearch_refused"},
		{"two that serve", "/_mapping", `{"a":{"mappings":{"_meta":{"application":"byline"}}},"b":{"mappings":{"_meta":{"application":"byline"}}}}`, "internal"},
		{"one of somebody else", "/_mapping", `{"a":{"mappings":{"_meta":{"application":7}}}}`, "internal"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			f := newFake()
			ready(t, faked(t, f, elastic.Options{}))
			e := faked(t, f, elastic.Options{Attempts: 1})
			f.trouble(func(w http.ResponseWriter, q *http.Request, _ []byte) bool {
				if !strings.HasSuffix(q.URL.Path, r.path) {
					return false
				}
				io.WriteString(w, r.body)
				return true
			})
			ctx := t.Context()
			_, err := e.Lexical(ctx, words)
			_, err2 := e.Vector(ctx, meaning)
			_, err3 := e.Apply(ctx, "g", ws, []search.Operation{put("a", "apple", 1, 0, 0)})
			_, err4 := e.Held(ctx, "g", ws)
			codes := map[string]bool{}
			for _, err := range []error{err, err2, err3, err4} {
				if err != nil {
					codes[fault.Of(err).Code] = true
				}
			}
			if len(codes) == 0 || r.code != "" && !codes[r.code] {
				t.Errorf("%v, not %s", codes, r.code)
			}
		})
	}
}

// TestBackPressure lets the server take some items of a bulk and not others.
func TestBackPressure(t *testing.T) {
	item := func(status int, kind string) string {
		return fmt.Sprintf(`{"index":{"status":%d,"error":{"type":"%s","reason":"because"}}}`, status, kind)
	}
	const ok = `{"index":{"status":201}}`
	items := func(list ...string) func(http.ResponseWriter) {
		return say(200, `{"items":[`+strings.Join(list, ",")+`]}`)
	}
	busy, full := item(429, "es_rejected_execution_exception"), item(503, "unavailable_shards_exception")
	bad := item(400, "document_parsing_exception")
	rows := []struct {
		name    string
		answers []func(http.ResponseWriter) // to bulks; then all is well
		failed  []string
		sent    []int // operations in each bulk
		code    string
		again   time.Duration
	}{
		{name: "well", sent: []int{3}},
		{name: "one is retried", answers: []func(http.ResponseWriter){items(ok, busy, ok)}, sent: []int{3, 1}},
		{name: "fewer and fewer", answers: []func(http.ResponseWriter){items(busy, full, busy), items(ok, busy, full), items(busy, ok)}, sent: []int{3, 3, 2, 1}},
		{name: "one is bad, one is retried", answers: []func(http.ResponseWriter){items(bad, busy, ok)}, failed: []string{"a"}, sent: []int{3, 1}},
		{name: "two writers", answers: []func(http.ResponseWriter){items(ok, ok, item(409, "version_conflict_engine_exception"))}, sent: []int{3, 1}},
		{name: "never", answers: slices.Repeat([]func(http.ResponseWriter){items(busy, busy, busy)}, 9), sent: []int{3, 3, 3, 3}, code: "elasticsearch_busy", again: time.Second},
		{name: "all at once", answers: []func(http.ResponseWriter){say(429, ``), say(503, ``, "Retry-After", "2")}, sent: []int{3, 3, 3}},
		{name: "come back in an hour", answers: []func(http.ResponseWriter){say(429, ``, "Retry-After", "3600")}, sent: []int{3}, code: "elasticsearch_busy", again: time.Hour},
		{name: "a full disk", answers: []func(http.ResponseWriter){items(ok, item(403, "cluster_block_exception"), ok)}, sent: []int{3}, code: "elasticsearch_blocked"},
		{name: "not allowed", answers: []func(http.ResponseWriter){items(item(403, "security_exception"), ok, ok)}, sent: []int{3}, code: "elasticsearch_denied"},
		{name: "gone", answers: []func(http.ResponseWriter){items(item(404, "index_not_found_exception"), ok, ok)}, sent: []int{3}, code: "not_found"},
		{name: "too large", answers: []func(http.ResponseWriter){say(413, ``)}, sent: []int{3, 1, 2}},
		{name: "one is too large", answers: []func(http.ResponseWriter){say(413, ``), say(413, ``)}, failed: []string{"a"}, sent: []int{3, 1, 2}},
		{name: "half of it is bad, and then busy", answers: []func(http.ResponseWriter){say(400, `{"error":{"type":"x","reason":"y"}}`), say(401, ``)}, sent: []int{3, 1}, code: "elasticsearch_denied"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				e := faked(t, f, elastic.Options{})
				ready(t, e)
				var sent []int
				answers := r.answers
				f.trouble(func(w http.ResponseWriter, q *http.Request, body []byte) bool {
					if !strings.HasSuffix(q.URL.Path, "/_bulk") {
						return false
					}
					sent = append(sent, strings.Count(string(body), `"_id"`))
					if len(answers) == 0 {
						return false
					}
					answer := answers[0]
					answers = answers[1:]
					answer(w)
					return true
				})
				failed, err := e.Apply(t.Context(), "g", ws, []search.Operation{put("a", "apple", 1, 0, 0), put("b", "apple", 1, 0, 0), put("c", "apple", 1, 0, 0)})
				var names []string
				for _, x := range failed {
					if names = append(names, x.PassageID); x.Reason == "" {
						t.Error("rejected without a reason")
					}
				}
				want(t, "rejected", r.failed, names)
				want(t, "operations in each request", r.sent, sent)
				if r.code == "" && err != nil {
					t.Error(err)
				}
				if got := fault.Of(err); r.code != "" && (got == nil || got.Code != r.code || got.RetryAfter != r.again) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestBatches(t *testing.T) {
	f := newFake()
	e := faked(t, f, elastic.Options{})
	ready(t, e)
	bulks := func(ops []search.Operation) (list []string) {
		t.Helper()
		f.calls()
		failed, err := e.Apply(t.Context(), "g", ws, ops)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range failed {
			list = append(list, "no "+r.PassageID[:1])
		}
		for _, c := range f.calls() {
			if n, ok := strings.CutPrefix(c, "bulk "); ok {
				list = append(list, n)
			}
		}
		return list
	}
	var many []search.Operation
	for i := range elastic.MaxBatch*2 + 1 {
		many = append(many, put(fmt.Sprint(i), "apple", 1, 0, 0))
	}
	want(t, "many", []string{"500", "500", "1"}, bulks(many))
	long := strings.Repeat("apple ", elastic.MaxBody/6*2/5)
	want(t, "long", []string{"2", "2", "1"}, bulks([]search.Operation{put("a", long), put("b", long), put("c", long), put("d", long), put("e", long)}))
	want(t, "longer than a request", []string{"1"}, bulks([]search.Operation{put("a", long+long+long)}))
	want(t, "ids that no server takes", []string{"no x", "1"}, bulks([]search.Operation{put(strings.Repeat("x", 500), "apple"), put("a", "apple")}))
	if failed, err := e.Apply(t.Context(), "g", ws, []search.Operation{put("", "apple")}); err != nil || len(failed) != 1 {
		t.Errorf("a passage without an id: %v, %v", failed, err)
	}
	if failed, err := e.Apply(t.Context(), "g", ws, []search.Operation{{PassageID: "a", DocumentID: strings.Repeat("d", 33_000)}}); err != nil || len(failed) != 1 {
		t.Errorf("what the server refuses: %v, %v", failed, err)
	}
}

// TestNodes lets one of two nodes fail in each way: the other one answers, and the first one is left alone for a while.
func TestNodes(t *testing.T) {
	rows := []struct {
		name string
		one  func(r *http.Request) (*http.Response, error)
	}{
		{"refuses", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }},
		{"502", func(*http.Request) (*http.Response, error) { return plain(502), nil }},
		{"503", func(*http.Request) (*http.Response, error) { return plain(503), nil }},
		{"hangs", func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				ready(t, faked(t, f, elastic.Options{}))
				var broken atomic.Bool
				var asked [2]int
				e := opened(t, elastic.Options{URLs: "http://one.invalid/path/, http://two.invalid:9200"})
				e.Through(through(func(r *http.Request) (*http.Response, error) {
					if r.URL.Host == "two.invalid:9200" {
						asked[1]++
						return f.RoundTrip(r)
					}
					asked[0]++
					if broken.Load() {
						return row.one(r)
					}
					r.URL.Path = strings.TrimPrefix(r.URL.Path, "/path")
					return f.RoundTrip(r)
				}))
				search := func() error {
					ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
					defer cancel()
					_, err := e.Vector(ctx, meaning)
					return err
				}
				for range 4 {
					if err := search(); err != nil {
						t.Fatal(err)
					}
				}
				if asked[0] < 2 || asked[1] < 2 {
					t.Errorf("they take turns: %v", asked)
				}
				broken.Store(true)
				failed := 0
				for range 4 {
					if err := search(); err != nil {
						failed++
					}
				}
				if limit := map[bool]int{true: 1}[row.name == "hangs"]; failed > limit {
					t.Errorf("%d searches failed", failed)
				}
				time.Sleep(elastic.FirstRest)
				if broken.Store(false); search() != nil {
					t.Error("it does not come back")
				}
				asked = [2]int{}
				for range 4 {
					search()
				}
				if asked[0] == 0 {
					t.Error("the node is not asked again")
				}
			})
		})
	}
	t.Run("all fail", func(t *testing.T) {
		e := opened(t, elastic.Options{URLs: "http://one.invalid,http://two.invalid", Attempts: 1})
		e.Through(through(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }))
		for range 5 {
			if _, err := e.Info(t.Context()); !errors.Is(err, unavailable("elasticsearch_refused")) {
				t.Error(err)
			}
		}
	})
}

type through func(*http.Request) (*http.Response, error)

func (t through) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func plain(status int) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	return w.Result()
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	e := opened(t, elastic.Options{URLs: address})
	if _, err := e.Vector(ctx, meaning); !errors.Is(err, unavailable("elasticsearch_timeout")) {
		t.Errorf("hangs: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := e.Info(ctx); !errors.Is(err, context.Canceled) || fault.Of(err).Kind != fault.Cancelled {
		t.Errorf("the caller has gone: %v", err)
	}
	e = opened(t, elastic.Options{URLs: address, Timeout: 5 * time.Millisecond, Attempts: 1})
	if err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: 3}); !errors.Is(err, unavailable("elasticsearch_timeout")) {
		t.Errorf("hangs at a write: %v", err)
	}
	l.Close()
	e = opened(t, elastic.Options{URLs: address, Attempts: 1})
	if _, err := e.Info(t.Context()); !errors.Is(err, unavailable("elasticsearch_refused")) {
		t.Errorf("refuses: %v", err)
	}
	e.Close()
	if _, err := e.Info(t.Context()); err == nil {
		t.Error("it answers after it was closed")
	}
}

func TestCredentials(t *testing.T) {
	f := newFake()
	seen := ""
	f.trouble(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		seen = r.Header.Get("Authorization")
		return false
	})
	server := httptest.NewTLSServer(f)
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, data, 0o600); err != nil {
		t.Fatal(err)
	}
	user := strings.Replace(server.URL, "https://", "https://some%40one:p%2Cw@", 1)
	rows := []struct {
		name string
		o    elastic.Options
		want string
	}{
		{"nobody", elastic.Options{URLs: server.URL, CAFile: ca}, ""},
		{"a user", elastic.Options{URLs: user, CAFile: ca}, "Basic c29tZUBvbmU6cCx3"},
		{"a user of all nodes", elastic.Options{URLs: server.URL + "," + user + "," + user, CAFile: ca}, "Basic c29tZUBvbmU6cCx3"},
		{"a key", elastic.Options{URLs: user, APIKey: "a2V5", CAFile: ca}, "ApiKey a2V5"},
	}
	for _, r := range rows {
		seen = "-"
		if _, err := opened(t, r.o).Info(t.Context()); err != nil || seen != r.want {
			t.Errorf("%s: %q, %v", r.name, seen, err)
		}
	}
	if _, err := opened(t, elastic.Options{URLs: server.URL}).Info(t.Context()); !errors.Is(err, unavailable("elasticsearch_certificate")) {
		t.Errorf("an authority that is not known: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		o    elastic.Options
		code string
	}{
		{"no URL", elastic.Options{}, "elasticsearch_url"},
		{"no scheme", elastic.Options{URLs: "secret@host:9200"}, "elasticsearch_url"},
		{"one of two is bad", elastic.Options{URLs: "http://host:9200,secret"}, "elasticsearch_url"},
		{"two users", elastic.Options{URLs: "http://a:secret@host:9200,http://b:secret@host2:9200"}, "elasticsearch_url"},
		{"a prefix with more than letters", elastic.Options{URLs: "http://host", Prefix: "a-b"}, "elasticsearch_prefix"},
		{"no file", elastic.Options{URLs: "http://host", CAFile: empty + "x"}, "elasticsearch_ca"},
		{"an empty file", elastic.Options{URLs: "http://host", CAFile: empty}, "elasticsearch_ca"},
	}
	for _, r := range rows {
		_, err := elastic.Open(r.o)
		if f := fault.Of(err); f == nil || f.Kind != fault.Invalid || f.Code != r.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// TestLeavesOthersAlone has indexes of somebody else whose names begin like ours.
func TestLeavesOthersAlone(t *testing.T) {
	f := newFake()
	e := faked(t, f, elastic.Options{})
	f.indexes["byline-logs"] = &fakeIndex{name: "byline-logs"}
	f.indexes["byline-metrics"] = &fakeIndex{name: "byline-metrics", meta: []byte(`{"application":"metricbeat","dims":"many"}`)}
	ready(t, e)
	well(t, e)
	if err := e.Ensure(t.Context(), search.Generation{Name: "h", Dims: 3}); err != nil {
		t.Fatal(err)
	}
	if err := e.Swap(t.Context(), "h"); err != nil {
		t.Fatal(err)
	}
	var left []string
	for name := range f.indexes {
		left = append(left, name)
	}
	slices.Sort(left)
	want(t, "indexes", []string{"byline-h", "byline-logs", "byline-metrics"}, left)
	for _, name := range []string{"logs", "metrics"} {
		if _, err := e.Apply(t.Context(), name, ws, []search.Operation{put("a", "apple")}); err == nil {
			t.Errorf("written to %s", name)
		}
		if err := e.Ensure(t.Context(), search.Generation{Name: name, Dims: 3}); err == nil {
			t.Errorf("%s is taken for ours", name)
		}
		if err := e.Swap(t.Context(), name); err == nil {
			t.Errorf("%s serves", name)
		}
	}
}

// TestOlderServer cannot give exact scores; it is asked once.
func TestOlderServer(t *testing.T) {
	f := newFake()
	f.old = true
	e := faked(t, f, elastic.Options{})
	ready(t, e)
	well(t, e)
	f.calls()
	well(t, e)
	want(t, "requests", []string{"POST /byline/_msearch", "POST /byline/_search"}, f.calls())
}

// TestAnotherReplicaSwaps while this one remembers what served: what it finds is of the new generation, of other dimensions.
func TestAnotherReplicaSwaps(t *testing.T) {
	f := newFake()
	one, two := faked(t, f, elastic.Options{}), faked(t, f, elastic.Options{})
	ready(t, one)
	well(t, two)
	ctx := t.Context()
	err := one.Ensure(ctx, search.Generation{Name: "h", Dims: 2})
	_, err2 := one.Apply(ctx, "h", ws, []search.Operation{put("z", "apple", 1, 0)})
	if err := errors.Join(err, err2, one.Swap(ctx, "h")); err != nil {
		t.Fatal(err)
	}
	if found, err := two.Lexical(ctx, words); err != nil || !slices.Equal(ids(found), []string{"z"}) {
		t.Errorf("%v, %v", ids(found), err)
	}
	if _, err := two.Vector(ctx, meaning); !errors.Is(err, fault.New(fault.Invalid, "bad_vector", "")) {
		t.Errorf("a question of the old dimensions: %v", err)
	}
	f.mu.Lock()
	clear(f.indexes)
	clear(f.aliases)
	f.mu.Unlock()
	for range 2 {
		if _, err := two.Lexical(ctx, words); !errors.Is(err, unavailable("engine_empty")) {
			t.Errorf("somebody removed everything: %v", err)
		}
	}
	if _, err := two.Apply(ctx, "h", ws, []search.Operation{put("z", "apple", 1, 0)}); !errors.Is(err, fault.Missing("")) {
		t.Errorf("written to nothing: %v", err)
	}
}
