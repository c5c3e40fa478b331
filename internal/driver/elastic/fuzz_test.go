package elastic_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"byline/internal/driver/elastic"
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
