package store_test

import (
	"path/filepath"
	"testing"

	"byline/internal/ident"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// The count moves with whatever changes what Segments or Vectors give, so that who keeps their answers never keeps a deleted
// document; and it stays where nothing of it changed, or nothing would be kept for long.
func TestIndexChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		before, exact := s.IndexChanges()
		step := func(name string, want bool, do func()) {
			t.Helper()
			do()
			now, _ := s.IndexChanges()
			if exact && (now > before) != want {
				t.Errorf("%s: moved from %d to %d", name, before, now)
			}
			before = now
		}
		crowd := search.Crowd{Workspace: l.mine}
		list := func() []search.SegmentInfo {
			list, err := l.Segments(l.ctx, l.mine, "")
			l.ok(err)
			return list
		}
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		b := l.ready(l.mine, "b.md", lines("Bob", 3))
		step("documents that can be found", true, func() {})
		step("an upload", false, func() {
			_, _, err := l.Add(l.ctx, l.file(l.mine, "c.md", "c"), false, false, nil)
			l.ok(err)
		})
		merged := search.Segment{ID: ident.New(), Data: []byte("merged"), Groups: []string{b.ID}}
		step("a segment that nobody sees yet", false, func() { l.ok(l.PutSegmentSlice(l.ctx, l.mine, merged.ID, 0, merged.Data)) })
		step("a deletion", true, func() {
			_, err := l.Delete(l.ctx, l.mine, a.ID, false)
			l.ok(err)
		})
		step("a merge", true, func() {
			ok, err := l.Replace(l.ctx, crowd, list(), []search.Segment{merged})
			if l.ok(err); !ok {
				t.Error("refused")
			}
		})
		step("damage", true, func() { l.ok(s.Condemn(l.ctx, l.mine, merged.ID)) })
		const next = "next/v1/3"
		step("a new space", false, func() { l.ok(l.OfferSpace(l.ctx, next)) })
		missing, err := l.Unembedded(l.ctx, next, 10)
		if l.ok(err); len(missing) == 0 {
			t.Fatal("nothing is missing in a new space")
		}
		passages, err := l.Chunked(l.ctx, l.mine, b.ID, 1)
		l.ok(err)
		step("vectors", true, func() { l.ok(l.PutVectors(l.ctx, missing[0], vectorsOf(passages, next))) })
		step("segments of a space", true, func() {
			if !l.adopt(missing[0], next) {
				t.Error("refused")
			}
		})
		l.ok(l.ServeSpace(l.ctx, next, false))
		l.ok(l.OfferSpace(l.ctx, "third/v1/3"))
		l.ok(l.ServeSpace(l.ctx, "third/v1/3", false))
		step("a dropped space", true, func() { l.sweep() })
	})
}

// Who only looks at a database does not know when the server changes it.
func TestReadOnlyIsNeverExact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "byline.db")
	for _, readOnly := range []bool{false, true} {
		s, err := store.Open(t.Context(), store.Options{Path: path, ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		if _, exact := s.IndexChanges(); exact == readOnly {
			t.Errorf("read only %t: exact %t", readOnly, exact)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
