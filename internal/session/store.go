package session

import (
	"context"
	"encoding/json"

	"byline/internal/ident"
	"byline/internal/runs"
)

// Store of sessions. Each method is one transaction; all is scoped by workspace, and what is not there, or another's, is
// fault.Missing of "session", "message", "element" or "action". Each change is told in the session's log.
type Store interface {
	// Add creates a session. A repeated once gives the one that it made the first time.
	Add(ctx context.Context, s Session, settings Settings, once *ident.Once) (Session, error)
	Session(ctx context.Context, ws ident.Workspace, id string) (Session, error)
	Sessions(ctx context.Context, ws ident.Workspace, f Filter) (page []Session, total int, err error)
	Update(ctx context.Context, ws ident.Workspace, id string, p Patch) (Session, error)
	// Delete removes a session with its messages and their runs; documents and drafts stay, and belong to no session.
	Delete(ctx context.Context, ws ident.Workspace, id string) error

	// RunIDs are the runs of a session, of any kind.
	RunIDs(ctx context.Context, ws ident.Workspace, id string) ([]string, error)

	Settings(ctx context.Context, ws ident.Workspace, id string) (Settings, error)
	SetSettings(ctx context.Context, ws ident.Workspace, id string, s Settings) error
	State(ctx context.Context, ws ident.Workspace, id string) (json.RawMessage, error)
	// PatchState applies a JSON merge patch to the state and gives the new one.
	PatchState(ctx context.Context, ws ident.Workspace, id string, patch json.RawMessage) (json.RawMessage, error)

	// Say adds a person's message, the empty answer to it and the run that writes that.
	Say(ctx context.Context, ws ident.Workspace, sessionID string, s Said, once *ident.Once) (Turn, error)
	// Regenerate asks for another answer, in a branch beside the one that there is. The message is the answer, or what it answers.
	Regenerate(ctx context.Context, ws ident.Workspace, sessionID, messageID, author string, once *ident.Once) (Turn, error)
	// Act presses a button of a message. The second time gives what the first one has started.
	Act(ctx context.Context, ws ident.Workspace, sessionID, messageID, actionID, author string) (Turn, error)
	// Edit changes the text of a message in its place.
	Edit(ctx context.Context, ws ident.Workspace, sessionID, messageID, content string) (Message, error)
	// Remove deletes a message, with an answer that is still being written to it. What followed goes on from the message before.
	Remove(ctx context.Context, ws ident.Workspace, sessionID, messageID string) error
	Rate(ctx context.Context, ws ident.Workspace, sessionID, messageID string, f Feedback) (Message, error)
	// Ratings gives messages with feedback behind a message's id, in order.
	Ratings(ctx context.Context, ws ident.Workspace, sessionID, after string, limit int) ([]Rated, error)

	Message(ctx context.Context, ws ident.Workspace, sessionID, messageID string) (Message, error)
	// Branch gives a page of a branch: the one that leads through a message to the newest message behind it, or, without one, to the
	// session's newest message. The page has the limit messages before the cursor (a message's id), or the last ones; they are in the
	// order in which they were said. earlier tells whether there are more before them.
	Branch(ctx context.Context, ws ident.Workspace, sessionID, through, cursor string, limit int) (page []Message, total int, earlier bool, err error)
	// History gives the branch that leads to a message, that message included. An answer that is not begun yet is not part of it.
	History(ctx context.Context, ws ident.Workspace, sessionID, messageID string) ([]Message, error)

	AddElement(ctx context.Context, ws ident.Workspace, e Element, once *ident.Once) (Element, error)
	Elements(ctx context.Context, ws ident.Workspace, sessionID, messageID, cursor string, limit int) (page []Element, total int, err error)

	// Reply is the fenced write of a chat run: it fills the answer (content, citations, elements, actions, usage) and appends
	// events to the run's log. Called again it takes the place of what it wrote before.
	Reply(ctx context.Context, l runs.Lease, m Message, events ...runs.NewEvent) (Message, error)
}
