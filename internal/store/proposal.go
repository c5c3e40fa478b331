package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

var _ draft.Changes = Drafts{}

const proposalColumns = `p.id, p.draft_id, p.run_id, p.base_version, p.author, p.reason, p.title, p.hunks, p.status, p.version, p.created_at`

func scanProposal(row scanner) (p draft.Proposal, err error) {
	var title, hunks string
	var created int64
	if err = row.Scan(&p.ID, &p.DraftID, &p.RunID, &p.BaseVersion, &p.Author, &p.Reason, &title, &hunks, &p.Status, &p.Version, &created); err != nil {
		return p, err
	}
	p.CreatedAt = timeOf(created)
	if err = json.Unmarshal([]byte(hunks), &p.Hunks); err == nil && title != "" {
		err = json.Unmarshal([]byte(title), &p.Title)
	}
	if err != nil {
		return p, fmt.Errorf("proposal %s: %w", p.ID, err)
	}
	return p, nil
}

// encodeProposal gives the columns that are JSON.
func encodeProposal(p draft.Proposal) (title, hunks string, err error) {
	if p.Hunks == nil {
		p.Hunks = []draft.Hunk{}
	}
	b, err := json.Marshal(p.Hunks)
	if err != nil { // a score that is no number
		return "", "", fault.Bad("citations", "bad_verdict", "A verdict has no valid score.")
	}
	if p.Title != nil {
		t, err := json.Marshal(p.Title)
		return string(t), string(b), err
	}
	return "", string(b), nil
}

// Refine meets draft.Changes.
func (v Drafts) Refine(ctx context.Context, ws ident.Workspace, match int, f draft.Refinement, once *ident.Once) (runs.Run, error) {
	return v.store.runOnce(ctx, ws, once, func(t *tx) (runs.Run, error) {
		d, err := t.changeable(ws, f.DraftID, match)
		if err != nil {
			return runs.Run{}, err
		}
		input := f // the transaction may be tried again
		input.Version = d.Version
		return t.createRun(ws, runs.NewRun{Kind: runs.KindRefine, SessionID: d.SessionID, Input: input, Subject: runs.Subject{Type: subjectDraft, ID: d.ID}})
	})
}

// changeable holds a draft that has a text and is not being written. match is the version that must be its newest, 0 for any.
func (t *tx) changeable(ws ident.Workspace, id string, match int) (draft.Draft, error) {
	d, err := t.lockedDraft(ws, id)
	switch {
	case err != nil:
		return d, err
	case d.Status == draft.Generating:
		return d, fault.New(fault.Conflict, "generating", "The draft is being written. Wait until it is done, or cancel its run.")
	case d.Version == 0:
		return d, fault.New(fault.Conflict, "no_version", "This draft has no text yet. Save one first.")
	case match > 0 && match != d.Version:
		return d, staleDraft(d.Version)
	}
	return d, nil
}

// AddProposal meets draft.Changes.
func (v Drafts) AddProposal(ctx context.Context, l runs.Lease, p draft.Proposal, events ...runs.NewEvent) (added draft.Proposal, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		if _, _, err := t.held(l); err != nil {
			return err
		}
		if _, err := t.lockedDraft(l.Workspace, p.DraftID); err != nil {
			if isMissing(err) {
				return runs.ErrFenced
			}
			return err
		}
		found, err := t.proposal(l.Workspace, p.DraftID, p.ID)
		if err == nil {
			added = found
			return nil
		}
		if !isMissing(err) {
			return err
		}
		if err := t.lockWorkspace(l.Workspace); err != nil { // a deletion of a source came before, or finds it
			return err
		}
		n := p
		if n.Hunks, err = t.alive(l.Workspace, p.Hunks); err != nil {
			return err
		}
		n.CreatedAt, n.RunID = timeOf(t.now), l.RunID
		title, hunks, err := encodeProposal(n)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO proposal (id, draft_id, run_id, base_version, author, reason, title, hunks, status, version, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, n.ID, n.DraftID, n.RunID, n.BaseVersion, n.Author, n.Reason, title, hunks, n.Status, n.Version, t.now); err != nil {
			return err
		}
		added = n
		log := slices.Clone(events)
		for i, e := range log {
			if e.Type == runs.EventProposal && e.Data == nil {
				log[i].Data = n
			}
		}
		return t.appendEvents(l, log...)
	})
	return added, err
}

// alive marks spans whose documents are not there.
func (t *tx) alive(ws ident.Workspace, hunks []draft.Hunk) ([]draft.Hunk, error) {
	var all []draft.Citation
	for _, h := range hunks {
		all = append(all, h.Citations...)
	}
	sources, err := t.quoted(ws, all)
	if err != nil {
		return nil, err
	}
	hunks = slices.Clone(hunks)
	for i := range hunks {
		hunks[i].Citations = slices.Clone(hunks[i].Citations)
		for k := range hunks[i].Citations {
			c := &hunks[i].Citations[k]
			c.Spans = slices.Clone(c.Spans)
			for j := range c.Spans {
				if _, ok := sources[c.Spans[j].DocumentID]; !ok {
					c.Spans[j].Gone = true
				}
			}
		}
	}
	return hunks, nil
}

func (t *tx) proposal(ws ident.Workspace, draftID, id string) (draft.Proposal, error) {
	p, err := scanProposal(t.row(`SELECT `+proposalColumns+` FROM proposal p JOIN draft d ON d.id = p.draft_id WHERE p.id = ? AND p.draft_id = ? AND d.workspace = ?`, id, draftID, ws))
	return p, missing(err, "proposal")
}

// Proposal meets draft.Changes.
func (v Drafts) Proposal(ctx context.Context, ws ident.Workspace, draftID, id string) (p draft.Proposal, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.draft(ws, draftID); err != nil {
			return err
		}
		p, err = t.proposal(ws, draftID, id)
		return err
	})
	return p, err
}

// Proposals meets draft.Changes.
func (v Drafts) Proposals(ctx context.Context, ws ident.Workspace, draftID, cursor string, limit int) (list []draft.Proposal, total int, err error) {
	err = v.store.read(ctx, func(t *tx) error {
		if _, err := t.draft(ws, draftID); err != nil {
			return err
		}
		var w where
		w.and(`p.draft_id = ?`, draftID)
		list, total, err = page(t, pageOf[draft.Proposal]{columns: proposalColumns, from: `proposal p`, id: `p.id`, where: w, cursor: cursor, limit: limit, scan: scanProposal})
		return err
	})
	return list, total, err
}

// Decide meets draft.Changes.
func (v Drafts) Decide(ctx context.Context, ws ident.Workspace, l *runs.Lease, dec draft.Decision, events ...runs.NewEvent) (decided draft.Proposal, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		if l != nil {
			if _, _, err := t.held(*l); err != nil {
				return err
			}
		}
		d, err := t.lockedDraft(ws, dec.Proposal.DraftID)
		if err != nil {
			return err
		}
		if err := t.unmoved(ws, d, dec); err != nil {
			return err
		}
		title, hunks, err := encodeProposal(dec.Proposal)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE proposal SET title = ?, hunks = ?, status = ?, version = ? WHERE id = ?`, title, hunks, dec.Proposal.Status, dec.Proposal.Version, dec.Proposal.ID); err != nil {
			return err
		}
		decided = dec.Proposal
		log := slices.Clone(events)
		if dec.Version != nil {
			added, err := t.newest(&d, *dec.Version, dec.RunID)
			if err != nil {
				return err
			}
			for i, e := range log {
				if e.Type == runs.EventVersion && e.Data == nil {
					log[i].Data = versionCreated{DraftID: d.ID, VersionID: added.ID, Number: added.Number, Words: added.Words}
				}
			}
		}
		if l == nil {
			return nil
		}
		return t.appendEvents(*l, log...)
	})
	return decided, err
}

// unmoved is draft.ErrMoved when a decision was made of what is not so any more.
func (t *tx) unmoved(ws ident.Workspace, d draft.Draft, dec draft.Decision) error {
	found, err := t.proposal(ws, d.ID, dec.Proposal.ID)
	if err != nil {
		return err
	}
	title, hunks, err := encodeProposal(found)
	if err != nil {
		return err
	}
	wasTitle, wasHunks, err := encodeProposal(dec.Was)
	switch {
	case err != nil:
		return err
	case title != wasTitle || hunks != wasHunks || found.Status != dec.Was.Status:
		return draft.ErrMoved
	case dec.Version != nil && (d.Version != dec.Match || d.Status == draft.Generating):
		return draft.ErrMoved
	}
	return nil
}

// newest adds a version to a draft that is held, with new ids for citations that another version has.
func (t *tx) newest(d *draft.Draft, v draft.Version, run string) (draft.Version, error) {
	v.Citations = slices.Clone(v.Citations)
	for i := range v.Citations {
		v.Citations[i].ID = ""
	}
	d.Title = v.Title
	if d.Status == draft.Failed {
		d.Status = draft.Open // a person took over
	}
	added, err := t.addVersion(d, v, run)
	if err != nil {
		return added, err
	}
	return added, t.updateDraft(*d)
}

// turn keeps which version's text stands now, and which ones can be done again.
func (t *tx) turn(draftID string, head int, redo []int) error {
	list := []byte("[]")
	if len(redo) > 0 {
		list, _ = json.Marshal(redo) // numbers
	}
	_, err := t.exec(`UPDATE draft SET undo_head = ?, redo = ? WHERE id = ?`, head, string(list), draftID)
	return err
}

// Walk meets draft.Changes.
func (v Drafts) Walk(ctx context.Context, ws ident.Workspace, draftID string, match int, w draft.Walk, once *ident.Once) (d draft.Draft, err error) {
	err = v.store.write(ctx, laneEvents, func(t *tx) error {
		m, repeated, err := t.once(ws, once)
		if err != nil {
			return err
		}
		if repeated {
			d, err = t.draft(ws, m.Resource)
			return err
		}
		at, err := t.changeable(ws, draftID, match)
		if err != nil {
			return err
		}
		to, head, redo, err := t.way(at, w)
		if err != nil {
			return err
		}
		if to != at.Version || w.Steps != 0 {
			old, err := t.version(`v.draft_id = ? AND v.number = ?`, draftID, to)
			if err != nil {
				return missing(err, "version")
			}
			old.Author, old.Cause, old.Message = w.Author, draft.CauseRestore, draft.AsIn(to)
			if _, err := t.newest(&at, old, ""); err != nil {
				return err
			}
			if w.Steps != 0 {
				if err := t.turn(draftID, head, redo); err != nil {
					return err
				}
			}
		}
		if err := t.remember(ws, once, made{Resource: draftID}); err != nil {
			return err
		}
		d, err = t.draft(ws, draftID)
		return err
	})
	return d, err
}

// way tells which version's text is to come back, and where undo and redo stand then.
func (t *tx) way(d draft.Draft, w draft.Walk) (to, head int, redo []int, err error) {
	var list string
	if err := t.row(`SELECT undo_head, redo FROM draft WHERE id = ?`, d.ID).Scan(&head, &list); err != nil {
		return 0, 0, nil, err
	}
	if err := json.Unmarshal([]byte(list), &redo); err != nil {
		return 0, 0, nil, fmt.Errorf("redo of draft %s: %w", d.ID, err)
	}
	switch {
	case w.Steps == 0:
		return w.Version, 0, nil, nil
	case w.Steps > 0:
		if len(redo) == 0 {
			return 0, 0, nil, fault.New(fault.Conflict, "nothing_to_redo", "Nothing was undone that could be done again.")
		}
		to = redo[len(redo)-1]
		return to, to, redo[:len(redo)-1], nil
	}
	if err := t.row(`SELECT follows FROM draft_version WHERE draft_id = ? AND number = ?`, d.ID, head).Scan(&to); err != nil {
		return 0, 0, nil, err
	}
	if to == 0 {
		return 0, 0, nil, fault.New(fault.Conflict, "nothing_to_undo", "This is the first text of the draft; there is nothing before it.")
	}
	return to, to, append(redo, head), nil
}

// orphanProposals marks what proposals quote of a document that goes away.
func (t *tx) orphanProposals(ws ident.Workspace, documentID string, purge bool) error {
	list, err := all(t, scanProposal, `SELECT `+proposalColumns+` FROM proposal p JOIN draft d ON d.id = p.draft_id
		WHERE d.workspace = ? AND `+contains(`p.hunks`)+` ORDER BY p.id`, ws, encodeItem(documentID))
	if err != nil {
		return err
	}
	for _, p := range list {
		for i := range p.Hunks {
			for k := range p.Hunks[i].Citations {
				if c := &p.Hunks[i].Citations[k]; slices.ContainsFunc(c.Spans, func(s draft.Span) bool { return s.DocumentID == documentID }) {
					orphan(c, documentID, purge)
				}
			}
		}
		_, hunks, err := encodeProposal(p)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE proposal SET hunks = ? WHERE id = ?`, hunks, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// orphan marks the spans of a citation that lie in a document that goes away, and with purge takes its words out.
func orphan(c *draft.Citation, documentID string, purge bool) {
	quotes := false
	for i := range c.Spans {
		if sp := &c.Spans[i]; sp.DocumentID == documentID {
			quotes = true
			if sp.Gone = true; purge {
				sp.Quote, sp.Title, sp.Before, sp.After = "", "", "", ""
			}
		}
	}
	if quotes && purge {
		c.Claim.Text = ""
		c.Verdict.Reasons, c.Verdict.Missing, c.Verdict.Evidence = nil, nil, nil // they have words of the text too
	}
}
