package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/llm"
	"byline/internal/session"
)

// sessionRoutes is the part of the surface that is about sessions, but for their streams.
func (s *server) sessionRoutes(v1 string) {
	const one, message = "/sessions/{session_id}", "/sessions/{session_id}/messages/{message_id}"
	turn := also("202", "The message, the run that answers it, and the place of the answer", "application/json", s.schemaOf(turnShape{}))
	stream := also("200", "That run's events, when Accept is text/event-stream", "text/event-stream", &huma.Schema{Type: "string"})
	object := also("200", "The state", "application/json", &huma.Schema{Type: "object", AdditionalProperties: true})

	handle(s, "POST", v1+"/sessions", "add-session", "sessions", "Begin a session", s.addSession, status(201))
	handle(s, "GET", v1+"/sessions", "list-sessions", "sessions", "List sessions, the last used first", s.listSessions)
	handle(s, "GET", v1+one, "get-session", "sessions", "One session", s.getSession)
	handle(s, "PATCH", v1+one, "patch-session", "sessions", "Change name, tags, model or profile", s.patchSession)
	handle(s, "DELETE", v1+one, "delete-session", "sessions", "Delete it with its messages and their runs; documents and drafts stay", s.deleteSession, status(204))

	handle(s, "GET", v1+one+"/chat-history", "chat-history", "sessions", "A branch of its messages: the newest one, or the one through a message", s.chatHistory)
	handle(s, "POST", v1+one+"/messages", "add-message", "sessions", "Say something; while an answer is being written, the next one waits for it", s.addMessage, turn, stream)
	handle(s, "GET", v1+message, "get-message", "sessions", "One message", s.getMessage)
	handle(s, "PATCH", v1+message, "patch-message", "sessions", "Change its text in its place, or, with rerun, in a new branch with a new answer", s.patchMessage,
		also("200", "Changed in its place", "application/json", s.schemaOf(oneMessageBody{})), turn)
	handle(s, "DELETE", v1+message, "delete-message", "sessions", "Delete it; what follows goes on from the message before it", s.deleteMessage, status(204))
	handle(s, "POST", v1+message+"/regenerate", "regenerate", "sessions", "Another answer, in a branch beside the one that there is", s.regenerate, turn, stream)
	handle(s, "PUT", v1+message+"/feedback", "put-feedback", "sessions", "Rate an answer", s.putFeedback)
	handle(s, "POST", v1+message+"/actions/{action_id}", "press-action", "sessions", "Press a button of an answer; the second time changes nothing", s.pressAction, turn, stream)
	handle(s, "GET", v1+"/feedback", "export-feedback", "sessions", "All feedback as JSON lines, with question and answer", s.exportFeedback,
		also("200", "A line per rated answer", "application/jsonl", &huma.Schema{Type: "string"}))

	handle(s, "GET", v1+one+"/elements", "list-elements", "sessions", "What is shown with it, newest first", s.listElements)
	handle(s, "POST", v1+one+"/elements", "add-element", "sessions", "Show something with it, or with one of its messages", s.addElement, status(201))
	handle(s, "GET", v1+one+"/settings", "get-settings", "sessions", "What all its answers keep to, and the JSON Schema of that", s.getSettings)
	handle(s, "PUT", v1+one+"/settings", "put-settings", "sessions", "Change that", s.putSettings)
	handle(s, "GET", v1+one+"/state", "get-state", "sessions", "A JSON object for clients to keep things in", s.getState, object)
	handle(s, "PATCH", v1+one+"/state", "patch-state", "sessions", "Change it by a JSON merge patch", s.patchState, object)
	handle(s, "GET", v1+one+"/context", "get-context", "sessions", "Its messages as a model is given them", s.getContext)

	handle(s, "GET", v1+"/profiles", "list-profiles", "sessions", "Models and voices to choose from", s.listProfiles)
	handle(s, "GET", v1+"/starters", "list-starters", "sessions", "Things to begin with", s.listStarters)
	handle(s, "GET", v1+"/commands", "list-commands", "sessions", "What a message can ask for by its action", s.listCommands)

	schema, err := json.Marshal(huma.SchemaFromType(s.api.OpenAPI().Components.Schemas, reflect.TypeFor[settingsBody]()))
	if err != nil {
		panic(fmt.Errorf("write schema of settings: %w", err)) // a mistake in the code
	}
	s.settingsSchema = schema
}

// SessionPath names a session.
type SessionPath struct {
	SessionID string `path:"session_id"`
}

func (p SessionPath) check() error { return idParam("session", p.SessionID) }

type sessionOut struct {
	ETag string `header:"ETag"`
	Body sessionShape
}

func toSessionOut(s session.Session) *sessionOut { return &sessionOut{etag(s.Version), toSession(s)} }

type addSessionIn struct {
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body *struct {
		Strict
		Name     string   `json:"name,omitempty" maxLength:"300"`
		Provider string   `json:"llm_provider,omitempty" maxLength:"50"`
		Model    string   `json:"llm_model,omitempty" maxLength:"200"`
		Profile  string   `json:"profile,omitempty" maxLength:"100"`
		Tags     []string `json:"tags,omitempty" maxItems:"50"`
	}
}

type addSessionOut struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     sessionShape
}

func (s *server) addSession(ctx context.Context, in *addSessionIn) (*addSessionOut, error) {
	n := session.Session{Workspace: workspaceOf(ctx)}
	if b := in.Body; b != nil {
		n.Name, n.Provider, n.Model, n.Profile, n.Tags = b.Name, b.Provider, b.Model, b.Profile, b.Tags
	}
	fingerprint, err := json.Marshal(in.Body)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	added, err := s.Sessions.Begin(ctx, n, onceOf(in.Key, "session", fingerprint))
	if err != nil {
		return nil, err
	}
	return &addSessionOut{"/api/v1/sessions/" + added.ID, etag(added.Version), toSession(added)}, nil
}

type listSessionsIn struct {
	CursorIn
	Query string `query:"q" maxLength:"200" doc:"In names and messages"`
	Tag   string `query:"tag" maxLength:"200"`
}

type sessionsOut struct {
	Body struct {
		Sessions []sessionShape `json:"sessions"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listSessions(ctx context.Context, in *listSessionsIn) (*sessionsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	page, total, err := s.Sessions.Sessions(ctx, workspaceOf(ctx), session.Filter{Query: session.Plain(in.Query), Tag: session.Plain(in.Tag), Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &sessionsOut{}
	out.Body.Sessions, out.Body.Total = make([]sessionShape, 0, len(page)), total
	for _, one := range page {
		out.Body.Sessions = append(out.Body.Sessions, toSession(one))
	}
	out.Body.Next = next(page, in.Limit, func(s session.Session) string { return s.Touched })
	return out, nil
}

func (s *server) getSession(ctx context.Context, in *SessionPath) (*sessionOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	found, err := s.Sessions.Session(ctx, workspaceOf(ctx), in.SessionID)
	if err != nil {
		return nil, err
	}
	out := toSessionOut(found)
	out.Body.Metadata.Usage, err = s.usageOfSession(ctx, in.SessionID)
	return out, err
}

// usageOfSession sums up what all runs of a session have used of models; nil for nothing.
func (s *server) usageOfSession(ctx context.Context, id string) (*usageShape, error) {
	ids, err := s.Sessions.RunIDs(ctx, workspaceOf(ctx), id)
	if err != nil {
		return nil, err
	}
	used, err := s.Books.UsageOfRuns(ctx, workspaceOf(ctx), ids)
	if err != nil || len(used) == 0 {
		return nil, err
	}
	var sum llm.Line
	for _, l := range used {
		sum = sum.Plus(l)
	}
	u := s.toUsage(sum)
	return &u, nil
}

type patchSessionIn struct {
	SessionPath
	IfMatch string `header:"If-Match" doc:"The ETag of the session that was changed, so that nobody's change is overwritten"`
	Body    struct {
		Strict
		Name     *string   `json:"name,omitempty" maxLength:"300"`
		Provider *string   `json:"llm_provider,omitempty" maxLength:"50"`
		Model    *string   `json:"llm_model,omitempty" maxLength:"200"`
		Profile  *string   `json:"profile,omitempty" maxLength:"100"`
		Tags     *[]string `json:"tags,omitempty" maxItems:"50"`
	}
}

func (s *server) patchSession(ctx context.Context, in *patchSessionIn) (*sessionOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	b := in.Body
	p := session.Patch{Name: b.Name, Provider: b.Provider, Model: b.Model, Profile: b.Profile, Tags: b.Tags}
	if in.IfMatch != "" {
		match, err := parseMatch(in.IfMatch)
		if err != nil {
			return nil, err
		}
		p.Match = match
	}
	changed, err := s.Sessions.Change(ctx, workspaceOf(ctx), in.SessionID, p)
	if err != nil {
		return nil, err
	}
	return toSessionOut(changed), nil
}

func (s *server) deleteSession(ctx context.Context, in *SessionPath) (*struct{}, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return nil, s.Sessions.Delete(ctx, workspaceOf(ctx), in.SessionID)
}

type listElementsIn struct {
	SessionPath
	CursorIn
	MessageID string `query:"message_id" doc:"Of this message only"`
}

func (in listElementsIn) checkAll() error {
	if err := in.SessionPath.check(); err != nil {
		return err
	}
	return in.CursorIn.check()
}

type elementsOut struct {
	Body struct {
		Elements []elementShape `json:"elements"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listElements(ctx context.Context, in *listElementsIn) (*elementsOut, error) {
	if err := in.checkAll(); err != nil {
		return nil, err
	}
	page, total, err := s.Sessions.Elements(ctx, workspaceOf(ctx), in.SessionID, session.Plain(in.MessageID), in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &elementsOut{}
	if out.Body.Elements, err = s.toElements(ctx, page); err != nil {
		return nil, err
	}
	out.Body.Total = total
	out.Body.Next = next(page, in.Limit, func(e session.Element) string { return e.ID })
	return out, nil
}

type addElementIn struct {
	SessionPath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	RawBody []byte
	Body    struct {
		Strict
		Type       string          `json:"type" enum:"text,image,pdf,audio,file,table,tasks"`
		Name       string          `json:"name,omitempty" maxLength:"300"`
		Display    string          `json:"display,omitempty" enum:"inline,side" default:"inline"`
		DocumentID string          `json:"document_id,omitempty" doc:"It becomes one of the session's documents"`
		Page       int             `json:"page,omitempty" minimum:"1"`
		MessageID  string          `json:"message_id,omitempty"`
		Data       json.RawMessage `json:"data,omitempty" doc:"Of a text: a string; of a table: {columns, rows}; of tasks: {tasks: [{title, status}]}, or {run_id} of a run that writes a post; else as the client likes"`
	}
}

type elementOut struct{ Body elementShape }

func (s *server) addElement(ctx context.Context, in *addElementIn) (*elementOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	b := in.Body
	added, err := s.Sessions.Show(ctx, workspaceOf(ctx), session.Element{SessionID: in.SessionID, MessageID: b.MessageID, Type: session.ElementType(b.Type), Name: b.Name,
		Display: session.Display(b.Display), DocumentID: b.DocumentID, Page: b.Page, Data: b.Data}, onceOf(in.Key, "element "+in.SessionID, in.RawBody))
	if err != nil {
		return nil, err
	}
	list, err := s.toElements(ctx, []session.Element{added})
	if err != nil {
		return nil, err
	}
	return &elementOut{list[0]}, nil
}

type settingsOut struct {
	Body struct {
		Schema json.RawMessage `json:"schema" doc:"JSON Schema of values"`
		Values settingsBody    `json:"values"`
	}
}

func (s *server) settingsOut(v session.Settings) *settingsOut {
	out := &settingsOut{}
	out.Body.Schema, out.Body.Values = s.settingsSchema, toSettings(v)
	return out
}

func (s *server) getSettings(ctx context.Context, in *SessionPath) (*settingsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	v, err := s.Sessions.Settings(ctx, workspaceOf(ctx), in.SessionID)
	if err != nil {
		return nil, err
	}
	return s.settingsOut(v), nil
}

type putSettingsIn struct {
	SessionPath
	Body struct {
		Strict
		Values settingsBody `json:"values"`
	}
}

func (s *server) putSettings(ctx context.Context, in *putSettingsIn) (*settingsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	v := in.Body.Values.settings()
	if err := s.Sessions.SetSettings(ctx, workspaceOf(ctx), in.SessionID, v); err != nil {
		return nil, err
	}
	return s.settingsOut(v), nil
}

func (s *server) getState(ctx context.Context, in *SessionPath) (*rawOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	state, err := s.Sessions.State(ctx, workspaceOf(ctx), in.SessionID)
	return &rawOut{"application/json", state}, err
}

type patchStateIn struct {
	SessionPath
	Body json.RawMessage `doc:"A JSON merge patch (RFC 7396): fields to set; null removes one"`
}

func (s *server) patchState(ctx context.Context, in *patchStateIn) (*rawOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	state, err := s.Sessions.PatchState(ctx, workspaceOf(ctx), in.SessionID, in.Body)
	return &rawOut{"application/json", state}, err
}

type contextIn struct {
	SessionPath
	Format string `query:"format" enum:"openai" default:"openai"`
	Branch string `query:"branch" doc:"A message of the branch; without one, the newest branch"`
}

type contextMessage struct {
	Role    string `json:"role" enum:"system,user,assistant"`
	Content string `json:"content"`
}

type contextOut struct {
	Body struct {
		Messages []contextMessage `json:"messages" doc:"As /v1/chat/completions takes them"`
	}
}

func (s *server) getContext(ctx context.Context, in *contextIn) (*contextOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	messages, err := s.Sessions.Context(ctx, workspaceOf(ctx), in.SessionID, session.Plain(in.Branch))
	if err != nil {
		return nil, err
	}
	out := &contextOut{}
	for _, m := range messages {
		out.Body.Messages = append(out.Body.Messages, contextMessage{string(m.Role), m.Content})
	}
	return out, nil
}

type profilesOut struct {
	Body struct {
		Profiles []profileShape `json:"profiles"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listProfiles(context.Context, *struct{}) (*profilesOut, error) {
	out := &profilesOut{}
	out.Body.Profiles = []profileShape{}
	for _, p := range s.Sessions.Profiles() {
		out.Body.Profiles = append(out.Body.Profiles, profileShape{p.Name, p.Title, p.Description, p.Provider, p.Model, p.Persona, toSettings(p.Settings), p.Name == session.DefaultProfile})
	}
	out.Body.Total = len(out.Body.Profiles)
	return out, nil
}

type startersOut struct {
	Body struct {
		Starters []starterShape `json:"starters"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listStarters(context.Context, *struct{}) (*startersOut, error) {
	out := &startersOut{}
	for _, x := range session.Starters() {
		out.Body.Starters = append(out.Body.Starters, starterShape(x))
	}
	out.Body.Total = len(out.Body.Starters)
	return out, nil
}

type commandsOut struct {
	Body struct {
		Commands []commandShape `json:"commands"`
		Total    int            `json:"total"`
		Next     *string        `json:"next" nullable:"true"`
	}
}

func (s *server) listCommands(context.Context, *struct{}) (*commandsOut, error) {
	out := &commandsOut{}
	for _, x := range session.Commands() {
		out.Body.Commands = append(out.Body.Commands, commandShape(x))
	}
	out.Body.Total = len(out.Body.Commands)
	return out, nil
}
