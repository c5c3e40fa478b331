// Package session is conversations: their messages as a tree of branches, and the log that everybody in a session follows.
//
// A session's log has every event of its runs, and those that belong to no run (message.created and the like). Each has a
// session_seq; they are numbered 1, 2, 3 ... in the order of their commits, in the transaction that they tell of, by a counter
// in the session's row. So whoever has read up to n has everything up to n, for ever: a reader is a cursor, as in package runs.
// Numbers may be missing later (tokens that were joined, messages that were deleted), never reused.
//
// To follow a session: runs.Hub.FollowSession. The store publishes runs.SessionTopic(id) on the bus after each commit.
//
// A message that a person sends is stored with the empty message that will be the answer and the run that writes it. The
// runs of a session go one after another. The handler of runs.KindChat reads its Wish, calls History and Reply.
package session

import (
	"encoding/json"
	"time"

	"byline/internal/draft"
	"byline/internal/ident"
	"byline/internal/llm"
	"byline/internal/runs"
)

// SubjectMessage is the type of a chat run's subject: the message that it answers.
const SubjectMessage = "message"

// The types of events without a run.
const (
	EventMessageCreated = "message.created" // MessageEvent
	EventMessageUpdated = "message.updated" // MessageEvent
	EventMessageDeleted = "message.deleted" // MessageDeleted
	EventUpdated        = "session.updated" // Changed
	EventDraftUpdated   = "draft.updated"   // DraftUpdated
)

// ChannelReply is the channel of the tokens of a chat run's answer: what is kept of it when it does not complete.
const ChannelReply = "reply"

// Session is a conversation.
type Session struct {
	ID        string
	Workspace ident.Workspace
	Name      string
	Provider  string // of models; empty: the profile's, then the configured one
	Model     string
	Profile   string // name of a Profile
	Tags      []string
	Documents []Document // dropped into it
	Drafts    []Draft    // written in it
	Messages  int        // how many there are, in all branches
	Version   int        // counts the changes of the session itself, for ETag
	Touched   string     // a ULID of the newest message; lists are in this order, the newest first
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Document names a document of a session.
type Document struct {
	ID, Filename, Title, Status string
}

// Draft names a draft of a session.
type Draft struct {
	ID, Title string
	Status    draft.Status
	Version   int
}

// Role of who speaks.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	System    Role = "system"
)

// Message is what somebody, or Byline, said.
type Message struct {
	ID          string
	SessionID   string
	ParentID    string // the message before it in its branch; empty for the first
	Siblings    []string
	Role        Role
	Author      string // user's id, of a user's message
	Content     string // Markdown without citation markers
	RunID       string // of an assistant's message: the run that writes it
	DraftID     string // which draft it is about
	DocumentIDs []string
	Citations   []draft.Citation // their claims are places in Content
	Stale       bool             // a source that it cites was deleted, or processed anew, since
	Elements    []Element
	Actions     []Action
	Usage       *llm.Usage    // of an assistant's message, as its run told it
	Failure     *runs.Failure // why an answer is not complete
	Feedback    *Feedback
	CreatedAt   time.Time
	EditedAt    time.Time // zero: never
}

// Element is something that is shown with a session or with one of its messages.
type Element struct {
	ID         string
	SessionID  string
	MessageID  string // empty: of the session
	Type       ElementType
	Name       string
	Display    Display
	DocumentID string
	Page       int             // of the document, from 1; 0: all
	Data       json.RawMessage // what there is beside or instead of a document
	CreatedAt  time.Time
}

// ElementType says how an element is shown.
type ElementType string

// The types of elements.
const (
	ElementText  ElementType = "text"
	ElementImage ElementType = "image"
	ElementPDF   ElementType = "pdf"
	ElementAudio ElementType = "audio"
	ElementFile  ElementType = "file"
	ElementTable ElementType = "table"
	ElementTasks ElementType = "tasks"
)

// Display says where an element is shown.
type Display string

// Where elements are shown.
const (
	Inline Display = "inline"
	Side   Display = "side"
)

// Action is a button below an answer. Pressing it says Label in the session and starts a run that is told Press; it has one
// effect, however often it is pressed.
type Action struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"` // what is to be done, for programs: a command's action, or the agent's own
	Label   string          `json:"label"`
	Data    json.RawMessage `json:"data,omitempty"`
	Pressed string          `json:"pressed,omitempty"` // the message that it made
}

// Press is what a person pressed: it is done, not guessed at.
type Press struct {
	Name      string          `json:"name"`
	ActionID  string          `json:"action_id,omitempty"`  // of the button, if it was one
	MessageID string          `json:"message_id,omitempty"` // that has the button
	Data      json.RawMessage `json:"data,omitempty"`
}

// Feedback is what a person thinks of an answer.
type Feedback struct {
	Value   int // 0 bad, 1 good
	Comment string
	At      time.Time
}

// Selection is a part of a draft's version.
type Selection struct {
	Start   int `json:"start"` // UTF-8 byte offsets in the content
	End     int `json:"end"`
	Version int `json:"version,omitempty"` // number; 0: the newest one
}

// Wish is the input of a chat run.
type Wish struct {
	SessionID   string     `json:"session_id"`
	MessageID   string     `json:"message_id"`          // the user's message; History gives the branch that leads to it
	ParentID    string     `json:"parent_id,omitempty"` // of that message
	ReplyID     string     `json:"reply_id"`            // the message that Reply fills
	DocumentIDs []string   `json:"document_ids,omitempty"`
	DraftID     string     `json:"draft_id,omitempty"`
	Selection   *Selection `json:"selection,omitempty"`
	Action      *Press     `json:"action,omitempty"`
	Provider    string     `json:"llm_provider,omitempty"`
	Model       string     `json:"llm_model,omitempty"`
	Profile     string     `json:"profile,omitempty"` // its persona is Service.Persona
	Settings    Settings   `json:"settings"`
	Author      string     `json:"author,omitempty"` // the user who asked
}

// Settings are a person's wishes for all answers of a session.
type Settings struct {
	Language string   `json:"language,omitempty"`
	Tone     string   `json:"tone,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Words    int      `json:"words,omitempty"` // of an answer
	Must     []string `json:"must,omitempty"`
	MustNot  []string `json:"must_not,omitempty"`
	Web      bool     `json:"web,omitempty"`   // the web may be searched
	TopK     int      `json:"top_k,omitempty"` // passages of a question
}

// MessageEvent is the data of message.created and message.updated. Citations, elements and actions are read with the message.
type MessageEvent struct {
	MessageID string        `json:"message_id"`
	ParentID  string        `json:"parent_id,omitempty"`
	Role      Role          `json:"role"`
	Content   string        `json:"content"`
	RunID     string        `json:"run_id,omitempty"`
	Author    string        `json:"author,omitempty"`
	Error     *runs.Failure `json:"error,omitempty"`
}

// MessageDeleted is the data of message.deleted.
type MessageDeleted struct {
	MessageID string `json:"message_id"`
}

// Changed is the data of session.updated: what is new of it, by the names of the wire.
type Changed struct {
	Name    *string   `json:"name,omitempty"`
	Tags    *[]string `json:"tags,omitempty"`
	Changed []string  `json:"changed"` // name, tags, llm_provider, llm_model, profile, settings, state, documents, elements, feedback
}

// DraftUpdated is the data of draft.updated.
type DraftUpdated struct {
	DraftID string       `json:"draft_id"`
	Version int          `json:"version"`
	Status  draft.Status `json:"status,omitempty"`
	Deleted bool         `json:"deleted,omitempty"`
}

// Filter of Sessions; zero fields do not filter. Cursor is Touched of the last session of the page before.
type Filter struct {
	Query  string // in names and messages, case ignored
	Tag    string
	Cursor string
	Limit  int
}

// Patch changes a session; nil leaves a field as it is. Match, unless 0, is the Version that the person saw.
type Patch struct {
	Name     *string
	Provider *string
	Model    *string
	Profile  *string
	Tags     *[]string
	Match    int
}

// Said is a message that a person sends: a new one, or, with Edits, another text for one that is there, as a branch beside it.
type Said struct {
	Author      string
	Content     string
	ParentID    string // empty: goes on where the session's newest branch ends
	Edits       string // message that it takes the place of, in a new branch
	DocumentIDs []string
	DraftID     string
	Selection   *Selection
	Action      *Press
}

// Turn is what a message starts.
type Turn struct {
	Message Message // of the user
	Reply   Message // of the assistant; empty until its run writes it
	Run     runs.Run
}

// Rated is a line of the export of feedback.
type Rated struct {
	SessionID, MessageID string
	Question, Answer     string
	Feedback             Feedback
	RunID                string
}
