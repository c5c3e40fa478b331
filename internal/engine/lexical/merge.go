package lexical

import "fmt"

// Merge writes the living passages of segments into new ones of at most limit bytes (a single passage may take more), in the order of the parts.
// It gives each new segment to emit as soon as it is full, and stops at the first error of emit. Scores do not change by it.
// It holds the postings of one of the parts and of one new segment in memory at a time.
func Merge(parts []Part, limit int, emit func(segment []byte) error) error {
	b := NewBuilder()
	var room []termPosting
	for i, p := range parts {
		l := newLivePart(p)
		f, used, err := l.forward(room)
		room = used
		if err != nil {
			return fmt.Errorf("merge segment %d: %w", i, err)
		}
		known := make([]uint32, len(f.terms))
		for g := range l.groupCount {
			id := l.group(g)
			for doc := l.first(g); doc < l.groupEnd(g) && !l.isDead(doc); doc++ {
				counts := f.counts(doc, known, b)
				if !b.fits(counts, l.length(doc), limit) {
					if err := emit(b.Bytes()); err != nil {
						return err
					}
					b.Reset()
					clear(known)
					counts = f.counts(doc, known, b)
				}
				if err := b.add(l.id(doc), id, l.length(doc), counts); err != nil {
					return fmt.Errorf("merge segment %d: %w", i, err)
				}
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return emit(b.Bytes())
}

// forward is a segment by passages instead of by terms.
type forward struct {
	terms  []string
	starts []uint32    // where in all the counts of each passage start
	all    []termCount // with the segment's numbers of terms
	buf    []termCount
}

// forward turns the segment's postings round. room is used for it, and given back.
func (l *livePart) forward(room []termPosting) (*forward, []termPosting, error) {
	f := &forward{terms: make([]string, 0, l.terms), starts: make([]uint32, l.stats.Passages+1)}
	var c cursor // cleared once: it is half a kilobyte
	byTerm := room[:0]
	err := l.eachList(func(term []byte, postings list) bool {
		n := uint32(len(f.terms))
		f.terms = append(f.terms, string(term))
		for c.open(postings, l.stats.Passages); c.doc != noDoc; c.next() {
			f.starts[c.doc]++
			byTerm = append(byTerm, termPosting{n, posting{c.doc, c.tf()}})
		}
		return !c.bad
	})
	if err != nil {
		return nil, nil, err
	}
	total := uint32(0)
	for i, k := range f.starts {
		total += k
		f.starts[i] = total
	}
	f.all = make([]termCount, total)
	for i := len(byTerm) - 1; i >= 0; i-- {
		p := &byTerm[i]
		f.starts[p.doc]--
		f.all[f.starts[p.doc]] = termCount{p.term, p.tf}
	}
	return f, byTerm, nil
}

// eachList calls f for every term in order.
func (s *Segment) eachList(f func(term []byte, postings list) bool) error {
	for i := range len(s.index) / 4 {
		e := entries{dictReader: s.block(i), left: min(dictBlock, s.terms-i*dictBlock)}
		for e.next() {
			l, ok := s.list(e.offset, e.size, e.df)
			if !ok || !f(e.text, l) {
				return ErrDamaged
			}
		}
		if e.bad {
			return ErrDamaged
		}
	}
	return nil
}

// counts are a passage's terms with the builder's numbers. known is what they are for the segment's: 0 is not known yet, else it is one more.
func (f *forward) counts(doc uint32, known []uint32, b *Builder) []termCount {
	f.buf = f.buf[:0]
	for _, c := range f.all[f.starts[doc]:f.starts[doc+1]] {
		if known[c.term] == 0 {
			known[c.term] = b.place(b.vocabulary.term(f.terms[c.term])) + 1
		}
		f.buf = append(f.buf, termCount{known[c.term] - 1, c.tf})
	}
	return f.buf
}
