package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/runs"
)

const (
	pingEvery    = heartbeat / 2
	writeTimeout = 10 * time.Second
)

// stream sends a run's events as server-sent events until the terminal one, the client or the process goes. The caller has
// checked that the run is the client's to read. A client that leaves cancels nothing.
func (s *server) stream(w http.ResponseWriter, r *http.Request, runID string, after int64) {
	cursor, err := s.Hub.Follow(r.Context(), runID, after)
	s.send(w, r, cursor, err)
}

// send sends what a cursor reads as server-sent events, as long as the client may read it, and closes the cursor; err is why there is none.
func (s *server) send(w http.ResponseWriter, r *http.Request, cursor *runs.Cursor, err error) {
	draining := errors.Is(err, runs.ErrDraining)
	if err != nil && !draining {
		writeProblem(w, r, err)
		return
	}
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	out := beginStream(w)
	if draining { // EventSource takes a stream that ends for a reason to come again, and an error for one to give up
		out.write([]byte("retry: 1000\n\n")) //nolint:errcheck // it has gone
		return
	}
	conn, ok := takeOver(w, r)
	if !ok {
		f := s.Streams.follow(r.Context(), grantOf(r.Context()), false)
		defer s.Streams.leave(f)
		s.relay(f, out, cursor)
		return
	}
	// Nothing of the request may be kept but its id and its right: it ends here.
	f := s.Streams.follow(context.WithValue(context.Background(), requestIDKey{}, requestID(r.Context())), grantOf(r.Context()), false)
	path := r.URL.Path
	run := func() {
		defer s.Streams.leave(f)
		whole := false
		defer func() {
			if p := recover(); p != nil {
				s.panicked(f.ctx, path, p)
			}
			conn.close(whole)
		}()
		s.Streams.hold(f, conn)
		conn.watch(func() { f.cancel(errLeft) })
		whole = s.relay(f, &sse{out: conn}, cursor)
	}
	if !s.Streams.take(run) {
		run() // the process stops: it ends at once
	}
}

// relay sends until the terminal event or until there is a reason not to, and closes the cursor. It tells whether the client has all of it.
func (s *server) relay(f *follower, out *sse, cursor *runs.Cursor) (whole bool) {
	defer cursor.Close()
	defer s.Metrics.Stream()()
	if out.write([]byte("retry: 1000\n\n")) != nil {
		return false // the client has gone, or reads too slowly; it comes again with its cursor
	}
	var list [][]byte
	for {
		frames, changed, err := cursor.Try(f.ctx)
		why := context.Cause(f.ctx)
		switch {
		case errors.Is(why, errLeft), errors.Is(why, context.Canceled):
			return false
		case errors.Is(err, io.EOF), errors.Is(err, runs.ErrDraining), errors.Is(why, errStopped):
			return true
		case err != nil || why != nil:
			return s.farewell(f.ctx, out, cmp.Or(why, err))
		case len(frames) > 0:
			list = list[:0]
			for _, frame := range frames {
				list = append(list, frame.SSE())
			}
			err = out.write(list...)
			clear(list)
		case f.pings():
			err = out.write([]byte(": ping\n\n"))
		default:
			select {
			case <-changed:
			case <-f.bell:
			case <-f.ctx.Done():
			}
		}
		if err != nil {
			return false // as above
		}
	}
}

// The events that end a stream whose reader must not come again as before. They have no id.
const (
	eventExpired = "auth.expired" // get a new access token, and a new ticket
	eventRevoked = "auth.revoked" // the login was ended
	eventGone    = "stream.gone"  // the session was deleted, or the run with its draft
)

// farewell tells why a stream ends; false when it breaks.
func (s *server) farewell(ctx context.Context, out *sse, why error) bool {
	event := eventGone
	switch {
	case errors.Is(why, account.ErrOver):
		event = eventExpired
	case errors.Is(why, account.ErrLogout):
		event = eventRevoked
	case fault.Of(why).Kind != fault.NotFound:
		s.log.WarnContext(ctx, "stream broke; the client comes again", "request_id", requestID(ctx), "error", why)
		return false
	}
	f := fault.Of(why)
	return out.write(fmt.Appendf(nil, "event: %s\ndata: {\"at\":%q,\"type\":%q,\"data\":{\"code\":%q,\"detail\":%q}}\n\n",
		event, time.Now().UTC().Format(time.RFC3339Nano), event, f.Code, f.Say)) == nil
}

// beginStream writes the head of an event stream.
func beginStream(w http.ResponseWriter) *sse {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return newSSE(w)
}
