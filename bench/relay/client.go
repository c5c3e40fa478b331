package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"byline/bench/internal/proc"
)

// crowd is many readers of streams.
type crowd struct {
	words  atomic.Int64 // that came
	begun  atomic.Int64 // readers that have the first word
	ended  atomic.Int64 // streams that came to their end
	all    sync.WaitGroup
	mu     sync.Mutex
	conns  []net.Conn
	left   bool
	delays []float64 // ms from the endpoint, of words that carry their time
	firsts []float64 // of first words
	from   atomic.Int64
}

// read opens a stream and reads it to its end, in the background.
func (c *crowd) read(s *proc.Server, request string) {
	host := strings.TrimPrefix(s.Base, "http://")
	conn, err := net.Dial("tcp", host)
	proc.Check(err)
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, host, s.Token, len(body), body)
	c.mu.Lock()
	c.conns = append(c.conns, conn)
	c.mu.Unlock()
	c.all.Go(func() {
		defer conn.Close()
		err := c.lines(conn)
		c.mu.Lock()
		left := c.left
		c.mu.Unlock()
		if err != nil && !left {
			proc.Check(fmt.Errorf("%s: %w", path, err))
		}
	})
}

var (
	wordMark  = []byte(`"text":"`)
	tokenMark = []byte(`"type":"token"`)
	endMark   = []byte("event: run.completed")
	failMark  = []byte("event: run.failed")
)

// lines counts words: of token events of byline, and of the peer's, whose data is the text as JSON.
func (c *crowd) lines(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 32<<10)
	status, err := r.ReadSlice('\n')
	if err != nil || !bytes.Contains(status, []byte(" 200 ")) {
		rest, _ := r.Peek(r.Buffered())
		return fmt.Errorf("%v %s%s", err, status, rest)
	}
	begun, clocked, long := false, false, false
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = true
			continue
		}
		if err != nil {
			return err
		}
		was := long
		long = false
		switch {
		case was:
			continue
		case bytes.HasPrefix(line, endMark), bytes.Equal(line, []byte("0\r\n")):
			c.ended.Add(1)
			return nil
		case bytes.HasPrefix(line, failMark):
			more, _ := r.ReadSlice('\n')
			return fmt.Errorf("%s", more)
		case !bytes.Contains(line, wordMark) || bytes.Contains(line, []byte("##")) || bytes.HasPrefix(line, []byte("data: {\"seq\"")) && !bytes.Contains(line, tokenMark):
			continue
		}
		now := time.Now().UnixNano()
		_, text, _ := bytes.Cut(line, wordMark)
		c.words.Add(int64(bytes.Count(text, []byte(" "))))
		clocked = c.clock(text, now, !clocked) || clocked
		if !begun {
			begun = true
			c.begun.Add(1)
		}
	}
}

// clock notes how long words that carry their time were on the way, and tells whether there was one.
func (c *crowd) clock(text []byte, now int64, first bool) (any bool) {
	from := c.from.Load()
	for i := bytes.IndexByte(text, 'T'); i >= 0 && len(text) > i+20; i = bytes.IndexByte(text, 'T') {
		sent, err := strconv.ParseInt(string(text[i+1:i+20]), 10, 64)
		text = text[i+1:]
		if err != nil {
			continue
		}
		c.mu.Lock()
		if first && !any {
			c.firsts = append(c.firsts, float64(now-sent)/1e6)
		}
		any = true
		if from > 0 && sent > from {
			c.delays = append(c.delays, float64(now-sent)/1e6)
		}
		c.mu.Unlock()
	}
	return any
}

// leave closes all that is open.
func (c *crowd) leave() {
	c.mu.Lock()
	c.left = true
	for _, conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.all.Wait()
}

// wait until all readers have their first word.
func (c *crowd) wait(n int) {
	for c.begun.Load() < int64(n) {
		time.Sleep(20 * time.Millisecond)
	}
}

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return -1
	}
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

// follow generates a post and gives the seconds until the first event, until the survey is told, and until the end.
func follow(s *proc.Server, body string) (first, survey, whole float64) {
	q, err := http.NewRequest("POST", s.Base+"/api/v1/blog/generate", strings.NewReader(body))
	proc.Check(err)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "text/event-stream")
	q.Header.Set("Authorization", "Bearer "+s.Token)
	began := time.Now()
	a, err := http.DefaultClient.Do(q)
	proc.Check(err)
	defer a.Body.Close()
	r := bufio.NewReader(a.Body)
	for {
		line, err := r.ReadString('\n')
		proc.Check(err)
		now := time.Since(began).Seconds()
		switch {
		case strings.HasPrefix(line, "event: ") && first == 0:
			first = now
		case strings.HasPrefix(line, "event: survey.ready"):
			survey = now
		case strings.HasPrefix(line, "event: run.completed"):
			return first, survey, now
		case strings.HasPrefix(line, "event: run.failed"):
			more, _ := r.ReadString('\n')
			proc.Check(errors.New(more))
		}
	}
}
