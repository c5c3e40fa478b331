package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"byline/internal/llm/llmtest"
)

// openai is want for OpenAI's interface, whose errors have another shape.
func (p *person) openai(status int, method, path string, body any) reply {
	p.t.Helper()
	r := p.send(method, path, body)
	if r.status != status {
		p.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.raw)
	}
	if status >= 400 && (r.str("error", "message") == "" || r.str("error", "type") == "") {
		p.t.Fatalf("%s", r.raw)
	}
	return r
}

// chunks reads a stream of a completion to its end.
func (p *person) chunks(body obj) (list []obj, raw string) {
	p.t.Helper()
	body["stream"] = true
	data, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.url+"/v1/chat/completions", strings.NewReader(string(data)))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		p.t.Fatalf("%s %s", resp.Status, resp.Header)
	}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		raw += sc.Text() + "\n"
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var c obj
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			p.t.Fatalf("%q: %v", data, err)
		}
		list = append(list, c)
	}
	return list, raw
}

// content folds the deltas of a stream.
func content(chunks []obj) (text, finish string, usage any, notes []any) {
	for _, c := range chunks {
		if c["usage"] != nil {
			usage = c["usage"]
		}
		choices, _ := c["choices"].([]any)
		for _, x := range choices {
			delta := x.(obj)["delta"].(obj)
			if s, ok := delta["content"].(string); ok {
				text += s
			}
			if n, ok := delta["annotations"].([]any); ok {
				notes = append(notes, n...)
			}
			if s, ok := x.(obj)["finish_reason"].(string); ok {
				finish = s
			}
		}
	}
	return text, finish, usage, notes
}

func says(role, text string) obj { return obj{"role": role, "content": text} }

func TestOpenAIModels(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	r := p.openai(200, "GET", "/v1/models", nil)
	var ids []string
	for _, m := range r.list("data") {
		ids = append(ids, m.(obj)["id"].(string))
	}
	if got := strings.Join(ids, " "); got != "byline byline-embedding openai/fake-1 openai/fake-2" {
		t.Errorf("%s", got)
	}
	for id, want := range map[string]string{"byline": "byline", "openai/fake-2": "openai/fake-2", "fake-2": "openai/fake-2"} {
		if r := p.openai(200, "GET", "/v1/models/"+id, nil); r.str("id") != want {
			t.Errorf("%s", r.raw)
		}
	}
	if r := p.openai(404, "GET", "/v1/models/gpt-0", nil); r.str("error", "code") != "model_not_found" {
		t.Errorf("%s", r.raw)
	}
	if r := p.anonymous().openai(401, "GET", "/v1/models", nil); r.str("error", "code") != "invalid_api_key" {
		t.Errorf("%s", r.raw)
	}
}

// The model byline answers from the caller's documents; annotations say where each number in the text leads.
func TestOpenAILibrary(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	question := []obj{says("system", "Be brief."), says("user", "Which boiler?"), says("assistant", "The old one."), {"role": "user", "content": []obj{{"type": "text", "text": "When was the boiler installed?"}}}}
	r := p.openai(200, "POST", "/v1/chat/completions", obj{"model": "byline", "messages": question, "temperature": 0, "user": "x"})
	choice := r.list("choices")[0].(obj)
	message := choice["message"].(obj)
	text, _ := message["content"].(string)
	if !strings.Contains(text, "[1]") || choice["finish_reason"] != "stop" || r.num("usage", "total_tokens") == 0 || r.at("byline", "evidence") != true || message["role"] != "assistant" {
		t.Errorf("%s", r.raw)
	}
	check := func(text string, notes []any) {
		t.Helper()
		if len(notes) == 0 {
			t.Fatal("no annotations")
		}
		for _, n := range notes {
			u := n.(obj)["url_citation"].(obj)
			at, end := int(u["start_index"].(float64)), int(u["end_index"].(float64))
			if got := string([]rune(text)[at:end]); got != "[1]" || u["title"] != "heating.md" || n.(obj)["type"] != "url_citation" {
				t.Errorf("%q %v", got, n)
			}
			span := n.(obj)["byline"].(obj)["span"].(obj)
			if want := p.url + "/api/v1/documents/" + span["document_id"].(string) + "/content"; u["url"] != want || span["quote"] == "" {
				t.Errorf("%v", n)
			}
		}
	}
	check(text, message["annotations"].([]any))

	chunks, raw := p.chunks(obj{"model": "byline", "messages": []obj{says("user", "When was the boiler installed?")}, "stream_options": obj{"include_usage": true}})
	streamed, finish, usage, notes := content(chunks)
	if !strings.Contains(streamed, "[1]") || finish != "stop" || usage.(obj)["total_tokens"].(float64) == 0 || !strings.HasSuffix(strings.TrimSpace(raw), "data: [DONE]") {
		t.Errorf("%s", raw)
	}
	check(streamed, notes)

	none := p.openai(200, "POST", "/v1/chat/completions", obj{"model": "byline", "messages": []obj{says("user", "What is the chemical formula of caffeine?")}})
	if none.at("byline", "evidence") != false {
		t.Errorf("%s", none.raw)
	}
	only := p.openai(200, "POST", "/v1/chat/completions", obj{"model": "byline", "messages": []obj{says("user", "Which orchestra piece is performed?")}, "byline": obj{"llm_provider": "offline", "top_k": 3}})
	if !strings.Contains(string(only.raw), "Mahler") || only.num("usage", "total_tokens") != 0 {
		t.Errorf("%s", only.raw)
	}
	other := p.system.register("other@example.com")
	if r := other.openai(200, "POST", "/v1/chat/completions", obj{"model": "byline", "messages": []obj{says("user", "When was the boiler installed?")}}); r.at("byline", "evidence") != false {
		t.Errorf("another's documents answer: %s", r.raw)
	}
	id := notes[0].(obj)["byline"].(obj)["span"].(obj)["document_id"]
	other.openai(404, "POST", "/v1/chat/completions", obj{"model": "byline", "messages": []obj{says("user", "When?")}, "byline": obj{"document_ids": []any{id}}})
}

// Configured models answer as they are, with the caller's budget.
func TestOpenAIPassesThrough(t *testing.T) {
	t.Parallel()
	llms, p := openAnswering(t)
	for _, model := range []string{"fake-2", "openai/fake-2"} {
		r := p.openai(200, "POST", "/v1/chat/completions", obj{"model": model, "max_tokens": 50, "messages": []obj{says("developer", "Say pong."), says("user", "ping")}})
		if !strings.Contains(string(r.raw), "pong pong") || r.num("usage", "prompt_tokens") != 10 || r.str("model") != model {
			t.Errorf("%s", r.raw)
		}
	}
	if c := llms.Calls(); c[0].Model != "fake-2" || c[0].Messages[0].Role != "system" || c[1].Model != "fake-2" {
		t.Errorf("%+v", c)
	}
	chunks, raw := p.chunks(obj{"model": "fake-1", "messages": []obj{says("user", "ping")}})
	if text, finish, usage, _ := content(chunks); text != "pong pong" || finish != "stop" || usage != nil || !strings.Contains(raw, "[DONE]") {
		t.Errorf("%s", raw)
	}
	usage := p.want(200, "GET", "/api/v1/usage", nil)
	if usage.list("usage")[0].(obj)["requests"].(float64) != 2 && len(usage.list("usage")) != 2 {
		t.Errorf("%s", usage.raw)
	}

	llms.Script(func(c llmtest.Call) llmtest.Reply {
		if c.Format == "json_schema" || c.Format == "json_object" {
			return llmtest.Say(`{"ok":true}`)
		}
		return llmtest.Stream(llmtest.Chunk(`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]}`, ""), llmtest.Chunk(`{}`, "tool_calls"))
	})
	tools := []obj{{"type": "function", "function": obj{"name": "look", "parameters": obj{"type": "object"}}}}
	r := p.openai(200, "POST", "/v1/chat/completions", obj{"model": "fake-1", "tools": tools, "tool_choice": "auto", "messages": []obj{says("user", "look")}})
	choice := r.list("choices")[0].(obj)
	call := choice["message"].(obj)["tool_calls"].([]any)[0].(obj)
	if choice["finish_reason"] != "tool_calls" || choice["message"].(obj)["content"] != nil || call["function"].(obj)["arguments"] != `{"at":1}` || call["id"] != "call_1" {
		t.Errorf("%s", r.raw)
	}
	chunks, raw = p.chunks(obj{"model": "fake-1", "tools": tools, "messages": []obj{says("user", "look"), {"role": "assistant", "content": nil, "tool_calls": []any{call}}, {"role": "tool", "tool_call_id": "call_1", "content": "seen"}}})
	if !strings.Contains(raw, `"tool_calls":[{"index":0,"id":"call_1"`) || len(chunks) < 2 {
		t.Errorf("%s", raw)
	}
	for _, format := range []obj{{"type": "json_object"}, {"type": "json_schema", "json_schema": obj{"name": "x", "schema": obj{"type": "object"}, "strict": true}}} {
		r := p.openai(200, "POST", "/v1/chat/completions", obj{"model": "fake-1", "response_format": format, "messages": []obj{says("user", "json")}})
		if !strings.Contains(string(r.raw), `{\"ok\":true}`) {
			t.Errorf("%s", r.raw)
		}
	}
}

func TestOpenAIErrors(t *testing.T) {
	t.Parallel()
	llms, p := openAnswering(t)
	user := []obj{says("user", "ping")}
	with := func(key string, v any) obj { return obj{"model": "fake-1", "messages": user, key: v} }
	for name, tc := range map[string]struct {
		body        any
		status      int
		param, code string
	}{
		"no JSON":         {[]byte("{"), 400, "", "malformed"},
		"no model":        {obj{"messages": user}, 400, "model", "required"},
		"no messages":     {obj{"model": "byline"}, 400, "messages", "required"},
		"wrong type":      {obj{"model": 3, "messages": user}, 400, "model", "invalid_type"},
		"two answers":     {with("n", 2), 400, "n", "unsupported_value"},
		"stop":            {with("stop", "x"), 400, "stop", "unsupported_value"},
		"forced tool":     {with("tool_choice", obj{"type": "function"}), 400, "tool_choice", "unsupported_value"},
		"required tool":   {with("tool_choice", "required"), 400, "tool_choice", "unsupported_value"},
		"odd tool":        {with("tools", []obj{{"type": "custom"}}), 400, "tools", "unsupported_value"},
		"odd format":      {with("response_format", obj{"type": "yaml"}), 400, "response_format", "unsupported_value"},
		"picture":         {obj{"model": "fake-1", "messages": []obj{{"role": "user", "content": []obj{{"type": "image_url"}}}}}, 400, "messages.content", "invalid_type"},
		"odd role":        {obj{"model": "fake-1", "messages": []obj{says("narrator", "x")}}, 400, "messages", "unsupported_value"},
		"odd arguments":   {obj{"model": "fake-1", "messages": []obj{{"role": "assistant", "tool_calls": []obj{{"id": "a", "function": obj{"arguments": "{"}}}}}}, 400, "messages", "unsupported_value"},
		"library as JSON": {obj{"model": "byline", "messages": user, "response_format": obj{"type": "json_object"}}, 400, "response_format", "unsupported_value"},
		"nobody asks":     {obj{"model": "byline", "messages": []obj{says("assistant", "x")}}, 400, "messages", "unsupported_value"},
		"long question":   {obj{"model": "byline", "messages": []obj{says("user", strings.Repeat("x", 2001))}}, 400, "messages", "unsupported_value"},
		"blank question":  {obj{"model": "byline", "messages": []obj{says("user", " ")}}, 400, "question", "required"},
		"bad document":    {obj{"model": "byline", "messages": user, "byline": obj{"document_ids": []string{"x"}}}, 404, "", "not_found"},
		"no chat model":   {obj{"model": "byline-embedding", "messages": user}, 404, "model", "model_not_found"},
		"too large":       {append([]byte(`{"model":"`), make([]byte, 5<<20)...), 413, "", "body_too_large"},
	} {
		r := p.openai(tc.status, "POST", "/v1/chat/completions", tc.body)
		param, _ := r.at("error", "param").(string)
		if r.str("error", "code") != tc.code || strings.TrimPrefix(param, "chatIn.") != tc.param || r.str("error", "type") != "invalid_request_error" {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	llms.Script(func(c llmtest.Call) llmtest.Reply { return llmtest.Refuse(401, "invalid_api_key", "bad key") })
	if r := p.openai(503, "POST", "/v1/chat/completions", obj{"model": "fake-1", "messages": user}); r.str("error", "type") != "server_error" || strings.Contains(string(r.raw), "bad key") || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%s", r.raw)
	}
	llms.Script(func(c llmtest.Call) llmtest.Reply { return llmtest.Refuse(404, "model_not_found", "no such model") })
	if r := p.openai(404, "POST", "/v1/chat/completions", obj{"model": "gpt-0", "messages": user}); r.str("error", "code") != "model_not_found" {
		t.Errorf("%s", r.raw)
	}
	r := p.openai(404, "POST", "/v1/chat/completions", obj{"model": "gpt-0", "messages": user, "stream": true})
	if r.str("error", "code") != "model_not_found" {
		t.Errorf("what fails before a stream has a status of its own: %s", r.raw)
	}
	llms.Script(func(c llmtest.Call) llmtest.Reply {
		a := llmtest.Stream(llmtest.Chunk(`{"content":"pong"}`, ""))
		a.End = llmtest.Cut
		return a
	})
	if chunks, raw := p.chunks(obj{"model": "fake-1", "messages": user}); len(chunks) == 0 || !strings.Contains(raw, `data: {"error":{"message"`) || strings.Contains(raw, "[DONE]") {
		t.Errorf("a stream that is cut says so: %s", raw)
	}
}

func TestOpenAIBudget(t *testing.T) {
	t.Parallel()
	llms := answering(t)
	s := open(t, t.TempDir(), "DEFAULT_LLM_PROVIDER=openai", "OPENAI_BASE_URL="+llms.URL, "DEFAULT_LLM_MODEL=fake-1", "BYLINE_LLM_BUDGET_USER=13 tokens")
	p := s.register("owner@example.com")
	ask := obj{"model": "fake-1", "messages": []obj{says("user", "ping")}}
	p.openai(200, "POST", "/v1/chat/completions", ask)
	if r := p.openai(429, "POST", "/v1/chat/completions", ask); r.str("error", "type") != "insufficient_quota" || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%s", r.raw)
	}
}

// A client that leaves ends the run: it has no way to come again.
func TestOpenAIClientLeaves(t *testing.T) {
	t.Parallel()
	llms, p := openAnswering(t)
	llms.Script(func(llmtest.Call) llmtest.Reply { return llmtest.Reply{End: llmtest.StallAll} })
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", p.url+"/v1/chat/completions", strings.NewReader(`{"model":"byline","messages":[{"role":"user","content":"When was the boiler installed?"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	left := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		left <- err
	}()
	llms.WaitCalls(1, 10*time.Second)
	leave()
	<-left
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r := p.want(200, "GET", "/api/v1/runs?kind=query", nil)
		if run := r.list("runs")[0].(obj); run["status"] == "cancelled" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s", r.raw)
		}
	}
}

// A completion that is under way ends within five seconds when the login does; it says so, and its run is not paid for any longer.
func TestOpenAIStreamsOfALoginThatEnds(t *testing.T) {
	t.Parallel()
	llms, p := openAnswering(t)
	login := func() (refresh string, who *person) {
		r := p.want(200, "POST", "/api/v1/auth/login", obj{"email": "owner@example.com", "password": "correct horse battery"})
		return r.str("refresh_token"), &person{system: p.system, token: r.str("access_token")}
	}
	llms.Script(func(c llmtest.Call) llmtest.Reply {
		a := llmtest.Stream(llmtest.Chunk(`{"content":"pong"}`, ""))
		a.End = llmtest.Stall
		return a
	})
	for n, tc := range []struct {
		model  string
		stream bool
	}{{"openai/fake-1", true}, {"openai/fake-1", false}, {"byline", true}, {"byline", false}} {
		refresh, who := login()
		body, err := json.Marshal(obj{"model": tc.model, "stream": tc.stream, "messages": []obj{says("user", "When was the boiler installed?")}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/v1/chat/completions", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+who.token)
		type answer struct {
			status int
			body   string
		}
		got := make(chan answer, 1)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				got <- answer{0, err.Error()}
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				b = []byte(err.Error())
			}
			got <- answer{resp.StatusCode, string(b)}
		}()
		llms.WaitCalls(n+1, 10*time.Second)
		ended := time.Now()
		p.want(204, "POST", "/api/v1/auth/logout", obj{"refresh_token": refresh})
		a := <-got
		if took := time.Since(ended); took > 5*time.Second {
			t.Errorf("%v: it went on for %v", tc, took)
		}
		begun := tc.stream && tc.model != "byline" // else nothing had been sent yet
		if (a.status == 200) != begun || !begun && a.status != 401 || !strings.Contains(a.body, "This login was ended") || strings.Contains(a.body, "[DONE]") {
			t.Errorf("%v: %d %s", tc, a.status, a.body)
		}
	}
	for _, r := range p.want(200, "GET", "/api/v1/runs?kind=query", nil).list("runs") {
		if r.(obj)["status"] != "cancelled" {
			t.Errorf("%v", r)
		}
	}
}

func TestOpenAIEmbeddings(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	r := p.openai(200, "POST", "/v1/embeddings", obj{"model": "byline-embedding", "input": []string{"The boiler is old.", "A symphony."}})
	data := r.list("data")
	first := data[0].(obj)["embedding"].([]any)
	if len(data) != 2 || len(first) < 50 || r.num("usage", "prompt_tokens") < 5 || data[1].(obj)["index"].(float64) != 1 {
		t.Fatalf("%s", r.raw[:200])
	}
	b := p.openai(200, "POST", "/v1/embeddings", obj{"model": "byline", "input": "The boiler is old.", "encoding_format": "base64", "dimensions": len(first)})
	raw, err := base64.StdEncoding.DecodeString(b.list("data")[0].(obj)["embedding"].(string))
	if err != nil || len(raw) != 4*len(first) {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	for i, v := range first {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); math.Abs(float64(got)-v.(float64)) > 1e-6 {
			t.Fatalf("number %d is %v and %v", i, got, v)
		}
	}
	p.openai(200, "POST", "/v1/embeddings", obj{"model": "byline", "input": "boiler", "input_type": "query"})
	for name, tc := range map[string]struct {
		body   obj
		status int
		param  string
	}{
		"another model":    {obj{"model": "text-embedding-3-small", "input": "x"}, 404, "model"},
		"tokens":           {obj{"model": "byline", "input": []int{1, 2}}, 400, "input"},
		"nothing":          {obj{"model": "byline", "input": []string{}}, 400, "input"},
		"an empty text":    {obj{"model": "byline", "input": ""}, 400, "input"},
		"other format":     {obj{"model": "byline", "input": "x", "encoding_format": "int8"}, 400, "encoding_format"},
		"other dimensions": {obj{"model": "byline", "input": "x", "dimensions": 3}, 400, "dimensions"},
		"other type":       {obj{"model": "byline", "input": "x", "input_type": "poem"}, 400, "input_type"},
	} {
		if r := p.openai(tc.status, "POST", "/v1/embeddings", tc.body); r.at("error", "param") != tc.param {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	none := open(t, t.TempDir(), "BYLINE_EMBEDDER=off").register("owner@example.com")
	none.openai(503, "POST", "/v1/embeddings", obj{"model": "byline", "input": "x"})
	if r := none.openai(404, "POST", "/v1/chat/completions", obj{"model": "gpt-4o", "messages": []obj{says("user", "x")}}); r.str("error", "code") != "model_not_found" {
		t.Errorf("%s", r.raw)
	}
	if r := none.openai(200, "GET", "/v1/models", nil); len(r.list("data")) != 1 {
		t.Errorf("%s", r.raw)
	}
}
