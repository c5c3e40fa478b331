package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/search"
)

var _ search.Store = (*Store)(nil)

const segmentNoun = "segment"

// The states of a segment (segment.live).
const (
	segmentWritten  = 0 // by a run or a merge; seen by nobody
	segmentLive     = 1
	segmentReplaced = 2 // its slices are being removed
)

// lockWorkspace lets the changes of a workspace's segment list follow each other, so that a merge and a deletion cannot
// miss each other's rows. SQLite has one writer anyway.
func (t *tx) lockWorkspace(ws ident.Workspace) error {
	lock := t.forUpdate()
	if lock == "" {
		return nil
	}
	var id string
	return t.row(`SELECT id FROM workspace WHERE id = ?`+lock, ws).Scan(&id)
}

// putSegmentSlice writes a piece of a segment that nobody sees; run is empty for a merge.
func (t *tx) putSegmentSlice(ws ident.Workspace, run string, sl ingest.SegmentSlice) error {
	if _, err := t.exec(`INSERT INTO segment (id, workspace, live, run_id, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`, sl.SegmentID, ws, segmentWritten, run, t.now); err != nil {
		return err
	}
	open, err := t.exists(`SELECT 1 FROM segment WHERE id = ? AND workspace = ? AND live = ?`, sl.SegmentID, ws, segmentWritten)
	if err != nil {
		return err
	}
	if !open {
		return fault.Missing(segmentNoun)
	}
	_, err = t.exec(`INSERT INTO segment_slice (segment_id, ord, data) VALUES (?, ?, ?)
		ON CONFLICT (segment_id, ord) DO UPDATE SET data = excluded.data`, sl.SegmentID, sl.Ord, sl.Data)
	return err
}

// reveal makes a written segment visible.
func (t *tx) reveal(ws ident.Workspace, sg search.Segment) error {
	var slices, last, size int64
	err := t.row(`SELECT COUNT(*), COALESCE(MAX(ord), -1), COALESCE(SUM(LENGTH(data)), 0) FROM segment_slice WHERE segment_id = ?`, sg.ID).
		Scan(&slices, &last, &size)
	if err != nil {
		return err
	}
	if slices == 0 || last+1 != slices || len(sg.Data) > 0 && size != int64(len(sg.Data)) {
		return fmt.Errorf("segment %s is not complete: %d slices up to %d, %d bytes", sg.ID, slices, last, size)
	}
	n, err := t.exec(`UPDATE segment SET live = ?, space = ?, bytes = ?, passages = ?, tokens = ?, known = ?
		WHERE id = ? AND workspace = ? AND live = ?`,
		segmentLive, sg.Space, size, sg.Passages, sg.Tokens, sg.Known, sg.ID, ws, segmentWritten)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Missing(segmentNoun)
	}
	rows := make([][]any, len(sg.Groups))
	for i, id := range sg.Groups {
		rows[i] = []any{sg.ID, id}
	}
	return t.insert(`INSERT INTO segment_document (segment_id, document_id)`, rows, ``)
}

// buried hides a document in all segments that hold it: from the document to its segments, of which a workspace can have thousands and a document has few.
// The sign keeps SQLite from the index of dead, which would lead to all that live.
const buried = `UPDATE segment_document SET dead = 1 WHERE document_id = ? AND +dead = 0`

// bury hides a document in all segments that hold it.
func (t *tx) bury(documentID string) error {
	_, err := t.exec(buried, documentID)
	return err
}

// Segments meets search.Store.
func (s *Store) Segments(ctx context.Context, ws ident.Workspace, space string) (list []search.SegmentInfo, err error) {
	err = s.peek(ctx, func(t *tx) error {
		list, err = t.segments(ws, space)
		return err
	})
	return list, err
}

// segments is one statement, and so one snapshot in both dialects.
func (t *tx) segments(ws ident.Workspace, space string) ([]search.SegmentInfo, error) {
	type row struct {
		search.SegmentInfo
		dead string
	}
	scan := func(s scanner) (r row, err error) {
		err = s.Scan(&r.ID, &r.Bytes, &r.Passages, &r.Tokens, &r.Known, &r.dead)
		return r, err
	}
	var list []search.SegmentInfo
	err := each(t, scan, func(r row) {
		if n := len(list); n == 0 || list[n-1].ID != r.ID {
			list = append(list, r.SegmentInfo)
		}
		if r.dead != "" {
			last := &list[len(list)-1]
			last.Dead = append(last.Dead, r.dead)
		}
	}, `SELECT s.id, s.bytes, s.passages, s.tokens, s.known, COALESCE(sd.document_id, '') FROM segment s
		LEFT JOIN segment_document sd ON sd.segment_id = s.id AND sd.dead = 1
		WHERE s.workspace = ? AND s.live = 1 AND s.space = ? ORDER BY s.id, sd.document_id`, ws, space)
	return list, err
}

// SegmentData meets search.Store.
func (s *Store) SegmentData(ctx context.Context, ws ident.Workspace, id string) (data []byte, err error) {
	err = s.read(ctx, func(t *tx) error {
		var size int
		err := t.row(`SELECT bytes FROM segment WHERE id = ? AND workspace = ? AND live = 1`, id, ws).Scan(&size)
		if err != nil {
			return missing(err, segmentNoun)
		}
		data = make([]byte, 0, size)
		err = each(t, func(row scanner) (part sql.RawBytes, err error) {
			err = row.Scan(&part)
			return part, err
		}, func(part sql.RawBytes) { data = append(data, part...) }, `SELECT data FROM segment_slice WHERE segment_id = ? ORDER BY ord`, id)
		if err == nil && len(data) != size {
			err = fault.Missing(segmentNoun) // replaced between the two statements
		}
		return err
	})
	return data, err
}

// Condemn meets search.Store.
func (s *Store) Condemn(ctx context.Context, ws ident.Workspace, id string) error {
	gone := false
	err := s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockWorkspace(ws); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM document_space WHERE space = (SELECT space FROM segment WHERE id = ? AND workspace = ? AND live = ?)
			AND document_id IN (SELECT document_id FROM segment_document WHERE segment_id = ? AND dead = 0)`, id, ws, segmentLive, id); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE segment SET live = ?, created_at = ? WHERE id = ? AND workspace = ? AND live = ?`, segmentReplaced, t.now, id, ws, segmentLive)
		gone = n > 0
		return err
	})
	if err == nil && gone {
		err = s.dropSegment(ctx, id)
	}
	return err
}

// Live meets search.Store.
func (s *Store) Live(ctx context.Context, ws ident.Workspace, passageIDs []string) (map[string]search.Live, error) {
	scan := func(row scanner) (l search.Live, err error) {
		var path string
		p := &l.Passage
		err = row.Scan(&p.ID, &p.DocumentID, &p.Ord, &p.Text, &p.Start, &p.End, &p.PageFrom, &p.PageTo, &path, &p.Hash, &p.Language,
			&l.DocumentName)
		p.HeadingPath = decodeList(path)
		return l, err
	}
	found := make(map[string]search.Live, len(passageIDs))
	err := s.read(ctx, func(t *tx) error {
		return eachPart(passageIDs, func(part []string) error {
			return each(t, scan, func(l search.Live) { found[l.Passage.ID] = l },
				`SELECT `+passageColumns+`, CASE WHEN d.title_set = 1 THEN d.title ELSE d.filename END
				FROM passage p JOIN document d ON d.id = p.document_id AND d.passage_generation = p.generation
				WHERE d.workspace = ? AND p.id IN (`+marks(len(part))+`)`, args(part, ws)...)
		})
	})
	return found, err
}

// Admitted meets search.Store.
func (s *Store) Admitted(ctx context.Context, ws ident.Workspace, ids []string, f search.Filters) ([]string, error) {
	ask := func(t *tx, part []string) ([]string, error) {
		var w where
		w.and(`workspace = ?`, ws)
		among(&w, `id`, part)
		among(&w, `file_type`, f.Types)
		among(&w, `language`, f.Languages)
		among(&w, `origin`, f.Origins)
		if !f.From.IsZero() {
			w.and(`created_at >= ?`, micros(f.From))
		}
		if !f.To.IsZero() {
			w.and(`created_at < ?`, micros(f.To))
		}
		if len(f.Tags) > 0 {
			any := make([]string, len(f.Tags))
			items := make([]string, len(f.Tags))
			for i, tag := range f.Tags {
				any[i], items[i] = contains(`tags`), encodeItem(tag)
			}
			w.and(`(`+strings.Join(any, ` OR `)+`)`, args(items)...)
		}
		return all(t, scanString, `SELECT id FROM document WHERE `+w.sql.String()+` ORDER BY id`, w.args...)
	}
	var list []string
	err := s.read(ctx, func(t *tx) (err error) {
		if ids == nil {
			list, err = ask(t, nil)
			return err
		}
		return eachPart(ids, func(part []string) error {
			some, err := ask(t, part)
			list = append(list, some...)
			return err
		})
	})
	return list, err
}

// Crowded meets search.Store.
func (s *Store) Crowded(ctx context.Context, n, below int) ([]search.Crowd, error) {
	return readAll(ctx, s, func(row scanner) (c search.Crowd, err error) {
		err = row.Scan(&c.Workspace, &c.Space)
		return c, err
	}, `SELECT workspace, space FROM segment WHERE live = 1 AND bytes < ? GROUP BY workspace, space HAVING COUNT(*) > ?
		UNION SELECT s.workspace, s.space FROM segment_document sd JOIN segment s ON s.id = sd.segment_id WHERE sd.dead = 1 AND s.live = 1
		ORDER BY 1, 2`, below, n)
}

// Languages meets search.Store.
func (s *Store) Languages(ctx context.Context, ws ident.Workspace) (list []string, err error) {
	err = s.read(ctx, func(t *tx) error {
		list, err = all(t, scanString, `SELECT DISTINCT language FROM document WHERE workspace = ? AND generation > 0 ORDER BY language`, ws)
		return err
	})
	return list, err
}

// PutSegmentSlice meets search.Store.
func (s *Store) PutSegmentSlice(ctx context.Context, ws ident.Workspace, id string, ord int, data []byte) error {
	return s.write(ctx, laneBulk, func(t *tx) error {
		return t.putSegmentSlice(ws, "", ingest.SegmentSlice{SegmentID: id, Ord: ord, Data: data})
	})
}

// Replace meets search.Store. The replaced segments' slices are removed afterwards, piece by piece; what a crash leaves of
// them is for the sweep.
func (s *Store) Replace(ctx context.Context, c search.Crowd, seen []search.SegmentInfo, with []search.Segment) (ok bool, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		ok = false
		if err := t.lockWorkspace(c.Workspace); err != nil {
			return err
		}
		now, err := t.segments(c.Workspace, c.Space)
		if err != nil || !unchanged(seen, now) {
			return err
		}
		for _, sg := range seen {
			if _, err := t.exec(`UPDATE segment SET live = ?, created_at = ? WHERE id = ?`, segmentReplaced, t.now, sg.ID); err != nil {
				return err
			}
		}
		for _, sg := range with {
			if err := t.reveal(c.Workspace, sg); err != nil {
				return err
			}
		}
		ok = true
		return nil
	})
	for i := 0; ok && err == nil && i < len(seen); i++ {
		if err := s.dropSegment(ctx, seen[i].ID); err != nil {
			break // the segments are replaced; the sweep goes on with what is left
		}
	}
	return ok, err
}

// unchanged tells whether the segments still are as they were seen.
func unchanged(seen, now []search.SegmentInfo) bool {
	at := make(map[string]search.SegmentInfo, len(now))
	for _, sg := range now {
		at[sg.ID] = sg
	}
	for _, sg := range seen {
		if n, ok := at[sg.ID]; !ok || !slices.Equal(n.Dead, sg.Dead) {
			return false
		}
	}
	return true
}

// dropSegment removes a segment that nobody sees, slice by slice.
func (s *Store) dropSegment(ctx context.Context, id string) error {
	for more := true; more; {
		err := s.write(ctx, laneBulk, func(t *tx) (err error) {
			more, err = t.removeSegment(id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeSegment removes a slice, and with the last one the segment itself. It never touches one that is live.
func (t *tx) removeSegment(id string) (more bool, err error) {
	const hidden = `(SELECT id FROM segment WHERE id = ? AND live <> 1)`
	n, err := t.exec(`DELETE FROM segment_slice WHERE segment_id IN `+hidden+` AND ord =
		(SELECT MAX(ord) FROM segment_slice WHERE segment_id = ?)`, id, id)
	if n > 0 || err != nil {
		return n > 0, err
	}
	if _, err = t.exec(`DELETE FROM segment_document WHERE segment_id IN `+hidden, id); err != nil {
		return false, err
	}
	_, err = t.exec(`DELETE FROM segment WHERE id = ? AND live <> 1`, id)
	return false, err
}
