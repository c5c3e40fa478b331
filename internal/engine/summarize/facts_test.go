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

// factShare is what posts of the default length must hold of all facts.
const factShare = 0.85

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

// Posts of the default length hold most of what matters in their sources, and most of that stands in tables and lists.
func TestFacts(t *testing.T) {
	all, found := 0, 0
	kinds := map[string][2]int{}
	for _, set := range factSets {
		s := summarize.Read(folder(t, set.folder))
		var taken []int
		p := s.Fill(s.Plan(summarize.Wish{}), nil, s.Budget(0))
		for _, sec := range p.Sections {
			taken = append(taken, sec.Units...)
		}
		facts, err := os.ReadFile(filepath.Join("testdata", "facts", set.name+".facts"))
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		for line := range strings.Lines(string(facts)) {
			kind, words, _ := strings.Cut(strings.TrimSpace(line), ": ")
			parts := strings.Split(words, " + ")
			holds := slices.ContainsFunc(taken, func(id int) bool {
				quote := strings.Join(strings.Fields(s.Quote(id)), " ")
				return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(quote, p) })
			})
			all++
			n := kinds[kind]
			n[1]++
			if holds {
				found++
				n[0]++
			} else {
				missing = append(missing, line)
			}
			kinds[kind] = n
		}
		t.Logf("%s: missing\n%s", set.name, strings.Join(missing, ""))
	}
	t.Logf("%d of %d facts, by kind %v", found, all, kinds)
	if float64(found) < factShare*float64(all) {
		t.Errorf("%d of %d facts, want %v of them", found, all, factShare)
	}
	if apart := kinds["table"][1] + kinds["item"][1]; all < 30 || 2*apart < all {
		t.Errorf("%d facts, %d of them in tables and lists: too few to say anything", all, apart)
	}
}
