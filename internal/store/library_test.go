package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/store"
)

// library is a store with two workspaces, and the workers that bring documents to their passages, without an extractor
// or an index: every line of a text is a passage, and a segment is its passages' ids.
type library struct {
	rapid.TB
	*store.Store
	ctx           context.Context
	mine, foreign ident.Workspace
}

func newLibrary(t testing.TB, s *store.Store) library {
	l := library{TB: t, Store: s, ctx: t.Context(), mine: ident.Local}
	_, err := s.AddUser(l.ctx, account.User{Email: "ann@example.org", PasswordHash: "x"}, true)
	l.ok(err)
	u, err := s.AddUser(l.ctx, account.User{Email: "bob@example.org", PasswordHash: "x"}, false)
	l.ok(err)
	l.foreign = u.Workspace
	l.ok(s.OfferSpace(l.ctx, testSpace))
	return l
}

func (l library) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// refused wants a fault of a kind and code.
func (l library) refused(err error, kind fault.Kind, code string) {
	l.Helper()
	if f := fault.Of(err); f == nil || f.Kind != kind || f.Code != code {
		l.Errorf("got %v, want kind %d, code %s", err, kind, code)
	}
}

func (l library) gone(err error) {
	l.Helper()
	l.refused(err, fault.NotFound, "not_found")
}

func same(t rapid.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// sum is hex SHA-256.
func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// file is a document to upload whose bytes stand for its text.
func (l library) file(ws ident.Workspace, name, content string) document.Document {
	return document.Document{Workspace: ws, Filename: name, Type: "text", Size: int64(len(content)), SHA256: sum(content), Blob: "blob-" + ident.New()}
}

func (l library) upload(ws ident.Workspace, name, content string) document.Document {
	l.Helper()
	d, added, err := l.Add(l.ctx, l.file(ws, name, content), true, false, nil)
	l.ok(err)
	if !added {
		l.Fatalf("%s is there already", name)
	}
	return d
}

// claim takes the next run; there must be one.
func (l library) claim() (runs.Run, runs.Lease) {
	l.Helper()
	r, lease, ok, err := l.Claim(l.ctx, "test", []runs.Kind{runs.KindProcess, runs.KindGenerate})
	l.ok(err)
	if !ok {
		l.Fatal("no run is due")
	}
	return r, lease
}

func (l library) end(lease runs.Lease, s runs.Status) {
	l.Helper()
	e := runs.Ending{Status: s}
	if s == runs.Failed {
		e.Failure = &runs.Failure{Code: "broken", Detail: "It broke."}
	}
	l.ok(l.End(l.ctx, lease, e))
}

// passagesOf makes a passage of each line.
func passagesOf(content string) (list []document.Passage) {
	at := 0
	for line := range strings.Lines(content) {
		list = append(list, document.Passage{ID: ident.New(), Ord: len(list), Text: line, Start: at, End: at + len(line),
			HeadingPath: []string{"Top"}, Hash: sum(line), Language: "en"})
		at += len(line)
	}
	return list
}

// job works on one process run, stage by stage, as ingest does.
type job struct {
	library
	run     runs.Run
	lease   runs.Lease
	work    ingest.Work
	content string
}

func (l library) job(content string) *job {
	l.Helper()
	r, lease := l.claim()
	w, err := l.Begin(l.ctx, lease)
	l.ok(err)
	return &job{library: l, run: r, lease: lease, work: w, content: content}
}

// putText writes the text in slices of n bytes, with an element and a page.
func (j *job) putText(n int) error {
	var b ingest.Batch
	for at := 0; at < len(j.content); at += n {
		b.Slices = append(b.Slices, ingest.Slice{Kind: ingest.SliceText, Ord: at / n, Start: at,
			Data: []byte(j.content[at:min(at+n, len(j.content))])})
	}
	elements, err := json.Marshal([]extract.Element{{Kind: extract.Paragraph, End: len(j.content), Page: 1}})
	j.ok(err)
	b.Slices = append(b.Slices, ingest.Slice{Kind: ingest.SliceElements, Data: elements})
	b.Pages = []extract.Page{{Number: 1, End: len(j.content), Width: 595, Height: 842,
		Words: []extract.Word{{Start: 0, End: min(4, len(j.content)), X0: 72, Y0: 72, X1: 96.5, Y1: 84.25}}}}
	return j.Put(j.ctx, j.lease, j.work.Generation, b)
}

func (j *job) commit(c ingest.Commit) error {
	return j.CommitStage(j.ctx, j.lease, j.work.Generation, c, runs.NewEvent{Type: runs.EventStepCompleted,
		Data: runs.StepEvent{Step: string(c.Stage)}})
}

func (j *job) extract() {
	j.Helper()
	j.ok(j.putText(100))
	j.ok(j.commit(ingest.Commit{Stage: document.Extracted, Title: "From within", TextLength: len(j.content), PageCount: 1}))
}

func (j *job) chunk() {
	j.Helper()
	list := passagesOf(j.content)
	j.ok(j.Put(j.ctx, j.lease, j.work.Generation, ingest.Batch{Passages: list}))
	j.ok(j.commit(ingest.Commit{Stage: document.Chunked, PassageCount: len(list), Language: "en"}))
}

// segment writes one for the chunked passages.
func (j *job) segment() search.Segment {
	j.Helper()
	list, err := j.Chunked(j.ctx, j.lease.Workspace, j.work.Document.ID, j.work.Generation)
	j.ok(err)
	sg := search.Segment{ID: ident.New(), Passages: len(list), Tokens: int64(len(j.content)), Groups: []string{j.work.Document.ID}}
	var slices []ingest.SegmentSlice
	for i, p := range list {
		slices = append(slices, ingest.SegmentSlice{SegmentID: sg.ID, Ord: i, Data: []byte(p.ID + " " + p.Text)})
	}
	j.ok(j.Put(j.ctx, j.lease, j.work.Generation, ingest.Batch{Segments: slices}))
	return sg
}

func (j *job) index() {
	j.Helper()
	j.ok(j.commit(ingest.Commit{Stage: document.Indexed, Segments: []search.Segment{j.segment()}}))
	j.embed()
}

// testSpace is the embedding space of these tests; its vectors have three dimensions.
const testSpace = "test/v1/3"

// embed puts the document into testSpace, whose segments hold the same as those of words.
func (j *job) embed() {
	j.Helper()
	list, err := j.Chunked(j.ctx, j.lease.Workspace, j.work.Document.ID, j.work.Generation)
	j.ok(err)
	j.ok(j.Put(j.ctx, j.lease, j.work.Generation, ingest.Batch{Vectors: vectorsOf(list, testSpace)}))
	sg := j.segment()
	sg.Space, sg.Tokens, sg.Known = testSpace, 0, float64(len(list))/2
	j.ok(j.commit(ingest.Commit{Stage: document.Embedded, Segments: []search.Segment{sg}, Spaces: []string{testSpace}}))
}

func vectorsOf(list []document.Passage, space string) (rows []search.VectorRow) {
	for i, p := range list {
		rows = append(rows, search.VectorRow{PassageID: p.ID, Space: space, Values: []float32{float32(i), 0.5, -1}})
	}
	return rows
}

// ready uploads and processes a document.
func (l library) ready(ws ident.Workspace, name, content string) document.Document {
	l.Helper()
	d := l.upload(ws, name, content)
	return l.finish(d, content)
}

// finish does the queued run of a document.
func (l library) finish(d document.Document, content string) document.Document {
	l.Helper()
	j := l.job(content)
	if j.run.Subject.ID != d.ID {
		l.Fatalf("the run is of %s, not of %s", j.run.Subject.ID, d.ID)
	}
	if j.work.Stage == document.Stored {
		j.extract()
		j.work.Stage = document.Extracted
	}
	if j.work.Stage == document.Extracted {
		j.chunk()
	}
	j.index()
	l.end(j.lease, runs.Completed)
	d, err := l.Document(l.ctx, d.Workspace, d.ID)
	l.ok(err)
	return d
}

// found gives the texts of the live passages that the workspace's segments propose, as a search would.
func (l library) found(ws ident.Workspace) (texts []string) {
	l.Helper()
	segments, err := l.Segments(l.ctx, ws, "")
	l.ok(err)
	var ids []string
	for _, sg := range segments {
		data, err := l.SegmentData(l.ctx, ws, sg.ID)
		l.ok(err)
		for line := range strings.Lines(string(data)) {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
	}
	live, err := l.Live(l.ctx, ws, ids)
	l.ok(err)
	for _, id := range ids {
		if p, ok := live[id]; ok {
			texts = append(texts, p.Passage.Text)
			delete(live, id)
		}
	}
	return texts
}

// merge does what the search room does with tombstones, while nobody else does anything.
func (l library) merge(ws ident.Workspace) {
	l.Helper()
	if !l.tryMerge(ws) {
		l.Fatal("nothing changed meanwhile, but the merge was refused")
	}
}

// tryMerge writes live passages to a new segment for each space, and tells whether they took the place of the old ones.
func (l library) tryMerge(ws ident.Workspace) bool {
	l.Helper()
	spaces, err := l.Spaces(l.ctx)
	l.ok(err)
	ok := l.tryMergeSpace(search.Crowd{Workspace: ws})
	for _, sp := range spaces {
		ok = l.tryMergeSpace(search.Crowd{Workspace: ws, Space: sp.ID}) && ok
	}
	return ok
}

func (l library) tryMergeSpace(c search.Crowd) bool {
	l.Helper()
	seen, err := l.Segments(l.ctx, c.Workspace, c.Space)
	l.ok(err)
	var keep []byte
	groups := map[string]bool{}
	n := 0
	for _, sg := range seen {
		data, err := l.SegmentData(l.ctx, c.Workspace, sg.ID)
		l.ok(err)
		var ids []string
		lines := map[string]string{}
		for line := range strings.Lines(string(data)) {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
			lines[id] = line
		}
		live, err := l.Live(l.ctx, c.Workspace, ids)
		l.ok(err)
		for _, id := range ids {
			if p, ok := live[id]; ok && !contains(sg.Dead, p.Passage.DocumentID) {
				keep = append(keep, lines[id]...)
				groups[p.Passage.DocumentID] = true
				n++
			}
		}
	}
	var with []search.Segment
	if n > 0 {
		sg := search.Segment{ID: ident.New(), Data: keep, Space: c.Space, Passages: n}
		for id := range groups {
			sg.Groups = append(sg.Groups, id)
		}
		l.ok(l.PutSegmentSlice(l.ctx, c.Workspace, sg.ID, 0, keep))
		with = append(with, sg)
	}
	ok, err := l.Replace(l.ctx, c, seen, with)
	l.ok(err)
	return ok
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// sweep takes the trash out and wants nothing left.
func (l library) sweep() (blobs []string) {
	l.Helper()
	left, err := l.Sweep(l.ctx, func(_ context.Context, blob string) error {
		blobs = append(blobs, blob)
		return nil
	})
	l.ok(err)
	if left != 0 {
		l.Errorf("%d notes are left in the trash", left)
	}
	return blobs
}

// sound wants Verify to have nothing to say.
func (l library) sound(o store.VerifyOptions) store.Report {
	l.Helper()
	r, err := l.Verify(l.ctx, o)
	l.ok(err)
	for _, p := range r.Problems {
		l.Errorf("%s %s: %s", p.Kind, p.ID, p.Detail)
	}
	return r
}

// generate creates a draft with its run, claims it and adds a version that quotes the first line of each document.
func (l library) generate(ws ident.Workspace, docs ...document.Document) (draft.Draft, runs.Lease) {
	l.Helper()
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	d, _, err := l.Drafts().Add(l.ctx, draft.Draft{Workspace: ws, DocumentIDs: ids}, draft.Wish{DocumentIDs: ids}, nil)
	l.ok(err)
	r, lease := l.claim()
	if r.Subject.ID != d.ID {
		l.Fatalf("the run is of %s, not of draft %s", r.Subject.ID, d.ID)
	}
	return d, lease
}

// result quotes the first passage of each document.
func (l library) result(docs ...document.Document) draft.Result {
	l.Helper()
	r := draft.Result{Title: "A post", Tags: []string{"suggested"}, Version: draft.Version{Cause: draft.CauseGenerate}}
	for _, d := range docs {
		list, _, err := l.Passages(l.ctx, d.Workspace, d.ID, 0, 1)
		l.ok(err)
		p := list[0]
		start := len(r.Version.Content)
		r.Version.Content += "Said: " + p.Text
		r.Version.Citations = append(r.Version.Citations, draft.Citation{
			Claim:   draft.Claim{Start: start + len("Said: "), End: len(r.Version.Content), Text: p.Text},
			Verdict: draft.Verdict{Label: draft.Supported, Score: 1, Reasons: []string{"verbatim"}},
			Spans: []draft.Span{{DocumentID: d.ID, DocumentName: d.Filename, PassageID: p.ID, Start: p.Start, End: p.End,
				Quote: p.Text}},
		})
	}
	return r
}

// written is a completed draft that quotes documents.
func (l library) written(ws ident.Workspace, docs ...document.Document) draft.Draft {
	l.Helper()
	d, lease := l.generate(ws, docs...)
	_, err := l.Drafts().AddVersion(l.ctx, lease, l.result(docs...), runs.NewEvent{Type: runs.EventVersion})
	l.ok(err)
	l.end(lease, runs.Completed)
	d, err = l.Drafts().Draft(l.ctx, ws, d.ID)
	l.ok(err)
	return d
}

func fenced(err error) bool { return errors.Is(err, runs.ErrFenced) }

// lines makes a text of n different lines.
func lines(word string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s has line %d. ", word, i)
		b.WriteString(strings.Repeat("and so on ", i%7))
		b.WriteByte('\n')
	}
	return b.String()
}
