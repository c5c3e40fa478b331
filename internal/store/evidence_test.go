package store_test

import (
	"strings"
	"testing"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// A draft is stale from when a source that it cites has another text, or none, until it cites what is there.
func TestDraftsBecomeStale(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		service := draft.New(l.Drafts(), s)
		a, b := l.ready(l.mine, "a.md", lines("Ann", 4)), l.ready(l.mine, "b.md", lines("Bob", 4))
		d, other := l.written(l.mine, a), l.written(l.mine, b)
		stale := func(want ...string) {
			t.Helper()
			list, total, err := l.Drafts().Drafts(l.ctx, l.mine, draft.Filter{Stale: true, Limit: 10})
			l.ok(err)
			var got []string
			for _, x := range list {
				if !x.Stale {
					t.Errorf("%s is listed and not marked", x.Title)
				}
				got = append(got, x.ID)
			}
			same(t, "stale drafts", got, want)
			if total != len(want) {
				t.Errorf("total %d", total)
			}
		}
		evidence := func() draft.Evidence {
			t.Helper()
			e, err := service.Evidence(l.ctx, l.mine, d.ID, 0)
			l.ok(err)
			return e
		}
		again := func(content string) {
			t.Helper()
			_, _, err := l.Process(l.ctx, l.mine, a.ID, true, document.Stored, nil)
			l.ok(err)
			a = l.finish(a, content)
		}
		stale()
		e := evidence()
		if e.Stale || len(e.Citations) == 0 || e.Citations[0].Spans[0].Generation == 0 {
			t.Errorf("fresh: %+v", e)
		}
		quote := e.Citations[0].Spans[0].Quote

		again(lines("Ann", 4)) // the same text, of another generation
		if e := evidence(); e.Stale || e.Citations[0].Sources[0].How != cite.Same {
			t.Errorf("the same text: %+v", e.Citations)
		}
		again("A new line stands before.\n" + lines("Ann", 4))
		stale(d.ID)
		e = evidence()
		source := e.Citations[0].Sources[0]
		if !e.Stale || !e.Citations[0].Stale() || source.How != cite.Moved || source.Start != strings.Index("A new line stands before.\n"+lines("Ann", 4), quote) {
			t.Errorf("moved: %+v", e.Citations)
		}
		again("Nothing of it.\n")
		if e := evidence(); !e.Stale || e.Citations[0].Sources[0].How != cite.Lost {
			t.Errorf("lost: %+v", e.Citations)
		}
		got, err := l.Drafts().Draft(l.ctx, l.mine, other.ID)
		l.ok(err)
		if got.Stale {
			t.Error("the other draft is stale")
		}

		_, err = l.Delete(l.ctx, l.mine, b.ID, true)
		l.ok(err)
		stale(other.ID, d.ID)
		d = other
		e = evidence()
		if c := e.Citations[0]; !e.Stale || !c.Sources[0].Gone || c.Spans[0].Quote != "" || c.Claim.Text != "" || len(c.Verdict.Reasons) > 0 || e.Gate.Pass || len(e.Gate.Reasons) == 0 {
			t.Errorf("purged: %+v %+v", c, e.Gate)
		}
		content := "All new.\n"
		_, err = service.Edit(l.ctx, l.mine, d.ID, 1, draft.Edit{Content: &content})
		l.ok(err)
		got, err = l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		if got.Stale {
			t.Error("it cites nothing, and is stale")
		}
		e = evidence()
		if len(e.Uncited) != 1 || e.Gate.Pass || e.Gate.Claims != 1 || e.Gate.Supported != 0 {
			t.Errorf("uncited: %+v", e)
		}
	})
}

// A verdict is kept with all that was found.
func TestVerdictsAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "The roof leaks in 2023. ")
		d, lease := l.generate(l.mine, doc)
		r := l.result(doc)
		spans := []draft.Span{{DocumentID: doc.ID, DocumentName: "a.md", Start: 0, End: 23, Quote: "The roof leaks in 2023.", Before: "x", After: "y"}}
		v := draft.Verify("The roof leaks in 2024.", spans, cite.Options{})
		if v.Label != draft.Contradicted || !v.Hard || v.Checker != draft.CheckerLexical || len(v.Missing) == 0 || v.Evidence == nil {
			t.Errorf("verdict: %+v", v)
		}
		r.Version.Citations = []draft.Citation{{Claim: draft.Claim{Start: 0, End: 5, Text: "claim"}, Verdict: v, Spans: spans}}
		_, err := l.Drafts().AddVersion(l.ctx, lease, r, runs.NewEvent{Type: runs.EventVersion})
		l.ok(err)
		read, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
		l.ok(err)
		same(t, "verdict", read.Citations[0].Verdict, v)
		spans[0].Generation = 1
		same(t, "spans", read.Citations[0].Spans, spans)
	})
}

// What a model answered is of a workspace, and goes with the first of its documents.
func TestJudgements(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		a, b := l.upload(l.mine, "a.md", "a"), l.upload(l.mine, "b.md", "b")
		has := func(ws ident.Workspace, id, want string) {
			t.Helper()
			got, err := s.Judgement(l.ctx, ws, id)
			l.ok(err)
			same(t, "answer "+id, got, want)
		}
		has(l.mine, "one", "")
		l.ok(s.KeepJudgement(l.ctx, l.mine, "one", []string{a.ID, b.ID}, "first"))
		l.ok(s.KeepJudgement(l.ctx, l.mine, "one", []string{a.ID, b.ID}, "yes"))
		l.ok(s.KeepJudgement(l.ctx, l.mine, "two", []string{b.ID}, "no"))
		l.ok(s.KeepJudgement(l.ctx, l.foreign, "three", []string{a.ID}, "stolen"))
		has(l.mine, "one", "yes")
		has(l.foreign, "one", "")
		has(l.foreign, "three", "")
		_, err := l.Delete(l.ctx, l.mine, a.ID, false)
		l.ok(err)
		has(l.mine, "one", "")
		has(l.mine, "two", "no")
		l.ok(s.KeepJudgement(l.ctx, l.mine, "one", []string{a.ID}, "late"))
		has(l.mine, "one", "")
	})
}
