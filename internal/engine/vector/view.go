package vector

// Part is a segment with the ids of its groups that are deleted. Ids that it does not have are ignored.
type Part struct {
	Segment *Segment
	Dead    []string
}

// View is a set of segments as one snapshot saw them. It is immutable.
type View struct {
	parts  []livePart
	living int
}

// livePart is a segment without its dead passages.
type livePart struct {
	*Segment
	living int
	dead   []uint64 // a bit for each dead passage; nil when there is none
}

// NewView puts segments together. It costs little: nothing is read but the dead groups' places.
func NewView(parts []Part) *View {
	v := &View{}
	for _, p := range parts {
		l := newLivePart(p)
		v.living += l.living
		v.parts = append(v.parts, l)
	}
	return v
}

// Len counts the living passages.
func (v *View) Len() int { return v.living }

func newLivePart(p Part) livePart {
	l := livePart{Segment: p.Segment, living: p.Segment.passages}
	for _, name := range p.Dead {
		g, err := parseULID(name)
		if err != nil {
			continue
		}
		for _, i := range l.ranges(g) {
			if l.dead == nil {
				l.dead = make([]uint64, l.passages/64+1)
			}
			for d := l.first(i); d < l.groupEnd(i) && !l.isDead(d); d++ {
				l.dead[d>>6] |= 1 << (d & 63)
				l.living--
			}
		}
	}
	return l
}

func (l *livePart) isDead(doc int) bool { return l.dead != nil && l.dead[doc>>6]>>(doc&63)&1 != 0 }
