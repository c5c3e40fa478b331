package searchtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// unit gives a random direction.
func unit(r *rand.Rand, dims int) []float32 {
	v := make([]float64, dims)
	sum := 0.0
	for i := range v {
		v[i] = r.NormFloat64()
		sum += v[i] * v[i]
	}
	out := make([]float32, dims)
	for i := range v {
		out[i] = float32(v[i] / math.Sqrt(sum))
	}
	return out
}

func cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// cosines compares with an exact search: nearly all of the ten nearest are found, with their cosines.
func (x *exam) cosines() {
	const n, dims, questions, k = 2000, 64, 20, 10
	r := rand.New(rand.NewPCG(1, 2))
	x.ensure("g", dims)
	vectors := map[string][]float32{}
	var ops []search.Operation
	for i := range n {
		id := fmt.Sprintf("p%04d", i)
		vectors[id] = unit(r, dims)
		ops = append(ops, put(id, "d", uint64(i), "apple", vectors[id]...))
	}
	x.apply("g", ws, ops...)
	x.swap("g")
	x.soon(func() string { return gocmp.Diff(k, len(x.found(near(ws, unit(r, dims)...)).Candidates)) })
	hits := 0
	for range questions {
		question := unit(r, dims)
		exact := slices.SortedFunc(maps.Keys(vectors), func(a, b string) int {
			return cmp.Or(cmp.Compare(cosine(question, vectors[b]), cosine(question, vectors[a])), cmp.Compare(a, b))
		})
		q := near(ws, question...)
		q.K = k
		for _, c := range x.found(q).Candidates {
			if slices.Contains(exact[:k], c.PassageID) {
				hits++
			}
			if want := cosine(question, vectors[c.PassageID]); math.Abs(want-c.Score) > 1e-4 {
				x.Errorf("%s has the cosine %v, not %v", c.PassageID, want, c.Score)
			}
		}
	}
	if recall := float64(hits) / (questions * k); recall < .95 {
		x.Errorf("%.3f of the nearest are found", recall)
	}
}

// corpus is passages by id, each with its terms.
type corpus map[string][]string

func (c corpus) idf(term string) float64 { return c.idfAmong(len(c), term) }

// rarity is the idf that coverage counts by.
func (c corpus) rarity(term string) float64 { return c.idfAmong(max(len(c), 20), term) }

func (c corpus) idfAmong(passages int, term string) float64 {
	df := 0
	for _, terms := range c {
		if slices.Contains(terms, term) {
			df++
		}
	}
	return math.Log(1 + (float64(passages-df)+.5)/(float64(df)+.5))
}

// bm25 scores all passages for weighted terms as the textbook says.
func (c corpus) bm25(terms []lexical.Term) map[string]float64 {
	const k1, b = 1.2, .75
	total := 0
	for _, t := range c {
		total += len(t)
	}
	average := float64(total) / float64(len(c))
	scores := map[string]float64{}
	for _, t := range terms {
		idf := c.idf(t.Text)
		for id, all := range c {
			tf := 0.0
			for _, s := range all {
				if s == t.Text {
					tf++
				}
			}
			if tf > 0 {
				scores[id] += t.Weight * idf * tf / (tf + k1*(1-b+b*float64(len(all))/average))
			}
		}
	}
	return scores
}

// fill puts a corpus into a generation that serves.
func (x *exam) fill(c corpus) {
	var ops []search.Operation
	for _, id := range slices.Sorted(maps.Keys(c)) {
		ops = append(ops, put(id, "d", 1, strings.Join(c[id], " ")))
	}
	x.ensure("g", 0)
	x.apply("g", ws, ops...)
	x.swap("g")
}

// bm25 compares rankings with the textbook's. Passages are short: servers round the lengths of those with more than 40 terms.
func (x *exam) bm25() {
	if x.s.Wordless {
		x.Skip("it has no words")
	}
	r := rand.New(rand.NewPCG(3, 4))
	vocabulary := make([]string, 60)
	for i := range vocabulary {
		vocabulary[i] = fmt.Sprintf("word%d", i)
	}
	vocabulary = append(vocabulary, "도서관", "图书", "err-1042", "v1.61.1", "a@b.org")
	zipf := rand.NewZipf(r, 1.2, 3, uint64(len(vocabulary)-1))
	c := corpus{}
	for i := range 400 {
		var terms []string
		for range 3 + r.IntN(36) {
			terms = append(terms, vocabulary[zipf.Uint64()])
		}
		c[fmt.Sprintf("p%03d", i)] = terms
	}
	x.fill(c)
	for range 40 {
		q := search.Query{Workspace: ws, K: 25}
		for range 1 + r.IntN(4) {
			q.Terms = append(q.Terms, lexical.Term{Text: vocabulary[r.IntN(len(vocabulary))], Weight: float64(1 + r.IntN(2))})
		}
		scores := c.bm25(q.Terms)
		found := x.found(q).Candidates
		if want := min(q.K, len(scores)); len(found) != want {
			x.Fatalf("%v: %d found of %d", q.Terms, len(found), want)
		}
		got := map[string]bool{}
		for i, f := range found {
			got[f.PassageID] = true
			// Servers count with 32 bits: what is nearly as good may stand in either order.
			if i > 0 && scores[f.PassageID] > scores[found[i-1].PassageID]*(1+1e-5) {
				x.Errorf("%v: %s (%v) stands behind %s (%v)", q.Terms, f.PassageID, scores[f.PassageID], found[i-1].PassageID, scores[found[i-1].PassageID])
			}
		}
		for id, s := range scores {
			if last := found[len(found)-1].PassageID; !got[id] && s > scores[last]*(1+1e-5) {
				x.Errorf("%v: %s (%v) is missing, %s (%v) is there", q.Terms, id, s, last, scores[last])
			}
		}
	}
}

func (x *exam) coverage() {
	if x.s.Wordless {
		x.Skip("it has no words")
	}
	c := corpus{
		"a": {"apple", "pear", "apple"}, "b": {"apple", "plum"}, "c": {"plum", "cherry"}, "d": {"cherry"}, "e": {"run"},
	}
	x.fill(c)
	rare := c.rarity
	approx := func(what string, want, got float64) {
		x.Helper()
		if math.Abs(want-got) > 1e-5 {
			x.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	q := words(ws, "apple", "pear", "apple", "fig")
	q.Terms = append(q.Terms, lexical.Term{Text: "nothing"}, lexical.Term{Text: "", Weight: 1}, lexical.Term{Text: "plum", Weight: math.Inf(1)})
	x.finds(q, "a", "b")
	all := 2*rare("apple") + rare("pear") + rare("fig")
	f := x.found(q).Candidates
	approx("a", (2*rare("apple")+rare("pear"))/all, f[0].Coverage)
	approx("b", 2*rare("apple")/all, f[1].Coverage)
	if f[0].Terms != nil {
		x.Errorf("explained without being asked: %v", f[0].Terms)
	}

	// Of the forms of one word the best counts, and one that no passage has only if there is no other.
	q = search.Query{Workspace: ws, K: 10, Terms: []lexical.Term{{Text: "run", Weight: 1, Alt: 1}, {Text: "runn", Weight: 1, Alt: 1}, {Text: "pear", Weight: 1}}}
	f = x.found(q).Candidates
	approx("e", rare("run")/(rare("run")+rare("pear")), slices.DeleteFunc(f, func(c search.Candidate) bool { return c.PassageID != "e" })[0].Coverage)

	q = words(ws, "apple", "pear")
	q.Explain = true
	f = x.found(q).Candidates
	terms := f[0].Terms
	if len(terms) != 2 || terms[0].Term != "apple" || terms[0].Frequency != 2 || terms[1].Frequency != 1 {
		x.Fatalf("explained by %+v", terms)
	}
	approx("idf", c.idf("apple"), terms[0].IDF)
	approx("sum", f[0].Score, terms[0].Score+terms[1].Score)
	if terms = f[1].Terms; len(terms) != 2 || terms[1] != (search.TermScore{Term: "pear", IDF: terms[1].IDF}) {
		x.Errorf("what is missing is explained by %+v", terms)
	}
}

// syntax asks for what would mean something in one query language or another. It is found where it stands, and means nothing.
func (x *exam) syntax() {
	if x.s.Wordless {
		x.Skip("it has no words")
	}
	hostile := []string{
		"*", "?", "a*", "apple~", "/apple/", "_exists_:terms", "terms:apple", "workspace:x", "NOT", "AND", "OR", "(apple", "apple)", `"apple`, `"`, `\`, `\"`,
		"{", `"}}}`, `{"match_all":{}}`, "[1,2]", "<script>", "'", "';--", "%00", "\x01", "\u00a0", "\ufeff", "+", "-", "!", "^2", "$where", "${x}", "{{x}}", "\xff", "𝕏",
		strings.Repeat("x", 128),
	}
	var ops []search.Operation
	for i, h := range hostile {
		ops = append(ops, search.Operation{PassageID: fmt.Sprintf("p%02d", i), DocumentID: "d", Terms: []string{h}, Hash: 1})
	}
	x.serve("g", 0)
	x.apply("g", ws, append(ops, put("apple", "d", 1, "apple"))...)
	x.apply("g", "other", put("theirs", "d", 1, "apple"))
	for i, h := range hostile {
		x.finds(words(ws, h), fmt.Sprintf("p%02d", i))
	}
	x.finds(words(ws, "ap*le", "appl?", "appel~", "Apple", "apple "))
	// A question may be long; more than a thousand terms are not all asked for.
	long := words(ws)
	for i := range 3000 {
		long.Terms = append(long.Terms, lexical.Term{Text: fmt.Sprint("w", i), Weight: 1})
	}
	long.Terms[0].Text = "apple"
	x.finds(long, "apple")
	for _, w := range []ident.Workspace{"*", "other*", "?ther", `other" OR "x`, "OTHER"} {
		x.finds(words(w, "apple"))
	}
}

// swapUnderLoad builds generations and swaps them while others search: each answer is that of one generation, and none fails.
func (x *exam) swapUnderLoad() {
	const searchers, swaps = 4, 4
	x.ensure("g0", 3)
	x.apply("g0", ws, put("p", "g0", 1, "apple", 1, 0, 0))
	x.swap("g0")
	for _, q := range x.queries(ws) {
		x.finds(q, "p")
	}
	ctx, cancel := context.WithCancel(x.Context())
	var all sync.WaitGroup
	var done [searchers]atomic.Int64
	for i := range searchers {
		q := x.queries(ws)[i%len(x.queries(ws))]
		all.Go(func() {
			for ctx.Err() == nil {
				f, err := x.ask(ctx, q)
				if ctx.Err() != nil {
					return
				}
				if err != nil || len(f.Candidates) != 1 {
					x.Errorf("a search beside a swap: %v, %v", ids(f), err)
				}
				done[i].Add(1)
			}
		})
	}
	for i := 1; i <= swaps; i++ {
		name := fmt.Sprint("g", i)
		x.ensure(name, 3)
		x.apply(name, ws, put("p", name, uint64(i), "apple", 1, 0, 0))
		x.swap(name)
		// One search may live through one swap, but not through several.
		for j := range done {
			before := done[j].Load()
			x.soon(func() string { return gocmp.Diff(true, done[j].Load() > before+1) })
		}
	}
	cancel()
	all.Wait()
	for _, q := range x.queries(ws) {
		if f := x.found(q).Candidates; len(f) != 1 || f[0].DocumentID != fmt.Sprint("g", swaps) {
			x.Errorf("in the end %+v is found", f)
		}
	}
}

func (x *exam) cancellation() {
	x.serve("g", 3)
	ctx, cancel := context.WithCancel(x.Context())
	cancel()
	calls := map[string]func() error{
		"ensure": func() error { return x.e.Ensure(ctx, search.Generation{Name: "h", Dims: 3}) },
		"swap":   func() error { return x.e.Swap(ctx, "g") },
		"apply": func() error {
			_, err := x.e.Apply(ctx, "g", ws, []search.Operation{put("a", "d", 1, "apple", 1, 0, 0)})
			return err
		},
		"held": func() error { _, err := x.e.Held(ctx, "g", ws); return err },
		"info": func() error { _, err := x.e.Info(ctx); return err },
	}
	for _, q := range x.queries(ws) {
		calls[fmt.Sprintf("search %t", q.Vector == nil)] = func() error { _, err := x.ask(ctx, q); return err }
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) || fault.Of(err).Kind != fault.Cancelled {
			x.Errorf("%s: %v", name, err)
		}
	}
	x.apply("g", ws, put("a", "d", 1, "apple", 1, 0, 0)) // nothing is the worse for it
	x.finds(near(ws, 1, 0, 0), "a")
}
