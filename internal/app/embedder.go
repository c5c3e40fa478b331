package app

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"byline/internal/config"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
	"byline/internal/engine/embed/table"
	"byline/internal/fault"
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
	case "off":
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
