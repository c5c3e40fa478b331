package agent

import (
	"context"
	"encoding/json"
	"errors"

	"byline/internal/engine/textdiff"
	"byline/internal/runs"
)

// Kept is a step of a journal in memory.
type Kept json.RawMessage

// OnceIn is runs.Job.Once on a journal in memory.
func OnceIn(ctx context.Context, kept map[string]Kept, key string, out any, do func(context.Context) ([]runs.NewEvent, error)) error {
	if k, ok := kept[key]; ok {
		return json.Unmarshal(k, out)
	}
	if _, err := do(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(out)
	kept[key] = b
	return err
}

// CheckGraphs checks the graphs of the house.
func CheckGraphs() error {
	return errors.Join(postGraph.Check(), answerGraph.Check(), refineGraph.Check(), talkGraph.Check())
}

// Prompt fills a prompt in.
func Prompt(name string, data any) (string, error) { return prompt(name, data) }

// Lines gives what stays of a model's text that comes in pieces.
func Lines(pieces ...string) string {
	var l lines
	out := ""
	for _, p := range pieces {
		out += l.feed(p)
	}
	return out + l.close()
}

// Orders reads what an author wants, where nothing, or all that can be read, can be done.
func Orders(text string, can bool) (done int, left []string) {
	list, left := readOrders(text, func(order) bool { return can })
	return len(list), left
}

// Resolve finds a part of a text by its name, and gives its blocks or sentences.
func Resolve(text, name string) (found []string) {
	blocks := textdiff.Blocks(text)
	t, ok := outlineOf(text, blocks, func(int) bool { return true }).resolve(name, false)
	if !ok {
		return nil
	}
	for _, i := range t.blocks {
		found = append(found, blocks[i].Body(text))
	}
	for _, s := range t.claims {
		found = append(found, blocks[s.block].Body(text)[s.start:s.end])
	}
	return found
}

// WordsAsked is the length that a message names.
func WordsAsked(message string) int { return wordsAsked(message) }

// Topicless tells that a request names nothing to write about.
func Topicless(request string) bool { return topicless(request) }

// Walks tells whether a message takes the last change back (-1), does it again (1), or neither.
func Walks(message string) int {
	switch {
	case saysUndo.MatchString(message):
		return -1
	case saysRedo.MatchString(message):
		return 1
	}
	return 0
}
