// Package blob keeps the bytes of uploaded documents, whole or not at all.
package blob

import (
	"context"
	"io"
)

// File is an opened blob. Where it is a file of this machine, it also is an *os.File, which can be handed to a child.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Staged is a blob being written. Nobody sees it before Commit; Discard after Commit does nothing.
type Staged interface {
	io.Writer
	// Commit makes the bytes durable and visible under the key.
	Commit(ctx context.Context) error
	Discard() error
	Key() string
}

// Store keeps blobs. Keys are chosen by the store; a blob is never changed once it is there.
// A full disk is fault.StorageFull.
type Store interface {
	Stage(ctx context.Context) (Staged, error)
	Open(ctx context.Context, key string) (File, error)
	// Delete of a missing blob is no error.
	Delete(ctx context.Context, key string) error
	// Sweep removes what was staged by a process that is gone, and blobs older than an hour that keep does not know.
	Sweep(ctx context.Context, keep func(key string) (bool, error)) (removed int, err error)
}
