// Package app makes a running system from a configuration: everything is wired here, by hand, and nowhere else.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"byline/internal/account"
	"byline/internal/agent"
	"byline/internal/blob"
	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/driver/localfs"
	"byline/internal/driver/mcp"
	"byline/internal/driver/openai"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/passhash"
	"byline/internal/engine/sandbox"
	"byline/internal/fault"
	"byline/internal/httpapi"
	"byline/internal/ingest"
	"byline/internal/live"
	"byline/internal/ops"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/session"
	"byline/internal/store"
	"byline/internal/web"
)

// App is the running system. Drain, then Close.
type App struct {
	cfg        *config.Config
	log        *slog.Logger
	handler    http.Handler
	localToken string
	setupToken string

	lock    *flock.Flock
	store   *store.Store
	blobs   *localfs.Store
	pool    *sandbox.Pool
	pages   *sandbox.Pool // for HTML
	hashers *passhash.Pool
	spaces  *search.Spaces
	models  *models
	outside *outside // the embedder, if it is one of a service
	known   int      // dimensions of its space, as far as they are known
	engines []search.Named
	router  *search.Router
	feed    *search.Feed
	rest    func(unused time.Duration) // gives the embedder's memory back if it was unused for a time
	web     *agent.Web                 // nil: nothing is configured for it
	tools   *mcp.Box                   // nil: no servers of tools are configured
	hub     *runs.Hub
	streams *httpapi.Streams
	keys    *account.Service
	rooms   *live.Rooms
	worker  *runs.Worker
	chat    atomic.Pointer[func(ctx context.Context, job *runs.Job) (any, error)] // who answers in sessions
	health  *ops.Health
	metrics *ops.Metrics

	released   uint32             // collections there had been when memory was last given back
	stop       context.CancelFunc // ends the background loops
	background sync.WaitGroup
}

// Open holds the data directory, opens all stores, takes up what was interrupted and starts the workers. A directory that
// another process holds is a fault with the code cli.InUse.
func Open(ctx context.Context, o cli.Options) (_ *App, err error) {
	a := &App{cfg: o.Config, log: o.Log, localToken: token("bll_")}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := a.hold(ctx, o); err != nil {
		return nil, err
	}
	if err := a.openStores(ctx); err != nil {
		return nil, err
	}
	if err := a.build(ctx, o.Server); err != nil {
		return nil, err
	}
	a.start()
	return a, nil
}

func (a *App) openStores(ctx context.Context) error {
	s, err := store.Open(ctx, storeOptions(a.cfg, a.log))
	if err != nil {
		return err
	}
	a.store = s
	if err := s.Recover(ctx); err != nil {
		return fmt.Errorf("take up interrupted runs: %w", err)
	}
	if a.blobs, err = openBlobs(a.cfg); err != nil {
		return err
	}
	known := func(key string) (bool, error) { return s.HasBlob(ctx, key) }
	mine, err := a.ownsFiles(ctx, known)
	if err != nil {
		return fmt.Errorf("look whose files there are: %w", err)
	}
	if !mine { // what this database does not know may be all that another one has
		a.log.Warn("files of another library are left alone: this data directory was used with another database", "directory", a.cfg.Storage.Data)
		known = func(string) (bool, error) { return true, nil }
	}
	n, err := a.blobs.Sweep(ctx, known)
	if err != nil {
		return fmt.Errorf("sweep blobs: %w", err)
	}
	if n > 0 {
		a.log.Info("removed unfinished uploads", "files", n)
	}
	return nil
}

// databaseFile is SQLite's, in the data directory; its logs have the same name with an ending.
const databaseFile = "byline.db"

func storeOptions(cfg *config.Config, log *slog.Logger) store.Options {
	return store.Options{Path: filepath.Join(cfg.Storage.Data, databaseFile), DatabaseURL: cfg.Storage.DatabaseURL, Log: log}
}

// build makes the services, from the rooms outwards.
func (a *App) build(ctx context.Context, server bool) error {
	cfg := a.cfg
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	cache, err := filepath.Abs(filepath.Join(cfg.Storage.Data, "cache")) // the extractor's process works in another directory
	if err != nil {
		return fmt.Errorf("find cache directory: %w", err)
	}
	a.pool = sandbox.New(sandbox.Options{
		Command: []string{exe, sandbox.Subcommand}, CacheDir: cache, Log: a.log,
		Workers: cfg.Documents.ExtractWorkers,
		Limits:  sandbox.Limits{Memory: cfg.Documents.ExtractMemory, Pages: cfg.Documents.MaxPages, Stall: cfg.Documents.ExtractTimeout},
	})
	a.openPages(exe)
	webside, err := a.webside()
	if err != nil {
		return err
	}
	a.hashers = passhash.NewPool(passhash.Options{
		Command: []string{exe, passhash.Subcommand}, Log: a.log, Workers: runtime.GOMAXPROCS(0) / 2,
	})
	a.metrics = ops.NewMetrics(a.version())
	embedder, rest, err := embedder(cfg.Search, a.log)
	if err != nil {
		return err
	}
	a.rest = rest
	a.spaces = search.NewSpaces(a.store, embedder, nil, a.log)
	if err := a.spaces.Offer(ctx); err != nil {
		return err
	}
	if err := a.openModels(ctx); err != nil {
		return err
	}
	installation, err := a.store.Installation(ctx)
	if err != nil {
		return err
	}
	if a.engines, err = engines(cfg.Search, installation); err != nil {
		return err
	}
	a.feed = search.NewFeed(a.store, a.spaces, a.engines, a.log)
	a.router = search.NewRouter(a.engines, search.NewEmbedded(a.store, cfg.Search.Memory).Mending(a.log), search.RouterOptions{Lag: a.feed, Log: a.log})
	searcher := search.New(a.store, a.router, a.spaces)
	a.hub = runs.NewHub(a.store, a.store.Bus(), a.log)
	pipeline := ingest.New(a.store, a.blobs, map[string]ingest.Extractor{
		string(extract.PDF): func(ctx context.Context, f blob.File, _ int64, sink extract.Sink) error {
			return a.pool.Extract(ctx, string(extract.PDF), f.(*os.File), sink)
		},
		string(extract.Markdown):  decoded(markdown.Extract),
		string(extract.PlainText): decoded(extract.Plain),
		string(extract.HTML):      a.readPage,
	}, a.spaces.Wanted)
	documents := document.New(a.store, a.blobs, document.Limits{Bytes: cfg.Documents.MaxUploadSize, Extensions: cfg.Documents.AllowedExtensions})
	a.web = webside.search(ingest.NewSnapshots(documents, a.store.Bus()), a.store)
	if err := a.openTools(); err != nil {
		return err
	}
	drafts := draft.New(a.store.Drafts(), a.store)
	sessions, err := a.sessions()
	if err != nil {
		return err
	}
	writing := agent.Options{Versions: a.store.Drafts(), Proposals: drafts, Drafting: drafts, Sessions: sessions, Documents: a.store, Searcher: searcher, Models: a.models.catalog, Web: a.web,
		Parallel: min(cfg.Writing.Writers, 4), Busy: cfg.Storage.Workers, Flag: cfg.Writing.Unsupported == "flag"}
	if cfg.Writing.Judge {
		writing.Judgements = a.store
	}
	if a.tools != nil {
		writing.Tools = a.tools
	}
	writer := agent.New(writing)
	answer := writer.HandleChat
	a.chat.Store(&answer)
	a.worker = runs.NewWorker(a.store, a.store.Bus(), runs.WorkerOptions{
		Log: a.log,
		Handlers: map[runs.Kind]runs.Handler{
			runs.KindProcess:  {Do: pipeline.Handle, Limit: cfg.Storage.Workers},
			runs.KindSnapshot: {Do: pipeline.Handle, Limit: cfg.Storage.Workers},
			runs.KindGenerate: {Do: writer.Handle, Limit: cfg.Writing.Writers},
			runs.KindQuery:    {Do: writer.HandleQuery, Limit: cfg.Writing.Writers},
			runs.KindRefine:   {Do: writer.HandleRefine, Limit: cfg.Writing.Writers},
			runs.KindChat:     {Do: func(ctx context.Context, job *runs.Job) (any, error) { return (*a.chat.Load())(ctx, job) }, Limit: cfg.Writing.Writers},
			runs.KindSync:     {Do: a.feed.Handle, Limit: cfg.Storage.Workers},
		},
		Ended: func(r runs.Run, st runs.Status) {
			a.metrics.Run(string(r.Kind), string(st))
			a.feed.Nudge()
		},
	})
	accounts, err := a.accounts(ctx, server)
	if err != nil {
		return err
	}
	a.keys = accounts
	a.streams, a.rooms = httpapi.NewStreams(accounts, a.log), live.NewRooms(a.store.LiveBus())
	probes := append([]ops.Probe{
		{Name: "store", Needed: true, Ask: a.store.Ping},
		{Name: "disk", Ask: func(context.Context) (string, error) { return "", sayOf(a.store.Space()) }},
		{Name: "models", Ask: a.models.probe},
	}, slices.Concat(engineProbes(a.router), webside.probes())...)
	if a.tools != nil {
		probes = append(probes, ops.Probe{Name: "tools", Ask: a.tools.Probe})
	}
	if a.outside != nil {
		probes = append(probes, ops.Probe{Name: "embedder", Ask: a.outside.probe})
	}
	a.health = ops.NewHealth(probes...)
	for _, e := range a.router.Status() {
		a.metrics.Engine(e.Name, func() (serving bool, waiting, refused int) {
			for _, s := range a.router.Status() {
				if s.Name == e.Name {
					return s.State == search.EngineServing || s.State == search.EngineLagging, s.Queue, s.Dead
				}
			}
			return false, 0, 0
		})
	}
	site, err := web.New(cfg.App.Name)
	if err != nil {
		return err
	}
	a.handler, err = httpapi.New(httpapi.Deps{
		Name: cfg.App.Name, Version: a.version(), Origins: cfg.Server.CORSOrigins, MaxUpload: cfg.Documents.MaxUploadSize,
		Accounts: accounts, Documents: documents, Fetcher: webside.fetcher, WebSearch: len(webside.finders) > 0, Searcher: searcher, Spaces: a.spaces, Engines: a.router, Feed: a.feed, Drafts: drafts, Sessions: sessions, Enquiries: agent.NewEnquiries(a.store, a.store, a.store.Bus()), Runs: a.store, Steps: a.store.Steps, Outline: a.store.Outline, Hub: a.hub, Streams: a.streams, Rooms: a.rooms,
		Render: func(ctx context.Context, f blob.File, page, dpi int) ([]byte, error) {
			return a.pool.RenderPage(ctx, f.(*os.File), page, dpi)
		},
		Models: a.models.catalog, Books: a.store, Currency: func() string { return a.models.prices.get().Currency },
		Health: a.health, Metrics: a.metrics, Log: a.log,
	}, site.Mount)
	return err
}

// sessions makes the room of sessions, with the operator's profiles.
func (a *App) sessions() (*session.Service, error) {
	list, err := config.LoadProfiles(a.cfg.Storage.Data)
	if err != nil {
		return nil, err
	}
	profiles := make([]session.Profile, len(list))
	for i, p := range list {
		profiles[i] = session.Profile{Name: p.Name, Title: p.Title, Description: p.Description, Provider: p.Provider, Model: p.Model, Persona: p.Persona,
			Settings: session.Settings{Language: p.Language, Tone: p.Tone, Audience: p.Audience, Words: p.Words, Web: p.Web}}
	}
	return session.New(a.store.Sessions(), profiles...), nil
}

// openModels makes the catalogue of models, and the embedder if it is one of a service.
func (a *App) openModels(ctx context.Context) (err error) {
	if a.models, err = newModels(a.cfg, openai.OllamaURL, a.store, a.metrics, a.log); err != nil {
		return err
	}
	if a.outside, err = newOutside(a.cfg, a.models, a.spaces, a.log); err != nil || a.outside == nil {
		return err
	}
	a.known, err = a.outside.remember(ctx)
	return err
}

// sayOf is an error in the words for people: the status shows it.
func sayOf(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(fault.Of(err).Say)
}

func (a *App) accounts(ctx context.Context, server bool) (*account.Service, error) {
	cfg := a.cfg.Accounts
	secret, err := a.cfg.SigningKey()
	if err != nil {
		return nil, err
	}
	taken, err := a.store.HasUsers(ctx)
	if err != nil {
		return nil, err
	}
	if server && !taken {
		a.setupToken = token("")
	}
	return account.New(a.store, account.Options{
		Secret: secret, Algorithm: cfg.Algorithm, AccessTTL: cfg.AccessTTL, RefreshTTL: cfg.RefreshTTL, PasswordHash: cfg.PasswordHash, Hashers: a.hashers,
		Registration: account.Registration(cfg.Registration), SetupToken: a.setupToken, LocalToken: a.localToken,
	}, nil)
}

// How often the background loops look.
const (
	sweepEvery   = 10 * time.Second // what was deleted is gone within 60 s
	sweepAgain   = time.Second      // at the start, while something is left
	compactEvery = time.Minute
	compactAfter = time.Hour // a reader may still be resuming before
	releaseEvery = 20 * time.Second
	countEvery   = 10 * time.Second // uses of API keys
	releaseOver  = 24 << 20         // bytes of heap, free or not
)

// start lets everything run that runs by itself.
func (a *App) start() {
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	merger := search.NewMerger(a.store, a.log)
	a.background.Go(func() { merger.Run(ctx) })
	a.background.Go(func() { a.streams.Run(ctx) })
	a.background.Go(func() { a.spaces.Run(ctx) })
	a.background.Go(func() { a.router.Run(ctx) })
	a.background.Go(func() { a.feed.Run(ctx) })
	a.background.Go(func() { a.models.run(ctx) })
	if a.outside != nil {
		a.background.Go(func() { a.outside.run(ctx, a.known) })
	}
	a.background.Go(func() {
		left := 1 // perhaps
		sweep := func() (err error) {
			left, err = a.store.Sweep(ctx, a.blobs.Delete)
			return err
		}
		// First at once: a process may be restarted before its first round, again and again. Readers may be in the way for a moment.
		first, stop := context.WithTimeout(ctx, sweepEvery)
		defer stop()
		for left > 0 && first.Err() == nil {
			if err := sweep(); err != nil && ctx.Err() == nil {
				a.failed("sweep")(err)
			}
			if left > 0 {
				select {
				case <-first.Done():
				case <-time.After(sweepAgain):
				}
			}
		}
		every(ctx, sweepEvery, sweep, a.failed("sweep"))
	})
	a.background.Go(func() {
		every(ctx, compactEvery, func() error {
			_, err := a.store.Compact(ctx, time.Now().Add(-compactAfter), 50)
			return err
		}, a.failed("compact"))
	})
	a.background.Go(func() {
		every(ctx, countEvery, func() error { return a.keys.KeepUses(ctx) }, a.failed("count uses of API keys"))
	})
	a.background.Go(func() { every(ctx, releaseEvery, a.release, a.failed("release memory")) })
	a.worker.Start()
}

// release gives memory back that logins and documents needed for a moment; the runtime itself would keep it for minutes.
func (a *App) release() error {
	a.rest(releaseEvery)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapIdle-m.HeapReleased+m.HeapAlloc > releaseOver && m.NumGC != a.released {
		debug.FreeOSMemory()
		debug.FreeOSMemory() // what lies in pools outlives one collection
		runtime.ReadMemStats(&m)
		a.released = m.NumGC
	}
	return nil
}

func (a *App) failed(what string) func(error) {
	return func(err error) { a.log.Error("background work", "what", what, "error", err) }
}

// every calls do until ctx ends.
func every(ctx context.Context, d time.Duration, do func() error, failed func(error)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := do(); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// Handler is the whole HTTP interface.
func (a *App) Handler() http.Handler { return a.handler }

// LocalToken lets its bearer act in the local workspace.
func (a *App) LocalToken() string { return a.localToken }

// SetupToken opens the first account from another machine; empty when there is one.
func (a *App) SetupToken() string { return a.setupToken }

// Warm compiles the PDF engine, so that the first document need not wait for it.
func (a *App) Warm(ctx context.Context) error { return a.pool.Warm(ctx) }

// Retire says that the process stops soon: it is not ready any more and takes no new runs. It waits until whoever asks for readiness
// regularly has noticed, or ctx ends.
func (a *App) Retire(ctx context.Context) {
	a.health.Drain()
	a.worker.Retire()
	a.health.Noticed(ctx)
}

// Drain tells streams to come again, takes no new runs, and waits for what is under way until ctx ends; what is not done
// by then goes on elsewhere, or at the next start.
func (a *App) Drain(ctx context.Context) {
	a.health.Drain()
	a.hub.Close()
	a.streams.Close(ctx)
	a.worker.Stop(ctx)
}

// Close ends everything and lets go of the data directory.
func (a *App) Close() error {
	var errs []error
	if a.stop != nil {
		a.stop()
		done, cancel := context.WithCancel(context.Background())
		cancel()
		a.worker.Stop(done) // does nothing after Drain
		a.hub.Close()
		a.streams.Close(done)
	}
	if a.rooms != nil {
		a.rooms.Close()
	}
	a.background.Wait()
	if a.models != nil {
		a.models.transport.CloseIdleConnections()
	}
	if a.hashers != nil {
		a.hashers.Close()
	}
	if a.pool != nil {
		errs = append(errs, a.pool.Close())
	}
	if a.pages != nil {
		errs = append(errs, a.pages.Close())
	}
	errs = append(errs, closeEngines(a.engines))
	if a.tools != nil {
		errs = append(errs, a.tools.Close())
	}
	if a.keys != nil {
		errs = append(errs, a.keys.KeepUses(context.Background()))
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Unlock())
	}
	return errors.Join(errs...)
}

func (a *App) version() string {
	if a.cfg.App.Version != "" {
		return a.cfg.App.Version
	}
	return cli.Version()
}

// maxText is the most that a document of text may have, in bytes: it is decoded in memory.
const maxText = 64 << 20

// decoded makes an extractor of bytes from one of text.
func decoded(read func(text string, sink extract.Sink) error) ingest.Extractor {
	return func(_ context.Context, f blob.File, size int64, sink extract.Sink) error {
		if size > maxText {
			return fault.New(fault.TooLarge, "text_too_large", "A document of text may have %d MB; this one has %d. Split it.", maxText>>20, size>>20)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxText))
		if err != nil {
			return fmt.Errorf("read document's bytes: %w", err)
		}
		text, _, err := extract.Decode(b)
		if err != nil {
			return err
		}
		return read(text, sink)
	}
}

// token makes 256 random bits in hex, behind a prefix.
func token(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
	return prefix + hex.EncodeToString(b[:])
}
