package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/live"
	"byline/internal/runs"
)

// The codes that a WebSocket is closed with, beside those of RFC 6455.
const (
	closeAuth     websocket.StatusCode = 4401 // who are you, or not any more
	closeNotYours websocket.StatusCode = 4403 // or not there, or not any more
	closeIdle     websocket.StatusCode = 4408 // no answer to a ping
)

const heartbeat = 30 * time.Second

var (
	errIdle = errors.New("no answer to a ping")
	errLeft = errors.New("the client has gone")
)

// socketRoute is GET /ws/{session_id}: everything that happens in a session, and what its members tell each other.
func (s *server) socketRoute() {
	const path = "/ws/{session_id}"
	s.mux.HandleFunc("GET "+path, s.socket)
	param := func(in, name, doc string, required bool) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: doc, Required: required, Schema: &huma.Schema{Type: "string"}}
	}
	op := &huma.Operation{Method: "GET", Path: path, OperationID: "socket", Tags: []string{"realtime"}, Summary: "A session as a WebSocket: hello, replay, live, who is there",
		Description: "Each message is an envelope {session_seq?, run_id?, session_id, at, type, data}. Close codes: 4401 no right, or not any more; 4403 not yours, or not there; 4408 no answer to a ping; 1012 the server restarts, come again. docs/realtime.md has the messages.",
		Parameters: []*huma.Param{param("path", "session_id", "", true),
			param("query", "after", "The last session_seq that the client has; latest for what comes from now on; nothing for all there is", false)},
		Responses: map[string]*huma.Response{"101": {Description: "It is a WebSocket now"}, "default": s.errorResponse()}}
	byTicket(op)
	tellScope(op)
	s.api.OpenAPI().AddOperation(op)
}

// socket makes a WebSocket of a request. A browser learns nothing of a refusal but the code that an open WebSocket is closed with, so
// those who may not come in are let in and sent away.
func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	if !upgrades(r) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		writeProblem(w, r, newProblem(r.Context(), http.StatusUpgradeRequired, "upgrade_required", "This path is a WebSocket."))
		return
	}
	if !s.fromHere(r) {
		writeProblem(w, r, fault.New(fault.Forbidden, "bad_origin", "Pages of this origin may not connect. CORS_ORIGINS names those that may."))
		return
	}
	after, err := parseSessionCursor("", r.URL.Query().Get("after"))
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	k := &socket{server: s, session: r.PathValue("session_id")}
	refusal := s.seat(w, r, k, after)
	c, conn, ok := accept(w, r, k)
	switch {
	case !ok:
		k.release()
	case refusal != nil:
		c.Close(closing(refusal)) //nolint:errcheck // whoever it was has gone
	default:
		k.c, k.conn = c, conn
		if !s.Streams.take(k.run) {
			k.release()
			c.Close(closing(runs.ErrDraining)) //nolint:errcheck // whoever it was has gone
		}
	}
}

func upgrades(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// seat finds out who comes, and where the session is.
func (s *server) seat(w http.ResponseWriter, r *http.Request, k *socket, after int64) error {
	ctx, err := s.admit(r.Context(), w, r)
	if err != nil {
		return err
	}
	if err := idParam("session", k.session); err != nil {
		return err
	}
	if k.cursor, err = s.Hub.FollowSession(ctx, workspaceOf(ctx), k.session, after); err != nil {
		return err
	}
	k.user = userOf(ctx)
	k.follower = s.Streams.follow(context.Background(), grantOf(ctx), true) // the request ends before the socket does
	k.post.bell = k.follower.ring
	return nil
}

// closing gives the code and the words for why a WebSocket is closed.
func closing(why error) (websocket.StatusCode, string) {
	f := fault.Of(why)
	switch {
	case errors.Is(why, runs.ErrDraining), errors.Is(why, errStopped):
		return websocket.StatusServiceRestart, runs.ErrDraining.Code
	case errors.Is(why, errIdle):
		return closeIdle, "idle"
	case f.Kind == fault.Unauthenticated:
		return closeAuth, f.Code
	case f.Kind == fault.NotFound:
		return closeNotYours, f.Code
	case f.Kind == fault.Limited:
		return websocket.StatusPolicyViolation, f.Code
	case f.Kind == fault.Unavailable:
		return websocket.StatusTryAgainLater, f.Code
	}
	return websocket.StatusInternalError, f.Code
}

// socket is one member's connection. It is a cursor over the session's log: nothing that is logged waits in a queue for it, so that
// one that reads slowly loses nothing and holds nothing. Two goroutines belong to it, one that reads and one that writes.
type socket struct {
	*server
	session  string
	user     account.User
	follower *follower
	cursor   *runs.Cursor

	c     *websocket.Conn
	conn  net.Conn   // below it
	post  post       // what is not logged
	place *live.Seat // in the room
	ear   ear
}

// release gives back what a socket has that never was one.
func (k *socket) release() {
	if k.cursor != nil {
		k.cursor.Close()
		k.Streams.leave(k.follower)
	}
}

// run is the life of a socket.
func (k *socket) run() {
	defer k.Metrics.Stream()()
	defer k.release()
	k.Streams.hold(k.follower, k.conn) // the other side may not say good-bye
	k.place = k.Rooms.Join(k.session, live.Member{Connection: ident.New(), User: k.user.ID, Name: cmp.Or(k.user.FullName, k.user.Email)}, k.post.put)
	defer k.place.Leave()
	var reader sync.WaitGroup
	reader.Go(k.read)
	why := k.write()
	if !errors.Is(why, errLeft) && !errors.Is(why, errStopped) {
		code, text := closing(why)
		if code == websocket.StatusInternalError {
			k.log.Warn("WebSocket broke; the client comes again", "session", k.session, "error", why)
		}
		k.c.Close(code, text) //nolint:errcheck // the client has gone
	}
	k.c.CloseNow() //nolint:errcheck // it may be closed
	reader.Wait()
}

// write sends what there is until there is a reason not to.
func (k *socket) write() error {
	if err := k.send(k.hello()); err != nil {
		return err
	}
	for {
		frames, changed, err := k.cursor.Try(k.follower.ctx)
		if cause := context.Cause(k.follower.ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := k.send(f.JSON()); err != nil {
				return err
			}
		}
		if err := k.deliver(); err != nil {
			return err
		}
		if k.follower.pings() {
			if err := k.ping(); err != nil {
				return err
			}
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-k.follower.bell:
		case <-k.follower.ctx.Done():
		}
	}
}

// deliver sends what is not logged. Where some of it was lost, who is there is told anew.
func (k *socket) deliver() error {
	list, lost := k.post.take()
	if lost {
		list = append(list, live.Encode(k.session, "presence", k.place.Present()))
	}
	for _, b := range list {
		if err := k.send(b); err != nil {
			return err
		}
	}
	return nil
}

// send sends a message.
func (k *socket) send(b []byte) error {
	return k.intime(func() error { return k.c.Write(context.Background(), websocket.MessageText, b) })
}

// aPing is a whole frame: FIN, opcode 9, no payload.
var aPing = []byte{0x89, 0}

// ping asks whether the client is there. The library would have a goroutine and a timer wait for each answer. Only this goroutine sends
// messages, and what the library sends by itself is written at once, so that no frame comes into another one.
func (k *socket) ping() error {
	return k.intime(func() error {
		_, err := k.conn.Write(aPing)
		return err
	})
}

// pong hears that the client is there; one that was refused may answer, too.
func (k *socket) pong(context.Context, []byte) {
	if k.follower != nil {
		k.follower.answered()
	}
}

// intime has something written within the deadline, which is taken away behind it: what the library sends by itself has deadlines of
// its own.
func (k *socket) intime(write func() error) error {
	err := k.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		err = write()
	}
	if err == nil {
		err = k.conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLeft, err) // or reads too slowly; it comes again with its cursor
	}
	return nil
}

// read hears the client until it goes.
func (k *socket) read() {
	defer k.follower.cancel(errLeft)
	for {
		kind, b, err := k.c.Read(context.Background())
		if err != nil {
			return
		}
		if err := k.hear(kind == websocket.MessageText, b); err != nil {
			k.follower.cancel(err)
		}
	}
}

// tell leaves a message for this client only.
func (k *socket) tell(kind string, data any) {
	k.post.put(live.Encode(k.session, kind, data))
}

// helloData is that of the first message.
type helloData struct {
	SessionSeq int64         `json:"session_seq"` // newest of the session
	Member     live.Member   `json:"member"`      // the client itself
	Presence   live.Presence `json:"presence"`
}

func (k *socket) hello() []byte {
	return live.Encode(k.session, "hello", helloData{SessionSeq: k.cursor.Last(), Member: k.place.Member, Presence: k.place.Present()})
}
