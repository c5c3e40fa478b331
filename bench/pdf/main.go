// Command pdf measures the CPU time that the extractor needs for a page's text with the boxes of its words, beside mutool,
// pdftotext and PyMuPDF on the same documents in the same run, and the memory that a long document takes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/engine/sandbox"
)

var (
	rounds = flag.Int("rounds", 5, "measured rounds; the smallest of each is taken, which other programs' noise touches least")
	folder = flag.String("documents", "", "folder of unpacked documents (default: download the packages into a temporary folder)")
	python = flag.String("python", "", "python with pymupdf (default: a venv in a temporary folder)")
	output = flag.String("o", "pdf/results.md", "result")
)

// packages are Debian's; documents are paths in them.
var (
	packages  = []string{"r-doc-pdf", "why3-doc-pdf", "siscone-doc-pdf", "docbook-xsl-doc-pdf", "auto-multiple-choice-doc-pdf"}
	documents = []string{
		"usr/share/R/doc/manual/R-intro.pdf",
		"usr/share/R/doc/manual/R-exts.pdf",
		"usr/share/R/doc/manual/R-admin.pdf",
		"usr/share/doc/why3-doc-pdf/manual.pdf",
		"usr/share/doc/siscone-doc-pdf/pdf/refman.pdf",
		"usr/share/doc/docbook-xsl-doc-pdf/doc/reference.pdf",
		"usr/share/doc/auto-multiple-choice/auto-multiple-choice.en.pdf",
		"usr/share/doc/auto-multiple-choice/latex/automultiplechoice.pdf",
	}
	long = "usr/share/R/doc/manual/fullrefman.pdf" // 2,415 pages
)

const words = `
import pymupdf, sys, time
a = time.process_time()
with pymupdf.open(sys.argv[1]) as d:
    for p in d:
        p.get_text("words")
print(time.process_time() - a)
`

func main() {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Subcommand {
		os.Exit(sandbox.Child())
	}
	if len(os.Args) > 3 && os.Args[1] == "memory" {
		memory(os.Args[2], os.Args[3])
		return
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	check(err)
	defer os.RemoveAll(dir)
	if *folder == "" {
		*folder = filepath.Join(dir, "documents")
		download(*folder)
	}
	if *python == "" {
		*python = venv(dir)
	}
	b := &bench{cache: filepath.Join(dir, "cache")}
	b.compile()
	var rows []row
	for _, d := range documents {
		rows = append(rows, b.measure(filepath.Join(*folder, d)))
	}
	report(b, rows, peak(filepath.Join(*folder, long), b.cache))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func download(to string) {
	check(os.MkdirAll(to, 0o755))
	c := exec.Command("apt-get", append([]string{"download", "-qq"}, packages...)...)
	c.Dir, c.Stderr = to, io.Discard
	check(c.Run())
	debs, err := filepath.Glob(filepath.Join(to, "*.deb"))
	check(err)
	for _, d := range debs {
		check(exec.Command("dpkg-deb", "-x", d, to).Run())
	}
	check(exec.Command("sh", "-c", "find '"+to+"' -name '*.pdf.gz' -exec gunzip -f {} +").Run())
}

func venv(dir string) string {
	dir = filepath.Join(dir, "venv")
	check(exec.Command("python3", "-m", "venv", dir).Run())
	check(exec.Command(filepath.Join(dir, "bin", "pip"), "install", "-q", "pymupdf").Run())
	return filepath.Join(dir, "bin", "python")
}

// cpu is the user and system time of this process and of its children that have ended, in seconds.
func cpu() float64 {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		check(syscall.Getrusage(who, &r))
		sum += float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
	}
	return sum
}

func spent(f func()) float64 {
	runtime.GC() // not the garbage of what was measured before
	a := cpu()
	f()
	return cpu() - a
}

type bench struct {
	cache string
	cold  float64 // seconds of CPU to compile
	start float64 // seconds of CPU of a child that does nothing, from the cache
}

func (b *bench) pool() *sandbox.Pool {
	self, err := os.Executable()
	check(err)
	return sandbox.New(sandbox.Options{
		Command: []string{self, sandbox.Subcommand}, CacheDir: b.cache, Workers: 1,
		Limits: sandbox.Limits{Memory: 512 << 20, Pages: 5000, Stall: 2 * time.Minute},
	})
}

func (b *bench) warm() float64 {
	return spent(func() {
		p := b.pool()
		check(p.Warm(context.Background()))
		check(p.Close())
	})
}

func (b *bench) compile() {
	b.cold = b.warm()
	b.start = math.Inf(1)
	for range max(*rounds, 3) {
		b.start = min(b.start, b.warm())
	}
}

// counter is a sink that only counts.
type counter struct{ pages, words int }

func (c *counter) Begin(extract.Info) error { return nil }

func (c *counter) Part(p extract.Part) error {
	c.pages++
	c.words += len(p.Page.Words)
	return nil
}

// row is what one document took, in seconds of CPU.
type row struct {
	name         string
	pages, words int
	ours         float64 // beyond the child's start
	peers        [len(peers)]float64
}

// peers are run as they are; what PyMuPDF prints is its time without Python's start.
var peers = [...]struct {
	name        string
	floor, goal float64
}{{"mutool draw -F stext", 1.1, 1.0}, {"pdftotext -bbox-layout", 1.25, 1.0}, {"PyMuPDF words", 2.5, 1.5}}

func (b *bench) measure(path string) row {
	r := row{name: filepath.Base(path), ours: math.Inf(1)}
	for i := range r.peers {
		r.peers[i] = math.Inf(1)
	}
	for range *rounds {
		var c counter
		r.ours = min(r.ours, spent(func() { b.extract(path, &c) })-b.start)
		r.pages, r.words = c.pages, c.words
		r.peers[0] = min(r.peers[0], spent(func() { run("mutool", "draw", "-q", "-F", "stext", "-o", "/dev/null", path) }))
		r.peers[1] = min(r.peers[1], spent(func() { run("pdftotext", "-bbox-layout", path, "/dev/null") }))
		seconds, err := strconv.ParseFloat(strings.TrimSpace(run(*python, "-c", words, path)), 64)
		check(err)
		r.peers[2] = min(r.peers[2], seconds)
	}
	return r
}

func (b *bench) extract(path string, sink extract.Sink) {
	f, err := os.Open(path)
	check(err)
	defer f.Close()
	p := b.pool()
	check(p.Extract(context.Background(), "pdf", f, sink))
	check(p.Close())
}

func run(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		log.Fatalf("%s %s: %v", name, args, err)
	}
	return string(out)
}

// usage is the largest memory that parent and child had, in bytes.
type usage struct{ Parent, Child int64 }

// memory is the body of a process of its own, which prints its usage for one document.
func memory(path, cache string) {
	var c counter
	(&bench{cache: cache}).extract(path, &c)
	var u usage
	for who, to := range map[int]*int64{syscall.RUSAGE_SELF: &u.Parent, syscall.RUSAGE_CHILDREN: &u.Child} {
		var r syscall.Rusage
		check(syscall.Getrusage(who, &r))
		*to = r.Maxrss << 10
	}
	check(json.NewEncoder(os.Stdout).Encode(u))
}

func peak(path, cache string) usage {
	self, err := os.Executable()
	check(err)
	var u usage
	check(json.Unmarshal([]byte(run(self, "memory", path, cache)), &u))
	return u
}

func report(b *bench, rows []row, u usage) {
	var s strings.Builder
	fmt.Fprintf(&s, "# PDF text with word boxes\n\nWritten by `go run ./pdf` (%s, %d cores, smallest of %d rounds in alternation). CPU milliseconds per page, user and system, children\nincluded. "+
		"The start of our child is left out, and so is Python's. The documents are manuals from the Debian packages %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), *rounds, strings.Join(packages, ", "))
	fmt.Fprintf(&s, "| document | pages | words | byline | %s | %s | %s |\n|---|---|---|---|---|---|---|\n", peers[0].name, peers[1].name, peers[2].name)
	logs := make([]float64, len(peers))
	for _, r := range rows {
		perPage := 1000 / float64(r.pages)
		fmt.Fprintf(&s, "| %s | %d | %d | %.2f |", r.name, r.pages, r.words, r.ours*perPage)
		for i, p := range r.peers {
			logs[i] += math.Log(r.ours / p)
			fmt.Fprintf(&s, " %.2f (%.2fx) |", p*perPage, r.ours/p)
		}
		s.WriteString("\n")
	}
	s.WriteString("\n| byline relative to | geometric mean | allowed | goal |\n|---|---|---|---|\n")
	for i, p := range peers {
		fmt.Fprintf(&s, "| %s | %.2fx | %.2fx | %.1fx |\n", p.name, math.Exp(logs[i]/float64(len(rows))), p.floor, p.goal)
	}
	fmt.Fprintf(&s, "\nA child's start: %.2f s of CPU from the cache, %.2f s when PDFium is compiled first (once per machine).\n", b.start, b.cold)
	fmt.Fprintf(&s, "\n%s (2,415 pages): at most %d MB in the parent and %d MB in the child.\n", filepath.Base(long), u.Parent>>20, u.Child>>20)
	versions := []string{firstLine("mutool", "-v"), firstLine("pdftotext", "-v"), strings.TrimSpace(run(*python, "-c", "import pymupdf; print('PyMuPDF', pymupdf.__version__)"))}
	fmt.Fprintf(&s, "\nPeers: %s.\n", strings.Join(slices.DeleteFunc(versions, func(v string) bool { return v == "" }), ", "))
	fmt.Print(s.String())
	check(os.WriteFile(*output, []byte(s.String()), 0o644))
}

func firstLine(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput() // some exit with 1 after -v
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
