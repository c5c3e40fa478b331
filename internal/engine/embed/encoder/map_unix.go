//go:build unix

package encoder

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file into memory, for as long as the program runs: its pages are read when they are touched.
func mapFile(path string) (_ []byte, mapped bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, false, err
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, false, errors.New("it is too large for this system")
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	return b, err == nil, err
}
