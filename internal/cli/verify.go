package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *command) verifyCmd() *cobra.Command {
	var contains []string
	var engines bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that all stores agree, and that what was deleted is gone",
		Long: `Reads all rows, segments and files and checks them against each other: each passage and each citation stands in its
source word for word, nothing points at what is gone, every log is whole. --contains also looks for a text in all
that is stored, the database's own files included: after a deletion it must not be found. --engine also compares what the configured
search engines hold, by count and hash. Works beside a running server.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			problems, checked, err := c.Verify(cmd.Context(), cfg, contains, engines)
			if err != nil {
				return err
			}
			if len(problems) > 0 {
				c.exit = ExitFailed
			}
			if c.json {
				return c.printJSON(c.Stdout, map[string]any{"problems": append([]string{}, problems...), "checked": checked})
			}
			for _, p := range problems {
				fmt.Fprintln(c.Stdout, clean(p))
			}
			_, err = fmt.Fprintf(c.Stdout, "%s; %d problems\n", checked, len(problems))
			return err
		},
	}
	cmd.Flags().StringArrayVar(&contains, "contains", nil, "a text that must not be found (repeat)")
	cmd.Flags().BoolVar(&engines, "engine", false, "compare what the search engines hold, too")
	return cmd
}
