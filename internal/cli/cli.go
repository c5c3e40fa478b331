// Package cli is how people at a terminal reach Byline: a file per command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"byline/internal/config"
	"byline/internal/fault"
)

// The exit codes, as docs/exit-codes.md has them.
const (
	ExitOK          = 0
	ExitFailed      = 1   // it did not work; the message says why
	ExitUsage       = 2   // the command line or the configuration is wrong
	ExitPartly      = 3   // done, but some of the input could not be used
	ExitInterrupted = 130 // Ctrl-C, as shells have it
)

// Program is the command line with all it touches, so that tests run it as a value.
type Program struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string
	Open           Open
	Verify         Verify
}

// Open opens the library in the configured data directory. One that another process holds is a fault with the code
// InUse.
type Open func(ctx context.Context, o Options) (Library, error)

// InUse is the code of the fault of a data directory that another process holds.
const InUse = "library_in_use"

// Options of an opening.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Server bool // it will be reached from outside: prepare what only a server needs (setup token)
}

// Library is an opened library: the whole product behind its HTTP interface, with workers running.
type Library interface {
	Handler() http.Handler
	// LocalToken lets its bearer act in the local workspace.
	LocalToken() string
	// SetupToken opens the first account from another machine; empty when there is an account.
	SetupToken() string
	// Warm prepares what is slow the first time.
	Warm(ctx context.Context) error
	// Drain stops taking work and gives what is under way the configured time.
	Drain(ctx context.Context)
	Close() error
}

// Verify compares all stores of a data directory that may be in use; see the command.
type Verify func(ctx context.Context, c *config.Config, contains []string) (problems []string, checked string, err error)

// command is one invocation.
type command struct {
	Program
	root  *cobra.Command
	flags map[string]string // settings given as flags
	quiet bool
	json  bool
	exit  int // of a command that went well
}

// exitError ends the program with a code; its message has been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// Run does what the arguments say and returns the exit code. An interrupt cancels; a second one ends at once.
func Run(ctx context.Context, p Program) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from now on signals have their usual effect
	}()
	c := &command{Program: p, flags: map[string]string{}}
	c.build()
	err := c.root.ExecuteContext(ctx)
	switch code := exitError(0); {
	case err == nil:
		return c.exit
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil:
		return ExitInterrupted
	}
	c.complain(err)
	if errors.Is(err, errUsage) || isUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}

var errUsage = errors.New("usage")

// isUsage tells cobra's own complaints apart, which have no type.
func isUsage(err error) bool {
	for _, s := range []string{"unknown command", "unknown flag", "unknown shorthand", "flag needs an argument", "invalid argument", "accepts ", "requires at least"} {
		if strings.HasPrefix(err.Error(), s) {
			return true
		}
	}
	return false
}

// complain tells what went wrong in the words for people; what is ours is shown whole, since a terminal is nobody else's.
func (c *command) complain(err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		fmt.Fprintf(c.Stderr, "byline: %v\n", err)
		return
	}
	fmt.Fprintf(c.Stderr, "byline: %s\n", f.Say)
	for _, field := range f.Fields {
		if field.Message != f.Say {
			fmt.Fprintf(c.Stderr, "  %s: %s\n", field.Location, field.Message)
		}
	}
	if f.Kind == fault.Internal && f.Cause != nil {
		fmt.Fprintf(c.Stderr, "  %v\n", f.Cause)
	}
}

func (c *command) build() {
	c.root = &cobra.Command{
		Use:   "byline",
		Short: "Sources in, cited posts out",
		Long:  "Byline turns sources (PDF, Markdown, text) into blog posts whose every sentence is cited and checked. It needs no key and no other server.",
		Args:  cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.root.SetArgs(c.Args)
	c.root.SetIn(c.Stdin)
	c.root.SetOut(c.Stdout)
	c.root.SetErr(c.Stderr)
	c.root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w%.0w", err, errUsage) })
	c.settingFlags()
	f := c.root.PersistentFlags()
	f.BoolVarP(&c.quiet, "quiet", "q", false, "say only what went wrong, and the result")
	f.BoolVar(&c.json, "json", false, "print the result as JSON")
	c.root.AddCommand(c.serveCmd(), c.draftCmd(), c.searchCmd(), c.doctorCmd(), c.configCmd(), c.userCmd(), c.verifyCmd(), c.warmCmd(), c.versionCmd())
}

// Version of the build: what the go command stamped into the binary.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}
