// Package search turns passages into index segments, and a question into ranked passages that say why.
package search

import (
	"context"
	"time"

	"byline/internal/document"
	"byline/internal/engine/lexical"
	"byline/internal/ident"
)

// Mode of a search.
type Mode string

// The modes. Vectors come with a later issue: until then Semantic is refused (fault.Invalid semantic_unavailable)
// and Hybrid is what the lexical leg finds.
const (
	Hybrid   Mode = "hybrid"
	Lexical  Mode = "lexical"
	Semantic Mode = "semantic"
)

// Question asks for passages of one workspace.
type Question struct {
	Workspace   ident.Workspace
	Text        string
	DocumentIDs []string // nil: all
	TopK        int      // 1..100
	Mode        Mode
	Filters     Filters
	Explain     bool
}

// Filters narrow a search by what is known of documents; zero fields do not filter.
type Filters struct {
	Types     []string
	Tags      []string
	Languages []string
	From, To  time.Time // of the document's creation
}

// Span is a place in a text, in UTF-8 bytes.
type Span struct {
	Start, End int
}

// Hit is a passage that answers, of a document that is alive.
type Hit struct {
	Passage      document.Passage
	DocumentName string
	Score        float64 // 0..1: the share of the question's idf mass that the passage holds; order comes from fusion, not from it
	Highlights   []Span  // in Passage.Text
	Explain      *Explain
}

// Explain says why a hit stands where it stands.
type Explain struct {
	Rank  int     // in the lexical leg, 1-based
	BM25  float64 // its score
	Terms []TermScore
}

// TermScore is what one term of the question gave.
type TermScore struct {
	Term      string
	Frequency int     // in the passage
	IDF       float64 // ln(1+(N-df+.5)/(df+.5))
	Score     float64
}

// Answer is what a search found.
type Answer struct {
	Hits     []Hit
	Total    int      // how many passages match, counted up to 100
	Engine   string   // embedded, later elasticsearch or chroma
	Degraded []string // what could not be used, in words for machines
}

// Candidate is a passage that an index proposes.
type Candidate struct {
	PassageID  string
	DocumentID string
	Score      float64 // the engine's own
	Coverage   float64 // share of the query's idf mass, 0..1
	Terms      []TermScore
}

// Query is a question analysed, as an index takes it.
type Query struct {
	Workspace ident.Workspace
	Terms     []lexical.Term
	Vector    []float32       // nil for the lexical leg
	Space     string          // that Vector belongs to
	Documents map[string]bool // nil: all
	K         int
	Explain   bool
}

// Found is an index's answer.
type Found struct {
	Candidates []Candidate // best first; ties by passage id
	Total      int
	Known      float64 // of the vector leg: the mean share of the passages' letters that the embedder knows, 0..1
	Engine     string  // that answered; "" is the one that was asked
	Degraded   []string
}

// Index finds candidates. The embedded engine is one, external engines are others; both legs must be safe for concurrent
// use. A candidate may be stale: the caller joins each to a live row before it leaves.
type Index interface {
	Lexical(ctx context.Context, q Query) (Found, error)
	// Vector ranks by cosine; an index without vectors answers fault.Invalid semantic_unavailable.
	Vector(ctx context.Context, q Query) (Found, error)
	Info(ctx context.Context) (Info, error)
}

// Info is what an index says of itself.
type Info struct {
	Engine   string
	Segments int
	Bytes    int64
}

// Segment is an immutable piece of a workspace's index.
type Segment struct {
	ID       string
	Data     []byte // opaque (engine/lexical, engine/vector), at most 4 MB; nil once it is written in slices
	Space    string // of its vectors; "" for words
	Bytes    int
	Passages int
	Tokens   int64    // of words
	Known    float64  // of vectors: the sum of what the embedder knew of each passage, 0..1
	Groups   []string // the documents in it
}

// SegmentInfo is a live segment as a snapshot has it.
type SegmentInfo struct {
	ID       string
	Bytes    int
	Passages int
	Tokens   int64
	Known    float64
	Dead     []string // documents in it that are hidden, sorted
}

// Live is a passage joined to its document.
type Live struct {
	Passage      document.Passage
	DocumentName string
}

// Store of the embedded index; its segments are written by ingest and here, by merges.
type Store interface {
	SpaceStore
	// Segments reads the workspace's live segments of a space ("" for words) with their tombstones in one snapshot.
	Segments(ctx context.Context, ws ident.Workspace, space string) ([]SegmentInfo, error)
	// Vectors reads the vectors of passages; those that are gone are left out.
	Vectors(ctx context.Context, space string, passageIDs []string) (map[string][]float32, error)
	// SegmentData gives a segment's bytes; one that was merged away meanwhile is fault.Missing("segment").
	SegmentData(ctx context.Context, ws ident.Workspace, id string) ([]byte, error)
	// Live joins passages to live rows: those whose document is gone, or of another generation than readers see, are left out.
	Live(ctx context.Context, ws ident.Workspace, passageIDs []string) (map[string]Live, error)
	// Admitted gives the ids of the documents that the filters admit, among ids unless that is nil.
	Admitted(ctx context.Context, ws ident.Workspace, ids []string, f Filters) ([]string, error)
	// Languages gives the languages of the workspace's documents, sorted; a question is analysed for each.
	Languages(ctx context.Context, ws ident.Workspace) ([]string, error)
	// Changes counts the commits that changed documents; see document.Store.
	Changes() (n int64, exact bool)
	// Crowded names workspaces with more than n live segments of a space of less than below bytes, or with tombstones.
	Crowded(ctx context.Context, n, below int) ([]Crowd, error)
	// Replace makes new segments visible and the old ones gone, in one small transaction. seen are the old ones as they
	// were read: if one has gone or has more tombstones meanwhile, nothing happens and ok is false.
	Replace(ctx context.Context, c Crowd, seen []SegmentInfo, with []Segment) (ok bool, err error)
}

// Crowd names the segments of a workspace that are searched together.
type Crowd struct {
	Workspace ident.Workspace
	Space     string // "" for words
}
