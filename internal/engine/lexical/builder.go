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

	vocabulary *vocabulary
	places     []uint32 // of the vocabulary's terms in terms, plus one; 0 or beyond its end is a term that has none yet
	terms      []termState
	postings   []termPosting // in the order of passages
	lists      int           // bytes of the dictionary and the postings, never less than it will be

	counts []termCount // of the passage that is read
	length uint32      // its tokens
	mark   uint32      // which passage that is, from 1, for termState.mark

	parts parts
}

// parts is room for what Bytes puts together, which is used again.
type parts struct {
	order, starts         []uint32
	named                 []namedTerm
	all                   []posting
	index, dict, postings []byte
	impacts               []impact
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
func NewBuilder() *Builder { return &Builder{vocabulary: newVocabulary(), mark: 1} }

// Reset empties the builder. What it remembers of words, and its room, make the next segment cheaper.
func (b *Builder) Reset() {
	for _, t := range b.terms {
		b.places[t.number] = 0
	}
	if b.vocabulary.full() {
		b.vocabulary, b.places = newVocabulary(), nil
	}
	b.ids, b.lengths, b.groups, b.terms, b.postings = b.ids[:0], b.lengths[:0], b.groups[:0], b.terms[:0], b.postings[:0]
	b.longest, b.tokens, b.lists = 0, 0, 0
	b.Skip()
}

// Read analyses a text of the passage that is added next, as Analyze does; it may have several.
func (b *Builder) Read(text, lang string) {
	a := analysis{text: text, lang: baseLanguage(lang), counts: b}
	a.language = b.vocabulary.language(a.lang)
	a.walk()
}

// Skip forgets what was read.
func (b *Builder) Skip() { b.counts, b.length, b.mark = b.counts[:0], 0, b.mark+1 }

// ReadFits tells whether what was read can be added without making the segment larger than limit bytes. Everything fits into an empty builder.
func (b *Builder) ReadFits(limit int) bool { return b.fits(b.counts, b.length, limit) }

// AddRead adds the passage that was read. id and group are ULIDs; passages of one group should be added one after the other.
func (b *Builder) AddRead(id, group string) error {
	defer b.Skip()
	p, err := parseULID(id)
	if err != nil {
		return fmt.Errorf("passage id: %w", err)
	}
	g, err := parseULID(group)
	if err != nil {
		return fmt.Errorf("group id: %w", err)
	}
	return b.add(p, g, b.length, b.counts)
}

// Add adds a passage of which the tokens are known, see AddRead. What was read is forgotten.
func (b *Builder) Add(id, group string, tokens []Token) error {
	b.count(tokens)
	return b.AddRead(id, group)
}

// Fits is ReadFits of a passage of which the tokens are known. What was read is forgotten.
func (b *Builder) Fits(tokens []Token, limit int) bool {
	b.count(tokens)
	defer b.Skip()
	return b.ReadFits(limit)
}

// Len is the number of passages.
func (b *Builder) Len() int { return len(b.ids) }

// Size is the length of what Bytes would give: an upper bound, of which a large segment takes about three quarters.
func (b *Builder) Size() int { return b.sizeOf(len(b.ids), len(b.groups)) + b.lists }

func (b *Builder) sizeOf(passages, groups int) int {
	return headerSize + 20*passages + 24*groups + dictBlockOverhead + padding
}

// count reads tokens in the place of a text.
func (b *Builder) count(tokens []Token) {
	b.Skip()
	for _, t := range tokens {
		b.tally(b.vocabulary.term(t.Term))
	}
}

// tally counts an occurrence of a term of the vocabulary in the passage that is read.
func (b *Builder) tally(number uint32) {
	b.length++
	term := b.place(number)
	if s := &b.terms[term]; s.mark == b.mark {
		b.counts[s.slot].tf++
	} else {
		s.mark, s.slot = b.mark, uint32(len(b.counts))
		b.counts = append(b.counts, termCount{term, 1})
	}
}

// place is where a term of the vocabulary is in terms. It costs nothing in the segment before a passage has it.
func (b *Builder) place(number uint32) uint32 {
	if n := int(number) + 1; n > len(b.places) {
		b.places = append(b.places, make([]uint32, max(n, len(b.vocabulary.terms))-len(b.places))...)
	}
	if b.places[number] == 0 {
		b.terms = append(b.terms, termState{number: number, text: uint32(len(b.vocabulary.terms[number]))})
		b.places[number] = uint32(len(b.terms))
	}
	return b.places[number] - 1
}

// text is a term of terms.
func (b *Builder) text(term uint32) string { return b.vocabulary.terms[b.terms[term].number] }

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
		s.add(posting{uint32(len(b.ids)), c.tf}, longest)
		size += s.size() - int(s.sized)
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
		s.add(p, b.longest)
		size := s.size()
		b.lists += size - int(s.sized)
		s.sized = uint32(size)
		b.postings = append(b.postings, termPosting{c.term, p})
	}
	return nil
}

// Bytes makes the segment. More passages may be added after it, for another one.
func (b *Builder) Bytes() []byte {
	b.order()
	b.makeLists()
	p := &b.parts
	offDict := b.sizeOf(len(b.ids), len(b.groups)) - dictBlockOverhead - padding + len(p.index)
	offPostings := offDict + len(p.dict)
	out := make([]byte, headerSize, offPostings+len(p.postings)+padding)
	for _, id := range b.ids {
		out = append(out, id[:]...)
	}
	for _, n := range b.lengths {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	out = b.appendGroups(out)
	out = append(append(append(out, p.index...), p.dict...), p.postings...)
	out = append(out, make([]byte, padding)...)

	le := binary.LittleEndian
	copy(out, magic)
	le.PutUint32(out[8:], uint32(len(b.ids)))
	le.PutUint32(out[12:], uint32(len(b.groups)))
	le.PutUint64(out[16:], b.tokens)
	le.PutUint32(out[24:], uint32(len(p.order)))
	le.PutUint32(out[28:], uint32(offDict))
	le.PutUint32(out[32:], uint32(offPostings))
	le.PutUint32(out[36:], uint32(len(p.postings)))
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

// namedTerm is a term's place with its first bytes, which decide most comparisons without a look at the term.
type namedTerm struct {
	start uint64
	term  uint32
}

// order puts the postings in the order of terms' places, and finds the order of the terms that have some by their texts.
func (b *Builder) order() {
	p := &b.parts
	p.named = p.named[:0]
	p.starts = slices.Grow(p.starts[:0], len(b.terms)+1)[:len(b.terms)+1]
	total := uint32(0)
	for i, t := range b.terms {
		p.starts[i] = total
		if t.df == 0 {
			continue
		}
		total += t.df
		var start [8]byte
		copy(start[:], b.vocabulary.terms[t.number])
		p.named = append(p.named, namedTerm{binary.BigEndian.Uint64(start[:]), uint32(i)})
	}
	p.all = slices.Grow(p.all[:0], int(total))[:total]
	for _, e := range b.postings {
		p.all[p.starts[e.term]] = e.posting
		p.starts[e.term]++ // to where the next one starts
	}
	slices.SortFunc(p.named, func(x, y namedTerm) int {
		if x.start != y.start {
			return cmp.Compare(x.start, y.start)
		}
		return strings.Compare(b.text(x.term), b.text(y.term))
	})
	p.order = p.order[:0]
	for _, n := range p.named {
		p.order = append(p.order, n.term)
	}
}

// list is the postings of a term, after order.
func (b *Builder) list(term uint32) []posting {
	end := b.parts.starts[term]
	return b.parts.all[end-b.terms[term].df : end]
}

// makeLists writes the dictionary: blocks of dictBlock terms, of which the first is whole and the others leave out what they share
// with the one before, and where each block starts.
//
//	uvarint offset of the first term's postings
//	per term: uvarint shared bytes (not of the first), uvarint length of the rest, the rest, uvarint df, uvarint length of its postings
func (b *Builder) makeLists() {
	p := &b.parts
	index, dict, postings := p.index[:0], p.dict[:0], p.postings[:0]
	prev := ""
	for i, n := range p.order {
		text, list := b.text(n), b.list(n)
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
		p.impacts = slices.Grow(p.impacts[:0], len(list))
		postings = appendPostings(postings, list, b.lengths, p.impacts)
		dict = binary.AppendUvarint(dict, uint64(len(list)))
		dict = binary.AppendUvarint(dict, uint64(len(postings)-before))
		prev = text
	}
	p.index, p.dict, p.postings = index, dict, postings
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
	number uint32 // in the vocabulary
	text   uint32 // its bytes
	sized  uint32 // size, when a passage was added last; 0 before
	mark   uint32 // the passage that was counted last
	slot   uint32 // its place in that passage's counts

	df    uint32
	next  uint32 // the first passage that may come now
	short uint32 // bytes as a short list
	full  uint32 // bytes of the blocks that are full

	n               uint32 // postings of the block being filled
	maxDelta, maxTF uint32
	longest         uint32 // a bound for the lengths in its impacts
	listTF          uint32 // greatest count of all
}

func (t *termState) add(p posting, longest uint32) {
	if t.n == blockSize {
		t.full += uint32(t.block())
		t.n, t.maxDelta, t.maxTF = 0, 0, 0
	}
	delta := p.doc - t.next
	if t.df < shortList {
		t.short += uint32(uvarintLen(uint64(delta)<<1 | 1))
		if p.tf != 1 {
			t.short += uint32(uvarintLen(uint64(p.tf)))
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
	n := int(t.n)
	return 8 + 1 + blockImpacts*pair + 2 + packedSize(n, bits.Len32(t.maxDelta)) + packedSize(n, bits.Len32(t.maxTF))
}

// size is the most that the term can take in the dictionary and the postings.
func (t *termState) size() int {
	text, list := int(t.text), int(t.short)
	if t.df > shortList {
		pair := uvarintLen(uint64(t.listTF)) + uvarintLen(uint64(t.longest))
		list = 1 + listImpacts*pair + int(t.full) + t.block()
	}
	const share = (dictBlockOverhead + dictBlock - 1) / dictBlock
	return text + 2*uvarintLen(uint64(text)) + uvarintLen(uint64(t.df)) + uvarintLen(uint64(list)) + list + share
}
