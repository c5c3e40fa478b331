package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
)

// mergeTime is how long a merge may take to make the segments that it writes visible; what is older was left by a crash.
const mergeTime = 10 * time.Minute

// trash is a note of what is left to remove.
type trash struct {
	id         string
	workspace  ident.Workspace
	kind, ref  string
	generation int64
	blob       string
}

func scanTrash(row scanner) (x trash, err error) {
	err = row.Scan(&x.id, &x.workspace, &x.kind, &x.ref, &x.generation, &x.blob)
	return x, err
}

// Sweep meets document.Store. A note in the trash goes last: when its rows are gone, the segments that held its words are
// merged, the database's files are rid of it and the blob is removed. So what a crash leaves is found again.
func (s *Store) Sweep(ctx context.Context, remove func(ctx context.Context, blob string) error) (left int, err error) {
	if err := s.sweepSpaces(ctx); err != nil {
		return 0, err
	}
	if err := s.SweepOrphans(ctx); err != nil {
		return 0, err
	}
	if err := s.sweepExpired(ctx); err != nil {
		return 0, err
	}
	var list, empty []trash
	if list, err = readAll(ctx, s, scanTrash, `SELECT id, workspace, kind, ref, generation, blob FROM trash ORDER BY id`); err != nil {
		return 0, err
	}
	for _, x := range list {
		done, err := s.sweep(ctx, x)
		if err != nil {
			return len(list), fmt.Errorf("sweep %s %s: %w", x.kind, x.ref, err)
		}
		if done {
			empty = append(empty, x)
		}
	}
	if len(empty) == 0 {
		return len(list), nil
	}
	if clean, err := s.checkpoint(ctx); err != nil || !clean {
		return len(list), err // a reader is in the way; the notes stay for the next time
	}
	left = len(list)
	for _, x := range empty {
		if err := s.forget(ctx, x, remove); err != nil {
			return left, fmt.Errorf("sweep %s %s: %w", x.kind, x.ref, err)
		}
		left--
	}
	return left, nil
}

// sweep removes the rows of one note and tells whether nothing is left of it.
func (s *Store) sweep(ctx context.Context, x trash) (done bool, err error) {
	switch x.kind {
	case trashDocument:
		return s.sweepDocument(ctx, x)
	case trashGeneration:
		return s.sweepGeneration(ctx, x)
	default:
		own, err := readAll(ctx, s, scanString, `SELECT id FROM run WHERE subject_id = ?`, x.ref)
		if err != nil {
			return false, err
		}
		if err := s.purgeRuns(ctx, own, true); err != nil || x.kind == trashDraft {
			return err == nil, err
		}
		for _, id := range own { // of a session or a message: nothing of it is kept
			if err := s.write(ctx, laneBulk, func(t *tx) error {
				_, err := t.exec(`DELETE FROM run WHERE id = ?`, id)
				return err
			}); err != nil {
				return false, err
			}
		}
		return true, nil
	}
}

func (s *Store) sweepDocument(ctx context.Context, x trash) (done bool, err error) {
	for _, r := range []removal{removeSlices, removePages, removeVectors, removePassages} {
		if err := s.slice(ctx, func(t *tx) (bool, error) { return t.remove(r, `1 = 1`, x.ref) }); err != nil {
			return false, err
		}
	}
	own, err := readAll(ctx, s, scanString, `SELECT id FROM run WHERE subject_id = ?`, x.ref)
	if err != nil {
		return false, err
	}
	if err := s.purgeRuns(ctx, own, true); err != nil {
		return false, err
	}
	for _, purge := range []func(context.Context, trash) (bool, error){s.purgeReaders, s.purgeAnswers} {
		if ended, err := purge(ctx, x); err != nil || !ended {
			return false, err
		}
	}
	return s.segmentsGone(ctx, `SELECT 1 FROM segment_document WHERE document_id = ? LIMIT 1`, x.ref)
}

// purgeReaders purges the runs of drafts that were written from a document: their steps and events hold passages of it.
// While one of them goes on it needs its steps, and the note waits (ended == false).
func (s *Store) purgeReaders(ctx context.Context, x trash) (ended bool, err error) {
	const from = ` FROM run r JOIN draft d ON d.id = r.subject_id WHERE d.workspace = ? AND REPLACE(d.document_ids, ?, '') <> d.document_ids`
	list, err := readAll(ctx, s, scanString, `SELECT r.id`+from+` AND r.ended_at > 0`, x.workspace, encodeItem(x.ref))
	if err != nil {
		return false, err
	}
	if err := s.purgeRuns(ctx, list, false); err != nil {
		return false, err
	}
	open, err := readAll(ctx, s, scanString, `SELECT r.id`+from+` AND r.ended_at = 0`, x.workspace, encodeItem(x.ref))
	if err != nil {
		return false, err
	}
	talking, err := s.purgeTalk(ctx, x)
	return len(open)+talking == 0, err
}

// purgeTalk does the same for the runs of sessions, which may have read any document: those whose steps or events name it, or a draft that
// was written from it. It tells how many are still at work.
func (s *Store) purgeTalk(ctx context.Context, x trash) (talking int, err error) {
	const from = `SELECT r.id FROM run r WHERE r.workspace = ? AND r.kind = 'chat' AND (
		EXISTS (SELECT 1 FROM run_step st WHERE st.run_id = r.id AND REPLACE(st.result, ?, '') <> st.result)
		OR EXISTS (SELECT 1 FROM run_event e WHERE e.run_id = r.id AND e.type <> 'run.created' AND REPLACE(e.data, ?, '') <> e.data)
		OR EXISTS (SELECT 1 FROM run_step st WHERE st.run_id = r.id) AND EXISTS (SELECT 1 FROM message m JOIN draft d ON d.id = m.draft_id
			WHERE m.run_id = r.id AND d.workspace = ? AND REPLACE(d.document_ids, ?, '') <> d.document_ids))`
	args := []any{x.workspace, x.ref, x.ref, x.workspace, encodeItem(x.ref)}
	list, err := readAll(ctx, s, scanString, from+` AND (r.ended_at > 0 OR r.status = 'waiting')`, args...)
	if err != nil {
		return 0, err
	}
	if err := s.purgeRuns(ctx, list, false); err != nil {
		return 0, err
	}
	open, err := readAll(ctx, s, scanString, from+` AND r.status IN ('queued', 'running')`, args...)
	return len(open), err
}

// sweepGeneration removes the rows of a document's generations, up to one, that neither readers nor work refer to.
func (s *Store) sweepGeneration(ctx context.Context, x trash) (done bool, err error) {
	for _, r := range []removal{removeSlices, removePages, removeVectors, removePassages} {
		err := s.slice(ctx, func(t *tx) (bool, error) {
			w, err := t.work(x.workspace, x.ref, t.forUpdate())
			if isMissing(err) {
				return false, nil // the document went too, and has a note of its own
			}
			if err != nil {
				return false, err
			}
			seen, doing := w.seen.text, w.doing.text
			if r.table == removePassages.table || r.table == removeVectors.table {
				seen, doing = w.seen.passages, w.doing.passages
			}
			return t.remove(r, `generation <= ? AND generation NOT IN (?, ?)`, x.ref, x.generation, seen, doing)
		})
		if err != nil {
			return false, err
		}
	}
	return s.segmentsGone(ctx, `SELECT 1 FROM segment_document WHERE document_id = ? AND dead = 1 LIMIT 1`, x.ref)
}

// segmentsGone tells whether no segment holds words of what was removed. Merges see to that; they are not done here.
func (s *Store) segmentsGone(ctx context.Context, holding, documentID string) (bool, error) {
	found, err := readAll(ctx, s, scanFlag, holding, documentID)
	return len(found) == 0, err
}

func scanFlag(row scanner) (n int, err error) {
	err = row.Scan(&n)
	return n, err
}

// slice repeats a small transaction of the bulk lane while there is more to do.
func (s *Store) slice(ctx context.Context, step func(t *tx) (more bool, err error)) error {
	for more := true; more; {
		err := s.write(ctx, laneBulk, func(t *tx) (err error) {
			more, err = step(t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// purgeRuns removes the steps of runs and what their events say. With whole nothing is kept but the order of the log and
// how it ended; else (the run's draft still lives) the events that hold no text stay as they are, and one that waits for an answer begins
// again: its question may quote what has gone.
func (s *Store) purgeRuns(ctx context.Context, ids []string, whole bool) error {
	for _, id := range ids {
		var err error
		for after, more := int64(0), true; more && err == nil; {
			var next int64
			err = s.write(ctx, laneBulk, func(t *tx) (err error) {
				if err := t.shelveAll(); err != nil { // a row of the intake has tokens of many runs
					return err
				}
				next, more, err = t.purgeEvents(id, after, whole)
				return err
			})
			after = next
		}
		if err != nil {
			return err
		}
		err = s.write(ctx, laneBulk, func(t *tx) error {
			if whole {
				if _, err := t.exec(`UPDATE run SET input = '{}' WHERE id = ? AND input <> '{}'`, id); err != nil {
					return err
				}
			} else if err := t.unwait(id); err != nil {
				return err
			}
			_, err := t.exec(`DELETE FROM run_step WHERE run_id = ?`, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	s.recent.forget()
	return nil
}

// purgeEvents purges some events after a seq and gives the last one's.
func (t *tx) purgeEvents(run string, after int64, whole bool) (last int64, more bool, err error) {
	const some = 100
	type event struct {
		seq        int64
		kind, data string
	}
	list, err := all(t, func(row scanner) (e event, err error) {
		err = row.Scan(&e.seq, &e.kind, &e.data)
		return e, err
	}, `SELECT seq, type, data FROM run_event WHERE run_id = ? AND seq > ? AND data <> '{}' ORDER BY seq LIMIT ?`, run, after, some)
	if err != nil {
		return after, false, err
	}
	last = after
	for _, e := range list {
		last = e.seq
		if data := purged(e.kind, e.data, whole); data != e.data {
			if _, err := t.exec(`UPDATE run_event SET data = ? WHERE run_id = ? AND seq = ?`, data, run, e.seq); err != nil {
				return after, false, err
			}
		}
	}
	return last, len(list) == some, nil
}

// purged is what an event may still say. Tokens and snapshots keep their places, which make the log complete.
func purged(kind, data string, whole bool) string {
	switch kind {
	case runs.EventToken:
		var x runs.Token
		if json.Unmarshal([]byte(data), &x) == nil {
			x.Text = ""
			return encodeOr(x)
		}
	case runs.EventSnapshot:
		var x runs.Snapshot
		if json.Unmarshal([]byte(data), &x) == nil {
			x.Text = ""
			return encodeOr(x)
		}
	case runs.EventCreated, runs.EventStarted, runs.EventRestarted, runs.EventCompleted, runs.EventFailed, runs.EventCancelled,
		runs.EventStepStarted, runs.EventStepProgress, runs.EventStepCompleted, runs.EventReset, runs.EventVersion:
		if !whole {
			return data
		}
	}
	return "{}"
}

// encodeOr is JSON of x, or an empty object.
func encodeOr(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// forget removes the blob, unless another document has it, and the note.
func (s *Store) forget(ctx context.Context, x trash, remove func(ctx context.Context, blob string) error) error {
	if x.blob != "" {
		kept, err := s.HasBlob(ctx, x.blob)
		if err != nil {
			return err
		}
		if !kept {
			if err := remove(ctx, x.blob); err != nil {
				return err
			}
		}
	}
	return s.write(ctx, laneBulk, func(t *tx) error {
		_, err := t.exec(`DELETE FROM trash WHERE id = ?`, x.id)
		return err
	})
}

// SweepOrphans removes segments that nobody will ever see: of runs that have ended, of merges that were interrupted, and
// those that were replaced.
func (s *Store) SweepOrphans(ctx context.Context) error {
	ids, err := readAll(ctx, s, scanString, `SELECT s.id FROM segment s WHERE s.live <> 1 AND (s.live = 2
			OR s.run_id = '' AND s.created_at < ?
			OR s.run_id <> '' AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = s.run_id AND r.ended_at = 0))`, micros(time.Now().Add(-mergeTime)))
	for i := 0; err == nil && i < len(ids); i++ {
		err = s.dropSegment(ctx, ids[i])
	}
	return err
}

// sweepExpired removes what is a day over: refresh tokens that ran out (until then a reuse of one still is noticed), keys of
// requests that nobody repeats any more, and tickets that nobody used.
func (s *Store) sweepExpired(ctx context.Context) error {
	before := micros(time.Now().Add(-24 * time.Hour))
	for _, over := range []string{`refresh_token WHERE expires_at < ?`, `idempotency WHERE created_at < ?`, `stream_ticket WHERE expires_at < ?`} {
		old, err := readAll(ctx, s, scanFlag, `SELECT 1 FROM `+over+` LIMIT 1`, before)
		if err != nil {
			return err
		}
		if len(old) == 0 {
			continue // an idle library is not written to
		}
		if err := s.write(ctx, laneBulk, func(t *tx) error {
			_, err := t.exec(`DELETE FROM `+over, before)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// readAll is all in a transaction of its own.
func readAll[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) (list []T, err error) {
	err = s.read(ctx, func(t *tx) error {
		list, err = all(t, scan, query, args...)
		return err
	})
	return list, err
}
