package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// heapBeside is the Go memory that an extractor may use beside the WebAssembly memory, in bytes.
const heapBeside = 128 << 20

// process is one extractor.
type process struct {
	conn   *net.UnixConn
	cmd    *exec.Cmd
	stderr tail
	buf    bytes.Buffer // the frame being read

	good bool        // the last request ended in order; the next may come
	idle *time.Timer // hangs up when it has waited long enough

	ours    atomic.Bool      // we killed it
	done    chan struct{}    // closed when it has ended
	state   *os.ProcessState // after done
	starved bool             // after done: somebody else killed it, which is what systems do when memory is short
}

// start starts an extractor with an environment of nothing but what Go itself needs.
func start(command []string, s setup) (*process, error) {
	if len(command) == 0 {
		return nil, errors.New("no command")
	}
	conn, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	c := &process{conn: conn, done: make(chan struct{})}
	c.cmd = exec.Command(command[0], command[1:]...)
	c.cmd.Env = environment(s.Memory)
	c.cmd.Dir = "/"
	c.cmd.Stderr = &c.stderr
	c.cmd.ExtraFiles = []*os.File{theirs} // becomes socketFD
	c.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go c.reap(started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	frame, err := jsonFrame(frameSetup, s)
	if err == nil {
		_, err = conn.Write(frame)
	}
	if err != nil {
		c.kill()
		<-c.done
		return nil, err
	}
	return c, nil
}

// reap starts the process and waits for its end on one thread: the child is told to die with the thread that made it.
func (c *process) reap(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = c.cmd.Wait() // how it ended is in its state
	c.state = c.cmd.ProcessState
	status, ok := c.state.Sys().(syscall.WaitStatus)
	c.starved = ok && status.Signaled() && status.Signal() == syscall.SIGKILL && !c.ours.Load()
	_ = c.conn.Close()
	close(c.done)
}

func environment(memory int64) []string {
	env := []string{fmt.Sprintf("GOMEMLIMIT=%d", memory+heapBeside)}
	if dir, ok := os.LookupEnv("GOCOVERDIR"); ok {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

// run sends a request and takes the answer, frame by frame. An error of the document leaves the process good.
func (c *process) run(ctx context.Context, q request, f *os.File, r *receipt, stall time.Duration) error {
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	frame, err := jsonFrame(frameRequest, q)
	if err != nil {
		return err
	}
	if err := sendWith(c.conn, frame, f); err != nil {
		return err
	}
	for ready := false; ; ready = true {
		if err := c.conn.SetReadDeadline(time.Now().Add(r.patience(ready, stall))); err != nil {
			return err
		}
		kind, payload, err := readFrame(c.conn, &c.buf)
		if err == io.EOF {
			return errHungUp
		}
		if err != nil {
			return err
		}
		done, err := r.take(kind, payload)
		if done {
			c.good = true
			if c.buf.Cap() > keepBuffer {
				c.buf = bytes.Buffer{}
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}

// keepBuffer is the most that an idle process' buffer keeps, in bytes.
const keepBuffer = 1 << 20

// kill ends the process at once and waits for nothing. It may be called at any time, and more than once.
func (c *process) kill() {
	c.ours.Store(true)
	_ = c.cmd.Process.Kill() // it may have ended already
}

// end waits for the end of a process that has hung up, and kills it if it does not come.
func (c *process) end(hungUp bool) {
	if hungUp {
		select {
		case <-c.done:
			return
		case <-time.After(farewell):
		}
	}
	c.kill()
	<-c.done
}

// farewell is how long a process that has hung up may take to end: writing why it crashed takes a moment.
const farewell = time.Second

// hangUp lets an idle process end in order.
func (c *process) hangUp() { _ = c.conn.CloseWrite() }

func (c *process) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) tail() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
