package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"byline/internal/app"
	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/fault"
	"byline/internal/store/storetest"
)

// opening opens a system as a command does, or a server.
func opening(t *testing.T, dir, database string, o cli.Options) (*app.App, error) {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{Environ: []string{"BYLINE_DATA=" + dir, "DATABASE_URL=" + database, "DEFAULT_LLM_PROVIDER=offline"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	o.Config, o.Log = cfg, slog.New(slog.DiscardHandler)
	return app.Open(t.Context(), o)
}

// Servers with one PostgreSQL share a data directory: what is uploaded to one is there on the other, with the same key for tokens. A command is told
// that servers are there, and may open the library beside them; a process on SQLite may not.
func TestServersShareADirectory(t *testing.T) {
	t.Parallel()
	dir, database := t.TempDir(), storetest.Schema(t)
	a, b := open(t, dir, "DATABASE_URL="+database), open(t, dir, "DATABASE_URL="+database)
	p := a.register("owner@example.com")
	doc := p.document("boiler.txt", "The boiler was installed in 1987.")
	q := &person{b, p.token}
	if r := q.want(200, "GET", "/api/v1/documents/"+doc+"/content", nil); string(r.raw) != "The boiler was installed in 1987." {
		t.Errorf("%s", r.raw)
	}
	for name, tc := range map[string]struct {
		database string
		o        cli.Options
		code     string
	}{
		"a command":          {database, cli.Options{}, cli.InUse},
		"a command beside":   {database, cli.Options{Beside: true}, ""},
		"a server":           {database, cli.Options{Server: true}, ""},
		"a server on SQLite": {"", cli.Options{Server: true}, cli.InUse},
	} {
		got, err := opening(t, dir, tc.database, tc.o)
		if err == nil {
			err = got.Close()
		}
		if code := ""; err != nil {
			if code = fault.Of(err).Code; code != tc.code {
				t.Errorf("%s: %v", name, err)
			}
		} else if tc.code != "" {
			t.Errorf("%s opens", name)
		}
	}
	a.close(a.server)
	b.close(b.server)
	alone, err := opening(t, dir, database, cli.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
	lite, err := opening(t, t.TempDir(), "", cli.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lite.Close(); err != nil {
		t.Error(err)
	}
}

// What was deleted goes soon, also where the process is restarted again and again before its first round.
func TestSweepAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	p := s.register("owner@example.com")
	doc := p.document("boiler.txt", "The boiler was installed in 1987.")
	p.want(200, "DELETE", "/api/v1/documents/"+doc, nil)
	s.close(s.server)
	if left, _ := filepath.Glob(filepath.Join(dir, "blobs", "*", "*")); len(left) != 1 {
		t.Skipf("swept before the end: %v", left) // on a slow machine
	}
	open(t, dir)
	for end := time.Now().Add(8 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left: %v, %v", left, err)
		}
	}
}

// A data directory that is opened with another database, such as a new PostgreSQL, keeps the files of its library, which that database knows nothing of.
func TestAnotherDatabaseLeavesFilesAlone(t *testing.T) {
	t.Parallel()
	dir, database := t.TempDir(), storetest.Schema(t)
	s := open(t, dir)
	p := s.register("owner@example.com")
	doc := p.document("boiler.txt", "The boiler was installed in 1987.")
	s.close(s.server)
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	ago := time.Now().Add(-2 * time.Hour)
	for _, marked := range []bool{true, false} { // also a directory that is older than its mark
		if err := os.Chtimes(files[0], ago, ago); err != nil {
			t.Fatal(err)
		}
		if !marked {
			if err := os.Remove(filepath.Join(dir, "library")); err != nil {
				t.Fatal(err)
			}
		}
		other := open(t, dir, "DATABASE_URL="+database)
		other.close(other.server)
		if _, err := os.Stat(files[0]); err != nil {
			t.Fatalf("marked %v: %v", marked, err)
		}
	}
	s = open(t, dir)
	if r := (&person{s, p.token}).want(200, "GET", "/api/v1/documents/"+doc+"/content", nil); len(r.raw) == 0 {
		t.Error("the file is gone")
	}
	if mark, err := os.ReadFile(filepath.Join(dir, "library")); err != nil || len(mark) == 0 {
		t.Error(err)
	}
	// Its own orphans are removed.
	orphan := filepath.Join(dir, "blobs", "ZZ", "01J9ZB3C4D5E6F7G8H9JKMNPZZ")
	if err := os.MkdirAll(filepath.Dir(orphan), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(orphan, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(orphan, ago, ago); err != nil {
		t.Fatal(err)
	}
	s.close(s.server)
	open(t, dir)
	if _, err := os.Stat(orphan); err == nil {
		t.Error("an orphan is left")
	}
}

// A server that stops tells streams to come again, with an answer that EventSource takes for that; an error would make it give up.
func TestStreamsOfAServerThatStops(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	_, path := p.talk()
	doc := p.document("boiler.txt", "The boiler was installed in 1987.")
	run := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}}).str("run", "id")
	p.events(run, 0, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.app.Retire(ctx) // nobody asks whether it is ready, so nobody has to notice
	resp, err := http.Get(s.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready: %s", resp.Status)
	}
	p.want(200, "GET", "/api/v1/auth/me", nil)
	s.app.Drain(ctx)
	for _, at := range []string{path + "/events", "/api/v1/runs/" + run + "/events"} {
		r := p.want(200, "GET", at, nil, "Accept", "text/event-stream")
		if string(r.raw) != "retry: 1000\n\n" {
			t.Errorf("%s: %q", at, r.raw)
		}
	}
}
