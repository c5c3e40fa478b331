//go:build unix && !linux

package sandbox

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock() // nobody forks between making the descriptors and marking them
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	return fds, err
}

// attributes of a child: here it notices the end of its parent only when it next looks at the socket.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
