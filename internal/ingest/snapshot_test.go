package ingest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
)

// lease is that of a run that goes on, of whatever kind.
func (s *shelf) lease(documents *document.Service) runs.Lease {
	s.Helper()
	if _, _, err := documents.Take(s.Context(), document.Upload{Workspace: ident.Local, Filename: "own.txt", Bytes: strings.NewReader("The run's own.\n"), Process: true}); err != nil {
		s.Fatal(err)
	}
	_, l, ok, err := s.Claim(s.Context(), "writer", []runs.Kind{runs.KindProcess})
	if err != nil || !ok {
		s.Fatal(ok, err)
	}
	return l
}

func fetched(address, text string) document.Fetched {
	return document.Fetched{URL: address, Filename: "page.txt", ContentType: "text/plain", FetchedAt: time.Now(), Body: io.NopCloser(strings.NewReader(text))}
}

func TestSnapshots(t *testing.T) {
	s := openShelf(t, t.TempDir())
	x := s.spaces(&words{name: "words", dims: 16})
	documents := document.New(s, s.blobs, document.Limits{Bytes: 1 << 10})
	snapshots := ingest.NewSnapshots(documents, s.Bus())
	l := s.lease(documents)
	stop := s.work(x)
	defer func() { stop() }()

	d, err := snapshots.Snapshot(t.Context(), l, fetched("https://example.org/a", "The mill has a wheel.\n"))
	if err != nil || d.Generation == 0 || d.Origin != document.FromWeb || d.SourceURL != "https://example.org/a" {
		t.Fatalf("%+v, %v", d, err)
	}
	again, err := snapshots.Snapshot(t.Context(), l, fetched("https://example.org/b", "The mill has a wheel.\n"))
	if err != nil || again.ID != d.ID {
		t.Errorf("the same bytes: %+v, %v", again, err)
	}

	// What was uploaded and never processed is processed now.
	waiting, _, err := documents.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "a.txt", Bytes: strings.NewReader("The weir holds the water.\n")})
	if err != nil || waiting.RunID != "" {
		t.Fatal(waiting, err)
	}
	ready, err := snapshots.Snapshot(t.Context(), l, fetched("https://example.org/c", "The weir holds the water.\n"))
	if err != nil || ready.ID != waiting.ID || ready.Generation == 0 || ready.Origin != document.FromUpload {
		t.Errorf("%+v, %v", ready, err)
	}

	for name, tt := range map[string]struct {
		page document.Fetched
		code string
	}{
		"nothing to read": {fetched("https://example.org/d", "• • •\n"), "empty_text"},
		"too large":       {fetched("https://example.org/e", strings.Repeat("x", 2000)), "file_too_large"},
		"a picture":       {document.Fetched{URL: "https://example.org/f", Filename: "f", Body: io.NopCloser(strings.NewReader("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"))}, "unsupported_type"},
	} {
		if _, err := snapshots.Snapshot(t.Context(), l, tt.page); err == nil || fault.Of(err).Code != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A page that could not be read is not tried again and again.
	if _, err := snapshots.Snapshot(t.Context(), l, fetched("https://example.org/g", "• • •\n")); err == nil || fault.Of(err).Code != "empty_text" {
		t.Error(err)
	}

	// Nobody works: the caller's patience decides.
	stop()
	stop = func() {}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := snapshots.Snapshot(ctx, l, fetched("https://example.org/h", "The bakery is warm.\n")); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := s.Cancel(t.Context(), ident.Local, l.RunID); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshots.Snapshot(t.Context(), l, fetched("https://example.org/i", "The barn is full.\n")); !errors.Is(err, runs.ErrFenced) {
		t.Error(err)
	}
}
