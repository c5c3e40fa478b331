package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func token(text string) runs.NewEvent {
	return runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", Text: text}}
}

func appendAll(t rapid.TB, s *store.Store, l runs.Lease, events ...runs.NewEvent) (last int64) {
	t.Helper()
	last, err := s.Append(context.Background(), l, events...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// logged gives the events of a run as "type data", and fails if they are not dense.
func logged(t rapid.TB, s *store.Store, id string, after int64) (list []string) {
	t.Helper()
	events, err := s.Events(context.Background(), id, after, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != after+int64(i)+1 || e.RunID != id {
			t.Fatalf("event %d behind %d is %d of %s", i, after, e.Seq, e.RunID)
		}
		list = append(list, e.Type+" "+string(e.Data))
	}
	return list
}

func takenIn(t rapid.TB, s *store.Store) int {
	t.Helper()
	n, err := s.TakenIn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crashed opens a library as it is on the disk while another store has it open, as after a crash of that one.
func crashed(t testing.TB, path string) *store.Store {
	t.Helper()
	to := filepath.Join(t.TempDir(), "byline.db")
	for _, end := range []string{"", "-wal"} {
		from, err := os.Open(path + end)
		if err != nil {
			t.Fatal(err)
		}
		w, err := os.Create(to + end)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(w, from)
		if err := errors.Join(err, from.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return storetest.At(t, to)
}

// Tokens that were taken in are there for everybody, before they are shelved and behind it.
func TestTokensAreTakenIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "byline.db")
	s := storetest.At(t, path)
	ids := queued(t, s, 2, "")
	a, b := claimed(t, s, "w"), claimed(t, s, "w")
	for i := range 20 {
		appendAll(t, s, a, token(fmt.Sprint("a", i)), token("more"))
		appendAll(t, s, b, token(fmt.Sprint("b", i)))
	}
	if n := takenIn(t, s); n < 30 {
		t.Fatalf("%d rows are taken in", n)
	}
	look := func(s *store.Store, more int64) {
		t.Helper()
		s.Forget()
		heads, err := s.Heads(t.Context(), ids)
		if err != nil || heads[ids[0]].LastSeq != 42+more || heads[ids[1]].LastSeq != 22 {
			t.Errorf("heads %v %v", heads, err)
		}
		r, err := s.Run(t.Context(), ident.Local, ids[0])
		if err != nil || r.LastSeq != 42+more {
			t.Errorf("run %+v %v", r, err)
		}
		list, _, err := s.Runs(t.Context(), ident.Local, runs.Filter{Limit: 5})
		if err != nil || list[0].LastSeq != 22 || list[1].LastSeq != 42+more {
			t.Errorf("runs %+v %v", list, err)
		}
		for after := range int64(42) {
			log := logged(t, s, ids[0], after)
			if int64(len(log)) != 42+more-after {
				t.Fatalf("%d events behind %d", len(log), after)
			}
			if i := max(2, after); i%2 == 0 && i < 42 && !strings.Contains(log[i-after], fmt.Sprintf(`"a%d"`, (i-2)/2)) {
				t.Fatalf("event behind %d is %s", i, log[i-after])
			}
		}
		some, err := s.Events(t.Context(), ids[1], 0, 10)
		if err != nil || len(some) != 10 || some[9].Seq != 10 {
			t.Errorf("%d events, %v", len(some), err)
		}
	}
	look(s, 0)
	if err := s.SaveStep(t.Context(), a, runs.Step{Key: "k"}, notice); err != nil { // what else is written comes behind the tokens
		t.Fatal(err)
	}
	look(s, 1)
	if log := logged(t, s, ids[0], 42); len(log) != 1 || !strings.HasPrefix(log[0], runs.EventNotice) {
		t.Errorf("last %v", log)
	}
	look(crashed(t, path), 1)
	look(s, 1)
	if _, err := s.Cancel(t.Context(), ident.Local, ids[1]); err != nil {
		t.Fatal(err)
	}
	if n := takenIn(t, s); n != 0 {
		t.Errorf("%d rows of the intake, which nobody needs", n)
	}
	if _, err := s.Append(t.Context(), b, token("late")); !fenced(err) {
		t.Errorf("a token behind the end: %v", err)
	}
}

// A cancelled run takes nothing in any more, also of the commit that cancels it; what came before the cancelling stands before it.
func TestIntakeAndCancelInOneCommit(t *testing.T) {
	s := storetest.New(t)
	for range 30 {
		id := queued(t, s, 1, "")[0]
		l := claimed(t, s, "w")
		appendAll(t, s, l, token("first"))
		var all sync.WaitGroup
		come := make(chan struct{})
		all.Go(func() {
			if err := s.Together(t.Context(), 3, func() { close(come) }); err != nil {
				t.Error(err)
			}
		})
		<-come
		kept := false
		all.Go(func() {
			_, err := s.Append(t.Context(), l, token("second"))
			if kept = err == nil; err != nil && !fenced(err) {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := s.Cancel(t.Context(), ident.Local, id); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { // of its own savepoint
			if err := s.Write(t.Context(), `UPDATE run SET attempt = 7`, func() error { return errors.New("no") }); err == nil {
				t.Error("it was written")
			}
		})
		all.Wait()
		s.Forget()
		want := []string{runs.EventCreated, runs.EventStarted, runs.EventToken, runs.EventToken, runs.EventCancelled}
		if !kept {
			want = slices.Delete(want, 3, 4)
		}
		if got := typesOf(t, s, id); !slices.Equal(got, want) {
			t.Fatalf("events %v, want %v", got, want)
		}
	}
	if n := takenIn(t, s); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// What is taken in is shelved when it has waited long enough, be it that nobody writes any more.
func TestIntakeIsShelvedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		ids := queued(t, s, 40, "")
		var leases []runs.Lease
		for range ids {
			l := claimed(t, s, "w")
			leases = append(leases, l)
			appendAll(t, s, l, token("opens"))
		}
		for range 20 {
			for _, l := range leases {
				appendAll(t, s, l, token("word"))
			}
			time.Sleep(500 * time.Millisecond)
		}
		if n := takenIn(t, s); n > 40*10 {
			t.Errorf("%d rows wait", n)
		}
		time.Sleep(20 * time.Second)
		if n := takenIn(t, s); n != 0 {
			t.Errorf("%d rows wait although nothing happens", n)
		}
		for i, l := range leases {
			appendAll(t, s, l, token("again"))
			if log := logged(t, s, l.RunID, 0); len(log) != 24 {
				t.Errorf("run %d has %d events", i, len(log))
			}
		}
	})
}

// A store that has been busy gives the memory of its caches back when nobody writes any more.
func TestIdleStoreGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.New(t)
		id := queued(t, s, 1, "")[0]
		l := claimed(t, s, "w")
		shrunk := func(want bool) {
			t.Helper()
			writer, reader, err := s.Shrunk(t.Context())
			if err != nil || writer != want || reader != want {
				t.Errorf("shrunk: writer %t, reader %t, want %t; %v", writer, reader, want, err)
			}
		}
		for range 20 {
			appendAll(t, s, l, token("word"))
			shrunk(false)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(20 * time.Second)
		for range 8 { // each of them may be another reader
			shrunk(true)
		}
		if n := len(logged(t, s, id, 0)); n != 22 {
			t.Errorf("%d events", n)
		}
	})
}

// More than intakeSize of tokens does not wait.
func TestIntakeIsBounded(t *testing.T) {
	s := storetest.New(t)
	ids := queued(t, s, 8, "")
	var leases []runs.Lease
	for range ids {
		leases = append(leases, claimed(t, s, "w"))
	}
	text := strings.Repeat("x", 1<<20)
	for range 4 {
		for _, l := range leases {
			appendAll(t, s, l, token(text))
		}
	}
	if n := takenIn(t, s); n > 20 {
		t.Errorf("%d rows of 1 MB wait", n)
	}
	s.Forget()
	for _, id := range ids {
		if n := len(logged(t, s, id, 0)); n != 6 {
			t.Errorf("%d events", n)
		}
	}
}

// A purged run leaves nothing in the intake, although its rows there have words of others as well.
func TestPurgeReachesTheIntake(t *testing.T) {
	l := newLibrary(t, storetest.New(t))
	d, mine := l.generate(ident.Local)
	queued(t, l.Store, 1, "")
	other := claimed(t, l.Store, "w")
	for range 3 {
		var all sync.WaitGroup
		come := make(chan struct{})
		all.Go(func() {
			if err := l.Together(l.ctx, 2, func() { close(come) }); err != nil {
				t.Error(err)
			}
		})
		<-come
		all.Go(func() { appendAll(t, l.Store, mine, token("confidential")) })
		all.Go(func() { appendAll(t, l.Store, other, token("open")) })
		all.Wait()
	}
	l.ok(l.Drafts().Delete(l.ctx, ident.Local, d.ID))
	l.sweep()
	l.sound(store.VerifyOptions{Contains: []string{"confidential"}})
	if n := len(logged(t, l.Store, other.RunID, 0)); n != 5 {
		t.Errorf("the other run has %d events", n)
	}
}

// shelf is a run as the machine below knows it.
type shelf struct {
	id    string
	lease runs.Lease
	log   []string
}

// Whatever is written, in whatever order, and wherever a crash comes: a run's log is what was appended to it.
func TestIntakeEqualsItsOracle(t *testing.T) {
	checks(t, 12)
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "byline.db")
		s := storetest.At(t, path)
		var open []*shelf
		all := map[string]*shelf{}
		pick := func(t *rapid.T) *shelf {
			if len(open) == 0 {
				t.Skip("no run")
			}
			return rapid.SampledFrom(open).Draw(t, "run")
		}
		ok := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		wrote := 0
		equal := func(t *rapid.T, s *store.Store) {
			for id, x := range all {
				if got := logged(t, s, id, 0); !slices.Equal(got, x.log) {
					t.Fatalf("%s: %q, want %q", id, got, x.log)
				}
				heads, err := s.Heads(context.Background(), []string{id})
				if err != nil || heads[id].LastSeq != int64(len(x.log)) {
					t.Fatalf("%v %v, want %d", heads, err, len(x.log))
				}
			}
		}
		claim := func(x *shelf, event string) {
			x.lease = claimed(rt, s, "w")
			if x.lease.RunID != x.id {
				rt.Fatalf("claimed %s, not %s", x.lease.RunID, x.id)
			}
			got := logged(rt, s, x.id, int64(len(x.log)))
			if len(got) != 1 || !strings.HasPrefix(got[0], event) {
				rt.Fatalf("claimed: %q", got)
			}
			x.log = append(x.log, got...)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				x := &shelf{id: queued(t, s, 1, "")[0]}
				x.log = logged(t, s, x.id, 0)
				claim(x, runs.EventStarted)
				open, all[x.id] = append(open, x), x
			},
			"say": func(t *rapid.T) {
				x := pick(t)
				for range rapid.IntRange(1, 8).Draw(t, "times") {
					var events []runs.NewEvent
					for range rapid.IntRange(1, 3).Draw(t, "tokens") {
						wrote++
						events = append(events, token(fmt.Sprint(wrote)))
						x.log = append(x.log, fmt.Sprintf(`token {"channel":"draft","offset":0,"text":"%d"}`, wrote))
					}
					if n := appendAll(t, s, x.lease, events...); n != int64(len(x.log)) {
						t.Fatalf("last %d, want %d", n, len(x.log))
					}
				}
			},
			"notice": func(t *rapid.T) {
				x := pick(t)
				appendAll(t, s, x.lease, token("n"), notice)
				x.log = append(x.log, `token {"channel":"draft","offset":0,"text":"n"}`)
				x.log = append(x.log, logged(t, s, x.id, int64(len(x.log)))...)
			},
			"step": func(t *rapid.T) {
				x := pick(t)
				ok(s.SaveStep(context.Background(), x.lease, runs.Step{Key: "k"}))
			},
			"refused": func(t *rapid.T) {
				l := pick(t).lease
				l.Fence--
				if _, err := s.Append(context.Background(), l, token("stale")); !fenced(err) {
					t.Fatalf("an old lease: %v", err)
				}
			},
			"again": func(t *rapid.T) {
				x := pick(t)
				old := x.lease
				ok(s.End(context.Background(), x.lease, runs.Ending{Status: runs.Queued}))
				claim(x, runs.EventRestarted)
				if _, err := s.Append(context.Background(), old, token("stale")); !fenced(err) {
					t.Fatalf("an old lease: %v", err)
				}
			},
			"end": func(t *rapid.T) {
				x := pick(t)
				ok(s.End(context.Background(), x.lease, runs.Ending{Status: runs.Completed}))
				x.log = append(x.log, logged(t, s, x.id, int64(len(x.log)))...)
				open = slices.DeleteFunc(open, func(o *shelf) bool { return o == x })
				if _, err := s.Append(context.Background(), x.lease, token("late")); !fenced(err) {
					t.Fatalf("behind the end: %v", err)
				}
			},
			"forget": func(*rapid.T) { s.Forget() },
			"crash": func(rt *rapid.T) {
				c := crashed(t, path)
				if takenIn(rt, c) != 0 {
					rt.Fatal("something is left in the intake")
				}
				equal(rt, c)
				report, err := c.Verify(context.Background(), store.VerifyOptions{})
				if err != nil || len(report.Problems) > 0 {
					rt.Fatalf("%+v %v", report, err)
				}
			},
			"reopen": func(rt *rapid.T) {
				ok(s.Close())
				s = storetest.At(t, path)
				if takenIn(rt, s) != 0 {
					rt.Fatal("something was left in the intake")
				}
			},
			"": func(t *rapid.T) { equal(t, s) },
		})
	})
}

// A row that nothing can be made of stops the start: nobody may go on as if those tokens had never been.
func TestBrokenIntake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "byline.db")
	s := storetest.At(t, path)
	if err := s.Damage(t.Context(), `INSERT INTO run_intake (id, data) VALUES (1, '{"run":"x","seq"')`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "read intake") {
		t.Fatalf("opened: %v", err)
	}
}
