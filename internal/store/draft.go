package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// Drafts is the store as the room of drafts knows it; its verbs are the same as those of documents.
type Drafts struct{ store *Store }

var _ draft.Store = Drafts{}

// Drafts gives the store of drafts.
func (s *Store) Drafts() Drafts { return Drafts{s} }

const (
	draftNoun    = "draft"
	draftColumns = `d.id, d.workspace, d.session_id, d.title, d.status, d.version, d.document_ids, d.categories, d.tags, d.run_id,
		d.summary, d.slug, d.created_at, d.updated_at, CASE WHEN ` + staleDrafts + ` THEN 1 ELSE 0 END`
	// staleDrafts are those whose newest version cites what was deleted since, or another text than the document has now.
	staleDrafts = `EXISTS (SELECT 1 FROM draft_version sv JOIN citation sc ON sc.version_id = sv.id
		LEFT JOIN citation_document sq ON sq.citation_id = sc.id LEFT JOIN document so ON so.id = sq.document_id
		WHERE sv.draft_id = d.id AND sv.number = d.version AND (sc.orphan = 1 OR sq.generation > 0 AND so.text_generation <> sq.generation))`
)

func scanDraft(row scanner) (draft.Draft, error) { return scanDraftAnd(row) }

// scanDraftAnd scans draftColumns and the columns after them.
func scanDraftAnd(row scanner, more ...any) (draft.Draft, error) {
	var d draft.Draft
	var documents, categories, tags string
	var created, updated, stale int64
	err := row.Scan(append([]any{&d.ID, &d.Workspace, &d.SessionID, &d.Title, &d.Status, &d.Version, &documents, &categories, &tags,
		&d.RunID, &d.Summary, &d.Slug, &created, &updated, &stale}, more...)...)
	d.Stale = stale == 1
	d.DocumentIDs, d.Categories, d.Tags = decodeList(documents), decodeList(categories), decodeList(tags)
	d.CreatedAt, d.UpdatedAt = timeOf(created), timeOf(updated)
	return d, err
}

// Add meets draft.Store.
func (v Drafts) Add(ctx context.Context, d draft.Draft, w draft.Wish, once *ident.Once) (added draft.Draft, r runs.Run, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		made, repeated, err := t.once(d.Workspace, once)
		if err != nil {
			return err
		}
		if repeated {
			if r, err = t.run(d.Workspace, made.Run); err != nil {
				return err
			}
			added, err = t.draft(d.Workspace, made.Resource)
			return err
		}
		if added, r, err = t.addDraft(d, w); err != nil {
			return err
		}
		made.Resource, made.Run = added.ID, r.ID
		return t.remember(d.Workspace, once, made)
	})
	return added, r, err
}

// addDraft makes a draft and the run that writes it.
func (t *tx) addDraft(d draft.Draft, w draft.Wish) (draft.Draft, runs.Run, error) {
	id := d.ID
	if id == "" {
		id = ident.New()
	}
	if d.SessionID != "" {
		if err := t.holdSession(d.Workspace, d.SessionID); err != nil {
			return draft.Draft{}, runs.Run{}, err
		}
	}
	r, err := t.createRun(d.Workspace, runs.NewRun{Kind: runs.KindGenerate, SessionID: d.SessionID, Input: w, Subject: runs.Subject{Type: subjectDraft, ID: id}})
	if err != nil {
		return draft.Draft{}, runs.Run{}, err
	}
	if _, err = t.exec(`INSERT INTO draft (id, workspace, session_id, title, title_key, status, document_ids, categories, tags,
			run_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, d.Workspace, d.SessionID, d.Title, searchKey(d.Title), draft.Generating, encodeList(d.DocumentIDs),
		encodeList(d.Categories), encodeList(d.Tags), r.ID, t.now, t.now); err != nil {
		return draft.Draft{}, runs.Run{}, err
	}
	if err := t.tellDraft(d.SessionID, session.DraftUpdated{DraftID: id, Status: draft.Generating}); err != nil {
		return draft.Draft{}, runs.Run{}, err
	}
	d, err = t.draft(d.Workspace, id)
	return d, r, err
}

// Draft meets draft.Store.
func (v Drafts) Draft(ctx context.Context, ws ident.Workspace, id string) (d draft.Draft, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		d, err = t.draft(ws, id)
		return err
	})
	return d, err
}

func (t *tx) draft(ws ident.Workspace, id string) (draft.Draft, error) {
	var content string
	d, err := scanDraftAnd(t.row(`SELECT `+draftColumns+`, COALESCE(v.content, '') FROM draft d
		LEFT JOIN draft_version v ON v.draft_id = d.id AND v.number = d.version WHERE d.id = ? AND d.workspace = ?`, id, ws), &content)
	d.Content = content
	return d, missing(err, draftNoun)
}

// lockedDraft reads a draft for a change, and holds its row until the transaction ends.
func (t *tx) lockedDraft(ws ident.Workspace, id string) (draft.Draft, error) {
	if lock := t.forUpdate(); lock != "" {
		var found string
		if err := t.row(`SELECT id FROM draft WHERE id = ? AND workspace = ?`+lock, id, ws).Scan(&found); err != nil {
			return draft.Draft{}, missing(err, draftNoun)
		}
	}
	return t.draft(ws, id)
}

// Drafts meets draft.Store: newest first.
func (v Drafts) Drafts(ctx context.Context, ws ident.Workspace, f draft.Filter) (list []draft.Draft, total int, err error) {
	var w where
	w.and(`d.workspace = ?`, ws)
	if f.Status != "" {
		w.and(`d.status = ?`, f.Status)
	}
	if f.Query != "" {
		w.and(contains(`d.title_key`), searchKey(f.Query))
	}
	if f.Stale {
		w.and(staleDrafts)
	}
	err = v.store.read(ctx, func(t *tx) error {
		list, total, err = page(t, pageOf[draft.Draft]{
			columns: draftColumns, from: `draft d`, id: `d.id`, where: w, cursor: f.Cursor, limit: f.Limit, scan: scanDraft,
		})
		return err
	})
	return list, total, err
}

// Save meets draft.Store.
func (v Drafts) Save(ctx context.Context, ws ident.Workspace, id string, match int, e draft.Edit) (saved draft.Draft, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		d, err := t.lockedDraft(ws, id)
		switch {
		case err != nil:
			return err
		case d.Status == draft.Generating:
			return fault.New(fault.Conflict, "generating", "The draft is being written. Wait until it is done, or cancel its run.")
		case d.Version != match:
			return staleDraft(d.Version)
		}
		if e.Categories != nil {
			d.Categories = *e.Categories
		}
		if e.Tags != nil {
			d.Tags = *e.Tags
		}
		if d.Status == draft.Failed {
			d.Status = draft.Open // a person took over
		}
		if e.Title != nil || e.Content != nil {
			if err := t.saveVersion(&d, e); err != nil {
				return err
			}
		}
		if err := t.updateDraft(d); err != nil {
			return err
		}
		if err := t.tellDraft(d.SessionID, session.DraftUpdated{DraftID: id, Version: d.Version, Status: d.Status}); err != nil {
			return err
		}
		saved, err = t.draft(ws, id)
		return err
	})
	return saved, err
}

func staleDraft(version int) error {
	f := fault.New(fault.Stale, "stale", "The draft has changed since; its version is %d now. Load it and save again.", version)
	f.Fields = []fault.Field{{Location: "version", Code: "current", Message: strconv.Itoa(version)}}
	return f
}

// saveVersion makes a person's edit the draft's newest version. A version with a new title only keeps the citations.
func (t *tx) saveVersion(d *draft.Draft, e draft.Edit) error {
	next := draft.Version{Author: e.Author, Cause: draft.CauseEdit, Message: e.Message, Citations: e.Citations}
	if e.Title != nil {
		d.Title = *e.Title
	}
	if e.Content != nil {
		d.Content = *e.Content
	} else {
		if err := t.lockWorkspace(d.Workspace); err != nil { // a deletion must not change them between here and the copy
			return err
		}
		citations, err := t.citations(`version_id = (SELECT id FROM draft_version WHERE draft_id = ? AND number = ?)`, d.ID, d.Version)
		if err != nil {
			return err
		}
		next.Citations = citations
	}
	next.Title, next.Content, next.Words = d.Title, d.Content, len(strings.Fields(d.Content))
	_, err := t.addVersion(d, next, "")
	return err
}

func (t *tx) updateDraft(d draft.Draft) error {
	_, err := t.exec(`UPDATE draft SET title = ?, title_key = ?, status = ?, version = ?, categories = ?, tags = ?, summary = ?, slug = ?, updated_at = ?
		WHERE id = ?`, d.Title, searchKey(d.Title), d.Status, d.Version, encodeList(d.Categories), encodeList(d.Tags), d.Summary, d.Slug, t.now, d.ID)
	return err
}

// Delete meets draft.Store.
func (v Drafts) Delete(ctx context.Context, ws ident.Workspace, id string) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		if err := t.cancelRuns(ws, id); err != nil {
			return err
		}
		d, err := t.lockedDraft(ws, id)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM draft WHERE id = ?`, id); err != nil {
			return err
		}
		if err := t.tellDraft(d.SessionID, session.DraftUpdated{DraftID: id, Version: d.Version, Deleted: true}); err != nil {
			return err
		}
		return t.discard(ws, trashDraft, id, 0, "")
	})
}

// AddVersion meets draft.Store. The same version by the same run, after a crash that came before the run's next step,
// stays one. An event version.created without data gets the version's.
func (v Drafts) AddVersion(ctx context.Context, l runs.Lease, r draft.Result, events ...runs.NewEvent) (added draft.Version, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		id, err := t.subject(l)
		if err != nil {
			return err
		}
		d, err := t.lockedDraft(l.Workspace, id)
		if isMissing(err) {
			return runs.ErrFenced
		}
		if err != nil {
			return err
		}
		last, err := t.versionOfRun(d, l.RunID)
		if err != nil {
			return err
		}
		if last != nil && last.Title == r.Title && last.Content == r.Version.Content {
			added = *last
			return nil
		}
		if d.Title = r.Title; len(d.Tags) == 0 {
			d.Tags = r.Tags
		}
		d.Summary, d.Slug = r.Summary, r.Slug
		r.Version.Title = r.Title
		if added, err = t.addVersion(&d, r.Version, l.RunID); err != nil {
			return err
		}
		d.Status = draft.Completed
		if err := t.updateDraft(d); err != nil {
			return err
		}
		log := slices.Clone(events) // the transaction may be tried again
		for i, e := range log {
			if e.Type == runs.EventVersion && e.Data == nil {
				log[i].Data = versionCreated{DraftID: d.ID, VersionID: added.ID, Number: added.Number, Words: added.Words}
			}
		}
		return t.appendEvents(l, log...)
	})
	return added, err
}

// AddSources adds to the documents that a run's draft is written from.
func (v Drafts) AddSources(ctx context.Context, l runs.Lease, documentIDs []string) error {
	return v.store.write(ctx, laneEvents, func(t *tx) error {
		id, err := t.subject(l)
		if err != nil {
			return err
		}
		d, err := t.lockedDraft(l.Workspace, id)
		if isMissing(err) {
			return runs.ErrFenced
		}
		if err != nil {
			return err
		}
		for _, doc := range documentIDs {
			if !slices.Contains(d.DocumentIDs, doc) {
				d.DocumentIDs = append(d.DocumentIDs, doc)
			}
		}
		_, err = t.exec(`UPDATE draft SET document_ids = ? WHERE id = ?`, encodeList(d.DocumentIDs), id)
		return err
	})
}

// versionCreated is the data of version.created.
type versionCreated struct {
	DraftID   string `json:"draft_id"`
	VersionID string `json:"version_id"`
	Number    int    `json:"number"`
	Words     int    `json:"words"`
}
