//go:build !(linux || darwin || freebsd)

package cli

import "errors"

// freeSpace is not asked for on this system.
func freeSpace(string) (uint64, error) { return 0, errors.New("not on this system") }
