package elastic

import "net/http"

// Through sends all requests through a transport instead of the network.
func (e *Engine) Through(rt http.RoundTripper) { e.client.through = rt }

// The bounds that tests look at.
const (
	MaxBatch  = maxBatch
	MaxBody   = maxBody
	MaxAnswer = maxAnswer
	FirstRest = firstRest
)
