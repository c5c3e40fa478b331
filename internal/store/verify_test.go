package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"byline/internal/ident"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// Every kind of damage is told, and nothing else.
func TestVerifyTellsDamage(t *testing.T) {
	damages := []struct {
		name   string
		damage string // DOC, PASSAGE, RUN, SEGMENT, DRAFT and CITATION stand for ids
		kind   string
		detail string
	}{
		{"passage text", `UPDATE passage SET content = 'other' WHERE id = 'PASSAGE'`, "passage", "differs from the text"},
		{"passage offset", `UPDATE passage SET start = start + 1 WHERE id = 'PASSAGE'`, "passage", "differs from the text"},
		{"passage outside", `UPDATE passage SET "end" = 100000 WHERE id = 'PASSAGE'`, "passage", "differs from the text"},
		{"passage hash", `UPDATE passage SET hash = 'other' WHERE id = 'PASSAGE'`, "passage", "hash"},
		{"passage missing", `DELETE FROM passage WHERE id = 'PASSAGE'`, "passage", "2 passages of 3"},
		{"passage orphan", `UPDATE passage SET document_id = 'x' WHERE id = 'PASSAGE'`, "orphan", "passage: x is missing"},
		{"old generation", `UPDATE passage SET generation = 7 WHERE id = 'PASSAGE'`, "generation", "generation 7"},
		{"slice missing", `DELETE FROM document_slice WHERE document_id = 'DOC' AND kind = 'text' AND ord = 0`, "text", "0 bytes of"},
		{"text length", `UPDATE document SET text_length = text_length - 1 WHERE id = 'DOC'`, "passage", "differs from the text"},
		{"elements", `UPDATE document_slice SET data = 'x' WHERE document_id = 'DOC' AND kind = 'elements'`, "element", "invalid"},
		{"page words", `UPDATE page SET words = 'x' WHERE document_id = 'DOC'`, "page", "damaged"},
		{"page place", `UPDATE page SET "end" = 3 WHERE document_id = 'DOC'`, "page", "a word at 0:4"},
		{"page outside", `UPDATE page SET "end" = 100000 WHERE document_id = 'DOC'`, "page", "page 1 at 0:100000"},
		{"page missing", `DELETE FROM page WHERE document_id = 'DOC'`, "page", "0 pages of 1"},
		{"claim", `UPDATE citation SET claim = 'other' WHERE id = 'CITATION'`, "citation", "the claim is not"},
		{"quote", `UPDATE citation SET spans = REPLACE(spans, 'has', 'had') WHERE id = 'CITATION'`, "citation", "the quote is not"},
		{"quote of nothing", `UPDATE citation SET spans = REPLACE(spans, 'DOC', 'y') WHERE id = 'CITATION'`, "citation", "document y is missing"},
		{"segment slice", `DELETE FROM segment_slice WHERE segment_id = 'SEGMENT' AND ord = 1`, "segment", "2 slices up to 2"},
		{"segment orphan", `DELETE FROM segment WHERE id = 'SEGMENT'`, "orphan", "segment_document: SEGMENT is missing"},
		{"document of a segment", `UPDATE segment_document SET document_id = 'x' WHERE segment_id = 'SEGMENT'`, "orphan", "segment_document: x is missing"},
		{"run missing", `UPDATE document SET run_id = 'x' WHERE id = 'DOC'`, "orphan", "document: x is missing"},
		{"version missing", `DELETE FROM draft_version WHERE draft_id = 'DRAFT'`, "orphan", "draft: version is missing"},
		{"event gap", `DELETE FROM run_event WHERE run_id = 'RUN' AND seq = 2`, "run", "event 3 follows 1"},
		{"event lost", `UPDATE run SET last_seq = 99 WHERE id = 'RUN'`, "run", "of 99"},
		{"event after the end", `UPDATE run_event SET type = 'run.completed' WHERE run_id = 'RUN' AND seq = 2`, "run", "comes after the end"},
		{"no end", `UPDATE run_event SET type = 'notice' WHERE run_id = 'RUN' AND type = 'run.completed'`, "run", "its log ends with \"\""},
		{"another end", `UPDATE run SET status = 'failed' WHERE id = 'RUN'`, "run", "is failed"},
		{"old trash", `INSERT INTO trash (id, workspace, kind, ref, created_at) VALUES ('x', 'local', 'draft', 'ref', 1)`, "trash", "not swept"},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		known := map[store.Problem]bool{} // of the rows before
		for i, c := range damages {
			d := l.ready(l.mine, "a.md", lines(fmt.Sprint("Ann ", i), 3))
			post := l.written(l.mine, d)
			if i == 0 {
				r := l.sound(store.VerifyOptions{})
				same(t, "report", r, store.Report{Documents: 1, Passages: 3, Pages: 1, Citations: 1, Segments: 2, Runs: 2, Events: r.Events})
			}
			list, _, err := l.Passages(l.ctx, l.mine, d.ID, 1, 1)
			l.ok(err)
			v, err := l.Drafts().Version(l.ctx, l.mine, post.ID, 1)
			l.ok(err)
			segments, err := l.Segments(l.ctx, l.mine, "")
			l.ok(err)
			names := strings.NewReplacer("DOC", d.ID, "PASSAGE", list[0].ID, "RUN", d.RunID, "DRAFT", post.ID,
				"CITATION", v.Citations[0].ID, "SEGMENT", segments[len(segments)-1].ID)
			l.ok(s.Damage(l.ctx, names.Replace(c.damage)))
			r, err := l.Verify(l.ctx, store.VerifyOptions{})
			l.ok(err)
			told := false
			for _, p := range r.Problems {
				told = told || !known[p] && p.Kind == c.kind && strings.Contains(p.Detail, names.Replace(c.detail))
				known[p] = true
			}
			if !told {
				t.Errorf("%s is not told: %+v", c.name, r.Problems)
			}
		}
	})
}

func TestVerifyKnowsBlobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		here, missing, deleted := l.upload(l.mine, "a", "a\n"), l.upload(l.mine, "b", "b\n"), l.upload(l.mine, "c", "c\n")
		_, err := l.Delete(l.ctx, l.mine, deleted.ID, false)
		l.ok(err)
		r, err := l.Verify(l.ctx, store.VerifyOptions{Blobs: func(_ context.Context, each func(string) error) error {
			for _, key := range []string{here.Blob, deleted.Blob, "stray"} {
				if err := each(key); err != nil {
					return err
				}
			}
			return nil
		}})
		l.ok(err)
		same(t, "problems", r.Problems, []store.Problem{{"blob", "stray", "is nobody's"}, {"blob", missing.Blob, "is missing"}})
	})
}

func TestVerifyFindsTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := "He said \"x\\y & z\" — 모델\n" + strings.Repeat("long ", 3000) + "needle at the end\n"
		l.ready(l.mine, "<name>.md", content)
		for _, text := range []string{"needle at", "said \"x\\y & z\" — 모델", "<name>.md"} {
			r, err := l.Verify(l.ctx, store.VerifyOptions{Contains: []string{text, ""}})
			l.ok(err)
			places := map[string]bool{}
			for _, p := range r.Problems {
				if p.Kind != "contains" {
					t.Errorf("got %+v", p)
				}
				places[p.ID] = true
			}
			for _, want := range map[string][]string{
				"needle at": {"passage.content", "document_slice.data", "segment_slice.data"},
				"<name>.md": {"document.filename", "document.name_key"},
			}[text] {
				if !places[want] {
					t.Errorf("%q was not found in %s", text, want)
				}
			}
			if len(places) == 0 {
				t.Errorf("%q was not found", text)
			}
		}
		l.sound(store.VerifyOptions{Contains: []string{ident.New(), time.Now().String()}})
	})
}

func TestFindAcrossPieces(t *testing.T) {
	for _, at := range []int{0, 5, 1<<20 - 3, 1<<20 + 4, 2<<20 - 1, 3 << 20} {
		data := bytes.Repeat([]byte("ab"), 2<<20)
		copy(data[at:], "needle")
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(data), "half": iotest.HalfReader(bytes.NewReader(data))} {
			got, err := store.Find(t.Context(), r, []byte("needle"))
			if err != nil || got != int64(at) {
				t.Errorf("%s: found at %d, want %d, %v", name, got, at, err)
			}
		}
	}
	got, err := store.Find(t.Context(), strings.NewReader("nothing"), []byte("needle"))
	if err != nil || got != -1 {
		t.Errorf("found at %d, %v", got, err)
	}
	broken := errors.New("bad block")
	if _, err := store.Find(t.Context(), iotest.ErrReader(broken), []byte("x")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Find(ctx, strings.NewReader("x"), []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
