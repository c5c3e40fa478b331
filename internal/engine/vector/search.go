package vector

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
)

// Options of a search.
type Options struct {
	K      int                     // number of best passages that the hits must have among them
	Filter func(group string) bool // nil: all groups; asked once for each run of passages of a living group

	// Margin is the share of the error bound to allow for, 0 to 1; 0 is all of it, so that no passage of the K best can be missed. Errors of
	// dimensions mostly cancel each other, so that one as great as 6/√dims of the bound is as rare as six standard deviations.
	Margin float64
	// Most is the number of hits to give at most; 0 is 4 × K + 64. What is left out for it has no greater Score + Slack than the last hit
	// (with a Margin: Score + Margin × Slack).
	Most int
}

// Hit is a passage that was found.
type Hit struct {
	ID    string
	Group string
	Score float64 // cosine: of a search, approximate; after Rescore, of the floats
	Slack float64 // how far Score may be from the cosine of the floats; 0 after Rescore
}

// Search finds living passages that have the K greatest cosines with q among them, a vector of length 1: see [Rescore]. They are ordered by the most
// that their cosine may be, Score + Slack (with a Margin, that share of Slack); equal ones by passage id. It fails with ErrZero, ErrDims or ErrNotUnit when q can't be compared with
// the view's vectors, and when ctx ends, which it looks at between segments.
func (v *View) Search(ctx context.Context, q []float32, o Options) ([]Hit, error) {
	return v.search(ctx, q, o, bestKernel)
}

func (v *View) search(ctx context.Context, q []float32, o Options, k kernel) ([]Hit, error) {
	if len(q) > MaxDims {
		return nil, fmt.Errorf("query of %d: %w", len(q), ErrDims)
	}
	if err := checkUnit(q, len(q)); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	for i := range v.parts {
		if v.parts[i].dims != len(q) {
			return nil, fmt.Errorf("query of %d for a segment of %d: %w", len(q), v.parts[i].dims, ErrDims)
		}
	}
	if o.K = min(o.K, v.living); o.K <= 0 {
		return nil, nil
	}
	s := newSearcher(v, newQuery(q), o, k)
	for i := range v.parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.scan(i)
	}
	hits := s.hits()
	runtime.KeepAlive(v) // and with it the memory of its segments
	return hits, nil
}

// rounding is more than all roundings together of what is computed with 32 bits: of bounds in the kernels, and of scales, whose residuals are not quite
// orthogonal to the codes.
const rounding = 1e-6

// blockBytes is about how many bytes of codes a call into assembly scans: some microseconds, in which the goroutine can't be stopped.
const blockBytes = 96 << 10

// gapBytes is about how many bytes are scanned sooner than left out by ending a call and making another one.
const gapBytes = 8 << 10

// maxBlock is the number of passages of a call at most.
const maxBlock = 512

// searcher is the state of one search.
type searcher struct {
	view    *View
	query   *query
	kernel  kernel
	filter  func(string) bool
	k, most int
	margin  float64

	full       int         // blocks to come whose codes are read whole at once, since their upper halves alone have told too little before
	lows       lowest      // the K greatest lower bounds
	candidates []candidate // whose upper bounds were not below the floor when they were seen
	sums       [maxBlock]int32
	mask       [maxBlock / 8]byte
}

// candidate is a passage that may be one of the best.
type candidate struct {
	score, slack float64
	upper        float64 // the most that the score may be, as far as the margin goes
	part, doc    int
}

func newSearcher(v *View, q *query, o Options, k kernel) *searcher {
	s := &searcher{view: v, query: q, kernel: k, filter: o.Filter, k: o.K, most: o.Most, margin: o.Margin, full: firstBlocks}
	if s.most <= 0 {
		s.most = 4*s.k + 64
	}
	s.most = min(s.most, v.living)
	if !(s.margin > 0 && s.margin < 1) {
		s.margin = 1
	}
	s.lows.k, s.lows.floor = s.k, math.Inf(-1)
	return s
}

// scan looks at the passages of a part, in blocks of lanes passages each of which has one at least that is not left out.
func (s *searcher) scan(part int) {
	l := &s.view.parts[part]
	out := l.without(s.filter)
	most := min(maxBlock, blockBytes/(2*l.plane)) / lanes
	gap := 1 + gapBytes/(lanes*2*l.plane)
	for first := 0; first < len(out); {
		if out[first] == 0xff {
			first++
			continue
		}
		end := first + 1
		for i := end; i < len(out) && i < first+most && i < end+gap; i++ {
			if out[i] != 0xff {
				end = i + 1
			}
		}
		s.block(part, first*lanes, min(end*lanes, l.passages), out[first:end])
		first = end
	}
}

// Reading the upper halves of codes first pays as long as one passage in fewShare or less needs the lower halves, too: these lie far from each other in
// memory, which gives them slowly. Where more do, the next fullBlocks are read whole without asking, and so are the firstBlocks: what is best of few
// passages is no measure for others, and small workspaces are in the caches anyway.
const (
	fewShare    = 16
	fullBlocks  = 15
	firstBlocks = 7
)

// block looks at the passages from start to end; start is a multiple of lanes. As long as there is no floor, all are let through.
func (s *searcher) block(part, start, end int, out bitmap) {
	l := &s.view.parts[part]
	n := end - start
	high, low := l.high[start*l.plane:end*l.plane], l.low[start*l.plane:end*l.plane]
	switch {
	case s.full > 0:
		s.full--
	case math.IsInf(s.lows.floor, -1):
	default:
		s.kernel.skim(high, s.query, s.sums[:n])
		s.kernel.sift(s.sums[:], l.coarse[4*start:], l.away[4*start:], n, s.skimLimit(), &s.mask)
		if s.letThrough(out) <= n/fewShare {
			s.each(out, func(at int) {
				row := at * l.plane
				var sum [1]int32
				s.kernel.sums(high[row:row+l.plane], low[row:row+l.plane], s.query, sum[:])
				s.offer(part, start+at, sum[0])
			})
			return
		}
		s.full = fullBlocks
	}
	s.kernel.sums(high, low, s.query, s.sums[:n])
	s.kernel.sift(s.sums[:], l.scales[4*start:], l.residuals[4*start:], n, s.limit(), &s.mask)
	s.each(out, func(at int) { s.offer(part, start+at, s.sums[at]) })
}

// letThrough counts the passages that the kernel has let through and that are not left out.
func (s *searcher) letThrough(out bitmap) (n int) {
	for i, without := range out {
		n += bits.OnesCount8(s.mask[i] &^ without)
	}
	return n
}

// each visits them.
func (s *searcher) each(out bitmap, visit func(at int)) {
	for i, without := range out {
		for m := s.mask[i] &^ without; m != 0; m &= m - 1 {
			visit(i*lanes + bits.TrailingZeros8(m))
		}
	}
}

// limit is what the kernel sifts by: bounds in units of the query's values, a little wider than those of offer.
func (s *searcher) limit() limit {
	return limit{
		shift:    s.query.shift,
		residual: float32(s.margin * s.query.length / s.query.unit),
		floor:    float32((s.lows.floor - s.margin*s.query.rest*(1+tolerance) - 3*rounding) / s.query.unit),
	}
}

// skimLimit is the same for the upper halves of codes: what it leaves out, limit and offer would leave out, too, if the margin is the whole one.
// Of many dimensions it always is: where all vectors have one great value in the same dimension, what the upper halves leave out of it is the same in all
// as well, and does not become rarer with more dimensions, as the margin does.
func (s *searcher) skimLimit() limit {
	q, margin := s.query, s.margin
	if len(q.values) > manyDims {
		margin = 1
	}
	return limit{
		shift:    q.coarseShift,
		residual: float32(margin * max(q.length, q.coarseLength) / q.coarseUnit),
		floor:    float32((s.lows.floor - margin*(q.rest+q.coarseRest)*(1+tolerance) - 4*rounding) / q.coarseUnit),
	}
}

const manyDims = 512

// offer takes a passage that the kernel let through.
func (s *searcher) offer(part, doc int, sum int32) {
	l := &s.view.parts[part]
	q := s.query
	c := candidate{score: float64(sum-q.shift) * q.unit * float64(l.scale(doc)), part: part, doc: doc}
	along := c.score / (1 + tolerance)
	across := math.Sqrt(max(0, q.length*q.length-along*along))
	c.slack = across*float64(l.residual(doc)) + q.rest*(1+tolerance) + rounding
	c.upper = c.score + s.margin*c.slack
	if c.upper < s.lows.floor {
		return
	}
	s.lows.add(c.score - s.margin*c.slack)
	s.candidates = append(s.candidates, c)
	if len(s.candidates) >= 4*s.most {
		s.drop()
		if len(s.candidates) > 2*s.most {
			s.cut()
		}
	}
}

// drop leaves out the candidates that can't be among the best any more.
func (s *searcher) drop() {
	s.candidates = slices.DeleteFunc(s.candidates, func(c candidate) bool { return c.upper < s.lows.floor })
}

// cut orders the candidates and leaves out those behind the most that are asked for.
func (s *searcher) cut() {
	slices.SortFunc(s.candidates, func(x, y candidate) int {
		if x.upper != y.upper {
			return cmp.Compare(y.upper, x.upper)
		}
		p, q := s.id(x), s.id(y)
		return bytes.Compare(p[:], q[:])
	})
	s.candidates = s.candidates[:min(len(s.candidates), s.most)]
}

func (s *searcher) id(c candidate) ulid { return s.view.parts[c.part].id(c.doc) }

func (s *searcher) hits() []Hit {
	s.drop()
	s.cut()
	out := make([]Hit, len(s.candidates))
	for i, c := range s.candidates {
		l := &s.view.parts[c.part]
		out[i] = Hit{ID: s.id(c).String(), Group: l.group(l.groupOf(c.doc)).String(), Score: c.score, Slack: c.slack}
	}
	return out
}

// lowest keeps the k greatest numbers, the least of them at the root of a heap.
type lowest struct {
	k     int
	heap  []float64
	floor float64 // the least, once there are k
}

func (h *lowest) add(x float64) {
	if len(h.heap) < h.k {
		h.heap = append(h.heap, x)
		for i := len(h.heap) - 1; i > 0 && h.heap[i] < h.heap[(i-1)/2]; i = (i - 1) / 2 {
			h.heap[i], h.heap[(i-1)/2] = h.heap[(i-1)/2], h.heap[i]
		}
	} else if x > h.heap[0] {
		h.heap[0] = x
		for i := 0; ; {
			least := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(h.heap); c++ {
				if h.heap[c] < h.heap[least] {
					least = c
				}
			}
			if least == i {
				break
			}
			h.heap[i], h.heap[least] = h.heap[least], h.heap[i]
			i = least
		}
	}
	if len(h.heap) == h.k {
		h.floor = h.heap[0]
	}
}
