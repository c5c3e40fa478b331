package app

import (
	"context"
	"log/slog"
	"time"

	"byline/internal/config"
	"byline/internal/llm"
	"byline/internal/ops"
	"byline/internal/runs"
	"byline/internal/store"
)

// Models is the catalogue of a configuration with what is around it, as Open makes it, where an Ollama that nobody configured
// is looked for at another address.
type Models struct {
	*llm.Catalog
	Metrics *ops.Metrics
	m       *models
}

// NewModels makes it. Run looks for the Ollama until its context ends.
func NewModels(cfg *config.Config, local string, ledger llm.Ledger, log *slog.Logger) (Models, error) {
	metrics := ops.NewMetrics("test")
	m, err := newModels(cfg, local, ledger, metrics, log)
	if err != nil {
		return Models{}, err
	}
	return Models{m.catalog, metrics, m}, nil
}

// Run is what runs in the background.
func (m Models) Run(ctx context.Context) { m.m.run(ctx) }

// Probe is what status shows.
func (m Models) Probe(ctx context.Context) (string, error) { return m.m.probe(ctx) }

// Close lets go of connections.
func (m Models) Close() { m.m.transport.CloseIdleConnections() }

// Answer lets another one answer in sessions.
func (a *App) Answer(chat func(ctx context.Context, job *runs.Job) (any, error)) { a.chat.Store(&chat) }

// Store lets tests do what the program's own parts do.
func (a *App) Store() *store.Store { return a.store }

// Heartbeat sets how often WebSockets that are opened from now on are asked whether they are there; streams say twice as often that they are.
func (a *App) Heartbeat(every time.Duration) { a.streams.Beat(every) }
