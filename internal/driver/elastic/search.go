package elastic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

const (
	// maxTerms of a question are asked for: OpenSearch takes 1,024 clauses.
	maxTerms = 1000
	// maxNames is how many values one terms clause takes.
	maxNames = 65_536
	// maxHits is how many hits a server gives.
	maxHits = 10_000
	// nearest is how many neighbours are looked for at least: the graph finds the first ten more surely when it looks for more.
	nearest = 100
)

// answer is what we read of a search's.
type answer struct {
	TimedOut bool `json:"timed_out"`
	Shards   struct {
		Total      int `json:"total"`
		Successful int `json:"successful"`
		Failed     int `json:"failed"`
	} `json:"_shards"`
	Hits struct {
		Total struct {
			Value int `json:"value"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggregations map[string]struct {
		Value   float64 `json:"value"`
		Buckets []struct {
			Count int `json:"doc_count"`
		} `json:"buckets"`
	} `json:"aggregations"`
	Error  json.RawMessage `json:"error"` // of one search of several
	Status int             `json:"status"`
}

type hit struct {
	Score  float64 `json:"_score"`
	Fields struct {
		Workspace []string `json:"workspace"`
		Document  []string `json:"document"`
		Passage   []string `json:"passage"`
	} `json:"fields"`
	Matched     []string     `json:"matched_queries"`
	Explanation *explanation `json:"_explanation"`
}

// whole tells whether all of the index answered.
func (a *answer) whole() error {
	if len(a.Error) > 0 {
		var c cause
		if json.Unmarshal(a.Error, &c) != nil {
			c.Reason = string(a.Error)
		}
		return classified(a.Status, c)
	}
	if s := a.Shards; a.TimedOut || s.Failed > 0 || s.Successful < s.Total || s.Total == 0 {
		return unavailable(codePartial, "Elasticsearch answers from a part of what it holds.",
			fmt.Errorf("%d of %d shards answered, timed out: %t", s.Successful, s.Total, a.TimedOut))
	}
	return nil
}

// ask sends one search.
func (e *Engine) ask(ctx context.Context, index string, in object) (*answer, error) {
	var a answer
	if err := e.client.do(ctx, request{method: http.MethodPost, path: "/" + index + "/_search", in: in, attempts: 2}, &a); err != nil {
		return nil, err
	}
	return &a, a.whole()
}

// askBoth sends two searches as one request.
func (e *Engine) askBoth(ctx context.Context, first, second object) (one, two *answer, err error) {
	var body bytes.Buffer
	for _, in := range []object{first, second} {
		body.WriteString("{}\n")
		if err := json.NewEncoder(&body).Encode(in); err != nil { // ends with a newline
			return nil, nil, fmt.Errorf("write a request: %w", err)
		}
	}
	var out struct {
		Responses []*answer `json:"responses"`
	}
	if err := e.client.do(ctx, request{method: http.MethodPost, path: "/" + e.prefix + "/_msearch", in: lines(body.Bytes()), attempts: 2}, &out); err != nil {
		return nil, nil, err
	}
	if len(out.Responses) != 2 || out.Responses[0] == nil || out.Responses[1] == nil {
		return nil, nil, strange(fmt.Errorf("%d answers to two searches", len(out.Responses)))
	}
	one, two = out.Responses[0], out.Responses[1]
	return one, two, cmp.Or(one.whole(), two.whole())
}

func ofWorkspace(ws ident.Workspace) object {
	return object{"term": object{"workspace": string(ws)}}
}

// asked is a question with the documents that it is limited to, sorted; nil are all.
type asked struct {
	search.Query
	documents []string
}

// none tells whether nothing is asked for.
func (q asked) none() bool { return q.K <= 0 || q.Documents != nil && len(q.documents) == 0 }

// filter admits a question's workspace and documents.
func (q asked) filter() []object {
	all := []object{ofWorkspace(q.Workspace)}
	if q.Documents == nil {
		return all
	}
	some := []object{}
	for part := range slices.Chunk(q.documents, maxNames) {
		some = append(some, object{"terms": object{"document": part}})
	}
	return append(all, object{"bool": object{"should": some, "minimum_should_match": 1}})
}

// Lexical ranks passages by BM25 as the server counts it.
func (e *Engine) Lexical(ctx context.Context, q search.Query) (search.Found, error) {
	return e.search(ctx, q, e.byWords)
}

// Vector ranks passages by cosine. It finds approximate neighbours by a graph of codes; their cosines are exact.
func (e *Engine) Vector(ctx context.Context, q search.Query) (search.Found, error) {
	return e.search(ctx, q, e.byMeaning)
}

type leg func(context.Context, generation, asked) ([]search.Candidate, error)

// search asks once more when the index was swapped while it was searched.
func (e *Engine) search(ctx context.Context, question search.Query, ask leg) (search.Found, error) {
	q := asked{Query: question}
	if q.Documents != nil {
		q.documents = slices.DeleteFunc(slices.Sorted(maps.Keys(q.Documents)), func(id string) bool { return !q.Documents[id] })
	}
	g, err := e.current(ctx)
	if err != nil {
		return search.Found{}, fmt.Errorf("search Elasticsearch: %w", err)
	}
	list, err := ask(ctx, g, q)
	if swappable(err) {
		e.forget()
		now, err2 := e.current(ctx)
		switch {
		case errors.Is(err2, unavailable(codeEmpty, "", nil)):
			err = err2
		case err2 == nil && now.Index != g.Index:
			list, err = ask(ctx, now, q)
		}
	}
	if err != nil {
		return search.Found{}, fmt.Errorf("search Elasticsearch: %w", err)
	}
	slices.SortFunc(list, func(a, b search.Candidate) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.PassageID, b.PassageID))
	})
	return search.Found{Candidates: list, Total: len(list)}, nil
}

// swappable tells whether an error can come from an index that another one replaces: it is gone, its shards are, or its
// vectors are of other dimensions.
func swappable(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return refused(err, http.StatusNotFound, http.StatusBadRequest, http.StatusServiceUnavailable) || ok && f.Code == codePartial
}

func (e *Engine) byWords(ctx context.Context, _ generation, q asked) ([]search.Candidate, error) {
	terms := distinct(q.Terms)
	if len(terms) == 0 || q.none() {
		return nil, nil
	}
	should, counts := make([]object, len(terms)), make([]object, len(terms))
	for i, t := range terms {
		should[i] = object{"term": object{"terms": object{"value": t.Text, "boost": t.Weight, "_name": strconv.Itoa(i)}}}
		counts[i] = object{"term": object{"terms": t.Text}}
	}
	hits := shown(q)
	hits["query"] = object{"bool": object{"filter": q.filter(), "should": should, "minimum_should_match": 1}}
	if q.Explain {
		hits["explain"] = true
	}
	// What the whole workspace has, for the idf; the server remembers it until something changes.
	mass := object{"size": 0, "track_total_hits": true, "query": ofWorkspace(q.Workspace),
		"aggs": object{"terms": object{"filters": object{"filters": counts}}}}
	found, counted, err := e.askBoth(ctx, hits, mass)
	if err != nil {
		return nil, err
	}
	buckets := counted.Aggregations["terms"].Buckets
	if len(buckets) != len(terms) {
		return nil, strange(fmt.Errorf("%d counts of %d terms", len(buckets), len(terms)))
	}
	passages := counted.Hits.Total.Value
	for i := range terms {
		terms[i].Passages = buckets[i].Count
	}
	covered := lexical.Coverage(passages, terms)
	return candidates(found, q, func(h hit, c *search.Candidate) {
		has := make([]bool, len(terms))
		for _, name := range h.Matched {
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(has) {
				has[i] = true
			}
		}
		c.Score, c.Coverage = h.Score, covered(func(term int) bool { return has[term] })
		if q.Explain {
			c.Terms = h.Explanation.of(passages, terms)
		}
	})
}

func (e *Engine) byMeaning(ctx context.Context, g generation, q asked) ([]search.Candidate, error) {
	if g.Dims == 0 || len(q.Vector) == 0 {
		return nil, fault.Bad("body.mode", "semantic_unavailable", "There is no search by meaning here. Use the mode lexical or hybrid.")
	}
	if why := unfit(q.Vector, g.Dims); why != "" {
		return nil, fault.New(fault.Invalid, "bad_vector", "The question cannot be searched by meaning: %s.", why)
	}
	if q.none() {
		return nil, nil
	}
	rescore := !e.scoreless.Load()
	a, err := e.ask(ctx, e.prefix, near(g, q, rescore))
	if r, ok := errors.AsType[*refusal](err); ok && rescore && r.status == http.StatusBadRequest && strings.Contains(r.Reason, "rescore") {
		e.scoreless.Store(true)
		a, err = e.ask(ctx, e.prefix, near(g, q, false))
	}
	if err != nil {
		return nil, err
	}
	return candidates(a, q, func(h hit, c *search.Candidate) { c.Score = 2*h.Score - 1 }) // both servers give (1 + cosine) / 2
}

// near is the search for neighbours, in the words of the server that made the index. rescore asks for exact scores.
func near(g generation, q asked, rescore bool) object {
	in := shown(q)
	k := min(maxHits, max(nearest, 2*q.K))
	if g.Vectors == knn {
		clause := object{"vector": q.Vector, "k": k, "filter": object{"bool": object{"filter": q.filter()}}}
		if rescore {
			clause["rescore"] = object{"oversample_factor": 1}
		}
		in["query"] = object{"knn": object{"vector": clause}}
		return in
	}
	clause := object{"field": "vector", "query_vector": q.Vector, "k": k, "num_candidates": k, "filter": q.filter()}
	if rescore {
		clause["rescore_vector"] = object{"oversample": 1}
	}
	in["knn"] = clause
	return in
}

// shown is a search that gives as many hits as are wanted, with no more of them than we need. Columns are read without a look
// at the stored rows, which hold ids, too: a hundred hits cost half of the time.
func shown(q asked) object {
	return object{"size": min(q.K, maxHits), "track_total_hits": false, "stored_fields": "_none_", "docvalue_fields": []string{"workspace", "document", "passage"}}
}

// candidates makes candidates of hits; score fills in what is its leg's.
func candidates(a *answer, q asked, score func(hit, *search.Candidate)) ([]search.Candidate, error) {
	list := make([]search.Candidate, 0, len(a.Hits.Hits))
	for _, h := range a.Hits.Hits {
		f := h.Fields
		switch {
		case len(f.Workspace) != 1 || len(f.Document) != 1 || len(f.Passage) != 1:
			return nil, strange(fmt.Errorf("a hit of %d workspaces, %d documents, %d passages", len(f.Workspace), len(f.Document), len(f.Passage)))
		case f.Workspace[0] != string(q.Workspace) || q.Documents != nil && !q.Documents[f.Document[0]]:
			return nil, strange(fmt.Errorf("a hit %s of a workspace or document that was not asked for", f.Passage[0]))
		}
		c := search.Candidate{PassageID: f.Passage[0], DocumentID: f.Document[0]}
		score(h, &c)
		list = append(list, c)
	}
	return list, nil
}
