package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"byline/internal/agent"
	"byline/internal/llm"
)

// The details in which a run's steps are told.
const (
	detailHidden = "hidden"
	detailTools  = "tools"
	detailAll    = "all"
)

type listStepsIn struct {
	RunPath
	Detail string `query:"detail" enum:"hidden,tools,all" default:"tools" doc:"hidden: the nodes and their times. tools: also searches, tools and questions, with what they were given and gave. all: also what models were asked and said, and what was kept behind each step"`
}

// stepShape is a step of a run with those within it.
type stepShape struct {
	Key       string          `json:"key,omitempty" doc:"By which it is kept in the run's journal"`
	Name      string          `json:"name" doc:"The node, the tool, the query, or what a model was asked for"`
	Type      string          `json:"type" enum:"node,model,search,tool,question,step"`
	Status    string          `json:"status" enum:"open,done"`
	Attempt   int             `json:"attempt,omitempty" doc:"Of the run, that did it"`
	StartedAt *time.Time      `json:"started_at,omitempty"`
	EndedAt   *time.Time      `json:"ended_at,omitempty"`
	Duration  *int64          `json:"duration_ms,omitempty"`
	Provider  string          `json:"llm_provider,omitempty"`
	Model     string          `json:"llm_model,omitempty"`
	Usage     *usageShape     `json:"usage,omitempty" doc:"Of models, by this step and those within it"`
	Input     json.RawMessage `json:"input,omitempty" doc:"What it saw: messages, arguments, a question"`
	Output    json.RawMessage `json:"output,omitempty" doc:"What it did: an answer, hits, a reply, the checkpoint of a node"`
	Steps     []*stepShape    `json:"steps"`
}

type stepsOut struct {
	Body struct {
		Steps []*stepShape `json:"steps" doc:"As a tree, in the order in which they began"`
		Total int          `json:"total" doc:"Of the steps of the tree"`
		Next  *string      `json:"next" nullable:"true" doc:"The tree is always whole"`
	}
}

func (s *server) listSteps(ctx context.Context, in *listStepsIn) (*stepsOut, error) {
	if _, err := s.run(ctx, in.ID); err != nil {
		return nil, err
	}
	journal, err := s.Steps(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	log, err := s.Outline(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &stepsOut{}
	out.Body.Steps, _ = s.toSteps(agent.Tracing(journal, log), in.Detail, &out.Body.Total)
	return out, nil
}

// toSteps makes shapes of steps, and the sum of what they have used. Those that the detail leaves out give their place to what is within them.
func (s *server) toSteps(list []*agent.Trace, detail string, count *int) (out []*stepShape, sum llm.Line) {
	out = []*stepShape{}
	for _, t := range list {
		inner, used := s.toSteps(t.Within, detail, count)
		if u := t.Used; u != nil {
			used = used.Plus(lineOf(u.Usage))
		}
		sum = sum.Plus(used)
		if detail != detailAll && (t.Type == agent.TraceModel || t.Type == agent.TraceStep) || detail == detailHidden && t.Type != agent.TraceNode {
			out = append(out, inner...)
			continue
		}
		*count++
		out = append(out, s.toStep(t, detail, inner, used))
	}
	return out, sum
}

func (s *server) toStep(t *agent.Trace, detail string, inner []*stepShape, used llm.Line) *stepShape {
	x := &stepShape{Key: t.Key, Name: t.Name, Type: string(t.Type), Status: "open", Attempt: t.Attempt, StartedAt: known(t.Began), EndedAt: known(t.Ended), Steps: inner}
	if t.Done {
		x.Status = "done"
	}
	if !t.Began.IsZero() && !t.Ended.IsZero() {
		ms := max(t.Ended.Sub(t.Began).Milliseconds(), 0)
		x.Duration = &ms
	}
	if used.Requests > 0 {
		u := s.toUsage(used)
		x.Usage = &u
	}
	if t.Used != nil {
		x.Provider, x.Model = t.Used.Provider, t.Used.Model
	}
	if detail == detailAll || detail == detailTools && t.Type != agent.TraceNode {
		x.Input, x.Output = t.Saw, t.Did
	}
	return x
}

// lineOf is one request to a model as a sum.
func lineOf(u llm.Usage) llm.Line {
	l := llm.Line{Requests: 1, Input: int64(u.Input), Cached: int64(u.Cached), Output: int64(u.Output)}
	if u.Estimated {
		l.Estimated = 1
	}
	if u.Cost == nil {
		l.Unpriced = 1
	} else {
		l.Cost = *u.Cost
	}
	return l
}
