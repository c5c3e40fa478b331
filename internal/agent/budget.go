package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
)

// withinBudget does what a model is paid for. When a budget is used up the run waits with what it has until a person says whether it
// may go on: with the run's own budget once more, or after a limit was raised.
func (r *round) withinBudget(ctx context.Context, do func() error) error {
	n := 0
	for ; r.job.Done(r.budgetKey(n)); n++ {
		reply, err := r.job.Ask(ctx, runs.Question{Key: r.budgetKey(n)})
		if err != nil {
			return err
		}
		var chosen string
		if json.Unmarshal(reply.Value, &chosen) != nil || chosen != goOn {
			return fault.New(fault.Limited, llm.CodeBudget, "The budget was used up and nobody allowed more. What was written is kept.")
		}
	}
	err := do()
	if f := fault.Of(err); f == nil || f.Code != llm.CodeBudget {
		return err
	}
	_, err = r.job.Ask(ctx, runs.Question{
		Key: r.budgetKey(n), Kind: runs.AskChoice, Text: fault.Of(err).Say + " What is written is kept. Shall it go on?",
		Choices: []runs.Choice{{Value: goOn, Label: "Go on, with the run's budget once more"}, {Value: "stop", Label: "Stop, and keep what there is"}},
	})
	return err
}

// goOn is the answer that allows more.
const goOn = "continue"

const askBudget = "ask/budget/"

func (r *round) budgetKey(n int) string { return fmt.Sprintf("%s%s%d", r.prefix, askBudget, n+1) }

// grants is how often a person has allowed the run's budget again, whichever part of it asked.
func (r *round) grants() int {
	return r.job.CountDone(func(key string) bool { return strings.Contains(key, askBudget) })
}
