package app

import (
	"fmt"
	"log/slog"

	"byline/internal/config"
	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
)

// embedder gives the one that is configured; nil for none.
func embedder(cfg config.Search, log *slog.Logger) (embed.Embedder, error) {
	switch cfg.Embedder {
	case "off":
		return nil, nil
	case "auto":
		if !encoder.Supported() {
			log.Warn("this processor has no instructions for the built-in encoder (AVX2), so search is by words alone")
			return nil, nil
		}
	}
	e, err := encoder.Builtin()
	if err != nil {
		return nil, fmt.Errorf("open built-in encoder: %w", err)
	}
	return e, nil
}
