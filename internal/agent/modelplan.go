package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"byline/internal/engine/summarize"
	"byline/internal/llm"
	"byline/internal/runs"
)

// briefData fills brief.md in.
type briefData struct {
	Sources                                                   []sourceData
	Words, Count                                              int
	Title, Audience, Tone, Template, StyleGuide, Instructions string
	Outline, Topics, Must, MustNot                            []string
}

type sourceData struct {
	Name, Title, Language string
	Replaced              bool
	Headings              []string
	Text                  string
}

// proposal is a model's plan.
type proposal struct {
	Title    string            `json:"title"`
	Summary  string            `json:"summary"`
	Tags     []string          `json:"tags"`
	Sections []proposedSection `json:"sections"`
}

// proposedSection is a section of it; shares are compared with each other.
type proposedSection struct {
	Title string  `json:"title"`
	About string  `json:"about"`
	Share float64 `json:"share"`
}

var planSchema = &llm.Schema{Name: "plan", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["title","summary","tags","sections"],"properties":{"title":{"type":"string"},"summary":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"sections":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["title","about","share"],"properties":{"title":{"type":"string"},"about":{"type":"string"},"share":{"type":"number"}}}}}}`)}

// The sizes of a plan: words of a post that nobody asked a length for, words of a section, sections, tokens of the survey that the
// model is shown and of its plan, runes of titles, tags.
const (
	usualWords    = 800
	sectionLength = 170
	mostSections  = 20
	surveyTokens  = 10_000
	planLength    = 1200
	longTitle     = 200
	mostTags      = 6
)

// modelPlan has the model plan the post. A plan that can't be used even when it was asked for again is made without it.
func (r *round) modelPlan(ctx context.Context) ([]runs.NewEvent, error) {
	wished, _ := r.wishes()
	r.post.Asked = wished.Words > 0
	if r.post.Words = wished.Words; !r.post.Asked {
		r.post.Words = usualWords
	}
	q, err := r.planRequest()
	if err != nil {
		return nil, err
	}
	var p proposal
	for try := 1; try <= 2; try++ {
		a, err := r.call(ctx, fmt.Sprintf("plan/%d", try), q, nil)
		if err != nil {
			return nil, err
		}
		wrong := p.read(a.Text)
		if wrong == nil {
			r.adopt(p)
			return nil, nil
		}
		again, err := prompt("again", struct{ Why string }{wrong.Error()})
		if err != nil {
			return nil, err
		}
		q.Messages = append(slices.Clone(q.Messages), llm.Message{Role: llm.Assistant, Content: a.Text}, llm.Message{Role: llm.User, Content: again})
	}
	r.post.Title = r.title()
	r.setSections(r.survey.Plan(wished))
	r.share(nil)
	return []runs.NewEvent{notice("plan_failed", "The model gave no plan that could be used, so the headings are those of the sources.")}, nil
}

// read takes an answer, and tells what is wrong with it.
func (p *proposal) read(answer string) error {
	*p = proposal{}
	if err := jsonOf(answer, p); err != nil {
		return fmt.Errorf("it is not valid JSON: %w", err)
	}
	p.Sections = slices.DeleteFunc(p.Sections, func(s proposedSection) bool { return strings.TrimSpace(s.Title) == "" })
	switch {
	case len(p.Sections) == 0:
		return errors.New(`"sections" is empty`)
	case len(p.Sections) > mostSections:
		return fmt.Errorf("there are more than %d sections", mostSections)
	}
	return nil
}

// adopt makes a plan of the model's that of the post, within what the brief says.
func (r *round) adopt(p proposal) {
	if r.post.Title = r.title(); strings.TrimSpace(r.wish.Title) == "" && strings.TrimSpace(p.Title) != "" {
		r.post.Title = line(p.Title)
	}
	r.post.Summary = line(p.Summary)
	for _, t := range p.Tags {
		if t = line(t); t != "" && len(r.post.Tags) < mostTags && !slices.Contains(r.post.Tags, t) {
			r.post.Tags = append(r.post.Tags, t)
		}
	}
	var list []summarize.Section
	var about []string
	var shares []float64
	for _, s := range p.Sections {
		title := line(s.Title)
		list = append(list, summarize.Section{Title: title, Origin: summarize.FromTopic, Query: strings.TrimSpace(title + " " + line(s.About))})
		about, shares = append(about, line(s.About)), append(shares, min(max(s.Share, .25), 4))
	}
	if outline := r.wish.Brief.Outline; len(outline) > 0 { // the author's, whatever the model makes of it
		list, about, shares = nil, nil, nil
		for i, title := range outline {
			what := ""
			if k := slices.IndexFunc(p.Sections, func(s proposedSection) bool { return strings.EqualFold(line(s.Title), line(title)) }); k >= 0 {
				what = line(p.Sections[k].About)
			} else if len(p.Sections) == len(outline) {
				what = line(p.Sections[i].About)
			}
			list = append(list, summarize.Section{Title: line(title), Origin: summarize.FromOutline, Query: strings.TrimSpace(line(title) + " " + what)})
			about = append(about, what)
		}
	}
	r.setSections(list)
	for i := range r.post.Sections {
		r.post.Sections[i].About = about[i]
	}
	r.share(shares)
}

// line makes one line of what a model says, not too long.
func line(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > longTitle*3 {
		s = string(runes[:longTitle*3])
	}
	return s
}

// share deals the words out to the sections; nil is the same for all.
func (r *round) share(shares []float64) {
	total := 0.0
	for i := range r.post.Sections {
		if shares == nil || i >= len(shares) {
			total++
			continue
		}
		total += shares[i]
	}
	for i := range r.post.Sections {
		part := 1.0
		if i < len(shares) {
			part = shares[i]
		}
		r.post.Sections[i].Words = int(float64(r.post.Words) * part / max(total, 1e-9))
	}
}

// planRequest shows a model as much of the sources as it holds beside the brief and its plan.
func (r *round) planRequest() (llm.Request, error) {
	with := func(words int) (llm.Request, error) {
		q, err := ask("plan", "plan", r.writeData(), "brief", r.briefData(words))
		q.Schema = planSchema
		return q, err
	}
	q, err := with(0)
	if err != nil {
		return q, err
	}
	const tokensPerWord = 1.4
	words := int(float64(r.room(q, planLength, surveyTokens)) / tokensPerWord)
	for ; words > 0; words = words * 2 / 3 { // words of other languages have more tokens
		if q, err = with(words); err != nil || r.model.Info().Context <= 0 {
			return q, err
		}
		if left, _ := llm.Room(r.model.Info(), q, min(planLength, r.model.Info().Context/4)); left >= 0 {
			return q, nil
		}
	}
	return with(0)
}

// briefData has the sources in short, by so many words of all of them.
func (r *round) briefData(words int) briefData {
	b := r.wish.Brief
	d := briefData{
		Words: r.post.Words, Count: min(max(r.post.Words/sectionLength, 2), 12), Title: r.wish.Title, Audience: b.Audience, Tone: b.Tone,
		Template: templates[b.Template], StyleGuide: r.wish.StyleGuide, Instructions: r.wish.Instructions,
		Outline: b.Outline, Topics: b.Topics, Must: b.Must, MustNot: b.MustNot,
	}
	each := words / max(len(r.docs), 1)
	old := map[int]bool{}
	for _, x := range r.survey.Superseded {
		old[x.Source] = true
	}
	for i, doc := range r.docs {
		digest := r.survey.Digest(i, each)
		var text strings.Builder
		for _, u := range digest.Units {
			text.WriteString(r.survey.Quote(u))
			text.WriteByte('\n')
		}
		s := sourceData{
			Name: attribute.Replace(doc.Filename), Title: attribute.Replace(r.survey.Titles[i]), Language: r.survey.Sources[i].Language, Replaced: old[i],
			Text: strings.TrimSpace(material(text.String())),
		}
		for _, h := range digest.Headings {
			s.Headings = append(s.Headings, attribute.Replace(h))
		}
		d.Sources = append(d.Sources, s)
	}
	return d
}
