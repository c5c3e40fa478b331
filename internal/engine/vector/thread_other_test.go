//go:build !linux

package vector_test

import "time"

// ownTime is a clock; on Linux it counts this thread's own time only.
func ownTime() (now func() time.Duration, done func()) {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }, func() {}
}
