package store

import (
	"context"
	"strings"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
)

var _ search.FeedStore = (*Store)(nil)

const subjectEngine = "engine"

// Installation is the name of this library; "" before its first start.
func (s *Store) Installation(ctx context.Context) (id string, err error) {
	err = s.read(ctx, func(t *tx) error {
		err := t.row(`SELECT id FROM installation`).Scan(&id)
		if isNoRows(err) {
			return nil
		}
		return err
	})
	return id, err
}

// EngineGenerations meets search.FeedStore. The one that serves is first.
func (s *Store) EngineGenerations(ctx context.Context, engine string) ([]search.EngineGeneration, error) {
	return readAll(ctx, s, func(row scanner) (g search.EngineGeneration, err error) {
		var serving int
		err = row.Scan(&g.Engine, &g.Name, &g.Space, &g.Dims, &serving)
		g.Serving = serving == 1
		return g, err
	}, `SELECT engine, name, space, dims, serving FROM engine_generation WHERE engine = ? ORDER BY serving DESC, name`, engine)
}

// BuildEngine meets search.FeedStore.
func (s *Store) BuildEngine(ctx context.Context, g search.EngineGeneration) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockWorkspace(ident.Local); err != nil { // replicas come here at the same time
			return err
		}
		built, err := t.exists(`SELECT 1 FROM engine_generation WHERE engine = ? AND space = ? AND serving = 0`, g.Engine, g.Space)
		if err != nil || built {
			return err
		}
		if err := t.forgetGenerations(`serving = 0`, g.Engine); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO engine_generation (engine, name, space, dims, serving, created_at) VALUES (?, ?, ?, ?, 0, ?)`,
			g.Engine, g.Name, g.Space, g.Dims, t.now)
		return err
	})
}

// ServeEngine meets search.FeedStore.
func (s *Store) ServeEngine(ctx context.Context, engine, name string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		n, err := t.exec(`UPDATE engine_generation SET serving = 1 WHERE engine = ? AND name = ?`, engine, name)
		if err != nil || n == 0 { // 0: another replica has begun a newer one
			return err
		}
		return t.forgetGenerations(`name <> ?`, engine, name)
	})
}

// forgetGenerations of an engine, and what they hold.
func (t *tx) forgetGenerations(which string, args ...any) error {
	if _, err := t.exec(`DELETE FROM engine_generation WHERE engine = ? AND `+which, args...); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM engine_document WHERE engine = ? AND name NOT IN (SELECT g.name FROM engine_generation g WHERE g.engine = engine_document.engine)`, args[0])
	return err
}

// fedQuery joins documents that readers see (d) to what a generation holds of them (f). Its arguments are those of fedArgs.
const fedQuery = ` FROM (SELECT id, workspace, status, passage_generation, passage_count, EXISTS (SELECT 1 FROM document_space x
		WHERE x.document_id = document.id AND x.space = ? AND x.generation = document.passage_generation) AS meaning FROM document WHERE generation > 0) d
	LEFT JOIN engine_document f ON f.engine = ? AND f.name = ? AND f.document_id = d.id WHERE `

// lacks is what the generation has not got, or not as it is now; unfed is what of that can be sent.
const (
	lacks = `(f.document_id IS NULL OR f.generation <> d.passage_generation OR f.meant = 0 AND d.meaning)`
	unfed = lacks + ` AND d.status IN ('completed', 'failed')`
	gone  = ` FROM engine_document f WHERE f.engine = ? AND f.name = ? AND NOT EXISTS (SELECT 1 FROM document d WHERE d.id = f.document_id)`
)

func fedArgs(g search.EngineGeneration, more ...any) []any {
	return append([]any{g.Space, g.Engine, g.Name}, more...)
}

// UnfedWorkspaces meets search.FeedStore.
func (s *Store) UnfedWorkspaces(ctx context.Context, g search.EngineGeneration) ([]ident.Workspace, error) {
	return readAll(ctx, s, func(row scanner) (ws ident.Workspace, err error) {
		err = row.Scan(&ws)
		return ws, err
	}, `SELECT d.workspace`+fedQuery+unfed+` UNION SELECT f.workspace`+gone, fedArgs(g, g.Engine, g.Name)...)
}

// Unfed meets search.FeedStore.
func (s *Store) Unfed(ctx context.Context, g search.EngineGeneration, ws ident.Workspace, after string, limit int) ([]search.Unfed, error) {
	return readAll(ctx, s, func(row scanner) (u search.Unfed, err error) {
		var meant int
		var ids string
		err = row.Scan(&u.DocumentID, &u.Generation, &meant, &ids)
		u.Meant, u.Held = meant == 1, strings.Fields(ids)
		return u, err
	}, `SELECT d.id AS id, d.passage_generation AS generation, CASE WHEN d.meaning THEN 1 ELSE 0 END AS meant, COALESCE(f.passage_ids, '') AS held`+
		fedQuery+`d.workspace = ? AND d.id > ? AND (`+unfed+` OR f.refused <> '')
		UNION ALL SELECT f.document_id, 0, 0, f.passage_ids`+gone+` AND f.workspace = ? AND f.document_id > ? ORDER BY id LIMIT ?`,
		fedArgs(g, ws, after, g.Engine, g.Name, ws, after, limit)...)
}

// Lagging meets search.FeedStore.
func (s *Store) Lagging(ctx context.Context, g search.EngineGeneration, ws ident.Workspace, passages int) (documents []string, more bool, err error) {
	type row struct {
		id       string
		passages int
	}
	list, err := readAll(ctx, s, func(s scanner) (r row, err error) {
		err = s.Scan(&r.id, &r.passages)
		return r, err
	}, `SELECT d.id, d.passage_count`+fedQuery+`d.workspace = ? AND (`+lacks+` OR f.refused <> '') ORDER BY d.id DESC LIMIT ?`, fedArgs(g, ws, passages+1)...)
	for _, r := range list {
		if passages -= r.passages; passages < 0 {
			return documents, true, err
		}
		documents = append(documents, r.id)
	}
	return documents, false, err
}

// EngineBacklog meets search.FeedStore.
func (s *Store) EngineBacklog(ctx context.Context, g search.EngineGeneration) (waiting, refused int, err error) {
	err = s.read(ctx, func(t *tx) error {
		if err := t.row(`SELECT (SELECT COUNT(*)`+fedQuery+unfed+`) + (SELECT COUNT(*)`+gone+`)`, fedArgs(g, g.Engine, g.Name)...).Scan(&waiting); err != nil {
			return err
		}
		return t.row(`SELECT COUNT(*) FROM engine_document WHERE engine = ? AND name = ? AND refused <> ''`, g.Engine, g.Name).Scan(&refused)
	})
	return waiting, refused, err
}

// PutFed meets search.FeedStore.
func (s *Store) PutFed(ctx context.Context, l runs.Lease, g search.EngineGeneration, list []search.Fed) error {
	return s.write(ctx, laneBulk, func(t *tx) error {
		if _, _, err := t.held(l); err != nil {
			return err
		}
		known, err := t.exists(`SELECT 1 FROM engine_generation WHERE engine = ? AND name = ?`, g.Engine, g.Name)
		if err != nil || !known {
			return err // dropped: nobody asks for what it holds
		}
		var rows [][]any
		for _, f := range list {
			if f.Generation == 0 && len(f.IDs) == 0 {
				if _, err := t.exec(`DELETE FROM engine_document WHERE engine = ? AND name = ? AND document_id = ?`, g.Engine, g.Name, f.DocumentID); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []any{g.Engine, g.Name, l.Workspace, f.DocumentID, f.Generation, flag(f.Meant), f.Passages, int64(f.Digest), f.Refused, strings.Join(f.IDs, "\n")})
		}
		return t.insert(`INSERT INTO engine_document (engine, name, workspace, document_id, generation, meant, passages, digest, refused, passage_ids)`, rows,
			`ON CONFLICT (engine, name, document_id) DO UPDATE SET generation = excluded.generation, meant = excluded.meant, passages = excluded.passages,
				digest = excluded.digest, refused = excluded.refused, passage_ids = excluded.passage_ids`)
	})
}

// EngineHoldings meets search.FeedStore.
func (s *Store) EngineHoldings(ctx context.Context, g search.EngineGeneration) (map[ident.Workspace]search.Holding, error) {
	m := map[ident.Workspace]search.Holding{}
	err := s.read(ctx, func(t *tx) error {
		type row struct {
			ws       ident.Workspace
			passages int
			digest   int64
		}
		return each(t, func(s scanner) (r row, err error) {
			err = s.Scan(&r.ws, &r.passages, &r.digest)
			return r, err
		}, func(r row) {
			h := m[r.ws]
			m[r.ws] = search.Holding{Passages: h.Passages + r.passages, Digest: h.Digest + uint64(r.digest)}
		}, `SELECT workspace, passages, digest FROM engine_document WHERE engine = ? AND name = ?`, g.Engine, g.Name)
	})
	return m, err
}

// Refeed meets search.FeedStore.
func (s *Store) Refeed(ctx context.Context, g search.EngineGeneration, ws ident.Workspace) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		_, err := t.exec(`UPDATE engine_document SET generation = 0 WHERE engine = ? AND name = ? AND workspace = ?`, g.Engine, g.Name, ws)
		return err
	})
}

// StartSync meets search.FeedStore.
func (s *Store) StartSync(ctx context.Context, ws ident.Workspace, engine string, rest time.Duration) (started bool, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		started = false
		if err := t.lockWorkspace(ws); err != nil {
			return err
		}
		busy, err := t.exists(`SELECT 1 FROM run WHERE kind = 'sync' AND workspace = ? AND subject_id = ? AND (ended_at = 0 OR ended_at > ? AND status = ?)`,
			ws, engine, t.now-rest.Microseconds(), runs.Failed)
		if err != nil || busy {
			return err
		}
		started = true
		_, err = t.createRun(ws, runs.NewRun{Kind: runs.KindSync, Subject: runs.Subject{Type: subjectEngine, ID: engine}, Input: search.SyncInput{Engine: engine}})
		return err
	})
	return started, err
}
