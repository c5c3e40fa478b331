package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"byline/internal/runs"
)

const eventsQuery = `SELECT run_id, seq, session_id, session_seq, at, type, data FROM run_event WHERE run_id = ? AND seq > ?`

func scanEvent(row scanner) (e runs.Event, err error) {
	var at int64
	var data string
	err = row.Scan(&e.RunID, &e.Seq, &e.SessionID, &e.SessionSeq, &at, &e.Type, &data)
	e.At, e.Data = timeOf(at), json.RawMessage(data)
	return e, err
}

// Events meets runs.Log.
func (s *Store) Events(ctx context.Context, runID string, after int64, limit int) (events []runs.Event, err error) {
	var fresh []runs.Event // before the database is asked: what is shelved meanwhile is seen twice, not never
	if s.intake != nil {
		whole := false
		if fresh, whole = s.intake.behind(runID, after, limit); whole {
			return fresh, nil
		}
	}
	if events = s.recent.after(runID, after, limit); events == nil {
		err = s.peek(ctx, func(t *tx) error {
			events, err = all(t, scanEvent, eventsQuery+` ORDER BY seq LIMIT ?`, runID, after, limit)
			return err
		})
	}
	if n := len(events); n > 0 {
		after = events[n-1].Seq
	}
	for _, e := range fresh {
		if err == nil && len(events) < limit && e.Seq == after+1 {
			events, after = append(events, e), e.Seq
		}
	}
	return events, err
}

// Outline gives the log of a run without what it streamed: steps, searches, tools, questions, usage.
func (s *Store) Outline(ctx context.Context, runID string) (events []runs.Event, err error) {
	err = s.read(ctx, func(t *tx) error {
		events, err = all(t, scanEvent, eventsQuery+` AND type NOT IN (?, ?, ?) ORDER BY seq`, runID, 0, runs.EventToken, runs.EventSnapshot, runs.EventReset)
		return err
	})
	return events, err
}

// lastSeq is a run's last seq, where its row has one.
func (s *Store) lastSeq(runID string, row int64) int64 {
	if s.intake == nil {
		return row
	}
	return max(row, s.intake.head(runID))
}

// Heads meets runs.Log.
func (s *Store) Heads(ctx context.Context, runIDs []string) (map[string]runs.Head, error) {
	heads := make(map[string]runs.Head, len(runIDs))
	err := s.read(ctx, func(t *tx) error {
		return eachPart(runIDs, func(part []string) error {
			rows, err := t.query(`SELECT id, last_seq, status FROM run WHERE id IN (`+marks(len(part))+`)`, args(part)...)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id string
				var h runs.Head
				if err := rows.Scan(&id, &h.LastSeq, &h.Status); err != nil {
					return err
				}
				h.LastSeq = s.lastSeq(id, h.LastSeq)
				heads[id] = h
			}
			return rows.Err()
		})
	})
	return heads, err
}

// Compact meets runs.Admin: the tokens of a run become snapshots, in one transaction a run.
func (s *Store) Compact(ctx context.Context, before time.Time, limit int) (int, error) {
	var due []string
	err := s.read(ctx, func(t *tx) (err error) {
		due, err = all(t, scanString, `SELECT id FROM run WHERE compacted = 0 AND ended_at > 0 AND ended_at < ? ORDER BY ended_at LIMIT ?`, micros(before), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	for i, id := range due {
		if err := s.write(ctx, laneBulk, func(t *tx) error { return t.compact(id) }); err != nil {
			return i, fmt.Errorf("compact run %s: %w", id, err)
		}
	}
	s.recent.forget()
	return len(due), nil
}

func (t *tx) compact(runID string) error {
	log, err := all(t, scanEvent, eventsQuery+` AND type IN (?, ?, ?) ORDER BY seq`, runID, 0, runs.EventToken, runs.EventSnapshot, runs.EventReset)
	if err != nil {
		return err
	}
	for _, c := range runs.Compact(log) {
		data, err := json.Marshal(c.Snapshot)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM run_event WHERE run_id = ? AND seq >= ? AND seq < ? AND type = ?`, runID, c.Snapshot.FromSeq, c.Seq, runs.EventToken); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE run_event SET type = ?, data = ? WHERE run_id = ? AND seq = ?`, runs.EventSnapshot, string(data), runID, c.Seq); err != nil {
			return err
		}
	}
	_, err = t.exec(`UPDATE run SET compacted = 1 WHERE id = ?`, runID)
	return err
}

// literal writes a number into SQL where a placeholder would have no type.
func literal(n int64) string { return strconv.FormatInt(n, 10) }
