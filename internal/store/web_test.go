package store_test

import (
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// page is a document that was fetched.
func (l library) page(lease runs.Lease, address, content string) document.Document {
	d := l.file(lease.Workspace, "page.html", content)
	d.Type, d.Origin, d.SourceURL, d.FetchedAt = "html", document.FromWeb, address, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return d
}

func TestFoundPagesAreAddedUnderTheLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		upload := l.upload(l.mine, "a.md", "one\n")
		l.claim()
		_, lease := l.generate(l.mine)

		d, added, err := l.AddFound(l.ctx, lease, l.page(lease, "https://example.org/a", "page\n"))
		l.ok(err)
		if !added || d.Origin != document.FromWeb || d.SourceURL != "https://example.org/a" || !d.FetchedAt.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) || d.RunID == "" {
			t.Errorf("got %+v (added %t)", d, added)
		}
		r, err := l.Run(l.ctx, l.mine, d.RunID)
		l.ok(err)
		if r.Kind != runs.KindSnapshot || r.Subject.ID != d.ID {
			t.Errorf("its run is %+v", r)
		}
		// The page is asked again after a crash and has other bytes by now.
		again, added, err := l.AddFound(l.ctx, lease, l.page(lease, "https://example.org/a", "another page\n"))
		l.ok(err)
		if added || again.ID != d.ID {
			t.Errorf("the same address made %s (added %t)", again.ID, added)
		}
		// Another address has the bytes of an upload.
		same, added, err := l.AddFound(l.ctx, lease, l.page(lease, "https://example.org/b", "one\n"))
		l.ok(err)
		if added || same.ID != upload.ID || same.Origin != document.FromUpload {
			t.Errorf("known bytes gave %+v (added %t)", same, added)
		}
		// Another run makes its own.
		l.end(lease, runs.Completed)
		_, other := l.generate(l.mine)
		fresh, added, err := l.AddFound(l.ctx, other, l.page(other, "https://example.org/a", "another page\n"))
		l.ok(err)
		if !added || fresh.ID == d.ID {
			t.Errorf("another run got %s (added %t)", fresh.ID, added)
		}
		if _, _, err = l.AddFound(l.ctx, lease, l.page(lease, "https://example.org/c", "third\n")); !fenced(err) {
			t.Errorf("a run that has ended adds a page: %v", err)
		}
		_, err = l.Cancel(l.ctx, l.mine, other.RunID)
		l.ok(err)
		if _, _, err = l.AddFound(l.ctx, other, l.page(other, "https://example.org/c", "third\n")); !fenced(err) {
			t.Errorf("a cancelled run adds a page: %v", err)
		}

		for origin, want := range map[document.Origin]int{"": 3, document.FromWeb: 2, document.FromUpload: 1, document.FromURL: 0} {
			list, total, err := l.Documents(l.ctx, l.mine, document.Filter{Origin: origin, Limit: 10})
			l.ok(err)
			if total != want || len(list) != want {
				t.Errorf("%q: %d documents, want %d", origin, total, want)
			}
		}
		ids, err := l.Admitted(l.ctx, l.mine, nil, search.Filters{Origins: []string{"web", "url"}})
		l.ok(err)
		if len(ids) != 2 {
			t.Errorf("a search among pages looks at %v", ids)
		}
	})
}

func TestCitationsOfPagesSayWhereAndWhen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.file(l.mine, "page.html", "A fact.\n")
		d.Origin, d.SourceURL, d.FetchedAt = document.FromURL, "https://example.org/a", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		d, _, err := l.Add(l.ctx, d, true, false, nil)
		l.ok(err)
		_, lease := l.claim()
		w, err := l.Begin(l.ctx, lease)
		l.ok(err)
		published := time.Date(2025, 12, 24, 0, 0, 0, 0, time.UTC)
		l.ok(l.Put(l.ctx, lease, w.Generation, ingest.Batch{Slices: []ingest.Slice{{Kind: ingest.SliceText, Data: []byte("A fact.\n")}}}))
		l.ok(l.CommitStage(l.ctx, lease, w.Generation, ingest.Commit{Stage: document.Extracted, Title: "All facts", Author: "Ada", Published: published, TextLength: 8}))
		l.ok(l.Put(l.ctx, lease, w.Generation, ingest.Batch{Passages: own(d.ID, passagesOf("A fact.\n"))}))
		l.ok(l.CommitStage(l.ctx, lease, w.Generation, ingest.Commit{Stage: document.Chunked, PassageCount: 1}))
		l.ok(l.CommitStage(l.ctx, lease, w.Generation, ingest.Commit{Stage: document.Indexed}))
		l.ok(l.CommitStage(l.ctx, lease, w.Generation, ingest.Commit{Stage: document.Embedded}))
		l.end(lease, runs.Completed)
		d, err = l.Document(l.ctx, l.mine, d.ID)
		l.ok(err)
		if d.Author != "Ada" || !d.PublishedAt.Equal(published) || d.Title != "All facts" {
			t.Errorf("got %+v", d)
		}

		post := l.written(l.mine, d)
		check := func(title, quote string, gone bool) {
			t.Helper()
			v, err := l.Drafts().Version(l.ctx, l.mine, post.ID, 1)
			l.ok(err)
			sp := v.Citations[0].Spans[0]
			if sp.URL != "https://example.org/a" || !sp.FetchedAt.Equal(d.FetchedAt) || sp.Title != title || sp.Quote != quote || sp.Gone != gone {
				t.Errorf("got %+v", sp)
			}
		}
		check("All facts", "A fact.\n", false)
		_, err = l.Delete(l.ctx, l.mine, d.ID, true)
		l.ok(err)
		check("", "", true)
		if _, err := l.Document(l.ctx, l.mine, d.ID); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("got %v", err)
		}
	})
}

func own(documentID string, list []document.Passage) []document.Passage {
	for i := range list {
		list[i].DocumentID = documentID
	}
	return list
}
