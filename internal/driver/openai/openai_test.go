package openai_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"byline/internal/driver/openai"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is what the tests' endpoint wants; it must not come up anywhere.
const key = "sk-secret-0123456789abcdef"

// endpoint makes one at a server of the test, with short timeouts.
func endpoint(t testing.TB, s *llmtest.Server, change ...func(*openai.Options)) *openai.Endpoint {
	t.Helper()
	o := openai.OpenAI(s.URL, key)
	o.FirstToken, o.Idle, o.Total = 5*time.Second, 5*time.Second, time.Minute
	for _, c := range change {
		c(&o)
	}
	e, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func ask(t testing.TB, m llm.Model, r llm.Request) (llm.Answer, error) {
	t.Helper()
	if r.Messages == nil {
		r.Messages = []llm.Message{{Role: llm.User, Content: "Write."}}
	}
	a, err := llm.Ask(t.Context(), m, r)
	if err != nil && strings.Contains(err.Error(), key) {
		t.Errorf("the error tells the key: %v", err)
	}
	return a, err
}

func chunk(delta string) string   { return llmtest.Chunk(delta, "") }
func finish(reason string) string { return llmtest.Chunk(`{}`, reason) }

func calls(list ...string) (c []llm.ToolCall) {
	for i := 0; i < len(list); i += 3 {
		c = append(c, llm.ToolCall{ID: list[i], Name: list[i+1], Arguments: []byte(list[i+2])})
	}
	return c
}

// TestQuirks holds what providers do to the protocol: each row is a stream and what it means.
func TestQuirks(t *testing.T) {
	giant := strings.Repeat("x", 3<<20)
	rows := []struct {
		name  string
		reply llmtest.Reply
		want  llm.Answer
		code  string
	}{
		{
			name:  "as it should be",
			reply: llmtest.Say("Hello, world."),
			want:  llm.Answer{Text: "Hello, world.", Finish: llm.Stop, Usage: &llm.Usage{Input: 10, Output: 2}},
		},
		{
			name: "tool-call index missing",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"id":"a","type":"function","function":{"name":"search","arguments":"{\"q\":"}}]}`),
				chunk(`{"tool_calls":[{"function":{"arguments":"\"x\"}"}}]}`),
				chunk(`{"tool_calls":[{"id":"b","type":"function","function":{"name":"read","arguments":"{}"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":"x"}`, "b", "read", `{}`), Finish: llm.Calls},
		},
		{
			name: "tool-call index always 0",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"{\"q\":\"x\"}"}}]}`),
				chunk(`{"tool_calls":[{"index":0,"id":"b","function":{"name":"search","arguments":"{\"q\":"}}]}`),
				chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"\"y\"}"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":"x"}`, "b", "search", `{"q":"y"}`), Finish: llm.Calls},
		},
		{
			name: "tool-call without id or index, one after the other",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"function":{"name":"search","arguments":"{\"q\":\"x\"}"}},{"function":{"name":"search","arguments":"{\"q\":\"y\"}"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("call_1", "search", `{"q":"x"}`, "call_2", "search", `{"q":"y"}`), Finish: llm.Calls},
		},
		{
			name: "id only in the first chunk, calls in turns",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":""}},{"index":1,"id":"b","function":{"name":"read","arguments":""}}]}`),
				chunk(`{"tool_calls":[{"index":1,"function":{"arguments":"{\"n\":"}},{"index":0,"function":{"arguments":"{\"q\":"}}]}`),
				chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"arguments":"2}"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":1}`, "b", "read", `{"n":2}`), Finish: llm.Calls},
		},
		{
			name: "id and name in every chunk",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"{\"q\":"}}]}`),
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"1}"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":1}`), Finish: llm.Calls},
		},
		{
			name: "arguments as an object",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":{"q":"a \"b\" }"}}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":"a \"b\" }"}`), Finish: llm.Calls},
		},
		{
			name: "arguments written as a text twice",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"\"{\\\"q\\\":1}\""}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "search", `{"q":1}`), Finish: llm.Calls},
		},
		{
			name: "no arguments",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"now","arguments":null}}]}`),
				chunk(`{"tool_calls":[{"index":1,"id":"b","function":{"name":"now"}}]}`),
				finish("tool_calls")),
			want: llm.Answer{Calls: calls("a", "now", `{}`, "b", "now", `{}`), Finish: llm.Calls},
		},
		{
			name: "arguments that are no JSON",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"{q: x"}}]}`),
				finish("tool_calls")),
			code: llm.CodeGarbled,
		},
		{
			name: "a call cut by the limit of the length",
			reply: llmtest.Stream(
				chunk(`{"content":"So"}`),
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"{\"q\":"}}]}`),
				finish("length")),
			want: llm.Answer{Text: "So", Finish: llm.Length},
		},
		{
			name: "finish stop after tool calls",
			reply: llmtest.Stream(
				chunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"search","arguments":"{}"}}]}`),
				finish("stop")),
			want: llm.Answer{Calls: calls("a", "search", `{}`), Finish: llm.Calls},
		},
		{
			name:  "usage in an extra chunk",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("stop"), llmtest.Usage(100, 60, 7)),
			want:  llm.Answer{Text: "x", Finish: llm.Stop, Usage: &llm.Usage{Input: 100, Cached: 60, Output: 7}},
		},
		{
			name: "usage in the choice, null before",
			reply: llmtest.Stream(
				llmtest.Frame(`{"choices":[{"delta":{"content":"x"}}],"usage":null}`),
				llmtest.Frame(`{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_cache_hit_tokens":2}}]}`)),
			want: llm.Answer{Text: "x", Finish: llm.Stop, Usage: &llm.Usage{Input: 3, Cached: 2, Output: 4}},
		},
		{
			name:  "no usage",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("stop")),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "reasoning_content",
			reply: llmtest.Stream(chunk(`{"reasoning_content":"Hm. "}`), chunk(`{"reasoning_content":"So.","content":null}`), chunk(`{"content":"x"}`), finish("stop")),
			want:  llm.Answer{Text: "x", Reasoning: "Hm. So.", Finish: llm.Stop},
		},
		{
			name:  "reasoning, and the same again as reasoning_content",
			reply: llmtest.Stream(chunk(`{"reasoning":"Hm."}`), chunk(`{"reasoning":"So.","reasoning_content":"So."}`), chunk(`{"content":"x"}`), finish("stop")),
			want:  llm.Answer{Text: "x", Reasoning: "Hm.So.", Finish: llm.Stop},
		},
		{
			name:  "thoughts in marks that are split",
			reply: llmtest.Stream(chunk(`{"content":"\n<th"}`), chunk(`{"content":"ink>Is 1 < 2? </"}`), chunk(`{"content":"b></thi"}`), chunk(`{"content":"nk>\n\n"}`), chunk(`{"content":"\nYes: <think> is a mark."}`), finish("stop")),
			want:  llm.Answer{Text: "Yes: <think> is a mark.", Reasoning: "Is 1 < 2? </b>", Finish: llm.Stop},
		},
		{
			name:  "thoughts without an end",
			reply: llmtest.Stream(chunk(`{"content":"<thinking>Hm. </thin"}`), finish("length")),
			want:  llm.Answer{Reasoning: "Hm. </thin", Finish: llm.Length},
		},
		{
			name:  "what only looks like a thought",
			reply: llmtest.Stream(chunk(`{"content":" <t"}`), chunk(`{"content":"able>"}`), finish("stop")),
			want:  llm.Answer{Text: " <table>", Finish: llm.Stop},
		},
		{
			name:  "what might have become a thought",
			reply: llmtest.Stream(chunk(`{"content":"<thi"}`), finish("stop")),
			want:  llm.Answer{Text: "<thi", Finish: llm.Stop},
		},
		{
			name:  "an error within a stream",
			reply: llmtest.Stream(chunk(`{"content":"Half a "}`), llmtest.Frame(`{"error":{"message":"The server had an error","type":"server_error","code":null}}`)),
			want:  llm.Answer{Text: "Half a "},
			code:  llm.CodeFailed,
		},
		{
			name:  "an error within a stream, as a text",
			reply: llmtest.Stream(llmtest.Frame(`{"error":"rate limit exceeded"}`)),
			code:  llm.CodeRateLimited,
		},
		{
			name:  "an error within a stream, with a number",
			reply: llmtest.Stream(llmtest.Frame(`{"error":{"message":"Provider returned error","code":502},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}`)),
			code:  llm.CodeFailed,
		},
		{
			name:  "an error as an event of its own",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), "event: error\ndata: {\"message\":\"overloaded\"}\n\n"),
			want:  llm.Answer{Text: "x"},
			code:  llm.CodeFailed,
		},
		{
			name:  "an error as an object of its own",
			reply: llmtest.Stream(llmtest.Frame(`{"object":"error","message":"This model's maximum context length is 4096 tokens","code":400}`)),
			code:  llm.CodeContext,
		},
		{
			name:  "finished by an error",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("insufficient_system_resource")),
			want:  llm.Answer{Text: "x"},
			code:  llm.CodeFailed,
		},
		{
			name:  "an error behind the finish",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("stop"), llmtest.Frame(`{"error":{"message":"usage is not known"}}`)),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "a stream that breaks",
			reply: llmtest.Say("Half a sentence that").After(2, llmtest.Cut),
			want:  llm.Answer{Text: "Half a "},
			code:  llm.CodeCut,
		},
		{
			name:  "a stream that ends too early",
			reply: llmtest.Say("Half a sentence that").After(2, llmtest.Quiet),
			want:  llm.Answer{Text: "Half a "},
			code:  llm.CodeCut,
		},
		{
			name:  "a stream that says done without a finish",
			reply: llmtest.Say("Half a sentence that").After(2, llmtest.Done),
			want:  llm.Answer{Text: "Half a "},
			code:  llm.CodeCut,
		},
		{
			name:  "a stream that ends within an event",
			reply: llmtest.Say("Half a").Then().After(1, llmtest.Quiet).Then(`data: {"choices":[{"delta":{"content":"sent`),
			want:  llm.Answer{Text: "Half "},
			code:  llm.CodeCut,
		},
		{
			name:  "no stream at all",
			reply: llmtest.Reply{Header: map[string]string{"Content-Type": "text/event-stream"}, Body: "\n"},
			code:  llm.CodeCut,
		},
		{
			name:  "a giant token",
			reply: llmtest.Stream(chunk(`{"content":"a"}`), chunk(`{"content":"`+giant+`"}`), finish("stop")),
			want:  llm.Answer{Text: "a" + giant, Finish: llm.Stop},
		},
		{
			name:  "a token beyond all bounds",
			reply: llmtest.Stream(chunk(`{"content":"a"}`), chunk(`{"content":"`+strings.Repeat(giant, 6)+`"}`), finish("stop")),
			want:  llm.Answer{Text: "a"},
			code:  llm.CodeGarbled,
		},
		{
			name:  "a character split over chunks",
			reply: llmtest.Stream(chunk("{\"content\":\"\xed\x95\"}"), chunk("{\"content\":\"\x9c\xea\"}"), chunk("{\"content\":\"\xb8\x80\"}"), finish("stop")),
			want:  llm.Answer{Text: "한글", Finish: llm.Stop},
		},
		{
			name:  "a pair split over chunks",
			reply: llmtest.Stream(chunk(`{"content":"a\ud83d"}`), chunk(`{"content":"\ude00b\ud83d\ude00"}`), finish("stop")),
			want:  llm.Answer{Text: "a😀b😀", Finish: llm.Stop},
		},
		{
			name:  "bytes that are no text",
			reply: llmtest.Stream(chunk("{\"content\":\"a\xff\xfeb\"}"), chunk(`{"content":"\ud83d"}`), chunk(`{"content":"c"}`), chunk("{\"content\":\"\xed\"}"), finish("stop")),
			want:  llm.Answer{Text: "a��b�c�", Finish: llm.Stop},
		},
		{
			name:  "null choices",
			reply: llmtest.Stream(llmtest.Frame(`{"choices":null}`), llmtest.Frame(`{"choices":[]}`), llmtest.Frame(`{"choices":[null]}`), llmtest.Frame(`{"choices":[{"delta":null}]}`), chunk(`{"role":"assistant","content":null,"tool_calls":null}`), chunk(`{"content":"x"}`), finish("stop")),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "a second choice",
			reply: llmtest.Stream(llmtest.Frame(`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"},{"index":1,"delta":{"content":"y"}}]}`)),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "comments as pings",
			reply: llmtest.Stream(": OPENROUTER PROCESSING\n\n", ": ping\n", chunk(`{"content":"x"}`), ":\n\n", "data:\n\n", finish("stop")),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "CRLF, a byte order mark, ids and names",
			reply: llmtest.Stream("\xef\xbb\xbfid: 1\r\nevent: message\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\n", "retry: 10\r\n\r\n", "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n"),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "data without a space",
			reply: llmtest.Stream("data:{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", "data:{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", "data:[DONE]\n\n"),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "data over several lines",
			reply: llmtest.Stream("data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"x\"},\r\ndata: \"finish_reason\":\"stop\"}]}\n\n"),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "done is missing behind the finish",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("stop")).Ending(llmtest.Quiet),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "broken behind the finish",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("stop")).Ending(llmtest.Cut),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "no empty line at the end",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), strings.TrimSpace(finish("stop"))).Ending(llmtest.Quiet),
			want:  llm.Answer{Text: "x", Finish: llm.Stop},
		},
		{
			name:  "a byte at a time",
			reply: llmtest.Say("한 글자씩.").InPieces(1),
			want:  llm.Answer{Text: "한 글자씩.", Finish: llm.Stop, Usage: &llm.Usage{Input: 10, Output: 2}},
		},
		{
			name:  "JSON in the place of a stream",
			reply: llmtest.JSON(`{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","tool_calls":[{"id":"a","type":"function","function":{"name":"search","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":6}}`),
			want:  llm.Answer{Text: "Hello", Calls: calls("a", "search", `{}`), Finish: llm.Calls, Usage: &llm.Usage{Input: 5, Output: 6}},
		},
		{
			name:  "JSON with parts in the place of a stream",
			reply: llmtest.JSON(`{"choices":[{"message":{"content":[{"type":"text","text":"Hel\"lo"},{"type":"text","text":" you"}]},"finish_reason":"stop"}]}`),
			want:  llm.Answer{Text: `Hel"lo you`, Finish: llm.Stop},
		},
		{
			name:  "an error as JSON with status 200",
			reply: llmtest.JSON(`{"error":{"message":"boom","type":"server_error"}}`),
			code:  llm.CodeFailed,
		},
		{
			name:  "other JSON",
			reply: llmtest.JSON(`{"status":"ok"}`),
			code:  llm.CodeGarbled,
		},
		{
			name:  "garbage in the stream",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), llmtest.Frame(`{"choices":[{"delta":{"content":"y"}]`), finish("stop")),
			want:  llm.Answer{Text: "x"},
			code:  llm.CodeGarbled,
		},
		{
			name:  "a refusal",
			reply: llmtest.Stream(chunk(`{"refusal":"I can't "}`), chunk(`{"refusal":"do that."}`), finish("stop")),
			code:  llm.CodeRefused,
		},
		{
			name:  "filtered",
			reply: llmtest.Stream(chunk(`{"content":"x"}`), finish("content_filter")),
			want:  llm.Answer{Text: "x", Finish: llm.Filtered},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := llmtest.New(t, llmtest.Replies(row.reply))
			s.Key = key
			got, err := ask(t, endpoint(t, s).Open("fake-1"), llm.Request{})
			if diff := cmp.Diff(row.want, got); diff != "" {
				if len(diff) > 2000 {
					diff = diff[:2000]
				}
				t.Errorf("(-want +got)\n%s", diff)
			}
			if llm.CodeOf(err) != row.code {
				t.Errorf("the error is %v, want the code %q", err, row.code)
			}
		})
	}
}
