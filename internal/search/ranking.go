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

// The say of the leg by meaning in a hybrid search, the rest is the words': measured on five English sets that are kept apart
// (nDCG@10 .5515 against .492 of words alone with the encoder; .512 with the table, which is weaker).
const (
	encoderWeight = .4
	tableWeight   = .3
	// foreignWeight is the most in a language with Latin letters that an English embedder was not trained on.
	foreignWeight = .1
)

// queryTime is how long the embedding of a question may take; then the words are on their own.
const queryTime = 2 * time.Second

// evidenceScore is the score from which on a passage counts as evidence.
const evidenceScore = .35

// worth is what a cosine is worth as a score, 0..1: texts that have nothing to do with each other come to .2 with the
// embedders built in, paraphrases to .8.
func worth(cosine float64) float64 { return min(1, max(0, (cosine-.2)/.6)) }

// ranking is one search under way.
type ranking struct {
	Question
	s         *Searcher
	documents map[string]bool
	k         int

	terms    []lexical.Term
	words    leg
	meaning  leg
	fused    []fuse.Fused
	degraded []string
}

// leg is one way of searching and what it found.
type leg struct {
	Found
	weight float64
	why    string
	at     map[string]int // index of a passage in Candidates
}

func (l *leg) side() fuse.Side {
	side := fuse.Side{Weight: l.weight, Ranking: make([]fuse.Ranked, len(l.Candidates))}
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
	words, meaning := r.words.side(), r.meaning.side()
	if len(meaning.Ranking) > 0 {
		if flaw := fuse.Flaw(meaning.Ranking); flaw != "" && r.Mode == Hybrid {
			r.meaning.weight, meaning.Weight, r.meaning.why = 0, 0, flaw
			r.words.weight, words.Weight = 1, 1
			r.degraded = append(r.degraded, "vectors_"+flaw)
		}
	}
	if r.Fusion == RRF {
		r.fused = fuse.RRF(words, meaning)
	} else {
		r.fused = fuse.Convex(words, meaning)
	}
	r.fused = slices.DeleteFunc(r.fused, func(f fuse.Fused) bool { return !r.answers(f.ID) })
	return nil
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
	i, ok := r.meaning.at[id]
	return ok && r.meaning.weight > foreignWeight && worth(r.meaning.Candidates[i].Score) > 0
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
	r.meaning.Found = found
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
			if !ok || len(hits) == r.TopK || texts[p.Hash] || !r.Filters.onPages(p) || r.PerDocument > 0 && per[p.DocumentID] == r.PerDocument {
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
			h.Score = max(h.Score, worth(c.Score))
		}
	}
	for _, s := range lexical.Highlights(l.Passage.Text, l.Passage.Language, r.terms) {
		h.Highlights = append(h.Highlights, Span(s))
	}
	if r.Explain {
		why.Lexical.Weight, why.Vector.Weight = r.words.weight, r.meaning.weight
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
