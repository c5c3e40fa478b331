package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (c *command) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			if c.json {
				return c.printJSON(c.Stdout, v)
			}
			_, err := fmt.Fprintf(c.Stdout, "byline %s (%s, %s)\n", v["version"], v["go"], v["platform"])
			return err
		},
	}
}
