package vector

import "slices"

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
	dead   bitmap
}

// bitmap has a bit for each passage that is left out, and those behind the last one: a byte for each lanes passages, as kernels sift them.
type bitmap []byte

func (b bitmap) has(i int) bool { return b[i>>3]>>(i&7)&1 != 0 }

// add sets the bits from start to end.
func (b bitmap) add(start, end int) {
	for ; start < end && start&7 != 0; start++ {
		b[start>>3] |= 1 << (start & 7)
	}
	for ; start+8 <= end; start += 8 {
		b[start>>3] = 0xff
	}
	for ; start < end; start++ {
		b[start>>3] |= 1 << (start & 7)
	}
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
	full := fillLanes(p.Segment.passages)
	l := livePart{Segment: p.Segment, living: p.Segment.passages, dead: make(bitmap, full/lanes)}
	l.dead.add(l.passages, full)
	for _, name := range p.Dead {
		g, err := parseULID(name)
		if err != nil {
			continue
		}
		for _, i := range l.ranges(g) {
			if start, end := l.first(i), l.groupEnd(i); !l.dead.has(start) { // else it was named before
				l.dead.add(start, end)
				l.living -= end - start
			}
		}
	}
	return l
}

// without is what a search leaves out: the dead, and the groups that the filter does not want.
func (l *livePart) without(filter func(group string) bool) bitmap {
	if filter == nil {
		return l.dead
	}
	out := slices.Clone(l.dead)
	for i := range l.groupCount {
		if start := l.first(i); !out.has(start) && !filter(l.group(i).String()) {
			out.add(start, l.groupEnd(i))
		}
	}
	return out
}
