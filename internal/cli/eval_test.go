package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/cli"
)

// newEvaluation is a session with a set: of two questions, words find one and meaning the other; the hybrid finds both.
func newEvaluation(t *testing.T) *session {
	s := newSession(t)
	if err := os.Mkdir("set", 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("set/corpus.jsonl", `{"_id":"a","title":"Heat \n pumps","text":"They are quiet."}
{"_id":"b","text":"# A boiler"}
{"_id":"empty","title":" "}
{"_id":"c","text":"A boiler?","title":""}
`)
	s.write("set/queries.jsonl", `{"_id":"q1","text":"pumps"}`+"\n"+`{"_id":"q2","text":"`+strings.Repeat("é", 1500)+`"}`+"\n"+`{"_id":"q3","text":"unknown"}`+"\n")
	s.write("set/qrels.txt", "q1 0 a 1\nq2 0 b 1\n")
	s.lib.answers["POST /api/v1/documents/search"] = func(w http.ResponseWriter, r *http.Request) bool {
		var q struct {
			Query  string `json:"query"`
			Mode   string `json:"mode"`
			Fusion string `json:"fusion"`
			TopK   int    `json:"top_k"`
			Per    int    `json:"max_per_document"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Per != 1 || len(q.Query) > 2000 {
			t.Errorf("%+v, %v", q, err)
		}
		pumps := q.Query == "pumps"
		var ids []string
		if pumps && q.Mode != "semantic" || q.Fusion == "rrf" {
			ids = append(ids, "0.txt")
		}
		if !pumps && q.Mode != "lexical" {
			ids = append(ids, "3.txt", "1.txt")
		}
		var hits []string
		for _, id := range ids[:min(q.TopK, len(ids))] {
			hits = append(hits, fmt.Sprintf(`{"document_id":%q}`, id))
		}
		degraded := `[]`
		if q.Mode == "hybrid" {
			degraded = `["over_budget"]`
		}
		reply(w, 200, `{"results":[`+strings.Join(hits, ",")+`],"degraded":`+degraded+`}`)
		return true
	}
	return s
}

func TestEval(t *testing.T) {
	s := newEvaluation(t)
	s.environ = []string{"BYLINE_DATA=mine", "DATABASE_URL=postgres://localhost/mine", "CHROMADB_URL=http://localhost:1", "ALLOWED_EXTENSIONS=pdf"}
	got := s.run("eval", "set", "-q", "--per-query")
	want := `set: 4 documents, 2 questions (1 more have no document that answers)
                 nDCG@10  recall@10    MRR@10    MAP@10
lexical           0.5000     0.5000    0.5000    0.5000
semantic          0.3155     0.5000    0.2500    0.2500
hybrid            0.8155     1.0000    0.7500    0.7500
hybrid was degraded: over_budget

semantic against lexical: 1 better, 1 worse, 0 the same
  nDCG@10     -0.1845  (95 %: -1.0000 to +0.6309)
  recall@10   +0.0000  (95 %: -1.0000 to +1.0000)
  MRR@10      -0.2500  (95 %: -1.0000 to +0.5000)
  lost 1.00 (1.00 to 0.00)  q1  pumps

hybrid against lexical: 1 better, 0 worse, 1 the same
  nDCG@10     +0.3155  (95 %: +0.0000 to +0.6309)
  recall@10   +0.5000  (95 %: +0.0000 to +1.0000)
  MRR@10      +0.2500  (95 %: +0.0000 to +0.5000)

lexical        semantic       hybrid         question
1.0000         0.0000         1.0000         q1  pumps
0.0000         0.6309         0.6309         q2  ` + strings.Repeat("é", 1500) + "\n"
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != cli.ExitOK || got.err != "" {
		t.Errorf("exit %d, %s; -want +got\n%s", got.code, got.err, diff)
	}
	if diff := cmp.Diff(map[string]string{"0.txt": "Heat pumps\n==========\n\nThey are quiet.\n", "1.txt": "# A boiler", "3.txt": "A boiler?"}, s.lib.uploads); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	c := s.options.Config
	if c.Storage.Data == "mine" || c.Storage.DatabaseURL != "" || c.Search.ChromaURL != "" || c.Documents.AllowedExtensions != nil {
		t.Errorf("not a library of its own: %+v", c)
	}
	for _, dir := range []string{c.Storage.Data, "mine"} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is there", dir)
		}
	}
}

func TestEvalAgainstAnEarlierRun(t *testing.T) {
	s := newEvaluation(t)
	before := s.run("eval", "set", "--json", "--mode", "hybrid/rrf,lexical")
	before.want(t, cli.ExitOK, `{"sets":[{"set":"set","documents":4,"questions":2,"unjudged":1,"k":10,"results":[{"way":"hybrid/rrf","mean":{"ndcg":`, "")
	before.want(t, cli.ExitOK, `"against":{"way":"lexical","ndcg":{"mean":`, "")
	before.want(t, cli.ExitOK, `"mean":{"hybrid/rrf":{"ndcg":`, "")
	s.write("before.json", before.out)
	s.run("eval", "set", "--against", "before.json", "--mode", "lexical").want(t, cli.ExitOK, "lexical against before.json: 0 better, 0 worse, 2 the same\n", "[1/2] asking set\n")
	s.run("eval", "set", "--against", "before.json", "-k", "5").want(t, cli.ExitFailed, "", "was measured with --top 10, this with --top 5")
	s.write("other.json", `{"sets":[{"set":"x"}]}`)
	s.run("eval", "set", "--against", "other.json").want(t, cli.ExitFailed, "", "other.json has no figures of the set set")
	s.write("none.json", "{}")
	s.run("eval", "set", "--against", "none.json").want(t, cli.ExitUsage, "", "this is not what byline eval --json wrote")
}

func TestEvalOfSeveralSets(t *testing.T) {
	s := newEvaluation(t)
	if err := os.CopyFS("more", os.DirFS("set")); err != nil {
		t.Fatal(err)
	}
	s.run("eval", "set", "more/", "--mode", "hybrid", "--against", "lexical").want(t, cli.ExitOK,
		"\nmean of 2 sets\n                 nDCG@10  recall@10    MRR@10    MAP@10\nlexical           0.5000     0.5000    0.5000    0.5000\nhybrid            0.8155", "")
	s.run("eval", "set", "./more/../set").want(t, cli.ExitUsage, "", "two sets are called set")
}

func TestEvalWithoutMeaning(t *testing.T) {
	s := newEvaluation(t)
	s.lib.answers["GET /api/v1/indexes"] = func(w http.ResponseWriter, _ *http.Request) bool {
		reply(w, 200, `{"indexes":[{"space":"","state":"serving"}],"engines":[]}`)
		return true
	}
	got := s.run("eval", "set")
	got.want(t, cli.ExitOK, "lexical           0.5000", "note: there is no search by meaning here")
	if strings.Contains(got.out, "hybrid") {
		t.Errorf("it was measured: %s", got.out)
	}
}

func TestEvalTellsWhatCannotBeUsed(t *testing.T) {
	s := newEvaluation(t)
	s.lib.docs["1.txt"] = doc{status: "failed", error: "It is broken.", looks: 1}
	s.run("eval", "set").want(t, cli.ExitPartly, "lexical           0.5000", "document b could not be used: It is broken.")
	for _, name := range []string{"0.txt", "1.txt", "3.txt"} {
		s.lib.docs[name] = doc{status: "failed", error: "It is broken."}
	}
	s.run("eval", "set").want(t, cli.ExitFailed, "", "None of the set's documents could be used.")
	s.lib.docs["1.txt"] = doc{refused: 507, error: "The disk is full."}
	s.run("eval", "set").want(t, cli.ExitFailed, "", "Document b could not be taken in: The disk is full.")
}

func TestEvalRefusesAWrongCommandLine(t *testing.T) {
	s := newEvaluation(t)
	for want, args := range map[string][]string{
		"requires at least 1 arg":              {},
		"--mode vector: use lexical, semantic": {"set", "--mode", "vector"},
		"--top is 1 to 100":                    {"set", "-k", "101"},
		"or a file that byline eval --json":    {"set", "--against", "yesterday"},
	} {
		s.run(append([]string{"eval"}, args...)...).want(t, cli.ExitUsage, "", want)
	}
	s.run("eval", "nothing").want(t, cli.ExitFailed, "", "There is no nothing"+string(os.PathSeparator)+"corpus.jsonl. A set is a directory")
	s.run("eval", "set", "--judgements", "x.tsv").want(t, cli.ExitFailed, "", "x.tsv")
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	s.run("eval", "set", "--against", "dir").want(t, cli.ExitFailed, "", "dir")
	t.Setenv("TMPDIR", "/dev/null")
	s.run("eval", "set").want(t, cli.ExitFailed, "", "make a library for the set")
}
