package openai_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/driver/openai"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

// short makes an endpoint impatient.
func short(o *openai.Options) { o.FirstToken, o.Idle = 150*time.Millisecond, 150*time.Millisecond }

// TestFaults is row 7 of the fault matrix at the wire: what a model can do to us gives the code that is said, with the text so
// far; goleak sees after the last test that nothing was left behind.
func TestFaults(t *testing.T) {
	giant := strings.Repeat("giant ", 200_000)
	rows := []struct {
		name  string
		reply llmtest.Reply
		text  string
		code  string
		after time.Duration // RetryAfter
	}{
		{name: "429", reply: llmtest.Busy(""), code: llm.CodeRateLimited},
		{name: "429 with seconds", reply: llmtest.Busy("7"), code: llm.CodeRateLimited, after: 7 * time.Second},
		{name: "500", reply: llmtest.Refuse(500, "server_error", "The server had an error"), code: llm.CodeFailed},
		{name: "hung up", reply: llmtest.Reply{End: llmtest.HangUp}, code: llm.CodeUnreachable},
		{name: "no header", reply: llmtest.Reply{End: llmtest.StallAll}, code: llm.CodeStalled},
		{name: "no first word", reply: llmtest.Stream(chunk(`{"role":"assistant","content":""}`), ": ping\n\n").Ending(llmtest.Stall), code: llm.CodeStalled},
		{name: "stalled in the midst", reply: llmtest.Say("Half a sentence that").After(2, llmtest.Stall), text: "Half a ", code: llm.CodeStalled},
		{name: "pings in the midst", reply: llmtest.Say("Half a").After(2, llmtest.Stall).Then(": ping\n\n", ": ping\n\n", ": ping\n\n", ": ping\n\n").Drip(60 * time.Millisecond), text: "Half a", code: llm.CodeStalled},
		{name: "half a stream", reply: llmtest.Say("Half a sentence that").After(2, llmtest.Cut), text: "Half a ", code: llm.CodeCut},
		{name: "garbage", reply: llmtest.Say("Half a").After(2, llmtest.Quiet).Then(llmtest.Frame("<html>")), text: "Half a", code: llm.CodeGarbled},
		{name: "an error in the midst", reply: llmtest.Say("Half a").After(2, llmtest.Quiet).Then(llmtest.Frame(`{"error":{"message":"overloaded","code":"overloaded"}}`)), text: "Half a", code: llm.CodeFailed},
		{name: "drip", reply: llmtest.Say("It comes, though slowly.").Drip(60 * time.Millisecond), text: "It comes, though slowly."},
		{name: "a giant token", reply: llmtest.Stream(chunk(`{"content":"`+giant+`"}`), finish("stop")), text: giant},
		{name: "invented content", reply: llmtest.Say("As [^doc-99] says, 7 < 5."), text: "As [^doc-99] says, 7 < 5."},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := llmtest.New(t, llmtest.Replies(row.reply))
			a, err := ask(t, endpoint(t, s, short).Open("fake-1"), llm.Request{})
			if a.Text != row.text || llm.CodeOf(err) != row.code {
				t.Errorf("got %.100q and %v, want %.100q and the code %q", a.Text, err, row.text, row.code)
			}
			if (a.Finish == "") != (row.code != "") {
				t.Errorf("finish %q with the error %v", a.Finish, err)
			}
			if err != nil && fault.Of(err).RetryAfter != row.after {
				t.Errorf("retry after %v, want %v", fault.Of(err).RetryAfter, row.after)
			}
			if row.code == llm.CodeStalled {
				s.WaitLeft(0, time.Second)
			}
			if s.Count() != 1 {
				t.Errorf("asked %d times", s.Count())
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	header := func(r llmtest.Reply, name, value string) llmtest.Reply {
		r.Header[name] = value
		return r
	}
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	rows := []struct {
		name  string
		reply llmtest.Reply
		code  string
		kind  fault.Kind
		say   string
		after time.Duration // about
	}{
		{name: "a wrong key", reply: llmtest.Refuse(401, "invalid_api_key", "Incorrect API key provided: "+key), code: llm.CodeUnauthorized, kind: fault.Invalid, say: "OPENAI_API_KEY"},
		{name: "no permission", reply: llmtest.Refuse(403, "forbidden", "no"), code: llm.CodeUnauthorized, kind: fault.Invalid},
		{name: "no credit", reply: llmtest.Refuse(429, "insufficient_quota", "You exceeded your current quota"), code: llm.CodeUnauthorized, kind: fault.Invalid, say: "credit"},
		{name: "payment", reply: llmtest.Refuse(402, "", "pay"), code: llm.CodeUnauthorized, kind: fault.Invalid, say: "credit"},
		{name: "no such model", reply: llmtest.Refuse(404, "model_not_found", "The model `fake-1` does not exist"), code: llm.CodeMissing, kind: fault.Invalid, say: "DEFAULT_LLM_MODEL"},
		{name: "no such path", reply: llmtest.Reply{Status: 404, Body: "404 page not found"}, code: llm.CodeGarbled, kind: fault.Unavailable, say: "OPENAI_BASE_URL"},
		{name: "elsewhere", reply: header(llmtest.Refuse(302, "", ""), "Location", "https://example.org/"), code: llm.CodeGarbled, kind: fault.Unavailable},
		{name: "a page", reply: llmtest.Reply{Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>\n\nhello</html>"}, code: llm.CodeCut, kind: fault.Unavailable},
		{name: "too long", reply: llmtest.Refuse(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens"), code: llm.CodeContext, kind: fault.Invalid},
		{name: "too large", reply: llmtest.Reply{Status: 413, Body: "<html>"}, code: llm.CodeContext, kind: fault.Invalid},
		{name: "refused", reply: llmtest.Refuse(400, "content_policy_violation", "no"), code: llm.CodeRefused, kind: fault.Invalid},
		{name: "rejected", reply: llmtest.Refuse(400, "invalid_value", "messages[0] is odd"), code: llm.CodeRejected, kind: fault.Invalid},
		{name: "rejected in other words", reply: llmtest.Reply{Status: 422, Header: map[string]string{}, Body: `{"detail":"messages is odd"}`}, code: llm.CodeRejected, kind: fault.Invalid},
		{name: "busy until a date", reply: llmtest.Busy(in(30 * time.Second)), code: llm.CodeRateLimited, kind: fault.Unavailable, after: 30 * time.Second},
		{name: "busy until a date of another clock", reply: header(llmtest.Busy(in(330*time.Second)), "Date", in(300*time.Second)), code: llm.CodeRateLimited, kind: fault.Unavailable, after: 30 * time.Second},
		{name: "busy until a date that was", reply: llmtest.Busy(in(-time.Hour)), code: llm.CodeRateLimited, kind: fault.Unavailable},
		{name: "busy for odd words", reply: llmtest.Busy("soon"), code: llm.CodeRateLimited, kind: fault.Unavailable},
		{name: "busy for a part of a second", reply: llmtest.Busy("1.5"), code: llm.CodeRateLimited, kind: fault.Unavailable, after: 1500 * time.Millisecond},
		{name: "busy in milliseconds", reply: header(llmtest.Busy("99"), "Retry-After-Ms", "250"), code: llm.CodeRateLimited, kind: fault.Unavailable, after: 250 * time.Millisecond},
		{name: "overloaded", reply: header(llmtest.Refuse(503, "", "overloaded"), "Retry-After", "3"), code: llm.CodeFailed, kind: fault.Unavailable, after: 3 * time.Second},
		{name: "out of order without a word", reply: llmtest.Reply{Status: 502}, code: llm.CodeFailed, kind: fault.Unavailable},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := llmtest.New(t, llmtest.Replies(row.reply))
			_, err := ask(t, endpoint(t, s).Open("fake-1"), llm.Request{})
			f := fault.Of(err)
			if f == nil || f.Code != row.code || f.Kind != row.kind || !strings.Contains(f.Say, row.say) {
				t.Fatalf("got %+v, want the code %s", f, row.code)
			}
			if off := f.RetryAfter - row.after; off < -2*time.Second || off > 2*time.Second || (row.after == 0) != (f.RetryAfter == 0) {
				t.Errorf("retry after %v, want %v", f.RetryAfter, row.after)
			}
		})
	}
}

// An answer that names the key must not bring it into an error, nor one that names another.
func TestKeysAreHidden(t *testing.T) {
	const other = "sk-proj-abcdefghijklmnop"
	s := llmtest.New(t, llmtest.Replies(
		llmtest.Refuse(500, "x", "key "+key+" and "+other+" at https://user:pass@host/"+strings.Repeat("z", 1000)),
		llmtest.Say("x").After(0, llmtest.Quiet).Then(llmtest.Frame(key)),
		llmtest.Refuse(401, "", "Bearer "+key)))
	m := endpoint(t, s).Open("fake-1")
	for range 3 {
		_, err := ask(t, m, llm.Request{})
		for _, secret := range []string{key, other, "pass@"} {
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(fault.Of(err).Say, secret) {
				t.Errorf("%v", err)
			}
		}
		if len(err.Error()) > 900 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	e, err := openai.New(openai.Options{Name: "openai", BaseURL: "http://user:secret@" + address, KeyName: "OPENAI_API_KEY", URLName: "OPENAI_BASE_URL", FirstToken: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = ask(t, e.Open("x"), llm.Request{})
	if llm.CodeOf(err) != llm.CodeUnreachable || strings.Contains(err.Error(), "secret") || !strings.Contains(fault.Of(err).Say, "OPENAI_BASE_URL") {
		t.Errorf("%v", err)
	}
	if _, err := e.Models(t.Context()); llm.CodeOf(err) != llm.CodeUnreachable {
		t.Errorf("models: %v", err)
	}
	for _, url := range []string{"", "localhost:11434", "ftp://x", "://"} {
		if _, err := openai.New(openai.Options{BaseURL: url, URLName: "OPENAI_BASE_URL"}); err == nil {
			t.Errorf("%q is taken for a URL", url)
		}
	}
}

// Leaving the loop closes the connection at once, and so does the end of the context.
func TestLeaving(t *testing.T) {
	for _, way := range []string{"the loop", "the context"} {
		t.Run(way, func(t *testing.T) {
			s := llmtest.New(t, llmtest.Replies(llmtest.Say("one two three").After(2, llmtest.Stall)))
			m := endpoint(t, s).Open("fake-1")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var left time.Time
			n := 0
			for d, err := range m.Stream(ctx, llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "x"}}}) {
				if n++; n < 2 {
					continue
				}
				if left.IsZero() {
					left = time.Now()
				}
				if way == "the loop" {
					break
				}
				cancel()
				if err != nil && (!errors.Is(err, context.Canceled) || d.Text != "") {
					t.Errorf("ended with %v", err)
				}
			}
			if took := s.WaitLeft(0, 5*time.Second).Sub(left); took > time.Second {
				t.Errorf("the provider heard of it after %v", took)
			}
		})
	}
}

// A deadline of the caller is the caller's, not the provider's.
func TestDeadline(t *testing.T) {
	s := llmtest.New(t, llmtest.Replies(llmtest.Say("one two").After(1, llmtest.Stall)))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	a, err := llm.Ask(ctx, endpoint(t, s).Open("fake-1"), llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "x"}}})
	if !errors.Is(err, context.DeadlineExceeded) || a.Text != "one " {
		t.Errorf("%q, %v", a.Text, err)
	}
}

// A reader that is slow is not the provider's fault, and an answer may take no longer than all together.
func TestSlowReaderAndTotal(t *testing.T) {
	s := llmtest.New(t, llmtest.Replies(llmtest.Say("one two")))
	var text string
	for d, err := range endpoint(t, s, short).Open("fake-1").Stream(t.Context(), llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "x"}}}) {
		if err != nil {
			t.Fatal(err)
		}
		text += d.Text
		<-time.After(200 * time.Millisecond)
	}
	if text != "one two" {
		t.Errorf("%q", text)
	}
	s = llmtest.New(t, llmtest.Replies(llmtest.Say(strings.Repeat("on and ", 100)).Drip(20*time.Millisecond)))
	a, err := ask(t, endpoint(t, s, func(o *openai.Options) { o.Total = 200 * time.Millisecond }).Open("fake-1"), llm.Request{})
	if llm.CodeOf(err) != llm.CodeStalled || !strings.HasPrefix(a.Text, "on and ") || !strings.Contains(fault.Of(err).Say, "200ms") {
		t.Errorf("%q, %v", a.Text, err)
	}
}

// A finish is enough: what a provider owes behind it is not waited for long.
func TestNothingBehindTheFinish(t *testing.T) {
	s := llmtest.New(t, llmtest.Replies(llmtest.Stream(chunk(`{"content":"x"}`), finish("stop")).Ending(llmtest.Stall)))
	began := time.Now()
	a, err := ask(t, endpoint(t, s).Open("fake-1"), llm.Request{})
	if err != nil || a.Text != "x" || a.Finish != llm.Stop || time.Since(began) > 4*time.Second {
		t.Errorf("%+v, %v after %v", a, err, time.Since(began))
	}
}

// Answers one after the other use one connection.
func TestConnectionsAreUsedAgain(t *testing.T) {
	s := llmtest.New(t, nil)
	m := endpoint(t, s).Open("fake-1")
	for range 5 {
		if _, err := ask(t, m, llm.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	ports := map[string]bool{}
	for _, c := range s.Calls() {
		ports[c.Remote] = true
	}
	if len(ports) != 1 {
		t.Errorf("%d connections for 5 answers", len(ports))
	}
}

// What an endpoint does not know is left out or said in another way, and remembered.
func TestDialects(t *testing.T) {
	half := .5
	schema := &llm.Schema{Name: "outline", JSON: []byte(`{"type":"object","properties":{"a":{"type":"string"}}}`)}
	request := llm.Request{Messages: []llm.Message{{Role: llm.System, Content: "Be brief."}, {Role: llm.User, Content: "Outline."}}, Schema: schema, MaxTokens: 50, Temperature: &half}
	refuse := func(param string) llmtest.Reply { return llmtest.Refuse(400, "unsupported", "Unsupported: "+param) }
	s := llmtest.New(t, func(c llmtest.Call) llmtest.Reply {
		body := string(c.Body)
		switch {
		case strings.Contains(body, "stream_options"):
			return refuse("stream_options")
		case strings.Contains(body, `"max_tokens"`):
			return refuse("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
		case strings.Contains(body, "temperature"):
			return refuse("temperature")
		case c.Format == "json_schema":
			return refuse("response_format json_schema")
		case c.Format == "json_object":
			return llmtest.Refuse(422, "", "response_format")
		}
		return llmtest.Say(`{"a": "b"}`)
	})
	s.Lenient = true
	m := endpoint(t, s).Open("fake-1")
	a, err := ask(t, m, request)
	if err != nil || a.Text != `{"a": "b"}` || s.Count() != 6 {
		t.Fatalf("%+v, %v after %d calls", a, err, s.Count())
	}
	last := s.Calls()[5]
	if !strings.Contains(last.Last(), "Outline.\n\nAnswer with one JSON value") || !strings.Contains(last.Last(), string(schema.JSON)) {
		t.Errorf("the schema is not said in words: %q", last.Last())
	}
	if request.Messages[1].Content != "Outline." {
		t.Errorf("the caller's request was changed: %+v", request)
	}
	if _, err := ask(t, m, request); err != nil || s.Count() != 7 {
		t.Errorf("%v; the second time it took %d calls", err, s.Count()-6)
	}
	// An endpoint that contradicts itself is not asked for ever.
	s.Script(llmtest.Replies(refuse("max_tokens, max_completion_tokens")))
	before := s.Count()
	if _, err := ask(t, endpoint(t, s).Open("fake-1"), request); llm.CodeOf(err) != llm.CodeRejected || s.Count() != before+6 {
		t.Errorf("%v after %d calls", err, s.Count()-before)
	}
	// What cannot be said in another way is rejected.
	s.Script(llmtest.Replies(refuse("temperature")))
	if _, err := ask(t, m, request); llm.CodeOf(err) != llm.CodeRejected {
		t.Errorf("%v", err)
	}
}

func TestRequestsAsTheyAreSent(t *testing.T) {
	s := llmtest.New(t, nil)
	zero := 0.
	_, err := ask(t, endpoint(t, s).Open("fake-1"), llm.Request{
		Messages: []llm.Message{
			{Role: llm.System, Content: "Be brief & <kind>."},
			{Role: llm.User, Content: "Find."},
			{Role: llm.Assistant, Calls: calls("a", "search", `{"q":"x"}`)},
			{Role: llm.Result, CallID: "a", Content: ""},
		},
		Tools:       []llm.Tool{{Name: "search", Description: "Finds.", Parameters: []byte(`{"type":"object"}`)}},
		Schema:      &llm.Schema{Name: "s", JSON: []byte(`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{},"required":[],"additionalProperties":false}}},"required":["a"],"additionalProperties":false}`)},
		MaxTokens:   100,
		Temperature: &zero,
		Purpose:     "write",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"model":"fake-1","messages":[{"role":"system","content":"Be brief & <kind>."},{"role":"user","content":"Find."},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}]},{"role":"tool","content":"","tool_call_id":"a"}],` +
		`"tools":[{"type":"function","function":{"name":"search","description":"Finds.","parameters":{"type":"object"}}}],` +
		`"response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{},"required":[],"additionalProperties":false}}},"required":["a"],"additionalProperties":false}}},` +
		`"max_tokens":100,"temperature":0,"stream":true,"stream_options":{"include_usage":true}}`
	c := s.Calls()[0]
	if diff := cmp.Diff(want, strings.TrimSpace(string(c.Body))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c.Header.Get("Authorization") != "Bearer "+key || c.Header.Get("Accept-Encoding") == "gzip" {
		t.Errorf("header %v", c.Header)
	}
}

func TestModels(t *testing.T) {
	s := llmtest.New(t, nil)
	s.Models = []string{"gpt-x", "text-embedding-3-small", "whisper-1", "nomic-embed-text:latest", "llama3.2"}
	list, err := endpoint(t, s).Models(t.Context())
	if diff := cmp.Diff([]string{"gpt-x", "llama3.2"}, list); diff != "" || err != nil {
		t.Errorf("%s%v", diff, err)
	}
	s.Key = "another"
	if _, err := endpoint(t, s).Models(t.Context()); llm.CodeOf(err) != llm.CodeUnauthorized || strings.Contains(err.Error(), key) {
		t.Errorf("%v", err)
	}
}

func TestPresets(t *testing.T) {
	for _, row := range []struct {
		o    openai.Options
		name string
		want llm.Info
	}{
		{openai.OpenAI("", ""), "gpt-4.1-mini", llm.Info{Provider: "openai", Name: "gpt-4.1-mini", Context: 1_047_576, Output: 32_768}},
		{openai.OpenAI("http://localhost:8080", ""), "meta-llama/Llama-3.1-8B-Instruct", llm.Info{Provider: "openai", Name: "meta-llama/Llama-3.1-8B-Instruct", Context: 131_072}},
		{openai.Ollama(""), "llama3.2", llm.Info{Provider: "ollama", Name: "llama3.2", Context: 4096}},
	} {
		e, err := openai.New(row.o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, e.Open(row.name).Info()); diff != "" {
			t.Error(diff)
		}
		e.Close()
	}
	s := llmtest.New(t, llmtest.Replies(llmtest.Refuse(404, "", "model 'llama9' not found")))
	e, err := openai.New(openai.Ollama(strings.TrimSuffix(s.URL, "/v1")))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := ask(t, e.Open("llama9"), llm.Request{}); llm.CodeOf(err) != llm.CodeMissing || !strings.Contains(fault.Of(err).Say, "ollama pull llama9") {
		t.Errorf("%v", err)
	}
}

// A proxy of the environment is not asked for what is near.
func TestProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example.org:3128")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
	for url, want := range map[string]bool{
		"https://api.openai.com/v1": true, "http://127.0.0.1:11434": false, "http://10.1.2.3:8080": false, "http://[::1]:1": false,
		"http://ollama:11434": false, "http://gpu.local": false, "http://gpu.internal": false,
	} {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := openai.NewTransport().Proxy(r)
		if err != nil || (p != nil) != want {
			t.Errorf("%s: proxy %v, %v", url, p, err)
		}
	}
}

func ExampleOllama() {
	fmt.Println(openai.Ollama("").BaseURL)
	// Output: http://127.0.0.1:11434
}

// Words that wait in the connection until their reader wants more come together, and none is lost.
func TestWordsAreReadInTheListenersRhythm(t *testing.T) {
	const words = 40
	s := llmtest.New(t, llmtest.Replies(llmtest.Say(strings.Repeat("word ", words)).Drip(5*time.Millisecond)))
	looks := 0
	ctx := llm.WithPace(t.Context(), func() {
		looks++
		time.Sleep(50 * time.Millisecond) // less than what is too long without a word
	})
	a, err := llm.Ask(ctx, endpoint(t, s, short).Open("fake-1"), llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "?"}}})
	if err != nil || a.Text != strings.Repeat("word ", words) {
		t.Fatalf("%q, %v", a.Text, err)
	}
	if looks < 2 || looks > words/2 {
		t.Errorf("looked %d times for %d words", looks, words)
	}
}
