package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"byline/internal/engine/summarize"
	"byline/internal/fault"
	"byline/internal/runs"
)

// planned is the data of plan.ready.
type planned struct {
	Title    string           `json:"title"`
	Words    int              `json:"words"`
	Sections []plannedSection `json:"sections"`
}

type plannedSection struct {
	ID     string           `json:"section_id"`
	Title  string           `json:"title"`
	About  string           `json:"about,omitempty"`
	Origin summarize.Origin `json:"origin"`
}

// doPlan is the node that chooses title, length and headings.
func (r *round) doPlan(ctx context.Context) (string, []runs.NewEvent, error) {
	events, err := r.outline(ctx)
	if err != nil {
		return "", nil, err
	}
	next := nodeGather
	if r.wish.Brief.ApproveOutline {
		next = nodeApprove
	}
	return next, append([]runs.NewEvent{r.planReady()}, events...), nil
}

// outline fills the plan in, and gives what is to be told of it.
func (r *round) outline(ctx context.Context) ([]runs.NewEvent, error) {
	if r.model != nil {
		return r.modelPlan(ctx)
	}
	w, left := r.wishes()
	r.post.Title, r.post.Words, r.post.Asked = r.title(), r.survey.Budget(w.Words), w.Words > 0
	r.setSections(r.survey.Plan(w))
	if len(left) == 0 {
		return nil, nil
	}
	return []runs.NewEvent{notice("needs_model", "No model is set up, so the post is put together from whole sentences of the sources. What only a model can do was left out: %s.", strings.Join(left, ", "))}, nil
}

func (r *round) setSections(list []summarize.Section) {
	r.post.Sections = nil
	for i, s := range list {
		r.post.Sections = append(r.post.Sections, section{Section: s, ID: sectionID(i)})
	}
}

func (r *round) planReady() runs.NewEvent {
	out := planned{Title: r.post.Title, Words: r.post.Words, Sections: []plannedSection{}}
	for _, s := range r.post.Sections {
		out.Sections = append(out.Sections, plannedSection{s.ID, s.Title, s.About, s.Origin})
	}
	return runs.NewEvent{Type: runs.EventPlan, Data: out}
}

// doApprove is the node that waits until a person has seen the outline, and takes their changes.
func (r *round) doApprove(ctx context.Context) (string, []runs.NewEvent, error) {
	data, err := json.Marshal(r.planReady().Data)
	if err != nil {
		return "", nil, fmt.Errorf("write outline: %w", err)
	}
	reply, err := r.job.Ask(ctx, runs.Question{
		Key: r.prefix + "ask/outline", Kind: runs.AskOutline, Data: data,
		Text: "Is this outline right? Answer true to have the post written, false to stop, or the titles of the sections as they should be.",
	})
	if err != nil {
		return "", nil, err
	}
	var yes bool
	var titles []string
	switch {
	case json.Unmarshal(reply.Value, &yes) == nil && yes:
		return nodeGather, nil, nil
	case json.Unmarshal(reply.Value, &titles) == nil && len(titles) > 0:
		r.reorder(titles)
		return nodeGather, []runs.NewEvent{r.planReady()}, nil
	}
	return "", nil, fault.New(fault.Invalid, "outline_rejected", "The outline was not approved, so nothing was written. Generate again with another brief or outline.")
}

// reorder makes the outline what a person wants it to be. A section whose title stays keeps what is known of it.
func (r *round) reorder(titles []string) {
	old := r.post.Sections
	r.post.Sections = nil
	share := r.post.Words / len(titles)
	for i, title := range titles {
		title = strings.Join(strings.Fields(title), " ")
		s := section{Section: summarize.Section{Title: title, Origin: summarize.FromOutline, Query: title}, Words: share}
		if k := slices.IndexFunc(old, func(x section) bool { return strings.EqualFold(x.Title, title) }); k >= 0 {
			s = old[k]
		}
		s.ID = sectionID(i)
		r.post.Sections = append(r.post.Sections, s)
	}
}

// title is the wished one, else that of the most central source.
func (r *round) title() string {
	if t := strings.Join(strings.Fields(r.wish.Title), " "); t != "" {
		return t
	}
	return r.survey.Title()
}

var (
	askedTopics = regexp.MustCompile(`(?i)\b(?:focus(?:ing)? on|cover|topics?:|sections?:|sections on)\s+([^.;:!?\n]+)`)
	listJoints  = regexp.MustCompile(`(?i)\s*,\s*(?:and\s+)?|\s+and\s+|\s*·\s*`)
	article     = regexp.MustCompile(`(?i)^(?:the|a|an)\s+`)
)

// longTopic is how many words a topic that instructions name may have; more is a sentence.
const longTopic = 6

// wishes reads the brief as far as it can be met without a model; left names what can't.
func (r *round) wishes() (w summarize.Wish, left []string) {
	b := r.wish.Brief
	w = summarize.Wish{Outline: b.Outline, Words: b.Words}
	for _, t := range slices.Concat(b.Topics, b.Must) {
		if !slices.Contains(w.Topics, t) {
			w.Topics = append(w.Topics, t)
		}
	}
	rest := r.wish.Instructions
	if m := saysLength.FindStringSubmatchIndex(rest); m != nil && w.Words == 0 {
		w.Words = figure(rest[m[2]:m[3]])
		rest = rest[:m[0]] + rest[m[1]:]
	}
	if m := askedTopics.FindStringSubmatchIndex(rest); m != nil && len(w.Topics) == 0 && len(w.Outline) == 0 {
		for _, t := range listJoints.Split(rest[m[2]:m[3]], -1) {
			if t = article.ReplaceAllString(strings.TrimSpace(t), ""); t != "" && len(strings.Fields(t)) <= longTopic {
				w.Topics = append(w.Topics, t)
			}
		}
		if len(w.Topics) > 0 {
			rest = rest[:m[0]] + rest[m[1]:]
		}
	}
	for _, x := range []struct {
		name string
		is   bool
	}{
		{"the instructions", hasWords(rest)}, {"the tone", b.Tone != ""}, {"the audience", b.Audience != ""},
		{"the language " + b.Language, b.Language != "" && base(b.Language) != r.survey.Language},
	} {
		if x.is {
			left = append(left, x.name)
		}
	}
	return w, left
}

// hasWords tells whether there is still a wish in what is left of instructions.
func hasWords(s string) bool {
	const few = 4
	return summarize.Words(s) >= few
}

// base is the language of a tag: pt of pt-BR.
func base(tag string) string {
	lang, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return lang
}
