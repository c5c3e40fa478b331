package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"byline/internal/fault"
	"byline/internal/llm"
)

// refusal is an answer with a status that is no success.
type refusal struct {
	status int
	failure
	header http.Header
}

func (r *refusal) Error() string { return fmt.Sprintf("answered %d: %s", r.status, &r.failure) }

func (f *failure) String() string {
	return strings.TrimSpace(strings.Join([]string{f.code, f.kind, f.message}, " "))
}

// mentions tells whether the provider's words have one of some.
func (f *failure) mentions(words ...string) bool {
	all := strings.ToLower(f.param + " " + f.code + " " + f.kind + " " + f.message)
	for _, w := range words {
		if strings.Contains(all, w) {
			return true
		}
	}
	return false
}

// The words by which providers say that the model can't hold so much.
var tooLong = []string{"context_length", "context length", "context window", "context size", "maximum context", "too many tokens", "prompt is too long", "exceed_context", "input is too long", "reduce the length"}

// The words by which they say that there is no credit left.
var noCredit = []string{"insufficient_quota", "billing", "credit", "payment"}

// The words by which they refuse what was asked.
var refusing = []string{"content_policy", "content_filter", "content management policy", "safety", "moderation", "flagged"}

// rejected turns an answer with a status into a fault.
func (e *Endpoint) rejected(r *refusal, model string) error {
	who := e.o.Name
	cause := errors.New(e.hide(r.Error()))
	make := func(code, say string, args ...any) *fault.Error { return llm.Failure(code, cause, say, args...) }
	switch s := r.status; {
	case s == http.StatusUnauthorized, s == http.StatusPaymentRequired, s == http.StatusTooManyRequests && r.mentions(noCredit...):
		if s != http.StatusUnauthorized {
			return make(llm.CodeUnauthorized, "The account at %s has no credit left. Look at its billing, or use another model.", who)
		}
		return make(llm.CodeUnauthorized, "%s refuses the key. Check %s.", who, e.o.KeyName)
	case r.mentions(tooLong...) && s < 500:
		return make(llm.CodeContext, "What was asked is longer than the model %s can read. Use fewer or shorter sources, or a model with a larger context.", model)
	case s == http.StatusTooManyRequests:
		f := make(llm.CodeRateLimited, "%s has been asked too often. Try again later.", who)
		f.RetryAfter = retryAfter(r.header, time.Now())
		return f
	case s == http.StatusForbidden:
		return make(llm.CodeUnauthorized, "%s does not let this key use the model %s.", who, model)
	case s == http.StatusNotFound && r.mentions("model"):
		return make(llm.CodeMissing, "%s has no model %s.%s", who, model, e.o.Missing(model))
	case s == http.StatusNotFound, s >= 300 && s < 400:
		return make(llm.CodeGarbled, "What answers at the URL of %s is no OpenAI-compatible service. Check %s.", who, e.o.URLName)
	case s == http.StatusRequestEntityTooLarge:
		return make(llm.CodeContext, "What was asked is longer than %s takes. Use fewer or shorter sources.", who)
	case s == http.StatusBadRequest && r.mentions(refusing...):
		return make(llm.CodeRefused, "%s refuses to answer this.", who)
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooEarly, s >= 500:
		f := make(llm.CodeFailed, "%s is out of order or overloaded (status %d). Try again later.", who, s)
		f.RetryAfter = retryAfter(r.header, time.Now())
		return f
	}
	return make(llm.CodeRejected, "%s does not take the request for the model %s (status %d). The log has its words.", who, model, r.status)
}

// failed turns an error within a stream into a fault.
func (e *Endpoint) failed(f *failure, model string) error {
	status, err := strconv.Atoi(f.code)
	if err != nil || status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	switch {
	case f.mentions("rate_limit", "rate limit", "too many requests"):
		status = http.StatusTooManyRequests
	case f.mentions(tooLong...):
		status = http.StatusBadRequest
	}
	return e.rejected(&refusal{status: status, failure: *f}, model)
}

// The reasons for which a request is ended from within.
var (
	errSlow  = errors.New("no first word in time")
	errIdle  = errors.New("no further word in time")
	errTotal = errors.New("the answer takes too long as a whole")
)

// broken is the fault of a connection that fails. begun tells whether the answer had begun.
func (e *Endpoint) broken(caller, ctx context.Context, err error, begun bool) error {
	if caller.Err() != nil {
		return caller.Err()
	}
	who := e.o.Name
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSlow):
		return llm.Failure(llm.CodeStalled, cause, "%s gave no word within %v. Try again, use a faster model, or raise BYLINE_LLM_FIRST_TOKEN_TIMEOUT.", who, e.o.FirstToken)
	case errors.Is(cause, errIdle):
		return llm.Failure(llm.CodeStalled, cause, "%s stopped in the midst of its answer for %v. Try again, or raise BYLINE_LLM_IDLE_TIMEOUT.", who, e.o.Idle)
	case errors.Is(cause, errTotal):
		return llm.Failure(llm.CodeStalled, cause, "%s did not end its answer within %v.", who, e.o.Total)
	case errors.Is(err, errTooLong):
		return llm.Failure(llm.CodeGarbled, err, "%s sent what cannot be read.", who)
	case begun:
		return llm.Failure(llm.CodeCut, errors.New(e.hide(err.Error())), "The connection to %s broke in the midst of its answer. Try again.", who)
	}
	return llm.Failure(llm.CodeUnreachable, errors.New(e.hide(err.Error())), "%s cannot be reached. Check that it runs, and %s.", who, e.o.URLName)
}

// garbled is the fault of an answer that cannot be read.
func (e *Endpoint) garbled(cause error) error {
	return llm.Failure(llm.CodeGarbled, errors.New(e.hide(cause.Error())), "%s sent what cannot be read. Try again; if it stays so, check %s.", e.o.Name, e.o.URLName)
}

var keyLike = regexp.MustCompile(`\b(sk|pk|key|org|proj)-[A-Za-z0-9_*.-]{6,}|://[^/@\s]*@`)

// hide takes the key, and what looks like one, out of a text for the log, and shortens it: providers repeat what they got.
func (e *Endpoint) hide(text string) string {
	if e.o.Key != "" {
		text = strings.ReplaceAll(text, e.o.Key, "********")
	}
	text = keyLike.ReplaceAllString(text, "********")
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// retryAfter reads how long a provider wants to be left alone: in milliseconds, in seconds, or as a date. A date is by the
// provider's clock, which its answer tells: ours may be minutes off.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	text := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
