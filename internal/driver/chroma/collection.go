package chroma

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// Chroma has no place for what belongs to an installation but the metadata of collections, so two kinds of empty
// collections hold it:
//
//	PREFIX_serving       its metadata names the generation that serves
//	PREFIX.GENERATION    there is such a generation; its metadata holds the dimensions
//	PREFIX.GENERATION.X  the vectors of a workspace, X is its id or a digest of it; its metadata holds the id
//
// What is read of them is used for a short while, and read again when it turns out to be stale.

// collection is what we read of Chroma's description of a collection.
type collection struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Metadata map[string]any `json:"metadata"`
}

func (c collection) text(key string) string {
	s, _ := c.Metadata[key].(string)
	return s
}

// The keys of collections' metadata.
const (
	keyServing   = "generation"
	keyDims      = "dims"
	keyWorkspace = "workspace"
)

// known is something read of the server, which is used until a time.
type known[T any] struct {
	value T
	until time.Time
}

const (
	// servingLife is how long another replica's swap may go unnoticed.
	servingLife = time.Second
	// factLife is for what only changes when its collection is removed, which is noticed at the next request.
	factLife = time.Minute
	// maxKnown workspaces' collections are remembered.
	maxKnown = 10_000
)

func (e *Engine) servingName() string                     { return e.prefix + "_serving" }
func (e *Engine) generationName(generation string) string { return e.prefix + "." + generation }

var plainWorkspace = regexp.MustCompile(`^[A-Za-z0-9]{1,26}$`)

// workspaceName fits into 63 characters, which is what older servers allow.
func (e *Engine) workspaceName(generation string, ws ident.Workspace) string {
	key := string(ws)
	if !plainWorkspace.MatchString(key) || len(e.prefix)+len(generation)+len(key)+2 > 63 {
		sum := sha256.Sum256([]byte(ws))
		key = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:20])
	}
	return e.prefix + "." + generation + "." + key
}

var errGeneration = fault.Missing("generation")

// stale tells whether an error can come from what we remember of collections.
func stale(err error) bool {
	// What is removed while it is looked up lacks parts for a moment, which is 412.
	return refused(err, http.StatusNotFound, http.StatusPreconditionFailed) || errors.Is(err, errGeneration)
}

// Ensure makes a generation known. Its workspaces' collections are made when something is put into them.
func (e *Engine) Ensure(ctx context.Context, g search.Generation) error {
	if !generationRule.MatchString(g.Name) || g.Dims < 0 {
		return fmt.Errorf("a generation is named by at most 32 lower-case letters, digits and -, not %q", g.Name)
	}
	c, err := e.make(ctx, e.generationName(g.Name), map[string]any{keyDims: g.Dims})
	if err != nil {
		return fmt.Errorf("make generation %s: %w", g.Name, err)
	}
	dims, err := dimsOf(c)
	if err != nil {
		return err
	}
	if dims != g.Dims {
		return fault.New(fault.Conflict, "generation_shape", "Chroma's generation %s has vectors of %d dimensions, not of %d. Choose another name.", g.Name, dims, g.Dims)
	}
	return nil
}

func dimsOf(c collection) (int, error) {
	// Metadata goes through JSON, and not every version keeps whole numbers whole.
	dims, ok := c.Metadata[keyDims].(float64)
	if !ok || dims < 0 || dims != float64(int(dims)) {
		return 0, fmt.Errorf("the collection %s does not say its dimensions: it is not of this installation", c.Name)
	}
	return int(dims), nil
}

// Swap lets a generation serve and removes the collections of the others.
func (e *Engine) Swap(ctx context.Context, generation string) error {
	defer e.forget()
	if _, err := e.named(ctx, e.generationName(generation)); err != nil {
		return missing(err, errGeneration)
	}
	c, err := e.make(ctx, e.servingName(), map[string]any{keyServing: generation})
	if err != nil {
		return fmt.Errorf("make the register of what serves: %w", err)
	}
	if c.text(keyServing) != generation {
		change := map[string]any{"new_metadata": map[string]any{keyServing: generation}}
		if err := e.client.do(ctx, request{method: http.MethodPut, path: e.client.within("collections", c.ID), in: change}, nil); err != nil {
			return fmt.Errorf("let generation %s serve: %w", generation, err)
		}
	}
	all, err := e.list(ctx)
	if err != nil {
		return err
	}
	// A generation's marker goes last: what is interrupted is done again by the next swap, and Apply to a generation
	// whose marker is gone makes nothing new.
	var markers []string
	for _, c := range all {
		rest, ours := strings.CutPrefix(c.Name, e.prefix+".")
		name, _, content := strings.Cut(rest, ".")
		switch {
		case !ours || name == generation:
		case content:
			err = errors.Join(err, e.remove(ctx, c.Name))
		default:
			markers = append(markers, c.Name)
		}
	}
	if err != nil {
		return err
	}
	for _, name := range markers {
		err = errors.Join(err, e.remove(ctx, name))
	}
	return err
}

// list reads all collections of the database.
func (e *Engine) list(ctx context.Context) ([]collection, error) {
	const page = 500
	var all []collection
	for {
		var some []collection
		path := e.client.within("collections") + "?" + url.Values{"limit": {strconv.Itoa(page)}, "offset": {strconv.Itoa(len(all))}}.Encode()
		if err := e.client.do(ctx, request{method: http.MethodGet, path: path}, &some); err != nil {
			return nil, fmt.Errorf("list collections: %w", err)
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
	}
}

func (e *Engine) remove(ctx context.Context, name string) error {
	err := e.client.do(ctx, request{method: http.MethodDelete, path: e.client.within("collections", name)}, nil)
	if err != nil && !refused(err, http.StatusNotFound) {
		return fmt.Errorf("remove collection %s: %w", name, err)
	}
	return nil
}

// named reads a collection; one that isn't there is a refusal with 404.
func (e *Engine) named(ctx context.Context, name string) (collection, error) {
	var c collection
	err := e.client.do(ctx, request{method: http.MethodGet, path: e.client.within("collections", name)}, &c)
	if err == nil && (c.ID == "" || c.Name != name) {
		err = strange(fmt.Errorf("asked for the collection %s, got %q", name, c.Name))
	}
	return c, err
}

// make reads a collection and makes it where it isn't there. What is there is left as it is, whatever the server thinks of
// get_or_create, and of two that make it at a time one wins.
func (e *Engine) make(ctx context.Context, name string, metadata map[string]any) (collection, error) {
	c, err := e.named(ctx, name)
	if !refused(err, http.StatusNotFound) {
		return c, err
	}
	in := map[string]any{
		"name": name, "metadata": metadata,
		// Twice the default width: a search asks for 100, and the graph finds few more than it looks at.
		"configuration": map[string]any{"hnsw": map[string]any{"space": "cosine", "ef_search": 200}},
	}
	err = e.client.do(ctx, request{method: http.MethodPost, path: e.client.within("collections"), in: in}, nil)
	if refused(err, http.StatusConflict) {
		err = nil // somebody else was faster
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		err = unavailable(codeRefused, "Chroma made no collection. Check that its tenant and database are there (?tenant= and ?database= of CHROMADB_URL).", r)
	}
	if err != nil {
		return collection{}, err
	}
	return e.named(ctx, name)
}

// missing puts a fault in the place of a 404.
func missing(err, instead error) error {
	if refused(err, http.StatusNotFound) {
		return instead
	}
	return err
}

func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serving = known[string]{}
	clear(e.generations)
	clear(e.collections)
}

// current gives the generation that serves.
func (e *Engine) current(ctx context.Context) (string, error) {
	e.mu.Lock()
	k := e.serving
	e.mu.Unlock()
	if time.Now().Before(k.until) {
		return k.value, nil
	}
	c, err := e.named(ctx, e.servingName())
	if err == nil && c.text(keyServing) == "" {
		err = fmt.Errorf("the collection %s does not name a generation: it is not of this installation", c.Name)
	}
	if err != nil {
		return "", missing(err, unavailable(codeEmpty, "Chroma has not been filled yet.", err))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serving = known[string]{c.text(keyServing), time.Now().Add(servingLife)}
	return e.serving.value, nil
}

// dims gives the dimensions of a generation, errGeneration when there is none.
func (e *Engine) dims(ctx context.Context, generation string) (int, error) {
	e.mu.Lock()
	k, ok := e.generations[generation]
	e.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.value, nil
	}
	c, err := e.named(ctx, e.generationName(generation))
	if err != nil {
		return 0, missing(err, errGeneration)
	}
	dims, err := dimsOf(c)
	if err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.generations[generation] = known[int]{dims, time.Now().Add(factLife)}
	return dims, nil
}

// collection gives the path of a workspace's collection. Where it isn't there, it is made or, without create, path is "".
func (e *Engine) collection(ctx context.Context, generation string, ws ident.Workspace, create bool) (path string, err error) {
	name := e.workspaceName(generation, ws)
	e.mu.Lock()
	k, ok := e.collections[name]
	e.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.value, nil
	}
	var c collection
	if create {
		c, err = e.make(ctx, name, map[string]any{keyWorkspace: string(ws)})
	} else if c, err = e.named(ctx, name); refused(err, http.StatusNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if c.text(keyWorkspace) != string(ws) {
		return "", fmt.Errorf("the collection %s is not of the workspace %q: it is not of this installation", name, ws)
	}
	path = e.client.within("collections", c.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.collections) >= maxKnown {
		clear(e.collections)
	}
	e.collections[name] = known[string]{path, time.Now().Add(factLife)}
	return path, nil
}
