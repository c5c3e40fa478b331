package store_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// sessionOperations prepare something in a session and give the call that writes, with the tables that it cannot do without.
var sessionOperations = map[string]struct {
	tables  string
	prepare func(l library, c conversation) func() error
}{
	"Add": {"session idempotency", func(_ library, c conversation) func() error {
		return func() error {
			return second(c.Add(c.ctx, session.Session{Workspace: c.ws}, session.Settings{}, &ident.Once{Key: ident.New()}))
		}
	}},
	"Update": {"session session_event session_document draft message", func(_ library, c conversation) func() error {
		return func() error { return second(c.Update(c.ctx, c.ws, c.id, session.Patch{Name: ptr(ident.New())})) }
	}},
	"SetSettings": {"session session_event", func(_ library, c conversation) func() error {
		return func() error { return c.SetSettings(c.ctx, c.ws, c.id, session.Settings{TopK: 3}) }
	}},
	"PatchState": {"session session_event", func(_ library, c conversation) func() error {
		return func() error { return second(c.PatchState(c.ctx, c.ws, c.id, json.RawMessage(`{"a":1}`))) }
	}},
	"Say": {"session session_event session_document message message_document message_element run run_event document draft idempotency", func(l library, c conversation) func() error {
		d := l.upload(l.mine, "a.md", ident.New())
		post, _, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: l.mine}, draft.Wish{}, nil)
		l.ok(err)
		return func() error {
			return second(c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x", DocumentIDs: []string{d.ID}, DraftID: post.ID}, &ident.Once{Key: ident.New()}))
		}
	}},
	"Say again": {"session message message_element run idempotency", func(_ library, c conversation) func() error {
		once := &ident.Once{Key: ident.New()}
		c.ok(second(c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x"}, once)))
		return func() error { return second(c.Say(c.ctx, c.ws, c.id, session.Said{Content: "x"}, once)) }
	}},
	"Rerun": {"session session_event message message_element run run_event", func(_ library, c conversation) func() error {
		turn := c.say("x")
		return func() error {
			return second(c.Say(c.ctx, c.ws, c.id, session.Said{Content: "y", Edits: turn.Message.ID}, nil))
		}
	}},
	"Regenerate": {"session session_event message message_element run run_event", func(_ library, c conversation) func() error {
		turn := c.say("x")
		return func() error { return second(c.Regenerate(c.ctx, c.ws, c.id, turn.Reply.ID, "ann", nil)) }
	}},
	"Act": {"session session_event message message_element run run_event", func(_ library, c conversation) func() error {
		c.say("x")
		_, lease, _ := c.claim()
		m, err := c.Reply(c.ctx, lease, session.Message{Content: "y", Actions: []session.Action{{Name: "a", Label: "A"}}})
		c.ok(err)
		return func() error { return second(c.Act(c.ctx, c.ws, c.id, m.ID, m.Actions[0].ID, "ann")) }
	}},
	"Edit": {"session session_event message message_element message_document run", func(_ library, c conversation) func() error {
		turn := c.say("x")
		return func() error { return second(c.Edit(c.ctx, c.ws, c.id, turn.Message.ID, "y")) }
	}},
	"Remove": {"session session_event message message_element run run_event trash", func(_ library, c conversation) func() error {
		turn := c.say("x")
		return func() error { return c.Remove(c.ctx, c.ws, c.id, turn.Message.ID) }
	}},
	"Rate": {"session session_event message message_element", func(_ library, c conversation) func() error {
		turn := c.say("x")
		return func() error { return second(c.Rate(c.ctx, c.ws, c.id, turn.Reply.ID, session.Feedback{Value: 1})) }
	}},
	"AddElement": {"session session_event session_document message message_element document idempotency", func(l library, c conversation) func() error {
		d := l.upload(l.mine, "a.md", ident.New())
		turn := c.say("x")
		return func() error {
			return second(c.AddElement(c.ctx, c.ws, session.Element{SessionID: c.id, MessageID: turn.Message.ID, DocumentID: d.ID, Type: session.ElementPDF, Display: session.Side}, &ident.Once{Key: ident.New()}))
		}
	}},
	"Reply": {"session session_event message message_element message_document run run_event document", func(l library, c conversation) func() error {
		d := l.upload(l.mine, "a.md", ident.New())
		c.say("x")
		_, lease, _ := c.claim()
		return func() error {
			return second(c.Reply(c.ctx, lease, session.Message{Content: "y", Citations: []draft.Citation{{Spans: []draft.Span{{DocumentID: d.ID}}}},
				Elements: []session.Element{{Type: session.ElementPDF, Display: session.Inline, DocumentID: d.ID}}}, notice))
		}
	}},
	"Delete": {"session run run_event draft message session_event trash", func(_ library, c conversation) func() error {
		c.say("x")
		return func() error { return c.Delete(c.ctx, c.ws, c.id) }
	}},
	"Cancel": {"session session_event message run run_event", func(_ library, c conversation) func() error {
		turn := c.say("x")
		_, lease, _ := c.claim()
		c.ok(second(c.all.Append(c.ctx, lease, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: session.ChannelReply, Text: "y"}})))
		return func() error { return second(c.all.Cancel(c.ctx, c.ws, turn.Run.ID)) }
	}},
	"Requeue": {"session session_event message message_element run run_event run_step", func(_ library, c conversation) func() error {
		turn := c.say("x")
		_, lease, _ := c.claim()
		c.ok(c.all.End(c.ctx, lease, runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "x", Detail: "X."}}))
		return func() error { return second(c.all.Requeue(c.ctx, c.ws, turn.Run.ID, nil)) }
	}},
	"delete a document": {"session session_event session_document message message_document message_element document", func(l library, c conversation) func() error {
		d := l.upload(l.mine, "a.md", ident.New())
		c.said(session.Said{Content: "x", DocumentIDs: []string{d.ID}})
		return func() error { return second(l.Store.Delete(c.ctx, c.ws, d.ID, false)) }
	}},
	"write in a session": {"session session_event draft run run_event", func(l library, c conversation) func() error {
		return func() error {
			_, _, err := l.Drafts().Add(c.ctx, draft.Draft{Workspace: c.ws, SessionID: c.id}, draft.Wish{}, nil)
			return err
		}
	}},
}

// A call in a session that fails in its middle leaves nothing behind either, and can be repeated.
func TestFailedTalkLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		for name, o := range sessionOperations {
			for table := range strings.FieldsSeq(o.tables) {
				for _, full := range []string{"session", "draft", "document", "run", "segment"} {
					l.ok(s.Damage(l.ctx, `DELETE FROM `+full))
				}
				call := o.prepare(l, talk(t, s))
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

// Reads of sessions fail as a whole too.
func TestTalkWithoutATable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := talk(t, s)
		turn := c.say("x")
		for name, r := range map[string]struct {
			tables string
			call   func() error
		}{
			"Session": {"session session_document draft message", func() error { return second(c.Session(c.ctx, c.ws, c.id)) }},
			"Sessions": {"session session_document message", func() error {
				_, _, err := c.Sessions.Sessions(c.ctx, c.ws, session.Filter{Query: "x", Limit: 2})
				return err
			}},
			"Settings": {"session", func() error { return second(c.Settings(c.ctx, c.ws, c.id)) }},
			"State":    {"session", func() error { return second(c.State(c.ctx, c.ws, c.id)) }},
			"RunIDs":   {"run", func() error { return second(c.RunIDs(c.ctx, c.ws, c.id)) }},
			"Message":  {"session message message_element", func() error { return second(c.Message(c.ctx, c.ws, c.id, turn.Message.ID)) }},
			"Branch":   {"session message message_element", func() error { _, _, _, err := c.Branch(c.ctx, c.ws, c.id, "", "", 9); return err }},
			"History":  {"session message message_element", func() error { return second(c.History(c.ctx, c.ws, c.id, turn.Message.ID)) }},
			"Elements": {"session message_element", func() error { _, _, err := c.Elements(c.ctx, c.ws, c.id, "", "", 9); return err }},
			"Ratings":  {"session message", func() error { return second(c.Ratings(c.ctx, c.ws, "", "", 9)) }},
			"Events":   {"session session_event run_event", func() error { return second(s.SessionEvents(c.ctx, c.ws, c.id, 0, 9)) }},
			"Head":     {"session", func() error { return second(s.SessionHead(c.ctx, c.ws, c.id)) }},
			"Heads":    {"session", func() error { return second(s.SessionHeads(c.ctx, []string{c.id})) }},
			"Claim":    {"run", func() error { _, _, _, err := s.Claim(context.Background(), "w", chat); return err }},
		} {
			for table := range strings.FieldsSeq(r.tables) {
				c.ok(s.Damage(c.ctx, `ALTER TABLE `+table+` RENAME TO lost`))
				if err := r.call(); err == nil {
					t.Errorf("%s without %s: no error", name, table)
				}
				c.ok(s.Damage(c.ctx, `ALTER TABLE lost RENAME TO `+table))
			}
		}
	})
}
