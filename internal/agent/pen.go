package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
	"byline/internal/runs"
)

// pen makes the text of a section of what a model says: marks are taken out and kept, and what must not stand in a post has no effect.
type pen struct {
	title string
	say   func(string) error
	guard markdown.Guard
	ids   cite.Marks
	text  strings.Builder
	lead  string // what the model said before its first words: white space, and a heading of its own, which goes
	begun bool
	marks []cite.Mark // At is in text
	base  int         // bytes of text before what the marks count
}

func (r *round) newPen(s section, say func(string) error) *pen {
	p := &pen{title: s.Title, say: say}
	known := map[string]bool{}
	for _, n := range s.Evidence {
		known[passageName(n)] = true
	}
	p.ids.Known = func(id string) bool { return known[id] }
	p.guard.Allowed = r.knows
	return p
}

// knows tells whether an address may stand in the post: the author named it, so it says nothing that a source has smuggled in.
func (r *round) knows(url string) bool {
	wishes := append([]string{r.wish.Instructions, r.wish.StyleGuide}, slices.Concat(r.wish.Brief.Must, r.wish.Brief.Topics)...)
	return slices.ContainsFunc(wishes, func(s string) bool { return strings.Contains(s, url) })
}

// begin writes the section's heading.
func (p *pen) begin() error {
	if err := p.put("## " + markdown.Escape(p.title) + "\n\n"); err != nil {
		return err
	}
	p.base = p.text.Len()
	return nil
}

// write takes what the model says next.
func (p *pen) write(delta string) error {
	if !p.begun {
		p.lead = strings.TrimLeft(p.lead+delta, " \t\r\n")
		if p.lead == "" {
			return nil
		}
		if p.lead[0] == '#' { // the heading stands there already
			_, rest, whole := strings.Cut(p.lead, "\n")
			if !whole {
				return nil
			}
			p.lead = ""
			return p.write(rest)
		}
		delta, p.lead, p.begun = p.lead, "", true
	}
	return p.take(p.ids.Feed(p.guard.Feed(delta)))
}

// end gives what was held back, and ends the section.
func (p *pen) end() error {
	if err := p.take(p.ids.Feed(p.guard.Close())); err != nil {
		return err
	}
	if err := p.take(p.ids.Close()); err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(p.text.String(), "\n\n"):
		return nil
	case strings.HasSuffix(p.text.String(), "\n"):
		return p.put("\n")
	}
	return p.put("\n\n")
}

func (p *pen) take(text string, marks []cite.Mark) error {
	for _, m := range marks {
		m.At += p.base
		p.marks = append(p.marks, m)
	}
	return p.put(text)
}

func (p *pen) put(text string) error {
	if text == "" {
		return nil
	}
	p.text.WriteString(text)
	return p.say(text)
}

// rejected is the data of citation.rejected.
type rejected struct {
	SectionID string   `json:"section_id"`
	Offset    int      `json:"offset"`
	IDs       []string `json:"ids"` // that the writer was never shown
}

// complaints tell what the model did that it must not: ids that it made up, addresses that nobody gave it.
func (p *pen) complaints(section string) []runs.NewEvent {
	var events []runs.NewEvent
	for _, m := range p.marks {
		if len(m.Rejected) > 0 {
			events = append(events, runs.NewEvent{Type: runs.EventRejected, Data: rejected{section, m.At, m.Rejected}})
		}
	}
	if n := len(p.guard.Removed()); n > 0 {
		events = append(events, notice("address_removed", "The model wrote %d address(es) that nobody asked for; they were taken out.", n))
	}
	return events
}

// cite finds the claims of a section's text with the places that they were taken from: those that the model named, else those that
// a search in the evidence finds. A claim without any has no spans.
func (r *round) cite(ctx context.Context, text string, marks []cite.Mark, s section) ([]claim, error) {
	pool, err := r.pool(ctx, s.Evidence)
	if err != nil {
		return nil, err
	}
	all, err := r.pool(ctx, nil)
	if err != nil {
		return nil, err
	}
	var claims []claim
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
			k.Verdict, k.Hard = draft.Verdict{Label: draft.Unsupported, Reasons: []string{fmt.Sprintf("the brief says not to write about %q", phrase)}}, true
			claims = append(claims, k)
			continue
		}
		if len(used) == 0 && !c.NeedsCite {
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
	return claims, nil
}

// retie ties a claim to what a search in the evidence finds for it, if that says more of it.
func (r *round) retie(ctx context.Context, k *claim, pool, all evidencePool) error {
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

// evidencePool is passages that a claim may have been taken from.
type evidencePool struct {
	pool    *cite.Pool
	numbers []int
}

// pool prepares passages of the post's evidence for cite.Attach; nil is all of it.
func (r *round) pool(ctx context.Context, numbers []int) (evidencePool, error) {
	if numbers == nil {
		for n := range r.post.Evidence {
			numbers = append(numbers, n)
		}
	}
	var list []cite.Passage
	for _, n := range numbers {
		text, _, err := r.passage(ctx, n)
		if err != nil {
			return evidencePool{}, err
		}
		list = append(list, cite.Passage{ID: passageName(n), Text: text})
	}
	return evidencePool{cite.NewPool(list), numbers}, nil
}
