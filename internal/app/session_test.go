package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"byline/internal/config"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// parrot answers in sessions without a model: it repeats what was said, as tokens and as a message with a button. Told to wait, it
// waits to be stopped.
type parrot struct{ store session.Store }

func (p parrot) Handle(ctx context.Context, j *runs.Job) (any, error) {
	var w session.Wish
	if err := json.Unmarshal(j.Run().Input, &w); err != nil {
		return nil, err
	}
	history, err := p.store.History(ctx, j.Run().Workspace, w.SessionID, w.MessageID)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%d: %s", len(history), history[len(history)-1].Content)
	if err := j.Token(ctx, session.ChannelReply, "", 0, text); err != nil {
		return nil, err
	}
	if err := j.Flush(ctx); err != nil {
		return nil, err
	}
	if strings.Contains(text, "wait") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err = p.store.Reply(ctx, j.Lease(), session.Message{Content: text, Actions: []session.Action{{Name: "edit", Label: "Shorter"}}})
	return nil, err
}

// openTalk is a system with somebody who answers in sessions.
func openTalk(t *testing.T) *system {
	t.Helper()
	dir := t.TempDir()
	const profile = "[[profile]]\nname = 'press'\npersona = 'You write for the press.'\nwords = 90\n"
	if err := os.WriteFile(filepath.Join(dir, config.ProfilesFileName), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "BYLINE_REGISTRATION=open")
	st := s.app.Store()
	s.app.Answer(parrot{st.Sessions()}.Handle)
	return s
}

// talk is a session with its path.
func (p *person) talk() (id, path string) {
	p.t.Helper()
	id = p.want(201, "POST", "/api/v1/sessions", nil).str("id")
	return id, "/api/v1/sessions/" + id
}

// ended waits until a run has.
func (p *person) ended(run string) string {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		switch st := p.want(200, "GET", "/api/v1/runs/"+run, nil).str("status"); st {
		case "completed", "failed", "cancelled":
			return st
		}
	}
	p.t.Fatalf("run %s never ends", run)
	return ""
}

// say sends a message and waits for the answer.
func (p *person) say(path, content string) reply {
	p.t.Helper()
	r := p.want(202, "POST", path+"/messages", obj{"content": content})
	p.ended(r.str("run", "id"))
	return r
}

// branch is the texts of chat-history.
func (p *person) branch(path, query string) string {
	p.t.Helper()
	var texts []string
	for _, m := range p.want(200, "GET", path+"/chat-history"+query, nil).list("messages") {
		texts = append(texts, m.(obj)["content"].(string))
	}
	return strings.Join(texts, " | ")
}

func (p *person) sees(path, query, want string) {
	p.t.Helper()
	if got := p.branch(path, query); got != want {
		p.t.Errorf("branch %q\nwant   %q", got, want)
	}
}

func TestConversation(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	doc := ann.document("a.txt", "Some words that are worth a file.\n\nAnd more of them.")
	r := ann.want(201, "POST", "/api/v1/sessions", obj{"name": "Plans", "profile": "editor", "tags": []string{"x", "x"}})
	path := r.header.Get("Location")
	if path != "/api/v1/sessions/"+r.str("id") || len(r.list("tags")) != 1 || r.header.Get("ETag") != `"1"` {
		t.Fatalf("session %s %v", r.raw, r.header)
	}
	// Say something; the answer has its place at once and its text with the run.
	turn := ann.want(202, "POST", path+"/messages", obj{"content": "one", "document_ids": []string{doc}, "action": "ask"})
	if turn.header.Get("Location") != "/api/v1/runs/"+turn.str("run", "id") || turn.str("reply", "parent_id") != turn.str("message", "id") || turn.str("run", "kind") != "chat" {
		t.Fatalf("turn %s", turn.raw)
	}
	if st := ann.ended(turn.str("run", "id")); st != "completed" {
		t.Fatalf("run %s", st)
	}
	two := ann.say(path, "two")
	ann.sees(path, "", "one | 1: one | two | 3: two")
	one := ann.want(200, "GET", path, nil)
	if one.num("metadata", "message_count") != 4 || one.list("document_ids")[0] != doc {
		t.Errorf("session %s", one.raw)
	}
	// Edit and rerun is a branch, and so is another answer; each can be read.
	again := ann.want(202, "PATCH", path+"/messages/"+two.str("message", "id"), obj{"content": "two!", "rerun": true})
	ann.ended(again.str("run", "id"))
	ann.sees(path, "", "one | 1: one | two! | 3: two!")
	ann.sees(path, "?branch="+two.str("message", "id"), "one | 1: one | two | 3: two")
	other := ann.want(202, "POST", path+"/messages/"+again.str("reply", "id")+"/regenerate", nil)
	ann.ended(other.str("run", "id"))
	last := ann.want(200, "GET", path+"/chat-history?limit=1", nil)
	if m := last.list("messages")[0].(obj); m["id"] != other.str("reply", "id") || len(m["siblings"].([]any)) != 2 || last.num("total") != 4 {
		t.Errorf("last page %s", last.raw)
	}
	ann.sees(path, "?limit=2&cursor="+last.str("next"), "1: one | two!")
	// An edit in its place.
	m := ann.want(200, "PATCH", path+"/messages/"+turn.str("message", "id"), obj{"content": "uno"})
	if m.str("message", "content") != "uno" || m.str("message", "edited_at") == "" {
		t.Errorf("edited %s", m.raw)
	}
	ctx := ann.want(200, "GET", path+"/context?format=openai", nil)
	if l := ctx.list("messages"); len(l) != 5 || l[0].(obj)["role"] != "system" || !strings.Contains(l[0].(obj)["content"].(string), "editor") || l[1].(obj)["content"] != "uno" {
		t.Errorf("context %s", ctx.raw)
	}
	// A button has one effect.
	action := last.list("messages")[0].(obj)["actions"].([]any)[0].(obj)["id"].(string)
	press := path + "/messages/" + other.str("reply", "id") + "/actions/" + action
	p1, p2 := ann.want(202, "POST", press, nil), ann.want(202, "POST", press, nil)
	if p1.str("run", "id") != p2.str("run", "id") || p1.str("message", "content") != "Shorter" {
		t.Errorf("pressed twice: %s %s", p1.raw, p2.raw)
	}
	ann.ended(p1.str("run", "id"))
	// Feedback and its export.
	ann.want(200, "PUT", path+"/messages/"+other.str("reply", "id")+"/feedback", obj{"value": 1, "comment": "good"})
	export := ann.want(200, "GET", "/api/v1/feedback?session_id="+one.str("id"), nil)
	if !strings.HasPrefix(string(export.raw), `{"session_id":"`+one.str("id")) || strings.Count(string(export.raw), "\n") != 1 || !strings.Contains(string(export.raw), `"question":"two!","answer":"3: two!"`) {
		t.Errorf("export %s", export.raw)
	}
	// Deletion of a message, then of all.
	ann.want(204, "DELETE", path+"/messages/"+p1.str("message", "id"), nil)
	ann.want(404, "GET", path+"/messages/"+p1.str("message", "id"), nil)
	ann.want(204, "DELETE", path, nil)
	ann.want(404, "GET", path, nil)
	ann.want(404, "GET", "/api/v1/runs/"+two.str("run", "id"), nil)
	ann.want(200, "GET", "/api/v1/documents/"+doc, nil)
}

// A stop keeps the text so far; what was queued behind it goes on.
func TestStopAndQueue(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	first := ann.want(202, "POST", path+"/messages", obj{"content": "wait"})
	ann.events(first.str("run", "id"), 0, func(e event) bool { return e.Type == "token" })
	next := ann.want(202, "POST", path+"/messages", obj{"content": "next"})
	if st := ann.want(200, "GET", "/api/v1/runs/"+next.str("run", "id"), nil).str("status"); st != "queued" {
		t.Fatalf("the next one is %s while the first is under way", st)
	}
	if n := ann.want(200, "GET", "/api/v1/runs?session_id="+id, nil).num("total"); n != 2 {
		t.Errorf("%d runs of the session", n)
	}
	ann.want(200, "POST", "/api/v1/runs/"+first.str("run", "id")+"/cancel", nil)
	if st := ann.ended(next.str("run", "id")); st != "completed" {
		t.Fatalf("the next one is %s", st)
	}
	ann.sees(path, "", "wait | 1: wait | next | 3: next")
	m := ann.want(200, "GET", path+"/messages/"+first.str("reply", "id"), nil)
	if m.str("message", "error", "code") != "cancelled" {
		t.Errorf("stopped: %s", m.raw)
	}
	// The answer as a stream of the message itself.
	resp := ann.send("POST", path+"/messages", obj{"content": "streamed"}, "Accept", "text/event-stream")
	events := ann.readEvents(strings.NewReader(string(resp.raw)), nil)
	if resp.header.Get("Content-Type") != "text/event-stream" || len(events) == 0 || events[len(events)-1].Type != "run.completed" || events[0].Data["session_id"] != id || events[0].Data["session_seq"] == nil {
		t.Errorf("stream %s", resp.raw)
	}
}

func TestSessionSettingsStateAndElements(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	doc := ann.document("a.txt", "Some words that are worth a file.")
	id, path := ann.talk()
	got := ann.want(200, "GET", path+"/settings", nil)
	if got.at("schema", "properties", "words", "maximum") != 20000.0 || len(got.at("values").(obj)) != 0 {
		t.Errorf("settings %s", got.raw)
	}
	bad := ann.problem(422, "invalid", "PUT", path+"/settings", obj{"values": obj{"words": 0, "nonsense": 1}})
	places := fmt.Sprint(bad.list("errors"))
	if !strings.Contains(places, "body.values.words") || !strings.Contains(places, "body.values.nonsense") {
		t.Errorf("places %s", places)
	}
	ann.want(200, "PUT", path+"/settings", obj{"values": obj{"words": 120, "language": "ko"}})
	if v := ann.want(200, "GET", path+"/settings", nil).num("values", "words"); v != 120 {
		t.Errorf("words %d", v)
	}
	ann.want(200, "PATCH", path+"/state", obj{"a": obj{"b": 1}, "c": 2})
	r := ann.want(200, "PATCH", path+"/state", obj{"a": obj{"b": nil}, "d": "x"}, "Content-Type", "application/merge-patch+json")
	if string(ann.want(200, "GET", path+"/state", nil).raw) != string(r.raw) || strings.TrimSpace(string(r.raw)) != `{"a":{},"c":2,"d":"x"}` {
		t.Errorf("state %s", r.raw)
	}
	ann.problem(422, "bad_patch", "PATCH", path+"/state", []int{1})
	// PATCH with and without If-Match.
	one := ann.want(200, "PATCH", path, obj{"name": " Name ", "tags": []string{"t"}}, "If-Match", `"1"`)
	if one.str("name") != "Name" || one.header.Get("ETag") != `"2"` {
		t.Errorf("patched %s", one.raw)
	}
	ann.problem(412, "stale", "PATCH", path, obj{"name": "Other"}, "If-Match", `"1"`)
	ann.problem(422, "unknown_profile", "PATCH", path, obj{"profile": "nobody"})
	ann.problem(422, "unknown_profile", "POST", "/api/v1/sessions", obj{"profile": "nobody"})
	for q, n := range map[string]int{"?q=NAM": 1, "?tag=t": 1, "?tag=u": 0, "?q=nothing": 0, "?q=%00": 1} {
		if got := ann.want(200, "GET", "/api/v1/sessions"+q, nil).num("total"); got != n {
			t.Errorf("%s finds %d, want %d", q, got, n)
		}
	}
	e := ann.want(201, "POST", path+"/elements", obj{"type": "pdf", "name": "P", "document_id": doc, "page": 1, "display": "side"}, "Idempotency-Key", "e")
	if again := ann.want(201, "POST", path+"/elements", obj{"type": "pdf", "name": "P", "document_id": doc, "page": 1, "display": "side"}, "Idempotency-Key", "e"); again.str("id") != e.str("id") {
		t.Error("the same request made another element")
	}
	for code, body := range map[string]obj{"nothing_to_show": {"type": "text"}, "no_document": {"type": "text", "page": 1, "data": 1}, "too_large": {"type": "text", "data": strings.Repeat("x", 1<<20)},
		"bad_data": {"type": "table", "data": obj{"columns": []string{"a"}, "rows": []any{[]any{1, 2}}}}, "required": {"type": "table", "document_id": doc}} {
		ann.problem(422, code, "POST", path+"/elements", body)
	}
	if l := ann.want(200, "GET", path+"/elements", nil); l.num("total") != 1 || ann.want(200, "GET", path, nil).list("document_ids")[0] != doc {
		t.Errorf("elements %s", l.raw)
	}
	for code, body := range map[string]obj{"required": {"content": " \u0000"}, "no_draft": {"content": "x", "selection": obj{"start": 1, "end": 2}}, "unknown_action": {"content": "x", "action": "dance"},
		"before_start": {"content": "x", "draft_id": ident.New(), "selection": obj{"start": 2, "end": 1}}} {
		ann.problem(422, code, "POST", path+"/messages", body)
	}
	r = ann.want(202, "POST", path+"/messages", obj{"content": "x"}, "Idempotency-Key", "k")
	if again := ann.want(202, "POST", path+"/messages", obj{"content": "x"}, "Idempotency-Key", "k"); again.str("run", "id") != r.str("run", "id") {
		t.Error("the same request said it twice")
	}
	ann.problem(422, "idempotency_key_reused", "POST", path+"/messages", obj{"content": "y"}, "Idempotency-Key", "k")
	ann.problem(422, "required", "PATCH", path+"/messages/"+r.str("message", "id"), obj{"content": " "})
	// A post of the session: its draft and run are the session's.
	post := ann.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}, "session_id": id})
	if post.str("draft", "session_id") != id || post.str("run", "session_id") != id {
		t.Errorf("post %s", post.raw)
	}
	if got := ann.want(200, "GET", path, nil); got.list("draft_ids")[0] != post.str("draft", "id") {
		t.Errorf("session %s", got.raw)
	}
	bob := s.register("bob@example.org")
	bobs := bob.document("a.txt", "Some words that are worth a file.")
	bob.problem(404, "not_found", "POST", "/api/v1/blog/generate", obj{"document_ids": []string{bobs}, "session_id": id})
	pressed := ann.want(201, "POST", "/api/v1/sessions", obj{"profile": "press"})
	if words := ann.want(200, "GET", pressed.header.Get("Location")+"/settings", nil).num("values", "words"); words != 90 {
		t.Errorf("a profile of the operator's begins with %d words", words)
	}
	for _, list := range []string{"profiles", "starters", "commands"} {
		if l := ann.want(200, "GET", "/api/v1/"+list, nil); l.num("total") < 3 || len(l.list(list)) != l.num("total") {
			t.Errorf("%s %s", list, l.raw)
		}
	}
}

// Every operation on a session answers a stranger as it does when there is no such session, or message.
func TestForeignSessions(t *testing.T) {
	s := openTalk(t)
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	id, path := ann.talk()
	turn := ann.say(path, "mine")
	ours, _ := bob.talk()
	resp, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var spec struct{ Paths map[string]map[string]obj }
	if err := json.NewDecoder(resp.Body).Decode(&spec); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]any{
		"patch-session": obj{"name": "x"}, "add-message": obj{"content": "x"}, "patch-message": obj{"content": "x"}, "put-feedback": obj{"value": 1},
		"add-element": obj{"type": "text", "data": "x"}, "put-settings": obj{"values": obj{}}, "patch-state": obj{"a": 1},
	}
	tried := 0
	for template, item := range spec.Paths {
		if !strings.Contains(template, "{session_id}") || strings.HasPrefix(template, "/ws/") {
			continue
		}
		for method, op := range item {
			operation := op["operationId"].(string)
			ask := func(who *person, sessionID, messageID string) reply {
				url := strings.NewReplacer("{session_id}", sessionID, "{message_id}", messageID, "{action_id}", "a").Replace(template)
				return who.send(strings.ToUpper(method), url, bodies[operation])
			}
			tried++
			foreign := ask(bob, id, turn.str("reply", "id"))
			absent := ask(bob, ident.New(), turn.str("reply", "id"))
			if foreign.status != http.StatusNotFound || absent.status != http.StatusNotFound {
				t.Errorf("%s: %d for a foreign session, %d for none: %s", operation, foreign.status, absent.status, foreign.raw)
				continue
			}
			delete(foreign.body, "request_id")
			delete(absent.body, "request_id")
			if fmt.Sprint(foreign.body) != fmt.Sprint(absent.body) {
				t.Errorf("%s: foreign %v, missing %v", operation, foreign.body, absent.body)
			}
			if nonsense := ask(bob, "nonsense", "x"); nonsense.status != http.StatusNotFound {
				t.Errorf("%s: %d for what is no id", operation, nonsense.status)
			}
			if strings.Contains(template, "{message_id}") { // another's message in one's own session
				if r := ask(bob, ours, turn.str("reply", "id")); r.status != http.StatusNotFound {
					t.Errorf("%s: %d for a foreign message: %s", operation, r.status, r.raw)
				}
			}
			if r := ask(s.anonymous(), id, turn.str("reply", "id")); r.status != http.StatusUnauthorized {
				t.Errorf("%s: %d for nobody", operation, r.status)
			}
		}
	}
	if tried < 18 {
		t.Errorf("only %d operations", tried)
	}
	bob.problem(404, "not_found", "GET", "/api/v1/feedback?session_id="+id, nil)
	for _, q := range []string{"/api/v1/sessions?q=mine", "/api/v1/runs?session_id=" + id} {
		if n := bob.want(200, "GET", q, nil).num("total"); n != 0 {
			t.Errorf("%s: %d of another's", q, n)
		}
	}
	ann.sees(path, "", "mine | 1: mine")
}
