package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// tree is the messages of a session by their places, without their texts.
type tree struct {
	nodes    map[string]node
	children map[string][]string // by parent, the oldest first
	newest   string
}

type node struct {
	id, parent string
	role       session.Role
}

func scanNode(row scanner) (n node, err error) {
	err = row.Scan(&n.id, &n.parent, &n.role)
	return n, err
}

func (t *tx) tree(sessionID string) (tree, error) {
	tr := tree{nodes: map[string]node{}, children: map[string][]string{}}
	err := each(t, scanNode, func(n node) {
		tr.nodes[n.id] = n
		tr.children[n.parent] = append(tr.children[n.parent], n.id)
		tr.newest = n.id
	}, `SELECT id, parent_id, role FROM message WHERE session_id = ? ORDER BY id`, sessionID)
	return tr, err
}

// leaf is the end of the newest branch through a message; of all branches without one.
func (tr tree) leaf(through string) string {
	if through == "" {
		through = tr.newest
	}
	end := ""
	for next := []string{through}; through != "" && len(next) > 0; {
		id := next[len(next)-1]
		behind := tr.children[id]
		next = append(next[:len(next)-1], behind...)
		if len(behind) == 0 {
			end = max(end, id)
		}
	}
	return end
}

// path is the branch that leads to a message, from its beginning.
func (tr tree) path(to string) (ids []string) {
	for n, ok := tr.nodes[to]; ok && len(ids) < len(tr.nodes); n, ok = tr.nodes[n.parent] {
		ids = append(ids, n.id)
	}
	slices.Reverse(ids)
	return ids
}

// siblings are the messages of the same role behind the same message, that one included.
func (tr tree) siblings(id string) (ids []string) {
	n := tr.nodes[id]
	for _, other := range tr.children[n.parent] {
		if tr.nodes[other].role == n.role {
			ids = append(ids, other)
		}
	}
	return ids
}

// Message meets session.Store.
func (v Sessions) Message(ctx context.Context, ws ident.Workspace, sessionID, messageID string) (m session.Message, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.sessionHead(ws, sessionID); err != nil {
			return err
		}
		m, err = t.message(sessionID, messageID)
		return err
	})
	return m, err
}

// Branch meets session.Store.
func (v Sessions) Branch(ctx context.Context, ws ident.Workspace, sessionID, through, cursor string, limit int) (list []session.Message, total int, earlier bool, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.sessionHead(ws, sessionID); err != nil {
			return err
		}
		tr, err := t.tree(sessionID)
		if err != nil {
			return err
		}
		if _, ok := tr.nodes[through]; through != "" && !ok {
			return fault.Missing(messageNoun)
		}
		ids := tr.path(tr.leaf(through))
		total = len(ids)
		if cursor != "" {
			ids = ids[:max(0, slices.Index(ids, cursor))]
		}
		if earlier = len(ids) > limit; earlier {
			ids = ids[len(ids)-limit:]
		}
		list, err = t.messages(sessionID, ids)
		for i := range list {
			list[i].Siblings = tr.siblings(list[i].ID)
		}
		return err
	})
	return list, total, earlier, err
}

// History meets session.Store.
func (v Sessions) History(ctx context.Context, ws ident.Workspace, sessionID, messageID string) (list []session.Message, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.sessionHead(ws, sessionID); err != nil {
			return err
		}
		tr, err := t.tree(sessionID)
		if err != nil {
			return err
		}
		if _, ok := tr.nodes[messageID]; !ok {
			return fault.Missing(messageNoun)
		}
		if list, err = t.messages(sessionID, tr.path(messageID)); err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(m session.Message) bool {
			return m.Role == session.Assistant && m.Content == "" && m.ID != messageID
		})
		return nil
	})
	return list, err
}

const elementColumns = `e.id, e.session_id, e.message_id, e.type, e.name, e.display, e.document_id, e.page, e.data, e.created_at`

func scanElement(row scanner) (e session.Element, err error) {
	var data string
	var created int64
	err = row.Scan(&e.ID, &e.SessionID, &e.MessageID, &e.Type, &e.Name, &e.Display, &e.DocumentID, &e.Page, &data, &created)
	if e.CreatedAt = timeOf(created); data != "" {
		e.Data = json.RawMessage(data)
	}
	return e, err
}

// AddElement meets session.Store.
func (v Sessions) AddElement(ctx context.Context, ws ident.Workspace, e session.Element, once *ident.Once) (added session.Element, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if err := t.holdSession(ws, e.SessionID); err != nil {
			return err
		}
		if repeated {
			added, err = scanElement(t.row(`SELECT `+elementColumns+` FROM message_element e WHERE e.id = ? AND e.session_id = ?`, m.Resource, e.SessionID))
			return missing(err, "element")
		}
		if e.MessageID != "" {
			if _, err := t.message(e.SessionID, e.MessageID); err != nil {
				return err
			}
		}
		if e.DocumentID != "" {
			if err := t.haveDocuments(ws, []string{e.DocumentID}); err != nil {
				return err
			}
			if err := t.addSessionDocuments(e.SessionID, e.DocumentID); err != nil {
				return err
			}
		}
		n := e
		n.ID = ident.New()
		if err := t.addElement(n); err != nil {
			return err
		}
		if err := t.tellChanged(e.SessionID, "elements"); err != nil {
			return err
		}
		added = n
		added.CreatedAt = timeOf(t.now)
		return t.remember(ws, once, made{Resource: n.ID})
	})
	return added, err
}

func (t *tx) addElement(e session.Element) error {
	_, err := t.exec(`INSERT INTO message_element (id, session_id, message_id, type, name, display, document_id, page, data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.SessionID, e.MessageID, e.Type, e.Name, e.Display, e.DocumentID, e.Page, string(e.Data), t.now)
	return err
}

// Elements meets session.Store.
func (v Sessions) Elements(ctx context.Context, ws ident.Workspace, sessionID, messageID, cursor string, limit int) (list []session.Element, total int, err error) {
	var w where
	w.and(`e.session_id = ?`, sessionID)
	if messageID != "" {
		w.and(`e.message_id = ?`, messageID)
	}
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.sessionHead(ws, sessionID); err != nil {
			return err
		}
		list, total, err = page(t, pageOf[session.Element]{columns: elementColumns, from: `message_element e`, id: `e.id`, where: w, cursor: cursor, limit: limit, scan: scanElement})
		return err
	})
	return list, total, err
}

// Reply meets session.Store.
func (v Sessions) Reply(ctx context.Context, l runs.Lease, m session.Message, events ...runs.NewEvent) (written session.Message, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.appendEvents(l, events...); err != nil { // holds the run's row and checks the fence
			return err
		}
		if err := t.lockWorkspace(l.Workspace); err != nil { // a deletion either came before, or finds what is quoted here
			return err
		}
		r, err := scanRun(t.row(`SELECT `+runColumns+` FROM run WHERE id = ?`, l.RunID))
		if err != nil {
			return err
		}
		if err := t.holdSession(l.Workspace, r.SessionID); err != nil {
			return err
		}
		old, err := scanMessage(t.row(`SELECT `+messageColumns+` FROM message m WHERE m.run_id = ? AND m.run_id <> ''`, l.RunID))
		if isNoRows(err) {
			return runs.ErrFenced // it was deleted
		}
		if err != nil {
			return err
		}
		next := m
		next.ID, next.SessionID, next.ParentID, next.Role, next.RunID = old.ID, old.SessionID, old.ParentID, session.Assistant, l.RunID
		if next.DraftID == "" {
			next.DraftID = old.DraftID
		}
		next.Actions = slices.Clone(m.Actions)
		for i := range next.Actions { // what was pressed stays pressed
			a := &next.Actions[i]
			if was := slices.IndexFunc(old.Actions, func(o session.Action) bool { return o.ID == a.ID }); was >= 0 && a.ID != "" {
				a.Pressed = old.Actions[was].Pressed
			}
			if a.ID == "" {
				a.ID = ident.New()
			}
		}
		if err := t.writeReply(l.Workspace, next); err != nil {
			return err
		}
		if written, err = t.message(next.SessionID, next.ID); err != nil {
			return err
		}
		return t.tellMessage(session.EventMessageUpdated, written)
	})
	return written, err
}

// writeReply puts an answer, with its citations, actions and elements, in the place of what it was.
func (t *tx) writeReply(ws ident.Workspace, m session.Message) error {
	sources, err := t.quoted(ws, m.Citations)
	if err != nil {
		return err
	}
	m.Citations = slices.Clone(m.Citations)
	for i := range m.Citations {
		c := &m.Citations[i]
		if c.ID == "" {
			c.ID = ident.New()
		}
		c.Spans = slices.Clone(c.Spans)
		for j := range c.Spans {
			sp := &c.Spans[j]
			source, alive := sources[sp.DocumentID]
			if sp.Gone = sp.Gone || !alive; source.url != "" {
				sp.Title, sp.URL, sp.FetchedAt = source.title, source.url, source.fetched
			}
			if sp.Generation == 0 {
				sp.Generation = source.generation
			}
		}
	}
	citations, err := json.Marshal(m.Citations)
	if err != nil {
		return fmt.Errorf("write citations: %w", err)
	}
	actions, err := json.Marshal(m.Actions)
	if err != nil {
		return fmt.Errorf("write actions: %w", err)
	}
	usage := ""
	if m.Usage != nil {
		usage = encodeOr(m.Usage)
	}
	if _, err := t.exec(`UPDATE message SET content = ?, content_key = ?, draft_id = ?, document_ids = ?, citations = ?, actions = ?, usage = ?, error_code = '', error = ''
		WHERE id = ?`, m.Content, searchKey(m.Content), m.DraftID, encodeList(m.DocumentIDs), string(citations), string(actions), usage, m.ID); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM message_element WHERE message_id = ? AND message_id <> ''`, m.ID); err != nil {
		return err
	}
	for _, e := range m.Elements {
		if e.DocumentID != "" {
			if err := t.haveDocuments(ws, []string{e.DocumentID}); isMissing(err) {
				continue // deleted meanwhile
			} else if err != nil {
				return err
			}
		}
		e.ID, e.SessionID, e.MessageID = ident.New(), m.SessionID, m.ID
		if err := t.addElement(e); err != nil {
			return err
		}
	}
	return t.linkDocuments(m)
}

// leaveSessions takes a document that goes away out of sessions: what quotes it says so, what shows it is gone. The workspace is held.
func (t *tx) leaveSessions(documentID string, purge bool) error {
	list, err := all(t, scanMessage, `SELECT `+messageColumns+` FROM message_document x JOIN message m ON m.id = x.message_id WHERE x.document_id = ? ORDER BY m.id`, documentID)
	if err != nil {
		return err
	}
	for _, m := range list {
		for i := range m.Citations {
			c := &m.Citations[i]
			for j := range c.Spans {
				if sp := &c.Spans[j]; sp.DocumentID == documentID {
					if sp.Gone = true; purge { // verdicts have words of the text, too
						sp.Quote, sp.Title, sp.Before, sp.After, c.Claim.Text = "", "", "", "", ""
						c.Verdict.Reasons, c.Verdict.Missing, c.Verdict.Evidence = nil, nil, nil
					}
				}
			}
		}
		citations, err := json.Marshal(m.Citations)
		if err != nil {
			return fmt.Errorf("message %s: %w", m.ID, err)
		}
		m.DocumentIDs = slices.DeleteFunc(m.DocumentIDs, func(id string) bool { return id == documentID })
		if _, err := t.exec(`UPDATE message SET citations = ?, document_ids = ? WHERE id = ?`, string(citations), encodeList(m.DocumentIDs), m.ID); err != nil {
			return err
		}
	}
	sessions, err := all(t, scanString, `SELECT session_id FROM session_document WHERE document_id = ? ORDER BY session_id`, documentID)
	if err != nil {
		return err
	}
	for _, table := range []string{`message_document`, `message_element`, `session_document`} {
		if _, err := t.exec(`DELETE FROM `+table+` WHERE document_id = ? AND document_id <> ''`, documentID); err != nil {
			return err
		}
	}
	for _, id := range sessions {
		if err := t.tellChanged(id, "documents"); err != nil {
			return err
		}
	}
	return nil
}
