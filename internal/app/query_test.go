package app_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"byline/internal/llm/llmtest"
)

var firstPassage = regexp.MustCompile(`(?s)<passage id="(p\d+)"[^>]*>\n(.*?)\n</passage>`)

// answering is a provider of models that answers questions with the first sentence of what it is shown, and says "pong" to others.
func answering(t *testing.T) *llmtest.Server {
	t.Helper()
	s := llmtest.New(t, nil)
	s.Models = []string{"fake-1", "fake-2"}
	s.Script(answers)
	return s
}

// answers is what it says.
func answers(c llmtest.Call) llmtest.Reply {
	if m := firstPassage.FindStringSubmatch(c.Messages[len(c.Messages)-1].Content); m != nil {
		text := strings.TrimSpace(m[2][strings.LastIndexByte(m[2], '#')+1:])
		if _, body, ok := strings.Cut(text, "\n"); ok {
			text = strings.TrimSpace(body)
		}
		sentence, _, _ := strings.Cut(text, ". ")
		return llmtest.Say(strings.TrimSuffix(sentence, ".") + " [" + m[1] + "].")
	}
	if _, turn, ok := strings.Cut(c.Last(), "to be made a question of its own: "); ok {
		return llmtest.Say(turn)
	}
	return llmtest.Say("pong pong")
}

// openAnswering is a system with such a provider, and somebody with documents.
func openAnswering(t *testing.T) (*llmtest.Server, *person) {
	t.Helper()
	llms := answering(t)
	s := open(t, t.TempDir(), "DEFAULT_LLM_PROVIDER=openai", "OPENAI_BASE_URL="+llms.URL, "DEFAULT_LLM_MODEL=fake-1", "BYLINE_REGISTRATION=open")
	p := s.register("owner@example.com")
	p.document("heating.md", warmth)
	p.document("music.md", music)
	return llms, p
}

func TestQueryWithModel(t *testing.T) {
	t.Parallel()
	llms, p := openAnswering(t)
	ask := obj{"question": "When was the boiler installed?"}
	r := p.want(200, "POST", "/api/v1/documents/query", ask)
	if !strings.Contains(r.str("answer"), "burns oil") || r.str("llm_model") != "fake-1" || r.at("evidence") != true || len(r.list("citations")) != 1 || r.num("usage", "requests") != 1 {
		t.Errorf("%s", r.raw)
	}
	offline := p.want(200, "POST", "/api/v1/documents/query", obj{"question": ask["question"], "llm_provider": "offline"})
	if offline.at("llm_model") != nil || offline.at("usage") != nil {
		t.Errorf("%s", offline.raw)
	}
	if none := p.want(200, "POST", "/api/v1/documents/query", obj{"question": "What is the chemical formula of caffeine?"}); none.at("evidence") != false || len(llms.Calls()) != 1 {
		t.Errorf("%d calls; %s", len(llms.Calls()), none.raw)
	}
	p.problem(422, "llm_provider_unknown", "POST", "/api/v1/documents/query", obj{"question": "When was the boiler installed?", "llm_provider": "nobody"})
	p.problem(404, "not_found", "POST", "/api/v1/documents/query", obj{"question": "Why?", "document_ids": []string{"01ARZ3NDEKTSV4RRFFQ69G5FAV"}})
	p.problem(404, "not_found", "POST", "/api/v1/documents/query", obj{"question": "Why?", "document_ids": []string{"x"}})
}

// Who does not want to wait gets the run, and with the same key the answer; who asks for a stream reads along and can come again.
func TestQueryAsRun(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	ask := obj{"question": "When was the boiler installed?"}
	r := p.want(202, "POST", "/api/v1/documents/query", ask, "Prefer", "respond-async, wait=0", "Idempotency-Key", "k1")
	run := r.str("run", "id")
	again := p.want(200, "POST", "/api/v1/documents/query", ask, "Idempotency-Key", "k1", "Prefer", "wait=soon")
	if again.str("run_id") != run || again.header.Get("Location") != "/api/v1/runs/"+run {
		t.Errorf("%s %s", run, again.raw)
	}
	p.problem(422, "idempotency_key_reused", "POST", "/api/v1/documents/query", obj{"question": "Why?"}, "Idempotency-Key", "k1")

	body, _ := json.Marshal(ask)
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/api/v1/documents/query", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text string
	events := p.readEvents(resp.Body, nil)
	for _, e := range events {
		if e.Type == "token" {
			if e.Data["data"].(obj)["channel"] != "answer" {
				t.Errorf("%v", e.Data)
			}
			text += e.Data["data"].(obj)["text"].(string)
		}
	}
	last := events[len(events)-1]
	result := last.Data["data"].(obj)
	if last.Type != "run.completed" || result["answer"] != text || !strings.Contains(text, "burns oil") || result["citations"].([]any)[0].(obj)["spans"].([]any)[0].(obj)["quote"] == "" {
		t.Errorf("%q %v", text, last)
	}
	rest := p.events(last.Data["run_id"].(string), events[3].ID, nil)
	if len(rest) != len(events)-4 || rest[0].ID != events[4].ID {
		t.Errorf("resumed with %d events of %d", len(rest), len(events))
	}
	other := p.system.register("other@example.com")
	other.problem(404, "not_found", "GET", "/api/v1/runs/"+run, nil)
	if none := other.want(200, "POST", "/api/v1/documents/query", ask); none.at("evidence") != false {
		t.Errorf("another's documents answer: %s", none.raw)
	}
}
