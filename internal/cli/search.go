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
	var top, per int
	mode := "hybrid"
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
			if per > 0 {
				ask["max_per_document"] = per
			}
			if c.json {
				var raw json.RawMessage
				if err := cl.call(cmd.Context(), "POST", "/api/v1/documents/search", ask, &raw); err != nil {
					return err
				}
				return c.printJSON(c.Stdout, raw)
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
				if err := c.showHit(i+1, h); err != nil {
					return err
				}
			}
			if len(answer.Results) == 0 {
				fmt.Fprintln(c.Stdout, "Nothing was found.")
			}
			for _, d := range answer.Degraded {
				fmt.Fprintf(c.Stderr, "degraded: %s\n", clean(d))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVarP(&top, "top", "k", 5, "how many passages")
	f.Var(choice{&mode, []string{"hybrid", "lexical", "semantic"}}, "mode", "hybrid, lexical or semantic")
	f.IntVar(&per, "per-document", 0, "passages of one document at most (0: no limit)")
	f.BoolVar(&explain, "explain", false, "say why each was found")
	return cmd
}

func (c *command) showHit(n int, h hit) error {
	bold, plain := "", ""
	if isTerminal(c.Stdout) {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d. %s%s%s", n, bold, inline(h.DocumentName), plain)
	if h.Page > 0 {
		fmt.Fprintf(&b, ", p. %d", h.Page)
	}
	fmt.Fprintf(&b, " (score %.2f, bytes %d-%d)\n", h.Score, h.Start, h.End)
	var text strings.Builder
	at := 0
	for _, s := range h.Highlights {
		if s.Start < at || s.End < s.Start || s.End > len(h.Content) {
			continue
		}
		text.WriteString(clean(h.Content[at:s.Start]) + bold + clean(h.Content[s.Start:s.End]) + plain)
		at = s.End
	}
	text.WriteString(clean(h.Content[at:]))
	fmt.Fprintf(&b, "   %s\n", strings.ReplaceAll(strings.TrimSpace(text.String()), "\n", "\n   "))
	if len(h.Explain) > 0 {
		fmt.Fprintf(&b, "   %s\n", clean(string(h.Explain)))
	}
	_, err := fmt.Fprint(c.Stdout, b.String())
	return err
}
