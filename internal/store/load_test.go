package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/store/storetest"
)

// BenchmarkEventsBesideIngest appends rows of 200 runs, 20 a second each, while a long document's batches and a merge's
// segments are written in the bulk lane, as fast as they can be. It gives percentiles of the time until an event is kept;
// one operation is a second of it.
func BenchmarkEventsBesideIngest(b *testing.B) {
	const writers, rate = 200, 20
	l := newLibrary(b, storetest.New(b))
	leases := make([]runs.Lease, writers)
	for i := range leases {
		_, _, err := l.Drafts().Add(l.ctx, draft.Draft{ID: ident.New(), Workspace: l.mine}, draft.Wish{}, nil)
		l.ok(err)
		_, leases[i] = l.claim()
	}
	l.upload(l.mine, "long.md", "long")
	stop := make(chan struct{})
	var bulk sync.WaitGroup
	long := l.job("long")
	bulk.Go(func() {
		until(stop, func(n int) error { return long.Put(l.ctx, long.lease, long.work.Generation, batch(n)) })
	})
	merge, data := ident.New(), make([]byte, 192<<10)
	bulk.Go(func() { until(stop, func(n int) error { return l.PutSegmentSlice(l.ctx, l.mine, merge, n%50, data) }) })

	took := make([][]time.Duration, writers)
	b.ResetTimer()
	var all sync.WaitGroup
	for i, lease := range leases {
		all.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / rate / writers) // spread over the period
			t := time.NewTicker(time.Second / rate)
			defer t.Stop()
			for n := range b.N * rate {
				<-t.C
				began := time.Now()
				if _, err := l.Append(l.ctx, lease, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "s1", Offset: 6 * n, Text: " token"}}); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	close(stop)
	bulk.Wait()
	each := slices.Sorted(slices.Values(slices.Concat(took...)))
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(each[len(each)*p/100].Microseconds())/1000, fmt.Sprintf("ms-p%d", p))
	}
	b.ReportMetric(float64(each[len(each)-1].Microseconds())/1000, "ms-max")
}

func until(stop <-chan struct{}, do func(n int) error) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
			if do(n) != nil {
				return
			}
		}
	}
}

// batch is what some fifty pages of a PDF give.
func batch(n int) ingest.Batch {
	text := strings.Repeat("Some words of a page that somebody wrote. ", 70)
	b := ingest.Batch{Slices: []ingest.Slice{{Kind: ingest.SliceText, Ord: n, Start: n * 150_000, Data: []byte(strings.Repeat(text, 40))}}}
	for i := range 40 {
		start := n*150_000 + i*len(text)
		p := extract.Page{Number: 40*n + i, Start: start, End: start + len(text), Width: 612, Height: 842}
		b.Pages = append(b.Pages, p)
		b.Passages = append(b.Passages, document.Passage{ID: ident.New(), Ord: 40*n + i, Text: text[:1500], Start: start, End: start + 1500, Hash: sum(fmt.Sprint(n, i)), Language: "en"})
	}
	return b
}
