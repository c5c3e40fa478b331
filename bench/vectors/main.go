// Command vectors measures the search by meaning: what a question takes in CPU in a workspace of 100,000 passages, and in one
// of a hundredth of that in the same database, how much of the true best it finds, what putting vectors in takes, and the same
// of a Chroma server with the same vectors.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"byline/bench/internal/library"
	"byline/bench/internal/proc"
	"byline/internal/ident"
	"byline/internal/search"
)

var (
	binary    = flag.String("byline", "../bin/byline", "program whose memory is measured")
	passages  = flag.Int("passages", 100_000, "passages of the large workspace")
	questions = flag.Int("questions", 50, "questions of a round")
	rounds    = flag.Int("rounds", 20, "rounds, in which all take turns; the least of each is printed")
	evenly    = flag.Bool("evenly", false, "vectors in all directions alike, instead of around a thousand centers")
	profile   = flag.String("profile", "", "file for a CPU profile of the questions")
	chroma    = flag.String("chroma", "npm", "npm: the server that scripts/chroma.sh starts; a file: a program chroma of PyPI's chromadb; none")
)

const best = 10 // that are asked for

// data is what is searched.
type data struct {
	ids       [2][]string // of the large workspace and the small one
	vectors   map[string][]float32
	questions [2][][]float32
}

func main() {
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	first := proc.Start(*binary, dir, "18024") // the first account has the first workspace
	first.Register()
	first.Stop()
	ctx := context.Background()
	made := library.Vectors()
	made.Evenly = *evenly
	made.Remember()
	l := library.Open(filepath.Join(dir, "data"), nil) // words alone, at first
	small := l.Workspace("small@example.com")
	l.Fill(ident.Local, *passages, 1<<16, 0)
	l.Fill(small, *passages/100, 1<<16, 1<<40)
	l.Merge()
	prepare(l, [2]ident.Workspace{ident.Local, small}, made)
	l.Close()
	l = library.Open(filepath.Join(dir, "data"), made)
	began := proc.Own() // the vectors are there: what embedding takes is not counted, what keeping them takes is
	proc.Check(l.Spaces.Fill(ctx))
	l.Merge()
	inserted := proc.Own() - began
	d := read(l, [2]ident.Workspace{ident.Local, small}, made)

	ours := search.NewEmbedded(l.Store, 1<<30)
	engines := []*engine{{name: "byline", insert: inserted, server: func() time.Duration { return 0 }}}
	for i, ws := range []ident.Workspace{ident.Local, small} {
		engines[0].ask[i] = func(v []float32) (ids []string) {
			found, err := ours.Vector(ctx, search.Query{Workspace: ws, Vector: v, Space: made.Of.ID(), K: best})
			proc.Check(err)
			for _, c := range found.Candidates {
				ids = append(ids, c.PassageID)
			}
			return ids
		}
	}
	if *chroma != "none" {
		theirs, stop := withChroma(dir, d)
		defer stop()
		engines = append(engines, theirs)
	}
	if *profile != "" {
		w, err := os.Create(*profile)
		proc.Check(err)
		proc.Check(pprof.StartCPUProfile(w))
	}
	measure(d, engines)
	unread := firstTime(l, d, small, made.Of.ID())
	pprof.StopCPUProfile()
	l.Close()
	engines[0].resident = resident(dir)
	report(d, engines)
	fmt.Printf("\na question of the small workspace whose best nobody has read before: %.3f ms\n", unread)
}

// firstTime is the CPU of a question of the small workspace that is asked once, by an engine that has its segments and no
// floats yet. A few of the passages are among the best of two of the questions.
func firstTime(l *library.Library, d *data, ws ident.Workspace, space string) float64 {
	var took []float64
	for range *rounds {
		e := search.NewEmbedded(l.Store, 1<<30)
		ask := func(v []float32) {
			_, err := e.Vector(context.Background(), search.Query{Workspace: ws, Vector: v, Space: space, K: best})
			proc.Check(err)
		}
		ask(d.questions[1][0]) // brings the segments
		runtime.GC()
		began := proc.Own()
		for _, v := range d.questions[1][1:] {
			ask(v)
		}
		took = append(took, (proc.Own()-began).Seconds()*1e3/float64(len(d.questions[1])-1))
	}
	return proc.Least(took)
}

// prepare makes the vectors of all passages, as they are embedded: under their nearest headings.
func prepare(l *library.Library, workspaces [2]ident.Workspace, made *library.Made) {
	ctx := context.Background()
	for _, ws := range workspaces {
		ids, err := l.Store.Admitted(ctx, ws, nil, search.Filters{})
		proc.Check(err)
		for _, id := range ids {
			list, _, err := l.Store.Passages(ctx, ws, id, 0, 1<<30)
			proc.Check(err)
			for _, p := range list {
				text := p.Text
				if n := len(p.HeadingPath); n > 0 {
					text = p.HeadingPath[n-1] + "\n" + text
				}
				_, err := made.Passages(ctx, []string{text})
				proc.Check(err)
			}
		}
	}
}

func read(l *library.Library, workspaces [2]ident.Workspace, made *library.Made) *data {
	ctx := context.Background()
	d := &data{vectors: map[string][]float32{}}
	r := rand.New(rand.NewPCG(1, 2))
	for i, ws := range workspaces {
		ids, err := l.Store.Admitted(ctx, ws, nil, search.Filters{})
		proc.Check(err)
		for _, id := range ids {
			list, _, err := l.Store.Passages(ctx, ws, id, 0, 1<<30)
			proc.Check(err)
			for _, p := range list {
				d.ids[i] = append(d.ids[i], p.ID)
			}
		}
		for part := range slices.Chunk(d.ids[i], 500) {
			some, err := l.Store.Vectors(ctx, made.Of.ID(), part)
			proc.Check(err)
			for id, v := range some {
				d.vectors[id] = v
			}
		}
		for range *questions { // half near a passage, half anywhere
			v := make([]float32, made.Of.Dims)
			near := d.vectors[d.ids[i][r.IntN(len(d.ids[i]))]]
			for j := range v {
				v[j] = float32(r.NormFloat64()) * .05
				if len(d.questions[i])%2 == 0 {
					v[j] += near[j]
				}
			}
			d.questions[i] = append(d.questions[i], normalized(v))
		}
	}
	return d
}

func normalized(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
	return v
}

// engine answers questions in the whole of the large workspace, and in the small one.
type engine struct {
	name     string
	ask      [2]func([]float32) []string
	server   func() time.Duration // CPU of another process so far
	insert   time.Duration
	resident float64 // MB
	took     [2][]float64
	recall   [2]float64
}

func measure(d *data, engines []*engine) {
	for round := range *rounds + 1 { // the first warms up
		for which := range 2 {
			for _, e := range engines {
				runtime.GC()
				var found [][]string
				began := proc.Own() + e.server()
				for _, q := range d.questions[which] {
					found = append(found, e.ask[which](q))
				}
				took := proc.Own() + e.server() - began
				if round > 0 {
					e.took[which] = append(e.took[which], took.Seconds()*1e3/float64(len(found)))
				} else {
					e.recall[which] = recall(d, which, found)
				}
			}
		}
	}
}

// recall is the share of the true best that was found, of its questions.
func recall(d *data, which int, found [][]string) float64 {
	same, of := 0, 0
	for i, q := range d.questions[which][:len(found)] {
		type scored struct {
			id    string
			score float64
		}
		var all []scored
		for _, id := range d.ids[which] {
			var dot float64
			for j, x := range d.vectors[id] {
				dot += float64(x) * float64(q[j])
			}
			all = append(all, scored{id, dot})
		}
		slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
		for _, s := range all[:best] {
			if of++; slices.Contains(found[i], s.id) {
				same++
			}
		}
	}
	return float64(same) / float64(of)
}

// atRest is how long a server is left alone before its memory is read: ours ends the process that checked the password 10 seconds after the login.
const atRest = 15 * time.Second

// resident is the memory of a server that has answered questions by meaning of this library.
func resident(dir string) float64 {
	s := proc.Start(*binary, dir, "18024", "BYLINE_LIMITS=off")
	defer s.Stop()
	s.Login()
	for i := range 200 {
		s.Call("POST", "/api/v1/documents/search", fmt.Sprintf(`{"query":"what does question %d ask","mode":"semantic"}`, i))
	}
	time.Sleep(atRest)
	_, all := s.RSS()
	return all
}

// server is a Chroma server and a collection in it.
type server struct {
	*proc.Server
	collection string
}

func withChroma(dir string, d *data) (*engine, func()) {
	url, pid, stop := start(dir)
	s := &server{Server: proc.Of(url, pid)}
	const database = "/api/v2/tenants/default_tenant/databases/default_database/collections"
	var c struct{ ID string }
	proc.Check(json.Unmarshal(s.call(database, map[string]any{"name": "bench", "configuration": map[string]any{"hnsw": map[string]any{"space": "cosine"}}}), &c))
	s.collection = database + "/" + c.ID
	e := &engine{name: "Chroma (" + *chroma + ")", server: s.CPU}
	if *chroma != "npm" {
		e.name = "Chroma (PyPI)"
	}
	began := proc.Own() + s.CPU()
	for i, name := range []string{"large", "small"} {
		for part := range slices.Chunk(d.ids[i], 1000) {
			var vectors [][]float32
			var about []map[string]string
			for _, id := range part {
				vectors, about = append(vectors, d.vectors[id]), append(about, map[string]string{"workspace": name})
			}
			s.call(s.collection+"/add", map[string]any{"ids": part, "embeddings": vectors, "metadatas": about})
		}
	}
	s.settle()
	e.insert = proc.Own() + s.CPU() - began
	e.ask[0] = func(v []float32) []string { return s.ask(v, nil) }
	e.ask[1] = func(v []float32) []string { return s.ask(v, map[string]string{"workspace": "small"}) }
	for _, v := range d.questions[0] {
		e.ask[0](v)
	}
	time.Sleep(atRest)
	_, e.resident = s.RSS()
	return e, stop
}

// settle waits until the server does nothing any more: it goes on after its answer.
func (s *server) settle() {
	for last := time.Duration(-1); ; {
		now := s.CPU()
		if now-last < 30*time.Millisecond {
			return
		}
		last = now
		time.Sleep(2 * time.Second)
	}
}

func (s *server) ask(v []float32, where map[string]string) []string {
	q := map[string]any{"query_embeddings": [][]float32{v}, "n_results": best, "include": []string{"distances"}}
	if where != nil {
		q["where"] = where
	}
	var found struct{ IDs [][]string }
	proc.Check(json.Unmarshal(s.call(s.collection+"/query", q), &found))
	return found.IDs[0]
}

func (s *server) call(path string, body any) []byte {
	data, err := json.Marshal(body)
	proc.Check(err)
	resp, err := http.Post(s.Base+path, "application/json", bytes.NewReader(data))
	proc.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	proc.Check(err)
	if resp.StatusCode >= 300 {
		proc.Check(fmt.Errorf("%s: %s %s", path, resp.Status, answer))
	}
	return answer
}

// start starts the server that the flag names.
func start(dir string) (url string, pid int, stop func()) {
	if *chroma == "npm" {
		os.Setenv("CHROMATEST_DIR", filepath.Join(dir, "chroma"))
		script := func(what string) string {
			c := exec.Command("../scripts/chroma.sh", what)
			c.Stderr = os.Stderr
			out, err := c.Output()
			proc.Check(err)
			return strings.TrimSpace(string(out))
		}
		script("install")
		url = script("start")
		data, err := os.ReadFile(filepath.Join(dir, "chroma", "pid"))
		proc.Check(err)
		fmt.Sscan(string(data), &pid)
		return url, pid, func() { script("stop") }
	}
	c := exec.Command(*chroma, "run", "--host", "127.0.0.1", "--port", "18025", "--path", filepath.Join(dir, "chroma"))
	c.Stderr = os.Stderr
	proc.Check(c.Start())
	url = "http://127.0.0.1:18025"
	proc.Wait(url + "/api/v2/heartbeat")
	return url, c.Process.Pid, func() { c.Process.Kill(); c.Wait() }
}

func report(d *data, engines []*engine) {
	fmt.Printf("%d and %d passages, %d dimensions, the best %d, load %s\n\n", len(d.ids[0]), len(d.ids[1]), len(d.questions[0][0]), best, proc.Load())
	fmt.Println("| | whole, CPU | recall | small workspace, CPU | recall | putting in, CPU | resident |\n|---|---|---|---|---|---|---|")
	for _, e := range engines {
		fmt.Printf("| %s | %.3f ms | %.4f | %.3f ms | %.4f | %.1f s | %.0f MB |\n", e.name, proc.Least(e.took[0]), e.recall[0],
			proc.Least(e.took[1]), e.recall[1], e.insert.Seconds(), e.resident)
	}
	if len(engines) == 2 {
		a, b := engines[0], engines[1]
		fmt.Printf("| theirs : ours | %.2f | | %.1f | | %.1f | %.2f |\n", proc.Least(b.took[0])/proc.Least(a.took[0]), proc.Least(b.took[1])/proc.Least(a.took[1]),
			b.insert.Seconds()/a.insert.Seconds(), b.resident/a.resident)
	}
}
