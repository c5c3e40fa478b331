package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"byline/internal/account"
)

// watchEvery is how often the rights to all open streams are looked at: they end within five seconds, on every replica.
const watchEvery = 2 * time.Second

// Streams are the open streams of this process: who follows, and by which right. One question every two seconds tells for all of them
// whether the rights still stand. Run it; Close waits for WebSockets, which the HTTP server does not know of.
type Streams struct {
	Heartbeat time.Duration // between pings of a WebSocket, and how long an answer may take

	accounts *account.Service
	log      *slog.Logger

	mu      sync.Mutex
	open    map[*follower]struct{}
	closed  bool
	sockets sync.WaitGroup
	halt    context.Context // ends when nothing may be waited for any more
	stop    context.CancelFunc
}

// NewStreams makes an empty set.
func NewStreams(accounts *account.Service, log *slog.Logger) *Streams {
	s := &Streams{Heartbeat: heartbeat, accounts: accounts, log: log, open: map[*follower]struct{}{}}
	s.halt, s.stop = context.WithCancel(context.Background())
	return s
}

// follower is an open stream. Its context ends with the reason why it has to.
type follower struct {
	grant  account.Grant
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// follow notes an open stream, until leave.
func (s *Streams) follow(ctx context.Context, g account.Grant) *follower {
	f := &follower{grant: g}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[f] = struct{}{}
	return f
}

func (s *Streams) leave(f *follower) {
	f.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, f)
}

// socket runs one that lives longer than the request that made it; false when the process stops.
func (s *Streams) socket(run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.sockets.Go(run)
	return true
}

// Run looks at the rights until ctx ends.
func (s *Streams) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var open []*follower
	var grants []account.Grant
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		open, grants = open[:0], grants[:0]
		s.mu.Lock()
		for f := range s.open {
			open, grants = append(open, f), append(grants, f.grant)
		}
		s.mu.Unlock()
		s.check(ctx, open, grants)
		clear(open)
	}
}

func (s *Streams) check(ctx context.Context, open []*follower, grants []account.Grant) {
	if len(open) == 0 {
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
	for i, f := range open {
		if reasons[i] != nil {
			f.cancel(reasons[i])
		}
	}
}

// errStopped ends a WebSocket that has not gone by itself when the process does.
var errStopped = errors.New("the process stops")

// Close waits until WebSockets are closed, which their hub tells them to do, and after ctx ends them at once.
func (s *Streams) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.sockets.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.stop()
	s.mu.Lock()
	for f := range s.open {
		f.cancel(errStopped)
	}
	s.mu.Unlock()
	<-done
}
