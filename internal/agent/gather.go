package agent

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/engine/summarize"
	"byline/internal/fault"
	"byline/internal/runs"
	"byline/internal/search"
)

// hits is the data of retrieval.hits.
type hits struct {
	SectionID string `json:"section_id,omitempty"`
	Query     string `json:"query"`
	Hits      []hit  `json:"hits"`
}

type hit struct {
	PassageID    string  `json:"passage_id"`
	DocumentID   string  `json:"document_id"`
	DocumentName string  `json:"document_name"`
	Page         int     `json:"page,omitempty"`
	Score        float64 `json:"score"`
}

// The bounds of a search for evidence: bytes of the query, passages found for a section, and how many of them a model is shown.
const (
	longQuery = 500
	topHits   = 12
	shown     = 8
)

// doGather is the node that searches evidence for each section, in the sources and, if the wish allows it, on the web.
func (r *round) doGather(ctx context.Context) (string, []runs.NewEvent, error) {
	var events []runs.NewEvent
	if r.model != nil && r.wish.Brief.Web {
		said, err := r.searchWeb(ctx)
		if err != nil {
			return "", nil, err
		}
		events = append(events, said...)
	}
	ids := slices.Clone(r.post.WebIDs)
	for _, d := range r.docs {
		ids = append(ids, d.ID)
	}
	numbers := map[string]int{} // of evidence, by passage
	var kept []section
	for _, s := range r.post.Sections {
		answer, err := r.findFor(ctx, s, ids)
		if err != nil {
			return "", nil, err
		}
		h := hits{SectionID: s.ID, Query: s.Query, Hits: []hit{}}
		for _, x := range answer.Hits {
			h.Hits = append(h.Hits, hit{x.Passage.ID, x.Passage.DocumentID, x.DocumentName, x.Passage.PageFrom, x.Score})
		}
		events = append(events, runs.NewEvent{Type: runs.EventHits, Data: h})
		if r.model == nil {
			r.post.Found = append(r.post.Found, r.evidence(answer))
			continue
		}
		if s.Evidence = r.number(answer, numbers); len(s.Evidence) == 0 {
			r.post.Gaps = append(r.post.Gaps, s.Title)
			continue
		}
		kept = append(kept, s)
	}
	if r.model == nil {
		return nodeWrite, events, nil
	}
	if len(kept) == 0 {
		return "", nil, noEvidence(r.post.Gaps)
	}
	r.post.Sections = kept
	gaps, err := r.uncovered(ctx, ids)
	if err != nil {
		return "", nil, err
	}
	r.post.Gaps = append(r.post.Gaps, gaps...)
	if len(r.post.Gaps) > 0 {
		events = append(events, notice("no_evidence", "The sources say nothing about: %s.", strings.Join(r.post.Gaps, ", ")))
	}
	return nodeWrite, events, nil
}

func noEvidence(gaps []string) error {
	return fault.New(fault.Invalid, "no_evidence", "The sources say nothing about what was asked for: %s. Add documents about it, or ask for something else.", strings.Join(gaps, ", "))
}

// The bounds of a search on the web: searches, and pages that are read.
const (
	webQueries = 3
	webPages   = 6
)

// searchWeb adds pages of the web to the sources. What is searched for is the author's words only: neither a source nor a model that has
// read one has a say in it.
func (r *round) searchWeb(ctx context.Context) ([]runs.NewEvent, error) {
	if r.writer.Web == nil {
		return []runs.NewEvent{notice("web_not_configured", "The web was not searched: no search engine is set up. Set TAVILY_API_KEY or BYLINE_SEARXNG_URL.")}, nil
	}
	b := r.wish.Brief
	var queries []string
	for _, q := range slices.Concat([]string{r.wish.Title}, b.Topics, b.Must, b.Outline, []string{r.wish.Instructions}) {
		if q = clip(strings.Join(strings.Fields(q), " "), longQuery); q != "" && !slices.Contains(queries, q) && len(queries) < webQueries {
			queries = append(queries, q)
		}
	}
	if len(queries) == 0 {
		return []runs.NewEvent{notice("web_nothing_asked", "The web was not searched: the brief says nothing that could be looked for. Give a title, topics or instructions.")}, nil
	}
	docs, said, err := r.writer.Web.Gather(ctx, r.job, queries, webPages)
	if err != nil {
		return nil, err
	}
	var events []runs.NewEvent
	for _, s := range said {
		events = append(events, notice("web", "%s", s))
	}
	for _, d := range docs {
		if !slices.Contains(r.post.WebIDs, d.ID) && !slices.ContainsFunc(r.docs, func(x document.Document) bool { return x.ID == d.ID }) {
			r.post.WebIDs = append(r.post.WebIDs, d.ID)
		}
	}
	if len(r.post.WebIDs) == 0 {
		return events, nil
	}
	return events, r.writer.Versions.AddSources(ctx, r.job.Lease(), r.post.WebIDs)
}

func (r *round) find(ctx context.Context, query string, ids []string) (search.Answer, error) {
	mode := search.Hybrid
	if r.model == nil { // what is found by meaning depends on how far documents are embedded, and an extract must not
		mode = search.Lexical
	}
	answer, err := r.writer.Searcher.Search(ctx, search.Question{
		Workspace: r.job.Run().Workspace, Text: clip(query, longQuery), DocumentIDs: ids, TopK: topHits, Mode: mode,
	})
	if f := fault.Of(err); f != nil && f.Kind == fault.Invalid { // a heading without a word that can be searched
		return search.Answer{}, nil
	}
	if err != nil {
		return search.Answer{}, fmt.Errorf("search %q: %w", query, err)
	}
	return answer, nil
}

// general are headings that say nothing of what stands below them.
var general = regexp.MustCompile(`(?i)^(?:introduction|intro|overview|background|conclusions?|summary|outlook|wrap.?up|in short|key (?:points|takeaways)|서론|서문|들어가며|개요|배경|결론|마무리|맺음말|요약|전망|핵심 내용)$`)

// findFor searches evidence for a section: by its title and what it is to be about, by the title alone where that gives nothing, and
// by what the whole post is about for an introduction and the like.
func (r *round) findFor(ctx context.Context, s section, ids []string) (search.Answer, error) {
	queries := []string{s.Query}
	if r.model != nil {
		queries = append(queries, s.Title)
		if general.MatchString(strings.TrimSpace(s.Title)) {
			queries = append(queries, strings.Join(append([]string{r.post.Title}, r.wish.Brief.Topics...), " "))
		}
	}
	var first search.Answer
	for i, q := range queries {
		answer, err := r.find(ctx, q, ids)
		if err != nil {
			return search.Answer{}, err
		}
		if i == 0 {
			first = answer
		}
		if answer.Evidence {
			return answer, nil
		}
	}
	return first, nil
}

// evidence is what was found, as places in the texts.
func (r *round) evidence(a search.Answer) []summarize.Evidence {
	found := []summarize.Evidence{}
	for _, x := range a.Hits {
		for i, d := range r.docs {
			if d.ID == x.Passage.DocumentID {
				found = append(found, summarize.Evidence{Source: i, Start: x.Passage.Start, End: x.Passage.End, Score: x.Score})
			}
		}
	}
	return found
}

// number gives ids to the passages that a section's writer is shown. Sources that were replaced by newer ones are left out.
func (r *round) number(a search.Answer, numbers map[string]int) (list []int) {
	old := map[string]bool{}
	for _, x := range r.survey.Superseded {
		old[r.docs[x.Source].ID] = true
	}
	for _, x := range a.Hits {
		p := x.Passage
		if old[p.DocumentID] || len(list) == shown || x.Score <= 0 {
			continue
		}
		n, ok := numbers[p.ID]
		if !ok {
			n = len(r.post.Evidence)
			numbers[p.ID] = n
			r.post.Evidence = append(r.post.Evidence, passage{p.ID, p.DocumentID, p.Start, p.End, p.PageFrom})
		}
		list = append(list, n)
	}
	return list
}

// uncovered are the topics and musts of the brief that the sources do not know.
func (r *round) uncovered(ctx context.Context, ids []string) (gaps []string, err error) {
	for _, t := range slices.Concat(r.wish.Brief.Topics, r.wish.Brief.Must) {
		answer, err := r.find(ctx, t, ids)
		if err != nil {
			return nil, err
		}
		if !answer.Evidence && !slices.Contains(gaps, t) && !slices.Contains(r.post.Gaps, t) {
			gaps = append(gaps, t)
		}
	}
	return gaps, nil
}

// clip cuts a text to n bytes, at a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
