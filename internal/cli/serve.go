package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func (c *command) serveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the library over HTTP",
		Long:  "Serves the library in the data directory until it is stopped (Ctrl-C, SIGTERM). Runs that are under way go on at the next start.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context()) },
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
	lib, err := c.Open(ctx, Options{Config: cfg, Log: c.logger(cfg), Server: true})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen at %s (BYLINE_LISTEN sets another address): %w", cfg.Server.Listen, err), lib.Close())
	}
	url := "http://" + reachable(l.Addr())
	srv := &http.Server{Handler: lib.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	if err := announce(cfg.Storage.Data, running{url, lib.LocalToken(), os.Getpid()}); err != nil {
		return errors.Join(err, l.Close(), lib.Close())
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	c.greet(url, lib.SetupToken())
	select {
	case err = <-served: // only on a broken listener
	case <-ctx.Done():
		fmt.Fprintln(c.Stderr, "Stopping: open requests are finished, runs go on at the next start.")
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Server.DrainTimeout)
		lib.Drain(drain) // streams end here, so that Shutdown need not wait for them
		err = srv.Shutdown(drain)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		<-served
	}
	return errors.Join(err, retract(cfg.Storage.Data), lib.Close())
}

// greet tells where it is, and how the first account is opened.
func (c *command) greet(url, setupToken string) {
	fmt.Fprintf(c.Stdout, "Byline is at %s (documentation: %s/docs)\n", url, url)
	if setupToken != "" {
		fmt.Fprintf(c.Stdout, "Open the first account: %s/setup#token=%s\n", url, setupToken)
	}
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

// announce writes serve.json for the command line.
func announce(dir string, r running) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+serveFile)
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", serveFile, err)
	}
	return os.Rename(tmp, filepath.Join(dir, serveFile))
}

func retract(dir string) error { return os.Remove(filepath.Join(dir, serveFile)) }
