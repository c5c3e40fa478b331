package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
)

// cite finds the claims of a section's text with the places that they were taken from: those that the model named, else those that
// a search in the evidence finds. A claim without any has no spans.
//
// What reads like no statement is none of the model's own, either: an opinion must stand in the sources, a question or a
// transition may name nothing that they do not, and code and heads of tables must be theirs.
func (r *round) cite(ctx context.Context, text string, marks []cite.Mark, s section) ([]claim, error) {
	pool, err := r.pool(ctx, s.Evidence)
	if err != nil {
		return nil, err
	}
	all, err := r.wholePool(ctx)
	if err != nil {
		return nil, err
	}
	claims := r.foreign(text, pool)
	found := cite.Claims(text)
	for i, c := range found {
		next := len(text)
		if i+1 < len(found) {
			next = found[i+1].Start
		}
		var used []int
		for _, m := range marks {
			if m.At <= c.Start || m.At > next {
				continue
			}
			for _, id := range m.IDs {
				if n := passageNumber(id); !slices.Contains(used, n) {
					used = append(used, n)
				}
			}
		}
		k := claim{Start: c.Start, Text: c.Text}
		if phrase := r.forbidden(c.Text); phrase != "" {
			k.Verdict = draft.Verdict{Label: draft.Unsupported, Reasons: []string{fmt.Sprintf("the brief says not to write about %q", phrase)}, Hard: true}
			claims = append(claims, k)
			continue
		}
		if len(used) == 0 && c.Kind == cite.Transition {
			if v := cite.Verify(c.Text, pool.texts, cite.Options{}); v.Hard {
				k.Verdict = draft.Verdict{Label: draft.Unsupported, Reasons: v.Reasons, Hard: true}
				claims = append(claims, k)
			}
			continue
		}
		if err := r.tie(ctx, &k, used); err != nil {
			return nil, err
		}
		if k.bad() { // it names nothing, or something else than what it was taken from
			if err := r.retie(ctx, &k, pool, all); err != nil {
				return nil, err
			}
		}
		claims = append(claims, k)
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return a.Start - b.Start })
	return claims, nil
}

// fewWords is how many different words a claim must have that is tied to what a search finds: the place of a word or two proves nothing.
const fewWords = 4

// retie ties a claim to what a search in the evidence finds for it, if that says more of it.
func (r *round) retie(ctx context.Context, k *claim, pool, all evidencePool) error {
	words := strings.Fields(strings.ToLower(k.Text))
	slices.Sort(words)
	if len(slices.Compact(words)) < fewWords {
		return nil
	}
	var found []int
	for _, x := range cite.Attach(k.Text, pool.pool, all.pool) {
		list := pool.numbers
		if x.Far {
			list = all.numbers
		}
		found = append(found, list[x.Index])
	}
	other := claim{Start: k.Start, Text: k.Text}
	if err := r.tie(ctx, &other, found); err != nil {
		return err
	}
	if len(k.Spans) == 0 || !other.bad() {
		*k = other
	}
	return nil
}

// forbidden gives the phrase of a text that the brief does not want in the post.
func (r *round) forbidden(text string) string {
	low := strings.ToLower(text)
	for _, phrase := range r.wish.Brief.MustNot {
		if p := strings.ToLower(strings.TrimSpace(phrase)); p != "" && strings.Contains(low, p) {
			return phrase
		}
	}
	return ""
}

// foreign finds code and heads of tables that do not stand in the evidence. They are claims that nothing supports, so that they go.
func (r *round) foreign(text string, pool evidencePool) (claims []claim) {
	var found extract.Collector
	if markdown.Extract(text, &found) != nil {
		return nil // a collector takes everything
	}
	evidence := squeezed(strings.Join(pool.texts, "\n"))
	add := func(start, end int, why string) {
		claims = append(claims, claim{Start: start, Text: text[start:end], Verdict: draft.Verdict{Label: draft.Unsupported, Reasons: []string{why}, Hard: true}})
	}
	for _, e := range found.Text().Elements {
		block := text[e.Start:e.End]
		switch e.Kind {
		case extract.Code:
			if code := squeezed(strings.Trim(block, "`~ \n")); !strings.Contains(evidence, code) {
				add(e.Start, e.End, "this code is not in its source")
			}
		case extract.Table:
			head, _, _ := strings.Cut(block, "\n")
			if v := cite.Verify(strings.Trim(strings.ReplaceAll(head, "|", " "), " "), pool.texts, cite.Options{}); v.Hard {
				add(e.Start, e.End, "the head of the table names what its source does not")
			}
		}
	}
	return claims
}

// squeezed is a text without its white space.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// evidencePool is passages that a claim may have been taken from.
type evidencePool struct {
	pool    *cite.Pool
	numbers []int
	texts   []string
}

// wholePool is the pool of all evidence; each section, and each sentence that is corrected, asks it.
func (r *round) wholePool(ctx context.Context) (evidencePool, error) {
	r.pooling.Lock()
	defer r.pooling.Unlock()
	if r.everything.pool != nil && len(r.everything.numbers) == len(r.post.Evidence) {
		return r.everything, nil
	}
	p, err := r.pool(ctx, nil)
	if err == nil {
		r.everything = p
	}
	return p, err
}

// pool prepares passages of the post's evidence for cite.Attach; nil is all of it.
func (r *round) pool(ctx context.Context, numbers []int) (evidencePool, error) {
	if numbers == nil {
		for n := range r.post.Evidence {
			numbers = append(numbers, n)
		}
	}
	var list []cite.Passage
	var texts []string
	for _, n := range numbers {
		text, _, err := r.passage(ctx, n)
		if err != nil {
			return evidencePool{}, err
		}
		list, texts = append(list, cite.Passage{ID: passageName(n), Text: text}), append(texts, text)
	}
	return evidencePool{cite.NewPool(list), numbers, texts}, nil
}
