package agent_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// trace is the tree of a run, a step a line, those within another further in.
func (d *desk) trace(runID string) ([]*agent.Trace, string) {
	d.t.Helper()
	journal, err := d.store.Steps(d.t.Context(), runID)
	if err != nil {
		d.t.Fatal(err)
	}
	log, err := d.store.Outline(d.t.Context(), runID)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range log {
		if e.Type == runs.EventToken {
			d.t.Error("the outline has tokens")
		}
	}
	list := agent.Tracing(journal, log)
	return list, drawn(list, "")
}

func drawn(list []*agent.Trace, margin string) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s%s %s\n%s", margin, s.Type, s.Name, drawn(s.Within, margin+"  "))
	}
	return b.String()
}

// each calls do for all steps.
func eachStep(list []*agent.Trace, do func(*agent.Trace)) {
	for _, s := range list {
		do(s)
		eachStep(s.Within, do)
	}
}

func TestTraceOfAPost(t *testing.T) {
	d := openWith(t, newAuthor("The boiler", "The pumps"))
	w := draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}}
	draftID, runID := d.begin(w)
	d.wait(runID)
	list, drawing := d.trace(runID)
	var nodes []string
	for _, s := range list {
		if s.Type == agent.TraceNode {
			nodes = append(nodes, s.Name)
		}
	}
	if got := strings.Join(nodes, " "); !strings.HasPrefix(got, "survey plan gather write verify") || !strings.HasSuffix(got, "finish") {
		t.Errorf("nodes: %s", got)
	}
	for _, want := range []string{"node plan\n  model plan\n", "node gather\n  search ", "  step write/s1\n    model write\n", "  step write/s2\n    model write\n"} {
		if !strings.Contains(drawing, want) {
			t.Errorf("no %q in\n%s", want, drawing)
		}
	}
	if strings.Contains(drawing, "show/") {
		t.Errorf("what only shows is told:\n%s", drawing)
	}
	eachStep(list, func(s *agent.Trace) {
		if !s.Done || s.Ended.IsZero() || s.Began.IsZero() || s.Ended.Before(s.Began) {
			t.Errorf("%s %s: %s to %s", s.Type, s.Name, s.Began, s.Ended)
		}
		if s.Type != agent.TraceModel {
			return
		}
		if s.Used == nil || s.Used.Model != "author-1" || s.Used.Input != 100 || !strings.Contains(string(s.Saw), `"role":"system"`) || !strings.Contains(string(s.Did), "Text") && !strings.Contains(string(s.Did), "text") {
			t.Errorf("%s: %+v saw %s did %s", s.Name, s.Used, s.Saw, s.Did)
		}
	})
	// A fork has the steps that it took over, without their times.
	_, fork, err := d.drafts.Fork(t.Context(), ident.Local, runID, "gather", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.wait(fork.ID)
	_, forked := d.trace(fork.ID)
	for _, want := range []string{"node plan\n  model plan\n", "  step write/s1\n    model write\n", "node finish\n"} {
		if !strings.Contains(forked, want) {
			t.Errorf("no %q in\n%s", want, forked)
		}
	}
	// What was purged with a source leaves the steps and their times.
	if _, err := d.store.Delete(t.Context(), ident.Local, w.DocumentIDs[0], true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Sweep(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	purged, drawing := d.trace(runID)
	if !strings.Contains(drawing, "node write\n  step write/s1\n") && !strings.Contains(drawing, "node write\n  step write/s2\n") {
		t.Errorf("%s", drawing)
	}
	eachStep(purged, func(s *agent.Trace) {
		if len(s.Saw)+len(s.Did) > 0 {
			t.Errorf("%s %s still tells %s %s", s.Type, s.Name, s.Saw, s.Did)
		}
	})
	_ = draftID
}

func TestTraceOfAConversation(t *testing.T) {
	a := speaker(func(string) string {
		return `{"intent":"question","request":"How much oil does the boiler burn?","title":"","words":0}`
	})
	d := openWith(t, a)
	d.add("heating.md", heating)
	h := d.converse().say(session.Said{Content: "How much oil does the boiler burn?"})
	_, drawing := d.trace(h.RunID)
	for _, want := range []string{"node route\n  step memory\n  model route\n", "node answer\n", "  node gather\n    search How much oil", "  node reply\n    step answer/reply/text\n      model answer", "node finish\n"} {
		if !strings.Contains(drawing, want) {
			t.Errorf("no %q in\n%s", want, drawing)
		}
	}
}

// Tools, questions and what a crash left, from logs as they may be.
func TestTracing(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	event := func(kind string, data any) runs.Event {
		b, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		return runs.Event{Type: kind, At: at, Data: b}
	}
	began := func(key string) runs.Event { return event(runs.EventStepStarted, runs.StepEvent{Step: key}) }
	ended := func(key string) runs.Event { return event(runs.EventStepCompleted, runs.StepEvent{Step: key}) }
	type object = map[string]any
	log := []runs.Event{
		began("route"), ended("route"),
		began("chat"), began("chat/tool/1"), ended("chat/tool/1"),
		event(runs.EventWaiting, object{"question": runs.Question{ID: "q", Key: "chat/use/1/1/allow", Kind: runs.AskConfirm, Text: "May it?"}}),
		event(runs.EventRestarted, object{"attempt": 2}),
		began("chat"), began("chat/use/1/1"), event(runs.EventToolCalled, object{"call_id": "c", "tool": "files__read", "arguments": object{"path": "a"}}),
		event(runs.EventToolCompleted, object{"call_id": "c", "tool": "files__read", "text": "done"}), ended("chat/use/1/1"),
		began("chat/1"),
		{Type: runs.EventStepStarted, Data: json.RawMessage(`7`)}, {Type: runs.EventStepCompleted, Data: json.RawMessage(`{"step":"unknown"}`)},
		{Type: runs.EventToolCompleted, Data: json.RawMessage(`{}`)}, {Type: runs.EventWaiting, Data: json.RawMessage(`{}`)}, {Type: runs.EventUsage, Data: json.RawMessage(`{}`)},
		event(runs.EventHits, object{}), ended("chat/1"),
	}
	journal := []runs.Step{
		{Key: "chat/use/1/1/allow", Done: true, Result: json.RawMessage(`{"value":true,"question_id":"q"}`), Attempt: 1, At: at},
		{Key: "show/answer", Done: true, Result: json.RawMessage(`{}`)},
		{Key: "chat", Attempt: 2},
	}
	list := agent.Tracing(journal, log)
	want := `node route
node chat
  step chat/tool/1
  question confirm
  tool files__read
  tool 
    search 
`
	if diff := cmp.Diff(want, drawn(list, "")); diff != "" {
		t.Error(diff)
	}
	inner := list[1].Within
	if q := inner[1]; !q.Done || !strings.Contains(string(q.Saw), "May it?") || !strings.Contains(string(q.Did), "true") {
		t.Errorf("question %+v: saw %s, did %s", q, q.Saw, q.Did)
	}
	if u := inner[2]; !strings.Contains(string(u.Saw), `"path":"a"`) || !strings.Contains(string(u.Did), "done") || u.Ended.Sub(u.Began) != 3*time.Second {
		t.Errorf("tool %+v: saw %s, did %s", u, u.Saw, u.Did)
	}
	if list[1].Done || list[1].Attempt != 2 {
		t.Errorf("what a crash left open: %+v", list[1])
	}
	if got := agent.Tracing(nil, nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
