package httpapi

import (
	"context"
	"time"

	"byline/internal/ident"
	"byline/internal/search"
)

type searchIn struct {
	Body struct {
		Strict
		Query       string   `json:"query" minLength:"1" maxLength:"2000"`
		DocumentIDs []string `json:"document_ids,omitempty" maxItems:"1000"`
		TopK        int      `json:"top_k,omitempty" minimum:"1" maximum:"100" default:"5"`
		Mode        string   `json:"mode,omitempty" enum:"hybrid,lexical,semantic" default:"hybrid"`
		Filters     *struct {
			Strict
			Type     []string  `json:"type,omitempty"`
			Tag      []string  `json:"tag,omitempty"`
			Language []string  `json:"language,omitempty"`
			From     time.Time `json:"from,omitempty" doc:"Uploaded at or after"`
			To       time.Time `json:"to,omitempty" doc:"Uploaded before"`
		} `json:"filters,omitempty"`
		Explain bool `json:"explain,omitempty"`
	}
}

type searchOut struct {
	Body struct {
		Results  []hitShape `json:"results"`
		Total    int        `json:"total" doc:"Passages that match, counted up to 100"`
		Engine   string     `json:"engine"`
		Degraded []string   `json:"degraded" doc:"What could not be used"`
	}
}

func (s *server) search(ctx context.Context, in *searchIn) (*searchOut, error) {
	b := in.Body
	for _, id := range b.DocumentIDs {
		if !ident.Valid(id) {
			return nil, idParam("document", id)
		}
	}
	q := search.Question{Workspace: workspaceOf(ctx), Text: b.Query, DocumentIDs: b.DocumentIDs, TopK: b.TopK, Mode: search.Mode(b.Mode), Explain: b.Explain}
	if f := b.Filters; f != nil {
		q.Filters = search.Filters{Types: f.Type, Tags: f.Tag, Languages: f.Language, From: f.From, To: f.To}
	}
	a, err := s.Searcher.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &searchOut{}
	out.Body.Results, out.Body.Total, out.Body.Engine, out.Body.Degraded = []hitShape{}, a.Total, a.Engine, list(a.Degraded)
	for _, h := range a.Hits {
		out.Body.Results = append(out.Body.Results, toHit(h))
	}
	return out, nil
}
