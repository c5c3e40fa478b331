package runs

import (
	"encoding/json"
	"strings"
)

// Fold puts the text of a channel together from a log, as every reader does: sections in the order of their first
// appearance, tokens at their offsets, a snapshot in the place of a section, a reset that begins one (or all) anew.
// Events of other types and channels are passed over.
func Fold(log []Event, channel string) string {
	f := folding{sections: map[string]*strings.Builder{}}
	for _, e := range log {
		f.add(e, channel)
	}
	var b strings.Builder
	for _, id := range f.order {
		b.WriteString(f.sections[id].String())
	}
	return b.String()
}

type folding struct {
	order    []string
	sections map[string]*strings.Builder
}

// piece is what token, snapshot and reset have in common.
type piece struct {
	Channel   string `json:"channel"`
	SectionID string `json:"section_id"`
	Offset    int    `json:"offset"`
	Text      string `json:"text"`
}

func pieceOf(e Event) (p piece, ok bool) {
	switch e.Type {
	case EventToken, EventSnapshot, EventReset:
		return p, json.Unmarshal(e.Data, &p) == nil
	}
	return p, false
}

func (f *folding) add(e Event, channel string) {
	p, ok := pieceOf(e)
	if !ok || p.Channel != channel {
		return
	}
	if e.Type == EventReset && p.SectionID == "" {
		f.order, f.sections = nil, map[string]*strings.Builder{}
		return
	}
	s, known := f.sections[p.SectionID]
	if !known {
		s = &strings.Builder{}
		f.order = append(f.order, p.SectionID)
		f.sections[p.SectionID] = s
	}
	if e.Type != EventToken || p.Offset < s.Len() { // a token that stands before the end takes the place of what follows
		keep := ""
		if e.Type == EventToken {
			keep = s.String()[:max(0, p.Offset)]
		}
		s.Reset()
		s.WriteString(keep)
	}
	s.WriteString(p.Text)
}

// Compacted is a snapshot that stands for consecutive tokens: the event with Seq becomes it, the tokens from FromSeq on
// before it go.
type Compacted struct {
	Seq      int64
	Snapshot Snapshot
}

// Compact finds what to join in a log: each stretch of two or more tokens of one section that no token, snapshot or reset of
// another one interrupts.
func Compact(log []Event) []Compacted {
	var out []Compacted
	channels := map[string]*folding{}
	var stretch struct {
		piece
		from, to int64
		n        int
	}
	end := func() {
		if stretch.n > 1 {
			text := channels[stretch.Channel].sections[stretch.SectionID].String()
			out = append(out, Compacted{Seq: stretch.to, Snapshot: Snapshot{FromSeq: stretch.from, Channel: stretch.Channel, SectionID: stretch.SectionID, Text: text}})
		}
		stretch.n = 0
	}
	for _, e := range log {
		p, ok := pieceOf(e)
		if !ok {
			continue
		}
		if e.Type != EventToken || p.Channel != stretch.Channel || p.SectionID != stretch.SectionID {
			end() // before this event changes the section's text
		}
		if channels[p.Channel] == nil {
			channels[p.Channel] = &folding{sections: map[string]*strings.Builder{}}
		}
		channels[p.Channel].add(e, p.Channel)
		if e.Type != EventToken {
			continue
		}
		if stretch.n == 0 {
			stretch.piece, stretch.from = p, e.Seq
		}
		stretch.to = e.Seq
		stretch.n++
	}
	end()
	return out
}
