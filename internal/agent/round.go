package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/extract"
	"byline/internal/engine/summarize"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
)

// round writes one post from sources that stay what they are. It is a Thread.
type round struct {
	writer *Writer
	job    *runs.Job
	wish   draft.Wish
	docs   []document.Document
	prefix string    // of the keys of its steps
	model  llm.Model // nil: the post is extracted

	survey   *summarize.Survey
	passages map[string][]document.Passage // by document, without their texts
	texts    map[string]*source            // texts that the wish does not name: pages of the web
	labels   labels

	channel string                          // where its text is streamed; empty: draft
	whole   bool                            // the text is streamed without sections
	held    func(ctx context.Context) error // in the place of unchanged

	pooling    sync.Mutex // guards everything
	everything evidencePool

	post post
}

// source is a document with its text.
type source struct {
	doc      document.Document
	text     string
	elements []extract.Element
}

// chosen is which model a round writes with. Without a name it extracts.
type chosen struct {
	Provider string `json:"provider,omitempty"`
	Name     string `json:"name,omitempty"`
}

// choose finds the model to write with. A round keeps to it, whatever becomes of the settings meanwhile.
func (r *round) choose(ctx context.Context) error {
	var c chosen
	err := r.Once(ctx, "model", &c, func(ctx context.Context) ([]runs.NewEvent, error) {
		if r.writer.Models == nil || r.wish.Provider == offline {
			return nil, nil
		}
		m, err := r.writer.Models.Model(ctx, llm.Ref{Provider: r.wish.Provider, Name: r.wish.Model})
		if errors.Is(err, llm.ErrOffline) && r.wish.Provider == "" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		c = chosen{m.Info().Provider, m.Info().Name}
		return nil, nil
	})
	if err != nil || c.Name == "" {
		return err
	}
	m, err := r.writer.Models.Model(ctx, llm.Ref{Provider: c.Provider, Name: c.Name})
	r.model = m
	return err
}

// offline is the provider that is none.
const offline = "offline"

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

// read reads all texts. That is done at every attempt, because the texts themselves are not kept in the journal.
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
	return nil
}

// doSurvey is the node that tells what the sources are.
func (r *round) doSurvey(context.Context) (string, []runs.NewEvent, error) {
	if len(r.survey.Units) == 0 && r.model == nil {
		return "", nil, fault.New(fault.Invalid, "nothing_to_quote", "The sources hold no sentence, list or table that could be quoted. Add a document with running text.")
	}
	out := surveyed{Language: r.survey.Language, Units: len(r.survey.Units)}
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
	return nodePlan, []runs.NewEvent{{Type: runs.EventSurvey, Data: out}}, nil
}

// page is the page on which a place of a text stands; 0 where there are none.
func (s source) page(at int) int {
	i, _ := slices.BinarySearchFunc(s.elements, at, func(e extract.Element, at int) int { return cmp.Compare(e.End-1, at) })
	if i < len(s.elements) {
		return s.elements[i].Page
	}
	return 0
}

// textOf gives a document with its text: one that the wish names, or a page of the web.
func (r *round) textOf(ctx context.Context, id string) (source, error) {
	if i := slices.IndexFunc(r.docs, func(d document.Document) bool { return d.ID == id }); i >= 0 {
		t := r.survey.Sources[i].Text
		return source{r.docs[i], t.Content, t.Elements}, nil
	}
	if s := r.texts[id]; s != nil {
		return *s, nil
	}
	docs, err := r.writer.Documents.Named(ctx, r.job.Run().Workspace, []string{id})
	if err == nil && len(docs) == 0 {
		err = fault.Missing("document")
	}
	if err != nil {
		return source{}, fmt.Errorf("name source %s: %w", id, err)
	}
	text, err := r.text(ctx, docs[0])
	if err != nil {
		return source{}, err
	}
	if r.passages[id], err = r.passagesOf(ctx, docs[0]); err != nil {
		return source{}, err
	}
	r.texts[id] = &source{docs[0], text.Content, text.Elements}
	return *r.texts[id], nil
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
		part, length, err := r.writer.Documents.Text(ctx, ws, d.ID, b.Len(), textPage)
		if err != nil {
			return extract.Text{}, fmt.Errorf("read text of %s: %w", d.ID, err)
		}
		b.WriteString(part)
		if b.Len() >= length || part == "" {
			break
		}
	}
	elements, err := r.writer.Documents.Elements(ctx, ws, d.ID)
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
		page, total, err := r.writer.Documents.Passages(ctx, r.job.Run().Workspace, d.ID, len(all), passagePage)
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
