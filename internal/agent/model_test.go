package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
)

// author is a model that does as it is asked: it plans the sections that it was told, and writes them of the sentences that stand in
// the passages, with their ids. Its fields change how.
type author struct {
	model    llmtest.Model
	sections []string                                          // of its plan
	plan     func(n int) string                                // in the place of its plan; n counts from 0
	section  func(title string, passages []shown) llmtest.Turn // in the place of what it writes
	repair   func(prompt string) string
	rewrite  func(prompt string, passages []shown, words int) string

	mu     sync.Mutex
	counts map[string]int // requests by purpose
}

// shown is a passage of a prompt.
type shown struct{ id, text string }

var (
	passageTag = regexp.MustCompile(`(?s)<passage id="(p\d+)"[^>]*>\n(.*?)\n</passage>`)
	titleTag   = regexp.MustCompile(`(?:Write the|of the|is the) section "([^"]+)"`)
	wordsTag   = regexp.MustCompile(`in about (\d+) words`)
)

func passagesOf(prompt string) (list []shown) {
	for _, m := range passageTag.FindAllStringSubmatch(prompt, -1) {
		list = append(list, shown{m[1], m[2]})
	}
	return list
}

func (a *author) Model(context.Context, llm.Ref) (llm.Model, error) { return &a.model, nil }

func newAuthor(sections ...string) *author {
	a := &author{sections: sections, counts: map[string]int{}}
	a.model.About = llm.Info{Provider: "fake", Name: "author-1", Context: 8192}
	a.model.Script = func(_ int, r llm.Request) llmtest.Turn {
		a.mu.Lock()
		n := a.counts[r.Purpose]
		a.counts[r.Purpose]++
		a.mu.Unlock()
		prompt := r.Messages[1].Content
		passages := passagesOf(prompt)
		turn := llmtest.Turn{Usage: &llm.Usage{Input: 100, Output: 50}}
		switch r.Purpose {
		case "plan":
			if turn.Text = a.outline(); a.plan != nil {
				turn.Text = a.plan(n)
			}
		case "write":
			if a.section != nil {
				return a.section(titleTag.FindStringSubmatch(prompt)[1], passages)
			}
			turn.Text = verbatim(passages, wordsIn(prompt))
		case "repair":
			if turn.Text = `{"sentences":[]}`; a.repair != nil {
				turn.Text = a.repair(prompt)
			}
		case "rewrite":
			if turn.Text = verbatim(passages, wordsIn(prompt)); a.rewrite != nil {
				turn.Text = a.rewrite(prompt, passages, wordsIn(prompt))
			}
		}
		return turn
	}
	return a
}

func (a *author) outline() string {
	var list []string
	for _, s := range a.sections {
		list = append(list, fmt.Sprintf(`{"title":%q,"about":%q,"share":1}`, s, s))
	}
	return `{"title":"A warmer library","summary":"The boiler of the library dates from 1987. It was built by elephants.","tags":["library","heating"],"sections":[` + strings.Join(list, ",") + `]}`
}

// forget counts requests of a purpose from 0 again.
func (a *author) forget(purpose string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[purpose] = 0
}

func (a *author) asked(purpose string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[purpose]
}

func wordsIn(prompt string) (n int) {
	if m := wordsTag.FindStringSubmatch(prompt); m != nil {
		fmt.Sscan(m[1], &n)
	}
	return n
}

var sentenceEnd = regexp.MustCompile(`[^.!?\n|]{12,}[.!?]`)

// verbatim writes about so many words of the passages' sentences, each with its id.
func verbatim(passages []shown, words int) string {
	var b strings.Builder
	n := 0
	for _, p := range passages {
		for _, s := range sentenceEnd.FindAllString(p.text, -1) {
			s = strings.TrimSpace(strings.TrimLeft(s, "#- "))
			if n > 0 && n+len(strings.Fields(s)) > words+4 {
				return b.String()
			}
			n += len(strings.Fields(s))
			fmt.Fprintf(&b, "%s [%s]. ", strings.TrimSuffix(s, "."), p.id)
		}
	}
	return strings.TrimSpace(b.String())
}

// checkModel holds what is promised of every post that a model writes.
func (d *desk) checkModel(w written) {
	d.t.Helper()
	if w.failure.Code != "" {
		d.t.Fatalf("the run failed: %+v", w.failure)
	}
	if got := runs.Fold(w.log, "draft"); got != w.version.Content {
		d.t.Errorf("what was streamed is not the draft:\n%q\n%q", got, w.version.Content)
	}
	if strings.Contains(w.version.Content, "[p") {
		d.t.Errorf("a mark stands in the post:\n%s", w.version.Content)
	}
	for _, c := range w.version.Citations {
		if got := w.version.Content[c.Claim.Start:c.Claim.End]; got != c.Claim.Text {
			d.t.Errorf("claim %q stands at its place as %q", c.Claim.Text, got)
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

func TestModelWrites(t *testing.T) {
	a := newAuthor("Heating", "What the board decided")
	d := openWith(t, a)
	ids := []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}
	w := d.write(draft.Wish{DocumentIDs: ids})
	d.checkModel(w)
	if w.draft.Title != "A warmer library" || w.draft.Slug != "a-warmer-library" || !slices.Equal(w.draft.Tags, []string{"library", "heating"}) {
		t.Errorf("title %q, slug %q, tags %v", w.draft.Title, w.draft.Slug, w.draft.Tags)
	}
	if w.draft.Summary != "The boiler of the library dates from 1987." {
		t.Errorf("the summary says what no source says: %q", w.draft.Summary)
	}
	if w.result.Sentences < 4 || w.result.Cited != w.result.Sentences {
		t.Errorf("%+v\n%s", w.result, w.version.Content)
	}
	for _, part := range []string{"## Heating\n\nThe boiler of the library dates from 1987 and burns 31,000 litres of oil a year.", "## What the board decided\n\n", "## Sources\n\n- Heating (heating.md)\n"} {
		if !strings.Contains(w.version.Content, part) {
			t.Errorf("%q is not in the post:\n%s", part, w.version.Content)
		}
	}
	for _, kind := range []string{runs.EventSurvey, runs.EventPlan, runs.EventHits, runs.EventSection, runs.EventToken, runs.EventCitation, runs.EventVerified, runs.EventUsage, runs.EventVersion} {
		if len(w.events(kind)) == 0 {
			t.Errorf("no event %s", kind)
		}
	}
	if a.asked("plan") != 1 || a.asked("write") != 2 || a.asked("repair")+a.asked("rewrite") != 0 {
		t.Errorf("requests: %v", a.counts)
	}
}

// What the model makes up is corrected once, and cut if that does not help.
func TestModelInvents(t *testing.T) {
	lies := "The boiler of the library dates from 1978 [p1]. The mayor of Paris gave the library three golden lions. The board met on 12 March [p99]."
	for name, tc := range map[string]struct {
		flag          bool
		repair        string
		has, hasNot   []string
		cut, rejected int
	}{
		"corrected": {repair: `{"sentences":[{"number":1,"text":"The boiler of the library dates from 1987 [p1]."},{"number":2,"text":""}]}`,
			has: []string{"dates from 1987"}, hasNot: []string{"1978", "lions"}, rejected: 1},
		"not corrected":     {repair: `{"sentences":[{"number":1,"text":"The boiler of the library dates from 1911 [p1]."}]}`, has: []string{"The board met"}, hasNot: []string{"1978", "1911", "lions"}, cut: 1, rejected: 1},
		"no valid answer":   {repair: `I am sorry`, hasNot: []string{"1978", "lions"}, cut: 1, rejected: 1},
		"flagged, not cut":  {flag: true, repair: `{}`, has: []string{"1978", "lions"}, rejected: 1},
		"repaired with ids": {repair: `{"sentences":[{"number":1,"text":"The boiler of the library dates from 1987 [p77]."}]}`, has: []string{"1987"}, hasNot: []string{"1978", "lions"}, cut: 1, rejected: 2},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthor("Heating of the library")
			a.section = func(string, []shown) llmtest.Turn { return llmtest.Turn{Text: lies} }
			a.repair = func(string) string { return tc.repair }
			d := openWith(t, a)
			if tc.flag {
				d.flag()
			}
			w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}})
			d.checkModel(w)
			for _, s := range tc.has {
				if !strings.Contains(w.version.Content, s) {
					t.Errorf("%q is missing:\n%s", s, w.version.Content)
				}
			}
			for _, s := range tc.hasNot {
				if strings.Contains(w.version.Content, s) {
					t.Errorf("%q is there:\n%s", s, w.version.Content)
				}
			}
			if n := len(w.events(runs.EventRejected)); n != tc.rejected {
				t.Errorf("%d times citation.rejected, want %d", n, tc.rejected)
			}
			cut := 0
			for _, e := range w.events(runs.EventNotice) {
				if strings.Contains(string(e.Data), "unsupported_cut") {
					cut++
				}
			}
			if cut != tc.cut || a.asked("repair") != 1 {
				t.Errorf("%d notices of cuts, %d repairs", cut, a.asked("repair"))
			}
		})
	}
}

// A plan that can't be used is asked for again once, and then made without the model.
func TestModelPlansBadly(t *testing.T) {
	for name, tc := range map[string]struct {
		plan   func(n int) string
		notice bool
		has    string
	}{
		"right at second": {func(n int) string {
			return []string{"Sure! Here is no JSON.", "```json\n" + newAuthor("Heating").outline() + "\n```"}[n]
		}, false, "## Heating\n"},
		"never right":        {func(int) string { return `{"title":"x","sections":[]}` }, true, "## Costs\n"},
		"too many of them":   {func(int) string { return newAuthor(make([]string, 30)...).outline() }, true, "## Costs\n"},
		"titles of nothing":  {func(int) string { return newAuthor("Submarines of Atlantis", "Heating").outline() }, false, "- Submarines of Atlantis\n"},
		"Markdown in titles": {func(int) string { return newAuthor("Heating *now* <b>").outline() }, false, "## Heating \\*now\\* \\<b>"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthor()
			a.plan = tc.plan
			d := openWith(t, a)
			w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating)}})
			d.checkModel(w)
			said := false
			for _, e := range w.events(runs.EventNotice) {
				said = said || strings.Contains(string(e.Data), "plan_failed")
			}
			if said != tc.notice || !strings.Contains(w.version.Content, tc.has) {
				t.Errorf("notice %t, want %t; %q in\n%s", said, tc.notice, tc.has, w.version.Content)
			}
		})
	}
}

func TestNoEvidenceIsSaid(t *testing.T) {
	a := newAuthor("Submarines of Atlantis")
	d := openWith(t, a)
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating)}})
	if w.failure.Code != "no_evidence" || !strings.Contains(w.failure.Detail, "Submarines of Atlantis") {
		t.Errorf("%+v", w.failure)
	}
	if a.asked("write") != 0 {
		t.Error("the model was asked to write of nothing")
	}
}

// An answer that is longer than the model may give is asked to go on, and the post has the length that was asked for.
func TestLongPostOfShortAnswers(t *testing.T) {
	var source strings.Builder
	for i := range 900 {
		fmt.Fprintf(&source, "Room %d of the old library has shelf number %d and %d books about heating. ", i, i*7+3, i*13+5)
		if i%8 == 7 {
			source.WriteString("\n\n")
		}
	}
	a := newAuthor("Room heating books", "Shelf numbers", "Old library")
	rest := map[string][]string{}
	var mu sync.Mutex
	a.section = func(title string, passages []shown) llmtest.Turn {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := rest[title]; !ok {
			rest[title] = strings.SplitAfter(verbatim(passages, 400), " ")
		}
		words := rest[title]
		n := min(90, len(words)) // of the answer's limit
		rest[title] = words[n:]
		turn := llmtest.Turn{Text: strings.Join(words[:n], "")}
		if len(words) > n {
			turn.End = llm.Length
		}
		return turn
	}
	d := openWith(t, a)
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("rooms.txt", source.String())}, Brief: draft.Brief{Words: 1000}})
	d.checkModel(w)
	if w.result.Words < 900 || w.result.Words > 1100 {
		t.Errorf("%d words, want 1000\n%s", w.result.Words, w.version.Content)
	}
	if n := a.asked("write"); n < 9 {
		t.Errorf("%d requests", n)
	}
}

// A post of another length than was asked for is written again once, and cut if it is still too long.
func TestLength(t *testing.T) {
	text := heating + "\n\n## More\n\n"
	for i := range 60 {
		text += fmt.Sprintf("The heating of room %d costs %d euros a year and needs %d litres of oil. ", i, 310+i, 90+i)
	}
	for name, tc := range map[string]struct{ first, second float64 }{"too long, then right": {2, 1}, "too short, then right": {.4, 1}, "always too long": {2, 1.9}, "right": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			a := newAuthor("Heating", "Heating costs of rooms")
			a.section = func(_ string, p []shown) llmtest.Turn { return llmtest.Turn{Text: verbatim(p, int(130*tc.first))} }
			a.rewrite = func(_ string, p []shown, words int) string { return verbatim(p, int(float64(words)*tc.second)) }
			d := openWith(t, a)
			w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", text)}, Brief: draft.Brief{Words: 270}})
			d.checkModel(w)
			if w.result.Words < 243 || w.result.Words > 297 {
				t.Errorf("%d words, want 270\n%s", w.result.Words, w.version.Content)
			}
		})
	}
}

func TestOutlineIsApproved(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		has    []string
		hasNot []string
		code   string
	}{
		"as it is":   {answer: "true", has: []string{"## Heating\n", "## The board\n"}},
		"changed":    {answer: `["The board", "Costs of windows"]`, has: []string{"## The board\n", "## Costs of windows\n"}, hasNot: []string{"## Heating\n"}},
		"turned off": {answer: "false", code: "outline_rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthor("Heating", "The board")
			d := openWith(t, a)
			draftID, runID := d.begin(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}, Brief: draft.Brief{ApproveOutline: true}})
			q := d.question(runID)
			if q.Kind != runs.AskOutline || !strings.Contains(string(q.Data), "The board") {
				t.Errorf("%+v", q)
			}
			if _, err := d.store.Answer(t.Context(), ident.Local, runID, q.ID, runs.Reply{Value: json.RawMessage(`["", 3]`)}); fault.Of(err) == nil || fault.Of(err).Code != "bad_answer" {
				t.Errorf("a bad answer: %v", err)
			}
			for range 2 { // a client that heard nothing asks again
				if _, err := d.store.Answer(t.Context(), ident.Local, runID, q.ID, runs.Reply{Value: json.RawMessage(tc.answer)}); err != nil {
					t.Fatal(err)
				}
			}
			d.wait(runID)
			w := d.read(draftID, runID)
			if w.failure.Code != tc.code {
				t.Fatalf("%+v", w.failure)
			}
			if tc.code != "" {
				return
			}
			d.checkModel(w)
			for _, s := range tc.has {
				if !strings.Contains(w.version.Content, s) {
					t.Errorf("%q is missing:\n%s", s, w.version.Content)
				}
			}
			for _, s := range tc.hasNot {
				if strings.Contains(w.version.Content, s) {
					t.Errorf("%q is there:\n%s", s, w.version.Content)
				}
			}
			if a.asked("plan") != 1 {
				t.Errorf("%d plans: what was paid before the question was paid again", a.asked("plan"))
			}
		})
	}
}

// A model that fails for a moment is asked again for what it did not finish, and for nothing else.
func TestModelFailsInTheMidst(t *testing.T) {
	a := newAuthor("Heating", "The board", "Costs of windows")
	var mu sync.Mutex
	failed := false
	a.section = func(title string, p []shown) llmtest.Turn {
		mu.Lock()
		defer mu.Unlock()
		turn := llmtest.Turn{Text: verbatim(p, 60)}
		if title == "The board" && !failed {
			failed = true
			turn.Text, turn.Err = "Half a sentence that", fault.New(fault.Unavailable, "llm_cut", "The model's answer was cut.")
		}
		return turn
	}
	d := openWith(t, a)
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}})
	d.checkModel(w)
	if strings.Contains(w.version.Content, "Half a sentence") {
		t.Errorf("what was cut stands in the post:\n%s", w.version.Content)
	}
	if a.asked("plan") != 1 || a.asked("write") > 6 {
		t.Errorf("requests %v", a.counts)
	}
}

var _ agent.Models = (*author)(nil)

// A run whose budget is used up waits with what it has, and goes on when a person allows more.
func TestBudgetIsUsedUp(t *testing.T) {
	for answer, code := range map[string]string{"continue": "", "stop": llm.CodeBudget} {
		t.Run(answer, func(t *testing.T) {
			a := newAuthor("Heating", "The board", "Costs of windows")
			var mu sync.Mutex
			left := 1
			a.section = func(_ string, p []shown) llmtest.Turn {
				mu.Lock()
				defer mu.Unlock()
				if left == 0 {
					return llmtest.Turn{Err: llm.Failure(llm.CodeBudget, nil, "The budget of the run is used up.")}
				}
				left--
				return llmtest.Turn{Text: verbatim(p, 60)}
			}
			d := openWith(t, a)
			draftID, runID := d.begin(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}})
			q := d.question(runID)
			if q.Kind != runs.AskChoice || !strings.Contains(q.Text, "budget of the run") {
				t.Errorf("%+v", q)
			}
			mu.Lock()
			left = 100
			mu.Unlock()
			if _, err := d.store.Answer(t.Context(), ident.Local, runID, q.ID, runs.Reply{Value: json.RawMessage(`"` + answer + `"`)}); err != nil {
				t.Fatal(err)
			}
			d.wait(runID)
			w := d.read(draftID, runID)
			if w.failure.Code != code {
				t.Fatalf("%+v", w.failure)
			}
			if code != "" {
				if !strings.Contains(w.draft.Content, "## ") {
					t.Errorf("what was written is lost: %q", w.draft.Content)
				}
				return
			}
			d.checkModel(w)
			if a.asked("plan") != 1 {
				t.Errorf("%v", a.counts)
			}
		})
	}
}

// A model that refuses ends the run with its reason, and the draft keeps what was written.
func TestModelRefuses(t *testing.T) {
	a := newAuthor("Heating", "The board")
	a.section = func(title string, p []shown) llmtest.Turn {
		turn := llmtest.Turn{Text: verbatim(p, 60)}
		if title == "The board" {
			turn.Err = llm.Failure(llm.CodeRefused, nil, "The model does not want to write about this.")
		}
		return turn
	}
	d := openWith(t, a)
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}})
	if w.failure.Code != llm.CodeRefused || w.draft.Status != draft.Failed {
		t.Fatalf("%+v, draft %s", w.failure, w.draft.Status)
	}
	if got := runs.Fold(w.log, "draft"); got != w.draft.Content {
		t.Errorf("the draft has %q, what was streamed is %q", w.draft.Content, got)
	}
}

// A judge may doubt what words alone let pass.
func TestJudgeIsHeard(t *testing.T) {
	a := newAuthor("Heating")
	a.section = func(_ string, p []shown) llmtest.Turn {
		return llmtest.Turn{Text: "A heat pump would nearly halve the cost of heating within ten years [p1]. The boiler of the library dates from 1987 and burns 31,000 litres of oil a year [p1]."}
	}
	script := a.model.Script
	a.model.Script = func(n int, r llm.Request) llmtest.Turn {
		if r.Schema != nil && r.Schema.Name == "judgement" {
			return llmtest.Turn{Text: `{"label":"contradicted","quote":"A heat pump would halve the cost of heating within ten years."}`}
		}
		return script(n, r)
	}
	d := openWith(t, a)
	d.writer.Judgements = d.store
	w := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating)}})
	d.checkModel(w)
	if strings.Contains(w.version.Content, "nearly halve") || !strings.Contains(w.version.Content, "31,000 litres") {
		t.Errorf("the judge is not heard, or was asked about what stands there word for word:\n%s", w.version.Content)
	}
}

// A post is written in the language of its sources, or in the one that is asked for.
func TestLanguageOfThePost(t *testing.T) {
	korean, err := os.ReadFile("testdata/도서관.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, source, asked, want string }{
		{"as the sources", string(korean), "", "Korean"}, {"as asked", heating, "ko", "Korean"}, {"by its tag", heating, "xx-YY", "xx-YY"}, {"English", heating, "", "English"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAuthor("Heating 비용")
			a.section = func(_ string, p []shown) llmtest.Turn {
				return llmtest.Turn{Text: "보수 공사에는 모두 17억 4천만 원이 들었다 [p1]. " + verbatim(p, 40)}
			}
			d := openWith(t, a)
			w := d.write(draft.Wish{DocumentIDs: []string{d.add("a.md", tc.source)}, Brief: draft.Brief{Language: tc.asked}})
			for _, r := range a.model.Asked() {
				if !strings.Contains(r.Messages[0].Content, " in "+tc.want) {
					t.Errorf("%s is not told to write in %s", r.Purpose, tc.want)
				}
			}
			if tc.source != heating && !strings.Contains(w.version.Content, "보수 공사에는 모두 17억 4천만 원이 들었다.") {
				t.Errorf("a Korean sentence of the sources is lost:\n%s", w.version.Content)
			}
		})
	}
}
