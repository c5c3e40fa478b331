package search

import (
	"context"
	"slices"
	"strings"
	"sync"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Searcher answers questions. It is safe for concurrent use.
type Searcher struct {
	store Store
	index Index

	mu        sync.Mutex
	languages map[ident.Workspace]spoken
}

// spoken are a workspace's languages as of a count of changes.
type spoken struct {
	changes   int64
	languages []string
}

// New makes a searcher over an index.
func New(store Store, index Index) *Searcher {
	return &Searcher{store: store, index: index, languages: map[ident.Workspace]spoken{}}
}

// The bounds of a question.
const (
	MaxTopK     = 100
	defaultTopK = 5
	maxText     = 2000 // bytes
	// candidates is how many the index is asked for: some may be gone when they are joined to live rows.
	candidates = 100
)

// Search finds the passages that answer best. Passages of documents that are gone, or of another workspace, are never among
// them, whatever the index says.
func (s *Searcher) Search(ctx context.Context, q Question) (Answer, error) {
	if err := validate(&q); err != nil {
		return Answer{}, err
	}
	info, err := s.index.Info(ctx)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Engine: info.Engine}
	documents, err := s.admitted(ctx, q)
	if err != nil || documents != nil && len(documents) == 0 {
		return answer, err
	}
	languages, err := s.spoken(ctx, q.Workspace)
	if err != nil {
		return Answer{}, err
	}
	terms := lexical.Query(q.Text, languages...)
	if len(terms) == 0 {
		return answer, nil
	}
	found, err := s.index.Lexical(ctx, Query{Workspace: q.Workspace, Terms: terms, Documents: documents, K: max(candidates, q.TopK), Explain: q.Explain})
	if err != nil {
		return Answer{}, err
	}
	answer.Total, answer.Degraded = found.Total, found.Degraded
	answer.Hits, err = s.hits(ctx, q, terms, found.Candidates)
	return answer, err
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
	case Hybrid, Lexical:
	case Semantic:
		return fault.Bad("body.mode", "semantic_unavailable", "Search by meaning is not part of this version yet. Use the mode lexical or hybrid.")
	default:
		return fault.Bad("body.mode", "invalid", "mode is hybrid, lexical or semantic, not %q.", q.Mode)
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
	filtered := len(f.Types)+len(f.Tags)+len(f.Languages) > 0 || !f.From.IsZero() || !f.To.IsZero()
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

// hits joins candidates to live rows.
func (s *Searcher) hits(ctx context.Context, q Question, terms []lexical.Term, found []Candidate) ([]Hit, error) {
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.PassageID
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// Nearly always all are alive, so the first ones are enough.
	var hits []Hit
	for begin := 0; begin < len(ids) && len(hits) < q.TopK; {
		end := min(len(ids), begin+q.TopK-len(hits))
		live, err := s.store.Live(ctx, q.Workspace, ids[begin:end])
		if err != nil {
			return nil, err
		}
		for i, c := range found[begin:end] {
			l, ok := live[c.PassageID]
			if !ok {
				continue
			}
			hits = append(hits, hit(q, terms, c, l, begin+i+1))
		}
		begin = end
	}
	return hits, nil
}

func hit(q Question, terms []lexical.Term, c Candidate, l Live, rank int) Hit {
	h := Hit{Passage: l.Passage, DocumentName: l.DocumentName, Score: c.Coverage}
	for _, s := range lexical.Highlights(l.Passage.Text, l.Passage.Language, terms) {
		h.Highlights = append(h.Highlights, Span(s))
	}
	if q.Explain {
		h.Explain = &Explain{Rank: rank, BM25: c.Score, Terms: c.Terms}
	}
	return h
}
