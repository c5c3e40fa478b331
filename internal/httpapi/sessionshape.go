package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"byline/internal/agent"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/session"
)

type sessionShape struct {
	ID          string          `json:"id"`
	Name        string          `json:"name" doc:"Without one, it is named after what is said first"`
	Provider    string          `json:"llm_provider,omitempty"`
	Model       string          `json:"llm_model,omitempty"`
	Profile     string          `json:"profile,omitempty"`
	DocumentIDs []string        `json:"document_ids" doc:"What was dropped into it"`
	DraftIDs    []string        `json:"draft_ids" doc:"What was written in it"`
	Tags        []string        `json:"tags"`
	Metadata    sessionMetadata `json:"metadata"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
}

type sessionMetadata struct {
	MessageCount int               `json:"message_count" doc:"In all branches"`
	Documents    []sessionDocument `json:"documents"`
	Drafts       []sessionDraft    `json:"drafts"`
	Usage        *usageShape       `json:"usage,omitempty" doc:"Of models, by all runs of the session; only where one session is asked for"`
}

type sessionDocument struct {
	ID       string `json:"id"`
	Filename string `json:"filename"`
	Title    string `json:"title,omitempty"`
	Status   string `json:"status"`
}

type sessionDraft struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Status  string `json:"status"`
	Version int    `json:"version"`
}

func toSession(s session.Session) sessionShape {
	out := sessionShape{ID: s.ID, Name: s.Name, Provider: s.Provider, Model: s.Model, Profile: s.Profile, DocumentIDs: []string{}, DraftIDs: []string{}, Tags: list(s.Tags),
		Metadata: sessionMetadata{MessageCount: s.Messages, Documents: []sessionDocument{}, Drafts: []sessionDraft{}}, CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC()}
	for _, d := range s.Documents {
		out.DocumentIDs = append(out.DocumentIDs, d.ID)
		out.Metadata.Documents = append(out.Metadata.Documents, sessionDocument(d))
	}
	for _, d := range s.Drafts {
		out.DraftIDs = append(out.DraftIDs, d.ID)
		out.Metadata.Drafts = append(out.Metadata.Drafts, sessionDraft{d.ID, d.Title, string(d.Status), d.Version})
	}
	return out
}

type actionShape struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Label   string          `json:"label"`
	Data    json.RawMessage `json:"data,omitempty"`
	Pressed string          `json:"pressed,omitempty" doc:"The message that it made"`
}

type feedbackShape struct {
	Value   int       `json:"value" minimum:"0" maximum:"1"`
	Comment string    `json:"comment,omitempty"`
	At      time.Time `json:"at"`
}

type messageShape struct {
	ID          string          `json:"id"`
	SessionID   string          `json:"session_id"`
	Role        string          `json:"role" enum:"user,assistant,system"`
	Content     string          `json:"content" doc:"Of an answer that is to come: empty"`
	RunID       string          `json:"run_id,omitempty" doc:"Of an answer: the run that writes it"`
	ParentID    string          `json:"parent_id,omitempty" doc:"The message before it in its branch"`
	Siblings    []string        `json:"siblings,omitempty" doc:"Messages in the same place of other branches, this one included"`
	Author      string          `json:"author,omitempty" doc:"A user's id"`
	DraftID     string          `json:"draft_id,omitempty"`
	DocumentIDs []string        `json:"document_ids"`
	Citations   []citationShape `json:"citations"`
	Stale       bool            `json:"stale,omitempty" doc:"A source that it cites was deleted or processed anew since"`
	Elements    []elementShape  `json:"elements"`
	Actions     []actionShape   `json:"actions"`
	Error       *failureShape   `json:"error,omitempty" doc:"Why the answer is not complete"`
	Feedback    *feedbackShape  `json:"feedback,omitempty"`
	Usage       *usageShape     `json:"usage,omitempty" doc:"Of models, by its run"`
	CreatedAt   time.Time       `json:"created_at"`
	EditedAt    *time.Time      `json:"edited_at,omitempty"`
}

// toMessage makes the shape of a message without its elements; used is what the runs have used of models.
func (s *server) toMessage(m session.Message, used map[string]llm.Line) messageShape {
	out := messageShape{ID: m.ID, SessionID: m.SessionID, Role: string(m.Role), Content: m.Content, RunID: m.RunID, ParentID: m.ParentID, Author: m.Author, DraftID: m.DraftID,
		DocumentIDs: list(m.DocumentIDs), Citations: toCitations(m.Citations), Stale: m.Stale, Elements: []elementShape{}, Actions: []actionShape{},
		CreatedAt: m.CreatedAt.UTC(), EditedAt: known(m.EditedAt)}
	if len(m.Siblings) > 1 {
		out.Siblings = m.Siblings
	}
	for _, a := range m.Actions {
		out.Actions = append(out.Actions, actionShape(a))
	}
	if m.Failure != nil {
		out.Error = &failureShape{m.Failure.Code, m.Failure.Detail}
	}
	if f := m.Feedback; f != nil {
		out.Feedback = &feedbackShape{f.Value, f.Comment, f.At.UTC()}
	}
	if l, ok := used[m.RunID]; ok {
		u := s.toUsage(l)
		out.Usage = &u
	} else if m.Usage != nil {
		out.Usage = &usageShape{Requests: 1, InputTokens: int64(m.Usage.Input), CachedTokens: int64(m.Usage.Cached), OutputTokens: int64(m.Usage.Output), Unpriced: 1}
	}
	return out
}

type elementShape struct {
	ID         string          `json:"id"`
	MessageID  string          `json:"message_id,omitempty"`
	Type       string          `json:"type" enum:"text,image,pdf,audio,file,table,tasks"`
	Name       string          `json:"name"`
	Display    string          `json:"display" enum:"inline,side"`
	DocumentID string          `json:"document_id,omitempty"`
	Page       int             `json:"page,omitempty"`
	Data       json.RawMessage `json:"data,omitempty" doc:"What there is beside or instead of a document"`
	CreatedAt  time.Time       `json:"created_at"`
}

// toElements makes shapes of elements. A list of tasks of a run is made of its log as it is now.
func (s *server) toElements(ctx context.Context, list []session.Element) ([]elementShape, error) {
	out := make([]elementShape, 0, len(list))
	for _, e := range list {
		if e.Type == session.ElementTasks {
			var err error
			if e.Data, err = s.tasks(ctx, e.Data); err != nil {
				return nil, err
			}
		}
		out = append(out, toElement(e))
	}
	return out, nil
}

// tasksShape is the data of an element of tasks that belong to a run.
type tasksShape struct {
	RunID   string       `json:"run_id"`
	DraftID string       `json:"draft_id,omitempty"`
	Status  string       `json:"status,omitempty"` // of the run
	Tasks   []agent.Task `json:"tasks"`
}

// tasks fills in what a run has to do. A run that is not there, or is another's, leaves the data as it is.
func (s *server) tasks(ctx context.Context, data json.RawMessage) (json.RawMessage, error) {
	var t tasksShape
	if json.Unmarshal(data, &t) != nil || idParam("run", t.RunID) != nil {
		return data, nil
	}
	r, err := s.Runs.Run(ctx, workspaceOf(ctx), t.RunID)
	if f := fault.Of(err); f != nil && f.Kind == fault.NotFound {
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	log, err := s.Outline(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	t.Status, t.Tasks = string(r.Status), agent.Tasks(log, r.Status)
	return json.Marshal(t)
}

func toElement(e session.Element) elementShape {
	return elementShape{e.ID, e.MessageID, string(e.Type), e.Name, string(e.Display), e.DocumentID, e.Page, e.Data, e.CreatedAt.UTC()}
}

// turnShape is what a message starts.
type turnShape struct {
	Message messageShape `json:"message"`
	Run     runShape     `json:"run"`
	Reply   messageShape `json:"reply" doc:"The answer to come, in its place; its run fills it"`
}

func (s *server) toTurn(t session.Turn) turnShape {
	return turnShape{s.toMessage(t.Message, nil), toRun(t.Run), s.toMessage(t.Reply, nil)}
}

// settingsBody is what a person wishes of all answers of a session; its schema is part of the answer.
type settingsBody struct {
	Strict
	Language string   `json:"language,omitempty" maxLength:"35" doc:"In which answers are given, such as en or ko"`
	Tone     string   `json:"tone,omitempty" maxLength:"500"`
	Audience string   `json:"audience,omitempty" maxLength:"500"`
	Words    int      `json:"words,omitempty" minimum:"1" maximum:"20000" doc:"Of an answer"`
	Must     []string `json:"must,omitempty" maxItems:"50" doc:"What answers keep to"`
	MustNot  []string `json:"must_not,omitempty" maxItems:"50"`
	Web      bool     `json:"web,omitempty" doc:"The web may be searched"`
	TopK     int      `json:"top_k,omitempty" minimum:"1" maximum:"50" doc:"How many passages a question is answered from"`
}

func toSettings(s session.Settings) settingsBody {
	return settingsBody{Language: s.Language, Tone: s.Tone, Audience: s.Audience, Words: s.Words, Must: s.Must, MustNot: s.MustNot, Web: s.Web, TopK: s.TopK}
}

func (b settingsBody) settings() session.Settings {
	return session.Settings{Language: b.Language, Tone: b.Tone, Audience: b.Audience, Words: b.Words, Must: b.Must, MustNot: b.MustNot, Web: b.Web, TopK: b.TopK}
}

type profileShape struct {
	Name        string       `json:"name"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Provider    string       `json:"llm_provider,omitempty"`
	Model       string       `json:"llm_model,omitempty"`
	Persona     string       `json:"persona"`
	Settings    settingsBody `json:"settings" doc:"That a session with this profile begins with"`
	Default     bool         `json:"default"`
}

type commandShape struct {
	Name        string `json:"name" doc:"The action of a message"`
	Title       string `json:"title"`
	Description string `json:"description"`
	NeedsDraft  bool   `json:"needs_draft"`
}

type starterShape struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Content string `json:"content" doc:"The message to send"`
	Action  string `json:"action" doc:"And its action"`
}
