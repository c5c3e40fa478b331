package summarize_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/summarize"
)

// marks stand before a unit's rendering in a post.
var marks = map[summarize.Kind]string{summarize.Item: "- ", summarize.Quote: "> "}

// prose draws texts with all that can break a post.
func prose() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"The library opened in 1968 and was closed for a year.", "However, the roof leaked.", "It was **repaired. Nobody** paid for it.", "Is that so?", "No.",
		"See [the map](map.md), [the site](https://example.org/a_(b)) or ![a plan](p.png \"Plan\").", "Call [me](javascript:alert(1)) now, please, dear reader.",
		"Use `<b>` and ``a ` b`` but never ` alone.", "Raw <script>alert(1)</script> and {{ secret }} and {% raw %} end here.", "The heat fell by 42 percent.[^1]", "[^1]: See the report.",
		"5 * 3 is 15 and snake_case stays as __init__ does.", "A ~~wrong~~ word, an *open one.", "a | b | c are no table at all.", "&lt; is an entity & so is &#60; in a text.",
		"# A heading", "## Another heading", "- an item of a list", "- [ ] an item to do", "1. a step to take", "1986. A year that begins like an item.", "> A quoted sentence stands here.",
		"| a | b |\n|---|---|\n| 1 | <i>2</i> |", "> | a | b |\n> |---|---|\n> | 1 | 2 |", "- | a | b |\n  |---|---|\n  | 1 | 2 |", "```go\nfunc main() {}\n```", "```\nnever closed", "    indented code",
		"Hard break\\\nin the midst of a sentence.", "A hyphen-\nated word and a state-of-the-\nart one.", "---", "===", "<div>a block</div>", "도서관은 2024년에 문을 열었다.", "하지만 여름에는 너무 더웠다.", "図書館は1968年に建てられた。", "",
	})
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for _, p := range rapid.SliceOfN(piece, 1, 30).Draw(t, "pieces") {
			b.WriteString(p + rapid.SampledFrom([]string{" ", "\n", "\n\n"}).Draw(t, "joint"))
		}
		return b.String()
	})
}

// draw gives sources of both kinds.
func draw(t *rapid.T) []summarize.Source {
	var out []summarize.Source
	for _, name := range []string{"a.md", "b.txt", "c-2024.md"}[:rapid.IntRange(1, 3).Draw(t, "sources")] {
		out = append(out, source(t, name, prose().Draw(t, name)))
	}
	return out
}

// Every unit is an exact, whole piece of its source, and no piece is taken twice.
func TestUnitsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := summarize.Read(draw(t))
		source, end := -1, 0
		for i, u := range s.Units {
			if u.Source != source {
				source, end = u.Source, 0
			}
			text := s.Sources[u.Source].Text.Content
			if u.Start < end || u.End <= u.Start || u.End > len(text) {
				t.Fatalf("unit %d is %d:%d behind %d of %d", i, u.Start, u.End, end, len(text))
			}
			end = u.End
			if s.Quote(i) != strings.TrimSpace(s.Quote(i)) || !utf8.ValidString(s.Quote(i)) {
				t.Fatalf("unit %d is not cut clean: %q", i, s.Quote(i))
			}
			inside := false
			for _, e := range s.Sources[u.Source].Text.Elements {
				inside = inside || e.Start <= u.Start && u.End <= e.End && cmp.Equal(e.HeadingPath, u.HeadingPath)
			}
			if !inside {
				t.Fatalf("unit %d (%q) is of no element below %v", i, s.Quote(i), u.HeadingPath)
			}
		}
	})
}

// Whatever a source holds, quoted it stays what it is there: one paragraph, one item, one table. Nothing of it becomes a heading,
// a link to somewhere else or HTML.
func TestQuotesDoNotBreakThePost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := summarize.Read(draw(t))
		for i, u := range s.Units {
			text, _ := s.Render(i, -1)
			checkShape(t, u.Kind, text)
		}
	})
}

func checkShape(t *rapid.T, kind summarize.Kind, text string) {
	t.Helper()
	const before, behind = "Before it.\n\n", "\n\nBehind **it** `all`."
	var c extract.Collector
	if err := markdown.Extract(before+marks[kind]+text+behind, &c); err != nil {
		t.Fatalf("read: %v", err)
	}
	if strings.HasPrefix(text, "```\n") { // a table of plain text keeps its columns between fences
		kind = summarize.Code
	}
	want := []extract.Kind{extract.Paragraph, map[summarize.Kind]extract.Kind{
		summarize.Sentence: extract.Paragraph, summarize.Quote: extract.Paragraph, summarize.Item: extract.Item, summarize.Table: extract.Table, summarize.Code: extract.Code,
	}[kind], extract.Paragraph}
	var got []extract.Kind
	for _, e := range c.Text().Elements {
		got = append(got, e.Kind)
	}
	if !cmp.Equal(want, got) {
		t.Fatalf("%s %q is read as %v", kind, text, got)
	}
	if strings.Contains(text, "`") { // within code these are no marks
		return
	}
	for _, bad := range []string{"<script", "](javascript", "](map.md", "![", "{{", "{%", "[^"} {
		for at := 0; ; {
			n := strings.Index(text[at:], bad)
			if n < 0 {
				break
			}
			if at += n; at == 0 || text[at-1] != '\\' {
				t.Fatalf("%q still has %s", text, bad)
			}
			at++
		}
	}
}
