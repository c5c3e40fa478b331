package cli

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

func (c *command) warmCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "warm",
		Short: "Prepare what is slow the first time (reading PDFs)",
		Long:  "Compiles the engine that reads PDFs into the data directory, so that the first PDF need not wait for it.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			lib, err := c.Open(cmd.Context(), Options{Config: cfg, Log: c.logger(cfg, slog.LevelWarn)})
			if err != nil {
				return err
			}
			if err := errors.Join(lib.Warm(cmd.Context()), lib.Close()); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(c.Stdout, map[string]bool{"warm": true})
			}
			_, err = fmt.Fprintln(c.Stdout, "PDFs can be read right away.")
			return err
		},
	}
}
