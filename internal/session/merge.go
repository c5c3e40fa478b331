package session

import (
	"bytes"
	"encoding/json"

	"byline/internal/fault"
)

// maxState is how large a session's state may become, in bytes of JSON; maxDepth is how deep.
const (
	maxState = 256 << 10
	maxDepth = 64
)

// Merge applies a JSON merge patch (RFC 7396) to a state, which is a JSON object.
func Merge(state, patch json.RawMessage) (json.RawMessage, error) {
	change, err := object(patch)
	if err != nil {
		return nil, fault.Bad("body", "bad_patch", "A change of the state is a JSON object with the fields to set; null removes a field.")
	}
	old, err := object(state)
	if err != nil {
		old = map[string]any{}
	}
	merged, fits := merge(old, change, 0)
	out, err := json.Marshal(merged)
	if err != nil || !fits || len(out) > maxState {
		return nil, fault.Bad("body", "state_too_large", "The state of a session may have %d KB of JSON, %d levels deep. Keep large things in documents.", maxState>>10, maxDepth)
	}
	return out, nil
}

// object reads JSON whose numbers stay as they are written.
func object(raw json.RawMessage) (m map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err = d.Decode(&m); err == nil && m == nil {
		err = json.Unmarshal([]byte(`[]`), &m) // null is no object
	}
	return m, err
}

func merge(old, change map[string]any, depth int) (merged map[string]any, fits bool) {
	if depth > maxDepth {
		return nil, false
	}
	if old == nil {
		old = map[string]any{}
	}
	for k, v := range change {
		switch v := v.(type) {
		case nil:
			delete(old, k)
		case map[string]any:
			inner, _ := old[k].(map[string]any)
			if old[k], fits = merge(inner, v, depth+1); !fits {
				return nil, false
			}
		default:
			old[k] = v
		}
	}
	return old, true
}
