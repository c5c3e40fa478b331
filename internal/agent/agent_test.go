package agent_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

const heating = `# Heating

The boiler of the library dates from 1987 and burns 31,000 litres of oil a year. A heat pump would halve the cost of heating within ten years.

## Costs

The council put aside 240,000 euros for the renovation in 2025. Replacing the windows costs 85,000 euros.

| Measure | Cost in euros |
|---|---|
| Windows | 85000 |
| Heat pump | 120000 |
`

const minutes = `Minutes of the library board

The board met on 12 March and discussed the renovation of the reading room. The windows will be replaced before the winter. The heat pump needs a new power line, which the utility promised for August.

Several members asked for quieter chairs. The chairs come from a workshop in the next town.
`

// check holds what is promised of every post.
func (d *desk) check(w written) {
	d.t.Helper()
	if w.failure.Code != "" {
		d.t.Fatalf("the run failed: %+v", w.failure)
	}
	if got := runs.Fold(w.log, "draft"); got != w.version.Content {
		d.t.Errorf("what was streamed is not the draft:\n%q\n%q", got, w.version.Content)
	}
	if w.result.Sentences == 0 || w.result.Cited != w.result.Sentences || len(w.version.Citations) != w.result.Sentences {
		d.t.Errorf("%+v with %d citations", w.result, len(w.version.Citations))
	}
	if w.result.DraftID != w.draft.ID || w.result.Version != w.draft.Version || w.result.Words != w.version.Words {
		d.t.Errorf("result %+v, version %d with %d words", w.result, w.draft.Version, w.version.Words)
	}
	for _, c := range w.version.Citations {
		if got := w.version.Content[c.Claim.Start:c.Claim.End]; got != c.Claim.Text {
			d.t.Errorf("claim %q stands at its place as %q", c.Claim.Text, got)
		}
		if c.Verdict.Label != draft.Supported || c.Verdict.Score != 1 {
			d.t.Errorf("claim %q: %+v", c.Claim.Text, c.Verdict)
		}
		for _, s := range c.Spans {
			d.checkSpan(s)
		}
	}
	for i, e := range w.log {
		if e.Seq != int64(i+1) {
			d.t.Fatalf("event %d has the number %d", i+1, e.Seq)
		}
	}
}

func (d *desk) checkSpan(s draft.Span) {
	d.t.Helper()
	text, _, err := d.store.Text(d.t.Context(), ident.Local, s.DocumentID, 0, 1<<20)
	if err != nil {
		d.t.Fatal(err)
	}
	if text[s.Start:s.End] != s.Quote {
		d.t.Errorf("quote %q stands in its source as %q", s.Quote, text[s.Start:s.End])
	}
	passages, _, err := d.store.Passages(d.t.Context(), ident.Local, s.DocumentID, 0, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	if !slices.ContainsFunc(passages, func(p document.Passage) bool { return p.ID == s.PassageID && p.Start < s.End && p.End > s.Start }) {
		d.t.Errorf("span %d:%d names the passage %q", s.Start, s.End, s.PassageID)
	}
}

func TestPost(t *testing.T) {
	d := open(t)
	ids := []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}
	w := d.write(draft.Wish{DocumentIDs: ids, Title: "A warmer  library", Brief: draft.Brief{Words: 150, Topics: []string{"heating", "roof garden"}}})
	d.check(w)
	if w.draft.Title != "A warmer library" || w.draft.Status != draft.Completed {
		t.Errorf("title %q, status %s", w.draft.Title, w.draft.Status)
	}
	for _, part := range []string{"> **Extracted, not rewritten:**", "## Heating\n\nThe boiler of the library", "| Windows | 85000 |", "## Not covered by your sources\n\n- roof garden\n", "## Sources\n\n- Heating (heating.md)\n"} {
		if !strings.Contains(w.version.Content, part) {
			t.Errorf("%q is not in the post:\n%s", part, w.version.Content)
		}
	}
	for _, kind := range []string{runs.EventSurvey, runs.EventPlan, runs.EventHits, runs.EventSection, runs.EventToken, runs.EventCitation, runs.EventVerified, runs.EventVersion} {
		if len(w.events(kind)) == 0 {
			t.Errorf("no event %s", kind)
		}
	}
	var added struct {
		Claim struct {
			Start, End int
			Text       string
		}
		Offset    int
		SectionID string `json:"section_id"`
	}
	for i, e := range w.events(runs.EventCitation) {
		decode(t, e.Data, &added)
		if c := w.version.Citations[i].Claim; added.Claim.Start != c.Start || added.Claim.Text != c.Text || added.Offset > added.Claim.Start {
			t.Errorf("citation.added tells %+v, the version has %+v", added, c)
		}
	}
}

func TestExamples(t *testing.T) {
	d := open(t)
	ids := d.examples()
	w := d.write(draft.Wish{DocumentIDs: ids})
	d.check(w)
	if w.draft.Title != "Millbrook Town Library: energy report 2024" {
		t.Errorf("title %q", w.draft.Title)
	}
	for _, part := range []string{"## Key points\n\n- ", "## Costs and emissions\n\nEnergy cost the town 37,990 euros", "The work had four parts:\n\n- 24 cm", "\n- 62 kWp", "## Superseded sources\n\n- Renovation plan for the town library (renovation-plan-2022-03.md) – replaced by"} {
		if !strings.Contains(w.version.Content, part) {
			t.Errorf("%q is not in the post:\n%s", part, w.version.Content)
		}
	}
	if strings.Contains(w.version.Content, "1.42 million") {
		t.Error("a superseded source is quoted")
	}
	if w.version.Words < 500 || w.version.Words > 800 {
		t.Errorf("%d words", w.version.Words)
	}
	if again := d.write(draft.Wish{DocumentIDs: ids}); again.version.Content != w.version.Content {
		t.Error("the same sources give another post")
	}
}

func TestKorean(t *testing.T) {
	d := open(t)
	b, err := os.ReadFile("testdata/도서관.md")
	if err != nil {
		t.Fatal(err)
	}
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("도서관.md", string(b))}, Brief: draft.Brief{Topics: []string{"비용", "수영장"}}})
	d.check(w)
	for _, part := range []string{"발췌한 글입니다", "## 비용\n\n보수 공사에는 모두 17억 4천만 원이 들었다.", "## 자료에 없는 내용\n\n- 수영장", "- 책상에 콘센트가 더 필요하다\n- 일요일에도", "## 출처\n"} {
		if !strings.Contains(w.version.Content, part) {
			t.Errorf("%q is not in the post:\n%s", part, w.version.Content)
		}
	}
}

// What a wish asks for beyond what an extractor can do is told; what it can do is done.
func TestWishes(t *testing.T) {
	d := open(t)
	ids := d.examples()
	for _, c := range []struct {
		name   string
		wish   draft.Wish
		notice string // part of it; empty: none
		has    []string
		hasNot []string
	}{
		{"instructions name length and topics", draft.Wish{Instructions: "Write about 200 words. Focus on costs and the swimming pool."}, "", []string{"## Costs\n", "- swimming pool\n"}, nil},
		{"instructions that need a model", draft.Wish{Instructions: "Write it as a letter from a squirrel to its grandmother."}, "the instructions", nil, nil},
		{"tone, audience and language", draft.Wish{Brief: draft.Brief{Tone: "dry", Audience: "children", Language: "ko"}}, "the tone, the audience, the language ko", []string{"## 출처"}, nil},
		{"what must and what must not be in", draft.Wish{Brief: draft.Brief{Must: []string{"asbestos", "the moon"}, MustNot: []string{"COUNCILLOR BRANDT"}}}, "", []string{"## Asbestos\n", "- the moon\n"}, []string{"Councillor Brandt"}},
		{"an outline", draft.Wish{Brief: draft.Brief{Outline: []string{"What visitors think", "Blinds"}}}, "", []string{"## What visitors think\n", "## Blinds\n"}, []string{"## Heat\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.wish.DocumentIDs = ids
			w := d.write(c.wish)
			d.check(w)
			said := ""
			for _, e := range w.events(runs.EventNotice) {
				said += string(e.Data)
			}
			if c.notice == "" && said != "" || !strings.Contains(said, c.notice) {
				t.Errorf("notices %s, want %q", said, c.notice)
			}
			for _, s := range c.has {
				if !strings.Contains(w.version.Content, s) {
					t.Errorf("%q is missing:\n%s", s, w.version.Content)
				}
			}
			for _, s := range c.hasNot {
				if strings.Contains(w.version.Content, s) {
					t.Errorf("%q is there:\n%s", s, w.version.Content)
				}
			}
		})
	}
}

func TestPages(t *testing.T) {
	d := open(t)
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("mill.pdf", "%PDF-1.7\nnot looked at\n")}})
	d.check(w)
	if !strings.Contains(w.version.Content, "- Figures of the mill (mill.pdf), p. 1–4\n") {
		t.Errorf("the pages are not told:\n%s", w.version.Content)
	}
	for _, c := range w.version.Citations {
		if s := c.Spans[0]; s.Page < 1 || s.Page > 4 || s.DocumentName != "mill.pdf" {
			t.Errorf("span %+v", s)
		}
	}
}

// Texts without headings get headings of key phrases, and these say so.
func TestSuggestedHeadings(t *testing.T) {
	d := open(t)
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, "The water mill was sold in the %dth round for %d euros. A rope bridge crosses the gorge at post %d near the forest.\n\n", i+4, 100*i+70, i+12)
		fmt.Fprintf(&text, "Owners of the water mill pay %d euros of tax on it. Nobody has counted the steps of the rope bridge since %d or so.\n\n", 31*i+5, 1950+i)
	}
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("mill.txt", text.String())}})
	d.check(w)
	for _, heading := range []string{"## Water mill *(suggested heading)*\n", "## Rope bridge *(suggested heading)*\n"} {
		if !strings.Contains(w.version.Content, heading) {
			t.Errorf("%q is missing:\n%s", heading, w.version.Content)
		}
	}
}

// A source that is processed anew while the post is written is read again.
func TestProcessedMeanwhile(t *testing.T) {
	d := open(t)
	id := d.add("heating.md", heating)
	now := once(1, errBusy)
	d.hooks.search = func() error {
		if now() == nil {
			return nil
		}
		ctx := context.Background()
		if _, _, err := d.store.Process(ctx, ident.Local, id, true, "", nil); err != nil {
			return err
		}
		for {
			doc, err := d.store.Document(ctx, ident.Local, id)
			if err != nil || doc.Generation > 1 {
				return err
			}
			time.Sleep(5 * time.Millisecond) // nothing tells of a document's generation
		}
	}
	w := d.write(draft.Wish{DocumentIDs: []string{id}})
	d.check(w)
	if n := w.events(runs.EventNotice); len(n) != 1 || !strings.Contains(string(n[0].Data), "source_changed") {
		t.Errorf("notices %v", n)
	}
}

var errBusy = fault.New(fault.Unavailable, "busy", "Busy.")

// once fails at the n-th call.
func once(n int64, err error) func() error {
	var calls atomic.Int64
	return func() error {
		if calls.Add(1) == n {
			return err
		}
		return nil
	}
}

// A section that was left open is taken back and streamed anew; finished ones are not streamed again.
func TestInterruptedSection(t *testing.T) {
	d := open(t)
	ids := d.examples()
	third := once(3, errBusy)
	var sections []string
	d.hooks.event = func(kind string) error {
		if kind != runs.EventSection {
			return nil
		}
		return third()
	}
	w := d.write(draft.Wish{DocumentIDs: ids})
	d.check(w)
	resets := w.events(runs.EventReset)
	if len(resets) != 1 {
		t.Fatalf("%d resets, want 1", len(resets))
	}
	var r runs.Reset
	decode(t, resets[0].Data, &r)
	if r.Channel != "draft" || r.SectionID == "" {
		t.Errorf("reset %+v", r)
	}
	var s struct {
		SectionID string `json:"section_id"`
	}
	for _, e := range w.events(runs.EventSection) {
		decode(t, e.Data, &s)
		if slices.Contains(sections, s.SectionID) {
			t.Errorf("section %s was started twice", s.SectionID)
		}
		sections = append(sections, s.SectionID)
	}
}

// A crash between the version and the end of the run adds no second version.
func TestInterruptedBehindVersion(t *testing.T) {
	d := open(t)
	id := d.add("heating.md", heating)
	d.hooks.addVersion = once(1, errBusy)
	w := d.write(draft.Wish{DocumentIDs: []string{id}})
	d.check(w)
	if w.draft.Version != 1 || len(w.events(runs.EventVersion)) != 1 {
		t.Errorf("version %d, %d times version.created", w.draft.Version, len(w.events(runs.EventVersion)))
	}
}

// A document that is deleted while the post is written is not quoted in it, wherever the run is.
func TestDeletedMeanwhile(t *testing.T) {
	for _, when := range []string{"search", runs.EventSection, "last section"} {
		t.Run(when, func(t *testing.T) {
			d := open(t)
			keep, gone := d.add("heating.md", heating), d.add("minutes.txt", minutes)
			n := int64(1)
			if when == "last section" {
				n = 4
			}
			now := once(n, errBusy)
			remove := func() error {
				if now() == nil {
					return nil
				}
				_, err := d.store.Delete(context.Background(), ident.Local, gone, false)
				return err
			}
			if when == "search" {
				d.hooks.search = remove
			} else {
				d.hooks.event = func(kind string) error {
					if kind != runs.EventSection {
						return nil
					}
					return remove()
				}
			}
			w := d.write(draft.Wish{DocumentIDs: []string{keep, gone}})
			d.check(w)
			if strings.Contains(w.version.Content, "minutes.txt") || strings.Contains(w.version.Content, "quieter chairs") {
				t.Errorf("the deleted document is in the post:\n%s", w.version.Content)
			}
			if n := w.events(runs.EventNotice); len(n) != 1 || !strings.Contains(string(n[0].Data), "source_deleted") {
				t.Errorf("notices %v", n)
			}
		})
	}
}

func TestNothingToWriteFrom(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		name, code string
		prepare    func(id string)
		text       string
	}{
		{"all sources are deleted", "no_sources", func(id string) {
			d.hooks.Lock()
			defer d.hooks.Unlock()
			d.hooks.search = func() error {
				_, err := d.store.Delete(context.Background(), ident.Local, id, false)
				return err
			}
		}, heating},
		{"no sentence at all", "nothing_to_quote", func(string) {}, "one two\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := d.add(fmt.Sprintf("%s.txt", c.code), c.text)
			c.prepare(id)
			if w := d.write(draft.Wish{DocumentIDs: []string{id}}); w.failure.Code != c.code {
				t.Errorf("failure %+v, want %s", w.failure, c.code)
			}
		})
	}
}
