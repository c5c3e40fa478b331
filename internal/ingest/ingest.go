// Package ingest brings an uploaded document to its passages and its index, stage by stage, each of them durable.
package ingest

import (
	"context"
	"time"

	"byline/internal/document"
	"byline/internal/engine/extract"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
)

// Work is a document as a process run finds it: what it is, the generation to write, and the stage that this generation
// has reached.
type Work struct {
	Document   document.Document
	Generation int64
	Stage      document.Stage
}

// Slice is a piece of an artefact that has no rows of its own.
type Slice struct {
	Kind  string // text, elements
	Ord   int
	Start int // of a text slice: its byte offset in the document's text
	Data  []byte
}

// The kinds of slices. A slice of elements is a JSON array of extract.Element.
const (
	SliceText     = "text"
	SliceElements = "elements"
)

// SegmentSlice is a piece of an index segment.
type SegmentSlice struct {
	SegmentID string
	Ord       int
	Data      []byte
}

// Batch is a group of rows of a generation that nobody sees yet; about 256 KB at most, written in the bulk lane.
type Batch struct {
	Slices   []Slice
	Pages    []extract.Page
	Passages []document.Passage
	Segments []SegmentSlice
	Vectors  []search.VectorRow
}

// Commit closes a stage.
type Commit struct {
	Stage        document.Stage
	Title        string           // extracted: from the document itself; kept only when nobody has set one
	Author       string           // extracted, likewise; often empty
	Published    time.Time        // extracted, likewise; often zero
	TextLength   int              // extracted, in bytes
	PageCount    int              // extracted
	PassageCount int              // chunked
	Language     string           // chunked
	Segments     []search.Segment // indexed, without Data: they become visible, and the generation with them. embedded: likewise
	Spaces       []string         // embedded: the spaces that the document is in from now on
}

// Store of ingest. Every write is fenced by the run's lease: runs.ErrFenced when it no longer holds.
type Store interface {
	// Begin finds the run's document, sets it to processing and removes what an unfinished stage of its generation left.
	Begin(ctx context.Context, l runs.Lease) (Work, error)
	// Put writes a batch.
	Put(ctx context.Context, l runs.Lease, generation int64, b Batch) error
	// Progress sets the document's progress with an event.
	Progress(ctx context.Context, l runs.Lease, p document.Progress, events ...runs.NewEvent) error
	// CommitStage closes a stage with its events, in one transaction. That of indexed makes the generation the one that
	// readers see and hides the older ones' passages; that of embedded completes the document.
	CommitStage(ctx context.Context, l runs.Lease, generation int64, c Commit, events ...runs.NewEvent) error
	// Extracted reads text, elements and pages' ranges (without words) of a generation back.
	Extracted(ctx context.Context, ws ident.Workspace, documentID string, generation int64) (extract.Text, error)
	// Chunked reads the passages of a generation back.
	Chunked(ctx context.Context, ws ident.Workspace, documentID string, generation int64) ([]document.Passage, error)
}
