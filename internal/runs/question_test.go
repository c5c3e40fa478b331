package runs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"byline/internal/fault"
	"byline/internal/runs"
)

func TestAnswersFitTheirQuestions(t *testing.T) {
	choices := []runs.Choice{{Value: "a"}, {Value: "b"}}
	many := `["x"` + strings.Repeat(`,"x"`, 50) + `]`
	for _, tc := range []struct {
		kind  runs.QuestionKind
		value string
		fits  bool
	}{
		{runs.AskText, `"yes"`, true}, {runs.AskText, `"  "`, false}, {runs.AskText, `3`, false}, {runs.AskText, ``, false}, {runs.AskText, `"` + strings.Repeat("x", 20_001) + `"`, false},
		{runs.AskFile, `"01J"`, true}, {runs.AskFile, `"a"`, true}, {runs.AskFile, `null`, false},
		{runs.AskConfirm, `true`, true}, {runs.AskConfirm, `false`, true}, {runs.AskConfirm, `"true"`, false},
		{runs.AskChoice, `"a"`, true}, {runs.AskChoice, `"c"`, false}, {runs.AskChoice, `["a"]`, false},
		{runs.AskOutline, `true`, true}, {runs.AskOutline, `false`, true}, {runs.AskOutline, `["One", "Two"]`, true},
		{runs.AskOutline, `[]`, false}, {runs.AskOutline, `["One", " "]`, false}, {runs.AskOutline, `"One"`, false}, {runs.AskOutline, many, false},
	} {
		err := runs.Question{Kind: tc.kind, Choices: choices}.Check(json.RawMessage(tc.value))
		if (err == nil) != tc.fits {
			t.Errorf("%s %.40s: %v", tc.kind, tc.value, err)
		}
		if err != nil && (fault.Of(err).Code != "bad_answer" || len(fault.Of(err).Fields) != 1) {
			t.Errorf("%s %.40s: %+v", tc.kind, tc.value, fault.Of(err))
		}
	}
}
