package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"byline/internal/fault"
)

// Every command that touches the library is a client of the HTTP interface: of the server that runs on the data
// directory, or, when none does, of the library opened in this process, over connections in memory.

// serveFile names the running server to the command line; it lies in the data directory and only its owner reads it.
const serveFile = "serve.json"

// running is the content of serve.json.
type running struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
}

// connect finds the running server or opens the library. close ends what was opened; what is under way then goes on at the
// next start.
func (c *command) connect(ctx context.Context) (cl *client, close func(), err error) {
	cfg, err := c.load()
	if err != nil {
		return nil, nil, err
	}
	lib, err := c.Open(ctx, Options{Config: cfg, Log: c.logger(cfg)})
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == InUse {
		r, rerr := readRunning(cfg.Data)
		if rerr != nil {
			return nil, nil, f.Because(errors.Join(f.Cause, rerr))
		}
		return &client{base: r.URL, token: r.Token, http: &http.Client{}, remote: true}, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	l := newPipe()
	srv := &http.Server{Handler: lib.Handler()}
	var done sync.WaitGroup
	done.Go(func() { srv.Serve(l) }) //nolint:errcheck // it returns when the listener closes
	cl = &client{base: "http://library", token: lib.LocalToken(), http: &http.Client{Transport: &http.Transport{DialContext: l.dial}}}
	return cl, func() {
		srv.Close() //nolint:errcheck // connections in memory
		done.Wait()
		lib.Drain(context.WithoutCancel(ctx))
		if err := lib.Close(); err != nil {
			c.complain(err)
		}
	}, nil
}

func readRunning(dir string) (running, error) {
	var r running
	data, err := os.ReadFile(filepath.Join(dir, serveFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, fault.New(fault.Unavailable, "in_use", "The process that holds %s is no server, and is still at work. Try again when it has ended.", dir)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", serveFile, err)
	}
	return r, nil
}

// pipe is a listener whose connections stay in this process.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for the next dial.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and refuses dials.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is nowhere.
func (p *pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "memory" }
func (pipeAddr) String() string  { return "memory" }
