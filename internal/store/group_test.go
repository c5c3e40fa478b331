package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"byline/internal/runs"
	"byline/internal/store/storetest"
)

// Appends of many runs share a commit; one that the database refuses spoils nothing of the others, and leaves nothing of its own.
func TestAppendsThatShareACommit(t *testing.T) {
	s := storetest.New(t)
	const n, each = 40, 30
	queued(t, s, n, "")
	var leases []runs.Lease
	for range n {
		l := claimed(t, s, "w")
		if _, err := s.Append(t.Context(), l, notice); err != nil {
			t.Fatal(err)
		}
		leases = append(leases, l)
	}
	spoilt, taken := leases[0], leases[1]
	if err := s.Damage(t.Context(), `INSERT INTO run_event (run_id, seq, at, type, data) VALUES ('`+spoilt.RunID+`', 4, 1, 'x', '{}')`); err != nil {
		t.Fatal(err)
	}
	taken.Fence--
	var all sync.WaitGroup
	for i, l := range leases {
		if i == 1 {
			l = taken
		}
		all.Go(func() {
			for k := range each {
				_, err := s.Append(t.Context(), l, runs.NewEvent{Type: runs.EventNotice, Data: k})
				switch i {
				case 0:
					if err == nil {
						t.Error("a row was written over another one")
					}
				case 1:
					if !errors.Is(err, runs.ErrFenced) {
						t.Errorf("an old lease: %v", err)
					}
				default:
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	s.Forget()
	for i, l := range leases {
		log, err := s.Events(t.Context(), l.RunID, 3, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[int]int{0: 1, 1: 0}; i < 2 {
			if len(log) != want[i] {
				t.Errorf("run %d has %d events more", i, len(log))
			}
			continue
		}
		for k, e := range log {
			if e.Seq != int64(4+k) || string(e.Data) != fmt.Sprint(k) || !json.Valid(e.Data) {
				t.Fatalf("run %d: event %d is %d %s", i, k, e.Seq, e.Data)
			}
		}
		if len(log) != each {
			t.Errorf("run %d has %d of %d events", i, len(log), each)
		}
	}
}
