package lexical

import (
	"cmp"
	"slices"
)

// Part is a segment with the ids of its groups that are deleted. Ids that it does not have are ignored.
type Part struct {
	Segment *Segment
	Dead    []string
}

// View is a set of segments as one snapshot saw them. It is immutable.
type View struct {
	parts []livePart
	stats Stats
}

// livePart is a segment without its dead passages.
type livePart struct {
	*Segment
	dead []docRange // in order, not touching a passage twice
	bits []uint64   // a bit for each dead passage; nil when there is none
}

type docRange struct{ start, end uint32 }

// NewView puts segments together. It costs little: nothing is read but the dead groups' lengths.
func NewView(parts []Part) *View {
	v := &View{}
	for _, p := range parts {
		l := newLivePart(p)
		st := l.liveStats()
		v.stats.Passages += st.Passages
		v.stats.Tokens += st.Tokens
		v.parts = append(v.parts, l)
	}
	return v
}

// Stats counts the living passages.
func (v *View) Stats() Stats { return v.stats }

func newLivePart(p Part) livePart {
	l := livePart{Segment: p.Segment}
	for _, name := range p.Dead {
		g, err := parseULID(name)
		if err != nil {
			continue
		}
		for _, i := range l.ranges(g) {
			l.dead = append(l.dead, docRange{l.first(i), l.groupEnd(i)})
		}
	}
	slices.SortFunc(l.dead, func(a, b docRange) int { return cmp.Compare(a.start, b.start) })
	l.dead = slices.Compact(l.dead)
	if len(l.dead) > 0 {
		l.bits = make([]uint64, l.stats.Passages/64+1)
	}
	for _, r := range l.dead {
		for d := r.start; d < r.end; d++ {
			l.bits[d>>6] |= 1 << (d & 63)
		}
	}
	return l
}

func (l *livePart) liveStats() Stats {
	st := l.stats
	for _, r := range l.dead {
		st.Passages -= int(r.end - r.start)
		for d := r.start; d < r.end; d++ {
			st.Tokens -= int(l.length(d))
		}
	}
	return st
}

func (l *livePart) isDead(doc uint32) bool {
	return l.bits != nil && l.bits[doc>>6]>>(doc&63)&1 != 0
}

// countDead is the number of dead passages of a list.
func (l *livePart) countDead(postings list) (n int, ok bool) {
	if len(l.dead) == 0 {
		return 0, true
	}
	var c cursor
	c.open(postings, l.stats.Passages)
	for _, r := range l.dead {
		for c.seek(r.start); c.doc < r.end; c.next() {
			n++
		}
	}
	return n, !c.bad
}
