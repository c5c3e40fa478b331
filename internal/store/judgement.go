package store

import (
	"context"

	"byline/internal/ident"
)

// Judgement gives what was kept under an id, or nothing.
func (s *Store) Judgement(ctx context.Context, ws ident.Workspace, id string) (answer string, err error) {
	err = s.read(ctx, func(t *tx) error {
		err := t.row(`SELECT answer FROM judgement WHERE id = ? AND workspace = ?`, id, ws).Scan(&answer)
		if isNoRows(err) {
			return nil
		}
		return err
	})
	return answer, err
}

// KeepJudgement keeps an answer until one of the documents that it is about goes. One that quotes a document which is not
// there any more is not kept.
func (s *Store) KeepJudgement(ctx context.Context, ws ident.Workspace, id string, documentIDs []string, answer string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockWorkspace(ws); err != nil { // a deletion comes before or after
			return err
		}
		var links [][]any
		for _, d := range documentIDs {
			there, err := t.exists(`SELECT 1 FROM document WHERE id = ? AND workspace = ?`, d, ws)
			if err != nil || !there {
				return err
			}
			links = append(links, []any{d, id})
		}
		_, err := t.exec(`INSERT INTO judgement (id, workspace, answer, created_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET answer = excluded.answer`, id, ws, answer, t.now)
		if err != nil {
			return err
		}
		return t.insert(`INSERT INTO judgement_document (document_id, judgement_id)`, links, `ON CONFLICT (document_id, judgement_id) DO NOTHING`)
	})
}
