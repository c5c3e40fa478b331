package store

import (
	"context"
	"fmt"

	"byline/internal/document"
	"byline/internal/ident"
)

// Delete meets document.Store: one transaction over all tables. Large rows stay for the sweep, but nobody can reach them,
// since every way to them goes through the document's row.
func (s *Store) Delete(ctx context.Context, ws ident.Workspace, id string, purgeQuotes bool) (left document.Deleted, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		left = document.Deleted{}
		if err := t.cancelRuns(ws, id); err != nil { // raises their fences
			return err
		}
		var blob string
		err := t.row(`SELECT blob FROM document WHERE id = ? AND workspace = ?`+t.forUpdate(), id, ws).Scan(&blob)
		if err != nil {
			return missing(err, documentNoun)
		}
		if err := t.cancelRuns(ws, id); err != nil { // one that was started before the row was held
			return err
		}
		if err := t.lockWorkspace(ws); err != nil {
			return err
		}
		if err := t.unwaitReaders(ws, id); err != nil {
			return err
		}
		if err := t.bury(id); err != nil {
			return err
		}
		for _, table := range []string{`document_space WHERE document_id`, `document WHERE id`} {
			if _, err := t.exec(`DELETE FROM `+table+` = ?`, id); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DELETE FROM judgement WHERE id IN (SELECT judgement_id FROM judgement_document WHERE document_id = ?)`, id); err != nil {
			return err
		}
		if left.Drafts, err = t.orphanQuotes(ws, id, purgeQuotes); err != nil {
			return err
		}
		if err := t.leaveSessions(id, purgeQuotes); err != nil {
			return err
		}
		return t.discard(ws, trashDocument, id, 0, blob)
	})
	if err != nil {
		return document.Deleted{}, err
	}
	return left, nil
}

// orphanQuotes marks what quotes a document that goes away, and tells which drafts do. The workspace is held, so that the
// citations of two documents that go at once are changed one after the other.
func (t *tx) orphanQuotes(ws ident.Workspace, documentID string, purge bool) ([]document.DraftRef, error) {
	const quoting = `citation_document q JOIN citation c ON c.id = q.citation_id`
	list, err := all(t, func(row scanner) (r document.DraftRef, err error) {
		err = row.Scan(&r.ID, &r.Title)
		return r, err
	}, `SELECT DISTINCT d.id, d.title FROM `+quoting+` JOIN draft_version v ON v.id = c.version_id JOIN draft d ON d.id = v.draft_id
		WHERE q.document_id = ? ORDER BY d.id`, documentID)
	if err != nil {
		return nil, err
	}
	citations, err := all(t, scanCitation, `SELECT c.id, c.start, c."end", c.claim, c.verdict, c.spans FROM `+quoting+`
		WHERE q.document_id = ? ORDER BY c.id`, documentID)
	if err != nil {
		return nil, err
	}
	for _, c := range citations {
		orphan(&c, documentID, purge)
		verdict, spans, err := encodeCitation(c)
		if err != nil {
			return nil, fmt.Errorf("citation %s: %w", c.ID, err)
		}
		if _, err := t.exec(`UPDATE citation SET claim = ?, verdict = ?, spans = ?, orphan = 1 WHERE id = ?`, c.Claim.Text, verdict, spans, c.ID); err != nil {
			return nil, err
		}
	}
	if _, err = t.exec(`DELETE FROM citation_document WHERE document_id = ?`, documentID); err != nil {
		return nil, err
	}
	return list, t.orphanProposals(ws, documentID, purge)
}
