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

// The modes.
const (
	Hybrid   Mode = "hybrid"   // by words and by meaning; by words alone as far as there is no embedder for it
	Lexical  Mode = "lexical"  // by words
	Semantic Mode = "semantic" // by meaning; without an embedder it is refused (fault.Invalid semantic_unavailable)
)

// Fusion is how the two legs of a hybrid search become one ranking.
type Fusion string

// The ways of fusion.
const (
	Convex Fusion = "convex" // weighted sum of normalised scores
	RRF    Fusion = "rrf"    // reciprocal ranks
)

// Expand says what stands around a hit is given with it.
type Expand string

// The expansions.
const (
	ExpandNone       Expand = "none"
	ExpandNeighbours Expand = "neighbours" // the passage before and the one after
	ExpandSection    Expand = "section"    // the passages around it under the same heading, three to each side at most
)

// Question asks for passages of one workspace.
type Question struct {
	Workspace   ident.Workspace
	Text        string
	DocumentIDs []string // nil: all
	TopK        int      // 1..100
	Mode        Mode
	Fusion      Fusion // "" is Convex
	PerDocument int    // passages of one document at most; 0 is no limit
	// Diversity is 0..1: how much a passage loses by being like those before it (maximal marginal relevance with lambda
	// 1-Diversity). 0 ranks by relevance alone.
	Diversity float64
	Expand    Expand // "" is ExpandNone
	Filters   Filters
	Explain   bool
}

// Filters narrow a search by what is known of documents; zero fields do not filter.
type Filters struct {
	Types     []string
	Tags      []string
	Languages []string
	Origins   []string  // document.Origin
	From, To  time.Time // of the document's creation; To is the first moment that is too late
	// PageFrom and PageTo admit passages that stand, in part at least, on these pages (1-based, 0 is no bound). Passages of
	// documents without pages are not among them.
	PageFrom, PageTo int
}

// onPages tells whether a passage is within the filter's pages.
func (f Filters) onPages(p document.Passage) bool {
	if f.PageFrom == 0 && f.PageTo == 0 {
		return true
	}
	return p.PageFrom > 0 && p.PageTo >= f.PageFrom && (f.PageTo == 0 || p.PageFrom <= f.PageTo)
}

// Span is a place in a text, in UTF-8 bytes.
type Span struct {
	Start, End int
}

// Hit is a passage that answers, of a document that is alive.
type Hit struct {
	Passage      document.Passage
	DocumentName string
	// Score is 0..1: the larger of the share of the question's idf mass that the passage holds, and what its cosine is worth. The order comes from fusion, not from it.
	Score         float64
	Highlights    []Span // in Passage.Text
	Before, After string // what stands around it, as Question.Expand asks for; texts of passages, with blank lines between
	Explain       *Explain
}

// Explain says why a hit stands where it stands.
type Explain struct {
	Fused   float64 // what the ranking is by: the sum of the legs' parts
	Lexical Leg
	Vector  Leg
	Terms   []TermScore // of the lexical leg
}

// Leg is what one way of searching said of a hit.
type Leg struct {
	Rank   int     // 1-based; 0 when the leg did not find it
	Score  float64 // BM25, or the cosine
	Weight float64 // the leg's say in this search, 0..1
	Part   float64 // what it gave: the normalised score times the weight
	Why    string  // the leg has less than its usual weight, or none, for this reason
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
	Evidence bool     // the best hit answers well enough to be relied on; see evidenceScore
	Total    int      // how many passages match, counted up to 100
	Engine   string   // that answered: elasticsearch, chroma or embedded
	Degraded []string // what could not be used, in words for machines
	// Filtered are passages that would answer and were left out, with why; only with Question.Explain, and the best of them.
	Filtered []Filtered
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
	// Condemn hides a damaged segment, and lets its documents be put into its index anew.
	Condemn(ctx context.Context, ws ident.Workspace, id string) error
	// Live joins passages to live rows: those whose document is gone, or of another generation than readers see, are left out.
	Live(ctx context.Context, ws ident.Workspace, passageIDs []string) (map[string]Live, error)
	// Admitted gives the ids of the documents that the filters admit, among ids unless that is nil.
	Admitted(ctx context.Context, ws ident.Workspace, ids []string, f Filters) ([]string, error)
	// Languages gives the languages of the workspace's documents, sorted; a question is analysed for each.
	Languages(ctx context.Context, ws ident.Workspace) ([]string, error)
	// Changes counts the commits that changed documents; see document.Store.
	Changes() (n int64, exact bool)
	// IndexChanges counts the commits that changed what Segments and Vectors give, in the same way.
	IndexChanges() (n int64, exact bool)
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
