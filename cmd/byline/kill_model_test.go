package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"byline/internal/llm/llmtest"
)

var (
	sectionOf  = regexp.MustCompile(`Write the section "([^"]+)"`)
	passageTag = regexp.MustCompile(`(?s)<passage id="(p\d+)"[^>]*>\n(.*?)\n</passage>`)
	sentence   = regexp.MustCompile(`The [a-z ]{40,}\.`)
)

// steady is a model that always says the same to the same question, word by word, from the passages that it is shown; one sentence in a
// section is invented, so that something must be repaired.
func steady(c llmtest.Call) llmtest.Reply {
	prompt := c.Prompt()
	pause := 2 * time.Millisecond
	m := sectionOf.FindStringSubmatch(prompt)
	switch {
	case strings.HasPrefix(prompt, "You plan a blog post"):
		return llmtest.Say(`{"title":"The winter","summary":"","tags":["winter"],"sections":[{"title":"Boiler and window","about":"the boiler","share":1},{"title":"Council report","about":"the council","share":1},{"title":"Reading room","about":"the reading room","share":1},{"title":"Budget and pump","about":"the budget","share":1}]}`).Drip(pause)
	case strings.Contains(prompt, "were checked against the passages"):
		return llmtest.Say(`{"sentences":[]}`).Drip(pause)
	case m != nil:
		var text strings.Builder
		for _, p := range passageTag.FindAllStringSubmatch(prompt, 3) {
			for _, s := range sentence.FindAllString(p[2], 3) {
				fmt.Fprintf(&text, "%s [%s]. ", strings.TrimSuffix(s, "."), p[1])
			}
		}
		fmt.Fprintf(&text, "The mayor of %s ate 4711 golden lions in 1066.", m[1])
		return llmtest.Say(text.String()).Drip(pause)
	}
	return llmtest.Refuse(400, "unexpected", "This model knows no such question.")
}

// A post that a model writes survives kills as one that is extracted does, and no answer is paid for twice: a step that was under way
// at a kill is asked for once more, a finished one never.
func TestKillDuringModelGeneration(t *testing.T) {
	for _, sections := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d at a time", sections), func(t *testing.T) {
			endpoint := llmtest.New(t, steady)
			v := newVictim(t, "OPENAI_API_KEY=sk-test-0123456789", "OPENAI_BASE_URL="+endpoint.URL, "DEFAULT_LLM_MODEL=fake-1", "BYLINE_WRITERS="+strconv.Itoa(sections))
			var ids []string
			for i := range 3 {
				ids = append(ids, strconv.Quote(v.settled(v.upload(fmt.Sprintf("s%d.md", i), prose(uint64(i), 40)).ID).ID))
			}
			wish := `{"document_ids":[` + strings.Join(ids, ",") + `]}`
			text, steps := "", 0
			for seed := range seeds(t) + 1 {
				kills, before := 0, endpoint.Count()
				r := rand.New(rand.NewPCG(uint64(seed), uint64(sections)))
				if seed > 0 { // the first one is let live: it tells what must come out
					kills = 1 + r.IntN(3)
				}
				content := v.writeUnderKills(wish, kills, func() time.Duration { return time.Duration(r.IntN(1_000_000)) * time.Microsecond })
				calls := endpoint.Count() - before
				if seed == 0 {
					text, steps = content, calls
					if strings.Contains(text, "lions") || strings.Count(text, "\n## ") < 4 {
						t.Fatalf("the post is not what was expected:\n%s", text)
					}
				}
				if content != text {
					t.Fatalf("seed %d: after %d kills the post is another one:\n%s\n---\n%s", seed, kills, content, text)
				}
				if most := steps + kills*sections; calls > most {
					t.Fatalf("seed %d: %d calls for %d steps and %d kills", seed, calls, steps, kills)
				}
			}
			v.sound()
		})
	}
}

// writeUnderKills has a post written while the server is killed, and gives its text as two readers and the draft have it.
func (v *victim) writeUnderKills(wish string, kills int, wait func() time.Duration) string {
	v.t.Helper()
	var started struct {
		Draft, Run struct {
			ID string `json:"id"`
		}
	}
	v.ask("POST", "/blog/generate", wish, &started)
	ctx, cancel := context.WithTimeout(v.t.Context(), 90*time.Second)
	defer cancel()
	readers := make(chan *reader, 2)
	for range cap(readers) {
		go func() { readers <- v.read(ctx, started.Run.ID, nil) }()
	}
	for range kills {
		time.Sleep(wait())
		v.kill()
		v.start()
	}
	var d struct {
		Content string `json:"content"`
		Version int    `json:"version"`
		Status  string `json:"status"`
	}
	for range cap(readers) {
		rd := <-readers
		v.ask("GET", "/blog/"+started.Draft.ID, "", &d)
		if rd.end != "run.completed" || len(rd.problems) > 0 {
			v.t.Fatalf("the run ended with %q, a reader saw %v", rd.end, rd.problems)
		}
		if got := rd.whole(); got != d.Content {
			v.t.Fatalf("a reader has %d bytes, the draft %d:\n%s\n---\n%s", len(got), len(d.Content), got, d.Content)
		}
	}
	if d.Status != "completed" || d.Version != 1 {
		v.t.Fatalf("draft is %s with %d versions", d.Status, d.Version)
	}
	return d.Content
}
