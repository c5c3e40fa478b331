package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
)

// selectionBody is a stretch of a draft's content.
type selectionBody struct {
	Strict
	Start int `json:"start" minimum:"0" doc:"UTF-8 byte offset in the content of the newest version, or of that of If-Match"`
	End   int `json:"end" minimum:"1"`
}

type refineIn struct {
	DraftPath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	IfMatch string `header:"If-Match" doc:"The ETag of the version that is meant; without it, the newest"`
	RawBody []byte
	Body    struct {
		Strict
		Feedback  string         `json:"feedback" minLength:"1" maxLength:"20000" doc:"What should change, in words"`
		Selection *selectionBody `json:"selection,omitempty" doc:"Only this part may change; without it, all of it"`
		Mode      string         `json:"mode,omitempty" enum:"proposal,apply" default:"proposal" doc:"apply: accept what comes of it at once"`
		Provider  string         `json:"llm_provider,omitempty" maxLength:"50" doc:"Which provider of models edits; offline does without one"`
		Model     string         `json:"llm_model,omitempty" maxLength:"200"`
	}
}

func (s *server) refine(ctx context.Context, in *refineIn) (*huma.StreamResponse, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	match, err := maybeMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := in.Body
	wish := draft.Refinement{DraftID: in.ID, Feedback: b.Feedback, Apply: b.Mode == "apply", Author: userOf(ctx).ID, Provider: b.Provider, Model: b.Model}
	if b.Selection != nil {
		wish.Selection = &draft.Selection{Start: b.Selection.Start, End: b.Selection.End}
	}
	r, err := s.Drafts.Refine(ctx, workspaceOf(ctx), match, wish, onceOf(in.Key, "refine "+in.ID+" "+in.IfMatch, in.RawBody))
	if err != nil {
		return nil, err
	}
	return s.begun(ctx, r, runBody{toRun(r)}), nil
}

// begun answers with a run: its events for who asked for a stream, else what is to be said of it.
func (s *server) begun(ctx context.Context, r runs.Run, body any) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		req, resp := humago.Unwrap(c)
		resp.Header().Set("Location", "/api/v1/runs/"+r.ID)
		if wantsStream(req) {
			s.stream(resp, req.WithContext(c.Context()), r.ID, 0)
			return
		}
		if err := writeJSON(resp, http.StatusAccepted, body); err != nil {
			s.log.DebugContext(ctx, "write answer", "error", err)
		}
	}}
}

// maybeMatch is parseMatch where If-Match may be missing: 0 is any version.
func maybeMatch(h string) (int, error) {
	if h == "" {
		return 0, nil
	}
	return parseMatch(h)
}

type hunkShape struct {
	ID        string          `json:"id"`
	Start     int             `json:"start" doc:"UTF-8 byte offset in the base version's content"`
	End       int             `json:"end"`
	Old       string          `json:"old"`
	New       string          `json:"new"`
	Citations []citationShape `json:"citations,omitempty" doc:"Of sentences of new; their claims' offsets are in new"`
	Status    string          `json:"status" enum:"open,accepted,rejected"`
}

type newTitleShape struct {
	Old    string `json:"old"`
	New    string `json:"new"`
	Status string `json:"status" enum:"open,accepted,rejected"`
}

type proposalShape struct {
	ID          string         `json:"id"`
	DraftID     string         `json:"draft_id"`
	BaseVersion int            `json:"base_version"`
	Author      string         `json:"author,omitempty" doc:"The user who asked for it"`
	Reason      string         `json:"reason"`
	Title       *newTitleShape `json:"title,omitempty" doc:"A new title; it is named title among hunks"`
	Hunks       []hunkShape    `json:"hunks"`
	Status      string         `json:"status" enum:"open,accepted,rejected,partly,stale" doc:"partly: some hunks were accepted. stale: none that is open fits the text any more"`
	Version     int            `json:"version,omitempty" doc:"That accepting it made last"`
	RunID       string         `json:"run_id,omitempty"`
	CreatedAt   time.Time      `json:"created_at"`
}

func toProposal(p draft.Proposal) proposalShape {
	out := proposalShape{ID: p.ID, DraftID: p.DraftID, BaseVersion: p.BaseVersion, Author: p.Author, Reason: p.Reason, Hunks: []hunkShape{}, Status: string(p.Status),
		Version: p.Version, RunID: p.RunID, CreatedAt: p.CreatedAt.UTC()}
	if t := p.Title; t != nil {
		out.Title = &newTitleShape{t.Old, t.New, t.Status}
	}
	for _, h := range p.Hunks {
		out.Hunks = append(out.Hunks, hunkShape{h.ID, h.Start, h.End, h.Old, h.New, toCitations(h.Citations), h.Status})
	}
	return out
}

type listProposalsIn struct {
	DraftPath
	CursorIn
}

type proposalsOut struct {
	Body struct {
		Proposals []proposalShape `json:"proposals"`
		Total     int             `json:"total"`
		Next      *string         `json:"next" nullable:"true"`
	}
}

func (s *server) listProposals(ctx context.Context, in *listProposalsIn) (*proposalsOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	page, total, err := s.Drafts.Proposals(ctx, workspaceOf(ctx), in.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &proposalsOut{}
	out.Body.Proposals, out.Body.Total = make([]proposalShape, 0, len(page)), total
	for _, p := range page {
		out.Body.Proposals = append(out.Body.Proposals, toProposal(p))
	}
	out.Body.Next = next(page, in.Limit, func(p draft.Proposal) string { return p.ID })
	return out, nil
}

// ProposalPath names a proposal of a draft.
type ProposalPath struct {
	DraftPath
	Proposal string `path:"proposal_id"`
}

func (p ProposalPath) check() error {
	if err := idParam("draft", p.ID); err != nil {
		return err
	}
	return idParam("proposal", p.Proposal)
}

type decideIn struct {
	ProposalPath
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Not needed: deciding the same again changes nothing"`
	Body *struct {
		Strict
		Hunks []string `json:"hunks,omitempty" maxItems:"1000" doc:"Ids of hunks, and title; without them, all that are open"`
	}
}

func (in *decideIn) hunks() []string {
	if in.Body == nil || len(in.Body.Hunks) == 0 {
		return nil
	}
	return in.Body.Hunks
}

type proposalOut struct{ Body proposalShape }

func (s *server) getProposal(ctx context.Context, in *ProposalPath) (*proposalOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	p, err := s.Drafts.Proposal(ctx, workspaceOf(ctx), in.ID, in.Proposal)
	if err != nil {
		return nil, err
	}
	return &proposalOut{toProposal(p)}, nil
}

func (s *server) acceptProposal(ctx context.Context, in *decideIn) (*proposalOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	p, err := s.Drafts.Accept(ctx, workspaceOf(ctx), in.ID, in.Proposal, in.hunks(), userOf(ctx).ID)
	if err != nil {
		return nil, err
	}
	return &proposalOut{toProposal(p)}, nil
}

func (s *server) rejectProposal(ctx context.Context, in *decideIn) (*proposalOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	p, err := s.Drafts.Reject(ctx, workspaceOf(ctx), in.ID, in.Proposal, in.hunks())
	if err != nil {
		return nil, err
	}
	return &proposalOut{toProposal(p)}, nil
}

type walkIn struct {
	DraftPath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	IfMatch string `header:"If-Match" doc:"The ETag of the version that is meant to be the newest; without it, whichever is"`
}

func (s *server) walk(ctx context.Context, in walkIn, w draft.Walk, once *ident.Once) (*draftOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	match, err := maybeMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	w.Author = userOf(ctx).ID
	d, err := s.Drafts.Walk(ctx, workspaceOf(ctx), in.ID, match, w, once)
	if err != nil {
		return nil, err
	}
	return toDraftOut(d), nil
}

func (s *server) undo(ctx context.Context, in *walkIn) (*draftOut, error) {
	return s.walk(ctx, *in, draft.Walk{Steps: -1}, onceOf(in.Key, "undo "+in.ID, nil))
}

func (s *server) redo(ctx context.Context, in *walkIn) (*draftOut, error) {
	return s.walk(ctx, *in, draft.Walk{Steps: 1}, onceOf(in.Key, "redo "+in.ID, nil))
}

type restoreIn struct {
	VersionPath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	IfMatch string `header:"If-Match" doc:"The ETag of the version that is meant to be the newest; without it, whichever is"`
}

func (s *server) restore(ctx context.Context, in *restoreIn) (*draftOut, error) {
	what := "restore " + in.ID + " " + etag(in.Number)
	return s.walk(ctx, walkIn{DraftPath: in.DraftPath, IfMatch: in.IfMatch}, draft.Walk{Version: in.Number}, onceOf(in.Key, what, nil))
}

type diffIn struct {
	DraftPath
	From int `query:"from" minimum:"0" doc:"A version; without it, the one before to"`
	To   int `query:"to" minimum:"0" doc:"A version; without it, the newest"`
}

type pieceShape struct {
	Op   string `json:"op" enum:"equal,insert,delete"`
	Text string `json:"text"`
}

type changeShape struct {
	Start int          `json:"start" doc:"UTF-8 byte offset in the content of from"`
	End   int          `json:"end"`
	At    int          `json:"at" doc:"Where new stands in the content of to"`
	Old   string       `json:"old"`
	New   string       `json:"new"`
	Words []pieceShape `json:"words" doc:"The same word by word"`
}

type diffOut struct {
	Body struct {
		From     int           `json:"from"`
		To       int           `json:"to"`
		OldTitle string        `json:"old_title"`
		NewTitle string        `json:"new_title"`
		Hunks    []changeShape `json:"hunks"`
	}
}

func (s *server) diff(ctx context.Context, in *diffIn) (*diffOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	d, err := s.Drafts.Diff(ctx, workspaceOf(ctx), in.ID, in.From, in.To)
	if err != nil {
		return nil, err
	}
	out := &diffOut{}
	b := &out.Body
	b.From, b.To, b.OldTitle, b.NewTitle, b.Hunks = d.From.Number, d.To.Number, d.From.Title, d.To.Title, []changeShape{}
	for _, h := range d.Hunks {
		c := changeShape{Start: h.Start, End: h.End, At: h.At, Old: h.Old, New: h.New}
		for _, p := range h.Words {
			c.Words = append(c.Words, pieceShape(p))
		}
		b.Hunks = append(b.Hunks, c)
	}
	return out, nil
}
