package search

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"

	"byline/internal/engine/lexical"
	"byline/internal/engine/vector"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Embedded is the engine that is always there: segments in the database, searched in this process. Each question sees one
// snapshot of its workspace's segments and tombstones, so what was committed before it is found, and what was deleted is not.
type Embedded struct {
	store Store
	cache *cache
	memo  memo
	log   *slog.Logger // of damage, which is mended; nil: it is an error
}

// NewEmbedded makes the engine. It keeps at most budget bytes of segments in memory, and a
// small part of that in floats.
func NewEmbedded(store Store, budget int64) *Embedded {
	return &Embedded{store: store, cache: &cache{budget: budget, entries: map[string]*list.Element{}, order: list.New()},
		memo: memo{store: store, budget: budget / floatsShare}}
}

// Mending lets a damaged segment be left out and built again (see Spaces.Fill), which the log is told, where it would
// be an error. It is called before the first question.
func (e *Embedded) Mending(log *slog.Logger) *Embedded {
	e.log = log
	return e
}

// overBudget says that a workspace's segments did not fit into memory and were read from the database.
const overBudget = "over_budget"

// indexDamaged says that a segment could not be read and is built again.
const indexDamaged = "index_damaged"

// Lexical ranks passages by BM25.
func (e *Embedded) Lexical(ctx context.Context, q Query) (Found, error) {
	parts, degraded, err := snapshot(ctx, e, Crowd{q.Workspace, ""}, words)
	if err != nil {
		return Found{}, err
	}
	view := lexical.NewView(lexicalParts(parts))
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

// rareError is the share of the error bound of codes that a vector search allows for: six standard deviations, as the
// errors of so many dimensions mostly cancel each other.
func rareError(dims int) float64 { return min(1, 6/math.Sqrt(float64(dims))) }

// Vector ranks passages by the cosine of their float32 vectors with q.Vector in q.Space; behind the first 32 by cosines that
// may be off by some thousandths.
func (e *Embedded) Vector(ctx context.Context, q Query) (Found, error) {
	if q.Space == "" {
		return Found{}, fault.Bad("body.mode", "semantic_unavailable", "There is no search by meaning here. Use the mode lexical or hybrid.")
	}
	parts, degraded, err := snapshot(ctx, e, Crowd{q.Workspace, q.Space}, meaning)
	if err != nil {
		return Found{}, err
	}
	found := Found{Degraded: degraded}
	var passages int
	for _, p := range parts {
		passages += p.info.Passages
		found.Known += p.info.Known
	}
	if found.Known /= max(1, float64(passages)); passages == 0 {
		return found, nil
	}
	o := vector.Options{K: q.K, Margin: rareError(len(q.Vector))}
	if q.Documents != nil {
		o.Filter = func(group string) bool { return q.Documents[group] }
	}
	hits, err := vector.NewView(vectorParts(parts)).Search(ctx, q.Vector, o)
	if err != nil {
		return Found{}, fmt.Errorf("search vectors: %w", err)
	}
	// The order of the first ones is that of their floats; the codes are near enough to the others' to fuse them.
	near := vector.Undecided(hits, min(exactly, q.K), o.Margin)
	ids := make([]string, near)
	for i, h := range hits[:near] {
		ids[i] = h.ID
	}
	exact, err := e.memo.vectors(ctx, q.Space, ids)
	if err != nil {
		return Found{}, err
	}
	hits = append(vector.Rescore(q.Vector, hits[:near], func(id string) []float32 { return exact[id] }, near), hits[near:]...)
	for _, h := range hits {
		found.Candidates = append(found.Candidates, Candidate{PassageID: h.ID, DocumentID: h.Group, Score: min(1, h.Score)})
	}
	slices.SortFunc(found.Candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.PassageID, b.PassageID))
	})
	found.Candidates = found.Candidates[:min(len(found.Candidates), q.K)]
	found.Total = len(found.Candidates)
	return found, nil
}

// exactly is how many of the best by meaning are ranked by their floats: reading those of a hundred takes longer than the scan
// of the codes of as many thousand.
const exactly = 32

// Info tells the engine's name and what it holds in memory.
func (e *Embedded) Info(context.Context) (Info, error) {
	segments, bytes := e.cache.size()
	return Info{Engine: EmbeddedName, Segments: segments, Bytes: bytes}, nil
}

// attempts to read a snapshot while merges replace segments under it.
const attempts = 5

// part is an opened segment as a snapshot saw it.
type part[S any] struct {
	info    SegmentInfo
	segment S
}

func lexicalParts(parts []part[*lexical.Segment]) []lexical.Part {
	list := make([]lexical.Part, len(parts))
	for i, p := range parts {
		list[i] = lexical.Part{Segment: p.segment, Dead: p.info.Dead}
	}
	return list
}

func vectorParts(parts []part[*vector.Segment]) []vector.Part {
	list := make([]vector.Part, len(parts))
	for i, p := range parts {
		list[i] = vector.Part{Segment: p.segment, Dead: p.info.Dead}
	}
	return list
}

// kind is how segments are opened, and made ready to be kept in memory.
type kind[S any] struct {
	open func([]byte) (S, error)
	kept func(S) S
}

var (
	words   = kind[*lexical.Segment]{lexical.Open, func(s *lexical.Segment) *lexical.Segment { return s }}
	meaning = kind[*vector.Segment]{vector.Open, (*vector.Segment).Apart}
)

// snapshot opens a crowd's segments as one snapshot saw them. A segment that a merge replaced between the snapshot and its
// reading asks for a new snapshot.
func snapshot[S any](ctx context.Context, e *Embedded, c Crowd, k kind[S]) ([]part[S], []string, error) {
	var last error
	for i := range attempts {
		infos, err := e.memo.segments(ctx, c, i > 0)
		if err != nil {
			return nil, nil, err
		}
		var total int64
		for _, i := range infos {
			total += int64(i.Bytes)
		}
		keep := total <= e.cache.budget
		parts, damaged, err := opened(ctx, e, c.Workspace, infos, keep, k)
		if err == nil {
			var degraded []string
			if !keep {
				degraded = append(degraded, overBudget)
			}
			if damaged {
				degraded = append(degraded, indexDamaged)
			}
			return parts, degraded, nil
		}
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.NotFound {
			return nil, nil, err
		}
		last = err
	}
	return nil, nil, fmt.Errorf("segments changed %d times while they were read: %w", attempts, last)
}

// opened opens segments. With a log the damaged ones are left out and condemned.
func opened[S any](ctx context.Context, e *Embedded, ws ident.Workspace, infos []SegmentInfo, keep bool, k kind[S]) (parts []part[S], damaged bool, err error) {
	parts = make([]part[S], 0, len(infos))
	for _, info := range infos {
		if s, ok := e.cache.get(info.ID); ok {
			parts = append(parts, part[S]{info, s.(S)})
			continue
		}
		data, err := e.store.SegmentData(ctx, ws, info.ID)
		if err != nil {
			return nil, false, err
		}
		s, err := k.open(data)
		if err != nil && e.log == nil {
			return nil, false, fmt.Errorf("segment %s is damaged; `byline reindex` rebuilds it: %w", info.ID, err)
		}
		if err != nil {
			e.log.Error("a segment of the index is damaged and is built again", "workspace", ws, "segment", info.ID, "passages", info.Passages, "error", err)
			if err := e.store.Condemn(ctx, ws, info.ID); err != nil {
				return nil, false, err
			}
			damaged = true
			continue
		}
		if keep {
			s = k.kept(s)
			e.cache.put(info.ID, s, int64(len(data)))
		}
		parts = append(parts, part[S]{info, s})
	}
	return parts, damaged, nil
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
	segment any // *lexical.Segment, *vector.Segment
	bytes   int64
}

func (c *cache) get(id string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).segment, true
}

func (c *cache) put(id string, s any, bytes int64) {
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
