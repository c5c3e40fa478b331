package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/agent"
	"byline/internal/runs"
)

// queryWait is how long a client that asked for no stream waits for an answer; then it gets the run.
const queryWait = time.Minute

type queryIn struct {
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	Prefer  string `header:"Prefer" doc:"wait=N: how many seconds to wait for the answer, 60 at most and as a rule; then the run is given with 202"`
	RawBody []byte
	Body    struct {
		Strict
		Question    string   `json:"question" minLength:"1" maxLength:"2000"`
		DocumentIDs []string `json:"document_ids,omitempty" maxItems:"1000" doc:"Only these; all when it is missing"`
		TopK        int      `json:"top_k,omitempty" minimum:"1" maximum:"100" doc:"How many passages it is answered from"`
		Provider    string   `json:"llm_provider,omitempty" maxLength:"50" doc:"Which provider of models answers; offline quotes the documents without one"`
		Model       string   `json:"llm_model,omitempty" maxLength:"200"`
	}
}

// answerShape is an answer with its citations.
type answerShape struct {
	Question  string          `json:"question"`
	Answer    string          `json:"answer" doc:"Markdown without marks: citations say which claim of it is found where. Without evidence it says so"`
	Citations []citationShape `json:"citations" doc:"Claims are places in answer"`
	Evidence  bool            `json:"evidence" doc:"false: the documents do not answer the question"`
	Engine    string          `json:"engine"`
	Degraded  []string        `json:"degraded" doc:"What could not be used"`
	Provider  string          `json:"llm_provider,omitempty" doc:"Missing when it was answered in the words of the documents, without a model"`
	Model     string          `json:"llm_model,omitempty"`
	RunID     string          `json:"run_id"`
	Usage     *usageShape     `json:"usage,omitempty"`
}

func (s *server) query(ctx context.Context, in *queryIn) (*huma.StreamResponse, error) {
	b := in.Body
	for _, id := range b.DocumentIDs {
		if err := idParam("document", id); err != nil {
			return nil, err
		}
	}
	r, err := s.Enquiries.Ask(ctx, workspaceOf(ctx), agent.Asking{Question: b.Question, DocumentIDs: b.DocumentIDs, TopK: b.TopK,
		Provider: b.Provider, Model: b.Model, Author: userOf(ctx).ID}, onceOf(in.Key, "query", in.RawBody))
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		req, w := humago.Unwrap(c)
		req = req.WithContext(c.Context())
		w.Header().Set("Location", "/api/v1/runs/"+r.ID)
		if wantsStream(req) {
			s.stream(w, req, r.ID, 0)
			return
		}
		s.writeAnswer(w, req, r, preferred(in.Prefer))
	}}, nil
}

// preferred is how long a client wants to wait (RFC 7240).
func preferred(header string) time.Duration {
	for part := range strings.SplitSeq(header, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(part), "wait="); ok {
			if n, err := strconv.Atoi(v); err == nil && n >= 0 {
				return min(queryWait, time.Duration(n)*time.Second)
			}
		}
	}
	return queryWait
}

// writeAnswer waits for a query run and writes its answer, or the run when that takes too long.
func (s *server) writeAnswer(w http.ResponseWriter, r *http.Request, run runs.Run, wait time.Duration) {
	ctx := r.Context()
	a, err := s.Enquiries.Wait(ctx, workspaceOf(ctx), run.ID, wait)
	var body any
	status := http.StatusOK
	switch {
	case errors.Is(err, agent.ErrUnderWay):
		now, err := s.Runs.Run(ctx, workspaceOf(ctx), run.ID) // it may wait for a person: the question is in it
		if err != nil {
			writeProblem(w, r, err)
			return
		}
		var again runBody
		again.Run = toRun(now)
		body, status = again, http.StatusAccepted
	case err != nil:
		writeProblem(w, r, err)
		return
	default:
		s.Metrics.Search(a.Engine, len(a.Degraded) > 0)
		out := answerShape{Question: a.Question, Answer: a.Answer, Citations: toCitations(a.Citations), Evidence: a.Evidence, Engine: a.Engine,
			Degraded: list(a.Degraded), Provider: a.Provider, Model: a.Model, RunID: run.ID}
		if out.Usage, err = s.usageOf(ctx, run); err != nil {
			writeProblem(w, r, err)
			return
		}
		body = out
	}
	if err := writeJSON(w, status, body); err != nil {
		s.log.DebugContext(ctx, "write answer", "error", err)
	}
}

// usageOf is what a run has used of models; nil when it asked none.
func (s *server) usageOf(ctx context.Context, run runs.Run) (*usageShape, error) {
	list, err := s.withUsage(ctx, run)
	if err != nil {
		return nil, err
	}
	return list[0].Usage, nil
}
