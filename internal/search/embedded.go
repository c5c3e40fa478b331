package search

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Embedded is the engine that is always there: segments in the database, searched in this process. Each question sees one
// snapshot of its workspace's segments and tombstones, so what was committed before it is found, and what was deleted is not.
type Embedded struct {
	store Store
	cache *cache
}

// NewEmbedded makes the engine. It keeps at most budget bytes of segments in memory.
func NewEmbedded(store Store, budget int64) *Embedded {
	return &Embedded{store: store, cache: &cache{budget: budget, entries: map[string]*list.Element{}, order: list.New()}}
}

// overBudget says that a workspace's segments did not fit into memory and were read from the database.
const overBudget = "over_budget"

// Lexical ranks passages by BM25.
func (e *Embedded) Lexical(ctx context.Context, q Query) (Found, error) {
	view, degraded, err := e.view(ctx, q.Workspace)
	if err != nil {
		return Found{}, err
	}
	o := lexical.Options{K: q.K, Explain: q.Explain}
	if q.Documents != nil {
		o.Filter = func(group string) bool { return q.Documents[group] }
	}
	hits, err := view.Search(q.Terms, o)
	if err != nil {
		return Found{}, fmt.Errorf("search segments: %w", err)
	}
	found := Found{Total: len(hits), Degraded: degraded}
	for _, h := range hits {
		c := Candidate{PassageID: h.ID, DocumentID: h.Group, Score: h.Score, Coverage: h.Coverage}
		if h.Why != nil {
			for _, t := range h.Why.Terms {
				c.Terms = append(c.Terms, TermScore{Term: t.Term, Frequency: t.Count, IDF: t.IDF, Score: t.Score})
			}
		}
		found.Candidates = append(found.Candidates, c)
	}
	return found, nil
}

// Vector is refused: this engine has no vectors yet.
func (e *Embedded) Vector(context.Context, Query) (Found, error) {
	return Found{}, fault.Bad("body.mode", "semantic_unavailable", "Search by meaning is not part of this version yet. Use the mode lexical or hybrid.")
}

// Info tells the engine's name and what it holds in memory.
func (e *Embedded) Info(context.Context) (Info, error) {
	segments, bytes := e.cache.size()
	return Info{Engine: "embedded", Segments: segments, Bytes: bytes}, nil
}

// attempts to read a snapshot while merges replace segments under it.
const attempts = 5

// view opens the workspace's segments as one snapshot saw them. A segment that a merge replaced between the snapshot and
// its reading asks for a new snapshot.
func (e *Embedded) view(ctx context.Context, ws ident.Workspace) (*lexical.View, []string, error) {
	var last error
	for range attempts {
		infos, err := e.store.Segments(ctx, ws)
		if err != nil {
			return nil, nil, err
		}
		var total int64
		for _, i := range infos {
			total += int64(i.Bytes)
		}
		keep := total <= e.cache.budget
		parts, err := e.parts(ctx, ws, infos, keep)
		if err == nil {
			if keep {
				return lexical.NewView(parts), nil, nil
			}
			return lexical.NewView(parts), []string{overBudget}, nil
		}
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.NotFound {
			return nil, nil, err
		}
		last = err
	}
	return nil, nil, fmt.Errorf("segments changed %d times while they were read: %w", attempts, last)
}

func (e *Embedded) parts(ctx context.Context, ws ident.Workspace, infos []SegmentInfo, keep bool) ([]lexical.Part, error) {
	parts := make([]lexical.Part, len(infos))
	for i, info := range infos {
		s, ok := e.cache.get(info.ID)
		if !ok {
			data, err := e.store.SegmentData(ctx, ws, info.ID)
			if err != nil {
				return nil, err
			}
			if s, err = lexical.Open(data); err != nil {
				return nil, fmt.Errorf("segment %s is damaged; `byline reindex` rebuilds it: %w", info.ID, err)
			}
			if keep {
				e.cache.put(info.ID, s, int64(len(data)))
			}
		}
		parts[i] = lexical.Part{Segment: s, Dead: info.Dead}
	}
	return parts, nil
}

// cache holds opened segments up to a budget of bytes; the one not used for longest goes first. Segments never change,
// so nothing in it can be stale: a snapshot names the segments it wants.
type cache struct {
	mu      sync.Mutex
	budget  int64
	bytes   int64
	entries map[string]*list.Element
	order   *list.List // front: used last
}

type cached struct {
	id      string
	segment *lexical.Segment
	bytes   int64
}

func (c *cache) get(id string) (*lexical.Segment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).segment, true
}

func (c *cache) put(id string, s *lexical.Segment, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[id]; ok {
		return
	}
	c.entries[id] = c.order.PushFront(&cached{id, s, bytes})
	c.bytes += bytes
	for c.bytes > c.budget && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*cached)
		delete(c.entries, old.id)
		c.bytes -= old.bytes
	}
}

func (c *cache) size() (segments int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len(), c.bytes
}
