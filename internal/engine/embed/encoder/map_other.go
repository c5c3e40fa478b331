//go:build !unix

package encoder

import "os"

// mapFile reads a file: unmap is nil.
func mapFile(path string) (data []byte, unmap func(), err error) {
	data, err = os.ReadFile(path)
	return data, nil, err
}
