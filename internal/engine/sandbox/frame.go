package sandbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"byline/internal/engine/extract"
	"byline/internal/fault"
)

// A frame is its length (4 bytes, little endian; the kind counts), its kind (1 byte) and its payload.
const headerSize = 5

// The most that a frame may have, in bytes: a page's text and words, or a page's picture.
const maxFrame = 128 << 20

type frameKind byte

// The kinds of frames. The parent sends setup once and then requests; the rest come from the child.
const (
	frameSetup   frameKind = 's' // JSON of setup
	frameRequest frameKind = 'q' // JSON of request; the document's descriptor comes with its first byte
	frameReady   frameKind = 'r' // the extractor is loaded and begins to work
	frameBegin   frameKind = 'b' // JSON of extract.Info
	framePart    frameKind = 'p' // see appendPart
	frameImage   frameKind = 'i' // PNG
	frameFault   frameKind = 'f' // JSON of failure; ends the request
	frameDone    frameKind = 'd' // ends the request
)

var errFrame = errors.New("extractor sent what is no frame")

// startFrame begins a frame in b, which finishFrame completes.
func startFrame(b []byte, kind frameKind) []byte {
	return append(b[:0], 0, 0, 0, 0, byte(kind))
}

func finishFrame(b []byte) ([]byte, error) {
	if len(b)-4 > maxFrame {
		return nil, fault.New(fault.Invalid, "page_too_large", "A page of this document has too much text. Split it and upload the parts.")
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b, nil
}

func jsonFrame(kind frameKind, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	return finishFrame(append(startFrame(nil, kind), payload...))
}

// readFrame reads the next frame. Its payload is valid until the next call with the same buffer. What the length says is
// not believed before the bytes have come.
func readFrame(r io.Reader, buf *bytes.Buffer) (frameKind, []byte, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return 0, nil, errFrame
	}
	buf.Reset()
	if _, err := io.CopyN(buf, r, int64(n-1)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return frameKind(head[4]), buf.Bytes(), nil
}

// partHead is the part of a Part that travels as JSON; text and words, which are most of it, follow raw.
type partHead struct {
	Elements      []extract.Element `json:"elements,omitempty"`
	Number        int               `json:"number"` // of the page; 0 is no page
	Width, Height float32
	Problem       string `json:"problem,omitempty"`
	Text          int    `json:"text"` // bytes of the text
}

const wordSize = 24

// appendPart appends the payload of a part: the length of its head (4 bytes), its head, its text, and 24 bytes for
// each word: start, end (uint32) and x0, y0, x1, y1 (float32), little endian.
func appendPart(b []byte, p extract.Part) ([]byte, error) {
	h := partHead{Elements: p.Elements, Text: len(p.Text)}
	if p.Page != nil {
		h.Number, h.Width, h.Height, h.Problem = p.Page.Number, p.Page.Width, p.Page.Height, p.Page.Problem
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode part: %w", err)
	}
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(head)))
	b = append(append(b, head...), p.Text...)
	if p.Page == nil {
		return b, nil
	}
	for _, w := range p.Page.Words {
		b = le.AppendUint32(le.AppendUint32(b, uint32(w.Start)), uint32(w.End))
		for _, f := range [4]float32{w.X0, w.Y0, w.X1, w.Y1} {
			b = le.AppendUint32(b, math.Float32bits(f))
		}
	}
	return b, nil
}

// decodePart reads the payload of a part, and believes nothing: the process that sent it has read hostile bytes.
func decodePart(b []byte) (extract.Part, error) {
	le := binary.LittleEndian
	if len(b) < 4 || uint64(le.Uint32(b)) > uint64(len(b)-4) {
		return extract.Part{}, errFrame
	}
	var h partHead
	n := int(le.Uint32(b))
	if err := json.Unmarshal(b[4:4+n], &h); err != nil {
		return extract.Part{}, errFrame
	}
	b = b[4+n:]
	if h.Text < 0 || h.Text > len(b) || (len(b)-h.Text)%wordSize != 0 || h.Number < 0 {
		return extract.Part{}, errFrame
	}
	p := extract.Part{Text: string(b[:h.Text]), Elements: h.Elements}
	if !utf8.ValidString(p.Text) || !goodElements(p.Text, h.Elements) {
		return extract.Part{}, errFrame
	}
	words, ok := decodeWords(p.Text, b[h.Text:])
	if !ok || h.Number == 0 && len(words) > 0 || !finite(h.Width, h.Height) {
		return extract.Part{}, errFrame
	}
	if h.Number > 0 {
		p.Page = &extract.Page{Number: h.Number, End: len(p.Text), Width: h.Width, Height: h.Height, Problem: h.Problem, Words: words}
	}
	return p, nil
}

func decodeWords(text string, b []byte) ([]extract.Word, bool) {
	if len(b) == 0 {
		return nil, true
	}
	le := binary.LittleEndian
	words := make([]extract.Word, len(b)/wordSize)
	at := 0
	for i := range words {
		r := b[i*wordSize:]
		float := func(k int) float32 { return math.Float32frombits(le.Uint32(r[8+4*k:])) }
		w := extract.Word{Start: int(le.Uint32(r)), End: int(le.Uint32(r[4:])), X0: float(0), Y0: float(1), X1: float(2), Y1: float(3)}
		if w.Start < at || !span(text, w.Start, w.End) || !finite(w.X0, w.Y0, w.X1, w.Y1) {
			return nil, false
		}
		at = w.End
		words[i] = w
	}
	return words, true
}

func goodElements(text string, elements []extract.Element) bool {
	at := 0
	for _, e := range elements {
		if e.Start < at || !span(text, e.Start, e.End) || e.Level < 0 || e.Level > 6 || e.Page < 0 {
			return false
		}
		at = e.End
	}
	return true
}

// span tells whether start and end are offsets of letters in text.
func span(text string, start, end int) bool {
	return start <= end && end <= len(text) &&
		(start == len(text) || utf8.RuneStart(text[start])) && (end == len(text) || utf8.RuneStart(text[end]))
}

func finite(all ...float32) bool {
	for _, f := range all {
		if f-f != 0 {
			return false
		}
	}
	return true
}

// setup is what a child needs to know before its first request.
type setup struct {
	CacheDir string `json:"cache_dir"`
	Memory   int64  `json:"memory"` // bytes
	Pages    int    `json:"pages"`
}

type verb string

const (
	verbWarm    verb = "warm"
	verbExtract verb = "extract"
	verbRender  verb = "render"
)

type request struct {
	Verb   verb   `json:"verb"`
	Format string `json:"format,omitempty"`
	Size   int64  `json:"size,omitempty"` // bytes of the document
	Page   int    `json:"page,omitempty"`
	DPI    int    `json:"dpi,omitempty"`
}

// failure is a fault on its way from the child.
type failure struct {
	Kind  fault.Kind `json:"kind"`
	Code  string     `json:"code"`
	Say   string     `json:"say"`
	Cause string     `json:"cause,omitempty"`
}

func failed(err error) failure {
	f := fault.Of(err)
	out := failure{Kind: f.Kind, Code: f.Code, Say: f.Say}
	if f.Cause != nil {
		out.Cause = f.Cause.Error()
	}
	return out
}

// fault is the fault again. Only what an extractor may say about a document is believed.
func (f failure) fault() error {
	if f.Kind != fault.Invalid && f.Kind != fault.NotFound || f.Code == "" || f.Say == "" {
		return fmt.Errorf("extractor failed: %s: %s", f.Say, f.Cause)
	}
	e := fault.New(f.Kind, f.Code, "%s", f.Say)
	if f.Cause != "" {
		e.Cause = errors.New(f.Cause)
	}
	return e
}
