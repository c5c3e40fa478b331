package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"byline/internal/fault"
)

// client speaks the HTTP interface.
type client struct {
	base, token string
	http        *http.Client
	remote      bool // a server of its own process
}

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
	run struct {
		ID      string `json:"id"`
		Status  string `json:"status"`
		Subject struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"subject"`
		Error *struct{ Code, Detail string } `json:"error"`
	}
	draft struct {
		ID      string `json:"id"`
		Title   string `json:"title"`
		Version int    `json:"version"`
		RunID   string `json:"run_id"`
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
		if ctx.Err() == nil && c.remote {
			return nil, fault.New(fault.Unavailable, "unreachable", "The server at %s does not answer. Is it stopping? Try again.", c.base).Because(err)
		}
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p); err != nil || p.Detail == "" {
		return nil, fmt.Errorf("%s %s answered %s", method, path, resp.Status)
	}
	kind := fault.Invalid
	if p.Status >= 500 {
		kind = fault.Unavailable
	}
	e := fault.New(kind, p.Code, "%s", p.Detail)
	e.Fields = p.Errors
	return nil, e
}

// upload streams one file.
func (c *client) upload(ctx context.Context, path string) (document, bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return document{}, false, err
	}
	defer f.Close()
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	go func() {
		part, err := form.CreateFormFile("file", filepath.Base(path))
		if err == nil {
			_, err = io.Copy(part, f)
		}
		if err == nil {
			err = form.Close()
		}
		pw.CloseWithError(err)
	}()
	defer pr.Close() // ends the goroutine when the server stopped reading
	resp, err := c.send(ctx, "POST", "/api/v1/documents/upload", pr, http.Header{"Content-Type": {form.FormDataContentType()}})
	if err != nil {
		return document{}, false, err
	}
	defer resp.Body.Close()
	var d document
	err = json.NewDecoder(resp.Body).Decode(&d)
	return d, resp.StatusCode == http.StatusCreated, err
}

// errEnded is a stream that ended before its run.
var errEnded = errors.New("stream ended early")

// follow reads a run's events from a seq on until its last one. A connection that breaks is taken up where it broke.
func (c *client) follow(ctx context.Context, runID string, each func(event) error) error {
	var last int64
	for tries := 0; ; tries++ {
		before := last
		done, err := c.events(ctx, runID, &last, each)
		if done || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if err != nil && !errors.Is(err, errEnded) {
			return err
		}
		if last > before {
			tries = 0
		}
		if tries == 5 {
			return fmt.Errorf("follow run %s: %w", runID, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c *client) events(ctx context.Context, runID string, last *int64, each func(event) error) (done bool, err error) {
	resp, err := c.send(ctx, "GET", "/api/v1/runs/"+url.PathEscape(runID)+"/events", nil,
		http.Header{"Accept": {"text/event-stream"}, "Last-Event-Id": {strconv.FormatInt(*last, 10)}})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return false, fmt.Errorf("read event: %w", err)
		}
		*last = e.Seq
		if err := each(e); err != nil {
			return true, err
		}
		switch e.Type {
		case "run.completed", "run.failed", "run.cancelled":
			return true, nil
		}
	}
	return false, errEnded
}
