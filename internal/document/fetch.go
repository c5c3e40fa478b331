package document

import (
	"context"
	"io"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
)

// Fetched is what was at an address. Whoever gets it closes its Body.
type Fetched struct {
	URL         string // after redirects, without a fragment
	Filename    string // made from the address and the type
	ContentType string // as the server declares it
	FetchedAt   time.Time
	Body        io.ReadCloser // an error of it that people should see is a fault
}

// Fetcher gets what is at an address of the public web. It refuses every other address, whoever asks (url_refused), and is
// asked once for each document.
type Fetcher interface {
	// Fetch gives at most limit bytes; more are file_too_large, told when the body is read.
	Fetch(ctx context.Context, url string, limit int64) (Fetched, error)
}

// Address is a document that is to be fetched.
type Address struct {
	Workspace ident.Workspace
	URL       string
	Process   bool
	Force     bool // a new document although these bytes are there
	Once      *ident.Once
}

// TakeURL fetches what is at an address and takes it in as Take does. The document is what was there at that time, and never
// changes.
func (s *Service) TakeURL(ctx context.Context, from Fetcher, a Address) (doc Document, added bool, err error) {
	page, err := from.Fetch(ctx, a.URL, s.limits.Bytes)
	if err != nil {
		return Document{}, false, err
	}
	defer page.Body.Close() //nolint:errcheck // it was read
	return s.Take(ctx, Upload{Workspace: a.Workspace, Filename: page.Filename, ContentType: page.ContentType, Bytes: page.Body,
		Process: a.Process, Force: a.Force, Once: a.Once, Origin: FromURL, SourceURL: page.URL, FetchedAt: page.FetchedAt})
}

// TakeFound takes in a page that a run found, under the run's lease: a page of its own, or the document that the workspace
// has with the same bytes. The page's body stays the caller's.
func (s *Service) TakeFound(ctx context.Context, l runs.Lease, page Fetched) (doc Document, added bool, err error) {
	return s.Take(ctx, Upload{Workspace: l.Workspace, Filename: page.Filename, ContentType: page.ContentType, Bytes: page.Body,
		Origin: FromWeb, SourceURL: page.URL, FetchedAt: page.FetchedAt, Found: &l})
}
