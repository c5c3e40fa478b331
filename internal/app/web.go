package app

import (
	"context"
	"os"
	"sync"
	"time"

	"byline/internal/agent"
	"byline/internal/blob"
	"byline/internal/config"
	"byline/internal/document"
	"byline/internal/driver/searxng"
	"byline/internal/driver/tavily"
	"byline/internal/driver/webpage"
	"byline/internal/engine/extract"
	"byline/internal/engine/sandbox"
	"byline/internal/fault"
	"byline/internal/ingest"
	"byline/internal/ops"
)

// webside is what of the system speaks to the web.
type webside struct {
	fetcher *webpage.Fetcher
	finders []*watched
}

// webside makes it from the configuration. Nothing is connected yet.
func (a *App) webside() (w webside, err error) {
	cfg := a.cfg.Web
	if w.fetcher, err = webpage.New(webpage.Options{Version: a.version(), Allow: cfg.FetchAllow, Log: a.log}); err != nil {
		return w, err
	}
	w.finders, err = finders(cfg)
	return w, err
}

// finders gives the search engines of the web that are configured. The own server is asked first: Tavily's searches are counted.
func finders(cfg config.Web) (list []*watched, err error) {
	if cfg.SearXNGURL != "" {
		f, err := searxng.New(cfg.SearXNGURL)
		if err != nil {
			return nil, err
		}
		list = append(list, &watched{Finder: f, name: "searxng", check: f.Check})
	}
	if cfg.TavilyKey != "" {
		list = append(list, &watched{Finder: tavily.New(cfg.TavilyURL, cfg.TavilyKey), name: "tavily"})
	}
	return list, nil
}

// search is what runs search the web with; nil when nothing is configured for it.
func (w webside) search(keeper agent.Keeper, documents agent.Documents) *agent.Web {
	if len(w.finders) == 0 {
		return nil
	}
	list := make([]agent.Finder, len(w.finders))
	for i, f := range w.finders {
		list[i] = f
	}
	return agent.NewWeb(list, w.fetcher, keeper, documents, agent.WebOptions{})
}

// probes tell how the finders are. They are not needed for readiness.
func (w webside) probes() (list []ops.Probe) {
	for _, f := range w.finders {
		list = append(list, ops.Probe{Name: f.name, Extra: true, Ask: f.ask})
	}
	return list
}

// watched is a finder that remembers how it answered last, so that the status need not ask it: searches may cost money.
type watched struct {
	agent.Finder
	name  string
	check func(context.Context) error // costs nothing; nil when there is no such thing

	mu   sync.Mutex
	at   time.Time // of the last answer; zero before the first
	last error
}

// Find meets agent.Finder.
func (w *watched) Find(ctx context.Context, query string, n int) ([]agent.Found, error) {
	found, err := w.Finder.Find(ctx, query, n)
	if ctx.Err() == nil {
		w.note(err)
	}
	return found, err
}

func (w *watched) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.last = time.Now(), err
}

// The bounds of a check: the status is asked often, and must not wait long.
const (
	checkAgain = time.Minute
	checkTime  = 500 * time.Millisecond
)

// ask is the probe.
func (w *watched) ask(ctx context.Context) (string, error) {
	w.mu.Lock()
	stale := w.check != nil && time.Since(w.at) > checkAgain
	w.mu.Unlock()
	if stale {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		w.note(w.check(ctx))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.at.IsZero():
		return "web search is set up; not asked yet", nil
	case w.last != nil:
		return "", sayOf(w.last)
	}
	return "web search; answered " + w.at.UTC().Format(time.DateTime) + " UTC", nil
}

// pages reads HTML in processes of their own kind, so that a page that a run waits for does not wait behind a thousand PDFs.
func (a *App) openPages(exe string) {
	a.pages = sandbox.New(sandbox.Options{
		Command: []string{exe, sandbox.Subcommand}, Log: a.log, Workers: max(1, a.cfg.Documents.ExtractWorkers/2),
		Limits: sandbox.Limits{Memory: a.cfg.Documents.ExtractMemory, Stall: a.cfg.Documents.ExtractTimeout},
	})
}

func (a *App) readPage(ctx context.Context, f blob.File, _ int64, sink extract.Sink) error {
	file, ok := f.(*os.File)
	if !ok {
		return fault.New(fault.Internal, "not_a_file", "This document's bytes are not in a file.")
	}
	return a.pages.Extract(ctx, string(extract.HTML), file, sink)
}

var (
	_ agent.Keeper     = (*ingest.Snapshots)(nil)
	_ document.Fetcher = (*webpage.Fetcher)(nil)
)
