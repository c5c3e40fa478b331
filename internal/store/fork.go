package store

import (
	"context"
	"encoding/json"
	"fmt"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// Fork meets draft.Store. What only showed is done again, so that the new run's log tells all.
func (v Drafts) Fork(ctx context.Context, ws ident.Workspace, runID, node string, once *ident.Once) (d draft.Draft, r runs.Run, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if repeated {
			if r, err = t.run(ws, m.Run); err != nil {
				return err
			}
			d, err = t.draft(ws, m.Resource)
			return err
		}
		old, err := t.run(ws, runID)
		if err != nil {
			return err
		}
		if old.Kind != runs.KindGenerate || !old.Status.Terminal() {
			return fault.New(fault.Conflict, "run_not_ended", "Only a run that wrote a draft and has ended can be forked; this one is a %s run and %s.", old.Kind, old.Status)
		}
		from, err := t.draft(ws, old.Subject.ID)
		if err != nil {
			return err
		}
		var at int64
		err = t.row(`SELECT at FROM run_step WHERE run_id = ? AND key = ? AND done = 1`, runID, node).Scan(&at)
		if isNoRows(err) {
			return fault.Bad("body.node", "no_checkpoint", "The run has no checkpoint behind %q. Its steps tell which there are; the steps of old runs are purged when a source is deleted.", node)
		}
		if err != nil {
			return err
		}
		var w draft.Wish
		if err := json.Unmarshal(old.Input, &w); err != nil {
			return fmt.Errorf("read wish: %w", err)
		}
		if d, r, err = t.addDraft(draft.Draft{Workspace: ws, SessionID: from.SessionID, Title: w.Title, DocumentIDs: from.DocumentIDs,
			Categories: from.Categories, Tags: from.Tags}, w); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO run_step (run_id, key, done, result, attempt, at)
			SELECT ?, key, done, result, 0, at FROM run_step WHERE run_id = ? AND done = 1 AND at <= CAST(? AS BIGINT) AND REPLACE(key, ?, '') = key`,
			r.ID, old.ID, at, runs.ShowPrefix); err != nil {
			return err
		}
		return t.remember(ws, once, made{Resource: d.ID, Run: r.ID})
	})
	return d, r, err
}

// StyleGuide meets draft.Store.
func (v Drafts) StyleGuide(ctx context.Context, ws ident.Workspace) (text string, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		return missing(t.row(`SELECT style_guide FROM workspace WHERE id = ?`, ws).Scan(&text), "workspace")
	})
	return text, err
}

// SetStyleGuide meets draft.Store.
func (v Drafts) SetStyleGuide(ctx context.Context, ws ident.Workspace, text string) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		n, err := t.exec(`UPDATE workspace SET style_guide = ? WHERE id = ?`, text, ws)
		if err == nil && n == 0 {
			err = fault.Missing("workspace")
		}
		return err
	})
}
