package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
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
	beats *beats
	bus   Bus
	o     WorkerOptions
	owner string

	wake     chan struct{} // one place: there may be something to claim
	look     chan struct{} // one place: something happened to a run that is held
	stop     func()
	stopping chan struct{} // closed by Stop: nothing more is claimed
	finish   func()
	finished chan struct{} // closed when the last handler has gone
	claiming sync.WaitGroup
	active   sync.WaitGroup // handlers
	renewing sync.WaitGroup

	mu      sync.Mutex
	held    map[string]*held // by run
	orphans map[string]Lease // runs that their handlers left open against our will; they are handed back
	counts  map[Kind]int
}

// held is a lease in use.
type held struct {
	lease  Lease
	cancel context.CancelCauseFunc
	expiry *time.Timer // ends the handler when the store has not said for too long that the lease holds
}

const (
	renewEvery = 3 * time.Second // a third of the lease
	scanEvery  = time.Second
	lookEvery  = 200 * time.Millisecond // at most; a run's own events wake, too
	giveUp     = 6 * time.Second        // without a renewal, by our own monotonic clock; well before the lease runs out

	maxFailures = 5 // tries of a run whose failures may go away
	// maxAttempts also counts those that a crash or a stop ended: a run that takes the process down each time must end some day.
	maxAttempts  = 25
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
	w := &Worker{queue: q, beats: newBeats(q), bus: b, o: o, owner: ident.New(), wake: make(chan struct{}, 1), look: make(chan struct{}, 1),
		stopping: make(chan struct{}), finished: make(chan struct{}), held: map[string]*held{}, orphans: map[string]Lease{}, counts: map[Kind]int{}}
	w.stop = sync.OnceFunc(func() { close(w.stopping) })
	w.finish = sync.OnceFunc(func() { close(w.finished) })
	return w
}

// Start begins to claim.
func (w *Worker) Start() {
	cancel := w.bus.Subscribe(w.woken)
	w.claiming.Go(w.claimLoop)
	w.renewing.Go(func() {
		defer cancel()
		w.renewLoop()
	})
}

// woken is called by the bus: there may be a run to claim, or one of ours may have been cancelled.
func (w *Worker) woken(topics []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, topic := range topics {
		if _, ok := SessionOf(topic); ok { // comes with a run's id, or tells of no run
			continue
		}
		if _, ours := w.held[topic]; ours {
			nudge(w.look)
		} else {
			nudge(w.wake)
		}
	}
}

// nudge fills a channel of one place.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Retire claims no more; what is claimed is worked on. Stop is still to be called.
func (w *Worker) Retire() { w.stop() }

// Stop claims no more, waits for handlers until ctx ends, then ends them; what is not done is queued for another process, or for the next one.
func (w *Worker) Stop(ctx context.Context) {
	w.stop()
	w.claiming.Wait() // first: what is claimed at this moment still becomes active
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
	w.finish()
	w.renewing.Wait()
	w.handBack()
}

func (w *Worker) claimLoop() {
	t := time.NewTicker(scanEvery)
	defer t.Stop()
	for {
		for w.claim() {
		}
		select {
		case <-w.stopping:
			return
		case <-t.C:
		case <-w.wake:
		}
	}
}

// claim takes one run, of the kinds that have room. It tells whether to ask again at once.
func (w *Worker) claim() bool {
	select {
	case <-w.stopping:
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
	began := time.Now()
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
	h := &held{l, end, time.AfterFunc(giveUp-time.Since(began), func() { end(errLost) })}
	w.held[r.ID] = h
	w.counts[r.Kind]++
	w.mu.Unlock()
	w.active.Go(func() {
		closed := w.work(work, r, l)
		h.expiry.Stop()
		end(nil)
		w.mu.Lock()
		delete(w.held, r.ID)
		if !closed {
			w.orphans[r.ID] = l
		}
		w.counts[r.Kind]--
		w.mu.Unlock()
		nudge(w.wake)
	})
	return true
}

// work has a run done and ends it. It tells whether that is settled; what is not is handed back, unless it is somebody
// else's by now.
func (w *Worker) work(ctx context.Context, r Run, l Lease) (settled bool) {
	log := w.o.Log.With("run", r.ID, "kind", r.Kind)
	result, err := w.do(ctx, r, l)
	if cause := context.Cause(ctx); cause != nil {
		log.Debug("left run", "cause", cause)
		return false
	}
	if errors.Is(err, ErrWaiting) {
		return true
	}
	if errors.Is(err, ErrFenced) {
		log.Debug("run was taken away")
		return false
	}
	e := w.ending(log, r, result, err)
	err = w.end(ctx, l, e)
	if err != nil && e.Status == Completed && !errors.Is(err, ErrFenced) && ctx.Err() == nil {
		e = w.ending(log, r, nil, err) // its result cannot be written
		err = w.end(ctx, l, e)
	}
	if err != nil {
		log.Warn("end run", "error", err)
		return false
	}
	if w.o.Ended != nil && e.Status.Terminal() {
		w.o.Ended(r, e.Status)
	}
	return true
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
	if r.Attempt > maxAttempts {
		return nil, fault.New(fault.Invalid, "never_ended", "This was begun %d times and did not come to an end: the program stopped in its midst each time. "+
			"Look at the program's log before you try it again.", maxAttempts)
	}
	j, err := newJob(ctx, r, l, w.beats)
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
func (w *Worker) ending(log *slog.Logger, r Run, result any, err error) Ending {
	if err == nil {
		return Ending{Status: Completed, Data: result}
	}
	f := fault.Of(err)
	e := Ending{Status: Failed, Failure: &Failure{Code: f.Code, Detail: f.Say}}
	passing := f.Kind == fault.Unavailable || f.Kind == fault.StorageFull || f.Kind == fault.Internal
	if passing && r.Failures+1 < maxFailures {
		e.Status = Queued
		e.Wait = min(maxBackoff, max(f.RetryAfter, firstBackoff<<r.Failures))
	}
	log.Warn("run failed", "code", f.Code, "again", e.Status == Queued, "error", err)
	return e
}

// renewLoop prolongs what is held and finds what was taken away, as long as there are handlers.
func (w *Worker) renewLoop() {
	t := time.NewTicker(scanEvery)
	defer t.Stop()
	var renewed time.Time
	for {
		select {
		case <-w.finished:
			return
		case <-t.C:
			w.handBack()
		case <-w.look:
		}
		renewed = w.renew(renewed)
		select {
		case <-w.finished:
			return
		case <-time.After(lookEvery):
		}
	}
}

// renew asks whether the leases hold (a cancelled run's handler must end soon) and makes them last longer when it is time.
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
	prolong := now.Sub(last) >= renewEvery
	lost, err := w.queue.Renew(ctx, leases, prolong)
	if err != nil {
		w.o.Log.Warn("renew leases; it is tried again", "error", err)
		return last
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lost {
		if h := w.held[l.RunID]; h != nil && h.lease == l {
			h.cancel(errLost)
		}
	}
	if !prolong {
		return last
	}
	for _, l := range leases {
		if h := w.held[l.RunID]; h != nil && h.lease == l && h.expiry.Stop() {
			h.expiry.Reset(giveUp - time.Since(now))
		}
	}
	return now
}

// handBack queues runs again that are still ours and that nobody works on: on SQLite no lease runs out by itself, and other replicas need
// not wait until one does.
func (w *Worker) handBack() {
	w.mu.Lock()
	orphans := slices.Collect(maps.Values(w.orphans))
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), scanEvery)
	defer cancel()
	for _, l := range orphans {
		err := w.queue.End(ctx, l, Ending{Status: Queued})
		if err != nil && !errors.Is(err, ErrFenced) {
			w.o.Log.Warn("hand run back; it is tried again", "run", l.RunID, "error", err)
			continue
		}
		w.mu.Lock()
		delete(w.orphans, l.RunID)
		w.mu.Unlock()
	}
}
