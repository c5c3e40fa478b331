// Package fault says in which ways a request can fail: a kind and a code for machines, a sentence for people, a cause for us.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind decides how a face answers: the HTTP status, the exit code.
type Kind int

// The kinds, with the HTTP status that they become.
const (
	Internal        Kind = iota // 500: ours; the text of its cause never leaves the process
	Malformed                   // 400: the request cannot be read
	Invalid                     // 422: it can be read, but a value is not allowed
	Unauthenticated             // 401
	Forbidden                   // 403
	NotFound                    // 404: also for what belongs to somebody else
	Conflict                    // 409
	Stale                       // 412: If-Match names another version
	NeedsMatch                  // 428: If-Match is missing
	TooLarge                    // 413
	Unsupported                 // 415
	Limited                     // 429
	Unavailable                 // 503: busy, draining or a dependency is down; RetryAfter says when to come again
	StorageFull                 // 507
	Cancelled                   // the caller has gone; nobody reads the answer
)

// Field is one bad value of a request and its place, such as body.email or line 3.
type Field struct {
	Location string `json:"location"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// Error is an error that a face can show.
type Error struct {
	Kind       Kind
	Code       string // stable, for machines: empty_text, not_found, ...
	Say        string // a sentence for people that says what to do; it may be shown to anybody who made the request
	Cause      error  // for our log only
	Fields     []Field
	RetryAfter time.Duration
}

// Error is the text for our log: what people are told, then the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Say, e.Cause)
	}
	return e.Say
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is tells whether both have the same kind and code, so that errors.Is(err, ErrX) works on copies with other words.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// New makes an error of a kind, with its code and a sentence.
func New(k Kind, code, say string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Say: fmt.Sprintf(say, args...)}
}

// Because gives a copy of e with its cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Missing is the answer for what is not there and for what is not yours: one and the same.
func Missing(noun string) *Error {
	return New(NotFound, "not_found", "There is no such %s.", noun)
}

// Bad is a request with one value that is not allowed.
func Bad(location, code, say string, args ...any) *Error {
	e := New(Invalid, code, say, args...)
	e.Fields = []Field{{Location: location, Code: code, Message: e.Say}}
	return e
}

// Of finds the fault in err. What is unclassified is Internal, and a context that was cancelled is Cancelled;
// nil gives nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return New(Cancelled, "cancelled", "The request was cancelled.").Because(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(Unavailable, "timeout", "This took too long. Try again.").Because(err)
	}
	return New(Internal, "internal", "Something went wrong on our side. The log has the details under this request's id.").Because(err)
}
