package search

import (
	"context"
	"fmt"

	"byline/internal/engine/lexical"
	"byline/internal/engine/vector"
)

// Held is what an index of a workspace should hold.
type Held struct {
	Crowd
	Passages int
}

// CheckStore reads what the indexes are compared with.
type CheckStore interface {
	Store
	// Held counts, for each workspace and space, the passages (of words) or the vectors of the documents that are in it.
	Held(ctx context.Context) ([]Held, error)
}

// Check opens all segments, which checks their sums, and compares what lives in them with what the documents have. It may run
// beside a server: a difference counts when it stays. The problems are for people.
func Check(ctx context.Context, store CheckStore) (problems []string, err error) {
	for range attempts {
		if problems, err = check(ctx, store); err != nil || len(problems) == 0 {
			return nil, err
		}
	}
	return problems, nil
}

func check(ctx context.Context, store CheckStore) (problems []string, err error) {
	list, err := store.Held(ctx)
	if err != nil {
		return nil, err
	}
	e := NewEmbedded(store, 0) // nothing is kept
	for _, h := range list {
		name, n := "words", 0
		if h.Space == "" {
			n, err = living(ctx, e, h.Crowd)
		} else {
			name = h.Space
			n, err = livingVectors(ctx, e, h.Crowd)
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			problems = append(problems, fmt.Sprintf("index of %s, workspace %s: %v", name, h.Workspace, err))
		case n != h.Passages:
			problems = append(problems, fmt.Sprintf("index of %s, workspace %s: holds %d passages of %d; `byline reindex` rebuilds it", name, h.Workspace, n, h.Passages))
		}
	}
	return problems, nil
}

func living(ctx context.Context, e *Embedded, c Crowd) (int, error) {
	parts, _, err := snapshot(ctx, e, c, words)
	if err != nil {
		return 0, err
	}
	return lexical.NewView(lexicalParts(parts)).Stats().Passages, nil
}

func livingVectors(ctx context.Context, e *Embedded, c Crowd) (int, error) {
	parts, _, err := snapshot(ctx, e, c, meaning)
	if err != nil {
		return 0, err
	}
	return vector.NewView(vectorParts(parts)).Len(), nil
}
