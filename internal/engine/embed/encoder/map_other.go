//go:build !unix

package encoder

import "os"

// mapFile reads a file.
func mapFile(path string) (_ []byte, mapped bool, err error) {
	b, err := os.ReadFile(path)
	return b, false, err
}
