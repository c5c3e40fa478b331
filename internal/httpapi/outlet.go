package httpapi

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// outlet is where an event stream goes out.
type outlet interface {
	SetWriteDeadline(till time.Time) error
	// put sends what is in the list, at once.
	put(list [][]byte) error
}

// reply is an answer of the HTTP server as an outlet. It has the server's buffers, and a handler that waits.
type reply struct {
	*http.ResponseController
	w http.ResponseWriter
}

func (o reply) put(list [][]byte) error {
	for _, b := range list {
		if _, err := o.w.Write(b); err != nil {
			return err
		}
	}
	return o.Flush()
}

// taken is the connection of an answer that was taken over from the HTTP server, as an outlet: ten kilobytes of buffers and the request
// are let go, which is most of what a stream that says little costs. It writes chunks, one for each list.
type taken struct {
	net.Conn
	done   func() // has the request counted
	reader sync.WaitGroup
	list   net.Buffers // used again
	head   []byte      // so is this: the length of a chunk
}

// takeOver takes an answer over whose head is written, if that is possible: over HTTP/1.1, on a connection of our own.
func takeOver(w http.ResponseWriter, r *http.Request) (*taken, bool) {
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Method == http.MethodHead {
		return nil, false
	}
	conn, _, err := http.NewResponseController(w).Hijack() // a client that sends more is not heard: it was told that the connection closes
	if err != nil {
		return nil, false
	}
	return &taken{Conn: conn, done: leave(w)}, true
}

var lineEnd = []byte("\r\n")

func (o *taken) put(list [][]byte) error {
	size := 0
	for _, b := range list {
		size += len(b)
	}
	o.head = append(strconv.AppendInt(o.head[:0], int64(size), 16), lineEnd...)
	whole := append(append(append(o.list[:0], o.head), list...), lineEnd)
	o.list = whole
	_, err := whole.WriteTo(o.Conn)
	clear(o.list) // what was sent is not kept alive
	return err
}

// watch calls gone when the client goes.
func (o *taken) watch(gone func()) {
	o.reader.Go(func() {
		defer gone()
		var b [64]byte
		for {
			if _, err := o.Read(b[:]); err != nil {
				return
			}
		}
	})
}

// endTimeout is how long the end of a stream may take to be sent: it is behind all that has been taken, and a stop waits for it.
const endTimeout = time.Second

// close ends the answer, as a whole one if it is.
func (o *taken) close(whole bool) {
	if whole && o.SetWriteDeadline(time.Now().Add(endTimeout)) == nil { // the last one may have passed in silence
		o.Write([]byte("0\r\n\r\n")) //nolint:errcheck // the client has gone
	}
	o.Close() //nolint:errcheck // it is not used any more
	o.reader.Wait()
	o.done()
}

// sse writes frames, each batch at once and with at least nine seconds to be taken.
type sse struct {
	out  outlet
	till time.Time // the deadline that is set
}

// newSSE writes into an answer of the HTTP server.
func newSSE(w http.ResponseWriter) *sse {
	return &sse{out: reply{http.NewResponseController(w), w}}
}

func (o *sse) write(frames ...[]byte) error {
	till := time.Now().Add(writeTimeout)
	if till.Sub(o.till) > time.Second { // setting it for each batch costs as much as the bytes
		o.till = till
		if err := o.out.SetWriteDeadline(till); err != nil {
			return err
		}
	}
	return o.out.put(frames)
}
