package httpapi

import (
	"context"
	"net/http"
	"time"

	"byline/internal/account"
	"byline/internal/ident"
	"byline/internal/ops"
)

type healthBody struct {
	Status string `json:"status" enum:"ok"`
}

type readyBody struct {
	Status string `json:"status" enum:"ready,not_ready"`
}

type readyOut struct {
	Status int
	Body   readyBody
}

func (s *server) ready(ctx context.Context, _ *struct{}) (*readyOut, error) {
	out := &readyOut{http.StatusOK, readyBody{"ready"}}
	if !s.Health.Ready(ctx) {
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	return out, nil
}

type dependencyShape struct {
	Name      string  `json:"name"`
	Status    string  `json:"status" enum:"ok,degraded,down"`
	Detail    string  `json:"detail,omitempty"`
	LatencyMS float64 `json:"latency_ms"`
}

type statusOut struct {
	Body struct {
		Status       string            `json:"status" enum:"ok,degraded,down"`
		Name         string            `json:"name"`
		Version      string            `json:"version,omitempty"`
		Degraded     []string          `json:"degraded" doc:"Names of dependencies that are not well"`
		Dependencies []dependencyShape `json:"dependencies,omitempty" doc:"For admins"`
	}
}

func (s *server) status(ctx context.Context, _ *struct{}) (*statusOut, error) {
	reports, ready := s.Health.Check(ctx)
	out := &statusOut{}
	b := &out.Body
	b.Status, b.Name, b.Degraded = string(ops.OK), s.Name, []string{}
	admin := userOf(ctx).Role == ident.RoleAdmin && grantOf(ctx).Needs(account.ScopeAdmin) == nil
	if admin {
		b.Version = s.Version
	}
	for _, r := range reports {
		if r.State != ops.OK {
			b.Status = string(ops.Degraded)
			b.Degraded = append(b.Degraded, r.Name)
		}
		if admin {
			b.Dependencies = append(b.Dependencies, dependencyShape{r.Name, string(r.State), r.Detail, float64(r.Latency) / float64(time.Millisecond)})
		}
	}
	if !ready {
		b.Status = string(ops.Down)
	}
	return out, nil
}
