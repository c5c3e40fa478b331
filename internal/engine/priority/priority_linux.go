package priority

import (
	"os"
	"strconv"
	"syscall"
)

// niceness is the most there is: what runs beside the server takes what requests leave.
const niceness = 19

// Lower makes every thread of this process nice; on Linux that is a thread's property, and new threads inherit it. It is
// best effort: a process at full speed is right, too.
func Lower() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, tid, niceness)
		}
	}
}
