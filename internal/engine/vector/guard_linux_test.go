package vector_test

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"byline/internal/engine/vector"
)

// guarded is n bytes behind which nothing can be read.
func guarded(t *testing.T, n int) []byte {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return mem[size-n : size : size]
}

// A segment may end where readable memory does: the kernels must not read or write beyond what they are given, prefetches apart.
func TestKernelsStayInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, dims := range []int{64, 128, 320, 384, 4096} {
		q, values, _ := vector.Values(isotropic(rng, dims))
		for rows := 1; rows <= 9; rows++ {
			full := (rows + 7) &^ 7
			high, low := guarded(t, rows*len(values)/2), guarded(t, rows*len(values)/2)
			scales, residuals := guarded(t, 4*full), guarded(t, 4*full)
			for _, k := range vector.Kernels() {
				sums := make([]int32, full)
				k.Sums(high, low, q, sums[:rows])
				k.Skim(high, q, sums[:rows])
				k.Sift(sums, scales, residuals, rows, 0, 1, 0)
			}
		}
	}
}
