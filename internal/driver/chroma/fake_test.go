package chroma_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fake is as much of Chroma's API v2 as the driver uses. It refuses what the real server refuses, and everything that the
// driver has no reason to send. It is a server and, so that a test can make time pass, a transport.
type fake struct {
	maxBatch int
	base64   bool

	mu          sync.Mutex
	collections []*fakeCollection // in the order of their making
	made        int
	log         []string // "METHOD path", collections by name

	// before may answer a request itself, badly; true says that it did.
	before func(w http.ResponseWriter, r *http.Request, body []byte) bool
}

type fakeCollection struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Metadata      map[string]any `json:"metadata"`
	dims          int
	ids           []string
	rows          map[string]fakeRow
	configuration json.RawMessage
}

type fakeRow struct {
	vector   []float32
	metadata map[string]any
}

const fakeRoot = "/api/v2/tenants/default_tenant/databases/default_database/collections"

func newFake() *fake { return &fake{maxBatch: 5461, base64: true} }

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

// names of the collections that are there, sorted.
func (f *fake) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, c := range f.collections {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

func (f *fake) named(name string) *fakeCollection {
	for _, c := range f.collections {
		if c.Name == name {
			return c
		}
	}
	return nil
}

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

func no(status int, say string, args ...any) (int, any) {
	return status, map[string]string{"error": "ChromaError", "message": fmt.Sprintf(say, args...)}
}

// strictly reads JSON without fields that are not expected.
func strictly(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

var fakeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$`)

func (f *fake) answer(r *http.Request, body []byte) (int, any) {
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		return no(415, "Expected request with `Content-Type: application/json`")
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v2/heartbeat":
		return 200, map[string]int64{"nanosecond heartbeat": 1}
	case "GET /api/v2/pre-flight-checks":
		f.log = append(f.log, "GET pre-flight-checks")
		return 200, map[string]any{"max_batch_size": f.maxBatch, "supports_base64_encoding": f.base64}
	case "GET " + fakeRoot:
		limit, offset := number(r, "limit"), number(r, "offset")
		f.log = append(f.log, fmt.Sprintf("GET collections %d", offset))
		return 200, f.collections[min(offset, len(f.collections)):min(offset+limit, len(f.collections))]
	case "POST " + fakeRoot:
		return f.create(body)
	}
	rest, ok := strings.CutPrefix(r.URL.Path, fakeRoot+"/")
	if !ok {
		return no(404, "no such path: %s", r.URL.Path)
	}
	key, verb, _ := strings.Cut(rest, "/")
	byID := r.Method == http.MethodPost || r.Method == http.MethodPut
	i := slices.IndexFunc(f.collections, func(c *fakeCollection) bool { return byID && c.ID == key || !byID && c.Name == key })
	if i < 0 {
		f.log = append(f.log, strings.TrimSpace(r.Method+" ? "+verb))
		return no(404, "Collection [%s] does not exist", key)
	}
	c := f.collections[i]
	f.log = append(f.log, strings.TrimSpace(r.Method+" "+c.Name+" "+verb))
	switch r.Method + " " + verb {
	case "GET ":
		return 200, c
	case "DELETE ":
		f.collections = slices.Delete(f.collections, i, i+1)
		return 200, struct{}{}
	case "PUT ":
		var in struct {
			Metadata map[string]any `json:"new_metadata"`
		}
		if err := strictly(body, &in); err != nil {
			return no(422, "%v", err)
		}
		c.Metadata = in.Metadata
		return 200, struct{}{}
	case "POST upsert":
		return f.upsert(c, body)
	case "POST delete":
		return f.delete(c, body)
	case "POST get":
		return c.get(body)
	case "POST query":
		return c.query(body)
	}
	return no(405, "no such verb")
}

func number(r *http.Request, key string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(key))
	return n
}

func (f *fake) create(body []byte) (int, any) {
	var in struct {
		Name          string          `json:"name"`
		Metadata      map[string]any  `json:"metadata"`
		Configuration json.RawMessage `json:"configuration"`
	}
	if err := strictly(body, &in); err != nil {
		return no(422, "%v", err)
	}
	if !fakeName.MatchString(in.Name) || strings.Contains(in.Name, "..") {
		return no(400, "Expected a name containing 3-63 characters, got %s", in.Name)
	}
	f.log = append(f.log, "POST "+in.Name)
	if f.named(in.Name) != nil {
		return no(409, "Collection [%s] already exists", in.Name)
	}
	f.made++
	c := &fakeCollection{ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", f.made), Name: in.Name, Metadata: in.Metadata,
		rows: map[string]fakeRow{}, configuration: in.Configuration}
	f.collections = append(f.collections, c)
	return 200, c
}

func (f *fake) upsert(c *fakeCollection, body []byte) (int, any) {
	var in struct {
		IDs        []string          `json:"ids"`
		Embeddings []json.RawMessage `json:"embeddings"`
		Metadatas  []map[string]any  `json:"metadatas"`
	}
	if err := strictly(body, &in); err != nil {
		return no(422, "%v", err)
	}
	n := len(in.IDs)
	if n == 0 || n != len(in.Embeddings) || n != len(in.Metadatas) || n > f.maxBatch {
		return no(400, "%d ids, %d embeddings, %d metadatas, %d at most", n, len(in.Embeddings), len(in.Metadatas), f.maxBatch)
	}
	vectors := make([][]float32, n)
	for i, raw := range in.Embeddings {
		v, err := floats(raw, f.base64)
		if err != nil {
			return no(400, "%v", err)
		}
		if c.dims == 0 {
			c.dims = len(v)
		}
		if len(v) != c.dims {
			return no(400, "Collection expecting embedding with dimension of %d, got %d", c.dims, len(v))
		}
		if in.IDs[i] == "" {
			return no(400, "an id is empty")
		}
		vectors[i] = v
	}
	for i, id := range in.IDs {
		if _, ok := c.rows[id]; !ok {
			c.ids = append(c.ids, id)
		}
		c.rows[id] = fakeRow{vectors[i], in.Metadatas[i]}
	}
	return 200, struct{}{}
}

func floats(raw json.RawMessage, packed bool) ([]float32, error) {
	var v []float32
	if raw[0] == '[' {
		return v, json.Unmarshal(raw, &v)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || !packed {
		return nil, fmt.Errorf("not an embedding: %s", raw)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	for ; len(b) >= 4; b = b[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return v, err
}

func (f *fake) delete(c *fakeCollection, body []byte) (int, any) {
	var in struct {
		IDs []string `json:"ids"`
	}
	if err := strictly(body, &in); err != nil || len(in.IDs) == 0 || len(in.IDs) > f.maxBatch {
		return no(400, "Either ids or where must be specified: %v", err)
	}
	for _, id := range in.IDs {
		delete(c.rows, id)
	}
	c.ids = slices.DeleteFunc(c.ids, func(id string) bool { return slices.Contains(in.IDs, id) })
	return 200, struct{}{}
}

func (c *fakeCollection) get(body []byte) (int, any) {
	var in struct {
		Include       []string `json:"include"`
		Limit, Offset int
	}
	if err := strictly(body, &in); err != nil || !slices.Equal(in.Include, []string{"metadatas"}) {
		return no(422, "%v", err)
	}
	ids := c.ids[min(in.Offset, len(c.ids)):min(in.Offset+in.Limit, len(c.ids))]
	metadatas := []map[string]any{}
	for _, id := range ids {
		metadatas = append(metadatas, c.rows[id].metadata)
	}
	return 200, map[string]any{"ids": slices.Clone(ids), "metadatas": metadatas, "documents": nil, "include": in.Include}
}

func (c *fakeCollection) query(body []byte) (int, any) {
	var in struct {
		Embeddings [][]float32 `json:"query_embeddings"`
		N          int         `json:"n_results"`
		Include    []string    `json:"include"`
		Where      *struct {
			Document struct {
				In []string `json:"$in"`
			} `json:"document"`
		} `json:"where"`
	}
	if err := strictly(body, &in); err != nil || len(in.Embeddings) != 1 || in.N <= 0 || !slices.Equal(in.Include, []string{"distances", "metadatas"}) {
		return no(422, "%v", err)
	}
	switch {
	case in.Where != nil && len(in.Where.Document.In) == 0:
		return no(400, "Invalid where clause")
	case in.Where != nil && len(in.Where.Document.In) > 32766:
		return no(500, "too many SQL variables")
	case c.dims != 0 && len(in.Embeddings[0]) != c.dims:
		return no(400, "Collection expecting embedding with dimension of %d, got %d", c.dims, len(in.Embeddings[0]))
	}
	type hit struct {
		id       string
		distance float64
	}
	hits := []hit{}
	for _, id := range c.ids {
		row := c.rows[id]
		if in.Where != nil && !slices.Contains(in.Where.Document.In, row.metadata["document"].(string)) {
			continue
		}
		hits = append(hits, hit{id, 1 - cosine(row.vector, in.Embeddings[0])})
	}
	// Ties come in no order that anybody promised.
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(b.id, a.id)) })
	hits = hits[:min(in.N, len(hits))]
	ids, distances, metadatas := []string{}, []float64{}, []map[string]any{}
	for _, h := range hits {
		ids, distances, metadatas = append(ids, h.id), append(distances, h.distance), append(metadatas, c.rows[h.id].metadata)
	}
	return 200, map[string]any{"ids": [][]string{ids}, "distances": [][]float64{distances}, "metadatas": [][]map[string]any{metadatas}, "documents": nil, "include": in.Include}
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
