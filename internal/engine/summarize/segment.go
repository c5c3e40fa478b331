package summarize

import (
	"math"
	"slices"
)

// Where a stretch without headings is cut, in words: shorter ones stay whole, and no topic is shorter than that.
const (
	longStretch      = 300 // of a source among others
	aloneStretch     = 150 // of the only source
	shortTopic       = 50
	longestParagraph = 8  // sentences on average, up to which a text has paragraphs that are cut by its author
	manyInTopic      = 80 // units, so that the time stays linear
)

// segment cuts long stretches without headings into topics, each of which becomes a section of its own.
func (s *Survey) segment() {
	long := longStretch
	if len(s.Sources) == 1 {
		long = aloneStretch
	}
	var out []leaf
	for _, l := range s.sections {
		words := 0
		for _, id := range l.units {
			words += s.Units[id].Words
		}
		stretches := [][]int{l.units}
		if words >= s.scaled(l.source, long) && len(l.path) == 0 {
			stretches = s.topics(l.units)
		}
		for _, units := range stretches {
			for place, id := range units {
				s.Units[id].section, s.Units[id].place = len(out), place
			}
			out = append(out, leaf{source: l.source, path: l.path, units: units, topic: len(stretches) > 1})
		}
	}
	s.sections = out
}

// topics cuts units where the words change most, after Utiyama and Isahara (A Statistical Model for Domain-Independent Text
// Segmentation, 2001): of all ways to cut, the one under which the text is most probable, when each topic has words of its own
// and a cut costs as much as a word that could be any.
func (s *Survey) topics(units []int) [][]int {
	total, kinds := 0.0, map[int]bool{}
	for _, id := range units {
		for _, e := range s.Units[id].terms {
			total += e.weight
			kinds[e.term] = true
		}
	}
	cut := s.cuts(units)
	short := s.scaled(s.Units[units[0]].Source, shortTopic)
	best := make([]float64, len(units)+1) // cost of the units before
	from := make([]int, len(units)+1)
	often := make([]float64, len(s.vocabulary.df))
	for end := range best[1:] {
		best[end+1] = math.Inf(1)
	}
	for begin := range units {
		if math.IsInf(best[begin], 1) {
			continue
		}
		n, same, words := 0.0, 0.0, 0
		last := min(len(units), begin+manyInTopic)
		for end := begin; end < last; end++ {
			u := s.Units[units[end]]
			words += u.Words
			for _, e := range u.terms {
				n += e.weight
				same += logs(often[e.term]+e.weight) - logs(often[e.term])
				often[e.term] += e.weight
			}
			if !cut[end+1] || words < short && end+1 < len(units) {
				continue
			}
			if cost := best[begin] + n*math.Log(n+float64(len(kinds))) - same + math.Log(total); cost < best[end+1] {
				best[end+1], from[end+1] = cost, begin
			}
		}
		for _, id := range units[begin:last] {
			for _, e := range s.Units[id].terms {
				often[e.term] = 0
			}
		}
	}
	if math.IsInf(best[len(units)], 1) {
		return [][]int{units}
	}
	var out [][]int
	for end := len(units); end > 0; end = from[end] {
		out = append(out, units[from[end]:end])
	}
	slices.Reverse(out)
	return out
}

// logs is how much less a topic's words cost when one of them stands n times in it.
func logs(n float64) float64 { return n * math.Log(n+1) }

// cuts tells before which units a topic may begin: not within a paragraph or a list, where there are paragraphs at all, and
// with no sentence that points at the one before it.
func (s *Survey) cuts(units []int) []bool {
	paragraphs := 0
	for i := 1; i < len(units); i++ {
		if s.Units[units[i]].element != s.Units[units[i-1]].element {
			paragraphs++
		}
	}
	whole := paragraphs*longestParagraph >= len(units)
	cut := make([]bool, len(units)+1)
	cut[0], cut[len(units)] = true, true
	for i := 1; i < len(units); i++ {
		u, before := s.Units[units[i]], s.Units[units[i-1]]
		cut[i] = !u.leans && u.lead < 0 && !before.intro && (u.Kind != Item || before.Kind != Item) && (!whole || u.element != before.element)
	}
	return cut
}

// single is what a phrase counts as the name of a topic that stands only once in its source.
const single = 0.3

// nameTopics gives each topic the phrase that stands most often in it and least elsewhere in its source. A topic without any is
// part of the one before it.
func (s *Survey) nameTopics() {
	source, often, taken := -1, map[string]int{}, map[string]bool{}
	for i := range s.sections {
		l := &s.sections[i]
		if !l.topic {
			continue
		}
		if l.source != source {
			source = l.source
			clear(often)
			for _, p := range s.phrasesIn(s.unitsOf(source), 1) {
				often[p.key] = p.count
			}
		}
		var best *phrase
		most := 0.0
		for _, p := range s.phrasesIn(l.units, 1) {
			score := p.score * float64(p.count) / float64(often[p.key])
			if often[p.key] == 1 {
				score *= single
			}
			if score > most && !taken[p.key] {
				best, most = p, score
			}
		}
		if best != nil {
			l.title = capital(best.shown)
			taken[best.key] = true
		} else if i > 0 && s.sections[i-1].source == source {
			l.title = s.sections[i-1].title
		}
	}
}

// unitsOf are the units of a source.
func (s *Survey) unitsOf(source int) []int {
	var out []int
	for id := s.begins[source]; id < s.begins[source+1]; id++ {
		out = append(out, id)
	}
	return out
}
