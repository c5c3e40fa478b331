package ingest_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// FuzzQuestion: whatever is asked is answered from the asker's own documents, or refused as a bad question. No text is read as
// syntax of a database or an engine. `make torture` asks a million questions.
func FuzzQuestion(f *testing.F) {
	s := openShelf(f, f.TempDir())
	x := s.spaces(&words{name: "old", dims: 8})
	own := map[string]bool{}
	for _, lines := range [][]string{
		sentences(0, 4),
		{"ERR-1042 is raised when the pump of boiler no. 7 fails; see v1.61.1 and a@b.org.", "모델은 검색 문서를 찾는다. 보일러는 겨울에 방을 따뜻하게 한다.", "Straße, naïve café, 東京タワー, ภาษาไทย."},
	} {
		own[s.add(x, lines...).ID] = true
	}
	searcher := search.New(s.Store, search.NewRouter(nil, search.NewEmbedded(s, 1<<20), search.RouterOptions{}), x)
	for _, q := range []string{
		"detail1", `' OR 1=1 --`, `"a" AND (b OR *)`, `content:*`, `{"match_all":{}}`, "보일러", "東京", "\x00\xff", "a" + strings.Repeat(" b", 900), `\`, `NEAR(a, 5)`, "v1.61.1", "<script>", "%_%",
		`;DROP TABLE document`, "\u202eabc", "🙂", `_exists_:x`, `/.*/`, `a~2 b^3 +c -d`,
	} {
		f.Add(q, uint8(0), uint8(5), uint8(0))
		f.Add(q, uint8(1), uint8(100), uint8(9))
	}
	// A workspace that nothing is in stands for everybody else's: what is in the other must not be found from here.
	const stranger = ident.Workspace("stranger")
	f.Fuzz(func(t *testing.T, text string, mode, top, rest uint8) {
		q := search.Question{
			Text: text, TopK: int(top), Mode: []search.Mode{search.Hybrid, search.Lexical, search.Semantic, "?"}[mode%4],
			Fusion: []search.Fusion{"", search.Convex, search.RRF}[rest%3], Expand: []search.Expand{"", search.ExpandNeighbours, search.ExpandSection}[rest/3%3],
			Diversity: float64(rest%5) / 4, PerDocument: int(rest % 4), Explain: rest%2 == 0,
		}
		for _, ws := range []ident.Workspace{ident.Local, stranger} {
			q.Workspace = ws
			a, err := searcher.Search(t.Context(), q)
			if err != nil {
				if k := fault.Of(err); k.Kind != fault.Invalid {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			if ws == stranger && len(a.Hits) > 0 {
				t.Fatalf("%q: a stranger finds %+v", text, a.Hits)
			}
			for _, h := range a.Hits {
				if !own[h.Passage.DocumentID] || !(h.Score >= 0 && h.Score <= 1) {
					t.Fatalf("%q: %+v", text, h)
				}
				if !slices.IsSortedFunc(h.Highlights, func(a, b search.Span) int { return a.Start - b.Start }) {
					t.Fatalf("%q: highlights %v", text, h.Highlights)
				}
				for _, m := range h.Highlights {
					if m.Start < 0 || m.Start >= m.End || m.End > len(h.Passage.Text) || !utf8.ValidString(h.Passage.Text[m.Start:m.End]) {
						t.Fatalf("%q: highlight %v of %q", text, m, h.Passage.Text)
					}
				}
			}
		}
	})
}
