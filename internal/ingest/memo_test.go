package ingest_test

import (
	"context"
	"fmt"
	"testing"

	"byline/internal/engine/lexical"
	"byline/internal/ident"
	"byline/internal/search"
	"byline/internal/store"
)

// counted counts what an engine reads.
type counted struct {
	*store.Store
	segments, rows int
	inexact        bool   // as beside other processes that write
	after          func() // called once behind the next reading of segments
}

func (c *counted) Segments(ctx context.Context, ws ident.Workspace, space string) ([]search.SegmentInfo, error) {
	c.segments++
	list, err := c.Store.Segments(ctx, ws, space)
	if c.after != nil {
		do := c.after
		c.after = nil
		do()
	}
	return list, err
}

func (c *counted) Vectors(ctx context.Context, space string, ids []string) (map[string][]float32, error) {
	c.rows += len(ids)
	return c.Store.Vectors(ctx, space, ids)
}

func (c *counted) IndexChanges() (int64, bool) {
	n, exact := c.Store.IndexChanges()
	return n, exact && !c.inexact
}

// A question that was asked before reads nothing, until something changed; and what was deleted is not found from that moment.
func TestEngineRemembers(t *testing.T) {
	s := openShelf(t, t.TempDir())
	e := &words{name: "words", dims: 32}
	x := s.spaces(e)
	s.add(x, sentences(0, 4)...)
	second := s.add(x, sentences(10, 4)...)
	c := &counted{Store: s.Store}
	var engine *search.Embedded
	ask := func(space string) int {
		t.Helper()
		q := search.Query{Workspace: ident.Local, Terms: []lexical.Term{{Text: "tell", Weight: 1}}, K: 20}
		v, err := e.Query(t.Context(), "tells about")
		if err != nil {
			t.Fatal(err)
		}
		q.Vector, q.Space = v.Values, space
		find := engine.Vector
		if space == "" {
			find = engine.Lexical
		}
		found, err := find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return len(found.Candidates)
	}
	reads := func(what string, want int, wantReads string, space string) {
		t.Helper()
		c.segments, c.rows = 0, 0
		n := ask(space)
		if got := fmt.Sprint(c.segments, " ", c.rows); n != want || got != wantReads {
			t.Errorf("%s: found %d, want %d; read %s, want %s", what, n, want, got, wantReads)
		}
	}
	space := e.Space().ID()
	engine = search.NewEmbedded(c, 64<<20)
	reads("first", 8, "1 8", space)
	reads("again", 8, "0 0", space)
	reads("words", 8, "1 0", "")
	reads("words again", 8, "0 0", "")
	added := s.add(x, sentences(20, 4)...)
	reads("one more", 12, "1 12", space)
	if _, err := s.Delete(t.Context(), ident.Local, added.ID, false); err != nil {
		t.Fatal(err)
	}
	reads("one less", 8, "1 8", space)
	reads("one less in words", 8, "1 0", "")

	// What was read before a deletion is not kept beyond it, however late it comes.
	engine = search.NewEmbedded(c, 64<<20)
	c.after = func() {
		if _, err := s.Delete(t.Context(), ident.Local, second.ID, false); err != nil {
			t.Error(err)
		}
	}
	ask(space)
	reads("deleted meanwhile", 4, "1 0", space) // the floats were read behind it

	c.inexact = true
	for range 2 {
		reads("beside other processes", 4, "1 4", space)
	}
	c.inexact = false
	engine = search.NewEmbedded(c, 0)
	for range 2 {
		reads("without memory", 4, "1 4", space)
	}
	engine = search.NewEmbedded(c, 32*2*(4*32+128)) // of floats there is room for two passages
	reads("little memory", 4, "1 4", space)
	c.segments, c.rows = 0, 0
	if n := ask(space); n != 4 || c.segments != 0 || c.rows < 2 || c.rows > 3 {
		t.Errorf("little memory again: found %d, read %d times and %d rows", n, c.segments, c.rows)
	}
}
