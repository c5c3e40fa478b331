package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"byline/internal/cli"
	"byline/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// library is a Library whose HTTP interface is small and strict: what a command sends must be what wire.md says. It
// misbehaves on request.
type library struct {
	t     *testing.T
	token string
	setup string // setup token

	docs     map[string]doc                                               // by file name: what becomes of an upload; others are completed
	log      []string                                                     // the run's events; each is {"type", "data"}
	cuts     []int                                                        // how many events each connection gets before it breaks
	answers  map[string]func(w http.ResponseWriter, r *http.Request) bool // by pattern: true when it has answered
	more     map[string]func(w http.ResponseWriter, r *http.Request) bool // likewise, patterns that the others do not have
	filename string                                                       // of the export
	post     string                                                       // the export
	warm     error
	closing  error
	onEvent  func(n int) // called after the n-th event was sent

	mu      sync.Mutex
	uploads map[string]string // bytes by file name
	asked   []string          // METHOD path of each request
	bodies  map[string]map[string]any
	resumed []string      // Last-Event-ID of each connection
	state   []string      // warmed, retired, drained, closed
	noticed chan struct{} // Retire waits for it
}

// doc is what becomes of an upload.
type doc struct {
	refused int    // HTTP status of a problem
	status  string // completed or failed
	error   string
	looks   int // how often it is processing first
	known   bool
}

func newLibrary(t *testing.T) *library {
	return &library{t: t, token: "bll_local", docs: map[string]doc{}, uploads: map[string]string{}, bodies: map[string]map[string]any{},
		answers: map[string]func(http.ResponseWriter, *http.Request) bool{}, filename: "warm-rooms.md", post: "# Warm rooms\n",
		log: []string{
			`{"type":"run.created","data":{}}`, `{"type":"step.started","data":{"step":"survey"}}`,
			`{"type":"notice","data":{"code":"gap","detail":"Nothing is said about costs."}}`,
			`{"type":"token","data":{"channel":"draft","offset":0,"text":"Rooms are warm."}}`,
			`{"type":"run.completed","data":{"draft_id":"D1","version":1,"words":30,"sentences":4,"cited":3}}`,
		}}
}

func (l *library) LocalToken() string { return l.token }
func (l *library) SetupToken() string { return l.setup }
func (l *library) Warm(context.Context) error {
	l.did("warmed")
	return l.warm
}
func (l *library) Retire(ctx context.Context) {
	l.did("retired")
	if l.noticed != nil {
		<-l.noticed
		<-l.noticed
	}
}
func (l *library) Drain(context.Context) { l.did("drained") }
func (l *library) Close() error {
	l.did("closed")
	return l.closing
}

func (l *library) did(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = append(l.state, what)
}

// Handler is the whole interface.
func (l *library) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer "+l.token {
				l.t.Errorf("%s: Authorization %q", pattern, got)
			}
			l.mu.Lock()
			l.asked = append(l.asked, r.Method+" "+r.URL.Path)
			answer := l.answers[pattern]
			l.mu.Unlock()
			if answer == nil || !answer(w, r) {
				do(w, r)
			}
		})
	}
	handle("POST /api/v1/documents/upload", l.upload)
	handle("POST /api/v1/documents/url", l.remember("url", `{"id":"PAGE","status":"completed"}`, 201))
	handle("GET /api/v1/documents", l.list)
	handle("GET /api/v1/documents/{id}", l.document)
	handle("GET /api/v1/indexes", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"indexes":[{"space":"","state":"serving"},{"space":"encoder-1-384","state":"serving"}],"engines":[]}`)
	})
	handle("POST /api/v1/documents/{id}/process", func(w http.ResponseWriter, r *http.Request) { reply(w, 202, `{"run":{"id":"P1"}}`) })
	handle("POST /api/v1/documents/search", l.remember("search", `{"results":[],"total":0,"engine":"embedded","degraded":[]}`, 200))
	handle("POST /api/v1/blog/generate", l.remember("generate", `{"draft":{"id":"D1","title":"x"},"run":{"id":"R1","status":"queued"}}`, 202))
	handle("GET /api/v1/runs/R1/events", l.events)
	handle("GET /api/v1/blog/D1", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"id":"D1","title":"Warm rooms","version":1}`)
	})
	handle("POST /api/v1/blog/D1/export", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="`+l.filename+`"`)
		l.remember("export", l.post, 200)(w, r)
	})
	handle("POST /api/v1/users", l.remember("user", `{"id":"U1","email":"ada@example.org","role":"admin","created_at":"2026-01-01T00:00:00Z"}`, 201))
	handle("GET /api/v1/users", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"users":[{"id":"U1","email":"ada@example.org","full_name":"Ada\u001b[2J","role":"admin"}],"total":1,"next":null}`)
	})
	handle("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"status":"ready"}`) })
	handle("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"status":"ok","name":"Byline","degraded":[],"dependencies":[{"name":"store","status":"ok","detail":"sqlite","latency_ms":0.2}]}`)
	})
	for pattern, answer := range l.more {
		handle(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		l.t.Errorf("there is no %s %s", r.Method, r.URL)
		problem(w, 404, "not_found", "There is no such page.")
	})
	return mux
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail, "request_id": "q1",
		"errors": []map[string]string{{"location": "body.x", "code": code, "message": "x is not allowed"}}})
}

// remember keeps the JSON of a request and answers.
func (l *library) remember(name, body string, status int) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			l.t.Errorf("%s: Content-Type %q", name, got)
		}
		in := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			l.t.Errorf("%s: %v", name, err)
		}
		l.mu.Lock()
		l.bodies[name] = in
		l.mu.Unlock()
		reply(w, status, body)
	}
}

func (l *library) upload(w http.ResponseWriter, r *http.Request) {
	form, err := r.MultipartReader()
	if err != nil {
		l.t.Error(err)
		return
	}
	part, err := form.NextPart()
	if err != nil || part.FormName() != "file" {
		problem(w, 400, "upload_broken", "The upload ended before it was whole.")
		return
	}
	data, err := io.ReadAll(part)
	if err != nil {
		problem(w, 400, "upload_broken", "The upload ended before it was whole.")
		return
	}
	name := part.FileName()
	d := l.docs[name]
	if d.refused != 0 {
		problem(w, d.refused, "refused", d.error)
		return
	}
	l.mu.Lock()
	l.uploads[name] = string(data)
	l.mu.Unlock()
	status, state := 201, "pending"
	if d.known {
		status, state = 200, d.status
	}
	body, _ := json.Marshal(map[string]any{"id": name, "filename": name, "status": state})
	reply(w, status, string(body))
}

// list is of those that have a state: each look at a list brings those in it one look forward.
func (l *library) list(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	status := r.FormValue("status")
	found := []map[string]any{}
	for name := range l.uploads {
		d := l.docs[name]
		if now := d.status; status == "processing" && d.looks > 0 || status == now && d.looks == 0 {
			found = append(found, map[string]any{"id": name, "error_message": d.error})
		}
		if status == "processing" && d.looks > 0 {
			d.looks--
			l.docs[name] = d
		}
	}
	data, _ := json.Marshal(map[string]any{"documents": found, "total": len(found), "next": nil})
	reply(w, 200, string(data))
}

func (l *library) document(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("id")
	l.mu.Lock()
	d, ok := l.docs[name]
	if d.looks > 0 {
		d.looks--
		l.docs[name] = d
		d.status = "processing"
	} else if !ok || d.status == "" {
		d.status = "completed"
	}
	l.mu.Unlock()
	body := map[string]any{"id": name, "filename": name, "status": d.status, "error_message": d.error}
	if d.status == "processing" {
		body["progress"] = map[string]int{"done": 1, "of": 9}
	}
	data, _ := json.Marshal(body)
	reply(w, 200, string(data))
}

// events sends the log behind Last-Event-ID, and breaks off where it shall.
func (l *library) events(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Accept"); got != "text/event-stream" {
		l.t.Errorf("events: Accept %q", got)
	}
	after := 0
	fmt.Sscan(r.Header.Get("Last-Event-ID"), &after)
	l.mu.Lock()
	n := len(l.resumed)
	l.resumed = append(l.resumed, r.Header.Get("Last-Event-ID"))
	l.mu.Unlock()
	if after >= len(l.log) {
		w.WriteHeader(204)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 1\n\n: ping\n\n")
	w.(http.Flusher).Flush()
	for i := after; i < len(l.log); i++ {
		if n < len(l.cuts) && i-after == l.cuts[n] { // in the midst of an event, as a killed server does
			fmt.Fprintf(w, "id: %d\ndata: {\"seq\":%d,\"run", i+1, i+1)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i+1, `{"seq":`+fmt.Sprint(i+1)+`,"run_id":"R1",`+l.log[i][1:])
		w.(http.Flusher).Flush()
		if l.onEvent != nil {
			l.onEvent(i + 1)
		}
	}
	if !strings.Contains(l.log[len(l.log)-1], `"run.`) {
		<-r.Context().Done() // still at work
	}
}

// session is a Byline at a terminal, in an empty folder.
type session struct {
	t       *testing.T
	lib     *library
	held    bool // another process holds the library
	open    error
	verify  cli.Verify
	model   cli.ImportModel
	environ []string
	stdin   io.Reader
	options cli.Options // of the last opening
}

func newSession(t *testing.T) *session {
	t.Chdir(t.TempDir())
	return &session{t: t, lib: newLibrary(t)}
}

// outcome of a command.
type outcome struct {
	code     int
	out, err string
}

func (s *session) run(args ...string) outcome {
	s.t.Helper()
	return s.runWith(s.t.Context(), args...)
}

func (s *session) runWith(ctx context.Context, args ...string) outcome {
	var out, err bytes.Buffer
	code := cli.Run(ctx, s.program(&out, &err, args...))
	return outcome{code, out.String(), err.String()}
}

func (s *session) program(out, err io.Writer, args ...string) cli.Program {
	return cli.Program{Args: args, Stdin: s.stdin, Stdout: out, Stderr: err, Environ: s.environ, Verify: s.verify, ImportModel: s.model,
		Open: func(_ context.Context, o cli.Options) (cli.Library, error) {
			s.options = o
			if s.open != nil {
				return nil, s.open
			}
			if s.held && !o.Beside {
				return nil, fault.New(fault.Conflict, cli.InUse, "Another process holds the data directory.")
			}
			return s.lib, os.MkdirAll(o.Config.Storage.Data, 0o700)
		}}
}

// write makes a file in the folder.
func (s *session) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// want holds an outcome against a code and what must be in both streams.
func (o outcome) want(t *testing.T, code int, out, err string) {
	t.Helper()
	if o.code != code || !strings.Contains(o.out, out) || !strings.Contains(o.err, err) {
		t.Errorf("exit %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", o.code, code, o.out, out, o.err, err)
	}
}
