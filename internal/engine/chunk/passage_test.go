package chunk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/chunk"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
)

// of reads Markdown.
func of(t testing.TB, source string) extract.Text {
	t.Helper()
	var c extract.Collector
	if err := markdown.Extract(source, &c); err != nil {
		t.Fatal(err)
	}
	return c.Text()
}

// prose is n sentences of 12 tokens each; they are numbered from first on.
func prose(first, n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("Sentence %d says that the old roof was renewed.", first+i))
	}
	return strings.Join(s, " ")
}

// numbers tells the first and last sentence of prose in a passage.
func numbers(p chunk.Passage) string {
	var first, last string
	for _, s := range chunk.Sentences(p.Text) {
		if rest, ok := strings.CutPrefix(p.Text[s.Start:s.End], "Sentence "); ok {
			last, _, _ = strings.Cut(rest, " ")
			if first == "" {
				first = last
			}
		}
	}
	return first + "-" + last
}

func TestPassagesFollowHeadings(t *testing.T) {
	text := of(t, "# Title\n\n## Part\n\n"+prose(1, 3)+"\n\n## Other part\n\n- one\n- two\n\n# End\n")
	got := chunk.Passages(text)
	type row struct {
		Path, Text string
		From, To   int
	}
	var rows []row
	for _, p := range got {
		rows = append(rows, row{strings.Join(p.HeadingPath, "/"), p.Text, p.From, p.To})
	}
	want := []row{
		{"Title/Part", "Title\n\n## Part\n\n" + prose(1, 3), 0, 3},
		{"Title/Other part", "Other part\n\n- one\n- two", 3, 6},
		{"", "End", 6, 7},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

func TestPassagesShareASentence(t *testing.T) {
	got := chunk.Passages(of(t, "# Title\n\n"+prose(1, 60)+"\n"))
	var rows []string
	for _, p := range got {
		rows = append(rows, numbers(p))
		if n := chunk.EstimateTokens(p.Text); n > chunk.Target+20 {
			t.Errorf("%d tokens", n)
		}
	}
	if diff := cmp.Diff([]string{"1-21", "21-41", "41-60"}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestPassagesJoinAShortRest(t *testing.T) {
	got := chunk.Passages(of(t, prose(1, 26)+"\n\n"+prose(27, 3)+"\n\n# Next\n\n"+prose(30, 2)))
	var rows []string
	for _, p := range got {
		rows = append(rows, numbers(p))
	}
	if diff := cmp.Diff([]string{"1-29", "30-31"}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestPassagesKeepParagraphsWhole(t *testing.T) {
	got := chunk.Passages(of(t, prose(1, 14)+"\n\n"+prose(15, 20)+"\n\n"+prose(35, 15)))
	var rows []string
	for _, p := range got {
		rows = append(rows, numbers(p))
	}
	if diff := cmp.Diff([]string{"1-14", "14-34", "34-49"}, rows); diff != "" {
		t.Error(diff)
	}
}

func table(rows int) string {
	var b strings.Builder
	b.WriteString("| Year | Heat | Power |\n|---|---|---|\n")
	for i := range rows {
		fmt.Fprintf(&b, "| %d | %d | %d |\n", 1900+i, 100+i, 200+i)
	}
	return b.String()
}

func TestPassagesKeepTablesWhole(t *testing.T) {
	small := table(20) // just under Max tokens
	got := chunk.Passages(of(t, prose(1, 15)+"\n\n"+small+"\n"+prose(16, 4)))
	whole := false
	for _, p := range got {
		whole = whole || strings.Contains(p.Text, strings.TrimSpace(small))
		if strings.Contains(p.Text, "| Year") != strings.Contains(p.Text, "| 1919") {
			t.Errorf("the table was cut: %q", p.Text)
		}
	}
	if !whole {
		t.Error("no passage has the whole table")
	}

	got = chunk.Passages(of(t, table(200)))
	if len(got) < 4 {
		t.Errorf("%d passages of a large table", len(got))
	}
	for _, p := range got {
		if !strings.HasPrefix(p.Text, "|") || !strings.HasSuffix(p.Text, "|") {
			t.Errorf("cut within a row: %q", p.Text)
		}
	}
}

func TestPassagesCutWhatHasNoSentences(t *testing.T) {
	for name, text := range map[string]string{
		"words":      strings.Repeat("word ", 2000),
		"Korean":     strings.Repeat("도서관열", 600),
		"base64":     strings.Repeat("QmFzZTY0", 4000),
		"marks":      "a" + strings.Repeat("\u0301", 20000),
		"emoji":      strings.Repeat("👩\u200D🔧", 600),
		"code line":  "```\n" + strings.Repeat("x=1;", 2000) + "\n```\n",
		"heading":    "# " + strings.Repeat("Long ", 1000),
		"spaces":     "a" + strings.Repeat(" ", 50000) + "b.",
		"blank code": "```\na" + strings.Repeat("\n", 50000) + "b\n```",
	} {
		got := chunk.Passages(of(t, text))
		if len(got) < 2 {
			t.Errorf("%s: %d passages", name, len(got))
		}
		for _, p := range got {
			if n := chunk.EstimateTokens(p.Text); n > chunk.Max || len(p.Text) > 8<<10 {
				t.Errorf("%s: %d tokens, %d bytes", name, n, len(p.Text))
			}
		}
	}
}

// paged builds a text of pages as a PDF gives it.
func paged(t *testing.T, pages ...string) extract.Text {
	t.Helper()
	var c extract.Collector
	for i, s := range pages {
		p := extract.Part{Text: s + "\n\n", Page: &extract.Page{Number: i + 1}, Elements: []extract.Element{{Kind: extract.Paragraph, End: len(s), Page: i + 1}}}
		if err := c.Part(p); err != nil {
			t.Fatal(err)
		}
	}
	return c.Text()
}

func TestPassagesKnowTheirPages(t *testing.T) {
	got := chunk.Passages(paged(t, prose(1, 10), prose(11, 8)+" Sentence 19 begins here", "and ends there. "+prose(20, 8), "Short page.", prose(28, 8)))
	type row struct {
		Numbers  string
		From, To int
	}
	var rows []row
	for _, p := range got {
		rows = append(rows, row{numbers(p), p.PageFrom, p.PageTo})
	}
	want := []row{{"1-10", 1, 1}, {"11-19", 2, 2}, {"19-27", 2, 3}, {"28-35", 4, 5}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

func TestPassagesPartAtALargeGap(t *testing.T) {
	got := chunk.Passages(of(t, "One.\n\n<!-- "+strings.Repeat("hidden ", 50)+"-->\n\nTwo.\n"))
	if len(got) != 2 || got[0].Text != "One." || got[1].Text != "Two." {
		t.Errorf("%+v", got)
	}
}

func TestPassagesWithoutElements(t *testing.T) {
	got := chunk.Passages(extract.Text{Content: "One.\n\nTwo.\n"})
	if len(got) != 1 || got[0].Text != "One.\n\nTwo." || got[0].From != got[0].To {
		t.Errorf("%+v", got)
	}
	if got := chunk.Passages(extract.Text{}); got != nil {
		t.Errorf("nothing gave %+v", got)
	}
}

func TestPassagesLeaveOutBrokenElements(t *testing.T) {
	got := chunk.Passages(extract.Text{Content: "One. Two.", Elements: []extract.Element{
		{Kind: extract.Paragraph, Start: 5, End: 9}, {Kind: extract.Paragraph, Start: 0, End: 4}, {Kind: extract.Paragraph, Start: 9, End: 20}, {Kind: extract.Paragraph, Start: 9, End: 9},
	}})
	if len(got) != 1 || got[0].Text != "Two." {
		t.Errorf("%+v", got)
	}
}

func TestAllStops(t *testing.T) {
	n := 0
	for range chunk.All(of(t, strings.Repeat("# Title\n\n"+prose(1, 60)+"\n\n", 10))) {
		if n++; n == 4 {
			break
		}
	}
	if n != 4 {
		t.Errorf("%d passages", n)
	}
}

// document draws a text with elements of all kinds.
func document(t *rapid.T) extract.Text {
	words := rapid.SampledFrom([]string{"roof", "The", "Dr.", "heat", "3.14", "e.g.", "도서관은", "열을.", "熱を使った。", "“Yes.”", "(no)", "a|b", "größer", "👩\u200D🔧", "x=1;", "\u0301", "No. 5", "…", "\u00A0", strings.Repeat("é", 900), strings.Repeat("熱", 500), "мегаватт?", "\t", "\n"})
	kinds := rapid.SampledFrom([]extract.Kind{extract.Heading, extract.Paragraph, extract.Paragraph, extract.Item, extract.Table, extract.Code, extract.Caption})
	var c extract.Collector
	for page := range rapid.IntRange(1, 4).Draw(t, "pages") {
		var text strings.Builder
		var elements []extract.Element
		for range rapid.IntRange(0, 12).Draw(t, "elements") {
			kind := kinds.Draw(t, "kind")
			longest := 120
			if kind == extract.Heading {
				longest = 8
			}
			s := strings.TrimSpace(strings.Join(rapid.SliceOfN(words, 1, longest).Draw(t, "words"), rapid.SampledFrom([]string{" ", "\n", ""}).Draw(t, "space")))
			if s == "" {
				continue
			}
			text.WriteString(rapid.SampledFrom([]string{"", "- ", "## ", strings.Repeat("-", 200)}).Draw(t, "mark"))
			e := extract.Element{Kind: kind, Start: text.Len(), End: text.Len() + len(s), Page: page + 1}
			if kind == extract.Heading {
				e.Level = rapid.IntRange(1, 3).Draw(t, "level")
			}
			elements = append(elements, e)
			text.WriteString(s + rapid.SampledFrom([]string{"\n", "\n\n", " "}).Draw(t, "end"))
		}
		p := extract.Part{Text: text.String() + "\n\n", Elements: elements, Page: &extract.Page{Number: page + 1}}
		if err := c.Part(p); err != nil {
			t.Fatal(err)
		}
	}
	return c.Text()
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// check holds what is true of the passages of any text.
func check(t failer, text extract.Text) {
	t.Helper()
	got := chunk.Passages(text)
	at, covered := -1, 0
	cover := func(upTo int) {
		for _, e := range text.Elements {
			from, to := max(e.Start, covered), min(e.End, upTo)
			if from < to && strings.TrimSpace(text.Content[from:to]) != "" {
				t.Fatalf("lost %q", text.Content[from:to])
			}
		}
	}
	for i, p := range got {
		if p.Start <= at || p.End <= p.Start || p.End > len(text.Content) || p.Text != text.Content[p.Start:p.End] || p.End <= covered {
			t.Fatalf("passage %d is out of order: %+v", i, p)
		}
		if utf8.ValidString(text.Content) && !utf8.ValidString(p.Text) || strings.TrimFunc(p.Text, unicode.IsSpace) != p.Text {
			t.Fatalf("passage %d begins or ends badly: %q", i, p.Text)
		}
		if n := chunk.EstimateTokens(p.Text); n > chunk.Max {
			t.Fatalf("passage %d has %d tokens: %q", i, n, p.Text)
		}
		if sum := sha256.Sum256([]byte(p.Text)); p.Hash != hex.EncodeToString(sum[:]) {
			t.Fatalf("passage %d has the hash %s", i, p.Hash)
		}
		cover(p.Start)
		covered, at = p.End, p.Start
		if p.From == p.To {
			continue
		}
		first, last := text.Elements[p.From], text.Elements[p.To-1]
		if p.Start < first.Start || p.Start >= first.End || p.End <= last.Start || p.End > last.End {
			t.Fatalf("passage %d is not of its elements: %+v", i, p)
		}
		if p.PageFrom != first.Page || p.PageTo != last.Page || !cmp.Equal(p.HeadingPath, last.HeadingPath) {
			t.Fatalf("passage %d stands elsewhere: %+v, %+v", i, p, last)
		}
		body := false
		for _, e := range text.Elements[p.From:p.To] {
			if e.Kind == extract.Heading && body {
				t.Fatalf("passage %d crosses a heading: %q", i, p.Text)
			}
			body = body || e.Kind != extract.Heading
		}
		if i > 0 && p.Start < got[i-1].End && !cmp.Equal(p.HeadingPath, got[i-1].HeadingPath) {
			t.Fatalf("passage %d overlaps another section", i)
		}
	}
	cover(len(text.Content))
	if again := chunk.Passages(text); !cmp.Equal(again, got) {
		t.Fatalf("two runs gave two results")
	}
}

func TestPassagesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { check(t, document(t)) })
}

func FuzzPassages(f *testing.F) {
	for _, s := range []string{"# a\n\nb. c.\n\n|a|b|\n|-|-|\n|c|d|\n", "- a\n- b\n\n```\ncode\n```", strings.Repeat("a. ", 500), "열을. 썼다"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		source, _, err := extract.Decode([]byte(in))
		if err != nil {
			return
		}
		check(t, of(t, source))
		check(t, extract.Text{Content: source})
	})
}

func TestChunkingIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("cuts some megabytes")
	}
	const n = 512 << 10
	for name, piece := range map[string]string{
		"periods": ".", "period and spaces": ". ", "abbreviations": "e.g. ", "digits": "1.", "quotes": ".\"", "footnotes": ".[^", "letters": "a", "spaces": " ",
		"blank lines": "a\n\n", "marks": "\u0301", "joiners": "\u200D", "flags": "🇰🇷", "mid letters": "a:", "Korean": "열", "brackets": ".)", "dashes": ". —", "headings": "A\n\n",
	} {
		text := ". " + strings.Repeat(piece, n/len(piece))
		kinds := []extract.Kind{extract.Paragraph, extract.Table, extract.Heading}
		for _, kind := range kinds {
			start := time.Now()
			chunk.Passages(extract.Text{Content: text, Elements: []extract.Element{{Kind: kind, End: len(text), Level: 1}}})
			if d := time.Since(start); d > 3*time.Second { // a quadratic one takes many minutes
				t.Errorf("%s as %s: %v", name, kind, d)
			}
		}
	}
}

func TestEstimateTokens(t *testing.T) {
	// Counts of the o200k vocabulary for whole pages of such text are in these bounds.
	for _, tt := range []struct {
		text string
		min  int
		max  int
	}{
		{"", 0, 0},
		{" \n\t ", 0, 0},
		{"The library used 89 MWh of electricity in 2024.", 11, 15},
		{"Die Bücherei wurde größer, wärmer und schöner.", 9, 15},
		{"도서관은 2024년에 119메가와트시의 열을 사용했다.", 18, 27},
		{"図書館は2024年に119メガワット時の熱を使った。", 18, 27},
		{"В библиотеке теплее, чем в прошлом году.", 11, 16},
		{"استخدمت المكتبة طاقة أقل من العام الماضي.", 10, 15},
		{"ห้องสมุดใช้พลังงานน้อยกว่าปีที่แล้ว", 12, 20},
		{"Η βιβλιοθήκη χρησιμοποίησε λιγότερη ενέργεια.", 14, 20},
		{"👍👍", 2, 4},
		{"1234567", 3, 3},
		{"ﷺ \u2003x\u0301 Ａ①", 4, 12},
	} {
		if n := chunk.EstimateTokens(tt.text); n < tt.min || n > tt.max {
			t.Errorf("%q: %d tokens, want %d to %d", tt.text, n, tt.min, tt.max)
		}
	}
}

func TestEstimateTokensOfParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		a, b = strings.TrimSpace(a), strings.TrimSpace(b)
		if whole, parts := chunk.EstimateTokens(a+b), chunk.EstimateTokens(a)+chunk.EstimateTokens(b); whole > parts {
			t.Fatalf("%d tokens in all, %d in parts", whole, parts)
		}
	})
}

// library is a megabyte of Markdown: reports with headings, paragraphs, lists and tables.
func library() []byte {
	report := "# Energy report 2024\n\n*First full year after the renovation.*\n\n## What was done\n\n" +
		"The library on Mill Lane was built in 1968 as a concrete frame with single-glazed window bands, a flat roof and almost no insulation. Between April 2023 and February 2024 the town renovated the whole building while the lending desk moved to the old fire station. The work had four parts:\n\n" +
		"- 24 cm of cellulose insulation on the roof and 18 cm of mineral wool on the walls\n- two air-source heat pumps of 45 kW each instead of the gas boiler from 1994\n\n## Heat\n\n" +
		"The building needed 119 MWh of heat in 2024, against 205 MWh in 2022, the last full year before the work. That is 42 percent less, and the winter of 2024 was only slightly milder: corrected for weather, the saving is 39 percent. The blower-door test shows where most of it comes from, because the air change rate at 50 pascals fell from 6.1 to 1.4 per hour.\n\n" +
		"| Year | Heat, MWh | Power, MWh |\n|---|---|---|\n| 2022 | 205 | 71 |\n| 2024 | 119 | 89 |\n\n> I used to read here in my coat. Now I **forget** to leave.\n\n"
	return []byte(strings.Repeat(report, 1+(1<<20)/len(report))[:1<<20])
}

func BenchmarkMarkdownToPassages(b *testing.B) {
	source := library()
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		text, _, err := extract.Decode(source)
		if err != nil {
			b.Fatal(err)
		}
		chunk.Passages(of(b, text))
	}
}

func BenchmarkPassages(b *testing.B) {
	text := of(b, string(library()))
	b.SetBytes(int64(len(text.Content)))
	for b.Loop() {
		chunk.Passages(text)
	}
}

func BenchmarkSentences(b *testing.B) {
	text := string(library())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		chunk.Sentences(text)
	}
}

func BenchmarkEstimateTokens(b *testing.B) {
	text := string(library())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		chunk.EstimateTokens(text)
	}
}
