package runs

import (
	"context"
	"time"
)

// EndBusyWindow ends the window of a job whose log is being written, together with that of one where nothing happens.
func EndBusyWindow(q Queue, busy, idle Lease) {
	b := newBeats(q)
	end := time.Now().Add(time.Hour)
	var jobs []*Job
	for _, l := range []Lease{busy, idle} {
		j := &Job{lease: l, queue: q, beats: b, ctx: context.Background(), pending: &Token{Text: l.RunID}}
		b.at(end, j)
		jobs = append(jobs, j)
	}
	jobs[0].mu.Lock()
	b.end(end.UnixNano())
	jobs[0].mu.Unlock()
}
