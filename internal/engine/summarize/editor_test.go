package summarize_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/summarize"
)

// post writes the sections of a post as plain lines: titles with "# ", then a line for each unit.
func post(s *summarize.Survey, w summarize.Wish) []string {
	var out []string
	for _, sec := range s.Fill(s.Plan(w), nil, s.Budget(w.Words)).Sections {
		out = append(out, "# "+sec.Title)
		for _, id := range sec.Units {
			out = append(out, s.Quote(id))
		}
	}
	return out
}

// What is taken makes sense where it stands: nobody is called "she" who was not named, nothing points at what is left out, and
// what only opens a thought does not end there.
func TestSentencesBringWhatTheyNeed(t *testing.T) {
	const filler = " The consumer of the queue reads all orders line by line since then, with 12 MB of memory."
	for _, c := range []struct{ name, text, topic, want string }{
		{"a person", "Ines Weber led the inquiry of the queue." + filler + " She wants limits on restarts, at two in an hour.", "restarts", "Ines Weber"},
		{"a person that was named right before", "It was a long day in the office for all. The inquiry was led by Ines Weber at noon. She wants limits on restarts.", "restarts", "The inquiry was led"},
		{"an answer without its question", "Pauline asked whether the cluster in Lyon is in use by anybody. Nobody did, so it is switched off on 30 May.", "switched off", "Pauline asked"},
		{"a time that was told before", "The warehouse raises its limit to 65 orders in June. Until then batches stay at 500 messages.", "batches", "The warehouse raises"},
		{"a sentence that opens", "The summer was different. In July the room reached 29 degrees on eleven afternoons, for want of blinds.", "summer", "The summer was different."},
		{"a list whose lead leans", "Dead letters are kept for 30 days. They can be handled in two ways:\n\n- read and thrown away\n- requeued in batches of 500", "requeued batches", "Dead letters are kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := summarize.Read([]summarize.Source{source(t, "a.txt", c.text+"\n\nMarek likes the garden of the museum very much.")})
			got := post(s, summarize.Wish{Topics: []string{c.topic}, Words: 60})
			if len(got) < 3 || !strings.HasPrefix(got[1], c.want) {
				t.Errorf("got %q, want one that begins with %q", got, c.want)
			}
		})
	}
}

func TestTitles(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"weekly.txt", "Platform weekly, 14 April 2025\n\nInes presented the incident of last Wednesday to all.", "Platform weekly, 14 April 2025"},
		{"weekly-notes.txt", "Ines presented the incident of last Wednesday.\n\nMarek objected to that.", "Weekly notes"},
		{"weekly-notes.txt", "Present:\n\nMarek objected to that.", "Weekly notes"},
		{"a.txt", "MINUTES OF THE TOWN COUNCIL\n\nMarek objected to all of that.", "Minutes of the Town Council"},
		{"a.txt", "IBM Q3\n\nMarek objected to all of that.", "IBM Q3"},
		{"a.md", "Not a title\n\nMarek objected to all of that.", "A"},
	} {
		if got := summarize.Read([]summarize.Source{source(t, c.name, c.text)}).Titles[0]; got != c.want {
			t.Errorf("%q: title %q, want %q", c.text, got, c.want)
		}
	}
}

// "Summary" says nothing below the title of another source; there it is the source's title that does.
func TestUnspecificHeadings(t *testing.T) {
	report := source(t, "report.md", "# Report on the bridge\n\n## Summary\n\n"+topics[2]+"\n\n## Costs of the bridge\n\n"+topics[3])
	bees := source(t, "bees.md", "# Bees of the orchard\n\n## Summary\n\n"+topics[0]+"\n\n## Swarms\n\n"+topics[1])
	var got []string
	for _, sec := range summarize.Read([]summarize.Source{report, bees}).Plan(summarize.Wish{}) {
		got = append(got, sec.Title)
	}
	want := []string{"Summary", "Costs of the bridge", "Bees of the orchard", "Swarms"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headings (-want +got):\n%s", diff)
	}
}

// Steps keep their numbers.
func TestNumbersOfItems(t *testing.T) {
	s := summarize.Read([]summarize.Source{
		source(t, "a.md", "To requeue safely:\n\n1. Find the cause.\n2) Not of this list.\n\n- Not numbered at all\n"),
		source(t, "b.txt", "To requeue safely:\n\n7. Find the cause.\n8. Requeue one message.\n"),
	})
	got := map[string]int{}
	for i, u := range s.Units {
		if u.Kind == summarize.Item {
			got[fmt.Sprint(u.Source, " ", s.Quote(i))] = u.Number
		}
	}
	want := map[string]int{"0 Find the cause.": 1, "0 Not of this list.": 2, "0 Not numbered at all": 0, "1 Find the cause.": 7, "1 Requeue one message.": 8}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

// What was asked for and is there never vanishes for want of space.
func TestAskedSectionsAreThere(t *testing.T) {
	var table strings.Builder
	table.WriteString("| month | swarms of the year |\n|---|---|\n")
	for i := range 60 {
		fmt.Fprintf(&table, "| %d | about %d bees in all |\n", i, i*37)
	}
	s := summarize.Read([]summarize.Source{source(t, "a.md", "# Village\n\n"+strings.Join(topics[2:], "\n\n")+"\n\nThe swarms are counted by two people, who write down each one of them.\n\n"+table.String())})
	got := post(s, summarize.Wish{Topics: []string{"swarms", "apprentices", "lorries"}, Words: 60})
	for _, want := range []string{"# Swarms", "# Apprentices", "# Lorries"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}

// Suggested tags are what a text is about: no units of measure, no words that every text has; names as they are written.
func TestTags(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Tomas Reyes used 119 MWh of heat instead of 205 MWh. Tomas Reyes counts the heat pumps twice. The heat pumps run 14 hours.", "Tomas Reyes, heat pumps"},
		{"물이 새면 밸브를 잠근다. 밸브를 열면 물이 나온다. 물을 주는 동안 밸브를 닫지 않는다.", "밸브"},
	} {
		s := summarize.Read([]summarize.Source{source(t, "a.txt", c.text)})
		if got := strings.Join(s.Phrases, ", "); got != c.want {
			t.Errorf("tags %q, want %q", got, c.want)
		}
	}
}

// No heading stands twice, whether it was asked for or comes from a source.
func TestHeadingsOnce(t *testing.T) {
	s := summarize.Read([]summarize.Source{source(t, "a.md", "# Village\n\n## Bees\n\n"+topics[0]+"\n\n## The bridge\n\n"+topics[2]+"\n")})
	for _, c := range []struct {
		wish summarize.Wish
		want []string
	}{
		{summarize.Wish{Outline: []string{"Bees", "bees ", "", "Bridge"}}, []string{"Bees", "Bridge"}},
		{summarize.Wish{Topics: []string{"bees", "BEES"}}, []string{"Bees", "The bridge"}},
	} {
		var got []string
		for _, sec := range s.Plan(c.wish) {
			got = append(got, sec.Title)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.wish, diff)
		}
	}
}
