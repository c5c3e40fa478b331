package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestSegmentsShowTombstones(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		b := l.ready(l.mine, "b.md", lines("Bob", 4))
		l.ready(l.foreign, "c.md", lines("Cid", 5))
		infos, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		if len(infos) != 2 || infos[0].Passages != 3 || infos[1].Passages != 4 || infos[0].Dead != nil || infos[0].Bytes == 0 ||
			infos[0].Tokens == 0 {
			t.Errorf("got %+v", infos)
		}
		_, err = l.SegmentData(l.ctx, l.foreign, infos[0].ID)
		l.gone(err)
		crowded, err := l.Crowded(l.ctx, 2, 1<<20)
		if err != nil || len(crowded) != 0 {
			t.Errorf("crowded: %v, %v", crowded, err)
		}
		crowded, err = l.Crowded(l.ctx, 1, infos[0].Bytes)
		if err != nil || len(crowded) != 0 {
			t.Errorf("crowded by large segments: %v, %v", crowded, err)
		}
		languages, err := l.Languages(l.ctx, l.mine)
		if err != nil || !slices.Equal(languages, []string{"en"}) {
			t.Errorf("languages: %v, %v", languages, err)
		}
		crowded, err = l.Crowded(l.ctx, 1, 1<<20)
		if err != nil || !slices.Equal(crowded, []search.Crowd{{Workspace: l.mine}, {Workspace: l.mine, Space: testSpace}}) {
			t.Errorf("crowded: %v, %v", crowded, err)
		}
		_, err = l.Delete(l.ctx, l.mine, a.ID, false)
		l.ok(err)
		crowded, err = l.Crowded(l.ctx, 9, 1<<20)
		if err != nil || !slices.Equal(crowded, []search.Crowd{{Workspace: l.mine}, {Workspace: l.mine, Space: testSpace}}) {
			t.Errorf("crowded by a tombstone: %v, %v", crowded, err)
		}
		now, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		same(t, "dead", now[0].Dead, []string{a.ID})
		if len(now[1].Dead) != 0 || len(l.found(l.mine)) != 4 {
			t.Errorf("%s is hidden too", b.ID)
		}
	})
}

func TestLiveNamesAndOrders(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.ready(l.mine, "a.md", lines("Ann", 3))
		list, _, err := l.Passages(l.ctx, l.mine, d.ID, 0, 10)
		l.ok(err)
		var ids []string
		for _, p := range list {
			ids = append(ids, p.ID)
		}
		for range 300 { // more than one statement takes
			ids = append(ids, ident.New())
		}
		live, err := l.Live(l.ctx, l.mine, ids)
		l.ok(err)
		if len(live) != 3 {
			t.Fatalf("%d live passages", len(live))
		}
		same(t, "live", live[list[1].ID], search.Live{Passage: list[1], DocumentName: "a.md"})
		title := "What Ann says"
		_, err = l.Update(l.ctx, l.mine, d.ID, document.Patch{Title: &title})
		l.ok(err)
		live, err = l.Live(l.ctx, l.mine, ids)
		l.ok(err)
		if got := live[list[1].ID].DocumentName; got != title {
			t.Errorf("named %q", got)
		}
		if live, err := l.Live(l.ctx, l.mine, nil); err != nil || len(live) != 0 {
			t.Error(live, err)
		}
	})
}

func TestAdmitted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		add := func(name, kind string, tags ...string) string {
			f := l.file(l.mine, name, name)
			f.Type, f.Tags = kind, tags
			d, _, err := l.Add(l.ctx, f, false, false, nil)
			l.ok(err)
			return d.ID
		}
		a, b, c := add("a", "pdf", "x", "y"), add("b", "text", "y"), add("c", "text")
		_, _, err := l.Add(l.ctx, l.file(l.foreign, "d", "d"), false, false, nil)
		l.ok(err)
		english := l.ready(l.mine, "e", "e\n").ID
		hour := time.Hour
		for _, row := range []struct {
			name string
			ids  []string
			f    search.Filters
			want []string
		}{
			{"no filter", nil, search.Filters{}, []string{a, b, c, english}},
			{"among", []string{c, a, "nonsense"}, search.Filters{}, []string{a, c}},
			{"among none", []string{}, search.Filters{}, nil},
			{"types", nil, search.Filters{Types: []string{"pdf", "audio"}}, []string{a}},
			{"any of the tags", nil, search.Filters{Tags: []string{"x", "y"}}, []string{a, b}},
			{"tag and type", nil, search.Filters{Tags: []string{"y"}, Types: []string{"text"}}, []string{b}},
			{"language", []string{a, english}, search.Filters{Languages: []string{"en"}}, []string{english}},
			{"until then", nil, search.Filters{To: time.Now().Add(-hour)}, nil},
			{"since then", nil, search.Filters{From: time.Now().Add(-hour), To: time.Now().Add(hour)}, []string{a, b, c, english}},
			{"from tomorrow", nil, search.Filters{From: time.Now().Add(hour)}, nil},
		} {
			got, err := l.Admitted(l.ctx, l.mine, row.ids, row.f)
			l.ok(err)
			same(t, row.name, got, row.want)
		}
	})
}

func TestReplaceComparesWhatWasSeen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		l.ready(l.mine, "b.md", lines("Bob", 3))
		seen, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		write := func() search.Segment {
			sg := search.Segment{ID: ident.New(), Data: []byte("merged"), Groups: []string{a.ID}}
			l.ok(l.PutSegmentSlice(l.ctx, l.mine, sg.ID, 0, sg.Data))
			return sg
		}
		hidden := write()
		if _, err := l.SegmentData(l.ctx, l.mine, hidden.ID); err == nil {
			t.Error("a segment that is being written is seen")
		}
		_, err = l.Delete(l.ctx, l.mine, a.ID, false)
		l.ok(err)
		ok, err := l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, seen, []search.Segment{hidden})
		if ok || err != nil {
			t.Errorf("a merge brought a deleted document back: %t, %v", ok, err)
		}
		ok, err = l.Replace(l.ctx, search.Crowd{Workspace: l.foreign}, seen, nil)
		if ok || err != nil {
			t.Errorf("another workspace's segments were replaced: %t, %v", ok, err)
		}
		l.merge(l.mine)
		seen, err = l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		if len(seen) != 1 || len(seen[0].Dead) != 0 {
			t.Fatalf("segments %+v", seen)
		}
		old := slices.Clone(seen)
		l.merge(l.mine)
		ok, err = l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, old, nil)
		if ok || err != nil {
			t.Errorf("a segment that is gone was replaced: %t, %v", ok, err)
		}
		_, err = l.SegmentData(l.ctx, l.mine, old[0].ID)
		l.gone(err)
		l.sweep()
		l.sound(store.VerifyOptions{})
	})
}

func TestIncompleteSegmentsAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		for name, ords := range map[string][]int{"no slice": nil, "gap": {0, 2}, "another size": {0}} {
			sg := search.Segment{ID: ident.New(), Data: []byte("more than that")}
			for _, ord := range ords {
				l.ok(l.PutSegmentSlice(l.ctx, l.mine, sg.ID, ord, []byte("x")))
			}
			if ok, err := l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, nil, []search.Segment{sg}); ok || err == nil {
				t.Errorf("%s: made visible", name)
			}
		}
		live := search.Segment{ID: ident.New(), Data: []byte("x")}
		l.ok(l.PutSegmentSlice(l.ctx, l.mine, live.ID, 0, live.Data))
		l.gone(l.PutSegmentSlice(l.ctx, l.foreign, live.ID, 1, live.Data))
		ok, err := l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, nil, []search.Segment{live})
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		l.gone(l.PutSegmentSlice(l.ctx, l.mine, live.ID, 1, []byte("y"))) // it never changes any more
		if ok, err := l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, nil, []search.Segment{live}); ok || err == nil {
			t.Error("made visible twice")
		}
	})
}

func TestOrphanSegmentsAreSwept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := lines("Ann", 3)
		l.upload(l.mine, "a.md", content)
		l.upload(l.mine, "b.md", content+"b")
		dead, alive := l.job(content), l.job(content+"b")
		put := func(j *job) string {
			id := ident.New()
			l.ok(l.Put(l.ctx, j.lease, 1, ingest.Batch{Segments: []ingest.SegmentSlice{{SegmentID: id, Data: []byte("orphan " + id)}}}))
			return "orphan " + id
		}
		left, kept := put(dead), put(alive)
		l.end(dead.lease, runs.Failed)
		l.ok(l.SweepOrphans(l.ctx))
		merging := ident.New()
		l.ok(l.PutSegmentSlice(l.ctx, l.mine, merging, 0, []byte("merging now")))
		l.ok(l.SweepOrphans(l.ctx))
		l.sound(store.VerifyOptions{})
		r, err := l.Verify(l.ctx, store.VerifyOptions{Contains: []string{left, kept, "merging now"}})
		l.ok(err)
		got := map[string]bool{}
		for _, p := range r.Problems {
			if p.ID == "segment_slice.data" {
				got[p.Detail] = true
			}
		}
		want := map[string]bool{`"` + kept + `" is in 1 rows`: true, `"merging now" is in 1 rows`: true}
		same(t, "slices that are left", got, want)
	})
}

// Merges, deletions and new documents of one workspace at the same time: no tombstone is lost, and nothing comes back.
func TestMergesMeetDeletions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		var docs []document.Document
		for i := range 12 {
			docs = append(docs, l.ready(l.mine, "a.md", lines(fmt.Sprint("Ann ", i), 2)))
		}
		var wg sync.WaitGroup
		done := make(chan struct{})
		merged := 0
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if l.tryMerge(l.mine) {
						merged++
					}
				}
			}
		})
		var deleting sync.WaitGroup
		for _, d := range docs[:8] {
			deleting.Go(func() {
				_, err := l.Delete(l.ctx, l.mine, d.ID, false)
				l.ok(err)
			})
		}
		deleting.Go(func() { l.ready(l.mine, "b.md", lines("Bob", 2)) })
		deleting.Wait()
		close(done)
		wg.Wait()
		if got := l.found(l.mine); len(got) != 2*5 {
			t.Errorf("found %q", got)
		}
		l.merge(l.mine)
		l.sweep()
		l.sound(store.VerifyOptions{})
		if got := l.found(l.mine); len(got) != 2*5 {
			t.Errorf("after %d merges found %q", merged, got)
		}
	})
}

// A damaged segment is hidden from everybody, and its documents are to be put in again; somebody else's is left alone.
func TestCondemn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.ready(l.mine, "a.txt", "The boiler is old.\n")
		segments := func() (n int) {
			list, err := l.Segments(l.ctx, l.mine, "")
			l.ok(err)
			return len(list)
		}
		lacking := func() (ids []string) {
			list, err := l.Unembedded(l.ctx, "", 10)
			l.ok(err)
			for _, u := range list {
				ids = append(ids, u.DocumentID)
			}
			return ids
		}
		list, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		if len(list) == 0 {
			t.Fatal("no segment")
		}
		before := lacking()
		l.ok(s.Condemn(l.ctx, l.foreign, list[0].ID))
		same(t, "segments after a foreign hand", segments(), len(list))
		same(t, "lacking after a foreign hand", lacking(), before)
		for range 2 { // again does nothing
			l.ok(s.Condemn(l.ctx, l.mine, list[0].ID))
			same(t, "segments", segments(), len(list)-1)
		}
		states, err := s.SpaceStates(l.ctx)
		l.ok(err)
		counted, err := s.Spaces(l.ctx)
		l.ok(err)
		for i := range counted {
			counted[i].Documents, counted[i].Of = 0, 0
		}
		same(t, "states", states, counted)
		same(t, "lacking", lacking(), append(before, d.ID))
	})
}
