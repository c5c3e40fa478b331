package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
)

const versionColumns = `v.id, v.number, v.parents, v.author, v.cause, v.title, v.message, v.words, v.created_at`

func scanVersion(row scanner) (draft.Version, error) { return scanVersionAnd(row) }

func scanVersionAnd(row scanner, more ...any) (draft.Version, error) {
	var v draft.Version
	var parents string
	var created int64
	err := row.Scan(append([]any{&v.ID, &v.Number, &parents, &v.Author, &v.Cause, &v.Title, &v.Message, &v.Words, &created}, more...)...)
	v.Parents, v.CreatedAt = decodeList(parents), timeOf(created)
	return v, err
}

// Versions meets draft.Store: newest first, without content and citations. The cursor is the number of the last one of the
// page before, 0 for the first page.
func (v Drafts) Versions(ctx context.Context, ws ident.Workspace, draftID string, cursor, limit int) (list []draft.Version, total int, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		// Numbers are dense and never go away, so the newest is their count.
		err := t.row(`SELECT version FROM draft WHERE id = ? AND workspace = ?`, draftID, ws).Scan(&total)
		if err != nil {
			return missing(err, draftNoun)
		}
		if cursor <= 0 {
			cursor = total + 1
		}
		list, err = all(t, scanVersion, `SELECT `+versionColumns+` FROM draft_version v
			WHERE v.draft_id = ? AND v.number < ? ORDER BY v.number DESC LIMIT ?`, draftID, cursor, max(limit, 1))
		return err
	})
	return list, total, err
}

// Version meets draft.Store.
func (v Drafts) Version(ctx context.Context, ws ident.Workspace, draftID string, number int) (found draft.Version, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.draft(ws, draftID); err != nil {
			return err
		}
		found, err = t.version(`v.draft_id = ? AND v.number = ?`, draftID, number)
		return missing(err, "version")
	})
	return found, err
}

// version reads one with its citations.
func (t *tx) version(cond string, args ...any) (draft.Version, error) {
	var content string
	found, err := scanVersionAnd(t.row(`SELECT `+versionColumns+`, v.content FROM draft_version v WHERE `+cond, args...), &content)
	if err != nil {
		return draft.Version{}, err
	}
	found.Content = content
	found.Citations, err = t.citations(`version_id = ?`, found.ID)
	return found, err
}

// versionOfRun gives the draft's newest version when this run has written it, else nil.
func (t *tx) versionOfRun(d draft.Draft, run string) (*draft.Version, error) {
	v, err := t.version(`v.draft_id = ? AND v.number = ? AND v.run_id = ?`, d.ID, d.Version, run)
	if isNoRows(err) {
		return nil, nil
	}
	return &v, err
}

// addVersion appends a version to a draft that is held, with its citations, and counts it in d.
func (t *tx) addVersion(d *draft.Draft, v draft.Version, run string) (draft.Version, error) {
	if err := t.lockWorkspace(d.Workspace); err != nil {
		return draft.Version{}, err
	}
	v.Parents = []string{}
	if d.Version > 0 {
		var parent string
		if err := t.row(`SELECT id FROM draft_version WHERE draft_id = ? AND number = ?`, d.ID, d.Version).Scan(&parent); err != nil {
			return draft.Version{}, fmt.Errorf("version %d of draft %s: %w", d.Version, d.ID, err)
		}
		v.Parents = []string{parent}
	}
	var head int
	if err := t.row(`SELECT undo_head FROM draft WHERE id = ?`, d.ID).Scan(&head); err != nil {
		return draft.Version{}, err
	}
	d.Version++
	v.ID, v.Number, v.CreatedAt = ident.New(), d.Version, timeOf(t.now)
	_, err := t.exec(`INSERT INTO draft_version (id, draft_id, number, parents, author, cause, message, title, content, words, run_id,
			follows, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ID, d.ID, v.Number, encodeList(v.Parents), v.Author, v.Cause, v.Message, v.Title, v.Content, v.Words, run, head, t.now)
	if err != nil {
		return draft.Version{}, err
	}
	if err := t.turn(d.ID, d.Version, nil); err != nil { // what was undone before cannot be done again after something new
		return draft.Version{}, err
	}
	v.Citations, err = t.addCitations(d.Workspace, v.ID, v.Citations, run != "") // its readers know them by their ids already
	return v, err
}

func (t *tx) addCitations(ws ident.Workspace, versionID string, list []draft.Citation, keepIDs bool) ([]draft.Citation, error) {
	sources, err := t.quoted(ws, list)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	var rows, links [][]any
	for i := range list {
		c := &list[i]
		if c.Spans = slices.Clone(c.Spans); c.ID == "" || !keepIDs {
			c.ID = ident.New()
		}
		linked, orphan := map[string]bool{}, 0
		for j := range c.Spans {
			sp := &c.Spans[j]
			source, alive := sources[sp.DocumentID]
			if source.url != "" { // what is known of it stays, should it be deleted
				sp.Title, sp.URL, sp.FetchedAt = source.title, source.url, source.fetched
			}
			if sp.Gone = sp.Gone || !alive; sp.Gone {
				orphan = 1
				continue
			}
			if sp.Generation == 0 {
				sp.Generation = source.generation
			}
			if !linked[sp.DocumentID] {
				linked[sp.DocumentID] = true
				links = append(links, []any{sp.DocumentID, c.ID, sp.Generation})
			}
		}
		verdict, spans, err := encodeCitation(*c)
		if err != nil {
			return nil, err
		}
		rows = append(rows, []any{c.ID, versionID, i, c.Claim.Start, c.Claim.End, c.Claim.Text, verdict, spans, orphan})
	}
	if err := t.insert(`INSERT INTO citation (id, version_id, ord, start, "end", claim, verdict, spans, orphan)`, rows, ``); err != nil {
		return nil, err
	}
	return list, t.insert(`INSERT INTO citation_document (document_id, citation_id, generation)`, links, ``)
}

// quoted gives those of the documents that citations quote which are there. The workspace is held: a
// deletion either came before, and the spans say so, or comes after, and finds them.
func (t *tx) quoted(ws ident.Workspace, list []draft.Citation) (map[string]quotedSource, error) {
	var ids []string
	for _, c := range list {
		for _, sp := range c.Spans {
			ids = append(ids, sp.DocumentID)
		}
	}
	slices.Sort(ids)
	sources := map[string]quotedSource{}
	err := eachPart(slices.Compact(ids), func(part []string) error {
		return each(t, scanQuoted, func(s quotedSource) { sources[s.id] = s },
			`SELECT id, title, source_url, fetched_at, text_generation FROM document WHERE workspace = ? AND id IN (`+marks(len(part))+`) `, args(part, ws)...)
	})
	return sources, err
}

// quotedSource is what a citation keeps of a document.
type quotedSource struct {
	id, title, url string
	fetched        time.Time
	generation     int64 // of its text
}

func scanQuoted(row scanner) (s quotedSource, err error) {
	var fetched number
	err = row.Scan(&s.id, &s.title, &s.url, &fetched, &s.generation)
	s.fetched = timeOf(int64(fetched))
	return s, err
}

func encodeCitation(c draft.Citation) (verdict, spans string, err error) {
	v, err := json.Marshal(c.Verdict)
	if err != nil { // a score that is no number
		return "", "", fault.Bad("citations", "bad_verdict", "A verdict has no valid score.")
	}
	s, err := json.Marshal(c.Spans)
	return string(v), string(s), err
}

// citations reads those that a condition chooses, in order.
func (t *tx) citations(cond string, args ...any) ([]draft.Citation, error) {
	return all(t, scanCitation, `SELECT id, start, "end", claim, verdict, spans FROM citation WHERE `+cond+` ORDER BY version_id, ord`, args...)
}

func scanCitation(row scanner) (c draft.Citation, err error) {
	var verdict, spans string
	if err = row.Scan(&c.ID, &c.Claim.Start, &c.Claim.End, &c.Claim.Text, &verdict, &spans); err != nil {
		return c, err
	}
	if err = json.Unmarshal([]byte(verdict), &c.Verdict); err == nil {
		err = json.Unmarshal([]byte(spans), &c.Spans)
	}
	if err != nil {
		return c, fmt.Errorf("citation %s: %w", c.ID, err)
	}
	return c, nil
}
