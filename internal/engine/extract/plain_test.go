package extract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/extract"
)

func TestPlain(t *testing.T) {
	for _, tt := range []struct{ name, in, title, want string }{
		{name: "paragraphs", in: "  One\n two.\n\n \t\nThree.", want: "para \"One\\n two.\"\npara \"Three.\"\n"},
		{
			name: "title in capitals on top", in: "TOWN COUNCIL\nMinutes of March\n\nPresent: all.\n", title: "TOWN COUNCIL",
			want: "heading1 \"TOWN COUNCIL\"\npara \"Minutes of March\"\npara \"Present: all.\"\n",
		},
		{name: "capitals alone", in: "Text.\n\nRESULTS\n\nMore.", want: "para \"Text.\"\nheading1 \"RESULTS\"\npara \"More.\"\n"},
		{name: "capitals within a paragraph", in: "Text.\n\nNASA\nsays so.", want: "para \"Text.\"\npara \"NASA\\nsays so.\"\n"},
		{name: "shouting", in: "Text.\n\nSTOP IT NOW!\n\nUSA\n", want: "para \"Text.\"\npara \"STOP IT NOW!\"\npara \"USA\"\n"},
		{
			name: "underlined", in: "Energy\n======\n\nHeat\n----\nIt fell.\n", title: "Energy",
			want: "heading1 \"Energy\"\nheading2 \"Heat\"\npara \"It fell.\"\n",
		},
		{name: "a rule is no underline", in: "Hi\n" + strings.Repeat("-", 70) + "\nText", want: "para \"Hi\\n" + strings.Repeat("-", 70) + "\\nText\"\n"},
		{
			name: "numbered", in: "1 Introduction\n\nText.\n\n1.2. The scope\n\nText.\n\n1.2.3 Details\n\n3.14 is pi\n", title: "1 Introduction",
			want: "heading1 \"1 Introduction\"\npara \"Text.\"\nheading2 \"1.2. The scope\"\npara \"Text.\"\nheading3 \"1.2.3 Details\"\npara \"3.14 is pi\"\n",
		},
		{
			name: "a loose list is no row of titles", in: "1. Buy milk\n\n2. Buy bread\n\n3. Go home\n",
			want: "item \"Buy milk\"\nitem \"Buy bread\"\nitem \"Go home\"\n",
		},
		{
			name: "items", in: "Present:\n- Anna\n  Lindqvist\n- Tomas\n• Miriam\n1) first\n2) second\na) third",
			want: "para \"Present:\"\nitem \"Anna\\n  Lindqvist\"\nitem \"Tomas\"\nitem \"Miriam\"\nitem \"first\"\nitem \"second\"\nitem \"third\"\n",
		},
		{name: "a number that wrapped", in: "It was built in\n12. The end is\n3 - not more - and\n-5 degrees", want: "para \"It was built in\\n12. The end is\\n3 - not more - and\\n-5 degrees\"\n"},
		{name: "table by tabs", in: "Year\tHeat\n2022\t205\n2024\t119\n\nEnd.", want: "table \"Year\\tHeat\\n2022\\t205\\n2024\\t119\"\npara \"End.\"\n"},
		{name: "table by bars", in: "a | b\nc | d", want: "table \"a | b\\nc | d\"\n"},
		{name: "bars that differ", in: "a | b\nc", want: "para \"a | b\\nc\"\n"},
		{name: "caption", in: "Table 1: Heat by year\n\nFig. 2 shows heat.\n\n표 3. 연간 열", want: "caption \"Table 1: Heat by year\"\npara \"Fig. 2 shows heat.\"\ncaption \"표 3. 연간 열\"\n"},
		{name: "nothing", in: " \n\n", want: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c extract.Collector
			if err := extract.Plain(tt.in, &c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outline(c.Text())); diff != "" {
				t.Error(diff)
			}
			if c.Text().Title != tt.title {
				t.Errorf("title %q, want %q", c.Text().Title, tt.title)
			}
		})
	}
}

func TestIsCaption(t *testing.T) {
	for s, want := range map[string]bool{
		"Figure 3-2. The roof":               true,
		"**Table 4** Heat by year":           true,
		"Table 4 lists the heat.":            false,
		"Tabled for later: 3 things":         false,
		"Table":                              false,
		"Figure out 3: a plan":               false,
		"図 2：屋根":                             true,
		"Abb. 7 – Das Dach":                  true,
		"Fig. 1 " + strings.Repeat("x", 500): false,
	} {
		if extract.IsCaption(s) != want {
			t.Errorf("%.40q: want %v", s, want)
		}
	}
}

func TestPlainIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some megabytes")
	}
	const n = 2 << 20
	for name, piece := range map[string]string{
		"one line": "a ", "lines": "a\n", "blank lines": "\n", "items": "- a\n", "tabs": "a\tb\n", "one tab line": "\t|",
		"underlines": "===\n", "numbers": "1.1.1.1 ", "spaces": " ", "paragraphs": "A\n\n",
	} {
		text := strings.Repeat(piece, n/len(piece))
		start := time.Now()
		var c extract.Collector
		if err := extract.Plain(text, &c); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Minute { // a quadratic reading would take hours
			t.Errorf("%s: %v", name, d)
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"A\n=\n\n1. a\n2. b\n", "TITLE\n\n- a\n b\n\n1.2 Text", "a\tb\nc\td", "Table 1: x", "\u2003a\u3000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		text, _, err := extract.Decode([]byte(in))
		if err != nil {
			return
		}
		var c extract.Collector
		if err := extract.Plain(text, &c); err != nil {
			t.Fatal(err)
		}
		got := c.Text()
		if strings.TrimRight(got.Content, "\n") != strings.TrimRight(text, "\n") {
			t.Fatal("the text changed")
		}
		at := 0
		for _, e := range got.Elements {
			if e.Start < at || e.End <= e.Start || e.End > len(got.Content) {
				t.Fatalf("element %+v out of order in %q", e, got.Content)
			}
			if s := got.Content[e.Start:e.End]; strings.TrimSpace(s) != s {
				t.Fatalf("white space around %q", s)
			}
			at = e.End
		}
	})
}
