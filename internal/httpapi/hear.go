package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/live"
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
	case "presence":
		k.tell("presence", k.place.Present())
	case "typing":
		t, err := parseTyping(m.Data)
		if err != nil {
			return err
		}
		t.Member = k.place.Member
		k.place.Say("typing", t)
	case "cursor":
		c, err := parsePlace(m.Data)
		if err != nil {
			return err
		}
		c.Member = k.place.Member
		k.place.Say("cursor", c)
	default:
		return fault.Bad("message.type", "unknown_type", "The server knows messages of the types ping, presence, typing and cursor.")
	}
	return nil
}

// typing is the data of a message that tells others that somebody writes. It is told again while it lasts: a word may be lost.
type typing struct {
	Member  live.Member `json:"member"`
	Typing  bool        `json:"typing"`
	DraftID string      `json:"draft_id,omitempty"` // where; without one, a message
}

func parseTyping(data []byte) (t typing, err error) {
	var in struct {
		Typing  *bool  `json:"typing"`
		DraftID string `json:"draft_id"`
	}
	if err := parseData(data, &in); err != nil {
		return t, err
	}
	if in.Typing == nil {
		return t, fault.Bad("message.data.typing", "required", "Say whether somebody is typing: true or false.")
	}
	return typing{Typing: *in.Typing, DraftID: in.DraftID}, checkDraft(in.DraftID)
}

// place is the data of a message that shows others where somebody is in a draft: bytes of the content of a version. Without a draft the
// cursor is nowhere.
type place struct {
	Member  live.Member `json:"member"`
	DraftID string      `json:"draft_id,omitempty"`
	Version int         `json:"version,omitempty"`
	Start   int         `json:"start"`
	End     int         `json:"end"`
}

func parsePlace(data []byte) (p place, err error) {
	var in struct {
		DraftID string `json:"draft_id"`
		Version int    `json:"version"`
		Start   int    `json:"start"`
		End     *int   `json:"end"`
	}
	if err := parseData(data, &in); err != nil {
		return p, err
	}
	p = place{DraftID: in.DraftID, Version: in.Version, Start: in.Start, End: in.Start}
	if in.End != nil {
		p.End = *in.End
	}
	switch {
	case p.Start < 0 || p.End < p.Start:
		return place{}, fault.Bad("message.data.end", "before_start", "A cursor is at start, or reaches from start to end: 0 <= start <= end.")
	case p.Version < 0:
		return place{}, fault.Bad("message.data.version", "bad_version", "A version is a number from 1 on.")
	}
	return p, checkDraft(p.DraftID)
}

// parseData reads the data of a message; what it does not know is refused, as in requests.
func parseData(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		say := strings.TrimPrefix(err.Error(), "json: ")
		return fault.Bad("message.data", "bad_data", "The data of this message cannot be read: %s.", say)
	}
	return nil
}

func checkDraft(id string) error {
	if id != "" && !ident.Valid(id) {
		return fault.Bad("message.data.draft_id", "bad_id", "This is not the id of a draft.")
	}
	return nil
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

// post is what waits for one client beside the log: it may be lost, the oldest first.
type post struct {
	mu   sync.Mutex
	list [][]byte
	lost bool
	bell func() // rung for each
}

// postSize is how many messages wait for a client that does not read.
const postSize = 64

func (p *post) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == postSize {
		p.list, p.lost = append(p.list[:0], p.list[1:]...), true
	}
	p.list = append(p.list, b)
	p.bell()
}

// take gives what there is; lost tells that there was more.
func (p *post) take() (list [][]byte, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, lost = p.list, p.lost
	p.list, p.lost = nil, false
	return list, lost
}
