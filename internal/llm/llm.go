// Package llm is the port to models that write: a request goes in, a stream of deltas comes out, and a model may be made of others
// (tried again, limited, counted, replaced by the next).
package llm

import (
	"context"
	"encoding/json"
	"iter"
)

// Model writes. Implementations are safe for concurrent use.
type Model interface {
	// Stream asks once. The sequence ends with a delta that has Finish, or with an error (then its delta is zero), never with both
	// and never without either: a stream that is cut is fault "llm_cut". Leaving the loop, or the end of ctx, closes the
	// provider's call. The sequence can be ranged over once.
	//
	// Errors are faults with these codes: llm_unauthorized, llm_model_missing, llm_rate_limited (RetryAfter is set when the provider
	// said so), llm_unreachable, llm_failed (the provider's own error), llm_stalled, llm_cut, llm_garbled, llm_context_exceeded,
	// llm_refused, budget_exceeded.
	Stream(ctx context.Context, r Request) iter.Seq2[Delta, error]
	Info() Info
}

// Info is what can be known of a model without asking it.
type Info struct {
	Provider string // openai, ollama ...
	Name     string // as the provider calls it
	Context  int    // tokens of question and answer together; 0 is unknown
	Output   int    // tokens of one answer at most; 0 is unknown
}

// Role of a message.
type Role string

// The roles.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Result    Role = "tool" // the answer to a tool call
)

// Message is a turn of the conversation with a model.
type Message struct {
	Role    Role       `json:"role"`
	Content string     `json:"content"`
	Calls   []ToolCall `json:"calls,omitempty"`   // of an assistant
	CallID  string     `json:"call_id,omitempty"` // of a tool's result
}

// Tool is something a model may ask for.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON Schema of an object
}

// ToolCall is a wish of a model. Arguments is a JSON object.
type ToolCall struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// Request is one question to a model. What stays the same from request to request stands first in Messages, so that a provider can
// reuse it.
type Request struct {
	Messages    []Message
	Tools       []Tool
	Schema      *Schema  // the answer is JSON of this form
	MaxTokens   int      // of the answer; 0 leaves it to the provider
	Temperature *float64 // nil leaves it to the provider
	Purpose     string   // what the answer is for (plan, write, repair, judge, route ...); for the meter and the record, not sent
}

type paceKey struct{}

// WithPace lets whoever hears an answer say when to read more of it: wait is called before each look at the connection, which keeps what
// comes meanwhile. Words that are shown in a rhythm need not be read one by one. A wait is short: nothing ends it.
func WithPace(ctx context.Context, wait func()) context.Context {
	return context.WithValue(ctx, paceKey{}, wait)
}

// Pace gives what WithPace said, or nil.
func Pace(ctx context.Context) (wait func()) {
	wait, _ = ctx.Value(paceKey{}).(func())
	return wait
}

// Schema is the form that an answer must have.
type Schema struct {
	Name string
	JSON json.RawMessage // JSON Schema
}

// Delta is what came next. Usually one field is set.
type Delta struct {
	Text      string     // valid UTF-8
	Reasoning string     // thoughts, which are never shown as text
	Calls     []ToolCall // whole ones only
	Usage     *Usage     // of the whole request; the last one counts
	Finish    Finish     // set on the last delta only
}

// Finish says why a model ended.
type Finish string

// The ends of an answer.
const (
	Stop     Finish = "stop"
	Length   Finish = "length" // the answer was longer than it may be: ask to go on
	Calls    Finish = "tool_calls"
	Filtered Finish = "content_filter"
)

// Usage counts tokens. Cost is nil where the price is unknown.
type Usage struct {
	Input     int      `json:"input_tokens"`
	Cached    int      `json:"cached_tokens,omitempty"` // of the input
	Output    int      `json:"output_tokens"`
	Estimated bool     `json:"estimated,omitempty"` // the provider told nothing, so they were counted here
	Cost      *float64 `json:"cost,omitempty"`      // in the currency of the price table
}

// Answer is a stream that was read to its end.
type Answer struct {
	Text      string
	Reasoning string
	Calls     []ToolCall
	Usage     *Usage
	Finish    Finish
}

// Ask reads a stream to its end. At an error the answer holds what came before it.
func Ask(ctx context.Context, m Model, r Request) (Answer, error) {
	var a Answer
	for d, err := range m.Stream(ctx, r) {
		if err != nil {
			return a, err
		}
		a.Text += d.Text
		a.Reasoning += d.Reasoning
		a.Calls = append(a.Calls, d.Calls...)
		if d.Usage != nil {
			a.Usage = d.Usage
		}
		if d.Finish != "" {
			a.Finish = d.Finish
		}
	}
	return a, nil
}
