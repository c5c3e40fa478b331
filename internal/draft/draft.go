// Package draft is a text in the making: its versions, its citations, and its way out as a file.
package draft

import (
	"context"
	"strconv"
	"strings"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
)

// Status of a draft.
type Status string

// The states of a draft.
const (
	Open       Status = "draft"
	Generating Status = "generating"
	Completed  Status = "completed"
	Published  Status = "published"
	Failed     Status = "failed"
)

// Draft is a text with its newest version.
type Draft struct {
	ID          string
	Workspace   ident.Workspace
	SessionID   string
	Title       string
	Content     string // Markdown without citation markers; of the newest version
	Status      Status
	Version     int // number of the newest version; 0 before the first
	DocumentIDs []string
	Categories  []string
	Tags        []string
	Summary     string // one or two sentences for lists and search engines; suggested by the writer
	Slug        string // of its address; suggested by the writer
	RunID       string
	Stale       bool // a source that the newest version cites was processed anew or deleted since
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Cause says how a version came to be.
type Cause string

// The causes.
const (
	CauseGenerate Cause = "generate"
	CauseEdit     Cause = "edit"
	CauseRefine   Cause = "refine"
	CauseRestore  Cause = "restore" // undone, done again, or taken from an older version
)

// Version is one state of a draft. Versions are only ever added.
type Version struct {
	ID        string
	Number    int // 1, 2, 3 ...
	Parents   []string
	Author    string // a user's id; empty for the writer
	Cause     Cause
	Title     string
	Content   string
	Message   string
	Words     int
	Citations []Citation
	CreatedAt time.Time
}

// asIn begins the message of a version that has the text of an older one again.
const asIn = "as in version "

// AsIn is that message.
func AsIn(version int) string { return asIn + strconv.Itoa(version) }

// Again is the older version whose text this one has again; 0 for a text of its own.
func (v Version) Again() int {
	number, ok := strings.CutPrefix(v.Message, asIn)
	n, err := strconv.Atoi(number)
	if !ok || err != nil || v.Cause != CauseRestore {
		return 0
	}
	return n
}

// Label of a verdict.
type Label string

// The labels of verdicts.
const (
	Supported    Label = "supported"
	Partly       Label = "partly"
	Unsupported  Label = "unsupported"
	Contradicted Label = "contradicted"
	Unchecked    Label = "unchecked"
)

// Citation ties a claim of a version to the places that support it. It is data beside the text, never in it.
type Citation struct {
	ID      string  `json:"id"`
	Claim   Claim   `json:"claim"`
	Verdict Verdict `json:"verdict"`
	Spans   []Span  `json:"spans"`
}

// Claim is a sentence of the version that states something.
type Claim struct {
	Start int    `json:"start"` // UTF-8 byte offsets in the version's content
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// Verdict says whether the spans support the claim.
type Verdict struct {
	Label   Label    `json:"label"`
	Score   float64  `json:"score"` // 0..1
	Reasons []string `json:"reasons"`
	Checker string   `json:"checker,omitempty"`        // who found it; empty: the claim is its quote
	Missing []string `json:"missing_tokens,omitempty"` // what the spans do not say
	Hard    bool     `json:"hard,omitempty"`           // no model may lift it
	// Evidence is the place that says most of the claim.
	Evidence *Place `json:"evidence,omitempty"`
}

// Place is a piece of a span's quote.
type Place struct {
	Span  int    `json:"span"`  // its index
	Start int    `json:"start"` // UTF-8 byte offsets in its quote
	End   int    `json:"end"`
	Quote string `json:"quote"`
}

// Span is a place in a source with the words that stand there.
type Span struct {
	DocumentID   string `json:"document_id"`
	DocumentName string `json:"document_name"`
	PassageID    string `json:"passage_id"`
	Start        int    `json:"start"` // UTF-8 byte offsets in the document's text
	End          int    `json:"end"`
	Quote        string `json:"quote"` // equals the text at Start:End
	Page         int    `json:"page,omitempty"`
	Gone         bool   `json:"source_deleted,omitempty"` // the document was deleted; the quote stays until it is purged
	// Of a page of the web, put in by the store when the version is added: its title, and where and when it was fetched.
	Title     string    `json:"title,omitempty"`
	URL       string    `json:"url,omitempty"`
	FetchedAt time.Time `json:"fetched_at,omitzero"`
	// Generation of the document's text that was cited; given by the store where it is 0.
	Generation int64  `json:"generation,omitempty"`
	Before     string `json:"prefix,omitempty"` // what stands next to the quote, if the writer kept it
	After      string `json:"suffix,omitempty"`
}

// Brief is what is wished of a post.
type Brief struct {
	Topics   []string `json:"topics,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Tone     string   `json:"tone,omitempty"`
	Language string   `json:"language,omitempty"`
	Words    int      `json:"words,omitempty"`
	Must     []string `json:"must,omitempty"`
	MustNot  []string `json:"must_not,omitempty"`
	Outline  []string `json:"outline,omitempty"`
	Template string   `json:"template,omitempty"` // a form of post: see Templates of the writer
	// ApproveOutline lets a person see the outline, and change it, before anything is written.
	ApproveOutline bool `json:"approve_outline,omitempty"`
	Web            bool `json:"web,omitempty"` // the web may be searched
}

// Wish is the input of a generate run.
type Wish struct {
	DocumentIDs  []string `json:"document_ids"`
	SessionID    string   `json:"session_id,omitempty"` // that the draft belongs to
	Title        string   `json:"title,omitempty"`
	Instructions string   `json:"instructions,omitempty"`
	Brief        Brief    `json:"brief"`
	StyleGuide   string   `json:"style_guide,omitempty"`  // of the workspace, when the run was made
	Author       string   `json:"author,omitempty"`       // the user who asked
	Provider     string   `json:"llm_provider,omitempty"` // empty: the configured one
	Model        string   `json:"llm_model,omitempty"`
}

// Edit is a person's change; nil fields stay.
type Edit struct {
	Title      *string
	Content    *string
	Categories *[]string
	Tags       *[]string
	Message    string
	Author     string
	Citations  []Citation // of the new content, re-anchored by the caller; used only when Content is set
}

// Filter of List. Cursor is the id of the last draft of the page before.
type Filter struct {
	Status Status
	Query  string // in the title, case ignored
	Stale  bool   // only those with a source that was processed anew or deleted since they cited it
	Cursor string
	Limit  int
}

// Result closes a generate run's draft.
type Result struct {
	Title   string
	Tags    []string // suggested; kept only when the draft has none
	Summary string
	Slug    string
	Version Version // Number, ID and CreatedAt are given by the store
}

// Store of drafts. Each method is one transaction; all is scoped by workspace, and what is not there, or another's, is
// fault.Missing("draft").
type Store interface {
	// Add creates a draft and its generate run. A repeated once gives both as they were made the first time.
	Add(ctx context.Context, d Draft, w Wish, once *ident.Once) (Draft, runs.Run, error)
	Draft(ctx context.Context, ws ident.Workspace, id string) (Draft, error)
	// Drafts lists without Content.
	Drafts(ctx context.Context, ws ident.Workspace, f Filter) (page []Draft, total int, err error)
	// Save makes a person's edit a new version (or, without title and content, changes the rest only). match is the version
	// that the person saw: another newest one is fault.Stale. A draft that is being generated is fault.Conflict.
	Save(ctx context.Context, ws ident.Workspace, id string, match int, e Edit) (Draft, error)
	Delete(ctx context.Context, ws ident.Workspace, id string) error
	// Fork makes a new draft of what an ended generate run did up to one of its nodes: its run goes on behind that node.
	Fork(ctx context.Context, ws ident.Workspace, runID, node string, once *ident.Once) (Draft, runs.Run, error)
	// StyleGuide is what the workspace wants every post to keep to; empty when there is none.
	StyleGuide(ctx context.Context, ws ident.Workspace) (string, error)
	SetStyleGuide(ctx context.Context, ws ident.Workspace, text string) error
	Versions(ctx context.Context, ws ident.Workspace, draftID string, cursor, limit int) (page []Version, total int, err error)
	Version(ctx context.Context, ws ident.Workspace, draftID string, number int) (Version, error)
	// AddVersion is the fenced write of a run: the version, the draft's state and the events.
	AddVersion(ctx context.Context, l runs.Lease, r Result, events ...runs.NewEvent) (Version, error)
	// AddSources adds to the documents that a run's draft is written from.
	AddSources(ctx context.Context, l runs.Lease, documentIDs []string) error
}
