package runs

import (
	"context"
	"sync"
	"time"
)

// Joined is the tokens of a run whose window has ended.
type Joined struct {
	Ctx   context.Context // of the run: what can be left undone is, when it ends
	Lease Lease
	Token Token
}

// beats ends the windows of all jobs of a worker. Windows end on the beats of one clock, so there is one timer for all that end together, and
// what was joined in them goes to the store with one call.
type beats struct {
	queue Queue

	mu  sync.Mutex
	due map[int64][]*Job        // by nanoseconds since 1970, as are the following
	pre map[int64]chan struct{} // closed shortly before
}

func newBeats(q Queue) *beats {
	return &beats{queue: q, due: map[int64][]*Job{}, pre: map[int64]chan struct{}{}}
}

// near is closed shortly before a beat: all who wait for it are woken by one timer.
func (b *beats) near(end time.Time) <-chan struct{} {
	key := end.UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.pre[key]
	if !ok {
		c = make(chan struct{})
		b.pre[key] = c
		time.AfterFunc(time.Until(end)-lead, func() {
			b.mu.Lock()
			delete(b.pre, key)
			b.mu.Unlock()
			close(c)
		})
	}
	return c
}

// at has the window of a job ended at a time; j.mu is held.
func (b *beats) at(end time.Time, j *Job) {
	key := end.UnixNano()
	j.window = key
	b.mu.Lock()
	defer b.mu.Unlock()
	jobs, ok := b.due[key]
	if !ok {
		time.AfterFunc(time.Until(end), func() { b.end(key) })
	}
	b.due[key] = append(jobs, j)
}

// end ends windows. A job whose log is being written at this moment must not keep the others waiting.
func (b *beats) end(key int64) {
	b.mu.Lock()
	jobs := b.due[key]
	delete(b.due, key)
	b.mu.Unlock()
	held, joined := jobs[:0], make([]Joined, 0, len(jobs))
	for _, j := range jobs {
		if !j.mu.TryLock() {
			go j.endWindow(key)
			continue
		}
		if !j.due(key) {
			j.mu.Unlock()
			continue
		}
		held, joined = append(held, j), append(joined, Joined{j.ctx, j.lease, *j.pending})
		j.pending, j.wrote = nil, time.Now()
	}
	if len(joined) == 0 {
		return
	}
	b.queue.AppendAll(joined, func(i int, err error) {
		held[i].failed = err
		held[i].mu.Unlock()
	})
}
