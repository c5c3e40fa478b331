package search

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/chunk"
	"byline/internal/engine/embed"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
)

// Reply answers a question in the words of the sources.
type Reply struct {
	Text     string  // the quotes, each with its number; or that there is no evidence
	Quotes   []Quote // what Text is made of
	Evidence bool
	Engine   string
	Degraded []string
}

// Quote is a stretch of a document, word for word.
type Quote struct {
	DocumentID, DocumentName, PassageID string
	Page                                int // 0 where there are no pages
	Start, End                          int // UTF-8 byte offsets in the document's text
	Text                                string
}

const (
	// quoted is how many passages a reply quotes at most.
	quoted = 3
	// sentencesOf a passage that are quoted at most: those in a row that answer best.
	sentencesOf = 2
	// nothingFound is said instead of an answer that the sources do not give.
	nothingFound = "There is no evidence for an answer in these documents."
)

// Ask answers a question without a model: the sentences of the best passages that answer it best, as they stand, or that there
// is no evidence.
func (s *Searcher) Ask(ctx context.Context, q Question) (Reply, error) {
	found, err := s.Search(ctx, q)
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{Text: nothingFound, Evidence: found.Evidence, Engine: found.Engine, Degraded: found.Degraded}
	if !found.Evidence {
		return reply, nil
	}
	languages, err := s.spoken(ctx, q.Workspace)
	if err != nil {
		return Reply{}, err
	}
	terms := lexical.Query(q.Text, languages...)
	var lines []string
	for _, h := range found.Hits {
		if h.Score < evidenceScore {
			continue
		}
		span, ok, err := s.best(ctx, q, h, terms)
		if err != nil {
			return Reply{}, err
		}
		if !ok {
			continue
		}
		p := h.Passage
		reply.Quotes = append(reply.Quotes, Quote{p.DocumentID, h.DocumentName, p.ID, p.PageFrom, p.Start + span.Start, p.Start + span.End, p.Text[span.Start:span.End]})
		lines = append(lines, fmt.Sprintf("%s [%d]", strings.Join(strings.Fields(p.Text[span.Start:span.End]), " "), len(reply.Quotes)))
		if len(reply.Quotes) == quoted {
			break
		}
	}
	if len(lines) == 0 {
		reply.Evidence = false
		return reply, nil
	}
	reply.Text = strings.Join(lines, "\n\n")
	return reply, nil
}

// fragment is what a stretch that does not end as a sentence does is worth beside one that does: a row of a table, an item of a list.
const fragment = .7

// best finds the sentences of a hit that answer the question best: by its words, or where they are not in it by meaning. Headings answer
// nothing; ok is false when there is nothing else.
func (s *Searcher) best(ctx context.Context, q Question, h Hit, terms []lexical.Term) (_ Span, ok bool, _ error) {
	text := h.Passage.Text
	sentences := slices.DeleteFunc(chunk.Sentences(text), func(sp chunk.Span) bool { return heads(text, sp, h.Passage.HeadingPath) })
	if len(sentences) == 0 {
		return Span{}, false, nil
	}
	scores := make([]float64, len(sentences))
	var most float64
	for i, sp := range sentences {
		p := h.Passage
		p.Text, p.HeadingPath = text[sp.Start:sp.End], nil
		scores[i] = coverage(p, terms)
		most = max(most, scores[i])
	}
	if most == 0 {
		if err := s.likeness(ctx, q.Text, text, sentences, scores); err != nil {
			return Span{}, false, err
		}
	}
	for i, sp := range sentences {
		if !ends(text[sp.Start:sp.End]) {
			scores[i] *= fragment
		}
	}
	from, to, value := 0, 0, -1.0
	for i := range sentences {
		sum := 0.0
		for j := i; j < min(len(sentences), i+sentencesOf); j++ {
			if j > i && (!ends(text[sentences[i].Start:sentences[i].End]) || strings.Contains(text[sentences[j-1].End:sentences[j].Start], "\n\n")) {
				break // not one sentence behind another
			}
			sum += scores[j]
			// A second sentence must bring something of its own.
			if v := sum / (1 + .6*float64(j-i)); v > value+1e-9 {
				from, to, value = i, j, v
			}
		}
	}
	return Span{sentences[from].Start, sentences[to].End}, true, nil
}

// heads tells whether a sentence of a text is a heading: one of those it stands under, or a few words without a figure and an end on a
// line with nothing around it.
func heads(text string, sp chunk.Span, path []string) bool {
	s := text[sp.Start:sp.End]
	if slices.Contains(path, strings.Trim(s, "#*_ \t")) {
		return true
	}
	const few = 10
	alone := (sp.Start == 0 || strings.HasSuffix(text[:sp.Start], "\n\n")) && (sp.End == len(text) || strings.HasPrefix(text[sp.End:], "\n\n"))
	return alone && !ends(s) && !strings.ContainsAny(s, "\n|") && !strings.HasPrefix(s, "- ") && len(strings.Fields(s)) <= few && !strings.ContainsFunc(s, unicode.IsDigit)
}

// ends tells whether a stretch of text ends as a sentence does, whatever closes behind that.
func ends(text string) bool {
	text = strings.TrimRight(text, "\"'”’»›)]}*_」』）")
	return text != "" && strings.ContainsRune(".!?…。！？؟।", lastRune(text))
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// likeness scores sentences by their cosine with the question, as far as there is an embedder.
func (s *Searcher) likeness(ctx context.Context, question, text string, sentences []chunk.Span, scores []float64) error {
	if s.meaning == nil {
		return nil
	}
	e, _, err := s.meaning.Serving(ctx)
	if e == nil || err != nil {
		return err
	}
	texts := []string{question}
	for _, sp := range sentences {
		texts = append(texts, text[sp.Start:sp.End])
	}
	vectors, err := e.Passages(ctx, texts)
	if err != nil {
		if f := fault.Of(err); f != nil && f.Kind == fault.Unavailable {
			return nil // the first sentences stand for the passage
		}
		return err
	}
	for i := range scores {
		scores[i] = max(0, dot(vectors[0], vectors[i+1]))
	}
	return nil
}

func dot(a, b embed.Vector) (sum float64) {
	for i := range min(len(a.Values), len(b.Values)) {
		sum += float64(a.Values[i]) * float64(b.Values[i])
	}
	return sum
}
