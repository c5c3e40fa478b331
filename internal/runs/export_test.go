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

// Next is Try that waits for events, until ctx ends.
func (c *Cursor) Next(ctx context.Context) ([]*Frame, error) {
	for {
		frames, changed, err := c.Try(ctx)
		if len(frames) > 0 || err != nil {
			return frames, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
