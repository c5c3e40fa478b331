package app_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"byline/internal/ident"
)

const signingKey = "a secret of this test that is long enough"

// operation is one of the OpenAPI document.
type operation struct {
	id, method, template string
	public               bool
	streams              bool
}

// operations are all that the system describes.
func (s *system) operations() (list []operation) {
	s.t.Helper()
	resp, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var spec struct {
		Paths map[string]map[string]struct {
			OperationID string
			Security    []map[string]any
			Responses   map[string]struct{ Content map[string]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&spec); err != nil {
		s.t.Fatal(err)
	}
	for template, item := range spec.Paths {
		if strings.HasPrefix(template, "/ws/") { // sockets have tests of their own: they answer by closing
			continue
		}
		for method, o := range item {
			op := operation{id: o.OperationID, method: strings.ToUpper(method), template: template, public: len(o.Security) > 0 && len(o.Security[0]) == 0}
			_, op.streams = o.Responses["200"].Content["text/event-stream"]
			list = append(list, op)
		}
	}
	// What deletes comes last, the innermost first.
	slices.SortFunc(list, func(a, b operation) int {
		if x, y := a.method == "DELETE", b.method == "DELETE"; x != y {
			if x {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(strings.Count(b.template, "/"), strings.Count(a.template, "/")), cmp.Compare(a.template+a.method, b.template+b.method))
	})
	return list
}

// things are objects of somebody, by the names that they have in paths.
type things map[string]string

// in puts them into a path or a body.
func (th things) in(v any) any {
	text, isText := v.(string)
	if !isText {
		b, _ := json.Marshal(v) // of this test
		text = string(b)
	}
	for name, id := range th {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	if isText {
		return text
	}
	return []byte(text)
}

// missing are such that nobody has.
func (th things) missing() things {
	none := things{}
	for name, id := range th {
		if none[name] = id; ident.Valid(id) {
			none[name] = ident.New()
		}
	}
	return none
}

// belongings makes one of everything for somebody.
func (p *person) belongings(text string) things {
	p.t.Helper()
	th := things{"number": "1"}
	th["doc_id"] = p.document("source.md", text)
	begun := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{th["doc_id"]}})
	th["draft_id"], th["run_id"] = begun.str("draft", "id"), begun.str("run", "id")
	p.ended(th["run_id"])
	for range 2 { // one to accept, one to reject
		r := p.want(202, "POST", "/api/v1/blog/"+th["draft_id"]+"/refine", obj{"feedback": "shorter"}).str("run", "id")
		p.ended(r)
	}
	th["proposal_id"] = p.want(200, "GET", "/api/v1/blog/"+th["draft_id"]+"/proposals", nil).list("proposals")[0].(obj)["id"].(string)
	th["key_id"] = p.want(201, "POST", "/api/v1/auth/api-keys", obj{"name": "mine"}).str("id")
	id, path := p.talk()
	turn := p.say(path, "mine")
	th["session_id"], th["message_id"] = id, turn.str("reply", "id")
	th["action_id"] = p.want(200, "GET", path+"/messages/"+th["message_id"], nil).list("message", "actions")[0].(obj)["id"].(string)
	return th
}

// expired is the person's token as it will be when it has run out.
func (p *person) expired() *person {
	p.t.Helper()
	parts := strings.Split(p.token, ".")
	var claims obj
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	claims["exp"] = 1_000_000_000
	if raw, err = json.Marshal(claims); err != nil {
		p.t.Fatal(err)
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw)
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(signed))
	return &person{p.system, signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))}
}

// bodies of operations whose path names an object, fit for its owner.
var bodies = map[string]any{
	"patch-document": obj{"title": "x"}, "put-draft": obj{"title": "x"}, "export-draft": obj{}, "refine": obj{"feedback": "shorter"}, "answer-run": obj{"question_id": "x", "value": "x"},
	"fork-run": obj{"node": "plan"}, "patch-session": obj{"name": "x"}, "add-message": obj{"content": "x"}, "patch-message": obj{"content": "x"}, "put-feedback": obj{"value": 1},
	"add-element": obj{"type": "text", "data": "x"}, "put-settings": obj{"values": obj{}}, "patch-state": obj{"a": 1},
}

// named are objects in a query or a body, beside the path's, which are one's own there ({own_...}).
var named = []struct {
	operation, path string
	body            any
	empty           bool // a list that is filtered by what is not there is empty
}{
	{"search", "", obj{"query": "boiler", "document_ids": []string{"{doc_id}"}}, false},
	{"query", "", obj{"question": "boiler?", "document_ids": []string{"{doc_id}"}}, false},
	{"generate", "", obj{"document_ids": []string{"{doc_id}"}}, false},
	{"generate", "", obj{"document_ids": []string{"{own_doc_id}"}, "session_id": "{session_id}"}, false},
	{"openai-chat", "", obj{"model": "byline", "messages": []obj{{"role": "user", "content": "boiler?"}}, "byline": obj{"document_ids": []string{"{doc_id}"}}}, false},
	{"add-message", "/api/v1/sessions/{own_session_id}/messages", obj{"content": "x", "document_ids": []string{"{doc_id}"}}, false},
	{"add-message", "/api/v1/sessions/{own_session_id}/messages", obj{"content": "x", "draft_id": "{draft_id}"}, false},
	{"add-message", "/api/v1/sessions/{own_session_id}/messages", obj{"content": "x", "parent_id": "{message_id}"}, false},
	{"add-element", "/api/v1/sessions/{own_session_id}/elements", obj{"type": "file", "document_id": "{doc_id}"}, false},
	{"add-element", "/api/v1/sessions/{own_session_id}/elements", obj{"type": "text", "data": "x", "message_id": "{message_id}"}, false},
	{"get-message", "/api/v1/sessions/{own_session_id}/messages/{message_id}", nil, false},
	{"get-proposal", "/api/v1/blog/{own_draft_id}/proposals/{proposal_id}", nil, false},
	{"press-action", "/api/v1/sessions/{own_session_id}/messages/{own_message_id}/actions/{action_id}", nil, false},
	{"chat-history", "/api/v1/sessions/{own_session_id}/chat-history?branch={message_id}", nil, false},
	{"get-context", "/api/v1/sessions/{own_session_id}/context?branch={message_id}", nil, false},
	{"export-feedback", "/api/v1/feedback?session_id={session_id}", nil, false},
	{"list-elements", "/api/v1/sessions/{own_session_id}/elements?message_id={message_id}", nil, true},
	{"list-runs", "/api/v1/runs?session_id={session_id}", nil, true},
	{"list-runs", "/api/v1/runs?subject_id={draft_id}", nil, true},
}

// nameless are the operations that name no object of anybody's. A ticket names a path, and opens nothing that its holder may not see.
var nameless = strings.Fields(`add-ticket add-api-key list-api-keys login logout me refresh register add-user list-users list-drafts list-documents upload add-url list-sessions add-session list-profiles list-starters
	list-commands list-usage get-style-guide put-style-guide list-indexes rebuild-index roll-back-index status health ready mcp openai-embeddings openai-models openai-model`)

// Every operation answers about another's object as about none: same status, same body. Nobody, and who was somebody, learns nothing at all.
// An operation that is added has to say here what it names.
func TestEveryOperationIsOnesOwn(t *testing.T) {
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open", "SECRET_KEY="+signingKey)
	s.app.Answer(parrot{s.app.Store().Sessions()}.Handle)
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	hers, own := ann.belongings(heating), bob.belongings(heating)
	none := hers.missing()
	for name, id := range own {
		hers["own_"+name], none["own_"+name] = id, id
	}
	nobody, gone := s.anonymous(), ann.expired()
	ask := func(who *person, op operation, path string, body any, th things, header ...string) reply {
		if body != nil {
			body = th.in(body)
		}
		if op.method != "GET" {
			header = append(header, "If-Match", `"1"`)
		}
		r := who.send(op.method, th.in(path).(string), body, header...)
		delete(r.body, "request_id")
		return r
	}
	same := func(op operation, what string, status int, a, b reply) {
		t.Helper()
		if a.status != status || b.status != status {
			t.Errorf("%s, %s: %d for another's, %d for none, want %d: %s", op.id, what, a.status, b.status, status, a.raw)
		} else if fmt.Sprint(a.body) != fmt.Sprint(b.body) {
			t.Errorf("%s, %s:\nanother's %v\nnone      %v", op.id, what, a.body, b.body)
		}
	}
	list := s.operations()
	tried := 0
	for _, op := range list {
		inPath := strings.Contains(op.template, "_id}")
		if !inPath && !slices.Contains(nameless, op.id) && !slices.ContainsFunc(named, func(n struct {
			operation, path string
			body            any
			empty           bool
		}) bool {
			return n.operation == op.id
		}) {
			t.Errorf("say in this test what %s names", op.id)
		}
		if !op.public {
			same(op, "nobody", 401, ask(nobody, op, op.template, bodies[op.id], hers), ask(nobody, op, op.template, bodies[op.id], none))
			same(op, "a token that has run out", 401, ask(gone, op, op.template, bodies[op.id], hers), ask(gone, op, op.template, bodies[op.id], none))
		}
		if !inPath {
			continue
		}
		tried++
		same(op, "in the path", 404, ask(bob, op, op.template, bodies[op.id], hers), ask(bob, op, op.template, bodies[op.id], none))
		if op.streams {
			accept := []string{"Accept", "text/event-stream"}
			same(op, "as a stream", 404, ask(bob, op, op.template, bodies[op.id], hers, accept...), ask(bob, op, op.template, bodies[op.id], none, accept...))
		}
	}
	for _, n := range named {
		op := list[slices.IndexFunc(list, func(o operation) bool { return o.id == n.operation })]
		path := cmp.Or(n.path, op.template)
		status := 404
		if n.empty {
			status = 200
		}
		same(op, path, status, ask(bob, op, path, n.body, hers), ask(bob, op, path, n.body, none))
		if r := ask(bob, op, path, n.body, hers); n.empty && r.num("total") != 0 {
			t.Errorf("%s shows another's: %s", path, r.raw)
		}
	}
	if tried < 45 {
		t.Errorf("only %d operations name an object in their path", tried)
	}
	// All of them would have worked for their owner; a document of text has no pages, and the stream of a session has no end.
	for _, op := range list {
		if !strings.Contains(op.template, "_id}") || op.id == "get-page" || op.id == "session-events" {
			continue
		}
		if r := ask(ann, op, op.template, bodies[op.id], hers); r.status == 404 || r.status == 401 || r.status == 422 && op.id != "answer-run" || r.status >= 500 {
			t.Errorf("%s: %d for its owner: %s", op.id, r.status, r.raw)
		}
	}
}
