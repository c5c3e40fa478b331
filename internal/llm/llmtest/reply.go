package llmtest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reply is an answer. The functions below make one; its methods change how it is given.
type Reply struct {
	Status int               // 0 is 200
	Header map[string]string // beside the usual
	Body   string            // whole, in the place of a stream
	Frames []string          // of a stream, as they are on the wire: "data: {...}\n\n"
	Pause  time.Duration     // before each frame but the first
	Wait   time.Duration     // before the header
	End    End
	Split  int // > 0: each write has so many bytes, so that characters and frames are split
}

// End is how a stream ends.
type End int

// The ends.
const (
	Done     End = iota // data: [DONE], as OpenAI does
	Quiet               // without it, as some do
	Cut                 // the connection breaks
	Stall               // nothing more comes until the client leaves
	StallAll            // not even the header comes, until the client leaves
	HangUp              // the connection is closed without an answer
)

// Frame is a chunk of a stream.
func Frame(chunk string) string { return "data: " + chunk + "\n\n" }

// Chunk makes the frame of a delta such as {"content":"x"}, with a finish reason if there is one.
func Chunk(delta, finish string) string {
	reason := "null"
	if finish != "" {
		reason = strconv.Quote(finish)
	}
	return Frame(fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake-1","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}`, delta, reason))
}

// Usage makes the frame that counts tokens.
func Usage(input, cached, output int) string {
	return Frame(fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake-1","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}`, input, output, input+output, cached))
}

// Quote is s as JSON.
func Quote(s string) string {
	b, _ := json.Marshal(s) // a string can always be written
	return string(b)
}

// Stream answers with chunks of the given frames.
func Stream(frames ...string) Reply { return Reply{Frames: frames} }

// Say answers with a text, a word a chunk, and its usage.
func Say(text string) Reply {
	var frames []string
	for _, word := range strings.SplitAfter(text, " ") {
		if word != "" {
			frames = append(frames, Chunk(`{"content":`+Quote(word)+`}`, ""))
		}
	}
	n := len(frames)
	return Stream(append(frames, Chunk(`{}`, "stop"), Usage(10, 0, n))...)
}

// Ask answers with the wish to call a tool; args is its JSON object.
func Ask(tool, args string) Reply {
	return Stream(
		Chunk(fmt.Sprintf(`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":%s,"arguments":""}}]}`, Quote(tool)), ""),
		Chunk(fmt.Sprintf(`{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}`, Quote(args)), ""),
		Chunk(`{}`, "tool_calls"), Usage(10, 0, 5))
}

// Refuse answers with a status and OpenAI's form of an error.
func Refuse(status int, code, message string) Reply {
	return Reply{Status: status, Header: map[string]string{"Content-Type": "application/json"},
		Body: fmt.Sprintf(`{"error":{"message":%s,"type":"error","param":null,"code":%s}}`, Quote(message), Quote(code))}
}

// Busy answers 429; retryAfter is the header's text, if there is one.
func Busy(retryAfter string) Reply {
	r := Refuse(http.StatusTooManyRequests, "rate_limit_exceeded", "Rate limit reached.")
	if retryAfter != "" {
		r.Header["Retry-After"] = retryAfter
	}
	return r
}

// JSON answers with a body of JSON.
func JSON(body string) Reply {
	return Reply{Header: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// Vectors answers a request for embeddings: vectors of unit length that depend on the text alone.
func Vectors(c Call, dims int) Reply {
	type row struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	rows := make([]row, len(c.Input))
	for i, text := range c.Input {
		rows[i] = row{"embedding", i, Vector(text, dims)}
	}
	b, _ := json.Marshal(map[string]any{"object": "list", "data": rows, "model": c.Model, "usage": map[string]int{"prompt_tokens": len(c.Input), "total_tokens": len(c.Input)}})
	return JSON(string(b))
}

// Vector is what Vectors gives for a text.
func Vector(text string, dims int) []float32 {
	v := make([]float32, dims)
	var sum float64
	for i := range v {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s", i, text) //nolint:errcheck // a hash takes everything
		x := float64(h.Sum64()>>11)/(1<<53)*2 - 1
		v[i] = float32(x)
		sum += x * x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// Drip waits before each frame.
func (r Reply) Drip(pause time.Duration) Reply {
	r.Pause = pause
	return r
}

// Late waits before it answers at all.
func (r Reply) Late(wait time.Duration) Reply {
	r.Wait = wait
	return r
}

// After keeps the first n frames, and then ends in another way.
func (r Reply) After(n int, end End) Reply {
	r.Frames, r.End = r.Frames[:min(n, len(r.Frames))], end
	return r
}

// Ending ends in another way behind all frames.
func (r Reply) Ending(end End) Reply {
	r.End = end
	return r
}

// Then puts frames behind those that are there.
func (r Reply) Then(frames ...string) Reply {
	r.Frames = append(r.Frames[:len(r.Frames):len(r.Frames)], frames...)
	return r
}

// InPieces writes n bytes at a time.
func (r Reply) InPieces(n int) Reply {
	r.Split = n
	return r
}

// write gives the answer, and notes when the client left before its end.
func (r Reply) write(s *Server, w http.ResponseWriter, q *http.Request, c Call) {
	defer func() {
		if q.Context().Err() != nil {
			s.note(func() { s.left[c.N] = time.Now() })
		}
	}()
	wait := func(d time.Duration) bool {
		var over <-chan time.Time
		if d > 0 {
			over = time.After(d)
		}
		select {
		case <-over:
			return true
		case <-q.Context().Done():
		case <-s.done:
		}
		return false
	}
	if r.Wait > 0 && !wait(r.Wait) || r.End == StallAll && !wait(0) {
		return
	}
	if r.End == HangUp {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for k, v := range r.Header {
		w.Header().Set(k, v)
	}
	if r.Status != 0 {
		w.WriteHeader(r.Status)
	}
	flush := func(text string) {
		for n := r.Split; n > 0 && len(text) > n; text = text[n:] {
			_, _ = w.Write([]byte(text[:n]))
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write([]byte(text)) // the client may have left: the context tells
		w.(http.Flusher).Flush()
	}
	if r.Body != "" || len(r.Frames) == 0 && r.Status != 0 {
		flush(r.Body)
	}
	for i, f := range r.Frames {
		if i > 0 && r.Pause > 0 && !wait(r.Pause) {
			return
		}
		flush(f)
	}
	switch r.End {
	case Done:
		if len(r.Frames) > 0 {
			flush("data: [DONE]\n\n")
		}
	case Cut:
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case Stall:
		flush("")
		wait(0)
	}
}
