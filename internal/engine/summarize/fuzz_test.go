package summarize_test

import (
	"strings"
	"testing"

	"byline/internal/engine/cite"
	"byline/internal/engine/summarize"
)

// Whatever a text is, its units are pieces of it and their renderings pass the check of citations.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"", "1 Start 1\n\n2 End 4\n\n3 Index 9", "A  B\nC  D\nE  F", "When?\n\nIt is open.\n\nWhere?\n\nHere it is.", "17 January 2025\n\nThe pump is old. It is loud.",
		"# A\n\n- • ▪ x\n\n| a |\n|---|\n| - |", "박서준 이사장은 왔다. 그는 갔다.", "제1장 총칙\n\n이 규정은 모두에게 적용한다.", "\x00\n\n\u200b", "> It is.\n> However, it was.",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, markdown bool) {
		name := "a.txt"
		if markdown {
			name = "a.md"
		}
		s := summarize.Read([]summarize.Source{source(t, name, strings.ToValidUTF8(text, ""))})
		p := s.Fill(s.Plan(summarize.Wish{Topics: []string{"pump"}}), nil, s.Budget(0))
		s.Summary(p)
		for id, u := range s.Units {
			for _, before := range []int{-1, id - 1} {
				got, edits := s.Render(id, before)
				if err := cite.Check(s.Sources[u.Source].Text.Content, u.Start, u.End, s.Quote(id), got, edits); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
