package runs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// desk is a queue in memory whose answers tests choose, on the clock of the bubble.
type desk struct {
	bus runs.Bus

	mu       sync.Mutex
	due      []runs.Run
	fences   map[string]int64
	logs     map[string][]runs.Event
	began    time.Time
	appended []string // "<milliseconds> <type>..."
	prolongs int
	endings  []runs.Ending
	endedAt  []time.Duration

	claim  func()                  // before Claim answers
	renew  func() error            // of Renew
	end    func(runs.Ending) error // of End
	append func() error
	heads  func() error
	asked  int // calls of Heads
	read   int // calls of Events
}

func newDesk(due ...runs.Run) *desk {
	d := &desk{bus: runs.NewBus(), fences: map[string]int64{}, logs: map[string][]runs.Event{}, began: time.Now()}
	for _, r := range due {
		if r.ID == "" {
			r.ID = ident.New()
		}
		r.Kind = runs.KindGenerate
		d.due = append(d.due, r)
	}
	return d
}

func (d *desk) Claim(_ context.Context, owner string, _ []runs.Kind) (r runs.Run, l runs.Lease, ok bool, err error) {
	d.mu.Lock()
	i := slices.IndexFunc(d.due, func(r runs.Run) bool { return !r.NotBefore.After(time.Now()) })
	if i >= 0 {
		r, ok = d.due[i], true
		d.due = slices.Delete(d.due, i, i+1)
		r.Attempt++
		d.fences[r.ID]++
		l = runs.Lease{RunID: r.ID, Owner: owner, Fence: d.fences[r.ID]}
	}
	claim := d.claim
	d.mu.Unlock()
	if ok && claim != nil {
		claim()
	}
	return r, l, ok, nil
}

func (d *desk) Renew(_ context.Context, leases []runs.Lease, prolong bool) (lost []runs.Lease, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.renew != nil {
		if err := d.renew(); err != nil {
			return nil, err
		}
	}
	if prolong {
		d.prolongs++
	}
	return slices.DeleteFunc(slices.Clone(leases), func(l runs.Lease) bool { return d.fences[l.RunID] == l.Fence }), nil
}

func (d *desk) Append(_ context.Context, l runs.Lease, events ...runs.NewEvent) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fences[l.RunID] != l.Fence {
		return 0, runs.ErrFenced
	}
	if d.append != nil {
		if err := d.append(); err != nil {
			return 0, err
		}
	}
	for _, e := range events {
		d.appended = append(d.appended, fmt.Sprint(time.Since(d.began).Milliseconds(), " ", e.Type))
	}
	return int64(len(d.appended)), nil
}

func (d *desk) AppendAll(list []runs.Joined, done func(int, error)) {
	for i, x := range list {
		_, err := d.Append(x.Ctx, x.Lease, runs.NewEvent{Type: runs.EventToken, Data: x.Token})
		done(i, err)
	}
}

func (d *desk) SaveStep(ctx context.Context, l runs.Lease, _ runs.Step, events ...runs.NewEvent) error {
	_, err := d.Append(ctx, l, events...)
	return err
}

func (d *desk) Steps(context.Context, string) ([]runs.Step, error) { return nil, nil }

func (d *desk) End(_ context.Context, l runs.Lease, e runs.Ending) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fences[l.RunID] != l.Fence {
		return runs.ErrFenced
	}
	if d.end != nil {
		if err := d.end(e); err != nil {
			return err
		}
	}
	d.fences[l.RunID]++
	d.endings = append(d.endings, e)
	d.endedAt = append(d.endedAt, time.Since(d.began))
	return nil
}

func (d *desk) Ask(ctx context.Context, l runs.Lease, q runs.Question) error {
	if _, err := d.Append(ctx, l, runs.NewEvent{Type: runs.EventWaiting}); err != nil {
		return err
	}
	d.fence(l.RunID)
	return nil
}

// fence takes a run away from whoever holds it.
func (d *desk) fence(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fences[id]++
}

func (d *desk) Events(_ context.Context, id string, after int64, limit int) ([]runs.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read++
	log := d.logs[id]
	log = log[min(int(after), len(log)):]
	return slices.Clone(log[:min(limit, len(log))]), nil
}

func (d *desk) Heads(_ context.Context, ids []string) (map[string]runs.Head, error) {
	d.mu.Lock()
	d.asked++
	heads := map[string]runs.Head{}
	for _, id := range ids {
		if log, ok := d.logs[id]; ok {
			heads[id] = runs.Head{LastSeq: int64(len(log)), Status: runs.Running}
		}
	}
	hook := d.heads
	d.mu.Unlock()
	if hook != nil {
		return heads, hook()
	}
	return heads, nil
}

// Nobody follows sessions here.
func (d *desk) SessionEvents(context.Context, ident.Workspace, string, int64, int) ([]runs.Event, error) {
	return nil, fault.Missing("session")
}

func (d *desk) SessionHead(context.Context, ident.Workspace, string) (int64, error) {
	return 0, fault.Missing("session")
}

func (d *desk) SessionHeads(context.Context, []string) (map[string]int64, error) {
	return nil, errors.New("nobody asks")
}

// write adds an event to a log, and tells nobody.
func (d *desk) write(id, typ string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[id] = append(d.logs[id], runs.Event{RunID: id, Seq: int64(len(d.logs[id]) + 1), At: time.Now(), Type: typ, Data: []byte("{}")})
}

func (d *desk) see(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *desk) worker(do func(context.Context, *runs.Job) (any, error)) *runs.Worker {
	w := runs.NewWorker(d, d.bus, runs.WorkerOptions{Handlers: map[runs.Kind]runs.Handler{runs.KindGenerate: {Do: do, Limit: 2}}})
	w.Start()
	return w
}

// stop gives handlers no time.
func stop(w *runs.Worker) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Stop(ctx)
}

var errDown = fault.New(fault.Unavailable, "down", "Later.")

func TestLeaseIsGivenUpSixSecondsAfterItWasProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{})
		var down time.Time
		d.renew = func() error {
			if time.Since(d.began) > 10*time.Second {
				return errDown
			}
			down = time.Now()
			return nil
		}
		left := make(chan time.Duration, 2)
		w := d.worker(func(ctx context.Context, _ *runs.Job) (any, error) {
			<-ctx.Done()
			d.see(func() { left <- time.Since(down) })
			return nil, ctx.Err()
		})
		// Leases are asked about each second and prolonged each third: the last proof is at most three seconds older than
		// the last answer.
		if after := <-left; after < 3*time.Second || after > 6*time.Second {
			t.Errorf("given up %v after the last answer", after)
		}
		time.Sleep(2 * time.Second)
		d.see(func() {
			if want := []runs.Ending{{Status: runs.Queued}}; !cmp.Equal(d.endings, want) {
				t.Errorf("a run that nobody works on is handed back: %+v", d.endings)
			}
		})
		stop(w)
	})
}

func TestHeldLeaseIsProlongedEveryThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{})
		w := d.worker(func(ctx context.Context, _ *runs.Job) (any, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		time.Sleep(time.Hour)
		d.see(func() {
			if d.prolongs < 1190 || d.prolongs > 1201 || len(d.endings) > 0 {
				t.Errorf("prolonged %d times in an hour, ended %v", d.prolongs, d.endings)
			}
		})
		stop(w)
		d.see(func() {
			if len(d.endings) != 1 || d.endings[0].Status != runs.Queued || d.endings[0].Failure != nil {
				t.Errorf("a stopped worker hands the run back: %v", d.endings)
			}
		})
	})
}

func TestCancelledRunsHandlerEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		woken bool
		most  time.Duration
	}{
		"at once where the bus tells":      {true, 60 * time.Millisecond},
		"within a second where it doesn't": {false, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(runs.Run{ID: "a"})
				left := make(chan time.Time)
				w := d.worker(func(ctx context.Context, _ *runs.Job) (any, error) {
					<-ctx.Done()
					left <- time.Now()
					return nil, nil
				})
				time.Sleep(5300 * time.Millisecond)
				at := time.Now()
				d.fence("a")
				if tc.woken {
					d.bus.Publish("a")
				}
				if took := (<-left).Sub(at); took > tc.most {
					t.Errorf("the handler went on for %v", took)
				}
				stop(w)
			})
		})
	}
}

func TestPassingFailuresAreTriedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{ID: "a"})
		d.end = func(e runs.Ending) error { // what a store does
			if e.Status == runs.Queued {
				d.due = append(d.due, runs.Run{ID: "a", Kind: runs.KindGenerate, Failures: len(d.endings) + 1, NotBefore: time.Now().Add(e.Wait)})
			}
			return nil
		}
		w := d.worker(func(context.Context, *runs.Job) (any, error) { return nil, errDown })
		time.Sleep(time.Minute)
		stop(w)
		var waits []time.Duration
		for _, e := range d.endings {
			waits = append(waits, e.Wait)
		}
		if want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 0}; !cmp.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
		if last := d.endings[len(d.endings)-1]; last.Status != runs.Failed || last.Failure.Code != "down" {
			t.Errorf("the last: %+v", last)
		}
	})
}

func TestRunThatAlwaysTakesTheProcessDownFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{Attempt: 24}, runs.Run{Attempt: 25})
		begun := 0
		w := d.worker(func(context.Context, *runs.Job) (any, error) {
			begun++
			return nil, nil
		})
		synctest.Wait()
		stop(w)
		if begun != 1 || len(d.endings) != 2 {
			t.Fatalf("begun %d times: %+v", begun, d.endings)
		}
		failed := slices.IndexFunc(d.endings, func(e runs.Ending) bool { return e.Status == runs.Failed })
		if failed < 0 || d.endings[failed].Failure.Code != "never_ended" {
			t.Errorf("%+v", d.endings)
		}
	})
}

func TestEndIsNotLost(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(d *desk, e runs.Ending) error
		want []runs.Status
	}{
		"by a store that is down for a while": {func(d *desk, _ runs.Ending) error {
			if time.Since(d.began) < 4*time.Second {
				return errDown
			}
			return nil
		}, []runs.Status{runs.Completed}},
		"by a result that cannot be written": {func(_ *desk, e runs.Ending) error {
			if e.Status == runs.Completed {
				return errors.New("unsupported type")
			}
			return nil
		}, []runs.Status{runs.Queued}},
		"by a store that is broken for a while": {func(d *desk, e runs.Ending) error {
			if time.Since(d.began) < 4*time.Second {
				return errors.New("broken")
			}
			return nil
		}, []runs.Status{runs.Queued}},
		"when the run is somebody else's by now": {func(*desk, runs.Ending) error { return runs.ErrFenced }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(runs.Run{})
				d.end = func(e runs.Ending) error { return tc.end(d, e) }
				w := d.worker(func(context.Context, *runs.Job) (any, error) { return nil, nil })
				time.Sleep(10 * time.Second)
				stop(w)
				var got []runs.Status
				for _, e := range d.endings {
					got = append(got, e.Status)
				}
				if !cmp.Equal(got, tc.want) {
					t.Errorf("ended %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// A run that is being claimed while the worker stops is done, and waited for.
func TestStopWaitsForWhatIsBeingClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{}, runs.Run{})
		d.claim = func() { time.Sleep(2 * time.Second) }
		done := 0
		w := d.worker(func(context.Context, *runs.Job) (any, error) {
			time.Sleep(10 * time.Second)
			done++
			return nil, nil
		})
		time.Sleep(time.Second)
		w.Stop(t.Context())
		if done != 1 || len(d.due) != 1 || len(d.endings) != 1 {
			t.Errorf("done %d, left %d, ended %v", done, len(d.due), d.endings)
		}
	})
}

func hubOn(t *testing.T, d *desk) *runs.Hub {
	h := runs.NewHub(d, d.bus, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

// However many read however many runs: a lost wake-up heals within a second, by one question for all of them; a wake-up
// makes one read of the store for all readers of a run.
func TestReadersShareTheStoresWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		h := hubOn(t, d)
		const readers = 20
		got := make(chan time.Duration, 2*readers)
		for _, id := range []string{"a", "b"} {
			d.write(id, runs.EventCreated)
			for range readers {
				c, err := h.Follow(t.Context(), id, 1)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					defer c.Close()
					for range 2 {
						if _, err := c.Next(t.Context()); err != nil {
							t.Error(err)
						}
						got <- time.Since(d.began)
					}
				}()
			}
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		d.see(func() { d.asked, d.read = 0, 0 })
		d.write("a", runs.EventStarted)
		d.write("b", runs.EventStarted)
		for range 2 * readers {
			if at := <-got; at > time.Second {
				t.Errorf("healed after %v", at)
			}
		}
		d.see(func() {
			if d.asked != 1 || d.read != 2 {
				t.Errorf("%d questions and %d reads for %d readers", d.asked, d.read, 2*readers)
			}
			d.read = 0
		})
		d.write("a", runs.EventCompleted)
		d.bus.Publish("a", "b")
		d.write("b", runs.EventCompleted)
		d.bus.Publish("b")
		for range 2 * readers {
			<-got
		}
		d.see(func() {
			if d.read > 3 {
				t.Errorf("%d reads of two runs", d.read)
			}
		})
	})
}

// The reader that makes a tail may fail to come; others that share it are served all the same, from where they are.
func TestTailOutlivesTheReaderThatMadeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		h := hubOn(t, d)
		for range 5 {
			d.write("a", runs.EventNotice)
		}
		calls := 0
		d.heads = func() error {
			if calls++; calls == 1 {
				time.Sleep(100 * time.Millisecond)
				return errDown
			}
			return nil
		}
		first := make(chan error)
		go func() {
			_, err := h.Follow(t.Context(), "a", 0)
			first <- err
		}()
		synctest.Wait()
		c, err := h.Follow(t.Context(), "a", 2)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := <-first; !errors.Is(err, errDown) {
			t.Errorf("the first: %v", err)
		}
		frames, err := c.Next(t.Context())
		if err != nil || len(frames) != 3 {
			t.Errorf("%v, %d frames", err, len(frames))
		}
		d.write("a", runs.EventCompleted)
		d.bus.Publish("a")
		if frames, err = c.Next(t.Context()); err != nil || len(frames) != 1 {
			t.Errorf("%v, %d frames", err, len(frames))
		}
		if _, err := c.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("behind the end: %v", err)
		}
	})
}

// A cursor that the log does not have gets a reset and everything from 1.
func TestCursorFromTheFutureBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		h := hubOn(t, d)
		d.write("a", runs.EventCreated)
		c, err := h.Follow(t.Context(), "a", 7)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var got string
		for range 2 {
			frames, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				got += string(f.SSE())
			}
		}
		if !strings.HasPrefix(got, "event: reset\n") || !strings.Contains(got, "id: 1\nevent: run.created\n") {
			t.Errorf("got %s", got)
		}
	})
}
