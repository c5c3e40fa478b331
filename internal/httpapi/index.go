package httpapi

import (
	"context"
	"time"
)

type indexShape struct {
	Space     string `json:"space" doc:"An embedding space; empty for the index of words"`
	State     string `json:"state" enum:"building,serving,previous,rejected"`
	Documents int    `json:"documents" doc:"Documents that are in it"`
	Of        int    `json:"of" doc:"Documents that can be found, and are complete or on the way there"`
}

type indexesOut struct {
	Body struct {
		Indexes []indexShape  `json:"indexes"`
		Engines []engineShape `json:"engines" doc:"The engines that answer searches, the preferred one first"`
	}
}

type engineShape struct {
	Name    string    `json:"name" doc:"elasticsearch, chroma or embedded"`
	State   string    `json:"state" enum:"serving,lagging,building,degraded"`
	Since   time.Time `json:"since" doc:"When it came into this state"`
	Error   string    `json:"error,omitempty" doc:"What went wrong last, since it last went well"`
	Waiting int       `json:"waiting" doc:"Documents that it has not got yet"`
	Refused int       `json:"refused" doc:"Documents that it refuses; the failed run of kind sync says why"`
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
	out.Body.Engines = []engineShape{}
	for _, e := range s.Engines.Status() {
		out.Body.Engines = append(out.Body.Engines, engineShape{e.Name, string(e.State), e.Since, e.Error, e.Queue, e.Dead})
	}
	return out, err
}

type rebuildIn struct {
	Body struct {
		Strict
		Index  string `json:"index,omitempty" enum:"all,words,vectors" default:"all" doc:"Which of the indexes that are built in"`
		Engine string `json:"engine,omitempty" doc:"Instead: the name of an engine outside, whose index is built anew beside the one that serves"`
	}
}

func (s *server) rebuildIndex(ctx context.Context, in *rebuildIn) (*indexesOut, error) {
	if err := admin(ctx); err != nil {
		return nil, err
	}
	if in.Body.Engine != "" {
		if err := s.Feed.Rebuild(ctx, in.Body.Engine); err != nil {
			return nil, err
		}
		return s.listIndexes(ctx, nil)
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
