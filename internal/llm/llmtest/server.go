// Package llmtest has models for tests: an endpoint that speaks OpenAI's API and misbehaves as its script says, and a model in the process.
package llmtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is an endpoint that speaks OpenAI's API. It is strict: a request that OpenAI would refuse is answered with 400 and
// fails the test, unless Lenient is set. It closes with the test.
type Server struct {
	URL     string   // base, with /v1
	Models  []string // that it lists
	Key     string   // that it wants; empty takes all
	Lenient bool     // odd requests are the script's affair

	t      testing.TB
	http   *httptest.Server
	done   chan struct{} // the test ends
	mu     sync.Mutex
	script func(Call) Reply
	calls  []Call
	left   map[int]time.Time // calls whose client went before the end
	news   chan struct{}     // closed and made anew when something happened
}

// Call is a request as it came.
type Call struct {
	N      int    // 0, 1, 2 ...
	Path   string // /chat/completions, /embeddings
	Header http.Header
	Body   []byte
	At     time.Time
	Remote string // address of the client: one for each connection

	// What the body says.
	Model    string
	Messages []Message
	Tools    []string // their names
	Format   string   // of response_format: json_schema, json_object or ""
	Schema   string   // name of the schema
	Stream   bool
	Input    []string // of embeddings
}

// Message is one of the conversation.
type Message struct {
	Role    string
	Content string
	CallID  string
}

// Last is the content of the last message.
func (c Call) Last() string {
	if len(c.Messages) == 0 {
		return ""
	}
	return c.Messages[len(c.Messages)-1].Content
}

// Prompt is all that was said, a message a paragraph.
func (c Call) Prompt() string {
	var parts []string
	for _, m := range c.Messages {
		parts = append(parts, m.Content)
	}
	return strings.Join(parts, "\n\n")
}

// New starts an endpoint whose answers script gives; nil answers "ok" to everything. script may be called at the same time by
// several requests.
func New(t testing.TB, script func(Call) Reply) *Server {
	t.Helper()
	s := &Server{t: t, Models: []string{"fake-1"}, script: script, done: make(chan struct{}), left: map[int]time.Time{}, news: make(chan struct{})}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL + "/v1"
	t.Cleanup(s.Close)
	return s
}

// Close ends it: what it stalls on is let go. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
		s.mu.Unlock()
		return
	default:
		close(s.done)
	}
	s.mu.Unlock()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Script changes the answers.
func (s *Server) Script(script func(Call) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Replies makes a script of answers in their order; the last one is given again and again.
func Replies(list ...Reply) func(Call) Reply {
	var mu sync.Mutex
	n := 0
	return func(Call) Reply {
		mu.Lock()
		defer mu.Unlock()
		r := list[min(n, len(list)-1)]
		n++
		return r
	}
}

// Calls gives what was asked so far, the list of models not counted.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Count is how often it was asked.
func (s *Server) Count() int { return len(s.Calls()) }

// WaitCalls waits until it was asked n times; the test fails when that takes longer than within.
func (s *Server) WaitCalls(n int, within time.Duration) {
	s.t.Helper()
	s.wait(within, fmt.Sprintf("%d calls", n), func() bool { return len(s.calls) >= n })
}

// WaitLeft waits until the client has closed the connection of call n before its end, and says when that was.
func (s *Server) WaitLeft(n int, within time.Duration) time.Time {
	s.t.Helper()
	s.wait(within, fmt.Sprintf("the client to leave call %d", n), func() bool { return !s.left[n].IsZero() })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left[n]
}

func (s *Server) wait(within time.Duration, what string, is func() bool) {
	s.t.Helper()
	late := time.After(within)
	for {
		s.mu.Lock()
		ok, news := is(), s.news
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-late:
			s.t.Fatalf("waited %v for %s", within, what)
		}
	}
}

// note changes what is known, and wakes who waits.
func (s *Server) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.news)
	s.news = make(chan struct{})
}

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	if s.Key != "" && r.Header.Get("Authorization") != "Bearer "+s.Key {
		Refuse(401, "invalid_api_key", "Incorrect API key provided: "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")).write(s, w, r, Call{})
		return
	}
	if path == "/models" && r.Method == http.MethodGet {
		s.list(w)
		return
	}
	c := Call{Path: path, Header: r.Header.Clone(), Body: body, At: time.Now(), Remote: r.RemoteAddr}
	if wrong := c.read(r.Method); wrong != "" && !s.Lenient {
		s.t.Errorf("a request that OpenAI would refuse: %s: %s", wrong, body)
		Refuse(400, "invalid_request", wrong).write(s, w, r, c)
		return
	}
	var script func(Call) Reply
	s.note(func() {
		c.N = len(s.calls)
		s.calls = append(s.calls, c)
		script = s.script
	})
	reply := Say("ok")
	switch {
	case script != nil:
		reply = script(c)
	case path == "/embeddings":
		reply = Vectors(c, 8)
	}
	reply.write(s, w, r, c)
}

func (s *Server) list(w http.ResponseWriter) {
	type model struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	list := []model{}
	for _, m := range s.Models {
		list = append(list, model{m, "model"})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": list})
}

// read takes the body apart, and tells what is wrong with it.
func (c *Call) read(method string) string {
	if method != http.MethodPost {
		return "the method is " + method
	}
	d := json.NewDecoder(bytes.NewReader(c.Body))
	switch c.Path {
	case "/chat/completions":
		return c.readChat(d)
	case "/embeddings":
		var in struct {
			Model          string   `json:"model"`
			Input          []string `json:"input"`
			EncodingFormat string   `json:"encoding_format"`
			Dimensions     int      `json:"dimensions"`
		}
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		c.Model, c.Input = in.Model, in.Input
		switch {
		case err != nil:
			return err.Error()
		case in.Model == "" || len(in.Input) == 0:
			return "model or input is missing"
		case in.EncodingFormat != "float":
			return "encoding_format is not float"
		}
		return ""
	}
	return "there is no " + c.Path
}

type chatBody struct {
	Model    string `json:"model"`
	Messages []struct {
		Role      string          `json:"role"`
		Content   *string         `json:"content"`
		ToolCalls []chatCall      `json:"tool_calls"`
		CallID    string          `json:"tool_call_id"`
		Name      json.RawMessage `json:"name"`
	} `json:"messages"`
	Tools []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	Format struct {
		Type   string `json:"type"`
		Schema struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
			Strict bool            `json:"strict"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Stream  bool `json:"stream"`
	Options struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens     int      `json:"max_tokens"`
	MaxCompletion int      `json:"max_completion_tokens"`
	Temperature   *float64 `json:"temperature"`
}

type chatCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func (c *Call) readChat(d *json.Decoder) string {
	var in chatBody
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	c.Model, c.Stream, c.Format, c.Schema = in.Model, in.Stream, in.Format.Type, in.Format.Schema.Name
	for _, t := range in.Tools {
		c.Tools = append(c.Tools, t.Function.Name)
	}
	asked := map[string]bool{} // calls without an answer
	wrong := ""
	for _, m := range in.Messages {
		said := Message{Role: m.Role, CallID: m.CallID}
		if m.Content != nil {
			said.Content = *m.Content
		}
		c.Messages = append(c.Messages, said)
		switch {
		case m.Role == "tool" && !asked[m.CallID]:
			wrong = "a tool's message answers no call"
		case m.Role != "tool" && len(asked) > 0:
			wrong = "a call of a tool has no answer"
		case m.Content == nil && len(m.ToolCalls) == 0:
			wrong = "a message is empty"
		case m.Role != "system" && m.Role != "user" && m.Role != "assistant" && m.Role != "tool":
			wrong = "a role is " + m.Role
		}
		delete(asked, m.CallID)
		for _, t := range m.ToolCalls {
			if t.Type != "function" || t.ID == "" || !json.Valid([]byte(t.Function.Arguments)) {
				wrong = "a call of a tool is not one"
			}
			asked[t.ID] = true
		}
	}
	switch {
	case err != nil:
		return err.Error()
	case in.Model == "" || len(in.Messages) == 0:
		return "model or messages are missing"
	case in.Stream && !in.Options.Usage:
		return "usage is not asked for"
	case len(asked) > 0:
		return "a call of a tool has no answer"
	}
	return wrong
}
