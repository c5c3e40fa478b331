package llm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var request = llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "Write."}}, Purpose: "write"}

// busy is a fault with a time to wait.
func busy(after time.Duration) error {
	f := llm.Failure(llm.CodeRateLimited, nil, "Busy.")
	f.RetryAfter = after
	return f
}

func failed(code string) error { return llm.Failure(code, errors.New("of the test"), "It failed.") }

// turns is a model that gives answers one after the other, the last one again and again.
func turns(list ...llmtest.Turn) *llmtest.Model {
	return &llmtest.Model{About: llm.Info{Provider: "openai", Name: "gpt-4o-mini"}, Script: func(n int, _ llm.Request) llmtest.Turn { return list[min(n, len(list)-1)] }}
}

func TestRetry(t *testing.T) {
	ok := llmtest.Turn{Text: "done"}
	for name, tc := range map[string]struct {
		turns []llmtest.Turn
		text  string
		code  string
		calls int
		least time.Duration // that it takes
		most  time.Duration
	}{
		"at once":                          {[]llmtest.Turn{ok}, "done", "", 1, 0, 0},
		"after a failure":                  {[]llmtest.Turn{{Err: failed(llm.CodeFailed)}, ok}, "done", "", 2, 400 * time.Millisecond, 700 * time.Millisecond},
		"after two":                        {[]llmtest.Turn{{Err: failed(llm.CodeUnreachable)}, {Err: failed(llm.CodeGarbled)}, ok}, "done", "", 3, 1200 * time.Millisecond, 1900 * time.Millisecond},
		"not after three":                  {[]llmtest.Turn{{Err: failed(llm.CodeFailed)}}, "", llm.CodeFailed, 3, time.Second, 2 * time.Second},
		"as long as the provider wants":    {[]llmtest.Turn{{Err: busy(7 * time.Second)}, ok}, "done", "", 2, 5 * time.Second, 9 * time.Second},
		"not when it wants too long":       {[]llmtest.Turn{{Err: busy(time.Hour)}, ok}, "", llm.CodeRateLimited, 1, 0, 0},
		"not after a word":                 {[]llmtest.Turn{{Text: "Half a", Err: failed(llm.CodeCut)}, ok}, "Half a", llm.CodeCut, 1, 0, 0},
		"a stall once more":                {[]llmtest.Turn{{Err: failed(llm.CodeStalled)}, ok}, "done", "", 2, 0, time.Second},
		"not a stall twice":                {[]llmtest.Turn{{Err: failed(llm.CodeStalled)}}, "", llm.CodeStalled, 2, 0, time.Second},
		"not what will be the same again":  {[]llmtest.Turn{{Err: failed(llm.CodeContext)}, ok}, "", llm.CodeContext, 1, 0, 0},
		"not a wrong key":                  {[]llmtest.Turn{{Err: failed(llm.CodeUnauthorized)}, ok}, "", llm.CodeUnauthorized, 1, 0, 0},
		"not a budget that is used up":     {[]llmtest.Turn{{Err: failed(llm.CodeBudget)}, ok}, "", llm.CodeBudget, 1, 0, 0},
		"not what is no fault of a model":  {[]llmtest.Turn{{Err: errors.New("odd")}, ok}, "", "internal", 1, 0, 0},
		"an answer with nothing but calls": {[]llmtest.Turn{{Err: failed(llm.CodeFailed)}, {Calls: []llm.ToolCall{{ID: "a", Name: "b"}}}}, "", "", 2, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := turns(tc.turns...)
				began := time.Now()
				a, err := llm.Ask(t.Context(), llm.Retry(m, llm.RetryOptions{}), request)
				took := time.Since(began)
				if a.Text != tc.text || llm.CodeOf(err) != tc.code || len(m.Asked()) != tc.calls {
					t.Errorf("%q, %v after %d calls", a.Text, err, len(m.Asked()))
				}
				if took < tc.least || took > tc.most {
					t.Errorf("took %v, want %v to %v", took, tc.least, tc.most)
				}
			})
		})
	}
}

// Waiting for another try ends with the context, and leaving the loop is no reason for one.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m := turns(llmtest.Turn{Err: busy(20 * time.Second)})
		began := time.Now()
		if _, err := llm.Ask(ctx, llm.Retry(m, llm.RetryOptions{}), request); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		m = turns(llmtest.Turn{Text: "one two"})
		for range llm.Retry(m, llm.RetryOptions{}).Stream(t.Context(), request) {
			break
		}
		if len(m.Asked()) != 1 {
			t.Errorf("asked %d times", len(m.Asked()))
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		m := &llmtest.Model{About: llm.Info{Provider: "openai"}, Script: func(int, llm.Request) llmtest.Turn {
			if down {
				return llmtest.Turn{Err: failed(llm.CodeUnreachable)}
			}
			return llmtest.Turn{Text: "ok"}
		}}
		b := llm.Breaker(m, llm.BreakerOptions{Failures: 2, Pause: 10 * time.Second})
		ask := func() (llm.Answer, error) { return llm.Ask(t.Context(), b, request) }
		for range 2 {
			if _, err := ask(); llm.CodeOf(err) != llm.CodeUnreachable {
				t.Errorf("%v", err)
			}
		}
		left, open := b.Open()
		if !open || left != 10*time.Second {
			t.Errorf("open %t for %v", open, left)
		}
		_, err := ask()
		if f := fault.Of(err); f.Code != llm.CodeUnreachable || f.RetryAfter != 10*time.Second || len(m.Asked()) != 2 {
			t.Errorf("%+v after %d calls", f, len(m.Asked()))
		}
		time.Sleep(10 * time.Second)
		if _, err := ask(); err == nil || len(m.Asked()) != 3 { // one tries, in vain
			t.Errorf("%v after %d calls", err, len(m.Asked()))
		}
		if _, open := b.Open(); !open {
			t.Error("it is asked again although it failed again")
		}
		time.Sleep(10 * time.Second)
		down = false
		if a, err := ask(); err != nil || a.Text != "ok" {
			t.Errorf("%v", err)
		}
		if _, open := b.Open(); open {
			t.Error("it is left alone although it answers")
		}
	})
}

// What says nothing about the model's health does not count; a caller that leaves gives the one try back.
func TestBreakerCountsFailuresOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := llmtest.Turn{Err: failed(llm.CodeContext)}
		m := &llmtest.Model{Script: func(int, llm.Request) llmtest.Turn { return turn }}
		b := llm.Breaker(m, llm.BreakerOptions{Failures: 1, Pause: time.Second})
		for _, err := range []error{failed(llm.CodeContext), failed(llm.CodeUnauthorized), busy(time.Second)} {
			turn.Err = err
			_, _ = llm.Ask(t.Context(), b, request)
		}
		if _, open := b.Open(); open {
			t.Error("a long question opened the breaker")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		turn = llmtest.Turn{Text: "one two"}
		_, _ = llm.Ask(gone, b, request)
		if _, open := b.Open(); open {
			t.Error("a caller that has gone opened the breaker")
		}
		turn = llmtest.Turn{Err: failed(llm.CodeFailed)}
		_, _ = llm.Ask(t.Context(), b, request)
		time.Sleep(time.Second)
		turn = llmtest.Turn{Text: "one two"}
		for range b.Stream(t.Context(), request) {
			break // in the one try
		}
		time.Sleep(time.Second)
		if a, err := llm.Ask(t.Context(), b, request); err != nil || a.Text != "one two" {
			t.Errorf("the permit is lost: %v", err)
		}
	})
}

func TestFallback(t *testing.T) {
	second := llmtest.Turn{Text: "second"}
	for name, tc := range map[string]struct {
		first llmtest.Turn
		text  string
		code  string
	}{
		"the first answers":            {llmtest.Turn{Text: "first"}, "first", ""},
		"the first is down":            {llmtest.Turn{Err: failed(llm.CodeUnreachable)}, "second", ""},
		"the first has no such model":  {llmtest.Turn{Err: failed(llm.CodeMissing)}, "second", ""},
		"the first cannot hold it":     {llmtest.Turn{Err: failed(llm.CodeContext)}, "second", ""},
		"the first breaks off":         {llmtest.Turn{Text: "Half", Err: failed(llm.CodeCut)}, "Half", llm.CodeCut},
		"the first does not want to":   {llmtest.Turn{Err: failed(llm.CodeRefused)}, "", llm.CodeRefused},
		"nobody may":                   {llmtest.Turn{Err: failed(llm.CodeBudget)}, "", llm.CodeBudget},
		"the caller does not wait":     {llmtest.Turn{Err: context.Canceled}, "", "cancelled"},
		"the first asks for its tools": {llmtest.Turn{Calls: []llm.ToolCall{{ID: "a"}}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := turns(tc.first), turns(second)
			two.About.Name = "other"
			m := llm.Fallback(one, two)
			a, err := llm.Ask(t.Context(), m, request)
			if a.Text != tc.text || llm.CodeOf(err) != tc.code || m.Info().Name != "gpt-4o-mini" {
				t.Errorf("%q, %v", a.Text, err)
			}
			for d := range m.Stream(t.Context(), request) { // leaving is no failure
				if d.Text != "" {
					break
				}
			}
		})
	}
	all := llm.Fallback(turns(llmtest.Turn{Err: failed(llm.CodeFailed)}), turns(llmtest.Turn{Err: failed(llm.CodeUnreachable)}))
	if _, err := llm.Ask(t.Context(), all, request); llm.CodeOf(err) != llm.CodeUnreachable {
		t.Errorf("the last one's error is told: %v", err)
	}
}

var prices = llm.Prices{Currency: "USD", Models: map[string]llm.Price{
	"gpt-4o-mini": {Input: .15, Cached: .075, Output: .6}, "openai/dear": {Input: 10, Cached: -1, Output: 20}, "ollama/*": {},
}}

func TestPrices(t *testing.T) {
	u := llm.Usage{Input: 1_000_000, Cached: 400_000, Output: 100_000}
	for name, want := range map[string]string{
		"openai gpt-4o-mini":            "0.18",
		"openai GPT-4o-mini-2024-07-18": "0.18",
		"openai dear":                   "12",
		"openai dear-20250101":          "12",
		"other dear":                    "unknown",
		"ollama llama3.2":               "0",
		"openai gpt-4o":                 "unknown",
	} {
		provider, model, _ := strings.Cut(name, " ")
		got := "unknown"
		if c := prices.Cost(provider, model, u); c != nil {
			got = fmt.Sprintf("%.4g", *c)
		}
		if got != want {
			t.Errorf("%s costs %s, want %s", name, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	s := storetest.New(t)
	var told []string
	meter := func(m llm.Model) llm.Model {
		return llm.Meter(m, llm.MeterOptions{Ledger: s, Prices: func() llm.Prices { return prices }, Told: func(e llm.Entry, _ time.Duration, err, unwritten error) {
			told = append(told, fmt.Sprint(e.Purpose, " ", e.Usage.Output, " ", llm.CodeOf(err), " ", unwritten))
		}})
	}
	ctx := llm.WithPayer(t.Context(), llm.Payer{Workspace: "w", RunID: "r", UserID: "u"})
	used := func() llm.Amount {
		t.Helper()
		a, err := s.Used(t.Context(), llm.Account{Workspace: "w", RunID: "r", UserID: "u"})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	counted := turns(llmtest.Turn{Text: "one two", Usage: &llm.Usage{Input: 1000, Cached: 500, Output: 100}})
	a, err := llm.Ask(ctx, meter(counted), request)
	if err != nil || a.Usage == nil || a.Usage.Cost == nil || a.Usage.Estimated {
		t.Fatalf("%+v, %v", a.Usage, err)
	}
	if diff := cmp.Diff(llm.Amount{Tokens: 1100, Cost: *a.Usage.Cost, Requests: 1}, used()); diff != "" {
		t.Error(diff)
	}
	uncounted := turns(llmtest.Turn{Text: "one two three", Calls: []llm.ToolCall{{ID: "a", Name: "find", Arguments: []byte(`{"q":"x"}`)}}})
	uncounted.About.Name = "odd"
	a, err = llm.Ask(ctx, meter(uncounted), request)
	if err != nil || a.Usage == nil || !a.Usage.Estimated || a.Usage.Output < 8 || a.Usage.Input < 5 || a.Usage.Cost != nil {
		t.Errorf("%+v, %v", a.Usage, err)
	}
	if got := used(); got.Requests != 2 || got.Unpriced != 1 {
		t.Errorf("%+v", got)
	}
	// An answer that breaks off has used what came of it; one that never began, nothing.
	_, _ = llm.Ask(ctx, meter(turns(llmtest.Turn{Text: "Half a", Err: failed(llm.CodeCut)})), request)
	_, _ = llm.Ask(ctx, meter(turns(llmtest.Turn{Err: failed(llm.CodeFailed)})), request)
	for range meter(turns(llmtest.Turn{Text: "one two"})).Stream(ctx, request) {
		break
	}
	gone, cancel := context.WithCancel(ctx)
	defer cancel()
	for range meter(turns(llmtest.Turn{Text: "one two"})).Stream(gone, request) {
		cancel() // what was used is written all the same
	}
	if got := used(); got.Requests != 5 {
		t.Errorf("%+v", got)
	}
	want := []string{"write 100  <nil>", fmt.Sprintf("write %d  <nil>", a.Usage.Output), "write 2 llm_cut <nil>", "write 0 llm_failed <nil>", "write 2 cancelled <nil>", "write 2 cancelled <nil>"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestBudgets(t *testing.T) {
	price := func(c float64) *float64 { return &c }
	month := time.Now().UTC()
	before := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC).Add(-time.Second)
	for name, tc := range map[string]struct {
		limits llm.Budgets
		payer  llm.Payer
		entry  llm.Entry
		budget string // that is used up
	}{
		"no limits":                {payer: llm.Payer{RunID: "r"}, entry: llm.Entry{Usage: llm.Usage{Input: 1 << 30}}},
		"a run":                    {limits: llm.Budgets{Run: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{RunID: "r"}, entry: llm.Entry{Payer: llm.Payer{RunID: "r"}, Usage: llm.Usage{Input: 600, Output: 400}}, budget: "run"},
		"another run":              {limits: llm.Budgets{Run: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{RunID: "q"}, entry: llm.Entry{Payer: llm.Payer{RunID: "r"}, Usage: llm.Usage{Input: 1000}}},
		"a run that was granted":   {limits: llm.Budgets{Run: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{RunID: "r", Grants: 1}, entry: llm.Entry{Payer: llm.Payer{RunID: "r"}, Usage: llm.Usage{Input: 1000}}},
		"outside of a run":         {limits: llm.Budgets{Run: llm.Allowance{Tokens: 1}}, entry: llm.Entry{Usage: llm.Usage{Input: 1000}}},
		"a run in money":           {limits: llm.Budgets{Run: llm.Allowance{Cost: .5}, Currency: "USD"}, payer: llm.Payer{RunID: "r"}, entry: llm.Entry{Payer: llm.Payer{RunID: "r"}, Usage: llm.Usage{Cost: price(.5)}}, budget: "run"},
		"a user":                   {limits: llm.Budgets{User: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{UserID: "u"}, entry: llm.Entry{Payer: llm.Payer{UserID: "u"}, Usage: llm.Usage{Input: 1000}}, budget: "user"},
		"a user's month before":    {limits: llm.Budgets{User: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{UserID: "u"}, entry: llm.Entry{Payer: llm.Payer{UserID: "u"}, Usage: llm.Usage{Input: 1000}, At: before}},
		"a workspace":              {limits: llm.Budgets{Workspace: llm.Allowance{Tokens: 1000}}, payer: llm.Payer{Workspace: "w"}, entry: llm.Entry{Payer: llm.Payer{Workspace: "w"}, Usage: llm.Usage{Output: 1000}}, budget: "workspace"},
		"everybody":                {limits: llm.Budgets{Month: llm.Allowance{Tokens: 1000}}, entry: llm.Entry{Payer: llm.Payer{Workspace: "other"}, Usage: llm.Usage{Output: 1000}}, budget: "month"},
		"what would be too much":   {limits: llm.Budgets{Month: llm.Allowance{Tokens: 1000}}, entry: llm.Entry{Usage: llm.Usage{Output: 999}}, budget: "month"},
		"a month without a price":  {limits: llm.Budgets{Month: llm.Allowance{Cost: .01}}, entry: llm.Entry{Usage: llm.Usage{Output: 1e9}}},
		"tokens left but no money": {limits: llm.Budgets{Month: llm.Allowance{Tokens: 1e6, Cost: 1}}, entry: llm.Entry{Usage: llm.Usage{Output: 1, Cost: price(2)}}, budget: "month"},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.New(t)
			if tc.entry.At.IsZero() {
				tc.entry.At = time.Now()
			}
			if err := s.AddUsage(t.Context(), tc.entry); err != nil {
				t.Fatal(err)
			}
			m := turns(llmtest.Turn{Text: "ok"})
			_, err := llm.Ask(llm.WithPayer(t.Context(), tc.payer), llm.NewPurse(s, tc.limits).Budget(m), request)
			if tc.budget == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			over, ok := errors.AsType[*llm.Overdrawn](err)
			if f := fault.Of(err); !ok || over.Budget != tc.budget || f.Code != llm.CodeBudget || f.Kind != fault.Limited || !strings.Contains(f.Say, " of ") || len(m.Asked()) != 0 {
				t.Errorf("%v", err)
			}
		})
	}
}

// Requests side by side do not overdraw a budget together: what is being asked for counts.
func TestBudgetOfRequestsSideBySide(t *testing.T) {
	s := storetest.New(t)
	purse := llm.NewPurse(s, llm.Budgets{Run: llm.Allowance{Tokens: 250}})
	ctx := llm.WithPayer(t.Context(), llm.Payer{RunID: "r"})
	long := llm.Request{Messages: []llm.Message{{Role: llm.User, Content: strings.Repeat("word ", 80)}}} // a hundred tokens
	inner := 0
	m := purse.Budget(&llmtest.Model{Script: func(int, llm.Request) llmtest.Turn { return llmtest.Turn{Text: "one two"} }})
	first := true
	for range m.Stream(ctx, long) {
		if !first {
			continue
		}
		first = false
		for d, err := range m.Stream(ctx, long) { // 200 are open
			if d.Text == "" {
				continue
			}
			inner++
			if _, err := llm.Ask(ctx, m, long); llm.CodeOf(err) != llm.CodeBudget {
				t.Errorf("a third one: %v", err)
			}
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
	if inner != 1 {
		t.Error("the second one was not asked")
	}
	if _, err := llm.Ask(ctx, m, long); err != nil { // all are done
		t.Errorf("%v", err)
	}
	// Without its ledger nothing is spent.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := llm.Ask(gone, m, long); err == nil {
		t.Error("asked without knowing what is left")
	}
}
