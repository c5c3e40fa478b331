package app_test

import (
	"strings"
	"testing"
)

const restored = `# 도서관

중앙도서관은 1968년 5월 3일에 문을 열었다. 2023년 난방비는 31퍼센트 감소했다. 보일러는 1987년에 설치되었고 한 해에 기름 31,000리터를 쓴다.

## 비용

시의회는 2022년 지붕 공사비로 4만 유로를 승인했다. 창문 교체에는 85,000유로가 든다.
`

// post writes a draft from documents and gives its id.
func (p *person) post(ids []string, title string) string {
	p.t.Helper()
	started := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": ids, "title": title, "brief": obj{"words": 150, "topics": []string{"roof garden"}}})
	log := p.events(started.str("run", "id"), 0, nil)
	if last := log[len(log)-1]; last.Type != "run.completed" {
		p.t.Fatalf("the run ended with %s: %v", last.Type, last.Data)
	}
	return started.str("draft", "id")
}

// What the offline writer writes passes the gate, in both languages; an edit that says other than its source does not.
func TestEvidenceOfAPost(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	a, b, c := p.document("heating.md", heating), p.document("minutes.txt", minutes), p.document("restored.md", restored)
	for title, ids := range map[string][]string{"A warmer library": {a, b}, "도서관": {c}} {
		e := p.want(200, "GET", "/api/v1/blog/"+p.post(ids, title)+"/evidence", nil)
		gate := e.body["gate"].(obj)
		if gate["pass"] != true || len(e.list("uncited")) > 0 || len(e.list("unsupported")) > 0 || len(e.list("citations")) == 0 || gate["claims"].(float64) < 3 || e.body["stale"] != nil {
			t.Errorf("%s: %s", title, e.raw)
		}
	}

	id := p.post([]string{a}, "Heating")
	content := p.want(200, "GET", "/api/v1/blog/"+id, nil).str("content")
	put := func(old, new, etag string) {
		t.Helper()
		if !strings.Contains(content, old) {
			t.Fatalf("no %q in %q", old, content)
		}
		content = strings.ReplaceAll(content, old, new)
		p.want(200, "PUT", "/api/v1/blog/"+id, obj{"content": content}, "If-Match", etag)
	}
	put("burns 31,000 litres of oil a year", "burns 31,000 litres oil a year", `"1"`) // hardly changed
	e := p.want(200, "GET", "/api/v1/blog/"+id+"/evidence", nil)
	if e.body["gate"].(obj)["pass"] != true || !strings.Contains(string(e.raw), `"checker":"lexical"`) {
		t.Errorf("after a small edit: %s", e.raw)
	}
	put("31,000 litres", "13,000 litres", `"2"`)
	put("## Costs", "The mayor sings every morning in the cellar.\n\n## Costs", `"3"`)
	e = p.want(200, "GET", "/api/v1/blog/"+id+"/evidence", nil)
	if e.body["gate"].(obj)["pass"] != false || len(e.list("unsupported")) == 0 || len(e.list("uncited")) != 1 || !strings.Contains(string(e.raw), "13,000") {
		t.Errorf("after a wrong edit: %s", e.raw)
	}
	if first := p.want(200, "GET", "/api/v1/blog/"+id+"/evidence?version=1", nil); first.body["gate"].(obj)["pass"] != true || first.num("version") != 1 {
		t.Errorf("the first version: %s", first.raw)
	}
	p.want(404, "GET", "/api/v1/blog/"+id+"/evidence?version=9", nil)
	p.want(404, "GET", "/api/v1/blog/01J00000000000000000000000/evidence", nil)

	if n := len(p.want(200, "GET", "/api/v1/blog?stale=true", nil).list("drafts")); n != 0 {
		t.Errorf("%d drafts are stale before anything happened", n)
	}
	p.want(200, "DELETE", "/api/v1/documents/"+a, nil)
	e = p.want(200, "GET", "/api/v1/blog/"+id+"/evidence", nil)
	if e.body["stale"] != true || !strings.Contains(string(e.raw), `"source_deleted":true`) {
		t.Errorf("after its source went: %s", e.raw)
	}
	if n := len(p.want(200, "GET", "/api/v1/blog?stale=true", nil).list("drafts")); n != 2 {
		t.Errorf("%d drafts cite what was deleted, want 2", n)
	}
}
