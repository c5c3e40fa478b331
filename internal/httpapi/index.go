package httpapi

import (
	"context"
)

type indexShape struct {
	Space     string `json:"space" doc:"An embedding space; empty for the index of words"`
	State     string `json:"state" enum:"building,serving,previous,rejected"`
	Documents int    `json:"documents" doc:"Complete documents that are in it"`
	Of        int    `json:"of" doc:"Complete documents"`
}

type indexesOut struct {
	Body struct {
		Indexes []indexShape `json:"indexes"`
	}
}

// listIndexes tells of the whole installation, which only admins see.
func (s *server) listIndexes(ctx context.Context, _ *struct{}) (*indexesOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	list, err := s.Spaces.List(ctx)
	out := &indexesOut{}
	out.Body.Indexes = []indexShape{}
	for _, i := range list {
		out.Body.Indexes = append(out.Body.Indexes, indexShape{i.ID, string(i.State), i.Documents, i.Of})
	}
	return out, err
}

type rebuildIn struct {
	Body struct {
		Strict
		Index string `json:"index,omitempty" enum:"all,words,vectors" default:"all"`
	}
}

func (s *server) rebuildIndex(ctx context.Context, in *rebuildIn) (*indexesOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	what := in.Body.Index
	if err := s.Spaces.Rebuild(ctx, what != "vectors", what != "words"); err != nil {
		return nil, err
	}
	return s.listIndexes(ctx, nil)
}

// rollBackIndex lets the embedding space before the one that serves, serve again.
func (s *server) rollBackIndex(ctx context.Context, _ *struct{}) (*indexesOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	if _, err := s.Spaces.Back(ctx); err != nil {
		return nil, err
	}
	return s.listIndexes(ctx, nil)
}
