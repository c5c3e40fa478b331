package textdiff

import "strings"

// Slot is a place of a text that is laid out anew: a block of the old text, as it was or with another text, or a new one.
type Slot struct {
	Block int    // of the old text; -1: it is new
	Text  string // empty: the block as it is
}

// Arrange lays a text out anew, block by block. Blocks that no slot names are gone. It gives the text, where each slot's begins in it, and
// the hunks that lead there: a block that stays where it was is untouched, byte for byte; what was carried past another block is one hunk
// with it, since half of that would lose a block or have it twice.
func Arrange(text string, blocks []Block, slots []Slot) (after string, at []int, hunks []Hunk) {
	var b strings.Builder
	if len(blocks) > 0 {
		b.WriteString(text[:blocks[0].Start])
	}
	stretches := make([]Span, len(slots))
	at = make([]int, len(slots))
	for i, s := range slots {
		if i > 0 {
			b.WriteString(between(text, blocks, slots[i-1].Block, s.Block))
		}
		body := s.Text
		if s.Block >= 0 && body == "" {
			body = blocks[s.Block].Body(text)
		}
		at[i] = b.Len()
		b.WriteString(body)
		stretches[i] = Span{at[i], b.Len()}
	}
	end := "\n"
	if n := len(blocks); n > 0 {
		end = text[blocks[n-1].Stop:]
	}
	if len(slots) > 0 {
		b.WriteString(end)
	}
	var pairs [][2]int
	for _, i := range settled(slots, len(blocks)) {
		pairs = append(pairs, [2]int{slots[i].Block, i})
	}
	after = b.String()
	return after, at, walk(text, spans(blocks), after, stretches, pairs)
}

// between parts two blocks as they were parted when they stood beside each other before.
func between(text string, blocks []Block, a, b int) string {
	if a >= 0 && b == a+1 {
		return text[blocks[a].Stop:blocks[a].End]
	}
	return "\n\n"
}

// settled are the slots of old blocks that no other block has passed.
func settled(slots []Slot, blocks int) (list []int) {
	low := make([]int, len(slots)+1) // the first block that comes from here on
	low[len(slots)] = blocks
	for i := len(slots) - 1; i >= 0; i-- {
		low[i] = low[i+1]
		if s := slots[i]; s.Block >= 0 {
			low[i] = min(low[i], s.Block)
		}
	}
	high := -1
	for i, s := range slots {
		if s.Block < 0 {
			continue
		}
		if s.Block > high && s.Block < low[i+1] {
			list = append(list, i)
		}
		high = max(high, s.Block)
	}
	return list
}
