//go:build unix

package pdf

import (
	"context"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// withMemory gives guests memory of the system's instead of Go's: it is reserved at its full size but taken page by page,
// so that it never moves when it grows, and goes back at once when the guest ends.
func withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(reserve))
}

func reserve(_, most uint64) experimental.LinearMemory {
	b, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return &mapped{} // gives no memory, which ends the guest
	}
	return &mapped{all: b}
}

// mapped is a guest's memory.
type mapped struct{ all []byte }

// Reallocate gives the first size bytes, nil if there are not so many.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	return m.all[:size]
}

// Free gives the memory back.
func (m *mapped) Free() {
	if m.all == nil {
		return
	}
	if err := syscall.Munmap(m.all); err == nil {
		m.all = nil
	}
}
