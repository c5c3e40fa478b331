package openai

import (
	"errors"
	"io"
)

// ReadEvents gives the data of all events of a stream.
func ReadEvents(r io.Reader) (list []string, err error) {
	e := newEvents(r)
	for {
		_, data, err := e.next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, string(data))
	}
}

// ReadChunk gives the text, the tool calls' arguments and the finish of a chunk; ok is false for what is no chunk.
func ReadChunk(data []byte) (text string, arguments []string, finish string, ok bool) {
	var c chunk
	if !c.read(data) {
		return "", nil, "", false
	}
	for _, p := range c.calls {
		arguments = append(arguments, clean(p.arguments))
	}
	return clean(c.text), arguments, c.finish, true
}

// Join gives the text of bytes that come in pieces.
func Join(pieces ...[]byte) string {
	var j joiner
	text := ""
	for _, p := range pieces {
		text += j.next(p)
	}
	return text + j.rest()
}

// Decode counts the chunks of a stream that have text, as a stream is read.
func Decode(r io.Reader) (n int, err error) {
	e := newEvents(r)
	var c chunk
	var a answer
	for {
		_, data, err := e.next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil || !c.read(data) {
			return n, errors.New("not read")
		}
		if d := a.add(&c); d.Text != "" {
			n++
		}
	}
}
