package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Handler does the runs of a kind.
type Handler struct {
	// Do works until the run is done. Its result goes into run.completed. An error that may go away by itself (fault.Unavailable,
	// StorageFull, Internal) is tried again later; any other is the run's failure. Do ends soon when ctx ends.
	Do    func(ctx context.Context, job *Job) (result any, err error)
	Limit int // how many at a time
}

// WorkerOptions are what a Worker needs.
type WorkerOptions struct {
	Handlers map[Kind]Handler
	Ended    func(Run, Status) // told of every end; may be nil
	Log      *slog.Logger
}

// Worker claims runs and has them done. Start it once, Stop it once.
type Worker struct {
	queue Queue
	bus   Bus
	o     WorkerOptions
	owner string

	wake   chan struct{}
	stop   chan struct{}
	loops  sync.WaitGroup
	active sync.WaitGroup

	mu     sync.Mutex
	held   map[string]*held // by run
	counts map[Kind]int
	once   sync.Once
}

// held is a lease in use.
type held struct {
	lease  Lease
	cancel context.CancelCauseFunc
	proven time.Time // when the store last said that it holds; monotonic
}

const (
	renewEvery = 3 * time.Second // a third of the lease
	scanEvery  = time.Second
	giveUp     = 6 * time.Second // without a renewal, by our own monotonic clock; well before the lease runs out

	maxFailures = 5 // tries of a run whose failures may go away
	// maxAttempts also counts those that a crash ended: a run that takes the process down each time must end some day.
	maxAttempts  = 100
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
)

// errLost ends a handler whose lease is gone; errStopping one whose process stops.
var (
	errLost     = errors.New("lease lost")
	errStopping = errors.New("worker stops")
)

// NewWorker makes a worker; Start lets it work.
func NewWorker(q Queue, b Bus, o WorkerOptions) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Worker{queue: q, bus: b, o: o, owner: ident.New(), wake: make(chan struct{}, 1), stop: make(chan struct{}), held: map[string]*held{}, counts: map[Kind]int{}}
}

// Start begins to claim.
func (w *Worker) Start() {
	cancel := w.bus.Subscribe(w.woken)
	w.loops.Go(func() {
		defer cancel()
		w.claimLoop()
	})
	w.loops.Go(w.renewLoop)
}

// woken is called by the bus: there may be a new run, or one of ours may have been cancelled.
func (w *Worker) woken(runID string) {
	w.mu.Lock()
	h := w.held[runID]
	w.mu.Unlock()
	if h != nil {
		// Nearly always these are our own events: whether the lease still holds is asked once a second, see renewLoop.
		return
	}
	w.nudge()
}

func (w *Worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Stop claims no more, waits for handlers until ctx ends, then ends them; what is not done is left for the next process.
func (w *Worker) Stop(ctx context.Context) {
	w.once.Do(func() { close(w.stop) })
	done := make(chan struct{})
	go func() {
		w.active.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		w.mu.Lock()
		for _, h := range w.held {
			h.cancel(errStopping)
		}
		w.mu.Unlock()
		<-done
	}
	w.loops.Wait()
}

func (w *Worker) claimLoop() {
	t := time.NewTicker(scanEvery)
	defer t.Stop()
	for {
		for w.claim() {
		}
		select {
		case <-w.stop:
			return
		case <-t.C:
		case <-w.wake:
		}
	}
}

// claim takes one run, of the kinds that have room. It tells whether to ask again at once.
func (w *Worker) claim() bool {
	select {
	case <-w.stop:
		return false
	default:
	}
	var kinds []Kind
	w.mu.Lock()
	for k, h := range w.o.Handlers {
		if w.counts[k] < h.Limit {
			kinds = append(kinds, k)
		}
	}
	w.mu.Unlock()
	if len(kinds) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	proven := time.Now()
	r, l, ok, err := w.queue.Claim(ctx, w.owner, kinds)
	if err != nil {
		w.o.Log.Error("claim run", "error", err)
		return false
	}
	if !ok {
		return false
	}
	work, end := context.WithCancelCause(context.Background())
	w.mu.Lock()
	w.held[r.ID] = &held{l, end, proven}
	w.counts[r.Kind]++
	w.mu.Unlock()
	w.active.Go(func() {
		defer func() {
			end(nil)
			w.mu.Lock()
			delete(w.held, r.ID)
			w.counts[r.Kind]--
			w.mu.Unlock()
			w.nudge()
		}()
		w.work(work, r, l)
	})
	return true
}

// work has a run done and ends it.
func (w *Worker) work(ctx context.Context, r Run, l Lease) {
	log := w.o.Log.With("run", r.ID, "kind", r.Kind)
	result, err := w.do(ctx, r, l)
	if cause := context.Cause(ctx); cause != nil {
		// Lost, cancelled or stopping: the run is somebody else's now, or the next process'.
		log.Debug("left run", "cause", cause)
		return
	}
	if errors.Is(err, ErrFenced) {
		log.Debug("run was taken away")
		return
	}
	e := w.ending(r, result, err)
	if e.Failure != nil {
		log.Warn("run failed", "code", e.Failure.Code, "again", e.Status == Queued, "error", err)
	}
	if err := w.end(ctx, l, e); err != nil && !errors.Is(err, ErrFenced) {
		log.Error("end run; it is taken up again", "error", err)
		return
	}
	if w.o.Ended != nil && e.Status.Terminal() {
		w.o.Ended(r, e.Status)
	}
}

// end writes how a run ended; a store that is busy or full for a moment must not lose that.
func (w *Worker) end(ctx context.Context, l Lease, e Ending) error {
	wait := 50 * time.Millisecond
	for {
		err := w.queue.End(ctx, l, e)
		if k := fault.Of(err); k == nil || k.Kind != fault.Unavailable && k.Kind != fault.StorageFull {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, scanEvery)
		}
	}
}

func (w *Worker) do(ctx context.Context, r Run, l Lease) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.o.Log.Error("handler panicked", "run", r.ID, "panic", p, "stack", string(debug.Stack()))
			result, err = nil, fault.New(fault.Invalid, "internal", "Something went wrong on our side while this was done. The log has the details under the run's id.").
				Because(fmt.Errorf("panic: %v", p))
		}
	}()
	j, err := newJob(ctx, r, l, w.queue)
	if err != nil {
		return nil, err
	}
	defer j.stop()
	if result, err = w.o.Handlers[r.Kind].Do(ctx, j); err != nil {
		return nil, err
	}
	return result, j.Flush(ctx)
}

// ending decides what becomes of a run: completed, failed, or tried again later.
func (w *Worker) ending(r Run, result any, err error) Ending {
	if err == nil {
		return Ending{Status: Completed, Data: result}
	}
	f := fault.Of(err)
	e := Ending{Status: Failed, Failure: &Failure{Code: f.Code, Detail: f.Say}}
	passing := f.Kind == fault.Unavailable || f.Kind == fault.StorageFull || f.Kind == fault.Internal
	if passing && r.Failures+1 < maxFailures && r.Attempt < maxAttempts {
		e.Status = Queued
		e.Wait = min(maxBackoff, max(f.RetryAfter, firstBackoff<<r.Failures))
	}
	return e
}

// renewLoop prolongs what is held, finds what was taken away, and gives up what could not be proven for too long.
func (w *Worker) renewLoop() {
	t := time.NewTicker(scanEvery)
	defer t.Stop()
	var renewed time.Time
	for {
		select {
		case <-w.stop:
			w.lastRenewals(t, renewed)
			return
		case <-t.C:
			renewed = w.renew(renewed)
		}
	}
}

// lastRenewals goes on while handlers finish.
func (w *Worker) lastRenewals(t *time.Ticker, renewed time.Time) {
	done := make(chan struct{})
	go func() {
		w.active.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			renewed = w.renew(renewed)
		}
	}
}

// renew asks once a second whether the leases hold (a cancelled run's handler must end within that) and writes only each
// third time.
func (w *Worker) renew(last time.Time) time.Time {
	now := time.Now()
	w.mu.Lock()
	leases := make([]Lease, 0, len(w.held))
	for _, h := range w.held {
		leases = append(leases, h.lease)
	}
	w.mu.Unlock()
	if len(leases) == 0 {
		return last
	}
	ctx, cancel := context.WithTimeout(context.Background(), scanEvery)
	defer cancel()
	write := now.Sub(last) >= renewEvery
	lost, err := w.queue.Renew(ctx, leases, write)
	if err == nil && write {
		last = now
	}
	gone := map[string]int64{}
	for _, l := range lost {
		gone[l.RunID] = l.Fence
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, h := range w.held {
		fence, is := gone[id]
		switch {
		case is && fence == h.lease.Fence:
			h.cancel(errLost)
		case err == nil && write && h.proven.Before(now):
			h.proven = now
		case now.Sub(h.proven) > giveUp:
			h.cancel(errLost)
		}
	}
	return last
}
