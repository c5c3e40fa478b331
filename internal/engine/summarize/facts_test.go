package summarize_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/summarize"
)

// factSets are folders of sources below testdata; of each, testdata/facts/NAME.facts lists what a good post of them holds:
// a line "kind: words + words", where all words stand in one unit of that kind.
var factSets = []struct{ name, folder string }{
	{"pool", "facts/pool"}, {"travel", "facts/travel"}, {"workshop", "facts/workshop"}, {"spec", "facts/spec"}, {"centre", "facts/centre"},
	{"meeting", "facts/meeting"}, {"queue", "queue"}, {"examples", "../../../../examples"},
}

// What posts must hold of all facts: at the default length, at half of it, and for an outline among all sources, where most
// units must also come from the right ones.
const (
	factShare  = 0.9
	halfShare  = 0.75
	amongShare = 0.85
	ownShare   = 0.9
)

// folder reads the texts of a folder below testdata, in the order of their names.
func folder(t testing.TB, name string) []summarize.Source {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []summarize.Source
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".md" && ext != ".txt" {
			continue
		}
		b, err := os.ReadFile(filepath.Join("testdata", name, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, source(t, e.Name(), string(b)))
	}
	return out
}

// fact is a line of a .facts file.
type fact struct {
	kind, line string
	words      []string
}

func facts(t testing.TB, set string) []fact {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "facts", set+".facts"))
	if err != nil {
		t.Fatal(err)
	}
	var out []fact
	for line := range strings.Lines(string(b)) {
		kind, words, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out = append(out, fact{kind, line, strings.Split(words, " + ")})
	}
	return out
}

// in tells whether one of the units holds all words of a fact.
func (f fact) in(s *summarize.Survey, units []int) bool {
	return slices.ContainsFunc(units, func(id int) bool {
		quote := strings.Join(strings.Fields(s.Quote(id)), " ")
		return !slices.ContainsFunc(f.words, func(w string) bool { return !strings.Contains(quote, w) })
	})
}

// unitsOf are the units in the sections of a post.
func unitsOf(p summarize.Post) (out []int) {
	for _, sec := range p.Sections {
		out = append(out, sec.Units...)
	}
	return out
}

// Posts hold most of what matters in their sources, and most of that stands in tables and lists. In half the words there is still
// more than half of it.
func TestFacts(t *testing.T) {
	for words, share := range map[int]float64{summarize.DefaultWords: factShare, summarize.DefaultWords / 2: halfShare} {
		all, found := 0, 0
		kinds := map[string][2]int{}
		for _, set := range factSets {
			s := summarize.Read(folder(t, set.folder))
			taken := unitsOf(s.Fill(s.Plan(summarize.Wish{Words: words}), nil, s.Budget(words)))
			for _, f := range facts(t, set.name) {
				all++
				n := kinds[f.kind]
				n[1]++
				if f.in(s, taken) {
					found++
					n[0]++
				} else {
					t.Logf("%d words, %s: %s", words, set.name, f.line)
				}
				kinds[f.kind] = n
			}
		}
		t.Logf("%d words: %d of %d facts, by kind %v", words, found, all, kinds)
		if float64(found) < share*float64(all) {
			t.Errorf("%d words: %d of %d facts, want %v of them", words, found, all, share)
		}
		if apart := kinds["table"][1] + kinds["item"][1]; all < 30 || 2*apart < all {
			t.Errorf("%d facts, %d of them in tables and lists: too few to say anything", all, apart)
		}
	}
}

// In a library of all sets together, an outline brings what it asks for and next to nothing of the other sets.
func TestFactsAmongOthers(t *testing.T) {
	var sources []summarize.Source
	var from []string
	for _, set := range factSets {
		for _, src := range folder(t, set.folder) {
			sources = append(sources, src)
			from = append(from, set.name)
		}
	}
	s := summarize.Read(sources)
	all, found, taken, own := 0, 0, 0, 0
	for set, outline := range map[string][]string{
		"pool":     {"Pool tickets and passes", "Who pays less for the pool", "Swimming courses for children", "Opening of the pool"},
		"travel":   {"Booking of trips", "Limits for hotels and meals", "Receipts", "Travel time and nights"},
		"workshop": {"Decisions on the fee and the band saw", "Accounts of income and expense", "Tasks", "Open day stations"},
		"spec":     {"Measured values of the sensor", "Battery life and price of the Terra 200", "Firmware 4.2", "Installation of the sensor"},
		"centre":   {"센터 이용 시간", "센터 이용 요금", "요금 감면", "악기 대여", "주차"},
		"meeting":  {"발전소별 실적", "발전 수입", "이사회 의결 사항", "앞으로의 일정"},
	} {
		p := s.Fill(s.Plan(summarize.Wish{Outline: outline}), nil, s.Budget(0))
		units := unitsOf(p)
		for _, id := range units {
			taken++
			if from[s.Units[id].Source] == set {
				own++
			} else {
				t.Logf("%s: from %s: %s", set, from[s.Units[id].Source], s.Quote(id))
			}
		}
		for _, f := range facts(t, set) {
			if all++; f.in(s, units) {
				found++
			} else {
				t.Logf("%s: missing %s", set, f.line)
			}
		}
	}
	t.Logf("%d of %d facts, %d of %d units", found, all, own, taken)
	if float64(found) < amongShare*float64(all) || float64(own) < ownShare*float64(taken) {
		t.Errorf("%d of %d facts, %d of %d units of the right sources", found, all, own, taken)
	}
}
