package search

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Named is an engine and the name that answers, settings and metrics know it by.
type Named struct {
	Name        string // elasticsearch, chroma
	Engine      Engine
	VectorsOnly bool // it has no lexical leg, and does not hold passages without a vector
}

// Home is the engine that is always there.
type Home interface {
	Index
	// Known is the share of the workspace's letters that a space's embedder knows, 0..1. (An engine outside cannot tell.)
	Known(ctx context.Context, ws ident.Workspace, space string) (float64, error)
}

// Lag tells how far engines are behind the library. It is asked at every search, so it must be quick.
type Lag interface {
	// Behind gives the documents of a workspace that an engine has not got as they are now, newest first: as many as have at
	// most a number of passages together.
	Behind(ctx context.Context, engine string, ws ident.Workspace, passages int) (Behind, error)
	// Backlogs tells what waits for each engine, by its name.
	Backlogs(ctx context.Context) (map[string]Backlog, error)
}

// Behind is what an engine has not got of a workspace.
type Behind struct {
	Documents []string
	More      bool   // there are others
	Space     string // of the vectors that the engine serves; "" if it serves none
}

// Backlog is what waits for an engine, of all workspaces.
type Backlog struct {
	Pending  int  // changes
	Dead     int  // changes that it refused for good
	Building bool // the generation that shall serve is not complete
}

// RouterOptions of a Router; zero values choose what is said beside them.
type RouterOptions struct {
	Timeout  time.Duration // of all engines outside together at one call; 250 ms, so that a fallback takes at most 300
	Failures int           // in a row, until an engine is left alone; 3
	Pause    time.Duration // for which it is left alone, before one call tries again; 3 s
	Health   time.Duration // between two looks at each engine; 2 s
	Lag      Lag           // nil: engines are never behind, and serve every space
	Log      *slog.Logger  // nil: says nothing
}

// Router is an index that asks the first engine of a list that can answer, and the embedded one when none can. Its answers
// name who gave them, and in Degraded who could not. It is safe for concurrent use, so both legs may run side by side.
type Router struct {
	engines []*routed
	home    Home
	o       RouterOptions
	began   time.Time
}

var _ Index = (*Router)(nil)

// NewRouter makes a router over engines, the preferred one first. Run watches them.
func NewRouter(engines []Named, home Home, o RouterOptions) *Router {
	o.Timeout = cmp.Or(o.Timeout, 250*time.Millisecond)
	o.Failures = cmp.Or(o.Failures, 3)
	o.Pause = cmp.Or(o.Pause, 3*time.Second)
	o.Health = cmp.Or(o.Health, 2*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Router{home: home, o: o, began: time.Now()}
	for _, n := range engines {
		breaker := circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(max(1, o.Failures))).WithDelay(o.Pause).WithSuccessThreshold(1).Build()
		r.engines = append(r.engines, &routed{Named: n, breaker: breaker, log: o.Log, state: EngineServing, since: r.began})
	}
	return r
}

// maxBehind is how many passages that an engine has not got are searched in the embedded engine beside it.
const maxBehind = 1000

// EmbeddedName is that of the embedded engine in answers.
const EmbeddedName = "embedded"

// question asks an index one of the two questions.
type question func(Index, context.Context, Query) (Found, error)

// Lexical ranks passages by words.
func (r *Router) Lexical(ctx context.Context, q Query) (Found, error) {
	return r.route(ctx, q, Index.Lexical, mergeWords)
}

// Vector ranks passages by cosine.
func (r *Router) Vector(ctx context.Context, q Query) (Found, error) {
	if q.Space == "" {
		return r.atHome(ctx, q, Index.Vector, nil)
	}
	return r.route(ctx, q, Index.Vector, mergeVectors)
}

func (r *Router) route(ctx context.Context, q Query, ask question, merge func(engine, home []Candidate) []Candidate) (Found, error) {
	// One deadline for all engines outside: two that hang take no longer than one.
	short, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	var degraded []string
	for _, e := range r.engines {
		if short.Err() != nil {
			break
		}
		found, why, err := r.try(ctx, short, e, q, ask, merge)
		if err != nil {
			return Found{}, err
		}
		if found != nil {
			found.Degraded = append(degraded, found.Degraded...)
			return *found, nil
		}
		if why != "" {
			degraded = append(degraded, why)
		}
	}
	return r.atHome(ctx, q, ask, degraded)
}

func (r *Router) atHome(ctx context.Context, q Query, ask question, degraded []string) (Found, error) {
	found, err := ask(r.home, ctx, q)
	found.Engine, found.Degraded = EmbeddedName, append(degraded, found.Degraded...)
	return found, err
}

// try asks one engine. Without an answer why tells the reason, "" when the engine has no such leg; err ends the search.
func (r *Router) try(ctx, short context.Context, e *routed, q Query, ask question, merge func(engine, home []Candidate) []Candidate) (_ *Found, why string, err error) {
	if why, pass := e.resting(q.Vector == nil); pass {
		return nil, why, nil
	}
	behind, err := r.behind(ctx, e, q)
	if err != nil {
		return nil, "", err
	}
	if q.Vector != nil && r.o.Lag != nil && behind.Space != q.Space {
		return nil, e.Name + building, nil
	}
	if !e.breaker.TryAcquirePermit() { // judge gives it back
		return nil, e.down(), nil
	}
	lagging := among(behind.Documents, q.Documents)
	var near Found // of what the engine has not got
	var nearErr error
	var side sync.WaitGroup
	if len(lagging) > 0 {
		side.Go(func() {
			q := q
			q.Documents = lagging
			near, nearErr = ask(r.home, ctx, q)
		})
	}
	found, err := ask(e.Engine, short, q)
	e.judge(ctx, err)
	side.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case err != nil:
		return nil, e.why(err), nil
	case nearErr != nil:
		return nil, "", nearErr
	}
	found.Engine = e.Name
	if behind.More {
		found.Degraded = append(found.Degraded, e.Name+"_lagging")
	}
	if len(lagging) > 0 {
		// What the engine has of these documents is an earlier state of them.
		kept := slices.DeleteFunc(slices.Clone(found.Candidates), func(c Candidate) bool { return lagging[c.DocumentID] })
		found.Total += near.Total - (len(found.Candidates) - len(kept))
		merged := merge(kept, near.Candidates)
		slices.SortStableFunc(merged, func(a, b Candidate) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.PassageID, b.PassageID))
		})
		found.Candidates = merged[:min(len(merged), q.K)]
		found.Degraded = append(found.Degraded, near.Degraded...)
		found.Known = near.Known
	}
	if q.Vector != nil && len(lagging) == 0 {
		found.Known, err = r.home.Known(ctx, q.Workspace, q.Space)
	}
	return &found, "", err
}

func (r *Router) behind(ctx context.Context, e *routed, q Query) (Behind, error) {
	if r.o.Lag == nil {
		return Behind{}, nil
	}
	return r.o.Lag.Behind(ctx, e.Name, q.Workspace, maxBehind)
}

// among gives those documents that are asked for; nil asked is all.
func among(documents []string, asked map[string]bool) map[string]bool {
	set := map[string]bool{}
	for _, d := range documents {
		if asked == nil || asked[d] {
			set[d] = true
		}
	}
	return set
}

// mergeVectors joins candidates of two engines: cosines in one space are the same everywhere.
func mergeVectors(engine, home []Candidate) []Candidate { return slices.Concat(engine, home) }

// mergeWords joins candidates whose scores cannot be compared: each engine knows other document frequencies. The score of
// the i-th at home becomes that of the engine's own i-th: equal ranks weigh the same, and all scores stay on the engine's
// scale, which fusion counts on. That alone would put the best of a few new documents on top although it has nothing to do
// with the question. What can be compared is coverage, so the score shrinks with the share that the candidate holds
// of what the engine's i-th holds. Without candidates of the engine the scores at home are all there are.
func mergeWords(engine, home []Candidate) []Candidate {
	all := slices.Clone(engine)
	for i, c := range home {
		if len(engine) > 0 {
			peer := engine[min(i, len(engine)-1)]
			c.Score = peer.Score
			if peer.Coverage > 0 {
				c.Score *= min(1, c.Coverage/peer.Coverage)
			}
		}
		all = append(all, c)
	}
	return all
}

// Info names the engine that is asked first, and tells what the embedded one holds in memory. It asks nobody outside.
func (r *Router) Info(ctx context.Context) (Info, error) {
	info, err := r.home.Info(ctx)
	info.Engine = EmbeddedName
	for _, e := range r.engines {
		if s := e.status(); s.State == EngineServing || s.State == EngineLagging {
			info.Engine = e.Name
			break
		}
	}
	return info, err
}

// EngineState says what can be expected of an engine.
type EngineState string

// The states of an engine.
const (
	EngineServing  EngineState = "serving"
	EngineLagging  EngineState = "lagging"  // serves, but has not got everything yet
	EngineBuilding EngineState = "building" // others serve until it has everything
	EngineDegraded EngineState = "degraded" // others serve until it answers again
)

// EngineStatus is what is known of an engine without asking it.
type EngineStatus struct {
	Name  string
	State EngineState
	Since time.Time
	Error string // what went wrong last, since it last went well: elasticsearch_timeout
	Queue int    // changes that wait for it
	Dead  int    // changes that it refused for good
}

// Status lists all engines, the preferred one first and the embedded one last.
func (r *Router) Status() []EngineStatus {
	list := make([]EngineStatus, 0, len(r.engines)+1)
	for _, e := range r.engines {
		list = append(list, e.status())
	}
	return append(list, EngineStatus{Name: EmbeddedName, State: EngineServing, Since: r.began})
}

// Run looks at the engines until ctx ends: one that nobody asks is found to be gone, or back, by its Info. It returns when
// all that it began has ended.
func (r *Router) Run(ctx context.Context) {
	t := time.NewTicker(r.o.Health)
	defer t.Stop()
	for {
		r.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (r *Router) look(ctx context.Context) {
	var all sync.WaitGroup
	for _, e := range r.engines {
		all.Go(func() { e.look(ctx, r.o.Health) })
	}
	if r.o.Lag != nil {
		backlogs, err := r.o.Lag.Backlogs(ctx)
		if err != nil && ctx.Err() == nil {
			r.o.Log.Warn("read what waits for the engines", "error", err)
		}
		for _, e := range r.engines {
			if err == nil {
				e.queued(backlogs[e.Name])
			}
		}
	}
	all.Wait()
}

// routed is an engine, and what the router remembers of it.
type routed struct {
	Named
	breaker circuitbreaker.CircuitBreaker[any]
	log     *slog.Logger

	mu       sync.Mutex
	wordless bool      // it has no lexical leg
	code     string    // of what went wrong last; "" after it went well
	until    time.Time // it asked to be left alone, or holds nothing
	backlog  Backlog
	state    EngineState
	since    time.Time
}

// pause when an engine holds nothing yet.
const emptyPause = time.Second

// building is why an engine that has not got everything is passed over.
const building = "_building"

// resting tells whether the engine is to be passed over without a look at anything else, and why. words is the lexical leg.
func (e *routed) resting(words bool) (why string, pass bool) {
	e.mu.Lock()
	wordless, until := e.wordless, e.until
	e.mu.Unlock()
	if words && wordless {
		return "", true
	}
	if time.Now().Before(until) || e.breaker.IsOpen() && e.breaker.RemainingDelay() > 0 {
		return e.down(), true
	}
	return "", false
}

// down is why an engine is left alone: what went wrong last.
func (e *routed) down() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cmp.Or(e.code, e.Name+"_down")
}

// why names an error of the engine in an answer; "" if there is nothing wrong with it.
func (e *routed) why(err error) string {
	f := fault.Of(err)
	switch {
	case f.Kind == fault.Invalid:
		return ""
	case f.Code == "engine_empty":
		return e.Name + building
	case f.Kind != fault.Unavailable:
		return e.Name + "_failed"
	case strings.HasPrefix(f.Code, e.Name+"_"):
		return f.Code
	}
	return e.Name + "_" + f.Code
}

// judge learns from a call's end. ctx is the caller's own.
func (e *routed) judge(ctx context.Context, err error) {
	f := fault.Of(err)
	if ctx.Err() != nil || f != nil && f.Kind == fault.Invalid {
		// The caller has gone, or asked for what it should not, which says nothing of the engine. Only if this was the call
		// that should tell whether the engine is back, it is still not known.
		if e.breaker.IsHalfOpen() {
			e.breaker.RecordFailure()
		}
		if f != nil && f.Code == "lexical_unavailable" {
			e.mu.Lock()
			e.wordless = true
			e.mu.Unlock()
		}
		return
	}
	empty := f != nil && f.Code == "engine_empty"
	if err == nil || empty {
		e.breaker.RecordSuccess()
	} else {
		e.breaker.RecordFailure()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.code = ""
	if err != nil {
		e.code = e.why(err)
		const most = time.Minute
		e.until = time.Now().Add(min(f.RetryAfter, most))
	}
	if empty {
		e.until = time.Now().Add(emptyPause)
	}
	e.settle(err)
}

// look asks the engine for its Info.
func (e *routed) look(ctx context.Context, within time.Duration) {
	e.mu.Lock()
	left := time.Until(e.until)
	e.mu.Unlock()
	if left > 0 || !e.breaker.TryAcquirePermit() {
		return
	}
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := e.Engine.Info(short)
	e.judge(ctx, err)
}

func (e *routed) queued(b Backlog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.backlog = b
	e.settle(nil)
}

// settle finds the state, and tells the log when it has changed; mu is held.
func (e *routed) settle(err error) {
	state := EngineServing
	switch {
	case !e.breaker.IsClosed():
		state = EngineDegraded
	case e.backlog.Building || e.code == e.Name+building:
		state = EngineBuilding
	case e.backlog.Pending > 0:
		state = EngineLagging
	}
	if state == e.state {
		return
	}
	was := e.state
	e.state, e.since = state, time.Now()
	switch {
	case state == EngineDegraded:
		e.log.Warn("a search engine does not answer, others do instead", "engine", e.Name, "code", e.code, "error", err)
	case was == EngineDegraded:
		e.log.Info("a search engine answers again", "engine", e.Name)
	}
}

func (e *routed) status() EngineStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return EngineStatus{Name: e.Name, State: e.state, Since: e.since, Error: e.code, Queue: e.backlog.Pending, Dead: e.backlog.Dead}
}

// Known is the mean of what the embedder knows of the workspace's passages, by their segments.
func (e *Embedded) Known(ctx context.Context, ws ident.Workspace, space string) (float64, error) {
	infos, err := e.store.Segments(ctx, ws, space)
	passages, known := 0, 0.0
	for _, i := range infos {
		passages, known = passages+i.Passages, known+i.Known
	}
	return known / max(1, float64(passages)), err
}

var _ Home = (*Embedded)(nil)
