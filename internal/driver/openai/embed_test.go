package openai_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/driver/openai"
	"byline/internal/engine/embed"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

const dims = 8

func embedder(t testing.TB, s *llmtest.Server, change ...func(*openai.EmbedderOptions)) *openai.Embedder {
	t.Helper()
	o := openai.EmbedderOptions{Model: "text-embedding-3-small", Dims: dims, First: time.Millisecond, Longest: 5 * time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	return endpoint(t, s).Embedder(o)
}

// right tells whether a vector is that of a text.
func right(v embed.Vector, text string) bool {
	return v.Known == 1 && cmp.Equal(v.Values, llmtest.Vector(text, dims), cmp.Comparer(func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }))
}

func passages(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("Passage %d of a long document. %s", i, strings.Repeat("word ", i%50))
	}
	return texts
}

// 10,000 passages against an endpoint that says 429 to every second request, with Retry-After in each form and without, end
// complete and in order; what it answers is shuffled and partial on top.
func TestManyPassagesAgainstABusyEndpoint(t *testing.T) {
	var n atomic.Int64
	s := llmtest.New(t, func(c llmtest.Call) llmtest.Reply {
		k := n.Add(1)
		if len(c.Input) > 128 {
			t.Errorf("a batch of %d", len(c.Input))
		}
		switch {
		case k%8 == 1:
			return llmtest.Busy("0.002")
		case k%8 == 3:
			return llmtest.Busy(time.Now().Add(-time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		case k%2 == 1:
			return llmtest.Busy("")
		case k%20 == 10:
			return llmtest.Refuse(500, "", "oops")
		}
		return shuffled(c, int(k%3))
	})
	texts := passages(10_000)
	vectors, err := embedder(t, s).Passages(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vectors {
		if !right(v, texts[i]) {
			t.Fatalf("passage %d has another's vector: %v", i, v)
		}
	}
	t.Logf("%d requests for %d passages", n.Load(), len(texts))
}

// shuffled answers backwards, and leaves some out.
func shuffled(c llmtest.Call, without int) llmtest.Reply {
	var rows []string
	for i := len(c.Input) - 1; i >= 0; i-- {
		if without > 0 && i%10 == without && len(c.Input) > 20 {
			continue
		}
		v := fmt.Sprint(llmtest.Vector(c.Input[i], dims))
		rows = append(rows, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, strings.ReplaceAll(v, " ", ",")))
	}
	return llmtest.JSON(`{"object":"list","data":[` + strings.Join(rows, ",") + `]}`)
}

func TestBatchesByBytes(t *testing.T) {
	s := llmtest.New(t, nil)
	texts := []string{strings.Repeat("a", 600), strings.Repeat("b", 600), "c", "", " \n", strings.Repeat("d", 2000)}
	vectors, err := embedder(t, s, func(o *openai.EmbedderOptions) { o.Bytes = 1000 }).Passages(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	var sizes [][]int
	for _, c := range s.Calls() {
		var sz []int
		for _, in := range c.Input {
			sz = append(sz, len(in))
		}
		sizes = append(sizes, sz)
	}
	if diff := cmp.Diff([][]int{{600}, {600, 1}, {2000}}, sizes); diff != "" {
		t.Error(diff)
	}
	for i, text := range texts {
		if blank := strings.TrimSpace(text) == ""; blank != cmp.Equal(vectors[i].Values, make([]float32, dims)) || !blank && !right(vectors[i], text) {
			t.Errorf("text %d has %v", i, vectors[i])
		}
	}
}

// What is too much at once is sent in smaller batches, and a text that is too long is cut.
func TestTooMuch(t *testing.T) {
	s := llmtest.New(t, func(c llmtest.Call) llmtest.Reply {
		size := 0
		for _, in := range c.Input {
			if size += len(in); len(in) > 1500 {
				return llmtest.Refuse(400, "context_length_exceeded", "maximum context length is 10 tokens")
			}
		}
		if size > 3000 {
			return llmtest.Refuse(413, "", "too large")
		}
		return llmtest.Vectors(c, dims)
	})
	texts := []string{strings.Repeat("a", 1000), strings.Repeat("b", 1000), strings.Repeat("한", 1000), strings.Repeat("c", 1000), strings.Repeat("d", 1000)}
	vectors, err := embedder(t, s).Passages(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if i == 2 {
			text = strings.Repeat("한", 500)
		}
		if !right(vectors[i], text) {
			t.Errorf("text %d has another's vector", i)
		}
	}
	s.Script(llmtest.Replies(llmtest.Refuse(400, "", "never")))
	if _, err := embedder(t, s).Passages(t.Context(), texts); llm.CodeOf(err) != llm.CodeRejected {
		t.Errorf("%v", err)
	}
}

func TestEmbedderGivesUp(t *testing.T) {
	row := func(i int, v string) string { return fmt.Sprintf(`{"index":%d,"embedding":%s}`, i, v) }
	eight := "[1,0,0,0,0,0,0,0]"
	for name, tc := range map[string]struct {
		reply llmtest.Reply
		code  string
		calls int
	}{
		"busy for good":          {llmtest.Busy(""), llm.CodeRateLimited, 3},
		"a wrong key":            {llmtest.Refuse(401, "", "no"), llm.CodeUnauthorized, 1},
		"no such model":          {llmtest.Refuse(404, "", "model not found"), llm.CodeMissing, 1},
		"garbage":                {llmtest.JSON(`{"data":`), llm.CodeGarbled, 3},
		"nothing":                {llmtest.JSON(`{"data":[]}`), llm.CodeGarbled, 3},
		"too many":               {llmtest.JSON(`{"data":[` + row(0, eight) + `,` + row(1, eight) + `,` + row(2, eight) + `]}`), llm.CodeGarbled, 3},
		"an index out of range":  {llmtest.JSON(`{"data":[` + row(2, eight) + `]}`), llm.CodeGarbled, 3},
		"an index twice":         {llmtest.JSON(`{"data":[` + row(1, eight) + `,` + row(1, eight) + `]}`), llm.CodeGarbled, 3},
		"other dimensions":       {llmtest.JSON(`{"data":[` + row(0, "[1,2]") + `,` + row(1, "[1,2]") + `]}`), "embedding_dimensions", 1},
		"what is too large":      {llmtest.JSON(`{"data":[` + row(0, "[1e999,0,0,0,0,0,0,0]") + `]}`), llm.CodeGarbled, 3},
		"nothing but empty ones": {llmtest.JSON(`{"data":[` + row(0, "[]") + `]}`), llm.CodeGarbled, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := llmtest.New(t, llmtest.Replies(tc.reply))
			_, err := embedder(t, s, func(o *openai.EmbedderOptions) { o.Attempts = 3 }).Passages(t.Context(), []string{"a", "b"})
			if fault.Of(err).Code != tc.code || s.Count() != tc.calls {
				t.Errorf("%v after %d calls, want %s after %d", err, s.Count(), tc.code, tc.calls)
			}
		})
	}
	// Waiting ends with the context.
	ctx, cancel := context.WithCancel(t.Context())
	s := llmtest.New(t, func(llmtest.Call) llmtest.Reply { cancel(); return llmtest.Busy("3600") })
	if _, err := embedder(t, s, func(o *openai.EmbedderOptions) { o.Longest = time.Hour }).Passages(ctx, []string{"a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Indexes that are missing, or all 0, stand for the order.
func TestUnnamedVectors(t *testing.T) {
	a, b := strings.ReplaceAll(fmt.Sprint(llmtest.Vector("a", dims)), " ", ","), strings.ReplaceAll(fmt.Sprint(llmtest.Vector("b", dims)), " ", ",")
	for _, index := range []string{"", `"index":0,`} {
		s := llmtest.New(t, llmtest.Replies(llmtest.JSON(fmt.Sprintf(`{"data":[{%s"embedding":%s},{%s"embedding":%s}]}`, index, a, index, b))))
		v, err := embedder(t, s).Passages(t.Context(), []string{"a", "b"})
		if err != nil || !right(v[0], "a") || !right(v[1], "b") {
			t.Errorf("%q: %v, %v", index, v, err)
		}
	}
}

func TestQuery(t *testing.T) {
	s := llmtest.New(t, nil)
	e := embedder(t, s)
	v, err := e.Query(t.Context(), "what")
	if err != nil || !right(v, "what") {
		t.Errorf("%v, %v", v, err)
	}
	if v, err = e.Query(t.Context(), " "); err != nil || embed.Normalize(v.Values) || s.Count() != 1 {
		t.Errorf("of nothing: %v, %v", v, err)
	}
	for _, reply := range []llmtest.Reply{llmtest.Busy("1"), llmtest.JSON(`{"data":[]}`), llmtest.JSON(`{"data":[{"index":0,"embedding":[1]}]}`)} {
		s.Script(llmtest.Replies(reply))
		before := s.Count()
		if _, err := e.Query(t.Context(), "what"); err == nil || s.Count() != before+1 {
			t.Errorf("%v after %d calls", err, s.Count()-before)
		}
	}
}

func TestSpaces(t *testing.T) {
	s := llmtest.New(t, nil)
	e := endpoint(t, s)
	if n, err := e.Dims(t.Context(), "m"); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, reply := range []llmtest.Reply{llmtest.Busy(""), llmtest.JSON(`{"data":[]}`)} {
		s.Script(llmtest.Replies(reply))
		if n, err := e.Dims(t.Context(), "m"); err == nil {
			t.Errorf("%d dimensions", n)
		}
	}
	s.Script(nil)
	for model, want := range map[string]struct{ space, query, text string }{
		"text-embedding-3-small":         {"openai/text-embedding-3-small/8", "x", "x"},
		"org/model v2":                   {"openai/org_model_v2/8", "x", "x"},
		"nomic-embed-text:latest":        {"openai/nomic-embed-text-prefixed/8", "search_query: x", "search_document: x"},
		"intfloat/multilingual-e5-small": {"openai/intfloat_multilingual-e5-small-prefixed/8", "query: x", "passage: x"},
		"mxbai-embed-large":              {"openai/mxbai-embed-large-prefixed/8", "Represent this sentence for searching relevant passages: x", "x"},
	} {
		m := e.Embedder(openai.EmbedderOptions{Model: model, Dims: 8})
		before := s.Count()
		if _, err := m.Query(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Passages(t.Context(), []string{"x"}); err != nil {
			t.Fatal(err)
		}
		calls := s.Calls()[before:]
		if m.Space().ID() != want.space || calls[0].Input[0] != want.query || calls[1].Input[0] != want.text {
			t.Errorf("%s: %s, %q, %q", model, m.Space().ID(), calls[0].Input, calls[1].Input)
		}
	}
}
