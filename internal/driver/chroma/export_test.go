package chroma

import "net/http"

// Through sends all requests through a transport instead of the network.
func (e *Engine) Through(rt http.RoundTripper) { e.client.http.Transport = rt }

// The bounds that tests look at.
const (
	MaxBody   = maxBody
	Few       = few
	Overfetch = overfetch
	MaxIn     = maxIn
	MaxAnswer = maxAnswer
	FactLife  = factLife
	MaxKnown  = maxKnown
)
