package cite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/cite"
)

func TestVerifyTellsWhatIsWrong(t *testing.T) {
	const source = "The Elm Street library opened on 3 May 1968 and has 24 staff. In 2023 it cut its heating bill by 31 percent to 1.2 million euros, said Anna Kowalski. " +
		"The roof was not repaired, although the council approved 40,000 euros in March 2022. Visitors increased to 118,400."
	const korean = "중앙도서관은 1968년 5월 3일에 문을 열었다. 2023년 난방비는 31퍼센트 감소했다. 지붕은 수리하지 않았다. 방문자는 3만 5천 명이었다."
	for _, tc := range []struct {
		name, claim string
		want        []cite.Label
		reason      string
	}{
		{"word for word", "The Elm Street library opened on 3 May 1968 and has 24 staff.", []cite.Label{cite.Supported}, "word for word"},
		{"a part of it, with marks", "the **Elm Street** library opened on 3 May 1968", []cite.Label{cite.Supported}, "word for word"},
		{"other forms of numbers", "In 2023 it cut its heating bill by 31 % to 1,200,000 euros, said Anna Kowalski.", []cite.Label{cite.Supported}, ""},
		{"another date format", "The Elm Street library opened on May 3, 1968 and has twenty-four staff.", []cite.Label{cite.Supported}, ""},
		{"a wrong number", "The Elm Street library opened on 3 May 1968 and has 25 staff.", []cite.Label{cite.Contradicted, cite.Partly}, "25"},
		{"a wrong unit", "In 2023 it cut its heating bill by 31 euros to 1.2 million euros, said Anna Kowalski.", []cite.Label{cite.Contradicted, cite.Partly}, "31"},
		{"a wrong date", "The Elm Street library opened on 3 June 1968 and has 24 staff.", []cite.Label{cite.Contradicted, cite.Partly}, "3 June 1968"},
		{"a wrong name", "In 2023 it cut its heating bill by 31 percent to 1.2 million euros, said Anna Nowak.", []cite.Label{cite.Contradicted, cite.Partly}, "Nowak"},
		{"a denial dropped", "The roof was repaired, although the council approved 40,000 euros in March 2022.", []cite.Label{cite.Contradicted}, "not"},
		{"a denial added", "In 2023 it did not cut its heating bill by 31 percent to 1.2 million euros, said Anna Kowalski.", []cite.Label{cite.Contradicted}, "not"},
		{"the opposite", "Visitors decreased to 118,400.", []cite.Label{cite.Contradicted}, "opposite"},
		{"another matter", "Whales sing to each other over hundreds of kilometres.", []cite.Label{cite.Unsupported}, ""},
		{"Korean", "중앙도서관은 1968년 5월 3일에 문을 열었다.", []cite.Label{cite.Supported}, "word for word"},
		{"a Korean number", "2023년 난방비는 41퍼센트 감소했다.", []cite.Label{cite.Contradicted, cite.Partly}, "41"},
		{"a Korean number in digits", "2023년 방문자는 35,000명이었다.", []cite.Label{cite.Supported, cite.Partly}, ""},
		{"a Korean date", "중앙도서관은 1968년 6월 3일에 문을 열었다.", []cite.Label{cite.Contradicted, cite.Partly}, "6월"},
		{"a Korean name", "시립박물관은 1968년 5월 3일에 문을 열었다.", []cite.Label{cite.Contradicted, cite.Partly}, "시립박물관"},
		{"a Korean denial", "지붕은 수리했다.", []cite.Label{cite.Contradicted}, ""},
		{"the Korean opposite", "2023년 난방비는 31퍼센트 증가했다.", []cite.Label{cite.Contradicted}, "opposite"},
		{"no words", "***", []cite.Label{cite.Unsupported}, "nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := cite.Verify(tc.claim, []string{source, korean}, cite.Options{})
			ok := false
			for _, w := range tc.want {
				ok = ok || v.Label == w
			}
			if !ok || !strings.Contains(strings.Join(v.Reasons, "; "), tc.reason) || len(v.Reasons) == 0 {
				t.Errorf("%s %.2f %q missing %q %+v, want %s with %q", v.Label, v.Score, v.Reasons, v.Missing, v.Features, tc.want, tc.reason)
			}
			if v.Score < 0 || v.Score > 1 || v.Hard && v.Score >= .5 {
				t.Errorf("score %f, hard %t", v.Score, v.Hard)
			}
		})
	}
	v := cite.Verify("Visitors increased to 118,400.", []string{korean, source}, cite.Options{})
	if e := v.Evidence; e.Span != 1 || source[e.Start:e.End] != "Visitors increased to 118,400" {
		t.Errorf("evidence %+v", e)
	}
	if v := cite.Verify("It rains.", nil, cite.Options{}); v.Label != cite.Unsupported || v.Evidence.Span != -1 {
		t.Errorf("no spans: %+v", v)
	}
}

func TestClaims(t *testing.T) {
	const post = "---\ntitle: A post\n---\n\n# The library\n\nThe library opened in 1968. It stands at Elm Street.\n\n- A first item\n- Who pays?\n\n" +
		"| Year | Cost |\n|---|---|\n| 2022 | 5 |\n| 2023 | 6 |\n\n```\ncode is no claim\n```\n\n\"The roof leaks whenever it rains\", she said. I think it is old.\n\n" +
		"A heat pump is a machine that moves heat. 도서관은 1968년에 열었다. 이 글에서는 도서관을 살펴본다.\n\n---\n"
	type claim struct {
		Text  string
		Kind  cite.Sort
		Needs bool
	}
	var got []claim
	for _, c := range cite.Claims(post) {
		if post[c.Start:c.End] != c.Text {
			t.Errorf("%q stands at %d:%d as %q", c.Text, c.Start, c.End, post[c.Start:c.End])
		}
		got = append(got, claim{c.Text, c.Kind, c.NeedsCite})
	}
	want := []claim{
		{"The library opened in 1968.", cite.Number, true}, {"It stands at Elm Street.", cite.Fact, true}, {"A first item", cite.Fact, true}, {"Who pays?", cite.Transition, false},
		{"| 2022 | 5 |", cite.Number, true}, {"| 2023 | 6 |", cite.Number, true},
		{"\"The roof leaks whenever it rains\", she said.", cite.Quote, true}, {"I think it is old.", cite.Opinion, false},
		{"A heat pump is a machine that moves heat.", cite.Definition, true}, {"도서관은 1968년에 열었다.", cite.Number, true}, {"이 글에서는 도서관을 살펴본다.", cite.Transition, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAttach(t *testing.T) {
	pool := func(texts ...string) *cite.Pool {
		var list []cite.Passage
		for i, s := range texts {
			list = append(list, cite.Passage{ID: string(rune('a' + i)), Text: s})
		}
		return cite.NewPool(list)
	}
	section := pool("The heating bill fell by 31 percent.", "The library has 24 staff.")
	all := pool("The heating bill fell by 31 percent.", "The library has 24 staff.", "The roof garden was planted with thyme and sedum.")
	ids := func(list []cite.Candidate) (s string) {
		for _, c := range list {
			s += c.ID
		}
		return s
	}
	if got := cite.Attach("Heating bills fell 31 percent.", section, all); ids(got) != "a" || got[0].Far {
		t.Errorf("near: %+v", got)
	}
	if got := cite.Attach("The library's 24 staff saw the heating bill fall by 31 percent.", section, all); ids(got) != "ab" {
		t.Errorf("two together: %+v", got)
	}
	if got := cite.Attach("Thyme grows in the roof garden.", section, all); ids(got) != "c" || !got[0].Far {
		t.Errorf("far: %+v", got)
	}
	if got := cite.Attach("Whales sing to each other.", section, all); got != nil {
		t.Errorf("unsupported: %+v", got)
	}
	if got := cite.Attach("...", nil, all); got != nil {
		t.Errorf("nothing said: %+v", got)
	}
}
