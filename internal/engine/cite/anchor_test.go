package cite_test

import (
	"testing"

	"byline/internal/engine/cite"
)

func TestFindWhatWasReworded(t *testing.T) {
	const old = "Intro of the report. The heating bill fell by 31 percent to 1.2 million euros in 2023. The end."
	start := len("Intro of the report. ")
	a := cite.At(old, start, len(old)-len(" The end."))
	for name, tc := range map[string]struct {
		text, want string
		how        cite.How
	}{
		"most of its words": {"All is new here. In 2023 the heating bill fell by 31 percent to 1.3 million euros. And more.", "In 2023 the heating bill fell by 31 percent to 1.3 million euros.", cite.Fuzzy},
		"few of its words":  {"All is new here. The bill was paid in 2023. And more.", "", cite.Lost},
		"nothing":           {"", "", cite.Lost},
		"between the same":  {"Intro of the report. It fell. The end.", "It fell.", cite.Context},
	} {
		from, to, how := cite.Find(tc.text, a)
		if how != tc.how || tc.text[from:to] != tc.want {
			t.Errorf("%s: %q %s, want %q %s", name, tc.text[from:to], how, tc.want, tc.how)
		}
	}
	if _, _, how := cite.Find("Two words.", cite.Anchor{Start: 40, End: 49, Quote: "two Words"}); how != cite.Lost {
		t.Errorf("too short to be guessed at: %s", how)
	}
}
