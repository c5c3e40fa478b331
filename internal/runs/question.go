package runs

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"byline/internal/fault"
)

// ErrWaiting is what a handler returns when its run waits for a person. The worker lets go of the run and says nothing.
var ErrWaiting = errors.New("run waits for an answer")

// QuestionKind says what form an answer has.
type QuestionKind string

// The kinds of questions and their answers.
const (
	AskText    QuestionKind = "text"    // a string that is not blank
	AskChoice  QuestionKind = "choice"  // the value of one of the choices
	AskConfirm QuestionKind = "confirm" // true or false
	AskOutline QuestionKind = "outline" // true, false, or the titles of the sections as they should be
	AskFile    QuestionKind = "file"    // the id of a document, or the value of one of the choices
)

// Question is what a run asks a person. The run waits for the answer, through restarts, as long as it takes or until ExpiresAt.
type Question struct {
	ID        string          `json:"id"`
	Key       string          `json:"key"` // of the step that keeps the answer
	Kind      QuestionKind    `json:"kind"`
	Text      string          `json:"text"`
	Choices   []Choice        `json:"choices,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"` // what it is about, such as the outline
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	// Yields lets the next message of the session end the wait: the conversation goes on as if the time were over.
	Yields bool `json:"yields,omitempty"`
}

// Choice is a possible answer.
type Choice struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Reply is an answer, or that none came in time.
type Reply struct {
	Value   json.RawMessage `json:"value,omitempty"`
	By      string          `json:"by,omitempty"` // a user's id
	Expired bool            `json:"expired,omitempty"`
}

// Bounds of answers: characters of a text, sections of an outline.
const (
	maxAnswer  = 20_000
	maxOutline = 50
)

// Check tells what is wrong with an answer, as a fault for whoever gave it.
func (q Question) Check(value json.RawMessage) error {
	wrong := func(say string, args ...any) error { return fault.Bad("body.value", "bad_answer", say, args...) }
	var yes bool
	var text string
	var list []string
	isText := json.Unmarshal(value, &text) == nil
	switch q.Kind {
	case AskConfirm:
		if json.Unmarshal(value, &yes) != nil {
			return wrong("This question is answered with true or false.")
		}
	case AskOutline:
		if json.Unmarshal(value, &yes) == nil {
			return nil
		}
		if json.Unmarshal(value, &list) != nil || len(list) == 0 || len(list) > maxOutline || slices.ContainsFunc(list, func(s string) bool { return strings.TrimSpace(s) == "" }) {
			return wrong("Answer with true to go on, false to stop, or the list of the sections' titles as they should be (1 to %d).", maxOutline)
		}
	case AskChoice:
		if !isText || !q.Offers(text) {
			values := make([]string, len(q.Choices))
			for i, c := range q.Choices {
				values[i] = c.Value
			}
			return wrong("Answer with one of: %s.", strings.Join(values, ", "))
		}
	default: // AskText, AskFile
		if !isText || strings.TrimSpace(text) == "" || len(text) > maxAnswer {
			return wrong("Answer with a text of at most %d characters.", maxAnswer)
		}
	}
	return nil
}

// Offers tells whether a text is the value of one of the choices.
func (q Question) Offers(text string) bool {
	return slices.ContainsFunc(q.Choices, func(c Choice) bool { return c.Value == text })
}
