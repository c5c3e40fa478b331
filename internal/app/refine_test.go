package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// writtenDraft is a draft that the extractive writer has made.
func (p *person) writtenDraft() (id string) {
	p.t.Helper()
	doc := p.document("heating.md", heating)
	started := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}, "title": "A warmer library"})
	p.events(started.str("run", "id"), 0, nil)
	return started.str("draft", "id")
}

// A person says what should change, is offered hunks, takes some, undoes that, does it again, and goes back to the start.
func TestRefineStory(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	id := p.writtenDraft()
	at := "/api/v1/blog/" + id
	first := p.want(200, "GET", at, nil).str("content")

	for _, bad := range []struct {
		status int
		code   string
		body   obj
		header []string
	}{
		{422, "required", obj{"feedback": "  "}, nil}, {422, "bad_selection", obj{"feedback": "x", "selection": obj{"start": 5, "end": 999999}}, nil},
		{412, "stale", obj{"feedback": "x"}, []string{"If-Match", `"7"`}}, {422, "invalid", obj{"feedback": "x", "mode": "guess"}, nil}, {422, "invalid", obj{"feedback": "x", "more": 1}, nil},
	} {
		if r := p.want(bad.status, "POST", at+"/refine", bad.body, bad.header...); bad.code != "invalid" && r.str("code") != bad.code {
			t.Errorf("%v: %s", bad.body, r.raw)
		}
	}

	started := p.want(202, "POST", at+"/refine", obj{"feedback": "Make it shorter, and change the title to 'Warm rooms'."}, "Idempotency-Key", "r1")
	again := p.want(202, "POST", at+"/refine", obj{"feedback": "Make it shorter, and change the title to 'Warm rooms'."}, "Idempotency-Key", "r1")
	run := started.str("run", "id")
	if again.str("run", "id") != run || started.str("run", "kind") != "refine" || started.header.Get("Location") != "/api/v1/runs/"+run {
		t.Errorf("%s\n%s", started.raw, again.raw)
	}
	log := p.events(run, 0, nil)
	checkLog(t, log)
	told := 0
	for _, e := range log {
		if e.Type == "proposal.ready" {
			told++
		}
	}
	list := p.want(200, "GET", at+"/proposals", nil)
	if told != 1 || list.num("total") != 1 {
		t.Fatalf("told %d times, %s", told, list.raw)
	}
	proposal := list.list("proposals")[0].(obj)
	pid := proposal["id"].(string)
	hunks := proposal["hunks"].([]any)
	if len(hunks) < 2 || proposal["status"] != "open" || proposal["base_version"] != 1.0 || p.want(200, "GET", at, nil).str("content") != first {
		t.Fatalf("%s", list.raw)
	}
	one := hunks[0].(obj)
	if got := first[int(one["start"].(float64)):int(one["end"].(float64))]; got != one["old"] {
		t.Errorf("hunk %v stands as %q", one, got)
	}

	p.problem(422, "unknown_hunk", "POST", at+"/proposals/"+pid+"/accept", obj{"hunks": []string{"h99"}})
	for range 2 {
		if r := p.want(200, "POST", at+"/proposals/"+pid+"/accept", obj{"hunks": []string{"h1", "title"}}); r.str("status") != "partly" || r.num("version") != 2 {
			t.Errorf("%s", r.raw)
		}
	}
	d := p.want(200, "GET", at, nil)
	if want := first[:int(one["start"].(float64))] + one["new"].(string) + first[int(one["end"].(float64)):]; d.str("content") != want || d.num("version") != 2 || d.str("title") != "Warm rooms" {
		t.Errorf("%s", d.raw)
	}
	p.checkCitations(id, 2)
	if r := p.want(200, "POST", at+"/proposals/"+pid+"/reject", nil); r.str("status") != "partly" {
		t.Errorf("%s", r.raw)
	}
	p.problem(409, "already_decided", "POST", at+"/proposals/"+pid+"/accept", obj{"hunks": []string{"h2"}})
	p.want(200, "GET", at+"/proposals/"+pid, nil)

	if diff := p.want(200, "GET", at+"/diff", nil); diff.num("from") != 1 || diff.num("to") != 2 || len(diff.list("hunks")) != 1 || diff.str("new_title") != "Warm rooms" {
		t.Errorf("%s", diff.raw)
	}
	undone := p.want(200, "POST", at+"/undo", nil, "If-Match", `"2"`, "Idempotency-Key", "u1")
	if undone.str("content") != first || undone.num("version") != 3 || undone.header.Get("ETag") != `"3"` || undone.str("title") != "A warmer library" {
		t.Errorf("%s", undone.raw)
	}
	p.want(200, "POST", at+"/undo", nil, "If-Match", `"2"`, "Idempotency-Key", "u1")
	p.problem(409, "nothing_to_undo", "POST", at+"/undo", nil)
	p.problem(412, "stale", "POST", at+"/redo", nil, "If-Match", `"2"`)
	if r := p.want(200, "POST", at+"/redo", nil); r.str("content") != d.str("content") {
		t.Errorf("%s", r.raw)
	}
	p.problem(409, "nothing_to_redo", "POST", at+"/redo", nil)
	if r := p.want(200, "POST", at+"/versions/1/restore", nil); r.str("content") != first || r.num("version") != 5 {
		t.Errorf("%s", r.raw)
	}
	p.problem(404, "not_found", "POST", at+"/versions/99/restore", nil)
	p.checkCitations(id, 5)
	if v := p.want(200, "GET", at+"/versions", nil).list("versions")[0].(obj); v["cause"] != "restore" {
		t.Errorf("%v", v)
	}
}

func TestRefineIsAppliedAndStreamed(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	id := p.writtenDraft()
	at := "/api/v1/blog/" + id
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+at+"/refine", strings.NewReader(`{"feedback":"shorter","mode":"apply"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range [][2]string{{"Accept", "text/event-stream"}, {"Content-Type", "application/json"}, {"Authorization", "Bearer " + p.token}} {
		req.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	log := p.readEvents(resp.Body, nil)
	checkLog(t, log)
	kinds := ""
	for _, e := range log {
		kinds += e.Type + " "
	}
	if !strings.Contains(kinds, "proposal.ready") || !strings.Contains(kinds, "version.created") {
		t.Errorf("%s", kinds)
	}
	d := p.want(200, "GET", at, nil)
	if d.num("version") != 2 {
		t.Errorf("%s", d.raw)
	}
	p.checkCitations(id, 2)

	// The text moves under a proposal.
	run := p.want(202, "POST", at+"/refine", obj{"feedback": "replace '1987' with '1988'"}).str("run", "id")
	p.events(run, 0, nil)
	pid := p.want(200, "GET", at+"/proposals?limit=1", nil).list("proposals")[0].(obj)["id"].(string)
	p.want(200, "PUT", at, obj{"content": "Quite another text.\n"}, "If-Match", `"2"`)
	r := p.problem(409, "stale", "POST", at+"/proposals/"+pid+"/accept", nil)
	if len(r.list("errors")) == 0 || !strings.HasPrefix(r.list("errors")[0].(obj)["location"].(string), "hunks.h") {
		t.Errorf("%s", r.raw)
	}
	if r := p.want(200, "GET", at+"/proposals/"+pid, nil); r.str("status") != "stale" {
		t.Errorf("%s", r.raw)
	}

	failed := p.want(202, "POST", at+"/refine", obj{"feedback": "make it funnier"}).str("run", "id")
	p.events(failed, 0, nil)
	if r := p.want(200, "GET", "/api/v1/runs/"+failed, nil); r.str("error", "code") != "needs_model" || !strings.Contains(r.str("error", "detail"), "make it funnier") {
		t.Errorf("%s", r.raw)
	}
	if got := p.want(200, "GET", at, nil); got.str("status") == "failed" {
		t.Error(fmt.Sprint("a failed refinement failed the draft: ", string(got.raw)))
	}
}
