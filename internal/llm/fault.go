package llm

import (
	"context"
	"errors"
	"slices"
	"time"

	"byline/internal/fault"
)

// The codes of what can go wrong with a model.
const (
	CodeOffline      = "llm_offline"          // none is configured
	CodeUnauthorized = "llm_unauthorized"     // key refused, or no credit left
	CodeMissing      = "llm_model_missing"    // the provider does not have it
	CodeRateLimited  = "llm_rate_limited"     // RetryAfter is set when the provider said so
	CodeUnreachable  = "llm_unreachable"      // nobody answers
	CodeFailed       = "llm_failed"           // the provider's own error
	CodeRejected     = "llm_rejected"         // the provider does not take the request as it is: asking again is no use
	CodeStalled      = "llm_stalled"          // no word for too long
	CodeCut          = "llm_cut"              // the stream ended without saying so
	CodeGarbled      = "llm_garbled"          // what came cannot be read
	CodeContext      = "llm_context_exceeded" // question and answer are longer than the model can hold
	CodeRefused      = "llm_refused"          // the model does not want to
	CodeBudget       = "budget_exceeded"
)

// ErrOffline is what a catalogue says when no model is configured: errors.Is finds it whatever its words.
var ErrOffline = fault.New(fault.Unavailable, CodeOffline, "No language model is configured. Set OPENAI_API_KEY, OPENAI_BASE_URL or OLLAMA_BASE_URL; until then posts are made of quotes.")

// Failure makes a fault of a model. cause is for the log only.
func Failure(code string, cause error, say string, args ...any) *fault.Error {
	kind := fault.Unavailable
	switch code {
	case CodeUnauthorized, CodeMissing, CodeRejected, CodeContext, CodeRefused:
		kind = fault.Invalid // trying the same again is no use
	case CodeBudget:
		kind = fault.Limited
	}
	return fault.New(kind, code, say, args...).Because(cause)
}

// CodeOf gives the code of a model's fault; "" for nil, "cancelled" where the caller has gone.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

// passing are the codes after which the same question to the same model may be answered.
var passing = []string{CodeRateLimited, CodeUnreachable, CodeFailed, CodeStalled, CodeCut, CodeGarbled}

// Passing tells whether asking again may help, and how long the provider wants to be left alone.
func Passing(err error) (wait time.Duration, ok bool) {
	f, is := errors.AsType[*fault.Error](err)
	if !is || !slices.Contains(passing, f.Code) {
		return 0, false
	}
	return f.RetryAfter, true
}

// gone tells whether the caller does not wait for an answer any more.
func gone(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.Canceled)
}
