package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/summarize"
	"byline/internal/runs"
)

// doFinish is the node that puts the pieces together and adds the version. After a crash between that and its checkpoint it is done
// again: the store knows the content of this run and adds nothing twice.
func (r *round) doFinish(ctx context.Context) (string, []runs.NewEvent, error) {
	if r.model != nil {
		if err := r.dropEmpty(); err != nil {
			return "", nil, err
		}
		if err := r.show(ctx, append(slices.Clone(r.post.Pieces), r.sourcesPiece())); err != nil {
			return "", nil, err
		}
		r.checkSummary(ctx)
	} else {
		r.post.Tags = r.tags()
	}
	r.post.Slug = draft.Slug(r.post.Title)
	out := Result{DraftID: r.job.Run().Subject.ID}
	var content strings.Builder
	var citations []draft.Citation
	for _, w := range r.post.Pieces {
		base := content.Len()
		content.WriteString(w.Text)
		for _, c := range w.Claims {
			out.Sentences++
			if c.Verdict.Label == draft.Supported {
				out.Cited++
			}
			if len(c.Spans) > 0 {
				citations = append(citations, draft.Citation{
					ID: c.ID, Claim: draft.Claim{Start: base + c.Start, End: base + c.Start + len(c.Text), Text: c.Text}, Verdict: c.Verdict, Spans: c.Spans,
				})
			}
		}
	}
	out.Words = summarize.Words(content.String())
	if err := r.unchanged(ctx); err != nil {
		return "", nil, err
	}
	if err := r.job.Flush(ctx); err != nil {
		return "", nil, err
	}
	v, err := r.writer.Versions.AddVersion(ctx, r.job.Lease(), draft.Result{
		Title: r.post.Title, Tags: r.post.Tags, Summary: r.post.Summary, Slug: r.post.Slug,
		Version: draft.Version{Cause: draft.CauseGenerate, Title: r.post.Title, Content: content.String(), Words: out.Words, Citations: citations},
	}, runs.NewEvent{Type: runs.EventVersion})
	if err != nil {
		return "", nil, fmt.Errorf("add version: %w", err)
	}
	out.Version = v.Number
	r.post.Result = &out
	var events []runs.NewEvent
	if long, short := r.offLength(); r.model != nil && (long || short) {
		events = append(events, notice("length", "The post has %d words; %d were asked for. The sources do not hold more that could be proven, or less without losing what was asked for.", out.Words, r.post.Words))
	}
	return End, events, nil
}

// dropEmpty takes sections out of which nothing is left that the sources say.
func (r *round) dropEmpty() error {
	left := 0
	r.post.Pieces = slices.Clone(r.post.Pieces)
	for i := range r.post.Pieces {
		w := &r.post.Pieces[i]
		if slices.ContainsFunc(w.Claims, func(c claim) bool { return len(c.Spans) > 0 }) {
			left++
			continue
		}
		r.post.Gaps = append(r.post.Gaps, w.Title)
		w.Text, w.Claims = "", nil
		w.Shown++
	}
	if left == 0 {
		return noEvidence(r.post.Gaps)
	}
	return nil
}

// sourcesPiece lists what was cited, what the sources do not cover, and what was superseded.
func (r *round) sourcesPiece() writing {
	used := map[string]*sourceUse{}
	for _, w := range r.post.Pieces {
		for _, c := range w.Claims {
			for _, s := range c.Spans {
				note(used, s.DocumentID, s.Page)
			}
		}
	}
	p := r.end(r.post.Gaps, used)
	return writing{ID: p.id, Title: p.title, Text: p.text.String(), Shown: 1}
}

// checkSummary keeps a summary only as far as the evidence says it; nobody would look for its citations.
func (r *round) checkSummary(ctx context.Context) {
	var texts []string
	for n := range r.post.Evidence {
		if text, _, err := r.passage(ctx, n); err == nil {
			texts = append(texts, text)
		}
	}
	var proven []string
	for _, c := range cite.Claims(r.post.Summary) {
		if v := cite.Verify(c.Text, texts, cite.Options{}); v.Label == cite.Supported || v.Label == cite.Partly && !v.Hard {
			proven = append(proven, c.Text)
		}
	}
	if r.post.Summary = strings.Join(proven, " "); r.post.Summary != "" {
		return
	}
	for _, w := range r.post.Pieces { // else the first sentence that is proven
		for _, c := range w.Claims {
			if c.Verdict.Label == draft.Supported && !strings.ContainsAny(c.Text, "|\n") {
				r.post.Summary = c.Text
				return
			}
		}
	}
}

// manyTags is how many tags are suggested.
const manyTags = 5

func (r *round) tags() []string {
	return r.survey.Tags(manyTags)
}

// passageOf gives the id of the passage that holds a span, else of the one that holds most of it.
func passageOf(passages []document.Passage, start, end int) string {
	best, most := "", 0
	for _, p := range passages {
		if n := min(end, p.End) - max(start, p.Start); n > most {
			best, most = p.ID, n
		}
	}
	return best
}
