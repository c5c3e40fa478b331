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
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	defer cursor.Close()
	defer s.Metrics.Stream()()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &sse{w: w, c: http.NewResponseController(w)}
	if out.send([]byte("retry: 1000\n\n")) != nil {
		return
	}
	for {
		frames, err := nextOrPing(r.Context(), cursor)
		switch {
		case err == nil:
			err = out.send(frames...)
		case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
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

// nextOrPing waits for events, at most until the next ping.
func nextOrPing(ctx context.Context, c *runs.Cursor) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pingEvery)
	defer cancel()
	return c.Next(ctx)
}

// sse writes frames, each batch with a deadline of its own and at once.
type sse struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (o *sse) send(frames ...[]byte) error {
	if err := o.c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	for _, f := range frames {
		if _, err := o.w.Write(f); err != nil {
			return err
		}
	}
	return o.c.Flush()
}
