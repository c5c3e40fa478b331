package draft_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/store/storetest"
)

// cite makes a citation of the words in content.
func cite(t testing.TB, content, words, quote string, page int) draft.Citation {
	t.Helper()
	at := strings.Index(content, words)
	if at < 0 {
		t.Fatalf("%q is not in %q", words, content)
	}
	return draft.Citation{ID: ident.New(), Claim: draft.Claim{Start: at, End: at + len(words), Text: words}, Verdict: draft.Verdict{Label: draft.Supported, Score: 1},
		Spans: []draft.Span{{DocumentID: ident.New(), DocumentName: "report_1.pdf", Quote: quote, Page: page}}}
}

func sample(t testing.TB) (draft.Draft, []draft.Citation) {
	t.Helper()
	content := "The roof leaks. It costs 5 euros.\n\n- An item of a list\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\nThe end is near.\n"
	d := draft.Draft{ID: ident.New(), Title: `A "quoted": title`, Content: content, Version: 3, Categories: []string{"news"}, Tags: []string{"a: b", "{{ x }}"},
		UpdatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return d, []draft.Citation{
		cite(t, content, "The roof leaks.", "The roof leaks.", 2),
		cite(t, content, "It costs 5 euros.", "It *costs* [5] euros. "+strings.Repeat("And more of it. ", 30), 0),
		cite(t, content, "An item of a list", "An item of a list", 0),
		cite(t, content, "| A | B |\n|---|---|\n| 1 | 2 |", "| A | B |", 4),
	}
}

func TestExportWithFootnotes(t *testing.T) {
	d, citations := sample(t)
	f, err := draft.Export{}.Write(d, citations)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "a-quoted-title.md" || f.MediaType != "text/markdown; charset=utf-8" {
		t.Errorf("%s %s", f.Name, f.MediaType)
	}
	text := string(f.Data)
	for _, want := range []string{
		"---\ntitle: \"A \\\"quoted\\\": title\"\ndate: 2026-03-01T12:00:00Z\ncategories:\n  - \"news\"\ntags:\n  - \"a: b\"\n  - \"{{ x }}\"\n---\n\n# A \"quoted\": title\n\n",
		"The roof leaks.[^1] It costs 5 euros.[^2]\n\n- An item of a list[^3]\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\nSource: [^4]\n\nThe end is near.\n",
		"\n[^1]: report_1.pdf, p. 2: “The roof leaks.”\n",
		`[^2]: report_1.pdf: “It \*costs\* \[5\] euros.`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "[^2]") && (len(line) > 300 || !strings.HasSuffix(line, " …”")) {
			t.Errorf("a long quote is not shortened: %s", line)
		}
	}
}

func TestExportForms(t *testing.T) {
	d, citations := sample(t)
	for name, tc := range map[string]struct {
		export  draft.Export
		file    string
		has     []string
		without []string
	}{
		"links":    {draft.Export{Citations: "links"}, "a-quoted-title.md", []string{"The roof leaks. [[1]](#source-1)", `1. <a id="source-1"></a>`}, []string{"[^1]"}},
		"none":     {draft.Export{Citations: "none"}, "a-quoted-title.md", []string{"The roof leaks. It costs"}, []string{"[^1]", "source-1"}},
		"jekyll":   {draft.Export{Preset: "jekyll"}, "2026-03-01-a-quoted-title.md", []string{"layout: post\n", "render_with_liquid: false\n"}, []string{"\n# "}},
		"hugo":     {draft.Export{Preset: "hugo"}, "a-quoted-title.md", []string{"slug: \"a-quoted-title\"\n"}, []string{"\n# "}},
		"astro":    {draft.Export{Preset: "astro"}, "a-quoted-title.md", []string{"pubDate: 2026-03-01T12:00:00Z\n"}, []string{"\ndate:"}},
		"eleventy": {draft.Export{Preset: "eleventy"}, "a-quoted-title.md", []string{"templateEngineOverride: md\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := tc.export.Write(d, citations)
			if err != nil || f.Name != tc.file {
				t.Fatalf("%s %v", f.Name, err)
			}
			for _, w := range tc.has {
				if !strings.Contains(string(f.Data), w) {
					t.Errorf("no %q in\n%s", w, f.Data)
				}
			}
			for _, w := range tc.without {
				if strings.Contains(string(f.Data), w) {
					t.Errorf("%q in\n%s", w, f.Data)
				}
			}
		})
	}
	for _, e := range []draft.Export{{Format: "html"}, {Format: "docx"}, {Preset: "medium"}, {Citations: "endnotes"}} {
		if _, err := e.Write(d, citations); err == nil || fault.Of(err).Code != "not_available" {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestExportAsJSON(t *testing.T) {
	d, citations := sample(t)
	citations[0].Spans[0].Gone = true
	f, err := draft.Export{Format: "json"}.Write(d, citations)
	if err != nil || f.Name != "a-quoted-title.json" {
		t.Fatal(f.Name, err)
	}
	var got struct {
		Title, Content string
		Version        int
		Citations      []struct {
			Claim struct{ Start, End int }
			Spans []draft.Span
		}
	}
	if err := json.Unmarshal(f.Data, &got); err != nil || got.Title != d.Title || got.Content != d.Content || len(got.Citations) != 4 || !got.Citations[0].Spans[0].Gone {
		t.Errorf("%v %s", err, f.Data)
	}
}

// Whatever stands in a title or tag, the front matter stays one block of as many lines as it has fields.
func TestFrontMatterHoldsAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := draft.Draft{ID: ident.New(), Title: rapid.String().Draw(rt, "title"), Tags: []string{rapid.String().Draw(rt, "tag") + "x"}, Content: "Text.\n"}
		f, err := draft.Export{Citations: "none"}.Write(d, nil)
		if err != nil {
			rt.Fatal(err)
		}
		lines := strings.Split(string(f.Data), "\n")
		if lines[0] != "---" || !strings.HasPrefix(lines[1], "title: \"") || !strings.HasPrefix(lines[2], "date: ") || lines[3] != "tags:" || !strings.HasPrefix(lines[4], "  - \"") || lines[5] != "---" {
			rt.Fatalf("%q", lines)
		}
		if strings.ContainsAny(f.Name, "/\\\r\n\x00\"") || strings.HasPrefix(f.Name, ".") {
			rt.Fatalf("name %q", f.Name)
		}
	})
}

func TestSlug(t *testing.T) {
	for title, want := range map[string]string{
		"A warmer library":          "a-warmer-library",
		"  Ärger -- mit Öl! ":       "ärger-mit-öl",
		"도서관 에너지 보고서":               "도서관-에너지-보고서",
		"../../etc/passwd":          "etc-passwd",
		"!!!":                       "",
		strings.Repeat("long ", 60): strings.TrimSuffix(strings.Repeat("long-", 16), "-"),
	} {
		if got := draft.Slug(title); got != want || len(got) > 80 {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
}

func TestReanchor(t *testing.T) {
	old := "One sentence. Two sentences. One sentence."
	first, two := cite(t, old, "One sentence.", "", 0), cite(t, old, "Two sentences.", "", 0)
	last := first
	last.Claim.Start, last.Claim.End = strings.LastIndex(old, "One"), len(old)
	all := []draft.Citation{first, two, last}
	for name, tc := range map[string]struct {
		content string
		want    []int // starts
	}{
		"the same":            {old, []int{0, 14, 29}},
		"something before":    {"New. " + old, []int{5, 19, 34}},
		"a sentence moved up": {"Two sentences. One sentence. One sentence.", []int{0, 15, 29}},
		"one was reworded":    {"One sentence. Two long sentences. One sentence.", []int{0, 34}},
		"all is new":          {"Nothing of it.", nil},
		"empty":               {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var starts []int
			for _, c := range draft.Reanchor(all, tc.content) {
				starts = append(starts, c.Claim.Start)
				if tc.content[c.Claim.Start:c.Claim.End] != c.Claim.Text {
					t.Errorf("%q stands as %q", c.Claim.Text, tc.content[c.Claim.Start:c.Claim.End])
				}
			}
			if diff := cmp.Diff(tc.want, starts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGenerateNeedsDocumentsWithText(t *testing.T) {
	s := storetest.New(t)
	d := draft.New(s.Drafts(), s)
	doc, _, err := s.Add(t.Context(), document.Document{ID: ident.New(), Workspace: ident.Local, Filename: "a.md", Type: "markdown", SHA256: strings.Repeat("a", 64), Blob: ident.New(),
		Status: document.Pending, Stage: document.Stored, CreatedAt: time.Now(), UpdatedAt: time.Now()}, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		ids  []string
		code string
	}{
		"none":           {nil, "required"},
		"only blanks":    {[]string{" ", ""}, "required"},
		"unknown":        {[]string{ident.New()}, "not_found"},
		"not read yet":   {[]string{doc.ID}, "document_not_ready"},
		"one is unknown": {[]string{doc.ID, ident.New()}, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := d.Generate(t.Context(), ident.Local, draft.Wish{DocumentIDs: tc.ids}, nil, nil, nil)
			if f := fault.Of(err); f == nil || f.Code != tc.code {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
}

func TestExportOfNothing(t *testing.T) {
	s := storetest.New(t)
	id, _ := storetest.Begin(t, s)
	if _, _, err := draft.New(s.Drafts(), s).Export(t.Context(), ident.Local, id, draft.Export{}); fault.Of(err).Code != "no_version" {
		t.Errorf("got %v", err)
	}
	if _, _, err := draft.New(s.Drafts(), s).Export(t.Context(), ident.Local, ident.New(), draft.Export{}); fault.Of(err).Code != "not_found" {
		t.Errorf("got %v", err)
	}
}
