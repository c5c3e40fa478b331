package summarize

import (
	"cmp"
	"slices"
)

// Key points: how many, and which length they have in words.
const (
	fewPoints, manyPoints = 3, 5
	pointsFrom            = 200 // words of a post
	shortPoint, longPoint = 7, 36
	figurePoint           = 0.4
	pointWords            = 20 // about
	labelWords            = 2  // of a line above a list that says nothing itself: "Decisions:"
)

// keyPoints are the best sentences of different sections that stand alone.
func (f *filling) keyPoints(sections []Filled) []int {
	s := f.survey
	if f.total < pointsFrom-fewPoints*pointWords {
		return nil
	}
	var best []int // of each section
	for _, sec := range sections {
		at := -1
		for _, id := range sec.Units {
			u := s.Units[id]
			if u.leans || u.intro || u.Words < s.scaled(u.Source, shortPoint) || u.Words > s.scaled(u.Source, longPoint) || s.thin(id) {
				continue
			}
			if u.Kind != Sentence && (u.Kind != Item || u.lead >= 0 && s.Units[u.lead].Words > labelWords || !isSentence(s.Quote(id)) || startsLow(s.Quote(id))) {
				continue
			}
			if at < 0 || f.point(id) > f.point(at) {
				at = id
			}
		}
		if at >= 0 {
			best = append(best, at)
		}
	}
	n := pointCount(f.total)
	if len(best) > n {
		ranked := slices.Clone(best)
		slices.SortStableFunc(ranked, func(a, b int) int { return cmp.Compare(f.point(b), f.point(a)) })
		best = slices.DeleteFunc(best, func(id int) bool { return !slices.Contains(ranked[:n], id) })
	}
	if len(best) < fewPoints {
		return nil
	}
	return best
}

// pointCount is how many key points a post of that many words has.
func pointCount(words int) int {
	const each = 120
	return min(manyPoints, max(fewPoints, words/each))
}

// point is the score of a unit as a key point: those that state figures are what people look for.
func (f *filling) point(id int) float64 {
	if hasFigure(f.survey.Quote(id)) {
		return f.survey.Units[id].score + figurePoint
	}
	return f.survey.Units[id].score
}
