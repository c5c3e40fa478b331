package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// Sessions is the store as the room of sessions knows it.
type Sessions struct{ store *Store }

var _ session.Store = Sessions{}

// Sessions gives the store of sessions.
func (s *Store) Sessions() Sessions { return Sessions{s} }

const sessionColumns = `s.id, s.workspace, s.name, s.llm_provider, s.llm_model, s.profile, s.tags, s.version, s.touched, s.created_at, s.updated_at`

func scanSession(row scanner) (session.Session, error) {
	var s session.Session
	var tags string
	var created, updated int64
	err := row.Scan(&s.ID, &s.Workspace, &s.Name, &s.Provider, &s.Model, &s.Profile, &tags, &s.Version, &s.Touched, &created, &updated)
	s.Tags, s.CreatedAt, s.UpdatedAt = decodeList(tags), timeOf(created), timeOf(updated)
	s.Documents, s.Drafts = []session.Document{}, []session.Draft{}
	return s, err
}

// Add meets session.Store.
func (v Sessions) Add(ctx context.Context, n session.Session, settings session.Settings, once *ident.Once) (added session.Session, err error) {
	wishes, err := json.Marshal(settings)
	if err != nil {
		return session.Session{}, fmt.Errorf("write settings: %w", err)
	}
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(n.Workspace, once)
		if err != nil {
			return err
		}
		if repeated {
			added, err = t.session(n.Workspace, m.Resource)
			return err
		}
		id := ident.New()
		if _, err := t.exec(`INSERT INTO session (id, workspace, name, name_key, llm_provider, llm_model, profile, tags, settings, touched, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, n.Workspace, n.Name, searchKey(n.Name), n.Provider, n.Model, n.Profile, encodeList(n.Tags), string(wishes),
			id, t.now, t.now); err != nil {
			return err
		}
		if added, err = t.session(n.Workspace, id); err != nil {
			return err
		}
		return t.remember(n.Workspace, once, made{Resource: id})
	})
	return added, err
}

// Session meets session.Store.
func (v Sessions) Session(ctx context.Context, ws ident.Workspace, id string) (s session.Session, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		s, err = t.session(ws, id)
		return err
	})
	return s, err
}

func (t *tx) session(ws ident.Workspace, id string) (session.Session, error) {
	s, err := scanSession(t.row(`SELECT `+sessionColumns+` FROM session s WHERE s.id = ? AND s.workspace = ?`, id, ws))
	if err != nil {
		return s, missing(err, sessionNoun)
	}
	list := []session.Session{s}
	err = t.fillSessions(list)
	return list[0], err
}

// Sessions meets session.Store.
func (v Sessions) Sessions(ctx context.Context, ws ident.Workspace, f session.Filter) (list []session.Session, total int, err error) {
	var w where
	w.and(`s.workspace = ?`, ws)
	if f.Tag != "" {
		w.and(contains(`s.tags`), encodeItem(f.Tag))
	}
	if f.Query != "" {
		key := searchKey(f.Query)
		w.and(`(`+contains(`s.name_key`)+` OR EXISTS (SELECT 1 FROM message m WHERE m.session_id = s.id AND `+contains(`m.content_key`)+`))`, key, key)
	}
	err = v.store.read(ctx, func(t *tx) error {
		list, total, err = page(t, pageOf[session.Session]{
			columns: sessionColumns, from: `session s`, id: `s.touched`, where: w, cursor: f.Cursor, limit: f.Limit, scan: scanSession,
		})
		if err != nil {
			return err
		}
		return t.fillSessions(list)
	})
	return list, total, err
}

// fillSessions adds what stands in other tables.
func (t *tx) fillSessions(list []session.Session) error {
	at := make(map[string]*session.Session, len(list))
	ids := make([]string, len(list))
	for i := range list {
		ids[i], at[list[i].ID] = list[i].ID, &list[i]
	}
	return eachPart(ids, func(part []string) error {
		among := ` IN (` + marks(len(part)) + `)`
		_, err := all(t, func(row scanner) (id string, err error) {
			var d session.Document
			err = row.Scan(&id, &d.ID, &d.Filename, &d.Title, &d.Status)
			at[id].Documents = append(at[id].Documents, d)
			return id, err
		}, `SELECT x.session_id, d.id, d.filename, d.title, d.status FROM session_document x JOIN document d ON d.id = x.document_id
			WHERE x.session_id`+among+` ORDER BY x.added_at, d.id`, args(part)...)
		if err != nil {
			return err
		}
		_, err = all(t, func(row scanner) (id string, err error) {
			var d session.Draft
			err = row.Scan(&id, &d.ID, &d.Title, &d.Status, &d.Version)
			at[id].Drafts = append(at[id].Drafts, d)
			return id, err
		}, `SELECT session_id, id, title, status, version FROM draft WHERE session_id <> '' AND session_id`+among+` ORDER BY id`, args(part)...)
		if err != nil {
			return err
		}
		_, err = all(t, func(row scanner) (id string, err error) {
			var n int
			if err = row.Scan(&id, &n); err == nil {
				at[id].Messages = n
			}
			return id, err
		}, `SELECT session_id, COUNT(*) FROM message WHERE session_id`+among+` GROUP BY session_id`, args(part)...)
		return err
	})
}

// Update meets session.Store.
func (v Sessions) Update(ctx context.Context, ws ident.Workspace, id string, p session.Patch) (changed session.Session, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.holdSession(ws, id); err != nil {
			return err
		}
		s, err := t.session(ws, id)
		if err != nil {
			return err
		}
		if p.Match != 0 && p.Match != s.Version {
			f := fault.New(fault.Stale, "stale", "The session has changed since; its version is %d now. Load it and change it again.", s.Version)
			f.Fields = []fault.Field{{Location: "version", Code: "current", Message: strconv.Itoa(s.Version)}}
			return f
		}
		note := session.Changed{Changed: []string{}}
		for _, field := range []struct {
			name     string
			from, to *string
		}{{"name", p.Name, &s.Name}, {"llm_provider", p.Provider, &s.Provider}, {"llm_model", p.Model, &s.Model}, {"profile", p.Profile, &s.Profile}} {
			if field.from != nil && *field.from != *field.to {
				*field.to = *field.from
				note.Changed = append(note.Changed, field.name)
			}
		}
		if p.Tags != nil {
			s.Tags, note.Tags = *p.Tags, p.Tags
			note.Changed = append(note.Changed, "tags")
		}
		if p.Name != nil {
			note.Name = &s.Name
		}
		if len(note.Changed) == 0 {
			changed = s
			return nil
		}
		if _, err := t.exec(`UPDATE session SET name = ?, name_key = ?, llm_provider = ?, llm_model = ?, profile = ?, tags = ?, version = version + 1, updated_at = ?
			WHERE id = ?`, s.Name, searchKey(s.Name), s.Provider, s.Model, s.Profile, encodeList(s.Tags), t.now, id); err != nil {
			return err
		}
		if err := t.tell(id, "", runs.NewEvent{Type: session.EventUpdated, Data: note}); err != nil {
			return err
		}
		changed, err = t.session(ws, id)
		return err
	})
	return changed, err
}

// Delete meets session.Store. What is left of its runs is swept.
func (v Sessions) Delete(ctx context.Context, ws ident.Workspace, id string) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.cancelTalk(ws, id); err != nil { // raises their fences
			return err
		}
		if err := t.holdSession(ws, id); err != nil {
			return err
		}
		if err := t.cancelTalk(ws, id); err != nil { // one that was started before the row was held
			return err
		}
		// Nobody has the runs from now on; the sweep finds them by their subject.
		if _, err := t.exec(`UPDATE run SET workspace = '', subject_id = ? WHERE session_id = ? AND session_id <> '' AND kind = 'chat'`, id, id); err != nil {
			return err
		}
		for _, stays := range []string{`run`, `draft`} {
			if _, err := t.exec(`UPDATE `+stays+` SET session_id = '' WHERE session_id = ? AND session_id <> ''`, id); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DELETE FROM session WHERE id = ?`, id); err != nil {
			return err
		}
		t.wake = append(t.wake, runs.SessionTopic(id))
		return t.discard(ws, trashSession, id, 0, "")
	})
}

// cancelTalk ends the chat runs of a session.
func (t *tx) cancelTalk(ws ident.Workspace, sessionID string) error {
	ids, err := all(t, scanString, `SELECT id FROM run WHERE session_id = ? AND session_id <> '' AND workspace = ? AND kind = 'chat' AND ended_at = 0 ORDER BY id`,
		sessionID, ws)
	for i := 0; err == nil && i < len(ids); i++ {
		err = t.cancelRun(ids[i])
	}
	return err
}

// RunIDs meets session.Store.
func (v Sessions) RunIDs(ctx context.Context, ws ident.Workspace, id string) (ids []string, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		ids, err = all(t, scanString, `SELECT id FROM run WHERE session_id = ? AND session_id <> '' AND workspace = ? ORDER BY id`, id, ws)
		return err
	})
	return ids, err
}

// Settings meets session.Store.
func (v Sessions) Settings(ctx context.Context, ws ident.Workspace, id string) (s session.Settings, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		s, err = t.settings(ws, id)
		return err
	})
	return s, err
}

func (t *tx) settings(ws ident.Workspace, id string) (s session.Settings, err error) {
	var text string
	if err := t.row(`SELECT settings FROM session WHERE id = ? AND workspace = ?`, id, ws).Scan(&text); err != nil {
		return s, missing(err, sessionNoun)
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("settings of session %s: %w", id, err)
	}
	return s, nil
}

// SetSettings meets session.Store.
func (v Sessions) SetSettings(ctx context.Context, ws ident.Workspace, id string, s session.Settings) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return v.change(ctx, ws, id, "settings", func(t *tx) error {
		_, err := t.exec(`UPDATE session SET settings = ?, updated_at = ? WHERE id = ?`, string(text), t.now, id)
		return err
	})
}

// change does something to a session that is held, and tells what.
func (v Sessions) change(ctx context.Context, ws ident.Workspace, id, what string, do func(*tx) error) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.holdSession(ws, id); err != nil {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
		return t.tellChanged(id, what)
	})
}

func (t *tx) tellChanged(sessionID string, what ...string) error {
	return t.tell(sessionID, "", runs.NewEvent{Type: session.EventUpdated, Data: session.Changed{Changed: what}})
}

// State meets session.Store.
func (v Sessions) State(ctx context.Context, ws ident.Workspace, id string) (state json.RawMessage, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		state, err = t.state(ws, id)
		return err
	})
	return state, err
}

func (t *tx) state(ws ident.Workspace, id string) (json.RawMessage, error) {
	var text string
	err := t.row(`SELECT state FROM session WHERE id = ? AND workspace = ?`, id, ws).Scan(&text)
	return json.RawMessage(text), missing(err, sessionNoun)
}

// PatchState meets session.Store.
func (v Sessions) PatchState(ctx context.Context, ws ident.Workspace, id string, patch json.RawMessage) (state json.RawMessage, err error) {
	err = v.change(ctx, ws, id, "state", func(t *tx) error {
		old, err := t.state(ws, id)
		if err != nil {
			return err
		}
		if state, err = session.Merge(old, patch); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE session SET state = ?, updated_at = ? WHERE id = ?`, string(state), t.now, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return state, nil
}

// addSessionDocuments makes documents part of a session that is held.
func (t *tx) addSessionDocuments(sessionID string, documentIDs ...string) error {
	n := int64(0)
	for _, d := range documentIDs {
		fresh, err := t.exec(`INSERT INTO session_document (session_id, document_id, added_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, sessionID, d, t.now)
		if err != nil {
			return err
		}
		n += fresh
	}
	if n == 0 {
		return nil
	}
	return t.tellChanged(sessionID, "documents")
}

// tellDraft tells a draft's session, if it has one, what a person did to it.
func (t *tx) tellDraft(sessionID string, d session.DraftUpdated) error {
	if sessionID == "" {
		return nil
	}
	return t.tell(sessionID, "", runs.NewEvent{Type: session.EventDraftUpdated, Data: d})
}
