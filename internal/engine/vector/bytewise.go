package vector

import (
	"bytes"
	"encoding/binary"
)

// Segments that were written before codes had two planes have, in their place,
//
//	per passage: its codes (a byte for each dimension, filled up to a multiple of lineSize)
//	per passage: float32 scale, filled up with zeros to a multiple of lanes; then in the same way float32 residual
//
// All that is new follows from these, so nothing has to be built again: what a search finds in them is the same.
const magicBytewise = "BVX1"

// halved is a segment of that form as a Builder writes it now.
func halved(data []byte, h header) ([]byte, error) {
	dims, n, filled := int(h.dims), int(h.passages), int(4*fillLanes(h.passages))
	stride := (dims + lineSize - 1) / lineSize * lineSize
	const perPassage, perGroup = 16, 24
	if headerSize+h.passages*int64(stride+perPassage)+int64(2*filled)+h.groups*perGroup != int64(len(data)) {
		return nil, damaged("size")
	}
	take := taker(data[headerSize:])
	codes, scales, residuals, rest := take(n*stride), take(filled), take(filled), take(n*perPassage+int(h.groups)*perGroup)
	out := make([]byte, headerSize, sizeOf(h.dims, h.passages, h.groups))
	copy(out, data[:headerSize])
	copy(out, magic)

	row, list := bytes.Repeat([]byte{zeroCode}, strideOf(dims)), make([]measures, n)
	high, low := make([]byte, 0, n*planeOf(dims)), make([]byte, 0, n*planeOf(dims))
	for i := range n {
		copy(row, codes[i*stride:][:dims])
		list[i].scale, list[i].residual = floatAt(scales, i), floatAt(residuals, i)
		var p products
		for _, c := range row[:dims] {
			p.add(c)
		}
		list[i].halve(p)
		high, low = appendPlanes(high, low, row)
	}
	out = append(append(out, high...), low...)
	out = append(appendMeasures(out, list), rest...)
	binary.LittleEndian.PutUint32(out[4:], checksum(out))
	return out, nil
}
