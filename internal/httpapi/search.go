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
		Fusion      string   `json:"fusion,omitempty" enum:"convex,rrf" default:"convex" doc:"How words and meaning become one ranking"`
		PerDocument int      `json:"max_per_document,omitempty" minimum:"0" maximum:"100" doc:"Passages of one document at most; 0 is no limit"`
		Diversity   float64  `json:"diversity,omitempty" minimum:"0" maximum:"1" doc:"How much a passage loses by being like those before it; 0 ranks by relevance alone"`
		Expand      string   `json:"expand,omitempty" enum:"none,neighbours,section" default:"none" doc:"Gives what stands around each passage"`
		Filters     *struct {
			Strict
			Type     []string  `json:"type,omitempty"`
			Tag      []string  `json:"tag,omitempty"`
			Language []string  `json:"language,omitempty"`
			Origin   []string  `json:"origin,omitempty" enum:"upload,url,web" doc:"How the document came here"`
			From     time.Time `json:"from,omitempty" doc:"Uploaded at or after"`
			To       time.Time `json:"to,omitempty" doc:"Uploaded before"`
			PageFrom int       `json:"page_from,omitempty" minimum:"0" doc:"Only passages on this page or later ones"`
			PageTo   int       `json:"page_to,omitempty" minimum:"0" doc:"Only passages on this page or earlier ones"`
		} `json:"filters,omitempty"`
		Explain bool `json:"explain,omitempty"`
	}
}

type searchOut struct {
	Body struct {
		Results  []hitShape `json:"results"`
		Total    int        `json:"total" doc:"Passages that match, counted up to 100"`
		Evidence bool       `json:"evidence" doc:"The best passage answers well enough to be relied on"`
		Engine   string     `json:"engine"`
		Degraded []string   `json:"degraded" doc:"What could not be used"`
		Filtered []leftOut  `json:"filtered,omitempty" doc:"With explain: passages that would answer and were left out, and why"`
	}
}

type leftOut struct {
	PassageID    string   `json:"passage_id"`
	DocumentID   string   `json:"document_id"`
	DocumentName string   `json:"document_name"`
	Reasons      []string `json:"reasons" enum:"document_ids,type,tag,language,date,page,same_text,max_per_document"`
}

func (s *server) search(ctx context.Context, in *searchIn) (*searchOut, error) {
	b := in.Body
	for _, id := range b.DocumentIDs {
		if !ident.Valid(id) {
			return nil, idParam("document", id)
		}
	}
	q := search.Question{Workspace: workspaceOf(ctx), Text: b.Query, DocumentIDs: b.DocumentIDs, TopK: b.TopK, Mode: search.Mode(b.Mode), Explain: b.Explain,
		Fusion: search.Fusion(b.Fusion), PerDocument: b.PerDocument, Diversity: b.Diversity, Expand: search.Expand(b.Expand)}
	if f := b.Filters; f != nil {
		q.Filters = search.Filters{Types: f.Type, Tags: f.Tag, Languages: f.Language, Origins: f.Origin, From: f.From, To: f.To, PageFrom: f.PageFrom, PageTo: f.PageTo}
	}
	a, err := s.Searcher.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &searchOut{}
	s.Metrics.Search(a.Engine, len(a.Degraded) > 0)
	out.Body.Results, out.Body.Total, out.Body.Evidence, out.Body.Engine, out.Body.Degraded = []hitShape{}, a.Total, a.Evidence, a.Engine, list(a.Degraded)
	for _, h := range a.Hits {
		out.Body.Results = append(out.Body.Results, toHit(h))
	}
	for _, f := range a.Filtered {
		l := leftOut{PassageID: f.PassageID, DocumentID: f.DocumentID, DocumentName: f.DocumentName}
		for _, why := range f.Reasons {
			l.Reasons = append(l.Reasons, string(why))
		}
		out.Body.Filtered = append(out.Body.Filtered, l)
	}
	return out, nil
}
