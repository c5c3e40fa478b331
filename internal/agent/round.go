package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/summarize"
	"byline/internal/fault"
	"byline/internal/runs"
	"byline/internal/search"
)

// channel is where a draft's text is streamed.
const channel = "draft"

// round writes one post from sources that stay what they are.
type round struct {
	writer *Writer
	job    *runs.Job
	wish   draft.Wish
	docs   []document.Document
	prefix string // of the keys of its steps

	survey   *summarize.Survey
	passages map[string][]document.Passage // by document
	plan     plan
	found    [][]summarize.Evidence // of each section of the plan
	post     summarize.Post
	written  []writing // of each piece
	labels   labels
}

// do goes through the nodes.
func (r *round) do(ctx context.Context) (any, error) {
	for _, node := range []func(context.Context) error{r.begin, r.read, r.doPlan, r.gather, r.write, r.verify} {
		if err := node(ctx); err != nil {
			return nil, r.lostSource(ctx, err)
		}
	}
	return r.compose(ctx)
}

// lostSource makes errChanged of an error that a vanished document explains.
func (r *round) lostSource(ctx context.Context, err error) error {
	if f := fault.Of(err); f.Kind != fault.NotFound {
		return err
	}
	if changed := r.unchanged(ctx); changed != nil {
		return changed
	}
	return err
}

// once does a node of this round.
func (r *round) once(ctx context.Context, key string, out any, do func(ctx context.Context) ([]runs.NewEvent, error)) error {
	return r.job.Once(ctx, r.prefix+key, out, do)
}

// surveyed is the data of survey.ready.
type surveyed struct {
	Language   string           `json:"language"`
	Units      int              `json:"units"` // sentences, items and tables that can be taken
	Documents  []surveyedSource `json:"documents"`
	Superseded []superseded     `json:"superseded,omitempty"`
}

type surveyedSource struct {
	DocumentID string `json:"document_id"`
	Name       string `json:"name"`
	Title      string `json:"title"`
	Language   string `json:"language,omitempty"`
}

type superseded struct {
	DocumentID string `json:"document_id"`
	By         string `json:"by,omitempty"` // a document's id
	Reason     string `json:"reason"`       // marked, older
}

// read is the node survey: it reads all texts. That is done at every attempt, because the texts themselves are not kept in the
// journal.
func (r *round) read(ctx context.Context) error {
	var sources []summarize.Source
	r.passages = map[string][]document.Passage{}
	for _, d := range r.docs {
		text, err := r.text(ctx, d)
		if err != nil {
			return err
		}
		sources = append(sources, summarize.Source{
			Name: d.Filename, Title: d.Title, Text: text, Markdown: d.Type == string(extract.Markdown), Language: d.Language, Created: d.CreatedAt,
		})
		if r.passages[d.ID], err = r.passagesOf(ctx, d); err != nil {
			return err
		}
	}
	if err := r.unchanged(ctx); err != nil { // else a text may be of one extraction and its elements of another
		return err
	}
	r.survey = summarize.Read(sources)
	r.survey.Avoid(r.wish.Brief.MustNot)
	r.labels = labelsFor(r.wish.Brief.Language, r.survey.Language)
	if len(r.survey.Units) == 0 {
		return fault.New(fault.Invalid, "nothing_to_quote", "The sources hold no sentence, list or table that could be quoted. Add a document with running text.")
	}
	out := surveyed{Language: r.survey.Language, Units: len(r.survey.Units)}
	return r.once(ctx, "survey", &out, func(context.Context) ([]runs.NewEvent, error) {
		for i, d := range r.docs {
			out.Documents = append(out.Documents, surveyedSource{d.ID, d.Filename, r.survey.Titles[i], r.survey.Sources[i].Language})
		}
		for _, x := range r.survey.Superseded {
			y := superseded{DocumentID: r.docs[x.Source].ID, Reason: string(x.Reason)}
			if x.By >= 0 {
				y.By = r.docs[x.By].ID
			}
			out.Superseded = append(out.Superseded, y)
		}
		return []runs.NewEvent{{Type: runs.EventSurvey, Data: out}}, nil
	})
}

// The sizes of what is read at once: bytes of text, passages.
const (
	textPage    = 1 << 20
	passagePage = 500
)

func (r *round) text(ctx context.Context, d document.Document) (extract.Text, error) {
	var b strings.Builder
	ws := r.job.Run().Workspace
	for {
		part, length, err := r.writer.documents.Text(ctx, ws, d.ID, b.Len(), textPage)
		if err != nil {
			return extract.Text{}, fmt.Errorf("read text of %s: %w", d.ID, err)
		}
		b.WriteString(part)
		if b.Len() >= length || part == "" {
			break
		}
	}
	elements, err := r.writer.documents.Elements(ctx, ws, d.ID)
	if err != nil {
		return extract.Text{}, fmt.Errorf("read elements of %s: %w", d.ID, err)
	}
	for _, e := range elements {
		if e.Start < 0 || e.End < e.Start || e.End > b.Len() {
			if err := r.unchanged(ctx); err != nil { // the text is of one extraction, the elements are of another
				return extract.Text{}, err
			}
			return extract.Text{}, fmt.Errorf("element %d:%d of %s is outside of its text of %d bytes", e.Start, e.End, d.ID, b.Len())
		}
	}
	return extract.Text{Content: b.String(), Elements: elements}, nil
}

func (r *round) passagesOf(ctx context.Context, d document.Document) ([]document.Passage, error) {
	var all []document.Passage
	for {
		page, total, err := r.writer.documents.Passages(ctx, r.job.Run().Workspace, d.ID, len(all), passagePage)
		if err != nil {
			return nil, fmt.Errorf("read passages of %s: %w", d.ID, err)
		}
		for _, p := range page {
			p.Text = "" // the text is there already
			all = append(all, p)
		}
		if len(all) >= total || len(page) == 0 {
			return all, nil
		}
	}
}

// sectionID is the id of a section of the plan on the wire.
func sectionID(i int) string { return fmt.Sprintf("s%d", i+1) }

// hits is the data of retrieval.hits.
type hits struct {
	SectionID string `json:"section_id"`
	Query     string `json:"query"`
	Hits      []hit  `json:"hits"`
}

type hit struct {
	PassageID    string  `json:"passage_id"`
	DocumentID   string  `json:"document_id"`
	DocumentName string  `json:"document_name"`
	Page         int     `json:"page,omitempty"`
	Score        float64 `json:"score"`
}

// The bounds of a search for evidence: bytes of the query, passages found.
const (
	longQuery = 500
	topHits   = 12
)

// gather searches evidence for each section.
func (r *round) gather(ctx context.Context) error {
	return r.once(ctx, "gather", &r.found, func(ctx context.Context) ([]runs.NewEvent, error) {
		var events []runs.NewEvent
		ids, index := make([]string, len(r.docs)), map[string]int{}
		for i, d := range r.docs {
			ids[i], index[d.ID] = d.ID, i
		}
		r.found = make([][]summarize.Evidence, len(r.plan.Sections))
		for i, s := range r.plan.Sections {
			query := clip(s.Query, longQuery)
			answer, err := r.writer.searcher.Search(ctx, search.Question{
				Workspace: r.job.Run().Workspace, Text: query, DocumentIDs: ids, TopK: topHits,
				Mode: search.Lexical, // what is found by meaning depends on how far documents are embedded, and a draft must not
			})
			if err != nil {
				return nil, fmt.Errorf("search evidence: %w", err)
			}
			h := hits{SectionID: sectionID(i), Query: query, Hits: []hit{}}
			for _, x := range answer.Hits {
				p := x.Passage
				r.found[i] = append(r.found[i], summarize.Evidence{Source: index[p.DocumentID], Start: p.Start, End: p.End, Score: x.Score})
				h.Hits = append(h.Hits, hit{p.ID, p.DocumentID, x.DocumentName, p.PageFrom, x.Score})
			}
			events = append(events, runs.NewEvent{Type: runs.EventHits, Data: h})
		}
		return events, nil
	})
}

// clip cuts a text to n bytes, at a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// verified is the data of claim.verified.
type verified struct {
	CitationID string      `json:"citation_id"`
	Label      draft.Label `json:"label"`
	Reasons    []string    `json:"reasons,omitempty"`
}

// verify proves every claim against the text of its source, as it is stored.
func (r *round) verify(ctx context.Context) error {
	var labels []verified
	err := r.once(ctx, "verify", &labels, func(context.Context) ([]runs.NewEvent, error) {
		var events []runs.NewEvent
		for _, w := range r.written {
			for _, c := range w.Claims {
				v := r.check(c)
				labels = append(labels, v)
				events = append(events, runs.NewEvent{Type: runs.EventVerified, Data: v})
			}
		}
		return events, nil
	})
	if err != nil {
		return err
	}
	n := 0
	for i := range r.written {
		for j := range r.written[i].Claims {
			if n < len(labels) {
				r.written[i].Claims[j].verdict = verdictOf(labels[n])
			}
			n++
		}
	}
	return nil
}

func (r *round) check(c claim) verified {
	v := verified{CitationID: c.ID, Label: draft.Supported, Reasons: []string{"found word for word"}}
	for _, e := range c.Edits {
		if why := editReasons[e.Kind]; why != "" && !slices.Contains(v.Reasons, why) {
			v.Reasons = append(v.Reasons, why)
		}
	}
	source := -1
	for i, d := range r.docs {
		if d.ID == c.Span.DocumentID {
			source = i
		}
	}
	if source < 0 {
		return verified{c.ID, draft.Unsupported, []string{"its source is not there"}}
	}
	text := r.survey.Sources[source].Text.Content
	if err := cite.Check(text, c.Span.Start, c.Span.End, c.Span.Quote, c.Text, c.Edits); err != nil {
		return verified{c.ID, draft.Unsupported, []string{err.Error()}}
	}
	return v
}

// editReasons say for people what was changed. Escapes show nowhere, so nobody need hear of them.
var editReasons = map[cite.Kind]string{
	cite.Connective: "a connective at its begin was dropped",
	cite.Join:       "lines were joined",
	cite.Unlink:     "a link was taken out",
}

func verdictOf(v verified) draft.Verdict {
	score := 0.0
	if v.Label == draft.Supported {
		score = 1
	}
	return draft.Verdict{Label: v.Label, Score: score, Reasons: v.Reasons}
}

// composed is what the last node keeps.
type composed struct {
	Tags []string `json:"tags"`
}

// compose puts the pieces together and adds the version. After a crash between the two it is done again: the store knows the
// content of this run and adds nothing twice.
func (r *round) compose(ctx context.Context) (any, error) {
	out := Result{DraftID: r.job.Run().Subject.ID}
	var content strings.Builder
	var citations []draft.Citation
	for _, w := range r.written {
		base := content.Len()
		content.WriteString(w.Text)
		for _, c := range w.Claims {
			citations = append(citations, draft.Citation{
				ID: c.ID, Claim: draft.Claim{Start: base + c.Start, End: base + c.Start + len(c.Text), Text: c.Text}, Verdict: c.verdict, Spans: []draft.Span{c.Span},
			})
			out.Sentences++
			if c.verdict.Label == draft.Supported {
				out.Cited++
			}
		}
	}
	out.Words = summarize.Words(content.String())
	if err := r.unchanged(ctx); err != nil {
		return nil, err
	}
	done := composed{}
	err := r.once(ctx, "compose", &done, func(context.Context) ([]runs.NewEvent, error) {
		done.Tags = r.tags()
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	if err := r.job.Flush(ctx); err != nil {
		return nil, err
	}
	v, err := r.writer.versions.AddVersion(ctx, r.job.Lease(), draft.Result{Title: r.plan.Title, Tags: done.Tags, Version: draft.Version{
		Cause: draft.CauseGenerate, Title: r.plan.Title, Content: content.String(), Words: out.Words, Citations: citations,
	}}, runs.NewEvent{Type: runs.EventVersion})
	if err != nil {
		return nil, fmt.Errorf("add version: %w", err)
	}
	out.Version = v.Number
	return out, nil
}

// manyTags is how many tags are suggested.
const manyTags = 5

func (r *round) tags() []string {
	return r.survey.Phrases[:min(manyTags, len(r.survey.Phrases))]
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
