package agent_test

import (
	"os"
	"testing"

	"byline/internal/draft"
)

func TestExamples(t *testing.T) {
	d := open(t)
	for _, w := range []draft.Wish{{Brief: draft.Brief{Words: 150, Topics: []string{"heating", "roof garden"}}}, {Brief: draft.Brief{Words: 300, Outline: []string{"Costs", "What visitors think", "Asbestos", "Swimming pool"}}}} {
		w.DocumentIDs = d.examples()
		x := d.write(w)
		t.Logf("%+v\n%+v\n%s\n%v\n%s", x.failure, x.result, x.draft.Title, x.draft.Tags, x.version.Content)
	}
	b, _ := os.ReadFile("testdata/도서관.md")
	x := d.write(draft.Wish{DocumentIDs: []string{d.add("도서관.md", string(b))}})
	t.Logf("%+v\n%+v\n%s\n%v\n%s", x.failure, x.result, x.draft.Title, x.draft.Tags, x.version.Content)
}
