package draft_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/draft"
	"byline/internal/engine/textdiff"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

const letter = "One is here. Two is here.\n\n# Head\n\nThree is here. Four is here.\n\nFive is here.\n"

// desk is a draft with its service.
type desk struct {
	testing.TB
	store *store.Store
	*draft.Service
	id string
}

func newDesk(t testing.TB, s *store.Store) *desk {
	t.Helper()
	d := &desk{TB: t, store: s, Service: draft.New(s.Drafts(), s)}
	id, r := storetest.Begin(t, s)
	d.id = id
	if _, err := s.Cancel(t.Context(), ident.Local, r.ID); err != nil {
		t.Fatal(err)
	}
	d.save(0, letter)
	return d
}

// save puts a text in whose sentences "X is here." are cited.
func (d *desk) save(match int, text string) {
	d.Helper()
	var citations []draft.Citation
	at := 0
	for _, s := range strings.SplitAfter(text, ".") {
		if words := strings.TrimLeft(s, " \n#"); strings.HasSuffix(words, "is here.") {
			from := at + len(s) - len(words)
			if i := strings.LastIndex(words, "\n"); i >= 0 {
				words, from = words[i+1:], from+i+1
			}
			citations = append(citations, cite(d, text, words, "quote of "+words, 0))
			citations[len(citations)-1].Claim.Start, citations[len(citations)-1].Claim.End = from, from+len(words)
		}
		at += len(s)
	}
	title := "Title"
	if _, err := d.Save(d.Context(), ident.Local, d.id, match, draft.Edit{Title: &title, Content: &text, Citations: citations}); err != nil {
		d.Fatal(err)
	}
}

// lease takes the run of a new refinement.
func (d *desk) lease() runs.Lease {
	d.Helper()
	if _, err := d.Refine(d.Context(), ident.Local, 0, draft.Refinement{DraftID: d.id, Feedback: "change it"}, nil); err != nil {
		d.Fatal(err)
	}
	_, l, ok, err := d.store.Claim(d.Context(), "test", []runs.Kind{runs.KindRefine})
	if err != nil || !ok {
		d.Fatal("no run", err)
	}
	return l
}

// offer proposes that the newest version becomes a text.
func (d *desk) offer(l runs.Lease, after string, title *draft.NewTitle) draft.Proposal {
	d.Helper()
	now := d.now()
	p := draft.Proposal{ID: ident.New(), DraftID: d.id, BaseVersion: now.Number, Reason: "because", Status: draft.ProposalOpen, Title: title}
	for i, h := range textdiff.Diff(now.Content, after) {
		hunk := draft.Hunk{ID: fmt.Sprintf("h%d", i+1), Start: h.Start, End: h.End, Old: h.Old, New: h.New, Status: draft.HunkOpen}
		if strings.Contains(h.New, "NEW.") {
			hunk.Citations = []draft.Citation{cite(d, h.New, "NEW.", "a quote", 0)}
		}
		p.Hunks = append(p.Hunks, hunk)
	}
	p, err := d.AddProposal(d.Context(), l, p)
	if err != nil {
		d.Fatal(err)
	}
	return p
}

func (d *desk) now() draft.Version {
	d.Helper()
	dr, err := d.Draft(d.Context(), ident.Local, d.id)
	if err != nil {
		d.Fatal(err)
	}
	v, err := d.Version(d.Context(), ident.Local, d.id, dr.Version)
	if err != nil {
		d.Fatal(err)
	}
	return v
}

func (d *desk) accept(p draft.Proposal, hunks ...string) (draft.Proposal, error) {
	return d.Accept(d.Context(), ident.Local, d.id, p.ID, hunks, "ann")
}

// said are the sentences that are cited, with what stands there.
func said(t testing.TB, v draft.Version) (list []string) {
	for _, c := range v.Citations {
		if got := v.Content[c.Claim.Start:c.Claim.End]; got != c.Claim.Text {
			t.Errorf("claim %q stands at its place as %q", c.Claim.Text, got)
		}
		list = append(list, c.Claim.Text)
	}
	return list
}

func is(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func code(t testing.TB, err error, want string) *fault.Error {
	t.Helper()
	f := fault.Of(err)
	if f == nil || f.Code != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	return f
}

func TestAcceptSomeThenTheRest(t *testing.T) {
	d := newDesk(t, storetest.New(t))
	p := d.offer(d.lease(), "One is here. NEW.\n\n# Head\n\nThree is here.\n\nFive is here.\n", &draft.NewTitle{Old: "Title", New: "Other", Status: draft.HunkOpen})
	is(t, "hunks", len(p.Hunks), 2)
	got, err := d.accept(p, "h1")
	if err != nil {
		t.Fatal(err)
	}
	v := d.now()
	is(t, "status", got.Status, draft.ProposalPartly)
	is(t, "content", v.Content, strings.Replace(letter, "Two is here.", "NEW.", 1))
	is(t, "citations", said(t, v), []string{"One is here.", "NEW.", "Three is here.", "Four is here.", "Five is here."})
	is(t, "version", []any{v.Number, v.Author, v.Cause, v.Message, v.Title, got.Version}, []any{2, "ann", draft.CauseRefine, "because", "Title", 2})

	again, err := d.accept(p, "h1") // as a client does that heard nothing
	if err != nil || d.now().Number != 2 {
		t.Errorf("%v, version %d", err, d.now().Number)
	}
	is(t, "again", again.Status, got.Status)
	_, err = d.Reject(t.Context(), ident.Local, d.id, p.ID, []string{"h1"})
	code(t, err, "already_decided")
	if got, err = d.accept(p); err != nil {
		t.Fatal(err)
	}
	v = d.now()
	is(t, "all", []any{got.Status, v.Number, v.Title, v.Content}, []any{draft.ProposalAccepted, 3, "Other", "One is here. NEW.\n\n# Head\n\nThree is here.\n\nFive is here.\n"})
	is(t, "citations", said(t, v), []string{"One is here.", "NEW.", "Three is here.", "Five is here."})
	_, err = d.Reject(t.Context(), ident.Local, d.id, p.ID, nil)
	code(t, err, "already_decided")
	_, err = d.accept(p, "h9")
	code(t, err, "unknown_hunk")
}

func TestReject(t *testing.T) {
	d := newDesk(t, storetest.New(t))
	p := d.offer(d.lease(), "One is here. NEW.\n\n# Head\n\nThree is here.\n\nFive is here.\n", &draft.NewTitle{Old: "Title", New: "Other", Status: draft.HunkOpen})
	reject := func(hunks ...string) draft.Proposal {
		t.Helper()
		got, err := d.Reject(t.Context(), ident.Local, d.id, p.ID, hunks)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	is(t, "one", reject("h2").Status, draft.ProposalOpen)
	is(t, "one, again", reject("h2").Status, draft.ProposalOpen)
	_, err := d.accept(p, "h1", "h2")
	code(t, err, "already_decided")
	is(t, "nothing was changed", d.now().Number, 1)
	is(t, "the rest", reject().Status, draft.ProposalRejected)
	is(t, "again", reject().Status, draft.ProposalRejected)
	_, err = d.accept(p)
	code(t, err, "already_decided")
	is(t, "nothing was changed", d.now().Number, 1)
	for _, err := range []error{
		func() error { _, err := d.accept(draft.Proposal{ID: ident.New()}); return err }(),
		func() error { _, err := d.Reject(t.Context(), ident.Local, d.id, ident.New(), nil); return err }(),
	} {
		code(t, err, "not_found")
	}
}

// The text moves under a proposal: what still fits can be taken, and the rest is named.
func TestAcceptOnAMovedText(t *testing.T) {
	const after = "One is here. NEW.\n\n# Head\n\nThree is here. Four is gone.\n\nFive is here.\n" // h1 Two, h2 Four
	for name, tc := range map[string]struct {
		edit   string
		accept []string
		want   string // empty: stale
		names  string // the hunks that do not fit
		fits   string
		status draft.ProposalStatus
	}{
		"elsewhere":           {strings.Replace(letter, "Five is here.", "Five was here. Six is here.", 1), nil, "One is here. NEW.\n\n# Head\n\nThree is here. Four is gone.\n\nFive was here. Six is here.\n", "", "", draft.ProposalAccepted},
		"before it":           {"Zero is here.\n\n" + letter, []string{"h2"}, "Zero is here.\n\n" + strings.Replace(letter, "Four is here.", "Four is gone.", 1), "", "", draft.ProposalPartly},
		"a block was moved":   {"Five is here.\n\n# Head\n\nThree is here. Four is here.\n\nOne is here. Two is here.\n", nil, "Five is here.\n\n# Head\n\nThree is here. Four is gone.\n\nOne is here. NEW.\n", "", "", draft.ProposalAccepted},
		"under one":           {strings.Replace(letter, "Two is here.", "Two was here.", 1), nil, "", "h1", "h2", draft.ProposalOpen},
		"under the other":     {strings.Replace(letter, "Two is here.", "Two was here.", 1), []string{"h2"}, strings.Replace(strings.Replace(letter, "Two is here.", "Two was here.", 1), "Four is here.", "Four is gone.", 1), "", "", draft.ProposalPartly},
		"under both":          {"Quite another text.\n", nil, "", "h1 h2", "", draft.ProposalStale},
		"under the one asked": {strings.Replace(letter, "Four is here.", "", 1), []string{"h2"}, "", "h2", "h1", draft.ProposalOpen},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, storetest.New(t))
			p := d.offer(d.lease(), after, nil)
			d.save(1, tc.edit)
			got, err := d.accept(p, tc.accept...)
			v := d.now()
			if tc.want != "" {
				if err != nil {
					t.Fatal(err)
				}
				is(t, "content", v.Content, tc.want)
				is(t, "status", got.Status, tc.status)
				for _, s := range []string{"One is here.", "Three is here."} {
					if !slices.Contains(said(t, v), s) {
						t.Errorf("%q has lost its citation", s)
					}
				}
				return
			}
			f := code(t, err, "stale")
			var names []string
			for _, field := range f.Fields {
				names = append(names, strings.TrimPrefix(field.Location, "hunks."))
			}
			is(t, "named", strings.Join(names, " "), tc.names)
			is(t, "still fits", strings.Contains(f.Say, "still accept "+tc.fits+"."), tc.fits != "")
			is(t, "version", v.Number, 2)
			read, err := d.Proposal(t.Context(), ident.Local, d.id, p.ID)
			if err != nil || read.Status != tc.status {
				t.Errorf("%s, %v", read.Status, err)
			}
			d.save(2, letter) // as it was: all fits again
			if got, err = d.accept(p); err != nil || got.Status != draft.ProposalAccepted {
				t.Errorf("%s, %v", got.Status, err)
			}
			is(t, "content", d.now().Content, after)
		})
	}
}

// A title that somebody has changed meanwhile is stale, too.
func TestAcceptOnAnotherTitle(t *testing.T) {
	d := newDesk(t, storetest.New(t))
	p := d.offer(d.lease(), letter, &draft.NewTitle{Old: "Before", New: "Other", Status: draft.HunkOpen})
	_, err := d.accept(p)
	if f := code(t, err, "stale"); f.Fields[0].Location != "hunks.title" {
		t.Errorf("%+v", f.Fields)
	}
}

// Many accept at once: each hunk is taken once, and no version is lost.
func TestAcceptAtOnce(t *testing.T) {
	d := newDesk(t, storetest.New(t))
	p := d.offer(d.lease(), "NEW. Two is here.\n\n# Head\n\nThree was here. Four is here.\n\nFive was here.\n", nil)
	var wg sync.WaitGroup
	for range 4 {
		for _, h := range p.Hunks {
			wg.Go(func() {
				if _, err := d.accept(p, h.ID); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	v := d.now()
	is(t, "versions", []any{v.Number, v.Content}, []any{1 + len(p.Hunks), "NEW. Two is here.\n\n# Head\n\nThree was here. Four is here.\n\nFive was here.\n"})
	is(t, "citations", said(t, v), []string{"NEW.", "Two is here.", "Four is here."})
}

func TestApplyByARun(t *testing.T) {
	for name, tc := range map[string]struct {
		edit    string
		version int
		stale   string
		status  draft.ProposalStatus
	}{
		"as it was":  {"", 2, "", draft.ProposalAccepted},
		"under one":  {strings.Replace(letter, "Two is here.", "Two was here.", 1), 3, "h1", draft.ProposalPartly},
		"under both": {"Another.\n", 0, "h1 h2", draft.ProposalStale},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, storetest.New(t))
			l := d.lease()
			p := d.offer(l, "One is here. NEW.\n\n# Head\n\nThree is here.\n\nFive is here.\n", nil)
			if tc.edit != "" {
				d.save(1, tc.edit)
			}
			for try := range 2 { // the second time after a crash
				got, version, stale, err := d.Apply(t.Context(), l, d.id, p.ID, "ann", runs.NewEvent{Type: runs.EventVersion})
				if err != nil {
					t.Fatal(err)
				}
				is(t, fmt.Sprintf("try %d", try), []any{got.Status, strings.Join(stale, " ")}, []any{tc.status, tc.stale})
				is(t, "version", version, tc.version)
			}
			log, err := d.store.Events(t.Context(), l.RunID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, e := range log {
				if e.Type == runs.EventVersion {
					told++
				}
			}
			if want := min(tc.version, 1); told != want {
				t.Errorf("told %d times, want %d", told, want)
			}
			if err := d.store.End(t.Context(), l, runs.Ending{Status: runs.Completed}); err != nil {
				t.Fatal(err)
			}
			other := d.offer(d.lease(), "NEW.\n", nil)
			if _, _, _, err := d.Apply(t.Context(), l, d.id, other.ID, "ann"); err != runs.ErrFenced {
				t.Errorf("by a run that has ended: %v", err)
			}
		})
	}
}

func TestRefineIsChecked(t *testing.T) {
	d := newDesk(t, storetest.New(t))
	if err := d.SetStyleGuide(t.Context(), ident.Local, "Be kind."); err != nil {
		t.Fatal(err)
	}
	text := "한글이다.\n"
	if _, err := d.Edit(t.Context(), ident.Local, d.id, 1, draft.Edit{Content: &text}); err != nil {
		t.Fatal(err)
	}
	ask := func(r draft.Refinement) (runs.Run, error) {
		return d.Refine(t.Context(), ident.Local, 0, r, nil)
	}
	for name, tc := range map[string]struct {
		r    draft.Refinement
		code string
	}{
		"no words":   {draft.Refinement{DraftID: d.id, Feedback: " \n"}, "required"},
		"no draft":   {draft.Refinement{DraftID: ident.New(), Feedback: "x"}, "not_found"},
		"in a rune":  {draft.Refinement{DraftID: d.id, Feedback: "x", Selection: &draft.Selection{Start: 1, End: 3}}, "bad_selection"},
		"ends in it": {draft.Refinement{DraftID: d.id, Feedback: "x", Selection: &draft.Selection{Start: 0, End: 2}}, "bad_selection"},
		"backwards":  {draft.Refinement{DraftID: d.id, Feedback: "x", Selection: &draft.Selection{Start: 3, End: 3}}, "bad_selection"},
		"behind":     {draft.Refinement{DraftID: d.id, Feedback: "x", Selection: &draft.Selection{Start: 3, End: 99}}, "bad_selection"},
	} {
		_, err := ask(tc.r)
		if f := fault.Of(err); f == nil || f.Code != tc.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := ask(draft.Refinement{DraftID: d.id, Feedback: " x ", Selection: &draft.Selection{Start: 0, End: 3}})
	if err != nil {
		t.Fatal(err)
	}
	var got draft.Refinement
	if err := json.Unmarshal(r.Input, &got); err != nil || got.Version != 2 || got.Feedback != "x" || got.StyleGuide != "Be kind." || got.Selection.End != 3 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestDiff(t *testing.T) {
	s := storetest.New(t)
	d := newDesk(t, s)
	d.save(1, strings.Replace(letter, "Two is here.", "Two was here.", 1))
	got, err := d.Diff(t.Context(), ident.Local, d.id, 0, 0)
	if err != nil || got.From.Number != 1 || got.To.Number != 2 || len(got.Hunks) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	is(t, "words", got.Hunks[0].Words, []draft.Piece{{Op: "equal", Text: "Two "}, {Op: "delete", Text: "is"}, {Op: "insert", Text: "was"}, {Op: "equal", Text: " here."}})
	back, err := d.Diff(t.Context(), ident.Local, d.id, 2, 1)
	if err != nil || back.Hunks[0].New != "Two is here." {
		t.Errorf("%+v %v", back, err)
	}
	for _, ends := range [][2]int{{9, 1}, {1, 9}} {
		if _, err := d.Diff(t.Context(), ident.Local, d.id, ends[0], ends[1]); fault.Of(err).Code != "not_found" {
			t.Errorf("%v: %v", ends, err)
		}
	}
	id, _ := storetest.Begin(t, s)
	_, err = d.Diff(t.Context(), ident.Local, id, 0, 0)
	code(t, err, "no_version")
	_, err = d.Diff(t.Context(), ident.Local, ident.New(), 0, 0)
	code(t, err, "not_found")
}

// Whatever is proposed, edited meanwhile and accepted in whatever order: sentences that nobody touched keep their words and citations.
func TestAcceptKeepsUntouchedSentences(t *testing.T) {
	s := storetest.New(t)
	d := newDesk(t, s)
	rapid.Check(t, func(rt *rapid.T) {
		var was []string
		for i := range rapid.IntRange(1, 8).Draw(rt, "sentences") {
			was = append(was, fmt.Sprintf("S%d is here.", i))
		}
		lay := func(list []string) string { // every third sentence begins a paragraph
			var b strings.Builder
			for i, s := range list {
				switch {
				case i == 0:
				case i%3 == 0:
					b.WriteString("\n\n")
				default:
					b.WriteString(" ")
				}
				b.WriteString(s)
			}
			return b.String() + "\n"
		}
		d.save(d.now().Number, lay(was))
		change := func(label string) ([]string, map[int]bool) {
			list, touched := slices.Clone(was), map[int]bool{}
			for i := range list {
				if rapid.IntRange(0, 3).Draw(rt, label) == 0 {
					list[i], touched[i] = fmt.Sprintf("%s%d was there.", label, i), true
				}
			}
			return list, touched
		}
		offered, touched := change("Offer")
		p := d.offer(d.lease(), lay(offered), nil)
		edited, moved := change("Edit")
		if len(moved) > 0 {
			content := lay(edited)
			if _, err := d.Edit(d.Context(), ident.Local, d.id, d.now().Number, draft.Edit{Content: &content}); err != nil {
				rt.Fatal(err)
			}
		}
		stale := map[string]bool{} // what stood beside it has changed as well, so that its place is not certain
		for _, h := range p.Hunks {
			if _, err := d.accept(p, h.ID); err != nil && fault.Of(err).Code != "stale" {
				rt.Fatal(err)
			} else if err != nil {
				stale[h.Old] = true
			}
		}
		v := d.now()
		cited := said(t, v)
		for i, s := range was {
			switch {
			case touched[i] && moved[i]:
				if !strings.Contains(v.Content, edited[i]) {
					rt.Fatalf("the edit of %q is lost: %q", s, v.Content)
				}
			case touched[i] && stale[s] && !moved[i] && i > 0 && i < len(was)-1 && !moved[i-1] && !moved[i+1] && !touched[i-1] && !touched[i+1]:
				rt.Fatalf("the offer for %q does not fit, although nothing beside it has changed: %q", s, v.Content)
			case touched[i] && !stale[s] && slices.ContainsFunc(p.Hunks, func(h draft.Hunk) bool { return h.Old == s }): // and not a hunk with others
				if !strings.Contains(v.Content, offered[i]) {
					rt.Fatalf("the offer for %q is lost: %q", s, v.Content)
				}
			case moved[i]:
				if !strings.Contains(v.Content, edited[i]) {
					rt.Fatalf("the edit of %q is lost: %q", s, v.Content)
				}
			case !touched[i]:
				if !slices.Contains(cited, s) {
					rt.Fatalf("the citation of %q is lost: %q %q", s, v.Content, cited)
				}
			}
		}
	})
}
