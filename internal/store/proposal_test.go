package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// refine asks for a change of a draft and takes its run.
func (l library) refine(d draft.Draft) (runs.Run, runs.Lease) {
	l.Helper()
	_, err := l.Drafts().Refine(l.ctx, l.mine, 0, draft.Refinement{DraftID: d.ID, Feedback: "shorter"}, nil)
	l.ok(err)
	r, lease, ok, err := l.Claim(l.ctx, "test", []runs.Kind{runs.KindRefine})
	l.ok(err)
	if !ok {
		l.Fatal("no refine run is due")
	}
	return r, lease
}

// offer makes a proposal that replaces the first words of the newest version.
func (l library) offer(d draft.Draft, doc document.Document) (draft.Proposal, runs.Lease) {
	l.Helper()
	_, lease := l.refine(d)
	v, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
	l.ok(err)
	span := v.Citations[0].Spans[0]
	p, err := l.Drafts().AddProposal(l.ctx, lease, draft.Proposal{ID: ident.New(), DraftID: d.ID, BaseVersion: d.Version, Author: "ann", Reason: "shorter frobozz",
		Title: &draft.NewTitle{Old: d.Title, New: "Changed", Status: draft.HunkOpen}, Status: draft.ProposalOpen,
		Hunks: []draft.Hunk{
			{ID: "h1", Start: 0, End: 3, Old: d.Content[:3], New: "New words.", Status: draft.HunkOpen,
				Citations: []draft.Citation{{Claim: draft.Claim{End: 10, Text: "New words."}, Verdict: draft.Verdict{Label: draft.Supported, Score: 1}, Spans: []draft.Span{span}}}},
		}}, runs.NewEvent{Type: runs.EventProposal})
	l.ok(err)
	return p, lease
}

func TestProposals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		d := l.written(l.mine, doc)
		p, lease := l.offer(d, doc)
		again, err := l.Drafts().AddProposal(l.ctx, lease, draft.Proposal{ID: p.ID, DraftID: d.ID}, runs.NewEvent{Type: runs.EventProposal})
		l.ok(err)
		same(t, "the same proposal of the same run, again", again, p)
		l.end(lease, runs.Completed)
		if _, err := l.Drafts().AddProposal(l.ctx, lease, p); !fenced(err) {
			t.Errorf("a proposal after the end: %v", err)
		}
		events, err := l.Events(l.ctx, lease.RunID, 0, 100)
		l.ok(err)
		told := 0
		for _, e := range events {
			if e.Type != runs.EventProposal {
				continue
			}
			told++
			var shown draft.Proposal
			l.ok(json.Unmarshal(e.Data, &shown))
			same(t, "what is told", shown, p)
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		after, err := l.Drafts().Draft(l.ctx, l.mine, d.ID)
		l.ok(err)
		same(t, "the draft under a proposal", after, d)

		read, err := l.Drafts().Proposal(l.ctx, l.mine, d.ID, p.ID)
		l.ok(err)
		same(t, "proposal", read, p)
		second, lease2 := l.offer(d, doc)
		l.end(lease2, runs.Failed)
		if got, err := l.Drafts().Draft(l.ctx, l.mine, d.ID); err != nil || got.Status != draft.Completed {
			t.Errorf("a failed refinement made the draft %s, %v", got.Status, err)
		}
		list, total, err := l.Drafts().Proposals(l.ctx, l.mine, d.ID, "", 1)
		l.ok(err)
		if total != 2 || len(list) != 1 || list[0].ID != second.ID {
			t.Errorf("%d of %d: %+v", len(list), total, list)
		}
		list, _, err = l.Drafts().Proposals(l.ctx, l.mine, d.ID, second.ID, 5)
		l.ok(err)
		if len(list) != 1 || list[0].ID != p.ID {
			t.Errorf("%+v", list)
		}

		yes := p
		yes.Status, yes.Version = draft.ProposalAccepted, 2
		yes.Hunks = slices.Clone(p.Hunks)
		yes.Hunks[0].Status = draft.HunkAccepted
		dec := draft.Decision{Proposal: yes, Was: p, Match: 1, Version: &draft.Version{Author: "bob", Cause: draft.CauseRefine, Title: "Changed", Content: "New words.", Words: 2, Citations: p.Hunks[0].Citations}}
		old := dec
		old.Match = 7
		if _, err := l.Drafts().Decide(l.ctx, l.mine, nil, old); err != draft.ErrMoved {
			t.Errorf("on another version: %v", err)
		}
		got, err := l.Drafts().Decide(l.ctx, l.mine, nil, dec)
		l.ok(err)
		same(t, "what was decided", got, yes)
		if _, err := l.Drafts().Decide(l.ctx, l.mine, nil, dec); err != draft.ErrMoved {
			t.Errorf("decided twice: %v", err)
		}
		v, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 2)
		l.ok(err)
		if v.Cause != draft.CauseRefine || v.Author != "bob" || v.Content != "New words." || len(v.Citations) != 1 || v.Title != "Changed" {
			t.Errorf("%+v", v)
		}
		l.sound(store.VerifyOptions{})
	})
}

func TestProposalsOfOthersAreMissing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "one\n")
		d := l.written(l.mine, doc)
		p, lease := l.offer(d, doc)
		foreign := lease
		foreign.Workspace = l.foreign
		other := p
		other.ID = ident.New()
		if _, err := l.Drafts().AddProposal(l.ctx, foreign, other); !fenced(err) {
			t.Errorf("into another's draft: %v", err)
		}
		_, err := l.Drafts().Refine(l.ctx, l.foreign, 0, draft.Refinement{DraftID: d.ID}, nil)
		l.gone(err)
		_, err = l.Drafts().Proposal(l.ctx, l.foreign, d.ID, p.ID)
		l.gone(err)
		_, err = l.Drafts().Proposal(l.ctx, l.mine, d.ID, ident.New())
		l.gone(err)
		_, _, err = l.Drafts().Proposals(l.ctx, l.foreign, d.ID, "", 5)
		l.gone(err)
		_, err = l.Drafts().Decide(l.ctx, l.foreign, nil, draft.Decision{Proposal: p, Was: p})
		l.gone(err)
		_, err = l.Drafts().Walk(l.ctx, l.foreign, d.ID, 0, draft.Walk{Steps: -1}, nil)
		l.gone(err)
		l.ok(l.Drafts().Delete(l.ctx, l.mine, d.ID))
		if _, err := l.Drafts().AddProposal(l.ctx, lease, other); !fenced(err) {
			t.Errorf("into a draft that is gone: %v", err)
		}
		_, err = l.Drafts().Proposal(l.ctx, l.mine, d.ID, p.ID)
		l.gone(err)
		l.sweep()
		l.sound(store.VerifyOptions{Contains: []string{"frobozz", "New words."}})
	})
}

func TestRefineNeedsAText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "one\n")
		d, lease := l.generate(l.mine, doc)
		ask := func(match int, once *ident.Once) (runs.Run, error) {
			return l.Drafts().Refine(l.ctx, l.mine, match, draft.Refinement{DraftID: d.ID, Feedback: "x"}, once)
		}
		_, err := ask(0, nil)
		l.refused(err, fault.Conflict, "generating")
		_, err = l.Drafts().Walk(l.ctx, l.mine, d.ID, 0, draft.Walk{Steps: -1}, nil)
		l.refused(err, fault.Conflict, "generating")
		l.end(lease, runs.Failed)
		_, err = ask(0, nil)
		l.refused(err, fault.Conflict, "no_version")
		_, err = l.Drafts().Save(l.ctx, l.mine, d.ID, 0, draft.Edit{Content: ptr("Mine.")})
		l.ok(err)
		_, err = ask(3, nil)
		l.refused(err, fault.Stale, "stale")
		once := &ident.Once{Key: "k", Fingerprint: "f"}
		a, err := ask(1, once)
		l.ok(err)
		b, err := ask(1, once)
		l.ok(err)
		if a.ID != b.ID || a.Kind != runs.KindRefine || a.Subject.ID != d.ID || !strings.Contains(string(a.Input), `"version":1`) {
			t.Errorf("%+v, again %+v", a, b)
		}
		// A failed refinement can be tried again; that leaves the draft as it is.
		_, l2, _, err := l.Claim(l.ctx, "test", []runs.Kind{runs.KindRefine})
		l.ok(err)
		l.end(l2, runs.Failed)
		again, err := l.Requeue(l.ctx, l.mine, a.ID, nil)
		l.ok(err)
		if got, _ := l.Drafts().Draft(l.ctx, l.mine, d.ID); got.Status != draft.Open || again.Kind != runs.KindRefine {
			t.Errorf("%+v, %+v", got, again)
		}
		_, err = l.Cancel(l.ctx, l.mine, again.ID)
		l.ok(err)
		l.sound(store.VerifyOptions{})
	})
}

// What a proposal quotes of a document that goes away is marked, or goes too.
func TestProposalsOfDeletedSources(t *testing.T) {
	for name, purge := range map[string]bool{"kept": false, "purged": true} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				l := newLibrary(t, s)
				doc := l.ready(l.mine, "a.md", "one\n")
				d := l.written(l.mine, doc)
				p, lease := l.offer(d, doc)
				l.end(lease, runs.Completed)
				_, err := l.Delete(l.ctx, l.mine, doc.ID, purge)
				l.ok(err)
				got, err := l.Drafts().Proposal(l.ctx, l.mine, d.ID, p.ID)
				l.ok(err)
				c := got.Hunks[0].Citations[0]
				if !c.Spans[0].Gone || (c.Spans[0].Quote == "") != purge || (c.Claim.Text == "") != purge || got.Hunks[0].New != "New words." {
					t.Errorf("%+v", got.Hunks[0])
				}
				if _, err := l.Drafts().Decide(l.ctx, l.mine, nil, draft.Decision{Proposal: p, Was: p}); err != draft.ErrMoved {
					t.Errorf("with quotes as they were: %v", err)
				}
				late, lease := l.offer(d, doc) // its run had read the document before
				l.end(lease, runs.Completed)
				if !late.Hunks[0].Citations[0].Spans[0].Gone {
					t.Error("a quote of what is gone is not marked")
				}
			})
		})
	}
}

// Decisions at once: one is written, the others are told to look again.
func TestProposalDecidedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", "one\n")
		d := l.written(l.mine, doc)
		p, _ := l.offer(d, doc)
		yes := p
		yes.Status = draft.ProposalAccepted
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = l.Drafts().Decide(l.ctx, l.mine, nil, draft.Decision{Proposal: yes, Was: p, Match: 1, Version: &draft.Version{Content: fmt.Sprint(i), Cause: draft.CauseRefine}})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch err {
			case nil:
				won++
			case draft.ErrMoved:
			default:
				t.Error(err)
			}
		}
		if got, _ := l.Drafts().Draft(l.ctx, l.mine, d.ID); won != 1 || got.Version != 2 {
			t.Errorf("%d were written, version %d", won, got.Version)
		}
	})
}

// past is what undo and redo must do: a list of texts with a place in it.
type past struct {
	texts []string // by version
	line  []string // what was done, in order
	at    int      // what stands now
}

func (p *past) did(text string) {
	p.line = append(p.line[:p.at+1], text)
	p.at++
	p.wrote(text)
}

func (p *past) wrote(text string) { p.texts = append(p.texts, text) }

func TestUndoAndRedoMachine(t *testing.T) {
	path := t.TempDir() + "/byline.db"
	s := storetest.At(t, path)
	reopened := s
	l := newLibrary(t, s)
	doc := l.ready(l.mine, "a.md", "one\n")
	rapid.Check(t, func(rt *rapid.T) {
		l.Store = reopened
		d := l.written(l.mine, doc)
		p := &past{}
		p.line, p.texts = []string{d.Content}, []string{d.Content}
		walk := func(t *rapid.T, w draft.Walk) error {
			var err error
			got, err := l.Drafts().Walk(l.ctx, l.mine, d.ID, d.Version, w, nil)
			if err == nil {
				d = got
			}
			return err
		}
		rt.Repeat(map[string]func(*rapid.T){
			"edit": func(t *rapid.T) {
				text := fmt.Sprintf("Text %d.", rapid.IntRange(0, 5).Draw(t, "text"))
				got, err := l.Drafts().Save(l.ctx, l.mine, d.ID, d.Version, draft.Edit{Content: &text})
				if err != nil {
					t.Fatal(err)
				}
				d = got
				p.did(text)
			},
			"undo": func(t *rapid.T) {
				err := walk(t, draft.Walk{Steps: -1})
				if p.at == 0 {
					if fault.Of(err) == nil || fault.Of(err).Code != "nothing_to_undo" {
						t.Fatalf("undone to before the first text: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				p.at--
				p.wrote(p.line[p.at])
			},
			"redo": func(t *rapid.T) {
				err := walk(t, draft.Walk{Steps: 1})
				if p.at == len(p.line)-1 {
					if fault.Of(err) == nil || fault.Of(err).Code != "nothing_to_redo" {
						t.Fatalf("redone what was not undone: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				p.at++
				p.wrote(p.line[p.at])
			},
			"restore": func(t *rapid.T) {
				n := rapid.IntRange(1, len(p.texts)).Draw(t, "version")
				if err := walk(t, draft.Walk{Version: n}); err != nil {
					t.Fatal(err)
				}
				if n < len(p.texts) {
					p.did(p.texts[n-1])
				}
			},
			"": func(t *rapid.T) {
				if d.Content != p.line[p.at] || d.Version != len(p.texts) || d.Content != p.texts[d.Version-1] {
					t.Fatalf("version %d is %q, want %d, %q", d.Version, d.Content, len(p.texts), p.line[p.at])
				}
			},
		})
	})
}

// Undo goes on after a restart, brings citations back and is done once for a repeated request.
func TestUndoSurvives(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		doc := l.ready(l.mine, "a.md", lines("Ann", 3))
		d := l.written(l.mine, doc)
		first, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 1)
		l.ok(err)
		_, err = l.Drafts().Save(l.ctx, l.mine, d.ID, 1, draft.Edit{Content: ptr("Mine."), Title: ptr("By hand")})
		l.ok(err)
		once := &ident.Once{Key: "undo", Fingerprint: "u"}
		for range 2 {
			got, err := l.Drafts().Walk(l.ctx, l.mine, d.ID, 0, draft.Walk{Steps: -1, Author: "ann"}, once)
			l.ok(err)
			if got.Version != 3 || got.Content != first.Content || got.Title != first.Title {
				t.Errorf("%+v", got)
			}
		}
		v, err := l.Drafts().Version(l.ctx, l.mine, d.ID, 3)
		l.ok(err)
		if v.Cause != draft.CauseRestore || v.Author != "ann" || v.Message != "as in version 1" || len(v.Citations) != len(first.Citations) || v.Citations[0].ID == first.Citations[0].ID {
			t.Errorf("%+v", v)
		}
		same(t, "spans", v.Citations[0].Spans, first.Citations[0].Spans)
		_, err = l.Drafts().Walk(l.ctx, l.mine, d.ID, 2, draft.Walk{Steps: 1}, nil)
		l.refused(err, fault.Stale, "stale")
		_, err = l.Drafts().Walk(l.ctx, l.mine, d.ID, 0, draft.Walk{Version: 9}, nil)
		l.gone(err)
		got, err := l.Drafts().Walk(l.ctx, l.mine, d.ID, 3, draft.Walk{Steps: 1}, nil)
		l.ok(err)
		if got.Content != "Mine." || got.Title != "By hand" || got.Version != 4 {
			t.Errorf("%+v", got)
		}
		l.sound(store.VerifyOptions{})
	})
}

func TestUndoAfterReopen(t *testing.T) {
	path := t.TempDir() + "/byline.db"
	id := ""
	t.Run("before", func(t *testing.T) {
		l := newLibrary(t, storetest.At(t, path))
		d := l.written(l.mine, l.ready(l.mine, "a.md", "one\n"))
		for i := range 3 {
			_, err := l.Drafts().Save(l.ctx, l.mine, d.ID, i+1, draft.Edit{Content: ptr(fmt.Sprint(i))})
			l.ok(err)
		}
		_, err := l.Drafts().Walk(l.ctx, l.mine, d.ID, 0, draft.Walk{Steps: -1}, nil)
		l.ok(err)
		id = d.ID
	})
	s := storetest.At(t, path)
	for _, step := range []struct {
		by   int
		want string
	}{{-1, "0"}, {1, "1"}, {1, "2"}} {
		d, err := s.Drafts().Walk(t.Context(), ident.Local, id, 0, draft.Walk{Steps: step.by}, nil)
		if err != nil || d.Content != step.want {
			t.Errorf("%+v: %q, %v", step, d.Content, err)
		}
	}
}
