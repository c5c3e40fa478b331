package llm

import (
	"context"
	"slices"
	"sync"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Ref names a model. An empty field means the configured default: the zero Ref is the default model.
type Ref struct {
	Provider string `json:"provider,omitempty"` // openai, ollama
	Name     string `json:"name,omitempty"`     // as the provider calls it
}

// String is "provider/name".
func (r Ref) String() string { return r.Provider + "/" + r.Name }

// Payer is for whom a model is asked: its usage is put down to them, and their budgets hold.
type Payer struct {
	Workspace ident.Workspace
	RunID     string
	UserID    string
}

type payerKey struct{}

// WithPayer says who pays for what is asked with the context.
func WithPayer(ctx context.Context, p Payer) context.Context {
	return context.WithValue(ctx, payerKey{}, p)
}

// PayerOf gives who pays; the zero Payer when nobody was named.
func PayerOf(ctx context.Context) Payer {
	p, _ := ctx.Value(payerKey{}).(Payer)
	return p
}

// Provider is an endpoint with models. Implementations are safe for concurrent use.
type Provider interface {
	Name() string // openai, ollama
	// Open gives a model by its name, without asking whether the provider has it.
	Open(name string) Model
	// Models lists the names of models that can write.
	Models(ctx context.Context) ([]string, error)
}

// Health is how a provider was when it was last asked.
type Health struct {
	Provider string
	Model    string // the default one there
	Detail   string
	Error    error // nil: it answers
}

// Catalog gives out models, each with everything around it that the installation wants: retries, limits, a meter. It is safe
// for concurrent use; what it knows can change while it is used, since providers are found while the server runs.
type Catalog struct {
	wrap func(Model) Model

	mu        sync.RWMutex
	providers []Provider
	usual     Ref           // the default
	fallback  []Ref         // asked in turn when the one that was wanted can't answer
	open      map[Ref]Model // what was given out, so that breakers are shared
}

// NewCatalog makes a catalogue without any model. wrap is put around each model once; nil leaves them bare.
func NewCatalog(wrap func(Model) Model) *Catalog {
	if wrap == nil {
		wrap = func(m Model) Model { return m }
	}
	return &Catalog{wrap: wrap, open: map[Ref]Model{}}
}

// Add makes a provider known; the first one is the default until Use says otherwise.
func (c *Catalog) Add(p Provider) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.providers = append(c.providers, p)
}

// Use sets the default model and those that stand in for it and for every other one, in order.
func (c *Catalog) Use(usual Ref, fallback ...Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usual, c.fallback = usual, fallback
	clear(c.open)
}

// Default gives the default model's name; zero when there is none.
func (c *Catalog) Default() Ref {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, _, err := c.resolve(Ref{})
	if err != nil {
		return Ref{}
	}
	return r
}

// Providers lists the names of those that are known.
func (c *Catalog) Providers() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var names []string
	for _, p := range c.providers {
		names = append(names, p.Name())
	}
	return names
}

// Model gives a model. The zero Ref is the default one; errors.Is(err, ErrOffline) when none is configured. A name that no
// provider has is only found out when it is asked.
func (c *Catalog) Model(_ context.Context, r Ref) (Model, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, _, err := c.resolve(r)
	if err != nil {
		return nil, err
	}
	if m := c.open[r]; m != nil {
		return m, nil
	}
	chain := []Model{c.opened(r)}
	for _, f := range c.fallback {
		f, _, err := c.resolve(f)
		if err == nil && f != r {
			chain = append(chain, c.opened(f))
		}
	}
	m := chain[0]
	if len(chain) > 1 {
		m = Fallback(chain...)
	}
	c.open[r] = m
	return m, nil
}

// opened makes one model with what belongs around it.
func (c *Catalog) opened(r Ref) Model {
	_, p, _ := c.resolve(r)
	return c.wrap(p.Open(r.Name))
}

// resolve fills what a Ref leaves open, and finds its provider.
func (c *Catalog) resolve(r Ref) (Ref, Provider, error) {
	if len(c.providers) == 0 {
		return r, nil, ErrOffline
	}
	if r.Provider == "" {
		r.Provider = c.usual.Provider
	}
	if r.Provider == "" {
		r.Provider = c.providers[0].Name()
	}
	if r.Name == "" && (c.usual.Provider == "" || c.usual.Provider == r.Provider) {
		r.Name = c.usual.Name
	}
	i := slices.IndexFunc(c.providers, func(p Provider) bool { return p.Name() == r.Provider })
	if i < 0 {
		return r, nil, fault.New(fault.Invalid, "llm_provider_unknown", "There is no provider %q here. Configured: %v.", r.Provider, names(c.providers))
	}
	if r.Name == "" {
		return r, nil, fault.New(fault.Invalid, CodeMissing, "No model of %s was named. Set DEFAULT_LLM_MODEL.", r.Provider)
	}
	return r, c.providers[i], nil
}

func names(list []Provider) (n []string) {
	for _, p := range list {
		n = append(n, p.Name())
	}
	return n
}
