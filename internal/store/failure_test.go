package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// operations prepare something and give the call that writes, with the tables that it cannot do without.
var operations = map[string]struct {
	tables  string
	prepare func(l library) func() error
}{
	"Add": {"run run_event document idempotency", func(l library) func() error {
		f := l.file(l.mine, "a.md", ident.New())
		return func() error {
			_, _, err := l.Add(l.ctx, f, true, false, &ident.Once{Key: ident.New(), Fingerprint: "f"})
			return err
		}
	}},
	"Update": {"document", func(l library) func() error {
		d := l.ready(l.mine, "a.md", lines(ident.New(), 2))
		return func() error {
			_, err := l.Update(l.ctx, l.mine, d.ID, document.Patch{Title: ptr("t")})
			return err
		}
	}},
	"Process": {"run run_event document idempotency", func(l library) func() error {
		d := l.ready(l.mine, "a.md", lines(ident.New(), 2))
		return func() error {
			_, _, err := l.Process(l.ctx, l.mine, d.ID, true, document.Chunked, &ident.Once{Key: ident.New(), Fingerprint: "f"})
			return err
		}
	}},
	"Process again": {"run document trash", func(l library) func() error {
		content := lines(ident.New(), 2)
		d := l.ready(l.mine, "a.md", content)
		_, _, err := l.Process(l.ctx, l.mine, d.ID, true, "", nil)
		l.ok(err)
		j := l.job(content)
		l.end(j.lease, runs.Failed)
		return func() error {
			_, _, err := l.Process(l.ctx, l.mine, d.ID, true, "", nil)
			return err
		}
	}},
	"Begin": {"run document document_slice page passage segment", func(l library) func() error {
		l.upload(l.mine, "a.md", ident.New())
		_, lease := l.claim()
		return func() error { _, err := l.Begin(l.ctx, lease); return err }
	}},
	"Put": {"run document document_slice passage segment segment_slice", func(l library) func() error {
		j := started(l)
		return func() error {
			return l.Put(l.ctx, j.lease, 1, ingest.Batch{Passages: passagesOf(j.content),
				Slices:   []ingest.Slice{{Kind: ingest.SliceText, Data: []byte("x")}},
				Segments: []ingest.SegmentSlice{{SegmentID: ident.New(), Data: []byte("x")}}})
		}
	}},
	"Progress": {"run run_event document", func(l library) func() error {
		j := started(l)
		return func() error {
			return l.Store.Progress(l.ctx, j.lease, document.Progress{Done: 1, Of: 2}, runs.NewEvent{Type: runs.EventStepProgress})
		}
	}},
	"CommitStage extracted": {"run run_event document", func(l library) func() error {
		j := started(l)
		l.ok(j.putText(100))
		return func() error {
			return j.commit(ingest.Commit{Stage: document.Extracted, TextLength: len(j.content), PageCount: 1})
		}
	}},
	"CommitStage indexed": {"run_event document segment segment_slice segment_document trash", func(l library) func() error {
		content := lines(ident.New(), 2)
		d := l.ready(l.mine, "a.md", content)
		_, _, err := l.Process(l.ctx, l.mine, d.ID, true, document.Indexed, nil)
		l.ok(err)
		j := l.job(content)
		sg := j.segment()
		return func() error {
			return j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{sg}})
		}
	}},
	"Replace": {"segment segment_slice segment_document", func(l library) func() error {
		d := l.ready(l.mine, "a.md", lines(ident.New(), 2))
		seen, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		sg := search.Segment{ID: ident.New(), Data: []byte("x"), Groups: []string{d.ID}}
		l.ok(l.PutSegmentSlice(l.ctx, l.mine, sg.ID, 0, sg.Data))
		return func() error {
			ok, err := l.Replace(l.ctx, search.Crowd{Workspace: l.mine}, seen, []search.Segment{sg})
			if err == nil && !ok {
				return errors.New("refused")
			}
			return err
		}
	}},
	"Delete": {"run run_event document segment_document draft draft_version citation citation_document trash", func(l library) func() error {
		d := l.ready(l.mine, "a.md", lines(ident.New(), 2))
		l.written(l.mine, d)
		_, _, err := l.Process(l.ctx, l.mine, d.ID, true, "", nil)
		l.ok(err)
		return func() error { _, err := l.Delete(l.ctx, l.mine, d.ID, true); return err }
	}},
	"Drafts.Add": {"run run_event draft draft_version idempotency", func(l library) func() error {
		return func() error {
			_, _, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine}, draft.Wish{}, &ident.Once{Key: ident.New(), Fingerprint: "f"})
			return err
		}
	}},
	"Drafts.AddVersion": {"run run_event document draft draft_version citation citation_document", func(l library) func() error {
		d := l.ready(l.mine, "a.md", lines(ident.New(), 2))
		_, lease := l.generate(l.mine, d)
		r := l.result(d)
		return func() error {
			_, err := l.Drafts().AddVersion(l.ctx, lease, r, runs.NewEvent{Type: runs.EventVersion})
			return err
		}
	}},
	"Drafts.Save": {"draft draft_version citation citation_document document", func(l library) func() error {
		d := l.written(l.mine, l.ready(l.mine, "a.md", lines(ident.New(), 2)))
		return func() error {
			_, err := l.Drafts().Save(l.ctx, l.mine, d.ID, 1, draft.Edit{Title: ptr("t")})
			return err
		}
	}},
	"Drafts.Delete": {"run run_event draft trash", func(l library) func() error {
		d, _ := l.generate(l.mine)
		return func() error { return l.Drafts().Delete(l.ctx, l.mine, d.ID) }
	}},
	"AddUser": {"workspace account", func(l library) func() error {
		return func() error {
			_, err := l.AddUser(l.ctx, account.User{Email: ident.New(), PasswordHash: "h"}, false)
			return err
		}
	}},
	"UpdateUser": {"account", func(l library) func() error {
		users, err := l.Users(l.ctx)
		l.ok(err)
		return func() error {
			users[0].FullName = ident.New()
			return l.UpdateUser(l.ctx, users[0])
		}
	}},
	"Rotate": {"account refresh_token", func(l library) func() error {
		users, err := l.Users(l.ctx)
		l.ok(err)
		now := time.Now()
		old := account.RefreshToken{Hash: ident.New(), Family: ident.New(), UserID: users[0].ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		l.ok(l.AddRefresh(l.ctx, old))
		return func() error {
			next := account.RefreshToken{Hash: ident.New(), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
			_, err := l.Rotate(l.ctx, old.Hash, next, time.Second)
			return err
		}
	}},
}

func started(l library) *job {
	content := lines(ident.New(), 2)
	l.upload(l.mine, "a.md", content)
	return l.job(content)
}

// A call that fails in its middle leaves nothing behind: whatever table it cannot reach, all the others are as before.
// And it can be repeated when the table is back.
func TestFailedCallsLeaveNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		for name, o := range operations {
			for table := range strings.FieldsSeq(o.tables) {
				for _, full := range []string{"draft", "document", "run", "segment"} { // so that the next run is the prepared one's
					l.ok(s.Damage(l.ctx, `DELETE FROM `+full))
				}
				call := o.prepare(l)
				before, err := s.Dump(l.ctx)
				l.ok(err)
				l.ok(s.Damage(l.ctx, `ALTER TABLE `+table+` RENAME TO lost`))
				if err := call(); err == nil {
					t.Errorf("%s without %s: no error", name, table)
				}
				l.ok(s.Damage(l.ctx, `ALTER TABLE lost RENAME TO `+table))
				after, err := s.Dump(l.ctx)
				l.ok(err)
				same(t, name+" without "+table, after, before)
				if err := call(); err != nil {
					t.Errorf("%s, when %s is back: %v", name, table, err)
				}
			}
		}
	})
}

// Reads fail as a whole too, and the sweep keeps its notes.
func TestReadsWithoutATable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.ready(l.mine, "a.md", lines("Ann", 2))
		gone := l.ready(l.mine, "b.md", lines("Bob", 2))
		post := l.written(l.mine, d, gone)
		_, err := l.Delete(l.ctx, l.mine, gone.ID, false)
		l.ok(err)
		l.merge(l.mine)
		segments, err := l.Segments(l.ctx, l.mine, "")
		l.ok(err)
		none := func(context.Context, string) error { return nil }
		reads := map[string]struct {
			tables []string
			call   func() error
		}{
			"Document":  {[]string{"document"}, func() error { _, err := l.Document(l.ctx, l.mine, d.ID); return err }},
			"Documents": {[]string{"document"}, func() error { _, _, err := l.Documents(l.ctx, l.mine, document.Filter{}); return err }},
			"Named":     {[]string{"document"}, func() error { _, err := l.Named(l.ctx, l.mine, []string{d.ID}); return err }},
			"HasBlob":   {[]string{"document"}, func() error { _, err := l.HasBlob(l.ctx, "b"); return err }},
			"Text":      {[]string{"document", "document_slice"}, func() error { _, _, err := l.Text(l.ctx, l.mine, d.ID, 0, 9); return err }},
			"Elements":  {[]string{"document", "document_slice"}, func() error { _, err := l.Elements(l.ctx, l.mine, d.ID); return err }},
			"Page":      {[]string{"document", "page"}, func() error { _, err := l.Page(l.ctx, l.mine, d.ID, 1); return err }},
			"Passages":  {[]string{"document", "passage"}, func() error { _, _, err := l.Passages(l.ctx, l.mine, d.ID, 0, 9); return err }},
			"Extracted": {[]string{"document", "document_slice", "page"}, func() error { _, err := l.Extracted(l.ctx, l.mine, d.ID, 1); return err }},
			"Chunked":   {[]string{"document", "passage"}, func() error { _, err := l.Chunked(l.ctx, l.mine, d.ID, 1); return err }},
			"Segments":  {[]string{"segment", "segment_document"}, func() error { _, err := l.Segments(l.ctx, l.mine, ""); return err }},
			"SegmentData": {[]string{"segment", "segment_slice"}, func() error {
				_, err := l.SegmentData(l.ctx, l.mine, segments[0].ID)
				return err
			}},
			"Live":         {[]string{"document", "passage"}, func() error { _, err := l.Live(l.ctx, l.mine, []string{"x"}); return err }},
			"Admitted":     {[]string{"document"}, func() error { _, err := l.Admitted(l.ctx, l.mine, []string{"x"}, search.Filters{}); return err }},
			"Crowded":      {[]string{"segment"}, func() error { _, err := l.Crowded(l.ctx, 1, 1<<20); return err }},
			"Languages":    {[]string{"document"}, func() error { _, err := l.Languages(l.ctx, l.mine); return err }},
			"HasUsers":     {[]string{"account"}, func() error { _, err := l.HasUsers(l.ctx); return err }},
			"Users":        {[]string{"account"}, func() error { _, err := l.Users(l.ctx); return err }},
			"User":         {[]string{"account"}, func() error { _, err := l.User(l.ctx, "x"); return err }},
			"RevokeFamily": {[]string{"account", "refresh_token"}, func() error { return l.RevokeFamily(l.ctx, "x") }},
			"Draft":        {[]string{"draft", "draft_version"}, func() error { _, err := l.Drafts().Draft(l.ctx, l.mine, post.ID); return err }},
			"Drafts":       {[]string{"draft"}, func() error { _, _, err := l.Drafts().Drafts(l.ctx, l.mine, draft.Filter{}); return err }},
			"Versions":     {[]string{"draft", "draft_version"}, func() error { _, _, err := l.Drafts().Versions(l.ctx, l.mine, post.ID, 0, 9); return err }},
			"Version":      {[]string{"draft", "citation"}, func() error { _, err := l.Drafts().Version(l.ctx, l.mine, post.ID, 1); return err }},
			"Sweep": {[]string{"segment", "refresh_token", "trash", "document_slice", "page", "passage", "run", "run_event", "run_step",
				"draft", "segment_document"}, func() error { _, err := l.Sweep(l.ctx, none); return err }},
			"Verify": {[]string{"trash", "document_slice", "page", "passage", "document", "segment", "run", "draft_version", "citation"},
				func() error { _, err := l.Verify(l.ctx, store.VerifyOptions{}); return err }},
		}
		for name, r := range reads {
			for _, table := range r.tables {
				l.ok(s.Damage(l.ctx, `ALTER TABLE `+table+` RENAME TO lost`))
				if err := r.call(); err == nil {
					t.Errorf("%s without %s: no error", name, table)
				}
				l.ok(s.Damage(l.ctx, `ALTER TABLE lost RENAME TO `+table))
			}
		}
		same(t, "removed blobs", l.sweep(), []string{gone.Blob})
		l.sound(store.VerifyOptions{Contains: []string{"Bob has line 1"}})
	})
}
