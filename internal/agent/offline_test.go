package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"byline/internal/draft"
	"byline/internal/runs"
)

// Posts of reports, minutes, price lists, questions and answers, old and new versions, in English, Korean and both, quote nothing that
// does not stand in its source, and cite all they quote.
func TestOfflinePostsAreExact(t *testing.T) {
	folders, err := filepath.Glob("../engine/summarize/testdata/facts/*.facts")
	if err != nil || len(folders) < 6 {
		t.Fatal(folders, err)
	}
	d := open(t)
	for _, folder := range folders {
		folder = strings.TrimSuffix(folder, ".facts")
		if _, err := os.Stat(folder); err != nil { // its texts are elsewhere
			continue
		}
		t.Run(filepath.Base(folder), func(t *testing.T) {
			files, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, f := range files {
				b, err := os.ReadFile(filepath.Join(folder, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, d.add(f.Name(), string(b)))
			}
			d.check(d.write(draft.Wish{DocumentIDs: ids}))
			d.check(d.write(draft.Wish{DocumentIDs: ids, Brief: draft.Brief{Topics: []string{"costs", "요금"}, Words: 200}}))
		})
	}
}

// The survey and the draft of a hundred pages take three seconds of the processor at most, and the first event does not wait for them.
func TestHundredPages(t *testing.T) {
	const first, all = slower * 100 * time.Millisecond, slower * 3 * time.Second
	nouns := strings.Fields("harbour bridge garden station council school orchard theatre market river tower mill quarry chapel museum")
	var b strings.Builder
	for page := range 100 {
		fmt.Fprintf(&b, "## The %s of district %d\n\n", nouns[page%len(nouns)], page)
		for i := range 24 {
			fmt.Fprintf(&b, "The %s beside the %s of district %d cost the town about %d euros in the year %d. ", nouns[(page+i)%15], nouns[(page*7+i*3+1)%15], page, 1000*page+i, 1950+i)
		}
		b.WriteString("\n\n- repairs of the roof\n- repairs of the walls\n\n")
	}
	d := open(t)
	id := d.add("town.md", b.String())
	start, used := time.Now(), processor(t)
	w := d.write(draft.Wish{DocumentIDs: []string{id}})
	took := processor(t) - used
	d.check(w)
	if took > all {
		t.Errorf("%d bytes took %v", b.Len(), took)
	}
	if e := w.log[0]; e.Type != runs.EventCreated || e.At.Sub(start) > first {
		t.Errorf("%s came after %v", e.Type, e.At.Sub(start))
	}
	if e := w.log[1]; e.Type != runs.EventStarted || e.At.Sub(w.log[0].At) > first {
		t.Errorf("%s came after %v", e.Type, e.At.Sub(w.log[0].At))
	}
	t.Logf("%d bytes took %v; %s after %v", b.Len(), took, w.log[1].Type, w.log[1].At.Sub(start))
}
