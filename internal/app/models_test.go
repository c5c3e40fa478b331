package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/app"
	"byline/internal/config"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// configured makes the models of some settings.
func configured(t *testing.T, local string, ledger llm.Ledger, settings ...string) (app.Models, *journal, error) {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{Environ: append([]string{"BYLINE_DATA=" + t.TempDir()}, settings...), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	m, err := app.NewModels(cfg, local, ledger, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err == nil {
		t.Cleanup(m.Close)
	}
	return m, log, err
}

func root(s *llmtest.Server) string { return strings.TrimSuffix(s.URL, "/v1") }

var hello = llm.Request{Messages: []llm.Message{{Role: llm.User, Content: "Hello."}}, Purpose: "write"}

func TestWhichModelWrites(t *testing.T) {
	one, two := llmtest.New(t, nil), llmtest.New(t, nil)
	one.Models, two.Models = []string{"text-embedding-3-small", "one-a", "one-b"}, []string{"two-a"}
	openai, ollama := "OPENAI_BASE_URL="+one.URL, "OLLAMA_BASE_URL="+root(two)
	for name, tc := range map[string]struct {
		settings []string
		local    string
		want     string
	}{
		"nothing":                   {nil, "", "llm_offline"},
		"offline":                   {[]string{openai, ollama, "DEFAULT_LLM_PROVIDER=offline"}, root(two), "llm_offline"},
		"a key of OpenAI":           {[]string{"OPENAI_API_KEY=sk-0123456789abcdef"}, root(two), "openai/gpt-4.1-mini"},
		"a placeholder":             {[]string{"OPENAI_API_KEY=sk-..."}, "", "llm_offline"},
		"a compatible service":      {[]string{openai}, root(two), "openai/one-a"},
		"its model":                 {[]string{openai, "DEFAULT_LLM_MODEL=one-b"}, "", "openai/one-b"},
		"Ollama":                    {[]string{ollama}, "", "ollama/two-a"},
		"both":                      {[]string{openai, ollama}, "", "openai/one-a"},
		"both, and Ollama is meant": {[]string{openai, ollama, "DEFAULT_LLM_PROVIDER=ollama"}, "", "ollama/two-a"},
		"an Ollama that is found":   {nil, root(two), "ollama/two-a"},
		"a model of it":             {[]string{"DEFAULT_LLM_MODEL=llama9"}, root(two), "ollama/llama9"},
		"one that is not there":     {nil, "http://127.0.0.1:1", "llm_offline"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, err := configured(t, tc.local, storetest.New(t), tc.settings...)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { m.Run(ctx) })
			defer running.Wait()
			defer cancel()
			got := ""
			if model, err := m.Model(t.Context(), llm.Ref{}); err != nil {
				got = llm.CodeOf(err)
			} else {
				got = model.Info().Provider + "/" + model.Info().Name
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// An Ollama that is found is said in status, and one without models is none.
func TestStatusOfModels(t *testing.T) {
	s := llmtest.New(t, nil)
	s.Models = []string{"llama3.2:latest"}
	ask := func(local string, settings ...string) (string, error) {
		m, _, err := configured(t, local, storetest.New(t), settings...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		defer running.Wait()
		defer cancel()
		_, _ = m.Probe(ctx)
		return m.Probe(ctx) // what was found out is used again
	}
	if detail, err := ask(root(s)); err != nil || detail != "ollama (found at "+root(s)+") llama3.2:latest" {
		t.Errorf("%q, %v", detail, err)
	}
	if detail, err := ask("", "OLLAMA_BASE_URL="+s.URL, "OPENAI_BASE_URL="+s.URL, "DEFAULT_LLM_MODEL=llama3.2"); err != nil || detail != "openai llama3.2, ollama" {
		t.Errorf("%q, %v", detail, err)
	}
	if _, err := ask("", "OPENAI_BASE_URL="+s.URL, "DEFAULT_LLM_MODEL=gone"); err == nil || !strings.Contains(err.Error(), "no model gone; set DEFAULT_LLM_MODEL to one that it has, such as llama3.2:latest") {
		t.Errorf("%v", err)
	}
	if _, err := ask("", "OPENAI_BASE_URL=http://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
	s.Models = nil
	if detail, err := ask(root(s)); err != nil || !strings.HasPrefix(detail, "none is configured") {
		t.Errorf("%q, %v", detail, err)
	}
}

// Where the first model is down the next one answers; after some failures nobody waits for the first, which metrics show; what
// was used is written down with its price; and no key comes into the log.
func TestModelsAround(t *testing.T) {
	const key = "sk-0123456789abcdefghij"
	one, two := llmtest.New(t, llmtest.Replies(llmtest.Refuse(500, "", "key "+key))), llmtest.New(t, nil)
	st := storetest.New(t)
	prices := filepath.Join(t.TempDir(), "prices.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(prices, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("currency = 'EUR'\n[models.\"ollama/*\"]\ninput = 1000000\noutput = 0\n")
	m, log, err := configured(t, "", st, "OPENAI_BASE_URL="+one.URL, "OPENAI_API_KEY="+key, "OLLAMA_BASE_URL="+two.URL, "BYLINE_LLM_FALLBACK=ollama, openai/fake-1",
		"BYLINE_PRICES="+prices, "BYLINE_LLM_BUDGET_RUN=1M tokens, 35 EUR")
	if err != nil {
		t.Fatal(err)
	}
	model, err := m.Model(t.Context(), llm.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := llm.WithPayer(t.Context(), llm.Payer{Workspace: "w", RunID: "r"})
	for range 4 {
		a, err := llm.Ask(ctx, model, hello)
		if err != nil || a.Text != "ok" || a.Usage == nil || a.Usage.Cost == nil || *a.Usage.Cost != 10 {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if one.Count() != 9 {
		t.Errorf("the one that is down was asked %d times, want three requests of three tries", one.Count())
	}
	_, err = llm.Ask(ctx, model, hello)
	if over, ok := errors.AsType[*llm.Overdrawn](err); !ok || over.Used.Cost != 40 || over.Allowed.Cost != 35 || !strings.Contains(fault.Of(err).Say, "EUR") {
		t.Errorf("%v", err)
	}
	w := httptest.NewRecorder()
	m.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`byline_llm_breaker_open{model="fake-1",provider="openai"} 1`, `byline_llm_breaker_open{model="fake-1",provider="ollama"} 0`,
		`byline_llm_request_duration_seconds_count{code="llm_failed",provider="openai",purpose="write"} 9`, `byline_llm_request_duration_seconds_count{code="ok",provider="ollama",purpose="write"} 4`,
		`byline_llm_tokens_total{kind="input",model="fake-1",provider="ollama"} 40`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(log.String(), key) || !strings.Contains(log.String(), "llm_failed") {
		t.Errorf("the log: %s", log)
	}
	if detail, err := m.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "openai/fake-1 fails and is left alone") {
		t.Errorf("%q, %v", detail, err)
	}
}

// The price table is read again when it changes; a mistake in it keeps the last one.
func TestPricesAreReadAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the table to be looked at")
	}
	s := llmtest.New(t, nil)
	prices := filepath.Join(t.TempDir(), "prices.toml")
	m, log, err := func() (app.Models, *journal, error) {
		if err := os.WriteFile(prices, []byte("currency = 'EUR'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return configured(t, "", storetest.New(t), "OPENAI_BASE_URL="+s.URL, "BYLINE_PRICES="+prices)
	}()
	if err != nil {
		t.Fatal(err)
	}
	model, err := m.Model(t.Context(), llm.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	until := func(text string, at time.Time, is func(llm.Usage) bool) {
		t.Helper()
		if err := os.WriteFile(prices, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(prices, at, at); err != nil {
			t.Fatal(err)
		}
		late := time.After(10 * time.Second)
		for {
			a, err := llm.Ask(t.Context(), model, hello)
			if err != nil {
				t.Fatal(err)
			}
			if is(*a.Usage) {
				return
			}
			select {
			case <-late:
				t.Fatalf("%+v", a.Usage)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	until("currency = 'EUR'\n[models.fake-1]\ninput = 1\noutput = 1\n", time.Now().Add(-time.Hour), func(u llm.Usage) bool { return u.Cost != nil })
	until("currency = ", time.Now().Add(-time.Minute), func(u llm.Usage) bool {
		return u.Cost != nil && strings.Contains(log.String(), "price table is not used")
	})
}

func TestModelsThatAreRefused(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, settings := range map[string][]string{
		"budget_currency": {"BYLINE_LLM_BUDGET_MONTH=5 EUR"},
		"prices":          {"BYLINE_PRICES=" + bad},
	} {
		if _, _, err := configured(t, "", storetest.New(t), settings...); fault.Of(err).Code != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What somebody used is theirs to read: by month and model, and of each run.
func TestUsageIsTold(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "BYLINE_REGISTRATION=open")
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	doc := ann.document("a.md", "# One\n\nThe roof leaks.\n")
	first := ann.want(200, "GET", "/api/v1/runs?subject_id="+doc, nil).list("runs")[0].(obj)
	if _, has := first["usage"]; has {
		t.Error("a run without a model has usage")
	}
	id := first["id"].(string)
	writeUsage(t, dir, id)
	u := ann.want(200, "GET", "/api/v1/runs/"+id, nil).at("usage").(obj)
	if fmt.Sprintln(u["requests"], u["input_tokens"], u["output_tokens"], u["cost"], u["currency"], u["unpriced"], u["estimated"]) != "2 300 30 0.5 USD 1 1\n" {
		t.Errorf("%v", u)
	}
	months := ann.want(200, "GET", "/api/v1/usage", nil)
	if row := months.list("usage")[0].(obj); fmt.Sprintln(months.num("total"), row["month"], row["model"], row["requests"]) != "1 2025-02 gpt 2\n" {
		t.Errorf("%v", row)
	}
	if n := bob.want(200, "GET", "/api/v1/usage", nil).num("total"); n != 0 {
		t.Errorf("bob sees %d rows", n)
	}
	s.anonymous().want(401, "GET", "/api/v1/usage", nil)
}

// writeUsage writes two requests of a run, as the meter does, through a second connection to the library.
func writeUsage(t *testing.T, dir, run string) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "byline.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	cost := .5
	at := time.Date(2025, 2, 3, 0, 0, 0, 0, time.UTC)
	for _, u := range []llm.Usage{{Input: 100, Output: 10, Cost: &cost}, {Input: 200, Output: 20, Estimated: true}} {
		if err := st.AddUsage(t.Context(), llm.Entry{Payer: llm.Payer{Workspace: ident.Local, RunID: run}, Provider: "openai", Model: "gpt", Purpose: "write", Usage: u, At: at}); err != nil {
			t.Fatal(err)
		}
	}
}

// An embedder of a service makes the space that its first answer tells; a start while it is away still serves that space by
// words, and says so; another model is built beside it.
func TestEmbedderOfAService(t *testing.T) {
	s := llmtest.New(t, nil)
	dir := t.TempDir()
	settings := []string{"OPENAI_BASE_URL=" + s.URL, "BYLINE_EMBEDDER=openai", "BYLINE_REGISTRATION=open"}
	sys := open(t, dir, settings...)
	ann := sys.register("ann@example.org")
	space := func(p *person, id string) string {
		for _, i := range p.want(200, "GET", "/api/v1/indexes", nil).list("indexes") {
			if i.(obj)["space"] == id {
				return i.(obj)["state"].(string)
			}
		}
		return ""
	}
	const first = "openai/text-embedding-3-small/8"
	ann.await("the space", func() bool { return space(ann, first) == "serving" })
	for i := range 4 { // a scale of its own needs something to compare with
		ann.document(fmt.Sprintf("%d.md", i), fmt.Sprintf("Something else, number %d.\n", i))
	}
	ann.document("a.md", "# One\n\nThe roof of the library leaks.\n")
	ask := obj{"query": "One\nOne\n\nThe roof of the library leaks.", "mode": "semantic"} // as it is embedded
	if hits := ann.want(200, "POST", "/api/v1/documents/search", ask).list("results"); len(hits) == 0 || !strings.Contains(fmt.Sprint(hits[0]), "roof") {
		t.Errorf("%d hits by meaning", len(hits))
	}
	if state := ann.dependency("embedder"); state != "ok" {
		t.Errorf("the embedder is %s", state)
	}
	sys.close(sys.server)
	s.Close()

	sys = open(t, dir, settings...)
	ann = sys.anonymous()
	ann.login("ann@example.org")
	if state := space(ann, first); state != "serving" {
		t.Errorf("the space is %q", state)
	}
	r := ann.want(200, "POST", "/api/v1/documents/search", obj{"query": "roof"})
	if len(r.list("results")) == 0 || fmt.Sprint(r.list("degraded")) != "[embedder_unavailable]" {
		t.Errorf("%s", r.raw)
	}
	if state := ann.dependency("embedder"); state != "down" {
		t.Errorf("the embedder is %s", state)
	}
	sys.close(sys.server)

	other := llmtest.New(t, nil)
	sys = open(t, dir, "OPENAI_BASE_URL="+other.URL, "BYLINE_EMBEDDER=openai", "BYLINE_EMBEDDING_MODEL=other")
	ann = sys.anonymous()
	ann.login("ann@example.org")
	ann.await("the other space", func() bool { return space(ann, "openai/other/8") == "serving" && space(ann, first) == "previous" })
}

// A service that does not answer at the first start keeps nobody from working.
func TestEmbedderThatIsAwayAtFirst(t *testing.T) {
	sys := open(t, t.TempDir(), "OLLAMA_BASE_URL=http://127.0.0.1:1", "BYLINE_EMBEDDER=ollama", "BYLINE_REGISTRATION=open")
	ann := sys.register("ann@example.org")
	ann.document("a.md", "# One\n\nThe roof of the library leaks.\n")
	if hits := ann.want(200, "POST", "/api/v1/documents/search", obj{"query": "roof"}).list("results"); len(hits) == 0 || !strings.Contains(fmt.Sprint(hits[0]), "roof") {
		t.Errorf("%d hits", len(hits))
	}
	if state := ann.dependency("embedder"); state != "down" {
		t.Errorf("the embedder is %s", state)
	}
}

// dependency is the state of one as the admin sees it.
func (p *person) dependency(name string) string {
	p.t.Helper()
	for _, d := range p.want(200, "GET", "/api/v1/status", nil).list("dependencies") {
		if d := d.(obj); d["name"] == name {
			return d["status"].(string)
		}
	}
	return "not listed"
}
