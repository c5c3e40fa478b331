package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// The tree of a run's steps, in three details. Another's run has none.
func TestStepsOfARun(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	_, path := p.talk()
	turn := p.want(202, "POST", path+"/messages", obj{"content": "When was the boiler installed?", "action": "ask"})
	run := turn.str("run", "id")
	if st := p.ended(run); st != "completed" {
		t.Fatal(st)
	}
	type seen struct{ node, model, search, contents, total int }
	count := func(query string) (n seen) {
		r := p.want(200, "GET", "/api/v1/runs/"+run+"/steps"+query, nil)
		n.total = r.num("total")
		var walk func(list []any)
		walk = func(list []any) {
			for _, x := range list {
				s := x.(obj)
				switch s["type"] {
				case "node":
					n.node++
				case "model":
					n.model++
					if s["llm_model"] != "fake-1" || s["usage"].(obj)["output_tokens"].(float64) == 0 {
						t.Errorf("%v", s)
					}
				case "search":
					n.search++
				}
				if s["input"] != nil || s["output"] != nil {
					n.contents++
				}
				if s["status"] != "done" || s["started_at"] == nil || s["duration_ms"] == nil {
					t.Errorf("%v", s)
				}
				walk(s["steps"].([]any))
			}
		}
		walk(r.list("steps"))
		return n
	}
	hidden, tools, all := count("?detail=hidden"), count(""), count("?detail=all")
	if hidden.node < 4 || hidden.contents+hidden.model+hidden.search != 0 || hidden.total != hidden.node {
		t.Errorf("hidden: %+v", hidden)
	}
	if tools.search != 1 || tools.contents != 1 || tools.model != 0 || tools.node != hidden.node {
		t.Errorf("tools: %+v", tools)
	}
	if all.model < 1 || all.search != 1 || all.total <= tools.total || all.contents < all.node {
		t.Errorf("all: %+v", all)
	}
	used := 0
	for _, s := range p.want(200, "GET", "/api/v1/runs/"+run+"/steps?detail=hidden", nil).list("steps") { // what is left out counts
		if u, ok := s.(obj)["usage"].(obj); ok {
			used += int(u["output_tokens"].(float64))
		}
	}
	if want := p.want(200, "GET", "/api/v1/runs/"+run, nil).num("usage", "output_tokens"); used != want {
		t.Errorf("steps have used %d, the run %d", used, want)
	}
	p.want(422, "GET", "/api/v1/runs/"+run+"/steps?detail=some", nil)
	p.system.register("other@example.com").problem(404, "not_found", "GET", "/api/v1/runs/"+run+"/steps?detail=all", nil)
}

// What an answer has used of models is told with the message, its run, its session and its user.
func TestUsageOfAConversation(t *testing.T) {
	t.Parallel()
	_, p := openAnswering(t)
	_, path := p.talk()
	sum := 0
	for _, say := range []string{"When was the boiler installed?", "And how is the library heated?"} {
		turn := p.want(202, "POST", path+"/messages", obj{"content": say, "action": "ask"})
		p.ended(turn.str("run", "id"))
		m := p.want(200, "GET", path+"/messages/"+turn.str("reply", "id"), nil)
		used := m.num("message", "usage", "output_tokens")
		if run := p.want(200, "GET", "/api/v1/runs/"+turn.str("run", "id"), nil); used == 0 || run.num("usage", "output_tokens") != used {
			t.Errorf("message %s\nrun %s", m.raw, run.raw)
		}
		sum += used
		if asked := p.want(200, "GET", path+"/messages/"+turn.str("message", "id"), nil); asked.at("message", "usage") != nil {
			t.Errorf("a question has used a model: %s", asked.raw)
		}
	}
	if s := p.want(200, "GET", path, nil); s.num("metadata", "usage", "output_tokens") != sum {
		t.Errorf("the messages have used %d, the session %s", sum, s.raw)
	}
	if u := p.want(200, "GET", "/api/v1/usage", nil); int(u.list("usage")[0].(obj)["output_tokens"].(float64)) != sum {
		t.Errorf("the messages have used %d, the user %s", sum, u.raw)
	}
}

// inquirer answers a message when it has asked one question of each kind.
type inquirer struct{ store session.Store }

var inquiries = []runs.Question{
	{Key: "ask/text", Kind: runs.AskText, Text: "What should it be called?"},
	{Key: "ask/choice", Kind: runs.AskChoice, Text: "Which one?", Choices: []runs.Choice{{Value: "a", Label: "The first"}, {Value: "b", Label: "The second"}}},
	{Key: "ask/file", Kind: runs.AskFile, Text: "From which file?"},
	{Key: "ask/confirm", Kind: runs.AskConfirm, Text: "Really?"},
	{Key: "ask/late", Kind: runs.AskText, Text: "Anything else?"},
}

func (i inquirer) Handle(ctx context.Context, j *runs.Job) (any, error) {
	var said []string
	for _, q := range inquiries {
		if q.Key == "ask/late" {
			q.ExpiresAt = time.Now().Add(50 * time.Millisecond)
		}
		r, err := j.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		said = append(said, fmt.Sprintf("%s %s %t", q.Kind, r.Value, r.Expired))
	}
	_, err := i.store.Reply(ctx, j.Lease(), session.Message{Content: strings.Join(said, "; ")})
	return nil, err
}

// Questions of all kinds are answered days later, after a restart; one that nobody answers in time goes on without.
func TestQuestionsAfterARestart(t *testing.T) {
	dir := t.TempDir()
	var s *system
	var p *person
	start := func() {
		if s != nil {
			s.close(s.server)
		}
		s = open(t, dir, "BYLINE_REGISTRATION=open")
		s.app.Answer(inquirer{s.app.Store().Sessions()}.Handle)
		if p == nil {
			p = s.register("owner@example.com")
		}
		p.system = s
	}
	start()
	other := s.register("other@example.com")
	id, path := p.talk()
	doc := p.document("a.txt", "Some words that are worth a file.")
	foreign := other.document("b.txt", "Some words that are worth a file of another.")
	turn := p.want(202, "POST", path+"/messages", obj{"content": "Begin"})
	run := "/api/v1/runs/" + turn.str("run", "id")
	asked := func(kind string) reply {
		t.Helper()
		for range 500 {
			if r := p.want(200, "GET", run, nil); r.str("status") == "waiting" && r.at("question", "kind") == kind {
				return r
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("nobody asks for %s", kind)
		return reply{}
	}
	for _, tc := range []struct {
		kind     string
		bad      []any
		good, is any
	}{
		{"text", []any{" ", 7, nil}, "Warm rooms", `"Warm rooms"`},
		{"choice", []any{"c", true}, "b", `"b"`},
		{"file", []any{"nonsense", ident.New(), foreign}, doc, `"` + doc + `"`},
		{"confirm", []any{"maybe"}, false, "false"},
	} {
		q := asked(tc.kind).str("question", "id")
		start()
		asked(tc.kind)
		for _, v := range tc.bad {
			p.problem(422, "bad_answer", "POST", run+"/answers", obj{"question_id": q, "value": v})
		}
		(&person{system: s, token: other.token}).problem(404, "not_found", "POST", run+"/answers", obj{"question_id": q, "value": tc.good})
		for range 2 { // a click that is repeated has one effect
			p.want(202, "POST", run+"/answers", obj{"question_id": q, "value": tc.good})
		}
		p.problem(409, "already_answered", "POST", run+"/answers", obj{"question_id": q, "value": "else"})
	}
	if st := p.ended(turn.str("run", "id")); st != "completed" {
		t.Fatal(st)
	}
	want := `text "Warm rooms" false; choice "b" false; file "` + doc + `" false; confirm false false; text  true`
	if m := p.want(200, "GET", path+"/messages/"+turn.str("reply", "id"), nil); m.str("message", "content") != want {
		t.Errorf("%s\nwant %s", m.raw, want)
	}
	if one := p.want(200, "GET", "/api/v1/sessions/"+id, nil); len(one.list("document_ids")) != 1 || one.list("document_ids")[0] != doc {
		t.Errorf("the file that was asked for is none of the session's: %s", one.raw)
	}
	steps := p.want(200, "GET", run+"/steps", nil).list("steps")
	if len(steps) != len(inquiries) {
		t.Errorf("%v", steps)
	}
	for _, x := range steps {
		if s := x.(obj); s["type"] != "question" || s["status"] != "done" || s["input"] == nil || s["output"] == nil {
			t.Errorf("%v", s)
		}
	}
}

// Eight clicks at the same moment have one effect, and all are answered alike.
func TestClicksAtTheSameTime(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	turn := ann.say(path, "one")
	m := ann.want(200, "GET", path+"/messages/"+turn.str("reply", "id"), nil)
	press := path + "/messages/" + turn.str("reply", "id") + "/actions/" + m.list("message", "actions")[0].(obj)["id"].(string)
	var all sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+press, nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+ann.token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var turn struct{ Run, Message struct{ ID string } }
			if err := json.NewDecoder(resp.Body).Decode(&turn); err != nil || resp.StatusCode != 202 {
				t.Errorf("%s %v", resp.Status, err)
			}
			got[i] = turn.Run.ID + " " + turn.Message.ID
		})
	}
	all.Wait()
	for _, g := range got {
		if g != got[0] || len(g) < 50 {
			t.Errorf("clicks have started %q", got)
			break
		}
	}
	if n := ann.want(200, "GET", "/api/v1/runs?session_id="+id, nil).num("total"); n != 2 {
		t.Errorf("%d runs", n)
	}
	ann.want(202, "POST", press, nil)
	if n := ann.want(200, "GET", path, nil).num("metadata", "message_count"); n != 4 {
		t.Errorf("%d messages", n)
	}
}

// A post that a conversation begins has the list of its sections on the answer, with how far each is.
func TestTasksOfAPost(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open")
	p, other := s.register("owner@example.com"), s.register("other@example.com")
	_, path := p.talk()
	turn := p.want(202, "POST", path+"/messages", obj{"content": "/draft A post about the heating", "document_ids": []string{p.document("heating.md", heating)}})
	if turn.str("message", "content") != "A post about the heating" {
		t.Errorf("%s", turn.raw)
	}
	p.ended(turn.str("run", "id"))
	reply := path + "/messages/" + turn.str("reply", "id")
	e := p.want(200, "GET", reply, nil).list("message", "elements")[0].(obj)
	data := e["data"].(obj)
	run := data["run_id"].(string)
	if e["type"] != "tasks" || e["display"] != "inline" || data["draft_id"] == nil {
		t.Fatalf("%v", e)
	}
	if st := p.ended(run); st != "completed" {
		t.Fatal(st)
	}
	for _, where := range []struct{ path, in string }{{reply, "message"}, {path + "/elements", ""}} {
		r := p.want(200, "GET", where.path, nil)
		list := r.at("elements")
		if where.in != "" {
			list = r.at(where.in, "elements")
		}
		data := list.([]any)[0].(obj)["data"].(obj)
		tasks := data["tasks"].([]any)
		if data["status"] != "completed" || len(tasks) == 0 {
			t.Fatalf("%s", r.raw)
		}
		for _, x := range tasks {
			if task := x.(obj); task["status"] != "done" || task["title"] == "" {
				t.Errorf("%v", task)
			}
		}
	}
	// Who names another's run learns nothing of it.
	_, own := other.talk()
	added := other.want(201, "POST", own+"/elements", obj{"type": "tasks", "data": obj{"run_id": run}})
	if d := added.at("data").(obj); len(d) != 1 {
		t.Errorf("%s", added.raw)
	}
}

// An answer that is over its run's budget asks, and what a person allows counts for all of the run.
func TestConversationOverBudget(t *testing.T) {
	t.Parallel()
	llms := answering(t)
	s := open(t, t.TempDir(), "DEFAULT_LLM_PROVIDER=openai", "OPENAI_BASE_URL="+llms.URL, "DEFAULT_LLM_MODEL=fake-1", "BYLINE_LLM_BUDGET_RUN=20 tokens")
	p := s.register("owner@example.com")
	p.document("heating.md", warmth)
	_, path := p.talk()
	asked := 0
	for _, say := range []string{"When was the boiler installed?", "And where?"} {
		turn := p.want(202, "POST", path+"/messages", obj{"content": say, "action": "ask"})
		run := "/api/v1/runs/" + turn.str("run", "id")
		for status := ""; status != "completed"; time.Sleep(10 * time.Millisecond) {
			r := p.want(200, "GET", run, nil)
			if status = r.str("status"); status == "failed" || asked > 40 {
				t.Fatalf("asked %d times: %s", asked, r.raw)
			}
			if status == "waiting" {
				asked++
				p.want(202, "POST", run+"/answers", obj{"question_id": r.str("question", "id"), "value": "continue"})
			}
		}
	}
	if asked == 0 {
		t.Error("nobody was asked")
	}
}

// What models were shown of a document in answers, questions and changes goes with it; `byline verify` finds nothing of it.
func TestWhatModelsWereShownIsGone(t *testing.T) {
	t.Parallel() // it waits for the sweep
	dir := t.TempDir()
	llms := answering(t)
	s := open(t, dir, "DEFAULT_LLM_PROVIDER=openai", "OPENAI_BASE_URL="+llms.URL, "DEFAULT_LLM_MODEL=fake-1")
	p := s.register("owner@example.com")
	doc := p.document("vault.md", "# Vault\n\nThe vault of the bank was built in 1987. The password of the vault is xylophone quartz.\n")
	answer := p.want(200, "POST", "/api/v1/documents/query", obj{"question": "When was the vault built?"})
	if !strings.Contains(answer.str("answer"), "1987") || strings.Contains(answer.str("answer"), "xylophone") {
		t.Fatalf("%s", answer.raw)
	}
	_, path := p.talk()
	var turns []reply
	for _, say := range []string{"When was the vault built?", "And where?"} {
		turn := p.want(202, "POST", path+"/messages", obj{"content": say, "action": "ask"})
		p.ended(turn.str("run", "id"))
		turns = append(turns, turn)
	}
	seen := func(run string) bool {
		return strings.Contains(string(p.want(200, "GET", "/api/v1/runs/"+run+"/steps?detail=all", nil).raw), "xylophone quartz")
	}
	for _, run := range []string{answer.str("run_id"), turns[0].str("run", "id")} {
		if !seen(run) {
			t.Fatalf("run %s was never shown the secret", run)
		}
	}
	p.want(200, "DELETE", "/api/v1/documents/"+doc+"?purge_quotes=true", nil)
	m := p.want(200, "GET", path+"/messages/"+turns[0].str("reply", "id"), nil)
	if m.at("message", "stale") != true || !strings.Contains(m.str("message", "content"), "1987") {
		t.Errorf("%s", m.raw)
	}
	p.swept(dir, "xylophone quartz")
	if seen(answer.str("run_id")) || seen(turns[0].str("run", "id")) {
		t.Error("steps still tell it")
	}
}

// Somebody asks for a post in an empty library, and goes. The agent asks what about, and from which file; the questions are on the streams
// of the session, wait through restarts, and what is answered in the end is a post from the file that was uploaded for it.
func TestConversationAsksForTopicAndFile(t *testing.T) {
	dir := t.TempDir()
	var s *system
	var p *person
	restart := func() {
		if s != nil {
			s.close(s.server)
		}
		s = open(t, dir, "BYLINE_REGISTRATION=open")
		if p == nil {
			p = s.register("owner@example.com")
		}
		p.system = s
	}
	restart()
	id, path := p.talk()
	watched := p.join("/ws/" + id + "?after=latest")
	watched.until("hello")
	turn := p.want(202, "POST", path+"/messages", obj{"content": "Write a blog post."})
	run := "/api/v1/runs/" + turn.str("run", "id")
	question := func(data any) (id, kind string) {
		q := data.(obj)["data"].(obj)["question"].(obj)
		return q["id"].(string), q["kind"].(string)
	}
	first, kind := question(watched.until("run.waiting"))
	if kind != "text" {
		t.Errorf("it asks for %s first", kind)
	}
	restart()
	if r := p.want(200, "GET", run, nil); r.str("status") != "waiting" || r.str("question", "id") != first {
		t.Fatalf("behind the restart: %s", r.raw)
	}
	sse := p.stream(path + "/events")
	p.want(202, "POST", run+"/answers", obj{"question_id": first, "value": "The boiler of the library"})
	var asked []string
	p.readEvents(sse.Body, func(e event) bool {
		if e.Type == "run.waiting" {
			id, kind := question(e.Data)
			asked = append(asked, id+" "+kind)
		}
		return len(asked) == 2
	})
	second, isFile := strings.CutSuffix(asked[1], " file")
	if asked[0] != first+" text" || !isFile {
		t.Fatalf("asked: %v", asked)
	}
	restart()
	up := p.upload("", file{name: "heating.md", content: heating})
	if up.status != 201 {
		t.Fatalf("%s", up.raw)
	}
	for range 2 { // a click that is repeated has one effect
		p.want(202, "POST", run+"/answers", obj{"question_id": second, "value": up.str("id")})
	}
	if st := p.ended(turn.str("run", "id")); st != "completed" {
		t.Fatal(st)
	}
	m := p.want(200, "GET", path+"/messages/"+turn.str("reply", "id"), nil)
	post := m.list("message", "elements")[0].(obj)["data"].(obj)["draft_id"].(string)
	p.ended(m.list("message", "elements")[0].(obj)["data"].(obj)["run_id"].(string))
	d := p.want(200, "GET", "/api/v1/blog/"+post, nil)
	if d.str("status") != "completed" || d.list("document_ids")[0] != up.str("id") || !strings.Contains(d.str("content"), "boiler") {
		t.Errorf("%s", d.raw)
	}
	if one := p.want(200, "GET", path, nil); len(one.list("document_ids")) != 1 || one.list("document_ids")[0] != up.str("id") {
		t.Errorf("%s", one.raw)
	}
	// And what a person changes is taken back by a word.
	p.want(200, "PUT", "/api/v1/blog/"+post, obj{"content": "# Else\n"}, "If-Match", `"1"`)
	undo := p.say(path, "Undo that")
	if m := p.want(200, "GET", path+"/messages/"+undo.str("reply", "id"), nil); !strings.Contains(m.str("message", "content"), "as in version 1 again") {
		t.Errorf("%s", m.raw)
	}
	if again := p.want(200, "GET", "/api/v1/blog/"+post, nil); again.str("content") != d.str("content") || again.num("version") != 3 {
		t.Errorf("%s", again.raw)
	}
}
