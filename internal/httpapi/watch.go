package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"byline/internal/account"
)

// watchEvery is how often all open streams are looked at: their rights end within five seconds, on every replica, and pings come with
// this precision. One clock for all lets the process sleep in between, however many there are.
const watchEvery = 2 * time.Second

// Streams are the open streams of this process: who follows, and by which right. One question every two seconds tells for all of them
// whether the rights still stand. Run it; Close waits for connections that were taken over, which the HTTP server does not know of.
type Streams struct {
	accounts *account.Service
	log      *slog.Logger
	clock    *time.Ticker

	mu        sync.Mutex
	precision time.Duration // of clock
	heartbeat time.Duration // between pings of a WebSocket, and how long an answer may take; of server-sent events, twice as often
	open      map[*follower]struct{}
	rights    map[account.Grant]*right
	closed    bool
	taken     sync.WaitGroup // connections
}

// right is a grant that streams were opened by, and how many.
type right struct {
	account.Grant
	streams int
	ended   error
}

// NewStreams makes an empty set.
func NewStreams(accounts *account.Service, log *slog.Logger) *Streams {
	return &Streams{accounts: accounts, log: log, clock: time.NewTicker(watchEvery), precision: watchEvery, heartbeat: heartbeat,
		open: map[*follower]struct{}{}, rights: map[account.Grant]*right{}}
}

// Beat sets the heartbeat of streams that are opened from now on.
func (s *Streams) Beat(every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeat, s.precision = every, min(watchEvery, every/8)
	s.clock.Reset(s.precision)
}

// follower is an open stream. Its context ends with the reason why it has to.
type follower struct {
	right  *right
	ctx    context.Context
	cancel context.CancelCauseFunc
	bell   chan struct{} // one place; rung when there is something to send that is not in the log
	conn   io.Closer     // guarded by Streams.mu: what a stop closes that waits no longer

	every time.Duration // between pings
	due   time.Time     // of the next one; only Streams.Run looks at it
	must  bool          // answer pings
	ping  atomic.Int32
}

// The states of a ping.
const (
	pingNone int32 = iota // the last one was answered, or needs no answer
	pingDue
	pingSent
)

// follow notes an open stream, until leave. Its bell is rung for a ping, which must be answered on a WebSocket.
func (s *Streams) follow(ctx context.Context, g account.Grant, socket bool) *follower {
	f := &follower{bell: make(chan struct{}, 1), must: socket}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.every = s.heartbeat; !socket {
		f.every /= 2
	}
	f.due = time.Now().Add(f.every/2 + rand.N(f.every/2)) // not all at once that came at once
	if f.right = s.rights[g]; f.right == nil {
		f.right = &right{Grant: g}
		s.rights[g] = f.right
	}
	f.right.streams++
	s.open[f] = struct{}{}
	return f
}

func (s *Streams) leave(f *follower) {
	f.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, f)
	if f.right.streams--; f.right.streams == 0 {
		delete(s.rights, f.right.Grant)
	}
}

// beat has the stream send a ping, if it is time. One that was not answered until the next one ends the stream.
func (f *follower) beat(now time.Time) {
	if now.Before(f.due) {
		return
	}
	f.due = now.Add(f.every)
	if f.ping.Load() == pingSent {
		f.cancel(errIdle)
		return
	}
	f.ping.Store(pingDue) // or it is still, as the stream is busy sending
	f.ring()
}

func (f *follower) ring() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// pings tells the stream, once, that it has to send a ping.
func (f *follower) pings() bool {
	next := pingNone
	if f.must {
		next = pingSent
	}
	return f.ping.CompareAndSwap(pingDue, next)
}

// answered notes that a ping was answered.
func (f *follower) answered() { f.ping.CompareAndSwap(pingSent, pingNone) }

// take runs a connection that lives longer than the request that made it; false when the process stops.
func (s *Streams) take(run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.taken.Go(run)
	return true
}

// hold notes the connection of a stream that was taken over.
func (s *Streams) hold(f *follower, conn io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.conn = conn
}

// Run looks at the streams until ctx ends.
func (s *Streams) Run(ctx context.Context) {
	defer s.clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.clock.C:
		}
		s.check(ctx)
		s.beat(time.Now())
	}
}

// beat has pings sent.
func (s *Streams) beat(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = now.Add(s.precision / 2) // as near as the clock allows
	for f := range s.open {
		f.beat(now)
	}
}

// check ends the streams whose rights do not stand any more.
func (s *Streams) check(ctx context.Context) {
	s.mu.Lock()
	rights := make([]*right, 0, len(s.rights))
	grants := make([]account.Grant, 0, len(s.rights))
	for g, r := range s.rights {
		rights, grants = append(rights, r), append(grants, g)
	}
	s.mu.Unlock()
	if len(grants) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	reasons, err := s.accounts.Ended(ctx, grants)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			s.log.Warn("look at the rights to open streams", "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	over := false
	for i, r := range rights {
		r.ended = reasons[i]
		over = over || r.ended != nil
	}
	if !over {
		return
	}
	for f := range s.open {
		if f.right.ended != nil {
			f.cancel(f.right.ended)
		}
	}
}

// errStopped ends a connection that has not gone by itself when the process does.
var errStopped = errors.New("the process stops")

// Close waits until connections that were taken over are closed, which their hub tells them to do, and after ctx ends them at once.
func (s *Streams) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.taken.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	for f := range s.open {
		f.cancel(errStopped)
		if f.conn != nil {
			f.conn.Close() //nolint:errcheck // its client does not answer
		}
	}
	s.mu.Unlock()
	<-done
}
