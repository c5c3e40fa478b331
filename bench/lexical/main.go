// Command lexical measures what a question of three words takes in CPU: of the index of words as the product has it, in a
// database of 100,000 passages, of bleve (scorch, BM25) and of SQLite's FTS5, all with the same terms of the same passages.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/blevesearch/bleve/v2"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	_ "github.com/blevesearch/bleve/v2/analysis/tokenizer/whitespace"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	_ "modernc.org/sqlite"

	"byline/bench/internal/library"
	"byline/bench/internal/paper"
	"byline/bench/internal/proc"
	"byline/internal/document"
	"byline/internal/engine/lexical"
	"byline/internal/ident"
	"byline/internal/search"
)

var (
	passages  = flag.Int("passages", 100_000, "passages")
	questions = flag.Int("questions", 100, "questions of a round; FTS5 gets a tenth of them")
	rounds    = flag.Int("rounds", 10, "rounds, in which all take turns; the least of each is printed")
)

const best = 10 // that are asked for

// engine answers questions of terms with the ids of the best passages.
type engine struct {
	name  string
	share int // of the questions: one of so many
	ask   func(terms []string) []string
	built time.Duration
	took  []float64 // CPU of a question in ms, by round
	found map[string][]string
}

func main() {
	flag.Parse()
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	defer os.RemoveAll(dir)
	l := library.Open(filepath.Join(dir, "data"), library.Vectors())
	defer l.Close()
	held := l.Fill(ident.Local, *passages, 1<<16, 0)
	l.Merge()
	all := read(l)
	engines := []*engine{
		{name: "byline", share: 1, ask: ours(l)},
		{name: "bleve", share: 1}, {name: "FTS5", share: 10},
	}
	began := proc.Own()
	view := build(all)
	built := proc.Own() - began
	engines = append(engines, &engine{name: "byline, without the database", share: 1, ask: bare(view), built: built})
	began = proc.Own()
	engines[1].ask = withBleve(filepath.Join(dir, "bleve"), all)
	engines[1].built = proc.Own() - began
	began = proc.Own()
	engines[2].ask = withFTS5(filepath.Join(dir, "fts5.db"), all)
	engines[2].built = proc.Own() - began
	measure(engines)
	plain := &engine{name: "plain BM25 over all passages", share: 10, ask: reference(all)}
	engines = append(engines, plain)
	plain.found = map[string][]string{}
	began = proc.Own()
	for _, q := range draw(*questions)[:*questions/plain.share] {
		plain.found[strings.Join(q, " ")] = plain.ask(q)
	}
	plain.took = []float64{(proc.Own() - began).Seconds() * 1e3 / float64(len(plain.found))}
	report(held, engines)
}

// reference scores every passage as the formula says (k1 1.2, b .75).
func reference(all []document.Passage) func([]string) []string {
	counts, lengths := make([]map[string]int, len(all)), make([]int, len(all))
	frequency := map[string]int{}
	total := 0
	for i, p := range all {
		counts[i] = map[string]int{}
		for _, t := range terms(p) {
			if counts[i][t]++; counts[i][t] == 1 {
				frequency[t]++
			}
			lengths[i]++
			total++
		}
	}
	mean := float64(total) / float64(len(all))
	return func(terms []string) (ids []string) {
		type scored struct {
			id    string
			score float64
		}
		var list []scored
		for i, p := range all {
			score := 0.0
			for _, t := range terms {
				tf, df := float64(counts[i][t]), float64(frequency[t])
				if tf > 0 {
					score += math.Log(1+(float64(len(all))-df+.5)/(df+.5)) * (tf / (tf + 1.2*(1-.75+.75*float64(lengths[i])/mean)))
				}
			}
			list = append(list, scored{p.ID, score})
		}
		slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.id, b.id)) })
		for _, s := range list[:best] {
			ids = append(ids, s.id)
		}
		return ids
	}
}

// read gives the passages of a library in the order of their documents.
func read(l *library.Library) (all []document.Passage) {
	ctx := context.Background()
	ids, err := l.Store.Admitted(ctx, ident.Local, nil, search.Filters{})
	proc.Check(err)
	for _, id := range ids {
		list, _, err := l.Store.Passages(ctx, ident.Local, id, 0, math.MaxInt32)
		proc.Check(err)
		all = append(all, list...)
	}
	return all
}

func terms(p document.Passage) (list []string) {
	for _, text := range append([]string{p.Text}, p.HeadingPath...) {
		for _, t := range lexical.Analyze(text, p.Language) {
			list = append(list, t.Term)
		}
	}
	return list
}

// ours asks as the product does: with a snapshot of the workspace's segments for each question.
func ours(l *library.Library) func([]string) []string {
	e := search.NewEmbedded(l.Store, 1<<30)
	return func(terms []string) (ids []string) {
		found, err := e.Lexical(context.Background(), search.Query{Workspace: ident.Local, Terms: weighed(terms), K: best})
		proc.Check(err)
		for _, c := range found.Candidates {
			ids = append(ids, c.PassageID)
		}
		return ids
	}
}

func weighed(terms []string) (list []lexical.Term) {
	for _, t := range terms {
		list = append(list, lexical.Term{Text: t, Weight: 1})
	}
	return list
}

// build makes segments of passages in memory.
func build(all []document.Passage) *lexical.View {
	var parts []lexical.Part
	b := lexical.NewBuilder()
	cut := func() {
		s, err := lexical.Open(b.Bytes())
		proc.Check(err)
		parts, b = append(parts, lexical.Part{Segment: s}), lexical.NewBuilder()
	}
	for _, p := range all {
		var tokens []lexical.Token
		for _, t := range terms(p) {
			tokens = append(tokens, lexical.Token{Term: t})
		}
		if !b.Fits(tokens, lexical.SegmentLimit) {
			cut()
		}
		proc.Check(b.Add(p.ID, p.DocumentID, tokens))
	}
	cut()
	return lexical.NewView(parts)
}

func bare(v *lexical.View) func([]string) []string {
	return func(terms []string) (ids []string) {
		hits, err := v.Search(weighed(terms), lexical.Options{K: best})
		proc.Check(err)
		for _, h := range hits {
			ids = append(ids, h.ID)
		}
		return ids
	}
}

func withBleve(path string, all []document.Passage) func([]string) []string {
	m := bleve.NewIndexMapping()
	m.ScoringModel = "bm25"
	proc.Check(m.AddCustomAnalyzer("terms", map[string]any{"type": "custom", "tokenizer": "whitespace"}))
	field := mapping.NewTextFieldMapping()
	field.Analyzer, field.Store, field.IncludeTermVectors, field.IncludeInAll, field.DocValues = "terms", false, false, false, false
	d := mapping.NewDocumentStaticMapping()
	d.AddFieldMappingsAt("t", field)
	m.DefaultMapping, m.DefaultAnalyzer = d, "terms"
	index, err := bleve.NewUsing(path, m, scorch.Name, scorch.Name, nil)
	proc.Check(err)
	for part := range slices.Chunk(all, 1000) {
		b := index.NewBatch()
		for _, p := range part {
			proc.Check(b.Index(p.ID, map[string]string{"t": strings.Join(terms(p), " ")}))
		}
		proc.Check(index.Batch(b))
	}
	return func(terms []string) (ids []string) {
		q := bleve.NewMatchQuery(strings.Join(terms, " "))
		q.SetField("t")
		r, err := index.Search(bleve.NewSearchRequestOptions(q, best, 0, false))
		proc.Check(err)
		for _, h := range r.Hits {
			ids = append(ids, h.ID)
		}
		return ids
	}
}

func withFTS5(path string, all []document.Passage) func([]string) []string {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
	proc.Check(err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE VIRTUAL TABLE f USING fts5(id UNINDEXED, t, detail=full)`)
	proc.Check(err)
	for part := range slices.Chunk(all, 1000) {
		tx, err := db.Begin()
		proc.Check(err)
		for _, p := range part {
			_, err := tx.Exec(`INSERT INTO f (id, t) VALUES (?, ?)`, p.ID, strings.Join(terms(p), " "))
			proc.Check(err)
		}
		proc.Check(tx.Commit())
	}
	_, err = db.Exec(`INSERT INTO f (f) VALUES ('optimize')`)
	proc.Check(err)
	return func(terms []string) (ids []string) {
		quoted := make([]string, len(terms))
		for i, t := range terms {
			quoted[i] = `"` + t + `"`
		}
		rows, err := db.Query(`SELECT id FROM f WHERE f MATCH ? ORDER BY rank LIMIT ?`, strings.Join(quoted, " OR "), best)
		proc.Check(err)
		defer rows.Close()
		for rows.Next() {
			var id string
			proc.Check(rows.Scan(&id))
			ids = append(ids, id)
		}
		proc.Check(rows.Err())
		return ids
	}
}

// draw gives questions of three different words, as often as prose has them, without its stop words.
func draw(n int) (list [][]string) {
	words := strings.Fields(strings.NewReplacer("#", "", ".", "").Replace(paper.Prose(1, 1<<18)))
	r := rand.New(rand.NewPCG(1, 2))
	for len(list) < n {
		var q []string
		for len(q) < 3 {
			for _, t := range lexical.Analyze(words[r.IntN(len(words))], "en") {
				if !slices.Contains(q, t.Term) && len(q) < 3 {
					q = append(q, t.Term)
				}
			}
		}
		list = append(list, q)
	}
	return list
}

func measure(engines []*engine) {
	list := draw(*questions)
	for round := range *rounds + 1 { // the first warms up
		for _, e := range engines {
			runtime.GC()
			some := list[:len(list)/e.share]
			began := proc.Own()
			e.found = map[string][]string{}
			for _, q := range some {
				e.found[strings.Join(q, " ")] = e.ask(q)
			}
			if took := proc.Own() - began; round > 0 {
				e.took = append(e.took, took.Seconds()*1e3/float64(len(some)))
			}
		}
	}
}

func report(held int, engines []*engine) {
	own := proc.Least(engines[0].took)
	fmt.Printf("%d passages, %d questions of 3 words, the best %d, load %s\n\n", held, *questions, best, proc.Load())
	fmt.Println("| | CPU a question | : byline | built in, CPU, with analysis | of the best 10 also in byline's |\n|---|---|---|---|---|")
	for _, e := range engines {
		same, of := 0, 0
		for q, ids := range e.found {
			for _, id := range ids {
				if of++; slices.Contains(engines[0].found[q], id) {
					same++
				}
			}
		}
		took := proc.Least(e.took)
		built := "-"
		if e.built > 0 {
			built = fmt.Sprintf("%.1f s", e.built.Seconds())
		}
		fmt.Printf("| %s | %.3f ms | %.1f | %s | %.1f %% |\n", e.name, took, took/own, built, 100*float64(same)/float64(max(1, of)))
	}
}
