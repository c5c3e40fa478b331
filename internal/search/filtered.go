package search

import (
	"context"
	"slices"
)

// Filtered is a passage that would answer and is not among the hits.
type Filtered struct {
	PassageID, DocumentID, DocumentName string
	Reasons                             []Reason
}

// Reason says why a passage is not among the hits.
type Reason string

// The reasons.
const (
	ByDocument  Reason = "document_ids"
	ByType      Reason = "type"
	ByTag       Reason = "tag"
	ByLanguage  Reason = "language"
	ByDate      Reason = "date"
	ByPage      Reason = "page"
	SameText    Reason = "same_text"        // a better hit has it word for word
	PerDocument Reason = "max_per_document" // its document has as many hits as it may
)

// maxFiltered is how many filtered passages an explanation has.
const maxFiltered = 20

// leaveOut notes why a passage is no hit.
func (r *ranking) leaveOut(l Live, why Reason) {
	if r.Explain && len(r.filtered) < maxFiltered {
		r.filtered = append(r.filtered, Filtered{l.Passage.ID, l.Passage.DocumentID, l.DocumentName, []Reason{why}})
	}
}

// explainFilters finds what would answer in documents that the question's filters leave out, best first, and which of the
// filters do.
func (r *ranking) explainFilters(ctx context.Context) error {
	if !r.Explain || r.documents == nil || len(r.filtered) >= maxFiltered {
		return nil
	}
	found, err := r.anywhere(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range found.Candidates {
		if !r.documents[c.DocumentID] {
			ids = append(ids, c.PassageID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	live, err := r.s.store.Live(ctx, r.Workspace, ids)
	if err != nil {
		return err
	}
	var documents []string
	for _, l := range live {
		documents = append(documents, l.Passage.DocumentID)
	}
	reasons, err := r.reasons(ctx, documents)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if l, ok := live[id]; ok && len(r.filtered) < maxFiltered {
			r.filtered = append(r.filtered, Filtered{id, l.Passage.DocumentID, l.DocumentName, reasons(l.Passage.DocumentID)})
		}
	}
	return nil
}

// anywhere asks for what answers without any filter: by words, or by meaning where only that is asked.
func (r *ranking) anywhere(ctx context.Context) (Found, error) {
	const enough = 2 * maxFiltered
	switch {
	case r.Mode != Semantic && len(r.terms) > 0:
		return r.s.index.Lexical(ctx, Query{Workspace: r.Workspace, Terms: r.terms, K: enough})
	case r.Mode == Semantic && r.vector != nil:
		return r.s.index.Vector(ctx, Query{Workspace: r.Workspace, Vector: r.vector, Space: r.space.ID(), K: enough})
	}
	return Found{}, nil
}

// reasons tells by which filters documents are left out.
func (r *ranking) reasons(ctx context.Context, documents []string) (func(document string) []Reason, error) {
	f := r.Filters
	type passed struct {
		why Reason
		ids []string
	}
	var list []passed
	if r.DocumentIDs != nil {
		list = append(list, passed{ByDocument, r.DocumentIDs})
	}
	for _, one := range []struct {
		why Reason
		set bool
		Filters
	}{
		{ByType, len(f.Types) > 0, Filters{Types: f.Types}}, {ByTag, len(f.Tags) > 0, Filters{Tags: f.Tags}},
		{ByLanguage, len(f.Languages) > 0, Filters{Languages: f.Languages}}, {ByDate, !f.From.IsZero() || !f.To.IsZero(), Filters{From: f.From, To: f.To}},
	} {
		if !one.set {
			continue
		}
		ids, err := r.s.store.Admitted(ctx, r.Workspace, documents, one.Filters)
		if err != nil {
			return nil, err
		}
		list = append(list, passed{one.why, ids})
	}
	return func(document string) (why []Reason) {
		for _, p := range list {
			if !slices.Contains(p.ids, document) {
				why = append(why, p.why)
			}
		}
		return why
	}, nil
}

// onPages drops what stands on other pages than those that are asked for.
func (r *ranking) onPages(ctx context.Context) error {
	if r.Filters.PageFrom == 0 && r.Filters.PageTo == 0 {
		return nil
	}
	ids := make([]string, len(r.fused))
	for i, f := range r.fused {
		ids[i] = f.ID
	}
	live, err := r.s.store.Live(ctx, r.Workspace, ids)
	if err != nil {
		return err
	}
	kept := r.fused[:0]
	for _, f := range r.fused {
		l, ok := live[f.ID]
		switch {
		case ok && r.Filters.onPages(l.Passage):
			kept = append(kept, f)
		case ok:
			r.leaveOut(l, ByPage)
		}
	}
	r.fused = kept
	return nil
}
