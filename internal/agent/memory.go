package agent

import (
	"context"
	"fmt"
	"strings"

	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
)

// turnsData fills turns.md in.
type turnsData struct {
	Earlier string // what was said before the turns, in short
	Turns   []Turn
	Draft   string // the open one by reference: title and headings
	Message string
}

// memory is what an answer is given of the conversation before it.
type memory struct {
	From    int    `json:"from"`              // the turns from here on are whole
	Earlier string `json:"earlier,omitempty"` // those before them, in short
}

// The bounds of a conversation before a model, in tokens: all of it, the answer that must have room beside it, what is said in short, the
// shortest piece of a turn that is still worth something, and what a turn has around its words.
const (
	mostTurns    = 13_000
	replyLength  = 700
	recallLength = 250
	shortTurn    = 20
	perTurn      = 6
)

// room is how many tokens a request leaves to be filled beside its answer, most at most.
func (r *round) room(q llm.Request, answer, most int) int {
	i := r.model.Info()
	answer = min(answer, max(i.Context/4, 0)+1) // a model that holds little says little
	if i.Context <= 0 {
		return most
	}
	tokens, _ := llm.Room(i, q, answer)
	return min(max(tokens, 0), most)
}

// short is how many tokens what is said in short may have: less before a model that holds little.
func (r *round) short() int {
	if c := r.model.Info().Context; c > 0 {
		return min(recallLength, c/8)
	}
	return recallLength
}

// tokens counts a text as the model does.
func (r *round) tokens(text string) int { return llm.Count(r.model.Info().Name, text) }

// fit cuts a text to a number of tokens.
func (r *round) fit(text string, tokens int) string {
	if tokens <= 0 {
		return ""
	}
	const longestToken = 24 // bytes; nearly all are shorter
	text = clip(text, tokens*longestToken)
	for n := r.tokens(text); n > tokens; n = r.tokens(text) {
		text = clip(text, min(len(text)*tokens/n, len(text)-1))
	}
	return text
}

// turns gives the conversation as the model's context bears it: the newest turns whole, those before them in short, the draft by reference.
func (t *talking) turns(ctx context.Context) (turnsData, error) {
	d := turnsData{Message: material(clip(t.message().Content, longTurn*4))}
	if c := t.model.Info().Context; c > 0 {
		d.Message = t.fit(d.Message, c/3)
	}
	if id := t.draftID(); id != "" {
		open, err := t.writer.Drafting.Draft(ctx, t.job.Run().Workspace, id)
		if f := fault.Of(err); f != nil && f.Kind != fault.NotFound {
			return d, fmt.Errorf("read draft: %w", err)
		}
		if err == nil {
			d.Draft = material(reference(open.Title, open.Content))
			if c := t.model.Info().Context; c > 0 {
				d.Draft = t.fit(d.Draft, c/10)
			}
		}
	}
	all := t.said()
	m, err := t.remembered(ctx, d, all)
	if err != nil {
		return d, err
	}
	d.Earlier = m.Earlier
	for _, s := range all[min(m.From, len(all)):] {
		d.Turns = append(d.Turns, Turn{s.Role, material(s.Content)})
	}
	return d, nil
}

// remembered says once for an answer what of the conversation stays whole, and puts the rest in short. All requests of the answer are given
// the same.
func (t *talking) remembered(ctx context.Context, d turnsData, all []Turn) (m memory, err error) {
	err = t.Once(ctx, "memory", &m, func(ctx context.Context) ([]runs.NewEvent, error) {
		route, err := t.routeRequest(d)
		if err != nil {
			return nil, err
		}
		chat, err := t.chatRequest(d)
		if err != nil {
			return nil, err
		}
		room := min(t.room(route, replyLength, mostTurns), t.room(chat, replyLength, mostTurns))
		m.From = t.newest(all, room)
		if m.From == 0 {
			return nil, nil
		}
		m.From = t.newest(all, room-t.short()) // what is said in short has its room, too
		m.Earlier, err = t.recall(ctx, all[:m.From])
		return nil, err
	})
	return m, err
}

// newest is where the turns begin that a number of tokens has room for.
func (r *round) newest(all []Turn, room int) int {
	from := len(all)
	for from > 0 {
		if room -= r.tokens(material(all[from-1].Content)) + perTurn; room < 0 {
			break
		}
		from--
	}
	return from
}

// recall has the model put earlier turns in short, by one request: they are cut so that it holds them all. Where there are too many for
// that, the first one, which says what it is about, and the newest are what is remembered.
func (t *talking) recall(ctx context.Context, earlier []Turn) (string, error) {
	d := turnsData{Message: "(the conversation goes on)"}
	q, err := ask("recall", "recall", nil, "turns", d)
	if err != nil {
		return "", err
	}
	room := t.room(q, t.short(), mostTurns)
	if most := max(room/(shortTurn+perTurn), 2); len(earlier) > most {
		earlier = append([]Turn{earlier[0]}, earlier[len(earlier)-most+1:]...)
	}
	each := room/len(earlier) - perTurn
	for i, s := range earlier {
		text := t.fit(material(s.Content), each)
		room -= t.tokens(text) + perTurn
		if left := len(earlier) - i - 1; left > 0 { // short turns leave room to those behind them
			each = room/left - perTurn
		}
		d.Turns = append(d.Turns, Turn{s.Role, text})
	}
	if q, err = ask("recall", "recall", nil, "turns", d); err != nil {
		return "", err
	}
	a, err := t.call(ctx, "recall", q, nil)
	if err != nil {
		return "", err
	}
	return t.fit(clip(strings.TrimSpace(material(a.Text)), longTurn), t.short()), nil
}

// reference is a draft for a model that need not read it: its title and headings.
func reference(title, content string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", title)
	for l := range strings.Lines(content) {
		if h, ok := strings.CutPrefix(l, "## "); ok {
			fmt.Fprintf(&b, "; %s", strings.TrimSpace(h))
		}
	}
	return clip(b.String(), longTurn)
}
