package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

const (
	// maxBatch and maxBody are the most operations and about the most bytes of a bulk request: a small server has to hold some
	// of them at a time, and others want to be served, too.
	maxBatch = 500
	maxBody  = 4 << 20
	// maxID is the most bytes that an id of the server has.
	maxID = 512
	// busyPause is for a server that is busy and doesn't say for how long.
	busyPause = time.Second
)

// row is a passage as it is indexed.
type row struct {
	Workspace string    `json:"workspace"`
	Document  string    `json:"document"`
	Passage   string    `json:"passage"` // the id that we show, as a column
	Terms     string    `json:"terms"`
	Vector    []float32 `json:"vector,omitempty"`
	Hash0     uint16    `json:"hash0"` // the lowest bits
	Hash1     uint16    `json:"hash1"`
	Hash2     uint16    `json:"hash2"`
	Hash3     uint16    `json:"hash3"`
}

// The id of a passage has its workspace in it, so that no workspace can replace or remove a passage of another.
func idOf(ws ident.Workspace, passage string) string { return string(ws) + "/" + passage }

// item is an operation as bulk takes it.
type item struct {
	passage string
	lines   lines
}

// Apply puts passages in and takes them out. Of several operations on a passage only the last one counts, which leaves what
// all of them in their order would.
func (e *Engine) Apply(ctx context.Context, name string, ws ident.Workspace, ops []search.Operation) ([]search.Rejected, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	g, err := e.generation(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("write to Elasticsearch: %w", err)
	}
	items, failed, err := itemsOf(ws, ops, g.Dims)
	if err != nil {
		return nil, err
	}
	for len(items) > 0 {
		n, bytes := 0, 0
		for n < len(items) && n < maxBatch && (n == 0 || bytes+len(items[n].lines) <= maxBody) {
			bytes += len(items[n].lines)
			n++
		}
		bad, err := e.write(ctx, name, items[:n])
		if errors.Is(err, errGeneration) {
			e.forget()
		}
		if err != nil {
			return nil, fmt.Errorf("write to Elasticsearch: %w", err)
		}
		failed, items = append(failed, bad...), items[n:]
	}
	return failed, nil
}

// itemsOf tells what is to be sent, and what can't be.
func itemsOf(ws ident.Workspace, ops []search.Operation, dims int) (items []item, failed []search.Rejected, err error) {
	last := make(map[string]int, len(ops))
	for i, o := range ops {
		last[o.PassageID] = i
	}
	for i, o := range ops {
		if last[o.PassageID] != i {
			continue
		}
		id := idOf(ws, o.PassageID)
		switch why := unfit(o.Vector, dims); {
		case o.PassageID == "" || len(id) > maxID:
			failed = append(failed, search.Rejected{PassageID: o.PassageID, Reason: fmt.Sprintf("its id has %d bytes", len(o.PassageID))})
			continue
		case !o.Delete && len(o.Vector) > 0 && dims > 0 && why != "":
			failed = append(failed, search.Rejected{PassageID: o.PassageID, Reason: why})
			continue
		}
		l, err := linesOf(id, ws, o, dims)
		if err != nil {
			return nil, nil, fmt.Errorf("write passage %s: %w", o.PassageID, err)
		}
		items = append(items, item{o.PassageID, l})
	}
	return items, failed, nil
}

func linesOf(id string, ws ident.Workspace, o search.Operation, dims int) (lines, error) {
	verb := "index"
	if o.Delete {
		verb = "delete"
	}
	l, err := json.Marshal(map[string]any{verb: map[string]string{"_id": id}})
	if err != nil {
		return nil, err
	}
	l = append(l, '\n')
	if o.Delete {
		return l, nil
	}
	r := row{
		Workspace: string(ws), Document: o.DocumentID, Passage: o.PassageID,
		Terms: strings.Join(o.Terms, " "),
		Hash0: uint16(o.Hash), Hash1: uint16(o.Hash >> 16), Hash2: uint16(o.Hash >> 32), Hash3: uint16(o.Hash >> 48),
	}
	if dims > 0 {
		r.Vector = o.Vector
	}
	data, err := json.Marshal(r)
	return append(append(l, data...), '\n'), err
}

// unfit says why a vector can't be held or asked for: without a direction nothing is near it.
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

// write sends items until each is done or rejected. What the server is too busy for is sent again, and only that.
func (e *Engine) write(ctx context.Context, name string, items []item) ([]search.Rejected, error) {
	var failed []search.Rejected
	for n := 1; ; n++ {
		bad, again, err := e.bulk(ctx, name, items)
		if refused(err, http.StatusBadRequest, http.StatusRequestEntityTooLarge) {
			bad, err = e.halves(ctx, name, items, err)
			return append(failed, bad...), err
		}
		if failed = append(failed, bad...); err == nil {
			return failed, nil
		}
		if n >= e.client.attempts || !e.client.wait(ctx, n, err) {
			if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == codeBusy && f.RetryAfter == 0 {
				f.RetryAfter = busyPause
			}
			return nil, err
		}
		if again != nil {
			items = again
		}
	}
}

// halves asks about each half of what the server refuses as a whole, until it is known what it refuses.
func (e *Engine) halves(ctx context.Context, name string, items []item, why error) ([]search.Rejected, error) {
	if len(items) == 1 {
		return []search.Rejected{{PassageID: items[0].passage, Reason: why.Error()}}, nil
	}
	first, err := e.write(ctx, name, items[:len(items)/2])
	if err != nil {
		return nil, err
	}
	second, err := e.write(ctx, name, items[len(items)/2:])
	return slices.Concat(first, second), err
}

// bulk sends items once. With err, again are those that may be sent again; nil means all of them.
func (e *Engine) bulk(ctx context.Context, name string, items []item) (bad []search.Rejected, again []item, err error) {
	var body lines
	for _, i := range items {
		body = append(body, i.lines...)
	}
	var out struct {
		Items []map[string]struct {
			Status int    `json:"status"`
			Error  *cause `json:"error"`
		} `json:"items"`
	}
	path := "/" + e.door(name) + "/_bulk?require_alias=true&filter_path=items.*.status,items.*.error.type,items.*.error.reason"
	if err := e.client.do(ctx, request{method: http.MethodPost, path: path, in: body, attempts: 1}, &out); err != nil {
		return nil, nil, err
	}
	if len(out.Items) != len(items) {
		return nil, nil, strange(fmt.Errorf("%d results of %d operations", len(out.Items), len(items)))
	}
	for i, verbs := range out.Items {
		for _, result := range verbs { // one
			if result.Error == nil {
				continue // a delete of what isn't there is 404 without an error
			}
			err2 := classified(result.Status, *result.Error)
			f, ok := errors.AsType[*fault.Error](err2)
			switch {
			case refused(err2, http.StatusNotFound):
				return nil, nil, errGeneration
			case ok && (f.Code == codeBlocked || f.Code == codeDenied):
				return nil, nil, err2
			case ok || refused(err2, http.StatusConflict): // two writers at once
				again = append(again, items[i])
				if !ok {
					err2 = unavailable(codeBusy, "Elasticsearch is busy. Try again later.", err2)
				}
				err = err2
			default:
				bad = append(bad, search.Rejected{PassageID: items[i].passage, Reason: result.Error.String()})
			}
		}
	}
	return bad, again, err
}

// Held counts in the server: the parts of the hashes are summed up there.
func (e *Engine) Held(ctx context.Context, name string, ws ident.Workspace) (search.Holding, error) {
	h, err := e.held(ctx, name, ws)
	if err != nil {
		return search.Holding{}, fmt.Errorf("count what Elasticsearch holds: %w", err)
	}
	return h, nil
}

func (e *Engine) held(ctx context.Context, name string, ws ident.Workspace) (search.Holding, error) {
	if err := e.refresh(ctx, name); err != nil { // what was written a moment ago is counted
		return search.Holding{}, err
	}
	parts := []string{"hash0", "hash1", "hash2", "hash3"}
	sums := object{}
	for _, p := range parts {
		sums[p] = object{"sum": object{"field": p}}
	}
	a, err := e.ask(ctx, e.index(name), object{"size": 0, "track_total_hits": true, "query": ofWorkspace(ws), "aggs": sums})
	if refused(err, http.StatusNotFound) {
		return search.Holding{}, errGeneration
	}
	if err != nil {
		return search.Holding{}, err
	}
	h := search.Holding{Passages: a.Hits.Total.Value}
	for i, p := range parts {
		h.Digest += uint64(a.Aggregations[p].Value) << (16 * i)
	}
	return h, nil
}
