package vector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// SegmentLimit is the size in bytes that a segment should not exceed, so that it is read, cached and rewritten in short steps.
const SegmentLimit = 4 << 20

// Builder collects passages for one segment. It takes about the memory of the segment that it makes, and belongs to one goroutine.
type Builder struct {
	dims      int
	high, low []byte
	measures  []measures
	ids       []ulid
	groups    []groupRange
	codes     []byte // of the passage that is being added
}

// groupRange is a group's passages, which end where the next range starts.
type groupRange struct {
	id    ulid
	first uint32
}

// NewBuilder is an empty segment for vectors of dims dimensions, 1 to MaxDims. With another number it takes no vector.
func NewBuilder(dims int) *Builder { return &Builder{dims: dims} }

// Add adds a passage. id and group are ULIDs; passages of one group should be added one after the other. v is a vector of length 1, which is not kept.
// It fails with ErrZero, ErrDims or ErrNotUnit when v is something else; the passage is not added then, and others may be.
func (b *Builder) Add(id, group string, v []float32) error {
	p, err := parseULID(id)
	if err != nil {
		return fmt.Errorf("passage id: %w", err)
	}
	g, err := parseULID(group)
	if err != nil {
		return fmt.Errorf("group id: %w", err)
	}
	if b.dims < 1 || b.dims > MaxDims {
		return fmt.Errorf("a segment of %d: %w", b.dims, ErrDims)
	}
	if err := checkUnit(v, b.dims); err != nil {
		return fmt.Errorf("passage %s: %w", id, err)
	}
	if err := b.reserve(p, g); err != nil {
		return err
	}
	if b.codes == nil {
		b.codes = bytes.Repeat([]byte{zeroCode}, strideOf(b.dims))
	}
	b.measures = append(b.measures, encode(b.codes, v))
	b.high, b.low = appendPlanes(b.high, b.low, b.codes)
	return nil
}

// reserve adds a passage whose codes the caller adds.
func (b *Builder) reserve(id, group ulid) error {
	if b.sizeWith(1) > math.MaxInt32 {
		return errors.New("a segment can't hold more passages")
	}
	if n := len(b.groups); n == 0 || b.groups[n-1].id != group {
		b.groups = append(b.groups, groupRange{group, uint32(len(b.ids))})
	}
	b.ids = append(b.ids, id)
	return nil
}

// reset empties the builder and keeps its room.
func (b *Builder) reset() {
	b.high, b.low, b.measures, b.ids, b.groups = b.high[:0], b.low[:0], b.measures[:0], b.ids[:0], b.groups[:0]
}

// Fits tells whether a passage can be added without making the segment larger than limit bytes. Everything fits into an empty builder.
func (b *Builder) Fits(limit int) bool { return len(b.ids) == 0 || b.sizeWith(1) <= limit }

// Len is the number of passages.
func (b *Builder) Len() int { return len(b.ids) }

// Size is the length of what Bytes gives.
func (b *Builder) Size() int { return b.sizeWith(0) }

// sizeWith is the size with n more passages, each of a group of its own.
func (b *Builder) sizeWith(n int) int {
	return int(sizeOf(int64(b.dims), int64(len(b.ids)+n), int64(len(b.groups)+n)))
}

// Bytes makes the segment. More passages may be added after it, for another one.
func (b *Builder) Bytes() []byte {
	le := binary.LittleEndian
	out := make([]byte, headerSize, b.Size())
	copy(out, magic)
	le.PutUint32(out[8:], uint32(len(b.ids)))
	le.PutUint32(out[12:], uint32(len(b.groups)))
	le.PutUint32(out[16:], uint32(b.dims))
	out = append(append(out, b.high...), b.low...)
	out = appendMeasures(out, b.measures)
	for _, id := range b.ids {
		out = append(out, id[:]...)
	}
	out = b.appendGroups(out)
	le.PutUint32(out[4:], checksum(out))
	return out
}

// appendMeasures writes the four numbers of all passages, one after the other, each filled up with zeros to a multiple of lanes.
func appendMeasures(out []byte, list []measures) []byte {
	size := 4 * fillLanes(len(list))
	at := len(out)
	out = append(out, make([]byte, 4*size)...)
	for i, m := range list {
		for j, x := range [...]float32{m.coarse, m.away, m.scale, m.residual} {
			binary.LittleEndian.PutUint32(out[at+j*size+4*i:], math.Float32bits(x))
		}
	}
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
