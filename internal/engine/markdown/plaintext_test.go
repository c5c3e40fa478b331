package markdown_test

import (
	"testing"

	"byline/internal/engine/markdown"
)

func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"words", "One two.", "One two."},
		{"blocks", "# Head\n\nOne\ntwo\n\n- item\n", "Head\nOne two\nitem"},
		{"emphasis", "a *b* **c** ***d*** _e_ __f__ ~~g~~ ~h~ *i **j** k*", "a b c d e f g h i j k"},
		{"no emphasis", "2 * 3 * 4, snake_case_name, a*, *b, _ c _, ~~~x", "2 * 3 * 4, snake_case_name, a*, *b, _ c _, ~~~x"},
		{"within words", "un*believ*able", "unbelievable"},
		{"uneven", "**a* b", "*a b"},
		{"links", `[a](b "c)") [d](<e f>) [g][h] [i] [j](k(l)m)n [[o]](p)`, "a d g [i] jn [o]"},
		{"open links", "[a](b [c", "[a](b [c"},
		{"nested label", "[a][b[c]", "[a][b[c]"},
		{"picture", "![the roof](a.png) and ! and ![b", "the roof and ! and ![b"},
		{"footnotes", "Text[^1] more.[^two]\n\n[^1]: Note", "Text more.\nNote"},
		{"code", "use `a *b*` and ``c`d`` and `e", "use a *b* and c`d and `e"},
		{"code block", "```\na *b*\n```", "a *b*"},
		{"HTML", "a<br>b <b class='x'>c</b> <!-- d --> e < f <g <h>", "ab c e < f <g"},
		{"open comment", "a <!-- b", "a <!-- b"},
		{"addresses", "<https://a.b> <c@d.e>", "https://a.b c@d.e"},
		{"entities", "a &amp; b &lt; &nope; & c", "a & b < &nope; & c"},
		{"escapes", `\*a\* \# \n \`, `*a* # \n \`},
		{"quote", "> One *two\n> three* four", "One two three four"},
		{"table", "|Year|*Heat*|\n|:-|-|\n|2022|a \\| b|", "Year  Heat\n2022  a | b"},
		{"HTML table", "<table><tr><td>a &amp;</td><td> b</td></tr></table>", "a & b"},
		{"white space", "a  \nb\t c", "a b c"},
		{"other scripts", "**도서관**은 [열](x)을 썼다", "도서관은 열을 썼다"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := markdown.PlainText(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzPlainText(f *testing.F) {
	for _, s := range []string{"*a*", "[a](b)", "`a`", "<a>", "&amp;", "a_b_", "***a**b*", "![a](b", "\\", "]("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { markdown.PlainText(in) })
}
