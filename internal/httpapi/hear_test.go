package httpapi_test

import (
	"encoding/json"
	"testing"

	"byline/internal/httpapi"
)

// FuzzHear sends what a client may send over its WebSocket: whatever it is, either the client is answered or the others are told, in
// envelopes, and what others are told was checked.
func FuzzHear(f *testing.F) {
	for _, s := range []string{`{"type":"ping","data":{"n":1}}`, `{"type":"ping"}`, `{"type":"presence"}`, `{"type":"typing","data":{"typing":true}}`, `{"type":"typing","data":{}}`,
		`{"type":"cursor","data":{"draft_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","version":1,"start":1,"end":2}}`, `{"type":"cursor","data":{"start":2,"end":1}}`, `{"type":"dance"}`, `{`, `null`, `[]`, "\xff", `{"type":"typing","data":{"typing":1}}`} {
		f.Add(true, []byte(s))
	}
	f.Add(false, []byte(`{"type":"ping"}`))
	f.Fuzz(func(t *testing.T, text bool, message []byte) {
		self, other := httpapi.Hear(text, message)
		if len(self)+len(other) != 1 {
			t.Fatalf("%d answers, %d told", len(self), len(other))
		}
		for _, b := range append(self, other...) {
			var e struct {
				SessionID string `json:"session_id"`
				Type      string
				Data      struct {
					Code   string
					Member *struct {
						Connection string `json:"connection_id"`
					}
					Start, End int
				}
			}
			if err := json.Unmarshal(b, &e); e.SessionID != "room" || err != nil && e.Type != "pong" {
				t.Fatalf("%s: %v", b, err)
			}
			switch e.Type {
			case "pong", "presence":
			case "error":
				if e.Data.Code == "" {
					t.Errorf("%s", b)
				}
			case "typing", "cursor":
				if len(other) != 1 || e.Data.Member == nil || e.Data.Member.Connection != "self" || e.Data.Start < 0 || e.Data.End < e.Data.Start {
					t.Errorf("%s", b)
				}
			default:
				t.Errorf("%s", b)
			}
		}
	})
}
