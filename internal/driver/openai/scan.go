package openai

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// scan reads JSON in one pass without building anything but what is asked for. Values that nobody asks for are passed over,
// not checked. It exists because reading chunks by reflection costs more than all else that happens to a token, and because the
// standard decoder replaces the halves of characters that are split over two chunks.
type scan struct {
	b []byte
	i int
}

// space passes white space and gives the next byte; 0 at the end.
func (s *scan) space() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// is passes c if it is next.
func (s *scan) is(c byte) bool {
	if s.space() != c || s.i == len(s.b) {
		return false
	}
	s.i++
	return true
}

// object calls field for each key, which must pass its value. false: this is no object, or is broken.
func (s *scan) object(field func(key []byte) bool) bool {
	if !s.is('{') {
		return false
	}
	if s.is('}') {
		return true
	}
	for {
		key, _, ok := s.text()
		if !ok || !s.is(':') || !field(key) {
			return false
		}
		if s.is(',') {
			continue
		}
		return s.is('}')
	}
}

// array calls item for each element, which must pass it.
func (s *scan) array(item func(i int) bool) bool {
	if !s.is('[') {
		return false
	}
	if s.is(']') {
		return true
	}
	for i := 0; ; i++ {
		if !item(i) {
			return false
		}
		if s.is(',') {
			continue
		}
		return s.is(']')
	}
}

// null passes null.
func (s *scan) null() bool {
	if s.space() == 'n' && bytes.HasPrefix(s.b[s.i:], []byte("null")) {
		s.i += 4
		return true
	}
	return false
}

// text passes a string and gives what is between its quotes, as it stands.
func (s *scan) text() (raw []byte, escaped, ok bool) {
	if !s.is('"') {
		return nil, false, false
	}
	for from := s.i; ; {
		i := bytes.IndexByte(s.b[s.i:], '"')
		if i < 0 {
			return nil, false, false
		}
		if j := bytes.IndexByte(s.b[s.i:s.i+i], '\\'); j >= 0 {
			escaped = true
			if s.i += j + 2; s.i > len(s.b) {
				return nil, false, false
			}
			continue
		}
		s.i += i + 1
		return s.b[from : s.i-1], escaped, true
	}
}

// short gives a string's text; "" where there is none, which passes any other value.
func (s *scan) short() (string, bool) {
	if s.space() != '"' {
		return "", s.skip()
	}
	raw, escaped, ok := s.text()
	if escaped {
		raw, ok = unescape(nil, raw)
	}
	return string(bytes.ToValidUTF8(raw, []byte("\uFFFD"))), ok
}

// number gives a whole number that is not negative; 0 for everything else.
func (s *scan) number() (int, bool) {
	s.space()
	from := s.i
	if !s.skip() {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(s.b[from:s.i]), 64)
	if err != nil || !(f > 0) || f > 1<<40 {
		return 0, true
	}
	return int(f), true
}

// skip passes one value of any kind.
func (s *scan) skip() bool {
	depth := 0
	for {
		switch s.space() {
		case 0:
			return false
		case '"':
			if _, _, ok := s.text(); !ok {
				return false
			}
		case '{', '[':
			depth++
			s.i++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return false
			}
			s.i++
		case ',', ':':
			if depth == 0 {
				return false
			}
			s.i++
			continue
		default:
			from := s.i
			for s.i < len(s.b) && !bytes.ContainsRune([]byte(" \t\r\n,:]}[{\""), rune(s.b[s.i])) {
				s.i++
			}
			if s.i == from {
				return false
			}
		}
		if depth == 0 {
			return true
		}
	}
}

// unescape appends a string's bytes. Halves of a pair of surrogates stay as the three bytes that they would have (WTF-8), so
// that they can still be joined when they come in two chunks.
func unescape(to, raw []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(to, raw...), true
		}
		to = append(to, raw[:i]...)
		if i+1 >= len(raw) {
			return to, false
		}
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case '"', '\\', '/':
			to = append(to, c)
		case 'n':
			to = append(to, '\n')
		case 't':
			to = append(to, '\t')
		case 'r':
			to = append(to, '\r')
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'u':
			r, ok := hex(raw)
			if !ok {
				return to, false
			}
			raw = raw[4:]
			to = appendUnit(to, r)
		default:
			return to, false
		}
	}
}

func hex(raw []byte) (r rune, ok bool) {
	if len(raw) < 4 {
		return 0, false
	}
	for _, c := range raw[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

const (
	highSurrogate = 0xd800
	lowSurrogate  = 0xdc00
	surrogateEnd  = 0xe000
)

// appendUnit appends a UTF-16 unit, and joins the second half of a pair to the first.
func appendUnit(to []byte, r rune) []byte {
	if r < highSurrogate || r >= surrogateEnd {
		return utf8.AppendRune(to, r)
	}
	if n := len(to); r >= lowSurrogate && n >= 3 {
		if high, ok := surrogate(to[n-3:]); ok && high < lowSurrogate {
			return utf8.AppendRune(to[:n-3], (high-highSurrogate)<<10|(r-lowSurrogate)+0x10000)
		}
	}
	return append(to, byte(0xe0|r>>12), byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f))
}

// surrogate reads the three bytes of half a pair.
func surrogate(b []byte) (rune, bool) {
	if len(b) < 3 || b[0] != 0xed || b[1] < 0xa0 || b[1] > 0xbf || b[2]&0xc0 != 0x80 {
		return 0, false
	}
	return rune(b[0]&0xf)<<12 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f), true
}

// joiner makes valid text of bytes that come in pieces: what may become a character with the next piece waits for it.
type joiner struct{ tail []byte }

// next gives the text of a piece; "" while a character waits for its rest.
func (j *joiner) next(b []byte) string {
	if len(j.tail) == 0 && utf8.Valid(b) {
		return string(b)
	}
	b = append(j.tail, b...)
	n := len(b) - unfinished(b)
	text := clean(b[:n])
	j.tail = append([]byte(nil), b[n:]...)
	return text
}

// rest gives what still waits, as the replacement character.
func (j *joiner) rest() string {
	text := clean(j.tail)
	j.tail = nil
	return text
}

// unfinished counts the bytes at the end that may be the beginning of a character.
func unfinished(b []byte) int {
	for n := min(len(b), 5); n > 0; n-- { // five: half a pair, and two bytes of the other half
		tail := b[len(b)-n:]
		if high, ok := surrogate(tail); ok {
			if high < lowSurrogate && (n == 3 || tail[3] == 0xed && (n == 4 || tail[4] >= 0xb0 && tail[4] <= 0xbf)) {
				return n
			}
			continue
		}
		if n > 3 || !utf8.RuneStart(tail[0]) || tail[0] < 0xc0 {
			continue
		}
		if tail[0] == 0xed && n == 2 && tail[1] >= 0xa0 && tail[1] <= 0xbf {
			return n
		}
		if !utf8.FullRune(tail) {
			return n
		}
	}
	return 0
}

// clean joins pairs and replaces what is no character.
func clean(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if high, ok := surrogate(b); ok {
			if low, ok := surrogate(b[3:]); ok && high < lowSurrogate && low >= lowSurrogate {
				out = utf8.AppendRune(out, (high-highSurrogate)<<10|(low-lowSurrogate)+0x10000)
				b = b[6:]
				continue
			}
			out = utf8.AppendRune(out, utf8.RuneError)
			b = b[3:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out)
}
