package token

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordPiece is BERT's tokenizer: words are cut into the longest pieces that the vocabulary has, from the left.
type wordPiece struct {
	first, rest                  map[string]int32 // pieces that begin words, and those that go on (without their prefix)
	size                         int
	longest                      int // piece, in bytes
	maxChars                     int // longer words are unknown
	unknown, begin, end          int32
	clean, chinese, lower, strip bool
}

func (w *wordPiece) Len() int { return w.size }

// Encode meets Tokenizer.
func (w *wordPiece) Encode(dst []int32, text string, limit int) (ids []int32, known, letters int) {
	s := w.normalize(text)
	from := len(dst)
	ids = append(dst, w.begin)
	full := func() bool { return len(ids)-from >= limit-1 }
	start, count := -1, 0 // of the word, and its letters
	word := func(end int) {
		if start < 0 {
			return
		}
		n := len(ids)
		ids = w.word(ids, s[start:end])
		if letters += count; len(ids) != n+1 || ids[n] != w.unknown {
			known += count
		}
		start, count = -1, 0
	}
	for i := 0; i < len(s) && !full(); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == ' ' || r >= utf8.RuneSelf && unicode.IsSpace(r):
			word(i)
		case isPunct(r):
			if word(i); !full() {
				ids = w.word(ids, s[i:i+n])
			}
		case start < 0:
			start = i
			fallthrough
		default:
			if isLetter(r) {
				count++
			}
		}
		i += n
	}
	if !full() {
		word(len(s))
	}
	ids = ids[:min(len(ids), from+max(limit-1, 1))]
	return append(ids, w.end), known, letters
}

func isLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return unicode.IsLetter(r)
}

// isPunct: ASCII symbols count as punctuation, too.
func isPunct(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 33 && r <= 47 || r >= 58 && r <= 64 || r >= 91 && r <= 96 || r >= 123 && r <= 126
	}
	return unicode.IsPunct(r)
}

func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// word appends the pieces of a word, or the unknown token when it has others.
func (w *wordPiece) word(ids []int32, word string) []int32 {
	if len(word) > w.maxChars && utf8.RuneCountInString(word) > w.maxChars {
		return append(ids, w.unknown)
	}
	n, pieces := len(ids), w.first
	for len(word) > 0 {
		end := min(len(word), w.longest)
		for ; end > 0; end-- {
			if id, ok := pieces[word[:end]]; ok {
				ids = append(ids, id)
				break
			}
		}
		if end == 0 {
			return append(ids[:n], w.unknown)
		}
		word, pieces = word[end:], w.rest
	}
	return ids
}

// normalize cleans a text, sets Chinese characters apart, lower-cases and takes accents off, as far as the tokenizer asks for.
func (w *wordPiece) normalize(s string) string {
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return w.normalizeRunes(b, s[i:])
		case c == '\t' || c == '\n' || c == '\r':
			c = ' '
		case (c < 32 || c == 127) && w.clean:
			continue
		case c >= 'A' && c <= 'Z' && w.lower:
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// normalizeRunes goes on after what is normalised already.
func (w *wordPiece) normalizeRunes(done []byte, s string) string {
	b := make([]byte, 0, len(s)+16)
	for _, r := range s {
		switch {
		case w.clean && (r == 0 || r == utf8.RuneError):
		case unicode.Is(unicode.White_Space, r):
			b = append(b, ' ')
		case w.clean && unicode.In(r, unicode.C):
		case w.chinese && isChinese(r):
			b = append(utf8.AppendRune(append(b, ' '), r), ' ')
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	if w.strip {
		b = norm.NFD.Bytes(b)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case w.strip && unicode.Is(unicode.Mn, r):
		case w.lower && r == 'İ': // the one letter whose lower case is two
			done = append(done, "i̇"...)
		case w.lower:
			done = utf8.AppendRune(done, unicode.ToLower(r))
		default:
			done = utf8.AppendRune(done, r)
		}
	}
	return string(done)
}
