package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
)

// librarian is a model that answers questions.
type librarian struct {
	author
	answer  func(question string, passages []shown) llmtest.Turn
	correct func(prompt string) string
}

var questionTag = regexp.MustCompile(`(?m)^The question: (.*)$`)

func newLibrarian() *librarian {
	l := &librarian{author: author{counts: map[string]int{}}}
	l.model.About = llm.Info{Provider: "fake", Name: "librarian-1", Context: 8192}
	l.model.Script = func(_ int, r llm.Request) llmtest.Turn {
		l.mu.Lock()
		l.counts[r.Purpose]++
		l.mu.Unlock()
		prompt := r.Messages[1].Content
		turn := llmtest.Turn{Usage: &llm.Usage{Input: 100, Output: 20}}
		switch r.Purpose {
		case "condense":
			turn.Text = "When was the boiler of the library installed?\n"
		case "answer":
			if l.answer != nil {
				return l.answer(questionTag.FindStringSubmatch(prompt)[1], passagesOf(prompt))
			}
			turn.Text = verbatim(passagesOf(prompt)[:1], 30)
		case "repair":
			if turn.Text = `{"sentences":[]}`; l.correct != nil {
				turn.Text = l.correct(prompt)
			}
		}
		return turn
	}
	return l
}

// answeredRun is a query run with its log.
type answeredRun struct {
	agent.Answered
	run     runs.Run
	log     []runs.Event
	failure runs.Failure
}

func (a answeredRun) has(kind string) bool {
	return slices.ContainsFunc(a.log, func(e runs.Event) bool { return e.Type == kind })
}

func (d *desk) enquiries() *agent.Enquiries {
	return agent.NewEnquiries(d.store, d.store, d.store.Bus())
}

func (d *desk) ask(a agent.Asking) answeredRun {
	d.t.Helper()
	r, err := d.enquiries().Ask(d.t.Context(), ident.Local, a, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.answer(r.ID)
}

// answer reads what became of a query run.
func (d *desk) answer(runID string) (out answeredRun) {
	d.t.Helper()
	var err error
	out.Answered, err = d.enquiries().Wait(d.t.Context(), ident.Local, runID, 20*time.Second)
	if f := fault.Of(err); f != nil {
		out.failure = runs.Failure{Code: f.Code, Detail: f.Say}
	}
	if out.run, err = d.store.Run(d.t.Context(), ident.Local, runID); err != nil {
		d.t.Fatal(err)
	}
	if out.log, err = d.store.Events(d.t.Context(), runID, 0, 10_000); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// checkAnswer holds what is promised of every answer.
func (d *desk) checkAnswer(a answeredRun) {
	d.t.Helper()
	if a.failure.Code != "" {
		d.t.Fatalf("the run failed: %+v", a.failure)
	}
	if got := runs.Fold(a.log, agent.ChannelAnswer); got != a.Answer {
		d.t.Errorf("what was streamed is not the answer:\n%q\n%q", got, a.Answer)
	}
	if strings.Contains(a.Answer, "[p") || strings.TrimSpace(a.Answer) != a.Answer {
		d.t.Errorf("the answer is not clean: %q", a.Answer)
	}
	if a.Evidence != (len(a.Citations) > 0) || a.Citations == nil || a.Degraded == nil || a.Engine == "" {
		d.t.Errorf("%+v", a.Answered)
	}
	for _, c := range a.Citations {
		if got := a.Answer[c.Claim.Start:c.Claim.End]; got != c.Claim.Text || c.ID == "" {
			d.t.Errorf("claim %q stands at its place as %q", c.Claim.Text, got)
		}
		for _, s := range c.Spans {
			d.checkSpan(s)
		}
	}
}

func TestAnswer(t *testing.T) {
	l := newLibrarian()
	d := openWith(t, l)
	heatingID := d.add("heating.md", heating)
	d.add("minutes.txt", minutes)
	a := d.ask(agent.Asking{Question: "When was the boiler of the library installed?", Author: "anna"})
	d.checkAnswer(a)
	if !strings.Contains(a.Answer, "dates from 1987") || a.Citations[0].Verdict.Label != draft.Supported || a.Citations[0].Spans[0].DocumentID != heatingID {
		t.Errorf("%+v", a.Answered)
	}
	if a.Model != "librarian-1" || a.Provider != "fake" || a.run.Kind != runs.KindQuery || a.run.Subject.Type != "query" {
		t.Errorf("%+v %+v", a.Answered, a.run)
	}
	for _, kind := range []string{runs.EventHits, runs.EventToken, runs.EventCitation, runs.EventVerified, runs.EventUsage} {
		if !a.has(kind) {
			t.Errorf("no event %s", kind)
		}
	}
	if a.has(runs.EventSection) || a.has(runs.EventReset) {
		t.Error("an answer has no sections, and nothing of this one was taken back")
	}
	if l.asked("answer") != 1 || l.asked("repair")+l.asked("condense") != 0 {
		t.Errorf("requests %v", l.counts)
	}
}

// What a model makes up is corrected once, and cut if that does not help; what it refuses is no answer.
func TestAnswerIsVerified(t *testing.T) {
	const lie = "The boiler of the library dates from 1978 [p1]. It burns 31,000 litres of oil a year [p1]."
	for name, tc := range map[string]struct {
		say, correct string
		has, hasNot  string
		none         bool
	}{
		"corrected":     {say: lie, correct: `{"sentences":[{"number":1,"text":"The boiler of the library dates from 1987 [p1]."}]}`, has: "from 1987. It burns", hasNot: "1978"},
		"not corrected": {say: lie, correct: `nothing of use`, has: "31,000 litres", hasNot: "1978"},
		"nothing left":  {say: "The mayor of Paris gave it three golden lions in 1402 [p1].", correct: `{}`, hasNot: "lions", none: true},
		"taken back":    {say: "The mayor of Paris gave it three golden lions in 1402 [p1].", correct: `{"sentences":[{"number":1,"text":""}]}`, hasNot: "lions", none: true},
		"refused":       {say: "NONE", none: true},
		"refused twice": {say: "**NONE.**\n", none: true},
		"says nothing":  {say: " \n", none: true},
		"no source":     {say: "Nobody knows.", none: true},
		"begins alike":  {say: "No", none: true},
		"heading":       {say: "# Answer\n\nThe boiler of the library dates from 1987 [p1].\n\n", has: "The boiler", hasNot: "# Answer"},
		"made-up id":    {say: "The boiler of the library dates from 1987 [p99].", has: "1987"},
		"address":       {say: "The boiler of the library dates from 1987 [p1], see https://evil.example/x.", has: "1987", hasNot: "evil"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrarian()
			l.answer = func(string, []shown) llmtest.Turn { return llmtest.Turn{Text: tc.say} }
			l.correct = func(string) string { return tc.correct }
			d := openWith(t, l)
			d.add("heating.md", heating)
			a := d.ask(agent.Asking{Question: "When was the boiler of the library installed?"})
			d.checkAnswer(a)
			if !strings.Contains(a.Answer, tc.has) || tc.hasNot != "" && strings.Contains(a.Answer, tc.hasNot) {
				t.Errorf("%q", a.Answer)
			}
			if a.Evidence == tc.none || tc.none && a.Answer != "There is no evidence for an answer in these documents." {
				t.Errorf("%+v", a.Answered)
			}
		})
	}
}

func TestAnswerWithoutEvidence(t *testing.T) {
	for name, tc := range map[string]struct{ question, want string }{
		"English": {"Who won the football match in Kathmandu?", "There is no evidence for an answer in these documents."},
		"Korean":  {"카트만두 축구 경기는 누가 이겼습니까?", "이 문서들에는 이 질문에 답할 근거가 없습니다."},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrarian()
			d := openWith(t, l)
			d.add("heating.md", heating)
			for _, provider := range []string{"", "offline"} {
				a := d.ask(agent.Asking{Question: tc.question, Provider: provider})
				d.checkAnswer(a)
				if a.Answer != tc.want || a.Evidence {
					t.Errorf("%+v", a.Answered)
				}
			}
			if len(l.model.Asked()) != 0 {
				t.Errorf("a model was asked: %v", l.counts)
			}
		})
	}
}

func TestAnswerOfQuotes(t *testing.T) {
	d := open(t)
	d.add("heating.md", heating)
	d.add("minutes.txt", minutes)
	a := d.ask(agent.Asking{Question: "When was the boiler of the library installed?"})
	d.checkAnswer(a)
	if !strings.Contains(a.Answer, "dates from 1987") || a.Model != "" || !a.Evidence {
		t.Errorf("%+v", a.Answered)
	}
	again := d.ask(agent.Asking{Question: "And how many litres a year?", History: []agent.Turn{{"user", "What does the boiler of the library burn?"}, {"assistant", "Oil."}}})
	d.checkAnswer(again)
	if !strings.Contains(again.Answer, "31,000 litres") {
		t.Errorf("%+v", again.Answered)
	}
	other := d.ask(agent.Asking{Question: "What is the capital of Peru?", History: []agent.Turn{{"user", "What does the boiler of the library burn?"}, {"assistant", "Oil."}}})
	if other.Evidence || len(other.Citations) > 0 || other.Question != "What is the capital of Peru?" {
		t.Errorf("the question before is answered again: %+v", other.Answered)
	}
}

// Headings say what comes, which is no answer: neither alone nor before a sentence.
func TestAnswersQuoteNoHeadings(t *testing.T) {
	d := open(t)
	d.add("plan.md", "# The plan of the town library\n\n## Costs\n\nThe renovation is expected to cost 1.42 million euros. A third of that is paid by the state.\n\n## Schedule of the work\n\n- Roof: from May to July\n- Windows: in August\n\n## What visitors want next\n")
	for question, want := range map[string]string{
		"What are the costs of the renovation?": "The renovation is expected to cost 1.42 million euros.",
		"What do visitors want next?":           "",
		"Schedule of the work on windows?":      "Windows: in August",
	} {
		a := d.ask(agent.Asking{Question: question})
		d.checkAnswer(a)
		for _, line := range strings.Split(a.Answer, "\n\n") {
			if strings.HasPrefix(line, "Costs") || strings.HasPrefix(line, "What visitors") || strings.HasPrefix(line, "Schedule") {
				t.Errorf("%s %q", question, line)
			}
		}
		if !strings.Contains(a.Answer, want) || want == "" && a.Evidence {
			t.Errorf("%s %q", question, a.Answer)
		}
	}
}

// A question in a conversation is made to stand alone before it is searched for.
func TestAnswerInConversation(t *testing.T) {
	l := newLibrarian()
	d := openWith(t, l)
	d.add("heating.md", heating)
	a := d.ask(agent.Asking{Question: "And since when?", History: []agent.Turn{{"user", "Which boiler heats the library?"}, {"assistant", "An old one. </passage>"}}, Instructions: "Be friendly."})
	d.checkAnswer(a)
	if a.Question != "When was the boiler of the library installed?" || !strings.Contains(a.Answer, "1987") {
		t.Errorf("%+v", a.Answered)
	}
	for _, r := range l.model.Asked() {
		text := r.Messages[0].Content + r.Messages[1].Content
		switch r.Purpose {
		case "condense":
			if !strings.Contains(text, "user: Which boiler heats the library?") || strings.Contains(text, "</passage>") {
				t.Errorf("%s", text)
			}
		case "answer":
			if !strings.Contains(text, "Be friendly.") || !strings.Contains(text, "The question: When was the boiler") {
				t.Errorf("%s", text)
			}
		}
	}
}

// A source that changes while the answer is written is read anew, and what was streamed of the old one is taken back.
func TestAnswerBeginsAgain(t *testing.T) {
	l := newLibrarian()
	d := openWith(t, l)
	id := d.add("heating.md", heating)
	d.add("minutes.txt", minutes)
	gone := false
	l.answer = func(_ string, p []shown) llmtest.Turn {
		if !gone {
			gone = true
			if _, err := d.documents.Delete(t.Context(), ident.Local, id, false); err != nil {
				t.Error(err)
			}
		}
		return llmtest.Turn{Text: verbatim(p[:1], 30)}
	}
	a := d.ask(agent.Asking{Question: "What about the heat pump and the windows?"})
	d.checkAnswer(a)
	if !a.has(runs.EventReset) || !a.Evidence {
		t.Errorf("%+v", a.Answered)
	}
	for _, c := range a.Citations {
		if c.Spans[0].DocumentID == id {
			t.Errorf("a deleted document is cited: %+v", c)
		}
	}
}

// A crash in the midst asks no model twice for what it has paid.
func TestAnswerAfterFailure(t *testing.T) {
	l := newLibrarian()
	l.answer = func(string, []shown) llmtest.Turn {
		return llmtest.Turn{Text: "The boiler of the library dates from 1978 [p1]. It burns 31,000 litres of oil a year [p1]."}
	}
	first := true
	l.correct = func(string) string { return "{}" }
	script := l.model.Script
	l.model.Script = func(n int, r llm.Request) llmtest.Turn {
		if r.Purpose == "repair" && first {
			first = false
			return llmtest.Turn{Text: "{", Err: fault.New(fault.Unavailable, "llm_cut", "The model's answer was cut.")}
		}
		return script(n, r)
	}
	d := openWith(t, l)
	d.add("heating.md", heating)
	a := d.ask(agent.Asking{Question: "When was the boiler of the library installed?"})
	d.checkAnswer(a)
	if l.asked("answer") != 1 || a.run.Attempt != 2 || strings.Contains(a.Answer, "1978") {
		t.Errorf("requests %v, attempt %d, %q", l.counts, a.run.Attempt, a.Answer)
	}
}

func TestEnquiries(t *testing.T) {
	l := newLibrarian()
	d := openWith(t, l)
	id := d.add("heating.md", heating)
	e, ctx := d.enquiries(), t.Context()
	q := agent.Asking{Question: "When was the boiler of the library installed?", DocumentIDs: []string{id}}
	for name, tc := range map[string]struct {
		ws   ident.Workspace
		ask  agent.Asking
		code string
	}{
		"blank":            {ident.Local, agent.Asking{Question: " \n"}, "required"},
		"no such document": {ident.Local, agent.Asking{Question: "Why?", DocumentIDs: []string{id, ident.New()}}, "not_found"},
		"another's":        {"other", q, "not_found"},
	} {
		if _, err := e.Ask(ctx, tc.ws, tc.ask, nil); fault.Of(err) == nil || fault.Of(err).Code != tc.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	once := &ident.Once{Key: "k", Fingerprint: "f"}
	first, err := e.Ask(ctx, ident.Local, q, once)
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.Ask(ctx, ident.Local, q, once)
	if err != nil || second.ID != first.ID {
		t.Errorf("%v %v %v", first.ID, second.ID, err)
	}
	d.checkAnswer(d.answer(first.ID))
	if _, err := e.Wait(ctx, "other", first.ID, time.Second); fault.Of(err) == nil || fault.Of(err).Kind != fault.NotFound {
		t.Errorf("somebody else's answer: %v", err)
	}

	begun, let := make(chan bool), make(chan bool)
	l.answer = func(_ string, p []shown) llmtest.Turn {
		begun <- true
		<-let
		return llmtest.Turn{Text: verbatim(p[:1], 30)}
	}
	slow, err := e.Ask(ctx, ident.Local, q, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if _, err := e.Wait(ctx, ident.Local, slow.ID, time.Millisecond); !errors.Is(err, agent.ErrUnderWay) {
		t.Errorf("%v", err)
	}
	if _, err := d.store.Cancel(ctx, ident.Local, slow.ID); err != nil {
		t.Fatal(err)
	}
	close(let)
	if _, err := e.Wait(ctx, ident.Local, slow.ID, time.Second); fault.Of(err) == nil || fault.Of(err).Code != "run_cancelled" {
		t.Errorf("%v", err)
	}

	l.answer = func(string, []shown) llmtest.Turn {
		return llmtest.Turn{Err: llm.Failure(llm.CodeRefused, nil, "It does not want to.")}
	}
	if a := d.ask(q); a.failure.Code != llm.CodeRefused {
		t.Errorf("%+v", a.failure)
	} else if r, err := d.store.Requeue(ctx, ident.Local, a.run.ID, nil); err != nil {
		t.Error(err)
	} else if l.answer = nil; true {
		d.answer(r.ID)
	}
}

// When a document goes, so does all that answers kept of it.
func TestAnswersArePurged(t *testing.T) {
	for _, provider := range []string{"", "offline"} {
		d := openWith(t, newLibrarian())
		id := d.add("heating.md", heating)
		d.add("minutes.txt", minutes)
		a := d.ask(agent.Asking{Question: "When was the boiler of the library installed?", Provider: provider})
		other := d.ask(agent.Asking{Question: "What did the board discuss about the reading room?", DocumentIDs: nil, Provider: "offline"})
		d.checkAnswer(a)
		if _, err := d.documents.Delete(t.Context(), ident.Local, id, true); err != nil {
			t.Fatal(err)
		}
		if _, err := d.store.Sweep(t.Context(), func(context.Context, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		after := d.answer(a.run.ID)
		if after.failure.Code != "answer_purged" {
			t.Errorf("%+v", after)
		}
		steps, err := d.store.Steps(t.Context(), a.run.ID)
		if err != nil || len(steps) != 0 {
			t.Errorf("%d steps, %v", len(steps), err)
		}
		text, _ := json.Marshal(after.log)
		if strings.Contains(string(text), "1987") || strings.Contains(string(text), "MTk4Nw") {
			t.Errorf("%s", text)
		}
		if !strings.Contains(other.Answer, "12 March") {
			t.Errorf("%+v", other)
		}
	}
}

func TestNumbered(t *testing.T) {
	span := func(passage string) draft.Span { return draft.Span{PassageID: passage, Quote: "q"} }
	text := "Warm. It is cold.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
	cite := func(claim string, spans ...draft.Span) draft.Citation {
		at := strings.Index(text, claim)
		return draft.Citation{ID: claim, Claim: draft.Claim{Start: at, End: at + len(claim), Text: claim}, Spans: spans}
	}
	a := agent.Answered{Answer: text, Citations: []draft.Citation{cite("Warm.", span("x"), span("y")), cite("It is cold.", span("y")), cite("| 1 | 2 |", span("z"))}}
	n := a.Numbered()
	if want := "Warm. [1][2] It is cold. [2]\n\n| a | b |\n|---|---|\n| 1 | 2 [3] |\n"; n.Text != want {
		t.Errorf("%q", n.Text)
	}
	var marks []string
	for _, m := range n.Marks {
		marks = append(marks, fmt.Sprintf("%s %s %s", n.Text[m.Start:m.End], m.Citation.ID, n.Sources[m.Source].PassageID))
	}
	if diff := cmp.Diff([]string{"[1] Warm. x", "[2] Warm. y", "[2] It is cold. y", "[3] | 1 | 2 | z"}, marks); diff != "" {
		t.Error(diff)
	}
	if n := (agent.Answered{Answer: "Nothing."}).Numbered(); n.Text != "Nothing." || n.Sources != nil {
		t.Errorf("%+v", n)
	}
}

// A question whose budget is used up waits until a person allows more; where nobody can be asked it ends with that.
func TestAnswerOverBudget(t *testing.T) {
	for name, tc := range map[string]struct {
		unattended   bool
		answer, code string
	}{"allowed": {false, "continue", ""}, "refused": {false, "stop", llm.CodeBudget}, "nobody is there": {true, "", llm.CodeBudget}} {
		t.Run(name, func(t *testing.T) {
			l := newLibrarian()
			over := true
			l.answer = func(_ string, p []shown) llmtest.Turn {
				if over {
					return llmtest.Turn{Err: llm.Failure(llm.CodeBudget, nil, "The budget of the run is used up.")}
				}
				return llmtest.Turn{Text: verbatim(p[:1], 30)}
			}
			d := openWith(t, l)
			d.add("heating.md", heating)
			e := d.enquiries()
			r, err := e.Ask(t.Context(), ident.Local, agent.Asking{Question: "How much oil does the boiler burn?", Unattended: tc.unattended}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.unattended {
				q := d.question(r.ID)
				if _, err := e.Wait(t.Context(), ident.Local, r.ID, time.Hour); !errors.Is(err, agent.ErrUnderWay) {
					t.Errorf("who waits for the answer while the run waits for a person: %v", err)
				}
				over = false
				if _, err := d.store.Answer(t.Context(), ident.Local, r.ID, q.ID, runs.Reply{Value: json.RawMessage(`"` + tc.answer + `"`)}); err != nil {
					t.Fatal(err)
				}
			}
			a, err := e.Wait(t.Context(), ident.Local, r.ID, 20*time.Second)
			if code := codeOf(err); code != tc.code || tc.code == "" && !strings.Contains(a.Answer, "oil") {
				t.Errorf("%v %+v", err, a)
			}
		})
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}
