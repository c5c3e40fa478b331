package ingest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/driver/localfs"
	"byline/internal/engine/embed"
	"byline/internal/engine/extract"
	"byline/internal/engine/lexical"
	"byline/internal/engine/vector"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
)

// words is an embedder whose vectors are sums of a random direction for each word.
type words struct {
	name string
	dims int
	fail error
}

func (w *words) Space() embed.Space {
	return embed.Space{Embedder: w.name, Version: "v1", Dims: w.dims}
}

func (w *words) Query(_ context.Context, text string) (embed.Vector, error) {
	v := embed.Vector{Values: make([]float32, w.dims), Known: 1}
	for _, f := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New64a()
		h.Write([]byte(w.name + strings.Trim(f, ".,#")))
		r := rand.New(rand.NewPCG(h.Sum64(), 1))
		for i := range v.Values {
			v.Values[i] += float32(r.NormFloat64())
		}
	}
	embed.Normalize(v.Values)
	return v, w.fail
}

func (w *words) Passages(ctx context.Context, texts []string) (list []embed.Vector, err error) {
	for _, t := range texts {
		v, err := w.Query(ctx, t)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// shelf is a library with one workspace, on a real database.
type shelf struct {
	testing.TB
	*store.Store
	blobs  *localfs.Store
	engine *search.Embedded // of nearest
}

func openShelf(t testing.TB, dir string) *shelf {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := localfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{TB: t, Store: s, blobs: blobs}
}

func (s *shelf) spaces(target embed.Embedder, others ...embed.Embedder) *search.Spaces {
	s.Helper()
	x := search.NewSpaces(s, target, others, slog.New(slog.DiscardHandler))
	if err := x.Offer(s.Context()); err != nil {
		s.Fatal(err)
	}
	return x
}

// work processes documents until stop is called.
func (s *shelf) work(x *search.Spaces) (stop func()) {
	s.Helper()
	p := ingest.New(s, s.blobs, map[string]ingest.Extractor{string(extract.PlainText): func(_ context.Context, f blob.File, _ int64, sink extract.Sink) error {
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		return extract.Plain(string(b), sink)
	}}, x.Wanted)
	w := runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Handlers: map[runs.Kind]runs.Handler{runs.KindProcess: {Do: p.Handle, Limit: 1}, runs.KindSnapshot: {Do: p.Handle, Limit: 1}}})
	w.Start()
	return func() { w.Stop(s.Context()) }
}

// add uploads a text of one passage a line and processes it; it gives the document as it ends.
func (s *shelf) add(x *search.Spaces, lines ...string) document.Document {
	s.Helper()
	documents := document.New(s, s.blobs, document.Limits{Bytes: 1 << 20})
	defer s.work(x)()
	d, _, err := documents.Take(s.Context(), document.Upload{Workspace: ident.Local, Filename: ident.New() + ".txt",
		Bytes: strings.NewReader(strings.Join(lines, "\n\n")), Process: true})
	if err != nil {
		s.Fatal(err)
	}
	return s.ended(d.ID)
}

// ended waits until a document is complete or failed.
func (s *shelf) ended(id string) document.Document {
	s.Helper()
	d, err := s.Document(s.Context(), ident.Local, id)
	for err == nil && d.Status != document.Completed && d.Status != document.Failed {
		time.Sleep(time.Millisecond)
		d, err = s.Document(s.Context(), ident.Local, d.ID)
	}
	if err != nil {
		s.Fatal(err)
	}
	return d
}

// sentences are paragraphs long enough to be passages of their own, each about one number.
func sentences(from, n int) (list []string) {
	for i := from; i < from+n; i++ {
		list = append(list, fmt.Sprintf("Record%d tells about item%d and place%d. ", i, i*7, i%5)+strings.Repeat(fmt.Sprintf("detail%d ", i), 110)+".")
	}
	return list
}

// nearest asks the embedded engine and checks its answer against a scan over the float vectors of all passages. An engine that was
// asked before, twice by now, says the same.
func (s *shelf) nearest(e embed.Embedder, question string, k int) []search.Candidate {
	s.Helper()
	q, err := e.Query(s.Context(), question)
	if err != nil {
		s.Fatal(err)
	}
	query := search.Query{Workspace: ident.Local, Vector: q.Values, Space: e.Space().ID(), K: k}
	found, err := search.NewEmbedded(s, 64<<20).Vector(s.Context(), query)
	if err != nil {
		s.Fatal(err)
	}
	if s.engine == nil {
		s.engine = search.NewEmbedded(s, 64<<20)
	}
	for range 2 {
		again, err := s.engine.Vector(s.Context(), query)
		if diff := gocmp.Diff(again, found); err != nil || diff != "" {
			s.Errorf("an engine that was asked before: %v\n%s", err, diff)
		}
	}
	var want []search.Candidate
	docs, _, err := s.Documents(s.Context(), ident.Local, document.Filter{Status: document.Completed, Limit: 100})
	if err != nil {
		s.Fatal(err)
	}
	for _, d := range docs {
		list, _, err := s.Passages(s.Context(), ident.Local, d.ID, 0, 1000)
		if err != nil {
			s.Fatal(err)
		}
		for _, p := range list {
			v, err := s.Vectors(s.Context(), e.Space().ID(), []string{p.ID})
			if err != nil {
				s.Fatal(err)
			}
			var dot float64
			for i, x := range v[p.ID] {
				dot += float64(x) * float64(q.Values[i])
			}
			want = append(want, search.Candidate{PassageID: p.ID, DocumentID: d.ID, Score: dot})
		}
	}
	slices.SortFunc(want, func(a, b search.Candidate) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.PassageID, b.PassageID))
	})
	want = want[:min(k, len(want))]
	if len(found.Candidates) != len(want) {
		s.Fatalf("found %d of %d", len(found.Candidates), len(want))
	}
	for i, c := range found.Candidates {
		same, off := c.PassageID == want[i].PassageID && c.DocumentID == want[i].DocumentID, 1e-6
		if i >= 32 { // these are ranked by their codes
			same, off = true, .005
		}
		if !same || c.Score < want[i].Score-off || c.Score > want[i].Score+off {
			s.Errorf("rank %d: %+v, a scan gives %+v", i+1, c, want[i])
		}
	}
	return found.Candidates
}

// Documents are found by meaning as an exact scan finds them, through merges, deletions and new work.
func TestFoundByMeaning(t *testing.T) {
	s := openShelf(t, t.TempDir())
	e := &words{name: "words", dims: 96}
	x := s.spaces(e)
	var docs []document.Document
	for i := range 12 {
		docs = append(docs, s.add(x, sentences(i*10, 6)...))
	}
	if got := s.nearest(e, "Record42 tells about detail42", 10); len(got) == 0 || got[0].DocumentID != docs[4].ID {
		t.Errorf("found %+v", got)
	}
	if _, err := s.Delete(t.Context(), ident.Local, docs[4].ID, false); err != nil {
		t.Fatal(err)
	}
	s.nearest(e, "Record42 tells about detail42", 10)
	if err := search.NewMerger(s, slog.New(slog.DiscardHandler)).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	infos, err := s.Segments(t.Context(), ident.Local, e.Space().ID())
	passages := 0
	for _, i := range infos {
		passages += i.Passages
	}
	if err != nil || len(infos) > 8 || passages != 11*docs[0].PassageCount {
		t.Errorf("%d segments with %d passages after a merge, %v", len(infos), passages, err)
	}
	s.nearest(e, "Record51 tells about detail51", 100)
	report, err := s.Verify(t.Context(), store.VerifyOptions{})
	for _, p := range report.Problems {
		t.Errorf("%s %s: %s", p.Kind, p.ID, p.Detail)
	}
	if err != nil {
		t.Error(err)
	}
	s.agrees("")

	// What the indexes lack is told, and rebuilt.
	if err := s.Outdate(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	infos, err = s.Segments(t.Context(), ident.Local, e.Space().ID())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Replace(t.Context(), search.Crowd{Workspace: ident.Local, Space: e.Space().ID()}, infos[:1], nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.agrees("index of words/v1/96, workspace local: holds")
	if err := x.Rebuild(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	if err := x.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.agrees("")
	s.nearest(e, "Record51 tells about detail51", 100)
}

// agrees wants the indexes to hold what the documents have, or a problem that begins like this.
func (s *shelf) agrees(problem string) {
	s.Helper()
	got, err := search.Check(s.Context(), s)
	if err != nil || (len(got) == 0) != (problem == "") || len(got) > 0 && !strings.HasPrefix(got[0], problem) {
		s.Errorf("problems %q, %v", got, err)
	}
}

// Another replica on the same database finds what was committed before it asks.
func TestAnotherReplicaFindsByMeaning(t *testing.T) {
	dir := t.TempDir()
	a, b := openShelf(t, dir), openShelf(t, dir)
	e := &words{name: "words", dims: 32}
	d := a.add(a.spaces(e), sentences(0, 4)...)
	if got := b.nearest(e, "Record2 tells", 1); len(got) != 1 || got[0].DocumentID != d.ID {
		t.Errorf("found %+v", got)
	}
}

// Another embedder's space is built beside the one that serves, also by what is uploaded meanwhile; it serves when it is
// complete, and one command goes back.
func TestAnotherEmbedder(t *testing.T) {
	s := openShelf(t, t.TempDir())
	old, fresh := &words{name: "old", dims: 16}, &words{name: "fresh", dims: 24}
	serving := func(x *search.Spaces, want embed.Embedder) {
		t.Helper()
		got, degraded, err := x.Serving(t.Context())
		if err != nil || degraded != "" || got != want {
			t.Errorf("serves %v, %q, %v", got, degraded, err)
		}
	}
	x := s.spaces(old)
	s.add(x, sentences(0, 3)...)
	serving(x, old)

	x = s.spaces(fresh, old)
	serving(x, old)
	d := s.add(x, sentences(10, 3)...) // goes to both
	for _, e := range []embed.Embedder{old, fresh} {
		if got := s.nearestOf(e, d); got != 3 {
			t.Errorf("%d passages of a new document are in the space of %s", got, e.Space().ID())
		}
	}
	fresh.fail = errors.New("no answer")
	if err := x.Fill(t.Context()); err == nil {
		t.Error("filled without vectors")
	}
	serving(x, old)
	fresh.fail = nil
	if err := x.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(x, fresh)
	s.nearest(fresh, "Record1 tells", 6)
	if name, err := x.Back(t.Context()); err != nil || name != old.Space().ID() {
		t.Fatal(name, err)
	}
	serving(x, old)
	if _, err := x.Back(t.Context()); fault.Of(err).Code != "no_previous_space" {
		t.Errorf("went back twice: %v", err)
	}
	x = s.spaces(fresh, old) // the next start
	if err := x.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(x, old)

	x = s.spaces(nil) // an embedder that is gone
	if got, degraded, err := x.Serving(t.Context()); got != nil || degraded != "embedder_missing" || err != nil {
		t.Errorf("serves %v, %q, %v", got, degraded, err)
	}
	if d := s.add(x, sentences(20, 2)...); d.Status != document.Completed {
		t.Errorf("without an embedder: %+v", d)
	}
	x = s.spaces(old)
	if err := x.Fill(t.Context()); err != nil { // it catches up
		t.Fatal(err)
	}
	list, err := x.List(t.Context())
	for _, i := range list {
		if i.State == search.SpaceServing && (i.Documents != 3 || i.Of != 3) {
			t.Errorf("after catching up: %+v", i)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// nearestOf counts the passages of a document that a space has.
func (s *shelf) nearestOf(e embed.Embedder, d document.Document) int {
	s.Helper()
	q, err := e.Query(s.Context(), "Record10")
	if err != nil {
		s.Fatal(err)
	}
	found, err := search.NewEmbedded(s, 64<<20).Vector(s.Context(), search.Query{Workspace: ident.Local, Vector: q.Values, Space: e.Space().ID(), K: 100,
		Documents: map[string]bool{d.ID: true}})
	if err != nil {
		s.Fatal(err)
	}
	return len(found.Candidates)
}

// An embedder that does not answer leaves the document found by words, and failed with a reason; a second try completes it.
func TestEmbedderFails(t *testing.T) {
	s := openShelf(t, t.TempDir())
	e := &words{name: "words", dims: 16, fail: fault.New(fault.Invalid, "embedder_refused", "The embedder refused the texts.")}
	x := s.spaces(e)
	d := s.add(x, sentences(0, 3)...)
	if d.Status != document.Failed || d.ErrorCode != "embedder_refused" || d.Stage != document.Indexed || d.Generation == 0 {
		t.Fatalf("%+v", d)
	}
	e.fail = nil
	if _, started, err := s.Process(t.Context(), ident.Local, d.ID, false, "", nil); err != nil || !started {
		t.Fatal(started, err)
	}
	s.add(x, sentences(5, 1)...) // lets the queue run
	if d, err := s.Document(t.Context(), ident.Local, d.ID); err != nil || d.Status != document.Completed || s.nearestOf(e, d) != d.PassageCount {
		t.Errorf("%+v, %v", d, err)
	}
}

// Vectors that cannot be are refused, and those of texts that the embedder does not know are left out.
func TestVectorsThatCannotBe(t *testing.T) {
	passages := []document.Passage{{ID: ident.New(), DocumentID: ident.New(), Text: "a"}, {ID: ident.New(), DocumentID: ident.New(), Text: "b", HeadingPath: []string{"H"}}}
	for name, tt := range map[string]struct {
		vectors [][]float32
		want    error
		kept    int
	}{
		"zero is left out":  {[][]float32{{0, 0}, {1, 0}}, nil, 1},
		"too few":           {[][]float32{{1, 0}}, errors.ErrUnsupported, 0},
		"wrong dimensions":  {[][]float32{{1, 0}, {1}}, vector.ErrDims, 0},
		"not of length one": {[][]float32{{1, 0}, {3, 4}}, vector.ErrNotUnit, 0},
	} {
		t.Run(name, func(t *testing.T) {
			kept := 0
			segments, err := search.EncodeMeaning(t.Context(), fixed(tt.vectors), passages, func(rows []search.VectorRow) error {
				kept += len(rows)
				return nil
			})
			if (err != nil) != (tt.want != nil) || tt.want != nil && tt.want != errors.ErrUnsupported && !errors.Is(err, tt.want) {
				t.Errorf("error %v", err)
			}
			if err == nil && (kept != tt.kept || len(segments) != 1 || segments[0].Passages != tt.kept) {
				t.Errorf("kept %d, segments %+v", kept, segments)
			}
		})
	}
}

// fixed gives the same vectors for all texts.
type fixed [][]float32

func (fixed) Space() embed.Space { return embed.Space{Embedder: "fixed", Version: "v1", Dims: 2} }

func (f fixed) Query(context.Context, string) (embed.Vector, error) {
	return embed.Vector{Values: f[0]}, nil
}

func (f fixed) Passages(context.Context, []string) (list []embed.Vector, err error) {
	for _, v := range f {
		list = append(list, embed.Vector{Values: v, Known: 1})
	}
	return list, nil
}

// TestReindexAfterAPartOfTheProcessing: a document that was processed again from its passages on has them from an earlier
// generation than its index.
func TestReindexAfterAPartOfTheProcessing(t *testing.T) {
	s := openShelf(t, t.TempDir())
	x := s.spaces(&words{name: "old", dims: 8})
	d := s.add(x, sentences(0, 3)...)
	if _, started, err := s.Process(t.Context(), ident.Local, d.ID, true, document.Indexed, nil); err != nil || !started {
		t.Fatal(started, err)
	}
	stop := s.work(x)
	s.ended(d.ID)
	stop()
	if err := x.Rebuild(t.Context(), true, true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := x.Fill(ctx); err != nil {
		t.Fatal(err)
	}
	s.agrees("")
}

// A damaged segment is left out, named in the answer, and built again from the passages; nothing else is needed.
func TestDamageIsMended(t *testing.T) {
	s := openShelf(t, t.TempDir())
	e := &words{name: "words", dims: 32}
	x := s.spaces(e)
	var docs []string
	for i := range 3 {
		docs = append(docs, s.add(x, sentences(i*10, 4)...).ID)
	}
	log := slog.New(slog.DiscardHandler)
	damage := func(space string) {
		t.Helper()
		seen, err := s.Segments(t.Context(), ident.Local, space)
		if err != nil {
			t.Fatal(err)
		}
		bad := search.Segment{ID: ident.New(), Space: space, Passages: 12, Groups: docs}
		if err := s.PutSegmentSlice(t.Context(), ident.Local, bad.ID, 0, []byte("no segment at all")); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Replace(t.Context(), search.Crowd{Workspace: ident.Local, Space: space}, seen, []search.Segment{bad}); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	ask := func(engine *search.Embedded, space string) (search.Found, error) {
		q := search.Query{Workspace: ident.Local, Terms: []lexical.Term{{Text: "tell", Weight: 1}}, K: 20}
		if space == "" {
			return engine.Lexical(t.Context(), q)
		}
		v, err := e.Query(t.Context(), "tells about")
		if err != nil {
			t.Fatal(err)
		}
		q.Vector, q.Space = v.Values, space
		return engine.Vector(t.Context(), q)
	}
	for _, space := range []string{"", e.Space().ID()} {
		damage(space)
		s.agrees("index of ")
		if _, err := ask(search.NewEmbedded(s, 1<<20), space); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%q: without mending: %v", space, err)
		}
		engine := search.NewEmbedded(s, 1<<20).Mending(log)
		for _, want := range []string{"[index_damaged]", "[]"} {
			found, err := ask(engine, space)
			if got := fmt.Sprint(found.Degraded); err != nil || got != want || len(found.Candidates) != 0 {
				t.Errorf("%q: %d found, degraded %s, want %s, %v", space, len(found.Candidates), got, want, err)
			}
		}
		if err := x.Fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, err := ask(engine, space)
		if err != nil || len(found.Candidates) != 12 || found.Degraded != nil {
			t.Errorf("%q: built again: %d found, degraded %v, %v", space, len(found.Candidates), found.Degraded, err)
		}
		s.agrees("")
	}

	// A merge meets it first.
	damage("")
	if _, err := s.Delete(t.Context(), ident.Local, docs[0], false); err != nil {
		t.Fatal(err)
	}
	if err := search.NewMerger(s, log).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := ask(search.NewEmbedded(s, 1<<20), ""); err != nil || len(found.Candidates) != 8 {
		t.Errorf("after a merge: %d found, %v", len(found.Candidates), err)
	}
	s.agrees("")
}
