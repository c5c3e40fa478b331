package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"byline/internal/engine/summarize"
	"byline/internal/llm"
	"byline/internal/runs"
)

// tolerance is how far a post may be from the length that was asked for, as a share of it.
const tolerance = .1

// mustRepair tells whether something is wrong that another round of repair can mend: the model gets one, scissors the last.
func (r *round) mustRepair() bool {
	wrong := false
	for _, p := range r.post.Pieces {
		wrong = wrong || slices.ContainsFunc(p.Claims, claim.bad)
	}
	long, short := r.offLength()
	switch r.post.Rounds {
	case 0:
		return wrong || long || short
	case 1:
		return wrong && !r.writer.Flag || long
	}
	return false
}

// length counts the words of the pieces and of the list of sources that will stand behind them.
func (r *round) length() int {
	n := summarize.Words(r.sourcesPiece().Text)
	for _, p := range r.post.Pieces {
		n += summarize.Words(p.Text)
	}
	return n
}

func (r *round) offLength() (long, short bool) {
	if !r.post.Asked {
		return false, false
	}
	have, want := float64(r.length()), float64(r.post.Words)
	return have > want*(1+tolerance), have < want*(1-tolerance)
}

// doRepair is the node that mends what is not found in the sources, and the length: once by the model, then by cutting.
func (r *round) doRepair(ctx context.Context) (string, []runs.NewEvent, error) {
	r.post.Rounds++
	if r.post.Rounds > 1 {
		events := r.cut()
		return nodeFinish, events, r.show(ctx, r.post.Pieces)
	}
	long, short := r.offLength()
	factor := 1.0
	if long || short {
		factor = float64(r.post.Words) / float64(max(r.length(), 1))
	}
	pieces := slices.Clone(r.post.Pieces)
	said := make([][]runs.NewEvent, len(pieces))
	err := Each(ctx, len(pieces), r.writer.Parallel, func(ctx context.Context, i int) error {
		s, ok := r.sectionOf(pieces[i].ID)
		if !ok {
			return nil
		}
		var w writing
		var err error
		switch {
		case factor != 1:
			w, said[i], err = r.rewrite(ctx, s, pieces[i], factor)
		case slices.ContainsFunc(pieces[i].Claims, claim.bad):
			w, said[i], err = r.correct(ctx, s, pieces[i])
		default:
			return nil
		}
		if err == nil && w.Text != pieces[i].Text {
			w.Shown = pieces[i].Shown + 1
			pieces[i] = w
		}
		return err
	})
	if err != nil {
		return "", nil, err
	}
	return nodeVerify, slices.Concat(said...), r.show(ctx, pieces)
}

func (r *round) sectionOf(id string) (section, bool) {
	i := slices.IndexFunc(r.post.Sections, func(s section) bool { return s.ID == id })
	if i < 0 {
		return section{}, false
	}
	return r.post.Sections[i], true
}

// rewrite has the model write a section again, by a factor longer or shorter.
func (r *round) rewrite(ctx context.Context, s section, w writing, factor float64) (writing, []runs.NewEvent, error) {
	var said []runs.NewEvent
	out := writing{ID: w.ID, Title: w.Title}
	err := r.Once(ctx, "rewrite/"+w.ID, &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		d, err := r.sectionData(ctx, s)
		if err != nil {
			return nil, err
		}
		d.Have = summarize.Words(w.Text)
		d.Words, d.Shorter, d.Text = max(int(float64(d.Have)*factor), 1), factor < 1, marked(w, r.evidenceNumber)
		d.Sentences = sentencesOf(w)
		q, err := ask("rewrite", "write", r.writeData(), "rewrite", d)
		if err != nil {
			return nil, err
		}
		p := r.newPen(s, func(string) error { return nil })
		if err := p.begin(); err != nil {
			return nil, err
		}
		if err := r.compose(ctx, "rewrite/"+w.ID, q, p.write); err != nil {
			return nil, err
		}
		if !p.begun { // it said nothing: better the old text than none
			out = w
			return nil, nil
		}
		if err := p.end(); err != nil {
			return nil, err
		}
		out.Text = p.text.String()
		if out.Claims, err = r.cite(ctx, out.Text, p.marks, s); err != nil {
			return nil, err
		}
		out.name()
		said = p.complaints(s.ID)
		return nil, nil
	})
	return out, said, err
}

// evidenceNumber finds the id under which the model knows a passage.
func (r *round) evidenceNumber(passageID string) string {
	return passageName(slices.IndexFunc(r.post.Evidence, func(p passage) bool { return p.ID == passageID }))
}

// marked is the text of a section without its heading and with the ids behind its claims, as the model writes it.
func marked(w writing, id func(string) string) string {
	var b strings.Builder
	at := 0
	for _, c := range w.Claims {
		var ids []string
		for _, s := range c.Spans {
			ids = append(ids, id(s.PassageID))
		}
		if end := c.Start + len(c.Text); end >= at && len(ids) > 0 {
			b.WriteString(w.Text[at:end])
			fmt.Fprintf(&b, " [%s]", strings.Join(ids, ", "))
			at = end
		}
	}
	b.WriteString(w.Text[at:])
	_, body, _ := strings.Cut(b.String(), "\n\n")
	return strings.TrimSpace(body)
}

func sentencesOf(w writing) (list []sentenceData) {
	for i, c := range w.Claims {
		if c.bad() {
			list = append(list, sentenceData{i + 1, c.Text, c.why()})
		}
	}
	return list
}

// corrections is the answer to repair.md.
type corrections struct {
	Sentences []correction `json:"sentences"`
}

// correction is what is to stand in the place of a sentence, by its number from 1.
type correction struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

var correctionsSchema = &llm.Schema{Name: "corrections", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["sentences"],"properties":{"sentences":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["number","text"],"properties":{"number":{"type":"integer"},"text":{"type":"string"}}}}}}`)}

// correct has the model correct the sentences of a section that are not found in its evidence. The others stay as they are.
func (r *round) correct(ctx context.Context, s section, w writing) (writing, []runs.NewEvent, error) {
	var said []runs.NewEvent
	out := w
	err := r.Once(ctx, "correct/"+w.ID, &out, func(ctx context.Context) ([]runs.NewEvent, error) {
		out = w
		d, err := r.sectionData(ctx, s)
		if err != nil {
			return nil, err
		}
		d.Sentences = sentencesOf(w)
		q, err := ask("repair", "write", r.writeData(), "repair", d)
		if err != nil {
			return nil, err
		}
		q.Schema = correctionsSchema
		a, err := r.call(ctx, "correct/"+w.ID+"/1", q, nil)
		if err != nil {
			return nil, err
		}
		said, err = r.mend(ctx, s, &out, a)
		return nil, err
	})
	return out, said, err
}

// replace puts what a model says in the place of a claim, and cites it. Nothing takes the claim out.
func (r *round) replace(ctx context.Context, s section, w *writing, i int, text string) ([]runs.NewEvent, error) {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		w.remove(i)
		return nil, nil
	}
	p := r.newPen(s, func(string) error { return nil })
	p.begun = true
	if err := p.write(text); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	text = strings.TrimRight(p.text.String(), "\n")
	claims, err := r.cite(ctx, text, p.marks, s)
	if err != nil {
		return nil, err
	}
	w.splice(i, text, claims)
	return p.complaints(s.ID), nil
}

// cut takes out what is not found in the sources, unless it is to be flagged, and what is too much.
func (r *round) cut() []runs.NewEvent {
	var gone []string
	touched := map[int]bool{}
	if !r.writer.Flag {
		for i := range r.post.Pieces {
			w := &r.post.Pieces[i]
			for k := len(w.Claims) - 1; k >= 0; k-- {
				if c := w.Claims[k]; c.bad() {
					gone = append(gone, c.Text)
					w.remove(k)
					touched[i] = true
				}
			}
		}
	}
	for long, _ := r.offLength(); long; long, _ = r.offLength() {
		i, k := r.least()
		if i < 0 {
			break
		}
		r.post.Pieces[i].remove(k)
		touched[i] = true
	}
	for i := range touched {
		r.post.Pieces[i].Shown++
	}
	if len(gone) == 0 {
		return nil
	}
	return []runs.NewEvent{notice("unsupported_cut", "%d sentence(s) that were not found in the sources were taken out: %s", len(gone), clip(strings.Join(gone, " "), 1000))}
}

// least finds the claim whose loss hurts least: the last one of the longest section.
func (r *round) least() (piece, claim int) {
	piece, most := -1, 0
	for i, w := range r.post.Pieces {
		if n := summarize.Words(w.Text); len(w.Claims) > 1 && n > most {
			piece, most = i, n
		}
	}
	if piece < 0 {
		return -1, -1
	}
	return piece, len(r.post.Pieces[piece].Claims) - 1
}
