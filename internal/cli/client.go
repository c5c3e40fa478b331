package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"byline/internal/fault"
)

// client speaks the HTTP interface.
type client struct {
	base, token string
	http        *http.Client
	pid         int // of a server of its own; 0: the library is open in this process
}

func (c *client) remote() bool { return c.pid != 0 }

// The shapes of the wire, as far as commands need them.
type (
	document struct {
		ID           string `json:"id"`
		Filename     string `json:"filename"`
		Status       string `json:"status"`
		Stage        string `json:"stage"`
		ChunkCount   int    `json:"chunk_count"`
		PageCount    int    `json:"page_count"`
		ErrorCode    string `json:"error_code"`
		ErrorMessage string `json:"error_message"`
		Progress     *struct {
			Done int `json:"done"`
			Of   int `json:"of"`
		} `json:"progress"`
	}
	event struct {
		Seq  int64           `json:"seq"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	problem struct {
		Status    int           `json:"status"`
		Detail    string        `json:"detail"`
		Code      string        `json:"code"`
		RequestID string        `json:"request_id"`
		Errors    []fault.Field `json:"errors"`
	}
)

// call sends in (nil: no body) and reads the answer into out (nil: not wanted).
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.send(ctx, method, path, body, http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil
}

// send makes a request; an error answer becomes a fault with its words.
func (c *client) send(ctx context.Context, method, path string, body io.Reader, h http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = h
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		who := "The library"
		if c.remote() {
			who = "The server at " + c.base
		}
		return nil, fault.New(fault.Unavailable, "unreachable", "%s does not answer. Is it stopping? Try again.", who).Because(err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(method, path, resp)
}

// refusal is an error answer as a fault.
func refusal(method, path string, resp *http.Response) error {
	kind := fault.Invalid
	if resp.StatusCode >= 500 {
		kind = fault.Unavailable
	}
	var p problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p); err != nil || p.Detail == "" {
		return fault.New(kind, "unreadable_answer", "%s %s was answered with %s and no reason.", method, path, resp.Status)
	}
	e := fault.New(kind, p.Code, "%s", p.Detail)
	if resp.StatusCode == http.StatusInternalServerError && p.RequestID != "" {
		e.Say += " (request " + p.RequestID + ")"
	}
	e.Fields = p.Errors
	return e
}

// upload streams one file. fresh is false when the library had its bytes already.
func (c *client) upload(ctx context.Context, path string) (d document, fresh bool, err error) {
	if isAddress(path) {
		return c.fetch(ctx, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return document{}, false, err
	}
	return c.uploadFrom(ctx, filepath.Base(path), f)
}

// fetch has the server take in a page by its address.
func (c *client) fetch(ctx context.Context, address string) (d document, fresh bool, err error) {
	body, err := json.Marshal(map[string]string{"url": address})
	if err != nil {
		return document{}, false, err
	}
	resp, err := c.send(ctx, "POST", "/api/v1/documents/url", bytes.NewReader(body), http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return document{}, false, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		return document{}, false, fmt.Errorf("read answer to %s: %w", address, err)
	}
	return d, resp.StatusCode == http.StatusCreated, nil
}

// uploadFrom streams one file from f, which it closes.
func (c *client) uploadFrom(ctx context.Context, name string, f io.ReadCloser) (d document, fresh bool, err error) {
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	var written sync.WaitGroup
	written.Go(func() {
		part, err := form.CreateFormFile("file", inline(name))
		if err == nil {
			_, err = io.Copy(part, f)
		}
		if err == nil {
			err = form.Close()
		}
		pw.CloseWithError(err)
	})
	defer func() {
		f.Close()  // wakes a read that waits, of a pipe
		pr.Close() // and a write, when the server stopped reading
		written.Wait()
	}()
	resp, err := c.send(ctx, "POST", "/api/v1/documents/upload", pr, http.Header{"Content-Type": {form.FormDataContentType()}})
	if pe, ok := errors.AsType[*fs.PathError](err); ok { // the file broke off, not the connection
		err = pe
	}
	if err != nil {
		return document{}, false, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		return document{}, false, fmt.Errorf("read answer to upload: %w", err)
	}
	return d, resp.StatusCode == http.StatusCreated, nil
}

// wellness is an error when something that the library stands on is down, in its own words.
func (c *client) wellness(ctx context.Context) error {
	var status struct {
		Dependencies []struct{ Name, Status, Detail string } `json:"dependencies"`
	}
	if err := c.call(ctx, "GET", "/api/v1/status", nil, &status); err != nil {
		return err
	}
	for _, d := range status.Dependencies {
		if d.Status == "down" {
			return fault.New(fault.Unavailable, "not_well", "%s", d.Detail)
		}
	}
	return nil
}

// errEnded is a stream that ended before its run.
var errEnded = errors.New("the stream ended early")

// How often a broken stream is taken up without anything new, and how long to wait before, unless the server says otherwise.
const (
	maxTries = 5
	retry    = time.Second
)

// cursor is how far a run's events were read.
type cursor struct {
	seq   int64
	retry time.Duration
}

// follow reads a run's events until its last one. A connection that breaks is taken up where it broke.
func (c *client) follow(ctx context.Context, runID string, each func(event) error) error {
	at := cursor{retry: retry}
	for tries := 1; ; tries++ {
		before := at.seq
		done, err := c.events(ctx, runID, &at, each)
		if done {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, isFault := errors.AsType[*fault.Error](err)
		if !errors.Is(err, errEnded) && !(isFault && f.Kind == fault.Unavailable) {
			return err
		}
		if at.seq > before {
			tries = 0
		}
		if tries == maxTries {
			return fault.New(fault.Unavailable, "stream_broken", "The stream of events breaks off again and again.").Because(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(at.retry):
		}
	}
}

// events reads one stream. done is true when there is nothing more to come.
func (c *client) events(ctx context.Context, runID string, at *cursor, each func(event) error) (done bool, err error) {
	h := http.Header{"Accept": {"text/event-stream"}}
	if at.seq > 0 {
		h.Set("Last-Event-ID", strconv.FormatInt(at.seq, 10))
	}
	resp, err := c.send(ctx, "GET", "/api/v1/runs/"+url.PathEscape(runID)+"/events", nil, h)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 16<<20)
	data := ""
	for sc.Scan() {
		name, text, _ := strings.Cut(sc.Text(), ": ")
		switch name {
		case "retry":
			if ms, err := strconv.Atoi(text); err == nil {
				at.retry = time.Duration(ms) * time.Millisecond
			}
		case "data":
			data = text
		}
		if sc.Text() != "" || data == "" {
			continue // an event is whole with its blank line; what a broken connection cut off comes again
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return false, fmt.Errorf("read event after %d: %w", at.seq, err)
		}
		data = ""
		at.seq = e.Seq
		if err := each(e); err != nil {
			return true, err
		}
		switch e.Type {
		case "run.completed", "run.failed", "run.cancelled":
			return true, nil
		}
	}
	return false, firstError(wrapEnded(sc.Err()), errEnded)
}

func wrapEnded(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errEnded, err)
}
