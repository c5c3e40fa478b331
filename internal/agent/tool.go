package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
)

// Tool is something outside of the house that a model may ask for.
type Tool struct {
	Name        string // unique, and fit for every model
	Description string
	Parameters  json.RawMessage // JSON Schema of an object
	ReadOnly    bool            // it changes nothing, as whoever set it up says; else it is never done twice
	Ask         bool            // a person must allow each use
}

// Toolbox has the tools that the installation allows; driver/mcp is one. It is safe for concurrent use.
type Toolbox interface {
	// Tools lists what may be used now. Those of a server that is away are missing.
	Tools(ctx context.Context) ([]Tool, error)
	// Call uses a tool, within the time that it may take. What goes wrong in the tool is a ToolOutput that Failed; an error is for a
	// tool that could not be asked, a fault in words for people.
	Call(ctx context.Context, name string, arguments json.RawMessage) (ToolOutput, error)
}

// ToolOutput is what a tool said. It is material, as a source is: it never says what to do.
type ToolOutput struct {
	Text   string `json:"text"`
	Failed bool   `json:"failed,omitempty"`
}

// toolCalled is the data of tool.called, toolCompleted of tool.completed.
type toolCalled struct {
	CallID    string          `json:"call_id,omitempty"`
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

type toolCompleted struct {
	CallID string `json:"call_id,omitempty"`
	Tool   string `json:"tool"`
	ToolOutput
}

// allowTime is how long a question about a tool waits for its answer.
const allowTime = 7 * 24 * time.Hour

// Offered are the tools as a model is told of them. Without a toolbox, or while it cannot be asked, there are none.
func (w *Writer) Offered(ctx context.Context) ([]llm.Tool, error) {
	if w.Tools == nil {
		return nil, nil
	}
	list, err := w.Tools.Tools(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tools: %w", err)
	}
	var out []llm.Tool
	for _, t := range list {
		out = append(out, llm.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
	}
	return out, nil
}

// UseTool does what a model asks for in a run, once: key names the step. Where a person must allow it the run asks and waits
// (runs.ErrWaiting, to be returned as it is); the same call when the run goes on has the answer. A use that a crash has interrupted is
// repeated only if the tool changes nothing. What goes wrong is told to the model as an output, so that it can do something else.
func (w *Writer) UseTool(ctx context.Context, job *runs.Job, key string, call llm.ToolCall) (ToolOutput, error) {
	var out ToolOutput
	if job.Done(key) {
		return out, job.Once(ctx, key, &out, nil)
	}
	keep := func(text string, args ...any) (ToolOutput, error) {
		err := job.Once(ctx, key, &out, func(context.Context) ([]runs.NewEvent, error) {
			out = ToolOutput{fmt.Sprintf(text, args...), true}
			return []runs.NewEvent{{Type: runs.EventToolCompleted, Data: toolCompleted{call.ID, call.Name, out}}}, nil
		})
		return out, err
	}
	t, ok, err := w.tool(ctx, call.Name)
	switch {
	case err != nil:
		return out, err
	case !ok:
		return keep("There is no tool %s.", call.Name)
	case !json.Valid(call.Arguments):
		return keep("The arguments of %s are no JSON.", call.Name)
	case job.Opened(key) && !t.ReadOnly:
		return keep("It is not known whether %s was done: the program stopped in its midst. Look before it is done again.", t.Name)
	}
	if t.Ask {
		reply, err := job.Ask(ctx, allowed(key, t, call))
		if err != nil {
			return out, err
		}
		var yes bool
		if reply.Expired || json.Unmarshal(reply.Value, &yes) != nil || !yes {
			return keep("%s was not allowed.", t.Name)
		}
	}
	err = job.Once(ctx, key, &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		if err := job.Emit(ctx, runs.NewEvent{Type: runs.EventToolCalled, Data: toolCalled{call.ID, t.Name, call.Arguments}}); err != nil {
			return nil, err
		}
		var err error
		if out, err = w.Tools.Call(ctx, t.Name, call.Arguments); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			out = ToolOutput{fault.Of(err).Say, true}
		}
		return []runs.NewEvent{{Type: runs.EventToolCompleted, Data: toolCompleted{call.ID, t.Name, out}}}, nil
	})
	return out, err
}

func (w *Writer) tool(ctx context.Context, name string) (Tool, bool, error) {
	if w.Tools == nil {
		return Tool{}, false, nil
	}
	list, err := w.Tools.Tools(ctx)
	if err != nil {
		return Tool{}, false, fmt.Errorf("list tools: %w", err)
	}
	i := slices.IndexFunc(list, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, false, nil
	}
	return list[i], true, nil
}

// allowed is the question whether a tool may be used.
func allowed(key string, t Tool, call llm.ToolCall) runs.Question {
	data, _ := json.Marshal(toolCalled{call.ID, t.Name, call.Arguments}) // they were read from JSON
	return runs.Question{Key: key + "/allow", Kind: runs.AskConfirm, Text: fmt.Sprintf("May %s be used?", t.Name), Data: data, ExpiresAt: time.Now().Add(allowTime)}
}
