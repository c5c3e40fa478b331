package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/internal/config"
	"byline/internal/driver/openai"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/ops"
)

// models is what the installation has of language models: the catalogue, and what is around each model in it.
type models struct {
	cfg       config.Models
	log       *slog.Logger
	metrics   *ops.Metrics
	ledger    llm.Ledger
	purse     *llm.Purse
	prices    *priceList
	transport *http.Transport
	catalog   *llm.Catalog
	local     string        // where an Ollama is looked for that nobody configured; empty: nowhere
	looked    chan struct{} // closed when that was looked for once

	mu       sync.Mutex
	breakers map[llm.Ref]*llm.Breaking
	found    bool // the Ollama that nobody configured

	asking sync.Mutex // guards what follows
	asked  time.Time
	detail string
	failed error
}

const (
	openAIModel = "gpt-4.1-mini" // OpenAI's usual one: it lists more than a hundred
	lookTime    = time.Second    // for an Ollama on this machine; where none is, it takes no time
	lookAgain   = time.Minute
	healthLife  = 20 * time.Second // how long a provider's answer tells how it is: those who watch ask every second
)

// newModels makes the catalogue of a configuration. Nothing is connected yet.
func newModels(cfg *config.Config, local string, ledger llm.Ledger, metrics *ops.Metrics, log *slog.Logger) (*models, error) {
	m := &models{cfg: cfg.Models, log: log, metrics: metrics, ledger: ledger, transport: openai.NewTransport(),
		looked: make(chan struct{}), breakers: map[llm.Ref]*llm.Breaking{}}
	var err error
	if m.prices, err = openPrices(cfg, log); err != nil {
		return nil, err
	}
	budgets, err := m.budgets()
	if err != nil {
		return nil, err
	}
	m.purse = llm.NewPurse(ledger, budgets)
	m.catalog = llm.NewCatalog(m.around)
	if err := m.configure(local); err != nil {
		return nil, err
	}
	if m.local == "" {
		close(m.looked)
	}
	m.catalog.Await(m.looked)
	metrics.Breakers(m.open)
	return m, nil
}

// configure adds the providers that are configured, and says which model is the usual one.
func (m *models) configure(local string) error {
	c := m.cfg
	want := c.Provider
	if want == "offline" {
		return nil
	}
	wants := func(name string) bool {
		return want == name || slices.ContainsFunc(c.Fallback, func(f string) bool { return f == name || strings.HasPrefix(f, name+"/") })
	}
	usual := llm.Ref{Name: c.Model}
	if c.OpenAIKey != "" || c.OpenAIBaseURL != "" || wants("openai") {
		if err := m.add(m.openAI()); err != nil {
			return err
		}
		usual.Provider = "openai"
	}
	if c.OllamaBaseURL != "" || wants("ollama") {
		if err := m.add(m.ollama(c.OllamaBaseURL)); err != nil {
			return err
		}
		if usual.Provider == "" {
			usual.Provider = "ollama"
		}
	}
	if want != "auto" {
		usual.Provider = want
	}
	if usual.Provider == "" {
		m.local = local
		return nil
	}
	if usual.Provider == "openai" && usual.Name == "" && c.OpenAIBaseURL == "" {
		usual.Name = openAIModel
	}
	var stand []llm.Ref
	for _, f := range c.Fallback {
		provider, name, _ := strings.Cut(f, "/")
		if provider == "openai" && name == "" && c.OpenAIBaseURL == "" {
			name = openAIModel
		}
		stand = append(stand, llm.Ref{Provider: provider, Name: name})
	}
	m.catalog.Use(usual, stand...)
	return nil
}

func (m *models) openAI() openai.Options { return openai.OpenAI(m.cfg.OpenAIBaseURL, m.cfg.OpenAIKey) }

func (m *models) ollama(url string) openai.Options { return openai.Ollama(url) }

// endpoint makes an endpoint with what is configured for all.
func (m *models) endpoint(o openai.Options) (*openai.Endpoint, error) {
	o.FirstToken, o.Idle, o.Total, o.Transport = m.cfg.FirstTokenTimeout, m.cfg.IdleTimeout, m.cfg.Timeout, m.transport
	if m.cfg.Context > 0 {
		o.Context = m.cfg.Context
	}
	return openai.New(o)
}

func (m *models) add(o openai.Options) error {
	e, err := m.endpoint(o)
	if err == nil {
		m.catalog.Add(e)
	}
	return err
}

// around is what each model has around it. From within: what it used is written down; it is asked again; it is left alone when
// it fails and fails; it is asked only while there is something left.
func (m *models) around(bare llm.Model) llm.Model {
	metered := llm.Meter(bare, llm.MeterOptions{Ledger: m.ledger, Prices: m.prices.get, Told: func(e llm.Entry, took time.Duration, err, unwritten error) {
		m.metrics.Model(e.Provider, e.Model, e.Purpose, llm.CodeOf(err), took, e.Usage.Input, e.Usage.Output)
		switch {
		case unwritten != nil:
			m.log.Error("write down what a model used", "provider", e.Provider, "model", e.Model, "error", unwritten)
		case err != nil && llm.CodeOf(err) != "cancelled":
			m.log.Warn("a model failed", "provider", e.Provider, "model", e.Model, "purpose", e.Purpose, "run", e.Payer.RunID, "code", llm.CodeOf(err), "error", err)
		}
	}})
	b := llm.Breaker(llm.Retry(metered, llm.RetryOptions{}), llm.BreakerOptions{})
	i := bare.Info()
	m.mu.Lock()
	m.breakers[llm.Ref{Provider: i.Provider, Name: i.Name}] = b
	m.mu.Unlock()
	return m.purse.Budget(b)
}

// open tells of each model that was used whether it is being left alone.
func (m *models) open() map[[2]string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := map[[2]string]bool{}
	for r, b := range m.breakers {
		_, states[[2]string{r.Provider, r.Name}] = b.Open()
	}
	return states
}

func (m *models) budgets() (llm.Budgets, error) {
	currency := m.prices.get().Currency
	b := llm.Budgets{Currency: currency}
	for _, row := range []struct {
		name string
		from config.Budget
		to   *llm.Allowance
	}{
		{"BYLINE_LLM_BUDGET_RUN", m.cfg.RunBudget, &b.Run}, {"BYLINE_LLM_BUDGET_USER", m.cfg.UserBudget, &b.User},
		{"BYLINE_LLM_BUDGET_WORKSPACE", m.cfg.WorkspaceBudget, &b.Workspace}, {"BYLINE_LLM_BUDGET_MONTH", m.cfg.MonthBudget, &b.Month},
	} {
		if row.from.Currency != "" && row.from.Currency != currency {
			return b, fault.New(fault.Invalid, "budget_currency", "%s is in %s, but the price table is in %s. Use one currency in both.", row.name, row.from.Currency, currency)
		}
		*row.to = llm.Allowance{Tokens: row.from.Tokens, Cost: row.from.Cost}
	}
	return b, nil
}

// run looks for an Ollama on this machine, while nothing else is there, until ctx ends.
func (m *models) run(ctx context.Context) {
	if m.local == "" {
		return
	}
	first := sync.OnceFunc(func() { close(m.looked) })
	defer first()
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		if m.look(ctx) {
			return
		}
		first()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// look adds the Ollama of this machine if it is there and has a model.
func (m *models) look(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	e, err := m.endpoint(m.ollama(m.local))
	if err != nil {
		return false
	}
	list, err := e.Models(ctx)
	if err != nil || len(list) == 0 {
		return false
	}
	name := list[0]
	if m.cfg.Model != "" {
		name = m.cfg.Model
	}
	m.mu.Lock()
	m.found = true
	m.mu.Unlock()
	m.catalog.Add(e)
	m.catalog.Use(llm.Ref{Provider: e.Name(), Name: name})
	m.log.Info("an Ollama runs on this machine and writes from now on; DEFAULT_LLM_PROVIDER=offline keeps it out", "url", m.local, "model", name)
	m.asking.Lock()
	m.asked = time.Time{}
	m.asking.Unlock()
	return true
}

// probe tells how the providers are.
func (m *models) probe(ctx context.Context) (string, error) {
	select {
	case <-m.looked:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	m.asking.Lock()
	defer m.asking.Unlock()
	if time.Since(m.asked) < healthLife {
		return m.detail, m.failed
	}
	detail, err := m.ask(ctx)
	if ctx.Err() == nil || err == nil {
		m.asked, m.detail, m.failed = time.Now(), detail, err
	}
	return detail, err
}

// ask asks each provider for its models.
func (m *models) ask(ctx context.Context) (string, error) {
	usual, err := m.catalog.Default()
	if errors.Is(err, llm.ErrOffline) {
		return "none is configured: posts are made of quotes", nil
	}
	var well []string
	var ill []error
	for _, p := range m.catalog.Providers() {
		list, err := p.Models(ctx)
		name := p.Name()
		m.mu.Lock()
		if m.found {
			name += " (found at " + m.local + ")"
		}
		m.mu.Unlock()
		switch {
		case err != nil && ctx.Err() != nil:
			ill = append(ill, fmt.Errorf("%s does not answer in time", name))
		case err != nil:
			ill = append(ill, sayOf(err))
		case p.Name() == usual.Provider && usual.Name != "" && len(list) > 0 && !slices.Contains(list, usual.Name) && !slices.Contains(list, usual.Name+":latest"):
			ill = append(ill, fmt.Errorf("%s has no model %s; set DEFAULT_LLM_MODEL to one that it has, such as %s", name, usual.Name, list[0]))
		case p.Name() == usual.Provider && usual.Name == "" && len(list) > 0:
			well = append(well, name+" "+list[0])
		case p.Name() == usual.Provider:
			well = append(well, name+" "+usual.Name)
		default:
			well = append(well, name)
		}
	}
	for r, open := range m.open() {
		if open {
			ill = append(ill, fmt.Errorf("%s/%s fails and is left alone for a moment", r[0], r[1]))
		}
	}
	return strings.Join(well, ", "), errors.Join(ill...)
}

// priceList is the price table as it stands in its file now.
type priceList struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	changed time.Time // the file
	prices  llm.Prices
}

// openPrices reads the price table; the one of the data directory is made if it is not there.
func openPrices(cfg *config.Config, log *slog.Logger) (*priceList, error) {
	p := &priceList{path: cfg.Models.Prices, log: log}
	if p.path == "" {
		var err error
		if p.path, err = config.MakePrices(cfg.Storage.Data); err != nil {
			return nil, err
		}
	}
	prices, err := readPrices(p.path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(p.path); err == nil {
		p.changed = info.ModTime()
	}
	p.prices, p.looked = prices, time.Now()
	return p, nil
}

// pricesLife is how long a change of the file may go unseen.
const pricesLife = 2 * time.Second

// get gives the prices. A file that got a mistake keeps its last ones.
func (p *priceList) get() llm.Prices {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.looked) < pricesLife {
		return p.prices
	}
	p.looked = time.Now()
	info, err := os.Stat(p.path)
	if err != nil || info.ModTime().Equal(p.changed) {
		return p.prices
	}
	p.changed = info.ModTime()
	prices, err := readPrices(p.path)
	if err != nil {
		p.log.Warn("the changed price table is not used", "error", err)
		return p.prices
	}
	p.prices = prices
	return prices
}

func readPrices(path string) (llm.Prices, error) {
	file, err := config.LoadPrices(path)
	prices := llm.Prices{Currency: file.Currency, Models: map[string]llm.Price{}}
	for name, m := range file.Models {
		cached := -1.
		if m.Cached != nil {
			cached = *m.Cached
		}
		prices.Models[name] = llm.Price{Input: m.Input, Cached: cached, Output: m.Output}
	}
	return prices, err
}
