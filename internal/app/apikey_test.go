package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"byline/internal/ident"
)

// key makes an API key and gives somebody who acts with it.
func (p *person) key(body obj) (made reply, with *person) {
	p.t.Helper()
	made = p.want(201, "POST", "/api/v1/auth/api-keys", body)
	return made, &person{system: p.system, token: made.str("key")}
}

// A program gets a key of its own, acts with it until it is taken away, and people see how it was used.
func TestAPIKeyOfAProgram(t *testing.T) {
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open")
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	made, program := ann.key(obj{"name": "feed", "expires_in_days": 30})
	id, key := made.str("id"), made.str("key")
	if !strings.HasPrefix(key, "bl_") || !strings.HasPrefix(key, made.str("prefix")) || made.at("expires_at") == nil || len(made.list("scopes")) != 2 || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s", made.raw, made.header)
	}
	if me := program.want(200, "GET", "/api/v1/auth/me", nil); me.str("email") != "ann@example.org" {
		t.Errorf("%s", me.raw)
	}
	if r := s.anonymous().want(200, "GET", "/api/v1/auth/me", nil, "X-API-Key", key); r.str("email") != "ann@example.org" {
		t.Errorf("%s", r.raw)
	}
	s.anonymous().want(200, "GET", "/api/v1/auth/me", nil, "X-API-Key", key, "Authorization", "Basic cHJveHk6cHJveHk=") // a proxy's
	s.anonymous().problem(401, "bad_api_key", "GET", "/api/v1/auth/me", nil, "X-API-Key", key+"x")
	s.anonymous().problem(401, "bad_token", "GET", "/api/v1/auth/me", nil, "X-API-Key", key, "Authorization", "Bearer nonsense")
	if r := program.openai(200, "GET", "/v1/models", nil); len(r.list("data")) == 0 {
		t.Errorf("%s", r.raw)
	}
	session, path := program.talk()
	watched := program.join("/ws/" + session)
	watched.until("hello")
	listed := ann.want(200, "GET", "/api/v1/auth/api-keys", nil)
	if k := listed.list("api_keys")[0].(obj); k["id"] != id || k["uses"].(float64) < 5 || k["last_used_at"] == nil || k["key"] != nil || strings.Contains(string(listed.raw), key) {
		t.Errorf("%s", listed.raw)
	}
	if n := bob.want(200, "GET", "/api/v1/auth/api-keys", nil).num("total"); n != 0 {
		t.Errorf("another's keys: %d", n)
	}
	bob.problem(404, "not_found", "DELETE", "/api/v1/auth/api-keys/"+id, nil)
	ann.want(204, "DELETE", "/api/v1/auth/api-keys/"+id, nil)
	program.problem(401, "bad_api_key", "GET", path, nil)
	watched.closed(4401, 5*time.Second)
	// The local token belongs to no account.
	local := &person{system: s, token: s.app.LocalToken()}
	local.problem(403, "no_account", "POST", "/api/v1/auth/api-keys", obj{"name": "x"})
}

// matrix is which scope each operation needs that does not need what its method tells: GET reads, all else writes.
var matrix = map[string]string{
	"search": "read", "query": "read", "export-draft": "read", "add-ticket": "read", "openai-chat": "read", "openai-embeddings": "read",
	"add-api-key": "admin", "list-api-keys": "admin", "delete-api-key": "admin", "add-user": "admin", "list-users": "admin", "list-indexes": "admin", "rebuild-index": "admin", "roll-back-index": "admin",
}

// Each operation refuses keys whose scope is too narrow, before it looks at anything, and lets the others through.
func TestEveryOperationNeedsItsScope(t *testing.T) {
	s := open(t, t.TempDir())
	ann := s.register("ann@example.org") // an admin
	scopes := []string{"read", "write", "admin"}
	keys := map[string]*person{}
	for i, scope := range scopes {
		made, with := ann.key(obj{"name": scope, "scopes": []string{scope}})
		if len(made.list("scopes")) != i+1 {
			t.Errorf("%s", made.raw)
		}
		keys[scope] = with
	}
	gone := things{"number": "1"}
	for _, name := range []string{"doc_id", "draft_id", "run_id", "proposal_id", "session_id", "message_id", "action_id", "key_id"} {
		gone[name] = ident.New()
	}
	tried := 0
	for _, op := range s.operations() {
		if op.public || op.id == "rebuild-index" || op.id == "roll-back-index" || op.id == "mcp" { // these come below
			continue
		}
		need := matrix[op.id]
		if need == "" {
			if need = "write"; op.method == http.MethodGet {
				need = "read"
			}
		}
		enough := false
		for _, scope := range scopes {
			enough = enough || scope == need
			r := keys[scope].send(op.method, gone.in(op.template).(string), nil)
			code := r.at("code")
			if e, ok := r.at("error").(obj); ok {
				code = e["code"]
			}
			if refused := r.status == http.StatusForbidden && code == "insufficient_scope"; refused == enough {
				t.Errorf("%s with the scope %s: %d %s", op.id, scope, r.status, r.raw)
			}
			tried++
		}
	}
	if tried < 180 {
		t.Errorf("only %d tries", tried)
	}
	for _, path := range []string{"/api/v1/indexes/rebuild", "/api/v1/indexes/rollback"} {
		keys["write"].problem(403, "insufficient_scope", "POST", path, obj{})
	}
	// A key makes none that may more than itself; what only admins may, no key lets others do.
	keys["admin"].want(201, "POST", "/api/v1/auth/api-keys", obj{"name": "child", "scopes": []string{"admin"}})
	ann.want(201, "POST", "/api/v1/users", obj{"email": "bob@example.org", "password": "correct horse battery"})
	bob := &person{system: s, token: s.anonymous().want(200, "POST", "/api/v1/auth/login", obj{"email": "bob@example.org", "password": "correct horse battery"}).str("access_token")}
	_, with := bob.key(obj{"name": "x", "scopes": []string{"admin"}})
	with.problem(403, "admin_only", "GET", "/api/v1/users", nil)
	ann.problem(422, "bad_scope", "POST", "/api/v1/auth/api-keys", obj{"name": "x", "scopes": []string{"all"}})
	// Tools of MCP that write need a key that may.
	for scope, refused := range map[string]bool{"read": true, "write": false} {
		body := obj{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": obj{"name": "generate_draft", "arguments": obj{"document_ids": []string{ident.New()}}}}
		r := keys[scope].send("POST", "/mcp", body, "Accept", "application/json, text/event-stream")
		if strings.Contains(string(r.raw), "this needs one with write") != refused || r.status != 200 {
			t.Errorf("%s: %d %s", scope, r.status, r.raw)
		}
	}
}
