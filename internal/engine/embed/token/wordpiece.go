package token

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordPiece is BERT's tokenizer: words are cut into the longest pieces that the vocabulary has, from the left.
type wordPiece struct {
	marks
	trie
	size                         int
	inner                        int32 // where pieces that go on in a word begin in the trie; -1 for nowhere
	unknown                      int32
	maxChars                     int // longer words are unknown
	clean, chinese, lower, strip bool
	ascii                        [utf8.RuneSelf]class
}

// class is what becomes of a character; of ASCII, worked out beforehand.
type class struct {
	kind kind
	to   byte // in lower case, if that is asked for
}

type kind uint8

const (
	other kind = iota // part of a word, but no letter
	letter
	space
	punctuation // a word by itself
	dropped
)

func newWordPiece(f *file) (*wordPiece, error) {
	n, pre := flat(f.Normalizer), flat(f.PreTokenizer)
	if len(n) != 1 || n[0].Type != "BertNormalizer" || len(pre) != 1 || pre[0].Type != "BertPreTokenizer" {
		return nil, unsupported("it is WordPiece with the normalizer %s and the pre-tokenizer %s; BertNormalizer and BertPreTokenizer are supported", names(n), names(pre))
	}
	if f.Model.Vocab.scores != nil || len(f.Model.Vocab.pieces) == 0 {
		return nil, unsupported("its vocabulary is no WordPiece one")
	}
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	w := &wordPiece{size: size, clean: n[0].CleanText, chinese: n[0].Chinese, lower: n[0].Lowercase, strip: n[0].Lowercase, maxChars: f.Model.MaxChars}
	if n[0].StripAccents != nil {
		w.strip = *n[0].StripAccents
	}
	if w.maxChars <= 0 {
		w.maxChars = 100
	}
	if w.marks, err = f.marksOf(size); err != nil {
		return nil, err
	}
	if w.unknown, err = f.unknown(); err != nil {
		return nil, err
	}
	w.trie = newTrie(f.Model.Vocab.pieces)
	prefix := f.Model.Prefix
	if prefix == "" {
		prefix = "##"
	}
	w.inner = w.walk(prefix)
	for c := range w.ascii {
		w.ascii[c] = w.classify(byte(c))
	}
	return w, nil
}

// unknown finds the id of the unknown token.
func (f *file) unknown() (int32, error) {
	text := f.Model.Unknown
	if text == "" {
		text = "[UNK]"
	}
	for _, p := range f.Model.Vocab.pieces {
		if p.text == text {
			return p.id, nil
		}
	}
	if i := slices.IndexFunc(f.Added, func(a added) bool { return a.Content == text }); i >= 0 {
		return f.Added[i].ID, nil
	}
	return 0, fmt.Errorf("read tokenizer.json: the vocabulary has no %s", text)
}

func (w *wordPiece) classify(c byte) class {
	switch {
	case c == ' ' || c >= '\t' && c <= '\r' && (c < '\v' || c == '\r' || !w.clean):
		return class{space, ' '}
	case (c < ' ' || c == 127) && w.clean:
		return class{kind: dropped}
	case c >= 'A' && c <= 'Z' && w.lower:
		return class{letter, c + 'a' - 'A'}
	case isLetter(rune(c)):
		return class{letter, c}
	case isPunct(rune(c)):
		return class{punctuation, c}
	}
	return class{other, c}
}

// Len meets Tokenizer.
func (w *wordPiece) Len() int { return w.size }

// Encode meets Tokenizer.
func (w *wordPiece) Encode(dst []int32, text string, limit int) (ids []int32, known, letters int) {
	ids, known, letters = w.cut(append(dst, w.before...), text, w.room(limit), true)
	return append(ids, w.after...), known, letters
}

// Pieces meets Tokenizer.
func (w *wordPiece) Pieces(dst []int32, text string, limit int) (ids []int32, known, letters int) {
	return w.cut(dst, text, max(0, limit), false)
}

// reader holds the word that is being read, normalised.
type reader struct {
	*wordPiece
	ids            []int32
	end            int  // of ids, at most
	keep           bool // unknown tokens
	word           []byte
	chars, count   int // of the word: characters, and letters before they were taken apart
	known, letters int
}

func (w *wordPiece) cut(dst []int32, text string, room int, keep bool) (ids []int32, known, letters int) {
	var buffer [512]byte
	r := reader{wordPiece: w, ids: dst, end: len(dst) + room, keep: keep, word: buffer[:0]}
	for i := 0; i < len(text) && len(r.ids) < r.end; {
		if c := text[i]; c < utf8.RuneSelf {
			i++
			switch class := w.ascii[c]; class.kind {
			case letter:
				r.count++
				r.put(class.to)
			case other:
				r.put(class.to)
			case space:
				r.flush()
			case punctuation:
				r.flush()
				r.put(class.to)
				r.flush()
			}
			continue
		}
		c, n := utf8.DecodeRuneInString(text[i:])
		r.read(c, text[i:i+n])
		i += n
	}
	r.flush()
	return r.ids, r.known, r.letters
}

// put adds a byte of ASCII to the word.
func (r *reader) put(c byte) {
	if r.chars++; r.chars <= r.maxChars {
		r.word = append(r.word, c)
	}
}

// read takes a character beyond ASCII, whose bytes are s.
func (r *reader) read(c rune, s string) {
	switch {
	case r.clean && (c == utf8.RuneError || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co)):
		return
	case unicode.Is(unicode.White_Space, c):
		r.flush()
		return
	}
	apart := r.chinese && isChinese(c)
	if apart {
		r.flush()
	}
	if isLetter(c) {
		r.count++
	}
	switch syllable := c - hangul; {
	case !r.strip:
		r.emit(c)
	case syllable >= 0 && syllable < syllables:
		r.emit(0x1100 + syllable/588)
		r.emit(0x1161 + syllable%588/28)
		if tail := syllable % 28; tail > 0 {
			r.emit(0x11A7 + tail)
		}
	default:
		parts := norm.NFD.PropertiesString(s).Decomposition()
		if parts == nil {
			r.emit(c)
		}
		for len(parts) > 0 {
			part, n := utf8.DecodeRune(parts)
			r.emit(part)
			parts = parts[n:]
		}
	}
	if apart {
		r.flush()
	}
}

// Hangul syllables are taken apart by arithmetic: 19 heads x 21 vowels x 28 tails.
const (
	hangul    = 0xAC00
	syllables = 19 * 21 * 28
)

// emit adds a character of the normalised text.
func (r *reader) emit(c rune) {
	switch {
	case r.strip && unicode.Is(unicode.Mn, c):
		return
	case r.lower && c == 'İ': // the one letter whose lower case is two
		r.emit('i')
		c = '̇'
	case r.lower:
		c = unicode.ToLower(c)
	}
	if isPunct(c) {
		r.flush()
		defer r.flush()
	}
	if r.chars++; r.chars <= r.maxChars {
		r.word = utf8.AppendRune(r.word, c)
	}
}

// flush ends the word.
func (r *reader) flush() {
	if r.chars == 0 {
		return
	}
	n := len(r.ids)
	ok := r.chars <= r.maxChars && r.pieces()
	if !ok {
		if r.ids = r.ids[:n]; r.keep {
			r.ids = append(r.ids, r.unknown)
		}
	}
	r.letters += r.count
	if ok {
		r.known += r.count
	}
	r.ids = r.ids[:min(len(r.ids), r.end)]
	r.word, r.chars, r.count = r.word[:0], 0, 0
}

// pieces appends those of the word, and tells whether the vocabulary has all.
func (r *reader) pieces() bool {
	start := int32(0)
	for from := 0; from < len(r.word); start = r.inner {
		if start < 0 {
			return false
		}
		id, end := int32(-1), 0
		for i, n := from, start; i < len(r.word); {
			if n = r.step(n, r.word[i]); n == 0 {
				break
			}
			if i++; r.trie[n].id >= 0 {
				id, end = r.trie[n].id, i
			}
		}
		if id < 0 {
			return false
		}
		r.ids = append(r.ids, id)
		from = end
	}
	return true
}

func isPunct(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 33 && r <= 47 || r >= 58 && r <= 64 || r >= 91 && r <= 96 || r >= 123 && r <= 126
	}
	return unicode.IsPunct(r)
}

// isChinese tells the blocks whose characters BERT takes for words. The hole after 2B81F is the reference tokenizer's.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
