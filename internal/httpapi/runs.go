package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/fault"
	"byline/internal/runs"
	"byline/internal/session"
)

// RunPath names a run.
type RunPath struct {
	ID string `path:"run_id"`
}

type listRunsIn struct {
	CursorIn
	Status  string `query:"status" enum:"queued,running,waiting,completed,failed,cancelled"`
	Kind    string `query:"kind"`
	Subject string `query:"subject_id" doc:"A document's, draft's or message's id"`
	Session string `query:"session_id"`
}

type runsOut struct {
	Body struct {
		Runs  []runShape `json:"runs"`
		Total int        `json:"total"`
		Next  *string    `json:"next" nullable:"true"`
	}
}

func (s *server) listRuns(ctx context.Context, in *listRunsIn) (*runsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	page, total, err := s.Runs.Runs(ctx, workspaceOf(ctx), runs.Filter{Status: runs.Status(in.Status), Kind: runs.Kind(in.Kind), SubjectID: in.Subject, SessionID: session.Plain(in.Session),
		Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &runsOut{}
	if out.Body.Runs, err = s.withUsage(ctx, page...); err != nil {
		return nil, err
	}
	out.Body.Total = total
	out.Body.Next = next(page, in.Limit, func(r runs.Run) string { return r.ID })
	return out, nil
}

func (s *server) run(ctx context.Context, id string) (runs.Run, error) {
	if err := idParam("run", id); err != nil {
		return runs.Run{}, err
	}
	return s.Runs.Run(ctx, workspaceOf(ctx), id)
}

type oneRunOut struct{ Body runShape }

func (s *server) getRun(ctx context.Context, in *RunPath) (*oneRunOut, error) {
	r, err := s.run(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := s.withUsage(ctx, r)
	if err != nil {
		return nil, err
	}
	return &oneRunOut{list[0]}, nil
}

func (s *server) cancelRun(ctx context.Context, in *RunPath) (*runOut, error) {
	if err := idParam("run", in.ID); err != nil {
		return nil, err
	}
	r, err := s.Runs.Cancel(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	list, err := s.withUsage(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &runOut{Status: http.StatusOK}
	out.Body.Run = list[0]
	return out, nil
}

type requeueIn struct {
	RunPath
	Key string `header:"Idempotency-Key" maxLength:"255"`
}

func (s *server) requeueRun(ctx context.Context, in *requeueIn) (*runOut, error) {
	if err := idParam("run", in.ID); err != nil {
		return nil, err
	}
	r, err := s.Runs.Requeue(ctx, workspaceOf(ctx), in.ID, onceOf(in.Key, "requeue "+in.ID, nil))
	if err != nil {
		return nil, err
	}
	out := &runOut{Status: http.StatusAccepted}
	out.Body.Run = toRun(r)
	return out, nil
}

type answerIn struct {
	RunPath
	Body struct {
		Strict
		QuestionID string          `json:"question_id"`
		Value      json.RawMessage `json:"value" doc:"Of the form that the question's kind asks for"`
	}
}

func (s *server) answerRun(ctx context.Context, in *answerIn) (*runOut, error) {
	if err := idParam("run", in.ID); err != nil {
		return nil, err
	}
	r, err := s.Runs.Answer(ctx, workspaceOf(ctx), in.ID, in.Body.QuestionID, runs.Reply{Value: in.Body.Value, By: userOf(ctx).ID})
	if err != nil {
		return nil, err
	}
	out := &runOut{Status: http.StatusAccepted}
	out.Body.Run = toRun(r)
	return out, nil
}

type forkIn struct {
	RunPath
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Strict
		Node string `json:"node" doc:"The node behind whose checkpoint the new run goes on, such as plan or gather; see the run's steps"`
	}
}

type forkOut struct {
	Status int
	Body   startedShape
}

func (s *server) forkRun(ctx context.Context, in *forkIn) (*forkOut, error) {
	if err := idParam("run", in.ID); err != nil {
		return nil, err
	}
	d, r, err := s.Drafts.Fork(ctx, workspaceOf(ctx), in.ID, in.Body.Node, onceOf(in.Key, "fork "+in.ID+" "+in.Body.Node, nil))
	if err != nil {
		return nil, err
	}
	return &forkOut{http.StatusAccepted, startedShape{toDraft(d), toRun(r)}}, nil
}

type eventsIn struct {
	RunPath
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that the client has"`
	After       string `query:"after" doc:"The same for clients that cannot set headers"`
}

func (s *server) runEvents(ctx context.Context, in *eventsIn) (*huma.StreamResponse, error) {
	after, err := parseCursor(in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	r, err := s.run(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		req, w := humago.Unwrap(c)
		if r.Status.Terminal() && after == r.LastSeq { // tells EventSource not to come again
			w.WriteHeader(http.StatusNoContent)
			return
		}
		s.stream(w, req.WithContext(c.Context()), r.ID, after)
	}}, nil
}

type sessionEventsIn struct {
	SessionPath
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that the client has"`
	After       string `query:"after" doc:"The same for clients that cannot set headers; latest for what comes from now on"`
}

func (s *server) sessionEvents(ctx context.Context, in *sessionEventsIn) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	after, err := parseSessionCursor(in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		req, w := humago.Unwrap(c)
		cursor, err := s.Hub.FollowSession(ctx, workspaceOf(ctx), in.SessionID, after)
<<<<<<< HEAD
		s.open(w, req.WithContext(c.Context()), cursor, err)
=======
		s.send(w, req.WithContext(c.Context()), cursor, err)
>>>>>>> main
	}}, nil
}

// parseSessionCursor is parseCursor that also knows the word for the end.
func parseSessionCursor(header, query string) (int64, error) {
	if header == "" && query == "latest" {
		return runs.Latest, nil
	}
	return parseCursor(header, query)
}

// parseCursor takes the header first: EventSource sends it when it comes again, with the query of the first time.
func parseCursor(header, query string) (int64, error) {
	v, place := header, "header.Last-Event-ID"
	if v == "" {
		v, place = query, "query.after"
	}
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.Bad(place, "bad_cursor", "A cursor is the seq of an event: a whole number from 0 on.")
	}
	return n, nil
}
