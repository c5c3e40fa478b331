// Package eval turns a set of questions with judgements into figures that say how well passages are found.
package eval

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"byline/internal/engine/rank"
	"byline/internal/fault"
)

// Set is documents, questions, and what somebody judged of both.
type Set struct {
	Name      string // of its directory
	Documents []Document
	Questions []Question // in the order of their file, only those for which a document answers
	Unjudged  int        // questions left out because nothing is known to answer them
}

// Document of a set.
type Document struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Question of a set.
type Question struct {
	ID     string      `json:"_id"`
	Text   string      `json:"text"`
	Grades rank.Grades `json:"-"`
}

// The files of a set: those of BEIR. The judgements are the first of judgementFiles that is there.
const (
	corpusFile  = "corpus.jsonl"
	queriesFile = "queries.jsonl"
)

var judgementFiles = []string{"qrels/test.tsv", "qrels.tsv", "qrels.txt", "judgements.jsonl"}

// Open reads the set in a directory. judgements names another file of it than the usual ones; "" is those. What is wrong with a
// file is a fault that names it and the line.
func Open(dir, judgements string) (*Set, error) {
	s := &Set{}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find set: %w", err)
	}
	s.Name = filepath.Base(abs)
	known := map[string]bool{}
	err = readLines(filepath.Join(dir, corpusFile), func(line string) error {
		var d Document
		if err := decode(line, &d); err != nil {
			return err
		}
		s.Documents = append(s.Documents, d)
		return once(known, "document", d.ID)
	})
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	err = readLines(filepath.Join(dir, queriesFile), func(line string) error {
		q := Question{Grades: rank.Grades{}}
		if err := decode(line, &q); err != nil {
			return err
		}
		if strings.TrimSpace(q.Text) == "" {
			return fmt.Errorf("question %q has no text", q.ID)
		}
		if _, twice := at[q.ID]; twice || q.ID == "" {
			return once(map[string]bool{q.ID: twice}, "question", q.ID)
		}
		at[q.ID] = len(s.Questions)
		s.Questions = append(s.Questions, q)
		return nil
	})
	if err != nil {
		return nil, err
	}
	path, err := findJudgements(dir, judgements)
	if err != nil {
		return nil, err
	}
	if err := s.judge(path, known, at); err != nil {
		return nil, err
	}
	return s, s.leaveOut()
}

// judge reads the judgements; a question or document that the set has not got is an error, since the figures would be wrong.
func (s *Set) judge(path string, documents map[string]bool, at map[string]int) error {
	r := judgementReader{}
	return readLines(path, func(line string) error {
		j, ok, err := r.read(line)
		if err != nil || !ok {
			return err
		}
		i, ok := at[j.Question]
		if !ok {
			return fmt.Errorf("there is no question %q in %s", j.Question, queriesFile)
		}
		if !documents[j.Document] {
			return fmt.Errorf("there is no document %q in %s", j.Document, corpusFile)
		}
		grades := s.Questions[i].Grades
		if before, twice := grades[j.Document]; twice && before != j.Grade {
			return fmt.Errorf("document %q has another grade for question %q before", j.Document, j.Question)
		}
		grades[j.Document] = j.Grade
		return nil
	})
}

// leaveOut takes away the questions that nothing answers.
func (s *Set) leaveOut() error {
	all := s.Questions
	s.Questions = nil
	for _, q := range all {
		if q.Grades.Relevant() > 0 {
			s.Questions = append(s.Questions, q)
		}
	}
	if s.Unjudged = len(all) - len(s.Questions); len(s.Questions) == 0 {
		return bad("The set %s has no question with a document that answers it.", s.Name)
	}
	return nil
}

func findJudgements(dir, named string) (string, error) {
	if named != "" {
		return filepath.Join(dir, filepath.FromSlash(named)), nil
	}
	for _, name := range judgementFiles {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", bad("The set %s has no judgements: one of %s.", dir, strings.Join(judgementFiles, ", "))
}

// once tells an id that is missing or comes again.
func once(known map[string]bool, what, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("a %s needs an _id", what)
	case known[id]:
		return fmt.Errorf("%s %q is there twice", what, id)
	}
	known[id] = true
	return nil
}

// maxLine is the most that a line of a set may have, in bytes.
const maxLine = 16 << 20

// readLines hands on all lines that are not blank; an error of do becomes a fault with the place.
func readLines(path string, do func(line string) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("There is no %s. A set is a directory with %s, %s and judgements.", path, corpusFile, queriesFile)
	}
	if err != nil {
		return fmt.Errorf("read set: %w", err)
	}
	defer f.Close()
	return scan(f, path, do)
}

func scan(r io.Reader, path string, do func(line string) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	n := 0
	for sc.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if line == "" {
			continue
		}
		if err := do(line); err != nil {
			return bad("%s:%d: %v.", path, n, err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return bad("%s:%d: the line has more than %d MB.", path, n+1, maxLine>>20)
	}
	if sc.Err() != nil {
		return fmt.Errorf("read %s: %w", path, sc.Err())
	}
	return nil
}

// decode reads a line of JSON; other fields than ours are allowed.
func decode(line string, into any) error {
	if err := json.Unmarshal([]byte(line), into); err != nil {
		return fmt.Errorf("this is not the JSON that it should be (%v)", err)
	}
	return nil
}

func bad(say string, args ...any) error {
	return fault.New(fault.Invalid, "bad_set", say, args...)
}
