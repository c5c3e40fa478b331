package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

var (
	generate = []runs.Kind{runs.KindGenerate}
	notice   = runs.NewEvent{Type: runs.EventNotice}
)

// queued adds n runs without a subject.
func queued(t rapid.TB, s *store.Store, n int, session string) (ids []string) {
	t.Helper()
	for range n {
		r, err := s.Create(context.Background(), runs.NewRun{Kind: runs.KindGenerate, Subject: runs.Subject{Type: "nothing"}, SessionID: session})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

func claimed(t rapid.TB, s *store.Store, owner string) runs.Lease {
	t.Helper()
	_, l, ok, err := s.Claim(context.Background(), owner, generate)
	if err != nil || !ok {
		t.Fatalf("claim: %t %v", ok, err)
	}
	return l
}

func typesOf(t rapid.TB, s *store.Store, id string) []string {
	t.Helper()
	log, err := s.Events(context.Background(), id, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for i, e := range log {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i+1, e.Seq)
		}
		types = append(types, e.Type)
	}
	return types
}

func TestRunIsClaimedByOneWorker(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const n = 40
		ids := queued(t, s, n, "")
		var mu sync.Mutex
		var got []string
		var all sync.WaitGroup
		for w := range 6 {
			all.Go(func() {
				for misses := 0; misses < 3; {
					r, _, ok, err := s.Claim(t.Context(), fmt.Sprint(w), generate)
					if err != nil {
						t.Error(err)
						return
					}
					if !ok { // skipped rows are another's
						misses++
						continue
					}
					mu.Lock()
					got = append(got, r.ID)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		slices.Sort(got)
		if !slices.Equal(got, ids) {
			t.Errorf("%d claims of %d runs", len(got), n)
		}
	})
}

// Whatever workers, crashes, cancels and late writes do: only the newest lease writes, the log is dense, the end comes once
// and last.
func TestOnlyTheHolderWrites(t *testing.T) {
	checks(t, 30)
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		rapid.Check(t, func(rt *rapid.T) {
			if err := s.Damage(ctx, `DELETE FROM run`); err != nil {
				rt.Fatal(err)
			}
			id := queued(rt, s, 1, "")[0]
			var leases []runs.Lease
			holds := false // the last of them
			var ended string
			want := []string{runs.EventCreated}
			write := func(l runs.Lease, wrote []string, err error) {
				if holds && l == leases[len(leases)-1] {
					if err != nil {
						rt.Fatalf("the holder's write: %v", err)
					}
					want = append(want, wrote...)
				} else if !errors.Is(err, runs.ErrFenced) {
					rt.Fatalf("a late write: %v", err)
				}
			}
			pick := func(t *rapid.T) runs.Lease {
				if len(leases) == 0 {
					t.Skip("nobody has claimed it")
				}
				return rapid.SampledFrom(leases).Draw(t, "lease")
			}
			rt.Repeat(map[string]func(*rapid.T){
				"claim": func(t *rapid.T) {
					_, l, ok, err := s.Claim(ctx, "w", generate)
					if err != nil || ok == (holds || ended != "") {
						t.Fatalf("claimed %t, held %t, ended %q: %v", ok, holds, ended, err)
					}
					if !ok {
						return
					}
					want = append(want, map[bool]string{true: runs.EventStarted, false: runs.EventRestarted}[len(leases) == 0])
					leases, holds = append(leases, l), true
				},
				"crash": func(t *rapid.T) {
					if err := s.Damage(ctx, `UPDATE run SET lease_owner = '', lease_until = 1 WHERE status = 'running'`); err != nil {
						t.Fatal(err)
					}
					if !holds {
						return
					}
					_, l, ok, err := s.Claim(ctx, "w", generate)
					if err != nil || !ok {
						t.Fatalf("takeover: %t %v", ok, err)
					}
					want = append(want, runs.EventRestarted)
					leases = append(leases, l)
				},
				"append": func(t *rapid.T) {
					l := pick(t)
					_, err := s.Append(ctx, l, notice, notice)
					write(l, []string{runs.EventNotice, runs.EventNotice}, err)
				},
				"save step": func(t *rapid.T) {
					l := pick(t)
					write(l, []string{runs.EventStepStarted}, s.SaveStep(ctx, l, runs.Step{Key: "k"}, runs.NewEvent{Type: runs.EventStepStarted}))
				},
				"again": func(t *rapid.T) {
					l := pick(t)
					was := holds && l == leases[len(leases)-1]
					write(l, nil, s.End(ctx, l, runs.Ending{Status: runs.Queued}))
					holds = holds && !was
				},
				"complete": func(t *rapid.T) {
					l := pick(t)
					was := holds && l == leases[len(leases)-1]
					write(l, []string{runs.EventCompleted}, s.End(ctx, l, runs.Ending{Status: runs.Completed}))
					if was {
						holds, ended = false, runs.EventCompleted
					}
				},
				"cancel": func(t *rapid.T) {
					if rapid.IntRange(0, 3).Draw(t, "often") > 0 {
						t.Skip("seldom")
					}
					if _, err := s.Cancel(ctx, ident.Local, id); err != nil {
						t.Fatal(err)
					}
					if ended == "" {
						want = append(want, runs.EventCancelled)
						holds, ended = false, runs.EventCancelled
					}
				},
				"": func(t *rapid.T) {
					if got := typesOf(t, s, id); !slices.Equal(got, want) {
						t.Fatalf("log %v, want %v", got, want)
					}
				},
			})
		})
	})
}

// Members of one commit do not share their fate.
func TestGroupCommitKeepsMembersApart(t *testing.T) {
	s := storetest.New(t)
	ctx := t.Context()
	ids := queued(t, s, 2, "")
	lease := claimed(t, s, "w")
	stale := lease
	stale.Fence--
	note := func(id string) string {
		return `INSERT INTO workspace (id, kind, created_at) VALUES ('` + id + `', 'x', 0)`
	}
	members := map[string]struct {
		do   func() error
		want func(error) bool
	}{
		"good":    {func() error { _, err := s.Append(ctx, lease, notice); return err }, func(err error) bool { return err == nil }},
		"fenced":  {func() error { _, err := s.Append(ctx, stale, notice); return err }, fenced},
		"refused": {func() error { return s.Write(ctx, note("refused"), func() error { return errors.New("no") }) }, func(err error) bool { return err.Error() == "no" }},
		"panics":  {func() error { return s.Write(ctx, note("panics"), func() error { panic("oh") }) }, func(err error) bool { return strings.Contains(err.Error(), "oh") }},
		"broken":  {func() error { return s.Write(ctx, note("broken")+note("twice"), func() error { return nil }) }, func(err error) bool { return err != nil }},
		"better":  {func() error { return s.Write(ctx, note("better"), func() error { return nil }) }, func(err error) bool { return err == nil }},
		"cancel":  {func() error { _, err := s.Cancel(ctx, ident.Local, ids[1]); return err }, func(err error) bool { return err == nil }},
	}
	var woken sync.Map
	defer s.Bus().Subscribe(func(ids []string) {
		for _, id := range ids {
			woken.Store(id, true)
		}
	})()
	for range 20 { // in any order
		if err := s.Damage(ctx, `DELETE FROM workspace WHERE kind = 'x'`); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		come := make(chan struct{})
		all.Go(func() {
			if err := s.Together(ctx, len(members), func() { close(come) }); err != nil {
				t.Error(err)
			}
		})
		<-come
		for name, m := range members {
			all.Go(func() {
				if err := m.do(); !m.want(err) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		dump, err := s.Dump(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, line := range dump {
			if f := strings.Fields(line); f[0] == "workspace" && f[2] == "x" {
				kept = append(kept, f[1])
			}
		}
		if fmt.Sprint(kept) != "[better]" {
			t.Fatalf("kept %v", kept)
		}
	}
	if n := len(typesOf(t, s, ids[0])); n != 22 {
		t.Errorf("%d events of the good one, want 22", n)
	}
	for _, id := range ids {
		if _, ok := woken.Load(id); !ok {
			t.Errorf("nobody was told of %s", id)
		}
	}
}

// Events of all runs of a session are counted together, without a gap, in the order in which they are stored.
func TestSessionsCountTheirEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		session := talk(t, s).id
		ids := queued(t, s, 8, session)
		var all sync.WaitGroup
		for range ids {
			l := claimed(t, s, "w")
			all.Go(func() {
				for range 10 {
					if _, err := s.Append(t.Context(), l, notice, notice); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var seqs []int64
		for _, id := range ids {
			log, err := s.Events(t.Context(), id, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var last int64
			for _, e := range log {
				if e.SessionID != session || e.SessionSeq <= last {
					t.Fatalf("event %+v behind %d", e, last)
				}
				last = e.SessionSeq
				seqs = append(seqs, last)
			}
		}
		slices.Sort(seqs)
		for i, n := range seqs {
			if n != int64(i+1) {
				t.Fatalf("the %d. of %d has session_seq %d", i+1, len(seqs), n)
			}
		}
	})
}

// What people see of a run's subject when the run does not complete.
func TestSubjectFollowsItsRun(t *testing.T) {
	failed := runs.Ending{Status: runs.Failed, Failure: &runs.Failure{Code: "broken", Detail: "It is broken."}}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		leave := func(lease runs.Lease, cancel bool) {
			t.Helper()
			if cancel {
				_, err := s.Cancel(l.ctx, lease.Workspace, lease.RunID)
				l.ok(err)
				return
			}
			l.ok(s.End(l.ctx, lease, failed))
		}
		for _, cancel := range []bool{true, false} {
			l.upload(l.mine, fmt.Sprint(cancel, ".md"), fmt.Sprint(cancel))
			r, lease := l.claim()
			_, err := l.Begin(l.ctx, lease)
			l.ok(err)
			leave(lease, cancel)
			d, err := l.Document(l.ctx, l.mine, r.Subject.ID)
			l.ok(err)
			want := map[bool]string{true: "pending  ", false: "failed broken It is broken."}[cancel]
			same(t, "document", fmt.Sprint(d.Status, " ", d.ErrorCode, " ", d.ErrorMessage), want)

			for _, text := range []string{"", "So far."} {
				d, lease := l.generate(l.mine)
				if text != "" {
					for i, c := range text {
						_, err := s.Append(l.ctx, lease, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: i, Text: string(c)}})
						l.ok(err)
					}
				}
				leave(lease, cancel)
				d, err := s.Drafts().Draft(l.ctx, l.mine, d.ID)
				l.ok(err)
				status := map[bool]string{true: "draft", false: "failed"}[cancel]
				same(t, "draft", fmt.Sprint(d.Status, " ", d.Content, " ", d.Version), fmt.Sprint(status, " ", text, " ", len(text)/7))
			}
		}
	})
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ids := queued(t, s, 5, "")
		slices.Reverse(ids)
		lease := claimed(t, s, "w") // the oldest
		if err := s.End(t.Context(), lease, runs.Ending{Status: runs.Completed}); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			ws    ident.Workspace
			f     runs.Filter
			want  []string
			total int
		}{
			"all":               {ident.Local, runs.Filter{Limit: 10}, ids, 5},
			"a page":            {ident.Local, runs.Filter{Limit: 2}, ids[:2], 5},
			"the next":          {ident.Local, runs.Filter{Limit: 2, Cursor: ids[1]}, ids[2:4], 5},
			"the last":          {ident.Local, runs.Filter{Limit: 2, Cursor: ids[3]}, ids[4:], 5},
			"of a status":       {ident.Local, runs.Filter{Limit: 10, Status: runs.Completed}, ids[4:], 1},
			"of a kind":         {ident.Local, runs.Filter{Limit: 10, Kind: runs.KindProcess}, nil, 0},
			"of a subject":      {ident.Local, runs.Filter{Limit: 10, SubjectID: "x"}, nil, 0},
			"of somebody else":  {"other", runs.Filter{Limit: 10}, nil, 0},
			"without a run yet": {"other", runs.Filter{Limit: 10, Cursor: ids[0]}, nil, 0},
		} {
			list, total, err := s.Runs(t.Context(), tc.ws, tc.f)
			var got []string
			for _, r := range list {
				got = append(got, r.ID)
			}
			if err != nil || !slices.Equal(got, tc.want) || total != tc.total {
				t.Errorf("%s: %v of %d, want %v of %d, %v", name, got, total, tc.want, tc.total, err)
			}
		}
	})
}

// A full disk refuses writes by name, lets reads through and heals by itself; nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	s := storetest.New(t)
	id := queued(t, s, 1, "")[0]
	lease := claimed(t, s, "w")
	pages := func(n int) {
		t.Helper()
		if err := s.Damage(t.Context(), fmt.Sprint(`PRAGMA max_page_count = `, n)); err != nil {
			t.Fatal(err)
		}
	}
	pages(1) // as many as there are
	kept := 2
	full := false
	for range 100 {
		_, err := s.Append(t.Context(), lease, runs.NewEvent{Type: runs.EventNotice, Data: strings.Repeat("x", 3000)})
		switch {
		case err == nil:
			kept++
		case errors.Is(err, fault.New(fault.StorageFull, "storage_full", "")):
			full = true
		default:
			t.Fatal(err)
		}
	}
	if got := typesOf(t, s, id); !full || len(got) != kept {
		t.Errorf("full %t, %d events kept, %d acknowledged", full, len(got), kept)
	}
	pages(1 << 30)
	if _, err := s.Append(t.Context(), lease, notice); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := typesOf(t, s, id); len(got) != kept+1 {
		t.Errorf("%d events, want %d", len(got), kept+1)
	}
}

// A closed store refuses at once.
func TestClosedStoreRefuses(t *testing.T) {
	s := storetest.New(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), runs.Lease{}, notice); fault.Of(err).Kind != fault.Unavailable {
		t.Errorf("append: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// Events that were just committed are read from memory: the same ones that the database gives, from any seq, in any portion.
func TestRecentEventsAreThoseOfTheDatabase(t *testing.T) {
	checks(t, 10)
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		rapid.Check(t, func(t *rapid.T) {
			if err := s.Damage(ctx, `UPDATE run SET status = 'cancelled'`); err != nil { // of the round before
				t.Fatal(err)
			}
			ids := queued(t, s, 2, "")
			leases := []runs.Lease{claimed(t, s, "w"), claimed(t, s, "w")}
			for range rapid.IntRange(0, 60).Draw(t, "appends") {
				var events []runs.NewEvent
				for range rapid.IntRange(1, 12).Draw(t, "events") {
					size := rapid.SampledFrom([]int{1, 10, 100, 8190, 8191}).Draw(t, "size")
					events = append(events, runs.NewEvent{Type: runs.EventNotice, Data: strings.Repeat("x", size)})
				}
				if _, err := s.Append(ctx, rapid.SampledFrom(leases).Draw(t, "run"), events...); err != nil {
					t.Fatal(err)
				}
			}
			type question struct {
				id    string
				after int64
				limit int
			}
			var questions []question
			var fast [][]runs.Event
			for range 20 {
				q := question{rapid.SampledFrom(ids).Draw(t, "id"), rapid.Int64Range(0, 300).Draw(t, "after"), rapid.IntRange(1, 50).Draw(t, "limit")}
				list, err := s.Events(ctx, q.id, q.after, q.limit)
				if err != nil {
					t.Fatal(err)
				}
				questions, fast = append(questions, q), append(fast, list)
			}
			s.Forget()
			for i, q := range questions {
				slow, err := s.Events(ctx, q.id, q.after, q.limit)
				if err != nil {
					t.Fatal(err)
				}
				slow = slow[:min(len(slow), max(len(fast[i]), 1))]
				if !slices.EqualFunc(fast[i], slow, func(a, b runs.Event) bool {
					return a.RunID == b.RunID && a.Seq == b.Seq && a.At.Equal(b.At) && a.Type == b.Type && bytes.Equal(a.Data, b.Data) && a.SessionSeq == b.SessionSeq
				}) {
					t.Fatalf("%v: %d events from memory are not the %d of the database", q, len(fast[i]), len(slow))
				}
			}
		})
	})
}
