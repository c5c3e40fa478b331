// Command byline turns sources into published posts whose every sentence can be checked.
package main

import (
	"context"
	"os"

	"byline/internal/app"
	"byline/internal/cli"
	"byline/internal/engine/passhash"
	"byline/internal/engine/sandbox"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case sandbox.Subcommand:
			os.Exit(sandbox.Child()) // reads hostile bytes: nothing else of this program is built in that process
		case passhash.Subcommand:
			os.Exit(passhash.Child(os.Stdin, os.Stdout))
		}
	}
	os.Exit(cli.Run(context.Background(), cli.Program{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		Open: func(ctx context.Context, o cli.Options) (cli.Library, error) { return app.Open(ctx, o) }, Verify: app.Verify, ImportModel: app.ImportModel,
	}))
}
