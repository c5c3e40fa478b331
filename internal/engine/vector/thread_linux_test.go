package vector_test

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// threadClock is CLOCK_THREAD_CPUTIME_ID, which syscall does not name.
const threadClock = 3

// ownTime starts a clock that counts this thread's own time only: what other programs take of the processor does not count.
func ownTime() (now func() time.Duration, done func()) {
	runtime.LockOSThread()
	return func() time.Duration {
		var t syscall.Timespec
		if _, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0); e != 0 {
			panic(e)
		}
		return time.Duration(t.Nano())
	}, runtime.UnlockOSThread
}
