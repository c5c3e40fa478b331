package token

import (
	"cmp"
	"slices"
)

// trie maps pieces to their ids, byte by byte: a double array, in which the child of node n by byte c is at base+c of n,
// if it says that n is its parent. Node 0 is the root.
type trie []node

type node struct {
	base, parent int32
	id           int32 // of the piece that ends here, or -1
}

type piece struct {
	text string
	id   int32
}

// step goes from a node down by a byte; 0 says that there is no such piece.
func (t trie) step(n int32, c byte) int32 {
	to := t[n].base + int32(c)
	if uint32(to) >= uint32(len(t)) || t[to].parent != n {
		return 0
	}
	return to
}

// walk is step by all bytes of s. Its answer is -1 when no piece begins so.
func (t trie) walk(s string) int32 {
	n := int32(0)
	for i := range len(s) {
		if n = t.step(n, s[i]); n == 0 {
			return -1
		}
	}
	return n
}

// newTrie sorts the pieces. Of pieces with the same text, the one with the least id counts; empty ones do not.
func newTrie(pieces []piece) trie {
	slices.SortFunc(pieces, func(a, b piece) int {
		if c := cmp.Compare(a.text, b.text); c != 0 {
			return c
		}
		return cmp.Compare(a.id, b.id)
	})
	b := builder{t: make(trie, 1, 4*len(pieces)+1024)}
	b.t[0] = node{parent: -1, id: -1}
	// A queued node stands for the pieces that share its first bytes. Their order puts each node before its children.
	type span struct {
		lo, hi, depth int
		at            int32
	}
	queue := []span{{0, len(pieces), 0, 0}}
	var labels []byte
	var ends []int
	for len(queue) > 0 {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for ; s.lo < s.hi && len(pieces[s.lo].text) == s.depth; s.lo++ {
			if b.t[s.at].id < 0 && s.depth > 0 {
				b.t[s.at].id = pieces[s.lo].id
			}
		}
		labels, ends = labels[:0], ends[:0]
		for i := s.lo; i < s.hi; i++ {
			if c := pieces[i].text[s.depth]; len(labels) == 0 || labels[len(labels)-1] != c {
				labels, ends = append(labels, c), append(ends, i)
			} else {
				ends[len(ends)-1] = i
			}
		}
		if len(labels) == 0 {
			continue
		}
		base := b.place(labels, s.at)
		lo := s.lo
		for i, c := range labels {
			queue = append(queue, span{lo, ends[i] + 1, s.depth + 1, base + int32(c)})
			lo = ends[i] + 1
		}
	}
	return slices.Clip(b.t)
}

type builder struct {
	t    trie
	from int // no free places worth looking at are before it
}

const free = -2 // the parent of a place that no node has

// place finds places for the children of a node, and gives their base.
func (b *builder) place(labels []byte, parent int32) int32 {
	first := int(labels[0])
	last := int(labels[len(labels)-1])
	tried, start := 0, max(b.from, first+1)
	at := start
search:
	for ; ; at++ {
		b.grow(at - first + last + 1)
		if b.t[at].parent != free {
			tried++
			continue
		}
		for _, c := range labels[1:] {
			if b.t[at-first+int(c)].parent != free {
				continue search
			}
		}
		break
	}
	if at-start > 64 && tried*20 >= (at-start)*19 { // hardly a free place among those: begin behind them from now on
		b.from = at
	}
	base := int32(at - first)
	b.t[parent].base = base
	for _, c := range labels {
		b.t[base+int32(c)] = node{parent: parent, id: -1}
	}
	return base
}

func (b *builder) grow(n int) {
	for len(b.t) < n {
		b.t = append(b.t, node{parent: free, id: -1})
	}
}
