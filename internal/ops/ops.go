// Package ops tells how the process is: what it depends on, whether it is ready, and its metrics.
package ops

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// State of a dependency.
type State string

// The states of a dependency.
const (
	OK       State = "ok"
	Degraded State = "degraded" // it works with less; Detail says what
	Down     State = "down"
)

// Report is what a probe found.
type Report struct {
	Name    string
	State   State
	Detail  string
	Latency time.Duration
}

// Probe asks one dependency. Needed ones decide readiness; without one that is an extra things work with less.
type Probe struct {
	Name   string
	Needed bool
	Extra  bool // away it is degraded, not down
	Ask    func(ctx context.Context) (detail string, err error)
}

// probeTimeout is how long a dependency may take to answer before it counts as down.
const probeTimeout = 2 * time.Second

// Health asks the probes. It is safe for concurrent use.
type Health struct {
	probes   []Probe
	draining atomic.Bool

	mu      sync.Mutex
	since   time.Time // whether it is ready was asked regularly since then
	asked   time.Time // last
	told    int       // how often it was told that the process drains
	noticed chan struct{}
}

// A load balancer asks whether a process is ready at least that often. It has noticed that it is not when it was told so several
// times, as balancers are set up as a rule. Who asks a few times at the start is none.
const (
	regular   = 30 * time.Second
	longSince = 20 * time.Second
	toldTimes = 3
)

// NewHealth makes a health of the given probes.
func NewHealth(probes ...Probe) *Health { return &Health{probes: probes, noticed: make(chan struct{})} }

// Drain makes the process not ready: it stops soon.
func (h *Health) Drain() { h.draining.Store(true) }

// Ready is Check for who asks for nothing else, such as a load balancer.
func (h *Health) Ready(ctx context.Context) bool {
	_, ready := h.Check(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining.Load() {
		if h.told++; h.told == toldTimes {
			close(h.noticed)
		}
		return false
	}
	now := time.Now()
	if now.Sub(h.asked) > regular {
		h.since = now
	}
	h.asked = now
	return ready
}

// Noticed waits, behind Drain, until whoever asks regularly has noticed it, or ctx ends. It does not wait when nobody does.
func (h *Health) Noticed(ctx context.Context) {
	h.mu.Lock()
	asks := time.Since(h.asked) <= regular && h.asked.Sub(h.since) >= longSince
	h.mu.Unlock()
	if !asks {
		return
	}
	select {
	case <-h.noticed:
	case <-ctx.Done():
	}
}

// Check asks all probes at once. ready is false when a needed one is down or the process drains.
func (h *Health) Check(ctx context.Context) (reports []Report, ready bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	reports = make([]Report, len(h.probes))
	var all sync.WaitGroup
	for i, p := range h.probes {
		all.Go(func() {
			began := time.Now()
			detail, err := p.Ask(ctx)
			r := Report{Name: p.Name, State: OK, Detail: detail, Latency: time.Since(began)}
			if err != nil {
				if r.State, r.Detail = Down, err.Error(); p.Extra {
					r.State = Degraded
				}
			}
			reports[i] = r
		})
	}
	all.Wait()
	ready = !h.draining.Load()
	for i, r := range reports {
		ready = ready && (r.State != Down || !h.probes[i].Needed)
	}
	return reports, ready
}

// Metrics are counted in a registry of their own, so that tests can build many.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	streams  prometheus.Gauge
	runs     *prometheus.CounterVec
	searches *prometheus.CounterVec
	asked    *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
}

// NewMetrics makes the metrics of one process.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "byline_http_request_duration_seconds", Help: "Time to answer a request, by route.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10},
		}, []string{"method", "route", "status"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "byline_streams", Help: "Open event streams."}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "byline_runs_total", Help: "Runs that ended, by kind and status."}, []string{"kind", "status"}),
		searches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "byline_searches_total", Help: "Answered searches, by the engine that answered; degraded is 1 when something could not be used."}, []string{"engine", "degraded"}),
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "byline_llm_request_duration_seconds", Help: "Time of a request to a model until its answer ended, by what it was for and the code of its error (ok: none).",
			Buckets: []float64{.3, 1, 3, 10, 30, 100, 300},
		}, []string{"provider", "purpose", "code"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "byline_llm_tokens_total", Help: "Tokens of questions (input) and answers (output)."}, []string{"provider", "model", "kind"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "byline_build_info", Help: "The running version.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.streams, m.runs, m.searches, m.asked, m.tokens, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts an answered request. route is the pattern, never the path: paths hold ids.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Stream counts an open event stream until done is called.
func (m *Metrics) Stream() (done func()) {
	m.streams.Inc()
	return m.streams.Dec
}

// Search counts an answered search.
func (m *Metrics) Search(engine string, degraded bool) {
	label := "0"
	if degraded {
		label = "1"
	}
	m.searches.WithLabelValues(engine, label).Inc()
}

// Engine shows how a search engine is: whether it serves, how many documents wait for it, and how many it refused.
func (m *Metrics) Engine(name string, ask func() (serving bool, waiting, refused int)) {
	gauge := func(metric, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metric, Help: help, ConstLabels: prometheus.Labels{"engine": name}}, value))
	}
	gauge("byline_search_engine_serving", "1 when a search engine answers searches.", func() float64 {
		if serving, _, _ := ask(); serving {
			return 1
		}
		return 0
	})
	gauge("byline_search_engine_waiting", "Documents that a search engine has not got yet.", func() float64 { _, n, _ := ask(); return float64(n) })
	gauge("byline_search_engine_refused", "Documents that a search engine refused for good.", func() float64 { _, _, n := ask(); return float64(n) })
}

// Model counts a request to a model that ended; code is that of its error, empty for none.
func (m *Metrics) Model(provider, model, purpose, code string, took time.Duration, input, output int) {
	if code == "" {
		code = "ok"
	}
	m.asked.WithLabelValues(provider, purpose, code).Observe(took.Seconds())
	if input+output > 0 {
		m.tokens.WithLabelValues(provider, model, "input").Add(float64(input))
		m.tokens.WithLabelValues(provider, model, "output").Add(float64(output))
	}
}

// Breakers shows which models are being left alone because they failed. ask gives those that were used, by provider and name.
func (m *Metrics) Breakers(ask func() map[[2]string]bool) {
	m.registry.MustRegister(breakers(ask))
}

type breakers func() map[[2]string]bool

var breakerOpen = prometheus.NewDesc("byline_llm_breaker_open", "1 while a model is left alone because it failed several times.", []string{"provider", "model"}, nil)

func (b breakers) Describe(c chan<- *prometheus.Desc) { c <- breakerOpen }

func (b breakers) Collect(c chan<- prometheus.Metric) {
	for name, open := range b() {
		value := 0.
		if open {
			value = 1
		}
		c <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, value, name[0], name[1])
	}
}

// Run counts a run that ended.
func (m *Metrics) Run(kind, status string) { m.runs.WithLabelValues(kind, status).Inc() }

// Gauge adds a figure that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
