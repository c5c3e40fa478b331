// Package document is what was uploaded: its bytes, its state, its text, its pages and its passages.
package document

import (
	"context"
	"time"

	"byline/internal/engine/extract"
	"byline/internal/ident"
	"byline/internal/runs"
)

// TypePDF is the type of the documents that have pages.
const TypePDF = string(extract.PDF)

// Status of a document.
type Status string

// The states of a document.
const (
	Pending    Status = "pending"
	Processing Status = "processing"
	Completed  Status = "completed"
	Failed     Status = "failed"
)

// Stage is how far processing has come; each is durable, and a retry begins after the last one.
type Stage string

// The stages, in order.
const (
	Stored    Stage = "stored"
	Extracted Stage = "extracted"
	Chunked   Stage = "chunked"
	Indexed   Stage = "indexed"  // found by words
	Embedded  Stage = "embedded" // found by meaning, too, where there is an embedder: the end
)

// Progress of the current stage.
type Progress struct {
	Done, Of int
}

// Origin says how a document came here.
type Origin string

// The origins of documents.
const (
	FromUpload Origin = "upload"
	FromURL    Origin = "url" // fetched because a person named its address
	FromWeb    Origin = "web" // found by a web search of a run, and kept before it was cited
)

// Document is what was uploaded, or a page of the web as it was at the time it was fetched.
type Document struct {
	ID           string
	Workspace    ident.Workspace
	Filename     string // display text only
	Type         string // file_type of the wire: pdf, markdown, text ...
	Size         int64
	SHA256       string // hex
	Blob         string // key
	Title        string
	Origin       Origin
	SourceURL    string    // where it was fetched from, after redirects; empty for uploads
	FetchedAt    time.Time // zero for uploads
	Author       string    // as the document itself says; often empty
	PublishedAt  time.Time // likewise; often zero
	Status       Status
	Stage        Stage
	Generation   int64 // of the artefacts that readers see: text, pages, passages; 0 before the first
	Progress     *Progress
	PageCount    int
	PassageCount int
	Language     string // ISO 639-1, empty when unknown
	ErrorCode    string
	ErrorMessage string
	Tags         []string
	RunID        string // its last run
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Passage is the unit of retrieval: a contiguous piece of a document's text. It is born in ingest and never changes.
type Passage struct {
	ID          string
	DocumentID  string
	Ord         int // 0, 1, 2 ... within the document
	Text        string
	Start, End  int // UTF-8 byte offsets in the document's text
	PageFrom    int // 1-based; 0 where there are no pages
	PageTo      int
	HeadingPath []string
	Hash        string // hex, of the text
	Language    string
}

// Box is a rectangle on a page, in points from its top left corner.
type Box struct {
	Page           int
	X0, Y0, X1, Y1 float32
}

// Filter of List; zero fields do not filter. Cursor is the id of the last document of the page before.
type Filter struct {
	Status Status
	Type   string
	Tag    string
	Origin Origin
	Query  string // in file name or title, case ignored
	Cursor string
	Limit  int
}

// Patch changes what people may change; nil leaves a field as it is.
type Patch struct {
	Title *string
	Tags  *[]string
}

// Deleted tells what a deletion left: the drafts that hold text of the document.
type Deleted struct {
	Drafts []DraftRef
}

// DraftRef names a draft.
type DraftRef struct {
	ID, Title string
}

// Store of documents. Each method is one transaction; all is scoped by workspace, and what is not there, or another's,
// is fault.Missing("document").
type Store interface {
	// Add creates a document, with its run when processing is wanted. Bytes that the workspace has already give that
	// document (added == false) unless force. A repeated once gives the document it made the first time.
	Add(ctx context.Context, d Document, process bool, force bool, once *ident.Once) (doc Document, added bool, err error)
	// AddFound is the fenced write of a run that found a page: it adds the document with a run of the kind snapshot. Bytes that
	// the workspace has already give that document (added == false), and so does an address that the same run has added before.
	AddFound(ctx context.Context, l runs.Lease, d Document) (doc Document, added bool, err error)
	Document(ctx context.Context, ws ident.Workspace, id string) (Document, error)
	// Named gives those of the ids that exist in the workspace, in the order asked.
	Named(ctx context.Context, ws ident.Workspace, ids []string) ([]Document, error)
	Documents(ctx context.Context, ws ident.Workspace, f Filter) (page []Document, total int, err error)
	Update(ctx context.Context, ws ident.Workspace, id string, p Patch) (Document, error)
	// Process starts a run. One that is under way is returned instead (started == false), as is the last one of a
	// completed document that is not forced. from names the stage to begin with ("" resumes at the failed one);
	// forced work goes to a new generation, and readers see the old one until it is complete.
	Process(ctx context.Context, ws ident.Workspace, id string, force bool, from Stage, once *ident.Once) (r runs.Run, started bool, err error)
	// Text gives up to limit bytes of the text from a byte offset (cut at a rune's border), and the text's length.
	Text(ctx context.Context, ws ident.Workspace, id string, start, limit int) (text string, length int, err error)
	// Passages gives a page of passages from an ord on.
	Passages(ctx context.Context, ws ident.Workspace, id string, from, limit int) (page []Passage, total int, err error)
	// Passage gives one of a document that is there; else it is fault.Missing("passage").
	Passage(ctx context.Context, ws ident.Workspace, id string) (Passage, error)
	// Page gives one page with its words.
	Page(ctx context.Context, ws ident.Workspace, id string, number int) (extract.Page, error)
	// Elements gives all elements in order.
	Elements(ctx context.Context, ws ident.Workspace, id string) ([]extract.Element, error)
	// Delete makes the document unreachable everywhere at once; what is left of it is swept within 60 s.
	Delete(ctx context.Context, ws ident.Workspace, id string, purgeQuotes bool) (Deleted, error)
	// Sweep removes, in small slices of the bulk lane, what deletions and replaced generations left: rows, event payloads and
	// steps that hold a document's text, and blobs by remove. It tells how much of the trash is left.
	Sweep(ctx context.Context, remove func(ctx context.Context, blob string) error) (left int, err error)
	// Changes counts the commits that changed documents, of all workspaces. What was read after a number was taken may be kept for
	// as long as the number stays; exact is false where other processes write as well, and nothing may be kept.
	Changes() (n int64, exact bool)
	// HasBlob tells whether a document has this blob.
	HasBlob(ctx context.Context, blob string) (bool, error)
}
