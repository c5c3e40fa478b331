package search_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// index is an engine that does as it is told, and can be asked how often it was.
type index struct {
	search.Engine // the rest is not called

	mu     sync.Mutex
	do     func(ctx context.Context, q search.Query) (search.Found, error)
	info   func(ctx context.Context) error // nil: well
	asked  int
	looked int
	last   search.Query
}

func (i *index) set(do func(ctx context.Context, q search.Query) (search.Found, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.do = do
}

func (i *index) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.asked
	i.asked = 0
	return n
}

func (i *index) Vector(ctx context.Context, q search.Query) (search.Found, error) {
	i.mu.Lock()
	i.asked++
	i.last = q
	do := i.do
	i.mu.Unlock()
	return do(ctx, q)
}

func (i *index) Lexical(ctx context.Context, q search.Query) (search.Found, error) {
	return i.Vector(ctx, q)
}

func (i *index) Info(ctx context.Context) (search.Info, error) {
	i.mu.Lock()
	i.looked++
	info := i.info
	i.mu.Unlock()
	if info == nil {
		return search.Info{}, nil
	}
	return search.Info{}, info(ctx)
}

func (i *index) Known(context.Context, ident.Workspace, string) (float64, error) { return 0.9, nil }

type answer = func(context.Context, search.Query) (search.Found, error)

// finds answers with passages, best first.
func finds(ids ...string) answer {
	return func(context.Context, search.Query) (search.Found, error) {
		f := search.Found{Total: len(ids)}
		for n, id := range ids {
			f.Candidates = append(f.Candidates, search.Candidate{PassageID: id, DocumentID: "d-" + id, Score: float64(10 - n)})
		}
		return f, nil
	}
}

func fails(err error) answer {
	return func(context.Context, search.Query) (search.Found, error) { return search.Found{}, err }
}

func hangs(ctx context.Context, _ search.Query) (search.Found, error) {
	<-ctx.Done()
	return search.Found{}, fault.New(fault.Unavailable, "elasticsearch_timeout", "It did not answer in time.").Because(ctx.Err())
}

func unavailable(code string, after time.Duration) error {
	f := fault.New(fault.Unavailable, code, "Not now.")
	f.RetryAfter = after
	return fmt.Errorf("search it: %w", f)
}

// three gives the usual line: elasticsearch, chroma, and the embedded one that always finds "home".
func three(o search.RouterOptions) (r *search.Router, elastic, chroma, home *index) {
	elastic, chroma, home = &index{do: finds("e")}, &index{do: finds("c")}, &index{do: finds("home")}
	return search.NewRouter([]search.Named{{Name: "elasticsearch", Engine: elastic}, {Name: "chroma", Engine: chroma}}, home, o), elastic, chroma, home
}

var (
	meaning = search.Query{Workspace: "w", Vector: []float32{1}, Space: "s", K: 10}
	words   = search.Query{Workspace: "w", K: 10}
)

func ids(f search.Found) []string {
	var list []string
	for _, c := range f.Candidates {
		list = append(list, c.PassageID)
	}
	return list
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestFallsBack(t *testing.T) {
	invalid := fault.Bad("body.query", "bad_vector", "It has no direction.")
	rows := []struct {
		name            string
		elastic, chroma answer
		engine          string
		degraded        []string
		atMost          time.Duration
	}{
		{name: "all is well", elastic: finds("e"), chroma: finds("c"), engine: "elasticsearch"},
		{name: "refuses", elastic: fails(unavailable("elasticsearch_refused", 0)), chroma: finds("c"), engine: "chroma", degraded: []string{"elasticsearch_refused"}},
		{name: "429", elastic: fails(unavailable("elasticsearch_busy", time.Second)), chroma: finds("c"), engine: "chroma", degraded: []string{"elasticsearch_busy"}},
		{name: "both", elastic: fails(unavailable("elasticsearch_partial", 0)), chroma: fails(unavailable("chroma_busy", 0)), engine: "embedded", degraded: []string{"elasticsearch_partial", "chroma_busy"}},
		{name: "hangs, and nobody else has the time", elastic: hangs, chroma: finds("c"), engine: "embedded", degraded: []string{"elasticsearch_timeout"}, atMost: 250 * time.Millisecond},
		{name: "a code without the name", elastic: fails(context.DeadlineExceeded), chroma: finds("c"), engine: "chroma", degraded: []string{"elasticsearch_timeout"}},
		{name: "not filled", elastic: fails(unavailable("engine_empty", 0)), chroma: finds("c"), engine: "chroma", degraded: []string{"elasticsearch_building"}},
		{name: "out of order", elastic: fails(errors.New("400")), chroma: finds("c"), engine: "chroma", degraded: []string{"elasticsearch_failed"}},
		{name: "not for it", elastic: fails(invalid), chroma: finds("c"), engine: "chroma"},
		{name: "less than it should", elastic: func(ctx context.Context, q search.Query) (search.Found, error) {
			f, err := finds("e")(ctx, q)
			f.Degraded = []string{"elasticsearch_slow"}
			return f, err
		}, chroma: finds("c"), engine: "elasticsearch", degraded: []string{"elasticsearch_slow"}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router, elastic, chroma, _ := three(search.RouterOptions{})
				elastic.set(r.elastic)
				chroma.set(r.chroma)
				for _, leg := range []func(context.Context, search.Query) (search.Found, error){router.Vector, router.Lexical} {
					begin, q := time.Now(), meaning
					f, err := leg(t.Context(), q)
					if took := time.Since(begin); err != nil || took > r.atMost {
						t.Fatalf("%v after %v", err, took)
					}
					same(t, "engine", r.engine, f.Engine)
					same(t, "degraded", r.degraded, f.Degraded)
					if r.engine != "embedded" {
						same(t, "known", 0.9, f.Known)
					}
				}
			})
		})
	}
}

// The deadline of the caller counts, and that it goes says nothing of the engine.
func TestCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, elastic, _, _ := three(search.RouterOptions{})
		elastic.set(hangs)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if _, err := router.Vector(ctx, meaning); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("late: %v", err)
			}
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			if _, err := router.Vector(ctx, meaning); !errors.Is(err, context.Canceled) {
				t.Fatalf("gone: %v", err)
			}
		}
		if s := router.Status()[0]; s.State != search.EngineServing || s.Error != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, elastic, _, _ := three(search.RouterOptions{})
		ask := func(engine string, times int, degraded ...string) {
			t.Helper()
			f, err := router.Vector(t.Context(), meaning)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "engine", engine, f.Engine)
			same(t, "degraded", degraded, f.Degraded)
			if n := elastic.count(); n != times {
				t.Errorf("asked %d times, not %d", n, times)
			}
		}
		state := func(want search.EngineState) {
			t.Helper()
			if s := router.Status()[0]; s.State != want {
				t.Errorf("%+v is not %s", s, want)
			}
		}
		elastic.set(hangs)
		for range 3 {
			state(search.EngineServing)
			ask("embedded", 1, "elasticsearch_timeout")
		}
		state(search.EngineDegraded)
		ask("chroma", 0, "elasticsearch_timeout")
		if i, err := router.Info(t.Context()); err != nil || i.Engine != "chroma" {
			t.Errorf("first is %s, %v", i.Engine, err)
		}

		time.Sleep(3 * time.Second) // one call tries again, others do not wait for it
		var side sync.WaitGroup
		side.Go(func() { router.Vector(t.Context(), meaning) })
		synctest.Wait()
		if n := elastic.count(); n != 1 {
			t.Errorf("%d probes", n)
		}
		ask("chroma", 0, "elasticsearch_timeout")
		side.Wait()
		ask("chroma", 0, "elasticsearch_timeout")

		time.Sleep(3 * time.Second) // the caller of the probe goes, so nothing is known
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		router.Vector(ctx, meaning)
		cancel()
		elastic.count()
		ask("chroma", 0, "elasticsearch_timeout")

		time.Sleep(3 * time.Second)
		elastic.set(finds("e"))
		ask("elasticsearch", 1)
		state(search.EngineServing)

		// Failures count in a row only.
		for range 5 {
			elastic.set(fails(unavailable("elasticsearch_refused", 0)))
			ask("chroma", 1, "elasticsearch_refused")
			ask("chroma", 1, "elasticsearch_refused")
			elastic.set(finds("e"))
			ask("elasticsearch", 1)
		}

		// Who asks to be left alone is left alone that long.
		elastic.set(fails(unavailable("elasticsearch_busy", 20*time.Second)))
		ask("chroma", 1, "elasticsearch_busy")
		elastic.set(finds("e"))
		time.Sleep(19 * time.Second)
		ask("chroma", 0, "elasticsearch_busy")
		time.Sleep(time.Second)
		ask("elasticsearch", 1)
	})
}

// Chroma has no lexical leg: that is no fault, does not hide faults of the other leg, and is not asked again.
func TestVectorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chroma, home := &index{}, &index{do: finds("home")}
		router := search.NewRouter([]search.Named{{Name: "chroma", Engine: chroma}}, home, search.RouterOptions{})
		for n := range 4 {
			chroma.set(fails(fault.Bad("body.mode", "lexical_unavailable", "Vectors only.")))
			f, err := router.Lexical(t.Context(), words)
			if asked := chroma.count(); err != nil || f.Engine != "embedded" || f.Degraded != nil || asked != max(0, 1-n) {
				t.Errorf("%+v, %v, asked %d times", f, err, asked)
			}
			chroma.set(fails(unavailable("chroma_refused", 0)))
			if f, err := router.Vector(t.Context(), meaning); err != nil || f.Engine != "embedded" || len(f.Degraded) != 1 {
				t.Errorf("%+v, %v", f, err)
			}
			chroma.count()
		}
		if s := router.Status()[0]; s.State != search.EngineDegraded || s.Error != "chroma_refused" {
			t.Errorf("%+v", s)
		}
		q := meaning
		q.Space = "" // no embedder: nobody needs to be asked
		if f, err := router.Vector(t.Context(), q); err != nil || f.Engine != "embedded" || f.Degraded != nil {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lag := &lagging{}
		router, elastic, chroma, _ := three(search.RouterOptions{Lag: lag})
		ctx, cancel := context.WithCancel(t.Context())
		var side sync.WaitGroup
		side.Go(func() { router.Run(ctx) })
		at := func(want ...search.EngineState) {
			t.Helper()
			synctest.Wait()
			var got []search.EngineState
			for _, s := range router.Status() {
				got = append(got, s.State)
			}
			same(t, "states", append(want, search.EngineServing), got)
		}
		at(search.EngineServing, search.EngineServing)

		elastic.mu.Lock()
		elastic.info = func(ctx context.Context) error { <-ctx.Done(); return unavailable("elasticsearch_timeout", 0) }
		elastic.mu.Unlock()
		lag.set(nil, map[string]search.Backlog{"chroma": {Pending: 7, Dead: 1}})
		time.Sleep(15 * time.Second)
		at(search.EngineDegraded, search.EngineLagging)
		if s := router.Status()[1]; s.Queue != 7 || s.Dead != 1 {
			t.Errorf("%+v", s)
		}
		began := router.Status()[0].Since
		time.Sleep(time.Minute)
		if s := router.Status()[0]; s.Since != began || s.Error != "elasticsearch_timeout" {
			t.Errorf("%+v, not since %v", s, began)
		}

		elastic.mu.Lock()
		elastic.info = nil
		elastic.mu.Unlock()
		lag.set(nil, map[string]search.Backlog{"chroma": {Pending: 7, Building: true}})
		time.Sleep(10 * time.Second)
		at(search.EngineServing, search.EngineBuilding)
		lag.set(nil, nil)
		time.Sleep(2 * time.Second)
		at(search.EngineServing, search.EngineServing)

		// What a search found out is forgotten when it no longer holds.
		chroma.set(fails(unavailable("engine_empty", 0)))
		elastic.set(fails(unavailable("elasticsearch_refused", 0)))
		lag.set(&search.Behind{Space: "s"}, nil)
		router.Vector(t.Context(), meaning)
		at(search.EngineServing, search.EngineBuilding)
		time.Sleep(5 * time.Second)
		at(search.EngineServing, search.EngineServing)

		cancel()
		side.Wait()
		if elastic.looked < 3 {
			t.Errorf("looked %d times", elastic.looked)
		}
	})
}

// lagging tells of every engine the same.
type lagging struct {
	mu       sync.Mutex
	behind   *search.Behind
	backlogs map[string]search.Backlog
	err      error
}

func (l *lagging) set(b *search.Behind, backlogs map[string]search.Backlog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind, l.backlogs = b, backlogs
}

func (l *lagging) failing(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *lagging) Behind(_ context.Context, _ string, _ ident.Workspace, passages int) (search.Behind, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind == nil || l.err != nil || passages != 1000 {
		return search.Behind{}, l.err
	}
	return *l.behind, nil
}

func (l *lagging) Backlogs(context.Context) (map[string]search.Backlog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backlogs, l.err
}

func candidate(id, document string, score, coverage float64) search.Candidate {
	return search.Candidate{PassageID: id, DocumentID: document, Score: score, Coverage: coverage}
}

func has(list ...search.Candidate) answer {
	return func(context.Context, search.Query) (search.Found, error) {
		return search.Found{Candidates: list, Total: len(list), Known: 0.7}, nil
	}
}

func TestSearchesWhatAnEngineHasNotGot(t *testing.T) {
	old := []search.Candidate{candidate("a", "d1", 20, .8), candidate("stale", "new", 18, .7), candidate("b", "d2", 10, .4), candidate("c", "d3", 5, .4)}
	rows := []struct {
		name      string
		behind    search.Behind
		documents map[string]bool
		home      []search.Candidate
		leg       func(*search.Router) answer
		want      []search.Candidate
		degraded  []string
		total     int
		beside    map[string]bool // what is asked of the embedded engine; nil: nothing
	}{
		{name: "nothing", want: old, total: 4},
		{name: "one that answers as well", behind: search.Behind{Documents: []string{"new"}}, home: []search.Candidate{candidate("x", "new", 3, .8), candidate("y", "new", 1, .2)},
			want:  []search.Candidate{candidate("a", "d1", 20, .8), candidate("x", "new", 20, .8), candidate("b", "d2", 10, .4), candidate("c", "d3", 5, .4), candidate("y", "new", 5, .2)},
			total: 5, beside: map[string]bool{"new": true}},
		{name: "one that has little to say", behind: search.Behind{Documents: []string{"new"}}, home: []search.Candidate{candidate("x", "new", 3, .1)},
			want:  []search.Candidate{candidate("a", "d1", 20, .8), candidate("b", "d2", 10, .4), candidate("c", "d3", 5, .4), candidate("x", "new", 2.5, .1)},
			total: 4, beside: map[string]bool{"new": true}},
		{name: "deleted", behind: search.Behind{Documents: []string{"new"}},
			want: []search.Candidate{old[0], old[2], old[3]}, total: 3, beside: map[string]bool{"new": true}},
		{name: "too much", behind: search.Behind{Documents: []string{"new"}, More: true}, home: []search.Candidate{candidate("x", "new", 3, .1)},
			want:     []search.Candidate{candidate("a", "d1", 20, .8), candidate("b", "d2", 10, .4), candidate("c", "d3", 5, .4), candidate("x", "new", 2.5, .1)},
			degraded: []string{"elasticsearch_lagging"}, total: 4, beside: map[string]bool{"new": true}},
		{name: "others than are asked for", behind: search.Behind{Documents: []string{"new", "newer"}}, documents: map[string]bool{"newer": true, "d1": true},
			home: []search.Candidate{candidate("x", "newer", 3, .8)},
			want: []search.Candidate{old[0], candidate("x", "newer", 20, .8), old[1], old[2], old[3]}, total: 5, beside: map[string]bool{"newer": true}},
		{name: "none of those that are asked for", behind: search.Behind{Documents: []string{"newer"}}, documents: map[string]bool{"d1": true}, want: old, total: 4},
		{name: "cosines", behind: search.Behind{Documents: []string{"new"}, Space: "s"}, home: []search.Candidate{candidate("x", "new", 12, 0)},
			leg:  func(r *search.Router) answer { return r.Vector },
			want: []search.Candidate{old[0], candidate("x", "new", 12, 0), old[2], old[3]}, total: 4, beside: map[string]bool{"new": true}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			lag := &lagging{behind: &r.behind}
			router, elastic, _, home := three(search.RouterOptions{Lag: lag})
			elastic.set(has(old...))
			home.set(has(r.home...))
			leg, q := router.Lexical, words
			if r.leg != nil {
				leg, q = r.leg(router), meaning
			}
			q.Documents = r.documents
			f, err := leg(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "candidates", r.want, f.Candidates)
			same(t, "degraded", r.degraded, f.Degraded)
			same(t, "total", r.total, f.Total)
			same(t, "engine", "elasticsearch", f.Engine)
			same(t, "beside", r.beside, home.last.Documents)
			same(t, "for the engine", r.documents, elastic.last.Documents)
		})
	}
	t.Run("the engine finds nothing", func(t *testing.T) {
		router, elastic, _, home := three(search.RouterOptions{Lag: &lagging{behind: &search.Behind{Documents: []string{"new"}}}})
		elastic.set(finds())
		home.set(has(candidate("x", "new", 3, .1), candidate("y", "new", 2, .1)))
		f, err := router.Lexical(t.Context(), words)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "found", []string{"x", "y"}, ids(f))
		q := words
		q.K = 1
		if f, err = router.Lexical(t.Context(), q); err != nil || len(f.Candidates) != 1 {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("another space", func(t *testing.T) {
		router, elastic, _, _ := three(search.RouterOptions{Lag: &lagging{behind: &search.Behind{Space: "before"}}})
		f, err := router.Vector(t.Context(), meaning)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "engine", "embedded", f.Engine)
		same(t, "degraded", []string{"elasticsearch_building", "chroma_building"}, f.Degraded)
		if n := elastic.count(); n != 0 {
			t.Errorf("asked %d times", n)
		}
	})
	t.Run("no database", func(t *testing.T) {
		gone := errors.New("no database")
		lag := &lagging{err: gone}
		router, _, _, home := three(search.RouterOptions{Lag: lag})
		if _, err := router.Vector(t.Context(), meaning); !errors.Is(err, gone) {
			t.Error(err)
		}
		lag.failing(nil)
		lag.set(&search.Behind{Documents: []string{"new"}, Space: "s"}, nil)
		home.set(fails(gone))
		if _, err := router.Vector(t.Context(), meaning); !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}
