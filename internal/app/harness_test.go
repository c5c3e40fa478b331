package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"byline/internal/app"
	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/engine/passhash"
	"byline/internal/engine/pdf/pdftest"
	"byline/internal/engine/sandbox"
)

// The program's children are this test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case sandbox.Subcommand:
			os.Exit(sandbox.Child())
		case passhash.Subcommand:
			os.Exit(passhash.Child(os.Stdin, os.Stdout))
		}
	}
	os.Exit(m.Run())
}

// system is a whole Byline behind a real listener. Every answer that its clients read is held against the OpenAPI
// document that it serves.
type system struct {
	t      testing.TB
	app    *app.App
	url    string
	server *httptest.Server
	router routers.Router
}

// warm gives a system a compiled PDF engine, for tests that read PDFs.
func warm(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pdftest.Warm(t), dir+"/cache"); err != nil {
		t.Fatal(err)
	}
}

// open starts a system in dir with settings such as "BYLINE_REGISTRATION=open".
func open(t testing.TB, dir string, settings ...string) *system {
	t.Helper()
	// A model that happens to run on this machine must not write in tests; settings that come later win.
	environ := append([]string{"BYLINE_DATA=" + dir, "DEFAULT_LLM_PROVIDER=offline"}, settings...)
	cfg, _, err := config.Load(config.Sources{Environ: environ, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	a, err := app.Open(t.Context(), cli.Options{Config: cfg, Log: log, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a.Handler())
	s := &system{t: t, app: a, url: srv.URL, server: srv}
	t.Cleanup(func() { s.close(srv) })
	s.loadSpec()
	return s
}

func (s *system) close(srv *httptest.Server) {
	if s.app == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.app.Drain(ctx)
	srv.Close()
	if err := s.app.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
	s.app = nil
}

func (s *system) loadSpec() {
	s.t.Helper()
	resp, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		s.t.Fatalf("read OpenAPI document: %v", err)
	}
	doc.Servers = openapi3.Servers{{URL: s.url}}
	if s.router, err = gorillamux.NewRouter(doc); err != nil {
		s.t.Fatalf("route OpenAPI document: %v", err)
	}
}

// person is somebody who uses the system.
type person struct {
	*system
	token string
}

func (s *system) anonymous() *person { return &person{system: s} }

// register opens an account and logs in.
func (s *system) register(email string) *person {
	s.t.Helper()
	p := s.anonymous()
	p.want(201, "POST", "/api/v1/auth/register", obj{"email": email, "password": "correct horse battery"})
	p.login(email)
	return p
}

func (p *person) login(email string) {
	p.t.Helper()
	p.token = p.want(200, "POST", "/api/v1/auth/login", obj{"email": email, "password": "correct horse battery"}).str("access_token")
}

type obj = map[string]any

// reply is an answer.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	raw    []byte
	body   obj
}

// str gives a string at a path of keys.
func (r reply) str(path ...string) string {
	r.t.Helper()
	s, ok := r.at(path...).(string)
	if !ok {
		r.t.Fatalf("no text at %v in %s", path, r.raw)
	}
	return s
}

func (r reply) num(path ...string) int {
	r.t.Helper()
	f, ok := r.at(path...).(float64)
	if !ok {
		r.t.Fatalf("no number at %v in %s", path, r.raw)
	}
	return int(f)
}

func (r reply) list(path ...string) []any {
	r.t.Helper()
	l, ok := r.at(path...).([]any)
	if !ok {
		r.t.Fatalf("no list at %v in %s", path, r.raw)
	}
	return l
}

func (r reply) at(path ...string) any {
	var v any = r.body
	for _, k := range path {
		m, _ := v.(obj)
		v = m[k]
	}
	return v
}

// send makes a request and holds the answer against the OpenAPI document.
func (p *person) send(method, path string, body any, header ...string) reply {
	p.t.Helper()
	var data []byte
	if b, ok := body.([]byte); ok {
		data = b
	} else if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			p.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, bytes.NewReader(data))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	r := reply{t: p.t, status: resp.StatusCode, header: resp.Header}
	if r.raw, err = io.ReadAll(resp.Body); err != nil {
		p.t.Fatalf("%s %s: read answer: %v", method, path, err)
	}
	if mt := resp.Header.Get("Content-Type"); strings.Contains(mt, "json") && mt != "application/jsonl" && len(r.raw) > 0 {
		if err := json.Unmarshal(r.raw, &r.body); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, r.raw)
		}
	}
	p.hold(req, resp, r)
	return r
}

// hold fails the test when the answer is not as the document says.
func (s *system) hold(req *http.Request, resp *http.Response, r reply) {
	s.t.Helper()
	route, params, err := s.router.FindRoute(req)
	if err != nil {
		if r.status == 404 || r.status == 405 {
			return // a path that is not ours
		}
		s.t.Errorf("%s %s is not in the OpenAPI document: %v", req.Method, req.URL.Path, err)
		return
	}
	if mt := resp.Header.Get("Content-Type"); strings.HasPrefix(mt, "text/event-stream") || strings.HasPrefix(mt, "image/") || strings.HasPrefix(mt, "application/octet-stream") || strings.HasPrefix(mt, "text/markdown") || mt == "application/jsonl" {
		if route.Operation.Responses.Status(r.status) == nil {
			s.t.Errorf("%s %s: status %d is not in the document", req.Method, req.URL.Path, r.status)
		}
		return
	}
	err = openapi3filter.ValidateResponse(s.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 r.status, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(r.raw)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		s.t.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
	}
}

// want is send with the status that must come.
func (p *person) want(status int, method, path string, body any, header ...string) reply {
	p.t.Helper()
	r := p.send(method, path, body, header...)
	if r.status != status {
		p.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.raw)
	}
	if status >= 400 {
		if ct := r.header.Get("Content-Type"); ct != "application/problem+json" || r.str("code") == "" || r.str("detail") == "" || r.str("request_id") == "" {
			p.t.Fatalf("%s %s: no problem but %s: %s", method, path, ct, r.raw)
		}
	}
	return r
}

// problem is want with the code that must come.
func (p *person) problem(status int, code, method, path string, body any, header ...string) reply {
	p.t.Helper()
	r := p.want(status, method, path, body, header...)
	if r.str("code") != code {
		p.t.Fatalf("%s %s: code %q, want %q: %s", method, path, r.str("code"), code, r.raw)
	}
	return r
}

// file is one to upload.
type file struct{ name, content, mediaType string }

// upload sends files in one request.
func (p *person) upload(query string, files ...file) reply {
	p.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, f := range files {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, f.name)}}
		if f.mediaType != "" {
			h.Set("Content-Type", f.mediaType)
		}
		w, err := form.CreatePart(h)
		if err != nil {
			p.t.Fatal(err)
		}
		io.WriteString(w, f.content) //nolint:errcheck // a buffer
	}
	if err := form.Close(); err != nil {
		p.t.Fatal(err)
	}
	return p.send("POST", "/api/v1/documents/upload"+query, b.Bytes(), "Content-Type", form.FormDataContentType())
}

// document uploads a file and waits until it is processed.
func (p *person) document(name, content string) string {
	p.t.Helper()
	r := p.upload("", file{name: name, content: content})
	if r.status != 201 && r.status != 200 {
		p.t.Fatalf("upload %s: %d %s", name, r.status, r.raw)
	}
	id := r.str("id")
	if d := p.processed(id); d.str("status") != "completed" {
		p.t.Fatalf("process %s: %s", name, d.raw)
	}
	return id
}

// processed waits until a document is completed or failed.
func (p *person) processed(id string) reply {
	p.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if r := p.want(200, "GET", "/api/v1/documents/"+id, nil); r.str("status") == "completed" || r.str("status") == "failed" {
			return r
		}
	}
	p.t.Fatalf("document %s is never done", id)
	return reply{}
}

// event is one of a stream.
type event struct {
	ID   int64
	Type string
	Data obj // the envelope
}

// events reads a run's stream from a cursor to its end, or until stop says so.
func (p *person) events(runID string, after int64, stop func(event) bool) []event {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", fmt.Sprintf("%s/api/v1/runs/%s/events", p.url, runID), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Accept", "text/event-stream")
	if after > 0 {
		req.Header.Set("Last-Event-ID", fmt.Sprint(after))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if resp.StatusCode != 200 {
		p.t.Fatalf("events of %s: %s", runID, resp.Status)
	}
	return p.readEvents(resp.Body, stop)
}

func (p *person) readEvents(r io.Reader, stop func(event) bool) []event {
	p.t.Helper()
	var all []event
	var e event
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		switch key, value, _ := strings.Cut(sc.Text(), ": "); key {
		case "id":
			fmt.Sscan(value, &e.ID) //nolint:errcheck // a bad id shows below
		case "event":
			e.Type = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.Data); err != nil {
				p.t.Fatalf("event %q: %v", value, err)
			}
		case "":
			if e.Type == "" {
				continue
			}
			all = append(all, e)
			if stop != nil && stop(e) {
				return all
			}
			e = event{}
		}
	}
	return all
}

// verify runs `byline verify --contains` beside the running system.
func (p *person) verify(dir string, contains ...string) []string {
	p.t.Helper()
	return p.compare(dir, nil, contains...)
}

// compare runs `byline verify --engine` with settings.
func (p *person) compare(dir string, settings []string, contains ...string) []string {
	p.t.Helper()
	cfg, _, err := config.Load(config.Sources{Environ: append([]string{"BYLINE_DATA=" + dir}, settings...), Dir: p.t.TempDir()})
	if err != nil {
		p.t.Fatal(err)
	}
	problems, _, err := app.Verify(p.t.Context(), cfg, contains, true)
	if err != nil {
		p.t.Fatal(err)
	}
	return problems
}
