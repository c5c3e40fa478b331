package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"byline/internal/ident"
)

// Job is a leased run in the hands of its handler. Its methods are safe for concurrent use. Every write returns ErrFenced once
// the lease no longer holds; the handler then returns at once.
type Job struct {
	run   Run
	lease Lease
	queue Queue
	beats *beats

	steps   map[string]Step
	changed sync.Mutex // guards steps

	mu      sync.Mutex // guards what follows, and keeps events in order
	pending *Token     // joined, not yet written
	wrote   time.Time  // when a token was last written
	window  int64      // when the tokens' window ends, for beats
	failed  error      // of a write of joined tokens: nothing may follow the gap, so every later call tells it
	ctx     context.Context
}

// deltaWindow is how long tokens are joined: the first goes out at once, then one event each window. Windows end on the beats of one
// clock, whoever writes: what ends together shares a commit.
const (
	deltaWindow = 40 * time.Millisecond
	deltaBeat   = 20 * time.Millisecond
	lead        = 5 * time.Millisecond // before the end of a window, for taking what waits for it
)

// quiet is how long nothing was written when somebody waits for the next token, as for the first one.
const quiet = 3 * deltaWindow

type hasteKey struct{}

// WithHaste marks the context of an append for whose events somebody waits: it is not held back to share a commit.
func WithHaste(ctx context.Context) context.Context { return context.WithValue(ctx, hasteKey{}, true) }

// Haste tells whether it is marked.
func Haste(ctx context.Context) bool { return ctx.Value(hasteKey{}) != nil }

// windowEnd is when the window that began at a time ends.
func windowEnd(began time.Time) time.Time {
	return began.Add(deltaWindow).Round(deltaBeat)
}

func newJob(ctx context.Context, r Run, l Lease, b *beats) (*Job, error) {
	steps, err := b.queue.Steps(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	j := &Job{run: r, lease: l, queue: b.queue, beats: b, steps: map[string]Step{}, ctx: ctx}
	for _, s := range steps {
		j.steps[s.Key] = s
	}
	return j, nil
}

// Run is what is to be done.
func (j *Job) Run() Run { return j.run }

// Lease goes with every fenced effect.
func (j *Job) Lease() Lease { return j.lease }

// Emit writes events, behind all tokens so far.
func (j *Job) Emit(ctx context.Context, events ...NewEvent) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.flush(ctx, events...)
}

// Flush writes the tokens that are still being joined. Call it before a fenced effect whose events must come behind them.
func (j *Job) Flush(ctx context.Context) error { return j.Emit(ctx) }

// Token streams text of a section; offset is where in the section it stands, in bytes.
func (j *Job) Token(ctx context.Context, channel, section string, offset int, text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	if p := j.pending; p != nil {
		if p.Channel == channel && p.SectionID == section && p.Offset+len(p.Text) == offset {
			p.Text += text
			return nil
		}
		if err := j.flush(ctx); err != nil {
			return err
		}
	}
	j.pending = &Token{Channel: channel, SectionID: section, Offset: offset, Text: text}
	end := windowEnd(j.wrote)
	if time.Until(end) <= 0 {
		if time.Since(j.wrote) > quiet {
			ctx = WithHaste(ctx)
		}
		return j.flush(ctx)
	}
	j.beats.at(end, j)
	return nil
}

// Rest waits until shortly before the next window ends, if tokens are being shown. Whoever has more of them waiting elsewhere, as in a
// connection, takes those of a window at once so, in time for its end.
func (j *Job) Rest() {
	j.mu.Lock()
	end := windowEnd(j.wrote)
	if j.pending != nil {
		if end = time.Unix(0, j.window); time.Until(end) <= lead { // what was in time for this window has been taken
			end = end.Add(deltaWindow)
		}
	}
	j.mu.Unlock()
	if time.Until(end) <= lead {
		return
	}
	<-j.beats.near(end)
}

// due tells whether there is something to write of the window that ends now; j.mu is held.
func (j *Job) due(window int64) bool {
	return j.window == window && j.pending != nil && j.failed == nil
}

// endWindow is the end of a window that comes in the midst of another write.
func (j *Job) endWindow(window int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.due(window) {
		_ = j.flush(j.ctx) // kept in failed
	}
}

// flush writes the joined tokens and events behind them; j.mu is held.
func (j *Job) flush(ctx context.Context, events ...NewEvent) error {
	if j.failed != nil {
		return j.failed
	}
	joined := j.pending != nil
	if joined {
		events = append([]NewEvent{{EventToken, *j.pending}}, events...)
		j.pending = nil
		j.wrote = time.Now()
	}
	if len(events) == 0 {
		return nil
	}
	if joined { // tokens outlive whoever said them last: a section that others have ended must not end the log
		if Haste(ctx) {
			ctx = WithHaste(j.ctx)
		} else {
			ctx = j.ctx
		}
	}
	_, err := j.queue.Append(ctx, j.lease, events...)
	if joined {
		j.failed = err
	}
	return err
}

// stop ends the window. What was not written stays unwritten: the lease is given up.
func (j *Job) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = nil
}

// Opened tells whether a step was begun by an earlier attempt and not finished.
func (j *Job) Opened(key string) bool {
	j.changed.Lock()
	defer j.changed.Unlock()
	s, ok := j.steps[key]
	return ok && !s.Done && s.Attempt < j.run.Attempt
}

// Done tells whether a step is finished.
func (j *Job) Done(key string) bool {
	j.changed.Lock()
	defer j.changed.Unlock()
	return j.steps[key].Done
}

// CountDone counts the finished steps whose keys are wanted.
func (j *Job) CountDone(wanted func(key string) bool) (n int) {
	j.changed.Lock()
	defer j.changed.Unlock()
	for key, s := range j.steps {
		if s.Done && wanted(key) {
			n++
		}
	}
	return n
}

// Begin opens a step that is not done by one call of Once, and writes events with that. Finish ends it.
func (j *Job) Begin(ctx context.Context, key string, events ...NewEvent) error {
	return j.save(ctx, Step{Key: key, Attempt: j.run.Attempt}, append([]NewEvent{{EventStepStarted, StepEvent{Step: key}}}, events...)...)
}

// Finish ends a step that Begin opened; it has no result.
func (j *Job) Finish(ctx context.Context, key string, events ...NewEvent) error {
	return j.save(ctx, Step{Key: key, Done: true, Result: json.RawMessage("{}"), Attempt: j.run.Attempt},
		append(events, NewEvent{EventStepCompleted, StepEvent{Step: key}})...)
}

// Ask puts a question to a person. The first time it leaves the run waiting and gives ErrWaiting, which the handler returns as it is; when
// the run is claimed again, the same call gives the reply. Nothing else may be under way in the run meanwhile.
func (j *Job) Ask(ctx context.Context, q Question) (Reply, error) {
	j.changed.Lock()
	s, ok := j.steps[q.Key]
	j.changed.Unlock()
	if ok && s.Done {
		var r Reply
		if err := json.Unmarshal(s.Result, &r); err != nil {
			return Reply{}, fmt.Errorf("read answer to %s: %w", q.Key, err)
		}
		return r, nil
	}
	if err := j.Flush(ctx); err != nil {
		return Reply{}, err
	}
	q.ID = ident.New()
	if err := j.queue.Ask(ctx, j.lease, q); err != nil {
		return Reply{}, err
	}
	return Reply{}, ErrWaiting
}

// Once does a step that must not be done twice: a finished one of an earlier attempt only fills out. do fills out (a
// pointer to what is marshalled) and gives events to be written with the result. What do does outside may be done once more
// after a crash in its midst.
func (j *Job) Once(ctx context.Context, key string, out any, do func(ctx context.Context) ([]NewEvent, error)) error {
	j.changed.Lock()
	s, ok := j.steps[key]
	j.changed.Unlock()
	if ok && s.Done {
		if err := json.Unmarshal(s.Result, out); err != nil {
			return fmt.Errorf("read step %s: %w", key, err)
		}
		return nil
	}
	if err := j.save(ctx, Step{Key: key, Attempt: j.run.Attempt}, NewEvent{EventStepStarted, StepEvent{Step: key}}); err != nil {
		return err
	}
	events, err := do(ctx)
	if err != nil {
		return err
	}
	result, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write step %s: %w", key, err)
	}
	return j.save(ctx, Step{Key: key, Done: true, Result: result, Attempt: j.run.Attempt}, append(events, NewEvent{EventStepCompleted, StepEvent{Step: key}})...)
}

func (j *Job) save(ctx context.Context, s Step, events ...NewEvent) error {
	if err := j.Flush(ctx); err != nil {
		return err
	}
	if err := j.queue.SaveStep(ctx, j.lease, s, events...); err != nil {
		return err
	}
	j.changed.Lock()
	j.steps[s.Key] = s
	j.changed.Unlock()
	return nil
}
