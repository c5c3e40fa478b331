package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store/storetest"
)

func BenchmarkList200(b *testing.B) {
	l := newLibrary(b, storetest.New(b))
	for i := range 200 {
		f := l.file(l.mine, fmt.Sprint("file ", i, ".md"), fmt.Sprint(i))
		f.Tags = []string{"a", "b"}
		_, _, err := l.Add(l.ctx, f, false, false, nil)
		l.ok(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		list, _, err := l.Documents(l.ctx, l.mine, document.Filter{Limit: 200})
		if err != nil || len(list) != 200 {
			b.Fatal(err)
		}
	}
}

func BenchmarkUser(b *testing.B) {
	l := newLibrary(b, storetest.New(b))
	us, _ := l.Users(l.ctx)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.User(l.ctx, us[0].ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendBesideBulk is 200 runs that write 20 rows a second each while segments are written as fast as they go. An
// operation is five seconds of that.
func BenchmarkAppendBesideBulk(b *testing.B) {
	const writers, rate, each = 200, 20, 100
	s := storetest.New(b)
	queued(b, s, writers, "")
	var took []time.Duration
	var mu sync.Mutex
	slices256 := 0
	for b.Loop() {
		stop := make(chan struct{})
		var bulk, events sync.WaitGroup
		bulk.Go(func() {
			data := bytes.Repeat([]byte("segment "), 32<<10)
			for segment := ident.New(); ; slices256++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.PutSegmentSlice(b.Context(), ident.Local, segment, slices256, data); err != nil {
					b.Error(err)
					return
				}
			}
		})
		for range writers {
			l := claimed(b, s, "w")
			events.Go(func() {
				time.Sleep(rand.N(time.Second / rate))
				t := time.NewTicker(time.Second / rate)
				defer t.Stop()
				mine := make([]time.Duration, 0, each)
				for i := range each {
					at := <-t.C
					if _, err := s.Append(b.Context(), l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: 9 * i, Text: "some text"}}); err != nil {
						b.Error(err)
						return
					}
					mine = append(mine, time.Since(at))
				}
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
				if err := s.End(b.Context(), l, runs.Ending{Status: runs.Queued}); err != nil {
					b.Error(err)
				}
			})
		}
		events.Wait()
		close(stop)
		bulk.Wait()
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(.5), "ms-p50")
	b.ReportMetric(ms(.99), "ms-p99")
	b.ReportMetric(ms(1), "ms-max")
	b.ReportMetric(float64(slices256)/b.Elapsed().Seconds()/4, "bulk-MB/s")
}

func BenchmarkAppend(b *testing.B) {
	s := storetest.New(b)
	queued(b, s, 1, "")
	l := claimed(b, s, "w")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Append(b.Context(), l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: 9 * i, Text: "some text"}}); err != nil {
			b.Fatal(err)
		}
	}
}
