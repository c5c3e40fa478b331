package httpapi

import (
	"context"
	"fmt"

	"mime"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/document"
	"byline/internal/fault"
	"byline/internal/ident"
)

// CursorIn asks for a page of a list.
type CursorIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

func (c CursorIn) check() error {
	if c.Cursor != "" && !ident.Valid(c.Cursor) {
		return fault.Bad("query.cursor", "bad_cursor", "This cursor is not one of ours; leave it out to begin at the first page.")
	}
	return nil
}

// next is the cursor behind a page: nil when the page is not full.
func next[T any](page []T, limit int, id func(T) string) *string {
	if len(page) < limit {
		return nil
	}
	c := id(page[len(page)-1])
	return &c
}

// DocumentPath names a document.
type DocumentPath struct {
	ID string `path:"doc_id"`
}

type documentOut struct{ Body documentShape }

type listDocumentsIn struct {
	CursorIn
	Status string `query:"status" enum:"pending,processing,completed,failed"`
	Type   string `query:"type"`
	Tag    string `query:"tag"`
	Origin string `query:"origin" enum:"upload,url,web"`
	Query  string `query:"q" maxLength:"200" doc:"In file name or title"`
}

type documentsBody struct {
	Documents []documentShape `json:"documents"`
	Total     int             `json:"total"`
	Next      *string         `json:"next" nullable:"true"`
}

// rawOut is a body that is written already. Its operation names the schema.
type rawOut struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// listDocuments keeps the pages that it wrote for as long as no document changes: lists are what clients poll.
func (s *server) listDocuments(ctx context.Context, in *listDocumentsIn) (*rawOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	ws := workspaceOf(ctx)
	body, err := s.pages.get(pageKey{ws, *in}, s.Documents.Changes, func() (any, error) {
		page, total, err := s.Documents.Documents(ctx, ws, document.Filter{Status: document.Status(in.Status), Type: in.Type, Tag: in.Tag, Origin: document.Origin(in.Origin),
			Query: in.Query, Cursor: in.Cursor, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		out := documentsBody{Documents: make([]documentShape, 0, len(page)), Total: total}
		for _, d := range page {
			out.Documents = append(out.Documents, toDocument(d))
		}
		out.Next = next(page, in.Limit, func(d document.Document) string { return d.ID })
		return out, nil
	})
	return &rawOut{"application/json", body}, err
}

func (s *server) getDocument(ctx context.Context, in *DocumentPath) (*documentOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	d, err := s.Documents.Document(ctx, workspaceOf(ctx), in.ID)
	return &documentOut{toDocument(d)}, err
}

type patchDocumentIn struct {
	DocumentPath
	Body struct {
		Strict
		Title *string   `json:"title,omitempty" maxLength:"300"`
		Tags  *[]string `json:"tags,omitempty" maxItems:"50"`
	}
}

func (s *server) patchDocument(ctx context.Context, in *patchDocumentIn) (*documentOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	d, err := s.Documents.Update(ctx, workspaceOf(ctx), in.ID, document.Patch{Title: in.Body.Title, Tags: in.Body.Tags})
	return &documentOut{toDocument(d)}, err
}

type deleteDocumentIn struct {
	DocumentPath
	Purge bool `query:"purge_quotes" doc:"Remove its quotes from citations too"`
}

type deleteDocumentOut struct {
	Body struct {
		Drafts []draftRefShape `json:"drafts" doc:"Drafts that hold text of it"`
	}
}

type draftRefShape struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

func (s *server) deleteDocument(ctx context.Context, in *deleteDocumentIn) (*deleteDocumentOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	gone, err := s.Documents.Delete(ctx, workspaceOf(ctx), in.ID, in.Purge)
	if err != nil {
		return nil, err
	}
	out := &deleteDocumentOut{}
	out.Body.Drafts = []draftRefShape{}
	for _, d := range gone.Drafts {
		out.Body.Drafts = append(out.Body.Drafts, draftRefShape(d))
	}
	return out, nil
}

type processIn struct {
	DocumentPath
	Key   string `header:"Idempotency-Key" maxLength:"255"`
	Force bool   `query:"force" doc:"Anew, although it is complete; the old text is served until the new one is there"`
	From  string `query:"from_stage" enum:"stored,extracted,chunked,indexed" doc:"Keep what was made up to this stage"`
}

type runBody struct {
	Run runShape `json:"run"`
}

type runOut struct {
	Status int
	Body   runBody
}

func (s *server) processDocument(ctx context.Context, in *processIn) (*runOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("process %s %v %s", in.ID, in.Force, in.From)
	r, started, err := s.Documents.Process(ctx, workspaceOf(ctx), in.ID, in.Force, document.Stage(in.From), onceOf(in.Key, what, nil))
	if err != nil {
		return nil, err
	}
	out := &runOut{Status: http.StatusAccepted}
	if !started && r.Status.Terminal() {
		out.Status = http.StatusOK
	}
	out.Body.Run = toRun(r)
	return out, nil
}

type listPassagesIn struct {
	DocumentPath
	Limit  int  `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor int  `query:"cursor" minimum:"0" doc:"next of the page before"`
	Boxes  bool `query:"boxes" doc:"With the rectangles on their pages"`
}

type passagesOut struct {
	Body struct {
		Passages []passageShape `json:"passages"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listPassages(ctx context.Context, in *listPassagesIn) (*passagesOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	ws := workspaceOf(ctx)
	page, total, err := s.Documents.Passages(ctx, ws, in.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &passagesOut{}
	out.Body.Passages, out.Body.Total = []passageShape{}, total
	boxes := make([][]document.Box, len(page))
	if in.Boxes {
		if boxes, err = s.Documents.Boxes(ctx, ws, in.ID, page); err != nil {
			return nil, err
		}
	}
	for i, p := range page {
		out.Body.Passages = append(out.Body.Passages, toPassage(p, boxes[i]))
	}
	if at := in.Cursor + len(page); at < total {
		c := strconv.Itoa(at)
		out.Body.Next = &c
	}
	return out, nil
}

type getTextIn struct {
	DocumentPath
	Start int `query:"start" minimum:"0" doc:"UTF-8 byte offset"`
	Limit int `query:"limit" minimum:"1" maximum:"16777216" default:"1048576" doc:"Bytes at most"`
}

type textOut struct {
	Body struct {
		Text   string  `json:"text"`
		Start  int     `json:"start"`
		End    int     `json:"end"`
		Length int     `json:"length" doc:"Of the whole text, in UTF-8 bytes"`
		Next   *string `json:"next" nullable:"true" doc:"start of the next part"`
	}
}

func (s *server) getText(ctx context.Context, in *getTextIn) (*textOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	text, length, err := s.Documents.Text(ctx, workspaceOf(ctx), in.ID, in.Start, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &textOut{}
	b := &out.Body
	b.Text, b.Start, b.End, b.Length = text, in.Start, in.Start+len(text), length
	if b.End < length && len(text) > 0 {
		c := strconv.Itoa(b.End)
		b.Next = &c
	}
	return out, nil
}

func (s *server) getContent(ctx context.Context, in *DocumentPath) (*huma.StreamResponse, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	d, f, err := s.Documents.Open(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer f.Close()
		r, w := humago.Unwrap(c)
		// Never shown in place: it is somebody's file, and could be a page with scripts under another name.
		attachment(w.Header(), d.Filename, "application/octet-stream")
		w.Header().Set("ETag", `"`+d.SHA256+`"`)
		http.ServeContent(w, r, "", d.CreatedAt, f)
	}}, nil
}

// attachment names a download (RFC 6266: mime encodes what is not ASCII by RFC 5987).
func attachment(h http.Header, name, mediaType string) {
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
}

type getPageIn struct {
	DocumentPath
	Number int `path:"number" minimum:"1"`
	DPI    int `query:"dpi" minimum:"36" maximum:"300" default:"110"`
}

type pngOut struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	Body         []byte
}

func (s *server) getPage(ctx context.Context, in *getPageIn) (*pngOut, error) {
	if err := idParam("document", in.ID); err != nil {
		return nil, err
	}
	d, f, err := s.Documents.Open(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if d.Type != document.TypePDF {
		return nil, fault.New(fault.NotFound, "no_pages", "A document of the type %s has no pages; read its text instead.", d.Type)
	}
	png, err := s.Render(ctx, f, in.Number, in.DPI)
	if err != nil {
		return nil, err
	}
	return &pngOut{"image/png", "private, max-age=86400, immutable", png}, nil
}
