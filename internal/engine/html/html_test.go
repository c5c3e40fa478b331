package html_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/htmlindex"

	"byline/internal/engine/extract"
	"byline/internal/engine/html"
	"byline/internal/fault"
)

func read(t testing.TB, page string) extract.Text {
	t.Helper()
	var c extract.Collector
	if err := html.Extract([]byte(page), &c); err != nil {
		t.Fatal(err)
	}
	return c.Text()
}

// shown is an element as the tests write it: its kind and level, the headings above it, and its text.
func shown(x extract.Text) (list []string) {
	for _, e := range x.Elements {
		kind := string(e.Kind)
		if e.Level > 0 {
			kind = fmt.Sprintf("h%d", e.Level)
		}
		list = append(list, kind+": "+x.Content[e.Start:e.End])
	}
	return list
}

func TestBlocks(t *testing.T) {
	for _, tt := range []struct {
		name, page string
		want       []string
	}{
		{"paragraphs", "<p>One  <b>bold</b>\n word.</p><p>Two.</p>", []string{"para: One bold word.", "para: Two."}},
		{"text without elements", "Just words", []string{"para: Just words"}},
		{"headings", "<h1>A</h1><h3><div>B</div></h3><p>c</p>", []string{"h1: A", "h3: B", "para: c"}},
		{"empty heading", "<h2></h2><p>c</p>", []string{"para: c"}},
		{"breaks", "a<br>b<br><br>c", []string{"para: a b", "para: c"}},
		{"lists", "<ul><li>a<li><p>b</p><p>more</p><ol start=3><li>c<li>d</ol></ul>", []string{"item: a", "item: b", "para: more", "item: c", "item: d"}},
		{"definitions", "<dl><dt>COP<dd>A ratio.</dl>", []string{"para: COP", "para: A ratio."}},
		{"code", "<pre>a  b\r\n  <b>c</b>  <br>d\n\n</pre>", []string{"code: a  b\n  c\nd"}},
		{"table", "<table><caption>Table 1: yields</caption><tr><th>Year<th>kWh | day<tr><td>2024<td>5 <b>310</b></table>",
			[]string{"caption: Table 1: yields", "table: | Year | kWh \\| day |\n| --- | --- |\n| 2024 | 5 310 |"}},
		{"table with spans", "<table><tr><th>A<th colspan=2>B<tr><td rowspan=2>x<td>1<td>2<tr><td>3<td>4</table>",
			[]string{"table: | A | B | B |\n| --- | --- | --- |\n| x | 1 | 2 |\n| x | 3 | 4 |"}},
		{"table of unequal rows", "<table><tbody><tr><td>a<td>b<tr><td>c<tr></table>", []string{"table: | a | b |\n| --- | --- |\n| c |  |"}},
		{"table for layout", "<table><tr><td><p>a</p><td>b</table>", []string{"para: a", "para: b"}},
		{"table that says so", "<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>", []string{"para: a", "para: b", "para: c", "para: d"}},
		{"table with lists", "<table><tr><td>a<td>b<tr><td>c<td><ul><li>d</ul></table>", []string{"para: a", "para: b", "para: c", "item: d"}},
		{"caption", "<figure><img src=x.png alt=nothing><figcaption>A <i>pump</i></figcaption></figure>", []string{"caption: A pump"}},
		{"raised numbers", "<p>10<sup>-6</sup> m<sup>2</sup> of CO<sub>2</sub>, the 19<sup>th</sup>, said<sup><a href=#r>[3]</a></sup>.</p>",
			[]string{"para: 10⁻⁶ m² of CO₂, the 19th, said."}},
		{"quotation", "<blockquote><p>It <q>works</q>.</p></blockquote>", []string{"para: It “works”."}},
		{"not shown", `<p>a</p><p hidden>b</p><p style="color:red; DISPLAY : none">c</p><p aria-hidden=true>d</p><p style="font-size:0!important">e</p>
			<script>f</script><style>g</style><noscript>h</noscript><template>i</template><svg><text>j</text></svg><select><option>k</select><!-- l -->
			<textarea>m</textarea><button>n</button><iframe>o</iframe><p style="opacity:0">p</p><p style="visibility:hidden">q</p>`, []string{"para: a"}},
		{"furniture", `<header>a</header><nav>b</nav><div role=navigation>c</div><p>text</p><aside>d</aside><form>e</form><footer>f</footer>`, []string{"para: text"}},
		{"the main element", `<p>before</p><main><p>text</p></main><p>after</p>`, []string{"para: text"}},
		{"ornaments", "<p>• • •</p><hr><p>→</p><p>a</p>", []string{"para: a"}},
		{"decomposed letters", "<p>Mu\u0308ller&nbsp;&amp;&#8203; Co</p>", []string{"para: Müller & Co"}},
		{"ruby", "<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字</p>", []string{"para: 漢字"}},
		{"formula", "<p>So <math><mi>x</mi><annotation>\\x</annotation></math> it is</p>", []string{"para: So x it is"}},
		{"Korean", "<p>안녕하세요. 반갑습니다.</p>", []string{"para: 안녕하세요. 반갑습니다."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := read(t, tt.page)
			if d := cmp.Diff(tt.want, shown(x)); d != "" {
				t.Errorf("%s\n%q", d, x.Content)
			}
		})
	}
}

func TestListsReadAsLists(t *testing.T) {
	x := read(t, "<p>Parts:</p><ul><li>pump<ol><li>motor<li>valve</ol><li>pipe</ul><p>End.</p>")
	want := "Parts:\n\n- pump\n  1. motor\n  2. valve\n- pipe\n\nEnd.\n\n"
	if d := cmp.Diff(want, x.Content); d != "" {
		t.Error(d)
	}
}

func TestArticle(t *testing.T) {
	page, err := os.ReadFile("testdata/article.html")
	if err != nil {
		t.Fatal(err)
	}
	x := read(t, string(page))
	if x.Title != "Heat pumps in old houses" || x.Author != "Ada Merz" || !x.Published.Equal(time.Date(2024, 3, 9, 8, 30, 0, 0, time.UTC)) {
		t.Errorf("got title %q, author %q, published %s", x.Title, x.Author, x.Published)
	}
	got := shown(x)
	for _, want := range []string{"h1: Heat pumps in old houses", "h2: What was measured", "item: flow temperature, every minute",
		"table: | Winter | Houses | Seasonal factor |\n| --- | --- | --- |\n| 2021 | 18 | 2.9 |\n| 2022 | 41 | 3.1 |"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, foreign := range []string{"Subscribe", "Cookie", "Related", "ignore all previous instructions", "tracking", "Home", "Imprint"} {
		if strings.Contains(x.Content, foreign) {
			t.Errorf("the text holds %q, which stands around it or is not shown", foreign)
		}
	}
	if t.Failed() {
		t.Log(x.Content)
	}
	for _, e := range x.Elements[1:] {
		if len(e.HeadingPath) == 0 || e.HeadingPath[0] != "Heat pumps in old houses" {
			t.Errorf("%q is not below the title", x.Content[e.Start:e.End])
		}
	}
}

func TestEncodings(t *testing.T) {
	const text = "<title>%s</title><meta charset=%q><p>%s</p>"
	for _, tt := range []struct{ label, words string }{
		{"windows-1252", "Wärmepumpen kosten 12.000 €."}, {"euc-kr", "열펌프는 건물을 따뜻하게 한다."}, {"shift_jis", "ヒートポンプは建物を暖める。"},
		{"windows-1251", "Тепловой насос греет дом."}, {"gb18030", "热泵为建筑物供暖。"}, {"utf-8", "Pompe à chaleur – 열펌프."}, {"iso-2022-jp", "ヒートポンプ"},
	} {
		enc, err := htmlindex.Get(tt.label)
		if err != nil {
			t.Fatal(err)
		}
		page, err := enc.NewEncoder().String(fmt.Sprintf(text, tt.words, tt.label, tt.words))
		if err != nil {
			t.Fatal(err)
		}
		if x := read(t, page); x.Title != tt.words || strings.TrimSpace(x.Content) != tt.words {
			t.Errorf("%s: got %q and %q", tt.label, x.Title, x.Content)
		}
	}
	for name, tt := range map[string]struct{ page, want string }{
		"mark":                     {"\xEF\xBB\xBF<meta charset=euc-kr><p>Wärme</p>", "Wärme"},
		"UTF-16":                   {"\xFF\xFE<\x00p\x00>\x00\xE4\x00", "ä"},
		"declared wrongly":         {"<meta charset=windows-1252><p>Wärme</p>", "Wärme"},
		"http-equiv":               {`<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>` + "\xC4\xEE\xEC</p>", "Дом"},
		"not in a meta element":    {"<p>charset=euc-kr, charset</p><p>M\xFCller und S\xF6hne hei\xDFen</p>", "charset=euc-kr, charset\n\nMüller und Söhne heißen"},
		"a broken byte":            {"<meta charset=utf-8><p>Wärme, Kälte, Öl \xFF Grüße, Straße, Maß</p>", "Wärme, Kälte, Öl \uFFFD Grüße, Straße, Maß"},
		"unknown":                  {"<meta charset=nonsense><p>Wärme</p>", "Wärme"},
		"nothing behind the equal": {"<meta charset=", ""},
	} {
		if x := read(t, tt.page); strings.TrimSpace(x.Content) != tt.want {
			t.Errorf("%s: got %q, want %q", name, x.Content, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct{ page, code string }{
		"empty":           {"", "empty_file"},
		"binary":          {"<p>\x00\x01\x02\x03\x00\x05\x06</p>", "binary_content"},
		"nested too deep": {strings.Repeat("<div>", 5000), "bad_html"},
		"too large":       {strings.Repeat(" ", html.MaxSize+1), "page_too_large"},
	} {
		var c extract.Collector
		err := html.Extract([]byte(tt.page), &c)
		if f := fault.Of(err); err == nil || f.Code != tt.code || f.Kind != fault.Invalid {
			t.Errorf("%s: got %v, want %s", name, err, tt.code)
		}
	}
}

// A page that was made to take time takes little.
func TestHostilePagesAreBounded(t *testing.T) {
	row := "<tr>" + strings.Repeat("<td rowspan=5000 colspan=60>"+strings.Repeat("x", 190), 1)
	for name, page := range map[string]string{
		"many elements": strings.Repeat("<b>x</b>", 200_000),
		"many blocks":   strings.Repeat("<div>a<p>b", 250),
		"unclosed":      strings.Repeat("<a href='x'><table><tr><td>", 20_000),
		"spans":         "<table>" + strings.Repeat(row, 3000) + "</table>",
		"attributes":    "<p " + strings.Repeat("a=b ", 100_000) + ">x</p>",
		"long word":     "<p>" + strings.Repeat("x", 5<<20),
		"many scripts":  strings.Repeat("<script type='application/ld+json'>{\"@context\":\"https://schema.org\"}</script>", 20_000),
	} {
		began := time.Now()
		var c extract.Collector
		err := html.Extract([]byte(page), &c)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %v, %v", name, took, err)
		}
		if n := len(c.Text().Content); n > 4*len(page)+1<<20 {
			t.Errorf("%s: %d bytes of text from %d of the page", name, n, len(page))
		}
	}
}

// What is said of a page without a sensible value is left out.
func TestMetadataIsTidied(t *testing.T) {
	x := read(t, `<title>`+strings.Repeat("long ä ", 100)+`</title><meta property="article:published_time" content="9999-99-99"><meta name=author content="`+strings.Repeat("x", 300)+`"><p>text</p>`)
	if len(x.Title) > 300 || !utf8.ValidString(x.Title) || len(x.Author) > 200 || !x.Published.IsZero() {
		t.Errorf("got title %q, author %q, published %s", x.Title, x.Author, x.Published)
	}
}

func FuzzExtract(f *testing.F) {
	article, err := os.ReadFile("testdata/article.html")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(article), "<p>a", "<table><tr><td rowspan=2>x<td>1<tr><td>3</table>", "<ul><li>a<ol><li>b", "\xFF\xFE<\x00p\x00>\x00", "<meta charset=euc-kr>\xBE\xC8"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		var c extract.Collector
		if err := html.Extract(page, &c); err != nil {
			if f := fault.Of(err); f.Kind != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		x := c.Text()
		if !utf8.ValidString(x.Content) || x.Content != extract.Normalize(x.Content) {
			t.Fatalf("the text is not normalised: %q", x.Content)
		}
		at := 0
		for _, e := range x.Elements {
			s := x.Content[e.Start:e.End]
			if e.Start < at || strings.TrimSpace(s) != s || !extract.HasText(s) {
				t.Fatalf("bad element %+v: %q", e, s)
			}
			at = e.End
		}
		var again extract.Collector
		if err := html.Extract(page, &again); err != nil || again.Text().Content != x.Content {
			t.Fatal("the same page gives another text")
		}
	})
}
