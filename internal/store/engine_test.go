package store_test

import (
	"testing"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// unfed lists what a generation lacks of a workspace, by document, with the generation of its passages.
func (l library) unfed(g search.EngineGeneration, ws ident.Workspace) map[string]int64 {
	l.Helper()
	list, err := l.Unfed(l.ctx, g, ws, "", 100)
	l.ok(err)
	m := map[string]int64{}
	for _, u := range list {
		m[u.DocumentID] = u.Generation
	}
	return m
}

func (l library) generations(engine string) (names []string) {
	l.Helper()
	list, err := l.EngineGenerations(l.ctx, engine)
	l.ok(err)
	for _, g := range list {
		name := g.Name
		if g.Serving {
			name += " serves"
		}
		names = append(names, name)
	}
	return names
}

// What an engine holds is known by document and generation: what it lacks, what is gone, what it refused, in each workspace by itself.
func TestWhatAnEngineLacks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		b := l.ready(l.mine, "b.md", lines("Bea", 2))
		c := l.ready(l.foreign, "c.md", lines("Cid", 2))
		g := search.EngineGeneration{Engine: "cluster", Generation: search.Generation{Name: "g-1", Dims: 3}, Space: testSpace}
		l.ok(l.BuildEngine(l.ctx, g))
		same(t, "lacks", l.unfed(g, l.mine), map[string]int64{a.ID: 1, b.ID: 1})
		same(t, "lacks of the other", l.unfed(g, l.foreign), map[string]int64{c.ID: 1})
		lagging := func(passages int) []string {
			list, more, err := l.Lagging(l.ctx, g, l.mine, passages)
			l.ok(err)
			if more {
				list = append(list, "more")
			}
			return list
		}
		same(t, "newest first", lagging(100), []string{b.ID, a.ID})
		same(t, "up to two passages", lagging(2), []string{b.ID, "more"})

		started, err := l.StartSync(l.ctx, l.mine, "cluster", time.Minute)
		l.ok(err)
		again, err := l.StartSync(l.ctx, l.mine, "cluster", time.Minute)
		l.ok(err)
		if !started || again {
			t.Error("started", started, again)
		}
		_, lease, ok, err := l.Claim(l.ctx, "worker", []runs.Kind{runs.KindSync})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		l.ok(l.PutFed(l.ctx, lease, g, []search.Fed{{DocumentID: a.ID, IDs: []string{"p", "q"}}}))
		same(t, "after the intent", l.unfed(g, l.mine), map[string]int64{a.ID: 1, b.ID: 1})
		const big = 1<<64 - 2 // sums wrap around
		l.ok(l.PutFed(l.ctx, lease, g, []search.Fed{
			{DocumentID: a.ID, Generation: 1, Meant: true, Passages: 3, Digest: big, IDs: []string{"p"}},
			{DocumentID: b.ID, Generation: 1, Meant: true, Passages: 1, Digest: 5, IDs: []string{"r"}, Refused: "too odd"},
		}))
		same(t, "refused ones are sent again", l.unfed(g, l.mine), map[string]int64{b.ID: 1})
		same(t, "and searched at home", lagging(100), []string{b.ID})
		unfed, refused, err := l.EngineBacklog(l.ctx, g)
		if err != nil || unfed != 1 || refused != 1 { // that of the other workspace
			t.Error(unfed, refused, err)
		}
		workspaces, err := l.UnfedWorkspaces(l.ctx, g)
		l.ok(err)
		same(t, "workspaces", workspaces, []ident.Workspace{l.foreign})
		holdings, err := l.EngineHoldings(l.ctx, g)
		l.ok(err)
		same(t, "holdings", holdings, map[ident.Workspace]search.Holding{l.mine: {Passages: 4, Digest: 3}})

		if _, err := l.Delete(l.ctx, l.mine, a.ID, false); err != nil {
			t.Fatal(err)
		}
		list, err := l.Unfed(l.ctx, g, l.mine, "", 100)
		l.ok(err)
		same(t, "gone", list, []search.Unfed{{DocumentID: a.ID, Held: []string{"p"}}, {DocumentID: b.ID, Generation: 1, Meant: true, Held: []string{"r"}}})
		l.ok(l.PutFed(l.ctx, lease, g, []search.Fed{{DocumentID: a.ID}}))
		same(t, "forgotten", l.unfed(g, l.mine), map[string]int64{b.ID: 1})
		l.ok(l.Refeed(l.ctx, g, l.mine))
		same(t, "to be sent again", lagging(100), []string{b.ID})

		l.ok(l.End(l.ctx, lease, runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "engine_refused", Detail: "odd"}}))
		l.refused(l.PutFed(l.ctx, lease, g, []search.Fed{{DocumentID: b.ID, Generation: 1}}), runs.ErrFenced.Kind, "fenced")
		if soon, err := l.StartSync(l.ctx, l.mine, "cluster", time.Minute); err != nil || soon {
			t.Error("a run begins right after one that failed", err)
		}
		if later, err := l.StartSync(l.ctx, l.mine, "cluster", 0); err != nil || !later {
			t.Error("no run begins after a rest", err)
		}
	})
}

// One generation serves while another is built; what is not built any more is forgotten with all that it holds.
func TestGenerationsOfAnEngine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		build := func(engine, name, space string) {
			t.Helper()
			l.ok(l.BuildEngine(l.ctx, search.EngineGeneration{Engine: engine, Generation: search.Generation{Name: name, Dims: 3}, Space: space}))
		}
		build("cluster", "g-1", testSpace)
		build("cluster", "g-2", testSpace) // another replica had the same thought
		build("other", "o-1", testSpace)
		same(t, "one is built", l.generations("cluster"), []string{"g-1"})
		l.ok(l.ServeEngine(l.ctx, "cluster", "g-1"))
		build("cluster", "g-3", "next/v1/3")
		build("cluster", "g-4", "third/v1/3")
		same(t, "beside it", l.generations("cluster"), []string{"g-1 serves", "g-4"})
		l.ok(l.ServeEngine(l.ctx, "cluster", "g-3")) // too late
		same(t, "too late", l.generations("cluster"), []string{"g-1 serves", "g-4"})
		l.ok(l.ServeEngine(l.ctx, "cluster", "g-4"))
		same(t, "switched", l.generations("cluster"), []string{"g-4 serves"})
		same(t, "the other engine", l.generations("other"), []string{"o-1"})
	})
}

// A library has a name of its own, and keeps it.
func TestInstallation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		l.ok(l.Recover(l.ctx))
		first, err := l.Installation(l.ctx)
		l.ok(err)
		l.ok(l.Recover(l.ctx))
		again, err := l.Installation(l.ctx)
		l.ok(err)
		if first == "" || again != first {
			t.Errorf("%q, then %q", first, again)
		}
	})
}
