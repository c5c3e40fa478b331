package app_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"byline/internal/ident"
	"byline/internal/store/storetest"
)

// A client that does not answer pings is sent away; one that does stays, however silent.
func TestSilentSockets(t *testing.T) {
	s := openTalk(t)
	s.app.Heartbeat(300 * time.Millisecond)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	alive := ann.join("/ws/" + id)
	alive.until("hello")
	pong := make(chan error, 1)
	go func() {
		_, err := alive.raw() // answers pings while it waits
		pong <- err
	}()
	dead := ann.tap(s.addr(), "/ws/"+id, false, upgrade...)
	dead.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a connection that is there
	if err := dead.head(); err != nil {
		t.Fatal(err)
	}
	pings := 0
	for {
		op, b, err := dead.frame()
		if err != nil {
			t.Fatalf("behind %d pings: %v", pings, err)
		}
		if op == 9 {
			pings++
		}
		if op == 8 {
			if code := binary.BigEndian.Uint16(b); code != 4408 || pings != 1 {
				t.Errorf("closed with %d %s behind %d pings", code, b[2:], pings)
			}
			break
		}
	}
	dead.Close()
	select {
	case err := <-pong: // that the other one came, and went
		if err != nil {
			t.Errorf("the other: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the other is told nothing")
	}
}

// A stream that says nothing says that it is there, again and again, and what happens in between comes through.
func TestSilentStreams(t *testing.T) {
	s := openTalk(t)
	s.app.Heartbeat(300 * time.Millisecond)
	ann := s.register("ann@example.org")
	_, path := ann.talk()
	r := bufio.NewReader(ann.stream(path + "/events").Body)
	until := func(text string) {
		t.Helper()
		for frame := ""; !strings.Contains(frame, text); {
			var err error
			if frame, _, err = sseFrame(r); err != nil {
				t.Fatalf("waiting for %s: %v", text, err)
			}
		}
	}
	until(": ping\n\n")
	until(": ping\n\n")
	ann.want(200, "PATCH", path, obj{"name": "Plans"})
	until(`"name":"Plans"`)
	until(": ping\n\n")
}

// Whatever speaks to the server gets the same stream: over HTTP/1.1 as chunks on a connection that closes behind them, over HTTP/1.0 until
// the connection closes. What a client says meanwhile changes nothing, and the request is counted when it ends.
func TestStreamsOfAllClients(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	_, path := ann.talk()
	run := "/api/v1/runs/" + ann.say(path, "one").str("run", "id") + "/events"
	whole := ""
	for _, tc := range []struct {
		name, version, length, behind string
	}{
		{"1.1", "HTTP/1.1", "chunked", ""},
		{"1.1 with more", "HTTP/1.1", "chunked", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"1.0", "HTTP/1.0", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a connection that is there
			before := s.requests(t, "/api/v1/runs/{run_id}/events")
			fmt.Fprintf(c, "GET %s %s\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n%s", run, tc.version, ann.token, tc.behind)
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || !resp.Close || strings.Join(resp.TransferEncoding, "") != tc.length || resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Date") == "" {
				t.Fatalf("%v, %+v", err, resp)
			}
			if !strings.HasPrefix(string(body), "retry: 1000\n\n") || strings.Count(string(body), "event: run.completed") != 1 || whole != "" && string(body) != whole {
				t.Errorf("%s", body)
			}
			whole = string(body)
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("behind the stream: %q %v", rest, err)
			}
			for s.requests(t, "/api/v1/runs/{run_id}/events") == before {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// requests is how many requests of a route have ended.
func (s *system) requests(t *testing.T, route string) (n int) {
	t.Helper()
	for line := range strings.SplitSeq(s.metrics(t), "\n") {
		if strings.HasPrefix(line, "byline_http_request") && strings.Contains(line, "_count{") && strings.Contains(line, `"`+route+`"`) {
			v, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
			if err != nil {
				t.Fatalf("metric %s", line)
			}
			n += v
		}
	}
	return n
}

// A member that reads slowly gets everything in its order, one that stops is dropped and finds everything when it comes again, and the
// others do not notice.
func TestSlowSockets(t *testing.T) {
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, _ := ann.talk()
	const n = 1200
	ws := ident.Workspace("local") // of the first account
	fast := ann.join("/ws/" + id)
	fast.until("hello")
	slow, stuck := ann.tap(s.addr(), "/ws/"+id, true, upgrade...), ann.tap(s.addr(), "/ws/"+id, true, upgrade...)
	var all sync.WaitGroup
	done := make(chan time.Time, 1)
	all.Go(func() {
		defer func() { done <- time.Now() }()
		for next := 1.0; next <= n; {
			e := fast.next()
			seq, logged := e["session_seq"].(float64)
			if !logged {
				continue // who has come
			}
			if seq != next {
				t.Errorf("event %v, want %v", seq, next)
				return
			}
			next++
		}
	})
	read := func(w *wire, from int, pause time.Duration) {
		if err := w.head(); err != nil {
			t.Error(err)
			return
		}
		for next := from; next <= n; {
			op, b, err := w.frame()
			if err != nil {
				t.Errorf("waiting for %d: %v", next, err)
				return
			}
			if op != 1 || !bytes.HasPrefix(b, []byte(`{"seq"`)) {
				continue
			}
			if !bytes.Contains(b[:80], fmt.Appendf(nil, `"session_seq":%d,`, next)) {
				t.Errorf("got %.80s, want %d", b, next)
				return
			}
			next++
			time.Sleep(pause)
		}
	}
	all.Go(func() { read(slow, 1, 2*time.Millisecond) })
	text := strings.Repeat("y", 5000)
	for i := range n {
		storetest.Tell(t, s.app.Store(), ws, id, fmt.Sprint(i, text))
	}
	told := time.Now()
	if wait := (<-done).Sub(told); wait > 3*time.Second {
		t.Errorf("the fast one has it all %v behind the last", wait)
	}
	all.Wait()
	stuck.Close()
	again := ann.tap(s.addr(), "/ws/"+id+"?after=700", false, upgrade...)
	read(again, 701, 0)
}

// Readers that never read are dropped, hold little, and nobody else notices. BENCH_READERS says how many there are; figures are printed:
// when the last was dropped and what each held of the heap (its own end is in it too).
func TestReadersThatNeverRead(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("BENCH_READERS"))
	if err != nil {
		n = 20
	}
	s := openTalk(t)
	ann := s.register("ann@example.org")
	id, path := ann.talk()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(s.app.Handler())
	srv.Listener.Close()
	srv.Listener = shallow{l}
	srv.Start()
	defer srv.Close()
	text := strings.Repeat("z", 1200)
	told := 0
	tell := func(k int) {
		for range k {
			told++
			storetest.Tell(t, s.app.Store(), "local", id, fmt.Sprint(told, text))
		}
	}
	const before = 700
	tell(before) // so that replays are part of it, and what the store keeps in memory is there
	good := ann.join("/ws/" + id + "?after=latest")
	good.until("hello")
	late := make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for {
			b, err := good.raw()
			if err != nil {
				late <- all
				return
			}
			if i := bytes.Index(b, []byte(`"at":"`)); bytes.HasPrefix(b, []byte(`{"seq"`)) {
				at, _, _ := bytes.Cut(b[i+6:], []byte(`"`))
				if when, err := time.Parse(time.RFC3339Nano, string(at)); err == nil {
					all = append(all, time.Since(when))
				}
			}
		}
	}()
	empty := heap()
	for range n {
		ann.tap(l.Addr().String(), path+"/events", true)
	}
	for s.streams(t) < n+1 {
		time.Sleep(20 * time.Millisecond)
	}
	first := told // what there is, 900 KB, is more than the buffers of a connection take
	held, began := heap(), time.Now()
	for quiet := false; !quiet && time.Since(began) < 5*time.Second; { // until each is stuck
		time.Sleep(200 * time.Millisecond)
		now := heap()
		held, quiet = now, max(now-held, held-now) < 100<<10
	}
	full := time.Now()
	if open := s.streams(t); open != n+1 {
		t.Errorf("%d streams are open when buffers are full", open)
	}
	each := float64(held-empty) / float64(n) / 1024
	for s.streams(t) > 1 {
		if time.Since(full) > 2*time.Minute { // a test is slow beside others, and with the race detector
			t.Fatalf("%d are still there", s.streams(t)-1)
		}
		tell(1)
		time.Sleep(50 * time.Millisecond)
	}
	dropped := time.Since(full)
	good.c.CloseNow() //nolint:errcheck // it is open
	waits := <-late
	slices.Sort(waits)
	if len(waits) < told-first-1 || len(waits) < 50 { // the last may be on its way
		t.Fatalf("the good one has %d of %d", len(waits), told-first)
	}
	p99 := waits[len(waits)*99/100]
	if each > 16 {
		t.Errorf("each holds %.1f KiB of heap", each)
	}
	t.Logf("%d readers that never read: the last was dropped %.1f s after the buffers were full, %.1f KiB of heap each; p99 of another one %v", n, dropped.Seconds(), each, p99)
}

// shallow accepts connections whose send buffer the kernel does not let grow.
type shallow struct{ net.Listener }

func (l shallow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(32 << 10)
	}
	return c, err
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// streams is how many streams are open.
func (s *system) streams(t *testing.T) int {
	t.Helper()
	for line := range strings.SplitSeq(s.metrics(t), "\n") {
		if v, ok := strings.CutPrefix(line, "byline_streams "); ok {
			n, _ := strconv.Atoi(v)
			return n
		}
	}
	t.Fatal("the metrics do not tell how many streams are open")
	return 0
}

func (s *system) metrics(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
