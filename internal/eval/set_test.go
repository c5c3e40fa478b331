package eval_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/rank"
	"byline/internal/eval"
	"byline/internal/fault"
)

// write makes a set of files by name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	corpus  = `{"_id":"d1","title":"One","text":"The first."}` + "\n\n" + `{"_id":"d 2","text":"The second.","metadata":{}}` + "\n"
	queries = `{"_id":"q1","text":"first?"}` + "\n" + `{"_id":"q2","text":"second?"}` + "\n" + `{"_id":"q3","text":"third?"}`
)

func TestOpen(t *testing.T) {
	want := &eval.Set{
		Name:      "set",
		Documents: []eval.Document{{ID: "d1", Title: "One", Text: "The first."}, {ID: "d 2", Text: "The second."}},
		Questions: []eval.Question{
			{ID: "q1", Text: "first?", Grades: rank.Grades{"d1": 2, "d 2": 1}},
			{ID: "q2", Text: "second?", Grades: rank.Grades{"d 2": 1, "d1": 0}},
		},
		Unjudged: 1,
	}
	for _, tc := range []struct {
		name, file, judgements, named string
	}{
		{"BEIR", "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td 2\t1\nq2\td 2\t1\nq2\td1\t0\n", ""},
		{"BEIR without headings, from Windows", "qrels.tsv", "\ufeffq1\td1\t2\r\nq1\td 2\t1\r\nq2\td 2\t1\r\nq2\td1\t0\r\n", ""},
		{"TREC", "qrels.txt", "q1\t0\td1\t2\nq1\tQ0\td 2\t1\nq2\t0\td 2\t1\nq2\t0\td1\t0\nq2\t0\td1\t0", ""},
		{"JSONL", "judgements.jsonl", `{"query":"q1","document":"d1","grade":2}` + "\n" + `{"query":"q1","document":"d 2","grade":1,"by":"me"}` + "\n" +
			`{"query":"q2","document":"d 2","grade":1}` + "\n" + `{"query":"q2","document":"d1","grade":0}`, ""},
		{"another file", "qrels/dev.tsv", "q1\td1\t2\nq1\td 2\t1\nq2\td 2\t1\nq2\td1\t0\n", "qrels/dev.tsv"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := eval.Open(write(t, map[string]string{"corpus.jsonl": corpus, "queries.jsonl": queries, tc.file: tc.judgements}), tc.named)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestWhatIsWrongWithASetIsToldWithItsPlace(t *testing.T) {
	for _, tc := range []struct {
		name, file, text, want string
	}{
		{"no corpus", "corpus.jsonl", "", "There is no "},
		{"no queries", "queries.jsonl", "", "queries.jsonl. A set is a directory with"},
		{"no judgements", "qrels.txt", "", "has no judgements: one of qrels/test.tsv, "},
		{"a document that is no JSON", "corpus.jsonl", corpus + "{", "corpus.jsonl:4: this is not the JSON"},
		{"a document without id", "corpus.jsonl", `{"text":"x"}`, "corpus.jsonl:1: a document needs an _id"},
		{"a document twice", "corpus.jsonl", corpus + `{"_id":"d1"}`, `corpus.jsonl:4: document "d1" is there twice`},
		{"a question without text", "queries.jsonl", `{"_id":"q1","text":" "}`, `queries.jsonl:1: question "q1" has no text`},
		{"a question without id", "queries.jsonl", `{"text":"x"}`, "queries.jsonl:1: a question needs an _id"},
		{"a question twice", "queries.jsonl", queries + "\n" + `{"_id":"q1","text":"x"}`, `queries.jsonl:4: question "q1" is there twice`},
		{"a line that is too long", "queries.jsonl", queries + "\n" + strings.Repeat(" ", 16<<20), "queries.jsonl:4: the line has more than 16 MB"},
		{"two columns", "qrels.txt", "q1 d1", "qrels.txt:1: a judgement has 3 columns"},
		{"a grade that is no number", "qrels.txt", "q1 0 d1 1\nq1 0 d1 high", `qrels.txt:2: the grade is a whole number, not "high"`},
		{"a grade too high", "qrels.txt", "q1 0 d1 11", "qrels.txt:1: grades go up to 10, not 11"},
		{"an unknown question", "qrels.txt", "q1 0 d1 1\nq9 0 d1 1", `qrels.txt:2: there is no question "q9" in queries.jsonl`},
		{"an unknown document", "qrels.txt", "q1 0 d9 1", `qrels.txt:1: there is no document "d9" in corpus.jsonl`},
		{"two grades", "qrels.txt", "q1 0 d1 1\nq1 0 d1 2", `qrels.txt:2: document "d1" has another grade`},
		{"nothing that answers", "qrels.txt", "q1 0 d1 0", "has no question with a document that answers"},
		{"JSON without a grade", "qrels.txt", `{"query":"q1","document":"d1"}`, `qrels.txt:1: a judgement needs "query", "document" and "grade"`},
		{"JSON without a document", "qrels.txt", `{"query":"q1","grade":1}`, "qrels.txt:1: a judgement names a question and a document"},
		{"JSON that is none", "qrels.txt", `{"query":1}`, "qrels.txt:1: this is not the JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"corpus.jsonl": corpus, "queries.jsonl": queries, "qrels.txt": "q1 0 d1 1"}
			if files[tc.file] = tc.text; tc.text == "" {
				delete(files, tc.file)
			}
			_, err := eval.Open(write(t, files), "")
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != "bad_set" || !strings.Contains(f.Say, tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	if _, err := eval.Open(write(t, map[string]string{"corpus.jsonl/x": "", "queries.jsonl": queries}), ""); err == nil {
		t.Error("a directory in the place of the corpus was read")
	}
}

// FuzzOpen reads damaged sets: never a panic, and what is read is whole.
func FuzzOpen(f *testing.F) {
	f.Add(corpus, queries, "q1\t0\td1\t2")
	f.Add(corpus, queries, "query-id\tcorpus-id\tscore\nq1\td 2\t1")
	f.Add(corpus, queries, `{"query":"q1","document":"d1","grade":-1}`)
	f.Add(`{"_id":1}`, "null", "a b c d e")
	f.Fuzz(func(t *testing.T, corpus, queries, judgements string) {
		dir := write(t, map[string]string{"corpus.jsonl": corpus, "queries.jsonl": queries, "qrels.txt": judgements})
		s, err := eval.Open(dir, "")
		if err != nil {
			return
		}
		known := map[string]bool{}
		for _, d := range s.Documents {
			if d.ID == "" || known[d.ID] {
				t.Errorf("document %q", d.ID)
			}
			known[d.ID] = true
		}
		for _, q := range s.Questions {
			if q.ID == "" || q.Grades.Relevant() == 0 {
				t.Errorf("question %+v", q)
			}
			for id, grade := range q.Grades {
				if !known[id] || grade > 10 {
					t.Errorf("question %s has grade %d for %q", q.ID, grade, id)
				}
			}
		}
	})
}
