package llm

import (
	"context"
	"iter"
)

// Fallback is a model that asks the first of others, and the next one where that can't answer: only before the first word of an
// answer, since two models do not finish each other's sentences. What fails later fails; the next request begins with the
// first again, whose breaker knows whether that makes sense.
func Fallback(first ...Model) Model { return &chain{first} }

type chain struct{ models []Model }

// Info is of the first.
func (c *chain) Info() Info { return c.models[0].Info() }

func (c *chain) Stream(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		for i, m := range c.models {
			said := false
			var failed error
			for d, err := range m.Stream(ctx, r) {
				if err != nil {
					failed = err
					break
				}
				said = true
				if !yield(d, nil) {
					return
				}
			}
			if failed == nil {
				return
			}
			if said || i == len(c.models)-1 || gone(ctx, failed) || !elsewhere(failed) {
				yield(Delta{}, failed)
				return
			}
		}
	}
}

// elsewhere tells whether another model may answer what this one did not.
func elsewhere(err error) bool {
	switch CodeOf(err) {
	case CodeRefused, CodeBudget, "cancelled": // another one must not be talked into it; the purse is the same
		return false
	}
	return true
}
