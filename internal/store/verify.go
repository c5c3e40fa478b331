package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/runs"
)

// sweepTime is within how long a deletion must have reached every place.
const sweepTime = time.Minute

// VerifyOptions says what Verify looks at besides the rows.
type VerifyOptions struct {
	Contains []string                                                     // texts that must be nowhere, as after a deletion
	Blobs    func(ctx context.Context, each func(key string) error) error // lists the blobs that are there; nil leaves them out
}

// Problem is something that must not be.
type Problem struct {
	Kind   string // orphan, generation, text, passage, page, element, citation, segment, run, trash, blob, contains
	ID     string // of the row, or the place
	Detail string
}

// Report is what Verify found; without Problems all is well.
type Report struct {
	Documents, Passages, Pages, Citations, Segments, Runs, Events, Blobs int
	Problems                                                             []Problem
}

func (r *Report) add(kind, id, detail string, args ...any) {
	r.Problems = append(r.Problems, Problem{kind, id, fmt.Sprintf(detail, args...)})
}

// Verify reads everything and says what does not fit: rows without the rows that they belong to, passages and quotes that
// differ from the text at their offsets, incomplete segments, logs with gaps, trash that was not taken out, blobs that are
// missing or that nobody has, and places that hold a text which should be gone. It changes nothing.
func (s *Store) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	v := verifier{store: s, documents: map[string]bool{}, noted: map[string]bool{}, blobs: map[string]bool{}}
	for _, check := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"rows", v.rows}, {"documents", v.texts}, {"citations", v.citations}, {"segments", v.segments}, {"runs", v.runs},
		{"trash", v.trash},
		{"blobs", func(ctx context.Context) error { return v.checkBlobs(ctx, o.Blobs) }},
		{"contents", func(ctx context.Context) error { return v.contains(ctx, o.Contains) }},
	} {
		if err := check.run(ctx); err != nil {
			return v.report, fmt.Errorf("verify %s: %w", check.name, err)
		}
	}
	return v.report, nil
}

type verifier struct {
	store     *Store
	report    Report
	documents map[string]bool // that exist
	noted     map[string]bool // deleted ones that the trash knows
	blobs     map[string]bool // keys that documents have; false: in the trash
}

// orphans are queries for rows that belong to nothing: an id and the id that it misses.
var orphans = []struct{ table, query string }{
	{"document_slice", `SELECT DISTINCT x.document_id, x.document_id FROM document_slice x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"page", `SELECT DISTINCT x.document_id, x.document_id FROM page x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"passage", `SELECT x.id, x.document_id FROM passage x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"vector", `SELECT x.passage_id, x.document_id FROM vector x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"document_space", `SELECT x.space, x.document_id FROM document_space x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"document_space", `SELECT x.document_id, x.space FROM document_space x LEFT JOIN space s ON s.id = x.space WHERE s.id IS NULL AND x.space <> ''`},
	{"segment_document", `SELECT x.segment_id, x.document_id FROM segment_document x LEFT JOIN document d ON d.id = x.document_id
		WHERE d.id IS NULL AND x.dead = 0`},
	{"segment_document", `SELECT x.document_id, x.segment_id FROM segment_document x LEFT JOIN segment s ON s.id = x.segment_id WHERE s.id IS NULL`},
	{"segment_slice", `SELECT DISTINCT x.segment_id, x.segment_id FROM segment_slice x LEFT JOIN segment s ON s.id = x.segment_id WHERE s.id IS NULL`},
	{"segment", `SELECT x.id, x.workspace FROM segment x LEFT JOIN workspace w ON w.id = x.workspace WHERE w.id IS NULL`},
	{"citation_document", `SELECT x.citation_id, x.document_id FROM citation_document x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"document", `SELECT x.id, x.run_id FROM document x LEFT JOIN run r ON r.id = x.run_id WHERE x.run_id <> '' AND r.id IS NULL`},
	{"draft", `SELECT x.id, x.run_id FROM draft x LEFT JOIN run r ON r.id = x.run_id WHERE x.run_id <> '' AND r.id IS NULL`},
	{"draft", `SELECT x.id, 'version' FROM draft x WHERE x.version <> (SELECT COUNT(*) FROM draft_version v WHERE v.draft_id = x.id)`},
	{"message", `SELECT x.id, x.run_id FROM message x LEFT JOIN run r ON r.id = x.run_id WHERE x.run_id <> '' AND r.id IS NULL`},
	{"message", `SELECT x.id, x.parent_id FROM message x LEFT JOIN message p ON p.id = x.parent_id WHERE x.parent_id <> '' AND p.id IS NULL`},
	{"message_element", `SELECT x.id, x.message_id FROM message_element x LEFT JOIN message m ON m.id = x.message_id WHERE x.message_id <> '' AND m.id IS NULL`},
	{"message_document", `SELECT x.message_id, x.document_id FROM message_document x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"session_document", `SELECT x.session_id, x.document_id FROM session_document x LEFT JOIN document d ON d.id = x.document_id WHERE d.id IS NULL`},
	{"run_event", `SELECT DISTINCT x.run_id, x.run_id FROM run_event x LEFT JOIN run r ON r.id = x.run_id WHERE r.id IS NULL`},
	{"run_step", `SELECT DISTINCT x.run_id, x.run_id FROM run_step x LEFT JOIN run r ON r.id = x.run_id WHERE r.id IS NULL`},
}

type pair struct{ a, b string }

func scanPair(row scanner) (p pair, err error) {
	err = row.Scan(&p.a, &p.b)
	return p, err
}

// rows looks for rows that belong to nothing, and for generations that nobody refers to. What waits in the trash is left out.
func (v *verifier) rows(ctx context.Context) error {
	notes, err := readAll(ctx, v.store, scanTrash, `SELECT id, workspace, kind, ref, generation, blob FROM trash`)
	if err != nil {
		return err
	}
	generations := map[string]bool{}
	for _, x := range notes {
		switch x.kind {
		case trashDocument:
			v.noted[x.ref], v.blobs[x.blob] = true, false
		case trashGeneration:
			generations[x.ref] = true
		}
	}
	for _, o := range orphans {
		list, err := readAll(ctx, v.store, scanPair, o.query)
		if err != nil {
			return err
		}
		for _, p := range list {
			if !v.noted[p.b] {
				v.report.add("orphan", p.a, "%s: %s is missing", o.table, p.b)
			}
		}
	}
	for _, q := range []struct{ table, kind string }{{"document_slice", "text"}, {"page", "text"}, {"passage", "passage"}, {"vector", "passage"}} {
		list, err := readAll(ctx, v.store, scanPair, `SELECT DISTINCT x.document_id, CAST(x.generation AS TEXT) FROM `+q.table+` x
			JOIN document d ON d.id = x.document_id
			WHERE x.generation NOT IN (d.`+q.kind+`_generation, d.work_`+q.kind+`_generation)`)
		if err != nil {
			return err
		}
		for _, p := range list {
			if !generations[p.a] {
				v.report.add("generation", p.a, "%s: generation %s is nobody's", q.table, p.b)
			}
		}
	}
	return nil
}

// texts looks at what readers see of each document.
func (v *verifier) texts(ctx context.Context) error {
	list, err := readAll(ctx, v.store, scanPair, `SELECT id, workspace FROM document ORDER BY id`)
	if err != nil {
		return err
	}
	for _, p := range list {
		v.documents[p.a] = true
		err := v.store.read(ctx, func(t *tx) error {
			d, err := scanDocument(t.row(`SELECT `+documentColumns+` FROM document d WHERE d.id = ?`, p.a))
			if isNoRows(err) {
				return nil // deleted meanwhile
			}
			if err != nil {
				return err
			}
			w, err := t.work(d.Workspace, d.ID, "")
			if err != nil {
				return err
			}
			v.report.Documents++
			v.blobs[d.Blob] = true
			if w.seen.number == 0 {
				return nil
			}
			return v.text(t, w)
		})
		if err != nil {
			return fmt.Errorf("document %s: %w", p.a, err)
		}
	}
	return nil
}

func (v *verifier) text(t *tx, w work) error {
	b, err := t.text(w.id, w.seen.text, 0, w.seen.textLength)
	if err != nil {
		return err
	}
	text := string(b)
	switch {
	case len(text) != w.seen.textLength:
		v.report.add("text", w.id, "%d bytes of %d", len(text), w.seen.textLength)
	case !utf8.ValidString(text):
		v.report.add("text", w.id, "not UTF-8")
	}
	if err := v.passages(t, w, text); err != nil {
		return err
	}
	if err := v.pages(t, w, text); err != nil {
		return err
	}
	elements, err := t.elements(w.id, w.seen.text)
	if err != nil {
		v.report.add("element", w.id, "%v", err)
	}
	end := 0
	for i, e := range elements {
		if e.Start < end || e.End < e.Start || e.End > len(text) {
			v.report.add("element", w.id, "number %d at %d:%d", i, e.Start, e.End)
		}
		end = max(end, e.End)
	}
	return each(t, scanCitation, func(c draft.Citation) {
		for _, sp := range c.Spans {
			if sp.DocumentID == w.id && !sp.Gone && cut(text, sp.Start, sp.End) != sp.Quote {
				v.report.add("citation", c.ID, "the quote is not the text of document %s at %d:%d", w.id, sp.Start, sp.End)
			}
		}
	}, `SELECT c.id, c.start, c."end", c.claim, c.verdict, c.spans FROM citation_document q
		JOIN citation c ON c.id = q.citation_id WHERE q.document_id = ?`, w.id)
}

// cut gives what stands at a place, and nothing where there is no such place.
func cut(text string, start, end int) string {
	if start < 0 || end < start || end > len(text) {
		return ""
	}
	return text[start:end]
}

func (v *verifier) passages(t *tx, w work, text string) error {
	n := 0
	err := each(t, scanPassage, func(p document.Passage) {
		sum := sha256.Sum256([]byte(p.Text))
		switch {
		case p.Ord != n:
			v.report.add("passage", p.ID, "number %d of document %s stands at %d", p.Ord, w.id, n)
		case cut(text, p.Start, p.End) != p.Text:
			v.report.add("passage", p.ID, "differs from the text of document %s at %d:%d", w.id, p.Start, p.End)
		case p.Hash != hex.EncodeToString(sum[:]):
			v.report.add("passage", p.ID, "differs from its hash")
		}
		n++
	}, `SELECT `+passageColumns+` FROM passage p WHERE p.document_id = ? AND p.generation = ? ORDER BY p.ord`, w.id, w.seen.passages)
	v.report.Passages += n
	if n != w.seen.passaged {
		v.report.add("passage", w.id, "%d passages of %d", n, w.seen.passaged)
	}
	return err
}

func (v *verifier) pages(t *tx, w work, text string) error {
	type packed struct {
		extract.Page
		words []byte
	}
	n := 0
	err := each(t, func(row scanner) (p packed, err error) {
		err = row.Scan(&p.Number, &p.Start, &p.End, &p.words)
		return p, err
	}, func(p packed) {
		n++
		words, err := unpackWords(p.words, p.Start)
		switch {
		case p.Number != n || p.Start < 0 || p.End < p.Start || p.End > len(text):
			v.report.add("page", w.id, "page %d at %d:%d", p.Number, p.Start, p.End)
		case err != nil:
			v.report.add("page", w.id, "page %d: %v", p.Number, err)
		}
		for _, word := range words {
			if word.Start < p.Start || word.End < word.Start || word.End > p.End {
				v.report.add("page", w.id, "page %d has a word at %d:%d", p.Number, word.Start, word.End)
				break
			}
		}
	}, `SELECT number, start, "end", words FROM page WHERE document_id = ? AND generation = ? ORDER BY number`, w.id, w.seen.text)
	v.report.Pages += n
	if n != w.seen.pages {
		v.report.add("page", w.id, "%d pages of %d", n, w.seen.pages)
	}
	return err
}

// citations looks for claims that are not what their version says, and quotes of documents that are gone but not marked.
func (v *verifier) citations(ctx context.Context) error {
	type row struct {
		draft.Citation
		version string
	}
	scan := func(s scanner) (r row, err error) {
		var spans string
		if err = s.Scan(&r.ID, &r.Claim.Start, &r.Claim.End, &r.Claim.Text, &spans, &r.version); err == nil {
			err = json.Unmarshal([]byte(spans), &r.Spans)
		}
		return r, err
	}
	versions, err := readAll(ctx, v.store, scanString, `SELECT id FROM draft_version ORDER BY id`)
	if err != nil {
		return err
	}
	for _, id := range versions {
		err := v.store.read(ctx, func(t *tx) error {
			var content string
			if err := t.row(`SELECT content FROM draft_version WHERE id = ?`, id).Scan(&content); err != nil {
				if isNoRows(err) {
					return nil
				}
				return err
			}
			return each(t, scan, func(r row) {
				v.report.Citations++
				if r.Claim.Text != "" && cut(content, r.Claim.Start, r.Claim.End) != r.Claim.Text {
					v.report.add("citation", r.ID, "the claim is not the text of version %s at %d:%d", id, r.Claim.Start, r.Claim.End)
				}
				for _, sp := range r.Spans {
					if !sp.Gone && !v.documents[sp.DocumentID] {
						v.report.add("citation", r.ID, "document %s is missing", sp.DocumentID)
					}
				}
			}, `SELECT id, start, "end", claim, spans, version_id FROM citation WHERE version_id = ? ORDER BY ord`, id)
		})
		if err != nil {
			return fmt.Errorf("version %s: %w", id, err)
		}
	}
	return nil
}

func (v *verifier) segments(ctx context.Context) error {
	type sums struct {
		id                        string
		bytes, slices, last, size int64
	}
	list, err := readAll(ctx, v.store, func(row scanner) (x sums, err error) {
		err = row.Scan(&x.id, &x.bytes, &x.slices, &x.last, &x.size)
		return x, err
	}, `SELECT s.id, s.bytes, COUNT(x.ord), COALESCE(MAX(x.ord), -1), COALESCE(SUM(LENGTH(x.data)), 0) FROM segment s
		LEFT JOIN segment_slice x ON x.segment_id = s.id WHERE s.live = 1 GROUP BY s.id, s.bytes ORDER BY s.id`)
	for _, x := range list {
		v.report.Segments++
		if x.slices == 0 || x.last+1 != x.slices || x.size != x.bytes {
			v.report.add("segment", x.id, "%d slices up to %d, %d bytes of %d", x.slices, x.last, x.size, x.bytes)
		}
	}
	return err
}

// runs looks for logs that are not dense, and for ends that are missing, doubled or not last.
func (v *verifier) runs(ctx context.Context) error {
	const some = 500 // runs of one snapshot
	for last, more := "", true; more; {
		var log *runLog
		n := 0
		err := v.store.read(ctx, func(t *tx) error {
			return each(t, scanEntry, func(e entry) {
				if log == nil || log.run != e.run {
					v.closeLog(log)
					log = &runLog{run: e.run}
					n++
				}
				v.follow(log, e)
			}, `SELECT r.id, r.status, r.last_seq, COALESCE(e.seq, 0), COALESCE(e.type, ''),
				CASE WHEN e.type = '`+runs.EventSnapshot+`' THEN e.data ELSE '' END
				FROM (SELECT id, status, last_seq FROM run WHERE id > ? ORDER BY id LIMIT ?) r
				LEFT JOIN run_event e ON e.run_id = r.id ORDER BY r.id, e.seq`, last, some)
		})
		if err != nil {
			return err
		}
		v.closeLog(log)
		if more = n == some; more {
			last = log.run.id
		}
	}
	return nil
}

// runLog is how far the log of a run was followed.
type runLog struct {
	run   runHead
	seq   int64
	ended string
}

type runHead struct {
	id, status string
	lastSeq    int64
}

// entry is an event as far as the order of a log goes; its seq is 0 for a run without events.
type entry struct {
	run        runHead
	seq        int64
	kind, data string
}

func scanEntry(row scanner) (e entry, err error) {
	err = row.Scan(&e.run.id, &e.run.status, &e.run.lastSeq, &e.seq, &e.kind, &e.data)
	return e, err
}

func (v *verifier) follow(log *runLog, e entry) {
	if e.seq == 0 {
		return
	}
	v.report.Events++
	if first := e.first(); first != log.seq+1 {
		v.report.add("run", e.run.id, "event %d follows %d", first, log.seq)
	}
	if log.ended != "" {
		v.report.add("run", e.run.id, "event %d comes after the end", e.seq)
	}
	if e.ends() {
		log.ended = e.kind
	}
	log.seq = e.seq
}

func (v *verifier) closeLog(log *runLog) {
	if log == nil {
		return
	}
	v.report.Runs++
	if log.seq != log.run.lastSeq {
		v.report.add("run", log.run.id, "the log ends at %d of %d", log.seq, log.run.lastSeq)
	}
	if log.ended != endOf(runs.Status(log.run.status)) {
		v.report.add("run", log.run.id, "is %s, its log ends with %q", log.run.status, log.ended)
	}
}

// first is the first seq that an event stands for: a snapshot stands for the tokens that it replaced.
func (e entry) first() int64 {
	var x runs.Snapshot
	if e.kind == runs.EventSnapshot && json.Unmarshal([]byte(e.data), &x) == nil && x.FromSeq > 0 {
		return x.FromSeq
	}
	return e.seq
}

func (e entry) ends() bool {
	return e.kind == runs.EventCompleted || e.kind == runs.EventFailed || e.kind == runs.EventCancelled
}

// endOf gives the type of the event that ends a run in a state.
func endOf(s runs.Status) string {
	if s.Terminal() {
		return "run." + string(s)
	}
	return ""
}

func (v *verifier) trash(ctx context.Context) error {
	list, err := readAll(ctx, v.store, scanPair, `SELECT kind, ref FROM trash WHERE created_at < ? ORDER BY id`,
		micros(time.Now().Add(-sweepTime)))
	for _, p := range list {
		v.report.add("trash", p.b, "%s was not swept within %s", p.a, sweepTime)
	}
	return err
}

func (v *verifier) checkBlobs(ctx context.Context, list func(ctx context.Context, each func(key string) error) error) error {
	if list == nil {
		return nil
	}
	there := map[string]bool{}
	err := list(ctx, func(key string) error {
		v.report.Blobs++
		there[key] = true
		if _, known := v.blobs[key]; !known {
			v.report.add("blob", key, "is nobody's")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, wanted := range v.blobs {
		if wanted && !there[key] {
			v.report.add("blob", key, "is missing")
		}
	}
	return nil
}
