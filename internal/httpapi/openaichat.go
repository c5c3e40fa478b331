package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
)

// chatIn is a request for a chat completion, as far as it is read. Settings of sampling other than temperature are left alone.
type chatIn struct {
	Model         string          `json:"model" doc:"byline, or a model that GET /v1/models lists"`
	Messages      []chatMessage   `json:"messages"`
	Stream        bool            `json:"stream,omitempty"`
	StreamOptions *streamOptions  `json:"stream_options,omitempty"`
	MaxTokens     int             `json:"max_tokens,omitempty"`
	MaxCompletion int             `json:"max_completion_tokens,omitempty"`
	Temperature   *float64        `json:"temperature,omitempty"`
	N             *int            `json:"n,omitempty" doc:"Only 1"`
	Stop          json.RawMessage `json:"stop,omitempty" doc:"Not supported"`
	Tools         []chatTool      `json:"tools,omitempty" doc:"Handed on; byline calls none"`
	ToolChoice    json.RawMessage `json:"tool_choice,omitempty" doc:"Only auto and none"`
	Format        *chatFormat     `json:"response_format,omitempty" doc:"Handed on; byline answers with text"`
	Library       *libraryOptions `json:"byline,omitempty" doc:"For the model byline"`
}

type streamOptions struct {
	Usage bool `json:"include_usage,omitempty"`
}

// libraryOptions narrow what byline answers from.
type libraryOptions struct {
	DocumentIDs []string `json:"document_ids,omitempty" doc:"Only these; all when it is missing"`
	TopK        int      `json:"top_k,omitempty"`
	Provider    string   `json:"llm_provider,omitempty"`
	Model       string   `json:"llm_model,omitempty"`
}

type chatMessage struct {
	Role    string      `json:"role" doc:"system, developer, user, assistant, tool"`
	Content chatContent `json:"content,omitempty"`
	Calls   []chatCall  `json:"tool_calls,omitempty"`
	CallID  string      `json:"tool_call_id,omitempty"`
}

type chatCall struct {
	Index    *int         `json:"index,omitempty"` // in streams
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type chatTool struct {
	Type     string    `json:"type"`
	Function toolOffer `json:"function"`
}

type toolOffer struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty" doc:"JSON Schema"`
}

type chatFormat struct {
	Type   string        `json:"type" doc:"text, json_object, json_schema"`
	Schema *formatSchema `json:"json_schema,omitempty"`
}

type formatSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema,omitempty"`
}

// chatContent is a text, or parts that are texts.
type chatContent string

// UnmarshalJSON reads either form.
func (c *chatContent) UnmarshalJSON(data []byte) error {
	var text *string
	if json.Unmarshal(data, &text) == nil {
		if text != nil {
			*c = chatContent(*text)
		}
		return nil
	}
	wrong := &json.UnmarshalTypeError{Value: "anything else than text here (images and files go to POST /api/v1/documents/upload)", Type: reflect.TypeFor[chatContent]()}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(data, &parts) != nil {
		return wrong
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return wrong
		}
		b.WriteString(p.Text)
	}
	*c = chatContent(b.String())
	return nil
}

// Schema tells of both forms.
func (chatContent) Schema(huma.Registry) *huma.Schema {
	part := &huma.Schema{Type: "object", AdditionalProperties: true}
	return &huma.Schema{OneOf: []*huma.Schema{{Type: "string", Nullable: true}, {Type: "array", Items: part}}}
}

type chatOut struct {
	ID      string       `json:"id"`
	Object  string       `json:"object" enum:"chat.completion"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *openAIUsage `json:"usage,omitempty"`
	Library *libraryOut  `json:"byline,omitempty" doc:"Of the model byline"`
}

// libraryOut is what OpenAI's shape has no place for.
type libraryOut struct {
	RunID    string   `json:"run_id"`
	Question string   `json:"question" doc:"As it was searched for"`
	Evidence bool     `json:"evidence" doc:"false: the documents do not answer"`
	Degraded []string `json:"degraded"`
}

type chatChoice struct {
	Index   int       `json:"index"`
	Message chatReply `json:"message"`
	Finish  string    `json:"finish_reason"`
	Logs    *string   `json:"logprobs" nullable:"true"`
}

type chatReply struct {
	Role        string           `json:"role"`
	Content     *string          `json:"content" nullable:"true"`
	Refusal     *string          `json:"refusal" nullable:"true"`
	Annotations []chatAnnotation `json:"annotations,omitempty"`
	Calls       []chatCall       `json:"tool_calls,omitempty"`
}

// chatChunk is a part of a stream.
type chatChunk struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chunkPart  `json:"choices"`
	Usage   *openAIUsage `json:"usage,omitempty"`
	Library *libraryOut  `json:"byline,omitempty"`
}

type chunkPart struct {
	Index  int        `json:"index"`
	Delta  chunkDelta `json:"delta"`
	Finish *string    `json:"finish_reason"`
}

type chunkDelta struct {
	Role        string           `json:"role,omitempty"`
	Content     *string          `json:"content,omitempty"`
	Annotations []chatAnnotation `json:"annotations,omitempty"`
	Calls       []chatCall       `json:"tool_calls,omitempty"`
}

// chat answers a conversation.
func (s *server) chat(w http.ResponseWriter, r *http.Request) error {
	var in chatIn
	if err := readOpenAI(w, r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	f := s.Streams.follow(r.Context(), grantOf(r.Context()), false)
	defer s.Streams.leave(f)
	r = r.WithContext(f.ctx)
	if in.Model == libraryModel {
		return stands(f.ctx, s.askLibrary(w, r, in))
	}
	return stands(f.ctx, s.askModel(w, r, in))
}

// stands is an error of an answer, or in its place why its client has no right to it any more.
func stands(ctx context.Context, err error) error {
	switch why := context.Cause(ctx); {
	case err == nil, why == nil, errors.Is(why, context.Canceled):
		return err
	case errors.Is(why, errStopped):
		return runs.ErrDraining
	default:
		return why
	}
}

// askModel hands a conversation on to a configured model.
func (s *server) askModel(w http.ResponseWriter, r *http.Request, in chatIn) error {
	ref, err := s.refOf(in.Model)
	if err != nil {
		return err
	}
	request, err := in.request()
	if err != nil {
		return err
	}
	m, err := s.Models.Model(r.Context(), ref)
	if err != nil {
		return err
	}
	who := userOf(r.Context())
	r = r.WithContext(llm.WithPayer(r.Context(), llm.Payer{Workspace: who.Workspace, UserID: who.ID}))
	if in.Stream {
		return s.streamModel(w, r, in, m, request)
	}
	a, err := llm.Ask(r.Context(), m, request)
	if err != nil {
		return err
	}
	reply := chatReply{Role: "assistant", Content: &a.Text, Calls: toCalls(a.Calls, false)}
	if a.Text == "" && len(a.Calls) > 0 {
		reply.Content = nil
	}
	out := chatOut{ID: "chatcmpl-" + ident.New(), Object: "chat.completion", Created: time.Now().Unix(), Model: in.Model,
		Choices: []chatChoice{{Message: reply, Finish: string(a.Finish)}}}
	if u := a.Usage; u != nil {
		out.Usage = openAIUsageOf(int64(u.Input), int64(u.Cached), int64(u.Output))
	}
	return writeJSON(w, http.StatusOK, out)
}

// check refuses what would be done otherwise than it is asked for.
func (in chatIn) check() error {
	set := func(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" && string(raw) != "[]" }
	var choice string
	switch {
	case in.Model == "":
		return fault.Bad("model", "required", "Name a model: byline, or one that GET /v1/models lists.")
	case len(in.Messages) == 0:
		return fault.Bad("messages", "required", "Send at least one message.")
	case in.N != nil && *in.N != 1:
		return badParam("n", "Only one answer is given at a time: leave n out.")
	case set(in.Stop):
		return badParam("stop", "Answers cannot be stopped at a word here: leave stop out.")
	case set(in.ToolChoice) && (json.Unmarshal(in.ToolChoice, &choice) != nil || choice != "auto" && choice != "none"):
		return badParam("tool_choice", "tool_choice is auto or none here.")
	}
	return nil
}

// request puts a request into the words of the port.
func (in chatIn) request() (llm.Request, error) {
	q := llm.Request{MaxTokens: cmp.Or(in.MaxCompletion, in.MaxTokens), Temperature: in.Temperature, Purpose: "api"}
	for _, m := range in.Messages {
		role, ok := roles[m.Role]
		if !ok {
			return q, badParam("messages", "A message's role is system, developer, user, assistant or tool, not %q.", m.Role)
		}
		out := llm.Message{Role: role, Content: string(m.Content), CallID: m.CallID}
		for _, c := range m.Calls {
			arguments := json.RawMessage(cmp.Or(c.Function.Arguments, "{}"))
			if !json.Valid(arguments) {
				return q, badParam("messages", "The arguments of the tool call %s are no JSON.", c.ID)
			}
			out.Calls = append(out.Calls, llm.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: arguments})
		}
		q.Messages = append(q.Messages, out)
	}
	if string(in.ToolChoice) != `"none"` {
		for _, t := range in.Tools {
			if t.Type != "function" || t.Function.Name == "" {
				return q, badParam("tools", "Only tools of the type function are known here.")
			}
			q.Tools = append(q.Tools, llm.Tool{Name: t.Function.Name, Description: t.Function.Description, Parameters: t.Function.Parameters})
		}
	}
	if f := in.Format; f != nil {
		switch {
		case f.Type == "text":
		case f.Type == "json_object":
			q.Schema = &llm.Schema{Name: "object", JSON: json.RawMessage(`{"type":"object"}`)}
		case f.Type == "json_schema" && f.Schema != nil && len(f.Schema.Schema) > 0:
			q.Schema = &llm.Schema{Name: cmp.Or(f.Schema.Name, "answer"), JSON: f.Schema.Schema}
		default:
			return q, badParam("response_format", "response_format is text, json_object, or json_schema with a schema.")
		}
	}
	return q, nil
}

var roles = map[string]llm.Role{"system": llm.System, "developer": llm.System, "user": llm.User, "assistant": llm.Assistant, "tool": llm.Result}

func toCalls(calls []llm.ToolCall, stream bool) (list []chatCall) {
	for i, c := range calls {
		out := chatCall{ID: c.ID, Type: "function", Function: chatFunction{c.Name, string(c.Arguments)}}
		if stream {
			out.Index = &i
		}
		list = append(list, out)
	}
	return list
}

// chunks writes a stream of a completion. Its head is written with the first chunk, so that what fails before has a status of its own.
type chunks struct {
	w     http.ResponseWriter
	out   *sse
	frame chatChunk // what all chunks have in common
}

func newChunks(w http.ResponseWriter, id, model string) *chunks {
	return &chunks{w: w, frame: chatChunk{ID: "chatcmpl-" + id, Object: "chat.completion.chunk", Created: time.Now().Unix(), Model: model}}
}

// send writes chunks with one delta each; the first of all says whose words they are.
func (c *chunks) send(deltas ...chunkDelta) error {
	var frames [][]byte
	if c.out == nil {
		c.out = beginStream(c.w)
		empty := ""
		frames = append(frames, c.part(chunkDelta{Role: "assistant", Content: &empty}, nil))
	}
	for _, d := range deltas {
		frames = append(frames, c.part(d, nil))
	}
	return c.out.write(frames...)
}

func (c *chunks) part(d chunkDelta, finish *string) []byte {
	f := c.frame
	f.Choices = []chunkPart{{0, d, finish}}
	return frame(f)
}

// end writes the last chunks.
func (c *chunks) end(finish string, usage *openAIUsage, library *libraryOut) error {
	if err := c.send(); err != nil {
		return err
	}
	f := c.frame
	f.Choices, f.Library = []chunkPart{{0, chunkDelta{}, &finish}}, library
	frames := [][]byte{frame(f)}
	if usage != nil {
		f.Choices, f.Usage, f.Library = []chunkPart{}, usage, nil
		frames = append(frames, frame(f))
	}
	return c.out.write(append(frames, []byte("data: [DONE]\n\n"))...)
}

// fail tells an error within a stream; before its head it is the answer's.
func (c *chunks) fail(r *http.Request, err error) error {
	if c.out == nil {
		return err
	}
	_, e, _ := openAIErrorOf(r.Context(), stands(r.Context(), err))
	return ignoreGone(c.out.write(frame(e)))
}

// streamModel hands on what a model says as it comes.
func (s *server) streamModel(w http.ResponseWriter, r *http.Request, in chatIn, m llm.Model, request llm.Request) error {
	defer s.Metrics.Stream()()
	c := newChunks(w, ident.New(), in.Model)
	var usage *openAIUsage
	calls := 0
	for d, err := range m.Stream(r.Context(), request) {
		if err != nil {
			return c.fail(r, err)
		}
		if d.Usage != nil {
			usage = openAIUsageOf(int64(d.Usage.Input), int64(d.Usage.Cached), int64(d.Usage.Output))
		}
		delta := chunkDelta{Calls: toCalls(d.Calls, true)}
		for i := range delta.Calls {
			*delta.Calls[i].Index += calls
		}
		calls += len(delta.Calls)
		if d.Text != "" {
			delta.Content = &d.Text
		}
		if delta.Content != nil || delta.Calls != nil {
			if err := c.send(delta); err != nil {
				return nil // the client has gone
			}
		}
		if d.Finish != "" {
			if in.StreamOptions == nil || !in.StreamOptions.Usage {
				usage = nil
			}
			return ignoreGone(c.end(string(d.Finish), usage, nil))
		}
	}
	return c.fail(r, context.Cause(r.Context()))
}
