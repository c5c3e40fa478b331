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
		&cobra.Command{
			Use: "show RUN", Short: "Tell what each step of a run saw and did", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withClient(cmd.Context(), func(ctx context.Context, cl *client) error { return c.showRun(ctx, cl, args[0]) })
			},
		},
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

// step is a journalled step.
type step struct {
	Key    string          `json:"key"`
	Status string          `json:"status"`
	Result json.RawMessage `json:"result"`
	At     time.Time       `json:"at"`
}

func (c *command) showRun(ctx context.Context, cl *client, id string) error {
	var r run
	var journal struct {
		Steps []step `json:"steps"`
	}
	path := "/api/v1/runs/" + url.PathEscape(id)
	if err := cl.call(ctx, "GET", path, nil, &r); err != nil {
		return err
	}
	if err := cl.call(ctx, "GET", path+"/steps", nil, &journal); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(c.Stdout, map[string]any{"run": r, "steps": journal.Steps})
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s  %s of %s %s: %s, %d attempt(s), %d events\n", r.ID, r.Kind, r.Subject.Type, r.Subject.ID, r.Status, r.Attempt, r.LastSeq)
	if r.Error != nil {
		fmt.Fprintf(out, "failed: %s (%s)\n", r.Error.Detail, r.Error.Code)
	}
	if r.Question != nil {
		fmt.Fprintf(out, "waits for an answer: %s\n", r.Question.Text)
	}
	for _, s := range journal.Steps {
		fmt.Fprintf(out, "\n%s  %-4s  %s\n", s.At.Local().Format("15:04:05.000"), s.Status, s.Key)
		describe(out, s.Result)
	}
	_, err := fmt.Fprint(c.Stdout, clean(out.String()))
	return err
}

// longResult is how much of a step's result is shown, in bytes.
const longResult = 2000

// describe tells what a step saw and did: the messages to a model and its answer one below the other, else the result as it is.
func describe(out *strings.Builder, result json.RawMessage) {
	var call struct {
		Saw []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"saw"`
		Said struct{ Text string } `json:"said"`
	}
	if json.Unmarshal(result, &call) == nil && len(call.Saw) > 0 {
		for _, m := range call.Saw {
			indent(out, m.Role, m.Content)
		}
		indent(out, "answer", call.Said.Text)
		return
	}
	if len(result) > 2 {
		indent(out, "", string(result))
	}
}

func indent(out *strings.Builder, who, text string) {
	if len(text) > longResult {
		text = strings.ToValidUTF8(text[:longResult], "") + fmt.Sprintf(" … (%d bytes in all; --json shows them)", len(text))
	}
	if who != "" {
		fmt.Fprintf(out, "  %s:\n", who)
	}
	for l := range strings.Lines(text) {
		fmt.Fprintf(out, "    %s", l)
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
