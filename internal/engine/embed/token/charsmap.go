package token

import (
	"bytes"
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// charsmap is SentencePiece's compiled table of what characters and sequences of them become: a double array in the
// format of darts-clone, whose values are places in a list of texts that end with a zero byte.
type charsmap struct {
	units []byte // little endian, 4 bytes each
	texts []byte
}

func newCharsmap(b []byte) (*charsmap, error) {
	if len(b) == 0 {
		return nil, nil // nothing becomes anything else
	}
	if len(b) < 4 {
		return nil, unsupported("its character map has %d bytes", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) || n%4 != 0 || n == 0 {
		return nil, unsupported("its character map has %d bytes, of which %d are a tree", len(b), n)
	}
	return &charsmap{b[4 : 4+n], b[4+n:]}, nil
}

func (m *charsmap) unit(at uint32) uint32 {
	if uint64(at)*4+4 > uint64(len(m.units)) {
		return 0
	}
	return binary.LittleEndian.Uint32(m.units[at*4:])
}

func offset(unit uint32) uint32 { return unit >> 10 << (unit >> 6 & 8) }

// match finds the longest beginning of s that becomes something else: how long it is, and what it becomes; 0 for none.
func (m *charsmap) match(s string) (n int, to []byte) {
	at := offset(m.unit(0))
	for i := 0; i < len(s) && s[i] != 0; i++ {
		at ^= uint32(s[i])
		unit := m.unit(at)
		if unit&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		from := m.unit(at) &^ (1 << 31)
		if uint64(from) > uint64(len(m.texts)) {
			break
		}
		if end := bytes.IndexByte(m.texts[from:], 0); end >= 0 {
			n, to = i+1, m.texts[from:int(from)+end]
		}
	}
	return n, to
}

// words reads a text word by word, normalised. What SentencePiece calls a space is what is between words, wherever in the
// text it is, and "▁", which means one.
type words struct {
	*charsmap
	iter      *norm.Iter // of the text in NFKC, if that is asked for
	text      string
	rest      []byte // normalised already
	character [utf8.UTFMax]byte
}

func (w *words) compose(text string) {
	w.iter = &norm.Iter{}
	w.iter.InitString(norm.NFKC, text)
}

// next appends the next word, of which it drops what is beyond longest bytes, and nothing when there is none.
func (w *words) next(dst []byte, longest int) []byte {
	from := len(dst)
	for w.fill() {
		r, n := utf8.DecodeRune(w.rest)
		switch w.rest = w.rest[n:]; {
		case unicode.IsSpace(r) || r == '▁':
			if len(dst) > from {
				return dst
			}
		case len(dst)-from < longest:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// fill sees to it that rest has something; false at the text's end.
func (w *words) fill() bool {
	for len(w.rest) == 0 {
		switch {
		case w.iter != nil:
			if w.iter.Done() {
				return false
			}
			w.rest = w.iter.Next()
			continue
		case w.text == "":
			return false
		case w.charsmap != nil:
			if n, to := w.match(w.text); n > 0 {
				w.text, w.rest = w.text[n:], to
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(w.text)
		w.text, w.rest = w.text[n:], utf8.AppendRune(w.character[:0], r)
	}
	return true
}
