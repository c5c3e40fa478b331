package agent

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"byline/internal/engine/summarize"
	"byline/internal/runs"
)

// plan is what the node plan keeps.
type plan struct {
	Title    string              `json:"title"`
	Words    int                 `json:"words"`
	Sections []summarize.Section `json:"sections"`
}

// planned is the data of plan.ready.
type planned struct {
	Title    string           `json:"title"`
	Words    int              `json:"words"`
	Sections []plannedSection `json:"sections"`
}

type plannedSection struct {
	ID     string           `json:"section_id"`
	Title  string           `json:"title"`
	Origin summarize.Origin `json:"origin"`
}

// doPlan chooses title, length and headings.
func (r *round) doPlan(ctx context.Context) error {
	return r.once(ctx, "plan", &r.plan, func(context.Context) ([]runs.NewEvent, error) {
		w, left := r.wishes()
		r.plan = plan{Title: r.title(), Words: r.survey.Budget(w.Words), Sections: r.survey.Plan(w)}
		out := planned{Title: r.plan.Title, Words: r.plan.Words, Sections: []plannedSection{}}
		for i, s := range r.plan.Sections {
			out.Sections = append(out.Sections, plannedSection{sectionID(i), s.Title, s.Origin})
		}
		events := []runs.NewEvent{{Type: runs.EventPlan, Data: out}}
		if len(left) > 0 {
			events = append(events, notice("needs_model", "No model is set up, so the post is put together from whole sentences of the sources. What only a model can do was left out: %s.", strings.Join(left, ", ")))
		}
		return events, nil
	})
}

// title is the wished one, else that of the most central source.
func (r *round) title() string {
	if t := strings.Join(strings.Fields(r.wish.Title), " "); t != "" {
		return t
	}
	return r.survey.Title()
}

var (
	askedWords  = regexp.MustCompile(`(?i)\b(\d{2,5})[ -]?(?:words?\b|단어)`)
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
	if m := askedWords.FindStringSubmatchIndex(rest); m != nil && w.Words == 0 {
		w.Words, _ = strconv.Atoi(rest[m[2]:m[3]]) // the pattern has digits only
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
