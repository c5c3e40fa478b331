package agent_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"byline/internal/draft"
	"byline/internal/engine/cite"
	"byline/internal/engine/textdiff"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

// instruction is one of the made set in eval/refine.
type instruction struct {
	Draft     string          `json:"draft"`
	Feedback  string          `json:"feedback"`
	Edits     json.RawMessage `json:"edits"`
	Selection string          `json:"selection"`
	Garbage   string          `json:"garbage"`
	Invented  []string        `json:"invented"`
}

func instructions(t *testing.T) (list []instruction) {
	t.Helper()
	f, err := os.Open("../../eval/refine/instructions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var in instruction
		decode(t, sc.Bytes(), &in)
		list = append(list, in)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// readEval reads a file of the made set.
func readEval(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../eval/refine", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// known makes a draft of the made set, each of whose claims is cited with its source.
func (d *desk) known(name string) string {
	d.t.Helper()
	text, source := readEval(d.t, name+".md"), readEval(d.t, name+".source.md")
	doc := d.add(name+".source.md", source)
	ctx := d.t.Context()
	passages, _, err := d.store.Passages(ctx, ident.Local, doc, 0, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	var citations []draft.Citation
	for _, c := range cite.Claims(text) {
		from := strings.Index(source, c.Text)
		if from < 0 {
			d.t.Fatalf("%q is not in its source", c.Text)
		}
		passage := ""
		for _, p := range passages {
			if p.Start <= from && from < p.End {
				passage = p.ID
			}
		}
		citations = append(citations, draft.Citation{Claim: draft.Claim{Start: c.Start, End: c.End, Text: c.Text}, Verdict: draft.Verdict{Label: draft.Supported, Score: 1},
			Spans: []draft.Span{{DocumentID: doc, DocumentName: name + ".source.md", PassageID: passage, Start: from, End: from + len(c.Text), Quote: c.Text}}})
	}
	dr, _, err := d.store.Drafts().Add(ctx, draft.Draft{ID: ident.New(), Workspace: ident.Local, Title: "Post", DocumentIDs: []string{doc}}, draft.Wish{DocumentIDs: []string{doc}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.store.Cancel(ctx, ident.Local, dr.RunID); err != nil {
		d.t.Fatal(err)
	}
	if dr, err = d.drafts.Draft(ctx, ident.Local, dr.ID); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.store.Drafts().Save(ctx, ident.Local, dr.ID, dr.Version, draft.Edit{Content: &text, Citations: citations}); err != nil {
		d.t.Fatal(err)
	}
	return dr.ID
}

// On the made set every block that no edit names stays byte for byte as it was, and no sentence that nobody touched loses its citation.
func TestMadeSet(t *testing.T) {
	list := instructions(t)
	if len(list) != 60 {
		t.Fatalf("%d instructions", len(list))
	}
	var now instruction
	garbled := false
	a := newAuthor("")
	a.model.Script = func(_ int, r llm.Request) llmtest.Turn {
		if now.Garbage != "" && !garbled {
			garbled = true
			return llmtest.Turn{Text: now.Garbage}
		}
		return llmtest.Turn{Text: `{"title":"","edits":` + string(now.Edits) + `}`}
	}
	d := openWith(t, a)
	blocks, same, cited, lost := 0, 0, 0, 0
	for i, in := range list {
		now, garbled = in, false
		id := d.known(in.Draft)
		r := draft.Refinement{DraftID: id, Feedback: in.Feedback}
		if in.Selection != "" {
			at := strings.Index(readEval(t, in.Draft+".md"), in.Selection)
			r.Selection = &draft.Selection{Start: at, End: at + len(in.Selection)}
		}
		out := d.refine(r)
		if out.failure.Code != "" || out.result.ProposalID == "" && in.Invented == nil {
			t.Errorf("%d %s: %+v", i+1, in.Feedback, out.failure)
			continue
		}
		after := out.base
		if out.result.ProposalID != "" {
			after = d.accept(out)
		}
		for _, lie := range in.Invented {
			if strings.Contains(after.Content, lie) {
				t.Errorf("%d: %q stands in the draft", i+1, lie)
			}
		}
		var edits []struct {
			Block  int    `json:"block"`
			Action string `json:"action"`
		}
		decode(t, in.Edits, &edits)
		at := 0
		for n, b := range textdiff.Blocks(out.base.Content) {
			if slices.ContainsFunc(edits, func(e struct {
				Block  int    `json:"block"`
				Action string `json:"action"`
			}) bool {
				return e.Block == n+1 && (e.Action == "replace" || e.Action == "delete")
			}) {
				continue
			}
			blocks++
			body := b.Body(out.base.Content)
			k := strings.Index(after.Content[at:], body)
			if k < 0 {
				t.Errorf("%d %s: block %d is not as it was: %q", i+1, in.Feedback, n+1, body)
				continue
			}
			at += k + len(body)
			same++
		}
		for _, c := range out.base.Citations { // also sentences of changed blocks, where they stand as they were
			if !strings.Contains(after.Content, c.Claim.Text) {
				continue
			}
			cited++
			if !slices.ContainsFunc(after.Citations, func(n draft.Citation) bool { return n.Claim.Text == c.Claim.Text && n.Spans[0] == c.Spans[0] }) {
				lost++
				t.Errorf("%d %s: the citation of %q is lost", i+1, in.Feedback, c.Claim.Text)
			}
		}
	}
	t.Logf("%d of %d untouched blocks are byte-identical; %d of %d citations of untouched sentences are lost", same, blocks, lost, cited)
}
