package vector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sort"
)

// A segment is, with numbers in little-endian order,
//
//	magic, uint32 CRC-32C of what follows, uint32 passages, uint32 groups, uint32 dimensions, zeros up to headerSize
//	per passage: its codes (a byte for each dimension, filled up to a multiple of lineSize)
//	per passage: float32 scale, filled up with zeros to a multiple of lanes; then in the same way float32 length of the residual
//	per passage: its id (16 bytes)
//	per group: its id (16 bytes); then per group: uint32 its first passage; then uint32 the groups' places ordered by id
const (
	magic      = "BVX1"
	headerSize = lineSize
)

// ErrDamaged is what Open fails with when a segment is not as a Builder wrote it. Such a segment must be built again from its passages.
var ErrDamaged = errors.New("damaged vector segment")

// Segment is an opened segment. It is read in place: the bytes must not change as long as it is used.
type Segment struct {
	data                   []byte
	dims, stride           int
	passages, groupCount   int
	codes, ids             []byte
	scales, residuals      []byte // float32
	groupIDs               []byte
	groupFirst, groupOrder []byte // uint32
}

// sizeOf is the length of a segment in bytes.
func sizeOf(dims, passages, groups int64) int64 {
	return headerSize + passages*int64(strideOf(int(dims))) + 2*4*fillLanes(passages) + 16*passages + 24*groups
}

// fillLanes is the number of scales that are stored for that many passages: all that a kernel reads.
func fillLanes[N int | int64](n N) N { return (n + lanes - 1) &^ (lanes - 1) }

// Open checks the bytes of a segment and gives access to them, without a copy.
func Open(data []byte) (*Segment, error) {
	damaged := func(what string) (*Segment, error) { return nil, fmt.Errorf("open segment: %s: %w", what, ErrDamaged) }
	le := binary.LittleEndian
	if len(data) < headerSize || string(data[:4]) != magic {
		return damaged("no header")
	}
	if checksum(data) != le.Uint32(data[4:]) {
		return damaged("checksum")
	}
	passages, groups, dims := int64(le.Uint32(data[8:])), int64(le.Uint32(data[12:])), int64(le.Uint32(data[16:]))
	if dims < 1 || dims > MaxDims || groups > passages || passages > 0 && groups == 0 || sizeOf(dims, passages, groups) != int64(len(data)) {
		return damaged("header")
	}
	s := &Segment{data: data, dims: int(dims), stride: strideOf(int(dims)), passages: int(passages), groupCount: int(groups)}
	rest := data[headerSize:]
	take := func(n int) []byte {
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	s.codes = take(s.passages * s.stride)
	s.scales, s.residuals = take(4*fillLanes(s.passages)), take(4*fillLanes(s.passages))
	s.ids = take(16 * s.passages)
	s.groupIDs, s.groupFirst, s.groupOrder = take(16*s.groupCount), take(4*s.groupCount), take(4*s.groupCount)
	if !s.groupsValid() {
		return damaged("groups")
	}
	if !s.scalesValid() {
		return damaged("scales")
	}
	return s, nil
}

func checksum(data []byte) uint32 { return crc32.Checksum(data[8:], crc32.MakeTable(crc32.Castagnoli)) }

// groupsValid tells whether the ranges of the groups cover all passages and their order names each of them.
func (s *Segment) groupsValid() bool {
	seen := make([]bool, s.groupCount)
	for i := range s.groupCount {
		if first := s.first(i); i == 0 && first != 0 || i > 0 && first <= s.first(i-1) || first >= s.passages {
			return false
		}
		at := s.ordered(i)
		if at >= s.groupCount || seen[at] {
			return false
		}
		seen[at] = true
		if i > 0 && bytes.Compare(s.groupBytes(s.ordered(i-1)), s.groupBytes(at)) > 0 {
			return false
		}
	}
	return true
}

// scalesValid tells whether the scales and residuals are those of unit vectors, so that no score is beyond all bounds.
func (s *Segment) scalesValid() bool {
	for i := range s.passages {
		x, r := s.scale(i), s.residual(i)
		if !(x > 0 && x <= 1+tolerance && r >= 0 && r <= 1+tolerance) {
			return false
		}
	}
	return true
}

// Len is the number of passages, the dead ones too.
func (s *Segment) Len() int { return s.passages }

// Dims is the number of dimensions of the vectors.
func (s *Segment) Dims() int { return s.dims }

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

func (s *Segment) id(doc int) ulid          { return ulid(s.ids[16*doc:]) }
func (s *Segment) code(doc int) []byte      { return s.codes[doc*s.stride : (doc+1)*s.stride] }
func (s *Segment) group(i int) ulid         { return ulid(s.groupBytes(i)) }
func (s *Segment) groupBytes(i int) []byte  { return s.groupIDs[16*i : 16*i+16] }
func (s *Segment) first(i int) int          { return int(binary.LittleEndian.Uint32(s.groupFirst[4*i:])) }
func (s *Segment) ordered(i int) int        { return int(binary.LittleEndian.Uint32(s.groupOrder[4*i:])) }
func (s *Segment) scale(doc int) float32    { return floatAt(s.scales, doc) }
func (s *Segment) residual(doc int) float32 { return floatAt(s.residuals, doc) }
func floatAt(floats []byte, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(floats[4*i:]))
}

// groupEnd is the passage after the last one of range i.
func (s *Segment) groupEnd(i int) int {
	if i+1 < s.groupCount {
		return s.first(i + 1)
	}
	return s.passages
}

// groupOf is the range of a passage.
func (s *Segment) groupOf(doc int) int {
	return sort.Search(s.groupCount, func(i int) bool { return s.first(i) > doc }) - 1
}

// ranges are the places of a group's ranges.
func (s *Segment) ranges(g ulid) []int {
	i := sort.Search(s.groupCount, func(i int) bool { return bytes.Compare(s.groupBytes(s.ordered(i)), g[:]) >= 0 })
	var out []int
	for ; i < s.groupCount && s.group(s.ordered(i)) == g; i++ {
		out = append(out, s.ordered(i))
	}
	return out
}
