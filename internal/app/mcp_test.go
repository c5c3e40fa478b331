package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"byline/internal/draft"
)

// bearer sends a token with each request.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// mcp connects a client of the protocol.
func (p *person) mcp() *mcp.ClientSession {
	p.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(p.t.Context(), &mcp.StreamableClientTransport{Endpoint: p.url + "/mcp", HTTPClient: &http.Client{Transport: bearer{p.token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { s.Close() }) //nolint:errcheck // the server has no session to end
	return s
}

// use calls a tool, and gives its structured answer, or what it says went wrong.
func use(t *testing.T, s *mcp.ClientSession, tool string, in obj) (obj, string) {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if r.IsError {
		return nil, r.Content[0].(*mcp.TextContent).Text
	}
	raw, err := json.Marshal(r.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var out obj
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out, ""
}

func TestMCP(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	s := p.mcp()
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range tools.Tools {
		names = append(names, x.Name)
	}
	if got := strings.Join(names, " "); got != "ask generate_draft get_draft get_passage list_drafts refine_draft search_documents" {
		t.Errorf("%s", got)
	}
	found, wrong := use(t, s, "search_documents", obj{"query": "When was the boiler installed?", "top_k": 2})
	if wrong != "" || found["evidence"] != true {
		t.Fatalf("%v %s", found, wrong)
	}
	first := found["passages"].([]any)[0].(obj)
	passage, wrong := use(t, s, "get_passage", obj{"passage_id": first["passage_id"]})
	if wrong != "" || passage["text"] != first["text"] || passage["document_name"] != "heating.md" {
		t.Errorf("%v %s", passage, wrong)
	}
	answer, wrong := use(t, s, "ask", obj{"question": "When was the boiler installed?"})
	if wrong != "" || !strings.Contains(answer["answer"].(string), "[1]") || answer["sources"].([]any)[0].(obj)["quote"] == "" {
		t.Errorf("%v %s", answer, wrong)
	}
	if none, _ := use(t, s, "ask", obj{"question": "What is the chemical formula of caffeine?"}); none["evidence"] != false {
		t.Errorf("%v", none)
	}
	documentID := first["document_id"].(string)
	text, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "document://" + documentID})
	if err != nil || !strings.Contains(text.Contents[0].Text, "boiler") {
		t.Errorf("%v %v", text, err)
	}
	begun, wrong := use(t, s, "generate_draft", obj{"document_ids": []string{documentID}, "title": "Warm rooms", "words": 100})
	if wrong != "" {
		t.Fatal(wrong)
	}
	p.events(begun["run_id"].(string), 0, nil)
	d, wrong := use(t, s, "get_draft", obj{"draft_id": begun["draft_id"]})
	if wrong != "" {
		t.Fatal(wrong)
	}
	if d["status"] != "draft" && d["status"] != "completed" && d["status"] != "failed" { // the model of this test plans nothing
		t.Errorf("%v", d)
	}
	own := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{documentID}, "llm_provider": "offline"})
	p.events(own.str("run", "id"), 0, nil)
	_, wrong = use(t, s, "refine_draft", obj{"draft_id": own.str("draft", "id"), "feedback": "shorter", "start": 100000, "end": 100001})
	if !strings.Contains(wrong, "selection") {
		t.Errorf("a part that is not there: %q", wrong)
	}
	refined, wrong := use(t, s, "refine_draft", obj{"draft_id": own.str("draft", "id"), "feedback": "Change the title to \"Warm at last\".", "mode": "apply"})
	if wrong != "" {
		t.Fatal(wrong)
	}
	p.events(refined["run_id"].(string), 0, nil)
	if r := p.want(200, "GET", "/api/v1/runs/"+refined["run_id"].(string), nil); r.str("kind") != "refine" || r.str("subject", "id") != own.str("draft", "id") {
		t.Errorf("%s", r.raw)
	}
	p.want(204, "DELETE", "/api/v1/blog/"+own.str("draft", "id"), nil)
	list, wrong := use(t, s, "list_drafts", obj{"query": "warm", "limit": 1})
	if wrong != "" || list["total"].(float64) != 1 {
		t.Errorf("%v %s", list, wrong)
	}
	resources, err := s.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) != 3 || !strings.HasPrefix(resources.Resources[2].URI, "draft://") {
		t.Errorf("%v %v", resources, err)
	}
	if d["version"].(float64) > 0 {
		post, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "draft://" + begun["draft_id"].(string)})
		if err != nil || post.Contents[0].Text != d["content"] {
			t.Errorf("%v %v", post, err)
		}
	}

	// What is another's is not there, whatever it is asked by.
	other := p.system.register("other@example.com").mcp()
	for tool, in := range map[string]obj{
		"search_documents": {"query": "boiler", "document_ids": []string{documentID}}, "ask": {"question": "boiler?", "document_ids": []string{documentID}},
		"get_passage": {"passage_id": first["passage_id"]}, "get_draft": {"draft_id": begun["draft_id"]}, "generate_draft": {"document_ids": []string{documentID}},
		"refine_draft": {"draft_id": begun["draft_id"], "feedback": "shorter"},
	} {
		if out, wrong := use(t, other, tool, in); !strings.HasPrefix(wrong, "There is no such ") {
			t.Errorf("%s: %v %q", tool, out, wrong)
		}
	}
	for _, uri := range []string{"document://" + documentID, "draft://" + begun["draft_id"].(string), "document://x"} {
		if r, err := other.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("%s: %v %v", uri, r, err)
		}
	}
	if r, err := other.ListResources(t.Context(), nil); err != nil || len(r.Resources) != 0 {
		t.Errorf("%v %v", r, err)
	}
	if list, _ := use(t, other, "list_drafts", obj{}); list["total"].(float64) != 0 {
		t.Errorf("%v", list)
	}
}

func TestMCPRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	c := p.mcp()
	for tool, in := range map[string]obj{
		"search_documents": {"query": ""}, "get_passage": {"passage_id": "x"}, "ask": {"question": " "}, "list_drafts": {"limit": 101}, "get_draft": {"draft_id": "x"},
		"generate_draft": {"document_ids": []string{}, "words": 3},
	} {
		if out, wrong := use(t, c, tool, in); wrong == "" || strings.Contains(wrong, "panic") {
			t.Errorf("%s: %v", tool, out)
		}
	}
	for _, in := range []obj{{"cursor": "x"}, {"limit": -1}} {
		if _, wrong := use(t, c, "list_drafts", in); wrong == "" {
			t.Errorf("%v is taken", in)
		}
	}
	if _, wrong := use(t, c, "generate_draft", obj{"document_ids": []string{}, "title": strings.Repeat("x", 301)}); !strings.Contains(wrong, "300") {
		t.Error(wrong)
	}
	if _, wrong := use(t, c, "list_drafts", obj{"colour": "red"}); !strings.Contains(wrong, "colour") {
		t.Error(wrong)
	}
	s.anonymous().problem(401, "unauthenticated", "POST", "/mcp", obj{"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, nil).Connect(ctx, &mcp.StreamableClientTransport{Endpoint: s.url + "/mcp", HTTPClient: &http.Client{Transport: bearer{"wrong"}}, MaxRetries: -1}, nil)
	if err == nil {
		t.Error("a wrong token is taken")
	}
}

// The tool refine_draft begins a refinement in the name of who asks, and nothing when there is something wrong.
func TestMCPRefine(t *testing.T) {
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open")
	owner, other := s.register("owner@example.com"), s.register("other@example.com")
	write := func(p *person) string {
		begun := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{p.document("source.md", heating)}})
		p.ended(begun.str("run", "id"))
		return begun.str("draft", "id")
	}
	id, foreign := write(owner), write(other)
	c := owner.mcp()
	out, wrong := use(t, c, "refine_draft", obj{"draft_id": id, "feedback": "shorter", "start": 3, "end": 9, "mode": "apply"})
	if wrong != "" || out["draft_id"] != id {
		t.Fatalf("%v %s", out, wrong)
	}
	asked := owner.want(200, "GET", "/api/v1/runs?kind=refine", nil)
	if asked.num("total") != 1 || asked.list("runs")[0].(obj)["id"] != out["run_id"] {
		t.Fatalf("%v %s", out, asked.raw)
	}
	users, err := s.app.Store().Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.app.Store().Run(t.Context(), users[0].Workspace, out["run_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	var wish draft.Refinement
	if err := json.Unmarshal(r.Input, &wish); err != nil {
		t.Fatal(err)
	}
	if wish.Author != users[0].ID || !wish.Apply || wish.Selection == nil || wish.Selection.Start != 3 || wish.Selection.End != 9 || wish.Feedback != "shorter" {
		t.Errorf("%+v", wish)
	}
	for name, in := range map[string]obj{
		"no id": {"draft_id": "x", "feedback": "a"}, "nothing": {"draft_id": id, "feedback": ""}, "range": {"draft_id": id, "feedback": "a", "start": 5, "end": 2},
		"mode": {"draft_id": id, "feedback": "a", "mode": "maybe"}, "another's": {"draft_id": foreign, "feedback": "a"},
	} {
		if out, wrong := use(t, c, "refine_draft", in); wrong == "" {
			t.Errorf("%s: %v", name, out)
		}
	}
	if n := owner.want(200, "GET", "/api/v1/runs?kind=refine", nil).num("total"); n != 1 {
		t.Errorf("%v refinements", n)
	}
}
