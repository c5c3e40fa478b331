package store

import (
	"cmp"
	"context"
	"strings"

	"golang.org/x/text/unicode/norm"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

var _ document.Store = (*Store)(nil)

const (
	documentNoun    = "document"
	documentColumns = `d.id, d.workspace, d.filename, d.file_type, d.size, d.sha256, d.blob, d.title, d.status, d.stage,
		d.generation, d.progress_done, d.progress_of, d.page_count, d.passage_count, d.language, d.error_code, d.error,
		d.tags, d.run_id, d.created_at, d.updated_at, d.origin, d.source_url, d.fetched_at, d.author, d.published_at`
)

func scanDocument(row scanner) (document.Document, error) {
	var (
		d                          document.Document
		done, of, created, updated number
		pages, passages            number
		fetched, published         number
		tags                       string
	)
	err := row.Scan(&d.ID, (*string)(&d.Workspace), &d.Filename, &d.Type, (*number)(&d.Size), &d.SHA256, &d.Blob, &d.Title,
		(*string)(&d.Status), (*string)(&d.Stage), (*number)(&d.Generation), &done, &of, &pages, &passages, &d.Language,
		&d.ErrorCode, &d.ErrorMessage, &tags, &d.RunID, &created, &updated, (*string)(&d.Origin), &d.SourceURL, &fetched, &d.Author, &published)
	if err != nil {
		return document.Document{}, err
	}
	if of > 0 && d.Status == document.Processing {
		d.Progress = &document.Progress{Done: int(done), Of: int(of)}
	}
	d.PageCount, d.PassageCount = int(pages), int(passages)
	d.FetchedAt, d.PublishedAt = timeOf(int64(fetched)), timeOf(int64(published))
	d.Tags, d.CreatedAt, d.UpdatedAt = decodeList(tags), timeOf(int64(created)), timeOf(int64(updated))
	return d, nil
}

// Add meets document.Store.
func (s *Store) Add(ctx context.Context, d document.Document, process, force bool, once *ident.Once) (doc document.Document, added bool, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		doc, added = document.Document{}, false
		made, repeated, err := t.once(d.Workspace, once)
		if err != nil {
			return err
		}
		if repeated {
			doc, err = t.document(d.Workspace, made.Resource)
			added = true
			return err
		}
		id, fresh, err := t.insertDocument(d, force)
		if err != nil {
			return err
		}
		made.Resource = id
		if added = fresh; added && process {
			run, err := t.createRun(d.Workspace, processRun(id))
			if err != nil {
				return err
			}
			made.Run = run.ID
			if _, err := t.exec(`UPDATE document SET run_id = ? WHERE id = ?`, run.ID, id); err != nil {
				return err
			}
		}
		if doc, err = t.document(d.Workspace, id); err != nil {
			return err
		}
		return t.remember(d.Workspace, once, made)
	})
	return doc, added, err
}

// AddFound meets document.Store.
func (s *Store) AddFound(ctx context.Context, l runs.Lease, d document.Document) (doc document.Document, added bool, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		doc, added = document.Document{}, false
		if _, err := t.subject(l); err != nil {
			return err
		}
		var id string
		err := t.row(`SELECT id FROM document WHERE found_by = ? AND source_url = ?`, l.RunID, d.SourceURL).Scan(&id)
		if isNoRows(err) {
			id, added, err = t.insertDocument(d, false)
		}
		if err != nil {
			return err
		}
		if added {
			run, err := t.createRun(l.Workspace, runOn(runs.KindSnapshot, id))
			if err != nil {
				return err
			}
			if _, err := t.exec(`UPDATE document SET run_id = ?, found_by = ? WHERE id = ?`, run.ID, l.RunID, id); err != nil {
				return err
			}
		}
		doc, err = t.document(l.Workspace, id)
		return err
	})
	return doc, added, err
}

func processRun(id string) runs.NewRun { return runOn(runs.KindProcess, id) }

func runOn(kind runs.Kind, id string) runs.NewRun {
	return runs.NewRun{Kind: kind, Subject: runs.Subject{Type: subjectDocument, ID: id}}
}

// insertDocument gives the id of the new row, or of the one that has the same bytes already (fresh == false).
// Of two uploads at once one meets the other's row in the unique index, and then finds it.
func (t *tx) insertDocument(d document.Document, force bool) (id string, fresh bool, err error) {
	if d.ID == "" {
		d.ID = ident.New()
	}
	if !d.CreatedAt.IsZero() {
		t.now = micros(d.CreatedAt)
	}
	for range 3 { // the row that was in the way may be deleted before it is found
		err = t.row(`SELECT id FROM document WHERE workspace = ? AND sha256 = ? ORDER BY forced, id LIMIT 1`,
			d.Workspace, d.SHA256).Scan(&id)
		forced := 0
		switch {
		case err == nil && !force:
			return id, false, nil
		case err == nil:
			forced = 1
		case !isNoRows(err):
			return "", false, err
		}
		n, err := t.exec(`INSERT INTO document (id, workspace, filename, file_type, size, sha256, forced, blob, title, title_set,
				name_key, status, stage, language, tags, created_at, updated_at, origin, source_url, fetched_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (workspace, sha256) WHERE forced = 0 DO NOTHING`,
			d.ID, d.Workspace, d.Filename, d.Type, d.Size, d.SHA256, forced, d.Blob, d.Title, flag(d.Title != ""),
			searchKey(d.Filename, d.Title), document.Pending, document.Stored, d.Language, encodeList(d.Tags), t.now, t.now,
			cmp.Or(d.Origin, document.FromUpload), d.SourceURL, micros(d.FetchedAt))
		if err != nil {
			return "", false, err
		}
		if n == 1 {
			return d.ID, true, nil
		}
	}
	return "", false, fault.New(fault.Unavailable, "busy", "The same file is being uploaded and deleted right now. Try again.")
}

// searchKey is what a search in names looks through: lower case, one form of each letter.
func searchKey(names ...string) string {
	return strings.ToLower(norm.NFC.String(strings.Join(names, "\n")))
}

// Document meets document.Store.
func (s *Store) Document(ctx context.Context, ws ident.Workspace, id string) (d document.Document, err error) {
	err = s.read(ctx, func(t *tx) error {
		d, err = t.document(ws, id)
		return err
	})
	return d, err
}

func (t *tx) document(ws ident.Workspace, id string) (document.Document, error) {
	d, err := scanDocument(t.row(`SELECT `+documentColumns+` FROM document d WHERE d.id = ? AND d.workspace = ?`, id, ws))
	return d, missing(err, documentNoun)
}

// Named meets document.Store.
func (s *Store) Named(ctx context.Context, ws ident.Workspace, ids []string) ([]document.Document, error) {
	var list []document.Document
	err := s.read(ctx, func(t *tx) error {
		found := make(map[string]document.Document, len(ids))
		err := eachPart(ids, func(part []string) error {
			return each(t, scanDocument, func(d document.Document) { found[d.ID] = d },
				`SELECT `+documentColumns+` FROM document d WHERE d.workspace = ? AND d.id IN (`+marks(len(part))+`)`,
				args(part, ws)...)
		})
		list = list[:0]
		for _, id := range ids {
			if d, ok := found[id]; ok {
				list = append(list, d)
				delete(found, id) // an id that was asked twice is given once
			}
		}
		return err
	})
	return list, err
}

// BeingRead meets agent.Documents.
func (s *Store) BeingRead(ctx context.Context, ws ident.Workspace, ids []string) (list []string, err error) {
	err = s.peek(ctx, func(t *tx) error {
		list = nil
		return eachPart(ids, func(part []string) error {
			return each(t, scanString, func(id string) { list = append(list, id) },
				`SELECT DISTINCT subject_id FROM run WHERE workspace = ? AND kind IN ('process', 'snapshot') AND ended_at = 0 AND subject_id IN (`+marks(len(part))+`)`, args(part, ws)...)
		})
	})
	return list, err
}

// Documents meets document.Store: newest first.
func (s *Store) Documents(ctx context.Context, ws ident.Workspace, f document.Filter) (list []document.Document, total int, err error) {
	var w where
	w.and(`d.workspace = ?`, ws)
	if f.Status != "" {
		w.and(`d.status = ?`, f.Status)
	}
	if f.Type != "" {
		w.and(`d.file_type = ?`, f.Type)
	}
	if f.Origin != "" {
		w.and(`d.origin = ?`, f.Origin)
	}
	if f.Tag != "" {
		w.and(contains(`d.tags`), encodeItem(f.Tag))
	}
	if f.Query != "" {
		w.and(contains(`d.name_key`), searchKey(f.Query))
	}
	err = s.read(ctx, func(t *tx) error {
		list, total, err = page(t, pageOf[document.Document]{
			columns: documentColumns, from: `document d`, id: `d.id`, where: w, cursor: f.Cursor, limit: f.Limit, scan: scanDocument,
		})
		return err
	})
	return list, total, err
}

// Update meets document.Store.
func (s *Store) Update(ctx context.Context, ws ident.Workspace, id string, p document.Patch) (d document.Document, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		var set int
		var title, filename, tags string
		err := t.row(`SELECT title, title_set, filename, tags FROM document WHERE id = ? AND workspace = ?`+t.forUpdate(), id, ws).
			Scan(&title, &set, &filename, &tags)
		if err != nil {
			return missing(err, documentNoun)
		}
		if p.Title != nil {
			title, set = *p.Title, flag(*p.Title != "") // an empty title lets the document's own come back with the next processing
		}
		if p.Tags != nil {
			tags = encodeList(*p.Tags)
		}
		if _, err = t.exec(`UPDATE document SET title = ?, title_set = ?, name_key = ?, tags = ?, updated_at = ? WHERE id = ?`,
			title, set, searchKey(filename, title), tags, t.now, id); err != nil {
			return err
		}
		d, err = t.document(ws, id)
		return err
	})
	return d, err
}

// HasBlob meets document.Store.
func (s *Store) HasBlob(ctx context.Context, blob string) (has bool, err error) {
	err = s.read(ctx, func(t *tx) error {
		has, err = t.exists(`SELECT 1 FROM document WHERE blob = ? LIMIT 1`, blob)
		return err
	})
	return has, err
}
