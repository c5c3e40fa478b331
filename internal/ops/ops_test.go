package ops_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"byline/internal/ops"
)

// A stopping server goes on answering until a load balancer knows that it stops; who only looked at the start is not waited for.
func TestWhoAsksRegularlyNotices(t *testing.T) {
	const most = 5 * time.Second
	for name, tc := range map[string]struct {
		before []time.Duration // between the questions before the end
		after  time.Duration   // between those behind it; 0: none
		want   time.Duration
	}{
		"nobody":           {},
		"a script":         {before: []time.Duration{0, time.Second, time.Second}},
		"a balancer":       {before: []time.Duration{0, 10 * time.Second, 10 * time.Second}, after: time.Second, want: 3 * time.Second},
		"a slow one":       {before: []time.Duration{0, 25 * time.Second}, after: 2 * time.Second, want: most},
		"one that left":    {before: []time.Duration{0, 10 * time.Second, 10 * time.Second, 10 * time.Second, -31 * time.Second}},
		"one that is dead": {before: []time.Duration{0, 20 * time.Second}, want: most},
		"one that is back": {before: []time.Duration{0, 20 * time.Second, 40 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := ops.NewHealth()
				for _, wait := range tc.before {
					time.Sleep(max(wait, -wait))
					if wait >= 0 && !h.Ready(t.Context()) {
						t.Fatal("not ready")
					}
				}
				h.Drain()
				ctx, cancel := context.WithTimeout(t.Context(), most)
				defer cancel()
				var asking sync.WaitGroup
				if tc.after > 0 {
					asking.Go(func() {
						for ctx.Err() == nil {
							time.Sleep(tc.after)
							if h.Ready(ctx) {
								t.Error("ready")
							}
						}
					})
				}
				began := time.Now()
				h.Noticed(ctx)
				if took := time.Since(began); took != tc.want {
					t.Errorf("waited %v, want %v", took, tc.want)
				}
				cancel()
				asking.Wait()
			})
		})
	}
}
