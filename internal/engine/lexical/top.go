package lexical

import "bytes"

// entry is a passage among the best.
type entry struct {
	score float64
	part  uint32
	doc   uint32
	slot  int // of its counts
}

// heap keeps the k best passages, the worst of them at the root.
type heap struct {
	view    *View
	k       int
	terms   int
	entries []entry
	counts  []uint32 // terms for each slot
	floor   float64  // score of the worst, once there are k: what is below can't become a hit
}

// worse tells whether x comes after y: by score, then by id.
func (h *heap) worse(x, y entry) bool {
	if x.score != y.score {
		return x.score < y.score
	}
	p, q := h.view.parts[x.part].id(x.doc), h.view.parts[y.part].id(y.doc)
	return bytes.Compare(p[:], q[:]) > 0
}

func (h *heap) countsOf(e entry) []uint32 { return h.counts[e.slot*h.terms : (e.slot+1)*h.terms] }

func (h *heap) offer(e entry, counts []uint32) {
	if len(h.entries) < h.k {
		e.slot = len(h.entries)
		h.counts = append(h.counts, counts...)
		h.entries = append(h.entries, e)
		for i := e.slot; i > 0 && h.worse(h.entries[i], h.entries[(i-1)/2]); i = (i - 1) / 2 {
			h.entries[i], h.entries[(i-1)/2] = h.entries[(i-1)/2], h.entries[i]
		}
	} else {
		if !h.worse(h.entries[0], e) {
			return
		}
		e.slot = h.entries[0].slot
		copy(h.countsOf(e), counts)
		h.entries[0] = e
		h.down()
	}
	if len(h.entries) == h.k {
		h.floor = h.entries[0].score
	}
}

func (h *heap) down() {
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h.entries); c++ {
			if h.worse(h.entries[c], h.entries[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.entries[i], h.entries[least] = h.entries[least], h.entries[i]
		i = least
	}
}
