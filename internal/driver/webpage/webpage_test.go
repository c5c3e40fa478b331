package webpage_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/text/encoding/htmlindex"

	"byline/internal/document"
	"byline/internal/driver/webpage"
	"byline/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a server that may be asked, and remembers what it was asked.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func (s *site) paths() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		list = append(list, r.URL.RequestURI())
	}
	return list
}

// serve starts a site; without robots.txt among them, there is none.
func serve(t *testing.T, pages map[string]http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		h := pages[r.URL.Path]
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func page(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		io.WriteString(w, body) //nolint:errcheck // the client may have gone
	}
}

func sendTo(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "id=1")
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(http.StatusFound)
	}
}

func fetcher(t *testing.T, o webpage.Options, sites ...*site) *webpage.Fetcher {
	t.Helper()
	for _, s := range sites {
		o.Allow = append(o.Allow, strings.TrimPrefix(s.URL, "http://"))
	}
	f, err := webpage.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// get fetches and reads a page.
func get(t *testing.T, f *webpage.Fetcher, address string, limit int64) (document.Fetched, string, error) {
	t.Helper()
	p, err := f.Fetch(t.Context(), address, limit)
	if err != nil {
		return p, "", err
	}
	defer p.Body.Close() //nolint:errcheck // it was read
	b, err := io.ReadAll(p.Body)
	return p, string(b), err
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func TestFetch(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/old":            sendTo("/blog/../blog/post.html?a=1#part"),
		"/blog/post.html": page("text/html; charset=utf-8", "<p>Hello"),
	})
	f := fetcher(t, webpage.Options{Version: "1.2"}, s)
	p, body, err := get(t, f, " "+s.URL+"/old#x ", 1000)
	if err != nil || body != "<p>Hello" {
		t.Fatalf("%q, %v", body, err)
	}
	if p.URL != s.URL+"/blog/post.html?a=1" || p.Filename != "127.0.0.1-post.html" || p.ContentType != "text/html; charset=utf-8" || time.Since(p.FetchedAt) > time.Minute {
		t.Errorf("got %+v", p)
	}
	for _, r := range s.requests {
		for _, h := range []string{"Cookie", "Referer", "Authorization", "X-Forwarded-For"} {
			if r.Header.Get(h) != "" {
				t.Errorf("%s has %s", r.URL, h)
			}
		}
		if !strings.Contains(r.UserAgent(), "Byline/1.2;") {
			t.Errorf("the agent is %q", r.UserAgent())
		}
	}
	if got := s.paths(); !slices.Equal(got, []string{"/robots.txt", "/old", "/blog/post.html?a=1"}) {
		t.Errorf("asked for %v", got)
	}
}

func TestRedirectsAreLookedAt(t *testing.T) {
	reached, port := trap(t)
	pages := map[string]http.HandlerFunc{
		"/private": sendTo("http://127.0.0.1:" + port + "/"), "/metadata": sendTo("http://169.254.169.254/latest/"), "/number": sendTo("http://2130706433:" + port + "/"),
		"/file": sendTo("file:///etc/passwd"), "/user": sendTo("http://a:b@example.org/"), "/nowhere": sendTo(""), "/bad": sendTo("http://[::1"), "/round": sendTo("/round"),
		"/six": sendTo("http://[::1]:" + port + "/"), "/name": sendTo("http://inner.example.org/"), "/slashes": sendTo("//127.0.0.1:" + port + "/"), "/end": page("text/html", "<p>End"),
	}
	for i := range 6 {
		pages[fmt.Sprintf("/%d", i+1)] = sendTo(fmt.Sprintf("/%d", i))
	}
	pages["/0"] = page("text/html", "<p>End")
	s := serve(t, pages)
	f := fetcher(t, webpage.Options{Resolver: &names{answers: map[string][]string{"inner.example.org": {"10.0.0.1"}}}}, s)
	for path, want := range map[string]string{
		"/private": "url_refused", "/metadata": "url_refused", "/number": "url_refused", "/file": "url_refused", "/user": "url_refused", "/six": "url_refused", "/name": "url_refused", "/slashes": "url_refused",
		"/nowhere": "fetch_failed", "/bad": "fetch_failed", "/round": "fetch_failed", "/6": "fetch_failed", "/5": "",
	} {
		if _, _, err := get(t, f, s.URL+path, 1000); code(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if reached() > 0 {
		t.Error("a redirect reached this machine")
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 50<<20)) //nolint:errcheck // memory
	z.Close()                     //nolint:errcheck // memory
	s := serve(t, map[string]http.HandlerFunc{
		"/gone":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
		"/none":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"/image": page("image/png", "\x89PNG"), "/zip": page("application/zip", "PK"), "/odd": page("nonsense "+strings.Repeat("x", 100), "x"), "/json": page("application/json", "{}"),
		"/long": page("text/plain", strings.Repeat("x", 1001)), "/exact": page("text/plain", strings.Repeat("x", 1000)),
		"/endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		},
		"/bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes()) //nolint:errcheck // the client goes
		},
		"/bombs": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip, gzip")
			w.Write(bomb.Bytes()) //nolint:errcheck // the client goes
		},
		"/brotli": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte("x")) //nolint:errcheck // the client goes
		},
		"/cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "500")
			w.Write([]byte("x")) //nolint:errcheck // the client goes
			panic(http.ErrAbortHandler)
		},
		"/headers": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 200<<10)) },
		"/nontext": page("application/pdf", strings.Repeat("x", 1001)),
	})
	f := fetcher(t, webpage.Options{}, s)
	for path, want := range map[string]string{
		"/gone": "fetch_failed", "/none": "fetch_failed", "/image": "unsupported_type", "/zip": "unsupported_type", "/odd": "unsupported_type", "/json": "unsupported_type",
		"/long": "file_too_large", "/exact": "", "/endless": "file_too_large", "/bomb": "file_too_large", "/bombs": "fetch_failed", "/brotli": "fetch_failed", "/cut": "fetch_failed",
		"/headers": "fetch_failed", "/nontext": "file_too_large", "/missing": "fetch_failed",
	} {
		_, body, err := get(t, f, s.URL+path, 1000)
		if code(err) != want || len(body) > 1000 {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
		if e := fault.Of(err); err != nil && (strings.Contains(e.Say, "\n") || len(e.Say) > 400) {
			t.Errorf("%s says %q", path, e.Say)
		}
	}
}

func TestSlowAnswers(t *testing.T) {
	release := make(chan struct{})
	wait := func(r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	s := serve(t, map[string]http.HandlerFunc{
		"/stall": func(_ http.ResponseWriter, r *http.Request) { wait(r) },
		"/drip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<p>")) //nolint:errcheck // the client goes
			w.(http.Flusher).Flush()
			wait(r)
		},
	})
	defer close(release)
	f := fetcher(t, webpage.Options{Timeout: 150 * time.Millisecond}, s)
	for _, path := range []string{"/stall", "/drip"} {
		_, _, err := get(t, f, s.URL+path, 1000)
		if code(err) != "fetch_failed" || !strings.Contains(fault.Of(err).Say, "did not answer in time") {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Fetch(ctx, s.URL+"/stall", 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHostsThatAreNotThere(t *testing.T) {
	s := serve(t, nil)
	address := s.URL
	s.Close()
	f := fetcher(t, webpage.Options{Resolver: &names{}}, s)
	for address, say := range map[string]string{address + "/": "the connection to 127.0.0.1 failed", "http://nobody.example.org/": "there is no host nobody.example.org"} {
		if _, _, err := get(t, f, address, 10); code(err) != "fetch_failed" || !strings.Contains(fault.Of(err).Say, say) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := webpage.New(webpage.Options{Allow: []string{"nohost"}}); code(err) != "bad_configuration" {
		t.Errorf("got %v", err)
	}
}

// An exception is one host with one port, whatever its name stands for, and nothing else.
func TestExceptions(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/": page("text/html", "<p>Inner")})
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := &names{answers: map[string][]string{"wiki": {"127.0.0.1"}, "other": {"127.0.0.1"}}}
	f, err := webpage.New(webpage.Options{Allow: []string{"WIKI:" + u.Port()}, Resolver: n})
	if err != nil {
		t.Fatal(err)
	}
	if _, body, err := get(t, f, "http://wiki:"+u.Port()+"/", 1000); err != nil || body != "<p>Inner" {
		t.Errorf("%q, %v", body, err)
	}
	for _, address := range []string{"http://other:" + u.Port() + "/", "http://wiki/", s.URL + "/", "http://wiki:" + u.Port() + "1/"} {
		if _, _, err := get(t, f, address, 1000); code(err) != "url_refused" {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRobotsAreHonoured(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/robots.txt": page("text/plain", "\xEF\xBB\xBFUser-agent: *\nDisallow: /\n\nUser-agent: byline\nDisallow: /private\nAllow: /private/open\n"),
		"/a":          page("text/html", "a"), "/private/b": page("text/html", "b"), "/private/open/c": page("text/html", "c"), "/to": sendTo("/private/b"),
	})
	f := fetcher(t, webpage.Options{}, s)
	for path, want := range map[string]string{"/a": "", "/private/b": "robots_refused", "/private/open/c": "", "/to": "robots_refused"} {
		if _, _, err := get(t, f, s.URL+path, 1000); code(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	asked := s.paths()
	if n := strings.Count(strings.Join(asked, " "), "/robots.txt"); n != 1 || slices.Contains(asked, "/private/b") {
		t.Errorf("asked for %v", asked)
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"down":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "robots_refused"},
		"busy":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "robots_refused"},
		"forbidden":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, ""},
		"sent on":     {sendTo("/wishes"), "robots_refused"},
		"sent inside": {sendTo("http://10.0.0.1/"), "url_refused"},
		"sent round":  {sendTo("/robots.txt"), "fetch_failed"},
	} {
		s := serve(t, map[string]http.HandlerFunc{"/robots.txt": tt.answer, "/wishes": page("text/plain", "user-agent: *\ndisallow: /"), "/": page("text/html", "a")})
		if _, _, err := get(t, fetcher(t, webpage.Options{}, s), s.URL, 1000); code(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A text whose encoding only the header names is kept as UTF-8 with a mark, since a file has no header.
func TestEncodingOfTheHeader(t *testing.T) {
	const text = "<p>열펌프는 건물을 따뜻하게 한다"
	encode := func(label, text string) string {
		enc, err := htmlindex.Get(label)
		if err != nil {
			t.Fatal(err)
		}
		s, err := enc.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const mark = "\xEF\xBB\xBF"
	for name, tt := range map[string]struct{ header, body, want string }{
		"EUC-KR":         {"text/html; charset=euc-kr", encode("euc-kr", text), mark + text},
		"in quotes":      {`text/html; charset="EUC-KR"`, encode("euc-kr", text), mark + text},
		"ISO-2022-JP":    {"text/plain; charset=iso-2022-jp", encode("iso-2022-jp", "ヒートポンプ"), mark + "ヒートポンプ"},
		"UTF-16":         {"text/html; charset=utf-16le", encode("utf-16le", "<p>a"), mark + "<p>a"},
		"UTF-8":          {"text/html; charset=utf-8", text, text},
		"wrong":          {"text/html; charset=euc-kr", text, text},
		"marked":         {"text/html; charset=euc-kr", mark + text, mark + text},
		"unknown":        {"text/html; charset=nonsense", text, text},
		"none":           {"text/html", encode("euc-kr", text), encode("euc-kr", text)},
		"bad parameters": {"text/html; charset", text, text},
		"not a text":     {"application/pdf; charset=euc-kr", "\xBE\xC8", "\xBE\xC8"},
	} {
		s := serve(t, map[string]http.HandlerFunc{"/a": page(tt.header, tt.body)})
		if _, body, err := get(t, fetcher(t, webpage.Options{}, s), s.URL+"/a", 1000); err != nil || body != tt.want {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
	s := serve(t, map[string]http.HandlerFunc{"/a": page("text/html; charset=euc-kr", strings.Repeat("x", 2000)), "/b": page("text/html; charset=utf-8", strings.Repeat("x", 17<<20))})
	f := fetcher(t, webpage.Options{}, s)
	for path, limit := range map[string]int64{"/a": 1000, "/b": 50 << 20} {
		if _, _, err := get(t, f, s.URL+path, limit); code(err) != "file_too_large" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestFilenames(t *testing.T) {
	for _, tt := range []struct{ address, media, want string }{
		{"https://www.example.org/", "text/html", "example.org.html"}, {"https://example.org/blog/", "text/html", "example.org-blog.html"},
		{"https://example.org/a/post.php?x=1", "text/html", "example.org-post.html"}, {"https://example.org/v1.2 final report", "text/html", "example.org-v1.2 final report.html"},
		{"https://example.org/paper.pdf", "application/pdf", "example.org-paper.pdf"}, {"https://example.org/paper", "application/pdf", "example.org-paper.pdf"},
		{"https://example.org/README.md", "text/plain", "example.org-README.md"}, {"https://example.org/notes.log", "text/plain", "example.org-notes.txt"},
		{"https://example.org/paper.pdf", "application/octet-stream", "example.org-paper.pdf"}, {"https://example.org/..%2f..%5cetc", "text/html", "example.org.html"},
		{"https://example.org/%EC%95%88", "application/xhtml+xml", "example.org-안.html"},
	} {
		u, err := url.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := webpage.Filename(u, tt.media); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.address, got, tt.want)
		}
	}
}

func TestRobots(t *testing.T) {
	const text = `
# wishes
User-agent: other
User-agent: BYLINE/2.0
Disallow: /a/   # no
Disallow:
Allow: /a/b
Disallow: /*.gif$
disallow: /q?*secret=
Disallow: /%7euser/
Allow: /same
Disallow: /same
nonsense
Disallow: /x/*/y

User-agent: *
Disallow: /
`
	own, all := webpage.ParseRobots(text, "Byline"), webpage.ParseRobots(text, "Stranger")
	for path, want := range map[string]bool{
		"/": true, "/a": true, "/a/": false, "/a/c": false, "/a/b/c": true, "/p.gif": false, "/p.gif?x": true, "/q?a=1&secret=2": false, "/q?a=1": true,
		"/~user/x": false, "/%7Euser/x": false, "/%7euser/x": false, "/same": true, "/x/1/y": false, "/x/y": true, "/안": true,
	} {
		if own.Allows(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
		if all.Allows(path) {
			t.Errorf("%s: a stranger may read it", path)
		}
	}
	for text, want := range map[string]bool{"": true, "Disallow: /": true, "User-agent: *\nDisallow: /\nAllow: /$": true, "user-agent:*\ndisallow:/": false, "User-agent: a\nUser-agent: *\nDisallow: /": false} {
		if got := webpage.ParseRobots(text, "Byline").Allows("/"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /a*b$\nAllow: /%41", "/acb?x=%")
	f.Add("User-agent: Byline\nDisallow: /**********a", "/aaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, text, path string) {
		r := webpage.ParseRobots(text, "Byline")
		if got := r.Allows(path); got != r.Allows(path) {
			t.Fatal("two answers")
		}
		if !strings.Contains(strings.ToLower(text), "disallow") && !r.Allows(path) {
			t.Fatalf("%q refuses %q", text, path)
		}
	})
}
