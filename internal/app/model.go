package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/engine/embed/encoder"
	"byline/internal/fault"
)

// ImportModel packs the sentence encoder in a directory into another one, or into one of the data directory, and tries it.
func ImportModel(ctx context.Context, cfg *config.Config, dir, out string) (cli.Model, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cli.Model{}, fmt.Errorf("import model: %w", err)
	}
	if out == "" {
		out = filepath.Join(cfg.Storage.Data, "models", filepath.Base(dir))
		if err := os.MkdirAll(cfg.Storage.Data, 0o700); err != nil {
			return cli.Model{}, fmt.Errorf("make data directory: %w", err)
		}
	}
	if out, err = filepath.Abs(out); err != nil {
		return cli.Model{}, fmt.Errorf("import model: %w", err)
	}
	p, err := encoder.Quantize(dir)
	if err != nil {
		return cli.Model{}, unfit(dir, err)
	}
	if err := p.Write(out); err != nil {
		return cli.Model{}, unfit(dir, err)
	}
	m := cli.Model{Directory: out, Bytes: int64(len(p.Model) + len(p.Tokenizer)), Query: p.Manifest.Query, Passage: p.Manifest.Passage, Latin: p.Manifest.Latin, Fast: encoder.Supported()}
	p = nil // its memory is of use to what comes
	e, err := encoder.Load(out)
	if err != nil {
		return cli.Model{}, unfit(out, err)
	}
	m.Space, m.Dimensions, m.Limit = e.Space().ID(), e.Space().Dims, e.Limit()
	if m.Near, m.Far, err = e.Check(ctx); err != nil {
		return cli.Model{}, unfit(out, err)
	}
	return m, nil
}

// unfit says what is wrong with a model in words for whoever brought it.
func unfit(dir string, err error) error {
	if errors.Is(err, encoder.ErrModel) {
		return fault.New(fault.Invalid, "model_unusable", "The model in %s cannot be used: %s.", dir, strings.TrimPrefix(err.Error(), encoder.ErrModel.Error()+": ")).Because(err)
	}
	return err
}
