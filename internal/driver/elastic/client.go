package elastic

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"byline/internal/fault"
)

// client sends requests and turns what can go wrong into faults.
type client struct {
	transport *elastictransport.Client
	network   *http.Transport
	through   http.RoundTripper // instead of network, for tests
	header    http.Header
	timeout   time.Duration
	attempts  int
}

// overNetwork sends a request to one node. Redirects are not followed: what stands at another address gets neither our
// header nor our passages.
func (c *client) overNetwork(r *http.Request) (*http.Response, error) {
	if c.through != nil {
		return c.through.RoundTrip(r)
	}
	return c.network.RoundTrip(r)
}

// request is one call. All of them may be repeated without harm.
type request struct {
	method   string
	path     string // with its query
	in       any    // to be sent as JSON, or lines; nil: no body
	attempts int    // 0: the client's
}

// lines are JSON values with a newline after each, as bulk and msearch want them.
type lines []byte

// refusal is an answer that says that the request was wrong: it isn't tried again.
type refusal struct {
	status int
	cause
}

// cause is Elasticsearch's own description of an error.
type cause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// maxReason is how much of a server's words goes to the log and to dead letters, in bytes.
const maxReason = 300

func (c cause) String() string {
	return c.Type + ": " + strings.ToValidUTF8(c.Reason[:min(len(c.Reason), maxReason)], "")
}

func (r *refusal) Error() string {
	return fmt.Sprintf("Elasticsearch answered %d: %s", r.status, r.cause)
}

// refused tells whether err is a refusal with one of the statuses.
func refused(err error, statuses ...int) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && slices.Contains(statuses, r.status)
}

const (
	// maxAnswer is the most that is read of an answer, in bytes: explanations of 100 hits of a long question are some 5 MB.
	maxAnswer = 32 << 20
	// maxWait is the longest that is waited between two attempts; a server that asks for more is told to the caller.
	maxWait   = 10 * time.Second
	firstWait = 50 * time.Millisecond
)

// do sends a request until it is answered, refused, out of attempts or out of time. out is nil or takes the answer's JSON.
func (c *client) do(ctx context.Context, r request, out any) error {
	body, kind, err := encoded(r.in)
	if err != nil {
		return err
	}
	attempts := r.attempts
	if attempts == 0 {
		attempts = c.attempts
	}
	for n := 1; ; n++ {
		err := c.once(ctx, r, body, kind, out)
		if n >= attempts || !c.wait(ctx, n, err) {
			return err
		}
	}
}

func encoded(in any) (body []byte, kind string, err error) {
	switch v := in.(type) {
	case nil:
		return nil, "", nil
	case lines:
		return v, "application/x-ndjson", nil
	}
	if body, err = json.Marshal(in); err != nil {
		return nil, "", fmt.Errorf("write a request: %w", err)
	}
	return body, "application/json", nil
}

// wait lets time pass after the n-th attempt failed, and tells whether another one may help.
func (c *client) wait(ctx context.Context, n int, err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Unavailable || slices.Contains(lasting, f.Code) || ctx.Err() != nil {
		return false
	}
	pause := firstWait << (n - 1)
	pause += rand.N(pause) // so that replicas do not come back together
	pause = max(pause, f.RetryAfter)
	if deadline, ok := ctx.Deadline(); pause > maxWait || ok && time.Until(deadline) < pause {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// The codes of fault.Unavailable.
const (
	codeRefused     = "elasticsearch_refused" // nobody answers, or not as Elasticsearch does
	codeTimeout     = "elasticsearch_timeout"
	codeBusy        = "elasticsearch_busy"
	codeDenied      = "elasticsearch_denied"      // the credentials
	codeBlocked     = "elasticsearch_blocked"     // it takes no writes
	codeCertificate = "elasticsearch_certificate" // it is not known to be what it says
	codePartial     = "elasticsearch_partial"     // only some shards answered
	codeEmpty       = "engine_empty"              // nothing serves yet
)

// lasting is what another attempt a moment later doesn't change.
var lasting = []string{codeDenied, codeBlocked, codeCertificate}

func unavailable(code, say string, cause error) *fault.Error {
	return fault.New(fault.Unavailable, code, "%s", say).Because(cause)
}

// once sends a request once, to one node after the other.
func (c *client) once(caller context.Context, r request, body []byte, kind string, out any) error {
	ctx, cancel := context.WithTimeout(caller, c.timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, r.path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	q.Header = c.header.Clone()
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	a, err := c.transport.Perform(q)
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
	}
	if out == nil {
		out = &struct{}{}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return strange(err)
	}
	return nil
}

// strange is an answer that Elasticsearch doesn't give: something else stands at the address.
func strange(cause error) error {
	return unavailable(codeRefused, "What answers at the URL of Elasticsearch is not Elasticsearch, or is out of order. Check ELASTICSEARCH_URL.", cause)
}

// broken is the fault of a request without an answer.
func broken(caller context.Context, err error) error {
	if errors.Is(caller.Err(), context.Canceled) {
		return caller.Err()
	}
	if n, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout() {
		return unavailable(codeTimeout, "Elasticsearch did not answer in time.", err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return unavailable(codeCertificate, "The certificate of Elasticsearch is not one to trust. Name the authority that made it, and the host that it was made for.", err)
	}
	return unavailable(codeRefused, "Elasticsearch cannot be reached. Check that it runs, and ELASTICSEARCH_URL.", err)
}

// rejected is the fault of an answer that is not a success.
func rejected(a *http.Response, data []byte) error {
	var told struct {
		Error json.RawMessage `json:"error"`
	}
	c := cause{Reason: string(data)}
	if json.Unmarshal(data, &told) == nil && len(told.Error) > 0 {
		if json.Unmarshal(told.Error, &c) != nil { // older parts of the server answer with a text
			c = cause{Reason: string(told.Error)}
		}
	} else if a.StatusCode == http.StatusNotFound {
		return strange(errors.New("an answer 404 that is not Elasticsearch's"))
	}
	err := classified(a.StatusCode, c)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == codeBusy {
		f.RetryAfter = retryAfter(a.Header.Get("Retry-After"))
	}
	return err
}

// classified is the fault of a status and its cause, of a whole answer or of a part of it.
func classified(status int, c cause) error {
	r := &refusal{status, c}
	switch {
	case c.Type == "cluster_block_exception":
		return unavailable(codeBlocked, "Elasticsearch takes no writes at the moment; a full disk is the usual reason.", r)
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return unavailable(codeBusy, "Elasticsearch is busy. Try again later.", r)
	case status == http.StatusGatewayTimeout || status == http.StatusRequestTimeout:
		return unavailable(codeTimeout, "Elasticsearch did not answer in time.", r)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return unavailable(codeDenied, "Elasticsearch refuses the credentials. Check the API key, or the user and password in ELASTICSEARCH_URL, and what they may do.", r)
	case status >= 500 || status < 400:
		return unavailable(codeRefused, "Elasticsearch is out of order; its log says more.", r)
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
