package agent

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/runs"
)

// passageNumber is the index of the evidence that an id names.
func passageNumber(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "p"))
	if err != nil {
		return -1 // no id that was given out
	}
	return n - 1
}

// passage gives the text of a piece of evidence, and its source.
func (r *round) passage(ctx context.Context, n int) (string, source, error) {
	p := r.post.Evidence[n]
	src, err := r.textOf(ctx, p.DocumentID)
	if err != nil {
		return "", source{}, err
	}
	if p.Start < 0 || p.Start > p.End || p.End > len(src.text) {
		return "", source{}, errChanged
	}
	return src.text[p.Start:p.End], src, nil
}

// tie ties a claim to the places in its evidence that say most of it, and puts its verdict.
func (r *round) tie(ctx context.Context, c *claim, numbers []int) error {
	var texts []string
	places := map[int]int{} // of texts, which span it is
	for i, n := range numbers {
		text, src, err := r.passage(ctx, n)
		if err != nil {
			return err
		}
		texts = append(texts, text)
		p := r.post.Evidence[n]
		place := cite.Verify(c.Text, []string{text}, cite.Options{}).Evidence
		if place.Span < 0 {
			continue
		}
		places[i] = len(c.Spans)
		c.Spans = append(c.Spans, draft.Span{
			DocumentID: p.DocumentID, DocumentName: src.doc.Filename, PassageID: p.ID, Start: p.Start + place.Start, End: p.Start + place.End,
			Quote: text[place.Start:place.End], Page: src.page(p.Start + place.Start),
		})
	}
	v := cite.Verify(c.Text, texts, cite.Options{})
	c.Verdict = draft.VerdictOf(v, texts)
	c.Verdict.Evidence = nil // it says where in the texts; a reader has the quotes
	if k, ok := places[v.Evidence.Span]; ok {
		quote := c.Spans[k].Quote
		if at := strings.Index(quote, texts[v.Evidence.Span][v.Evidence.Start:v.Evidence.End]); at >= 0 {
			end := at + v.Evidence.End - v.Evidence.Start
			c.Verdict.Evidence = &draft.Place{Span: k, Start: at, End: end, Quote: quote[at:end]}
		}
	}
	return nil
}

// verified is the data of claim.verified.
type verified struct {
	CitationID string      `json:"citation_id"`
	Label      draft.Label `json:"label"`
	Score      float64     `json:"score"`
	Reasons    []string    `json:"reasons,omitempty"`
}

// doVerify is the node that proves every claim against the texts of its sources as they are stored, and says whether something must
// be repaired.
func (r *round) doVerify(ctx context.Context) (string, []runs.NewEvent, error) {
	var events []runs.NewEvent
	if err := r.judge(ctx); err != nil {
		return "", nil, err
	}
	for i := range r.post.Pieces {
		for k := range r.post.Pieces[i].Claims {
			c := &r.post.Pieces[i].Claims[k]
			if r.model == nil {
				r.checkExtract(c)
			}
			if len(c.Spans) > 0 {
				events = append(events, runs.NewEvent{Type: runs.EventVerified, Data: verified{c.ID, c.Verdict.Label, c.Verdict.Score, c.Verdict.Reasons}})
			}
		}
	}
	if r.model != nil && r.mustRepair() {
		return nodeRepair, events, nil
	}
	return nodeFinish, events, nil
}

// judge has a model say what it makes of the claims, where the installation wants that. What it has said of a claim and its quotes
// is kept, so that a later round asks for nothing twice.
func (r *round) judge(ctx context.Context) error {
	var all []*claim
	for i := range r.post.Pieces {
		for k := range r.post.Pieces[i].Claims {
			all = append(all, &r.post.Pieces[i].Claims[k])
		}
	}
	return r.judgeAll(ctx, all)
}

func (r *round) judgeAll(ctx context.Context, all []*claim) error {
	if r.model == nil || r.writer.Judgements == nil {
		return nil
	}
	judge, ctx := NewJudge(r.model, r.writer.Judgements), r.paying(ctx)
	return Each(ctx, len(all), r.writer.Parallel, func(ctx context.Context, i int) error {
		v, err := judge.Judge(ctx, r.job.Run().Workspace, all[i].Text, all[i].Spans, all[i].Verdict)
		if err == nil {
			all[i].Verdict = v
		}
		return err
	})
}

// checkExtract proves that a claim is its quote, but for the edits that were recorded.
func (r *round) checkExtract(c *claim) {
	span := c.Spans[0]
	i := slices.IndexFunc(r.docs, func(d document.Document) bool { return d.ID == span.DocumentID })
	if i < 0 {
		c.Verdict = draft.Verdict{Label: draft.Unsupported, Reasons: []string{"its source is not there"}}
		return
	}
	if err := cite.Check(r.survey.Sources[i].Text.Content, span.Start, span.End, span.Quote, c.Text, c.Edits); err != nil {
		c.Verdict = draft.Verdict{Label: draft.Unsupported, Reasons: []string{err.Error()}}
		return
	}
	c.Verdict = draft.Verdict{Label: draft.Supported, Score: 1, Reasons: []string{"found word for word"}}
	for _, e := range c.Edits {
		if why := editReasons[e.Kind]; why != "" && !slices.Contains(c.Verdict.Reasons, why) {
			c.Verdict.Reasons = append(c.Verdict.Reasons, why)
		}
	}
}

// editReasons say for people what was changed. Escapes show nowhere, so nobody need hear of them.
var editReasons = map[cite.Kind]string{
	cite.Connective: "a connective at its begin was dropped",
	cite.Join:       "lines were joined",
	cite.Unlink:     "a link was taken out",
	cite.Pronoun:    "a pronoun was replaced by what it stands for",
}

// bad tells whether a claim must not stay as it is.
func (c claim) bad() bool {
	switch c.Verdict.Label {
	case draft.Supported:
		return false
	case draft.Partly:
		return c.Verdict.Hard
	}
	return true
}

// why says for a model what is wrong with a claim.
func (c claim) why() string {
	if len(c.Verdict.Reasons) == 0 {
		return string(c.Verdict.Label)
	}
	return fmt.Sprintf("%s (%s)", c.Verdict.Label, strings.Join(c.Verdict.Reasons, "; "))
}
