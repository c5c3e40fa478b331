package app_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"byline/internal/ident"
	"byline/internal/store/storetest"
)

// wire is a connection that a test reads byte by byte, or not at all.
type wire struct {
	net.Conn
	r    *bufio.Reader
	left int // bytes until it is cut; negative: never
}

var errCut = errors.New("cut")

// Read reads until the cut.
func (w *wire) Read(b []byte) (int, error) {
	if w.left == 0 {
		return 0, errCut
	}
	if w.left > 0 && len(b) > w.left {
		b = b[:w.left]
	}
	n, err := w.Conn.Read(b)
	if w.left > 0 {
		w.left -= n
	}
	return n, err
}

// tap opens a path on a connection of its own, with a receive buffer of a few kilobytes if it is narrow. The head of the answer is
// not read.
func (p *person) tap(addr, path string, narrow bool, header ...string) *wire {
	p.t.Helper()
	d := net.Dialer{}
	if narrow {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }) //nolint:errcheck // the test then takes longer
		}
	}
	c, err := d.DialContext(p.t.Context(), "tcp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n", path, p.token)
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(c, b.String()); err != nil {
		p.t.Fatal(err)
	}
	w := &wire{Conn: c, left: -1}
	w.r = bufio.NewReaderSize(w, 512)
	return w
}

var upgrade = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEA=="}

func (s *system) addr() string { return strings.TrimPrefix(s.url, "http://") }

// frame reads a frame of the server's: its operation and its bytes.
func (w *wire) frame() (op byte, b []byte, err error) {
	var h [10]byte
	if _, err := io.ReadFull(w.r, h[:2]); err != nil {
		return 0, nil, err
	}
	size := uint64(h[1])
	switch size {
	case 126:
		_, err = io.ReadFull(w.r, h[2:4])
		size = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		_, err = io.ReadFull(w.r, h[2:10])
		size = binary.BigEndian.Uint64(h[2:])
	}
	if err != nil {
		return 0, nil, err
	}
	b = make([]byte, size)
	_, err = io.ReadFull(w.r, b)
	return h[0] & 15, b, err
}

// head reads over the head of an answer.
func (w *wire) head() error {
	for {
		line, err := w.r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// A hundred cuts anywhere, within frames and heads too: what readers have in the end is byte for byte what was there, on the
// WebSocket and as server-sent events, while it is being written.
func TestHundredCuts(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 8 {
			ann.say(path, fmt.Sprint("turn ", i, " ☃"))
			for n := range 40 {
				storetest.Tell(t, s.app.Store(), "local", id, fmt.Sprint("Name ", i, " ", n, strings.Repeat(" é", n)))
			}
		}
		ann.want(200, "PATCH", path, obj{"name": "the end"})
	}()
	const end = `"name":"the end"`
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var sse, ws []string
	var sseCuts, wsCuts int
	var both sync.WaitGroup
	both.Go(func() {
		dice := rand.New(rand.NewPCG(seed, 1))
		last := "0"
		for len(sse) == 0 || !strings.Contains(sse[len(sse)-1], end) {
			w := ann.tap(s.addr(), path+"/events", false, "Last-Event-ID", last)
			w.left = 1 + dice.IntN(1500)
			sseCuts++
			if w.head() == nil {
				body := bufio.NewReader(httputil.NewChunkedReader(w.r))
				for len(sse) == 0 || !strings.Contains(sse[len(sse)-1], end) {
					frame, id, err := sseFrame(body)
					if err != nil {
						break
					}
					if id != "" {
						sse, last = append(sse, frame), id
					}
				}
			}
			w.Close()
		}
	})
	both.Go(func() {
		dice := rand.New(rand.NewPCG(seed, 2))
		last := 0.0
		for len(ws) == 0 || !strings.Contains(ws[len(ws)-1], end) {
			w := ann.tap(s.addr(), fmt.Sprintf("/ws/%s?after=%v", id, last), false, upgrade...)
			w.left = 1 + dice.IntN(1500)
			wsCuts++
			if w.head() == nil {
				for len(ws) == 0 || !strings.Contains(ws[len(ws)-1], end) {
					op, b, err := w.frame()
					if err != nil {
						break
					}
					var e struct {
						Seq float64 `json:"session_seq"`
					}
					if op == 1 && json.Unmarshal(b, &e) == nil && e.Seq > 0 {
						ws, last = append(ws, string(b)), e.Seq
					}
				}
			}
			w.Close()
		}
	})
	both.Wait()
	<-written
	whole := ann.tap(s.addr(), path+"/events", false)
	var want []string
	if err := whole.head(); err != nil {
		t.Fatal(err)
	}
	body := bufio.NewReader(httputil.NewChunkedReader(whole.r))
	for len(want) == 0 || !strings.Contains(want[len(want)-1], end) {
		frame, id, err := sseFrame(body)
		if err != nil {
			t.Fatal(err)
		}
		if id != "" {
			want = append(want, frame)
		}
	}
	if sseCuts < 100 || wsCuts < 100 {
		t.Errorf("%d and %d cuts", sseCuts, wsCuts)
	}
	if got := strings.Join(sse, ""); got != strings.Join(want, "") {
		t.Errorf("server-sent events differ: %d, want %d", len(sse), len(want))
	}
	for i, frame := range want {
		_, data, _ := strings.Cut(strings.TrimSuffix(frame, "\n\n"), "\ndata: ")
		if i >= len(ws) || ws[i] != data {
			t.Fatalf("WebSocket: message %d of %d is not %s", i, len(ws), data)
		}
	}
	if len(ws) != len(want) {
		t.Errorf("WebSocket: %d messages, want %d", len(ws), len(want))
	}
}

// sseFrame reads one event: its bytes, and its id if it has one.
func sseFrame(r *bufio.Reader) (frame, id string, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		frame += line
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = strings.TrimSpace(v)
		}
		if line == "\n" {
			return frame, id, nil
		}
	}
}

// token makes an access token that runs out at a time.
func token(key, user string, exp time.Time) string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(obj{"alg": "HS256", "typ": "JWT"}) + "." + part(obj{"iss": "byline", "aud": []string{"byline"}, "sub": user, "iat": exp.Unix() - 900, "exp": exp.Unix()})
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Streams end when the token that they were opened with has run out, and say so.
func TestTokenRunsOut(t *testing.T) {
	key := strings.Repeat("k", 40)
	s := open(t, t.TempDir(), "BYLINE_REGISTRATION=open", "SECRET_KEY="+key)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	// Half a minute is granted for clocks that differ.
	short := &person{system: s, token: token(key, ann.want(200, "GET", "/api/v1/auth/me", nil).str("id"), time.Now().Add(-27*time.Second))}
	sse := short.stream(path + "/events")
	byTicket := s.anonymous().stream(path + "/events?ticket=" + short.ticket(path+"/events"))
	if c := byTicket.Cookies(); len(c) != 1 || c[0].MaxAge > 3 {
		t.Errorf("cookies %v", c)
	}
	m := short.join("/ws/" + id)
	m.closed(4401, 8*time.Second)
	for _, resp := range []*http.Response{sse, byTicket} {
		if e := short.readEvents(resp.Body, nil); len(e) == 0 || e[len(e)-1].Type != "auth.expired" || e[len(e)-1].ID != 0 || e[len(e)-1].Data["data"].(obj)["code"] != "token_expired" {
			t.Errorf("events: %v", e)
		}
	}
	short.problem(401, "token_expired", "GET", path+"/events", nil)
	s.anonymous().problem(401, "bad_ticket", "GET", path+"/events", nil, "Cookie", byTicket.Cookies()[0].String())
}

// Two replicas on one database: a ticket, an event, a logout, a deletion and a member of one are those of the other.
func TestStreamsOfTwoReplicas(t *testing.T) {
	settings := []string{"DATABASE_URL=" + storetest.Schema(t), "BYLINE_REGISTRATION=open", "SECRET_KEY=" + strings.Repeat("k", 40)}
	a, b := open(t, t.TempDir(), settings...), open(t, t.TempDir(), settings...)
	ann := a.register("ann@example.org")
	login := ann.want(200, "POST", "/api/v1/auth/login", obj{"email": "ann@example.org", "password": "correct horse battery"})
	there := &person{system: b, token: login.str("access_token")}
	id, path := ann.talk()
	mA := ann.join("/ws/" + id + "?after=latest")
	mA.until("hello")
	mB := b.anonymous().join("/ws/" + id + "?after=latest&ticket=" + there.ticketOf(ann, "/ws/"+id))
	mB.until("hello")
	if p := mA.until("presence")["data"].(obj); p["event"] != "join" || p["count"] != 2.0 {
		t.Errorf("presence at A: %v", p)
	}
	if p := mB.until("presence")["data"].(obj); p["event"] != "join" || p["count"] != 2.0 {
		t.Errorf("presence at B: %v", p)
	}
	mB.say(obj{"type": "typing", "data": obj{"typing": true}})
	mA.until("typing")
	ann.want(200, "PATCH", path, obj{"name": "Plans"})
	eA, eB := mA.until("session.updated"), mB.until("session.updated")
	if fmt.Sprint(eA) != fmt.Sprint(eB) {
		t.Errorf("A has %v, B %v", eA, eB)
	}
	other := there.join("/ws/" + id)
	other.until("hello")
	sse := there.stream(path + "/events")
	a.anonymous().want(204, "POST", "/api/v1/auth/logout", obj{"refresh_token": login.str("refresh_token")})
	other.closed(4401, 5*time.Second)
	if e := there.readEvents(sse.Body, nil); len(e) == 0 || e[len(e)-1].Type != "auth.revoked" {
		t.Errorf("events at B behind a logout at A: %v", e)
	}
	ann.want(204, "DELETE", path, nil)
	mB.closed(4403, 5*time.Second)
	mA.closed(4403, 5*time.Second)
}

// ticketOf gets a ticket where somebody else is, by the same right as there.
func (p *person) ticketOf(other *person, path string) string {
	p.t.Helper()
	return other.ticket(path)
}

// Nothing stays behind of streams, however they ended.
func TestStreamsLeaveNothing(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	ignore := goleak.IgnoreCurrent()
	func() {
		s := openTalk(t)
		ann := s.register("ann@example.org")
		id, path := ann.talk()
		for range 5 {
			m := ann.join("/ws/" + id)
			m.until("hello")
			m.c.CloseNow() //nolint:errcheck // it is open
			m = ann.join("/ws/" + id)
			m.until("hello")
			m.c.Close(websocket.StatusNormalClosure, "") //nolint:errcheck // it is open
			ann.join("/ws/"+ident.New()).closed(4403, 5*time.Second)
			ann.stream(path + "/events").Body.Close()
		}
		last, sse := ann.join("/ws/"+id), ann.stream(path+"/events")
		last.until("hello")
		done := make(chan struct{})
		go func() {
			defer close(done)
			last.closed(websocket.StatusServiceRestart, 10*time.Second)
			io.Copy(io.Discard, sse.Body) //nolint:errcheck // it ends
		}()
		s.close(s.server)
		<-done
		last.c.CloseNow() //nolint:errcheck // it is closed
	}()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, ignore)
}

// A stop does not wait for clients that do not answer.
func TestStopWithDeafSockets(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	for range 3 {
		if err := ann.tap(s.addr(), "/ws/"+id, false, upgrade...).head(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	s.app.Drain(ctx)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
}
