package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"byline/internal/account"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
)

// This file and its neighbours mcp*.go are the Model Context Protocol's server: what a caller may do here, as tools and resources of their
// own programs. A request stands alone: it has no session to be taken over, and any replica can answer it.

const mcpInstructions = `The caller's library of documents. search_documents finds passages; ask answers a question from them with citations; ` +
	`get_passage and the resource document://{document_id} give the words of a source. Drafts are posts written from documents: generate_draft begins one, get_draft tells when it is done.`

// mcpRoutes registers the server at /mcp.
func (s *server) mcpRoutes() {
	cache := mcp.NewSchemaCache()
	handler := mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server { return s.mcpServer(r.Context(), cache) },
		// Nobody has rights here by where they are, so a name that was pointed at this machine gets nobody anything.
		&mcp.StreamableHTTPOptions{Stateless: true, MaxRequestBodyBytes: maxBody, DisableLocalhostProtection: true})
	s.mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.authenticate(r.Context(), r.Header, account.ScopeRead)
		if err != nil {
			writeProblem(w, r, err)
			return
		}
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
	message := &huma.Schema{Type: "object", AdditionalProperties: true}
	op := &huma.Operation{Method: "POST", Path: "/mcp", OperationID: "mcp", Tags: []string{"mcp"}, Summary: "Model Context Protocol (streamable HTTP, stateless)",
		Security: anyKey, Metadata: map[string]any{scoped: account.ScopeRead},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: message}}},
		Responses: map[string]*huma.Response{
			"200":     {Description: "A message, or a stream of them", Content: map[string]*huma.MediaType{"application/json": {Schema: message}, "text/event-stream": {Schema: &huma.Schema{Type: "string"}}}},
			"202":     {Description: "A notification was taken"},
			"400":     {Description: "No message of the protocol", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}},
			"default": s.errorResponse(),
		}}
	tellScope(op)
	s.api.OpenAPI().AddOperation(op)
}

// mcpServer is what one caller has here.
func (s *server) mcpServer(caller context.Context, cache *mcp.SchemaCache) *mcp.Server {
	m := mcp.NewServer(&mcp.Implementation{Name: "byline", Title: s.Name, Version: s.Version},
		&mcp.ServerOptions{Instructions: mcpInstructions, SchemaCache: cache, Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}, Resources: &mcp.ResourceCapabilities{}}})
	c := &mcpCaller{s, caller}
	read := &mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: new(bool)}
	adds := &mcp.ToolAnnotations{DestructiveHint: new(bool), OpenWorldHint: new(bool)}
	addTool(c, m, &mcp.Tool{Name: "search_documents", Annotations: read, Description: "Find passages of the documents, by words and by meaning, the best first."}, c.search)
	addTool(c, m, &mcp.Tool{Name: "get_passage", Annotations: read, Description: "One passage whole, with its place in its document."}, c.passage)
	addTool(c, m, &mcp.Tool{Name: "ask", Annotations: read, Description: "Answer a question from the documents. Each claim has citations that were verified; without evidence it says so."}, c.ask)
	addTool(c, m, &mcp.Tool{Name: "list_drafts", Annotations: read, Description: "List drafts, newest first."}, c.drafts)
	addTool(c, m, &mcp.Tool{Name: "get_draft", Annotations: read, Description: "A draft with its text and citations. While its status is generating, its text is not there yet."}, c.draft)
	addTool(c, m, &mcp.Tool{Name: "generate_draft", Annotations: adds, Description: "Begin to write a cited post from documents. It takes a while: get_draft tells when it is done."}, c.generate)
	addTool(c, m, &mcp.Tool{Name: "refine_draft", Annotations: adds, Description: "Change a draft as a feedback wishes: as a proposal to accept or reject, or at once."}, c.refine)
	m.AddResourceTemplate(&mcp.ResourceTemplate{Name: "document", URITemplate: documentURI + "{document_id}", MIMEType: "text/plain", Description: "The text of a document"}, c.readDocument)
	m.AddResourceTemplate(&mcp.ResourceTemplate{Name: "draft", URITemplate: draftURI + "{draft_id}", MIMEType: "text/markdown", Description: "The newest version of a draft"}, c.readDraft)
	m.AddReceivingMiddleware(c.list)
	return m
}

// mcpCaller is somebody with what is theirs. Its handlers are run with contexts of the protocol's, which know nobody.
type mcpCaller struct {
	s      *server
	caller context.Context
}

func (c *mcpCaller) workspace() ident.Workspace { return workspaceOf(c.caller) }

// addTool registers a tool whose errors are told in words for people; the cause of ours stays here.
func addTool[In, Out any](c *mcpCaller, m *mcp.Server, t *mcp.Tool, do func(context.Context, In) (Out, error)) {
	mcp.AddTool(m, t, func(ctx context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var out Out
		need := account.ScopeWrite
		if t.Annotations.ReadOnlyHint {
			need = account.ScopeRead
		}
		err := grantOf(c.caller).Needs(need)
		if err == nil {
			out, err = do(ctx, in)
		}
		if err != nil {
			return nil, out, c.say(err)
		}
		return nil, out, nil
	})
}

// say is an error for the caller.
func (c *mcpCaller) say(err error) error { return errors.New(problemOf(c.caller, err).Detail) }

// ids refuses what cannot be an id as what it is: something that is not there.
func ids(noun string, list ...string) error {
	for _, id := range list {
		if err := idParam(noun, id); err != nil {
			return err
		}
	}
	return nil
}

// The schemes of resources.
const (
	documentURI = "document://"
	draftURI    = "draft://"
)

// readDocument gives a document's text.
func (c *mcpCaller) readDocument(ctx context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return c.resource(r, documentURI, "text/plain", func(id string) (string, error) {
		var b strings.Builder
		for {
			part, length, err := c.s.Documents.Text(ctx, c.workspace(), id, b.Len(), 1<<20)
			if err != nil {
				return "", err
			}
			b.WriteString(part)
			if part == "" || b.Len() >= length {
				return b.String(), nil
			}
		}
	})
}

// readDraft gives the newest version of a draft.
func (c *mcpCaller) readDraft(ctx context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return c.resource(r, draftURI, "text/markdown", func(id string) (string, error) {
		d, err := c.s.Drafts.Draft(ctx, c.workspace(), id)
		return d.Content, err
	})
}

func (c *mcpCaller) resource(r *mcp.ReadResourceRequest, scheme, media string, text func(id string) (string, error)) (*mcp.ReadResourceResult, error) {
	uri := r.Params.URI
	id := strings.TrimPrefix(uri, scheme)
	err := idParam("resource", id)
	var out string
	if err == nil {
		out, err = text(id)
	}
	switch f := fault.Of(err); {
	case err == nil:
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: uri, MIMEType: media, Text: out}}}, nil
	case f.Kind == fault.NotFound:
		return nil, mcp.ResourceNotFoundError(uri)
	}
	return nil, c.say(err)
}

// mcpPage is how many resources a page lists.
const mcpPage = 100

// list answers resources/list with the caller's documents and then drafts; all else is the server's own affair.
func (c *mcpCaller) list(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
		if method != "resources/list" {
			return next(ctx, method, r)
		}
		cursor := ""
		if p, ok := r.GetParams().(*mcp.ListResourcesParams); ok && p != nil {
			cursor = p.Cursor
		}
		out, err := c.resources(ctx, cursor)
		if err != nil {
			return nil, c.say(err)
		}
		return out, nil
	}
}

// resources lists a page. The cursor is the URI of the last one.
func (c *mcpCaller) resources(ctx context.Context, cursor string) (*mcp.ListResourcesResult, error) {
	out := &mcp.ListResourcesResult{Resources: []*mcp.Resource{}}
	after, drafts := strings.CutPrefix(cursor, draftURI)
	if !drafts {
		page, _, err := c.s.Documents.Documents(ctx, c.workspace(), document.Filter{Cursor: strings.TrimPrefix(cursor, documentURI), Limit: mcpPage + 1})
		if err != nil {
			return nil, err
		}
		for i, d := range page {
			if i == mcpPage {
				out.NextCursor = out.Resources[i-1].URI
				return out, nil
			}
			out.Resources = append(out.Resources, &mcp.Resource{URI: documentURI + d.ID, Name: d.Filename, Title: d.Title, MIMEType: "text/plain", Description: "A document, " + string(d.Status)})
		}
		after = ""
	}
	page, _, err := c.s.Drafts.Drafts(ctx, c.workspace(), draft.Filter{Cursor: after, Limit: mcpPage + 1})
	if err != nil {
		return nil, err
	}
	for i, d := range page {
		if i == mcpPage {
			out.NextCursor = out.Resources[len(out.Resources)-1].URI
			break
		}
		out.Resources = append(out.Resources, &mcp.Resource{URI: draftURI + d.ID, Name: nameOf(d), Title: d.Title, MIMEType: "text/markdown", Description: "A draft, " + string(d.Status)})
	}
	return out, nil
}

func nameOf(d draft.Draft) string {
	if d.Title == "" {
		return "draft " + d.ID
	}
	return d.Title
}
