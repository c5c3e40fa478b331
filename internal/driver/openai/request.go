package openai

import (
	"encoding/json"
	"net/url"
	"strings"
	"sync"

	"byline/internal/llm"
)

// dialect is what a model of an endpoint takes. It begins with what most do, and learns from refusals.
type dialect struct {
	mu  sync.Mutex
	way way
}

// way is how a request is written.
type way struct {
	noUsage       bool   // stream_options is not known
	limit         string // max_tokens or max_completion_tokens
	noTemperature bool
	form          int // of an answer of a Schema
}

// The forms, the best one first.
const (
	formSchema = iota // response_format json_schema
	formObject        // response_format json_object, with the schema in words
	formPlain         // the schema in words
)

func (e *Endpoint) dialect(name string) *dialect {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.ways[name]
	if d == nil {
		d = &dialect{way: way{limit: "max_tokens"}}
		if own, err := url.Parse(OpenAIURL); err == nil && e.base.Host == own.Host {
			d.way.limit = "max_completion_tokens"
		}
		e.ways[name] = d
	}
	return d
}

func (d *dialect) now() way {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.way
}

// learn changes the way after a refusal; false: there is nothing to be learned from it.
func (d *dialect) learn(used way, f *refusal, r llm.Request) bool {
	if f.status != 400 && f.status != 422 && f.status != 501 {
		return false
	}
	next := used
	switch {
	case !used.noUsage && f.mentions("stream_options", "include_usage"):
		next.noUsage = true
	case r.MaxTokens > 0 && used.limit == "max_tokens" && f.mentions("max_completion_tokens"):
		next.limit = "max_completion_tokens"
	case r.MaxTokens > 0 && used.limit == "max_completion_tokens" && f.mentions("max_completion_tokens"):
		next.limit = "max_tokens"
	case r.Temperature != nil && !used.noTemperature && f.mentions("temperature"):
		next.noTemperature = true
	case r.Schema != nil && used.form < formPlain && f.mentions("response_format", "json_schema", "json_object", "schema", "grammar", "structured output"):
		next.form++
	default:
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.way = next
	return true
}

// The wire's forms.
type (
	chatRequest struct {
		Model         string        `json:"model"`
		Messages      []chatMessage `json:"messages"`
		Tools         []chatTool    `json:"tools,omitempty"`
		Format        *chatFormat   `json:"response_format,omitempty"`
		MaxTokens     int           `json:"max_tokens,omitempty"`
		MaxCompletion int           `json:"max_completion_tokens,omitempty"`
		Temperature   *float64      `json:"temperature,omitempty"`
		Stream        bool          `json:"stream"`
		Options       *chatOptions  `json:"stream_options,omitempty"`
	}
	chatOptions struct {
		Usage bool `json:"include_usage"`
	}
	chatMessage struct {
		Role    string     `json:"role"`
		Content *string    `json:"content"` // null beside calls
		Calls   []chatCall `json:"tool_calls,omitempty"`
		CallID  string     `json:"tool_call_id,omitempty"`
	}
	chatCall struct {
		ID       string       `json:"id"`
		Type     string       `json:"type"`
		Function chatFunction `json:"function"`
	}
	chatFunction struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	chatTool struct {
		Type     string     `json:"type"`
		Function chatOffers `json:"function"`
	}
	chatOffers struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	}
	chatFormat struct {
		Type   string      `json:"type"`
		Schema *chatSchema `json:"json_schema,omitempty"`
	}
	chatSchema struct {
		Name   string          `json:"name"`
		Strict bool            `json:"strict,omitempty"`
		Schema json.RawMessage `json:"schema"`
	}
)

func (w way) write(name string, r llm.Request) chatRequest {
	c := chatRequest{Model: name, Stream: true}
	if !w.noTemperature {
		c.Temperature = r.Temperature
	}
	if !w.noUsage {
		c.Options = &chatOptions{Usage: true}
	}
	if w.limit == "max_tokens" {
		c.MaxTokens = r.MaxTokens
	} else {
		c.MaxCompletion = r.MaxTokens
	}
	for _, m := range r.Messages {
		said := chatMessage{Role: string(m.Role), CallID: m.CallID}
		if m.Content != "" || len(m.Calls) == 0 {
			said.Content = &m.Content
		}
		for _, k := range m.Calls {
			said.Calls = append(said.Calls, chatCall{k.ID, "function", chatFunction{k.Name, string(k.Arguments)}})
		}
		c.Messages = append(c.Messages, said)
	}
	for _, t := range r.Tools {
		c.Tools = append(c.Tools, chatTool{"function", chatOffers{t.Name, t.Description, t.Parameters}})
	}
	if r.Schema == nil {
		return c
	}
	switch w.form {
	case formSchema:
		c.Format = &chatFormat{"json_schema", &chatSchema{r.Schema.Name, strict(r.Schema.JSON), r.Schema.JSON}}
		return c
	case formObject:
		c.Format = &chatFormat{Type: "json_object"}
	}
	// In words, and last: what stays the same stands first.
	words := "Answer with one JSON value and nothing else, neither words nor a code fence around it. It must follow this JSON Schema:\n" + string(r.Schema.JSON)
	if n := len(c.Messages); n > 0 && c.Messages[n-1].Role == string(llm.User) {
		words = strings.TrimRight(*c.Messages[n-1].Content, "\n") + "\n\n" + words
		c.Messages[n-1].Content = &words
	} else {
		c.Messages = append(c.Messages, chatMessage{Role: string(llm.User), Content: &words})
	}
	return c
}

// strict tells whether a schema keeps the rules under which providers hold an answer to it by force: every object names all its
// properties as required and takes no others.
func strict(schema json.RawMessage) bool {
	var v any
	if json.Unmarshal(schema, &v) != nil {
		return false
	}
	return strictValue(v)
}

func strictValue(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if v["type"] == "object" {
			properties, _ := v["properties"].(map[string]any)
			required, _ := v["required"].([]any)
			if v["additionalProperties"] != false || len(required) != len(properties) {
				return false
			}
		}
		for _, inner := range v {
			if !strictValue(inner) {
				return false
			}
		}
	case []any:
		for _, inner := range v {
			if !strictValue(inner) {
				return false
			}
		}
	}
	return true
}
