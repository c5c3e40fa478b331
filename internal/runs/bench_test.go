package runs_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"byline/internal/runs"
	"byline/internal/store/storetest"
)

// BenchmarkFanOut writes 20 events a second to runs and reads them through the hub, with the process' CPU time per event and
// reader. The network is not in it; bench/events has it.
func BenchmarkFanOut(b *testing.B) {
	for _, m := range []struct{ runs, readers int }{{20, 100}, {200, 1}} {
		b.Run(fmt.Sprintf("%dx%d", m.runs, m.readers), func(b *testing.B) { fanOut(b, m.runs, m.readers, 60) })
	}
}

func fanOut(b *testing.B, n, readers, events int) {
	s := storetest.New(b)
	h := runs.NewHub(s, s.Bus(), slog.New(slog.DiscardHandler))
	defer h.Close()
	var used time.Duration
	for b.Loop() {
		var all sync.WaitGroup
		var leases []runs.Lease
		for range n {
			begin(b, s)
			_, l, ok, err := s.Claim(b.Context(), "w", []runs.Kind{runs.KindGenerate})
			if err != nil || !ok {
				b.Fatal(ok, err)
			}
			leases = append(leases, l)
			for range readers {
				c, err := h.Follow(b.Context(), l.RunID, 2)
				if err != nil {
					b.Fatal(err)
				}
				all.Go(func() { read(b, c) })
			}
		}
		before := cpu(b)
		var writers sync.WaitGroup
		for i, l := range leases {
			writers.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond / time.Duration(n))
				t := time.NewTicker(50 * time.Millisecond)
				defer t.Stop()
				for i := range events {
					<-t.C
					if _, err := s.Append(b.Context(), l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: 10 * i, Text: "some text "}}); err != nil {
						b.Error(err)
						return
					}
				}
				if err := s.End(b.Context(), l, runs.Ending{Status: runs.Completed}); err != nil {
					b.Error(err)
				}
			})
		}
		writers.Wait()
		all.Wait()
		used += cpu(b) - before
	}
	b.ReportMetric(float64(used.Microseconds())/float64(b.N*n*readers*events), "µs-CPU/event/reader")
}

// read is a reader as the interface has it: it waits with an end, for its pings.
func read(b *testing.B, c *runs.Cursor) {
	defer c.Close()
	for {
		ctx, cancel := context.WithTimeout(b.Context(), 15*time.Second)
		_, err := c.Next(ctx)
		cancel()
		if err != nil {
			return
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
