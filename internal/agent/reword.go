package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"byline/internal/engine/textdiff"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/search"
)

// The bounds of what a model is shown for a refinement: passages, those of them that a search finds, queries of blocks, bytes of the
// draft before blocks that may not be changed are cut short, edits, bytes of one, and words of a heading.
const (
	refineShown   = 20
	refineFound   = 8
	blockQueries  = 4
	refineDraft   = 24_000
	shortBlock    = 160
	refineEdits   = 200
	longRefineNew = 40_000
	longHeading   = 12 // words: a heading is no place for what nobody proves
)

// gather finds evidence: for what is asked, what the blocks in question quote, and what else there is about them.
func (x *refining) gather(ctx context.Context) ([]runs.NewEvent, error) {
	ids := x.round.wish.DocumentIDs
	numbers := map[string]int{}
	h := hits{SectionID: "refine", Query: x.wish.Feedback, Hits: []hit{}}
	add := func(a search.Answer, most int) {
		for _, k := range a.Hits {
			if len(x.post.Evidence) >= refineShown || most == 0 {
				return
			}
			if _, ok := numbers[k.Passage.ID]; ok || k.Score <= 0 {
				continue
			}
			most--
			numbers[k.Passage.ID] = len(x.post.Evidence)
			p := k.Passage
			x.post.Evidence = append(x.post.Evidence, passage{p.ID, p.DocumentID, p.Start, p.End, p.PageFrom})
			h.Hits = append(h.Hits, hit{p.ID, p.DocumentID, k.DocumentName, p.PageFrom, k.Score})
		}
	}
	found, err := x.find(ctx, x.wish.Feedback, ids)
	if err != nil {
		return nil, err
	}
	add(found, refineFound)
	if err := x.quotedPassages(ctx, numbers); err != nil {
		return nil, err
	}
	if x.wish.Selection != nil {
		for n, i := range x.selected() {
			if n == blockQueries {
				break
			}
			if found, err = x.find(ctx, x.body(i), ids); err != nil {
				return nil, err
			}
			add(found, refineFound/2)
		}
	}
	x.state.Evidence = x.post.Evidence
	return []runs.NewEvent{{Type: runs.EventHits, Data: h}}, nil
}

// quotedPassages adds the passages that the blocks in question quote, so that they can be written anew.
func (x *refining) quotedPassages(ctx context.Context, numbers map[string]int) error {
	room := refineShown * 3 / 4
	for _, c := range x.base.Citations {
		i := slices.IndexFunc(x.blocks, func(b textdiff.Block) bool { return c.Claim.Start >= b.Start && c.Claim.Start < b.End })
		if i < 0 || !x.within(i) {
			continue
		}
		for _, s := range c.Spans {
			if _, ok := numbers[s.PassageID]; ok || s.Gone || s.PassageID == "" || len(x.post.Evidence) >= room || !slices.Contains(x.round.wish.DocumentIDs, s.DocumentID) {
				continue
			}
			if _, err := x.textOf(ctx, s.DocumentID); err != nil {
				return err
			}
			for _, p := range x.passages[s.DocumentID] {
				if p.ID == s.PassageID {
					numbers[p.ID] = len(x.post.Evidence)
					x.post.Evidence = append(x.post.Evidence, passage{p.ID, p.DocumentID, p.Start, p.End, p.PageFrom})
				}
			}
		}
	}
	return nil
}

// refineData fills refine.md and edit.md in.
type refineData struct {
	Language, StyleGuide, Title, Feedback string
	Passages                              []passageData
	Blocks                                []blockData
	Selected                              bool // only some of the blocks may be changed
}

type blockData struct {
	Number int // from 1
	Kind   textdiff.Kind
	Text   string
	Fixed  bool // it must stay as it is
}

func (x *refining) refineData(ctx context.Context) (refineData, error) {
	d := refineData{Language: x.languageName(), StyleGuide: x.wish.StyleGuide, Title: x.base.Title, Feedback: x.wish.Feedback, Selected: x.wish.Selection != nil}
	s, err := x.sectionData(ctx, x.allEvidence())
	if err != nil {
		return d, err
	}
	d.Passages = s.Passages
	for i, b := range x.blocks {
		data := blockData{Number: i + 1, Kind: b.Kind, Text: material(x.body(i)), Fixed: !x.within(i)}
		if data.Fixed && len(x.base.Content) > refineDraft && len(data.Text) > shortBlock {
			data.Text = clip(data.Text, shortBlock) + " …"
		}
		d.Blocks = append(d.Blocks, data)
	}
	return d, nil
}

// allEvidence is a section whose writer is shown all evidence.
func (x *refining) allEvidence() section {
	s := section{ID: "refine"}
	for n := range x.post.Evidence {
		s.Evidence = append(s.Evidence, n)
	}
	return s
}

// edits is the answer to edit.md.
type edits struct {
	Edits []edit `json:"edits"`
	Title string `json:"title"`
}

// edit changes a block.
type edit struct {
	Block  int    `json:"block"`  // from 1
	Action string `json:"action"` // replace, insert_before, insert_after, delete
	Text   string `json:"text"`
}

// The actions of an edit.
const (
	actReplace = "replace"
	actBefore  = "insert_before"
	actAfter   = "insert_after"
	actDelete  = "delete"
)

var editsSchema = &llm.Schema{Name: "edits", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["edits","title"],"properties":{"edits":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["block","action","text"],"properties":{"block":{"type":"integer"},"action":{"type":"string","enum":["replace","insert_before","insert_after","delete"]},"text":{"type":"string"}}}},"title":{"type":"string"}}}`)}

// reword has the model say which blocks change and how. An answer that can't be used is asked for once more.
func (x *refining) reword(ctx context.Context) ([]runs.NewEvent, error) {
	d, err := x.refineData(ctx)
	if err != nil {
		return nil, err
	}
	q, err := ask("refine", "refine", d, "edit", d)
	if err != nil {
		return nil, err
	}
	q.Schema = editsSchema
	var wrong error
	for try := 1; try <= 2; try++ {
		a, err := x.call(ctx, fmt.Sprintf("edit/%d", try), q, nil)
		if err != nil {
			return nil, err
		}
		var e edits
		if wrong = x.understand(a.Text, &e); wrong == nil {
			return x.take(ctx, e)
		}
		again, err := prompt("again", struct{ Why string }{wrong.Error()})
		if err != nil {
			return nil, err
		}
		q.Messages = append(slices.Clone(q.Messages), llm.Message{Role: llm.Assistant, Content: a.Text}, llm.Message{Role: llm.User, Content: again})
	}
	return nil, fault.New(fault.Invalid, "refine_failed", "The model was asked twice and gave no change that could be used (%s). Say it in other words, select a smaller part, or choose another model.", wrong)
}

// understand reads an answer, and tells what is wrong with it.
func (x *refining) understand(answer string, e *edits) error {
	if err := jsonOf(answer, e); err != nil {
		return fmt.Errorf("it is not valid JSON: %w", err)
	}
	if len(e.Edits) > refineEdits {
		return fmt.Errorf("there are more than %d edits", refineEdits)
	}
	used := map[int]bool{}
	for n, c := range e.Edits {
		at := fmt.Sprintf("edit %d", n+1)
		switch {
		case c.Block < 1 || c.Block > len(x.blocks):
			return fmt.Errorf("%s names block %d; there are blocks 1 to %d", at, c.Block, len(x.blocks))
		case !x.within(c.Block - 1):
			return fmt.Errorf("%s changes block %d, which must stay as it is", at, c.Block)
		case !slices.Contains([]string{actReplace, actBefore, actAfter, actDelete}, c.Action):
			return fmt.Errorf("%s has the action %q", at, c.Action)
		case c.Action != actDelete && strings.TrimSpace(c.Text) == "":
			return fmt.Errorf("%s has no text", at)
		case len(c.Text) > longRefineNew:
			return fmt.Errorf("%s is too long", at)
		}
		if c.Action == actReplace || c.Action == actDelete {
			if used[c.Block] {
				return fmt.Errorf("block %d is changed twice", c.Block)
			}
			used[c.Block] = true
		}
	}
	if len([]rune(e.Title)) > longTitle {
		return errors.New("the title is too long")
	}
	return nil
}

// take lays the draft out as the edits say; what they do not name stays.
func (x *refining) take(ctx context.Context, e edits) ([]runs.NewEvent, error) {
	if t := line(e.Title); t != "" {
		x.state.Title = t
	}
	var events []runs.NewEvent
	x.state.Slots = nil
	put := func(block int, text string) error {
		s, told, err := x.newSlot(ctx, block, text)
		if err != nil {
			return err
		}
		if events = append(events, told...); s.Text != "" {
			x.state.Slots = append(x.state.Slots, s)
		} else if block >= 0 {
			x.state.Slots = append(x.state.Slots, slot{Block: block})
		}
		return nil
	}
	of := func(i int, action string) (list []string) {
		for _, c := range e.Edits {
			if c.Block == i+1 && c.Action == action {
				list = append(list, c.Text)
			}
		}
		return list
	}
	for i := range x.blocks {
		for _, text := range of(i, actBefore) {
			if err := put(-1, text); err != nil {
				return nil, err
			}
		}
		switch texts := of(i, actReplace); {
		case len(texts) > 0:
			if err := put(i, texts[0]); err != nil {
				return nil, err
			}
		case of(i, actDelete) == nil:
			x.state.Slots = append(x.state.Slots, slot{Block: i})
		}
		for _, text := range of(i, actAfter) {
			if err := put(-1, text); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

// newSlot makes what a model says harmless and cites it. Sentences that stand in the draft word for word keep their citations.
func (x *refining) newSlot(ctx context.Context, block int, text string) (slot, []runs.NewEvent, error) {
	s := x.allEvidence()
	p := x.newPen(s, func(string) error { return nil })
	p.lines.heads = longHeading // sections may be named anew, and added
	p.guard.Allowed = func(url string) bool { return x.knows(url) || strings.Contains(x.base.Content, url) }
	if err := p.write(strings.Trim(text, "\n") + "\n"); err != nil {
		return slot{}, nil, err
	}
	if err := p.end(); err != nil {
		return slot{}, nil, err
	}
	out := slot{Block: block, Text: strings.Trim(p.text.String(), "\n")}
	if strings.TrimSpace(out.Text) == "" || block >= 0 && out.Text == x.body(block) {
		return slot{Block: block}, nil, nil
	}
	claims, err := x.cite(ctx, out.Text, p.marks, s)
	if err != nil {
		return slot{}, nil, err
	}
	out.Claims = x.keep(out.Text, x.uncited(claims))
	return out, p.complaints(s.ID), nil
}

// uncited are claims without those that stand in the base version word for word: what a person wrote there without a source stays theirs.
func (x *refining) uncited(claims []claim) []claim {
	return slices.DeleteFunc(claims, func(c claim) bool {
		at := strings.Index(x.base.Content, c.Text)
		return c.bad() && at >= 0 && whole(x.base.Content, at, at+len(c.Text))
	})
}
