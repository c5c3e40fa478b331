package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/session"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// An answer that is not completed keeps its text so far, says why it ended, and can be tried again in its place.
func TestUnfinishedAnswers(t *testing.T) {
	token := func(offset int, text string) runs.NewEvent {
		return runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: session.ChannelReply, Offset: offset, Text: text}}
	}
	eachTalk(t, func(t *testing.T, c conversation) {
		stopped := c.say("one")
		_, l, _ := c.claim()
		_, err := c.all.Append(c.ctx, l, token(0, "Half an "), token(8, "answer"))
		c.ok(err)
		_, err = c.all.Cancel(c.ctx, c.ws, stopped.Run.ID)
		c.ok(err)
		m := c.message(stopped.Reply.ID)
		if m.Content != "Half an answer" || m.Failure == nil || m.Failure.Code != "cancelled" {
			t.Errorf("stopped: %+v", m)
		}
		if _, err := c.Reply(c.ctx, l, session.Message{Content: "Late."}); !errors.Is(err, runs.ErrFenced) {
			t.Errorf("a late answer: %v", err)
		}
		failed := c.say("two")
		_, l, _ = c.claim()
		_, err = c.Reply(c.ctx, l, session.Message{Content: "Corrected so far."})
		c.ok(err)
		_, err = c.all.Append(c.ctx, l, token(0, "Raw"))
		c.ok(err)
		c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "llm_stalled", Detail: "It stalled."}}))
		m = c.message(failed.Reply.ID)
		if m.Content != "Corrected so far." || m.Failure == nil || *m.Failure != (runs.Failure{Code: "llm_stalled", Detail: "It stalled."}) {
			t.Errorf("failed: %+v", m)
		}
		log := c.log(0)
		if e := log[len(log)-2]; e.Type != session.EventMessageUpdated || !strings.Contains(string(e.Data), "llm_stalled") {
			t.Errorf("told %+v", e)
		}
		again, err := c.all.Requeue(c.ctx, c.ws, failed.Run.ID, nil)
		c.ok(err)
		m = c.answer("Whole.")
		if m.ID != failed.Reply.ID || m.Failure != nil || m.RunID != again.ID || m.Content != "Whole." {
			t.Errorf("tried again: %+v", m)
		}
		// Of a message that is gone nothing can be tried again.
		gone := c.say("three")
		_, l, _ = c.claim()
		c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "x", Detail: "X."}}))
		c.ok(c.all.Damage(c.ctx, `DELETE FROM message WHERE id = '`+gone.Reply.ID+`'`))
		_, err = c.all.Requeue(c.ctx, c.ws, gone.Run.ID, nil)
		c.refused(err, fault.Conflict, "subject_gone")
	})
}

// A button has one effect, whoever presses it, however often and at the same time; and it stays pressed.
func TestActions(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		c.say("one")
		_, l, _ := c.claim()
		m, err := c.Reply(c.ctx, l, session.Message{Content: "Yes.", Actions: []session.Action{{Name: "shorter", Label: "Shorter, please", Data: json.RawMessage(`{"by":2}`)}, {Name: "longer", Label: "Longer"}}})
		c.ok(err)
		var mu sync.Mutex
		var all sync.WaitGroup
		var turns []session.Turn
		for range 6 {
			all.Go(func() {
				turn, err := c.Act(c.ctx, c.ws, c.id, m.ID, m.Actions[0].ID, "ann")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				turns = append(turns, turn)
			})
		}
		all.Wait()
		for _, turn := range turns {
			same(t, "turn", turn, turns[0])
		}
		var w session.Wish
		c.ok(json.Unmarshal(turns[0].Run.Input, &w))
		same(t, "press", w.Action, &session.Press{Name: "shorter", ActionID: m.Actions[0].ID, MessageID: m.ID, Data: json.RawMessage(`{"by":2}`)})
		same(t, "branch", c.texts(""), []string{"one", "Yes.", "Shorter, please", ""})
		m, err = c.Reply(c.ctx, l, session.Message{Content: "Yes!", Actions: m.Actions})
		c.ok(err)
		if m.Actions[0].Pressed != turns[0].Message.ID || m.Actions[1].Pressed != "" {
			t.Errorf("actions %+v", m.Actions)
		}
		_, err = c.Act(c.ctx, c.ws, c.id, m.ID, "none", "ann")
		c.refused(err, fault.NotFound, "not_found")
		// What it made was deleted: it can be pressed again.
		c.ok(c.Remove(c.ctx, c.ws, c.id, turns[0].Message.ID))
		turn, err := c.Act(c.ctx, c.ws, c.id, m.ID, m.Actions[0].ID, "ann")
		c.ok(err)
		if turn.Message.ID == turns[0].Message.ID {
			t.Error("a message that is gone")
		}
	})
}

// Reply keeps citations, elements and usage, knows which sources are there, and hides them once they are gone.
func TestReplyAndItsSources(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		lib := newLibrary(t, s)
		c := talk(t, s)
		doc, kept := lib.upload(c.ws, "a.md", "Secret words.\n"), lib.upload(c.ws, "b.md", "Other words.\n")
		cite := func(id, quote string) draft.Citation {
			return draft.Citation{Claim: draft.Claim{Start: 0, End: 6, Text: "Claim."}, Verdict: draft.Verdict{Label: draft.Supported, Score: 1, Reasons: []string{}},
				Spans: []draft.Span{{DocumentID: id, DocumentName: "a", PassageID: "p", Start: 0, End: len(quote), Quote: quote}}}
		}
		c.said(session.Said{Content: "What?", DocumentIDs: []string{doc.ID, kept.ID}})
		r, l, _ := c.claim()
		c.ok(s.SaveStep(c.ctx, l, runs.Step{Key: "gather", Done: true, Result: json.RawMessage(fmt.Sprintf(`{"document_id":%q,"text":"Secret words."}`, doc.ID))}))
		m, err := c.Reply(c.ctx, l, session.Message{Content: "Claim. More.", Citations: []draft.Citation{cite(doc.ID, "Secret words."), cite(kept.ID, "Other words."), cite(ident.New(), "Gone.")},
			Elements: []session.Element{{Type: session.ElementPDF, Name: "page", Display: session.Side, DocumentID: doc.ID, Page: 2}, {Type: session.ElementTable, Display: session.Inline, Data: json.RawMessage(`[1]`)},
				{Type: session.ElementFile, Display: session.Inline, DocumentID: ident.New()}},
			Usage: &llm.Usage{Input: 3, Output: 4}}, runs.NewEvent{Type: runs.EventHits, Data: map[string]string{"document_id": doc.ID, "text": "Secret words."}})
		c.ok(err)
		c.ok(s.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		m.Stale = false // it cites what was gone before
		if len(m.Citations) != 3 || m.Citations[0].ID == "" || m.Citations[0].Spans[0].Gone || !m.Citations[2].Spans[0].Gone || len(m.Elements) != 2 || m.Usage.Output != 4 {
			t.Fatalf("reply %+v", m)
		}
		same(t, "read again", c.message(m.ID).Citations, m.Citations)
		of, err := c.Session(c.ctx, c.ws, c.id)
		c.ok(err)
		if len(of.Documents) != 2 || of.Documents[0].Filename != "a.md" {
			t.Errorf("documents %+v", of.Documents)
		}
		_, err = s.Delete(c.ctx, c.ws, doc.ID, true)
		c.ok(err)
		m = c.message(m.ID)
		if !m.Stale {
			t.Error("an answer whose source is gone does not say so")
		}
		if sp := m.Citations[0].Spans[0]; !sp.Gone || sp.Quote != "" || m.Citations[1].Spans[0].Quote != "Other words." || len(m.Elements) != 1 {
			t.Errorf("behind the deletion: %+v", m)
		}
		_, err = s.Sweep(c.ctx, func(context.Context, string) error { return nil })
		c.ok(err)
		steps, err := s.Steps(c.ctx, r.ID)
		c.ok(err)
		for _, e := range c.log(0) {
			if strings.Contains(string(e.Data), "Secret") {
				t.Errorf("event %+v still says it", e)
			}
		}
		same(t, "steps", len(steps), 0)
		of, err = c.Session(c.ctx, c.ws, c.id)
		c.ok(err)
		same(t, "documents", len(of.Documents), 1)
	})
}

// A deletion of a message takes what was being written to it with it; the rest of the branch goes on from the message before.
func TestRemoveMessage(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		a := c.say("a")
		c.answer("A")
		b := c.say("b is private")
		c.answer("B is private")
		writing := c.say("c")
		_, l, _ := c.claim()
		_, err := c.all.Append(c.ctx, l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: session.ChannelReply, Text: "private"}})
		c.ok(err)
		later := c.say("d")
		c.ok(c.Remove(c.ctx, c.ws, c.id, writing.Message.ID))
		same(t, "branch", c.texts(""), []string{"a", "A", "b is private", "B is private", "d", ""})
		if _, err := c.all.Append(c.ctx, l, notice); !errors.Is(err, runs.ErrFenced) {
			t.Errorf("its run goes on: %v", err)
		}
		_, err = c.all.Run(c.ctx, c.ws, writing.Run.ID)
		c.refused(err, fault.NotFound, "not_found")
		c.ok(c.Remove(c.ctx, c.ws, c.id, b.Message.ID))
		same(t, "branch", c.texts(""), []string{"a", "A", "B is private", "d", ""})
		c.ok(c.Remove(c.ctx, c.ws, c.id, b.Reply.ID))
		same(t, "branch", c.texts(""), []string{"a", "A", "d", ""})
		for _, e := range c.log(0) {
			if strings.Contains(string(e.Data), "private") {
				t.Errorf("event %+v still says it", e)
			}
		}
		_, err = c.all.Sweep(c.ctx, func(context.Context, string) error { return nil })
		c.ok(err)
		report, err := c.all.Verify(c.ctx, store.VerifyOptions{Contains: []string{"private"}})
		c.ok(err)
		same(t, "problems", report.Problems, []store.Problem(nil))
		same(t, "the answer to come has its place", c.answer("D").ID, later.Reply.ID)
		c.refused(c.Remove(c.ctx, c.ws, c.id, b.Reply.ID), fault.NotFound, "not_found")
		c.refused(c.Remove(c.ctx, "elsewhere", c.id, a.Message.ID), fault.NotFound, "not_found")
	})
}

// Texts change in their place, with the citations of sentences that stand; not while the answer is being written.
func TestEditMessage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		lib := newLibrary(t, s)
		c := talk(t, s)
		doc := lib.upload(c.ws, "a.md", "Words.\n")
		turn := c.say("a private word")
		_, l, _ := c.claim()
		span := []draft.Span{{DocumentID: doc.ID, Quote: "Words."}}
		_, err := c.Reply(c.ctx, l, session.Message{Content: "One. Two.", Citations: []draft.Citation{{Claim: draft.Claim{Start: 0, End: 4, Text: "One."}, Spans: span},
			{Claim: draft.Claim{Start: 5, End: 9, Text: "Two."}, Spans: span}}})
		c.ok(err)
		_, err = c.Edit(c.ctx, c.ws, c.id, turn.Reply.ID, "x")
		c.refused(err, fault.Conflict, "run_under_way")
		c.ok(s.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		m, err := c.Edit(c.ctx, c.ws, c.id, turn.Reply.ID, "Also. Two.")
		c.ok(err)
		if len(m.Citations) != 1 || m.Citations[0].Claim.Start != 6 || m.EditedAt.IsZero() {
			t.Errorf("edited %+v", m)
		}
		m, err = c.Edit(c.ctx, c.ws, c.id, turn.Message.ID, "a word")
		c.ok(err)
		same(t, "branch", c.texts(""), []string{"a word", "Also. Two."})
		log := c.log(0)
		for _, e := range log {
			if strings.Contains(string(e.Data), "private") && e.Type != session.EventUpdated { // the session is named after it
				t.Errorf("event %+v still says it", e)
			}
		}
		same(t, "told", log[len(log)-1].Type, session.EventMessageUpdated)
	})
}

// What people think of answers is kept and exported.
func TestFeedback(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		turn := c.say("Question?")
		c.answer("Answer.")
		m, err := c.Rate(c.ctx, c.ws, c.id, turn.Reply.ID, session.Feedback{Value: 0, Comment: "bad"})
		c.ok(err)
		m, err = c.Rate(c.ctx, c.ws, c.id, turn.Reply.ID, session.Feedback{Value: 1, Comment: "good"})
		c.ok(err)
		if m.Feedback == nil || m.Feedback.Value != 1 || m.Feedback.At.IsZero() {
			t.Errorf("feedback %+v", m.Feedback)
		}
		list, err := c.Ratings(c.ctx, c.ws, "", "", 10)
		c.ok(err)
		same(t, "ratings", list, []session.Rated{{SessionID: c.id, MessageID: turn.Reply.ID, Question: "Question?", Answer: "Answer.", Feedback: *m.Feedback, RunID: turn.Run.ID}})
		for name, q := range map[string][3]string{"elsewhere": {"x", "", ""}, "other session": {string(c.ws), ident.New(), ""}, "behind": {string(c.ws), c.id, turn.Reply.ID}} {
			list, err := c.Ratings(c.ctx, ident.Workspace(q[0]), q[1], q[2], 10)
			if err != nil || len(list) != 0 {
				t.Errorf("%s: %+v %v", name, list, err)
			}
		}
		_, err = c.Rate(c.ctx, c.ws, c.id, turn.Message.ID, session.Feedback{Value: 1})
		c.refused(err, fault.Conflict, "not_an_answer")
	})
}

// An edit with another answer is a branch beside the old one; both can be read, and each goes on by itself.
func TestBranches(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		a := c.say("a")
		c.answer("A")
		b := c.say("b")
		c.answer("B")
		again := c.said(session.Said{Content: "b2", Edits: b.Message.ID})
		c.answer("B2")
		same(t, "newest", c.texts(""), []string{"a", "A", "b2", "B2"})
		same(t, "old", c.texts(b.Message.ID), []string{"a", "A", "b", "B"})
		other, err := c.Regenerate(c.ctx, c.ws, c.id, again.Reply.ID, "bob", nil)
		c.ok(err)
		c.answer("B3")
		same(t, "regenerated", c.texts(""), []string{"a", "A", "b2", "B3"})
		if other.Message.ID != again.Message.ID {
			t.Error("another answer is one to another question")
		}
		page, total, earlier, err := c.Branch(c.ctx, c.ws, c.id, again.Reply.ID, "", 2)
		c.ok(err)
		if len(page) != 2 || total != 4 || !earlier || page[1].Content != "B2" {
			t.Errorf("last page: %d of %d, %t", len(page), total, earlier)
		}
		same(t, "siblings", page[1].Siblings, []string{again.Reply.ID, other.Reply.ID})
		same(t, "siblings", page[0].Siblings, []string{b.Message.ID, again.Message.ID})
		page, _, earlier, err = c.Branch(c.ctx, c.ws, c.id, again.Reply.ID, page[0].ID, 2)
		c.ok(err)
		if len(page) != 2 || earlier || page[0].ID != a.Message.ID {
			t.Errorf("first page: %+v, %t", page, earlier)
		}
		// What is said without a place goes on where the newest branch ends; one with a place there.
		same(t, "goes on", c.say("c").Message.ParentID, other.Reply.ID)
		same(t, "place", c.said(session.Said{Content: "d", ParentID: b.Reply.ID}).Message.ParentID, b.Reply.ID)
		history, err := c.History(c.ctx, c.ws, c.id, b.Message.ID)
		c.ok(err)
		if len(history) != 3 || history[2].ID != b.Message.ID {
			t.Errorf("history %+v", history)
		}
		_, err = c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x", Edits: a.Reply.ID}, nil)
		c.refused(err, fault.Conflict, "not_yours")
		_, _, _, err = c.Branch(c.ctx, c.ws, c.id, ident.New(), "", 2)
		c.refused(err, fault.NotFound, "not_found")
		_, err = c.History(c.ctx, c.ws, c.id, ident.New())
		c.refused(err, fault.NotFound, "not_found")
	})
}

// An answer says that a source has another text by now, and what was changed of a draft goes with the document that the draft was written
// from, though it does not name it.
func TestAnswersAndChangesOfWhatIsGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		lib := newLibrary(t, s)
		lib.mine = ident.Local
		c := talk(t, s)
		doc := lib.ready(c.ws, "a.md", lines("Ann", 3))
		post := lib.written(c.ws, doc)
		c.say("What?")
		_, l, _ := c.claim()
		m, err := c.Reply(c.ctx, l, session.Message{Content: "Ann has line 1.", Citations: []draft.Citation{{Claim: draft.Claim{End: 15, Text: "Ann has line 1."},
			Spans: []draft.Span{{DocumentID: doc.ID, Quote: "Ann has line 1."}}}}})
		c.ok(err)
		c.ok(s.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		if m.Stale {
			t.Error("a fresh answer is stale")
		}
		c.said(session.Said{Content: "Shorter", DraftID: post.ID})
		edit, l, _ := c.claim()
		c.ok(s.SaveStep(c.ctx, l, runs.Step{Key: "edit/verify", Done: true, Result: json.RawMessage(`{"old":"secret plugh"}`)}))
		_, err = c.Reply(c.ctx, l, session.Message{Content: "Done.", DraftID: post.ID})
		c.ok(err)
		c.ok(s.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		refined, err := s.Drafts().Refine(c.ctx, c.ws, 0, draft.Refinement{DraftID: post.ID, Feedback: "Shorter", Version: 1}, nil)
		c.ok(err)
		_, l, ok, err := s.Claim(c.ctx, "w", []runs.Kind{runs.KindRefine})
		if c.ok(err); !ok {
			t.Fatal("nobody refines")
		}
		c.ok(s.SaveStep(c.ctx, l, runs.Step{Key: "verify", Done: true, Result: json.RawMessage(`{"old":"secret plugh"}`)}))
		_, err = s.Append(c.ctx, l, runs.NewEvent{Type: runs.EventHits, Data: map[string]string{"text": "secret plugh"}})
		c.ok(err)
		c.ok(s.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		for _, id := range []string{edit.ID, refined.ID} {
			if steps, err := s.Steps(c.ctx, id); err != nil || len(steps) == 0 {
				t.Errorf("%v %v", steps, err)
			}
		}
		_, err = s.Delete(c.ctx, c.ws, doc.ID, true)
		c.ok(err)
		if !c.message(m.ID).Stale {
			t.Error("an answer whose source is gone does not say so")
		}
		lib.merge(c.ws)
		lib.sweep()
		lib.sound(store.VerifyOptions{Contains: []string{"plugh"}})
	})
}

// A question to a person may quote what was read: when that is deleted, the run begins again and asks for what is left.
func TestQuestionsGoWithWhatTheyQuote(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		lib := newLibrary(t, c.all)
		doc := lib.ready(c.ws, "a.md", lines("Ann", 3))
		c.say("a")
		r, l, _ := c.claim()
		hits := runs.NewEvent{Type: runs.EventHits, Data: map[string]any{"hits": []map[string]string{{"document_id": doc.ID}}}}
		_, err := c.all.Append(c.ctx, l, hits)
		c.ok(err)
		c.ok(c.all.SaveStep(c.ctx, l, runs.Step{Key: "answer", Done: true, Result: json.RawMessage(`"plugh"`)}))
		q := runs.Question{ID: ident.New(), Key: "ask/1", Kind: runs.AskConfirm, Text: "Send “plugh”?"}
		c.ok(c.all.Ask(c.ctx, l, q))
		_, err = c.all.Delete(c.ctx, c.ws, doc.ID, false)
		c.ok(err)
		_, err = c.all.Sweep(c.ctx, func(context.Context, string) error { return nil })
		c.ok(err)
		_, err = c.all.Answer(c.ctx, c.ws, r.ID, q.ID, runs.Reply{Value: json.RawMessage("true")})
		c.refused(err, fault.Conflict, "not_waiting")
		again, l, ok := c.claim()
		if !ok || again.ID != r.ID {
			t.Fatal("the run does not begin again")
		}
		c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		lib.merge(c.ws)
		lib.sweep()
		lib.sound(store.VerifyOptions{Contains: []string{"plugh"}})
	})
}

// Models are shown what was said before: when that is deleted or changed, the steps of later answers go, and those of earlier ones stay.
func TestStepsGoWithWhatTheyShowed(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		steps := func(id string) int {
			list, err := c.all.Steps(c.ctx, id)
			c.ok(err)
			return len(list)
		}
		var turns []session.Turn
		for _, text := range []string{"a", "b is private", "c"} {
			turns = append(turns, c.say(text))
			r, l, _ := c.claim()
			c.ok(c.all.SaveStep(c.ctx, l, runs.Step{Key: "route", Done: true, Result: json.RawMessage(`{"saw":"b is private"}`)}))
			_, err := c.Reply(c.ctx, l, session.Message{Content: "answer"})
			c.ok(err)
			c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
			same(t, "steps", steps(r.ID), 1)
		}
		_, err := c.Edit(c.ctx, c.ws, c.id, turns[2].Reply.ID, "another answer")
		c.ok(err)
		same(t, "steps of an answer that is changed", steps(turns[2].Run.ID), 0) // a model said it
		same(t, "steps before", steps(turns[1].Run.ID), 1)
		_, err = c.Edit(c.ctx, c.ws, c.id, turns[0].Message.ID, "another question")
		c.ok(err)
		same(t, "steps behind", steps(turns[1].Run.ID), 0)
	})
}
