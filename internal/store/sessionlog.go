package store

import (
	"context"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

const sessionNoun = "session"

// countEvents takes the next n numbers of a session's events and gives the one before them. It holds the session's row, so that
// numbers become visible in their order.
func (t *tx) countEvents(sessionID string, n int) (before int64, err error) {
	err = t.row(`UPDATE session SET last_seq = last_seq + ? WHERE id = ? RETURNING last_seq`, n, sessionID).Scan(&before)
	t.wake = append(t.wake, runs.SessionTopic(sessionID))
	return before - int64(n), missing(err, sessionNoun)
}

// tell writes an event of a session that belongs to no run; messageID names the message whose text it has.
func (t *tx) tell(sessionID, messageID string, e runs.NewEvent) error {
	seq, err := t.countEvents(sessionID, 1)
	if err != nil {
		return err
	}
	data, err := encodeEvent(e)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO session_event (session_id, seq, at, type, message_id, data) VALUES (?, ?, ?, ?, ?, ?)`,
		sessionID, seq+1, t.now, e.Type, messageID, string(data))
	return err
}

// sessionEvents is both logs of a session in one statement, which sees them as they were at one moment.
const sessionEvents = `SELECT * FROM (SELECT run_id, seq, session_id, session_seq, at, type, data FROM run_event
		WHERE session_id = ? AND session_seq > ? AND session_seq > 0 ORDER BY session_seq LIMIT ?) r
	UNION ALL SELECT * FROM (SELECT '' AS run_id, seq, session_id, seq AS session_seq, at, type, data FROM session_event WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?) s
	ORDER BY 4 LIMIT ?`

// SessionEvents meets runs.Log.
func (s *Store) SessionEvents(ctx context.Context, ws ident.Workspace, sessionID string, after int64, limit int) (events []runs.Event, err error) {
	err = s.read(ctx, func(t *tx) error {
		if _, err := t.sessionHead(ws, sessionID); err != nil {
			return err
		}
		events, err = all(t, scanEvent, sessionEvents, sessionID, after, limit, sessionID, after, limit, limit)
		return err
	})
	return events, err
}

// SessionHead meets runs.Log.
func (s *Store) SessionHead(ctx context.Context, ws ident.Workspace, sessionID string) (last int64, err error) {
	err = s.peek(ctx, func(t *tx) error {
		last, err = t.sessionHead(ws, sessionID)
		return err
	})
	return last, err
}

func (t *tx) sessionHead(ws ident.Workspace, sessionID string) (last int64, err error) {
	err = t.row(`SELECT last_seq FROM session WHERE id = ? AND workspace = ?`, sessionID, ws).Scan(&last)
	return last, missing(err, sessionNoun)
}

// SessionHeads meets runs.Log.
func (s *Store) SessionHeads(ctx context.Context, sessionIDs []string) (map[string]int64, error) {
	type head struct {
		id   string
		last int64
	}
	heads := make(map[string]int64, len(sessionIDs))
	err := s.read(ctx, func(t *tx) error {
		return eachPart(sessionIDs, func(part []string) error {
			return each(t, func(row scanner) (h head, err error) {
				err = row.Scan(&h.id, &h.last)
				return h, err
			}, func(h head) { heads[h.id] = h.last }, `SELECT id, last_seq FROM session WHERE id IN (`+marks(len(part))+`)`, args(part)...)
		})
	})
	return heads, err
}

// holdSession locks a session's row for a change and gives its workspace's say: what is not there, or another's, is missing.
func (t *tx) holdSession(ws ident.Workspace, id string) error {
	if id == "" {
		return fault.Missing(sessionNoun)
	}
	var found string
	return missing(t.row(`SELECT id FROM session WHERE id = ? AND workspace = ?`+t.forUpdate(), id, ws).Scan(&found), sessionNoun)
}
