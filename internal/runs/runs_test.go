package runs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// begin adds a draft and its generate run.
func begin(t testing.TB, s *store.Store) (draftID string, r runs.Run) { return storetest.Begin(t, s) }

// work starts a worker whose generate handler is do.
func work(t testing.TB, s *store.Store, limit int, do func(context.Context, *runs.Job) (any, error)) *runs.Worker {
	t.Helper()
	w := runs.NewWorker(s, s.Bus(), runs.WorkerOptions{Handlers: map[runs.Kind]runs.Handler{runs.KindGenerate: {Do: do, Limit: limit}},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.Stop(ctx)
	})
	return w
}

func ended(t testing.TB, s *store.Store, id string) runs.Run {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := s.Run(t.Context(), ident.Local, id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status.Terminal() {
			return r
		}
	}
	t.Fatalf("run %s never ends", id)
	return runs.Run{}
}

func logOf(t testing.TB, s *store.Store, id string) []runs.Event {
	t.Helper()
	log, err := s.Events(t.Context(), id, 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range log {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d of the log has seq %d", i+1, e.Seq)
		}
	}
	return log
}

func types(log []runs.Event) string {
	var all []string
	for _, e := range log {
		all = append(all, e.Type)
	}
	return strings.Join(all, " ")
}

func TestRunFromQueueToEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, r := begin(t, s)
		work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
			if err := j.Emit(ctx, runs.NewEvent{Type: runs.EventNotice, Data: runs.Notice{Code: "x", Detail: "y"}}); err != nil {
				return nil, err
			}
			return map[string]int{"words": 3}, nil
		})
		got := ended(t, s, r.ID)
		log := logOf(t, s, r.ID)
		if want := "run.created run.started notice run.completed"; types(log) != want {
			t.Errorf("log: %s, want %s", types(log), want)
		}
		if got.Status != runs.Completed || got.LastSeq != 4 || got.Attempt != 1 || got.EndedAt.IsZero() {
			t.Errorf("run: %+v", got)
		}
		if last := string(log[3].Data); last != `{"words":3}` {
			t.Errorf("data of the end: %s", last)
		}
	})
}

func TestFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status runs.Status
		code   string
	}{
		"what cannot go away fails at once": {fault.New(fault.Invalid, "empty_text", "There is no text."), runs.Failed, "empty_text"},
		"what may go away is tried again":   {fault.New(fault.Unavailable, "busy", "Later."), runs.Queued, ""},
		"what is ours is tried again":       {errors.New("secret of the machine"), runs.Queued, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.New(t)
			_, r := begin(t, s)
			done := make(chan struct{})
			var once sync.Once
			work(t, s, 1, func(context.Context, *runs.Job) (any, error) {
				defer once.Do(func() { close(done) })
				return nil, tc.err
			})
			<-done
			var got runs.Run
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				var err error
				if got, err = s.Run(t.Context(), ident.Local, r.ID); err != nil {
					t.Fatal(err)
				}
				if got.Status != runs.Running {
					break
				}
			}
			if got.Status != tc.status {
				t.Fatalf("status %s, want %s", got.Status, tc.status)
			}
			if tc.status == runs.Failed && (got.Failure == nil || got.Failure.Code != tc.code) {
				t.Errorf("failure %+v", got.Failure)
			}
			for _, e := range logOf(t, s, r.ID) {
				if strings.Contains(string(e.Data), "secret") {
					t.Errorf("the log shows %s", e.Data)
				}
			}
		})
	}
}

func TestDeadLetterIsRequeuedWithItsSteps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, r := begin(t, s)
		var bought, fail atomic.Int32
		fail.Store(1)
		work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
			var out int
			err := j.Once(ctx, "buy", &out, func(context.Context) ([]runs.NewEvent, error) {
				bought.Add(1)
				out = 42
				return nil, nil
			})
			if err != nil || out != 42 {
				return nil, errors.Join(err, fmt.Errorf("out %d", out))
			}
			if fail.Load() == 1 {
				return nil, fault.New(fault.Invalid, "no", "Not today.")
			}
			return nil, nil
		})
		if got := ended(t, s, r.ID); got.Status != runs.Failed {
			t.Fatalf("%+v", got)
		}
		if _, err := s.Requeue(t.Context(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", r.ID, nil); !errors.Is(err, fault.Missing("run")) {
			t.Errorf("requeue of another's run: %v", err)
		}
		fail.Store(0)
		again, err := s.Requeue(t.Context(), ident.Local, r.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := ended(t, s, again.ID); got.Status != runs.Completed || bought.Load() != 1 {
			t.Errorf("%s, bought %d times", got.Status, bought.Load())
		}
		if _, err := s.Requeue(t.Context(), ident.Local, again.ID, nil); fault.Of(err).Code != "run_not_failed" {
			t.Errorf("requeue of a completed run: %v", err)
		}
	})
}

func TestPanicFailsOnlyItsRun(t *testing.T) {
	s := storetest.New(t)
	_, bad := begin(t, s)
	_, good := begin(t, s)
	work(t, s, 2, func(_ context.Context, j *runs.Job) (any, error) {
		if j.Run().ID == bad.ID {
			panic("boom")
		}
		return nil, nil
	})
	if r := ended(t, s, bad.ID); r.Status != runs.Failed || r.Failure.Code != "internal" || strings.Contains(r.Failure.Detail, "boom") {
		t.Errorf("%s %+v", r.Status, r.Failure)
	}
	if r := ended(t, s, good.ID); r.Status != runs.Completed {
		t.Errorf("%s", r.Status)
	}
}

// A cancelled run ends at once for everybody: its worker is stopped, its late writes are refused, its text is kept.
func TestCancel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d, r := begin(t, s)
		began, left := make(chan *runs.Job), make(chan error, 1)
		work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
			if err := j.Token(ctx, "draft", "a", 0, "So far."); err != nil {
				return nil, err
			}
			began <- j
			<-ctx.Done()
			left <- j.Emit(context.Background(), runs.NewEvent{Type: runs.EventNotice})
			return nil, nil
		})
		j := <-began
		at := time.Now()
		if _, err := s.Cancel(t.Context(), ident.Local, r.ID); err != nil {
			t.Fatal(err)
		}
		if err := <-left; !errors.Is(err, runs.ErrFenced) {
			t.Errorf("a late write: %v", err)
		}
		if took := time.Since(at); took > 3*time.Second {
			t.Errorf("the handler went on for %v", took)
		}
		if err := s.SaveStep(t.Context(), j.Lease(), runs.Step{Key: "late"}); !errors.Is(err, runs.ErrFenced) {
			t.Errorf("a late step: %v", err)
		}
		got := ended(t, s, r.ID)
		if got.Status != runs.Cancelled || !strings.HasSuffix(types(logOf(t, s, r.ID)), " run.cancelled") {
			t.Errorf("%s: %s", got.Status, types(logOf(t, s, r.ID)))
		}
		again, err := s.Cancel(t.Context(), ident.Local, r.ID)
		if err != nil || again.LastSeq != got.LastSeq {
			t.Errorf("cancelled twice: %v %+v", err, again)
		}
		kept, err := s.Drafts().Draft(t.Context(), ident.Local, d)
		if err != nil || kept.Status != "draft" || kept.Content != "So far." || kept.Version != 1 {
			t.Errorf("draft: %v %+v", err, kept)
		}
	})
}

// What a dead process held is taken up by the next one: finished steps are not repeated, open ones are known.
func TestTakeover(t *testing.T) {
	s := storetest.New(t)
	_, r := begin(t, s)
	first, l1, ok, err := s.Claim(t.Context(), "dead", []runs.Kind{runs.KindGenerate})
	if err != nil || !ok || first.ID != r.ID {
		t.Fatal(ok, err)
	}
	if err := s.SaveStep(t.Context(), l1, runs.Step{Key: "plan", Done: true, Result: json.RawMessage(`"the plan"`), Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveStep(t.Context(), l1, runs.Step{Key: "write", Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, _ := s.Claim(t.Context(), "other", []runs.Kind{runs.KindGenerate}); ok {
		t.Fatal("a held run was claimed")
	}
	if err := s.Recover(t.Context()); err != nil { // the next process holds the directory
		t.Fatal(err)
	}
	opened := make(chan bool, 1)
	work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
		var plan string
		if err := j.Once(ctx, "plan", &plan, func(context.Context) ([]runs.NewEvent, error) { panic("again") }); err != nil || plan != "the plan" {
			return nil, fmt.Errorf("plan %q: %w", plan, err)
		}
		opened <- j.Opened("write") && !j.Opened("plan")
		return nil, nil
	})
	if !<-opened {
		t.Error("the open step is not known")
	}
	if got := ended(t, s, r.ID); got.Status != runs.Completed || got.Attempt != 2 {
		t.Errorf("%+v", got)
	}
	if want := "run.created run.started run.restarted run.completed"; types(logOf(t, s, r.ID)) != want {
		t.Errorf("log: %s", types(logOf(t, s, r.ID)))
	}
	if _, err := s.Append(t.Context(), l1, runs.NewEvent{Type: runs.EventNotice}); !errors.Is(err, runs.ErrFenced) {
		t.Errorf("the dead one writes: %v", err)
	}
}

// Stop hands back what is not done: another replica goes on at once, or the next process does.
func TestStopHandsRunsBack(t *testing.T) {
	storetest.Each(t, stopHandsRunsBack)
}

func stopHandsRunsBack(t *testing.T, s *store.Store) {
	_, r := begin(t, s)
	began := make(chan struct{})
	w := work(t, s, 1, func(ctx context.Context, _ *runs.Job) (any, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-began
	w.Retire() // claims no more, and ends nothing
	_, other := begin(t, s)
	if got, err := s.Run(t.Context(), ident.Local, r.ID); err != nil || got.Status != runs.Running {
		t.Fatalf("%v %+v", err, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Stop(ctx)
	if got, err := s.Run(t.Context(), ident.Local, other.ID); err != nil || got.Status != runs.Queued || got.Attempt != 0 {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := s.Run(t.Context(), ident.Local, r.ID); err != nil || got.Status != runs.Queued || got.Failures != 0 {
		t.Fatalf("%v %+v", err, got)
	}
	work(t, s, 1, func(context.Context, *runs.Job) (any, error) { return nil, nil })
	if got := ended(t, s, r.ID); got.Status != runs.Completed {
		t.Errorf("%+v", got)
	}
}

// Fifty writers of one log: dense, each event once, in each writer's order.
func TestConcurrentAppendsAreDense(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, r := begin(t, s)
		_, l, _, err := s.Claim(t.Context(), "me", []runs.Kind{runs.KindGenerate})
		if err != nil {
			t.Fatal(err)
		}
		stale := l
		stale.Fence--
		var all sync.WaitGroup
		for w := range 50 {
			all.Go(func() {
				for n := range 4 {
					if _, err := s.Append(t.Context(), l, runs.NewEvent{Type: runs.EventNotice, Data: []int{w, n}}); err != nil {
						t.Error(err)
					}
					if _, err := s.Append(t.Context(), stale, runs.NewEvent{Type: "stale"}); !errors.Is(err, runs.ErrFenced) {
						t.Errorf("stale: %v", err)
					}
				}
			})
		}
		all.Wait()
		next := map[int]int{}
		for _, e := range logOf(t, s, r.ID)[2:] {
			var at [2]int
			if err := json.Unmarshal(e.Data, &at); err != nil || e.Type == "stale" || at[1] != next[at[0]] {
				t.Fatalf("%s %s: %v", e.Type, e.Data, err)
			}
			next[at[0]]++
		}
		if len(next) != 50 {
			t.Errorf("%d writers", len(next))
		}
	})
}

func TestTokensAreJoined(t *testing.T) {
	s := storetest.New(t)
	_, r := begin(t, s)
	const n = 200
	work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
		at := 0
		for i := range n {
			word := fmt.Sprintf("w%d ", i)
			if err := j.Token(ctx, "draft", "a", at, word); err != nil {
				return nil, err
			}
			at += len(word)
		}
		return nil, j.Emit(ctx, runs.NewEvent{Type: runs.EventNotice})
	})
	ended(t, s, r.ID)
	log := logOf(t, s, r.ID)
	if text := runs.Fold(log, "draft"); len(strings.Fields(text)) != n || !strings.HasSuffix(text, "w199 ") {
		t.Errorf("text: %q", text)
	}
	if tokens := strings.Count(types(log), "token"); tokens < 2 || tokens > n/2 {
		t.Errorf("%d token events of %d tokens", tokens, n)
	}
	if log[2].Type != runs.EventToken || string(log[2].Data) != `{"channel":"draft","section_id":"a","offset":0,"text":"w0 "}` {
		t.Errorf("the first token does not come at once: %s %s", log[2].Type, log[2].Data)
	}
	if log[len(log)-2].Type != runs.EventNotice {
		t.Error("an event overtook tokens")
	}
}

func TestWriteFailureOfTheTimerIsTold(t *testing.T) {
	s := storetest.New(t)
	_, r := begin(t, s)
	got := make(chan error, 1)
	work(t, s, 1, func(ctx context.Context, j *runs.Job) (any, error) {
		if err := j.Token(ctx, "draft", "a", 0, "x"); err != nil {
			return nil, err
		}
		if _, err := s.Cancel(ctx, ident.Local, r.ID); err != nil {
			return nil, err
		}
		if err := j.Token(ctx, "draft", "a", 1, "y"); err != nil {
			return nil, err
		}
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if err := j.Token(ctx, "draft", "b", 0, "z"); err != nil {
				got <- err
				return nil, err
			}
		}
		got <- nil
		return nil, nil
	})
	if err := <-got; !errors.Is(err, runs.ErrFenced) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// follow reads a cursor to its end and gives the seqs and the last type.
func follow(ctx context.Context, h *runs.Hub, id string, after int64) (frames []string, err error) {
	c, err := h.Follow(ctx, id, after)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		fs, err := c.Next(ctx)
		for _, f := range fs {
			frames = append(frames, string(f.SSE()))
		}
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
	}
}

func frameSeq(t testing.TB, frame string) int64 {
	t.Helper()
	var seq int64
	if _, err := fmt.Sscanf(frame, "id: %d\n", &seq); err != nil {
		t.Fatalf("frame %q: %v", frame, err)
	}
	return seq
}

// Readers that begin anywhere, before, during and after, get everything behind their cursor once, also when the tail has
// dropped what they need.
func TestReadersMissNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
		defer h.Close()
		_, r := begin(t, s)
		_, l, _, err := s.Claim(t.Context(), "me", []runs.Kind{runs.KindGenerate})
		if err != nil {
			t.Fatal(err)
		}
		const n = 120
		big := strings.Repeat("x", 4000) // so that a tail of 256 KB drops some
		var all sync.WaitGroup
		read := func(after int64) {
			all.Go(func() {
				frames, err := follow(t.Context(), h, r.ID, after)
				if err != nil {
					t.Errorf("after %d: %v", after, err)
					return
				}
				for i, f := range frames {
					if got := frameSeq(t, f); got != after+int64(i)+1 {
						t.Errorf("after %d: frame %d has seq %d", after, i, got)
						return
					}
				}
				if len(frames) == 0 || !strings.Contains(frames[len(frames)-1], "run.completed") {
					t.Errorf("after %d: %d frames", after, len(frames))
				}
			})
		}
		read(0)
		read(2)
		for i := range n {
			last, err := s.Append(t.Context(), l, runs.NewEvent{Type: runs.EventNotice, Data: big})
			if err != nil {
				t.Fatal(err)
			}
			if i%30 == 7 {
				read(0)
				read(last)
				read(last / 2)
			}
		}
		if err := s.End(t.Context(), l, runs.Ending{Status: runs.Completed}); err != nil {
			t.Fatal(err)
		}
		read(0)
		read(n)
		all.Wait()
	})
}

func TestCursorsEnd(t *testing.T) {
	s := storetest.New(t)
	h := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
	if _, err := follow(t.Context(), h, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 0); !errors.Is(err, fault.Missing("run")) {
		t.Errorf("a run that is not there: %v", err)
	}
	d, r := begin(t, s)
	c, err := h.Follow(t.Context(), r.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing new: %v", err)
	}
	if err := s.Drafts().Delete(t.Context(), ident.Local, d); err != nil {
		t.Fatal(err)
	}
	for err == nil { // its draft is deleted: cancelled, or gone
		_, err = c.Next(t.Context())
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, fault.Missing("run")) {
		t.Errorf("deleted: %v", err)
	}
	c.Close()
	_, r = begin(t, s)
	if c, err = h.Follow(t.Context(), r.ID, 1); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h.Close()
	if _, err := c.Next(t.Context()); !errors.Is(err, runs.ErrDraining) {
		t.Errorf("draining: %v", err)
	}
	if _, err := h.Follow(t.Context(), r.ID, 0); !errors.Is(err, runs.ErrDraining) {
		t.Errorf("following while draining: %v", err)
	}
}

// A wake-up that is lost costs a second at most.
func TestLostWakeUpHeals(t *testing.T) {
	s := storetest.New(t)
	h := runs.NewHub(s, runs.NewBus(), slog.New(slog.DiscardHandler)) // a bus on which nobody speaks
	defer h.Close()
	_, r := begin(t, s)
	c, err := h.Follow(t.Context(), r.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := s.Cancel(t.Context(), ident.Local, r.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	frames, err := c.Next(ctx)
	if err != nil || len(frames) != 1 || !strings.Contains(string(frames[0].SSE()), "event: run.cancelled\n") {
		t.Errorf("%v %d frames", err, len(frames))
	}
}
