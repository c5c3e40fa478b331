package lexical

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// A term's postings are its passages (their places in the segment, rising) with how often it occurs in each.
//
// Up to shortList of them are pairs of varints: the distance to the one before, times two, plus one if the term occurs once; else its count follows.
// Longer lists are blocks of blockSize, and start with what is needed to leave blocks out:
//
//	impacts of the whole list
//	per block: uint32 its last passage, uint32 its offset after this table
//	per block: its impacts, uint8 width of a distance, uint8 width of a count, distances - 1 and counts - 1 packed in so many bits
//
// Impacts are pairs (count, length of the passage) of which at least one is, for every posting, as large and as short: the greatest score that they
// give is a bound for the scores of all postings, whatever the average length and the term's weight are. Integers are little endian.
const (
	blockSize    = 128
	shortList    = 16
	blockImpacts = 3 // pairs kept of a block
	listImpacts  = 8 // pairs kept of a list
	maxWidth     = 24
	maxPassages  = 1 << maxWidth // of a segment
	padding      = 8             // bytes after the last list, so that packed values are read as 64 bits
)

// posting is one passage of a term's list.
type posting struct{ doc, tf uint32 }

// impact is a count with the length of its passage.
type impact struct{ tf, length uint32 }

// impacts are the pairs of postings that no other one beats in both, the rarest counts first joined into one until at most n are left.
func impacts(postings []posting, lengths []uint32, n int, buf []impact) []impact {
	// Counts are small: the shortest passage of each is all that matters of them.
	var least [64]uint32
	all := buf[:0]
	for _, p := range postings {
		length := lengths[p.doc]
		switch {
		case int(p.tf) >= len(least):
			all = append(all, impact{p.tf, length})
		case least[p.tf] == 0 || length < least[p.tf]: // no passage with a term has the length 0
			least[p.tf] = length
		}
	}
	slices.SortFunc(all, func(a, b impact) int {
		return cmp.Or(cmp.Compare(b.tf, a.tf), cmp.Compare(a.length, b.length))
	})
	best := all[:0]
	add := func(p impact) {
		if len(best) == 0 || p.length < best[len(best)-1].length {
			best = append(best, p)
		}
	}
	for _, p := range all {
		add(p)
	}
	for tf := len(least) - 1; tf > 0; tf-- {
		if least[tf] > 0 {
			add(impact{uint32(tf), least[tf]})
		}
	}
	if cut := len(best) - n; cut > 0 { // high counts are saturated: joining them loosens the bound least
		best[cut].tf = best[0].tf
		best = best[cut:]
	}
	return best
}

func appendImpacts(out []byte, list []impact) []byte {
	out = append(out, byte(len(list)))
	for _, p := range list {
		out = binary.AppendUvarint(out, uint64(p.tf))
		out = binary.AppendUvarint(out, uint64(p.length))
	}
	return out
}

// appendPostings writes a term's list.
func appendPostings(out []byte, list []posting, lengths []uint32, buf []impact) []byte {
	if len(list) <= shortList {
		next := uint32(0)
		for _, p := range list {
			delta := uint64(p.doc-next) << 1
			if p.tf == 1 {
				out = binary.AppendUvarint(out, delta|1)
			} else {
				out = binary.AppendUvarint(out, delta)
				out = binary.AppendUvarint(out, uint64(p.tf))
			}
			next = p.doc + 1
		}
		return out
	}
	out = appendImpacts(out, impacts(list, lengths, listImpacts, buf))
	blocks := (len(list) + blockSize - 1) / blockSize
	table := len(out)
	out = append(out, make([]byte, 8*blocks)...)
	start := len(out)
	next := uint32(0)
	for i := range blocks {
		block := list[i*blockSize : min(len(list), (i+1)*blockSize)]
		last := block[len(block)-1].doc
		binary.LittleEndian.PutUint32(out[table+8*i:], last)
		binary.LittleEndian.PutUint32(out[table+8*i+4:], uint32(len(out)-start))
		out = appendImpacts(out, impacts(block, lengths, blockImpacts, buf))
		out = appendBlock(out, block, next)
		next = last + 1
	}
	return out
}

// appendBlock writes the packed part of a block; next is the first passage that it could have.
func appendBlock(out []byte, block []posting, next uint32) []byte {
	var deltas, tfs [blockSize]uint32
	var maxDelta, maxTF uint32
	for i, p := range block {
		deltas[i], tfs[i] = p.doc-next, p.tf-1
		maxDelta, maxTF = max(maxDelta, deltas[i]), max(maxTF, tfs[i])
		next = p.doc + 1
	}
	dw, tw := bits.Len32(maxDelta), bits.Len32(maxTF)
	out = append(out, byte(dw), byte(tw))
	out = pack(out, deltas[:len(block)], dw)
	return pack(out, tfs[:len(block)], tw)
}

// packedSize is the length in bytes of n values of width bits.
func packedSize(n, width int) int { return (n*width + 7) / 8 }

func pack(out []byte, values []uint32, width int) []byte {
	var acc uint64
	have := 0
	for _, v := range values {
		acc |= uint64(v) << have
		have += width
		for have >= 8 {
			out = append(out, byte(acc))
			acc >>= 8
			have -= 8
		}
	}
	if have > 0 {
		out = append(out, byte(acc))
	}
	return out
}

// unpack reads value i of width bits; b must have padding after the packed values.
func unpack(b []byte, i, width int) uint32 {
	bit := i * width
	return uint32(binary.LittleEndian.Uint64(b[bit>>3:])>>(bit&7)) & (1<<width - 1)
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
