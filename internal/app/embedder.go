package app

import (
	"fmt"
	"log/slog"
	"time"

	"byline/internal/config"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
)

// embedder gives the one that is configured, nil for none, and what gives its memory back when it was unused for a time.
func embedder(cfg config.Search, log *slog.Logger) (_ embed.Embedder, rest func(unused time.Duration), err error) {
	rest = func(time.Duration) {}
	switch cfg.Embedder {
	case "off":
		return nil, rest, nil
	case "auto":
		if !encoder.Supported() {
			log.Warn("this processor has no instructions for the built-in encoder (AVX2), so search is by words alone")
			return nil, rest, nil
		}
	}
	e, err := encoder.Builtin()
	if err != nil {
		return nil, nil, fmt.Errorf("open built-in encoder: %w", err)
	}
	return e, e.Release, nil
}
