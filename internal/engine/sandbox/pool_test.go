package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/pdf/pdftest"
	"byline/internal/engine/sandbox"
	"byline/internal/fault"
)

// The extractors of the tests are this test binary, and so are programs that only pretend to be one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Subcommand {
		os.Exit(sandbox.Child())
	}
	if len(os.Args) > 2 && os.Args[1] == "pretend" {
		os.Exit(pretend(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// pretend is an extractor that does not do what it should.
func pretend(args []string) int {
	if args[0] == "crash once" {
		if f, err := os.OpenFile(args[1], os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			return 2
		}
		return sandbox.Child()
	}
	socket := os.NewFile(3, "parent")
	begin, _ := sandbox.JSONFrame('b', extract.Info{Pages: 3})
	part, _ := sandbox.EncodePart(extract.Part{Text: "One.\n\n", Page: &extract.Page{Number: 1}})
	switch args[0] {
	case "hang":
		time.Sleep(time.Hour) // not select {}: without cgo the runtime calls that a deadlock
	case "hang later":
		socket.Write(slices.Concat(begin, part))
		time.Sleep(time.Hour) // not select {}: without cgo the runtime calls that a deadlock
	case "crash":
		fmt.Fprintln(os.Stderr, "panic: the kite broke", os.Environ())
		return 2
	case "hang up":
		socket.Write(begin)
		return 0
	case "be killed":
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		time.Sleep(time.Hour) // not select {}: without cgo the runtime calls that a deadlock
	case "send garbage":
		socket.Write(bytes.Repeat([]byte{0xff}, 100))
	case "send parts without end":
		socket.Write(begin)
		for {
			if _, err := socket.Write(part); err != nil {
				return 1
			}
		}
	case "fail":
		f, _ := sandbox.JSONFrame('f', map[string]any{"kind": 0, "code": "internal", "say": "No disk.", "cause": "sector 7"})
		socket.Write(f)
	}
	io.Copy(io.Discard, socket)
	return 0
}

func pretending(args ...string) func(*sandbox.Options) {
	return func(o *sandbox.Options) { o.Command = append([]string{os.Args[0], "pretend"}, args...) }
}

func newPool(t *testing.T, change ...func(*sandbox.Options)) *sandbox.Pool {
	t.Helper()
	o := sandbox.Options{
		Command: []string{os.Args[0], sandbox.Subcommand}, CacheDir: pdftest.Warm(t), Workers: 2,
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

func kites(pages int) *pdftest.Doc {
	d := &pdftest.Doc{Title: "The Kite"}
	for n := 1; n <= pages; n++ {
		d.Text("The kite rose over the harbour.", fmt.Sprintf("This is page %d of the story.", n))
	}
	return d
}

func TestExtract(t *testing.T) {
	p := newPool(t, func(o *sandbox.Options) { o.Workers = 1 })
	f := write(t, kites(12).Bytes())
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 { // one after the other, by the same child
		var c extract.Collector
		if err := p.Extract(t.Context(), "pdf", f, &c); err != nil {
			t.Fatal(err)
		}
		text := c.Text()
		if text.Title != "The Kite" || len(text.Pages) != 12 || !strings.Contains(text.Content, "This is page 7 of the story.") {
			t.Errorf("got %+v", text)
		}
		for _, page := range text.Pages {
			if len(page.Words) != 13 {
				t.Errorf("page %d has %d words", page.Number, len(page.Words))
			}
		}
		b, err := p.RenderPage(t.Context(), f, 3, 36)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := png.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width != 298 {
			t.Errorf("%v, %v", c, err)
		}
		if n := p.Live(); n != 1 {
			t.Errorf("%d extractors", n)
		}
	}
}

func TestDocumentsFail(t *testing.T) {
	p := newPool(t)
	locked := kites(1)
	locked.Locked = true
	tests := map[string]struct {
		format  string
		content []byte
		want    string
	}{
		"empty":    {"pdf", nil, "broken_document"},
		"broken":   {"pdf", []byte("%PDF-1.4\nthis is no PDF at all"), "broken_document"},
		"password": {"pdf", locked.Bytes(), "password_required"},
		"pages":    {"pdf", kites(10_000).Bytes(), "too_many_pages"},
		"format":   {"docx", kites(1).Bytes(), "unsupported_type"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var c extract.Collector
			err := p.Extract(t.Context(), tt.format, write(t, tt.content), &c)
			if f := fault.Of(err); f.Code != tt.want || f.Kind != fault.Invalid {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if _, err := p.RenderPage(t.Context(), write(t, kites(1).Bytes()), 2, 72); fault.Of(err).Code != "page_not_found" || fault.Of(err).Kind != fault.NotFound {
		t.Error(err)
	}
	if n := p.Live(); n != 1 {
		t.Errorf("%d extractors are left: bad documents should not cost one", n)
	}
}

func TestChildrenFail(t *testing.T) {
	t.Setenv("SECRET_KEY", "not for extractors")
	tests := map[string]struct {
		want string
		kind fault.Kind
	}{
		"hang":         {"extract_timeout", fault.Invalid},
		"hang later":   {"extract_timeout", fault.Invalid},
		"crash":        {"extractor_crashed", fault.Invalid},
		"hang up":      {"extractor_crashed", fault.Invalid},
		"be killed":    {"out_of_memory", fault.Invalid},
		"send garbage": {"extractor_crashed", fault.Invalid},
		"fail":         {"internal", fault.Internal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, pretending(name), func(o *sandbox.Options) {
				if tt.want == "extract_timeout" {
					o.Limits.Stall = 300 * time.Millisecond
				}
			})
			var c extract.Collector
			err := p.Extract(t.Context(), "pdf", write(t, kites(1).Bytes()), &c)
			f := fault.Of(err)
			if f.Code != tt.want || f.Kind != tt.kind {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if name == "crash" && !strings.Contains(err.Error(), "the kite broke") {
				t.Errorf("%v does not have the child's last words", err)
			}
			if strings.Contains(err.Error(), "not for extractors") {
				t.Errorf("a child has our secrets: %v", err)
			}
		})
	}
}

func TestCrashFailsOneDocument(t *testing.T) {
	p := newPool(t, pretending("crash once", filepath.Join(t.TempDir(), "crashed")))
	f := write(t, kites(1).Bytes())
	for i, want := range []string{"extractor_crashed", ""} {
		var c extract.Collector
		err := p.Extract(t.Context(), "pdf", f, &c)
		if code := code(err); code != want {
			t.Errorf("document %d: %v", i, err)
		}
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func TestCancel(t *testing.T) {
	p := newPool(t, pretending("hang later"), func(o *sandbox.Options) { o.Workers = 1 })
	f := write(t, kites(1).Bytes())
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { // waits for the one extractor
		waited, cancelWaiting := context.WithCancel(ctx)
		cancelWaiting()
		waiting <- p.Warm(waited)
	}()
	var cancelled time.Time
	err := p.Extract(ctx, "pdf", f, sinkFunc(func(extract.Part) error {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
		cancelled = time.Now()
		cancel()
		return nil
	}))
	if took := time.Since(cancelled); !errors.Is(err, context.Canceled) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if n := p.Live(); n != 0 {
		t.Errorf("%d extractors are left", n)
	}
}

type sinkFunc func(extract.Part) error

func (sinkFunc) Begin(extract.Info) error    { return nil }
func (f sinkFunc) Part(p extract.Part) error { return f(p) }

func TestSinkFails(t *testing.T) {
	enough := errors.New("enough")
	for _, change := range []func(*sandbox.Options){func(*sandbox.Options) {}, pretending("send parts without end")} {
		p := newPool(t, change)
		n := 0
		err := p.Extract(t.Context(), "pdf", write(t, kites(20).Bytes()), sinkFunc(func(extract.Part) error {
			if n++; n == 3 {
				return enough
			}
			return nil
		}))
		if err != enough {
			t.Error(err)
		}
	}
}

func TestClose(t *testing.T) {
	p := newPool(t, pretending("hang later"))
	f := write(t, kites(1).Bytes())
	closed := make(chan error, 1)
	err := p.Extract(t.Context(), "pdf", f, sinkFunc(func(extract.Part) error {
		go func() { closed <- p.Close() }()
		return nil
	}))
	if got := fault.Of(err).Code; got != "shutting_down" {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := p.Warm(t.Context()); fault.Of(err).Code != "shutting_down" {
		t.Error(err)
	}
}

func TestIdleExtractorsLeave(t *testing.T) {
	p := newPool(t, func(o *sandbox.Options) { o.Idle = time.Millisecond })
	for range 2 {
		if err := p.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); p.Live() > 0; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("an idle extractor stays")
			}
		}
	}
}

func TestNoCommand(t *testing.T) {
	for _, command := range [][]string{nil, {"/does/not/exist"}} {
		p := newPool(t, func(o *sandbox.Options) { o.Command = command })
		if err := p.Warm(t.Context()); err == nil {
			t.Errorf("%q started", command)
		}
	}
}

// TestByHand: a person who starts the hidden command is told so.
func TestByHand(t *testing.T) {
	out, err := exec.Command(os.Args[0], sandbox.Subcommand).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not by hand") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestMutations: a good document with random damage is read or refused by name; no extractor crashes or hangs.
func TestMutations(t *testing.T) {
	d := kites(5)
	d.Page().Picture(10, 10, 100, 100)
	d.Page().Bold(72, 700, 20, "Heading").With("/Rotate 90 /CropBox [0 0 500 500]")
	good := d.Bytes()
	p := newPool(t)
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 17))
		bad := bytes.Clone(good)
		for range 1 + r.IntN(30) {
			at := r.IntN(len(bad))
			switch r.IntN(4) {
			case 0:
				bad[at] = byte(r.Uint32())
			case 1:
				bad[at] = "0123456789<>[]()/R "[r.IntN(19)]
			case 2:
				bad = slices.Delete(bad, at, min(at+1+r.IntN(20), len(bad)))
			case 3:
				from := r.IntN(len(bad))
				copy(bad[at:], bad[from:min(from+r.IntN(50), len(bad))])
			}
		}
		var c extract.Collector
		switch err := p.Extract(t.Context(), "pdf", write(t, bad), &c); code(err) {
		case "", "broken_document", "unreadable_pages", "password_required", "out_of_memory", "too_many_pages":
		default:
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
