package search

import (
	"context"
	"sync"
)

// memo keeps what was read of the index besides its segments: which ones a workspace has, and the floats of passages that were
// among the best lately. A question of a small workspace takes longer to read these than to scan its codes. It all goes with the
// next commit that changes any of it.
type memo struct {
	store  Store
	budget int64 // bytes of floats; 0 keeps nothing

	mu      sync.Mutex
	changes int64 // as of which all below was read
	crowds  map[Crowd][]SegmentInfo
	dead    int // tombstones in crowds
	floats  map[floatsKey][]float32
	bytes   int64 // of floats
}

type floatsKey struct{ space, passage string }

const (
	floatsShare = 32      // of the budget for segments, the floats may have one part in so many besides
	maxCrowds   = 1000    // that are kept
	maxDead     = 100_000 // tombstones that are kept with them
	floatsRow   = 128     // bytes that a row of floats takes besides its values
)

// begin gives the count of changes to read as of, and forgets what is older. A caller holds the lock.
func (m *memo) begin() (changes int64, keep bool) {
	changes, exact := m.store.IndexChanges()
	if !exact || m.budget == 0 {
		return 0, false
	}
	if m.crowds == nil || changes > m.changes {
		m.changes = changes
		m.forgetCrowds()
		m.forgetFloats()
	}
	return changes, true
}

func (m *memo) forgetCrowds() { m.crowds, m.dead = map[Crowd][]SegmentInfo{}, 0 }
func (m *memo) forgetFloats() { m.floats, m.bytes = map[floatsKey][]float32{}, 0 }

// segments is Store.Segments. Anew asks the database in any case: a merge has just replaced a segment.
func (m *memo) segments(ctx context.Context, c Crowd, anew bool) ([]SegmentInfo, error) {
	m.mu.Lock()
	changes, keep := m.begin()
	list, ok := m.crowds[c]
	m.mu.Unlock()
	if keep && ok && !anew {
		return list, nil
	}
	list, err := m.store.Segments(ctx, c.Workspace, c.Space)
	if err != nil || !keep {
		return list, err
	}
	dead := 0
	for _, s := range list {
		dead += len(s.Dead)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if changes != m.changes || dead > maxDead {
		return list, nil
	}
	if len(m.crowds) >= maxCrowds || m.dead+dead > maxDead {
		m.forgetCrowds()
	}
	m.crowds[c] = list
	m.dead += dead
	return list, nil
}

// vectors is Store.Vectors.
func (m *memo) vectors(ctx context.Context, space string, ids []string) (map[string][]float32, error) {
	found := make(map[string][]float32, len(ids))
	var unknown []string
	m.mu.Lock()
	changes, keep := m.begin()
	for _, id := range ids {
		if v, ok := m.floats[floatsKey{space, id}]; ok && keep {
			found[id] = v
		} else {
			unknown = append(unknown, id)
		}
	}
	m.mu.Unlock()
	if len(unknown) == 0 {
		return found, nil
	}
	read, err := m.store.Vectors(ctx, space, unknown)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, v := range read {
		found[id] = v
		size := int64(4*len(v) + floatsRow)
		if !keep || changes != m.changes || size > m.budget {
			continue
		}
		if m.bytes+size > m.budget {
			m.forgetFloats()
		}
		if key := (floatsKey{space, id}); m.floats[key] == nil { // another question may have read it meanwhile
			m.floats[key] = v
			m.bytes += size
		}
	}
	return found, nil
}
