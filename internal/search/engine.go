package search

import (
	"context"

	"byline/internal/ident"
)

// Engine is an index outside the process that is fed by sync runs: Elasticsearch, OpenSearch, Chroma. Everything in it
// belongs to a generation, which is built beside the one that serves (another shape, another embedding space, a rebuild)
// and put in its place by Swap. All its methods may be repeated without harm, and fail with fault.Unavailable when the
// engine cannot be reached or refuses work; what a caller did wrong is another kind of error and is not retried.
type Engine interface {
	Index // searches the generation that serves; without one, fault.Unavailable engine_empty
	// Ensure makes what a generation needs, unless it is there. It fails with fault.Conflict when it is there in another shape.
	Ensure(ctx context.Context, g Generation) error
	// Apply does the operations, in their order, on a generation, whether it serves or not. What was done is found by the
	// next search within a second. failed tells which operations the engine rejected for good (a document that it cannot
	// take); the others are done. err says that the rest is unknown: apply all again.
	Apply(ctx context.Context, generation string, ws ident.Workspace, ops []Operation) (failed []Rejected, err error)
	// Swap lets a generation serve and removes the others.
	Swap(ctx context.Context, generation string) error
	// Held counts what a generation holds of a workspace, and sums the hashes up (Digest), for the reconciler.
	Held(ctx context.Context, generation string, ws ident.Workspace) (Holding, error)
	// Close gives the connections back.
	Close() error
}

// Generation is the shape of an engine's index.
type Generation struct {
	Name string // lower-case letters, digits and "-", at most 32
	Dims int    // of its vectors; 0 if it has none
}

// Operation puts a passage into an engine or takes it out. Its identity is the passage's id: putting it again replaces it.
type Operation struct {
	PassageID  string
	DocumentID string
	Delete     bool // of the passage; the fields below are empty
	// Terms are the passage's terms in their order, made by engine/lexical, without spaces inside: an engine takes them
	// as they are and knows nothing of languages.
	Terms  []string
	Vector []float32 // of unit length, or nil
	Hash   uint64    // of what is put, see Digest
}

// Rejected is an operation that an engine refuses for good, with its reason.
type Rejected struct {
	PassageID string
	Reason    string
}

// Holding is what an engine holds of a workspace.
type Holding struct {
	Passages int
	Digest   uint64 // the sum of the operations' hashes, modulo 2^64: it does not depend on their order
}
