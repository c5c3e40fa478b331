package chroma

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"byline/internal/fault"
)

// client sends requests and turns what can go wrong into faults.
type client struct {
	http     *http.Client
	root     string // .../api/v2
	tenant   string
	database string
	header   http.Header
	timeout  time.Duration
	attempts int
}

// request is one call. All of them may be repeated without harm.
type request struct {
	method   string
	path     string // below root
	in       any    // nil: no body
	attempts int    // 0: the client's
}

// within gives the path of something in the client's database.
func (c *client) within(parts ...string) string {
	path := "/tenants/" + url.PathEscape(c.tenant) + "/databases/" + url.PathEscape(c.database)
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

// refusal is an answer that says that the request was wrong: it isn't tried again.
type refusal struct {
	status int
	say    string // the server's words
}

func (r *refusal) Error() string { return fmt.Sprintf("Chroma answered %d: %s", r.status, r.say) }

// refused tells whether err is a refusal with one of the statuses.
func refused(err error, statuses ...int) bool {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return false
	}
	for _, s := range statuses {
		if r.status == s {
			return true
		}
	}
	return false
}

const (
	// maxAnswer is the most that is read of an answer, in bytes; a page of Held and a search stay far below.
	maxAnswer = 8 << 20
	// maxWait is the longest that is waited between two attempts; a server that asks for more is told to the caller.
	maxWait   = 10 * time.Second
	firstWait = 50 * time.Millisecond
)

// do sends a request until it is answered, refused, out of attempts or out of time. out is nil or takes the answer's JSON.
func (c *client) do(ctx context.Context, r request, out any) error {
	var body []byte
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
	}
	attempts := r.attempts
	if attempts == 0 {
		attempts = c.attempts
	}
	for n := 1; ; n++ {
		err := c.once(ctx, r, body, out)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Unavailable || f.Code == codeDenied || n >= attempts || ctx.Err() != nil {
			return err
		}
		wait := firstWait << (n - 1)
		wait += rand.N(wait) // so that replicas do not come back together
		wait = max(wait, f.RetryAfter)
		if deadline, ok := ctx.Deadline(); wait > maxWait || ok && time.Until(deadline) < wait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// The codes of fault.Unavailable.
const (
	codeRefused = "chroma_refused" // nobody answers, or not as Chroma does
	codeTimeout = "chroma_timeout"
	codeBusy    = "chroma_busy"
	codeDenied  = "chroma_denied" // the credentials
	codeEmpty   = "engine_empty"  // nothing serves yet
)

func unavailable(code, say string, cause error) *fault.Error {
	return fault.New(fault.Unavailable, code, "%s", say).Because(cause)
}

// once sends a request once.
func (c *client) once(caller context.Context, r request, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(caller, c.timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, c.root+r.path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	q.Header = c.header.Clone()
	a, err := c.http.Do(q)
	if err != nil {
		return broken(caller, err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
	switch {
	case err != nil:
		return broken(caller, err)
	case len(data) > maxAnswer:
		return strange(fmt.Errorf("an answer of more than %d bytes", maxAnswer))
	case a.StatusCode < 200 || a.StatusCode > 299:
		return rejected(a, data)
	case out == nil && (len(data) == 0 || json.Valid(data)):
		return nil
	case out == nil:
		return strange(errors.New("an answer that is not JSON"))
	}
	if err := json.Unmarshal(data, out); err != nil {
		return strange(err)
	}
	return nil
}

// strange is an answer that Chroma doesn't give: something else stands at the address.
func strange(cause error) error {
	return unavailable(codeRefused, "What answers at the URL of Chroma is not Chroma, or is out of order. Check CHROMADB_URL.", cause)
}

// broken is the fault of a request without an answer.
func broken(caller context.Context, err error) error {
	if errors.Is(caller.Err(), context.Canceled) {
		return caller.Err()
	}
	// The URL that *url.Error repeats has no password, but is no help either.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if n, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout() {
		return unavailable(codeTimeout, "Chroma did not answer in time.", err)
	}
	return unavailable(codeRefused, "Chroma cannot be reached. Check that it runs, and CHROMADB_URL.", err)
}

// rejected is the fault of an answer that is not a success.
func rejected(a *http.Response, data []byte) error {
	var told struct{ Message string }
	const most = 300 // bytes of the server's words that go to the log
	if json.Unmarshal(data, &told) != nil || told.Message == "" {
		told.Message = string(data)
	}
	r := &refusal{a.StatusCode, told.Message[:min(len(told.Message), most)]}
	switch s := a.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		f := unavailable(codeBusy, "Chroma is busy. Try again later.", r)
		f.RetryAfter = retryAfter(a.Header.Get("Retry-After"))
		return f
	case s == http.StatusGatewayTimeout || s == http.StatusRequestTimeout:
		return unavailable(codeTimeout, "Chroma did not answer in time.", r)
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return unavailable(codeDenied, "Chroma refuses the credentials. Check the token, or the user and password in CHROMADB_URL.", r)
	case s >= 500 || s < 400:
		return unavailable(codeRefused, "Chroma is out of order; its log says more.", r)
	}
	return r
}

// retryAfter reads the header's two forms: seconds, or a date.
func retryAfter(header string) time.Duration {
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
