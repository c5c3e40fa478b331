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
	"byline/internal/fault"
	"byline/internal/ident"
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
	workspaces, err := m.store.Crowded(ctx, maxSegments, full)
	if err != nil {
		return fmt.Errorf("find crowded workspaces: %w", err)
	}
	for _, ws := range workspaces {
		if e := m.merge(ctx, ws); e != nil {
			err = errors.Join(err, fmt.Errorf("workspace %s: %w", ws, e))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

func (m *Merger) merge(ctx context.Context, ws ident.Workspace) error {
	infos, err := m.store.Segments(ctx, ws)
	if err != nil {
		return err
	}
	chosen := choose(infos)
	if len(chosen) == 0 {
		return nil
	}
	parts := make([]lexical.Part, len(chosen))
	for i, info := range chosen {
		data, err := m.store.SegmentData(ctx, ws, info.ID)
		if errors.Is(err, fault.Missing("segment")) {
			return nil // another replica was faster
		}
		if err != nil {
			return err
		}
		s, err := lexical.Open(data)
		if err != nil {
			return fmt.Errorf("segment %s is damaged; `byline reindex` rebuilds it: %w", info.ID, err)
		}
		parts[i] = lexical.Part{Segment: s, Dead: info.Dead}
	}
	var with []Segment
	err = lexical.Merge(parts, lexical.SegmentLimit, func(data []byte) error {
		s, err := segmentOf(data)
		if err != nil {
			return err
		}
		for i := 0; i*sliceSize < len(data); i++ {
			if err := m.store.PutSegmentSlice(ctx, ws, s.ID, i, data[i*sliceSize:min(len(data), (i+1)*sliceSize)]); err != nil {
				return err
			}
		}
		s.Data = nil // it is in the store; a merge of much must not hold all of it
		with = append(with, s)
		return nil
	})
	if err != nil {
		return fmt.Errorf("merge %d segments: %w", len(parts), err)
	}
	ok, err := m.store.Replace(ctx, ws, chosen, with)
	if err == nil && !ok {
		m.log.Debug("segments changed during a merge; it is tried again", "workspace", ws)
	}
	return err
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
	// Bounded work: what is left over is taken at the next round.
	const most = 24
	return dirty[:min(most, len(dirty))]
}
