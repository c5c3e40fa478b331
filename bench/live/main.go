// Command live measures what open streams cost: thousands of silent WebSockets, an event that a thousand members wait for, and readers
// of server-sent events that never read.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"byline/bench/internal/proc"
)

var (
	program = flag.String("byline", "../bin/byline", "program to measure")
	n       = flag.Int("n", 10_000, "silent WebSockets")
	rooms   = flag.Int("rooms", 1000, "sessions that they are in")
	members = flag.Int("members", 1000, "of the session that is told something")
	events  = flag.Int("events", 30, "that it is told")
	length  = flag.Duration("length", 20*time.Second, "of the look at CPU")
	only    = flag.String("only", "", "one part: idle, broadcast, stuck")
)

const port = "18050"

func main() {
	flag.Parse()
	var err error
	*program, err = filepath.Abs(*program)
	proc.Check(err)
	for _, part := range []struct {
		name string
		do   func()
	}{{"idle", idle}, {"broadcast", broadcast}, {"stuck", stuck}} {
		if *only == "" || *only == part.name {
			part.do()
		}
	}
}

func start() (s *proc.Server, stop func()) {
	dir, err := os.MkdirTemp("", "byline-bench-*")
	proc.Check(err)
	s = proc.Start(*program, dir, port, "BYLINE_LIMITS=off", "ACCESS_TOKEN_EXPIRE_MINUTES=1440", "DEFAULT_LLM_PROVIDER=offline")
	s.Register()
	return s, func() {
		s.Stop()
		os.RemoveAll(dir)
	}
}

func session(s *proc.Server) string {
	var out struct{ ID string }
	proc.Check(json.Unmarshal(s.Call("POST", "/api/v1/sessions", ""), &out))
	return out.ID
}

// idle opens WebSockets that nothing happens in, and looks at memory and CPU.
func idle() {
	s, stop := start()
	defer stop()
	ids := make([]string, *rooms)
	for i := range ids {
		ids[i] = session(s)
	}
	before := s.Settled()
	open(s, *n, func(i int) string { return ids[i%len(ids)] }, func([]byte) {})
	time.Sleep(70 * time.Second) // each was pinged, and what opening needed is given back
	own, _ := s.RSS()
	used := s.CPU()
	time.Sleep(*length)
	fmt.Printf("%d silent WebSockets in %d sessions: %.1f KiB each (%.0f MB, before %.0f MB), %.1f %% of a core over %v (load %s)\n", *n, *rooms,
		(own-before)*1024/float64(*n), own, before, 100*(s.CPU()-used).Seconds()/length.Seconds(), *length, proc.Load())
}

var atPart = regexp.MustCompile(`"at":"([^"]+)"`)

// broadcast tells a session something, and looks when its members have it.
func broadcast() {
	s, stop := start()
	defer stop()
	id := session(s)
	var mu sync.Mutex
	var late []time.Duration
	open(s, *members, func(int) string { return id }, func(b []byte) {
		if !strings.Contains(string(b), `"type":"session.updated"`) {
			return
		}
		at, err := time.Parse(time.RFC3339Nano, string(atPart.FindSubmatch(b)[1]))
		proc.Check(err)
		mu.Lock()
		defer mu.Unlock()
		late = append(late, time.Since(at))
	})
	time.Sleep(3 * time.Second)
	used := s.CPU()
	for i := range *events {
		s.Call("PATCH", "/api/v1/sessions/"+id, fmt.Sprintf(`{"name":"Name %d"}`, i))
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(time.Second)
	mu.Lock()
	defer mu.Unlock()
	if len(late) != *members**events {
		log.Fatalf("%d of %d messages came", len(late), *members**events)
	}
	slices.Sort(late)
	fmt.Printf("an event to %d members, %d times: p50 %.0f ms, p99 %.0f ms, the last %.0f ms; %.1f µs of CPU a member and event (load %s)\n", *members, *events,
		ms(late[len(late)/2]), ms(late[len(late)*99/100]), ms(late[len(late)-1]), float64((s.CPU()-used).Microseconds())/float64(len(late)), proc.Load())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stuck is a test of the product with its figures shown: the heap can only be looked at from inside.
func stuck() {
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestReadersThatNeverRead$", "./internal/app")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0", "BENCH_READERS=300")
	out, err := cmd.CombinedOutput()
	if err != nil {
		log.Fatalf("%v: %s", err, out)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.Contains(line, "never read") {
			fmt.Printf("%s (load %s)\n", strings.TrimSpace(line), proc.Load())
		}
	}
}

// open opens WebSockets, each with a reader that answers pings.
func open(s *proc.Server, n int, room func(i int) string, got func([]byte)) {
	var opened sync.WaitGroup
	turns := make(chan struct{}, 50)
	for i := range n {
		turns <- struct{}{}
		opened.Go(func() {
			defer func() { <-turns }()
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			proc.Check(err)
			fmt.Fprintf(c, "GET /ws/%s?after=latest HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n", room(i), port, s.Token)
			r := bufio.NewReaderSize(c, 1024)
			line, err := r.ReadString('\n')
			proc.Check(err)
			if !strings.Contains(line, "101") {
				log.Fatal(line)
			}
			for line != "\r\n" {
				line, err = r.ReadString('\n')
				proc.Check(err)
			}
			hello, _ := frame(r)
			if !strings.Contains(string(hello), `"hello"`) {
				log.Fatalf("%s", hello)
			}
			go read(c, r, got)
		})
	}
	opened.Wait()
}

func read(c net.Conn, r *bufio.Reader, got func([]byte)) {
	for {
		b, op := frame(r)
		switch op {
		case 1:
			got(b)
		case 9: // ping
			pong := append([]byte{0x8a, 0x80 | byte(len(b)), 0, 0, 0, 0}, b...)
			if _, err := c.Write(pong); err != nil {
				return
			}
		case -1, 8:
			c.Close()
			return
		}
	}
}

// frame reads one of the server's, which are neither masked nor in parts.
func frame(r *bufio.Reader) (b []byte, op int) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, -1
	}
	size := int(h[1])
	switch size {
	case 126:
		var l [2]byte
		io.ReadFull(r, l[:])
		size = int(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		io.ReadFull(r, l[:])
		size = int(binary.BigEndian.Uint64(l[:]))
	}
	b = make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, -1
	}
	return b, int(h[0] & 15)
}
