// Package runs is durable work: a run is a row with a lease and an append-only log of events, and every long action is one.
//
// Events are must-deliver: they are stored before anybody hears of them, dense from 1, and a reader is a cursor over
// them. The bus is lossy: it only wakes readers, who look again once a second anyway.
//
// A run is written by one worker at a time, the holder of its Lease. Each write of a run carries the lease; the store
// refuses it (ErrFenced) once the fence has moved on, so a worker that was paused, cancelled or whose document is gone
// can't bring anything back.
package runs

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Kind is what a run does; a room registers a handler for each of its kinds.
type Kind string

// The kinds of runs.
const (
	KindProcess  Kind = "process"  // a document: extract, chunk, index
	KindSnapshot Kind = "snapshot" // a document that a run found on the web and waits for: as process, with places of its own
	KindGenerate Kind = "generate" // a draft
	KindQuery    Kind = "query"    // a question to the library
	KindRefine   Kind = "refine"   // a draft: a proposal of what was asked for
	KindChat     Kind = "chat"     // an answer in a session; those of one session go one after another
	KindSync     Kind = "sync"     // a search engine outside: send it what it lacks of the workspace
)

// Status of a run. The last three are terminal.
type Status string

// The states of a run. A run that is retried goes from running back to queued.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Waiting   Status = "waiting" // for an answer of a person
	Completed Status = "completed"
	Failed    Status = "failed" // a dead letter: it can be looked at and requeued
	Cancelled Status = "cancelled"
)

// Terminal tells whether nothing more will happen.
func (s Status) Terminal() bool { return s == Completed || s == Failed || s == Cancelled }

// Subject is what a run works on.
type Subject struct {
	Type string `json:"type"` // document, draft, message, engine, query
	ID   string `json:"id"`
}

// Failure says why a run failed: a stable code and a sentence for people.
type Failure struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Run is one long action.
type Run struct {
	ID        string
	Workspace ident.Workspace
	Kind      Kind
	Status    Status
	Subject   Subject
	SessionID string          // empty outside sessions
	Input     json.RawMessage // what the handler was asked for; its shape is the room's
	LastSeq   int64
	Attempt   int // how often it was claimed
	Failures  int // how often it failed in a way that is worth another try
	Failure   *Failure
	Question  *Question // what a waiting run waits for
	NotBefore time.Time // of a retry
	CreatedAt time.Time
	EndedAt   time.Time // zero while it goes on
}

// Lease is the right to write a run. It is a value to hand on; whether it still holds only the store knows.
type Lease struct {
	RunID     string
	Workspace ident.Workspace
	Owner     string
	Fence     int64
}

// Event is one entry of a run's log.
type Event struct {
	RunID      string
	Seq        int64 // 1, 2, 3 ... without a gap
	SessionID  string
	SessionSeq int64 // dense per session; 0 outside sessions
	At         time.Time
	Type       string
	Data       json.RawMessage
}

// NewEvent is an event to append; Data is marshalled by the store, nil becomes {}.
type NewEvent struct {
	Type string
	Data any
}

// The types of events (wire.md). The three ends come exactly once, last.
const (
	EventCreated       = "run.created"
	EventStarted       = "run.started"
	EventRestarted     = "run.restarted"
	EventWaiting       = "run.waiting"
	EventCompleted     = "run.completed"
	EventFailed        = "run.failed"
	EventCancelled     = "run.cancelled"
	EventStepStarted   = "step.started"
	EventStepProgress  = "step.progress"
	EventStepCompleted = "step.completed"
	EventSurvey        = "survey.ready"
	EventPlan          = "plan.ready"
	EventHits          = "retrieval.hits"
	EventSection       = "section.started"
	EventToken         = "token"
	EventSnapshot      = "snapshot"
	EventReset         = "reset"
	EventCitation      = "citation.added"
	EventRejected      = "citation.rejected"
	EventVerified      = "claim.verified"
	EventToolCalled    = "tool.called"
	EventToolCompleted = "tool.completed"
	EventProposal      = "proposal.ready"
	EventVersion       = "version.created"
	EventUsage         = "usage"
	EventNotice        = "notice"
)

// Token is the data of a token event: text of one section of one channel, appended at a byte offset of that section.
type Token struct {
	Channel   string `json:"channel"` // draft, reply, answer
	SectionID string `json:"section_id,omitempty"`
	Offset    int    `json:"offset"`
	Text      string `json:"text"`
}

// Snapshot stands for a section's tokens after compaction; its event has the seq of the last of them. Who reads it replaces
// the section.
type Snapshot struct {
	FromSeq   int64  `json:"from_seq"`
	Channel   string `json:"channel"`
	SectionID string `json:"section_id,omitempty"`
	Text      string `json:"text"` // of the whole section up to here
}

// Reset says that a section (or, without one, the whole channel) begins anew.
type Reset struct {
	Channel   string `json:"channel"`
	SectionID string `json:"section_id,omitempty"`
}

// StepEvent is the data of step.started, step.progress and step.completed.
type StepEvent struct {
	Step string `json:"step"`
	Done int    `json:"done,omitempty"`
	Of   int    `json:"of,omitempty"`
}

// Notice tells a reader something that is no error.
type Notice struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Step is a journalled piece of a run: done once, its result kept, never repeated after a restart.
type Step struct {
	Key     string
	Done    bool
	Result  json.RawMessage // nil while it is open
	Attempt int             // the run's attempt that opened it last
	At      time.Time
}

// ShowPrefix begins the keys of steps that only put into the log of a run what other steps have made. A new run that takes over
// the steps of another does these again, so that its own log tells all.
const ShowPrefix = "show/"

// NewRun is a run to be created together with what it works on, in one transaction, by the store method of that room.
type NewRun struct {
	Kind      Kind
	Subject   Subject
	SessionID string
	Input     any
}

// ErrFenced is the refusal of a write whose lease no longer holds. The worker stops and says nothing:
// the run belongs to somebody else, or to nobody.
var ErrFenced = fault.New(fault.Conflict, "fenced", "This run was cancelled or taken over.")

// Ending is how a worker leaves a run.
type Ending struct {
	Status  Status // Completed, Failed, or Queued for another try
	Failure *Failure
	Wait    time.Duration // before another try
	Data    any           // of the run.completed event
}

// Queue is what workers need of the store. Each method is one transaction.
type Queue interface {
	// Claim takes the oldest run that is due, of one of the kinds: queued and not before its time, or running with a
	// lease that has run out. It raises the fence and the attempt and appends run.started or run.restarted.
	// Nothing to do is ok == false.
	Claim(ctx context.Context, owner string, kinds []Kind) (r Run, l Lease, ok bool, err error)
	// Renew tells which leases no longer hold, and with prolong makes the others last longer.
	Renew(ctx context.Context, leases []Lease, prolong bool) (lost []Lease, err error)
	// Append adds events in the lane of events and returns the last seq.
	Append(ctx context.Context, l Lease, events ...NewEvent) (int64, error)
	// AppendAll is Append of the tokens of many runs. done is called once for each, when it is known whether they are kept, by whichever
	// goroutine knows; one that fails keeps no other from being written.
	AppendAll(list []Joined, done func(i int, err error))
	// SaveStep writes a journalled step and its events.
	SaveStep(ctx context.Context, l Lease, s Step, events ...NewEvent) error
	Steps(ctx context.Context, runID string) ([]Step, error)
	// Ask leaves the run waiting for an answer to q, whose step is opened: the lease is given up, and run.waiting comes behind all
	// events. The answer, or that none came in time, is that step's result (a Reply) when the run is claimed again.
	Ask(ctx context.Context, l Lease, q Question) error
	// End leaves the run: terminal with its last event, or queued again. The run's subject follows (a failed run's
	// document or draft is failed too, with the text so far).
	End(ctx context.Context, l Lease, e Ending) error
}

// Log is what readers need of the store.
type Log interface {
	// Events gives up to limit events after a seq, in order.
	Events(ctx context.Context, runID string, after int64, limit int) ([]Event, error)
	// Heads gives the last seq and status of each run that exists.
	Heads(ctx context.Context, runIDs []string) (map[string]Head, error)
	// SessionEvents gives up to limit events of a session behind a session_seq, in order: those of its runs, and those that no run has
	// written. These have no RunID, and their session_seq as Seq, too. A session that is not there, or another's, is
	// fault.Missing("session").
	SessionEvents(ctx context.Context, ws ident.Workspace, sessionID string, after int64, limit int) ([]Event, error)
	// SessionHead gives the session_seq of the newest event, 0 before the first.
	SessionHead(ctx context.Context, ws ident.Workspace, sessionID string) (int64, error)
	// SessionHeads is SessionHead of many, of any workspace, for readers that are in already. Sessions that are gone are missing.
	SessionHeads(ctx context.Context, sessionIDs []string) (map[string]int64, error)
}

// Head is where a run's log ends now.
type Head struct {
	LastSeq int64
	Status  Status
}

// Filter of List; zero fields do not filter. Cursor is the id of the last run of the page before.
type Filter struct {
	Status    Status
	Kind      Kind
	SubjectID string
	SessionID string
	Cursor    string
	Limit     int
}

// Admin is what people do with runs. All is scoped by workspace; what is not there, or another's, is fault.Missing("run").
type Admin interface {
	Run(ctx context.Context, ws ident.Workspace, id string) (Run, error)
	Runs(ctx context.Context, ws ident.Workspace, f Filter) (page []Run, total int, err error)
	// Cancel ends the run, raises its fence and puts its subject back; a run that has ended is returned as it is.
	Cancel(ctx context.Context, ws ident.Workspace, id string) (Run, error)
	// Answer gives a waiting run the answer to its question and queues it. The same answer again changes nothing; another one, or one
	// to another question, is fault.Conflict.
	Answer(ctx context.Context, ws ident.Workspace, id, questionID string, r Reply) (Run, error)
	// Requeue makes a new run from a failed one, with its finished steps, but for those that only showed (see Show).
	Requeue(ctx context.Context, ws ident.Workspace, id string, once *ident.Once) (Run, error)
	// Compact joins the tokens of runs that ended before a time, some runs at a call, and tells how many it did.
	Compact(ctx context.Context, before time.Time, limit int) (int, error)
}

// Store is all of them; internal/store meets it.
type Store interface {
	Queue
	Log
	Admin
}

// Bus wakes: after a commit the store publishes the ids of runs that have new events or are newly due, and the topics of
// sessions that have (see SessionTopic). It is lossy; Publish never blocks.
type Bus interface {
	Publish(topics ...string)
	// Subscribe calls wake until cancel with what is published together, which nobody changes. wake must not block.
	Subscribe(wake func(topics []string)) (cancel func())
}

const sessionTopic = "session:"

// SessionTopic is what the bus publishes, in the place of a run's id, when a session has new events: of its runs or of itself.
func SessionTopic(sessionID string) string { return sessionTopic + sessionID }

// SessionOf gives the session of a topic; ok is false for the id of a run.
func SessionOf(topic string) (sessionID string, ok bool) {
	return strings.CutPrefix(topic, sessionTopic)
}
