package cite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/cite"
)

func known(id string) bool { return len(id) == 2 && id < "p6" } // p0 to p5

func parse(pieces ...string) (string, []cite.Mark) {
	m := cite.Marks{Known: known}
	var text string
	var marks []cite.Mark
	for _, p := range pieces {
		s, found := m.Feed(p)
		text, marks = text+s, append(marks, found...)
	}
	s, found := m.Close()
	return text + s, append(marks, found...)
}

func TestMarksAreTakenOut(t *testing.T) {
	one := func(at int, ids ...string) []cite.Mark { return []cite.Mark{{At: at, IDs: ids}} }
	for _, tc := range []struct {
		name, in, text string
		marks          []cite.Mark
	}{
		{"behind a sentence", "It rains. [p3] It pours.", "It rains. It pours.", one(9, "p3")},
		{"before the period", "It rains [p3].", "It rains.", one(8, "p3")},
		{"without spaces", "It rains.[p3]", "It rains.", one(9, "p3")},
		{"words do not run together", "It rains. [p3]It pours.", "It rains. It pours.", one(9, "p3")},
		{"several ids", "It rains [p3, p1;p3 p2].", "It rains.", one(8, "p3", "p1", "p2")},
		{"several marks", "It rains [p3] [p1][p2].", "It rains.", []cite.Mark{{At: 8, IDs: []string{"p3"}}, {At: 8, IDs: []string{"p1"}}, {At: 8, IDs: []string{"p2"}}}},
		{"a capital", "It rains [P3].", "It rains.", one(8, "p3")},
		{"Korean", "비가 온다 [p3]. 바람이 분다.[p1]", "비가 온다. 바람이 분다.", []cite.Mark{{At: 13, IDs: []string{"p3"}}, {At: 32, IDs: []string{"p1"}}}},
		{"an unknown id", "It rains [p9, p3].", "It rains.", []cite.Mark{{At: 8, IDs: []string{"p3"}, Rejected: []string{"p9"}}}},
		{"only unknown ids", "It rains [p9].", "It rains.", []cite.Mark{{At: 8, Rejected: []string{"p9"}}}},
		{"at the end of a line", "- It rains [p3]\n- It pours\n", "- It rains\n- It pours\n", one(10, "p3")},

		{"a link", "See [p3](a.html).", "See [p3](a.html).", nil},
		{"a definition", "See.\n[p3]: a.html", "See.\n[p3]: a.html", nil},
		{"a footnote", "See.[^3] and [^p3]", "See.[^3] and [^p3]", nil},
		{"check boxes", "- [x] done\n- [ ] to do", "- [x] done\n- [ ] to do", nil},
		{"escaped", `An index \[p3].`, `An index \[p3].`, nil},
		{"other words", "[p] [pp3] [p3a] [page 3] [3] [p3-p5] [p1234567]", "[p] [pp3] [p3a] [page 3] [3] [p3-p5] [p1234567]", nil},
		{"fenced code", "Look [p3]:\n\n```go\nx := a[p1] [p2]\n``\n```\nIt rains [p1].", "Look:\n\n```go\nx := a[p1] [p2]\n``\n```\nIt rains.", []cite.Mark{{At: 4, IDs: []string{"p3"}}, {At: 44, IDs: []string{"p1"}}}},
		{"a longer fence of tildes", "  ~~~~\n[p1]\n~~~\n```\n~~~~ [p2]\n[p2]\n ~~~~~  \nx [p3]", "  ~~~~\n[p1]\n~~~\n```\n~~~~ [p2]\n[p2]\n ~~~~~  \nx", []cite.Mark{{At: 45, IDs: []string{"p3"}}}},
		{"code within a line", "```a``` x [p1]\ny [p3]", "```a``` x\ny", []cite.Mark{{At: 9, IDs: []string{"p1"}}, {At: 11, IDs: []string{"p3"}}}},
		{"code to the end", "```\n[p1]", "```\n[p1]", nil},
		{"two ticks", "``\n[p1]x", "``\nx", one(3, "p1")},
		{"a bracket in a bracket", "[p3 [p1] x", "[p3  x", one(4, "p1")},
		{"cut off", "It rains [p3", "It rains [p3", nil},
		{"spaces at the end", "It rains  ", "It rains  ", nil},
		{"broken bytes", "\xe3\x81[p3]\xff [p1] \xe3", "\xe3\x81\xff \xe3", []cite.Mark{{At: 2, IDs: []string{"p3"}}, {At: 3, IDs: []string{"p1"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, marks := parse(tc.in)
			if text != tc.text {
				t.Errorf("text %q, want %q", text, tc.text)
			}
			if diff := cmp.Diff(tc.marks, marks); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Wherever a text is cut into deltas, the same comes out.
func TestMarksDoNotDependOnTheCut(t *testing.T) {
	piece := rapid.SampledFrom([]string{"[p3]", "[p3, p9]", " ", "  ", "\n", "[", "]", "p3", "(", "[x]", "It rains.", "비가 온다.", "\\", "[p1](a)", "[^1]", ",", ":", "é", "\xe3\x81", "\t", "```\n", "\n~~~ a\n", "\n```\n"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "text"), "")
		wantText, wantMarks := parse(text)
		var cuts []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			cuts, rest = append(cuts, rest[:n]), rest[n:]
		}
		gotText, gotMarks := parse(cuts...)
		if gotText != wantText {
			t.Fatalf("%q, whole %q", gotText, wantText)
		}
		if diff := cmp.Diff(wantMarks, gotMarks); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What came so far is final and has no piece of a mark in it, even when nothing follows.
func FuzzMarks(f *testing.F) {
	f.Add("It rains [p3, p9]. See [p1](x).", uint8(3))
	f.Add("[p3][p1]:(\\[p2] \xe3", uint8(1))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		wantText, wantMarks := parse(text)
		var cuts []string
		for rest := text; rest != ""; {
			k := min(len(rest), int(n%7)+1)
			cuts, rest = append(cuts, rest[:k]), rest[k:]
		}
		gotText, gotMarks := parse(cuts...)
		if gotText != wantText || !cmp.Equal(wantMarks, gotMarks) {
			t.Fatalf("%q %v, whole %q %v", gotText, gotMarks, wantText, wantMarks)
		}
		at := 0
		for _, m := range gotMarks {
			if m.At < at || m.At > len(gotText) || len(m.IDs)+len(m.Rejected) == 0 {
				t.Fatalf("mark %+v in a text of %d bytes, behind %d", m, len(gotText), at)
			}
			at = m.At
		}
	})
}
