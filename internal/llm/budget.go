package llm

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"
)

// Allowance is how much may be used; what is 0 has no limit.
type Allowance struct {
	Tokens int64
	Cost   float64 // in the currency of the price table; what has no known price does not count
}

// Budgets are the limits of an installation.
type Budgets struct {
	Run       Allowance // of one run; a person may allow it again, see Payer.Grants
	User      Allowance // of one user in a calendar month (UTC)
	Workspace Allowance // of one workspace in a month
	Month     Allowance // of everybody together in a month
	Currency  string    // for words only
}

// Overdrawn is the cause of budget_exceeded: errors.AsType finds it.
type Overdrawn struct {
	Budget  string // run, user, workspace, month
	Used    Amount
	Allowed Allowance
}

func (o *Overdrawn) Error() string {
	return fmt.Sprintf("budget of the %s: %d tokens and %g used, %d and %g allowed", o.Budget, o.Used.Tokens, o.Used.Cost, o.Allowed.Tokens, o.Allowed.Cost)
}

// Purse holds the budgets of all models together: what is being asked for at this moment counts as well, so that requests side
// by side do not overdraw it. It is safe for concurrent use.
type Purse struct {
	ledger Ledger
	limits Budgets

	mu   sync.Mutex
	open map[*Payer]int64 // tokens of questions on the way
}

// NewPurse makes one.
func NewPurse(l Ledger, b Budgets) *Purse {
	return &Purse{ledger: l, limits: b, open: map[*Payer]int64{}}
}

// Budget is a model that is asked only while there is something left. An answer that has begun is not cut off: a budget can be
// overdrawn by one answer for each request on the way.
func (p *Purse) Budget(m Model) Model {
	if p.limits.Run == (Allowance{}) && p.limits.User == (Allowance{}) && p.limits.Workspace == (Allowance{}) && p.limits.Month == (Allowance{}) {
		return m
	}
	return &budgeted{m, p}
}

type budgeted struct {
	Model
	purse *Purse
}

func (m *budgeted) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		give, err := m.purse.take(ctx, int64(rough(r)/4), time.Now())
		if err != nil {
			yield(Delta{}, err)
			return
		}
		defer give()
		for d, err := range m.Model.Stream(ctx, r) {
			if !yield(d, err) {
				return
			}
		}
	}
}

// take sets tokens aside, or says why not.
func (p *Purse) take(ctx context.Context, tokens int64, now time.Time) (give func(), err error) {
	payer := PayerOf(ctx)
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	run := p.limits.Run
	run.Tokens *= int64(1 + payer.Grants)
	run.Cost *= float64(1 + payer.Grants)
	accounts := []struct {
		budget string
		limit  Allowance
		of     Account
		is     bool
	}{
		{"run", run, Account{RunID: payer.RunID}, payer.RunID != ""},
		{"user", p.limits.User, Account{UserID: payer.UserID, Since: month}, payer.UserID != ""},
		{"workspace", p.limits.Workspace, Account{Workspace: payer.Workspace, Since: month}, payer.Workspace != ""},
		{"month", p.limits.Month, Account{Since: month}, true},
	}
	used := make([]Amount, len(accounts))
	for i, a := range accounts {
		if a.is && a.limit != (Allowance{}) {
			if used[i], err = p.ledger.Used(ctx, a.of); err != nil {
				return nil, err
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range accounts {
		if !a.is || a.limit == (Allowance{}) {
			continue
		}
		for other, n := range p.open {
			if a.of.has(*other) {
				used[i].Tokens += n
			}
		}
		if a.limit.Tokens > 0 && used[i].Tokens+tokens > a.limit.Tokens || a.limit.Cost > 0 && used[i].Cost >= a.limit.Cost {
			return nil, Failure(CodeBudget, &Overdrawn{a.budget, used[i], a.limit}, "The budget of %s is used up: %s.",
				map[string]string{"run": "this run", "user": "this user for this month", "workspace": "this workspace for this month", "month": "this installation for this month"}[a.budget],
				p.say(used[i], a.limit))
		}
	}
	p.open[&payer] = tokens
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, &payer)
	}, nil
}

// has tells whether what somebody pays is in the account.
func (a Account) has(p Payer) bool {
	return (a.RunID == "" || a.RunID == p.RunID) && (a.UserID == "" || a.UserID == p.UserID) && (a.Workspace == "" || a.Workspace == p.Workspace)
}

func (p *Purse) say(used Amount, allowed Allowance) string {
	var parts []string
	if allowed.Tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d tokens", used.Tokens, allowed.Tokens))
	}
	if allowed.Cost > 0 {
		parts = append(parts, fmt.Sprintf("%.4f of %.4f %s", used.Cost, allowed.Cost, cmp.Or(p.limits.Currency, "in money")))
	}
	return strings.Join(parts, ", ")
}
