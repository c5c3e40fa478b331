// Command decode measures what it costs to read the stream of a model, from the bytes on the wire to the text of each token: our
// driver, and OpenAI's own client for Go. Both get the same bytes from memory, in the same run, in turns, on one processor.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"byline/bench/internal/proc"
	"byline/internal/driver/openai"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

const (
	tokens = 20_000 // of one stream
	rounds = 9      // measured; the first is not
)

// wire answers every request with the same stream, in pieces of the size in which a network brings them.
type wire struct{ stream []byte }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // from memory
		r.Body.Close()
	}
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(&pieces{bytes.NewReader(w.stream)})}, nil
}

type pieces struct{ r *bytes.Reader }

func (p *pieces) Read(b []byte) (int, error) {
	const piece = 4 << 10
	return p.r.Read(b[:min(len(b), piece)])
}

func main() {
	runtime.GOMAXPROCS(1)
	var b strings.Builder
	for i := range tokens {
		b.WriteString(llmtest.Chunk(fmt.Sprintf(`{"content":" word%d"}`, i), ""))
	}
	b.WriteString(llmtest.Chunk(`{}`, "stop") + llmtest.Usage(100, 0, tokens) + "data: [DONE]\n\n")
	w := wire{[]byte(b.String())}

	e, err := openai.New(openai.Options{Name: "openai", BaseURL: "http://model.test/v1", FirstToken: time.Minute, Idle: time.Minute, Total: time.Minute, Transport: w})
	proc.Check(err)
	m := e.Open("fake-1")
	ours := func() int {
		n := 0
		for d, err := range m.Stream(context.Background(), llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "x"}}}) {
			proc.Check(err)
			n += len(d.Text)
		}
		return n
	}
	client := sdk.NewClient(option.WithBaseURL("http://model.test/v1"), option.WithAPIKey("sk-0"), option.WithHTTPClient(&http.Client{Transport: w}))
	theirs := func() int {
		n := 0
		s := client.Chat.Completions.NewStreaming(context.Background(), sdk.ChatCompletionNewParams{Model: "fake-1", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage("x")}})
		for s.Next() {
			for _, c := range s.Current().Choices {
				n += len(c.Delta.Content)
			}
		}
		proc.Check(s.Err())
		return n
	}
	var fast, slow []float64
	for i := range rounds + 1 {
		f, n := measure(ours)
		s, other := measure(theirs)
		if n != other || n == 0 {
			proc.Check(fmt.Errorf("texts of %d and %d bytes", n, other))
		}
		if i > 0 {
			fast, slow = append(fast, f), append(slow, s)
		}
	}
	slices.Sort(fast)
	slices.Sort(slow)
	f, s := fast[rounds/2], slow[rounds/2]
	fmt.Printf("| what | tokens per CPU-second | µs a token |\n|---|---|---|\n| byline | %.0f | %.2f |\n| openai-go v3.96.0 | %.0f | %.2f |\n\n%.1fx; medians of %d streams of %d tokens\n", f, 1e6/f, s, 1e6/s, f/s, rounds, tokens)
}

// measure gives the tokens per CPU-second of reading a stream, collection of its garbage included, and the bytes of its text.
func measure(read func() int) (perSecond float64, n int) {
	runtime.GC()
	began := cpu()
	n = read()
	runtime.GC()
	return tokens / (cpu() - began).Seconds(), n
}

func cpu() time.Duration {
	var u syscall.Rusage
	proc.Check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
