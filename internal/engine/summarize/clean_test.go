package summarize_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/summarize"
)

// quotes are all units of some sources.
func quotes(sources ...summarize.Source) []string {
	s := summarize.Read(sources)
	var out []string
	for i := range s.Units {
		out = append(out, s.Quote(i))
	}
	return out
}

// paged is a text of elements on pages, as the PDF engine gives them.
func paged(elements ...extract.Element) func(...string) summarize.Source {
	return func(texts ...string) summarize.Source {
		var src summarize.Source
		for i, t := range texts {
			e := elements[i]
			e.Start = len(src.Text.Content)
			src.Text.Content += t
			e.End = len(src.Text.Content)
			src.Text.Content += "\n\n"
			src.Text.Elements = append(src.Text.Elements, e)
		}
		src.Text.Pages = []extract.Page{{Number: 1, End: len(src.Text.Content)}}
		src.Name = "manual.pdf"
		return src
	}
}

// What belongs to the form of a document is no part of what it says.
func TestFormIsLeftOut(t *testing.T) {
	item, para := extract.Element{Kind: extract.Item}, extract.Element{Kind: extract.Paragraph}
	for _, c := range []struct {
		name string
		src  summarize.Source
		want []string
	}{
		{"contents", paged(item, item, item, item, para)("1 Introduction 1", "2 Use of the pump 4", "2.1 Parts. . . . . . 4", "Concept Index 32", "The pump moves 40 litres of water in a minute."), []string{"The pump moves 40 litres of water in a minute."}},
		{"contents in one paragraph", paged(para, para)("Introduction ..... 1\nParts ..... 4\nIndex ..... 9", "The pump moves 40 litres of water in a minute."), []string{"The pump moves 40 litres of water in a minute."}},
		{"an index", paged(item, item, item, item, item, para)("valve 4", "pump 2", "oil 3", "rotor 1", "axis 2", "The pump moves 40 litres of water in a minute."), []string{"The pump moves 40 litres of water in a minute."}},
		{"a list of amounts", source(t, "a.md", "- bread 4\n- milk 2\n- eggs 12\n"), []string{"bread 4", "milk 2", "eggs 12"}},
		{"bullets", paged(item, item)("• A quiet pump.", "▪ ■ A loud pump."), []string{"A quiet pump.", "A loud pump."}},
		{"an item cut off by the page", paged(item, item)("The valve is closed before the pump, and there should not be a", "The valve is closed."), []string{"The valve is closed."}},
		{"scraps of code", paged(item)("* ider, int ider_len, int * end)"), nil},
		{"pointers to pages", paged(item, item)("Cleaning of the pump, page 22,", "Cleaning takes a day."), []string{"Cleaning takes a day."}},
		{"letters", source(t, "a.txt", "Dear colleagues,\n\nThe pump was repaired on Monday by us all.\n\nKind regards, your board of the house."), []string{"The pump was repaired on Monday by us all."}},
		{"notices", source(t, "a.txt", "Copyright 2025 by Example Ltd of London. The pump was repaired on Monday by us all. Permission is granted to copy this text for all. 이 글의 무단 전재와 배포를 금합니다. We accept cookies by our policy for you."), []string{"The pump was repaired on Monday by us all."}},
		{"a dateline", source(t, "a.txt", "Notes of the house\n\n2025년 4월, 안내 데스크에서 정리함\n\nThe pump was repaired on Monday by us all."), []string{"The pump was repaired on Monday by us all."}},
		{"a Korean greeting", source(t, "a.txt", "안녕하세요.\n\n펌프는 월요일에 모두 고쳤습니다.\n\n감사합니다."), []string{"펌프는 월요일에 모두 고쳤습니다."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, quotes(c.src)); diff != "" {
				t.Errorf("units (-want +got):\n%s", diff)
			}
		})
	}
}

// A plain text says by its lines what is a heading and what a table.
func TestPlainTextsHaveParts(t *testing.T) {
	const text = `TERRA 200 SOIL SENSOR

17 March 2025

The sensor measures the moisture of all soils by radio for years.

Measured values

Value            Range            Accuracy
Moisture         0 to 60 %        2 %
Temperature      -20 to 60 C      0.3 C

How long does the battery last?

The battery lasts seven years when a value is sent each hour.

Parts of the box

The box holds the sensor, a card with its key, and a short guide.`
	s := summarize.Read([]summarize.Source{source(t, "a.txt", text)})
	var got []string
	for _, sec := range s.Fill(s.Plan(summarize.Wish{}), nil, s.Budget(0)).Sections {
		for _, id := range sec.Units {
			got = append(got, fmt.Sprintf("%s: %s %.12s", sec.Title, s.Units[id].Kind, s.Quote(id)))
		}
	}
	want := []string{
		"Terra 200 Soil Sensor: sentence The sensor m", "Measured values: table Value       ", "How long does the battery last?: sentence The battery ",
		"Parts of the box: sentence The box hold",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if s.Title() != "Terra 200 Soil Sensor" {
		t.Errorf("title %q", s.Title())
	}
	for _, c := range []struct{ name, text, want string }{
		{"a date that looks like a heading", "Letter of the works council to all\n\n17 January 2025\n\nThe policy is in force since the first of January.", "Letter of the works council to all"},
		{"a Korean date", "마을 소식지 봄호\n\n2025년 3월 1일 (토)\n\n마을에 새 도서관이 문을 열었다고 한다.", "마을 소식지 봄호"},
	} {
		if got := summarize.Read([]summarize.Source{source(t, "a.txt", c.text)}).Titles[0]; got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// Numbers of headings stay with their source; numbers that say something stay.
func TestHeadingsWithoutNumbers(t *testing.T) {
	body := "\n\nThe pump moves 40 litres of water in a minute, and the valve lets 12 of them pass.\n\n"
	for heading, want := range map[string]string{
		"1. Booking": "Booking", "2.1 Booking of trips": "Booking of trips", "3 Booking": "Booking", "IV. Booking": "Booking", "제3장 예약": "예약", "Chapter 4: booking": "Booking",
		"2024 in figures": "2024 in figures", "3D printing": "3D printing", "5 a day": "5 a day", "1.": "1.",
	} {
		text := "# Trips\n\n## " + heading + body
		if heading == "3 Booking" {
			text = "# Trips\n\n## 1 Scope" + body + "## 2 Terms" + body + "## 3 Booking" + strings.ReplaceAll(body, "pump", "train")
		}
		var got []string
		for _, sec := range summarize.Read([]summarize.Source{source(t, "a.md", text)}).Plan(summarize.Wish{}) {
			got = append(got, sec.Title)
		}
		if !slices.Contains(got, want) {
			t.Errorf("%q becomes %q, want %q", heading, got, want)
		}
	}
}

// A heading with most of the text below it gives way to those below it.
func TestDeepHeadings(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Manual\n\n## Start\n\nThe start of the engine takes two people and one key.\n\n## Use\n\n")
	for i, p := range topics {
		fmt.Fprintf(&b, "### Part %c\n\n%s\n\n%s\n\n", 'K'+i, p, strings.ReplaceAll(p, "the", "each"))
	}
	var got []string
	for _, sec := range summarize.Read([]summarize.Source{source(t, "a.md", b.String())}).Plan(summarize.Wish{Words: 2000}) {
		got = append(got, sec.Title)
	}
	if want := []string{"Start", "Part K", "Part L", "Part M", "Part N", "Part O", "Part P"}; !cmp.Equal(want, got) {
		t.Errorf("headings %q, want %q", got, want)
	}
}

// A pronoun is resolved only where the subject right before it is clear, and its edit passes the check of citations.
func TestPronounsAreResolved(t *testing.T) {
	for _, c := range []struct{ before, quote, want string }{
		{"The delivery queue of the shop is a service of the warehouse.", "It replaced a nightly file transfer in 2022.", "[The delivery queue of the shop] replaced a nightly file transfer in 2022."},
		{"The delivery queue is a service of the warehouse.", "However, its limits have been raised twice since then.", "[The delivery queue's] limits have been raised twice since then."},
		{"The gardens have been open to visitors since spring.", "They cost the town 12,000 euros in a year.", "[The gardens] cost the town 12,000 euros in a year."},
		{"Ines Weber led the inquiry of last week.", "She wants limits on restarts, at two in an hour.", "[Ines Weber] wants limits on restarts, at two in an hour."},
		{"박서준 이사장은 4월까지의 실적을 보고했다.", "그는 봄에 맑은 날이 많았다고 설명했다.", "[박서준 이사장은] 봄에 맑은 날이 많았다고 설명했다."},
		{"조합의 직원들은 발전소를 매주 점검한다.", "그러나 그들은 밤에는 일하지 않는다고 한다.", "[조합의 직원들은] 밤에는 일하지 않는다고 한다."},

		{"The delivery queue is a service of the warehouse.", "It is important to know all of its limits by heart.", ""},
		{"Ines Weber told Pauline Martin about the inquiry of last week.", "She wants limits on restarts, at two in an hour.", ""},
		{"In spring the queue was moved to a new machine.", "It replaced a nightly file transfer in 2022.", ""},
		{"The queues are services of the warehouse.", "It replaced a nightly file transfer in 2022.", ""},
		{"The queue is a service of the warehouse.", "They cost the town 12,000 euros in a year.", ""},
		{"The council that met on Monday is new.", "It replaced a nightly file transfer in 2022.", ""},
		{"발전소는 지난달에 점검을 받았다.", "그는 봄에 맑은 날이 많았다고 설명했다.", ""},
		{"박서준 이사장은 실적을 보고했다.", "그들은 밤에는 일하지 않는다고 한다.", ""},
		{"Was the queue a service of the warehouse?", "It replaced a nightly file transfer in 2022.", ""},
	} {
		s := summarize.Read([]summarize.Source{source(t, "a.txt", c.before+" "+c.quote+" The mayor of the town has met Pauline Martin and Ines Weber.")})
		text, edits := s.Render(1, -1)
		if got := strings.Contains(text, "["); got != (c.want != "") || got && text != c.want {
			t.Errorf("%s: %q", c.before, text)
		}
		u := s.Units[1]
		if err := cite.Check(s.Sources[0].Text.Content, u.Start, u.End, s.Quote(1), text, edits); err != nil {
			t.Error(err)
		}
		if text, _ := s.Render(1, 0); strings.Contains(text, "[") {
			t.Errorf("resolved behind what names it: %q", text)
		}
	}
}

// Steps count on, quotes and long sentences are set apart, and a list is announced on a line of its own.
func TestMarks(t *testing.T) {
	long := "The board " + strings.Repeat("and the council of the town ", 10) + "met on Monday."
	s := summarize.Read([]summarize.Source{source(t, "a.md", "# Pump\n\n1. Find the cause of it.\n2. Repair the pump.\n4. Start it again.\n\n- A pump of steel\n\n> The best pump is none at all.\n\n"+long+"\n\nThere are two ways:\n\n- by hand\n- by foot\n")})
	id := map[string]int{}
	for i := range s.Units {
		id[s.Quote(i)] = i
	}
	one, two, four := id["Find the cause of it."], id["Repair the pump."], id["Start it again."]
	for _, c := range []struct {
		unit, before, after int
		want                string
	}{
		{one, -1, two, "1. "}, {two, one, -1, "2. "}, {two, one, four, "- "}, {four, two, -1, "- "}, {id["A pump of steel"], -1, -1, "- "},
		{id["The best pump is none at all."], -1, -1, "> "}, {id[long], -1, -1, "> "}, {id["There are two ways:"], -1, -1, ""},
	} {
		if got := s.Mark(c.unit, c.before, c.after); got != c.want {
			t.Errorf("%q has the mark %q, want %q", s.Quote(c.unit), got, c.want)
		}
	}
	if !s.Introduces(id["There are two ways:"]) || s.Introduces(one) {
		t.Error("what introduces a list is not told")
	}
}

// A summary is one or two sentences of the post as they stand in their sources, without marks.
func TestSummary(t *testing.T) {
	for _, set := range factSets {
		s := summarize.Read(folder(t, set.folder))
		p := s.Fill(s.Plan(summarize.Wish{}), nil, s.Budget(0))
		text, units := s.Summary(p)
		if len(units) == 0 || len(units) > 2 || text == "" || len([]rune(text)) > 300 {
			t.Errorf("%s: %q of %v", set.name, text, units)
		}
		for _, id := range units {
			if q := strings.Join(strings.Fields(s.Quote(id)), " "); !strings.Contains(text, q) && !strings.Contains(q, text[:8]) {
				t.Errorf("%s: %q is not in %q", set.name, q, text)
			}
		}
		t.Logf("%s: %s | %s | %s", set.name, s.Title(), text, strings.Join(s.Tags(5), ", "))
	}
	s := summarize.Read([]summarize.Source{source(t, "a.md", "- an item\n- another item\n")})
	if text, units := s.Summary(s.Fill(s.Plan(summarize.Wish{}), nil, 100)); text != "" || units != nil {
		t.Errorf("%q of %v", text, units)
	}
}

// Tags are in the language of the post first.
func TestTagsOfTwoLanguages(t *testing.T) {
	s := summarize.Read(folder(t, "facts/meeting"))
	tags := s.Tags(3)
	if len(tags) != 3 || slices.ContainsFunc(tags, func(t string) bool { return strings.ContainsAny(t, "abcdefghijklmnopqrstuvwxyz") }) {
		t.Errorf("tags %q", tags)
	}
}

// A topic gets what is about it from the sources that are about it, also in other words; a source that only mentions it stays out.
func TestFeedbackAndGate(t *testing.T) {
	heat := source(t, "heat.md", "# Heat\n\n## Heat pumps\n\nThe heat pump of the school needs a compressor and a fan. A heat pump with a worn compressor and fan is loud. The heat pump was bought in 2021 by the town.\n\n## Noise\n\nThe compressor and the fan of the school were changed in May, when the pump was loud.\n")
	other := source(t, "garden.md", "# Garden\n\n## Beds\n\nThe roses need water each day. The pump of the well is old. The beds are wide.\n")
	s := summarize.Read([]summarize.Source{heat, other})
	var got []string
	for _, sec := range s.Fill(s.Plan(summarize.Wish{Outline: []string{"heat pump"}}), nil, 200).Sections {
		for _, id := range sec.Units {
			got = append(got, s.Quote(id))
		}
	}
	if all := strings.Join(got, " "); !strings.Contains(all, "changed in May") || strings.Contains(all, "well") {
		t.Errorf("got %q", got)
	}
}
