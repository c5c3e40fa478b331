package search

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/internal/document"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// EngineGeneration is a generation of an engine's index as the store remembers it.
type EngineGeneration struct {
	Engine string
	Generation
	Space   string // of its vectors; "" has none
	Serving bool
}

// Unfed is a document that a generation has not got as it is now.
type Unfed struct {
	DocumentID string
	Generation int64 // of its passages; 0 when the document is gone
	Meant      bool  // it has the vectors of the generation's space
	Held       []string
}

// Fed is what a generation holds of a document.
type Fed struct {
	DocumentID string
	Generation int64  // of its passages; 0 while they are being sent
	Meant      bool   // with vectors
	Passages   int    // that the engine took
	Digest     uint64 // see Holding
	Refused    string // why it does not take the others
	IDs        []string
}

// FeedStore keeps what engines outside hold. What it calls unfed are documents that are complete, or failed but found by
// words, and that a generation has not got, or not with these passages and vectors; and those that are gone.
type FeedStore interface {
	EngineGenerations(ctx context.Context, engine string) ([]EngineGeneration, error)
	// BuildEngine begins a generation beside the one that serves, unless one of the same space is being built. One of another
	// space that is being built is forgotten.
	BuildEngine(ctx context.Context, g EngineGeneration) error
	// ServeEngine lets a generation serve, and forgets the others.
	ServeEngine(ctx context.Context, engine, name string) error
	// UnfedWorkspaces names those with unfed documents; with refused also those with documents that were refused.
	UnfedWorkspaces(ctx context.Context, g EngineGeneration) ([]ident.Workspace, error)
	// Unfed lists unfed documents of a workspace and those that were refused, by their ids, behind one.
	Unfed(ctx context.Context, g EngineGeneration, ws ident.Workspace, after string, limit int) ([]Unfed, error)
	// Lagging lists what readers see of a workspace and the generation has not got, newest first, until they have more than a
	// number of passages together.
	Lagging(ctx context.Context, g EngineGeneration, ws ident.Workspace, passages int) (documents []string, more bool, err error)
	// EngineBacklog counts unfed documents and those that were refused.
	EngineBacklog(ctx context.Context, g EngineGeneration) (unfed, refused int, err error)
	// PutFed writes what a generation holds of documents, under a run's lease. One with neither generation nor passage ids is
	// forgotten.
	PutFed(ctx context.Context, l runs.Lease, g EngineGeneration, list []Fed) error
	// EngineHoldings sums up what a generation should hold, by workspace.
	EngineHoldings(ctx context.Context, g EngineGeneration) (map[ident.Workspace]Holding, error)
	// Refeed lets all that a generation holds of a workspace be sent again.
	Refeed(ctx context.Context, g EngineGeneration, ws ident.Workspace) error
	// StartSync makes a sync run of a workspace for an engine, unless one is under way, or failed within a time.
	StartSync(ctx context.Context, ws ident.Workspace, engine string, rest time.Duration) (started bool, err error)

	Passages(ctx context.Context, ws ident.Workspace, documentID string, from, limit int) (list []document.Passage, total int, err error)
	Vectors(ctx context.Context, space string, passageIDs []string) (map[string][]float32, error)
	Changes() (n int64, exact bool)
}

// Feed keeps engines outside in step with the library: it finds what they lack, has sync runs send it, lets a generation
// serve when it is complete, and compares what they hold with what they should. It is the router's Lag. It is safe for
// concurrent use.
type Feed struct {
	store   FeedStore
	spaces  *Spaces
	engines []Named
	log     *slog.Logger
	due     chan struct{} // asks Run to look now

	mu      sync.Mutex
	version int64 // raised when something was fed
	known   map[lagKey]lag
	told    map[string]string // the last error of each engine
	seen    map[string]seen
	doubted map[string]bool // engine and workspace whose holdings differed the last time
}

type lagKey struct {
	engine string
	ws     ident.Workspace
}

// lag is what was found behind, as of a number of changes.
type lag struct {
	at moment
	Behind
}

// moment tells states of the library apart.
type moment struct{ changes, version int64 }

// seen is when an engine was found to have everything.
type seen struct {
	at    moment
	space string
	when  time.Time
}

// NewFeed makes the feed of engines. Run lets it work, and Handle does its runs.
func NewFeed(store FeedStore, spaces *Spaces, engines []Named, log *slog.Logger) *Feed {
	return &Feed{store: store, spaces: spaces, engines: engines, log: log, due: make(chan struct{}, 1),
		known: map[lagKey]lag{}, told: map[string]string{}, seen: map[string]seen{}, doubted: map[string]bool{}}
}

const (
	feedEvery      = time.Second
	lookAnyway     = 15 * time.Second // although nothing has changed as far as is known
	probeEvery     = 30 * time.Second // whether an engine still has what it held
	reconcileEvery = 10 * time.Minute
	syncRest       = 30 * time.Second // after a run that failed
)

// Nudge lets Run look at once.
func (f *Feed) Nudge() {
	select {
	case f.due <- struct{}{}:
	default:
	}
}

// Run keeps the engines in step until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	tick, probe, reconcile := time.NewTicker(feedEvery), time.NewTicker(probeEvery), time.NewTicker(reconcileEvery)
	defer tick.Stop()
	defer probe.Stop()
	defer reconcile.Stop()
	f.each(ctx, f.probe)
	for {
		f.each(ctx, f.tend)
		select {
		case <-ctx.Done():
			return
		case <-f.due:
		case <-tick.C:
		case <-probe.C:
			f.each(ctx, f.probe)
		case <-reconcile.C:
			f.each(ctx, f.reconcile)
		}
	}
}

// each does something for each engine. The router tells of engines that do not answer; anything else is told once.
func (f *Feed) each(ctx context.Context, do func(context.Context, Named) error) {
	for _, e := range f.engines {
		err := do(ctx, e)
		if ctx.Err() != nil {
			return
		}
		text := ""
		if k := fault.Of(err); err != nil && k.Kind != fault.Unavailable {
			text = err.Error()
		}
		if text != "" && text != f.told[e.Name] {
			f.log.Warn("keep a search engine in step; it is tried again", "engine", e.Name, "error", err)
		}
		f.told[e.Name] = text
	}
}

// wanted is the space whose vectors engines shall hold.
func (f *Feed) wanted(ctx context.Context) (space string, dims int, err error) {
	list, err := f.spaces.states(ctx)
	for _, i := range list {
		if i.ID != "" && i.State == SpaceServing {
			_, err := fmt.Sscan(i.ID[strings.LastIndexByte(i.ID, '/')+1:], &dims)
			return i.ID, dims, err
		}
	}
	return "", 0, err
}

// tend does what is next for an engine, if anything has changed.
func (f *Feed) tend(ctx context.Context, e Named) error {
	space, dims, err := f.wanted(ctx)
	if err != nil {
		return err
	}
	at, exact := f.now()
	s := f.seen[e.Name]
	if old := time.Since(s.when); exact && s.at == at && s.space == space && old < lookAnyway {
		return nil
	}
	list, err := f.store.EngineGenerations(ctx, e.Name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(g EngineGeneration) bool { return g.Space == space }) {
		if err := f.build(ctx, e.Name, space, dims); err != nil {
			return err
		}
		if list, err = f.store.EngineGenerations(ctx, e.Name); err != nil {
			return err
		}
	}
	waiting := false
	for _, g := range list {
		lacking, err := f.store.UnfedWorkspaces(ctx, g)
		if err != nil {
			return err
		}
		for _, ws := range lacking {
			if _, err := f.store.StartSync(ctx, ws, e.Name, syncRest); err != nil {
				return err
			}
		}
		waiting = waiting || len(lacking) > 0
		if !g.Serving && len(lacking) == 0 {
			if err := f.serve(ctx, e, g); err != nil {
				return err
			}
		}
	}
	if !waiting {
		f.seen[e.Name] = seen{at, space, time.Now()}
	}
	return nil
}

func (f *Feed) now() (moment, bool) {
	n, exact := f.store.Changes()
	f.mu.Lock()
	defer f.mu.Unlock()
	return moment{n, f.version}, exact
}

func (f *Feed) changed() {
	f.mu.Lock()
	f.version++
	f.mu.Unlock()
}

func (f *Feed) build(ctx context.Context, engine, space string, dims int) error {
	f.log.Info("building an index in a search engine", "engine", engine, "space", space)
	defer f.changed()
	return f.store.BuildEngine(ctx, EngineGeneration{Engine: engine, Generation: Generation{Name: "g-" + strings.ToLower(ident.New()), Dims: dims}, Space: space})
}

func (f *Feed) serve(ctx context.Context, e Named, g EngineGeneration) error {
	if err := e.Engine.Ensure(ctx, g.Generation); err != nil {
		return err
	}
	if err := e.Engine.Swap(ctx, g.Name); err != nil {
		return err
	}
	defer f.changed()
	if err := f.store.ServeEngine(ctx, e.Name, g.Name); err != nil {
		return err
	}
	f.log.Info("a search engine has all documents and serves from now on", "engine", e.Name, "space", g.Space)
	return nil
}

// Rebuild lets an engine's index be built anew beside the one that serves.
func (f *Feed) Rebuild(ctx context.Context, engine string) error {
	if !slices.ContainsFunc(f.engines, func(e Named) bool { return e.Name == engine }) {
		return fault.New(fault.NotFound, "engine_not_found", "There is no search engine %q here. Configured are: %s.", engine, strings.Join(f.names(), ", "))
	}
	space, dims, err := f.wanted(ctx)
	if err != nil {
		return err
	}
	defer f.Nudge()
	return f.build(ctx, engine, space, dims)
}

func (f *Feed) names() []string {
	names := []string{EmbeddedName}
	for _, e := range f.engines {
		names = append(names, e.Name)
	}
	return names
}

// probe finds an engine that has lost what it held, as after a new start without its disk.
func (f *Feed) probe(ctx context.Context, e Named) error {
	serving, err := f.serving(ctx, e.Name)
	if err != nil || serving == nil {
		return err
	}
	_, err = e.Engine.Info(ctx)
	if k := fault.Of(err); err == nil || k.Code != "engine_empty" {
		return err
	}
	f.log.Warn("a search engine has lost its index, which is built again", "engine", e.Name)
	return f.build(ctx, e.Name, serving.Space, serving.Dims)
}

func (f *Feed) serving(ctx context.Context, engine string) (*EngineGeneration, error) {
	list, err := f.store.EngineGenerations(ctx, engine)
	for _, g := range list {
		if g.Serving {
			return &g, err
		}
	}
	return nil, err
}

// reconcile compares what an engine holds with what it should. What differs is sent again, and what still differs after that
// lets the whole index be built again.
func (f *Feed) reconcile(ctx context.Context, e Named) error {
	differ, err := f.differences(ctx, e)
	if err != nil {
		return err
	}
	serving, err := f.serving(ctx, e.Name)
	if err != nil || serving == nil {
		return err
	}
	again := map[string]bool{}
	for _, d := range differ {
		key := e.Name + " " + string(d.ws)
		f.log.Warn("a search engine does not hold what it should", "engine", e.Name, "workspace", d.ws, "passages", d.holds.Passages, "of", d.should.Passages)
		if f.doubted[key] {
			delete(f.doubted, key)
			return f.build(ctx, e.Name, serving.Space, serving.Dims)
		}
		again[key] = true
		if err := f.store.Refeed(ctx, *serving, d.ws); err != nil {
			return err
		}
		f.changed()
	}
	f.doubted = again
	return nil
}

type difference struct {
	ws            ident.Workspace
	holds, should Holding
}

// differences between what the generation that serves holds and should hold. Workspaces that are being fed are left out.
func (f *Feed) differences(ctx context.Context, e Named) (list []difference, err error) {
	g, err := f.serving(ctx, e.Name)
	if err != nil || g == nil {
		return nil, err
	}
	before, err := f.store.UnfedWorkspaces(ctx, *g)
	if err != nil {
		return nil, err
	}
	holdings, err := f.store.EngineHoldings(ctx, *g)
	if err != nil {
		return nil, err
	}
	for ws, should := range holdings {
		if slices.Contains(before, ws) {
			continue
		}
		holds, err := e.Engine.Held(ctx, g.Name, ws)
		if err != nil {
			return nil, err
		}
		if holds != should {
			list = append(list, difference{ws, holds, should})
		}
	}
	after, err := f.store.UnfedWorkspaces(ctx, *g)
	return slices.DeleteFunc(list, func(d difference) bool { return slices.Contains(after, d.ws) }), err
}

// Check compares what each engine holds with what it should. The problems are for people.
func (f *Feed) Check(ctx context.Context) (problems []string, err error) {
	for _, e := range f.engines {
		g, err := f.serving(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		if g == nil {
			problems = append(problems, fmt.Sprintf("%s: no index is complete yet", e.Name))
			continue
		}
		list, err := f.differences(ctx, e)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", e.Name, err))
		}
		for _, d := range list {
			problems = append(problems, fmt.Sprintf("%s, workspace %s: holds %d passages (sum %016x) of %d (sum %016x); `byline reindex --engine %s` rebuilds it",
				e.Name, d.ws, d.holds.Passages, d.holds.Digest, d.should.Passages, d.should.Digest, e.Name))
		}
	}
	return problems, nil
}

// Behind meets Lag.
func (f *Feed) Behind(ctx context.Context, engine string, ws ident.Workspace, passages int) (Behind, error) {
	at, exact := f.now()
	key := lagKey{engine, ws}
	f.mu.Lock()
	known, ok := f.known[key]
	f.mu.Unlock()
	if ok && exact && known.at == at {
		return known.Behind, nil
	}
	g, err := f.serving(ctx, engine)
	if err != nil || g == nil {
		return Behind{}, err
	}
	b := Behind{Space: g.Space}
	if b.Documents, b.More, err = f.store.Lagging(ctx, *g, ws, passages); err != nil {
		return Behind{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= maxSpoken {
		clear(f.known)
	}
	f.known[key] = lag{at, b}
	return b, nil
}

// Backlogs meets Lag.
func (f *Feed) Backlogs(ctx context.Context) (map[string]Backlog, error) {
	space, _, err := f.wanted(ctx)
	if err != nil {
		return nil, err
	}
	m := map[string]Backlog{}
	for _, e := range f.engines {
		list, err := f.store.EngineGenerations(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		b := Backlog{Building: !slices.ContainsFunc(list, func(g EngineGeneration) bool { return g.Serving && g.Space == space })}
		for _, g := range list {
			unfed, refused, err := f.store.EngineBacklog(ctx, g)
			if err != nil {
				return nil, err
			}
			b.Pending, b.Dead = max(b.Pending, unfed), max(b.Dead, refused)
		}
		m[e.Name] = b
	}
	return m, nil
}

// SyncInput is what a sync run is asked for.
type SyncInput struct {
	Engine string `json:"engine"`
}

// What is read, sent and written at a time.
const (
	feedDocuments = 100
	feedPassages  = 500
)

// Handle sends an engine what it lacks of a workspace. It is the handler of sync runs: what was sent is written down
// document by document, so that another try goes on behind it.
func (f *Feed) Handle(ctx context.Context, job *runs.Job) (any, error) {
	defer f.Nudge()
	name := job.Run().Subject.ID
	i := slices.IndexFunc(f.engines, func(e Named) bool { return e.Name == name })
	if i < 0 {
		return nil, fault.New(fault.Invalid, "engine_missing", "The search engine %s is not configured any more.", name)
	}
	list, err := f.store.EngineGenerations(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := job.Emit(ctx, runs.NewEvent{Type: runs.EventStepStarted, Data: runs.StepEvent{Step: "sync"}}); err != nil {
		return nil, err
	}
	s := &feeding{Feed: f, job: job, engine: f.engines[i].Engine, vectorsOnly: f.engines[i].VectorsOnly}
	for _, g := range list {
		if err := s.engine.Ensure(ctx, g.Generation); err != nil {
			return nil, err
		}
		s.generation = g
		if err := s.all(ctx); err != nil {
			return nil, err
		}
	}
	if s.refused != "" {
		return nil, fault.New(fault.Invalid, "engine_refused", "%s refuses passages of %d documents: %s. They are found with the built-in index; requeue this run to send them again.",
			name, s.refusals, s.refused)
	}
	return map[string]int{"documents": s.done}, job.Emit(ctx, runs.NewEvent{Type: runs.EventStepCompleted, Data: runs.StepEvent{Step: "sync", Done: s.done, Of: s.done}})
}

// feeding is one run's work on one generation.
type feeding struct {
	*Feed
	job         *runs.Job
	engine      Engine
	vectorsOnly bool
	generation  EngineGeneration
	done        int
	refusals    int
	refused     string // why, of the first
}

func (s *feeding) all(ctx context.Context) error {
	ws, after := s.job.Run().Workspace, ""
	for {
		list, err := s.store.Unfed(ctx, s.generation, ws, after, feedDocuments)
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].DocumentID
		for len(list) > 0 {
			n, err := s.some(ctx, ws, list)
			if err != nil {
				return err
			}
			list = list[n:]
		}
		progress := runs.NewEvent{Type: runs.EventStepProgress, Data: runs.StepEvent{Step: "sync", Done: s.done}}
		if err := s.job.Emit(ctx, progress); err != nil {
			return err
		}
	}
}

// some sends the first documents of a list, as many as make a batch, and tells how many.
func (s *feeding) some(ctx context.Context, ws ident.Workspace, list []Unfed) (n int, err error) {
	var ops []Operation
	var rows []Fed
	for n < len(list) && len(ops) < feedPassages {
		own, row, err := s.operations(ctx, ws, list[n])
		if err != nil {
			return 0, err
		}
		ops, rows = append(ops, own...), append(rows, row)
		n++
	}
	// First the intent: what is sent is known even if nothing after this line happens.
	intent := make([]Fed, n)
	for i, r := range rows {
		intent[i] = Fed{DocumentID: r.DocumentID, IDs: unite(list[i].Held, r.IDs)}
	}
	if err := s.store.PutFed(ctx, s.job.Lease(), s.generation, intent); err != nil {
		return 0, err
	}
	for part := range slices.Chunk(ops, feedPassages) {
		failed, err := s.engine.Apply(ctx, s.generation.Name, ws, part)
		if err != nil {
			return 0, err
		}
		s.subtract(rows, part, failed)
	}
	err = s.store.PutFed(ctx, s.job.Lease(), s.generation, rows)
	s.changed()
	s.done += n
	return n, err
}

// operations make the generation hold a document as it is now. row is what it then holds.
func (s *feeding) operations(ctx context.Context, ws ident.Workspace, u Unfed) (ops []Operation, row Fed, err error) {
	row = Fed{DocumentID: u.DocumentID}
	var passages []document.Passage
	if u.Generation > 0 {
		passages, _, err = s.store.Passages(ctx, ws, u.DocumentID, 0, math.MaxInt32)
		if err != nil && !errors.Is(err, fault.Missing("document")) {
			return nil, row, err
		}
		row.Generation, row.Meant = u.Generation, u.Meant
	}
	for _, p := range passages {
		row.IDs = append(row.IDs, p.ID)
	}
	if len(passages) == 0 {
		row.Generation = 0 // gone
	}
	for _, id := range u.Held {
		if !slices.Contains(row.IDs, id) {
			ops = append(ops, Operation{PassageID: id, DocumentID: u.DocumentID, Delete: true})
		}
	}
	vectors := map[string][]float32{}
	if u.Meant && s.generation.Space != "" && len(row.IDs) > 0 {
		if vectors, err = s.store.Vectors(ctx, s.generation.Space, row.IDs); err != nil {
			return nil, row, err
		}
	}
	for _, p := range passages {
		o := Operation{PassageID: p.ID, DocumentID: p.DocumentID, Terms: termsOf(p), Vector: vectors[p.ID]}
		if o.Vector == nil && s.vectorsOnly {
			if slices.Contains(u.Held, p.ID) { // it had one in an earlier state
				ops = append(ops, Operation{PassageID: p.ID, DocumentID: p.DocumentID, Delete: true})
			}
			continue
		}
		o.Hash = o.sum()
		row.Passages++
		row.Digest += o.Hash
		ops = append(ops, o)
	}
	return ops, row, nil
}

// subtract takes what was refused out of what documents have.
func (s *feeding) subtract(rows []Fed, sent []Operation, failed []Rejected) {
	for _, r := range failed {
		i := slices.IndexFunc(sent, func(o Operation) bool { return o.PassageID == r.PassageID })
		if i < 0 || sent[i].Delete {
			continue
		}
		row := &rows[slices.IndexFunc(rows, func(f Fed) bool { return f.DocumentID == sent[i].DocumentID })]
		if row.Refused == "" {
			s.refusals++
		}
		row.Passages--
		row.Digest -= sent[i].Hash
		row.Refused = r.Reason
		if s.refused == "" {
			s.refused = r.Reason
		}
	}
}

// termsOf gives the terms of a passage as Encode has them: headings count as words of their passages.
func termsOf(p document.Passage) (terms []string) {
	for _, text := range append([]string{p.Text}, p.HeadingPath...) {
		for _, t := range lexical.Analyze(text, p.Language) {
			terms = append(terms, t.Term)
		}
	}
	return terms
}

// sum is the hash of what an operation puts (64 bits FNV-1a).
func (o Operation) sum() uint64 {
	h := fnv.New64a()
	word := func(s string) {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	word(o.PassageID)
	word(o.DocumentID)
	for _, t := range o.Terms {
		word(t)
	}
	for _, v := range o.Vector {
		b := math.Float32bits(v)
		h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
	}
	return h.Sum64()
}

// unite joins ids without repeating any.
func unite(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
