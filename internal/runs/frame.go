package runs

import (
	"strconv"
	"time"
)

// Frame is an event in the form of the wire. It is made once for all its readers, who do not change its bytes.
type Frame struct {
	seq  int64 // of the log that it was read from
	sse  []byte
	json int // where the envelope begins in sse
	end  bool
}

// SSE is the event as server-sent events have it, with the empty line behind it.
func (f *Frame) SSE() []byte { return f.sse }

// JSON is its envelope.
func (f *Frame) JSON() []byte { return f.sse[f.json : len(f.sse)-len("\n\n")] }

// encode writes an event as a frame: the envelope of the wire in one line of data.
func (o origin) encode(e Event) *Frame {
	f := &Frame{seq: e.Seq, sse: make([]byte, 0, 220+len(e.Data))}
	switch {
	case o.session:
		f.seq = e.SessionSeq
	case e.Type == EventCompleted, e.Type == EventFailed, e.Type == EventCancelled:
		f.end = true
	}
	f.sse = append(f.sse, "id: "...)
	f.sse = strconv.AppendInt(f.sse, f.seq, 10)
	f.sse = append(f.sse, "\nevent: "...)
	f.sse = append(f.sse, e.Type...)
	f.sse = append(f.sse, "\ndata: "...)
	f.json = len(f.sse)
	f.sse = appendEnvelope(f.sse, e)
	f.sse = append(f.sse, "\n\n"...)
	return f
}

// reset tells a reader to forget what it has: its cursor is none of this log.
func (o origin) reset() *Frame {
	const head = "event: " + EventReset + "\ndata: "
	return &Frame{json: len(head), sse: []byte(head + `{"` + o.noun() + `_id":"` + o.id + `","type":"` + EventReset + `","data":{"channel":""}}` + "\n\n")}
}

// appendEnvelope writes {seq, session_seq?, run_id?, session_id?, at, type, data}. Ids and types are our own and need no escapes; data
// is compact JSON, without line breaks.
func appendEnvelope(b []byte, e Event) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, e.Seq, 10)
	if e.SessionSeq > 0 {
		b = append(b, `,"session_seq":`...)
		b = strconv.AppendInt(b, e.SessionSeq, 10)
	}
	if e.RunID != "" {
		b = append(b, `,"run_id":"`...)
		b = append(b, e.RunID...)
		b = append(b, '"')
	}
	if e.SessionID != "" {
		b = append(b, `,"session_id":"`...)
		b = append(b, e.SessionID...)
		b = append(b, '"')
	}
	b = append(b, `,"at":"`...)
	b = e.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","data":`...)
	b = append(b, e.Data...)
	return append(b, '}')
}
