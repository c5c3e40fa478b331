package runs

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"byline/internal/ident"
)

// origin is a log that can be followed: that of a run, numbered by seq, or that of a session, numbered by session_seq.
type origin struct {
	id        string
	session   bool
	workspace ident.Workspace // of a session
}

// topic is what the bus publishes when the log has more.
func (o origin) topic() string {
	if o.session {
		return SessionTopic(o.id)
	}
	return o.id
}

func (o origin) noun() string {
	if o.session {
		return "session"
	}
	return "run"
}

const (
	tailBytes = 256 << 10 // what a tail keeps for readers that are a little behind; others read the store
	batch     = 500       // events of one read
)

// tail follows the end of one log.
type tail struct {
	origin
	readers int          // guarded by Hub.mu, and so is turn
	turn    int          // of a session: its place in Hub.sessions
	wakes   atomic.Int64 // since it was idle
	gone    atomic.Bool  // nobody reads it any more

	mu      sync.Mutex
	placed  bool  // base is known
	missed  bool  // it was woken before that
	base    int64 // all events behind it are in frames
	last    int64 // newest in frames, or base
	frames  []*Frame
	size    int           // bytes in frames
	over    error         // why it reads no more: io.EOF behind the terminal event, or a fault
	changed chan struct{} // closed at every change
}

// place says where the tail begins, the first time. missed tells that it was woken before.
func (t *tail) place(last int64) (missed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.placed {
		return false
	}
	t.placed, t.base, t.last = true, last, last
	return t.missed
}

// reads tells whether the tail has to look at its log, and from where on.
func (t *tail) reads() (after int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missed = t.missed || !t.placed
	return t.last, t.placed && t.over == nil
}

// lacks tells whether the log has more than the tail.
func (t *tail) lacks(last int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return last > t.last
}

// add puts frames behind the others, and drops what is too old to be kept.
func (t *tail) add(fresh []*Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames = append(t.frames, fresh...)
	for _, f := range fresh {
		t.size += len(f.sse)
	}
	drop := 0
	for t.size > tailBytes && drop < len(t.frames)-1 {
		t.size -= len(t.frames[drop].sse)
		t.base = t.frames[drop].seq
		drop++
	}
	if drop > 0 {
		kept := copy(t.frames, t.frames[drop:])
		clear(t.frames[kept:])
		t.frames = t.frames[:kept]
	}
	newest := fresh[len(fresh)-1]
	t.last = newest.seq
	if newest.end {
		t.over = io.EOF
	}
	t.wake()
}

// end lets the tail read no more.
func (t *tail) end(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over == nil {
		t.over = why
		t.wake()
	}
}

// wake wakes the readers. The caller holds t.mu.
func (t *tail) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// behind adds frames behind a seq to a list, a portion at most. complete is false when the tail does not have them all; base is from where on it has.
func (t *tail) behind(after int64, list []*Frame) (_ []*Frame, complete bool, base int64, changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.base {
		return list, false, t.base, nil, nil
	}
	i := len(t.frames)
	for i > 0 && t.frames[i-1].seq > after {
		i--
	}
	return append(list, t.frames[i:min(len(t.frames), i+portion)]...), true, t.base, t.changed, t.over
}

// A portion is what a reader takes at a time, so that one that is stuck holds little: from a tail only the places of frames, which
// all readers share; from the store as many events of its own, of up to portionBytes together.
const (
	portion      = 64
	portionBytes = 4 << 10
)

// Cursor is one reader's place in a log. It belongs to one goroutine; Close it.
type Cursor struct {
	h *Hub
	origin
	after int64
	last  int64
	tail  *tail // nil: the run had ended when the cursor was made
	first *Frame
	out   []*Frame
	most  int // events of the next read of the store
	ended bool
}

// Last is the newest number of the log when the cursor was made.
func (c *Cursor) Last() int64 { return c.last }

// Close gives the cursor up.
func (c *Cursor) Close() {
	if c.tail != nil {
		c.h.leave(c.tail)
		c.tail = nil
	}
}

// Try gives events. The list of frames may be used until the next call; the frames belong to the hub and are only read. It waits for the store at
// most: without frames and error, changed is closed when it is worth to try again. io.EOF follows the terminal event of a run; ErrDraining ends the
// cursor of a process that stops; when ctx ends while the store is read it returns its error, and the cursor can be used again.
func (c *Cursor) Try(ctx context.Context) (frames []*Frame, changed <-chan struct{}, err error) {
	clear(c.out) // what was read is not kept alive by those who wait
	c.out = c.out[:0]
	if c.first != nil {
		c.out, c.first = append(c.out, c.first), nil
		return c.out, nil, nil
	}
	if c.ended {
		return nil, nil, io.EOF
	}
	for {
		base := int64(0)
		if c.tail != nil {
			var complete bool
			c.out, complete, base, changed, err = c.tail.behind(c.after, c.out)
			if len(c.out) > 0 {
				return c.take(), nil, nil
			}
			if complete {
				return nil, changed, err
			}
		}
		if err := c.fromStore(ctx); err != nil {
			return nil, nil, err
		}
		if len(c.out) > 0 {
			return c.take(), nil, nil
		}
		if !c.session || c.tail == nil {
			return nil, nil, io.EOF // of a run that has ended, or is gone
		}
		c.after = base // nothing is left of what was there before
	}
}

// take moves the cursor over what was read.
func (c *Cursor) take() []*Frame {
	newest := c.out[len(c.out)-1]
	c.after, c.ended = newest.seq, newest.end
	return c.out
}

// fromStore reads what the tail does not have any more: few events where they are long, so that little is read for nothing.
func (c *Cursor) fromStore(ctx context.Context) error {
	if c.most == 0 {
		c.most = portion / 8
	}
	events, err := c.h.events(ctx, c.origin, c.after, c.most)
	size := 0
	for _, e := range events {
		f := c.encode(e)
		if size += len(f.sse); size > portionBytes && len(c.out) > 0 {
			c.most = len(c.out)
			return nil
		}
		c.out = append(c.out, f)
	}
	c.most = min(portion, 2*c.most)
	return err
}
