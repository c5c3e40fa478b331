package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"byline/internal/runs"
)

const (
	pingEvery    = 15 * time.Second
	writeTimeout = 10 * time.Second
)

// stream sends a run's events as server-sent events until the terminal one, the client or the process goes. The caller has
// checked that the run is the client's to read. A client that leaves cancels nothing.
func (s *server) stream(w http.ResponseWriter, r *http.Request, runID string, after int64) {
	cursor, err := s.Hub.Follow(r.Context(), runID, after)
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
		out.send([]byte("retry: 1000\n\n")) //nolint:errcheck // it has gone
		return
	}
	defer cursor.Close()
	defer s.Metrics.Stream()()
	ping := newPing(r.Context())
	defer ping.stop()
	if out.send([]byte("retry: 1000\n\n")) != nil {
		return
	}
	for {
		frames, err := cursor.Next(ping.next())
		switch {
		case err == nil:
			err = out.send(frames...)
		case errors.Is(err, context.Canceled) && ping.due() && r.Context().Err() == nil:
			err = out.send([]byte(": ping\n\n"))
		case errors.Is(err, io.EOF), errors.Is(err, runs.ErrDraining), r.Context().Err() != nil:
			return
		default:
			s.log.WarnContext(r.Context(), "stream broke; the client comes again", "run", runID, "error", err)
			return
		}
		if err != nil {
			return // the client has gone, or reads too slowly; it comes again with its cursor
		}
	}
}

// ping ends waits for events that take long. Its context serves until that happens: one for each wait would cost more than the wait.
type ping struct {
	parent context.Context
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

func newPing(ctx context.Context) *ping { return &ping{parent: ctx} }

// next gives the context of the next wait, which ends when a ping is due.
func (p *ping) next() context.Context {
	if p.timer == nil || !p.timer.Reset(pingEvery) {
		p.stop()
		p.ctx, p.cancel = context.WithCancel(p.parent)
		p.timer = time.AfterFunc(pingEvery, p.cancel)
	}
	return p.ctx
}

// due tells whether the last wait ended for a ping.
func (p *ping) due() bool { return p.ctx.Err() != nil }

func (p *ping) stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.cancel()
	}
}

// sse writes frames, each batch at once and with at least nine seconds to be taken.
type sse struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	till time.Time // the deadline that is set
}

func (o *sse) send(frames ...[]byte) error {
	if till := time.Now().Add(writeTimeout); till.Sub(o.till) > time.Second { // setting it for each batch costs as much as the bytes
		if err := o.c.SetWriteDeadline(till); err != nil {
			return err
		}
		o.till = till
	}
	for _, f := range frames {
		if _, err := o.w.Write(f); err != nil {
			return err
		}
	}
	return o.c.Flush()
}
