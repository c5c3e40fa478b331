package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"byline/internal/config"
	"byline/internal/fault"
)

// Every command that touches the library is a client of the HTTP interface: of the server that runs on the data
// directory, or, when none does, of the library opened in this process, over connections in memory.

// serveFile names the running server to the command line; it lies in the data directory and only its owner reads it. On PostgreSQL several
// servers may share the directory: each machine has a file of its own, of the server that started last on it.
func serveFile(cfg *config.Config) string {
	name := "serve.json"
	if host, err := os.Hostname(); err == nil && cfg.Storage.DatabaseURL != "" {
		name = "serve." + filepath.Base(host) + ".json"
	}
	return filepath.Join(cfg.Storage.Data, name)
}

// running is the content of the file.
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
	return c.reach(ctx, cfg)
}

// reach is connect with a configuration that is loaded.
func (c *command) reach(ctx context.Context, cfg *config.Config) (*client, func(), error) {
	log := c.logger(cfg, slog.LevelError) // what fails with a document or run, the command tells itself
	lib, err := c.Open(ctx, Options{Config: cfg, Log: log})
	if isCode(err, InUse) {
		r, err := readRunning(cfg)
		if errors.Is(err, fs.ErrNotExist) && cfg.Storage.DatabaseURL != "" { // servers of other machines
			return c.beside(ctx, cfg, log)
		}
		if err != nil {
			return nil, nil, err
		}
		// No proxy: the token is for that server alone.
		cl := &client{base: r.URL, token: r.Token, pid: r.PID, http: &http.Client{Transport: &http.Transport{}}}
		return cl, cl.http.CloseIdleConnections, nil
	}
	if err != nil {
		return nil, nil, err
	}
	retract(cfg, "") //nolint:errcheck // of a server that was killed: nobody else holds the directory now
	cl, stop := c.within(ctx, lib, log)
	return cl, stop, nil
}

// beside opens the library in this process while servers of other machines are at work on it.
func (c *command) beside(ctx context.Context, cfg *config.Config, log *slog.Logger) (*client, func(), error) {
	lib, err := c.Open(ctx, Options{Config: cfg, Log: log, Beside: true})
	if err != nil {
		return nil, nil, err
	}
	cl, stop := c.within(ctx, lib, log)
	return cl, stop, nil
}

// within is a client of a library that was opened here.
func (c *command) within(ctx context.Context, lib Library, log *slog.Logger) (*client, func()) {
	cl, stop := inMemory(lib, log)
	return cl, func() {
		stop()
		done, cancel := context.WithCancel(ctx)
		cancel()
		lib.Drain(done) // waits for nothing: steps that are not done are done again
		if err := lib.Close(); err != nil {
			c.complain(err)
		}
	}
}

// stopTimeout is how long handlers may take to notice that their client has gone.
const stopTimeout = 5 * time.Second

// inMemory serves a library to a client of the same process.
func inMemory(lib Library, log *slog.Logger) (cl *client, stop func()) {
	l := newPipe()
	srv := &http.Server{Handler: lib.Handler(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	var served sync.WaitGroup
	served.Go(func() { srv.Serve(l) }) //nolint:errcheck // it returns when the listener closes
	cl = &client{base: "http://library", token: lib.LocalToken(), http: &http.Client{Transport: &http.Transport{DialContext: l.dial}}}
	return cl, func() {
		cl.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close() //nolint:errcheck // connections in memory
		}
		served.Wait()
	}
}

// readRunning finds the server that holds a data directory.
func readRunning(cfg *config.Config) (running, error) {
	var r running
	data, err := os.ReadFile(serveFile(cfg))
	if errors.Is(err, fs.ErrNotExist) {
		return r, fault.New(fault.Unavailable, InUse, "Another byline is at work in %s, and it is no server that could be asked. Try again when it has ended.", cfg.Storage.Data).Because(err)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", serveFile(cfg), err)
	}
	return r, nil
}

// announce writes serveFile for the command line.
func announce(cfg *config.Config, r running) error {
	path := serveFile(cfg)
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err = os.Remove(tmp); err == nil || errors.Is(err, fs.ErrNotExist) { // one that is there might be readable by others
		err = os.WriteFile(tmp, data, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// retract removes serveFile; with a token, only if it is that server's: another one may have started meanwhile.
func retract(cfg *config.Config, token string) error {
	if token != "" {
		if r, err := readRunning(cfg); err == nil && r.Token != token {
			return nil
		}
	}
	if err := os.Remove(serveFile(cfg)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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

// Network is the memory of this process.
func (pipeAddr) Network() string { return "memory" }

// String is the same.
func (pipeAddr) String() string { return "memory" }
