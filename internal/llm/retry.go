package llm

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// RetryOptions of Retry; zero values choose what is said beside them.
type RetryOptions struct {
	Attempts int           // 3, the first one counted
	First    time.Duration // wait before the second; 500 ms, doubled each time
	Longest  time.Duration // wait; 30 s. A provider that wants to be left alone for longer is not asked again here
}

// Retry is a model that asks again when that may help, as long as no word of the answer has come; waiting as long as the
// provider wants.
func Retry(m Model, o RetryOptions) Model {
	o.Attempts = cmp.Or(o.Attempts, 3)
	o.First = cmp.Or(o.First, 500*time.Millisecond)
	o.Longest = cmp.Or(o.Longest, 30*time.Second)
	return &retrying{m, o}
}

type retrying struct {
	Model
	o RetryOptions
}

// errLeft ends a retry whose caller has left the loop.
var errLeft = errors.New("the caller has left")

func (m *retrying) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		said := false
		stalls := 0
		policy := retrypolicy.NewBuilder[any]().
			WithMaxAttempts(m.o.Attempts).
			WithBackoff(m.o.First, max(m.o.Longest, m.o.First+1)).
			WithJitterFactor(.2).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[any]) time.Duration {
				if wait, _ := Passing(e.LastError()); wait > 0 {
					return wait
				}
				return -1 // as the backoff says
			}).
			HandleIf(func(_ any, err error) bool {
				wait, ok := Passing(err)
				if CodeOf(err) == CodeStalled {
					stalls++ // a person has waited for a minute by now: once more, not twice
				}
				return ok && !said && wait <= m.o.Longest && stalls < 2
			}).
			ReturnLastFailure().
			Build()
		err := failsafe.With[any](policy).WithContext(ctx).Run(func() error {
			for d, err := range m.Model.Stream(ctx, r) {
				if err != nil {
					return err
				}
				said = true
				if !yield(d, nil) {
					return errLeft
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errLeft) {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			yield(Delta{}, err)
		}
	}
}

// BreakerOptions of Breaker; zero values choose what is said beside them.
type BreakerOptions struct {
	Failures int           // in a row, until the model is left alone; 3
	Pause    time.Duration // for which it is left alone, before one request tries again; 30 s
}

// Breaker is a model that is left alone for a while when it failed again and again, so that nobody waits for what will not
// come. What the model is asked in vain for other reasons (a wrong key, a long question) does not count.
func Breaker(m Model, o BreakerOptions) *Breaking {
	o.Failures = cmp.Or(o.Failures, 3)
	o.Pause = cmp.Or(o.Pause, 30*time.Second)
	return &Breaking{m, circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(max(1, o.Failures))).WithDelay(o.Pause).WithSuccessThreshold(1).Build()}
}

// Breaking is what Breaker makes.
type Breaking struct {
	Model
	breaker circuitbreaker.CircuitBreaker[any]
}

// Open tells whether the model is being left alone, and for how long.
func (m *Breaking) Open() (left time.Duration, open bool) {
	left = m.breaker.RemainingDelay()
	return left, m.breaker.IsOpen() && left > 0
}

// Stream asks, unless the model is being left alone.
func (m *Breaking) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		if !m.breaker.TryAcquirePermit() {
			f := Failure(CodeUnreachable, errors.New("circuit breaker is open"), "%s failed several times and is left alone for a moment. Try again later.", m.Info().Provider)
			f.RetryAfter = max(m.breaker.RemainingDelay(), time.Second)
			yield(Delta{}, f)
			return
		}
		judged := false
		judge := func(err error) {
			if judged {
				return
			}
			judged = true
			switch _, passing := Passing(err); {
			case passing && CodeOf(err) != CodeRateLimited:
				m.breaker.RecordFailure()
			case err == nil || !errors.Is(err, errLeft) && !gone(ctx, err):
				m.breaker.RecordSuccess() // it answers, be it with a refusal
			case m.breaker.IsHalfOpen():
				m.breaker.RecordFailure() // nothing is known, and the permit must be given back
			}
		}
		defer func() { judge(errLeft) }() // the caller has gone before the end
		for d, err := range m.Model.Stream(ctx, r) {
			if err != nil {
				judge(err)
				yield(Delta{}, err)
				return
			}
			if d.Finish != "" {
				judge(nil)
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}
