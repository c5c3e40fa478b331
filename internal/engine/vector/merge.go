package vector

import (
	"fmt"
	"runtime"
)

// Merge writes the living passages of segments into new ones of at most limit bytes (a single passage may take more), in the order of the parts.
// It gives each new segment to emit as soon as it is full, and stops at the first error of emit. Codes are copied as they are, so scores do not
// change by it. All segments must have the same number of dimensions, else it fails with ErrDims.
func Merge(parts []Part, limit int, emit func(segment []byte) error) error {
	if len(parts) == 0 {
		return nil
	}
	defer runtime.KeepAlive(parts) // and with them the memory of their segments
	dims := parts[0].Segment.dims
	b := NewBuilder(dims)
	most := 0 // bytes of a plane of codes
	for _, p := range parts {
		most += len(p.Segment.high)
	}
	b.high, b.low = make([]byte, 0, min(most, limit/2)), make([]byte, 0, min(most, limit/2)) // growing would copy them several times
	for i, p := range parts {
		if p.Segment.dims != dims {
			return fmt.Errorf("merge segment %d: %d instead of %d: %w", i, p.Segment.dims, dims, ErrDims)
		}
		l := newLivePart(p)
		for g := range l.groupCount {
			id := l.group(g)
			for doc := l.first(g); doc < l.groupEnd(g) && !l.dead.has(doc); doc++ {
				if !b.Fits(limit) {
					if err := emit(b.Bytes()); err != nil {
						return err
					}
					b.reset()
				}
				if err := b.reserve(l.id(doc), id); err != nil {
					return fmt.Errorf("merge segment %d: %w", i, err)
				}
				b.high, b.low = append(b.high, l.row(l.high, doc)...), append(b.low, l.row(l.low, doc)...)
				b.measures = append(b.measures, l.measuresOf(doc))
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return emit(b.Bytes())
}
