package markdown_test

import (
	"bytes"
	"encoding/json"
	"html"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"byline/internal/engine/markdown"
)

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Energy report 2024", "Energy report 2024"},
		{"energy-report_2024.md", "energy-report_2024.md"},
		{"saved 3.14 % (of 5), e.g. in C#: yes!", "saved 3.14 % (of 5), e.g. in C#: yes!"},
		{"# no heading", `\# no heading`},
		{"ends in #", `ends in \#`},
		{"1. no list", `1\. no list`},
		{"2)", `2\)`},
		{"- no list", `\- no list`},
		{"> no quote", `\> no quote`},
		{"---", `\---`},
		{"a *b* _c_ `d` ~~e~~", "a \\*b\\* \\_c\\_ \\`d\\` \\~\\~e\\~\\~"},
		{"[a](javascript:b) ![c](d)", `\[a\](javascript:b) \!\[c\](d)`},
		{"<script>&amp;", `\<script>\&amp;`},
		{"AT&T & more", `AT\&T & more`},
		{"https://a.b and www.c.d and e@f.g", `https\://a.b and www\.c.d and e\@f.g`},
		{"{{ site.secret }} {% raw %}", `\{\{ site.secret \}\} \{% raw %\}`},
		{"a | b", `a \| b`},
		{"a\n\n# b\r\n---\u2028c", `a # b --- c`[:2] + `\# b --- c`},
		{"  a\x00b\u202Ec\xFFd  ", "abcd"},
		{`a\b`, `a\\b`},
		{"", ""},
	} {
		if got := markdown.Escape(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// shown is the text that a reader should see of s.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{
		"a*b*", "1. x", "www.example.com http://a.b/c?d a@b.c", "<b>&lt;</b>", "![a](b)", "***", "#", "|a|b|\n|-|-|", "a\\", "===", "\t# x", "`a``",
		"[x] y", "[^1]: z", "ftp://a", "mailto:a@b.c", "0.", "+", "~a~", "_a_b_", "&#35;", "\u00A0#", "xmpp:a@b.c/d", "0)\x00 0",
	} {
		f.Add(s)
	}
	render := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList))
	f.Fuzz(func(t *testing.T, s string) {
		want := shown(s)
		for _, frame := range []struct{ before, open, close string }{
			{"", "<p>", "</p>\n"}, {"# ", "<h1>", "</h1>\n"}, {"- ", "<ul>\n<li>", "</li>\n</ul>\n"}, {"para\n", "<p>para\n", "</p>\n"},
		} {
			escaped := markdown.Escape(s)
			if strings.ContainsAny(escaped, "\r\n") {
				t.Fatalf("several lines: %q", escaped)
			}
			if want == "" {
				return
			}
			var b bytes.Buffer
			if err := render.Convert([]byte(frame.before+escaped), &b); err != nil {
				t.Fatal(err)
			}
			got, ok := strings.CutPrefix(b.String(), frame.open)
			got, ok2 := strings.CutSuffix(got, frame.close)
			if !ok || !ok2 || strings.ContainsAny(got, "<>") || html.UnescapeString(got) != want {
				t.Fatalf("%q, written %q, is shown as %q", s, frame.before+escaped, b.String())
			}
		}
	})
}

func TestQuoteYAML(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", `"plain"`},
		{"Grüße, 한국 😀", `"Grüße, 한국 😀"`},
		{"a\r\n---\nb: \"c\"\\", `"a\r\n---\nb: \"c\"\\"`},
		{"a\u2028b\u0085c\u202Ed\x00\x7F\uFEFF", `"a\u2028b\u0085c\u202ed\u0000\u007f\ufeff"`},
		{"\xFF", "\"\uFFFD\""},
	} {
		if got := markdown.QuoteYAML(tt.in); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzQuoteYAML(f *testing.F) {
	for _, s := range []string{"a\r\nb", "\u2028", "\\", "\"", "\x00", "\u202E", "\U000E0041", "\xFF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := markdown.QuoteYAML(s)
		for _, r := range q {
			if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) || r <= 0xFFFF && unicode.Is(unicode.Cf, r) {
				t.Fatalf("holds %U: %q", r, q)
			}
		}
		var back string
		if err := json.Unmarshal([]byte(q), &back); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && back != want {
			t.Fatalf("%q became %q", s, back)
		}
	})
}
