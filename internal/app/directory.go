package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/driver/localfs"
	"byline/internal/fault"
)

// hold takes the data directory: for this process, or on PostgreSQL, where others may share it, for those that do.
func (a *App) hold(ctx context.Context, o cli.Options) error {
	dir := a.cfg.Storage.Data
	lock := flock.New(filepath.Join(dir, "lock"))
	err := os.MkdirAll(dir, 0o700)
	ok := false
	switch shared := a.cfg.Storage.DatabaseURL != ""; {
	case err != nil:
	case shared && (o.Server || o.Beside):
		ok, err = share(ctx, lock)
	default:
		if ok, err = lock.TryLock(); ok && shared { // a command alone
			if err = lock.Unlock(); err == nil {
				ok, err = share(ctx, lock)
			}
		}
	}
	if err != nil {
		return fault.New(fault.Unavailable, "data_directory", "The data directory %s cannot be used (%v). Make it a directory that you can write to, or choose another one with --data or BYLINE_DATA.", dir, err).Because(err)
	}
	if !ok {
		return fault.New(fault.Conflict, cli.InUse, "Another process holds the data directory %s. Stop it, or choose another directory with --data.", dir)
	}
	a.lock = lock
	return nil
}

// share takes a lock that others may have, too. A command may look at it at the same moment, by taking it alone.
func share(ctx context.Context, lock *flock.Flock) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ok, err := lock.TryRLockContext(ctx, 10*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil // a process on SQLite
	}
	return ok, err
}

// libraryFile marks a data directory with the name of the library that its uploaded files belong to.
const libraryFile = "library"

// ownsFiles tells whether the uploaded files belong to the library in the database. A directory without a mark is marked if it is empty, or if the
// database knows one of its files.
func (a *App) ownsFiles(ctx context.Context, known func(key string) (bool, error)) (bool, error) {
	installation, err := a.store.Installation(ctx)
	if err != nil {
		return false, err
	}
	path := filepath.Join(a.cfg.Storage.Data, libraryFile)
	mark, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(mark)) == installation, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	enough := errors.New("enough is known")
	files, mine := 0, false
	err = a.blobs.Walk(ctx, func(key string, _ time.Time) (err error) {
		files++
		if mine, err = known(key); err == nil && mine {
			err = enough
		}
		return err
	})
	if err != nil && !errors.Is(err, enough) {
		return false, err
	}
	if files > 0 && !mine {
		return false, nil
	}
	return true, os.WriteFile(path, []byte(installation+"\n"), 0o600)
}

// openBlobs opens the directory of uploaded files. Servers with one database share it.
func openBlobs(cfg *config.Config) (*localfs.Store, error) {
	if cfg.Storage.DatabaseURL != "" {
		return localfs.OpenShared(cfg.Storage.Data)
	}
	return localfs.Open(cfg.Storage.Data)
}
