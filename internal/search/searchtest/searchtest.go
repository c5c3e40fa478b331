// Package searchtest is the exam that every search.Engine sits, whatever it is made of.
package searchtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// Subject is an engine that is examined.
type Subject struct {
	// Open gives an engine that holds nothing and shares nothing with others of this test; what it makes is removed with
	// the test.
	Open func(t *testing.T) search.Engine
	// Wordless says that it has no lexical leg, and holds passages with vectors only.
	Wordless bool
}

// Server gives the value of an environment variable that says where a server is, and with what else it needs. Without it the
// test is skipped, or fails where TEST_REQUIRE names the kind of server.
func Server(t testing.TB, variable, kind string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		if slices.Contains(strings.Split(os.Getenv("TEST_REQUIRE"), ","), kind) {
			t.Fatalf("TEST_REQUIRE names %s, but %s is not set; scripts/%s.sh starts a server.", kind, variable, kind)
		}
		t.Skipf("%s is not set; scripts/%s.sh starts a server.", variable, kind)
	}
	return value
}

// Fresh is a prefix of an installation of its own: 9 letters and digits.
func Fresh() string {
	id := strings.ToLower(ident.New())
	return "t" + id[len(id)-8:]
}

// Clear removes all generations of an engine but an empty one.
func Clear(t testing.TB, e search.Engine) {
	t.Helper()
	ctx := context.Background() // the test's own has ended
	if err := errors.Join(e.Ensure(ctx, search.Generation{Name: "end"}), e.Swap(ctx, "end")); err != nil {
		t.Errorf("remove what the test made: %v", err)
	}
}

// Run sits an engine to the whole exam.
func Run(t *testing.T, s Subject) {
	for _, part := range []struct {
		name string
		test func(*exam)
	}{
		{"nothing serves", (*exam).nothingServes},
		{"shapes", (*exam).shapes},
		{"generations", (*exam).generations},
		{"operations in order", (*exam).inOrder},
		{"random operations", (*exam).random},
		{"workspaces are apart", (*exam).apart},
		{"documents", (*exam).documents},
		{"rejected operations", (*exam).rejected},
		{"cosines", (*exam).cosines},
		{"words as BM25", (*exam).bm25},
		{"coverage and explanation", (*exam).coverage},
		{"words are not syntax", (*exam).syntax},
		{"swap under load", (*exam).swapUnderLoad},
		{"cancellation", (*exam).cancellation},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(&exam{T: t, s: s, e: s.Open(t)}) })
	}
}

// exam is one part under way.
type exam struct {
	*testing.T
	s Subject
	e search.Engine
}

// ws is a workspace that most parts are about.
const ws = ident.Workspace("01JD3SWORKSPACE0000000000A")

// soon is how long a change may take to be found: the port says a second, the machine may be slow.
const soon = 5 * time.Second

func put(id, document string, hash uint64, terms string, v ...float32) search.Operation {
	return search.Operation{PassageID: id, DocumentID: document, Terms: strings.Fields(terms), Vector: v, Hash: hash}
}

func gone(id string) search.Operation { return search.Operation{PassageID: id, Delete: true} }

func (x *exam) ensure(name string, dims int) {
	x.Helper()
	if err := x.e.Ensure(x.Context(), search.Generation{Name: name, Dims: dims}); err != nil {
		x.Fatalf("ensure %s: %v", name, err)
	}
}

func (x *exam) swap(name string) {
	x.Helper()
	if err := x.e.Swap(x.Context(), name); err != nil {
		x.Fatalf("swap %s: %v", name, err)
	}
}

// serve makes a generation and lets it serve.
func (x *exam) serve(name string, dims int) {
	x.Helper()
	x.ensure(name, dims)
	x.swap(name)
}

func (x *exam) apply(generation string, w ident.Workspace, ops ...search.Operation) {
	x.Helper()
	if failed, err := x.e.Apply(x.Context(), generation, w, ops); err != nil || len(failed) > 0 {
		x.Fatalf("apply: %v, %v", failed, err)
	}
}

func (x *exam) held(generation string, w ident.Workspace) search.Holding {
	x.Helper()
	h, err := x.e.Held(x.Context(), generation, w)
	if err != nil {
		x.Fatalf("held: %v", err)
	}
	return h
}

func near(w ident.Workspace, v ...float32) search.Query {
	return search.Query{Workspace: w, Vector: v, Space: "s", K: 10}
}

func words(w ident.Workspace, terms ...string) search.Query {
	q := search.Query{Workspace: w, K: 10}
	for _, t := range terms {
		q.Terms = append(q.Terms, lexical.Term{Text: t, Weight: 1})
	}
	return q
}

// ask asks the leg that a query is for.
func (x *exam) ask(ctx context.Context, q search.Query) (search.Found, error) {
	if q.Vector != nil {
		return x.e.Vector(ctx, q)
	}
	return x.e.Lexical(ctx, q)
}

// found gives an answer and checks what holds for all of them.
func (x *exam) found(q search.Query) search.Found {
	x.Helper()
	f, err := x.ask(x.Context(), q)
	if err != nil {
		x.Fatalf("search: %v", err)
	}
	for i, c := range f.Candidates {
		if i > 0 {
			if p := f.Candidates[i-1]; p.Score < c.Score || p.Score == c.Score && p.PassageID >= c.PassageID {
				x.Errorf("%s with %v stands before %s with %v", p.PassageID, p.Score, c.PassageID, c.Score)
			}
		}
		if c.Coverage < 0 || c.Coverage > 1 {
			x.Errorf("%s has a coverage of %v", c.PassageID, c.Coverage)
		}
	}
	if len(f.Candidates) > q.K || f.Total < len(f.Candidates) {
		x.Errorf("%d candidates of %d, asked for %d", len(f.Candidates), f.Total, q.K)
	}
	return f
}

func ids(f search.Found) []string {
	list := []string{}
	for _, c := range f.Candidates {
		list = append(list, c.PassageID)
	}
	return list
}

// finds waits until a query finds these passages, best first.
func (x *exam) finds(q search.Query, want ...string) {
	x.Helper()
	x.soon(func() string { return cmp.Diff(want, ids(x.found(q)), cmpopts.EquateEmpty()) })
}

// soon waits until a difference is gone.
func (x *exam) soon(difference func() string) {
	x.Helper()
	deadline := time.Now().Add(soon)
	for {
		diff := difference()
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			x.Fatalf("after %v (-want +got)\n%s", soon, diff)
		}
		time.Sleep(20 * time.Millisecond) // a server's own time cannot be made to pass
	}
}

// fails checks an error's kind and code; "" is any code.
func (x *exam) fails(what string, err error, kind fault.Kind, code string) {
	x.Helper()
	f := fault.Of(err)
	if f == nil || f.Kind != kind || code != "" && f.Code != code {
		x.Errorf("%s: %v, not %d %s", what, err, kind, code)
	}
}

// queries has one for each leg.
func (x *exam) queries(w ident.Workspace) []search.Query {
	if x.s.Wordless {
		return []search.Query{near(w, 1, 0, 0)}
	}
	return []search.Query{near(w, 1, 0, 0), words(w, "apple")}
}

func (x *exam) nothingServes() {
	x.ensure("one", 3)
	x.apply("one", ws, put("a", "d", 1, "apple", 1, 0, 0))
	for _, q := range x.queries(ws) {
		_, err := x.ask(x.Context(), q)
		x.fails("nothing serves", err, fault.Unavailable, "engine_empty")
	}
	if _, err := x.e.Info(x.Context()); err != nil {
		x.Errorf("info of an engine that is well and empty: %v", err)
	}
}

func (x *exam) shapes() {
	x.ensure("g", 3)
	x.ensure("g", 3)
	err := x.e.Ensure(x.Context(), search.Generation{Name: "g", Dims: 4})
	x.fails("other dimensions", err, fault.Conflict, "generation_shape")
	for _, name := range []string{"", "Upper", "a.b", "-a", "a-", "*", "a,b", strings.Repeat("a", 33)} {
		if err := x.e.Ensure(x.Context(), search.Generation{Name: name, Dims: 3}); err == nil || fault.Of(err).Kind == fault.Unavailable {
			x.Errorf("the name %q: %v", name, err)
		}
	}
	long := strings.Repeat("a", 32)
	x.serve(long, 0)
	x.apply(long, ws, put("a", "d", 1, "apple", 1, 0, 0)) // the vector has no place
	_, err = x.e.Vector(x.Context(), near(ws, 1, 0, 0))
	x.fails("a search by meaning without vectors", err, fault.Invalid, "semantic_unavailable")
	if x.s.Wordless {
		_, err = x.e.Lexical(x.Context(), words(ws, "apple"))
		x.fails("a search by words without words", err, fault.Invalid, "lexical_unavailable")
		return
	}
	x.finds(words(ws, "apple"), "a")
	info, err := x.e.Info(x.Context())
	if err != nil || info.Engine == "" {
		x.Errorf("info %+v, %v", info, err)
	}
}

func (x *exam) generations() {
	x.serve("one", 3)
	x.apply("one", ws, put("a", "d1", 1, "apple", 1, 0, 0), put("b", "d2", 2, "apple apple pear plum", 0.6, 0.8, 0))
	x.finds(near(ws, 1, 0, 0), "a", "b")
	x.ensure("two", 2)
	x.apply("two", ws, put("z", "d1", 8, "apple", 1, 0))
	x.finds(near(ws, 1, 0, 0), "a", "b")
	if diff := cmp.Diff([]search.Holding{{Passages: 2, Digest: 3}, {Passages: 1, Digest: 8}}, []search.Holding{x.held("one", ws), x.held("two", ws)}); diff != "" {
		x.Errorf("held (-want +got)\n%s", diff)
	}
	x.swap("two")
	x.swap("two")
	x.finds(near(ws, 1, 0), "z")
	if !x.s.Wordless {
		x.finds(words(ws, "apple"), "z")
	}
	_, err := x.e.Held(x.Context(), "one", ws)
	x.fails("the old generation is counted", err, fault.NotFound, "")
	_, err = x.e.Apply(x.Context(), "one", ws, []search.Operation{put("a", "d1", 1, "apple", 1, 0, 0)})
	x.fails("the old generation is written", err, fault.NotFound, "")
	x.fails("the old generation serves", x.e.Swap(x.Context(), "one"), fault.NotFound, "")
	x.fails("what never was serves", x.e.Swap(x.Context(), "three"), fault.NotFound, "")
	x.finds(near(ws, 1, 0), "z")
}

func (x *exam) inOrder() {
	const big = ^uint64(0)
	rows := []struct {
		name string
		ops  []search.Operation
		want search.Holding
		find []string
	}{
		{"nothing", nil, search.Holding{}, nil},
		{"deletes of what was never there", []search.Operation{gone("a"), gone("b")}, search.Holding{}, nil},
		{"put twice", []search.Operation{put("a", "d", 1, "pear", 0, 1, 0), put("a", "d", 2, "apple", 1, 0, 0)}, search.Holding{Passages: 1, Digest: 2}, []string{"a"}},
		{"put and deleted", []search.Operation{put("a", "d", 1, "apple", 1, 0, 0), put("b", "d", 2, "apple", 1, 0, 0), gone("a")}, search.Holding{Passages: 1, Digest: 2}, []string{"b"}},
		{"deleted and put", []search.Operation{gone("a"), put("a", "d", 1, "apple", 1, 0, 0)}, search.Holding{Passages: 1, Digest: 1}, []string{"a"}},
		{"hashes wrap around", []search.Operation{put("a", "d", big, "apple", 1, 0, 0), put("b", "d", big, "apple", 1, 0, 0), put("c", "d", 5, "apple", 1, 0, 0)}, search.Holding{Passages: 3, Digest: 3}, []string{"a", "b", "c"}},
		{"ties go by id", []search.Operation{put("c", "d", 1, "apple", 1, 0, 0), put("a", "d", 1, "apple", 1, 0, 0), put("b", "d", 1, "apple", 1, 0, 0)}, search.Holding{Passages: 3, Digest: 3}, []string{"a", "b", "c"}},
		{"moved to another document", []search.Operation{put("a", "d1", 1, "apple", 1, 0, 0), put("a", "d2", 2, "apple", 1, 0, 0)}, search.Holding{Passages: 1, Digest: 2}, []string{"a"}},
	}
	x.serve("g", 3)
	for i, r := range rows {
		w := ident.Workspace(fmt.Sprintf("workspace/%d", i)) // not a name that servers take
		for range 2 {                                        // again without harm
			x.apply("g", w, r.ops...)
			if diff := cmp.Diff(r.want, x.held("g", w)); diff != "" {
				x.Errorf("%s: held (-want +got)\n%s", r.name, diff)
			}
			for _, q := range x.queries(w) {
				x.finds(q, r.find...)
			}
		}
	}
	const n = 1500 // more than one request takes
	var ops []search.Operation
	var sum uint64
	for i := range n {
		hash := uint64(i+1) * 0x9e3779b97f4a7c15
		ops, sum = append(ops, put(fmt.Sprint("p", i), "d", hash, "apple", 1, float32(i), 0)), sum+hash
	}
	x.apply("g", ws, ops...)
	if diff := cmp.Diff(search.Holding{Passages: n, Digest: sum}, x.held("g", ws)); diff != "" {
		x.Errorf("held of many (-want +got)\n%s", diff)
	}
	for i := range ops {
		ops[i] = gone(ops[i].PassageID)
	}
	x.apply("g", ws, ops[3:]...)
	x.finds(near(ws, 1, 0, 0), "p0", "p1", "p2")
}

// random compares with maps what two workspaces and two generations hold after batches of random operations, of which some are
// applied again, as after an error.
func (x *exam) random() {
	r := rand.New(rand.NewPCG(5, 6))
	x.ensure("one", 3)
	x.ensure("two", 3)
	type place struct {
		generation string
		ws         ident.Workspace
	}
	oracle := map[place]map[string]uint64{}
	for range 25 {
		p := place{[]string{"one", "two"}[r.IntN(2)], []ident.Workspace{ws, "other"}[r.IntN(2)]}
		if oracle[p] == nil {
			oracle[p] = map[string]uint64{}
		}
		var ops []search.Operation
		for range r.IntN(30) {
			id := fmt.Sprint("p", r.IntN(20))
			if r.IntN(3) == 0 {
				ops = append(ops, gone(id))
				delete(oracle[p], id)
				continue
			}
			hash := r.Uint64()
			ops = append(ops, put(id, fmt.Sprint("d", r.IntN(3)), hash, "apple", float32(r.NormFloat64()), 1, 0))
			oracle[p][id] = hash
		}
		for range 1 + r.IntN(2) {
			x.apply(p.generation, p.ws, ops...)
		}
		want := search.Holding{Passages: len(oracle[p])}
		for _, hash := range oracle[p] {
			want.Digest += hash
		}
		if diff := cmp.Diff(want, x.held(p.generation, p.ws)); diff != "" {
			x.Fatalf("held (-want +got)\n%s", diff)
		}
	}
	x.swap("one")
	for _, w := range []ident.Workspace{ws, "other"} {
		want := slices.Sorted(maps.Keys(oracle[place{"one", w}]))
		for _, q := range x.queries(w) {
			q.K = 100
			x.soon(func() string {
				return cmp.Diff(want, slices.Sorted(slices.Values(ids(x.found(q)))), cmpopts.EquateEmpty())
			})
		}
	}
}

func (x *exam) apart() {
	x.serve("g", 3)
	other := ident.Workspace("01JD3SWORKSPACE0000000000B")
	x.apply("g", ws, put("mine", "d", 1, "apple", 1, 0, 0), put("same", "d", 2, "apple pear", 0.8, 0.6, 0))
	x.apply("g", other, put("theirs", "d", 4, "apple", 1, 0, 0), put("same", "d", 8, "apple plum", 0.6, 0.8, 0))
	for _, q := range x.queries(ws) {
		x.finds(q, "mine", "same")
	}
	for _, q := range x.queries(other) {
		x.finds(q, "theirs", "same")
		q.Documents = map[string]bool{"d": true}
		x.finds(q, "theirs", "same")
	}
	for _, q := range x.queries("") {
		x.finds(q)
	}
	x.apply("g", other, gone("mine"), gone("same"))
	if diff := cmp.Diff([]search.Holding{{Passages: 2, Digest: 3}, {Passages: 1, Digest: 4}}, []search.Holding{x.held("g", ws), x.held("g", other)}); diff != "" {
		x.Errorf("held (-want +got)\n%s", diff)
	}
	for _, q := range x.queries(ws) {
		x.finds(q, "mine", "same")
	}
}

func (x *exam) documents() {
	const n = 60
	x.serve("g", 3)
	var ops []search.Operation
	for i := range n { // the smaller the number, the nearer to 1, 0, 0, and the shorter
		ops = append(ops, put(fmt.Sprintf("p%02d", i), fmt.Sprintf("d%02d", i), 1, "apple"+strings.Repeat(" pear", i), 1, float32(i)/n, 0))
	}
	x.apply("g", ws, ops...)
	set := func(from, to int) map[string]bool {
		m := map[string]bool{"d00": false} // is not asked for
		for i := from; i < to; i++ {
			m[fmt.Sprintf("d%02d", i)] = true
		}
		return m
	}
	rows := []struct {
		name      string
		documents map[string]bool
		want      []string
	}{
		{"all", nil, []string{"p00", "p01", "p02"}},
		{"none", map[string]bool{}, nil},
		{"one", set(30, 31), []string{"p30"}},
		{"many", set(1, n), []string{"p01", "p02", "p03"}},
		{"absent", set(n, n+5), nil},
		{"none that is wanted", map[string]bool{"d00": false}, nil},
		{"thousands", set(20, 70_000), []string{"p20", "p21", "p22"}},
	}
	for _, r := range rows {
		for _, q := range x.queries(ws) {
			q.K, q.Documents = 3, r.documents
			x.finds(q, r.want...)
		}
	}
}

func (x *exam) rejected() {
	x.serve("g", 3)
	var zero float32
	nan := zero / zero
	failed, err := x.e.Apply(x.Context(), "g", ws, []search.Operation{
		put("short", "d", 1, "apple", 1, 0), put("good", "d", 2, "apple", 1, 0, 0), put("zero", "d", 4, "apple", 0, 0, 0), put("nan", "d", 8, "apple", nan, 0, 0),
	})
	if err != nil {
		x.Fatal(err)
	}
	var refused []string
	for _, r := range failed {
		if refused = append(refused, r.PassageID); r.Reason == "" {
			x.Errorf("%s is rejected without a reason", r.PassageID)
		}
	}
	slices.Sort(refused)
	if diff := cmp.Diff([]string{"nan", "short", "zero"}, refused); diff != "" {
		x.Errorf("rejected (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(search.Holding{Passages: 1, Digest: 2}, x.held("g", ws)); diff != "" {
		x.Errorf("held (-want +got)\n%s", diff)
	}
	for _, q := range x.queries(ws) {
		x.finds(q, "good")
	}
	for name, v := range map[string][]float32{"short": {1, 0}, "zero": {0, 0, 0}, "nan": {nan, 0, 0}} {
		_, err := x.e.Vector(x.Context(), near(ws, v...))
		x.fails("a question that is "+name, err, fault.Invalid, "bad_vector")
	}
}
