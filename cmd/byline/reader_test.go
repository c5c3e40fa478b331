package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reader follows a run through kills as EventSource does: it comes again with the id of its last event. It puts the text
// together by the rules of the wire and notes each event that breaks them.
type reader struct {
	last     int64
	text     map[string]string // by section
	order    []string
	problems []string
	end      string // type of the terminal event
	came     int    // how often it connected
	left     int    // how often it hung up
	refused  int    // how often it could not connect
	kinds    map[string]int
	steps    map[string]bool // that were completed
}

// read follows a run to its end. leave is asked behind each event whether to hang up and come again; nil stays.
func (v *victim) read(ctx context.Context, runID string, leave func() bool) *reader {
	return v.readFrom(ctx, runID, leave, &reader{})
}

// readFrom goes on where a reader is.
func (v *victim) readFrom(ctx context.Context, runID string, leave func() bool, rd *reader) *reader {
	if rd.text == nil {
		rd.text, rd.kinds, rd.steps = map[string]string{}, map[string]int{}, map[string]bool{}
	}
	for ctx.Err() == nil && rd.end == "" {
		resp, err := v.request(ctx, "GET", "/runs/"+runID+"/events", nil, "Accept", "text/event-stream", "Last-Event-ID", strconv.FormatInt(rd.last, 10))
		if err == nil && resp.StatusCode == http.StatusOK {
			rd.came++
			rd.follow(resp, leave)
		}
		if err == nil {
			resp.Body.Close() // hangs up
		}
		if err != nil || resp.StatusCode != http.StatusOK { // the server is down at the moment
			rd.refused++
			time.Sleep(10 * time.Millisecond)
		}
	}
	return rd
}

func (rd *reader) follow(resp *http.Response, leave func() bool) {
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 16<<20)
	data := ""
	for sc.Scan() { // an event is one when its blank line has come: what a kill cut off is not
		if line := sc.Text(); line == "" && data != "" {
			rd.take(data)
			data = ""
			if leave != nil && leave() {
				return
			}
		} else if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = d
		}
	}
}

// wrong notes what breaks the rules.
func (rd *reader) wrong(format string, args ...any) {
	rd.problems = append(rd.problems, fmt.Sprintf(format, args...))
}

func (rd *reader) take(data string) {
	var e struct {
		Seq  int64  `json:"seq"`
		Type string `json:"type"`
		Data struct {
			FromSeq int64  `json:"from_seq"`
			Channel string `json:"channel"`
			Section string `json:"section_id"`
			Offset  int    `json:"offset"`
			Text    string `json:"text"`
			Step    string `json:"step"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		rd.wrong("%v in %q", err, data)
		return
	}
	rd.kinds[e.Type]++
	d := e.Data
	// A snapshot stands for the events from from_seq to its own; who asks inside that range gets it too. All others are dense.
	if first := d.FromSeq; e.Type == "snapshot" && (first > rd.last+1 || e.Seq <= rd.last) || e.Type != "snapshot" && e.Seq != rd.last+1 {
		rd.wrong("%s %d (from %d) behind %d", e.Type, e.Seq, first, rd.last)
	}
	rd.last = e.Seq
	old, known := rd.text[d.Section]
	switch e.Type {
	case "token", "snapshot":
		if !known {
			rd.order = append(rd.order, d.Section)
		}
		if e.Type == "snapshot" {
			rd.text[d.Section] = d.Text
			return
		}
		if d.Offset != len(old) {
			rd.wrong("seq %d: token of %s at %d behind %d bytes", e.Seq, d.Section, d.Offset, len(old))
		}
		rd.text[d.Section] = old + d.Text
	case "reset":
		if d.Section == "" {
			rd.text, rd.order = map[string]string{}, nil
		} else if known {
			rd.text[d.Section] = ""
		}
	case "step.completed":
		if rd.steps[d.Step] {
			rd.wrong("seq %d: step %s is completed once more", e.Seq, d.Step)
		}
		rd.steps[d.Step] = true
	case "run.completed", "run.failed", "run.cancelled":
		rd.end = e.Type
	}
}

// whole is the text as it stands now.
func (rd *reader) whole() string {
	var b strings.Builder
	for _, s := range rd.order {
		b.WriteString(rd.text[s])
	}
	return b.String()
}

// copied is a reader at the same place.
func (rd *reader) copied() *reader {
	c := &reader{last: rd.last, text: map[string]string{}, order: append([]string(nil), rd.order...), kinds: map[string]int{}, steps: maps.Clone(rd.steps)}
	for k, t := range rd.text {
		c.text[k] = t
	}
	return c
}
