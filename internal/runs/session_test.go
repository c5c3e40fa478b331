package runs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// sessionSeq reads a frame of a session's log in both its forms.
func sessionSeq(t testing.TB, f *runs.Frame) int64 {
	t.Helper()
	var e struct {
		SessionSeq int64   `json:"session_seq"`
		RunID      *string `json:"run_id"`
		Type       string
	}
	if err := json.Unmarshal(f.JSON(), &e); err != nil {
		t.Fatalf("%s: %v", f.JSON(), err)
	}
	if e.RunID != nil && *e.RunID == "" {
		t.Errorf("an empty run_id: %s", f.JSON())
	}
	if want := fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.SessionSeq, e.Type, f.JSON()); string(f.SSE()) != want {
		t.Fatalf("frame %q, want %q", f.SSE(), want)
	}
	return e.SessionSeq
}

// Readers of a session get everything behind their cursor once, wherever they begin and however slow they are.
func TestReadersOfSessionsMissNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
		defer h.Close()
		id := storetest.Session(t, s, ident.Local)
		const n = 150
		text := strings.Repeat("x", 4000) // so that a tail of 256 KB drops some
		var all sync.WaitGroup
		read := func(after, first int64, pause time.Duration) {
			c, err := h.FollowSession(t.Context(), ident.Local, id, after)
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				defer c.Close()
				for next := first; next <= n; {
					frames, err := c.Next(t.Context())
					if err != nil {
						t.Errorf("behind %d: %v", after, err)
						return
					}
					if len(frames) > 64 {
						t.Errorf("%d frames at once", len(frames))
					}
					for _, f := range frames {
						if got := sessionSeq(t, f); got != next {
							t.Errorf("behind %d: %d, want %d", after, got, next)
							return
						}
						next++
					}
					time.Sleep(pause)
				}
			})
		}
		read(0, 1, 0)
		read(0, 1, 3*time.Millisecond)
		for i := range int64(n) {
			storetest.Tell(t, s, ident.Local, id, fmt.Sprint(i, text))
			if i == 100 {
				read(0, 1, time.Millisecond)
				read(50, 51, 0)
				read(runs.Latest, 102, 0)
			}
		}
		read(0, 1, 0)
		all.Wait()
	})
}

func TestSessionCursorsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		h := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
		missing := fault.Missing("session")
		id := storetest.Session(t, s, ident.Local)
		storetest.Tell(t, s, ident.Local, id, "one")
		for _, c := range []struct {
			ws ident.Workspace
			id string
		}{{ident.Local, ident.New()}, {ident.Workspace(ident.New()), id}} {
			if _, err := h.FollowSession(t.Context(), c.ws, c.id, 0); !errors.Is(err, missing) {
				t.Errorf("%v: %v", c, err)
			}
		}
		future, err := h.FollowSession(t.Context(), ident.Local, id, 99)
		if err != nil || future.Last() != 1 {
			t.Fatal(err, future.Last())
		}
		defer future.Close()
		frames, err := future.Next(t.Context())
		if err != nil || string(frames[0].JSON()) != `{"session_id":"`+id+`","type":"reset","data":{"channel":""}}` || !strings.HasPrefix(string(frames[0].SSE()), "event: reset\ndata: {") {
			t.Fatalf("%v %s", err, frames[0].SSE())
		}
		if frames, err = future.Next(t.Context()); err != nil || sessionSeq(t, frames[0]) != 1 {
			t.Fatal(err)
		}
		late, err := h.FollowSession(t.Context(), ident.Local, id, 0) // has not read anything yet
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		if err := s.Sessions().Delete(t.Context(), ident.Local, id); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*runs.Cursor{future, late} {
			if _, err := c.Next(t.Context()); !errors.Is(err, missing) {
				t.Errorf("a session that was deleted: %v", err)
			}
		}
		id = storetest.Session(t, s, ident.Local)
		c, err := h.FollowSession(t.Context(), ident.Local, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		storetest.Tell(t, s, ident.Local, id, "last")
		if frames, err := c.Next(t.Context()); err != nil || len(frames) != 1 {
			t.Fatal(err)
		}
		h.Close()
		if _, err := c.Next(t.Context()); !errors.Is(err, runs.ErrDraining) {
			t.Errorf("draining: %v", err)
		}
		if _, err := h.FollowSession(t.Context(), ident.Local, id, 0); !errors.Is(err, runs.ErrDraining) {
			t.Errorf("following while draining: %v", err)
		}
	})
}

// talk is a store of sessions in memory, on the clock of a bubble.
type talk struct {
	runs.Log
	mu     sync.Mutex
	heads  map[string]int64
	looked map[string]int
	most   int // sessions of one question
	reads  int
	err    error
}

func (d *talk) SessionHead(_ context.Context, _ ident.Workspace, id string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heads[id], nil
}

func (d *talk) SessionHeads(_ context.Context, ids []string) (map[string]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most = max(d.most, len(ids))
	heads := map[string]int64{}
	for _, id := range ids {
		d.looked[id]++
		if last, ok := d.heads[id]; ok {
			heads[id] = last
		}
	}
	return heads, d.err
}

func (d *talk) SessionEvents(_ context.Context, _ ident.Workspace, id string, after int64, limit int) (events []runs.Event, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	for seq := after + 1; seq <= d.heads[id] && len(events) < limit; seq++ {
		if seq%2 == 0 { // the others are gone: messages that were deleted, tokens that were joined
			events = append(events, runs.Event{SessionID: id, Seq: seq, SessionSeq: seq, Type: "x", Data: json.RawMessage("{}")})
		}
	}
	return events, d.err
}

// However many sessions are watched, each is looked at within five seconds, and silent ones cost nothing else.
func TestManySilentSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &talk{heads: map[string]int64{}, looked: map[string]int{}}
		h := runs.NewHub(d, runs.NewBus(), slog.New(slog.DiscardHandler)) // a bus on which nobody speaks
		defer h.Close()
		const n = 7000
		cursors := make([]*runs.Cursor, n)
		for i := range cursors {
			id := fmt.Sprint("s", i)
			d.heads[id] = 2
			c, err := h.FollowSession(t.Context(), ident.Local, id, 2)
			if err != nil {
				t.Fatal(err)
			}
			cursors[i] = c
		}
		time.Sleep(5500 * time.Millisecond)
		d.mu.Lock()
		if len(d.looked) != n || d.most != n/5 || d.reads != 0 {
			t.Errorf("looked at %d of %d sessions, at %d at once, with %d reads", len(d.looked), n, d.most, d.reads)
		}
		d.heads["s77"] = 4 // and the bus does not say so
		delete(d.heads, "s78")
		d.mu.Unlock()
		began := time.Now()
		frames, err := cursors[77].Next(t.Context())
		if err != nil || len(frames) != 1 || sessionSeq(t, frames[0]) != 4 || time.Since(began) > 5*time.Second {
			t.Errorf("%v: %d frames after %v", err, len(frames), time.Since(began))
		}
		if _, err := cursors[78].Next(t.Context()); !errors.Is(err, fault.Missing("session")) || time.Since(began) > 6*time.Second {
			t.Errorf("deleted: %v after %v", err, time.Since(began))
		}
		for i, c := range cursors {
			if i != 5 {
				c.Close()
			}
		}
		d.mu.Lock()
		clear(d.looked)
		d.mu.Unlock()
		time.Sleep(2500 * time.Millisecond)
		d.mu.Lock()
		if n := d.looked["s5"]; len(d.looked) != 1 || n < 2 || n > 3 {
			t.Errorf("looked at %v", d.looked)
		}
		d.err = errDown
		d.mu.Unlock()
		time.Sleep(2 * time.Second)
		cursors[5].Close()
	})
}

// A cursor behind which everything up to the tail is gone goes on with what comes.
func TestCursorOverAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &talk{heads: map[string]int64{"s": 5}, looked: map[string]int{}}
		bus := runs.NewBus()
		h := runs.NewHub(d, bus, slog.New(slog.DiscardHandler))
		defer h.Close()
		c, err := h.FollowSession(t.Context(), ident.Local, "s", 4)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := make(chan int64)
		go func() {
			frames, err := c.Next(t.Context())
			if err != nil {
				t.Error(err)
				close(got)
				return
			}
			got <- sessionSeq(t, frames[0])
		}()
		synctest.Wait()
		d.mu.Lock()
		d.heads["s"] = 6
		d.mu.Unlock()
		bus.Publish(runs.SessionTopic("s"))
		if seq := <-got; seq != 6 {
			t.Errorf("got %d", seq)
		}
	})
}
