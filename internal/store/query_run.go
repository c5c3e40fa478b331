package store

import (
	"context"

	"byline/internal/ident"
	"byline/internal/runs"
)

// subjectQuery is the subject of a run that answers a question: it has no row, and nothing else has its id.
const subjectQuery = "query"

// AddRun meets agent.EnquiryStore.
func (s *Store) AddRun(ctx context.Context, ws ident.Workspace, n runs.NewRun, once *ident.Once) (runs.Run, error) {
	return s.runOnce(ctx, ws, once, func(t *tx) (runs.Run, error) { return t.createRun(ws, n) })
}

// purgeAnswers purges the query runs that found a document: their steps and events hold passages of it, and their answers quote it.
// While one of them goes on it needs its steps, and the note waits (ended == false).
func (s *Store) purgeAnswers(ctx context.Context, x trash) (ended bool, err error) {
	const from = ` FROM run r WHERE r.workspace = ? AND r.kind = ? AND EXISTS (SELECT 1 FROM run_event e WHERE e.run_id = r.id AND e.type = ? AND REPLACE(e.data, ?, '') <> e.data)`
	args := []any{x.workspace, runs.KindQuery, runs.EventHits, encodeItem(x.ref)}
	list, err := readAll(ctx, s, scanString, `SELECT r.id`+from+` AND r.ended_at > 0`, args...)
	if err != nil {
		return false, err
	}
	if err := s.purgeRuns(ctx, list, true); err != nil {
		return false, err
	}
	if list, err = readAll(ctx, s, scanString, `SELECT r.id`+from+` AND r.status = 'waiting'`, args...); err != nil {
		return false, err
	}
	if err := s.purgeRuns(ctx, list, false); err != nil {
		return false, err
	}
	open, err := readAll(ctx, s, scanString, `SELECT r.id`+from+` AND r.ended_at = 0`, args...)
	return len(open) == 0, err
}
