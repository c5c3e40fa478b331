//go:build unix

package summarize_test

import (
	"syscall"
	"testing"
	"time"
)

// processor is the time that the process has used, which other processes do not change as they change that of the clock.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
