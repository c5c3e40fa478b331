package summarize

import "slices"

// Digest is what a source is about, for a reader who decides what to write of it.
type Digest struct {
	Headings []string // each once, in order
	Units    []int    // the best, in the order of the text
}

// manyHeadings is how many headings a digest names at most.
const manyHeadings = 40

// Digest gives the headings of a source, and its best units of about a number of words in all.
func (s *Survey) Digest(source, words int) Digest {
	var d Digest
	var best []int
	for i, u := range s.Units {
		if u.Source != source {
			continue
		}
		if n := len(u.HeadingPath); n > 0 && len(d.Headings) < manyHeadings && !slices.Contains(d.Headings, u.HeadingPath[n-1]) {
			d.Headings = append(d.Headings, u.HeadingPath[n-1])
		}
		if !u.outside || s.isSuperseded(source) {
			best = append(best, i)
		}
	}
	slices.SortStableFunc(best, func(a, b int) int {
		switch x, y := s.Units[a].score, s.Units[b].score; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return a - b
	})
	for _, i := range best {
		if w := s.Units[i].Words; w <= words {
			d.Units = append(d.Units, i)
			words -= w
		}
	}
	slices.Sort(d.Units)
	return d
}
