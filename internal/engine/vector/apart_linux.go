package vector

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	apartFrom = 1 << 20 // bytes; smaller segments may be many, and a process may not have many mappings
	hugePage  = 2 << 20
)

// Apart gives the same segment in memory apart from the heap, for one that is kept and searched often; a small one stays where it is. The collector
// would let garbage grow to the size of all that the heap holds; and a scan reads memory up to a third faster in huge pages, where the machine
// gives them. The memory goes with the segment that is given, once nothing refers to that any more.
func (s *Segment) Apart() *Segment {
	n := len(s.data)
	if n < apartFrom {
		return s
	}
	size := roundUp(n, os.Getpagesize())
	if huge := roundUp(n, hugePage); huge-n <= n/8 {
		size = huge // else its end would be in small pages
	}
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return s // the heap does it, too
	}
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // a wish
	copy(memory, s.data)
	apart := sliced(memory[:n:n], s.passages, s.groupCount, s.dims)
	runtime.AddCleanup(apart, func(memory []byte) { _ = unix.Munmap(memory) }, memory) // it can't fail: the range is as it was mapped
	return apart
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
