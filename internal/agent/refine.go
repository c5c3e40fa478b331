package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/summarize"
	"byline/internal/engine/textdiff"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// Proposals is where a refinement finds its draft and leaves what it proposes; draft.Service is one. All is scoped by workspace.
type Proposals interface {
	Draft(ctx context.Context, ws ident.Workspace, id string) (draft.Draft, error)
	Version(ctx context.Context, ws ident.Workspace, draftID string, number int) (draft.Version, error)
	// AddProposal is the fenced write of a run; the same id again adds nothing.
	AddProposal(ctx context.Context, l runs.Lease, p draft.Proposal, events ...runs.NewEvent) (draft.Proposal, error)
	// Apply accepts what fits of a proposal, and tells the version and the hunks that do not fit.
	Apply(ctx context.Context, l runs.Lease, draftID, id, author string, events ...runs.NewEvent) (p draft.Proposal, version int, stale []string, err error)
}

// The nodes of a refinement; verify is the word of a post's, too.
const (
	nodeRead    = "read"
	nodeEdit    = "edit"
	nodePropose = "propose"
)

// refineGraph is how a change of a draft comes to be, with a model or without.
var refineGraph = Graph[*refining]{Name: "refine", Nodes: []Node[*refining]{
	{nodeRead, (*refining).doRead, []string{nodeEdit}},
	{nodeEdit, (*refining).doEdit, []string{nodeVerify}},
	{nodeVerify, (*refining).doCheck, []string{nodePropose}},
	{nodePropose, (*refining).doPropose, []string{End}},
}}

// Refined is what a refinement tells at its end.
type Refined struct {
	DraftID    string `json:"draft_id"`
	ProposalID string `json:"proposal_id,omitempty"` // empty: there is nothing to change
	Hunks      int    `json:"hunks"`
	Version    int    `json:"version,omitempty"` // that was made of it, where it was to be applied at once
	Title      bool   `json:"title,omitempty"`   // a new title is proposed, too
	// Notes are what was told on the way: what could not be done, or was left out. They may quote sources, so they are kept in steps only.
	Notes []string `json:"-"`
}

// refining is one refinement of a version that stays what it is. It is a Thread.
type refining struct {
	*round
	wish    draft.Refinement
	draft   draft.Draft
	base    draft.Version
	blocks  []textdiff.Block
	sources []document.Document // of the draft, that have a text
	root    string              // of the keys of its steps
	state   refinement
}

// refinement is the state of a refinement: what its nodes hand on.
type refinement struct {
	Evidence []passage `json:"evidence,omitempty"` // what the model is shown; the first one is p1
	Slots    []slot    `json:"slots,omitempty"`    // the draft as it is to be
	Title    string    `json:"title,omitempty"`    // a new one
	Hunks    []piecing `json:"hunks,omitempty"`
	ID       string    `json:"proposal_id,omitempty"`
	Notes    []string  `json:"notes,omitempty"` // see Refined
	Result   *Refined  `json:"result,omitempty"`
}

// slot is a block of the draft as it is to be: one of the base version, as it is or changed, or new.
type slot struct {
	Block  int     `json:"block"` // -1: it is new
	Text   string  `json:"text,omitempty"`
	Claims []claim `json:"claims,omitempty"` // of Text
}

// piecing is a hunk on its way: what stands in its place, with its claims.
type piecing struct {
	Start int     `json:"start"`
	End   int     `json:"end"`
	Old   string  `json:"old"`
	New   writing `json:"new"`
}

// HandleRefine does a refine run.
func (w *Writer) HandleRefine(ctx context.Context, job *runs.Job) (any, error) {
	var wish draft.Refinement
	if err := json.Unmarshal(job.Run().Input, &wish); err != nil {
		return nil, fmt.Errorf("read refinement: %w", err)
	}
	return w.Refine(ctx, job, "", wish)
}

// rounds is how often a refinement is begun again because its sources change under it.
const rounds = 5

// Refine proposes a change of a draft, or makes it, within any run of its workspace. Its steps have keys that begin with root. What is in
// no hunk stays byte for byte as it was, with its citations.
func (w *Writer) Refine(ctx context.Context, job *runs.Job, root string, wish draft.Refinement) (Refined, error) {
	for range rounds {
		x := &refining{round: &round{writer: w, job: job, texts: map[string]*source{}}, wish: wish, root: root}
		err := x.do(ctx)
		if err == nil {
			out := *x.state.Result
			out.Notes = x.state.Notes
			return out, nil
		}
		if !errors.Is(err, errChanged) {
			return Refined{}, err
		}
	}
	return Refined{}, fault.New(fault.Unavailable, "source_changed", "The sources of the draft change all the time. Ask again when they are processed.")
}

// State meets Thread.
func (x *refining) State() any { return &x.state }

func (x *refining) do(ctx context.Context) error {
	for _, ready := range []func(context.Context) error{x.load, x.begin, x.choose} {
		if err := ready(ctx); err != nil {
			return err
		}
	}
	err := x.run(ctx)
	if f := fault.Of(err); f != nil && f.Kind == fault.NotFound {
		if changed := x.moved(ctx); changed != nil {
			return changed
		}
	}
	return err
}

// run goes through the graph: within a budget where a model is paid, else when a processor is free.
func (x *refining) run(ctx context.Context) error {
	graph := func() error { return refineGraph.Run(ctx, x) }
	if x.model != nil {
		return x.withinBudget(ctx, graph)
	}
	return x.writer.work(ctx, graph)
}

// load reads the version that is to be changed. That is done at every attempt, because it is not kept in the journal.
func (x *refining) load(ctx context.Context) (err error) {
	w, ws := x.writer, x.job.Run().Workspace
	if x.draft, err = w.Proposals.Draft(ctx, ws, x.wish.DraftID); err != nil {
		return err
	}
	if x.wish.Version == 0 {
		x.wish.Version = x.draft.Version
	}
	if x.base, err = w.Proposals.Version(ctx, ws, x.wish.DraftID, x.wish.Version); err != nil {
		return err
	}
	x.blocks = textdiff.Blocks(x.base.Content)
	if x.sources, err = x.named(ctx); err != nil {
		return err
	}
	x.round.wish = draft.Wish{Title: x.base.Title, Instructions: x.wish.Feedback, StyleGuide: x.wish.StyleGuide, Author: x.wish.Author, Provider: x.wish.Provider, Model: x.wish.Model}
	for _, d := range x.sources {
		x.round.wish.DocumentIDs = append(x.round.wish.DocumentIDs, d.ID)
	}
	x.survey, x.passages = surveyOf(x.base), map[string][]document.Passage{}
	x.labels = labelsFor("", x.survey.Language)
	x.post.Title = x.base.Title
	return nil
}

// surveyOf reads a version as if it were a source: its units say what is central in it.
func surveyOf(v draft.Version) *summarize.Survey {
	var found extract.Collector
	if err := markdown.Extract(v.Content, &found); err != nil {
		return &summarize.Survey{} // a collector takes everything
	}
	return summarize.Read([]summarize.Source{{Name: "draft.md", Title: v.Title, Text: found.Text(), Markdown: true}})
}

// named are the documents of the draft that are there and have a text.
func (x *refining) named(ctx context.Context) ([]document.Document, error) {
	docs, err := x.writer.Documents.Named(ctx, x.job.Run().Workspace, x.draft.DocumentIDs)
	if err != nil {
		return nil, fmt.Errorf("name sources: %w", err)
	}
	return slices.DeleteFunc(docs, func(d document.Document) bool { return d.Generation == 0 }), nil
}

// begin finds out whether the sources are what they were at the first attempt; steps of a later round bear a mark of them.
func (x *refining) begin(ctx context.Context) error {
	var first struct {
		State string `json:"state"`
	}
	now := state(x.sources)
	x.prefix = x.root
	err := x.job.Once(ctx, x.root+"sources", &first, func(context.Context) ([]runs.NewEvent, error) {
		first.State = now
		return nil, nil
	})
	if err != nil || first.State == now {
		return err
	}
	h := fnv.New32a()
	h.Write([]byte(now))
	x.prefix = fmt.Sprintf("%s%08x/", x.root, h.Sum32())
	var again struct{}
	return x.job.Once(ctx, x.prefix+"again", &again, func(context.Context) ([]runs.NewEvent, error) {
		return []runs.NewEvent{notice("source_changed", "A source was deleted or processed anew meanwhile; the change is made again without what it said before.")}, nil
	})
}

// moved is errChanged when the sources are not what they were at the begin.
func (x *refining) moved(ctx context.Context) error {
	docs, err := x.named(ctx)
	if err == nil && state(docs) != state(x.sources) {
		err = errChanged
	}
	return err
}

// within tells whether a block may be changed: all may, where nothing was selected.
func (x *refining) within(i int) bool {
	s := x.wish.Selection
	return s == nil || x.blocks[i].Start < s.End && x.blocks[i].Stop > s.Start
}

// selected are the blocks that may be changed.
func (x *refining) selected() (list []int) {
	for i := range x.blocks {
		if x.within(i) {
			list = append(list, i)
		}
	}
	return list
}

func (x *refining) body(i int) string { return x.blocks[i].Body(x.base.Content) }

// doRead is the node that finds what the change could be made of.
func (x *refining) doRead(ctx context.Context) (string, []runs.NewEvent, error) {
	if x.wish.Selection != nil && len(x.selected()) == 0 {
		return "", nil, fault.Bad("body.selection", "bad_selection", "Nothing stands where the selection is. Select some text.")
	}
	if x.model == nil || len(x.sources) == 0 {
		return nodeEdit, nil, nil
	}
	events, err := x.gather(ctx)
	return nodeEdit, events, err
}

// doEdit is the node that makes the draft as it is to be.
func (x *refining) doEdit(ctx context.Context) (string, []runs.NewEvent, error) {
	x.post.Evidence = x.state.Evidence
	var events []runs.NewEvent
	var err error
	if x.model != nil {
		events, err = x.reword(ctx)
	} else {
		events, err = x.revise(ctx)
	}
	x.noted(events)
	return nodeVerify, events, err
}

// noted keeps what notices say.
func (x *refining) noted(events []runs.NewEvent) {
	for _, e := range events {
		if n, ok := e.Data.(runs.Notice); ok && e.Type == runs.EventNotice {
			x.state.Notes = append(x.state.Notes, n.Detail)
		}
	}
}

// doPropose is the node that adds the proposal, and applies it if that was asked for. After a crash in its midst it is done again: the store
// knows the proposal, and what was accepted of it.
func (x *refining) doPropose(ctx context.Context) (string, []runs.NewEvent, error) {
	out := &Refined{DraftID: x.draft.ID}
	x.state.Result = out
	p := draft.Proposal{ID: x.state.ID, DraftID: x.draft.ID, BaseVersion: x.base.Number, Author: x.wish.Author, Reason: clip(x.wish.Feedback, 2000), Status: draft.ProposalOpen, Hunks: []draft.Hunk{}}
	for i, h := range x.state.Hunks {
		hunk := draft.Hunk{ID: fmt.Sprintf("h%d", i+1), Start: h.Start, End: h.End, Old: h.Old, New: h.New.Text, Status: draft.HunkOpen}
		for _, c := range h.New.Claims {
			if len(c.Spans) > 0 {
				hunk.Citations = append(hunk.Citations, draft.Citation{ID: c.ID, Claim: draft.Claim{Start: c.Start, End: c.Start + len(c.Text), Text: c.Text}, Verdict: c.Verdict, Spans: c.Spans})
			}
		}
		p.Hunks = append(p.Hunks, hunk)
	}
	if t := x.state.Title; t != "" && t != x.base.Title {
		p.Title = &draft.NewTitle{Old: x.base.Title, New: t, Status: draft.HunkOpen}
		out.Title = true
	}
	if out.Hunks = len(p.Hunks); out.Hunks == 0 && p.Title == nil {
		return End, []runs.NewEvent{notice("no_change", "Nothing is to be changed.")}, nil
	}
	if err := x.moved(ctx); err != nil {
		return "", nil, err
	}
	lease := x.job.Lease()
	if _, err := x.writer.Proposals.AddProposal(ctx, lease, p, runs.NewEvent{Type: runs.EventProposal}); err != nil {
		return "", nil, fmt.Errorf("add proposal: %w", err)
	}
	if out.ProposalID = p.ID; !x.wish.Apply {
		return End, nil, nil
	}
	_, version, stale, err := x.writer.Proposals.Apply(ctx, lease, x.draft.ID, p.ID, x.wish.Author, runs.NewEvent{Type: runs.EventVersion})
	if err != nil {
		return "", nil, fmt.Errorf("apply proposal: %w", err)
	}
	out.Version = version
	if len(stale) > 0 {
		return End, []runs.NewEvent{notice("stale", "The draft was changed meanwhile, so %s could not be applied; the proposal has what is left of it.", strings.Join(stale, ", "))}, nil
	}
	return End, nil, nil
}
