package store_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// ask leaves a run waiting for an answer.
func ask(t *testing.T, s *store.Store, until time.Time) (id string, q runs.Question) {
	t.Helper()
	id = queued(t, s, 1, "")[0]
	q = runs.Question{ID: ident.New(), Key: "ask/color", Kind: runs.AskChoice, Text: "Which color?", Choices: []runs.Choice{{Value: "red", Label: "Red"}, {Value: "blue", Label: "Blue"}}, ExpiresAt: until}
	l := claimed(t, s, "w")
	if err := s.Ask(t.Context(), l, q); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), l, notice); !errors.Is(err, runs.ErrFenced) {
		t.Errorf("the lease of a waiting run still holds: %v", err)
	}
	return id, q
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func TestRunWaitsForItsAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		id, q := ask(t, s, time.Time{})
		r, err := s.Run(t.Context(), ident.Local, id)
		if err != nil || r.Status != runs.Waiting {
			t.Fatalf("%+v %v", r, err)
		}
		if diff := cmp.Diff(&q, r.Question); diff != "" {
			t.Error(diff)
		}
		if _, _, ok, err := s.Claim(t.Context(), "w", generate); ok || err != nil {
			t.Errorf("a waiting run was claimed: %v", err)
		}
		answer := func(ws ident.Workspace, question, value string) string {
			_, err := s.Answer(t.Context(), ws, id, question, runs.Reply{Value: json.RawMessage(value), By: "ann"})
			return codeOf(err)
		}
		for _, c := range []struct {
			ws                    ident.Workspace
			question, value, want string
		}{
			{"another", q.ID, `"red"`, "not_found"}, {ident.Local, ident.New(), `"red"`, "other_question"}, {ident.Local, q.ID, `"green"`, "bad_answer"},
			{ident.Local, q.ID, `"red"`, ""}, {ident.Local, q.ID, ` "red" `, ""}, {ident.Local, q.ID, `"blue"`, "already_answered"}, {ident.Local, ident.New(), `"red"`, "not_waiting"},
		} {
			if got := answer(c.ws, c.question, c.value); got != c.want {
				t.Errorf("%s to %s: %q, want %q", c.value, c.question, got, c.want)
			}
		}
		r, l, ok, err := s.Claim(t.Context(), "w", generate)
		if err != nil || !ok || r.ID != id || r.Question != nil || r.Attempt != 2 {
			t.Fatalf("%+v %t %v", r, ok, err)
		}
		steps, err := s.Steps(t.Context(), id)
		if err != nil || len(steps) != 1 || !steps[0].Done {
			t.Fatalf("%+v %v", steps, err)
		}
		var reply runs.Reply
		if err := json.Unmarshal(steps[0].Result, &reply); err != nil || string(reply.Value) != `"red"` || reply.By != "ann" || reply.Expired {
			t.Errorf("%s %v", steps[0].Result, err)
		}
		if err := s.End(t.Context(), l, runs.Ending{Status: runs.Completed}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"run.created", "run.started", "run.waiting", "run.restarted", "run.completed"}, typesOf(t, s, id)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNobodyAnswersInTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		later, _ := ask(t, s, time.Now().Add(time.Hour))
		id, q := ask(t, s, time.Now().Add(-time.Second))
		r, _, ok, err := s.Claim(t.Context(), "w", generate)
		if err != nil || !ok || r.ID != id || r.Question != nil {
			t.Fatalf("%+v %t %v, want %s and not %s", r, ok, err, id, later)
		}
		steps, err := s.Steps(t.Context(), id)
		if err != nil || len(steps) != 1 {
			t.Fatal(steps, err)
		}
		var reply runs.Reply
		if err := json.Unmarshal(steps[0].Result, &reply); err != nil || !reply.Expired || reply.Value != nil {
			t.Errorf("%s %v", steps[0].Result, err)
		}
		if _, err := s.Answer(t.Context(), ident.Local, id, q.ID, runs.Reply{Value: json.RawMessage(`"red"`)}); codeOf(err) != "already_answered" {
			t.Errorf("an answer that comes too late: %v", err)
		}
	})
}

func TestWaitingRunIsCancelled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		id, q := ask(t, s, time.Time{})
		r, err := s.Cancel(t.Context(), ident.Local, id)
		if err != nil || r.Status != runs.Cancelled || r.Question != nil {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := s.Answer(t.Context(), ident.Local, id, q.ID, runs.Reply{Value: json.RawMessage(`"red"`)}); codeOf(err) != "not_waiting" {
			t.Errorf("got %v", err)
		}
	})
}

// A run that waits would keep what it has read of a source that is deleted; it begins again instead.
func TestDeletedSourceWakesWaitingRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		_, r, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine, DocumentIDs: []string{doc.ID}}, draft.Wish{DocumentIDs: []string{doc.ID}}, nil)
		l.ok(err)
		_, lease := l.claim()
		l.ok(s.Ask(l.ctx, lease, runs.Question{ID: ident.New(), Key: "ask/outline", Kind: runs.AskConfirm, Text: "Well?"}))
		_, err = s.Delete(l.ctx, l.mine, doc.ID, false)
		l.ok(err)
		got, err := s.Run(l.ctx, l.mine, r.ID)
		l.ok(err)
		if got.Status != runs.Queued || got.Question != nil {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		wish := draft.Wish{DocumentIDs: []string{doc.ID}, Title: "Ann"}
		d, r, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine, Title: "Ann", DocumentIDs: wish.DocumentIDs, Tags: []string{"x"}}, wish, nil)
		l.ok(err)
		if _, _, err := l.Drafts().Fork(l.ctx, l.mine, r.ID, "plan", nil); codeOf(err) != "run_not_ended" {
			t.Errorf("a run that goes on: %v", err)
		}
		_, lease := l.claim()
		for _, key := range []string{"survey", "plan", "show/s1", "gather", "write"} {
			l.ok(s.SaveStep(l.ctx, lease, runs.Step{Key: key, Done: true, Result: json.RawMessage(`{"key":"` + key + `"}`)}))
		}
		l.end(lease, runs.Completed)
		if _, _, err := l.Drafts().Fork(l.ctx, l.mine, r.ID, "nowhere", nil); codeOf(err) != "no_checkpoint" {
			t.Errorf("no such node: %v", err)
		}
		if _, _, err := l.Drafts().Fork(l.ctx, l.foreign, r.ID, "plan", nil); codeOf(err) != "not_found" {
			t.Errorf("a foreign run: %v", err)
		}
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		d2, r2, err := l.Drafts().Fork(l.ctx, l.mine, r.ID, "gather", once)
		l.ok(err)
		again, ra, err := l.Drafts().Fork(l.ctx, l.mine, r.ID, "gather", once)
		l.ok(err)
		if d2.ID == d.ID || r2.ID == r.ID || again.ID != d2.ID || ra.ID != r2.ID || d2.Status != draft.Generating || d2.Title != "Ann" || len(d2.Tags) != 1 {
			t.Errorf("%+v %+v", d2, r2)
		}
		steps, err := s.Steps(l.ctx, r2.ID)
		l.ok(err)
		var keys []string
		for _, st := range steps {
			keys = append(keys, st.Key)
		}
		if diff := cmp.Diff([]string{"survey", "plan", "gather"}, keys); diff != "" {
			t.Errorf("what the fork takes over: %s", diff)
		}
	})
}

func TestStyleGuide(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		l.ok(l.Drafts().SetStyleGuide(l.ctx, l.mine, "Short sentences."))
		for ws, want := range map[ident.Workspace]string{l.mine: "Short sentences.", l.foreign: ""} {
			got, err := l.Drafts().StyleGuide(l.ctx, ws)
			l.ok(err)
			if got != want {
				t.Errorf("%s has %q", ws, got)
			}
		}
		if err := l.Drafts().SetStyleGuide(l.ctx, "nobody", "x"); codeOf(err) != "not_found" {
			t.Errorf("got %v", err)
		}
	})
}

func TestSourcesAreAdded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		d, _, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine, DocumentIDs: []string{doc.ID}}, draft.Wish{DocumentIDs: []string{doc.ID}}, nil)
		l.ok(err)
		_, lease := l.claim()
		for range 2 {
			l.ok(l.Drafts().AddSources(l.ctx, lease, []string{"page", doc.ID}))
		}
		got, err := l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		if diff := cmp.Diff([]string{doc.ID, "page"}, got.DocumentIDs); diff != "" {
			t.Error(diff)
		}
		l.end(lease, runs.Completed)
		if err := l.Drafts().AddSources(l.ctx, lease, []string{"late"}); !errors.Is(err, runs.ErrFenced) {
			t.Errorf("a lease that is over: %v", err)
		}
	})
}
