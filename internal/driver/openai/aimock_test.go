package openai_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/driver/openai"
	"byline/internal/llm"
)

// TestAimock speaks to an endpoint that others have made (scripts/aimock.sh): our fake and our client could be wrong alike.
func TestAimock(t *testing.T) {
	url := os.Getenv("TEST_AIMOCK_URL")
	if url == "" {
		if slices.Contains(strings.Split(os.Getenv("TEST_REQUIRE"), ","), "aimock") {
			t.Fatal("TEST_REQUIRE names aimock, but TEST_AIMOCK_URL is not set")
		}
		t.Skip("TEST_AIMOCK_URL names no scripted model endpoint; scripts/aimock.sh starts one")
	}
	o := openai.OpenAI(url, "sk-test-0123456789")
	o.FirstToken, o.Idle = time.Second, 500*time.Millisecond
	e, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	m := e.Open("gpt-4o-mini")
	said := func(text string) llm.Request {
		return llm.Request{Messages: []llm.Message{{Role: llm.System, Content: "Be brief."}, {Role: llm.User, Content: text}}}
	}
	t.Run("words", func(t *testing.T) {
		a, err := ask(t, m, said("Hello."))
		if err != nil || a.Text != "an answer with several words to be streamed" || a.Finish != llm.Stop {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("usage", func(t *testing.T) {
		a, err := ask(t, m, said("COUNTED"))
		if diff := cmp.Diff(llm.Answer{Text: "안녕하세요 세계", Finish: llm.Stop, Usage: &llm.Usage{Input: 11, Output: 7}}, a); diff != "" || err != nil {
			t.Errorf("(-want +got)\n%s%v", diff, err)
		}
	})
	t.Run("tools", func(t *testing.T) {
		r := said("FIND it.")
		r.Tools = []llm.Tool{{Name: "search", Parameters: []byte(`{"type":"object"}`)}, {Name: "read", Parameters: []byte(`{"type":"object"}`)}}
		a, err := ask(t, m, r)
		if err != nil || a.Finish != llm.Calls || len(a.Calls) != 2 || a.Calls[0].Name != "search" || string(a.Calls[0].Arguments) != `{"query":"한국어 search"}` || a.Calls[0].ID == a.Calls[1].ID {
			t.Fatalf("%+v, %v", a, err)
		}
		r.Messages = append(r.Messages, llm.Message{Role: llm.Assistant, Calls: a.Calls},
			llm.Message{Role: llm.Result, CallID: a.Calls[0].ID, Content: "one"}, llm.Message{Role: llm.Result, CallID: a.Calls[1].ID, Content: "two"})
		if a, err = ask(t, m, r); err != nil || a.Text != "Found it." {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("a form", func(t *testing.T) {
		r := said("OUTLINE")
		r.Schema = &llm.Schema{Name: "outline", JSON: []byte(`{"type":"object","properties":{"title":{"type":"string"},"n":{"type":"number"}},"required":["title","n"],"additionalProperties":false}`)}
		var out struct {
			Title string
			N     int
		}
		if _, err := llm.AskJSON(t.Context(), m, r, &out, nil); err != nil || out.Title != "T" || out.N != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("another try", func(t *testing.T) {
		// It refuses the first question only, and it may have run for other tests: those who name themselves are counted apart.
		to, err := neturl.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		name := rand.Text()
		named := httptest.NewServer(&httputil.ReverseProxy{Transport: &http.Transport{}, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&neturl.URL{Scheme: to.Scheme, Host: to.Host})
			r.Out.Header.Set("X-Test-Id", name)
		}})
		defer named.Close()
		o := o
		o.BaseURL = named.URL + to.Path
		e, err := openai.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		a, err := ask(t, llm.Retry(e.Open("gpt-4o-mini"), llm.RetryOptions{First: time.Millisecond}), said("BUSY"))
		if err != nil || a.Text != "after another try" {
			t.Errorf("%+v, %v", a, err)
		}
	})
	for text, want := range map[string]string{"BROKEN": llm.CodeFailed, "LONG": llm.CodeContext, "CUT": llm.CodeCut, "SLOW": llm.CodeStalled} {
		t.Run(text, func(t *testing.T) {
			a, err := ask(t, m, said(text))
			if llm.CodeOf(err) != want || text == "CUT" && !strings.HasPrefix("This text will be cut", a.Text[:min(len(a.Text), 6)]) {
				t.Errorf("%q, %v", a.Text, err)
			}
		})
	}
	t.Run("vectors", func(t *testing.T) {
		n, err := e.Dims(t.Context(), "text-embedding-3-small")
		if err != nil || n < 2 {
			t.Fatalf("%d, %v", n, err)
		}
		v, err := e.Embedder(openai.EmbedderOptions{Model: "text-embedding-3-small", Dims: n}).Passages(t.Context(), []string{"one", "two", ""})
		if err != nil || len(v) != 3 || len(v[1].Values) != n || v[0].Values[0] == v[1].Values[0] {
			t.Errorf("%v", err)
		}
	})
	t.Run("models", func(t *testing.T) {
		if list, err := e.Models(t.Context()); err != nil || len(list) == 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
