package chroma

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"byline/internal/fault"
	"byline/internal/search"
)

// A search that is limited to documents costs Chroma more the more passages they have, and a plain one that asks for more
// than is wanted costs little. Measured with 40,000 passages x 384 of 400 documents, K = 100, CPU of the server:
//
//	plain, 100 wanted      6.5 ms    $in of   1 of 400   33 ms    $in of 200 of 400    63 ms
//	plain, 500 wanted       16 ms    $in of   4 of 400   21 ms    $in of 400 of 400   130 ms
//	plain, 1000 wanted      25 ms    $in of 100 of 400   37 ms    $in of 20,000 others 70 ms
//
// So a set of more than a few documents is first looked for in overfetch x K plain results, which does for a set that has
// a quarter of the passages, and only then by $in.
const (
	few       = 8
	overfetch = 4
	// maxIn is how many documents one $in names: the server makes a variable of SQL of each, of which it has 32,766.
	maxIn = 10_000
)

// Vector ranks by cosine. It finds approximate neighbours: Chroma's index is a graph.
func (e *Engine) Vector(ctx context.Context, q search.Query) (search.Found, error) {
	found, err := e.vector(ctx, q)
	if stale(err) { // swapped elsewhere a moment ago
		e.forget()
		found, err = e.vector(ctx, q)
	}
	if stale(err) {
		err = unavailable(codeEmpty, "Chroma has lost what served. It is filled again.", err)
	}
	if err != nil {
		return search.Found{}, fmt.Errorf("search Chroma: %w", err)
	}
	return found, nil
}

func (e *Engine) vector(ctx context.Context, q search.Query) (search.Found, error) {
	generation, err := e.current(ctx)
	if err != nil {
		return search.Found{}, err
	}
	dims, err := e.dims(ctx, generation)
	if err != nil {
		return search.Found{}, err
	}
	if dims == 0 || len(q.Vector) == 0 {
		return search.Found{}, fault.Bad("body.mode", "semantic_unavailable", "There is no search by meaning here. Use the mode lexical or hybrid.")
	}
	if why := unfit(q.Vector, dims); why != "" {
		return search.Found{}, fault.New(fault.Invalid, "bad_vector", "The question cannot be searched by meaning: %s.", why)
	}
	path, err := e.collection(ctx, generation, q.Workspace, false)
	if err != nil || q.K <= 0 || q.Documents != nil && len(q.Documents) == 0 {
		return search.Found{}, err
	}
	var list []search.Candidate
	if path != "" {
		list, err = e.nearest(ctx, path, q)
	}
	if err == nil && len(list) == 0 {
		// There is nothing, or the generation has been replaced meanwhile: what is being removed answers that it is empty.
		e.mu.Lock()
		e.serving = known[string]{}
		e.mu.Unlock()
		var now string
		if now, err = e.current(ctx); err == nil && now != generation {
			err = errGeneration
		}
	}
	if err != nil {
		return search.Found{}, err
	}
	slices.SortFunc(list, func(a, b search.Candidate) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.PassageID, b.PassageID))
	})
	list = list[:min(len(list), q.K)]
	return search.Found{Candidates: list, Total: len(list)}, nil
}

// nearest gives at least the K nearest candidates, in any order.
func (e *Engine) nearest(ctx context.Context, path string, q search.Query) ([]search.Candidate, error) {
	if q.Documents == nil {
		return e.ask(ctx, path, q.Vector, q.K, nil)
	}
	if len(q.Documents) > few {
		wanted := overfetch * q.K
		plain, err := e.ask(ctx, path, q.Vector, wanted, nil)
		if err != nil {
			return nil, err
		}
		all := len(plain) < wanted // then nothing else is there
		if plain = admitted(plain, q); all || len(plain) >= q.K {
			return plain, nil
		}
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(q.Documents)), func(id string) bool { return !q.Documents[id] })
	var list []search.Candidate
	for ids := range slices.Chunk(ids, maxIn) {
		some, err := e.ask(ctx, path, q.Vector, q.K, ids)
		if err != nil {
			return nil, err
		}
		list = append(list, admitted(some, q)...)
	}
	return list, nil
}

// admitted leaves out what is not of the documents that are asked for.
func admitted(list []search.Candidate, q search.Query) []search.Candidate {
	return slices.DeleteFunc(list, func(c search.Candidate) bool { return !q.Documents[c.DocumentID] })
}

// ask sends one query.
func (e *Engine) ask(ctx context.Context, path string, v []float32, n int, documents []string) ([]search.Candidate, error) {
	in := map[string]any{"query_embeddings": [][]float32{v}, "n_results": n, "include": []string{"distances", "metadatas"}}
	if documents != nil {
		in["where"] = map[string]any{"document": map[string]any{"$in": documents}}
	}
	var out struct {
		IDs       [][]string    `json:"ids"`
		Distances [][]*float64  `json:"distances"`
		Metadatas [][]*metadata `json:"metadatas"`
	}
	if err := e.client.do(ctx, request{method: http.MethodPost, path: path + "/query", in: in, attempts: 2}, &out); err != nil {
		return nil, err
	}
	if len(out.IDs) != 1 || len(out.Distances) != 1 || len(out.Metadatas) != 1 ||
		len(out.Distances[0]) != len(out.IDs[0]) || len(out.Metadatas[0]) != len(out.IDs[0]) {
		return nil, strange(fmt.Errorf("ids, distances and metadatas of a search do not belong together"))
	}
	list := make([]search.Candidate, 0, len(out.IDs[0]))
	for i, id := range out.IDs[0] {
		distance, m := out.Distances[0][i], out.Metadatas[0][i]
		if distance == nil || m == nil {
			continue // not ours: no vector that we put has no distance
		}
		list = append(list, search.Candidate{PassageID: id, DocumentID: m.Document, Score: 1 - *distance})
	}
	return list, nil
}
