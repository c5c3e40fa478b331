package app_test

import (
	"testing"
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
