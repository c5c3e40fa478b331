package lexical

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// SegmentLimit is the size in bytes that a segment should not exceed, so that it is read, cached and rewritten in short steps.
const SegmentLimit = 4 << 20

// Builder collects passages for one segment. It takes about ten times the memory of the segment that it makes, and belongs to one goroutine.
type Builder struct {
	ids     []ulid
	lengths []uint32
	longest uint32 // of lengths
	groups  []groupRange
	tokens  uint64

	index    map[string]uint32 // term -> its place in terms
	terms    []termState
	postings []termPosting // in the order of passages
	lists    int           // bytes of the dictionary and the postings, never less than it will be

	counts []termCount // of the passage that is looked at
	mark   uint32      // which passage that is, for termState.mark
}

// groupRange is a group's passages, which end where the next range starts.
type groupRange struct {
	id    ulid
	first uint32
}

type termPosting struct {
	term uint32
	posting
}

// termCount is how often a term occurs in a passage.
type termCount struct{ term, tf uint32 }

// dictBlockOverhead is the most that a dictionary block takes beside its terms: an offset in the index, and one of postings.
const dictBlockOverhead = 4 + 5

// mostGrowth is more than one posting can add to the size of a segment: a new term of maxTerm bytes, or all of a block's values
// becoming as wide as can be.
const mostGrowth = 2048

// NewBuilder is an empty segment.
func NewBuilder() *Builder { return &Builder{index: map[string]uint32{}} }

// Add adds a passage. id and group are ULIDs; passages of one group should be added one after the other.
func (b *Builder) Add(id, group string, tokens []Token) error {
	p, err := parseULID(id)
	if err != nil {
		return fmt.Errorf("passage id: %w", err)
	}
	g, err := parseULID(group)
	if err != nil {
		return fmt.Errorf("group id: %w", err)
	}
	return b.add(p, g, uint32(len(tokens)), b.count(tokens))
}

// Fits tells whether a passage can be added without making the segment larger than limit bytes. Everything fits into an empty builder.
func (b *Builder) Fits(tokens []Token, limit int) bool {
	return b.fits(b.count(tokens), uint32(len(tokens)), limit)
}

// Len is the number of passages.
func (b *Builder) Len() int { return len(b.ids) }

// Size is the length of what Bytes would give: an upper bound, of which a large segment takes about three quarters.
func (b *Builder) Size() int { return b.sizeOf(len(b.ids), len(b.groups)) + b.lists }

func (b *Builder) sizeOf(passages, groups int) int {
	return headerSize + 20*passages + 24*groups + dictBlockOverhead + padding
}

// count gives the terms of a passage with their counts.
func (b *Builder) count(tokens []Token) []termCount {
	b.counts = b.counts[:0]
	b.mark++
	for _, t := range tokens {
		term := b.intern(t.Term)
		if s := &b.terms[term]; s.mark == b.mark {
			b.counts[s.slot].tf++
		} else {
			s.mark, s.slot = b.mark, uint32(len(b.counts))
			b.counts = append(b.counts, termCount{term, 1})
		}
	}
	return b.counts
}

// intern is the number of a term, which costs nothing in the segment before a passage has it.
func (b *Builder) intern(term string) uint32 {
	i, ok := b.index[term]
	if !ok {
		term = strings.Clone(term)
		i = uint32(len(b.terms))
		b.index[term] = i
		b.terms = append(b.terms, termState{text: term})
	}
	return i
}

func (b *Builder) fits(counts []termCount, length uint32, limit int) bool {
	if len(b.ids) == 0 {
		return true
	}
	if b.Size()+mostGrowth*(len(counts)+1) <= limit { // as it is, but near the limit
		return true
	}
	longest := max(b.longest, length)
	size := b.sizeOf(len(b.ids)+1, len(b.groups)+1) + b.lists
	for _, c := range counts {
		s := b.terms[c.term]
		size -= s.size()
		s.add(posting{uint32(len(b.ids)), c.tf}, longest)
		size += s.size()
	}
	return size <= limit
}

func (b *Builder) add(id, group ulid, length uint32, counts []termCount) error {
	doc := uint32(len(b.ids))
	if doc == maxPassages-1 || b.Size() > math.MaxInt32 {
		return errors.New("a segment can't hold more passages")
	}
	if n := len(b.groups); n == 0 || b.groups[n-1].id != group {
		b.groups = append(b.groups, groupRange{group, doc})
	}
	b.ids, b.lengths = append(b.ids, id), append(b.lengths, length)
	b.longest = max(b.longest, length)
	b.tokens += uint64(length)
	if n := len(b.postings) + len(counts); n > cap(b.postings) { // twice as many, where append would copy each posting five times
		b.postings = slices.Grow(b.postings, n)
	}
	for _, c := range counts {
		p := posting{doc, c.tf}
		s := &b.terms[c.term]
		b.lists -= s.size()
		s.add(p, b.longest)
		b.lists += s.size()
		b.postings = append(b.postings, termPosting{c.term, p})
	}
	return nil
}

// Bytes makes the segment. More passages may be added after it, for another one.
func (b *Builder) Bytes() []byte {
	out := make([]byte, headerSize, b.Size())
	for _, id := range b.ids {
		out = append(out, id[:]...)
	}
	for _, n := range b.lengths {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	out = b.appendGroups(out)
	order, lists := b.sorted()
	index, dict, postings := b.appendLists(order, lists)
	offDict := len(out) + len(index)
	offPostings := offDict + len(dict)
	out = append(append(append(out, index...), dict...), postings...)
	out = append(out, make([]byte, padding)...)

	le := binary.LittleEndian
	copy(out, magic)
	le.PutUint32(out[8:], uint32(len(b.ids)))
	le.PutUint32(out[12:], uint32(len(b.groups)))
	le.PutUint64(out[16:], b.tokens)
	le.PutUint32(out[24:], uint32(len(order)))
	le.PutUint32(out[28:], uint32(offDict))
	le.PutUint32(out[32:], uint32(offPostings))
	le.PutUint32(out[36:], uint32(len(postings)))
	le.PutUint32(out[4:], crc32.Checksum(out[8:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// appendGroups writes the ranges' ids, their first passages, and their order by id.
func (b *Builder) appendGroups(out []byte) []byte {
	order := make([]uint32, len(b.groups))
	for i, g := range b.groups {
		order[i] = uint32(i)
		out = append(out, g.id[:]...)
	}
	slices.SortStableFunc(order, func(x, y uint32) int {
		return slices.Compare(b.groups[x].id[:], b.groups[y].id[:])
	})
	for _, g := range b.groups {
		out = binary.LittleEndian.AppendUint32(out, g.first)
	}
	for _, i := range order {
		out = binary.LittleEndian.AppendUint32(out, i)
	}
	return out
}

// sorted gives the terms that have passages in their order, and the postings of each by number.
func (b *Builder) sorted() (order []uint32, lists [][]posting) {
	all := make([]posting, 0, len(b.postings))
	lists = make([][]posting, len(b.terms))
	for i, t := range b.terms {
		if t.df > 0 {
			order = append(order, uint32(i))
			all = all[:len(all)+t.df]
			lists[i] = all[len(all)-t.df : len(all)-t.df : len(all)]
		}
	}
	for _, p := range b.postings {
		lists[p.term] = append(lists[p.term], p.posting)
	}
	b.sortTerms(order)
	return order, lists
}

// sortTerms orders terms by their texts. Their first eight bytes decide most comparisons, without a look at the terms.
func (b *Builder) sortTerms(order []uint32) {
	type named struct {
		start uint64
		term  uint32
	}
	list := make([]named, len(order))
	for i, n := range order {
		var start [8]byte
		copy(start[:], b.terms[n].text)
		list[i] = named{binary.BigEndian.Uint64(start[:]), n}
	}
	slices.SortFunc(list, func(x, y named) int {
		if x.start != y.start {
			return cmp.Compare(x.start, y.start)
		}
		return strings.Compare(b.terms[x.term].text, b.terms[y.term].text)
	})
	for i, n := range list {
		order[i] = n.term
	}
}

// appendLists writes the dictionary: blocks of dictBlock terms, of which the first is whole and the others leave out what they share
// with the one before, and where each block starts.
//
//	uvarint offset of the first term's postings
//	per term: uvarint shared bytes (not of the first), uvarint length of the rest, the rest, uvarint df, uvarint length of its postings
func (b *Builder) appendLists(order []uint32, lists [][]posting) (index, dict, postings []byte) {
	var buf []impact
	prev := ""
	for i, n := range order {
		text := b.terms[n].text
		shared := 0
		if i%dictBlock == 0 {
			index = binary.LittleEndian.AppendUint32(index, uint32(len(dict)))
			dict = binary.AppendUvarint(dict, uint64(len(postings)))
		} else {
			shared = sharedPrefix(prev, text)
			dict = binary.AppendUvarint(dict, uint64(shared))
		}
		dict = binary.AppendUvarint(dict, uint64(len(text)-shared))
		dict = append(dict, text[shared:]...)
		before := len(postings)
		buf = slices.Grow(buf[:0], len(lists[n]))
		postings = appendPostings(postings, lists[n], b.lengths, buf)
		dict = binary.AppendUvarint(dict, uint64(len(lists[n])))
		dict = binary.AppendUvarint(dict, uint64(len(postings)-before))
		prev = text
	}
	return index, dict, postings
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// termState follows the size of a term's list, so that a segment can be cut before it is too large.
type termState struct {
	text string
	mark uint32 // the passage that was counted last
	slot uint32 // its place in that passage's counts

	df    int
	next  uint32 // the first passage that may come now
	short int    // bytes as a short list
	full  int    // bytes of the blocks that are full

	n               int // postings of the block being filled
	maxDelta, maxTF uint32
	longest         uint32 // a bound for the lengths in its impacts
	listTF          uint32 // greatest count of all
}

func (t *termState) add(p posting, longest uint32) {
	if t.n == blockSize {
		t.full += t.block()
		t.n, t.maxDelta, t.maxTF = 0, 0, 0
	}
	delta := p.doc - t.next
	if t.df < shortList {
		t.short += uvarintLen(uint64(delta)<<1 | 1)
		if p.tf != 1 {
			t.short += uvarintLen(uint64(p.tf))
		}
	}
	t.df++
	t.n++
	t.next = p.doc + 1
	t.maxDelta, t.maxTF = max(t.maxDelta, delta), max(t.maxTF, p.tf-1)
	t.listTF, t.longest = max(t.listTF, p.tf), longest
}

// block is the most that the block being filled can take, with its place in the table.
func (t *termState) block() int {
	pair := uvarintLen(uint64(t.maxTF)+1) + uvarintLen(uint64(t.longest))
	return 8 + 1 + blockImpacts*pair + 2 + packedSize(t.n, bits.Len32(t.maxDelta)) + packedSize(t.n, bits.Len32(t.maxTF))
}

// size is the most that the term can take in the dictionary and the postings.
func (t *termState) size() int {
	if t.df == 0 {
		return 0
	}
	list := t.short
	if t.df > shortList {
		pair := uvarintLen(uint64(t.listTF)) + uvarintLen(uint64(t.longest))
		list = 1 + listImpacts*pair + t.full + t.block()
	}
	const share = (dictBlockOverhead + dictBlock - 1) / dictBlock
	return len(t.text) + 2*uvarintLen(uint64(len(t.text))) + uvarintLen(uint64(t.df)) + uvarintLen(uint64(list)) + list + share
}
