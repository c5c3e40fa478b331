package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"math"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

var _ search.CheckStore = (*Store)(nil)

const spaceNoun = "space"

// Spaces meets search.SpaceStore.
func (s *Store) Spaces(ctx context.Context) ([]search.SpaceInfo, error) {
	return readAll(ctx, s, func(row scanner) (i search.SpaceInfo, err error) {
		err = row.Scan(&i.ID, &i.State, &i.Documents, &i.Of)
		return i, err
	}, `SELECT s.id, s.state, (SELECT COUNT(*) FROM document_space x JOIN document d ON d.id = x.document_id AND d.passage_generation = x.generation
			WHERE x.space = s.id AND d.status IN (?, ?)), (SELECT COUNT(*) FROM document WHERE generation > 0 AND status IN (?, ?))
		FROM (SELECT id, state FROM space WHERE state <> ? UNION ALL SELECT '', CAST(? AS TEXT)) s ORDER BY s.id`,
		document.Completed, document.Processing, document.Completed, document.Processing, search.SpaceDropped, search.SpaceServing)
}

// SpaceStates meets search.SpaceStore.
func (s *Store) SpaceStates(ctx context.Context) ([]search.SpaceInfo, error) {
	return readAll(ctx, s, func(row scanner) (i search.SpaceInfo, err error) {
		err = row.Scan(&i.ID, &i.State)
		return i, err
	}, `SELECT s.id, s.state FROM (SELECT id, state FROM space WHERE state <> ? UNION ALL SELECT '', CAST(? AS TEXT)) s ORDER BY s.id`,
		search.SpaceDropped, search.SpaceServing)
}

// Outdate meets search.SpaceStore.
func (s *Store) Outdate(ctx context.Context, space string) error {
	const some = 1000
	return s.slice(ctx, func(t *tx) (bool, error) {
		n, err := t.exec(`DELETE FROM document_space WHERE (document_id, space) IN
			(SELECT document_id, space FROM document_space WHERE space = ? LIMIT ?)`, space, some)
		return n == some, err
	})
}

// Held meets search.CheckStore.
func (s *Store) Held(ctx context.Context) ([]search.Held, error) {
	return readAll(ctx, s, func(row scanner) (h search.Held, err error) {
		err = row.Scan(&h.Workspace, &h.Space, &h.Passages)
		return h, err
	}, `SELECT d.workspace, x.space, CAST(SUM(CASE WHEN x.space = '' THEN d.passage_count ELSE
			(SELECT COUNT(*) FROM vector v WHERE v.document_id = d.id AND v.generation = x.generation AND v.space = x.space) END) AS BIGINT)
		FROM document_space x JOIN document d ON d.id = x.document_id AND d.passage_generation = x.generation
		GROUP BY d.workspace, x.space ORDER BY d.workspace, x.space`)
}

// OfferSpace meets search.SpaceStore.
func (s *Store) OfferSpace(ctx context.Context, id string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		serves, err := t.exists(`SELECT 1 FROM space WHERE state = ?`, search.SpaceServing)
		if err != nil {
			return err
		}
		state := search.SpaceServing
		if serves {
			state = search.SpaceBuilding
		}
		_, err = t.exec(`INSERT INTO space (id, state, created_at, changed_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at WHERE space.state IN (?, ?)`,
			id, state, t.now, t.now, search.SpacePrevious, search.SpaceDropped)
		return err
	})
}

// ServeSpace meets search.SpaceStore.
func (s *Store) ServeSpace(ctx context.Context, id string, reject bool) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		known, err := t.exists(`SELECT 1 FROM space WHERE id = ? AND state <> ?`, id, search.SpaceDropped)
		if err != nil {
			return err
		}
		if !known {
			return fault.Missing(spaceNoun)
		}
		after := search.SpacePrevious
		if reject {
			after = search.SpaceRejected
		}
		for _, change := range []struct{ from, to search.SpaceState }{
			{search.SpacePrevious, search.SpaceDropped}, {search.SpaceServing, after},
		} {
			if _, err := t.exec(`UPDATE space SET state = ?, changed_at = ? WHERE state = ? AND id <> ?`, change.to, t.now, change.from, id); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE space SET state = ?, changed_at = ? WHERE id = ?`, search.SpaceServing, t.now, id)
		return err
	})
}

// Unembedded meets search.SpaceStore.
func (s *Store) Unembedded(ctx context.Context, space string, limit int) ([]search.Unembedded, error) {
	return readAll(ctx, s, func(row scanner) (u search.Unembedded, err error) {
		err = row.Scan(&u.Workspace, &u.DocumentID, &u.Generation)
		return u, err
	}, `SELECT d.workspace, d.id, d.passage_generation FROM document d WHERE d.status = ? AND NOT EXISTS
		(SELECT 1 FROM document_space x WHERE x.document_id = d.id AND x.space = ? AND x.generation = d.passage_generation)
		ORDER BY d.id LIMIT ?`, document.Completed, space, limit)
}

// PutVectors meets search.SpaceStore.
func (s *Store) PutVectors(ctx context.Context, u search.Unembedded, rows []search.VectorRow) error {
	return s.write(ctx, laneBulk, func(t *tx) error {
		if ok, err := t.seen(u, ""); err != nil || !ok {
			return err // nobody would remove them; Adopt says so, too
		}
		return t.putVectors(u.DocumentID, u.Generation, rows)
	})
}

// seen tells whether readers see these passages of the document; with lock its row is held.
func (t *tx) seen(u search.Unembedded, lock string) (bool, error) {
	return t.exists(`SELECT 1 FROM document WHERE id = ? AND workspace = ? AND passage_generation = ?`+lock, u.DocumentID, u.Workspace, u.Generation)
}

func (t *tx) putVectors(documentID string, generation int64, rows []search.VectorRow) error {
	list := make([][]any, len(rows))
	for i, r := range rows {
		list[i] = []any{r.PassageID, r.Space, documentID, generation, packVector(r.Values)}
	}
	return t.insert(`INSERT INTO vector (passage_id, space, document_id, generation, data)`, list,
		`ON CONFLICT (passage_id, space) DO UPDATE SET data = excluded.data`)
}

func packVector(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// floats is room for the vectors of a query, which are read together and kept together.
type floats struct {
	room []float32
	most int // vectors that are expected
}

func (f *floats) unpack(b []byte) []float32 {
	n := len(b) / 4
	if len(f.room) < n {
		f.room = make([]float32, n*max(1, f.most))
	}
	v := f.room[:n:n]
	f.room = f.room[n:]
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// Vectors meets search.Store.
func (s *Store) Vectors(ctx context.Context, space string, passageIDs []string) (map[string][]float32, error) {
	type row struct {
		id     string
		values []float32
	}
	unpacked := floats{most: min(len(passageIDs), 200)}
	var data sql.RawBytes // one for all: it is copied only once, into floats
	scan := func(s scanner) (r row, err error) {
		if err = s.Scan(&r.id, &data); err == nil {
			r.values = unpacked.unpack(data)
		}
		return r, err
	}
	found := make(map[string][]float32, len(passageIDs))
	err := s.peek(ctx, func(t *tx) error {
		return eachPart(passageIDs, func(part []string) error {
			list := args(part, space)
			for len(list)%8 != 1 { // few lengths, so that the statement is known already
				list = append(list, part[len(part)-1])
			}
			return each(t, scan, func(r row) { found[r.id] = r.values },
				`SELECT passage_id, data FROM vector WHERE space = ? AND passage_id IN (`+marks(len(list)-1)+`)`, list...)
		})
	})
	return found, err
}

// Adopt meets search.SpaceStore.
func (s *Store) Adopt(ctx context.Context, u search.Unembedded, space string, segments []search.Segment) (ok bool, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		if ok, err = t.seen(u, t.forUpdate()); err != nil || !ok {
			return err
		}
		if err := t.lockWorkspace(u.Workspace); err != nil {
			return err
		}
		return t.adopt(u.Workspace, u.DocumentID, u.Generation, space, segments)
	})
	return ok && err == nil, err
}

// adopt makes a document's segments of a space visible in the place of older ones. The workspace is held.
func (t *tx) adopt(ws ident.Workspace, documentID string, generation int64, space string, segments []search.Segment) error {
	if _, err := t.exec(buried+`
		AND EXISTS (SELECT 1 FROM segment s WHERE s.id = segment_document.segment_id AND s.workspace = ? AND s.live = 1 AND s.space = ?)`, documentID, ws, space); err != nil {
		return err
	}
	for _, sg := range segments {
		if err := t.reveal(ws, sg); err != nil {
			return err
		}
	}
	_, err := t.exec(`INSERT INTO document_space (document_id, space, generation) VALUES (?, ?, ?)
		ON CONFLICT (document_id, space) DO UPDATE SET generation = excluded.generation`, documentID, space, generation)
	return err
}

// sweepSpaces removes what is left of dropped spaces, in small slices; their rows go last.
func (s *Store) sweepSpaces(ctx context.Context) error {
	list, err := readAll(ctx, s, scanString, `SELECT id FROM space WHERE state = ?`, search.SpaceDropped)
	for i := 0; err == nil && i < len(list); i++ {
		err = s.sweepSpace(ctx, list[i])
	}
	return err
}

func (s *Store) sweepSpace(ctx context.Context, id string) error {
	const some = 200 // vectors that are looked at in a slice, whichever space they are of
	for after, more := "", true; more; {
		var next string
		err := s.write(ctx, laneBulk, func(t *tx) error {
			next = ""
			if dropped, err := t.dropped(id); err != nil || !dropped {
				return err // offered again meanwhile
			}
			if _, err := t.exec(`UPDATE segment SET live = ?, created_at = ? WHERE space = ? AND live = ?`, segmentReplaced, t.now, id, segmentLive); err != nil {
				return err
			}
			if _, err := t.exec(`DELETE FROM document_space WHERE space = ?`, id); err != nil {
				return err
			}
			err := t.row(`SELECT COALESCE(MAX(passage_id), '') FROM (SELECT passage_id FROM vector WHERE passage_id > ? ORDER BY passage_id LIMIT ?) part`, after, some).Scan(&next)
			if err != nil || next == "" {
				return err
			}
			_, err = t.exec(`DELETE FROM vector WHERE passage_id > ? AND passage_id <= ? AND space = ?`, after, next, id)
			return err
		})
		if err != nil {
			return err
		}
		after, more = next, next != ""
	}
	return s.write(ctx, laneBulk, func(t *tx) error {
		_, err := t.exec(`DELETE FROM space WHERE id = ? AND state = ?`, id, search.SpaceDropped)
		return err
	})
}

func (t *tx) dropped(space string) (bool, error) {
	return t.exists(`SELECT 1 FROM space WHERE id = ? AND state = ?`, space, search.SpaceDropped)
}
