package httpapi

import (
	"encoding/json"
	"sync"
	"time"

	"byline/internal/fault"
)

// ear is how much a client may say: messageRate a second on average, messageBurst at once.
type ear struct {
	left float64
	at   time.Time
	deaf int // messages that were dropped since the last that was heard
}

const (
	messageRate  = 20.0
	messageBurst = 60.0
	// tooDeaf is how many are dropped before the client is sent away.
	tooDeaf = 1000
)

// hears tells whether one more is listened to.
func (e *ear) hears(now time.Time) bool {
	if e.at.IsZero() {
		e.left = messageBurst
	} else {
		e.left = min(messageBurst, e.left+messageRate*now.Sub(e.at).Seconds())
	}
	e.at = now
	if e.left < 1 {
		e.deaf++
		return false
	}
	e.left--
	e.deaf = 0
	return true
}

var errTooMuch = fault.New(fault.Limited, "too_many_messages", "Send at most %d messages a second; what is more is dropped.", int(messageRate))

// said is a message of a client.
type said struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// parseSaid reads a message of a client.
func parseSaid(text bool, b []byte) (said, error) {
	var m said
	if !text || json.Unmarshal(b, &m) != nil || m.Type == "" {
		return said{}, fault.Bad("message", "bad_message", "A message is a JSON object {type, data}, sent as text.")
	}
	return m, nil
}

// maxEcho is how much of a ping is sent back, in bytes.
const maxEcho = 1 << 10

// hear answers a message of the client. What is wrong with it is told to the client; an error ends the connection.
func (k *socket) hear(text bool, b []byte) error {
	if !k.ear.hears(time.Now()) {
		switch k.ear.deaf {
		case 1:
			k.refuse(errTooMuch)
		case tooDeaf:
			return errTooMuch
		}
		return nil
	}
	m, err := parseSaid(text, b)
	if err == nil {
		err = k.act(m)
	}
	if err != nil {
		k.refuse(err)
	}
	return nil
}

// act does what a message asks for.
func (k *socket) act(m said) error {
	switch m.Type {
	case "ping": // pages cannot send the protocol's own
		if len(m.Data) > maxEcho {
			return fault.Bad("message.data", "too_large", "A ping has %d bytes at most.", maxEcho)
		}
		k.tell("pong", m.Data)
		return nil
	}
	return fault.Bad("message.type", "unknown_type", "The server knows messages of the type ping.")
}

// refuse tells the client what was wrong.
func (k *socket) refuse(err error) {
	f := fault.Of(err)
	k.tell("error", struct {
		Code   string        `json:"code"`
		Detail string        `json:"detail"`
		Errors []fault.Field `json:"errors,omitempty"`
	}{f.Code, f.Say, f.Fields})
}

// post is what waits for one client beside the log: it may be lost, oldest first.
type post struct {
	mu   sync.Mutex
	list [][]byte
	bell chan struct{}
}

// postSize is how many messages wait for a client that does not read.
const postSize = 64

func (p *post) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == postSize {
		p.list = append(p.list[:0], p.list[1:]...)
	}
	p.list = append(p.list, b)
	select {
	case p.ring() <- struct{}{}:
	default:
	}
}

func (p *post) take() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	return list
}

// ready has something when there is post.
func (p *post) ready() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ring()
}

func (p *post) ring() chan struct{} {
	if p.bell == nil {
		p.bell = make(chan struct{}, 1)
	}
	return p.bell
}
