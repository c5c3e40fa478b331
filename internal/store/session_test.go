package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// conversation is a session in a store, and what people and the writer do in it.
type conversation struct {
	rapid.TB
	store.Sessions
	all *store.Store
	ctx context.Context
	ws  ident.Workspace
	id  string
}

func talk(t rapid.TB, s *store.Store) conversation {
	t.Helper()
	c := conversation{t, s.Sessions(), s, context.Background(), ident.Local, ""}
	added, err := c.Add(c.ctx, session.Session{Workspace: c.ws}, session.Settings{Words: 100}, nil)
	c.ok(err)
	c.id = added.ID
	return c
}

func (c conversation) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c conversation) say(text string) session.Turn {
	c.Helper()
	return c.said(session.Said{Content: text, Author: "ann"})
}

func (c conversation) said(s session.Said) session.Turn {
	c.Helper()
	turn, err := c.Say(c.ctx, c.ws, c.id, s, nil)
	c.ok(err)
	return turn
}

var chat = []runs.Kind{runs.KindChat}

// claim takes the next chat run.
func (c conversation) claim() (r runs.Run, l runs.Lease, ok bool) {
	c.Helper()
	r, l, ok, err := c.all.Claim(c.ctx, "w", chat)
	c.ok(err)
	return r, l, ok
}

// answer does the next chat run.
func (c conversation) answer(text string) session.Message {
	c.Helper()
	_, l, ok := c.claim()
	if !ok {
		c.Fatal("nobody waits for an answer")
	}
	m, err := c.Reply(c.ctx, l, session.Message{Content: text})
	c.ok(err)
	c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
	return m
}

// texts are the newest branch, or the one through a message.
func (c conversation) texts(through string) (list []string) {
	c.Helper()
	page, total, earlier, err := c.Branch(c.ctx, c.ws, c.id, through, "", 100)
	c.ok(err)
	if total != len(page) || earlier {
		c.Errorf("a whole branch of %d is told as %d, earlier %t", len(page), total, earlier)
	}
	for _, m := range page {
		list = append(list, m.Content)
	}
	return list
}

func (c conversation) message(id string) session.Message {
	c.Helper()
	m, err := c.Message(c.ctx, c.ws, c.id, id)
	c.ok(err)
	return m
}

func (c conversation) log(after int64) []runs.Event {
	c.Helper()
	list, err := c.all.SessionEvents(c.ctx, c.ws, c.id, after, 1000)
	c.ok(err)
	return list
}

func (c conversation) types(after int64) (list []string) {
	c.Helper()
	for _, e := range c.log(after) {
		list = append(list, e.Type)
	}
	return list
}

func (c conversation) refused(err error, kind fault.Kind, code string) {
	c.Helper()
	if f := fault.Of(err); f == nil || f.Kind != kind || f.Code != code {
		c.Errorf("got %v, want kind %d, code %s", err, kind, code)
	}
}

func eachTalk(t *testing.T, test func(t *testing.T, c conversation)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) { test(t, talk(t, s)) })
}

// A message, its run and the place of its answer are there at once, and the run finds what it needs in its input.
func TestSay(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		name, provider := "", "openai"
		_, err := c.Update(c.ctx, c.ws, c.id, session.Patch{Name: &name, Provider: &provider})
		c.ok(err)
		turn := c.said(session.Said{Content: "  What is in it?\nTell me.", Author: "ann", Action: &session.Press{Name: "ask"}})
		same(t, "types", c.types(1), []string{session.EventMessageCreated, session.EventUpdated, runs.EventCreated, session.EventMessageCreated})
		if turn.Run.Status != runs.Queued || turn.Run.Subject != (runs.Subject{Type: "message", ID: turn.Message.ID}) || turn.Run.SessionID != c.id || turn.Run.Kind != runs.KindChat {
			t.Errorf("run %+v", turn.Run)
		}
		if turn.Reply.ParentID != turn.Message.ID || turn.Reply.RunID != turn.Run.ID || turn.Reply.Content != "" || turn.Reply.Role != session.Assistant {
			t.Errorf("reply %+v", turn.Reply)
		}
		var w session.Wish
		c.ok(json.Unmarshal(turn.Run.Input, &w))
		same(t, "wish", w, session.Wish{SessionID: c.id, MessageID: turn.Message.ID, ReplyID: turn.Reply.ID, Action: &session.Press{Name: "ask"}, Provider: "openai",
			Settings: session.Settings{Words: 100}, Author: "ann"})
		s, err := c.Session(c.ctx, c.ws, c.id)
		c.ok(err)
		if s.Name != "What is in it?" || s.Messages != 2 || s.Touched != turn.Reply.ID {
			t.Errorf("session %+v", s)
		}
		m := c.answer("A text.")
		same(t, "branch", c.texts(""), []string{"  What is in it?\nTell me.", "A text."})
		if m.ID != turn.Reply.ID {
			t.Errorf("the answer is %s, not the message that waited for it", m.ID)
		}
		if _, err := c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x", DraftID: ident.New()}, nil); !isMissing(err, "draft") {
			t.Errorf("draft: %v", err)
		}
		if _, err := c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x", DocumentIDs: []string{ident.New()}}, nil); !isMissing(err, "document") {
			t.Errorf("document: %v", err)
		}
		if _, err := c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x", ParentID: ident.New()}, nil); !isMissing(err, "message") {
			t.Errorf("parent: %v", err)
		}
		same(t, "nothing of those is there", len(c.texts("")), 2)
	})
}

func isMissing(err error, noun string) bool {
	f := fault.Of(err)
	return f != nil && f.Kind == fault.NotFound && strings.Contains(f.Say, noun)
}

// A question that yields ends when something else is said; another one goes on waiting.
func TestQuestionsThatYield(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		for _, yields := range []bool{true, false} {
			c := talk(t, c.all)
			first := c.say("one")
			r, l, ok := c.claim()
			if !ok || r.ID != first.Run.ID {
				t.Fatalf("claimed %s", r.ID)
			}
			q := runs.Question{ID: ident.New(), Key: "ask/1", Kind: runs.AskText, Text: "What?", Yields: yields, ExpiresAt: time.Now().Add(time.Hour)}
			c.ok(c.all.Ask(c.ctx, l, q))
			second := c.say("two")
			r, l, ok = c.claim()
			if ok != yields || ok && r.ID != first.Run.ID {
				t.Errorf("yields %t: claimed %t %s", yields, ok, r.ID)
			}
			if !yields {
				if now, err := c.all.Run(c.ctx, c.ws, first.Run.ID); err != nil || now.Status != runs.Waiting {
					t.Errorf("%+v %v", now, err)
				}
				continue
			}
			steps, err := c.all.Steps(c.ctx, first.Run.ID)
			c.ok(err)
			var reply runs.Reply
			if len(steps) != 1 || !steps[0].Done || json.Unmarshal(steps[0].Result, &reply) != nil || !reply.Expired {
				t.Errorf("%+v", steps)
			}
			c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
			if r, _, ok = c.claim(); !ok || r.ID != second.Run.ID {
				t.Errorf("the second message is not answered: %t %s", ok, r.ID)
			}
		}
	})
}

// Runs of one session go one after another, those of others do not wait for them.
func TestChatRunsTakeTurns(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		other := talk(t, c.all)
		first, second := c.say("one"), c.say("two")
		if second.Message.ParentID != first.Reply.ID {
			t.Error("what is said meanwhile does not come behind the answer")
		}
		elsewhere := other.say("three")
		r, l, ok := c.claim()
		if !ok || r.ID != first.Run.ID {
			t.Fatalf("claimed %s", r.ID)
		}
		r, _, ok = c.claim()
		if !ok || r.ID != elsewhere.Run.ID {
			t.Fatalf("the other session's run waits, or the second one does not: %s", r.ID)
		}
		if _, _, ok := c.claim(); ok {
			t.Fatal("two runs of a session at once")
		}
		c.ok(c.all.Ask(c.ctx, l, runs.Question{ID: ident.New(), Key: "ask/1", Kind: runs.AskConfirm, Text: "Really?"}))
		if _, _, ok := c.claim(); ok {
			t.Fatal("a run that waits for an answer is under way")
		}
		q, err := c.all.Run(c.ctx, c.ws, first.Run.ID)
		c.ok(err)
		_, err = c.all.Answer(c.ctx, c.ws, first.Run.ID, q.Question.ID, runs.Reply{Value: json.RawMessage("true")})
		c.ok(err)
		r, l, ok = c.claim()
		if !ok || r.ID != first.Run.ID {
			t.Fatal("the first one does not go on")
		}
		c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Queued, Failure: &runs.Failure{}, Wait: time.Hour}))
		if _, _, ok := c.claim(); ok {
			t.Fatal("the second overtakes the first, which is tried again later")
		}
		_, err = c.all.Cancel(c.ctx, c.ws, first.Run.ID)
		c.ok(err)
		if r, _, ok = c.claim(); !ok || r.ID != second.Run.ID {
			t.Fatal("the second does not begin behind the first")
		}
		history, err := c.History(c.ctx, c.ws, c.id, second.Message.ID)
		c.ok(err)
		same(t, "history, without the answer that never was", len(history), 2)
	})
}

// Whoever claims at once, with ids in any order, never works twice in one session.
func TestClaimsInOneSession(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		const n = 8
		for range n {
			c.say("again")
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		working, done := 0, 0
		for range 4 {
			all.Go(func() {
				for {
					mu.Lock()
					over := done == n
					mu.Unlock()
					if over {
						return
					}
					_, l, ok, err := c.all.Claim(c.ctx, "w", chat)
					if err != nil {
						t.Error(err)
						return
					}
					if !ok {
						continue
					}
					mu.Lock()
					if working++; working > 1 {
						t.Error("two at once")
					}
					mu.Unlock()
					_, err = c.Reply(c.ctx, l, session.Message{Content: "yes"})
					mu.Lock() // what follows lets the next one begin
					working--
					done++
					mu.Unlock()
					if err = errors.Join(err, c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed})); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		same(t, "branch", len(c.texts("")), 2*n)
	})
}

// All events of a session, of its runs and its own, are numbered in one sequence without a gap, whoever writes at the same time;
// a reader with any cursor and page gets each once and in order; and each commit wakes.
func TestSessionLog(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		var woken sync.Map
		cancel := c.all.Bus().Subscribe(func(topics []string) {
			for _, topic := range topics {
				if id, ok := runs.SessionOf(topic); ok {
					woken.Store(id, true)
				}
			}
		})
		defer cancel()
		drafts := queued(t, c.all, 3, c.id)
		c.say("hello")
		var all sync.WaitGroup
		for range drafts {
			l := claimed(t, c.all, "w")
			all.Go(func() {
				for range 8 {
					if _, err := c.all.Append(c.ctx, l, notice, notice); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 3 {
			all.Go(func() {
				for j := range 5 {
					if _, err := c.PatchState(c.ctx, c.ws, c.id, json.RawMessage(fmt.Sprintf(`{"%d":%d}`, i, j))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		log := c.log(0)
		head, err := c.all.SessionHead(c.ctx, c.ws, c.id)
		c.ok(err)
		heads, err := c.all.SessionHeads(c.ctx, []string{c.id, ident.New()})
		c.ok(err)
		same(t, "heads", heads, map[string]int64{c.id: head})
		if want := 3 + 4 + 3 + 48 + 15; len(log) != want || head != int64(want) {
			t.Errorf("%d events, head %d, want %d", len(log), head, want)
		}
		for i, e := range log {
			if e.SessionSeq != int64(i+1) || e.SessionID != c.id || e.RunID == "" && e.Seq != e.SessionSeq || e.At.IsZero() || len(e.Data) == 0 {
				t.Fatalf("event %d: %+v", i+1, e)
			}
		}
		for limit := 1; limit < 20; limit += 3 {
			var got []runs.Event
			for after := int64(0); ; {
				page, err := c.all.SessionEvents(c.ctx, c.ws, c.id, after, limit)
				c.ok(err)
				got = append(got, page...)
				if len(page) < limit {
					break
				}
				after = page[len(page)-1].SessionSeq
			}
			same(t, fmt.Sprintf("in pages of %d", limit), got, log)
		}
		if _, ok := woken.Load(c.id); !ok {
			t.Error("nobody was woken")
		}
		_, err = c.all.SessionEvents(c.ctx, "elsewhere", c.id, 0, 10)
		c.refused(err, fault.NotFound, "not_found")
		_, err = c.all.SessionHead(c.ctx, "elsewhere", c.id)
		c.refused(err, fault.NotFound, "not_found")
	})
}

// A repeated request makes nothing new; the same key for something else is refused.
func TestSayOnce(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		once := &ident.Once{Key: "k", Fingerprint: "1"}
		s1, err := c.Add(c.ctx, session.Session{Workspace: c.ws, Name: "n"}, session.Settings{}, &ident.Once{Key: "s"})
		c.ok(err)
		s2, err := c.Add(c.ctx, session.Session{Workspace: c.ws, Name: "n"}, session.Settings{}, &ident.Once{Key: "s"})
		c.ok(err)
		same(t, "session", s2, s1)
		var turns []session.Turn
		for range 2 {
			turn, err := c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x"}, once)
			c.ok(err)
			turns = append(turns, turn)
		}
		same(t, "turn", turns[1], turns[0])
		_, err = c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x"}, &ident.Once{Key: "k", Fingerprint: "2"})
		c.refused(err, fault.Invalid, "idempotency_key_reused")
		e := session.Element{SessionID: c.id, Type: session.ElementText, Display: session.Inline, Data: json.RawMessage(`{"text":"t"}`), MessageID: turns[0].Message.ID}
		var elements []session.Element
		for range 2 {
			added, err := c.AddElement(c.ctx, c.ws, e, &ident.Once{Key: "e"})
			c.ok(err)
			elements = append(elements, added)
		}
		same(t, "element", elements[1], elements[0])
		same(t, "messages", len(c.texts("")), 2)
	})
}

// A session goes with its messages, runs and events; documents and drafts stay.
func TestDeleteSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		lib := newLibrary(t, s)
		c := talk(t, s)
		doc := lib.upload(c.ws, "a.md", "Words.\n")
		d, writes, err := s.Drafts().Add(c.ctx, draft.Draft{Workspace: c.ws, SessionID: c.id, Title: "T", DocumentIDs: []string{doc.ID}}, draft.Wish{}, nil)
		c.ok(err)
		if d.SessionID != c.id || writes.SessionID != c.id {
			t.Errorf("draft %+v of no session", d)
		}
		turn := c.said(session.Said{Content: "Something private", DocumentIDs: []string{doc.ID}, DraftID: d.ID})
		_, l, _ := c.claim()
		_, err = c.Reply(c.ctx, l, session.Message{Content: "A private answer"})
		c.ok(err)
		_, err = c.AddElement(c.ctx, c.ws, session.Element{SessionID: c.id, Type: session.ElementText, Display: session.Inline, Data: json.RawMessage(`"private"`)}, nil)
		c.ok(err)
		c.refused(c.Delete(c.ctx, "elsewhere", c.id), fault.NotFound, "not_found")
		c.ok(c.Delete(c.ctx, c.ws, c.id))
		for what, err := range map[string]error{
			"session": second(c.Session(c.ctx, c.ws, c.id)), "events": second(s.SessionEvents(c.ctx, c.ws, c.id, 0, 1)), "run": second(s.Run(c.ctx, c.ws, turn.Run.ID)),
			"message": second(c.Message(c.ctx, c.ws, c.id, turn.Message.ID)), "again": c.Delete(c.ctx, c.ws, c.id),
		} {
			if !isMissing(err, "") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := s.Append(c.ctx, l, notice); !errors.Is(err, runs.ErrFenced) {
			t.Errorf("its run goes on: %v", err)
		}
		d, err = s.Drafts().Draft(c.ctx, c.ws, d.ID)
		c.ok(err)
		if d.SessionID != "" {
			t.Error("the draft still names the session")
		}
		_, l, ok, err := s.Claim(c.ctx, "w", generate)
		if err != nil || !ok || l.RunID != writes.ID {
			t.Fatalf("the draft's run does not go on: %t %v", ok, err)
		}
		c.ok(second(s.Append(c.ctx, l, notice)))
		c.ok(second(s.Document(c.ctx, c.ws, doc.ID)))
		_, err = s.Sweep(c.ctx, func(context.Context, string) error { return nil })
		c.ok(err)
		report, err := s.Verify(c.ctx, store.VerifyOptions{Contains: []string{"private"}})
		c.ok(err)
		same(t, "problems", report.Problems, []store.Problem(nil))
		if _, _, err := s.Drafts().Add(c.ctx, draft.Draft{Workspace: c.ws, SessionID: c.id, Title: "T"}, draft.Wish{}, nil); !isMissing(err, "session") {
			t.Errorf("a draft in a session that is gone: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Lists are in the order of use, found by name, message and tag, and each page goes on behind the one before.
func TestListSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first := talk(t, s)
		var ids []string
		for i := range 5 {
			c := first
			tags := []string{}
			if i == 2 {
				tags = []string{"work"}
			}
			added, err := c.Add(c.ctx, session.Session{Workspace: c.ws, Name: fmt.Sprintf("Plan Ü%d", i), Tags: tags}, session.Settings{}, nil)
			c.ok(err)
			ids = append(ids, added.ID)
		}
		first.say("Where is the TREASURE?")
		list := func(f session.Filter) (got []string, total int) {
			for f.Limit = 2; ; {
				page, n, err := first.Sessions.Sessions(first.ctx, first.ws, f)
				first.ok(err)
				total = n
				for _, s := range page {
					got = append(got, s.ID)
				}
				if len(page) < f.Limit {
					return got, total
				}
				f.Cursor = page[len(page)-1].Touched
			}
		}
		slices.Reverse(ids)
		for _, row := range []struct {
			name string
			f    session.Filter
			want []string
		}{
			{"all", session.Filter{}, append([]string{first.id}, ids...)},
			{"name", session.Filter{Query: "plan ü3"}, ids[1:2]},
			{"message", session.Filter{Query: "treasure"}, []string{first.id}},
			{"tag", session.Filter{Tag: "work"}, ids[2:3]},
			{"a part of a tag", session.Filter{Tag: "wor"}, nil},
			{"literal", session.Filter{Query: "%"}, nil},
		} {
			got, total := list(row.f)
			same(t, row.name, got, row.want)
			same(t, row.name+" total", total, len(row.want))
		}
		page, total, err := first.Sessions.Sessions(first.ctx, "elsewhere", session.Filter{Limit: 10})
		if err != nil || len(page) != 0 || total != 0 {
			t.Errorf("elsewhere: %d %d %v", len(page), total, err)
		}
	})
}

// What people set is there again, told to all, and refused when another one was faster.
func TestChangeSession(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		name, tags, model := "Name", []string{"a", "b"}, "m"
		s, err := c.Update(c.ctx, c.ws, c.id, session.Patch{Name: &name, Tags: &tags, Model: &model, Match: 1})
		c.ok(err)
		if s.Name != name || s.Model != model || s.Version != 2 {
			t.Errorf("session %+v", s)
		}
		same(t, "tags", s.Tags, tags)
		_, err = c.Update(c.ctx, c.ws, c.id, session.Patch{Name: &model, Match: 1})
		c.refused(err, fault.Stale, "stale")
		s, err = c.Update(c.ctx, c.ws, c.id, session.Patch{Name: &name})
		c.ok(err)
		same(t, "nothing new", s.Version, 2)
		c.ok(c.SetSettings(c.ctx, c.ws, c.id, session.Settings{Language: "ko", Must: []string{"x"}}))
		settings, err := c.Settings(c.ctx, c.ws, c.id)
		c.ok(err)
		same(t, "settings", settings, session.Settings{Language: "ko", Must: []string{"x"}})
		_, err = c.PatchState(c.ctx, c.ws, c.id, json.RawMessage(`{"a":{"b":1},"c":2}`))
		c.ok(err)
		state, err := c.PatchState(c.ctx, c.ws, c.id, json.RawMessage(`{"a":{"b":null,"d":12345678901234567890}}`))
		c.ok(err)
		same(t, "state", string(state), `{"a":{"d":12345678901234567890},"c":2}`)
		state, err = c.State(c.ctx, c.ws, c.id)
		c.ok(err)
		same(t, "state", string(state), `{"a":{"d":12345678901234567890},"c":2}`)
		_, err = c.PatchState(c.ctx, c.ws, c.id, json.RawMessage(`[]`))
		c.refused(err, fault.Invalid, "bad_patch")
		same(t, "types", c.types(0), slices.Repeat([]string{session.EventUpdated}, 4))
		same(t, "data", string(c.log(0)[0].Data), `{"name":"Name","tags":["a","b"],"changed":["name","llm_model","tags"]}`)
	})
}

// A draft tells its session what people do to it.
func TestDraftsTellTheirSession(t *testing.T) {
	eachTalk(t, func(t *testing.T, c conversation) {
		d, _, err := c.all.Drafts().Add(c.ctx, draft.Draft{Workspace: c.ws, SessionID: c.id, Title: "T"}, draft.Wish{}, nil)
		c.ok(err)
		_, l, _, err := c.all.Claim(c.ctx, "w", generate)
		c.ok(err)
		_, err = c.all.Drafts().AddVersion(c.ctx, l, draft.Result{Title: "T", Version: draft.Version{Content: "x", Cause: draft.CauseGenerate}}, runs.NewEvent{Type: runs.EventVersion})
		c.ok(err)
		c.ok(c.all.End(c.ctx, l, runs.Ending{Status: runs.Completed}))
		content := "y"
		_, err = c.all.Drafts().Save(c.ctx, c.ws, d.ID, 1, draft.Edit{Content: &content})
		c.ok(err)
		of, err := c.Session(c.ctx, c.ws, c.id)
		c.ok(err)
		same(t, "drafts", of.Drafts, []session.Draft{{ID: d.ID, Title: "T", Status: draft.Completed, Version: 2}})
		c.ok(c.all.Drafts().Delete(c.ctx, c.ws, d.ID))
		same(t, "types", c.types(0), []string{runs.EventCreated, session.EventDraftUpdated, runs.EventStarted, runs.EventVersion, runs.EventCompleted, session.EventDraftUpdated, session.EventDraftUpdated})
		log := c.log(0)
		same(t, "data", string(log[5].Data), `{"draft_id":"`+d.ID+`","version":2,"status":"completed"}`)
		same(t, "data", string(log[6].Data), `{"draft_id":"`+d.ID+`","version":2,"deleted":true}`)
	})
}

// Elements are of a session or of one of its messages.
func TestElements(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		lib := newLibrary(t, s)
		c := talk(t, s)
		doc := lib.upload(c.ws, "a.md", "Words.\n")
		foreign := lib.upload(lib.foreign, "b.md", "Words.\n")
		turn := c.say("x")
		for _, e := range []session.Element{{Type: session.ElementPDF, DocumentID: doc.ID, Page: 3, Name: "p"}, {Type: session.ElementText, MessageID: turn.Message.ID, Data: json.RawMessage(`{"a":1}`)}} {
			e.SessionID, e.Display = c.id, session.Side
			_, err := c.AddElement(c.ctx, c.ws, e, nil)
			c.ok(err)
		}
		list, total, err := c.Elements(c.ctx, c.ws, c.id, "", "", 1)
		c.ok(err)
		if total != 2 || len(list) != 1 || string(list[0].Data) != `{"a":1}` {
			t.Errorf("%d: %+v", total, list)
		}
		list, total, err = c.Elements(c.ctx, c.ws, c.id, "", list[0].ID, 5)
		c.ok(err)
		if total != 2 || len(list) != 1 || list[0].Page != 3 {
			t.Errorf("%d: %+v", total, list)
		}
		list, _, err = c.Elements(c.ctx, c.ws, c.id, turn.Message.ID, "", 5)
		c.ok(err)
		same(t, "of the message", c.message(turn.Message.ID).Elements, list)
		_, err = c.AddElement(c.ctx, c.ws, session.Element{SessionID: c.id, DocumentID: foreign.ID}, nil)
		if !isMissing(err, "document") {
			t.Errorf("foreign document: %v", err)
		}
		_, err = c.AddElement(c.ctx, c.ws, session.Element{SessionID: c.id, MessageID: ident.New()}, nil)
		if !isMissing(err, "message") {
			t.Errorf("no message: %v", err)
		}
		_, _, err = s.Documents(c.ctx, c.ws, document.Filter{Limit: 1})
		c.ok(err)
	})
}
