package openai

import (
	"bytes"
	"errors"
	"io"
)

// maxEvent is the longest event of a stream, in bytes: far more than any token, far less than what hurts.
const maxEvent = 16 << 20

var errTooLong = errors.New("an event of the stream is longer than 16 MiB")

// events reads server-sent events. What it gives is valid until the next call.
type events struct {
	r      io.Reader
	buf    []byte
	at     int // first byte that was not read as a line
	end    int // behind the last byte that came
	event  int // first byte of the event that is being read: nothing before it is needed
	seen   int // up to where there is no line break behind at
	joined []byte
	open   bool // the stream ended within the last event
	err    error
}

func newEvents(r io.Reader) *events { return &events{r: r, buf: make([]byte, 8<<10)} }

// next gives the next event that has data. At the end of the stream err is io.EOF; data that no empty line ended is given
// before, since some servers forget it.
func (e *events) next() (name, data []byte, err error) {
	e.event, e.joined = e.at, e.joined[:0]
	from, to, lines := 0, 0, 0 // of the data, counted from e.event
	for {
		line, err := e.line()
		if err != nil && len(line) == 0 {
			if lines == 0 {
				return nil, nil, err
			}
			e.open = true
			break
		}
		if len(line) == 0 {
			if lines > 0 {
				break
			}
			name = nil
		}
		switch {
		case bytes.HasPrefix(line, dataField):
			v := value(line, len(dataField))
			if lines++; lines == 1 {
				to = e.position(line)
				from = to - len(v)
				break
			}
			if lines == 2 {
				e.joined = append(e.joined, e.buf[e.event+from:e.event+to]...)
			}
			e.joined = append(append(e.joined, '\n'), v...)
		case bytes.HasPrefix(line, nameField):
			name = bytes.Clone(value(line, len(nameField)))
		}
		if lines == 0 {
			e.event = e.at // pings may come for hours
		}
	}
	if lines > 1 {
		return name, e.joined, nil
	}
	return name, e.buf[e.event+from : e.event+to], nil
}

var (
	dataField = []byte("data:")
	nameField = []byte("event:")
	byteOrder = []byte("\xef\xbb\xbf")
)

// value is what stands behind a field's colon, without the one space that may be there.
func value(line []byte, skip int) []byte {
	v := line[skip:]
	if len(v) > 0 && v[0] == ' ' {
		v = v[1:]
	}
	return v
}

// position is the end of a line that was just read, counted from the event's beginning.
func (e *events) position(line []byte) int {
	end := e.at
	if end > 0 && e.buf[end-1] == '\n' {
		end--
	}
	if end > 0 && e.buf[end-1] == '\r' && len(line) > 0 {
		end--
	}
	return end - e.event
}

// line gives the next line without its end. The last one may lack it, then err is set as well.
func (e *events) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(e.buf[e.at+e.seen:e.end], '\n'); i >= 0 {
			line := e.buf[e.at : e.at+e.seen+i]
			e.at += e.seen + i + 1
			e.seen = 0
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		e.seen = e.end - e.at
		if e.err != nil {
			line := e.buf[e.at:e.end]
			e.at, e.seen = e.end, 0
			return bytes.TrimSuffix(line, []byte{'\r'}), e.err
		}
		e.fill()
	}
}

// fill reads more, once.
func (e *events) fill() {
	if e.end == len(e.buf) {
		switch used := e.end - e.event; {
		case used >= maxEvent:
			e.err = errTooLong
			e.at, e.end, e.seen = e.event, e.event, 0 // what came of it is no use
			return
		case used > len(e.buf)/2:
			bigger := make([]byte, 2*len(e.buf))
			copy(bigger, e.buf[e.event:e.end])
			e.buf = bigger
		default:
			copy(e.buf, e.buf[e.event:e.end])
		}
		e.at, e.end, e.event = e.at-e.event, e.end-e.event, 0
	}
	first := e.end == 0 && e.at == 0
	n, err := e.r.Read(e.buf[e.end:])
	e.end += n
	e.err = err
	if first && bytes.HasPrefix(e.buf[:e.end], byteOrder) {
		e.at, e.event = len(byteOrder), len(byteOrder)
	}
}
