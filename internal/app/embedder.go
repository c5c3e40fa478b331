package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"byline/internal/config"
	"byline/internal/driver/openai"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
	"byline/internal/engine/embed/table"
	"byline/internal/fault"
	"byline/internal/search"
)

// embedder gives the one that is configured, nil for none, and what gives its memory back when it was unused for a time.
func embedder(cfg config.Search, log *slog.Logger) (_ embed.Embedder, rest func(unused time.Duration), err error) {
	rest = func(time.Duration) {}
	choice := cfg.Embedder
	if choice == "auto" {
		if choice = "encoder"; !encoder.Supported() {
			log.Info("this processor has no instructions for the built-in encoder (AVX2); the built-in table of words finds by meaning, less well")
			choice = "table"
		}
	}
	switch choice {
	case "off", "openai", "ollama": // of a service: see outside
		return nil, rest, nil
	case "encoder":
		e, err := encoder.Builtin()
		if err != nil {
			return nil, nil, fmt.Errorf("open built-in encoder: %w", err)
		}
		return e, e.Release, nil
	case "table":
		t, err := table.Builtin()
		if err != nil {
			return nil, nil, fmt.Errorf("open built-in table: %w", err)
		}
		return t, rest, nil
	}
	return directory(choice)
}

// outside is an embedding model of a service: which space it makes, only its answer tells. What it told once is known by the
// spaces of this library, so that a start while it is away still serves.
type outside struct {
	endpoint *openai.Endpoint
	model    string
	spaces   *search.Spaces
	log      *slog.Logger
}

// newOutside gives the configured one; nil when the embedder is another.
func newOutside(cfg *config.Config, m *models, spaces *search.Spaces, log *slog.Logger) (*outside, error) {
	var o openai.Options
	model := cfg.Search.EmbeddingModel
	switch cfg.Search.Embedder {
	case "openai":
		o, model = m.openAI(), cmp.Or(model, "text-embedding-3-small")
	case "ollama":
		o, model = m.ollama(cfg.Models.OllamaBaseURL), cmp.Or(model, "nomic-embed-text")
	default:
		return nil, nil
	}
	o.ModelName = "BYLINE_EMBEDDING_MODEL"
	e, err := m.endpoint(o)
	return &outside{e, model, spaces, log}, err
}

// remember lets the space serve that the model made before, if there is one.
func (o *outside) remember(ctx context.Context) (dims int, err error) {
	list, err := o.spaces.List(ctx)
	if err != nil {
		return 0, err
	}
	prefix := o.endpoint.Name() + "/" + o.endpoint.Version(o.model) + "/"
	for _, s := range list {
		text, ours := strings.CutPrefix(s.ID, prefix)
		if n, err := strconv.Atoi(text); ours && err == nil && n > 0 && s.State != search.SpaceRejected {
			dims = n
			if s.State == search.SpaceServing {
				break
			}
		}
	}
	if dims > 0 {
		err = o.spaces.Want(ctx, o.embedder(dims))
	}
	return dims, err
}

func (o *outside) embedder(dims int) embed.Embedder {
	return o.endpoint.Embedder(openai.EmbedderOptions{Model: o.model, Dims: dims})
}

// probeEvery is how often a service is asked that did not answer yet.
const probeEvery = 15 * time.Second

// run asks which space the model makes, until it is known.
func (o *outside) run(ctx context.Context, known int) {
	told := false
	for {
		dims, err := o.endpoint.Dims(ctx, o.model)
		if err == nil && dims != known {
			err = o.spaces.Want(ctx, o.embedder(dims))
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if !told {
			told = true
			o.log.Warn("the embedding model does not answer; search by meaning waits for it", "model", o.model, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeEvery):
		}
	}
}

// probe tells whether the model embeds.
func (o *outside) probe(ctx context.Context) (string, error) {
	e, _, err := o.spaces.Serving(ctx)
	switch {
	case err != nil:
		return "", sayOf(err)
	case e == nil || e.Space().Embedder != o.endpoint.Name():
		_, err = o.endpoint.Dims(ctx, o.model)
	default:
		_, err = e.Query(ctx, "well")
	}
	if err != nil {
		return "", fmt.Errorf("%w New documents wait for it; questions are answered by words alone", sayOf(err))
	}
	return o.endpoint.Name() + " " + o.model, nil
}

// directory opens a model that a person brought: a table of words if it is one, else an encoder.
func directory(path string) (_ embed.Embedder, rest func(unused time.Duration), err error) {
	t, noTable := table.Load(path)
	if noTable == nil {
		return t, func(time.Duration) {}, nil
	}
	e, noEncoder := encoder.Load(path)
	if noEncoder == nil {
		return e, e.Release, nil
	}
	err = errors.Join(noTable, noEncoder)
	return nil, nil, fault.New(fault.Invalid, "model_unusable", "BYLINE_EMBEDDER: the model in %s cannot be used. As a table of words (model2vec): %v. As an encoder (BERT, XLM-RoBERTa): %v.",
		path, noTable, noEncoder).Because(err)
}
