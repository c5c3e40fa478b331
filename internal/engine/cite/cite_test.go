package cite_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/cite"
)

// prose draws texts of several scripts with all that edits look at: line breaks, hyphens, connectives, marks of Markdown.
func prose() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{
		"However,", "But", "And,", "하지만", "또한", "library", "wellknown", "well-", "42", "1.74", "도서관은", "図書館", "*heat*", "[map](map.md)",
		"<b>", "# not a heading", "a_b", "\u00ad", "é", "\n", "\n> ", "-\n", ".", "ß",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 3, 40).Draw(t, "words"), " ")
	})
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	const text = "It was cold. However, the li-\nbrary stayed open. See [the map](map.md) of *1968*."
	at := func(quote string) int { return strings.Index(text, quote) }
	const moved = "However, the li-\nbrary stayed open."
	edits := []cite.Edit{{Kind: cite.Connective, Drop: "However, t", Put: "T"}, {Kind: cite.Join, At: 15, Drop: "-\n"}}
	for _, tc := range []struct {
		name       string
		start, end int
		quote      string
		claim      string
		edits      []cite.Edit
		want       string // part of the error; empty: none
	}{
		{"word for word", 0, 12, "It was cold.", "It was cold.", nil, ""},
		{"edited", at(moved), at(moved) + len(moved), moved, "The library stayed open.", edits, ""},
		{"a link that leads nowhere", at("See"), len(text), text[at("See"):], "See the map of *1968*.",
			[]cite.Edit{{Kind: cite.Unlink, At: 4, Drop: "["}, {Kind: cite.Unlink, At: 12, Drop: "](map.md)"}}, ""},
		{"escaped", at("*1968*"), at("*1968*") + 6, "*1968*", `\*1968\*`, []cite.Edit{{Kind: cite.Escape, Put: `\`}, {Kind: cite.Escape, At: 5, Put: `\`}}, ""},
		{"fenced", 0, 12, "It was cold.", "```\nIt was cold.\n```", []cite.Edit{{Kind: cite.Fence, Put: "```\n"}, {Kind: cite.Fence, At: 12, Put: "\n```"}}, ""},

		{"another quote", 0, 12, "It was warm.", "It was warm.", nil, "not what stands"},
		{"shifted", 1, 13, "It was cold.", "It was cold.", nil, "not what stands"},
		{"behind the end", 0, 1000, text, text, nil, "outside"},
		{"before the begin", -1, 12, "It was cold.", "It was cold.", nil, "outside"},
		{"nothing", 5, 5, "", "", nil, "outside"},
		{"more than is said", 0, 12, "It was cold.", "It was very cold.", nil, "not its quote"},
		{"an edit that is not told", at(moved), at(moved) + len(moved), moved, "The library stayed open.", edits[:1], "not its quote"},
		{"an edit of no known kind", 0, 12, "It was cold.", "It was warm.", []cite.Edit{{Kind: "typo", At: 7, Drop: "cold", Put: "warm"}}, "may not"},
		{"a word dropped as if it were a connective", 0, 12, "It was cold.", "Was cold.", []cite.Edit{{Kind: cite.Connective, Drop: "It w", Put: "W"}}, "may not"},
		{"a connective in the midst", 0, 20, text[:20], "It was cold. ", []cite.Edit{{Kind: cite.Connective, At: 13, Drop: "However"}}, "may not"},
		{"a connective that becomes a word", at(moved), at(moved) + len(moved), moved, "Nobody he li-\nbrary stayed open.",
			[]cite.Edit{{Kind: cite.Connective, Drop: "However, t", Put: "Nobody "}}, "may not"},
		{"a word put where lines join", at(moved), at(moved) + len(moved), moved, "However, the linotbrary stayed open.",
			[]cite.Edit{{Kind: cite.Join, At: 15, Drop: "-\n", Put: "not"}}, "may not"},
		{"a word dropped where lines join", at(moved), at(moved) + len(moved), moved, "However, the stayed open.",
			[]cite.Edit{{Kind: cite.Join, At: 13, Drop: "li-\nbrary "}}, "may not"},
		{"spaces that are no line break", 0, 12, "It was cold.", "Itwas cold.", []cite.Edit{{Kind: cite.Join, At: 2, Drop: " "}}, "may not"},
		{"a letter escaped", 0, 12, "It was cold.", `It \was cold.`, []cite.Edit{{Kind: cite.Escape, At: 3, Put: `\`}}, "may not"},
		{"an escape that puts more", at("*1968*"), at("*1968*") + 6, "*1968*", `not *1968*`, []cite.Edit{{Kind: cite.Escape, Put: "not "}}, "may not"},
		{"link words dropped", at("See"), len(text), text[at("See"):], "See of *1968*.", []cite.Edit{{Kind: cite.Unlink, At: 4, Drop: "[the map](map.md) "}}, "may not"},
		{"an address dropped with words behind it", at("See"), len(text), text[at("See"):], "See [the map.", []cite.Edit{{Kind: cite.Unlink, At: 12, Drop: "](map.md) of *1968*"}}, "may not"},
		{"a fence with words", 0, 12, "It was cold.", "```\nno\nIt was cold.", []cite.Edit{{Kind: cite.Fence, Put: "```\nno\n"}}, "may not"},
		{"edits out of order", at("*1968*"), at("*1968*") + 6, "*1968*", `\*1968\*`, []cite.Edit{{Kind: cite.Escape, At: 5, Put: `\`}, {Kind: cite.Escape, Put: `\`}}, "does not fit"},
		{"an edit behind the end", 0, 12, "It was cold.", "It was cold.", []cite.Edit{{Kind: cite.Join, At: 12, Drop: "\n", Put: " "}}, "does not fit"},
		{"an edit before the begin", 0, 12, "It was cold.", "It was cold.", []cite.Edit{{Kind: cite.Escape, At: -1, Put: `\`}}, "does not fit"},
		{"an edit far out", 0, 12, "It was cold.", "It was cold.", []cite.Edit{{Kind: cite.Escape, At: math.MaxInt, Drop: "It", Put: `\`}}, "does not fit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := cite.Check(text, tc.start, tc.end, tc.quote, tc.claim, tc.edits)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("Check: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("Check: %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// Whatever byte of a text, a quote or a claim is changed, and wherever an offset is moved to, it does not pass.
func TestCheckCatchesEveryMutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := prose().Draw(t, "text")
		start := rapid.IntRange(0, len(text)-1).Draw(t, "start")
		end := rapid.IntRange(start+1, len(text)).Draw(t, "end")
		quote := text[start:end]
		if err := cite.Check(text, start, end, quote, quote, nil); err != nil {
			t.Fatalf("its own quote: %v", err)
		}
		i := rapid.IntRange(0, len(quote)-1).Draw(t, "at")
		c := rapid.Byte().Filter(func(b byte) bool { return b != quote[i] }).Draw(t, "byte")
		other := quote[:i] + string([]byte{c}) + quote[i+1:]
		if cite.Check(text, start, end, other, other, nil) == nil {
			t.Fatal("a changed quote passes")
		}
		if cite.Check(text, start, end, quote, other, nil) == nil {
			t.Fatal("a changed claim passes")
		}
		if cite.Check(text[:start]+other+text[end:], start, end, quote, quote, nil) == nil {
			t.Fatal("a quote of a changed text passes")
		}
		from := rapid.IntRange(-3, len(text)+3).Draw(t, "from")
		to := rapid.IntRange(-3, len(text)+3).Draw(t, "to")
		inside := from >= 0 && to <= len(text) && from < to
		if err := cite.Check(text, from, to, quote, quote, nil); (err == nil) != (inside && text[from:to] == quote) {
			t.Fatalf("offsets %d:%d: %v", from, to, err)
		}
	})
}

// Whatever edits are claimed: what passes never has a word that its quote has not, figures stay as they are, and only a
// connective goes.
func TestEditsCannotChangeWhatIsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quote := prose().Draw(t, "quote")
		var edits []cite.Edit
		at := 0
		for range rapid.IntRange(0, 4).Draw(t, "edits") {
			if at >= len(quote) {
				break
			}
			from := rapid.IntRange(at, len(quote)-1).Draw(t, "from")
			to := rapid.IntRange(from, min(len(quote), from+12)).Draw(t, "to")
			edits = append(edits, cite.Edit{
				Kind: rapid.SampledFrom([]cite.Kind{cite.Connective, cite.Join, cite.Escape, cite.Unlink, cite.Fence}).Draw(t, "kind"),
				At:   from, Drop: quote[from:to], Put: rapid.SampledFrom([]string{"", " ", `\`, "T", "not ", "```\n"}).Draw(t, "put"),
			})
			at = to
		}
		claim, err := cite.Apply(quote, edits)
		if err != nil {
			t.Fatalf("Apply: %v", err)
		}
		if cite.Check(quote, 0, len(quote), quote, claim, edits) != nil {
			return
		}
		had, has := letters(quote), letters(claim)
		for _, e := range edits {
			if e.Kind == cite.Connective {
				had = had[len(letters(e.Drop))-len(letters(e.Put)):]
			}
			if e.Kind == cite.Unlink {
				had = strings.Replace(had, letters(e.Drop), "", 1)
			}
		}
		if had != has {
			t.Fatalf("%q passes as %q by %v", claim, quote, edits)
		}
	})
}

// letters are the letters and digits of a text in small letters.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 && r != '\u00ad' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

func TestUnlinkDropsMarksOnly(t *testing.T) {
	for drop, want := range map[string]bool{
		"](map.md)": true, "](a_(b).md)": true, "](<a b.md>)": true, `](map.md "The map")`: true, "](javascript:alert(1))": true, "[^1]": true, "]()": true,
		"](not a link)": false, "](a) and (b)": false, "[^a b]": false, "[1]": false, "]": false, "[a": false, "](a\nb)": false, `](a "b" c)`: false,
	} {
		if got := cite.Check(drop+".", 0, len(drop)+1, drop+".", ".", []cite.Edit{{Kind: cite.Unlink, Drop: drop}}) == nil; got != want {
			t.Errorf("dropping %q passes: %v, want %v", drop, got, want)
		}
	}
}

func TestLeadingConnective(t *testing.T) {
	for _, tc := range []struct{ quote, want string }{
		{"However, the roof leaked.", "The roof leaked."},
		{"However,\nthe roof leaked.", "The roof leaked."},
		{"And the roof leaked.", "The roof leaked."},
		{"But, élan is all.", "Élan is all."},
		{"그러나 여름에는 더웠다.", "여름에는 더웠다."},
		{"하지만, 여름에는 더웠다.", "여름에는 더웠다."},
		{"However the roof is built, it leaks.", ""}, // "however" as "in whatever way"
		{"But for the grant, the town could not have paid.", ""},
		{"So far, nobody has complained.", ""},
		{"So many people came that it closed.", ""},
		{"So that it pays, the roof is rented.", ""},
		{"And so on.", ""},
		{"Still water runs deep.", ""},
		{"Andrew came.", ""},
		{"그러나", ""},
		{"But ", ""},
	} {
		t.Run(tc.quote, func(t *testing.T) {
			e, ok := cite.LeadingConnective(tc.quote)
			if ok != (tc.want != "") {
				t.Fatalf("LeadingConnective: %v %v", e, ok)
			}
			if !ok {
				return
			}
			got, err := cite.Apply(tc.quote, []cite.Edit{e})
			if err != nil || got != tc.want {
				t.Errorf("Apply: %q, %v, want %q", got, err, tc.want)
			}
			if err := cite.Check(tc.quote, 0, len(tc.quote), tc.quote, got, []cite.Edit{e}); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestFind(t *testing.T) {
	const old = "Alpha one. The roof yields 54 MWh a year. Omega two. The roof yields 54 MWh a year. End."
	first, second := strings.Index(old, "The roof"), strings.LastIndex(old, "The roof")
	third := strings.Index(old, "Omega")
	const n = len("The roof yields 54 MWh a year.")
	type place struct {
		Start, End int
		How        cite.How
	}
	for _, tc := range []struct {
		name   string
		anchor cite.Anchor
		text   string
		want   place
	}{
		{"where it was", cite.At(old, first, first+n), old, place{first, first + n, cite.Same}},
		{"moved, of two places that with its surroundings", cite.At(old, second, second+n), "Preface. " + old, place{second + 9, second + 9 + n, cite.Moved}},
		{"moved, of two like places the nearest", cite.Anchor{Start: 30, Quote: "roof"}, "a roof, and then there is another roof", place{34, 38, cite.Moved}},
		{"other words between its surroundings", cite.At(old, third, third+10), strings.Replace(old, "Omega two.", "Omega is 2.", 1), place{third, third + 11, cite.Context}},
		{"gone", cite.At(old, first, first+n), "Something else.", place{0, 0, cite.Lost}},
		{"gone with what stood before", cite.At(old, first, first+n), "Omega two. The roof yields", place{0, 0, cite.Lost}},
		{"gone with what stood behind", cite.At(old, first, first+n), "Alpha one. Something else.", place{0, 0, cite.Lost}},
		{"gone without surroundings", cite.Anchor{Quote: "roof"}, "no cover", place{0, 0, cite.Lost}},
		{"no quote", cite.Anchor{}, old, place{0, 0, cite.Lost}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, e, how := cite.Find(tc.text, tc.anchor)
			if diff := cmp.Diff(tc.want, place{s, e, how}); diff != "" {
				t.Errorf("Find (-want +got):\n%s", diff)
			}
		})
	}
}

// However a text changes around a quote, the quote is found again where it stands, and what is found is the quote.
func TestFindFollowsQuotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := prose().Draw(t, "text")
		start := rapid.IntRange(0, len(text)-1).Draw(t, "start")
		end := rapid.IntRange(start+1, len(text)).Draw(t, "end")
		a := cite.At(text, start, end)
		if text[start:end] != a.Quote || !strings.HasSuffix(text[:start], a.Before) || !strings.HasPrefix(text[end:], a.After) {
			t.Fatalf("anchor %+v is not of its text", a)
		}
		before, after := prose().Draw(t, "before"), prose().Draw(t, "after")
		changed := before + text + after
		s, e, how := cite.Find(changed, a)
		if how != cite.Same && how != cite.Moved {
			t.Fatalf("lost: %s", how)
		}
		if changed[s:e] != a.Quote {
			t.Fatalf("found %q, want %q", changed[s:e], a.Quote)
		}
		if err := cite.Check(changed, s, e, a.Quote, a.Quote, nil); err != nil {
			t.Fatal(err)
		}
		without := strings.ReplaceAll(changed, a.Quote, "")
		if strings.Contains(without, a.Quote) {
			return
		}
		s, e, how = cite.Find(without, a)
		if how == cite.Same || how == cite.Moved {
			t.Fatalf("found %q that is not there", without[s:e])
		}
		if s < 0 || e > len(without) || s > e {
			t.Fatalf("place %d:%d of %d", s, e, len(without))
		}
	})
}
