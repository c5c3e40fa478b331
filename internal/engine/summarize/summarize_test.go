package summarize_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/engine/summarize"
)

var update = flag.Bool("update", false, "write the golden files anew")

// source reads a text as the extractors do.
func source(t interface{ Fatal(...any) }, name, text string) summarize.Source {
	var c extract.Collector
	read := extract.Plain
	if strings.HasSuffix(name, ".md") {
		read = markdown.Extract
	}
	if err := read(text, &c); err != nil {
		t.Fatal(err)
	}
	return summarize.Source{Name: name, Text: c.Text(), Markdown: strings.HasSuffix(name, ".md")}
}

func file(t *testing.T, name string) summarize.Source {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return source(t, name, string(b))
}

// show writes a post for people to compare.
func show(s *summarize.Survey, w summarize.Wish, found [][]summarize.Evidence) string {
	var b strings.Builder
	sections := s.Plan(w)
	post := s.Fill(sections, found, s.Budget(w.Words))
	fmt.Fprintf(&b, "title %s\nlanguage %s\ntags %s\n", s.Title(), s.Language, strings.Join(s.Phrases, ", "))
	for _, x := range s.Superseded {
		fmt.Fprintf(&b, "superseded %d by %d: %s %s\n", x.Source, x.By, x.Reason, x.Marker)
	}
	unit := func(id, before int) {
		u := s.Units[id]
		text, edits := s.Render(id, before)
		fmt.Fprintf(&b, "  %s %d:%d-%d p%d %q", u.Kind, u.Source, u.Start, u.End, u.Page, text)
		for _, e := range edits {
			fmt.Fprintf(&b, " [%s %d %q>%q]", e.Kind, e.At, e.Drop, e.Put)
		}
		b.WriteByte('\n')
	}
	for _, id := range post.KeyPoints {
		unit(id, -1)
	}
	for _, sec := range post.Sections {
		fmt.Fprintf(&b, "# %s (%s)\n", sec.Title, sec.Origin)
		before := -1
		for _, id := range sec.Units {
			unit(id, before)
			before = id
		}
	}
	fmt.Fprintf(&b, "gaps %q\n", post.Gaps)
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name    string
		sources []string
		wish    summarize.Wish
	}{
		{"whole", []string{"orchard.md", "orchard-2023.md", "press.txt"}, summarize.Wish{}},
		{"topics", []string{"orchard.md", "orchard-2023.md", "press.txt"}, summarize.Wish{Topics: []string{"storage of apples", "honey"}, Words: 80}},
		{"outline", []string{"press.txt", "orchard.md"}, summarize.Wish{Outline: []string{"Cleaning", "Juice", "Bees"}}},
		{"queue", []string{"queue/chat-export.txt", "queue/handbook-v1.md", "queue/handbook-v2.md", "queue/incident-2025-04.md"}, summarize.Wish{}},
		{"dead-letters", []string{"queue/chat-export.txt", "queue/handbook-v1.md", "queue/handbook-v2.md", "queue/incident-2025-04.md"}, summarize.Wish{Topics: []string{"dead letters", "restarts", "holidays"}, Words: 250}},
		{"garden", []string{"garden/accounts-2024.txt", "garden/watering.md"}, summarize.Wish{}},
		{"korean", []string{"library-ko.md"}, summarize.Wish{}},
		{"mixed", []string{"library-ko.md", "press.txt"}, summarize.Wish{Topics: []string{"난방", "press"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sources []summarize.Source
			for _, name := range c.sources {
				sources = append(sources, file(t, name))
			}
			got := show(summarize.Read(sources), c.wish, nil)
			golden := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// texts draws sources of sentences, items, headings and noise.
func texts(t *rapid.T) []summarize.Source {
	line := rapid.OneOf(
		rapid.StringMatching(`[A-Z][a-z]{2,7}( [a-z0-9*_<\[\]{}%&;~-]{2,7}){3,9}[.?!]`),
		rapid.StringMatching(`(However, |It |그러나 )[a-z]{2,7}( [a-z]{2,7}){3,9}[.]`),
		rapid.StringMatching(`[가-힣]{2,4}(은|는|이|가) [가-힣]{2,5}(을|를) [가-힣]{2,4}다\.`),
		rapid.StringMatching(`(- |> |1\. |# |## |\* )[A-Z][a-z]{2,7}( [a-z]{2,7}){1,6}`),
		rapid.StringMatching(`\| [a-z]{1,5} \| [0-9]{1,5} \|`),
		rapid.SampledFrom([]string{"", "", "```", "|---|---|", "The same sentence stands here again and again.", "re-", "All of it:"}),
		rapid.String(),
	)
	var out []summarize.Source
	for i := range rapid.IntRange(1, 3).Draw(t, "sources") {
		lines := rapid.SliceOfN(line, 1, 25).Draw(t, "lines")
		name := rapid.SampledFrom([]string{"a.md", "b.txt", "plan-2022.md", "plan-2024.txt"}).Draw(t, "name")
		out = append(out, source(t, fmt.Sprint(i, name), strings.ToValidUTF8(strings.Join(lines, "\n"), "")))
	}
	return out
}

// Whatever the sources are: each unit is inside of its source, its rendering is proven by its edits, nothing is taken twice in
// the sections, and the same input gives the same bytes.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources := texts(t)
		wish := summarize.Wish{
			Topics:  rapid.SliceOfN(rapid.StringMatching(`[a-z가-힣]{1,6}( [a-z]{1,5})?`), 0, 2).Draw(t, "topics"),
			Outline: rapid.SliceOfN(rapid.StringMatching(`[a-z가-힣]{1,6}`), 0, 2).Draw(t, "outline"),
			Words:   rapid.IntRange(0, 400).Draw(t, "words"),
		}
		s := summarize.Read(sources)
		if first, second := show(s, wish, nil), show(summarize.Read(slices.Clone(sources)), wish, nil); first != second {
			t.Fatalf("not the same twice: %s", cmp.Diff(first, second))
		}
		for id, u := range s.Units {
			content := s.Sources[u.Source].Text.Content
			for _, before := range []int{-1, id - 1} {
				text, edits := s.Render(id, before)
				if err := cite.Check(content, u.Start, u.End, s.Quote(id), text, edits); err != nil {
					t.Fatal(err)
				}
				if u.Kind != summarize.Table && u.Kind != summarize.Code && strings.Contains(text, "\n") {
					t.Fatalf("%s %q has several lines", u.Kind, text)
				}
			}
		}
		post := s.Fill(s.Plan(wish), nil, s.Budget(wish.Words))
		seen := map[int]bool{}
		for _, sec := range post.Sections {
			for _, id := range sec.Units {
				if seen[id] {
					t.Fatalf("unit %d is there twice", id)
				}
				seen[id] = true
			}
		}
		for _, id := range post.KeyPoints {
			if !seen[id] {
				t.Fatalf("key point %d is in no section", id)
			}
		}
	})
}

// The length is about what was asked for where the sources have enough.
func TestLength(t *testing.T) {
	var b strings.Builder
	nouns := strings.Fields("harbour bridge garden station council school orchard theatre market river tower mill quarry chapel museum")
	for i := range 40 {
		if i%5 == 0 {
			fmt.Fprintf(&b, "## About the %s\n\n", nouns[i/5])
		}
		for j := range 5 {
			fmt.Fprintf(&b, "The %s of the %s cost the town about %d euros in the year of number %d. ", nouns[(i+j)%15], nouns[(i*7+j*3+1)%15], 1000*i+j, i*j+3)
		}
		b.WriteString("\n\n")
	}
	s := summarize.Read([]summarize.Source{source(t, "town.md", b.String())})
	for _, words := range []int{100, 250, 600, 1200, 2200} {
		post := s.Fill(s.Plan(summarize.Wish{Words: words}), nil, s.Budget(words))
		got := 0
		for _, sec := range post.Sections {
			for _, id := range sec.Units {
				got += s.Units[id].Words
			}
		}
		for _, id := range post.KeyPoints {
			got += s.Units[id].Words
		}
		if got < words*85/100 || got > words*115/100 {
			t.Errorf("%d words asked for, got %d", words, got)
		}
	}
}

// Evidence of a search makes a topic covered that its own words would not, and puts what was found first.
func TestEvidence(t *testing.T) {
	const text = "The boiler burns oil and heats the rooms all winter. The windows let the warm air out in winter. The cellar is dry and has two doors."
	s := summarize.Read([]summarize.Source{source(t, "a.txt", text)})
	sections := s.Plan(summarize.Wish{Topics: []string{"warm air outside"}})
	if p := s.Fill(sections, nil, 100); !slices.Contains(p.Gaps, "warm air outside") {
		t.Errorf("gaps %q", p.Gaps)
	}
	at := strings.Index(text, "The windows")
	found := [][]summarize.Evidence{{{Source: 0, Start: at, End: at + 20, Score: 0.9}}}
	p := s.Fill(sections, found, 100)
	if len(p.Gaps) > 0 || s.Quote(p.Sections[0].Units[0]) != "The windows let the warm air out in winter." {
		t.Errorf("%+v", p)
	}
}

func TestSuperseded(t *testing.T) {
	body := "\n\n## Scope\n\nThe roof is renewed in the summer by two firms.\n"
	for _, c := range []struct {
		name    string
		sources map[string]string
		want    string
	}{
		{"a mark in the name", map[string]string{"a.md": "# Plan A" + body, "b-archived.md": "# Plan B" + body}, "1>-1 marked archived"},
		{"a status line", map[string]string{"a.md": "# Plan\n\n*Status: superseded, March 2022.*" + body, "b.md": "# Plan\n\nMay 2023" + body}, "0>1 marked superseded"},
		{"a Korean mark", map[string]string{"a.md": "# 계획\n\n이 문서는 폐기되었습니다." + body, "b.md": "# 계획서" + body}, "0>-1 marked 폐기되었습니다"},
		{"an older date", map[string]string{"plan-2022-03.md": "# Plan" + body, "plan-2022-11.md": "# Plan" + body}, "0>1 older "},
		{"a date in words", map[string]string{"a.md": "# Plan, 3 March 2022" + body, "b.md": "# Plan, November 5, 2022" + body}, "0>1 older "},
		{"a series", map[string]string{"minutes-2022-03.md": "# Minutes of the board" + body, "minutes-2022-11.md": "# Minutes of the board" + body}, ""},
		{"other titles", map[string]string{"a-2022.md": "# Plan of the roof" + body, "b-2023.md": "# Plan of the cellar" + body}, ""},
		{"a later version", map[string]string{"a.md": "# Travel policy (version 2)" + body, "b.md": "# Travel policy (version 10)" + body}, "0>1 older "},
		{"a later version of the year", map[string]string{"a.md": "# Handbook v1.9 of 2024" + body, "b.md": "# Handbook v1.10 of 2023" + body}, "0>1 older "},
		{"a marked version finds the one that stays", map[string]string{"a.md": "# Policy (version 2)\n\n*Outdated.*" + body, "b.md": "# Policy (version 3)" + body}, "0>1 marked outdated"},
		{"an archive is a place as well", map[string]string{"a.md": "# The archive of the town" + body, "b.md": "# The bridge" + body}, ""},
		{"archive in brackets", map[string]string{"a.md": "# Plan [archive]" + body, "b.md": "# The bridge" + body}, "0>-1 marked archive"},
		{"a Korean name", map[string]string{"이용안내-2025.md": "# 시설 이용 안내" + body, "이용안내-구버전.md": "# 시설 이용 안내 (구버전)" + body}, "1>0 marked 구버전"},
		{"before a revision", map[string]string{"a.md": "# 운영 규정\n\n개정 전 문서이며 보관용이다." + body, "b.md": "# 운영 규정\n\n2025년 3월 1일 시행" + body}, "0>1 marked 개정 전"},
		{"Korean dates", map[string]string{"a.md": "# 요금 안내\n\n2023년 3월 1일부터 적용" + body, "b.md": "# 요금 안내\n\n2025. 3. 1.부터 적용" + body}, "0>1 older "},
		{"Korean editions", map[string]string{"a.md": "# 안전 지침 제2판" + body, "b.md": "# 안전 지침 제3판" + body}, "0>1 older "},
		{"Korean revisions", map[string]string{"a.md": "# 안전 지침 (2차 개정)" + body, "b.md": "# 안전 지침 (10차 개정)" + body}, "0>1 older "},
		{"a Korean series", map[string]string{"a.md": "# 2025년 3월 회의록" + body, "b.md": "# 2025년 4월 회의록" + body}, ""},
		{"disposal is a subject", map[string]string{"a.md": "# 문서 폐기 절차" + body, "b.md": "# 폐기물 처리" + body}, ""},
		{"kept in a name", map[string]string{"규정_보관.md": "# 운영 규정" + body, "규정.md": "# 운영 규정" + body}, "1>0 marked 보관"},
		{"all are", map[string]string{"old-archived.md": "# Plan" + body}, ""},
		{"the word in running text", map[string]string{"a.txt": "The plan of the roof.\n\nThe tiles are replaced by the firm.", "b.txt": "Another text."}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sources []summarize.Source
			names := make([]string, 0, len(c.sources))
			for name := range c.sources {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				sources = append(sources, source(t, name, c.sources[name]))
			}
			got := ""
			for _, x := range summarize.Read(sources).Superseded {
				got += fmt.Sprintf("%d>%d %s %s", x.Source, x.By, x.Reason, x.Marker)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Of two copies the one of the newer source stays; other figures make another statement.
func TestCopies(t *testing.T) {
	old := source(t, "a.md", "# Roof\n\nThe roof of the library was renewed by two firms in summer. The roof cost 1000 euros in all.\n")
	fresh := source(t, "b.md", "# Cellar\n\nThe roof of the library was renewed by two firms in summer. The roof cost 2000 euros in all.\n")
	old.Created, fresh.Created = time.Unix(1, 0), time.Unix(2, 0)
	s := summarize.Read([]summarize.Source{old, fresh})
	var taken []string
	for _, sec := range s.Fill(s.Plan(summarize.Wish{}), nil, 100).Sections {
		for _, id := range sec.Units {
			taken = append(taken, fmt.Sprint(s.Units[id].Source, " ", s.Quote(id)))
		}
	}
	slices.Sort(taken)
	want := []string{"0 The roof cost 1000 euros in all.", "1 The roof cost 2000 euros in all.", "1 The roof of the library was renewed by two firms in summer."}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Error(diff)
	}
}

func TestRender(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.txt", "# 5 *stars* of [ten] <b>cost</b> a_b and c_ d | 2 * 3 &amp; `x` {{y}}.", `\# 5 \*stars\* of \[ten\] \<b>cost\</b> a_b and c\_ d \| 2 * 3 \&amp; \` + "`x\\`" + ` {\{y}}.`},
		{"b.txt", "The state-of-the-\nart roof was re-\nnewed by A-\nB in all.", "The state-of-the-art roof was renewed by A-B in all."},
		{"c.md", "The **roof** of [the hall](https://example.org) and [plan](plan.md) ![x](y.png) costs <i>much</i> <https://a.example>[^2] {% raw %}.", "The **roof** of [the hall](https://example.org) and plan x costs \\<i>much\\</i> <https://a.example> {\\% raw %}."},
		{"d.md", "The roof **cost much. And it** was 12 metres wide.", `The roof \*\*cost much.`},
		{"e.txt", "2024) the roof was renewed in that year by us.", `2024\) the roof was renewed in that year by us.`},
		{"f.txt", "지붕은 작년에\n새로 고쳤다고 한다.", "지붕은 작년에 새로 고쳤다고 한다."},
		{"g.txt", "屋根は去年\n新しくなりました。", "屋根は去年新しくなりました。"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := summarize.Read([]summarize.Source{source(t, c.name, c.text)})
			if len(s.Units) == 0 {
				t.Fatal("no unit")
			}
			if got, _ := s.Render(0, -1); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAvoid(t *testing.T) {
	s := summarize.Read([]summarize.Source{source(t, "a.txt", "The roof was renewed by two firms. The cellar was left as it is.")})
	s.Avoid([]string{"", " CELLAR was"})
	for _, sec := range s.Fill(s.Plan(summarize.Wish{}), nil, 100).Sections {
		for _, id := range sec.Units {
			if strings.Contains(s.Quote(id), "cellar") {
				t.Errorf("%q is taken", s.Quote(id))
			}
		}
	}
}

// Nothing to read is no reason to fail.
func TestNothing(t *testing.T) {
	for _, sources := range [][]summarize.Source{nil, {{}}, {source(t, "a.md", "# Only a title\n")}, {source(t, "b.txt", "\n\n")}} {
		s := summarize.Read(sources)
		if p := s.Fill(s.Plan(summarize.Wish{Topics: []string{"roof", " "}}), nil, s.Budget(0)); len(p.Sections) > 0 || len(p.Gaps) != 1 {
			t.Errorf("%+v", p)
		}
	}
}

func BenchmarkHundredPages(b *testing.B) {
	t, err := os.ReadFile("testdata/orchard.md")
	if err != nil {
		b.Fatal(err)
	}
	var long strings.Builder
	for i := range 250 { // 100 pages of about 2,500 letters
		fmt.Fprintf(&long, "%s\n", strings.ReplaceAll(string(t), "apple", fmt.Sprintf("apple%d", i)))
	}
	src := source(b, "long.md", long.String())
	b.SetBytes(int64(long.Len()))
	for b.Loop() {
		s := summarize.Read([]summarize.Source{src})
		s.Fill(s.Plan(summarize.Wish{}), nil, 600)
	}
}
