package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"byline/internal/session"
)

// MessagePath names a message of a session.
type MessagePath struct {
	SessionPath
	MessageID string `path:"message_id"`
}

func (p MessagePath) check() error {
	if err := p.SessionPath.check(); err != nil {
		return err
	}
	return idParam("message", p.MessageID)
}

type historyIn struct {
	SessionPath
	CursorIn
	Branch string `query:"branch" doc:"A message of the branch; without one, the newest branch"`
}

type historyOut struct {
	Body struct {
		Messages []messageShape `json:"messages" doc:"In the order in which they were said; the first page is the end of the branch"`
		Total    int            `json:"total" doc:"Of the branch"`
		Next     *string        `json:"next" nullable:"true" doc:"Cursor of the page before this one"`
	}
}

func (s *server) chatHistory(ctx context.Context, in *historyIn) (*historyOut, error) {
	if err := in.SessionPath.check(); err != nil {
		return nil, err
	}
	if err := in.CursorIn.check(); err != nil {
		return nil, err
	}
	page, total, earlier, err := s.Sessions.Branch(ctx, workspaceOf(ctx), in.SessionID, session.Plain(in.Branch), in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &historyOut{}
	if out.Body.Messages, err = s.withMessageUsage(ctx, page...); err != nil {
		return nil, err
	}
	if out.Body.Total = total; earlier {
		out.Body.Next = &page[0].ID
	}
	return out, nil
}

// withMessageUsage adds what models were used to messages.
func (s *server) withMessageUsage(ctx context.Context, list ...session.Message) ([]messageShape, error) {
	var ids []string
	for _, m := range list {
		if m.RunID != "" {
			ids = append(ids, m.RunID)
		}
	}
	used, err := s.Books.UsageOfRuns(ctx, workspaceOf(ctx), ids)
	if err != nil {
		return nil, err
	}
	out := make([]messageShape, len(list))
	for i, m := range list {
		out[i] = s.toMessage(m, used)
		if out[i].Elements, err = s.toElements(ctx, m.Elements); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type addMessageIn struct {
	SessionPath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	RawBody []byte
	Body    struct {
		Strict
		Content     string   `json:"content" minLength:"1" maxLength:"100000"`
		DocumentIDs []string `json:"document_ids,omitempty" maxItems:"500" doc:"They become documents of the session"`
		DraftID     string   `json:"draft_id,omitempty" doc:"The draft that this is about"`
		Selection   *struct {
			Strict
			Start   int `json:"start" minimum:"0" doc:"UTF-8 byte offset in the draft's content"`
			End     int `json:"end" minimum:"0"`
			Version int `json:"version,omitempty" minimum:"1" doc:"Which version was selected in; the newest one without"`
		} `json:"selection,omitempty"`
		Action   string `json:"action,omitempty" maxLength:"50" doc:"What is to be done, by a command's name; else it is told from the words"`
		ParentID string `json:"parent_id,omitempty" doc:"The message to go on from; without one, the end of the newest branch"`
	}
}

func (s *server) addMessage(ctx context.Context, in *addMessageIn) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	b := in.Body
	said := session.Said{Author: userOf(ctx).ID, Content: b.Content, ParentID: b.ParentID, DocumentIDs: b.DocumentIDs, DraftID: b.DraftID}
	if sel := b.Selection; sel != nil {
		said.Selection = &session.Selection{Start: sel.Start, End: sel.End, Version: sel.Version}
	}
	if b.Action != "" {
		said.Action = &session.Press{Name: b.Action}
	}
	turn, err := s.Sessions.Send(ctx, workspaceOf(ctx), in.SessionID, said, onceOf(in.Key, "message "+in.SessionID, in.RawBody))
	return s.turn(turn, err)
}

// turn answers with what was started, or with the events of its run.
func (s *server) turn(turn session.Turn, err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		req, resp := humago.Unwrap(c)
		resp.Header().Set("Location", "/api/v1/runs/"+turn.Run.ID)
		if wantsStream(req) {
			s.stream(resp, req.WithContext(c.Context()), turn.Run.ID, 0)
			return
		}
		if err := writeJSON(resp, http.StatusAccepted, s.toTurn(turn)); err != nil {
			s.log.DebugContext(c.Context(), "write answer", "error", err)
		}
	}}, nil
}

type oneMessageBody struct {
	Message messageShape `json:"message"`
}

type messageOut struct{ Body oneMessageBody }

func (s *server) oneMessage(ctx context.Context, m session.Message, err error) (*messageOut, error) {
	if err != nil {
		return nil, err
	}
	list, err := s.withMessageUsage(ctx, m)
	if err != nil {
		return nil, err
	}
	return &messageOut{oneMessageBody{list[0]}}, nil
}

func (s *server) getMessage(ctx context.Context, in *MessagePath) (*messageOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m, err := s.Sessions.Message(ctx, workspaceOf(ctx), in.SessionID, in.MessageID)
	return s.oneMessage(ctx, m, err)
}

type patchMessageIn struct {
	MessagePath
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	RawBody []byte
	Body    struct {
		Strict
		Content string `json:"content" minLength:"1" maxLength:"100000"`
		Rerun   bool   `json:"rerun,omitempty" doc:"Leave the message as it is and ask anew in a branch beside it"`
	}
}

func (s *server) patchMessage(ctx context.Context, in *patchMessageIn) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Body.Rerun {
		turn, err := s.Sessions.Send(ctx, workspaceOf(ctx), in.SessionID, session.Said{Author: userOf(ctx).ID, Content: in.Body.Content, Edits: in.MessageID},
			onceOf(in.Key, "rerun "+in.MessageID, in.RawBody))
		return s.turn(turn, err)
	}
	m, err := s.Sessions.Correct(ctx, workspaceOf(ctx), in.SessionID, in.MessageID, in.Body.Content)
	out, err := s.oneMessage(ctx, m, err)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, resp := humago.Unwrap(c)
		if err := writeJSON(resp, http.StatusOK, out.Body); err != nil {
			s.log.DebugContext(c.Context(), "write answer", "error", err)
		}
	}}, nil
}

func (s *server) deleteMessage(ctx context.Context, in *MessagePath) (*struct{}, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return nil, s.Sessions.Remove(ctx, workspaceOf(ctx), in.SessionID, in.MessageID)
}

type regenerateIn struct {
	MessagePath
	Key string `header:"Idempotency-Key" maxLength:"255"`
}

func (s *server) regenerate(ctx context.Context, in *regenerateIn) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	turn, err := s.Sessions.Regenerate(ctx, workspaceOf(ctx), in.SessionID, in.MessageID, userOf(ctx).ID, onceOf(in.Key, "regenerate "+in.MessageID, nil))
	return s.turn(turn, err)
}

type feedbackIn struct {
	MessagePath
	Body struct {
		Strict
		Value   int    `json:"value" minimum:"0" maximum:"1" doc:"0 bad, 1 good"`
		Comment string `json:"comment,omitempty" maxLength:"10000"`
	}
}

func (s *server) putFeedback(ctx context.Context, in *feedbackIn) (*messageOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m, err := s.Sessions.Rate(ctx, workspaceOf(ctx), in.SessionID, in.MessageID, session.Feedback{Value: in.Body.Value, Comment: session.Plain(in.Body.Comment)})
	return s.oneMessage(ctx, m, err)
}

// actionIn takes a key for the sake of clients that send one with every request; a button has one effect without it, too.
type actionIn struct {
	MessagePath
	ActionID string `path:"action_id"`
	Key      string `header:"Idempotency-Key" maxLength:"255"`
}

func (s *server) pressAction(ctx context.Context, in *actionIn) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	turn, err := s.Sessions.Act(ctx, workspaceOf(ctx), in.SessionID, in.MessageID, in.ActionID, userOf(ctx).ID)
	return s.turn(turn, err)
}

type exportFeedbackIn struct {
	SessionID string `query:"session_id" doc:"Of this session only"`
}

// ratedShape is a line of the export.
type ratedShape struct {
	SessionID string    `json:"session_id"`
	MessageID string    `json:"message_id"`
	RunID     string    `json:"run_id,omitempty"`
	Value     int       `json:"value"`
	Comment   string    `json:"comment,omitempty"`
	Question  string    `json:"question"`
	Answer    string    `json:"answer"`
	At        time.Time `json:"at"`
}

// exportFeedback reads page by page, so that an export of any size needs the memory of one.
func (s *server) exportFeedback(ctx context.Context, in *exportFeedbackIn) (*huma.StreamResponse, error) {
	ws, of := workspaceOf(ctx), session.Plain(in.SessionID)
	if of != "" {
		if err := idParam("session", of); err != nil {
			return nil, err
		}
		if _, err := s.Sessions.Session(ctx, ws, of); err != nil {
			return nil, err
		}
	}
	const some = 200
	page, err := s.Sessions.Ratings(ctx, ws, of, "", some)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		w.Header().Set("Content-Type", "application/jsonl")
		w.Header().Set("Content-Disposition", `attachment; filename="feedback.jsonl"`)
		w.WriteHeader(http.StatusOK)
		for out := json.NewEncoder(w); len(page) > 0; {
			for _, r := range page {
				if out.Encode(ratedShape{r.SessionID, r.MessageID, r.RunID, r.Feedback.Value, r.Feedback.Comment, r.Question, r.Answer, r.Feedback.At.UTC()}) != nil {
					return // the client has gone
				}
			}
			if len(page) < some {
				return
			}
			if page, err = s.Sessions.Ratings(ctx, ws, of, page[len(page)-1].MessageID, some); err != nil {
				s.log.WarnContext(ctx, "export of feedback broke", "error", err)
				panic(http.ErrAbortHandler) // half an export must not look like a whole one
			}
		}
	}}, nil
}
