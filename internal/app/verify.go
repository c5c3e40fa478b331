package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"byline/internal/config"
	"byline/internal/search"
	"byline/internal/store"
)

// Verify holds all stores of a data directory against each other, beside a running server or without one. contains are texts
// that must be nowhere, as after a deletion; engines are asked when they shall be compared, too. It changes nothing.
func Verify(ctx context.Context, cfg *config.Config, contains []string, engines bool) (problems []string, checked string, err error) {
	o := storeOptions(cfg, nil)
	o.ReadOnly = true
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	blobs, err := openBlobs(cfg)
	if err != nil {
		return nil, "", err
	}
	report, err := s.Verify(ctx, store.VerifyOptions{Contains: contains, Blobs: func(ctx context.Context, each func(string) error) error {
		return blobs.Walk(ctx, func(key string, _ time.Time) error { return each(key) })
	}})
	if err != nil {
		return nil, "", err
	}
	for _, p := range report.Problems {
		problems = append(problems, fmt.Sprintf("%s %s: %s", p.Kind, p.ID, p.Detail))
	}
	unfit, err := search.Check(ctx, s)
	if err != nil {
		return nil, "", err
	}
	problems = append(problems, unfit...)
	if engines {
		unfit, err := verifyEngines(ctx, cfg, s)
		if err != nil {
			return nil, "", err
		}
		problems = append(problems, unfit...)
	}
	for _, text := range contains {
		found, err := filesWith(ctx, cfg.Storage.Data, text)
		if err != nil {
			return nil, "", err
		}
		for _, path := range found {
			problems = append(problems, fmt.Sprintf("file %s: contains %q", path, text))
		}
	}
	checked = fmt.Sprintf("Checked %d documents, %d passages, %d pages, %d citations, %d segments, %d runs with %d events, %d files",
		report.Documents, report.Passages, report.Pages, report.Citations, report.Segments, report.Runs, report.Events, report.Blobs)
	return problems, checked, nil
}

// verifyEngines compares what the search engines hold with what they should.
func verifyEngines(ctx context.Context, cfg *config.Config, s *store.Store) (problems []string, err error) {
	installation, err := s.Installation(ctx)
	if err != nil {
		return nil, err
	}
	list, err := engines(cfg.Search, installation)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeEngines(list)) }()
	log := slog.New(slog.DiscardHandler)
	return search.NewFeed(s, search.NewSpaces(s, nil, nil, log), list, log).Check(ctx)
}

// filesWith looks for a text in the files of the data directory that the database is not made of.
func filesWith(ctx context.Context, dir, text string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // swept meanwhile
		}
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), databaseFile) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return nil //nolint:nilerr // swept meanwhile
		}
		defer f.Close()
		has, err := readerHas(f, []byte(text))
		if has {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

// readerHas searches a stream piece by piece; the end of one is kept for a match across the border.
func readerHas(r io.Reader, text []byte) (bool, error) {
	buf := make([]byte, 0, 1<<20+len(text))
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if bytes.Contains(buf, text) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if keep := min(len(buf), len(text)-1); len(buf) > 1<<19 {
			buf = buf[:copy(buf, buf[len(buf)-keep:])]
		}
	}
}
