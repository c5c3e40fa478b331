package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// EnquiryStore is what questions need of the store.
type EnquiryStore interface {
	// AddRun adds a run whose subject has no row of its own. A repeated once gives the run as it was made the first time.
	AddRun(ctx context.Context, ws ident.Workspace, n runs.NewRun, once *ident.Once) (runs.Run, error)
	Run(ctx context.Context, ws ident.Workspace, id string) (runs.Run, error)
	Events(ctx context.Context, runID string, after int64, limit int) ([]runs.Event, error)
}

// Enquiries begins query runs and waits for their answers. It is safe for concurrent use.
type Enquiries struct {
	store     EnquiryStore
	documents Documents
	bus       runs.Bus
}

// NewEnquiries makes it. Its runs are done by Writer.HandleQuery.
func NewEnquiries(store EnquiryStore, documents Documents, bus runs.Bus) *Enquiries {
	return &Enquiries{store, documents, bus}
}

// Ask begins a run that answers a question. Documents that are named must be there.
func (e *Enquiries) Ask(ctx context.Context, ws ident.Workspace, a Asking, once *ident.Once) (runs.Run, error) {
	if strings.TrimSpace(a.Question) == "" {
		return runs.Run{}, fault.Bad("body.question", "required", "Ask something: the question is empty.")
	}
	if len(a.DocumentIDs) > 0 {
		docs, err := e.documents.Named(ctx, ws, a.DocumentIDs)
		if err != nil {
			return runs.Run{}, err
		}
		there := map[string]bool{}
		for _, d := range docs {
			there[d.ID] = true
		}
		for _, id := range a.DocumentIDs {
			if !there[id] {
				return runs.Run{}, fault.Missing("document")
			}
		}
	}
	return e.store.AddRun(ctx, ws, runs.NewRun{Kind: runs.KindQuery, Subject: runs.Subject{Type: string(runs.KindQuery), ID: ident.New()}, Input: a}, once)
}

// ErrUnderWay is what Wait gives when its time is over and the run goes on, or when the run waits for a person.
var ErrUnderWay = errors.New("the run goes on")

// waitAgain is how long a waiting reader trusts the bus, which may lose a wake-up.
const waitAgain = 250 * time.Millisecond

// Wait waits until a query run has ended, at most for a time: then it is ErrUnderWay, and the run goes on; so it is at once when the run waits for a person. A run that failed is its
// failure.
func (e *Enquiries) Wait(ctx context.Context, ws ident.Workspace, runID string, most time.Duration) (Answered, error) {
	woken := make(chan struct{}, 1)
	cancel := e.bus.Subscribe(func(topics []string) {
		if slices.Contains(topics, runID) {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	})
	defer cancel()
	over := time.NewTimer(most)
	defer over.Stop()
	again := time.NewTicker(waitAgain)
	defer again.Stop()
	for {
		r, err := e.store.Run(ctx, ws, runID)
		if err != nil {
			return Answered{}, err
		}
		if r.Status.Terminal() {
			return e.result(ctx, r)
		}
		if r.Status == runs.Waiting { // for days, perhaps
			return Answered{}, ErrUnderWay
		}
		select {
		case <-ctx.Done():
			return Answered{}, ctx.Err()
		case <-over.C:
			return Answered{}, ErrUnderWay
		case <-woken:
		case <-again.C:
		}
	}
}

// kinds of the failures of query runs that are not ours.
var kinds = map[string]fault.Kind{
	"not_found": fault.NotFound, "budget_exceeded": fault.Limited, "llm_rate_limited": fault.Limited, "internal": fault.Internal,
	"llm_unreachable": fault.Unavailable, "llm_failed": fault.Unavailable, "llm_stalled": fault.Unavailable, "llm_cut": fault.Unavailable,
	"llm_garbled": fault.Unavailable, "llm_offline": fault.Unavailable, "sources_changing": fault.Unavailable,
}

// result reads what an ended run came to.
func (e *Enquiries) result(ctx context.Context, r runs.Run) (Answered, error) {
	switch r.Status {
	case runs.Failed:
		kind, ok := kinds[r.Failure.Code]
		if !ok {
			kind = fault.Invalid
		}
		return Answered{}, fault.New(kind, r.Failure.Code, "%s", r.Failure.Detail)
	case runs.Cancelled:
		return Answered{}, fault.New(fault.Conflict, "run_cancelled", "The run that was to answer was cancelled.")
	}
	last, err := e.store.Events(ctx, r.ID, r.LastSeq-1, 1)
	if err != nil {
		return Answered{}, fmt.Errorf("read answer: %w", err)
	}
	var out Answered
	if len(last) == 0 || last[0].Type != runs.EventCompleted || json.Unmarshal(last[0].Data, &out) != nil || out.Citations == nil {
		return Answered{}, fault.New(fault.Conflict, "answer_purged", "The answer is not kept any more, because a document that it quoted was deleted. Ask again.")
	}
	return out, nil
}
