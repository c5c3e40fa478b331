package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/runs"
	"byline/internal/search"
)

// Asking is a question to the library, the input of a query run.
type Asking struct {
	Question     string   `json:"question"`
	DocumentIDs  []string `json:"document_ids,omitempty"` // empty: all of the workspace
	TopK         int      `json:"top_k,omitempty"`        // passages that it is answered from; 0 is the usual number
	Provider     string   `json:"llm_provider,omitempty"` // empty: the configured one; offline: none
	Model        string   `json:"llm_model,omitempty"`
	Author       string   `json:"author,omitempty"`       // the user who asks and pays
	History      []Turn   `json:"history,omitempty"`      // what was said before, oldest first: the question may refer to it
	Instructions string   `json:"instructions,omitempty"` // how the answer should be
	Unattended   bool     `json:"unattended,omitempty"`   // nobody is there to say whether a used up budget may be gone over
}

// Turn is something that was said in a conversation.
type Turn struct {
	Role    string `json:"role"` // user, assistant
	Content string `json:"content"`
}

// Answered is an answer with its citations, the result of a query run. What was streamed is Answer; claims are places in it.
type Answered struct {
	Question  string           `json:"question"` // as it was searched for: with a conversation before it, made to stand alone
	Answer    string           `json:"answer"`
	Citations []draft.Citation `json:"citations"`
	Evidence  bool             `json:"evidence"` // false: the answer says that there is none
	Engine    string           `json:"engine"`
	Degraded  []string         `json:"degraded"`
	Provider  string           `json:"llm_provider,omitempty"` // empty: it was answered in the words of the sources, without a model
	Model     string           `json:"llm_model,omitempty"`
}

// ChannelAnswer is where the answer of a query run is streamed.
const ChannelAnswer = "answer"

// Desk is where an answer is written: Prefix begins the keys of its steps in the run, Channel is where it is streamed (without
// sections). Empty: as in a query run. Where somebody is there to be asked, the run waits when a budget is used up.
type Desk struct {
	Prefix, Channel string
	Attended        bool
}

// answerGraph is how a question is answered, with a model or without.
var answerGraph = Graph[*answering]{Name: "answer", Nodes: []Node[*answering]{
	{nodeGather, (*answering).doGather, []string{nodeReply, nodeFinish}},
	{nodeReply, (*answering).doReply, []string{nodeVerify}},
	{nodeVerify, (*answering).doVerify, []string{nodeRepair, nodeFinish}},
	{nodeRepair, (*answering).doRepair, []string{nodeVerify, nodeFinish}},
	{nodeFinish, (*answering).doFinish, []string{End}},
}}

const nodeReply = "reply"

// answering is a question on its way to its answer. It is a Thread. What it has of a round are the pen, the citations and the calls
// of a model.
type answering struct {
	*round
	ask   Asking
	reply reply
}

// reply is the state of an answer.
type reply struct {
	Post        *post            `json:"post"` // its evidence, its one piece, its rounds of repair
	Question    string           `json:"question"`
	Engine      string           `json:"engine"`
	Degraded    []string         `json:"degraded,omitempty"`
	Generations map[string]int64 `json:"generations,omitempty"` // of the documents that it is made of, as they were read
	Result      *Answered        `json:"result,omitempty"`
}

// State meets Thread.
func (a *answering) State() any { return &a.reply }

// HandleQuery does a query run.
func (w *Writer) HandleQuery(ctx context.Context, job *runs.Job) (any, error) {
	var ask Asking
	if err := json.Unmarshal(job.Run().Input, &ask); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	answered, err := w.Answer(ctx, job, ask, Desk{Attended: !ask.Unattended})
	if err != nil {
		return nil, err
	}
	return answered, nil
}

// maxChanged is how often an answer is begun anew because its sources changed.
const maxChanged = 5

// Answer answers a question within any run: its steps are journalled under the desk's prefix, its text is streamed on the desk's channel.
// Called again after a crash, it goes on where it was. When a source that it is made of goes, or is processed anew, what was
// streamed is taken back and it begins again with what is there then.
func (w *Writer) Answer(ctx context.Context, job *runs.Job, ask Asking, at Desk) (Answered, error) {
	if at.Channel == "" {
		at.Channel = ChannelAnswer
	}
	for n := 0; ; n++ {
		prefix := at.Prefix
		if n > 0 {
			prefix = fmt.Sprintf("%sagain%d/", at.Prefix, n)
		}
		changed := fmt.Sprintf("%schanged%d", at.Prefix, n)
		if job.Done(changed) { // an earlier attempt found out
			continue
		}
		a := w.newAnswering(job, ask, prefix, at.Channel)
		err := a.do(ctx, at.Attended)
		if err == nil {
			return *a.reply.Result, nil
		}
		if !errors.Is(err, errChanged) {
			return Answered{}, err
		}
		if n == maxChanged {
			return Answered{}, fault.New(fault.Unavailable, "sources_changing", "The documents change faster than an answer can be written from them. Ask again when they are processed.")
		}
		var again struct{}
		err = job.Once(ctx, changed, &again, func(context.Context) ([]runs.NewEvent, error) {
			return []runs.NewEvent{a.reset(""), notice("source_changed", "A source was changed or deleted while the answer was written; it is begun again.")}, nil
		})
		if err != nil {
			return Answered{}, err
		}
	}
}

func (w *Writer) newAnswering(job *runs.Job, ask Asking, prefix, channel string) *answering {
	a := &answering{ask: ask, round: &round{
		writer: w, job: job, prefix: prefix, channel: channel, whole: true, texts: map[string]*source{}, passages: map[string][]document.Passage{},
		// What the author asks may name addresses, and the answer may then, too.
		wish: draft.Wish{Author: ask.Author, Provider: ask.Provider, Model: ask.Model, Instructions: ask.Question},
	}}
	a.reply.Post = &a.post
	a.held = a.unchanged
	return a
}

func (a *answering) do(ctx context.Context, attended bool) error {
	if err := a.choose(ctx); err != nil {
		return err
	}
	graph := func() error { return answerGraph.Run(ctx, a) }
	var err error
	if attended && a.model != nil {
		err = a.withinBudget(ctx, graph)
	} else {
		err = graph()
	}
	if f := fault.Of(err); err != nil && f.Kind == fault.NotFound {
		if changed := a.unchanged(ctx); changed != nil {
			return changed
		}
	}
	return err
}

// unchanged tells errChanged when a document that the answer is made of is not what it was when it was read.
func (a *answering) unchanged(ctx context.Context) error {
	var ids []string
	for id := range a.reply.Generations {
		ids = append(ids, id)
	}
	docs, err := a.writer.Documents.Named(ctx, a.job.Run().Workspace, ids)
	if err != nil {
		return fmt.Errorf("name sources: %w", err)
	}
	if len(docs) != len(ids) {
		return errChanged
	}
	for _, d := range docs {
		if d.Generation != a.reply.Generations[d.ID] {
			return errChanged
		}
	}
	return nil
}

// The bounds of an answer: bytes of what is searched for, passages that a model is shown when nobody says how many.
const (
	longQuestion = 2000
	usualTopK    = 8
)

// doGather is the node that makes the question stand alone and searches for its answer. Without evidence nothing else is done.
func (a *answering) doGather(ctx context.Context) (string, []runs.NewEvent, error) {
	var err error
	if a.reply.Question, err = a.standAlone(ctx); err != nil {
		return "", nil, err
	}
	if a.model == nil {
		return a.quote(ctx)
	}
	q := a.question(a.reply.Question)
	if q.TopK == 0 {
		q.TopK = usualTopK
	}
	found, err := a.writer.Searcher.Search(ctx, q)
	if err != nil {
		return "", nil, err
	}
	a.reply.Engine, a.reply.Degraded = found.Engine, found.Degraded
	h := hits{Query: q.Text, Hits: []hit{}}
	for _, x := range found.Hits {
		p := x.Passage
		h.Hits = append(h.Hits, hit{p.ID, p.DocumentID, x.DocumentName, p.PageFrom, x.Score})
		if found.Evidence && x.Score > 0 {
			a.post.Evidence = append(a.post.Evidence, passage{p.ID, p.DocumentID, p.Start, p.End, p.PageFrom})
		}
	}
	events := []runs.NewEvent{{Type: runs.EventHits, Data: h}}
	if len(a.post.Evidence) == 0 {
		return nodeFinish, events, a.sayNothing(ctx)
	}
	return nodeReply, events, a.note(ctx)
}

func (a *answering) question(text string) search.Question {
	return search.Question{Workspace: a.job.Run().Workspace, Text: clip(text, longQuestion), DocumentIDs: a.ask.DocumentIDs, TopK: a.ask.TopK}
}

// note reads the evidence and keeps which documents the evidence is of.
func (a *answering) note(ctx context.Context) error {
	a.reply.Generations = map[string]int64{}
	for _, p := range a.post.Evidence {
		src, err := a.textOf(ctx, p.DocumentID)
		if fault.Of(err) != nil && fault.Of(err).Kind == fault.NotFound {
			return errChanged // between the search and now
		}
		if err != nil {
			return err
		}
		a.reply.Generations[p.DocumentID] = src.doc.Generation
	}
	return nil
}

// conversation fills conversation.md in.
type conversation struct {
	History  []Turn
	Question string
}

// The bounds of what a model sees of a conversation: turns, and bytes of each.
const (
	lastTurns = 8
	longTurn  = 2000
)

// standAlone makes a question that can be understood without what was said before it.
func (a *answering) standAlone(ctx context.Context) (string, error) {
	question := strings.TrimSpace(a.ask.Question)
	if len(a.ask.History) == 0 || a.model == nil {
		return question, nil
	}
	c := conversation{Question: question}
	request, err := ask("condense", "condense", nil, "conversation", c)
	if err != nil {
		return "", err
	}
	for _, t := range a.ask.History[max(0, len(a.ask.History)-lastTurns):] {
		c.History = append(c.History, Turn{t.Role, material(clip(t.Content, longTurn))})
	}
	c.History = c.History[a.newest(c.History, a.room(request, a.short(), mostTurns)):]
	if request, err = ask("condense", "condense", nil, "conversation", c); err != nil {
		return "", err
	}
	said, err := a.call(ctx, "condense", request, nil)
	if err != nil {
		return "", err
	}
	if alone := strings.Join(strings.Fields(said.Text), " "); alone != "" {
		return clip(alone, longQuestion), nil
	}
	return question, nil
}

// follows tells whether quotes that answer the question before this one too may be about it: it says next to nothing by itself, or they
// have one of its words. Otherwise it began to speak of something else, which they do not answer.
func follows(question string, quotes []search.Quote) bool {
	terms := lexical.Query(question)
	if len(terms) <= 1 {
		return true
	}
	for _, q := range quotes {
		for _, said := range lexical.Query(q.Text, lexical.DetectLanguage(question)) {
			if slices.ContainsFunc(terms, func(t lexical.Term) bool { return t.Text == said.Text }) {
				return true
			}
		}
	}
	return false
}

// quote answers in the words of the sources.
func (a *answering) quote(ctx context.Context) (string, []runs.NewEvent, error) {
	found, err := a.writer.Searcher.Ask(ctx, a.question(a.reply.Question))
	if err != nil {
		return "", nil, err
	}
	if before := a.lastQuestion(); !found.Evidence && before != "" { // "and how much?" says nothing by itself
		text := before + " " + a.reply.Question
		again, err := a.writer.Searcher.Ask(ctx, a.question(text))
		if err != nil {
			return "", nil, err
		}
		if again.Evidence && follows(a.reply.Question, again.Quotes) {
			found, a.reply.Question = again, text
		}
	}
	a.reply.Engine, a.reply.Degraded = found.Engine, found.Degraded
	h := hits{Query: a.reply.Question, Hits: []hit{}}
	w := writing{ID: pieceID, Shown: 1}
	var text strings.Builder
	for _, q := range found.Quotes {
		h.Hits = append(h.Hits, hit{PassageID: q.PassageID, DocumentID: q.DocumentID, DocumentName: q.DocumentName, Page: q.Page})
		a.post.Evidence = append(a.post.Evidence, passage{q.PassageID, q.DocumentID, q.Start, q.End, q.Page})
		if text.Len() > 0 {
			text.WriteString("\n\n")
		}
		line := strings.Join(strings.Fields(q.Text), " ")
		w.Claims = append(w.Claims, claim{
			Start: text.Len(), Text: line, Verdict: draft.Verdict{Label: draft.Supported, Score: 1, Reasons: []string{"found word for word"}},
			Spans: []draft.Span{{DocumentID: q.DocumentID, DocumentName: q.DocumentName, PassageID: q.PassageID, Start: q.Start, End: q.End, Quote: q.Text, Page: q.Page}},
		})
		text.WriteString(line)
	}
	events := []runs.NewEvent{{Type: runs.EventHits, Data: h}}
	if len(w.Claims) == 0 {
		return nodeFinish, events, a.sayNothing(ctx)
	}
	if err := a.note(ctx); err != nil {
		return "", nil, err
	}
	w.Text = text.String()
	w.name()
	return nodeFinish, events, a.show(ctx, []writing{w})
}

func (a *answering) lastQuestion() string {
	for i := len(a.ask.History) - 1; i >= 0; i-- {
		if t := a.ask.History[i]; t.Role == "user" {
			return clip(strings.TrimSpace(t.Content), longQuestion/2)
		}
	}
	return ""
}
