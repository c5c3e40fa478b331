package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

type hit struct {
	Content      string  `json:"content"`
	DocumentID   string  `json:"document_id"`
	DocumentName string  `json:"document_name"`
	Score        float64 `json:"score"`
	Page         int     `json:"page,omitempty"`
	Start        int     `json:"start"`
	End          int     `json:"end"`
	Highlights   []struct {
		Start int `json:"start"`
		End   int `json:"end"`
	} `json:"highlights"`
	Explain json.RawMessage `json:"explain,omitempty"`
}

func (c *command) searchCmd() *cobra.Command {
	var top int
	var mode string
	var explain bool
	cmd := &cobra.Command{
		Use:     "search QUESTION...",
		Short:   "Find passages in the library",
		Args:    cobra.MinimumNArgs(1),
		Example: "  byline search heating costs in winter\n  byline search --json --explain 'heat pump'",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, close, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer close()
			ask := map[string]any{"query": strings.Join(args, " "), "top_k": top, "mode": mode, "explain": explain}
			if c.json {
				var raw json.RawMessage
				if err := cl.call(cmd.Context(), "POST", "/api/v1/documents/search", ask, &raw); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.Stdout, strings.TrimSpace(string(raw)))
				return err
			}
			var answer struct {
				Results  []hit    `json:"results"`
				Total    int      `json:"total"`
				Degraded []string `json:"degraded"`
			}
			if err := cl.call(cmd.Context(), "POST", "/api/v1/documents/search", ask, &answer); err != nil {
				return err
			}
			for i, h := range answer.Results {
				c.showHit(i+1, h)
			}
			if len(answer.Results) == 0 {
				fmt.Fprintln(c.Stdout, "Nothing was found.")
			}
			for _, d := range answer.Degraded {
				fmt.Fprintf(c.Stderr, "degraded: %s\n", d)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVarP(&top, "top", "k", 5, "how many passages")
	f.StringVar(&mode, "mode", "hybrid", "hybrid or lexical")
	f.BoolVar(&explain, "explain", false, "say why each was found")
	return cmd
}

func (c *command) showHit(n int, h hit) {
	bold, plain := "", ""
	if newProgress(c.Stdout, false).terminal {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	fmt.Fprintf(c.Stdout, "%d. %s%s%s", n, bold, h.DocumentName, plain)
	if h.Page > 0 {
		fmt.Fprintf(c.Stdout, ", p. %d", h.Page)
	}
	fmt.Fprintf(c.Stdout, " (score %.2f, bytes %d-%d)\n", h.Score, h.Start, h.End)
	var b strings.Builder
	at := 0
	for _, s := range h.Highlights {
		b.WriteString(clean(h.Content[at:s.Start]) + bold + clean(h.Content[s.Start:s.End]) + plain)
		at = s.End
	}
	b.WriteString(clean(h.Content[at:]))
	fmt.Fprintf(c.Stdout, "   %s\n", strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\n   "))
	if len(h.Explain) > 0 {
		fmt.Fprintf(c.Stdout, "   %s\n", h.Explain)
	}
}

// clean takes control characters out: a source must not steer somebody's terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}
