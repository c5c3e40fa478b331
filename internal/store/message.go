package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

const messageNoun = "message"

const messageColumns = `m.id, m.session_id, m.parent_id, m.role, m.author, m.content, m.run_id, m.draft_id, m.document_ids, m.citations, m.actions, m.usage,
	m.error_code, m.error, m.rating, m.comment, m.rated_at, m.created_at, m.edited_at`

func scanMessage(row scanner) (session.Message, error) {
	var m session.Message
	var documents, citations, actions, usage, code, detail, comment string
	var rating int
	var rated, created, edited int64
	err := row.Scan(&m.ID, &m.SessionID, &m.ParentID, &m.Role, &m.Author, &m.Content, &m.RunID, &m.DraftID, &documents, &citations, &actions, &usage,
		&code, &detail, &rating, &comment, &rated, &created, &edited)
	for _, part := range []struct {
		text string
		to   any
	}{{citations, &m.Citations}, {actions, &m.Actions}, {usage, &m.Usage}} {
		if err == nil && part.text != "" {
			err = json.Unmarshal([]byte(part.text), part.to)
		}
	}
	m.DocumentIDs, m.CreatedAt, m.EditedAt = decodeList(documents), timeOf(created), timeOf(edited)
	if code != "" {
		m.Failure = &runs.Failure{Code: code, Detail: detail}
	}
	if rating >= 0 {
		m.Feedback = &session.Feedback{Value: rating, Comment: comment, At: timeOf(rated)}
	}
	return m, err
}

// messages reads some of a session's messages, in the order of the ids.
func (t *tx) messages(sessionID string, ids []string) ([]session.Message, error) {
	found := make(map[string]session.Message, len(ids))
	elements := map[string][]session.Element{}
	err := eachPart(ids, func(part []string) error {
		list := args(part, any(sessionID))
		if err := each(t, scanMessage, func(m session.Message) { found[m.ID] = m },
			`SELECT `+messageColumns+` FROM message m WHERE m.session_id = ? AND m.id IN (`+marks(len(part))+`)`, list...); err != nil {
			return err
		}
		return each(t, scanElement, func(e session.Element) { elements[e.MessageID] = append(elements[e.MessageID], e) },
			`SELECT `+elementColumns+` FROM message_element e WHERE e.session_id = ? AND e.message_id IN (`+marks(len(part))+`) ORDER BY e.id`, list...)
	})
	out := make([]session.Message, 0, len(ids))
	for _, id := range ids {
		if m, ok := found[id]; ok {
			m.Elements = elements[id]
			out = append(out, m)
		}
	}
	if err != nil {
		return nil, err
	}
	return out, t.markStale(out)
}

// markStale marks messages that cite what was deleted since, or another text than the document has now.
func (t *tx) markStale(list []session.Message) error {
	var ids []string
	for _, m := range list {
		for _, c := range m.Citations {
			for _, sp := range c.Spans {
				if !sp.Gone && !slices.Contains(ids, sp.DocumentID) {
					ids = append(ids, sp.DocumentID)
				}
			}
		}
	}
	type generation struct {
		id  string
		now int64
	}
	now := map[string]int64{}
	err := eachPart(ids, func(part []string) error {
		return each(t, func(row scanner) (g generation, err error) {
			err = row.Scan(&g.id, &g.now)
			return g, err
		}, func(g generation) { now[g.id] = g.now }, `SELECT id, text_generation FROM document WHERE id IN (`+marks(len(part))+`)`, args(part)...)
	})
	for i, m := range list {
		list[i].Stale = slices.ContainsFunc(m.Citations, func(c draft.Citation) bool {
			return slices.ContainsFunc(c.Spans, func(sp draft.Span) bool {
				return sp.Gone || sp.Generation > 0 && now[sp.DocumentID] != sp.Generation
			})
		})
	}
	return err
}

func (t *tx) message(sessionID, id string) (session.Message, error) {
	list, err := t.messages(sessionID, []string{id})
	if err != nil {
		return session.Message{}, err
	}
	if len(list) == 0 {
		return session.Message{}, fault.Missing(messageNoun)
	}
	return list[0], nil
}

// Say meets session.Store.
func (v Sessions) Say(ctx context.Context, ws ident.Workspace, sessionID string, said session.Said, once *ident.Once) (turn session.Turn, err error) {
	return v.turn(ctx, ws, sessionID, once, func(t *tx) (session.Turn, error) {
		m := session.Message{ParentID: said.ParentID, Author: said.Author, Content: said.Content, DraftID: said.DraftID, DocumentIDs: said.DocumentIDs}
		switch {
		case said.Edits != "":
			old, err := t.message(sessionID, said.Edits)
			if err != nil {
				return turn, err
			}
			if old.Role != session.User {
				return turn, fault.New(fault.Conflict, "not_yours", "Only what a person said can be asked anew in other words. Use regenerate for another answer.")
			}
			m.ParentID = old.ParentID
			if m.DraftID == "" {
				m.DraftID = old.DraftID
			}
			if m.DocumentIDs == nil {
				m.DocumentIDs = old.DocumentIDs
			}
		case said.ParentID != "":
			if _, err := t.message(sessionID, said.ParentID); err != nil {
				return turn, err
			}
		default:
			tree, err := t.tree(sessionID)
			if err != nil {
				return turn, err
			}
			m.ParentID = tree.leaf("")
		}
		return t.addTurn(ws, sessionID, m, said.Selection, said.Action)
	})
}

// turn does what starts a run, once, in a session that is held.
func (v Sessions) turn(ctx context.Context, ws ident.Workspace, sessionID string, once *ident.Once, do func(*tx) (session.Turn, error)) (turn session.Turn, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if err := t.holdSession(ws, sessionID); err != nil {
			return err
		}
		if repeated {
			turn, err = t.turnOf(ws, sessionID, m.Resource, m.Run)
			return err
		}
		if turn, err = do(t); err != nil {
			return err
		}
		return t.remember(ws, once, made{Resource: turn.Message.ID, Run: turn.Run.ID})
	})
	return turn, err
}

// turnOf reads what a message has started.
func (t *tx) turnOf(ws ident.Workspace, sessionID, messageID, runID string) (turn session.Turn, err error) {
	if turn.Message, err = t.message(sessionID, messageID); err != nil {
		return turn, err
	}
	if turn.Run, err = t.run(ws, runID); err != nil {
		return turn, err
	}
	var reply string
	if err := t.row(`SELECT id FROM message WHERE run_id = ? AND run_id <> ''`, runID).Scan(&reply); err != nil {
		return turn, missing(err, messageNoun)
	}
	turn.Reply, err = t.message(sessionID, reply)
	return turn, err
}

// addTurn adds a user's message and what answers it.
func (t *tx) addTurn(ws ident.Workspace, sessionID string, m session.Message, sel *session.Selection, press *session.Press) (turn session.Turn, err error) {
	if m.DraftID != "" {
		if err := t.have(draftNoun, `SELECT 1 FROM draft WHERE id = ? AND workspace = ?`, m.DraftID, ws); err != nil {
			return turn, err
		}
	}
	if err := t.haveDocuments(ws, m.DocumentIDs); err != nil {
		return turn, err
	}
	m.ID, m.SessionID, m.Role = ident.New(), sessionID, session.User
	if err := t.addMessage(m); err != nil {
		return turn, err
	}
	if err := t.addSessionDocuments(sessionID, m.DocumentIDs...); err != nil {
		return turn, err
	}
	if err := t.nameSession(m); err != nil {
		return turn, err
	}
	if err := t.yield(ws, sessionID); err != nil {
		return turn, err
	}
	return t.addReply(ws, m, sel, press)
}

// have refuses what a query does not find.
func (t *tx) have(noun, query string, args ...any) error {
	there, err := t.exists(query, args...)
	if err == nil && !there {
		err = fault.Missing(noun)
	}
	return err
}

func (t *tx) haveDocuments(ws ident.Workspace, ids []string) error {
	for _, id := range ids {
		if err := t.have(documentNoun, `SELECT 1 FROM document WHERE id = ? AND workspace = ?`, id, ws); err != nil {
			return err
		}
	}
	return nil
}

// nameSession names a session that has no name after what is said in it first.
func (t *tx) nameSession(m session.Message) error {
	name := session.NameOf(m.Content)
	if name == "" {
		return nil
	}
	n, err := t.exec(`UPDATE session SET name = ?, name_key = ?, version = version + 1 WHERE id = ? AND name = ''`, name, searchKey(name), m.SessionID)
	if err != nil || n == 0 {
		return err
	}
	return t.tell(m.SessionID, "", runs.NewEvent{Type: session.EventUpdated, Data: session.Changed{Name: &name, Changed: []string{"name"}}})
}

// addReply adds the run that answers a user's message, and the empty answer: it has its place in the branch from now on, so
// that what is said meanwhile comes behind it.
func (t *tx) addReply(ws ident.Workspace, m session.Message, sel *session.Selection, press *session.Press) (turn session.Turn, err error) {
	s, err := scanSession(t.row(`SELECT `+sessionColumns+` FROM session s WHERE s.id = ?`, m.SessionID))
	if err != nil {
		return turn, err
	}
	settings, err := t.settings(ws, m.SessionID)
	if err != nil {
		return turn, err
	}
	reply := session.Message{ID: ident.New(), SessionID: m.SessionID, ParentID: m.ID, Role: session.Assistant, DraftID: m.DraftID}
	w := session.Wish{SessionID: m.SessionID, MessageID: m.ID, ParentID: m.ParentID, ReplyID: reply.ID, DocumentIDs: m.DocumentIDs, DraftID: m.DraftID, Selection: sel,
		Action: press, Provider: s.Provider, Model: s.Model, Profile: s.Profile, Settings: settings, Author: m.Author}
	turn.Run, err = t.createRun(ws, runs.NewRun{Kind: runs.KindChat, Subject: runs.Subject{Type: subjectMessage, ID: m.ID}, SessionID: m.SessionID, Input: w})
	if err != nil {
		return turn, err
	}
	reply.RunID = turn.Run.ID
	if err := t.addMessage(reply); err != nil {
		return turn, err
	}
	if _, err := t.exec(`UPDATE session SET touched = ?, updated_at = ? WHERE id = ?`, reply.ID, t.now, m.SessionID); err != nil {
		return turn, err
	}
	if turn.Message, err = t.message(m.SessionID, m.ID); err != nil {
		return turn, err
	}
	turn.Reply, err = t.message(m.SessionID, reply.ID)
	return turn, err
}

// addMessage adds a message of a session that is held.
func (t *tx) addMessage(m session.Message) error {
	if _, err := t.exec(`INSERT INTO message (id, session_id, parent_id, role, author, content, content_key, run_id, draft_id, document_ids, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.ID, m.SessionID, m.ParentID, m.Role, m.Author, m.Content, searchKey(m.Content), m.RunID, m.DraftID,
		encodeList(m.DocumentIDs), t.now); err != nil {
		return err
	}
	if err := t.linkDocuments(m); err != nil {
		return err
	}
	return t.tellMessage(session.EventMessageCreated, m)
}

// linkDocuments notes which documents a message has and quotes.
func (t *tx) linkDocuments(m session.Message) error {
	if _, err := t.exec(`DELETE FROM message_document WHERE message_id = ?`, m.ID); err != nil {
		return err
	}
	ids := slices.Clone(m.DocumentIDs)
	for _, c := range m.Citations {
		for _, sp := range c.Spans {
			if !sp.Gone {
				ids = append(ids, sp.DocumentID)
			}
		}
	}
	slices.Sort(ids)
	var links [][]any
	for _, id := range slices.Compact(ids) {
		links = append(links, []any{id, m.ID})
	}
	return t.insert(`INSERT INTO message_document (document_id, message_id)`, links, ``)
}

func (t *tx) tellMessage(event string, m session.Message) error {
	return t.tell(m.SessionID, m.ID, runs.NewEvent{Type: event, Data: session.MessageEvent{MessageID: m.ID, ParentID: m.ParentID, Role: m.Role,
		Content: m.Content, RunID: m.RunID, Author: m.Author, Error: m.Failure}})
}

// Regenerate meets session.Store.
func (v Sessions) Regenerate(ctx context.Context, ws ident.Workspace, sessionID, messageID, author string, once *ident.Once) (turn session.Turn, err error) {
	return v.turn(ctx, ws, sessionID, once, func(t *tx) (session.Turn, error) {
		m, err := t.message(sessionID, messageID)
		if err == nil && m.Role == session.Assistant && m.ParentID != "" {
			m, err = t.message(sessionID, m.ParentID)
		}
		if err != nil {
			return turn, err
		}
		if m.Role != session.User {
			return turn, fault.New(fault.Conflict, "no_question", "There is no question to this message, so there is no other answer to it.")
		}
		sel, press, err := t.wishOf(m.ID)
		if err != nil {
			return turn, err
		}
		m.Author = author
		return t.addReply(ws, m, sel, press)
	})
}

// wishOf gives what was selected and pressed when a message was said.
func (t *tx) wishOf(messageID string) (*session.Selection, *session.Press, error) {
	var input string
	err := t.row(`SELECT input FROM run WHERE subject_id = ? AND kind = 'chat' ORDER BY id DESC LIMIT 1`, messageID).Scan(&input)
	if isNoRows(err) {
		return nil, nil, nil
	}
	var w session.Wish
	if err == nil {
		err = json.Unmarshal([]byte(input), &w)
	}
	return w.Selection, w.Action, err
}

// Act meets session.Store.
func (v Sessions) Act(ctx context.Context, ws ident.Workspace, sessionID, messageID, actionID, author string) (turn session.Turn, err error) {
	return v.turn(ctx, ws, sessionID, nil, func(t *tx) (session.Turn, error) {
		m, err := t.message(sessionID, messageID)
		if err != nil {
			return turn, err
		}
		i := slices.IndexFunc(m.Actions, func(a session.Action) bool { return a.ID == actionID })
		if i < 0 {
			return turn, fault.Missing("action")
		}
		a := m.Actions[i]
		if a.Pressed != "" {
			var run string
			err := t.row(`SELECT id FROM run WHERE subject_id = ? AND workspace = ? ORDER BY id LIMIT 1`, a.Pressed, ws).Scan(&run)
			if err == nil {
				return t.turnOf(ws, sessionID, a.Pressed, run)
			}
			if !isNoRows(err) { // what it made was deleted: it can be pressed again
				return turn, err
			}
		}
		turn, err := t.addTurn(ws, sessionID, session.Message{ParentID: messageID, Author: author, Content: a.Label, DraftID: m.DraftID}, nil,
			&session.Press{Name: a.Name, ActionID: a.ID, MessageID: messageID, Data: a.Data})
		if err != nil {
			return turn, err
		}
		actions := slices.Clone(m.Actions)
		actions[i].Pressed = turn.Message.ID
		text, err := json.Marshal(actions)
		if err == nil {
			_, err = t.exec(`UPDATE message SET actions = ? WHERE id = ?`, string(text), messageID)
		}
		return turn, err
	})
}

// Edit meets session.Store.
func (v Sessions) Edit(ctx context.Context, ws ident.Workspace, sessionID, messageID, content string) (m session.Message, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.holdSession(ws, sessionID); err != nil {
			return err
		}
		if m, err = t.message(sessionID, messageID); err != nil {
			return err
		}
		if busy, err := t.exists(`SELECT 1 FROM run WHERE id = ? AND ended_at = 0`, m.RunID); err != nil || busy {
			return orConflict(err, "run_under_way", "This answer is being written. Wait until its run has ended, or cancel it.")
		}
		m.Citations = draft.Reanchor(m.Citations, content) // of sentences that stand as they were
		citations, err := json.Marshal(m.Citations)
		if err != nil {
			return fmt.Errorf("write citations: %w", err)
		}
		if _, err := t.exec(`UPDATE message SET content = ?, content_key = ?, citations = ?, edited_at = ? WHERE id = ?`,
			content, searchKey(content), string(citations), t.now, messageID); err != nil {
			return err
		}
		if m, err = t.message(sessionID, messageID); err != nil {
			return err
		}
		if err := t.linkDocuments(m); err != nil {
			return err
		}
		if err := t.purgeMessage(m.ID, `{}`); err != nil { // what it said before is nowhere any more
			return err
		}
		if err := t.forgetTurns(m); err != nil {
			return err
		}
		return t.tellMessage(session.EventMessageUpdated, m)
	})
	return m, err
}

func orConflict(err error, code, say string) error {
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, code, "%s", say)
}

// purgeMessage takes the text of a message out of the session's log.
func (t *tx) purgeMessage(messageID, data string) error {
	_, err := t.exec(`UPDATE session_event SET data = ? WHERE message_id = ? AND message_id <> ''`, data, messageID)
	return err
}

// forgetTurns removes the steps of later answers of the session: models were shown what was said before.
func (t *tx) forgetTurns(m session.Message) error {
	_, err := t.exec(`DELETE FROM run_step WHERE run_id IN (SELECT id FROM run WHERE session_id = ? AND session_id <> '' AND kind = 'chat' AND ended_at > 0 AND id > ?)`, m.SessionID, m.ID)
	return err
}

// Remove meets session.Store.
func (v Sessions) Remove(ctx context.Context, ws ident.Workspace, sessionID, messageID string) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		replies, err := t.stopWriting(ws, sessionID, messageID)
		if err != nil {
			return err
		}
		if err := t.holdSession(ws, sessionID); err != nil {
			return err
		}
		more, err := t.stopWriting(ws, sessionID, messageID)
		if err != nil {
			return err
		}
		for _, id := range append(append(replies, more...), messageID) {
			m, err := t.message(sessionID, id)
			if err != nil {
				return err
			}
			if err := t.removeMessage(m, messageID); err != nil {
				return err
			}
		}
		return t.discard(ws, trashMessage, messageID, 0, "")
	})
}

// stopWriting cancels the runs that answer a message, or write it, and gives the answers that were being written.
func (t *tx) stopWriting(ws ident.Workspace, sessionID, messageID string) (replies []string, err error) {
	if err := missing(t.row(`SELECT s.id FROM session s JOIN message m ON m.session_id = s.id WHERE m.id = ? AND s.id = ? AND s.workspace = ?`,
		messageID, sessionID, ws).Scan(new(string)), messageNoun); err != nil {
		return nil, err
	}
	ids, err := all(t, scanString, `SELECT id FROM run WHERE ended_at = 0 AND kind = 'chat' AND session_id = ? AND session_id <> ''
		AND (subject_id = ? OR id = (SELECT run_id FROM message WHERE id = ?)) ORDER BY id`, sessionID, messageID, messageID)
	for i := 0; err == nil && i < len(ids); i++ {
		var reply string
		if err = t.row(`SELECT id FROM message WHERE run_id = ? AND run_id <> ''`, ids[i]).Scan(&reply); err == nil && reply != messageID {
			replies = append(replies, reply)
		}
		if err == nil || isNoRows(err) {
			err = t.cancelRun(ids[i])
		}
	}
	return replies, err
}

// removeMessage deletes a message, with the runs that answered or wrote it; what followed it goes on from its parent. ref is what the
// sweep will know the runs by.
func (t *tx) removeMessage(m session.Message, ref string) error {
	if _, err := t.exec(`UPDATE message SET parent_id = ? WHERE session_id = ? AND parent_id = ?`, m.ParentID, m.SessionID, m.ID); err != nil {
		return err
	}
	runIDs, err := all(t, scanString, `SELECT id FROM run WHERE kind = 'chat' AND (subject_id = ? OR id = ?)`, m.ID, m.RunID)
	if err != nil {
		return err
	}
	for _, id := range runIDs { // nobody has them from now on; the sweep finds them by their subject
		if _, err := t.exec(`UPDATE run SET workspace = '', session_id = '', subject_id = ? WHERE id = ?`, ref, id); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE run_event SET session_id = '', session_seq = 0 WHERE run_id = ?`, id); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE message SET run_id = '' WHERE run_id = ? AND run_id <> ''`, id); err != nil {
			return err
		}
	}
	for _, gone := range []string{`message_element WHERE message_id <> '' AND message_id = ?`, `message WHERE id = ?`} {
		if _, err := t.exec(`DELETE FROM `+gone, m.ID); err != nil {
			return err
		}
	}
	if err := t.forgetTurns(m); err != nil {
		return err
	}
	deleted := session.MessageDeleted{MessageID: m.ID}
	if err := t.purgeMessage(m.ID, encodeOr(deleted)); err != nil {
		return err
	}
	return t.tell(m.SessionID, "", runs.NewEvent{Type: session.EventMessageDeleted, Data: deleted})
}

// Rate meets session.Store.
func (v Sessions) Rate(ctx context.Context, ws ident.Workspace, sessionID, messageID string, f session.Feedback) (m session.Message, err error) {
	err = v.change(ctx, ws, sessionID, "feedback", func(t *tx) error {
		if m, err = t.message(sessionID, messageID); err != nil {
			return err
		}
		if m.Role != session.Assistant {
			return fault.New(fault.Conflict, "not_an_answer", "Only answers can be rated.")
		}
		if _, err := t.exec(`UPDATE message SET rating = ?, comment = ?, rated_at = ? WHERE id = ?`, f.Value, f.Comment, t.now, messageID); err != nil {
			return err
		}
		m, err = t.message(sessionID, messageID)
		return err
	})
	return m, err
}

// Ratings meets session.Store.
func (v Sessions) Ratings(ctx context.Context, ws ident.Workspace, sessionID, after string, limit int) (list []session.Rated, err error) {
	var w where
	w.and(`s.workspace = ? AND m.rating >= 0 AND m.id > ?`, ws, after)
	if sessionID != "" {
		w.and(`s.id = ?`, sessionID)
	}
	err = v.store.read(ctx, func(t *tx) error {
		list, err = all(t, func(row scanner) (r session.Rated, err error) {
			var at int64
			err = row.Scan(&r.SessionID, &r.MessageID, &r.RunID, &r.Question, &r.Answer, &r.Feedback.Value, &r.Feedback.Comment, &at)
			r.Feedback.At = timeOf(at)
			return r, err
		}, `SELECT s.id, m.id, m.run_id, COALESCE(q.content, ''), m.content, m.rating, m.comment, m.rated_at FROM message m JOIN session s ON s.id = m.session_id
			LEFT JOIN message q ON q.id = m.parent_id WHERE `+w.sql.String()+` ORDER BY m.id LIMIT ?`, append(w.args, limit)...)
		return err
	})
	return list, err
}

// settleReply keeps the text so far of an answer that will not be complete, and says why it is not.
func (t *tx) settleReply(r runs.Run, status runs.Status, f runs.Failure) error {
	m, err := scanMessage(t.row(`SELECT `+messageColumns+` FROM message m WHERE m.run_id = ? AND m.run_id <> ''`, r.ID))
	if isNoRows(err) {
		return nil // deleted: this is why the run ends
	}
	if err != nil {
		return err
	}
	if m.Content == "" {
		log, err := all(t, scanEvent, eventsQuery+` AND type IN (?, ?, ?) ORDER BY seq`, r.ID, 0, runs.EventToken, runs.EventSnapshot, runs.EventReset)
		if err != nil {
			return err
		}
		m.Content = strings.TrimSpace(runs.Fold(log, session.ChannelReply))
	}
	m.Failure = &f
	if status == runs.Cancelled {
		m.Failure = &runs.Failure{Code: "cancelled", Detail: "This answer was stopped before it was complete."}
	}
	if err := t.tellMessage(session.EventMessageUpdated, m); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE message SET content = ?, content_key = ?, error_code = ?, error = ? WHERE id = ?`,
		m.Content, searchKey(m.Content), m.Failure.Code, m.Failure.Detail, m.ID)
	return err
}

// unsettleReply hands an answer over to the run that tries again.
func (t *tx) unsettleReply(r runs.Run) error {
	var w session.Wish
	if err := json.Unmarshal(r.Input, &w); err != nil {
		return fmt.Errorf("read wish: %w", err)
	}
	m, err := t.message(w.SessionID, w.ReplyID)
	if isMissing(err) {
		return fault.New(fault.Conflict, "subject_gone", "The message of this run was deleted.")
	}
	if err != nil {
		return err
	}
	m.RunID, m.Content, m.Failure = r.ID, "", nil
	if _, err := t.exec(`UPDATE message SET run_id = ?, content = '', content_key = '', error_code = '', error = '' WHERE id = ?`, r.ID, m.ID); err != nil {
		return err
	}
	return t.tellMessage(session.EventMessageUpdated, m)
}
