package elastic_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
)

// fake is as much of Elasticsearch or OpenSearch as the driver uses. It refuses what the real servers refuse, and everything
// that the driver has no reason to send. It is a server and, so that a test can make time pass, a transport.
type fake struct {
	opensearch bool
	old        bool // before it knew rescore_vector

	mu      sync.Mutex
	indexes map[string]*fakeIndex
	aliases map[string]map[string]bool // their indexes
	log     []string                   // "METHOD path", "bulk n"

	// before may answer a request itself, badly; true says that it did.
	before func(w http.ResponseWriter, r *http.Request, body []byte) bool
}

type fakeIndex struct {
	name string
	meta json.RawMessage
	dims int
	docs map[string]fakeDoc
}

type fakeDoc struct {
	Workspace string    `json:"workspace"`
	Document  string    `json:"document"`
	Passage   string    `json:"passage"`
	Terms     string    `json:"terms"`
	Vector    []float32 `json:"vector"`
	Hash0     uint16    `json:"hash0"`
	Hash1     uint16    `json:"hash1"`
	Hash2     uint16    `json:"hash2"`
	Hash3     uint16    `json:"hash3"`
}

func (d fakeDoc) count(term string) (n float64) {
	for _, t := range strings.Split(d.Terms, " ") {
		if t == term {
			n++
		}
	}
	return n
}

func newFake() *fake {
	return &fake{indexes: map[string]*fakeIndex{}, aliases: map[string]map[string]bool{}}
}

// RoundTrip answers without a network.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

// calls gives the log since it was last asked for.
func (f *fake) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

// trouble lets something else answer; nil ends it.
func (f *fake) trouble(before func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

type object = map[string]any

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r, body) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status, answer := f.answer(r, body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}

func no(status int, kind, say string, args ...any) (int, any) {
	return status, object{"error": object{"type": kind, "reason": fmt.Sprintf(say, args...)}, "status": status}
}

func noIndex(name string) (int, any) {
	return no(404, "index_not_found_exception", "no such index [%s]", name)
}

// strictly reads JSON without fields that are not expected.
func strictly(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func (f *fake) answer(r *http.Request, body []byte) (int, any) {
	name, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.log = append(f.log, r.Method+" "+r.URL.Path)
	kind := "application/json"
	if verb == "_bulk" || verb == "_msearch" {
		kind = "application/x-ndjson"
	}
	if len(body) > 0 && r.Header.Get("Content-Type") != kind {
		return no(406, "media_type_header_exception", "Invalid media-type value on headers [Content-Type]")
	}
	switch r.Method + " " + verb {
	case "PUT ":
		return f.create(name, body)
	case "DELETE ":
		if f.indexes[name] == nil {
			return noIndex(name)
		}
		f.remove(name)
		return 200, object{"acknowledged": true}
	case "GET _mapping":
		if r.URL.RawQuery != "filter_path=*.mappings._meta" {
			return no(400, "illegal_argument_exception", "%s", r.URL.RawQuery)
		}
		return f.mapping(name)
	case "POST _refresh":
		if f.meant(name) == nil {
			return noIndex(name)
		}
		return 200, object{"_shards": object{"total": 2, "successful": 1, "failed": 0}}
	case "POST ":
		if name != "_aliases" {
			break
		}
		return f.swap(body)
	case "POST _bulk":
		if r.URL.RawQuery != "require_alias=true&filter_path=items.*.status,items.*.error.type,items.*.error.reason" {
			return no(400, "illegal_argument_exception", "%s", r.URL.RawQuery)
		}
		return f.bulk(name, body)
	case "POST _search":
		return f.search(name, body)
	case "POST _msearch":
		lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
		var all []any
		for i := 0; i+1 < len(lines); i += 2 {
			status, a := f.search(name, []byte(lines[i+1]))
			a.(object)["status"] = status
			if all = append(all, a); lines[i] != "{}" {
				return no(400, "parsing_exception", "%s", lines[i])
			}
		}
		return 200, object{"took": 1, "responses": all}
	}
	return no(405, "", "Incorrect HTTP method for uri [%s] and method [%s]", r.URL.Path, r.Method)
}

// meant gives the indexes that a name, alias or pattern means.
func (f *fake) meant(name string) (list []*fakeIndex) {
	for _, i := range slices.Sorted(maps.Keys(f.indexes)) {
		if ok, _ := path.Match(name, i); ok || f.aliases[name][i] {
			list = append(list, f.indexes[i])
		}
	}
	return list
}

func (f *fake) remove(index string) {
	delete(f.indexes, index)
	for name, of := range f.aliases {
		if delete(of, index); len(of) == 0 {
			delete(f.aliases, name)
		}
	}
}

func (f *fake) create(name string, body []byte) (int, any) {
	var in struct {
		Settings map[string]bool   `json:"settings"`
		Aliases  map[string]object `json:"aliases"`
		Mappings struct {
			Dynamic    string              `json:"dynamic"`
			Meta       json.RawMessage     `json:"_meta"`
			Source     map[string][]string `json:"_source"`
			Properties map[string]struct {
				Type       string `json:"type"`
				Analyzer   string `json:"analyzer"`
				Options    string `json:"index_options"`
				Index      *bool  `json:"index"`
				Dims       int    `json:"dims"`
				Dimension  int    `json:"dimension"`
				Similarity string `json:"similarity"`
			} `json:"properties"`
		} `json:"mappings"`
	}
	if err := json.Unmarshal(body, &in); err != nil && !strings.Contains(err.Error(), "index_options") {
		return no(400, "parse_exception", "%v", err)
	}
	v := in.Mappings.Properties["vector"]
	switch {
	case v.Type == "dense_vector" && f.opensearch, v.Type == "knn_vector" && (!f.opensearch || !in.Settings["index.knn"]):
		return no(400, "mapper_parsing_exception", "Failed to parse mapping [_doc]: No handler for type [%s] declared on field [vector]", v.Type)
	case in.Mappings.Properties["terms"].Analyzer != "whitespace" || in.Mappings.Dynamic != "strict":
		return no(400, "mapper_parsing_exception", "not as it should be")
	case f.indexes[name] != nil:
		return no(400, "resource_already_exists_exception", "index [%s/x] already exists", name)
	}
	f.indexes[name] = &fakeIndex{name: name, meta: in.Mappings.Meta, dims: max(v.Dims, v.Dimension), docs: map[string]fakeDoc{}}
	for a := range in.Aliases {
		f.aliases[a] = map[string]bool{name: true}
	}
	return 200, object{"acknowledged": true, "shards_acknowledged": true, "index": name}
}

func (f *fake) mapping(name string) (int, any) {
	list := f.meant(name)
	if list == nil && !strings.Contains(name, "*") {
		return noIndex(name)
	}
	out := object{}
	for _, i := range list {
		if len(i.meta) > 0 {
			out[i.name] = object{"mappings": object{"_meta": i.meta}}
		}
	}
	return 200, out
}

func (f *fake) swap(body []byte) (int, any) {
	type action struct {
		Index     string `json:"index"`
		Alias     string `json:"alias"`
		MustExist *bool  `json:"must_exist"`
	}
	var in struct {
		Actions []struct {
			Remove *action `json:"remove"`
			Add    *action `json:"add"`
		} `json:"actions"`
	}
	if err := strictly(body, &in); err != nil {
		return no(400, "parse_exception", "%v", err)
	}
	for _, a := range in.Actions {
		if a.Remove != nil {
			for _, i := range f.meant(a.Remove.Index) {
				delete(f.aliases[a.Remove.Alias], i.name)
			}
			continue
		}
		if f.indexes[a.Add.Index] == nil {
			return noIndex(a.Add.Index)
		}
		if f.aliases[a.Add.Alias] == nil {
			f.aliases[a.Add.Alias] = map[string]bool{}
		}
		f.aliases[a.Add.Alias][a.Add.Index] = true
	}
	return 200, object{"acknowledged": true}
}

func (f *fake) bulk(name string, body []byte) (int, any) {
	var items []object
	indexes := f.meant(name)
	isAlias := f.aliases[name] != nil
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for i := 0; i < len(lines); i++ {
		var action struct {
			Index, Delete *struct {
				ID string `json:"_id"`
			}
		}
		if err := strictly(lines[i], &action); err != nil {
			return no(400, "illegal_argument_exception", "Malformed action/metadata line [%d]", i+1)
		}
		result := func(verb string, status int, kind, say string) {
			item := object{"status": status}
			if kind != "" {
				item["error"] = object{"type": kind, "reason": say}
			}
			items = append(items, object{verb: item})
		}
		if a := action.Delete; a != nil {
			switch {
			case !isAlias:
				result("delete", 404, "index_not_found_exception", "no such index")
			case indexes[0].docs[a.ID].Workspace == "":
				result("delete", 404, "", "")
			default:
				delete(indexes[0].docs, a.ID)
				result("delete", 200, "", "")
			}
			continue
		}
		i++
		var d fakeDoc
		err := strictly(lines[i], &d)
		switch {
		case len(action.Index.ID) > 512:
			return no(400, "action_request_validation_exception", "id is too long")
		case !isAlias:
			result("index", 404, "index_not_found_exception", "require_alias request flag is [true]")
		case err != nil || len(d.Vector) != 0 && len(d.Vector) != indexes[0].dims:
			result("index", 400, "document_parsing_exception", fmt.Sprint("failed to parse: ", err))
		case len(d.Document) > 32766:
			result("index", 400, "document_parsing_exception", "Document contains at least one immense term")
		default:
			indexes[0].docs[action.Index.ID] = d
			result("index", 201, "", "")
		}
	}
	f.log = append(f.log, fmt.Sprint("bulk ", len(items)))
	return 200, object{"items": items}
}

// fakeQuery is a clause, one of these.
type fakeQuery struct {
	Term  map[string]json.RawMessage `json:"term"`
	Terms map[string][]string        `json:"terms"`
	Bool  *struct {
		Filter  []fakeQuery `json:"filter"`
		Should  []fakeQuery `json:"should"`
		Minimum int         `json:"minimum_should_match"`
	} `json:"bool"`
	KNN map[string]fakeKNN `json:"knn"`
}

type fakeKNN struct {
	Vector  []float32 `json:"vector"`
	K       int       `json:"k"`
	Filter  fakeQuery `json:"filter"`
	Rescore *struct {
		Factor float64 `json:"oversample_factor"`
	} `json:"rescore"`
}

type fakeSearch struct {
	Size      int        `json:"size"`
	Track     *bool      `json:"track_total_hits"`
	Terminate int        `json:"terminate_after"`
	Stored    string     `json:"stored_fields"`
	Values    []string   `json:"docvalue_fields"`
	Explain   bool       `json:"explain"`
	Query     *fakeQuery `json:"query"`
	KNN       *struct {
		Field      string      `json:"field"`
		Vector     []float32   `json:"query_vector"`
		K          int         `json:"k"`
		Candidates int         `json:"num_candidates"`
		Filter     []fakeQuery `json:"filter"`
		Rescore    *struct {
			Oversample float64 `json:"oversample"`
		} `json:"rescore_vector"`
	} `json:"knn"`
	Aggs map[string]struct {
		Sum     map[string]string `json:"sum"`
		Filters *struct {
			Filters []fakeQuery `json:"filters"`
		} `json:"filters"`
	} `json:"aggs"`
}

type fakeTerm struct {
	Value string  `json:"value"`
	Boost float64 `json:"boost"`
	Name  string  `json:"_name"`
}

// term reads both forms of a term's value.
func term(raw json.RawMessage) (t fakeTerm) {
	t.Boost = 1
	if json.Unmarshal(raw, &t.Value) != nil {
		strictly(raw, &t)
	}
	return t
}

func (d fakeDoc) field(name string) string {
	return map[string]string{"workspace": d.Workspace, "document": d.Document}[name]
}

// matches tells whether a document is admitted.
func (q *fakeQuery) matches(d fakeDoc) bool {
	if q == nil {
		return true
	}
	for name, raw := range q.Term {
		if t := term(raw); name == "terms" && d.count(t.Value) == 0 || name != "terms" && d.field(name) != t.Value {
			return false
		}
	}
	for name, values := range q.Terms {
		if !slices.Contains(values, d.field(name)) {
			return false
		}
	}
	if b := q.Bool; b != nil {
		for _, f := range b.Filter {
			if !f.matches(d) {
				return false
			}
		}
		n := 0
		for _, s := range b.Should {
			if s.matches(d) {
				n++
			}
		}
		return n >= b.Minimum || len(b.Should) == 0
	}
	return true
}

type fakeHit struct {
	id    string
	score float64
	names []string
	why   []object
	doc   fakeDoc
}

// scorer gives BM25 of the terms that should match.
func (q *fakeQuery) scorer(i *fakeIndex) func(*fakeHit) {
	if q == nil || q.Bool == nil || len(q.Bool.Should) == 0 {
		return func(*fakeHit) {}
	}
	var terms []fakeTerm
	for _, s := range q.Bool.Should {
		for _, raw := range s.Term {
			terms = append(terms, term(raw))
		}
	}
	n, total, df := float64(len(i.docs)), 0.0, make([]float64, len(terms))
	for _, d := range i.docs {
		total += float64(len(strings.Split(d.Terms, " ")))
		for j, t := range terms {
			df[j] += min(1, d.count(t.Value))
		}
	}
	return func(h *fakeHit) {
		for j, t := range terms {
			tf := h.doc.count(t.Value)
			if tf == 0 {
				continue
			}
			idf := math.Log(1 + (n-df[j]+.5)/(df[j]+.5))
			score := t.Boost * idf * tf / (tf + 1.2*(.25+.75*float64(len(strings.Split(h.doc.Terms, " ")))/(total/n)))
			h.score += score
			h.names = append(h.names, t.Name)
			h.why = append(h.why, object{"value": score, "description": "weight(terms:" + t.Value + " in 0) [PerFieldSimilarity], result of:", "details": []object{
				{"value": idf, "description": "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:", "details": []object{}},
				{"value": tf, "description": "freq, occurrences of term within document", "details": []object{}},
			}})
		}
	}
}

func (f *fake) search(name string, body []byte) (int, any) {
	indexes := f.meant(name)
	if len(indexes) != 1 {
		status, a := noIndex(name)
		return status, a
	}
	var in fakeSearch
	if err := strictly(body, &in); err != nil {
		status, a := no(400, "x_content_parse_exception", "%v", err)
		return status, a
	}
	i := indexes[0]
	var vector []float32
	k, query := len(i.docs), in.Query
	switch {
	case in.KNN != nil:
		if f.opensearch || in.KNN.Field != "vector" || in.KNN.Candidates < in.KNN.K || f.old && in.KNN.Rescore != nil {
			return no(400, "x_content_parse_exception", "[1:2] [knn] unknown field [rescore_vector]")
		}
		vector, k = in.KNN.Vector, in.KNN.K
		query = &fakeQuery{Bool: &struct {
			Filter  []fakeQuery `json:"filter"`
			Should  []fakeQuery `json:"should"`
			Minimum int         `json:"minimum_should_match"`
		}{Filter: in.KNN.Filter}}
	case in.Query != nil && in.Query.KNN != nil:
		clause := in.Query.KNN["vector"]
		if !f.opensearch {
			return no(400, "parsing_exception", "[knn] query malformed")
		}
		vector, k, query = clause.Vector, clause.K, &clause.Filter
	}
	if vector != nil && len(vector) != i.dims {
		return no(400, "search_phase_execution_exception", "the query vector has a different dimension [%d] than the index vectors [%d]", len(vector), i.dims)
	}
	score := query.scorer(i)
	hits := []fakeHit{}
	for id, d := range i.docs {
		if !query.matches(d) || vector != nil && d.Vector == nil {
			continue
		}
		h := fakeHit{id: id, doc: d}
		if vector != nil {
			h.score = (1 + cosine(vector, d.Vector)) / 2
		} else {
			score(&h)
		}
		hits = append(hits, h)
	}
	// Ties come in no order that anybody promised.
	slices.SortFunc(hits, func(a, b fakeHit) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.id, a.id)) })
	return 200, in.told(hits, hits[:min(k, in.Size, len(hits))])
}

// told makes an answer of what matches and what is shown of it.
func (in fakeSearch) told(all, shown []fakeHit) object {
	list := []object{}
	for _, h := range shown {
		o := object{"_score": h.score, "fields": fields(h.doc, in.Values), "matched_queries": h.names}
		if in.Explain {
			o["_explanation"] = object{"value": h.score, "description": "sum of:", "details": h.why}
		}
		list = append(list, o)
	}
	hits := object{"hits": list}
	if in.Track != nil && *in.Track {
		hits["total"] = object{"value": len(all), "relation": "eq"}
	}
	aggs := object{}
	for name, a := range in.Aggs {
		if a.Filters != nil {
			buckets := []object{}
			for _, q := range a.Filters.Filters {
				n := 0
				for _, h := range all {
					if q.matches(h.doc) {
						n++
					}
				}
				buckets = append(buckets, object{"doc_count": n})
			}
			aggs[name] = object{"buckets": buckets}
			continue
		}
		sum := 0.0
		for _, h := range all {
			sum += float64(map[string]uint16{"hash0": h.doc.Hash0, "hash1": h.doc.Hash1, "hash2": h.doc.Hash2, "hash3": h.doc.Hash3}[a.Sum["field"]])
		}
		aggs[name] = object{"value": sum}
	}
	return object{"took": 1, "timed_out": false, "_shards": object{"total": 1, "successful": 1, "skipped": 0, "failed": 0}, "hits": hits, "aggregations": aggs}
}

// fields are the columns that are asked for.
func fields(d fakeDoc, names []string) object {
	o := object{}
	for _, n := range names {
		o[n] = []string{map[string]string{"workspace": d.Workspace, "document": d.Document, "passage": d.Passage}[n]}
	}
	return o
}

func cosine(a, b []float32) float64 {
	var dot, x, y float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		x += float64(a[i]) * float64(a[i])
		y += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(x*y)
}
