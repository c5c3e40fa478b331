package pdf

import (
	"math"

	"byline/internal/engine/extract"
)

// lookahead is how many pages are read before one is composed: what the body of a document looks like, and what stands
// at the edge of every page, shows on several pages only.
const lookahead = 4

// composer turns sheets into parts. It knows the font sizes seen so far, and the pages around the one it composes.
type composer struct {
	sink    extract.Sink
	waiting []sheet
	before  []edge      // the edges of the page composed last
	sizes   map[int]int // letters per font size, in half points
}

func newComposer(sink extract.Sink) *composer {
	return &composer{sink: sink, sizes: map[int]int{}}
}

func (c *composer) add(s sheet) error {
	for _, l := range s.lines {
		c.sizes[halfPoints(l.size)] += l.letters()
	}
	c.waiting = append(c.waiting, s)
	if len(c.waiting) < lookahead {
		return nil
	}
	return c.next()
}

func (c *composer) flush() error {
	for len(c.waiting) > 0 {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// next composes the page that has waited longest.
func (c *composer) next() error {
	s := c.waiting[0]
	c.waiting = c.waiting[1:]
	edges := edgesOf(&s)
	dropRunning(&s, edges, c.before, c.waiting)
	c.before = edges
	return c.sink.Part(compose(&s, c.body()))
}

// body is the font size of most of the text, in points.
func (c *composer) body() float32 {
	best, most := 0, 0
	for size, n := range c.sizes {
		if n > most || n == most && size < best {
			best, most = size, n
		}
	}
	return float32(best) / 2
}

func halfPoints(size float32) int { return int(math.Round(float64(size) * 2)) }
