package agent_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/agent"
)

// What a model writes beside statements is dropped or kept, however its answer is cut into pieces.
func TestLinesOfAModel(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"A line.\nAnother.", "A line.\nAnother."},
		{"# Title\nA line.\n### Sub\nAnother.\n", "A line.\nAnother.\n"},
		{"Not a heading\n===\nA line.\n---\nMore.", "Not a heading\nA line.\nMore."},
		{"  ## Title\n\nText", "\nText"},
		{"```sh\n# comment\n---\n```\n# Title\nText", "```sh\n# comment\n---\n```\nText"},
		{"~~~\n```\n# x\n~~~\n# y", "~~~\n```\n# x\n~~~\n"},
		{"- item\n- other\n", "- item\n- other\n"},
		{"| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"},
		{"#", ""}, {"---", ""}, {"", ""},
		{"C# is a language.\n", "C# is a language.\n"},
	} {
		if got := agent.Lines(tc.in); got != tc.out {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.out)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"#", " ", "\n", "=", "--", "```", "~~~", "word", "a # b", "한"})).Draw(rt, "pieces")
		if whole, split := agent.Lines(strings.Join(pieces, "")), agent.Lines(pieces...); whole != split {
			rt.Fatalf("%q whole, %q in pieces", whole, split)
		}
	})
}
