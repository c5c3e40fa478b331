package httpapi

import (
	"context"
	"errors"
	"time"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/search"
)

// askTime is how long the tool ask waits for an answer. Clients wait a minute as a rule.
const askTime = 5 * time.Minute

type mcpSearchIn struct {
	Query       string   `json:"query" jsonschema:"what to look for: words or a question"`
	DocumentIDs []string `json:"document_ids,omitempty" jsonschema:"only in these documents; all when it is missing"`
	TopK        int      `json:"top_k,omitempty" jsonschema:"how many passages, 1 to 100; 5 when it is missing"`
}

type mcpPassage struct {
	PassageID    string  `json:"passage_id"`
	DocumentID   string  `json:"document_id"`
	DocumentName string  `json:"document_name,omitempty"`
	Page         int     `json:"page,omitempty"`
	Start        int     `json:"start" jsonschema:"UTF-8 byte offset in the document's text"`
	End          int     `json:"end"`
	Score        float64 `json:"score,omitempty" jsonschema:"how much of the query it answers, 0 to 1"`
	Headings     string  `json:"headings,omitempty"`
	Text         string  `json:"text"`
}

type mcpSearchOut struct {
	Passages []mcpPassage `json:"passages"`
	Evidence bool         `json:"evidence" jsonschema:"false: nothing answers well enough to be relied on"`
}

func (c *mcpCaller) search(ctx context.Context, in mcpSearchIn) (mcpSearchOut, error) {
	out := mcpSearchOut{Passages: []mcpPassage{}}
	if err := ids("document", in.DocumentIDs...); err != nil {
		return out, err
	}
	a, err := c.s.Searcher.Search(ctx, search.Question{Workspace: c.workspace(), Text: in.Query, DocumentIDs: in.DocumentIDs, TopK: in.TopK})
	if err != nil {
		return out, err
	}
	c.s.Metrics.Search(a.Engine, len(a.Degraded) > 0)
	out.Evidence = a.Evidence
	for _, h := range a.Hits {
		p := h.Passage
		out.Passages = append(out.Passages, mcpPassage{p.ID, p.DocumentID, h.DocumentName, p.PageFrom, p.Start, p.End, h.Score, headings(p.HeadingPath), p.Text})
	}
	return out, nil
}

func headings(path []string) (s string) {
	for i, h := range path {
		if i > 0 {
			s += " > "
		}
		s += h
	}
	return s
}

type mcpPassageIn struct {
	PassageID string `json:"passage_id"`
}

func (c *mcpCaller) passage(ctx context.Context, in mcpPassageIn) (mcpPassage, error) {
	if err := ids("passage", in.PassageID); err != nil {
		return mcpPassage{}, err
	}
	p, err := c.s.Documents.Passage(ctx, c.workspace(), in.PassageID)
	if err != nil {
		return mcpPassage{}, err
	}
	d, err := c.s.Documents.Document(ctx, c.workspace(), p.DocumentID)
	if err != nil {
		return mcpPassage{}, err
	}
	return mcpPassage{PassageID: p.ID, DocumentID: p.DocumentID, DocumentName: d.Filename, Page: p.PageFrom, Start: p.Start, End: p.End, Headings: headings(p.HeadingPath), Text: p.Text}, nil
}

type mcpAskIn struct {
	Question    string   `json:"question"`
	DocumentIDs []string `json:"document_ids,omitempty" jsonschema:"only from these documents; all when it is missing"`
	TopK        int      `json:"top_k,omitempty" jsonschema:"how many passages it is answered from"`
}

type mcpAskOut struct {
	Answer   string      `json:"answer" jsonschema:"with the numbers of its sources behind each claim: [1] is the first"`
	Evidence bool        `json:"evidence" jsonschema:"false: the documents do not answer"`
	Sources  []mcpSource `json:"sources"`
	RunID    string      `json:"run_id"`
}

type mcpSource struct {
	Number       int    `json:"number"`
	DocumentID   string `json:"document_id"`
	DocumentName string `json:"document_name"`
	PassageID    string `json:"passage_id"`
	Page         int    `json:"page,omitempty"`
	Quote        string `json:"quote"`
	URL          string `json:"url,omitempty"`
}

func (c *mcpCaller) ask(ctx context.Context, in mcpAskIn) (mcpAskOut, error) {
	out := mcpAskOut{Sources: []mcpSource{}}
	if err := ids("document", in.DocumentIDs...); err != nil {
		return out, err
	}
	run, err := c.s.Enquiries.Ask(ctx, c.workspace(), agent.Asking{Question: in.Question, DocumentIDs: in.DocumentIDs, TopK: in.TopK, Author: userOf(c.caller).ID, Unattended: true}, nil)
	if err != nil {
		return out, err
	}
	a, err := c.s.Enquiries.Wait(ctx, c.workspace(), run.ID, askTime)
	switch {
	case errors.Is(err, agent.ErrUnderWay):
		return out, fault.New(fault.Unavailable, "answer_late", "The answer takes longer than %s. Its run %s goes on.", askTime, run.ID)
	case err != nil:
		return out, err
	}
	n := a.Numbered()
	out.Answer, out.Evidence, out.RunID = n.Text, a.Evidence, run.ID
	for i, s := range n.Sources {
		out.Sources = append(out.Sources, mcpSource{i + 1, s.DocumentID, s.DocumentName, s.PassageID, s.Page, s.Quote, s.URL})
	}
	return out, nil
}

type mcpDraftsIn struct {
	Query  string `json:"query,omitempty" jsonschema:"in the title"`
	Status string `json:"status,omitempty" jsonschema:"draft, generating, completed, published or failed"`
	Limit  int    `json:"limit,omitempty" jsonschema:"1 to 100; 20 when it is missing"`
	Cursor string `json:"cursor,omitempty" jsonschema:"next of the page before"`
}

type mcpDraft struct {
	DraftID   string        `json:"draft_id"`
	Title     string        `json:"title"`
	Status    string        `json:"status"`
	Version   int           `json:"version"`
	UpdatedAt string        `json:"updated_at"`
	RunID     string        `json:"run_id,omitempty"`
	Error     string        `json:"error,omitempty" jsonschema:"why it failed"`
	Question  string        `json:"question,omitempty" jsonschema:"what its run waits for a person to answer"`
	Content   string        `json:"content,omitempty" jsonschema:"Markdown"`
	Citations []mcpCitation `json:"citations,omitempty"`
}

type mcpCitation struct {
	Claim   string      `json:"claim"`
	Verdict string      `json:"verdict"`
	Sources []mcpSource `json:"sources"`
}

type mcpDraftsOut struct {
	Drafts []mcpDraft `json:"drafts"`
	Total  int        `json:"total"`
	Next   string     `json:"next,omitempty"`
}

func toMCPDraft(d draft.Draft) mcpDraft {
	return mcpDraft{DraftID: d.ID, Title: d.Title, Status: string(d.Status), Version: d.Version, UpdatedAt: d.UpdatedAt.UTC().Format(time.RFC3339), RunID: d.RunID}
}

func (c *mcpCaller) drafts(ctx context.Context, in mcpDraftsIn) (mcpDraftsOut, error) {
	out := mcpDraftsOut{Drafts: []mcpDraft{}}
	switch {
	case in.Limit == 0:
		in.Limit = 20
	case in.Limit < 1 || in.Limit > 100:
		return out, fault.Bad("limit", "out_of_range", "limit is 1 to 100.")
	}
	if in.Cursor != "" && !ident.Valid(in.Cursor) {
		return out, fault.Bad("cursor", "bad_cursor", "A cursor is next of the page before.")
	}
	page, total, err := c.s.Drafts.Drafts(ctx, c.workspace(), draft.Filter{Status: draft.Status(in.Status), Query: in.Query, Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return out, err
	}
	out.Total = total
	for _, d := range page {
		out.Drafts = append(out.Drafts, toMCPDraft(d))
	}
	if n := next(page, in.Limit, func(d draft.Draft) string { return d.ID }); n != nil {
		out.Next = *n
	}
	return out, nil
}

type mcpDraftIn struct {
	DraftID string `json:"draft_id"`
	Version int    `json:"version,omitempty" jsonschema:"the newest when it is missing"`
}

func (c *mcpCaller) draft(ctx context.Context, in mcpDraftIn) (mcpDraft, error) {
	if err := ids("draft", in.DraftID); err != nil {
		return mcpDraft{}, err
	}
	d, err := c.s.Drafts.Draft(ctx, c.workspace(), in.DraftID)
	if err != nil {
		return mcpDraft{}, err
	}
	out := toMCPDraft(d)
	if run, err := c.s.Runs.Run(ctx, c.workspace(), d.RunID); err == nil { // of an imported or old draft there is none
		if run.Failure != nil && d.Status == draft.Failed {
			out.Error = run.Failure.Detail
		}
		if run.Question != nil {
			out.Question = run.Question.Text
		}
	}
	if in.Version == 0 {
		in.Version = d.Version
	}
	if in.Version == 0 {
		return out, nil
	}
	v, err := c.s.Drafts.Version(ctx, c.workspace(), d.ID, in.Version)
	if err != nil {
		return mcpDraft{}, err
	}
	out.Version, out.Title, out.Content = v.Number, v.Title, v.Content
	for _, x := range v.Citations {
		k := mcpCitation{Claim: x.Claim.Text, Verdict: string(x.Verdict.Label), Sources: []mcpSource{}}
		for i, s := range x.Spans {
			k.Sources = append(k.Sources, mcpSource{i + 1, s.DocumentID, s.DocumentName, s.PassageID, s.Page, s.Quote, s.URL})
		}
		out.Citations = append(out.Citations, k)
	}
	return out, nil
}

type mcpGenerateIn struct {
	DocumentIDs  []string `json:"document_ids" jsonschema:"what to write from"`
	Title        string   `json:"title,omitempty"`
	Instructions string   `json:"instructions,omitempty" jsonschema:"what the post should be"`
	Topics       []string `json:"topics,omitempty"`
	Language     string   `json:"language,omitempty" jsonschema:"such as en"`
	Words        int      `json:"words,omitempty" jsonschema:"how long, 50 to 20000"`
}

type mcpRunOut struct {
	DraftID string `json:"draft_id"`
	RunID   string `json:"run_id"`
	Status  string `json:"status" jsonschema:"of the run; get_draft tells when it is done"`
}

func (c *mcpCaller) generate(ctx context.Context, in mcpGenerateIn) (mcpRunOut, error) {
	if err := ids("document", in.DocumentIDs...); err != nil {
		return mcpRunOut{}, err
	}
	switch {
	case in.Words != 0 && (in.Words < 50 || in.Words > 20000):
		return mcpRunOut{}, fault.Bad("words", "out_of_range", "words is 50 to 20000.")
	case len(in.DocumentIDs) > 500 || len(in.Title) > 300 || len(in.Instructions) > 20000 || len(in.Topics) > 50:
		return mcpRunOut{}, fault.New(fault.Invalid, "too_long", "A post has at most 500 documents, a title of 300 bytes, instructions of 20000 and 50 topics.")
	}
	d, r, err := c.s.Drafts.Generate(ctx, c.workspace(), draft.Wish{DocumentIDs: in.DocumentIDs, Title: in.Title, Instructions: in.Instructions, Author: userOf(c.caller).ID,
		Brief: draft.Brief{Topics: in.Topics, Language: in.Language, Words: in.Words}}, nil, nil, nil)
	return mcpRunOut{d.ID, r.ID, string(r.Status)}, err
}

type mcpRefineIn struct {
	DraftID  string `json:"draft_id"`
	Feedback string `json:"feedback" jsonschema:"what to change"`
	Start    int    `json:"start,omitempty" jsonschema:"UTF-8 byte offsets of the part to change; the whole when they are missing"`
	End      int    `json:"end,omitempty"`
	Mode     string `json:"mode,omitempty" jsonschema:"proposal (as a rule) or apply"`
}

func (c *mcpCaller) refine(ctx context.Context, in mcpRefineIn) (mcpRunOut, error) {
	if err := ids("draft", in.DraftID); err != nil {
		return mcpRunOut{}, err
	}
	switch {
	case in.Feedback == "" || len(in.Feedback) > 20000:
		return mcpRunOut{}, fault.Bad("feedback", "required", "Say what to change, in at most 20000 bytes.")
	case in.Start < 0 || in.End < in.Start:
		return mcpRunOut{}, fault.Bad("end", "out_of_range", "A part begins at 0 or later, and does not end before it begins.")
	case in.Mode != "" && in.Mode != "proposal" && in.Mode != "apply":
		return mcpRunOut{}, fault.Bad("mode", "invalid", "mode is proposal or apply, not %q.", in.Mode)
	}
	wish := draft.Refinement{DraftID: in.DraftID, Feedback: in.Feedback, Apply: in.Mode == "apply", Author: userOf(c.caller).ID}
	if in.End > 0 {
		wish.Selection = &draft.Selection{Start: in.Start, End: in.End}
	}
	r, err := c.s.Drafts.Refine(ctx, c.workspace(), 0, wish, nil)
	return mcpRunOut{in.DraftID, r.ID, string(r.Status)}, err
}
