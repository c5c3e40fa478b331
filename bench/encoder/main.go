// Command encoder measures what embedding takes in CPU: tokens a second of one thread beside onnxruntime (int8) and torch (float32)
// with the same model, a question of twelve tokens, a document of 50,000, the memory for it, and the table of words.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"byline/bench/internal/proc"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
	"byline/internal/engine/embed/table"
)

var (
	python = flag.String("python", "", "python with peers/encoder.txt (default: a venv in a temporary folder, of 3 GB)")
	rounds = flag.Int("rounds", 5, "rounds, in which all take turns; medians are printed")
	peers  = flag.Bool("peers", true, "measure other programs too")
	query  = flag.Bool("query", false, "only a question, and the memory for it, with the instructions that GODEBUG leaves")
)

func main() {
	flag.Parse()
	if *query {
		question()
		return
	}
	fmt.Printf("load %s\n\n", proc.Load())
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	side(dir)
	document()
	words()
	for _, off := range []string{"", "cpu.avx512vnni=off", "cpu.avx512vnni=off,cpu.avxvnni=off"} {
		c := exec.Command(os.Args[0], "-query")
		c.Env = append(os.Environ(), "GODEBUG="+off)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		proc.Check(c.Run())
	}
}

func builtin() *encoder.Encoder {
	e, err := encoder.Builtin()
	proc.Check(err)
	return e
}

// text of a number of tokens, with the two that every text gets; each of these words is one.
func text(tokens int) string {
	words := strings.Fields("the boiler of our library was old and winter heat cost us more than books")
	list := make([]string, tokens-2)
	for i := range list {
		list[i] = words[i%len(words)]
	}
	return strings.Join(list, " ")
}

// rate gives tokens a CPU-second. The collector's own time is counted.
func rate(e embed.Embedder, tokens, batch int) float64 {
	texts := make([]string, batch)
	for i := range texts {
		texts[i] = text(tokens)
	}
	n, began := 0, proc.Own()
	for proc.Own()-began < time.Second {
		_, err := e.Passages(context.Background(), texts)
		proc.Check(err)
		n += tokens * batch
	}
	return float64(n) / (proc.Own() - began).Seconds()
}

// side measures all programs in turns.
func side(dir string) {
	type program struct {
		name  string
		ask   func(tokens, batch int) (rate, rss float64)
		took  map[int][]float64
		rss   float64
		batch map[int]int
	}
	e := builtin()
	list := []*program{{name: "byline (" + e.Kernel() + ")", ask: func(tokens, batch int) (float64, float64) { return rate(e, tokens, batch), 0 }}}
	if *peers {
		if *python == "" {
			*python = venv(dir)
		}
		export := exec.Command(*python, "peers/encoder.py", dir, "export")
		export.Stderr = os.Stderr
		proc.Check(export.Run())
		list = append(list, &program{name: "onnxruntime int8", ask: peer(dir, "int8")}, &program{name: "torch float32", ask: peer(dir, "torch")})
	}
	lengths := []int{16, 64, 256}
	for _, p := range list {
		p.took, p.batch = map[int][]float64{}, map[int]int{}
		for _, n := range lengths { // whichever batch is best for it
			most := 0.0
			for _, b := range []int{1, max(1, 512/n), max(1, 2048/n)} {
				if r, _ := p.ask(n, b); r > most {
					most, p.batch[n] = r, b
				}
			}
		}
	}
	for range *rounds {
		for _, n := range lengths {
			for _, p := range list {
				r, rss := p.ask(n, p.batch[n])
				p.took[n], p.rss = append(p.took[n], r), max(p.rss, rss)
			}
		}
	}
	fmt.Println("| tokens a CPU-second | 16 | 64 | 256 | byline : it at 256 | resident |\n|---|---|---|---|---|---|")
	own := proc.Median(list[0].took[256])
	for _, p := range list {
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.2f | %.0f MB |\n", p.name, proc.Median(p.took[16]), proc.Median(p.took[64]), proc.Median(p.took[256]),
			own/proc.Median(p.took[256]), p.rss)
	}
	fmt.Println()
}

// peer starts a program and lets it be asked.
func peer(dir, name string) func(tokens, batch int) (float64, float64) {
	c := exec.Command(*python, "peers/encoder.py", dir, name)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	proc.Check(err)
	out, err := c.StdoutPipe()
	proc.Check(err)
	proc.Check(c.Start()) // it ends with this process
	answers := bufio.NewReader(out)
	return func(tokens, batch int) (rate, rss float64) {
		fmt.Fprintln(in, tokens, batch)
		_, err := fmt.Fscan(answers, &rate, &rss)
		proc.Check(err)
		return rate, rss
	}
}

func venv(dir string) string {
	dir = filepath.Join(dir, "venv")
	for _, args := range [][]string{{"python3", "-m", "venv", dir}, {filepath.Join(dir, "bin/pip"), "install", "-q", "-r", "peers/encoder.txt"}} {
		c := exec.Command(args[0], args[1:]...)
		c.Stderr = os.Stderr
		proc.Check(c.Run())
	}
	return filepath.Join(dir, "bin/python")
}

// document embeds as much as 100 pages have: 200 passages of 250 tokens.
func document() {
	e := builtin()
	texts := make([]string, 200)
	for i := range texts {
		texts[i] = text(250)
	}
	var took []float64
	for range *rounds {
		began := proc.Own()
		_, err := e.Passages(context.Background(), texts)
		proc.Check(err)
		took = append(took, (proc.Own() - began).Seconds())
	}
	fmt.Printf("50,000 tokens, as 100 pages have: %.2f CPU s\n", proc.Median(took))
}

func words() {
	t, err := table.Builtin()
	proc.Check(err)
	var rates []float64
	for range *rounds {
		rates = append(rates, rate(t, 250, 16))
	}
	fmt.Printf("table of words: %.2f M tokens a CPU-second\n\n", proc.Median(rates)/1e6)
}

// question measures a process that does nothing but embed questions.
func question() {
	debug.SetGCPercent(50)
	runtime.GOMAXPROCS(1)
	s := proc.Of("", os.Getpid())
	before, _ := s.RSS()
	e := builtin()
	var took []float64
	for range *rounds {
		const n = 200
		began := proc.Own()
		for range n {
			_, err := e.Query(context.Background(), text(12))
			proc.Check(err)
		}
		took = append(took, (proc.Own()-began).Seconds()*1e3/n)
	}
	debug.FreeOSMemory()
	after, _ := s.RSS()
	fmt.Printf("a question of 12 tokens with %s: %.2f ms CPU; resident %.0f MB, of which the empty program has %.0f MB\n", e.Kernel(), proc.Median(took), after, before)
}
