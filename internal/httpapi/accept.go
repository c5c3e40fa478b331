package httpapi

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"byline/internal/fault"
)

// readLimit is the most that a message of a client may have, in bytes.
const readLimit = 64 << 10

// accept makes a request the WebSocket of k. Without one, the answer was a problem.
func accept(w http.ResponseWriter, r *http.Request, k *socket) (*websocket.Conn, net.Conn, bool) {
	h := &handshake{ResponseWriter: w}
	c, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // fromHere has looked at the origin
		OnPongReceived:     k.pong,
	})
	if err == nil {
		c.SetReadLimit(readLimit)
		return c, h.conn, true
	}
	if h.conn == nil {
		writeProblem(w, r, fault.New(fault.Malformed, "bad_handshake", "This is no WebSocket handshake of version 13.").Because(err))
	}
	return nil, nil, false
}

// handshake hands a connection over to a WebSocket, with buffers for one that is mostly silent in the place of those for requests:
// eight kilobytes less for each of thousands.
type handshake struct {
	http.ResponseWriter
	conn   net.Conn
	failed bool
}

const (
	readBuffer  = 512 // bytes
	writeBuffer = 1024
)

// WriteHeader keeps refusals back, which are plain text.
func (h *handshake) WriteHeader(status int) {
	if h.failed = status != http.StatusSwitchingProtocols; !h.failed {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write does so too.
func (h *handshake) Write(b []byte) (int, error) {
	if h.failed {
		return len(b), nil
	}
	return h.ResponseWriter.Write(b)
}

// Hijack meets http.Hijacker.
func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = conn
	n := rw.Reader.Buffered() // sent by an eager client behind its handshake
	early, err := rw.Reader.Peek(n)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, readBuffer)
	if n > 0 {
		r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn), max(readBuffer, n))
		if _, err := r.Peek(n); err != nil {
			return nil, nil, err
		}
	}
	return conn, bufio.NewReadWriter(r, bufio.NewWriterSize(conn, writeBuffer)), nil
}
