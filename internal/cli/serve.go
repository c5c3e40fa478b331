package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

func (c *command) serveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the library over HTTP",
		Long: `Serves the library in the data directory until it is stopped (Ctrl-C, SIGTERM). Open requests are then finished, and runs
that are under way go on at the next start. A second Ctrl-C ends it at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context()) },
	}
}

// How long a client may take: headers are small, a body may be large (uploads set their own pace, see httpapi), and an
// answer may be a stream (which sets a deadline with each write).
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

func (c *command) serve(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := c.logger(cfg, slog.LevelInfo)
	lib, err := c.Open(ctx, Options{Config: cfg, Log: log, Server: true})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("serve at %s (--listen or BYLINE_LISTEN names another address; port 0 takes a free one): %w", cfg.Server.Listen, err), lib.Close())
	}
	url := "http://" + reachable(l.Addr())
	leaving := &leaving{next: lib.Handler()}
	srv := &http.Server{
		Handler: leaving, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	err = firstError(announce(cfg, running{url, lib.LocalToken(), os.Getpid()}), c.greet(url, lib.SetupToken()))
	if err != nil {
		return errors.Join(err, l.Close(), retract(cfg, lib.LocalToken()), lib.Close())
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err = <-served: // only on a broken listener
	case <-ctx.Done():
		if !c.quiet {
			fmt.Fprintln(c.Stderr, "Stopping: open requests are finished, runs go on at the next start. Ctrl-C again ends it at once.")
		}
		leaving.begun.Store(true)
		retire(context.WithoutCancel(ctx), lib, cfg.Server.DrainTimeout/2)
		err = stopServing(context.WithoutCancel(ctx), srv, lib, cfg.Server.DrainTimeout)
		<-served
	}
	return errors.Join(err, retract(cfg, lib.LocalToken()), lib.Close())
}

// retire goes on answering until a load balancer has noticed that nothing more is to be sent here, if there is one.
func retire(ctx context.Context, lib Library, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	lib.Retire(ctx)
}

// leaving asks clients, once the server is about to stop, to make their next request on another connection: a request must not meet
// the end of one that was kept open.
type leaving struct {
	next  http.Handler
	begun atomic.Bool
}

// ServeHTTP answers as next does.
func (l *leaving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.begun.Load() && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close")
	}
	l.next.ServeHTTP(w, r)
}

// stopServing gives open requests and runs the same time; requests that are still open then are closed.
func stopServing(ctx context.Context, srv *http.Server, lib Library, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var drained sync.WaitGroup
	drained.Go(func() { lib.Drain(ctx) }) // ends the streams at once, for which Shutdown waits
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	drained.Wait()
	return err
}

// greet tells where it is, and how the first account is opened. The token is in the fragment, which no server or log sees.
func (c *command) greet(url, setupToken string) error {
	setup := ""
	if setupToken != "" {
		setup = url + "/setup#token=" + setupToken
	}
	if c.json {
		return c.printJSON(c.Stdout, map[string]string{"url": url, "setup_url": setup})
	}
	text := fmt.Sprintf("Byline is at %s (documentation: %s/docs)\n", url, url)
	if setup != "" {
		text += fmt.Sprintf("Open the first account, once: %s\n", setup)
	}
	_, err := fmt.Fprint(c.Stdout, text)
	return err
}

// reachable is an address that this machine's own programs can use: a listener on all addresses is reached by loopback.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if t.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", t.Port)
	}
	return t.String()
}
