//go:build unix && !linux

package priority

import "syscall"

// Lower makes this process nice, as far as that is possible.
func Lower() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) }
