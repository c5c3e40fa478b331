package account

import "syscall"

// background is how much a hash gives way: as `nice` does.
const background = 10

// lowerPriority lowers that of the calling thread; where it is not allowed, it stays.
func lowerPriority() {
	syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), background) //nolint:errcheck // see above
}
