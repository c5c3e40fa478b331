package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"byline/internal/config"
)

// check is one line of the doctor.
type check struct {
	Name   string `json:"name"`
	State  string `json:"state"` // ok, warn, fail
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"` // what to do
}

const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateFail = "fail"
)

// Free space below which the doctor warns, and below which nothing will work for long, in bytes.
const (
	littleSpace = 2 << 30
	noSpace     = 100 << 20
)

func (c *command) doctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what works on this machine and what does not",
		Long:  "Looks at the settings, the data directory, the database and the engines, and says for each what to do. Ends with 1 when something does not work.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := c.examine(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			for _, k := range checks {
				if k.State == stateFail {
					c.exit = ExitFailed
				}
			}
			if c.json {
				return c.printJSON(c.Stdout, map[string]any{"ok": c.exit == ExitOK, "checks": checks})
			}
			t := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
			for _, k := range checks {
				fmt.Fprintf(t, "%s\t%s\t%s\n", k.State, k.Name, clean(k.Detail)) //nolint:errcheck // Flush gives the error
				if k.Advice != "" {
					fmt.Fprintf(t, "\t\t%s\n", clean(k.Advice)) //nolint:errcheck // Flush gives the error
				}
			}
			return t.Flush()
		},
	}
}

// examine makes the checks, from the ground up; what stands on something that fails is left out.
func (c *command) examine(ctx context.Context) []check {
	cfg, report, err := config.Load(c.sources())
	settings := check{Name: "settings", State: stateOK, Detail: "valid"}
	if n := len(report.Notices); n > 0 {
		settings = check{"settings", stateWarn, fmt.Sprintf("valid; notices: %d", n), "byline config check shows them."}
	}
	if err != nil {
		return []check{{"settings", stateFail, fmt.Sprintf("mistakes: %d", len(report.Problems)), "byline config check names each with its place."}}
	}
	dir, there := dataDirectory(cfg.Storage.Data)
	checks := []check{settings, dir, diskSpace(cfg.Storage.Data)}
	switch {
	case dir.State == stateFail:
	case !there && cfg.Storage.DatabaseURL == "":
		checks = append(checks, check{"library", stateOK, "none yet; the first command makes it", ""})
	default:
		checks = append(checks, c.library(ctx, cfg)...)
	}
	return append(checks, pdfEngine(cfg.Storage.Data))
}

// dataDirectory tells whether it can be written to. It is not made: that would put a library wherever the doctor is asked.
func dataDirectory(dir string) (k check, there bool) {
	bad := func(err error) (check, bool) {
		return check{"data directory", stateFail, fmt.Sprintf("%s: %s", dir, reason(err)), "Make it writable for this user, or name another one with --data or BYLINE_DATA."}, true
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check{"data directory", stateOK, dir + " is not there yet", ""}, false
	case err != nil:
		return bad(err)
	case !info.IsDir():
		return bad(errors.New("it is no directory"))
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return bad(err)
	}
	err = firstError(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return bad(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return check{"data directory", stateWarn, dir + " can be entered by others on this machine", "chmod 700 " + quoted(dir)}, true
	}
	return check{"data directory", stateOK, dir + " can be written to", ""}, true
}

// diskSpace looks where the data directory is or will be.
func diskSpace(dir string) check {
	for !exists(dir) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
	}
	free, err := freeSpace(dir)
	k := check{"disk", stateOK, humanize.Bytes(free) + " free", ""}
	switch {
	case err != nil:
		k = check{"disk", stateWarn, "free space is not known: " + err.Error(), ""}
	case free < noSpace:
		k.State, k.Advice = stateFail, "Free some space: the library cannot grow."
	case free < littleSpace:
		k.State, k.Advice = stateWarn, "Free some space soon."
	}
	return k
}

// library opens it or asks the server that holds it.
func (c *command) library(ctx context.Context, cfg *config.Config) []check {
	cl, close, err := c.reach(ctx, cfg)
	if isCode(err, InUse) {
		return []check{{"library", stateWarn, "another byline is at work in it", "Ask again when it has ended."}}
	}
	if err != nil {
		return []check{{"library", stateFail, reason(err), "Nothing works before this is mended."}}
	}
	defer close()
	checks := []check{{"library", stateOK, "opens; no server is running", ""}}
	if cl.remote() {
		checks[0].Detail = fmt.Sprintf("held by the server at %s (process %d)", cl.base, cl.pid)
	}
	return append(checks, c.api(ctx, cl)...)
}

// api asks the HTTP interface how it is, and it its dependencies.
func (c *command) api(ctx context.Context, cl *client) []check {
	checks := []check{{"API", stateOK, "ready", ""}}
	resp, err := cl.send(ctx, "GET", "/readyz", nil, http.Header{})
	if err != nil {
		checks[0] = check{"API", stateFail, reason(err), "What is down is below; byline serve --debug logs more."}
	} else {
		resp.Body.Close()
	}
	var status struct {
		Dependencies []struct {
			Name, Status, Detail string
			LatencyMS            float64 `json:"latency_ms"`
		}
	}
	if err := cl.call(ctx, "GET", "/api/v1/status", nil, &status); err != nil {
		return append(checks, check{"status", stateFail, reason(err), "byline serve --debug logs more."})
	}
	for _, d := range status.Dependencies {
		k := check{d.Name, stateOK, fmt.Sprintf("%s (%.1f ms)", d.Detail, d.LatencyMS), ""}
		switch d.Status {
		case "ok":
		case "degraded":
			k.State, k.Advice = stateWarn, "It works with less."
		default:
			k.State, k.Advice = stateFail, "Look at its address in byline config print, and whether it runs."
		}
		checks = append(checks, k)
	}
	return checks
}

// pdfEngine tells whether the engine is compiled: its cache is in the data directory.
func pdfEngine(dir string) check {
	if entries, err := os.ReadDir(filepath.Join(dir, "cache")); err == nil && len(entries) > 0 {
		return check{"PDF engine", stateOK, "prepared", ""}
	}
	return check{"PDF engine", stateWarn, "not prepared: the first PDF takes some seconds longer", "byline warm prepares it."}
}
