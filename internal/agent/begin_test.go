package agent_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"byline/internal/agent"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/session"
)

// ask sends a message whose answer needs a person.
func (c conversation) ask(m session.Said) (session.Turn, runs.Question) {
	c.t.Helper()
	turn, err := c.sessions.Send(c.t.Context(), ident.Local, c.id, m, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return turn, c.question(turn.Run.ID)
}

// reply answers a question of a run.
func (c conversation) reply(turn session.Turn, q runs.Question, value any) {
	c.t.Helper()
	b, err := json.Marshal(value)
	if err == nil {
		_, err = c.store.Answer(c.t.Context(), ident.Local, turn.Run.ID, q.ID, runs.Reply{Value: b})
	}
	if err != nil {
		c.t.Fatalf("answer %s with %v: %v", q.Key, value, err)
	}
}

// wishOf is what a draft's run was asked for.
func (d *desk) wishOf(h heard) (w draft.Wish) {
	d.t.Helper()
	if h.result.RunID == "" {
		d.t.Fatalf("no post was begun: %+v %q", h.result, h.Content)
	}
	r, err := d.store.Run(d.t.Context(), ident.Local, h.result.RunID)
	if err != nil {
		d.t.Fatal(err)
	}
	decode(d.t, r.Input, &w)
	d.wait(r.ID)
	return w
}

// Somebody wants a post and does not say what about: that is asked for, and what is answered finds the sources.
func TestTalkAsksWhatAPostIsAbout(t *testing.T) {
	d := open(t)
	heating := d.add("heating.md", heating)
	d.add("jupiter.md", "# Jupiter\n\nThe largest moons of the planet are called Io, Europa, Ganymede and Callisto.\n")
	for _, tc := range []struct{ say, asked, topic string }{
		{"Write a blog post.", "What should the post be about?", "The boiler of the library and its oil, in 150 words"},
		{"블로그 글 하나 써 줘", "무엇에 대한 글을 쓸까요?", "the boiler of the library and its oil, 150 words"},
		{"/draft", "What should the post be about?", "the boiler of the library and its oil, 150 words"},
	} {
		c := d.converse()
		turn, q := c.ask(session.Said{Content: tc.say})
		if q.Kind != runs.AskText || q.Text != tc.asked || time.Until(q.ExpiresAt) < 6*24*time.Hour {
			t.Errorf("%q: %+v", tc.say, q)
		}
		c.reply(turn, q, tc.topic)
		h := c.hear(turn)
		w := d.wishOf(h)
		if !slices.Equal(w.DocumentIDs, []string{heating}) || w.Brief.Words != 150 || !strings.HasSuffix(w.Instructions, tc.topic) {
			t.Errorf("%q: %+v", tc.say, w)
		}
	}
	// With documents there is something to write about.
	if h := d.converse().say(session.Said{Content: "Write a blog post.", DocumentIDs: []string{heating}}); d.wishOf(h).DocumentIDs[0] != heating {
		t.Error("it is written from something else")
	}
	// Nobody answers.
	d.writer.Patience = 50 * time.Millisecond
	c := d.converse()
	if h := c.say(session.Said{Content: "Write a blog post of 150 words."}); h.result.RunID != "" || h.Content != "What should the post be about?" {
		t.Errorf("%+v %q", h.result, h.Content)
	}
	// A message answers as well, however late.
	if w := d.wishOf(c.say(session.Said{Content: "The boiler of the library and its oil"})); w.Brief.Words != 150 || !slices.Equal(w.DocumentIDs, []string{heating}) {
		t.Errorf("%+v", w)
	}
}

// Who says something instead of answering a question is not kept waiting by it.
func TestTalkGoesOnWithoutAnAnswer(t *testing.T) {
	d := open(t)
	heating := d.add("heating.md", heating)
	for _, tc := range []struct {
		ask    string
		then   session.Said
		asked  string // as the answer to the first message says
		intent string
	}{
		{"Write a blog post.", session.Said{Content: "The boiler of the library and its oil"}, "What should the post be about?", "draft"},
		{"블로그 글 하나 써 줘", session.Said{Content: "the boiler of the library and its oil"}, "무엇에 대한 글을 쓸까요?", "draft"},
		{"Write a blog post.", session.Said{Content: "How much oil does the boiler burn a year?"}, "What should the post be about?", "question"},
		{"Write a blog post.", session.Said{Content: "Never mind."}, "What should the post be about?", "question"},
		{"Write a blog post.", session.Said{Content: "Write a post about the boiler and its oil"}, "What should the post be about?", "draft"},
		{"Write a post about the moons of Jupiter.", session.Said{Content: "Take this one", DocumentIDs: []string{heating}}, "I find no documents that speak of this", "draft"},
		{"Write a post about the moons of Jupiter.", session.Said{Content: "How much oil does the boiler burn a year?"}, "I find no documents that speak of this", "question"},
		{"Write a post about the moons of Jupiter.", session.Said{Content: "It burns oil"}, "I find no documents that speak of this", "question"},
	} {
		c := d.converse()
		turn, q := c.ask(session.Said{Content: tc.ask})
		if !q.Yields {
			t.Errorf("%q: %+v", tc.ask, q)
		}
		next, err := d.sessions.Send(t.Context(), ident.Local, c.id, tc.then, nil)
		if err != nil {
			t.Fatal(err)
		}
		first, second := c.hear(turn), c.hear(next)
		if !strings.HasPrefix(first.Content, tc.asked) || first.result.RunID != "" || second.result.Intent != tc.intent {
			t.Errorf("%q, %q: %q, %+v %q", tc.ask, tc.then.Content, first.Content, second.result, second.Content)
		}
		if tc.intent == "draft" {
			if w := d.wishOf(second); !slices.Equal(w.DocumentIDs, []string{heating}) {
				t.Errorf("%q, %q: %+v", tc.ask, tc.then.Content, w)
			}
		}
		if _, err := d.store.Answer(t.Context(), ident.Local, turn.Run.ID, q.ID, runs.Reply{Value: json.RawMessage(`"x"`)}); code(err) != "already_answered" {
			t.Errorf("an answer that comes too late: %v", err)
		}
	}
}

func code(err error) string {
	if f := fault.Of(err); f != nil {
		return f.Code
	}
	return ""
}

// A model that has made a topic of what was said before is not asked for one; one that knows no more than the message is.
func TestTalkWithAModelAsksWhatAPostIsAbout(t *testing.T) {
	d := openWith(t, speaker(func(message string) string {
		if strings.Contains(message, "Thanks") {
			return `{"intent":"chat","request":"thanks","title":"","words":0}`
		}
		return `{"intent":"draft","request":"A post about the boiler of the library","title":"","words":0}`
	}))
	d.add("heating.md", heating)
	c := d.converse()
	c.say(session.Said{Content: "Thanks!"})
	if w := d.wishOf(c.say(session.Said{Content: "Write a blog post."})); w.Instructions != "A post about the boiler of the library" {
		t.Errorf("%+v", w)
	}
	turn, q := d.converse().ask(session.Said{Content: "Write a blog post."})
	if q.Kind != runs.AskText {
		t.Errorf("%+v", q)
	}
	if _, err := d.store.Cancel(t.Context(), ident.Local, turn.Run.ID); err != nil {
		t.Fatal(err)
	}
}

// Where no document speaks of what is asked for, a file is: it becomes the session's and is waited for. Who has none says so, or nothing.
func TestTalkAsksForAFile(t *testing.T) {
	d := open(t)
	heating := d.add("heating.md", heating)
	jupiter := session.Said{Content: "Write a post about the moons of Jupiter."}
	const none = "I find no documents that speak of this"

	c := d.converse()
	turn, q := c.ask(jupiter)
	if q.Kind != runs.AskFile || len(q.Choices) != 1 || q.ExpiresAt.IsZero() {
		t.Errorf("%+v", q)
	}
	raw := d.raw("raw.md", "# Never read\n\nReally.\n", false)
	c.reply(turn, q, raw) // has no text
	again := d.question(turn.Run.ID)
	if again.ID == q.ID || again.Kind != runs.AskFile || !strings.Contains(again.Text, "no text that could be read") {
		t.Errorf("%+v", again)
	}
	file := d.raw("jupiter.md", "# Jupiter\n\nThe largest moons of Jupiter are called Io, Europa, Ganymede and Callisto.\n", true) // and is not read yet
	c.reply(turn, again, file)
	if w := d.wishOf(c.hear(turn)); !slices.Equal(w.DocumentIDs, []string{file}) || w.SessionID != c.id {
		t.Errorf("%+v", w)
	}
	s, err := d.sessions.Session(t.Context(), ident.Local, c.id)
	if err != nil || len(s.Documents) != 2 || s.Documents[1].ID != file {
		t.Errorf("%+v %v", s.Documents, err)
	}

	for value, code := range map[any]string{"without": "", "nonsense": "bad_answer", false: "bad_answer", heating: ""} {
		c := d.converse()
		turn, q := c.ask(session.Said{Content: "Write a post about the rings of Saturn."})
		b, _ := json.Marshal(value)
		_, err := d.store.Answer(t.Context(), ident.Local, turn.Run.ID, q.ID, runs.Reply{Value: b})
		switch f := fault.Of(err); {
		case code != "":
			if f == nil || f.Code != code {
				t.Errorf("%v: %v", value, err)
			}
			if _, err := d.store.Cancel(t.Context(), ident.Local, turn.Run.ID); err != nil {
				t.Fatal(err)
			}
		case err != nil:
			t.Errorf("%v: %v", value, err)
		case value == "without":
			if h := c.hear(turn); h.result.RunID != "" || !strings.Contains(h.Content, none) {
				t.Errorf("%+v %q", h.result, h.Content)
			}
			if s, err := d.sessions.Session(t.Context(), ident.Local, c.id); err != nil || len(s.Documents) != 0 {
				t.Errorf("%+v %v", s.Documents, err)
			}
		default:
			d.wishOf(c.hear(turn))
		}
	}
	d.writer.Patience = 50 * time.Millisecond
	if h := d.converse().say(session.Said{Content: "Write a post about the rings of Uranus."}); h.result.RunID != "" || !strings.Contains(h.Content, none) {
		t.Errorf("%+v %q", h.result, h.Content)
	}
	// Files that can't be read are asked for three times at most; those of the session that can't be are no sources.
	d.writer.Patience = time.Hour
	c = d.converse()
	turn, q = c.ask(session.Said{Content: "Write a post about comets.", DocumentIDs: []string{raw}})
	for n := range 3 {
		c.reply(turn, q, raw)
		if n < 2 {
			q = d.question(turn.Run.ID)
		}
	}
	if h := c.hear(turn); !strings.Contains(h.Content, none) || !strings.Contains(h.notices(), "raw.md is left out") {
		t.Errorf("%q %s", h.Content, h.notices())
	}
}

// raw takes a document in and does not wait.
func (d *desk) raw(name, text string, process bool) string {
	d.t.Helper()
	doc, _, err := d.documents.Take(d.t.Context(), document.Upload{Workspace: ident.Local, Filename: name, Bytes: strings.NewReader(text), Process: process})
	if err != nil {
		d.t.Fatal(err)
	}
	return doc.ID
}

func TestTopicless(t *testing.T) {
	for say, want := range map[string]bool{
		"Write a blog post.": true, "Please write me a short article of 1,500 words!": true, "I want a new draft": true, "New draft": true, "Can you write something?": true, "Create a 300-word report, please": true,
		"글 하나 써 줘": true, "블로그 포스트를 작성해 주세요": true, "800단어로 글을 써줘": true,
		"Write a post about heating.": false, "Write a post on the boilers": false, "Write a summary of that": false, "보일러에 대한 글을 써 줘": false, "Draft a story, Jupiter": false,
	} {
		if got := agent.Topicless(say); got != want {
			t.Errorf("%q: %t", say, got)
		}
	}
}

func TestWordsThatUndo(t *testing.T) {
	for say, want := range map[string]int{
		"Undo that": -1, "undo": -1, "Undo!": -1, "please undo it": -1, "take that back": -1, "Take it back, please.": -1, "No, undo the last change": -1, "Revert that.": -1, "undo your edit": -1, "Oops, take back what you just did": -1, "put it back": -1,
		"되돌려 줘": -1, "되돌려줘.": -1, "방금 한 거 되돌려 주세요": -1, "마지막 변경을 되돌려 줘": -1, "실행 취소": -1, "원래대로 돌려 줘": -1,
		"redo": 1, "Redo that.": 1, "다시 실행해 줘": 1,
		"How do I undo that?": 0, "Undo the section about oil": 0, "보일러 문단을 되돌려 줘": 0, "Take the second table back out": 0, "Write about undo": 0, "redo the introduction in a warmer tone": 0, "다시 써 줘": 0, "take it": 0,
	} {
		if got := agent.Walks(say); got != want {
			t.Errorf("%q: %d, want %d", say, got, want)
		}
	}
}

// What was changed last is taken back by a word, step by step, and done again; in any language, with a model and without, and never guessed at.
func TestTalkTakesChangesBack(t *testing.T) {
	for name, d := range map[string]*desk{
		"offline": open(t),
		"a model": openWith(t, speaker(func(message string) string {
			if strings.Contains(message, "earlier") {
				return `{"intent":"undo","request":"take the change back","title":"","words":0}`
			}
			return `{"intent":"chat","request":"x","title":"","words":0}`
		})),
	} {
		t.Run(name, func(t *testing.T) {
			c := d.converse()
			d.t = t
			c.desk = d
			post := d.write(draft.Wish{DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}, SessionID: c.id, Provider: "offline"})
			texts := []string{post.draft.Content}
			for i := range 2 {
				text := fmt.Sprintf("%s\n\nA person adds line %d.", texts[len(texts)-1], i+1)
				if _, err := d.drafts.Edit(t.Context(), ident.Local, post.draft.ID, i+1, draft.Edit{Content: &text}); err != nil {
					t.Fatal(err)
				}
				v, err := d.drafts.Draft(t.Context(), ident.Local, post.draft.ID)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, v.Content)
			}
			steps := []struct {
				say    string
				intent string
				text   int
				says   string
			}{
				{"Undo that", "undo", 1, "reads as in version 2 again, which is version 4 now"},
				{"되돌려 줘", "undo", 0, "다시 버전 1의 글이 되었고, 지금은 버전 5입니다"},
				{"take that back", "undo", 0, "There is nothing to take back."},
				{"Redo", "redo", 1, "reads as in version 2, which is version 6 now"},
				{"redo", "redo", 2, "version 7"},
				{"redo", "redo", 2, "There is nothing to do again."},
				{"/undo", "undo", 1, "version 8"},
			}
			if name == "a model" {
				steps = append(steps, steps[0])
				last := &steps[len(steps)-1]
				last.say, last.text, last.says = "I liked how it was earlier", 0, "version 9"
			}
			for _, tc := range steps {
				h := c.say(session.Said{Content: tc.say})
				got, err := d.drafts.Draft(t.Context(), ident.Local, post.draft.ID)
				if err != nil || h.result.Intent != tc.intent || got.Content != texts[tc.text] || !strings.Contains(h.Content, tc.says) {
					t.Errorf("%q: %+v %q, version %d, %v", tc.say, h.result, h.Content, got.Version, err)
				}
			}
			if h := d.converse().say(session.Said{Content: "undo", DraftID: post.draft.ID}); h.result.DraftID != post.draft.ID && name == "offline" {
				t.Errorf("%+v %q", h.result, h.Content)
			}
			if err := d.drafts.Delete(t.Context(), ident.Local, post.draft.ID); err != nil {
				t.Fatal(err)
			}
			if h := c.say(session.Said{Content: "undo"}); !strings.Contains(h.Content, "nothing to take back") || h.result.DraftID != "" {
				t.Errorf("%+v %q", h.result, h.Content)
			}
		})
	}
}
