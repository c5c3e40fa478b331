package store_test

import (
	"encoding/json"
	"sync"
	"testing"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func ptr[T any](v T) *T { return &v }

func TestDraftIsWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		wish := draft.Wish{DocumentIDs: []string{doc.ID}, Brief: draft.Brief{Words: 300}}
		d, r, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine, Title: "Wished", DocumentIDs: wish.DocumentIDs,
			Categories: []string{"news"}}, wish, once)
		l.ok(err)
		if d.Status != draft.Generating || d.Version != 0 || d.Content != "" || d.RunID != r.ID || r.Subject.ID != d.ID ||
			r.Kind != runs.KindGenerate {
			t.Errorf("got %+v with run %+v", d, r)
		}
		var input draft.Wish
		l.ok(json.Unmarshal(r.Input, &input))
		same(t, "wish", input, wish)
		again, rr, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine, Title: "Wished"}, wish, once)
		l.ok(err)
		if again.ID != d.ID || rr.ID != r.ID {
			t.Error("the repeated request made another draft")
		}

		_, lease := l.claim()
		want := l.result(doc)
		v, err := l.Drafts().AddVersion(l.ctx, lease, want, runs.NewEvent{Type: runs.EventVersion}, runs.NewEvent{Type: runs.EventNotice})
		l.ok(err)
		if v.Number != 1 || v.ID == "" || v.CreatedAt.IsZero() || len(v.Parents) != 0 || v.Title != want.Title {
			t.Errorf("got %+v", v)
		}
		repeated, err := l.Drafts().AddVersion(l.ctx, lease, want, runs.NewEvent{Type: runs.EventVersion})
		l.ok(err)
		same(t, "the version of the same run, again", repeated, v)
		read, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
		l.ok(err)
		same(t, "version", read, v)
		if c := read.Citations[0]; c.ID == "" || c.Spans[0].Quote != c.Claim.Text || c.Verdict.Label != draft.Supported {
			t.Errorf("got %+v", c)
		}
		l.end(lease, runs.Completed)
		got, err := l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Status != draft.Completed || got.Version != 1 || got.Content != want.Version.Content || got.Title != want.Title {
			t.Errorf("got %+v", got)
		}
		same(t, "suggested tags", got.Tags, []string{"suggested"})
		same(t, "categories", got.Categories, []string{"news"})

		events, err := l.Events(l.ctx, lease.RunID, 0, 100)
		l.ok(err)
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
			if e.Type == runs.EventVersion {
				var data struct {
					DraftID   string `json:"draft_id"`
					VersionID string `json:"version_id"`
					Number    int    `json:"number"`
				}
				l.ok(json.Unmarshal(e.Data, &data))
				if data.DraftID != d.ID || data.VersionID != v.ID || data.Number != 1 {
					t.Errorf("event %s", e.Data)
				}
			}
		}
		same(t, "events", types, []string{runs.EventCreated, runs.EventStarted, runs.EventVersion, runs.EventNotice, runs.EventCompleted})
		if _, err := l.Drafts().AddVersion(l.ctx, lease, want); !fenced(err) {
			t.Errorf("a version after the end: %v", err)
		}
		l.sound(store.VerifyOptions{})
	})
}

func TestDraftIsSaved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		d, lease := l.generate(l.mine, doc)
		_, err := l.Drafts().Save(l.ctx, l.mine, d.ID, 0, draft.Edit{Title: ptr("x")})
		l.refused(err, fault.Conflict, "generating")
		_, err = l.Drafts().AddVersion(l.ctx, lease, l.result(doc))
		l.ok(err)
		l.end(lease, runs.Completed)

		_, err = l.Drafts().Save(l.ctx, l.mine, d.ID, 0, draft.Edit{Title: ptr("x")})
		l.refused(err, fault.Stale, "stale")
		if f := fault.Of(err); len(f.Fields) != 1 || f.Fields[0].Message != "1" {
			t.Errorf("the current version is not told: %+v", f.Fields)
		}

		titled, err := l.Drafts().Save(l.ctx, l.mine, d.ID, 1, draft.Edit{Title: ptr("By hand"), Author: "ann", Message: "why"})
		l.ok(err)
		if titled.Version != 2 || titled.Title != "By hand" || titled.Content == "" {
			t.Errorf("got %+v", titled)
		}
		first, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
		l.ok(err)
		second, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 2)
		l.ok(err)
		if second.Author != "ann" || second.Message != "why" || second.Cause != draft.CauseEdit || second.Parents[0] != first.ID {
			t.Errorf("got %+v", second)
		}
		if len(second.Citations) != 1 || second.Citations[0].Spans[0] != first.Citations[0].Spans[0] ||
			second.Citations[0].ID == first.Citations[0].ID {
			t.Errorf("a new title lost the citations: %+v", second.Citations)
		}

		tagged, err := l.Drafts().Save(l.ctx, l.mine, d.ID, 2, draft.Edit{Tags: &[]string{"a"}, Categories: &[]string{"c"}})
		l.ok(err)
		if tagged.Version != 2 || tagged.Tags[0] != "a" || tagged.Categories[0] != "c" {
			t.Errorf("got %+v", tagged)
		}
		edited, err := l.Drafts().Save(l.ctx, l.mine, d.ID, 2, draft.Edit{Content: ptr("Four words of mine.")})
		l.ok(err)
		third, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 3)
		l.ok(err)
		if edited.Content != "Four words of mine." || third.Words != 4 || len(third.Citations) != 0 || third.Title != "By hand" {
			t.Errorf("got %+v", third)
		}

		page, total, err := l.Drafts().Versions(l.ctx, l.mine, d.ID, 0, 2)
		l.ok(err)
		if total != 3 || len(page) != 2 || page[0].Number != 3 || page[1].Number != 2 || page[0].Content != "" {
			t.Errorf("got %+v of %d", page, total)
		}
		page, _, err = l.Drafts().Versions(l.ctx, l.mine, d.ID, 2, 2)
		l.ok(err)
		if len(page) != 1 || page[0].Number != 1 {
			t.Errorf("got %+v", page)
		}
		_, err = l.Drafts().Version(l.ctx, l.mine, d.ID, 4)
		l.gone(err)
		l.sound(store.VerifyOptions{})
	})
}

func TestDraftSavedAtOnceIsSavedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.written(l.mine, l.ready(l.mine, "a.md", "one\n"))
		const n = 10
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, errs[i] = l.Drafts().Save(l.ctx, l.mine, d.ID, 1, draft.Edit{Content: ptr(string(rune('a' + i)))})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				l.refused(err, fault.Stale, "stale")
			}
		}
		got, err := l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		if won != 1 || got.Version != 2 {
			t.Errorf("%d were saved, version %d", won, got.Version)
		}
	})
}

func TestDraftsOfFailedRunsCanBeSaved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d, lease := l.generate(l.mine)
		l.end(lease, runs.Failed)
		got, err := l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Status != draft.Failed {
			t.Errorf("got %+v", got)
		}
		got, err = l.Drafts().Save(l.ctx, l.mine, d.ID, 0, draft.Edit{Content: ptr("Mine.")})
		l.ok(err)
		if got.Status != draft.Open || got.Version != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestDraftsAreListed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "one\n")
		a := l.written(l.mine, doc)
		b, _ := l.generate(l.mine, doc)
		list, total, err := l.Drafts().Drafts(l.ctx, l.mine, draft.Filter{Limit: 1})
		l.ok(err)
		if total != 2 || len(list) != 1 || list[0].ID != b.ID {
			t.Errorf("got %+v of %d", list, total)
		}
		list, _, err = l.Drafts().Drafts(l.ctx, l.mine, draft.Filter{Limit: 5, Cursor: b.ID})
		l.ok(err)
		if len(list) != 1 || list[0].ID != a.ID || list[0].Content != "" {
			t.Errorf("got %+v", list)
		}
		list, total, err = l.Drafts().Drafts(l.ctx, l.mine, draft.Filter{Limit: 5, Status: draft.Completed, Query: "a POST"})
		l.ok(err)
		if total != 1 || list[0].ID != a.ID {
			t.Errorf("got %+v of %d", list, total)
		}
		if list, total, err := l.Drafts().Drafts(l.ctx, l.foreign, draft.Filter{Limit: 5}); err != nil || total != 0 || len(list) != 0 {
			t.Errorf("another workspace lists %+v, %v", list, err)
		}
	})
}

func TestDraftIsDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "one\n")
		d, lease := l.generate(l.mine, doc)
		r := l.result(doc)
		r.Version.Content += "Only the draft says xyzzy."
		_, err := l.Drafts().AddVersion(l.ctx, lease, r, runs.NewEvent{Type: runs.EventToken,
			Data: runs.Token{Channel: "draft", Text: "Only the log says plugh."}})
		l.ok(err)
		l.ok(l.SaveStep(l.ctx, lease, runs.Step{Key: "gather", Done: true, Result: json.RawMessage(`"frotz"`)}))
		l.gone(l.Drafts().Delete(l.ctx, l.foreign, d.ID))
		l.ok(l.Drafts().Delete(l.ctx, l.mine, d.ID))
		l.gone(l.Drafts().Delete(l.ctx, l.mine, d.ID))
		_, err = l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
		l.gone(err)
		if _, err := l.Drafts().AddVersion(l.ctx, lease, r); !fenced(err) {
			t.Errorf("a version after the deletion: %v", err)
		}
		run, err := l.Run(l.ctx, l.mine, lease.RunID)
		l.ok(err)
		if run.Status != runs.Cancelled {
			t.Errorf("the run is %s", run.Status)
		}
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"xyzzy", "plugh", "frotz"}})
	})
}

// What is not there, or another's, answers alike for drafts too.
func TestDraftsOfOthersAreMissing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.written(l.mine, l.ready(l.mine, "a.md", "one\n"))
		for name, id := range map[string]string{"foreign": d.ID, "never": ident.New()} {
			_, e1 := l.Drafts().Draft(l.ctx, l.foreign, id)
			_, e2 := l.Drafts().Save(l.ctx, l.foreign, id, 1, draft.Edit{Title: ptr("x")})
			_, _, e3 := l.Drafts().Versions(l.ctx, l.foreign, id, 0, 9)
			_, e4 := l.Drafts().Version(l.ctx, l.foreign, id, 1)
			for i, err := range []error{e1, e2, e3, e4, l.Drafts().Delete(l.ctx, l.foreign, id)} {
				if err == nil || err.Error() != fault.Missing("draft").Error() {
					t.Errorf("%s, call %d: %v", name, i, err)
				}
			}
		}
	})
}
