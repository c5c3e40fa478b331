// Package localfs keeps blobs as files of one directory.
package localfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"byline/internal/blob"
	"byline/internal/fault"
	"byline/internal/ident"
)

// Store is a directory: blobs/KE/KEY holds what is committed, staged/KEY what is being written. A commit is a rename,
// after the bytes are on the disk, so that a kill leaves no half of a file where readers look.
type Store struct {
	blobs, staged string
	shared        bool
}

// orphanAge spares blobs whose row is about to be written.
const orphanAge = time.Hour

// Open makes the directories as needed.
func Open(dir string) (*Store, error) {
	s := &Store{blobs: filepath.Join(dir, "blobs"), staged: filepath.Join(dir, "staged")}
	for _, d := range []string{s.blobs, s.staged} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make blob directory: %w", err)
		}
	}
	return s, nil
}

// OpenShared is Open for a directory that other processes write to, too.
func OpenShared(dir string) (*Store, error) {
	s, err := Open(dir)
	if err == nil {
		s.shared = true
	}
	return s, err
}

// The last characters of a ULID are its random ones: they spread the files over the folders.
func (s *Store) path(key string) string {
	return filepath.Join(s.blobs, key[len(key)-2:], key)
}

type staged struct {
	*os.File
	s    *Store
	key  string
	over bool
}

// Stage begins a blob under a new key.
func (s *Store) Stage(context.Context) (blob.Staged, error) {
	key := ident.New()
	f, err := os.OpenFile(filepath.Join(s.staged, key), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, full(fmt.Errorf("stage blob: %w", err))
	}
	return &staged{File: f, s: s, key: key}, nil
}

func (f *staged) Key() string { return f.key }

func (f *staged) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, full(err)
}

func (f *staged) Commit(context.Context) error {
	to := f.s.path(f.key)
	err := f.File.Sync()
	if e := f.File.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.Rename(filepath.Join(f.s.staged, f.key), to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return full(fmt.Errorf("commit blob: %w", err))
	}
	f.over = true
	return nil
}

func (f *staged) Discard() error {
	if f.over {
		return nil
	}
	f.over = true
	f.File.Close() //nolint:errcheck // it may be closed already, and is removed anyway
	return os.Remove(filepath.Join(f.s.staged, f.key))
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Open gives the file of a blob, an *os.File.
func (s *Store) Open(_ context.Context, key string) (blob.File, error) {
	if !ident.Valid(key) {
		return nil, fault.Missing("file")
	}
	f, err := os.Open(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Missing("file").Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return f, nil
}

// Delete removes a blob.
func (s *Store) Delete(_ context.Context, key string) error {
	if !ident.Valid(key) {
		return nil
	}
	if err := os.Remove(s.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// Sweep removes all that is staged (the directory belongs to this process, which has just started; in a shared one, what nobody has
// written to for an hour) and old blobs that nobody knows.
func (s *Store) Sweep(ctx context.Context, keep func(string) (bool, error)) (removed int, err error) {
	left, err := os.ReadDir(s.staged)
	if err != nil {
		return 0, fmt.Errorf("list staged blobs: %w", err)
	}
	for _, e := range left {
		if s.shared {
			if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < orphanAge {
				continue // committed meanwhile, or perhaps under way elsewhere
			}
		}
		if err := os.Remove(filepath.Join(s.staged, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("remove staged blob: %w", err)
		}
		removed++
	}
	err = s.Walk(ctx, func(key string, made time.Time) error {
		if time.Since(made) < orphanAge {
			return nil
		}
		if ok, err := keep(key); ok || err != nil {
			return err
		}
		removed++
		return s.Delete(ctx, key)
	})
	return removed, err
}

// Walk visits every committed blob.
func (s *Store) Walk(ctx context.Context, visit func(key string, made time.Time) error) error {
	return filepath.WalkDir(s.blobs, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return visit(e.Name(), info.ModTime())
	})
}

// full names a full disk; other errors stay as they are.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.StorageFull, "storage_full", "The disk of the server is full. Free some space and try again; nothing that was saved is lost.").Because(err)
	}
	return err
}
