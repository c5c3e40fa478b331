package agent

import (
	"slices"
	"strings"

	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
	"byline/internal/runs"
)

// pen makes the text of a section of what a model says: marks are taken out and kept, and what must not stand in a post has no effect.
type pen struct {
	title string
	say   func(string) error
	guard markdown.Guard
	lines lines
	ids   cite.Marks
	text  strings.Builder
	begun bool        // something of the model's stands there
	marks []cite.Mark // At is in text
	base  int         // bytes of text before what the marks count
}

func (r *round) newPen(s section, say func(string) error) *pen {
	p := &pen{title: s.Title, say: say}
	known := map[string]bool{}
	for _, n := range s.Evidence {
		known[passageName(n)] = true
	}
	p.ids.Known = func(id string) bool { return known[id] }
	p.guard.Allowed = r.knows
	return p
}

// knows tells whether an address may stand in the post: the author named it, so it says nothing that a source has smuggled in.
func (r *round) knows(url string) bool {
	wishes := append([]string{r.wish.Instructions, r.wish.StyleGuide}, slices.Concat(r.wish.Brief.Must, r.wish.Brief.Topics)...)
	return slices.ContainsFunc(wishes, func(s string) bool { return strings.Contains(s, url) })
}

// begin writes the section's heading.
func (p *pen) begin() error {
	if err := p.put("## " + markdown.Escape(p.title) + "\n\n"); err != nil {
		return err
	}
	p.base = p.text.Len()
	return nil
}

// write takes what the model says next.
func (p *pen) write(delta string) error {
	return p.feed(p.lines.feed(p.guard.Feed(delta)))
}

func (p *pen) feed(text string) error {
	if !p.begun {
		if text = strings.TrimLeft(text, " \t\r\n"); text == "" {
			return nil
		}
		p.begun = true
	}
	return p.take(p.ids.Feed(text))
}

// end gives what was held back, and ends the section.
func (p *pen) end() error {
	if err := p.feed(p.lines.feed(p.guard.Close()) + p.lines.close()); err != nil {
		return err
	}
	if err := p.take(p.ids.Close()); err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(p.text.String(), "\n\n"):
		return nil
	case strings.HasSuffix(p.text.String(), "\n"):
		return p.put("\n")
	}
	return p.put("\n\n")
}

func (p *pen) take(text string, marks []cite.Mark) error {
	for _, m := range marks {
		m.At += p.base
		p.marks = append(p.marks, m)
	}
	return p.put(text)
}

func (p *pen) put(text string) error {
	if text == "" {
		return nil
	}
	p.text.WriteString(text)
	return p.say(text)
}

// rejected is the data of citation.rejected.
type rejected struct {
	SectionID string   `json:"section_id"`
	Offset    int      `json:"offset"`
	IDs       []string `json:"ids"` // that the writer was never shown
}

// complaints tell what the model did that it must not: ids that it made up, addresses that nobody gave it.
func (p *pen) complaints(section string) []runs.NewEvent {
	var events []runs.NewEvent
	for _, m := range p.marks {
		if len(m.Rejected) > 0 {
			events = append(events, runs.NewEvent{Type: runs.EventRejected, Data: rejected{section, m.At, m.Rejected}})
		}
	}
	if n := len(p.guard.Removed()); n > 0 {
		events = append(events, notice("address_removed", "The model wrote %d address(es) that nobody asked for; they were taken out.", n))
	}
	return events
}

// lines drops the headings of a text that comes in pieces, and the lines under a text that would make a heading of it: sections have the
// headings of the plan, and what a heading says is proven by nobody. Nothing within a code fence is touched.
type lines struct {
	held  string // the begin of a line that may be one to drop
	inner bool   // within a line that stays
	fence string
	// heads is how many words a heading may have that is let through; 0: there is none.
	heads int
}

func (l *lines) feed(text string) string {
	var out strings.Builder
	for text != "" {
		piece, rest, whole := strings.Cut(text, "\n")
		if whole {
			piece += "\n"
		}
		text = rest
		if l.inner {
			out.WriteString(piece)
			l.inner = !whole
			continue
		}
		l.held += piece
		out.WriteString(l.decide(whole))
	}
	return out.String()
}

// close gives what is held.
func (l *lines) close() string { return l.decide(true) }

// decide gives what is held as soon as it is clear that it stays; whole lines are always clear.
func (l *lines) decide(whole bool) string {
	plain := strings.Trim(l.held, " \t\r\n")
	if !whole && (plain == "" || strings.Trim(plain, "#=-`~") == "") {
		return ""
	}
	fence := strings.HasPrefix(plain, "```") || strings.HasPrefix(plain, "~~~")
	drop := false
	switch {
	case l.fence == "" && fence:
		l.fence = plain[:3]
	case l.fence != "":
		if strings.HasPrefix(plain, l.fence) {
			l.fence = ""
		}
	case strings.HasPrefix(plain, "#"):
		if l.heads > 0 && !whole {
			return ""
		}
		drop = len(strings.Fields(plain)) > l.heads+1 || l.heads == 0
	case plain != "" && (strings.Trim(plain, "=") == "" || strings.Trim(plain, "-") == ""):
		drop = true
	}
	if drop && !whole {
		return "" // until its line ends
	}
	out := l.held
	l.held, l.inner = "", !whole
	if drop {
		return ""
	}
	return out
}
