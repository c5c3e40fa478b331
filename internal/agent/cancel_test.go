package agent_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"byline/internal/draft"
	"byline/internal/driver/openai"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// provider is a model behind a real connection.
type provider struct{ endpoint *openai.Endpoint }

func (p provider) Model(context.Context, llm.Ref) (llm.Model, error) {
	return p.endpoint.Open("fake-1"), nil
}

// A cancelled run closes its call of the model within a second, whoever cancels it: this process, or another one on the same database.
func TestCancelReachesTheProvider(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		o := store.Options{Path: filepath.Join(t.TempDir(), "byline.db")}
		cancelReaches(t, o, func(d *desk) *store.Store { return d.store })
	})
	t.Run("postgres, from another replica", func(t *testing.T) {
		o := store.Options{DatabaseURL: storetest.Schema(t)}
		cancelReaches(t, o, func(*desk) *store.Store {
			other, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := other.Close(); err != nil {
					t.Error(err)
				}
			})
			return other
		})
	})
}

func cancelReaches(t *testing.T, o store.Options, from func(*desk) *store.Store) {
	const bar = time.Second
	server := llmtest.New(t, func(c llmtest.Call) llmtest.Reply {
		if c.Format != "" {
			return llmtest.Say(newAuthor("The boiler").outline())
		}
		return llmtest.Say("The boiler of the library dates from 1987 and has been repaired twice.").After(6, llmtest.Stall)
	})
	endpoint, err := openai.New(openai.OpenAI(server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	d := openOn(t, o, provider{endpoint})
	canceller := from(d)
	doc := d.add("boiler.md", "# The boiler\n\nThe boiler of the library dates from 1987 and has been repaired twice. A new boiler costs 48,000 euros.\n")
	draftID, runID := d.begin(draft.Wish{DocumentIDs: []string{doc}})
	server.WaitCalls(2, 10*time.Second) // the plan, and the section that stalls
	began := time.Now()
	if r, err := canceller.Cancel(t.Context(), ident.Local, runID); err != nil || r.Status != runs.Cancelled {
		t.Fatalf("cancelled: %s, %v", r.Status, err)
	}
	if took := server.WaitLeft(1, 5*time.Second).Sub(began); took > bar {
		t.Errorf("the provider's connection was closed %v after the run was cancelled, not within %v", took, bar)
	}
	log, err := canceller.Events(t.Context(), runID, 0, 1000)
	if err != nil || log[len(log)-1].Type != runs.EventCancelled {
		t.Errorf("the log ends with %s, %v", log[len(log)-1].Type, err)
	}
	if dr, err := d.drafts.Draft(t.Context(), ident.Local, draftID); err != nil || dr.Status == draft.Generating {
		t.Errorf("the draft is %s, %v", dr.Status, err)
	}
	if n := server.Count(); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}
}
