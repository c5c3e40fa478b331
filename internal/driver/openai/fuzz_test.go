package openai_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"byline/internal/driver/openai"
	"byline/internal/llm/llmtest"
)

// standard reads a chunk as encoding/json does.
func standard(data []byte) (text string, finish string, ok bool) {
	var c struct {
		Choices []*struct {
			Delta *struct {
				Content any `json:"content"`
			} `json:"delta"`
			Finish any `json:"finish_reason"`
		} `json:"choices"`
	}
	if json.Unmarshal(data, &c) != nil {
		return "", "", false
	}
	if len(c.Choices) > 0 && c.Choices[0] != nil {
		if c.Choices[0].Delta != nil {
			text, _ = c.Choices[0].Delta.Content.(string)
		}
		finish, _ = c.Choices[0].Finish.(string)
	}
	return text, finish, true
}

// FuzzChunk holds our reader against the standard one: what that reads, ours reads alike; nothing makes it panic. Keys that
// stand twice or in other case are left to the standard reader.
func FuzzChunk(f *testing.F) {
	for _, seed := range []string{
		`{"choices":[{"index":0,"delta":{"content":"a\"b\\\u00e9\ud83d\ude00\n"},"finish_reason":null}],"usage":{"prompt_tokens":1,"x":[1,{"y":"]"}]}}`,
		`{"choices":[{"delta":{"content":"x","tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":{"a":[1]}}}]},"finish_reason":"stop"}]}`,
		`{"error":{"message":"m","code":429}}`, `{"choices":null}`, `{"choices":[null,{}]}`, ` { "choices" : [ { "delta" : { "content" : "x" } } ] } `,
		`{"choices":[{"delta":{"content":"\ud83d"}}]}`, "{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", `{"a":"\"}`, `[`, `{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, arguments, finish, ok := openai.ReadChunk(data)
		for _, s := range append(arguments, text, finish) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not valid", s)
			}
		}
		lower := strings.ToLower(string(data))
		if strings.Count(lower, `"choices"`) > 1 || strings.Count(lower, `"delta"`) > 1 || strings.Count(lower, `"content"`) > 1 || strings.Contains(lower, `"message"`) || strings.Count(lower, `"finish_reason"`) > 1 ||
			lower != string(data) || strings.Contains(lower, "\\") && !strings.Contains(lower, `"content":"`) {
			return
		}
		wantText, wantFinish, valid := standard(data)
		if !valid || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
			return
		}
		if !ok {
			var c struct{ Usage, Error any }
			if json.Unmarshal(data, &c) == nil {
				t.Fatalf("%q is not read", data)
			}
			return
		}
		if _, parts := text, strings.Contains(lower, `"content":[`); !parts && (text != wantText || finish != wantFinish) {
			t.Fatalf("%q: got %q %q, want %q %q", data, text, finish, wantText, wantFinish)
		}
	})
}

// FuzzEvents: however a stream is cut into reads, the same events come out, and none is longer than what came.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\n\ndata:b\r\ndata: c\r\n\r\n: ping\n\nevent: x\ndata: d"))
	f.Add([]byte("\xef\xbb\xbfdata: a\n\n\n\nid: 1\ndata\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, err := openai.ReadEvents(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, e := range whole {
			size += len(e)
		}
		if size > len(data) {
			t.Fatalf("%d bytes of %d", size, len(data))
		}
		for name, r := range map[string]io.Reader{"a byte": iotest.OneByteReader(bytes.NewReader(data)), "half": iotest.HalfReader(bytes.NewReader(data)), "data and error": iotest.DataErrReader(bytes.NewReader(data))} {
			if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) && name == "a byte" {
				continue // a mark that comes in pieces is not seen as one, and does no harm
			}
			got, err := openai.ReadEvents(r)
			if err != nil || strings.Join(got, "\x00") != strings.Join(whole, "\x00") || len(got) != len(whole) {
				t.Fatalf("%s at a time: %q, want %q (%v)", name, got, whole, err)
			}
		}
	})
}

// FuzzJoin: text that comes in pieces is what it would be in one, and is valid.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("한글 😀 x"), uint8(1), uint8(2))
	f.Add([]byte("\xed\xa0\xbd\xed\xb8\x80\xff\xe2\x82"), uint8(2), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint8) {
		i := min(int(a), len(data))
		j := min(i+int(b), len(data))
		whole, parts := openai.Join(data), openai.Join(data[:i], data[i:j], data[j:])
		if !utf8.ValidString(parts) || parts != whole {
			t.Fatalf("%q | %q | %q gave %q, want %q", data[:i], data[i:j], data[j:], parts, whole)
		}
		if utf8.Valid(data) && whole != string(data) {
			t.Fatalf("%q became %q", data, whole)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	stream := []byte(strings.Repeat(llmtest.Chunk(`{"content":" word"}`, ""), 1000))
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		list, err := openai.Decode(bytes.NewReader(stream))
		if err != nil || list != 1000 {
			b.Fatal(list, err)
		}
	}
}
