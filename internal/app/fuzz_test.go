package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What only the other workspace has.
const foreignWord = "zanzibarine"

// leaks are words of what searches, which no answer that refuses a question may show.
var leaks = regexp.MustCompile(`(?i)sql|fts5|syntax error|panic|goroutine|segment|lucene|parse_exception|runtime error`)

// FuzzSearch asks anything in any way: an answer is found or refused, it never fails; nothing of another workspace is in it,
// everything is within its bounds, and no text of a question is anything but text.
func FuzzSearch(f *testing.F) {
	s := open(f, f.TempDir(), "ACCESS_TOKEN_EXPIRE_MINUTES=1440", "BYLINE_LIMITS=off")
	p := s.register("owner@example.com")
	mine := []string{
		p.document("heating.md", warmth), p.document("music.md", music), p.document("korean.md", korean),
		p.document("codes.txt", "Error ERR-1042 in v1.61.1 of foo_bar (see a@b.org) means that `maxTerm` AND/OR \"quotes\" are over 100%; it's C++, not C#.\n"),
	}
	p.want(201, "POST", "/api/v1/users", obj{"email": "b@example.com", "password": "correct horse battery"})
	q := s.anonymous()
	q.login("b@example.com")
	foreign := []string{
		q.document("theirs.md", strings.ReplaceAll(warmth, "boiler", "boiler "+foreignWord)), q.document("their-music.md", music+"\n"+foreignWord),
	}
	handler, token := s.app.Handler(), p.token
	for i, text := range []string{
		"boiler in winter", "보일러 설치", "ERR-1042", foreignWord, `boiler" OR 1=1 --`, `'; DROP TABLE passage; --`, `"boiler`, `text:boiler^2~`, `NEAR(boiler winter, 2)`,
		`{"match_all":{}}`, `*:* AND (workspace:local)`, `/.*/`, "boil*", "-boiler", "\x00", "\xff\xfe", "\u202eboiler", "ｂｏｉｌｅｒ", "e\u0301e\u0301", "🧯🔥", strings.Repeat("boiler ", 280),
		strings.Repeat("ab", 999), "a", "", " \t\n", "\u200b", "ไทยภาษา", "図書館の暖房", "don't C++ l'eau", "{{7*7}}", "%s%n", "<script>", "\\", "NaN", "1e999",
	} {
		f.Add(text, "pdf", uint32(i*2654435761))
	}
	f.Add(foreignWord, "pdf", uint32(0)) // is asked as a question
	f.Fuzz(func(t *testing.T, text, filter string, ways uint32) {
		way := func(n uint32) uint32 {
			w := ways % n
			ways /= n
			return w
		}
		path, body := "/api/v1/documents/search", obj{"query": text}
		if way(8) == 0 {
			path, body = "/api/v1/documents/query", obj{"question": text}
		} else {
			body["mode"] = []string{"lexical", "hybrid", "lexical", "semantic"}[way(4)]
			body["fusion"] = []string{"convex", "rrf"}[way(2)]
			body["expand"] = []string{"none", "neighbours", "section"}[way(3)]
			body["explain"] = way(2) == 0
			body["top_k"] = 1 + way(12)
			body["max_per_document"] = way(3)
			body["diversity"] = float64(way(3)) / 2
			if kind := []string{"", "", "", "type", "tag", "language"}[way(6)]; kind != "" {
				body["filters"] = obj{kind: []string{filter, []string{"markdown", "heat", "en"}[way(3)]}}
			}
		}
		switch way(6) {
		case 0:
			body["document_ids"] = mine[:1+way(3)]
		case 1:
			body["document_ids"] = []string{mine[0], foreign[0]}
		case 2:
			body["document_ids"] = []string{filter}
		}
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(data))
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		judge(t, data, w, mine, foreign)
	})
}

func judge(t *testing.T, asked []byte, w *httptest.ResponseRecorder, mine, foreign []string) {
	t.Helper()
	answer := w.Body.Bytes()
	if w.Code != http.StatusOK {
		if w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusNotFound || leaks.Match(answer) {
			t.Fatalf("%s: %d %s", asked, w.Code, answer)
		}
		return
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(answer, &parts); err != nil {
		t.Fatalf("%s: %v: %s", asked, err, answer)
	}
	delete(parts, "question") // says again what was asked
	for _, theirs := range append([]string{foreignWord}, foreign...) {
		for _, part := range parts {
			if bytes.Contains(part, []byte(theirs)) {
				t.Fatalf("%s: something of another workspace: %s", asked, answer)
			}
		}
	}
	var got struct {
		Results []struct {
			Content    string
			DocumentID string `json:"document_id"`
			Score      float64
			Highlights []struct{ Start, End int }
		}
		Citations []struct {
			Spans []struct {
				DocumentID string `json:"document_id"`
				Start, End int
				Quote      string
			}
		}
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatalf("%s: %v", asked, err)
	}
	for _, h := range got.Results {
		if !slices.Contains(mine, h.DocumentID) || !(h.Score >= 0 && h.Score <= 1) {
			t.Fatalf("%s: %+v", asked, h)
		}
		for _, s := range h.Highlights {
			if s.Start < 0 || s.End <= s.Start || s.End > len(h.Content) || !utf8.ValidString(h.Content[s.Start:s.End]) {
				t.Fatalf("%s: %d to %d is no place in %q", asked, s.Start, s.End, h.Content)
			}
		}
	}
	for _, c := range got.Citations {
		if len(c.Spans) == 0 {
			t.Fatalf("%s: a citation without a place", asked)
		}
		for _, s := range c.Spans {
			if !slices.Contains(mine, s.DocumentID) || s.End-s.Start != len(s.Quote) || s.Quote == "" {
				t.Fatalf("%s: %+v", asked, s)
			}
		}
	}
}
