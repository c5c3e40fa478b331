package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"byline/internal/cli"
)

// The tree of a run: nodes, and within them what they did, a model's messages one below the other.
func TestShowRun(t *testing.T) {
	s := newSession(t)
	asked := ""
	s.lib.more = map[string]func(http.ResponseWriter, *http.Request) bool{}
	s.lib.more["GET /api/v1/runs/R1"] = func(w http.ResponseWriter, _ *http.Request) bool {
		reply(w, 200, `{"id":"R1","kind":"chat","status":"waiting","attempt":2,"last_seq":9,"subject":{"type":"message","id":"M1"},"error":{"code":"x","detail":"It broke."},"question":{"id":"Q","kind":"confirm","text":"May it?"}}`)
		return true
	}
	s.lib.more["GET /api/v1/runs/R1/steps"] = func(w http.ResponseWriter, r *http.Request) bool {
		asked = r.URL.Query().Get("detail")
		reply(w, 200, `{"total":3,"steps":[{"name":"answer","key":"answer","type":"node","status":"open","started_at":"2026-01-02T03:04:05Z","usage":{"requests":1,"input_tokens":30,"output_tokens":4,"cost":0.25,"currency":"USD"},
			"steps":[{"name":"write","type":"model","llm_model":"fake-1","status":"done","started_at":"2026-01-02T03:04:05Z","duration_ms":1500,
				"input":[{"role":"system","content":"Be brief."}],"output":{"Text":"I am."},"steps":[]},
				{"name":"boiler","type":"search","status":"done","output":[{"score":1}],"steps":[]}]}]}`)
		return true
	}
	out := s.run("runs", "show", "R1")
	out.want(t, cli.ExitOK, "R1  chat of message M1: waiting, 2 attempt(s), 9 events\nfailed: It broke. (x)\nwaits for an answer: May it?\n\n", "")
	for _, want := range []string{"  answer, 30 + 4 tokens, 0.25 USD, not done\n", "    write (model fake-1), 1.5s\n", "system:\n", "  Be brief.\n", "answer:\n", "  I am.\n", "    boiler (search)\n", `[{"score":1}]`} {
		if !strings.Contains(out.out, want) {
			t.Errorf("no %q in\n%s", want, out.out)
		}
	}
	if asked != "all" {
		t.Errorf("asked for the detail %q", asked)
	}
	s.run("runs", "show", "R1", "--detail", "hidden", "--json").want(t, cli.ExitOK, `"steps":`, "")
	if asked != "hidden" {
		t.Errorf("asked for the detail %q", asked)
	}
	s.run("runs", "show").want(t, cli.ExitUsage, "", "")
}
