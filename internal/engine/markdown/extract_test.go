package markdown_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
)

// read gives the whole document.
func read(t testing.TB, source string) extract.Text {
	t.Helper()
	var c extract.Collector
	if err := markdown.Extract(source, &c); err != nil {
		t.Fatal(err)
	}
	return c.Text()
}

// outline shows elements a line each, for comparison.
func outline(t extract.Text) string {
	var b strings.Builder
	for _, e := range t.Elements {
		fmt.Fprintf(&b, "%s", e.Kind)
		if e.Level > 0 {
			fmt.Fprintf(&b, "%d", e.Level)
		}
		fmt.Fprintf(&b, " %q\n", t.Content[e.Start:e.End])
	}
	return b.String()
}

func TestExtract(t *testing.T) {
	for _, tt := range []struct {
		name, in, title string
		want            []string
	}{
		{
			name: "headings", in: "# One #\n\nTwo\n---\n###### Six\n#\n## **Bold** and `code`\n## **All of it**\n#no", title: "One",
			want: []string{`heading1 "One"`, `heading2 "Two"`, `heading6 "Six"`, "heading2 \"**Bold** and `code`\"", `heading2 "All of it"`, `para "#no"`},
		},
		{
			name: "paragraphs", in: "One\n  two  \nthree\n\n*Status: March 2022.*\n\n*a* and *b*\n\n***\n",
			want: []string{`para "One\n  two  \nthree"`, `para "Status: March 2022."`, `para "*a* and *b*"`},
		},
		{
			name: "lists", in: "- one\n  goes on\n- two\n  1. deep\n     - deeper\n\n  second paragraph\n- [x] done\n\n  ```\n  code\n  ```\n+ plus\n",
			want: []string{`item "one\n  goes on"`, `item "two"`, `item "deep"`, `item "deeper"`, `para "second paragraph"`, `item "done"`, `code "code"`, `item "plus"`},
		},
		{
			name: "table", in: "Before it\n\n| Year | Heat |\n|-----:|:----:|\n| 2022 | 205 |\n| a \\| b | 119 |\n\nTable 1: Heat\n\nYear | Heat\n--|--\n1|2\n\nline\nx|y\n-|-\n",
			want: []string{
				`para "Before it"`, `table "| Year | Heat |\n|-----:|:----:|\n| 2022 | 205 |\n| a \\| b | 119 |"`, `caption "Table 1: Heat"`,
				`table "Year | Heat\n--|--\n1|2"`, `para "line"`, `table "x|y\n-|-"`,
			},
		},
		{name: "no table", in: "a | b\n---\n\n|a|b|c|\n|-|-|\n", want: []string{`heading2 "a | b"`, `para "|a|b|c|\n|-|-|"`}},
		{
			name: "code", in: "```go\nx := 1\n\n  y\n```\n\n    indented\n      more\n\n```\n```\n~~~\nopen",
			want: []string{`code "x := 1\n\n  y"`, `code "    indented\n      more"`, `code "open"`},
		},
		{
			name: "quotes", in: "> One\n> two\n>\n> - item\n\n> # Head\nlazy\n",
			want: []string{`para "One\n> two"`, `item "item"`, `heading1 "Head"`, `para "lazy"`}, title: "Head",
		},
		{
			name: "captions and pictures", in: "![The roof](roof.png)\n\n*Figure 2: Heat*\n\n![](a.png)\n\n![a](b) and ![c](d)\n\nFigure 2 shows heat.\n",
			want: []string{`caption "The roof"`, `caption "Figure 2: Heat"`, `para "![a](b) and ![c](d)"`, `para "Figure 2 shows heat."`},
		},
		{
			name: "notes and definitions", in: "Text[^1].\n\n[^1]: The note\n    goes on.\n\n[ref]: https://example.com 'title'\n\nEnd [ref].\n",
			want: []string{`para "Text[^1]."`, `para "The note\n    goes on."`, `para "End [ref]."`},
		},
		{
			name: "HTML", in: "<!-- hidden\ninstruction -->\n\n<script>\nalert('text')\n</script>\n\n<div>\nshown\n</div>\n\n<hr>\n\n<table><tr><td>cell</td></tr></table>\n\n<pre>a\nb</pre>\n\n<!-- one line -->\nafter\n\n<?php text ?>\n\n<![CDATA[ text ]]>\n\n<br\n",
			want: []string{`para "<div>\nshown\n</div>"`, `table "<table><tr><td>cell</td></tr></table>"`, `code "<pre>a\nb</pre>"`, `para "after"`, `para "<br"`},
		},
		{name: "front matter", in: "---\ntitle: \"A \\\"good\\\" one\"\ntags: [a]\n---\n# Other\n\nText", title: `A "good" one`, want: []string{`heading1 "Other"`, `para "Text"`}},
		{name: "front matter, plain title", in: "---\n# comment\nTitle: A: plain one # comment\n...\nText", title: "A: plain one", want: []string{`para "Text"`}},
		{name: "front matter, single quotes", in: "---\ntitle: 'It''s'\n---\n", title: "It's", want: nil},
		{name: "front matter, odd quotes", in: "---\ntitle: 'It\nb: \"\n---\n", title: "It", want: nil},
		{name: "front matter, odd double quotes", in: "---\ntitle: \"It\\q\"\n---\n", title: `It\q`, want: nil},
		{name: "front matter, block title", in: "---\ntitle: >\n  folded\n---\n# Head", title: "Head", want: []string{`heading1 "Head"`}},
		{name: "front matter, empty title", in: "---\ntitle:\n---\n# Head", title: "Head", want: []string{`heading1 "Head"`}},
		{name: "front matter of TOML", in: "+++\ntitle = \"A\"\n+++\nText", title: "A", want: []string{`para "Text"`}},
		{name: "a rule is no front matter", in: "---\n\nText: more\n\n---\n", want: []string{`para "Text: more"`}},
		{name: "front matter without an end", in: "---\ntitle: A", want: []string{`para "title: A"`}},
		{name: "title without markup", in: "## Sub\n\n# The *new* [roof](x) &amp; more\n", title: "The new roof & more", want: []string{`heading2 "Sub"`, `heading1 "The *new* [roof](x) &amp; more"`}},
		{name: "nothing", in: "\n \n", want: nil},
		{name: "other scripts", in: "# 도서관\n\n열을 사용했다.　\n", title: "도서관", want: []string{`heading1 "도서관"`, `para "열을 사용했다."`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, tt.in)
			want := strings.Join(tt.want, "\n")
			if diff := cmp.Diff(want, strings.TrimSuffix(outline(got), "\n")); diff != "" {
				t.Error(diff)
			}
			if got.Title != tt.title {
				t.Errorf("title %q, want %q", got.Title, tt.title)
			}
			if strings.TrimRight(got.Content, "\n") != strings.TrimRight(tt.in, "\n") {
				t.Errorf("the text changed to %q", got.Content)
			}
		})
	}
}

func TestExtractHeadingPaths(t *testing.T) {
	got := read(t, "# A\n\none\n\n## B\n\ntwo\n\n# C\n\nthree\n")
	var paths []string
	for _, e := range got.Elements {
		paths = append(paths, strings.Join(e.HeadingPath, "/"))
	}
	if diff := cmp.Diff([]string{"", "A", "A", "A/B", "", "C"}, paths); diff != "" {
		t.Error(diff)
	}
}

func TestExtractStopsWhenTheSinkFails(t *testing.T) {
	full := errors.New("full")
	if err := markdown.Extract("a", failing{full}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Begin(extract.Info) error { return f.err }
func (f failing) Part(extract.Part) error  { return f.err }

// hostile sources make a careless parser take quadratic time or much stack.
func hostile(n int) map[string]string {
	of := func(s string) string { return strings.Repeat(s, n/len(s)) }
	deep := strings.Repeat("> ", 1000) + "a\n"
	return map[string]string{
		"quotes": of(">"), "spaced quotes": of("> "), "lists": of("- "), "numbers": of("1. "), "mixed": of("> - 1. "),
		"lazy lines below quotes": deep + of("a\n"), "blank lines below quotes": deep + of(">\n"),
		"blank lines below lists": strings.Repeat("- ", 1000) + "a" + of("\n"), "indented lists": indented(400) + of("\n"),
		"brackets": of("["), "links": of("[a]("), "images": of("!["), "closing": of("]("), "stars": of("*a_ "), "strong": of("**a *b "), "backticks": of("`a``b"),
		"growing backticks": growing(n), "tags": of("<a "), "comments": of("<!--"), "tag lines": of("<a b='\n"), "CDATA": of("<![CDATA["),
		"definitions": of("[a]: b\n"), "open definitions": of("[a\n"), "underlines": of("a\n=\n"), "wide table": "|" + strings.Repeat("a|", n/8) + "\n|" + strings.Repeat("-|", n/8) + "\n" + of("|\n"),
		"delimiters": of("|-|\n"), "fences": of("```\n"), "tildes": of("~ "), "entities": of("&a"), "escapes": of(`\*`), "one line": of("a "), "parens": "[a](" + of("("), "footnotes": of("[^a"),
		"tabs": of("\t"), "spaces": of(" "), "hashes": of("# "), "front matter": "---\na: b\n" + of("title: |\n"),
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat("  ", i) + "- a\n")
	}
	return b.String()
}

// growing has runs of backticks of every length.
func growing(n int) string {
	var b strings.Builder
	for i := 1; b.Len() < n; i++ {
		b.WriteString(strings.Repeat("`", i) + " ")
	}
	return b.String()
}

func TestHostileSourcesTakeLinearTime(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some megabytes")
	}
	for name, source := range hostile(64 << 10) {
		start := time.Now()
		read(t, source)
		extracted := time.Since(start)
		markdown.PlainText(source)
		// Quadratic ones take minutes.
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("%s: %v, extraction alone %v", name, d, extracted)
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range hostile(100) {
		f.Add(s)
	}
	for _, s := range []string{"# a\n\nb\n\n- c\n\n|a|b|\n|-|-|\n", "---\ntitle: a\n---\nb", "<div>a\n</div>", "\ta\n\n> b\n> - c\n\n      d", "1. a\n\n\t- b\n\tc", "[a]: b\n\n![c](d)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		source, _, err := extract.Decode([]byte(in))
		if err != nil {
			return
		}
		got := read(t, source)
		if strings.TrimRight(got.Content, "\n") != strings.TrimRight(source, "\n") {
			t.Fatal("the text changed")
		}
		at := 0
		for _, e := range got.Elements {
			if e.Start < at || e.End <= e.Start || e.End > len(got.Content) {
				t.Fatalf("element %+v out of order in %q", e, got.Content)
			}
			if e.Kind == extract.Heading != (e.Level > 0) {
				t.Fatalf("element %+v", e)
			}
			at = e.End
		}
		markdown.PlainText(source)
	})
}

func BenchmarkExtract(b *testing.B) {
	section := "## The *second* section\n\n" + strings.Repeat("The library used 89 MWh of [electricity](https://example.com) in 2024, of which **35** went to the heat pumps.\n", 6) +
		"\n- first item\n- second item\n\n| Year | Heat |\n|---|---|\n| 2022 | 205 |\n\n"
	source := strings.Repeat(section, 1<<20/len(section))
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		read(b, source)
	}
}
