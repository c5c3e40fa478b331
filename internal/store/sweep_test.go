package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestDeletedDocumentIsNowhere(t *testing.T) {
	for _, purge := range []bool{false, true} {
		t.Run(fmt.Sprintf("purge %t", purge), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				l := newLibrary(t, s)
				a := l.ready(l.mine, "a.md", lines("Ann", 40))
				b := l.ready(l.mine, "b.md", lines("Bob", 40))
				post := l.written(l.mine, a, b)
				other := l.written(l.mine, b)

				left, err := l.Delete(l.ctx, l.mine, a.ID, purge)
				l.ok(err)
				same(t, "drafts that quote it", left.Drafts, []document.DraftRef{{ID: post.ID, Title: post.Title}})

				_, err = l.Document(l.ctx, l.mine, a.ID)
				l.gone(err)
				if got := l.found(l.mine); len(got) != 40 || !strings.HasPrefix(got[0], "Bob") {
					t.Errorf("found %q", got)
				}
				v, err := l.Drafts().Version(l.ctx, l.mine, post.ID, 1)
				l.ok(err)
				gone, kept := v.Citations[0].Spans[0], v.Citations[1].Spans[0]
				if !gone.Gone || kept.Gone || kept.Quote == "" || (gone.Quote == "") != purge || (v.Citations[0].Claim.Text == "") != purge {
					t.Errorf("got %+v and %+v", gone, kept)
				}
				if v, err := l.Drafts().Version(l.ctx, l.mine, other.ID, 1); err != nil || v.Citations[0].Spans[0].Gone {
					t.Errorf("got %+v, %v", v.Citations, err)
				}
				// A later version keeps the mark.
				saved, err := l.Drafts().Save(l.ctx, l.mine, post.ID, 1, draft.Edit{Title: ptr("New title")})
				l.ok(err)
				v, err = l.Drafts().Version(l.ctx, l.mine, post.ID, saved.Version)
				l.ok(err)
				if !v.Citations[0].Spans[0].Gone || v.Citations[1].Spans[0].Gone {
					t.Errorf("got %+v", v.Citations)
				}

				l.merge(l.mine)
				same(t, "removed blobs", l.sweep(), []string{a.Blob})
				l.sound(store.VerifyOptions{Contains: []string{"Ann has line 7"}})
				if got := l.found(l.mine); len(got) != 40 {
					t.Errorf("found %q", got)
				}
				// The same bytes are a new document.
				again := l.ready(l.mine, "a.md", lines("Ann", 40))
				if again.ID == a.ID || len(l.found(l.mine)) != 80 {
					t.Error("the document did not come back as a new one")
				}
			})
		})
	}
}

// Everything that a run says or keeps of a document goes with it; the words of a person stay.
func TestSweepPurgesRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := "secret plugh\n"
		d := l.upload(l.mine, "a.md", content)
		j := l.job(content)
		l.ok(l.SaveStep(l.ctx, j.lease, runs.Step{Key: "extract", Done: true, Result: json.RawMessage(`"secret plugh"`)}))
		j.extract()
		j.chunk()
		j.index()
		_, err := l.Append(l.ctx, j.lease, runs.NewEvent{Type: runs.EventNotice, Data: runs.Notice{Code: "x", Detail: "secret plugh"}})
		l.ok(err)
		l.end(j.lease, runs.Completed)
		d, err = l.Document(l.ctx, l.mine, d.ID)
		l.ok(err)

		_, lease := l.generate(l.mine, d)
		for i := range 250 { // more than a slice
			_, err := l.Append(l.ctx, lease, runs.NewEvent{Type: runs.EventToken,
				Data: runs.Token{Channel: "draft", SectionID: "s", Offset: 13 * i, Text: "secret plugh "}})
			l.ok(err)
		}
		_, err = l.Append(l.ctx, lease,
			runs.NewEvent{Type: runs.EventSnapshot, Data: map[string]any{"from_seq": 253, "channel": "draft", "text": "secret plugh"}},
			runs.NewEvent{Type: runs.EventHits, Data: map[string]string{"text": "secret plugh"}},
			runs.NewEvent{Type: runs.EventStepProgress, Data: runs.StepEvent{Step: "gather", Done: 1, Of: 2}})
		l.ok(err)
		l.ok(l.SaveStep(l.ctx, lease, runs.Step{Key: "gather", Done: true, Result: json.RawMessage(`"secret plugh"`)}))

		_, err = l.Delete(l.ctx, l.mine, d.ID, true)
		l.ok(err)
		l.merge(l.mine)
		left, err := l.Sweep(l.ctx, func(context.Context, string) error { return nil })
		if err != nil || left != 1 {
			t.Errorf("while a run still reads it, %d notes are left, %v", left, err)
		}
		steps, err := l.Steps(l.ctx, lease.RunID)
		if err != nil || len(steps) != 1 {
			t.Errorf("a running run lost its steps: %v, %v", steps, err)
		}
		// What it writes now is marked: the source is gone.
		r := draft.Result{Title: "T", Version: draft.Version{Content: "Own words.", Citations: []draft.Citation{{
			Claim: draft.Claim{End: 3, Text: "Own"}, Spans: []draft.Span{{DocumentID: d.ID}}}}}}
		v, err := l.Drafts().AddVersion(l.ctx, lease, r)
		l.ok(err)
		if !v.Citations[0].Spans[0].Gone {
			t.Errorf("got %+v", v.Citations)
		}
		l.end(lease, runs.Completed)
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"plugh"}})

		events, err := l.Events(l.ctx, lease.RunID, 0, 1000)
		l.ok(err)
		for i, e := range events[2:] {
			switch e.Type {
			case runs.EventToken:
				var x runs.Token
				l.ok(json.Unmarshal(e.Data, &x))
				if x.Offset != 13*i || x.SectionID != "s" {
					t.Fatalf("event %d lost its place: %s", e.Seq, e.Data)
				}
			case runs.EventStepProgress:
				if !strings.Contains(string(e.Data), "gather") {
					t.Errorf("a harmless event was purged: %s", e.Data)
				}
			}
		}
		n, err := l.Compact(l.ctx, time.Now().Add(time.Hour), 100)
		if err != nil || n != 2 {
			t.Errorf("%d runs were compacted, %v", n, err)
		}
		l.sound(store.VerifyOptions{}) // a snapshot stands for its tokens, purged or not
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a := l.ready(l.mine, "a.md", lines("Ann", 3))
		f := l.file(l.mine, "copy.md", lines("Ann", 3))
		f.Blob = a.Blob
		shared, _, err := l.Add(l.ctx, f, false, true, nil)
		l.ok(err)
		_, err = l.Delete(l.ctx, l.mine, a.ID, false)
		l.ok(err)

		left, err := l.Sweep(l.ctx, nil)
		if err != nil || left != 1 {
			t.Errorf("before the merge %d notes are left, %v", left, err)
		}
		l.merge(l.mine)
		same(t, "a shared blob is removed", l.sweep(), []string(nil))

		_, err = l.Delete(l.ctx, l.mine, shared.ID, false)
		l.ok(err)
		broken := errors.New("disk on fire")
		left, err = l.Sweep(l.ctx, func(context.Context, string) error { return broken })
		if !errors.Is(err, broken) || left != 1 {
			t.Errorf("%d notes are left, %v", left, err)
		}
		same(t, "removed blobs", l.sweep(), []string{a.Blob})
		l.sound(store.VerifyOptions{})
	})
}

func TestDeleteCancelsRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", "one\n")
		_, err := l.Delete(l.ctx, l.mine, d.ID, false)
		l.ok(err)
		_, err = l.Delete(l.ctx, l.mine, d.ID, false)
		l.gone(err)
		r, err := l.Run(l.ctx, l.mine, d.RunID)
		l.ok(err)
		if r.Status != runs.Cancelled || r.EndedAt.IsZero() {
			t.Errorf("got %+v", r)
		}
		if _, _, ok, err := l.Claim(l.ctx, "a", []runs.Kind{runs.KindProcess}); ok || err != nil {
			t.Error("the run of a deleted document is due", err)
		}
		l.sweep()
		l.sound(store.VerifyOptions{}) // run.cancelled came exactly once
		_, _, err = l.Process(l.ctx, l.mine, d.ID, false, "", nil)
		l.refused(err, fault.NotFound, "not_found")
	})
}

// Where a reader still sees what was deleted, the files still hold it: the note stays until it is really gone.
func TestSweepWaitsForReaders(t *testing.T) {
	l := newLibrary(t, storetest.New(t))
	d := l.ready(l.mine, "a.md", lines("Ann", 3))
	l.ok(l.Hold(l.ctx, func() {
		_, err := l.Delete(l.ctx, l.mine, d.ID, false)
		l.ok(err)
		l.merge(l.mine)
		left, err := l.Sweep(l.ctx, func(context.Context, string) error { return nil })
		if err != nil || left != 1 {
			t.Errorf("%d notes are left, %v", left, err)
		}
	}))
	same(t, "removed blobs", l.sweep(), []string{d.Blob})
	l.sound(store.VerifyOptions{Contains: []string{"Ann has line"}})
}
