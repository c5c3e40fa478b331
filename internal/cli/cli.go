// Package cli is how people at a terminal reach Byline: a file per command.
package cli

import (
	"context"
	"encoding/json"
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
	ImportModel    ImportModel
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
	Beside bool // others may be at work in the same data directory on PostgreSQL, none of which can be asked
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
	// Retire makes the library not ready, stops taking work, and waits until whoever asks for its readiness has noticed, or ctx ends.
	// Requests are still answered.
	Retire(ctx context.Context)
	// Drain stops taking work and waits for what is under way until ctx ends; the rest goes on at the next start.
	Drain(ctx context.Context)
	Close() error
}

// Verify compares all stores of a data directory that may be in use; see the command.
type Verify func(ctx context.Context, c *config.Config, contains []string, engines bool) (problems []string, checked string, err error)

// command is one invocation.
type command struct {
	Program
	root       *cobra.Command
	flags      map[string]string // settings given as flags
	configFile string
	quiet      bool
	json       bool
	exit       int // of a command that went well
}

// exitError ends the program with a code; its message has been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is a mistake in the command line.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run does what the arguments say and returns the exit code. An interrupt cancels; a second one ends at once.
func Run(ctx context.Context, p Program) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // once interrupted, signals have their usual effect
	c := &command{Program: p, flags: map[string]string{}}
	c.build()
	err := c.root.ExecuteContext(ctx)
	code := exitError(0)
	switch {
	case err == nil:
		return c.exit
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(c.Stderr, "Stopped.")
		return ExitInterrupted
	}
	c.complain(err)
	if isUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}

// isUsage tells whether the command line or the configuration is wrong. Some of cobra's own complaints have no type.
func isUsage(err error) bool {
	if _, ok := errors.AsType[usageError](err); ok || isCode(err, "bad_configuration") {
		return true
	}
	for _, s := range []string{"accepts ", "requires at least ", "unknown command "} {
		if strings.HasPrefix(err.Error(), s) {
			return true
		}
	}
	return false
}

func isCode(err error, code string) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Code == code
}

// complain tells what went wrong in the words for people. The cause of what is ours is shown too: whoever reads this
// terminal owns the library.
func (c *command) complain(err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		fmt.Fprintf(c.Stderr, "byline: %s\n", clean(err.Error()))
		return
	}
	fmt.Fprintf(c.Stderr, "byline: %s\n", clean(f.Say))
	for _, field := range f.Fields {
		if !strings.Contains(f.Say, field.Message) {
			fmt.Fprintf(c.Stderr, "  %s: %s\n", clean(field.Location), clean(field.Message))
		}
	}
	if f.Kind == fault.Internal && f.Cause != nil {
		fmt.Fprintf(c.Stderr, "  %s\n", clean(f.Cause.Error()))
	}
}

func (c *command) build() {
	c.root = &cobra.Command{
		Use:   "byline",
		Short: "Sources in, cited posts out",
		Long:  "Byline turns sources (PDF, Markdown, text) into blog posts whose every sentence is cited and checked. It needs no key and no other server.",
		Args:  noCommand, SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              help,
	}
	c.root.SetArgs(c.Args)
	c.root.SetIn(c.Stdin)
	c.root.SetOut(c.Stdout)
	c.root.SetErr(c.Stderr)
	c.root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	c.settingFlags()
	f := c.root.PersistentFlags()
	f.BoolVarP(&c.quiet, "quiet", "q", false, "say only what went wrong, and the result")
	f.BoolVar(&c.json, "json", false, "print the result as JSON")
	c.root.AddCommand(c.serveCmd(), c.draftCmd(), c.refineCmd(), c.searchCmd(), c.evalCmd(), c.doctorCmd(), c.configCmd(), c.userCmd(), c.verifyCmd(), c.reindexCmd(), c.modelCmd(), c.runsCmd(), c.graphCmd(), c.warmCmd(), c.versionCmd())
}

// noCommand is what a command with only subcommands makes of its arguments.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		meant = "; did you mean " + oneOf(near) + "?"
	}
	return usage("%s has no command %q%s", cmd.CommandPath(), args[0], meant)
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// printJSON writes one line. Control characters that JSON lets through are escaped, since it may be a terminal.
func (c *command) printJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range string(data) {
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	_, err = fmt.Fprintln(w, b.String())
	return err
}

// clean takes control characters out: a source, or the name of a file, must not steer somebody's terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}

// inline is clean for what stands within a line, such as the name of a file: it can't begin a new one either.
func inline(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return '\ufffd'
		}
		return r
	}, clean(s))
}

// firstError is the first that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Version of the build: what the go command stamped into the binary.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return strings.Trim(info.Main.Version, "()") // (devel) of a build in a checkout
}
