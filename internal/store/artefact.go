package store

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"byline/internal/document"
	"byline/internal/engine/extract"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
)

// Text meets document.Store. It reads only the slices that hold what is asked for.
func (s *Store) Text(ctx context.Context, ws ident.Workspace, id string, start, limit int) (text string, length int, err error) {
	err = s.read(ctx, func(t *tx) error {
		var generation int64
		err := t.row(`SELECT text_generation, text_length FROM document WHERE id = ? AND workspace = ?`, id, ws).Scan(&generation, &length)
		if err != nil {
			return missing(err, documentNoun)
		}
		start = min(max(start, 0), length)
		b, err := t.text(id, generation, start, min(max(limit, utf8.UTFMax), length-start))
		text = string(wholeRunes(b))
		return err
	})
	return text, length, err
}

// text reads bytes of a generation's text.
func (t *tx) text(id string, generation int64, start, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	buf := make([]byte, 0, n)
	err := each(t, scanSlice, func(s ingest.Slice) {
		from, to := max(start-s.Start, 0), min(start+n-s.Start, len(s.Data))
		if s.Start+from == start+len(buf) && from < to { // a gap ends the text; Verify tells of it
			buf = append(buf, s.Data[from:to]...)
		}
	}, `SELECT kind, ord, start, data FROM document_slice
		WHERE document_id = ? AND generation = ? AND kind = 'text' AND start < ? AND start + LENGTH(data) > ? ORDER BY ord`,
		id, generation, start+n, start)
	return buf, err
}

func scanSlice(row scanner) (s ingest.Slice, err error) {
	err = row.Scan(&s.Kind, &s.Ord, &s.Start, &s.Data)
	return s, err
}

// wholeRunes cuts the pieces of runes off both ends.
func wholeRunes(b []byte) []byte {
	for len(b) > 0 && !utf8.RuneStart(b[0]) {
		b = b[1:]
	}
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				b = b[:i]
			}
			break
		}
	}
	return b
}

const passageColumns = `p.id, p.document_id, p.ord, p.content, p.start, p."end", p.page_from, p.page_to, p.heading_path, p.hash, p.language`

func scanPassage(row scanner) (document.Passage, error) {
	var p document.Passage
	var path string
	err := row.Scan(&p.ID, &p.DocumentID, &p.Ord, &p.Text, &p.Start, &p.End, &p.PageFrom, &p.PageTo, &path, &p.Hash, &p.Language)
	p.HeadingPath = decodeList(path)
	return p, err
}

// Passage meets document.Store.
func (s *Store) Passage(ctx context.Context, ws ident.Workspace, id string) (p document.Passage, err error) {
	err = s.read(ctx, func(t *tx) error {
		p, err = scanPassage(t.row(`SELECT `+passageColumns+` FROM passage p JOIN document d ON d.id = p.document_id AND d.passage_generation = p.generation
			WHERE p.id = ? AND d.workspace = ?`, id, ws))
		return missing(err, "passage")
	})
	return p, err
}

// Passages meets document.Store.
func (s *Store) Passages(ctx context.Context, ws ident.Workspace, id string, from, limit int) (list []document.Passage, total int, err error) {
	err = s.read(ctx, func(t *tx) error {
		var generation int64
		err := t.row(`SELECT passage_generation, passage_count FROM document WHERE id = ? AND workspace = ?`, id, ws).
			Scan(&generation, &total)
		if err != nil {
			return missing(err, documentNoun)
		}
		list, err = all(t, scanPassage, `SELECT `+passageColumns+` FROM passage p
			WHERE p.document_id = ? AND p.generation = ? AND p.ord >= ? ORDER BY p.ord LIMIT ?`, id, generation, from, max(limit, 1))
		return err
	})
	return list, total, err
}

// Page meets document.Store.
func (s *Store) Page(ctx context.Context, ws ident.Workspace, id string, number int) (p extract.Page, err error) {
	err = s.read(ctx, func(t *tx) error {
		if _, err := t.document(ws, id); err != nil {
			return err
		}
		var words []byte
		p = extract.Page{Number: number}
		err := t.row(`SELECT p.start, p."end", p.width, p.height, p.problem, p.words FROM document d
			JOIN page p ON p.document_id = d.id AND p.generation = d.text_generation AND p.number = ? WHERE d.id = ?`, number, id).
			Scan(&p.Start, &p.End, &p.Width, &p.Height, &p.Problem, &words)
		if err != nil {
			return missing(err, "page")
		}
		if p.Words, err = unpackWords(words, p.Start); err != nil {
			return fmt.Errorf("page %d of document %s: %w", number, id, err)
		}
		return nil
	})
	return p, err
}

// Elements meets document.Store.
func (s *Store) Elements(ctx context.Context, ws ident.Workspace, id string) (list []extract.Element, err error) {
	err = s.read(ctx, func(t *tx) error {
		var generation int64
		err := t.row(`SELECT text_generation FROM document WHERE id = ? AND workspace = ?`, id, ws).Scan(&generation)
		if err != nil {
			return missing(err, documentNoun)
		}
		list, err = t.elements(id, generation)
		return err
	})
	return list, err
}

func (t *tx) elements(id string, generation int64) (list []extract.Element, err error) {
	slices, err := all(t, scanSlice, `SELECT kind, ord, start, data FROM document_slice
		WHERE document_id = ? AND generation = ? AND kind = 'elements' ORDER BY ord`, id, generation)
	if err != nil {
		return nil, err
	}
	for _, s := range slices {
		var part []extract.Element
		if err := json.Unmarshal(s.Data, &part); err != nil {
			return nil, fmt.Errorf("elements %d of document %s: %w", s.Ord, id, err)
		}
		list = append(list, part...)
	}
	return list, nil
}

// Extracted meets ingest.Store.
func (s *Store) Extracted(ctx context.Context, ws ident.Workspace, id string, generation int64) (x extract.Text, err error) {
	err = s.read(ctx, func(t *tx) error {
		w, err := t.work(ws, id, "")
		if err != nil {
			return err
		}
		a, err := w.of(generation)
		if err != nil {
			return err
		}
		x = extract.Text{Info: extract.Info{Pages: a.pages}}
		if err := t.row(`SELECT title FROM document WHERE id = ?`, id).Scan(&x.Title); err != nil {
			return err
		}
		b, err := t.text(id, a.text, 0, a.textLength)
		if err != nil {
			return err
		}
		if len(b) != a.textLength {
			return fmt.Errorf("text of document %s, generation %d, has %d bytes of %d", id, generation, len(b), a.textLength)
		}
		x.Content = string(b)
		if x.Elements, err = t.elements(id, a.text); err != nil {
			return err
		}
		x.Pages, err = all(t, scanPage, `SELECT number, start, "end", width, height, problem FROM page
			WHERE document_id = ? AND generation = ? ORDER BY number`, id, a.text)
		return err
	})
	return x, err
}

func scanPage(row scanner) (p extract.Page, err error) {
	err = row.Scan(&p.Number, &p.Start, &p.End, &p.Width, &p.Height, &p.Problem)
	return p, err
}

// Chunked meets ingest.Store.
func (s *Store) Chunked(ctx context.Context, ws ident.Workspace, id string, generation int64) (list []document.Passage, err error) {
	err = s.read(ctx, func(t *tx) error {
		w, err := t.work(ws, id, "")
		if err != nil {
			return err
		}
		a, err := w.of(generation)
		if err != nil {
			return err
		}
		list, err = all(t, scanPassage, `SELECT `+passageColumns+` FROM passage p
			WHERE p.document_id = ? AND p.generation = ? ORDER BY p.ord`, id, a.passages)
		return err
	})
	return list, err
}

// of gives the artefacts of a generation that still is one of the document's.
func (w work) of(generation int64) (artefacts, error) {
	switch generation {
	case w.doing.number:
		return w.doing, nil
	case w.seen.number:
		return w.seen, nil
	}
	return artefacts{}, fault.Missing("generation")
}
