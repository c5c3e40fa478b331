package cite_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/engine/cite"
)

const text = "However, the roof was re-\nnewed in 2023. It cost *much* [more](plan.md) than\n> planned. 그러나 비용은 줄었다.\n"

func TestCheck(t *testing.T) {
	roof := strings.Index(text, " It cost")
	for _, c := range []struct {
		name   string
		quote  string
		claim  string
		edits  []cite.Edit
		refuse string // part of the error
	}{
		{"word for word", "the roof was re-\nnewed in 2023.", "the roof was re-\nnewed in 2023.", nil, ""},
		{"all edits", text[:roof], "The roof was renewed in 2023.", []cite.Edit{{Kind: cite.Connective, Drop: "However, t", Put: "T"}, {Kind: cite.Join, At: 24, Drop: "-\n"}}, ""},
		{"a line break becomes a space", "than\n> planned.", "than planned.", []cite.Edit{{Kind: cite.Join, At: 4, Drop: "\n> ", Put: " "}}, ""},
		{"a mark is escaped", "*much*", `\*much\*`, []cite.Edit{{Kind: cite.Escape, Put: `\`}, {Kind: cite.Escape, At: 5, Put: `\`}}, ""},
		{"a link is taken out", "[more](plan.md)", "more", []cite.Edit{{Kind: cite.Unlink, Drop: "["}, {Kind: cite.Unlink, At: 5, Drop: "](plan.md)"}}, ""},
		{"a fence", "planned.", "```\nplanned.\n```", []cite.Edit{{Kind: cite.Fence, Put: "```\n"}, {Kind: cite.Fence, At: 8, Put: "\n```"}}, ""},
		{"a Korean connective", "그러나 비용은 줄었다.", "비용은 줄었다.", []cite.Edit{{Kind: cite.Connective, Drop: "그러나 "}}, ""},
		{"another claim", "It cost", "It costs", nil, "not its quote"},
		{"a join that drops a word", "than\n> planned.", "than.", []cite.Edit{{Kind: cite.Join, At: 4, Drop: "\n> planned"}}, "may not"},
		{"a connective that is none", "It cost", "Cost", []cite.Edit{{Kind: cite.Connective, Drop: "It c", Put: "C"}}, "may not"},
		{"a connective in the midst", "roof However, the", "roof the", []cite.Edit{{Kind: cite.Connective, At: 5, Drop: "However, "}}, "not what stands"},
		{"an edit that puts a word", "It cost", "It never cost", []cite.Edit{{Kind: cite.Escape, At: 3, Put: "never "}}, "may not"},
		{"an escape before a letter", "cost", `\cost`, []cite.Edit{{Kind: cite.Escape, Put: `\`}}, "may not"},
		{"an unlink that drops words", "more](plan.md) than", "more", []cite.Edit{{Kind: cite.Unlink, At: 4, Drop: "](plan.md) than"}}, "may not"},
		{"an unknown kind", "cost", "", []cite.Edit{{Kind: "rewrite", Drop: "cost"}}, "may not"},
		{"edits out of order", "*much*", `\*much\*`, []cite.Edit{{Kind: cite.Escape, At: 5, Put: `\`}, {Kind: cite.Escape, Put: `\`}}, "does not fit"},
		{"an edit behind the end", "than\n> planned.", "than planned.", []cite.Edit{{Kind: cite.Join, At: 40, Drop: "\n", Put: " "}}, "does not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := max(0, strings.Index(text, c.quote))
			err := cite.Check(text, start, start+len(c.quote), c.quote, c.claim, c.edits)
			if c.refuse == "" && err != nil {
				t.Error(err)
			}
			if c.refuse != "" && (err == nil || !strings.Contains(err.Error(), c.refuse)) {
				t.Errorf("got %v, want an error with %q", err, c.refuse)
			}
		})
	}
	for _, span := range [][2]int{{-1, 3}, {3, 3}, {5, 2}, {0, len(text) + 1}} {
		if cite.Check(text, span[0], span[1], "", "", nil) == nil {
			t.Errorf("span %v passes", span)
		}
	}
}

// Whatever byte of a quote, a claim or an edit is changed, it is found out.
func TestEveryChangeIsCaught(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringMatching(`[a-zé가-힣 .\n]{5,60}`).Draw(t, "source")
		start := rapid.IntRange(0, len(source)-1).Draw(t, "start")
		end := rapid.IntRange(start+1, len(source)).Draw(t, "end")
		quote := source[start:end]
		if err := cite.Check(source, start, end, quote, quote, nil); err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(quote)-1).Draw(t, "at")
		other := []byte(quote)
		other[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if cite.Check(source, start, end, string(other), quote, nil) == nil {
			t.Error("a changed quote passes")
		}
		if cite.Check(source, start, end, quote, string(other), nil) == nil {
			t.Error("a changed claim passes")
		}
		if cite.Check(source, start, end, string(other), string(other), nil) == nil {
			t.Error("a changed quote passes with its claim")
		}
	})
}

func TestLeadingConnective(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"However, the roof leaks.", "The roof leaks."},
		{"As a result, 12 people left.", "12 people left."},
		{"And, the roof leaks.", "The roof leaks."},
		{"그러나 비용은 줄었다.", "비용은 줄었다."},
		{"하지만, 비용은 줄었다.", "비용은 줄었다."},
		{"Andrew left.", ""},
		{"However,", ""},
		{"The roof leaks.", ""},
	} {
		e, ok := cite.LeadingConnective(c.in)
		if !ok {
			if c.want != "" {
				t.Errorf("%q: no connective found", c.in)
			}
			continue
		}
		got, err := cite.Apply(c.in, []cite.Edit{e})
		if err != nil || got != c.want {
			t.Errorf("%q: got %q, %v", c.in, got, err)
		}
		if err := cite.Check(c.in, 0, len(c.in), c.in, c.want, []cite.Edit{e}); err != nil {
			t.Errorf("%q: %v", c.in, err)
		}
	}
}

func TestFind(t *testing.T) {
	const old = "The roof was renewed in 2023. The windows cost 85,000 euros. The roof holds."
	at := func(quote string) cite.Anchor {
		i := strings.Index(old, quote)
		return cite.At(old, i, i+len(quote))
	}
	last := strings.LastIndex(old, "The roof")
	for _, c := range []struct {
		name   string
		anchor cite.Anchor
		text   string
		how    cite.How
		want   string
	}{
		{"unchanged", at("The windows cost 85,000 euros."), old, cite.Same, "The windows cost 85,000 euros."},
		{"moved", at("The windows cost 85,000 euros."), "Foreword. " + old, cite.Moved, "The windows cost 85,000 euros."},
		{"the one with the same surroundings", cite.At(old, last, last+8), "New. " + old, cite.Moved, "The roof"},
		{"other words between the same surroundings", at("The windows cost 85,000 euros."), strings.Replace(old, "85,000", "91,000", 1), cite.Context, "The windows cost 91,000 euros."},
		{"gone", at("The windows cost 85,000 euros."), "Nothing of it is left.", cite.Lost, ""},
		{"cut off behind", at("The windows cost 85,000 euros."), "The roof was renewed in 2023. And then nothing.", cite.Lost, ""},
		{"without surroundings", cite.At(old, 0, len(old)), "Nothing.", cite.Lost, ""},
		{"empty", cite.Anchor{}, old, cite.Lost, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			start, end, how := cite.Find(c.text, c.anchor)
			if how != c.how || c.text[start:end] != c.want {
				t.Errorf("got %s %q, want %s %q", how, c.text[start:end], c.how, c.want)
			}
		})
	}
	if s, _, _ := cite.Find("New. "+old, cite.At(old, last, last+8)); s != last+5 {
		t.Errorf("found at %d, want %d", s, last+5)
	}
}

// An anchor is found in its own text, and wherever its quote stands.
func TestFindProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringMatching(`[ab가 ]{1,40}`).Draw(t, "source")
		start := rapid.IntRange(0, len(source)-1).Draw(t, "start")
		end := rapid.IntRange(start+1, len(source)).Draw(t, "end")
		a := cite.At(source, start, end)
		if s, e, how := cite.Find(source, a); s != start || e != end || how != cite.Same {
			t.Fatalf("got %d:%d %s", s, e, how)
		}
		other := rapid.StringMatching(`[ab가 ]{0,40}`).Draw(t, "other")
		s, e, how := cite.Find(other, a)
		if how != cite.Context && how != cite.Lost && other[s:e] != a.Quote {
			t.Fatalf("%s: found %q, want %q", how, other[s:e], a.Quote)
		}
		if strings.Contains(other, a.Quote) && (how == cite.Lost || how == cite.Context) {
			t.Fatal("a quote that is there was not found")
		}
	})
}
