package cite

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mark is where a writer named the passages that a sentence was taken from.
type Mark struct {
	At       int      // byte offset in the text without marks: it stood behind what ends here
	IDs      []string // known ones, each once, in the order written
	Rejected []string // ids that were never handed out
}

// The bounds of a mark: digits of an id, runes of the whole. What is longer is text.
const (
	maxDigits = 6
	maxMark   = 400
)

// Marks takes the ids of passages ([p3], [p3, p7]) out of a text that is being written. Fed with pieces that are cut
// anywhere, it gives the same text and the same marks; nothing of a mark is ever given as text. Links ([p3](address)), their
// definitions, footnotes, check boxes, escaped brackets and all that stands in fenced code are no marks and pass unchanged. Its zero value
// knows no ids.
type Marks struct {
	Known func(id string) bool

	state   markState
	half    []byte // the begin of a rune whose rest has not come
	held    []byte // what may be a mark, from its bracket on
	spaces  []byte // stand before held, and go with it when it is a mark
	ids     []string
	digits  int
	runes   int
	written int  // bytes of text given so far
	joined  bool // spaces went with a mark: what follows may need one
	last    rune // the last rune given or held before the bracket; 0 at the begin
	line    bool // the bracket that is held begins its line
	code    fence
	out     []byte
	marks   []Mark
}

type markState uint8

const (
	inText   markState = iota
	inSpaces           // before what may be a mark
	inOpen             // behind [ or a separator
	inDigits           // behind the p of an id
	inClosed           // behind an id
	inBehind           // behind ]
)

// Feed takes the next piece and gives what is text for sure, with the marks that were found on the way.
func (m *Marks) Feed(delta string) (text string, marks []Mark) {
	for i := 0; i < len(delta); {
		if len(m.half) > 0 || !utf8.FullRuneInString(delta[i:]) {
			m.half = append(m.half, delta[i])
			i++
			if !utf8.FullRune(m.half) {
				continue
			}
			whole := m.half
			m.half = nil
			for len(whole) > 0 {
				if !utf8.FullRune(whole) { // the bytes before it were no rune
					m.half = slices.Clone(whole)
					break
				}
				r, n := utf8.DecodeRune(whole)
				m.rune(r, whole[:n])
				whole = whole[n:]
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(delta[i:])
		m.rune(r, []byte(delta[i:i+n]))
		i += n
	}
	return m.take()
}

// Close ends the text and gives what was held back.
func (m *Marks) Close() (text string, marks []Mark) {
	half := m.half
	m.half = nil
	for i := range half {
		m.rune(utf8.RuneError, half[i:i+1])
	}
	if m.state == inBehind {
		m.accept()
	}
	m.release()
	return m.take()
}

func (m *Marks) take() (string, []Mark) {
	text, marks := string(m.out), m.marks
	m.out, m.marks = m.out[:0], nil
	return text, marks
}

// fence knows whether a text that comes rune by rune is within fenced code.
type fence struct {
	open  rune // what the fence is made of; 0: none is open
	width int

	// The line so far.
	tick  rune // the fence that it may be
	ticks int
	rest  bool // something stands behind its ticks
	no    bool // it is no fence
}

// next takes a rune and tells whether it is part of code, or of the line that ends it.
func (f *fence) next(r rune) bool {
	inside := f.open != 0
	switch {
	case r == '\n':
		switch {
		case f.no || f.ticks < 3:
		case !inside:
			f.open, f.width = f.tick, f.ticks
		case f.tick == f.open && f.ticks >= f.width && !f.rest:
			f.open = 0
		}
		f.tick, f.ticks, f.rest, f.no = 0, 0, false, false
	case f.no:
	case f.ticks == 0:
		switch r {
		case ' ', '\t':
		case '`', '~':
			f.tick, f.ticks = r, 1
		default:
			f.no = true
		}
	case r == f.tick && !f.rest:
		f.ticks++
	case r == '`' && f.tick == '`': // code within a line
		f.no = true
	case !unicode.IsSpace(r):
		f.rest = true
	}
	return inside
}

// rune takes the next rune, with its bytes.
func (m *Marks) rune(r rune, raw []byte) {
	if m.code.next(r) {
		m.release()
		m.put(r, raw)
		return
	}
	if m.state == inBehind {
		if r == '(' || r == ':' && m.line {
			m.release()
		} else {
			m.accept()
		}
	}
	switch m.state {
	case inText, inSpaces:
		m.text(r, raw)
		return
	case inOpen:
		switch {
		case r == ' ':
		case r == 'p' || r == 'P':
			m.ids, m.digits, m.state = append(m.ids, "p"), 0, inDigits
		default:
			m.fail(r, raw)
			return
		}
	case inDigits:
		switch {
		case r >= '0' && r <= '9' && m.digits < maxDigits:
			m.ids[len(m.ids)-1] += string(r)
			m.digits++
		case m.digits > 0 && m.ends(r):
		default:
			m.fail(r, raw)
			return
		}
	case inClosed:
		switch {
		case m.ends(r):
		case r == 'p' || r == 'P':
			m.ids, m.digits, m.state = append(m.ids, "p"), 0, inDigits
		default:
			m.fail(r, raw)
			return
		}
	}
	m.held = append(m.held, raw...)
	if m.runes++; m.runes > maxMark {
		m.release()
	}
}

// ends takes what may stand behind an id.
func (m *Marks) ends(r rune) bool {
	switch r {
	case ']':
		m.state = inBehind
	case ',', ';':
		m.state = inOpen
	case ' ':
		m.state = inClosed
	default:
		return false
	}
	return true
}

// text takes a rune outside of brackets.
func (m *Marks) text(r rune, raw []byte) {
	switch {
	case r == ' ' || r == '\t':
		m.spaces, m.state = append(m.spaces, raw...), inSpaces
	case r == '[' && !(m.last == '\\' && len(m.spaces) == 0):
		m.held, m.ids, m.runes, m.state = append(m.held[:0], raw...), nil, 0, inOpen
		m.line = m.last == 0 || m.last == '\n'
	default:
		m.release()
		m.put(r, raw)
	}
}

// fail gives what was held as text, since r can't go on with a mark, and takes r.
func (m *Marks) fail(r rune, raw []byte) {
	m.release()
	m.text(r, raw)
}

// release gives all that was held as text.
func (m *Marks) release() {
	for _, s := range [][]byte{m.spaces, m.held} {
		for _, c := range s { // spaces and ASCII
			m.put(rune(c), []byte{c})
		}
	}
	m.spaces, m.held, m.state = m.spaces[:0], m.held[:0], inText
}

// accept drops what was held: it is a mark.
func (m *Marks) accept() {
	mark := Mark{At: m.written}
	for _, id := range m.ids {
		list := &mark.IDs
		if m.Known == nil || !m.Known(id) {
			list = &mark.Rejected
		}
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	m.marks = append(m.marks, mark)
	m.joined = m.joined || len(m.spaces) > 0
	m.spaces, m.held, m.state = m.spaces[:0], m.held[:0], inText
}

// put gives a rune as text, with a space before it when one went with a mark and words would run together.
func (m *Marks) put(r rune, raw []byte) {
	if m.joined {
		m.joined = false
		if m.written > 0 && m.last != '\n' && !unicode.IsSpace(r) && !closes(r) {
			m.out = append(m.out, ' ')
			m.written++
		}
	}
	m.out = append(m.out, raw...)
	m.written += len(raw)
	m.last = r
}

// closes tells the marks that stand at once behind a word.
func closes(r rune) bool {
	return strings.ContainsRune(".,;:!?)]}…。、，！？：；」』”’", r)
}
