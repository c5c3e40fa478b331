package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"byline/internal/fault"
)

// refinement is what `byline refine` was asked for.
type refinement struct {
	*command
	apply           bool
	accept, reject  string // a proposal
	hunks           []string
	provider, model string
	start, end      int
	path            string // of the draft
}

// proposal is one of the wire, as far as it is shown.
type proposal struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Version int    `json:"version,omitempty"`
	Title   *struct {
		Old    string `json:"old"`
		New    string `json:"new"`
		Status string `json:"status"`
	} `json:"title,omitempty"`
	Hunks []struct {
		ID        string            `json:"id"`
		Start     int               `json:"start"`
		End       int               `json:"end"`
		Old       string            `json:"old"`
		New       string            `json:"new"`
		Status    string            `json:"status"`
		Citations []json.RawMessage `json:"citations,omitempty"`
	} `json:"hunks"`
}

func (c *command) refineCmd() *cobra.Command {
	r := &refinement{command: c}
	cmd := &cobra.Command{
		Use:   "refine DRAFT [FEEDBACK...]",
		Short: "Ask for a change of a draft in words, and see it as a proposal",
		Long: `Says what would change, hunk by hunk; nothing is changed until you accept it, or give --apply. What is in no hunk stays
as it is, byte for byte, with its citations. Without a model it can shorten, drop or move parts, replace a quoted phrase, add more
on a topic from the sources and change the title; it says what it cannot do.`,
		Example: "  byline refine 01J... 'Shorter, and drop the second table.'\n  byline refine 01J... --accept 01K... --hunk h1 --hunk h3",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.path = "/api/v1/blog/" + url.PathEscape(args[0])
			feedback := strings.TrimSpace(strings.Join(args[1:], " "))
			switch deciding := r.accept + r.reject; {
			case r.accept != "" && r.reject != "":
				return usage("--accept and --reject are two decisions: give one of them")
			case deciding != "" && (feedback != "" || r.apply):
				return usage("a proposal is decided on as it is: leave the feedback and --apply out")
			case deciding == "" && feedback == "":
				return usage("say what should change: byline refine DRAFT 'shorter'")
			case deciding == "" && len(r.hunks) > 0:
				return usage("--hunk goes with --accept or --reject")
			}
			return c.withClient(cmd.Context(), func(ctx context.Context, cl *client) error {
				if feedback == "" {
					return r.decide(ctx, cl)
				}
				return r.ask(ctx, cl, feedback)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&r.apply, "apply", false, "change the draft at once")
	f.StringVar(&r.accept, "accept", "", "take a proposal over, by its id")
	f.StringVar(&r.reject, "reject", "", "turn a proposal down, by its id")
	f.StringArrayVar(&r.hunks, "hunk", nil, "only this hunk of it, or its title (repeat)")
	f.IntVar(&r.start, "from", 0, "only what stands from this byte of the draft on may change")
	f.IntVar(&r.end, "to", 0, "and before this one")
	f.StringVar(&r.provider, "provider", "", "which provider of models edits: openai, ollama, or offline for none (default: as configured)")
	f.StringVar(&r.model, "model", "", "which of its models (default: as configured)")
	return cmd
}

// ask has the draft refined and shows what comes of it.
func (r *refinement) ask(ctx context.Context, cl *client, feedback string) error {
	body := map[string]any{"feedback": feedback, "mode": "proposal"}
	if r.apply {
		body["mode"] = "apply"
	}
	if r.end > 0 {
		body["selection"] = map[string]int{"start": r.start, "end": r.end}
	}
	for name, value := range map[string]string{"llm_provider": r.provider, "llm_model": r.model} {
		if value != "" {
			body[name] = value
		}
	}
	var started struct {
		Run struct {
			ID string `json:"id"`
		} `json:"run"`
	}
	if err := cl.call(ctx, "POST", r.path+"/refine", body, &started); err != nil {
		return err
	}
	ui := newProgress(r.Stderr, r.quiet || r.json)
	defer ui.end()
	var done struct {
		ProposalID string `json:"proposal_id"`
		Version    int    `json:"version"`
	}
	var failure error
	err := cl.follow(ctx, started.Run.ID, func(e event) error {
		var data struct{ Step, Code, Detail string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return fmt.Errorf("read event %s: %w", e.Type, err)
		}
		switch e.Type {
		case "step.started":
			ui.say(refining(data.Step), "", "", 0, 0)
		case "notice":
			ui.note(data.Detail)
		case "run.completed":
			return json.Unmarshal(e.Data, &done)
		case "run.failed":
			failure = fault.New(fault.Invalid, data.Code, "%s", data.Detail)
		case "run.cancelled":
			failure = fault.New(fault.Invalid, "run_cancelled", "The refinement was cancelled; the draft is as it was.")
		}
		return nil
	})
	if err := firstError(failure, err); err != nil {
		return err
	}
	ui.end()
	if done.ProposalID == "" {
		if r.json {
			return r.printJSON(r.Stdout, proposal{})
		}
		return nil // the notice has said so
	}
	var p proposal
	if err := cl.call(ctx, "GET", r.path+"/proposals/"+url.PathEscape(done.ProposalID), nil, &p); err != nil {
		return err
	}
	return r.show(p)
}

// refining says in words what a step does.
func refining(step string) string {
	switch step {
	case "read":
		return "looking for evidence"
	case "edit":
		return "editing"
	case "verify":
		return "checking every citation"
	case "propose":
		return "writing the proposal"
	}
	return "at work"
}

// decide accepts or rejects.
func (r *refinement) decide(ctx context.Context, cl *client) error {
	id, how := r.accept, "/accept"
	if id == "" {
		id, how = r.reject, "/reject"
	}
	body := map[string]any{}
	if len(r.hunks) > 0 {
		body["hunks"] = r.hunks
	}
	var p proposal
	if err := cl.call(ctx, "POST", r.path+"/proposals/"+url.PathEscape(id)+how, body, &p); err != nil {
		return err
	}
	return r.show(p)
}

// The colours of a terminal.
const (
	red, green, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
)

// show prints a proposal as a diff, in colours where it goes to a terminal.
func (r *refinement) show(p proposal) error {
	if r.json {
		return r.printJSON(r.Stdout, p)
	}
	colour := isTerminal(r.Stdout)
	var b strings.Builder
	lines := func(sign, paint, text string) {
		if text == "" {
			return
		}
		for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
			if line = sign + " " + inline(line); colour {
				line = paint + line + plain
			}
			b.WriteString(line + "\n")
		}
	}
	if t := p.Title; t != nil {
		fmt.Fprintf(&b, "@@ title, %s\n", t.Status)
		lines("-", red, t.Old)
		lines("+", green, t.New)
	}
	for _, h := range p.Hunks {
		fmt.Fprintf(&b, "@@ %s, bytes %d to %d, %s", inline(h.ID), h.Start, h.End, h.Status)
		if n := len(h.Citations); n > 0 {
			fmt.Fprintf(&b, ", %d cited", n)
		}
		b.WriteByte('\n')
		lines("-", red, h.Old)
		lines("+", green, h.New)
	}
	fmt.Fprintf(&b, "Proposal %s is %s", inline(p.ID), p.Status)
	if p.Version > 0 {
		fmt.Fprintf(&b, "; the draft has version %d", p.Version)
	}
	b.WriteString(".\n")
	if p.Status == "open" {
		draft := strings.TrimPrefix(r.path, "/api/v1/blog/")
		fmt.Fprintf(&b, "Take it over with: byline refine %s --accept %s (--hunk h1 takes a part)\n", inline(draft), inline(p.ID))
	}
	_, err := fmt.Fprint(r.Stdout, b.String())
	return err
}
