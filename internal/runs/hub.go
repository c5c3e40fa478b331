package runs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
)

// Hub lets many read the logs of runs and of sessions. Readers are cursors: a reader that is slow, or comes again, loses nothing.
// Each watched log has one tail, which reads the store once for all its readers when it is woken, and encodes each event once. A
// tail that nobody wakes is a row in a map and no more, so that thousands may be watched that say nothing.
type Hub struct {
	store Log
	log   *slog.Logger

	ctx     context.Context // of the hub's own reads, until Close
	cancel  context.CancelFunc
	unwatch func()
	loops   sync.WaitGroup

	mu       sync.Mutex
	tails    map[string]*tail // by what the bus calls them
	sessions []*tail          // those of sessions, in the order in which the safety net looks at them
	next     int              // the one that is next
}

const (
	netEvery = time.Second
	// A session has no end, so many are watched that say nothing. The safety net looks at netSessions of them at a time, or at a
	// netPart of all, if that is more: at each within netPart seconds.
	netSessions = 500
	netPart     = 5
)

// ErrDraining ends the cursors of a process that stops; readers come again, here or elsewhere.
var ErrDraining = fault.New(fault.Unavailable, "draining", "The server is stopping. Connect again.")

// NewHub makes a hub. Close it.
func NewHub(store Log, bus Bus, log *slog.Logger) *Hub {
	h := &Hub{store: store, log: log, tails: map[string]*tail{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.unwatch = bus.Subscribe(h.woken)
	h.loops.Go(h.safetyNet)
	return h
}

// Close ends all cursors with ErrDraining, behind what they have not read yet of what is in memory, and waits for the hub's own work.
func (h *Hub) Close() {
	h.unwatch()
	h.mu.Lock() // behind it nobody joins, and no tail is woken
	h.cancel()
	for _, t := range h.tails {
		t.end(ErrDraining)
	}
	h.mu.Unlock()
	h.loops.Wait()
}

// Follow begins to read a run's log behind a seq. A seq that the log does not have yet is a mistake of the reader: it gets a reset
// and everything from 1. The caller has checked that the run is the reader's to read.
func (h *Hub) Follow(ctx context.Context, runID string, after int64) (*Cursor, error) {
	return h.follow(ctx, origin{id: runID}, after, func() (Head, error) {
		heads, err := h.store.Heads(ctx, []string{runID})
		head, ok := heads[runID]
		if err == nil && !ok {
			err = fault.Missing("run")
		}
		return head, err
	})
}

// Latest, as the place to begin behind, leaves out all that there is already.
const Latest = -1

// FollowSession begins to read a session's log behind a session_seq, as Follow does for a run. It never ends. A session that is not
// there, or not the workspace's, is fault.Missing("session"), also for a cursor that follows it when it is deleted.
func (h *Hub) FollowSession(ctx context.Context, ws ident.Workspace, sessionID string, after int64) (*Cursor, error) {
	return h.follow(ctx, origin{id: sessionID, session: true, workspace: ws}, after, func() (Head, error) {
		last, err := h.store.SessionHead(ctx, ws, sessionID)
		return Head{LastSeq: last}, err
	})
}

func (h *Hub) follow(ctx context.Context, o origin, after int64, look func() (Head, error)) (*Cursor, error) {
	// The tail comes before the look at the log: what is written in between is seen by one of them.
	t, err := h.join(o)
	if err != nil {
		return nil, err
	}
	head, err := look()
	if err != nil {
		h.leave(t)
		return nil, err
	}
	c := &Cursor{h: h, origin: o, after: after, last: head.LastSeq}
	switch {
	case after == Latest:
		c.after = head.LastSeq
	case after > head.LastSeq:
		c.after, c.first = 0, o.reset()
	}
	if head.Status.Terminal() {
		h.leave(t)
		return c, nil
	}
	h.place(t, head.LastSeq)
	c.tail = t
	return c, nil
}

// join finds or makes the tail of a log and counts one more reader.
func (h *Hub) join(o origin) (*tail, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, ErrDraining
	}
	topic := o.topic()
	t, ok := h.tails[topic]
	if !ok {
		t = &tail{origin: o, changed: make(chan struct{})}
		h.tails[topic] = t
		if o.session {
			t.turn = len(h.sessions)
			h.sessions = append(h.sessions, t)
		}
	}
	t.readers++
	return t, nil
}

// place says where a new tail begins. The first reader that knows the log's end does; it may not be the one that made the tail.
func (h *Hub) place(t *tail, last int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.place(last) {
		h.nudge(t)
	}
}

func (h *Hub) leave(t *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.readers--; t.readers > 0 {
		return
	}
	delete(h.tails, t.topic())
	t.gone.Store(true)
	if t.session {
		end := len(h.sessions) - 1
		h.sessions[t.turn] = h.sessions[end]
		h.sessions[t.turn].turn = t.turn
		h.sessions[end] = nil
		h.sessions = h.sessions[:end]
	}
}

// woken is called by the bus.
func (h *Hub) woken(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*tail, 0, len(topics))
	for _, topic := range topics {
		if t := h.tails[topic]; t != nil {
			list = append(list, t)
		}
	}
	h.nudge(list...)
}

// nudge lets tails look again. The caller holds h.mu.
func (h *Hub) nudge(list ...*tail) {
	if h.ctx.Err() != nil {
		return
	}
	idle := list[:0]
	for _, t := range list {
		if t.wakes.Add(1) == 1 {
			idle = append(idle, t)
		}
	}
	for part := range slices.Chunk(idle, together) {
		h.loops.Go(func() {
			for _, t := range part {
				h.run(t)
			}
		})
	}
}

// together is how many tails are read one after the other, most of them from memory: a goroutine for each takes longer than its read.
const together = 32

// run reads until there was no wake-up during the last read.
func (h *Hub) run(t *tail) {
	for {
		wakes := t.wakes.Load()
		for more := true; more && !t.gone.Load() && h.ctx.Err() == nil; {
			var err error
			if more, err = h.read(h.ctx, t); err != nil && h.ctx.Err() == nil {
				h.log.Warn("read a log; it is tried again", "log", t.topic(), "error", err)
			}
		}
		if t.wakes.CompareAndSwap(wakes, 0) {
			return
		}
	}
}

// read brings what is new to the readers.
func (h *Hub) read(ctx context.Context, t *tail) (more bool, err error) {
	last, reads := t.reads()
	if !reads {
		return false, nil
	}
	events, err := h.events(ctx, t.origin, last, batch)
	if err != nil && t.session && fault.Of(err).Kind == fault.NotFound { // deleted
		t.end(err)
		return false, nil
	}
	if err != nil || len(events) == 0 {
		return false, err
	}
	fresh := make([]*Frame, len(events))
	for i, e := range events {
		fresh[i] = t.encode(e)
	}
	t.add(fresh)
	return len(events) == batch, nil
}

// events reads a log.
func (h *Hub) events(ctx context.Context, o origin, after int64, limit int) ([]Event, error) {
	if o.session {
		return h.store.SessionEvents(ctx, o.workspace, o.id, after, limit)
	}
	return h.store.Events(ctx, o.id, after, limit)
}

// safetyNet looks once a second at all watched runs together, and at watched sessions, for wake-ups that were lost.
func (h *Hub) safetyNet() {
	tick := time.NewTicker(netEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(h.ctx, netEvery)
		err := h.look(ctx)
		cancel()
		if err != nil && h.ctx.Err() == nil {
			h.log.Warn("look at watched logs", "error", err)
		}
	}
}

func (h *Hub) look(ctx context.Context) error {
	ofRuns, ofSessions := h.watched()
	if len(ofRuns) > 0 {
		heads, err := h.store.Heads(ctx, ids(ofRuns))
		if err != nil {
			return err
		}
		for _, t := range ofRuns {
			head, ok := heads[t.id]
			h.compare(t, head.LastSeq, ok)
		}
	}
	if len(ofSessions) == 0 {
		return nil
	}
	heads, err := h.store.SessionHeads(ctx, ids(ofSessions))
	if err != nil {
		return err
	}
	for _, t := range ofSessions {
		last, ok := heads[t.id]
		h.compare(t, last, ok)
	}
	return nil
}

// watched gives the tails that the safety net looks at now.
func (h *Hub) watched() (ofRuns, ofSessions []*tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tails {
		if !t.session {
			ofRuns = append(ofRuns, t)
		}
	}
	n := len(h.sessions)
	for range min(n, max(netSessions, (n+netPart-1)/netPart)) {
		h.next %= n
		ofSessions = append(ofSessions, h.sessions[h.next])
		h.next++
	}
	return ofRuns, ofSessions
}

func ids(tails []*tail) []string {
	list := make([]string, len(tails))
	for i, t := range tails {
		list[i] = t.id
	}
	return list
}

// compare holds a tail against what the store has.
func (h *Hub) compare(t *tail, last int64, there bool) {
	if !there { // deleted, a run with its draft
		t.end(fault.Missing(t.noun()))
		return
	}
	if t.lacks(last) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.nudge(t)
	}
}
