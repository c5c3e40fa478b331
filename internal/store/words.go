package store

import (
	"encoding/binary"
	"errors"
	"math"

	"byline/internal/engine/extract"
)

// The words of a page are packed as a format byte, their number, and per word six varints: where it starts after the end
// of the word before, its length in bytes, then its box in 1/64 point: left edge after the right edge before, top under
// the top before, width, and height more than the height before. Words of a line follow each other, so most of the
// numbers are small: about 8 bytes a word, where the struct has 32.
const (
	wordsFormat   = 1
	wordSubpoints = 64 // boxes are exact to 1/128 pt, far below what a screen shows
	wordMinBytes  = 6
)

var errWords = errors.New("packed words are damaged")

// packWords packs words whose offsets count from base, the page's start.
func packWords(words []extract.Word, base int) []byte {
	b := make([]byte, 0, 2+len(words)*9)
	b = append(b, wordsFormat)
	b = binary.AppendUvarint(b, uint64(len(words)))
	end, right, top, height := int64(base), int64(0), int64(0), int64(0)
	for _, w := range words {
		x0, y0, x1, y1 := subpoints(w.X0), subpoints(w.Y0), subpoints(w.X1), subpoints(w.Y1)
		for _, v := range [...]int64{
			int64(w.Start) - end, int64(w.End) - int64(w.Start),
			x0 - right, y0 - top, x1 - x0, y1 - y0 - height,
		} {
			b = binary.AppendVarint(b, v)
		}
		end, right, top, height = int64(w.End), x1, y0, y1-y0
	}
	return b
}

// unpackWords is the inverse of packWords.
func unpackWords(b []byte, base int) ([]extract.Word, error) {
	if len(b) == 0 || b[0] != wordsFormat {
		return nil, errWords
	}
	n, k := binary.Uvarint(b[1:])
	if k <= 0 {
		return nil, errWords
	}
	if b = b[1+k:]; n > uint64(len(b)/wordMinBytes) {
		return nil, errWords // also keeps a damaged number from asking for memory
	}
	if n == 0 {
		return nil, nil
	}
	words := make([]extract.Word, n)
	end, right, top, height := int64(base), int64(0), int64(0), int64(0)
	for i := range words {
		var v [6]int64
		for j := range v {
			if v[j], k = binary.Varint(b); k <= 0 {
				return nil, errWords
			}
			b = b[k:]
		}
		start, x0, y0 := end+v[0], right+v[2], top+v[3]
		end, right, top, height = start+v[1], x0+v[4], y0, height+v[5]
		words[i] = extract.Word{
			Start: int(start), End: int(end),
			X0: points(x0), Y0: points(y0), X1: points(right), Y1: points(y0 + height),
		}
	}
	if len(b) != 0 {
		return nil, errWords
	}
	return words, nil
}

// subpoints quantises a coordinate; what is no number is 0, and what is farther than any page is cut.
func subpoints(pt float32) int64 {
	const far = 1 << 30
	v := float64(pt) * wordSubpoints
	switch {
	case v != v:
		return 0
	case v > far:
		return far
	case v < -far:
		return -far
	}
	return int64(math.Round(v))
}

func points(v int64) float32 { return float32(v) / wordSubpoints }
