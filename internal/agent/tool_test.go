package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"byline/internal/agent"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
)

// bench is a toolbox that keeps what it was asked.
type bench struct {
	mu    sync.Mutex
	tools []agent.Tool
	said  func(name string) (agent.ToolOutput, error)
	calls []string
	err   error // of the list
}

func (b *bench) Tools(context.Context) ([]agent.Tool, error) { return b.tools, b.err }

func (b *bench) Call(_ context.Context, name string, arguments json.RawMessage) (agent.ToolOutput, error) {
	b.mu.Lock()
	b.calls = append(b.calls, name+string(arguments))
	b.mu.Unlock()
	if b.said != nil {
		return b.said(name)
	}
	return agent.ToolOutput{Text: "done"}, nil
}

// run begins a run that does what a test wants.
func (d *desk) run(do func(context.Context, *runs.Job) (any, error)) string {
	d.t.Helper()
	d.other = do
	r, err := d.store.AddRun(d.t.Context(), ident.Local, runs.NewRun{Kind: runs.KindSync, Subject: runs.Subject{Type: "query", ID: ident.New()}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return r.ID
}

// used is what came of a use of a tool.
func (d *desk) used(runID string) (out agent.ToolOutput, log []runs.Event) {
	d.t.Helper()
	d.wait(runID)
	log, err := d.store.Events(d.t.Context(), runID, 0, 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	if last := log[len(log)-1]; last.Type == runs.EventCompleted {
		decode(d.t, last.Data, &out)
	}
	return out, log
}

var write = llm.ToolCall{ID: "c1", Name: "files__write", Arguments: json.RawMessage(`{"x":1}`)}

func TestUseTool(t *testing.T) {
	for name, tc := range map[string]struct {
		call   llm.ToolCall
		said   func(string) (agent.ToolOutput, error)
		want   agent.ToolOutput
		called int
	}{
		"works":         {call: write, want: agent.ToolOutput{Text: "done"}, called: 1},
		"unknown":       {call: llm.ToolCall{Name: "x", Arguments: json.RawMessage(`{}`)}, want: agent.ToolOutput{Text: "There is no tool x.", Failed: true}},
		"bad arguments": {call: llm.ToolCall{Name: "files__write", Arguments: json.RawMessage(`{`)}, want: agent.ToolOutput{Text: "The arguments of files__write are no JSON.", Failed: true}},
		"away": {call: write, said: func(string) (agent.ToolOutput, error) {
			return agent.ToolOutput{}, fault.New(fault.Unavailable, "tools_away", "It does not answer.").Because(errors.New("secret address"))
		}, want: agent.ToolOutput{Text: "It does not answer.", Failed: true}, called: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{tools: []agent.Tool{{Name: "files__write", Description: "Writes.", Parameters: json.RawMessage(`{"type":"object"}`)}}, said: tc.said}
			d := open(t)
			d.writer.Tools = b
			out, log := d.used(d.run(func(ctx context.Context, job *runs.Job) (any, error) {
				for range 2 { // the second time it is known
					if out, err := d.writer.UseTool(ctx, job, "tool/1", tc.call); err != nil || out != tc.want {
						return out, err
					}
				}
				return d.writer.UseTool(ctx, job, "tool/1", tc.call)
			}))
			if out != tc.want || len(b.calls) != tc.called {
				t.Errorf("%+v, calls %v", out, b.calls)
			}
			called, completed := 0, 0
			for _, e := range log {
				switch e.Type {
				case runs.EventToolCalled:
					called++
				case runs.EventToolCompleted:
					completed++
				}
			}
			if called != tc.called || completed != 1 {
				t.Errorf("%d called, %d completed", called, completed)
			}
		})
	}
}

// A person is asked before a tool is used, and the answer counts after a restart, too.
func TestUseToolIsAllowed(t *testing.T) {
	for answer, want := range map[string]agent.ToolOutput{"true": {Text: "done"}, "false": {Text: "files__write was not allowed.", Failed: true}} {
		b := &bench{tools: []agent.Tool{{Name: "files__write", Ask: true}}}
		d := open(t)
		d.writer.Tools = b
		id := d.run(func(ctx context.Context, job *runs.Job) (any, error) {
			return d.writer.UseTool(ctx, job, "tool/1", write)
		})
		q := d.question(id)
		if q.Kind != runs.AskConfirm || !strings.Contains(string(q.Data), `"x":1`) || q.ExpiresAt.IsZero() || len(b.calls) != 0 {
			t.Errorf("%+v, calls %v", q, b.calls)
		}
		if _, err := d.store.Answer(t.Context(), ident.Local, id, q.ID, runs.Reply{Value: json.RawMessage(answer)}); err != nil {
			t.Fatal(err)
		}
		if out, _ := d.used(id); out != want {
			t.Errorf("%s: %+v", answer, out)
		}
	}
}

// What a crash has interrupted is not done twice, unless it changes nothing.
func TestUseToolAfterCrash(t *testing.T) {
	for _, only := range []bool{false, true} {
		first := true
		b := &bench{tools: []agent.Tool{{Name: "files__write", ReadOnly: only}}}
		d := open(t)
		d.writer.Tools = b
		failing := fault.New(fault.Unavailable, "disk", "The disk is away.")
		d.hooks.Lock()
		d.hooks.event = func(kind string) error {
			if kind == runs.EventToolCalled && first {
				first = false
				return failing
			}
			return nil
		}
		d.hooks.Unlock()
		out, _ := d.used(d.run(func(ctx context.Context, job *runs.Job) (any, error) {
			return d.writer.UseTool(ctx, job, "tool/1", write)
		}))
		if only && (out.Text != "done" || len(b.calls) != 1) || !only && (!out.Failed || !strings.Contains(out.Text, "not known") || len(b.calls) != 0) {
			t.Errorf("read only %t: %+v, calls %v", only, out, b.calls)
		}
	}
}

func TestOffered(t *testing.T) {
	d := open(t)
	if list, err := d.writer.Offered(t.Context()); list != nil || err != nil {
		t.Errorf("%v %v", list, err)
	}
	b := &bench{tools: []agent.Tool{{Name: "a", Description: "b", Parameters: json.RawMessage(`{}`)}}}
	d.writer.Tools = b
	if list, err := d.writer.Offered(t.Context()); len(list) != 1 || list[0].Name != "a" || list[0].Description != "b" || err != nil {
		t.Errorf("%v %v", list, err)
	}
	b.err = errors.New("gone")
	if _, err := d.writer.Offered(t.Context()); err == nil {
		t.Error("no error")
	}
}
