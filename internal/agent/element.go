package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"byline/internal/document"
	"byline/internal/engine/extract"
	"byline/internal/runs"
	"byline/internal/session"
)

// The bounds of waiting for documents that were just dropped into a session: how often it is looked, and how long.
const (
	lookAgain       = 200 * time.Millisecond
	longestDocument = 10 * time.Minute
)

// awaitDocuments waits until documents are read that came with the message, or before it: who drops a file and asks means that file. What
// takes too long, or can't be read, is left out, and that is told. key names the step.
func (t *talking) awaitDocuments(ctx context.Context, key string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	ws := t.job.Run().Workspace
	var waited struct{}
	return t.Once(ctx, key, &waited, func(ctx context.Context) ([]runs.NewEvent, error) {
		end := time.Now().Add(longestDocument)
		for told := false; ; told = true {
			open, err := t.writer.Documents.BeingRead(ctx, ws, ids)
			if err != nil {
				return nil, fmt.Errorf("look for documents that are being read: %w", err)
			}
			if len(open) == 0 || time.Now().After(end) {
				return t.unread(ctx, ids)
			}
			if !told {
				if err := t.job.Emit(ctx, notice("documents_wait", "%d document(s) are still being read; the answer waits for them.", len(open))); err != nil {
					return nil, err
				}
			}
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(lookAgain):
			}
		}
	})
}

// unread tells which documents have no text that could be used.
func (t *talking) unread(ctx context.Context, ids []string) (events []runs.NewEvent, err error) {
	docs, err := t.writer.Documents.Named(ctx, t.job.Run().Workspace, ids)
	if err != nil {
		return nil, fmt.Errorf("name documents: %w", err)
	}
	for _, d := range docs {
		if d.Generation == 0 {
			events = append(events, notice("document_unread", "%s is left out: it is %s.", d.Filename, d.Status))
		}
	}
	return events, nil
}

// tasksElement is the data of an element of the type tasks: the list is made of the run's log whenever it is read.
type tasksElement struct {
	RunID   string `json:"run_id"`
	DraftID string `json:"draft_id"`
}

// mostPages is how many pages an answer shows.
const mostPages = 6

// elements are what is shown with the answer: how far a post has come that it began, and the pages that it cites.
func (t *talking) elements(ctx context.Context) ([]session.Element, error) {
	var list []session.Element
	if r := t.talk.Result; r != nil && r.RunID != "" {
		data, err := json.Marshal(tasksElement{r.RunID, t.talk.DraftID})
		if err != nil {
			return nil, err
		}
		list = append(list, session.Element{Type: session.ElementTasks, Name: t.words().tasks, Display: session.Inline, Data: data})
	}
	var ids []string
	for _, c := range t.talk.Cites {
		for _, s := range c.Spans {
			if s.Page > 0 && !slices.Contains(ids, s.DocumentID) {
				ids = append(ids, s.DocumentID)
			}
		}
	}
	if len(ids) == 0 {
		return list, nil
	}
	docs, err := t.writer.Documents.Named(ctx, t.job.Run().Workspace, ids)
	if err != nil {
		return nil, fmt.Errorf("name cited documents: %w", err)
	}
	for _, c := range t.talk.Cites {
		for _, s := range c.Spans {
			i := slices.IndexFunc(docs, func(d document.Document) bool { return d.ID == s.DocumentID && d.Type == string(extract.PDF) })
			if i < 0 || s.Page == 0 || len(list) > mostPages || slices.ContainsFunc(list, func(e session.Element) bool { return e.DocumentID == s.DocumentID && e.Page == s.Page }) {
				continue
			}
			list = append(list, session.Element{Type: session.ElementPDF, Name: docs[i].Filename, Display: session.Side, DocumentID: s.DocumentID, Page: s.Page})
		}
	}
	return list, nil
}
