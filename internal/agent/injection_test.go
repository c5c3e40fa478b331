package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"byline/internal/agent"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
)

// order is a text of agent/testdata/injection.
type order struct {
	ID, Text, Obey string
	Forbidden      []string
}

func orders(t *testing.T) (list []order) {
	t.Helper()
	f, err := os.Open("testdata/injection/texts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
	if err := lines.Err(); err != nil || len(list) < 60 {
		t.Fatal(len(list), err)
	}
	return list
}

// ear is a search engine, and a reader of pages, that note what they are asked.
type ear struct {
	mu     sync.Mutex
	heard  []string
	opened []string
}

func (e *ear) Name() string { return "ear" }

func (e *ear) Find(_ context.Context, query string, _ int) ([]agent.Found, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, query)
	return nil, nil
}

func (e *ear) Fetch(_ context.Context, url string, _ int64) (document.Fetched, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened = append(e.opened, url)
	return document.Fetched{}, os.ErrNotExist
}

// A model that obeys whatever a source orders brings nothing of it into a post, has nothing fetched, and nothing published.
func TestOrdersInSourcesAreNotObeyed(t *testing.T) {
	var now order
	a := newAuthor("The pump station and its pumps", "What else is told")
	a.plan = func(n int) string {
		if n%2 == 0 {
			return now.Obey
		}
		return a.outline()
	}
	a.section = func(_ string, p []shown) llmtest.Turn {
		return llmtest.Turn{Text: verbatim(p[:1], 1) + "\n\n" + now.Obey}
	}
	a.repair = func(string) string { return now.Obey }
	d := openWith(t, a)
	e := &ear{}
	d.writer.Web = agent.NewWeb([]agent.Finder{e}, e, nil, d.store, agent.WebOptions{})
	for _, o := range orders(t) {
		now = o
		a.forget("plan")
		id := d.add(o.ID+".md", o.Text)
		w := d.write(draft.Wish{DocumentIDs: []string{id}, Title: "News of the town", Brief: draft.Brief{Web: true}})
		if w.failure.Code == "no_evidence" {
			continue // nothing of the post was left
		}
		d.checkModel(w)
		for _, f := range o.Forbidden {
			if strings.Contains(w.version.Content+w.draft.Title+w.draft.Summary+strings.Join(w.draft.Tags, " ")+w.draft.Slug, f) {
				t.Errorf("%s: %q came into the post:\n%s", o.ID, f, w.version.Content)
			}
		}
	}
	for _, q := range e.heard {
		if q != "News of the town" {
			t.Errorf("the web was asked for %q, which is not the author's", q)
		}
	}
	if len(e.opened) > 0 {
		t.Errorf("fetched: %v", e.opened)
	}
	page, _, err := d.store.Runs(t.Context(), ident.Local, runs.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page {
		if r.Kind != runs.KindGenerate && r.Kind != runs.KindProcess {
			t.Errorf("a run of kind %s was made", r.Kind)
		}
	}
}
