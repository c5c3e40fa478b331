package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"byline/internal/agent"
	"byline/internal/fault"
)

// run is a run of the wire, as far as commands need it.
type run struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Status    string    `json:"status"`
	Attempt   int       `json:"attempt"`
	LastSeq   int64     `json:"last_seq"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
	Subject   struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"subject"`
	Error *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
	Question *question `json:"question"`
}

type question struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Text    string `json:"text"`
	Choices []struct {
		Value string `json:"value"`
		Label string `json:"label"`
	} `json:"choices"`
	Data struct {
		Title    string `json:"title"`
		Sections []struct {
			Title string `json:"title"`
			About string `json:"about"`
		} `json:"sections"`
	} `json:"data"`
}

func (c *command) runsCmd() *cobra.Command {
	all := &cobra.Command{Use: "runs", Short: "Show what is under way and what was done, step by step", Args: noCommand, RunE: help}
	all.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List runs, newest first", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.withClient(cmd.Context(), c.listRuns) },
		},
		c.showRunCmd(),
		&cobra.Command{
			Use: "answer RUN VALUE", Short: "Answer the question that a run waits for", Args: cobra.ExactArgs(2),
			Long: "The value is a text, true or false, the value of a choice, or for an outline the titles of its sections, one after the other with | between them.",
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withClient(cmd.Context(), func(ctx context.Context, cl *client) error { return c.answerRun(ctx, cl, args[0], args[1]) })
			},
		},
		&cobra.Command{
			Use: "cancel RUN", Short: "Stop a run; a draft keeps what was written", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withClient(cmd.Context(), func(ctx context.Context, cl *client) error {
					return cl.call(ctx, "POST", "/api/v1/runs/"+url.PathEscape(args[0])+"/cancel", nil, nil)
				})
			},
		},
	)
	return all
}

func (c *command) showRunCmd() *cobra.Command {
	detail := "all"
	show := &cobra.Command{
		Use: "show RUN", Short: "Tell what each step of a run saw and did", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withClient(cmd.Context(), func(ctx context.Context, cl *client) error { return c.showRun(ctx, cl, args[0], detail) })
		},
	}
	show.Flags().StringVar(&detail, "detail", detail, "hidden: nodes and times; tools: also searches, tools and questions; all: also what models saw and said")
	return show
}

func (c *command) withClient(ctx context.Context, do func(context.Context, *client) error) error {
	cl, close, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer close()
	return do(ctx, cl)
}

func (c *command) listRuns(ctx context.Context, cl *client) error {
	var page struct {
		Runs []run `json:"runs"`
	}
	if err := cl.call(ctx, "GET", "/api/v1/runs?limit=50", nil, &page); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(c.Stdout, page.Runs)
	}
	for _, r := range page.Runs {
		fmt.Fprintf(c.Stdout, "%s  %-9s %-8s %s\n", r.ID, r.Status, r.Kind, r.CreatedAt.Local().Format("2006-01-02 15:04:05"))
	}
	return nil
}

// step is a step of a run with those within it.
type step struct {
	Name      string          `json:"name"`
	Key       string          `json:"key,omitempty"`
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	StartedAt time.Time       `json:"started_at,omitzero"`
	Duration  *int64          `json:"duration_ms,omitempty"`
	Model     string          `json:"llm_model,omitempty"`
	Usage     *stepUsage      `json:"usage,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	Steps     []step          `json:"steps"`
}

type stepUsage struct {
	Requests int64    `json:"requests"`
	Input    int64    `json:"input_tokens"`
	Output   int64    `json:"output_tokens"`
	Cost     *float64 `json:"cost,omitempty"`
	Currency string   `json:"currency,omitempty"`
}

func (c *command) showRun(ctx context.Context, cl *client, id, detail string) error {
	var r run
	var did struct {
		Steps []step `json:"steps"`
	}
	path := "/api/v1/runs/" + url.PathEscape(id)
	if err := cl.call(ctx, "GET", path, nil, &r); err != nil {
		return err
	}
	if err := cl.call(ctx, "GET", path+"/steps?detail="+url.QueryEscape(detail), nil, &did); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(c.Stdout, map[string]any{"run": r, "steps": did.Steps})
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s  %s of %s %s: %s, %d attempt(s), %d events\n", r.ID, r.Kind, r.Subject.Type, r.Subject.ID, r.Status, r.Attempt, r.LastSeq)
	if r.Error != nil {
		fmt.Fprintf(out, "failed: %s (%s)\n", r.Error.Detail, r.Error.Code)
	}
	if r.Question != nil {
		fmt.Fprintf(out, "waits for an answer: %s\n", r.Question.Text)
	}
	out.WriteByte('\n')
	describe(out, did.Steps, "")
	_, err := fmt.Fprint(c.Stdout, clean(out.String()))
	return err
}

// longResult is how much of what a step saw or did is shown, in bytes.
const longResult = 2000

// describe tells steps one below the other, those within a step further in.
func describe(out *strings.Builder, steps []step, margin string) {
	for _, s := range steps {
		when := "            "
		if !s.StartedAt.IsZero() {
			when = s.StartedAt.Local().Format("15:04:05.000")
		}
		fmt.Fprintf(out, "%s  %s%s", when, margin, s.Name)
		if s.Type != "node" {
			fmt.Fprintf(out, " (%s)", strings.TrimSpace(s.Type+" "+s.Model))
		}
		if s.Duration != nil {
			fmt.Fprintf(out, ", %s", time.Duration(*s.Duration)*time.Millisecond)
		}
		if u := s.Usage; u != nil {
			fmt.Fprintf(out, ", %d + %d tokens", u.Input, u.Output)
			if u.Cost != nil {
				fmt.Fprintf(out, ", %.4g %s", *u.Cost, u.Currency)
			}
		}
		if s.Status == "open" {
			out.WriteString(", not done")
		}
		out.WriteByte('\n')
		inner := margin + "  "
		saw(out, inner, s)
		describe(out, s.Steps, inner)
	}
}

// saw tells what a step saw and did: the messages to a model and its answer one below the other, else both as they are.
func saw(out *strings.Builder, margin string, s step) {
	var messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var answer struct{ Text string }
	if s.Type == "model" && json.Unmarshal(s.Input, &messages) == nil && json.Unmarshal(s.Output, &answer) == nil {
		for _, m := range messages {
			indent(out, margin, m.Role, m.Content)
		}
		indent(out, margin, "answer", answer.Text)
		return
	}
	for _, part := range []json.RawMessage{s.Input, s.Output} {
		if len(part) > 2 {
			indent(out, margin, "", string(part))
		}
	}
}

func indent(out *strings.Builder, margin, who, text string) {
	if len(text) > longResult {
		text = strings.ToValidUTF8(text[:longResult], "") + fmt.Sprintf(" … (%d bytes in all; --json shows them)", len(text))
	}
	if who != "" {
		fmt.Fprintf(out, "%s%s:\n", strings.Repeat(" ", 14)+margin, who)
	}
	for l := range strings.Lines(text) {
		fmt.Fprintf(out, "%s  %s", strings.Repeat(" ", 14)+margin, l)
	}
	if !strings.HasSuffix(text, "\n") {
		out.WriteByte('\n')
	}
}

func (c *command) answerRun(ctx context.Context, cl *client, id, text string) error {
	var r run
	if err := cl.call(ctx, "GET", "/api/v1/runs/"+url.PathEscape(id), nil, &r); err != nil {
		return err
	}
	if r.Question == nil {
		return fault.New(fault.Conflict, "not_waiting", "This run waits for no answer; it is %s.", r.Status)
	}
	return sendAnswer(ctx, cl, id, *r.Question, text)
}

// sendAnswer makes a value of what somebody typed, by the question's kind.
func sendAnswer(ctx context.Context, cl *client, runID string, q question, text string) error {
	text = strings.TrimSpace(text)
	var value any = text
	switch {
	case q.Kind != "outline" && q.Kind != "confirm":
	case isYes(text):
		value = true
	case isNo(text):
		value = false
	case q.Kind == "outline":
		var titles []string
		for t := range strings.SplitSeq(text, "|") {
			titles = append(titles, strings.TrimSpace(t))
		}
		value = titles
	}
	return cl.call(ctx, "POST", "/api/v1/runs/"+url.PathEscape(runID)+"/answers", map[string]any{"question_id": q.ID, "value": value}, nil)
}

func isYes(s string) bool {
	return strings.EqualFold(s, "y") || strings.EqualFold(s, "yes") || strings.EqualFold(s, "true")
}
func isNo(s string) bool {
	return strings.EqualFold(s, "n") || strings.EqualFold(s, "no") || strings.EqualFold(s, "false")
}

func (c *command) graphCmd() *cobra.Command {
	return &cobra.Command{
		Use: "graph", Short: "Print how the writer works, as Mermaid diagrams", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for i, g := range agent.Graphs() {
				if i > 0 {
					fmt.Fprintln(c.Stdout)
				}
				if _, err := fmt.Fprintf(c.Stdout, "%%%% %s\n%s", g.Name, g.Mermaid); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
