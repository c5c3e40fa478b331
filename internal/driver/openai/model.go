package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"time"

	"byline/internal/llm"
)

// model is one of an endpoint.
type model struct {
	e    *Endpoint
	name string
}

// Info tells what is known of the model by its name.
func (m *model) Info() llm.Info {
	holds, answer := llm.Window(m.name)
	if m.e.o.Context > 0 {
		holds = m.e.o.Context
	}
	return llm.Info{Provider: m.e.o.Name, Name: m.name, Context: holds, Output: answer}
}

// Stream asks once.
func (m *model) Stream(caller context.Context, r llm.Request) iter.Seq2[llm.Delta, error] {
	return func(yield func(llm.Delta, error) bool) {
		ctx, cancel := context.WithCancelCause(caller)
		defer cancel(nil) // closes the connection if the answer was not read to its end
		if m.e.o.Total > 0 {
			defer time.AfterFunc(m.e.o.Total, func() { cancel(errTotal) }).Stop()
		}
		s := &stream{e: m.e, model: m.name, caller: caller, ctx: ctx, cancel: cancel, yield: yield}
		defer s.arm(m.e.o.FirstToken, errSlow)()
		a, err := m.open(s, r)
		if err != nil {
			yield(llm.Delta{}, err)
			return
		}
		defer a.Body.Close()
		s.read(a)
	}
}

// open sends the request until the endpoint takes it: what it does not know is left out or said in another way.
func (m *model) open(s *stream, r llm.Request) (*http.Response, error) {
	d := m.e.dialect(m.name)
	const most = 6 // ways: there are five things to learn, and an endpoint may contradict itself
	for n := 1; ; n++ {
		way := d.now()
		q, err := m.e.request(s.ctx, http.MethodPost, "/chat/completions", way.write(m.name, r))
		if err != nil {
			return nil, err
		}
		q.Header.Set("Accept", "text/event-stream")
		a, err := m.e.http.Do(q)
		if err != nil {
			return nil, m.e.broken(s.caller, s.ctx, err, false)
		}
		if a.StatusCode == http.StatusOK {
			return a, nil
		}
		f := refused(a)
		a.Body.Close()
		if n == most || !d.learn(way, f, r) {
			return nil, m.e.rejected(f, m.name)
		}
	}
}

// stream is an answer that is being read.
type stream struct {
	e      *Endpoint
	model  string
	caller context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	yield  func(llm.Delta, error) bool
	watch  *time.Timer
	answer answer
	gone   bool // nobody listens any more
}

// arm lets the request end with cause when nothing came for a time.
func (s *stream) arm(d time.Duration, cause error) (stop func()) {
	if d <= 0 {
		return func() {}
	}
	s.watch = time.AfterFunc(d, func() { s.cancel(cause) })
	return func() { s.watch.Stop() }
}

// hand gives a delta to who listens. The time that they take is not the provider's.
func (s *stream) hand(d llm.Delta) bool {
	if s.watch != nil {
		s.watch.Stop()
	}
	if !s.yield(d, nil) {
		s.gone = true
		return false
	}
	if s.watch != nil {
		s.watch.Reset(s.e.o.Idle)
	}
	return true
}

func (s *stream) fail(err error) {
	if !s.gone {
		s.yield(llm.Delta{}, err)
	}
}

// read hands on what comes until the end.
func (s *stream) read(a *http.Response) {
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if kind == "application/json" {
		s.readWhole(a.Body)
		return
	}
	body := io.Reader(a.Body)
	if wait := llm.Pace(s.ctx); wait != nil {
		body = &paced{body, wait}
	}
	e := newEvents(body)
	var c chunk
	for {
		name, data, err := e.next()
		if err != nil {
			s.over(err)
			return
		}
		if bytes.Equal(data, []byte("[DONE]")) {
			s.over(io.EOF)
			drain(e, s)
			return
		}
		if len(data) == 0 {
			continue // a ping
		}
		if !c.read(data) {
			if e.open { // the last piece of a stream that was cut
				s.over(io.ErrUnexpectedEOF)
				return
			}
			s.fail(s.e.garbled(fmt.Errorf("a chunk: %.200q", data)))
			return
		}
		if string(name) == "error" && c.failure == nil {
			c.failure = &failure{message: string(data)}
		}
		if !s.take(&c) {
			return
		}
	}
}

// paced reads when whoever hears is ready for more.
type paced struct {
	io.Reader
	wait func()
}

func (p *paced) Read(b []byte) (int, error) {
	p.wait()
	return p.Reader.Read(b)
}

// take hands on a chunk; false ends the stream.
func (s *stream) take(c *chunk) bool {
	if c.failure != nil {
		if s.answer.finish != "" {
			return true // it comes too late to matter
		}
		s.fail(s.e.failed(c.failure, s.model))
		return false
	}
	had := s.answer.said
	d := s.answer.add(c)
	if d.Text != "" || d.Reasoning != "" {
		return s.hand(d)
	}
	if s.watch == nil {
		return true
	}
	switch {
	case s.answer.finish != "": // usage may still come, but is not waited for long
		s.watch.Reset(afterFinish)
	case s.answer.said && (had || len(c.calls) > 0):
		s.watch.Reset(s.e.o.Idle)
	}
	return true
}

// afterFinish is how long is waited for what comes behind the finish.
const afterFinish = 2 * time.Second

// over ends the stream: with what is still owed if the answer is complete, else with the fault.
func (s *stream) over(err error) {
	a := &s.answer
	if a.finish == "" {
		if errors.Is(err, io.EOF) {
			err = errors.New("the stream ended without a finish")
			if s.caller.Err() == nil && context.Cause(s.ctx) == nil {
				s.keep()
				s.fail(llm.Failure(llm.CodeCut, err, "%s broke off in the midst of its answer. Try again.", s.e.o.Name))
				return
			}
		}
		s.keep()
		s.fail(s.e.broken(s.caller, s.ctx, err, true))
		return
	}
	if s.caller.Err() != nil {
		s.fail(s.caller.Err())
		return
	}
	s.finish()
}

// keep hands on what was held back, for an answer that fails.
func (s *stream) keep() {
	if d := s.answer.rest(); d.Text != "" || d.Reasoning != "" {
		s.hand(d)
	}
}

// finish gives the last deltas of a complete answer.
func (s *stream) finish() {
	a := &s.answer
	if s.keep(); s.gone {
		return
	}
	why := a.reason()
	switch {
	case why == "":
		s.fail(s.e.failed(&failure{message: "finished with " + a.finish}, s.model))
		return
	case a.refused.Len() > 0:
		s.fail(llm.Failure(llm.CodeRefused, errors.New(a.refused.String()), "The model refuses: %.300s", a.refused.String()))
		return
	}
	calls, err := a.whole()
	if err != nil {
		s.fail(s.e.garbled(err))
		return
	}
	if len(calls) > 0 && !s.hand(llm.Delta{Calls: calls}) {
		return
	}
	if s.watch != nil {
		s.watch.Stop()
	}
	s.gone = !s.yield(llm.Delta{Usage: a.usage, Finish: why}, nil)
}

// readWhole takes an answer that is no stream although one was asked for.
func (s *stream) readWhole(body io.Reader) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		s.over(err)
		return
	}
	var c chunk
	switch {
	case !c.read(data) || !c.known:
		s.fail(s.e.garbled(fmt.Errorf("an answer: %.200q", data)))
	case s.take(&c):
		s.over(io.EOF)
	}
}

// drain reads what is behind the end, so that the connection can be used again; for a moment only.
func drain(e *events, s *stream) {
	if s.gone || e.err != nil {
		return
	}
	t := time.AfterFunc(20*time.Millisecond, func() { s.cancel(nil) })
	defer t.Stop()
	for e.err == nil {
		e.at, e.event, e.seen = e.end, e.end, 0
		e.fill()
	}
}
