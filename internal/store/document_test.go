package store_test

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"byline/internal/document"
	"byline/internal/engine/extract"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestDocumentIsAddedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", "one\n")
		if d.Status != document.Pending || d.Stage != document.Stored || d.RunID == "" || d.Generation != 0 {
			t.Errorf("got %+v", d)
		}

		again, added, err := l.Add(l.ctx, l.file(l.mine, "b.md", "one\n"), true, false, nil)
		l.ok(err)
		if added || again.ID != d.ID || again.Filename != "a.md" {
			t.Errorf("the same bytes gave %+v (added %t)", again, added)
		}
		forced, added, err := l.Add(l.ctx, l.file(l.mine, "b.md", "one\n"), false, true, nil)
		l.ok(err)
		if !added || forced.ID == d.ID || forced.RunID != "" {
			t.Errorf("forced bytes gave %+v (added %t)", forced, added)
		}
		other, added, err := l.Add(l.ctx, l.file(l.foreign, "a.md", "one\n"), true, false, nil)
		l.ok(err)
		if !added || other.ID == d.ID {
			t.Error("workspaces share a document")
		}

		// When the first one goes, the forced copy is the one that is there.
		_, err = l.Delete(l.ctx, l.mine, d.ID, false)
		l.ok(err)
		again, added, err = l.Add(l.ctx, l.file(l.mine, "c.md", "one\n"), true, false, nil)
		l.ok(err)
		if added || again.ID != forced.ID {
			t.Errorf("got %s (added %t), want the forced copy %s", again.ID, added, forced.ID)
		}
	})
}

func TestDocumentAddIsIdempotent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		d, _, err := l.Add(l.ctx, l.file(l.mine, "a.md", "one\n"), true, true, once)
		l.ok(err)
		again, added, err := l.Add(l.ctx, l.file(l.mine, "a.md", "one\n"), true, true, once)
		l.ok(err)
		if again.ID != d.ID || !added {
			t.Errorf("the repeated request made %s (added %t), not %s", again.ID, added, d.ID)
		}
		_, _, err = l.Add(l.ctx, l.file(l.mine, "a.md", "two\n"), true, true, &ident.Once{Key: "k", Fingerprint: "g"})
		if f := fault.Of(err); f == nil || f.Kind != fault.Invalid {
			t.Errorf("another body under the same key gave %v", err)
		}
	})
}

func TestDocumentsUploadedAtOnceAreOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		const n = 12
		ids, fresh, errs := make([]string, n), make([]bool, n), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				var d document.Document
				d, fresh[i], errs[i] = l.Add(l.ctx, l.file(l.mine, "a.md", "one\n"), true, false, nil)
				ids[i] = d.ID
			})
		}
		wg.Wait()
		won := 0
		for i := range n {
			l.ok(errs[i])
			if ids[i] != ids[0] {
				t.Errorf("upload %d gave %s, another %s", i, ids[i], ids[0])
			}
			if fresh[i] {
				won++
			}
		}
		_, total, err := l.Documents(l.ctx, l.mine, document.Filter{Limit: 10})
		l.ok(err)
		if won != 1 || total != 1 {
			t.Errorf("%d uploads won, %d documents are there", won, total)
		}
		if _, _, ok, err := l.Claim(l.ctx, "a", []runs.Kind{runs.KindProcess}); !ok || err != nil {
			t.Error("no run", err)
		}
		if _, _, ok, err := l.Claim(l.ctx, "a", []runs.Kind{runs.KindProcess}); ok || err != nil {
			t.Error("a second run", err)
		}
	})
}

func TestDocumentsAreListed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		var ids []string // newest first
		for _, name := range []string{"alpha.md", "Beta_100%.pdf", "모델.txt", "delta.md"} {
			f := l.file(l.mine, name, name)
			f.Type = name[strings.LastIndex(name, ".")+1:]
			f.Tags = []string{"all", strings.TrimSuffix(name, "."+f.Type)}
			d, _, err := l.Add(l.ctx, f, false, false, nil)
			l.ok(err)
			ids = append([]string{d.ID}, ids...)
		}
		l.upload(l.foreign, "alpha.md", "foreign\n")
		title := "Über alles"
		_, err := l.Update(l.ctx, l.mine, ids[0], document.Patch{Title: &title})
		l.ok(err)

		for _, c := range []struct {
			name  string
			f     document.Filter
			want  []int // in ids
			total int
		}{
			{"all", document.Filter{Limit: 10}, []int{0, 1, 2, 3}, 4},
			{"exactly a page", document.Filter{Limit: 4}, []int{0, 1, 2, 3}, 4},
			{"first page", document.Filter{Limit: 3}, []int{0, 1, 2}, 4},
			{"second page", document.Filter{Limit: 3, Cursor: ids[2]}, []int{3}, 4},
			{"after the last", document.Filter{Limit: 3, Cursor: ids[3]}, nil, 4},
			{"no limit is one", document.Filter{}, []int{0}, 4},
			{"type", document.Filter{Limit: 9, Type: "md"}, []int{0, 3}, 2},
			{"tag", document.Filter{Limit: 9, Tag: "모델"}, []int{1}, 1},
			{"part of a tag", document.Filter{Limit: 9, Tag: "al"}, nil, 0},
			{"status", document.Filter{Limit: 9, Status: document.Failed}, nil, 0},
			{"name in another case", document.Filter{Limit: 9, Query: "ALPHA"}, []int{3}, 1},
			{"wildcards are letters", document.Filter{Limit: 9, Query: "a_1"}, []int{2}, 1},
			{"percent", document.Filter{Limit: 9, Query: "0%"}, []int{2}, 1},
			{"nothing special", document.Filter{Limit: 9, Query: "' OR 1=1 --"}, nil, 0},
			{"title", document.Filter{Limit: 9, Query: "über"}, []int{0}, 1},
			{"decomposed letters", document.Filter{Limit: 9, Query: "u\u0308ber"}, []int{0}, 1},
			{"name of a titled one", document.Filter{Limit: 9, Query: "delta"}, []int{0}, 1},
		} {
			page, total, err := l.Documents(l.ctx, l.mine, c.f)
			l.ok(err)
			var want, got []string
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			for _, d := range page {
				got = append(got, d.ID)
			}
			same(t, c.name, got, want)
			if total != c.total {
				t.Errorf("%s: total %d, want %d", c.name, total, c.total)
			}
		}
		named, err := l.Named(l.ctx, l.mine, []string{ids[3], "nonsense", ids[0], ids[3]})
		l.ok(err)
		if len(named) != 2 || named[0].ID != ids[3] || named[1].Title != title {
			t.Errorf("Named gave %+v", named)
		}
		same(t, "tags", named[0].Tags, []string{"all", "alpha"})
	})
}

func TestDocumentUpdate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", "one\n")
		tags := []string{`with "quotes"`, "b"}
		got, err := l.Update(l.ctx, l.mine, d.ID, document.Patch{Tags: &tags})
		l.ok(err)
		same(t, "tags", got.Tags, tags)
		title := "Mine"
		_, err = l.Update(l.ctx, l.mine, d.ID, document.Patch{Title: &title})
		l.ok(err)
		got = l.finish(d, "one\n")
		if got.Title != title {
			t.Errorf("the document's own title %q took the place of a person's", got.Title)
		}
		same(t, "tags", got.Tags, tags)
	})
}

// What is somebody else's and what never was answer alike, everywhere.
func TestDocumentsOfOthersAreMissing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.ready(l.mine, "a.md", "one\ntwo\n")
		post := l.written(l.mine, d)
		for name, id := range map[string]string{"foreign": d.ID, "never": ident.New(), "nonsense": "x' OR '1'='1"} {
			ws, title := l.foreign, ""
			calls := map[string]func() error{
				"Document": func() error { _, err := l.Document(l.ctx, ws, id); return err },
				"Update":   func() error { _, err := l.Update(l.ctx, ws, id, document.Patch{Title: &title}); return err },
				"Process":  func() error { _, _, err := l.Process(l.ctx, ws, id, true, "", nil); return err },
				"Text":     func() error { _, _, err := l.Text(l.ctx, ws, id, 0, 10); return err },
				"Passages": func() error { _, _, err := l.Passages(l.ctx, ws, id, 0, 10); return err },
				"Page":     func() error { _, err := l.Page(l.ctx, ws, id, 1); return err },
				"Elements": func() error { _, err := l.Elements(l.ctx, ws, id); return err },
				"Delete":   func() error { _, err := l.Delete(l.ctx, ws, id, true); return err },
				"Extracted": func() error {
					_, err := l.Extracted(l.ctx, ws, id, 1)
					return err
				},
				"Chunked": func() error { _, err := l.Chunked(l.ctx, ws, id, 1); return err },
			}
			for call, f := range calls {
				if err := f(); err == nil || err.Error() != fault.Missing("document").Error() {
					t.Errorf("%s of a %s document: %v", call, name, err)
				}
			}
		}
		if got := l.found(l.foreign); len(got) != 0 {
			t.Errorf("another workspace finds %q", got)
		}
		list, _, err := l.Passages(l.ctx, l.mine, d.ID, 0, 1)
		l.ok(err)
		live, err := l.Live(l.ctx, l.foreign, []string{list[0].ID})
		if err != nil || len(live) != 0 {
			t.Errorf("another workspace joins %v, %v", live, err)
		}
		if named, err := l.Named(l.ctx, l.foreign, []string{d.ID}); err != nil || len(named) != 0 {
			t.Errorf("another workspace names %v, %v", named, err)
		}
		_, err = l.Drafts().Draft(l.ctx, l.foreign, post.ID)
		l.gone(err)
		l.sound(store.VerifyOptions{})
	})
}

func TestTextIsCutAtRunes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		content := strings.Repeat("a모델é🙂 ", 60) + "\n" // slices of 100 bytes cut runes too
		d := l.ready(l.mine, "a.md", content)
		var b strings.Builder
		for at := 0; at < len(content); {
			text, length, err := l.Text(l.ctx, l.mine, d.ID, at, 7)
			l.ok(err)
			if length != len(content) || text == "" || len(text) > 7 || !utf8.ValidString(text) {
				t.Fatalf("at %d: %q of %d", at, text, length)
			}
			b.WriteString(text)
			at += len(text)
		}
		if b.String() != content {
			t.Error("the pieces are not the text")
		}
		for _, c := range []struct {
			name         string
			start, limit int
			want         string
		}{
			{"whole", 0, 1 << 20, content},
			{"before the start", -5, 4, "a모"},
			{"inside a rune", 2, 6, "델"},
			{"at the end", len(content), 10, ""},
			{"behind the end", len(content) + 9, 10, ""},
			{"less than a rune", 1, 1, "모"},
		} {
			got, _, err := l.Text(l.ctx, l.mine, d.ID, c.start, c.limit)
			l.ok(err)
			same(t, c.name, got, c.want)
		}
	})
}

func TestArtefactsComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		d := l.upload(l.mine, "a.md", "x")
		text, length, err := l.Text(l.ctx, l.mine, d.ID, 0, 10)
		if err != nil || text != "" || length != 0 {
			t.Errorf("before it is processed: %q, %d, %v", text, length, err)
		}
		content := lines("Ann", 30)
		d = l.finish(d, content)
		if d.Status != document.Completed || d.Stage != document.Embedded || d.PageCount != 1 || d.PassageCount != 30 ||
			d.Language != "en" || d.Title != "From within" || d.Progress != nil {
			t.Errorf("got %+v", d)
		}
		page, err := l.Page(l.ctx, l.mine, d.ID, 1)
		l.ok(err)
		same(t, "page", page, extract.Page{Number: 1, End: len(content), Width: 595, Height: 842,
			Words: []extract.Word{{End: 4, X0: 72, Y0: 72, X1: 96.5, Y1: 84.25}}})
		_, err = l.Page(l.ctx, l.mine, d.ID, 2)
		l.gone(err)
		elements, err := l.Elements(l.ctx, l.mine, d.ID)
		l.ok(err)
		same(t, "elements", elements, []extract.Element{{Kind: extract.Paragraph, End: len(content), Page: 1}})

		list, total, err := l.Passages(l.ctx, l.mine, d.ID, 10, 5)
		l.ok(err)
		if total != 30 || len(list) != 5 || list[0].Ord != 10 || list[4].Ord != 14 {
			t.Errorf("got %d passages of %d", len(list), total)
		}
		p := list[0]
		if content[p.Start:p.End] != p.Text || p.DocumentID != d.ID || p.Language != "en" || p.HeadingPath[0] != "Top" {
			t.Errorf("got %+v", p)
		}
		x, err := l.Extracted(l.ctx, l.mine, d.ID, d.Generation)
		l.ok(err)
		if x.Content != content || x.Info != (extract.Info{Title: "From within", Pages: 1}) || len(x.Pages) != 1 || len(x.Elements) != 1 {
			t.Errorf("got %+v", x.Info)
		}
		_, err = l.Extracted(l.ctx, l.mine, d.ID, 7)
		l.gone(err)
		_, err = l.Chunked(l.ctx, l.mine, d.ID, 7)
		l.gone(err)
		has, err := l.HasBlob(l.ctx, d.Blob)
		if err != nil || !has {
			t.Error("the blob is nobody's", err)
		}
		l.sound(store.VerifyOptions{})
	})
}
