package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"byline/internal/eval"
	"byline/internal/fault"
)

// examined is a library that holds the documents of a set, and nothing else.
type examined struct {
	cl     *client
	ui     *progress
	ids    map[string][]string // ids of the set by the library's; the same text may be there under several
	unused []unused
}

// uploaders is how many documents of a set are sent at the same time: those that wait together are written together.
const uploaders = 8

// takeIn uploads the documents and waits until all are found by words and by meaning.
func (x *examined) takeIn(ctx context.Context, documents []eval.Document) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	var sending sync.WaitGroup
	next := 0
	for range uploaders {
		sending.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				n := next
				next++
				if n < len(documents) {
					x.ui.say("taking in", "documents", "", n, len(documents))
				}
				mu.Unlock()
				if n >= len(documents) {
					return
				}
				d := documents[n]
				text := asText(d)
				if text == "" {
					continue // there are such in public sets; nobody can find them
				}
				doc, _, err := x.cl.uploadFrom(ctx, fmt.Sprintf("%d.txt", n), io.NopCloser(strings.NewReader(text)))
				if err != nil {
					stop(ofDocument(d.ID, err))
					return
				}
				mu.Lock()
				x.ids[doc.ID] = append(x.ids[doc.ID], d.ID)
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return x.settle(ctx)
}

// ofDocument says which document of the set an error is about.
func ofDocument(id string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.New(f.Kind, f.Code, "Document %s could not be taken in: %s", id, f.Say).Because(err)
	}
	return fmt.Errorf("take in document %s: %w", id, err)
}

// asText is a document as a file: the title, underlined so that it is read as a heading, and the text.
func asText(d eval.Document) string {
	title, text := strings.Join(strings.Fields(d.Title), " "), strings.TrimSpace(d.Text)
	if title == "" || text == "" {
		return title + text
	}
	return title + "\n" + strings.Repeat("=", max(3, utf8.RuneCountInString(title))) + "\n\n" + text + "\n"
}

// settle waits until no document is being processed any more.
func (x *examined) settle(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	before, moved := -1, time.Now()
	for {
		left, err := x.count(ctx, "pending", "processing")
		if err != nil {
			return err
		}
		if left == 0 {
			return x.failures(ctx)
		}
		if left != before {
			before, moved = left, time.Now()
		} else if time.Since(moved) > patience {
			if err := x.cl.wellness(ctx); err != nil {
				return err
			}
			moved = time.Now()
		}
		x.ui.say("reading", "documents", "", len(x.ids)-left, len(x.ids))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// listed is a page of the library's documents.
type listed struct {
	Documents []document `json:"documents"`
	Total     int        `json:"total"`
	Next      *string    `json:"next"`
}

func (x *examined) count(ctx context.Context, states ...string) (int, error) {
	n := 0
	for _, state := range states {
		var page listed
		if err := x.cl.call(ctx, "GET", "/api/v1/documents?limit=1&status="+state, nil, &page); err != nil {
			return 0, err
		}
		n += page.Total
	}
	return n, nil
}

// failures notes the documents that could not be read. When none could, there is nothing to measure.
func (x *examined) failures(ctx context.Context) error {
	path := "/api/v1/documents?limit=200&status=failed"
	for cursor := ""; ; {
		var page listed
		if err := x.cl.call(ctx, "GET", path+cursor, nil, &page); err != nil {
			return err
		}
		for _, d := range page.Documents {
			x.unused = append(x.unused, unused{Path: strings.Join(x.ids[d.ID], ", "), Reason: d.ErrorMessage})
		}
		if page.Next == nil {
			break
		}
		cursor = "&cursor=" + *page.Next
	}
	if len(x.unused) == len(x.ids) {
		return fault.New(fault.Invalid, "bad_set", "None of the set's documents could be used.")
	}
	return nil
}

// maxQuestion is the longest query that the interface takes, in bytes; a longer one is cut.
const maxQuestion = 2000

// search is an eval.Searcher: a document stands where its best passage does.
func (x *examined) search(ctx context.Context, way eval.Way, question string, k int) (eval.Found, error) {
	if len(question) > maxQuestion {
		question = strings.ToValidUTF8(question[:maxQuestion], "")
	}
	ask := map[string]any{"query": question, "top_k": k, "mode": way.Mode(), "max_per_document": 1}
	if way.Fusion() != "" {
		ask["fusion"] = way.Fusion()
	}
	var answer struct {
		Results  []hit    `json:"results"`
		Degraded []string `json:"degraded"`
	}
	if err := x.cl.call(ctx, "POST", "/api/v1/documents/search", ask, &answer); err != nil {
		return eval.Found{}, err
	}
	found := eval.Found{Degraded: answer.Degraded}
	for _, h := range answer.Results {
		found.Documents = append(found.Documents, x.ids[h.DocumentID]...)
	}
	return found, nil
}
