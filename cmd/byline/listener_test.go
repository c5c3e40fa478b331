package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// listener follows a session through kills, and hangs up by itself now and then. It keeps what it heard.
type listener struct {
	last     int64
	heard    []string // session_seq and type
	problems []string
	came     int
	ended    int // runs
}

// runsHeard is how many runs a conversation of these tests has before something is deleted, and is heard no more.
const runsHeard = 13

// listen follows a session until its runs have ended. leave is asked behind each event whether to hang up and come again; nil stays.
func (c *client) listen(leave func() bool) *listener {
	l := &listener{}
	for c.ctx.Err() == nil && l.ended < runsHeard {
		resp, err := c.v.request(c.ctx, "GET", c.path+"/events", nil, "Accept", "text/event-stream", "Last-Event-ID", strconv.FormatInt(l.last, 10))
		if err == nil && resp.StatusCode == http.StatusOK {
			l.came++
			l.follow(resp, leave)
		}
		if err == nil {
			resp.Body.Close() // hangs up
		}
		if err != nil || resp.StatusCode != http.StatusOK { // the server is down at the moment
			time.Sleep(10 * time.Millisecond)
		}
	}
	return l
}

func (l *listener) follow(resp *http.Response, leave func() bool) {
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 16<<20)
	data := ""
	for l.ended < runsHeard && sc.Scan() { // an event is one when its blank line has come
		if line := sc.Text(); line == "" && data != "" {
			l.take(data)
			data = ""
			if leave != nil && leave() {
				return
			}
		} else if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = d
		}
	}
}

func (l *listener) take(data string) {
	var e struct {
		Seq  int64 `json:"session_seq"`
		Type string
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil || e.Seq != l.last+1 {
		l.problems = append(l.problems, fmt.Sprintf("%v: %.200s behind %d", err, data, l.last))
	}
	l.last, l.heard = e.Seq, append(l.heard, fmt.Sprint(e.Seq, " ", e.Type))
	if e.Type == "run.completed" {
		l.ended++
	}
}

// followed has the session followed from its start, and gives what tells in the end whether all was heard that is there.
func (c *client) followed() func() error {
	var l *listener
	var listening sync.WaitGroup
	n := 0
	listening.Go(func() { l = c.listen(func() bool { n++; return n%17 == 0 }) })
	return func() error {
		listening.Wait()
		all := (&client{v: c.v, ctx: c.ctx, path: c.path}).listen(nil)
		if problems := slices.Concat(l.problems, all.problems); len(problems) > 0 {
			return fmt.Errorf("who followed the session saw %v", problems)
		}
		if !slices.Equal(l.heard, all.heard) {
			return fmt.Errorf("who followed the session heard %d events, there are %d", len(l.heard), len(all.heard))
		}
		c.heardOf += len(l.heard)
		return context.Cause(c.ctx)
	}
}
