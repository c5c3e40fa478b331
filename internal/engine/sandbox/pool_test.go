package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/pdf/pdftest"
	"byline/internal/engine/sandbox"
)

// cache keeps the compiled PDFium for all tests of this run.
var cache string

// The extractors of the tests are this test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Subcommand {
		os.Exit(sandbox.Child())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sandbox")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cache = dir
	return m.Run()
}

func newPool(t *testing.T, change ...func(*sandbox.Options)) *sandbox.Pool {
	t.Helper()
	o := sandbox.Options{
		Command: []string{os.Args[0], sandbox.Subcommand}, CacheDir: cache, Workers: 2,
		Limits: sandbox.Limits{Memory: 512 << 20, Pages: 5000, Stall: time.Minute},
	}
	for _, c := range change {
		c(&o)
	}
	p := sandbox.New(o)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func write(t *testing.T, content []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "document.pdf")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestExtract(t *testing.T) {
	p := newPool(t)
	d := pdftest.Doc{Title: "The Kite"}
	d.Text("The kite rose over the harbour.")
	d.Text("On the second page it fell.")
	var c extract.Collector
	if err := p.Extract(t.Context(), "pdf", write(t, d.Bytes()), &c); err != nil {
		t.Fatal(err)
	}
	text := c.Text()
	if text.Title != "The Kite" || len(text.Pages) != 2 || !strings.Contains(text.Content, "On the second page it fell.") {
		t.Errorf("got %+v", text)
	}
}
