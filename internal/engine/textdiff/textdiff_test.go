package textdiff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/textdiff"
)

const post = `> A box.

# Title
First sentence. Second one has 5 words.
It goes on.

- one
- two

  still two

- three

| A | B |
|---|---|
| 1 | 2 |
| 3 | 4 |

` + "```go\nx := 1\n\n# no heading\n```" + `

***

    indented code

Under
=====

Last words | no table.
`

func TestBlocks(t *testing.T) {
	type row struct {
		Kind  textdiff.Kind
		Level int
		Body  string
	}
	var got []row
	for _, b := range textdiff.Blocks("\n \n" + post) {
		got = append(got, row{b.Kind, b.Level, b.Body("\n \n" + post)})
	}
	want := []row{
		{"quote", 0, "> A box."}, {"heading", 1, "# Title"}, {"paragraph", 0, "First sentence. Second one has 5 words.\nIt goes on."},
		{"list", 0, "- one\n- two\n\n  still two\n\n- three"}, {"table", 0, "| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"},
		{"code", 0, "```go\nx := 1\n\n# no heading\n```"}, {"rule", 0, "***"}, {"code", 0, "    indented code"},
		{"heading", 1, "Under\n====="}, {"paragraph", 0, "Last words | no table."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBlocksBesideEachOther(t *testing.T) {
	for text, want := range map[string]string{
		"a\n# b\nc\n":                     "paragraph heading paragraph",
		"a\n- b\n- c\nlazy\n\nd":          "paragraph list paragraph",
		"a\n2. b":                         "paragraph",
		"- a\n---\nb":                     "list rule paragraph",
		"- a\n\n> b\nlazy\n# c":           "list quote heading",
		"a\n| x | y |\n| - | - |\n| 1 |":  "paragraph table",
		"~~~\n```\n":                      "code",
		"```\na\n   ```\nb\n    c":        "code paragraph",
		"a\n```\nb\n```\n- x\n```\ny\n":   "paragraph code list code",
		"\tcode\n\tmore\nno\n":            "code paragraph",
		"Two\n---\n":                      "heading",
		"":                                "",
		" \n\n":                           "",
		"#hash\n":                         "paragraph",
		"1. a\n\n2. b\n\n\nc":             "list paragraph",
		"> q\n>\n> r\n\n> s":              "quote quote",
		"| a | b |\n|---|---|\n\n| c |\n": "table paragraph",
	} {
		var kinds []string
		for _, b := range textdiff.Blocks(text) {
			kinds = append(kinds, string(b.Kind))
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// whole tells whether blocks are all of a text, one behind the other.
func whole(text string) error {
	at := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	blocks := textdiff.Blocks(text)
	for i, b := range blocks {
		if i == 0 && b.Start > at || i > 0 && b.Start != at || b.Start >= b.Stop || b.Stop > b.End || strings.TrimSpace(text[b.Stop:b.End]) != "" || strings.TrimSpace(b.Body(text)) == "" {
			return fmt.Errorf("block %d of %q: %+v", i, text, b)
		}
		at = b.End
	}
	if at != len(text) && len(blocks) > 0 {
		return fmt.Errorf("the blocks of %q end at %d", text, at)
	}
	return nil
}

// check holds what is promised of every comparison, for some of its hunks.
func check(before, after string, take func(i int) bool) error {
	hunks := textdiff.Diff(before, after)
	if got, err := textdiff.Apply(before, hunks); err != nil || got != after {
		return fmt.Errorf("all hunks make %q, %v", got, err)
	}
	if got, err := textdiff.Apply(before, nil); err != nil || got != before {
		return fmt.Errorf("no hunk makes %q, %v", got, err)
	}
	if before == after && len(hunks) > 0 {
		return fmt.Errorf("equal texts have hunks %+v", hunks)
	}
	var some, rest []textdiff.Hunk
	end := 0
	for i, h := range hunks {
		if h.Start < end || h.Old == h.New || after[h.At:h.At+len(h.New)] != h.New || before[h.Start:h.End] != h.Old {
			return fmt.Errorf("hunk %d of %q: %+v", i, after, h)
		}
		if end = h.End; take(i) {
			some = append(some, h)
		} else {
			rest = append(rest, h)
		}
	}
	part, err := textdiff.Apply(before, some)
	if err != nil {
		return err
	}
	// The others still fit where nothing touches them, and lead to the same text.
	moved := make([]textdiff.Hunk, 0, len(rest))
	for i, p := range textdiff.Fit(before, part, rest) {
		if !p.OK {
			continue
		}
		if part[p.Start:p.End] != rest[i].Old {
			return fmt.Errorf("hunk %+v does not stand at %+v of %q", rest[i], p, part)
		}
		moved = append(moved, textdiff.Hunk{Start: p.Start, End: p.End, Old: rest[i].Old, New: rest[i].New})
	}
	if _, err := textdiff.Apply(part, moved); err != nil {
		return fmt.Errorf("what still fits %q: %w", part, err)
	}
	return nil
}

// document makes Markdown of blocks.
func document(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{
		"# A heading", "## Another", "The roof leaks. It costs 5 euros. Nobody pays.", "The roof is new. It costs 5 euros.", "- one\n- two\n- three", "- one\n- three",
		"| A | B |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", "| A | B |\n|---|---|\n| 1 | 2 |", "> A quote.", "```\ncode\n\nmore\n```", "***", "지붕이 샌다. 5유로가 든다.", "One sentence.",
	}), 0, 12).Draw(t, label)
}

func TestAnySubsetApplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		joint := rapid.SampledFrom([]string{"\n\n", "\n\n\n", "\n"})
		text := func(label string) string {
			var b strings.Builder
			for _, s := range document(t, label) {
				b.WriteString(s + joint.Draw(t, "joint"))
			}
			return b.String()
		}
		before, after := text("before"), text("after")
		mask := rapid.Uint64().Draw(t, "mask")
		for _, s := range []string{before, after} {
			if err := whole(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := check(before, after, func(i int) bool { return mask>>(i%64)&1 == 1 }); err != nil {
			t.Fatalf("%q -> %q: %v", before, after, err)
		}
	})
}

func FuzzDiff(f *testing.F) {
	f.Add("", "", uint64(0))
	f.Add(post, strings.Replace(post, "Second one", "The second one", 1), uint64(1))
	f.Add("a\r\nb\r\n\r\n- c", "- c\n\n\na\x00\xff", uint64(2))
	f.Add("| a |\n|-|\n", "|a|b|\n|:-:|-|", uint64(3))
	f.Fuzz(func(t *testing.T, before, after string, mask uint64) {
		if len(before)+len(after) > 4000 {
			return
		}
		for _, s := range []string{before, after} {
			if err := whole(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := check(before, after, func(i int) bool { return mask>>(i%64)&1 == 1 }); err != nil {
			t.Fatal(err)
		}
		was, is := "", ""
		for _, p := range textdiff.Words(before, after) {
			if p.Op != textdiff.Insert {
				was += p.Text
			}
			if p.Op != textdiff.Delete {
				is += p.Text
			}
		}
		if was != before || is != after {
			t.Fatalf("words of %q and %q make %q and %q", before, after, was, is)
		}
	})
}

func TestDiffGoesBySentencesItemsAndRows(t *testing.T) {
	for name, tc := range map[string]struct{ before, after, want string }{
		"a sentence":         {"One is here. Two is here. Three is here.\n", "One is here. Four was there. Three is here.\n", "13:Two is here.>Four was there."},
		"its last one goes":  {"One is here. Two is here.\n", "One is here.\n", "12: Two is here.>"},
		"an item":            {"- one\n- two\n- three\n", "- one\n- three\n", "5:\n- two>"},
		"a row":              {"| A |B|\n|---|--|\n| 1 | 2 |\n", "| A |B|\n|---|--|\n| 1 | 3 |\n", "17:| 1 | 2 |>| 1 | 3 |"},
		"a block between":    {"A a a.\n\nB b b.\n", "A a a.\n\nC c c.\n\nB b b.\n", "8:>C c c.\n\n"},
		"a block behind":     {"A a a.\n", "A a a.\n\nC c c.\n", "7:>\nC c c.\n"},
		"blocks go":          {"A a a.\n\n# B\n\nC c c.\n\nD.\n", "A a a.\n\nD.\n", "8:# B\n\nC c c.\n\n>"},
		"all is new":         {"A a a.\n", "> quite different\n", "0:A a a.>> quite different"},
		"twice":              {"One is one. Two is two.\n\n# X\n\nThree is three.\n", "One is 1. Two is two.\n\n# X\n\nThree is 3.\n", "0:One is one.>One is 1.|30:Three is three.>Three is 3."},
		"from nothing":       {"", "A.\n", "0:>A.\n"},
		"only blank lines":   {"A.\n\nB.\n", "A.\n\n\nB.\n", "4:>\n"},
		"equal":              {post, post, ""},
		"paragraphs join up": {"One is one.\n\nTwo is two.\n", "One is one. Two is two.\n", "11:>Two is two.|13:Two is two.\n>"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, h := range textdiff.Diff(tc.before, tc.after) {
				got = append(got, fmt.Sprintf("%d:%s>%s", h.Start, h.Old, h.New))
			}
			if err := check(tc.before, tc.after, func(i int) bool { return i == 0 }); err != nil {
				t.Error(err)
			}
			if name == "paragraphs join up" {
				return // how is not promised
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, "|")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, hunks := range map[string][]textdiff.Hunk{
		"other text": {{Start: 0, End: 1, Old: "x", New: "y"}},
		"overlap":    {{Start: 0, End: 2, Old: "ab"}, {Start: 1, End: 3, Old: "bc"}},
		"outside":    {{Start: 2, End: 9, Old: "c"}},
		"backwards":  {{Start: 2, End: 1}},
	} {
		if got, err := textdiff.Apply("abc", hunks); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestFit(t *testing.T) {
	const base = "One is one. Two is two. Three is three.\n\n# Head\n\nFour is four.\n\n# Tail\n\nFive is five.\n"
	hunk := func(old, new string) textdiff.Hunk {
		at := strings.Index(base, old)
		return textdiff.Hunk{Start: at, End: at + len(old), Old: old, New: new}
	}
	insert := textdiff.Hunk{Start: strings.Index(base, "# Tail"), End: strings.Index(base, "# Tail"), New: "New.\n\n"}
	for name, tc := range map[string]struct {
		now  string
		hunk textdiff.Hunk
		want string // what the text becomes; empty: it does not fit
	}{
		"nothing moved":             {base, hunk("Two is two.", "2."), strings.Replace(base, "Two is two.", "2.", 1)},
		"a sentence before changed": {strings.Replace(base, "One is one.", "Nobody knows.", 1), hunk("Two is two.", "2."), "Nobody knows. 2." + base[23:]},
		"the sentence changed":      {strings.Replace(base, "Two is two.", "Two are two.", 1), hunk("Two is two.", "2."), ""},
		"the sentence went":         {strings.Replace(base, " Two is two.", "", 1), hunk("Two is two.", "2."), ""},
		"its block was carried away": {"# Tail\n\nFive is five.\n\nOne is one. Two is two. Three is three.\n\n# Head\n\nFour is four.\n", hunk("Five is five.", "5."),
			"# Tail\n\n5.\n\nOne is one. Two is two. Three is three.\n\n# Head\n\nFour is four.\n"},
		"an insertion":                     {strings.Replace(base, "One", "1", 1), insert, strings.Replace(strings.Replace(base, "One", "1", 1), "# Tail", "New.\n\n# Tail", 1)},
		"an insertion at a changed place":  {strings.Replace(base, "# Tail", "Other.\n\n# Tail", 1), insert, ""},
		"made for another text":            {base, textdiff.Hunk{Start: 0, End: 3, Old: "Two"}, ""},
		"outside":                          {base, textdiff.Hunk{Start: 0, End: 9000}, ""},
		"all is gone":                      {"", hunk("Two is two.", "2."), ""},
		"the text stands there twice more": {base + "\n" + base + "\n" + base, hunk("Two is two.", "2."), strings.Replace(base+"\n"+base+"\n"+base, "Two is two.", "2.", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			p := textdiff.Fit(base, tc.now, []textdiff.Hunk{tc.hunk})[0]
			if p.OK != (tc.want != "") {
				t.Fatalf("%+v", p)
			}
			if !p.OK || name == "the text stands there twice more" {
				return
			}
			if got := tc.now[:p.Start] + tc.hunk.New + tc.now[p.End:]; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// What is carried past another block is one hunk; all others stay.
func TestArrange(t *testing.T) {
	const text = "\n# A\nOne is one.\n\n# B\n\nTwo is two. Three is three.\n\n# C\n\nFour.\n"
	blocks := textdiff.Blocks(text) // A 1 B 2 C 4
	keep := func(list ...int) (out []textdiff.Slot) {
		for _, i := range list {
			out = append(out, textdiff.Slot{Block: i})
		}
		return out
	}
	for name, tc := range map[string]struct {
		slots []textdiff.Slot
		want  string
		hunks int
	}{
		"as it is":       {keep(0, 1, 2, 3, 4, 5), text, 0},
		"changed":        {slices.Replace(keep(0, 1, 2, 3, 4, 5), 3, 4, textdiff.Slot{Block: 3, Text: "Two is two. Three is 3."}), strings.Replace(text, "Three is three.", "Three is 3.", 1), 1},
		"a section goes": {keep(0, 1, 4, 5), "\n# A\nOne is one.\n\n# C\n\nFour.\n", 1},
		"the last goes":  {keep(0, 1, 2, 3), "\n# A\nOne is one.\n\n# B\n\nTwo is two. Three is three.\n", 1},
		"the first goes": {keep(2, 3, 4, 5), "\n# B\n\nTwo is two. Three is three.\n\n# C\n\nFour.\n", 1},
		"moved":          {keep(0, 1, 4, 5, 2, 3), "\n# A\nOne is one.\n\n# C\n\nFour.\n\n# B\n\nTwo is two. Three is three.\n", 1},
		"moved, and changed elsewhere": {slices.Replace(keep(0, 1, 4, 5, 2, 3), 1, 2, textdiff.Slot{Block: 1, Text: "1 is 1."}),
			"\n# A\n1 is 1.\n\n# C\n\nFour.\n\n# B\n\nTwo is two. Three is three.\n", 2},
		"a new one":  {slices.Insert(keep(0, 1, 2, 3, 4, 5), 2, textdiff.Slot{Block: -1, Text: "New."}), strings.Replace(text, "# B", "New.\n\n# B", 1), 1},
		"at the end": {append(keep(0, 1, 2, 3, 4, 5), textdiff.Slot{Block: -1, Text: "New."}), text[:len(text)-1] + "\n\nNew.\n", 1},
		"all goes":   {nil, "\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, at, hunks := textdiff.Arrange(text, blocks, tc.slots)
			if got != tc.want || len(hunks) != tc.hunks {
				t.Errorf("%q with %+v", got, hunks)
			}
			if applied, err := textdiff.Apply(text, hunks); err != nil || applied != got {
				t.Errorf("the hunks make %q, %v", applied, err)
			}
			for i, s := range tc.slots {
				body := s.Text
				if body == "" {
					body = blocks[s.Block].Body(text)
				}
				if !strings.HasPrefix(got[at[i]:], body) {
					t.Errorf("slot %d does not stand at %d", i, at[i])
				}
			}
		})
	}
	if got, _, hunks := textdiff.Arrange("", nil, []textdiff.Slot{{Block: -1, Text: "New."}}); got != "New.\n" || len(hunks) != 1 {
		t.Errorf("from nothing: %q %v", got, hunks)
	}
}

// Whatever is done with the blocks, those that stay in order are in no hunk.
func TestArrangeKeepsBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(document(t, "text"), "\n\n") + "\n"
		blocks := textdiff.Blocks(text)
		var slots []textdiff.Slot
		kept := map[int]bool{}
		for i, b := range blocks {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
			case 1:
				slots = append(slots, textdiff.Slot{Block: i, Text: b.Body(text) + " Changed."})
			case 2:
				slots = append(slots, textdiff.Slot{Block: -1, Text: "A new block."}, textdiff.Slot{Block: i})
				kept[i] = true
			default:
				slots = append(slots, textdiff.Slot{Block: i})
				kept[i] = true
			}
		}
		after, _, hunks := textdiff.Arrange(text, blocks, slots)
		if got, err := textdiff.Apply(text, hunks); err != nil || got != after {
			t.Fatalf("the hunks make %q, not %q: %v", got, after, err)
		}
		for _, h := range hunks {
			for i, b := range blocks {
				if kept[i] && h.Start < b.Stop && h.End > b.Start {
					t.Fatalf("hunk %+v touches block %d of %q", h, i, text)
				}
			}
		}
	})
}

func TestWords(t *testing.T) {
	got := textdiff.Words("The roof leaks, always.", "The old roof leaks always!")
	want := []textdiff.Piece{{"equal", "The "}, {"insert", "old "}, {"equal", "roof leaks"}, {"delete", ","}, {"equal", " always"}, {"delete", "."}, {"insert", "!"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if textdiff.Words("", "") != nil {
		t.Error("nothing has words")
	}
}

// Long texts without a common block are compared in bounded time and space.
func TestLongTexts(t *testing.T) {
	var a, b strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&a, "Paragraph %d says that it is number %d.\n\n", i, i)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "Paragraph %d says that it is number %d.\n\n", i, i)
		case 1:
			fmt.Fprintf(&b, "Same.\n\n")
		}
	}
	if err := check(a.String(), b.String(), func(i int) bool { return i%2 == 0 }); err != nil {
		t.Error(err)
	}
	if n := len(textdiff.Diff(a.String(), b.String())); n < 1000 {
		t.Errorf("%d hunks", n)
	}
}
