package runs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"byline/internal/fault"
)

// Hub lets many read the logs of runs. Readers are cursors: a reader that is slow, or comes again, loses nothing. Each watched
// run has one tail, which reads the store once for all its readers when it is woken, and encodes each event once.
type Hub struct {
	store Log
	log   *slog.Logger

	ctx     context.Context // of the hub's own reads, until Close
	cancel  context.CancelFunc
	unwatch func()
	loops   sync.WaitGroup

	mu    sync.Mutex
	tails map[string]*tail
}

// tail follows the end of one run's log.
type tail struct {
	id      string
	readers int           // guarded by Hub.mu
	wake    chan struct{} // one place: to look again
	ready   chan struct{} // closed when base is known

	mu      sync.Mutex
	placed  bool  // base is known
	base    int64 // all events behind it are in frames
	last    int64 // newest in frames, or base
	frames  []frame
	size    int           // bytes in frames
	over    error         // why it reads no more: io.EOF behind the terminal event, or a fault
	changed chan struct{} // closed at every change
	stop    chan struct{}
}

// frame is an event as server-sent events have it.
type frame struct {
	seq  int64
	data []byte
	end  bool
}

const (
	tailBytes = 256 << 10 // what a tail keeps for readers that are a little behind; others read the store
	batch     = 500       // events of one read
	netEvery  = time.Second
)

// ErrDraining ends the cursors of a process that stops; readers come again, here or elsewhere.
var ErrDraining = fault.New(fault.Unavailable, "draining", "The server is stopping. Connect again.")

// NewHub makes a hub. Close it.
func NewHub(store Log, bus Bus, log *slog.Logger) *Hub {
	h := &Hub{store: store, log: log, tails: map[string]*tail{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.unwatch = bus.Subscribe(func(id string) {
		h.mu.Lock()
		t := h.tails[id]
		h.mu.Unlock()
		if t != nil {
			t.nudge()
		}
	})
	h.loops.Go(h.safetyNet)
	return h
}

// Close ends all cursors with ErrDraining and waits for the hub's own work.
func (h *Hub) Close() {
	h.unwatch()
	h.mu.Lock() // behind it nobody joins
	h.cancel()
	h.mu.Unlock()
	h.loops.Wait()
}

func (t *tail) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Cursor is one reader's place in a run's log. It belongs to one goroutine; Close it.
type Cursor struct {
	h     *Hub
	runID string
	after int64
	tail  *tail // nil: the run had ended when the cursor was made
	first []byte
	ended bool
}

// Follow begins to read a run's log behind a seq. A seq that the log does not have yet is a mistake of the reader: it gets a reset
// and everything from 1. The caller has checked that the run is the reader's to read.
func (h *Hub) Follow(ctx context.Context, runID string, after int64) (*Cursor, error) {
	c := &Cursor{h: h, runID: runID, after: after}
	// The tail comes before the look at the log: what is written in between is seen by one of them.
	t, err := h.join(runID)
	if err != nil {
		return nil, err
	}
	heads, err := h.store.Heads(ctx, []string{runID})
	head, ok := heads[runID]
	if err == nil && !ok {
		err = fault.Missing("run")
	}
	if err != nil {
		h.leave(t)
		return nil, err
	}
	if after > head.LastSeq {
		c.after = 0
		c.first = []byte("event: " + EventReset + "\ndata: {\"run_id\":\"" + runID + "\",\"type\":\"" + EventReset + "\",\"data\":{\"channel\":\"\"}}\n\n")
	}
	if head.Status.Terminal() {
		h.leave(t)
		return c, nil
	}
	t.place(head.LastSeq)
	c.tail = t
	return c, nil
}

// join finds or makes the tail of a run and counts one more reader.
func (h *Hub) join(runID string) (*tail, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, ErrDraining
	}
	t, ok := h.tails[runID]
	if !ok {
		t = &tail{id: runID, wake: make(chan struct{}, 1), ready: make(chan struct{}), changed: make(chan struct{}), stop: make(chan struct{})}
		h.tails[runID] = t
		h.loops.Go(func() { h.run(t) })
	}
	t.readers++
	return t, nil
}

// place says where a new tail begins. The first reader that knows the log's end does; it may not be the one that made the tail.
func (t *tail) place(last int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.placed {
		t.placed, t.base, t.last = true, last, last
		close(t.ready)
	}
}

func (h *Hub) leave(t *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.readers--; t.readers == 0 {
		delete(h.tails, t.id)
		close(t.stop)
	}
}

// Close gives the cursor up.
func (c *Cursor) Close() {
	if c.tail != nil {
		c.h.leave(c.tail)
		c.tail = nil
	}
}

// Next waits for events and gives them as frames of server-sent events, which belong to the hub: they are only read.
// io.EOF follows the terminal event; ErrDraining ends the cursor of a process that stops; when ctx ends it returns its error, and the
// cursor can be used again.
func (c *Cursor) Next(ctx context.Context) ([][]byte, error) {
	if c.first != nil {
		f := [][]byte{c.first}
		c.first = nil
		return f, nil
	}
	if c.ended {
		return nil, io.EOF
	}
	for {
		if c.tail == nil {
			return c.fromStore(ctx)
		}
		frames, behind, changed, err := c.tail.behind(c.after)
		if behind {
			return c.fromStore(ctx)
		}
		if len(frames) > 0 {
			return c.take(frames), nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.h.ctx.Done():
			return nil, ErrDraining
		}
	}
}

// take moves the cursor over frames.
func (c *Cursor) take(frames []frame) [][]byte {
	out := make([][]byte, len(frames))
	for i, f := range frames {
		out[i] = f.data
	}
	last := frames[len(frames)-1]
	c.after, c.ended = last.seq, last.end
	return out
}

// fromStore reads what the tail does not have any more.
func (c *Cursor) fromStore(ctx context.Context) ([][]byte, error) {
	events, err := c.h.store.Events(ctx, c.runID, c.after, batch)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, io.EOF // of a run that has ended, or is gone
	}
	frames := make([]frame, len(events))
	for i, e := range events {
		frames[i] = encode(e)
	}
	return c.take(frames), nil
}

// behind gives the frames behind a seq. behind is true when the tail does not have them all.
func (t *tail) behind(after int64) (frames []frame, behind bool, changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.base {
		return nil, true, nil, nil
	}
	i := len(t.frames)
	for i > 0 && t.frames[i-1].seq > after {
		i--
	}
	return t.frames[i:len(t.frames):len(t.frames)], false, t.changed, t.over
}

// run is a tail's loop.
func (h *Hub) run(t *tail) {
	select {
	case <-t.ready:
	case <-t.stop:
		return
	case <-h.ctx.Done():
		return
	}
	for {
		more, err := h.read(h.ctx, t)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil && h.ctx.Err() == nil {
			h.log.Warn("read run's log; it is tried again", "run", t.id, "error", err)
		}
		if more {
			continue
		}
		select {
		case <-t.wake:
		case <-t.stop:
			return
		case <-h.ctx.Done():
			return
		}
	}
}

// read brings what is new to the readers.
func (h *Hub) read(ctx context.Context, t *tail) (more bool, err error) {
	t.mu.Lock()
	last := t.last
	t.mu.Unlock()
	events, err := h.store.Events(ctx, t.id, last, batch)
	if err != nil || len(events) == 0 {
		return false, err
	}
	fresh := make([]frame, len(events))
	for i, e := range events {
		fresh[i] = encode(e)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range fresh {
		t.frames = append(t.frames, f)
		t.size += len(f.data)
	}
	drop := 0
	for t.size > tailBytes && drop < len(t.frames)-1 {
		t.size -= len(t.frames[drop].data)
		t.base = t.frames[drop].seq
		drop++
	}
	if drop > 0 { // a new array: readers may still hold the old one
		t.frames = append([]frame(nil), t.frames[drop:]...)
	}
	end := fresh[len(fresh)-1]
	t.last = end.seq
	if end.end {
		t.over = io.EOF
	}
	close(t.changed)
	t.changed = make(chan struct{})
	if end.end {
		return false, io.EOF
	}
	return len(events) == batch, nil
}

// safetyNet looks once a second at all watched runs together, for wake-ups that were lost.
func (h *Hub) safetyNet() {
	tick := time.NewTicker(netEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		h.mu.Lock()
		tails := make([]*tail, 0, len(h.tails))
		ids := make([]string, 0, len(h.tails))
		for id, t := range h.tails {
			tails, ids = append(tails, t), append(ids, id)
		}
		h.mu.Unlock()
		if len(ids) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(h.ctx, netEvery)
		heads, err := h.store.Heads(ctx, ids)
		cancel()
		if err != nil {
			h.log.Warn("look at watched runs", "error", err)
			continue
		}
		for _, t := range tails {
			head, ok := heads[t.id]
			t.mu.Lock()
			switch {
			case !ok && t.over == nil: // deleted with its draft
				t.over = fault.Missing("run")
				close(t.changed)
				t.changed = make(chan struct{})
			case head.LastSeq > t.last:
				t.nudge()
			}
			t.mu.Unlock()
		}
	}
}

// encode writes an event as a frame: the envelope of the wire in one line of data.
func encode(e Event) frame {
	b := make([]byte, 0, 220+len(e.Data))
	seq := e.Seq
	b = append(b, "id: "...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, "\nevent: "...)
	b = append(b, e.Type...)
	b = append(b, "\ndata: "...)
	b = appendEnvelope(b, e)
	b = append(b, "\n\n"...)
	switch e.Type {
	case EventCompleted, EventFailed, EventCancelled:
		return frame{seq, b, true}
	}
	return frame{seq, b, false}
}

// appendEnvelope writes {seq, session_seq?, run_id, session_id?, at, type, data}. Ids and types are our own and need no escapes; data
// is compact JSON, without line breaks.
func appendEnvelope(b []byte, e Event) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, e.Seq, 10)
	if e.SessionSeq > 0 {
		b = append(b, `,"session_seq":`...)
		b = strconv.AppendInt(b, e.SessionSeq, 10)
	}
	b = append(b, `,"run_id":"`...)
	b = append(b, e.RunID...)
	if e.SessionID != "" {
		b = append(b, `","session_id":"`...)
		b = append(b, e.SessionID...)
	}
	b = append(b, `","at":"`...)
	b = e.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","data":`...)
	b = append(b, e.Data...)
	return append(b, '}')
}
