package llm

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	Grants    int // how often a person has allowed the run's budget again
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
	// Models lists the names of models that can write. Errors are faults as a Model's.
	Models(ctx context.Context) ([]string, error)
}

// Catalog gives out models, each with everything around it that the installation wants: retries, limits, a meter. It is safe
// for concurrent use; what it knows can change while it is used, since a provider may be found while the server runs.
type Catalog struct {
	wrap func(Model) Model

	mu        sync.RWMutex
	providers []Provider
	usual     Ref
	fallback  []Ref
	open      map[Ref]Model     // each with its wrapping, so that its breaker is shared
	found     map[string]string // provider -> the model that is taken when none is named
	await     <-chan struct{}
}

// NewCatalog makes a catalogue without any model. wrap is put around each model once; nil leaves them bare.
func NewCatalog(wrap func(Model) Model) *Catalog {
	if wrap == nil {
		wrap = func(m Model) Model { return m }
	}
	return &Catalog{wrap: wrap, open: map[Ref]Model{}, found: map[string]string{}}
}

// Add makes a provider known. The first one is the default until Use says otherwise.
func (c *Catalog) Add(p Provider) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.providers = append(c.providers, p)
}

// Use sets the default model, and those that stand in for it and for every other one, in order. A Ref without a name is the
// first model that its provider lists.
func (c *Catalog) Use(usual Ref, fallback ...Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usual, c.fallback = usual, fallback
}

// Await lets Model wait until a channel is closed: providers are still being looked for, which must not take long.
func (c *Catalog) Await(looked <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await = looked
}

// Configured tells whether there is any provider.
func (c *Catalog) Configured() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.providers) > 0
}

// Providers lists those that are known.
func (c *Catalog) Providers() []Provider {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.providers)
}

// Default gives the name of the default model, as far as it is known without asking; ErrOffline without any.
func (c *Catalog) Default() (Ref, error) {
	r, p, err := c.lookup(Ref{})
	if err == nil && r.Name == "" {
		c.mu.RLock()
		defer c.mu.RUnlock()
		r.Name = c.found[p.Name()]
	}
	return r, err
}

// Model gives a model, with its stand-ins behind it. errors.Is(err, ErrOffline) when nothing is configured. It asks a provider
// only where no name was given or configured, once; whether a provider has a model is found out when that is asked.
func (c *Catalog) Model(ctx context.Context, r Ref) (Model, error) {
	c.mu.RLock()
	await := c.await
	c.mu.RUnlock()
	if await != nil {
		select {
		case <-await:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	first, name, err := c.single(ctx, r)
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	fallback := c.fallback
	c.mu.RUnlock()
	models, seen := []Model{first}, []Ref{name}
	for _, f := range fallback {
		m, name, err := c.single(ctx, f)
		if err == nil && !slices.Contains(seen, name) { // one that can't be had now must not keep the first from working
			models, seen = append(models, m), append(seen, name)
		}
	}
	if len(models) == 1 {
		return first, nil
	}
	return Fallback(models...), nil
}

// single gives one model with its wrapping, and its whole name.
func (c *Catalog) single(ctx context.Context, r Ref) (Model, Ref, error) {
	r, p, err := c.lookup(r)
	if err != nil {
		return nil, r, err
	}
	if r.Name == "" {
		if r.Name, err = c.usualOf(ctx, p); err != nil {
			return nil, r, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.open[r]
	if m == nil {
		const most = 500 // names come from people
		if len(c.open) >= most {
			clear(c.open)
		}
		m = c.wrap(p.Open(r.Name))
		c.open[r] = m
	}
	return m, r, nil
}

// usualOf gives the model that is taken of a provider when none is named: the first that it lists.
func (c *Catalog) usualOf(ctx context.Context, p Provider) (string, error) {
	c.mu.RLock()
	name := c.found[p.Name()]
	c.mu.RUnlock()
	if name != "" {
		return name, nil
	}
	list, err := p.Models(ctx)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", Failure(CodeMissing, fmt.Errorf("%s lists no model", p.Name()), "%s has no model that writes. Fetch one (such as: ollama pull llama3.2), or set DEFAULT_LLM_MODEL.", p.Name())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[p.Name()] = list[0]
	return list[0], nil
}

// lookup fills what a Ref leaves open and is known, and finds its provider.
func (c *Catalog) lookup(r Ref) (Ref, Provider, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.providers) == 0 {
		return r, nil, ErrOffline
	}
	usual := c.usual
	if usual.Provider == "" {
		usual.Provider = c.providers[0].Name()
	}
	if r.Provider == "" {
		r.Provider = usual.Provider
	}
	if r.Name == "" && r.Provider == usual.Provider {
		r.Name = usual.Name
	}
	var names []string
	for _, p := range c.providers {
		if p.Name() == r.Provider {
			return r, p, nil
		}
		names = append(names, p.Name())
	}
	return r, nil, fault.New(fault.Invalid, "llm_provider_unknown", "There is no provider of models called %q here. Use %s.", r.Provider, strings.Join(names, " or "))
}
