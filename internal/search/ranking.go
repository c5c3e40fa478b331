package search

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"byline/internal/document"
	"byline/internal/engine/embed"
	"byline/internal/engine/fuse"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
)

// The say of the leg by meaning in a hybrid search before either is sure of what it found, the rest is the words': measured on five English sets that are kept apart
// (nDCG@10 .5515 against .492 of words alone with the encoder; .512 with the table, which is weaker).
const (
	encoderWeight = .4
	tableWeight   = .3
	// movedWeight is that of the table when the question was moved towards what a first search found (.519).
	movedWeight = .4
	// foreignWeight is the most in a language with Latin letters that an English embedder was not trained on.
	foreignWeight = .1
)

// queryTime is how long the embedding of a question may take; then the words are on their own.
const queryTime = 2 * time.Second

// evidenceScore is the score from which on a passage counts as evidence.
const evidenceScore = .35

// worth is what a passage's cosine is worth as a score, 0..1. With the encoder, texts that have nothing to do with each
// other come to .2 and paraphrases to .8; with the table it is .25 and .75. Others have scales of their own (from .7 on with E5, for one): with them the
// last of the candidates is worth nothing and the question itself 1, so that something must stand out to be worth anything.
func (r *ranking) worth(id string) float64 {
	low, high := r.scale()
	cosine, ok := r.cosines[id]
	if !ok {
		return 0
	}
	return min(1, max(0, (cosine-low)/(high-low)))
}

// scale gives the cosines of texts that are unlike and alike.
func (r *ranking) scale() (low, high float64) {
	switch r.space.Embedder {
	case "encoder":
		return .2, .8
	case "table":
		return .25, .75
	}
	return min(r.lowest, 1-1e-6), 1
}

// ranking is one search under way.
type ranking struct {
	Question
	s         *Searcher
	documents map[string]bool
	k         int

	terms    []lexical.Term
	words    leg
	meaning  leg
	vector   []float32 // of the question
	space    embed.Space
	cosines  map[string]float64 // of passages to the question
	lowest   float64            // of cosines
	fused    []fuse.Fused
	degraded []string
	filtered []Filtered
}

// leg is one way of searching and what it found.
type leg struct {
	Found
	weight float64
	said   float64 // the weight in this search: less or more by how sure the leg is
	why    string
	at     map[string]int // index of a passage in Candidates
}

func (l *leg) side() fuse.Side {
	side := fuse.Side{Weight: l.said, Ranking: make([]fuse.Ranked, len(l.Candidates))}
	l.at = make(map[string]int, len(l.Candidates))
	for i, c := range l.Candidates {
		side.Ranking[i] = fuse.Ranked{ID: c.PassageID, Score: c.Score}
		l.at[c.PassageID] = i
	}
	return side
}

// search asks both legs at the same time and fuses what they find.
func (r *ranking) search(ctx context.Context) error {
	languages, err := r.s.spoken(ctx, r.Workspace)
	if err != nil {
		return err
	}
	r.terms = lexical.Query(r.Text, languages...)
	if r.documents != nil && len(r.documents) == 0 {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- r.byMeaning(ctx) }()
	if r.Mode != Semantic && len(r.terms) > 0 {
		r.words.Found, err = r.s.index.Lexical(ctx, Query{Workspace: r.Workspace, Terms: r.terms, Documents: r.documents, K: r.k, Explain: r.Explain})
	}
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	r.degraded = append(r.degraded, r.words.Degraded...)
	for _, d := range r.meaning.Degraded {
		if !slices.Contains(r.degraded, d) {
			r.degraded = append(r.degraded, d)
		}
	}
	if r.words.weight = 1 - r.meaning.weight; r.Mode == Semantic {
		r.words.weight = 0
	}
	r.cosines, r.lowest = make(map[string]float64, len(r.meaning.Candidates)), 1
	for _, c := range r.meaning.Candidates {
		r.cosines[c.PassageID] = c.Score
		r.lowest = min(r.lowest, c.Score)
	}
	r.fuse()
	if r.space.Embedder == "table" && r.Mode == Hybrid && r.meaning.weight > foreignWeight && len(r.fused) > 0 {
		if err := r.move(ctx); err != nil {
			return err
		}
	}
	if err := r.onPages(ctx); err != nil {
		return err
	}
	if r.Diversity > 0 {
		return r.diversify(ctx)
	}
	return nil
}

// fuse makes one ranking of what both legs found.
func (r *ranking) fuse() {
	r.words.said, r.meaning.said = r.words.weight, r.meaning.weight
	r.sure()
	words, meaning := r.words.side(), r.meaning.side()
	words.FromZero = true
	if len(meaning.Ranking) > 0 {
		if flaw := fuse.Flaw(meaning.Ranking); flaw != "" && r.Mode == Hybrid {
			r.meaning.weight, r.meaning.said, meaning.Weight, r.meaning.why = 0, 0, 0, flaw
			r.words.weight, r.words.said, words.Weight = 1, 1, 1
			r.degraded = append(r.degraded, "vectors_"+flaw)
		}
	}
	if r.Fusion == RRF {
		r.fused = fuse.RRF(words, meaning)
	} else {
		r.fused = fuse.Convex(words, meaning)
	}
	r.fused = slices.DeleteFunc(r.fused, func(f fuse.Fused) bool { return !r.answers(f.ID) })
}

// sure shifts the say of the two legs to the one that is surer of what it found: words by how much of the question their best
// ones hold, meaning by how far its best stands out. The ranks of RRF tell nothing of that, and it has fixed weights.
func (r *ranking) sure() {
	words, meaning := r.words.Candidates, r.meaning.Candidates
	if r.Mode != Hybrid || r.Fusion == RRF || r.meaning.weight <= foreignWeight || len(words) == 0 || len(meaning) == 0 {
		return
	}
	const some, tenth = 5, 9
	held := 0.0
	for _, c := range words[:min(some, len(words))] {
		held = max(held, c.Coverage)
	}
	if held == 0 {
		return // an engine that does not tell
	}
	low, high := r.scale()
	margin := (meaning[0].Score - meaning[min(tenth, len(meaning)-1)].Score) / (high - low)
	w, m := r.words.weight*fuse.Held(held), r.meaning.weight*fuse.Clarity(margin)
	if all := w + m; all > 0 {
		r.words.said, r.meaning.said = w/all, m/all
	}
}

// movedBy is how many of the best a question is moved towards.
const movedBy = 5

// move asks for vectors again, with the question moved towards the best that were found: the table knows of a question no more
// than its few words (embed.Feedback).
func (r *ranking) move(ctx context.Context) error {
	var ids []string
	for _, f := range r.fused[:min(len(r.fused), movedBy)] {
		ids = append(ids, f.ID)
	}
	vectors, err := r.s.store.Vectors(ctx, r.space.ID(), ids)
	if err != nil {
		return err
	}
	var top [][]float32
	for _, id := range ids { // in their order: sums of floats depend on it
		top = append(top, vectors[id])
	}
	found, err := r.s.index.Vector(ctx, Query{Workspace: r.Workspace, Vector: embed.Feedback(r.vector, top), Space: r.space.ID(), Documents: r.documents, K: r.k})
	if k := fault.Of(err); err != nil && k.Kind == fault.Unavailable {
		return nil // the first answer stands
	}
	if err != nil {
		return err
	}
	r.meaning.Candidates, r.meaning.weight = found.Candidates, r.meaning.weight*movedWeight/tableWeight
	r.words.weight = 1 - r.meaning.weight
	r.fuse()
	return nil
}

// diversified is how many of the best are put into another order.
const diversified = 50

// diversify puts the best into an order in which each differs from those before it.
func (r *ranking) diversify(ctx context.Context) error {
	best := r.fused[:min(len(r.fused), diversified)]
	list, ids, place := make([]fuse.Ranked, len(best)), make([]string, len(best)), map[string]fuse.Fused{}
	for i, f := range best {
		list[i], ids[i], place[f.ID] = fuse.Ranked{ID: f.ID, Score: f.Score}, f.ID, f
	}
	alike, err := r.likeness(ctx, ids)
	if err != nil {
		return err
	}
	for i, d := range fuse.Diverse(list, len(list), 1-r.Diversity, alike) {
		best[i] = place[d.ID]
	}
	return nil
}

// likeness of two passages, 0..1: their cosine where both have a vector, else the share of their words that both have.
func (r *ranking) likeness(ctx context.Context, ids []string) (func(a, b string) float64, error) {
	vectors := map[string][]float32{}
	if e, _, err := r.embedder(ctx); err != nil {
		return nil, err
	} else if e != nil {
		if vectors, err = r.s.store.Vectors(ctx, e.Space().ID(), ids); err != nil {
			return nil, err
		}
	}
	words := map[string]map[string]bool{}
	if len(vectors) < len(ids) {
		live, err := r.s.store.Live(ctx, r.Workspace, ids)
		if err != nil {
			return nil, err
		}
		for id, l := range live {
			words[id] = map[string]bool{}
			for _, t := range lexical.Analyze(l.Passage.Text, l.Passage.Language) {
				words[id][t.Term] = true
			}
		}
	}
	return func(a, b string) float64 {
		if v, w := vectors[a], vectors[b]; v != nil && w != nil {
			dot := 0.0
			for i := range v {
				dot += float64(v[i]) * float64(w[i])
			}
			return max(0, min(1, dot))
		}
		both := 0
		for t := range words[a] {
			if words[b][t] {
				both++
			}
		}
		return float64(both) / float64(max(1, len(words[a])+len(words[b])-both))
	}, nil
}

// engine is the one outside that answered, by words if two did; else the embedded one.
func (r *ranking) engine() string {
	for _, l := range []leg{r.words, r.meaning} {
		if l.Engine != "" && l.Engine != EmbeddedName {
			return l.Engine
		}
	}
	return EmbeddedName
}

// answers tells whether a passage has a word of the question, or a meaning that is worth anything: something always is the
// nearest, whatever is asked.
func (r *ranking) answers(id string) bool {
	if _, ok := r.words.at[id]; ok && r.Mode != Semantic {
		return true
	}
	return r.meaning.weight > foreignWeight && r.worth(id) > 0
}

// byMeaning is the leg of vectors. What keeps it from speaking is told, and leaves the words alone; only the mode semantic
// fails without it.
func (r *ranking) byMeaning(ctx context.Context) error {
	if r.Mode == Lexical {
		return nil
	}
	e, degraded, err := r.embedder(ctx)
	if err != nil {
		return err
	}
	if e == nil {
		if r.Mode == Semantic {
			return fault.Bad("body.mode", "semantic_unavailable", "There is no search by meaning here: no embedder is configured for the vectors of this library (BYLINE_EMBEDDER). Use the mode lexical or hybrid.")
		}
		r.silent(degraded, "no_embedder")
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	v, err := e.Query(limited, r.Text)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && r.Mode == Semantic:
		return err
	case err != nil:
		r.silent("embedder_unavailable", "embedder_unavailable")
		return nil
	case len(v.Values) != e.Space().Dims:
		r.silent("vectors_wrong_dimensions", "wrong_dimensions")
		return nil
	case !embed.Normalize(v.Values):
		r.silent("", "unknown_words") // also of vectors that are no numbers
		return nil
	}
	found, err := r.s.index.Vector(ctx, Query{Workspace: r.Workspace, Vector: v.Values, Space: e.Space().ID(), Documents: r.documents, K: r.k})
	if err != nil {
		if f := fault.Of(err); r.Mode == Semantic || f == nil || f.Kind != fault.Unavailable {
			return err
		}
		r.silent("vectors_unavailable", "unavailable")
		return nil
	}
	r.meaning.Found, r.vector, r.space = found, v.Values, e.Space()
	r.meaning.weight, r.meaning.why = r.say(e.Space(), v.Known, found.Known)
	return nil
}

func (r *ranking) embedder(ctx context.Context) (embed.Embedder, string, error) {
	if r.s.meaning == nil {
		return nil, "", nil
	}
	return r.s.meaning.Serving(ctx)
}

// silent leaves the leg of vectors out.
func (r *ranking) silent(degraded, why string) {
	if r.meaning.why = why; degraded != "" {
		r.meaning.Degraded = append(r.meaning.Degraded, degraded)
	}
}

// say is the weight of the leg of vectors, and why it is less than usual.
func (r *ranking) say(space embed.Space, query, library float64) (weight float64, why string) {
	if r.Mode == Semantic {
		return 1, ""
	}
	english := true
	switch weight = encoderWeight; space.Embedder {
	case "encoder":
	case "table":
		weight = tableWeight
	default:
		english = false
	}
	if gate := fuse.Gate(min(query, library)); gate < 1 {
		weight *= gate
		why = "unknown_words"
	}
	if lang := lexical.DetectLanguage(r.Text); english && lang != "" && lang != "en" && weight > foreignWeight {
		weight, why = foreignWeight, "language"
	}
	return weight, why
}

// hits joins what was fused to live rows, best first. The same text twice is given once.
func (r *ranking) hits(ctx context.Context) ([]Hit, error) {
	var hits []Hit
	per, texts := map[string]int{}, map[string]bool{}
	// Nearly always all are alive and wanted, so the first ones are enough.
	for begin := 0; begin < len(r.fused) && len(hits) < r.TopK; {
		end := min(len(r.fused), begin+max(r.TopK-len(hits), 8))
		ids := make([]string, 0, end-begin)
		for _, f := range r.fused[begin:end] {
			ids = append(ids, f.ID)
		}
		live, err := r.s.store.Live(ctx, r.Workspace, ids)
		if err != nil {
			return nil, err
		}
		for _, f := range r.fused[begin:end] {
			l, ok := live[f.ID]
			p := l.Passage
			switch {
			case !ok || len(hits) == r.TopK:
				continue
			case texts[p.Hash]:
				r.leaveOut(l, SameText)
				continue
			case r.PerDocument > 0 && per[p.DocumentID] == r.PerDocument:
				r.leaveOut(l, PerDocument)
				continue
			}
			per[p.DocumentID]++
			texts[p.Hash] = true
			hits = append(hits, r.hit(f, l))
		}
		begin = end
	}
	for i := range hits {
		if err := r.expand(ctx, &hits[i]); err != nil {
			return nil, err
		}
	}
	return hits, nil
}

func (r *ranking) hit(f fuse.Fused, l Live) Hit {
	h := Hit{Passage: l.Passage, DocumentName: l.DocumentName}
	why := Explain{Fused: f.Score}
	if i, ok := r.words.at[f.ID]; ok {
		c := r.words.Candidates[i]
		h.Score = c.Coverage
		why.Lexical, why.Terms = Leg{Rank: i + 1, Score: c.Score}, c.Terms
	}
	if h.Score == 0 { // an engine that does not tell, or a passage that was found by its meaning alone
		h.Score = coverage(l.Passage, r.terms)
	}
	if i, ok := r.meaning.at[f.ID]; ok {
		c := r.meaning.Candidates[i]
		why.Vector = Leg{Rank: i + 1, Score: c.Score}
		if r.meaning.weight > foreignWeight {
			h.Score = max(h.Score, r.worth(f.ID))
		}
	}
	for _, s := range lexical.Highlights(l.Passage.Text, l.Passage.Language, r.terms) {
		h.Highlights = append(h.Highlights, Span(s))
	}
	if r.Explain {
		why.Lexical.Weight, why.Vector.Weight = r.words.said, r.meaning.said
		why.Lexical.Why, why.Vector.Why = r.words.why, r.meaning.why
		why.Lexical.Part, why.Vector.Part = f.Parts[0], f.Parts[1]
		h.Explain = &why
	}
	return h
}

// coverage is the share of the question's terms that a passage has, each form of a word counted once. It stands for the share
// of idf mass where no index tells how rare the terms are.
func coverage(p document.Passage, terms []lexical.Term) float64 {
	has := map[string]bool{}
	for _, t := range lexical.Analyze(strings.Join(append(p.HeadingPath[:len(p.HeadingPath):len(p.HeadingPath)], p.Text), "\n"), p.Language) {
		has[t.Term] = true
	}
	found, all := map[int]bool{}, 0
	alone := 0
	groups := map[int]bool{}
	for _, t := range terms {
		switch {
		case t.Weight <= 0:
		case t.Alt == 0:
			if all++; has[t.Text] {
				alone++
			}
		default:
			groups[t.Alt] = true
			found[t.Alt] = found[t.Alt] || has[t.Text]
		}
	}
	for _, ok := range found {
		if ok {
			alone++
		}
	}
	return float64(alone) / float64(max(1, all+len(groups)))
}

// around is how many passages to each side of a hit a section is looked for in.
const around = 3

// expand gives a hit what stands around it.
func (r *ranking) expand(ctx context.Context, h *Hit) error {
	n := map[Expand]int{ExpandNeighbours: 1, ExpandSection: around}[r.Question.Expand]
	if n == 0 {
		return nil
	}
	from := max(0, h.Passage.Ord-n)
	list, _, err := r.s.store.Passages(ctx, r.Workspace, h.Passage.DocumentID, from, h.Passage.Ord+n+1-from)
	if errors.Is(err, fault.Missing("document")) {
		return nil // deleted since it was found
	}
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(p document.Passage) bool { return p.ID == h.Passage.ID })
	if at < 0 {
		return nil // made anew
	}
	begin, end := at, at+1
	belongs := func(p document.Passage) bool {
		return r.Question.Expand == ExpandNeighbours || slices.Equal(p.HeadingPath, h.Passage.HeadingPath)
	}
	for begin > 0 && belongs(list[begin-1]) {
		begin--
	}
	for end < len(list) && belongs(list[end]) {
		end++
	}
	h.Before, h.After = joined(list[begin:at]), joined(list[at+1:end])
	return nil
}

func joined(list []document.Passage) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.Text
	}
	return strings.Join(texts, "\n\n")
}
