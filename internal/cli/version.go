package cli

import (
	"encoding/json"
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
				return json.NewEncoder(c.Stdout).Encode(v)
			}
			_, err := fmt.Fprintf(c.Stdout, "byline %s (%s, %s)\n", v["version"], v["go"], v["platform"])
			return err
		},
	}
}

func (c *command) warmCmd() *cobra.Command {
	return &cobra.Command{
		Use: "warm", Short: "Prepare what is slow the first time (reading PDFs)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			lib, err := c.Open(cmd.Context(), Options{Config: cfg, Log: c.logger(cfg)})
			if err != nil {
				return err
			}
			return firstError(lib.Warm(cmd.Context()), lib.Close())
		},
	}
}
