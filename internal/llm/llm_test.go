package llm_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
)

// house is a provider for catalogues.
type house struct {
	name   string
	list   []string
	err    error
	asked  int
	answer llmtest.Turn
}

func (h *house) Name() string { return h.name }
func (h *house) Models(context.Context) ([]string, error) {
	h.asked++
	return h.list, h.err
}
func (h *house) Open(name string) llm.Model {
	return &llmtest.Model{About: llm.Info{Provider: h.name, Name: name}, Script: func(int, llm.Request) llmtest.Turn { return h.answer }}
}

func TestCatalog(t *testing.T) {
	wrapped := 0
	c := llm.NewCatalog(func(m llm.Model) llm.Model { wrapped++; return m })
	if _, err := c.Model(t.Context(), llm.Ref{}); !errors.Is(err, llm.ErrOffline) || c.Configured() {
		t.Errorf("an empty one: %v", err)
	}
	if _, err := c.Default(); !errors.Is(err, llm.ErrOffline) {
		t.Errorf("%v", err)
	}
	openai := &house{name: "openai", list: []string{"a", "b"}}
	ollama := &house{name: "ollama", list: []string{"llama"}}
	c.Add(openai)
	c.Add(ollama)
	if list := c.Providers(); len(list) != 2 || !c.Configured() {
		t.Errorf("%v", list)
	}
	for _, row := range []struct{ ref, want llm.Ref }{
		{llm.Ref{}, llm.Ref{Provider: "openai", Name: "a"}},
		{llm.Ref{Name: "z"}, llm.Ref{Provider: "openai", Name: "z"}},
		{llm.Ref{Provider: "ollama"}, llm.Ref{Provider: "ollama", Name: "llama"}},
		{llm.Ref{Provider: "ollama", Name: "x"}, llm.Ref{Provider: "ollama", Name: "x"}},
	} {
		for range 2 {
			m, err := c.Model(t.Context(), row.ref)
			if err != nil || m.Info().Provider != row.want.Provider || m.Info().Name != row.want.Name {
				t.Errorf("%v: %+v, %v", row.ref, m, err)
			}
		}
	}
	if wrapped != 4 || openai.asked != 1 || ollama.asked != 1 {
		t.Errorf("wrapped %d, asked %d and %d", wrapped, openai.asked, ollama.asked)
	}
	if r, err := c.Default(); err != nil || r.String() != "openai/a" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := c.Model(t.Context(), llm.Ref{Provider: "other"}); fault.Of(err).Code != "llm_provider_unknown" || !strings.Contains(err.Error(), "openai or ollama") {
		t.Errorf("%v", err)
	}
	// The default is another's, which stands behind; what cannot be had now does not matter.
	openai.answer = llmtest.Turn{Err: failed(llm.CodeUnreachable)}
	ollama.answer = llmtest.Turn{Text: "from ollama"}
	c.Use(llm.Ref{Provider: "openai", Name: "b"}, llm.Ref{Provider: "openai", Name: "b"}, llm.Ref{Provider: "gone"}, llm.Ref{Provider: "ollama"})
	m, err := c.Model(t.Context(), llm.Ref{})
	if err != nil || m.Info().Name != "b" {
		t.Fatalf("%v", err)
	}
	if a, err := llm.Ask(t.Context(), m, request); err != nil || a.Text != "from ollama" {
		t.Errorf("%q, %v", a.Text, err)
	}
}

func TestCatalogOfAProviderWithoutModels(t *testing.T) {
	c := llm.NewCatalog(nil)
	h := &house{name: "ollama"}
	c.Add(h)
	if _, err := c.Model(t.Context(), llm.Ref{}); llm.CodeOf(err) != llm.CodeMissing {
		t.Errorf("%v", err)
	}
	h.err = failed(llm.CodeUnreachable)
	if _, err := c.Model(t.Context(), llm.Ref{}); llm.CodeOf(err) != llm.CodeUnreachable {
		t.Errorf("%v", err)
	}
	// Names come from people: the catalogue does not grow without end, and works on.
	for i := range 1100 {
		if _, err := c.Model(t.Context(), llm.Ref{Name: strings.Repeat("x", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	looked := make(chan struct{})
	c.Await(looked)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Model(gone, llm.Ref{Name: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("it did not wait: %v", err)
	}
	close(looked)
	if _, err := c.Model(t.Context(), llm.Ref{Name: "x"}); err != nil {
		t.Error(err)
	}
}

func TestAskJSON(t *testing.T) {
	schema := &llm.Schema{Name: "outline", JSON: []byte(`{"type":"object","required":["title","parts"],"additionalProperties":false,"properties":{
		"title":{"type":"string"},"kind":{"enum":["post","note"]},"always":{"const":1},"words":{"type":["integer","null"]},
		"parts":{"type":"array","items":{"type":"object","required":["n"],"properties":{"n":{"type":"number"},"of":{"anyOf":[{"type":"string"},{"type":"boolean"}]}}}}}}`)}
	good := `{"title":"T","parts":[{"n":1.5}],"words":3,"kind":"post","always":1}`
	for name, tc := range map[string]struct {
		first string
		wrong string // in what is asked again; empty: the first is taken
	}{
		"as it should be":         {good, ""},
		"in a fence":              {"```json\n" + good + "\n```", ""},
		"in a bare fence":         {"Here you are:\n```\n" + good + "\n```\nAnything else?", ""},
		"with words around":       {"Sure! " + good + " Done.", ""},
		"no words":                {`{"title":"T","parts":[],"words":null}`, ""},
		"no JSON":                 {"I would say so.", "it is no JSON"},
		"a list":                  {`[]`, "the value is array, not object"},
		"nothing in it":           {`{}`, `has no "title"`},
		"something else in it":    {`{"title":"T","parts":[],"x":1}`, `has "x", which it must not have`},
		"another type":            {`{"title":1,"parts":[]}`, "title is number, not string"},
		"another type within":     {`{"title":"T","parts":[{"n":1},{"n":"2"}]}`, "parts[1].n is string, not number"},
		"half words":              {`{"title":"T","parts":[],"words":1.5}`, "words is number, not integer or null"},
		"none of the kinds":       {`{"title":"T","parts":[],"kind":"poem"}`, "kind is none of"},
		"not what it always is":   {`{"title":"T","parts":[],"always":2}`, "always is not 1"},
		"none of the forms":       {`{"title":"T","parts":[{"n":1,"of":1}]}`, "has none of the forms"},
		"what the caller refuses": {`{"title":"no","parts":[]}`, "no such title"},
	} {
		t.Run(name, func(t *testing.T) {
			m := turns(llmtest.Turn{Text: tc.first, Usage: &llm.Usage{Input: 1, Output: 2}}, llmtest.Turn{Text: good, Usage: &llm.Usage{Input: 10, Output: 20}})
			var out struct{ Title string }
			a, err := llm.AskJSON(t.Context(), m, llm.Request{Messages: request.Messages, Schema: schema}, &out, func() error {
				if out.Title == "no" {
					return errors.New("no such title")
				}
				return nil
			})
			if err != nil || out.Title != "T" {
				t.Fatalf("%+v, %v", out, err)
			}
			asked := m.Asked()
			if tc.wrong == "" {
				if len(asked) != 1 || a.Usage.Input != 1 {
					t.Errorf("asked %d times", len(asked))
				}
				return
			}
			again := asked[1].Messages
			if len(asked) != 2 || len(again) != 3 || again[1].Content != tc.first || !strings.Contains(again[2].Content, tc.wrong) || a.Usage.Input != 11 || a.Usage.Output != 22 {
				t.Errorf("asked %d times; again with %+v", len(asked), again)
			}
		})
	}
	var out any
	ask := func(list ...llmtest.Turn) (llm.Answer, error) {
		return llm.AskJSON(t.Context(), turns(list...), llm.Request{Messages: request.Messages, Schema: schema}, &out, nil)
	}
	if _, err := ask(llmtest.Turn{Text: "no"}, llmtest.Turn{Text: "still no"}); llm.CodeOf(err) != llm.CodeGarbled {
		t.Errorf("%v", err)
	}
	if _, err := ask(llmtest.Turn{Text: good, End: llm.Length}); llm.CodeOf(err) != llm.CodeGarbled || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("%v", err)
	}
	if _, err := ask(llmtest.Turn{Err: failed(llm.CodeStalled)}); llm.CodeOf(err) != llm.CodeStalled {
		t.Errorf("%v", err)
	}
	if _, err := ask(llmtest.Turn{Text: "no"}, llmtest.Turn{Err: failed(llm.CodeStalled)}); llm.CodeOf(err) != llm.CodeStalled {
		t.Errorf("%v", err)
	}
}

func TestCount(t *testing.T) {
	for text, want := range map[string]int{
		"":            0,
		"Hello world": 2,
		"안녕하세요":       2,
	} {
		if got := llm.Count("gpt-4o-mini", text); got != want {
			t.Errorf("%q has %d tokens, want %d", text, got, want)
		}
	}
	if got := llm.Count("gpt-4", "안녕하세요"); got != 5 { // the older vocabulary
		t.Errorf("%d tokens for gpt-4", got)
	}
	// The time grows with the length, not with its square; parting a text costs next to nothing.
	prose := strings.Repeat("The library was renovated in 2022, and its roof leaks again. ", 2000)
	if got, want := llm.Count("", prose), 2000*llm.Count("", "The library was renovated in 2022, and its roof leaks again."); got < want*95/100 || got > want*105/100 {
		t.Errorf("%d tokens, want about %d", got, want)
	}
	if got := llm.Count("", strings.Repeat("한", 20_000)); got < 5_000 {
		t.Errorf("%d tokens of one long word", got)
	}
	r := llm.Request{Messages: []llm.Message{{Content: "Hello world"}, {Calls: []llm.ToolCall{{Name: "find", Arguments: []byte(`{}`)}}}},
		Tools: []llm.Tool{{Name: "find", Description: "Finds things.", Parameters: []byte(`{"type":"object"}`)}}, Schema: &llm.Schema{JSON: []byte(`{}`)}}
	n := llm.CountRequest("", r)
	if n < 20 || n > 40 {
		t.Errorf("a request of %d tokens", n)
	}
	if room, known := llm.Room(llm.Info{Context: 100}, r, 50); !known || room != 50-n {
		t.Errorf("room %d, %t", room, known)
	}
	if room, known := llm.Room(llm.Info{}, r, 50); known {
		t.Errorf("room %d", room)
	}
}

func TestWindow(t *testing.T) {
	for name, want := range map[string][2]int{
		"gpt-4o-mini-2024-07-18":           {128_000, 16_384},
		"gpt-4-0613":                       {8_192, 8_192},
		"openai/gpt-4.1":                   {1_047_576, 32_768},
		"meta-llama/Llama-3.1-8B-Instruct": {131_072, 0},
		"llama3.2:3b":                      {131_072, 0},
		"something new":                    {0, 0},
	} {
		if context, output := llm.Window(name); context != want[0] || output != want[1] {
			t.Errorf("%s: %d, %d", name, context, output)
		}
	}
}

func TestRecordAndReplay(t *testing.T) {
	half := .5
	other := llm.Request{Messages: request.Messages, Temperature: &half}
	original := turns(llmtest.Turn{Text: "one two", Usage: &llm.Usage{Input: 1}}, llmtest.Turn{Text: "again"}, llmtest.Turn{Text: "Half", Err: failed(llm.CodeCut)})
	var record bytes.Buffer
	m := llm.Record(original, &record)
	var want []llm.Answer
	for _, r := range []llm.Request{request, request, other} {
		a, _ := llm.Ask(t.Context(), m, r)
		want = append(want, a)
	}
	for range m.Stream(t.Context(), request) {
		break // is not written
	}
	replay, err := llm.Replay(&record)
	if err != nil {
		t.Fatal(err)
	}
	if replay.Info() != original.About {
		t.Errorf("%+v", replay.Info())
	}
	var got []llm.Answer
	for i, r := range []llm.Request{request, request, other, request} {
		a, err := llm.Ask(t.Context(), replay, r)
		if (llm.CodeOf(err) == llm.CodeCut) != (i == 2) {
			t.Errorf("%v", err)
		}
		got = append(got, a)
	}
	if diff := cmp.Diff(append(want, want[1]), got); diff != "" {
		t.Error(diff)
	}
	if _, err := llm.Ask(t.Context(), replay, llm.Request{}); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := llm.Ask(gone, replay, request); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for range replay.Stream(t.Context(), request) {
		break
	}
	if _, err := llm.Replay(strings.NewReader("{\n")); err == nil {
		t.Error("a broken record is read")
	}
	if _, err := llm.Ask(t.Context(), llm.Record(original, broken{}), request); err == nil {
		t.Error("a record that cannot be written is no error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
