package agent_test

import (
	"slices"
	"strings"
	"testing"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/engine/summarize"
	"byline/internal/ident"
)

const house = `> A box.

The introduction tells of the house.

## The roof

The roof of the house was built in 1910. It leaks in winter. Tiles cost 40 euros each.

| Tile | Price |
|---|---|
| red | 40 |

## The cellar

The cellar is dry. There are three rooms in it:

- The first room holds wine.
- The second room holds coal.
- The third room is empty.

| Room | Size |
|---|---|
| wine | 12 |

## Costs and benefits

Repairs cost 9,000 euros a year. The benefits are plain to see.

## Sources

- A source (a.md)
`

// text makes a draft of a text without sources.
func (d *desk) plain(text string) string {
	d.t.Helper()
	return d.citedFrom(d.add("heating.md", heating), heating, text)
}

// Each wish with what becomes of the draft: what is gone, and what is new. All else must stay.
func TestRevisesWithoutAModel(t *testing.T) {
	const (
		roof   = "## The roof\n\nThe roof of the house was built in 1910. It leaks in winter. Tiles cost 40 euros each.\n\n| Tile | Price |\n|---|---|\n| red | 40 |\n\n"
		cellar = "## The cellar\n\nThe cellar is dry. There are three rooms in it:\n\n- The first room holds wine.\n- The second room holds coal.\n- The third room is empty.\n\n| Room | Size |\n|---|---|\n| wine | 12 |\n\n"
		costs  = "## Costs and benefits\n\nRepairs cost 9,000 euros a year. The benefits are plain to see.\n\n"
		tile   = "| Tile | Price |\n|---|---|\n| red | 40 |\n\n"
		room   = "| Room | Size |\n|---|---|\n| wine | 12 |\n\n"
		list   = "- The first room holds wine.\n- The second room holds coal.\n- The third room is empty.\n\n"
		intro  = "The introduction tells of the house.\n\n"
	)
	swap := func(a, b string) []string { return []string{a, "\x00", b, a, "\x00", b} }
	for wish, change := range map[string][]string{ // pairs of old and new
		"drop the second table":                       {room, ""},
		"Please delete the last table, thanks!":       {room, ""},
		"remove the table in the roof section":        {tile, ""},
		"remove the table from The cellar":            {room, ""},
		"drop all tables":                             {tile, "", room, ""},
		"drop both tables":                            {tile, "", room, ""},
		"cut the list":                                {list, ""},
		"leave out the introduction":                  {intro, ""},
		"drop the section 'The roof'":                 {roof, ""},
		"drop the roof section":                       {roof, ""},
		"drop The Roof":                               {roof, ""},
		"get rid of the first section":                {roof, ""},
		"delete the last section":                     {costs, ""},
		"drop the section about costs":                {costs, ""},
		"remove the costs and benefits section":       {costs, ""},
		"drop the roof and the costs and benefits":    {roof, "", costs, ""},
		"drop the box":                                {"> A box.\n\n", ""},
		"drop the paragraph about repairs":            {"Repairs cost 9,000 euros a year. The benefits are plain to see.\n\n", ""},
		"remove the sentence \"It leaks in winter.\"": {" It leaks in winter.", ""},
		"remove the sentence about winter":            {" It leaks in winter.", ""},
		"take the list out":                           {list, ""},
		"drop the table with the price":               {tile, ""},
		"replace \"coal\" with \"potatoes\"":          {"holds coal", "holds potatoes"},
		"write ‘slates’ instead of ‘tiles’":           {"Tiles cost", "slates cost"},
		"instead of 'wine' write 'beer'":              {"holds wine", "holds beer", "| wine |", "| beer |"},
		"change 'The cellar is dry.' to 'The cellar is wet.' and drop the list": {"cellar is dry.", "cellar is wet.", list, ""},
		"move the roof section after the cellar":                                swap(roof, cellar),
		"move The cellar before the roof":                                       swap(roof, cellar),
		"move the second section to the top":                                    swap(roof, cellar),
		"put the first section below the second section":                        swap(roof, cellar),
		"swap the roof and the cellar":                                          swap(roof, cellar),
		"move the cellar to the end":                                            swap(cellar, costs),
		"두 번째 표를 삭제해 주세요":                                                       {room, ""},
		"두 번째 표는 빼 줘":                                                           {room, ""},
		"마지막 표를 지워주세요.":                                                         {room, ""},
		"모든 표를 없애 줘":                                                            {tile, "", room, ""},
		"'The roof' 섹션을 삭제해 줘":                                                  {roof, ""},
		"첫 번째 섹션 삭제":                                                            {roof, ""},
		"The cellar 절을 빼고 'coal'을 'salt'로 바꿔 줘":                                 {cellar, ""},
		"'coal'을 'salt'로 바꿔 줘":                                                  {"holds coal", "holds salt"},
		"\"wine\" 대신 \"beer\"로 써 줘":                                             {"holds wine", "holds beer", "| wine |", "| beer |"},
		"'The cellar' 섹션을 맨 앞으로 옮겨 줘":                                           swap(roof, cellar),
		"'The roof'를 'The cellar' 뒤로 옮겨 주세요":                                    swap(roof, cellar),
		"'The roof'와 'The cellar'의 순서를 바꿔 줘":                                    swap(roof, cellar),
		"목록을 삭제하고 첫 번째 표를 지워 줘":                                                 {list, "", tile, ""},
		"서론은 빼 주세요":                                                             {intro, ""},
	} {
		t.Run(wish, func(t *testing.T) {
			d := open(t)
			r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: wish})
			if r.failure.Code != "" {
				t.Fatalf("%+v", r.failure)
			}
			want := house
			if len(change) > 2 && change[1] == "\x00" {
				want = strings.Replace(house, change[0]+change[2], change[2]+change[0], 1)
			} else {
				for i := 0; i < len(change); i += 2 {
					if !strings.Contains(want, change[i]) {
						if wish == "The cellar 절을 빼고 'coal'을 'salt'로 바꿔 줘" {
							continue
						}
						t.Fatalf("%q is not in the draft", change[i])
					}
					want = strings.Replace(want, change[i], change[i+1], 1)
				}
			}
			if got := d.accept(r).Content; got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if n := r.notices(); slices.Contains(n, "needs_model") {
				t.Errorf("notices %v", n)
			}
		})
	}
}

func TestShortensWithoutAModel(t *testing.T) {
	count := func(s string) int {
		return summarize.Words(s)
	}
	whole := float64(count(house))
	for wish, want := range map[string]float64{ // words
		"shorter":                             .7 * whole,
		"make it shorter":                     .7 * whole,
		"a bit shorter":                       .85 * whole,
		"shorten it to 70 words":              70,
		"cut it down to about 70 words":       70,
		"70 words":                            70,
		"make it 70 words":                    70,
		"make it about 70 words long, please": 70,
		"in 70 words":                         70,
		"make the post 20% shorter":           .8 * whole,
		"shorten by 20 words":                 whole - 20,
		"Shorten the post by a third.":        whole * 2 / 3,
		"make it much shorter please":         .65 * whole, // each section keeps something
		"cut it by half":                      .65 * whole,
		"절반으로 줄여 줘":                           .65 * whole,
		"짧게 해 주세요":                            .7 * whole,
		"더 짧게 줄여 줘":                           .7 * whole,
		"70단어로 줄여 주세요":                        70,
		"글을 20단어 줄여 줘":                        whole - 20,
		"조금 짧게":                               .85 * whole,
		"shorter, and drop the second table":  .7 * (whole - 4),
	} {
		t.Run(wish, func(t *testing.T) {
			d := open(t)
			r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: wish})
			if r.failure.Code != "" || r.result.Hunks == 0 {
				t.Fatalf("%+v", r.failure)
			}
			v := d.accept(r)
			if n := float64(count(v.Content)); n < want*.85 || n > want*1.12 {
				t.Errorf("%.0f words of %.0f, want %.0f\n%s", n, whole, want, v.Content)
			}
			for _, heading := range []string{"> A box.", "## The roof", "## The cellar", "## Costs and benefits", "## Sources\n\n- A source (a.md)"} {
				if !strings.Contains(v.Content, heading) {
					t.Errorf("%q is gone", heading)
				}
			}
			for _, h := range r.proposal.Hunks {
				if strings.TrimSpace(h.New) != "" {
					t.Errorf("something is new: %+v", h)
				}
			}
		})
	}
	d := open(t)
	r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: "shorten the roof section"})
	for _, h := range r.proposal.Hunks {
		if h.Start < strings.Index(house, "## The roof") || h.End > strings.Index(house, "## The cellar") {
			t.Errorf("%+v is outside", h)
		}
	}
	r = d.refine(draft.Refinement{DraftID: r.proposal.DraftID, Feedback: "shorten it to 100 characters"})
	if !slices.Contains(r.notices(), "length") {
		t.Errorf("%v", r.notices())
	}
}

func TestSaysWhatItCannot(t *testing.T) {
	for wish, tc := range map[string]struct{ code, says string }{
		"make it funnier":                        {"needs_model", "“make it funnier”"},
		"Translate it into French, and sing.":    {"needs_model", "“Translate it into French”, “sing”"},
		"drop the fifth table":                   {"not_found_in_draft", "“drop the fifth table”"},
		"drop the table":                         {"not_found_in_draft", "more than once"},
		"drop the section about dragons":         {"not_found_in_draft", "dragons"},
		"replace 'dragon' with 'cat'":            {"not_found_in_draft", "dragon"},
		"move the roof before the dragons":       {"not_found_in_draft", "dragons"},
		"swap the roof and the roof":             {"not_found_in_draft", "swap"},
		"move the roof section to the top":       {"not_found_in_draft", "top"},
		"add more on the volcanoes of Iceland":   {"not_found_in_draft", "Iceland"},
		"shorten the dragon section":             {"not_found_in_draft", "dragon"},
		"drop the fifth table and make it rhyme": {"needs_model", "“make it rhyme”"},
		"재미있게 써 주세요":                             {"needs_model", "재미있게"},
		"drop this":                              {"not_found_in_draft", "drop this"},
	} {
		t.Run(wish, func(t *testing.T) {
			d := open(t)
			r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: wish})
			if r.failure.Code != tc.code || !strings.Contains(r.failure.Detail, tc.says) {
				t.Errorf("%+v %+v", r.failure, r.proposal.Hunks)
			}
		})
	}
}

// What can be done is done, and the rest is told.
func TestDoesAPart(t *testing.T) {
	d := open(t)
	r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: "Drop the second table; make it sound like a pirate."})
	if r.result.Hunks != 1 || !slices.Equal(r.notices(), []string{"needs_model"}) {
		t.Errorf("%+v %v %+v", r.result, r.notices(), r.failure)
	}
}

func TestRetitles(t *testing.T) {
	for _, wish := range []string{`change the title to "New roofs"`, `Title: New roofs`, `call it 'New roofs'`, "제목을 'New roofs'로 바꿔 줘", `change the title to New roofs, and drop the list`} {
		d := open(t)
		id := d.plain(house)
		r := d.refine(draft.Refinement{DraftID: id, Feedback: wish, Apply: true})
		got, err := d.drafts.Draft(t.Context(), ident.Local, id)
		if err != nil || got.Title != "New roofs" || r.proposal.Title.Status != draft.HunkAccepted {
			t.Errorf("%s: %q %v %+v", wish, got.Title, err, r.failure)
		}
	}
}

func TestAddsFromTheSources(t *testing.T) {
	for wish, has := range map[string][]string{
		"add more on the chairs":                {"## The chairs\n\n", "Several members asked for quieter chairs.", "\n\n## Sources"},
		"more about chairs, and drop the table": {"## Chairs\n\n", "quieter chairs"},
		"chairs에 대해 더 자세히 써 줘":                  {"quieter chairs"},
		"say more about the costs":              {"quieter"},
		"expand on the heating":                 {"quieter"},
	} {
		t.Run(wish, func(t *testing.T) {
			d := open(t)
			doc := d.add("minutes.txt", minutes)
			text := strings.Replace(short, "## Sources", "## Chairs of old\n\nNobody sits.\n\n## Sources", 1)
			r := d.refine(draft.Refinement{DraftID: d.cited(text, doc), Feedback: wish})
			if has[0] == "quieter" { // all that the sources say of it stands there already
				if r.failure.Code != "not_found_in_draft" && strings.Contains(r.proposal.Hunks[0].New, "1987") {
					t.Errorf("%+v %+v", r.failure, r.proposal.Hunks)
				}
				return
			}
			if r.failure.Code != "" {
				t.Fatalf("%+v", r.failure)
			}
			v := d.accept(r)
			for _, s := range has {
				if !strings.Contains(v.Content, s) {
					t.Errorf("no %q in\n%s", s, v.Content)
				}
			}
			for _, h := range r.proposal.Hunks {
				for _, c := range h.Citations {
					if c.Verdict.Label != draft.Supported || c.Spans[0].DocumentID != doc {
						t.Errorf("%+v", c)
					}
				}
				if h.New != "" && len(h.Citations) == 0 {
					t.Errorf("uncited: %q", h.New)
				}
			}
		})
	}
}

// A section that is there already is what more on it is added to.
func TestAddsToASection(t *testing.T) {
	d := open(t)
	doc := d.add("minutes.txt", minutes)
	text := strings.Replace(short, "## Sources", "## Chairs\n\nNobody sits.\n\n## Sources", 1)
	v := d.accept(d.refine(draft.Refinement{DraftID: d.cited(text, doc), Feedback: "more on chairs"}))
	if strings.Count(v.Content, "## Chairs") != 1 || !strings.Contains(v.Content, "Nobody sits.\n\nSeveral members asked for quieter chairs.") {
		t.Errorf("%s", v.Content)
	}
}

// A phrase that is replaced by hand is the author's; that its sources do not say it is told.
func TestReplacedPhrasesAreChecked(t *testing.T) {
	d := open(t)
	r := d.refine(draft.Refinement{DraftID: d.cited(short), Feedback: `replace "1987" with "1978"`})
	if !slices.Contains(r.notices(), "unsupported") || len(r.proposal.Hunks) != 1 {
		t.Fatalf("%v %+v", r.notices(), r.proposal)
	}
	v := d.accept(r)
	i := slices.IndexFunc(v.Citations, func(c draft.Citation) bool { return strings.Contains(c.Claim.Text, "1978") })
	if i < 0 || v.Citations[i].Verdict.Label == draft.Supported || len(v.Citations) != len(r.base.Citations) {
		t.Errorf("%+v", v.Citations)
	}
	r = d.refine(draft.Refinement{DraftID: r.proposal.DraftID, Feedback: `replace "1978" with "1987"`})
	v = d.accept(r)
	if v.Content != short || slices.Contains(r.notices(), "unsupported") || v.Citations[i].Verdict.Label != draft.Supported {
		t.Errorf("%v %+v", r.notices(), v.Citations[i])
	}
}

// A selection bounds what is done without a model, too.
func TestRevisesSelection(t *testing.T) {
	from := strings.Index(house, "## The cellar")
	to := strings.Index(house, "## Costs")
	sel := &draft.Selection{Start: from, End: to}
	for wish, code := range map[string]string{"shorter": "", "drop this": "", "drop the list": "", "replace 'coal' with 'salt'": "", "drop the roof": "not_found_in_draft", "replace 'Repairs' with 'Works'": "not_found_in_draft",
		"drop the first table": "not_found_in_draft"} {
		d := open(t)
		r := d.refine(draft.Refinement{DraftID: d.plain(house), Feedback: wish, Selection: sel})
		if r.failure.Code != code || code == "" && r.result.Hunks == 0 {
			t.Errorf("%s: %+v", wish, r.failure)
		}
		for _, h := range r.proposal.Hunks {
			if h.Start < from || h.End > to {
				t.Errorf("%s: %+v is outside", wish, h)
			}
		}
	}
	d := open(t)
	r := d.refine(draft.Refinement{DraftID: d.plain("One.\n\n\n\nTwo.\n"), Feedback: "shorter", Selection: &draft.Selection{Start: 5, End: 6}})
	if r.failure.Code != "bad_selection" {
		t.Errorf("a selection of nothing: %+v", r.failure)
	}
}

// A draft whose sources are gone can still be changed by what needs none.
func TestRevisesWithoutSources(t *testing.T) {
	d := open(t)
	id := d.plain(house)
	list, err := d.store.Named(t.Context(), ident.Local, must(d.drafts.Draft(t.Context(), ident.Local, id)).DocumentIDs)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range list {
		if _, err := d.documents.Delete(t.Context(), ident.Local, doc.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.refine(draft.Refinement{DraftID: id, Feedback: "drop the list"}); r.result.Hunks != 1 {
		t.Errorf("%+v", r.failure)
	}
	if r := d.refine(draft.Refinement{DraftID: id, Feedback: "more on heating"}); r.failure.Code != "not_found_in_draft" {
		t.Errorf("%+v", r.failure)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Parts are found by their names, in English and Korean; what is there twice, or not at all, is not guessed.
func TestPartsByName(t *testing.T) {
	for name, want := range map[string]string{ // the begin of the first block or sentence
		"the second paragraph": "The roof of the house", "the last sentence": "A source (a.md)", "the first sentence of the cellar": "The cellar is dry.", "the 2nd table": "| Room", "table": "",
		"the last list": "- The first room", "the conclusion": "", "the introduction": "The introduction tells", "the only quote": "> A box.", "the section called 'The cellar'": "## The cellar",
		"the table about the price": "| Tile", "'coal'": "The second room holds coal.", "'room'": "", "the sentence containing wine": "", "the tenth section": "", "the umpteenth table": "",
		"마지막 문장": "A source (a.md)", "The cellar의 표": "| Room", "둘째 섹션": "## The cellar", "3번째 섹션": "## Costs", "모든 인용": "> A box.", "표 전부": "| Tile", "없는 섹션": "", "the heading": "", "the": "", "": "",
	} {
		found := agent.Resolve(house, name)
		if want == "" && found != nil || want != "" && (found == nil || !strings.HasPrefix(found[0], want)) {
			t.Errorf("%q: %q, want %q", name, found, want)
		}
	}
	if got := agent.Resolve("# A\n\n## Overview\n\nx.\n\n## B\n\ny.\n\n## Conclusion\n\nz.\n", "the conclusion"); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got := agent.Resolve("# A\n\n## Introduction\n\nx.\n\n## B\n\ny.\n", "the intro"); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func FuzzOrders(f *testing.F) {
	f.Add("shorter, and drop the second table", true)
	f.Add("replace 'x and y' with \"z\"; 두 번째 표는 빼 줘 그리고 짧게", false)
	f.Add("«», “", true)
	f.Fuzz(func(t *testing.T, text string, can bool) {
		if len(text) > 300 {
			return
		}
		done, left := agent.Orders(text, can)
		if !can && done > 0 || len(left) > len(text) {
			t.Fatalf("%d done, %q left", done, left)
		}
		agent.Resolve(house, text)
		agent.Resolve(text, "the second table")
	})
}
