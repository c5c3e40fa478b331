package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

type user struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	FullName string `json:"full_name,omitempty"`
	Role     string `json:"role"`
}

func (c *command) userCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Open and list accounts", Args: noCommand, RunE: help}
	var name string
	add := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Open an account; the first one becomes admin and takes over the local library",
		Long:  "Opens an account. The password is asked for on a terminal, else it is the first line of standard input.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := c.password(cmd.Context())
			if err != nil {
				return err
			}
			cl, close, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer close()
			var u user
			in := map[string]string{"email": args[0], "password": password, "full_name": name}
			if err := cl.call(cmd.Context(), "POST", "/api/v1/users", in, &u); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(c.Stdout, u)
			}
			_, err = fmt.Fprintf(c.Stdout, "%s is %s\n", clean(u.Email), u.Role)
			return err
		},
	}
	add.Flags().StringVar(&name, "name", "", "full name")
	list := &cobra.Command{
		Use: "list", Short: "List accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, close, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer close()
			var all struct {
				Users []user `json:"users"`
			}
			if err := cl.call(cmd.Context(), "GET", "/api/v1/users", nil, &all); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(c.Stdout, all)
			}
			for _, u := range all.Users {
				fmt.Fprintf(c.Stdout, "%s\t%s\t%s\n", clean(u.Email), u.Role, clean(u.FullName))
			}
			return nil
		},
	}
	cmd.AddCommand(add, list)
	return cmd
}

// password asks twice on a terminal and reads one line elsewhere. It is never an argument: those are seen by everybody on
// the machine.
func (c *command) password(ctx context.Context) (string, error) {
	if f, ok := c.Stdin.(*os.File); ok && isTerminal(f) {
		first, err := c.ask(ctx, f, "Password: ")
		if err != nil {
			return "", err
		}
		again, err := c.ask(ctx, f, "Again: ")
		if err == nil && again != first {
			err = errors.New("the two passwords differ; nothing was changed")
		}
		return first, err
	}
	line, err := bufio.NewReader(io.LimitReader(c.Stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// ask reads a line that the terminal does not show. Ctrl-C ends the waiting; the reading itself can't be called off, and
// ends with the program.
func (c *command) ask(ctx context.Context, terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	fmt.Fprint(c.Stderr, prompt)
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	defer fmt.Fprintln(c.Stderr)
	select {
	case a := <-answered:
		return string(a.text), a.err
	case <-ctx.Done():
		for range 40 { // the reading may be about to begin, and would turn the echo off behind our back
			if now, err := term.GetState(fd); err != nil || *now != *before {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
