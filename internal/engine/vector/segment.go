package vector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"sort"
)

// A segment is, with numbers in little-endian order,
//
//	magic, uint32 CRC-32C of what follows, uint32 passages, uint32 groups, uint32 dimensions, zeros up to headerSize
//	per passage: the upper halves of its codes (four bits for each dimension, filled up to a multiple of lineSize bytes);
//	then in the same way the lower halves
//	per passage: float32 coarse, filled up with zeros to a multiple of lanes; then in the same way float32 away, scale, residual
//	per passage: its id (16 bytes)
//	per group: its id (16 bytes); then per group: uint32 its first passage; then uint32 the groups' places ordered by id
const (
	magic      = "BVX2"
	headerSize = lineSize
)

// ErrDamaged is what Open fails with when a segment is not as a Builder wrote it. Such a segment must be built again from its passages.
var ErrDamaged = errors.New("damaged vector segment")

func damaged(what string) error { return fmt.Errorf("open segment: %s: %w", what, ErrDamaged) }

// Segment is an opened segment. It is read in place: the bytes must not change as long as it is used. The memory of one that is
// Apart is there as long as the Segment, not as long as parts of its bytes: whoever reads these keeps it alive.
type Segment struct {
	data                            []byte
	dims, plane                     int // plane: bytes of a passage in high and in low
	passages, groupCount            int
	high, low, ids                  []byte
	coarse, away, scales, residuals []byte // float32
	groupIDs                        []byte
	groupFirst, groupOrder          []byte // uint32
}

// sizeOf is the length of a segment in bytes.
func sizeOf(dims, passages, groups int64) int64 {
	return headerSize + passages*int64(strideOf(int(dims))) + 4*4*fillLanes(passages) + 16*passages + 24*groups
}

// fillLanes is the number of measures that are stored for that many passages: all that a kernel reads.
func fillLanes[N int | int64](n N) N { return (n + lanes - 1) &^ (lanes - 1) }

// Open checks the bytes of a segment and gives access to them, without a copy. Those of the form before this are read into a copy, which
// takes some ten times as long.
func Open(data []byte) (*Segment, error) {
	h, err := headerOf(data)
	if err != nil {
		return nil, err
	}
	if h.bytewise {
		if data, err = halved(data, h); err != nil {
			return nil, err
		}
	} else if sizeOf(h.dims, h.passages, h.groups) != int64(len(data)) {
		return nil, damaged("size")
	}
	s := sliced(data, int(h.passages), int(h.groups), int(h.dims))
	if !s.groupsValid() {
		return nil, damaged("groups")
	}
	if !s.measuresValid() {
		return nil, damaged("scales")
	}
	return s, nil
}

// sliced gives access to the bytes of a segment that are known to be as many as it must have.
func sliced(data []byte, passages, groups, dims int) *Segment {
	s := &Segment{data: data, dims: dims, plane: planeOf(dims), passages: passages, groupCount: groups}
	take := taker(data[headerSize:])
	s.high, s.low = take(s.passages*s.plane), take(s.passages*s.plane)
	filled := 4 * fillLanes(s.passages)
	s.coarse, s.away, s.scales, s.residuals = take(filled), take(filled), take(filled), take(filled)
	s.ids = take(16 * s.passages)
	s.groupIDs, s.groupFirst, s.groupOrder = take(16*s.groupCount), take(4*s.groupCount), take(4*s.groupCount)
	return s
}

// taker gives one part of data after the other.
func taker(data []byte) func(n int) []byte {
	return func(n int) []byte {
		part := data[:n:n]
		data = data[n:]
		return part
	}
}

// header is what a segment says of itself at its start.
type header struct {
	bytewise               bool // the form before this
	passages, groups, dims int64
}

// headerOf reads the header and compares the checksum.
func headerOf(data []byte) (header, error) {
	le := binary.LittleEndian
	if len(data) < headerSize || string(data[:4]) != magic && string(data[:4]) != magicBytewise {
		return header{}, damaged("no header")
	}
	if checksum(data) != le.Uint32(data[4:]) {
		return header{}, damaged("checksum")
	}
	h := header{
		bytewise: string(data[:4]) == magicBytewise,
		passages: int64(le.Uint32(data[8:])), groups: int64(le.Uint32(data[12:])), dims: int64(le.Uint32(data[16:])),
	}
	if h.dims < 1 || h.dims > MaxDims || h.groups > h.passages || h.passages > 0 && h.groups == 0 {
		return header{}, damaged("header")
	}
	return h, nil
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

// measuresValid tells whether the scales and lengths are those of unit vectors, so that no score is beyond all bounds.
func (s *Segment) measuresValid() bool {
	const most = 1 + tolerance
	for i := range s.passages {
		m := s.measuresOf(i)
		if !(m.scale > 0 && m.scale <= most && m.residual >= 0 && m.residual <= most && m.coarse > 0 && m.coarse <= maxCoarse && m.away >= 0 && m.away <= maxAway) {
			return false
		}
	}
	return true
}

// Len is the number of passages, the dead ones too.
func (s *Segment) Len() int { return s.passages }

// Dims is the number of dimensions of the vectors.
func (s *Segment) Dims() int { return s.dims }

// Bytes are those of the segment, in the form that a Builder writes now. They last as long as the segment.
func (s *Segment) Bytes() []byte { return s.data }

// Groups are the ids of the groups in the order in which they were added.
func (s *Segment) Groups() []string {
	defer runtime.KeepAlive(s)
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
func (s *Segment) group(i int) ulid         { return ulid(s.groupBytes(i)) }
func (s *Segment) groupBytes(i int) []byte  { return s.groupIDs[16*i : 16*i+16] }
func (s *Segment) first(i int) int          { return int(binary.LittleEndian.Uint32(s.groupFirst[4*i:])) }
func (s *Segment) ordered(i int) int        { return int(binary.LittleEndian.Uint32(s.groupOrder[4*i:])) }
func (s *Segment) scale(doc int) float32    { return floatAt(s.scales, doc) }
func (s *Segment) residual(doc int) float32 { return floatAt(s.residuals, doc) }

// row is a passage's part of a plane of codes.
func (s *Segment) row(plane []byte, doc int) []byte { return plane[doc*s.plane : (doc+1)*s.plane] }

func (s *Segment) measuresOf(doc int) measures {
	return measures{floatAt(s.coarse, doc), floatAt(s.away, doc), s.scale(doc), s.residual(doc)}
}

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
