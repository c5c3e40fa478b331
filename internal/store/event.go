package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// held locks a run's row and checks the lease: the fence has not moved and the run is still running.
func (t *tx) held(l runs.Lease) (lastSeq int64, sessionID string, err error) {
	if err := t.shelve(l.RunID); err != nil {
		return 0, "", err
	}
	var fence int64
	var status string
	err = t.row(`SELECT fence, status, last_seq, session_id FROM run WHERE id = ?`+t.forUpdate(), l.RunID).Scan(&fence, &status, &lastSeq, &sessionID)
	if isNoRows(err) || err == nil && (fence != l.Fence || status != string(runs.Running)) {
		return 0, "", runs.ErrFenced
	}
	return lastSeq, sessionID, err
}

// appendEvents is the fenced write of a run's log. The caller's other writes of the same transaction are fenced by it too.
func (t *tx) appendEvents(l runs.Lease, events ...runs.NewEvent) error {
	_, err := t.appendHeld(l, events)
	return err
}

func (t *tx) appendHeld(l runs.Lease, events []runs.NewEvent) (last int64, err error) {
	tokens := onlyTokens(events)
	guess, ok := t.recent.head(l.RunID)
	if t.intake != nil {
		ln := t.intake.line(l)
		if ln != nil && tokens {
			return t.takeIn(ln, events)
		}
		if err := t.shelve(l.RunID); err != nil {
			return 0, err
		}
		if ln != nil {
			guess, ok = ln.seq+int64(len(ln.staged)), true
		}
	}
	if ok && len(events) > 0 { // nearly always right, and one statement less
		last = guess + int64(len(events))
		n, err := t.exec(`UPDATE run SET last_seq = ? WHERE id = ? AND fence = ? AND status = 'running' AND last_seq = ?`, last, l.RunID, l.Fence, guess)
		if err != nil {
			return 0, err
		}
		if n == 1 {
			if tokens {
				t.takesIn(l, last)
			}
			return last, t.writeEvents(l.RunID, "", guess, events)
		}
	}
	last, session, err := t.held(l)
	if err != nil || len(events) == 0 {
		return last, err
	}
	last, err = t.log(l.RunID, session, last, events)
	if session == "" && tokens {
		t.takesIn(l, last)
	}
	return last, err
}

// log writes events behind the last one of a run whose row is held.
func (t *tx) log(runID, session string, last int64, events []runs.NewEvent) (int64, error) {
	if err := t.writeEvents(runID, session, last, events); err != nil {
		return 0, err
	}
	last += int64(len(events))
	_, err := t.exec(`UPDATE run SET last_seq = ? WHERE id = ?`, last, runID)
	return last, err
}

const (
	insertEvent = `INSERT INTO run_event (run_id, seq, session_id, session_seq, at, type, data) VALUES `
	eventMarks  = `(?, ?, ?, ?, ?, ?, ?)`
	eventWidth  = 7
)

// late are events of a transaction whose rows are written together at its end, many with one statement.
type late struct {
	rows []any
}

var lateSizes = []struct {
	rows  int
	query string
}{
	{32, insertEvent + strings.Repeat(eventMarks+", ", 31) + eventMarks},
	{8, insertEvent + strings.Repeat(eventMarks+", ", 7) + eventMarks},
	{1, insertEvent + eventMarks},
}

// write writes what is there.
func (l *late) write(ctx context.Context, q querier) error {
	rest := l.rows
	for _, size := range lateSizes {
		for n := size.rows * eventWidth; len(rest) >= n; rest = rest[n:] {
			if _, err := q.exec(ctx, size.query, rest[:n]...); err != nil {
				return err
			}
		}
	}
	clear(l.rows)
	l.rows = l.rows[:0]
	return nil
}

// writeEvents writes the rows of events behind a seq.
func (t *tx) writeEvents(runID, session string, last int64, events []runs.NewEvent) error {
	var sessionSeq int64
	if session != "" && len(events) > 0 {
		var err error
		if sessionSeq, err = t.countEvents(session, len(events)); err != nil {
			return err
		}
	}
	for _, e := range events {
		data, err := encodeEvent(e)
		if err != nil {
			return err
		}
		last++
		if session != "" {
			sessionSeq++
		}
		t.new = append(t.new, runs.Event{RunID: runID, Seq: last, SessionID: session, SessionSeq: sessionSeq, At: timeOf(t.now), Type: e.Type, Data: data})
		if t.late != nil && session == "" {
			t.late.rows = append(t.late.rows, runID, last, session, sessionSeq, t.now, e.Type, string(data))
			continue
		}
		if _, err := t.exec(insertEvent+eventMarks, runID, last, session, sessionSeq, t.now, e.Type, string(data)); err != nil {
			return err
		}
	}
	t.wake = append(t.wake, runID)
	return nil
}

func encodeEvent(e runs.NewEvent) (json.RawMessage, error) {
	if e.Data == nil {
		return json.RawMessage("{}"), nil
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("write event %s: %w", e.Type, err)
	}
	return data, nil
}

// createRun adds a queued run with its first event.
func (t *tx) createRun(ws ident.Workspace, n runs.NewRun) (runs.Run, error) {
	input, err := json.Marshal(n.Input)
	if err != nil {
		return runs.Run{}, fmt.Errorf("write input of run: %w", err)
	}
	r := runs.Run{ID: ident.New(), Workspace: ws, Kind: n.Kind, Status: runs.Queued, Subject: n.Subject, SessionID: n.SessionID, Input: input, CreatedAt: timeOf(t.now)}
	if _, err := t.exec(`INSERT INTO run (id, workspace, kind, status, subject, subject_id, session_id, input, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, string(ws), string(r.Kind), string(r.Status), r.Subject.Type, r.Subject.ID, r.SessionID, string(input), t.now); err != nil {
		return runs.Run{}, err
	}
	r.LastSeq, err = t.log(r.ID, r.SessionID, 0, []runs.NewEvent{{Type: runs.EventCreated, Data: map[string]any{"kind": r.Kind, "subject": r.Subject}}})
	return r, err
}

// made is what a request with an Idempotency-Key has made.
type made struct {
	Resource, Run string
}

// keyLife is how long a key is remembered.
const keyLife = 24 * time.Hour

// once looks up a request's key. The same key with another request is refused; nil is a request without a key.
func (t *tx) once(ws ident.Workspace, o *ident.Once) (m made, repeated bool, err error) {
	if o == nil {
		return made{}, false, nil
	}
	if t.pg { // two requests with one key at the same time: the second waits for the first
		if _, err := t.exec(`SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, string(ws)+" "+o.Key); err != nil {
			return made{}, false, err
		}
	}
	var fingerprint string
	var at int64
	err = t.row(`SELECT fingerprint, resource_id, run_id, created_at FROM idempotency WHERE workspace = ? AND key = ?`, string(ws), o.Key).
		Scan(&fingerprint, &m.Resource, &m.Run, &at)
	switch {
	case isNoRows(err):
		return made{}, false, nil
	case err != nil:
		return made{}, false, err
	case t.now-at > keyLife.Microseconds():
		_, err := t.exec(`DELETE FROM idempotency WHERE workspace = ? AND key = ?`, string(ws), o.Key)
		return made{}, false, err
	case fingerprint != o.Fingerprint:
		return made{}, false, fault.New(fault.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new key for a new request.")
	}
	return m, true, nil
}

// runOnce makes a run in a transaction, or gives the one that an earlier request with the same key made.
func (s *Store) runOnce(ctx context.Context, ws ident.Workspace, once *ident.Once, create func(*tx) (runs.Run, error)) (r runs.Run, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if repeated {
			r, err = t.run(ws, m.Run)
			return err
		}
		if r, err = create(t); err != nil {
			return err
		}
		return t.remember(ws, once, made{Resource: r.Subject.ID, Run: r.ID})
	})
	return r, err
}

// remember keeps what a request with a key made, in the transaction that makes it.
func (t *tx) remember(ws ident.Workspace, o *ident.Once, m made) error {
	if o == nil {
		return nil
	}
	_, err := t.exec(`INSERT INTO idempotency (workspace, key, fingerprint, resource_id, run_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		string(ws), o.Key, o.Fingerprint, m.Resource, m.Run, t.now)
	return err
}
