package store

import (
	"context"
	"database/sql"

	"byline/internal/ident"
	"byline/internal/llm"
)

var _ llm.Ledger = (*Store)(nil)

// AddUsage meets llm.Ledger.
func (s *Store) AddUsage(ctx context.Context, e llm.Entry) error {
	var cost sql.NullFloat64
	if e.Usage.Cost != nil {
		cost = sql.NullFloat64{Float64: *e.Usage.Cost, Valid: true}
	}
	estimated := 0
	if e.Usage.Estimated {
		estimated = 1
	}
	at := e.At.UTC()
	return s.write(ctx, laneEvents, func(t *tx) error {
		_, err := t.exec(`INSERT INTO model_usage (id, workspace, run_id, user_id, provider, model, purpose, input, cached, output, cost, estimated, month, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			ident.New(), e.Payer.Workspace, e.Payer.RunID, e.Payer.UserID, e.Provider, e.Model, e.Purpose,
			e.Usage.Input, e.Usage.Cached, e.Usage.Output, cost, estimated, at.Year()*100+int(at.Month()), micros(at))
		return err
	})
}

// Used meets llm.Ledger.
func (s *Store) Used(ctx context.Context, a llm.Account) (sum llm.Amount, err error) {
	var w where
	if a.Workspace != "" {
		w.and(`workspace = ?`, a.Workspace)
	}
	if a.RunID != "" {
		w.and(`run_id = ?`, a.RunID)
	}
	if a.UserID != "" {
		w.and(`user_id = ?`, a.UserID)
	}
	w.and(`at >= ?`, micros(a.Since))
	err = s.peek(ctx, func(t *tx) error {
		return t.row(`SELECT CAST(COALESCE(SUM(input + output), 0) AS BIGINT), COALESCE(SUM(cost), 0.0), COUNT(*), COUNT(*) - COUNT(cost)
			FROM model_usage WHERE `+w.sql.String(), w.args...).Scan(&sum.Tokens, &sum.Cost, &sum.Requests, &sum.Unpriced)
	})
	return sum, err
}

const usageSums = `COUNT(*), CAST(SUM(input) AS BIGINT), CAST(SUM(cached) AS BIGINT), CAST(SUM(output) AS BIGINT), SUM(cost), COUNT(*) - COUNT(cost), CAST(SUM(estimated) AS BIGINT)`

// UsageByMonth meets llm.Books: the newest month first, then by provider and model.
func (s *Store) UsageByMonth(ctx context.Context, ws ident.Workspace) (list []llm.Line, err error) {
	err = s.peek(ctx, func(t *tx) error {
		list, err = all(t, func(r scanner) (l llm.Line, err error) {
			var cost sql.NullFloat64
			err = r.Scan(&l.Month, &l.Provider, &l.Model, &l.Requests, &l.Input, &l.Cached, &l.Output, &cost, &l.Unpriced, &l.Estimated)
			l.Cost = cost.Float64
			return l, err
		}, `SELECT month, provider, model, `+usageSums+` FROM model_usage WHERE workspace = ? GROUP BY month, provider, model ORDER BY month DESC, provider, model`, ws)
		return err
	})
	return list, err
}

// UsageOfRuns meets llm.Books.
func (s *Store) UsageOfRuns(ctx context.Context, ws ident.Workspace, runIDs []string) (map[string]llm.Line, error) {
	sums := map[string]llm.Line{}
	err := eachPart(runIDs, func(part []string) error {
		return s.peek(ctx, func(t *tx) error {
			type line struct {
				run string
				llm.Line
			}
			return each(t, func(r scanner) (l line, err error) {
				var cost sql.NullFloat64
				err = r.Scan(&l.run, &l.Requests, &l.Input, &l.Cached, &l.Output, &cost, &l.Unpriced, &l.Estimated)
				l.Cost = cost.Float64
				return l, err
			}, func(l line) { sums[l.run] = l.Line },
				`SELECT run_id, `+usageSums+` FROM model_usage WHERE run_id IN (`+marks(len(part))+`) AND workspace = ? GROUP BY run_id`, append(args(part), ws)...)
		})
	})
	return sums, err
}
