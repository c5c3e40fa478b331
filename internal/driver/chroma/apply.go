package chroma

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"byline/internal/ident"
	"byline/internal/search"
)

// limits are what the server takes at a time.
type limits struct {
	Batch  int  `json:"max_batch_size"`
	Base64 bool `json:"supports_base64_encoding"` // floats as base64: half of the bytes, and no parsing
}

const (
	// maxBatch is the most records that are sent at a time, whatever the server allows: others want to be served, too.
	maxBatch = 1000
	// maxBody is about the most bytes of a request: servers refuse bodies by size, and tell no limit.
	maxBody = 4 << 20
)

// record is a passage as Chroma keeps it.
type record struct {
	id       string
	vector   []float32
	metadata metadata
}

// metadata of a record. The hash is text because numbers go through JSON.
type metadata struct {
	Document string `json:"document"`
	Hash     string `json:"hash"`
}

// bytes is about what a record takes in a request.
func (r record) bytes() int {
	return 4*len(r.vector)*4/3 + len(r.id) + len(r.metadata.Document) + 100
}

// Apply puts vectors in and takes them out. Of several operations on a passage only the last one counts, which leaves what
// all of them in their order would. A passage without a vector is not held, so putting it takes it out.
func (e *Engine) Apply(ctx context.Context, generation string, ws ident.Workspace, ops []search.Operation) ([]search.Rejected, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	failed, err := e.apply(ctx, generation, ws, ops)
	if stale(err) { // what we knew of the collections is stale
		e.forget()
		failed, err = e.apply(ctx, generation, ws, ops)
	}
	if err != nil {
		return nil, fmt.Errorf("write to Chroma: %w", err)
	}
	return failed, nil
}

func (e *Engine) apply(ctx context.Context, generation string, ws ident.Workspace, ops []search.Operation) ([]search.Rejected, error) {
	dims, err := e.dims(ctx, generation)
	if err != nil {
		return nil, err
	}
	records, gone, failed := sorted(ops, dims)
	path, err := e.collection(ctx, generation, ws, len(records) > 0)
	if err != nil || path == "" {
		return failed, err
	}
	l, err := e.limit(ctx)
	if err != nil {
		return nil, err
	}
	for begin := 0; begin < len(records); {
		end, bytes := begin, 0
		for end < len(records) && end-begin < l.Batch && (end == begin || bytes+records[end].bytes() <= maxBody) {
			bytes += records[end].bytes()
			end++
		}
		bad, err := e.upsert(ctx, path, records[begin:end], l)
		if err != nil {
			return nil, err
		}
		failed, begin = append(failed, bad...), end
	}
	for len(gone) > 0 {
		some := gone[:min(l.Batch, len(gone))]
		gone = gone[len(some):]
		if err := e.client.do(ctx, request{method: http.MethodPost, path: path + "/delete", in: map[string]any{"ids": some}}, nil); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// sorted tells what is to be put, what is to be taken out, and what can't be put.
func sorted(ops []search.Operation, dims int) (put []record, gone []string, failed []search.Rejected) {
	last := make(map[string]int, len(ops))
	for i, o := range ops {
		last[o.PassageID] = i
	}
	for i, o := range ops {
		if last[o.PassageID] != i {
			continue
		}
		if o.Delete || len(o.Vector) == 0 || dims == 0 {
			gone = append(gone, o.PassageID)
			continue
		}
		if why := unfit(o.Vector, dims); why != "" {
			failed = append(failed, search.Rejected{PassageID: o.PassageID, Reason: why})
			continue
		}
		put = append(put, record{o.PassageID, o.Vector, metadata{o.DocumentID, strconv.FormatUint(o.Hash, 16)}})
	}
	return put, gone, failed
}

// unfit says why a vector can't be held. Chroma itself takes what has no direction, and ranks it anywhere.
func unfit(v []float32, dims int) string {
	if len(v) != dims {
		return fmt.Sprintf("its vector has %d dimensions, not %d", len(v), dims)
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) || sum == 0 {
		return "its vector has no direction"
	}
	return ""
}

// upsert puts records. Where the server refuses them, it is asked about halves, until it is known which it refuses.
func (e *Engine) upsert(ctx context.Context, path string, records []record, l limits) ([]search.Rejected, error) {
	in := struct {
		IDs        []string   `json:"ids"`
		Embeddings []any      `json:"embeddings"`
		Metadatas  []metadata `json:"metadatas"`
	}{}
	for _, r := range records {
		in.IDs, in.Metadatas = append(in.IDs, r.id), append(in.Metadatas, r.metadata)
		if l.Base64 {
			in.Embeddings = append(in.Embeddings, packed(r.vector))
		} else {
			in.Embeddings = append(in.Embeddings, r.vector)
		}
	}
	err := e.client.do(ctx, request{method: http.MethodPost, path: path + "/upsert", in: in}, nil)
	switch {
	case !refused(err, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity):
		return nil, err
	case len(records) == 1:
		return []search.Rejected{{PassageID: records[0].id, Reason: err.Error()}}, nil
	}
	half := len(records) / 2
	first, err := e.upsert(ctx, path, records[:half], l)
	if err != nil {
		return nil, err
	}
	second, err := e.upsert(ctx, path, records[half:], l)
	return append(first, second...), err
}

// packed is base64 of little-endian float32s.
func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// limit asks the server for what it takes at a time.
func (e *Engine) limit(ctx context.Context) (limits, error) {
	e.mu.Lock()
	k := e.limits
	e.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value, nil
	}
	var l limits
	if err := e.client.do(ctx, request{method: http.MethodGet, path: "/pre-flight-checks"}, &l); err != nil {
		return limits{}, fmt.Errorf("ask for the limits: %w", err)
	}
	if l.Batch <= 0 || l.Batch > maxBatch {
		l.Batch = maxBatch
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.limits = known[limits]{l, time.Now().Add(factLife)}
	return l, nil
}

// Held reads all of a workspace's hashes, page by page: 1,000 passages take some 12 ms. What is written meanwhile may be
// counted or not.
func (e *Engine) Held(ctx context.Context, generation string, ws ident.Workspace) (search.Holding, error) {
	h, err := e.held(ctx, generation, ws)
	if stale(err) {
		e.forget()
		h, err = e.held(ctx, generation, ws)
	}
	if err != nil {
		return search.Holding{}, fmt.Errorf("count what Chroma holds: %w", err)
	}
	return h, nil
}

func (e *Engine) held(ctx context.Context, generation string, ws ident.Workspace) (search.Holding, error) {
	var h search.Holding
	if _, err := e.dims(ctx, generation); err != nil {
		return h, err
	}
	path, err := e.collection(ctx, generation, ws, false)
	if err != nil || path == "" {
		return h, err
	}
	for {
		var page struct {
			IDs       []string    `json:"ids"`
			Metadatas []*metadata `json:"metadatas"`
		}
		in := map[string]any{"include": []string{"metadatas"}, "limit": maxBatch, "offset": h.Passages}
		if err := e.client.do(ctx, request{method: http.MethodPost, path: path + "/get", in: in}, &page); err != nil {
			return h, err
		}
		if len(page.Metadatas) != len(page.IDs) {
			return h, strange(fmt.Errorf("%d ids with %d metadatas", len(page.IDs), len(page.Metadatas)))
		}
		for _, m := range page.Metadatas {
			if m == nil {
				continue // not ours: it counts, and has no hash that would make the digest right
			}
			hash, err := strconv.ParseUint(m.Hash, 16, 64)
			if err != nil {
				continue
			}
			h.Digest += hash
		}
		h.Passages += len(page.IDs)
		if len(page.IDs) < maxBatch {
			return h, nil
		}
	}
}
