package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"byline/internal/llm"
)

// answer puts together what chunks say.
type answer struct {
	text, thought, refusal joiner
	think                  thinker
	calls                  []*wish
	refused                strings.Builder
	finish                 string
	usage                  *llm.Usage
	said                   bool // something of the answer has come
}

// wish is a tool call that comes in pieces.
type wish struct {
	index     int
	id, name  string
	arguments []byte
}

// add takes a chunk in and gives what can be handed on of it.
func (a *answer) add(c *chunk) (d llm.Delta) {
	if len(c.reasoning) > 0 {
		d.Reasoning = a.thought.next(c.reasoning)
	}
	if len(c.text) > 0 {
		text, thought := a.think.next(a.text.next(c.text))
		d.Text = text
		d.Reasoning += thought
	}
	if len(c.refusal) > 0 {
		a.refused.WriteString(a.refusal.next(c.refusal))
	}
	for _, p := range c.calls {
		a.call(p)
	}
	if c.finish != "" {
		a.finish = c.finish
	}
	if c.usage != nil {
		a.usage = c.usage
	}
	a.said = a.said || d.Text != "" || d.Reasoning != "" || len(c.calls) > 0
	return d
}

// rest gives what was waiting for more.
func (a *answer) rest() (d llm.Delta) {
	text, thought := a.think.next(a.text.rest())
	more, late := a.think.rest()
	return llm.Delta{Text: text + more, Reasoning: a.thought.rest() + thought + late}
}

// call puts a piece to its call. A piece begins another call when it has an index that no call has, another id than the call
// of its index, or another name once that call is whole: so calls are told apart where all have the index 0, or none.
func (a *answer) call(p part) {
	var w *wish
	for i := len(a.calls) - 1; i >= 0 && w == nil; i-- { // the latest
		c := a.calls[i]
		if p.id != "" && c.id == p.id || (p.id == "" || c.id == "") && (!p.indexed || c.index == p.index) || p.indexed && c.index == p.index {
			w = c
		}
	}
	if w != nil && (p.id != "" && w.id != "" && p.id != w.id || p.name != "" && w.name != "" && p.id != w.id && object(w.arguments) || p.name != "" && w.name != "" && p.id == "" && object(w.arguments)) {
		w = nil
	}
	if w == nil {
		w = &wish{index: p.index}
		if !p.indexed {
			w.index = len(a.calls)
		}
		a.calls = append(a.calls, w)
	}
	if w.id == "" {
		w.id = p.id
	}
	if w.name == "" {
		w.name = p.name
	}
	if p.whole {
		w.arguments = w.arguments[:0]
	}
	w.arguments = append(w.arguments, p.arguments...)
}

// object tells whether b is a whole JSON object.
func object(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && b[0] == '{' && json.Valid(b)
}

// whole gives the calls. One that was cut off by the limit of the answer's length is left out.
func (a *answer) whole() ([]llm.ToolCall, error) {
	var list []llm.ToolCall
	for i, w := range a.calls {
		args := bytes.TrimSpace([]byte(clean(w.arguments)))
		var inner string
		if len(args) > 0 && args[0] == '"' && json.Unmarshal(args, &inner) == nil { // written as a text twice
			args = bytes.TrimSpace([]byte(inner))
		}
		if len(args) == 0 || string(args) == "null" {
			args = []byte("{}")
		}
		if w.name == "" || !object(args) {
			if a.finish == "length" {
				continue
			}
			return nil, fmt.Errorf("a call of the tool %q with arguments that are no JSON object: %.200s", w.name, args)
		}
		if w.id == "" {
			w.id = fmt.Sprintf("call_%d", i+1)
		}
		list = append(list, llm.ToolCall{ID: w.id, Name: w.name, Arguments: json.RawMessage(args)})
	}
	return list, nil
}

// reason is the finish in our words; "" when the provider's word stands for a failure.
func (a *answer) reason() llm.Finish {
	switch a.finish {
	case "length", "max_tokens", "model_length":
		return llm.Length
	case "content_filter":
		return llm.Filtered
	case "error", "abort", "insufficient_system_resource":
		return ""
	}
	if len(a.calls) > 0 { // some say stop after them
		return llm.Calls
	}
	return llm.Stop
}

// thinker parts what stands between <think> and </think> at the beginning of an answer from the rest.
type thinker struct {
	state int
	held  string // may become a mark with what comes next
	close string
}

// The states of a thinker.
const (
	before  = iota // only white space came
	within         // a thought
	closing        // behind it: white space is not part of the answer
	behind
)

var thoughts = []string{"<think>", "<thinking>"}

// next takes a piece and gives what of it is the answer's text and what is thought.
func (t *thinker) next(piece string) (text, thought string) {
	if t.state == behind {
		return piece, ""
	}
	s := t.held + piece
	t.held = ""
	if t.state == before {
		bare := strings.TrimLeft(s, " \t\r\n")
		for _, open := range thoughts {
			if rest, ok := strings.CutPrefix(bare, open); ok {
				t.state, t.close, s = within, "</"+open[1:], rest
			}
		}
		if t.state == before {
			if bare == "" || strings.HasPrefix(thoughts[0], bare) || strings.HasPrefix(thoughts[1], bare) {
				t.held = s
				return "", ""
			}
			t.state = behind
			return s, ""
		}
	}
	if t.state == within {
		var closed bool
		if thought, s, closed = strings.Cut(s, t.close); !closed {
			n := begun(thought, t.close)
			t.held = thought[len(thought)-n:]
			return "", thought[:len(thought)-n]
		}
		t.state = closing
	}
	if s = strings.TrimLeft(s, " \t\r\n"); s != "" {
		t.state = behind
	}
	return s, thought
}

// rest gives what was held.
func (t *thinker) rest() (text, thought string) {
	s := t.held
	t.held = ""
	if t.state == within {
		return "", s
	}
	return s, ""
}

// begun counts the bytes at the end of s that are the beginning of a mark.
func begun(s, mark string) int {
	for n := min(len(s), len(mark)-1); n > 0; n-- {
		if strings.HasPrefix(mark, s[len(s)-n:]) {
			return n
		}
	}
	return 0
}
