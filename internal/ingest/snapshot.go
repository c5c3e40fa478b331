package ingest

import (
	"context"
	"time"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// Snapshots keeps pages that runs find on the web: as documents, so that what is cited can be read as it was. It is safe for
// concurrent use.
type Snapshots struct {
	documents *document.Service
	bus       runs.Bus
}

// NewSnapshots makes it. The runs that it adds, of the kind snapshot, are done by Pipeline.Handle.
func NewSnapshots(documents *document.Service, bus runs.Bus) *Snapshots {
	return &Snapshots{documents, bus}
}

// lookAgain is how long a waiting snapshot trusts the bus, which may lose a wake-up.
const lookAgain = 250 * time.Millisecond

// Snapshot makes a page that a run found a document and gives it when it can be found by words. It is fenced by the run's
// lease; the same bytes, or the same address for the same run, give the same document. A page that cannot be read is the
// fault that its processing ended with. The page's body stays the caller's.
func (s *Snapshots) Snapshot(ctx context.Context, l runs.Lease, page document.Fetched) (document.Document, error) {
	d, added, err := s.documents.TakeFound(ctx, l, page)
	if err != nil {
		return document.Document{}, err
	}
	if !added && d.Status == document.Pending { // an upload that nobody has processed yet; a run under way goes on
		if _, _, err := s.documents.Process(ctx, l.Workspace, d.ID, false, "", nil); err != nil {
			return document.Document{}, err
		}
	}
	return s.wait(ctx, l.Workspace, d.ID)
}

// wait waits until a document can be found by words.
func (s *Snapshots) wait(ctx context.Context, ws ident.Workspace, id string) (document.Document, error) {
	woken := make(chan struct{}, 1)
	cancel := s.bus.Subscribe(func([]string) { // which of its runs it is may change
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	defer cancel()
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		d, err := s.documents.Document(ctx, ws, id)
		switch {
		case err != nil:
			return document.Document{}, err
		case d.Generation > 0:
			return d, nil
		case d.Status == document.Failed:
			return document.Document{}, fault.New(fault.Invalid, d.ErrorCode, "%s", d.ErrorMessage)
		}
		select {
		case <-ctx.Done():
			return document.Document{}, ctx.Err()
		case <-woken:
		case <-t.C:
		}
	}
}
