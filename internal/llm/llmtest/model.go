package llmtest

import (
	"context"
	"iter"
	"strings"
	"sync"

	"byline/internal/llm"
)

// Turn is an answer of a Model: deltas, and then an error or a finish.
type Turn struct {
	Text  string // a word a delta
	Calls []llm.ToolCall
	Usage *llm.Usage
	Err   error      // in the place of a finish
	End   llm.Finish // "" is what fits
}

// Model is a model in the process, for tests that need no wire. It keeps what it was asked.
type Model struct {
	About  llm.Info
	Script func(n int, r llm.Request) Turn // n counts from 0; nil says "ok"

	mu    sync.Mutex
	asked []llm.Request
}

// Info is About.
func (m *Model) Info() llm.Info { return m.About }

// Asked gives the requests so far.
func (m *Model) Asked() []llm.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]llm.Request(nil), m.asked...)
}

// Stream answers as the script says.
func (m *Model) Stream(ctx context.Context, r llm.Request) iter.Seq2[llm.Delta, error] {
	return func(yield func(llm.Delta, error) bool) {
		m.mu.Lock()
		n := len(m.asked)
		m.asked = append(m.asked, r)
		m.mu.Unlock()
		t := Turn{Text: "ok"}
		if m.Script != nil {
			t = m.Script(n, r)
		}
		for _, word := range strings.SplitAfter(t.Text, " ") {
			if ctx.Err() != nil {
				yield(llm.Delta{}, ctx.Err())
				return
			}
			if word != "" && !yield(llm.Delta{Text: word}, nil) {
				return
			}
		}
		if t.Calls != nil && !yield(llm.Delta{Calls: t.Calls}, nil) {
			return
		}
		if t.Err != nil {
			yield(llm.Delta{}, t.Err)
			return
		}
		if t.End == "" {
			t.End = llm.Stop
			if t.Calls != nil {
				t.End = llm.Calls
			}
		}
		yield(llm.Delta{Usage: t.Usage, Finish: t.End}, nil)
	}
}
