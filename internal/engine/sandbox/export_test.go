package sandbox

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"time"

	"byline/internal/engine/extract"
)

// Live is how many extractors there are.
func (p *Pool) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// EncodePart is a frame with p.
func EncodePart(p extract.Part) ([]byte, error) {
	b, err := appendPart(startFrame(nil, framePart), p)
	if err != nil {
		return nil, err
	}
	return finishFrame(b)
}

// TakeFrames lets a document's receipt take frames until the last one or an error.
func TakeFrames(r io.Reader, sink extract.Sink) error {
	receipt := &receipt{sink: sink}
	var buf bytes.Buffer
	for {
		kind, payload, err := readFrame(r, &buf)
		if err != nil {
			return err
		}
		if done, err := receipt.take(kind, payload); done || err != nil {
			return err
		}
	}
}

// JSONFrame is a frame of a kind with v.
func JSONFrame(kind byte, v any) ([]byte, error) { return jsonFrame(frameKind(kind), v) }

// Conversation is a parent and its child in one process.
type Conversation struct {
	p     process
	ended chan error
}

// Converse starts a child that knows its parent.
func Converse(o Options) (*Conversation, error) {
	conn, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	c, err := net.FileConn(theirs)
	if err != nil {
		return nil, err
	}
	theirs.Close()
	v := &Conversation{p: process{conn: conn}, ended: make(chan error, 1)}
	go func() {
		v.ended <- (&child{conn: c.(*net.UnixConn)}).loop(context.Background())
		c.Close()
	}()
	frame, err := jsonFrame(frameSetup, setup{CacheDir: o.CacheDir, Memory: o.Limits.Memory, Pages: o.Limits.Pages})
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(frame)
	return v, err
}

// Ask sends a request and gives what came back.
func (v *Conversation) Ask(what, format string, f *os.File, page, dpi int, sink extract.Sink) ([]byte, error) {
	q := request{Verb: verb(what), Format: format, Page: page, DPI: dpi}
	if f != nil {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		q.Size = info.Size()
	}
	r := &receipt{sink: sink}
	err := v.p.run(context.Background(), q, f, r, time.Minute)
	return r.image, err
}

// Say sends bytes as they are.
func (v *Conversation) Say(b []byte) error {
	_, err := v.p.conn.Write(b)
	return err
}

// HangUp ends the conversation and gives the child's error.
func (v *Conversation) HangUp() error {
	v.p.hangUp()
	return <-v.ended
}

// HangUpRudely ends the conversation without listening to what is still to come.
func (v *Conversation) HangUpRudely() error {
	v.p.conn.Close()
	return <-v.ended
}
