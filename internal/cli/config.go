package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"byline/internal/config"
)

// remark is a problem or a notice as --json prints it.
type remark struct {
	Place string `json:"place"`
	Text  string `json:"text"`
}

func remarks(notices []config.Notice) []remark {
	out := []remark{}
	for _, n := range notices {
		out = append(out, remark(n))
	}
	return out
}

// value is a setting as --json prints it.
type value struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // secrets masked
	Origin string `json:"origin"`
	Secret bool   `json:"secret"`
}

func (c *command) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check and show the settings", Args: noCommand, RunE: help}
	cmd.AddCommand(
		&cobra.Command{Use: "check", Short: "Name every mistake in the settings, and its place", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return c.configCheck() }},
		&cobra.Command{Use: "print", Short: "Show every setting and where it came from; secrets are masked", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return c.configPrint() }},
		&cobra.Command{Use: "secret", Short: "Make a key that is fit for SECRET_KEY", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				if c.json {
					return c.printJSON(c.Stdout, map[string]string{"secret": config.NewSecret()})
				}
				_, err := fmt.Fprintln(c.Stdout, config.NewSecret())
				return err
			}},
	)
	return cmd
}

func (c *command) configCheck() error {
	_, report, err := config.Load(c.sources())
	if err != nil {
		c.exit = ExitUsage
	}
	if c.json {
		return c.printJSON(c.Stdout, map[string]any{"valid": err == nil, "problems": remarks(report.Problems), "notices": remarks(report.Notices)})
	}
	if c.quiet {
		report.Notices = nil
	}
	return report.Check(c.Stdout)
}

func (c *command) configPrint() error {
	_, report, bad := config.Load(c.sources())
	if c.json {
		all := []value{}
		for _, v := range report.Values {
			all = append(all, value{v.Env, v.Masked(), v.Origin, v.Secret})
		}
		return firstError(c.printJSON(c.Stdout, map[string]any{"settings": all}), bad)
	}
	return firstError(report.Print(c.Stdout, true), bad)
}
