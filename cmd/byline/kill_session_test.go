package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/llm/llmtest"
)

// client is somebody who talks with a server that is killed: each request is repeated, with its key, until it is answered.
type client struct {
	v       *victim
	ctx     context.Context
	r       *rand.Rand
	name    string // of the conversation; keys begin with it
	asked   int
	repeats int
	readers int
	heardOf int // events of the session

	overheard func() error  // tells whether all of these were heard
	path      string        // of the session
	acts      chan struct{} // one place: something that acts is on its way
}

// ask gives up only where the server says that the request is wrong. Somebody who deletes what is gone has what they want.
func (c *client) ask(method, path, body string, out any) error {
	c.asked++
	key := fmt.Sprintf("%s-%d", c.name, c.asked)
	for ; ; c.repeats++ {
		if err := c.ctx.Err(); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		if method != "GET" {
			select {
			case c.acts <- struct{}{}:
			default:
			}
		}
		resp, err := c.v.request(c.ctx, method, path, strings.NewReader(body), "Idempotency-Key", key)
		var data []byte
		if err == nil {
			data, err = io.ReadAll(resp.Body)
			resp.Body.Close() //nolint:errcheck // it was read
		}
		switch {
		case err != nil || resp.StatusCode >= 500:
			time.Sleep(3 * time.Millisecond)
			continue
		case resp.StatusCode >= 300:
			return fmt.Errorf("%s %s %s, repeated %d times: %s %s", method, path, body, c.repeats, resp.Status, data)
		case out == nil:
			return nil
		}
		return json.Unmarshal(data, out)
	}
}

// turn is a message with its answer.
type turn struct {
	Message, Reply struct {
		ID string `json:"id"`
	}
	Run struct {
		ID string `json:"id"`
	}
}

// said is a message as the history has it.
type said struct {
	ID, Role, Content string
	Actions           []struct{ ID, Name, Pressed string }
	Error             *struct{ Code string }
	DraftID           string            `json:"draft_id"`
	Citations         []json.RawMessage `json:"citations"`
}

// follow reads a run along with two readers, one of which hangs up and comes again, while meanwhile happens; both must have the same text in the end.
func (c *client) follow(run string, meanwhile func() error) (string, error) {
	next := 1 + c.r.IntN(8)
	leave := func() bool {
		if next--; next > 0 {
			return false
		}
		next = 1 + c.r.IntN(8)
		return true
	}
	var steady, nervous *reader
	var both sync.WaitGroup
	both.Go(func() { steady = c.v.read(c.ctx, run, nil) })
	both.Go(func() { nervous = c.v.read(c.ctx, run, leave) })
	var err error
	if meanwhile != nil {
		err = meanwhile()
	}
	both.Wait()
	if err != nil {
		return "", err
	}
	for _, rd := range []*reader{steady, nervous} {
		if c.readers++; rd.end != "run.completed" || len(rd.problems) > 0 {
			return "", fmt.Errorf("run %s ended with %q, a reader saw %v", run, rd.end, rd.problems)
		}
	}
	if a, b := steady.whole(), nervous.whole(); a != b {
		return "", fmt.Errorf("readers of run %s have\n%s\n---\n%s", run, a, b)
	}
	return steady.whole(), nil
}

// answer waits for the question of a run and answers it, twice, as somebody whose line is bad does.
func (c *client) answer(run, value string) func() error {
	return func() error {
		for {
			var r struct {
				Status   string
				Question *struct{ ID string }
			}
			if err := c.ask("GET", "/runs/"+run, "", &r); err != nil {
				return err
			}
			if r.Question != nil {
				for range 2 {
					if err := c.ask("POST", "/runs/"+run+"/answers", fmt.Sprintf(`{"question_id":%q,"value":%s}`, r.Question.ID, value), nil); err != nil {
						return err
					}
				}
				return nil
			}
			if r.Status == "completed" || r.Status == "failed" {
				return fmt.Errorf("run %s asked nothing and is %s", run, r.Status)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// say sends a message and reads its answer, which must be what the history keeps.
func (c *client) say(content, more string, meanwhile func(run string) func() error) (said, error) {
	var t turn
	if err := c.ask("POST", c.path+"/messages", fmt.Sprintf(`{"content":%q%s}`, content, more), &t); err != nil {
		return said{}, err
	}
	return c.heard(t, meanwhile)
}

func (c *client) heard(t turn, meanwhile func(run string) func() error) (said, error) {
	var during func() error
	if meanwhile != nil {
		during = meanwhile(t.Run.ID)
	}
	text, err := c.follow(t.Run.ID, during)
	if err != nil {
		return said{}, err
	}
	var m struct{ Message said }
	if err := c.ask("GET", c.path+"/messages/"+t.Reply.ID, "", &m); err != nil {
		return said{}, err
	}
	if strings.TrimSpace(text) != m.Message.Content || text == "" {
		return said{}, fmt.Errorf("readers have %q, the message is %q", text, m.Message.Content)
	}
	return m.Message, nil
}

// tale is what is left of a conversation, without its ids.
type tale struct {
	Messages []string
	Drafts   [][]string // versions, newest first
	Content  []string
	Offers   []string // proposals: status and hunks
	Runs     map[string]int
}

// converse has the whole conversation: talk, a question, a tool that a person allows, a post whose outline is approved, a refinement of which a part
// is taken and taken back, a change that is taken by a button that is pressed twice, two messages that wait for each other, another answer, a branch,
// and a deletion.
func (c *client) converse(docs string) (tale, error) {
	var s struct{ ID string }
	if err := c.ask("POST", "/sessions", `{"name":"A talk"}`, &s); err != nil {
		return tale{}, err
	}
	c.path = "/sessions/" + s.ID
	c.overheard = c.followed()
	for _, part := range []func(docs string) error{c.talk, c.write, c.change, c.branch} {
		if err := part(docs); err != nil {
			return tale{}, err
		}
	}
	return c.told(s.ID)
}

func (c *client) talk(docs string) error {
	if _, err := c.say("Hello there.", `,"document_ids":[`+docs+`]`, nil); err != nil {
		return err
	}
	m, err := c.say("Tell me when the boiler of the library was installed.", "", nil)
	if err == nil && len(m.Citations) == 0 {
		err = fmt.Errorf("an answer without citations: %q", m.Content)
	}
	if err != nil {
		return err
	}
	_, err = c.say("Note "+c.name+" down.", "", func(run string) func() error { return c.answer(run, "true") })
	return err
}

func (c *client) write(docs string) error {
	var started struct{ Draft, Run struct{ ID string } }
	err := c.ask("POST", "/blog/generate", fmt.Sprintf(`{"document_ids":[%s],"session_id":%q,"brief":{"approve_outline":true}}`, docs, strings.TrimPrefix(c.path, "/sessions/")), &started)
	if err != nil {
		return err
	}
	text, err := c.follow(started.Run.ID, c.answer(started.Run.ID, "true"))
	if err != nil {
		return err
	}
	var d struct{ Content string }
	if err := c.ask("GET", "/blog/"+started.Draft.ID, "", &d); err != nil {
		return err
	}
	if d.Content != text || strings.Contains(text, "lions") || strings.Count(text, "\n## ") < 3 {
		return fmt.Errorf("readers have\n%s\n---\nthe draft is\n%s", text, d.Content)
	}
	return c.refine(started.Draft.ID)
}

// refine offers a change of a draft, of which one part is taken, and taken back.
func (c *client) refine(draftID string) error {
	var r struct{ Run struct{ ID string } }
	at := "/blog/" + draftID
	if err := c.ask("POST", at+"/refine", `{"feedback":"Drop two paragraphs."}`, &r); err != nil {
		return err
	}
	if _, err := c.follow(r.Run.ID, nil); err != nil {
		return err
	}
	var list struct {
		Proposals []struct {
			ID    string
			Hunks []struct{ ID string }
		}
	}
	if err := c.ask("GET", at+"/proposals", "", &list); err != nil {
		return err
	}
	if len(list.Proposals) != 1 || len(list.Proposals[0].Hunks) != 2 {
		return fmt.Errorf("offered: %+v", list)
	}
	p := list.Proposals[0]
	for _, step := range [][2]string{
		{"/proposals/" + p.ID + "/accept", fmt.Sprintf(`{"hunks":[%q]}`, p.Hunks[0].ID)}, {"/undo", ""}, {"/redo", ""}, {"/undo", ""},
		{"/proposals/" + p.ID + "/reject", fmt.Sprintf(`{"hunks":[%q]}`, p.Hunks[1].ID)},
	} {
		if err := c.ask("POST", at+step[0], step[1], nil); err != nil {
			return err
		}
	}
	return nil
}

// change asks for a new draft and for a change of it in words, and presses a button.
func (c *client) change(string) error {
	m, err := c.say("Write a post about the boiler.", "", nil)
	if err != nil {
		return err
	}
	var list struct{ Runs []struct{ ID string } }
	if err := c.ask("GET", "/runs?kind=generate&limit=1&session_id="+strings.TrimPrefix(c.path, "/sessions/"), "", &list); err != nil {
		return err
	}
	if _, err := c.follow(list.Runs[0].ID, nil); err != nil {
		return err
	}
	offer, err := c.say("Drop two paragraphs of it.", fmt.Sprintf(`,"draft_id":%q`, m.DraftID), nil)
	if err != nil {
		return err
	}
	if len(offer.Actions) != 2 {
		return fmt.Errorf("no buttons below %q", offer.Content)
	}
	var pressed [2]turn
	for i := range pressed {
		if err := c.ask("POST", c.path+"/messages/"+offer.ID+"/actions/"+offer.Actions[0].ID, "", &pressed[i]); err != nil {
			return err
		}
	}
	if pressed[0] != pressed[1] {
		return fmt.Errorf("pressed twice: %+v", pressed)
	}
	_, err = c.heard(pressed[0], nil)
	return err
}

// branch sends two messages at once, asks for another answer, edits and deletes.
func (c *client) branch(string) error {
	var first, second, again, other, gone turn
	for _, send := range []struct {
		content string
		to      *turn
	}{{"Good.", &first}, {"And well.", &second}} {
		if err := c.ask("POST", c.path+"/messages", fmt.Sprintf(`{"content":%q}`, send.content), send.to); err != nil {
			return err
		}
	}
	for _, t := range []turn{first, second} {
		if _, err := c.heard(t, nil); err != nil {
			return err
		}
	}
	if err := c.ask("POST", c.path+"/messages/"+second.Reply.ID+"/regenerate", "", &again); err != nil {
		return err
	}
	if _, err := c.heard(again, nil); err != nil {
		return err
	}
	if err := c.ask("PATCH", c.path+"/messages/"+second.Message.ID, `{"content":"And better.","rerun":true}`, &other); err != nil {
		return err
	}
	if _, err := c.heard(other, nil); err != nil {
		return err
	}
	if err := c.overheard(); err != nil {
		return err
	}
	if err := c.ask("POST", c.path+"/messages", `{"content":"Never mind."}`, &gone); err != nil {
		return err
	}
	if _, err := c.heard(gone, nil); err != nil {
		return err
	}
	for _, id := range []string{gone.Reply.ID, gone.Message.ID} {
		var list struct{ Messages []said }
		if err := c.ask("DELETE", c.path+"/messages/"+id, "", nil); err != nil && !strings.Contains(err.Error(), "404") {
			return err
		}
		if err := c.ask("GET", c.path+"/chat-history?limit=100", "", &list); err != nil {
			return err
		}
		for _, m := range list.Messages {
			if m.ID == id {
				return errors.New("a deleted message is there")
			}
		}
	}
	return nil
}

// told is what the server keeps of the conversation.
func (c *client) told(id string) (tale, error) {
	t := tale{Runs: map[string]int{}}
	var history struct{ Messages []said }
	var s struct {
		Drafts   []string `json:"draft_ids"`
		Metadata struct {
			Count int `json:"message_count"`
		}
	}
	var list struct {
		Total int
		Runs  []struct{ ID, Kind, Status string }
	}
	err := errors.Join(c.ask("GET", c.path+"/chat-history?limit=100", "", &history), c.ask("GET", c.path, "", &s), c.ask("GET", "/runs?limit=100&session_id="+id, "", &list))
	if err != nil {
		return t, err
	}
	t.Messages = append(t.Messages, strconv.Itoa(s.Metadata.Count)+" in all branches")
	for _, m := range history.Messages {
		t.Messages = append(t.Messages, m.Role+": "+strings.ReplaceAll(m.Content, c.name, "NAME"))
		if m.Error != nil {
			return t, fmt.Errorf("%q has the error %s", m.Content, m.Error.Code)
		}
	}
	for _, r := range list.Runs {
		t.Runs[r.Kind+" "+r.Status]++
		var steps struct {
			Steps []struct{ Key, Status string }
		}
		if err := c.ask("GET", "/runs/"+r.ID+"/steps", "", &steps); err != nil {
			return t, err
		}
		for _, st := range steps.Steps {
			if st.Status != "done" && !strings.HasPrefix(st.Key, "show/") {
				t.Runs[r.Kind+" open "+st.Key]++
			}
		}
	}
	for _, d := range s.Drafts {
		if err := c.toldOf(d, &t); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (c *client) toldOf(draftID string, t *tale) error {
	var versions struct {
		Versions []struct {
			Number int
			Cause  string
		}
	}
	var d struct{ Content, Status string }
	var offers struct {
		Proposals []struct {
			Status string
			Hunks  []struct{ Old, New, Status string }
		}
	}
	at := "/blog/" + draftID
	err := errors.Join(c.ask("GET", at+"/versions?limit=100", "", &versions), c.ask("GET", at, "", &d), c.ask("GET", at+"/proposals", "", &offers))
	var causes []string
	for _, v := range versions.Versions {
		causes = append(causes, fmt.Sprint(v.Number, " ", v.Cause))
	}
	t.Drafts, t.Content = append(t.Drafts, causes), append(t.Content, d.Status+"\n"+d.Content)
	for _, p := range offers.Proposals {
		t.Offers = append(t.Offers, fmt.Sprintf("%s %+v", p.Status, p.Hunks))
	}
	return err
}

// outcome is how a conversation went.
type outcome struct {
	tale
	err   error
	kills int
}

// converseUnderKills has a conversation while the server is killed: at random moments when usual is how long it takes without that, never when it is 0.
func (c *client) converseUnderKills(docs string, usual time.Duration, r *rand.Rand) outcome {
	done := make(chan outcome, 1)
	go func() {
		got, err := c.converse(docs)
		done <- outcome{tale: got, err: err}
	}()
	for kills := 0; ; kills++ {
		var moment <-chan time.Time
		var acts chan struct{}
		switch {
		case usual == 0:
		case r.IntN(2) == 0: // while a request is answered
			acts = c.acts
		default:
			moment = time.After(time.Duration(r.Int64N(int64(usual) / 4)))
		}
		select {
		case o := <-done:
			o.kills = kills
			return o
		case <-moment:
		case <-acts:
			time.Sleep(time.Duration(r.IntN(6000)) * time.Microsecond)
		}
		c.v.kill()
		c.v.start()
	}
}

// newTalked is a server with a model that talks and a tool, and documents: their ids.
func newTalked(t *testing.T, endpoint *llmtest.Server, book *notebook) (v *victim, docs string) {
	t.Helper()
	v = newVictim(t, "OPENAI_API_KEY=sk-test-0123456789", "OPENAI_BASE_URL="+endpoint.URL, "DEFAULT_LLM_PROVIDER=openai", "DEFAULT_LLM_MODEL=fake-1", "BYLINE_WRITERS=1")
	v.kill()
	servers := fmt.Sprintf(`{"mcpServers":{"notebook":{"url":%q,"tools":["*"],"approve":"always"}}}`, book.serve(t))
	if err := os.WriteFile(filepath.Join(v.dir, "mcp.json"), []byte(servers), 0o600); err != nil {
		t.Fatal(err)
	}
	v.start()
	ids := []string{strconv.Quote(v.settled(v.upload("boiler.md", boiler).ID).ID)}
	for i := range 3 {
		ids = append(ids, strconv.Quote(v.settled(v.upload(fmt.Sprintf("s%d.md", i), prose(uint64(i), 40)).ID).ID))
	}
	return v, strings.Join(ids, ",")
}

// A conversation survives kills: no message is lost, nothing that somebody asked for is done twice, no answer of a model is paid for twice, and who reads
// along has each text as it was kept. The same conversation without a kill tells what must come out.
func TestKillDuringConversation(t *testing.T) {
	endpoint, book := llmtest.New(t, speaker), &notebook{}
	v, docs := newTalked(t, endpoint, book)
	var whole tale
	var usual time.Duration
	var steps, kills, repeats, readers, heard, calls int
	n := 1 + seeds(t)
	if os.Getenv("TORTURE_SEEDS") == "" {
		n = 3 // each has a dozen kills
	}
	for seed := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
		c := &client{v: v, ctx: ctx, r: rand.New(rand.NewPCG(uint64(seed), 8)), name: fmt.Sprintf("seed%d", seed), acts: make(chan struct{}, 1)}
		before, began := endpoint.Count(), time.Now()
		o := c.converseUnderKills(docs, usual, rand.New(rand.NewPCG(uint64(seed), 7)))
		cancel()
		if o.err != nil {
			t.Fatalf("seed %d, behind %d kills: %v", seed, o.kills, o.err)
		}
		asked := endpoint.Count() - before
		if seed == 0 {
			whole, steps, usual = o.tale, asked, time.Since(began)
			t.Logf("a conversation takes %v, %d calls of the model: %v", usual, steps, whole.Runs)
		}
		if diff := cmp.Diff(whole, o.tale); diff != "" {
			t.Fatalf("seed %d: after %d kills it is another conversation:\n%s", seed, o.kills, diff)
		}
		if asked > steps+o.kills {
			t.Fatalf("seed %d: %d calls for %d steps and %d kills", seed, asked, steps, o.kills)
		}
		// Killed before it was sent, but behind the note that it would be, a use is not known to have been made, and is not made.
		if wrote := book.times("Note " + c.name + " down."); wrote > 1 || wrote == 0 && o.kills == 0 {
			t.Fatalf("seed %d: the tool was used %d times", seed, wrote)
		}
		kills, repeats, readers, heard, calls = kills+o.kills, repeats+c.repeats, readers+c.readers, heard+c.heardOf, calls+asked
	}
	for path, want := range map[string]int{"/sessions": n, "/blog": 2 * n} {
		var total struct{ Total int }
		if v.ask("GET", path, "", &total); total.Total != want {
			t.Errorf("%s has %d of %d conversations", path, total.Total, n)
		}
	}
	t.Logf("%d conversations, %d kills: %d requests repeated, %d readers of runs, %d events of sessions, %d calls of the model for %d steps", n, kills, repeats, readers, heard, calls, steps*n)
	v.sound()
}
