package store

import (
	"slices"
	"sync"
	"time"

	"byline/internal/runs"
)

// recent keeps what this process has just committed to the logs of runs. Who is woken by a commit reads a few milliseconds
// later what it wrote: this is a read that need not ask the database.
type recent struct {
	mu   sync.Mutex
	ring [4096]fresh
	n    int // entries ever made
	// last are the newest entries of runs, by their numbers from 1; each leads to the one before it.
	last map[string]int
	// heads are the last seqs of runs outside sessions that were written to; another replica may have written behind them.
	heads map[string]int64
}

type fresh struct {
	runs.Event
	born   time.Time
	before int // the entry of the run before this one; 0: none
}

const (
	recentAge  = 2 * time.Second // also how long another replica's purge may go unnoticed
	recentSize = 8 << 10         // bytes of data; larger events are read from the database
	maxHeads   = 4096
)

// add is called behind a commit.
func (r *recent) add(events []runs.Event) {
	if len(events) == 0 {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heads == nil || len(r.heads) > maxHeads {
		r.heads = map[string]int64{}
	}
	if r.last == nil {
		r.last = map[string]int{}
	}
	for _, e := range events {
		if e.SessionID == "" {
			r.heads[e.RunID] = e.Seq
		}
		if isEnd(e.Type) {
			delete(r.heads, e.RunID)
		}
		if len(e.Data) > recentSize {
			continue
		}
		place := &r.ring[r.n%len(r.ring)]
		if old := r.n + 1 - len(r.ring); old > 0 && r.last[place.RunID] == old {
			delete(r.last, place.RunID)
		}
		r.n++
		*place = fresh{e, now, r.last[e.RunID]}
		r.last[e.RunID] = r.n
	}
}

// after gives what comes directly behind a seq, without a gap, as far as it is known; nil means to ask the database.
func (r *recent) after(runID string, seq int64, limit int) (list []runs.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := false
	for n := r.last[runID]; n > max(0, r.n-len(r.ring)) && !first; {
		e := &r.ring[(n-1)%len(r.ring)]
		n = e.before
		if e.Seq <= seq { // commits of a run may come here out of order
			continue
		}
		if time.Since(e.born) > recentAge {
			return nil
		}
		list = append(list, e.Event)
		first = e.Seq == seq+1
	}
	if !first {
		return nil
	}
	slices.SortFunc(list, func(a, b runs.Event) int { return int(a.Seq - b.Seq) })
	for i, e := range list {
		if e.Seq != seq+1+int64(i) {
			list = list[:i]
			break
		}
	}
	return list[:min(len(list), limit)]
}

// drop forgets the events of a run.
func (r *recent) drop(runID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, runID)
}

// head is a guess of a run's last seq.
func (r *recent) head(runID string) (seq int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq, ok = r.heads[runID]
	return seq, ok
}

func isEnd(eventType string) bool {
	return eventType == runs.EventCompleted || eventType == runs.EventFailed || eventType == runs.EventCancelled
}

// forget drops everything: something that is kept may have been purged.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.ring[:])
	clear(r.last)
	r.n = 0
}
