package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"byline/internal/engine/summarize"
	"byline/internal/llm"
	"byline/internal/runs"
)

// doWrite is the node that writes all pieces of the draft and streams them in order.
func (r *round) doWrite(ctx context.Context) (string, []runs.NewEvent, error) {
	if r.model == nil {
		return nodeVerify, nil, r.extract(ctx)
	}
	if err := r.writeSections(ctx); err != nil {
		return "", nil, err
	}
	return nodeVerify, nil, nil
}

// extract lays the pieces out and shows them.
func (r *round) extract(ctx context.Context) error {
	var made struct {
		Summary string    `json:"summary"`
		Pieces  []writing `json:"pieces"`
	}
	err := r.Once(ctx, "write/extract", &made, func(context.Context) ([]runs.NewEvent, error) {
		pieces, summary := r.layout()
		made.Summary = summary
		for _, p := range pieces {
			w := writing{ID: p.id, Title: p.title, Text: p.text.String(), Claims: p.claims, Shown: 1}
			w.name()
			made.Pieces = append(made.Pieces, w)
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	r.post.Summary = made.Summary
	return r.show(ctx, made.Pieces)
}

// show puts pieces on the stage that are complete; those that stand there as they are stay.
func (r *round) show(ctx context.Context, pieces []writing) error {
	s := r.newStage(pieces)
	for i, p := range pieces {
		if err := s.close(ctx, i, p); err != nil {
			return err
		}
	}
	r.post.Pieces = pieces
	return nil
}

// writeSections has the model write all sections, several at a time, and streams them in order.
func (r *round) writeSections(ctx context.Context) error {
	empty := make([]writing, len(r.post.Sections))
	for i, s := range r.post.Sections {
		empty[i] = writing{ID: s.ID, Title: s.Title, Shown: 1}
	}
	stage := r.newStage(empty)
	pieces := make([]writing, len(empty))
	err := Each(ctx, len(pieces), r.writer.Parallel, func(ctx context.Context, i int) error {
		w, err := r.writeSection(ctx, i, func(text string) error { return stage.say(ctx, i, text) })
		if err != nil {
			return err
		}
		pieces[i] = w
		return stage.close(ctx, i, w)
	})
	if err != nil {
		return err
	}
	r.post.Pieces = pieces
	return nil
}

// writeSection has the model write a section and cites it. say hears the text as it comes.
func (r *round) writeSection(ctx context.Context, i int, say func(string) error) (writing, error) {
	s := r.post.Sections[i]
	w := writing{ID: s.ID, Title: s.Title, Shown: 1}
	err := r.Once(ctx, "write/"+s.ID, &w, func(ctx context.Context) ([]runs.NewEvent, error) {
		request, err := r.sectionRequest(ctx, i)
		if err != nil {
			return nil, err
		}
		p := r.newPen(s, say)
		if err := p.begin(); err != nil {
			return nil, err
		}
		if err := r.compose(ctx, "write/"+s.ID, request, p.write); err != nil {
			return nil, err
		}
		if err := p.end(); err != nil {
			return nil, err
		}
		w.Text = p.text.String()
		if w.Claims, err = r.cite(ctx, w.Text, p.marks, s); err != nil {
			return nil, err
		}
		w.name()
		return p.complaints(s.ID), nil
	})
	return w, err
}

// maxParts is how often a model whose answer was longer than it may be is asked to go on.
const maxParts = 6

// compose asks a model for a text, and to go on as long as its answers end before it does. Each of its answers is kept: none is asked for
// twice.
func (r *round) compose(ctx context.Context, key string, q llm.Request, write func(string) error) error {
	for part := 1; ; part++ {
		a, err := r.call(ctx, fmt.Sprintf("%s/%d", key, part), q, write)
		if err != nil {
			return err
		}
		if a.Finish != llm.Length || part == maxParts || strings.TrimSpace(a.Text) == "" {
			return nil
		}
		more, err := prompt("more", nil)
		if err != nil {
			return err
		}
		q.Messages = append(slices.Clone(q.Messages), llm.Message{Role: llm.Assistant, Content: a.Text}, llm.Message{Role: llm.User, Content: more})
	}
}

// writeData fills write.md in, sectionData section.md, repair.md and rewrite.md.
type writeData struct {
	Language, Audience, Tone, StyleGuide, Instructions, Title string
	MustNot                                                   []string
	Sections                                                  []section
}

type sectionData struct {
	Passages  []passageData
	Title     string
	About     string
	Words     int
	Must      []string
	Have      int
	Text      string
	Shorter   bool
	Sentences []sentenceData
}

type passageData struct {
	ID, Source, Text string
	Page             int
}

type sentenceData struct {
	Number    int
	Text, Why string
}

func (r *round) writeData() writeData {
	b := r.wish.Brief
	return writeData{
		Language: r.languageName(), Audience: b.Audience, Tone: b.Tone, StyleGuide: r.wish.StyleGuide, Instructions: r.wish.Instructions,
		Title: r.post.Title, MustNot: b.MustNot, Sections: r.post.Sections,
	}
}

// languageName is the language of the post for a model.
func (r *round) languageName() string {
	if l := r.wish.Brief.Language; l != "" {
		return languageName(l)
	}
	return languageName(r.survey.Language)
}

func (r *round) sectionData(ctx context.Context, s section) (sectionData, error) {
	d := sectionData{Title: s.Title, About: s.About, Words: s.Words}
	if len(r.post.Sections) == 1 || s.Origin == summarize.FromTopic {
		d.Must = r.wish.Brief.Must
	}
	for _, n := range s.Evidence {
		text, src, err := r.passage(ctx, n)
		if err != nil {
			return d, err
		}
		d.Passages = append(d.Passages, passageData{passageName(n), attribute.Replace(src.doc.Filename), material(text), r.post.Evidence[n].Page})
	}
	return d, nil
}

func passageName(n int) string { return fmt.Sprintf("p%d", n+1) }

func (r *round) sectionRequest(ctx context.Context, i int) (llm.Request, error) {
	s := r.post.Sections[i]
	d, err := r.sectionData(ctx, s)
	if err != nil {
		return llm.Request{}, err
	}
	return ask("write", "write", r.writeData(), "section", d)
}

// call asks the model once and keeps its answer; hear gets the text as it comes, all at once when an earlier attempt has kept it.
func (r *round) call(ctx context.Context, key string, q llm.Request, hear func(string) error) (llm.Answer, error) {
	var kept modelCall
	if hear == nil {
		hear = func(string) error { return nil }
	}
	asked := false
	err := r.Once(ctx, key, &kept, func(ctx context.Context) ([]runs.NewEvent, error) {
		asked, kept.Purpose, kept.Saw = true, q.Purpose, q.Messages
		var a llm.Answer
		var text strings.Builder
		for d, err := range r.model.Stream(llm.WithPace(r.paying(ctx), r.job.Rest), q) {
			if err != nil {
				return nil, err
			}
			text.WriteString(d.Text)
			if d.Usage != nil {
				a.Usage = d.Usage
			}
			if d.Finish != "" {
				a.Finish = d.Finish
			}
			a.Calls = append(a.Calls, d.Calls...)
			if d.Text == "" {
				continue
			}
			if err := hear(d.Text); err != nil {
				return nil, err
			}
		}
		if a.Text = text.String(); a.Usage != nil {
			kept.Said = a
			return []runs.NewEvent{{Type: runs.EventUsage, Data: Used{q.Purpose, r.model.Info().Provider, r.model.Info().Name, *a.Usage}}}, nil
		}
		kept.Said = a
		return nil, nil
	})
	if err != nil || asked {
		return kept.Said, err
	}
	return kept.Said, hear(kept.Said.Text)
}

// paying says who pays for what a model is asked.
func (r *round) paying(ctx context.Context) context.Context {
	return llm.WithPayer(ctx, llm.Payer{Workspace: r.job.Run().Workspace, RunID: r.job.Run().ID, UserID: r.wish.Author, Grants: r.grants()})
}
