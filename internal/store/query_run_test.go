package store_test

import (
	"context"
	"strings"
	"testing"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestPassageByItsID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		list, _, err := s.Passages(l.ctx, l.mine, doc.ID, 1, 1)
		l.ok(err)
		p, err := s.Passage(l.ctx, l.mine, list[0].ID)
		l.ok(err)
		same(t, "passage", p, list[0])
		_, err = s.Passage(l.ctx, l.foreign, p.ID)
		l.gone(err)
		_, err = s.Passage(l.ctx, l.mine, ident.New())
		l.gone(err)
		_, err = s.Delete(l.ctx, l.mine, doc.ID, false)
		l.ok(err)
		_, err = s.Passage(l.ctx, l.mine, p.ID)
		l.gone(err)
	})
}

// A question's run is made once for a key. What it kept of a document goes with that, when the run has ended.
func TestQueryRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		n := runs.NewRun{Kind: runs.KindQuery, Subject: runs.Subject{Type: "query", ID: ident.New()}, Input: map[string]string{"question": "Who?"}}
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		r, err := s.AddRun(l.ctx, l.mine, n, once)
		l.ok(err)
		again, err := s.AddRun(l.ctx, l.mine, n, once)
		l.ok(err)
		same(t, "repeated", again.ID, r.ID)
		_, err = s.AddRun(l.ctx, l.mine, n, &ident.Once{Key: "k", Fingerprint: "other"})
		l.refused(err, fault.Invalid, "idempotency_key_reused")
		_, err = s.Run(l.ctx, l.foreign, r.ID)
		l.gone(err)

		sweep := func() int {
			left, err := s.Sweep(l.ctx, func(context.Context, string) error { return nil })
			l.ok(err)
			return left
		}
		_, lease, ok, err := s.Claim(l.ctx, "w", []runs.Kind{runs.KindQuery})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		_, err = s.Append(l.ctx, lease, runs.NewEvent{Type: runs.EventHits, Data: map[string]any{"hits": []map[string]string{{"document_id": doc.ID, "document_name": "a.md"}}}},
			runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "answer", Text: "Ann is secret"}})
		l.ok(err)
		l.ok(s.SaveStep(l.ctx, lease, runs.Step{Key: "reply", Done: true, Result: []byte(`"Ann is secret"`)}))
		_, err = s.Delete(l.ctx, l.mine, doc.ID, false)
		l.ok(err)
		if sweep() == 0 {
			t.Error("the run that reads the document goes on, and nothing of it is left to remove")
		}
		if steps, err := s.Steps(l.ctx, r.ID); err != nil || len(steps) == 0 {
			t.Errorf("the steps of a run that goes on are gone: %v", err)
		}
		l.ok(s.End(l.ctx, lease, runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "x", Detail: "y"}}))
		sweep()
		steps, err := s.Steps(l.ctx, r.ID)
		l.ok(err)
		log, err := s.Events(l.ctx, r.ID, 0, 100)
		l.ok(err)
		for _, e := range log {
			if strings.Contains(string(e.Data), "secret") || strings.Contains(string(e.Data), doc.ID) {
				t.Errorf("%s %s", e.Type, e.Data)
			}
		}
		if got, err := s.Run(l.ctx, l.mine, r.ID); err != nil || len(steps) != 0 || string(got.Input) != "{}" {
			t.Errorf("%d steps, input %s, %v", len(steps), got.Input, err)
		}
		next, err := s.Requeue(l.ctx, l.mine, r.ID, nil)
		if err != nil || next.Kind != runs.KindQuery || next.Status != runs.Queued {
			t.Errorf("%+v %v", next, err)
		}
	})
}
