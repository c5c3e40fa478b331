package agent_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
)

// refined is what came of a refinement.
type refined struct {
	base     draft.Version
	proposal draft.Proposal
	result   agent.Refined
	failure  runs.Failure
	log      []runs.Event
}

func (r refined) notices() (codes []string) {
	for _, e := range r.log {
		if e.Type == runs.EventNotice {
			codes = append(codes, strings.Split(string(e.Data), `"`)[3])
		}
	}
	return codes
}

// refine asks for a change of a draft and waits for it.
func (d *desk) refine(r draft.Refinement) (out refined) {
	d.t.Helper()
	ctx := d.t.Context()
	dr, err := d.drafts.Draft(ctx, ident.Local, r.DraftID)
	if err != nil {
		d.t.Fatal(err)
	}
	if out.base, err = d.drafts.Version(ctx, ident.Local, dr.ID, dr.Version); err != nil {
		d.t.Fatal(err)
	}
	run, err := d.drafts.Refine(ctx, ident.Local, 0, r, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.wait(run.ID)
	if out.log, err = d.store.Events(ctx, run.ID, 0, 10_000); err != nil {
		d.t.Fatal(err)
	}
	switch last := out.log[len(out.log)-1]; last.Type {
	case runs.EventFailed:
		decode(d.t, last.Data, &out.failure)
		return out
	case runs.EventCompleted:
		decode(d.t, last.Data, &out.result)
	default:
		d.t.Fatalf("the run ended with %s", last.Type)
	}
	if id := out.result.ProposalID; id != "" {
		if out.proposal, err = d.drafts.Proposal(ctx, ident.Local, dr.ID, id); err != nil {
			d.t.Fatal(err)
		}
	}
	return out
}

// accept takes hunks over and gives the new version, which is held against what is promised of every refinement.
func (d *desk) accept(r refined, hunks ...string) draft.Version {
	d.t.Helper()
	ctx := d.t.Context()
	if _, err := d.drafts.Accept(ctx, ident.Local, r.proposal.DraftID, r.proposal.ID, hunks, "ann"); err != nil {
		d.t.Fatal(err)
	}
	dr, err := d.drafts.Draft(ctx, ident.Local, r.proposal.DraftID)
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := d.drafts.Version(ctx, ident.Local, dr.ID, dr.Version)
	if err != nil {
		d.t.Fatal(err)
	}
	d.kept(r.base, v, r.proposal)
	return v
}

// kept holds that all outside of accepted hunks is byte for byte as it was, and that no citation of a sentence there is lost.
func (d *desk) kept(base, now draft.Version, p draft.Proposal) (citations int) {
	d.t.Helper()
	at, shift := 0, 0
	state := map[string]bool{}
	fresh, err := d.drafts.Proposal(d.t.Context(), ident.Local, p.DraftID, p.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range fresh.Hunks {
		state[h.ID] = h.Status == draft.HunkAccepted
	}
	type stretch struct{ from, to, shift int }
	var same []stretch
	for _, h := range p.Hunks {
		if !state[h.ID] {
			continue
		}
		same = append(same, stretch{at, h.Start, shift})
		at, shift = h.End, shift+len(h.New)-len(h.Old)
	}
	same = append(same, stretch{at, len(base.Content), shift})
	for _, s := range same {
		if was, is := base.Content[s.from:s.to], now.Content[s.from+s.shift:s.to+s.shift]; was != is {
			d.t.Errorf("%q has become %q", was, is)
		}
		for _, c := range base.Citations {
			if c.Claim.Start < s.from || c.Claim.End > s.to {
				continue
			}
			citations++
			if !slices.ContainsFunc(now.Citations, func(n draft.Citation) bool {
				return n.Claim.Start == c.Claim.Start+s.shift && n.Claim.Text == c.Claim.Text && len(n.Spans) == len(c.Spans) && n.Spans[0] == c.Spans[0]
			}) {
				d.t.Errorf("the citation of %q is lost", c.Claim.Text)
			}
		}
	}
	for _, c := range now.Citations {
		if got := now.Content[c.Claim.Start:c.Claim.End]; got != c.Claim.Text {
			d.t.Errorf("claim %q stands at its place as %q", c.Claim.Text, got)
		}
		for _, s := range c.Spans {
			d.checkSpan(s)
		}
	}
	return citations
}

// answers makes a model that says these things to requests for a refinement, one after the other.
func answers(said ...string) *author {
	a := newAuthor("Heating")
	a.model.Script = func(n int, r llm.Request) llmtest.Turn {
		if r.Purpose != "refine" {
			return llmtest.Turn{Text: "{}"}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		k := a.counts["refine"]
		a.counts["refine"]++
		return llmtest.Turn{Text: said[min(k, len(said)-1)], Usage: &llm.Usage{Input: 10, Output: 5}}
	}
	return a
}

// cited makes a draft of a text whose sentences are cited as they stand in heating.md.
func (d *desk) cited(text string, more ...string) string {
	d.t.Helper()
	return d.citedFrom(d.add("heating.md", heating), heating, text, more...)
}

func (d *desk) citedFrom(doc, source, text string, more ...string) string {
	d.t.Helper()
	ctx := d.t.Context()
	passages, _, err := d.store.Passages(ctx, ident.Local, doc, 0, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	var citations []draft.Citation
	for _, s := range sentenceEnd.FindAllString(source, -1) {
		s = strings.TrimSpace(s)
		at, from := strings.Index(text, s), strings.Index(source, s)
		if at < 0 {
			continue
		}
		passage := ""
		for _, p := range passages {
			if p.Start <= from && from < p.End {
				passage = p.ID
			}
		}
		citations = append(citations, draft.Citation{Claim: draft.Claim{Start: at, End: at + len(s), Text: s}, Verdict: draft.Verdict{Label: draft.Supported, Score: 1},
			Spans: []draft.Span{{DocumentID: doc, DocumentName: "heating.md", PassageID: passage, Start: from, End: from + len(s), Quote: s}}})
	}
	slices.SortFunc(citations, func(a, b draft.Citation) int { return a.Claim.Start - b.Claim.Start })
	dr, _, err := d.store.Drafts().Add(ctx, draft.Draft{ID: ident.New(), Workspace: ident.Local, Title: "Post", DocumentIDs: append([]string{doc}, more...)}, draft.Wish{DocumentIDs: []string{doc}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.store.Cancel(ctx, ident.Local, dr.RunID); err != nil {
		d.t.Fatal(err)
	}
	dr, err = d.drafts.Draft(ctx, ident.Local, dr.ID) // its run may have written something
	if err != nil {
		d.t.Fatal(err)
	}
	title := "Post"
	if _, err := d.store.Drafts().Save(ctx, ident.Local, dr.ID, dr.Version, draft.Edit{Title: &title, Content: &text, Citations: citations}); err != nil {
		d.t.Fatal(err)
	}
	return dr.ID
}

const short = `Here is what we know.

## Heating

The boiler of the library dates from 1987 and burns 31,000 litres of oil a year. A heat pump would halve the cost of heating within ten years.

## Costs

- The council put aside 240,000 euros for the renovation in 2025.
- Replacing the windows costs 85,000 euros.

| Measure | Cost in euros |
|---|---|
| Windows | 85000 |
| Heat pump | 120000 |

## Sources

- Heating (heating.md)
`

func TestModelRefines(t *testing.T) {
	a := answers(`{"edits":[
		{"block":3,"action":"replace","text":"The boiler of the library dates from 1987 and burns 31,000 litres of oil a year. Within ten years a heat pump would halve the cost of heating [p1]. Unicorns heat it with <b>love</b>."},
		{"block":5,"action":"insert_after","text":"The heat pump costs 120,000 euros [p1, p99]. See https://evil.example/x for more."},
		{"block":1,"action":"delete","text":""}],"title":"A *warm* post"}`)
	d := openWith(t, a)
	id := d.cited(short)
	r := d.refine(draft.Refinement{DraftID: id, Feedback: "Turn the sentence about the heat pump round, and say what it costs.", Author: "ann"})
	if r.failure.Code != "" || r.result.Hunks != 3 || r.result.Version != 0 {
		t.Fatalf("%+v %+v", r.failure, r.result)
	}
	p := r.proposal
	if p.Author != "ann" || p.BaseVersion != 1 || p.Status != draft.ProposalOpen || p.Title == nil || p.Title.New != "A *warm* post" || !strings.HasPrefix(p.Reason, "Turn") {
		t.Errorf("%+v", p)
	}
	if h := p.Hunks[1]; h.Old != "A heat pump would halve the cost of heating within ten years." || h.New != "Within ten years a heat pump would halve the cost of heating." || len(h.Citations) != 1 || h.Citations[0].Claim.Text != h.New {
		t.Errorf("%+v", h)
	}
	if h := p.Hunks[2]; !strings.Contains(h.New, "The heat pump costs 120,000 euros.") || strings.Contains(h.New, "evil") && strings.Contains(h.New, "https") || len(h.Citations) != 1 {
		t.Errorf("%+v", h)
	}
	if got := r.notices(); !slices.Contains(got, "unsupported_cut") || !slices.Contains(got, "address_removed") {
		t.Errorf("%v", got)
	}
	var told draft.Proposal
	for _, e := range r.log {
		if e.Type == runs.EventProposal {
			decode(t, e.Data, &told)
		}
	}
	if told.ID != p.ID || len(told.Hunks) != 3 || told.Hunks[1].Citations[0].Spans[0].Quote == "" {
		t.Errorf("told %+v", told)
	}
	v := d.accept(r, "h2", "title")
	if v.Title != "A *warm* post" || v.Cause != draft.CauseRefine || v.Author != "ann" || !strings.HasPrefix(v.Content, "Here is what") || strings.Contains(v.Content, "120,000") {
		t.Errorf("%+v", v)
	}
	v = d.accept(r)
	if !strings.HasPrefix(v.Content, "## Heating") || !strings.Contains(v.Content, "120,000") || len(v.Citations) != 5 {
		t.Errorf("%d citations\n%s", len(v.Citations), v.Content)
	}
}

func TestModelGivesGarbage(t *testing.T) {
	good := `{"edits":[{"block":1,"action":"delete","text":""}],"title":""}`
	sel := &draft.Selection{Start: 0, End: 4}
	for name, tc := range map[string]struct {
		said []string
		sel  *draft.Selection
		code string
		why  string // what it is told
	}{
		"once":               {[]string{"I am a teapot", good}, nil, "", "not valid JSON"},
		"twice":              {[]string{"I am a teapot"}, nil, "refine_failed", "not valid JSON"},
		"no such block":      {[]string{`{"edits":[{"block":99,"action":"delete","text":""}],"title":""}`, good}, nil, "", "names block 99; there are blocks 1 to 8"},
		"block 0":            {[]string{`{"edits":[{"block":0,"action":"delete","text":""}],"title":""}`, good}, nil, "", "names block 0"},
		"no such action":     {[]string{`{"edits":[{"block":1,"action":"burn","text":""}],"title":""}`, good}, nil, "", `the action "burn"`},
		"nothing to put":     {[]string{`{"edits":[{"block":1,"action":"replace","text":" "}],"title":""}`, good}, nil, "", "has no text"},
		"twice the same":     {[]string{`{"edits":[{"block":1,"action":"replace","text":"x"},{"block":1,"action":"delete","text":""}],"title":""}`, good}, nil, "", "block 1 is changed twice"},
		"outside":            {[]string{`{"edits":[{"block":2,"action":"delete","text":""}],"title":""}`, good}, sel, "", "block 2, which must stay as it is"},
		"too long":           {[]string{`{"edits":[{"block":1,"action":"replace","text":"` + strings.Repeat("x", 50_000) + `"}],"title":""}`, good}, nil, "", "too long"},
		"too many":           {[]string{`{"edits":[` + strings.Repeat(`{"block":1,"action":"insert_after","text":"x"},`, 300) + `{"block":1,"action":"delete","text":""}],"title":""}`, good}, nil, "", "more than 200"},
		"a title too long":   {[]string{`{"edits":[],"title":"` + strings.Repeat("x", 500) + `"}`, good}, nil, "", "the title is too long"},
		"good and in fences": {[]string{"Sure:\n```json\n" + good + "\n```"}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := answers(tc.said...)
			d := openWith(t, a)
			r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: "Drop the first line.", Selection: tc.sel})
			if r.failure.Code != tc.code {
				t.Fatalf("%+v", r.failure)
			}
			if asked := a.model.Asked(); tc.why != "" && !strings.Contains(asked[len(asked)-1].Messages[len(asked[len(asked)-1].Messages)-1].Content, tc.why) {
				t.Errorf("it is told %q", asked[len(asked)-1].Messages)
			}
			if tc.code == "" && (r.result.Hunks != 1 || r.proposal.Hunks[0].Old != "Here is what we know.\n\n") {
				t.Errorf("%+v", r.proposal.Hunks)
			}
		})
	}
}

func TestModelHasNothingToChange(t *testing.T) {
	for name, said := range map[string]string{
		"no edit":              `{"edits":[],"title":""}`,
		"the same again":       `{"edits":[{"block":1,"action":"replace","text":"Here is what we know."}],"title":"Post"}`,
		"only what is made up": `{"edits":[{"block":3,"action":"replace","text":"The boiler of the library dates from 1987 and burns 31,000 litres of oil a year. Dragons heat the library of Oslo with 400 stoves."},{"block":3,"action":"insert_after","text":"## Dragons\n\nDragons live in Oslo since 1200."}],"title":""}`,
		"nothing but markup":   `{"edits":[{"block":1,"action":"replace","text":"<script></script>"}],"title":""}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := openWith(t, answers(said))
			r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: "Do something about it."})
			if r.failure.Code != "" || r.result.ProposalID != "" || !slices.Contains(r.notices(), "no_change") {
				t.Errorf("%+v %+v %v\n%+v", r.failure, r.result, r.notices(), r.proposal.Hunks)
			}
		})
	}
}

// What the author dictates stays without a source, and so does what stood in the draft without one.
func TestAuthorsWordsStay(t *testing.T) {
	d := openWith(t, answers(`{"edits":[{"block":1,"action":"replace","text":"Here is what we know. Write to the mayor of Oldtown before 1 May."}],"title":""}`))
	r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: `Add to the first line: "Write to the mayor of Oldtown before 1 May."`})
	if r.result.Hunks != 1 || !strings.Contains(r.proposal.Hunks[0].New, "Write to the mayor") || len(r.proposal.Hunks[0].Citations) != 0 {
		t.Errorf("%+v %v", r.proposal.Hunks, r.notices())
	}
}

func TestFlaggedSentencesStay(t *testing.T) {
	d := openWith(t, answers(`{"edits":[{"block":3,"action":"insert_after","text":"Dragons heat the library of Oslo with 400 stoves [p1]."}],"title":""}`))
	d.flag()
	r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: "More about dragons."})
	if r.result.Hunks != 1 || !slices.Contains(r.notices(), "unsupported") || len(r.proposal.Hunks[0].Citations) != 1 || r.proposal.Hunks[0].Citations[0].Verdict.Label == draft.Supported {
		t.Errorf("%+v %v", r.proposal.Hunks, r.notices())
	}
}

// A selection bounds what may change, what is searched for and what is shown.
func TestModelRefinesSelection(t *testing.T) {
	a := answers(`{"edits":[{"block":3,"action":"replace","text":"The boiler of the library dates from 1987 and burns 31,000 litres of oil a year."}],"title":""}`)
	d := openWith(t, a)
	at := strings.Index(short, "A heat pump")
	r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: "Shorter.", Selection: &draft.Selection{Start: at, End: at + 5}})
	if r.result.Hunks != 1 || r.proposal.Hunks[0].New != "" {
		t.Errorf("%+v", r.proposal.Hunks)
	}
	prompt := a.model.Asked()[0].Messages[1].Content
	if strings.Count(prompt, `fixed="true"`) != 7 || !strings.Contains(prompt, `<block number="3" kind="paragraph">`) || !strings.Contains(prompt, "only blocks that are not marked as fixed") {
		t.Errorf("%s", prompt)
	}
}

func TestRefinementIsApplied(t *testing.T) {
	d := openWith(t, answers(`{"edits":[{"block":1,"action":"delete","text":""}],"title":""}`))
	id := d.cited(short)
	r := d.refine(draft.Refinement{DraftID: id, Feedback: "Drop the first line.", Apply: true, Author: "ann"})
	if r.result.Version != 2 || r.proposal.Status != draft.ProposalAccepted || r.proposal.Version != 2 {
		t.Fatalf("%+v %+v", r.result, r.proposal)
	}
	v, err := d.drafts.Version(t.Context(), ident.Local, id, 2)
	if err != nil {
		t.Fatal(err)
	}
	d.kept(r.base, v, r.proposal)
	var kinds []string
	for _, e := range r.log {
		if e.Type == runs.EventProposal || e.Type == runs.EventVersion {
			kinds = append(kinds, e.Type)
		}
	}
	if !slices.Equal(kinds, []string{runs.EventProposal, runs.EventVersion}) || v.Author != "ann" || v.Cause != draft.CauseRefine {
		t.Errorf("%v %+v", kinds, v)
	}
}

// While the model thinks, somebody edits: what still fits is applied, the rest is told and left in the proposal.
func TestAppliedUnderAnEdit(t *testing.T) {
	for name, tc := range map[string]struct {
		edit    func(string) string
		version int
		status  draft.ProposalStatus
	}{
		"elsewhere":     {func(s string) string { return strings.Replace(s, "## Costs", "## What it costs", 1) }, 3, draft.ProposalAccepted},
		"at one place":  {func(s string) string { return strings.Replace(s, "Here is what we know.", "This we know.", 1) }, 3, draft.ProposalPartly},
		"at all places": {func(string) string { return "Quite another text.\n" }, 0, draft.ProposalStale},
	} {
		t.Run(name, func(t *testing.T) {
			a := answers("")
			d := openWith(t, a)
			id := d.cited(short)
			a.model.Script = func(int, llm.Request) llmtest.Turn {
				text := tc.edit(short)
				if _, err := d.drafts.Edit(t.Context(), ident.Local, id, 1, draft.Edit{Content: &text}); err != nil {
					t.Error(err)
				}
				return llmtest.Turn{Text: `{"edits":[{"block":1,"action":"delete","text":""},{"block":5,"action":"replace","text":"- The council put aside 240,000 euros for the renovation in 2025."}],"title":""}`}
			}
			r := d.refine(draft.Refinement{DraftID: id, Feedback: "Shorter.", Apply: true})
			if r.result.Version != tc.version || r.proposal.Status != tc.status || slices.Contains(r.notices(), "stale") != (tc.status != draft.ProposalAccepted) {
				t.Errorf("%+v %s %v", r.result, r.proposal.Status, r.notices())
			}
		})
	}
}

// flaky is the service of drafts that fails once, before or behind what it does.
type flaky struct {
	agent.Proposals
	before, behind string // the call that fails
}

func (f *flaky) fails(call string, which *string) error {
	if *which != call {
		return nil
	}
	*which = ""
	return fmt.Errorf("the disk is on fire")
}

func (f *flaky) AddProposal(ctx context.Context, l runs.Lease, p draft.Proposal, events ...runs.NewEvent) (draft.Proposal, error) {
	if err := f.fails("add", &f.before); err != nil {
		return p, err
	}
	p, err := f.Proposals.AddProposal(ctx, l, p, events...)
	return p, cmp.Or(err, f.fails("add", &f.behind))
}

func (f *flaky) Apply(ctx context.Context, l runs.Lease, draftID, id, author string, events ...runs.NewEvent) (draft.Proposal, int, []string, error) {
	if err := f.fails("apply", &f.before); err != nil {
		return draft.Proposal{}, 0, nil, err
	}
	p, version, stale, err := f.Proposals.Apply(ctx, l, draftID, id, author, events...)
	return p, version, stale, cmp.Or(err, f.fails("apply", &f.behind))
}

// Nothing is asked of the model twice, proposed twice or applied twice when something fails at some moment.
func TestRefinementSurvivesFailures(t *testing.T) {
	for name, f := range map[string]flaky{"search": {}, "before it is proposed": {before: "add"}, "behind that": {behind: "add"}, "before it is applied": {before: "apply"}, "behind that too": {behind: "apply"}} {
		t.Run(name, func(t *testing.T) {
			a := answers(`{"edits":[{"block":1,"action":"delete","text":""}],"title":""}`)
			d := openWith(t, a)
			f.Proposals = d.drafts
			d.writer.Proposals = &f
			id := d.cited(short)
			failed := name != "search"
			d.hooks.Lock()
			d.hooks.search = func() error {
				if !failed {
					failed = true
					return fmt.Errorf("the disk is on fire")
				}
				return nil
			}
			d.hooks.Unlock()
			r := d.refine(draft.Refinement{DraftID: id, Feedback: "Drop the first line.", Apply: true})
			list, total, err := d.drafts.Proposals(t.Context(), ident.Local, id, "", 10)
			if err != nil || total != 1 || list[0].Status != draft.ProposalAccepted || r.result.Version != 2 || a.asked("refine") != 1 {
				t.Errorf("%d proposals, version %d, asked %d times, %v", total, r.result.Version, a.asked("refine"), err)
			}
		})
	}
}

// A source that goes away while the model thinks is not quoted; what it did not say stays possible.
func TestSourceGoesUnderRefinement(t *testing.T) {
	a := answers("")
	d := openWith(t, a)
	doc := d.add("minutes.txt", minutes)
	id := d.cited(short, doc)
	gone := false
	a.model.Script = func(int, llm.Request) llmtest.Turn {
		if !gone {
			gone = true
			if _, err := d.store.Delete(t.Context(), ident.Local, doc, false); err != nil {
				t.Error(err)
			}
		}
		return llmtest.Turn{Text: `{"edits":[{"block":3,"action":"insert_after","text":"Several members asked for quieter chairs. A heat pump would halve the cost of heating within ten years, so to say [p1]."}],"title":""}`}
	}
	r := d.refine(draft.Refinement{DraftID: id, Feedback: "More on the heat pump and the chairs."})
	if r.failure.Code != "" || !slices.Contains(r.notices(), "source_changed") {
		t.Fatalf("%+v %v", r.failure, r.notices())
	}
	for _, h := range r.proposal.Hunks {
		if strings.Contains(h.New, "chairs") {
			t.Errorf("%+v", h)
		}
	}
}

// A refinement can be a part of another run; its steps have keys of their own.
func TestRefineWithinAnotherRun(t *testing.T) {
	a := answers(`{"edits":[{"block":1,"action":"delete","text":""}],"title":""}`)
	d := openWith(t, a)
	id := d.cited(short)
	other := d.citedFrom(d.add("minutes.txt", minutes), minutes, "Another draft.\n")
	d.talk = func(ctx context.Context, job *runs.Job) (any, error) {
		var last agent.Refined
		for _, root := range []string{"talk/1/", "talk/2/"} {
			var err error
			if last, err = d.writer.Refine(ctx, job, root, draft.Refinement{DraftID: id, Feedback: "Drop the first line."}); err != nil {
				return nil, err
			}
		}
		return last, nil
	}
	run, err := d.drafts.Refine(t.Context(), ident.Local, 0, draft.Refinement{DraftID: other, Feedback: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.wait(run.ID)
	if _, total, err := d.drafts.Proposals(t.Context(), ident.Local, id, "", 10); err != nil || total != 2 || a.asked("refine") != 2 {
		t.Errorf("%d proposals, %v", total, err)
	}
}
