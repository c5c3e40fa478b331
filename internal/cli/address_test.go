package cli_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/cli"
)

func TestDraftTakesPages(t *testing.T) {
	s := newSession(t)
	s.write("a.md", "about a")
	s.lib.answers["POST /api/v1/documents/url"] = func(w http.ResponseWriter, r *http.Request) bool {
		var body map[string]string
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&body); err != nil || len(body) != 1 {
			t.Errorf("asked with %v, %v", body, err)
		}
		switch body["url"] {
		case "https://example.org/post?a=1":
			reply(w, 201, `{"id":"PAGE1","status":"pending"}`)
		case "HTTP://example.org/known":
			reply(w, 200, `{"id":"PAGE2","status":"completed"}`)
		case "http://example.org/broken":
			reply(w, 201, `{"id":`)
		default:
			reply(w, 422, `{"code":"url_refused","detail":"This address is not fetched: 10.0.0.1 is not on the public internet."}`)
		}
		return true
	}
	got := s.run("draft", "a.md", "https://example.org/post?a=1", "HTTP://example.org/known", "http://10.0.0.1/", "http://example.org/broken", "-o", "post.md")
	got.want(t, cli.ExitPartly, "post.md: \"Warm rooms\"", "http://10.0.0.1/: This address is not fetched: 10.0.0.1 is not on the public internet.")
	if diff := cmp.Diff([]any{"a.md", "PAGE1", "PAGE2"}, s.lib.bodies["generate"]["document_ids"]); diff != "" {
		t.Error(diff)
	}
}
