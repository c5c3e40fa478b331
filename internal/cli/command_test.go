package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/fault"
)

func TestSettingsComeFromFlagsFirst(t *testing.T) {
	s := newSession(t)
	s.environ = []string{"BYLINE_DATA=environment", "BYLINE_WORKERS=3", "DEBUG=true"}
	s.write("my.toml", "byline_data = 'file'\nmax_upload_size = '1MB'\n")
	s.run("search", "x", "--data", "flag", "--config", "my.toml", "--debug=false")
	c := s.options.Config
	if c == nil || c.Storage.Data != "flag" || c.Storage.Workers != 3 || c.Documents.MaxUploadSize != 1e6 || c.App.Debug {
		t.Errorf("%+v", c)
	}
	s.run("search", "x", "--debug")
	if c = s.options.Config; c.Storage.Data != "environment" || !c.App.Debug {
		t.Errorf("%+v", c)
	}
	s.run("search", "--config", "missing.toml", "x").want(t, cli.ExitUsage, "", "missing.toml")
}

func TestNoticesAreTold(t *testing.T) {
	s := newSession(t)
	s.write(".env", "OPENAI_API_KEY=sk-...\n")
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "note: .env:1: OPENAI_API_KEY is a placeholder")
	if got := s.run("search", "-q", "x"); got.err != "" {
		t.Errorf("--quiet says %q", got.err)
	}
}

func TestTheLogGoesToStandardError(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string // levels
	}{
		"commands tell it themselves": {[]string{"search", "x"}, ""},
		"debug":                       {[]string{"search", "x", "--debug"}, "debug info warn"},
		"a server tells more":         {[]string{"serve", "--listen", "127.0.0.1:0"}, "info warn"},
		"but not a quiet one":         {[]string{"serve", "--listen", "127.0.0.1:0", "--quiet"}, "warn"},
		"json":                        {[]string{"search", "x", "--log-format=json", "--debug"}, "debug info warn"},
		"the child of a debug":        {[]string{"warm", "--debug"}, "debug info warn"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var out, log bytes.Buffer
			p := s.program(&out, &log, tc.args...)
			open := p.Open
			p.Open = func(ctx context.Context, o cli.Options) (cli.Library, error) {
				o.Log.Debug("debug")
				o.Log.Info("info")
				o.Log.Warn("warn")
				stop()
				return open(ctx, o)
			}
			cli.Run(ctx, p)
			var got []string
			for line := range strings.Lines(log.String()) {
				for _, level := range []string{"debug", "info", "warn"} {
					if strings.Contains(line, "msg="+level) || strings.HasPrefix(line, "{") && strings.Contains(line, `"msg":"`+level+`"`) {
						got = append(got, level)
					}
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %v, want %s in\n%s", got, tc.want, log.String())
			}
		})
	}
}

func TestALibraryInUseIsReachedThroughItsServer(t *testing.T) {
	s := newSession(t)
	s.held = true
	s.write("a.md", "x")
	s.run("search", "x").want(t, cli.ExitFailed, "", "byline: Another byline is at work in ./byline-data, and it is no server")
	if err := os.Mkdir("byline-data", 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("byline-data/serve.json", "{")
	s.run("search", "x").want(t, cli.ExitFailed, "", "read byline-data/serve.json")
	srv := httptest.NewServer(s.lib.Handler())
	s.write("byline-data/serve.json", fmt.Sprintf(`{"url":%q,"token":"bll_local","pid":7}`, srv.URL))
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "")
	s.run("draft", "a.md", "-o", "p.md").want(t, cli.ExitOK, "p.md: ", "")
	s.run("doctor").want(t, cli.ExitOK, "held by the server at "+srv.URL+" (process 7)", "")

	// While it writes, Ctrl-C stops the watching only.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.lib.log, s.lib.onEvent = []string{`{"type":"step.started","data":{"step":"plan"}}`}, func(int) { stop() }
	s.runWith(ctx, "draft", "a.md").want(t, cli.ExitInterrupted, "", "The writing goes on in the server. Take it up with: byline draft --resume R1\n")
	srv.Close()
	s.run("search", "x").want(t, cli.ExitFailed, "", "The server at "+srv.URL+" does not answer.")
	s.run("doctor").want(t, cli.ExitFailed, "does not answer", "")
	if len(s.lib.state) > 0 {
		t.Errorf("the library of the server was touched: %v", s.lib.state)
	}
}

// On PostgreSQL servers of several machines share the directory. The command asks the one of its machine; where there is none it opens the library beside
// the others.
func TestALibraryOfSeveralServers(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	file := "byline-data/serve." + host + ".json"
	s := newSession(t)
	s.held = true
	s.environ = []string{"DATABASE_URL=postgres://localhost/byline", "BYLINE_LISTEN=127.0.0.1:0"}
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "")
	if !s.options.Beside || fmt.Sprint(s.lib.state) != "[drained closed]" {
		t.Errorf("%+v %v", s.options, s.lib.state)
	}
	srv := httptest.NewServer(s.lib.Handler())
	defer srv.Close()
	other := fmt.Sprintf(`{"url":%q,"token":"bll_local","pid":7}`, srv.URL)
	s.write(file, other)
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "")
	if s.options.Beside {
		t.Error("the server of this machine was not asked")
	}

	// A server that ends leaves the file alone when another one has started meanwhile.
	s.held = false
	for _, mine := range []bool{false, true} {
		ctx, stop := context.WithCancel(t.Context())
		greeted, out := io.Pipe()
		ended := make(chan int, 1)
		go func() { ended <- cli.Run(ctx, s.program(out, io.Discard, "serve", "--json")) }()
		if err := json.NewDecoder(greeted).Decode(&struct{}{}); err != nil {
			t.Fatal(err)
		}
		if !mine {
			s.write(file, strings.Replace(other, "bll_local", "bll_other", 1))
		}
		stop()
		if code := <-ended; code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		if _, err := os.Stat(file); (err == nil) == mine {
			t.Errorf("mine %v, left: %v", mine, err)
		}
	}
}

func TestTheServeFileOfAKilledServerIsRemoved(t *testing.T) {
	s := newSession(t)
	if err := os.Mkdir("byline-data", 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("byline-data/serve.json", `{"url":"http://127.0.0.1:1","token":"old","pid":1}`)
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "")
	if _, err := os.Stat("byline-data/serve.json"); err == nil {
		t.Error("serve.json is still there")
	}
}

func TestServe(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"for people":       {nil, "Byline is at %[1]s (documentation: %[1]s/docs)\nOpen the first account, once: %[1]s/setup#token=abc\n"},
		"for scripts":      {[]string{"--json"}, "{\"setup_url\":\"%[1]s/setup#token=abc\",\"url\":\"%[1]s\"}\n"},
		"at all addresses": {[]string{"--listen", "0.0.0.0:0"}, "Byline is at %[1]s (documentation: %[1]s/docs)\nOpen the first account, once: %[1]s/setup#token=abc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.environ, s.lib.setup = []string{"BYLINE_LISTEN=127.0.0.1:0", "BYLINE_DATA=lib"}, "abc"
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			greeted, out := io.Pipe()
			ended := make(chan outcome, 1)
			go func() {
				var err bytes.Buffer
				code := cli.Run(ctx, s.program(out, &err, append([]string{"serve"}, tc.args...)...))
				ended <- outcome{code: code, err: err.String()}
			}()
			said := make([]byte, 4096)
			n, err := greeted.Read(said)
			if err != nil {
				t.Fatal(err)
			}
			var at struct {
				URL, Token string
				PID        int
			}
			data, err := os.ReadFile("lib/serve.json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &at); err != nil || at.PID != os.Getpid() || at.Token != s.lib.token || !strings.HasPrefix(at.URL, "http://127.0.0.1:") {
				t.Errorf("serve.json has %s, %v", data, err)
			}
			if info, err := os.Stat("lib/serve.json"); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("serve.json: %v, %v", info.Mode(), err)
			}
			if want := fmt.Sprintf(tc.want, at.URL); string(said[:n]) != want {
				t.Errorf("said %q, want %q", said[:n], want)
			}
			req, _ := http.NewRequest("GET", at.URL+"/readyz", nil)
			req.Header.Set("Authorization", "Bearer "+at.Token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			stop()
			got := <-ended
			got.want(t, cli.ExitOK, "", "Stopping: ")
			if _, err := os.Stat("lib/serve.json"); err == nil {
				t.Error("serve.json is still there")
			}
			if diff := cmp.Diff([]string{"retired", "drained", "closed"}, s.lib.state); diff != "" {
				t.Error(diff)
			}
			if !s.options.Server {
				t.Error("opened for a command, not for a server")
			}
		})
	}
}

func TestServeClosesRequestsThatDoNotEnd(t *testing.T) {
	s := newSession(t)
	s.environ = []string{"BYLINE_LISTEN=127.0.0.1:0", "BYLINE_DRAIN_TIMEOUT=10ms"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.lib.answers["GET /readyz"] = func(_ http.ResponseWriter, r *http.Request) bool {
		stop()
		<-r.Context().Done()
		return true
	}
	greeted, out := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, s.program(out, io.Discard, "serve", "--json")) }()
	var at struct{ URL string }
	if err := json.NewDecoder(greeted).Decode(&at); err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("GET", at.URL+"/readyz", nil)
	req.Header.Set("Authorization", "Bearer "+s.lib.token)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error("the request was answered")
	}
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
}

// While a load balancer has not noticed yet, requests are answered, each on a connection of its own.
func TestServeGoesOnUntilItsEndIsNoticed(t *testing.T) {
	s := newSession(t)
	s.environ = []string{"BYLINE_LISTEN=127.0.0.1:0"}
	s.lib.noticed = make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	greeted, out := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, s.program(out, io.Discard, "serve", "--json")) }()
	var at struct{ URL string }
	if err := json.NewDecoder(greeted).Decode(&at); err != nil {
		t.Fatal(err)
	}
	for _, leaving := range []bool{false, true} {
		if leaving {
			stop()
			s.lib.noticed <- struct{}{} // it waits for this twice
		}
		req, _ := http.NewRequest("GET", at.URL+"/readyz", nil)
		req.Header.Set("Authorization", "Bearer "+s.lib.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Close != leaving {
			t.Errorf("leaving %v: %s, closed %v", leaving, resp.Status, resp.Close)
		}
	}
	close(s.lib.noticed)
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
}

func TestServeThatCannotStart(t *testing.T) {
	s := newSession(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	s.run("serve", "--listen", srv.Listener.Addr().String()).want(t, cli.ExitFailed, "", "--listen or BYLINE_LISTEN names another address")
	if err := os.MkdirAll("byline-data/serve.json/x", 0o700); err != nil {
		t.Fatal(err)
	}
	s.run("serve", "--listen", "127.0.0.1:0").want(t, cli.ExitFailed, "", "write serve.json")
	s.held = true
	s.run("serve").want(t, cli.ExitFailed, "", "Another process holds the data directory.")
	s.run("serve", "--listen", "x").want(t, cli.ExitUsage, "", "The configuration has 1 mistake")
}

func TestSearch(t *testing.T) {
	s := newSession(t)
	s.lib.answers["POST /api/v1/documents/search"] = func(w http.ResponseWriter, r *http.Request) bool {
		s.lib.remember("search", `{"total":2,"evidence":false,"degraded":["vectors\u001b[2J"],"filtered":[{"document_name":"old.md","passage_id":"P","reasons":["type","tag"]}],"results":[
			{"content":"The heat pump\u001b]0;owned\u0007 is in\nthe east wing.","document_id":"D","document_name":"plan`+"\u009b"+`2J.pdf","score":0.5,"page":3,"start":10,"end":40,
			 "highlights":[{"start":4,"end":8},{"start":2,"end":3},{"start":9,"end":900},{"start":9,"end":13}],"explain":{"score":0.75,"lexical":{"rank":1,"score":2.5,"weight":0.6,"part":0.6,"terms":[{"term":"heat","frequency":2,"score":1.5}]},
			  "vector":{"rank":0,"weight":0,"why":"language"}}},
			{"content":"x","document_name":"notes.txt","score":1,"start":0,"end":1,"highlights":[]}]}`, 200)(w, r)
		return true
	}
	got := s.run("search", "heat", "pump", "-k", "3", "--mode=lexical", "--explain")
	want := "1. plan\ufffd2J.pdf, p. 3 (score 0.50, bytes 10-40)\n   The heat pump\ufffd]0;owned\ufffd is in\n   the east wing.\n   why 0.750\n   words: 0.600 as rank 1 with weight 0.60 (BM25 2.500), heat x2 1.500\n   meaning: not among its best, weight 0.00, language\n2. notes.txt (score 1.00, bytes 0-1)\n   x\n"
	if got.out != want || got.err != "None of these answers the question well enough to be relied on.\nleft out: old.md, passage P (type, tag)\ndegraded: vectors\ufffd[2J\n" || got.code != 0 {
		t.Errorf("got %+v, want %q", got, want)
	}
	if diff := cmp.Diff(map[string]any{"query": "heat pump", "top_k": 3.0, "mode": "lexical", "explain": true}, s.lib.bodies["search"]); diff != "" {
		t.Error(diff)
	}
	s.run("search", "heat", "--per-document=2", "--expand=section", "--document=D,E", "--type=pdf", "--tag", "a", "--tag", "b", "--language=en",
		"--from=2026-01-31", "--to=2026-02-28", "--pages=3-9")
	day := func(month time.Month, day int) string {
		return time.Date(2026, month, day, 0, 0, 0, 0, time.Local).Format(time.RFC3339)
	}
	if diff := cmp.Diff(map[string]any{"query": "heat", "top_k": 5.0, "mode": "hybrid", "explain": false, "max_per_document": 2.0, "expand": "section",
		"document_ids": []any{"D", "E"}, "filters": map[string]any{"type": []any{"pdf"}, "tag": []any{"a", "b"}, "language": []any{"en"},
			"from": day(1, 31), "to": day(3, 1), "page_from": 3.0, "page_to": 9.0}}, s.lib.bodies["search"]); diff != "" {
		t.Error(diff)
	}
	for pages, want := range map[string]map[string]any{"7": {"page_from": 7.0, "page_to": 7.0}, "3-": {"page_from": 3.0}, "-9": {"page_to": 9.0}} {
		s.run("search", "heat", "--pages="+pages)
		if diff := cmp.Diff(map[string]any(want), s.lib.bodies["search"]["filters"]); diff != "" {
			t.Errorf("--pages=%s: %s", pages, diff)
		}
	}
	for _, wrong := range []string{"--pages=x", "--pages=0", "--pages=-", "--from=yesterday", "--to=2026-02-30", "--expand=all", "--mode=magic"} {
		s.run("search", "heat", wrong).want(t, cli.ExitUsage, "", "--")
	}
	got = s.run("search", "--json", "heat")
	var answer struct {
		Results []struct{ Content, DocumentName string }
	}
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || len(answer.Results) != 2 || !strings.Contains(answer.Results[0].Content, "\x1b]0;owned\a") {
		t.Errorf("%v: %s", err, got.out)
	}
	if strings.ContainsAny(got.out, "\x1b\a\u009b") {
		t.Errorf("control characters in %q", got.out)
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"a problem":        {422, `{"status":422,"code":"not_available","detail":"Search by meaning comes later."}`, "Search by meaning comes later."},
		"ours":             {500, `{"status":500,"code":"internal","detail":"Something went wrong.","request_id":"q9"}`, "Something went wrong. (request q9)"},
		"no problem+json":  {502, `<html>`, "was answered with 502 Bad Gateway and no reason"},
		"no JSON":          {200, `<html>`, "read answer of /api/v1/documents/search"},
		"an empty problem": {400, `{}`, "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.lib.answers["POST /api/v1/documents/search"] = func(w http.ResponseWriter, _ *http.Request) bool {
				reply(w, tc.status, tc.body)
				return true
			}
			s.run("search", "x").want(t, cli.ExitFailed, "", tc.says)
			s.run("search", "--json", "x").want(t, cli.ExitFailed, "", tc.says)
		})
	}
}

func TestUsers(t *testing.T) {
	s := newSession(t)
	s.stdin = strings.NewReader("correct horse battery\r\nrest\n")
	s.run("user", "add", "ada@example.org", "--name", "Ada").want(t, cli.ExitOK, "ada@example.org is admin\n", "")
	if diff := cmp.Diff(map[string]any{"email": "ada@example.org", "password": "correct horse battery", "full_name": "Ada"}, s.lib.bodies["user"]); diff != "" {
		t.Error(diff)
	}
	s.stdin = strings.NewReader("no newline")
	s.run("user", "add", "ada@example.org", "--json").want(t, cli.ExitOK, `{"id":"U1","email":"ada@example.org","role":"admin"}`+"\n", "")
	if got := s.lib.bodies["user"]["password"]; got != "no newline" {
		t.Errorf("password %q", got)
	}
	s.stdin = iotest.ErrReader(errors.New("closed"))
	s.run("user", "add", "ada@example.org").want(t, cli.ExitFailed, "", "read password: closed")
	s.run("user", "list").want(t, cli.ExitOK, "ada@example.org\tadmin\tAda\ufffd[2J\n", "")
	s.run("user", "list", "--json").want(t, cli.ExitOK, `{"users":[{"id":"U1","email":"ada@example.org"`, "")
	refuse := func(w http.ResponseWriter, _ *http.Request) bool {
		problem(w, 403, "admin_only", "Only an admin can do this.")
		return true
	}
	s.lib.answers["GET /api/v1/users"], s.lib.answers["POST /api/v1/users"] = refuse, refuse
	s.stdin = strings.NewReader("x\n")
	s.run("user", "add", "ada@example.org").want(t, cli.ExitFailed, "", "Only an admin")
	s.run("user", "list").want(t, cli.ExitFailed, "", "Only an admin")
}

func TestVerify(t *testing.T) {
	s := newSession(t)
	var found []string
	var broken error
	s.verify = func(_ context.Context, c *config.Config, contains []string, _ bool) ([]string, string, error) {
		return found, "3 documents, looked for " + strings.Join(contains, "+") + " in " + c.Storage.Data, broken
	}
	s.run("verify", "--contains", "a", "--contains", "b").want(t, cli.ExitOK, "3 documents, looked for a+b in ./byline-data; 0 problems\n", "")
	s.run("verify", "--json").want(t, cli.ExitOK, `{"checked":"3 documents, looked for  in ./byline-data","problems":[]}`+"\n", "")
	found = []string{"a passage\x1b[2J is wrong"}
	s.run("verify").want(t, cli.ExitFailed, "a passage\ufffd[2J is wrong\n", "")
	broken = fault.New(fault.Internal, "internal", "Something went wrong.").Because(errors.New("disk \x1b[2J"))
	s.run("verify").want(t, cli.ExitFailed, "", "byline: Something went wrong.\n  disk \ufffd[2J\n")
	s.run("verify", "--listen=x").want(t, cli.ExitUsage, "", "--listen")
}

func TestModelImport(t *testing.T) {
	s := newSession(t)
	made := cli.Model{Space: "bert/1e5f4459-w7a8.1-512-prefixed/384", Dimensions: 384, Limit: 512, Bytes: 137e6, Query: "query: ", Passage: "passage: ", Near: .84, Far: .72, Fast: true}
	var broken error
	s.model = func(_ context.Context, c *config.Config, dir, out string) (cli.Model, error) {
		if out == "" {
			out = c.Storage.Data + "/models/" + dir
		}
		m := made
		m.Directory = out
		return m, broken
	}
	got := s.run("model", "import", "e5")
	got.want(t, cli.ExitOK, "BYLINE_EMBEDDER=./byline-data/models/e5\n", "384 numbers, texts of up to 512 tokens, 137 MB: bert/1e5f4459-w7a8.1-512-prefixed/384\n\"query: \" is put before")
	got.want(t, cli.ExitOK, "", "a question is 0.84 like its answer and 0.72 like something else.\n")
	if strings.Contains(got.err, "Warning") || strings.Contains(got.err, "Latin") {
		t.Errorf("it says %q", got.err)
	}
	s.run("model", "import", "e5", "-o", "a b", "-q").want(t, cli.ExitOK, "BYLINE_EMBEDDER='a b'\n", "")
	s.run("model", "import", "e5", "-o", "x", "--json").want(t, cli.ExitOK, `{"directory":"x","space":"bert/1e5f4459-w7a8.1-512-prefixed/384","dimensions":384,"limit":512,`, "")
	made.Latin, made.Near, made.Fast = true, .5, false
	got = s.run("model", "import", "e5")
	for _, part := range []string{"Latin letters", "do not belong together", "no instructions"} {
		got.want(t, cli.ExitOK, "", part)
	}
	broken = fault.New(fault.Invalid, "model_unusable", "The model cannot be used: its\x1b[2J heads.")
	s.run("model", "import", "e5").want(t, cli.ExitFailed, "", "byline: The model cannot be used: its\ufffd[2J heads.\n")
	s.run("model", "import").want(t, cli.ExitUsage, "", "accepts 1 arg")
	s.run("model", "import", "e5", "--listen=x").want(t, cli.ExitUsage, "", "--listen")
	s.run("model").want(t, cli.ExitOK, "byline model [command]", "")
	s.run("model", "imprt").want(t, cli.ExitUsage, "", "did you mean import?")
}

func TestConfig(t *testing.T) {
	s := newSession(t)
	s.write(".env", "SECRET_KEY=0123456789012345678901234567890123456789\nTAVILY_API_KEY=tvly-...\n")
	s.run("config", "check").want(t, cli.ExitOK, "notice  .env:2: TAVILY_API_KEY is a placeholder", "")
	if got := s.run("config", "check", "-q"); strings.Contains(got.out, "TAVILY") || !strings.Contains(got.out, "The configuration is valid") {
		t.Errorf("--quiet says %q", got.out)
	}
	got := s.run("config", "print", "--data", "x")
	got.want(t, cli.ExitOK, "********", "")
	if strings.Contains(got.out, "0123456789") {
		t.Error("a secret is shown")
	}
	got = s.run("config", "print", "--json", "--data", "x")
	got.want(t, cli.ExitOK, `{"name":"BYLINE_DATA","value":"x","origin":"--data","secret":false}`, "")
	got.want(t, cli.ExitOK, `{"name":"SECRET_KEY","value":"********","origin":".env:1","secret":true}`, "")
	s.environ = []string{"DEBUG=maybe", "BYLINE_LISTN=x"}
	s.run("config", "check").want(t, cli.ExitUsage, "did you mean BYLINE_LISTEN?", "")
	s.run("config", "check", "--json").want(t, cli.ExitUsage, `"valid":false`, "")
	s.run("config", "print").want(t, cli.ExitUsage, "BYLINE_DATA", "byline: The configuration has 2 mistakes:\n")
	s.environ = nil
	one, two := s.run("config", "secret"), s.run("config", "secret", "--json")
	var secret struct{ Secret string }
	if err := json.Unmarshal([]byte(two.out), &secret); err != nil || len(secret.Secret) < 32 || len(one.out) < 33 || one.out == secret.Secret+"\n" {
		t.Errorf("%q and %q, %v", one.out, two.out, err)
	}
	s.run("config").want(t, cli.ExitOK, "byline config [command]", "")
}

func TestWarmAndVersionAndHelp(t *testing.T) {
	s := newSession(t)
	s.run("warm").want(t, cli.ExitOK, "PDFs can be read right away.\n", "")
	s.run("warm", "--json").want(t, cli.ExitOK, `{"warm":true}`, "")
	s.lib.warm = errors.New("no memory")
	s.run("warm").want(t, cli.ExitFailed, "", "no memory")
	s.held = true
	s.run("warm").want(t, cli.ExitFailed, "", "holds the data directory")
	s.run("warm", "--listen=x").want(t, cli.ExitUsage, "", "--listen")
	s.run("version").want(t, cli.ExitOK, "byline "+cli.Version(), "")
	s.run("version", "--json").want(t, cli.ExitOK, `"version":"`+cli.Version()+`"`, "")
	s.run().want(t, cli.ExitOK, "--data string", "")
	s.run("user").want(t, cli.ExitOK, "byline user [command]", "")
	s.run("search", "--help").want(t, cli.ExitOK, "heat pump", "")
}

func TestALibraryThatClosesBadlyIsTold(t *testing.T) {
	s := newSession(t)
	s.lib.closing = errors.New("disk full")
	s.run("search", "x").want(t, cli.ExitOK, "Nothing was found.", "byline: disk full")
}

func TestDoctor(t *testing.T) {
	type setup = func(t *testing.T, s *session)
	mkdir := func(t *testing.T, s *session) {
		if err := os.MkdirAll("byline-data/cache/x", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		set  setup
		args []string
		code int
		want string
	}{
		"nothing there": {func(*testing.T, *session) {}, nil, 0, "ok    library         none yet; the first command makes it\n"},
		"all is well":   {mkdir, nil, 0, "ok  PDF engine      prepared\n"},
		"json":          {mkdir, []string{"--json"}, 0, `{"name":"API","state":"ok","detail":"ready"},{"name":"store","state":"ok","detail":"sqlite (0.2 ms)"}`},
		"bad settings":  {mkdir, []string{"--listen=x"}, 1, "fail  settings  mistakes: 1\n                byline config check"},
		"notices": {func(t *testing.T, s *session) {
			s.environ = []string{"OPENAI_API_KEY=sk-..."}
		}, nil, 0, "warn  settings        valid; notices: 1"},
		"no directory":  {func(t *testing.T, s *session) { s.write("byline-data", "a file") }, nil, 1, "fail  data directory  ./byline-data: it is no directory"},
		"behind a file": {func(t *testing.T, s *session) { s.write("file", "a file") }, []string{"--data", "file/x"}, 1, "not a directory"},
		"open to others": {func(t *testing.T, s *session) {
			mkdir(t, s)
			if err := os.Chmod("byline-data", 0o755); err != nil {
				t.Fatal(err)
			}
		}, nil, 0, "chmod 700 ./byline-data"},
		"in use": {func(t *testing.T, s *session) {
			mkdir(t, s)
			s.held = true
		}, nil, 0, "warn  library         another byline is at work in it"},
		"too new": {func(t *testing.T, s *session) {
			mkdir(t, s)
			s.open = fault.New(fault.Conflict, "schema_too_new", "This library was written by a newer Byline.")
		}, nil, 1, "fail  library         This library was written by a newer Byline."},
		"not ready": {func(t *testing.T, s *session) {
			mkdir(t, s)
			s.lib.answers["GET /readyz"] = func(w http.ResponseWriter, _ *http.Request) bool {
				reply(w, 503, `{"status":"not_ready"}`)
				return true
			}
			s.lib.answers["GET /api/v1/status"] = func(w http.ResponseWriter, _ *http.Request) bool {
				reply(w, 200, `{"dependencies":[{"name":"store","status":"down","detail":"refused"},{"name":"search","status":"degraded","detail":"slow"}]}`)
				return true
			}
		}, nil, 1, "fail  store           refused (0.0 ms)\n                      Look at its address"},
		"no status": {func(t *testing.T, s *session) {
			mkdir(t, s)
			s.lib.answers["GET /api/v1/status"] = func(w http.ResponseWriter, _ *http.Request) bool {
				problem(w, 403, "forbidden", "No.")
				return true
			}
		}, nil, 1, "fail  status          No."},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			tc.set(t, s)
			s.run(append([]string{"doctor"}, tc.args...)...).want(t, tc.code, tc.want, "")
		})
	}
	t.Run("stopped", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		newSession(t).runWith(ctx, "doctor").want(t, cli.ExitInterrupted, "", "Stopped.")
	})
}
