package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/cli"
)

const offered = `{"id":"P1","status":"open","reason":"shorter","title":{"old":"Warm rooms","new":"Warm","status":"open"},"hunks":[
	{"id":"h1","start":4,"end":9,"old":"Old\u001b[2J words.\n\n","new":"New words.\nTwo lines.","status":"open","citations":[{}]},{"id":"h2","start":20,"end":25,"old":"Gone.","new":"","status":"open"}]}`

// refining lets the library refine: its run says these things.
func refining(s *session, log ...string) {
	s.lib.log = log
	said := func(name, body string, status int) func(w http.ResponseWriter, r *http.Request) bool {
		do := s.lib.remember(name, body, status)
		return func(w http.ResponseWriter, r *http.Request) bool {
			do(w, r)
			return true
		}
	}
	s.lib.more = map[string]func(http.ResponseWriter, *http.Request) bool{
		"POST /api/v1/blog/D1/refine":              said("refine", `{"run":{"id":"R1"}}`, 202),
		"POST /api/v1/blog/D1/proposals/P1/accept": said("accept", strings.Replace(offered, `"open"`, `"partly","version":2`, 1), 200),
		"POST /api/v1/blog/D1/proposals/P1/reject": said("reject", strings.Replace(offered, `"open"`, `"rejected"`, 1), 200),
		"GET /api/v1/blog/D1/proposals/P1": func(w http.ResponseWriter, _ *http.Request) bool {
			reply(w, 200, offered)
			return true
		},
	}
}

func TestRefine(t *testing.T) {
	s := newSession(t)
	refining(s, `{"type":"step.started","data":{"step":"read"}}`, `{"type":"step.started","data":{"step":"edit"}}`, `{"type":"step.started","data":{"step":"edit/1"}}`,
		`{"type":"step.started","data":{"step":"verify"}}`, `{"type":"step.started","data":{"step":"propose"}}`,
		`{"type":"notice","data":{"code":"needs_model","detail":"It cannot sing."}}`, `{"type":"run.completed","data":{"proposal_id":"P1","hunks":2}}`)
	o := s.run("refine", "D1", "shorter", "please", "--from", "4", "--to", "9", "--provider", "openai", "--model", "m")
	o.want(t, cli.ExitOK, "@@ title, open\n- Warm rooms\n+ Warm\n@@ h1, bytes 4 to 9, open, 1 cited\n- Old\ufffd[2J words.\n+ New words.\n+ Two lines.\n@@ h2, bytes 20 to 25, open\n- Gone.\nProposal P1 is open.\n", "It cannot sing.")
	if !strings.Contains(o.out, "byline refine D1 --accept P1") {
		t.Errorf("%s", o.out)
	}
	want := map[string]any{"feedback": "shorter please", "mode": "proposal", "selection": map[string]any{"start": 4.0, "end": 9.0}, "llm_provider": "openai", "llm_model": "m"}
	if diff := cmp.Diff(want, s.lib.bodies["refine"]); diff != "" {
		t.Error(diff)
	}
	s.run("refine", "D1", "shorter", "--apply", "--json").want(t, cli.ExitOK, `{"id":"P1","status":"open"`, "")
	if s.lib.bodies["refine"]["mode"] != "apply" {
		t.Errorf("%v", s.lib.bodies["refine"])
	}
}

func TestRefineDecides(t *testing.T) {
	s := newSession(t)
	refining(s)
	s.run("refine", "D1", "--accept", "P1", "--hunk", "h1", "--hunk", "title").want(t, cli.ExitOK, "Proposal P1 is partly; the draft has version 2.\n", "")
	if diff := cmp.Diff(map[string]any{"hunks": []any{"h1", "title"}}, s.lib.bodies["accept"]); diff != "" {
		t.Error(diff)
	}
	s.run("refine", "D1", "--reject", "P1").want(t, cli.ExitOK, "Proposal P1 is rejected.\n", "")
	if len(s.lib.bodies["reject"]) != 0 {
		t.Errorf("%v", s.lib.bodies["reject"])
	}
}

func TestRefineEndsOtherwise(t *testing.T) {
	for name, tc := range map[string]struct {
		log      string
		code     int
		out, err string
		args     []string
	}{
		"nothing":         {`{"type":"run.completed","data":{"hunks":0}}`, cli.ExitOK, "", "", nil},
		"nothing as JSON": {`{"type":"run.completed","data":{"hunks":0}}`, cli.ExitOK, `"hunks":null`, "", []string{"--json"}},
		"failed":          {`{"type":"run.failed","data":{"code":"needs_model","detail":"Without a model it cannot sing."}}`, cli.ExitFailed, "", "Without a model it cannot sing.", nil},
		"cancelled":       {`{"type":"run.cancelled","data":{}}`, cli.ExitFailed, "", "cancelled", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			refining(s, tc.log)
			s.run(append([]string{"refine", "D1", "sing"}, tc.args...)...).want(t, tc.code, tc.out, tc.err)
		})
	}
	s := newSession(t)
	refining(s)
	for _, args := range [][]string{{}, {"D1"}, {"D1", "x", "--accept", "P1"}, {"D1", "--accept", "P1", "--reject", "P1"}, {"D1", "x", "--hunk", "h1"}, {"D1", "--accept", "P1", "--apply"}} {
		s.run(append([]string{"refine"}, args...)...).want(t, cli.ExitUsage, "", "")
	}
}
