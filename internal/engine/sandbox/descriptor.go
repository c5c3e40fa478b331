package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// pair gives the two ends of a socket pair: the parent's as a connection, the child's as a file to hand down.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "extractor"), os.NewFile(uintptr(fds[1]), "parent")
	conn, err := net.FileConn(ours)
	_ = ours.Close() // FileConn has a copy
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// sendWith writes a frame, and the descriptor of f with its first byte. f may be nil.
func sendWith(conn *net.UnixConn, frame []byte, f *os.File) error {
	if f == nil {
		_, err := conn.Write(frame)
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var sent error
	// Control keeps the descriptor open meanwhile, and unlike Fd leaves its mode alone.
	if err := raw.Control(func(fd uintptr) {
		n, _, sent = conn.WriteMsgUnix(frame, unix.UnixRights(int(fd)), nil)
	}); err != nil {
		return err
	}
	if sent == nil && n < len(frame) {
		_, sent = conn.Write(frame[n:])
	}
	return sent
}

// receiver reads from a connection and keeps the descriptor that came last.
type receiver struct {
	conn *net.UnixConn
	file *os.File
	oob  [64]byte
}

func (r *receiver) Read(p []byte) (int, error) {
	n, oobn, _, _, err := r.conn.ReadMsgUnix(p, r.oob[:])
	if oobn > 0 {
		if err := r.keep(r.oob[:oobn]); err != nil {
			return n, err
		}
	}
	if errors.Is(err, io.EOF) { // it comes wrapped, which io.ReadFull does not know
		err = io.EOF
	}
	return n, err
}

func (r *receiver) keep(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("read descriptor: %w", err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fmt.Errorf("read descriptor: %w", err)
		}
		for _, fd := range fds {
			if r.file != nil {
				_ = r.file.Close()
			}
			unix.CloseOnExec(fd)
			r.file = os.NewFile(uintptr(fd), "document")
		}
	}
	return nil
}

// take gives the descriptor that came last, which is the caller's to close; nil if there was none.
func (r *receiver) take() *os.File {
	f := r.file
	r.file = nil
	return f
}
