package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"byline/internal/document"
	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/session"
)

// Sessions is where a conversation is read and answered; session.Service is one. All is scoped by workspace.
type Sessions interface {
	Session(ctx context.Context, ws ident.Workspace, id string) (session.Session, error)
	// History gives the branch that leads to a message, that message included.
	History(ctx context.Context, ws ident.Workspace, sessionID, messageID string) ([]session.Message, error)
	// Reply is the fenced write of the answer.
	Reply(ctx context.Context, l runs.Lease, m session.Message, events ...runs.NewEvent) (session.Message, error)
	// Persona is how a profile speaks.
	Persona(profile string) string
}

// Drafting begins drafts and decides about proposals; draft.Service is one.
type Drafting interface {
	Draft(ctx context.Context, ws ident.Workspace, id string) (draft.Draft, error)
	Generate(ctx context.Context, ws ident.Workspace, w draft.Wish, categories, tags []string, once *ident.Once) (draft.Draft, runs.Run, error)
	Accept(ctx context.Context, ws ident.Workspace, draftID, id string, hunks []string, author string) (draft.Proposal, error)
	Reject(ctx context.Context, ws ident.Workspace, draftID, id string, hunks []string) (draft.Proposal, error)
	// Walk undoes and does again; Version reads what came of it.
	Walk(ctx context.Context, ws ident.Workspace, draftID string, match int, w draft.Walk, once *ident.Once) (draft.Draft, error)
	Version(ctx context.Context, ws ident.Workspace, draftID string, number int) (draft.Version, error)
	// StyleGuide is what the workspace wants every text to keep to; empty when there is none.
	StyleGuide(ctx context.Context, ws ident.Workspace) (string, error)
}

// The nodes of a conversation. Each has graphs of its own within: an answer's, a refinement's.
const (
	nodeRoute  = "route"
	nodeChat   = "chat"
	nodeAnswer = "answer"
	nodeTopic  = "topic"
	nodeDraft  = "draft"
	nodeDecide = "decide"
	nodeWalk   = "walk"
)

// talkGraph is how a message is answered.
var talkGraph = Graph[*talking]{Name: "talk", Nodes: []Node[*talking]{
	{nodeRoute, (*talking).doRoute, []string{nodeChat, nodeAnswer, nodeEdit, nodeTopic, nodeDecide, nodeWalk, nodeFinish}},
	{nodeChat, (*talking).doChat, []string{nodeFinish}},
	{nodeAnswer, (*talking).doAnswer, []string{nodeFinish}},
	{nodeEdit, (*talking).doEdit, []string{nodeFinish}},
	{nodeTopic, (*talking).doTopic, []string{nodeDraft, nodeFinish}},
	{nodeDraft, (*talking).doDraft, []string{nodeFinish}},
	{nodeDecide, (*talking).doDecide, []string{nodeFinish}},
	{nodeWalk, (*talking).doWalk, []string{nodeFinish}},
	{nodeFinish, (*talking).doFinish, []string{End}},
}}

// talking is a message on the way to its answer. It is a Thread.
type talking struct {
	*round
	wish    session.Wish
	session session.Session
	history []session.Message // up to the message that is answered
	talk    talk
}

// talk is the state of an answer in a conversation.
type talk struct {
	Intent  string           `json:"intent"`
	Request string           `json:"request"`         // what is asked for, complete in itself
	Topic   string           `json:"topic,omitempty"` // as a person has answered
	Title   string           `json:"title,omitempty"`
	Words   int              `json:"words,omitempty"`
	Web     bool             `json:"web,omitempty"`
	WebIDs  []string         `json:"web_ids,omitempty"`
	Said    string           `json:"said"`
	Cites   []draft.Citation `json:"citations,omitempty"`
	Actions []session.Action `json:"actions,omitempty"`
	DraftID string           `json:"draft_id,omitempty"`
	Result  *Talked          `json:"result,omitempty"`
}

// Talked is what a chat run tells at its end.
type Talked struct {
	MessageID string `json:"message_id"`
	Intent    string `json:"intent"`
	DraftID   string `json:"draft_id,omitempty"`
	RunID     string `json:"run_id,omitempty"` // that writes a new draft
}

// State meets Thread.
func (t *talking) State() any { return &t.talk }

// HandleChat does a chat run.
func (w *Writer) HandleChat(ctx context.Context, job *runs.Job) (any, error) {
	t := &talking{round: &round{writer: w, job: job, channel: session.ChannelReply, whole: true, texts: map[string]*source{}, passages: map[string][]document.Passage{}}}
	if err := json.Unmarshal(job.Run().Input, &t.wish); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	t.round.wish = draft.Wish{Author: t.wish.Author, Provider: t.wish.Provider, Model: t.wish.Model}
	if err := t.choose(ctx); err != nil {
		return nil, err
	}
	ws := job.Run().Workspace
	var err error
	if t.session, err = w.Sessions.Session(ctx, ws, t.wish.SessionID); err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if t.history, err = w.Sessions.History(ctx, ws, t.wish.SessionID, t.wish.MessageID); err != nil {
		return nil, fmt.Errorf("read conversation: %w", err)
	}
	if len(t.history) == 0 {
		return nil, fault.New(fault.Invalid, "message_deleted", "The message was deleted before it was answered.")
	}
	t.round.wish.Instructions = t.message().Content
	if err := t.withinBudget(ctx, func() error { return talkGraph.Run(ctx, t) }); err != nil {
		return nil, err
	}
	return t.talk.Result, nil
}

// message is the one that is answered.
func (t *talking) message() session.Message { return t.history[len(t.history)-1] }

// documents are those that the message is about: its own, else the session's. None is all of the workspace.
func (t *talking) documents() []string {
	if len(t.wish.DocumentIDs) > 0 {
		return t.wish.DocumentIDs
	}
	var ids []string
	for _, d := range t.session.Documents {
		ids = append(ids, d.ID)
	}
	return ids
}

// draftID is the draft that the message is about: the one it names, else the one that the conversation came to last.
func (t *talking) draftID() string {
	if t.wish.DraftID != "" {
		return t.wish.DraftID
	}
	for _, m := range slices.Backward(t.history) {
		if m.DraftID != "" {
			return m.DraftID
		}
	}
	return ""
}

// say streams a text that is there whole, as what is answered.
func (t *talking) say(ctx context.Context, format string, args ...any) error {
	w := writing{ID: pieceID, Shown: 1, Text: fmt.Sprintf(format, args...)}
	t.talk.Said = w.Text
	return t.show(ctx, []writing{w})
}

// chatData fills chat.md in.
type chatData struct{ Persona, Language, Tone string }

func (t *talking) chatRequest(turns turnsData) (llm.Request, error) {
	return ask("chat", "chat", chatData{t.writer.Sessions.Persona(t.wish.Profile), t.language(), t.wish.Settings.Tone}, "turns", turns)
}

// doChat is the node that talks without the library.
func (t *talking) doChat(ctx context.Context) (string, []runs.NewEvent, error) {
	if t.model == nil {
		return nodeFinish, nil, t.say(ctx, "%s", t.words().chat)
	}
	turns, err := t.turns(ctx)
	if err != nil {
		return "", nil, err
	}
	request, err := t.chatRequest(turns)
	if err != nil {
		return "", nil, err
	}
	w := writing{ID: pieceID, Shown: 1}
	stage := t.newStage([]writing{w})
	p := t.newPen(section{}, func(text string) error { return stage.say(ctx, 0, text) })
	if err := t.converse(ctx, request, p.write); err != nil {
		return "", nil, err
	}
	if err := p.end(); err != nil {
		return "", nil, err
	}
	w.Text = p.text.String()
	if err := stage.close(ctx, 0, w); err != nil {
		return "", nil, err
	}
	t.talk.Said = strings.TrimSpace(w.Text)
	return nodeFinish, p.complaints(""), nil
}

// maxTools is how often a model may ask for tools before it has to answer.
const maxTools = 8

// converse has the model talk, with the tools of the installation if there are any. What a tool says is material, as a source is.
func (t *talking) converse(ctx context.Context, q llm.Request, write func(string) error) error {
	for n := 1; ; n++ {
		var err error
		if q.Tools = nil; n <= maxTools {
			if q.Tools, err = t.writer.Offered(ctx); err != nil {
				return err
			}
		}
		if len(q.Tools) == 0 {
			return t.compose(ctx, fmt.Sprintf("chat/%d", n), q, write)
		}
		a, err := t.call(ctx, fmt.Sprintf("chat/tool/%d", n), q, write)
		if err != nil || len(a.Calls) == 0 {
			return err
		}
		q.Messages = append(slices.Clone(q.Messages), llm.Message{Role: llm.Assistant, Content: a.Text, Calls: a.Calls})
		for i, c := range a.Calls {
			out, err := t.writer.UseTool(ctx, t.job, fmt.Sprintf("%schat/use/%d/%d", t.prefix, n, i+1), c)
			if err != nil {
				return err
			}
			q.Messages = append(q.Messages, llm.Message{Role: llm.Result, CallID: c.ID, Content: material(out.Text)})
		}
	}
}

func (t *talking) language() string {
	if l := t.wish.Settings.Language; l != "" {
		return languageName(l)
	}
	return ""
}

// doAnswer is the node that answers from the library, and from the web where that was asked for.
func (t *talking) doAnswer(ctx context.Context) (string, []runs.NewEvent, error) {
	ids := t.documents()
	if err := t.awaitDocuments(ctx, "documents", ids); err != nil {
		return "", nil, err
	}
	var events []runs.NewEvent
	unsearched := ""
	if t.talk.Web && (t.writer.Web == nil || !WebAllowed(t.job.Run().Input)) {
		unsearched = "The web was not searched: it is not set up, or this session's settings do not allow it (web: true)."
		events = append(events, notice("web_not_allowed", "%s", unsearched))
	} else if t.talk.Web {
		// The author's words only: what a model makes of them may come from a source.
		docs, said, err := t.writer.Web.Gather(ctx, t.job, []string{clip(t.message().Content, longQuery)}, webPages)
		if err != nil {
			return "", nil, err
		}
		for _, s := range said {
			events = append(events, notice("web", "%s", s))
		}
		for _, d := range docs {
			t.talk.WebIDs = append(t.talk.WebIDs, d.ID)
		}
		ids = append(slices.Clone(ids), t.talk.WebIDs...)
	}
	asking := Asking{
		Question: t.talk.Request, DocumentIDs: ids, TopK: t.wish.Settings.TopK, Provider: t.wish.Provider, Model: t.wish.Model, Author: t.wish.Author,
		Instructions: t.instructions(),
	}
	if t.model == nil {
		asking.Provider, asking.Model = offline, ""
	}
	if t.model == nil || t.wish.Action != nil { // else the router has made the question stand alone
		asking.History = t.said()
	}
	a, err := t.writer.Answer(ctx, t.job, asking, Desk{Prefix: t.prefix + "answer/", Channel: t.channel})
	if err != nil {
		return "", nil, err
	}
	t.talk.Said, t.talk.Cites = a.Answer, a.Citations
	if unsearched != "" {
		return nodeFinish, events, t.add(ctx, unsearched)
	}
	return nodeFinish, events, nil
}

// add streams a paragraph behind what is said.
func (t *talking) add(ctx context.Context, text string) error {
	text = "\n\n" + text
	var done struct{}
	err := t.Once(ctx, "add", &done, func(ctx context.Context) ([]runs.NewEvent, error) {
		return nil, t.job.Token(ctx, t.channelName(), "", len(t.talk.Said), text)
	})
	t.talk.Said += text
	return err
}

// instructions are the session's settings in words.
func (t *talking) instructions() string {
	s := t.wish.Settings
	var parts []string
	add := func(format string, v any, is bool) {
		if is {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	if persona := t.writer.Sessions.Persona(t.wish.Profile); persona != "" {
		parts = append(parts, persona)
	}
	add("Answer in %s.", languageName(s.Language), s.Language != "")
	add("Tone: %s.", s.Tone, s.Tone != "")
	add("For these readers: %s.", s.Audience, s.Audience != "")
	words := t.talk.Words
	if words == 0 {
		words = s.Words
	}
	add("About %d words.", words, words > 0)
	add("Keep to this: %s.", strings.Join(s.Must, "; "), len(s.Must) > 0)
	add("Never write about: %s.", strings.Join(s.MustNot, "; "), len(s.MustNot) > 0)
	return strings.Join(parts, " ")
}

// said is the conversation before the message.
func (t *talking) said() (turns []Turn) {
	for _, m := range t.history[:len(t.history)-1] {
		if m.Content != "" {
			turns = append(turns, Turn{string(m.Role), m.Content})
		}
	}
	return turns
}

// doEdit is the node that proposes a change of the draft.
func (t *talking) doEdit(ctx context.Context) (string, []runs.NewEvent, error) {
	ws := t.job.Run().Workspace
	d, err := t.writer.Drafting.Draft(ctx, ws, t.draftID())
	if f := fault.Of(err); f != nil && f.Kind == fault.NotFound {
		return nodeFinish, nil, t.say(ctx, "%s", t.words().noDraft)
	}
	if err != nil {
		return "", nil, fmt.Errorf("read draft: %w", err)
	}
	if d.Version == 0 || d.Status == draft.Generating {
		return nodeFinish, nil, t.say(ctx, "%s", t.words().notYet)
	}
	wish := draft.Refinement{Feedback: t.talk.Request, DraftID: d.ID, Version: d.Version, Author: t.wish.Author, Provider: t.wish.Provider, Model: t.wish.Model}
	if t.model == nil {
		wish.Provider, wish.Model = offline, ""
	}
	if s := t.wish.Selection; s != nil {
		wish.Selection = &draft.Selection{Start: s.Start, End: s.End}
		if s.Version > 0 {
			wish.Version = s.Version
		}
	}
	t.talk.DraftID = d.ID
	var kept draft.Refinement // the version that it is about must not change when this is tried again
	err = t.Once(ctx, "edit/wish", &kept, func(ctx context.Context) (_ []runs.NewEvent, err error) {
		kept = wish
		kept.StyleGuide, err = t.writer.Drafting.StyleGuide(ctx, ws)
		return nil, err
	})
	if err != nil {
		return "", nil, err
	}
	r, err := t.writer.Refine(ctx, t.job, t.prefix+"edit/", kept)
	if f := fault.Of(err); f != nil && f.Kind == fault.Invalid {
		return nodeFinish, nil, t.say(ctx, "%s", f.Say)
	}
	if err != nil {
		return "", nil, err
	}
	words := t.words()
	notes := ""
	if len(r.Notes) > 0 {
		notes = "\n\n" + strings.Join(r.Notes, "\n\n")
	}
	if r.ProposalID == "" {
		return nodeFinish, nil, t.say(ctx, "%s%s", words.nothing, notes)
	}
	changes := r.Hunks
	if r.Title {
		changes++
	}
	data, err := json.Marshal(decision{DraftID: d.ID, ProposalID: r.ProposalID})
	if err != nil {
		return "", nil, err
	}
	t.talk.Actions = []session.Action{{ID: "accept", Name: actionAccept, Label: words.accept, Data: data}, {ID: "reject", Name: actionReject, Label: words.reject, Data: data}}
	return nodeFinish, nil, t.say(ctx, words.proposed+"%s", changes, d.Title, notes)
}

// The names of buttons of ours.
const (
	actionAccept = "accept"
	actionReject = "reject"
)

// decision is the data of a button below a proposal.
type decision struct {
	DraftID    string   `json:"draft_id"`
	ProposalID string   `json:"proposal_id"`
	Hunks      []string `json:"hunks,omitempty"` // empty: all
}

// doDecide is the node that takes or drops a proposal, as somebody has pressed.
func (t *talking) doDecide(ctx context.Context) (string, []runs.NewEvent, error) {
	var d decision
	press := t.press()
	if err := json.Unmarshal(press.Data, &d); err != nil || d.ProposalID == "" {
		return nodeFinish, nil, t.say(ctx, "%s", t.words().nothing)
	}
	ws := t.job.Run().Workspace
	t.talk.DraftID = d.DraftID
	words := t.words()
	var err error
	if press.Name == actionReject {
		if _, err = t.writer.Drafting.Reject(ctx, ws, d.DraftID, d.ProposalID, d.Hunks); err == nil {
			return nodeFinish, nil, t.say(ctx, "%s", words.rejected)
		}
	} else {
		var p draft.Proposal
		if p, err = t.writer.Drafting.Accept(ctx, ws, d.DraftID, d.ProposalID, d.Hunks, t.wish.Author); err == nil {
			return nodeFinish, nil, t.say(ctx, words.accepted, p.Version)
		}
	}
	if f := fault.Of(err); f.Kind == fault.NotFound || f.Kind == fault.Conflict || f.Kind == fault.Stale || f.Kind == fault.Invalid {
		return nodeFinish, nil, t.say(ctx, "%s", f.Say)
	}
	return "", nil, err
}

// doWalk is the node that takes the last change of the draft back, or what was taken back forth again.
func (t *talking) doWalk(ctx context.Context) (string, []runs.NewEvent, error) {
	ws, words := t.job.Run().Workspace, t.words()
	back := t.talk.Intent == intentUndo
	id := t.draftID()
	if id == "" && len(t.session.Drafts) > 0 {
		id = t.session.Drafts[len(t.session.Drafts)-1].ID
	}
	if id == "" {
		return nodeFinish, nil, t.say(ctx, "%s", words.nothingUndone)
	}
	t.talk.DraftID = id
	walk := draft.Walk{Steps: 1, Author: t.wish.Author}
	if back {
		walk.Steps = -1
	}
	d, err := t.writer.Drafting.Walk(ctx, ws, id, 0, walk, &ident.Once{Key: "chat " + t.job.Run().ID, Fingerprint: t.job.Run().ID})
	switch f := fault.Of(err); {
	case err == nil:
	case f.Code == "nothing_to_undo":
		return nodeFinish, nil, t.say(ctx, "%s", words.nothingUndone)
	case f.Code == "nothing_to_redo":
		return nodeFinish, nil, t.say(ctx, "%s", words.nothingRedone)
	case f.Kind == fault.NotFound:
		t.talk.DraftID = ""
		return nodeFinish, nil, t.say(ctx, "%s", words.nothingUndone)
	case f.Kind == fault.Conflict:
		return nodeFinish, nil, t.say(ctx, "%s", f.Say)
	default:
		return "", nil, err
	}
	v, err := t.writer.Drafting.Version(ctx, ws, id, d.Version)
	if err != nil {
		return "", nil, fmt.Errorf("read version: %w", err)
	}
	say := words.redone
	if back {
		say = words.undone
	}
	return nodeFinish, nil, t.say(ctx, say, v.Title, v.Again(), v.Number)
}

// doFinish is the node that keeps the answer.
func (t *talking) doFinish(ctx context.Context) (string, []runs.NewEvent, error) {
	m := session.Message{
		ID: t.wish.ReplyID, SessionID: t.wish.SessionID, ParentID: t.wish.MessageID, Role: session.Assistant, Content: t.talk.Said, RunID: t.job.Run().ID,
		DraftID: t.talk.DraftID, Citations: t.talk.Cites, Actions: t.talk.Actions,
	}
	var err error
	if m.Elements, err = t.elements(ctx); err != nil {
		return "", nil, err
	}
	if m.Content == "" {
		m.Content = t.words().nothing
	}
	if err := t.job.Flush(ctx); err != nil {
		return "", nil, err
	}
	m, err = t.writer.Sessions.Reply(ctx, t.job.Lease(), m)
	if err != nil {
		return "", nil, fmt.Errorf("keep answer: %w", err)
	}
	if t.talk.Result == nil {
		t.talk.Result = &Talked{}
	}
	t.talk.Result.MessageID, t.talk.Result.Intent, t.talk.Result.DraftID = m.ID, t.talk.Intent, t.talk.DraftID
	return End, nil, nil
}
