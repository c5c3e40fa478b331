package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"byline/internal/agent"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
)

// chatAnnotation says where a number in the text comes from, in the form of OpenAI's web search.
type chatAnnotation struct {
	Type    string          `json:"type" enum:"url_citation"`
	URL     urlCitation     `json:"url_citation"`
	Library libraryCitation `json:"byline"`
}

type urlCitation struct {
	Start int    `json:"start_index" doc:"Of the mark such as [1] in content, in characters (Unicode code points)"`
	End   int    `json:"end_index"`
	Title string `json:"title"`
	URL   string `json:"url" doc:"Of the page of the web, or of the document here, with its page"`
}

// libraryCitation is the same place as a citation of the library.
type libraryCitation struct {
	Number  int          `json:"number"`
	ID      string       `json:"citation_id"`
	Claim   string       `json:"claim" doc:"What it proves"`
	Verdict verdictShape `json:"verdict"`
	Span    citedShape   `json:"span"`
}

// answerTime is how long a client may wait for the library's answer at most.
const answerTime = 10 * time.Minute

// asking makes a question of a conversation: its last turn, with those before it.
func (in chatIn) asking() (agent.Asking, error) {
	var a agent.Asking
	if in.Format != nil && in.Format.Type != "text" {
		return a, badParam("response_format", "byline answers with text: its claims and citations are in annotations.")
	}
	last := in.Messages[len(in.Messages)-1]
	if last.Role != "user" {
		return a, badParam("messages", "The last message is the question: its role is user.")
	}
	if utf8.RuneCountInString(string(last.Content)) > 2000 {
		return a, badParam("messages", "A question has at most 2000 characters. Long texts are documents: upload them.")
	}
	a.Question = string(last.Content)
	var system []string
	for _, m := range in.Messages[:len(in.Messages)-1] {
		switch m.Role {
		case "system", "developer":
			system = append(system, string(m.Content))
		case "user", "assistant":
			if m.Content != "" {
				a.History = append(a.History, agent.Turn{Role: m.Role, Content: string(m.Content)})
			}
		}
	}
	a.Instructions = strings.Join(system, "\n\n")
	if o := in.Library; o != nil {
		a.DocumentIDs, a.TopK, a.Provider, a.Model = o.DocumentIDs, o.TopK, o.Provider, o.Model
		for _, id := range a.DocumentIDs {
			if !ident.Valid(id) {
				return a, idParam("document", id)
			}
		}
	}
	return a, nil
}

// askLibrary answers from the caller's documents. Only what was verified is sent, so that nothing has to be taken back: a stream has
// comments until then. A client that leaves, or loses its right, ends the run, since it has no way to come again.
func (s *server) askLibrary(w http.ResponseWriter, r *http.Request, in chatIn) error {
	ctx := r.Context()
	a, err := in.asking()
	if err != nil {
		return err
	}
	a.Author, a.Unattended = userOf(ctx).ID, true
	run, err := s.Enquiries.Ask(ctx, workspaceOf(ctx), a, nil)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/runs/"+run.ID)
	c := newChunks(w, run.ID, in.Model)
	answered, err := s.await(ctx, run, func() error {
		if !in.Stream {
			return nil
		}
		if err := c.send(); err != nil {
			return err
		}
		return c.out.write([]byte(": the answer is being verified\n\n"))
	})
	if err != nil {
		if ctx.Err() != nil {
			_, undone := s.Runs.Cancel(context.WithoutCancel(ctx), workspaceOf(ctx), run.ID)
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return undone // the client has gone
			}
		}
		return c.fail(r, err)
	}
	s.Metrics.Search(answered.Engine, len(answered.Degraded) > 0)
	line, err := s.Books.UsageOfRuns(ctx, workspaceOf(ctx), []string{run.ID})
	if err != nil {
		return c.fail(r, err)
	}
	used := line[run.ID]
	usage := openAIUsageOf(used.Input, used.Cached, used.Output)
	n := answered.Numbered()
	notes := s.annotations(r, n)
	library := &libraryOut{run.ID, answered.Question, answered.Evidence, list(answered.Degraded)}
	if in.Stream {
		if in.StreamOptions == nil || !in.StreamOptions.Usage {
			usage = nil
		}
		if err := c.send(pieces(n, notes)...); err != nil {
			return nil // the client has gone
		}
		return ignoreGone(c.end("stop", usage, library))
	}
	return writeJSON(w, http.StatusOK, chatOut{ID: c.frame.ID, Object: "chat.completion", Created: c.frame.Created, Model: in.Model, Library: library,
		Choices: []chatChoice{{Message: chatReply{Role: "assistant", Content: &n.Text, Annotations: notes}, Finish: "stop"}}, Usage: usage})
}

// await waits for a query run, and calls ping while it waits.
func (s *server) await(ctx context.Context, run runs.Run, ping func() error) (agent.Answered, error) {
	for end := time.Now().Add(answerTime); ; {
		a, err := s.Enquiries.Wait(ctx, workspaceOf(ctx), run.ID, pingEvery)
		if !errors.Is(err, agent.ErrUnderWay) {
			return a, err
		}
		if time.Now().After(end) {
			return a, fault.New(fault.Unavailable, "answer_late", "The answer takes longer than %s. Its run %s goes on.", answerTime, run.ID)
		}
		if err := ping(); err != nil {
			return a, err
		}
	}
}

// pieces cut a text behind its marks; each piece has the annotations of the marks in it.
func pieces(n agent.Numbered, notes []chatAnnotation) (list []chunkDelta) {
	at := 0
	for i, m := range n.Marks {
		if i+1 < len(n.Marks) && n.Marks[i+1].Start == m.End { // [1][2]
			continue
		}
		text := n.Text[at:m.End]
		at = m.End
		list = append(list, chunkDelta{Content: &text})
	}
	if rest := n.Text[at:]; rest != "" {
		list = append(list, chunkDelta{Content: &rest})
	}
	if len(notes) > 0 {
		list = append(list, chunkDelta{Annotations: notes})
	}
	return list
}

// annotations tell of each mark where it leads.
func (s *server) annotations(r *http.Request, n agent.Numbered) (notes []chatAnnotation) {
	at, runes := 0, 0
	for _, m := range n.Marks {
		runes += utf8.RuneCountInString(n.Text[at:m.Start])
		at = m.Start
		shape := toCitation(draft.Citation{Claim: m.Citation.Claim, Verdict: m.Citation.Verdict, Spans: []draft.Span{m.Span}})
		a := chatAnnotation{Type: "url_citation", Library: libraryCitation{Number: m.Source + 1, ID: m.Citation.ID, Claim: m.Citation.Claim.Text, Verdict: shape.Verdict, Span: shape.Spans[0]}}
		a.URL = urlCitation{runes, runes + m.End - m.Start, m.Span.DocumentName, m.Span.URL}
		if m.Span.Title != "" {
			a.URL.Title = m.Span.Title
		}
		if a.URL.URL == "" {
			a.URL.URL = origin(r) + "/api/v1/documents/" + m.Span.DocumentID + "/content"
			if m.Span.Page > 0 {
				a.URL.URL += fmt.Sprintf("#page=%d", m.Span.Page)
			}
		}
		notes = append(notes, a)
	}
	return notes
}

// origin is how the client calls this server. It is for links in the client's own answer only.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
