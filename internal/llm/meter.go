package llm

import (
	"context"
	"iter"
	"time"

	"byline/internal/ident"
)

// Entry is one request in the ledger.
type Entry struct {
	Payer    Payer
	Provider string
	Model    string
	Purpose  string
	Usage    Usage
	At       time.Time
}

// Amount is how much was used, or may be.
type Amount struct {
	Tokens   int64   // of question and answer together
	Cost     float64 // of the requests whose price is known
	Requests int64
	Unpriced int64 // requests whose price is not known
}

// Account is whose usage is summed: of what is not empty. Since is the earliest time that counts.
type Account struct {
	Workspace ident.Workspace
	RunID     string
	UserID    string
	Since     time.Time
}

// Ledger keeps what was used. A request is written once it has ended, so that what a crash cuts off is missing.
type Ledger interface {
	// AddUsage writes an entry.
	AddUsage(ctx context.Context, e Entry) error
	// Used sums up an account.
	Used(ctx context.Context, a Account) (Amount, error)
}

// MeterOptions of Meter.
type MeterOptions struct {
	Ledger Ledger
	Prices func() Prices // asked at each request: people edit them
	// Told hears of every request when it has ended: of its entry, its error, and whether the ledger took it. It may be nil.
	Told func(e Entry, took time.Duration, err, unwritten error)
}

// Meter is a model whose requests are written down: tokens as the provider counted them, else counted here, and their price.
// The last delta of an answer has the usage with its cost.
func Meter(m Model, o MeterOptions) Model { return &metered{m, o} }

type metered struct {
	Model
	o MeterOptions
}

// writeTimeout is for the entry of a request whose caller may have gone.
const writeTimeout = 5 * time.Second

func (m *metered) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		began := time.Now()
		info := m.Info()
		var a Answer
		var text, thought []byte
		done := false
		end := func(err error) *Usage {
			if done {
				return a.Usage
			}
			done = true
			a.Text, a.Reasoning = string(text), string(thought)
			if a.Usage == nil && (err == nil || len(text)+len(thought)+len(a.Calls) > 0) { // one that failed without a word is free
				u := Estimate(info.Name, r, a)
				a.Usage = &u
			}
			e := Entry{Payer: PayerOf(ctx), Provider: info.Provider, Model: info.Name, Purpose: r.Purpose, At: began}
			var unwritten error
			if a.Usage != nil {
				u := *a.Usage
				if m.o.Prices != nil {
					u.Cost = m.o.Prices().Cost(info.Provider, info.Name, u)
				}
				e.Usage, a.Usage = u, &u
				write, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
				defer cancel()
				unwritten = m.o.Ledger.AddUsage(write, e)
			}
			if m.o.Told != nil {
				m.o.Told(e, time.Since(began), err, unwritten)
			}
			return a.Usage
		}
		defer func() { end(context.Canceled) }() // the caller has left before the end
		for d, err := range m.Model.Stream(ctx, r) {
			if err != nil {
				end(err)
				yield(Delta{}, err)
				return
			}
			text, thought = append(text, d.Text...), append(thought, d.Reasoning...)
			a.Calls = append(a.Calls, d.Calls...)
			if d.Usage != nil {
				a.Usage = d.Usage
			}
			if d.Finish != "" {
				d.Usage = end(nil)
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// Line is a sum of requests.
type Line struct {
	Month           int    // 202501; 0 for sums of runs
	Provider, Model string // empty for sums of runs
	Requests        int64
	Input           int64
	Cached          int64
	Output          int64
	Cost            float64 // of the requests whose price was known
	Unpriced        int64   // requests whose price was not known
	Estimated       int64   // requests whose tokens were counted here
}

// Plus is the sum of two lines; whose month and model it is is the first one's.
func (l Line) Plus(m Line) Line {
	l.Requests += m.Requests
	l.Input += m.Input
	l.Cached += m.Cached
	l.Output += m.Output
	l.Cost += m.Cost
	l.Unpriced += m.Unpriced
	l.Estimated += m.Estimated
	return l
}

// Books are what people read of the ledger. All is scoped by workspace.
type Books interface {
	// UsageByMonth sums up by month (UTC), provider and model, the newest month first.
	UsageByMonth(ctx context.Context, ws ident.Workspace) ([]Line, error)
	// UsageOfRuns sums up by run; runs that asked no model are missing.
	UsageOfRuns(ctx context.Context, ws ident.Workspace, runIDs []string) (map[string]Line, error)
}
