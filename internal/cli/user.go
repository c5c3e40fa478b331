package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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
	cmd := &cobra.Command{Use: "user", Short: "Accounts", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var name string
	add := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Open an account; the first one becomes admin and takes over the local library",
		Long:  "Opens an account. The password is asked for on a terminal, else it is the first line of standard input.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := c.password()
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
				return json.NewEncoder(c.Stdout).Encode(u)
			}
			_, err = fmt.Fprintf(c.Stdout, "%s is %s\n", u.Email, u.Role)
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
				return json.NewEncoder(c.Stdout).Encode(all.Users)
			}
			for _, u := range all.Users {
				fmt.Fprintf(c.Stdout, "%s\t%s\t%s\n", u.Email, u.Role, u.FullName)
			}
			return nil
		},
	}
	cmd.AddCommand(add, list)
	return cmd
}

// password asks twice on a terminal and reads one line elsewhere. It is never an argument: those are seen by everybody on
// the machine.
func (c *command) password() (string, error) {
	if f, ok := c.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		ask := func(prompt string) (string, error) {
			fmt.Fprint(c.Stderr, prompt)
			b, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(c.Stderr)
			return string(b), err
		}
		first, err := ask("Password: ")
		if err != nil {
			return "", err
		}
		again, err := ask("Again: ")
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
