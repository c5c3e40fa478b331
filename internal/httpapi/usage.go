package httpapi

import (
	"context"
	"fmt"

	"byline/internal/llm"
	"byline/internal/runs"
)

// usageShape is a sum of requests to models.
type usageShape struct {
	Requests     int64    `json:"requests"`
	InputTokens  int64    `json:"input_tokens"`
	CachedTokens int64    `json:"cached_tokens" doc:"Of the input: what the provider had already read"`
	OutputTokens int64    `json:"output_tokens"`
	Estimated    int64    `json:"estimated" doc:"Requests whose tokens were counted here, because the provider told nothing"`
	Cost         *float64 `json:"cost,omitempty" doc:"Of the requests whose price is known; missing when none is"`
	Currency     string   `json:"currency,omitempty"`
	Unpriced     int64    `json:"unpriced" doc:"Requests whose price is not known"`
}

func (s *server) toUsage(l llm.Line) usageShape {
	out := usageShape{Requests: l.Requests, InputTokens: l.Input, CachedTokens: l.Cached, OutputTokens: l.Output, Estimated: l.Estimated, Unpriced: l.Unpriced}
	if l.Unpriced < l.Requests {
		out.Cost, out.Currency = &l.Cost, s.Currency()
	}
	return out
}

type monthShape struct {
	Month    string `json:"month" doc:"Such as 2025-01, in UTC"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	usageShape
}

type usageOut struct {
	Body struct {
		Usage []monthShape `json:"usage" doc:"By month, provider and model, the newest month first"`
		Total int          `json:"total"`
		Next  *string      `json:"next" nullable:"true"`
	}
}

// listUsage tells what the caller's workspace has used of models.
func (s *server) listUsage(ctx context.Context, _ *struct{}) (*usageOut, error) {
	lines, err := s.Books.UsageByMonth(ctx, workspaceOf(ctx))
	if err != nil {
		return nil, err
	}
	out := &usageOut{}
	out.Body.Usage, out.Body.Total = []monthShape{}, len(lines)
	for _, l := range lines {
		out.Body.Usage = append(out.Body.Usage, monthShape{fmt.Sprintf("%04d-%02d", l.Month/100, l.Month%100), l.Provider, l.Model, s.toUsage(l)})
	}
	return out, nil
}

// withUsage adds what models were used to runs.
func (s *server) withUsage(ctx context.Context, list ...runs.Run) ([]runShape, error) {
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
	}
	used, err := s.Books.UsageOfRuns(ctx, workspaceOf(ctx), ids)
	if err != nil {
		return nil, err
	}
	out := make([]runShape, len(list))
	for i, r := range list {
		out[i] = toRun(r)
		if l, ok := used[r.ID]; ok {
			u := s.toUsage(l)
			out[i].Usage = &u
		}
	}
	return out, nil
}
