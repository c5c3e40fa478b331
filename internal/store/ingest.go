package store

import (
	"context"
	"fmt"

	"byline/internal/document"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
)

var _ ingest.Store = (*Store)(nil)

// fencedWork checks the lease and reads the run's document, held with lock.
func (t *tx) fencedWork(l runs.Lease, lock string) (work, error) {
	id, err := t.subject(l)
	if err != nil {
		return work{}, err
	}
	w, err := t.work(l.Workspace, id, lock)
	if isMissing(err) {
		return work{}, runs.ErrFenced // a deletion raises the fence too; the answer is the same
	}
	return w, err
}

// Begin meets ingest.Store.
func (s *Store) Begin(ctx context.Context, l runs.Lease) (found ingest.Work, err error) {
	var w work
	var left bool
	err = s.write(ctx, laneEvents, func(t *tx) error {
		if w, err = t.fencedWork(l, t.forUpdate()); err != nil {
			return err
		}
		if w.stage != document.Embedded {
			if _, err = t.exec(`UPDATE document SET status = ?, progress_done = 0, progress_of = 0, error_code = '', error = '',
				updated_at = ? WHERE id = ?`, document.Processing, t.now, w.id); err != nil {
				return err
			}
		}
		if left, err = t.hasLeftovers(w); err != nil {
			return err
		}
		d, err := t.document(l.Workspace, w.id)
		found = ingest.Work{Document: d, Generation: w.doing.number, Stage: w.stage}
		return err
	})
	for err == nil && left {
		err = s.write(ctx, laneBulk, func(t *tx) error {
			if _, err := t.fencedWork(l, ""); err != nil {
				return err // another worker writes the same generation by now
			}
			left, err = t.removeLeftovers(w)
			return err
		})
	}
	if err != nil {
		return ingest.Work{}, err
	}
	return found, nil
}

// hasLeftovers tells whether a stage that was not committed has rows; artefacts that were taken over from another
// generation never are leftovers.
func (t *tx) hasLeftovers(w work) (bool, error) {
	n := w.doing.number
	return t.exists(`SELECT 1 WHERE
		EXISTS (SELECT 1 FROM document_slice WHERE document_id = ? AND generation = ? AND ? = 'stored') OR
		EXISTS (SELECT 1 FROM page WHERE document_id = ? AND generation = ? AND ? = 'stored') OR
		EXISTS (SELECT 1 FROM passage WHERE document_id = ? AND generation = ? AND ? IN ('stored', 'extracted')) OR
		EXISTS (`+segmentsInWork+`)`,
		w.id, n, w.stage, w.id, n, w.stage, w.id, n, w.stage, w.id)
}

// segmentsInWork are those that runs of a document wrote and nobody sees (live <> 1, as the index has it).
const segmentsInWork = `SELECT s.id FROM run r JOIN segment s ON s.run_id = r.id AND s.live <> 1 WHERE r.subject_id = ?`

// removeLeftovers removes a slice of them and tells whether there may be more.
func (t *tx) removeLeftovers(w work) (more bool, err error) {
	if w.stage == document.Stored {
		for _, remove := range []removal{removeSlices, removePages} {
			if more, err = t.remove(remove, `generation = ?`, w.id, w.doing.number); more || err != nil {
				return more, err
			}
		}
	}
	if w.stage == document.Stored || w.stage == document.Extracted {
		if more, err = t.remove(removePassages, `generation = ?`, w.id, w.doing.number); more || err != nil {
			return more, err
		}
	}
	ids, err := all(t, scanString, segmentsInWork+` ORDER BY s.id LIMIT 1`, w.id)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	_, err = t.removeSegment(ids[0])
	return true, err
}

// removal deletes a table's rows of a document, a bounded number at a time.
type removal struct {
	table, key string
	limit      int // about 256 KB
}

var (
	removeSlices   = removal{"document_slice", "document_id, generation, kind, ord", 1}
	removePages    = removal{"page", "document_id, generation, number", 40}
	removePassages = removal{"passage", "id", 200}
	removeVectors  = removal{"vector", "passage_id, space", 100}
)

// remove tells whether it removed as much as it may at once, so that there may be more.
func (t *tx) remove(r removal, cond string, documentID string, condArgs ...any) (more bool, err error) {
	list := append([]any{documentID}, condArgs...)
	n, err := t.exec(`DELETE FROM `+r.table+` WHERE (`+r.key+`) IN
		(SELECT `+r.key+` FROM `+r.table+` WHERE document_id = ? AND `+cond+` LIMIT ?)`, append(list, r.limit)...)
	return n == int64(r.limit), err
}

// Put meets ingest.Store. A batch that is put again, because nobody knew whether its commit arrived, changes nothing.
func (s *Store) Put(ctx context.Context, l runs.Lease, generation int64, b ingest.Batch) error {
	return s.write(ctx, laneBulk, func(t *tx) error {
		w, err := t.fencedWork(l, "")
		if err != nil {
			return err
		}
		if generation != w.doing.number {
			return runs.ErrFenced
		}
		if err := t.putText(w.id, generation, b); err != nil {
			return err
		}
		if err := t.putPassages(l.Workspace, w.id, generation, b.Passages); err != nil {
			return err
		}
		for _, sl := range b.Segments {
			if err := t.putSegmentSlice(l.Workspace, l.RunID, sl); err != nil {
				return err
			}
		}
		return t.putVectors(w.id, w.doing.passages, b.Vectors)
	})
}

func (t *tx) putText(id string, generation int64, b ingest.Batch) error {
	rows := make([][]any, len(b.Slices))
	for i, sl := range b.Slices {
		rows[i] = []any{id, generation, sl.Kind, sl.Ord, sl.Start, sl.Data}
	}
	err := t.insert(`INSERT INTO document_slice (document_id, generation, kind, ord, start, data)`, rows,
		`ON CONFLICT (document_id, generation, kind, ord) DO UPDATE SET start = excluded.start, data = excluded.data`)
	if err != nil {
		return err
	}
	rows = make([][]any, len(b.Pages))
	for i, p := range b.Pages {
		rows[i] = []any{id, generation, p.Number, p.Start, p.End, p.Width, p.Height, packWords(p.Words, p.Start), p.Problem}
	}
	return t.insert(`INSERT INTO page (document_id, generation, number, start, "end", width, height, words, problem)`, rows,
		`ON CONFLICT (document_id, generation, number) DO UPDATE SET start = excluded.start, "end" = excluded."end",
			width = excluded.width, height = excluded.height, words = excluded.words, problem = excluded.problem`)
}

func (t *tx) putPassages(ws ident.Workspace, id string, generation int64, list []document.Passage) error {
	rows := make([][]any, len(list))
	for i, p := range list {
		rows[i] = []any{p.ID, ws, id, generation, p.Ord, p.Text, p.Start, p.End, p.PageFrom, p.PageTo,
			encodeList(p.HeadingPath), p.Hash, p.Language}
	}
	return t.insert(`INSERT INTO passage (id, workspace, document_id, generation, ord, content, start, "end", page_from, page_to,
		heading_path, hash, language)`, rows, `ON CONFLICT (id) DO NOTHING`)
}

// Progress meets ingest.Store.
func (s *Store) Progress(ctx context.Context, l runs.Lease, p document.Progress, events ...runs.NewEvent) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		id, err := t.subject(l)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE document SET progress_done = ?, progress_of = ?, updated_at = ? WHERE id = ? AND workspace = ?`,
			p.Done, p.Of, t.now, id, l.Workspace); err != nil {
			return err
		}
		return t.appendEvents(l, events...)
	})
}

// CommitStage meets ingest.Store. A stage that is committed already stays as it is, without its events a second time.
func (s *Store) CommitStage(ctx context.Context, l runs.Lease, generation int64, c ingest.Commit, events ...runs.NewEvent) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		w, err := t.fencedWork(l, t.forUpdate())
		switch {
		case err != nil:
			return err
		case generation != w.doing.number:
			return runs.ErrFenced
		case w.stage == c.Stage:
			return nil
		case stageAfter(w.stage) != c.Stage:
			return fmt.Errorf("stage %s of document %s does not follow %s", c.Stage, w.id, w.stage)
		}
		switch c.Stage {
		case document.Extracted:
			err = t.commitExtracted(w, c)
		case document.Chunked:
			_, err = t.exec(`UPDATE document SET stage = ?, work_passages = ?, work_language = ?, progress_done = 0, progress_of = 0,
				updated_at = ? WHERE id = ?`, c.Stage, c.PassageCount, c.Language, t.now, w.id)
		case document.Indexed:
			err = t.commitIndexed(l.Workspace, w, c.Segments)
		case document.Embedded:
			err = t.commitEmbedded(l.Workspace, w, c)
		}
		if err != nil {
			return err
		}
		return t.appendEvents(l, events...)
	})
}

func (t *tx) commitExtracted(w work, c ingest.Commit) error {
	var filename, title string
	var set int
	if err := t.row(`SELECT filename, title, title_set FROM document WHERE id = ?`, w.id).Scan(&filename, &title, &set); err != nil {
		return err
	}
	if set == 0 {
		title = c.Title
	}
	_, err := t.exec(`UPDATE document SET stage = ?, title = ?, name_key = ?, work_text_length = ?, work_page_count = ?,
		author = ?, published_at = ?, progress_done = 0, progress_of = 0, updated_at = ? WHERE id = ?`,
		c.Stage, title, searchKey(filename, title), c.TextLength, c.PageCount, c.Author, micros(c.Published), t.now, w.id)
	return err
}

// commitIndexed is the moment in which readers change over: to the new passages, and to the segments that hold them.
func (t *tx) commitIndexed(ws ident.Workspace, w work, segments []search.Segment) error {
	if err := t.lockWorkspace(ws); err != nil {
		return err
	}
	if err := t.bury(w.id); err != nil {
		return err
	}
	if err := t.adopt(ws, w.id, w.doing.passages, "", segments); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE document SET stage = ?, status = ?, generation = work_generation, text_generation = work_text_generation,
		passage_generation = work_passage_generation, text_length = work_text_length, page_count = work_page_count,
		passage_count = work_passages, language = work_language, progress_done = 0, progress_of = 0, updated_at = ? WHERE id = ?`,
		document.Indexed, document.Processing, t.now, w.id)
	if err != nil || w.seen.number == 0 {
		return err
	}
	return t.discard(ws, trashGeneration, w.id, w.seen.number, "")
}

// commitEmbedded lets readers find the document by meaning, too; it is complete.
func (t *tx) commitEmbedded(ws ident.Workspace, w work, c ingest.Commit) error {
	if err := t.lockWorkspace(ws); err != nil {
		return err
	}
	bySpace := map[string][]search.Segment{}
	for _, sg := range c.Segments {
		bySpace[sg.Space] = append(bySpace[sg.Space], sg)
	}
	for _, space := range c.Spaces {
		if err := t.adopt(ws, w.id, w.doing.passages, space, bySpace[space]); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE document SET stage = ?, status = ?, progress_done = 0, progress_of = 0, updated_at = ? WHERE id = ?`,
		document.Embedded, document.Completed, t.now, w.id)
	return err
}
