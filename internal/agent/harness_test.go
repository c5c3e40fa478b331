package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/agent"
	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/driver/localfs"
	"byline/internal/engine/embed"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/ident"
	"byline/internal/ingest"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/session"
	"byline/internal/store"
)

// desk is a library with a writer on a real store.
type desk struct {
	t         *testing.T
	store     *store.Store
	drafts    *draft.Service
	documents *document.Service
	sessions  *session.Service
	worker    *runs.Worker
	writer    *agent.Writer
	ended     chan string                                   // runs that ended
	over      map[string]bool                               // those of them that were noticed
	other     func(context.Context, *runs.Job) (any, error) // does runs of the kind sync, for tests of what any run can do
	hooks     hooks
	talk      func(context.Context, *runs.Job) (any, error) // does refine runs in the place of the writer
}

// hooks stand between the writer and the store, to make things happen in the midst of a run.
type hooks struct {
	sync.Mutex
	search     func() error
	addVersion func() error            // behind the version
	event      func(kind string) error // before it is written
}

func (h *hooks) call(which *func() error) error {
	h.Lock()
	f := *which
	h.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

// queue is the store with the hook of events.
type queue struct {
	*store.Store
	hooks *hooks
}

func (q queue) Append(ctx context.Context, l runs.Lease, events ...runs.NewEvent) (int64, error) {
	q.hooks.Lock()
	f := q.hooks.event
	q.hooks.Unlock()
	for _, e := range events {
		if f == nil {
			break
		}
		if err := f(e.Type); err != nil {
			return 0, err
		}
	}
	return q.Store.Append(ctx, l, events...)
}

func (d *desk) Search(ctx context.Context, q search.Question) (search.Answer, error) {
	if err := d.hooks.call(&d.hooks.search); err != nil {
		return search.Answer{}, err
	}
	return search.New(d.store, search.NewEmbedded(d.store, 1<<20), nil).Search(ctx, q)
}

func (d *desk) Ask(ctx context.Context, q search.Question) (search.Reply, error) {
	if err := d.hooks.call(&d.hooks.search); err != nil {
		return search.Reply{}, err
	}
	return search.New(d.store, search.NewEmbedded(d.store, 1<<20), nil).Ask(ctx, q)
}

func (d *desk) AddSources(ctx context.Context, l runs.Lease, ids []string) error {
	return d.store.Drafts().AddSources(ctx, l, ids)
}

func (d *desk) AddVersion(ctx context.Context, l runs.Lease, r draft.Result, events ...runs.NewEvent) (draft.Version, error) {
	v, err := d.store.Drafts().AddVersion(ctx, l, r, events...)
	if err == nil {
		err = d.hooks.call(&d.hooks.addVersion)
	}
	return v, err
}

// open makes a desk without a model.
func open(t *testing.T) *desk { return openWith(t, nil) }

func openWith(t *testing.T, models agent.Models) *desk {
	t.Helper()
	return openOn(t, store.Options{Path: filepath.Join(t.TempDir(), "byline.db")}, models)
}

func openOn(t *testing.T, o store.Options, models agent.Models) *desk {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := localfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, store: s, ended: make(chan string, 100), over: map[string]bool{}}
	d.drafts = draft.New(s.Drafts(), s)
	d.sessions = session.New(s.Sessions())
	d.documents = document.New(s, blobs, document.Limits{Bytes: 1 << 20})
	pipeline := ingest.New(s, blobs, map[string]ingest.Extractor{
		string(extract.Markdown):  reads(markdown.Extract),
		string(extract.PlainText): reads(extract.Plain),
		string(extract.PDF):       paged,
	}, func(context.Context) ([]embed.Embedder, error) { return nil, nil })
	d.writer = agent.New(agent.Options{Versions: d, Proposals: d.drafts, Drafting: d.drafts, Sessions: d.sessions, Documents: s, Searcher: d, Models: models})
	d.worker = runs.NewWorker(queue{s, &d.hooks}, s.Bus(), runs.WorkerOptions{
		Handlers: map[runs.Kind]runs.Handler{
			runs.KindProcess:  {Do: pipeline.Handle, Limit: 2},
			runs.KindGenerate: {Do: d.writer.Handle, Limit: 2},
			runs.KindQuery:    {Do: d.writer.HandleQuery, Limit: 2},
			runs.KindChat:     {Do: d.writer.HandleChat, Limit: 2},
			runs.KindRefine: {Limit: 2, Do: func(ctx context.Context, job *runs.Job) (any, error) {
				if d.talk != nil {
					return d.talk(ctx, job)
				}
				return d.writer.HandleRefine(ctx, job)
			}},
			runs.KindSync: {Do: func(ctx context.Context, job *runs.Job) (any, error) { return d.other(ctx, job) }, Limit: 1},
		},
		Ended: func(r runs.Run, _ runs.Status) { d.ended <- r.ID },
	})
	d.worker.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		d.worker.Stop(ctx)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func reads(read func(string, extract.Sink) error) ingest.Extractor {
	return func(_ context.Context, f blob.File, size int64, sink extract.Sink) error {
		b := make([]byte, size)
		if _, err := f.ReadAt(b, 0); err != nil {
			return err
		}
		return read(string(b), sink)
	}
}

// paged stands for the PDF engine: each page has a heading and two sentences.
func paged(_ context.Context, _ blob.File, _ int64, sink extract.Sink) error {
	if err := sink.Begin(extract.Info{Title: "Figures of the mill", Pages: 4}); err != nil {
		return err
	}
	for i, noun := range []string{"wheel", "weir", "bakery", "barn"} {
		heading := "The " + noun
		body := fmt.Sprintf("The %s of the mill was repaired for %d euros. It is open to visitors on Sundays in summer.", noun, 1200*(i+1))
		err := sink.Part(extract.Part{
			Text: heading + "\n\n" + body + "\n\n",
			Elements: []extract.Element{
				{Kind: extract.Heading, Level: 2, End: len(heading), Page: i + 1},
				{Kind: extract.Paragraph, Start: len(heading) + 2, End: len(heading) + 2 + len(body), Page: i + 1},
			},
			Page: &extract.Page{Number: i + 1, Width: 595, Height: 842},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wait waits for the end of a run, which may have come before that of one that was waited for.
func (d *desk) wait(runID string) {
	d.t.Helper()
	defer delete(d.over, runID) // it may be tried again
	for !d.over[runID] {
		select {
		case id := <-d.ended:
			d.over[id] = true
		case <-time.After(20 * time.Second):
			d.t.Fatalf("run %s does not end", runID)
		}
	}
}

// add takes a document in and waits until it is processed.
func (d *desk) add(name, text string) string {
	d.t.Helper()
	doc, added, err := d.documents.Take(d.t.Context(), document.Upload{Workspace: ident.Local, Filename: name, Bytes: strings.NewReader(text), Process: true})
	if err != nil {
		d.t.Fatal(err)
	}
	if added {
		d.wait(doc.RunID)
	}
	return doc.ID
}

// examples adds the sources of the repository that need no PDF engine.
func (d *desk) examples() []string {
	d.t.Helper()
	files, err := filepath.Glob("../../examples/*.[mt][dx]*")
	if err != nil || len(files) == 0 {
		d.t.Fatal("no examples", err)
	}
	var ids []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			d.t.Fatal(err)
		}
		ids = append(ids, d.add(filepath.Base(f), string(b)))
	}
	return ids
}

// flag lets what is not found in the sources stay in posts.
func (d *desk) flag() { d.writer.Flag = true }

// question waits until a run asks something.
func (d *desk) question(runID string) runs.Question {
	d.t.Helper()
	for range 400 {
		r, err := d.store.Run(d.t.Context(), ident.Local, runID)
		if err != nil {
			d.t.Fatal(err)
		}
		if r.Question != nil && r.Status == runs.Waiting {
			return *r.Question
		}
		time.Sleep(10 * time.Millisecond) // nothing tells of a question but the log
	}
	d.t.Fatalf("run %s asks nothing", runID)
	return runs.Question{}
}

// written is a draft with its log.
type written struct {
	draft   draft.Draft
	version draft.Version
	log     []runs.Event
	result  agent.Result
	failure runs.Failure
}

// begin starts to write.
func (d *desk) begin(w draft.Wish) (draftID, runID string) {
	d.t.Helper()
	dr, run, err := d.drafts.Generate(d.t.Context(), ident.Local, w, nil, nil, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return dr.ID, run.ID
}

// write writes a post to its end.
func (d *desk) write(w draft.Wish) written {
	d.t.Helper()
	draftID, runID := d.begin(w)
	d.wait(runID)
	return d.read(draftID, runID)
}

func (d *desk) read(draftID, runID string) (out written) {
	d.t.Helper()
	ctx := d.t.Context()
	var err error
	if out.draft, err = d.drafts.Draft(ctx, ident.Local, draftID); err != nil {
		d.t.Fatal(err)
	}
	if out.log, err = d.store.Events(ctx, runID, 0, 100_000); err != nil {
		d.t.Fatal(err)
	}
	last := out.log[len(out.log)-1]
	switch last.Type {
	case runs.EventFailed:
		decode(d.t, last.Data, &out.failure)
		return out
	case runs.EventCompleted:
		decode(d.t, last.Data, &out.result)
	default:
		d.t.Fatalf("the run ended with %s", last.Type)
	}
	if out.version, err = d.drafts.Version(ctx, ident.Local, draftID, out.draft.Version); err != nil {
		d.t.Fatal(err)
	}
	return out
}

func decode(t *testing.T, data json.RawMessage, out any) {
	t.Helper()
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}

// events of a type.
func (w written) events(kind string) (out []runs.Event) {
	for _, e := range w.log {
		if e.Type == kind {
			out = append(out, e)
		}
	}
	return out
}
