package agent

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
)

// channel is where a draft's text is streamed.
const channel = "draft"

// reset takes back what was streamed of a section.
func (r *round) reset(section string) runs.NewEvent {
	return runs.NewEvent{Type: runs.EventReset, Data: runs.Reset{Channel: r.channelName(), SectionID: section}}
}

func (r *round) channelName() string { return cmp.Or(r.channel, channel) }

// writing is what the journal keeps of a piece of the draft: a section, or what stands around them. The texts of all pieces, one
// after the other, are the draft's content.
type writing struct {
	ID     string  `json:"section_id"`
	Title  string  `json:"title"`
	Text   string  `json:"text"`
	Claims []claim `json:"claims"`
	Shown  int     `json:"shown"` // which of its showings this text is for: 1 as it was written, more when it was changed
}

// claim is a stretch of a piece that says something, with the places that it was taken from.
type claim struct {
	ID      string        `json:"id"`
	Start   int           `json:"start"` // UTF-8 byte offset in the piece
	Text    string        `json:"text"`
	Spans   []draft.Span  `json:"spans"`
	Verdict draft.Verdict `json:"verdict"`
	Kept    bool          `json:"kept,omitempty"` // it is an older version's, or a person's own, and not to be judged

	extracted
}

// sectionStarted is the data of section.started.
type sectionStarted struct {
	SectionID string `json:"section_id"`
	Title     string `json:"title"`
}

// cited is the data of citation.added: a citation as the version has it, and where its claim stands in its section.
type cited struct {
	ID        string       `json:"id"`
	SectionID string       `json:"section_id,omitempty"`
	Offset    int          `json:"offset"` // of the claim in its section, in UTF-8 bytes
	Claim     citedClaim   `json:"claim"`
	Spans     []draft.Span `json:"spans"`
}

type citedClaim struct {
	Start int    `json:"start"` // UTF-8 byte offsets in the draft as it is so far
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// stage streams the pieces of a draft one after the other, while several of them are being written: what is said in a piece before its
// turn is held back. A piece that an earlier attempt has shown is not shown again; one that it left open is taken back first.
// It is safe for concurrent use.
type stage struct {
	round *round
	mu    sync.Mutex
	acts  []*act
	turn  int
	base  int // bytes of the pieces before the turn's
}

// act is a piece on its way to the stage.
type act struct {
	id, title, key string
	section        string // on the wire: its id, or nothing where the text has no sections
	said           strings.Builder
	sent           int // bytes
	open           bool
	final          *writing
}

func (r *round) newStage(pieces []writing) *stage {
	s := &stage{round: r}
	for _, p := range pieces {
		a := &act{id: p.ID, title: p.Title, key: visitKey(runs.ShowPrefix+p.ID, max(p.Shown, 1)), section: p.ID}
		if r.whole {
			a.section = ""
		}
		s.acts = append(s.acts, a)
	}
	return s
}

// say adds text to a piece.
func (s *stage) say(ctx context.Context, i int, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts[i].said.WriteString(text)
	return s.play(ctx)
}

// close ends a piece with what it has become; that begins with what was said, else what was said is taken back.
func (s *stage) close(ctx context.Context, i int, w writing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acts[i]
	a.final = &w
	if said := a.said.String(); !strings.HasPrefix(w.Text, said) {
		a.said.Reset()
		if a.sent > 0 {
			a.sent = 0
			if err := s.round.job.Emit(ctx, s.round.reset(a.section)); err != nil {
				return err
			}
		}
	}
	a.said.WriteString(w.Text[a.said.Len():])
	return s.play(ctx)
}

// play sends what may be sent; s.mu is held.
func (s *stage) play(ctx context.Context) error {
	for s.turn < len(s.acts) {
		a := s.acts[s.turn]
		key := s.round.prefix + a.key
		done := !a.open && s.round.job.Done(key)
		if !done {
			if err := s.send(ctx, a, key); err != nil {
				return err
			}
		}
		if a.final == nil {
			return nil
		}
		if !done {
			if err := s.round.job.Finish(ctx, key, citations(*a.final, a.section, s.base)...); err != nil {
				return err
			}
		}
		s.base += len(a.final.Text)
		s.turn++
	}
	return nil
}

func (s *stage) send(ctx context.Context, a *act, key string) error {
	job := s.round.job
	if !a.open {
		var first []runs.NewEvent
		if a.section != "" {
			first = append(first, runs.NewEvent{Type: runs.EventSection, Data: sectionStarted{a.section, a.title}})
		}
		if job.Opened(key) || !strings.HasSuffix(a.key, a.id) { // it was begun before, or changed: what stands there goes
			first = append([]runs.NewEvent{s.round.reset(a.section)}, first...)
		}
		if err := job.Begin(ctx, key); err != nil {
			return err
		}
		if err := job.Emit(ctx, first...); err != nil {
			return err
		}
		a.open = true
	}
	text := a.said.String()[a.sent:]
	if text == "" {
		return nil
	}
	for word := range words(text) { // what is there whole is streamed, too: its reader sees it grow
		if err := job.Token(ctx, s.round.channelName(), a.section, a.sent, word); err != nil {
			return fmt.Errorf("stream section %s: %w", a.id, err)
		}
		a.sent += len(word)
	}
	return nil
}

// words cuts a text behind the white space that follows a word.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			n := strings.IndexAny(text, " \n")
			for n >= 0 && n < len(text) && (text[n] == ' ' || text[n] == '\n') {
				n++
			}
			if n < 0 {
				n = len(text)
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// citations tells the citations of a piece that begins at an offset of the draft.
func citations(w writing, section string, base int) []runs.NewEvent {
	var events []runs.NewEvent
	for _, c := range w.Claims {
		if len(c.Spans) == 0 {
			continue
		}
		events = append(events, runs.NewEvent{Type: runs.EventCitation, Data: cited{
			ID: c.ID, SectionID: section, Offset: c.Start,
			Claim: citedClaim{base + c.Start, base + c.Start + len(c.Text), c.Text}, Spans: c.Spans,
		}})
	}
	return events
}

// name gives ids to claims that have none.
func (w *writing) name() {
	for i := range w.Claims {
		if w.Claims[i].ID == "" {
			w.Claims[i].ID = ident.New()
		}
	}
}
