package agent

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"byline/internal/draft"
	"byline/internal/llm"
	"byline/internal/runs"
)

// pieceID names the one piece of an answer in the journal.
const pieceID = "answer"

// answerData fills answer.md, question.md and correct.md in.
type answerData struct {
	Instructions, Question string
	Passages               []passageData
	Sentences              []sentenceData
}

func (a *answering) data(ctx context.Context) (answerData, error) {
	s, err := a.sectionData(ctx, a.evidence())
	return answerData{Instructions: a.ask.Instructions, Question: a.reply.Question, Passages: s.Passages}, err
}

// evidence is all of it, as a section has it.
func (a *answering) evidence() section {
	s := section{ID: pieceID}
	for n := range a.post.Evidence {
		s.Evidence = append(s.Evidence, n)
	}
	return s
}

// doReply is the node that has the model answer, and streams that.
func (a *answering) doReply(ctx context.Context) (string, []runs.NewEvent, error) {
	// From here on the steps hold text of the sources. One that went before the log named it as found would not be looked for here.
	if err := a.unchanged(ctx); err != nil {
		return "", nil, err
	}
	w := writing{ID: pieceID, Shown: 1}
	stage := a.newStage([]writing{w})
	err := a.Once(ctx, "reply/text", &w, func(ctx context.Context) ([]runs.NewEvent, error) {
		d, err := a.data(ctx)
		if err != nil {
			return nil, err
		}
		request, err := ask("answer", "answer", d, "question", d)
		if err != nil {
			return nil, err
		}
		voice := &voice{say: func(text string) error { return stage.say(ctx, 0, text) }}
		s := a.evidence()
		p := a.newPen(s, voice.hear)
		if err := a.compose(ctx, "reply/text", request, p.write); err != nil {
			return nil, err
		}
		if err := p.end(); err != nil {
			return nil, err
		}
		if voice.silent() {
			return p.complaints(""), nil
		}
		w.Text = strings.TrimRightFunc(p.text.String(), unicode.IsSpace)
		if w.Claims, err = a.cite(ctx, w.Text, p.marks, s); err != nil {
			return nil, err
		}
		w.name()
		return p.complaints(""), nil
	})
	if err != nil {
		return "", nil, err
	}
	if w.Text == "" {
		return nodeVerify, nil, a.sayNothing(ctx)
	}
	a.post.Pieces = []writing{w}
	return nodeVerify, nil, stage.close(ctx, 0, w)
}

// doVerify is the node that tells what is found in the sources, and says whether something must be repaired.
func (a *answering) doVerify(context.Context) (string, []runs.NewEvent, error) {
	var events []runs.NewEvent
	claims := a.post.Pieces[0].Claims
	for _, c := range claims {
		if len(c.Spans) > 0 {
			events = append(events, runs.NewEvent{Type: runs.EventVerified, Data: verified{c.ID, c.Verdict.Label, c.Verdict.Score, c.Verdict.Reasons}})
		}
	}
	if slices.ContainsFunc(claims, claim.bad) && (a.post.Rounds == 0 || a.post.Rounds == 1 && !a.writer.Flag) {
		return nodeRepair, events, nil
	}
	return nodeFinish, events, nil
}

// doRepair is the node that mends what is not found in the sources: once by the model, then by cutting.
func (a *answering) doRepair(ctx context.Context) (string, []runs.NewEvent, error) {
	a.post.Rounds++
	if a.post.Rounds > 1 {
		events := a.cut()
		w := &a.post.Pieces[0]
		w.Text = strings.TrimRightFunc(w.Text, unicode.IsSpace)
		return nodeFinish, events, a.show(ctx, a.post.Pieces)
	}
	w, said, err := a.correct(ctx, a.post.Pieces[0])
	if err != nil {
		return "", nil, err
	}
	if w.Text != a.post.Pieces[0].Text {
		w.Shown++
	}
	return nodeVerify, said, a.show(ctx, []writing{w})
}

func isCited(c claim) bool { return len(c.Spans) > 0 }

// correct has the model correct the sentences that are not found in the evidence. The others stay as they are.
func (a *answering) correct(ctx context.Context, w writing) (writing, []runs.NewEvent, error) {
	var said []runs.NewEvent
	out := w
	err := a.Once(ctx, "correct/text", &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		out = w
		d, err := a.data(ctx)
		if err != nil {
			return nil, err
		}
		d.Sentences = sentencesOf(w)
		request, err := ask("repair", "answer", d, "correct", d)
		if err != nil {
			return nil, err
		}
		request.Schema = correctionsSchema
		answer, err := a.call(ctx, "correct/text/1", request, nil)
		if err != nil {
			return nil, err
		}
		said, err = a.mend(ctx, a.evidence(), &out, answer)
		return nil, err
	})
	out.Text = strings.TrimRightFunc(out.Text, unicode.IsSpace)
	return out, said, err
}

// mend puts a model's corrections in the place of the claims that are wrong. An answer that cannot be read changes nothing: what is
// wrong is cut in the last round.
func (r *round) mend(ctx context.Context, s section, w *writing, answer llm.Answer) ([]runs.NewEvent, error) {
	var c corrections
	if jsonOf(answer.Text, &c) != nil {
		return nil, nil
	}
	texts := map[int]string{}
	for _, x := range c.Sentences {
		texts[x.Number] = x.Text
	}
	var said []runs.NewEvent
	old := w.Claims
	for i := len(old) - 1; i >= 0; i-- { // from behind, so that what stands before stays at its place
		text, ok := texts[i+1]
		if !ok || !old[i].bad() {
			continue
		}
		told, err := r.replace(ctx, s, w, i, text)
		if err != nil {
			return nil, err
		}
		said = append(said, told...)
	}
	w.name()
	return said, nil
}

// nothing is what is said in the place of an answer.
func nothing(question string) string {
	if strings.ContainsFunc(question, func(r rune) bool { return unicode.Is(unicode.Hangul, r) }) {
		return "이 문서들에는 이 질문에 답할 근거가 없습니다."
	}
	return "There is no evidence for an answer in these documents."
}

// sayNothing says that there is no evidence, in the place of whatever was said before.
func (a *answering) sayNothing(ctx context.Context) error {
	w := writing{ID: pieceID, Text: nothing(a.ask.Question), Shown: 1}
	if len(a.post.Pieces) > 0 {
		w.Shown = a.post.Pieces[0].Shown + 1
	}
	return a.show(ctx, []writing{w})
}

// doFinish is the node that hands the answer over.
func (a *answering) doFinish(ctx context.Context) (string, []runs.NewEvent, error) {
	w := a.post.Pieces[0]
	if !slices.ContainsFunc(w.Claims, isCited) && w.Text != nothing(a.ask.Question) { // words without a source are no answer
		if err := a.sayNothing(ctx); err != nil {
			return "", nil, err
		}
		w = a.post.Pieces[0]
	}
	if err := a.unchanged(ctx); err != nil {
		return "", nil, err
	}
	out := Answered{Question: a.reply.Question, Answer: w.Text, Citations: []draft.Citation{}, Engine: a.reply.Engine, Degraded: append([]string{}, a.reply.Degraded...)}
	if a.model != nil {
		out.Provider, out.Model = a.model.Info().Provider, a.model.Info().Name
	}
	for _, c := range w.Claims {
		if len(c.Spans) == 0 {
			continue
		}
		spans := slices.Clone(c.Spans)
		for i := range spans {
			if err := a.address(ctx, &spans[i]); err != nil {
				return "", nil, err
			}
		}
		out.Evidence = true
		out.Citations = append(out.Citations, draft.Citation{ID: c.ID, Claim: draft.Claim{Start: c.Start, End: c.Start + len(c.Text), Text: c.Text}, Verdict: c.Verdict, Spans: spans})
	}
	a.reply.Result = &out
	return End, nil, a.job.Flush(ctx)
}

// address says of a page of the web where it was fetched from.
func (a *answering) address(ctx context.Context, s *draft.Span) error {
	src, err := a.textOf(ctx, s.DocumentID)
	if err == nil && src.doc.SourceURL != "" {
		s.Title, s.URL, s.FetchedAt = src.doc.Title, src.doc.SourceURL, src.doc.FetchedAt
	}
	return err
}

// refusal is what a model is asked to say when the passages do not answer.
const refusal = "NONE"

// voice hands on what a model says as soon as it is known not to be a refusal, without the white space at its end.
type voice struct {
	say   func(string) error
	first string // may still become a refusal
	space string // may be the end
	open  bool
}

func (v *voice) hear(text string) error {
	if !v.open {
		v.first += text
		if begin := strings.TrimSpace(v.first); strings.HasPrefix(refusal, strings.Trim(begin, ".*`")) {
			return nil
		}
		v.open, text = true, v.first
	}
	text = v.space + text
	said := strings.TrimRightFunc(text, unicode.IsSpace)
	if v.space = text[len(said):]; said == "" {
		return nil
	}
	return v.say(said)
}

// silent tells whether nothing was said that is an answer.
func (v *voice) silent() bool {
	return !v.open && (strings.TrimSpace(v.first) == "" || strings.Trim(strings.TrimSpace(v.first), ".*`") == refusal)
}
