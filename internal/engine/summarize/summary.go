package summarize

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/cite"
)

// A summary is short enough for a list of posts and for search engines.
const (
	summaryRunes = 300
	summaryUnits = 2
	ofTitle      = 0.6 // for a sentence of the source that gives the post its title
)

// Summary gives the one or two best sentences of a post, word for word, as one line without Markdown: for lists of posts and the heads of
// pages. A sentence whose text would not be its quote without marks is not taken. Both are empty where there is no such sentence.
func (s *Survey) Summary(p Post) (text string, units []int) {
	var best []int
	for _, sec := range p.Sections {
		for _, id := range sec.Units {
			if s.summarizes(id) {
				best = append(best, id)
			}
		}
	}
	main := s.titling()
	score := func(id int) float64 {
		x := s.Units[id].score
		if s.Units[id].Source == main {
			x += ofTitle
		}
		if slices.Contains(p.KeyPoints, id) {
			x += figureBonus
		}
		return x
	}
	slices.SortStableFunc(best, func(a, b int) int { return cmp.Compare(score(b), score(a)) })
	runes := 0
	for _, id := range best {
		n := utf8.RuneCountInString(s.line(id)) + 1
		if len(units) == summaryUnits || runes > 0 && runes+n > summaryRunes {
			break
		}
		if len(units) > 0 && cosine(s.Units[id].terms, s.Units[units[0]].terms) > sameStory {
			continue
		}
		runes += n
		units = append(units, id)
	}
	if len(units) == summaryUnits && s.Units[units[0]].Source == s.Units[units[1]].Source {
		slices.Sort(units)
	}
	var lines []string
	for _, id := range units {
		lines = append(lines, s.line(id))
	}
	return strings.Join(lines, " "), units
}

// sameStory is the cosine from which on two sentences of a summary say too much of the same.
const sameStory = 0.5

// summarizes tells whether a sentence can stand in a summary.
func (s *Survey) summarizes(id int) bool {
	u := s.Units[id]
	if u.Kind != Sentence || u.leans || u.intro || s.thin(id) || u.Words < s.scaled(u.Source, shortPoint) || asks(s.Quote(id)) {
		return false
	}
	line := s.line(id)
	return utf8.RuneCountInString(line) < summaryRunes && !strings.ContainsAny(line, "*_`[]<>\\|~{}")
}

// line is the text of a sentence without escapes.
func (s *Survey) line(id int) string {
	quote := s.Quote(id)
	_, edits := s.Render(id, -1)
	edits = slices.DeleteFunc(edits, func(e cite.Edit) bool { return e.Kind == cite.Escape })
	text, err := cite.Apply(quote, edits)
	if err != nil { // fewer edits of those that fit fit as well
		return quote
	}
	return text
}

// Tags are up to n key phrases that name what the sources are about, those in the language of most sources first.
func (s *Survey) Tags(n int) []string {
	out := slices.Clone(s.Phrases)
	if s.Language == "ko" {
		foreign := func(t string) int {
			if strings.ContainsFunc(t, func(r rune) bool { return unicode.Is(unicode.Hangul, r) }) {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(out, func(a, b string) int { return foreign(a) - foreign(b) })
	}
	return out[:min(n, len(out))]
}
