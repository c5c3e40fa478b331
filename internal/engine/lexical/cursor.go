package lexical

import (
	"encoding/binary"
	"sort"
)

// noDoc is after the last passage of every list.
const noDoc = ^uint32(0)

// cursor goes over one term's passages in one segment, a block at a time.
// Damaged postings end it, and are told by bad.
type cursor struct {
	doc uint32 // where it is; noDoc at the end
	i   int    // place in docs
	n   int    // of docs

	limit  uint32 // number of passages of the segment
	df     int
	short  bool
	bad    bool
	table  []byte // last passage and offset of every block
	blocks []byte
	size   int // of blocks, without padding
	block  int // the one that docs is
	count  int // of blocks

	tfs     []byte // packed, of the block
	tfWidth int
	docs    [blockSize]uint32
	few     [shortList]uint32 // counts of a short list

	listImpacts []byte
}

// open puts the cursor on the first passage of a list.
func (c *cursor) open(l list, passages int) {
	c.doc, c.i, c.n, c.limit, c.df = noDoc, 0, 0, uint32(passages), l.df
	c.bad, c.block, c.count, c.table, c.blocks, c.listImpacts = false, 0, 0, nil, nil, nil
	c.short = l.df <= shortList
	if c.short {
		c.openShort(l)
		return
	}
	r := dictReader{data: l.data[:l.size]}
	c.listImpacts = r.data
	skipImpacts(&r)
	c.count = (l.df + blockSize - 1) / blockSize
	c.table = r.bytes(8 * c.count)
	if r.bad {
		c.fail()
		return
	}
	c.size = len(r.data)
	c.blocks = l.data[l.size-c.size:]
	c.load(0)
}

func (c *cursor) fail() {
	c.bad, c.doc, c.i, c.n, c.count = true, noDoc, 0, 0, 0
}

func (c *cursor) openShort(l list) {
	r := dictReader{data: l.data[:l.size]}
	next := 0
	for i := range l.df {
		v := r.uvarint()
		tf := 1
		if v&1 == 0 {
			tf = r.uvarint()
		}
		doc := next + v>>1
		if r.bad || doc >= int(c.limit) || tf == 0 {
			c.fail()
			return
		}
		c.docs[i], c.few[i] = uint32(doc), uint32(tf)
		next = doc + 1
	}
	c.n, c.doc = l.df, c.docs[0]
}

func (c *cursor) last(block int) uint32 { return binary.LittleEndian.Uint32(c.table[8*block:]) }

// blockAt reads from the start of a block: its impacts, then what is packed.
func (c *cursor) blockAt(block int) dictReader {
	off := int(binary.LittleEndian.Uint32(c.table[8*block+4:]))
	if off > c.size {
		return dictReader{bad: true}
	}
	return dictReader{data: c.blocks[off:c.size]}
}

// load decodes a block and goes to its first passage.
func (c *cursor) load(block int) {
	if block >= c.count {
		c.doc, c.i, c.n, c.block = noDoc, 0, 0, c.count
		return
	}
	r := c.blockAt(block)
	skipImpacts(&r)
	head := r.bytes(2)
	n := min(blockSize, c.df-block*blockSize)
	if r.bad {
		c.fail()
		return
	}
	width, tfWidth := int(head[0]), int(head[1])
	docSize, tfSize := packedSize(n, width), packedSize(n, tfWidth)
	if width > maxWidth || tfWidth > 32 || docSize+tfSize > len(r.data) {
		c.fail()
		return
	}
	packed := c.blocks[c.size-len(r.data):]
	next := uint32(0)
	if block > 0 {
		next = c.last(block-1) + 1
	}
	if next >= c.limit {
		c.fail()
		return
	}
	mask := uint32(1)<<width - 1
	for i, bit := 0, 0; i < n; i, bit = i+1, bit+width {
		doc := next + uint32(binary.LittleEndian.Uint64(packed[bit>>3:])>>(bit&7))&mask
		c.docs[i] = doc
		next = doc + 1
	}
	if next-1 != c.last(block) || next > c.limit {
		c.fail()
		return
	}
	c.tfs, c.tfWidth = packed[docSize:], tfWidth
	c.block, c.i, c.n, c.doc = block, 0, n, c.docs[0]
}

// next goes to the next passage.
func (c *cursor) next() {
	c.i++
	if c.i < c.n {
		c.doc = c.docs[c.i]
		return
	}
	c.load(c.block + 1)
}

// seek goes to the first passage at or after doc. It never goes back.
func (c *cursor) seek(doc uint32) {
	if c.doc >= doc {
		return
	}
	if c.docs[c.n-1] < doc {
		b := c.find(doc)
		c.load(b)
		if c.doc >= doc {
			return
		}
	}
	docs := c.docs[:c.n]
	lo, hi := c.i, c.n
	for step := 1; lo+step < hi; step *= 2 { // most often it is near
		if docs[lo+step] >= doc {
			hi = lo + step + 1
			break
		}
		lo += step
	}
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); docs[m] < doc {
			lo = m + 1
		} else {
			hi = m
		}
	}
	c.i = lo
	if lo == c.n {
		c.load(c.block + 1)
		return
	}
	c.doc = docs[lo]
}

// find is the first block after the current one that ends at or after doc.
func (c *cursor) find(doc uint32) int {
	from := c.block + 1
	for k := from; k < c.count && k < from+4; k++ {
		if c.last(k) >= doc {
			return k
		}
	}
	from = min(from+4, c.count)
	return from + sort.Search(c.count-from, func(i int) bool { return c.last(from+i) >= doc })
}

// tf is the term's count in the passage that the cursor is at.
func (c *cursor) tf() uint32 {
	if c.short {
		return c.few[c.i]
	}
	return 1 + unpack(c.tfs, c.i, c.tfWidth)
}

func skipImpacts(r *dictReader) {
	for range 2 * r.uvarint() {
		r.uvarint()
		if r.bad {
			return
		}
	}
}
