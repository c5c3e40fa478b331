package llm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"byline/internal/fault"
)

// recorded is a line of a record: a request and all that came.
type recorded struct {
	Info    Info            `json:"info"`
	Request json.RawMessage `json:"request"`
	Deltas  []Delta         `json:"deltas"`
	Error   *recordedError  `json:"error,omitempty"`
}

type recordedError struct {
	Code string `json:"code"`
	Say  string `json:"say"`
}

// Record is a model that writes down what it is asked and what it answers, a line of JSON each, for Replay. It is for tests:
// a record holds whole prompts. An answer that its caller does not hear to the end is not written.
func Record(m Model, w io.Writer) Model { return &recorder{Model: m, w: w} }

type recorder struct {
	Model
	mu sync.Mutex
	w  io.Writer
}

func (m *recorder) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		line := recorded{Info: m.Info()}
		for d, err := range m.Model.Stream(ctx, r) {
			if err != nil {
				f := fault.Of(err)
				line.Error = &recordedError{f.Code, f.Say}
			} else {
				line.Deltas = append(line.Deltas, d)
			}
			if err != nil || d.Finish != "" {
				if unwritten := m.write(line, r); unwritten != nil {
					yield(Delta{}, unwritten)
					return
				}
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

func (m *recorder) write(line recorded, r Request) error {
	var err error
	if line.Request, err = json.Marshal(r); err != nil {
		return fmt.Errorf("write a request to the record: %w", err)
	}
	b, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write an answer to the record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err = m.w.Write(append(b, '\n'))
	return err
}

// Replay makes a model of a record: a request that stands in it is answered as it was, the same request again by the next
// answer to it (the last one again and again), and any other is an error.
func Replay(from io.Reader) (Model, error) {
	m := &replayer{answers: map[string][]recorded{}}
	lines := bufio.NewScanner(from)
	const longest = 64 << 20
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		var line recorded
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("line %d of the record: %w", n, err)
		}
		m.info = line.Info
		m.answers[string(line.Request)] = append(m.answers[string(line.Request)], line)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return m, nil
}

type replayer struct {
	info    Info
	mu      sync.Mutex
	answers map[string][]recorded
}

func (m *replayer) Info() Info { return m.info }

func (m *replayer) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		line, err := m.next(r)
		if err != nil {
			yield(Delta{}, err)
			return
		}
		for _, d := range line.Deltas {
			if ctx.Err() != nil {
				yield(Delta{}, ctx.Err())
				return
			}
			if !yield(d, nil) {
				return
			}
		}
		if line.Error != nil {
			yield(Delta{}, Failure(line.Error.Code, errors.New("recorded"), "%s", line.Error.Say))
		}
	}
}

func (m *replayer) next(r Request) (recorded, error) {
	key, err := json.Marshal(r)
	if err != nil {
		return recorded{}, fmt.Errorf("write a request: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.answers[string(key)]
	if len(list) == 0 {
		return recorded{}, fmt.Errorf("the record has no answer to %.300s", key)
	}
	if len(list) > 1 {
		m.answers[string(key)] = list[1:]
	}
	return list[0], nil
}
