package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"byline/internal/document"
	"byline/internal/engine/embed"
	"byline/internal/fault"
	"byline/internal/ident"
)

// SpaceState says what an embedding space is for.
type SpaceState string

// The states of a space. There is at most one that serves, and one before it to go back to.
const (
	SpaceBuilding SpaceState = "building" // serves as soon as it has all documents
	SpaceServing  SpaceState = "serving"
	SpacePrevious SpaceState = "previous" // served before
	SpaceRejected SpaceState = "rejected" // served before somebody went back to the one before it: never serves by itself again
	SpaceDropped  SpaceState = "dropped"  // is being removed
)

// SpaceInfo is a space and how much of the library is in it.
type SpaceInfo struct {
	ID        string // "" is the index of words, which always serves
	State     SpaceState
	Documents int // documents that are in it
	Of        int // documents that can be found, and are complete or on the way there
}

// Unembedded is a completed document that is not in a space.
type Unembedded struct {
	Workspace  ident.Workspace
	DocumentID string
	Generation int64 // of its passages
}

// VectorRow is a passage's place in a space.
type VectorRow struct {
	PassageID string
	Space     string
	Values    []float32
}

// SpaceStore keeps spaces, vectors and what is in which.
type SpaceStore interface {
	// Spaces lists those that are not dropped, words first.
	Spaces(ctx context.Context) ([]SpaceInfo, error)
	// SpaceStates lists the same without counting, which takes longer the more there is.
	SpaceStates(ctx context.Context) ([]SpaceInfo, error)
	// OfferSpace makes a space known. It serves at once when none does; else it is built, unless it is rejected.
	OfferSpace(ctx context.Context, id string) error
	// ServeSpace lets a space serve from now on, in one transaction: the one that served is kept as previous (rejected with
	// reject), and the one before is dropped. One that is not known is fault.Missing("space").
	ServeSpace(ctx context.Context, id string, reject bool) error
	// Outdate lets all documents be put into a space anew; what they have in it is found until then.
	Outdate(ctx context.Context, space string) error
	// Unembedded gives some of the completed documents that are not in a space, of all workspaces.
	Unembedded(ctx context.Context, space string, limit int) ([]Unembedded, error)
	// Passages gives some of the passages of a document that readers see, from a number on; see document.Store.
	Passages(ctx context.Context, ws ident.Workspace, documentID string, from, limit int) (list []document.Passage, total int, err error)
	// PutVectors writes vectors of a document's passages, in the bulk lane. Nobody sees them before the document is adopted.
	PutVectors(ctx context.Context, u Unembedded, rows []VectorRow) error
	// PutSegmentSlice writes a piece of a segment that is not visible yet.
	PutSegmentSlice(ctx context.Context, ws ident.Workspace, segmentID string, ord int, data []byte) error
	// Adopt puts a document into a space (the index of words for ""): its written segments become visible in the place of those
	// that held it there. ok is false when the document is gone or has other passages by now.
	Adopt(ctx context.Context, u Unembedded, space string, segments []Segment) (ok bool, err error)
}

// Spaces knows the embedders and the spaces of this installation: which one serves, and how the next one is built beside it.
// It is safe for concurrent use.
type Spaces struct {
	store SpaceStore
	log   *slog.Logger

	due chan struct{} // asks Run to look now

	which     sync.RWMutex   // guards what follows
	target    embed.Embedder // that shall serve; nil: none
	embedders map[string]embed.Embedder

	mu    sync.Mutex
	known []SpaceInfo
	until time.Time
	told  string
}

// NewSpaces makes the spaces of an installation whose embedder is target (nil without one). others can still be asked for
// spaces that were made before.
func NewSpaces(store SpaceStore, target embed.Embedder, others []embed.Embedder, log *slog.Logger) *Spaces {
	s := &Spaces{store: store, log: log, target: target, embedders: map[string]embed.Embedder{}, due: make(chan struct{}, 1)}
	for _, e := range append(others[:len(others):len(others)], target) {
		if e != nil {
			s.embedders[e.Space().ID()] = e
		}
	}
	return s
}

// embedder gives that of a space; nil when there is none here.
func (s *Spaces) embedder(id string) embed.Embedder {
	s.which.RLock()
	defer s.which.RUnlock()
	return s.embedders[id]
}

// Want lets another embedder's space serve as soon as it is built, beside the one that serves: one of a service outside, of
// which only its first answer tells which space it makes.
func (s *Spaces) Want(ctx context.Context, e embed.Embedder) error {
	s.which.Lock()
	s.target = e
	s.embedders[e.Space().ID()] = e
	s.which.Unlock()
	if err := s.Offer(ctx); err != nil {
		return err
	}
	select {
	case s.due <- struct{}{}:
	default: // somebody has asked already
	}
	return nil
}

// spacesLife is how long what is known of spaces is used: within that time a switch made elsewhere is noticed.
const spacesLife = time.Second

// List gives the spaces.
func (s *Spaces) List(ctx context.Context) ([]SpaceInfo, error) { return s.store.Spaces(ctx) }

func (s *Spaces) states(ctx context.Context) ([]SpaceInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.known, nil
	}
	list, err := s.store.SpaceStates(ctx)
	if err == nil {
		s.known, s.until = list, time.Now().Add(spacesLife)
	}
	return list, err
}

func (s *Spaces) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}

// Serving gives the embedder of the space that serves; nil with the reason when there is none or when it cannot be asked
// (embedder_missing: the space was made by an embedder that is not configured any more, or by another processor).
func (s *Spaces) Serving(ctx context.Context) (e embed.Embedder, degraded string, err error) {
	list, err := s.states(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, i := range list {
		if i.State == SpaceServing && i.ID != "" {
			if e := s.embedder(i.ID); e != nil {
				return e, "", nil
			}
			return nil, "embedder_missing", nil
		}
	}
	return nil, "", nil
}

// Wanted gives the embedders that new documents are put into spaces by: of the one that serves and the one that is built.
func (s *Spaces) Wanted(ctx context.Context) ([]embed.Embedder, error) {
	s.forget() // a document must not miss a space that was offered a moment ago
	list, err := s.states(ctx)
	var wanted []embed.Embedder
	for _, i := range list {
		if e := s.embedder(i.ID); e != nil && (i.State == SpaceServing || i.State == SpaceBuilding) {
			wanted = append(wanted, e)
		}
	}
	return wanted, err
}

// Offer makes the configured embedder's space known. It is called once at start.
func (s *Spaces) Offer(ctx context.Context) error {
	defer s.forget()
	s.which.RLock()
	target := s.target
	s.which.RUnlock()
	if target == nil {
		return nil
	}
	return s.store.OfferSpace(ctx, target.Space().ID())
}

// Back lets the previous space serve again and gives its name.
func (s *Spaces) Back(ctx context.Context) (string, error) {
	defer s.forget()
	list, err := s.store.SpaceStates(ctx)
	if err != nil {
		return "", err
	}
	for _, i := range list {
		if i.State == SpacePrevious {
			return i.ID, s.store.ServeSpace(ctx, i.ID, true)
		}
	}
	return "", fault.New(fault.Conflict, "no_previous_space", "There is no embedding space before the one that serves.")
}

// fillEvery is how often documents that are not in a space are looked for.
const fillEvery = 5 * time.Second

// Run builds spaces until ctx ends.
func (s *Spaces) Run(ctx context.Context) {
	t := time.NewTicker(fillEvery)
	defer t.Stop()
	for {
		if err := s.Fill(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("build embedding space; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-s.due:
		}
	}
}

// Fill puts the documents that are missing into the spaces that serve and are built, and lets one serve that has all. What a
// crash interrupts is done again by document.
func (s *Spaces) Fill(ctx context.Context) error {
	list, err := s.store.SpaceStates(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		encode, ok := s.encoder(i.ID)
		if !ok || i.State != SpaceServing && i.State != SpaceBuilding {
			continue
		}
		if err := s.fill(ctx, i, encode); err != nil {
			return fmt.Errorf("space %q: %w", i.ID, err)
		}
		if i.State == SpaceBuilding {
			if err := s.store.ServeSpace(ctx, i.ID, false); err != nil {
				return err
			}
			s.forget()
			s.log.Info("the embedding space is complete and serves from now on", "space", i.ID)
		}
	}
	return nil
}

// encode makes the segments of a document's passages, and writes what belongs to them.
type encode func(ctx context.Context, u Unembedded, passages []document.Passage) ([]Segment, error)

// encoder of a space; not ok when nobody here can make its vectors.
func (s *Spaces) encoder(space string) (encode, bool) {
	if space == "" {
		return func(_ context.Context, _ Unembedded, passages []document.Passage) ([]Segment, error) {
			return Encode(passages)
		}, true
	}
	e := s.embedder(space)
	return func(ctx context.Context, u Unembedded, passages []document.Passage) ([]Segment, error) {
		return EncodeMeaning(ctx, e, passages, func(rows []VectorRow) error { return s.store.PutVectors(ctx, u, rows) })
	}, e != nil
}

func (s *Spaces) fill(ctx context.Context, i SpaceInfo, encode encode) error {
	const some = 50
	for {
		list, err := s.store.Unembedded(ctx, i.ID, some)
		if err != nil || len(list) == 0 {
			return err
		}
		if s.told != i.ID {
			s.told = i.ID
			s.log.Info("building an index beside what serves", "space", i.ID)
		}
		for _, u := range list {
			if err := s.put(ctx, i.ID, u, encode); err != nil {
				return fmt.Errorf("document %s: %w", u.DocumentID, err)
			}
		}
	}
}

// put puts one document into a space.
func (s *Spaces) put(ctx context.Context, space string, u Unembedded, encode encode) error {
	passages, _, err := s.store.Passages(ctx, u.Workspace, u.DocumentID, 0, math.MaxInt32)
	if errors.Is(err, fault.Missing("document")) {
		return nil // gone
	}
	if err != nil {
		return err
	}
	segments, err := encode(ctx, u, passages)
	if err != nil {
		return err
	}
	for _, sg := range segments {
		if err := putSegment(ctx, s.store, u.Workspace, sg); err != nil {
			return err
		}
	}
	_, err = s.store.Adopt(ctx, u, space, segments)
	return err
}

// Rebuild lets an index be built anew from the passages, in the background: that of words, that of vectors, or both. What is
// there serves until each document's new one takes its place.
func (s *Spaces) Rebuild(ctx context.Context, words, vectors bool) error {
	list, err := s.store.SpaceStates(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.State != SpaceServing && i.State != SpaceBuilding || i.ID == "" && !words || i.ID != "" && !vectors {
			continue
		}
		if _, ok := s.encoder(i.ID); !ok {
			return fault.New(fault.Conflict, "embedder_missing", "The space %s was made by an embedder that is not configured here. Set BYLINE_EMBEDDER to it, or to another one.", i.ID)
		}
		if err := s.store.Outdate(ctx, i.ID); err != nil {
			return err
		}
	}
	select {
	case s.due <- struct{}{}:
	default: // somebody has asked already
	}
	return nil
}

// putSegment writes a segment in slices that nobody sees.
func putSegment(ctx context.Context, store interface {
	PutSegmentSlice(ctx context.Context, ws ident.Workspace, segmentID string, ord int, data []byte) error
}, ws ident.Workspace, sg Segment) error {
	for i := 0; i*sliceSize < len(sg.Data); i++ {
		if err := store.PutSegmentSlice(ctx, ws, sg.ID, i, sg.Data[i*sliceSize:min(len(sg.Data), (i+1)*sliceSize)]); err != nil {
			return err
		}
	}
	return nil
}
