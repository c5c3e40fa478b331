package elastic_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"byline/internal/driver/elastic"
	"byline/internal/engine/lexical"
	"byline/internal/search"
)

// FuzzAnswers lets the server answer anything: nobody panics, no candidate is of a document that was not asked for, and all
// coverage is a share.
func FuzzAnswers(f *testing.F) {
	const hit = `{"_score":1.5,"fields":{"workspace":["` + string(ws) + `"],"document":["d"],"passage":["a"]},"matched_queries":["0","7","-1","x"],
		"_explanation":{"value":1,"description":"weight(terms:apple in 0)","details":[null,{"value":1e99,"description":"freq, "}]}}`
	const shards = `"_shards":{"total":1,"successful":1,"failed":0}`
	for _, s := range []string{
		`{}`, `null`, `[]`, `{"hits":{"hits":[` + hit + `]},` + shards + `}`,
		`{"responses":[{"hits":{"hits":[` + hit + `]},` + shards + `},{"hits":{"total":{"value":-3}},"aggregations":{"terms":{"buckets":[{"doc_count":9}]}},` + shards + `}]}`,
		`{"responses":[{"error":{"type":"x","reason":"` + strings.Repeat("é", 200) + `"},"status":404},null]}`,
		`{"items":[{"index":{"status":400,"error":{"type":"x"}}}]}`, `{"items":[{},{"index":null}]}`,
		`{` + shards + `,"hits":{"total":{"value":1}},"aggregations":{"hash0":{"value":-1e300},"hash3":{"value":null}}}`,
	} {
		f.Add(200, s)
		f.Add(400, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		synctest.Test(t, func(t *testing.T) { // waits take no time
			server := newFake()
			e := faked(t, server, elastic.Options{Attempts: 1})
			ready(t, e)
			e.Through(through(func(r *http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				if r.Method == http.MethodGet {
					server.ServeHTTP(w, r)
					return w.Result(), nil
				}
				w.WriteHeader(status)
				w.WriteString(body)
				return w.Result(), nil
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, q := range []search.Query{words, meaning} {
				q.Documents, q.Explain = map[string]bool{"d": true}, true
				ask := e.Lexical
				if q.Vector != nil {
					ask = e.Vector
				}
				found, err := ask(ctx, q)
				for _, c := range found.Candidates {
					if err != nil || c.DocumentID != "d" || !(c.Coverage >= 0 && c.Coverage <= 1) {
						t.Errorf("%+v, %v", c, err)
					}
				}
			}
			e.Held(ctx, "g", ws)
			e.Info(ctx)
			if failed, err := e.Apply(ctx, "g", ws, []search.Operation{put("a", "apple", 1, 0, 0)}); err != nil && failed != nil {
				t.Errorf("%v with %v", failed, err)
			}
		})
	})
}

// FuzzQuestions sends anything that people may ask. The fake refuses every clause that the driver has no reason to send, so
// that text which became syntax would fail; and it holds another workspace with the same words.
func FuzzQuestions(f *testing.F) {
	for _, text := range []string{
		"apple pie", `apple" OR "1"="1`, `{"match_all":{}}`, `*:*`, `apple~2^3 AND NOT (x)`, "/ap.*/", "\"}}]}\n{}\n{\"query\":{\"match_all\":{}}}", "\x00\xff", "사과는 맛있다",
		"ＡＰＰＬＥ", strings.Repeat("apple ", 300), "don't", "a\u2028b", "<b>apple</b>", "apple\\", "workspace:other", "\u202e",
	} {
		f.Add(text, "en")
	}
	f.Fuzz(func(t *testing.T, text, language string) {
		synctest.Test(t, func(t *testing.T) {
			e := faked(t, newFake(), elastic.Options{Attempts: 1})
			ready(t, e)
			var mine, theirs []string
			for _, tok := range lexical.Analyze(text, language) {
				mine = append(mine, tok.Term)
			}
			mine = append(mine[:min(len(mine), 50)], "apple")
			theirs = append(theirs, mine...)
			if _, err := e.Apply(t.Context(), "g", ws, []search.Operation{put("mine", strings.Join(mine, " "), 1, 0, 0)}); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Apply(t.Context(), "g", "other", []search.Operation{put("theirs", strings.Join(theirs, " "), 1, 0, 0)}); err != nil {
				t.Fatal(err)
			}
			q := search.Query{Workspace: ws, Terms: lexical.Query(text, language), K: 10, Explain: true}
			found, err := e.Lexical(t.Context(), q)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			for _, c := range found.Candidates {
				if c.PassageID == "theirs" || !(c.Coverage >= 0 && c.Coverage <= 1) {
					t.Errorf("%q: %+v", text, c)
				}
			}
		})
	})
}
