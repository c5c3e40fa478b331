package encoder

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forget lets the kernel take the pages of a mapped file, or of a part of this program's, back; they are read again when they
// are touched. It must never be used on other memory, which would be lost.
func forget(file []byte) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(file)))
	from, to := (page-start%page)%page, uintptr(len(file))-(start+uintptr(len(file)))%page
	if from < to {
		_ = unix.Madvise(file[from:to], unix.MADV_DONTNEED) // advice: nothing depends on it
	}
}
