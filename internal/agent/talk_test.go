package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"byline/internal/agent"
	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/llm/llmtest"
	"byline/internal/runs"
	"byline/internal/session"
)

// conversation is a session with its answers.
type conversation struct {
	*desk
	id string
}

func (d *desk) converse() conversation {
	d.t.Helper()
	s, err := d.sessions.Begin(d.t.Context(), session.Session{Workspace: ident.Local, Name: "Talk"}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return conversation{d, s.ID}
}

// heard is an answer with its run's log.
type heard struct {
	session.Message
	log     []runs.Event
	result  agent.Talked
	failure runs.Failure
}

func (c conversation) say(m session.Said) heard {
	c.t.Helper()
	turn, err := c.sessions.Send(c.t.Context(), ident.Local, c.id, m, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.hear(turn)
}

func (c conversation) hear(turn session.Turn) heard {
	c.t.Helper()
	c.wait(turn.Run.ID)
	m, err := c.sessions.Message(c.t.Context(), ident.Local, c.id, turn.Reply.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	h := heard{Message: m}
	if h.log, err = c.store.Events(c.t.Context(), turn.Run.ID, 0, 100_000); err != nil {
		c.t.Fatal(err)
	}
	switch last := h.log[len(h.log)-1]; last.Type {
	case runs.EventCompleted:
		decode(c.t, last.Data, &h.result)
	case runs.EventFailed:
		decode(c.t, last.Data, &h.failure)
	}
	if got := strings.TrimSpace(runs.Fold(h.log, session.ChannelReply)); h.failure.Code == "" && got != strings.TrimSpace(m.Content) {
		c.t.Errorf("what was streamed is not the answer:\n%q\n%q", got, m.Content)
	}
	return h
}

// Without a model a conversation is still of use, and says what it can't.
func TestTalkOffline(t *testing.T) {
	d := open(t)
	ids := []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}
	c := d.converse()
	looked := make(chan struct{}) // the post waits until its draft was looked at
	d.hooks.event = func(kind string) error {
		if kind == runs.EventSection {
			<-looked
		}
		return nil
	}
	defer close(looked)
	for _, tc := range []struct {
		say    session.Said
		intent string
		has    string
	}{
		{session.Said{Content: "Hello!"}, "chat", "No language model is set up"},
		{session.Said{Content: "안녕하세요"}, "chat", "언어 모델이 설정되어 있지 않아"},
		{session.Said{Content: "How much oil does the boiler burn a year?"}, "question", "31,000 litres of oil"},
		{session.Said{Content: "Shorten it."}, "edit", "no draft to change yet"},
		{session.Said{Content: "Undo that."}, "undo", "nothing to take back"},
		{session.Said{Content: "redo"}, "redo", "nothing to take back"},
		{session.Said{Content: "Change of the oil price since 2010"}, "question", ""},
		{session.Said{Content: "Write a post about heating.", DocumentIDs: ids}, "draft", "I am writing a post from 2 document(s)"},
		{session.Said{Content: "Anything.", Action: &session.Press{Name: "edit"}}, "edit", "still being written"},
	} {
		h := c.say(tc.say)
		if h.failure.Code != "" || h.result.Intent != tc.intent || !strings.Contains(h.Content, tc.has) {
			t.Errorf("%q: %+v %+v %q", tc.say.Content, h.failure, h.result, h.Content)
		}
		if tc.intent == "question" && tc.has != "" && len(h.Citations) == 0 {
			t.Errorf("%q is answered without a citation", tc.say.Content)
		}
	}
}

// A draft for which nobody names sources is written from the documents that speak of it.
func TestTalkFindsTheSourcesOfADraft(t *testing.T) {
	d := open(t)
	want := []string{d.add("heating.md", heating)}
	d.add("jupiter.md", "# Jupiter\n\nThe largest moons of the planet are called Io, Europa, Ganymede and Callisto.\n")
	h := d.converse().say(session.Said{Content: "Write a post of 150 words about the boiler and its oil."})
	if h.result.DraftID == "" || !strings.Contains(h.Content, "from 1 document(s)") {
		t.Fatalf("%+v %q", h.result, h.Content)
	}
	d.wait(h.result.RunID)
	got, err := d.drafts.Draft(t.Context(), ident.Local, h.result.DraftID)
	if err != nil || !slices.Equal(got.DocumentIDs, want) || got.Status != draft.Completed {
		t.Errorf("%+v %v", got, err)
	}
}

// A draft that was asked for in words is written by a run of its own, changed by a proposal, and the proposal taken by a button; a
// double click has one effect.
func TestTalkWritesAndChangesADraft(t *testing.T) {
	d := open(t)
	c := d.converse()
	h := c.say(session.Said{Content: "Write a post of 150 words.", DocumentIDs: []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}})
	if h.result.DraftID == "" || h.result.RunID == "" {
		t.Fatalf("%+v %q", h.result, h.Content)
	}
	d.wait(h.result.RunID)
	before, err := d.drafts.Draft(t.Context(), ident.Local, h.result.DraftID)
	if err != nil || before.SessionID != c.id || before.Version != 1 {
		t.Fatalf("%+v %v", before, err)
	}
	r, err := d.store.Run(t.Context(), ident.Local, h.result.RunID)
	if err != nil {
		t.Fatal(err)
	}
	var wish draft.Wish
	decode(t, r.Input, &wish)
	if wish.Brief.Words != 150 {
		t.Errorf("the length that was asked for is lost: %+v", wish.Brief)
	}
	// What can't be done is said with what can; a new title alone is a change, too.
	h = c.say(session.Said{Content: "Shorter, and make it rhyme."})
	if h.result.Intent != "edit" || len(h.Actions) != 2 || !strings.Contains(h.Content, "does not understand “make it rhyme”") {
		t.Errorf("%+v %q", h.result, h.Content)
	}
	h = c.say(session.Said{Content: "Change the title to \"Warm at last\"."})
	if len(h.Actions) != 2 || !strings.Contains(h.Content, "I propose 1 change(s)") {
		t.Errorf("%q %+v", h.Content, h.Actions)
	}
	h = c.say(session.Said{Content: "Drop the section \"Sources\"."})
	if h.result.Intent != "edit" || len(h.Actions) != 2 {
		t.Fatalf("%+v %q %+v", h.result, h.Content, h.Actions)
	}
	var turns []session.Turn
	for range 2 {
		turn, err := d.sessions.Act(t.Context(), ident.Local, c.id, h.ID, "accept", "")
		if err != nil {
			t.Fatal(err)
		}
		turns = append(turns, turn)
	}
	if turns[0].Run.ID != turns[1].Run.ID {
		t.Error("a double click starts two runs")
	}
	h = c.hear(turns[0])
	after, err := d.drafts.Draft(t.Context(), ident.Local, before.ID)
	if err != nil || after.Version != 2 || strings.Contains(after.Content, "## Sources") || !strings.Contains(h.Content, "version 2") {
		t.Errorf("version %d, %q, %v\n%s", after.Version, h.Content, err, after.Content)
	}
	// What stands on a button can be said as well.
	c.say(session.Said{Content: "Change the title to \"Warm at last\"."})
	if h = c.say(session.Said{Content: "accept all!"}); h.result.Intent != "decide" || !strings.Contains(h.Content, "version 3") {
		t.Errorf("%+v %q", h.result, h.Content)
	}
	c.say(session.Said{Content: "Change the title to \"Cold again\"."})
	if h = c.say(session.Said{Content: "Reject"}); !strings.Contains(h.Content, "as it was") {
		t.Errorf("%+v %q", h.result, h.Content)
	}
}

// speaker is an author that talks, too.
func speaker(route func(message string) string) *author {
	a := newAuthor("Heating")
	script := a.model.Script
	a.model.Script = func(n int, r llm.Request) llmtest.Turn {
		prompt := r.Messages[len(r.Messages)-1].Content
		switch r.Purpose {
		case "route":
			_, message, _ := strings.Cut(prompt, "Message: ")
			return llmtest.Turn{Text: route(message)}
		case "chat":
			return llmtest.Turn{Text: "Gladly! <script>alert(1)</script> Ask me anything about your documents."}
		case "condense":
			return llmtest.Turn{Text: "How much oil does the boiler of the library burn a year?"}
		case "recall":
			return llmtest.Turn{Text: "They spoke about the boiler."}
		case "answer":
			p := passagesOf(prompt)
			return llmtest.Turn{Text: "The boiler of the library dates from 1987 and burns 31,000 litres of oil a year [" + p[0].id + "]. Elephants like it."}
		}
		return script(n, r)
	}
	return a
}

func TestTalkWithAModel(t *testing.T) {
	a := speaker(func(message string) string {
		if strings.HasPrefix(message, "Thanks") {
			return `{"intent":"chat","request":"thanks","title":"","words":0}`
		}
		return `{"intent":"question","request":"How much oil does the boiler of the library burn a year?","title":"","words":0}`
	})
	d := openWith(t, a)
	d.add("heating.md", heating)
	c := d.converse()
	h := c.say(session.Said{Content: "How much does it burn?"})
	if h.result.Intent != "question" || !strings.Contains(h.Content, "31,000 litres") || strings.Contains(h.Content, "Elephants") || len(h.Citations) != 1 {
		t.Errorf("%+v %q %d", h.result, h.Content, len(h.Citations))
	}
	h = c.say(session.Said{Content: "Thanks!"})
	if h.result.Intent != "chat" || strings.Contains(h.Content, " <script>") || !strings.Contains(h.Content, "Gladly!") {
		t.Errorf("%+v %q", h.result, h.Content)
	}
	for _, r := range a.model.Asked() {
		if r.Purpose == "chat" && !strings.Contains(r.Messages[1].Content, "How much does it burn?") {
			t.Errorf("the conversation is forgotten:\n%s", r.Messages[1].Content)
		}
	}
	// What the session and its profile ask for, answers are told.
	if err := d.sessions.SetSettings(t.Context(), ident.Local, c.id, session.Settings{Must: []string{"name the year"}, MustNot: []string{"prices"}, Words: 40, Tone: "dry"}); err != nil {
		t.Fatal(err)
	}
	n := len(a.model.Asked())
	if h = c.say(session.Said{Content: "How old is the boiler of the library?", Action: &session.Press{Name: "ask"}}); h.result.Intent != "question" {
		t.Errorf("%+v", h.result)
	}
	for _, r := range a.model.Asked()[n:] {
		if r.Purpose == "route" {
			t.Error("what was pressed was guessed at")
		}
		for _, want := range []string{"You help to write posts", "Keep to this: name the year.", "Never write about: prices.", "About 40 words.", "Tone: dry."} {
			if all := r.Messages[0].Content + r.Messages[1].Content; r.Purpose == "answer" && !strings.Contains(all, want) {
				t.Errorf("no %q in\n%s", want, all)
			}
		}
	}
}

// A long conversation is remembered in short; its newest turns stay whole.
func TestTalkRemembers(t *testing.T) {
	a := speaker(func(string) string { return `{"intent":"chat","request":"x","title":"","words":0}` })
	a.model.About.Context = 700 // tokens
	d := openWith(t, a)
	c := d.converse()
	for i := range 5 {
		c.say(session.Said{Content: fmt.Sprintf("Turn %d. %s", i, strings.Repeat("word ", 60))})
	}
	asked := a.model.Asked()
	last := asked[len(asked)-1]
	if last.Purpose != "chat" || !strings.Contains(last.Messages[1].Content, "Earlier in the conversation: They spoke about the boiler.") || !strings.Contains(last.Messages[1].Content, "user: Turn 3.") {
		t.Errorf("%s\n%s", last.Purpose, last.Messages[1].Content)
	}
	if strings.Contains(last.Messages[1].Content, "user: Turn 0.") {
		t.Error("all turns are whole")
	}
}

// Sixty turns before a model that holds little: each request fits, the newest turns are whole, the draft is named and not read out, and the
// earlier turns are put in short by one request of an answer.
func TestTalkOfSixtyTurns(t *testing.T) {
	const window = 2048
	route := `{"intent":"chat","request":"x","title":"","words":0}`
	a := speaker(func(string) string { return route })
	a.model.About.Context = window
	d := openWith(t, a)
	c := d.converse()
	ids := []string{d.add("heating.md", heating), d.add("minutes.txt", minutes)}
	post := d.write(draft.Wish{DocumentIDs: ids, SessionID: c.id, Provider: "offline"})
	n := len(a.model.Asked())
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "Turn %d of the conversation. ", i)
		said := fmt.Sprintf("This is turn number %d: %s", i, strings.Repeat("보일러 figures and words. ", 1+i%12))
		c.say(session.Said{Content: said, DraftID: post.draft.ID})
	}
	recalls := 0
	for _, r := range a.model.Asked()[n:] {
		if left, known := llm.Room(a.model.About, r, 100); !known || left < 0 {
			t.Fatalf("a request of %s has %d tokens too many:\n%s", r.Purpose, -left, r.Messages[1].Content)
		}
		if r.Purpose == "recall" {
			recalls++
		}
	}
	asked := a.model.Asked()
	prompt := asked[len(asked)-1].Messages[1].Content
	for _, want := range []string{"Earlier in the conversation: They spoke about the boiler.", "user: This is turn number 58: ", "This is turn number 59: ", "The draft that is open: "} {
		if !strings.Contains(prompt, want) {
			t.Errorf("no %q in\n%s", want, prompt)
		}
	}
	if strings.Contains(prompt, "turn number 3:") || strings.Contains(prompt, "31,000 litres") {
		t.Errorf("it has what it need not:\n%s", prompt)
	}
	if recalls == 0 || recalls > 60 {
		t.Errorf("%d requests to put it in short", recalls)
	}
	// A question that was asked by a button is made to stand alone, within the same window.
	n = len(asked)
	c.say(session.Said{Content: "And how much does it burn?", Action: &session.Press{Name: "ask"}})
	if r := a.model.Asked()[n]; r.Purpose != "condense" || !strings.Contains(r.Messages[1].Content, "turn number 59") {
		t.Errorf("%s: %s", r.Purpose, r.Messages[1].Content)
	} else if left, _ := llm.Room(a.model.About, r, 100); left < 0 {
		t.Errorf("%d tokens too many", -left)
	}
}

// A length in figures is kept however it is written, and whatever the model makes of it.
func TestWordsThatAreAskedFor(t *testing.T) {
	for say, want := range map[string]int{
		"Write a post of 1,500 words.": 1500, "Write a 900-word post.": 900, "Write a post in 1.200 words": 1200, "2 000 words about boilers, please": 2000,
		"보일러에 대해 800단어로 써 줘": 800, "Write a post about the 1,500 boilers": 0, "in 99999 words": 0, "in 12,345 words": 12345,
	} {
		if got := agent.WordsAsked(say); got != want {
			t.Errorf("%q: %d words, want %d", say, got, want)
		}
	}
	a := speaker(func(string) string {
		return `{"intent":"draft","request":"A post about boilers","title":"Boilers","words":300}`
	})
	d := openWith(t, a)
	h := d.converse().say(session.Said{Content: "Write a post of 1,100 words.", DocumentIDs: []string{d.add("heating.md", heating)}})
	r, err := d.store.Run(t.Context(), ident.Local, h.result.RunID)
	if err != nil {
		t.Fatal(err)
	}
	var wish draft.Wish
	if decode(t, r.Input, &wish); wish.Brief.Words != 1100 || wish.Title != "Boilers" {
		t.Errorf("%+v", wish)
	}
	d.wait(r.ID)
}

// late are documents that are being read for some looks more.
type late struct {
	agent.Documents
	looks atomic.Int32
}

func (l *late) BeingRead(ctx context.Context, ws ident.Workspace, ids []string) ([]string, error) {
	if l.looks.Add(-1) >= 0 {
		return ids[:1], nil
	}
	return l.Documents.BeingRead(ctx, ws, ids)
}

func (h heard) notices() string {
	var all []string
	for _, e := range h.log {
		if e.Type == runs.EventNotice {
			all = append(all, string(e.Data))
		}
	}
	return strings.Join(all, "\n")
}

// Who drops a file and asks at once means that file: the answer waits until it is read. What can't be read is named.
func TestTalkWaitsForDocuments(t *testing.T) {
	d := open(t)
	wait := &late{Documents: d.store}
	wait.looks.Store(2)
	d.writer.Documents = wait
	ids := []string{d.add("heating.md", heating)}
	doc, _, err := d.documents.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "raw.md", Bytes: strings.NewReader("# Never read\n\nReally.\n")})
	if err != nil {
		t.Fatal(err)
	}
	h := d.converse().say(session.Said{Content: "How much oil does the boiler burn a year?", DocumentIDs: append(ids, doc.ID)})
	if said := h.notices(); !strings.Contains(said, "documents_wait") || !strings.Contains(said, "raw.md is left out: it is pending.") || !strings.Contains(h.Content, "31,000") {
		t.Errorf("%s\n%s", said, h.Content)
	}
	// Really: a message that comes with the upload.
	wait.looks.Store(0)
	doc, _, err = d.documents.Take(t.Context(), document.Upload{Workspace: ident.Local, Filename: "mill.md", Bytes: strings.NewReader("# Mill\n\nThe wheel of the mill was repaired for 1,200 euros in spring.\n"), Process: true})
	if err != nil {
		t.Fatal(err)
	}
	if h = d.converse().say(session.Said{Content: "For how many euros was the wheel of the mill repaired?", DocumentIDs: []string{doc.ID}}); !strings.Contains(h.Content, "1,200 euros") {
		t.Errorf("%s\n%s", h.notices(), h.Content)
	}
}

// An answer shows the pages that it cites, beside it, each once.
func TestTalkShowsPages(t *testing.T) {
	d := open(t)
	id := d.add("mill.pdf", "%PDF-1.4 ...")
	h := d.converse().say(session.Said{Content: "For how many euros was the weir of the mill repaired?", DocumentIDs: []string{id}})
	if len(h.Elements) == 0 || len(h.Citations) == 0 {
		t.Fatalf("%q %+v", h.Content, h.Citations)
	}
	seen := map[int]bool{}
	for _, e := range h.Elements {
		if e.Type != session.ElementPDF || e.Display != session.Side || e.DocumentID != id || e.Name != "mill.pdf" || seen[e.Page] || e.MessageID != h.ID {
			t.Errorf("%+v", e)
		}
		seen[e.Page] = true
	}
	for _, c := range h.Citations {
		if !seen[c.Spans[0].Page] {
			t.Errorf("page %d is cited and not shown", c.Spans[0].Page)
		}
	}
}

func TestTasks(t *testing.T) {
	plan := runs.Event{Type: runs.EventPlan, Data: json.RawMessage(`{"title":"T","sections":[{"section_id":"s1","title":"One"},{"section_id":"s2","title":"Two"},{"section_id":"s3","title":"Three"}]}`)}
	begun := func(id string) runs.Event {
		return runs.Event{Type: runs.EventSection, Data: json.RawMessage(`{"section_id":"` + id + `"}`)}
	}
	shown := func(key string) runs.Event {
		return runs.Event{Type: runs.EventStepCompleted, Data: json.RawMessage(`{"step":"` + key + `"}`)}
	}
	for name, tc := range map[string]struct {
		log    []runs.Event
		status runs.Status
		want   string
	}{
		"before the plan": {nil, runs.Running, ""},
		"purged":          {[]runs.Event{{Type: runs.EventPlan, Data: json.RawMessage(`{}`)}}, runs.Completed, ""},
		"planned":         {[]runs.Event{plan}, runs.Waiting, "ready ready ready"},
		"under way":       {[]runs.Event{plan, begun("s1"), shown("show/s1"), begun("s2"), shown("write/s3")}, runs.Running, "done running ready"},
		"a later round":   {[]runs.Event{plan, begun("s1"), shown("0badcafe/show/s1#2"), plan, begun("s1"), {Type: runs.EventSection, Data: json.RawMessage(`7`)}}, runs.Running, "running ready ready"},
		"completed":       {[]runs.Event{plan, begun("s1")}, runs.Completed, "done done done"},
		"failed":          {[]runs.Event{plan, begun("s1"), shown("show/s1"), begun("s2")}, runs.Failed, "done failed failed"},
		"cancelled":       {[]runs.Event{plan}, runs.Cancelled, "failed failed failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, x := range agent.Tasks(tc.log, tc.status) {
				got = append(got, x.Status)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestRoutesThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"no JSON":                     {"Let me think.", "question"},
		"an intent that is none":      {`{"intent":"dance","request":"","title":"","words":0}`, "question"},
		"a change without a draft":    {`{"intent":"edit","request":"","title":"","words":0}`, "draft"},
		"the web, which is not there": {`{"intent":"web","request":"","title":"","words":0}`, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			d := openWith(t, speaker(func(string) string { return tc.answer }))
			d.add("heating.md", heating)
			h := d.converse().say(session.Said{Content: "How much does the boiler burn?"})
			if h.failure.Code != "" || h.result.Intent != tc.want {
				t.Errorf("%+v %+v", h.failure, h.result)
			}
			if tc.want == "web" && !slices.ContainsFunc(h.log, func(e runs.Event) bool { return strings.Contains(string(e.Data), "web_not_allowed") }) {
				t.Error("nobody is told that the web was not searched")
			}
			if tc.want == "web" && !strings.Contains(h.Content, "The web was not searched") {
				t.Errorf("the answer does not say that the web was not searched: %q", h.Content)
			}
		})
	}
}
