package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	Before  string       `json:"before,omitempty"`
	After   string       `json:"after,omitempty"`
	Explain *explanation `json:"explain,omitempty"`
}

// found is the answer to a search.
type found struct {
	Results  []hit    `json:"results"`
	Evidence *bool    `json:"evidence"`
	Degraded []string `json:"degraded"`
	Filtered []struct {
		DocumentName string   `json:"document_name"`
		PassageID    string   `json:"passage_id"`
		Reasons      []string `json:"reasons"`
	} `json:"filtered"`
}

// asked is what the flags of a search ask for.
type asked struct {
	top, per                         int
	mode, expand, pages, from, to    string
	documents, types, tags, language []string
	explain                          bool
}

func (c *command) searchCmd() *cobra.Command {
	a := asked{mode: "hybrid", expand: "none"}
	cmd := &cobra.Command{
		Use:   "search QUESTION...",
		Short: "Find passages in the library",
		Args:  cobra.MinimumNArgs(1),
		Example: "  byline search heating costs in winter\n  byline search --type pdf --pages 10-20 --expand section 'heat pump'\n" +
			"  byline search --json --explain 'heat pump'",
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.body(strings.Join(args, " "))
			if err != nil {
				return err
			}
			cl, close, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer close()
			if c.json {
				var raw json.RawMessage
				if err := cl.call(cmd.Context(), "POST", "/api/v1/documents/search", body, &raw); err != nil {
					return err
				}
				return c.printJSON(c.Stdout, raw)
			}
			var answer found
			if err := cl.call(cmd.Context(), "POST", "/api/v1/documents/search", body, &answer); err != nil {
				return err
			}
			return c.showFound(answer)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&a.top, "top", "k", 5, "how many passages")
	f.Var(choice{&a.mode, []string{"hybrid", "lexical", "semantic"}}, "mode", "hybrid, lexical or semantic")
	f.IntVar(&a.per, "per-document", 0, "passages of one document at most (0: no limit)")
	f.Var(choice{&a.expand, []string{"none", "neighbours", "section"}}, "expand", "show what stands around each: none, neighbours or section")
	f.StringSliceVar(&a.documents, "document", nil, "only in the documents with these ids")
	f.StringSliceVar(&a.types, "type", nil, "only in documents of these types, such as pdf, markdown, text")
	f.StringSliceVar(&a.tags, "tag", nil, "only in documents with one of these tags")
	f.StringSliceVar(&a.language, "language", nil, "only in documents in these languages, such as en, ko")
	f.StringVar(&a.from, "from", "", "only in documents uploaded on this day or later (2026-01-31)")
	f.StringVar(&a.to, "to", "", "only in documents uploaded on this day or earlier")
	f.StringVar(&a.pages, "pages", "", "only on these pages: 7, 3-9, 3- or -9")
	f.BoolVar(&a.explain, "explain", false, "say why each was found, and what was left out")
	return cmd
}

// body is the request.
func (a asked) body(query string) (map[string]any, error) {
	body := map[string]any{"query": query, "top_k": a.top, "mode": a.mode, "explain": a.explain}
	if a.per > 0 {
		body["max_per_document"] = a.per
	}
	if a.expand != "none" {
		body["expand"] = a.expand
	}
	if a.documents != nil {
		body["document_ids"] = a.documents
	}
	filters := map[string]any{}
	for name, list := range map[string][]string{"type": a.types, "tag": a.tags, "language": a.language} {
		if list != nil {
			filters[name] = list
		}
	}
	for _, day := range []struct {
		name, text string
		add        int // a day, so that it is within
	}{{"from", a.from, 0}, {"to", a.to, 1}} {
		if day.text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, day.text, time.Local)
		if err != nil {
			return nil, usage("--%s is a day, such as 2026-01-31, not %q.", day.name, day.text)
		}
		filters[day.name] = t.AddDate(0, 0, day.add)
	}
	if a.pages != "" {
		from, to, dash := strings.Cut(a.pages, "-")
		if !dash {
			to = from
		}
		for name, text := range map[string]string{"page_from": from, "page_to": to} {
			n, err := strconv.Atoi(text)
			if text == "" && a.pages != "-" {
				continue
			}
			if err != nil || n < 1 {
				return nil, usage("--pages is 7, 3-9, 3- or -9, not %q.", a.pages)
			}
			filters[name] = n
		}
	}
	if len(filters) > 0 {
		body["filters"] = filters
	}
	return body, nil
}

func (c *command) showFound(answer found) error {
	for i, h := range answer.Results {
		if err := c.showHit(i+1, h); err != nil {
			return err
		}
	}
	if len(answer.Results) == 0 {
		fmt.Fprintln(c.Stdout, "Nothing was found.")
	} else if answer.Evidence != nil && !*answer.Evidence {
		fmt.Fprintln(c.Stderr, "None of these answers the question well enough to be relied on.")
	}
	for _, f := range answer.Filtered {
		fmt.Fprintf(c.Stderr, "left out: %s, passage %s (%s)\n", inline(f.DocumentName), clean(f.PassageID), clean(strings.Join(f.Reasons, ", ")))
	}
	for _, d := range answer.Degraded {
		fmt.Fprintf(c.Stderr, "degraded: %s\n", clean(d))
	}
	return nil
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
	indented := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(&b, "   %s\n", strings.ReplaceAll(text, "\n", "\n   "))
		}
	}
	indented(clean(h.Before))
	indented(text.String())
	indented(clean(h.After))
	if h.Explain != nil {
		indented("why " + clean(h.Explain.tell()))
	}
	_, err := fmt.Fprint(c.Stdout, b.String())
	return err
}
