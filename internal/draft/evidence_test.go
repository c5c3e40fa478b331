package draft_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"byline/internal/document"
	"byline/internal/draft"
	proof "byline/internal/engine/cite"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// written puts a text with its citations into a store, as the writer does.
func written(t testing.TB, s *store.Store, content string, claims ...string) string {
	t.Helper()
	ctx := context.Background()
	d, _, err := s.Drafts().Add(ctx, draft.Draft{Workspace: ident.Local, Title: "T"}, draft.Wish{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, lease, ok, err := s.Claim(ctx, "test", []runs.Kind{runs.KindGenerate})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	source, _, err := s.Add(ctx, document.Document{Workspace: ident.Local, Filename: "a.md", Type: "markdown", SHA256: ident.New() + strings.Repeat("a", 38), Blob: ident.New(),
		Status: document.Pending, Stage: document.Stored, CreatedAt: time.Now(), UpdatedAt: time.Now()}, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []draft.Citation
	for _, c := range claims {
		x := cite0(t, content, c)
		x.Spans[0].DocumentID = source.ID
		list = append(list, x)
	}
	if _, err := s.Drafts().AddVersion(ctx, lease, draft.Result{Title: "T", Version: draft.Version{Content: content, Citations: list}}); err != nil {
		t.Fatal(err)
	}
	if err := s.End(ctx, lease, runs.Ending{Status: runs.Completed}); err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// cite0 cites words by themselves.
func cite0(t testing.TB, content, words string) draft.Citation {
	return cite(t, content, words, words, 0)
}

const told = "The roof leaks in 12 rooms. It costs 5,000 euros to repair. Anna Kowalski leads the board.\n\nVisitors increased to 118,400 in 2023.\n"

// What a person's edit leaves of the evidence.
func TestEvidenceAfterAnEdit(t *testing.T) {
	s := storetest.New(t)
	service := draft.New(s.Drafts(), s)
	claims := []string{"The roof leaks in 12 rooms.", "It costs 5,000 euros to repair.", "Anna Kowalski leads the board.", "Visitors increased to 118,400 in 2023."}
	for name, tc := range map[string]struct {
		old, new string
		labels   string // of the citations, in order
		uncited  string
		pass     bool
	}{
		"nothing":             {"", "", "supported supported supported supported", "", true},
		"a typo mended":       {"Visitors increased", "The visitors increased", "supported supported supported supported", "", true},
		"a wrong number":      {"12 rooms", "21 rooms", "contradicted supported supported supported", "", false},
		"a wrong date":        {"in 2023", "in 2032", "supported supported supported contradicted", "", false},
		"the opposite":        {"increased", "decreased", "supported supported supported contradicted", "", false},
		"denied":              {"roof leaks", "roof no longer leaks", "contradicted supported supported supported", "", false},
		"another matter":      {"Anna Kowalski leads the board.", "Whales sing in the deep sea.", "supported supported supported", "Whales sing in the deep sea.", false},
		"one more":            {"board.", "board. The mayor has two dogs and a parrot.", "supported supported supported supported", "The mayor has two dogs and a parrot.", false},
		"one is gone":         {"Anna Kowalski leads the board.", "", "supported supported supported", "", true},
		"an opinion":          {"board.", "board. I think that is good.", "supported supported supported supported", "", true},
		"moved":               {told, "Visitors increased to 118,400 in 2023.\n\nAnna Kowalski leads the board. The roof leaks in 12 rooms. It costs 5,000 euros to repair.\n", "supported supported supported supported", "", true},
		"a part of a longer":  {"The roof leaks in 12 rooms.", "Critics of the mayor and of her deputies write in many angry letters that\nThe roof leaks in 12 rooms.", "supported supported supported", "*", false},
		"a heading over it":   {"Visitors", "## Sources\n\nVisitors", "supported supported supported supported", "", true},
		"sources of a person": {"in 2023.", "in 2023.\n\n## References\n\n- The annual report, 2023\n", "supported supported supported supported", "", true},
		"a hidden paragraph":  {"in 2023.", "in 2023.\n\n## References\n\nThe mayor has two dogs.\n", "supported supported supported supported", "The mayor has two dogs.", false},
	} {
		t.Run(name, func(t *testing.T) {
			id := written(t, s, told, claims...)
			content := strings.Replace(told, tc.old, tc.new, 1)
			if _, err := service.Edit(t.Context(), ident.Local, id, 1, draft.Edit{Content: &content}); err != nil {
				t.Fatal(err)
			}
			e, err := service.Evidence(t.Context(), ident.Local, id, 0)
			if err != nil {
				t.Fatal(err)
			}
			var labels, uncited []string
			for _, c := range e.Citations {
				labels = append(labels, string(c.Verdict.Label))
				if content[c.Claim.Start:c.Claim.End] != c.Claim.Text {
					t.Errorf("%q stands as %q", c.Claim.Text, content[c.Claim.Start:c.Claim.End])
				}
			}
			for _, c := range e.Uncited {
				uncited = append(uncited, c.Text)
			}
			if got := strings.Join(labels, " "); got != tc.labels && tc.uncited != "*" {
				t.Errorf("labels %s, want %s: %+v", got, tc.labels, e.Citations)
			}
			if got := strings.Join(uncited, " "); got != tc.uncited && tc.uncited != "*" || tc.uncited == "*" && e.Gate.Supported == e.Gate.Claims {
				t.Errorf("uncited %q, want %q", got, tc.uncited)
			}
			if e.Gate.Pass != tc.pass || e.Gate.Pass != (len(e.Gate.Reasons) == 0) || e.Version != 2 {
				t.Errorf("gate %+v, version %d", e.Gate, e.Version)
			}
			if strings.Contains(tc.labels, "contradicted") != (len(e.Unsupported) == 1) {
				t.Errorf("unsupported: %+v", e.Unsupported)
			}
		})
	}
	if _, err := service.Evidence(t.Context(), ident.Local, ident.New(), 0); fault.Of(err).Code != "not_found" {
		t.Error(err)
	}
	d, _, err := s.Drafts().Add(t.Context(), draft.Draft{Workspace: ident.Local}, draft.Wish{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.Evidence(t.Context(), ident.Local, d.ID, 0); fault.Of(err).Code != "no_version" {
		t.Error(err)
	}
}

// A paragraph that is moved keeps its marks: all citations, each at words of its own, in whatever order the paragraphs stand.
func TestMovedParagraphsKeepTheirCitations(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "paragraphs")
		var paragraphs []string
		var citations []draft.Citation
		content := ""
		for i := range n {
			var sentences []string
			for k := range rapid.IntRange(1, 4).Draw(rt, "sentences") {
				// few words, so that sentences repeat and are parts of others
				s := fmt.Sprintf("%s has %d roofs.", rapid.SampledFrom([]string{"Ann", "Joann", "The house of Ann"}).Draw(rt, "who"), rapid.IntRange(1, 3).Draw(rt, "number"))
				sentences = append(sentences, s)
				at := len(content)
				for _, x := range sentences[:k] {
					at += len(x) + 1
				}
				citations = append(citations, draft.Citation{ID: fmt.Sprint(i, ".", k), Claim: draft.Claim{Start: at, End: at + len(s), Text: s}})
			}
			p := strings.Join(sentences, " ") + "\n\n"
			paragraphs, content = append(paragraphs, p), content+p
		}
		moved := strings.Join(rapid.Permutation(paragraphs).Draw(rt, "order"), "")
		kept := draft.Carry(citations, content, moved)
		if len(kept) != len(citations) {
			rt.Fatalf("%d of %d citations are left", len(kept), len(citations))
		}
		at := -1
		for _, c := range kept {
			if c.Claim.Start <= at || moved[c.Claim.Start:c.Claim.End] != c.Claim.Text {
				rt.Fatalf("%+v behind %d in %q", c, at, moved)
			}
			at = c.Claim.Start
		}
	})
}

func TestVerifyGivesTheEvidence(t *testing.T) {
	spans := []draft.Span{{Quote: "Whales sing."}, {Quote: "Before. The roof leaks in 12 rooms. After."}}
	v := draft.Verify("In 12 rooms the roof leaks.", spans, proof.Options{})
	if v.Label != draft.Supported || v.Checker != draft.CheckerLexical || v.Evidence == nil || v.Evidence.Span != 1 || v.Evidence.Quote != "The roof leaks in 12 rooms" && v.Evidence.Quote != "The roof leaks in 12 rooms." {
		t.Errorf("%+v %+v", v, v.Evidence)
	}
	if v := draft.Verify("It leaks.", nil, proof.Options{}); v.Label != draft.Unsupported || v.Evidence != nil {
		t.Errorf("no spans: %+v", v)
	}
}
