package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"byline/internal/engine/pdf/pdftest"
)

const (
	heating = `# Heating

The boiler of the library dates from 1987 and burns 31,000 litres of oil a year. A heat pump would halve the cost of heating within ten years.

## Costs

The council put aside 240,000 euros for the renovation in 2025. Replacing the windows costs 85,000 euros.

| Measure | Cost in euros |
|---|---|
| Windows | 85000 |
| Heat pump | 120000 |
`
	minutes = `Minutes of the library board

The board met on 12 March and discussed the renovation of the reading room. The windows will be replaced before the winter. The heat pump needs a new power line, which the utility promised for August.

Several members asked for quieter chairs. The chairs come from a workshop in the next town.
`
)

// The whole main job over HTTP, as a user does it.
func TestFromUploadToPost(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	if role := p.want(200, "GET", "/api/v1/auth/me", nil).str("role"); role != "admin" {
		t.Errorf("the first account is %s, want admin", role)
	}
	a := p.document("heating.md", heating)
	b := p.document("minutes.txt", minutes)

	found := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "how much do new windows cost", "explain": true})
	if n := len(found.list("results")); n == 0 {
		t.Fatalf("nothing found: %s", found.raw)
	}
	hit := found.list("results")[0].(obj)
	text := p.want(200, "GET", "/api/v1/documents/"+hit["document_id"].(string)+"/text", nil).str("text")
	if got := text[int(hit["start"].(float64)):int(hit["end"].(float64))]; got != hit["content"] {
		t.Errorf("the hit's offsets give %q, its content is %q", got, hit["content"])
	}
	if hit["explain"] == nil {
		t.Error("asked for explain and got none")
	}

	started := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{a, b}, "title": "A warmer library", "brief": obj{"words": 150, "topics": []string{"heating", "roof garden"}}})
	draftID, runID := started.str("draft", "id"), started.str("run", "id")
	log := p.events(runID, 0, nil)
	checkLog(t, log)
	if last := log[len(log)-1]; last.Type != "run.completed" {
		t.Fatalf("the run ended with %s: %v", last.Type, last.Data)
	}

	d := p.want(200, "GET", "/api/v1/blog/"+draftID, nil)
	if d.str("status") != "completed" || d.num("version") != 1 || d.str("title") != "A warmer library" {
		t.Errorf("draft: %s", d.raw)
	}
	if streamed := textOf(log); streamed != d.str("content") {
		t.Errorf("what was streamed is not the draft:\n%q\n%q", streamed, d.str("content"))
	}
	if !strings.Contains(strings.ToLower(d.str("content")), "roof garden") {
		t.Error("a topic that the sources do not cover is not told")
	}
	p.checkCitations(draftID, 1)

	post := p.want(200, "POST", "/api/v1/blog/"+draftID+"/export", obj{"citations": "footnotes"})
	if cd := post.header.Get("Content-Disposition"); !strings.Contains(cd, "a-warmer-library.md") {
		t.Errorf("Content-Disposition: %s", cd)
	}
	if md := string(post.raw); !strings.HasPrefix(md, "---\n") || !strings.Contains(md, "[^1]: ") || !strings.Contains(md, "# A warmer library") {
		t.Errorf("post:\n%s", md)
	}
}

// checkCitations holds every citation of a version against its sources.
func (p *person) checkCitations(draftID string, version int) {
	p.t.Helper()
	v := p.want(200, "GET", fmt.Sprintf("/api/v1/blog/%s/versions/%d", draftID, version), nil)
	content := v.str("content")
	citations := v.list("citations")
	if len(citations) == 0 {
		p.t.Fatalf("no citations: %s", v.raw)
	}
	texts := map[string]string{}
	for _, c := range citations {
		claim := c.(obj)["claim"].(obj)
		if got := content[int(claim["start"].(float64)):int(claim["end"].(float64))]; got != claim["text"] {
			p.t.Errorf("claim %q stands at its place as %q", claim["text"], got)
		}
		if label := c.(obj)["verdict"].(obj)["label"]; label != "supported" {
			p.t.Errorf("claim %q is %v", claim["text"], label)
		}
		for _, sp := range c.(obj)["spans"].([]any) {
			span := sp.(obj)
			id := span["document_id"].(string)
			if texts[id] == "" {
				texts[id] = p.want(200, "GET", "/api/v1/documents/"+id+"/text?limit=16777216", nil).str("text")
			}
			if got := texts[id][int(span["start"].(float64)):int(span["end"].(float64))]; got != span["quote"] {
				p.t.Errorf("quote %q stands in its source as %q", span["quote"], got)
			}
		}
	}
}

// checkLog holds a log against what is promised: dense from 1, one end, last.
func checkLog(t *testing.T, log []event) {
	t.Helper()
	for i, e := range log {
		if e.ID != int64(i+1) {
			t.Fatalf("event %d has the id %d", i+1, e.ID)
		}
		if end := strings.HasPrefix(e.Type, "run.c") && e.Type != "run.created" || e.Type == "run.failed"; end != (i == len(log)-1) {
			t.Fatalf("%s is event %d of %d", e.Type, i+1, len(log))
		}
	}
}

// textOf puts the draft channel together as a client does: tokens by section, a reset begins a section anew.
func textOf(log []event) string {
	var order []string
	sections := map[string]string{}
	for _, e := range log {
		data := e.Data["data"].(obj)
		if data["channel"] != "draft" {
			continue
		}
		id, _ := data["section_id"].(string)
		if _, known := sections[id]; !known {
			order = append(order, id)
			sections[id] = ""
		}
		switch e.Type {
		case "token":
			sections[id] = sections[id][:int(data["offset"].(float64))] + data["text"].(string)
		case "snapshot":
			sections[id] = data["text"].(string)
		case "reset":
			sections[id] = ""
		}
	}
	var b strings.Builder
	for _, id := range order {
		b.WriteString(sections[id])
	}
	return b.String()
}

// A reader that comes again anywhere gets exactly the rest.
func TestResumeAtEveryEvent(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	id := p.document("heating.md", heating)
	runID := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{id}}).str("run", "id")
	whole := p.events(runID, 0, nil)
	for n := range whole {
		rest := p.events(runID, int64(n), nil)
		if len(rest) != len(whole)-n || rest[0].ID != int64(n+1) {
			t.Fatalf("after %d: %d events, want %d", n, len(rest), len(whole)-n)
		}
	}
	r := p.want(204, "GET", "/api/v1/runs/"+runID+"/events", nil, "Last-Event-ID", fmt.Sprint(len(whole)))
	if len(r.raw) != 0 {
		t.Errorf("204 with %q", r.raw)
	}
	if again := p.events(runID, 9999, nil); again[0].Type != "reset" || len(again) != len(whole)+1 {
		t.Errorf("a cursor past the end: %d events, the first %s", len(again), again[0].Type)
	}
}

// Generate answers with the run's stream exactly when it is asked for one.
func TestGenerateAsStream(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	id := p.document("heating.md", heating)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/blog/generate", strings.NewReader(`{"document_ids":["`+id+`"]}`))
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
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("Content-Type %s: %s", ct, b)
	}
	for _, h := range []string{"Cache-Control=no-cache, no-transform", "X-Accel-Buffering=no"} {
		name, want, _ := strings.Cut(h, "=")
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	checkLog(t, p.readEvents(resp.Body, nil))
}

// What belongs to somebody else answers as what is not there, in every operation.
func TestForeignIsMissing(t *testing.T) {
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open")
	owner := s.register("owner@example.com")
	other := s.register("other@example.com")
	if role := other.want(200, "GET", "/api/v1/auth/me", nil).str("role"); role != "member" {
		t.Errorf("the second account is %s", role)
	}
	doc := owner.document("heating.md", heating)
	started := owner.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}})
	draftID, runID := started.str("draft", "id"), started.str("run", "id")
	owner.events(runID, 0, nil)
	refining := owner.want(202, "POST", "/api/v1/blog/"+draftID+"/refine", obj{"feedback": "shorter"}).str("run", "id")
	owner.events(refining, 0, nil)
	proposal := owner.want(200, "GET", "/api/v1/blog/"+draftID+"/proposals", nil).list("proposals")[0].(obj)["id"].(string)
	const missing = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	for _, tc := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/documents/{doc}", nil}, {"PATCH", "/documents/{doc}", obj{"title": "mine"}}, {"POST", "/documents/{doc}/process", nil},
		{"GET", "/documents/{doc}/passages", nil}, {"GET", "/documents/{doc}/text", nil}, {"GET", "/documents/{doc}/content", nil},
		{"GET", "/documents/{doc}/pages/1", nil}, {"DELETE", "/documents/{doc}", nil},
		{"POST", "/documents/search", obj{"query": "boiler", "document_ids": []string{"{doc}"}}},
		{"POST", "/blog/generate", obj{"document_ids": []string{"{doc}"}}},
		{"GET", "/blog/{draft}", nil}, {"PUT", "/blog/{draft}", obj{"title": "mine"}}, {"GET", "/blog/{draft}/versions", nil},
		{"GET", "/blog/{draft}/versions/1", nil}, {"POST", "/blog/{draft}/export", obj{}},
		{"POST", "/blog/{draft}/refine", obj{"feedback": "shorter"}}, {"GET", "/blog/{draft}/proposals", nil}, {"GET", "/blog/{draft}/proposals/{proposal}", nil},
		{"POST", "/blog/{draft}/proposals/{proposal}/accept", nil}, {"POST", "/blog/{draft}/proposals/{proposal}/reject", nil}, {"POST", "/blog/{draft}/undo", nil},
		{"POST", "/blog/{draft}/redo", nil}, {"POST", "/blog/{draft}/versions/1/restore", nil}, {"GET", "/blog/{draft}/diff", nil}, {"DELETE", "/blog/{draft}", nil},
		{"GET", "/runs/{run}", nil}, {"GET", "/runs/{run}/events", nil}, {"GET", "/runs/{run}/steps", nil}, {"POST", "/runs/{run}/cancel", nil}, {"POST", "/runs/{run}/requeue", nil},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			ask := func(doc, draft, run string) reply {
				in := strings.NewReplacer("{doc}", doc, "{draft}", draft, "{run}", run, "{proposal}", proposal)
				var body any
				if m, ok := tc.body.(obj); ok {
					c := obj{}
					for k, v := range m {
						if l, ok := v.([]string); ok {
							v = []string{in.Replace(l[0])}
						}
						c[k] = v
					}
					body = c
				}
				r := other.problem(404, "not_found", tc.method, "/api/v1"+in.Replace(tc.path), body, "If-Match", `"1"`)
				delete(r.body, "request_id")
				return r
			}
			foreign, absent := ask(doc, draftID, runID), ask(missing, missing, missing)
			if fmt.Sprint(foreign.body) != fmt.Sprint(absent.body) {
				t.Errorf("foreign: %v\nmissing: %v", foreign.body, absent.body)
			}
		})
	}
	for _, path := range []string{"/documents", "/blog", "/runs"} {
		r := other.want(200, "GET", "/api/v1"+path, nil)
		if r.num("total") != 0 {
			t.Errorf("%s shows another's: %s", path, r.raw)
		}
	}
	if r := other.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler"}); len(r.list("results")) != 0 {
		t.Errorf("search finds another's: %s", r.raw)
	}
	owner.want(200, "GET", "/api/v1/documents/"+doc, nil)
}

func TestAnonymousIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	for _, path := range []string{"/auth/me", "/documents", "/blog", "/runs", "/status", "/users"} {
		r := s.anonymous().problem(401, "unauthenticated", "GET", "/api/v1"+path, nil)
		if r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", path)
		}
	}
	(&person{system: s, token: "nonsense"}).problem(401, "bad_token", "GET", "/api/v1/documents", nil)
}

func TestUploads(t *testing.T) {
	s := open(t, t.TempDir(), "MAX_UPLOAD_SIZE=1MB")
	p := s.register("owner@example.com")
	t.Run("one", func(t *testing.T) {
		first := p.upload("", file{name: "../../etc/a\u202e.md", content: heating})
		if first.status != 201 || first.header.Get("Location") == "" || strings.ContainsAny(first.str("filename"), "/\u202e") {
			t.Fatalf("%d %s", first.status, first.raw)
		}
		again := p.upload("", file{name: "b.md", content: heating})
		if again.status != 200 || again.str("id") != first.str("id") {
			t.Errorf("the same bytes again: %d %s", again.status, again.raw)
		}
		forced := p.upload("?force=true", file{name: "b.md", content: heating})
		if forced.status != 201 || forced.str("id") == first.str("id") {
			t.Errorf("the same bytes by force: %d %s", forced.status, forced.raw)
		}
	})
	t.Run("several, and a bad one fails nobody", func(t *testing.T) {
		r := p.upload("", file{name: "good.txt", content: minutes}, file{name: "bad.exe", content: "MZ\x90\x00\x03\x00\x00\x00"}, file{name: "empty.md"}, file{name: "good2.md", content: "# Two\n\nA second good file."})
		var got []int
		for _, x := range r.list("results") {
			got = append(got, int(x.(obj)["status"].(float64)))
		}
		if r.status != 207 || fmt.Sprint(got) != "[201 415 422 201]" {
			t.Errorf("%d %v: %s", r.status, got, r.raw)
		}
	})
	for name, tc := range map[string]struct {
		file   file
		status int
		code   string
	}{
		"unsupported type":     {file{name: "a.docx", content: "PK\x03\x04 not for now"}, 415, "unsupported_type"},
		"binary in disguise":   {file{name: "a.md", content: "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"}, 415, "type_mismatch"},
		"a PDF called text":    {file{name: "a.txt", content: "%PDF-1.7\n1 0 obj"}, 415, "type_mismatch"},
		"empty":                {file{name: "a.md"}, 422, "empty_file"},
		"over the limit":       {file{name: "a.txt", content: strings.Repeat("word ", 300_000)}, 413, "file_too_large"},
		"another type claimed": {file{name: "a.md", content: heating, mediaType: "application/pdf"}, 415, "type_mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.upload("", tc.file)
			if r.status != tc.status || r.str("code") != tc.code {
				t.Errorf("%d %s, want %d %s", r.status, r.raw, tc.status, tc.code)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if r := p.upload(""); r.status != 422 && r.status != 400 {
			t.Errorf("%d %s", r.status, r.raw)
		}
		p.problem(415, "not_multipart", "POST", "/api/v1/documents/upload", obj{"file": "x"})
	})
}

// Documents that cannot be read end failed with a reason of their own; the others go on.
func TestBadDocuments(t *testing.T) {
	dir := t.TempDir()
	warm(t, dir)
	s := open(t, dir, "BYLINE_EXTRACT_MEMORY=96MiB")
	p := s.register("owner@example.com")
	bomb, blank := &pdftest.Doc{Deflate: true}, &pdftest.Doc{}
	bomb.Page().Raw(strings.Repeat(" ", 200<<20))
	blank.Page()
	for name, tc := range map[string]struct {
		file file
		code string
	}{
		"broken PDF":      {file{name: "a.pdf", content: "%PDF-1.4\nthis is no PDF at all"}, "broken_document"},
		"flate bomb":      {file{name: "b.pdf", content: string(bomb.Bytes())}, "out_of_memory"},
		"blank page":      {file{name: "e.pdf", content: string(blank.Bytes())}, "empty_text"},
		"only whitespace": {file{name: "a.txt", content: " \n\t\n "}, "empty_text"},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.upload("", tc.file)
			if r.status != 201 {
				t.Fatalf("upload: %d %s", r.status, r.raw)
			}
			if d := p.processed(r.str("id")); d.str("status") != "failed" || d.str("error_code") != tc.code || d.str("error_message") == "" {
				t.Errorf("%s", d.raw)
			}
			p.problem(409, "document_not_ready", "POST", "/api/v1/blog/generate", obj{"document_ids": []string{r.str("id")}})
		})
	}
	p.document("good.md", heating)
}

func TestRequestsThatAreWrong(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	p.problem(404, "not_found", "GET", "/api/v1/nothing", nil)
	p.problem(405, "method_not_allowed", "DELETE", "/api/v1/documents", nil)
	r := p.problem(422, "invalid", "POST", "/api/v1/documents/search", obj{"query": "x", "topk": 3})
	if f := r.list("errors")[0].(obj); f["location"] != "body.topk" || f["code"] != "unknown_field" {
		t.Errorf("unknown field: %v", f)
	}
	p.problem(422, "invalid", "POST", "/api/v1/documents/search", obj{"query": ""})
	p.problem(422, "invalid", "POST", "/api/v1/documents/search", obj{"query": "x", "mode": "clever"})
	p.problem(400, "malformed", "POST", "/api/v1/documents/search", []byte(`{"query":`))
	p.problem(415, "unsupported_media_type", "POST", "/api/v1/documents/search", []byte(`a=b`), "Content-Type", "application/x-www-form-urlencoded")
	p.problem(422, "bad_cursor", "GET", "/api/v1/documents?cursor=nonsense", nil)
	p.problem(413, "body_too_large", "POST", "/api/v1/documents/search", []byte(`{"query":"`+strings.Repeat("x", 5<<20)+`"}`))
	p.want(200, "GET", "/api/v1/documents?unknown=1", nil)
	p.problem(404, "not_found", "GET", "/api/v1/documents/nonsense", nil)
	p.problem(404, "not_found", "POST", "/api/v1/blog/generate", obj{"document_ids": []string{"x"}, "session_id": "y"})
	p.problem(422, "bad_email", "POST", "/api/v1/auth/register", obj{"email": "nobody", "password": "correct horse battery"})
}

func TestListsHavePages(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	for i := range 7 {
		if r := p.upload("?process=false", file{name: fmt.Sprintf("d%d.md", i), content: fmt.Sprintf("# Document %d\n\nText.", i)}); r.status != 201 {
			t.Fatal(string(r.raw))
		}
	}
	var names []string
	path := "/api/v1/documents?limit=3"
	for pages := 0; ; pages++ {
		r := p.want(200, "GET", path, nil)
		if r.num("total") != 7 || pages > 3 {
			t.Fatalf("%s", r.raw)
		}
		for _, d := range r.list("documents") {
			names = append(names, d.(obj)["filename"].(string))
		}
		next, _ := r.at("next").(string)
		if next == "" {
			break
		}
		path = "/api/v1/documents?limit=3&cursor=" + next
	}
	if got := strings.Join(names, " "); got != "d6.md d5.md d4.md d3.md d2.md d1.md d0.md" {
		t.Errorf("newest first, each once: %s", got)
	}
	if r := p.want(200, "GET", "/api/v1/documents?q=D3", nil); r.num("total") != 1 {
		t.Errorf("q=D3: %s", r.raw)
	}
	if r := p.want(200, "GET", "/api/v1/documents?status=completed", nil); r.num("total") != 0 {
		t.Errorf("status=completed: %s", r.raw)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	doc := p.document("heating.md", heating)
	first := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}}, "Idempotency-Key", "once")
	again := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}}, "Idempotency-Key", "once")
	if first.str("draft", "id") != again.str("draft", "id") || first.str("run", "id") != again.str("run", "id") {
		t.Errorf("two effects of one key:\n%s\n%s", first.raw, again.raw)
	}
	p.problem(422, "idempotency_key_reused", "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}, "title": "Another"}, "Idempotency-Key", "once")
	if r := p.want(200, "GET", "/api/v1/blog", nil); r.num("total") != 1 {
		t.Errorf("%d drafts of one key", r.num("total"))
	}
}

func TestEditsNeedTheVersionTheySaw(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	doc := p.document("heating.md", heating)
	started := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}})
	p.events(started.str("run", "id"), 0, nil)
	path := "/api/v1/blog/" + started.str("draft", "id")
	d := p.want(200, "GET", path, nil)
	p.problem(428, "if_match_required", "PUT", path, obj{"title": "New"})
	edited := d.str("content") + "\nA sentence of my own.\n"
	r := p.want(200, "PUT", path, obj{"content": edited, "message": "own words"}, "If-Match", d.header.Get("ETag"))
	if r.num("version") != 2 || r.header.Get("ETag") == d.header.Get("ETag") || r.str("title") != d.str("title") {
		t.Errorf("%s", r.raw)
	}
	p.problem(412, "stale", "PUT", path, obj{"content": "lost"}, "If-Match", d.header.Get("ETag"))
	if got := p.want(200, "GET", path, nil).str("content"); got != edited {
		t.Errorf("content %q", got)
	}
	p.checkCitations(started.str("draft", "id"), 2)
	versions := p.want(200, "GET", path+"/versions", nil).list("versions")
	if len(versions) != 2 || versions[0].(obj)["message"] != "own words" || versions[0].(obj)["cause"] != "edit" {
		t.Errorf("versions: %v", versions)
	}
	p.want(204, "DELETE", path, nil)
	p.problem(404, "not_found", "GET", path, nil)
}

func TestDeletedIsGone(t *testing.T) {
	t.Parallel() // it waits for the sweep
	dir := t.TempDir()
	s := open(t, dir)
	p := s.register("owner@example.com")
	secret := "The password of the vault is xylophone quartz."
	doc := p.document("secret.md", "# Vault\n\n"+secret+"\n")
	kept := p.document("heating.md", heating)
	if kept == doc {
		t.Fatal("two files are one document")
	}
	started := p.want(202, "POST", "/api/v1/blog/generate", obj{"document_ids": []string{doc}})
	p.events(started.str("run", "id"), 0, nil)
	gone := p.want(200, "DELETE", "/api/v1/documents/"+doc+"?purge_quotes=true", nil)
	if len(gone.list("drafts")) != 1 {
		t.Errorf("drafts that hold its text: %s", gone.raw)
	}
	p.problem(404, "not_found", "GET", "/api/v1/documents/"+doc, nil)
	if r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "xylophone vault"}); len(r.list("results")) != 0 {
		t.Errorf("found after deletion: %s", r.raw)
	}
	p.want(204, "DELETE", "/api/v1/blog/"+started.str("draft", "id"), nil)
	p.swept(dir, "xylophone quartz")
	if r := p.want(200, "POST", "/api/v1/documents/search", obj{"query": "boiler"}); len(r.list("results")) == 0 {
		t.Error("the other document is gone too")
	}
}

// swept waits until verify finds no trace of a text.
func (p *person) swept(dir, text string) {
	p.t.Helper()
	var problems []string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if problems = p.verify(dir, text); len(problems) == 0 {
			return
		}
	}
	p.t.Errorf("a minute after the deletion: %v", problems)
}

func TestFirstAccount(t *testing.T) {
	s := open(t, t.TempDir())
	from := func(headers ...string) *person { return s.anonymous() }
	in := obj{"email": "a@example.com", "password": "correct horse battery"}
	from().problem(403, "setup_token_required", "POST", "/api/v1/auth/register", in, "X-Forwarded-For", "203.0.113.9")
	from().problem(403, "setup_token_required", "POST", "/api/v1/auth/register", in, "X-Forwarded-For", "203.0.113.9", "X-Setup-Token", "guess")
	from().want(201, "POST", "/api/v1/auth/register", in, "X-Forwarded-For", "203.0.113.9", "X-Setup-Token", s.app.SetupToken())
	from().problem(403, "invite_only", "POST", "/api/v1/auth/register", obj{"email": "b@example.com", "password": "correct horse battery"})
	p := s.anonymous()
	p.login("a@example.com")
	p.want(201, "POST", "/api/v1/users", obj{"email": "b@example.com", "password": "correct horse battery"})
	q := s.anonymous()
	q.login("b@example.com")
	q.problem(403, "admin_only", "GET", "/api/v1/users", nil)
}

func TestRefreshTokensRotate(t *testing.T) {
	s := open(t, t.TempDir())
	p := s.register("owner@example.com")
	login := p.want(200, "POST", "/api/v1/auth/login", obj{"email": "OWNER@example.com ", "password": "correct horse battery"})
	next := p.want(200, "POST", "/api/v1/auth/refresh", obj{"refresh_token": login.str("refresh_token")})
	q := &person{system: s, token: next.str("access_token")}
	q.want(200, "GET", "/api/v1/auth/me", nil)
	p.problem(401, "token_expired", "POST", "/api/v1/auth/refresh", obj{"refresh_token": "blr_unknown"})
	p.want(204, "POST", "/api/v1/auth/logout", obj{"refresh_token": next.str("refresh_token")})
	p.want(401, "POST", "/api/v1/auth/refresh", obj{"refresh_token": next.str("refresh_token")})
	p.problem(401, "wrong_credentials", "POST", "/api/v1/auth/login", obj{"email": "owner@example.com", "password": "wrong"})
	p.problem(401, "wrong_credentials", "POST", "/api/v1/auth/login", obj{"email": "nobody@example.com", "password": "wrong"})
}

func TestOperations(t *testing.T) {
	s := open(t, t.TempDir(), "CORS_ORIGINS=https://app.example.com")
	p := s.register("owner@example.com")
	if r := p.want(200, "GET", "/health", nil); r.str("status") != "ok" {
		t.Errorf("%s", r.raw)
	}
	p.want(200, "GET", "/readyz", nil)
	if r := p.want(200, "GET", "/api/v1/status", nil); r.str("status") != "ok" || len(r.list("dependencies")) == 0 {
		t.Errorf("%s", r.raw)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "OPTIONS", s.url+"/api/v1/documents", nil)
	req.Header.Set("Origin", "https://app.example.com")
	req.Header.Set("Access-Control-Request-Method", "GET")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example.com" {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
	resp, err = http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(metrics), `byline_http_request_duration_seconds_count{method="GET",route="/api/v1/status",status="200"} 1`) {
		t.Errorf("metrics:\n%.2000s", metrics)
	}
}
