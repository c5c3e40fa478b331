package summarize

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"byline/internal/engine/cite"
)

// Post is a plan that is complete.
type Post struct {
	Sections  []Filled
	KeyPoints []int    // units, also in a section
	Gaps      []string // what was asked for and the sources say nothing of, as it was asked
}

// Filled is a section with its units in reading order.
type Filled struct {
	Section
	Units []int
}

const (
	bareCoverage  = 0.5  // of what a heading asks for, in a unit without any evidence of a search
	foundCoverage = 0.34 // in a unit that a search found
	pathShare     = 0.7  // what a term in the headings above a unit counts
	foundBonus    = 0.5
	redundancy    = 0.2 // MMR
	fewUnits      = 6   // of a section, unless there are words left
	manyUnits     = 14  // with words left; more only for very long posts
	shortUnit     = 8   // words
	manyBlocks    = 300 // the best of a section, among which is chosen
	tableShare    = 2   // a table may take this part (1/2) of all words
	firstShare    = 4   // the first block of a section may take this part (1/4) of all words
	smallTable    = 120 // words that are no matter
)

// Fill chooses units for each section. found has the evidence of a search for each, and may be nil.
// About words are taken in all, key points included: Budget says how many.
func (s *Survey) Fill(sections []Section, found [][]Evidence, words int) Post {
	whole := words
	if words >= pointsFrom && s.have() > words {
		words -= pointCount(words) * pointWords
	}
	f := filling{survey: s, words: words, used: map[int]bool{}, silent: map[int]bool{}, listed: map[int]bool{}}
	f.candidates(sections, found)
	var p Post
	var full []Section
	var lists [][]block
	for i, sec := range sections {
		if len(f.blocks[i]) > 0 {
			full = append(full, sec)
			lists = append(lists, leading(f.blocks[i]))
		} else if sec.Origin == FromOutline || sec.Origin == FromTopic {
			p.Gaps = append(p.Gaps, sec.Query)
		}
	}
	f.blocks = lists
	f.taken = make([][]int, len(full))
	f.chosen = make([]int, len(full))
	for i, sec := range full {
		f.take(i, words/max(1, len(full)), fewUnits)
		if len(f.taken[i]) == 0 && len(sec.Leaves) == 0 {
			f.put(i, slices.MinFunc(f.blocks[i], func(a, b block) int { return a.words - b.words }))
		}
	}
	f.more()
	p.Sections = f.sections(full)
	p.KeyPoints = f.keyPoints(p.Sections)
	if p.KeyPoints == nil && words < whole {
		f.words = whole
		f.more()
		p.Sections = f.sections(full)
	}
	return p
}

// sections are those that have got something.
func (f *filling) sections(all []Section) []Filled {
	var out []Filled
	for i, sec := range all {
		if len(f.taken[i]) > 0 {
			out = append(out, Filled{sec, f.inOrder(f.taken[i])})
		}
	}
	return out
}

// leading are the best blocks, in the order of the texts.
func leading(blocks []block) []block {
	if len(blocks) <= manyBlocks {
		return blocks
	}
	slices.SortStableFunc(blocks, func(a, b block) int { return cmp.Compare(b.score, a.score) })
	blocks = blocks[:manyBlocks]
	slices.SortStableFunc(blocks, func(a, b block) int { return a.units[0] - b.units[0] })
	return blocks
}

// block is what is taken together: a unit with what it needs before it, a list with its lead.
type block struct {
	units []int // in text order
	words int
	score float64
}

type filling struct {
	survey *Survey
	words  int       // to be taken
	blocks [][]block // of each section
	used   map[int]bool
	silent map[int]bool // units that only repeat what was taken
	listed map[int]bool // first items of lists that are a block already
	taken  [][]int
	chosen []int // blocks taken of each section
	total  int   // words taken
}

// candidates finds the blocks of each section; a unit goes to the section that it fits best.
func (f *filling) candidates(sections []Section, found [][]Evidence) {
	s := f.survey
	f.blocks = make([][]block, len(sections))
	fit := make([][]float64, len(sections)) // by unit; 0: none
	for i, sec := range sections {
		var evidence []Evidence
		if i < len(found) {
			evidence = found[i]
		}
		if len(sec.Leaves) > 0 {
			fit[i] = f.fitLeaves(sec, evidence)
		} else {
			fit[i] = f.fitQuery(sec, evidence)
		}
	}
	for id := range s.Units {
		best := -1
		for i := range sections {
			// A heading of a source takes what no heading that was asked for wants.
			if fit[i][id] > 0 && (best < 0 || len(sections[i].Leaves) == 0 && fit[i][id] > fit[best][id]) {
				best = i
			}
		}
		if best < 0 {
			continue
		}
		if b, ok := f.block(id, fit[best][id]); ok {
			f.blocks[best] = append(f.blocks[best], b)
		}
	}
}

// fitLeaves scores the units of a source's own sections.
func (f *filling) fitLeaves(sec Section, evidence []Evidence) []float64 {
	fit := make([]float64, len(f.survey.Units))
	for _, l := range sec.Leaves {
		path := f.survey.below(f.survey.sections[l])
		deeper := len(path) > 1 && f.survey.unnumbered(path[len(path)-1], f.survey.sections[l].source) != sec.Title
		for _, id := range f.survey.sections[l].units {
			if u := f.survey.Units[id]; !u.outside {
				fit[id] = 1 + foundBonus*strength(u, evidence)
				if deeper && u.Kind == Item && u.lead < 0 { // what it is a list of is said by a heading that the post has not
					fit[id] /= 2
				}
			}
		}
	}
	return fit
}

// fitQuery scores all units by how much of a query they hold, themselves or in the headings above them.
func (f *filling) fitQuery(sec Section, evidence []Evidence) []float64 {
	s := f.survey
	wanted := s.vocabulary.query(sec.Query, s.languages())
	above := map[int][]entry{}
	fit, enough := make([]float64, len(s.Units)), make([]float64, len(s.Units))
	holds := make([]float64, len(s.Units)) // of the query
	best := 0.0
	for id, u := range s.Units {
		if u.outside || len(wanted) == 0 {
			continue
		}
		path, known := above[u.section]
		if !known {
			path = s.lookup(s.Titles[u.Source]+"\n"+strings.Join(u.HeadingPath, "\n"), s.Sources[u.Source].Language)
			above[u.section] = path
		}
		own, both := 0.0, 0.0
		for _, w := range wanted {
			here, over := coverage(u.terms, []want{{w.term, 1}}) > 0, coverage(path, []want{{w.term, 1}}) > 0
			switch {
			case here && over:
				both += pathShare * w.weight
				fallthrough
			case here:
				own += w.weight
			case over:
				own += pathShare * w.weight
			}
		}
		strong := strength(u, evidence)
		holds[id] = own
		if own >= bareCoverage || own >= foundCoverage && strong >= bareCoverage {
			enough[id] = own + foundBonus*strong
			fit[id] = (own+both)*f.density(u, wanted) + foundBonus*strong
			best = max(best, enough[id])
		}
	}
	for id := range fit {
		if enough[id] < best/2 {
			fit[id], enough[id] = 0, 0
		}
	}
	f.survey.gate(fits{fit, enough})
	f.survey.feedback(fits{fit, enough}, wanted, holds)
	return fit
}

// density is less than one for a table of which only some rows are about what is wanted.
func (f *filling) density(u Unit, wanted []want) float64 {
	if u.Kind != Table || u.Words > f.longestTable() {
		return 1
	}
	s := f.survey
	rows, hits := 0, 0
	for row := range strings.SplitSeq(s.Sources[u.Source].Text.Content[u.Start:u.End], "\n") {
		if terms := s.lookup(row, s.Sources[u.Source].Language); len(terms) > 0 {
			rows++
			if coverage(terms, wanted) > 0 {
				hits++
			}
		}
	}
	if hits == 0 { // what is wanted stands above it
		return 1
	}
	return math.Sqrt(float64(hits) / float64(rows))
}

// longestTable is from how many words on a table is too long for the post.
func (f *filling) longestTable() int { return max(smallTable, f.words/tableShare) }

// lookup gives the known terms of a text, sorted.
func (s *Survey) lookup(text, lang string) []entry {
	var out []entry
	for _, w := range s.vocabulary.query(text, []string{lang}) {
		if w.term >= 0 {
			out = append(out, entry{w.term, 1})
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return a.term - b.term })
	return out
}

// strength is the best score of the evidence that overlaps a unit.
func strength(u Unit, evidence []Evidence) float64 {
	best := 0.0
	for _, e := range evidence {
		if e.Source == u.Source && e.Start < u.End && e.End > u.Start {
			best = max(best, e.Score)
		}
	}
	return best
}

const (
	chain      = 3   // sentences that need each other
	longList   = 8   // items; of a longer list only the best are taken
	shortItems = 24  // of a list that is taken whole all the same when it has few words
	shortList  = 70  // words
	factBonus  = 0.9 // of lists and tables: most facts of private documents stand there
)

// block puts a unit together with what it can't stand without; ok is false where that is not to be had, and an item
// whose list is in a block already.
func (f *filling) block(id int, fit float64) (b block, ok bool) {
	s := f.survey
	u := s.Units[id]
	b = block{units: []int{id}, score: u.score + 2*fit}
	switch {
	case u.intro:
		if id+1 == len(s.Units) || s.Units[id+1].lead != id || s.Units[id+1].outside {
			return b, false
		}
		return f.block(id+1, fit) // what it introduces is meant as well
	case u.Kind == Item:
		return f.list(id, fit)
	case u.Kind == Table || u.Kind == Code:
		if u.Words > f.longestTable() {
			return b, false
		}
		b.units = append(s.leadOf(u), id)
		if u.Kind == Table {
			b.score += factBonus + tableBonus/2
		}
	case asks(s.Quote(id)): // only with what answers it
		if id+1 == len(s.Units) || !s.follows(id+1) || s.Units[id+1].outside {
			return b, false
		}
		b.units = append(b.units, id+1)
	case u.leans && !s.standsAlone(id):
		if _, named := s.resolve(id); named {
			break
		}
		for first := id; s.Units[first].leans; {
			if !s.follows(first) || len(b.units) == chain || s.Units[first-1].outside {
				return b, false
			}
			first--
			b.units = append([]int{first}, b.units...)
		}
		b.units = s.withPerson(b.units)
	}
	if last := b.units[len(b.units)-1]; s.thin(last) && last+1 < len(s.Units) && s.follows(last+1) && !s.Units[last+1].outside && !s.Units[last+1].intro {
		b.units = append(b.units, last+1) // it says little but to open what is told then
	}
	for _, v := range b.units {
		b.words += s.Units[v].Words
	}
	return b, true
}

var person = regexp.MustCompile(`^["'“‘(*_]*(He|She|His|Her)\b`)

// withPerson adds the sentences before some that speak of "her" up to the one that names her, within their paragraph.
func (s *Survey) withPerson(units []int) []int {
	if !slices.ContainsFunc(units, func(id int) bool { return person.MatchString(s.Quote(id)) }) {
		return units
	}
	for first := units[0]; len(units) < chain && !s.namesOne(first) && s.follows(first) && s.SameParagraph(first, first-1) && !s.Units[first-1].outside; {
		first--
		units = append([]int{first}, units...)
	}
	return units
}

// namesOne tells whether a name stands within a sentence.
func (s *Survey) namesOne(id int) bool {
	_, rest, _ := strings.Cut(s.Quote(id), " ")
	for w := range strings.FieldsSeq(rest) {
		if s.names[strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) })] {
			return true
		}
	}
	return false
}

// list is the block that begins with an item: the whole list with its lead when it is short, the item alone else.
func (f *filling) list(id int, fit float64) (b block, ok bool) {
	s := f.survey
	first, last := id, id
	for id-first < shortItems && s.besideItem(first) {
		first--
	}
	for last-first < shortItems && last+1 < len(s.Units) && s.besideItem(last+1) {
		last++
	}
	u := s.Units[id]
	all := 0
	for v := first; v <= last; v++ {
		all += s.Units[v].Words
	}
	if n := last - first; n >= longList && (n >= shortItems || all > shortList) {
		first, last = id, id
	} else if f.listed[first] {
		return b, false
	}
	f.listed[first] = true
	b.score = 2*fit + factBonus
	b.units = s.leadOf(u)
	best := 0.0
	for v := first; v <= last; v++ {
		if !s.Units[v].outside {
			b.units = append(b.units, v)
			best = max(best, s.Units[v].score)
		}
	}
	b.score += best
	for _, v := range b.units {
		b.words += s.Units[v].Words
	}
	return b, true
}

// leadOf are the units that introduce an item, a table or code: the lead, and what that points at.
func (s *Survey) leadOf(u Unit) []int {
	switch {
	case u.lead < 0:
		return nil
	case s.Units[u.lead].leans && s.follows(u.lead) && !s.Units[u.lead-1].outside && !s.Units[u.lead-1].leans:
		return []int{u.lead - 1, u.lead}
	}
	return []int{u.lead}
}

// besideItem tells whether a unit is an item right behind another one of the same list.
func (s *Survey) besideItem(id int) bool {
	if id == 0 {
		return false
	}
	a, b := s.Units[id-1], s.Units[id]
	return a.Kind == Item && b.Kind == Item && a.section == b.section && b.element == a.element+1
}

// follows tells whether a unit stands right behind the one before it, with nothing left out between.
func (s *Survey) follows(id int) bool {
	if id == 0 || s.Units[id-1].section != s.Units[id].section || s.Units[id-1].intro || s.Units[id-1].Kind != Sentence {
		return false
	}
	between := s.Sources[s.Units[id].Source].Text.Content[s.Units[id-1].End:s.Units[id].Start]
	return !strings.ContainsFunc(between, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// Follows tells whether a unit stands right behind another in their source, with nothing left out between.
func (s *Survey) Follows(unit, before int) bool { return before == unit-1 && s.follows(unit) }

// standsAlone tells whether a sentence that leans does so by a connective only, which can be dropped.
func (s *Survey) standsAlone(id int) bool {
	quote := s.Quote(id)
	e, ok := cite.LeadingConnective(quote)
	return ok && !leans(e.Put+quote[len(e.Drop):])
}

// take adds the best blocks of a section until it has that many words or units.
func (f *filling) take(section, words, units int) {
	got := 0
	for _, id := range f.taken[section] {
		got += f.survey.Units[id].Words
	}
	for got < words && f.chosen[section] < units {
		space := max(words-got, sectionWords/2)
		if f.chosen[section] == 0 { // a table may need more, and says more
			space = max(space, min(smallTable, f.words/firstShare))
		}
		i := f.best(section, space)
		if i < 0 {
			return
		}
		got += f.put(section, f.blocks[section][i])
	}
}

// more takes from all sections until the words are reached or the material is at its end.
func (f *filling) more() {
	limit := max(manyUnits, f.words/(shortUnit*max(1, len(f.blocks))))
	enough := f.words * 95 / 100
	if f.survey.have() <= f.words { // nothing need be left out
		enough = f.words
	}
	for f.total < enough {
		section, block := -1, -1
		bestScore := 0.0
		for i := range f.blocks {
			if f.chosen[i] >= limit {
				continue
			}
			if b := f.best(i, f.words*110/100-f.total); b >= 0 && (block < 0 || f.gain(f.blocks[i][b], i) > bestScore) {
				section, block, bestScore = i, b, f.gain(f.blocks[i][b], i)
			}
		}
		if block < 0 {
			return
		}
		f.put(section, f.blocks[section][block])
	}
}

// best finds the block with the most to add that still fits, -1 when there is none.
func (f *filling) best(section, words int) int {
	best, bestGain := -1, 0.0
	for i, b := range f.blocks[section] {
		fresh := 0
		for _, id := range b.units {
			if !f.used[id] {
				fresh += f.survey.Units[id].Words
			}
		}
		if f.used[b.units[len(b.units)-1]] || f.silent[b.units[len(b.units)-1]] || fresh > words+words/10 || f.total+fresh > f.words*110/100 {
			continue
		}
		if g := f.gain(b, section); best < 0 || g > bestGain {
			best, bestGain = i, g
		}
	}
	return best
}

// gain is the score of a block less what was said before.
func (f *filling) gain(b block, section int) float64 {
	most := 0.0
	for _, id := range f.taken[section] {
		for _, v := range b.units {
			most = max(most, cosine(f.survey.Units[id].terms, f.survey.Units[v].terms))
		}
	}
	return b.score - redundancy*most*2
}

// put takes a block and gives the words that it added.
func (f *filling) put(section int, b block) int {
	added := 0
	for _, id := range b.units {
		if !f.used[id] {
			f.used[id] = true
			f.hush(id)
			f.taken[section] = append(f.taken[section], id)
			added += f.survey.Units[id].Words
		}
	}
	f.chosen[section]++
	f.total += added
	return added
}

// echo is the cosine from which on a sentence that has no figure of its own only repeats another one.
const echo = 0.55

// hush keeps out what only repeats a unit that was taken.
func (f *filling) hush(id int) {
	s := f.survey
	u := &s.Units[id]
	if u.Kind == Table || u.Kind == Code {
		return
	}
	told := figures(s.Quote(id))
	for _, blocks := range f.blocks {
		for _, b := range blocks {
			other := b.units[len(b.units)-1]
			v := &s.Units[other]
			if len(b.units) > 2 || f.used[other] || v.Kind != Sentence || cosine(u.terms, v.terms) < echo {
				continue
			}
			if !slices.ContainsFunc(figures(s.Quote(other)), func(n string) bool { return !slices.Contains(told, n) }) {
				f.silent[other] = true
			}
		}
	}
}

// inOrder sorts units as they are read: the most central source first, each in the order of its text.
func (f *filling) inOrder(units []int) []int {
	s := f.survey
	rank := func(id int) int { return slices.Index(s.central, s.Units[id].Source) }
	out := slices.Clone(units)
	slices.SortFunc(out, func(a, b int) int { return cmp.Or(rank(a)-rank(b), a-b) })
	return out
}
