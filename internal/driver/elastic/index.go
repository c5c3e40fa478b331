package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/search"
)

// What belongs to an installation in a cluster:
//
//	PREFIX-GENERATION  an index; its mapping's _meta tells its shape, and that it is ours
//	PREFIX.GENERATION  an alias of it for writes: a write to an alias that is gone fails, where one to an index makes it anew
//	PREFIX             the alias of the generation that serves

func (e *Engine) index(generation string) string { return e.prefix + "-" + generation }
func (e *Engine) door(generation string) string  { return e.prefix + "." + generation }

// generation is what an index says of itself.
type generation struct {
	Index       string `json:"-"`
	Application string `json:"application"` // application
	Shape       int    `json:"shape"`       // shape
	Dims        int    `json:"dims"`
	Vectors     string `json:"vectors,omitempty"` // the type of the field: dense or knn
}

const (
	application = "byline"
	// shape counts up when fields change; an index of another shape has to be built anew.
	shape = 1

	dense = "dense_vector" // of Elasticsearch
	knn   = "knn_vector"   // of OpenSearch
)

// known is something read of the server, which is used until a time.
type known[T any] struct {
	value T
	until time.Time
}

const (
	// servingLife is how long another replica's swap may go unnoticed.
	servingLife = time.Second
	// factLife is for what only changes when its index is removed, which is noticed at the next request.
	factLife = time.Minute
)

var errGeneration = fault.Missing("generation")

type object = map[string]any

// mapping of an index. The hash is in four parts of 16 bits, because sums are made of floating-point numbers: of these they
// are exact up to 2^37 passages.
func (g generation) mapping() object {
	keyword, number := object{"type": "keyword"}, object{"type": "integer", "index": false}
	fields := object{
		"workspace": keyword, "document": keyword, "passage": object{"type": "keyword", "index": false},
		"terms": object{"type": "text", "analyzer": "whitespace", "index_options": "freqs"},
		"hash0": number, "hash1": number, "hash2": number, "hash3": number,
	}
	switch g.Vectors {
	case dense:
		fields["vector"] = object{"type": dense, "dims": g.Dims, "index": true, "similarity": "cosine", "index_options": object{"type": "int8_hnsw"}}
	case knn:
		fields["vector"] = object{"type": knn, "dimension": g.Dims, "space_type": "cosinesimil",
			"method": object{"name": "hnsw", "engine": "lucene", "parameters": object{"encoder": object{"name": "sq"}}}}
	}
	// Nobody reads the source; what is large in it is in the index already.
	return object{"dynamic": "strict", "_meta": g, "_source": object{"excludes": []string{"vector", "terms"}}, "properties": fields}
}

// Ensure makes the index of a generation.
func (e *Engine) Ensure(ctx context.Context, g search.Generation) error {
	if !generationRule.MatchString(g.Name) || g.Dims < 0 {
		return fmt.Errorf("a generation is named by at most 32 lower-case letters, digits and -, not %q", g.Name)
	}
	want := generation{Application: application, Shape: shape, Dims: g.Dims}
	if g.Dims > 0 {
		want.Vectors = dense
	}
	err := e.create(ctx, g.Name, want)
	if r, ok := errors.AsType[*refusal](err); ok && strings.Contains(r.Reason, dense) && strings.Contains(r.Reason, "No handler for type") {
		// Only trying tells OpenSearch from Elasticsearch everywhere: what names them is often kept back by a proxy.
		want.Vectors = knn
		err = e.create(ctx, g.Name, want)
	}
	if r, ok := errors.AsType[*refusal](err); !ok || r.Type != "resource_already_exists_exception" {
		if err != nil {
			return fmt.Errorf("make generation %s: %w", g.Name, err)
		}
		return nil
	}
	e.forget()
	have, err := e.generation(ctx, g.Name)
	if err != nil {
		return fmt.Errorf("look at generation %s: %w", g.Name, err)
	}
	if have.Dims != g.Dims || have.Shape != shape {
		return fault.New(fault.Conflict, "generation_shape", "Elasticsearch's generation %s has vectors of %d dimensions in shape %d, not of %d in shape %d. Choose another name.",
			g.Name, have.Dims, have.Shape, g.Dims, shape)
	}
	return nil
}

func (e *Engine) create(ctx context.Context, name string, g generation) error {
	in := object{"mappings": g.mapping(), "aliases": object{e.door(name): object{}}}
	if g.Vectors == knn {
		in["settings"] = object{"index.knn": true}
	}
	return e.client.do(ctx, request{method: http.MethodPut, path: "/" + e.index(name), in: in}, nil)
}

// described reads the descriptions of the indexes that a name, alias or pattern means, as far as they are ours.
func (e *Engine) described(ctx context.Context, name string) ([]generation, error) {
	var out map[string]struct {
		Mappings struct {
			Meta json.RawMessage `json:"_meta"`
		} `json:"mappings"`
	}
	path := "/" + name + "/_mapping?filter_path=*.mappings._meta"
	if err := e.client.do(ctx, request{method: http.MethodGet, path: path, attempts: 2}, &out); err != nil {
		return nil, err
	}
	var list []generation
	for index, d := range out {
		g := generation{}
		if json.Unmarshal(d.Mappings.Meta, &g) == nil && g.Application == application {
			g.Index = index
			list = append(list, g)
		}
	}
	return list, nil
}

// only gives the single one that is there, if there is one, of a name that is not a pattern.
func only(list []generation, name string) (generation, error) {
	if len(list) != 1 {
		return generation{}, fmt.Errorf("%s is %d indexes of this installation and perhaps others; choose another prefix", name, len(list))
	}
	return list[0], nil
}

// generation describes a generation, errGeneration when there is none.
func (e *Engine) generation(ctx context.Context, name string) (generation, error) {
	e.mu.Lock()
	k, ok := e.generations[name]
	e.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.value, nil
	}
	list, err := e.described(ctx, e.index(name))
	switch {
	case refused(err, http.StatusNotFound):
		return generation{}, errGeneration
	case err != nil:
		return generation{}, err
	}
	g, err := only(list, e.index(name))
	if err != nil {
		return generation{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.generations[name] = known[generation]{g, time.Now().Add(factLife)}
	return g, nil
}

// current describes the generation that serves, engine_empty when none does.
func (e *Engine) current(ctx context.Context) (generation, error) {
	e.mu.Lock()
	k := e.serving
	e.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value, nil
	}
	list, err := e.described(ctx, e.prefix)
	switch {
	case refused(err, http.StatusNotFound):
		return generation{}, unavailable(codeEmpty, "Elasticsearch has not been filled yet.", err)
	case err != nil:
		return generation{}, err
	}
	g, err := only(list, e.prefix)
	if err != nil {
		return generation{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serving = known[generation]{g, time.Now().Add(servingLife)}
	return g, nil
}

func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serving = known[generation]{}
	clear(e.generations)
}

// Swap lets a generation serve, at once for all, and removes the indexes of the others.
func (e *Engine) Swap(ctx context.Context, name string) error {
	e.forget()
	defer e.forget()
	if _, err := e.generation(ctx, name); err != nil {
		return err
	}
	if err := e.refresh(ctx, name); err != nil {
		return err
	}
	in := object{"actions": []object{
		{"remove": object{"index": e.prefix + "-*", "alias": e.prefix, "must_exist": false}},
		{"add": object{"index": e.index(name), "alias": e.prefix}},
	}}
	if err := e.client.do(ctx, request{method: http.MethodPost, path: "/_aliases", in: in}, nil); err != nil {
		return fmt.Errorf("let generation %s serve: %w", name, err)
	}
	all, err := e.described(ctx, e.prefix+"-*")
	if err != nil {
		return fmt.Errorf("list generations: %w", err)
	}
	for _, g := range all {
		if g.Index == e.index(name) {
			continue
		}
		if e := e.client.do(ctx, request{method: http.MethodDelete, path: "/" + g.Index}, nil); e != nil && !refused(e, http.StatusNotFound) {
			err = errors.Join(err, fmt.Errorf("remove index %s: %w", g.Index, e))
		}
	}
	return err
}

// refresh lets searches find all that was written; they would within a second anyway.
func (e *Engine) refresh(ctx context.Context, name string) error {
	err := e.client.do(ctx, request{method: http.MethodPost, path: "/" + e.index(name) + "/_refresh"}, nil)
	if refused(err, http.StatusNotFound) {
		return errGeneration
	}
	return err
}
