package chroma_test

import (
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"byline/internal/driver/chroma"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
	"byline/internal/search/searchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faked gives an engine on a fake server.
func faked(t *testing.T, o chroma.Options) (*fake, *chroma.Engine) {
	t.Helper()
	f := newFake()
	return f, opened(t, f, o)
}

// opened gives one more engine on a fake server.
func opened(t *testing.T, f *fake, o chroma.Options) *chroma.Engine {
	t.Helper()
	e := engine(t, "http://chroma.invalid:8000", o)
	e.Through(f)
	return e
}

func engine(t *testing.T, url string, o chroma.Options) *chroma.Engine {
	t.Helper()
	e, err := chroma.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// real gives an engine on the real server, with a prefix of its own.
func real(t *testing.T) *chroma.Engine {
	t.Helper()
	e := engine(t, searchtest.Server(t, "TEST_CHROMA_URL", "chroma"), chroma.Options{Prefix: searchtest.Fresh()})
	t.Cleanup(func() { searchtest.Clear(t, e) })
	return e
}

// TestConformance holds the driver, and its fake, against what every engine promises.
func TestConformance(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		searchtest.Run(t, searchtest.Subject{Wordless: true, Open: func(t *testing.T) search.Engine {
			_, e := faked(t, chroma.Options{})
			return e
		}})
	})
	t.Run("real", func(t *testing.T) {
		searchtest.Run(t, searchtest.Subject{Wordless: true, Open: func(t *testing.T) search.Engine { return real(t) }})
	})
}

// each runs a test on the fake and on the real server.
func each(t *testing.T, test func(t *testing.T, e *chroma.Engine)) {
	t.Run("fake", func(t *testing.T) {
		_, e := faked(t, chroma.Options{})
		test(t, e)
	})
	t.Run("plain floats", func(t *testing.T) {
		f, e := faked(t, chroma.Options{})
		f.base64, f.maxBatch = false, 3
		test(t, e)
	})
	t.Run("real", func(t *testing.T) { test(t, real(t)) })
}

const ws = ident.Workspace("01JD3SWORKSPACE0000000000A")

func put(id, document string, hash uint64, v ...float32) search.Operation {
	return search.Operation{PassageID: id, DocumentID: document, Vector: v, Hash: hash}
}

func gone(id string) search.Operation { return search.Operation{PassageID: id, Delete: true} }

// ensure makes generations of three dimensions.
func ensure(t *testing.T, e *chroma.Engine, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := e.Ensure(t.Context(), search.Generation{Name: n, Dims: 3}); err != nil {
			t.Fatal(err)
		}
	}
}

func swap(t *testing.T, e *chroma.Engine, name string) {
	t.Helper()
	if err := e.Swap(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, e *chroma.Engine, generation string, w ident.Workspace, ops ...search.Operation) {
	t.Helper()
	if failed, err := e.Apply(t.Context(), generation, w, ops); err != nil || failed != nil {
		t.Fatalf("apply: %v, %v", failed, err)
	}
}

func held(t *testing.T, e *chroma.Engine, generation string, w ident.Workspace) search.Holding {
	t.Helper()
	h, err := e.Held(t.Context(), generation, w)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// found gives the passages of a search, best first.
func found(t *testing.T, e *chroma.Engine, q search.Query) []string {
	t.Helper()
	f, err := e.Vector(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range f.Candidates {
		ids = append(ids, c.PassageID)
	}
	if f.Total != len(ids) {
		t.Errorf("total %d of %d", f.Total, len(ids))
	}
	return ids
}

func near(w ident.Workspace, v ...float32) search.Query {
	return search.Query{Workspace: w, Vector: v, Space: "s", K: 10}
}

func want(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestSearchesTheGenerationThatServes(t *testing.T) {
	each(t, func(t *testing.T, e *chroma.Engine) {
		if _, err := e.Vector(t.Context(), near(ws, 1, 0, 0)); !errors.Is(err, fault.New(fault.Unavailable, "engine_empty", "")) {
			t.Errorf("before anything serves: %v", err)
		}
		ensure(t, e, "one", "one")
		apply(t, e, "one", ws, put("a", "d1", 1, 1, 0, 0), put("b", "d2", 2, 0.6, 0.8, 0), put("c", "d2", 4, 0, 0, 1))
		swap(t, e, "one")
		ensure(t, e, "two")
		apply(t, e, "two", ws, put("z", "d1", 8, 1, 0, 0))

		f, err := e.Vector(t.Context(), near(ws, 1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(search.Found{Total: 3, Candidates: []search.Candidate{
			{PassageID: "a", DocumentID: "d1", Score: 1}, {PassageID: "b", DocumentID: "d2", Score: .6}, {PassageID: "c", DocumentID: "d2", Score: 0},
		}}, f, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		want(t, "held", search.Holding{Passages: 3, Digest: 7}, held(t, e, "one", ws))

		swap(t, e, "two")
		swap(t, e, "two")
		want(t, "after the swap", []string{"z"}, found(t, e, near(ws, 1, 0, 0)))
		if _, err := e.Held(t.Context(), "one", ws); !errors.Is(err, fault.Missing("")) {
			t.Errorf("the old generation is there: %v", err)
		}
		if _, err := e.Apply(t.Context(), "one", ws, []search.Operation{put("a", "d1", 1, 1, 0, 0)}); !errors.Is(err, fault.Missing("")) {
			t.Errorf("the old generation takes passages: %v", err)
		}
		if err := e.Swap(t.Context(), "one"); !errors.Is(err, fault.Missing("")) {
			t.Errorf("the old generation serves again: %v", err)
		}
	})
}

func TestAppliesInOrder(t *testing.T) {
	big := uint64(math.MaxUint64)
	rows := []struct {
		name string
		ops  []search.Operation
		want search.Holding
		find []string
	}{
		{"nothing", nil, search.Holding{}, nil},
		{"deletes of what was never there", []search.Operation{gone("a"), gone("b")}, search.Holding{}, nil},
		{"put twice", []search.Operation{put("a", "d", 1, 0, 1, 0), put("a", "d", 2, 1, 0, 0)}, search.Holding{Passages: 1, Digest: 2}, []string{"a"}},
		{"put and deleted", []search.Operation{put("a", "d", 1, 1, 0, 0), put("b", "d", 2, 1, 0, 0), gone("a")}, search.Holding{Passages: 1, Digest: 2}, []string{"b"}},
		{"deleted and put", []search.Operation{gone("a"), put("a", "d", 1, 1, 0, 0)}, search.Holding{Passages: 1, Digest: 1}, []string{"a"}},
		{"without a vector", []search.Operation{put("a", "d", 1, 1, 0, 0), put("b", "d", 2), put("a", "d", 3)}, search.Holding{}, nil},
		{"hashes wrap around", []search.Operation{put("a", "d", big, 1, 0, 0), put("b", "d", big, 0, 1, 0), put("c", "d", 5, 0, 0, 1)}, search.Holding{Passages: 3, Digest: 3}, []string{"a", "b", "c"}},
		{"ties go by id", []search.Operation{put("c", "d", 1, 1, 0, 0), put("a", "d", 1, 1, 0, 0), put("b", "d", 1, 1, 0, 0)}, search.Holding{Passages: 3, Digest: 3}, []string{"a", "b", "c"}},
		{"more than a batch", []search.Operation{put("a", "d", 1, 1, 0, 0), put("b", "d", 1, 0.9, 0.1, 0), put("c", "d", 1, 0.8, 0.2, 0), put("d", "d", 1, 0.7, 0.3, 0),
			gone("e"), gone("f"), gone("g"), gone("h")}, search.Holding{Passages: 4, Digest: 4}, []string{"a", "b", "c", "d"}},
	}
	each(t, func(t *testing.T, e *chroma.Engine) {
		ensure(t, e, "g")
		swap(t, e, "g")
		for i, r := range rows {
			w := ident.Workspace(fmt.Sprintf("workspace/%d", i)) // not a name that Chroma takes
			for range 2 {                                        // again without harm
				apply(t, e, "g", w, r.ops...)
				want(t, r.name+": held", r.want, held(t, e, "g", w))
				want(t, r.name+": found", r.find, found(t, e, near(w, 1, 0, 0)))
			}
		}
		if f := found(t, e, near("another", 1, 0, 0)); f != nil {
			t.Errorf("another workspace finds %v", f)
		}
	})
}

func TestRejectsWhatItCannotHold(t *testing.T) {
	each(t, func(t *testing.T, e *chroma.Engine) {
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		ensure(t, e, "g")
		failed, err := e.Apply(t.Context(), "g", ws, []search.Operation{
			put("short", "d", 1, 1, 0), put("good", "d", 2, 1, 0, 0), put("zero", "d", 4, 0, 0, 0), put("nan", "d", 8, nan, 0, 0), put("inf", "d", 16, inf, 0, 0),
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "failed", []search.Rejected{
			{PassageID: "short", Reason: "its vector has 2 dimensions, not 3"},
			{PassageID: "zero", Reason: "its vector has no direction"},
			{PassageID: "nan", Reason: "its vector has no direction"},
			{PassageID: "inf", Reason: "its vector has no direction"},
		}, failed)
		want(t, "held", search.Holding{Passages: 1, Digest: 2}, held(t, e, "g", ws))
		swap(t, e, "g")
		for name, v := range map[string][]float32{"short": {1, 0}, "zero": {0, 0, 0}, "nan": {nan, 0, 0}} {
			if _, err := e.Vector(t.Context(), near(ws, v...)); !errors.Is(err, fault.New(fault.Invalid, "bad_vector", "")) {
				t.Errorf("a question that is %s: %v", name, err)
			}
		}
	})
}

func TestShapes(t *testing.T) {
	each(t, func(t *testing.T, e *chroma.Engine) {
		ensure(t, e, "g")
		if err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: 4}); !errors.Is(err, fault.New(fault.Conflict, "generation_shape", "")) {
			t.Errorf("other dimensions: %v", err)
		}
		for _, name := range []string{"", "Upper", "a.b", "-a", "a-", strings.Repeat("a", 33)} {
			if err := e.Ensure(t.Context(), search.Generation{Name: name, Dims: 3}); err == nil || fault.Of(err).Kind == fault.Unavailable {
				t.Errorf("the name %q: %v", name, err)
			}
		}
		long := search.Generation{Name: strings.Repeat("a", 32)} // of words only
		if err := e.Ensure(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		apply(t, e, long.Name, ws, put("a", "d", 1, 1, 0, 0))
		want(t, "held", search.Holding{}, held(t, e, long.Name, ws))
		swap(t, e, long.Name)
		if _, err := e.Vector(t.Context(), near(ws, 1, 0, 0)); !errors.Is(err, fault.New(fault.Invalid, "semantic_unavailable", "")) {
			t.Errorf("a search without vectors: %v", err)
		}
		if _, err := e.Lexical(t.Context(), near(ws)); !errors.Is(err, fault.New(fault.Invalid, "lexical_unavailable", "")) {
			t.Errorf("a search by words: %v", err)
		}
		if info, err := e.Info(t.Context()); err != nil || info.Engine != "chroma" {
			t.Errorf("info %+v, %v", info, err)
		}
	})
}

// direction of the i-th of n passages: the smaller i, the nearer to 1, 0, 0.
func direction(i, n int) []float32 {
	sin, cos := math.Sincos(float64(i) / float64(n))
	return []float32{float32(cos), float32(sin), 0}
}

func TestLimitedToDocuments(t *testing.T) {
	const n = 120
	documents := func(from, to int) map[string]bool {
		m := map[string]bool{"not asked for": false}
		for i := from; i < to; i++ {
			m[fmt.Sprintf("d%03d", i)] = true
		}
		return m
	}
	rows := []struct {
		name      string
		documents map[string]bool
		want      []string // of three
		queries   int
	}{
		{"none", map[string]bool{}, nil, 0},
		{"all", nil, []string{"p000", "p001", "p002"}, 1},
		{"few", documents(50, 53), []string{"p050", "p051", "p052"}, 1},
		{"many, near", documents(2, 60), []string{"p002", "p003", "p004"}, 1},
		{"many, far", documents(60, n), []string{"p060", "p061", "p062"}, 2},
		{"absent", documents(n, n+5), nil, 1},
		{"more than a request takes", documents(60, 61+chroma.MaxIn), []string{"p060", "p061", "p062"}, 3},
	}
	// A fake server counts the queries, too.
	test := func(t *testing.T, e *chroma.Engine, f *fake) {
		ensure(t, e, "g")
		swap(t, e, "g")
		var ops []search.Operation
		for i := range n {
			ops = append(ops, put(fmt.Sprintf("p%03d", i), fmt.Sprintf("d%03d", i), 1, direction(i, n)...))
		}
		apply(t, e, "g", ws, ops...)
		for _, r := range rows {
			q := near(ws, 1, 0, 0)
			q.K, q.Documents = 3, r.documents
			if f != nil {
				f.calls()
			}
			want(t, r.name, r.want, found(t, e, q))
			if f == nil {
				continue
			}
			if queries := slices.DeleteFunc(f.calls(), func(c string) bool { return !strings.HasSuffix(c, " query") }); len(queries) != r.queries {
				t.Errorf("%s: %d queries, not %d", r.name, len(queries), r.queries)
			}
		}
		small := ident.Workspace("small") // one request sees all of it
		apply(t, e, "g", small, ops[:11]...)
		q := near(small, 1, 0, 0)
		q.K, q.Documents = 3, documents(10, 30)
		want(t, "a small workspace", []string{"p010"}, found(t, e, q))
	}
	t.Run("fake", func(t *testing.T) {
		f, e := faked(t, chroma.Options{})
		test(t, e, f)
	})
	t.Run("real", func(t *testing.T) { test(t, real(t), nil) })
}

// TestHoldsPages counts more than one page, and sends more than one body's bytes.
func TestHoldsPages(t *testing.T) {
	each(t, func(t *testing.T, e *chroma.Engine) {
		const n, dims = 2500, 384
		if err := e.Ensure(t.Context(), search.Generation{Name: "g", Dims: dims}); err != nil {
			t.Fatal(err)
		}
		var ops []search.Operation
		var sum uint64
		for i := range n {
			v := make([]float32, dims)
			v[i%dims], v[(i/dims+1)%dims] = 1, 0.5
			hash := uint64(i) * 0x9e3779b97f4a7c15
			ops, sum = append(ops, put(fmt.Sprint("p", i), "d", hash, v...)), sum+hash
		}
		apply(t, e, "g", ws, ops...)
		want(t, "held", search.Holding{Passages: n, Digest: sum}, held(t, e, "g", ws))
		for i := range ops {
			ops[i] = gone(ops[i].PassageID)
		}
		apply(t, e, "g", ws, ops[100:]...)
		if h := held(t, e, "g", ws); h.Passages != 100 {
			t.Errorf("%d are left of 100", h.Passages)
		}
	})
}

// Two replicas share a server; what one of them does, the other notices although it remembers.
func TestAnotherReplicaSwaps(t *testing.T) {
	server := newFake()
	s := httptest.NewServer(server)
	defer s.Close()
	one, two := engine(t, s.URL, chroma.Options{}), engine(t, s.URL, chroma.Options{})
	ensure(t, one, "a")
	apply(t, one, "a", ws, put("p", "d", 1, 1, 0, 0))
	swap(t, one, "a")
	want(t, "before", []string{"p"}, found(t, two, near(ws, 1, 0, 0)))
	ensure(t, one, "b")
	apply(t, one, "b", ws, put("q", "d", 1, 1, 0, 0))
	swap(t, one, "b")
	// What two remembers is gone, so it looks again at once.
	want(t, "after", []string{"q"}, found(t, two, near(ws, 1, 0, 0)))
	if _, err := two.Held(t.Context(), "a", ws); !errors.Is(err, fault.Missing("")) {
		t.Errorf("held of what is gone: %v", err)
	}
	want(t, "what is there", []string{"byline.b", "byline.b." + string(ws), "byline_serving"}, server.names())

	// Somebody removes everything.
	server.mu.Lock()
	server.collections = nil
	server.mu.Unlock()
	for range 2 {
		if _, err := two.Vector(t.Context(), near(ws, 1, 0, 0)); !errors.Is(err, fault.New(fault.Unavailable, "engine_empty", "")) {
			t.Errorf("a search of nothing: %v", err)
		}
	}
	if _, err := two.Apply(t.Context(), "b", ws, []search.Operation{put("q", "d", 1, 1, 0, 0)}); !errors.Is(err, fault.Missing("")) {
		t.Errorf("written to nothing: %v", err)
	}
}
