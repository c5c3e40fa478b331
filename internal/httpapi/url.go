package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"byline/internal/document"
)

type addURLIn struct {
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	Process bool   `query:"process" default:"true" doc:"Begin to process at once"`
	Force   bool   `query:"force" doc:"A new document although these bytes are there"`
	Body    struct {
		Strict
		URL string `json:"url" minLength:"1" maxLength:"2048" doc:"Of a page, PDF or text on the public web"`
	}
}

type addURLOut struct {
	Status   int
	Location string `header:"Location"`
	Body     documentShape
}

// addURL fetches what a person names. Only people do that: nothing in a document can.
func (s *server) addURL(ctx context.Context, in *addURLIn) (*addURLOut, error) {
	what := fmt.Sprintf("url %v %v %s", in.Process, in.Force, in.Body.URL)
	d, added, err := s.Documents.TakeURL(ctx, s.Fetcher, document.Address{Workspace: workspaceOf(ctx), URL: in.Body.URL,
		Process: in.Process, Force: in.Force, Once: onceOf(in.Key, what, nil)})
	if err != nil {
		return nil, err
	}
	out := &addURLOut{Status: http.StatusCreated, Location: "/api/v1/documents/" + d.ID, Body: toDocument(d)}
	if !added {
		out.Status = http.StatusOK
	}
	return out, nil
}
