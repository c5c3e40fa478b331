package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
)

// cluster is a search engine outside that is strict, and goes down, loses its data and refuses passages when it is told to.
type cluster struct {
	mu      sync.Mutex
	indexes map[string]map[string]search.Operation // by generation and "workspace passage"
	serving string
	down    error
	refuse  func(search.Operation) bool
	die     func() // after a write, before its answer
	applied int
}

func newCluster() *cluster { return &cluster{indexes: map[string]map[string]search.Operation{}} }

func (c *cluster) do(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != nil {
		return c.down
	}
	return f()
}

var errEmpty = fault.New(fault.Unavailable, "engine_empty", "It holds nothing.")

func (c *cluster) Info(context.Context) (search.Info, error) {
	return search.Info{Engine: "cluster"}, c.do(func() error {
		if c.indexes[c.serving] == nil {
			return errEmpty
		}
		return nil
	})
}

func (c *cluster) Ensure(_ context.Context, g search.Generation) error {
	return c.do(func() error {
		if c.indexes[g.Name] == nil {
			c.indexes[g.Name] = map[string]search.Operation{}
		}
		return nil
	})
}

func (c *cluster) Apply(_ context.Context, generation string, ws ident.Workspace, ops []search.Operation) (failed []search.Rejected, err error) {
	err = c.do(func() error {
		index := c.indexes[generation]
		if index == nil {
			return errEmpty
		}
		for _, o := range ops {
			key := string(ws) + " " + o.PassageID
			switch {
			case o.Delete:
				delete(index, key)
			case c.refuse != nil && c.refuse(o):
				failed = append(failed, search.Rejected{PassageID: o.PassageID, Reason: "it is too odd"})
			default:
				index[key] = o
			}
		}
		c.applied++
		if c.die != nil {
			c.die()
			return fault.New(fault.Unavailable, "engine_timeout", "It did not answer.")
		}
		return nil
	})
	return failed, err
}

func (c *cluster) Swap(_ context.Context, generation string) error {
	return c.do(func() error {
		if c.indexes[generation] == nil {
			return errEmpty
		}
		c.serving = generation
		for g := range c.indexes {
			if g != generation {
				delete(c.indexes, g)
			}
		}
		return nil
	})
}

func (c *cluster) Held(_ context.Context, generation string, ws ident.Workspace) (h search.Holding, err error) {
	return h, c.do(func() error {
		for key, o := range c.indexes[generation] {
			if strings.HasPrefix(key, string(ws)+" ") {
				h.Passages++
				h.Digest += o.Hash
			}
		}
		return nil
	})
}

// Lexical finds passages with a term, as often as they have it.
func (c *cluster) Lexical(_ context.Context, q search.Query) (found search.Found, err error) {
	return found, c.do(func() error {
		if c.indexes[c.serving] == nil {
			return errEmpty
		}
		for key, o := range c.indexes[c.serving] {
			if !strings.HasPrefix(key, string(q.Workspace)+" ") || q.Documents != nil && !q.Documents[o.DocumentID] {
				continue
			}
			n := 0.0
			for _, t := range q.Terms {
				if slices.Contains(o.Terms, t.Text) {
					n++
				}
			}
			if n > 0 {
				found.Candidates = append(found.Candidates, search.Candidate{PassageID: o.PassageID, DocumentID: o.DocumentID, Score: n, Coverage: n / float64(len(q.Terms))})
			}
		}
		found.Total = len(found.Candidates)
		return nil
	})
}

func (c *cluster) Vector(_ context.Context, q search.Query) (search.Found, error) {
	return search.Found{}, fault.New(fault.Invalid, "semantic_unavailable", "It has no vectors.")
}

func (c *cluster) Close() error { return nil }

func (c *cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// fed is a shelf whose documents go to a cluster.
type fed struct {
	*shelf
	*cluster
	spaces *search.Spaces
	feed   *search.Feed
	router *search.Router
}

// feeds opens a library whose documents go to a cluster, and keeps it in step until the test ends.
func feeds(t *testing.T, c *cluster) *fed {
	t.Helper()
	s := openShelf(t, t.TempDir())
	x := s.spaces(&words{name: "old", dims: 8})
	named := []search.Named{{Name: "cluster", Engine: c}}
	f := &fed{shelf: s, cluster: c, spaces: x, feed: search.NewFeed(s, x, named, slog.New(slog.DiscardHandler))}
	f.router = search.NewRouter(named, search.NewEmbedded(s, 1<<20), search.RouterOptions{Lag: f.feed, Failures: 1000})
	w := runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Handlers: map[runs.Kind]runs.Handler{runs.KindSync: {Do: f.feed.Handle, Limit: 2}},
		Ended: func(runs.Run, runs.Status) { f.feed.Nudge() }})
	w.Start()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.feed.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		done, stop := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer stop()
		w.Stop(done)
	})
	return f
}

// agree waits until the cluster holds what it should, and serves.
func (f *fed) agree() {
	f.Helper()
	var problems []string
	for range 400 {
		backlogs, err := f.feed.Backlogs(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		problems, err = f.feed.Check(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		if b := backlogs["cluster"]; len(problems) == 0 && b.Pending == 0 && !b.Building {
			return
		}
		f.feed.Nudge()
		time.Sleep(25 * time.Millisecond)
	}
	f.Fatal("the cluster does not hold what it should: ", problems)
}

func (f *fed) holds() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.indexes[f.serving])
}

// asks searches by words and tells who answered.
func (f *fed) asks(text string) (documents []string, engine string) {
	f.Helper()
	a, err := search.New(f.Store, f.router, f.spaces).Search(f.Context(), search.Question{Workspace: ident.Local, Text: text, TopK: 10, Mode: search.Lexical})
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range a.Hits {
		documents = append(documents, h.Passage.DocumentID)
	}
	return documents, a.Engine
}

func (f *fed) delete(d document.Document) {
	f.Helper()
	if _, err := f.Store.Delete(f.Context(), ident.Local, d.ID, false); err != nil {
		f.Fatal(err)
	}
}

func (f *fed) syncs() (all, failed int) {
	f.Helper()
	list, _, err := f.Runs(f.Context(), ident.Local, runs.Filter{Kind: runs.KindSync, Limit: 100})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range list {
		if r.Status == runs.Failed {
			failed++
		}
	}
	return len(list), failed
}

// TestEngineIsKeptInStep: what is added, processed again and deleted arrives; until then the embedded engine answers for it.
func TestEngineIsKeptInStep(t *testing.T) {
	f := feeds(t, newCluster())
	first := f.add(f.spaces, sentences(0, 3)...)
	f.agree()
	if documents, engine := f.asks("number 1"); engine != "cluster" || !slices.Contains(documents, first.ID) {
		t.Errorf("found %v by %s", documents, engine)
	}
	f.set(func() { f.down = fault.New(fault.Unavailable, "engine_refused", "down") })
	second := f.add(f.spaces, sentences(3, 2)...)
	third := f.add(f.spaces, sentences(5, 2)...)
	f.delete(third)
	if documents, engine := f.asks("number 4"); engine != "embedded" || !slices.Contains(documents, second.ID) {
		t.Errorf("found %v by %s while the cluster is down", documents, engine)
	}
	f.set(func() { f.down = nil })
	if documents, _ := f.asks("number 4"); !slices.Contains(documents, second.ID) {
		t.Errorf("found %v as soon as it is back", documents)
	}
	f.agree()
	f.delete(first)
	if documents, _ := f.asks("number 1"); slices.Contains(documents, first.ID) {
		t.Error("a deleted document is found")
	}
	f.agree()
	if n := f.holds(); n != 2 {
		t.Errorf("holds %d passages of 2", n)
	}
}

// TestEngineHoldsWhatIsProcessedAgain: a document's new passages take the place of its old ones.
func TestEngineHoldsWhatIsProcessedAgain(t *testing.T) {
	f := feeds(t, newCluster())
	d := f.add(f.spaces, sentences(0, 3)...)
	f.agree()
	if _, started, err := f.Process(t.Context(), ident.Local, d.ID, true, document.Chunked, nil); err != nil || !started {
		t.Fatal(started, err)
	}
	stop := f.work(f.spaces)
	f.ended(d.ID)
	stop()
	f.agree()
	if n := f.holds(); n != 3 {
		t.Errorf("holds %d passages of 3", n)
	}
}

// TestWriteWithoutAnAnswer: what an engine took although its answer was lost is known, and goes when the document goes.
func TestWriteWithoutAnAnswer(t *testing.T) {
	c := newCluster()
	f := feeds(t, c)
	f.agree()
	c.set(func() { c.die = func() { c.die, c.down = nil, fault.New(fault.Unavailable, "engine_refused", "down") } })
	d := f.add(f.spaces, sentences(0, 3)...)
	for c.appliedOnce() == 0 {
		f.feed.Nudge()
		time.Sleep(5 * time.Millisecond)
	}
	f.delete(d)
	c.set(func() { c.down = nil })
	f.agree()
	if n := f.holds(); n != 0 {
		t.Errorf("holds %d passages of a document that is gone", n)
	}
}

func (c *cluster) appliedOnce() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

// TestRefusedPassages: the rest arrives, the run fails with the reason, what was refused is found all the same, and a requeued
// run sends it again.
func TestRefusedPassages(t *testing.T) {
	c := newCluster()
	c.refuse = func(o search.Operation) bool { return slices.Contains(o.Terms, "2") }
	f := feeds(t, c)
	d := f.add(f.spaces, sentences(0, 4)...)
	f.agree()
	if n := f.holds(); n != 3 {
		t.Errorf("holds %d passages of 3", n)
	}
	b, err := f.feed.Backlogs(t.Context())
	if err != nil || b["cluster"].Dead != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	if documents, _ := f.asks("number 2"); !slices.Contains(documents, d.ID) {
		t.Errorf("found %v", documents)
	}
	list, _, err := f.Runs(t.Context(), ident.Local, runs.Filter{Kind: runs.KindSync, Status: runs.Failed, Limit: 10})
	if err != nil || len(list) != 1 || list[0].Failure.Code != "engine_refused" || !strings.Contains(list[0].Failure.Detail, "too odd") {
		t.Fatalf("%+v, %v", list, err)
	}
	c.set(func() { c.refuse = nil })
	if _, err := f.Requeue(t.Context(), ident.Local, list[0].ID, nil); err != nil {
		t.Fatal(err)
	}
	for range 400 {
		if f.holds() == 4 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.agree()
	if n := f.holds(); n != 4 {
		t.Errorf("holds %d passages of 4 after the requeue", n)
	}
}

// TestEngineLosesItsIndex: it is built again, beside the embedded engine that answers.
func TestEngineLosesItsIndex(t *testing.T) {
	c := newCluster()
	f := feeds(t, c)
	d := f.add(f.spaces, sentences(0, 3)...)
	f.agree()
	c.set(func() { clear(c.indexes) })
	if documents, engine := f.asks("number 1"); engine != "embedded" || !slices.Contains(documents, d.ID) {
		t.Errorf("found %v by %s", documents, engine)
	}
	if err := f.feed.Rebuild(t.Context(), "cluster"); err != nil {
		t.Fatal(err)
	}
	f.agree()
	if n := f.holds(); n != 3 {
		t.Errorf("holds %d passages of 3", n)
	}
	err := f.feed.Rebuild(t.Context(), "clutter")
	if k := fault.Of(err); err == nil || k.Code != "engine_not_found" || !strings.Contains(k.Say, "embedded, cluster") {
		t.Error(err)
	}
}

// TestAnotherSpaceIsBuiltBeside: another embedder's vectors get a generation of their own, and the old one answers until it is complete.
func TestAnotherSpaceIsBuiltBeside(t *testing.T) {
	c := newCluster()
	f := feeds(t, c)
	f.add(f.spaces, sentences(0, 3)...)
	f.agree()
	old := c.serving
	next := &words{name: "new", dims: 16}
	x := search.NewSpaces(f.Store, next, nil, slog.New(slog.DiscardHandler))
	if err := x.Offer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 400 {
		f.feed.Nudge()
		time.Sleep(10 * time.Millisecond)
		if f.now() != old {
			break
		}
	}
	f.agree()
	if f.now() == old || f.holds() != 3 {
		t.Errorf("%s serves with %d passages", f.now(), f.holds())
	}
}

func (c *cluster) now() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serving
}

// TestEngineThatIsNotConfiguredAnyMore: its run says so.
func TestEngineThatIsNotConfiguredAnyMore(t *testing.T) {
	f := feeds(t, newCluster())
	if started, err := f.StartSync(t.Context(), ident.Local, "gone", time.Minute); err != nil || !started {
		t.Fatal(started, err)
	}
	if again, err := f.StartSync(t.Context(), ident.Local, "gone", time.Minute); err != nil || again {
		t.Error("a second run beside the first", err)
	}
	for range 400 {
		if _, failed := f.syncs(); failed == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(errors.New("the run did not fail"))
}
