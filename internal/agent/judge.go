package agent

import (
	"context"
	"crypto/sha256"
	_ "embed" // the prompt
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/llm"
)

//go:embed prompts/judge.md
var judgePrompt string

var judgeSchema = llm.Schema{Name: "judgement", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["label","quote"],"properties":` +
	`{"label":{"type":"string","enum":["supported","partly","unsupported","contradicted"]},"quote":{"type":"string"}}}`)}

// Judgements keeps what models answered. What is kept goes with the first of its documents.
type Judgements interface {
	// Judgement gives an answer, or an empty one.
	Judgement(ctx context.Context, ws ident.Workspace, id string) (answer string, err error)
	KeepJudgement(ctx context.Context, ws ident.Workspace, id string, documentIDs []string, answer string) error
}

// Judge asks a model about claims that words alone don't decide. The model has to quote a span, and is asked once for the same
// claim, spans and model. It is safe for concurrent use.
type Judge struct {
	model llm.Model
	kept  Judgements
}

// NewJudge makes a judge.
func NewJudge(model llm.Model, kept Judgements) *Judge { return &Judge{model, kept} }

// judgement is what a model answers.
type judgement struct {
	Label draft.Label `json:"label"`
	Quote string      `json:"quote"`
}

// judgeTokens bounds an answer: a label and a sentence.
const judgeTokens = 600

// Judge gives the verdict after a model was heard. One that is hard, or of a claim that was found word for word, stays as it is, and
// no model is asked. An answer that quotes nothing of the spans is void: the verdict stays, with a reason that says so.
func (j *Judge) Judge(ctx context.Context, ws ident.Workspace, claim string, spans []draft.Span, v draft.Verdict) (draft.Verdict, error) {
	if v.Hard || v.Label == draft.Supported && v.Score == 1 || len(spans) == 0 {
		return v, nil
	}
	answer, err := j.ask(ctx, ws, claim, spans)
	if err != nil {
		return v, err
	}
	return heard(answer, spans, v), nil
}

func (j *Judge) ask(ctx context.Context, ws ident.Workspace, claim string, spans []draft.Span) (string, error) {
	input := struct {
		Claim    string   `json:"claim"`
		Passages []string `json:"passages"`
	}{Claim: claim}
	var documents []string
	for _, s := range spans {
		input.Passages = append(input.Passages, s.Quote)
		if !slices.Contains(documents, s.DocumentID) {
			documents = append(documents, s.DocumentID)
		}
	}
	question, err := json.Marshal(input)
	if err != nil {
		return "", err
	}
	info := j.model.Info()
	id := judgementID(string(ws), info.Provider, info.Name, judgePrompt, strings.Join(documents, " "), string(question))
	if answer, err := j.kept.Judgement(ctx, ws, id); err != nil || answer != "" {
		return answer, err
	}
	cold := 0.0
	a, err := llm.Ask(ctx, j.model, llm.Request{Purpose: "judge", MaxTokens: judgeTokens, Temperature: &cold, Schema: &judgeSchema,
		Messages: []llm.Message{{Role: llm.System, Content: judgePrompt}, {Role: llm.User, Content: string(question)}}})
	if err != nil {
		return "", fmt.Errorf("ask the judge: %w", err)
	}
	if strings.TrimSpace(a.Text) == "" {
		return "", nil // nothing to keep
	}
	return a.Text, j.kept.KeepJudgement(ctx, ws, id, documents, a.Text)
}

// judgementID is the same for the same parts only.
func judgementID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// judged is the score of a verdict that a model gave: words alone are not that sure.
var judged = map[draft.Label]float64{draft.Supported: .8, draft.Partly: .4, draft.Unsupported: .1, draft.Contradicted: .05}

// heard applies an answer to a verdict.
func heard(answer string, spans []draft.Span, v draft.Verdict) draft.Verdict {
	var a judgement
	score, known := 0.0, false
	if err := json.Unmarshal([]byte(answer), &a); err == nil {
		score, known = judged[a.Label]
	}
	var place *draft.Place
	for i, s := range spans {
		if at := strings.Index(s.Quote, a.Quote); a.Quote != "" && at >= 0 {
			place = &draft.Place{Span: i, Start: at, End: at + len(a.Quote), Quote: a.Quote}
			break
		}
	}
	v.Reasons = slices.Clone(v.Reasons)
	if !known || place == nil && (a.Label != draft.Unsupported || a.Quote != "") {
		v.Reasons = append(v.Reasons, "a model was asked, but did not quote its source; its answer does not count")
		return v
	}
	v.Label, v.Score, v.Checker = a.Label, score, draft.CheckerModel
	if place != nil {
		v.Evidence = place
	}
	v.Reasons = []string{map[draft.Label]string{
		draft.Supported:    "found in source, as a model reads it",
		draft.Partly:       "found in source in part, as a model reads it",
		draft.Unsupported:  "not found in source, as a model reads it",
		draft.Contradicted: "its source says other than this, as a model reads it",
	}[a.Label]}
	return v
}
