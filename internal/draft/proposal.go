package draft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"byline/internal/engine/textdiff"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// ProposalStatus is what has become of a proposal.
type ProposalStatus string

// The states of a proposal. One that was accepted partly has hunks that can still be accepted, unless it was rejected since.
const (
	ProposalOpen     ProposalStatus = "open"
	ProposalAccepted ProposalStatus = "accepted"
	ProposalRejected ProposalStatus = "rejected"
	ProposalPartly   ProposalStatus = "partly"
	ProposalStale    ProposalStatus = "stale" // nothing of what is left of it fits the text any more
)

// The states of a hunk.
const (
	HunkOpen     = "open"
	HunkAccepted = "accepted"
	HunkRejected = "rejected"
)

// TitleHunk names the new title where hunks are named.
const TitleHunk = "title"

// Proposal is a change of a version that is offered, to accept or reject hunk by hunk. Its JSON is its shape on the wire and in the store.
type Proposal struct {
	ID          string         `json:"id"`
	DraftID     string         `json:"draft_id"`
	BaseVersion int            `json:"base_version"`
	Author      string         `json:"author,omitempty"` // who asked for it; empty without accounts
	Reason      string         `json:"reason"`
	Title       *NewTitle      `json:"title,omitempty"`
	Hunks       []Hunk         `json:"hunks"`
	Status      ProposalStatus `json:"status"`
	Version     int            `json:"version,omitempty"` // that accepting it made last
	RunID       string         `json:"run_id,omitempty"`
	CreatedAt   time.Time      `json:"created_at"`
}

// Hunk replaces a stretch of the base version's content.
type Hunk struct {
	ID        string     `json:"id"`
	Start     int        `json:"start"` // UTF-8 byte offsets in the base version's content
	End       int        `json:"end"`
	Old       string     `json:"old"`
	New       string     `json:"new"`
	Citations []Citation `json:"citations,omitempty"` // of sentences of New; their offsets are in New
	Status    string     `json:"status"`
}

// NewTitle is a title that is proposed.
type NewTitle struct {
	Old    string `json:"old"`
	New    string `json:"new"`
	Status string `json:"status"`
}

// Refinement is the input of a refine run.
type Refinement struct {
	Feedback   string     `json:"feedback"`
	Selection  *Selection `json:"selection,omitempty"` // nil: all of it
	Apply      bool       `json:"apply,omitempty"`     // accept what comes of it at once
	DraftID    string     `json:"draft_id"`
	Version    int        `json:"version"`                // what was the newest one when it was asked for
	Author     string     `json:"author,omitempty"`       // the user who asked
	Provider   string     `json:"llm_provider,omitempty"` // empty: the configured one
	Model      string     `json:"llm_model,omitempty"`
	StyleGuide string     `json:"style_guide,omitempty"`
}

// Selection is a stretch of a version's content.
type Selection struct {
	Start int `json:"start"` // UTF-8 byte offsets
	End   int `json:"end"`
}

// Decision is what becomes of a proposal, and of the draft with it.
type Decision struct {
	Proposal Proposal // as it is to be
	Was      Proposal // as it was read: another state by now is ErrMoved
	Match    int      // the version that was the newest: another one by now is ErrMoved
	Version  *Version // to add; nil: the text stays
	RunID    string   // of the run that adds it
}

// ErrMoved says that somebody else was faster; what was decided must be worked out anew.
var ErrMoved = fault.New(fault.Conflict, "moved", "The draft was changed at the same time.")

// Changes is the store of proposals and of what was done with a draft. Each method is one transaction; all is scoped by workspace.
type Changes interface {
	// Refine creates the run that makes a proposal. A draft that is being written, or has no version, is fault.Conflict. match is the
	// version that the person saw, 0 for whichever is the newest; the run works on it.
	Refine(ctx context.Context, ws ident.Workspace, match int, r Refinement, once *ident.Once) (runs.Run, error)
	// AddProposal is the fenced write of a run. The same id again adds nothing and gives what is there. An event proposal.ready without
	// data gets the proposal.
	AddProposal(ctx context.Context, l runs.Lease, p Proposal, events ...runs.NewEvent) (Proposal, error)
	// Proposals lists those of a draft, newest first. cursor is the id of the last one of the page before.
	Proposals(ctx context.Context, ws ident.Workspace, draftID, cursor string, limit int) (page []Proposal, total int, err error)
	Proposal(ctx context.Context, ws ident.Workspace, draftID, id string) (Proposal, error)
	// Decide writes a decision. With a lease it is the fenced write of a run; an event version.created without data gets the version's.
	Decide(ctx context.Context, ws ident.Workspace, l *runs.Lease, d Decision, events ...runs.NewEvent) (Proposal, error)
	// Walk goes back (steps -1) or forth (1) in what was done, or back to a version, as a new version. match is as in Refine.
	Walk(ctx context.Context, ws ident.Workspace, draftID string, match int, w Walk, once *ident.Once) (Draft, error)
}

// Walk is a way through the versions of a draft.
type Walk struct {
	Steps   int    // -1: undo, 1: redo
	Version int    // to restore, when Steps is 0
	Author  string // who does it
}

// Refine asks for a change of a draft in words.
func (s *Service) Refine(ctx context.Context, ws ident.Workspace, match int, r Refinement, once *ident.Once) (runs.Run, error) {
	if r.Feedback = strings.TrimSpace(r.Feedback); r.Feedback == "" {
		return runs.Run{}, fault.Bad("body.feedback", "required", "Say what should change.")
	}
	d, err := s.Draft(ctx, ws, r.DraftID)
	if err != nil {
		return runs.Run{}, err
	}
	if sel := r.Selection; sel != nil {
		if match == 0 { // its offsets are of the text that was looked at here
			match = d.Version
		}
		if sel.Start < 0 || sel.End <= sel.Start || sel.End > len(d.Content) || !utf8.RuneStart(d.Content[sel.Start]) || sel.End < len(d.Content) && !utf8.RuneStart(d.Content[sel.End]) {
			return runs.Run{}, fault.Bad("body.selection", "bad_selection", "The selection is two UTF-8 byte offsets in the content of the newest version, which has %d bytes; the first one before the second, both where a character begins.", len(d.Content))
		}
	}
	if r.StyleGuide, err = s.StyleGuide(ctx, ws); err != nil {
		return runs.Run{}, err
	}
	return s.Changes.Refine(ctx, ws, match, r, once)
}

// tries is how often a decision is worked out anew when somebody else was faster.
const tries = 20

// Accept takes hunks of a proposal over as a new version: those named, or all that are open. Either all of them fit, or none is taken and
// fault.Conflict with the code stale names those that do not. What was accepted before is accepted still.
func (s *Service) Accept(ctx context.Context, ws ident.Workspace, draftID, id string, hunks []string, author string) (Proposal, error) {
	for range tries {
		p, dec, bad, err := s.accepting(ctx, ws, draftID, id, hunks, author)
		switch {
		case err != nil || dec == nil && bad == nil:
			return p, err
		case dec == nil:
			return p, staleProposal(p, *bad)
		}
		if p, err = s.Decide(ctx, ws, nil, *dec); errors.Is(err, ErrMoved) {
			continue
		}
		if err == nil && bad != nil {
			err = staleProposal(p, *bad)
		}
		return p, err
	}
	return Proposal{}, ErrMoved
}

// stuck is what does not fit the newest version of what is to be accepted, and what is open and does.
type stuck struct{ ids, fits []string }

func staleProposal(p Proposal, s stuck) error {
	say := "The text has changed under this proposal since version %d: what %s would replace is not there any more, or stands there more than once."
	args := []any{p.BaseVersion, strings.Join(s.ids, ", ")}
	if len(s.fits) > 0 {
		say += " Nothing was changed. You can still accept %s."
		args = append(args, strings.Join(s.fits, ", "))
	} else {
		say += " Ask for the change again; it is made on the newest version then."
	}
	f := fault.New(fault.Conflict, "stale", say, args...)
	for _, id := range s.ids {
		f.Fields = append(f.Fields, fault.Field{Location: "hunks." + id, Code: "stale", Message: "The text at its place has changed."})
	}
	return f
}

// accepting works out what accepting comes to. Neither a decision nor what is stuck: all was accepted before. Both: nothing that is open
// fits, and the decision says so.
func (s *Service) accepting(ctx context.Context, ws ident.Workspace, draftID, id string, hunks []string, author string) (Proposal, *Decision, *stuck, error) {
	d, err := s.Draft(ctx, ws, draftID)
	if err != nil {
		return Proposal{}, nil, nil, err
	}
	now, err := s.Version(ctx, ws, draftID, d.Version)
	if err != nil && d.Version > 0 {
		return Proposal{}, nil, nil, err
	}
	// It is read behind the text: what is open in it is not in that text, whoever accepts at the same time.
	p, err := s.Proposal(ctx, ws, draftID, id)
	if err != nil {
		return p, nil, nil, err
	}
	wanted, err := p.choose(hunks, HunkAccepted)
	if err != nil || len(wanted) == 0 {
		return p, nil, nil, err
	}
	if d.Status == Generating {
		return p, nil, nil, fault.New(fault.Conflict, "generating", "The draft is being written. Wait until it is done, or cancel its run.")
	}
	base, err := s.Version(ctx, ws, draftID, p.BaseVersion)
	if err != nil {
		return p, nil, nil, err
	}
	dec, bad := p.accept(wanted, base, now, author)
	return p, dec, bad, nil
}

// accept puts wanted hunks into the newest version.
func (p Proposal) accept(wanted []string, base, now Version, author string) (*Decision, *stuck) {
	dec := &Decision{Proposal: p.clone(), Was: p, Match: now.Number}
	var bad stuck
	fits := func(id string, ok bool) bool { // and is wanted
		chosen := slices.Contains(wanted, id)
		switch {
		case ok:
			bad.fits = append(bad.fits, id)
		case chosen:
			bad.ids = append(bad.ids, id)
		}
		return ok && chosen
	}
	title := now.Title
	if t := dec.Proposal.Title; t != nil && t.Status == HunkOpen && fits(TitleHunk, now.Title == t.Old) {
		title, t.Status = t.New, HunkAccepted
	}
	var changes []change
	for i, place := range p.places(base.Content, now.Content) {
		if h := &dec.Proposal.Hunks[i]; h.Status == HunkOpen && fits(h.ID, place.OK) {
			h.Status = HunkAccepted
			changes = append(changes, change{place.Start, place.End, *h})
		}
	}
	switch {
	case len(bad.ids) == 0:
		content, citations := put(now.Content, now.Citations, changes)
		dec.Proposal.Version = now.Number + 1
		dec.Version = &Version{Author: author, Cause: CauseRefine, Title: title, Content: content, Message: clip(p.Reason, 500), Words: len(strings.Fields(content)), Citations: citations}
		dec.Proposal.settle()
		return dec, nil
	case len(bad.fits) > 0:
		return nil, &bad
	}
	dec.Proposal = p.clone()
	dec.Proposal.Status = ProposalStale
	return dec, &bad
}

// places finds where the hunks stand in the newest version.
func (p Proposal) places(base, now string) []textdiff.Place {
	hunks := make([]textdiff.Hunk, len(p.Hunks))
	for i, h := range p.Hunks {
		hunks[i] = textdiff.Hunk{Start: h.Start, End: h.End, Old: h.Old, New: h.New}
	}
	return textdiff.Fit(base, now, hunks)
}

// change is a hunk at its place in the newest version.
type change struct {
	start, end int
	Hunk
}

// put makes the text with changes, and its citations: those of untouched sentences as they are, and those that the hunks bring.
func put(content string, citations []Citation, changes []change) (string, []Citation) {
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var b strings.Builder
	var out []Citation
	at, next := 0, 0
	keep := func(until int) { // citations whose sentences stand whole before a place
		shift := b.Len() - at
		for ; next < len(citations) && citations[next].Claim.Start < until; next++ {
			if c := citations[next]; c.Claim.Start >= at && c.Claim.End <= until {
				c.Claim.Start, c.Claim.End = c.Claim.Start+shift, c.Claim.End+shift
				out = append(out, c)
			}
		}
	}
	citations = slices.Clone(citations)
	slices.SortStableFunc(citations, func(a, b Citation) int { return a.Claim.Start - b.Claim.Start })
	for _, h := range changes {
		keep(h.start)
		b.WriteString(content[at:h.start])
		for _, c := range h.Citations {
			c.ID = ""
			c.Claim.Start, c.Claim.End = c.Claim.Start+b.Len(), c.Claim.End+b.Len()
			out = append(out, c)
		}
		b.WriteString(h.New)
		at = h.end
	}
	keep(len(content) + 1)
	b.WriteString(content[at:])
	return b.String(), out
}

// Reject turns hunks of a proposal down: those named, or all that are open. What was accepted stays in the text.
func (s *Service) Reject(ctx context.Context, ws ident.Workspace, draftID, id string, hunks []string) (Proposal, error) {
	for range tries {
		p, err := s.Proposal(ctx, ws, draftID, id)
		if err != nil {
			return Proposal{}, err
		}
		wanted, err := p.choose(hunks, HunkRejected)
		if err != nil || len(wanted) == 0 {
			return p, err
		}
		dec := Decision{Proposal: p.clone(), Was: p}
		for i := range dec.Proposal.Hunks {
			if h := &dec.Proposal.Hunks[i]; slices.Contains(wanted, h.ID) {
				h.Status = HunkRejected
			}
		}
		if t := dec.Proposal.Title; t != nil && slices.Contains(wanted, TitleHunk) {
			t.Status = HunkRejected
		}
		dec.Proposal.settle()
		if p, err = s.Decide(ctx, ws, nil, dec); !errors.Is(err, ErrMoved) {
			return p, err
		}
	}
	return Proposal{}, ErrMoved
}

// choose gives the ids of the hunks that a decision is about and that are open: those named, or all. Named ones that went the other way
// are fault.Conflict; so is a decision about all when all went the other way.
func (p Proposal) choose(named []string, to string) (ids []string, err error) {
	states := p.states()
	if named == nil {
		opposite := 0
		for _, id := range p.ids() {
			switch states[id] {
			case HunkOpen:
				ids = append(ids, id)
			case to:
			default:
				opposite++
			}
		}
		if opposite == len(states) {
			return nil, fault.New(fault.Conflict, "already_decided", "This proposal was %s already. Ask for the change again, or undo it.", p.Status)
		}
		return ids, nil
	}
	var wrong []fault.Field
	for _, id := range named {
		switch state, ok := states[id]; {
		case !ok:
			return nil, fault.Bad("body.hunks", "unknown_hunk", "This proposal has no hunk %q; it has %s.", id, strings.Join(p.ids(), ", "))
		case state == HunkOpen:
			ids = append(ids, id)
		case state != to:
			wrong = append(wrong, fault.Field{Location: "hunks." + id, Code: "already_decided", Message: fmt.Sprintf("Hunk %s was %s already.", id, state)})
		}
	}
	if wrong != nil {
		f := fault.New(fault.Conflict, "already_decided", "%s Nothing was changed.", wrong[0].Message)
		f.Fields = wrong
		return nil, f
	}
	return ids, nil
}

// ids of the hunks, with the title's.
func (p Proposal) ids() (ids []string) {
	if p.Title != nil {
		ids = append(ids, TitleHunk)
	}
	for _, h := range p.Hunks {
		ids = append(ids, h.ID)
	}
	return ids
}

func (p Proposal) states() map[string]string {
	states := map[string]string{}
	if p.Title != nil {
		states[TitleHunk] = p.Title.Status
	}
	for _, h := range p.Hunks {
		states[h.ID] = h.Status
	}
	return states
}

// open are the ids of hunks that nobody has decided on.
func (p Proposal) open() []string {
	states := p.states()
	return slices.DeleteFunc(p.ids(), func(id string) bool { return states[id] != HunkOpen })
}

// settle makes the proposal's state of that of its hunks.
func (p *Proposal) settle() {
	open, taken, all := 0, 0, 0
	for _, s := range p.states() {
		all++
		switch s {
		case HunkOpen:
			open++
		case HunkAccepted:
			taken++
		}
	}
	switch {
	case taken == all:
		p.Status = ProposalAccepted
	case taken > 0:
		p.Status = ProposalPartly
	case open > 0:
		p.Status = ProposalOpen
	default:
		p.Status = ProposalRejected
	}
}

// clone is a proposal that can be changed.
func (p Proposal) clone() Proposal {
	p.Hunks = slices.Clone(p.Hunks)
	if p.Title != nil {
		t := *p.Title
		p.Title = &t
	}
	return p
}

// Apply is how a run accepts what fits of the proposal that it has made. It tells the version that came of it, 0 where nothing fits, and the
// hunks that do not.
func (s *Service) Apply(ctx context.Context, l runs.Lease, draftID, id, author string, events ...runs.NewEvent) (p Proposal, version int, stale []string, err error) {
	for range tries {
		p, dec, bad, err := s.accepting(ctx, l.Workspace, draftID, id, nil, author)
		if err == nil && p.Status != ProposalOpen { // an attempt before this one has done it
			return p, p.Version, p.open(), nil
		}
		if err == nil && dec == nil && bad != nil {
			stale = bad.ids
			p, dec, _, err = s.accepting(ctx, l.Workspace, draftID, id, bad.fits, author)
		}
		if err != nil || dec == nil {
			return p, p.Version, stale, err
		}
		if dec.RunID = l.RunID; dec.Version == nil {
			stale = bad.ids
			p, err = s.Decide(ctx, l.Workspace, &l, *dec)
		} else {
			p, err = s.Decide(ctx, l.Workspace, &l, *dec, events...)
		}
		if !errors.Is(err, ErrMoved) {
			return p, p.Version, stale, err
		}
	}
	return p, 0, nil, ErrMoved
}

// Comparison is how one version became another.
type Comparison struct {
	From, To Version
	Hunks    []Difference
}

// Difference is a stretch that was changed.
type Difference struct {
	Start, End int // UTF-8 byte offsets in the content of From
	At         int // where New stands in that of To
	Old, New   string
	Words      []Piece
}

// Piece is words that stayed, came or went.
type Piece struct{ Op, Text string }

// Diff compares two versions: 0 as to is the newest, 0 as from the one before.
func (s *Service) Diff(ctx context.Context, ws ident.Workspace, draftID string, from, to int) (Comparison, error) {
	d, err := s.Draft(ctx, ws, draftID)
	if err != nil {
		return Comparison{}, err
	}
	if d.Version == 0 {
		return Comparison{}, fault.New(fault.Conflict, "no_version", "This draft has no text yet. Wait until its run %s has ended.", d.RunID)
	}
	to = cmp.Or(to, d.Version)
	from = cmp.Or(from, max(to-1, 1))
	var out Comparison
	if out.From, err = s.Version(ctx, ws, draftID, from); err != nil {
		return Comparison{}, err
	}
	if out.To, err = s.Version(ctx, ws, draftID, to); err != nil {
		return Comparison{}, err
	}
	for _, h := range textdiff.Diff(out.From.Content, out.To.Content) {
		x := Difference{Start: h.Start, End: h.End, At: h.At, Old: h.Old, New: h.New}
		for _, p := range textdiff.Words(h.Old, h.New) {
			x.Words = append(x.Words, Piece{string(p.Op), p.Text})
		}
		out.Hunks = append(out.Hunks, x)
	}
	return out, nil
}

// clip cuts a text to n bytes, at a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
