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
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &sse{w: w, c: http.NewResponseController(w)}
	if draining { // EventSource takes a stream that ends for a reason to come again, and an error for one to give up
		out.write([]byte("retry: 1000\n\n")) //nolint:errcheck // it has gone
		return
	}
	defer cursor.Close()
	defer s.Metrics.Stream()()
	f := s.Streams.follow(r.Context(), grantOf(r.Context()), false)
	defer s.Streams.leave(f)
	if err := out.write([]byte("retry: 1000\n\n")); err != nil {
		return // the client has gone, or reads too slowly; it comes again with its cursor
	}
	for {
		frames, changed, err := cursor.Try(f.ctx)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, runs.ErrDraining), r.Context().Err() != nil:
			return
		case err != nil || f.ctx.Err() != nil:
			s.farewell(r.Context(), out, cmp.Or(context.Cause(f.ctx), err))
			return
		case len(frames) > 0:
			err = out.send(frames)
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
			return // as above
		}
	}
}

// The events that end a stream whose reader must not come again as before. They have no id.
const (
	eventExpired = "auth.expired" // get a new access token, and a new ticket
	eventRevoked = "auth.revoked" // the login was ended
	eventGone    = "stream.gone"  // the session was deleted, or the run with its draft
)

// farewell tells why a stream ends.
func (s *server) farewell(ctx context.Context, out *sse, why error) {
	event := eventGone
	switch {
	case errors.Is(why, account.ErrOver):
		event = eventExpired
	case errors.Is(why, account.ErrLogout):
		event = eventRevoked
	case fault.Of(why).Kind != fault.NotFound:
		s.log.WarnContext(ctx, "stream broke; the client comes again", "request_id", requestID(ctx), "error", why)
		return
	}
	f := fault.Of(why)
	out.write(fmt.Appendf(nil, "event: %s\ndata: {\"at\":%q,\"type\":%q,\"data\":{\"code\":%q,\"detail\":%q}}\n\n", //nolint:errcheck // the client has gone
		event, time.Now().UTC().Format(time.RFC3339Nano), event, f.Code, f.Say))
}

// sse writes frames, each batch at once and with at least nine seconds to be taken.
type sse struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	till time.Time // the deadline that is set
}

func (o *sse) send(frames []*runs.Frame) error {
	if err := o.begin(); err != nil {
		return err
	}
	for _, f := range frames {
		if _, err := o.w.Write(f.SSE()); err != nil {
			return err
		}
	}
	return o.c.Flush()
}

// write is send of what is no event of a log.
func (o *sse) write(frames ...[]byte) error {
	if err := o.begin(); err != nil {
		return err
	}
	for _, f := range frames {
		if _, err := o.w.Write(f); err != nil {
			return err
		}
	}
	return o.c.Flush()
}

func (o *sse) begin() error {
	till := time.Now().Add(writeTimeout)
	if till.Sub(o.till) <= time.Second { // setting it for each batch costs as much as the bytes
		return nil
	}
	o.till = till
	return o.c.SetWriteDeadline(till)
}
