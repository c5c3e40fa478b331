package cite_test

import (
	"strings"
	"testing"

	"byline/internal/engine/cite"
)

// A pronoun gives way to words that stand right before it, in brackets, and to nothing else.
func TestPronouns(t *testing.T) {
	const before = "The delivery queue of the\nwarehouse takes orders. Ines Weber led the inquiry. 박서준 이사장은 실적을 보고했다. The gardens grew. "
	for _, c := range []struct{ name, quote, stands, want string }{
		{"it", "It replaced a file transfer.", "The delivery queue", "[The delivery queue] replaced a file transfer."},
		{"over a line's end", "It replaced a file transfer.", "The delivery queue of the warehouse", "[The delivery queue of the warehouse] replaced a file transfer."},
		{"a small letter", "It replaced a file transfer.", "the delivery queue", "[the delivery queue] replaced a file transfer."},
		{"she", "She wants limits.", "Ines Weber", "[Ines Weber] wants limits."},
		{"possessive", "Its limits are old.", "The delivery queue", "[The delivery queue's] limits are old."},
		{"possessive of a plural", "Their walls are old.", "The gardens", "[The gardens'] walls are old."},
		{"behind a connective", "However, it replaced a file transfer.", "The delivery queue", "[The delivery queue] replaced a file transfer."},
		{"behind a Korean connective", "그러나 그는 반대했다.", "박서준 이사장은", "[박서준 이사장은] 반대했다."},
		{"Korean", "그는 반대했다.", "박서준 이사장은", "[박서준 이사장은] 반대했다."},
		{"no pronoun", "Marek wants limits.", "Ines Weber", ""},
		{"only a pronoun", "It", "Ines Weber", ""},
		{"a mark of Markdown", "It is old.", "The *queue*", ""},
		{"a single letter", "It is old.", "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			edits, ok := cite.Resolve(c.quote, c.stands)
			if ok != (c.want != "") {
				t.Fatalf("ok is %v", ok)
			}
			if !ok {
				return
			}
			text := before + c.quote
			if err := cite.Check(text, len(before), len(text), c.quote, c.want, edits); err != nil {
				t.Error(err)
			}
		})
	}
	for _, c := range []struct {
		name, quote string
		edit        cite.Edit
	}{
		{"words that are not there", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It", Put: "[The mayor]"}},
		{"half a word", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It", Put: "[The deliver]"}},
		{"no brackets", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It", Put: "The delivery queue"}},
		{"empty brackets", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It", Put: "[]"}},
		{"a pronoun in the midst", "Then it is old.", cite.Edit{Kind: cite.Pronoun, At: 5, Drop: "it", Put: "[The delivery queue]"}},
		{"more than the pronoun", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It is", Put: "[The delivery queue]"}},
		{"another word", "Marek is old.", cite.Edit{Kind: cite.Pronoun, Drop: "Marek", Put: "[Ines Weber]"}},
		{"a possessive without its s", "Its roof is old.", cite.Edit{Kind: cite.Pronoun, Drop: "Its", Put: "[The delivery queue]"}},
		{"a link", "It is old.", cite.Edit{Kind: cite.Pronoun, Drop: "It", Put: "[The queue](x)]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			claim, err := cite.Apply(c.quote, []cite.Edit{c.edit})
			if err != nil {
				t.Fatal(err)
			}
			text := before + c.quote
			if err := cite.Check(text, len(before), len(text), c.quote, claim, []cite.Edit{c.edit}); err == nil || !strings.Contains(err.Error(), "may not") {
				t.Errorf("error %v", err)
			}
		})
	}
	far := "The mayor came. " + strings.Repeat("시장이 왔다. ", 200)
	edits, _ := cite.Resolve("He left early.", "The mayor")
	if err := cite.Check(far+"He left early.", len(far), len(far)+14, "He left early.", "[The mayor] left early.", edits); err == nil {
		t.Error("a name from far away passes")
	}
}

// Whatever is put for a pronoun, only words that stand right before it pass, in brackets.
func FuzzResolve(f *testing.F) {
	f.Add("The queue is old. ", "It is slow.", "The queue")
	f.Add("박서준 이사장은 왔다. ", "그러나 그는 갔다.", "박서준 이사장은")
	f.Add("The gardens grew.\n", "However, their walls fell.", "The gardens")
	f.Fuzz(func(t *testing.T, before, quote, name string) {
		edits, ok := cite.Resolve(quote, name)
		if !ok || quote == "" {
			return
		}
		claim, err := cite.Apply(quote, edits)
		if err != nil {
			t.Fatal(err)
		}
		text := before + quote
		err = cite.Check(text, len(before), len(text), quote, claim, edits)
		stands := strings.Contains(strings.ToLower(strings.Join(strings.Fields(before), " ")), strings.ToLower(name))
		if err == nil && !stands {
			t.Fatalf("%q passes for %q behind %q", claim, quote, before)
		}
	})
}
