package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/fault"
)

// Uploads have a handler of their own: the files stream from the connection to the disk, part by part, and never rest in
// memory or in a temporary file of the form parser.

// uploadStall is how long a client may send nothing.
const uploadStall = 30 * time.Second

// maxFiles of one request.
const maxFiles = 500

type uploadResult struct {
	Filename string         `json:"filename"`
	Status   int            `json:"status" doc:"As a single upload would have answered"`
	Document *documentShape `json:"document,omitempty"`
	Problem  *Problem       `json:"problem,omitempty"`
}

type uploadResults struct {
	Results []uploadResult `json:"results"`
}

func (s *server) handleUpload(path string) {
	s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.authenticate(r.Context(), r.Header, account.ScopeWrite)
		if err == nil {
			r = r.WithContext(ctx)
			err = s.upload(w, r)
		}
		if err != nil {
			writeProblem(w, r, err)
		}
	})
	one, doc := s.schemaOf(uploadResults{}), s.schemaOf(documentShape{})
	jsonOf := func(d string, sc *huma.Schema) *huma.Response {
		return &huma.Response{Description: d, Content: map[string]*huma.MediaType{"application/json": {Schema: sc}}}
	}
	op := &huma.Operation{
		Method: "POST", Path: path, OperationID: "upload", Tags: []string{"documents"}, Summary: "Upload one file or several",
		Description: "One file answers with its document: 201, or 200 when the workspace has these bytes already. Several answer 207 with a result for each; one bad file never fails the rest.",
		Security:    anyKey,
		Parameters: []*huma.Param{
			{Name: "process", In: "query", Schema: &huma.Schema{Type: "boolean", Default: true}, Description: "Begin to process at once"},
			{Name: "force", In: "query", Schema: &huma.Schema{Type: "boolean", Default: false}, Description: "A new document although these bytes are there"},
			{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string"}},
		},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{Type: "object",
			Properties: map[string]*huma.Schema{"file": binary, "files": {Type: "array", Items: binary}}}}}},
		Responses: map[string]*huma.Response{
			"200": jsonOf("These bytes were there", doc), "201": jsonOf("Stored", doc), "207": jsonOf("Several files", one),
			"default": s.errorResponse(),
		},
	}
	tellScope(op)
	s.api.OpenAPI().AddOperation(op)
}

func (s *server) upload(w http.ResponseWriter, r *http.Request) error {
	process, err := boolQuery(r, "process", true)
	if err != nil {
		return err
	}
	force, err := boolQuery(r, "force", false)
	if err != nil {
		return err
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 255 {
		return fault.Bad("header.Idempotency-Key", "too_long", "An Idempotency-Key has at most 255 bytes.")
	}
	if r.ContentLength > s.MaxUpload*maxFiles {
		return document.TooLarge(s.MaxUpload)
	}
	r.Body = &patient{ReadCloser: r.Body, c: http.NewResponseController(w)}
	form, err := r.MultipartReader()
	if err != nil {
		return fault.New(fault.Unsupported, "not_multipart", "Send multipart/form-data with the file in a part named file.").Because(err)
	}
	var results []uploadResult
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fault.New(fault.Malformed, "upload_broken", "The upload ended before it was whole. What came before it was kept; send the rest again.").Because(err)
		}
		if part.FormName() != "file" && part.FormName() != "files" {
			return fault.Bad("body."+part.FormName(), "unknown_field", "Files come in parts named file or files.")
		}
		if len(results) == maxFiles {
			return fault.New(fault.TooLarge, "too_many_files", "At most %d files at once.", maxFiles)
		}
		results = append(results, s.take(r.Context(), part, process, force, key, len(results)))
	}
	switch {
	case len(results) == 0:
		return fault.Bad("body.file", "required", "There is no file: send it in a part named file.")
	case len(results) > 1:
		return writeJSON(w, http.StatusMultiStatus, uploadResults{results})
	case results[0].Problem != nil:
		return results[0].Problem
	}
	w.Header().Set("Location", "/api/v1/documents/"+results[0].Document.ID)
	return writeJSON(w, results[0].Status, results[0].Document)
}

// take stores one part; what goes wrong with it is its own result.
func (s *server) take(ctx context.Context, part *multipart.Part, process, force bool, key string, n int) uploadResult {
	once := onceOf(key, fmt.Sprintf("upload %v %v %s", process, force, part.FileName()), nil)
	if once != nil && n > 0 {
		once.Key = fmt.Sprintf("%s#%d", once.Key, n)
	}
	d, added, err := s.Documents.Take(ctx, document.Upload{Workspace: workspaceOf(ctx), Filename: part.FileName(), ContentType: part.Header.Get("Content-Type"),
		Bytes: part, Process: process, Force: force, Once: once})
	if err != nil {
		p := problemOf(ctx, err)
		return uploadResult{Filename: part.FileName(), Status: p.Status, Problem: p}
	}
	doc := toDocument(d)
	out := uploadResult{Filename: doc.Filename, Status: http.StatusOK, Document: &doc}
	if added {
		out.Status = http.StatusCreated
	}
	return out
}

func boolQuery(r *http.Request, name string, otherwise bool) (bool, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, fault.Bad("query."+name, "invalid", "%s is true or false, not %q.", name, v)
	}
	return b, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return ignoreGone(json.NewEncoder(w).Encode(v))
}

// ignoreGone drops the error of writing to a client that has left: there is nobody to tell.
func ignoreGone(error) error { return nil }

// patient is a request body that may take as long as it wants while it moves, and is cut when it stalls.
type patient struct {
	io.ReadCloser
	c    *http.ResponseController
	next time.Time
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); now.After(p.next) { // a new deadline each second is enough
		p.next = now.Add(time.Second)
		if err := p.c.SetReadDeadline(now.Add(uploadStall)); err != nil {
			return 0, err
		}
	}
	return p.ReadCloser.Read(b)
}
