package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// On PostgreSQL a lease runs out by the database's clock; its holder is told, and can write no more once another has the run.
func TestLeaseRunsOut(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{DatabaseURL: storetest.Schema(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := queued(t, s, 1, "")[0]
	old := claimed(t, s, "one")
	over := func() {
		t.Helper()
		if err := s.Damage(t.Context(), `UPDATE run SET lease_until = 1`); err != nil {
			t.Fatal(err)
		}
	}
	over()
	if lost, err := s.Renew(t.Context(), []runs.Lease{old}, true); err != nil || len(lost) > 0 {
		t.Fatalf("renewed late, but before anybody else came: lost %v, %v", lost, err)
	}
	if err := s.Recover(t.Context()); err != nil { // another replica starts: that voids nothing
		t.Fatal(err)
	}
	if _, _, ok, err := s.Claim(t.Context(), "two", generate); ok || err != nil {
		t.Fatalf("a renewed run was claimed: %v", err)
	}
	over()
	new := claimed(t, s, "two")
	if new.Fence <= old.Fence || new.RunID != id {
		t.Errorf("leases %+v, %+v", old, new)
	}
	for _, prolong := range []bool{true, false} {
		if lost, err := s.Renew(t.Context(), []runs.Lease{old, new}, prolong); err != nil || !slices.Equal(lost, []runs.Lease{old}) {
			t.Errorf("lost %v, %v", lost, err)
		}
	}
	if _, err := s.Append(t.Context(), old, notice); !errors.Is(err, runs.ErrFenced) {
		t.Errorf("the old one writes: %v", err)
	}
	if got, want := fmt.Sprint(typesOf(t, s, id)), "[run.created run.started run.restarted]"; got != want {
		t.Errorf("log %s, want %s", got, want)
	}
}

// Connections are ended under writers: what was acknowledged is there once, the others are told that the database was away.
// A replica that stands still in the midst of a transaction does not keep what it has locked: another one takes its run over, and the transaction
// is done again when it goes on.
func TestLocksOfAPausedReplica(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{DatabaseURL: storetest.Schema(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := queued(t, s, 1, "")[0]
	claimed(t, s, "paused")
	if err := s.Damage(t.Context(), `UPDATE run SET lease_until = 1`); err != nil {
		t.Fatal(err)
	}
	locked, goOn := make(chan struct{}, 9), make(chan struct{})
	resume := sync.OnceFunc(func() { close(goOn) })
	defer resume()
	wrote := make(chan error, 1)
	go func() {
		wrote <- s.Write(t.Context(), `UPDATE run SET failures = failures + 1`, func() error {
			locked <- struct{}{}
			<-goOn
			return nil
		})
	}()
	<-locked
	began := time.Now()
	for ok := false; !ok; {
		var r runs.Run
		if r, _, ok, err = s.Claim(t.Context(), "two", generate); err != nil || ok && r.ID != id {
			t.Fatalf("%v %+v", err, r)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Fatalf("nobody takes it over after %v", took)
		}
		time.Sleep(100 * time.Millisecond) // real locks of a real server
	}
	resume()
	if err := <-wrote; err != nil {
		t.Errorf("the transaction is not done again: %v", err)
	}
	if r, err := s.Run(t.Context(), ident.Local, id); err != nil || r.Failures != 1 {
		t.Errorf("%v %+v", err, r)
	}
}

func TestEndedConnections(t *testing.T) {
	url := storetest.Schema(t)
	s, err := store.Open(t.Context(), store.Options{DatabaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	admin := openSQL(t, "pgx", url)
	id := queued(t, s, 1, "")[0]
	lease := claimed(t, s, "w")
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		defer cancel()
		for ended := 0; ended < 30; {
			var n int
			if err := admin.QueryRow(`SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
				AND pid IN (SELECT pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relnamespace = to_regnamespace(current_schema()))`).Scan(&n); err != nil {
				t.Error(err)
				return
			}
			ended += n
		}
	})
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for w := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprint(w, "-", n)
				_, err := s.Append(t.Context(), lease, runs.NewEvent{Type: runs.EventNotice, Data: name})
				if err != nil && fault.Of(err).Kind != fault.Unavailable {
					t.Errorf("append: %v", err)
				}
				mu.Lock()
				acknowledged[name] = err == nil
				mu.Unlock()
			}
		})
	}
	all.Wait()
	typesOf(t, s, id) // dense
	there := map[string]int{}
	for after := int64(2); ; { // what is remembered may end in a gap, and be less than there is
		log, err := s.Events(t.Context(), id, after, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(log) == 0 {
			break
		}
		for _, e := range log {
			var name string
			if err := json.Unmarshal(e.Data, &name); err != nil {
				t.Fatal(err)
			}
			there[name]++
			after = e.Seq
		}
	}
	for name, ok := range acknowledged {
		if n := there[name]; n > 1 || ok && n == 0 {
			t.Errorf("%s: acknowledged %t, there %d times", name, ok, n)
		}
	}
}

// Two replicas wake each other, also after the connection that listens was ended.
func TestReplicasWakeEachOther(t *testing.T) {
	url := storetest.Schema(t)
	var replicas [2]*store.Store
	for i := range replicas {
		var err error
		if replicas[i], err = store.Open(t.Context(), store.Options{DatabaseURL: url}); err != nil {
			t.Fatal(err)
		}
		defer replicas[i].Close()
	}
	id := queued(t, replicas[0], 1, "")[0]
	heard := make(chan string, 1000)
	defer replicas[1].Bus().Subscribe(func(topics []string) {
		for _, id := range topics {
			select {
			case heard <- id:
			default:
			}
		}
	})()
	hear := func() {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			replicas[0].Bus().Publish(id) // lossy: what is said before the other listens is lost
			select {
			case got := <-heard:
				if got == id {
					return
				}
			case <-time.After(20 * time.Millisecond):
			}
		}
		t.Fatal("nothing is heard")
	}
	hear()
	admin := openSQL(t, "pgx", url)
	listeners := `FROM pg_stat_activity WHERE query = 'LISTEN byline_runs' AND datname = current_database()`
	if _, err := admin.Exec(`SELECT pg_terminate_backend(pid) ` + listeners); err != nil {
		t.Fatal(err)
	}
	for len(heard) > 0 { // of before
		<-heard
	}
	hear()
}
