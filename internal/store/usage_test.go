package store_test

import (
	"testing"
	"time"

	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// What was used is summed by run, user, workspace and month; what has no price is counted apart, and nobody sees another's.
func TestUsageIsSummed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := newLibrary(t, s)
		price := func(c float64) *float64 { return &c }
		january := time.Date(2025, 1, 31, 23, 59, 59, 0, time.UTC)
		february := time.Date(2025, 2, 1, 1, 0, 0, 0, time.FixedZone("east", 3600)) // 00:00 UTC
		runA, runB, ann, bob := ident.New(), ident.New(), ident.New(), ident.New()
		for _, e := range []llm.Entry{
			{Payer: llm.Payer{Workspace: l.mine, RunID: runA, UserID: ann}, Provider: "openai", Model: "gpt", Purpose: "plan", Usage: llm.Usage{Input: 100, Cached: 60, Output: 10, Cost: price(.5)}, At: january},
			{Payer: llm.Payer{Workspace: l.mine, RunID: runA, UserID: ann}, Provider: "openai", Model: "gpt", Purpose: "write", Usage: llm.Usage{Input: 200, Output: 20, Cost: price(.25)}, At: february},
			{Payer: llm.Payer{Workspace: l.mine, RunID: runB, UserID: ann}, Provider: "ollama", Model: "llama", Usage: llm.Usage{Input: 7, Output: 3, Estimated: true}, At: february},
			{Payer: llm.Payer{Workspace: l.foreign, RunID: "", UserID: bob}, Provider: "openai", Model: "gpt", Usage: llm.Usage{Input: 1000, Output: 1, Cost: price(0)}, At: february},
		} {
			l.ok(s.AddUsage(l.ctx, e))
		}
		start := time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)
		for _, row := range []struct {
			what string
			of   llm.Account
			want llm.Amount
		}{
			{"a run", llm.Account{RunID: runA}, llm.Amount{Tokens: 330, Cost: .75, Requests: 2}},
			{"a run without prices", llm.Account{RunID: runB}, llm.Amount{Tokens: 10, Requests: 1, Unpriced: 1}},
			{"a user's month", llm.Account{UserID: ann, Since: start}, llm.Amount{Tokens: 230, Cost: .25, Requests: 2, Unpriced: 1}},
			{"a workspace", llm.Account{Workspace: l.foreign}, llm.Amount{Tokens: 1001, Requests: 1}},
			{"everybody's month", llm.Account{Since: start}, llm.Amount{Tokens: 1231, Cost: .25, Requests: 3, Unpriced: 1}},
			{"nothing", llm.Account{RunID: ident.New()}, llm.Amount{}},
		} {
			got, err := s.Used(l.ctx, row.of)
			l.ok(err)
			same(l, row.what, got, row.want)
		}
		months, err := s.UsageByMonth(l.ctx, l.mine)
		l.ok(err)
		same(l, "months", months, []llm.Line{
			{Month: 202502, Provider: "ollama", Model: "llama", Requests: 1, Input: 7, Output: 3, Unpriced: 1, Estimated: 1},
			{Month: 202502, Provider: "openai", Model: "gpt", Requests: 1, Input: 200, Output: 20, Cost: .25},
			{Month: 202501, Provider: "openai", Model: "gpt", Requests: 1, Input: 100, Cached: 60, Output: 10, Cost: .5},
		})
		of, err := s.UsageOfRuns(l.ctx, l.mine, []string{runA, runB, ident.New()})
		l.ok(err)
		same(l, "runs", of, map[string]llm.Line{
			runA: {Requests: 2, Input: 300, Cached: 60, Output: 30, Cost: .75},
			runB: {Requests: 1, Input: 7, Output: 3, Unpriced: 1, Estimated: 1},
		})
		foreign, err := s.UsageOfRuns(l.ctx, l.foreign, []string{runA, runB})
		l.ok(err)
		same(l, "another's runs", foreign, map[string]llm.Line{})
	})
}
