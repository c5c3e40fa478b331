package summarize

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"byline/internal/engine/extract"
)

// Origin says where a heading comes from.
type Origin string

// The origins, in the order in which they are preferred.
const (
	FromOutline Origin = "outline"
	FromTopic   Origin = "topic"
	FromSource  Origin = "heading"
	Suggested   Origin = "suggested" // by a key phrase: nobody has said it
)

// Wish is what is asked of a post; all is optional.
type Wish struct {
	Outline []string
	Topics  []string
	Words   int
}

// Section is a heading of the post with what is known of it before units are chosen.
type Section struct {
	Title  string `json:"title"`
	Origin Origin `json:"origin"`
	Query  string `json:"query"`            // to search evidence with
	Leaves []int  `json:"leaves,omitempty"` // the sections of the sources that go under it, for FromSource
}

// The words of a post that nobody asked a length for, and what a section of a post has of them.
const (
	DefaultWords   = 600
	minWords       = 60
	sectionWords   = 90
	fullSection    = 110 // what a section takes of much material
	maxSections    = 12
	tableBonus     = 2.2 // of a table for its section: it holds the facts of several sentences
	enoughMaterial = 8   // words that a section of a source must have to be worth a heading
)

// Budget is the number of words to aim at: what was asked for or the default, and never more than the sources have.
func (s *Survey) Budget(asked int) int {
	if asked <= 0 {
		asked = DefaultWords
	}
	have := s.have()
	return max(min(asked, have), min(minWords, have))
}

// have is the number of words that can be taken.
func (s *Survey) have() int {
	n := 0
	for _, u := range s.Units {
		if !u.outside {
			n += u.Words
		}
	}
	return n
}

// Plan chooses the headings: the user's outline, else the topics and what else the sources are about, else that alone.
func (s *Survey) Plan(w Wish) []Section {
	var out []Section
	told := map[string]bool{}
	fresh := func(title string) bool { // no heading stands twice
		key := strings.ToLower(title)
		defer func() { told[key] = true }()
		return key != "" && !told[key]
	}
	for _, t := range w.Outline {
		if t = oneLine(t); fresh(t) {
			out = append(out, Section{Title: t, Origin: FromOutline, Query: t})
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, t := range w.Topics {
		if t = oneLine(t); fresh(t) {
			out = append(out, Section{Title: capital(t), Origin: FromTopic, Query: t})
		}
	}
	words, enough := s.Budget(w.Words), enoughMaterial
	if words == s.have() { // all of it can be taken
		words, enough = math.MaxInt, 1
	}
	own := s.headings(words-sectionWords*len(out), enough)
	if len(own) <= 1 {
		if suggested := s.suggest(max(2, (s.Budget(w.Words)+sectionWords/2)/sectionWords)); len(suggested) > 1 {
			own = suggested
		}
	}
	own = slices.DeleteFunc(own, func(sec Section) bool { return !fresh(sec.Title) })
	return append(out, own...)
}

// leftOut are headings of what is no part of a text's story.
var leftOut = regexp.MustCompile(`(?i)^(\d+(\.\d+)*\.? )?(references|bibliography|(table of )?contents|acknowledge?ments?|licen[cs]e|index|about (the|this) (author|document)|imprint|contact|appendix.*|changelog|footnotes|further reading|see also|.{0,30} index|.{0,40} (free documentation|public) licen[cs]e.*|copying( information)?|copyright( notice)?|legal notice|disclaimer|privacy( policy)?|\pL|참고\s?(문헌|자료)|목차|차례|감사의 (글|말)|부록.*|색인|연락처|문의처?|찾아보기|저작권( 안내)?|각주|개정 이력|변경 이력)$`)

// group is the material for one heading: sections of sources with the same one.
type group struct {
	title  string
	origin Origin
	wanted []want
	leaves []int
	score  float64
	words  int
}

const (
	again  = 0.25 // a source that has a heading already stands back behind the others
	shared = 0.5  // a heading that several sources have matters more
)

// sourcesOf counts the sources that have material for a group.
func (s *Survey) sourcesOf(g group) int {
	var seen []int
	for _, l := range g.leaves {
		if src := s.sections[l].source; !slices.Contains(seen, src) {
			seen = append(seen, src)
		}
	}
	return len(seen)
}

// headings are the best headings with enough words that the sources have, as many as it takes to fill the post with a few units
// below each; those of the most central source first.
func (s *Survey) headings(words, enough int) []Section {
	groups := s.groups()
	words -= min(manyPoints*pointWords, words/4)
	chosen := make([]bool, len(groups))
	from := make([]int, len(s.Sources))
	for n, have := 0, 0; n < maxSections && (have < words || n < 2); n++ {
		best, bestScore := -1, 0.0
		for i, g := range groups {
			if chosen[i] || g.words < enough && len(groups) > 1 {
				continue
			}
			if score := g.score + shared*float64(s.sourcesOf(g)-1) - again*float64(from[s.sections[g.leaves[0]].source]); best < 0 || score > bestScore {
				best, bestScore = i, score
			}
		}
		if best < 0 {
			break
		}
		chosen[best] = true
		have += min(groups[best].words, fullSection)
		for _, l := range groups[best].leaves {
			from[s.sections[l].source]++
		}
	}
	rank := make([]int, len(s.Sources))
	for i, source := range s.central {
		rank[source] = i
	}
	var picked []group
	for i, g := range groups {
		if chosen[i] {
			slices.SortFunc(g.leaves, func(a, b int) int {
				return cmp.Or(rank[s.sections[a].source]-rank[s.sections[b].source], a-b)
			})
			picked = append(picked, g)
		}
	}
	slices.SortStableFunc(picked, func(a, b group) int {
		return cmp.Or(rank[s.sections[a.leaves[0]].source]-rank[s.sections[b.leaves[0]].source], a.leaves[0]-b.leaves[0])
	})
	out := make([]Section, len(picked))
	for i, g := range picked {
		out[i] = Section{Title: g.title, Origin: g.origin, Query: g.title, Leaves: g.leaves}
	}
	return out
}

// groups puts the sections of the sources together that have the same heading or nearly so.
func (s *Survey) groups() []group {
	var groups []group
	byTitle, byTerm := map[string]int{}, map[int][]int{}
	for i, l := range s.sections {
		title, origin := s.headingOf(l), FromSource
		if l.title != "" {
			title, origin = l.title, Suggested
		}
		if leftOut.MatchString(title) || slices.ContainsFunc(s.below(l), func(h string) bool { return leftOut.MatchString(h) }) {
			continue
		}
		words, score := s.worth(l)
		if words == 0 {
			continue
		}
		at, known := byTitle[title]
		if !known {
			wanted := s.vocabulary.query(title, []string{s.Sources[l.source].Language})
			if at = likeliest(groups, byTerm, wanted); at < 0 {
				at = len(groups)
				groups = append(groups, group{title: title, origin: origin, wanted: wanted})
				for _, w := range wanted {
					if len(byTerm[w.term]) < crowd {
						byTerm[w.term] = append(byTerm[w.term], at)
					}
				}
			}
			byTitle[title] = at
		}
		g := &groups[at]
		if g.origin == Suggested && origin == FromSource {
			g.title, g.origin = title, origin
		} else if origin == g.origin && len(title) > len(g.title) && s.sections[g.leavesOr(i)].source != l.source { // the longer one promises both
			g.title = title
		}
		g.leaves = append(g.leaves, i)
		g.words += words
		g.score = max(g.score, score)
	}
	return groups
}

// crowd is how many units or groups are looked at that share a term; what more of them share says nothing.
const crowd = 40

// likeliest is the first group whose heading shares half of its terms with another, -1 when there is none.
func likeliest(groups []group, byTerm map[int][]int, wanted []want) int {
	best := -1
	for _, w := range wanted {
		for _, at := range byTerm[w.term] {
			if w.term >= 0 && (best < 0 || at < best) && alike(groups[at].wanted, wanted) {
				best = at
			}
		}
	}
	return best
}

func (g *group) leavesOr(i int) int {
	if len(g.leaves) > 0 {
		return g.leaves[0]
	}
	return i
}

// alike tells whether two headings share at least half of their terms.
func alike(a, b []want) bool {
	both := 0
	for _, x := range a {
		if x.term >= 0 && slices.ContainsFunc(b, func(y want) bool { return y.term == x.term }) {
			both++
		}
	}
	return both > 0 && 2*both >= len(a)+len(b)-both
}

// worth gives the words that a section can give, and the mean score of its three best units.
func (s *Survey) worth(l leaf) (words int, score float64) {
	const top = 3
	var scores []float64
	for _, id := range l.units {
		if u := s.Units[id]; !u.outside {
			words += u.Words
			x := u.score
			switch u.Kind {
			case Table:
				x += tableBonus
			case Item:
				x += factBonus
			}
			scores = append(scores, x)
		}
	}
	slices.Sort(scores)
	slices.Reverse(scores)
	for _, x := range scores[:min(top, len(scores))] {
		score += x / top
	}
	return words, score
}

// below are the headings above a section but for the title of its source.
func (s *Survey) below(l leaf) []string {
	if len(l.path) > 0 && s.titled[l.source] {
		return l.path[1:]
	}
	return l.path
}

// deepKey names a heading with those above it.
func deepKey(source int, path []string) string {
	return strconv.Itoa(source) + "\n" + strings.Join(path, "\n")
}

// deepen finds the headings that hold so much of their source, under several others, that a post is better planned by those.
func (s *Survey) deepen() {
	const much, few, deepest = 300, 2, 3
	words, children, all := map[string]int{}, map[string]int{}, make([]int, len(s.Sources))
	s.deep = map[string]bool{}
	for _, l := range s.sections {
		n, _ := s.worth(l)
		all[l.source] += n
		path := s.below(l)
		for depth := 1; depth <= min(deepest, len(path)); depth++ {
			key := deepKey(l.source, path[:depth])
			if _, known := words[key]; !known && depth > 1 {
				children[deepKey(l.source, path[:depth-1])]++
			}
			words[key] += n
		}
	}
	for _, l := range s.sections {
		path := s.below(l)
		for depth := 1; depth < min(deepest, len(path)); depth++ {
			key := deepKey(l.source, path[:depth])
			if words[key] < much || 5*words[key] < 2*all[l.source] || children[key] < few {
				break
			}
			s.deep[key] = true
		}
	}
}

// headingOf is the heading of a section as the post can have it: the outermost one below the title of its source that does not hold
// too much, and the title for what stands right under it.
func (s *Survey) headingOf(l leaf) string {
	path := s.below(l)
	if len(path) == 0 {
		return s.unnumbered(plain(s.Titles[l.source], s.Sources[l.source].Markdown), l.source)
	}
	depth := 1
	for depth < len(path) && s.deep[deepKey(l.source, path[:depth])] {
		depth++
	}
	title := s.unnumbered(quiet(plain(oneLine(path[depth-1]), s.Sources[l.source].Markdown)), l.source)
	if unspecific.MatchString(title) && s.main() != l.source { // of what?
		return s.unnumbered(plain(s.Titles[l.source], s.Sources[l.source].Markdown), l.source)
	}
	return title
}

// unspecific are headings that say something only below the title of their own source.
var unspecific = regexp.MustCompile(`(?i)^(\d+(\.\d+)*\.? )?(executive summary|summary|overview|introduction|background|abstract|general|about|preface|foreword|conclusions?|개요|요약|소개|서론|머리말|배경|결론|들어가며|맺음말|how to (?:read|use) (?:the|this) \w+|notes?|remarks|표 읽는 법|비고|참고)$`)

// hasTitle tells whether a source's first heading is above all others.
func hasTitle(src Source) bool {
	top, count, first := 0, 0, 0
	for _, e := range src.Text.Elements {
		if e.Kind != extract.Heading {
			continue
		}
		if first == 0 {
			first = e.Level
		}
		switch {
		case top == 0 || e.Level < top:
			top, count = e.Level, 1
		case e.Level == top:
			count++
		}
	}
	return count == 1 && first == top
}

// suggest makes headings of key phrases, for a text without topics that stand one after the other: of those phrases that have
// enough for a section, if together they have most of the text.
func (s *Survey) suggest(n int) []Section {
	var out []Section
	told := map[int]bool{}
	for _, p := range s.Phrases {
		wanted := s.vocabulary.query(p, s.languages())
		words := 0
		var units []int
		for i, u := range s.Units {
			if !u.outside && !told[i] && coverage(u.terms, wanted) > bareCoverage {
				words += u.Words
				units = append(units, i)
			}
		}
		if words < sectionWords {
			continue
		}
		for _, i := range units {
			told[i] = true
		}
		if out = append(out, Section{Title: capital(p), Origin: Suggested, Query: p}); len(out) == n {
			break
		}
	}
	covered := 0
	for i := range told {
		covered += s.Units[i].Words
	}
	if 2*covered < s.have() {
		return nil
	}
	return out
}

// languages of the sources, each once, in order.
func (s *Survey) languages() []string {
	var out []string
	for _, src := range s.Sources {
		if !slices.Contains(out, src.Language) {
			out = append(out, src.Language)
		}
	}
	return out
}

// plain takes the marks of Markdown out of a heading.
func plain(s string, markdown bool) string {
	if !markdown {
		return s
	}
	return strings.TrimSpace(markMarks.Replace(s))
}

var markMarks = strings.NewReplacer("**", "", "__", "", "`", "", "*", "")
