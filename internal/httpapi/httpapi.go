// Package httpapi is how programs reach Byline: the REST interface and its event streams, described by /openapi.json.
package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/cors"

	"byline/internal/account"
	"byline/internal/agent"
	"byline/internal/blob"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/live"
	"byline/internal/llm"
	"byline/internal/ops"
	"byline/internal/runs"
	"byline/internal/search"
	"byline/internal/session"
)

// Deps are what the interface stands on.
type Deps struct {
	Name, Version string
	Origins       []string // CORS_ORIGINS
	MaxUpload     int64    // bytes of one file
	Accounts      *account.Service
	Documents     *document.Service
	Fetcher       document.Fetcher // of POST /documents/url
	WebSearch     bool             // runs may search the web when their brief says so
	Searcher      *search.Searcher
	Spaces        *search.Spaces
	Engines       *search.Router
	Feed          *search.Feed
	Drafts        *draft.Service
	Enquiries     *agent.Enquiries
	Sessions      *session.Service
	Runs          runs.Admin
	Steps         func(ctx context.Context, runID string) ([]runs.Step, error)
	Outline       func(ctx context.Context, runID string) ([]runs.Event, error) // the log without tokens
	Hub           *runs.Hub
	Streams       *Streams
	Rooms         *live.Rooms
	Render        func(ctx context.Context, f blob.File, page, dpi int) (png []byte, err error)
	Models        *llm.Catalog
	Books         llm.Books
	Currency      func() string // of the price table
	Health        *ops.Health
	Metrics       *ops.Metrics
	Log           *slog.Logger
}

type server struct {
	Deps
	api huma.API
	mux *http.ServeMux
	log *slog.Logger

	pages          pages
	settingsSchema json.RawMessage // of a session
}

// maxBody is the most that a JSON body may have, in bytes.
const maxBody = 4 << 20

// New builds the handler. mount adds pages of other faces (documentation, the plain page) to the same mux.
func New(d Deps, mount func(*http.ServeMux)) (http.Handler, error) {
	hooks()
	s := &server{Deps: d, mux: http.NewServeMux(), log: d.Log}
	s.api = humago.New(s.mux, s.describe())
	s.api.UseMiddleware(s.guard)
	s.routes()
	s.openAIRoutes()
	s.mcpRoutes()
	spec, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	s.plainRoutes(spec)
	if mount != nil {
		mount(s.mux)
	}
	handler := s.wrap(s.cors(s.mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && r.Method == http.MethodGet { // asked every second by those who watch: nothing around it
			w.Header()["Content-Type"] = jsonType
			w.Write(healthy) //nolint:errcheck // the client has gone
			return
		}
		handler.ServeHTTP(w, r)
	}), nil
}

var (
	healthy  = []byte(`{"status":"ok"}` + "\n")
	jsonType = []string{"application/json"}
)

// describe is the frame of the OpenAPI document.
func (s *server) describe() huma.Config {
	cfg := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: s.Name, Version: s.Version,
				Description: "Sources in, cited posts out. Errors are application/problem+json; lists are pages with a cursor; long actions are runs whose events stream from /api/v1/runs/{id}/events.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
			Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer":  {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
					"api_key": {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "An API key, from POST /api/v1/auth/api-keys; it may stand in Authorization: Bearer, too. x-scope of an operation says which scope it needs: write includes read, admin both."},
					"ticket":  {Type: "apiKey", In: "query", Name: "ticket", Description: "A ticket for this path, from POST /api/v1/auth/tickets: for EventSource and WebSocket, which send no headers. It is good once."},
					"pass":    {Type: "apiKey", In: "cookie", Name: passCookie, Description: "Set when a ticket is used, so that the browser can connect again by itself."},
				},
			},
			Tags: []*huma.Tag{{Name: "auth"}, {Name: "documents"}, {Name: "blog"}, {Name: "sessions"}, {Name: "runs"}, {Name: "realtime"}, {Name: "ops"}, {Name: "openai"}, {Name: "mcp"}},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	cfg.AllowAdditionalPropertiesByDefault = true // clients tolerate new fields; requests are Strict by their own tag
	return cfg
}

// guard lets only those through who say who they are, where the operation asks for it.
func (s *server) guard(c huma.Context, next func(huma.Context)) {
	if len(c.Operation().Security[0]) == 0 {
		next(c)
		return
	}
	r, w := humago.Unwrap(c)
	admit := func() (context.Context, error) { return s.authenticate(c.Context(), r.Header, scopeOf(c.Operation())) }
	if c.Operation().Metadata[ticketed] != nil {
		admit = func() (context.Context, error) { return s.admit(c.Context(), w, r) }
	}
	ctx, err := admit()
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	next(huma.WithContext(c, ctx))
}

func (s *server) cors(next http.Handler) http.Handler {
	if len(s.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:   s.Origins,
		AllowedMethods:   []string{"GET", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "If-Match", "Idempotency-Key", "Last-Event-ID", "Prefer", "X-API-Key", "X-Setup-Token"},
		ExposedHeaders:   []string{"ETag", "Location", "Retry-After", "X-Request-Id", "Content-Disposition"},
		AllowCredentials: false,
		MaxAge:           600,
	}).Handler(next)
}

// option changes an operation before it is registered.
type option func(*huma.Operation)

// public lets everybody call the operation: the one requirement it has asks for nothing.
func public(o *huma.Operation) { o.Security = anybody }

var anybody = []map[string][]string{{}}

// anyKey is what operations ask for that are not public.
var anyKey = []map[string][]string{{"bearer": {}}, {"api_key": {}}}

// scoped is in the metadata of operations that need another scope of an API key than their method tells.
const scoped = "scoped"

// needs says which scope of an API key the operation needs, where its method does not.
func needs(scope account.Scope) option {
	return func(o *huma.Operation) { remark(o, scoped, scope) }
}

func remark(o *huma.Operation, name string, v any) {
	if o.Metadata == nil {
		o.Metadata = map[string]any{}
	}
	o.Metadata[name] = v
}

// scopeOf is the scope that an operation needs: to look, or to change.
func scopeOf(o *huma.Operation) account.Scope {
	if s, ok := o.Metadata[scoped].(account.Scope); ok {
		return s
	}
	if o.Method == http.MethodGet {
		return account.ScopeRead
	}
	return account.ScopeWrite
}

// tellScope has the document say it.
func tellScope(o *huma.Operation) {
	if len(o.Security) > 0 && len(o.Security[0]) == 0 {
		return // public
	}
	if o.Extensions == nil {
		o.Extensions = map[string]any{}
	}
	o.Extensions["x-scope"] = string(scopeOf(o))
}

// status is the answer's status when all goes well.
func status(code int) option { return func(o *huma.Operation) { o.DefaultStatus = code } }

// also documents a further answer of the operation.
func also(code, doc, media string, schema *huma.Schema) option {
	return func(o *huma.Operation) {
		if o.Responses == nil {
			o.Responses = map[string]*huma.Response{}
		}
		r := &huma.Response{Description: doc}
		if media != "" {
			r.Content = map[string]*huma.MediaType{media: {Schema: schema}}
		}
		o.Responses[code] = r
	}
}

// handle registers one operation.
func handle[In, Out any](s *server, method, path, id, tag, summary string, h func(context.Context, *In) (*Out, error), options ...option) {
	op := huma.Operation{Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, MaxBodyBytes: maxBody,
		Security: anyKey}
	for _, o := range options {
		o(&op)
	}
	tellScope(&op)
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = s.errorResponse()
	huma.Register(s.api, op, h)
}

// errorResponse documents every answer that is not named.
func (s *server) errorResponse() *huma.Response {
	return &huma.Response{Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: s.schemaOf(Problem{})}}}
}

// Inputs that several operations share are exported, since huma looks into no others.

// Strict marks a request body whose unknown fields are refused.
type Strict struct {
	_ struct{} `additionalProperties:"false"`
}

// onceOf is the idempotency of a request: nil without a key.
func onceOf(key, what string, body []byte) *ident.Once {
	if key == "" {
		return nil
	}
	sum := sha256.Sum256(append([]byte(what+"\n"), body...))
	return &ident.Once{Key: key, Fingerprint: hex.EncodeToString(sum[:])}
}

// idParam refuses what cannot be an id as what it is: something that is not there.
func idParam(noun, id string) error {
	if !ident.Valid(id) {
		return fault.Missing(noun)
	}
	return nil
}
