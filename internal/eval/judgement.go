package eval

import (
	"fmt"
	"strconv"
	"strings"
)

// judgement says how well a document answers a question: 0 is not at all.
type judgement struct {
	Question string `json:"query"`
	Document string `json:"document"`
	Grade    int    `json:"grade"`
}

// maxGrade keeps gains (2^grade-1) sane; scales in use end at 3 or 4.
const maxGrade = 10

// judgementReader reads lines of one of three forms, which it knows by the line itself:
//
//	q1	d7	2                                        BEIR: tabs, with a line of headings
//	q1 0 d7 2                                        TREC qrels; the second column is not used
//	{"query": "q1", "document": "d7", "grade": 2}    JSONL
type judgementReader struct {
	lines int
}

// read gives a line's judgement; ok is false for the line of headings.
func (r *judgementReader) read(line string) (j judgement, ok bool, err error) {
	r.lines++
	var grade string
	switch fields := split(line); {
	case strings.HasPrefix(line, "{"):
		var g struct {
			judgement
			Grade *int `json:"grade"`
		}
		if err := decode(line, &g); err != nil {
			return j, false, err
		}
		if g.Grade == nil {
			return j, false, fmt.Errorf(`a judgement needs "query", "document" and "grade"`)
		}
		j = g.judgement
		j.Grade = *g.Grade
	case len(fields) == 3:
		j.Question, j.Document, grade = fields[0], fields[1], fields[2]
	case len(fields) == 4:
		j.Question, j.Document, grade = fields[0], fields[2], fields[3]
	default:
		return j, false, fmt.Errorf("a judgement has 3 columns (question, document, grade) or 4 (with TREC's second), not %d", len(fields))
	}
	if grade != "" {
		if j.Grade, err = strconv.Atoi(grade); err != nil {
			if r.lines == 1 {
				return j, false, nil // headings
			}
			return j, false, fmt.Errorf("the grade is a whole number, not %q", grade)
		}
	}
	if j.Question == "" || j.Document == "" {
		return j, false, fmt.Errorf("a judgement names a question and a document")
	}
	if j.Grade > maxGrade {
		return j, false, fmt.Errorf("grades go up to %d, not %d", maxGrade, j.Grade)
	}
	return j, true, nil
}

// split takes a line apart at tabs, where ids may have spaces, or else at white space.
func split(line string) []string {
	if fields := strings.Split(line, "\t"); len(fields) == 3 || len(fields) == 4 {
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		return fields
	}
	return strings.Fields(line)
}
