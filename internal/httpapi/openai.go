package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/llm"
)

// This file and its neighbours openai*.go speak OpenAI's interface, so that programs that know it can use the library as they are.
// Their requests are read leniently, as OpenAI's clients send fields of their own, and their errors have OpenAI's shape.

const (
	// libraryModel is the model that answers from the caller's documents.
	libraryModel = "byline"
	// libraryEmbedding names the embedder of the library.
	libraryEmbedding = "byline-embedding"
	// listTime is how long a provider may take to list its models.
	listTime = 5 * time.Second
)

// openAIError is how OpenAI tells errors.
type openAIError struct {
	Error openAIFailure `json:"error"`
}

type openAIFailure struct {
	Message string  `json:"message"`
	Type    string  `json:"type" doc:"invalid_request_error, insufficient_quota, rate_limit_error, server_error"`
	Param   *string `json:"param" nullable:"true"`
	Code    *string `json:"code" nullable:"true"`
}

// badParam is a request that cannot be done because of one of its fields.
func badParam(param, say string, args ...any) error {
	return fault.Bad(param, "unsupported_value", say, args...)
}

// openAIErrorOf puts an error into OpenAI's words.
func openAIErrorOf(ctx context.Context, err error) (status int, e openAIError, header http.Header) {
	p := problemOf(ctx, err)
	status, e.Error.Message, e.Error.Type, e.Error.Code = p.Status, p.Detail, "invalid_request_error", &p.Code
	header = http.Header{}
	p.headers(header.Set)
	if len(p.Errors) > 0 {
		param := strings.TrimPrefix(p.Errors[0].Location, "body.")
		e.Error.Param = &param
	}
	code := func(c string) { e.Error.Code = &c }
	switch {
	case status == http.StatusUnauthorized:
		code("invalid_api_key")
	case p.Code == llm.CodeMissing:
		status = http.StatusNotFound
		code("model_not_found")
	case p.Code == llm.CodeContext:
		status = http.StatusBadRequest
		code("context_length_exceeded")
	case p.Code == llm.CodeBudget:
		e.Error.Type = "insufficient_quota"
		header.Set("X-Should-Retry", "false") // official clients heed it
	case p.Code == llm.CodeUnauthorized: // of the installation's key, not the caller's
		status, e.Error.Type = http.StatusServiceUnavailable, "server_error"
		header.Set("X-Should-Retry", "false")
	case status == http.StatusTooManyRequests:
		e.Error.Type = "rate_limit_error"
	case status >= 500:
		e.Error.Type = "server_error"
	case status == http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	}
	return status, e, header
}

func writeOpenAIError(w http.ResponseWriter, r *http.Request, err error) {
	status, e, header := openAIErrorOf(r.Context(), err)
	for k, v := range header {
		w.Header()[k] = v
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, e) //nolint:errcheck // the client has gone
}

// handleOpenAI registers an operation of OpenAI's interface.
func (s *server) handleOpenAI(method, path, id, summary string, body, answer any, stream bool, h func(http.ResponseWriter, *http.Request) error) {
	route := method + " " + strings.ReplaceAll(path, "{model}", "{model...}") // names of models have slashes
	s.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.authenticate(r.Context(), r.Header, account.ScopeRead)
		if err == nil {
			r = r.WithContext(ctx)
			err = h(w, r)
		}
		if err != nil {
			writeOpenAIError(w, r, err)
		}
	})
	content := map[string]*huma.MediaType{"application/json": {Schema: s.schemaOf(answer)}}
	if stream {
		content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	}
	op := &huma.Operation{Method: method, Path: path, OperationID: id, Tags: []string{"openai"}, Summary: summary, Security: anyKey, Metadata: map[string]any{scoped: account.ScopeRead},
		Responses: map[string]*huma.Response{
			"200":     {Description: "As OpenAI answers", Content: content},
			"default": {Description: "Error", Content: map[string]*huma.MediaType{"application/json": {Schema: s.schemaOf(openAIError{})}}},
		}}
	if body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: s.schemaOf(body)}}}
	}
	if strings.Contains(path, "{model}") {
		op.Parameters = []*huma.Param{{Name: "model", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	}
	tellScope(op)
	s.api.OpenAPI().AddOperation(op)
}

// openAIRoutes are the operations of OpenAI's interface.
func (s *server) openAIRoutes() {
	s.handleOpenAI("GET", "/v1/models", "openai-models", "The library's model byline, and those of the providers", nil, modelListShape{}, false, s.listModels)
	s.handleOpenAI("GET", "/v1/models/{model}", "openai-model", "One model", nil, modelShape{}, false, s.getModel)
	s.handleOpenAI("POST", "/v1/chat/completions", "openai-chat", "Answer: byline from the caller's documents with citations, other models as they are", chatIn{}, chatOut{}, true, s.chat)
	s.handleOpenAI("POST", "/v1/embeddings", "openai-embeddings", "Vectors of texts, by the library's embedder", embeddingsIn{}, embeddingsOut{}, false, s.embeddings)
}

// readOpenAI reads a body; fields that are not known are left alone.
func readOpenAI(w http.ResponseWriter, r *http.Request, into any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return fault.New(fault.TooLarge, "body_too_large", "The request's body is too large: %d MB are the limit.", maxBody>>20)
		}
		return fault.New(fault.Malformed, "malformed", "The request's body could not be read to its end.").Because(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		f := fault.New(fault.Malformed, "malformed", "The request's body is not the JSON that is expected here.").Because(err)
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			f = fault.New(fault.Malformed, "invalid_type", "%s may not be %s.", wrong.Field, wrong.Value).Because(err)
			f.Fields = []fault.Field{{Location: wrong.Field, Code: "invalid_type", Message: f.Say}}
		}
		return f
	}
	return nil
}

type modelShape struct {
	ID      string `json:"id"`
	Object  string `json:"object" enum:"model"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

type modelListShape struct {
	Object string       `json:"object" enum:"list"`
	Data   []modelShape `json:"data"`
}

// modelsOf lists the models that can be asked. A provider that does not answer in time has none.
func (s *server) modelsOf(ctx context.Context) []modelShape {
	list := []modelShape{{libraryModel, "model", 0, "byline"}}
	if e, _, err := s.Spaces.Serving(ctx); err == nil && e != nil {
		list = append(list, modelShape{libraryEmbedding, "model", 0, "byline"})
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	for _, p := range s.Models.Providers() {
		names, err := p.Models(ctx)
		if err != nil {
			s.log.DebugContext(ctx, "list models", "provider", p.Name(), "error", err)
		}
		slices.Sort(names)
		for _, n := range names {
			list = append(list, modelShape{p.Name() + "/" + n, "model", 0, p.Name()})
		}
	}
	return list
}

func (s *server) listModels(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, modelListShape{"list", s.modelsOf(r.Context())})
}

func (s *server) getModel(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("model")
	for _, m := range s.modelsOf(r.Context()) {
		if m.ID == id || m.OwnedBy+"/"+id == m.ID {
			return writeJSON(w, http.StatusOK, m)
		}
	}
	return noModel(id)
}

func noModel(id string) error {
	return fault.Bad("model", llm.CodeMissing, "There is no model %q here. GET /v1/models lists those that there are.", id)
}

// refOf says which configured model a name means: provider/name, or a name of the usual provider's.
func (s *server) refOf(id string) (llm.Ref, error) {
	usual, err := s.Models.Default()
	if err != nil || id == "" || id == libraryEmbedding {
		return llm.Ref{}, noModel(id) // without a provider there is only the library
	}
	for _, p := range s.Models.Providers() {
		if name, ok := strings.CutPrefix(id, p.Name()+"/"); ok && name != "" {
			return llm.Ref{Provider: p.Name(), Name: name}, nil
		}
	}
	return llm.Ref{Provider: usual.Provider, Name: id}, nil
}

// openAIUsage counts tokens in OpenAI's words.
type openAIUsage struct {
	Prompt     int64                `json:"prompt_tokens"`
	Completion int64                `json:"completion_tokens"`
	Total      int64                `json:"total_tokens"`
	Details    *openAIPromptDetails `json:"prompt_tokens_details,omitempty"`
}

type openAIPromptDetails struct {
	Cached int64 `json:"cached_tokens"`
}

func openAIUsageOf(input, cached, output int64) *openAIUsage {
	return &openAIUsage{input, output, input + output, &openAIPromptDetails{cached}}
}

// texts is a string or a list of strings.
type texts []string

// UnmarshalJSON reads either form. Tokens are refused: they are of another vocabulary.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	var many []string
	if json.Unmarshal(data, &many) != nil {
		return &json.UnmarshalTypeError{Value: "tokens or anything else than a text or a list of texts", Type: reflect.TypeFor[texts]()}
	}
	*t = many
	return nil
}

// Schema tells of both forms.
func (texts) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: "string"}, {Type: "array", Items: &huma.Schema{Type: "string"}}}}
}

// frame is an event of OpenAI's streams.
func frame(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(strconv.Quote(err.Error())) // numbers that are none; there are none in what is written here
	}
	return []byte("data: " + string(b) + "\n\n")
}
