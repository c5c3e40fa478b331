package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/passhash"
	"byline/internal/httpapi"
	"byline/internal/ident"
	"byline/internal/ops"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
)

// TestServeScript is no test but a server for bench/events, in a process of its own: real store, log, hub, authentication and
// streams, around runs that write tokens at a steady rate. It serves at BENCH_LISTEN, prints a line of JSON with an access
// token and the ids of BENCH_RUNS runs, lets them write BENCH_TOKENS tokens each at BENCH_RATE a second once a line comes
// in, and ends with its input.
func TestServeScript(t *testing.T) {
	listen := os.Getenv("BENCH_LISTEN")
	if listen == "" {
		t.Skip("bench/events starts it")
	}
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, begin := number(t, "BENCH_RUNS"), make(chan struct{})
	w := runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Handlers: map[runs.Kind]runs.Handler{
		runs.KindGenerate: {Do: script(begin, number(t, "BENCH_TOKENS"), number(t, "BENCH_RATE")), Limit: n},
	}})
	hub := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
	token, ids := scripted(t, s, hub, listen, n)
	w.Start()
	if err := json.NewEncoder(os.Stdout).Encode(obj{"token": token, "runs": ids}); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	close(begin)
	for in.Scan() {
	}
	hub.Close()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	w.Stop(ended)
}

func number(t *testing.T, name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// script is a handler that writes tokens when it is time.
func script(begin <-chan struct{}, tokens, rate int) func(context.Context, *runs.Job) (any, error) {
	return func(ctx context.Context, job *runs.Job) (any, error) {
		<-begin
		at := 0
		t := time.NewTicker(time.Second / time.Duration(rate))
		defer t.Stop()
		for i := range tokens {
			select {
			case <-t.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			text := fmt.Sprintf(" word%d", i)
			if err := job.Token(ctx, "draft", "s1", at, text); err != nil {
				return nil, err
			}
			at += len(text)
		}
		return obj{}, nil
	}
}

// scripted serves the interface and makes an account with its runs.
func scripted(t *testing.T, s *store.Store, hub *runs.Hub, listen string, n int) (token string, ids []string) {
	t.Helper()
	accounts, err := account.New(s, account.Options{Secret: make([]byte, 32), Algorithm: "HS256", AccessTTL: time.Hour, RefreshTTL: time.Hour,
		PasswordHash: account.Argon2id, Registration: account.Open, LocalToken: "local",
		Hashers: passhash.NewPool(passhash.Options{})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(httpapi.Deps{Name: "Byline", Version: "bench", MaxUpload: 1 << 20, Accounts: accounts,
		Documents: document.New(s, nil, document.Limits{}), Searcher: search.New(s, search.NewEmbedded(s, 1<<20), nil), Drafts: draft.New(s.Drafts(), s),
		Runs: s, Steps: s.Steps, Hub: hub, Streams: httpapi.NewStreams(accounts, slog.New(slog.DiscardHandler)), Health: ops.NewHealth(), Metrics: ops.NewMetrics("bench"), Log: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l, handler) //nolint:errcheck // ends with the process
	p := (&system{t: t, url: "http://" + l.Addr().String()})
	p.loadSpec()
	who := p.register("owner@example.com")
	users, err := s.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		_, r, err := s.Drafts().Add(t.Context(), draft.Draft{ID: ident.New(), Workspace: users[0].Workspace, Status: draft.Generating, CreatedAt: time.Now(), UpdatedAt: time.Now()}, draft.Wish{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return who.token, ids
}
