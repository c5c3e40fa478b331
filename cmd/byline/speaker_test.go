package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"byline/internal/llm/llmtest"
)

var (
	messageOf   = regexp.MustCompile(`(?s)\n\nMessage: (.*)$`)
	paragraphOf = regexp.MustCompile(`<block number="(\d+)" kind="paragraph"`)
)

// speaker is a model that talks: what a message is for stands in its first word. It says the same to the same, and makes posts as
// steady does.
func speaker(c llmtest.Call) llmtest.Reply {
	prompt, pause := c.Prompt(), 2*time.Millisecond
	said := ""
	if m := messageOf.FindStringSubmatch(prompt); m != nil {
		said = m[1]
	}
	word, _, _ := strings.Cut(said, " ")
	switch {
	case strings.HasPrefix(prompt, "You decide what a message"):
		intent := map[string]string{"Tell": "question", "Drop": "edit", "Write": "draft"}[word]
		if intent == "" {
			intent = "chat"
		}
		return llmtest.Say(fmt.Sprintf(`{"intent":%q,"request":%s,"title":"","words":0}`, intent, llmtest.Quote(said))).Drip(pause)
	case strings.Contains(prompt, "Now you only talk"):
		if len(c.Tools) > 0 && word == "Note" && c.Messages[len(c.Messages)-1].Role != "tool" {
			return llmtest.Ask(c.Tools[0], fmt.Sprintf(`{"text":%s}`, llmtest.Quote(said)))
		}
		for _, m := range c.Messages {
			if m.Role == "tool" {
				return llmtest.Say("The note is looked after, and we can go on with the text that you have in mind.").Drip(pause)
			}
		}
		return llmtest.Say("You said " + said + " and I am glad to hear it, so let us go on with the texts of the library.").Drip(pause)
	case strings.HasPrefix(prompt, "You answer questions"), strings.HasPrefix(prompt, "You change a blog post"):
		if blocks := paragraphOf.FindAllStringSubmatch(prompt, -1); len(blocks) > 2 {
			return llmtest.Say(fmt.Sprintf(`{"edits":[{"block":%s,"action":"delete","text":""},{"block":%s,"action":"delete","text":""}],"title":""}`, blocks[0][1], blocks[2][1])).Drip(pause)
		}
		var text strings.Builder
		for _, p := range passageTag.FindAllStringSubmatch(prompt, 2) {
			for _, s := range sentence.FindAllString(p[2], 2) {
				fmt.Fprintf(&text, "%s [%s]. ", strings.TrimSuffix(s, "."), p[1])
			}
		}
		return llmtest.Say(text.String()).Drip(pause)
	}
	return steady(c)
}

// boiler is a document that answers a question.
const boiler = `# The boiler

The boiler of the library was installed by the council in the winter of nineteen eighty seven. The pump of the boiler was replaced ten years later by the same people.
`

// notebook is a server of one tool, which counts what was written into it: an action in the world outside.
type notebook struct {
	mu    sync.Mutex
	notes map[string]int
}

func (n *notebook) serve(t *testing.T) (url string) {
	n.notes = map[string]int{}
	m := mcp.NewServer(&mcp.Implementation{Name: "notebook", Version: "1"}, nil)
	mcp.AddTool(m, &mcp.Tool{Name: "write", Description: "Writes a note down."}, func(_ context.Context, _ *mcp.CallToolRequest, in struct {
		Text string `json:"text"`
	}) (*mcp.CallToolResult, any, error) {
		n.mu.Lock()
		n.notes[in.Text]++
		n.mu.Unlock()
		time.Sleep(20 * time.Millisecond) // so that a kill may come in its midst
		return nil, nil, nil
	})
	srv := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m }, &mcp.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (n *notebook) times(text string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.notes[text]
}
