package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/fault"
)

// Problem is every error answer (RFC 9457).
type Problem struct {
	Type      string        `json:"type" format:"uri-reference" doc:"about:blank; the code tells kinds apart" example:"about:blank"`
	Title     string        `json:"title" doc:"The status in words" example:"Not Found"`
	Status    int           `json:"status" doc:"The HTTP status" example:"404"`
	Detail    string        `json:"detail" doc:"A sentence for people" example:"There is no such document."`
	Code      string        `json:"code" doc:"Stable, for programs" example:"not_found"`
	RequestID string        `json:"request_id" doc:"Find it in the server's log"`
	Errors    []fault.Field `json:"errors,omitempty" doc:"The values that are not allowed, with their places"`

	retryAfter int // seconds
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma answer application/problem+json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

var statuses = map[fault.Kind]int{
	fault.Internal: 500, fault.Malformed: 400, fault.Invalid: 422, fault.Unauthenticated: 401, fault.Forbidden: 403,
	fault.NotFound: 404, fault.Conflict: 409, fault.Stale: 412, fault.NeedsMatch: 428, fault.TooLarge: 413,
	fault.Unsupported: 415, fault.Limited: 429, fault.Unavailable: 503, fault.StorageFull: 507,
	fault.Cancelled: 499, // nobody reads it; the log and the metrics do
}

// problemOf makes the answer to an error, and logs what is ours.
func problemOf(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		slog.ErrorContext(ctx, "request failed", "request_id", requestID(ctx), "error", err)
	}
	p := newProblem(ctx, statuses[f.Kind], f.Code, f.Say)
	p.Errors = f.Fields
	if f.RetryAfter > 0 {
		p.retryAfter = max(1, int(f.RetryAfter.Seconds()))
	}
	return p
}

func newProblem(ctx context.Context, status int, code, detail string) *Problem {
	title := http.StatusText(status)
	if title == "" {
		title = "Client Closed Request"
	}
	return &Problem{Type: "about:blank", Title: title, Status: status, Code: code, Detail: detail, RequestID: requestID(ctx)}
}

// writeProblem answers outside huma.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	h := w.Header()
	for _, k := range []string{"Content-Length", "Content-Encoding", "Etag", "Content-Disposition"} {
		h.Del(k)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	p.headers(h.Set)
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) //nolint:errcheck // the client has gone
}

func (p *Problem) headers(set func(k, v string)) {
	if p.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		set("WWW-Authenticate", `Bearer realm="byline"`)
	}
}

// codes of the errors that huma finds itself, by status.
var codes = map[int]string{
	400: "malformed", 404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 408: "timeout",
	413: "body_too_large", 415: "unsupported_media_type", 422: "invalid",
}

// hooks sets huma's makers of errors, which are variables of the package: all its answers become Problems.
var hooks = sync.OnceFunc(func() {
	huma.NewErrorWithContext = func(c huma.Context, status int, msg string, errs ...error) huma.StatusError {
		ctx := c.Context()
		for _, e := range errs {
			if _, ok := e.(huma.ErrorDetailer); !ok && status == http.StatusInternalServerError {
				p := problemOf(ctx, e)
				p.headers(c.SetHeader)
				return p
			}
		}
		return humaProblem(newProblem(ctx, status, codes[status], msg), errs)
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return humaProblem(newProblem(context.Background(), status, codes[status], msg), errs)
	}
})

// humaProblem puts huma's validation errors into the words of the wire.
func humaProblem(p *Problem, errs []error) *Problem {
	switch p.Code {
	case "":
		p.Code = "internal"
	case "body_too_large":
		p.Detail, errs = fmt.Sprintf("The request's body is too large: %d MB are the limit.", maxBody>>20), nil
	}
	var said []string
	for _, e := range errs {
		if e == nil {
			continue
		}
		f := fault.Field{Code: "invalid", Message: e.Error()}
		if d, ok := e.(huma.ErrorDetailer); ok {
			f.Location, f.Message = d.ErrorDetail().Location, d.ErrorDetail().Message
		}
		switch {
		case strings.Contains(f.Message, "unexpected property"):
			f.Code, f.Message = "unknown_field", "There is no such field."
		case strings.Contains(f.Message, "expected required property"), strings.Contains(f.Message, "required"):
			f.Code = "required"
		}
		p.Errors = append(p.Errors, f)
		if f.Location != "" {
			said = append(said, f.Location+": "+f.Message)
		} else {
			said = append(said, f.Message)
		}
	}
	if len(said) > 0 {
		p.Detail = strings.ToUpper(p.Detail[:1]) + p.Detail[1:] + ": " + strings.Join(said, "; ") + "."
		p.Detail = strings.ReplaceAll(p.Detail, "..", ".")
	}
	return p
}
