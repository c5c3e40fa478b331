package lexical

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sort"
)

// A segment is
//
//	magic, uint32 CRC-32C of what follows,
//	uint32 passages, uint32 groups, uint64 tokens, uint32 terms, uint32 offset of the dictionary, uint32 offset of the postings, uint32 length of the postings
//	per passage: its id (16 bytes)
//	per passage: uint32 length in tokens
//	per group: its id (16 bytes); then per group: uint32 its first passage; then uint32 the groups' places ordered by id
//	per dictBlock terms: uint32 offset in the dictionary
//	the dictionary; the postings; padding
const (
	magic      = "BLX1"
	headerSize = 40
	dictBlock  = 16
)

// ErrDamaged is what Open, Search and Merge fail with when a segment is not as a Builder wrote it. Such a segment must be built again from its passages.
var ErrDamaged = errors.New("damaged index segment")

// Segment is an opened segment. It is read in place: the bytes must not change as long as it is used.
type Segment struct {
	data       []byte
	stats      Stats
	groupCount int
	terms      int

	ids, lengths                    []byte
	groupIDs, groupFirst, groupSort []byte
	index, dict, postings           []byte // postings with the padding
	postingsLen                     int
}

// Stats are the numbers that BM25 needs of a collection.
type Stats struct {
	Passages int
	Tokens   int // in all passages
}

// Open checks the bytes of a segment and gives access to them, without a copy.
func Open(data []byte) (*Segment, error) {
	damaged := func(what string) (*Segment, error) { return nil, fmt.Errorf("open segment: %s: %w", what, ErrDamaged) }
	le := binary.LittleEndian
	if len(data) < headerSize+padding || string(data[:4]) != magic {
		return damaged("no header")
	}
	if crc32.Checksum(data[8:], crc32.MakeTable(crc32.Castagnoli)) != le.Uint32(data[4:]) {
		return damaged("checksum")
	}
	passages, groups, terms := int(le.Uint32(data[8:])), int(le.Uint32(data[12:])), int(le.Uint32(data[24:]))
	s := &Segment{data: data, groupCount: groups, terms: terms, postingsLen: int(le.Uint32(data[36:]))}
	s.stats = Stats{Passages: passages, Tokens: int(le.Uint64(data[16:]))}
	blocks := (terms + dictBlock - 1) / dictBlock
	dict, postings := int(le.Uint32(data[28:])), int(le.Uint32(data[32:]))
	if passages >= maxPassages || groups > passages || s.stats.Tokens < 0 ||
		headerSize+20*passages+24*groups+4*blocks != dict || dict > postings || postings+s.postingsLen+padding != len(data) {
		return damaged("header")
	}
	rest := data[headerSize:]
	take := func(n int) []byte {
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	s.ids, s.lengths = take(16*passages), take(4*passages)
	s.groupIDs, s.groupFirst, s.groupSort = take(16*groups), take(4*groups), take(4*groups)
	s.index, s.dict, s.postings = take(4*blocks), take(postings-dict), rest
	if !s.groupsValid() {
		return damaged("groups")
	}
	return s, nil
}

// groupsValid tells whether the ranges of the groups cover all passages and their order names each of them.
func (s *Segment) groupsValid() bool {
	next := uint32(0)
	for i := range s.groupCount {
		first := s.first(i)
		if i == 0 && first != 0 || i > 0 && first < next || s.sorted(i) >= s.groupCount {
			return false
		}
		next = first + 1
	}
	return int(next) <= s.stats.Passages && (s.groupCount > 0 || s.stats.Passages == 0)
}

// Stats counts all passages of the segment, the dead ones too.
func (s *Segment) Stats() Stats { return s.stats }

// Bytes is what the segment was opened from.
func (s *Segment) Bytes() []byte { return s.data }

// Groups are the ids of the groups in the order in which they were added.
func (s *Segment) Groups() []string {
	out := make([]string, 0, s.groupCount)
	seen := make(map[ulid]bool, s.groupCount)
	for i := range s.groupCount {
		if g := s.group(i); !seen[g] {
			seen[g] = true
			out = append(out, g.String())
		}
	}
	return out
}

func (s *Segment) id(doc uint32) ulid       { return ulid(s.ids[16*doc:]) }
func (s *Segment) length(doc uint32) uint32 { return binary.LittleEndian.Uint32(s.lengths[4*doc:]) }
func (s *Segment) group(i int) ulid         { return ulid(s.groupIDs[16*i:]) }
func (s *Segment) first(i int) uint32       { return binary.LittleEndian.Uint32(s.groupFirst[4*i:]) }
func (s *Segment) sorted(i int) int         { return int(binary.LittleEndian.Uint32(s.groupSort[4*i:])) }

// groupEnd is the passage after the last one of range i.
func (s *Segment) groupEnd(i int) uint32 {
	if i+1 < s.groupCount {
		return s.first(i + 1)
	}
	return uint32(s.stats.Passages)
}

// groupOf is the range of a passage.
func (s *Segment) groupOf(doc uint32) int {
	return sort.Search(s.groupCount, func(i int) bool { return s.first(i) > doc }) - 1
}

// ranges are the places of a group's ranges.
func (s *Segment) ranges(g ulid) []int {
	i := sort.Search(s.groupCount, func(i int) bool {
		at := s.sorted(i)
		return bytes.Compare(s.groupIDs[16*at:16*at+16], g[:]) >= 0
	})
	var out []int
	for ; i < s.groupCount && s.group(s.sorted(i)) == g; i++ {
		out = append(out, s.sorted(i))
	}
	return out
}

// list is where a term's postings are.
type list struct {
	df   int
	data []byte // with at least padding bytes after its end
	size int    // its length
}

// lookup finds a term. It is not ok when the dictionary is damaged; a term that is not there has no passages.
func (s *Segment) lookup(term string) (l list, ok bool) {
	lo, hi := 0, len(s.index)/4
	for lo < hi { // the first block that starts after the term
		m := int(uint(lo+hi) >> 1)
		b := s.block(m)
		b.uvarint()
		first := b.bytes(b.uvarint())
		if b.bad {
			return list{}, false
		}
		if string(first) > term {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo == 0 {
		return list{}, true
	}
	return s.scan(s.block(lo-1), min(dictBlock, s.terms-(lo-1)*dictBlock), term)
}

// scan looks for a term in a dictionary block without putting the terms together: how much each shares with the one before says most of it.
func (s *Segment) scan(r dictReader, left int, term string) (list, bool) {
	offset := r.uvarint()
	matched := 0 // bytes that the term shares with the entry before, which is less than it
	for i := range left {
		shared := 0
		if i > 0 {
			shared = r.uvarint()
		}
		rest := r.bytes(r.uvarint())
		df, size := r.uvarint(), r.uvarint()
		if r.bad {
			return list{}, false
		}
		switch {
		case shared < matched:
			return list{}, true
		case shared == matched:
			n := 0
			for n < len(rest) && matched < len(term) && rest[n] == term[matched] {
				n++
				matched++
			}
			switch {
			case n == len(rest) && matched == len(term):
				return s.list(offset, size, df)
			case n < len(rest) && (matched == len(term) || rest[n] > term[matched]):
				return list{}, true
			}
		}
		offset += size
	}
	return list{}, true
}

// list is the postings at an offset, which must be inside.
func (s *Segment) list(offset, size, df int) (list, bool) {
	if df <= 0 || df > s.stats.Passages || size <= 0 || size > s.postingsLen || offset > s.postingsLen-size {
		return list{}, false
	}
	return list{df: df, data: s.postings[offset:], size: size}, true
}

// block is dictionary block i, up to the end of the dictionary.
func (s *Segment) block(i int) dictReader {
	off := int(binary.LittleEndian.Uint32(s.index[4*i:]))
	if off > len(s.dict) {
		return dictReader{bad: true}
	}
	return dictReader{data: s.dict[off:]}
}

// dictReader reads from bytes that may be damaged: then it is bad from there on, and what it reads is zero.
type dictReader struct {
	data []byte
	bad  bool
}

func (r *dictReader) uvarint() int {
	if len(r.data) > 0 && r.data[0] < 0x80 {
		v := r.data[0]
		r.data = r.data[1:]
		return int(v)
	}
	return r.long()
}

func (r *dictReader) long() int {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > 1<<31-1 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return int(v)
}

func (r *dictReader) bytes(n int) []byte {
	if n > len(r.data) {
		r.bad, r.data = true, nil
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// entries walks over the terms of a dictionary block.
type entries struct {
	dictReader
	text   []byte
	left   int
	begun  bool
	offset int // of its postings
	size   int
	df     int
}

func (e *entries) next() bool {
	if e.left <= 0 || e.bad {
		return false
	}
	e.left--
	shared := 0
	if e.begun {
		shared = e.uvarint()
		e.offset += e.size
	} else {
		e.begun = true
		e.offset = e.uvarint()
	}
	if shared > len(e.text) {
		e.bad = true
		return false
	}
	e.text = append(e.text[:shared], e.bytes(e.uvarint())...)
	e.df, e.size = e.uvarint(), e.uvarint()
	return !e.bad
}
