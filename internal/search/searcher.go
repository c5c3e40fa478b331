package search

import (
	"context"
	"slices"
	"strings"
	"sync"

	"byline/internal/engine/embed"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Meaning gives the embedder of the space that serves, or nil with a reason to tell; Spaces is one.
type Meaning interface {
	Serving(ctx context.Context) (e embed.Embedder, degraded string, err error)
}

// Searcher answers questions. It is safe for concurrent use.
type Searcher struct {
	store   Store
	index   Index
	meaning Meaning

	mu        sync.Mutex
	languages map[ident.Workspace]spoken
}

// spoken are a workspace's languages as of a count of changes.
type spoken struct {
	changes   int64
	languages []string
}

// New makes a searcher over an index. Without a meaning (nil) it searches by words alone.
func New(store Store, index Index, meaning Meaning) *Searcher {
	return &Searcher{store: store, index: index, meaning: meaning, languages: map[ident.Workspace]spoken{}}
}

// The bounds of a question.
const (
	MaxTopK     = 100
	defaultTopK = 5
	maxText     = 2000 // bytes
	// candidates is how many each leg is asked for: some may be gone when they are joined to live rows.
	candidates = 100
	// candidatesOnPages is the same when most of them may be on other pages than those that are asked for.
	candidatesOnPages = 1000
)

// Search finds the passages that answer best. Passages of documents that are gone, or of another workspace, are never among
// them, whatever the index says.
func (s *Searcher) Search(ctx context.Context, q Question) (Answer, error) {
	if err := validate(&q); err != nil {
		return Answer{}, err
	}
	answer := Answer{Engine: EmbeddedName}
	documents, err := s.admitted(ctx, q)
	if err != nil || documents != nil && len(documents) == 0 && !q.Explain {
		return answer, err
	}
	r := &ranking{Question: q, s: s, documents: documents, k: max(candidates, q.TopK)}
	if q.Filters.PageFrom != 0 || q.Filters.PageTo != 0 {
		r.k = candidatesOnPages
	}
	if err := r.search(ctx); err != nil {
		return Answer{}, err
	}
	answer.Total, answer.Degraded, answer.Engine = min(len(r.fused), candidates), r.degraded, r.engine()
	if answer.Hits, err = r.hits(ctx); err != nil {
		return Answer{}, err
	}
	if err := r.explainFilters(ctx); err != nil {
		return Answer{}, err
	}
	answer.Filtered = r.filtered
	for _, h := range answer.Hits {
		answer.Evidence = answer.Evidence || h.Score >= evidenceScore
	}
	return answer, nil
}

// maxSpoken workspaces are remembered; a thousand take some 100 KB.
const maxSpoken = 1000

// spoken gives the languages of a workspace's documents; they change seldom, and reading them takes longer than a search.
func (s *Searcher) spoken(ctx context.Context, ws ident.Workspace) ([]string, error) {
	changes, exact := s.store.Changes()
	s.mu.Lock()
	known, ok := s.languages[ws]
	s.mu.Unlock()
	if ok && exact && known.changes == changes {
		return known.languages, nil
	}
	languages, err := s.store.Languages(ctx, ws)
	if err != nil || !exact {
		return languages, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.languages) >= maxSpoken {
		clear(s.languages)
	}
	s.languages[ws] = spoken{changes, languages}
	return languages, nil
}

func validate(q *Question) error {
	switch q.Mode {
	case "":
		q.Mode = Hybrid
	case Hybrid, Lexical, Semantic:
	default:
		return fault.Bad("body.mode", "invalid", "mode is hybrid, lexical or semantic, not %q.", q.Mode)
	}
	switch q.Fusion {
	case "", Convex, RRF:
	default:
		return fault.Bad("body.fusion", "invalid", "fusion is convex or rrf, not %q.", q.Fusion)
	}
	switch q.Expand {
	case "", ExpandNone, ExpandNeighbours, ExpandSection:
	default:
		return fault.Bad("body.expand", "invalid", "expand is none, neighbours or section, not %q.", q.Expand)
	}
	if f := q.Filters; f.PageFrom < 0 || f.PageTo < 0 || f.PageTo > 0 && f.PageTo < f.PageFrom {
		return fault.Bad("body.filters.pages", "out_of_range", "Pages count from 1, and the last is not before the first.")
	}
	if !(q.Diversity >= 0 && q.Diversity <= 1) {
		return fault.Bad("body.diversity", "out_of_range", "diversity is between 0 (relevance alone) and 1.")
	}
	if q.PerDocument < 0 {
		return fault.Bad("body.max_per_document", "out_of_range", "max_per_document is 0 (no limit) or more.")
	}
	if q.TopK == 0 {
		q.TopK = defaultTopK
	}
	if q.TopK < 1 || q.TopK > MaxTopK {
		return fault.Bad("body.top_k", "out_of_range", "top_k is 1 to %d.", MaxTopK)
	}
	if strings.TrimSpace(q.Text) == "" {
		return fault.Bad("body.query", "required", "Ask something: the query is empty.")
	}
	if len(q.Text) > maxText {
		return fault.Bad("body.query", "too_long", "A query has at most %d bytes.", maxText)
	}
	return nil
}

// admitted gives the documents that the question is limited to; nil is all. A document that was named and is not there
// is told.
func (s *Searcher) admitted(ctx context.Context, q Question) (map[string]bool, error) {
	f := q.Filters
	filtered := len(f.Types)+len(f.Tags)+len(f.Languages)+len(f.Origins) > 0 || !f.From.IsZero() || !f.To.IsZero()
	if q.DocumentIDs == nil && !filtered {
		return nil, nil
	}
	ids := q.DocumentIDs
	if ids != nil {
		ids = slices.Compact(slices.Sorted(slices.Values(ids)))
		known, err := s.store.Admitted(ctx, q.Workspace, ids, Filters{})
		if err != nil {
			return nil, err
		}
		if len(known) < len(ids) {
			return nil, fault.Missing("document")
		}
	}
	if filtered {
		var err error
		if ids, err = s.store.Admitted(ctx, q.Workspace, ids, f); err != nil {
			return nil, err
		}
	}
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set, nil
}
