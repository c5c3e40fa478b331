package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"byline/internal/engine/lexical"
	"byline/internal/engine/vector"
	"byline/internal/fault"
)

// Merger keeps every workspace at few segments and without tombstones, in the background. It runs beside everything else:
// new segments are written in slices that nobody sees, and one small transaction puts them in the place of the old ones.
type Merger struct {
	store Store
	log   *slog.Logger
}

// NewMerger makes a merger; Run does the work.
func NewMerger(store Store, log *slog.Logger) *Merger { return &Merger{store, log} }

const (
	// maxSegments that are not full; more are merged. (Full ones have nothing to gain.)
	maxSegments = 8
	// full is from which size on a segment is left alone unless it holds deleted passages, in bytes.
	full = lexical.SegmentLimit / 2
	// mergeEvery is how often a workspace's segments are looked at.
	mergeEvery = 5 * time.Second
	// sliceSize of what is written in one transaction, in bytes.
	sliceSize = 256 << 10
)

// Run merges until ctx ends.
func (m *Merger) Run(ctx context.Context) {
	t := time.NewTicker(mergeEvery)
	defer t.Stop()
	for {
		if err := m.Once(ctx); err != nil && ctx.Err() == nil {
			m.log.Error("merge segments", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Once merges what is due in all workspaces.
func (m *Merger) Once(ctx context.Context) error {
	crowds, err := m.store.Crowded(ctx, maxSegments, full)
	if err != nil {
		return fmt.Errorf("find crowded workspaces: %w", err)
	}
	// Each in its turn, so that a large import in one workspace does not keep the others waiting.
	for len(crowds) > 0 {
		var again []Crowd
		for _, c := range crowds {
			more, e := m.merge(ctx, c)
			if e != nil {
				err = errors.Join(err, fmt.Errorf("workspace %s: %w", c.Workspace, e))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if more && e == nil {
				again = append(again, c)
			}
		}
		crowds = again
	}
	return err
}

// merge does a piece of what is due for a crowd; more tells that it did, and that there may be another one.
func (m *Merger) merge(ctx context.Context, c Crowd) (more bool, err error) {
	infos, err := m.store.Segments(ctx, c.Workspace, c.Space)
	if err != nil {
		return false, err
	}
	chosen := choose(infos)
	if len(chosen) == 0 {
		return false, nil
	}
	data := make([][]byte, len(chosen))
	for i, info := range chosen {
		data[i], err = m.store.SegmentData(ctx, c.Workspace, info.ID)
		if errors.Is(err, fault.Missing("segment")) {
			return false, nil // another replica was faster
		}
		if err != nil {
			return false, err
		}
	}
	var with []Segment
	err = mergeData(c.Space, chosen, data, func(s Segment) error {
		if err := putSegment(ctx, m.store, c.Workspace, s); err != nil {
			return err
		}
		s.Data = nil // it is in the store; a merge of much must not hold all of it
		with = append(with, s)
		return nil
	})
	if d, ok := errors.AsType[*damagedError](err); ok {
		m.log.Error("a segment of the index is damaged and is built again", "workspace", c.Workspace, "segment", d.segment, "error", d.cause)
		return true, m.store.Condemn(ctx, c.Workspace, d.segment)
	}
	if err != nil {
		return false, fmt.Errorf("merge %d segments: %w", len(chosen), err)
	}
	ok, err := m.store.Replace(ctx, c, chosen, with)
	if err == nil && !ok {
		m.log.Debug("segments changed during a merge; it is tried again", "workspace", c.Workspace)
	}
	return ok, err
}

func mergeData(space string, infos []SegmentInfo, data [][]byte, emit func(Segment) error) error {
	if space == "" {
		parts, err := open(infos, data, lexical.Open)
		if err != nil {
			return err
		}
		return lexical.Merge(lexicalParts(parts), lexical.SegmentLimit, func(data []byte) error {
			s, err := segmentOf(data)
			if err != nil {
				return err
			}
			return emit(s)
		})
	}
	parts, err := open(infos, data, vector.Open)
	if err != nil {
		return err
	}
	var known float64 // of a passage in the mean; which of them are dead is not told
	var passages int
	for _, p := range parts {
		known += p.info.Known
		passages += p.info.Passages
	}
	known /= max(1, float64(passages))
	return vector.Merge(vectorParts(parts), vector.SegmentLimit, func(data []byte) error {
		s, err := meaningSegment(data, space, 0)
		if err != nil {
			return err
		}
		s.Known = known * float64(s.Passages)
		return emit(s)
	})
}

// damagedError says which segment cannot be read.
type damagedError struct {
	segment string
	cause   error
}

func (d *damagedError) Error() string { return fmt.Sprintf("segment %s: %v", d.segment, d.cause) }

func open[S any](infos []SegmentInfo, data [][]byte, read func([]byte) (S, error)) ([]part[S], error) {
	parts := make([]part[S], len(infos))
	for i, info := range infos {
		s, err := read(data[i])
		if err != nil {
			return nil, &damagedError{info.ID, err}
		}
		parts[i] = part[S]{info, s}
	}
	return parts, nil
}

// choose takes the segments to write anew: those with tombstones, and the smallest of those that are not full when there are
// too many. One alone without tombstones is left.
func choose(infos []SegmentInfo) []SegmentInfo {
	var dirty, small []SegmentInfo
	for _, i := range infos {
		switch {
		case len(i.Dead) > 0:
			dirty = append(dirty, i)
		case i.Bytes < full:
			small = append(small, i)
		}
	}
	if len(small) > maxSegments {
		// All of the smallest at once: each passage is rewritten about log(n) times until its segment is full.
		slices.SortFunc(small, func(a, b SegmentInfo) int { return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.ID, b.ID)) })
		dirty = append(dirty, small[:len(small)-maxSegments/2+1]...)
	}
	// Bounded memory: what is left over is taken the next time.
	const most = 4 * lexical.SegmentLimit
	sum := 0
	for i, d := range dirty {
		if sum += d.Bytes; i > 1 && sum > most {
			return dirty[:i]
		}
	}
	return dirty
}
