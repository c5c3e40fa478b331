package app_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"byline/internal/app"
	"byline/internal/cli"
	"byline/internal/config"
	"byline/internal/fault"
)

// found gives the names of the documents that a search finds, best first.
func (p *person) found(body obj) string {
	p.t.Helper()
	r := p.want(200, "POST", "/api/v1/documents/search", body)
	var names []string
	for _, h := range r.list("results") {
		names = append(names, h.(obj)["document_name"].(string))
	}
	return strings.Join(names, " ")
}

func TestSearchFilters(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	a := p.document("a.md", "# Boilers\n\nThe boiler of the library is old, and it was repaired many times in the winter.")
	b := p.document("b.txt", "The boiler boiler was sold in spring because nobody wanted to repair it any more.")
	c := p.document("c.md", "# Kessel\n\nDer Kessel der Bibliothek ist alt und wurde im Winter oft repariert, weil er nicht mehr heizte: boiler.")
	p.want(200, "PATCH", "/api/v1/documents/"+a, obj{"tags": []string{"heat"}})
	for name, tc := range map[string]struct {
		body obj
		want string
	}{
		"all":                  {obj{"query": "boiler"}, "a.md b.txt c.md"},
		"one document":         {obj{"query": "boiler", "document_ids": []string{c}}, "c.md"},
		"twice the same":       {obj{"query": "boiler", "document_ids": []string{c, c}}, "c.md"},
		"by type":              {obj{"query": "boiler", "filters": obj{"type": []string{"text"}}}, "b.txt"},
		"by tag":               {obj{"query": "boiler", "filters": obj{"tag": []string{"heat"}}}, "a.md"},
		"by language":          {obj{"query": "boiler", "filters": obj{"language": []string{"de"}}}, "c.md"},
		"by a time long ago":   {obj{"query": "boiler", "filters": obj{"to": "2001-01-01T00:00:00Z"}}, ""},
		"since long ago":       {obj{"query": "boiler", "filters": obj{"from": "2001-01-01T00:00:00Z"}}, "a.md b.txt c.md"},
		"filters are and":      {obj{"query": "boiler", "document_ids": []string{b}, "filters": obj{"tag": []string{"heat"}}}, ""},
		"another form":         {obj{"query": "boilers repairing"}, "a.md b.txt c.md"},
		"in German":            {obj{"query": "Kessel reparieren"}, "c.md"},
		"only stop words":      {obj{"query": "the of and"}, ""},
		"nothing like it":      {obj{"query": "submarine"}, ""},
		"no syntax of queries": {obj{"query": `boiler AND (NOT "x" OR *:*) -b ^2 ~`, "top_k": 3}, "a.md b.txt c.md"},
	} {
		t.Run(name, func(t *testing.T) {
			names := strings.Fields(p.found(tc.body))
			slices.Sort(names)
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
	r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler submarine", "explain": true, "top_k": 1})
	hit := r.list("results")[0].(obj)
	if score := hit["score"].(float64); score <= 0 || score >= 1 || len(hit["highlights"].([]any)) == 0 {
		t.Errorf("half of the question is found: %s", r.raw)
	}
}

// What filters leave out is told with its reasons, and counts for nothing else.
func TestSearchTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	a := p.document("a.md", "# Boilers\n\nThe boiler of the library is old, and it was repaired many times in the winter.")
	p.document("b.txt", "The boiler boiler was sold in spring because nobody wanted to repair it any more.")
	p.document("again.txt", "The boiler boiler was sold in spring because nobody wanted to repair it any more.\n\n")
	p.want(200, "PATCH", "/api/v1/documents/"+a, obj{"tags": []string{"heat"}})
	left := func(body obj) string {
		t.Helper()
		body["query"], body["explain"] = "boiler", true
		r := p.want(200, "POST", "/api/v1/documents/search", body)
		var out []string
		list, _ := r.at("filtered").([]any)
		for _, f := range list {
			out = append(out, fmt.Sprint(f.(obj)["document_name"], f.(obj)["reasons"]))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, row := range []struct {
		name string
		body obj
		want string
	}{
		{"no filter, but the same text twice", obj{}, "again.txt[same_text]"},
		{"two reasons", obj{"filters": obj{"type": []string{"text"}, "tag": []string{"cold"}}}, "a.md[type tag] again.txt[tag] b.txt[tag]"},
		{"another document", obj{"document_ids": []string{a}, "filters": obj{"language": []string{"en"}}}, "again.txt[document_ids] b.txt[document_ids]"},
		{"a day long ago", obj{"mode": "semantic", "filters": obj{"to": "2001-01-01T00:00:00Z"}}, ""},
		{"words of a day long ago", obj{"filters": obj{"to": "2001-01-01T00:00:00Z", "language": []string{"de"}}}, "a.md[language date] again.txt[language date] b.txt[language date]"},
		{"pages that none of them has", obj{"filters": obj{"page_from": 2}}, "a.md[page] again.txt[page] b.txt[page]"},
	} {
		if got := left(row.body); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
	r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler", "filters": obj{"page_from": 2}})
	if r.at("total") != 0.0 || r.at("filtered") != nil {
		t.Errorf("%s", r.raw)
	}
	r = p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler", "mode": "semantic", "explain": true, "filters": obj{"type": []string{"markdown"}}})
	if list, _ := r.at("filtered").([]any); len(list) != 2 {
		t.Errorf("by meaning: %s", r.raw)
	}
	p.want(201, "POST", "/api/v1/users", obj{"email": "b@example.com", "password": "correct horse battery"})
	q := s.anonymous()
	q.login("b@example.com")
	q.document("own.md", "# Boilers\n\nAnother boiler, of somebody else, stands in the cellar of the school.")
	r = q.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler", "explain": true, "filters": obj{"type": []string{"text"}}})
	if list, _ := r.at("filtered").([]any); len(list) != 1 || list[0].(obj)["document_name"] != "own.md" {
		t.Errorf("somebody else's: %s", r.raw)
	}
}

// What is found does not depend on how the index is laid out: before and after merges, with deletions, and with less memory
// than it needs.
func TestSearchThroughMerges(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), "BYLINE_SEARCH_MEMORY=1MiB", "BYLINE_EMBEDDER=off")
	p := s.register("owner@example.com")
	var ids []string
	for i := range 14 {
		ids = append(ids, p.document(fmt.Sprintf("d%02d.md", i), fmt.Sprintf("# Part %d\n\nThe meter of house %d counts %s of heat.", i, i, strings.Repeat("many kilowatt hours ", i+1))))
	}
	for _, id := range ids[:3] {
		p.want(200, "DELETE", "/api/v1/documents/"+id, nil)
	}
	question := obj{"query": "kilowatt hours of the meter", "top_k": 20}
	before := p.found(question)
	if strings.Count(before, ".md") != 11 || strings.Contains(before, "d00") {
		t.Fatalf("found %s", before)
	}
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if got := p.found(question); got != before {
			t.Fatalf("found %s\nbefore %s", got, before)
		}
	}
	big := strings.Builder{}
	for i := range 90_000 {
		fmt.Fprintf(&big, "Word%d stands beside number %d and name%d. ", i, i*7, i%977)
		if i%50 == 0 {
			big.WriteString("\n\n")
		}
	}
	p.document("big.md", big.String())
	r := p.want(200, "POST", "/api/v1/documents/search", question)
	if d := r.list("degraded"); len(d) != 1 || d[0] != "over_budget" {
		t.Errorf("an index over its memory: degraded %v", d)
	}
	if got := p.found(question); strings.Count(got, ".md") < 11 {
		t.Errorf("found %s", got)
	}
}

// An index that is built anew finds what it found before, and everything meanwhile.
func TestRebuildIndex(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	for i := range 5 {
		p.document(fmt.Sprintf("d%d.md", i), fmt.Sprintf("# Part %d\n\nThe meter of house %d counts kilowatt hours.", i, i))
	}
	question := obj{"query": "kilowatt hours of house 3"}
	before := p.found(question)
	indexes := func(r reply) (done, of int) {
		for _, i := range r.list("indexes") {
			done += int(i.(obj)["documents"].(float64))
			of += int(i.(obj)["of"].(float64))
		}
		return done, of
	}
	p.want(202, "POST", "/api/v1/indexes/rebuild", obj{"index": "words"})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := p.found(question); got != before {
			t.Fatalf("found %s\nbefore %s", got, before)
		}
		done, of := indexes(p.want(200, "GET", "/api/v1/indexes", nil))
		if done == of && of > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d documents", done, of)
		}
	}
	if got := p.found(question); got != before {
		t.Errorf("found %s\nbefore %s", got, before)
	}
	p.problem(409, "no_previous_space", "POST", "/api/v1/indexes/rollback", nil)
	p.problem(422, "invalid", "POST", "/api/v1/indexes/rebuild", obj{"index": "everything"})
	p.want(201, "POST", "/api/v1/users", obj{"email": "b@example.com", "password": "correct horse battery"})
	q := s.anonymous()
	q.login("b@example.com")
	q.problem(403, "admin_only", "GET", "/api/v1/indexes", nil)
	q.problem(403, "admin_only", "POST", "/api/v1/indexes/rebuild", obj{})
	q.problem(403, "admin_only", "POST", "/api/v1/indexes/rollback", nil)
}

const (
	warmth = "# Heating\n\nThe boiler of the library burns oil and keeps its rooms warm in winter. It was installed in 1987.\n\n" +
		"## Costs\n\nReplacing it by a heat pump would cost the town 120,000 euros.\n"
	music  = "# Concerts\n\nThe orchestra plays a symphony by Mahler on Friday. Tickets are sold at the door.\n"
	korean = "# 난방\n\n도서관의 보일러는 겨울에 방을 따뜻하게 유지한다. 1987년에 설치되었다.\n"
)

// What is meant is found, though no word of the question is in the text; each hit says why it stands where it stands.
func TestSearchByMeaning(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	p.document("heating.md", warmth)
	p.document("music.md", music)
	p.document("korean.md", korean)
	const meant = "How do people avoid freezing indoors?"
	if got := p.found(obj{"query": meant, "mode": "lexical"}); got != "" {
		t.Fatalf("by words: %s", got)
	}
	for _, mode := range []string{"hybrid", "semantic"} {
		if got := p.found(obj{"query": meant, "mode": mode, "top_k": 1}); got != "heating.md" {
			t.Errorf("%s: %s", mode, got)
		}
	}
	leg := func(r reply, name string) obj { return r.list("results")[0].(obj)["explain"].(obj)[name].(obj) }
	r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler in winter", "explain": true, "fusion": "rrf"})
	if l, v := leg(r, "lexical"), leg(r, "vector"); l["weight"] != .6 || v["weight"] != .4 || l["rank"] != 1.0 || v["rank"] != 1.0 || v["score"].(float64) < .3 {
		t.Errorf("%s", r.raw)
	}
	// Korean is not what the embedder knows: the words stand alone, and it is told why.
	r = p.want(200, "POST", "/api/v1/documents/search", obj{"query": "보일러 설치", "explain": true})
	if hits := r.list("results"); len(hits) != 1 || hits[0].(obj)["document_name"] != "korean.md" || leg(r, "vector")["weight"] != 0.0 || leg(r, "vector")["why"] != "unknown_words" {
		t.Errorf("%s", r.raw)
	}
	for _, body := range []obj{{"query": "submarine propulsion"}, {"query": "quarterly earnings of the bank", "mode": "semantic"}} {
		if r := p.want(200, "POST", "/api/v1/documents/search", body); r.at("evidence") != false {
			t.Errorf("%v: %s", body, r.raw)
		}
	}
	if a, b := p.found(obj{"query": "boiler", "fusion": "rrf"}), p.found(obj{"query": "boiler"}); !strings.HasPrefix(a, "heating.md") || !strings.HasPrefix(b, "heating.md") {
		t.Errorf("rrf: %s, convex: %s", a, b)
	}
	p.problem(422, "invalid", "POST", "/api/v1/documents/search", obj{"query": "x", "fusion": "cold"})
	p.problem(422, "out_of_range", "POST", "/api/v1/documents/search", obj{"query": "x", "filters": obj{"page_from": 4, "page_to": 2}})
}

// Without a kernel for the encoder the table finds by meaning, with less say; a question is moved towards what it finds first.
func TestSearchByTable(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), "BYLINE_EMBEDDER=table")
	p := s.register("owner@example.com")
	p.document("heating.md", warmth)
	p.document("music.md", music)
	p.document("korean.md", korean)
	const meant = "which concert can I hear this weekend"
	if got := p.found(obj{"query": meant, "mode": "semantic", "top_k": 1}); got != "music.md" {
		t.Errorf("by meaning: %s", got)
	}
	r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler in winter", "explain": true, "fusion": "rrf"})
	hit := r.list("results")[0].(obj)
	if leg := hit["explain"].(obj)["vector"].(obj); hit["document_name"] != "heating.md" || leg["weight"] != .4 || leg["rank"] != 1.0 {
		t.Errorf("%s", r.raw)
	}
	if r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "submarine propulsion"}); r.at("evidence") != false {
		t.Errorf("%s", r.raw)
	}
}

// A model that cannot be used says why, and what to do.
func TestUnusableModel(t *testing.T) {
	dir := t.TempDir()
	cfg, _, err := config.Load(config.Sources{Environ: []string{"BYLINE_DATA=" + t.TempDir(), "BYLINE_EMBEDDER=" + dir}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cli.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		a.Close()
	}
	if f := fault.Of(err); err == nil || f.Code != "model_unusable" || !strings.Contains(f.Say, dir) {
		t.Error(err)
	}
}

// A passage like one that stands before it makes room for another when it is asked to, by meaning or by words.
func TestSearchDiversity(t *testing.T) {
	for _, embedder := range []string{"encoder", "table", "off"} {
		t.Run(embedder, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), "BYLINE_EMBEDDER="+embedder)
			p := s.register("owner@example.com")
			p.document("a.md", "The solar panel on the roof gives power.")
			p.document("b.md", "The solar panel on the roof gives some power.")
			p.document("c.md", "A solar eclipse darkened the panel of judges for seven minutes, while everybody in the village stood and watched in silence.")
			if got := p.found(obj{"query": "solar panel", "top_k": 3, "mode": "lexical"}); strings.Fields(got)[2] != "c.md" {
				t.Errorf("by relevance: %s", got)
			}
			if got := p.found(obj{"query": "solar panel", "top_k": 2, "mode": "lexical", "diversity": .9}); strings.Fields(got)[1] != "c.md" {
				t.Errorf("diverse: %s", got)
			}
		})
	}
}

func TestSearchWithoutEmbedder(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), "BYLINE_EMBEDDER=off")
	p := s.register("owner@example.com")
	p.document("heating.md", warmth)
	p.problem(422, "semantic_unavailable", "POST", "/api/v1/documents/search", obj{"query": "warm", "mode": "semantic"})
	if got := p.found(obj{"query": "boiler"}); got != "heating.md" {
		t.Errorf("found %q", got)
	}
}

// The same text twice is one hit, a document can be limited, and what stands around a hit can be had.
func TestSearchShapes(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	var long strings.Builder
	for i := range 6 {
		fmt.Fprintf(&long, "# Part %d\n\nThe boiler number %d is described here. %s\n\n", i, i, strings.Repeat("It has many pipes and valves that the plumber knows well. ", 25))
	}
	p.document("long.md", long.String())
	p.document("a.md", "The boiler of the school was painted green in the summer holidays.\n")
	p.document("b.md", "The boiler of the school was painted green in the summer holidays.\n\n")
	if got := p.found(obj{"query": "boiler", "top_k": 20, "max_per_document": 1}); got != "a.md long.md" && got != "b.md long.md" && got != "long.md a.md" && got != "long.md b.md" {
		t.Errorf("one of each: %s", got)
	}
	r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler number 3", "top_k": 1, "expand": "neighbours"})
	h := r.list("results")[0].(obj)
	if h["before"] == nil || h["after"] == nil || h["before"] == h["content"] {
		t.Errorf("%s", r.raw)
	}
	r = p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler number 3", "top_k": 1, "expand": "section"})
	h = r.list("results")[0].(obj)
	for _, side := range []string{"before", "after"} {
		if text, _ := h[side].(string); strings.Contains(text, "number 2") || strings.Contains(text, "number 4") {
			t.Errorf("%s is of another section: %s", side, text)
		}
	}
}

// The first thing that somebody tries is one page and a question that uses some of its words.
func TestQueryOfOnePage(t *testing.T) {
	t.Parallel()
	p := open(t, t.TempDir()).register("owner@example.com")
	p.document("mill.md", "# The mill\n\nThe tide mill of Eling grinds wheat with the sea. The wheel turns for about five hours on each ebb. A miller has worked at this place since the eleventh century.\n\n"+
		"Flour from the mill is sold in the village. The wooden gear has teeth of apple wood.\n")
	for question, want := range map[string]string{
		"How long does the wheel turn?":        "five hours",
		"Where is flour sold?":                 "village",
		"What is the gear made of?":            "apple wood",
		"Since when has a miller worked here?": "eleventh century",
		"Who won the football match?":          "no evidence",
		"What is the capital of Peru?":         "no evidence",
	} {
		r := p.want(200, "POST", "/api/v1/documents/query", obj{"question": question})
		if !strings.Contains(r.str("answer"), want) || r.at("evidence") != (want != "no evidence") {
			t.Errorf("%s %s", question, r.raw)
		}
	}
}

// A question is answered in the words of the sources, each at its place, or not at all.
func TestQuery(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	id := p.document("heating.md", warmth)
	p.document("music.md", music)
	for question, want := range map[string]string{
		"When was the boiler installed?":             "1987",
		"How expensive is a heat pump for the town?": "120,000 euros",
		"Which orchestra piece is performed?":        "Mahler",
		"What heats the rooms of the library?":       "warm in winter",
	} {
		r := p.want(200, "POST", "/api/v1/documents/query", obj{"question": question})
		answer := r.str("answer")
		if !strings.Contains(answer, want) || r.at("evidence") != true || r.at("llm_model") != nil {
			t.Errorf("%s %s", question, r.raw)
		}
		for _, c := range r.list("citations") {
			claim := c.(obj)["claim"].(obj)
			if got := answer[int(claim["start"].(float64)):int(claim["end"].(float64))]; got != claim["text"] {
				t.Errorf("%s: claim %q stands at its place as %q", question, claim["text"], got)
			}
			c := c.(obj)["spans"].([]any)[0].(obj)
			text := p.want(200, "GET", "/api/v1/documents/"+c["document_id"].(string)+"/text", nil).str("text")
			if got := text[int(c["start"].(float64)):int(c["end"].(float64))]; got != c["quote"] {
				t.Errorf("%s: quote %q, the source has %q", question, c["quote"], got)
			}
		}
	}
	for _, question := range []string{"Who won the football match yesterday?", "What is the chemical formula of caffeine?"} {
		r := p.want(200, "POST", "/api/v1/documents/query", obj{"question": question})
		if len(r.list("citations")) != 0 || r.at("evidence") != false || !strings.Contains(r.str("answer"), "no evidence") {
			t.Errorf("%s %s", question, r.raw)
		}
	}
	p.problem(422, "invalid", "POST", "/api/v1/documents/query", obj{"question": ""})
	other := s.anonymous()
	other.problem(401, "unauthenticated", "POST", "/api/v1/documents/query", obj{"question": "When was the boiler installed?", "document_ids": []string{id}})
}
