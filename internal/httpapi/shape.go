package httpapi

import (
	"encoding/json"
	"time"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/runs"
	"byline/internal/search"
)

// This file is the shapes of the wire and how rooms' values become them.

type userShape struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	FullName  string    `json:"full_name,omitempty"`
	Role      string    `json:"role" enum:"admin,member"`
	CreatedAt time.Time `json:"created_at"`
}

func toUser(u account.User) userShape {
	return userShape{u.ID, u.Email, u.FullName, string(u.Role), u.CreatedAt.UTC()}
}

type progressShape struct {
	Done int `json:"done"`
	Of   int `json:"of"`
}

type documentShape struct {
	ID           string         `json:"id"`
	Filename     string         `json:"filename" doc:"As the client named it; display text only"`
	FileType     string         `json:"file_type" enum:"pdf,audio,image,markdown,text,html,office"`
	Size         int64          `json:"size" doc:"Bytes"`
	SHA256       string         `json:"sha256"`
	Title        string         `json:"title,omitempty"`
	Origin       string         `json:"origin" enum:"upload,url,web" doc:"web: found by a web search of a run"`
	SourceURL    string         `json:"source_url,omitempty" doc:"Where it was fetched from"`
	FetchedAt    *time.Time     `json:"fetched_at,omitempty"`
	Author       string         `json:"author,omitempty" doc:"As the document itself says"`
	PublishedAt  *time.Time     `json:"published_at,omitempty" doc:"Likewise"`
	Status       string         `json:"status" enum:"pending,processing,completed,failed"`
	Stage        string         `json:"stage,omitempty" enum:"stored,extracted,chunked,indexed,embedded" doc:"The last stage that is done"`
	Progress     *progressShape `json:"progress,omitempty" doc:"Of the stage under way"`
	PageCount    int            `json:"page_count,omitempty"`
	ChunkCount   int            `json:"chunk_count" doc:"How many passages it has"`
	Language     string         `json:"language,omitempty" doc:"ISO 639-1"`
	ErrorCode    string         `json:"error_code,omitempty"`
	ErrorMessage string         `json:"error_message,omitempty"`
	Tags         []string       `json:"tags"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
}

func toDocument(d document.Document) documentShape {
	out := documentShape{
		ID: d.ID, Filename: d.Filename, FileType: d.Type, Size: d.Size, SHA256: d.SHA256, Title: d.Title, Status: string(d.Status), Stage: string(d.Stage),
		PageCount: d.PageCount, ChunkCount: d.PassageCount, Language: d.Language, ErrorCode: d.ErrorCode, ErrorMessage: d.ErrorMessage,
		Tags: list(d.Tags), CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
		Origin: string(d.Origin), SourceURL: d.SourceURL, FetchedAt: known(d.FetchedAt), Author: d.Author, PublishedAt: known(d.PublishedAt),
	}
	if d.Progress != nil {
		out.Progress = &progressShape{d.Progress.Done, d.Progress.Of}
	}
	return out
}

// known is a time that may be missing.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

type boxShape struct {
	Page int        `json:"page"`
	Quad [8]float32 `json:"quad" doc:"Four corners x, y in points from the top left of the page, clockwise from the top left"`
}

type passageShape struct {
	ID          string     `json:"id"`
	DocumentID  string     `json:"document_id"`
	Text        string     `json:"text"`
	PageFrom    int        `json:"page_from,omitempty"`
	PageTo      int        `json:"page_to,omitempty"`
	Start       int        `json:"start" doc:"UTF-8 byte offset in the document's text"`
	End         int        `json:"end"`
	HeadingPath []string   `json:"heading_path"`
	Boxes       []boxShape `json:"boxes,omitempty"`
	Hash        string     `json:"hash"`
}

func toPassage(p document.Passage, boxes []document.Box) passageShape {
	out := passageShape{ID: p.ID, DocumentID: p.DocumentID, Text: p.Text, PageFrom: p.PageFrom, PageTo: p.PageTo, Start: p.Start, End: p.End,
		HeadingPath: list(p.HeadingPath), Hash: p.Hash}
	for _, b := range boxes {
		out.Boxes = append(out.Boxes, boxShape{b.Page, [8]float32{b.X0, b.Y0, b.X1, b.Y0, b.X1, b.Y1, b.X0, b.Y1}})
	}
	return out
}

type spanShape struct {
	Start int `json:"start" doc:"UTF-8 bytes"`
	End   int `json:"end"`
}

type termShape struct {
	Term      string  `json:"term"`
	Frequency int     `json:"frequency"`
	IDF       float64 `json:"idf"`
	Score     float64 `json:"score"`
}

type legShape struct {
	Rank   int     `json:"rank,omitempty" doc:"From 1; absent when this way of searching did not find it"`
	Score  float64 `json:"score" doc:"BM25, or the cosine"`
	Weight float64 `json:"weight" doc:"Its say in this search"`
	Part   float64 `json:"part" doc:"Of the fused score"`
	Why    string  `json:"why,omitempty" doc:"Why it has less say than usual: unknown_words, language, no_embedder, constant, ..."`
}

type explainShape struct {
	Score   float64 `json:"score" doc:"What the order is by"`
	Lexical struct {
		legShape
		Terms []termShape `json:"terms"`
	} `json:"lexical"`
	Vector legShape `json:"vector"`
}

type hitShape struct {
	Content      string        `json:"content"`
	DocumentID   string        `json:"document_id"`
	DocumentName string        `json:"document_name"`
	Score        float64       `json:"score" minimum:"0" maximum:"1" doc:"How much of the question the passage answers; the order is the ranking's"`
	PassageID    string        `json:"passage_id"`
	Page         int           `json:"page,omitempty"`
	Start        int           `json:"start" doc:"UTF-8 byte offset in the document's text"`
	End          int           `json:"end"`
	Highlights   []spanShape   `json:"highlights" doc:"Places in content, in UTF-8 bytes"`
	Before       string        `json:"before,omitempty" doc:"What stands before it, with expand"`
	After        string        `json:"after,omitempty"`
	Metadata     hitMetadata   `json:"metadata"`
	Explain      *explainShape `json:"explain,omitempty"`
}

type hitMetadata struct {
	HeadingPath []string `json:"heading_path"`
	Language    string   `json:"language,omitempty"`
	Ord         int      `json:"ord" doc:"Which passage of its document, from 0"`
}

func toHit(h search.Hit) hitShape {
	p := h.Passage
	out := hitShape{Content: p.Text, DocumentID: p.DocumentID, DocumentName: h.DocumentName, Score: h.Score, PassageID: p.ID, Page: p.PageFrom,
		Start: p.Start, End: p.End, Highlights: []spanShape{}, Before: h.Before, After: h.After, Metadata: hitMetadata{list(p.HeadingPath), p.Language, p.Ord}}
	for _, s := range h.Highlights {
		out.Highlights = append(out.Highlights, spanShape(s))
	}
	if h.Explain != nil {
		e := &explainShape{}
		e.Score, e.Lexical.legShape, e.Vector, e.Lexical.Terms = h.Explain.Fused, legShape(h.Explain.Lexical), legShape(h.Explain.Vector), []termShape{}
		for _, t := range h.Explain.Terms {
			e.Lexical.Terms = append(e.Lexical.Terms, termShape(t))
		}
		out.Explain = e
	}
	return out
}

type subjectShape struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type failureShape struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

type runShape struct {
	ID        string         `json:"id"`
	Kind      string         `json:"kind" doc:"process, snapshot, generate, query, refine, chat, sync"`
	Status    string         `json:"status" enum:"queued,running,waiting,completed,failed,cancelled"`
	Subject   subjectShape   `json:"subject"`
	SessionID string         `json:"session_id,omitempty"`
	LastSeq   int64          `json:"last_seq" doc:"Of its newest event"`
	Attempt   int            `json:"attempt"`
	Usage     *usageShape    `json:"usage,omitempty" doc:"Of models; missing when none was asked"`
	Error     *failureShape  `json:"error,omitempty"`
	Question  *questionShape `json:"question,omitempty" doc:"What a waiting run waits for"`
	CreatedAt time.Time      `json:"created_at"`
	EndedAt   *time.Time     `json:"ended_at,omitempty"`
}

type choiceShape struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

type questionShape struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind" enum:"text,choice,confirm,outline,file" doc:"What an answer is: a string, a choice's value, a boolean, a boolean or titles, a document's id"`
	Text      string          `json:"text"`
	Choices   []choiceShape   `json:"choices,omitempty"`
	Data      json.RawMessage `json:"data,omitempty" doc:"What it is about, such as the outline"`
	ExpiresAt *time.Time      `json:"expires_at,omitempty"`
}

func toQuestion(q runs.Question) *questionShape {
	out := &questionShape{ID: q.ID, Kind: string(q.Kind), Text: q.Text, Data: q.Data}
	for _, c := range q.Choices {
		out.Choices = append(out.Choices, choiceShape(c))
	}
	if !q.ExpiresAt.IsZero() {
		t := q.ExpiresAt.UTC()
		out.ExpiresAt = &t
	}
	return out
}

func toRun(r runs.Run) runShape {
	out := runShape{ID: r.ID, Kind: string(r.Kind), Status: string(r.Status), Subject: subjectShape(r.Subject), SessionID: r.SessionID,
		LastSeq: r.LastSeq, Attempt: r.Attempt, CreatedAt: r.CreatedAt.UTC()}
	if r.Failure != nil {
		out.Error = &failureShape{r.Failure.Code, r.Failure.Detail}
	}
	if r.Question != nil {
		out.Question = toQuestion(*r.Question)
	}
	if !r.EndedAt.IsZero() {
		t := r.EndedAt.UTC()
		out.EndedAt = &t
	}
	return out
}

type draftShape struct {
	ID          string    `json:"id"`
	SessionID   string    `json:"session_id,omitempty"`
	Title       string    `json:"title"`
	Content     string    `json:"content" doc:"Markdown; citations stand beside it, see the version"`
	Status      string    `json:"status" enum:"draft,generating,completed,published,failed"`
	Version     int       `json:"version" doc:"Of the newest version; 0 before the first"`
	DocumentIDs []string  `json:"document_ids"`
	Categories  []string  `json:"categories"`
	Tags        []string  `json:"tags"`
	Summary     string    `json:"summary,omitempty" doc:"Suggested by the writer: one or two sentences for lists"`
	Slug        string    `json:"slug,omitempty" doc:"Suggested by the writer: the last part of the post's address"`
	RunID       string    `json:"run_id,omitempty"`
	Stale       bool      `json:"stale,omitempty" doc:"A source that the newest version cites was processed anew or deleted since; its evidence tells more"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func toDraft(d draft.Draft) draftShape {
	return draftShape{d.ID, d.SessionID, d.Title, d.Content, string(d.Status), d.Version, list(d.DocumentIDs), list(d.Categories), list(d.Tags),
		d.Summary, d.Slug, d.RunID, d.Stale, d.CreatedAt.UTC(), d.UpdatedAt.UTC()}
}

type claimShape struct {
	Start int    `json:"start" doc:"UTF-8 byte offset in the version's content"`
	End   int    `json:"end"`
	Text  string `json:"text"`
}

type verdictShape struct {
	Label    string      `json:"label" enum:"supported,partly,unsupported,contradicted,unchecked"`
	Score    float64     `json:"score"`
	Reasons  []string    `json:"reasons"`
	Checker  string      `json:"checker,omitempty" enum:"lexical,model" doc:"Absent: the claim is its quote, word for word"`
	Missing  []string    `json:"missing_tokens,omitempty" doc:"Words of the claim that the spans do not say"`
	Evidence *placeShape `json:"evidence,omitempty" doc:"The place that says most of the claim"`
}

type placeShape struct {
	Span  int    `json:"span" doc:"Index of the span"`
	Start int    `json:"start" doc:"UTF-8 byte offset in its quote"`
	End   int    `json:"end"`
	Quote string `json:"quote"`
}

type citedShape struct {
	DocumentID   string      `json:"document_id"`
	DocumentName string      `json:"document_name"`
	PassageID    string      `json:"passage_id"`
	Start        int         `json:"start" doc:"UTF-8 byte offset in the text that was cited"`
	End          int         `json:"end"`
	Quote        string      `json:"quote" doc:"Equals that text at start:end"`
	Page         int         `json:"page,omitempty"`
	Gone         bool        `json:"source_deleted,omitempty"`
	Title        string      `json:"title,omitempty" doc:"Of a page of the web"`
	URL          string      `json:"url,omitempty" doc:"Where a page of the web was fetched from"`
	FetchedAt    time.Time   `json:"fetched_at,omitzero" doc:"And when"`
	Changed      bool        `json:"source_changed,omitempty" doc:"The document was processed anew, and the quote does not stand at its place"`
	Now          *foundShape `json:"now,omitempty" doc:"Where a quote stands in the text of today, if its source has changed"`
}

type foundShape struct {
	How   string `json:"how" enum:"moved,context,fuzzy,lost" doc:"moved: word for word at another place; context: its surroundings are there, with other words between them; fuzzy: a sentence there has most of its words"`
	Start int    `json:"start"`
	End   int    `json:"end"`
}

type citationShape struct {
	ID      string       `json:"id"`
	Claim   claimShape   `json:"claim"`
	Verdict verdictShape `json:"verdict"`
	Spans   []citedShape `json:"spans"`
	Stale   bool         `json:"stale,omitempty" doc:"A source does not say any more what is quoted"`
}

func toCitation(c draft.Citation) citationShape {
	out := citationShape{ID: c.ID, Claim: claimShape(c.Claim), Spans: []citedShape{}, Verdict: verdictShape{
		Label: string(c.Verdict.Label), Score: c.Verdict.Score, Reasons: list(c.Verdict.Reasons), Checker: c.Verdict.Checker, Missing: c.Verdict.Missing}}
	if e := c.Verdict.Evidence; e != nil {
		out.Verdict.Evidence = &placeShape{e.Span, e.Start, e.End, e.Quote}
	}
	for _, s := range c.Spans {
		out.Spans = append(out.Spans, citedShape{DocumentID: s.DocumentID, DocumentName: s.DocumentName, PassageID: s.PassageID, Start: s.Start, End: s.End,
			Quote: s.Quote, Page: s.Page, Gone: s.Gone, Title: s.Title, URL: s.URL, FetchedAt: s.FetchedAt})
	}
	return out
}

func toCitations(cs []draft.Citation) []citationShape {
	out := []citationShape{}
	for _, c := range cs {
		out = append(out, toCitation(c))
	}
	return out
}

type versionShape struct {
	Number    int              `json:"number"`
	ID        string           `json:"id"`
	ParentIDs []string         `json:"parent_ids"`
	Author    string           `json:"author,omitempty" doc:"A user's id; absent for the writer"`
	Cause     string           `json:"cause" enum:"generate,refine,edit,autosave,restore,merge,import"`
	Title     string           `json:"title"`
	Content   *string          `json:"content,omitempty"`
	Message   string           `json:"message,omitempty"`
	Words     int              `json:"words"`
	Citations *[]citationShape `json:"citations,omitempty"`
	CreatedAt time.Time        `json:"created_at"`
}

func toVersion(v draft.Version) versionShape {
	return versionShape{Number: v.Number, ID: v.ID, ParentIDs: list(v.Parents), Author: v.Author, Cause: string(v.Cause), Title: v.Title,
		Message: v.Message, Words: v.Words, CreatedAt: v.CreatedAt.UTC()}
}

// list makes nil an empty list: the wire has no null for lists.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
