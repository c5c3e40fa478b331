package store_test

import (
	"path/filepath"
	"slices"
	"testing"

	"byline/internal/document"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func (l library) states() map[string]search.SpaceState {
	l.Helper()
	list, err := l.Spaces(l.ctx)
	l.ok(err)
	m := map[string]search.SpaceState{}
	for _, i := range list {
		if i.ID != "" { // that of words is always there
			m[i.ID] = i.State
		}
	}
	return m
}

// adopt puts a document into a space as the background does, and tells whether it was taken.
func (l library) adopt(u search.Unembedded, space string) bool {
	l.Helper()
	list, err := l.Chunked(l.ctx, u.Workspace, u.DocumentID, u.Generation)
	l.ok(err)
	l.ok(l.PutVectors(l.ctx, u, vectorsOf(list, space)))
	sg := search.Segment{ID: ident.New(), Data: []byte("of " + space), Space: space, Passages: len(list), Known: 1, Groups: []string{u.DocumentID}}
	l.ok(l.PutSegmentSlice(l.ctx, u.Workspace, sg.ID, 0, sg.Data))
	ok, err := l.Adopt(l.ctx, u, space, []search.Segment{sg})
	l.ok(err)
	return ok
}

func (l library) vectors(space string, d document.Document) int {
	l.Helper()
	list, _, err := l.Passages(l.ctx, d.Workspace, d.ID, 0, 1000)
	l.ok(err)
	ids := []string{ident.New()}
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	found, err := l.Vectors(l.ctx, space, ids)
	l.ok(err)
	for id, v := range found {
		if len(v) != 3 || v[1] != 0.5 || v[2] != -1 {
			l.Errorf("passage %s has %v", id, v)
		}
	}
	return len(found)
}

// Another space is built beside the one that serves, serves when it is asked to, and can be gone back from.
func TestSpacesFollowEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		b := l.ready(l.foreign, "b.md", lines("Bob", 450)) // its vectors are more than a slice of a sweep
		same(t, "the first one", l.states(), map[string]search.SpaceState{testSpace: search.SpaceServing})
		const next, third = "next/v1/3", "third/v1/3"
		for range 2 { // at each start
			l.ok(l.OfferSpace(l.ctx, next))
			l.ok(l.OfferSpace(l.ctx, testSpace))
			same(t, "offered", l.states(), map[string]search.SpaceState{testSpace: search.SpaceServing, next: search.SpaceBuilding})
		}
		missing, err := l.Unembedded(l.ctx, next, 10)
		l.ok(err)
		if len(missing) != 2 || missing[0].DocumentID != a.ID || missing[1].Workspace != l.foreign {
			t.Fatalf("missing: %+v", missing)
		}
		if got, err := l.Unembedded(l.ctx, testSpace, 10); err != nil || len(got) != 0 {
			t.Errorf("missing where all are: %+v, %v", got, err)
		}
		for _, u := range missing {
			for range 2 { // again, as after a crash
				if !l.adopt(u, next) {
					t.Error("refused")
				}
			}
		}
		segments, err := l.Segments(l.ctx, l.mine, next)
		if err != nil || len(segments) != 2 || len(segments[0].Dead)+len(segments[1].Dead) != 1 || segments[0].Known != 1 {
			t.Errorf("segments %+v, %v", segments, err)
		}
		if n, m := l.vectors(next, a), l.vectors(testSpace, b); n != 3 || m != 450 {
			t.Errorf("%d and %d vectors", n, m)
		}
		l.ok(l.ServeSpace(l.ctx, next, false))
		same(t, "switched", l.states(), map[string]search.SpaceState{testSpace: search.SpacePrevious, next: search.SpaceServing})
		l.ok(l.ServeSpace(l.ctx, testSpace, true))
		same(t, "gone back", l.states(), map[string]search.SpaceState{testSpace: search.SpaceServing, next: search.SpaceRejected})
		l.ok(l.OfferSpace(l.ctx, next))
		same(t, "a rejected one is offered", l.states(), map[string]search.SpaceState{testSpace: search.SpaceServing, next: search.SpaceRejected})
		l.ok(l.ServeSpace(l.ctx, next, false)) // somebody insists
		l.ok(l.OfferSpace(l.ctx, third))
		l.ok(l.ServeSpace(l.ctx, third, false))
		same(t, "the oldest is dropped", l.states(), map[string]search.SpaceState{next: search.SpacePrevious, third: search.SpaceServing})
		l.gone(l.ServeSpace(l.ctx, testSpace, false))
		l.gone(l.ServeSpace(l.ctx, "unknown/v1/3", false))
		l.merge(l.mine)
		l.sweep()
		if l.vectors(testSpace, a)+l.vectors(testSpace, b) != 0 || l.vectors(next, a) != 3 {
			t.Error("vectors of a dropped space are left, or others gone")
		}
		if segments, err := l.Segments(l.ctx, l.foreign, testSpace); err != nil || len(segments) != 0 {
			t.Errorf("segments of a dropped space: %+v, %v", segments, err)
		}
		l.sound(store.VerifyOptions{})
		l.ok(l.OfferSpace(l.ctx, testSpace))
		if got, err := l.Unembedded(l.ctx, testSpace, 10); err != nil || len(got) != 2 {
			t.Errorf("missing in a new one of an old name: %+v, %v", got, err)
		}
	})
}

// What is embedded in the background while a document is deleted or made anew comes too late, and leaves nothing behind.
func TestLateVectors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		const next = "next/v1/3"
		l.ok(l.OfferSpace(l.ctx, next))
		gone, anew := l.ready(l.mine, "a.md", lines("Ann", 3)), l.ready(l.mine, "b.md", lines("Bob", 3))
		missing, err := l.Unembedded(l.ctx, next, 10)
		if err != nil || len(missing) != 2 {
			t.Fatal(missing, err)
		}
		list, err := l.Chunked(l.ctx, l.mine, gone.ID, 1)
		l.ok(err)
		l.ok(l.PutVectors(l.ctx, missing[0], vectorsOf(list, next)))
		_, err = l.Delete(l.ctx, l.mine, gone.ID, false)
		l.ok(err)
		_, _, err = l.Process(l.ctx, l.mine, anew.ID, true, "", nil)
		l.ok(err)
		if got, err := l.Unembedded(l.ctx, next, 10); err != nil || len(got) != 0 {
			t.Errorf("a document in work is embedded twice: %+v, %v", got, err)
		}
		l.finish(anew, lines("New", 2))
		for _, u := range missing {
			l.ok(l.PutVectors(l.ctx, u, vectorsOf(list, next)))
			if ok, err := l.Adopt(l.ctx, u, next, nil); ok || err != nil {
				t.Errorf("taken: %t, %v", ok, err)
			}
		}
		l.merge(l.mine)
		l.sweep()
		l.sound(store.VerifyOptions{})
	})
}

// A document whose embedder failed is found by words, and goes on where it stopped.
func TestEmbeddingGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", lines("Ann", 3))
		j := l.job(lines("Ann", 3))
		j.extract()
		j.chunk()
		sg := j.segment()
		l.ok(j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{sg}}))
		now, err := l.Document(l.ctx, l.mine, d.ID)
		if err != nil || now.Status != document.Processing || now.Generation != 1 || len(l.found(l.mine)) != 3 {
			t.Errorf("indexed: %+v, %v", now, err)
		}
		l.end(j.lease, runs.Failed)
		if len(l.found(l.mine)) != 3 {
			t.Error("not found by words any more")
		}
		if _, started, err := l.Process(l.ctx, l.mine, d.ID, false, "", nil); !started || err != nil {
			t.Fatal(started, err)
		}
		j = l.job("")
		if j.work.Stage != document.Indexed || j.work.Generation != 1 {
			t.Errorf("work begins at %s of generation %d", j.work.Stage, j.work.Generation)
		}
		j.embed()
		l.end(j.lease, runs.Completed)
		if now, err = l.Document(l.ctx, l.mine, d.ID); err != nil || now.Status != document.Completed || l.vectors(testSpace, d) != 3 {
			t.Errorf("embedded: %+v, %v", now, err)
		}
		l.sound(store.VerifyOptions{})
	})
}

// Each document that is put in or deleted hides what was there of it before. That must not look at all other documents.
func TestBuryingLooksAtOneDocument(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan, err := s.PlanOfBurying(t.Context())
	if want := []string{"SEARCH segment_document USING INDEX segment_document_document (document_id=?)"}; err != nil || !slices.Equal(plan, want) {
		t.Errorf("%q, %v", plan, err)
	}
}
