package runs_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/runs"
)

func TestTokensAreJoinedInWindowsOf40ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{})
		w := d.worker(func(ctx context.Context, j *runs.Job) (any, error) {
			for i := range 20 {
				if err := j.Token(ctx, "draft", "a", i, "x"); err != nil {
					return nil, err
				}
				time.Sleep(5 * time.Millisecond)
			}
			return nil, j.Emit(ctx, runs.NewEvent{Type: runs.EventNotice})
		})
		time.Sleep(time.Second)
		stop(w)
		if got, want := strings.Join(d.appended, ", "), "0 token, 40 token, 80 token, 100 token, 100 notice"; got != want {
			t.Errorf("appended %s, want %s", got, want)
		}
	})
}

// Words that wait in a connection are taken once a window, shortly before its end, so that they are in it. The first ones, and those
// behind a silence, are not waited for.
func TestWaitingWordsAreTakenOnceAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{})
		began, said := time.Now(), 0
		var looks []string
		w := d.worker(func(ctx context.Context, j *runs.Job) (any, error) {
			look := func(words int) error {
				j.Rest()
				looks = append(looks, strconv.FormatInt(time.Since(began).Milliseconds(), 10))
				for range words {
					if err := j.Token(ctx, "draft", "a", said, "x"); err != nil {
						return err
					}
					said++
				}
				return nil
			}
			for _, words := range []int{1, 2, 1, 0, 0} {
				if err := look(words); err != nil {
					return nil, err
				}
			}
			time.Sleep(time.Until(began.Add(500 * time.Millisecond)))
			if err := look(1); err != nil {
				return nil, err
			}
			return nil, nil
		})
		time.Sleep(time.Second)
		stop(w)
		if got, want := strings.Join(looks, " "), "0 35 75 115 115 500"; got != want {
			t.Errorf("looked after %s ms, want %s", got, want)
		}
		if got, want := strings.Join(d.appended, ", "), "0 token, 40 token, 80 token, 500 token"; got != want {
			t.Errorf("appended %s, want %s", got, want)
		}
	})
}

// noted is a desk that keeps whose tokens were written, in order.
type noted struct {
	*desk
	order []string
}

func (n *noted) Append(ctx context.Context, l runs.Lease, events ...runs.NewEvent) (int64, error) {
	n.order = append(n.order, l.RunID)
	return n.desk.Append(ctx, l, events...)
}

func (n *noted) AppendAll(list []runs.Joined, done func(int, error)) {
	for i, x := range list {
		_, err := n.Append(x.Ctx, x.Lease, runs.NewEvent{Type: runs.EventToken, Data: x.Token})
		done(i, err)
	}
}

// A run whose log is being written as its window ends keeps no other's tokens waiting, and has its own written behind that.
func TestWindowEndsInTheMidstOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &noted{desk: newDesk()}
		n.fences = map[string]int64{"busy": 1, "idle": 1}
		runs.EndBusyWindow(n, runs.Lease{RunID: "busy", Fence: 1}, runs.Lease{RunID: "idle", Fence: 1})
		synctest.Wait()
		time.Sleep(2 * time.Hour) // the timer finds that nothing is left
		if diff := cmp.Diff([]string{"idle", "busy"}, n.order); diff != "" {
			t.Error(diff)
		}
	})
}

// Behind a token that could not be written nothing is written: offsets would not fit.
func TestNothingFollowsALostToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(runs.Run{})
		w := d.worker(func(ctx context.Context, j *runs.Job) (any, error) {
			if err := j.Token(ctx, "draft", "a", 0, "x"); err != nil {
				return nil, err
			}
			if err := j.Token(ctx, "draft", "a", 1, "y"); err != nil {
				return nil, err
			}
			d.see(func() { d.append = func() error { return errDown } })
			time.Sleep(50 * time.Millisecond)
			d.see(func() { d.append = nil })
			for range 2 {
				if err := j.Token(ctx, "draft", "a", 2, "z"); !errors.Is(err, errDown) {
					t.Errorf("token: %v", err)
				}
				if err := j.Emit(ctx, runs.NewEvent{Type: runs.EventNotice}); !errors.Is(err, errDown) {
					t.Errorf("emit: %v", err)
				}
			}
			return nil, j.Flush(ctx)
		})
		time.Sleep(500 * time.Millisecond)
		stop(w)
		if got := strings.Join(d.appended, ", "); got != "0 token" {
			t.Errorf("appended %s", got)
		}
	})
}
