package agent

import (
	"context"
	"fmt"

	"byline/internal/engine/summarize"
	"byline/internal/runs"
)

// The nodes of a post.
const (
	nodeSurvey  = "survey"
	nodePlan    = "plan"
	nodeApprove = "approve"
	nodeGather  = "gather"
	nodeWrite   = "write"
	nodeVerify  = "verify"
	nodeRepair  = "repair"
	nodeFinish  = "finish"
)

// postGraph is how a post comes to be, with a model or without.
var postGraph = Graph[*round]{Name: "post", Nodes: []Node[*round]{
	{nodeSurvey, (*round).doSurvey, []string{nodePlan}},
	{nodePlan, (*round).doPlan, []string{nodeApprove, nodeGather}},
	{nodeApprove, (*round).doApprove, []string{nodeGather}},
	{nodeGather, (*round).doGather, []string{nodeWrite}},
	{nodeWrite, (*round).doWrite, []string{nodeVerify}},
	{nodeVerify, (*round).doVerify, []string{nodeRepair, nodeFinish}},
	{nodeRepair, (*round).doRepair, []string{nodeVerify, nodeFinish}},
	{nodeFinish, (*round).doFinish, []string{End}},
}}

// Graphs are all graphs, for the documentation: name and Mermaid source.
func Graphs() []struct{ Name, Mermaid string } {
	return []struct{ Name, Mermaid string }{{postGraph.Name, postGraph.Mermaid()}, {refineGraph.Name, refineGraph.Mermaid()}}
}

// post is the state of a post: what its nodes hand on, and all that is kept of it between them.
type post struct {
	Title    string                 `json:"title"`
	Summary  string                 `json:"summary,omitempty"`
	Slug     string                 `json:"slug,omitempty"`
	Tags     []string               `json:"tags,omitempty"`
	Words    int                    `json:"words"`           // to aim at
	Asked    bool                   `json:"asked,omitempty"` // somebody asked for this length
	Sections []section              `json:"sections"`
	Found    [][]summarize.Evidence `json:"found,omitempty"`    // without a model: what was found for each section
	Evidence []passage              `json:"evidence,omitempty"` // with a model: what it is shown; the first one is p1
	WebIDs   []string               `json:"web_ids,omitempty"`  // documents that were made of pages of the web
	Gaps     []string               `json:"gaps,omitempty"`     // wishes that the sources say nothing of
	Pieces   []writing              `json:"pieces,omitempty"`
	Rounds   int                    `json:"rounds,omitempty"` // of repair
	Result   *Result                `json:"result,omitempty"`
}

// section is one of the plan.
type section struct {
	summarize.Section
	ID       string `json:"section_id"`
	About    string `json:"about,omitempty"` // what it should say, in the planner's words
	Words    int    `json:"words,omitempty"`
	Evidence []int  `json:"evidence,omitempty"` // indexes of post.Evidence
}

// passage is a place of a source that the model is shown, under the id p and its index plus 1.
type passage struct {
	ID         string `json:"passage_id"`
	DocumentID string `json:"document_id"`
	Start      int    `json:"start"`
	End        int    `json:"end"`
	Page       int    `json:"page,omitempty"`
}

// sectionID is the id of a section of the plan on the wire.
func sectionID(i int) string { return fmt.Sprintf("s%d", i+1) }

// State meets Thread.
func (r *round) State() any { return &r.post }

// Once meets Thread: it does a step of this round.
func (r *round) Once(ctx context.Context, key string, out any, do func(ctx context.Context) ([]runs.NewEvent, error)) error {
	return r.job.Once(ctx, r.prefix+key, out, do)
}

// do goes through the graph.
func (r *round) do(ctx context.Context) (any, error) {
	for _, ready := range []func(context.Context) error{r.begin, r.choose, func(ctx context.Context) error { return r.writer.work(ctx, func() error { return r.read(ctx) }) }} {
		if err := ready(ctx); err != nil {
			return nil, r.lostSource(ctx, err)
		}
	}
	var err error
	if r.model == nil {
		err = r.writer.work(ctx, func() error { return postGraph.Run(ctx, r) })
	} else {
		err = r.withinBudget(ctx, func() error { return postGraph.Run(ctx, r) })
	}
	if err != nil {
		return nil, r.lostSource(ctx, err)
	}
	return r.post.Result, nil
}
