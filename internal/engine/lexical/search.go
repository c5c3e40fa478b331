package lexical

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// The parameters of BM25: how soon a count is saturated, and how much a long passage loses.
const (
	k1 = 1.2
	b  = 0.75
)

// slack covers the rounding of bounds, which are summed up in another order than scores.
const slack = 1 + 1e-9

// Options of a search.
type Options struct {
	K       int                     // number of hits at most
	Filter  func(group string) bool // nil: all groups; asked only for groups that have a candidate, at most once per segment
	Explain bool                    // fill Hit.Why
}

// Search finds the K best living passages that have at least one of the terms, best first; equal scores are ordered by passage id.
// It fails only with ErrDamaged.
func (v *View) Search(terms []Term, o Options) ([]Hit, error) {
	s := searcher{view: v, options: o, terms: distinct(terms)}
	s.k = min(o.K, v.stats.Passages)
	if s.k <= 0 || len(s.terms) == 0 {
		return nil, nil
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	for i := range s.order() {
		if err := s.part(&s.parts[i]); err != nil {
			return nil, err
		}
	}
	return s.hits(), nil
}

// queryTerm is a term with its numbers in the view.
type queryTerm struct {
	Term
	df     int
	idf    float64
	weight float64 // of its score: Weight × idf
}

// distinct drops terms without weight and adds up the weights of equal ones.
func distinct(terms []Term) []queryTerm {
	var out []queryTerm
	at := make(map[string]int, len(terms))
	for _, t := range terms {
		if !(t.Weight > 0) || math.IsInf(t.Weight, 1) || t.Text == "" {
			continue
		}
		if i, ok := at[t.Text]; ok {
			out[i].Weight += t.Weight
			continue
		}
		at[t.Text] = len(out)
		out = append(out, queryTerm{Term: t})
	}
	return out
}

// searcher is the state of one search.
type searcher struct {
	view    *View
	options Options
	terms   []queryTerm
	k       int

	average float64 // length of a living passage
	fixed   float64 // k1 × (1 - b)
	perUnit float64 // k1 × b / average

	parts []searchPart
	top   heap

	contributions []float64 // of the candidate, per term
	counts        []uint32
}

// searchPart is one segment with a cursor for each term that it has.
type searchPart struct {
	live    *livePart
	index   uint32 // in the view
	cursors []termCursor
	bound   float64 // for any passage's score
}

// termCursor is a term's cursor with the greatest score that it can give in this segment and in the current block.
type termCursor struct {
	cursor
	term       int
	weight     float64
	bound      float64
	sum        float64 // of the bounds of this and all lesser terms
	blockOf    int     // which block the following are for; -1: none
	blockBound float64
	byCount    [4]float64 // bounds for postings with a count of 1, 2, ...
}

// prepare looks the terms up and gathers their exact numbers over all living passages.
func (s *searcher) prepare() error {
	v := s.view
	lists := make([]list, len(v.parts)*len(s.terms))
	for i := range v.parts {
		p := &v.parts[i]
		for j := range s.terms {
			l, ok := p.lookup(s.terms[j].Text)
			dead := 0
			if ok && l.df > 0 {
				dead, ok = p.countDead(l)
			}
			if !ok {
				return fmt.Errorf("search %q: %w", s.terms[j].Text, ErrDamaged)
			}
			lists[i*len(s.terms)+j] = l
			s.terms[j].df += l.df - dead
		}
	}
	for j := range s.terms {
		t := &s.terms[j]
		t.idf = IDF(v.stats.Passages, t.df)
		t.weight = t.Weight * t.idf
	}
	s.average = float64(v.stats.Tokens) / float64(v.stats.Passages)
	s.fixed = k1 * (1 - b)
	if s.average > 0 {
		s.perUnit = k1 * b / s.average
	}
	s.contributions, s.counts = make([]float64, len(s.terms)), make([]uint32, len(s.terms))
	s.top = heap{view: v, k: s.k, terms: len(s.terms), floor: math.Inf(-1)}
	return s.open(lists)
}

// open puts cursors on all lists and bounds what each segment can give.
func (s *searcher) open(lists []list) error {
	found := 0
	for _, l := range lists {
		if l.df > 0 {
			found++
		}
	}
	all := make([]termCursor, 0, found)
	s.parts = make([]searchPart, 0, len(s.view.parts))
	for i := range s.view.parts {
		p := searchPart{live: &s.view.parts[i], index: uint32(i)}
		before := len(all)
		for j, l := range lists[i*len(s.terms) : (i+1)*len(s.terms)] {
			if l.df == 0 {
				continue
			}
			all = all[:len(all)+1]
			c := &all[len(all)-1]
			c.open(l, p.live.stats.Passages)
			c.term, c.weight, c.blockOf = j, s.terms[j].weight, -1
			c.bound = s.listBound(c, p.live)
			if c.bad {
				return fmt.Errorf("search %q: %w", s.terms[j].Text, ErrDamaged)
			}
			p.bound += c.bound
		}
		if p.cursors = all[before:]; len(p.cursors) > 0 {
			s.parts = append(s.parts, p)
		}
	}
	return nil
}

// order gives the segments with the most promising one first, so that the others can be left out early.
func (s *searcher) order() []searchPart {
	slices.SortStableFunc(s.parts, func(x, y searchPart) int { return cmp.Compare(y.bound, x.bound) })
	return s.parts
}

// norm is the part of a score's denominator that the passage's length makes.
// The conversion forbids a fused multiply-add: scores are the same on every processor.
func (s *searcher) norm(length uint32) float64 { return s.fixed + float64(s.perUnit*float64(length)) }

// IDF tells how much it says that a passage has a term which df of that many have: ln(1+(N-df+.5)/(df+.5)). A cluster's counts may be a
// moment apart, so N is df at least.
func IDF(passages, df int) float64 {
	return math.Log(1 + (float64(max(passages, df)-df)+.5)/(float64(df)+.5))
}

// rarity is the IDF that Coverage counts by.
func rarity(passages, df int) float64 { return IDF(max(passages, fewPassages), df) }

// fewPassages are too few to tell how rare a word is: in a library of one page, what a question's words have in common with it would count for next to
// nothing, as all passages have it.
const fewPassages = 20

// contribution is one term's score.
func contribution(weight float64, tf uint32, norm float64) float64 {
	f := float64(tf)
	return weight * (f / (f + norm))
}

// listBound is the greatest score that a term can give in a segment.
func (s *searcher) listBound(c *termCursor, l *livePart) float64 {
	best := 0.0
	if !c.short {
		return s.impactBound(dictReader{data: c.listImpacts}, c.weight, nil)
	}
	for i := range c.n {
		best = max(best, contribution(c.weight, c.few[i], s.norm(l.length(c.docs[i]))))
	}
	return best * slack
}

// impactBound is the greatest score that impacts allow. byCount, if it is not nil, is filled with the bounds for single counts: most postings
// have a low one, and their passages' lengths need not be looked at when that is not enough.
func (s *searcher) impactBound(r dictReader, weight float64, byCount []float64) float64 {
	best := 0.0
	for range r.uvarint() {
		tf, length := r.uvarint(), r.uvarint()
		if r.bad {
			return math.Inf(1)
		}
		norm := s.norm(uint32(length))
		best = max(best, contribution(weight, uint32(tf), norm))
		for i := range byCount {
			if i < tf {
				byCount[i] = max(byCount[i], contribution(weight, uint32(i+1), norm)*slack)
			}
		}
	}
	return best * slack
}

// boundBlock makes the bounds those of the cursor's block.
func (s *searcher) boundBlock(c *termCursor) {
	if c.blockOf == c.block || c.doc == noDoc {
		return
	}
	c.blockOf = c.block
	if c.short {
		c.blockBound = c.bound
		c.byCount = [4]float64{c.bound, c.bound, c.bound, c.bound}
		return
	}
	c.byCount = [4]float64{}
	c.blockBound = s.impactBound(c.blockAt(c.block), c.weight, c.byCount[:])
}

// boundAt is a bound for the score at the cursor, without the passage's length.
func (c *termCursor) boundAt() float64 {
	if tf := c.tf(); tf <= uint32(len(c.byCount)) {
		return c.byCount[tf-1]
	}
	return c.blockBound
}

// skipWeak goes on to the first posting of the block whose count allows a score of floor, when the term is the only leading one.
// bound is what the block's best posting and all lesser terms give. It tells whether it has moved.
func (c *termCursor) skipWeak(bound, floor float64) bool {
	rest := bound - c.blockBound // a little too much by the slack
	if c.short || (rest+c.byCount[0])*slack >= floor {
		return false
	}
	for i := c.i; i < c.n; i++ {
		most := c.blockBound
		if tf := unpack(c.tfs, i, c.tfWidth); tf < uint32(len(c.byCount)) {
			most = c.byCount[tf]
		}
		if (rest+most)*slack >= floor {
			if i == c.i {
				return false
			}
			c.i, c.doc = i, c.docs[i]
			return true
		}
	}
	c.load(c.block + 1)
	return true
}

// part searches one segment: MaxScore with block-max. Terms whose bounds together can't reach the worst of the best (the lesser ones) are looked up only
// in the passages that the others lead to; stretches where the others' blocks can't reach it are jumped over.
func (s *searcher) part(p *searchPart) error {
	if p.bound*slack < s.top.floor {
		return nil
	}
	cs := make([]*termCursor, len(p.cursors))
	for i := range p.cursors {
		cs[i] = &p.cursors[i]
	}
	slices.SortStableFunc(cs, func(x, y *termCursor) int { return cmp.Compare(x.bound, y.bound) })
	sum := 0.0
	for _, c := range cs {
		sum += c.bound
		c.sum = sum * slack
	}
	filter := newGroupFilter(s.options.Filter, p.live)
	lesser := 0 // cs[:lesser] can't make a hit alone
	windowEnd, windowBound, fresh := uint32(0), 0.0, true
	for {
		for lesser < len(cs) && cs[lesser].sum < s.top.floor {
			lesser, fresh = lesser+1, true
		}
		if lesser == len(cs) {
			break
		}
		leading := cs[lesser:]
		doc := noDoc
		for _, c := range leading {
			doc = min(doc, c.doc)
		}
		if doc == noDoc {
			break
		}
		if fresh || doc > windowEnd {
			windowEnd, windowBound, fresh = s.window(cs, lesser)
		}
		if windowBound < s.top.floor {
			for _, c := range leading {
				c.seek(windowEnd + 1)
			}
			continue
		}
		if lesser == len(cs)-1 && leading[0].skipWeak(windowBound, s.top.floor) {
			continue
		}
		if !p.live.isDead(doc) && filter.allows(doc) {
			s.candidate(p, cs, lesser, doc)
		}
		for _, c := range leading {
			if c.doc == doc {
				c.next()
			}
		}
	}
	for _, c := range cs {
		if c.bad {
			return fmt.Errorf("search %q: %w", s.terms[c.term].Text, ErrDamaged)
		}
	}
	return nil
}

// window is the stretch up to the end of the first of the leading terms' blocks, with a bound for all scores in it.
func (s *searcher) window(cs []*termCursor, lesser int) (end uint32, bound float64, fresh bool) {
	end = noDoc - 1
	if lesser > 0 {
		bound = cs[lesser-1].sum
	}
	for _, c := range cs[lesser:] {
		if c.doc != noDoc {
			s.boundBlock(c)
			bound += c.blockBound
			end = min(end, c.docs[c.n-1])
		}
	}
	return end, bound * slack, false
}

// candidate scores a passage as far as it can still be among the best.
func (s *searcher) candidate(p *searchPart, cs []*termCursor, lesser int, doc uint32) {
	partial := 0.0
	if lesser > 0 {
		partial = cs[lesser-1].sum
	}
	for _, c := range cs[lesser:] {
		if c.doc == doc {
			partial += c.boundAt()
		}
	}
	if partial*slack < s.top.floor {
		return
	}
	norm := s.norm(p.live.length(doc))
	clear(s.counts)
	partial = 0
	for _, c := range cs[lesser:] {
		if c.doc == doc {
			partial += s.take(c, norm)
		}
	}
	for i := lesser - 1; i >= 0; i-- {
		c := cs[i]
		if (partial+c.sum)*slack < s.top.floor {
			return
		}
		c.seek(doc)
		if c.doc == doc {
			partial += s.take(c, norm)
		}
	}
	score := 0.0
	for i, n := range s.counts { // in the order of the question, so that the sum is the same whichever way it was found
		if n > 0 {
			score += s.contributions[i]
		}
	}
	s.top.offer(entry{score: score, part: p.index, doc: doc}, s.counts)
}

// take notes the term's count and contribution in the passage that its cursor is at.
func (s *searcher) take(c *termCursor, norm float64) float64 {
	tf := c.tf()
	x := contribution(c.weight, tf, norm)
	s.counts[c.term], s.contributions[c.term] = tf, x
	return x
}

// groupFilter asks a filter once for each group of a segment.
type groupFilter struct {
	ask  func(string) bool
	live *livePart
	seen []byte // per group: 0 not asked, 1 refused, 2 allowed
	// the range that was asked for last
	start, end uint32
	allowed    bool
}

func newGroupFilter(ask func(string) bool, l *livePart) *groupFilter {
	f := &groupFilter{ask: ask, live: l}
	if ask != nil {
		f.seen = make([]byte, l.groupCount)
	}
	return f
}

func (f *groupFilter) allows(doc uint32) bool {
	if f.ask == nil {
		return true
	}
	if doc >= f.start && doc < f.end {
		return f.allowed
	}
	i := f.live.groupOf(doc)
	if f.seen[i] == 0 {
		f.seen[i] = 1
		if f.ask(f.live.group(i).String()) {
			f.seen[i] = 2
		}
	}
	f.start, f.end, f.allowed = f.live.first(i), f.live.groupEnd(i), f.seen[i] == 2
	return f.allowed
}
