// Package agent writes posts: a run goes through a graph of nodes, from survey over plan, gather, write, verify and repair to finish,
// with a model or without one, and what a node has done is not done again.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/search"
)

// Documents is what the writer reads. All is scoped by workspace; what is gone is fault.Missing("document").
type Documents interface {
	// Named gives those of the ids that exist, in the order asked.
	Named(ctx context.Context, ws ident.Workspace, ids []string) ([]document.Document, error)
	// Text gives up to limit bytes of the text from a byte offset (cut at a rune's border), and the text's length.
	Text(ctx context.Context, ws ident.Workspace, id string, start, limit int) (text string, length int, err error)
	// Elements gives all elements in order.
	Elements(ctx context.Context, ws ident.Workspace, id string) ([]extract.Element, error)
	// Passages gives a page of passages from an ord on.
	Passages(ctx context.Context, ws ident.Workspace, id string, from, limit int) (page []document.Passage, total int, err error)
	// BeingRead gives those of the ids whose processing is under way, or waits for its turn.
	BeingRead(ctx context.Context, ws ident.Workspace, ids []string) ([]string, error)
}

// Versions takes what was written; draft.Store is one.
type Versions interface {
	// AddVersion is the fenced write of a run. The same content of the same run again adds nothing and gives the version
	// that is there.
	AddVersion(ctx context.Context, l runs.Lease, r draft.Result, events ...runs.NewEvent) (draft.Version, error)
	// AddSources adds documents to those that the run's draft is written from.
	AddSources(ctx context.Context, l runs.Lease, documentIDs []string) error
}

// Searcher finds evidence.
type Searcher interface {
	Search(ctx context.Context, q search.Question) (search.Answer, error)
	// Ask answers in the words of the sources, without a model.
	Ask(ctx context.Context, q search.Question) (search.Reply, error)
}

// Models gives the model that a run writes with; llm.Catalog is one. No model at all is nil: then the writer extracts.
type Models interface {
	Model(ctx context.Context, r llm.Ref) (llm.Model, error)
}

// Options are what a Writer needs.
type Options struct {
	Versions  Versions
	Proposals Proposals // of refinements
	Documents Documents
	Searcher  Searcher
	Models    Models  // nil: none
	Web       *Web    // nil: none
	Tools     Toolbox // nil: none
	// Sessions and Drafting are what a conversation needs; nil where there is none.
	Sessions Sessions
	Drafting Drafting
	// Judgements keeps what models say of claims; nil: they are not asked.
	Judgements Judgements
	Parallel   int // sections that are written at the same time; 0 is 4
	Busy       int // rounds that read their sources or extract at the same time; 0 is 4
	// Patience is how long a conversation waits for the answer to a question that it asks; 0 is a week.
	Patience time.Duration
	Flag     bool // leave sentences that are not found in the sources in the post, marked by their verdict, instead of cutting them
}

// Writer writes drafts. Without a model it puts them together from whole sentences, list items and tables of the sources. It is safe
// for concurrent use.
type Writer struct {
	Options
	busy chan struct{} // places of those that keep a processor busy; a writer that waits for a model has none
}

// New makes a writer.
func New(o Options) *Writer {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Busy <= 0 {
		o.Busy = 4
	}
	if o.Patience <= 0 {
		o.Patience = 7 * 24 * time.Hour
	}
	return &Writer{o, make(chan struct{}, o.Busy)}
}

// work does what keeps a processor busy, when there is a place.
func (w *Writer) work(ctx context.Context, do func() error) error {
	select {
	case w.busy <- struct{}{}:
		defer func() { <-w.busy }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Result is what a generate run tells at its end.
type Result struct {
	DraftID   string `json:"draft_id"`
	Version   int    `json:"version"`
	Words     int    `json:"words"`
	Sentences int    `json:"sentences"` // claims of the body that can be checked: sentences, items, rows or tables
	Cited     int    `json:"cited"`     // those that were found in their source
}

// errChanged ends a round: a source was deleted or extracted anew while it went on.
var errChanged = errors.New("sources changed")

// Handle does a generate run.
//
// A round works on the sources as they are. When one of them goes, or its text is replaced, while the round goes on, what was
// streamed is taken back and another round begins with those that are left.
func (w *Writer) Handle(ctx context.Context, job *runs.Job) (any, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestRun, fault.New(fault.Invalid, "took_too_long", "The writing took more than %s and was ended. The draft keeps what was written; shorten the post, or choose a faster model.", longestRun))
	defer cancel()
	result, err := w.handle(ctx, job)
	if err != nil && ctx.Err() != nil {
		if late, ok := errors.AsType[*fault.Error](context.Cause(ctx)); ok {
			return nil, late.Because(err)
		}
	}
	return result, err
}

// longestRun is how long a writer may work on a post at a stretch; the time that a person takes to answer does not count.
const longestRun = 2 * time.Hour

func (w *Writer) handle(ctx context.Context, job *runs.Job) (any, error) {
	var wish draft.Wish
	if err := json.Unmarshal(job.Run().Input, &wish); err != nil {
		return nil, fmt.Errorf("read wish: %w", err)
	}
	for {
		docs, err := w.sources(ctx, job, wish)
		if err != nil {
			return nil, err
		}
		r := &round{writer: w, job: job, wish: wish, docs: docs, texts: map[string]*source{}}
		result, err := r.do(ctx)
		if !errors.Is(err, errChanged) {
			return result, err
		}
	}
}

// sources are the documents of a wish that are there and have a text.
func (w *Writer) sources(ctx context.Context, job *runs.Job, wish draft.Wish) ([]document.Document, error) {
	docs, err := w.Documents.Named(ctx, job.Run().Workspace, wish.DocumentIDs)
	if err != nil {
		return nil, fmt.Errorf("name sources: %w", err)
	}
	var ready []document.Document
	for _, d := range docs {
		if d.Generation > 0 {
			ready = append(ready, d)
		}
	}
	if len(ready) == 0 {
		return nil, fault.New(fault.Invalid, "no_sources", "None of the documents that this post was to be written from is there any more. Upload them again, or choose others.")
	}
	return ready, nil
}

// state names the sources and their texts, so that a change of either shows.
func state(docs []document.Document) string {
	var b strings.Builder
	for _, d := range docs {
		fmt.Fprintf(&b, "%s@%d ", d.ID, d.Generation)
	}
	return b.String()
}

// begin finds out which round this is: the first one has plain keys; the steps of a later one bear a mark of its sources,
// and it takes back what the one before streamed.
func (r *round) begin(ctx context.Context) error {
	first := struct {
		State string   `json:"state"`
		IDs   []string `json:"ids"`
	}{}
	now := state(r.docs)
	err := r.job.Once(ctx, "sources", &first, func(context.Context) ([]runs.NewEvent, error) {
		first.State = now
		for _, d := range r.docs {
			first.IDs = append(first.IDs, d.ID)
		}
		var events []runs.NewEvent
		if gone := len(r.wish.DocumentIDs) - len(r.docs); gone > 0 {
			events = append(events, notice("source_deleted", "%d of the documents that were named are not there any more; the post is written from the others.", gone))
		}
		return events, nil
	})
	if err != nil || first.State == now {
		return err
	}
	h := fnv.New32a()
	h.Write([]byte(now))
	r.prefix = fmt.Sprintf("%08x/", h.Sum32())
	var again struct{}
	return r.job.Once(ctx, r.prefix+"again", &again, func(context.Context) ([]runs.NewEvent, error) {
		text := notice("source_changed", "A source was processed anew while the post was written; it is begun again with the new text.")
		if gone := len(first.IDs) - len(r.docs); gone > 0 {
			text = notice("source_deleted", "A source was deleted while the post was written; it is begun again without it.")
		}
		return []runs.NewEvent{{Type: runs.EventReset, Data: runs.Reset{Channel: channel}}, text}, nil
	})
}

// unchanged tells errChanged when the sources are not what they were at the begin of the round.
func (r *round) unchanged(ctx context.Context) error {
	if r.held != nil {
		return r.held(ctx)
	}
	docs, err := r.writer.sources(ctx, r.job, r.wish)
	if err != nil {
		return err
	}
	if state(docs) != state(r.docs) {
		return errChanged
	}
	for id, found := range r.texts { // pages of the web and other texts that the wish does not name
		now, err := r.writer.Documents.Named(ctx, r.job.Run().Workspace, []string{id})
		if err != nil {
			return fmt.Errorf("name source: %w", err)
		}
		if len(now) == 0 || now[0].Generation != found.doc.Generation {
			return errChanged
		}
	}
	return nil
}

func notice(code, detail string, args ...any) runs.NewEvent {
	return runs.NewEvent{Type: runs.EventNotice, Data: runs.Notice{Code: code, Detail: fmt.Sprintf(detail, args...)}}
}
