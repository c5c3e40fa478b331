package fault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"byline/internal/fault"
)

func TestOf(t *testing.T) {
	gone := fault.Missing("draft")
	for name, tc := range map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"a fault":            {gone, fault.NotFound, "not_found"},
		"a wrapped fault":    {fmt.Errorf("read draft: %w", gone), fault.NotFound, "not_found"},
		"anything else":      {errors.New("dial tcp 10.0.0.1: secret"), fault.Internal, "internal"},
		"a cancelled caller": {fmt.Errorf("query: %w", context.Canceled), fault.Cancelled, "cancelled"},
		"a deadline":         {context.DeadlineExceeded, fault.Unavailable, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			got := fault.Of(tc.err)
			if got.Kind != tc.kind || got.Code != tc.code {
				t.Errorf("Of(%v) = %v %q, want %v %q", tc.err, got.Kind, got.Code, tc.kind, tc.code)
			}
			if strings.Contains(got.Say, "secret") {
				t.Errorf("the text of an unclassified error is shown: %q", got.Say)
			}
		})
	}
	if fault.Of(nil) != nil {
		t.Error("Of(nil) is an error")
	}
}

func TestIsComparesKindAndCode(t *testing.T) {
	stale := fault.New(fault.Stale, "stale", "version %d is newer", 3)
	if !errors.Is(fmt.Errorf("put: %w", stale), fault.New(fault.Stale, "stale", "")) {
		t.Error("the same kind and code are not the same fault")
	}
	if errors.Is(stale, fault.New(fault.Stale, "other", "")) {
		t.Error("another code is the same fault")
	}
	cause := errors.New("disk")
	if e := stale.Because(cause); !errors.Is(e, cause) || stale.Cause != nil || !strings.Contains(e.Error(), "disk") {
		t.Errorf("Because: %v, original %v", e, stale)
	}
}

func TestBadNamesThePlace(t *testing.T) {
	e := fault.Bad("body.top_k", "out_of_range", "top_k is 1 to %d", 100)
	if len(e.Fields) != 1 || e.Fields[0].Location != "body.top_k" || e.Fields[0].Message != "top_k is 1 to 100" {
		t.Errorf("fields: %+v", e.Fields)
	}
}
