package document_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/driver/localfs"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/store/storetest"
)

func service(t *testing.T, blobs blob.Store, limits document.Limits) *document.Service {
	t.Helper()
	if limits.Bytes == 0 {
		limits.Bytes = 1 << 20
	}
	if blobs == nil {
		b, err := localfs.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		blobs = b
	}
	return document.New(storetest.New(t), blobs, limits)
}

func TestTake(t *testing.T) {
	s := service(t, nil, document.Limits{})
	d, added, err := s.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: `C:\files\a.md`, Bytes: strings.NewReader("# Title\n\nText."), Process: true})
	if err != nil || !added || d.Filename != "a.md" || d.Size != 14 || d.Type != "markdown" || d.Status != document.Pending || len(d.SHA256) != 64 {
		t.Fatalf("%v %v %+v", added, err, d)
	}
	again, added, err := s.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "b.md", Bytes: iotest.OneByteReader(strings.NewReader("# Title\n\nText."))})
	if err != nil || added || again.ID != d.ID {
		t.Errorf("the same bytes: %v %v", added, err)
	}
	_, f, err := s.Open(t.Context(), ident.Local, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "# Title\n\nText." {
		t.Errorf("%q %v", b, err)
	}
}

// A repeated request gives the document it made; the same key with other bytes is refused.
func TestTakeOnce(t *testing.T) {
	s := service(t, nil, document.Limits{})
	take := func(content string) (document.Document, error) {
		d, _, err := s.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "a.md", Bytes: strings.NewReader(content), Force: true,
			Once: &ident.Once{Key: "k", Fingerprint: "upload"}})
		return d, err
	}
	first, err := take("# One")
	if err != nil {
		t.Fatal(err)
	}
	again, err := take("# One")
	if err != nil || again.ID != first.ID {
		t.Errorf("again: %v, %s and %s", err, first.ID, again.ID)
	}
	if _, err := take("# Two"); fault.Of(err).Code != "idempotency_key_reused" {
		t.Errorf("other bytes: %v", err)
	}
}

func TestRefused(t *testing.T) {
	limited := fault.New(fault.TooLarge, "request_too_large", "Too much.")
	for name, tc := range map[string]struct {
		limits document.Limits
		upload document.Upload
		code   string
	}{
		"empty":             {document.Limits{}, document.Upload{Filename: "a.md", Bytes: strings.NewReader("")}, "empty_file"},
		"over the limit":    {document.Limits{Bytes: 100}, document.Upload{Filename: "a.txt", Bytes: strings.NewReader(strings.Repeat("word ", 40))}, "file_too_large"},
		"far over it":       {document.Limits{Bytes: 100}, document.Upload{Filename: "a.txt", Bytes: strings.NewReader(strings.Repeat("word ", 40_000))}, "file_too_large"},
		"unknown kind":      {document.Limits{}, document.Upload{Filename: "a.exe", Bytes: strings.NewReader("MZ\x90\x00")}, "unsupported_type"},
		"not wanted here":   {document.Limits{Extensions: []string{"pdf"}}, document.Upload{Filename: "a.md", Bytes: strings.NewReader("# A")}, "extension_not_allowed"},
		"broken at once":    {document.Limits{}, document.Upload{Filename: "a.md", Bytes: iotest.ErrReader(errors.New("connection reset"))}, "upload_broken"},
		"broken in between": {document.Limits{}, document.Upload{Filename: "a.md", Bytes: io.MultiReader(strings.NewReader(strings.Repeat("word ", 4000)), iotest.ErrReader(errors.New("connection reset")))}, "upload_broken"},
		"cut by the face":   {document.Limits{}, document.Upload{Filename: "a.md", Bytes: io.MultiReader(strings.NewReader(strings.Repeat("word ", 4000)), iotest.ErrReader(limited))}, "request_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, err := localfs.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s := service(t, b, tc.limits)
			tc.upload.Workspace = ident.Local
			_, _, err = s.Take(t.Context(), tc.upload)
			if f := fault.Of(err); f == nil || f.Code != tc.code {
				t.Fatalf("got %v, want %s", err, tc.code)
			}
			if n, err := b.Sweep(t.Context(), func(string) (bool, error) { return false, nil }); n != 0 || err != nil {
				t.Errorf("%d files are left: %v", n, err)
			}
			if page, total, err := s.Documents(t.Context(), ident.Local, document.Filter{Limit: 10}); total != 0 || err != nil {
				t.Errorf("%+v %v", page, err)
			}
		})
	}
}

// full is a disk without space: each of its steps fails in its turn.
type full struct {
	blob.Store
	at string
}

var errFull = fault.New(fault.StorageFull, "storage_full", "The disk is full.")

func (f full) Stage(ctx context.Context) (blob.Staged, error) {
	if f.at == "stage" {
		return nil, errFull
	}
	s, err := f.Store.Stage(ctx)
	return fullStaged{s, f.at}, err
}

type fullStaged struct {
	blob.Staged
	at string
}

func (s fullStaged) Write(b []byte) (int, error) {
	if s.at == "write" {
		return 0, errFull
	}
	return s.Staged.Write(b)
}

func (s fullStaged) Commit(ctx context.Context) error {
	if s.at == "commit" {
		return errFull
	}
	return s.Staged.Commit(ctx)
}

func TestFullDisk(t *testing.T) {
	for _, at := range []string{"stage", "write", "commit"} {
		t.Run(at, func(t *testing.T) {
			b, err := localfs.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := service(t, full{b, at}, document.Limits{})
			if _, _, err := s.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "a.md", Bytes: strings.NewReader("# A")}); !errors.Is(err, errFull) {
				t.Errorf("got %v", err)
			}
			if _, total, err := s.Documents(t.Context(), ident.Local, document.Filter{Limit: 10}); total != 0 || err != nil {
				t.Errorf("%d documents, %v", total, err)
			}
		})
	}
}

func TestCancelledUpload(t *testing.T) {
	s := service(t, nil, document.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Take(ctx, document.Upload{Workspace: ident.Local, Filename: "a.md", Bytes: strings.NewReader("# A")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
