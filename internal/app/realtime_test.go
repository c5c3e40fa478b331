package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"byline/internal/ident"
)

// member is somebody's WebSocket.
type member struct {
	t testing.TB
	c *websocket.Conn
}

// join opens a WebSocket at a path with a query, such as ?after=3, by the person's token.
func (p *person) join(path string, header ...string) *member {
	p.t.Helper()
	m, err := p.dial(path, header...)
	if err != nil {
		p.t.Fatalf("open %s: %v", path, err)
	}
	return m
}

func (p *person) dial(path string, header ...string) (*member, error) {
	h := http.Header{}
	if p.token != "" {
		h.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.url, "http")+path, &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%s: %w", resp.Status, err)
		}
		return nil, err
	}
	c.SetReadLimit(16 << 20)
	p.t.Cleanup(func() { c.CloseNow() }) //nolint:errcheck // it may be closed
	return &member{p.t, c}, nil
}

// raw reads the next message.
func (m *member) raw() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, b, err := m.c.Read(ctx)
	return b, err
}

// next reads the next message.
func (m *member) next() obj {
	m.t.Helper()
	b, err := m.raw()
	if err != nil {
		m.t.Fatalf("read: %v", err)
	}
	var v obj
	if err := json.Unmarshal(b, &v); err != nil {
		m.t.Fatalf("message %s: %v", b, err)
	}
	return v
}

// until reads on to a message of a type.
func (m *member) until(kind string) obj {
	m.t.Helper()
	for {
		if v := m.next(); v["type"] == kind {
			return v
		}
	}
}

func (m *member) say(message any) {
	m.t.Helper()
	b, ok := message.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(message); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := m.c.Write(m.t.Context(), websocket.MessageText, b); err != nil {
		m.t.Fatalf("say: %v", err)
	}
}

// closed reads until the server closes, and wants a code.
func (m *member) closed(code websocket.StatusCode, within time.Duration) {
	m.t.Helper()
	began := time.Now()
	for {
		_, err := m.raw()
		if err == nil {
			continue
		}
		if got := websocket.CloseStatus(err); got != code {
			m.t.Errorf("closed with %d (%v), want %d", got, err, code)
		}
		if took := time.Since(began); took > within {
			m.t.Errorf("closed after %v, want it within %v", took, within)
		}
		return
	}
}

// stream opens server-sent events at a path and gives the answer's body.
func (p *person) stream(path string, header ...string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// ticket gets one for a path.
func (p *person) ticket(path string) string {
	p.t.Helper()
	return p.want(201, "POST", "/api/v1/auth/tickets", obj{"path": path}).str("ticket")
}

// Somebody watches a session: what there was, what happens, and what is missed while the connection is down.
func TestSessionIsWatched(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	ann.say(path, "one")
	m := ann.join("/ws/" + id)
	hello := m.next()
	if hello["type"] != "hello" || hello["session_id"] != id || hello["session_seq"] != nil {
		t.Fatalf("hello %v", hello)
	}
	last := int(hello["data"].(obj)["session_seq"].(float64))
	var seen []obj
	for len(seen) < last {
		seen = append(seen, m.next())
	}
	for i, e := range seen {
		if int(e["session_seq"].(float64)) != i+1 || e["session_id"] != id {
			t.Fatalf("replayed event %d: %v", i+1, e)
		}
		if run, there := e["run_id"]; there && run == "" {
			t.Errorf("event without a run has an empty one: %v", e)
		}
	}
	if seen[0]["type"] != "message.created" || seen[len(seen)-1]["type"] != "run.completed" {
		t.Errorf("replay from %v to %v", seen[0], seen[len(seen)-1])
	}
	// Live, on the WebSocket and as server-sent events, the same envelopes.
	sse := ann.stream(path+"/events", "Last-Event-ID", fmt.Sprint(last))
	if ct := sse.Header; ct.Get("Content-Type") != "text/event-stream" || ct.Get("Cache-Control") != "no-cache, no-transform" || ct.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", ct)
	}
	ann.say(path, "two")
	end := m.until("run.completed")
	events := ann.readEvents(sse.Body, func(e event) bool { return e.Type == "run.completed" })
	if events[0].ID != int64(last+1) || float64(events[len(events)-1].ID) != end["session_seq"] || events[len(events)-1].Data["run_id"] != end["run_id"] {
		t.Errorf("server-sent events from %v to %v, WebSocket's last %v", events[0], events[len(events)-1], end)
	}
	// Again, behind what was seen.
	again := ann.join(fmt.Sprintf("/ws/%s?after=%v", id, end["session_seq"]))
	if h := again.next(); h["data"].(obj)["session_seq"] != end["session_seq"] {
		t.Errorf("hello %v", h)
	}
	ann.want(200, "PATCH", path, obj{"name": "Plans"})
	if e := again.next(); e["type"] != "session.updated" || e["session_seq"] != end["session_seq"].(float64)+1 {
		t.Errorf("next %v", e)
	}
	// A cursor that the log does not have begins anew; so does a bad one, which is refused.
	fresh := ann.join("/ws/" + id + "?after=99999")
	if h, r, f := fresh.next(), fresh.next(), fresh.next(); h["type"] != "hello" || r["type"] != "reset" || f["session_seq"] != 1.0 {
		t.Errorf("from the future: %v %v %v", h, r, f)
	}
	if _, err := ann.dial("/ws/" + id + "?after=x"); err == nil || !strings.Contains(err.Error(), "422") {
		t.Errorf("bad cursor: %v", err)
	}
	live := ann.join("/ws/" + id + "?after=latest")
	live.next()
	ann.want(200, "PATCH", path, obj{"name": "Plan"})
	if e := live.next(); e["type"] != "session.updated" {
		t.Errorf("latest: %v", e)
	}
}

// What a client sends is answered, whatever it is, and never ends the connection.
func TestSocketListens(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	m := ann.join("/ws/" + id)
	m.until("hello")
	m.say(obj{"type": "ping", "data": obj{"n": 1}})
	if e := m.until("pong"); e["data"].(obj)["n"] != 1.0 {
		t.Errorf("pong %v", e)
	}
	for message, code := range map[string]string{`{"type":"typing"}`: "bad_data", `{"type":"typing","data":{}}`: "required", `{"type":"typing","data":{"typing":true,"draft_id":"x"}}`: "bad_id", `{"type":"typing","data":{"typing":true,"who":"x"}}`: "bad_data",
		`{"type":"cursor","data":[]}`: "bad_data", `{"type":"cursor","data":{"start":3,"end":2}}`: "before_start", `{"type":"cursor","data":{"start":-1}}`: "before_start", `{"type":"cursor","data":{"version":-1}}`: "bad_version",
		`{`: "bad_message", `[]`: "bad_message", `{"data":1}`: "bad_message", `{"type":"dance"}`: "unknown_type",
		`{"type":"ping","data":"` + strings.Repeat("x", 2000) + `"}`: "too_large"} {
		m.say([]byte(message))
		if e := m.until("error"); e["data"].(obj)["code"] != code || e["data"].(obj)["detail"] == "" {
			t.Errorf("%.30s: %v", message, e)
		}
	}
	if err := m.c.Write(t.Context(), websocket.MessageBinary, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if e := m.until("error"); e["data"].(obj)["code"] != "bad_message" {
		t.Errorf("binary: %v", e)
	}
	m.say(obj{"type": "ping", "data": strings.Repeat("x", 65<<10)})
	m.closed(websocket.StatusMessageTooBig, 5*time.Second)
}

// Those who are in a session see each other come and go, write, and move.
func TestRoom(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	draft := ident.New()
	one := ann.join("/ws/" + id + "?after=latest")
	hello := one.next()["data"].(obj)
	self := hello["member"].(obj)
	if p := hello["presence"].(obj); p["event"] != "here" || p["count"] != 1.0 || self["name"] != "ann@example.org" || self["connection_id"] == "" || self["user_id"] == "" {
		t.Fatalf("hello %v", hello)
	}
	two := ann.join("/ws/" + id + "?after=latest")
	if p := two.next()["data"].(obj)["presence"].(obj); p["count"] != 2.0 || len(p["members"].([]any)) != 2 {
		t.Errorf("presence %v", p)
	}
	came := one.until("presence")["data"].(obj)
	if came["event"] != "join" || came["count"] != 2.0 || came["member"].(obj)["connection_id"] == self["connection_id"] {
		t.Errorf("presence %v", came)
	}
	two.say(obj{"type": "typing", "data": obj{"typing": true}})
	two.say(obj{"type": "cursor", "data": obj{"draft_id": draft, "version": 3, "start": 4, "end": 9}})
	two.say(obj{"type": "cursor", "data": obj{"draft_id": draft, "start": 4}})
	two.say(obj{"type": "cursor", "data": obj{}})
	typing := one.next()
	if d := typing["data"].(obj); typing["type"] != "typing" || d["typing"] != true || d["member"].(obj)["connection_id"] != came["member"].(obj)["connection_id"] || typing["session_seq"] != nil {
		t.Errorf("typing %v", typing)
	}
	if d := one.until("cursor")["data"].(obj); d["draft_id"] != draft || d["version"] != 3.0 || d["start"] != 4.0 || d["end"] != 9.0 {
		t.Errorf("cursor %v", d)
	}
	if d := one.until("cursor")["data"].(obj); d["end"] != 4.0 {
		t.Errorf("cursor %v", d)
	}
	if d := one.until("cursor")["data"].(obj); d["draft_id"] != nil {
		t.Errorf("cursor %v", d)
	}
	two.say(obj{"type": "presence"})
	if p := two.next(); p["type"] != "presence" || p["data"].(obj)["event"] != "here" { // and none of its own before
		t.Errorf("presence %v", p)
	}
	two.c.Close(websocket.StatusNormalClosure, "") //nolint:errcheck // it goes either way
	if left := one.until("presence")["data"].(obj); left["event"] != "leave" || left["count"] != 1.0 {
		t.Errorf("presence %v", left)
	}
}

// Who says too much is told once, and sent away when that does not help.
func TestSocketIsFlooded(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	m, other := ann.join("/ws/"+id), ann.join("/ws/"+id)
	other.until("hello")
	for range 200 {
		m.say(obj{"type": "cursor", "data": obj{"start": 1}})
	}
	if e := m.until("error"); e["data"].(obj)["code"] != "too_many_messages" {
		t.Errorf("error %v", e)
	}
	go func() {
		for m.c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) == nil {
		}
	}()
	m.closed(websocket.StatusPolicyViolation, 10*time.Second)
	other.say(obj{"type": "ping"})
	other.until("pong")
}

// Who has no right is told so by the code, which is all that a browser sees.
func TestSocketIsRefused(t *testing.T) {
	s := openTalk(t)
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	id, path := ann.talk()
	s.anonymous().join("/ws/"+id).closed(4401, 5*time.Second)
	(&person{system: s, token: "nonsense"}).join("/ws/"+id).closed(4401, 5*time.Second)
	bob.join("/ws/"+id).closed(4403, 5*time.Second)
	bob.join("/ws/01ARZ3NDEKTSV4RRFFQ69G5FAV").closed(4403, 5*time.Second)
	bob.join("/ws/nothing").closed(4403, 5*time.Second)
	bob.problem(404, "not_found", "GET", path+"/events", nil)
	s.anonymous().problem(401, "unauthenticated", "GET", path+"/events", nil)
	ann.problem(426, "upgrade_required", "GET", "/ws/"+id, nil)
	for origin, ok := range map[string]bool{s.url: true, "https://evil.example": false, "null": false, "http://127.0.0.1:1": false, "": true} {
		m, err := ann.dial("/ws/"+id, "Origin", origin)
		if (err == nil) != ok {
			t.Errorf("origin %q: %v", origin, err)
		}
		if m != nil {
			m.until("hello")
		}
	}
	r := ann.send("GET", "/ws/"+id, nil, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "12")
	if r.status != 400 || r.str("code") != "bad_handshake" {
		t.Errorf("an old version: %d %s", r.status, r.raw)
	}
}

// A ticket is good once, for one path; a cookie lets the same browser in again, on that path only.
func TestTickets(t *testing.T) {
	s := openTalk(t)
	ann, bob := s.register("ann@example.org"), s.register("bob@example.org")
	id, path := ann.talk()
	run := ann.say(path, "one").str("run", "id")
	browser := s.anonymous()
	for _, p := range []string{path + "/events", "/api/v1/runs/" + run + "/events"} {
		ticket := ann.ticket(p)
		resp := browser.stream(p + "?ticket=" + ticket)
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", p, resp.Status)
		}
		cookies := resp.Cookies()
		if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].Path != p || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].MaxAge < 60 || cookies[0].Secure {
			t.Fatalf("cookies %v", cookies)
		}
		browser.problem(401, "bad_ticket", "GET", p+"?ticket="+ticket, nil)
		cookie := cookies[0].Name + "=" + cookies[0].Value
		if again := browser.stream(p+"?ticket="+ticket, "Cookie", cookie); again.StatusCode != 200 {
			t.Errorf("the browser comes again: %s", again.Status)
		}
		if again := browser.stream(p, "Cookie", cookie); again.StatusCode != 200 {
			t.Errorf("the browser comes again without the ticket: %s", again.Status)
		}
		browser.problem(401, "bad_ticket", "GET", p+"?ticket=blt_other", nil, "Cookie", cookie)
		browser.problem(401, "bad_ticket", "GET", "/api/v1/sessions/"+id+"/events?x=1", nil, "Cookie", cookie+"x")
		browser.problem(401, "unauthenticated", "GET", path, nil, "Cookie", cookie) // opens nothing but streams
		if p != path+"/events" {
			browser.problem(401, "bad_ticket", "GET", path+"/events", nil, "Cookie", cookie)
		}
		browser.problem(401, "bad_token", "GET", path, nil, "Authorization", "Bearer "+cookies[0].Value) // a pass is no token
	}
	// For another path it is refused, and used up.
	ticket := ann.ticket(path + "/events")
	browser.problem(401, "bad_ticket", "GET", "/api/v1/runs/"+run+"/events?ticket="+ticket, nil)
	browser.problem(401, "bad_ticket", "GET", path+"/events?ticket="+ticket, nil)
	// A ticket is its bearer's right, no more.
	if resp := browser.stream(path + "/events?ticket=" + bob.ticket(path+"/events")); resp.StatusCode != 404 {
		t.Errorf("a stranger's ticket: %s", resp.Status)
	}
	browser.join("/ws/"+id+"?ticket="+bob.ticket("/ws/"+id)).closed(4403, 5*time.Second)
	ticket = ann.ticket("/ws/" + id)
	browser.join("/ws/" + id + "?ticket=" + ticket).until("hello")
	browser.join("/ws/"+id+"?ticket="+ticket).closed(4401, 5*time.Second)
	for _, p := range []string{"", "/ws/", "/ws/x", "/ws/" + id + "?after=1", path, path + "/events/", "/ws/" + id + "/events", "/api/v1/documents/" + id + "/events", "https://x/ws/" + id} {
		ann.problem(422, "no_stream", "POST", "/api/v1/auth/tickets", obj{"path": p})
	}
	s.anonymous().problem(401, "unauthenticated", "POST", "/api/v1/auth/tickets", obj{"path": "/ws/" + id})
}

// Behind TLS the cookie is only sent there.
func TestTicketBehindTLS(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	_, path := ann.talk()
	resp := s.anonymous().stream(path+"/events?ticket="+ann.ticket(path+"/events"), "X-Forwarded-Proto", "https")
	if c := resp.Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("cookies %v", c)
	}
}

// Of many uses of a ticket at the same time, one is let in.
func TestTicketIsTakenOnce(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	_, path := ann.talk()
	ticket := ann.ticket(path + "/events")
	results := make(chan int)
	for range 20 {
		go func() {
			resp := s.anonymous().stream(path + "/events?ticket=" + ticket)
			results <- resp.StatusCode
		}()
	}
	count := map[int]int{}
	for range 20 {
		count[<-results]++
	}
	if count[200] != 1 || count[401] != 19 {
		t.Errorf("statuses %v", count)
	}
}

// A logout, a deletion and a stop end streams; each says why.
func TestStreamsEnd(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	login := ann.want(200, "POST", "/api/v1/auth/login", obj{"email": "ann@example.org", "password": "correct horse battery"})
	other := &person{system: s, token: login.str("access_token")}
	id, path := ann.talk()
	stays, goes := ann.join("/ws/"+id), other.join("/ws/"+id)
	sse := other.stream(path + "/events")
	goes.until("hello")
	s.anonymous().want(204, "POST", "/api/v1/auth/logout", obj{"refresh_token": login.str("refresh_token")})
	goes.closed(4401, 5*time.Second)
	if e := ann.readEvents(sse.Body, nil); len(e) == 0 || e[len(e)-1].Type != "auth.revoked" || e[len(e)-1].Data["data"].(obj)["code"] != "login_ended" {
		t.Errorf("events behind a logout: %v", e)
	}
	other.problem(401, "login_ended", "GET", path+"/events", nil)
	other.join("/ws/"+id).closed(4401, 5*time.Second)
	stays.say(obj{"type": "ping"})
	stays.until("pong")

	sse = ann.stream(path + "/events")
	ann.want(204, "DELETE", path, nil)
	stays.closed(4403, 5*time.Second)
	if e := ann.readEvents(sse.Body, nil); len(e) == 0 || e[len(e)-1].Type != "stream.gone" {
		t.Errorf("events behind a deletion: %v", e)
	}

	id, path = ann.talk()
	m := ann.join("/ws/" + id)
	m.until("hello")
	sse = ann.stream(path + "/events")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.close(s.server)
	}()
	m.closed(websocket.StatusServiceRestart, 5*time.Second)
	if b, err := io.ReadAll(sse.Body); err != nil || bytes.Contains(b, []byte("stream.gone")) {
		t.Errorf("stream at the stop: %v %s", err, b)
	}
	<-stopped
}
