package agent

import (
	"context"
	"fmt"
	"strings"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/runs"
)

// writing is what the journal keeps of a piece.
type writing struct {
	Text   string  `json:"text"`
	Claims []claim `json:"claims"`
}

// sectionStarted is the data of section.started.
type sectionStarted struct {
	SectionID string `json:"section_id"`
	Title     string `json:"title"`
}

// cited is the data of citation.added: a citation as the version has it, and where its claim stands in its section.
type cited struct {
	ID        string       `json:"id"`
	SectionID string       `json:"section_id"`
	Offset    int          `json:"offset"` // of the claim in its section, in UTF-8 bytes
	Claim     citedClaim   `json:"claim"`
	Spans     []draft.Span `json:"spans"`
}

type citedClaim struct {
	Start int    `json:"start"` // UTF-8 byte offsets in the whole draft
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// write streams the pieces. One that was finished by an earlier attempt is not streamed again; one that was left open begins anew.
func (r *round) write(ctx context.Context) error {
	pieces := r.layout()
	base := 0
	for _, p := range pieces {
		var w writing
		key := "write/" + p.id
		opened := r.job.Opened(r.prefix + key)
		err := r.once(ctx, key, &w, func(ctx context.Context) ([]runs.NewEvent, error) {
			var first []runs.NewEvent
			if opened {
				first = append(first, runs.NewEvent{Type: runs.EventReset, Data: runs.Reset{Channel: channel, SectionID: p.id}})
			}
			first = append(first, runs.NewEvent{Type: runs.EventSection, Data: sectionStarted{p.id, p.title}})
			if err := r.job.Emit(ctx, first...); err != nil {
				return nil, err
			}
			w = writing{Text: p.text.String(), Claims: p.claims}
			if err := r.stream(ctx, p.id, w.Text); err != nil {
				return nil, err
			}
			return citations(p.id, base, w.Claims), nil
		})
		if err != nil {
			return err
		}
		r.written = append(r.written, w)
		base += len(w.Text)
	}
	return nil
}

// citations gives ids to a piece's claims and tells them.
func citations(section string, base int, claims []claim) []runs.NewEvent {
	var events []runs.NewEvent
	for i := range claims {
		c := &claims[i]
		c.ID = ident.New()
		events = append(events, runs.NewEvent{Type: runs.EventCitation, Data: cited{
			ID: c.ID, SectionID: section, Offset: c.Start,
			Claim: citedClaim{base + c.Start, base + c.Start + len(c.Text), c.Text}, Spans: []draft.Span{c.Span},
		}})
	}
	return events
}

// stream sends a text word by word, each with the white space behind it.
func (r *round) stream(ctx context.Context, section, text string) error {
	for at := 0; at < len(text); {
		n := strings.IndexAny(text[at:], " \n")
		if n < 0 {
			n = len(text) - at
		}
		for at+n < len(text) && (text[at+n] == ' ' || text[at+n] == '\n') {
			n++
		}
		if err := r.job.Token(ctx, channel, section, at, text[at:at+n]); err != nil {
			return fmt.Errorf("stream section %s: %w", section, err)
		}
		at += n
	}
	return nil
}
